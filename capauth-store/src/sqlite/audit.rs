//! The audit log: written in the transaction that does what it tells.

use capauth_protocol::Fingerprint;
use capauth_verifier::{Actor, AuditEntry, AuditEvent, AuditName, AuditPage, Note, Timestamp};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::rows::{self, seconds, signed};

/// By what way an administrator came who did not ask the service.
const SHELL: &str = "shell";

/// Lines as [`entry`] reads them.
macro_rules! select_lines {
    ($which:literal) => {
        concat!(
            "SELECT a.id, a.at, a.who, a.who_name, w.sub, a.what, a.subject, s.sub, a.network, a.via FROM audit a \
             LEFT JOIN identities w ON w.audit_id = a.who_name LEFT JOIN identities s ON s.audit_id = a.subject ",
            $which
        )
    };
}

const AFTER: &str = select_lines!("WHERE a.id > ?1 ORDER BY a.id LIMIT ?2");
const BEFORE: &str = select_lines!("WHERE a.id < ?1 ORDER BY a.id DESC LIMIT ?2");

/// Writes a line about an identity, by its row.
pub(super) async fn write(
    writer: &mut SqliteConnection,
    event: AuditEvent,
    subject: Option<i64>,
    note: &Note,
) -> Result<(), sqlx::Error> {
    let (who, key, via) = match &note.who {
        Actor::Administrator => ("administrator", None, None),
        Actor::Shell => ("administrator", None, Some(SHELL)),
        Actor::Server => ("server", None, None),
        Actor::Key(key) => ("key", Some(key.as_bytes()), None),
    };
    sqlx::query(
        "INSERT INTO audit (at, who, who_name, what, subject, network, via) VALUES (?1, ?2, \
         (SELECT i.audit_id FROM keys k JOIN identities i ON i.id = k.identity_id WHERE k.fingerprint = ?3), \
         ?4, (SELECT audit_id FROM identities WHERE id = ?5), ?6, ?7)",
    )
    .bind(seconds(note.at))
    .bind(who)
    .bind(key)
    .bind(event.as_str())
    .bind(subject)
    .bind(note.network.as_deref())
    .bind(via)
    .execute(writer)
    .await
    .map(drop)
}

/// Writes a line about the identity of a key.
pub(super) async fn write_about(
    writer: &mut SqliteConnection,
    event: AuditEvent,
    subject: Option<&Fingerprint>,
    note: &Note,
) -> Result<(), sqlx::Error> {
    let identity: Option<i64> = match subject {
        None => None,
        Some(key) => {
            sqlx::query_scalar("SELECT identity_id FROM keys WHERE fingerprint = ?1")
                .bind(key.as_bytes())
                .fetch_optional(&mut *writer)
                .await?
        }
    };
    write(writer, event, identity, note).await
}

pub(super) async fn page(
    connection: &mut SqliteConnection,
    after: u64,
    limit: u32,
) -> Result<AuditPage, sqlx::Error> {
    let rows = sqlx::query(AFTER).bind(signed(after)).bind(limit).fetch_all(connection).await?;
    read(&rows, after)
}

/// The same the other way round: from before a line, or from the end if that is 0.
pub(super) async fn page_back(
    connection: &mut SqliteConnection,
    before: u64,
    limit: u32,
) -> Result<AuditPage, sqlx::Error> {
    let from = if before == 0 { i64::MAX } else { signed(before) };
    let rows = sqlx::query(BEFORE).bind(from).bind(limit).fetch_all(connection).await?;
    read(&rows, before)
}

/// What was read, and where the next page begins: here, if there was nothing.
fn read(rows: &[SqliteRow], here: u64) -> Result<AuditPage, sqlx::Error> {
    let cursor = rows.last().map_or(Ok(here), |row| rows::unsigned(row, 0))?;
    Ok(AuditPage { entries: rows.iter().map(entry).collect::<Result<_, _>>()?, cursor })
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, sqlx::Error> {
    let who = match (row.try_get(2)?, row.try_get::<Option<&str>, _>(9)?) {
        ("administrator", Some(SHELL)) => AuditName::Shell,
        ("administrator", _) => AuditName::Administrator,
        ("server", _) => AuditName::Server,
        // A key that is no identity's did nothing that is written here, but a line must stay readable.
        _ => name(row, 3, 4)?.unwrap_or(AuditName::Identity { name: String::new(), sub: None }),
    };
    Ok(AuditEntry {
        id: rows::unsigned(row, 0)?,
        at: Timestamp::from_unix(rows::unsigned(row, 1)?),
        who,
        what: row.try_get(5)?,
        subject: name(row, 6, 7)?,
        network: row.try_get(8)?,
    })
}

/// An identity by its name in the log, and its sub if it is still there.
fn name(row: &SqliteRow, id: usize, sub: usize) -> Result<Option<AuditName>, sqlx::Error> {
    let Some(id) = row.try_get::<Option<&[u8]>, _>(id)? else { return Ok(None) };
    let known = row.try_get::<Option<&[u8]>, _>(sub)?.is_some();
    let sub = if known { Some(rows::fingerprint(row, sub)?) } else { None };
    Ok(Some(AuditName::Identity { name: rows::to_hex(id), sub }))
}
