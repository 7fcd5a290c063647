//! Several keys for one identity.

use capauth_verifier::{AuditEvent, Changed, EnrolledKey, KeyRole, Link, MAX_LINKED, Note, Unlink};
use sqlx::sqlite::SqliteConnection;

use super::{audit, enrolling, identities, keys};

pub(super) async fn link(
    writer: &mut SqliteConnection,
    link: &Link,
    note: &Note,
) -> Result<Changed, sqlx::Error> {
    let Some(primary) = keys::find(writer, &link.primary).await? else { return Ok(Changed::NotFound) };
    let beside = keys::beside(writer, &link.primary).await?;
    let linked = beside.iter().filter(|key| matches!(key.role, KeyRole::Secondary(_))).count();
    let is_current = primary.revision == link.primary_revision;
    if !is_current || !primary.is_in_order() || linked >= MAX_LINKED as usize {
        return Ok(Changed::Conflict);
    }
    match (keys::find(writer, &link.secondary).await?, &link.new) {
        (Some(secondary), _) => {
            let is_current = link.secondary_revision == Some(secondary.revision);
            if !is_current || !may_join(writer, &secondary, &primary).await? {
                return Ok(Changed::Conflict);
            }
        }
        (None, None) => return Ok(Changed::NotFound),
        (None, Some(new)) => {
            if enrolling::is_taken(writer, &new.fingerprint, &new.tombstone).await?
                || enrolling::is_coming(writer, &new.fingerprint).await?
            {
                return Ok(Changed::Conflict);
            }
            // An identity of its own, which it gets back when it is unlinked.
            let own = enrolling::insert_identity(writer, &new.fingerprint, true).await?;
            keys::insert(writer, own, new, note.at).await?;
            keys::count_more(writer, 1).await?;
            audit::write(writer, AuditEvent::Enrolled, Some(own), note).await?;
        }
    }
    join(writer, link, note).await?;
    Ok(Changed::Done(primary.identity.sub))
}

/// Whether a key may join another's identity: it is in order, nothing hangs on it, and nothing waits for it.
async fn may_join(
    writer: &mut SqliteConnection,
    secondary: &EnrolledKey,
    primary: &EnrolledKey,
) -> Result<bool, sqlx::Error> {
    let alone = keys::beside(writer, &secondary.fingerprint)
        .await?
        .iter()
        .all(|key| !matches!(key.role, KeyRole::Secondary(_)));
    Ok(secondary.is_in_order()
        && alone
        && secondary.identity.sub != primary.identity.sub
        && secondary.waiting.is_none())
}

async fn join(writer: &mut SqliteConnection, link: &Link, note: &Note) -> Result<(), sqlx::Error> {
    let identity = keys::identity_of(writer, &link.primary).await?;
    let former = keys::identity_of(writer, &link.secondary).await?;
    // What was granted to it was not granted to the other.
    sqlx::query("DELETE FROM grants WHERE identity_id = ?1").bind(former).execute(&mut *writer).await?;
    sqlx::query("DELETE FROM confirmed_emails WHERE identity_id = ?1")
        .bind(former)
        .execute(&mut *writer)
        .await?;
    audit::write(writer, AuditEvent::Linked, Some(former), note).await?;
    identities::raise_generation(writer, former).await?;
    sqlx::query(
        "UPDATE keys SET role = 'secondary', identity_id = ?2, former_identity_id = ?3 WHERE fingerprint = ?1",
    )
    .bind(link.secondary.as_bytes())
    .bind(identity)
    .bind(former)
    .execute(writer)
    .await
    .map(drop)
}

pub(super) async fn unlink(
    writer: &mut SqliteConnection,
    unlink: &Unlink,
    note: &Note,
) -> Result<Changed, sqlx::Error> {
    let Some(secondary) = keys::find(writer, &unlink.secondary).await? else { return Ok(Changed::NotFound) };
    if secondary.role != KeyRole::Secondary(unlink.primary) {
        return Ok(Changed::Conflict);
    }
    let identity = keys::identity_of(writer, &unlink.secondary).await?;
    sqlx::query(
        "UPDATE keys SET role = 'primary', identity_id = former_identity_id, former_identity_id = NULL \
         WHERE fingerprint = ?1",
    )
    .bind(unlink.secondary.as_bytes())
    .execute(&mut *writer)
    .await?;
    identities::raise_generation(writer, identity).await?;
    let former = keys::identity_of(writer, &unlink.secondary).await?;
    audit::write(writer, AuditEvent::Unlinked, Some(former), note).await?;
    let restored = keys::find(writer, &unlink.secondary).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Changed::Done(restored.identity.sub))
}
