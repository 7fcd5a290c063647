//! A new key in the place of an old one.

use capauth_protocol::Fingerprint;
use capauth_verifier::{Admission, AuditEvent, Changed, NewKey, Note, Rotation};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::rows::{self, seconds};
use super::{audit, enrolling, identities, keys};

pub(super) async fn rotate(
    writer: &mut SqliteConnection,
    rotation: &Rotation,
    note: &Note,
) -> Result<Changed, sqlx::Error> {
    let Some(old) = keys::find(writer, &rotation.old).await? else { return Ok(Changed::NotFound) };
    let new = &rotation.new;
    let is_known = keys::find(writer, &new.fingerprint).await?.is_some()
        || enrolling::is_taken(writer, &new.fingerprint, &new.tombstone).await?;
    if old.revision != rotation.old_revision || !old.is_in_order() || is_known {
        return Ok(Changed::Conflict);
    }
    let identity = keys::identity_of(writer, &old.fingerprint).await?;
    let coming = old.waiting.map(|(coming, _)| coming);
    let Some(due) = rotation.due else {
        // The primary key decides, whatever else was waiting for its own identity.
        if coming != Some(new.fingerprint) && enrolling::is_coming(writer, &new.fingerprint).await? {
            return Ok(Changed::Conflict);
        }
        cancel_for(writer, identity, note).await?;
        replace(writer, identity, new, note).await?;
        return Ok(Changed::Done(old.identity.sub));
    };
    if coming.is_some() || enrolling::is_coming(writer, &new.fingerprint).await? {
        return Ok(Changed::Conflict);
    }
    sqlx::query(
        "INSERT INTO waiting_rotations (identity_id, new_fingerprint, signing_keys, certificate_digest, due) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(identity)
    .bind(new.fingerprint.as_bytes())
    .bind(&new.signing_keys[..])
    .bind(&new.certificate_digest[..])
    .bind(seconds(due))
    .execute(&mut *writer)
    .await?;
    audit::write(writer, AuditEvent::RotationWaits, Some(identity), note).await?;
    Ok(Changed::Done(old.identity.sub))
}

/// Archives an identity's primary key, and puts another in its place. Every token ends.
async fn replace(
    writer: &mut SqliteConnection,
    identity: i64,
    new: &NewKey,
    note: &Note,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE keys SET role = 'archived', archived_at = ?2 WHERE identity_id = ?1 AND role = 'primary'",
    )
    .bind(identity)
    .bind(seconds(note.at))
    .execute(&mut *writer)
    .await?;
    keys::insert(writer, identity, new, note.at).await?;
    audit::write(writer, AuditEvent::Rotated, Some(identity), note).await?;
    identities::raise_generation(writer, identity).await
}

pub(super) async fn cancel(
    writer: &mut SqliteConnection,
    old: &Fingerprint,
    note: &Note,
) -> Result<bool, sqlx::Error> {
    if keys::find(writer, old).await?.is_none_or(|key| key.waiting.is_none()) {
        return Ok(false);
    }
    let identity = keys::identity_of(writer, old).await?;
    cancel_for(writer, identity, note).await
}

/// Cancels what waits for an identity, if anything does.
pub(super) async fn cancel_for(
    writer: &mut SqliteConnection,
    identity: i64,
    note: &Note,
) -> Result<bool, sqlx::Error> {
    let gone = sqlx::query("DELETE FROM waiting_rotations WHERE identity_id = ?1")
        .bind(identity)
        .execute(&mut *writer)
        .await?;
    if gone.rows_affected() == 0 {
        return Ok(false);
    }
    audit::write(writer, AuditEvent::RotationCancelled, Some(identity), note).await?;
    Ok(true)
}

/// Does a rotation whose time has come, if what it found is still so; else it is cancelled.
pub(super) async fn come_due(
    writer: &mut SqliteConnection,
    identity: i64,
    note: &Note,
) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "DELETE FROM waiting_rotations WHERE identity_id = ?1 \
         RETURNING new_fingerprint, signing_keys, certificate_digest",
    )
    .bind(identity)
    .fetch_one(&mut *writer)
    .await?;
    let new = NewKey {
        fingerprint: rows::fingerprint(&row, 0)?,
        signing_keys: row.try_get(1)?,
        certificate_digest: rows::digest(&row, 2)?,
        admission: Admission::Approved,
        tombstone: [0; 32],
    };
    let old = sqlx::query("SELECT fingerprint FROM keys WHERE identity_id = ?1 AND role = 'primary'")
        .bind(identity)
        .fetch_optional(&mut *writer)
        .await?;
    let old = match old {
        Some(row) => keys::find(writer, &rows::fingerprint(&row, 0)?).await?,
        None => None,
    };
    // Nothing enrols or joins an identity under a fingerprint that waits, and none of those is erased.
    if old.is_some_and(|old| old.is_in_order()) {
        replace(writer, identity, &new, note).await
    } else {
        audit::write(writer, AuditEvent::RotationCancelled, Some(identity), note).await
    }
}
