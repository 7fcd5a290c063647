//! Making backups.

use std::fs;

use capauth_verifier::MasterKey;
use sqlx::Connection;

use crate::helpers::{NOW, fingerprint, note};
use crate::place::{LATER, Place, enroll, mode, session};

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_written_is_in_a_backup() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    // Nothing of this has reached the database when the backup begins.
    stores.keys.note_login(&fingerprint(1), LATER);
    stores.sessions.note_session(&session(1));
    let info = place.backup("a").await;
    assert_eq!((info.keys, info.service.as_str(), info.made_at), (1, "auth.example.com", NOW));
    assert_eq!(info.bytes, fs::metadata(place.file("a")).unwrap().len());
    assert_eq!(mode(&place.file("a")), 0o600);
    let mut backup = place.connect("a").await;
    let at: i64 = sqlx::query_scalar("SELECT at FROM last_logins").fetch_one(&mut backup).await.unwrap();
    assert_eq!(at, 1_771_999_999);
    let sessions: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT jti_hash FROM sessions").fetch_all(&mut backup).await.unwrap();
    assert_eq!(sessions, [[1; 32]]);
    backup.close().await.unwrap();

    drop(stores);
    place.restore("a").await;
    assert_eq!(mode(&place.file("keys.db")), 0o600);
    let stores = place.open().await;
    let key = stores.keys.find(&fingerprint(1)).await.unwrap().unwrap();
    assert_eq!(key.last_auth, Some(LATER));
    let log = stores.keys.audit(0, 100).await.unwrap().entries;
    let words: Vec<_> = log.iter().map(|line| line.what.as_str()).collect();
    assert_eq!(words, ["enrolled", "restored"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_has_the_database_open_is_asked() {
    let place = Place::new();
    let all = [place.open().await, place.open().await, place.open().await];
    for (n, stores) in (1..).zip(&all) {
        enroll(stores, n).await;
        stores.keys.note_login(&fingerprint(n), LATER);
    }
    // Two at once: neither takes the other's answers.
    let (a, b) = tokio::join!(place.backup("a"), place.backup("b"));
    assert_eq!((a.keys, b.keys), (3, 3));
    for name in ["a", "b"] {
        let mut backup = place.connect(name).await;
        let noted: i64 =
            sqlx::query_scalar("SELECT count(*) FROM last_logins").fetch_one(&mut backup).await.unwrap();
        assert_eq!(noted, 3, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_waited_for_who_is_gone() {
    let place = Place::new();
    drop(place.open().await);
    place.settled().await;
    // Left over from a process that was killed.
    let left_over = place.file("keys.db.0123456789abcdef.open");
    fs::write(&left_over, "").unwrap();
    let partial = place.file("a.0123456789abcdef.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("capauth-unfinished"), "half a backup").unwrap();
    // Or before the file was there.
    let empty = place.file("a.0123456789abcdee.partial");
    fs::create_dir(&empty).unwrap();
    place.backup("a").await;
    assert!(!left_over.exists() && !partial.exists() && !empty.exists());
    fs::write(&left_over, "ask x\n").unwrap();
    let _stores = place.open().await;
    assert!(!left_over.exists());
}

#[tokio::test]
async fn a_backup_replaces_nothing_and_leaves_nothing_behind_when_it_fails() {
    let place = Place::new();
    drop(place.open().await);
    place.settled().await;
    fs::write(place.file("there"), "a letter").unwrap();
    std::os::unix::fs::symlink(place.file("nowhere"), place.file("link")).unwrap();
    for name in ["there", "link", "keys.db", "no/folder"] {
        let error = place.try_backup(name).await.unwrap_err().to_string();
        assert!(error.contains(name.split('/').next().unwrap()), "{error}");
    }
    assert_eq!(fs::read(place.file("there")).unwrap(), b"a letter");
    assert!(!place.file("nowhere").exists());
    let stranger = MasterKey::generate().unwrap();
    let file = place.file("new");
    let error = capauth_store::backup(&place.url(), Some(stranger), &file, "s", NOW).await.unwrap_err();
    assert!(error.to_string().contains("not the master key"), "{error}");
    let error = capauth_store::backup(&place.url(), None, &file, "s", NOW).await.unwrap_err().to_string();
    assert!(error.contains("master key is missing"), "{error}");
    let nowhere = format!("sqlite://{}", place.file("none.db").display());
    let error = capauth_store::backup(&nowhere, None, &file, "s", NOW).await.unwrap_err().to_string();
    assert!(error.contains("no database"), "{error}");
    assert!(capauth_store::backup("memory:", None, &file, "s", NOW).await.is_err());
    assert!(!file.exists());
    let left: Vec<_> =
        place.content().into_iter().filter(|(name, _)| name.to_string_lossy().contains("partial")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_not_in_a_backup() {
    let place = Place::new();
    let stores = place.open().await;
    for byte in [1, 2] {
        enroll(&stores, byte).await;
    }
    let hash_of = |key: &_| stores.master_key.tombstone(key);
    assert!(stores.keys.erase(&fingerprint(1), &hash_of, false, &note()).await.unwrap());
    place.backup("a").await;
    let bytes = fs::read(place.file("a")).unwrap();
    let holds = |byte: u8| bytes.windows(20).any(|window| window == [byte; 20]);
    assert!(holds(2), "of the other everything is there");
    // The feed tells of an erased identity for a month; the key itself is gone.
    let mut backup = place.connect("a").await;
    let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM keys").fetch_one(&mut backup).await.unwrap();
    assert_eq!(keys, 1);
}
