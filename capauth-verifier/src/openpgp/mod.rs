//! OpenPGP: what is kept of a certificate, what counts as a signature, and the key with which the server signs.
//!
//! - `armor`: ASCII armour.
//! - `certificate`: a certificate as somebody sent it, judged by Sequoia under policy, reduced to facts.
//! - `signing_keys`: those facts, merged over time; they only get safer.
//! - `keyring`: certificates as a key directory serves them; whether one vouches for an address.
//! - `message`: the three forms in which a signature over known bytes arrives.
//! - `check`: one signature by one key, with every check of Sequoia's own verifier.
//! - `ed25519`: an unlocked Ed25519 key.
//! - `judged`: a certificate taken over from another key store.
//! - `server_key`: signing challenges.
//! - `new_server_key`: making the key for that.
//! - `support`: which kinds of keys this build verifies.

mod armor;
mod certificate;
mod check;
mod ed25519;
mod judged;
#[cfg(feature = "wkd")]
mod keyring;
mod message;
mod new_server_key;
mod server_key;
mod signing_keys;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::types::Duration;

pub(crate) use certificate::SubmittedCertificate;
pub(crate) use check::{Checked, check, check_signature};
pub use judged::{JudgedCertificate, Standing};
#[cfg(feature = "wkd")]
pub(crate) use keyring::vouched_until;
pub(crate) use message::SignedMessage;
pub use new_server_key::NewServerKey;
pub use server_key::ServerKey;
pub(crate) use signing_keys::Refused;
pub use signing_keys::SigningKeys;
pub use support::supported_keys;

use crate::error::{AuthError, AuthErrorKind};

/// The policy of a moment. Old hashes are good enough to revoke: who can forge a revocation can only lock a key.
pub(crate) fn policy_at(now: SystemTime) -> StandardPolicy<'static> {
    let mut policy = StandardPolicy::at(now);
    policy.hash_revocation_tolerance(Duration::from(u32::MAX));
    policy
}

/// Runs a parser. Should it panic on what a stranger sent, that is the stranger's error and not the process's end.
pub(crate) fn guarded<T>(
    kind: AuthErrorKind,
    parse: impl FnOnce() -> Result<T, AuthError>,
) -> Result<T, AuthError> {
    catch_unwind(AssertUnwindSafe(parse)).unwrap_or_else(|_| {
        tracing::error!(target: "capauth::openpgp", kind = kind.as_str(), "the OpenPGP parser panicked");
        Err(AuthError::new(kind))
    })
}

/// Our fingerprint of Sequoia's. `None` for anything but version 4 and 6.
pub(crate) fn fingerprint_of(fingerprint: &sequoia_openpgp::Fingerprint) -> Option<Fingerprint> {
    use sequoia_openpgp::Fingerprint as F;
    match fingerprint {
        F::V4(bytes) => Fingerprint::from_bytes(bytes),
        F::V6(bytes) => Fingerprint::from_bytes(bytes),
        _ => None,
    }
}
