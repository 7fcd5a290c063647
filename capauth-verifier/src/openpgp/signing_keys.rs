//! What the server keeps of a certificate: key packets, and the facts that policy found about each.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use capauth_protocol::Fingerprint;
use sequoia_openpgp::crypto::mpi;
use sequoia_openpgp::packet::{Key, key};
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::policy::{AsymmetricAlgorithm, HashAlgoSecurity, StandardPolicy};
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::{Curve, HashAlgorithm};
use sequoia_openpgp::{KeyHandle, Packet};
use serde::{Deserialize, Serialize};

use super::{fingerprint_of, policy_at};
use crate::clock::Timestamp;
use crate::stores::StoreError;

/// A public key, whatever its role.
pub(crate) type PublicKey = Key<key::PublicParts, key::UnspecifiedRole>;

/// The keys of one certificate that may sign, and the facts about them. No User ID and no signature is in it.
///
/// Facts change only for newer ones, and revocations add up.
#[derive(Debug, Clone, PartialEq)]
pub struct SigningKeys {
    /// The primary key, then subkeys.
    components: Vec<Component>,
}

/// One key of a certificate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Component {
    pub(crate) key: PublicKey,
    /// `None`: nothing valid is known of it but, perhaps, that it is revoked.
    pub(crate) facts: Option<Facts>,
    pub(crate) revoked: Revoked,
}

/// What the deciding signatures say, as Sequoia judged them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Creation time of the newest verified self-signature.
    pub(crate) seen: Timestamp,
    /// When the deciding signature, or its back-signature, expires: whichever is earlier.
    pub(crate) bound_until: Option<Timestamp>,
    /// When the key expires.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) may_sign: bool,
    /// Hash algorithms of the deciding signatures, judged again whenever they are used.
    pub(crate) hashes: Vec<u8>,
}

/// How a key was revoked. Adds up; nothing is ever taken out but what a later self-signature lifted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Revoked {
    /// For good.
    #[serde(default)]
    pub(crate) hard: bool,
    /// Since each of these times, until a later self-signature says otherwise. Sorted; a time may lie ahead.
    #[serde(default)]
    pub(crate) soft: Vec<Timestamp>,
}

/// How many soft revocations of one key are kept: the earliest of those that count.
const MAX_SOFT: usize = 8;

impl Revoked {
    pub(crate) fn is_empty(&self) -> bool {
        !self.hard && self.soft.is_empty()
    }

    /// Whether the key is revoked at `time`, when its newest self-signature was made at `seen`.
    fn counts(&self, time: Timestamp, seen: Option<Timestamp>) -> bool {
        self.hard || self.soft.iter().any(|since| *since <= time && seen.is_none_or(|seen| seen <= *since))
    }

    /// Forgets those that a self-signature made at `seen` lifted.
    fn lift(&mut self, seen: Option<Timestamp>) {
        self.soft.retain(|since| seen.is_none_or(|seen| seen <= *since));
    }

    /// Adds another's revocations; forgets those that a self-signature made at `seen` lifted.
    fn add(&mut self, other: &Self, seen: Option<Timestamp>) {
        self.hard |= other.hard;
        self.soft.extend_from_slice(&other.soft);
        self.lift(seen);
        self.soft.sort_unstable();
        self.soft.dedup();
        self.soft.truncate(MAX_SOFT);
    }
}

/// Why a key may not sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Expired,
    Revoked,
    /// Not for signing, not bound, or not acceptable any more.
    Unusable,
}

impl Component {
    /// Whether the component is good at `at`. `policy` is today's.
    fn check(&self, at: SystemTime, policy: &StandardPolicy<'_>, today: SystemTime) -> Result<(), Refused> {
        let facts = self.facts.as_ref();
        let time = Timestamp::from(at);
        if self.revoked.counts(time, facts.map(|facts| facts.seen)) {
            return Err(Refused::Revoked);
        }
        let facts = facts.ok_or(Refused::Unusable)?;
        if self.key.creation_time() > at {
            return Err(Refused::Unusable);
        }
        if facts.ends().is_some_and(|end| end <= time) {
            return Err(Refused::Expired);
        }
        let hashes = facts.hashes.iter().map(|hash| {
            policy.hash_cutoff(HashAlgorithm::from(*hash), HashAlgoSecurity::SecondPreImageResistance)
        });
        let key =
            asymmetric_algorithm(&self.key).and_then(|algorithm| policy.asymmetric_algo_cutoff(algorithm));
        if hashes.chain([key]).flatten().any(|cutoff| cutoff <= today) {
            return Err(Refused::Unusable);
        }
        Ok(())
    }

    /// When it ends by what is known today: its expiry, its binding's, or a soft revocation that lies ahead.
    fn ends(&self) -> Option<Timestamp> {
        let seen = self.facts.as_ref().map(|facts| facts.seen);
        let soft = self.revoked.soft.iter().filter(|since| seen.is_none_or(|seen| seen <= **since));
        self.facts.as_ref().and_then(Facts::ends).into_iter().chain(soft.copied()).min()
    }

    /// Takes over what is newer or stricter in `other`, which is about the same key.
    fn merge(&mut self, other: &Self) {
        match (&mut self.facts, &other.facts) {
            (Some(mine), Some(theirs)) if theirs.seen == mine.seen => mine.keep_stricter(theirs),
            (Some(mine), Some(theirs)) if theirs.seen < mine.seen => {}
            (mine, Some(theirs)) => *mine = Some(theirs.clone()),
            (_, None) => {}
        }
        self.revoked.add(&other.revoked, self.facts.as_ref().map(|facts| facts.seen));
    }

    /// Whether it was revoked since `before`, or may not sign any more.
    fn is_worse_than(&self, before: &Self) -> bool {
        let may_sign = |component: &Self| component.facts.as_ref().is_some_and(|facts| facts.may_sign);
        (self.revoked.hard && !before.revoked.hard)
            || self.revoked.soft.iter().any(|since| !before.revoked.soft.contains(since))
            || (may_sign(before) && !may_sign(self))
    }

    /// Whether it ends earlier than in `before`.
    fn is_shorter_than(&self, before: &Self) -> bool {
        let ends = |component: &Self| component.facts.as_ref().and_then(Facts::ends);
        ends(self).is_some_and(|end| ends(before).is_none_or(|before| end < before))
    }
}

/// What today's policy knows the key's algorithm as; `None` for one it has no word for, which it judged when the
/// certificate arrived.
fn asymmetric_algorithm(key: &PublicKey) -> Option<AsymmetricAlgorithm> {
    use AsymmetricAlgorithm as A;
    match key.mpis() {
        mpi::PublicKey::RSA { n, .. } => Some(match n.bits() {
            ..2048 => A::RSA1024,
            2048..3072 => A::RSA2048,
            3072..4096 => A::RSA3072,
            4096.. => A::RSA4096,
        }),
        mpi::PublicKey::EdDSA { .. } => Some(A::EdDSA),
        mpi::PublicKey::Ed25519 { .. } => Some(A::Ed25519),
        mpi::PublicKey::Ed448 { .. } => Some(A::Ed448),
        mpi::PublicKey::ECDSA { curve, .. } => match curve {
            Curve::NistP256 => Some(A::NistP256),
            Curve::NistP384 => Some(A::NistP384),
            Curve::NistP521 => Some(A::NistP521),
            Curve::BrainpoolP256 => Some(A::BrainpoolP256),
            Curve::BrainpoolP512 => Some(A::BrainpoolP512),
            _ => None,
        },
        _ => None,
    }
}

impl Facts {
    /// When the key ends, or its binding does.
    fn ends(&self) -> Option<Timestamp> {
        self.expires_at.iter().chain(&self.bound_until).min().copied()
    }

    fn keep_stricter(&mut self, other: &Self) {
        let earlier = |a: Option<Timestamp>, b: Option<Timestamp>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.bound_until = earlier(self.bound_until, other.bound_until);
        self.expires_at = earlier(self.expires_at, other.expires_at);
        self.may_sign &= other.may_sign;
        for hash in &other.hashes {
            if !self.hashes.contains(hash) {
                self.hashes.push(*hash);
            }
        }
    }
}

impl SigningKeys {
    /// From what was found in a certificate; the first is the primary key. `None` when there is none.
    ///
    /// What a later self-signature of the same certificate lifted is left out at once: taken by itself, as where nothing
    /// but revocations is believed, it would end a key that its owner brought back.
    pub(super) fn new(mut components: Vec<Component>) -> Option<Self> {
        for Component { facts, revoked, .. } in &mut components {
            revoked.lift(facts.as_ref().map(|facts| facts.seen));
        }
        (!components.is_empty()).then_some(Self { components })
    }

    fn primary(&self) -> Option<&Component> {
        self.components.first()
    }

    /// The certificate's fingerprint.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.primary().and_then(|c| fingerprint_of(&c.key.fingerprint()))
    }

    /// Whether this is the certificate's primary key.
    pub(crate) fn is_primary(&self, key: &PublicKey) -> bool {
        self.primary().is_some_and(|primary| primary.key == *key)
    }

    /// Whether the certificate was revoked for good by its owner.
    pub fn is_revoked_for_good(&self) -> bool {
        self.primary().is_some_and(|c| c.revoked.hard)
    }

    /// Whether any of its keys is revoked, in whatever way.
    pub(crate) fn has_revoked_keys(&self) -> bool {
        self.components.iter().any(|c| !c.revoked.is_empty())
    }

    /// Whether the certificate is past its time, by whatever its primary key is known to say now.
    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        self.primary().and_then(Component::ends).is_some_and(|end| end <= now)
    }

    /// Whether what was given out on the strength of `before` has to end: a key is revoked or shortened in a way that it
    /// was not then. (The primary's end is looked at with every use here, but a token says it to readers elsewhere.)
    pub(crate) fn is_worse_than(&self, before: &Self) -> bool {
        self.components.iter().any(|mine| {
            match before.components.iter().find(|c| c.key == mine.key) {
                Some(before) => mine.is_worse_than(before) || mine.is_shorter_than(before),
                // Nothing was ever given out on the strength of a key that was unknown.
                None => false,
            }
        })
    }

    /// The keys that a signature's issuer subpackets may mean.
    pub(crate) fn candidates<'a>(&'a self, issuers: &'a [KeyHandle]) -> impl Iterator<Item = &'a PublicKey> {
        let keys = self.components.iter().map(|c| &c.key);
        keys.filter(move |key| issuers.iter().any(|issuer| issuer.aliases(key.key_handle())))
    }

    /// Judges a login signed by `signer` at `signed_at`: primary and signing key must have been good then and be good
    /// now. Answers until when that stays so.
    pub(crate) fn judge(
        &self,
        signer: &PublicKey,
        signed_at: SystemTime,
        now: SystemTime,
    ) -> Result<Option<Timestamp>, Refused> {
        let primary = self.primary().ok_or(Refused::Unusable)?;
        let signing = self.components.iter().find(|c| c.key == *signer);
        let signing = signing.ok_or(Refused::Unusable)?;
        let policy = policy_at(now);
        let mut until: Option<Timestamp> = None;
        // A key made on a machine whose clock is ahead of ours is good from the moment it was made.
        let now = now.max(signing.key.creation_time().min(now + super::certificate::CLOCK_SKEW));
        let now = now.max(primary.key.creation_time().min(now + super::certificate::CLOCK_SKEW));
        for at in [signed_at, now] {
            for component in [primary, signing] {
                component.check(at, &policy, now)?;
                until = until.into_iter().chain(component.ends()).min();
            }
        }
        if !signing.facts.as_ref().is_some_and(|facts| facts.may_sign) {
            return Err(Refused::Unusable);
        }
        Ok(until)
    }

    /// Whether any key could sign now: what an enrolment asks for.
    pub(crate) fn usable(&self, now: SystemTime) -> Result<(), Refused> {
        let mut verdict = Err(Refused::Unusable);
        for component in &self.components {
            match self.judge(&component.key, now.max(component.key.creation_time()), now) {
                Ok(_) => return Ok(()),
                Err(refused) if component.facts.as_ref().is_some_and(|f| f.may_sign) => {
                    verdict = Err(refused);
                }
                Err(_) => {}
            }
        }
        verdict
    }

    /// Whether both are of one certificate: their primary keys agree to the byte.
    pub(crate) fn same_primary(&self, other: &Self) -> bool {
        self.primary().map(|c| &c.key) == other.primary().map(|c| &c.key)
    }

    /// Forgets everything but which keys are revoked.
    pub(crate) fn keep_revocations_only(&mut self) {
        for component in &mut self.components {
            component.facts = None;
        }
        let mut position = 0;
        self.components.retain(|component| {
            position += 1;
            position == 1 || !component.revoked.is_empty()
        });
    }

    /// Adds what `other` knows of the same certificate. Revocations are the union; a component's facts change only for
    /// newer ones, and of equally old ones the stricter stay; what is missing in `other` stays. Answers whether
    /// anything changed. Does nothing when the primary keys differ in a single byte.
    pub fn merge(&mut self, other: &Self) -> bool {
        let before = self.clone();
        if !self.same_primary(other) {
            return false;
        }
        for theirs in &other.components {
            if let Some(mine) = self.components.iter_mut().find(|c| c.key == theirs.key) {
                mine.merge(theirs);
            } else if self.components.len() < super::certificate::MAX_KEYS {
                self.components.push(theirs.clone());
            }
        }
        *self != before
    }

    /// As bytes for the store.
    ///
    /// # Errors
    /// A key cannot be serialised, which does not happen with keys that were parsed.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let failed = |e: sequoia_openpgp::anyhow::Error| StoreError::because("encoding signing keys", e);
        let mut components = Vec::with_capacity(self.components.len());
        for component in &self.components {
            let first = components.is_empty();
            let packet = match first {
                true => Packet::from(component.key.clone().role_into_primary()),
                false => Packet::from(component.key.clone().role_into_subordinate()),
            };
            components.push(StoredComponent {
                key: STANDARD_NO_PAD.encode(packet.to_vec().map_err(failed)?),
                facts: component.facts.clone(),
                revoked: component.revoked.clone(),
            });
        }
        serde_json::to_vec(&Stored { version: 1, components })
            .map_err(|e| StoreError::because("encoding signing keys", e))
    }

    /// From the store's bytes.
    ///
    /// # Errors
    /// They are not of this form.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        const WHAT: &str = "reading stored signing keys";
        let stored: Stored = serde_json::from_slice(bytes).map_err(|e| StoreError::because(WHAT, e))?;
        if stored.version != 1 {
            return Err(StoreError::new("these signing keys were written by a newer version"));
        }
        let component = |stored: StoredComponent| -> Result<Component, StoreError> {
            let packet = STANDARD_NO_PAD.decode(&stored.key).map_err(|e| StoreError::because(WHAT, e))?;
            let key = match Packet::from_bytes(&packet).map_err(|e| StoreError::because(WHAT, e))? {
                Packet::PublicKey(key) => key.role_into_unspecified(),
                Packet::PublicSubkey(key) => key.role_into_unspecified(),
                _ => return Err(StoreError::new(WHAT)),
            };
            Ok(Component { key, facts: stored.facts, revoked: stored.revoked })
        };
        let components = stored.components.into_iter().map(component).collect::<Result<_, _>>()?;
        Self::new(components).ok_or(StoreError::new(WHAT))
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "v")]
    version: u8,
    components: Vec<StoredComponent>,
}

#[derive(Serialize, Deserialize)]
struct StoredComponent {
    /// The whole packet, base64.
    key: String,
    facts: Option<Facts>,
    revoked: Revoked,
}
