//! A challenge for the person to sign: asked of the service, and looked at before it is passed on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use capauth_protocol::request::ChallengeRequest;
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{Fingerprint, Nonce, limits};

use super::Inner;
use super::discovery::Way;
use super::fault::{Fault, FaultKind};
use super::link::Call;
use super::refusal::refusal;
use crate::error::{AuthError, AuthErrorKind};
use crate::openpgp::{SignedMessage, SigningKeys, SubmittedCertificate, check_signature, guarded};
use crate::verifier::Caller;

const PATH: &str = "/capauth/v1/challenge";
/// How far the service's clock may be from ours.
const SKEW: Duration = Duration::from_secs(300);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);
/// The longest time as text, in bytes.
const MAX_TIME: usize = 40;
/// The longest text of a QR code, in bytes.
const MAX_QR: usize = 4096;
/// The most keys tried for one signature.
const MAX_CANDIDATES: usize = 4;

/// The pinned certificate as it was last sent, judged.
#[derive(Default)]
pub(super) struct Certificate(Mutex<Option<(String, Arc<SigningKeys>)>>);

impl Inner {
    pub(super) async fn make_challenge(
        &self,
        request: &ChallengeRequest,
        caller: &Caller,
    ) -> Result<ChallengeResponse, AuthError> {
        let found = self.found()?;
        if request.client_nonce.as_deref().is_none_or(str::is_empty) {
            return Err(AuthError::with_words(
                AuthErrorKind::InvalidRequest,
                "client_nonce is missing: 16 random bytes in base64.",
            ));
        }
        // Whatever the client asks for, it signs in here.
        let request = ChallengeRequest { requested_service: self.own.to_string(), ..request.clone() };
        let answer = self.link.send(&Call::post(PATH, &request).repeatable().of_login(caller)).await?;
        if !answer.is_success() {
            return Err(refusal(&self.link, &answer));
        }
        let mut challenge: ChallengeResponse = self.link.parse(&answer)?;
        let now = self.clock.now();
        let older = found.way == Way::AskOlder;
        let asked = (request.client_nonce.as_deref(), request.origin.as_deref());
        check(&challenge, asked, &self.own, older, now)
            .map_err(|words| self.link.fault(FaultKind::Challenge, words))?;
        if let Some(pinned) = self.expected.server_key {
            self.check_server_signature(&challenge, pinned, now).await?;
        }
        let is_json = challenge.qr_payload.len() <= MAX_QR
            && serde_json::from_str::<serde::de::IgnoredAny>(&challenge.qr_payload).is_ok();
        if !is_json {
            challenge.qr_payload.clear();
        }
        Ok(challenge)
    }

    /// Whether the pinned key signed exactly what the person is about to sign.
    pub(super) async fn check_server_signature(
        &self,
        challenge: &ChallengeResponse,
        pinned: Fingerprint,
        now: SystemTime,
    ) -> Result<(), Fault> {
        let wrong = |words: &'static str| self.link.fault(FaultKind::ServerKey, words);
        if challenge.server_signature.is_empty() || challenge.server_public_key.is_empty() {
            return Err(wrong(
                "`.pin_server_key` is set, and the central service does not sign its challenges",
            ));
        }
        let keys = self.judged(&challenge.server_public_key, pinned, now).await.ok_or_else(|| {
            wrong("the central service sends another certificate than the one of `.pin_server_key`")
        })?;
        let text = challenge.payload().to_text();
        if is_signed(&challenge.server_signature, &text, &keys, now) {
            Ok(())
        } else {
            Err(wrong("the central service's signature over its challenge does not verify"))
        }
    }

    async fn judged(&self, armored: &str, pinned: Fingerprint, now: SystemTime) -> Option<Arc<SigningKeys>> {
        let last = || self.certificate.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last().as_ref().filter(|(text, _)| text == armored).map(|(_, keys)| Arc::clone(keys));
        if known.is_some() {
            return known;
        }
        let text = armored.to_owned();
        let judge = move || {
            let certificate = SubmittedCertificate::parse(&text).ok()?;
            let keys = (certificate.fingerprint() == pinned).then(|| certificate.judge(now).ok())??;
            Some((text, Arc::new(keys)))
        };
        let (text, keys) = tokio::task::spawn_blocking(judge).await.ok()??;
        *last() = Some((text, Arc::clone(&keys)));
        Some(keys)
    }
}

fn is_signed(armored: &str, text: &str, keys: &SigningKeys, now: SystemTime) -> bool {
    let kind = AuthErrorKind::InvalidNonceSignature;
    let proved = guarded(kind, || {
        let message = SignedMessage::parse(armored, text, now, kind)?;
        for signature in message.signatures() {
            let issuers = signature.get_issuers();
            for key in keys.candidates(&issuers).take(MAX_CANDIDATES) {
                let made = check_signature(signature, key, text, now);
                if made.is_some_and(|made| keys.judge(key, made, now).is_ok()) {
                    return Ok(());
                }
            }
        }
        Err(AuthError::new(kind))
    });
    proved.is_ok()
}

/// Whether the person may be asked to sign this: nothing but our own login, just begun, soon over.
/// `client_nonce` and `origin` are what was asked for.
pub(super) fn check(
    challenge: &ChallengeResponse,
    (client_nonce, origin): (Option<&str>, Option<&str>),
    own: &str,
    older: bool,
    now: SystemTime,
) -> Result<(), &'static str> {
    if !is_bounded(challenge) || challenge.payload().has_control_characters() {
        return Err("the central service's challenge is too long, or has characters that no challenge has");
    }
    if challenge.service != own {
        return Err(
            "the central service makes challenges for another service: list this application in its \
                    CAPAUTH_SERVICES, under the name that `.service(…)` has here",
        );
    }
    if challenge.nonce.parse::<Nonce>().is_err() || Some(challenge.client_nonce_echo.as_str()) != client_nonce
    {
        return Err("the central service answers with a challenge that is not for this login");
    }
    // An older service knows no origins; a newer one that leaves out ours would have people sign for any page.
    let asked = origin.unwrap_or_default();
    if challenge.origin != asked && !(older && challenge.origin.is_empty()) {
        return Err("the central service makes its challenge for another origin than the page's");
    }
    let (Some(made), Some(expires)) = (time(&challenge.timestamp), time(&challenge.expires)) else {
        return Err("the central service's challenge has no proper times");
    };
    if made + SKEW < now || made > now + SKEW {
        return Err("the central service's clock and this machine's are more than five minutes apart");
    }
    if expires < made + SHORTEST || expires > made + LONGEST {
        return Err("the central service's challenge is good for an odd length of time");
    }
    Ok(())
}

fn is_bounded(challenge: &ChallengeResponse) -> bool {
    let armor = |text: &str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    challenge.capauth_version.starts_with("1.")
        && challenge.capauth_version.len() <= limits::MAX_VERSION
        && !challenge.capauth_version.chars().any(char::is_control)
        && challenge.client_nonce_echo.len() <= limits::MAX_CLIENT_NONCE
        && challenge.service.len() <= limits::MAX_SERVICE
        && challenge.origin.len() <= limits::MAX_ORIGIN
        && challenge.timestamp.len() <= MAX_TIME
        && challenge.expires.len() <= MAX_TIME
        && challenge.server_signature.len() <= limits::MAX_SIGNATURE
        && challenge.server_public_key.len() <= limits::MAX_PUBLIC_KEY_TEXT
        && armor(&challenge.server_signature)
        && armor(&challenge.server_public_key)
}

/// A time in UTC, written with `Z` or, as the older service does, `+00:00`.
fn time(text: &str) -> Option<SystemTime> {
    let utc = text.strip_suffix("+00:00").map(|local| format!("{local}Z"));
    humantime::parse_rfc3339(utc.as_deref().unwrap_or(text)).ok()
}
