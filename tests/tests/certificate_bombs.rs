//! Certificates and signatures that cost their reader more than they cost their maker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use capauth_tests::keys::{Back, Draft, new_subkey};
use capauth_tests::login::{World, kind};
use capauth_tests::signer;
use capauth_verifier::{AuthErrorKind as K, EnrollmentMode};
use sequoia_openpgp::Packet;
use sequoia_openpgp::crypto::mpi::{self, MPI};
use sequoia_openpgp::packet::prelude::*;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::types::{HashAlgorithm, KeyFlags, PublicKeyAlgorithm, SignatureType};

/// A number of so many bits, all of them ones.
fn ones(bits: usize) -> MPI {
    MPI::new(&vec![0xff; bits / 8])
}

/// An honest certificate with a subkey of this kind, bound for signing; `back` stands in for the subkey's consent.
fn with_public_subkey(
    algorithm: PublicKeyAlgorithm,
    mpis: mpi::PublicKey,
    back: impl Fn() -> Vec<Signature>,
) -> Draft {
    let draft = Draft::honest();
    let created = draft.primary.creation_time();
    let subkey: Key<key::PublicParts, key::SubordinateRole> =
        Key4::new(created, algorithm, mpis).unwrap().into();
    let mut builder = SignatureBuilder::new(SignatureType::SubkeyBinding)
        .set_hash_algo(HashAlgorithm::SHA512)
        .set_signature_creation_time(created)
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_signing())
        .unwrap();
    for signature in back() {
        builder = builder.set_embedded_signature(signature).unwrap();
    }
    let binding =
        builder.sign_subkey_binding(&mut draft.pair(), draft.primary.parts_as_public(), &subkey).unwrap();
    draft.push(Packet::from(subkey)).push(binding)
}

/// Checking one signature by such a key takes a minute; the login must not even try.
#[tokio::test]
#[allow(deprecated, reason = "DSA is what the attack is made of")]
async fn attack_dsa_subkey_of_65535_bits() {
    let bits = 32_768;
    let mpis = mpi::PublicKey::DSA { p: ones(bits), q: ones(bits), g: ones(bits), y: ones(bits) };
    let draft = with_public_subkey(PublicKeyAlgorithm::DSA, mpis, Vec::new);
    let world = World::new().await;
    world.enrol(&draft, &draft.pair()).await.expect("the subkey is left out, the primary key signs in");
    let stored = world.stored(draft.fingerprint()).await.unwrap();
    assert!(stored.signing_keys.len() < 2_000, "the subkey is not kept: {}", stored.signing_keys.len());
}

#[tokio::test]
async fn attack_rsa_subkey_with_a_huge_exponent() {
    let mpis = mpi::PublicKey::RSA { n: ones(4_096), e: ones(4_096) };
    let draft = with_public_subkey(PublicKeyAlgorithm::RSAEncryptSign, mpis, Vec::new);
    let world = World::new().await;
    world.enrol(&draft, &draft.pair()).await.expect("the subkey is left out, the primary key signs in");
    assert!(world.stored(draft.fingerprint()).await.unwrap().signing_keys.len() < 1_000);
}

/// Each embedded back-signature is checked, so each counts.
#[tokio::test]
async fn attack_seventy_back_signatures_in_one_binding() {
    let subkey = new_subkey();
    let draft = Draft::honest();
    let many = |count: usize| vec![draft.back_signature(&subkey, |b| b); count];
    let world = World::new().await;
    let heavy = draft.clone().subkey(&subkey, |b| b, Back::These(many(70)));
    assert_eq!(kind(world.enrol(&heavy, &draft.pair()).await), K::InvalidPublicKey);
    assert_eq!(world.count().await, 0);
    let light = draft.clone().subkey(&subkey, |b| b, Back::These(many(20)));
    world.enrol(&light, &draft.pair()).await.expect("twenty are within the limit");
}

#[tokio::test]
async fn attack_a_thousand_user_ids() {
    let mut draft = Draft::honest();
    for number in 0..100 {
        draft = draft.push(UserID::from(format!("{number}")));
    }
    let world = World::new().await;
    assert_eq!(kind(world.enrol(&draft, &draft.pair()).await), K::InvalidPublicKey);
    assert_eq!(world.count().await, 0);
}

/// To step over a compressed packet is to unpack it.
#[tokio::test]
async fn attack_compression_bomb_in_a_certificate_and_in_a_detached_signature() {
    let honest = Draft::honest();
    let zeros = signer::deflated([signer::literal(vec![0; 40_000_000])]);
    let world = World::new().await;
    let bomb = honest.clone().push(zeros.clone());
    assert_eq!(kind(world.enrol(&bomb, &honest.pair()).await), K::InvalidPublicKey);

    let outcome = world
        .log_in(honest.fingerprint(), Some(honest.armored()), |text| {
            let good = signer::signature(&honest.pair(), text, |b| b);
            let packets = [Packet::from(good), zeros.clone()];
            capauth_tests::keys::armored(
                sequoia_openpgp::armor::Kind::Signature,
                &capauth_tests::keys::bytes_of(&packets),
            )
        })
        .await;
    assert_eq!(kind(outcome), K::InvalidNonceSignature);
    assert_eq!(world.count().await, 0);
    world.enrol(&honest, &honest.pair()).await.expect("without the bomb");
}

/// Where new keys are not taken, none is judged either.
#[tokio::test]
async fn closed_enrolment_is_said_before_a_certificate_is_judged() {
    let world = World::with(|b| b.enrollment(EnrollmentMode::Closed)).await;
    let unusable = Draft::certifying();
    assert_eq!(kind(world.enrol(&unusable, &unusable.pair()).await), K::EnrollmentClosed);
}

/// A retired key is a revoked key: its thief has a certificate of the days before.
#[tokio::test]
async fn attack_erased_retired_key_comes_back_without_its_revocation() {
    use sequoia_openpgp::types::ReasonForRevocation as R;
    let world = World::new().await;
    let (member, _) = world.member().await;
    let retired = member.clone().revoked(R::KeyRetired, 0);
    assert_eq!(kind(world.enrol(&retired, &member.pair()).await), K::KeyRevoked);
    world.verifier.erase(&member.fingerprint()).await.unwrap();
    assert_eq!(kind(world.enrol(&member, &member.pair()).await), K::Conflict);
    // One that was in order when it was erased may come again.
    let (other, _) = world.member().await;
    world.verifier.erase(&other.fingerprint()).await.unwrap();
    world.enrol(&other, &other.pair()).await.expect("nothing speaks against it");
}

/// A session must not outlive the day on which its key retires.
#[tokio::test]
async fn attack_session_outlives_a_retirement_that_was_announced() {
    use capauth_verifier::{Audience, Verifier as _};
    use sequoia_openpgp::types::ReasonForRevocation as R;
    let world = World::new().await;
    let retiring = Draft::honest().revoked(R::KeyRetired, 600);
    let login = world.enrol(&retiring, &retiring.pair()).await.expect("not yet retired");
    assert_eq!(login.response.expires_in, 600);
    world.advance(599);
    world.verifier.resume(login.who.session()).await.expect("a second before");
    world.advance(2);
    assert_eq!(kind(world.verifier.resume(login.who.session()).await), K::InvalidToken);
    let token = world.verifier.authenticate(&login.response.access_token, Audience::Own).await;
    assert_eq!(kind(token), K::InvalidToken);
}
