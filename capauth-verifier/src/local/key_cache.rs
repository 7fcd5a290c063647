//! Enrolled keys, parsed, for as long as they may be believed without asking the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use capauth_protocol::Fingerprint;
use moka::sync::Cache;

use crate::counts::Hits;
use crate::openpgp::SigningKeys;
use crate::stores::{EnrolledKey, KeyStore, StoreResult};

/// For how many milliseconds a row is believed: what another process revokes is seen here within a second.
const FRESH: u64 = 500;
/// How many keys are kept parsed; one takes about two kilobytes.
const CAPACITY: u64 = 8_192;

/// A row of the store and what its signing keys parse to.
#[derive(Debug)]
pub(super) struct KnownKey {
    /// Its `signing_keys` are left empty: they are beside it, parsed.
    pub(super) row: EnrolledKey,
    pub(super) keys: Arc<SigningKeys>,
}

#[derive(Clone)]
struct Entry {
    known: Arc<KnownKey>,
    stamp: Stamp,
}

/// When, and before which change made here, something was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    read_at: u64,
    changes: u64,
}

pub(super) struct KeyCache {
    cache: Cache<Fingerprint, Entry>,
    /// Counts the changes that this process makes to the store; what was read before the last one is not believed.
    changes: AtomicU64,
    hits: Hits,
}

pub(super) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

impl KeyCache {
    pub(super) fn new(hits: Hits) -> Self {
        Self { cache: Cache::builder().max_capacity(CAPACITY).build(), changes: AtomicU64::new(0), hits }
    }

    /// To be taken before something is read.
    pub(super) fn stamp(&self, now: SystemTime) -> Stamp {
        Stamp { read_at: millis(now), changes: self.changes.load(Ordering::Acquire) }
    }

    /// Whether what was read under this stamp may still be believed.
    pub(super) fn is_fresh(&self, stamp: Stamp, now: SystemTime) -> bool {
        let age = millis(now).checked_sub(stamp.read_at);
        age.is_some_and(|age| age < FRESH) && stamp.changes == self.changes.load(Ordering::Acquire)
    }

    /// To be called after something was taken away: nothing read before is believed any more.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// The key, from memory if it was read a moment ago.
    pub(super) async fn get(
        &self,
        store: &dyn KeyStore,
        fingerprint: &Fingerprint,
        now: SystemTime,
    ) -> StoreResult<Option<Arc<KnownKey>>> {
        let entry = self.cache.get(fingerprint).filter(|entry| self.is_fresh(entry.stamp, now));
        self.hits.note(entry.is_some());
        if let Some(entry) = entry {
            return Ok(Some(entry.known));
        }
        self.read(store, fingerprint, now).await
    }

    /// The key as the store has it now. Its facts are parsed again only if they changed.
    pub(super) async fn read(
        &self,
        store: &dyn KeyStore,
        fingerprint: &Fingerprint,
        now: SystemTime,
    ) -> StoreResult<Option<Arc<KnownKey>>> {
        let stamp = self.stamp(now);
        let Some(row) = store.find(fingerprint).await? else {
            self.cache.invalidate(fingerprint);
            return Ok(None);
        };
        self.remember(row, stamp).map(Some)
    }

    /// Keeps a row that was read or written just now.
    pub(super) fn remember(&self, mut row: EnrolledKey, stamp: Stamp) -> StoreResult<Arc<KnownKey>> {
        let bytes = std::mem::take(&mut row.signing_keys);
        let same = |known: &KnownKey| {
            known.row.revision == row.revision
                && known.row.enrolled_at == row.enrolled_at
                && known.row.certificate_digest == row.certificate_digest
        };
        let old = self.cache.get(&row.fingerprint).map(|entry| entry.known);
        let keys = match old.filter(|known| same(known)) {
            Some(known) => Arc::clone(&known.keys),
            None => Arc::new(SigningKeys::decode(&bytes)?),
        };
        let known = Arc::new(KnownKey { row, keys });
        self.cache.insert(known.row.fingerprint, Entry { known: Arc::clone(&known), stamp });
        Ok(known)
    }
}
