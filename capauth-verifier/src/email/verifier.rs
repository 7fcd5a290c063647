//! [`EmailVerifier`]: whether an address counts as verified for a key.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use tokio::sync::Semaphore;

use super::answers::{Answer, Answers, Lookups};
use super::web::MAX_ANSWER;
use super::{DirectoryErrorKind, EmailAddress, KeyDirectory};
use crate::clock::Clock;
use crate::openpgp::vouched_until;
use crate::secret::MasterKey;

/// How many keyrings are judged at once.
const JUDGES: usize = 4;

/// Decides whether an address that a person claims is theirs: the domain's directory serves the very certificate that
/// they signed with, it is good now, and it binds a User ID with the address.
///
/// A yes is believed for an hour, or as long as the certificate lives if that is less; a no for five minutes. It is kept
/// in memory, under a keyed hash and never under the address. An identity has five lookups a minute. Ask only when an
/// application is about to be told the address, since the address's domain learns of it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use capauth_verifier::{EmailVerifier, MasterKey, SystemClock, WebKeyDirectory};
///
/// let directory = Arc::new(WebKeyDirectory::builder().build()?);
/// let master_key = MasterKey::generate().map_err(|error| error.to_string())?;
/// let verifier = EmailVerifier::new(directory, Arc::new(SystemClock), master_key);
///
/// let key = "8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80".parse()?;
/// assert_eq!(verifier.verify("not an address", &key, &key).await, None);
/// # Ok(()) }
/// ```
pub struct EmailVerifier {
    directory: Arc<dyn KeyDirectory>,
    clock: Arc<dyn Clock>,
    master_key: MasterKey,
    answers: Answers,
    lookups: Lookups,
    judges: Arc<Semaphore>,
}

impl EmailVerifier {
    /// One that asks this directory.
    pub fn new(directory: Arc<dyn KeyDirectory>, clock: Arc<dyn Clock>, master_key: MasterKey) -> Self {
        Self {
            directory,
            clock,
            master_key,
            answers: Answers::new(),
            lookups: Lookups::new(),
            judges: Arc::new(Semaphore::new(JUDGES)),
        }
    }

    /// The normal form of `claim` if it belongs to the key `certificate` (the primary key's fingerprint), which signed
    /// in as `sub`. `None` for every other case: no address, another's, not to be found out, asked for too often.
    ///
    /// To be called within a Tokio runtime. Takes as long as the directory does; who asks about the same address and key
    /// meanwhile waits for the same answer.
    pub async fn verify(
        &self,
        claim: &str,
        sub: &Fingerprint,
        certificate: &Fingerprint,
    ) -> Option<EmailAddress> {
        let address = EmailAddress::parse(claim)?;
        // A fingerprint has no space in it, so no two pairs look alike.
        let pair = format!("{certificate} {}", address.as_str());
        let key = self.master_key.keyed_hash("e-mail of a key", pair.as_bytes());
        let slot = match self.answers.known(&key) {
            Some(slot) => slot,
            // Else the one who may ask nothing any more could still push other answers out.
            None if self.lookups.is_spent(sub, self.clock.now()) => return None,
            None => self.answers.slot(key),
        };
        let mut answer = slot.lock().await;
        let now = self.clock.now();
        let verified = match answer.filter(|answer| answer.is_fresh(now)) {
            Some(answer) => answer.verified,
            None if !self.lookups.take(sub, now) => return None,
            None => {
                let found = self.look_up(&address, certificate).await?;
                answer.insert(found).verified
            }
        };
        drop(answer);
        verified.then_some(address)
    }

    /// `None` if nobody was asked, which is not worth remembering.
    async fn look_up(&self, address: &EmailAddress, certificate: &Fingerprint) -> Option<Answer> {
        let served = self.directory.certificates(address).await;
        let now = self.clock.now();
        let good_until = match served {
            Ok(keyring) => self.judge(keyring, address.clone(), *certificate, now).await,
            Err(error) if error.kind() == DirectoryErrorKind::Busy => return None,
            Err(error) => {
                tracing::debug!(target: "capauth::email", kind = error.kind().as_str(), "an address is not verified");
                None
            }
        };
        Some(Answer::new(good_until, now))
    }

    /// Judges on a thread where that may take its time.
    async fn judge(
        &self,
        keyring: Vec<u8>,
        address: EmailAddress,
        certificate: Fingerprint,
        now: SystemTime,
    ) -> Option<SystemTime> {
        if keyring.len() > MAX_ANSWER {
            return None;
        }
        let place = Arc::clone(&self.judges).acquire_owned().await.ok()?;
        let judged = tokio::task::spawn_blocking(move || {
            let _place = place;
            let is_meant = |email: &str| EmailAddress::parse(email).as_ref() == Some(&address);
            vouched_until(&keyring, &certificate, is_meant, now)
        });
        judged.await.ok().flatten()
    }
}

impl fmt::Debug for EmailVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailVerifier").finish_non_exhaustive()
    }
}
