//! The stores on SQLite.
//!
//! One connection writes, in `IMMEDIATE` transactions and one after the other, so that nothing in this process ever
//! waits for a database lock; a few others read. Every commit is on the disk when it answers.

mod audit;
mod backup;
mod carrying;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::string_slice)]
mod counted;
mod due;
mod enrolling;
mod erasing;
mod file;
mod identities;
mod import;
mod keys;
mod lanes;
mod linking;
mod logins;
mod look;
mod partial;
mod presence;
mod python;
mod restore;
mod rotating;
mod rows;
mod sessions;
mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capauth_verifier::memory::MemoryChallengeStore;
use capauth_verifier::{MasterKey, Stores};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};

use self::file::OpenedFile;
use self::lanes::{Lane, Readers};
use self::logins::Logins;
use self::presence::{Lock, Presence, Seat};
use crate::Looked;
use crate::error::OpenError;
use crate::place::master_key_file;
use crate::private_file;

pub use self::backup::BackupInfo;
pub(crate) use self::backup::backup;
pub use self::carrying::{Carried, CarriedOver};
pub use self::import::{Import, ImportedKey, Outcome};
pub use self::python::{PythonKey, PythonKeys};
pub(crate) use self::restore::restore;
pub use self::restore::{Replace, Restored};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// How long another process may hold the database before a call gives up.
const BUSY: Duration = Duration::from_secs(5);

/// How many connections read. Each costs a thread and at most its page cache.
const READERS: usize = 4;

/// A connection's page cache, in KiB (negative: that is how SQLite tells KiB from pages).
const PAGE_CACHE: &str = "-2048";

/// The database: what the key store and the token store share.
pub(crate) struct Database {
    writer: Lane,
    readers: Readers,
    logins: Arc<Logins>,
    file: OpenedFile,
    /// Whether erased data may still lie in the write-ahead log.
    truncate_due: AtomicBool,
    /// By which a backup asks for what waits, and which keeps a restore away. None where nothing is written.
    presence: Option<Presence>,
}

/// Opens the stores at `path`, and makes them if they are not there.
pub(crate) async fn open(path: &Path, master_key: Option<MasterKey>) -> Result<Stores, OpenError> {
    let (database, secret) = open_database(path, master_key).await?;
    Ok(stores(database, secret, path))
}

/// A database as every store that there is; challenges wait in memory.
fn stores(database: Arc<Database>, secret: MasterKey, path: &Path) -> Stores {
    Stores::new(
        Arc::clone(&database) as _,
        Arc::clone(&database) as _,
        database,
        Arc::new(MemoryChallengeStore::default()),
        secret,
        path.display().to_string(),
    )
}

/// Opens the stores of a database that is there and up to date; makes and changes nothing else.
pub(crate) async fn open_existing(path: &Path, master_key: Option<MasterKey>) -> Result<Stores, OpenError> {
    match look::at(path, newest_migration()).await? {
        Some(found) if found.schema == newest_migration() && found.sealed.is_some() => {
            open(path, master_key).await
        }
        Some(_) => Err(OpenError::new(format!(
            "{} was written by an older version of CapAuth; start the service of this version once, which brings it up \
             to date",
            path.display()
        ))),
        None => Err(OpenError::new(format!(
            "there is no database at {}; the service makes it at its first start",
            path.display()
        ))),
    }
}

/// Opens the stores of a database to read them. `None`: there is none.
pub(crate) async fn look(path: &Path, master_key: Option<MasterKey>) -> Result<Option<Looked>, OpenError> {
    let Some(found) = look::at(path, newest_migration()).await? else {
        if master_key.is_none() {
            // One that lies there already has to be one.
            private_file::read_master_key(&master_key_file(path)).await?;
        }
        return Ok(None);
    };
    let Some(sealed) = found.sealed else { return Ok(Some(Looked::Older)) };
    let master_key = match master_key {
        Some(key) => key,
        None => private_file::master_key(&master_key_file(path), true).await?,
    };
    let secret = master_key.unwrap(&sealed).map_err(|_| wrong_master_key(path))?.secret;
    if found.schema != newest_migration() {
        return Ok(Some(Looked::Older));
    }
    let words =
        |e: sqlx::Error| OpenError::because(format!("cannot read the database {}: {e}", path.display()), e);
    // As in `look::at`: without a log nobody else is at it, and SQLite is to make no files.
    let alone = !crate::place::with_suffix(path, "-wal").exists();
    let options = options(path).read_only(true).immutable(alone);
    let database = Arc::new(Database {
        writer: Lane::new(options.clone(), options.connect().await.map_err(words)?),
        readers: Readers::connect(&options, 1).await.map_err(words)?,
        logins: Arc::default(),
        file: OpenedFile::at(path).map_err(|e| words(e.into()))?,
        truncate_due: AtomicBool::new(false),
        presence: None,
    });
    Ok(Some(Looked::Open(stores(database, secret, path))))
}

/// The database, and the installation's secret that lies in it.
async fn open_database(
    path: &Path,
    master_key: Option<MasterKey>,
) -> Result<(Arc<Database>, MasterKey), OpenError> {
    // What is refused is left as it is, without so much as a lock beside it.
    look::at(path, newest_migration()).await?;
    private_file::make_folder_of(path)?;
    let lock = Lock::shared(path)?;
    // What was there before the lock may have been replaced since.
    let sealed = look::at(path, newest_migration()).await?.and_then(|found| found.sealed);
    let master_key = match master_key {
        Some(key) => key,
        None => private_file::master_key(&master_key_file(path), sealed.is_some()).await?,
    };
    // Before anything is written: with a wrong key nothing is touched.
    if sealed.is_some_and(|sealed| master_key.unwrap(&sealed).is_err()) {
        return Err(wrong_master_key(path));
    }
    // Made here and not by SQLite, which asks the umask for the mode; its journals take the mode of this file, and its
    // owner.
    if private_file::create_for_owner_of(path, path)?.is_some() {
        private_file::sync_folder_of(path);
    }

    let words =
        |e: sqlx::Error| OpenError::because(format!("cannot open the database {}: {e}", path.display()), e);
    let mut writer = write_options(path).connect().await.map_err(words)?;
    migrate(&mut writer, path).await?;
    let secret = installation_secret(&mut writer, &master_key, path).await?;
    let database = Arc::new(Database {
        writer: Lane::new(write_options(path), writer),
        readers: Readers::connect(&read_options(path), READERS).await.map_err(words)?,
        logins: Arc::default(),
        file: OpenedFile::at(path).map_err(|e| words(e.into()))?,
        truncate_due: AtomicBool::new(false),
        presence: Some(Presence { seat: Seat::take(path)?, _lock: lock }),
    });
    logins::spawn_writer(&database);
    presence::spawn_listener(&database);
    Ok((database, secret))
}

/// The secret from which everything is derived: made at the first start, and sealed anew when the master key was
/// replaced.
async fn installation_secret(
    writer: &mut SqliteConnection,
    master_key: &MasterKey,
    path: &Path,
) -> Result<MasterKey, OpenError> {
    let words =
        |e: sqlx::Error| OpenError::because(format!("cannot open the database {}: {e}", path.display()), e);
    let random = |e: String| OpenError::because("the operating system gives no randomness for a secret", e);
    let made = MasterKey::generate().map_err(|e| random(e.to_string()))?;
    let made = master_key.wrap(&made).map_err(|e| random(e.to_string()))?;
    // Another process that starts at the same time may be faster; then its secret is the one.
    let sealed = tokens::sealed_secret(writer, &made).await.map_err(words)?;
    let found = master_key.unwrap(&sealed).map_err(|_| wrong_master_key(path))?;
    if found.by_old_key {
        let sealed_anew = master_key.wrap(&found.secret).map_err(|e| random(e.to_string()))?;
        tokens::replace_sealed_secret(writer, &sealed, &sealed_anew).await.map_err(words)?;
    }
    tokens::set_master_key_check(writer, &found.secret.check_value()).await.map_err(words)?;
    Ok(found.secret)
}

fn wrong_master_key(path: &Path) -> OpenError {
    OpenError::new(format!(
        "this is not the master key that {} was made with; use the one it was made with (CAPAUTH_MASTER_KEY, or {}), \
         or name that one in CAPAUTH_MASTER_KEY_OLD to replace it",
        path.display(),
        master_key_file(path).display()
    ))
}

/// The options that all connections share. Nothing logs statements: they would show what somebody does.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .pragma("cache_size", PAGE_CACHE)
        .thread_name(|n| format!("capauth-sqlite-{n}"))
        .disable_statement_logging()
}

/// For a file that somebody else may have written: its schema calls nothing that could do harm, and no page is believed
/// before it was looked at.
fn foreign_options(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("trusted_schema", "OFF").pragma("cell_size_check", "ON")
}

fn write_options(path: &Path) -> SqliteConnectOptions {
    options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
}

/// Not opened read-only: whichever connection closes last tidies the write-ahead log away, and must be able to.
fn read_options(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("query_only", "ON")
}

fn newest_migration() -> i64 {
    MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0)
}

/// Brings the schema up to date, all or nothing. Of several processes that start together one does it.
async fn migrate(writer: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let words = |e: sqlx::Error| {
        OpenError::because(format!("cannot bring the database {} up to date: {e}", path.display()), e)
    };
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(words)?;
    MIGRATOR.run_direct(None, &mut *transaction, false).await.map_err(|e| words(e.into()))?;
    transaction.commit().await.map_err(words)
}

impl Database {
    /// Empties the write-ahead log, so that nothing that was erased lies in it any longer.
    async fn truncate_log(&self, writer: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(writer).await?;
        let busy: i64 = row.try_get(0)?;
        self.truncate_due.store(busy != 0, Ordering::Release);
        Ok(())
    }
}
