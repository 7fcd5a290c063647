//! The audit log: who did what to whom, and when. Never a name or an address of a person.

use capauth_protocol::Fingerprint;

use crate::clock::Timestamp;

/// Who does something, when, and from which network if that is kept at all.
#[derive(Debug, Clone)]
pub struct Note {
    /// Now.
    pub at: Timestamp,
    /// Who.
    pub who: Actor,
    /// The network it comes from, cut to /24 or /48; `None` unless that is configured.
    pub network: Option<String>,
}

impl Note {
    /// Somebody does something now.
    pub const fn new(at: Timestamp, who: Actor) -> Self {
        Self { at, who, network: None }
    }
}

/// Who does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds the administrator's token, or the program that CapAuth is built into.
    Administrator,
    /// Whoever may write the database, with a command beside the service.
    Shell,
    /// The holder of this key: themselves, or as an administrator.
    Key(Fingerprint),
    /// The server, because it was time.
    Server,
}

macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $word:literal;)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AuditEvent { $($(#[$doc])* $event,)* }

        impl AuditEvent {
            /// Every event there is.
            pub const ALL: &'static [Self] = &[$(Self::$event,)*];

            /// The word that stands in the log.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$event => $word,)* }
            }
        }
    };
}

events! {
    /// A key enrolled and may sign in.
    Enrolled = "enrolled";
    /// An administrator lets an identity sign in.
    Approved = "approved";
    /// An administrator revoked a key.
    Revoked = "revoked";
    /// A key revoked itself.
    RevokedItself = "revoked_itself";
    /// A key that was rotated away revoked itself: the identity waits for an administrator.
    Suspended = "suspended";
    /// A key or identity was removed.
    Erased = "erased";
    /// Groups were granted or taken away.
    Groups = "groups";
    /// An account name was given or taken away.
    UserName = "user_name";
    /// A new key took the place of an old one.
    Rotated = "rotated";
    /// A new key will take the place of an old one.
    RotationWaits = "rotation_waits";
    /// It will not.
    RotationCancelled = "rotation_cancelled";
    /// A key was linked to another's identity.
    Linked = "linked";
    /// It was unlinked.
    Unlinked = "unlinked";
    /// An administrator vouches for an e-mail address.
    EmailConfirmed = "email_confirmed";
    /// No longer.
    EmailWithdrawn = "email_withdrawn";
    /// A one-time code was made.
    CodeMade = "code_made";
    /// Everything that was given out to an identity ended.
    EndedAll = "ended_all";
    /// A token or session was ended before its time.
    TokenEnded = "token_ended";
    /// A refresh token was shown twice, and its family ended.
    RefreshReused = "refresh_reused";
    /// A backup took the place of the database.
    Restored = "restored";
}

/// A name in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditName {
    /// The administrator's token, or the program itself.
    Administrator,
    /// A command beside the service.
    Shell,
    /// The server.
    Server,
    /// An identity.
    Identity {
        /// Under what it stands in the log: random, so that nobody can say whose it was once the identity is erased.
        name: String,
        /// The identity's sub, as long as it is here.
        sub: Option<Fingerprint>,
    },
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: AuditName,
    /// What: the word of an [`AuditEvent`].
    pub what: String,
    /// To whom.
    pub subject: Option<AuditName>,
    /// From which network, where that is kept.
    pub network: Option<String>,
}

/// Some lines, and where the next ones begin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditPage {
    /// In the order in which they were written, or in the opposite one.
    pub entries: Vec<AuditEntry>,
    /// Ask for what comes after this next time.
    pub cursor: u64,
}
