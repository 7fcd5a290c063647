//! Carrying over from a database that is replaced what makes keys safer: a restore must not bring a thief back.
//!
//! Groups, names, approvals and erased people are not carried over. That somebody is missing in the database that is
//! replaced may be why it is replaced.

use std::path::Path;

use capauth_protocol::Fingerprint;
use capauth_verifier::openpgp::SigningKeys;
use capauth_verifier::{AuditEvent, MasterKey, Note, Unlink};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row};

use super::look::{self, Seen};
use super::partial::Partial;
use super::{audit, foreign_options, identities, keys, linking, migrate, newest_migration, rows};
use crate::error::OpenError;

/// What a restore carried over from the database that it replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Carried {
    /// There was none.
    NothingThere,
    /// It is another installation's, whose decisions mean nothing here.
    AnotherInstallation,
    /// It cannot be read, or by this version only. Why, in words.
    Unreadable(String),
    /// These decisions.
    Over(CarriedOver),
}

/// How many decisions of the replaced database count on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CarriedOver {
    /// Keys that were revoked since the backup, or erased and kept out.
    pub revoked: u64,
    /// Identities that were suspended since, or whose key was rotated away: they wait for an administrator.
    pub suspended: u64,
    /// Keys that were unlinked since.
    pub unlinked: u64,
    /// Keys of the replaced database that the backup does not have.
    pub lost: u64,
    /// The replaced database's epoch.
    pub(super) epoch: u64,
}

/// Carries over, all or nothing.
///
/// What is read is a copy, brought up to date and found sound before anything is written: so what goes wrong later is no
/// reason to believe that the old database cannot be read, and ends the restore.
///
/// # Errors
/// Somebody has the old database open; there is no room for the copy; or the new one cannot be written.
pub(super) async fn carry_over(
    connection: &mut SqliteConnection,
    old: &Path,
    secret: &MasterKey,
    note: &Note,
) -> Result<Carried, OpenError> {
    let cannot = |e: sqlx::Error| {
        OpenError::because(format!("cannot read {}: {e}. Nothing was changed", old.display()), e)
    };
    if std::fs::metadata(old).is_ok_and(|file| file.len() == 0) {
        // SQLite would make a database of it, and throw away what lies in its log.
        return Ok(Carried::Unreadable("it is empty".to_owned()));
    }
    let copy = Partial::make(old, ".carrying")?;
    match copy_to(old, copy.path()).await {
        Ok(()) => {}
        Err(e) if is_busy(&e) => {
            return Err(OpenError::because(
                format!("{} is in use by another program: end it first. Nothing was changed", old.display()),
                e,
            ));
        }
        Err(e) if is_its_own_fault(&e) => return Ok(unreadable(&e)),
        Err(e) => return Err(cannot(e)),
    }
    let mut reader = copy_options(copy.path()).connect().await.map_err(cannot)?;
    let good_for_nothing = match judge(&mut reader, secret).await {
        Ok(None) => migrate(&mut reader, old).await.map(|()| None),
        Ok(found) => Ok(found),
        Err(e) if is_its_own_fault(&e) => Ok(Some(unreadable(&e))),
        Err(e) => Err(cannot(e)),
    };
    reader.close().await.map_err(cannot)?;
    if let Some(found) = good_for_nothing? {
        return Ok(found);
    }
    let carried = attach_and_carry(connection, copy.path(), secret, note).await;
    // In vain if it was never attached.
    let _ = sqlx::raw_sql("DETACH DATABASE old").execute(connection).await;
    carried.map(Carried::Over).map_err(|e| {
        let words = format!("cannot carry over what {} knows: {e}. Nothing was changed", old.display());
        OpenError::because(words, e)
    })
}

/// Copies the old database as somebody who must be alone, which finds out whoever has it open, also by other programs
/// than ours. What lies in its log is in the copy, and in the database itself afterwards.
async fn copy_to(old: &Path, copy: &Path) -> Result<(), sqlx::Error> {
    let copy = copy.to_str().ok_or_else(|| sqlx::Error::Protocol("its name is no text".to_owned()))?;
    let alone = foreign_options(old).locking_mode(SqliteLockingMode::Exclusive);
    let mut connection = alone.connect().await?;
    let copied = async {
        // In this mode the lock stays.
        sqlx::raw_sql("BEGIN EXCLUSIVE; SELECT count(*) FROM sqlite_master; COMMIT")
            .execute(&mut connection)
            .await?;
        sqlx::query("VACUUM INTO ?1").bind(copy).execute(&mut connection).await.map(drop)
    }
    .await;
    let closed = connection.close().await;
    copied.and(closed)
}

/// Nobody needs the copy once the restore has ended, however it ends.
fn copy_options(copy: &Path) -> SqliteConnectOptions {
    foreign_options(copy).journal_mode(SqliteJournalMode::Delete).synchronous(SqliteSynchronous::Off)
}

/// Why a copy of the old database is good for nothing. `None`: it is good.
async fn judge(reader: &mut SqliteConnection, secret: &MasterKey) -> Result<Option<Carried>, sqlx::Error> {
    let newest = newest_migration();
    match look::examine(reader).await? {
        Seen::Version(version, _) if version > newest => {
            let words =
                format!("its schema is version {version}, and this program reads up to version {newest}");
            return Ok(Some(Carried::Unreadable(words)));
        }
        Seen::Version(..) => {}
        Seen::Nothing | Seen::Backup | Seen::Python | Seen::SomethingElse => {
            return Ok(Some(Carried::Unreadable("it is no database of CapAuth's".to_owned())));
        }
    }
    let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_all(&mut *reader).await?;
    if found != ["ok"] {
        return Ok(Some(Carried::Unreadable("it is damaged".to_owned())));
    }
    let check: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT master_key_check FROM installation").fetch_one(reader).await?;
    let is_ours = check.as_deref() == Some(&secret.check_value()[..]);
    Ok(if is_ours { None } else { Some(Carried::AnotherInstallation) })
}

async fn attach_and_carry(
    connection: &mut SqliteConnection,
    copy: &Path,
    secret: &MasterKey,
    note: &Note,
) -> Result<CarriedOver, sqlx::Error> {
    let path = copy.to_str().ok_or_else(|| sqlx::Error::Protocol("its name is no text".to_owned()))?;
    sqlx::query("ATTACH DATABASE ?1 AS old").bind(path).execute(&mut *connection).await?;
    try_carry(connection, secret, note).await
}

/// What SQLite answered, with whatever detail above the lowest byte.
fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn is_busy(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY and SQLITE_LOCKED.
    code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether what is in the database is at fault, or the disk it lies on; not the room for the copy, nor memory, nor
/// permissions: whoever has these set right loses nothing.
fn is_its_own_fault(error: &sqlx::Error) -> bool {
    match code(error) {
        // SQLITE_IOERR_READ, _SHORT_READ and _CORRUPTFS.
        Some(266 | 522 | 8458) => true,
        // SQLITE_ERROR (a table or column is missing), _CORRUPT, _CONSTRAINT, _NOTADB.
        Some(code) => matches!(code & 0xff, 1 | 11 | 19 | 26),
        None => matches!(
            error,
            sqlx::Error::RowNotFound | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }
        ),
    }
}

/// In words that hold no control characters: the file's own text may be among them.
fn unreadable(error: &sqlx::Error) -> Carried {
    Carried::Unreadable(error.to_string().replace(char::is_control, " "))
}

async fn try_carry(
    connection: &mut SqliteConnection,
    secret: &MasterKey,
    note: &Note,
) -> Result<CarriedOver, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN EXCLUSIVE").await?;
    // Before anything is written that has a number.
    carry_numbers(&mut transaction).await?;
    let epoch: i64 =
        sqlx::query_scalar("SELECT epoch FROM old.installation").fetch_one(&mut *transaction).await?;
    let mut over = CarriedOver { epoch: u64::try_from(epoch).unwrap_or(0), ..CarriedOver::default() };
    carry_hashes(&mut transaction).await?;
    over.revoked += carry_facts(&mut transaction, note).await?;
    over.revoked += keep_out(&mut transaction, secret, note).await?;
    over.unlinked = carry_unlinked(&mut transaction, note).await?;
    over.suspended = carry_suspended(&mut transaction, note).await?;
    let lost: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM old.keys o WHERE NOT EXISTS \
         (SELECT 1 FROM main.keys k WHERE k.fingerprint = o.fingerprint)",
    )
    .fetch_one(&mut *transaction)
    .await?;
    over.lost = u64::try_from(lost).unwrap_or(0);
    transaction.commit().await?;
    Ok(over)
}

/// Lets the audit log and the feed number on from where the old database stood, also where its clock was ahead: whoever
/// followed it would else miss what is carried over.
async fn carry_numbers(writer: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "UPDATE main.sqlite_sequence SET seq = max(main.sqlite_sequence.seq, o.seq + 1) \
         FROM old.sqlite_sequence o \
         WHERE o.name = main.sqlite_sequence.name AND o.name IN ('audit', 'revocations')",
    )
    .execute(writer)
    .await
    .map(drop)
}

/// Who may not come, what is not given twice, and the numbers that only rise.
async fn carry_hashes(writer: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "INSERT OR IGNORE INTO main.tombstones SELECT hash FROM old.tombstones;
         INSERT OR IGNORE INTO main.reserved_subs SELECT hash FROM old.reserved_subs;
         INSERT OR IGNORE INTO main.server_keys SELECT fingerprint FROM old.server_keys ORDER BY rowid;
         INSERT OR IGNORE INTO main.used_user_names SELECT hash, NULL FROM old.used_user_names;
         INSERT OR IGNORE INTO main.revoked_tokens SELECT jti_hash, expires FROM old.revoked_tokens;
         UPDATE main.identities SET generation = o.generation FROM old.identities o
             WHERE o.sub = main.identities.sub AND o.generation > main.identities.generation;
         UPDATE main.installation SET last_revision = max(main.installation.last_revision, o.last_revision),
             first_generation = max(main.installation.first_generation, o.first_generation,
                 (SELECT coalesce(max(generation), 0) + 1 FROM old.identities))
             FROM old.installation o;",
    )
    .execute(writer)
    .await
    .map(drop)
}

/// What is known of keys adds up: revocations stay, later facts win. Answers how many keys are revoked by it.
async fn carry_facts(writer: &mut SqliteConnection, note: &Note) -> Result<u64, sqlx::Error> {
    let changed = sqlx::query(
        "SELECT k.fingerprint, k.signing_keys, o.signing_keys, o.certificate_digest, k.revoked_at IS NULL, \
         o.revoked_at, o.revoked_by FROM main.keys k JOIN old.keys o ON o.fingerprint = k.fingerprint \
         WHERE o.signing_keys <> k.signing_keys OR (k.revoked_at IS NULL AND o.revoked_at IS NOT NULL)",
    )
    .fetch_all(&mut *writer)
    .await?;
    let mut revoked = 0;
    for row in &changed {
        let fingerprint = rows::fingerprint(row, 0)?;
        let is_read = merge(writer, &fingerprint, row).await?;
        let (is_good, since): (bool, Option<i64>) = (row.try_get(4)?, row.try_get(5)?);
        match (is_good, since) {
            (true, Some(_)) => revoke(writer, &fingerprint, since, row.try_get(6)?, note).await?,
            // What was known of it may have been that a part of it is somebody else's now.
            (true, None) if !is_read => identities::revoke(writer, &fingerprint, note).await.map(drop)?,
            _ => continue,
        }
        revoked += 1;
    }
    Ok(revoked)
}

/// `false`: what is known of the key is damaged, here or there.
async fn merge(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    row: &SqliteRow,
) -> Result<bool, sqlx::Error> {
    let (ours, theirs): (&[u8], &[u8]) = (row.try_get(1)?, row.try_get(2)?);
    if ours == theirs {
        return Ok(true);
    }
    let (Ok(mut ours), Ok(theirs)) = (SigningKeys::decode(ours), SigningKeys::decode(theirs)) else {
        return Ok(false);
    };
    if !ours.merge(&theirs) {
        return Ok(true);
    }
    let revision = keys::next_revision(writer).await?;
    sqlx::query(
        "UPDATE main.keys SET signing_keys = ?2, certificate_digest = ?3, revision = ?4 WHERE fingerprint = ?1",
    )
    .bind(fingerprint.as_bytes())
    .bind(ours.encode().map_err(|e| sqlx::Error::Encode(e.into()))?)
    .bind(row.try_get::<&[u8], _>(3)?)
    .bind(revision)
    .execute(writer)
    .await
    .map(|_| true)
}

async fn revoke(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    since: Option<i64>,
    by: Option<&str>,
    note: &Note,
) -> Result<(), sqlx::Error> {
    // Tells the feed, ends what waits, and writes the log; then as it was.
    identities::revoke(writer, fingerprint, note).await?;
    sqlx::query("UPDATE main.keys SET revoked_at = ?2, revoked_by = ?3 WHERE fingerprint = ?1")
        .bind(fingerprint.as_bytes())
        .bind(since)
        .bind(by)
        .execute(writer)
        .await
        .map(drop)
}

/// Keys that were erased and kept out since are in the backup still: they are revoked. Tombstones alone refuse who is
/// not there.
async fn keep_out(
    writer: &mut SqliteConnection,
    secret: &MasterKey,
    note: &Note,
) -> Result<u64, sqlx::Error> {
    let any: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM main.tombstones)").fetch_one(&mut *writer).await?;
    if !any {
        return Ok(0);
    }
    let all = sqlx::query("SELECT fingerprint FROM main.keys WHERE revoked_at IS NULL")
        .fetch_all(&mut *writer)
        .await?;
    let mut revoked = 0;
    for row in &all {
        let fingerprint = rows::fingerprint(row, 0)?;
        let is_barred: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM main.tombstones WHERE hash = ?1)")
                .bind(&secret.tombstone(&fingerprint)[..])
                .fetch_one(&mut *writer)
                .await?;
        if is_barred {
            identities::revoke(writer, &fingerprint, note).await?;
            revoked += 1;
        }
    }
    Ok(revoked)
}

/// A key that was unlinked since signs for the other identity no more: whether it is by itself now, joined a third, or was
/// erased. Where the whole identity is missing it stays: that may be why somebody restores.
async fn carry_unlinked(writer: &mut SqliteConnection, note: &Note) -> Result<u64, sqlx::Error> {
    let unlinked = sqlx::query(
        "SELECT p.fingerprint, k.fingerprint FROM main.keys k \
         JOIN main.keys p ON p.identity_id = k.identity_id AND p.role = 'primary' \
         JOIN main.identities i ON i.id = k.identity_id WHERE k.role = 'secondary' \
         AND (EXISTS (SELECT 1 FROM old.keys o WHERE o.fingerprint = k.fingerprint) \
             OR EXISTS (SELECT 1 FROM old.identities o WHERE o.sub = i.sub)) \
         AND NOT EXISTS (SELECT 1 FROM old.keys o JOIN old.identities j ON j.id = o.identity_id \
             WHERE o.fingerprint = k.fingerprint AND o.role = 'secondary' AND j.sub = i.sub)",
    )
    .fetch_all(&mut *writer)
    .await?;
    for row in &unlinked {
        let unlink = Unlink { primary: rows::fingerprint(row, 0)?, secondary: rows::fingerprint(row, 1)? };
        linking::unlink(writer, &unlink, note).await?;
    }
    Ok(unlinked.len() as u64)
}

/// Who was suspended since is so still; and who rotated a key away since, perhaps because somebody else has it, waits
/// for an administrator: the key that took its place is not in the backup.
async fn carry_suspended(writer: &mut SqliteConnection, note: &Note) -> Result<u64, sqlx::Error> {
    let doubtful: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT i.id FROM main.identities i WHERE i.suspended = 0 AND ( \
         EXISTS (SELECT 1 FROM old.identities o WHERE o.sub = i.sub AND o.suspended = 1) OR \
         EXISTS (SELECT 1 FROM main.keys k JOIN old.keys o ON o.fingerprint = k.fingerprint \
             WHERE k.identity_id = i.id AND k.role <> 'archived' AND o.role = 'archived'))",
    )
    .fetch_all(&mut *writer)
    .await?;
    for identity in &doubtful {
        sqlx::query("UPDATE main.identities SET suspended = 1 WHERE id = ?1")
            .bind(identity)
            .execute(&mut *writer)
            .await?;
        audit::write(writer, AuditEvent::Suspended, Some(*identity), note).await?;
        identities::raise_generation(writer, *identity).await?;
    }
    Ok(doubtful.len() as u64)
}
