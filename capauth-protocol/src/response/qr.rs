//! What the server answers about a login from another device.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::payload::NoncePayload;
use crate::{Fingerprint, OidcClaims};

/// The answer to `POST /qr-challenge`: a login that another device is to sign.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QrChallengeResponse {
    /// The version of the protocol that the server speaks: `1.0`.
    pub capauth_qr: String,
    /// A UUID of version 4.
    #[cfg_attr(feature = "openapi", schema(format = "uuid"))]
    pub nonce: String,
    /// What stands for the client's nonce in the payload.
    pub client_nonce_echo: String,
    /// The origin that is signed for: always a payload of version 2.
    pub origin: String,
    /// When the challenge was made.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub timestamp: String,
    /// The service that the login is for.
    pub service: String,
    /// When the challenge ends.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires: String,
    /// Where the answer is sent: a URL of `origin`.
    pub callback: String,
    /// What the other device needs to know, as JSON text: all of the members above.
    pub qr_payload: String,
    /// A URL with the same in its fragment. It is what the QR code says.
    pub qr_url: String,
    /// The QR code: a PNG as a `data:` URL.
    pub qr_data_url: String,
    /// Six digits to be shown beside the QR code, and typed on the other device.
    pub code: String,
    /// What fetches the result. It stays where the QR code is shown.
    pub poll_token: String,
    /// The server's armored signature over the payload; empty when it has no key.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub server_signature: String,
    /// The server's armored certificate; empty when it has none.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub server_public_key: String,
}

/// The code and the token stay out of logs.
impl fmt::Debug for QrChallengeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QrChallengeResponse")
            .field("service", &self.service)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// What a QR code says: everything that the payload to sign is made of, and where to send the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QrPayload {
    /// [`VERSION`](crate::VERSION).
    pub capauth_qr: String,
    /// A UUID of version 4.
    pub nonce: String,
    /// What stands for the client's nonce in the payload.
    pub client_nonce_echo: String,
    /// The origin that is signed for.
    pub origin: String,
    /// When the challenge was made.
    pub timestamp: String,
    /// The service that the login is for.
    pub service: String,
    /// When the challenge ends.
    pub expires: String,
    /// Where the answer is sent. Whoever signs sends it nowhere but to `origin`.
    pub callback: String,
}

impl QrPayload {
    /// What a person signs to answer it: always version 2.
    pub fn payload(&self) -> NoncePayload<'_> {
        NoncePayload {
            nonce: &self.nonce,
            client_nonce: &self.client_nonce_echo,
            timestamp: &self.timestamp,
            service: &self.service,
            expires: &self.expires,
            origin: Some(&self.origin),
        }
    }

    /// Whether the answer would be sent to the origin that is signed for. Signers refuse any other.
    pub fn stays_at_its_origin(&self) -> bool {
        let path = self.callback.strip_prefix(self.origin.as_str());
        !self.origin.is_empty() && path.is_some_and(|path| path.starts_with('/'))
    }
}

/// The answer to `POST /qr-verify/{nonce}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QrVerifyResponse {
    /// Whether the other device is signed in. False: it waits for a click there, or the login was declined.
    pub authenticated: bool,
    /// What to do next, for a person.
    pub message: String,
}

/// The answer to `GET` and `POST /qr-status/{nonce}`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QrStatusResponse {
    /// `pending`, `authenticated` or `expired`.
    pub status: String,
    /// Whether the login succeeded.
    pub completed: bool,
    /// Why it will not: `time`, `declined`, `wrong_code`, `refused`, or `fetched` for a page that comes for a session that was
    /// handed out before. Beside `expired` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reason: Option<String>,
    /// The key that waits for a click, or that signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub fingerprint: Option<Fingerprint>,
    /// The token to show from now on. Answered once, with all that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub access_token: Option<String>,
    /// The same, under the name that older clients look for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub session_token: Option<String>,
    /// `capauth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub token_type: Option<String>,
    /// What applications read about the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub oidc_claims: Option<OidcClaims>,
    /// Seconds for which the token is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub expires_in: Option<u64>,
    /// Whether this login enrolled the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub is_new_enrollment: Option<bool>,
}

/// Tokens and claims stay out of logs.
impl fmt::Debug for QrStatusResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QrStatusResponse")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_qr_code_that_sends_the_signature_elsewhere() {
        let of = |origin: &str, callback: &str| QrPayload {
            capauth_qr: String::from("1.0"),
            nonce: String::from("n"),
            client_nonce_echo: String::from("c"),
            origin: String::from(origin),
            timestamp: String::from("t"),
            service: String::from("s"),
            expires: String::from("e"),
            callback: String::from(callback),
        };
        let good = of("https://a.example", "https://a.example/capauth/v1/qr-verify/n");
        assert!(good.stays_at_its_origin());
        assert!(good.payload().to_text().starts_with("CAPAUTH_NONCE_V2\n"));
        for callback in [
            "https://evil.example/https://a.example/",
            "https://a.example.evil.example/",
            "https://a.example@evil.example/",
            "https://a.example:444/",
            "http://a.example/",
            "https://a.example",
            "",
        ] {
            assert!(!of("https://a.example", callback).stays_at_its_origin(), "{callback}");
        }
        assert!(!of("", "/x").stays_at_its_origin());
    }
}
