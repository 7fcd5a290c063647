//! Certificates, honest and crafted, made packet by packet.
//!
//! The tests' clock stands at [`now`]; keys are a bit more than a year old unless a test says otherwise.

#![allow(missing_docs, reason = "names say it; what they do not say is written")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capauth_protocol::Fingerprint;
use sequoia_openpgp::armor;
use sequoia_openpgp::cert::{CertBuilder, CipherSuite};
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::prelude::*;
use sequoia_openpgp::packet::signature::subpacket;
use sequoia_openpgp::serialize::{Serialize as _, SerializeInto as _};
use sequoia_openpgp::types::{Curve, HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType};
use sequoia_openpgp::{Cert, Packet, Profile};

/// 2026-06-01T12:00:00Z.
pub const NOW: u64 = 1_780_315_200;
pub const MINUTE: i64 = 60;
pub const DAY: i64 = 86_400;
/// When keys are made, seen from [`NOW`].
pub const CREATED: i64 = -400 * DAY;

pub type Primary = Key<key::SecretParts, key::PrimaryRole>;
pub type Subkey = Key<key::SecretParts, key::SubordinateRole>;

/// When the tests take place.
pub fn now() -> SystemTime {
    at(0)
}

/// So many seconds after [`NOW`], or before it.
pub fn at(offset: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.checked_add_signed(offset).unwrap())
}

/// Our fingerprint of any key.
pub fn fingerprint_of<P: key::KeyParts, R: key::KeyRole>(key: &Key<P, R>) -> Fingerprint {
    Fingerprint::from_bytes(key.fingerprint().as_bytes()).unwrap()
}

pub fn armored(kind: armor::Kind, bytes: &[u8]) -> String {
    use std::io::Write as _;
    let mut writer = armor::Writer::new(Vec::new(), kind).unwrap();
    writer.write_all(bytes).unwrap();
    String::from_utf8(writer.finalize().unwrap()).unwrap()
}

pub fn bytes_of(packets: &[Packet]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        packet.serialize(&mut bytes).unwrap();
    }
    bytes
}

/// An Ed25519 key of version 4, made at `offset`.
pub fn ed25519(offset: i64) -> Key4<key::SecretParts, key::UnspecifiedRole> {
    let mut key = Key4::<_, key::UnspecifiedRole>::generate_ecc(true, Curve::Ed25519).unwrap();
    key.set_creation_time(at(offset)).unwrap();
    key
}

/// An Ed25519 key of version 6, made at `offset`.
pub fn ed25519_v6(offset: i64) -> Key6<key::SecretParts, key::UnspecifiedRole> {
    let mut key = Key6::<_, key::UnspecifiedRole>::generate_ed25519().unwrap();
    key.set_creation_time(at(offset)).unwrap();
    key
}

/// A fresh signing key for use as a subkey.
pub fn new_subkey() -> Subkey {
    Key::from(ed25519(CREATED)).role_into_subordinate()
}

pub fn pair_of<R: key::KeyRole>(key: &Key<key::SecretParts, R>) -> KeyPair {
    key.clone().role_into_unspecified().into_keypair().unwrap()
}

pub fn certify_and_sign() -> KeyFlags {
    KeyFlags::empty().set_certification().set_signing()
}

/// How a subkey's binding vouches for the subkey's own consent.
#[derive(Debug)]
pub enum Back {
    /// A proper back-signature.
    Good,
    /// None at all.
    Missing,
    /// These, in this order: made with [`Draft::back_signature`] or forged.
    These(Vec<Signature>),
}

/// A certificate in the making. Every step appends packets; nothing is checked.
#[derive(Debug, Clone)]
pub struct Draft {
    pub primary: Primary,
    pub packets: Vec<Packet>,
    created: SystemTime,
}

impl Draft {
    /// Only a primary key.
    pub fn of(key: impl Into<Key<key::SecretParts, key::UnspecifiedRole>>) -> Self {
        let primary = key.into().role_into_primary();
        let packets = vec![Packet::from(primary.clone().parts_into_public())];
        Self { created: primary.creation_time(), primary, packets }
    }

    /// A complete honest certificate: Ed25519, version 4, a User ID, the primary key signs.
    pub fn honest() -> Self {
        Self::bare().user_id("Test <test@example.org>", |b| b)
    }

    /// An Ed25519 primary key of version 4 that nothing binds yet.
    pub fn bare() -> Self {
        Self::of(ed25519(CREATED))
    }

    /// A primary key that only certifies, and a signing subkey.
    pub fn with_subkey() -> (Self, Subkey) {
        let subkey = new_subkey();
        let draft = Self::certifying().subkey(&subkey, |b| b, Back::Good);
        (draft, subkey)
    }

    /// An honest certificate whose primary key only certifies: nothing in it signs yet.
    pub fn certifying() -> Self {
        Self::bare().user_id("Test <test@example.org>", |b| {
            b.set_key_flags(KeyFlags::empty().set_certification()).unwrap()
        })
    }

    fn template(&self, typ: SignatureType) -> SignatureBuilder {
        SignatureBuilder::new(typ)
            .set_hash_algo(HashAlgorithm::SHA512)
            .set_signature_creation_time(self.created)
            .unwrap()
    }

    /// Binds a User ID; the signature lets the primary key certify and sign unless `change` says otherwise.
    pub fn user_id(mut self, name: &str, change: impl FnOnce(SignatureBuilder) -> SignatureBuilder) -> Self {
        let user_id = UserID::from(name);
        let signature = self.user_id_binding(&user_id, change);
        self.packets.extend([Packet::from(user_id), Packet::from(signature)]);
        self
    }

    pub fn user_id_binding(
        &self,
        user_id: &UserID,
        change: impl FnOnce(SignatureBuilder) -> SignatureBuilder,
    ) -> Signature {
        let builder = self.template(SignatureType::PositiveCertification);
        let builder = change(builder.set_key_flags(certify_and_sign()).unwrap());
        builder.sign_userid_binding(&mut self.pair(), self.primary.parts_as_public(), user_id).unwrap()
    }

    /// Adds a direct-key signature that lets the primary key certify and sign unless `change` says otherwise.
    pub fn direct_key(mut self, change: impl FnOnce(SignatureBuilder) -> SignatureBuilder) -> Self {
        let builder = self.template(SignatureType::DirectKey);
        let builder = change(builder.set_key_flags(certify_and_sign()).unwrap());
        let signature = builder.sign_direct_key(&mut self.pair(), self.primary.parts_as_public()).unwrap();
        // Direct-key signatures and revocations stand before everything else.
        self.packets.insert(1, signature.into());
        self
    }

    /// Binds a subkey for signing unless `change` says otherwise.
    pub fn subkey(
        mut self,
        subkey: &Subkey,
        change: impl FnOnce(SignatureBuilder) -> SignatureBuilder,
        back: Back,
    ) -> Self {
        let signature = self.subkey_binding(subkey, change, back);
        self.packets.extend([Packet::from(subkey.clone().parts_into_public()), Packet::from(signature)]);
        self
    }

    pub fn subkey_binding(
        &self,
        subkey: &Subkey,
        change: impl FnOnce(SignatureBuilder) -> SignatureBuilder,
        back: Back,
    ) -> Signature {
        let builder = self.template(SignatureType::SubkeyBinding);
        let mut builder = change(builder.set_key_flags(KeyFlags::empty().set_signing()).unwrap());
        let back = match back {
            Back::Good => vec![self.back_signature(subkey, |b| b)],
            Back::Missing => Vec::new(),
            Back::These(signatures) => signatures,
        };
        for signature in back {
            builder = builder
                .modify_hashed_area(|mut area| {
                    let value = subpacket::SubpacketValue::EmbeddedSignature(signature);
                    area.add(subpacket::Subpacket::new(value, true)?)?;
                    Ok(area)
                })
                .unwrap();
        }
        builder
            .sign_subkey_binding(&mut self.pair(), self.primary.parts_as_public(), subkey.parts_as_public())
            .unwrap()
    }

    /// The subkey's consent to belong to this primary key.
    pub fn back_signature(
        &self,
        subkey: &Subkey,
        change: impl FnOnce(SignatureBuilder) -> SignatureBuilder,
    ) -> Signature {
        let builder = change(self.template(SignatureType::PrimaryKeyBinding));
        builder.sign_primary_key_binding(&mut pair_of(subkey), &self.primary, subkey).unwrap()
    }

    /// Appends a subkey that nothing binds.
    pub fn unbound(mut self, subkey: &Subkey) -> Self {
        self.packets.push(subkey.clone().parts_into_public().into());
        self
    }

    /// The primary key's revocation of itself.
    pub fn revocation(&self, reason: ReasonForRevocation, offset: i64) -> Signature {
        self.revocation_with(reason, offset, |b| b)
    }

    pub fn revocation_with(
        &self,
        reason: ReasonForRevocation,
        offset: i64,
        change: impl FnOnce(SignatureBuilder) -> SignatureBuilder,
    ) -> Signature {
        let builder = self.template(SignatureType::KeyRevocation);
        let builder = builder.set_signature_creation_time(at(offset)).unwrap();
        let builder = change(builder.set_reason_for_revocation(reason, b"").unwrap());
        builder.sign_direct_key(&mut self.pair(), self.primary.parts_as_public()).unwrap()
    }

    /// The same certificate with a revocation of the primary key in it.
    pub fn revoked(mut self, reason: ReasonForRevocation, offset: i64) -> Self {
        let signature = self.revocation(reason, offset);
        self.packets.insert(1, signature.into());
        self
    }

    /// The same certificate; the subkey that stands in it last is revoked.
    pub fn subkey_revoked(mut self, subkey: &Subkey, reason: ReasonForRevocation, offset: i64) -> Self {
        let builder = self.template(SignatureType::SubkeyRevocation);
        let builder = builder.set_signature_creation_time(at(offset)).unwrap();
        let builder = builder.set_reason_for_revocation(reason, b"").unwrap();
        let signature = builder
            .sign_subkey_binding(&mut self.pair(), self.primary.parts_as_public(), subkey.parts_as_public())
            .unwrap();
        self.packets.push(signature.into());
        self
    }

    pub fn push(mut self, packet: impl Into<Packet>) -> Self {
        self.packets.push(packet.into());
        self
    }

    /// The primary key, ready to sign.
    pub fn pair(&self) -> KeyPair {
        pair_of(&self.primary)
    }

    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.primary)
    }

    /// The packets so far as `gpg --armor --export` would print them.
    pub fn armored(&self) -> String {
        armored(armor::Kind::PublicKey, &bytes_of(&self.packets))
    }

    /// The same with the secret half of the primary key in place of the public one.
    pub fn secret_packets(&self) -> Vec<Packet> {
        let mut packets = self.packets.clone();
        packets[0] = self.primary.clone().into();
        packets
    }
}

/// An armored secret key, for servers.
pub fn armored_secret(draft: &Draft) -> String {
    armored(armor::Kind::SecretKey, &bytes_of(&draft.secret_packets()))
}

/// A whole certificate by Sequoia's own builder: the primary key certifies, a subkey signs, another encrypts.
pub fn general_purpose(suite: CipherSuite, profile: Profile) -> Cert {
    let builder = CertBuilder::general_purpose(Some("Test <test@example.org>"));
    let builder =
        builder.set_profile(profile).unwrap().set_cipher_suite(suite).set_creation_time(at(CREATED));
    builder.generate().unwrap().0
}

/// A certificate's public half, armored.
pub fn armored_cert(cert: &Cert) -> String {
    String::from_utf8(cert.clone().strip_secret_key_material().armored().to_vec().unwrap()).unwrap()
}

pub fn fingerprint_of_cert(cert: &Cert) -> Fingerprint {
    fingerprint_of(cert.primary_key().key())
}

/// The first subkey of a [`general_purpose`] certificate that signs.
pub fn signing_pair(cert: &Cert) -> KeyPair {
    let policy = sequoia_openpgp::policy::StandardPolicy::at(now());
    let mut keys = cert.keys().with_policy(&policy, now()).for_signing().secret();
    keys.next().expect("a signing key").key().clone().into_keypair().unwrap()
}
