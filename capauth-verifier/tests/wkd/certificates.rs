//! What a directory may serve, and what of it counts.

use std::time::SystemTime;

use sequoia_openpgp::armor::{Kind, Writer};
use sequoia_openpgp::cert::prelude::*;
use sequoia_openpgp::packet::UserID;
use sequoia_openpgp::serialize::{Marshal as _, MarshalInto as _};
use sequoia_openpgp::types::ReasonForRevocation;
use sequoia_openpgp::{Cert, Packet};

use crate::keys::{DAY, binding, builder, bytes, forged_binding, key, signer, with};
use crate::server::Reply;
use crate::world::{ADA, ADVANCED, World};

/// Whether ada's address counts for the certificate, when this is served.
async fn counts(cert: &Cert, served: Vec<u8>) -> bool {
    let world = World::start().await;
    world.server.always(ADVANCED, Reply::Body(served));
    let verified = world.verify(cert).await;
    assert_eq!(world.server.times(ADVANCED), 1);
    assert!(verified.as_deref().is_none_or(|address| address == ADA));
    verified.is_some()
}

async fn counts_itself(cert: &Cert) -> bool {
    counts(cert, bytes(cert)).await
}

#[tokio::test]
async fn a_certificate_that_binds_the_address_vouches_for_it() {
    for user_id in
        [ADA, "Ada <ada@example.org>", "Ada Lovelace (work) <Ada@Example.ORG>", "<ada@example.org>"]
    {
        assert!(counts_itself(&key(&[user_id])).await, "{user_id}");
    }
    assert!(counts_itself(&key(&["Ada <ada@elsewhere.example>", ADA, "Ada"])).await);
}

#[tokio::test]
async fn attack_somebody_elses_user_id() {
    for user_id in [
        "Bob <bob@example.org>",
        "ada@example.org <bob@example.org>",
        "\"ada@example.org\" <bob@example.org>",
        "Ada (ada@example.org)",
        "Ada (ada@example.org) <bob@example.org>",
        "Ada <ada@example.org> <bob@example.org>",
        "Ada <ada@example.org.evil.example>",
        "Ada <ada@example.org@evil.example>",
        "Ada <bada@example.org>",
        "https://example.org/ada@example.org",
        "mailto:ada@example.org",
        "ada@example.org\0",
        "ada@example.org\nbob@example.org",
        "Ada <ada@example.org",
        "",
    ] {
        assert!(!counts_itself(&key(&[user_id])).await, "{user_id:?}");
    }
    assert!(!counts_itself(&key(&[&format!("{} <{ADA}>", "A".repeat(1024))])).await);
    assert!(counts_itself(&key(&[&format!("{} <{ADA}>", "A".repeat(1000))])).await);
}

#[tokio::test]
async fn attack_another_key_with_the_same_user_id() {
    let (mine, theirs) = (key(&[ADA]), key(&[ADA]));
    assert!(!counts(&mine, bytes(&theirs)).await);
    assert!(counts(&mine, bytes(&mine)).await);
}

#[tokio::test]
async fn attack_the_fingerprint_of_a_subkey() {
    let cert = builder(&[ADA]).add_signing_subkey().generate().unwrap().0;
    let world = World::start().await;
    world.serves(ADVANCED, &cert);
    let subkey = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex().parse().unwrap();
    assert_eq!(world.verifier().verify(ADA, &subkey, &subkey).await, None);
    assert!(world.verify(&cert).await.is_some());
}

#[tokio::test]
async fn attack_a_user_id_that_was_revoked() {
    let cert = key(&[ADA, "Ada <ada@elsewhere.example>"]);
    let revoke = |user_id: &str| {
        let user_id = UserID::from(user_id);
        let revocation = UserIDRevocationBuilder::new()
            .set_reason_for_revocation(ReasonForRevocation::UIDRetired, b"left")
            .unwrap()
            .build(&mut signer(&cert), &cert, &user_id, None)
            .unwrap();
        with(&cert, [Packet::from(user_id), revocation.into()])
    };
    assert!(!counts_itself(&revoke(ADA)).await);
    assert!(counts_itself(&revoke("Ada <ada@elsewhere.example>")).await);
}

#[tokio::test]
async fn attack_a_user_id_that_another_key_bound() {
    let (cert, other) = (key(&["Ada <ada@elsewhere.example>"]), key(&[ADA]));
    let user_id = UserID::from(ADA);
    let bind = |signature: Packet| with(&cert, [user_id.clone().into(), signature]);
    assert!(!counts_itself(&bind(binding(&user_id, &cert, &other))).await);
    assert!(!counts_itself(&bind(forged_binding(&user_id, &cert, &other))).await);
    // A binding of the right maker, for another certificate.
    assert!(!counts_itself(&bind(binding(&user_id, &other, &cert))).await);
    assert!(counts_itself(&bind(binding(&user_id, &cert, &cert))).await);
}

#[tokio::test]
async fn attack_a_user_id_that_nobody_bound() {
    let user_id = UserID::from(ADA);
    for cert in [key(&["Ada <ada@elsewhere.example>"]), key(&[])] {
        let bare = [bytes(&cert), user_id_packet()].concat();
        assert!(!counts(&cert, bare.clone()).await);
        let bound = [bare, binding(&user_id, &cert, &cert).to_vec().unwrap()].concat();
        assert!(counts(&cert, bound).await);
    }
}

fn user_id_packet() -> Vec<u8> {
    Packet::from(UserID::from(ADA)).to_vec().unwrap()
}

#[tokio::test]
async fn attack_a_certificate_that_expired() {
    let lives = |days: u32| builder(&[ADA]).set_validity_period(DAY * days).generate().unwrap().0;
    let long_ago = builder(&[ADA]).set_creation_time(SystemTime::now() - DAY * 3);
    let expired = long_ago.set_validity_period(DAY * 2).generate().unwrap().0;
    assert!(!counts_itself(&expired).await);
    assert!(counts_itself(&lives(2)).await);
}

#[tokio::test]
async fn attack_a_certificate_of_the_future() {
    let made = |at: SystemTime| builder(&[ADA]).set_creation_time(at).generate().unwrap().0;
    assert!(!counts_itself(&made(SystemTime::now() + DAY)).await);
    assert!(counts_itself(&made(SystemTime::now() - DAY)).await);
}

#[tokio::test]
async fn a_key_that_expires_within_the_hour_is_believed_no_longer() {
    let world = World::start().await;
    let lives = DAY + std::time::Duration::from_secs(600);
    let cert = builder(&[ADA]).set_validity_period(lives).generate().unwrap().0;
    world.serves(ADVANCED, &cert);
    let verifier = world.verifier();
    assert!(crate::world::verify(&verifier, ADA, &cert).await.is_some());
    world.advance(300);
    assert!(crate::world::verify(&verifier, ADA, &cert).await.is_some());
    assert_eq!(world.server.times(ADVANCED), 1);
    world.advance(600);
    assert_eq!(crate::world::verify(&verifier, ADA, &cert).await, None);
}

#[tokio::test]
async fn attack_a_certificate_that_was_revoked() {
    let (cert, hard) = builder(&[ADA]).generate().unwrap();
    let revoke = |reason| {
        let builder = CertRevocationBuilder::new().set_reason_for_revocation(reason, b"").unwrap();
        Packet::from(builder.build(&mut signer(&cert), &cert, None).unwrap())
    };
    let soft = revoke(ReasonForRevocation::KeySuperseded);
    for revocation in [hard.into(), soft, revoke(ReasonForRevocation::KeyCompromised)] {
        assert!(!counts_itself(&with(&cert, [revocation])).await);
    }
    assert!(counts_itself(&cert).await);
}

#[tokio::test]
async fn attack_a_stranger_cannot_revoke_somebodys_certificate() {
    let (cert, stranger) = (key(&[ADA]), key(&[ADA]));
    let revocation = CertRevocationBuilder::new().build(&mut signer(&stranger), &cert, None).unwrap();
    assert!(counts_itself(&with(&cert, [Packet::from(revocation)])).await);
}

#[tokio::test]
async fn attack_the_same_certificate_twice_once_without_its_revocation() {
    let (cert, revocation) = builder(&[ADA]).generate().unwrap();
    let revoked = with(&cert, [Packet::from(revocation)]);
    assert!(!counts(&cert, [bytes(&cert), bytes(&revoked)].concat()).await);
    assert!(!counts(&cert, [bytes(&revoked), bytes(&cert)].concat()).await);
    assert!(counts(&cert, bytes(&cert)).await);
}

#[tokio::test]
async fn the_meant_one_of_several_certificates_counts() {
    let (cert, old, bob) = (key(&[ADA]), key(&[ADA]), key(&["bob@example.org"]));
    let [mine, old, bobs] = [&cert, &old, &bob].map(bytes);
    assert!(counts(&cert, [&*old, &*mine, &*bobs].concat()).await);
    // What others bind is nothing to it.
    assert!(!counts(&bob, [&*old, &*mine, &*bobs].concat()).await);
}

#[tokio::test]
async fn attack_a_keyring_without_end() {
    let cert = key(&[ADA]);
    let other = bytes(&key(&["bob@example.org"]));
    assert!(!counts(&cert, [other.repeat(16), bytes(&cert)].concat()).await);
    assert!(counts(&cert, [other.repeat(15), bytes(&cert)].concat()).await);
}

#[tokio::test]
async fn attack_a_certificate_that_is_costly_to_judge() {
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("ada{n}@example.org")).collect();
        key(&names.iter().map(String::as_str).chain([ADA]).collect::<Vec<_>>())
    };
    assert!(!counts_itself(&many(64)).await);
    assert!(counts_itself(&many(50)).await);
    let keys = |count: usize| (0..count).fold(builder(&[ADA]), |b, _| b.add_storage_encryption_subkey());
    assert!(!counts_itself(&keys(16).generate().unwrap().0).await);
    assert!(counts_itself(&keys(15).generate().unwrap().0).await);
    // Without any signature, so that only its size speaks.
    let cert = key(&[ADA]);
    let padding = |length: usize| Packet::from(UserID::from("x".repeat(length))).to_vec().unwrap();
    let fill = |packets: usize| [bytes(&cert), padding(16 * 1024).repeat(packets)].concat();
    assert!(!counts(&cert, fill(4)).await);
    assert!(counts(&cert, fill(3)).await);
}

#[tokio::test]
async fn attack_a_secret_key_is_served() {
    let (cert, other) = (key(&[ADA]), key(&[ADA]));
    let secret = |cert: &Cert| cert.as_tsk().to_vec().unwrap();
    assert!(!counts(&cert, secret(&cert)).await);
    assert!(!counts(&cert, [bytes(&cert), secret(&other)].concat()).await);
    assert!(!counts(&cert, [secret(&other), bytes(&cert)].concat()).await);
    assert!(counts(&cert, [bytes(&other), bytes(&cert)].concat()).await);
}

#[tokio::test]
async fn attack_something_else_than_certificates_is_served() {
    let cert = key(&[ADA]);
    let mine = bytes(&cert);
    let mut armored = Writer::new(Vec::new(), Kind::PublicKey).unwrap();
    cert.serialize(&mut armored).unwrap();
    let mut literal = Vec::from([0xcb, 0xc0, 0x00, b'b', 0, 0, 0, 0, 0]);
    literal.resize(3 + 192, b'x');
    for (what, served) in [
        ("nothing", Vec::new()),
        ("armour", armored.finalize().unwrap()),
        ("HTML", b"<html></html>".to_vec()),
        ("something before it", [&[0][..], &mine].concat()),
        ("a User ID before it", [&user_id_packet()[..], &mine].concat()),
        ("something after it", [&mine[..], b"junk"].concat()),
        ("a message after it", [&mine[..], &literal].concat()),
        ("a packet without a length after it", [&mine[..], b"\xb7Ada"].concat()),
        ("a part", mine[..mine.len() - 1].to_vec()),
        ("zeros", vec![0; 1000]),
        ("ones", vec![0xff; 1000]),
    ] {
        assert!(!counts(&cert, served).await, "{what}");
    }
    assert!(counts(&cert, [&mine[..], b"\xb4\x03Ada"].concat()).await);
    assert!(counts(&cert, mine).await);
}
