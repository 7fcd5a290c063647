//! What happens to an identity's keys after they enrolled: rotation, linking, codes for new ones.

use capauth_protocol::Fingerprint;

use super::NewKey;
use crate::clock::Timestamp;

/// What came of a change that may not fit what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is done, durably; the identity it was done to.
    Done(Fingerprint),
    /// It does not fit: the key is known, linked, tombstoned or not in order. One word for all.
    Conflict,
    /// There is no such key.
    NotFound,
}

/// A new key for an old one's place.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The key that goes. Must be primary, approved, and in good standing.
    pub old: Fingerprint,
    /// The old key's revision when it was looked at; another one is a [`Changed::Conflict`].
    pub old_revision: u64,
    /// The key that comes. Must be unknown here.
    pub new: NewKey,
    /// `None`: at once. Otherwise it waits until then; one may wait for each identity.
    pub due: Option<Timestamp>,
}

/// One more key for an identity.
#[derive(Debug, Clone)]
pub struct Link {
    /// The identity's primary key.
    pub primary: Fingerprint,
    /// Its revision when it was looked at; another one is a [`Changed::Conflict`].
    pub primary_revision: u64,
    /// The key that joins it.
    pub secondary: Fingerprint,
    /// Its revision, likewise; `None` where it is new.
    pub secondary_revision: Option<u64>,
    /// Set where that key is new here.
    pub new: Option<NewKey>,
}

/// A linked key that goes its own way again.
#[derive(Debug, Clone, Copy)]
pub struct Unlink {
    /// The identity's primary key.
    pub primary: Fingerprint,
    /// The key that leaves it.
    pub secondary: Fingerprint,
}

/// A code that lets one new key in.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// SHA-256 of the code.
    pub hash: [u8; 32],
    /// The groups granted to whoever uses it.
    pub groups: Vec<String>,
    /// From when on it is worthless.
    pub expires: Timestamp,
}
