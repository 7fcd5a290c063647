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
//! database does not open.

mod error;
mod place;
#[cfg(feature = "sqlite")]
mod private_file;
#[cfg(feature = "sqlite")]
mod sqlite;

use capauth_verifier::{MasterKey, Stores};

pub use error::OpenError;
use place::Place;
pub use place::master_key_file;

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
