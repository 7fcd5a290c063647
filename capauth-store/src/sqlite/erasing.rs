//! Forgetting: everything about an identity, but what keeps a thief of its old keys out.

use capauth_protocol::Fingerprint;
use capauth_verifier::{AuditEvent, HashOf, KeyRole, Note};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::rows::{self, signed};
use super::{audit, identities, keys, tokens};

/// Answers the keys that are gone; none if there was no such key.
pub(super) async fn erase(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    hash_of: HashOf<'_>,
    keep_out: bool,
    note: &Note,
) -> Result<Vec<Fingerprint>, sqlx::Error> {
    let Some(key) = keys::find(writer, fingerprint).await? else { return Ok(Vec::new()) };
    let identity = keys::identity_of(writer, fingerprint).await?;
    let linked = matches!(key.role, KeyRole::Secondary(_));
    if linked {
        // What it signed for the identity that stays ends here; what others signed for it has to begin anew.
        identities::raise_generation(writer, identity).await?;
    }
    let doomed = Doomed::of(writer, fingerprint, identity, linked).await?;
    let stays_out = keep_out || doomed.suspicious;
    for (identity, _, _) in &doomed.identities {
        audit::write(writer, AuditEvent::Erased, Some(*identity), note).await?;
    }
    doomed.remove(writer).await?;
    doomed.tell(writer, hash_of, stays_out).await?;
    Ok(doomed.keys)
}

/// What goes together.
struct Doomed {
    keys: Vec<Fingerprint>,
    /// Row, sub and generation.
    identities: Vec<(i64, Fingerprint, u64)>,
    /// How many of the keys counted as enrolled.
    counted: i64,
    /// Whether one of the keys was revoked or rotated away, or one of the identities suspended.
    suspicious: bool,
}

impl Doomed {
    /// A linked key goes with the identity it had before; any other with its identity, and everything linked to it.
    async fn of(
        writer: &mut SqliteConnection,
        fingerprint: &Fingerprint,
        identity: i64,
        linked: bool,
    ) -> Result<Self, sqlx::Error> {
        let mut doomed = Self { keys: Vec::new(), identities: Vec::new(), counted: 0, suspicious: false };
        let rows = sqlx::query(
            "SELECT DISTINCT i.id, i.sub, i.generation, i.suspended FROM identities i \
             WHERE (NOT ?3 AND i.id = ?2) OR i.id IN (SELECT k.former_identity_id FROM keys k \
             WHERE k.former_identity_id IS NOT NULL AND k.identity_id = ?2 AND (NOT ?3 OR k.fingerprint = ?1))",
        )
        .bind(fingerprint.as_bytes())
        .bind(identity)
        .bind(linked)
        .fetch_all(&mut *writer)
        .await?;
        for row in &rows {
            doomed.identities.push((row.try_get(0)?, rows::fingerprint(row, 1)?, rows::unsigned(row, 2)?));
            doomed.suspicious |= row.try_get::<bool, _>(3)?;
        }
        for (identity, ..) in &doomed.identities {
            let rows = sqlx::query(
                "SELECT fingerprint, role, revoked_at IS NOT NULL FROM keys WHERE identity_id = ?1 OR former_identity_id = ?1",
            )
            .bind(identity)
            .fetch_all(&mut *writer)
            .await?;
            for row in &rows {
                let key = rows::fingerprint(row, 0)?;
                if doomed.keys.contains(&key) {
                    continue;
                }
                let archived = row.try_get::<&str, _>(1)? == "archived";
                doomed.suspicious |= archived || row.try_get::<bool, _>(2)?;
                doomed.counted += i64::from(!archived);
                doomed.keys.push(key);
            }
        }
        Ok(doomed)
    }

    async fn remove(&self, writer: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for key in &self.keys {
            sqlx::query("DELETE FROM keys WHERE fingerprint = ?1")
                .bind(key.as_bytes())
                .execute(&mut *writer)
                .await?;
        }
        let mut latest = 0;
        for (identity, _, generation) in &self.identities {
            free_user_names(writer, *identity).await?;
            sqlx::query("DELETE FROM identities WHERE id = ?1").bind(identity).execute(&mut *writer).await?;
            latest = latest.max(*generation);
        }
        // Should the same key enrol again, its identity begins where tokens of the erased one are worthless.
        sqlx::query("UPDATE installation SET first_generation = max(first_generation, ?1)")
            .bind(signed(latest.saturating_add(1)))
            .execute(&mut *writer)
            .await?;
        keys::count_more(writer, -self.counted).await
    }

    /// Writes down who may not come back, and tells those who follow the feed.
    async fn tell(
        &self,
        writer: &mut SqliteConnection,
        hash_of: HashOf<'_>,
        stays_out: bool,
    ) -> Result<(), sqlx::Error> {
        for key in &self.keys {
            tokens::forget_subject(writer, key).await?;
            // One that may enrol again must not be told to be gone for good.
            if stays_out {
                insert_hash(writer, "INSERT OR IGNORE INTO tombstones (hash) VALUES (?1)", &hash_of(key))
                    .await?;
                tokens::tell_key(writer, key).await?;
            }
        }
        for (_, sub, generation) in &self.identities {
            // Whoever has the key to a sub may have it again; nobody else.
            if !self.keys.contains(sub) {
                insert_hash(writer, "INSERT OR IGNORE INTO reserved_subs (hash) VALUES (?1)", &hash_of(sub))
                    .await?;
            }
            tokens::tell_generation(writer, sub, signed(generation.saturating_add(1))).await?;
            tokens::mark_erased(writer, sub).await?;
        }
        for key in &self.keys {
            tokens::mark_erased(writer, key).await?;
        }
        Ok(())
    }
}

/// Rows' numbers are given again; names are not.
pub(super) async fn free_user_names(writer: &mut SqliteConnection, identity: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE used_user_names SET identity_id = NULL WHERE identity_id = ?1")
        .bind(identity)
        .execute(writer)
        .await
        .map(drop)
}

async fn insert_hash(
    writer: &mut SqliteConnection,
    statement: &'static str,
    hash: &[u8; 32],
) -> Result<(), sqlx::Error> {
    sqlx::query(statement).bind(&hash[..]).execute(writer).await.map(drop)
}
