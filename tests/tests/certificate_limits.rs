//! How large, how many and of which kind: the limits of certificates, and every algorithm that is let in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use std::time::{Duration, Instant};

use capauth_tests::keys::{self, Back, CREATED, Draft, at, new_subkey};
use capauth_tests::login::{World, kind, words};
use capauth_tests::signer;
use capauth_verifier::AuthErrorKind as K;
use sequoia_openpgp::cert::CipherSuite;
use sequoia_openpgp::crypto::mpi::{self, MPI};
use sequoia_openpgp::packet::prelude::*;
use sequoia_openpgp::types::{PublicKeyAlgorithm, SignatureType};
use sequoia_openpgp::{Packet, Profile};

/// Refused as a public key, with nothing stored; answers the words.
async fn refused(draft: &Draft) -> String {
    let world = World::new().await;
    let outcome = world.enrol(draft, &draft.pair()).await;
    assert_eq!(kind(outcome), K::InvalidPublicKey);
    assert_eq!(world.count().await, 0);
    words(world.enrol(draft, &draft.pair()).await)
}

async fn admitted(draft: &Draft) {
    let world = World::new().await;
    world.enrol(draft, &draft.pair()).await.expect("an honest login");
    assert_eq!(world.count().await, 1);
}

/// Only public packets are there: nobody signs with it, for it must be refused before.
async fn refused_unsigned(key: Key4<key::PublicParts, key::PrimaryRole>) -> String {
    let key = Key::from(key);
    let packets = [Packet::from(key.clone()), UserID::from("Test").into()];
    let text = keys::armored(sequoia_openpgp::armor::Kind::PublicKey, &keys::bytes_of(&packets));
    let world = World::new().await;
    let signer = Draft::honest();
    let fingerprint = keys::fingerprint_of(&key);
    let sign = |text: &str| signer::posing_as(&signer.pair(), key.clone().role_as_unspecified(), text);
    let outcome = world.log_in(fingerprint, Some(text.clone()), sign).await;
    assert_eq!(kind(outcome), K::InvalidPublicKey);
    assert_eq!(world.count().await, 0);
    words(world.log_in(fingerprint, Some(text), sign).await)
}

#[tokio::test]
async fn certificate_of_more_than_64_kib() {
    let words = refused(&Draft::honest().user_id(&"x".repeat(66_000), |b| b)).await;
    assert!(words.contains("64 KiB"), "{words}");
    admitted(&Draft::honest().user_id(&"x".repeat(60_000), |b| b)).await;
}

#[tokio::test]
async fn more_than_16_keys() {
    let mut draft = Draft::honest();
    for _ in 0..15 {
        draft = draft.subkey(&new_subkey(), |b| b, Back::Good);
    }
    admitted(&draft).await;
    refused(&draft.clone().subkey(&new_subkey(), |b| b, Back::Good)).await;
    refused(&draft.unbound(&new_subkey())).await;
}

#[tokio::test]
async fn more_than_64_self_signatures() {
    let mut draft = Draft::honest();
    for number in 1..64 {
        draft = draft.user_id("Test", |b| b.set_signature_creation_time(at(CREATED + number)).unwrap());
    }
    admitted(&draft).await;
    refused(&draft.user_id("Test", |b| b.set_signature_creation_time(at(CREATED + 64)).unwrap())).await;
}

/// Signatures that only claim to be the certificate's own cost as much to check: they count too.
#[tokio::test]
async fn more_than_64_forged_self_signatures() {
    let (stranger, mut draft) = (Draft::honest(), Draft::honest());
    let user_id = UserID::from("Test <test@example.org>");
    let name = draft.primary.fingerprint();
    let forged = |draft: &Draft, number: i64| {
        SignatureBuilder::new(SignatureType::PositiveCertification)
            .set_signature_creation_time(at(CREATED + number))
            .unwrap()
            .set_issuer_fingerprint(name.clone())
            .unwrap()
            .sign_userid_binding(&mut stranger.pair(), draft.primary.parts_as_public(), &user_id)
            .unwrap()
    };
    for number in 1..64 {
        let signature = forged(&draft, number);
        draft = draft.push(signature);
    }
    admitted(&draft).await;
    let signature = forged(&draft, 64);
    refused(&draft.push(signature)).await;
}

/// What key servers carry: certifications by other people. They neither count nor cost.
#[tokio::test]
async fn hundreds_of_third_party_signatures_are_ignored() {
    let (stranger, mut draft) = (Draft::honest(), Draft::honest());
    let user_id = UserID::from("Test <test@example.org>");
    // Small ones, as many as 64 KiB hold: without the notation that Sequoia adds.
    let third_party = SignatureBuilder::new(SignatureType::GenericCertification)
        .set_signature_creation_time(at(CREATED))
        .unwrap()
        .sign_userid_binding(&mut stranger.pair(), draft.primary.parts_as_public(), &user_id)
        .unwrap();
    let size = keys::bytes_of(&[third_party.clone().into()]).len();
    let count = 62_000 / size;
    assert!(count > 250, "{count}");
    draft.packets.extend(std::iter::repeat_n(Packet::from(third_party), count));
    admitted(&draft).await;
}

/// The smallest signature packets there are, thousands of them: whatever the answer is, it comes at once.
#[tokio::test]
async fn thousands_of_tiny_signatures_cost_nothing() {
    let draft = Draft::honest();
    let mut bytes = keys::bytes_of(&draft.packets);
    // Version 4, positive certification, EdDSA, SHA-512, no hashed area, a stranger's key ID, two one-bit numbers.
    let tiny = [4, 0x13, 22, 10, 0, 0, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 1, 0, 1, 1];
    while bytes.len() < 60_000 {
        bytes.extend([0xc2, u8::try_from(tiny.len()).unwrap()]);
        bytes.extend(tiny);
    }
    let text = keys::armored(sequoia_openpgp::armor::Kind::PublicKey, &bytes);
    let world = World::new().await;
    let started = Instant::now();
    let sign = |text: &str| signer::detached(&draft.pair(), text);
    let outcome = world.log_in(draft.fingerprint(), Some(text), sign).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    if let Err(error) = outcome {
        assert_eq!(error.kind(), K::InvalidPublicKey);
        assert_eq!(world.count().await, 0);
    }
    admitted(&draft).await;
}

#[tokio::test]
async fn rsa_of_1024_bits() {
    let weak = Key4::<_, key::UnspecifiedRole>::generate_rsa(1024).unwrap();
    let draft = made_at_creation(weak).user_id("Test", |b| b);
    let words = refused(&draft).await;
    assert!(words.contains("2048"), "{words}");
}

fn made_at_creation(mut key: Key4<key::SecretParts, key::UnspecifiedRole>) -> Draft {
    key.set_creation_time(at(CREATED)).unwrap();
    Draft::of(key)
}

#[tokio::test]
async fn rsa_above_4096_bits_is_refused_in_words_and_before_any_arithmetic() {
    for bytes in [768, 1024, 2048] {
        let modulus = vec![0xff; bytes];
        let key = Key4::import_public_rsa(&[1, 0, 1], &modulus, at(CREATED)).unwrap();
        let words = refused_unsigned(key).await;
        assert!(words.contains("4096"), "{words}");
    }
    // As a subkey it is passed over.
    let key = Key4::<key::PublicParts, key::SubordinateRole>::import_public_rsa(
        &[1, 0, 1],
        &[0xff; 2048],
        at(CREATED),
    );
    admitted(&Draft::honest().push(Packet::PublicSubkey(Key::from(key.unwrap())))).await;
}

#[tokio::test]
#[allow(deprecated, reason = "DSA is named to be refused")]
async fn dsa_keys_are_refused_in_words() {
    let number = |bytes: usize| MPI::new(&vec![0xa5; bytes]);
    let mpis = mpi::PublicKey::DSA { p: number(256), q: number(32), g: number(256), y: number(256) };
    let key = Key4::new(at(CREATED), PublicKeyAlgorithm::DSA, mpis).unwrap();
    let words = refused_unsigned(key).await;
    assert!(words.contains("DSA"), "{words}");
}

/// A subkey of an algorithm nobody implements does not spoil the others.
#[tokio::test]
async fn unknown_algorithms() {
    let mpis = || mpi::PublicKey::Unknown { mpis: Box::new([]), rest: vec![1; 32].into() };
    let key = Key4::new(at(CREATED), PublicKeyAlgorithm::Private(100), mpis()).unwrap();
    refused_unsigned(key).await;
    let subkey: Key4<_, key::SubordinateRole> =
        Key4::new(at(CREATED), PublicKeyAlgorithm::Private(100), mpis()).unwrap();
    admitted(&Draft::honest().push(Packet::PublicSubkey(Key::from(subkey)))).await;
}

/// Enrols and comes back, with every form of signature: detached binary and text, inline, cleartext.
async fn lives_with(suite: CipherSuite, profile: Profile) {
    let cert = keys::general_purpose(suite, profile);
    let pair = keys::signing_pair(&cert);
    let fingerprint = keys::fingerprint_of_cert(&cert);
    let world = World::new().await;
    let certificate = Some(keys::armored_cert(&cert));
    let login = world.log_in(fingerprint, certificate.clone(), |t| signer::detached(&pair, t)).await;
    assert!(login.expect("it enrols").response.is_new_enrollment);
    let forms: [fn(&sequoia_openpgp::crypto::KeyPair, &str) -> String; 3] =
        [signer::detached_text, signer::inline_compressed, signer::cleartext];
    for form in forms {
        let login = world.log_in(fingerprint, None, |t| form(&pair, t)).await.expect("it comes back");
        assert!(!login.response.is_new_enrollment);
        assert_eq!(login.who.fingerprint(), fingerprint);
    }
    let forged = world.log_in(fingerprint, certificate, |t| signer::detached(&pair, &format!("{t} "))).await;
    assert_eq!(kind(forged), K::InvalidNonceSignature);
}

macro_rules! suites {
    ($($name:ident: $suite:ident, $profile:ident;)*) => {
        $(#[tokio::test]
        async fn $name() {
            lives_with(CipherSuite::$suite, Profile::$profile).await;
        })*
    };
}

suites! {
    version_4_ed25519: Cv25519, RFC4880;
    version_4_rsa_2048: RSA2k, RFC4880;
    version_4_rsa_3072: RSA3k, RFC4880;
    version_4_nist_p256: P256, RFC4880;
    version_4_nist_p384: P384, RFC4880;
    version_4_nist_p521: P521, RFC4880;
    version_6_ed25519: Cv25519, RFC9580;
    version_6_ed448: Cv448, RFC9580;
    version_6_nist_p256: P256, RFC9580;
    version_6_ml_dsa_65_with_ed25519: MLDSA65_Ed25519, RFC9580;
    version_6_ml_dsa_87_with_ed448: MLDSA87_Ed448, RFC9580;
}

#[tokio::test]
async fn version_6_without_user_ids() {
    let draft = Draft::of(keys::ed25519_v6(CREATED)).direct_key(|b| b);
    admitted(&draft).await;
    refused(&Draft::of(keys::ed25519_v6(CREATED))).await;
}

/// Text in the armour's own words: a comment header is no content.
#[tokio::test]
async fn armour_with_headers() {
    let draft = Draft::honest();
    let header = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n";
    let text = draft.armored().replacen(header, &format!("{header}Comment: mine\nVersion: 1\n"), 1);
    let world = World::new().await;
    let login = world.log_in(draft.fingerprint(), Some(text), |t| signer::detached(&draft.pair(), t)).await;
    login.expect("older programs write such headers");
}
