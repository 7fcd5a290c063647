//! Where CapAuth remembers: the verifier's stores, opened from a URL.
//!
//! ```no_run
//! # async fn example() -> Result<(), capauth_store::OpenError> {
//! let stores = capauth_store::open("sqlite:///var/lib/capauth/keys.db", None).await?;
//! # Ok(()) }
//! ```
//!
//! | URL | what it is |
//! |---|---|
//! | `sqlite:///absolute/path.db`, `sqlite://relative/path.db` | a SQLite file, made at first use (feature `sqlite`) |
//! | `sqlite::memory:`, `memory:` | memory: bounded, and forgotten at the end |
//!
//! A SQLite file and the folder it is made in are readable by their owner alone, and so is the master key, which
//! lies beside the file (`keys.db.master-key`) unless one is handed in. **Back up both**: without its master key a
//! database does not open. [`backup`] copies the database while it is used, [`restore`] puts such a copy in its place,
//! and [`Import`] takes over the keys of another key store.

mod error;
mod place;
#[cfg(feature = "sqlite")]
mod private_file;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
use std::path::Path;

#[cfg(feature = "sqlite")]
use capauth_verifier::Timestamp;
use capauth_verifier::{MasterKey, Stores};

pub use error::OpenError;
use place::Place;
pub use place::master_key_file;
#[cfg(feature = "sqlite")]
pub use sqlite::{
    BackupInfo, Carried, CarriedOver, Import, ImportedKey, Outcome, PythonKey, PythonKeys, Replace, Restored,
};

/// Opens the stores that a URL names, and makes them if they are not there yet.
///
/// Without a `master_key` it is read from the file beside the database, or made there at the very first start.
/// Challenges are kept in memory: to lose them means that somebody asks for a new one.
///
/// Call it on the runtime that will use the stores: a task of theirs runs there until they are dropped.
///
/// # Errors
/// An unknown kind of store, a place that cannot be read or written, a master key that is missing, readable by
/// others, or not the one of this database, or a database written by a newer version. None of these changes anything.
pub async fn open(url: &str, master_key: Option<MasterKey>) -> Result<Stores, OpenError> {
    match Place::parse(url)? {
        Place::Memory => {
            let mut stores = capauth_verifier::memory::stores().map_err(OpenError::from_config)?;
            if let Some(master_key) = master_key {
                stores.master_key = master_key;
            }
            Ok(stores)
        }
        #[cfg(feature = "sqlite")]
        Place::File(path) => sqlite::open(&path, master_key).await,
        #[cfg(not(feature = "sqlite"))]
        Place::File(_) => Err(OpenError::new(
            "this program was built without SQLite; build it with the feature `sqlite`, or use memory:",
        )),
    }
}

/// Opens stores that are there already and were written by this very version, for a program beside the service: nothing
/// is made and nothing brought up to date. Both may change what is in them at the same time.
///
/// # Errors
/// As [`open`]; and there is no database, it is an older version's, or the URL names memory, which is nobody else's.
pub async fn open_existing(url: &str, master_key: Option<MasterKey>) -> Result<Stores, OpenError> {
    match Place::parse(url)? {
        Place::Memory => Err(nobody_elses()),
        #[cfg(feature = "sqlite")]
        Place::File(path) => sqlite::open_existing(&path, master_key).await,
        #[cfg(not(feature = "sqlite"))]
        Place::File(_) => open(url, master_key).await,
    }
}

/// What a look at a database finds.
#[derive(Debug)]
pub enum Looked {
    /// It can be read: whatever would write fails.
    Open(Stores),
    /// An older version wrote it; [`open`] brings it up to date. The master key fits.
    Older,
}

/// Looks at the database that a URL names: whether it is CapAuth's, its master key fits, and what is in it. Nothing is
/// made, written or brought up to date, no master key either. `None`: there is nothing yet.
///
/// # Errors
/// What would stop [`open`].
pub async fn look(url: &str, master_key: Option<MasterKey>) -> Result<Option<Looked>, OpenError> {
    match Place::parse(url)? {
        Place::Memory => Ok(None),
        #[cfg(feature = "sqlite")]
        Place::File(path) => sqlite::look(&path, master_key).await,
        #[cfg(not(feature = "sqlite"))]
        Place::File(_) => open(url, master_key).await.map(|stores| Some(Looked::Open(stores))),
    }
}

fn nobody_elses() -> OpenError {
    OpenError::new("the data is kept in memory, where no other program reaches it")
}

/// Copies the database that a URL names into a new file `target`, of mode 0600. Services may use the database meanwhile:
/// each is asked to write what waits in it, and everything that was answered before the call is in the copy.
///
/// The master key, read as by [`open`], is not in it. It is needed here to put a keyed hash behind the copy, by which
/// [`restore`] finds out whether somebody changed it. `service` is for a person who looks at the file.
///
/// # Errors
/// `target` is there already or cannot be written, there is no database, the master key is not its own, or a program
/// that has it open does not answer within half a minute. `target` is then not there.
#[cfg(feature = "sqlite")]
pub async fn backup(
    url: &str,
    master_key: Option<MasterKey>,
    target: &Path,
    service: &str,
    now: Timestamp,
) -> Result<BackupInfo, OpenError> {
    match Place::parse(url)? {
        Place::Memory => Err(OpenError::new("memory is forgotten at the end: there is nothing to back up")),
        Place::File(path) => sqlite::backup(&path, master_key, target, service, now).await,
    }
}

/// Puts a backup in the place of the database that a URL names; whenever this is cut short, what stands there is the old
/// database or the restored one.
///
/// Every session and token ends: the installation gets an epoch that it never had. Rotations that wait are cancelled,
/// and one-time codes forgotten. [`Replace`] says whether a database may be there already: it is kept under another name,
/// and what it knows of revoked, erased, suspended and unlinked keys is carried over.
///
/// # Errors
/// `source` is no backup, damaged, changed, or by a newer version; the master key is another; somebody has the database
/// open; there is one, and it is not to be replaced, or nothing can be carried over from it. Nothing is changed then.
#[cfg(feature = "sqlite")]
pub async fn restore(
    url: &str,
    master_key: Option<MasterKey>,
    source: &Path,
    replace: Replace,
    now: Timestamp,
) -> Result<Restored, OpenError> {
    match Place::parse(url)? {
        Place::Memory => {
            Err(OpenError::new("memory is forgotten at the end: there is nothing to restore to"))
        }
        Place::File(path) => sqlite::restore(&path, master_key, source, replace, now).await,
    }
}
