//! What goes wrong: at start-up ([`ConfigError`]), inside ([`AuthError`]), and how the second is told on the wire.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use capauth_protocol::{ErrorCode, Refusal};

use crate::stores::StoreError;

/// A configuration that cannot work. Says which setting, and what to do.
#[derive(Debug)]
pub struct ConfigError {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ConfigError {
    /// An error in words for whoever starts the program.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same, with its cause.
    pub fn because(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<StoreError> for ConfigError {
    fn from(error: StoreError) -> Self {
        Self::because(error.to_string(), error)
    }
}

/// Why somebody is not let in.
///
/// [`kind`](Self::kind) is for programs, [`to_refusal`](Self::to_refusal) is what a client hears, the
/// [`source`](std::error::Error::source) is for the log alone.
#[derive(Debug)]
pub struct AuthError {
    kind: AuthErrorKind,
    detail: Option<Cow<'static, str>>,
    /// Seconds after which another try may be worth it.
    retry_after: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $code:ident, $words:literal;)*) => {
        /// The kinds of [`AuthError`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AuthErrorKind { $($(#[$doc])* $kind,)* }

        impl AuthErrorKind {
            /// Every kind there is, in the order in which they are written down.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// What it is on the wire. Total: a new kind does not compile without its code.
            pub const fn code(self) -> ErrorCode {
                match self { $(Self::$kind => ErrorCode::$code,)* }
            }

            /// What to tell a person when there is nothing better to say.
            const fn words(self) -> &'static str {
                match self { $(Self::$kind => $words,)* }
            }

            /// A constant name, fit for a metric's label.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)* }
            }
        }
    };
}

kinds! {
    /// The request is not of the protocol's form.
    InvalidRequest => InvalidRequest, "The request is not of the form that the protocol asks for.";
    /// Not one certificate, no usable signing key, or secret key material.
    InvalidPublicKey => InvalidPublicKey, "This is not a public key that can sign in here.";
    /// The submitted certificate has another fingerprint.
    FingerprintMismatch => FingerprintMismatch, "The public key that was sent is not the one of this fingerprint.";
    /// A service this server does not speak for.
    ServiceMismatch => ServiceMismatch, "This server does not speak for the requested service.";
    /// A web origin that is not the service's.
    InvalidOrigin => InvalidOrigin, "This origin is not one of the service's.";
    /// Unknown, another's, or used.
    InvalidNonce => InvalidNonce, "The challenge is unknown or was used already. Ask for a new one.";
    /// Past its time.
    ExpiredNonce => ExpiredNonce, "The challenge has expired. Ask for a new one and sign it within a minute.";
    /// Not enrolled, and no key sent.
    UnknownFingerprint => UnknownFingerprint, "This key is not known here yet. Send your public key along to enrol it.";
    /// The key's own expiry.
    KeyExpired => KeyExpired, "This key has expired. Extend it, then sign in with its renewed public key.";
    /// Revoked by its owner or an administrator.
    KeyRevoked => KeyRevoked, "This key is revoked.";
    /// The login signature does not verify.
    InvalidNonceSignature => InvalidNonceSignature, "The signature over the challenge does not verify.";
    /// The claims' signature is missing or does not verify.
    InvalidClaimsSignature => InvalidClaimsSignature, "The signature over the claims is missing or does not verify.";
    /// Not the code that the other device shows.
    InvalidCode => InvalidCode, "This is not the code that the other device shows.";
    /// Not a token, or one that is no longer good.
    InvalidToken => InvalidToken, "The access token is not valid, or no longer. Sign in again.";
    /// No credentials at all.
    Unauthenticated => InvalidToken, "Sign in first.";
    /// An administrator has not approved the key yet.
    EnrollmentPending => EnrollmentPending, "The key is enrolled and waits for an administrator's approval.";
    /// New keys are not taken.
    EnrollmentClosed => EnrollmentClosed, "New keys are not taken here without an enrolment code: ask an administrator for one.";
    /// An administrator has to decide first.
    KeySuspended => KeySuspended, "This identity is suspended until an administrator decides.";
    /// Signed in, not allowed; or the server's own key.
    Forbidden => Forbidden, "This is not allowed.";
    /// More attempts than a minute allows.
    TooManyRequests => TooManyRequests, "Too many attempts. Wait a minute, then try again.";
    /// Enrolled, linked or tombstoned.
    Conflict => Conflict, "This cannot be done with this key: it is known here, linked or blocked already.";
    /// Signed more than five minutes ago, or ahead.
    ExpiredTimestamp => ExpiredTimestamp, "The time that was signed is more than five minutes from now. Sign again, by a right clock.";
    /// No such key.
    NotFound => NotFound, "There is no such key here.";
    /// The call needs a setting that is not made.
    NotConfigured => NotConfigured, "This is not configured on this server.";
    /// A store does not answer.
    Unavailable => Unavailable, "The server cannot answer at the moment. Try again shortly.";
    /// A fault of the server.
    Internal => ServerError, "The server made a mistake.";
}

impl AuthErrorKind {
    /// The kind that a code on the wire stands for, for whoever reads another server's answer. `None` for codes that no
    /// kind has.
    pub fn of_code(code: ErrorCode) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl AuthError {
    /// An error of this kind, told in its usual words.
    pub const fn new(kind: AuthErrorKind) -> Self {
        Self { kind, detail: None, retry_after: None, source: None }
    }

    /// An error of this kind with better words for the person. They go out on the wire: nothing that came from
    /// outside may stand in them, unless its every character was looked at.
    pub fn with_words(kind: AuthErrorKind, words: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: Some(words.into()), retry_after: None, source: None }
    }

    /// An error with a cause that only the log sees.
    pub fn because(kind: AuthErrorKind, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, detail: None, retry_after: None, source: Some(source.into()) }
    }

    /// The same, which says when another try may be worth it: in whole seconds, rounded up, at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Seconds after which another try may be worth it, where that is known: the `Retry-After` of the answer.
    pub const fn seconds_to_wait(&self) -> Option<u64> {
        self.retry_after
    }

    /// What kind of error this is.
    pub const fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// What a client hears: code and words, never the cause.
    pub fn to_refusal(&self) -> Refusal {
        let words = self.detail.clone().unwrap_or(Cow::Borrowed(self.kind.words()));
        Refusal::new(self.kind.code(), words)
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.as_deref().unwrap_or(self.kind.words()))
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<AuthErrorKind> for AuthError {
    fn from(kind: AuthErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        Self::because(AuthErrorKind::Unavailable, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_again_by_its_code() {
        assert_eq!(AuthErrorKind::of_code(ErrorCode::InvalidToken), Some(AuthErrorKind::InvalidToken));
        assert_eq!(AuthErrorKind::of_code(ErrorCode::TooManyRequests), Some(AuthErrorKind::TooManyRequests));
        assert_eq!(AuthErrorKind::of_code(ErrorCode::UnsupportedMediaType), None);
        for kind in AuthErrorKind::ALL {
            assert_eq!(AuthErrorKind::of_code(kind.code()).map(AuthErrorKind::code), Some(kind.code()));
        }
    }

    #[test]
    fn the_time_to_wait_is_whole_seconds_and_never_none() {
        let wait = |millis| {
            let error = AuthError::new(AuthErrorKind::TooManyRequests);
            error.retry_after(Duration::from_millis(millis)).seconds_to_wait()
        };
        assert_eq!([0, 1, 1000, 1001].map(wait), [Some(1), Some(1), Some(1), Some(2)]);
        assert_eq!(AuthError::new(AuthErrorKind::TooManyRequests).seconds_to_wait(), None);
    }

    #[test]
    fn a_cause_never_reaches_the_client() {
        let error = AuthError::because(AuthErrorKind::Unavailable, "MARKER: disk /dev/secret is full");
        let refusal = error.to_refusal();
        assert!(!format!("{refusal} {error}").contains("MARKER"));
        assert_eq!(refusal.code.status(), 503);
    }
}
