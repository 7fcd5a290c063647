//! Judging the answer to a challenge. The order is the security: see [`LocalVerifier::log_in`].

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::request::VerifyRequest;
use capauth_protocol::response::VerifyResponse;
use capauth_protocol::{Fingerprint, Json, limits};
use sequoia_openpgp::packet::{Key, key};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::challenge::payload;
use super::key_cache::KnownKey;
use super::{EnrollmentMode, LocalVerifier};
use crate::claims::{self, Mapped};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::openpgp::{
    Refused, SignedMessage, SigningKeys, SubmittedCertificate, check_signature, fingerprint_of, guarded,
};
use crate::stores::Challenge;
use crate::verifier::{Authenticated, Login, Session};

type PublicKey = Key<key::PublicParts, key::UnspecifiedRole>;

/// The most candidate keys tried for one signature: key IDs are short enough to collide on purpose.
const MAX_CANDIDATES: usize = 4;

/// A certificate that came with the answer and is not the one merged last.
pub(super) struct Submitted {
    pub(super) certificate: SubmittedCertificate,
    pub(super) digest: [u8; 32],
}

/// A signature that verified, and what made it.
struct Proof {
    key: PublicKey,
    made: SystemTime,
}

impl LocalVerifier {
    /// 1. Read the challenge. 2. Find keys that may have signed. 3. Check the signature over the payload as we rebuild
    ///    it. 4. Judge the certificate, merged with what is stored. 5. Check the claims' signature. 6. **Take** the
    ///    challenge. 7. Only now enrol or refresh. 8. Approval. 9. Map claims, issue the token.
    ///
    /// So nothing is stored for whoever has not proved possession, a stranger's failure burns no challenge, and of any
    /// number of simultaneous answers one wins.
    pub(super) async fn log_in(&self, request: &VerifyRequest) -> Result<Login, AuthError> {
        let now = self.clock.now();
        if self.server_keys.contains(&request.fingerprint) {
            return Err(AuthError::new(AuthErrorKind::Forbidden));
        }
        let challenge = self.read_challenge(request, now).await?;
        let known = self.known.get(&*self.stores.keys, &request.fingerprint, now).await?;
        let submitted = self.submitted(request, known.as_deref())?;
        if known.is_none() && submitted.is_none() {
            return Err(AuthError::new(AuthErrorKind::UnknownFingerprint));
        }

        let text = payload(&challenge);
        let proof = guarded(AuthErrorKind::InvalidNonceSignature, || {
            self.prove(&request.nonce_signature, &text, known.as_deref(), submitted.as_ref(), now)
        })?;
        // A certificate that was enrolled before may have adopted what is now the server's key.
        if fingerprint_of(&proof.key.fingerprint()).is_none_or(|signer| self.server_keys.contains(&signer)) {
            return Err(AuthError::new(AuthErrorKind::Forbidden));
        }
        if known.is_none() && self.enrollment == EnrollmentMode::Closed {
            return Err(AuthError::new(AuthErrorKind::EnrollmentClosed));
        }

        let submitted = match submitted {
            Some(submitted) => {
                Some((self.judge(submitted.certificate, &self.judging, now).await?, submitted.digest))
            }
            None => None,
        };
        let keys = merged(known.as_deref(), submitted.as_ref().map(|(facts, _)| facts))?;
        let until = admit(&keys, &proof, now)?;
        let kind = AuthErrorKind::InvalidClaimsSignature;
        let asserted = guarded(kind, || self.checked_claims(request, &keys, now))?;
        // What cannot be mapped must not use the challenge up. The identity's sub stands in it once it is known.
        let mapped = claims::map(asserted, request.fingerprint, request.fingerprint)?;

        let taken = self.stores.challenges.take(&challenge.nonce).await?;
        if taken.as_ref() != Some(&challenge) {
            return Err(AuthError::new(AuthErrorKind::InvalidNonce));
        }

        let (known, is_new) = self.remember(&request.fingerprint, known, submitted, now).await?;
        // What the store says now counts: somebody may have revoked or merged in the meantime.
        let until_now = admit(&known.keys, &proof, now)?;
        standing(&known)?;
        let until = earlier(until, until_now);
        self.conclude(&challenge, &known, mapped, until, is_new).await
    }

    async fn read_challenge(&self, request: &VerifyRequest, now: SystemTime) -> Result<Challenge, AuthError> {
        let unknown = || AuthError::new(AuthErrorKind::InvalidNonce);
        let challenge = self.stores.challenges.get(&request.nonce).await?.ok_or_else(unknown)?;
        // Another verifier on the same stores may have made it, for a service that is not ours to let in to.
        if challenge.fingerprint != request.fingerprint || !self.knows_service(&challenge.service) {
            return Err(unknown());
        }
        if self.require_v2 && challenge.origin.is_none() {
            return Err(AuthError::new(AuthErrorKind::InvalidOrigin));
        }
        if challenge.expires <= Timestamp::from(now) {
            return Err(AuthError::new(AuthErrorKind::ExpiredNonce));
        }
        Ok(challenge)
    }

    /// The certificate of a request, within its limits. `None` when there is none, or it is the one merged last.
    pub(super) fn submitted(
        &self,
        request: &VerifyRequest,
        known: Option<&KnownKey>,
    ) -> Result<Option<Submitted>, AuthError> {
        let Some(text) = &request.public_key else { return Ok(None) };
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        if known.is_some_and(|known| known.row.certificate_digest == digest) {
            return Ok(None);
        }
        let certificate = SubmittedCertificate::parse(text)?;
        if certificate.fingerprint() != request.fingerprint {
            return Err(AuthError::new(AuthErrorKind::FingerprintMismatch));
        }
        if certificate.fingerprints().any(|fingerprint| self.server_keys.contains(&fingerprint)) {
            return Err(AuthError::new(AuthErrorKind::Forbidden));
        }
        Ok(Some(Submitted { certificate, digest }))
    }

    /// The first signature in `armored` that a key in question made over `text`.
    fn prove(
        &self,
        armored: &str,
        text: &str,
        known: Option<&KnownKey>,
        submitted: Option<&Submitted>,
        now: SystemTime,
    ) -> Result<Proof, AuthError> {
        let kind = AuthErrorKind::InvalidNonceSignature;
        let message = SignedMessage::parse(armored, text, now, kind)?;
        for signature in message.signatures() {
            let issuers = signature.get_issuers();
            let stored = known.into_iter().flat_map(|known| known.keys.candidates(&issuers));
            let sent = submitted.into_iter().flat_map(|s| s.certificate.candidates(&issuers));
            for key in stored.chain(sent).take(MAX_CANDIDATES) {
                if let Some(made) = check_signature(signature, key, text, now) {
                    return Ok(Proof { key: key.clone(), made });
                }
            }
        }
        Err(AuthError::new(kind))
    }

    /// The claims, if they are signed by a key that may sign in: in canonical form, or with only the top level sorted.
    fn checked_claims<'a>(
        &self,
        request: &'a VerifyRequest,
        keys: &SigningKeys,
        now: SystemTime,
    ) -> Result<Option<&'a Json>, AuthError> {
        let Some(claims) = &request.claims else { return Ok(None) };
        let kind = AuthErrorKind::InvalidClaimsSignature;
        let canonical = claims.to_canonical();
        if canonical.len() > limits::MAX_CLAIMS_JSON {
            return Err(AuthError::with_words(
                AuthErrorKind::InvalidRequest,
                "The claims are longer than 8 KiB.",
            ));
        }
        let loosely = claims.to_canonical_top_level();
        let forms = [Some(&canonical), (loosely != canonical).then_some(&loosely)];
        let nonce = request.nonce.to_string();
        for json in forms.into_iter().flatten() {
            let payload =
                ClaimsPayload { fingerprint: &request.fingerprint_as_sent, nonce: &nonce, claims_json: json };
            let text = payload.to_text();
            let Ok(message) = SignedMessage::parse(&request.claims_signature, &text, now, kind) else {
                continue;
            };
            for signature in message.signatures() {
                let issuers = signature.get_issuers();
                for key in keys.candidates(&issuers).take(MAX_CANDIDATES) {
                    let made = check_signature(signature, key, &text, now);
                    if made.is_some_and(|made| keys.judge(key, made, now).is_ok()) {
                        return Ok(Some(claims));
                    }
                }
            }
        }
        Err(AuthError::new(kind))
    }

    async fn conclude(
        &self,
        challenge: &Challenge,
        known: &KnownKey,
        mut mapped: Mapped,
        until: Option<Timestamp>,
        is_new: bool,
    ) -> Result<Login, AuthError> {
        let now = self.now();
        let identity = &known.row.identity;
        mapped.claims.sub = identity.sub.to_string();
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| AuthError::new(AuthErrorKind::Internal))?;
        let limited = |end: Timestamp| until.map_or(end, |until| until.min(end));
        let session = Session {
            jti: URL_SAFE_NO_PAD.encode(id),
            service: challenge.service.to_string(),
            sub: identity.sub,
            fingerprint: known.row.fingerprint,
            generation: identity.generation,
            epoch: self.epoch,
            authenticated_at: now,
            expires: limited(now.plus(self.session_lifetime.as_secs())),
            origin: challenge.origin.as_deref().map(str::to_owned),
            shared_groups: mapped.shared_groups,
            token: None,
            claims: mapped.claims,
        };
        let who = Authenticated::new(session, &identity.groups, self.asserted_groups);
        let expires = limited(now.plus(self.token_lifetime.as_secs()));
        let access_token = self.tokens.issue(who.session(), who.claims(), expires, now).await?;
        self.stores.keys.note_login(&known.row.fingerprint, now);
        let response = VerifyResponse {
            authenticated: true,
            fingerprint: known.row.fingerprint,
            oidc_claims: who.claims().clone(),
            access_token,
            token_type: VerifyResponse::TOKEN_TYPE.to_owned(),
            expires_in: expires.since(now),
            is_new_enrollment: is_new,
        };
        Ok(Login { response, who })
    }
}

/// What is known of a certificate: the stored facts always take part.
pub(super) fn merged(
    known: Option<&KnownKey>,
    sent: Option<&SigningKeys>,
) -> Result<Arc<SigningKeys>, AuthError> {
    match (known, sent) {
        (Some(known), None) => Ok(Arc::clone(&known.keys)),
        (None, Some(sent)) => Ok(Arc::new(sent.clone())),
        (Some(known), Some(sent)) => {
            if !known.keys.same_primary(sent) {
                return Err(AuthError::new(AuthErrorKind::FingerprintMismatch));
            }
            let mut keys = SigningKeys::clone(&known.keys);
            keys.merge(sent);
            Ok(Arc::new(keys))
        }
        (None, None) => Err(AuthError::new(AuthErrorKind::UnknownFingerprint)),
    }
}

/// Whether a key that proved possession may sign in, as far as OpenPGP is concerned; and until when.
fn admit(keys: &SigningKeys, proof: &Proof, now: SystemTime) -> Result<Option<Timestamp>, AuthError> {
    keys.judge(&proof.key, proof.made, now).map_err(|refused| match refused {
        Refused::Expired => AuthErrorKind::KeyExpired.into(),
        Refused::Revoked => AuthErrorKind::KeyRevoked.into(),
        Refused::Unusable => match keys.usable(now) {
            Ok(()) => AuthErrorKind::InvalidNonceSignature.into(),
            Err(_) => AuthError::with_words(
                AuthErrorKind::InvalidPublicKey,
                "No key of this certificate may sign: its self-signatures are missing (some key servers strip them; \
                 export it from your own keyring), too weak, or say that it is for something else.",
            ),
        },
    })
}

/// Whether an administrator lets the identity in.
fn standing(known: &KnownKey) -> Result<(), AuthError> {
    let identity = &known.row.identity;
    if known.row.revoked.is_some() {
        Err(AuthErrorKind::KeyRevoked.into())
    } else if identity.suspended {
        Err(AuthErrorKind::KeySuspended.into())
    } else if !identity.approved {
        Err(AuthErrorKind::EnrollmentPending.into())
    } else {
        Ok(())
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl LocalVerifier {
    /// Judges a certificate on a thread where it may take its time. As many at once as there are `places`; who waits
    /// for one holds nothing but the request.
    pub(super) async fn judge(
        &self,
        certificate: SubmittedCertificate,
        places: &Arc<Semaphore>,
        now: SystemTime,
    ) -> Result<SigningKeys, AuthError> {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.map_err(|_| AuthError::new(AuthErrorKind::Internal))?;
        let judged = tokio::task::spawn_blocking(move || {
            let _place = place;
            certificate.judge(now)
        });
        judged.await.unwrap_or_else(|_| Err(AuthError::new(AuthErrorKind::InvalidPublicKey)))
    }

    /// The keyed hash that remembers an erased key.
    pub(super) fn tombstone(&self, fingerprint: &Fingerprint) -> [u8; 32] {
        self.stores.master_key.tombstone(fingerprint)
    }
}
