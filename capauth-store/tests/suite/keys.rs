use std::collections::HashSet;
use std::sync::Arc;

use capauth_protocol::Fingerprint;
use capauth_verifier::{
    Admission, Changed, EnrolledKey, Enrollment, FingerprintPrefix, KeyFacts, KeyQuery, NewKey, Revocation,
    RevokedBy, Stores, Timestamp,
};
use tokio::task::JoinSet;

use super::helpers::{NOW, feed_after, fingerprint, new_key, note};
use super::{note_at, pending, tombstones};

async fn enroll(stores: &Stores, fingerprint: Fingerprint) -> EnrolledKey {
    match stores.keys.enroll(&new_key(stores, fingerprint), &note()).await.unwrap() {
        Enrollment::Enrolled(key) => key,
        other => panic!("{other:?}"),
    }
}

async fn find(stores: &Stores, fingerprint: Fingerprint) -> EnrolledKey {
    stores.keys.find(&fingerprint).await.unwrap().expect("the key is there")
}

fn facts(key: &EnrolledKey) -> KeyFacts {
    KeyFacts {
        fingerprint: key.fingerprint,
        revision: key.revision,
        signing_keys: b"newer".to_vec(),
        certificate_digest: [8; 32],
        revoked_at: None,
        ends_tokens: false,
    }
}

pub async fn an_enrolled_key_is_found_as_it_was_enrolled(stores: Stores) {
    let v6 = Fingerprint::from_bytes(&[0xab; 32]).unwrap();
    for wanted in [fingerprint(1), v6] {
        assert_eq!(stores.keys.find(&wanted).await.unwrap(), None);
        let enrolled = enroll(&stores, wanted).await;
        assert_eq!(find(&stores, wanted).await, enrolled);
        assert_eq!((enrolled.fingerprint, enrolled.identity.sub), (wanted, wanted));
        assert_eq!(enrolled.signing_keys, b"MARKER-SIGNING-KEYS");
        assert_eq!(enrolled.certificate_digest, [7; 32]);
        assert_eq!((enrolled.enrolled_at, enrolled.last_auth, enrolled.revoked), (NOW, None, None));
        assert!(enrolled.identity.approved && !enrolled.identity.suspended);
        assert!(enrolled.identity.groups.is_empty() && enrolled.identity.user_name.is_none());
    }
    assert_eq!(stores.keys.count().await.unwrap(), 2);
    assert!(feed_after(&stores, 0).await.is_empty());
}

pub async fn a_fingerprint_enrols_once(stores: Stores) {
    let first = enroll(&stores, fingerprint(1)).await;
    let again = NewKey { signing_keys: b"a thief's".to_vec(), ..new_key(&stores, fingerprint(1)) };
    assert_eq!(stores.keys.enroll(&again, &note()).await.unwrap(), Enrollment::AlreadyThere(first.clone()));
    assert_eq!(find(&stores, fingerprint(1)).await, first);
    assert_eq!(stores.keys.count().await.unwrap(), 1);
}

pub async fn of_64_simultaneous_enrolments_one_wins(stores: Stores) {
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let stores = stores.clone();
        let key = NewKey { signing_keys: vec![n], ..new_key(&stores, fingerprint(1)) };
        tasks.spawn(async move { (n, stores.keys.enroll(&key, &note()).await.unwrap()) });
    }
    let (mut winners, mut others) = (Vec::new(), HashSet::new());
    for (n, answer) in tasks.join_all().await {
        match answer {
            Enrollment::Enrolled(key) => {
                assert_eq!(key.signing_keys, [n]);
                winners.push(n);
            }
            Enrollment::AlreadyThere(key) => drop(others.insert(key.signing_keys)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(others, HashSet::from([winners]));
    assert_eq!(stores.keys.count().await.unwrap(), 1);
}

pub async fn an_update_from_an_old_revision_is_refused(stores: Stores) {
    let first = enroll(&stores, fingerprint(1)).await;
    assert!(stores.keys.update(&facts(&first), &note()).await.unwrap());
    let second = find(&stores, fingerprint(1)).await;
    assert_ne!(second.revision, first.revision);
    assert_eq!((second.signing_keys.as_slice(), second.certificate_digest), (&b"newer"[..], [8; 32]));
    assert_eq!(second.identity, first.identity);

    let stale = KeyFacts { signing_keys: b"stale".to_vec(), revoked_at: Some(NOW), ..facts(&first) };
    assert!(!stores.keys.update(&stale, &note()).await.unwrap());
    assert_eq!(find(&stores, fingerprint(1)).await, second);
    assert!(feed_after(&stores, 0).await.is_empty());
}

pub async fn of_64_simultaneous_updates_one_wins(stores: Stores) {
    let key = enroll(&stores, fingerprint(1)).await;
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let (stores, facts) = (stores.clone(), KeyFacts { signing_keys: vec![n], ..facts(&key) });
        tasks.spawn(async move { stores.keys.update(&facts, &note()).await.unwrap().then_some(n) });
    }
    let winners: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(find(&stores, fingerprint(1)).await.signing_keys, winners);
}

pub async fn a_key_revoked_by_its_owner_stays_revoked_and_is_told(stores: Stores) {
    let key = enroll(&stores, fingerprint(1)).await;
    let revoked = KeyFacts { revoked_at: Some(NOW.plus(5)), ..facts(&key) };
    assert!(stores.keys.update(&revoked, &note()).await.unwrap());
    let after = find(&stores, fingerprint(1)).await;
    assert_eq!(after.revoked, Some((NOW.plus(5), RevokedBy::Owner)));
    assert!(after.identity.generation > key.identity.generation);
    let feed = feed_after(&stores, 0).await;
    assert!(feed.contains(&Revocation::Key { fingerprint: fingerprint(1) }));
    assert!(
        feed.contains(&Revocation::Generation { sub: fingerprint(1), generation: after.identity.generation })
    );

    // An older copy of the certificate says nothing of the revocation; it stays.
    assert!(stores.keys.update(&facts(&after), &note()).await.unwrap());
    assert_eq!(find(&stores, fingerprint(1)).await.revoked, after.revoked);
}

pub async fn an_update_that_ends_tokens_raises_the_generation(stores: Stores) {
    let key = enroll(&stores, fingerprint(1)).await;
    assert!(stores.keys.update(&KeyFacts { ends_tokens: true, ..facts(&key) }, &note()).await.unwrap());
    let after = find(&stores, fingerprint(1)).await;
    assert!(after.identity.generation > key.identity.generation);
    assert_eq!(after.revoked, None);
    let told = Revocation::Generation { sub: fingerprint(1), generation: after.identity.generation };
    assert_eq!(feed_after(&stores, 0).await, [told]);
}

pub async fn an_administrators_revocation_is_final_and_told(stores: Stores) {
    let key = enroll(&stores, fingerprint(1)).await;
    enroll(&stores, fingerprint(2)).await;
    assert!(stores.keys.revoke(&fingerprint(1), &note()).await.unwrap());
    let after = find(&stores, fingerprint(1)).await;
    assert_eq!(after.revoked, Some((NOW, RevokedBy::Administrator)));
    assert!(after.identity.generation > key.identity.generation);
    let feed = feed_after(&stores, 0).await;
    assert!(feed.contains(&Revocation::Key { fingerprint: fingerprint(1) }));
    assert!(
        feed.contains(&Revocation::Generation { sub: fingerprint(1), generation: after.identity.generation })
    );

    assert!(stores.keys.revoke(&fingerprint(1), &note_at(NOW.plus(9))).await.unwrap());
    assert_eq!(find(&stores, fingerprint(1)).await.revoked, Some((NOW, RevokedBy::Administrator)));
    assert_eq!(find(&stores, fingerprint(2)).await.revoked, None);
}

pub async fn approving_lets_a_pending_identity_in(stores: Stores) {
    let pending = NewKey { admission: pending(1), ..new_key(&stores, fingerprint(1)) };
    stores.keys.enroll(&pending, &note()).await.unwrap();
    assert!(!find(&stores, fingerprint(1)).await.identity.approved);
    assert!(stores.keys.approve(&fingerprint(1), &note()).await.unwrap());
    assert!(find(&stores, fingerprint(1)).await.identity.approved);
    assert!(stores.keys.approve(&fingerprint(1), &note()).await.unwrap());
}

pub async fn granted_groups_are_sorted_and_taking_one_away_ends_tokens(stores: Stores) {
    let key = enroll(&stores, fingerprint(1)).await;
    let grant = async |groups: &[&str]| {
        let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        assert!(stores.keys.set_groups(&fingerprint(1), &groups, &note()).await.unwrap());
        find(&stores, fingerprint(1)).await.identity
    };
    let odd = "\u{1f511}, \"a' group\\ \n";
    let granted = grant(&["users", odd, "admins"]).await;
    assert_eq!(granted.groups, ["admins", "users", odd]);
    assert_eq!(granted.generation, key.identity.generation);

    let fewer = grant(&["admins", "auditors"]).await;
    assert_eq!(fewer.groups, ["admins", "auditors"]);
    assert!(fewer.generation > granted.generation);
    let told = Revocation::Generation { sub: fingerprint(1), generation: fewer.generation };
    assert_eq!(feed_after(&stores, 0).await, [told]);
    assert!(grant(&[]).await.generation > fewer.generation);
}

pub async fn attack_of_64_simultaneous_group_changes_one_is_lost(stores: Stores) {
    enroll(&stores, fingerprint(1)).await;
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let keys = Arc::clone(&stores.keys);
        tasks.spawn(async move {
            loop {
                let known = keys.find(&fingerprint(1)).await.unwrap().unwrap().identity.groups;
                let all = [&known[..], &[format!("group-{n:02}")]].concat();
                match keys.replace_groups(&fingerprint(1), &known, &all, &note()).await.unwrap() {
                    Changed::Done(sub) => return assert_eq!(sub, fingerprint(1)),
                    Changed::Conflict => {}
                    Changed::NotFound => panic!("the key is gone"),
                }
            }
        });
    }
    tasks.join_all().await;
    let key = find(&stores, fingerprint(1)).await;
    assert_eq!(key.identity.groups, (0..64).map(|n| format!("group-{n:02}")).collect::<Vec<_>>());
    // What is not so any longer changes nothing; what is so ends tokens where something is taken away.
    let log = stores.keys.audit(0, 1000).await.unwrap().cursor;
    let old =
        stores.keys.replace_groups(&fingerprint(1), &[], &["admins".to_owned()], &note()).await.unwrap();
    assert_eq!(old, Changed::Conflict);
    assert_eq!(find(&stores, fingerprint(1)).await, key);
    assert_eq!(stores.keys.audit(0, 1000).await.unwrap().cursor, log);
    let known = key.identity.groups.clone();
    let done = stores.keys.replace_groups(&fingerprint(1), &known, &known[..1], &note()).await.unwrap();
    assert_eq!(done, Changed::Done(fingerprint(1)));
    let after = find(&stores, fingerprint(1)).await;
    assert_eq!(after.identity.groups, ["group-00"]);
    assert!(after.identity.generation > key.identity.generation);
    let nobody = stores.keys.replace_groups(&fingerprint(9), &[], &[], &note()).await.unwrap();
    assert_eq!(nobody, Changed::NotFound);
}

pub async fn an_erased_key_is_gone_and_may_come_back(stores: Stores) {
    let key = enroll(&stores, fingerprint(1)).await;
    enroll(&stores, fingerprint(2)).await;
    stores.keys.set_groups(&fingerprint(1), &["admins".to_owned()], &note()).await.unwrap();
    stores.keys.note_login(&fingerprint(1), NOW);
    assert!(stores.keys.erase(&fingerprint(1), &tombstones(&stores), false, &note()).await.unwrap());
    stores.keys.flush().await.unwrap();

    assert_eq!(stores.keys.find(&fingerprint(1)).await.unwrap(), None);
    assert_eq!(stores.keys.count().await.unwrap(), 1);
    let told = feed_after(&stores, 0).await;
    let again = enroll(&stores, fingerprint(1)).await;
    // What it was is over, and what it is now is not: nothing says that the key is gone for good.
    let Some(Revocation::Generation { sub, generation }) = told.last() else { panic!("{told:?}") };
    assert_eq!(*sub, fingerprint(1));
    assert!(key.identity.generation < *generation && *generation <= again.identity.generation, "{told:?}");
    assert!(!told.contains(&Revocation::Key { fingerprint: fingerprint(1) }), "{told:?}");
    assert_eq!(again.identity.groups, Vec::<String>::new());
    assert_eq!(again.last_auth, None);
    assert_eq!(again.signing_keys, key.signing_keys);
}

pub async fn an_erased_revoked_key_may_not_come_back(stores: Stores) {
    enroll(&stores, fingerprint(1)).await;
    stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
    assert!(stores.keys.erase(&fingerprint(1), &tombstones(&stores), false, &note()).await.unwrap());
    let answer = stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    assert_eq!(answer, Enrollment::Tombstone);
    assert_eq!(stores.keys.find(&fingerprint(1)).await.unwrap(), None);
    enroll(&stores, fingerprint(2)).await;
}

pub async fn the_last_login_never_goes_backwards(stores: Stores) {
    enroll(&stores, fingerprint(1)).await;
    enroll(&stores, fingerprint(2)).await;
    let seen = async |fingerprint, at: Timestamp| {
        stores.keys.note_login(&fingerprint, at);
        stores.keys.flush().await.unwrap();
        find(&stores, fingerprint).await.last_auth
    };
    assert_eq!(seen(fingerprint(1), NOW.plus(10)).await, Some(NOW.plus(10)));
    assert_eq!(seen(fingerprint(1), NOW).await, Some(NOW.plus(10)));
    // The latest of several that wait together counts, whatever their order.
    stores.keys.note_login(&fingerprint(1), NOW.plus(30));
    assert_eq!(seen(fingerprint(1), NOW.plus(20)).await, Some(NOW.plus(30)));
    assert_eq!(find(&stores, fingerprint(2)).await.last_auth, None);
    // An unknown key makes nothing fail.
    stores.keys.note_login(&fingerprint(9), NOW);
    assert_eq!(seen(fingerprint(2), NOW).await, Some(NOW));
}

pub async fn keys_are_listed_in_pages_in_the_order_of_their_text(stores: Stores) {
    let v6 = |byte| Fingerprint::from_bytes(&[byte; 32]).unwrap();
    let all = [v6(0x10), fingerprint(0x20), fingerprint(0x30), v6(0x30), fingerprint(0xf0)];
    for wanted in [all[3], all[0], all[4], all[2], all[1]] {
        let approved = wanted != all[1];
        let admission = if approved { Admission::Approved } else { pending(1) };
        let key = NewKey { admission, ..new_key(&stores, wanted) };
        assert!(matches!(stores.keys.enroll(&key, &note()).await.unwrap(), Enrollment::Enrolled(_)));
    }
    let list = async |query: KeyQuery| {
        let listed = stores.keys.list(&query).await.unwrap();
        listed.iter().map(|key| key.fingerprint).collect::<Vec<_>>()
    };
    let first = KeyQuery { limit: 2, ..KeyQuery::default() };
    assert_eq!(list(first).await, all[..2]);
    assert_eq!(list(KeyQuery { after: Some(all[1]), ..first }).await, all[2..4]);
    assert_eq!(list(KeyQuery { after: Some(all[3]), ..first }).await, all[4..]);
    assert!(list(KeyQuery { after: Some(all[4]), ..first }).await.is_empty());
    assert_eq!(
        list(KeyQuery { approved_only: true, limit: 2, ..KeyQuery::default() }).await,
        [all[0], all[2]]
    );
    assert!(list(KeyQuery::default()).await.is_empty());
    assert_eq!(list(KeyQuery { pending_only: true, ..first }).await, [all[1]]);
    let begins = |digits| KeyQuery { prefix: FingerprintPrefix::parse(digits).unwrap(), ..first };
    for (digits, found) in [
        ("", &all[..2]),
        ("3", &all[2..4]),
        ("30", &all[2..4]),
        ("f0f", &all[4..]),
        ("F0F0", &all[4..]),
        ("303030303030303030303030303030303030303030", &all[3..4]),
        ("31", &[]),
    ] {
        assert_eq!(list(begins(digits)).await, found, "{digits}");
    }
    assert_eq!(list(KeyQuery { after: Some(all[2]), ..begins("3") }).await, all[3..4]);
    assert!(list(KeyQuery { pending_only: true, ..begins("3") }).await.is_empty());
}

pub async fn calls_for_unknown_keys_say_so(stores: Stores) {
    let known = enroll(&stores, fingerprint(1)).await;
    let unknown = fingerprint(9);
    assert!(!stores.keys.approve(&unknown, &note()).await.unwrap());
    assert!(!stores.keys.revoke(&unknown, &note()).await.unwrap());
    assert!(!stores.keys.erase(&unknown, &|_| [0; 32], false, &note()).await.unwrap());
    assert!(!stores.keys.set_groups(&unknown, &["admins".to_owned()], &note()).await.unwrap());
    assert!(!stores.keys.update(&KeyFacts { fingerprint: unknown, ..facts(&known) }, &note()).await.unwrap());
    assert_eq!(find(&stores, fingerprint(1)).await, known);
    assert!(feed_after(&stores, 0).await.is_empty());
}
