//! Remembering keys: enrolment, refreshed facts, and revocations that arrive without a login.

use std::sync::Arc;
use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use capauth_protocol::request::VerifyRequest;

use super::key_cache::KnownKey;
use super::login::merged;
use super::{EnrollmentMode, LocalVerifier};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::openpgp::SigningKeys;
use crate::stores::{Enrollment, KeyFacts, NewKey};

/// How often a merge is tried when others keep merging the same key at the same time.
const ATTEMPTS: usize = 8;

impl LocalVerifier {
    /// Enrols the key, or merges what was sent into what is stored. The holder has proved possession and the challenge
    /// is taken. Answers what is stored now, and whether it is new.
    pub(super) async fn remember(
        &self,
        fingerprint: &Fingerprint,
        known: Option<Arc<KnownKey>>,
        sent: Option<(SigningKeys, [u8; 32])>,
        now: SystemTime,
    ) -> Result<(Arc<KnownKey>, bool), AuthError> {
        match (known, sent) {
            (Some(_), None) => {
                // Whatever this process revoked since the first look is seen here.
                let known = self.known.get(&*self.stores.keys, fingerprint, now).await?;
                Ok((known.ok_or(AuthError::new(AuthErrorKind::UnknownFingerprint))?, false))
            }
            (None, None) => Err(AuthError::new(AuthErrorKind::UnknownFingerprint)),
            (Some(known), Some((facts, digest))) => {
                Ok((self.refresh(known, &facts, digest, now).await?, false))
            }
            (None, Some((facts, digest))) => self.enroll(fingerprint, &facts, digest, now).await,
        }
    }

    async fn enroll(
        &self,
        fingerprint: &Fingerprint,
        facts: &SigningKeys,
        digest: [u8; 32],
        now: SystemTime,
    ) -> Result<(Arc<KnownKey>, bool), AuthError> {
        if self.enrollment == EnrollmentMode::Closed {
            return Err(AuthError::new(AuthErrorKind::EnrollmentClosed));
        }
        let stamp = self.known.stamp(now);
        let new = NewKey {
            fingerprint: *fingerprint,
            signing_keys: facts.encode()?,
            certificate_digest: digest,
            approved: self.enrollment == EnrollmentMode::Open,
            at: now.into(),
            tombstone: self.tombstone(fingerprint),
        };
        match self.stores.keys.enroll(&new).await? {
            Enrollment::Enrolled(row) => Ok((self.known.remember(row, stamp)?, true)),
            Enrollment::Tombstone => Err(AuthError::new(AuthErrorKind::Conflict)),
            Enrollment::AlreadyThere(row) => {
                let known = self.known.remember(row, stamp)?;
                Ok((self.refresh(known, facts, digest, now).await?, false))
            }
        }
    }

    /// Merges facts into the store, however many do so at once.
    async fn refresh(
        &self,
        known: Arc<KnownKey>,
        facts: &SigningKeys,
        digest: [u8; 32],
        now: SystemTime,
    ) -> Result<Arc<KnownKey>, AuthError> {
        let mut known = known;
        for _ in 0..ATTEMPTS {
            let keys = merged(Some(&known), Some(facts))?;
            let revoked = keys.is_revoked_for_good() && known.row.revoked.is_none();
            if keys == known.keys && known.row.certificate_digest == digest && !revoked {
                return Ok(known);
            }
            let update = KeyFacts {
                fingerprint: known.row.fingerprint,
                revision: known.row.revision,
                signing_keys: keys.encode()?,
                certificate_digest: digest,
                revoked_at: revoked.then(|| Timestamp::from(now)),
                ends_tokens: keys.is_worse_than(&known.keys),
            };
            let written = self.stores.keys.update(&update).await?;
            if update.ends_tokens || revoked {
                self.known.changed();
            }
            let gone = || AuthError::new(AuthErrorKind::UnknownFingerprint);
            let fingerprint = known.row.fingerprint;
            known = self.known.read(&*self.stores.keys, &fingerprint, now).await?.ok_or_else(gone)?;
            if written {
                return Ok(known);
            }
        }
        Err(AuthError::new(AuthErrorKind::Unavailable))
    }

    /// Applies a self-revocation that came with an answer which was no login. It proves itself: the primary key
    /// signed it. For keys that are not enrolled nothing is done, and nothing is said either way.
    pub(super) async fn apply_revocation(&self, request: &VerifyRequest) {
        if let Err(error) = self.try_apply_revocation(request).await {
            tracing::debug!(target: "capauth::login", kind = error.kind().as_str(), "no revocation applied");
        }
    }

    async fn try_apply_revocation(&self, request: &VerifyRequest) -> Result<(), AuthError> {
        if request.public_key.is_none() {
            return Ok(());
        }
        let now = self.clock.now();
        let Some(known) = self.known.get(&*self.stores.keys, &request.fingerprint, now).await? else {
            return Ok(());
        };
        if known.row.revoked.is_some() {
            return Ok(());
        }
        let Some(submitted) = self.submitted(request, Some(&known))? else { return Ok(()) };
        if !submitted.certificate.has_revocations() {
            return Ok(());
        }
        // Their own places, and few of them: those who prove nothing keep nobody waiting who does, nor themselves for
        // long. Whoever finds the queue full sends the revocation once more.
        let Ok(_queued) = self.queue_unproven.try_acquire() else { return Ok(()) };
        let mut facts = self.judge(submitted.certificate, &self.judging_unproven, now).await?;
        // Without a login nothing but the revocations is believed.
        facts.keep_revocations_only();
        let mut keys = SigningKeys::clone(&known.keys);
        if keys.same_primary(&facts) && keys.merge(&facts) {
            let digest = known.row.certificate_digest;
            self.refresh(known, &facts, digest, now).await?;
        }
        Ok(())
    }
}
