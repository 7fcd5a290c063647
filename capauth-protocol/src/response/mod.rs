//! What the server answers. Times are RFC 3339 in UTC unless said otherwise.

mod qr;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::qr::{QrChallengeResponse, QrPayload, QrStatusResponse, QrVerifyResponse};
use crate::payload::NoncePayload;
use crate::{Fingerprint, OidcClaims};

/// The answer to `POST /challenge`: everything that the payload to sign is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChallengeResponse {
    /// The version of the protocol that the server speaks: `1.0`.
    pub capauth_version: String,
    /// A UUID of version 4.
    #[cfg_attr(feature = "openapi", schema(format = "uuid"))]
    pub nonce: String,
    /// The client's own nonce, as it was sent.
    pub client_nonce_echo: String,
    /// When the challenge was made.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub timestamp: String,
    /// The service that the login is for.
    pub service: String,
    /// When the challenge ends.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires: String,
    /// The page's origin; empty for a payload of version 1.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub origin: String,
    /// The server's armored signature over the payload; empty when it has no key.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub server_signature: String,
    /// The server's armored certificate; empty when it has none.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub server_public_key: String,
    /// The challenge as text for a QR code; empty when there is none.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub qr_payload: String,
}

impl ChallengeResponse {
    /// What a person signs to answer it: version 2 where it names an origin.
    ///
    /// Whoever signs looks first whether it is the login they asked for, and at
    /// [`has_control_characters`](NoncePayload::has_control_characters).
    pub fn payload(&self) -> NoncePayload<'_> {
        NoncePayload {
            nonce: &self.nonce,
            client_nonce: &self.client_nonce_echo,
            timestamp: &self.timestamp,
            service: &self.service,
            expires: &self.expires,
            origin: Some(self.origin.as_str()).filter(|origin| !origin.is_empty()),
        }
    }
}

/// The answer to `POST /verify`: the login succeeded.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyResponse {
    /// True.
    pub authenticated: bool,
    /// The key that signed.
    pub fingerprint: Fingerprint,
    /// What applications read about the person.
    pub oidc_claims: OidcClaims,
    /// The token to show from now on.
    pub access_token: String,
    /// `capauth`.
    pub token_type: String,
    /// Seconds for which the token is good.
    pub expires_in: u64,
    /// Whether this login enrolled the key.
    pub is_new_enrollment: bool,
    /// What renews the token, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub refresh_token: Option<String>,
}

impl VerifyResponse {
    /// The `token_type` of every CapAuth token.
    pub const TOKEN_TYPE: &'static str = "capauth";
}

/// The token stays out of logs.
impl fmt::Debug for VerifyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyResponse")
            .field("authenticated", &self.authenticated)
            .field("fingerprint", &self.fingerprint)
            .field("expires_in", &self.expires_in)
            .field("is_new_enrollment", &self.is_new_enrollment)
            .finish_non_exhaustive()
    }
}

/// The answer to `GET /well-known`: what kind of server this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WellKnown {
    /// The version of the protocol that the server speaks: `1.0`.
    pub capauth_version: String,
    /// The service id.
    pub service: String,
    /// The fingerprint of the server's own certificate; empty when it has none.
    pub server_fingerprint: String,
    /// The server's armored certificate; empty when it has none.
    pub server_public_key: String,
    /// Who may enrol.
    pub enrollment: Enrollment,
    /// Seconds for which a challenge may be answered.
    pub nonce_ttl_seconds: u64,
    /// The names of the claims that the server understands.
    pub supported_claims: Vec<String>,
    /// The JWS algorithm of access tokens, such as `EdDSA`.
    pub access_token_alg: String,
    /// The URL of the keys that tokens are checked with.
    #[cfg_attr(feature = "openapi", schema(format = "uri"))]
    pub jwks_uri: String,
    /// Whether there is a feed of revocations.
    pub revocations: bool,
    /// The `iss` of the server's tokens; empty when a server does not say.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub issuer: String,
}

/// Who may enrol a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Enrollment {
    /// Anybody who proves possession.
    Open,
    /// Anybody, once an administrator approves.
    Approval,
    /// Nobody but by an administrator, or with a code of one.
    Closed,
}

/// The answer to `GET /status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// The service id.
    pub service: String,
    /// The version of the server's program.
    pub version: String,
    /// How many keys are enrolled; left out where membership is private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enrolled_keys: Option<u64>,
    /// Whether new keys wait for an administrator.
    pub require_approval: bool,
    /// False when a store is gone.
    pub healthy: bool,
}

/// A key in the answer to `GET /keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyEntry {
    /// The key.
    pub fingerprint: Fingerprint,
    /// When it first proved itself.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub enrolled_at: String,
    /// When it last did.
    #[cfg_attr(feature = "openapi", schema(format = DateTime, required = true))]
    pub last_auth: Option<String>,
    /// Whether it may log in.
    pub approved: bool,
    /// The primary key whose identity it shares.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub linked_to: Option<Fingerprint>,
    /// When it was revoked.
    #[cfg_attr(feature = "openapi", schema(format = DateTime, required = true))]
    pub revoked_at: Option<String>,
    /// The groups that an administrator granted.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub groups: Vec<String>,
    /// The identity it signs for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub sub: Option<Fingerprint>,
    /// The account name that an administrator gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub user_name: Option<String>,
    /// Whether its identity waits for an administrator's decision.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub suspended: bool,
    /// When another key took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime, nullable = false))]
    pub replaced_at: Option<String>,
    /// The key that waits to take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub replaced_soon: Option<WaitingKey>,
}

/// A key that waits to take another's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitingKey {
    /// The key that comes.
    pub fingerprint: Fingerprint,
    /// When it does, unless that is cancelled before.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub effective_at: String,
}

/// The answer to `GET /identity`: what a person is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IdentityInfo {
    /// The identity.
    pub sub: Fingerprint,
    /// The key that the person signed in with.
    pub fingerprint: Fingerprint,
    /// The name that applications key an account on.
    pub user_name: String,
    /// The groups that an administrator granted.
    pub groups: Vec<String>,
    /// Every key of the identity: the primary one, those linked to it, those that were replaced.
    pub keys: Vec<KeyEntry>,
}

/// The answer to `POST /rotate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rotated {
    /// Whether the new key has taken the old one's place. False: it will at `effective_at`.
    pub rotated: bool,
    /// The key that goes.
    pub old_fingerprint: Fingerprint,
    /// The key that comes.
    pub new_fingerprint: Fingerprint,
    /// The identity, which stays.
    pub sub: Fingerprint,
    /// When it happens, unless it is cancelled before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime, nullable = false))]
    pub effective_at: Option<String>,
}

/// The answer to `POST /link` and `POST /unlink`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Linked {
    /// Whether the second key is one of the identity now.
    pub linked: bool,
    /// The identity that the second key signs for now.
    pub sub: Fingerprint,
}

/// A session in the answer to `GET /sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// Its name in `DELETE /sessions/{id}`.
    pub id: String,
    /// The service it is for.
    pub service: String,
    /// When the person signed.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_at: String,
    /// When it was last used.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub last_seen: String,
    /// When it ends at the latest.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires_at: String,
    /// How the person signed in.
    pub amr: Vec<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// A line of the answer to `GET /audit?after=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLine {
    /// When.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub at: String,
    /// Who: `administrator`, `server`, an identity's `sub`, or `gone:` and a random name once that was erased.
    pub who: String,
    /// What.
    pub what: String,
    /// To whom, in the same words.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub subject: Option<String>,
    /// From which network, where that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub network: Option<String>,
}

/// The answer to `GET /audit?after=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLog {
    /// What happened since `after`, oldest first; or, if that was asked for, before it, newest first.
    pub entries: Vec<AuditLine>,
    /// The `after` of the next call.
    pub cursor: u64,
}

/// The answer to `POST /enrollment-codes`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrollmentCode {
    /// What lets one new key in. Shown here, and nowhere again.
    pub enrollment_code: String,
    /// Until when.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires_at: String,
    /// The groups granted to whoever uses it.
    pub groups: Vec<String>,
}

/// The code stays out of logs.
impl fmt::Debug for EnrollmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollmentCode").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The answer to `POST /token`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenResponse {
    /// The token to show from now on.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds for which it is good.
    pub expires_in: u64,
    /// What renews it next time. The one that was sent is used up.
    pub refresh_token: String,
}

/// Tokens stay out of logs.
impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// The answer to `GET /revocations?after=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Revocations {
    /// What ended since `after`, oldest first.
    pub entries: Vec<RevocationEntry>,
    /// The `after` of the next call.
    pub cursor: u64,
    /// The installation's epoch. Another one than before: everything that was given out earlier has ended.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub epoch: u64,
}

/// Something that ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum RevocationEntry {
    /// One token.
    Token {
        /// SHA-256 of the token's `jti`, in hexadecimal.
        jti_sha256: String,
        /// When the token would have ended, in seconds since 1970: after that the entry can be forgotten.
        expires: u64,
    },
    /// All tokens of an identity that are older than a generation.
    Generation {
        /// The identity.
        sub: String,
        /// The oldest generation that still counts.
        generation: u64,
    },
    /// A key, and every token that it made.
    Key {
        /// The key.
        fingerprint: Fingerprint,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    #[test]
    fn entries_of_the_feed_are_told_apart_by_kind() {
        let feed = Revocations {
            entries: vec![
                RevocationEntry::Token { jti_sha256: String::from("ab"), expires: 7 },
                RevocationEntry::Generation { sub: String::from("s"), generation: 2 },
                RevocationEntry::Key { fingerprint: FINGERPRINT.parse().unwrap() },
            ],
            cursor: 3,
            epoch: 1,
        };
        let text = serde_json::to_string(&feed).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"entries":[{{"kind":"token","jti_sha256":"ab","expires":7}},{{"kind":"generation","sub":"s","generation":2}},{{"kind":"key","fingerprint":"{FINGERPRINT}"}}],"cursor":3,"epoch":1}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Revocations>(&text).unwrap(), feed);
        assert!(serde_json::from_str::<RevocationEntry>(r#"{"kind":"other"}"#).is_err());
    }

    #[test]
    fn verify_response_round_trip_and_its_token_is_not_shown() {
        let fingerprint: Fingerprint = FINGERPRINT.parse().unwrap();
        let response = VerifyResponse {
            authenticated: true,
            fingerprint,
            oidc_claims: OidcClaims::new(FINGERPRINT, fingerprint),
            access_token: String::from("MARKER"),
            token_type: String::from(VerifyResponse::TOKEN_TYPE),
            expires_in: 3600,
            is_new_enrollment: false,
            refresh_token: None,
        };
        let text = serde_json::to_string(&response).unwrap();
        assert!(text.contains(r#""token_type":"capauth","expires_in":3600,"is_new_enrollment":false"#));
        assert_eq!(serde_json::from_str::<VerifyResponse>(&text).unwrap(), response);
        assert!(!format!("{response:?}").contains("MARKER"));
    }

    #[test]
    fn challenge_of_a_server_without_origins_is_read() {
        let text = r#"{"capauth_version":"1.0","nonce":"n","client_nonce_echo":"c","timestamp":"t",
            "service":"s","expires":"e"}"#;
        let read: ChallengeResponse = serde_json::from_str(text).unwrap();
        assert_eq!((read.origin.as_str(), read.nonce.as_str()), ("", "n"));
        let v1 = "CAPAUTH_NONCE_V1\nnonce=n\nclient_nonce=c\ntimestamp=t\nservice=s\nexpires=e";
        assert_eq!(read.payload().to_text(), v1);
        let page = ChallengeResponse { origin: String::from("https://a.example"), ..read };
        let v2 = "CAPAUTH_NONCE_V2\nnonce=n\nclient_nonce=c\norigin=https://a.example\ntimestamp=t\nservice=s\nexpires=e";
        assert_eq!(page.payload().to_text(), v2);
        assert!(serde_json::from_str::<ChallengeResponse>("{}").is_err());
    }

    #[test]
    fn status_with_and_without_the_number_of_keys() {
        let mut status = Status {
            service: String::from("s"),
            version: String::from("0.1.0"),
            enrolled_keys: Some(4),
            require_approval: true,
            healthy: true,
        };
        assert!(serde_json::to_string(&status).unwrap().contains(r#""enrolled_keys":4"#));
        status.enrolled_keys = None;
        assert!(!serde_json::to_string(&status).unwrap().contains("enrolled_keys"));
    }

    #[test]
    fn key_entry_names_every_member() {
        let entry = KeyEntry {
            fingerprint: FINGERPRINT.parse().unwrap(),
            enrolled_at: String::from("2026-01-01T00:00:00Z"),
            last_auth: None,
            approved: true,
            linked_to: None,
            revoked_at: None,
            groups: Vec::new(),
            sub: None,
            user_name: None,
            suspended: false,
            replaced_at: None,
            replaced_soon: None,
        };
        assert_eq!(
            serde_json::to_string(&entry).unwrap(),
            format!(
                r#"{{"fingerprint":"{FINGERPRINT}","enrolled_at":"2026-01-01T00:00:00Z","last_auth":null,"approved":true,"linked_to":null,"revoked_at":null,"groups":[],"suspended":false}}"#
            )
        );
    }

    #[test]
    fn words_for_enrolment() {
        let words = [Enrollment::Open, Enrollment::Approval, Enrollment::Closed];
        assert_eq!(serde_json::to_string(&words).unwrap(), r#"["open","approval","closed"]"#);
    }
}
