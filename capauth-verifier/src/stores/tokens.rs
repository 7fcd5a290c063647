//! Token-signing keys, ended tokens, and the feed that tells of what ended.

use async_trait::async_trait;
use capauth_protocol::Fingerprint;

use super::StoreResult;
use crate::clock::Timestamp;

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
