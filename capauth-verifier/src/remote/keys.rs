//! The service's public keys (RFC 7517), as it publishes them under its own URL.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::fault::{Fault, FaultKind};
use super::feed::Changes;
use super::introspection::NotGood;
use super::link::{Call, Link};

/// Always this path, under the configured URL: an advertised one could be anybody's.
const PATH: &str = "/.well-known/jwks.json";
/// The most keys of a set.
const MAX_KEYS: usize = 32;
/// The longest key id, in bytes.
const MAX_KID: usize = 128;
/// Milliseconds after which the set is fetched anew.
const REFRESH: u64 = 5 * 60 * 1000;
/// Milliseconds between two fetches at least, however many unknown keys are named.
const PAUSE: u64 = 5_000;
/// Milliseconds after which a set counts no longer: a key may have been taken out of it since.
const TOO_OLD: u64 = 15 * 60 * 1000;

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
}

#[derive(Clone)]
struct Key {
    kid: String,
    public: [u8; 32],
    decoding: DecodingKey,
}

type KeySet = Arc<[Key]>;

/// When the set was last asked for: because of a key that somebody named, and because it was time. In milliseconds; 0:
/// never. Strangers name keys; what they do leaves the second alone.
#[derive(Default)]
struct Times {
    named: u64,
    due: u64,
    /// Whether the last try failed, or was given up.
    failed: bool,
}

/// The keys that count now.
pub(super) struct Keys {
    set: RwLock<KeySet>,
    times: Mutex<Times>,
    /// When the set last came, in milliseconds; 0: never.
    fetched: AtomicU64,
    /// Counts the changes of the set.
    version: AtomicU64,
    changes: Changes,
}

/// Whether a fetch changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Some,
    /// Not a single key is the same: a new installation behind the old URL.
    Everything,
}

impl Keys {
    pub(super) fn new(changes: Changes) -> Self {
        Self {
            set: RwLock::new(Arc::new([])),
            times: Mutex::default(),
            fetched: AtomicU64::new(0),
            version: AtomicU64::new(0),
            changes,
        }
    }

    /// Changes whenever a key comes or goes.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether the set is new enough to let anybody in.
    pub(super) fn is_fresh(&self, now: u64) -> bool {
        let fetched = self.fetched.load(Ordering::Acquire);
        fetched != 0 && now.abs_diff(fetched) <= TOO_OLD
    }

    fn set(&self) -> KeySet {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn find(&self, kid: &str) -> Option<DecodingKey> {
        self.set().iter().find(|key| key.kid == kid).map(|key| key.decoding.clone())
    }

    /// The key with this id. One that is unknown may be new: the set is asked for, by one at a time and not too often.
    ///
    /// # Errors
    /// There is no such key, or it cannot be found out.
    pub(super) async fn get(
        &self,
        link: &Link,
        kid: &str,
        now: u64,
    ) -> Result<(DecodingKey, Change), NotGood> {
        if let Some(key) = self.find(kid) {
            return Ok((key, Change::None));
        }
        let mut times = self.times.lock().await;
        // Somebody else may have fetched it while we waited.
        if let Some(key) = self.find(kid) {
            return Ok((key, Change::None));
        }
        let mut change = Change::None;
        if times.named == 0 || now.abs_diff(times.named) >= PAUSE {
            times.named = now.max(1);
            change = self.fetch(link, &mut times, now).await?;
        } else if times.failed {
            // Nobody can say that there is no such key.
            return Err(NotGood::Stale);
        }
        self.find(kid).map(|key| (key, change)).ok_or(NotGood::Token)
    }

    /// Fetches the set when it is time.
    ///
    /// # Errors
    /// It does not come.
    pub(super) async fn refresh(&self, link: &Link, now: u64) -> Result<Change, Fault> {
        let fetched = self.fetched.load(Ordering::Acquire);
        if fetched != 0 && now.abs_diff(fetched) < REFRESH {
            return Ok(Change::None);
        }
        let mut times = self.times.lock().await;
        if fetched != 0 && now.abs_diff(times.due) < PAUSE {
            return Ok(Change::None);
        }
        times.due = now.max(1);
        self.fetch(link, &mut times, now).await
    }

    async fn fetch(&self, link: &Link, times: &mut Times, now: u64) -> Result<Change, Fault> {
        times.failed = true;
        // Whoever waits for it, it is for all: it takes nobody's place.
        let call = Call::get(PATH).in_background();
        let answer = link.send(&call).await?;
        if !answer.is_success() {
            return Err(link.unexpected(&answer));
        }
        let keys = read(link, &link.parse::<Jwks>(&answer)?)?;
        self.fetched.store(now.max(1), Ordering::Release);
        times.failed = false;
        Ok(self.replace(keys))
    }

    /// A key that is not in the new set is gone.
    fn replace(&self, keys: Vec<Key>) -> Change {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let same = |a: &Key, b: &Key| a.kid == b.kid && a.public == b.public;
        let kept = set.iter().filter(|old| keys.iter().any(|new| same(old, new))).count();
        if kept == set.len() && kept == keys.len() {
            return Change::None;
        }
        let change = if kept == 0 && !set.is_empty() { Change::Everything } else { Change::Some };
        *set = keys.into();
        drop(set);
        self.version.fetch_add(1, Ordering::AcqRel);
        self.changes.add();
        change
    }
}

/// The Ed25519 keys of a set that are for signing. Others may be there, for somebody else.
fn read(link: &Link, jwks: &Jwks) -> Result<Vec<Key>, Fault> {
    if jwks.keys.len() > MAX_KEYS {
        return Err(link.fault(FaultKind::TooLarge, format!("{PATH} lists more than {MAX_KEYS} keys")));
    }
    let mut keys: Vec<Key> = Vec::new();
    for key in jwks.keys.iter().filter_map(ed25519) {
        if keys.iter().any(|other| other.kid == key.kid) {
            return Err(link.fault(FaultKind::Malformed, format!("{PATH} lists two keys with one id")));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn ed25519(key: &serde_json::Value) -> Option<Key> {
    let jwk = Jwk::deserialize(key).ok()?;
    let fits = jwk.kty == "OKP"
        && jwk.crv == "Ed25519"
        && jwk.purpose.is_none_or(|purpose| purpose == "sig")
        && jwk.alg.is_none_or(|alg| alg == "EdDSA" || alg == "Ed25519")
        && (1..=MAX_KID).contains(&jwk.kid.len());
    let public: [u8; 32] = URL_SAFE_NO_PAD.decode(&jwk.x).ok()?.try_into().ok()?;
    fits.then(|| Key { kid: jwk.kid, public, decoding: DecodingKey::from_ed_der(&public) })
}
