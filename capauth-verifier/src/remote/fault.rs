//! What goes wrong between us and the central service: classified, counted, logged now and then, never a login.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{AuthError, AuthErrorKind, ConfigError};

/// Milliseconds between two warnings of one kind: an outage is told, not shouted.
const WARN_EVERY: u64 = 10_000;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal;)*) => {
        /// What kind of failure it is: the label of the counter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum FaultKind { $($(#[$doc])* $kind,)* }

        impl FaultKind {
            const COUNT: usize = [$(Self::$kind,)*].len();

            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }
        }
    };
}

kinds! {
    /// No connection, or it broke.
    Connect = "connect";
    /// No answer in time.
    Timeout = "timeout";
    /// It sends us elsewhere.
    Redirect = "redirect";
    /// A status that is no answer to what was asked.
    Status = "status";
    /// Not JSON by its own word.
    ContentType = "content_type";
    /// More than such an answer has.
    TooLarge = "too_large";
    /// Not what the protocol answers.
    Malformed = "malformed";
    /// Another issuer.
    Issuer = "issuer";
    /// Another service.
    Audience = "audience";
    /// A challenge that must not be signed.
    Challenge = "challenge";
    /// Not signed by the pinned key.
    ServerKey = "server_key";
    /// Too many questions at once.
    Busy = "busy";
    /// Not asked, since the last answers were faults.
    CircuitOpen = "circuit_open";
}

impl FaultKind {
    /// Whether it says that the service is away for the moment, rather than that something is set up wrongly.
    pub(super) const fn is_passing(self) -> bool {
        matches!(self, Self::Connect | Self::Timeout | Self::Status | Self::Busy | Self::CircuitOpen)
    }
}

/// A failure, with words for whoever runs the program. Nothing of a person stands in them.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// The HTTP status, where it is one.
    pub(super) status: Option<u16>,
    pub(super) words: Cow<'static, str>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Fault {}

/// Not the person's mistake, and no reason to let anybody in.
impl From<Fault> for AuthError {
    fn from(fault: Fault) -> Self {
        Self::because(AuthErrorKind::Unavailable, fault)
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        Self::new(fault.words)
    }
}

/// Counts failures, and writes each kind to the log now and then.
#[derive(Debug)]
pub(super) struct Reports {
    /// When each kind was last warned of, in milliseconds.
    warned: [AtomicU64; FaultKind::COUNT],
}

impl Reports {
    pub(super) fn new() -> Self {
        metrics::describe_counter!(
            "capauth_remote_failures_total",
            "What went wrong between the application and its central service, by kind"
        );
        Self { warned: [const { AtomicU64::new(0) }; FaultKind::COUNT] }
    }

    /// Makes a fault: the only place that does, so that none goes uncounted.
    pub(super) fn fault(
        &self,
        kind: FaultKind,
        status: Option<u16>,
        words: impl Into<Cow<'static, str>>,
        now: u64,
    ) -> Fault {
        let words = words.into();
        metrics::counter!("capauth_remote_failures_total", "kind" => kind.as_str()).increment(1);
        let due = self.warned.get(kind as usize).is_some_and(|warned| {
            let last = warned.load(Ordering::Relaxed);
            now.abs_diff(last) >= WARN_EVERY
                && warned.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        });
        if due {
            tracing::warn!(target: "capauth::remote", kind = kind.as_str(), status, "{words}");
        } else {
            tracing::debug!(target: "capauth::remote", kind = kind.as_str(), status, "{words}");
        }
        Fault { kind, status, words }
    }
}

/// A service's own text for the log or a person who configures: short, and without what could disturb a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_debug).collect()
}
