//! What happens by itself when its time comes.

use capauth_verifier::{Note, Timestamp};
use sqlx::sqlite::SqliteConnection;

use super::rows::seconds;
use super::{enrolling, rotating};

/// How many of a kind are done in one transaction; the rest a moment later.
const AT_ONCE: u32 = 100;

/// Whether there is anything to do. Every part is answered by an index.
pub(super) async fn is_any(
    connection: &mut SqliteConnection,
    pending_since: Timestamp,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM waiting_rotations WHERE due <= ?2) \
         OR EXISTS (SELECT 1 FROM pending WHERE since < ?1) \
         OR EXISTS (SELECT 1 FROM enrollment_codes WHERE expires <= ?2)",
    )
    .bind(seconds(pending_since))
    .bind(seconds(now))
    .fetch_one(connection)
    .await
}

/// Answers whether anything was taken away from anybody.
pub(super) async fn do_all(
    writer: &mut SqliteConnection,
    pending_since: Timestamp,
    note: &Note,
) -> Result<bool, sqlx::Error> {
    let now = seconds(note.at);
    let rotations: Vec<i64> =
        sqlx::query_scalar("SELECT identity_id FROM waiting_rotations WHERE due <= ?1 ORDER BY due LIMIT ?2")
            .bind(now)
            .bind(AT_ONCE)
            .fetch_all(&mut *writer)
            .await?;
    for identity in &rotations {
        rotating::come_due(writer, *identity, note).await?;
    }
    let pending: Vec<i64> =
        sqlx::query_scalar("SELECT identity_id FROM pending WHERE since < ?1 ORDER BY since LIMIT ?2")
            .bind(seconds(pending_since))
            .bind(AT_ONCE)
            .fetch_all(&mut *writer)
            .await?;
    for identity in &pending {
        enrolling::drop_pending(writer, *identity).await?;
    }
    sqlx::query("DELETE FROM enrollment_codes WHERE expires <= ?1").bind(now).execute(writer).await?;
    Ok(!rotations.is_empty() || !pending.is_empty())
}
