//! A new key for an old one's place.

use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use capauth_protocol::limits::MAX_CLOCK_DIFFERENCE;
use capauth_protocol::payload::{RotationCancelPayload, RotationPayload};
use capauth_protocol::request::{AsSent, RotateRequest, RotationCancelRequest};
use capauth_protocol::response::Rotated;
use capauth_protocol::{Fingerprint, Nonce};
use sha2::{Digest as _, Sha256};

use super::LocalVerifier;
use super::key_cache::KnownKey;
use super::login::{Proof, admit, standing};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::openpgp::SigningKeys;
use crate::stores::{Actor, Admission, Challenge, Changed, Rotation};
use crate::verifier::Caller;

/// A new key that signed too, with its certificate judged.
pub(super) struct Coming {
    pub(super) facts: SigningKeys,
    pub(super) digest: [u8; 32],
    pub(super) proof: Proof,
}

/// The key that asks for a change of its identity: known, in good standing, and proven.
pub(super) struct Asking {
    pub(super) known: Arc<KnownKey>,
    pub(super) proof: Proof,
}

impl LocalVerifier {
    /// Puts a new key into the place of an old one. Both sign the same text. The old **primary** key's word counts at
    /// once; a subkey's waits, since whoever stole one could take the identity with it.
    ///
    /// # Errors
    /// As for a login; [`AuthErrorKind::Conflict`] when the new key is known here in any way, or the old one is linked or
    /// not in order; [`AuthErrorKind::ExpiredTimestamp`].
    pub async fn rotate(&self, request: &RotateRequest, caller: &Caller) -> Result<Rotated, AuthError> {
        self.limited(caller, Some(&request.old.value), pin!(self.replace_key(request, caller))).await
    }

    async fn replace_key(&self, request: &RotateRequest, caller: &Caller) -> Result<Rotated, AuthError> {
        self.do_what_is_due().await;
        let (old, new) = (request.old.value, request.new.value);
        let now = self.clock.now();
        self.refuse_server_keys([old, new])?;
        let challenge = self.challenge_for(&request.nonce, &old, &request.timestamp, now).await?;
        let text = RotationPayload {
            nonce: &request.nonce.text,
            service: &challenge.service,
            old_fingerprint: &request.old.text,
            new_fingerprint: &request.new.text,
            new_public_key_sha256: &hex::encode(Sha256::digest(request.new_public_key.as_bytes())),
            timestamp: &request.timestamp,
        }
        .to_text();
        let Asking { known, proof } = self.asking(&old, &request.rotation_signature, &text, now).await?;
        let Coming { facts, digest, .. } =
            self.coming(&new, &request.new_public_key, &request.new_signature, &text, now).await?;
        self.take(&challenge).await?;

        let due = (!known.keys.is_primary(&proof.key))
            .then(|| Timestamp::from(now).plus(self.rotation_delay.as_secs()));
        let rotation = Rotation {
            old,
            old_revision: known.row.revision,
            new: self.new_key(&new, &facts, digest, Admission::Approved)?,
            due,
        };
        let note = self.note(Actor::Key(old), caller.address);
        let changed = self.stores.keys.rotate(&rotation, &note).await?;
        let sub = self.after_change_of(changed).await?;
        Ok(Rotated {
            rotated: due.is_none(),
            old_fingerprint: old,
            new_fingerprint: new,
            sub,
            effective_at: due.map(|due| due.to_string()),
        })
    }

    /// Cancels a rotation that waits, on the word of the old primary key itself.
    ///
    /// # Errors
    /// As for a login; [`AuthErrorKind::Forbidden`] when a subkey signed; [`AuthErrorKind::NotFound`] when nothing
    /// waits.
    pub async fn cancel_rotation(
        &self,
        request: &RotationCancelRequest,
        caller: &Caller,
    ) -> Result<(), AuthError> {
        self.limited(caller, Some(&request.old.value), pin!(self.cancel_waiting(request, caller))).await
    }

    async fn cancel_waiting(
        &self,
        request: &RotationCancelRequest,
        caller: &Caller,
    ) -> Result<(), AuthError> {
        self.do_what_is_due().await;
        let (old, now) = (request.old.value, self.clock.now());
        self.refuse_server_keys([old])?;
        let challenge = self.challenge_for(&request.nonce, &old, &request.timestamp, now).await?;
        let text = RotationCancelPayload {
            nonce: &request.nonce.text,
            service: &challenge.service,
            old_fingerprint: &request.old.text,
            timestamp: &request.timestamp,
        }
        .to_text();
        let Asking { known, proof } = self.asking(&old, &request.signature, &text, now).await?;
        if !known.keys.is_primary(&proof.key) {
            return Err(AuthError::with_words(
                AuthErrorKind::Forbidden,
                "Only the primary key can cancel a rotation, and a subkey signed.",
            ));
        }
        self.take(&challenge).await?;
        let note = self.note(Actor::Key(old), caller.address);
        let cancelled = self.stores.keys.cancel_rotation(&old, &note).await?;
        self.write_audit_file().await;
        if cancelled { Ok(()) } else { Err(nothing_waits()) }
    }

    /// The challenge whose nonce is in what was signed at this time.
    pub(super) async fn challenge_for(
        &self,
        nonce: &AsSent<Nonce>,
        fingerprint: &Fingerprint,
        timestamp: &str,
        now: SystemTime,
    ) -> Result<Challenge, AuthError> {
        check_timestamp(timestamp, now)?;
        let challenge = self.read_challenge(&nonce.value, fingerprint, now).await?;
        // What an application's page had somebody sign changes nothing here.
        if challenge.service != *self.services.own() {
            return Err(AuthError::new(AuthErrorKind::ServiceMismatch));
        }
        Ok(challenge)
    }

    /// Whether the known key that a request is about made this signature, and is in good standing.
    pub(super) async fn asking(
        &self,
        fingerprint: &Fingerprint,
        signature: &str,
        text: &str,
        now: SystemTime,
    ) -> Result<Asking, AuthError> {
        let known = self.look_up(fingerprint, false, now).await?;
        let proof = self.prove(signature, text, known.as_deref(), None, now);
        // A key that is not known fails as one does that did not sign, where membership is private.
        let Some(known) = known else { return Err(self.unknown_here()) };
        let proof = proof?;
        admit(&known.keys, &proof, now)?;
        standing(&known)?;
        Ok(Asking { known, proof })
    }

    /// A key that is not known here, or that is not told to be known, where membership is private.
    pub(super) fn unknown_here(&self) -> AuthError {
        AuthError::new(match self.private {
            true => AuthErrorKind::InvalidNonceSignature,
            false => AuthErrorKind::UnknownFingerprint,
        })
    }

    /// Judges the certificate of a key that is new here and made this signature.
    pub(super) async fn coming(
        &self,
        fingerprint: &Fingerprint,
        certificate: &str,
        signature: &str,
        text: &str,
        now: SystemTime,
    ) -> Result<Coming, AuthError> {
        let submitted = self
            .submitted(Some(certificate), fingerprint, None)?
            .ok_or(AuthError::new(AuthErrorKind::InvalidPublicKey))?;
        let proof = self.prove(signature, text, None, Some(&submitted), now)?;
        let facts = self.judge(submitted.certificate, &self.judging, now).await?;
        admit(&facts, &proof, now)?;
        Ok(Coming { facts, digest: submitted.digest, proof })
    }

    /// Whose identity a change was made to.
    pub(super) async fn after_change_of(&self, changed: Changed) -> Result<Fingerprint, AuthError> {
        self.known.changed();
        self.write_audit_file().await;
        match changed {
            Changed::Done(sub) => Ok(sub),
            Changed::Conflict => Err(AuthError::new(AuthErrorKind::Conflict)),
            Changed::NotFound => Err(AuthError::new(AuthErrorKind::NotFound)),
        }
    }
}

pub(super) fn nothing_waits() -> AuthError {
    AuthError::with_words(AuthErrorKind::NotFound, "No rotation of this key waits.")
}

/// A time as it was signed: RFC 3339, in UTC, and within five minutes of now.
fn check_timestamp(text: &str, now: SystemTime) -> Result<(), AuthError> {
    let signed = humantime::parse_rfc3339(text).map_err(|_| {
        AuthError::with_words(
            AuthErrorKind::InvalidRequest,
            "`timestamp` is no time in UTC such as 2026-02-24T12:00:00Z.",
        )
    })?;
    let difference = signed.duration_since(now).unwrap_or_else(|earlier| earlier.duration());
    if difference.as_secs() > MAX_CLOCK_DIFFERENCE {
        return Err(AuthError::new(AuthErrorKind::ExpiredTimestamp));
    }
    Ok(())
}
