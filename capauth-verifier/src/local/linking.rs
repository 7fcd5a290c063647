//! Several keys for one identity.

use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use capauth_protocol::payload::LinkPayload;
use capauth_protocol::request::{LinkRequest, UnlinkProof, UnlinkRequest};
use capauth_protocol::response::Linked;

use super::key_cache::KnownKey;
use super::login::{Proof, admit, merged, standing};
use super::rotation::{Asking, Coming};
use super::{EnrollmentMode, LocalVerifier};
use crate::error::{AuthError, AuthErrorKind};
use crate::openpgp::SigningKeys;
use crate::stores::{Actor, Admission, Changed, Link, NewKey, Unlink};
use crate::verifier::Caller;

/// The key that joins an identity.
enum Joining {
    /// With what its certificate said, where one was sent that is not the one merged last.
    Known(Arc<KnownKey>, Option<(SigningKeys, [u8; 32])>),
    New(Box<NewKey>),
}

impl LocalVerifier {
    /// Makes a second key one of the first one's identity. Both sign the same text. What was granted to the second is
    /// dropped, and its tokens end.
    ///
    /// A key that is new here is let in by this where enrolment is open, or by an administrator.
    ///
    /// # Errors
    /// As for a login; [`AuthErrorKind::Conflict`] when one of them is linked, has keys linked to it, or is not in order.
    pub async fn link(
        &self,
        request: &LinkRequest,
        caller: &Caller,
        by_administrator: bool,
    ) -> Result<Linked, AuthError> {
        let linking = self.link_keys(request, caller, by_administrator);
        self.limited(caller, Some(&request.primary.value), pin!(linking)).await
    }

    async fn link_keys(
        &self,
        request: &LinkRequest,
        caller: &Caller,
        by_administrator: bool,
    ) -> Result<Linked, AuthError> {
        self.do_what_is_due().await;
        let (primary, secondary) = (request.primary.value, request.secondary.value);
        let now = self.clock.now();
        self.refuse_server_keys([primary, secondary])?;
        let challenge = self.challenge_for(&request.nonce, &primary, &request.timestamp, now).await?;
        let text = LinkPayload {
            nonce: &request.nonce.text,
            service: &challenge.service,
            primary: &request.primary.text,
            secondary: &request.secondary.text,
            timestamp: &request.timestamp,
        }
        .to_text();
        let Asking { known, proof } = self.asking(&primary, &request.primary_signature, &text, now).await?;
        demand_primary(&known.keys, &proof, by_administrator)?;
        let joining = self.joining(request, &text, by_administrator, now).await?;
        self.take(&challenge).await?;

        let (secondary_revision, new) = match joining {
            Joining::Known(known, None) => (Some(known.row.revision), None),
            Joining::Known(known, Some((facts, digest))) => {
                let known = self.refresh(known, &facts, digest, now).await?;
                (Some(known.row.revision), None)
            }
            Joining::New(new) => (None, Some(*new)),
        };
        let link = Link { primary, primary_revision: known.row.revision, secondary, secondary_revision, new };
        let note = self.note(Actor::Key(primary), caller.address);
        // Whom an administrator lets in costs a stranger nothing.
        let enrols = link.new.is_some() && !by_administrator;
        if enrols {
            self.limits.enrollment(caller)?;
        }
        let linked = self.stores.keys.link(&link, &note).await;
        if enrols && !matches!(linked, Ok(Changed::Done(_))) {
            self.limits.not_enrolled(caller);
        }
        let sub = self.after_change_of(linked?).await?;
        Ok(Linked { linked: true, sub })
    }

    /// Whether the second key signed too, and is good.
    async fn joining(
        &self,
        request: &LinkRequest,
        text: &str,
        by_administrator: bool,
        now: SystemTime,
    ) -> Result<Joining, AuthError> {
        let secondary = &request.secondary.value;
        let sent = request.secondary_public_key.as_deref();
        let signature = &request.secondary_signature;
        let Some(known) = self.look_up(secondary, sent.is_some(), now).await? else {
            let Some(certificate) = sent else {
                let _ = self.prove(signature, text, None, None, now);
                return Err(self.unknown_here());
            };
            let Coming { facts, digest, proof } =
                self.coming(secondary, certificate, signature, text, now).await?;
            demand_primary(&facts, &proof, by_administrator)?;
            if self.enrollment != EnrollmentMode::Open && !by_administrator {
                return Err(AuthError::new(AuthErrorKind::EnrollmentClosed));
            }
            let new = self.new_key(secondary, &facts, digest, Admission::Approved)?;
            return Ok(Joining::New(Box::new(new)));
        };
        let submitted = self.submitted(sent, secondary, Some(&known))?;
        let proof = self.prove(signature, text, Some(&known), submitted.as_ref(), now)?;
        demand_primary(&known.keys, &proof, by_administrator)?;
        let Some(submitted) = submitted else {
            admit(&known.keys, &proof, now)?;
            standing(&known)?;
            return Ok(Joining::Known(known, None));
        };
        let facts = self.judge(submitted.certificate, &self.judging, now).await?;
        let keys = merged(Some(&known), Some(&facts))?;
        admit(&keys, &proof, now)?;
        standing(&known)?;
        Ok(Joining::Known(known, Some((facts, submitted.digest))))
    }

    /// Undoes a link, on the primary key's word. The second key has the identity again that it had, without its grants.
    ///
    /// # Errors
    /// As for a login; [`AuthErrorKind::Conflict`] when the keys are not linked.
    pub async fn unlink(
        &self,
        request: &UnlinkRequest,
        proof: &UnlinkProof,
        caller: &Caller,
    ) -> Result<Linked, AuthError> {
        let unlinking = self.unlink_keys(request, proof, caller);
        self.limited(caller, Some(&request.primary.value), pin!(unlinking)).await
    }

    async fn unlink_keys(
        &self,
        request: &UnlinkRequest,
        proof: &UnlinkProof,
        caller: &Caller,
    ) -> Result<Linked, AuthError> {
        self.do_what_is_due().await;
        let (primary, secondary) = (request.primary.value, request.secondary.value);
        let now = self.clock.now();
        self.refuse_server_keys([primary, secondary])?;
        let challenge = self.challenge_for(&proof.nonce, &primary, &proof.timestamp, now).await?;
        let text = LinkPayload {
            nonce: &proof.nonce.text,
            service: &challenge.service,
            primary: &request.primary.text,
            secondary: &request.secondary.text,
            timestamp: &proof.timestamp,
        }
        .to_text();
        let asking = self.asking(&primary, &proof.primary_signature, &text, now).await?;
        demand_primary(&asking.known.keys, &asking.proof, false)?;
        self.take(&challenge).await?;
        let note = self.note(Actor::Key(primary), caller.address);
        let changed = match self.stores.keys.unlink(&Unlink { primary, secondary }, &note).await? {
            // Whether somebody else's key is known here is not told.
            Changed::NotFound => Changed::Conflict,
            changed => changed,
        };
        Ok(Linked { linked: false, sub: self.after_change_of(changed).await? })
    }
}

/// Only the primary key shares an identity, or stops sharing it: whoever stole a subkey would keep it that way, even once
/// that is revoked. Where the primary key only certifies, an administrator helps.
fn demand_primary(keys: &SigningKeys, proof: &Proof, by_administrator: bool) -> Result<(), AuthError> {
    if by_administrator || keys.is_primary(&proof.key) {
        return Ok(());
    }
    Err(AuthError::with_words(
        AuthErrorKind::Forbidden,
        "Only primary keys link and unlink, and a subkey signed. An administrator can help where the primary key does \
         not sign.",
    ))
}
