//! Reading the key store of the Python service, without changing a byte of it or beside it.

use std::io::Read as _;
use std::path::Path;

use capauth_protocol::limits::MAX_PUBLIC_KEY_TEXT;
use capauth_verifier::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Connection, Row};

use super::{foreign_options, look};
use crate::error::OpenError;
use crate::place::with_suffix;

/// The longest text in any column but the certificate's. A fingerprint has 64 digits, a time about 32 characters.
const SHORT: i64 = 64;

/// Everything that is text arrives as bytes, cut off by nothing but left out where it is too long: SQLite keeps any kind
/// of value in any column.
const ROWS: &str = "
    SELECT rowid,
        CASE WHEN typeof(fingerprint) = 'text' AND length(CAST(fingerprint AS BLOB)) <= ?3
            THEN CAST(fingerprint AS BLOB) END,
        CASE WHEN typeof(public_key_armor) = 'text' AND length(CAST(public_key_armor AS BLOB)) <= ?4
            THEN CAST(public_key_armor AS BLOB) END,
        CASE WHEN typeof(enrolled_at) = 'text' AND length(enrolled_at) <= ?3 THEN unixepoch(enrolled_at) END,
        CASE WHEN typeof(last_auth) = 'text' AND length(last_auth) <= ?3 THEN unixepoch(last_auth) END,
        coalesce(typeof(approved) = 'integer' AND approved <> 0, 0),
        CASE WHEN typeof(linked_to) = 'text' AND length(CAST(linked_to AS BLOB)) <= ?3
            THEN CAST(linked_to AS BLOB) END
    FROM enrolled_keys WHERE rowid > ?1 AND (linked_to IS NOT NULL) = ?2 ORDER BY rowid LIMIT 100";

/// A row of the Python service's key store. What is too long, or no text at all, is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonKey {
    /// Where it stands, for a person to find it.
    pub row: i64,
    /// The fingerprint, as text of at most 64 bytes.
    pub fingerprint: Option<String>,
    /// The armored certificate.
    pub public_key: Option<String>,
    /// When it enrolled.
    pub enrolled_at: Option<Timestamp>,
    /// When it last signed in.
    pub last_auth: Option<Timestamp>,
    /// Whether it may sign in.
    pub approved: bool,
    /// The fingerprint of the key that it is linked to.
    pub linked_to: Option<String>,
}

/// The Python service's key store, read page by page. Keys that are linked to others come after all others.
#[derive(Debug)]
pub struct PythonKeys {
    connection: SqliteConnection,
    after: i64,
    linked: bool,
}

impl PythonKeys {
    /// Opens it for reading; the Python service may have it open.
    ///
    /// # Errors
    /// It is not there, not to be read, or not what the Python service makes.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let words = |e: sqlx::Error| OpenError::because(format!("cannot read {}: {e}", path.display()), e);
        let immutable = nobody_writes(path)?;
        let mut connection =
            foreign_options(path).read_only(true).immutable(immutable).connect().await.map_err(words)?;
        look::limit_steps(&mut connection).await.map_err(words)?;
        let is_table = look::is_plain_table(&mut connection, "enrolled_keys").await.map_err(words)?;
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info('enrolled_keys')")
            .fetch_all(&mut connection)
            .await
            .map_err(words)?;
        let wanted = ["fingerprint", "public_key_armor", "enrolled_at", "last_auth", "approved", "linked_to"];
        if !is_table || !wanted.iter().all(|wanted| columns.iter().any(|column| column == wanted)) {
            return Err(OpenError::new(format!(
                "{} is not the key store of the Python service: it has no table `enrolled_keys` with the columns {}",
                path.display(),
                wanted.join(", ")
            )));
        }
        Ok(Self { connection, after: i64::MIN, linked: false })
    }

    /// The next rows; none when there are no more.
    ///
    /// # Errors
    /// It cannot be read any further.
    pub async fn next(&mut self) -> Result<Vec<PythonKey>, OpenError> {
        let words = |e: sqlx::Error| OpenError::because(format!("cannot read the key store: {e}"), e);
        loop {
            look::limit_steps(&mut self.connection).await.map_err(words)?;
            let rows = sqlx::query(ROWS)
                .bind(self.after)
                .bind(self.linked)
                .bind(SHORT)
                .bind(i64::try_from(MAX_PUBLIC_KEY_TEXT).unwrap_or(i64::MAX))
                .fetch_all(&mut self.connection)
                .await
                .map_err(words)?;
            let page = rows.iter().map(read).collect::<Result<Vec<_>, _>>().map_err(words)?;
            let mut before = self.after;
            for key in &page {
                // Rows come in their order, unless somebody made a table that goes in circles.
                if std::mem::replace(&mut before, key.row) >= key.row {
                    return Err(OpenError::new("cannot read the key store: it is damaged"));
                }
            }
            match page.last() {
                Some(last) => self.after = last.row,
                None if self.linked => {}
                None => {
                    (self.linked, self.after) = (true, i64::MIN);
                    continue;
                }
            }
            return Ok(page);
        }
    }

    /// Lets go of it.
    ///
    /// # Errors
    /// It cannot be closed.
    pub async fn close(self) -> Result<(), OpenError> {
        self.connection.close().await.map_err(|e| OpenError::because("cannot close the key store", e))
    }
}

fn read(row: &SqliteRow) -> Result<PythonKey, sqlx::Error> {
    let text = |column: usize| {
        let bytes: Option<Vec<u8>> = row.try_get(column)?;
        Ok::<_, sqlx::Error>(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    };
    let time = |column: usize| {
        let seconds: Option<i64> = row.try_get(column)?;
        Ok::<_, sqlx::Error>(seconds.and_then(|s| u64::try_from(s).ok()).map(Timestamp::from_unix))
    };
    Ok(PythonKey {
        row: row.try_get(0)?,
        fingerprint: text(1)?,
        public_key: text(2)?,
        enrolled_at: time(3)?,
        last_auth: time(4)?,
        approved: row.try_get(5)?,
        linked_to: text(6)?,
    })
}

/// Whether a database may be read as if nothing could change it.
///
/// One that keeps a write-ahead log makes files beside it whenever it is opened, unless it is read so; without such a
/// log there is nobody who writes. Any other is read under SQLite's locks, which make no files.
fn nobody_writes(path: &Path) -> Result<bool, OpenError> {
    let cannot = |e: std::io::Error| OpenError::because(format!("cannot read {}: {e}", path.display()), e);
    let mut header = [0; 20];
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(OpenError::new(format!("{} is no file", path.display())));
    }
    let read = std::fs::File::open(path).map_err(cannot)?.read_exact(&mut header);
    let keeps_log = read.is_ok() && header.get(18) == Some(&2);
    let log = std::fs::metadata(with_suffix(path, "-wal")).map_or(0, |log| log.len());
    Ok(keeps_log && log == 0)
}
