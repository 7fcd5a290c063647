//! A database in a folder, and what is done to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use capauth_store::{BackupInfo, Carried, CarriedOver, OpenError, Replace, Restored};
use capauth_verifier::{MasterKey, SessionEntry, Stores, Timestamp};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::helpers::{NOW, fingerprint, new_key, note};

pub(crate) const LATER: Timestamp = Timestamp::from_unix(1_771_999_999);

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) key: MasterKey,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), key: MasterKey::generate().unwrap() }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}", self.file("keys.db").display())
    }

    pub(crate) async fn open(&self) -> Stores {
        capauth_store::open(&self.url(), Some(self.key.clone())).await.unwrap()
    }

    pub(crate) async fn backup(&self, name: &str) -> BackupInfo {
        self.try_backup(name).await.unwrap()
    }

    pub(crate) async fn try_backup(&self, name: &str) -> Result<BackupInfo, OpenError> {
        let (key, file) = (Some(self.key.clone()), self.file(name));
        capauth_store::backup(&self.url(), key, &file, "auth.example.com", NOW).await
    }

    pub(crate) async fn try_restore(&self, name: &str, replace: bool) -> Result<Restored, OpenError> {
        self.restore_as(name, if replace { Replace::CarryingOver } else { Replace::Never }).await
    }

    pub(crate) async fn restore_as(&self, name: &str, replace: Replace) -> Result<Restored, OpenError> {
        let key = Some(self.key.clone());
        capauth_store::restore(&self.url(), key, &self.file(name), replace, LATER).await
    }

    /// Replaces the database; the stores that were open are dropped, and let go of their files on threads of their own.
    pub(crate) async fn restore(&self, name: &str) -> Restored {
        self.settled().await;
        self.try_restore(name, true).await.unwrap()
    }

    /// Why nothing is restored; and nothing is changed.
    pub(crate) async fn refusal(&self, name: &str, replace: bool) -> String {
        let before = self.content();
        let error = self.try_restore(name, replace).await.unwrap_err().to_string();
        assert_eq!(names(&before), names(&self.content()), "{error}");
        assert!(before == self.content(), "{error}");
        error
    }

    pub(crate) fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.filter(|file| !file.ends_with("keys.db.lock")).collect();
        files.sort();
        files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap_or_default())).collect()
    }

    pub(crate) async fn settled(&self) {
        for tries in 1_u32.. {
            if !self.file("keys.db-wal").exists() {
                return;
            }
            assert!(tries < 10_000, "the store does not let go of its files");
            tokio::time::sleep(Duration::from_millis(5)).await;
            // Connections that are closed at the same moment each leave the file to the other.
            if tries.is_multiple_of(100) {
                self.sql("keys.db", "PRAGMA user_version").await;
            }
        }
    }

    pub(crate) async fn sql(&self, name: &str, statement: &'static str) {
        let mut connection = self.connect(name).await;
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    pub(crate) async fn connect(&self, name: &str) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.file(name)).connect().await.unwrap()
    }

    /// A backup that somebody changed who knows the installation's secret, to get past the hash at its end.
    pub(crate) async fn forge(&self, name: &str, stores: &Stores, statement: &'static str) {
        let file = self.file(name);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() - 32]).unwrap();
        self.sql(name, statement).await;
        let mut changed = fs::read(&file).unwrap();
        let tag = stores.master_key.keyed_hash("backup", &Sha256::digest(&changed));
        changed.extend_from_slice(&tag);
        fs::write(&file, changed).unwrap();
    }
}

pub(crate) fn names(files: &[(PathBuf, Vec<u8>)]) -> Vec<&Path> {
    files.iter().map(|(name, _)| name.as_path()).collect()
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(crate) async fn enroll(stores: &Stores, byte: u8) {
    stores.keys.enroll(&new_key(stores, fingerprint(byte)), &note()).await.unwrap();
}

pub(crate) async fn epoch(stores: &Stores) -> u64 {
    stores.tokens.installation().await.unwrap().epoch
}

pub(crate) fn over(restored: &Restored) -> CarriedOver {
    match &restored.carried {
        Carried::Over(over) => *over,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn session(byte: u8) -> SessionEntry {
    SessionEntry {
        jti_hash: [byte; 32],
        sub: fingerprint(byte),
        service: "app".to_owned(),
        generation: 0,
        created_at: NOW,
        last_seen: NOW,
        expires: NOW.plus(1_000_000_000),
    }
}
