//! What is remembered: the traits a database implements.
//!
//! Three kinds of memory, because they fail differently:
//!
//! - [`KeyStore`] and [`TokenStore`] hold what *refuses*: revocations, generations, tombstones. They are durable.
//! - [`ChallengeStore`] holds what must *exist* to be used, and is taken when it is. Losing it only means that
//!   somebody asks for a new challenge.
//!
//! Identities (a `sub`, its groups, its generation) stand apart from the keys that sign for them, so that one
//! identity may have several keys over its life.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use capauth_protocol::{Fingerprint, Nonce};

use crate::clock::Timestamp;
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
    /// Challenges that wait for their answer.
    pub challenges: Arc<dyn ChallengeStore>,
    /// Derives every symmetric key.
    pub master_key: MasterKey,
    /// Where this is, in words for a person (`/var/lib/capauth/keys.db`).
    pub place: String,
}

impl Stores {
    /// Stores that belong together.
    pub fn new(
        keys: Arc<dyn KeyStore>,
        tokens: Arc<dyn TokenStore>,
        challenges: Arc<dyn ChallengeStore>,
        master_key: MasterKey,
        place: impl Into<String>,
    ) -> Self {
        Self { keys, tokens, challenges, master_key, place: place.into() }
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A person or an agent, as far as the server knows one: no name, no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The fingerprint under which the identity first enrolled. Never given twice.
    pub sub: Fingerprint,
    /// The account name an administrator gave, if one did.
    pub user_name: Option<String>,
    /// Whether it may sign in.
    pub approved: bool,
    /// Whether an administrator's decision is awaited before it may sign in again.
    pub suspended: bool,
    /// Rises when something was taken away; an older token is refused.
    pub generation: u64,
    /// The groups an administrator granted, sorted.
    pub groups: Vec<String>,
}

/// Who revoked a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokedBy {
    /// An administrator: final.
    Administrator,
    /// The key itself, by a hard revocation: final.
    Owner,
}

/// A key that signs for an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledKey {
    /// The certificate's fingerprint, which is its primary key's.
    pub fingerprint: Fingerprint,
    /// Whom it signs for.
    pub identity: Identity,
    /// The encoded [`SigningKeys`](crate::openpgp::SigningKeys): no User ID, no signature over one.
    pub signing_keys: Vec<u8>,
    /// SHA-256 of the certificate last merged, exactly as it was sent.
    pub certificate_digest: [u8; 32],
    /// Changes whenever `signing_keys` does.
    pub revision: u64,
    /// When the key enrolled.
    pub enrolled_at: Timestamp,
    /// When it last signed in, up to a short delay.
    pub last_auth: Option<Timestamp>,
    /// Since when, and by whom, it is revoked.
    pub revoked: Option<(Timestamp, RevokedBy)>,
}

/// A key whose holder has just proved possession.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The certificate's fingerprint; it becomes the identity's `sub`.
    pub fingerprint: Fingerprint,
    /// Encoded `SigningKeys`.
    pub signing_keys: Vec<u8>,
    /// SHA-256 of the certificate as sent.
    pub certificate_digest: [u8; 32],
    /// Whether the identity may sign in at once.
    pub approved: bool,
    /// Now.
    pub at: Timestamp,
    /// The keyed hash under which an erased key of this fingerprint would be remembered.
    pub tombstone: [u8; 32],
}

/// What came of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrollment {
    /// It is enrolled, durably.
    Enrolled(EnrolledKey),
    /// Somebody else enrolled the same fingerprint first.
    AlreadyThere(EnrolledKey),
    /// An erased key that may not come back.
    Tombstone,
}

/// New facts about an enrolled key.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// Which key.
    pub fingerprint: Fingerprint,
    /// The revision these facts were merged from; a different one in the store makes the update fail.
    pub revision: u64,
    /// Encoded `SigningKeys`.
    pub signing_keys: Vec<u8>,
    /// SHA-256 of the certificate as sent.
    pub certificate_digest: [u8; 32],
    /// Set when these facts say for the first time that the key is revoked for good.
    /// The identity's generation rises, and the feed tells everybody.
    pub revoked_at: Option<Timestamp>,
    /// Set when a component was revoked: the identity's generation rises.
    pub ends_tokens: bool,
}

/// Which keys to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyQuery {
    /// Only those whose identity is approved.
    pub approved_only: bool,
    /// Only those whose fingerprint comes after this one.
    pub after: Option<Fingerprint>,
    /// At most so many.
    pub limit: u32,
}

/// Identities and the keys that sign for them. Durable.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The key with this fingerprint, with its identity.
    async fn find(&self, fingerprint: &Fingerprint) -> StoreResult<Option<EnrolledKey>>;

    /// Enrols a key under a new identity. Durable when it answers [`Enrollment::Enrolled`].
    async fn enroll(&self, key: &NewKey) -> StoreResult<Enrollment>;

    /// Writes merged facts if the stored revision is still the one they were merged from.
    /// `false`: it is not; read again, merge again.
    async fn update(&self, facts: &KeyFacts) -> StoreResult<bool>;

    /// Notes a login. Returns at once; written in batches, and by [`flush`](Self::flush).
    fn note_login(&self, fingerprint: &Fingerprint, at: Timestamp);

    /// Lets a pending identity sign in. `false`: no such key.
    async fn approve(&self, fingerprint: &Fingerprint) -> StoreResult<bool>;

    /// Revokes a key for good, as an administrator. Raises the generation and tells the feed. `false`: no such key.
    async fn revoke(&self, fingerprint: &Fingerprint, at: Timestamp) -> StoreResult<bool>;

    /// Removes a key and, with its last key, the identity. Where the key was revoked, the identity suspended, or the
    /// caller says so by `keep_out`, `tombstone` stays and refuses enrolment. Tells the feed. `false`: no such key.
    async fn erase(
        &self,
        fingerprint: &Fingerprint,
        tombstone: &[u8; 32],
        keep_out: bool,
    ) -> StoreResult<bool>;

    /// Replaces the groups granted to the key's identity; taking one away raises the generation. `false`: no such key.
    async fn set_groups(&self, fingerprint: &Fingerprint, groups: &[String]) -> StoreResult<bool>;

    /// Keys in the order of their fingerprints' canonical text.
    async fn list(&self, query: &KeyQuery) -> StoreResult<Vec<EnrolledKey>>;

    /// How many keys are enrolled.
    async fn count(&self) -> StoreResult<u64>;

    /// Writes everything that waits. Call at shutdown.
    async fn flush(&self) -> StoreResult<()>;

    /// Whether the store answers.
    async fn check_health(&self) -> StoreResult<()>;
}

/// What a token-signing key is for. Each purpose has a ring of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyPurpose {
    /// Access tokens.
    Access,
    /// OpenID's ID tokens.
    Id,
}

impl KeyPurpose {
    /// The name under which stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
        }
    }
}

/// A token-signing key as it lies in the store: its private half is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTokenKey {
    /// The key id that stands in tokens' headers.
    pub kid: String,
    /// The JOSE algorithm, such as `EdDSA`.
    pub algorithm: String,
    /// The private key, sealed under the master key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What happened, for verifiers that follow the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// A token ended before its time.
    Token {
        /// SHA-256 of its `jti`.
        jti_hash: [u8; 32],
        /// When it would have expired; after that the entry may be forgotten.
        expires: Timestamp,
    },
    /// Tokens of this identity with a smaller generation ended.
    Generation {
        /// Whose.
        sub: Fingerprint,
        /// The generation from which on tokens are good.
        generation: u64,
    },
    /// A key ended, for good.
    Key {
        /// Which.
        fingerprint: Fingerprint,
    },
}

/// The feed's cursor and what came after the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevocationPage {
    /// In the order in which they happened.
    pub entries: Vec<Revocation>,
    /// Ask for what comes after this next time. Smaller than the one asked with only if so much never happened here.
    pub cursor: u64,
}

/// What the installation knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Every sealed thing carries it; another one ends all sessions. Random at first, so that two installations differ.
    pub epoch: u64,
    /// Proves that the master key is the one this database was made with; `None` before the first start.
    pub master_key_check: Option<Vec<u8>>,
}

/// Token-signing keys, revoked tokens, and the feed of revocations. Durable.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// What the installation knows of itself.
    async fn installation(&self) -> StoreResult<Installation>;

    /// Remembers the master key's check value, once: does nothing if there is one. Answers what is stored then.
    async fn set_master_key_check(&self, check: &[u8]) -> StoreResult<Vec<u8>>;

    /// Remembers fingerprints (of the certificate and each of its keys) with which this server signs challenges, and
    /// answers all it ever remembered: a former server key is no identity either.
    async fn remember_server_keys(&self, fingerprints: &[Fingerprint]) -> StoreResult<Vec<Fingerprint>>;

    /// The ring of a purpose, oldest first.
    async fn token_keys(&self, purpose: KeyPurpose) -> StoreResult<Vec<StoredTokenKey>>;

    /// Adds a key if the ring's newest `kid` is still `newest`; otherwise does nothing (another node was faster).
    /// Answers the ring.
    async fn add_token_key(
        &self,
        purpose: KeyPurpose,
        newest: Option<&str>,
        key: &StoredTokenKey,
    ) -> StoreResult<Vec<StoredTokenKey>>;

    /// Forgets a key.
    async fn remove_token_key(&self, purpose: KeyPurpose, kid: &str) -> StoreResult<()>;

    /// Ends a token before its time, at least until `expires`. Durable when it answers.
    async fn revoke_token(&self, jti_hash: &[u8; 32], expires: Timestamp) -> StoreResult<()>;

    /// Whether a token was ended.
    async fn is_token_revoked(&self, jti_hash: &[u8; 32]) -> StoreResult<bool>;

    /// What happened after `after` (0: from the beginning), at most `limit` entries.
    async fn revocations(&self, after: u64, limit: u32) -> StoreResult<RevocationPage>;

    /// Forgets revoked tokens that would have expired before `now`.
    async fn forget_expired(&self, now: Timestamp) -> StoreResult<()>;
}

/// Whose share of a bounded store an address counts against: the IPv4 address, or the IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressPrefix([u8; 9]);

impl AddressPrefix {
    /// The prefix of an address. No address at all is one prefix of its own.
    pub fn of(address: Option<IpAddr>) -> Self {
        let mut prefix = [0; 9];
        match address.map(|a| a.to_canonical()) {
            None => {}
            Some(IpAddr::V4(v4)) => {
                prefix[0] = 4;
                prefix[1..5].copy_from_slice(&v4.octets());
            }
            Some(IpAddr::V6(v6)) => {
                prefix[0] = 6;
                prefix[1..].copy_from_slice(v6.octets().first_chunk::<8>().unwrap_or(&[0; 8]));
            }
        }
        Self(prefix)
    }
}

/// A challenge that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Its name, and what is used once.
    pub nonce: Nonce,
    /// Who may answer it.
    pub fingerprint: Fingerprint,
    /// What the client sent to recognise its own challenge.
    pub client_nonce: Box<str>,
    /// When it was made.
    pub timestamp: Timestamp,
    /// The service it lets in to.
    pub service: Arc<str>,
    /// From when on it is worthless.
    pub expires: Timestamp,
    /// The web origin it is bound to (V2), if any.
    pub origin: Option<Box<str>>,
    /// Where the request came from.
    pub prefix: AddressPrefix,
}

/// Challenges that wait for their answer. Need not be durable; must be bounded.
#[async_trait]
pub trait ChallengeStore: Send + Sync + 'static {
    /// Keeps a challenge until some time after it expired. When full, makes room at the cost of whichever address
    /// prefix holds most.
    async fn put(&self, challenge: Challenge, now: Timestamp) -> StoreResult<()>;

    /// Reads a challenge without using it up.
    async fn get(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>>;

    /// Takes a challenge away. Of any number of simultaneous calls one gets it.
    async fn take(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_neighbours_and_mapped_ipv4_share_a_prefix() {
        let prefix = |text: &str| AddressPrefix::of(Some(text.parse().unwrap()));
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff:2"));
        assert_ne!(prefix("2001:db8::1"), prefix("2001:db8:0:1::1"));
        assert_eq!(prefix("192.0.2.1"), prefix("::ffff:192.0.2.1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_ne!(prefix("0.0.0.0"), AddressPrefix::of(None));
    }
}
