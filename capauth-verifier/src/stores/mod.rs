//! What is remembered: the traits a database implements.
//!
//! Kinds of memory, because they fail differently:
//!
//! - [`KeyStore`] and [`TokenStore`] hold what *refuses*: revocations, generations, tombstones. They are durable.
//! - [`SessionStore`] holds what people see of their sessions, which may be written a little later, and the families
//!   of refresh tokens, which are durable.
//! - [`ChallengeStore`] holds what must *exist* to be used, and is taken when it is. Losing it only means that
//!   somebody asks for a new challenge. [`QrStore`] is of the same kind.
//!
//! Identities (a `sub`, its groups, its generation) stand apart from the keys that sign for them, so that one
//! identity may have several keys over its life.

mod audit;
mod challenges;
mod counted;
mod keys;
mod life;
mod qr;
mod sessions;
mod tokens;

use std::fmt;
use std::sync::Arc;

pub use audit::{Actor, AuditEntry, AuditEvent, AuditName, AuditPage, Note};
pub(crate) use counted::counted;

pub use challenges::{AddressPrefix, Challenge, ChallengeStore};
pub use keys::{
    Admission, EnrolledKey, Enrollment, FingerprintPrefix, HashOf, Identity, KeyFacts, KeyQuery, KeyRole,
    KeyStore, MAX_LINKED, NewKey, Places, ROTATION_DOUBT, RevokedBy,
};
pub use life::{Changed, Link, NewCode, Rotation, Unlink};
pub(crate) use qr::Tried;
pub use qr::{QrEnd, QrLogin, QrRow, QrState, QrStore};
pub use sessions::{Advance, NewFamily, REFRESH_GRACE, SessionEntry, SessionStore};
pub use tokens::{Installation, KeyPurpose, Revocation, RevocationPage, StoredTokenKey, TokenStore};

use crate::memory::MemoryQrStore;
use crate::secret::MasterKey;

/// Why a store did not answer. The text is for the log; clients never see it.
#[derive(Debug)]
pub struct StoreError {
    what: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error while doing `what`, without a further cause.
    pub fn new(what: &'static str) -> Self {
        Self { what, source: None }
    }

    /// An error while doing `what`, with its cause.
    pub fn because(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { what, source: Some(source.into()) }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store failed: {}", self.what)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

/// What a store call answers.
pub type StoreResult<T> = Result<T, StoreError>;

/// The stores of one installation, and the secret that seals what lies in them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Stores {
    /// Identities and their keys.
    pub keys: Arc<dyn KeyStore>,
    /// Token-signing keys, revoked tokens, the revocation feed.
    pub tokens: Arc<dyn TokenStore>,
    /// Sessions and families of refresh tokens.
    pub sessions: Arc<dyn SessionStore>,
    /// Challenges that wait for their answer.
    pub challenges: Arc<dyn ChallengeStore>,
    /// Logins that another device is to sign.
    pub qr: Arc<dyn QrStore>,
    /// Derives every symmetric key.
    pub master_key: MasterKey,
    /// Where this is, in words for a person (`/var/lib/capauth/keys.db`).
    pub place: String,
}

impl Stores {
    /// Stores that belong together. Logins from another device are remembered in this process.
    pub fn new(
        keys: Arc<dyn KeyStore>,
        tokens: Arc<dyn TokenStore>,
        sessions: Arc<dyn SessionStore>,
        challenges: Arc<dyn ChallengeStore>,
        master_key: MasterKey,
        place: impl Into<String>,
    ) -> Self {
        let qr = Arc::new(MemoryQrStore::default());
        Self { keys, tokens, sessions, challenges, qr, master_key, place: place.into() }
    }

    /// The same, with another place for logins from another device: one that several processes share.
    #[must_use]
    pub fn with_qr(mut self, qr: Arc<dyn QrStore>) -> Self {
        self.qr = qr;
        self
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("place", &self.place).finish_non_exhaustive()
    }
}
