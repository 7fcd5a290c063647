//! Looking at a database before anything is done to it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};

use super::{backup, options};
use crate::error::OpenError;
use crate::place::with_suffix;

/// A database of CapAuth's, of this version or an older one.
pub(super) struct Found {
    /// The version of its schema.
    pub(super) schema: i64,
    /// The installation's sealed secret, if it holds one.
    pub(super) sealed: Option<Vec<u8>>,
}

/// The database at `path`, if there is one.
///
/// Refuses what is no CapAuth database, and one that a newer version wrote, without touching either.
pub(super) async fn at(path: &Path, newest: i64) -> Result<Option<Found>, OpenError> {
    let size = |path: &Path| match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(OpenError::new(format!("{} is a folder, not a database", path.display())))
        }
        Ok(found) => Ok(found.len()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
        Err(e) => Err(OpenError::because(format!("cannot read {}: {e}", path.display()), e)),
    };
    let log = size(&with_suffix(path, "-wal"))?;
    if size(path)? == 0 && log == 0 {
        return Ok(None);
    }
    let words =
        |e: sqlx::Error| OpenError::because(format!("cannot read the database {}: {e}", path.display()), e);
    // `immutable` keeps SQLite from making files beside the database. With a log there (after a crash, or beside
    // another process) it would read stale data, and those files are there anyway.
    let options = options(path).read_only(true).immutable(log == 0);
    let mut connection = options.connect().await.map_err(words)?;
    let seen = match backup::is_one(&mut connection).await {
        Ok(true) => Ok(Seen::Backup),
        Ok(false) => examine(&mut connection).await,
        Err(e) => Err(e),
    };
    connection.close().await.map_err(words)?;
    match seen.map_err(words)? {
        Seen::Nothing => Ok(None),
        Seen::Backup => Err(OpenError::new(format!(
            "{} is a backup. Started from, it would revive every session and token that has ended since; bring it \
             back with `capauth-service restore`",
            path.display()
        ))),
        Seen::Python => Err(OpenError::new(format!(
            "{} is the key store of the Python service; name another file, and take its keys over with \
             `capauth-service import --from-python`",
            path.display()
        ))),
        Seen::SomethingElse => Err(OpenError::new(format!(
            "{} is a database, but not one of CapAuth's; name another file",
            path.display()
        ))),
        Seen::Version(version, _) if version > newest => Err(OpenError::new(format!(
            "{} was written by a newer version of CapAuth (schema {version}, this version knows {newest}); \
             start that version, or restore a backup made before the upgrade. Nothing was changed",
            path.display()
        ))),
        Seen::Version(schema, sealed) => Ok(Some(Found { schema, sealed })),
    }
}

/// What a database is.
pub(super) enum Seen {
    Nothing,
    Backup,
    /// The Python service's, which lies at the same place by default.
    Python,
    SomethingElse,
    /// Ours: the schema's version, and the sealed secret if this version knows where it is.
    Version(i64, Option<Vec<u8>>),
}

pub(super) async fn examine(connection: &mut SqliteConnection) -> Result<Seen, sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut *connection)
        .await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if tables.is_empty() {
        return Ok(Seen::Nothing);
    }
    if has("enrolled_keys") {
        return Ok(Seen::Python);
    }
    if !has("_sqlx_migrations") || !has("installation") {
        return Ok(Seen::SomethingElse);
    }
    let version: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *connection).await?;
    let version = version.unwrap_or(0);
    if version > super::newest_migration() {
        // What a later schema means by its columns is not known here.
        return Ok(Seen::Version(version, None));
    }
    let secret =
        sqlx::query_scalar("SELECT sealed_secret FROM installation").fetch_optional(connection).await?;
    Ok(Seen::Version(version, secret.flatten()))
}

/// After so many steps of SQLite's machine it asks whether to go on.
const STEPS: i32 = 100_000;

/// Ends whatever takes longer than a thousand times [`STEPS`], some seconds: in a file that somebody made up, a table may
/// go in circles. Counts anew whenever it is called.
pub(super) async fn limit_steps(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    limit_to(connection, 1_000).await
}

async fn limit_to(connection: &mut SqliteConnection, times: u32) -> Result<(), sqlx::Error> {
    let mut left = times;
    connection.lock_handle().await?.set_progress_handler(STEPS, move || {
        left = left.saturating_sub(1);
        left > 0
    });
    Ok(())
}

/// Whether this is a table that holds what it shows: no view and no virtual table, and no column of it is computed. All
/// of these would run what whoever made the file likes.
pub(super) async fn is_plain_table(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let is_table = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?1 AND type = 'table' AND sql GLOB 'CREATE TABLE *')",
    );
    if !is_table.bind(name).fetch_one(&mut *connection).await? {
        return Ok(false);
    }
    sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1) WHERE hidden <> 0)")
        .bind(name)
        .fetch_one(connection)
        .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn attack_a_question_without_end() {
        let mut connection =
            sqlx::sqlite::SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        limit_to(&mut connection, 10).await.unwrap();
        let rows = |limit: &str| {
            format!(
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n {limit}) SELECT max(x) FROM n"
            )
        };
        let endless =
            sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(rows(""))).fetch_one(&mut connection).await;
        assert!(endless.unwrap_err().to_string().contains("interrupted"));
        limit_to(&mut connection, 10).await.unwrap();
        let ends = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(rows("LIMIT 1000")));
        assert_eq!(ends.fetch_one(&mut connection).await.unwrap(), 1000);
    }
}
