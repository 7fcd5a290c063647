//! New keys: let in, waiting, or with a code.

use capauth_protocol::Fingerprint;
use capauth_verifier::{Admission, AuditEvent, Enrollment, NewCode, NewKey, Note, Places, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::rows::{self, seconds};
use super::{audit, erasing, identities, keys};

pub(super) async fn enroll(
    writer: &mut SqliteConnection,
    new: &NewKey,
    note: &Note,
) -> Result<Enrollment, sqlx::Error> {
    if let Some(key) = keys::find(writer, &new.fingerprint).await? {
        return Ok(Enrollment::AlreadyThere(key));
    }
    if is_taken(writer, &new.fingerprint, &new.tombstone).await?
        || is_coming(writer, &new.fingerprint).await?
    {
        return Ok(Enrollment::Tombstone);
    }
    let (approved, groups) = match &new.admission {
        Admission::Approved => (true, None),
        Admission::Pending { share, places } => {
            if !make_room(writer, share, *places).await? {
                return Ok(Enrollment::TooMany);
            }
            (false, None)
        }
        Admission::Code(hash) => match take_code(writer, hash, note).await? {
            Some(groups) => (true, Some(groups)),
            None => return Ok(Enrollment::BadCode),
        },
    };
    let identity = insert_identity(writer, &new.fingerprint, approved).await?;
    keys::insert(writer, identity, new, note.at).await?;
    keys::count_more(writer, 1).await?;
    if let Some(groups) = groups {
        grant(writer, identity, &groups).await?;
    }
    if let Admission::Pending { share, .. } = &new.admission {
        let_wait(writer, identity, share, note).await?;
    }
    // Who waits is in the queue: strangers do not write the log.
    if approved {
        audit::write(writer, AuditEvent::Enrolled, Some(identity), note).await?;
    }
    let key = keys::find(writer, &new.fingerprint).await?;
    key.map(Enrollment::Enrolled).ok_or(sqlx::Error::RowNotFound)
}

/// Puts an identity into the queue that waits for an administrator.
pub(super) async fn let_wait(
    writer: &mut SqliteConnection,
    identity: i64,
    share: &[u8; 32],
    note: &Note,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO pending (identity_id, share, since) VALUES (?1, ?2, ?3)")
        .bind(identity)
        .bind(&share[..])
        .bind(seconds(note.at))
        .execute(writer)
        .await
        .map(drop)
}

/// Whether a fingerprint may not enrol again, or is some identity's sub. A sub is never given twice: not while an
/// identity has it, not when it was kept for one that is gone.
pub(super) async fn is_taken(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    tombstone: &[u8; 32],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM tombstones WHERE hash = ?1) \
         OR EXISTS (SELECT 1 FROM reserved_subs WHERE hash = ?1) OR EXISTS (SELECT 1 FROM identities WHERE sub = ?2)",
    )
    .bind(&tombstone[..])
    .bind(fingerprint.as_bytes())
    .fetch_one(writer)
    .await
}

/// Whether a key is about to take another's place.
pub(super) async fn is_coming(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM waiting_rotations WHERE new_fingerprint = ?1)")
        .bind(fingerprint.as_bytes())
        .fetch_one(writer)
        .await
}

pub(super) async fn insert_identity(
    writer: &mut SqliteConnection,
    sub: &Fingerprint,
    approved: bool,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO identities (sub, approved, generation, audit_id) \
         VALUES (?1, ?2, (SELECT first_generation FROM installation), randomblob(16)) RETURNING id",
    )
    .bind(sub.as_bytes())
    .bind(approved)
    .fetch_one(writer)
    .await
}

/// Makes room for one more key that waits. `false`: its share is full.
async fn make_room(
    writer: &mut SqliteConnection,
    share: &[u8; 32],
    places: Places,
) -> Result<bool, sqlx::Error> {
    let held: u32 = sqlx::query_scalar("SELECT count(*) FROM pending WHERE share = ?1")
        .bind(&share[..])
        .fetch_one(&mut *writer)
        .await?;
    if held >= places.per_share {
        return Ok(false);
    }
    // As many as there are places at most, so that counting stays cheap.
    let all: u32 = sqlx::query_scalar("SELECT count(*) FROM pending").fetch_one(&mut *writer).await?;
    if all >= places.in_all {
        let oldest: Option<i64> = sqlx::query_scalar(
            "SELECT identity_id FROM pending WHERE share = (SELECT share FROM pending GROUP BY share \
             ORDER BY count(*) DESC, min(since) LIMIT 1) ORDER BY since, identity_id LIMIT 1",
        )
        .fetch_optional(&mut *writer)
        .await?;
        if let Some(identity) = oldest {
            drop_pending(writer, identity).await?;
        }
    }
    Ok(true)
}

/// Removes an identity that never was let in, and its key.
pub(super) async fn drop_pending(writer: &mut SqliteConnection, identity: i64) -> Result<(), sqlx::Error> {
    erasing::free_user_names(writer, identity).await?;
    // Should the key come again, it begins after whatever the feed told of it.
    sqlx::query(
        "UPDATE installation SET first_generation = max(first_generation, \
         (SELECT generation + 1 FROM identities WHERE id = ?1))",
    )
    .bind(identity)
    .execute(&mut *writer)
    .await?;
    let keys =
        sqlx::query("DELETE FROM keys WHERE identity_id = ?1").bind(identity).execute(&mut *writer).await?;
    keys::count_more(writer, -i64::try_from(keys.rows_affected()).unwrap_or(0)).await?;
    sqlx::query("DELETE FROM identities WHERE id = ?1").bind(identity).execute(writer).await.map(drop)
}

pub(super) async fn add_code(
    writer: &mut SqliteConnection,
    code: &NewCode,
    note: &Note,
) -> Result<(), sqlx::Error> {
    let groups = serde_json::to_string(&code.groups).map_err(|e| sqlx::Error::Encode(e.into()))?;
    sqlx::query("INSERT INTO enrollment_codes (hash, groups, expires) VALUES (?1, ?2, ?3)")
        .bind(&code.hash[..])
        .bind(groups)
        .bind(seconds(code.expires))
        .execute(&mut *writer)
        .await?;
    audit::write(writer, AuditEvent::CodeMade, None, note).await
}

/// Whether a code would be good.
pub(super) async fn has_code(
    reader: &mut SqliteConnection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM enrollment_codes WHERE hash = ?1 AND expires > ?2)")
        .bind(&hash[..])
        .bind(seconds(now))
        .fetch_one(reader)
        .await
}

/// Uses a code up. Answers the groups it grants, as a JSON list.
async fn take_code(
    writer: &mut SqliteConnection,
    hash: &[u8; 32],
    note: &Note,
) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query("DELETE FROM enrollment_codes WHERE hash = ?1 RETURNING groups, expires")
        .bind(&hash[..])
        .fetch_optional(writer)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let good = rows::unsigned(&row, 1)? > note.at.as_unix();
    Ok(if good { Some(row.try_get(0)?) } else { None })
}

/// Grants the groups of a code.
async fn grant(writer: &mut SqliteConnection, identity: i64, groups: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR IGNORE INTO grants (identity_id, name) SELECT ?1, value FROM json_each(?2)")
        .bind(identity)
        .bind(groups)
        .execute(writer)
        .await
        .map(drop)
}

/// Lets a key in that waits, by a code.
pub(super) async fn use_code(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    hash: &[u8; 32],
    note: &Note,
) -> Result<bool, sqlx::Error> {
    let waiting: Option<i64> = sqlx::query_scalar(
        "SELECT p.identity_id FROM pending p JOIN keys k ON k.identity_id = p.identity_id WHERE k.fingerprint = ?1",
    )
    .bind(fingerprint.as_bytes())
    .fetch_optional(&mut *writer)
    .await?;
    let Some(identity) = waiting else { return Ok(false) };
    let Some(groups) = take_code(writer, hash, note).await? else { return Ok(false) };
    grant(writer, identity, &groups).await?;
    identities::approve(writer, fingerprint, note).await
}
