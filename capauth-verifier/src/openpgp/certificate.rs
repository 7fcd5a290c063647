//! A certificate as somebody sent it: limited, parsed, and judged whole by Sequoia under policy.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use capauth_protocol::Fingerprint;
use sequoia_openpgp::armor;
use sequoia_openpgp::cert::prelude::*;
use sequoia_openpgp::crypto::mpi;
use sequoia_openpgp::packet::prelude::*;
use sequoia_openpgp::parse::{PacketParser, PacketParserBuilder, PacketParserResult, Parse as _};
use sequoia_openpgp::policy::{Policy, StandardPolicy};
use sequoia_openpgp::types::{PublicKeyAlgorithm, RevocationType};
use sequoia_openpgp::{Cert, KeyHandle, Packet};

use super::signing_keys::{Component, Facts, PublicKey, Revoked, SigningKeys};
use super::{fingerprint_of, guarded, policy_at};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};

/// The largest certificate, in bytes without its armour.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// The most keys of a certificate.
pub(super) const MAX_KEYS: usize = 16;
/// The most signatures that could be the certificate's own.
const MAX_SELF_SIGNATURES: usize = 64;
/// The most packets of any kind.
pub(super) const MAX_PACKETS: usize = 1024;
/// The largest RSA key that this backend verifies with.
pub(super) const MAX_RSA_BITS: usize = if cfg!(feature = "crypto-rust") { 4096 } else { 8192 };
/// The largest public exponent; everybody's is 65537.
const MAX_RSA_EXPONENT_BITS: usize = 64;
/// The most User IDs. Each is tried for signatures that stand in a wrong place.
const MAX_USER_IDS: usize = 64;
/// How far another machine's clock may be ahead of ours.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(120);

/// A certificate that passed the limits; nothing in it is believed yet.
#[derive(Debug)]
pub(crate) struct SubmittedCertificate {
    fingerprint: Fingerprint,
    /// Primary key, then subkeys.
    keys: Vec<PublicKey>,
    /// Everything that may be evaluated: keys, User IDs, signatures that claim to be the certificate's own.
    packets: Vec<Packet>,
    has_revocations: bool,
}

fn refuse(words: &'static str) -> AuthError {
    AuthError::with_words(AuthErrorKind::InvalidPublicKey, words)
}

const SECRET: &str = "This is a SECRET key. It has just left your machine and reached a server: treat it as stolen, \
    revoke it, and next time send what `gpg --armor --export` prints.";
const NOT_ONE: &str = "Send exactly one public key, as `gpg --armor --export FINGERPRINT` prints it.";

impl SubmittedCertificate {
    /// Parses one armored certificate and counts what is in it. No signature is evaluated.
    ///
    /// # Errors
    /// [`AuthErrorKind::InvalidPublicKey`], with words.
    pub(crate) fn parse(armored: &str) -> Result<Self, AuthError> {
        guarded(AuthErrorKind::InvalidPublicKey, || Self::from_packets(read_packets(&dearmor(armored)?)?))
    }

    /// The same for packets that somebody else parsed, within the limits on size and number.
    pub(super) fn from_packets(packets: Vec<Packet>) -> Result<Self, AuthError> {
        let Some(Packet::PublicKey(primary)) = packets.first() else { return Err(refuse(NOT_ONE)) };
        let primary = primary.clone();
        check_primary(&primary)?;
        let fingerprint = fingerprint_of(&primary.fingerprint())
            .ok_or(refuse("Only OpenPGP keys of version 4 and 6 can sign in."))?;
        let own = own_packets(packets, &primary.key_handle());
        // An embedded back-signature is checked like any other, and takes thirty bytes.
        let signatures = |packet: &Packet| match packet {
            Packet::Signature(signature) => 1 + signature.embedded_signatures().count(),
            _ => 0,
        };
        if own.iter().map(signatures).sum::<usize>() > MAX_SELF_SIGNATURES {
            return Err(refuse(
                "This certificate carries more than 64 signatures of its own. Send a minimal export.",
            ));
        }
        if own.iter().filter(|packet| matches!(packet, Packet::UserID(_))).count() > MAX_USER_IDS {
            return Err(refuse("This certificate has more than 64 User IDs. Send a minimal export."));
        }
        let keys: Vec<PublicKey> = own.iter().filter_map(public_key).collect();
        if keys.len() > MAX_KEYS {
            return Err(refuse("This certificate has more than 16 keys."));
        }
        let has_revocations = own.iter().any(|p| matches!(p, Packet::Signature(s) if is_revocation(s)));
        Ok(Self { fingerprint, keys, packets: own, has_revocations })
    }

    /// The certificate's fingerprint.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Fingerprints of all its keys.
    pub(crate) fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        self.keys.iter().filter_map(|key| fingerprint_of(&key.fingerprint()))
    }

    /// Whether anything in it claims to revoke something.
    pub(crate) fn has_revocations(&self) -> bool {
        self.has_revocations
    }

    /// The keys that a signature's issuer subpackets may mean.
    pub(crate) fn candidates<'a>(&'a self, issuers: &'a [KeyHandle]) -> impl Iterator<Item = &'a PublicKey> {
        self.keys.iter().filter(move |key| issuers.iter().any(|issuer| issuer.aliases(key.key_handle())))
    }

    /// What is left to be evaluated.
    #[cfg(feature = "wkd")]
    pub(super) fn into_packets(self) -> Vec<Packet> {
        self.packets
    }

    /// Judges the certificate under the policy of `now`. Costs a signature check per self-signature: call it off the
    /// async threads, for whoever proved possession or claims a revocation.
    ///
    /// # Errors
    /// [`AuthErrorKind::InvalidPublicKey`] when it is no certificate.
    pub(crate) fn judge(self, now: SystemTime) -> Result<SigningKeys, AuthError> {
        guarded(AuthErrorKind::InvalidPublicKey, || {
            let cert = Cert::from_packets(self.packets.into_iter()).map_err(|_| refuse(NOT_ONE))?;
            let time = evaluation_time(&cert, now);
            let policy = policy_at(now);
            let mut components = vec![primary_component(&cert, &policy, time)];
            for subkey in cert.keys().subkeys() {
                components.extend(subkey_component(&subkey, &policy, time));
            }
            SigningKeys::new(components).ok_or(refuse(NOT_ONE))
        })
    }
}

/// Exactly one block of armour with nothing around it, decoded within limits.
fn dearmor(armored: &str) -> Result<Vec<u8>, AuthError> {
    let text = armored.trim_ascii();
    if text.contains("-----BEGIN PGP PRIVATE KEY BLOCK-----") {
        return Err(refuse(SECRET));
    }
    let one = text.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----")
        && text.ends_with("-----END PGP PUBLIC KEY BLOCK-----")
        && text.matches("-----BEGIN ").count() == 1
        && text.matches("-----END ").count() == 1;
    if !one {
        return Err(refuse(NOT_ONE));
    }
    let mode = armor::ReaderMode::Tolerant(Some(armor::Kind::PublicKey));
    let mut bytes = Vec::new();
    let mut reader = armor::Reader::from_bytes(text.as_bytes(), mode).take(MAX_BYTES as u64 + 1);
    reader.read_to_end(&mut bytes).map_err(|_| refuse("The armour of this public key is damaged."))?;
    if bytes.len() > MAX_BYTES {
        return Err(refuse("This certificate is larger than 64 KiB. Send a minimal export."));
    }
    Ok(bytes)
}

fn read_packets(bytes: &[u8]) -> Result<Vec<Packet>, AuthError> {
    let damaged = |_| refuse("This public key is damaged.");
    let limit = u32::try_from(MAX_BYTES).unwrap_or(u32::MAX);
    let builder = PacketParserBuilder::from_bytes(bytes).map_err(damaged)?;
    let mut next = builder.max_recursion_depth(0).max_packet_size(limit).build().map_err(damaged)?;
    let mut packets = Vec::new();
    while let PacketParserResult::Some(parser) = next {
        // To go on past a container is to unpack it: decided before.
        if matches!(parser.packet, Packet::CompressedData(_) | Packet::Literal(_) | Packet::SEIP(_)) {
            return Err(refuse(NOT_ONE));
        }
        let (packet, rest) = PacketParser::next(parser).map_err(damaged)?;
        match &packet {
            Packet::SecretKey(_) | Packet::SecretSubkey(_) => return Err(refuse(SECRET)),
            Packet::PublicKey(_) if !packets.is_empty() => return Err(refuse(NOT_ONE)),
            _ => {}
        }
        packets.push(packet);
        if packets.len() > MAX_PACKETS {
            return Err(refuse("This certificate has too many packets. Send a minimal export."));
        }
        next = rest;
    }
    Ok(packets)
}

/// Without what other people signed, without photographs, without subkeys that are too large to touch.
fn own_packets(packets: Vec<Packet>, primary: &KeyHandle) -> Vec<Packet> {
    let mut own = Vec::new();
    let mut skipping = false;
    for packet in packets {
        match &packet {
            Packet::Signature(signature) => {
                let issuers = signature.get_issuers();
                if skipping || !(issuers.is_empty() || issuers.iter().any(|i| i.aliases(primary))) {
                    continue;
                }
            }
            Packet::PublicSubkey(key) => skipping = !is_bounded(key.mpis()),
            Packet::PublicKey(_) | Packet::UserID(_) => skipping = false,
            _ => skipping = true,
        }
        if !skipping {
            own.push(packet);
        }
    }
    own
}

fn public_key(packet: &Packet) -> Option<PublicKey> {
    match packet {
        Packet::PublicKey(key) => Some(key.clone().role_into_unspecified()),
        Packet::PublicSubkey(key) => Some(key.clone().role_into_unspecified()),
        _ => None,
    }
}

/// Whether checking a signature by this key costs a bounded time. A number of 65,535 bits in a DSA key, or as an RSA
/// exponent, keeps a processor busy for minutes.
fn is_bounded(mpis: &mpi::PublicKey) -> bool {
    match mpis {
        mpi::PublicKey::RSA { n, e } => n.bits() <= MAX_RSA_BITS && e.bits() <= MAX_RSA_EXPONENT_BITS,
        mpi::PublicKey::DSA { .. } | mpi::PublicKey::ElGamal { .. } | mpi::PublicKey::Unknown { .. } => false,
        _ => true,
    }
}

fn rsa_bits(mpis: &mpi::PublicKey) -> Option<usize> {
    match mpis {
        mpi::PublicKey::RSA { n, .. } => Some(n.bits()),
        _ => None,
    }
}

/// Says what the backend cannot do before it is asked to.
fn check_primary(primary: &Key<key::PublicParts, key::PrimaryRole>) -> Result<(), AuthError> {
    match rsa_bits(primary.mpis()) {
        Some(bits) if bits > MAX_RSA_BITS => {
            return Err(refuse(if cfg!(feature = "crypto-rust") {
                "RSA keys above 4096 bits need a server built with the feature crypto-openssl."
            } else {
                "RSA keys above 8192 bits are not accepted."
            }));
        }
        Some(bits) if bits < 2048 => return Err(refuse("RSA keys below 2048 bits are not safe.")),
        _ => {}
    }
    #[allow(deprecated)] // DSA is named to be refused.
    if primary.pk_algo() == PublicKeyAlgorithm::DSA {
        return Err(refuse("DSA keys are not accepted any more."));
    }
    if rsa_bits(primary.mpis()).is_some() && !is_bounded(primary.mpis()) {
        return Err(refuse("The public exponent of this RSA key is out of the ordinary."));
    }
    if !primary.pk_algo().is_supported() || !curve_is_supported(primary.mpis()) {
        return Err(refuse(
            "This server cannot verify this kind of key. Brainpool curves need a server built with the feature \
             crypto-openssl.",
        ));
    }
    Ok(())
}

fn curve_is_supported(mpis: &mpi::PublicKey) -> bool {
    match mpis {
        mpi::PublicKey::ECDSA { curve, .. } | mpi::PublicKey::EdDSA { curve, .. } => curve.is_supported(),
        _ => true,
    }
}

fn is_revocation(signature: &Signature) -> bool {
    use sequoia_openpgp::types::SignatureType as T;
    matches!(signature.typ(), T::KeyRevocation | T::SubkeyRevocation)
}

/// Now, or a little later when the certificate was made by a clock that is ahead of ours.
fn evaluation_time(cert: &Cert, now: SystemTime) -> SystemTime {
    let direct = cert.primary_key().self_signatures();
    let bindings = cert.userids().flat_map(|u| u.self_signatures());
    let subkeys = cert.keys().subkeys().flat_map(|k| k.self_signatures());
    let made = direct.chain(bindings).chain(subkeys).filter_map(|s| s.signature_creation_time());
    made.chain([cert.primary_key().key().creation_time()])
        .filter(|made| *made <= now + CLOCK_SKEW)
        .fold(now, SystemTime::max)
}

/// The newest of these signatures that policy accepts and whose time has come.
fn newest<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    policy: &StandardPolicy<'_>,
    time: SystemTime,
) -> Option<Timestamp> {
    let good = signatures.filter(|s| policy.signature(s, Default::default()).is_ok());
    good.filter_map(|s| s.signature_creation_time()).filter(|made| *made <= time).max().map(Timestamp::from)
}

fn primary_component(cert: &Cert, policy: &StandardPolicy<'_>, time: SystemTime) -> Component {
    let primary = cert.primary_key();
    let key = primary.key().clone().role_into_unspecified();
    // Asked of the bare key: a revocation counts even where nothing else of the certificate does.
    let revoked = revocations(primary.self_revocations(), policy, time);
    let all = primary.self_signatures().chain(cert.userids().flat_map(|u| u.self_signatures()));
    let facts = cert.with_policy(policy, time).ok().zip(newest(all, policy, time)).map(|(valid, seen)| {
        let valid = valid.primary_key();
        let deciding: Vec<&Signature> =
            std::iter::once(valid.binding_signature()).chain(valid.direct_key_signature().ok()).collect();
        Facts {
            seen,
            bound_until: deciding.iter().filter_map(|s| expiry(s)).min(),
            expires_at: valid.key_expiration_time().map(Timestamp::from),
            may_sign: valid.for_signing(),
            hashes: hashes(deciding),
        }
    });
    Component { key, facts, revoked }
}

/// `None` for a subkey that neither may sign nor is revoked: nothing about it matters to a login.
fn subkey_component(
    subkey: &SubordinateKeyAmalgamation<'_, key::PublicParts>,
    policy: &StandardPolicy<'_>,
    time: SystemTime,
) -> Option<Component> {
    let key = subkey.key().clone().role_into_unspecified();
    let revoked = revocations(subkey.self_revocations(), policy, time);
    let seen = newest(subkey.self_signatures(), policy, time);
    let facts = subkey.clone().with_policy(policy, time).ok().zip(seen).map(|(valid, seen)| {
        let binding = valid.binding_signature();
        let backing = live_back_signature(subkey, binding, policy, time);
        Facts {
            seen,
            bound_until: std::iter::once(binding).chain(backing).filter_map(expiry).min(),
            expires_at: valid.key_expiration_time().map(Timestamp::from),
            may_sign: valid.for_signing() && backing.is_some(),
            hashes: hashes(std::iter::once(binding).chain(backing)),
        }
    });
    // A subkey that may not sign (any more) is kept too, lest an older copy of it comes to life beside newer ones.
    let matters = facts.as_ref().is_some_and(|f| f.may_sign || !encrypts_only(&key)) || !revoked.is_empty();
    matters.then_some(Component { key, facts, revoked })
}

fn encrypts_only(key: &PublicKey) -> bool {
    !key.pk_algo().for_signing()
}

/// The back-signature that verifies, is acceptable and alive, all three; of several the one that lasts longest.
///
/// Sequoia asks whether one verifies and whether one is alive, which need not be the same one.
fn live_back_signature<'a>(
    subkey: &SubordinateKeyAmalgamation<'a, key::PublicParts>,
    binding: &'a Signature,
    policy: &StandardPolicy<'_>,
    time: SystemTime,
) -> Option<&'a Signature> {
    let primary = subkey.cert().primary_key().key();
    let good = |s: &&Signature| {
        s.signature_alive(time, Duration::ZERO).is_ok()
            && policy.signature(s, subkey.key().hash_algo_security()).is_ok()
            && s.verify_primary_key_binding(primary, subkey.key()).is_ok()
    };
    let lasting = |s: &&Signature| expiry(s).unwrap_or(Timestamp::from_unix(u64::MAX));
    binding.embedded_signatures().filter(good).max_by_key(lasting)
}

fn expiry(signature: &Signature) -> Option<Timestamp> {
    signature.signature_expiration_time().map(Timestamp::from)
}

fn hashes<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> Vec<u8> {
    let mut hashes: Vec<u8> = signatures.into_iter().map(|s| s.hash_algo().into()).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The key's revocations by its own primary, each verified by Sequoia. Third parties' are unverified words: if they
/// counted, anybody could lock anybody out. A soft one counts from its time on, which may lie ahead.
fn revocations<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    policy: &StandardPolicy<'_>,
    time: SystemTime,
) -> Revoked {
    let mut revoked = Revoked::default();
    for signature in signatures.filter(|s| policy.signature(s, Default::default()).is_ok()) {
        let soft = signature
            .reason_for_revocation()
            .is_some_and(|(r, _)| r.revocation_type() == RevocationType::Soft);
        let over = signature.signature_expiration_time().is_some_and(|end| end <= time);
        match signature.signature_creation_time() {
            Some(since) if soft && !over => revoked.soft.push(since.into()),
            Some(_) if soft => {}
            // No reason given, or one that says the key is in other hands.
            _ => revoked.hard = true,
        }
    }
    revoked.soft.sort_unstable();
    revoked.soft.dedup();
    revoked
}
