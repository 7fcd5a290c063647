//! [`TokenStore`] on SQLite, and the feed of revocations.

use async_trait::async_trait;
use capauth_protocol::Fingerprint;
use capauth_verifier::{
    Installation, KeyPurpose, Revocation, RevocationPage, StoreResult, StoredTokenKey, Timestamp, TokenStore,
};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use super::Database;
use super::keys::in_transaction;
use super::rows::{self, seconds, signed};

/// How long the feed goes on telling of an erased key: longer than any token lives, or a session made of one elsewhere.
const ERASED_IS_TOLD_FOR: u64 = 31 * 24 * 3600;

#[async_trait]
impl TokenStore for Database {
    async fn installation(&self) -> StoreResult<Installation> {
        let (lane, mut reader) = self.readers.lock().await?;
        let failed = lane.failed("reading the installation");
        let query = sqlx::query("SELECT epoch, master_key_check FROM installation");
        let row = query.fetch_one(&mut *reader).await.map_err(&failed)?;
        let read = |row: &SqliteRow| {
            Ok(Installation { epoch: rows::unsigned(row, 0)?, master_key_check: row.try_get(1)? })
        };
        read(&row).map_err(failed)
    }

    async fn set_master_key_check(&self, check: &[u8]) -> StoreResult<Vec<u8>> {
        Ok(in_transaction!(self, "remembering the master key", set_master_key_check, check))
    }

    async fn remember_server_keys(&self, fingerprints: &[Fingerprint]) -> StoreResult<Vec<Fingerprint>> {
        if fingerprints.is_empty() {
            let (lane, mut reader) = self.readers.lock().await?;
            return server_keys(&mut reader).await.map_err(lane.failed("reading the server's keys"));
        }
        Ok(in_transaction!(self, "remembering the server's keys", remember_server_keys, fingerprints))
    }

    async fn token_keys(&self, purpose: KeyPurpose) -> StoreResult<Vec<StoredTokenKey>> {
        let (lane, mut reader) = self.readers.lock().await?;
        token_keys(&mut reader, purpose).await.map_err(lane.failed("reading token keys"))
    }

    async fn add_token_key(
        &self,
        purpose: KeyPurpose,
        newest: Option<&str>,
        key: &StoredTokenKey,
    ) -> StoreResult<Vec<StoredTokenKey>> {
        Ok(in_transaction!(self, "adding a token key", add_token_key, purpose, newest, key))
    }

    async fn remove_token_key(&self, purpose: KeyPurpose, kid: &str) -> StoreResult<()> {
        in_transaction!(self, "removing a token key", remove_token_key, purpose, kid);
        Ok(())
    }

    async fn revoke_token(&self, jti_hash: &[u8; 32], expires: Timestamp) -> StoreResult<()> {
        in_transaction!(self, "revoking a token", revoke_token, jti_hash, expires);
        Ok(())
    }

    async fn is_token_revoked(&self, jti_hash: &[u8; 32]) -> StoreResult<bool> {
        let (lane, mut reader) = self.readers.lock().await?;
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti_hash = ?1)")
            .bind(&jti_hash[..])
            .fetch_one(&mut *reader)
            .await
            .map_err(lane.failed("looking for a revoked token"))
    }

    async fn revocations(&self, after: u64, limit: u32) -> StoreResult<RevocationPage> {
        let (lane, mut reader) = self.readers.lock().await?;
        revocations(&mut reader, after, limit).await.map_err(lane.failed("reading revocations"))
    }

    async fn forget_expired(&self, now: Timestamp) -> StoreResult<()> {
        in_transaction!(self, "forgetting expired tokens", forget_expired, now);
        Ok(())
    }
}

/// The installation's sealed secret: the one that is there, or else this one.
pub(super) async fn sealed_secret(
    writer: &mut SqliteConnection,
    made: &[u8],
) -> Result<Vec<u8>, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE installation SET sealed_secret = coalesce(sealed_secret, ?1) RETURNING sealed_secret",
    )
    .bind(made)
    .fetch_one(writer)
    .await
}

/// Puts another wrapping of the same secret in the place of `old`, unless somebody else already did.
pub(super) async fn replace_sealed_secret(
    writer: &mut SqliteConnection,
    old: &[u8],
    new: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE installation SET sealed_secret = ?2 WHERE sealed_secret = ?1")
        .bind(old)
        .bind(new)
        .execute(writer)
        .await
        .map(drop)
}

pub(super) async fn set_master_key_check(
    writer: &mut SqliteConnection,
    check: &[u8],
) -> Result<Vec<u8>, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE installation SET master_key_check = coalesce(master_key_check, ?1) RETURNING master_key_check",
    )
    .bind(check)
    .fetch_one(writer)
    .await
}

async fn remember_server_keys(
    writer: &mut SqliteConnection,
    fingerprints: &[Fingerprint],
) -> Result<Vec<Fingerprint>, sqlx::Error> {
    for fingerprint in fingerprints {
        sqlx::query("INSERT OR IGNORE INTO server_keys (fingerprint) VALUES (?1)")
            .bind(fingerprint.as_bytes())
            .execute(&mut *writer)
            .await?;
    }
    server_keys(writer).await
}

async fn server_keys(connection: &mut SqliteConnection) -> Result<Vec<Fingerprint>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT fingerprint FROM server_keys ORDER BY rowid").fetch_all(connection).await?;
    rows.iter().map(|row| rows::fingerprint(row, 0)).collect()
}

async fn token_keys(
    connection: &mut SqliteConnection,
    purpose: KeyPurpose,
) -> Result<Vec<StoredTokenKey>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT kid, algorithm, sealed, created_at FROM token_keys WHERE purpose = ?1 ORDER BY id",
    )
    .bind(purpose.as_str())
    .fetch_all(connection)
    .await?;
    let read = |row: &SqliteRow| {
        Ok(StoredTokenKey {
            kid: row.try_get(0)?,
            algorithm: row.try_get(1)?,
            sealed: row.try_get(2)?,
            created_at: Timestamp::from_unix(rows::unsigned(row, 3)?),
        })
    };
    rows.iter().map(read).collect()
}

async fn add_token_key(
    writer: &mut SqliteConnection,
    purpose: KeyPurpose,
    newest: Option<&str>,
    key: &StoredTokenKey,
) -> Result<Vec<StoredTokenKey>, sqlx::Error> {
    let ring = token_keys(writer, purpose).await?;
    if ring.last().map(|last| last.kid.as_str()) != newest {
        return Ok(ring);
    }
    sqlx::query(
        "INSERT INTO token_keys (purpose, kid, algorithm, sealed, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(purpose.as_str())
    .bind(key.kid.as_str())
    .bind(key.algorithm.as_str())
    .bind(&key.sealed[..])
    .bind(seconds(key.created_at))
    .execute(&mut *writer)
    .await?;
    token_keys(writer, purpose).await
}

async fn remove_token_key(
    writer: &mut SqliteConnection,
    purpose: KeyPurpose,
    kid: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM token_keys WHERE purpose = ?1 AND kid = ?2")
        .bind(purpose.as_str())
        .bind(kid)
        .execute(writer)
        .await
        .map(drop)
}

async fn revoke_token(
    writer: &mut SqliteConnection,
    jti_hash: &[u8; 32],
    expires: Timestamp,
) -> Result<(), sqlx::Error> {
    let new = sqlx::query(
        "INSERT INTO revoked_tokens (jti_hash, expires) VALUES (?1, ?2)
         ON CONFLICT (jti_hash) DO UPDATE SET expires = excluded.expires WHERE excluded.expires > expires",
    )
    .bind(&jti_hash[..])
    .bind(seconds(expires))
    .execute(&mut *writer)
    .await?;
    // Known to be remembered as long, or longer.
    if new.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("INSERT INTO revocations (kind, subject, number, forget_after) VALUES ('token', ?1, ?2, ?2)")
        .bind(&jti_hash[..])
        .bind(seconds(expires))
        .execute(writer)
        .await
        .map(drop)
}

pub(super) async fn tell_key(writer: &mut SqliteConnection, key: &Fingerprint) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO revocations (kind, subject) VALUES ('key', ?1)")
        .bind(key.as_bytes())
        .execute(writer)
        .await
        .map(drop)
}

pub(super) async fn tell_generation(
    writer: &mut SqliteConnection,
    sub: &Fingerprint,
    generation: i64,
) -> Result<(), sqlx::Error> {
    // The highest generation says it all.
    sqlx::query("DELETE FROM revocations WHERE subject = ?1 AND kind = 'generation'")
        .bind(sub.as_bytes())
        .execute(&mut *writer)
        .await?;
    sqlx::query("INSERT INTO revocations (kind, subject, number) VALUES ('generation', ?1, ?2)")
        .bind(sub.as_bytes())
        .bind(generation)
        .execute(writer)
        .await
        .map(drop)
}

pub(super) async fn forget_subject(
    writer: &mut SqliteConnection,
    key: &Fingerprint,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM revocations WHERE subject = ?1 AND kind = 'key'")
        .bind(key.as_bytes())
        .execute(writer)
        .await
        .map(drop)
}

pub(super) async fn mark_erased(writer: &mut SqliteConnection, key: &Fingerprint) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE revocations SET erased = 1 WHERE subject = ?1")
        .bind(key.as_bytes())
        .execute(writer)
        .await
        .map(drop)
}

async fn revocations(
    connection: &mut SqliteConnection,
    after: u64,
    limit: u32,
) -> Result<RevocationPage, sqlx::Error> {
    let rows =
        sqlx::query("SELECT id, kind, subject, number FROM revocations WHERE id > ?1 ORDER BY id LIMIT ?2")
            .bind(signed(after))
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
    let cursor = match rows.last() {
        Some(row) => rows::unsigned(row, 0)?,
        // Who comes with a later number than was ever given has followed another feed, and has to begin anew.
        None => {
            let last: Option<i64> =
                sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'revocations'")
                    .fetch_optional(connection)
                    .await?;
            after.min(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))
        }
    };
    Ok(RevocationPage { entries: rows.iter().map(revocation).collect::<Result<_, _>>()?, cursor })
}

fn revocation(row: &SqliteRow) -> Result<Revocation, sqlx::Error> {
    Ok(match row.try_get(1)? {
        "token" => Revocation::Token {
            jti_hash: rows::digest(row, 2)?,
            expires: Timestamp::from_unix(rows::unsigned(row, 3)?),
        },
        "generation" => {
            Revocation::Generation { sub: rows::fingerprint(row, 2)?, generation: rows::unsigned(row, 3)? }
        }
        "key" => Revocation::Key { fingerprint: rows::fingerprint(row, 2)? },
        _ => return Err(rows::damaged("a revocation")),
    })
}

async fn forget_expired(writer: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM revoked_tokens WHERE expires < ?1")
        .bind(seconds(now))
        .execute(&mut *writer)
        .await?;
    // Erasing knows no time, so the wait of what tells of it begins at the first look after.
    sqlx::query("UPDATE revocations SET forget_after = ?1 WHERE erased = 1 AND forget_after IS NULL")
        .bind(seconds(now.plus(ERASED_IS_TOLD_FOR)))
        .execute(&mut *writer)
        .await?;
    sqlx::query("DELETE FROM revocations WHERE forget_after < ?1")
        .bind(seconds(now))
        .execute(writer)
        .await
        .map(drop)
}
