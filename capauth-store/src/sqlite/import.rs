//! Taking over keys from another key store, with their dates.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use capauth_protocol::Fingerprint;
use capauth_verifier::{Admission, AuditEvent, Changed, KeyRole, Link, MasterKey, NewKey, Note, Timestamp};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};

use super::look::{self, Found};
use super::presence::Lock;
use super::rows::seconds;
use super::{
    Database, audit, enrolling, keys, linking, newest_migration, open_database, options, write_options,
    wrong_master_key,
};
use crate::error::OpenError;
use crate::place::{Place, master_key_file};
use crate::private_file;

/// A key that comes from another key store, judged.
#[derive(Debug, Clone)]
pub struct ImportedKey {
    /// The certificate's fingerprint; it becomes the identity's `sub`.
    pub fingerprint: Fingerprint,
    /// Encoded `SigningKeys`.
    pub signing_keys: Vec<u8>,
    /// SHA-256 of the certificate.
    pub certificate_digest: [u8; 32],
    /// When it enrolled there.
    pub enrolled_at: Timestamp,
    /// When it last signed in there.
    pub last_auth: Option<Timestamp>,
    /// Whether it may sign in; it waits for an administrator otherwise.
    pub approved: bool,
    /// Whether its owner revoked it for good: then it is remembered so that no older copy of it enrols.
    pub revoked: bool,
    /// The key whose identity it joins, if that key came by the same [`Import`]: what another key store says of links
    /// reaches nobody who is here already.
    pub linked_to: Option<Fingerprint>,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is enrolled. Whether it is linked, if it was to be.
    Imported {
        /// Whether it joined the other key's identity.
        linked: bool,
    },
    /// It was here already, and is as it was.
    AlreadyThere,
    /// It was erased here and may not come back, is about to replace another, or is the server's own.
    KeptOut,
}

/// Takes keys over into a database.
#[derive(Debug)]
pub struct Import {
    target: Option<Target>,
    dry_run: bool,
    /// What came by it.
    came: HashSet<Fingerprint>,
}

struct Target {
    connection: SqliteConnection,
    secret: MasterKey,
    _lock: Lock,
    /// Keeps the stores open that made or migrated the database.
    _database: Option<Arc<Database>>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

impl Import {
    /// Opens the database, and makes it if it is not there yet; a dry run makes and changes nothing. A service may use
    /// the database meanwhile.
    ///
    /// # Errors
    /// The same as those of [`open`](crate::open); a dry run needs a database that is up to date.
    pub async fn open(url: &str, master_key: Option<MasterKey>, dry_run: bool) -> Result<Self, OpenError> {
        let Place::File(path) = Place::parse(url)? else {
            return Err(OpenError::new("there is nothing to import into: memory is forgotten at the end"));
        };
        let target = match dry_run {
            false => Some(Target::make(&path, master_key).await?),
            true => Target::look_at(&path, master_key).await?,
        };
        Ok(Self { target, dry_run, came: HashSet::new() })
    }

    /// Takes keys over, all or none of these. What became of each, in their order.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn add(&mut self, keys: &[ImportedKey], now: &Note) -> Result<Vec<Outcome>, OpenError> {
        let Some(target) = &mut self.target else {
            return Ok(vec![Outcome::Imported { linked: false }; keys.len()]);
        };
        let words = |e: sqlx::Error| OpenError::because(format!("cannot write to the database: {e}"), e);
        let secret = target.secret.clone();
        let mut transaction = target.connection.begin_with("BEGIN IMMEDIATE").await.map_err(words)?;
        let mut outcomes = Vec::with_capacity(keys.len());
        for key in keys {
            let outcome = add(&mut transaction, key, &secret, &self.came, now).await.map_err(words)?;
            if matches!(outcome, Outcome::Imported { .. }) {
                self.came.insert(key.fingerprint);
            }
            outcomes.push(outcome);
        }
        match self.dry_run {
            true => transaction.rollback().await.map_err(words)?,
            false => transaction.commit().await.map_err(words)?,
        }
        Ok(outcomes)
    }

    /// Lets go of the database.
    ///
    /// # Errors
    /// It cannot be closed.
    pub async fn close(self) -> Result<(), OpenError> {
        let Some(target) = self.target else { return Ok(()) };
        let closed = target.connection.close().await;
        closed.map_err(|e| OpenError::because(format!("cannot close the database: {e}"), e))
    }
}

impl Target {
    async fn make(path: &Path, master_key: Option<MasterKey>) -> Result<Self, OpenError> {
        let words = |e: sqlx::Error| OpenError::because(format!("cannot open {}: {e}", path.display()), e);
        let (database, secret) = open_database(path, master_key).await?;
        let lock = Lock::shared(path)?;
        let connection = write_options(path).connect().await.map_err(words)?;
        Ok(Self { connection, secret, _lock: lock, _database: Some(database) })
    }

    /// `None`: there is no database, and none is made.
    async fn look_at(path: &Path, master_key: Option<MasterKey>) -> Result<Option<Self>, OpenError> {
        let words = |e: sqlx::Error| OpenError::because(format!("cannot open {}: {e}", path.display()), e);
        let sealed = match look::at(path, newest_migration()).await? {
            None => return Ok(None),
            Some(Found { schema, sealed: Some(sealed) }) if schema == newest_migration() => sealed,
            Some(_) => {
                return Err(OpenError::new(format!(
                    "{} is of an older version; a dry run changes nothing, so start the service once before it",
                    path.display()
                )));
            }
        };
        let master_key = match master_key {
            Some(key) => key,
            None => private_file::master_key(&master_key_file(path), true).await?,
        };
        let secret = master_key.unwrap(&sealed).map_err(|_| wrong_master_key(path))?.secret;
        let lock = Lock::shared(path)?;
        let connection = options(path).connect().await.map_err(words)?;
        Ok(Some(Self { connection, secret, _lock: lock, _database: None }))
    }
}

async fn add(
    writer: &mut SqliteConnection,
    key: &ImportedKey,
    secret: &MasterKey,
    came: &HashSet<Fingerprint>,
    now: &Note,
) -> Result<Outcome, sqlx::Error> {
    if keys::find(writer, &key.fingerprint).await?.is_some() {
        return Ok(Outcome::AlreadyThere);
    }
    let new = NewKey {
        fingerprint: key.fingerprint,
        signing_keys: key.signing_keys.clone(),
        certificate_digest: key.certificate_digest,
        admission: Admission::Approved,
        tombstone: secret.tombstone(&key.fingerprint),
    };
    if enrolling::is_taken(writer, &new.fingerprint, &new.tombstone).await?
        || enrolling::is_coming(writer, &new.fingerprint).await?
        || is_the_servers(writer, &new.fingerprint).await?
    {
        return Ok(Outcome::KeptOut);
    }
    let identity = enrolling::insert_identity(writer, &new.fingerprint, key.approved).await?;
    keys::insert(writer, identity, &new, key.enrolled_at.min(now.at)).await?;
    keys::count_more(writer, 1).await?;
    note_last_auth(writer, key, now).await?;
    if key.revoked {
        mark_revoked(writer, key, now).await?;
    } else if !key.approved {
        // It has waited there long enough perhaps, but here nobody could decide about it until now. A share of its own:
        // together they would be the first to be dropped when many wait.
        let share = secret.keyed_hash("imported share", key.fingerprint.as_bytes());
        enrolling::let_wait(writer, identity, &share, now).await?;
    }
    if key.approved {
        audit::write(writer, AuditEvent::Enrolled, Some(identity), now).await?;
    }
    let linked = match key.linked_to {
        Some(primary) if came.contains(&primary) => link(writer, key, primary, now).await?,
        _ => false,
    };
    Ok(Outcome::Imported { linked })
}

async fn is_the_servers(writer: &mut SqliteConnection, key: &Fingerprint) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM server_keys WHERE fingerprint = ?1)")
        .bind(key.as_bytes())
        .fetch_one(writer)
        .await
}

async fn note_last_auth(
    writer: &mut SqliteConnection,
    key: &ImportedKey,
    now: &Note,
) -> Result<(), sqlx::Error> {
    let Some(at) = key.last_auth else { return Ok(()) };
    sqlx::query("INSERT INTO last_logins (key_id, at) SELECT id, ?2 FROM keys WHERE fingerprint = ?1")
        .bind(key.fingerprint.as_bytes())
        .bind(seconds(at.min(now.at)))
        .execute(writer)
        .await
        .map(drop)
}

async fn mark_revoked(
    writer: &mut SqliteConnection,
    key: &ImportedKey,
    now: &Note,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE keys SET revoked_at = ?2, revoked_by = 'owner' WHERE fingerprint = ?1")
        .bind(key.fingerprint.as_bytes())
        .bind(seconds(now.at))
        .execute(writer)
        .await
        .map(drop)
}

/// Links a key that was just imported to one that was, as their holder could.
async fn link(
    writer: &mut SqliteConnection,
    key: &ImportedKey,
    primary: Fingerprint,
    now: &Note,
) -> Result<bool, sqlx::Error> {
    let (Some(primary), Some(secondary)) =
        (keys::find(writer, &primary).await?, keys::find(writer, &key.fingerprint).await?)
    else {
        return Ok(false);
    };
    if primary.role != KeyRole::Primary {
        return Ok(false);
    }
    let link = Link {
        primary: primary.fingerprint,
        primary_revision: primary.revision,
        secondary: secondary.fingerprint,
        secondary_revision: Some(secondary.revision),
        new: None,
    };
    Ok(matches!(linking::link(writer, &link, now).await?, Changed::Done(_)))
}
