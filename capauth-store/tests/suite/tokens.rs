use capauth_verifier::{KeyPurpose, Revocation, StoredTokenKey, Stores};
use tokio::task::JoinSet;

use super::helpers::{NOW, feed_after, fingerprint, new_key, note};

fn token_key(kid: &str) -> StoredTokenKey {
    StoredTokenKey {
        kid: kid.to_owned(),
        algorithm: "EdDSA".to_owned(),
        sealed: kid.as_bytes().to_vec(),
        created_at: NOW,
    }
}

pub async fn a_revoked_token_is_known_told_once_and_forgotten(stores: Stores) {
    assert!(!stores.tokens.is_token_revoked(&[1; 32]).await.unwrap());
    stores.tokens.revoke_token(&[1; 32], NOW.plus(60)).await.unwrap();
    stores.tokens.revoke_token(&[1; 32], NOW.plus(60)).await.unwrap();
    assert!(stores.tokens.is_token_revoked(&[1; 32]).await.unwrap());
    assert!(!stores.tokens.is_token_revoked(&[2; 32]).await.unwrap());
    assert_eq!(
        feed_after(&stores, 0).await,
        [Revocation::Token { jti_hash: [1; 32], expires: NOW.plus(60) }]
    );

    stores.tokens.forget_expired(NOW.plus(60)).await.unwrap();
    assert!(stores.tokens.is_token_revoked(&[1; 32]).await.unwrap());
    stores.tokens.forget_expired(NOW.plus(61)).await.unwrap();
    assert!(!stores.tokens.is_token_revoked(&[1; 32]).await.unwrap());
}

/// *Attack: a token's thief ends it for a second, so that its owner's sign-out is forgotten as soon.*
pub async fn a_token_that_ended_stays_so_until_the_latest_time_that_anybody_said(stores: Stores) {
    let tokens = &stores.tokens;
    tokens.revoke_token(&[1; 32], NOW.plus(1)).await.unwrap();
    tokens.revoke_token(&[1; 32], NOW.plus(60)).await.unwrap();
    tokens.revoke_token(&[1; 32], NOW.plus(30)).await.unwrap();
    let told = [1, 60].map(|n| Revocation::Token { jti_hash: [1; 32], expires: NOW.plus(n) });
    assert_eq!(feed_after(&stores, 0).await, told);
    tokens.forget_expired(NOW.plus(59)).await.unwrap();
    assert!(tokens.is_token_revoked(&[1; 32]).await.unwrap());
    tokens.forget_expired(NOW.plus(61)).await.unwrap();
    assert!(!tokens.is_token_revoked(&[1; 32]).await.unwrap());
}

/// So that what another installation sealed or signed is nothing here.
pub async fn an_installation_has_an_epoch_of_its_own(stores: Stores) {
    let epoch = stores.tokens.installation().await.unwrap().epoch;
    assert!((1..=1 << 52).contains(&epoch), "{epoch}");
    let other = capauth_verifier::memory::stores().unwrap().tokens.installation().await.unwrap().epoch;
    assert_ne!(epoch, other);
    assert_eq!(stores.tokens.installation().await.unwrap().epoch, epoch);
}

pub async fn the_feed_is_read_in_pages_and_says_how_far_it_goes(stores: Stores) {
    let tokens = &stores.tokens;
    assert_eq!(tokens.revocations(0, 10).await.unwrap().cursor, 0);
    for n in 0..5 {
        tokens.revoke_token(&[n; 32], NOW.plus(60)).await.unwrap();
    }
    let first = tokens.revocations(0, 3).await.unwrap();
    assert_eq!(first.entries.len(), 3);
    let second = tokens.revocations(first.cursor, 3).await.unwrap();
    assert_eq!(second.entries.len(), 2);
    assert!(second.cursor > first.cursor);
    let entries: Vec<_> = first.entries.iter().chain(&second.entries).cloned().collect();
    let expected = [0, 1, 2, 3, 4].map(|n| Revocation::Token { jti_hash: [n; 32], expires: NOW.plus(60) });
    assert_eq!(entries, expected);

    let end = tokens.revocations(second.cursor, 3).await.unwrap();
    assert_eq!((end.entries.len(), end.cursor), (0, second.cursor));
    // Who followed another feed hears that this one is not as long.
    assert_eq!(tokens.revocations(u64::MAX, 3).await.unwrap().cursor, second.cursor);

    // What is forgotten does not give its place in the order to what comes next.
    tokens.forget_expired(NOW.plus(61)).await.unwrap();
    assert_eq!(tokens.revocations(second.cursor, 3).await.unwrap().cursor, second.cursor);
    stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
    assert_eq!(feed_after(&stores, second.cursor).await.len(), 2);
}

pub async fn a_token_key_is_added_only_after_the_newest_known(stores: Stores) {
    let tokens = &stores.tokens;
    assert_eq!(tokens.token_keys(KeyPurpose::Access).await.unwrap(), []);
    let ring = tokens.add_token_key(KeyPurpose::Access, None, &token_key("a")).await.unwrap();
    assert_eq!(ring, [token_key("a")]);
    // Somebody who did not see the first key adds nothing, and learns of it.
    assert_eq!(
        tokens.add_token_key(KeyPurpose::Access, None, &token_key("b")).await.unwrap(),
        [token_key("a")]
    );
    let ring = tokens.add_token_key(KeyPurpose::Access, Some("a"), &token_key("c")).await.unwrap();
    assert_eq!(ring, [token_key("a"), token_key("c")]);
    assert_eq!(tokens.token_keys(KeyPurpose::Id).await.unwrap(), []);
    tokens.add_token_key(KeyPurpose::Id, None, &token_key("a")).await.unwrap();

    tokens.remove_token_key(KeyPurpose::Access, "a").await.unwrap();
    tokens.remove_token_key(KeyPurpose::Access, "unknown").await.unwrap();
    assert_eq!(tokens.token_keys(KeyPurpose::Access).await.unwrap(), [token_key("c")]);
    assert_eq!(tokens.token_keys(KeyPurpose::Id).await.unwrap(), [token_key("a")]);
}

pub async fn of_64_simultaneous_token_keys_one_is_added(stores: Stores) {
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let tokens = stores.tokens.clone();
        tasks.spawn(async move {
            tokens.add_token_key(KeyPurpose::Access, None, &token_key(&n.to_string())).await.unwrap()
        });
    }
    let ring = stores.tokens.token_keys(KeyPurpose::Access);
    let answers = tasks.join_all().await;
    let ring = ring.await.unwrap();
    assert_eq!(ring.len(), 1);
    assert!(answers.iter().all(|answer| *answer == ring));
}

pub async fn the_master_keys_check_value_is_set_once(stores: Stores) {
    let first = stores.tokens.set_master_key_check(&stores.master_key.check_value()).await.unwrap();
    assert_eq!(first, stores.master_key.check_value());
    assert_eq!(stores.tokens.set_master_key_check(&[0; 32]).await.unwrap(), first);
    let installation = stores.tokens.installation().await.unwrap();
    assert_eq!(installation.master_key_check, Some(first));
}

pub async fn server_keys_are_remembered_for_good(stores: Stores) {
    let remember = async |bytes: &[u8]| {
        let keys: Vec<_> = bytes.iter().map(|b| fingerprint(*b)).collect();
        stores.tokens.remember_server_keys(&keys).await.unwrap()
    };
    assert_eq!(remember(&[]).await, []);
    assert_eq!(remember(&[2, 1]).await, [fingerprint(2), fingerprint(1)]);
    assert_eq!(remember(&[3, 2]).await, [fingerprint(2), fingerprint(1), fingerprint(3)]);
    assert_eq!(remember(&[]).await.len(), 3);
}

pub async fn the_store_is_healthy(stores: Stores) {
    stores.keys.check_health().await.unwrap();
    stores.keys.flush().await.unwrap();
}
