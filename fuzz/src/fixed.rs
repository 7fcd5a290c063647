//! What stays the same in every run: the time, a key, what it signed, secrets.
//!
//! `cargo run -p capauth-fuzz --example seeds` makes the files of `fixed/` and the first inputs of the corpora anew. The
//! secret half of the key is thrown away there: no input that anybody finds can be signed with it.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capauth_protocol::Fingerprint;
use capauth_protocol::payload::NoncePayload;
use capauth_verifier::openpgp::SigningKeys;
use capauth_verifier::{MasterKey, Timestamp, fuzzing};
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::{Packet, PacketPile};

use crate::folder;

/// 2026-06-01T12:00:00Z: now, for every target.
pub const NOW: u64 = 1_780_315_200;
/// The issuer of tokens and cookies.
pub const ISSUER: &str = "https://auth.example.com";
/// The service they are for.
pub const SERVICE: &str = "app.example.com";
/// The address in the certificate's one User ID.
pub const ADDRESS: &str = "ada@example.org";
/// An address that nobody ever certified.
pub const OTHER_ADDRESS: &str = "eve@example.org";

/// The file with the certificate of the one key that anything was signed with.
pub const CERTIFICATE: &str = "certificate.asc";
/// The file with every signature that the key made over [`text`], packet after packet.
pub const SIGNATURES: &str = "signatures.pgp";

/// Where a file of `fixed/` is. Read when it is needed: the program that makes them stands on this library.
pub fn path(name: &str) -> PathBuf {
    folder().join("fixed").join(name)
}

fn file(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Now.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// Now, in seconds.
pub fn timestamp() -> Timestamp {
    Timestamp::from_unix(NOW)
}

/// What was signed.
pub fn text() -> String {
    payload(SERVICE).to_text()
}

/// What was never signed: it differs in the service alone.
pub fn other_text() -> String {
    payload("evil.example.com").to_text()
}

fn payload(service: &str) -> NoncePayload<'_> {
    NoncePayload {
        nonce: "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90",
        client_nonce: "dGhpcyBpcyBhIHRlc3Q=",
        timestamp: "2026-06-01T12:00:00Z",
        service,
        expires: "2026-06-01T12:01:00Z",
        origin: Some("https://app.example.com"),
    }
}

/// The key's fingerprint.
pub fn fingerprint() -> Fingerprint {
    KEYS.0
}

/// What is known of the key.
pub fn keys() -> &'static SigningKeys {
    &KEYS.1
}

static KEYS: LazyLock<(Fingerprint, SigningKeys)> = LazyLock::new(|| {
    let armored = String::from_utf8(file(CERTIFICATE)).expect("armour is text");
    fuzzing::certificate(&armored, now()).expect("the fixed certificate is good")
});

/// The signatures that the key made.
pub fn signatures() -> &'static [Signature] {
    static READ: LazyLock<Vec<Signature>> = LazyLock::new(|| {
        let pile = PacketPile::from_bytes(&file(SIGNATURES)).expect("the fixed signatures are packets");
        let signature = |packet: Packet| match packet {
            Packet::Signature(signature) => signature,
            other => panic!("not a signature: {other:?}"),
        };
        pile.into_children().map(signature).collect()
    });
    &READ
}

/// The secret under which cookies are sealed.
pub fn master_key() -> MasterKey {
    MasterKey::parse(&"07".repeat(32)).expect("thirty-two bytes")
}
