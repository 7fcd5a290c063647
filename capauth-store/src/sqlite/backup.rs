//! Backups: one file that holds everything the database holds, taken while a service runs.
//!
//! The file is a SQLite database, and 32 bytes behind it: a keyed hash of the whole under the installation's secret. So
//! whoever can write to where backups lie, but has no master key, can neither change one nor make one up.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use capauth_verifier::{MasterKey, Timestamp};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};

use super::partial::Partial;
use super::presence::{self, Lock};
use super::rows::{self, seconds};
use super::{look, newest_migration, options, wrong_master_key};
use crate::error::OpenError;
use crate::place::master_key_file;
use crate::private_file;

/// Stands in the header of the file: `CAPB`.
pub(super) const APPLICATION_ID: i64 = 0x4341_5042;

/// The form of what a backup says of itself.
pub(super) const FORMAT: i64 = 1;

/// What the hash at the end is for.
const PURPOSE: &str = "backup";

/// How long the hash at the end is.
pub(super) const TAG: usize = 32;

/// How long a service may take to write what waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupInfo {
    /// When it was made.
    pub made_at: Timestamp,
    /// The name of the service, as it was configured.
    pub service: String,
    /// The version of the program that made it.
    pub program: String,
    /// The version of the schema.
    pub schema: u64,
    /// The installation's epoch when it was made. A restore never leaves it.
    pub epoch: u64,
    /// How many keys are in it.
    pub keys: u64,
    /// How large the file is, in bytes.
    pub bytes: u64,
}

/// Makes a backup of the database in a new file.
pub(crate) async fn backup(
    database: &Path,
    master_key: Option<MasterKey>,
    target: &Path,
    service: &str,
    now: Timestamp,
) -> Result<BackupInfo, OpenError> {
    let target = std::path::absolute(target).map_err(|_| OpenError::new("the current folder is gone"))?;
    if std::fs::symlink_metadata(&target).is_ok() {
        return Err(OpenError::new(format!(
            "{} is there already, and a backup never replaces a file; name another",
            target.display()
        )));
    }
    let secret = secret_of(database, master_key).await?;
    let _lock = Lock::shared(database)?;
    presence::ask_all(database, PATIENCE).await?;
    let partial = Partial::make(&target, ".partial")?;
    snapshot(database, partial.path()).await?;
    let mut info = describe(partial.path(), service, now).await?;
    let sealed = tokio::task::spawn_blocking(move || {
        let bytes = seal(&partial, &secret)?;
        partial.publish(&target)?;
        Ok::<_, OpenError>(bytes)
    });
    info.bytes = sealed.await.map_err(|e| OpenError::because("writing the backup came to nothing", e))??;
    Ok(info)
}

/// The installation's secret. To look for it now finds out in time that nobody could open the backup.
async fn secret_of(database: &Path, master_key: Option<MasterKey>) -> Result<MasterKey, OpenError> {
    let found = look::at(database, newest_migration()).await?;
    let Some(sealed) = found.and_then(|found| found.sealed) else {
        return Err(OpenError::new(format!(
            "there is no database of CapAuth's at {}, or nothing in it",
            database.display()
        )));
    };
    let master_key = match master_key {
        Some(key) => key,
        None => private_file::master_key(&master_key_file(database), true).await?,
    };
    Ok(master_key.unwrap(&sealed).map_err(|_| wrong_master_key(database))?.secret)
}

/// Copies what is committed now. Others read and write meanwhile; nothing of what was erased is copied.
async fn snapshot(database: &Path, partial: &Path) -> Result<(), OpenError> {
    let words = |e: sqlx::Error| {
        OpenError::because(format!("cannot copy {} to {}: {e}", database.display(), partial.display()), e)
    };
    let to = partial.to_str().ok_or_else(|| OpenError::new("the name of the backup is no text"))?;
    let mut connection = options(database).connect().await.map_err(words)?;
    let copied = sqlx::query("VACUUM INTO ?1").bind(to).execute(&mut connection).await;
    connection.close().await.map_err(words)?;
    copied.map(drop).map_err(words)
}

/// Writes into a backup what it is.
async fn describe(partial: &Path, service: &str, now: Timestamp) -> Result<BackupInfo, OpenError> {
    let words = |e: sqlx::Error| OpenError::because(format!("cannot write {}: {e}", partial.display()), e);
    // Should this be cut short, the file is never called a backup.
    let options = options(partial).journal_mode(SqliteJournalMode::Off).synchronous(SqliteSynchronous::Off);
    let mut connection = options.connect().await.map_err(words)?;
    let described = try_describe(&mut connection, service, now).await;
    connection.close().await.map_err(words)?;
    described.map_err(words)
}

async fn try_describe(
    connection: &mut SqliteConnection,
    service: &str,
    now: Timestamp,
) -> Result<BackupInfo, sqlx::Error> {
    sqlx::raw_sql(
        "CREATE TABLE backup (format INTEGER NOT NULL, made_at INTEGER NOT NULL, service TEXT NOT NULL, \
         program TEXT NOT NULL) STRICT",
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT INTO backup VALUES (?1, ?2, ?3, ?4)")
        .bind(FORMAT)
        .bind(seconds(now))
        .bind(service)
        .bind(env!("CARGO_PKG_VERSION"))
        .execute(&mut *connection)
        .await?;
    // The number of APPLICATION_ID: a pragma takes no parameters.
    sqlx::raw_sql("PRAGMA application_id = 0x43415042").execute(&mut *connection).await?;
    read_info(connection).await
}

/// Whether a database is a backup.
pub(super) async fn is_one(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(connection).await?;
    Ok(id == APPLICATION_ID)
}

/// What a backup says of itself; of its size it knows nothing.
pub(super) async fn read_info(connection: &mut SqliteConnection) -> Result<BackupInfo, sqlx::Error> {
    let row = sqlx::query(
        "SELECT b.made_at, b.service, b.program, (SELECT max(version) FROM _sqlx_migrations), i.epoch, \
         i.enrolled_keys FROM backup b, installation i",
    )
    .fetch_one(connection)
    .await?;
    Ok(BackupInfo {
        made_at: Timestamp::from_unix(rows::unsigned(&row, 0)?),
        service: row.try_get(1)?,
        program: row.try_get(2)?,
        schema: rows::unsigned(&row, 3)?,
        epoch: rows::unsigned(&row, 4)?,
        keys: rows::unsigned(&row, 5)?,
        bytes: 0,
    })
}

/// Puts the keyed hash behind everything, and answers how long the file is then.
fn seal(partial: &Partial, secret: &MasterKey) -> Result<u64, OpenError> {
    let failed = |e| partial.failed(e);
    // What SQLite wrote by its name is in this file and no other.
    partial.check()?;
    let mut file = partial.file();
    let mut digest = Sha256::new();
    let length = for_each_block(&mut file, |block| {
        digest.update(block);
        Ok(())
    })
    .map_err(failed)?;
    file.write_all(&tag(secret, &digest.finalize())).map_err(failed)?;
    partial.sync()?;
    Ok(length + TAG as u64)
}

/// The keyed hash of a backup with this SHA-256.
pub(super) fn tag(secret: &MasterKey, digest: &[u8]) -> [u8; TAG] {
    secret.keyed_hash(PURPOSE, digest)
}

/// Reads a file from its beginning to its end. Answers how long it is.
pub(super) fn for_each_block(
    file: &mut (impl Read + Seek),
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let (mut block, mut length) = (vec![0; 256 * 1024], 0);
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(length);
        }
        each(block.get(..read).unwrap_or_default())?;
        length += read as u64;
    }
}
