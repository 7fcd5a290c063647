//! Identities and the keys that sign for them.

use async_trait::async_trait;
use capauth_protocol::Fingerprint;

use super::StoreResult;
use super::audit::{AuditEvent, AuditPage, Note};
use super::life::{Changed, Link, NewCode, Rotation, Unlink};
use crate::clock::Timestamp;

/// A person or an agent, as far as the server knows one: no name but an account's, no address.
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
    /// Whether its primary key is revoked, which ends every key that signs for it.
    pub ended: bool,
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

/// What a key is to its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// Its one key, or the one that others are linked to.
    Primary,
    /// Linked to the identity's primary key, whose fingerprint this is.
    Secondary(Fingerprint),
    /// Was rotated away at this time. It never signs in again; what it can do is revoke itself.
    Archived(Timestamp),
}

/// A key that signs for an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledKey {
    /// The certificate's fingerprint, which is its primary key's.
    pub fingerprint: Fingerprint,
    /// Whom it signs for.
    pub identity: Identity,
    /// What it is to that identity.
    pub role: KeyRole,
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
    /// The key that waits to take its place, and when it does.
    pub waiting: Option<(Fingerprint, Timestamp)>,
}

impl EnrolledKey {
    /// Whether it may give up its place, or share it: primary, unrevoked, approved, not suspended.
    pub fn is_in_order(&self) -> bool {
        let identity = &self.identity;
        self.role == KeyRole::Primary && self.revoked.is_none() && identity.approved && !identity.suspended
    }
}

/// A key whose holder has just proved possession, or that an administrator enrols.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The certificate's fingerprint; it becomes the identity's `sub`.
    pub fingerprint: Fingerprint,
    /// Encoded `SigningKeys`.
    pub signing_keys: Vec<u8>,
    /// SHA-256 of the certificate as sent.
    pub certificate_digest: [u8; 32],
    /// On whose word it comes in.
    pub admission: Admission,
    /// The keyed hash under which an erased key of this fingerprint would be remembered.
    pub tombstone: [u8; 32],
}

/// On whose word a new key comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may sign in at once.
    Approved,
    /// It waits for an administrator.
    Pending {
        /// Whose share of the queue it takes: a keyed hash of the address prefix, kept until it is decided about.
        share: [u8; 32],
        /// How many may wait per share, and in all. When all places are taken, the share that holds most loses its
        /// oldest.
        places: Places,
    },
    /// It brings a one-time code, of which this is the SHA-256.
    Code([u8; 32]),
}

/// How many new keys wait at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Per address prefix.
    pub per_share: u32,
    /// In all.
    pub in_all: u32,
}

impl Places {
    /// What a service takes unless something else is configured: 5 per address prefix, 1000 in all.
    pub const USUAL: Self = Self { per_share: 5, in_all: 1000 };
}

/// What came of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrollment {
    /// It is enrolled, durably.
    Enrolled(EnrolledKey),
    /// Somebody else enrolled the same fingerprint first.
    AlreadyThere(EnrolledKey),
    /// An erased key that may not come back, or one that is about to replace another.
    Tombstone,
    /// The code is unknown, used or past its time.
    BadCode,
    /// As many new keys wait as may, from where this one comes.
    TooMany,
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
    /// Set when a component was revoked: the identity's generation rises, and a rotation of the key that waits is
    /// cancelled.
    pub ends_tokens: bool,
}

/// Which keys to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyQuery {
    /// Only those whose identity is approved.
    pub approved_only: bool,
    /// Only those that wait for an administrator, of which there are never many.
    pub pending_only: bool,
    /// Only those whose fingerprint begins so.
    pub prefix: FingerprintPrefix,
    /// Only those whose fingerprint comes after this one.
    pub after: Option<Fingerprint>,
    /// At most so many.
    pub limit: u32,
}

/// The digits with which a fingerprint begins; none at all for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FingerprintPrefix {
    /// What comes before every such fingerprint, or is the first of them.
    low: [u8; 32],
    length: usize,
}

impl FingerprintPrefix {
    /// Reads up to 64 hexadecimal digits, in either case. `None` for anything else.
    ///
    /// ```
    /// use capauth_verifier::FingerprintPrefix;
    ///
    /// assert!(FingerprintPrefix::parse("8A3").is_some());
    /// assert!(FingerprintPrefix::parse("8A3X").is_none());
    /// ```
    pub fn parse(digits: &str) -> Option<Self> {
        let mut prefix = Self { low: [0; 32], length: digits.len() };
        for (place, digit) in digits.bytes().enumerate() {
            let value = u8::try_from(char::from(digit).to_digit(16)?).ok()?;
            *prefix.low.get_mut(place / 2)? |= if place % 2 == 0 { value << 4 } else { value };
        }
        Some(prefix)
    }

    /// Between which bytes such fingerprints lie, both included.
    pub fn bounds(&self) -> (Vec<u8>, Vec<u8>) {
        let whole = self.length.div_ceil(2);
        let low = self.low.get(..whole).unwrap_or(&self.low).to_vec();
        let mut high = low.clone();
        if let Some(last) = high.last_mut().filter(|_| self.length % 2 == 1) {
            *last |= 0x0f;
        }
        high.resize(33, 0xff);
        (low, high)
    }

    /// Whether a fingerprint begins so.
    pub fn matches(&self, fingerprint: &Fingerprint) -> bool {
        let (low, high) = self.bounds();
        (low.as_slice()..=high.as_slice()).contains(&fingerprint.as_bytes())
    }
}

/// How a fingerprint, or another short text, is remembered without being kept: hashed under the installation's secret.
pub type HashOf<'a> = &'a (dyn Fn(&Fingerprint) -> [u8; 32] + Sync);

/// For how many seconds after a rotation the old key's own hard revocation suspends the identity: 30 days.
pub const ROTATION_DOUBT: u64 = 30 * 24 * 3600;
/// How many keys may be linked to one.
pub const MAX_LINKED: u32 = 16;

/// Identities and the keys that sign for them. Durable.
///
/// Each change writes its line of the audit log together with what it changes: both are there, or neither.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The key with this fingerprint, with its identity.
    async fn find(&self, fingerprint: &Fingerprint) -> StoreResult<Option<EnrolledKey>>;

    /// Every key of the identity that a key signs for, in no particular order. Empty: no such key.
    async fn keys_beside(&self, fingerprint: &Fingerprint) -> StoreResult<Vec<EnrolledKey>>;

    /// Enrols a key under a new identity. Durable when it answers [`Enrollment::Enrolled`].
    async fn enroll(&self, key: &NewKey, note: &Note) -> StoreResult<Enrollment>;

    /// Writes merged facts if the stored revision is still the one they were merged from.
    /// `false`: it is not; read again, merge again.
    ///
    /// When they say for the first time that a key is revoked for good which was rotated away less than
    /// [`ROTATION_DOUBT`] ago, its identity is suspended.
    async fn update(&self, facts: &KeyFacts, note: &Note) -> StoreResult<bool>;

    /// Notes a login. Returns at once; written in batches, and by [`flush`](Self::flush).
    fn note_login(&self, fingerprint: &Fingerprint, at: Timestamp);

    /// Lets a pending or suspended identity sign in. `false`: no such key.
    async fn approve(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool>;

    /// Revokes a key for good, as an administrator. Raises the generation and tells the feed; a rotation of it that
    /// waits is cancelled. `false`: no such key.
    async fn revoke(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool>;

    /// Removes a linked key, or else the whole identity with every key. Where one of the keys was revoked or rotated
    /// away, the identity suspended, or the caller says so by `keep_out`, hashes of their fingerprints stay and refuse
    /// enrolment. Tells the feed. `false`: no such key.
    async fn erase(
        &self,
        fingerprint: &Fingerprint,
        tombstone: HashOf<'_>,
        keep_out: bool,
        note: &Note,
    ) -> StoreResult<bool>;

    /// Replaces the groups granted to the key's identity; taking one away raises the generation. `false`: no such key.
    async fn set_groups(
        &self,
        fingerprint: &Fingerprint,
        groups: &[String],
        note: &Note,
    ) -> StoreResult<bool>;

    /// As [`set_groups`](Self::set_groups), if they still are `known`, in order: else [`Changed::Conflict`], and nobody's
    /// decision is lost. Read again, decide again.
    async fn replace_groups(
        &self,
        fingerprint: &Fingerprint,
        known: &[String],
        groups: &[String],
        note: &Note,
    ) -> StoreResult<Changed>;

    /// Gives the key's identity an account name, or takes it away. `hash` is the name's keyed hash, by which it is
    /// remembered for good: a name that another identity ever had is a [`Changed::Conflict`].
    async fn set_user_name(
        &self,
        fingerprint: &Fingerprint,
        name: Option<(&str, [u8; 32])>,
        note: &Note,
    ) -> StoreResult<Changed>;

    /// Ends everything that was given out to the key's identity: raises its generation. `false`: no such key.
    async fn end_all(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool>;

    /// Puts a new key in the place of an old one, at once or when its time comes.
    async fn rotate(&self, rotation: &Rotation, note: &Note) -> StoreResult<Changed>;

    /// Cancels a rotation that waits. `false`: none does.
    async fn cancel_rotation(&self, old: &Fingerprint, note: &Note) -> StoreResult<bool>;

    /// Makes a key one more of another's identity.
    async fn link(&self, link: &Link, note: &Note) -> StoreResult<Changed>;

    /// Gives a linked key back the identity that it had, without its grants.
    async fn unlink(&self, unlink: &Unlink, note: &Note) -> StoreResult<Changed>;

    /// Remembers, or forgets, that an administrator vouches for an address of the key's identity: a keyed hash of it. One
    /// address is one identity's: another's is a [`Changed::Conflict`].
    async fn confirm_email(
        &self,
        fingerprint: &Fingerprint,
        hash: &[u8; 32],
        confirmed: bool,
        note: &Note,
    ) -> StoreResult<Changed>;

    /// Whether an administrator vouches for an address of this identity.
    async fn is_email_confirmed(&self, sub: &Fingerprint, hash: &[u8; 32]) -> StoreResult<bool>;

    /// Remembers a one-time code for enrolment.
    async fn add_code(&self, code: &NewCode, note: &Note) -> StoreResult<()>;

    /// Whether a one-time code for enrolment would be good. Uses nothing up.
    async fn has_code(&self, hash: &[u8; 32], now: Timestamp) -> StoreResult<bool>;

    /// Lets a key in that waits, by a one-time code, which is used up by it. `false`: it does not wait, or the code is not
    /// good.
    async fn use_code(&self, fingerprint: &Fingerprint, hash: &[u8; 32], note: &Note) -> StoreResult<bool>;

    /// Does what has come due: rotations that waited long enough, new keys that waited too long (those of before
    /// `pending_since`), codes past their time. Answers whether anything was taken away.
    async fn do_what_is_due(&self, pending_since: Timestamp, note: &Note) -> StoreResult<bool>;

    /// Writes a line of the audit log that belongs to no change in this store.
    async fn write_audit(
        &self,
        event: AuditEvent,
        subject: Option<&Fingerprint>,
        note: &Note,
    ) -> StoreResult<()>;

    /// The audit log after a cursor (0: from the beginning), oldest first.
    async fn audit(&self, after: u64, limit: u32) -> StoreResult<AuditPage>;

    /// The audit log before a cursor (0: from its end), newest first. The page's cursor is the next `before`.
    async fn audit_back(&self, before: u64, limit: u32) -> StoreResult<AuditPage>;

    /// The keys of the identity with this account name.
    async fn find_by_user_name(&self, name: &str) -> StoreResult<Vec<EnrolledKey>>;

    /// Keys in the order of their fingerprints' canonical text.
    async fn list(&self, query: &KeyQuery) -> StoreResult<Vec<EnrolledKey>>;

    /// How many keys may sign in or wait to: all but those that were rotated away.
    async fn count(&self) -> StoreResult<u64>;

    /// Writes everything that waits. Call at shutdown.
    async fn flush(&self) -> StoreResult<()>;

    /// Whether the store answers.
    async fn check_health(&self) -> StoreResult<()>;
}
