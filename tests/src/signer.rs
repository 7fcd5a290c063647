//! Signatures over known bytes, in every form a client sends and in many that none would.

#![allow(missing_docs, reason = "names say it; what they do not say is written")]

use std::time::UNIX_EPOCH;

use sequoia_openpgp::Packet;
use sequoia_openpgp::armor::Kind;
use sequoia_openpgp::crypto::{KeyPair, Signer as _};
use sequoia_openpgp::packet::Body;
use sequoia_openpgp::packet::prelude::*;
use sequoia_openpgp::packet::signature::subpacket::{self, SubpacketTag};
use sequoia_openpgp::serialize::Marshal as _;
use sequoia_openpgp::types::{CompressionAlgorithm, DataFormat, HashAlgorithm, SignatureType};

use crate::keys::{armored, bytes_of, now};

/// A binary signature over `text`, made now, with whatever `change` asks for.
///
/// The type that `change` leaves decides the bytes: a text signature covers CRLF line ends, every other type `text`
/// as it is, whether or not that type is for documents at all.
pub fn signature(
    pair: &KeyPair,
    text: &str,
    change: impl FnOnce(SignatureBuilder) -> SignatureBuilder,
) -> Signature {
    let builder = SignatureBuilder::new(SignatureType::Binary)
        .set_hash_algo(HashAlgorithm::SHA512)
        .set_signature_creation_time(now())
        .unwrap();
    let mut builder = change(builder);
    let mut hash = builder.hash_algo().context().unwrap().for_signature(if is_v6(pair) { 6 } else { 4 });
    if is_v6(pair) {
        let salt = vec![7; builder.hash_algo().salt_size().unwrap()];
        hash.update(&salt);
        builder = builder.set_prefix_salt(salt).0;
    }
    match builder.typ() {
        SignatureType::Text => hash.update(text.replace('\n', "\r\n").as_bytes()),
        _ => hash.update(text.as_bytes()),
    }
    builder.sign_hash(&mut pair.clone(), hash).unwrap()
}

fn is_v6(pair: &KeyPair) -> bool {
    pair.public().version() == 6
}

/// As `gpg --detach-sign --armor`.
pub fn detached(pair: &KeyPair, text: &str) -> String {
    detached_with(pair, text, |b| b)
}

pub fn detached_with(
    pair: &KeyPair,
    text: &str,
    change: impl FnOnce(SignatureBuilder) -> SignatureBuilder,
) -> String {
    armor_signatures([signature(pair, text, change)])
}

/// As OpenPGP.js: a text signature.
pub fn detached_text(pair: &KeyPair, text: &str) -> String {
    detached_with(pair, text, |b| b.set_type(SignatureType::Text))
}

pub fn armor_signatures(signatures: impl IntoIterator<Item = Signature>) -> String {
    let packets: Vec<Packet> = signatures.into_iter().map(Packet::from).collect();
    armored(Kind::Signature, &bytes_of(&packets))
}

pub fn armor_message(packets: &[Packet]) -> String {
    armored(Kind::Message, &bytes_of(packets))
}

/// A literal data packet.
pub fn literal(content: impl AsRef<[u8]>) -> Packet {
    let mut literal = Literal::new(DataFormat::Binary);
    literal.set_body(content.as_ref().to_vec());
    literal.into()
}

/// The one-pass packet that announces a signature.
pub fn one_pass(signature: &Signature, last: bool) -> Packet {
    let mut packet = OnePassSig::try_from(signature).unwrap();
    match &mut packet {
        OnePassSig::V3(packet) => {
            packet.set_last(last);
        }
        OnePassSig::V6(packet) => {
            packet.set_last(last);
        }
        _ => panic!("an unknown version"),
    }
    packet.into()
}

/// `one-pass, literal, signature` over a text.
pub fn inline_packets(pair: &KeyPair, text: &str) -> Vec<Packet> {
    inline_packets_of(signature(pair, text, |b| b), text)
}

pub fn inline_packets_of(signature: Signature, content: impl AsRef<[u8]>) -> Vec<Packet> {
    vec![one_pass(&signature, true), literal(content), signature.into()]
}

/// An uncompressed inline-signed message.
pub fn inline(pair: &KeyPair, text: &str) -> String {
    armor_message(&inline_packets(pair, text))
}

/// As the Python client: everything in one deflated packet.
pub fn inline_compressed(pair: &KeyPair, text: &str) -> String {
    armor_message(&[deflated(inline_packets(pair, text))])
}

/// The signature before the content, as before one-pass packets.
pub fn inline_old_style(pair: &KeyPair, text: &str) -> String {
    armor_message(&[signature(pair, text, |b| b).into(), literal(text)])
}

pub fn deflated(packets: impl IntoIterator<Item = Packet>) -> Packet {
    let mut container = CompressedData::new(CompressionAlgorithm::Zip);
    container.set_body(Body::Structured(packets.into_iter().collect()));
    container.into()
}

/// As `gpg --clearsign`, for content that is written as given.
pub fn cleartext(pair: &KeyPair, text: &str) -> String {
    cleartext_of(signature(pair, text, |b| b.set_type(SignatureType::Text)), text)
}

/// A cleartext message of any signature and any content: lines that start with a dash are escaped.
pub fn cleartext_of(signature: Signature, content: &str) -> String {
    let escape = |line: &str| if line.starts_with('-') { format!("- {line}") } else { line.to_owned() };
    let body: Vec<String> = content.split('\n').map(escape).collect();
    cleartext_raw(&[signature], &body.join("\n"))
}

/// A cleartext message whose body stands there as it is.
pub fn cleartext_raw(signatures: &[Signature], body: &str) -> String {
    let armor = armor_signatures(signatures.iter().cloned());
    format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{body}\n{armor}")
}

/// Takes everything out of a signature's unhashed area, where this module's signers may have put the issuer.
pub fn without_unhashed(mut signature: Signature) -> Signature {
    signature.unhashed_area_mut().clear();
    signature
}

/// A signature that names nobody: signers insist on an issuer, so it is put where it can be taken out again.
pub fn anonymous(pair: &KeyPair, text: &str) -> Signature {
    let signed = signature(pair, text, |b| {
        b.modify_unhashed_area(|mut area| {
            area.add(issuer_fingerprint(pair))?;
            Ok(area)
        })
        .unwrap()
    });
    let signed = without_unhashed(signed);
    assert!(signed.get_issuers().is_empty());
    signed
}

fn issuer_fingerprint(pair: &KeyPair) -> subpacket::Subpacket {
    let value = subpacket::SubpacketValue::IssuerFingerprint(pair.public().fingerprint());
    subpacket::Subpacket::new(value, false).unwrap()
}

/// A signature by `pair` that names another key as its issuer.
pub fn posing_as(pair: &KeyPair, issuer: &Key<key::PublicParts, key::UnspecifiedRole>, text: &str) -> String {
    detached_with(pair, text, |b| {
        let b = b.set_issuer_fingerprint(issuer.fingerprint()).unwrap();
        if issuer.version() == 6 { b } else { b.set_issuer(issuer.keyid()).unwrap() }
    })
}

/// A signature that names its key by the key ID alone.
pub fn by_key_id_only(pair: &KeyPair, text: &str) -> String {
    let signed = signature(pair, text, |b| b.set_issuer(pair.public().keyid()).unwrap());
    assert!(signed.issuer_fingerprints().next().is_none());
    assert!(signed.subpacket(SubpacketTag::Issuer).is_some());
    armor_signatures([signed])
}

/// A signature packet written byte by byte, for what no builder makes.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Version of the packet: 3, 4 or 6.
    pub version: u8,
    pub typ: SignatureType,
    pub hash: HashAlgorithm,
    /// Only in version 6.
    pub salt: Vec<u8>,
    /// Hashed subpackets that follow the creation time.
    pub hashed: Vec<u8>,
}

impl Raw {
    /// A binary SHA-512 signature of this version.
    pub fn version(version: u8) -> Self {
        let salt = if version == 6 { vec![9; 32] } else { Vec::new() };
        Self { version, typ: SignatureType::Binary, hash: HashAlgorithm::SHA512, salt, hashed: Vec::new() }
    }

    /// Signs `text` now; the issuer is named as that version of signature names it.
    pub fn sign(&self, pair: &KeyPair, text: &str) -> String {
        let body = match self.version {
            3 => self.version_3(pair, text),
            _ => self.later_version(pair, text),
        };
        let mut packet = vec![0xc2, 0xff];
        packet.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        packet.extend(body);
        armored(Kind::Signature, &packet)
    }

    fn version_3(&self, pair: &KeyPair, text: &str) -> Vec<u8> {
        let mut hashed = vec![self.typ.into()];
        hashed.extend(seconds().to_be_bytes());
        let (digest, mpis) = self.seal(pair, text, &hashed);
        let mut body = vec![3, 5];
        body.extend(&hashed);
        body.extend(pair.public().keyid().as_bytes());
        body.extend([u8::from(pair.public().pk_algo()), u8::from(self.hash)]);
        body.extend(&digest[..2]);
        body.extend(mpis);
        body
    }

    fn later_version(&self, pair: &KeyPair, text: &str) -> Vec<u8> {
        let length = |bytes: &[u8]| match self.version {
            4 => u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec(),
            _ => u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec(),
        };
        let key = pair.public();
        let mut area = vec![5, 2];
        area.extend(seconds().to_be_bytes());
        let fingerprint = key.fingerprint();
        area.extend([u8::try_from(fingerprint.as_bytes().len() + 2).unwrap(), 33, key.version()]);
        area.extend(fingerprint.as_bytes());
        area.extend(&self.hashed);
        let mut start = vec![self.version, self.typ.into(), key.pk_algo().into(), self.hash.into()];
        start.extend(length(&area));
        start.extend(area);
        let mut trailer = start.clone();
        trailer.extend([self.version, 0xff]);
        trailer.extend(u32::try_from(start.len()).unwrap().to_be_bytes());
        let (digest, mpis) = self.seal(pair, text, &trailer);
        start.extend(length(&[]));
        start.extend(&digest[..2]);
        if self.version == 6 {
            start.push(u8::try_from(self.salt.len()).unwrap());
            start.extend(&self.salt);
        }
        start.extend(mpis);
        start
    }

    fn seal(&self, pair: &KeyPair, text: &str, trailer: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut context = self.hash.context().unwrap().for_digest();
        context.update(&self.salt);
        context.update(text.as_bytes());
        context.update(trailer);
        let digest = context.into_digest().unwrap();
        let mut mpis = Vec::new();
        pair.clone().sign(self.hash, &digest).unwrap().serialize(&mut mpis).unwrap();
        (digest, mpis)
    }
}

fn seconds() -> u32 {
    u32::try_from(now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
