//! Judging the answer to a challenge. The order is the security: see [`LocalVerifier::log_in`].

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::request::VerifyRequest;
use capauth_protocol::response::VerifyResponse;
use capauth_protocol::{Fingerprint, Json, Nonce, limits};
use sequoia_openpgp::packet::{Key, key};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::challenge::payload;
use super::enrollment::Arrival;
use super::key_cache::KnownKey;
use super::{EnrollmentMode, LocalVerifier};
use crate::claims::{self, Mapped};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::openpgp::{
    Checked, Refused, SignedMessage, SigningKeys, SubmittedCertificate, check, check_signature,
    fingerprint_of, guarded,
};
use crate::stores::{Challenge, KeyRole};
use crate::verifier::{Authenticated, Caller, Login, Session};

type PublicKey = Key<key::PublicParts, key::UnspecifiedRole>;

/// The most candidate keys tried for one signature: key IDs are short enough to collide on purpose.
const MAX_CANDIDATES: usize = 4;

/// A certificate that came with the answer and is not the one merged last.
pub(super) struct Submitted {
    pub(super) certificate: SubmittedCertificate,
    pub(super) digest: [u8; 32],
}

/// A signature that verified, and what made it.
pub(super) struct Proof {
    pub(super) key: PublicKey,
    pub(super) made: SystemTime,
}

/// What was found among a request's signatures.
enum Search {
    Found(Box<Proof>),
    /// No good one. Whether there was any whose mathematics was done.
    Nothing {
        computed: bool,
    },
}

/// An answer that was found good, before anything came of it.
pub(super) struct Judged {
    known: Option<Arc<KnownKey>>,
    submitted: Option<(SigningKeys, [u8; 32])>,
    proof: Proof,
    mapped: Mapped,
    until: Option<Timestamp>,
}

impl Judged {
    /// The key that answered, if it is enrolled.
    pub(super) fn known(&self) -> Option<&KnownKey> {
        self.known.as_deref()
    }
}

/// How an answer came, and what is wanted of it.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) challenge: &'a Challenge,
    pub(super) request: &'a VerifyRequest,
    pub(super) caller: &'a Caller,
    /// Whether another device signed.
    pub(super) by_qr: bool,
}

impl LocalVerifier {
    /// 1. Read the challenge. 2. Find keys that may have signed. 3. Check the signature over the payload as we rebuild
    ///    it. 4. Judge the certificate, merged with what is stored. 5. Check the claims' signature. 6. **Take** the
    ///    challenge. 7. Only now enrol or refresh. 8. Approval. 9. Map claims, issue the token.
    ///
    /// So nothing is stored for whoever has not proved possession, a stranger's failure burns no challenge, and of any
    /// number of simultaneous answers one wins.
    pub(super) async fn log_in(&self, request: &VerifyRequest, caller: &Caller) -> Result<Login, AuthError> {
        self.do_what_is_due().await;
        let now = self.clock.now();
        self.refuse_server_keys([request.fingerprint])?;
        let challenge = self.read_challenge(&request.nonce, &request.fingerprint, now).await?;
        let judged = self.judge_answer(request, &challenge, now).await?;
        self.take(&challenge).await?;
        self.let_in_by(Answer { challenge: &challenge, request, caller, by_qr: false }, judged, now).await
    }

    /// Steps 2 to 5: everything that can be said against an answer. Nothing is written and nothing used up.
    pub(super) async fn judge_answer(
        &self,
        request: &VerifyRequest,
        challenge: &Challenge,
        now: SystemTime,
    ) -> Result<Judged, AuthError> {
        let known = self.look_up(&request.fingerprint, request.public_key.is_some(), now).await?;
        let submitted =
            self.submitted(request.public_key.as_deref(), &request.fingerprint, known.as_deref())?;
        if request.public_key.is_some() && known.is_some() {
            self.counts.certificates.note(submitted.is_none());
        }
        let text = payload(challenge);
        let is_unknown = known.is_none() && submitted.is_none();
        if is_unknown && !self.private {
            return Err(AuthError::new(AuthErrorKind::UnknownFingerprint));
        }
        let proof = self.prove(&request.nonce_signature, &text, known.as_deref(), submitted.as_ref(), now);
        let proof = proof.map_err(|error| match error.kind() {
            AuthErrorKind::InvalidNonceSignature if self.private && request.public_key.is_none() => {
                unknown_or_unproven()
            }
            _ => error,
        })?;
        let may_enrol = self.enrollment != EnrollmentMode::Closed || request.enrollment_code.is_some();
        if known.is_none() && !may_enrol {
            return Err(AuthError::new(AuthErrorKind::EnrollmentClosed));
        }

        let submitted = match submitted {
            Some(submitted) => {
                let judging = Box::pin(self.judge(submitted.certificate, &self.judging, now));
                Some((judging.await?, submitted.digest))
            }
            None => None,
        };
        let keys = merged(known.as_deref(), submitted.as_ref().map(|(facts, _)| facts))?;
        let until = admit(&keys, &proof, now)?;
        let kind = AuthErrorKind::InvalidClaimsSignature;
        let asserted = guarded(kind, || self.checked_claims(request, &keys, now))?;
        // What cannot be mapped must not use the challenge up. The identity's sub stands in it once it is known.
        let mapped = claims::map(asserted, request.fingerprint, request.fingerprint)?;
        Ok(Judged { known, submitted, proof, mapped, until })
    }

    /// Steps 7 to 9, for whoever took the challenge.
    pub(super) async fn let_in_by(
        &self,
        answer: Answer<'_>,
        judged: Judged,
        now: SystemTime,
    ) -> Result<Login, AuthError> {
        let Answer { request, caller, .. } = answer;
        let Judged { known, submitted, proof, mapped, until } = judged;
        let arrival = Arrival { code: request.enrollment_code.as_deref(), caller };
        let (known, is_new) = self.remember(&request.fingerprint, known, submitted, arrival, now).await?;
        // What the store says now counts: somebody may have revoked or merged in the meantime.
        let until_now = admit(&known.keys, &proof, now)?;
        standing(&known)?;
        let until = earlier(until, until_now);
        self.conclude(answer, &known, mapped, until, is_new).await
    }

    /// A server certificate is never an identity.
    pub(super) fn refuse_server_keys(
        &self,
        keys: impl IntoIterator<Item = Fingerprint>,
    ) -> Result<(), AuthError> {
        if keys.into_iter().any(|key| self.server_keys.contains(&key)) {
            return Err(AuthError::new(AuthErrorKind::Forbidden));
        }
        Ok(())
    }

    /// The key, as it is known. Where membership is private and no certificate came, the store is asked each time: a key
    /// that is answered from memory, and quicker, would be one that is enrolled.
    pub(super) async fn look_up(
        &self,
        fingerprint: &Fingerprint,
        has_certificate: bool,
        now: SystemTime,
    ) -> Result<Option<Arc<KnownKey>>, AuthError> {
        let store = &*self.stores.keys;
        Ok(match self.private && !has_certificate {
            true => self.known.read(store, fingerprint, now).await?,
            false => self.known.get(store, fingerprint, now).await?,
        })
    }

    /// Takes a challenge, unless somebody else did.
    pub(super) async fn take(&self, challenge: &Challenge) -> Result<(), AuthError> {
        let taken = self.stores.challenges.take(&challenge.nonce).await?;
        if taken.as_ref() != Some(challenge) {
            return Err(AuthError::new(AuthErrorKind::InvalidNonce));
        }
        Ok(())
    }

    pub(super) async fn read_challenge(
        &self,
        nonce: &Nonce,
        fingerprint: &Fingerprint,
        now: SystemTime,
    ) -> Result<Challenge, AuthError> {
        let unknown = || AuthError::new(AuthErrorKind::InvalidNonce);
        let challenge = self.stores.challenges.get(nonce).await?.ok_or_else(unknown)?;
        // Another verifier on the same stores may have made it, for a service that is not ours to let in to.
        if challenge.fingerprint != *fingerprint || !self.knows_service(&challenge.service) {
            return Err(unknown());
        }
        if self.require_v2 && challenge.origin.is_none() {
            return Err(super::challenge::origin_missing());
        }
        if challenge.expires <= Timestamp::from(now) {
            return Err(AuthError::new(AuthErrorKind::ExpiredNonce));
        }
        Ok(challenge)
    }

    /// The certificate of a request, within its limits. `None` when there is none, or it is the one merged last.
    pub(super) fn submitted(
        &self,
        text: Option<&str>,
        fingerprint: &Fingerprint,
        known: Option<&KnownKey>,
    ) -> Result<Option<Submitted>, AuthError> {
        let Some(text) = text else { return Ok(None) };
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        if known.is_some_and(|known| known.row.certificate_digest == digest) {
            return Ok(None);
        }
        let certificate = SubmittedCertificate::parse(text)?;
        if certificate.fingerprint() != *fingerprint {
            return Err(AuthError::new(AuthErrorKind::FingerprintMismatch));
        }
        self.refuse_server_keys(certificate.fingerprints())?;
        Ok(Some(Submitted { certificate, digest }))
    }

    /// The first signature in `armored` that a key in question made over `text`; never one by a key of the server's.
    pub(super) fn prove(
        &self,
        armored: &str,
        text: &str,
        known: Option<&KnownKey>,
        submitted: Option<&Submitted>,
        now: SystemTime,
    ) -> Result<Proof, AuthError> {
        let kind = AuthErrorKind::InvalidNonceSignature;
        let proof = guarded(kind, || match find_proof(armored, text, known, submitted, now)? {
            Search::Found(proof) => Ok(*proof),
            Search::Nothing { computed } => {
                // A stranger must not learn from the time it took whether there was a key to hold the signature against.
                if self.private && !computed {
                    self.decoy.check(text);
                }
                Err(AuthError::new(kind))
            }
        })?;
        // A certificate that was enrolled before may have adopted what is now the server's key.
        if fingerprint_of(&proof.key.fingerprint()).is_none_or(|signer| self.server_keys.contains(&signer)) {
            return Err(AuthError::new(AuthErrorKind::Forbidden));
        }
        Ok(proof)
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
        answer: Answer<'_>,
        known: &KnownKey,
        mut mapped: Mapped,
        until: Option<Timestamp>,
        is_new: bool,
    ) -> Result<Login, AuthError> {
        let Answer { challenge, by_qr, .. } = answer;
        let wants_refresh = answer.request.refresh;
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
            qr: by_qr,
            shared_groups: mapped.shared_groups,
            token: None,
            claims: mapped.claims,
        };
        if is_new {
            Box::pin(self.write_audit_file()).await;
        }
        let who = Authenticated::new(session, &identity.groups, self.asserted_groups)
            .named(identity.user_name.clone());
        let expires = limited(now.plus(self.token_lifetime.as_secs()));
        let access_token = self.tokens.issue(who.session(), who.claims(), expires, now).await?;
        let refresh_token = match wants_refresh {
            true => {
                let until = limited(now.plus(self.refresh_lifetime.as_secs()));
                Some(Box::pin(self.begin_family(who.session(), until)).await?)
            }
            false => None,
        };
        self.stores.keys.note_login(&known.row.fingerprint, now);
        let lasts = if wants_refresh { self.refresh_lifetime } else { self.session_lifetime };
        self.note_session(who.session(), limited(now.plus(lasts.as_secs())));
        let response = VerifyResponse {
            authenticated: true,
            fingerprint: known.row.fingerprint,
            oidc_claims: who.claims().clone(),
            access_token,
            token_type: VerifyResponse::TOKEN_TYPE.to_owned(),
            expires_in: expires.since(now),
            is_new_enrollment: is_new,
            refresh_token,
        };
        Ok(Login { response, who })
    }
}

fn find_proof(
    armored: &str,
    text: &str,
    known: Option<&KnownKey>,
    submitted: Option<&Submitted>,
    now: SystemTime,
) -> Result<Search, AuthError> {
    let message = SignedMessage::parse(armored, text, now, AuthErrorKind::InvalidNonceSignature)?;
    let mut computed = false;
    for signature in message.signatures() {
        let issuers = signature.get_issuers();
        let stored = known.into_iter().flat_map(|known| known.keys.candidates(&issuers));
        let sent = submitted.into_iter().flat_map(|s| s.certificate.candidates(&issuers));
        for key in stored.chain(sent).take(MAX_CANDIDATES) {
            match check(signature, key, text, now) {
                Checked::Good(made) => return Ok(Search::Found(Box::new(Proof { key: key.clone(), made }))),
                Checked::Bad => computed = true,
                Checked::Unfit => {}
            }
        }
    }
    Ok(Search::Nothing { computed })
}

/// What somebody hears who did not send a certificate, where membership is private.
fn unknown_or_unproven() -> AuthError {
    AuthError::with_words(
        AuthErrorKind::UnknownFingerprint,
        "This key is not known here, or it did not make this signature. Send your public key along.",
    )
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
pub(super) fn admit(
    keys: &SigningKeys,
    proof: &Proof,
    now: SystemTime,
) -> Result<Option<Timestamp>, AuthError> {
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

/// Whether the key still has its place, and an administrator lets the identity in.
pub(super) fn standing(known: &KnownKey) -> Result<(), AuthError> {
    let identity = &known.row.identity;
    if matches!(known.row.role, KeyRole::Archived(_)) {
        Err(AuthError::with_words(
            AuthErrorKind::KeyRevoked,
            "Another key took this one's place. Sign in with that one.",
        ))
    } else if known.row.revoked.is_some() || identity.ended {
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
        // Whatever is logged there belongs to this request, too.
        let span = tracing::Span::current();
        let judged = tokio::task::spawn_blocking(move || {
            let _place = place;
            span.in_scope(|| certificate.judge(now))
        });
        judged.await.unwrap_or_else(|_| Err(AuthError::new(AuthErrorKind::InvalidPublicKey)))
    }

    /// The keyed hash that remembers an erased key.
    pub(super) fn tombstone(&self, fingerprint: &Fingerprint) -> [u8; 32] {
        self.stores.master_key.tombstone(fingerprint)
    }
}
