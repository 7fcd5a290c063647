//! Looking at a database before anything is done to it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};

use super::options;
use crate::error::OpenError;
use crate::place::with_suffix;

/// The installation's sealed secret that the database at `path` holds, if there is a database and it holds one.
///
/// Refuses what is no CapAuth database, and one that a newer version wrote, without touching either.
pub(super) async fn at(path: &Path, newest: i64) -> Result<Option<Vec<u8>>, OpenError> {
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
    let seen = examine(&mut connection).await;
    connection.close().await.map_err(words)?;
    match seen.map_err(words)? {
        Seen::Nothing => Ok(None),
        Seen::SomethingElse => Err(OpenError::new(format!(
            "{} is a database, but not one of CapAuth's; name another file",
            path.display()
        ))),
        Seen::Version(version, _) if version > newest => Err(OpenError::new(format!(
            "{} was written by a newer version of CapAuth (schema {version}, this version knows {newest}); \
             start that version, or restore a backup made before the upgrade. Nothing was changed",
            path.display()
        ))),
        Seen::Version(_, secret) => Ok(secret),
    }
}

enum Seen {
    Nothing,
    SomethingElse,
    Version(i64, Option<Vec<u8>>),
}

async fn examine(connection: &mut SqliteConnection) -> Result<Seen, sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut *connection)
        .await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if tables.is_empty() {
        return Ok(Seen::Nothing);
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
