//! A login from another device: what the one that shows the QR code asks, and what the one that signs answers.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::members::{Members, Text};
use super::{VerifyRequest, entry, fingerprint, invalid};
use crate::limits::{MAX_ORIGIN, MAX_SERVICE, QR_CODE_DIGITS};
#[cfg(feature = "openapi")]
use crate::openapi as wire;
use crate::{Fingerprint, Json, Refusal, VERSION};

/// The body of `POST /qr-challenge`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QrChallengeRequest {
    /// The service that the login is for; empty when absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::ServiceName>))]
    pub requested_service: String,
    /// The origin of the page that shows the QR code. Absent or empty means the service's first.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::OriginText>))]
    pub origin: Option<String>,
}

impl QrChallengeRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`PayloadTooLarge`](crate::ErrorCode::PayloadTooLarge), [`InvalidRequest`](crate::ErrorCode::InvalidRequest),
    /// [`UnsupportedVersion`](crate::ErrorCode::UnsupportedVersion).
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        Ok(Self {
            requested_service: members
                .text("requested_service", MAX_SERVICE, Text::Line)?
                .unwrap_or_default(),
            origin: members.filled("origin", MAX_ORIGIN, Text::Line)?,
        })
    }
}

impl Serialize for QrChallengeRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("capauth_version", VERSION)?;
        entry(&mut map, "requested_service", Some(&self.requested_service))?;
        entry(&mut map, "origin", self.origin.as_deref())?;
        map.end()
    }
}

/// The body of `POST /qr-verify/{nonce}`: that of `/verify`, and the code that the other device shows.
#[derive(Clone, PartialEq, Eq)]
pub struct QrVerifyRequest {
    /// The answer to the challenge.
    pub answer: VerifyRequest,
    /// Six digits; `None` when absent or empty.
    pub code: Option<String>,
    /// Whether the person does not want this login after all; false when absent.
    pub decline: bool,
}

impl QrVerifyRequest {
    /// An answer with the code that the other device shows, or without one.
    pub fn new(answer: VerifyRequest, code: Option<String>) -> Self {
        Self { answer, code, decline: false }
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// Those of [`VerifyRequest::parse`]; the code is not six digits.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        let answer = VerifyRequest::read(&mut members)?;
        let code = members.filled("code", QR_CODE_DIGITS, Text::Line)?;
        let is_code =
            |code: &str| code.len() == QR_CODE_DIGITS && code.bytes().all(|digit| digit.is_ascii_digit());
        if code.as_deref().is_some_and(|code| !is_code(code)) {
            return Err(invalid("`code` is not six digits"));
        }
        Ok(Self { answer, code, decline: members.flag("decline")? })
    }
}

/// The code, claims and keys stay out of logs.
impl fmt::Debug for QrVerifyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QrVerifyRequest").field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl Serialize for QrVerifyRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.answer.entries(&mut map)?;
        entry(&mut map, "code", self.code.as_deref())?;
        if self.decline {
            map.serialize_entry("decline", &true)?;
        }
        map.end()
    }
}

/// The body of `POST /qr-status/{nonce}`: what the person says, where the QR code is shown, to a key that answered without
/// the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QrDecision {
    /// It is theirs: the key whose fingerprint they saw, and no other that came meanwhile.
    Confirm(Fingerprint),
    /// It is not.
    Decline,
}

impl QrDecision {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`PayloadTooLarge`](crate::ErrorCode::PayloadTooLarge), [`InvalidRequest`](crate::ErrorCode::InvalidRequest),
    /// [`InvalidFingerprint`](crate::ErrorCode::InvalidFingerprint).
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        match members.take("confirm") {
            Some(Json::Bool(true)) => Ok(Self::Confirm(fingerprint(&mut members)?.0)),
            Some(Json::Bool(false)) => Ok(Self::Decline),
            _ => Err(invalid("`confirm` is missing, or neither true nor false")),
        }
    }
}

impl Serialize for QrDecision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("capauth_version", VERSION)?;
        map.serialize_entry("confirm", &matches!(self, Self::Confirm(_)))?;
        if let Self::Confirm(fingerprint) = self {
            map.serialize_entry("fingerprint", fingerprint)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorCode;

    const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn verify(more: &str) -> Result<QrVerifyRequest, Refusal> {
        let body = format!(
            r#"{{"fingerprint": "{FINGERPRINT}", "nonce": "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90",
                "nonce_signature": "-----BEGIN", "claims": {{"age": 1.50}}{more}}}"#
        );
        QrVerifyRequest::parse(body.as_bytes())
    }

    #[test]
    fn a_code_is_six_digits() {
        assert_eq!(verify("").unwrap().code, None);
        assert_eq!(verify(r#", "code": """#).unwrap().code, None);
        assert_eq!(verify(r#", "code": "012345""#).unwrap().code.as_deref(), Some("012345"));
        for bad in [r#""12345""#, r#""1234567""#, r#""12 345""#, r#""١٢٣""#, r#""12345a""#, "123456", "true"]
        {
            let refusal = verify(&format!(r#", "code": {bad}"#)).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidRequest, "{bad}");
        }
        assert!(verify(r#", "decline": "no""#).is_err());
        assert!(!format!("{:?}", verify(r#", "code": "975318""#)).contains("975318"));
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        for more in ["", r#", "code": "012345""#, r#", "code": "012345", "decline": true"#] {
            let request = verify(more).unwrap();
            let body = serde_json::to_vec(&request).unwrap();
            assert_eq!(QrVerifyRequest::parse(&body), Ok(request));
        }
        let request = QrChallengeRequest {
            requested_service: "a.example".to_owned(),
            origin: Some("https://a.example".to_owned()),
        };
        for request in [request, QrChallengeRequest::default()] {
            assert_eq!(QrChallengeRequest::parse(&serde_json::to_vec(&request).unwrap()), Ok(request));
        }
        for decision in [QrDecision::Decline, QrDecision::Confirm(FINGERPRINT.parse().unwrap())] {
            assert_eq!(QrDecision::parse(&serde_json::to_vec(&decision).unwrap()), Ok(decision));
        }
    }

    #[test]
    fn a_click_says_yes_to_one_key_or_no() {
        for bad in [r"{}", r#"{"confirm": null}"#, r#"{"confirm": true}"#, r#"{"confirm": 1}"#, "[]"] {
            assert!(QrDecision::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(QrDecision::parse(br#"{"confirm": false}"#), Ok(QrDecision::Decline));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(body in ".{0,200}") {
            let _ = QrVerifyRequest::parse(body.as_bytes());
            let _ = QrChallengeRequest::parse(body.as_bytes());
            let _ = QrDecision::parse(body.as_bytes());
        }
    }
}
