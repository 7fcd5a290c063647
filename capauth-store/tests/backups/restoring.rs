//! Restoring: what is refused, and what ends.

use std::fs;

use capauth_store::Replace;
use capauth_verifier::{
    Advance, Changed, KeyPurpose, KeyRole, MasterKey, NewCode, NewFamily, Revocation, Rotation,
    StoredTokenKey,
};
use sqlx::Connection;

use crate::helpers::{NOW, feed_after, fingerprint, new_key, note};
use crate::place::{LATER, Place, enroll, epoch, session};

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_ends_what_was_given_out() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    stores.sessions.note_session(&session(1));
    let family = NewFamily { jti_hash: [1; 32], sub: fingerprint(1), expires: NOW.plus(1_000_000_000) };
    stores.sessions.add_family(&family).await.unwrap();
    let key = StoredTokenKey {
        kid: "k".to_owned(),
        algorithm: "EdDSA".to_owned(),
        sealed: vec![1],
        created_at: NOW,
    };
    stores.tokens.add_token_key(KeyPurpose::Access, None, &key).await.unwrap();
    let before = epoch(&stores).await;
    let info = place.backup("a").await;
    assert_eq!(info.epoch, before);
    drop(stores);
    let restored = place.restore("a").await;
    let stores = place.open().await;
    assert_eq!(epoch(&stores).await, restored.epoch);
    assert_ne!(restored.epoch, before);
    assert!((1..=1 << 52).contains(&restored.epoch), "as an epoch always is");
    assert!(stores.sessions.sessions(&fingerprint(1), 0, NOW, 10).await.unwrap().is_empty());
    assert_eq!(stores.sessions.advance_family(&[1; 32], 0, NOW).await.unwrap(), Advance::Gone);
    assert!(stores.tokens.token_keys(KeyPurpose::Access).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_tokens_issued_after_a_restore_are_revived_by_the_next() {
    let place = Place::new();
    let stores = place.open().await;
    let mut epochs = vec![epoch(&stores).await];
    place.backup("older").await;
    drop(stores);
    epochs.push(place.restore("older").await.epoch);
    place.backup("newer").await;
    // The same one again; the newer one; the older one after it; and with nothing at hand of what came of them.
    for name in ["older", "older", "newer", "older", "newer"] {
        epochs.push(place.restore(name).await.epoch);
        epochs.push({
            fs::remove_file(place.file("keys.db")).unwrap();
            place.try_restore(name, false).await.unwrap().epoch
        });
    }
    let mut distinct = epochs.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), epochs.len(), "an epoch came twice: {epochs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_what_is_done_after_a_restore_is_numbered_like_what_was_read_before() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    place.backup("a").await;
    for byte in 2..20 {
        enroll(&stores, byte).await;
        stores.keys.revoke(&fingerprint(byte), &note()).await.unwrap();
    }
    let read = stores.keys.audit(0, 1000).await.unwrap().cursor;
    let followed = stores.tokens.revocations(0, 1000).await.unwrap().cursor;
    drop(stores);
    place.settled().await;
    fs::remove_file(place.file("keys.db")).unwrap();
    place.try_restore("a", false).await.unwrap();
    let stores = place.open().await;
    stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
    // Whoever goes on from where they were is told.
    let page = stores.keys.audit(read, 1000).await.unwrap();
    assert_eq!(
        page.entries.iter().map(|line| line.what.as_str()).collect::<Vec<_>>(),
        ["restored", "revoked"]
    );
    let told = stores.tokens.revocations(followed, 1000).await.unwrap();
    assert!(!told.entries.is_empty() && told.cursor > followed);
    assert!(told.cursor < 1 << 53, "{}: more than JSON's readers take", told.cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_what_is_carried_over_is_numbered_like_what_was_read_before() {
    // As the clock has it; and where it was ahead once, so that the numbers are beyond what the time gives.
    for ahead in [false, true] {
        let place = Place::new();
        let stores = place.open().await;
        enroll(&stores, 1).await;
        place.backup("a").await;
        if ahead {
            place.sql("keys.db", "UPDATE sqlite_sequence SET seq = 4000000000000000").await;
        }
        for byte in 2..20 {
            enroll(&stores, byte).await;
            stores.keys.revoke(&fingerprint(byte), &note()).await.unwrap();
        }
        stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
        let read = stores.keys.audit(0, 1000).await.unwrap().cursor;
        let followed = stores.tokens.revocations(0, 1000).await.unwrap().cursor;
        assert_eq!(read > 4_000_000_000_000_000, ahead);
        drop(stores);
        place.restore("a").await;
        let stores = place.open().await;
        let page = stores.keys.audit(read, 1000).await.unwrap();
        let words: Vec<_> = page.entries.iter().map(|line| line.what.as_str()).collect();
        assert_eq!(words, ["revoked", "restored"], "ahead: {ahead}");
        let told = feed_after(&stores, followed).await;
        let is_key =
            |told: &Revocation| matches!(told, Revocation::Key { fingerprint: f } if *f == fingerprint(1));
        assert!(told.iter().any(is_key), "ahead: {ahead}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_backup_whose_tables_compute_is_run_before_it_is_known_for_ours() {
    let place = Place::new();
    let stores = place.open().await;
    place.backup("good").await;
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT";
    let view = format!("DROP TABLE backup; CREATE VIEW backup AS {endless} max(x) AS format FROM n");
    let sealed = format!(
        "ALTER TABLE installation RENAME TO i; CREATE VIEW installation AS {endless} max(x) AS sealed_secret FROM n"
    );
    let computed = "DROP TABLE backup; CREATE TABLE backup (a, format AS (length(hex(zeroblob(1000)))));
        INSERT INTO backup VALUES (1)"
        .to_owned();
    let all = [("view", view), ("sealed", sealed), ("computed", computed)];
    for (name, statement) in all.clone() {
        fs::copy(place.file("good"), place.file(name)).unwrap();
        // By somebody who knows the secret: it is not the hash that stops it.
        place.forge(name, &stores, Box::leak(statement.into_boxed_str())).await;
    }
    drop(stores);
    place.settled().await;
    for (name, _) in all {
        let error = place.refusal(name, true).await;
        assert!(error.contains("cannot read"), "{name}: {error}");
    }
    // Its twin: a table that only holds what it shows.
    place.restore("good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_cancelled_rotation_comes_due_after_a_restore() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    let old = stores.keys.find(&fingerprint(1)).await.unwrap().unwrap();
    let rotation = Rotation {
        old: fingerprint(1),
        old_revision: old.revision,
        new: new_key(&stores, fingerprint(2)),
        due: Some(NOW.plus(60)),
    };
    assert!(matches!(stores.keys.rotate(&rotation, &note()).await.unwrap(), Changed::Done(_)));
    let code = NewCode { hash: [9; 32], groups: vec!["staff".to_owned()], expires: NOW.plus(1_000_000_000) };
    stores.keys.add_code(&code, &note()).await.unwrap();
    place.backup("a").await;
    assert!(stores.keys.cancel_rotation(&fingerprint(1), &note()).await.unwrap());
    drop(stores);
    place.restore("a").await;
    let stores = place.open().await;
    let later = capauth_verifier::Note::new(LATER, capauth_verifier::Actor::Server);
    stores.keys.do_what_is_due(NOW, &later).await.unwrap();
    assert!(stores.keys.find(&fingerprint(2)).await.unwrap().is_none(), "the thief's key is in");
    let key = stores.keys.find(&fingerprint(1)).await.unwrap().unwrap();
    assert_eq!((key.role, key.waiting), (KeyRole::Primary, None));
    let log = stores.keys.audit(0, 100).await.unwrap().entries;
    assert!(log.iter().filter(|line| line.what == "rotation_cancelled").count() == 1, "{log:?}");
    // A one-time code that was used since would be good once more.
    let mut new = new_key(&stores, fingerprint(3));
    new.admission = capauth_verifier::Admission::Code([9; 32]);
    assert_eq!(stores.keys.enroll(&new, &note()).await.unwrap(), capauth_verifier::Enrollment::BadCode);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_restored_while_somebody_has_the_database_open() {
    let place = Place::new();
    let stores = place.open().await;
    place.backup("a").await;
    let error = place.try_restore("a", true).await.unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
    // Nor before their connections are gone, or while some other program has it open that knows nothing of our locks.
    drop(stores);
    place.settled().await;
    let mut other = place.connect("keys.db").await;
    sqlx::query("SELECT count(*) FROM keys").fetch_one(&mut other).await.unwrap();
    let error = place.try_restore("a", true).await.unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
    other.close().await.unwrap();
    place.restore("a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_does_not_open_in_the_middle_of_a_restore() {
    let place = Place::new();
    drop(place.open().await);
    place.settled().await;
    let restoring = fs::File::open(place.file("keys.db.lock")).unwrap();
    restoring.try_lock().unwrap();
    let error = capauth_store::open(&place.url(), Some(place.key.clone())).await.unwrap_err().to_string();
    assert!(error.contains("being restored"), "{error}");
    assert!(place.try_backup("a").await.is_err());
    drop(restoring);
    place.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_backup_that_somebody_changed_is_restored() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    place.backup("good").await;
    let good = fs::read(place.file("good")).unwrap();
    drop(stores);
    place.settled().await;
    // Any byte, also of the hash itself.
    for at in [100, 5_000, good.len() / 2, good.len() - 33, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(place.file("bad"), bad).unwrap();
        let error = place.refusal("bad", true).await;
        assert!(error.contains("Nothing was changed"), "{at}: {error}");
    }
    // A key put into it by whoever keeps the backups, as SQLite would write it.
    fs::write(place.file("bad"), &good[..good.len() - 32]).unwrap();
    place.sql("bad", "UPDATE identities SET approved = 1, user_name = 'admin'").await;
    let mut bad = fs::read(place.file("bad")).unwrap();
    bad.extend_from_slice(&good[good.len() - 32..]);
    fs::write(place.file("bad"), bad).unwrap();
    let error = place.refusal("bad", true).await;
    assert!(error.contains("damaged, or was changed"), "{error}");
    place.restore("good").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_backup_is_refused() {
    let place = Place::new();
    let stores = place.open().await;
    place.backup("good").await;
    let good = fs::read(place.file("good")).unwrap();
    drop(stores);
    place.settled().await;
    for length in [0, 1, 50, 99, 100, 4096, good.len() / 2, good.len() - 32, good.len() - 1] {
        fs::write(place.file("cut"), &good[..length]).unwrap();
        place.refusal("cut", true).await;
    }
    fs::write(place.file("cut"), [&good[..], b"more"].concat()).unwrap();
    place.refusal("cut", true).await;
    fs::write(place.file("letter"), "a letter ".repeat(1000)).unwrap();
    place.sql("keys.db", "PRAGMA user_version").await;
    for name in ["letter", "keys.db", "none", "."] {
        let error = place.try_restore(name, true).await.unwrap_err().to_string();
        assert!(!error.is_empty() && place.file("keys.db").exists(), "{error}");
    }
    let error = place.refusal("good", false).await;
    assert!(error.contains("--force"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_has_to_be_the_backups() {
    let place = Place::new();
    drop(place.open().await);
    place.backup("a").await;
    place.settled().await;
    let before = place.content();
    let stranger = Some(MasterKey::generate().unwrap());
    let error = capauth_store::restore(&place.url(), stranger, &place.file("a"), Replace::CarryingOver, NOW)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not the master key"), "{error}");
    let error = capauth_store::restore(&place.url(), None, &place.file("a"), Replace::CarryingOver, NOW)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("master key is missing"), "{error}");
    assert!(before == place.content(), "nothing was changed");
    // One that replaces it, as at a start.
    let new = MasterKey::generate().unwrap().replacing(&place.key);
    capauth_store::restore(&place.url(), Some(new.clone()), &place.file("a"), Replace::CarryingOver, NOW)
        .await
        .unwrap();
    capauth_store::open(&place.url(), Some(new)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_schema_is_brought_up_to_date_and_a_newer_one_refused() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    place.backup("a").await;
    fs::copy(place.file("a"), place.file("newer")).unwrap();
    place
        .forge(
            "newer",
            &stores,
            "INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 1)",
        )
        .await;
    fs::copy(place.file("a"), place.file("form")).unwrap();
    place.forge("form", &stores, "UPDATE backup SET format = 2").await;
    // As if the newest migration had not been there.
    place
        .forge(
            "a",
            &stores,
            "ALTER TABLE audit DROP COLUMN via; DELETE FROM _sqlx_migrations WHERE version = 3",
        )
        .await;
    drop(stores);
    place.settled().await;
    for name in ["newer", "form"] {
        let error = place.refusal(name, true).await;
        assert!(error.contains("newer version"), "{error}");
    }
    let restored = place.restore("a").await;
    assert_eq!(restored.backup.schema, 2);
    let stores = place.open().await;
    assert!(stores.keys.find(&fingerprint(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_backup_is_started_from_as_it_is() {
    let place = Place::new();
    drop(place.open().await);
    place.backup("a").await;
    let url = format!("sqlite://{}", place.file("a").display());
    let error = capauth_store::open(&url, Some(place.key.clone())).await.unwrap_err().to_string();
    assert!(error.contains("is a backup"), "{error}");
    // Put in the database's place it is none the better.
    place.settled().await;
    fs::copy(place.file("a"), place.file("keys.db")).unwrap();
    let error = capauth_store::open(&place.url(), Some(place.key.clone())).await.unwrap_err().to_string();
    assert!(error.contains("is a backup"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_was_backed_up_is_found() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    place.backup("a").await;
    place.forge("a", &stores, "PRAGMA foreign_keys = OFF; UPDATE keys SET identity_id = 77").await;
    drop(stores);
    place.settled().await;
    let error = place.refusal("a", true).await;
    assert!(error.contains("was damaged when this backup was made"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn root_does_not_lock_the_service_out() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let place = Place::new();
    drop(place.open().await);
    place.backup("a").await;
    place.settled().await;
    let owner = |name: &str| fs::metadata(place.file(name)).unwrap().uid();
    // Nobody else can give files away, and for nobody else is there anything to do.
    if owner("a") != 0 {
        return;
    }
    fs::remove_file(place.file("keys.db.lock")).unwrap();
    chown(place.file("keys.db"), Some(65_534), Some(65_534)).unwrap();
    place.restore("a").await;
    assert_eq!((owner("keys.db"), owner("keys.db.lock")), (65_534, 65_534));
    fs::remove_file(place.file("keys.db")).unwrap();
    place.try_restore("a", false).await.unwrap();
    assert_eq!(owner("keys.db"), 0, "the folder's");
}
