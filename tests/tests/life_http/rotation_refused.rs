//! Rotations that do not happen, each beside one that does.

use capauth_tests::keys::{Back, Draft, armored_secret};
use capauth_tower::Secret;
use sequoia_openpgp::types::ReasonForRevocation;
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{World, cancel_payload, link_payload, rotation_payload};

pub(crate) async fn a_rotation_is_signed_within_five_minutes_of_now(framework: Framework) {
    let world = World::new(framework).await;
    for (offset, accepted) in [(-301, false), (301, false), (-300, true), (300, true)] {
        let (old, new) = (world.member().await, Key::new());
        let time = world.time(offset);
        let body = world.rotation_with(&old, &new, |body| body["timestamp"] = time.into()).await;
        let answer = world.post("/rotate", &body).await;
        match accepted {
            true => drop(answer.ok()),
            false => answer.refused("400 expired_timestamp"),
        }
    }
    let (old, new) = (world.member().await, Key::new());
    for bad in ["yesterday", "2026-06-01", "2026-06-01T12:00:00+02:00", "1780315200", "2026-13-01T12:00:00Z"]
    {
        let body = world.rotation_with(&old, &new, |body| body["timestamp"] = bad.into()).await;
        world.post("/rotate", &body).await.refused("400 invalid_request");
    }
    world.rotate(&old, &new).await.ok();
}

pub(crate) async fn a_cancellation_is_signed_within_five_minutes_of_now(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    for (offset, refusal) in [(-301, "400 expired_timestamp"), (301, "400 expired_timestamp")] {
        let time = world.time(offset);
        let body = world.cancel_with(&old, |body| body["timestamp"] = time.into()).await;
        world.post("/rotate/cancel", &body).await.refused(refusal);
    }
    let time = world.time(-300);
    let body = world.cancel_with(&old, |body| body["timestamp"] = time.into()).await;
    world.post("/rotate/cancel", &body).await.ok();
}

pub(crate) async fn attack_rotation_with_a_challenge_that_is_not_the_old_keys(framework: Framework) {
    let world = World::new(framework).await;
    let (old, other, new) = (world.member().await, world.member().await, Key::new());
    let of_new = world.challenge(&new).await.get("nonce").to_owned();
    let of_other = world.challenge(&other).await.get("nonce").to_owned();
    let login = world.login_of(&old, Value::Null).await;
    world.post("/verify", &login).await.ok();
    let used = login["nonce"].as_str().unwrap();
    for bad in [&of_new, &of_other, used, "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90", "no nonce"] {
        let body = world.rotation_with(&old, &new, |body| body["nonce"] = bad.into()).await;
        world.post("/rotate", &body).await.refused("400 invalid_nonce");
        let body = world.cancel_with(&old, |body| body["nonce"] = bad.into()).await;
        world.post("/rotate/cancel", &body).await.refused("400 invalid_nonce");
    }
    world.rotate(&old, &new).await.ok();
}

pub(crate) async fn attack_rotation_sent_twice(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    let body = world.rotation(&by_subkey, &new).await;
    assert_eq!(world.post("/rotate", &body).await.status, 202);
    world.cancel(&old).await.ok();
    // What was cancelled is not begun again by whoever listened.
    world.post("/rotate", &body).await.refused("400 invalid_nonce");
    // And a challenge that was used for a rotation is none for a login.
    let mut login = world.login_of(&old, Value::Null).await;
    login["nonce"] = body["nonce"].clone();
    world.post("/verify", &login).await.refused("400 invalid_nonce");
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
}

pub(crate) async fn of_many_rotations_at_once_one_happens(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new) = (world.member().await, Key::new());
    let mut bodies = Vec::new();
    for _ in 0..8 {
        bodies.push(world.rotation(&old, &new).await);
    }
    bodies.push(bodies[0].clone());
    let answers = bodies.iter().map(|body| world.post("/rotate", body));
    let answers = futures_util::future::join_all(answers).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1, "{:?}", answers.iter().map(|answer| answer.refusal()).collect::<Vec<_>>());
}

pub(crate) async fn a_rotations_challenge_lasts_a_minute(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new) = (world.member().await, Key::new());
    let late = world.rotation(&old, &new).await;
    world.advance(60);
    world.post("/rotate", &late).await.refused("400 expired_nonce");
    let in_time = world.rotation(&old, &new).await;
    world.advance(59);
    world.post("/rotate", &in_time).await.ok();
}

pub(crate) async fn attack_rotation_with_signatures_of_something_else(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new, mallory) = (world.member().await, Key::new(), world.member().await);
    let challenge = world.challenge(&old).await;
    let nonce = challenge.get("nonce");
    let good = world.rotation_with(&old, &new, |body| body["nonce"] = nonce.into()).await;
    let payload = rotation_payload(&good);
    // What the same keys sign for other purposes, with this very nonce.
    let link = json!({
        "nonce": nonce, "timestamp": good["timestamp"],
        "primary_fingerprint": old.fingerprint, "secondary_fingerprint": new.fingerprint,
    });
    let claims = capauth_tests::http::claims_payload(&old.fingerprint, nonce, &json!({}));
    let others =
        [challenge.payload(), cancel_payload(&good), link_payload(&link), claims, format!("{payload}\n")];
    for (member, key) in [("rotation_signature", &old), ("new_signature", &new)] {
        let by_another = [mallory.sign(&payload, world.now()), String::from("-----BEGIN PGP SIGNATURE-----")];
        let of_another = others.iter().map(|text| key.sign(text, world.now()));
        for bad in of_another.chain(by_another) {
            let mut body = good.clone();
            body[member] = bad.into();
            world.post("/rotate", &body).await.refused("401 invalid_nonce_signature");
        }
    }
    let mut swapped = good.clone();
    swapped["rotation_signature"] = good["new_signature"].clone();
    swapped["new_signature"] = good["rotation_signature"].clone();
    world.post("/rotate", &swapped).await.refused("401 invalid_nonce_signature");
    // A rotation's signature is no login either.
    let mut login = old.answer(&challenge, world.now());
    login["nonce_signature"] = good["rotation_signature"].clone();
    world.post("/verify", &login).await.refused("401 invalid_nonce_signature");
    // None of that used the challenge up.
    world.post("/rotate", &good).await.ok();
}

pub(crate) async fn attack_cancellation_with_signatures_of_something_else(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    let challenge = world.challenge(&old).await;
    let good = world.cancel_with(&old, |body| body["nonce"] = challenge.get("nonce").into()).await;
    for text in [challenge.payload(), cancel_payload(&good).replace("CANCEL_V1", "V1")] {
        let mut body = good.clone();
        body["signature"] = old.sign(&text, world.now()).into();
        world.post("/rotate/cancel", &body).await.refused("401 invalid_nonce_signature");
    }
    let mut body = good.clone();
    body["signature"] = new.sign(&cancel_payload(&good), world.now()).into();
    world.post("/rotate/cancel", &body).await.refused("401 invalid_nonce_signature");
    world.post("/rotate/cancel", &good).await.ok();
}

pub(crate) async fn attack_rotation_to_another_certificate_than_was_signed(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new, mallory) = (world.member().await, Key::new(), Key::new());
    let good = world.rotation(&old, &new).await;
    for (member, value) in
        [("new_public_key", &mallory.certificate), ("new_fingerprint", &mallory.fingerprint)]
    {
        let mut other = good.clone();
        other[member] = value.as_str().into();
        world.post("/rotate", &other).await.refused("401 invalid_nonce_signature");
        let signed = world.rotation_with(&old, &new, |body| body[member] = value.as_str().into()).await;
        world.post("/rotate", &signed).await.refused("401 fingerprint_mismatch");
    }
    // The same key, in other words than those that were signed.
    let mut other = good.clone();
    other["new_public_key"] = format!("{}\n", new.certificate).into();
    world.post("/rotate", &other).await.refused("401 invalid_nonce_signature");
    world.post("/rotate", &good).await.ok();
}

pub(crate) async fn the_new_key_is_a_good_one(framework: Framework) {
    let world = World::new(framework).await;
    let old = world.member().await;
    let secret = Key::new();
    let certificates = [
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----".to_owned(), Key::new()),
        ("no key".to_owned(), Key::new()),
        (armored_secret(&secret.draft), secret),
    ];
    for (certificate, new) in certificates {
        let body = world.rotation_with(&old, &new, |body| body["new_public_key"] = certificate.into()).await;
        world.post("/rotate", &body).await.refused("400 invalid_public_key");
    }
    let certifying = Key::of(Draft::certifying());
    world.rotate(&old, &certifying).await.refused("400 invalid_public_key");
    world.rotate(&old, &Key::expiring(-1)).await.refused("401 key_expired");
    let revoked = Key::of(Draft::honest().revoked(ReasonForRevocation::KeyRetired, 0));
    world.rotate(&old, &revoked).await.refused("401 key_revoked");
    world.rotate(&old, &Key::expiring(1)).await.ok();
}

pub(crate) async fn the_old_key_is_a_good_one(framework: Framework) {
    let world = World::new(framework).await;
    let expiring = Key::expiring(1);
    world.enrol(&expiring).await;
    let unrevoked = world.member().await;
    let revoked = world.member().await;
    world.admin("POST", "/keys/revoke", json!({"fingerprint": revoked.fingerprint})).await.ok();
    world.advance(24 * 3600 + 1);
    world.rotate(&expiring, &Key::new()).await.refused("401 key_expired");
    world.rotate(&revoked, &Key::new()).await.refused("401 key_revoked");
    world.rotate(&Key::new(), &Key::new()).await.refused("401 unknown_fingerprint");
    world.rotate(&unrevoked, &Key::new()).await.ok();
}

pub(crate) async fn a_new_key_is_unknown_here(framework: Framework) {
    let world = World::new(framework).await;
    let old = world.member().await;
    let refused = async |new: &Key| world.rotate(&old, new).await.refused("409 conflict");
    refused(&old).await;
    refused(&world.member().await).await;

    let (retired, current) = (world.member().await, Key::new());
    world.rotate(&retired, &current).await.ok();
    refused(&retired).await;
    refused(&current).await;
    world.admin("POST", "/keys/erase", json!({"fingerprint": current.fingerprint})).await.ok();
    // Erased, and barred: one word for all.
    refused(&retired).await;
    refused(&current).await;

    let (primary, secondary) = (world.member().await, world.member().await);
    world.link(&primary, &secondary).await.ok();
    refused(&secondary).await;

    let ((other, by_subkey, _), waiting) = (Key::with_subkey(), Key::new());
    world.enrol(&other).await;
    assert_eq!(world.rotate(&by_subkey, &waiting).await.status, 202);
    refused(&waiting).await;

    // Erased without a doubt upon it: unknown again.
    let forgotten = world.member().await;
    refused(&forgotten).await;
    world.admin("POST", "/keys/erase", json!({"fingerprint": forgotten.fingerprint})).await.ok();
    world.rotate(&old, &forgotten).await.ok();
}

pub(crate) async fn a_key_that_waits_for_approval_neither_rotates_nor_is_rotated_to(framework: Framework) {
    let world = World::with(framework, capauth_tower::LocalConfig::require_approval).await;
    let (approved, pending) = (Key::new(), Key::new());
    for key in [&approved, &pending] {
        world.try_enrol(key).await.refused("403 enrollment_pending");
    }
    world.admin("POST", "/keys/approve", json!({"fingerprint": approved.fingerprint})).await.ok();
    world.rotate(&pending, &Key::new()).await.refused("403 enrollment_pending");
    world.rotate(&approved, &pending).await.refused("409 conflict");
    world.rotate(&approved, &Key::new()).await.ok();
}

pub(crate) async fn a_linked_key_is_not_rotated_and_its_primary_keeps_it(framework: Framework) {
    let world = World::new(framework).await;
    let (primary, secondary, new) = (world.member().await, world.member().await, Key::new());
    world.link(&primary, &secondary).await.ok();
    world.rotate(&secondary, &Key::new()).await.refused("409 conflict");
    let token = world.token(&secondary).await;
    world.rotate(&primary, &new).await.ok();
    assert!(!world.is_signed_in(&token).await, "all tokens of the identity end");
    assert_eq!(world.sign_in(&secondary).await.ok()["oidc_claims"]["sub"], primary.fingerprint);
    assert_eq!(world.listed(&secondary).await["linked_to"], new.fingerprint);
}

/// Somebody whose certificate adopts this key as a subkey that signs.
fn adopting(server: &Draft) -> Key {
    let subkey = server.primary.clone().role_into_subordinate();
    Key::of(Draft::honest().subkey(&subkey, |b| b, Back::Good))
}

pub(crate) async fn attack_the_servers_own_key_in_a_rotation_or_link(framework: Framework) {
    let server = Draft::honest();
    let armor = Secret::from(armored_secret(&server).as_str());
    let world = World::with(framework, |config| config.server_key(armor, None)).await;
    let (alice, new) = (world.member().await, Key::new());
    let as_server = Key::of(server.clone());
    // There is no challenge for it, so somebody else's stands in.
    let spoil = |body: &mut Value, member: &str| body[member] = as_server.fingerprint.as_str().into();
    let body = world.rotation_with(&alice, &new, |body| spoil(body, "old_fingerprint")).await;
    world.post("/rotate", &body).await.refused("403 forbidden");
    world.rotate(&alice, &as_server).await.refused("403 forbidden");
    world.rotate(&alice, &adopting(&server)).await.refused("403 forbidden");
    let body = world.cancel_with(&alice, |body| spoil(body, "old_fingerprint")).await;
    world.post("/rotate/cancel", &body).await.refused("403 forbidden");
    for member in ["primary_fingerprint", "secondary_fingerprint"] {
        let body = world.link_with(&alice, &new, |body| spoil(body, member)).await;
        world.post("/link", &body).await.refused("403 forbidden");
        world.post("/unlink", &body).await.refused("403 forbidden");
    }
    let body = world.link_of_new(&alice, &adopting(&server)).await;
    world.post("/link", &body).await.refused("403 forbidden");
    for certificate in [as_server.certificate, adopting(&server).certificate] {
        let enrol = json!({"public_key": certificate});
        world.admin("POST", "/keys/enroll", enrol).await.refused("403 forbidden");
    }
    let body = world.link_of_new(&alice, &Key::new()).await;
    world.post("/link", &body).await.ok();
    world.rotate(&alice, &new).await.ok();
}
