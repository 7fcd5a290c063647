//! [`KeyStore`] on SQLite.

use async_trait::async_trait;
use capauth_protocol::Fingerprint;
use capauth_verifier::{
    EnrolledKey, Enrollment, KeyFacts, KeyQuery, KeyStore, NewKey, StoreResult, Timestamp,
};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::rows::{self, seconds, select_keys, signed};
use super::{Database, tokens};

const FIND: &str = select_keys!("WHERE k.fingerprint = ?1");
const LIST: &str =
    select_keys!("WHERE k.fingerprint > ?1 AND (i.approved = 1 OR NOT ?2) ORDER BY k.fingerprint LIMIT ?3");

/// Locks the writer and runs one step inside a transaction of its own.
macro_rules! in_transaction {
    ($database:expr, $what:literal, $step:path $(, $argument:expr)*) => {{
        let failed = $database.writer.failed($what);
        let mut writer = $database.writer.lock().await?;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        let answer = $step(&mut transaction $(, $argument)*).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        answer
    }};
}
pub(super) use in_transaction;

#[async_trait]
impl KeyStore for Database {
    async fn find(&self, fingerprint: &Fingerprint) -> StoreResult<Option<EnrolledKey>> {
        let (lane, mut reader) = self.readers.lock().await?;
        find(&mut reader, fingerprint).await.map_err(lane.failed("finding a key"))
    }

    async fn enroll(&self, key: &NewKey) -> StoreResult<Enrollment> {
        Ok(in_transaction!(self, "enrolling a key", enroll, key))
    }

    async fn update(&self, facts: &KeyFacts) -> StoreResult<bool> {
        Ok(in_transaction!(self, "updating a key", update, facts))
    }

    fn note_login(&self, fingerprint: &Fingerprint, at: Timestamp) {
        self.logins.note(*fingerprint, at);
    }

    async fn approve(&self, fingerprint: &Fingerprint) -> StoreResult<bool> {
        Ok(in_transaction!(self, "approving a key", approve, fingerprint))
    }

    async fn revoke(&self, fingerprint: &Fingerprint, at: Timestamp) -> StoreResult<bool> {
        Ok(in_transaction!(self, "revoking a key", revoke, fingerprint, at))
    }

    async fn erase(
        &self,
        fingerprint: &Fingerprint,
        tombstone: &[u8; 32],
        keep_out: bool,
    ) -> StoreResult<bool> {
        let reserve = |sub: &Fingerprint| self.secret.tombstone(sub);
        let erased =
            in_transaction!(self, "erasing a key", erase, fingerprint, tombstone, keep_out, &reserve);
        if erased {
            self.logins.forget(fingerprint);
            let mut writer = self.writer.lock().await?;
            self.truncate_log(&mut writer).await.map_err(self.writer.failed("emptying the log"))?;
            drop(writer);
            // A reader may have stood in the way: then the task that writes behind tries again.
            if self.truncate_due.load(std::sync::atomic::Ordering::Acquire) {
                self.logins.wake();
            }
        }
        Ok(erased)
    }

    async fn set_groups(&self, fingerprint: &Fingerprint, groups: &[String]) -> StoreResult<bool> {
        Ok(in_transaction!(self, "granting groups", set_groups, fingerprint, groups))
    }

    async fn list(&self, query: &KeyQuery) -> StoreResult<Vec<EnrolledKey>> {
        let (lane, mut reader) = self.readers.lock().await?;
        let failed = lane.failed("listing keys");
        let after = query.after.as_ref().map_or(&[][..], Fingerprint::as_bytes);
        let listed = sqlx::query(LIST).bind(after).bind(query.approved_only).bind(query.limit);
        let listed = listed.fetch_all(&mut *reader).await.map_err(&failed)?;
        listed.iter().map(rows::key).collect::<Result<_, _>>().map_err(failed)
    }

    async fn count(&self) -> StoreResult<u64> {
        let (lane, mut reader) = self.readers.lock().await?;
        let failed = lane.failed("counting keys");
        let row = sqlx::query("SELECT enrolled_keys FROM installation")
            .fetch_one(&mut *reader)
            .await
            .map_err(&failed)?;
        rows::unsigned(&row, 0).map_err(failed)
    }

    async fn flush(&self) -> StoreResult<()> {
        self.write_logins().await?;
        // So that after an orderly end the database's own file holds everything, and a copy of it is a backup.
        let mut writer = self.writer.lock().await?;
        self.truncate_log(&mut writer).await.map_err(self.writer.failed("emptying the log"))
    }

    async fn check_health(&self) -> StoreResult<()> {
        self.count().await.map(drop)
    }
}

async fn find(
    connection: &mut SqliteConnection,
    fingerprint: &Fingerprint,
) -> Result<Option<EnrolledKey>, sqlx::Error> {
    let row = sqlx::query(FIND).bind(fingerprint.as_bytes()).fetch_optional(connection).await?;
    row.as_ref().map(rows::key).transpose()
}

async fn enroll(writer: &mut SqliteConnection, new: &NewKey) -> Result<Enrollment, sqlx::Error> {
    if let Some(key) = find(writer, &new.fingerprint).await? {
        return Ok(Enrollment::AlreadyThere(key));
    }
    let fingerprint = new.fingerprint.as_bytes();
    // A sub is never given twice: not while an identity has it, not when it was kept for one that is gone.
    let taken: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM tombstones WHERE hash = ?1) \
         OR EXISTS (SELECT 1 FROM reserved_subs WHERE hash = ?1) OR EXISTS (SELECT 1 FROM identities WHERE sub = ?2)",
    )
    .bind(&new.tombstone[..])
    .bind(fingerprint)
    .fetch_one(&mut *writer)
    .await?;
    if taken {
        return Ok(Enrollment::Tombstone);
    }
    let identity: i64 = sqlx::query_scalar(
        "INSERT INTO identities (sub, approved, generation) \
         VALUES (?1, ?2, (SELECT first_generation FROM installation)) RETURNING id",
    )
    .bind(fingerprint)
    .bind(new.approved)
    .fetch_one(&mut *writer)
    .await?;
    let revision = next_revision(writer).await?;
    sqlx::query(
        "INSERT INTO keys (fingerprint, identity_id, signing_keys, certificate_digest, revision, enrolled_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(fingerprint)
    .bind(identity)
    .bind(&new.signing_keys[..])
    .bind(&new.certificate_digest[..])
    .bind(revision)
    .bind(seconds(new.at))
    .execute(&mut *writer)
    .await?;
    sqlx::query("UPDATE installation SET enrolled_keys = enrolled_keys + 1").execute(&mut *writer).await?;
    let key = find(writer, &new.fingerprint).await?;
    key.map(Enrollment::Enrolled).ok_or(sqlx::Error::RowNotFound)
}

async fn next_revision(writer: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("UPDATE installation SET last_revision = last_revision + 1 RETURNING last_revision")
        .fetch_one(writer)
        .await
}

async fn update(writer: &mut SqliteConnection, facts: &KeyFacts) -> Result<bool, sqlx::Error> {
    let Some(key) = find(writer, &facts.fingerprint).await? else { return Ok(false) };
    if key.revision != facts.revision {
        return Ok(false);
    }
    let revision = next_revision(writer).await?;
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
    if facts.revoked_at.is_some() && key.revoked.is_none() {
        tokens::tell_key(writer, &key.fingerprint).await?;
    }
    if facts.revoked_at.is_some() || facts.ends_tokens {
        raise_generation(writer, &key).await?;
    }
    Ok(true)
}

/// Makes every token of the key's identity worthless, and says so in the feed.
async fn raise_generation(writer: &mut SqliteConnection, key: &EnrolledKey) -> Result<(), sqlx::Error> {
    let generation = signed(key.identity.generation.saturating_add(1));
    sqlx::query("UPDATE identities SET generation = ?2 WHERE sub = ?1")
        .bind(key.identity.sub.as_bytes())
        .bind(generation)
        .execute(&mut *writer)
        .await?;
    tokens::tell_generation(writer, &key.identity.sub, generation).await
}

async fn approve(writer: &mut SqliteConnection, fingerprint: &Fingerprint) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE identities SET approved = 1 WHERE id = (SELECT identity_id FROM keys WHERE fingerprint = ?1)",
    )
    .bind(fingerprint.as_bytes())
    .execute(writer)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn revoke(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    let Some(key) = find(writer, fingerprint).await? else { return Ok(false) };
    sqlx::query(
        "UPDATE keys SET revoked_at = coalesce(revoked_at, ?2), revoked_by = 'administrator' WHERE fingerprint = ?1",
    )
    .bind(fingerprint.as_bytes())
    .bind(seconds(at))
    .execute(&mut *writer)
    .await?;
    if key.revoked.is_none() {
        tokens::tell_key(writer, fingerprint).await?;
    }
    raise_generation(writer, &key).await?;
    Ok(true)
}

async fn set_groups(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    groups: &[String],
) -> Result<bool, sqlx::Error> {
    let Some(key) = find(writer, fingerprint).await? else { return Ok(false) };
    let identity: i64 = sqlx::query_scalar("SELECT identity_id FROM keys WHERE fingerprint = ?1")
        .bind(fingerprint.as_bytes())
        .fetch_one(&mut *writer)
        .await?;
    sqlx::query("DELETE FROM grants WHERE identity_id = ?1").bind(identity).execute(&mut *writer).await?;
    for group in groups {
        sqlx::query("INSERT OR IGNORE INTO grants (identity_id, name) VALUES (?1, ?2)")
            .bind(identity)
            .bind(group.as_str())
            .execute(&mut *writer)
            .await?;
    }
    if key.identity.groups.iter().any(|group| !groups.contains(group)) {
        raise_generation(writer, &key).await?;
    }
    Ok(true)
}

async fn erase(
    writer: &mut SqliteConnection,
    fingerprint: &Fingerprint,
    tombstone: &[u8; 32],
    keep_out: bool,
    hash_of: &(dyn Fn(&Fingerprint) -> [u8; 32] + Sync),
) -> Result<bool, sqlx::Error> {
    let Some(key) = find(writer, fingerprint).await? else { return Ok(false) };
    let stays_out = keep_out || key.revoked.is_some() || key.identity.suspended;
    if stays_out {
        insert_hash(writer, "INSERT OR IGNORE INTO tombstones (hash) VALUES (?1)", tombstone).await?;
    }
    let identity: i64 = sqlx::query_scalar("DELETE FROM keys WHERE fingerprint = ?1 RETURNING identity_id")
        .bind(fingerprint.as_bytes())
        .fetch_one(&mut *writer)
        .await?;
    let sub = &key.identity.sub;
    let gone = sqlx::query(
        "DELETE FROM identities WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM keys WHERE identity_id = ?1)",
    )
    .bind(identity)
    .execute(&mut *writer)
    .await?
    .rows_affected()
        > 0;
    if gone && sub != fingerprint {
        insert_hash(writer, "INSERT OR IGNORE INTO reserved_subs (hash) VALUES (?1)", &hash_of(sub)).await?;
    }
    // Should the same key enrol again, its identity begins where tokens of the erased one are worthless.
    sqlx::query(
        "UPDATE installation SET enrolled_keys = enrolled_keys - 1, first_generation = max(first_generation, ?1)",
    )
    .bind(signed(key.identity.generation.saturating_add(1)))
    .execute(&mut *writer)
    .await?;
    tokens::forget_subject(writer, fingerprint).await?;
    raise_generation(writer, &key).await?;
    // One that may enrol again must not be told to be gone for good.
    if stays_out {
        tokens::tell_key(writer, fingerprint).await?;
    }
    tokens::mark_erased(writer, fingerprint).await?;
    if gone {
        tokens::mark_erased(writer, sub).await?;
    }
    Ok(true)
}

async fn insert_hash(
    writer: &mut SqliteConnection,
    statement: &'static str,
    hash: &[u8; 32],
) -> Result<(), sqlx::Error> {
    sqlx::query(statement).bind(&hash[..]).execute(writer).await.map(drop)
}
