//! Remembering keys: enrolment, refreshed facts, and revocations that arrive without a login.

use std::sync::Arc;
use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use capauth_protocol::request::VerifyRequest;
use sha2::{Digest as _, Sha256};

use super::key_cache::KnownKey;
use super::login::{merged, standing};
use super::{EnrollmentMode, LocalVerifier};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::openpgp::SigningKeys;
use crate::stores::{Actor, AddressPrefix, Admission, Enrollment, KeyFacts, NewKey};
use crate::verifier::Caller;

/// How a new key comes in.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    /// The one-time code it brings.
    pub(super) code: Option<&'a str>,
    pub(super) caller: &'a Caller,
}

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
        arrival: Arrival<'_>,
        now: SystemTime,
    ) -> Result<(Arc<KnownKey>, bool), AuthError> {
        match (known, sent) {
            (Some(_), None) => {
                // Whatever this process revoked since the first look is seen here.
                let known = self.known.get(&*self.stores.keys, fingerprint, now).await?;
                let known = known.ok_or(AuthError::new(AuthErrorKind::UnknownFingerprint))?;
                Ok((self.let_in(known, arrival, now).await?, false))
            }
            (None, None) => Err(AuthError::new(AuthErrorKind::UnknownFingerprint)),
            (Some(known), Some((facts, digest))) => {
                let known = Box::pin(self.refresh(known, &facts, digest, now)).await?;
                Ok((self.let_in(known, arrival, now).await?, false))
            }
            (None, Some((facts, digest))) => {
                Box::pin(self.enroll(fingerprint, &facts, digest, arrival, now)).await
            }
        }
    }

    /// Lets a key in that waits for an administrator, if it brings a code.
    async fn let_in(
        &self,
        known: Arc<KnownKey>,
        arrival: Arrival<'_>,
        now: SystemTime,
    ) -> Result<Arc<KnownKey>, AuthError> {
        match arrival.code.filter(|_| !known.row.identity.approved) {
            Some(code) => Box::pin(self.let_in_by_code(known, code, arrival, now)).await,
            None => Ok(known),
        }
    }

    async fn let_in_by_code(
        &self,
        known: Arc<KnownKey>,
        code: &str,
        arrival: Arrival<'_>,
        now: SystemTime,
    ) -> Result<Arc<KnownKey>, AuthError> {
        let fingerprint = known.row.fingerprint;
        let note = self.note(Actor::Key(fingerprint), arrival.caller.address);
        if !self.stores.keys.use_code(&fingerprint, &code_hash(code), &note).await? {
            return Ok(known);
        }
        self.known.changed();
        Ok(self.known.read(&*self.stores.keys, &fingerprint, now).await?.unwrap_or(known))
    }

    /// Whether this key could be let in as things stand, for nothing is to be used up for any other. Where an administrator
    /// lets people in a new key could: that it asks to be let in comes of it.
    pub(super) async fn could_come_in(
        &self,
        known: Option<&KnownKey>,
        code: Option<&str>,
    ) -> Result<(), AuthError> {
        let refused = match known.map(standing) {
            Some(Err(error)) if error.kind() == AuthErrorKind::EnrollmentPending => error,
            Some(standing) => return standing,
            // Nobody needs a code there; and who has none was judged by the mode.
            None if self.enrollment == EnrollmentMode::Open || code.is_none() => return Ok(()),
            None => bad_code(),
        };
        let Some(code) = code else { return Err(refused) };
        match self.stores.keys.has_code(&code_hash(code), self.now()).await? {
            true => Ok(()),
            false => Err(refused),
        }
    }

    async fn enroll(
        &self,
        fingerprint: &Fingerprint,
        facts: &SigningKeys,
        digest: [u8; 32],
        arrival: Arrival<'_>,
        now: SystemTime,
    ) -> Result<(Arc<KnownKey>, bool), AuthError> {
        let stamp = self.known.stamp(now);
        let mut new = self.new_key(fingerprint, facts, digest, self.admission(arrival)?)?;
        let note = self.note(Actor::Key(*fingerprint), arrival.caller.address);
        self.limits.enrollment(arrival.caller)?;
        let mut enrolled = self.stores.keys.enroll(&new, &note).await;
        if matches!(enrolled, Ok(Enrollment::BadCode)) && self.enrollment == EnrollmentMode::Open {
            // Nobody needs a code here.
            new.admission = Admission::Approved;
            enrolled = self.stores.keys.enroll(&new, &note).await;
        }
        if !matches!(enrolled, Ok(Enrollment::Enrolled(_))) {
            self.limits.not_enrolled(arrival.caller);
        }
        match enrolled? {
            Enrollment::Enrolled(row) => Ok((self.known.remember(row, stamp)?, true)),
            Enrollment::Tombstone => Err(AuthError::new(AuthErrorKind::Conflict)),
            Enrollment::BadCode => Err(bad_code()),
            Enrollment::TooMany => Err(AuthError::with_words(
                AuthErrorKind::TooManyRequests,
                "As many new keys as may already wait for an administrator from where you are. Try again later.",
            )),
            Enrollment::AlreadyThere(row) => {
                let known = self.known.remember(row, stamp)?;
                Ok((self.refresh(known, facts, digest, now).await?, false))
            }
        }
    }

    /// On whose word a new key comes in. A code counts in every mode.
    fn admission(&self, arrival: Arrival<'_>) -> Result<Admission, AuthError> {
        if let Some(code) = arrival.code {
            return Ok(Admission::Code(code_hash(code)));
        }
        match self.enrollment {
            EnrollmentMode::Open => Ok(Admission::Approved),
            EnrollmentMode::Approval => {
                let prefix = AddressPrefix::of(arrival.caller.address);
                let share = self.stores.master_key.keyed_hash("pending share", prefix.as_bytes());
                Ok(Admission::Pending { share, places: self.places })
            }
            EnrollmentMode::Closed => Err(AuthError::new(AuthErrorKind::EnrollmentClosed)),
        }
    }

    pub(super) fn new_key(
        &self,
        fingerprint: &Fingerprint,
        facts: &SigningKeys,
        digest: [u8; 32],
        admission: Admission,
    ) -> Result<NewKey, AuthError> {
        Ok(NewKey {
            fingerprint: *fingerprint,
            signing_keys: facts.encode()?,
            certificate_digest: digest,
            admission,
            tombstone: self.tombstone(fingerprint),
        })
    }

    /// Merges facts into the store, however many do so at once.
    pub(super) async fn refresh(
        &self,
        known: Arc<KnownKey>,
        facts: &SigningKeys,
        digest: [u8; 32],
        now: SystemTime,
    ) -> Result<Arc<KnownKey>, AuthError> {
        let mut known = known;
        for _ in 0..ATTEMPTS {
            let keys = merged(Some(&known), Some(facts))?;
            // That it says so itself is news, whatever an administrator said before.
            let revoked = keys.is_revoked_for_good()
                && (!known.keys.is_revoked_for_good() || known.row.revoked.is_none());
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
            let note = self.note(Actor::Key(known.row.fingerprint), None);
            let written = self.stores.keys.update(&update, &note).await?;
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
        if request.public_key.is_none() {
            return;
        }
        if let Err(error) = Box::pin(self.try_apply_revocation(request)).await {
            tracing::debug!(target: "capauth::login", kind = error.kind().as_str(), "no revocation applied");
        }
    }

    async fn try_apply_revocation(&self, request: &VerifyRequest) -> Result<(), AuthError> {
        let now = self.clock.now();
        let Some(known) = self.known.get(&*self.stores.keys, &request.fingerprint, now).await? else {
            return Ok(());
        };
        if known.keys.is_revoked_for_good() && known.row.revoked.is_some() {
            return Ok(());
        }
        let text = request.public_key.as_deref();
        let Some(submitted) = self.submitted(text, &request.fingerprint, Some(&known))? else {
            return Ok(());
        };
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

fn bad_code() -> AuthError {
    AuthError::with_words(
        AuthErrorKind::EnrollmentClosed,
        "The enrolment code is not good, or not any longer. Ask an administrator for another one.",
    )
}

/// Under what a one-time code is remembered. It is random enough that nobody finds it from this.
pub(super) fn code_hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}
