//! What a key directory serves: certificates one after the other, of which one is meant. Does it vouch for an address?

use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use sequoia_openpgp::cert::prelude::*;
use sequoia_openpgp::packet::Tag;
use sequoia_openpgp::packet::header::BodyLength;
use sequoia_openpgp::parse::{Dearmor, PacketParser, PacketParserBuilder, PacketParserResult, Parse as _};
use sequoia_openpgp::types::RevocationStatus;
use sequoia_openpgp::{Cert, Packet};

use super::certificate::{MAX_BYTES, MAX_PACKETS, SubmittedCertificate};
use super::{fingerprint_of, guarded, policy_at};
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};

/// The most certificates. A domain serves one for an address, and perhaps revoked ones beside it.
const MAX_CERTIFICATES: usize = 16;
/// The longest User ID that is read, in bytes.
const MAX_USER_ID: usize = 1024;
/// The longest header of a packet, in bytes.
const PACKET_HEADER: usize = 6;

/// Whether the certificate of this fingerprint in `keyring` is neither expired nor revoked at `now`, and binds an
/// unrevoked User ID with an address that `is_meant`. Answers when that ends by itself.
///
/// Costs a signature check per self-signature of this one certificate: call it off the async threads.
pub(crate) fn vouched_until(
    keyring: &[u8],
    fingerprint: &Fingerprint,
    is_meant: impl Fn(&str) -> bool,
    now: SystemTime,
) -> Option<SystemTime> {
    let judged = guarded(AuthErrorKind::InvalidPublicKey, || {
        let cert =
            Cert::from_packets(find(keyring, fingerprint)?.into_packets().into_iter()).map_err(unfit)?;
        if fingerprint_of(&cert.fingerprint()) != Some(*fingerprint) {
            return Err(unfit(()));
        }
        judge(&cert, is_meant, now).ok_or(unfit(()))
    });
    judged.ok()
}

/// Nobody hears why: the caller knows yes and no.
fn unfit<T>(_: T) -> AuthError {
    AuthError::new(AuthErrorKind::InvalidPublicKey)
}

/// The certificate of this fingerprint, limited like one that somebody submits. No signature is evaluated. A keyring with
/// a secret key anywhere in it, or with the certificate twice, is refused whole.
fn find(keyring: &[u8], fingerprint: &Fingerprint) -> Result<SubmittedCertificate, AuthError> {
    let limit = u32::try_from(MAX_BYTES).unwrap_or(u32::MAX);
    // The standard serves binary. Armour would be a second way in.
    let builder = PacketParserBuilder::from_bytes(keyring).map_err(unfit)?.dearmor(Dearmor::Disabled);
    let mut next = builder.max_recursion_depth(0).max_packet_size(limit).build().map_err(unfit)?;
    let (mut own, mut size) = (Vec::new(), 0);
    let (mut certificates, mut is_own) = (0, false);
    while let PacketParserResult::Some(parser) = next {
        // To go on past a container is to unpack it, and only data has no length beforehand: decided before.
        let BodyLength::Full(length) = *parser.header().length() else { return Err(unfit(())) };
        if matches!(parser.packet, Packet::CompressedData(_) | Packet::Literal(_) | Packet::SEIP(_)) {
            return Err(unfit(()));
        }
        let (packet, rest) = PacketParser::next(parser).map_err(unfit)?;
        match packet.tag() {
            Tag::SecretKey | Tag::SecretSubkey => return Err(unfit(())),
            Tag::PublicKey => {
                certificates += 1;
                is_own = is_key(&packet, fingerprint);
                if certificates > MAX_CERTIFICATES || (is_own && !own.is_empty()) {
                    return Err(unfit(()));
                }
            }
            _ if certificates == 0 => return Err(unfit(())),
            _ => {}
        }
        if is_own {
            size += PACKET_HEADER + usize::try_from(length).unwrap_or(usize::MAX / 2);
            own.push(packet);
        }
        if size > MAX_BYTES || own.len() > MAX_PACKETS {
            return Err(unfit(()));
        }
        next = rest;
    }
    SubmittedCertificate::from_packets(own)
}

fn is_key(packet: &Packet, fingerprint: &Fingerprint) -> bool {
    matches!(packet, Packet::PublicKey(key) if fingerprint_of(&key.fingerprint()) == Some(*fingerprint))
}

fn judge(cert: &Cert, is_meant: impl Fn(&str) -> bool, now: SystemTime) -> Option<SystemTime> {
    let policy = policy_at(now);
    let valid = cert.with_policy(&policy, now).ok()?;
    valid.alive().ok()?;
    if is_revoked(&valid.revocation_status()) {
        return None;
    }
    let bound = valid.userids().filter(|user_id| {
        let text = user_id.userid();
        text.value().len() <= MAX_USER_ID
            && text.email().is_ok_and(|email| email.is_some_and(&is_meant))
            && !is_revoked(&user_id.revocation_status())
    });
    let binding_end =
        bound.map(|u| u.binding_signature().signature_expiration_time().unwrap_or(end())).max()?;
    Some(valid.primary_key().key_expiration_time().map_or(binding_end, |end| end.min(binding_end)))
}

/// Only what the key itself revoked: other people's revocations are unverified words, by which anybody could take
/// anybody's address away.
fn is_revoked(status: &RevocationStatus<'_>) -> bool {
    matches!(status, RevocationStatus::Revoked(_))
}

/// When something ends that has no end.
fn end() -> SystemTime {
    Timestamp::from_unix(u64::MAX).into()
}
