//! Access tokens: signed with a ring of Ed25519 keys, or with a shared secret where one is configured.

mod ring;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_protocol::{Fingerprint, OidcClaims};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::claims::drop_reserved;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind, ConfigError};
use crate::secret::Secret;
use crate::stores::Stores;
use crate::verifier::Session;

use ring::KeyRing;

/// The purpose of an access token, in its header: RFC 9068.
const TYPE: &str = "at+jwt";
/// Seconds for which a session may last that another application makes of a token: 30 days. The feed tells of erased keys
/// for longer.
const LONGEST_ELSEWHERE: u64 = 30 * 24 * 3600;
/// The longest text that is looked at as a token, in bytes.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;

/// Makes and reads access tokens of one issuer.
pub(crate) struct Tokens {
    issuer: Arc<str>,
    keys: Keys,
}

enum Keys {
    /// EdDSA, with a key that the store keeps.
    Ring(KeyRing),
    /// HS256, with a secret that the applications share.
    Shared { encoding: EncodingKey, decoding: DecodingKey },
}

/// A token's payload. `aud` and `capauth_service` both name the service: which of them is there depends on the
/// algorithm, since readers that share the secret stumble over an `aud` they did not ask for.
#[derive(Serialize, Deserialize)]
struct Payload<C> {
    iss: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capauth_service: Option<String>,
    iat: u64,
    exp: u64,
    auth_time: u64,
    jti: String,
    capauth_generation: u64,
    capauth_epoch: u64,
    /// How long a session may last that a reader makes of this token: no longer than the key does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capauth_session_until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capauth_origin: Option<String>,
    /// Whether another device signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    capauth_qr: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capauth_shared_groups: Option<Vec<String>>,
    #[serde(flatten)]
    claims: C,
}

impl Tokens {
    /// # Errors
    /// The store is gone, or what it keeps does not open.
    pub(crate) async fn new(
        issuer: Arc<str>,
        stores: &Stores,
        secret: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        let keys = match secret {
            Some(secret) => Keys::Shared {
                encoding: EncodingKey::from_secret(secret.expose().as_bytes()),
                decoding: DecodingKey::from_secret(secret.expose().as_bytes()),
            },
            None => Keys::Ring(KeyRing::open(stores, now).await?),
        };
        Ok(Self { issuer, keys })
    }

    /// The JOSE name of the algorithm.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.keys {
            Keys::Ring(_) => "EdDSA",
            Keys::Shared { .. } => "HS256",
        }
    }

    /// The public keys (RFC 7517), as JSON. Empty where a secret is shared.
    ///
    /// # Errors
    /// The store is gone.
    pub(crate) async fn jwks(&self, now: Timestamp) -> Result<String, AuthError> {
        match &self.keys {
            Keys::Ring(ring) => ring.jwks(now).await,
            Keys::Shared { .. } => Ok(String::from(r#"{"keys":[]}"#)),
        }
    }

    /// Makes a token of a session. `claims` are the session's with the groups that count now.
    ///
    /// # Errors
    /// Signing failed.
    pub(crate) async fn issue(
        &self,
        session: &Session,
        claims: &OidcClaims,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<String, AuthError> {
        let shared = matches!(self.keys, Keys::Shared { .. });
        let service = Some(session.service.clone());
        let payload = Payload {
            iss: self.issuer.to_string(),
            aud: service.clone().filter(|_| !shared),
            capauth_service: service.filter(|_| shared),
            iat: now.as_unix(),
            exp: expires.as_unix(),
            auth_time: session.authenticated_at.as_unix(),
            jti: session.jti.clone(),
            capauth_generation: session.generation,
            capauth_epoch: session.epoch,
            capauth_session_until: Some(session.expires.min(now.plus(LONGEST_ELSEWHERE)).as_unix()),
            capauth_origin: session.origin.clone(),
            capauth_qr: session.qr,
            capauth_shared_groups: session.shared_groups.clone(),
            claims,
        };
        let mut header = Header::new(if shared { Algorithm::HS256 } else { Algorithm::EdDSA });
        header.typ = Some(TYPE.to_owned());
        match &self.keys {
            Keys::Shared { encoding, .. } => {
                jsonwebtoken::encode(&header, &payload, encoding).map_err(internal)
            }
            Keys::Ring(ring) => {
                // jsonwebtoken would parse the private key anew for each token, which costs more than signing does.
                let key = ring.signing_key(now).await?;
                header.kid = Some(key.kid.clone());
                let mut token = part(&header)?;
                token.push('.');
                token.push_str(&part(&payload)?);
                let signature = key.sign(&token);
                token.push('.');
                token.push_str(&signature);
                Ok(token)
            }
        }
    }

    /// Reads a token: algorithm (the configured one, whatever the header says), purpose, signature, issuer, expiry.
    /// The audience is in the answer; whether the token was revoked is not looked at here.
    ///
    /// # Errors
    /// [`AuthErrorKind::InvalidToken`].
    pub(crate) async fn read(&self, token: &str, now: Timestamp) -> Result<Session, AuthError> {
        let algorithm = match self.keys {
            Keys::Shared { .. } => Algorithm::HS256,
            Keys::Ring(_) => Algorithm::EdDSA,
        };
        let kid = kid_of(token, algorithm)?;
        let key = match &self.keys {
            Keys::Shared { decoding, .. } => decoding.clone(),
            Keys::Ring(ring) => {
                let kid = kid.ok_or(AuthError::new(AuthErrorKind::InvalidToken))?;
                ring.verifying_key(&kid, now).await?
            }
        };
        Ok(read_with(token, &key, algorithm, &self.issuer, now)?.session)
    }
}

/// What a good token says.
pub(crate) struct Read {
    /// Ends when the token does.
    pub(crate) session: Session,
    /// The groups that were granted and shared when it was made.
    #[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "the store is asked instead"))]
    pub(crate) groups: Vec<String>,
    /// How long a session may last that is made of it.
    #[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "the store is asked instead"))]
    pub(crate) session_until: Option<Timestamp>,
}

/// Why a token is not good. Outside it is always [`AuthErrorKind::InvalidToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Another issuer's, signed by the right key.
    Issuer,
    /// Anything else.
    Token,
}

impl From<Unreadable> for AuthError {
    fn from(_: Unreadable) -> Self {
        Self::new(AuthErrorKind::InvalidToken)
    }
}

/// Which key a token says it was signed with. Too long a text, another algorithm or another purpose is refused here.
pub(crate) fn kid_of(token: &str, algorithm: Algorithm) -> Result<Option<String>, Unreadable> {
    if token.len() > MAX_TOKEN {
        return Err(Unreadable::Token);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Unreadable::Token)?;
    if header.alg != algorithm || header.typ.as_deref() != Some(TYPE) {
        return Err(Unreadable::Token);
    }
    Ok(header.kid)
}

/// Reads a token whose key is known: algorithm, signature, issuer, expiry. Ask [`kid_of`] first.
pub(crate) fn read_with(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    issuer: &str,
    now: Timestamp,
) -> Result<Read, Unreadable> {
    let invalid = Unreadable::Token;
    let mut validation = Validation::new(algorithm);
    // Expiry, issuer and audience are checked below, by our clock.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let payload =
        jsonwebtoken::decode::<Payload<OidcClaims>>(token, key, &validation).map_err(|_| invalid)?;
    let payload = payload.claims;
    if payload.iss != issuer {
        return Err(Unreadable::Issuer);
    }
    if payload.exp <= now.as_unix() {
        return Err(invalid);
    }
    let shared = algorithm == Algorithm::HS256;
    let service = if shared { payload.capauth_service } else { payload.aud }.ok_or(invalid)?;
    let mut claims = payload.claims;
    drop_reserved(&mut claims);
    let groups = std::mem::take(&mut claims.groups);
    let sub: Fingerprint = claims.sub.parse().map_err(|_| invalid)?;
    let session = Session {
        jti: payload.jti,
        service,
        sub,
        fingerprint: claims.capauth_fingerprint,
        generation: payload.capauth_generation,
        epoch: payload.capauth_epoch,
        authenticated_at: Timestamp::from_unix(payload.auth_time),
        expires: Timestamp::from_unix(payload.exp),
        origin: payload.capauth_origin,
        qr: payload.capauth_qr,
        shared_groups: payload.capauth_shared_groups,
        token: None,
        claims,
    };
    let session_until = payload.capauth_session_until.map(Timestamp::from_unix);
    Ok(Read { session, groups, session_until })
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> AuthError {
    AuthError::because(AuthErrorKind::Internal, error)
}

/// A part of a token in the compact form (RFC 7515).
fn part(value: &impl Serialize) -> Result<String, AuthError> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).map_err(internal)?))
}
