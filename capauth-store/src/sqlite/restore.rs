//! Putting a backup in a database's place.
//!
//! Everything is done to a copy beside the database, which then takes its name in one step: whenever this is cut
//! short, what stands there is the old database or the new one.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use capauth_verifier::{Actor, AuditEvent, MasterKey, Note, Timestamp};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use subtle::ConstantTimeEq as _;

use super::backup::{self, APPLICATION_ID, BackupInfo, FORMAT, TAG};
use super::carrying::Carried;
use super::look::{self, Seen};
use super::partial::Partial;
use super::presence::Lock;
use super::rows::seconds;
use super::{audit, carrying, foreign_options, migrate, newest_migration, options, rotating};
use crate::error::OpenError;
use crate::place::{master_key_file, with_suffix};
use crate::private_file;

/// How long the header of a SQLite file is.
const HEADER: usize = 100;

/// How long a write-ahead log is that holds nothing.
const WAL_HEADER: u64 = 32;

/// What came of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup says of itself.
    pub backup: BackupInfo,
    /// The installation's new epoch. No token and no session was ever made in it.
    pub epoch: u64,
    /// Where the replaced database is now, if there was one.
    pub kept: Option<PathBuf>,
    /// What was carried over from it. Without one: that there was none.
    pub carried: Carried,
}

/// What a restore may do where a database is already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Nothing.
    Never,
    /// Replace it, if what it knows of revoked, erased, suspended and unlinked keys can be carried over.
    CarryingOver,
    /// Replace it, also if nothing can be carried over: keys that were revoked since the backup sign in again.
    LosingRevocations,
}

/// Puts a backup in the place of the database, or where there is none yet.
pub(crate) async fn restore(
    database: &Path,
    master_key: Option<MasterKey>,
    source: &Path,
    replace: Replace,
    now: Timestamp,
) -> Result<Restored, OpenError> {
    let (source_file, length) = open_backup(source)?;
    private_file::make_folder_of(database)?;
    let _lock = Lock::alone(database)?;
    let there = is_there(database)?;
    if there && replace == Replace::Never {
        return Err(OpenError::new(format!(
            "there is a database at {} already; with --force it is replaced, and kept under another name. Nothing was \
             changed",
            database.display()
        )));
    }
    let copy = Partial::make(database, ".restoring")?;
    private_file::give_to_owner_of(database, copy.file(), copy.path())?;
    let copied =
        tokio::task::spawn_blocking(move || copy_in(source_file, length, &copy).map(|tag| (copy, tag)));
    let (copy, tags) =
        copied.await.map_err(|e| OpenError::because("reading the backup came to nothing", e))??;
    let secret = examine(copy.path(), source, master_key, database).await?;
    if !bool::from(backup::tag(&secret, &tags.digest).ct_eq(&tags.found)) {
        return Err(OpenError::new(format!(
            "{} is damaged, or was changed by somebody who does not have the master key. Nothing was changed",
            source.display()
        )));
    }
    let (mut info, epoch, carried) = prepare(copy.path(), there.then_some(database), &secret, now).await?;
    info.bytes = length;
    if replace != Replace::LosingRevocations {
        refuse_to_lose(&carried, database)?;
    }
    copy.sync()?;
    let kept = if there { keep(database, now)? } else { None };
    // A log of the old database would be read into the new one.
    for suffix in ["-wal", "-shm", "-journal"] {
        remove_if_there(&with_suffix(database, suffix))?;
    }
    private_file::sync_folder_of(database);
    copy.replace(database)?;
    Ok(Restored { backup: info, epoch, kept, carried })
}

/// That nothing can be carried over may be what somebody wants who damaged the database: it takes a word more.
fn refuse_to_lose(carried: &Carried, database: &Path) -> Result<(), OpenError> {
    let why = match carried {
        Carried::NothingThere | Carried::Over(_) => return Ok(()),
        Carried::AnotherInstallation => "is another installation's".to_owned(),
        Carried::Unreadable(why) => format!("cannot be read ({why})"),
    };
    Err(OpenError::new(format!(
        "the database at {} {why}: whoever was revoked, suspended, unlinked or barred since the backup would sign in again. \
         With --accept-lost-revocations it is replaced all the same. Nothing was changed",
        database.display()
    )))
}

/// Opens a backup, if what can be seen of it from outside is right. Answers how long it is.
fn open_backup(path: &Path) -> Result<(File, u64), OpenError> {
    let cannot = |e: std::io::Error| OpenError::because(format!("cannot read {}: {e}", path.display()), e);
    let no_backup = |why: &str| {
        OpenError::new(format!("{} is no backup of CapAuth's: {why}. Nothing was changed", path.display()))
    };
    // Asked before it is opened: a pipe would keep us waiting.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(no_backup("it is no file"));
    }
    let mut file = File::open(path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    let mut header = [0; HEADER];
    let read = std::io::Read::read_exact(&mut file, &mut header);
    let field = |from: usize, bytes: usize| {
        let field = header.get(from..from + bytes).unwrap_or_default();
        field.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    if read.is_err()
        || !header.starts_with(b"SQLite format 3\0")
        || field(68, 4) != APPLICATION_ID.unsigned_abs()
    {
        return Err(no_backup("`capauth-service backup` makes them"));
    }
    let page = if field(16, 2) == 1 { 65_536 } else { field(16, 2) };
    let whole = page.saturating_mul(field(28, 4)).saturating_add(TAG as u64);
    if length != whole {
        return Err(OpenError::new(format!(
            "{} is not whole: it has {length} bytes and should have {whole}. Nothing was changed",
            path.display()
        )));
    }
    Ok((file, length))
}

struct Tags {
    digest: [u8; 32],
    found: [u8; TAG],
}

/// Copies all but the keyed hash at the end. What is examined from now on is the copy: whoever changes the backup
/// meanwhile changes nothing.
fn copy_in(mut source: File, length: u64, copy: &Partial) -> Result<Tags, OpenError> {
    let mut left = length.saturating_sub(TAG as u64);
    let (mut digest, mut found) = (Sha256::new(), Vec::new());
    let mut to = copy.file();
    backup::for_each_block(&mut source, |block| {
        let (body, tag) = block.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(block.len()));
        left -= body.len() as u64;
        digest.update(body);
        found.extend_from_slice(tag.get(..tag.len().min(TAG + 1)).unwrap_or_default());
        to.write_all(body)
    })
    .map_err(|e| copy.failed(e))?;
    to.seek(SeekFrom::Start(0)).map_err(|e| copy.failed(e))?;
    let changed = || OpenError::new("the backup changed while it was read. Nothing was changed here");
    let found = found.try_into().map_err(|_| changed())?;
    Ok(Tags { digest: digest.finalize().into(), found })
}

/// The secret that lies in the backup. No more is read of it than that needs: until the hash was found good, anybody may
/// have made the file.
async fn examine(
    copy: &Path,
    source: &Path,
    master_key: Option<MasterKey>,
    database: &Path,
) -> Result<MasterKey, OpenError> {
    let words = |e: sqlx::Error| unreadable(source, e);
    let mut connection =
        foreign_options(copy).read_only(true).immutable(true).connect().await.map_err(words)?;
    let found = try_examine(&mut connection).await;
    connection.close().await.map_err(words)?;
    let sealed = match found.map_err(words)? {
        Found::Newer(version) => {
            return Err(OpenError::new(format!(
                "{} was made by a newer version of CapAuth ({version}); restore it with that version, or a later one. \
                 Nothing was changed",
                source.display()
            )));
        }
        Found::Ours(sealed) => sealed,
    };
    let master_key = match master_key {
        Some(key) => key,
        None => private_file::master_key(&master_key_file(database), true).await?,
    };
    let secret = master_key.unwrap(&sealed).map_err(|_| {
        OpenError::new(format!(
            "this is not the master key that the backup was made with: give the right one by CAPAUTH_MASTER_KEY, or put \
             its file at {}. Nothing was changed",
            master_key_file(database).display()
        ))
    })?;
    Ok(secret.secret)
}

fn unreadable(path: &Path, error: sqlx::Error) -> OpenError {
    OpenError::because(format!("cannot read {}: {error}. Nothing was changed", path.display()), error)
}

enum Found {
    /// The sealed secret.
    Ours(Vec<u8>),
    /// In words for a person.
    Newer(String),
}

async fn try_examine(connection: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    look::limit_steps(connection).await?;
    for table in ["backup", "installation", "_sqlx_migrations"] {
        if !look::is_plain_table(connection, table).await? {
            return Err(sqlx::Error::RowNotFound);
        }
    }
    let format: i64 = sqlx::query_scalar("SELECT format FROM backup").fetch_one(&mut *connection).await?;
    if format > FORMAT {
        return Ok(Found::Newer(format!("form {format}, this version knows {FORMAT}")));
    }
    match look::examine(connection).await? {
        Seen::Version(version, _) if version > newest_migration() => {
            Ok(Found::Newer(format!("schema {version}, this version knows {}", newest_migration())))
        }
        Seen::Version(_, Some(sealed)) => Ok(Found::Ours(sealed)),
        Seen::Version(_, None) | Seen::Nothing | Seen::Backup | Seen::Python | Seen::SomethingElse => {
            Err(sqlx::Error::RowNotFound)
        }
    }
}

/// Makes a database of the copy: checked, up to date, with what must not be lost, and with everything ended that was
/// given out before.
async fn prepare(
    copy: &Path,
    old: Option<&Path>,
    secret: &MasterKey,
    now: Timestamp,
) -> Result<(BackupInfo, u64, Carried), OpenError> {
    let words = |e: sqlx::Error| OpenError::because(format!("cannot prepare {}: {e}", copy.display()), e);
    let mut connection = prepare_options(copy).connect().await.map_err(words)?;
    check(&mut connection).await?;
    let info = backup::read_info(&mut connection).await.map_err(words)?;
    sqlx::raw_sql("DROP TABLE backup; PRAGMA application_id = 0")
        .execute(&mut connection)
        .await
        .map_err(words)?;
    migrate(&mut connection, copy).await?;
    let note = Note::new(now, Actor::Shell);
    // Before anything is written that has a number.
    number_on(&mut connection, now).await.map_err(words)?;
    let carried = match old {
        Some(old) => carrying::carry_over(&mut connection, old, secret, &note).await?,
        None => Carried::NothingThere,
    };
    let old_epoch = match &carried {
        Carried::Over(over) => Some(over.epoch),
        Carried::NothingThere | Carried::Unreadable(_) | Carried::AnotherInstallation => None,
    };
    let epoch = end_everything(&mut connection, old_epoch, &note).await.map_err(words)?;
    connection.close().await.map_err(words)?;
    Ok((info, epoch, carried))
}

/// A journal that is gone when the work is done, so that the file is everything there is.
fn prepare_options(copy: &Path) -> SqliteConnectOptions {
    options(copy)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
}

/// The hash says that it is what was backed up; this, that what was backed up is sound.
async fn check(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let words = |e: sqlx::Error| OpenError::because(format!("cannot check the backup: {e}"), e);
    let found: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check(3)").fetch_all(&mut *connection).await.map_err(words)?;
    let strays = sqlx::query("PRAGMA foreign_key_check").fetch_all(connection).await.map_err(words)?;
    if found != ["ok"] || !strays.is_empty() {
        return Err(OpenError::new(
            "the database was damaged when this backup was made; take an older backup. Nothing was changed",
        ));
    }
    Ok(())
}

/// Ends what was given out before, and what could be used twice. Answers the new epoch.
async fn end_everything(
    connection: &mut SqliteConnection,
    old_epoch: Option<u64>,
    note: &Note,
) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Sessions, refresh tokens and one-time codes that were used or ended since would be good again. The keys that
    // sign tokens go for those who look at nothing but the signature.
    sqlx::raw_sql(
        "DELETE FROM sessions; DELETE FROM refresh_families; DELETE FROM enrollment_codes; DELETE FROM token_keys",
    )
    .execute(&mut *transaction)
    .await?;
    // A rotation that was cancelled since would come due by itself, and hand the identity to whoever asked for it.
    let waiting: Vec<i64> =
        sqlx::query_scalar("SELECT identity_id FROM waiting_rotations").fetch_all(&mut *transaction).await?;
    for identity in waiting {
        rotating::cancel_for(&mut transaction, identity, note).await?;
    }
    let epoch = new_epoch(&mut transaction, old_epoch).await?;
    audit::write(&mut transaction, AuditEvent::Restored, None, note).await?;
    transaction.commit().await?;
    u64::try_from(epoch).map_err(|_| super::rows::damaged("the epoch"))
}

/// Lets the audit log and the feed number on from where no number was ever given: whoever has read up to some number,
/// such as the file that the log goes to as well, would else miss what gets a smaller one now.
///
/// A million numbers for each second since 1970, which leaves two hundred years to the largest whole number that every
/// reader of JSON can tell from its neighbours.
async fn number_on(writer: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    let first = seconds(now).saturating_mul(1_000_000);
    for table in ["audit", "revocations"] {
        let known = sqlx::query("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1")
            .bind(table)
            .bind(first)
            .execute(&mut *writer)
            .await?;
        if known.rows_affected() == 0 {
            sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)")
                .bind(table)
                .bind(first)
                .execute(&mut *writer)
                .await?;
        }
    }
    Ok(())
}

/// Gives the installation an epoch that it never had.
///
/// Random, as the first one was, and not the next number. To count on from what is at hand gives the same number
/// whenever the same backup is restored again without the database it made: tokens that were issued after the first
/// time, and revoked since, would be good again after the second. A clock that is ahead once, or behind, does the
/// same. Two draws of 52 bits agree once in 4,500,000,000,000,000 restores.
async fn new_epoch(writer: &mut SqliteConnection, old: Option<u64>) -> Result<i64, sqlx::Error> {
    loop {
        let (before, after): (i64, i64) =
            sqlx::query_as("SELECT epoch, 1 + (random() & 0xFFFFFFFFFFFFF) FROM installation")
                .fetch_one(&mut *writer)
                .await?;
        if after != before && u64::try_from(after).ok() != old {
            sqlx::query("UPDATE installation SET epoch = ?1").bind(after).execute(writer).await?;
            return Ok(after);
        }
    }
}

fn is_there(database: &Path) -> Result<bool, OpenError> {
    let size = |path: &Path| match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(OpenError::new(format!("{} is a folder, not a database", path.display())))
        }
        Ok(found) if found.is_symlink() => {
            Err(OpenError::new(format!("{} is a link; name the file that it leads to", path.display())))
        }
        Ok(found) => Ok(found.len()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
        Err(e) => Err(OpenError::because(format!("cannot read {}: {e}", path.display()), e)),
    };
    Ok(size(database)? > 0 || size(&with_suffix(database, "-wal"))? > 0)
}

/// Gives the old database a second name, if it has a file. Its own name never stands for nothing.
fn keep(database: &Path, now: Timestamp) -> Result<Option<PathBuf>, OpenError> {
    refuse_if_log_is_left(database)?;
    let first = with_suffix(database, &format!(".replaced-{}", now.as_unix()));
    let mut kept = first.clone();
    loop {
        match private_file::second_name(database, &kept) {
            Ok(()) => return Ok(Some(kept)),
            // Whatever that is, it is not written to.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => kept = private_file::beside(&first, "")?,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                return Err(OpenError::because(
                    format!("cannot keep {} as {}: {e}", database.display(), kept.display()),
                    e,
                ));
            }
        }
    }
}

/// By now SQLite has written the old database's log into it, unless it could not. To go on then would be to leave the
/// old database for a moment without what was done last, such as revocations.
fn refuse_if_log_is_left(database: &Path) -> Result<(), OpenError> {
    for (suffix, header) in [("-wal", WAL_HEADER), ("-journal", 0)] {
        let log = with_suffix(database, suffix);
        let held = match std::fs::symlink_metadata(&log) {
            Ok(found) => !found.is_file() || found.len() > header,
            Err(e) if e.kind() == ErrorKind::NotFound => false,
            Err(e) => return Err(OpenError::because(format!("cannot read {}: {e}", log.display()), e)),
        };
        if held {
            return Err(OpenError::new(format!(
                "what lies in {} could not be written into the database that is there. To restore without it, move both \
                 away together. Nothing was changed",
                log.display()
            )));
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<(), OpenError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(OpenError::because(format!("cannot remove {}: {e}", path.display()), e))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_a_database_is_replaced_whose_log_holds_something() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("keys.db");
        std::fs::write(&database, "old").unwrap();
        for (suffix, log) in [("-wal", 33), ("-journal", 1)] {
            let file = with_suffix(&database, suffix);
            std::fs::write(&file, vec![7; log]).unwrap();
            let error = keep(&database, Timestamp::from_unix(1)).unwrap_err().to_string();
            assert!(error.contains(suffix) && error.contains("could not be written"), "{error}");
            assert!(!with_suffix(&database, ".replaced-1").exists(), "nothing is made");
            // No more than the header of one: nothing is in it.
            std::fs::write(&file, vec![7; log - 1]).unwrap();
        }
        let kept = keep(&database, Timestamp::from_unix(1)).unwrap().unwrap();
        assert_eq!(std::fs::read(kept).unwrap(), b"old");
    }
}
