//! What is SQLite's alone: files, their modes, what lies in them, and what happens to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub)]

#[path = "suite/helpers.rs"]
mod helpers;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use capauth_store::Looked;
use capauth_verifier::{Enrollment, MasterKey, Revocation, Stores};
use helpers::{NOW, feed_after, fingerprint, new_key, note};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn key_in_file(&self) -> MasterKey {
        MasterKey::parse(&fs::read_to_string(self.file("keys.db.master-key")).unwrap()).unwrap()
    }

    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("made/here").join(name)
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.file("keys.db").display())
    }

    async fn open(&self) -> Stores {
        capauth_store::open(&self.url(), None).await.unwrap()
    }

    /// Why it does not open.
    async fn refusal(&self, master_key: Option<MasterKey>) -> String {
        capauth_store::open(&self.url(), master_key).await.unwrap_err().to_string()
    }

    /// Changes the database as something else than CapAuth would.
    async fn meddle(&self, statement: &'static str) {
        use sqlx::{ConnectOptions, Connection};
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.file("keys.db"));
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Name and content of every file.
    fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> =
            fs::read_dir(self.file("")).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
    }

    /// Waits until SQLite has let go of the files, which it does on threads of its own.
    async fn settled(&self) {
        tokio::time::timeout(Duration::from_secs(30), async {
            for tries in 1_u32.. {
                if !self.file("keys.db-wal").exists() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                // Connections that are closed at the same moment each leave the file to the other.
                if tries.is_multiple_of(100) {
                    self.meddle("PRAGMA user_version").await;
                }
            }
        })
        .await
        .expect("the store lets go of its files when it is dropped");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn files_are_their_owners_alone() {
    let place = Place::new();
    let stores = place.open().await;
    stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    for name in ["keys.db", "keys.db-wal", "keys.db-shm", "keys.db.master-key"] {
        assert_eq!(mode(&place.file(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&place.folder.path().join("made")), 0o700);
    assert_eq!(mode(&place.file("")), 0o700);
    assert_eq!(stores.place, place.file("keys.db").display().to_string());
}

#[tokio::test]
async fn a_database_by_a_newer_version_is_refused_and_untouched() {
    let place = Place::new();
    drop(place.open().await);
    place.settled().await;
    place
        .meddle("INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 1)")
        .await;
    let before = place.content();
    assert!(before.iter().all(|(name, _)| !name.display().to_string().ends_with("-wal")), "{before:?}");

    let error = place.refusal(None).await;
    assert!(error.contains("newer version") && error.contains("9999"), "{error}");
    assert_eq!(place.content(), before);

    place.meddle("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    place.open().await;
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_untouched() {
    for content in
        ["this is a letter, not a database, and it is longer than a header ".repeat(20), String::new()]
    {
        let place = Place::new();
        fs::create_dir_all(place.file("")).unwrap();
        fs::write(place.file("keys.db"), &content).unwrap();
        if content.is_empty() {
            place.meddle("CREATE TABLE letters (text TEXT)").await;
        }
        let before = place.content();
        let error = place.refusal(None).await;
        assert!(error.contains("keys.db"), "{error}");
        assert_eq!(place.content(), before);
    }
}

#[tokio::test]
async fn a_wrong_master_key_is_refused_and_the_right_one_is_not() {
    let place = Place::new();
    place.open().await;
    let right = place.key_in_file();
    place.settled().await;
    let before = place.content();
    let error = place.refusal(Some(MasterKey::generate().unwrap())).await;
    assert!(error.contains("not the master key"), "{error}");
    assert_eq!(place.content(), before);
    capauth_store::open(&place.url(), Some(right)).await.unwrap();
}

#[tokio::test]
async fn a_missing_master_key_is_never_made_anew() {
    let place = Place::new();
    place.open().await;
    let key = place.key_in_file();
    place.settled().await;
    fs::remove_file(place.file("keys.db.master-key")).unwrap();
    let error = place.refusal(None).await;
    assert!(error.contains("missing") && error.contains("backup"), "{error}");
    assert!(!place.file("keys.db.master-key").exists());
    // Handed in, it is as good as in its file, and no file is made.
    capauth_store::open(&place.url(), Some(key)).await.unwrap();
    assert!(!place.file("keys.db.master-key").exists());
}

#[tokio::test]
async fn a_master_key_that_others_may_read_is_refused() {
    let place = Place::new();
    drop(place.open().await);
    let file = place.file("keys.db.master-key");
    for open_mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&file, fs::Permissions::from_mode(open_mode)).unwrap();
        let error = place.refusal(None).await;
        assert!(error.contains("chmod 600"), "{error}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    place.open().await;
}

#[tokio::test]
async fn a_master_key_file_with_something_else_in_it_is_refused() {
    let place = Place::new();
    drop(place.open().await);
    fs::write(place.file("keys.db.master-key"), "hunter2\n").unwrap();
    let error = place.refusal(None).await;
    assert!(error.contains("master-key holds no master key") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn several_that_start_at_once_share_one_database() {
    let place = Place::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = place.url();
        tasks.spawn(async move { capauth_store::open(&url, None).await.unwrap() });
    }
    let all = tasks.join_all().await;
    let checks: Vec<_> = all.iter().map(|stores| stores.master_key.check_value()).collect();
    assert!(checks.windows(2).all(|pair| pair[0] == pair[1]));
    all[0].keys.enroll(&new_key(&all[0], fingerprint(1)), &note()).await.unwrap();
    assert!(all[7].keys.find(&fingerprint(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn two_processes_that_write_wait_for_each_other() {
    let place = Place::new();
    let (here, there) = (place.open().await, place.open().await);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let stores = if n % 2 == 0 { here.clone() } else { there.clone() };
        tasks.spawn(async move {
            let answer = stores.keys.enroll(&new_key(&stores, fingerprint(n / 2)), &note()).await.unwrap();
            matches!(answer, Enrollment::Enrolled(_))
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|won| *won).count(), 20);
    assert_eq!(there.keys.count().await.unwrap(), 20);
}

/// Runs this very program again as another process, which is killed in the middle of its work.
#[tokio::test]
async fn what_was_answered_outlasts_a_kill() {
    let place = Place::new();
    if let Ok(url) = std::env::var("CAPAUTH_TEST_VICTIM") {
        let stores = capauth_store::open(&url, None).await.unwrap();
        stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
        stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
        stores.tokens.revoke_token(&[1; 32], NOW).await.unwrap();
        std::process::abort();
    }
    let victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "what_was_answered_outlasts_a_kill"])
        .env("CAPAUTH_TEST_VICTIM", place.url())
        .output()
        .unwrap();
    assert!(!victim.status.success());
    assert!(place.file("keys.db-wal").exists(), "it died without closing the database");

    let stores = place.open().await;
    let key = stores.keys.find(&fingerprint(1)).await.unwrap().unwrap();
    assert!(key.revoked.is_some());
    assert!(stores.tokens.is_token_revoked(&[1; 32]).await.unwrap());
    assert_eq!(feed_after(&stores, 0).await.len(), 3);
}

#[tokio::test]
async fn times_of_logins_are_written_without_being_asked() {
    let place = Place::new();
    let stores = place.open().await;
    stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    stores.keys.note_login(&fingerprint(1), NOW);
    written(&stores, Duration::from_secs(30)).await;
}

/// *Attack: logins by the thousand, to fill the memory before the next write.*
#[tokio::test]
async fn a_thousand_logins_are_written_at_once() {
    let place = Place::new();
    let stores = place.open().await;
    stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    stores.keys.note_login(&fingerprint(1), NOW);
    for n in 0..1_000_u16 {
        let unknown = [[9; 18].as_slice(), &n.to_be_bytes()].concat();
        stores.keys.note_login(&capauth_protocol::Fingerprint::from_bytes(&unknown).unwrap(), NOW);
    }
    written(&stores, Duration::from_millis(1_900)).await;
}

/// Waits until the first key's last login is in the database.
async fn written(stores: &Stores, within: Duration) {
    tokio::time::timeout(within, async {
        while stores.keys.find(&fingerprint(1)).await.unwrap().unwrap().last_auth.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the time is written");
}

#[tokio::test]
async fn many_logins_are_written_together() {
    let place = Place::new();
    let stores = place.open().await;
    for n in 0..40 {
        stores.keys.enroll(&new_key(&stores, fingerprint(n)), &note()).await.unwrap();
    }
    for n in 0..40 {
        stores.keys.note_login(&fingerprint(n), NOW.plus(u64::from(n)));
    }
    stores.keys.flush().await.unwrap();
    for n in 0..40 {
        let key = stores.keys.find(&fingerprint(n)).await.unwrap().unwrap();
        assert_eq!(key.last_auth, Some(NOW.plus(u64::from(n))));
    }
}

#[tokio::test]
async fn erased_data_lies_in_no_file() {
    let place = Place::new();
    let stores = place.open().await;
    let found = |marker: &[u8]| {
        let holds = |content: &[u8]| content.windows(marker.len()).any(|window| window == marker);
        place.content().iter().any(|(_, content)| holds(content))
    };
    for n in 71..90 {
        let mut key = new_key(&stores, fingerprint(n));
        key.signing_keys = format!("MARKER-{n}-").repeat(700).into_bytes();
        stores.keys.enroll(&key, &note()).await.unwrap();
    }
    stores.keys.set_groups(&fingerprint(77), &["MARKER-GROUP".to_owned()], &note()).await.unwrap();
    assert!(found(b"MARKER-77-") && found(b"MARKER-GROUP"));
    assert!(stores.keys.erase(&fingerprint(77), &|_| [0; 32], false, &note()).await.unwrap());
    assert!(!found(b"MARKER-77-") && !found(b"MARKER-GROUP"));
    assert!(found(b"MARKER-78-"));

    // The feed still tells of the key, until everybody has heard.
    assert!(found(&[77; 20]));
    stores.tokens.forget_expired(NOW).await.unwrap();
    let tells =
        |told: &Revocation| matches!(told, Revocation::Generation { sub, .. } if *sub == fingerprint(77));
    assert!(feed_after(&stores, 0).await.iter().any(tells));
    stores.tokens.forget_expired(NOW.plus(32 * 24 * 3600)).await.unwrap();
    assert!(feed_after(&stores, 0).await.is_empty());
    drop(stores);
    place.settled().await;
    assert!(!found(&[77; 20]));
}

/// *Attack: a token of an erased identity, shown again after its key enrolled anew.*
#[tokio::test]
async fn an_identity_that_enrols_again_begins_after_its_old_tokens() {
    let place = Place::new();
    let stores = place.open().await;
    let enroll = async || match stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap()
    {
        Enrollment::Enrolled(key) => key,
        other => panic!("{other:?}"),
    };
    let first = enroll().await;
    stores.keys.erase(&fingerprint(1), &|_| [0; 32], false, &note()).await.unwrap();
    let second = enroll().await;
    assert!(second.identity.generation > first.identity.generation);
    assert_ne!(second.revision, first.revision);
    let told = Revocation::Generation { sub: fingerprint(1), generation: second.identity.generation };
    assert!(feed_after(&stores, 0).await.contains(&told));
}

/// *Attack: a rotated-away key enrols anew to become the identity that once had its fingerprint for a `sub`.*
#[tokio::test]
async fn a_sub_is_never_given_twice() {
    let place = Place::new();
    let stores = place.open().await;
    stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    place.meddle("UPDATE keys SET fingerprint = x'0202020202020202020202020202020202020202'").await;
    let answer = stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    assert_eq!(answer, Enrollment::Tombstone);
    let tombstone = |fingerprint: &_| stores.master_key.tombstone(fingerprint);
    assert!(stores.keys.erase(&fingerprint(2), &tombstone, false, &note()).await.unwrap());
    let answer = stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    assert_eq!(answer, Enrollment::Tombstone);
    let answer = stores.keys.enroll(&new_key(&stores, fingerprint(2)), &note()).await.unwrap();
    assert!(matches!(answer, Enrollment::Enrolled(_)));
}

#[tokio::test]
async fn a_suspended_identity_leaves_a_tombstone() {
    let place = Place::new();
    let stores = place.open().await;
    stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    place.meddle("UPDATE identities SET suspended = 1").await;
    assert!(stores.keys.find(&fingerprint(1)).await.unwrap().unwrap().identity.suspended);
    let tombstone = stores.master_key.tombstone(&fingerprint(1));
    assert!(stores.keys.erase(&fingerprint(1), &|_| tombstone, false, &note()).await.unwrap());
    let answer = stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    assert_eq!(answer, Enrollment::Tombstone);
}

#[tokio::test]
async fn a_store_recovers_from_a_failure() {
    let place = Place::new();
    let stores = place.open().await;
    place.meddle("ALTER TABLE keys RENAME TO lost").await;
    assert!(stores.keys.find(&fingerprint(1)).await.is_err());
    assert!(stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.is_err());
    place.meddle("ALTER TABLE lost RENAME TO keys").await;
    stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    assert!(stores.keys.find(&fingerprint(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn an_abandoned_write_leaves_nothing_half_done() {
    let place = Place::new();
    let stores = place.open().await;
    for n in 0..50 {
        let (stores, key) = (stores.clone(), new_key(&stores, fingerprint(n)));
        let task = tokio::spawn(async move { drop(stores.keys.enroll(&key, &note()).await) });
        for _ in 0..n {
            tokio::task::yield_now().await;
        }
        task.abort();
        let _ = task.await;
    }
    // Waits for whatever the last of them left the writer to do: a commit that nobody hears of may still be one.
    stores.keys.enroll(&new_key(&stores, fingerprint(99)), &note()).await.unwrap();
    assert!(stores.keys.find(&fingerprint(99)).await.unwrap().is_some());
    let query = capauth_verifier::KeyQuery { limit: 100, ..Default::default() };
    let listed = stores.keys.list(&query).await.unwrap().len() as u64;
    assert_eq!(stores.keys.count().await.unwrap(), listed);
}

#[tokio::test]
async fn the_master_key_can_be_replaced_and_everything_sealed_stays_good() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("keys.db").display());
    let [first, second] = [(); 2].map(|()| MasterKey::generate().unwrap());
    let secret = capauth_store::open(&url, Some(first.clone())).await.unwrap().master_key.check_value();
    // The new key alone is a wrong key; with the old one beside it, it takes over.
    assert!(capauth_store::open(&url, Some(second.clone())).await.is_err());
    let replaced = capauth_store::open(&url, Some(second.clone().replacing(&first))).await.unwrap();
    assert_eq!(replaced.master_key.check_value(), secret);
    drop(replaced);
    assert_eq!(capauth_store::open(&url, Some(second)).await.unwrap().master_key.check_value(), secret);
    assert!(capauth_store::open(&url, Some(first)).await.is_err());
}

#[tokio::test]
async fn a_look_reads_what_is_there_and_leaves_it_alone() {
    let place = Place::new();
    let look = |key| async { capauth_store::look(&place.url(), key).await };
    assert!(look(None).await.unwrap().is_none());
    assert!(!place.file("").exists(), "nothing is made");

    let stores = place.open().await;
    let key = new_key(&stores, fingerprint(1));
    stores.keys.enroll(&key, &note()).await.unwrap();
    // Beside whoever has it open, and alone.
    for alone in [false, true] {
        if alone {
            stores.keys.flush().await.unwrap();
        }
        let Some(Looked::Open(read)) = look(None).await.unwrap() else { panic!("it is there") };
        assert!(read.keys.find(&key.fingerprint).await.unwrap().is_some());
        assert!(read.keys.revoke(&key.fingerprint, &note()).await.is_err(), "it only reads");
        assert!(stores.keys.find(&key.fingerprint).await.unwrap().unwrap().revoked.is_none());
    }
    drop(stores);
    place.settled().await;
    let before = place.content();
    assert!(look(Some(MasterKey::generate().unwrap())).await.unwrap_err().to_string().contains("master key"));
    assert!(matches!(look(None).await.unwrap(), Some(Looked::Open(_))));
    assert_eq!(place.content(), before);
}

#[tokio::test]
async fn a_program_beside_the_service_opens_only_what_is_there() {
    let place = Place::new();
    let open = || async { capauth_store::open_existing(&place.url(), None).await };
    assert!(open().await.unwrap_err().to_string().contains("no database"));
    assert!(!place.file("").exists(), "nothing is made");
    let service = place.open().await;
    let beside = open().await.unwrap();
    let key = new_key(&service, fingerprint(1));
    service.keys.enroll(&key, &note()).await.unwrap();
    assert!(beside.keys.revoke(&key.fingerprint, &note()).await.unwrap());
    assert!(service.keys.find(&key.fingerprint).await.unwrap().unwrap().revoked.is_some());
    assert!(capauth_store::open_existing("memory:", None).await.is_err());
    drop((service, beside));
    place.meddle("UPDATE installation SET sealed_secret = NULL").await;
    assert!(open().await.unwrap_err().to_string().contains("older version"));
}
