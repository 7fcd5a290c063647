//! What a restore carries over from the database that it replaces.

use std::fs;

use capauth_store::{Carried, Replace};
use capauth_verifier::{Changed, KeyRole, Link, RevokedBy, Rotation, Stores, Unlink};

use crate::helpers::{NOW, feed_after, fingerprint, new_key, note};
use crate::place::{LATER, Place, enroll, mode, over};

async fn link(stores: &Stores, primary: u8, secondary: u8) {
    let revision = async |byte| stores.keys.find(&fingerprint(byte)).await.unwrap().unwrap().revision;
    let link = Link {
        primary: fingerprint(primary),
        primary_revision: revision(primary).await,
        secondary: fingerprint(secondary),
        secondary_revision: Some(revision(secondary).await),
        new: None,
    };
    assert!(matches!(stores.keys.link(&link, &note()).await.unwrap(), Changed::Done(_)));
}

async fn unlink(stores: &Stores, primary: u8, secondary: u8) {
    let unlink = Unlink { primary: fingerprint(primary), secondary: fingerprint(secondary) };
    assert!(matches!(stores.keys.unlink(&unlink, &note()).await.unwrap(), Changed::Done(_)));
}

/// Enrols keys 1 to 6 with 6 linked to 5, takes a backup `a`, and does everything that must not be undone.
async fn world_with_decisions(place: &Place) {
    let stores = place.open().await;
    for byte in 1..=6 {
        enroll(&stores, byte).await;
    }
    let revision = async |byte| stores.keys.find(&fingerprint(byte)).await.unwrap().unwrap().revision;
    link(&stores, 5, 6).await;
    place.backup("a").await;
    stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
    let hash_of = |key: &_| stores.master_key.tombstone(key);
    assert!(stores.keys.erase(&fingerprint(2), &hash_of, true, &note()).await.unwrap());
    let rotation = Rotation {
        old: fingerprint(3),
        old_revision: revision(3).await,
        new: new_key(&stores, fingerprint(7)),
        due: None,
    };
    assert!(matches!(stores.keys.rotate(&rotation, &note()).await.unwrap(), Changed::Done(_)));
    unlink(&stores, 5, 6).await;
    enroll(&stores, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_restore_brings_a_revoked_key_back() {
    let place = Place::new();
    world_with_decisions(&place).await;
    let restored = place.restore("a").await;
    let over = over(&restored);
    // Key 2 was barred; 3 was rotated away; 7 and 8 came later.
    assert_eq!((over.revoked, over.suspended, over.unlinked, over.lost), (2, 1, 1, 2));
    let stores = place.open().await;
    let key = async |byte| stores.keys.find(&fingerprint(byte)).await.unwrap().unwrap();
    assert_eq!(key(1).await.revoked, Some((NOW, RevokedBy::Administrator)));
    assert_eq!(key(2).await.revoked.unwrap().1, RevokedBy::Administrator);
    assert!(key(3).await.identity.suspended && key(3).await.revoked.is_none());
    let (fifth, sixth) = (key(5).await, key(6).await);
    assert_eq!((sixth.role, sixth.identity.sub), (KeyRole::Primary, fingerprint(6)));
    // Its twin: nothing happened to it, and nothing happens.
    let fourth = key(4).await;
    assert!(fourth.revoked.is_none() && !fourth.identity.suspended && fourth.identity.approved);
    assert!(fifth.revoked.is_none() && !fifth.identity.suspended);
    // Who was barred stays barred, and the feed says so.
    assert!(feed_after(&stores, 0).await.iter().any(
        |told| matches!(told, capauth_verifier::Revocation::Key { fingerprint: f } if *f == fingerprint(1))
    ));
    // It is all in the log.
    let log = stores.keys.audit(0, 100).await.unwrap().entries;
    for word in ["revoked", "suspended", "unlinked", "restored"] {
        assert!(log.iter().any(|line| line.what == word), "{word}: {log:?}");
    }
    // Once more, over itself: nothing is lost by it.
    drop(stores);
    place.restore("a").await;
    let stores = place.open().await;
    assert!(stores.keys.find(&fingerprint(1)).await.unwrap().unwrap().revoked.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_old_database_a_restore_says_that_nothing_was_carried_over() {
    let place = Place::new();
    world_with_decisions(&place).await;
    place.settled().await;
    fs::remove_file(place.file("keys.db")).unwrap();
    let restored = place.try_restore("a", false).await.unwrap();
    assert_eq!((restored.carried, restored.kept), (Carried::NothingThere, None));
    let stores = place.open().await;
    assert!(stores.keys.find(&fingerprint(1)).await.unwrap().unwrap().revoked.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_database_is_kept_and_can_be_brought_back() {
    let place = Place::new();
    world_with_decisions(&place).await;
    let kept = place.restore("a").await.kept.unwrap();
    assert_eq!(mode(&kept), 0o600);
    // By way of a backup of it, so that nothing is revived.
    let url = format!("sqlite://{}", kept.display());
    let key = || Some(place.key.clone());
    capauth_store::backup(&url, key(), &place.file("b"), "s", NOW).await.unwrap();
    let restored = place.restore("b").await;
    assert_eq!(over(&restored).lost, 1, "key 2, which was erased there");
    let stores = place.open().await;
    assert!(stores.keys.find(&fingerprint(7)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_damaged_database_is_replaced_and_its_revocations_are_lost() {
    let place = Place::new();
    world_with_decisions(&place).await;
    place.settled().await;
    for (n, damage) in ["this is no database ".repeat(500), String::new()].into_iter().enumerate() {
        fs::write(place.file("keys.db"), &damage).unwrap();
        fs::write(place.file("keys.db-wal"), b"a log of nothing").unwrap();
        // Whoever damages it would else let themselves in again.
        let error = place.try_restore("a", true).await.unwrap_err().to_string();
        assert!(
            error.contains("--accept-lost-revocations") && error.contains("cannot be read"),
            "{n}: {error}"
        );
        assert_eq!(fs::read(place.file("keys.db")).unwrap(), damage.as_bytes());
        let restored = place.restore_as("a", Replace::LosingRevocations).await.unwrap();
        assert!(matches!(restored.carried, Carried::Unreadable(_)), "{n}: {restored:?}");
        let kept = restored.kept.unwrap();
        assert_eq!(fs::read(&kept).unwrap(), damage.as_bytes());
        assert!(!place.file("keys.db-wal").exists(), "{n}: it would be read into the new database");
        let stores = place.open().await;
        assert_eq!(stores.keys.count().await.unwrap(), 6);
        drop(stores);
        place.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_installations_database_decides_nothing_here() {
    let (place, other) = (Place::new(), Place::new());
    world_with_decisions(&place).await;
    drop(other.open().await);
    other.settled().await;
    fs::copy(place.file("a"), other.file("a")).unwrap();
    let restore = async |replace| {
        let key = Some(place.key.clone());
        capauth_store::restore(&other.url(), key, &other.file("a"), replace, LATER).await
    };
    let error = restore(Replace::CarryingOver).await.unwrap_err().to_string();
    assert!(
        error.contains("another installation's") && error.contains("--accept-lost-revocations"),
        "{error}"
    );
    let restored = restore(Replace::LosingRevocations).await.unwrap();
    assert_eq!(restored.carried, Carried::AnotherInstallation);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_thief_who_linked_his_key_elsewhere_is_in_again_after_a_restore() {
    let place = Place::new();
    let stores = place.open().await;
    for byte in 1..=9 {
        enroll(&stores, byte).await;
    }
    // Keys 2, 6 and 8 sign for 1, 5 and 7.
    for (primary, secondary) in [(1, 2), (5, 6), (7, 8)] {
        link(&stores, primary, secondary).await;
    }
    place.backup("a").await;
    unlink(&stores, 1, 2).await;
    link(&stores, 3, 2).await;
    let hash_of = |key: &_| stores.master_key.tombstone(key);
    assert!(stores.keys.erase(&fingerprint(8), &hash_of, false, &note()).await.unwrap());
    drop(stores);
    assert_eq!(over(&place.restore("a").await).unlinked, 2);
    let stores = place.open().await;
    let key = async |byte| stores.keys.find(&fingerprint(byte)).await.unwrap().unwrap();
    for byte in [2, 8] {
        let unlinked = key(byte).await;
        assert_eq!((unlinked.role, unlinked.identity.sub), (KeyRole::Primary, fingerprint(byte)));
    }
    // Its twin: what is linked there as it was here stays.
    assert_eq!(key(6).await.role, KeyRole::Secondary(fingerprint(5)));
    // And with a whole identity that was lost come the keys that it had.
    place.backup("b").await;
    assert!(
        stores
            .keys
            .erase(&fingerprint(5), &|key: &_| stores.master_key.tombstone(key), false, &note())
            .await
            .unwrap()
    );
    drop(stores);
    assert_eq!(over(&place.restore("b").await).unlinked, 0);
    let stores = place.open().await;
    let sixth = stores.keys.find(&fingerprint(6)).await.unwrap().unwrap();
    assert_eq!(sixth.role, KeyRole::Secondary(fingerprint(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_one_damaged_key_keeps_everything_from_being_carried_over() {
    let place = Place::new();
    world_with_decisions(&place).await;
    place.settled().await;
    place.sql("keys.db", "UPDATE keys SET signing_keys = x'00' WHERE fingerprint = x'0404040404040404040404040404040404040404'").await;
    let restored = place.restore("a").await;
    // Key 1, key 2, and the damaged one: what was known of it may have been a revocation.
    assert_eq!(over(&restored).revoked, 3);
    let stores = place.open().await;
    let revoked = async |byte| stores.keys.find(&fingerprint(byte)).await.unwrap().unwrap().revoked.is_some();
    assert!(revoked(1).await && revoked(4).await && !revoked(5).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_an_older_schema_keeps_everything_from_being_carried_over() {
    let place = Place::new();
    world_with_decisions(&place).await;
    place.settled().await;
    let older = "ALTER TABLE audit DROP COLUMN via; DELETE FROM _sqlx_migrations WHERE version = 3";
    place.sql("keys.db", older).await;
    let before = fs::read(place.file("keys.db")).unwrap();
    let restored = place.restore("a").await;
    assert_eq!(over(&restored).revoked, 2);
    assert!(fs::read(restored.kept.unwrap()).unwrap() == before, "it is a copy that is brought up to date");
    // A newer one is not understood.
    place
        .sql(
            "keys.db",
            "INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 1)",
        )
        .await;
    let error = place.refusal("a", true).await;
    assert!(error.contains("version 9999") && error.contains("--accept-lost-revocations"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_restore_goes_on_when_what_it_carries_over_cannot_be_written() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    place.backup("a").await;
    fs::copy(place.file("a"), place.file("full")).unwrap();
    place
        .forge(
            "full",
            &stores,
            "CREATE TRIGGER full BEFORE INSERT ON revocations BEGIN SELECT raise(ABORT, 'no room'); END",
        )
        .await;
    stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
    drop(stores);
    place.settled().await;
    for replace in [Replace::CarryingOver, Replace::LosingRevocations] {
        let before = place.content();
        let error = place.restore_as("full", replace).await.unwrap_err().to_string();
        assert!(error.contains("no room") && error.contains("Nothing was changed"), "{error}");
        assert!(before == place.content(), "{error}");
    }
    assert_eq!(over(&place.restore("a").await).revoked, 1);
}
