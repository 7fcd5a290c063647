//! When each key last signed in, and which sessions there are, written behind.
//!
//! A login must not wait for the disk to note its time. Times gather in memory, the latest per key, and go to the
//! database in a few statements every few seconds. A crash loses those seconds and nothing else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capauth_protocol::Fingerprint;
use capauth_verifier::{StoreResult, Timestamp};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Notify;

use super::Database;
use super::sessions::{self, Seen};

/// How long a time waits at most before it is written.
const DELAY: Duration = Duration::from_secs(2);

/// How many may wait before they are written at once.
const MANY: usize = 1_000;

/// How many sessions may. Each has a random place in its table: the more are written together, the fewer pages each costs.
const MANY_SESSIONS: usize = 4_000;

/// How many may wait at all; a disk that stands still must not fill the memory.
const MOST: usize = 50_000;

#[derive(Default)]
pub(super) struct Logins {
    waiting: Mutex<HashMap<Fingerprint, Timestamp>>,
    sessions: Mutex<sessions::Waiting>,
    /// Something waits, or the store is gone.
    some: Notify,
    /// Much waits, or the store is gone.
    many: Notify,
}

impl Logins {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Fingerprint, Timestamp>> {
        // The map is whole at every step, whoever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the later of the times of each key.
    pub(super) fn note(&self, fingerprint: Fingerprint, at: Timestamp) {
        let mut waiting = self.waiting();
        let full = waiting.len() >= MOST;
        match waiting.entry(fingerprint) {
            Entry::Occupied(mut there) => {
                let latest = there.get_mut();
                *latest = at.max(*latest);
                return;
            }
            Entry::Vacant(_) if full => return,
            Entry::Vacant(free) => free.insert(at),
        };
        match waiting.len() {
            1 => self.some.notify_one(),
            MANY => self.many.notify_one(),
            _ => {}
        }
    }

    /// Forgets what waits for a key that is erased.
    pub(super) fn forget(&self, fingerprint: &Fingerprint) {
        self.waiting().remove(fingerprint);
    }

    fn take(&self) -> HashMap<Fingerprint, Timestamp> {
        std::mem::take(&mut *self.waiting())
    }

    fn sessions(&self) -> MutexGuard<'_, sessions::Waiting> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a session, and the later of the times at which it was seen.
    pub(super) fn note_session(&self, hash: [u8; 32], seen: Seen) {
        let mut waiting = self.sessions();
        if sessions::gather(&mut waiting, hash, seen, MOST) {
            match waiting.len() {
                1 => self.some.notify_one(),
                MANY_SESSIONS => self.many.notify_one(),
                _ => {}
            }
        }
    }

    /// When a session was last seen, if that waits to be written.
    pub(super) fn last_seen(&self, hash: &[u8; 32]) -> Option<Timestamp> {
        self.sessions().get(hash).map(Seen::at)
    }

    /// Forgets what waits for a session that has ended.
    pub(super) fn forget_session(&self, hash: &[u8; 32]) {
        self.sessions().remove(hash);
    }

    fn take_sessions(&self) -> sessions::Waiting {
        std::mem::take(&mut *self.sessions())
    }

    /// Wakes the writer for good.
    pub(super) fn wake(&self) {
        self.some.notify_one();
        self.many.notify_one();
    }
}

/// Starts the task that writes what waits. It ends with the database.
pub(super) fn spawn_writer(database: &Arc<Database>) {
    let logins = Arc::clone(&database.logins);
    let database = Arc::downgrade(database);
    tokio::spawn(async move {
        loop {
            logins.some.notified().await;
            let _ = tokio::time::timeout(DELAY, logins.many.notified()).await;
            let Some(database) = database.upgrade() else { return };
            if let Err(error) = database.write_logins().await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "times of last logins are not written; trying again");
                logins.some.notify_one();
            }
        }
    });
}

impl Database {
    /// Writes what waits, and does what else was put off.
    pub(super) async fn write_logins(&self) -> StoreResult<()> {
        let mut writer = self.writer.lock().await?;
        // Taken under the writer's lock: whoever flushes after us finds them written, not on their way.
        let taken = self.logins.take();
        if !taken.is_empty()
            && let Err(error) = write(&mut writer, &taken).await
        {
            for (fingerprint, at) in taken {
                self.logins.note(fingerprint, at);
            }
            return Err(self.writer.failed("noting logins")(error));
        }
        let taken = self.logins.take_sessions();
        if !taken.is_empty()
            && let Err(error) = sessions::write(&mut writer, &taken).await
        {
            for (hash, seen) in taken {
                self.logins.note_session(hash, seen);
            }
            return Err(self.writer.failed("noting sessions")(error));
        }
        if self.truncate_due.load(std::sync::atomic::Ordering::Acquire) {
            self.truncate_log(&mut writer).await.map_err(self.writer.failed("emptying the log"))?;
        }
        Ok(())
    }
}

/// One statement for all: a trip to the connection's thread costs more than an update.
async fn write(
    writer: &mut SqliteConnection,
    logins: &HashMap<Fingerprint, Timestamp>,
) -> Result<(), sqlx::Error> {
    let mut json = String::with_capacity(logins.len() * 64);
    for (fingerprint, at) in logins {
        json.push(if json.is_empty() { '{' } else { ',' });
        // Digits alone: nothing to escape.
        let _ = write!(json, "\"{fingerprint}\":{}", at.as_unix());
    }
    json.push('}');
    sqlx::query(
        "INSERT INTO last_logins (key_id, at) \
         SELECT k.id, noted.value FROM json_each(?1) AS noted JOIN keys k ON k.fingerprint = unhex(noted.key) \
         WHERE true ON CONFLICT (key_id) DO UPDATE SET at = max(at, excluded.at)",
    )
    .bind(json)
    .execute(writer)
    .await?;
    Ok(())
}

impl Drop for Database {
    fn drop(&mut self) {
        self.logins.wake();
    }
}
