//! Sessions that were given out, for their holders to see and to end, and the families of refresh tokens.

use async_trait::async_trait;
use capauth_protocol::Fingerprint;

use super::StoreResult;
use crate::clock::Timestamp;

/// For how many seconds the refresh token before the current one still counts: an answer may get lost.
pub const REFRESH_GRACE: u64 = 20;

/// A login that lasts: what was given out for it has one name, and ends with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEntry {
    /// SHA-256 of its `jti`: by which it is found, and which nobody can use.
    pub jti_hash: [u8; 32],
    /// Whose.
    pub sub: Fingerprint,
    /// The identity's generation when it began: it ends when that rises.
    pub generation: u64,
    /// The service it is for.
    pub service: String,
    /// When the person signed.
    pub created_at: Timestamp,
    /// When it was last used, up to a short delay.
    pub last_seen: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
}

/// Refresh tokens that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewFamily {
    /// SHA-256 of the login's `jti`.
    pub jti_hash: [u8; 32],
    /// Whose.
    pub sub: Fingerprint,
    /// When the last of them ends.
    pub expires: Timestamp,
}

/// What came of showing a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// It counts: the next one is of this generation.
    Current(u64),
    /// It was shown before, too long ago: its family has ended now.
    Reused,
    /// There is no such family, or it has ended.
    Gone,
}

/// Sessions and families of refresh tokens.
///
/// What only tells of sessions may be written behind. That a family advanced, or ended, is durable.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Notes a new session. Returns at once; written in batches, and by [`KeyStore::flush`](super::KeyStore::flush).
    fn note_session(&self, session: &SessionEntry);

    /// Notes that a session was used. Returns at once.
    fn note_seen(&self, jti_hash: &[u8; 32], at: Timestamp);

    /// The sessions that an identity began in this generation and that have not reached their time, the newest first,
    /// at most `limit`. Those that wait to be written are among them.
    async fn sessions(
        &self,
        sub: &Fingerprint,
        generation: u64,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<SessionEntry>>;

    /// When a session was last used; `None` if it is not known.
    async fn last_seen(&self, jti_hash: &[u8; 32]) -> StoreResult<Option<Timestamp>>;

    /// Forgets a session that was ended, and ends its family.
    async fn forget_session(&self, jti_hash: &[u8; 32]) -> StoreResult<()>;

    /// Begins a family at generation 0.
    async fn add_family(&self, family: &NewFamily) -> StoreResult<()>;

    /// Takes a refresh token of this generation. The current one advances the family; the one before, within
    /// [`REFRESH_GRACE`], does not; anything else ends it. However many come at once, it advances by one.
    async fn advance_family(
        &self,
        jti_hash: &[u8; 32],
        generation: u64,
        now: Timestamp,
    ) -> StoreResult<Advance>;

    /// Forgets sessions and families past their time.
    async fn forget_old_sessions(&self, now: Timestamp) -> StoreResult<()>;
}
