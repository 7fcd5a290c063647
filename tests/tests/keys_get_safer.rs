//! What is stored of a certificate only gets safer: no copy of it, however old or stripped, gives anything back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use std::time::Duration;

use capauth_tests::keys::{Back, CREATED, DAY, Draft, MINUTE, at, new_subkey, pair_of};
use capauth_tests::login::{SERVICE, World, kind, response};
use capauth_tests::signer;
use capauth_verifier::{Audience, AuthError, AuthErrorKind as K, Login, Verifier as _};
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::types::{HashAlgorithm, ReasonForRevocation as R, RevocationKey, SignatureType};

/// A login so many seconds after the tests' beginning, to which the clock must have been moved.
async fn attempt(
    world: &World,
    draft: &Draft,
    pair: &KeyPair,
    sent: Option<&Draft>,
    offset: i64,
) -> Result<Login, AuthError> {
    let sign = |text: &str| {
        signer::detached_with(pair, text, |b| b.set_signature_creation_time(at(offset)).unwrap())
    };
    world.log_in(draft.fingerprint(), sent.map(Draft::armored), sign).await
}

/// Sends a certificate with a signature that proves nothing.
async fn send_without_proof(world: &World, sent: &Draft) -> K {
    let stranger = Draft::honest();
    kind(
        world
            .log_in(sent.fingerprint(), Some(sent.armored()), |t| signer::detached(&stranger.pair(), t))
            .await,
    )
}

async fn alive(world: &World, login: &Login) -> bool {
    let token = world.verifier.authenticate(&login.response.access_token, Audience::Own).await;
    assert_eq!(token.is_ok(), world.verifier.resume(login.who.session()).await.is_ok());
    token.is_ok()
}

fn made(offset: i64) -> impl FnOnce(SignatureBuilder) -> SignatureBuilder {
    move |b| b.set_signature_creation_time(at(offset)).unwrap()
}

/// A User ID's binding made at `offset`, with which the key expires at `expires` (both seen from now).
fn expiring(offset: i64, expires: i64) -> impl FnOnce(SignatureBuilder) -> SignatureBuilder {
    let lifetime = Duration::from_secs((expires - CREATED).unsigned_abs());
    move |b| made(offset)(b).set_key_validity_period(lifetime).unwrap()
}

#[tokio::test]
async fn key_revoked_by_its_owner_then_presented_without_its_revocation() {
    for reason in [R::KeyCompromised, R::KeyRetired] {
        let world = World::new().await;
        let (member, login) = world.member().await;
        let revoked = member.clone().revoked(reason, -MINUTE);
        assert_eq!(kind(world.enrol(&revoked, &member.pair()).await), K::KeyRevoked);
        assert!(!alive(&world, &login).await);
        // The old copy, no copy, a copy with more on it, and any node.
        let more = member.clone().user_id("Another", |b| b);
        let node = world.beside(SERVICE, |b| b).await;
        for world in [&world, &node] {
            for sent in [Some(&member), None, Some(&more)] {
                assert_eq!(kind(attempt(world, &member, &member.pair(), sent, 0).await), K::KeyRevoked);
            }
        }
        World::new()
            .await
            .enrol(&member, &member.pair())
            .await
            .expect("where nobody knows of it, nobody can tell");
    }
}

#[tokio::test]
async fn revocation_sent_without_proof_ends_access_at_once() {
    for reason in [R::KeyCompromised, R::Unspecified, R::KeyRetired, R::KeySuperseded] {
        let world = World::new().await;
        let (member, login) = world.member().await;
        assert!(alive(&world, &login).await);
        let revoked = member.clone().revoked(reason, -MINUTE);
        assert_eq!(send_without_proof(&world, &revoked).await, K::InvalidNonceSignature, "{reason:?}");
        assert!(!alive(&world, &login).await, "{reason:?}");
        assert_eq!(kind(attempt(&world, &member, &member.pair(), None, 0).await), K::KeyRevoked);
    }
}

#[tokio::test]
async fn revocation_sent_with_a_bad_nonce_ends_access_on_every_node() {
    let world = World::new().await;
    let node = world.beside(SERVICE, |b| b).await;
    let (member, login) = world.member().await;
    let (other, others) = world.member().await;
    assert!(alive(&node, &login).await && alive(&node, &others).await);
    let mut challenge = world.challenge(member.fingerprint()).await;
    challenge.nonce = capauth_protocol::Nonce::from_random_bytes([3; 16]).to_string();
    let revoked = member.clone().revoked(R::KeyCompromised, -MINUTE);
    let answer = response(member.fingerprint(), &challenge, "nonsense".into(), Some(revoked.armored()));
    assert_eq!(kind(world.answer(&answer).await), K::InvalidNonce);
    assert!(!alive(&world, &login).await);
    world.advance(1);
    assert!(!alive(&node, &login).await, "within a second everywhere");
    assert!(world.stored(member.fingerprint()).await.unwrap().revoked.is_some());
    assert!(alive(&node, &others).await);
    attempt(&node, &other, &other.pair(), None, 1).await.expect("somebody else");
}

#[tokio::test]
async fn bare_revoked_certificate() {
    let world = World::new().await;
    let (member, login) = world.member().await;
    // What `gpg --gen-revoke` and key servers give: the primary key and its revocation, nothing else.
    let mut bare = member.clone();
    bare.packets.truncate(1);
    let bare = bare.revoked(R::KeyCompromised, -MINUTE);
    assert_eq!(bare.packets.len(), 2);
    assert_eq!(send_without_proof(&world, &bare).await, K::InvalidNonceSignature);
    assert!(!alive(&world, &login).await);
    assert_eq!(kind(attempt(&world, &member, &member.pair(), Some(&member), 0).await), K::KeyRevoked);
    // Of a key that is not known nothing is kept.
    let stranger = Draft::bare().revoked(R::KeyCompromised, -MINUTE);
    send_without_proof(&world, &stranger).await;
    assert!(world.stored(stranger.fingerprint()).await.is_none());
}

#[tokio::test]
async fn revocation_made_with_a_weak_hash_counts() {
    for hash in [HashAlgorithm::SHA1, HashAlgorithm::SHA256] {
        let world = World::new().await;
        let (member, login) = world.member().await;
        let mut sent = member.clone();
        let revocation = member.revocation_with(R::KeyCompromised, -MINUTE, |b| b.set_hash_algo(hash));
        sent.packets.insert(1, revocation.into());
        send_without_proof(&world, &sent).await;
        assert!(!alive(&world, &login).await, "{hash}");
    }
}

#[tokio::test]
async fn forged_third_party_and_designated_revocations_change_nothing() {
    let world = World::new().await;
    let revoker = Draft::honest();
    let name = RevocationKey::new(revoker.primary.pk_algo(), revoker.primary.fingerprint(), false);
    let member = Draft::honest().direct_key(|b| b.add_revocation_key(name).unwrap());
    let login = world.enrol(&member, &member.pair()).await.unwrap();
    let facts = async || {
        let stored = world.stored(member.fingerprint()).await.unwrap();
        (stored.signing_keys, stored.identity, stored.revoked)
    };
    let before = facts().await;
    let primary = member.primary.parts_as_public();
    let by = |signer: &Draft, posing: bool| {
        let b = SignatureBuilder::new(SignatureType::KeyRevocation)
            .set_signature_creation_time(at(-MINUTE))
            .unwrap()
            .set_reason_for_revocation(R::KeyCompromised, b"")
            .unwrap();
        let b = if posing { b.set_issuer_fingerprint(primary.fingerprint()).unwrap() } else { b };
        b.sign_direct_key(&mut signer.pair(), primary).unwrap()
    };
    let stranger = Draft::honest();
    for forged in [by(&stranger, false), by(&stranger, true), by(&revoker, false), by(&revoker, true)] {
        let mut sent = member.clone();
        sent.packets.insert(1, forged.into());
        send_without_proof(&world, &sent).await;
        assert_eq!(facts().await, before);
        attempt(&world, &member, &member.pair(), Some(&sent), 0).await.expect("not revoked");
        assert_eq!(facts().await, before);
        assert!(alive(&world, &login).await);
    }
}

#[tokio::test]
async fn certificates_sent_without_proof_bring_revocations_and_nothing_else() {
    let world = World::new().await;
    let member = Draft::bare().user_id("Test", expiring(CREATED, DAY));
    let login = world.enrol(&member, &member.pair()).await.unwrap();
    let before = world.stored(member.fingerprint()).await.unwrap();
    // Anybody can copy newer facts from a key server; they are the holder's to bring.
    let (subkey, doomed) = (new_subkey(), new_subkey());
    let newer = member.clone().user_id("Test", expiring(-DAY, 100 * DAY)).subkey(&subkey, |b| b, Back::Good);
    send_without_proof(&world, &newer).await;
    assert_eq!(world.stored(member.fingerprint()).await.unwrap(), before);
    // With a revocation of some subkey in it, that revocation is all that is taken.
    let revoking =
        newer.subkey(&doomed, |b| b, Back::Good).subkey_revoked(&doomed, R::KeyCompromised, -MINUTE);
    send_without_proof(&world, &revoking).await;
    let outcome = attempt(&world, &member, &pair_of(&subkey), None, 0).await;
    assert_eq!(kind(outcome), K::InvalidNonceSignature, "a subkey that nobody proved");
    let _ = login;
    world.advance((2 * DAY).unsigned_abs());
    let outcome = attempt(&world, &member, &member.pair(), None, 2 * DAY).await;
    assert_eq!(kind(outcome), K::KeyExpired, "the extension was not the holder's");
    attempt(&world, &member, &member.pair(), Some(&revoking), 2 * DAY).await.expect("now it is");
}

#[tokio::test]
async fn somebody_elses_revocation_under_our_name() {
    let world = World::new().await;
    let ((alice, alices), (bob, bobs)) = (world.member().await, world.member().await);
    let revoked = bob.clone().revoked(R::KeyCompromised, -MINUTE);
    let sign = |t: &str| signer::detached(&alice.pair(), t);
    let outcome = world.log_in(alice.fingerprint(), Some(revoked.armored()), sign).await;
    assert_eq!(kind(outcome), K::FingerprintMismatch);
    assert!(alive(&world, &alices).await);
    send_without_proof(&world, &revoked).await;
    assert!(alive(&world, &alices).await && !alive(&world, &bobs).await);
}

#[tokio::test]
async fn subkey_revoked_then_old_copy() {
    for reason in [R::KeyCompromised, R::KeyRetired] {
        let world = World::new().await;
        let subkey = new_subkey();
        let member = Draft::honest().subkey(&subkey, |b| b, Back::Good);
        let login = world.enrol(&member, &pair_of(&subkey)).await.unwrap();
        let revoked = member.clone().subkey_revoked(&subkey, reason, -MINUTE);
        assert_eq!(kind(attempt(&world, &member, &pair_of(&subkey), Some(&revoked), 0).await), K::KeyRevoked);
        assert!(!alive(&world, &login).await, "whoever holds the subkey may hold the token");
        for sent in [Some(&member), None] {
            assert_eq!(kind(attempt(&world, &member, &pair_of(&subkey), sent, 0).await), K::KeyRevoked);
        }
        attempt(&world, &member, &member.pair(), Some(&member), 0)
            .await
            .expect("the primary key is in order");
        assert_eq!(kind(attempt(&world, &member, &pair_of(&subkey), None, 0).await), K::KeyRevoked);
    }
}

#[tokio::test]
async fn retired_key_comes_back_with_a_later_self_signature_alone() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let retired = member.clone().revoked(R::KeyRetired, -10 * DAY);
    send_without_proof(&world, &retired).await;
    assert_eq!(kind(attempt(&world, &member, &member.pair(), None, 0).await), K::KeyRevoked);
    let too_old = retired.clone().user_id("Test <test@example.org>", made(-20 * DAY));
    assert_eq!(kind(attempt(&world, &member, &member.pair(), Some(&too_old), 0).await), K::KeyRevoked);
    let renewed = retired.clone().user_id("Test <test@example.org>", made(-5 * DAY));
    assert_eq!(send_without_proof(&world, &renewed).await, K::InvalidNonceSignature);
    assert_eq!(
        kind(attempt(&world, &member, &member.pair(), None, 0).await),
        K::KeyRevoked,
        "not without proof"
    );
    attempt(&world, &member, &member.pair(), Some(&renewed), 0).await.expect("its owner renewed it");
    attempt(&world, &member, &member.pair(), None, 0).await.expect("and it stays so");
    attempt(&world, &member, &member.pair(), Some(&retired), 0)
        .await
        .expect("an old copy takes nothing back");
}

#[tokio::test]
async fn hard_revocation_is_not_lifted_by_a_later_self_signature() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let revoked = member.clone().revoked(R::KeyCompromised, -10 * DAY);
    send_without_proof(&world, &revoked).await;
    let renewed = member.clone().user_id("Test <test@example.org>", made(-5 * DAY));
    for sent in [&renewed, &member] {
        assert_eq!(kind(attempt(&world, &member, &member.pair(), Some(sent), 0).await), K::KeyRevoked);
    }
    World::new().await.enrol(&renewed, &member.pair()).await.expect("elsewhere");
}

/// Each time, not the first time alone.
#[tokio::test]
async fn key_retired_renewed_and_retired_again_ends_its_tokens_again() {
    let world = World::new().await;
    let (member, first) = world.member().await;
    let retired = member.clone().revoked(R::KeyRetired, -10 * DAY);
    send_without_proof(&world, &retired).await;
    assert!(!alive(&world, &first).await);
    let renewed = retired.user_id("Test <test@example.org>", made(-5 * DAY));
    let second = attempt(&world, &member, &member.pair(), Some(&renewed), 0).await.expect("renewed");
    assert!(alive(&world, &second).await);
    let again = renewed.revoked(R::KeyRetired, -DAY);
    send_without_proof(&world, &again).await;
    assert_eq!(kind(attempt(&world, &member, &member.pair(), None, 0).await), K::KeyRevoked);
    assert!(!alive(&world, &second).await);
}

/// A subkey that was retired and renewed, and then falls into other hands.
#[tokio::test]
async fn subkey_retired_renewed_and_compromised_ends_its_tokens() {
    let world = World::new().await;
    let subkey = new_subkey();
    let member = Draft::honest().subkey(&subkey, |b| b, Back::Good);
    world.enrol(&member, &pair_of(&subkey)).await.unwrap();
    let member = member.subkey_revoked(&subkey, R::KeyRetired, -10 * DAY);
    send_without_proof(&world, &member).await;
    assert_eq!(kind(attempt(&world, &member, &pair_of(&subkey), None, 0).await), K::KeyRevoked);
    let binding = member.subkey_binding(&subkey, made(-5 * DAY), Back::Good);
    let renewed = member.push(binding);
    let login = world.enrol(&renewed, &pair_of(&subkey)).await.expect("renewed");
    assert!(alive(&world, &login).await);
    let lost = renewed.clone().subkey_revoked(&subkey, R::KeyCompromised, -DAY);
    send_without_proof(&world, &lost).await;
    assert_eq!(kind(attempt(&world, &renewed, &pair_of(&subkey), None, 0).await), K::KeyRevoked);
    assert!(!alive(&world, &login).await);
}

/// A key may be retired ahead of time: what was sent before takes effect when its time comes.
#[tokio::test]
async fn retirement_dated_in_the_future_takes_effect_when_its_time_comes() {
    let world = World::new().await;
    let retiring = Draft::honest().revoked(R::KeyRetired, DAY);
    world.enrol(&retiring, &retiring.pair()).await.expect("today it is in order");
    world.advance((2 * DAY).unsigned_abs());
    for sent in [None, Some(&retiring)] {
        assert_eq!(kind(attempt(&world, &retiring, &retiring.pair(), sent, 2 * DAY).await), K::KeyRevoked);
    }
}
