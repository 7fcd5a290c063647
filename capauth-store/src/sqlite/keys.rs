//! [`KeyStore`] on SQLite: which step does what, each in a transaction of its own.

use async_trait::async_trait;
use capauth_protocol::Fingerprint;
use capauth_verifier::{
    AuditEvent, AuditPage, Changed, EnrolledKey, Enrollment, HashOf, KeyFacts, KeyQuery, KeyStore, Link,
    NewCode, NewKey, Note, Rotation, StoreResult, Timestamp, Unlink,
};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::rows::{self, seconds, select_keys};
use super::{Database, audit, due, enrolling, erasing, identities, linking, rotating};

const FIND: &str = select_keys!("WHERE k.fingerprint = ?1");
const BESIDE: &str =
    select_keys!("WHERE k.identity_id = (SELECT identity_id FROM keys WHERE fingerprint = ?1)");
const NAMED: &str = select_keys!("WHERE i.user_name = ?1 ORDER BY k.fingerprint");
const LIST: &str = select_keys!(
    "WHERE k.fingerprint BETWEEN ?1 AND ?2 AND (i.approved = 1 OR NOT ?3) ORDER BY k.fingerprint LIMIT ?4"
);
/// Few wait, so that sorting them costs little.
const LIST_PENDING: &str = select_keys!(
    "WHERE k.identity_id IN (SELECT identity_id FROM pending) AND k.fingerprint BETWEEN ?1 AND ?2 AND NOT ?3 \
     ORDER BY k.fingerprint LIMIT ?4"
);

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

    async fn keys_beside(&self, fingerprint: &Fingerprint) -> StoreResult<Vec<EnrolledKey>> {
        let (lane, mut reader) = self.readers.lock().await?;
        beside(&mut reader, fingerprint).await.map_err(lane.failed("finding an identity's keys"))
    }

    async fn enroll(&self, key: &NewKey, note: &Note) -> StoreResult<Enrollment> {
        Ok(in_transaction!(self, "enrolling a key", enrolling::enroll, key, note))
    }

    async fn update(&self, facts: &KeyFacts, note: &Note) -> StoreResult<bool> {
        Ok(in_transaction!(self, "updating a key", identities::update, facts, note))
    }

    fn note_login(&self, fingerprint: &Fingerprint, at: Timestamp) {
        self.logins.note(*fingerprint, at);
    }

    async fn approve(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        Ok(in_transaction!(self, "approving a key", identities::approve, fingerprint, note))
    }

    async fn revoke(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        Ok(in_transaction!(self, "revoking a key", identities::revoke, fingerprint, note))
    }

    async fn erase(
        &self,
        fingerprint: &Fingerprint,
        tombstone: HashOf<'_>,
        keep_out: bool,
        note: &Note,
    ) -> StoreResult<bool> {
        let erased =
            in_transaction!(self, "erasing a key", erasing::erase, fingerprint, tombstone, keep_out, note);
        for fingerprint in &erased {
            self.logins.forget(fingerprint);
        }
        if !erased.is_empty() {
            let mut writer = self.writer.lock().await?;
            self.truncate_log(&mut writer).await.map_err(self.writer.failed("emptying the log"))?;
            drop(writer);
            // A reader may have stood in the way: then the task that writes behind tries again.
            if self.truncate_due.load(std::sync::atomic::Ordering::Acquire) {
                self.logins.wake();
            }
        }
        Ok(!erased.is_empty())
    }

    async fn set_groups(
        &self,
        fingerprint: &Fingerprint,
        groups: &[String],
        note: &Note,
    ) -> StoreResult<bool> {
        Ok(in_transaction!(self, "granting groups", identities::set_groups, fingerprint, groups, note))
    }

    async fn replace_groups(
        &self,
        fingerprint: &Fingerprint,
        known: &[String],
        groups: &[String],
        note: &Note,
    ) -> StoreResult<Changed> {
        let replace = identities::replace_groups;
        Ok(in_transaction!(self, "granting groups", replace, fingerprint, known, groups, note))
    }

    async fn set_user_name(
        &self,
        fingerprint: &Fingerprint,
        name: Option<(&str, [u8; 32])>,
        note: &Note,
    ) -> StoreResult<Changed> {
        Ok(in_transaction!(self, "giving a user name", identities::set_user_name, fingerprint, name, note))
    }

    async fn end_all(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        Ok(in_transaction!(self, "ending an identity's tokens", identities::end_all, fingerprint, note))
    }

    async fn rotate(&self, rotation: &Rotation, note: &Note) -> StoreResult<Changed> {
        Ok(in_transaction!(self, "rotating a key", rotating::rotate, rotation, note))
    }

    async fn cancel_rotation(&self, old: &Fingerprint, note: &Note) -> StoreResult<bool> {
        Ok(in_transaction!(self, "cancelling a rotation", rotating::cancel, old, note))
    }

    async fn link(&self, link: &Link, note: &Note) -> StoreResult<Changed> {
        Ok(in_transaction!(self, "linking a key", linking::link, link, note))
    }

    async fn unlink(&self, unlink: &Unlink, note: &Note) -> StoreResult<Changed> {
        Ok(in_transaction!(self, "unlinking a key", linking::unlink, unlink, note))
    }

    async fn confirm_email(
        &self,
        fingerprint: &Fingerprint,
        hash: &[u8; 32],
        confirmed: bool,
        note: &Note,
    ) -> StoreResult<Changed> {
        Ok(in_transaction!(
            self,
            "vouching for an address",
            identities::confirm_email,
            fingerprint,
            hash,
            confirmed,
            note
        ))
    }

    async fn is_email_confirmed(&self, sub: &Fingerprint, hash: &[u8; 32]) -> StoreResult<bool> {
        let (lane, mut reader) = self.readers.lock().await?;
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM confirmed_emails c JOIN identities i ON i.id = c.identity_id \
             WHERE i.sub = ?1 AND c.hash = ?2)",
        )
        .bind(sub.as_bytes())
        .bind(&hash[..])
        .fetch_one(&mut *reader)
        .await
        .map_err(lane.failed("looking for an address"))
    }

    async fn add_code(&self, code: &NewCode, note: &Note) -> StoreResult<()> {
        in_transaction!(self, "adding a code", enrolling::add_code, code, note);
        Ok(())
    }

    async fn has_code(&self, hash: &[u8; 32], now: Timestamp) -> StoreResult<bool> {
        let (lane, mut reader) = self.readers.lock().await?;
        enrolling::has_code(&mut reader, hash, now).await.map_err(lane.failed("looking for a code"))
    }

    async fn use_code(&self, fingerprint: &Fingerprint, hash: &[u8; 32], note: &Note) -> StoreResult<bool> {
        Ok(in_transaction!(self, "using a code", enrolling::use_code, fingerprint, hash, note))
    }

    async fn do_what_is_due(&self, pending_since: Timestamp, note: &Note) -> StoreResult<bool> {
        let is_due = {
            let (lane, mut reader) = self.readers.lock().await?;
            due::is_any(&mut reader, pending_since, note.at)
                .await
                .map_err(lane.failed("looking what is due"))?
        };
        if !is_due || !in_transaction!(self, "doing what is due", due::do_all, pending_since, note) {
            return Ok(false);
        }
        self.truncate_due.store(true, std::sync::atomic::Ordering::Release);
        self.logins.wake();
        Ok(true)
    }

    async fn write_audit(
        &self,
        event: AuditEvent,
        subject: Option<&Fingerprint>,
        note: &Note,
    ) -> StoreResult<()> {
        in_transaction!(self, "writing the audit log", audit::write_about, event, subject, note);
        Ok(())
    }

    async fn audit(&self, after: u64, limit: u32) -> StoreResult<AuditPage> {
        let (lane, mut reader) = self.readers.lock().await?;
        audit::page(&mut reader, after, limit).await.map_err(lane.failed("reading the audit log"))
    }

    async fn audit_back(&self, before: u64, limit: u32) -> StoreResult<AuditPage> {
        let (lane, mut reader) = self.readers.lock().await?;
        audit::page_back(&mut reader, before, limit).await.map_err(lane.failed("reading the audit log"))
    }

    async fn find_by_user_name(&self, name: &str) -> StoreResult<Vec<EnrolledKey>> {
        let (lane, mut reader) = self.readers.lock().await?;
        let failed = lane.failed("finding a user name");
        let named = sqlx::query(NAMED).bind(name).fetch_all(&mut *reader).await.map_err(&failed)?;
        named.iter().map(rows::key).collect::<Result<_, _>>().map_err(failed)
    }

    async fn list(&self, query: &KeyQuery) -> StoreResult<Vec<EnrolledKey>> {
        let (lane, mut reader) = self.readers.lock().await?;
        let failed = lane.failed("listing keys");
        let (mut low, high) = query.prefix.bounds();
        if let Some(after) = &query.after {
            // The first that comes after it.
            low = low.max([after.as_bytes(), &[0]].concat());
        }
        let statement = if query.pending_only { LIST_PENDING } else { LIST };
        let listed = sqlx::query(statement).bind(low).bind(high).bind(query.approved_only).bind(query.limit);
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
        self.file.check()?;
        self.count().await.map(drop)
    }
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    fingerprint: &Fingerprint,
) -> Result<Option<EnrolledKey>, sqlx::Error> {
    let row = sqlx::query(FIND).bind(fingerprint.as_bytes()).fetch_optional(connection).await?;
    row.as_ref().map(rows::key).transpose()
}

/// Every key of a key's identity.
pub(super) async fn beside(
    connection: &mut SqliteConnection,
    fingerprint: &Fingerprint,
) -> Result<Vec<EnrolledKey>, sqlx::Error> {
    let rows = sqlx::query(BESIDE).bind(fingerprint.as_bytes()).fetch_all(connection).await?;
    rows.iter().map(rows::key).collect()
}

/// The row of the identity that a key signs for.
pub(super) async fn identity_of(
    connection: &mut SqliteConnection,
    fingerprint: &Fingerprint,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT identity_id FROM keys WHERE fingerprint = ?1")
        .bind(fingerprint.as_bytes())
        .fetch_one(connection)
        .await
}

/// A key's row, as it is written down for an identity.
pub(super) async fn insert(
    writer: &mut SqliteConnection,
    identity: i64,
    new: &NewKey,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let revision = next_revision(writer).await?;
    sqlx::query(
        "INSERT INTO keys (fingerprint, identity_id, signing_keys, certificate_digest, revision, enrolled_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(new.fingerprint.as_bytes())
    .bind(identity)
    .bind(&new.signing_keys[..])
    .bind(&new.certificate_digest[..])
    .bind(revision)
    .bind(seconds(at))
    .execute(writer)
    .await
    .map(drop)
}

pub(super) async fn next_revision(writer: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("UPDATE installation SET last_revision = last_revision + 1 RETURNING last_revision")
        .fetch_one(writer)
        .await
}

/// How many more, or fewer, keys are enrolled.
pub(super) async fn count_more(writer: &mut SqliteConnection, by: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE installation SET enrolled_keys = enrolled_keys + ?1")
        .bind(by)
        .execute(writer)
        .await
        .map(drop)
}
