//! Certificates, good ones and bent ones. All are made a day ago.

use std::time::{Duration, SystemTime};

use capauth_protocol::Fingerprint;
use sequoia_openpgp::cert::prelude::*;
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::UserID;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::SignatureType;
use sequoia_openpgp::{Cert, Packet};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn yesterday() -> SystemTime {
    SystemTime::now() - DAY
}

pub(crate) fn builder(user_ids: &[&str]) -> CertBuilder<'static> {
    let builder = CertBuilder::new().set_creation_time(yesterday());
    user_ids.iter().fold(builder, |builder, user_id| builder.add_userid(*user_id))
}

pub(crate) fn key(user_ids: &[&str]) -> Cert {
    builder(user_ids).generate().unwrap().0
}

pub(crate) fn bytes(cert: &Cert) -> Vec<u8> {
    cert.to_vec().unwrap()
}

pub(crate) fn signer(cert: &Cert) -> KeyPair {
    cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap()
}

pub(crate) fn with(cert: &Cert, packets: impl IntoIterator<Item = Packet>) -> Cert {
    cert.clone().insert_packets(packets).unwrap().0
}

/// A signature that binds a User ID, by whoever signs, made an hour ago.
pub(crate) fn binding(user_id: &UserID, cert: &Cert, by: &Cert) -> Packet {
    let builder = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_signature_creation_time(SystemTime::now() - DAY / 24)
        .unwrap();
    user_id.bind(&mut signer(by), cert, builder).unwrap().into()
}

/// The same, saying that the certificate itself made it.
pub(crate) fn forged_binding(user_id: &UserID, cert: &Cert, by: &Cert) -> Packet {
    let builder = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_signature_creation_time(SystemTime::now() - DAY / 24)
        .unwrap()
        .set_issuer_fingerprint(cert.fingerprint())
        .unwrap();
    user_id.bind(&mut signer(by), cert, builder).unwrap().into()
}

pub(crate) fn fingerprint(cert: &Cert) -> Fingerprint {
    cert.fingerprint().to_hex().parse().unwrap()
}
