//! What goes wrong, as the wire says it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::VERSION;

/// Writes the enum and its one table of code and status, so that the two cannot part.
macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $status:literal;)+) => {
        /// The reason for a refusal, as it stands in `error`, with its HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// When it is said, in a sentence or two.
            #[cfg(feature = "openapi")]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }

            /// The word on the wire, and the HTTP status.
            const fn row(self) -> (&'static str, u16) {
                match self {
                    $(Self::$variant => ($code, $status),)+
                }
            }
        }
    };
}

error_codes! {
    /// Not JSON, a member missing or of the wrong type, too long, or with control characters.
    InvalidRequest = "invalid_request", 400;
    /// The body is larger than 256 KiB.
    PayloadTooLarge = "payload_too_large", 413;
    /// Not 40 or 64 hexadecimal digits.
    InvalidFingerprint = "invalid_fingerprint", 400;
    /// Not one certificate, no usable signing key, or secret key material.
    InvalidPublicKey = "invalid_public_key", 400;
    /// The submitted key is not the claimed one.
    FingerprintMismatch = "fingerprint_mismatch", 401;
    /// Not a service that this server speaks for.
    ServiceMismatch = "service_mismatch", 400;
    /// An origin that the service does not list.
    InvalidOrigin = "invalid_origin", 400;
    /// Unknown, somebody else's, or already used; which of the three is not told.
    InvalidNonce = "invalid_nonce", 400;
    /// Known, and past its time.
    ExpiredNonce = "expired_nonce", 400;
    /// Not enrolled, and no key sent.
    UnknownFingerprint = "unknown_fingerprint", 401;
    /// The key is past its time.
    KeyExpired = "key_expired", 401;
    /// The key is revoked.
    KeyRevoked = "key_revoked", 401;
    /// The login's signature does not verify.
    InvalidNonceSignature = "invalid_nonce_signature", 401;
    /// The claims' signature does not verify, or is missing.
    InvalidClaimsSignature = "invalid_claims_signature", 401;
    /// In a login from another device: not the code that the screen shows.
    InvalidCode = "invalid_code", 401;
    /// The token is not valid here and now.
    InvalidToken = "invalid_token", 401;
    /// The key is proven, and waits for an administrator.
    EnrollmentPending = "enrollment_pending", 403;
    /// New keys are not taken.
    EnrollmentClosed = "enrollment_closed", 403;
    /// An administrator has to look at the key first.
    KeySuspended = "key_suspended", 403;
    /// Signed in and not allowed, or the server's own key.
    Forbidden = "forbidden", 403;
    /// The key is enrolled, linked or blocked already; which is not told.
    Conflict = "conflict", 409;
    /// A rotation or link made more than five minutes from now.
    ExpiredTimestamp = "expired_timestamp", 400;
    /// A `capauth_version` other than 1.x.
    UnsupportedVersion = "unsupported_version", 400;
    /// Come back later: `Retry-After` says when.
    TooManyRequests = "too_many_requests", 429;
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405;
    /// Nothing of that name.
    NotFound = "not_found", 404;
    /// The body is of a type that the path does not read.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// The operator has not set up what was asked for.
    NotConfigured = "not_configured", 501;
    /// A fault of this server.
    ServerError = "server_error", 500;
    /// Something that this server needs is away for the moment.
    Unavailable = "server_error", 503;
}

impl ErrorCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The code that has this word and this status, for whoever reads an answer.
    pub fn from_wire(word: &str, status: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.row() == (word, status))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A request that is not answered: the code for a program, and words for a person.
///
/// The words never repeat what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for a program.
    pub code: ErrorCode,
    /// What to do about it, for a person.
    pub description: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with these words.
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.description)
    }
}

impl std::error::Error for Refusal {}

/// The body of an answer that refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Error))]
pub struct ErrorBody {
    /// Why, for a program: the word of an error code.
    #[cfg_attr(feature = "openapi", schema(value_type = ErrorCode))]
    pub error: Cow<'static, str>,
    /// Words for a person.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub error_description: Cow<'static, str>,
    /// The version of the protocol: `1.0`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub capauth_version: Cow<'static, str>,
    /// `enrollment_pending`, where clients look for it under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub status: Option<Cow<'static, str>>,
    /// The description once more, where clients look for it under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub message: Option<Cow<'static, str>>,
}

impl From<Refusal> for ErrorBody {
    /// `status` and `message` are set for [`ErrorCode::EnrollmentPending`] alone.
    fn from(refusal: Refusal) -> Self {
        let pending = refusal.code == ErrorCode::EnrollmentPending;
        let code = Cow::Borrowed(refusal.code.as_str());
        Self {
            status: pending.then(|| code.clone()),
            message: pending.then(|| refusal.description.clone()),
            error: code,
            error_description: refusal.description,
            capauth_version: Cow::Borrowed(VERSION),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_and_statuses() {
        let row = |code: ErrorCode| (code.as_str(), code.status());
        assert_eq!(row(ErrorCode::InvalidRequest), ("invalid_request", 400));
        assert_eq!(row(ErrorCode::FingerprintMismatch), ("fingerprint_mismatch", 401));
        assert_eq!(row(ErrorCode::NotConfigured), ("not_configured", 501));
        assert_eq!(row(ErrorCode::ServerError), ("server_error", 500));
        assert_eq!(row(ErrorCode::Unavailable), ("server_error", 503));
        assert_eq!(ErrorCode::KeyRevoked.to_string(), "key_revoked");
    }

    #[test]
    fn every_code_is_found_again_by_what_stands_on_the_wire() {
        let rows: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.row()).collect();
        assert_eq!(rows.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_wire(code.as_str(), code.status()), Some(*code));
            assert!((400..600).contains(&code.status()));
        }
        assert_eq!(ErrorCode::from_wire("invalid_nonce", 500), None);
    }

    #[test]
    fn body_of_a_refusal() {
        let refusal = Refusal::new(ErrorCode::InvalidNonce, "ask again");
        assert_eq!(refusal.to_string(), "invalid_nonce: ask again");
        let text = serde_json::to_string(&ErrorBody::from(refusal)).unwrap();
        assert_eq!(
            text,
            r#"{"error":"invalid_nonce","error_description":"ask again","capauth_version":"1.0"}"#
        );
        let read: ErrorBody = serde_json::from_str(&text).unwrap();
        assert_eq!(read.error, "invalid_nonce");
    }

    #[test]
    fn body_while_enrolment_waits() {
        let body = ErrorBody::from(Refusal::new(ErrorCode::EnrollmentPending, "wait"));
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"error":"enrollment_pending","error_description":"wait","capauth_version":"1.0","#.to_owned()
                + r#""status":"enrollment_pending","message":"wait"}"#
        );
    }
}
