//! Making a challenge.

use std::sync::Arc;

use capauth_protocol::payload::NoncePayload;
use capauth_protocol::request::ChallengeRequest;
use capauth_protocol::response::{ChallengeResponse, QrPayload};
use capauth_protocol::{Nonce, VERSION, limits};

use super::LocalVerifier;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::stores::{AddressPrefix, Challenge};
use crate::verifier::Caller;

/// A challenge's times as they are written in it.
pub(super) struct Times {
    pub(super) timestamp: String,
    pub(super) expires: String,
}

impl Times {
    pub(super) fn of(challenge: &Challenge) -> Self {
        Self { timestamp: challenge.timestamp.to_string(), expires: challenge.expires.to_string() }
    }
}

/// The text that its holder signs.
pub(super) fn payload(challenge: &Challenge) -> String {
    let times = Times::of(challenge);
    NoncePayload {
        nonce: &challenge.nonce.to_string(),
        client_nonce: &challenge.client_nonce,
        timestamp: &times.timestamp,
        service: &challenge.service,
        expires: &times.expires,
        origin: challenge.origin.as_deref(),
    }
    .to_text()
}

/// Why a V1 challenge is refused where V2 is demanded, and what to send.
pub(super) fn origin_missing() -> AuthError {
    AuthError::with_words(
        AuthErrorKind::InvalidOrigin,
        "This server makes challenges for a web origin alone, so that what is signed on one site is worth nothing on \
         another. Send `origin`, that of the page (or of the program's own service), such as https://app.example.com, and \
         sign the text that names it (CAPAUTH_NONCE_V2).",
    )
}

impl LocalVerifier {
    pub(super) async fn make_challenge(
        &self,
        request: &ChallengeRequest,
        caller: &Caller,
    ) -> Result<ChallengeResponse, AuthError> {
        if self.server_keys.contains(&request.fingerprint) {
            return Err(AuthError::new(AuthErrorKind::Forbidden));
        }
        let service = self.services.resolve(&request.requested_service, caller.host.as_deref())?;
        let origin = self.checked_origin(&service, request.origin.as_deref())?;
        let client_nonce = request.client_nonce.as_deref().ok_or_else(|| {
            AuthError::with_words(
                AuthErrorKind::InvalidRequest,
                "client_nonce is missing: 16 random bytes in base64.",
            )
        })?;
        if client_nonce.chars().any(char::is_control) {
            return Err(AuthError::with_words(
                AuthErrorKind::InvalidRequest,
                "client_nonce has control characters.",
            ));
        }
        self.limits.challenge(caller, Some(&request.fingerprint))?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| AuthError::new(AuthErrorKind::Internal))?;
        let timestamp: Timestamp = self.now();
        let challenge = Challenge {
            nonce: Nonce::from_random_bytes(random),
            fingerprint: request.fingerprint,
            client_nonce: client_nonce.into(),
            timestamp,
            service,
            expires: timestamp.plus(limits::NONCE_TTL_SECONDS),
            origin: origin.map(Into::into),
            prefix: AddressPrefix::of(caller.address),
        };
        let response = self.describe(&challenge)?;
        self.stores.challenges.put(challenge, timestamp).await?;
        self.counts.challenges.increment(1);
        Ok(response)
    }

    pub(super) fn checked_origin<'a>(
        &self,
        service: &Arc<str>,
        origin: Option<&'a str>,
    ) -> Result<Option<&'a str>, AuthError> {
        match origin {
            None if self.require_v2 => Err(origin_missing()),
            None => Ok(None),
            Some(origin) => {
                let known = self.services.origins(service).unwrap_or_default();
                let known = known.iter().any(|known| known == origin);
                if known { Ok(Some(origin)) } else { Err(self.strange_origin(service, origin)) }
            }
        }
    }

    /// Names the origin only if it is one: then it is made of letters, digits and `.-_:[]`.
    fn strange_origin(&self, service: &Arc<str>, origin: &str) -> AuthError {
        let words = match crate::origins::origin(origin) {
            Ok(read) if read == origin => format!(
                "{origin} is not an origin of {service}. If its pages are to sign people in, the operator of this server \
                 adds it: to CAPAUTH_ORIGINS, or to the service's in CAPAUTH_SERVICES."
            ),
            _ => format!(
                "The origin that was sent is none: it is scheme, host and, where it is not the usual one, port, in small \
                 letters and without a slash at the end, such as https://{service}."
            ),
        };
        AuthError::with_words(AuthErrorKind::InvalidOrigin, words)
    }

    fn describe(&self, challenge: &Challenge) -> Result<ChallengeResponse, AuthError> {
        let (server_signature, server_public_key) = match &self.server_key {
            None => (String::new(), String::new()),
            Some(key) => {
                (key.sign(&payload(challenge), self.clock.now())?, key.armored_certificate().to_owned())
            }
        };
        let Times { timestamp, expires } = Times::of(challenge);
        let nonce = challenge.nonce.to_string();
        let origin = challenge.origin.as_deref().unwrap_or_default().to_owned();
        let qr_payload = QrPayload {
            capauth_qr: VERSION.to_owned(),
            nonce: nonce.clone(),
            client_nonce_echo: challenge.client_nonce.to_string(),
            origin: origin.clone(),
            timestamp: timestamp.clone(),
            service: challenge.service.to_string(),
            expires: expires.clone(),
            callback: format!("{}/capauth/v1/verify", self.base_url),
        };
        let qr_payload = serde_json::to_string(&qr_payload).map_err(|_| AuthErrorKind::Internal)?;
        Ok(ChallengeResponse {
            capauth_version: VERSION.to_owned(),
            nonce,
            client_nonce_echo: challenge.client_nonce.to_string(),
            timestamp,
            service: challenge.service.to_string(),
            expires,
            origin,
            server_signature,
            server_public_key,
            qr_payload,
        })
    }
}
