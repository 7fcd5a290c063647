//! What changes about an identity: its facts, standing, groups, name and addresses.

use capauth_protocol::Fingerprint;
use capauth_verifier::{
    AuditEvent, Changed, EnrolledKey, KeyFacts, KeyRole, Note, ROTATION_DOUBT, RevokedBy,
};
use sqlx::sqlite::SqliteConnection;

use super::rows::{self, seconds};
use super::{audit, keys, rotating, tokens};

pub(super) async fn update(
    writer: &mut SqliteConnection,
    facts: &KeyFacts,
    note: &Note,
) -> Result<bool, sqlx::Error> {
    let Some(key) = keys::find(writer, &facts.fingerprint).await? else { return Ok(false) };
    if key.revision != facts.revision {
        return Ok(false);
    }
    let revision = keys::next_revision(writer).await?;
    sqlx::query(
        "UPDATE keys SET signing_keys = ?2, certificate_digest = ?3, revision = ?4, \
         revoked_by = CASE WHEN revoked_at IS NULL AND ?5 IS NOT NULL THEN 'owner' ELSE revoked_by END, \
         revoked_at = coalesce(revoked_at, ?5) WHERE fingerprint = ?1",
    )
    .bind(facts.fingerprint.as_bytes())
    .bind(&facts.signing_keys[..])
    .bind(&facts.certificate_digest[..])
    .bind(revision)
    .bind(facts.revoked_at.map(seconds))
    .execute(&mut *writer)
    .await?;
    let identity = keys::identity_of(writer, &key.fingerprint).await?;
    let revoked = facts.revoked_at.is_some() && key.revoked.is_none();
    if revoked {
        audit::write(writer, AuditEvent::RevokedItself, Some(identity), note).await?;
        tokens::tell_key(writer, &key.fingerprint).await?;
        waits_no_longer(writer, identity).await?;
    }
    match key.role {
        // It was replaced: what it says of itself ends nothing, unless it says that somebody else replaced it.
        KeyRole::Archived(at) => {
            let is_news = key.revoked.is_none_or(|(_, by)| by != RevokedBy::Owner);
            if facts.revoked_at.is_some() && is_news && note.at.since(at) <= ROTATION_DOUBT {
                suspend(writer, identity, note).await?;
            }
        }
        // Its end is its own; what a part of it signed cannot be told apart from the rest.
        KeyRole::Secondary(_) if facts.revoked_at.is_some() => {}
        KeyRole::Secondary(_) if facts.ends_tokens => raise_generation(writer, identity).await?,
        KeyRole::Primary if facts.revoked_at.is_some() || facts.ends_tokens => {
            rotating::cancel_for(writer, identity, note).await?;
            raise_generation(writer, identity).await?;
        }
        KeyRole::Primary | KeyRole::Secondary(_) => {}
    }
    Ok(true)
}

/// What was decided about waits no longer: a key that is revoked stays, and keeps itself out.
async fn waits_no_longer(writer: &mut SqliteConnection, identity: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM pending WHERE identity_id = ?1").bind(identity).execute(writer).await.map(drop)
}

async fn suspend(writer: &mut SqliteConnection, identity: i64, note: &Note) -> Result<(), sqlx::Error> {
    rotating::cancel_for(writer, identity, note).await?;
    // A key of it may sign for another identity now.
    let joined: Vec<i64> = sqlx::query_scalar("SELECT identity_id FROM keys WHERE former_identity_id = ?1")
        .bind(identity)
        .fetch_all(&mut *writer)
        .await?;
    for joined in joined {
        raise_generation(writer, joined).await?;
    }
    sqlx::query("UPDATE identities SET suspended = 1 WHERE id = ?1")
        .bind(identity)
        .execute(&mut *writer)
        .await?;
    audit::write(writer, AuditEvent::Suspended, Some(identity), note).await?;
    raise_generation(writer, identity).await
}

/// Makes every token of an identity worthless, and says so in the feed.
pub(super) async fn raise_generation(
    writer: &mut SqliteConnection,
    identity: i64,
) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "UPDATE identities SET generation = generation + 1 WHERE id = ?1 RETURNING sub, generation",
    )
    .bind(identity)
    .fetch_one(&mut *writer)
    .await?;
    tokens::tell_generation(writer, &rows::fingerprint(&row, 0)?, rows::signed(rows::unsigned(&row, 1)?))
        .await
}

pub(super) async fn approve(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    note: &Note,
) -> Result<bool, sqlx::Error> {
    if keys::find(writer, fingerprint).await?.is_none() {
        return Ok(false);
    }
    let identity = keys::identity_of(writer, fingerprint).await?;
    sqlx::query("UPDATE identities SET approved = 1, suspended = 0 WHERE id = ?1")
        .bind(identity)
        .execute(&mut *writer)
        .await?;
    // A linked key is held up by the identity it had as well.
    sqlx::query(
        "UPDATE identities SET suspended = 0 WHERE id = (SELECT former_identity_id FROM keys WHERE fingerprint = ?1)",
    )
    .bind(fingerprint.as_bytes())
    .execute(&mut *writer)
    .await?;
    waits_no_longer(writer, identity).await?;
    audit::write(writer, AuditEvent::Approved, Some(identity), note).await?;
    Ok(true)
}

pub(super) async fn revoke(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    note: &Note,
) -> Result<bool, sqlx::Error> {
    let Some(key) = keys::find(writer, fingerprint).await? else { return Ok(false) };
    sqlx::query(
        "UPDATE keys SET revoked_at = coalesce(revoked_at, ?2), revoked_by = 'administrator' WHERE fingerprint = ?1",
    )
    .bind(fingerprint.as_bytes())
    .bind(seconds(note.at))
    .execute(&mut *writer)
    .await?;
    let identity = keys::identity_of(writer, fingerprint).await?;
    audit::write(writer, AuditEvent::Revoked, Some(identity), note).await?;
    waits_no_longer(writer, identity).await?;
    if key.revoked.is_none() {
        tokens::tell_key(writer, fingerprint).await?;
    }
    // A linked key's end, or an archived one's, is its own.
    if key.role == KeyRole::Primary {
        rotating::cancel_for(writer, identity, note).await?;
        raise_generation(writer, identity).await?;
    }
    Ok(true)
}

pub(super) async fn set_groups(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    groups: &[String],
    note: &Note,
) -> Result<bool, sqlx::Error> {
    let Some(key) = keys::find(writer, fingerprint).await? else { return Ok(false) };
    let identity = keys::identity_of(writer, fingerprint).await?;
    sqlx::query("DELETE FROM grants WHERE identity_id = ?1").bind(identity).execute(&mut *writer).await?;
    for group in groups {
        sqlx::query("INSERT OR IGNORE INTO grants (identity_id, name) VALUES (?1, ?2)")
            .bind(identity)
            .bind(group.as_str())
            .execute(&mut *writer)
            .await?;
    }
    audit::write(writer, AuditEvent::Groups, Some(identity), note).await?;
    if key.identity.groups.iter().any(|group| !groups.contains(group)) {
        raise_generation(writer, identity).await?;
    }
    Ok(true)
}

pub(super) async fn replace_groups(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    known: &[String],
    groups: &[String],
    note: &Note,
) -> Result<Changed, sqlx::Error> {
    let Some(key) = keys::find(writer, fingerprint).await? else { return Ok(Changed::NotFound) };
    if key.identity.groups != known {
        return Ok(Changed::Conflict);
    }
    set_groups(writer, fingerprint, groups, note).await?;
    Ok(Changed::Done(key.identity.sub))
}

pub(super) async fn set_user_name(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    name: Option<(&str, [u8; 32])>,
    note: &Note,
) -> Result<Changed, sqlx::Error> {
    let Some(EnrolledKey { identity: known, .. }) = keys::find(writer, fingerprint).await? else {
        return Ok(Changed::NotFound);
    };
    let identity = keys::identity_of(writer, fingerprint).await?;
    if let Some((_, hash)) = &name {
        sqlx::query("INSERT OR IGNORE INTO used_user_names (hash, identity_id) VALUES (?1, ?2)")
            .bind(&hash[..])
            .bind(identity)
            .execute(&mut *writer)
            .await?;
        let owner: Option<i64> =
            sqlx::query_scalar("SELECT identity_id FROM used_user_names WHERE hash = ?1")
                .bind(&hash[..])
                .fetch_one(&mut *writer)
                .await?;
        if owner != Some(identity) {
            return Ok(Changed::Conflict);
        }
    }
    sqlx::query("UPDATE identities SET user_name = ?2 WHERE id = ?1")
        .bind(identity)
        .bind(name.as_ref().map(|(name, _)| *name))
        .execute(&mut *writer)
        .await?;
    audit::write(writer, AuditEvent::UserName, Some(identity), note).await?;
    Ok(Changed::Done(known.sub))
}

pub(super) async fn end_all(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    note: &Note,
) -> Result<bool, sqlx::Error> {
    if keys::find(writer, fingerprint).await?.is_none() {
        return Ok(false);
    }
    let identity = keys::identity_of(writer, fingerprint).await?;
    audit::write(writer, AuditEvent::EndedAll, Some(identity), note).await?;
    raise_generation(writer, identity).await?;
    Ok(true)
}

pub(super) async fn confirm_email(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    hash: &[u8; 32],
    confirmed: bool,
    note: &Note,
) -> Result<Changed, sqlx::Error> {
    let Some(key) = keys::find(writer, fingerprint).await? else { return Ok(Changed::NotFound) };
    let identity = keys::identity_of(writer, fingerprint).await?;
    let (statement, event) = match confirmed {
        true => (
            "INSERT INTO confirmed_emails (identity_id, hash) VALUES (?1, ?2) \
             ON CONFLICT (hash) DO UPDATE SET hash = hash WHERE identity_id = excluded.identity_id",
            AuditEvent::EmailConfirmed,
        ),
        false => {
            ("DELETE FROM confirmed_emails WHERE identity_id = ?1 AND hash = ?2", AuditEvent::EmailWithdrawn)
        }
    };
    let done = sqlx::query(statement).bind(identity).bind(&hash[..]).execute(&mut *writer).await?;
    if confirmed && done.rows_affected() == 0 {
        return Ok(Changed::Conflict);
    }
    audit::write(writer, event, Some(identity), note).await?;
    Ok(Changed::Done(key.identity.sub))
}
