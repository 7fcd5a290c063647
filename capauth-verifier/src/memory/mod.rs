//! The stores in memory: bounded, for tests and for trying things out. Everything is gone at the end.

mod challenges;
mod keys;
mod life;
mod qr;
mod sessions;
mod shares;
mod state;
mod tokens;

use std::sync::Arc;

pub use challenges::MemoryChallengeStore;
pub use keys::MemoryKeyStore;
pub use qr::MemoryQrStore;
pub use sessions::MemorySessionStore;
pub use tokens::MemoryTokenStore;

use crate::error::ConfigError;
use crate::secret::MasterKey;
use crate::stores::Stores;

/// Stores that forget everything at the end, under a master key made now.
///
/// # Errors
/// The operating system has no randomness.
pub fn stores() -> Result<Stores, ConfigError> {
    let master_key =
        MasterKey::generate().map_err(|_| ConfigError::new("the operating system gives no randomness"))?;
    let mut epoch = [0; 8];
    getrandom::fill(&mut epoch).map_err(|_| ConfigError::new("the operating system gives no randomness"))?;
    // Fifty-two bits, which every reader of JSON keeps whole; and none of them is nothing.
    let epoch = 1 + (u64::from_le_bytes(epoch) >> 12);
    let feed = Arc::new(tokens::Feed::default());
    Ok(Stores::new(
        Arc::new(MemoryKeyStore::new(Arc::clone(&feed))),
        Arc::new(MemoryTokenStore::new(feed, epoch)),
        Arc::new(MemorySessionStore::default()),
        Arc::new(MemoryChallengeStore::default()),
        master_key,
        "memory (everything is forgotten at the end)",
    ))
}

/// A lock that a panicking thread does not poison for everybody else: each critical section below leaves the maps
/// whole at every step.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
