//! Connections, each behind a lock.
//!
//! A pool would test a connection at every return, which is a second trip to its thread: as dear as the query.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use capauth_verifier::{StoreError, StoreResult};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

/// One connection.
pub(super) struct Lane {
    connection: Mutex<SqliteConnection>,
    options: SqliteConnectOptions,
    /// Set after any failure: the connection may be dead, or think that it is inside a transaction. A fresh one is not.
    broken: AtomicBool,
}

impl Lane {
    pub(super) fn new(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        Self { connection: Mutex::new(connection), options, broken: AtomicBool::new(false) }
    }

    /// Waits for the connection.
    pub(super) async fn lock(&self) -> StoreResult<MutexGuard<'_, SqliteConnection>> {
        self.mend(self.connection.lock().await).await
    }

    async fn mend<'a>(
        &self,
        mut guard: MutexGuard<'a, SqliteConnection>,
    ) -> StoreResult<MutexGuard<'a, SqliteConnection>> {
        if self.broken.load(Ordering::Acquire) {
            *guard = self.options.connect().await.map_err(|e| StoreError::because("connecting again", e))?;
            self.broken.store(false, Ordering::Release);
        }
        Ok(guard)
    }

    /// Turns a failure while doing `what` into the store's, and remembers that the connection needs replacing.
    pub(super) fn failed(&self, what: &'static str) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        move |error| {
            self.broken.store(true, Ordering::Release);
            StoreError::because(what, error)
        }
    }
}

/// The connections that read.
pub(super) struct Readers {
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

impl Readers {
    pub(super) async fn connect(options: &SqliteConnectOptions, count: usize) -> Result<Self, sqlx::Error> {
        let mut lanes = Vec::with_capacity(count);
        for _ in 0..count.max(1) {
            lanes.push(Lane::new(options.clone(), options.connect().await?));
        }
        Ok(Self { lanes, next: AtomicUsize::new(0) })
    }

    #[cfg(test)]
    pub(super) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// A connection that is free, or the one whose turn it is when none is.
    pub(super) async fn lock(&self) -> StoreResult<(&Lane, MutexGuard<'_, SqliteConnection>)> {
        // The first free one in a fixed order, so that its page cache is warm.
        for lane in &self.lanes {
            if let Ok(guard) = lane.connection.try_lock() {
                return Ok((lane, lane.mend(guard).await?));
            }
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len().max(1);
        let lane = self.lanes.get(turn).ok_or(StoreError::new("no connection"))?;
        Ok((lane, lane.lock().await?))
    }
}
