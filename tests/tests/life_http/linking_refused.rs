//! Links that do not come about, each beside one that does.

use capauth_tower::ServiceEntry;
use serde_json::json;

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{World, cancel_payload, link_payload, rotation_payload};

/// How many keys one identity may have beside its primary.
const MOST: usize = 16;

pub(crate) async fn attack_chains_cycles_and_stolen_keys(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, alices, bob) = (world.member().await, world.member().await, world.member().await);
    world.link(&alice, &alice).await.refused("409 conflict");
    world.link(&alice, &alices).await.ok();
    // Twice, turned around, by a secondary, of a secondary, of a primary that has secondaries.
    world.link(&alice, &alices).await.refused("409 conflict");
    world.link(&alices, &alice).await.refused("409 conflict");
    world.link(&alices, &bob).await.refused("409 conflict");
    world.link(&bob, &alices).await.refused("409 conflict");
    world.link(&bob, &alice).await.refused("409 conflict");
    assert_eq!(world.sign_in(&bob).await.ok()["oidc_claims"]["sub"], bob.fingerprint);
    world.unlink(&alice, &alices).await.ok();
    world.link(&bob, &alice).await.ok();
}

pub(crate) async fn attack_link_to_a_key_that_did_not_sign(framework: Framework) {
    let world = World::new(framework).await;
    let (mallory, victim) = (world.member().await, world.member().await);
    // Neither is a victim drawn in, nor does anybody join one who does not want it.
    for (primary, secondary, forged) in
        [(&mallory, &victim, "secondary_signature"), (&victim, &mallory, "primary_signature")]
    {
        let good = world.link_body(primary, secondary).await;
        let mut body = good.clone();
        for signer in [&mallory, &Key::new()] {
            body[forged] = signer.sign(&link_payload(&good), world.now()).into();
            world.post("/link", &body).await.refused("401 invalid_nonce_signature");
        }
    }
    world.link(&mallory, &victim).await.ok();
}

pub(crate) async fn attack_link_with_signatures_of_something_else(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, second) = (world.member().await, world.member().await);
    let challenge = world.challenge(&alice).await;
    let nonce = challenge.get("nonce");
    let good = world.link_with(&alice, &second, |body| body["nonce"] = nonce.into()).await;
    let rotation = json!({
        "nonce": nonce, "timestamp": good["timestamp"], "old_fingerprint": alice.fingerprint,
        "new_fingerprint": second.fingerprint, "new_public_key": second.certificate,
    });
    let mut turned = good.clone();
    turned["primary_fingerprint"] = good["secondary_fingerprint"].clone();
    turned["secondary_fingerprint"] = good["primary_fingerprint"].clone();
    let others =
        [challenge.payload(), rotation_payload(&rotation), cancel_payload(&rotation), link_payload(&turned)];
    for (member, key) in [("primary_signature", &alice), ("secondary_signature", &second)] {
        for text in &others {
            let mut body = good.clone();
            body[member] = key.sign(text, world.now()).into();
            world.post("/link", &body).await.refused("401 invalid_nonce_signature");
            if member == "primary_signature" {
                world.post("/unlink", &body).await.refused("401 invalid_nonce_signature");
            }
        }
    }
    let mut login = alice.answer(&challenge, world.now());
    login["nonce_signature"] = good["primary_signature"].clone();
    world.post("/verify", &login).await.refused("401 invalid_nonce_signature");
    world.post("/link", &good).await.ok();
}

pub(crate) async fn attack_link_sent_again_after_it_was_undone(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, second) = (world.member().await, world.member().await);
    let link = world.link_body(&alice, &second).await;
    world.post("/link", &link).await.ok();
    // The same text would undo it, were its challenge not used.
    world.post("/unlink", &link).await.refused("400 invalid_nonce");
    let unlink = world.unlink_body(&alice, &second).await;
    world.post("/unlink", &unlink).await.ok();
    world.post("/link", &link).await.refused("400 invalid_nonce");
    world.link(&alice, &second).await.ok();
    world.post("/unlink", &unlink).await.refused("400 invalid_nonce");
    assert_eq!(world.sign_in(&second).await.ok()["oidc_claims"]["sub"], alice.fingerprint);
}

pub(crate) async fn a_link_needs_a_challenge_of_the_primary_key_within_its_minute(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, second) = (world.member().await, world.member().await);
    let of_second = world.challenge(&second).await.get("nonce").to_owned();
    for bad in [&*of_second, "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90", "no nonce"] {
        let body = world.link_with(&alice, &second, |body| body["nonce"] = bad.into()).await;
        world.post("/link", &body).await.refused("400 invalid_nonce");
        world.post("/unlink", &body).await.refused("400 invalid_nonce");
    }
    let late = world.link_body(&alice, &second).await;
    world.advance(60);
    world.post("/link", &late).await.refused("400 expired_nonce");
    world.post("/unlink", &late).await.refused("400 expired_nonce");
    let in_time = world.link_body(&alice, &second).await;
    world.advance(59);
    world.post("/link", &in_time).await.ok();
}

pub(crate) async fn a_link_is_signed_within_five_minutes_of_now(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, second) = (world.member().await, world.member().await);
    for (offset, accepted) in [(-301, false), (301, false), (-300, true), (300, true)] {
        let time = world.time(offset);
        for path in ["/link", "/unlink"] {
            let body = world.link_with(&alice, &second, |body| body["timestamp"] = time.clone().into()).await;
            let answer = world.post(path, &body).await;
            match accepted {
                true => drop(answer.ok()),
                false => answer.refused("400 expired_timestamp"),
            }
        }
    }
}

pub(crate) async fn only_the_primary_key_undoes_a_link(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, second, bob) = (world.member().await, world.member().await, world.member().await);
    world.unlink(&alice, &second).await.refused("409 conflict");
    world.link(&alice, &second).await.ok();
    // Another primary, the secondary in its own name, and in the primary's.
    world.unlink(&bob, &second).await.refused("409 conflict");
    world.unlink(&second, &alice).await.refused("409 conflict");
    world.unlink(&second, &second).await.refused("409 conflict");
    let mut body = world.unlink_body(&alice, &second).await;
    body["primary_signature"] = second.sign(&link_payload(&body), world.now()).into();
    world.post("/unlink", &body).await.refused("401 invalid_nonce_signature");
    world.unlink(&alice, &Key::new()).await.refused("409 conflict");
    world.unlink(&Key::new(), &second).await.refused("401 unknown_fingerprint");
    world.unlink(&alice, &second).await.ok();
}

pub(crate) async fn a_key_that_is_not_in_order_is_not_linked(framework: Framework) {
    let world = World::with(framework, capauth_tower::LocalConfig::require_approval).await;
    let keys: Vec<Key> = (0..5).map(|_| Key::new()).collect();
    let [alice, pending, revoked, suspended, good] = &keys[..] else { panic!("five keys") };
    for key in &keys {
        world.try_enrol(key).await.refused("403 enrollment_pending");
    }
    let successor = Key::new();
    for key in [alice, revoked, suspended, good] {
        world.admin("POST", "/keys/approve", json!({"fingerprint": key.fingerprint})).await.ok();
    }
    world.admin("POST", "/keys/revoke", json!({"fingerprint": revoked.fingerprint})).await.ok();
    world.rotate(suspended, &successor).await.ok();
    world.submit(suspended, &suspended.revoked()).await;
    for (key, refusal) in
        [(pending, "403 enrollment_pending"), (revoked, "401 key_revoked"), (&successor, "403 key_suspended")]
    {
        world.link(alice, key).await.refused(refusal);
        world.link(key, alice).await.refused(refusal);
    }
    world.link(alice, good).await.ok();
}

pub(crate) async fn a_key_about_to_be_replaced_is_not_linked(framework: Framework) {
    let world = World::new(framework).await;
    let ((waiting, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&waiting).await;
    let alice = world.member().await;
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    world.link(&alice, &waiting).await.refused("409 conflict");
    let body = world.link_of_new(&alice, &new).await;
    world.post("/link", &body).await.refused("409 conflict");
    world.cancel(&waiting).await.ok();
    world.link(&alice, &waiting).await.ok();
}

pub(crate) async fn an_identity_has_room_for_sixteen_more_keys(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let mut last = Key::new();
    for _ in 0..MOST {
        last = Key::new();
        let body = world.link_of_new(&alice, &last).await;
        world.post("/link", &body).await.ok();
    }
    let one_more = world.member().await;
    world.link(&alice, &one_more).await.refused("409 conflict");
    world.unlink(&alice, &last).await.ok();
    world.link(&alice, &one_more).await.ok();
}

pub(crate) async fn a_submitted_certificate_of_a_known_key_is_merged(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, second) = (world.member().await, world.member().await);
    // An old copy walks around no revocation, and a new one brings it.
    let mut body = world.link_body(&alice, &second).await;
    body["secondary_public_key"] = second.revoked().into();
    world.post("/link", &body).await.refused("401 key_revoked");
    let third = world.member().await;
    world.submit(&third, &third.revoked()).await;
    let body = world.link_of_new(&alice, &third).await;
    world.post("/link", &body).await.refused("401 key_revoked");
    let fourth = world.member().await;
    let body = world.link_of_new(&alice, &fourth).await;
    assert_eq!(world.post("/link", &body).await.ok()["sub"], alice.fingerprint);
}

pub(crate) async fn attack_link_by_the_thief_of_a_subkey(framework: Framework) {
    let world = World::new(framework).await;
    let ((owner, thief, _), mallory, second) =
        (Key::with_subkey(), world.member().await, world.member().await);
    world.enrol(&owner).await;
    // Neither is mallory's key joined to the owner's identity, nor the owner's to mallory's.
    world.link(&thief, &mallory).await.refused("403 forbidden");
    world.link(&mallory, &thief).await.refused("403 forbidden");
    let (_, new_thief, _) = Key::with_subkey();
    let body = world.link_of_new(&mallory, &new_thief).await;
    world.post("/link", &body).await.refused("403 forbidden");
    world.link(&owner, &second).await.ok();
    world.unlink(&thief, &second).await.refused("403 forbidden");
    assert_eq!(world.sign_in(&second).await.ok()["oidc_claims"]["sub"], owner.fingerprint);
    world.unlink(&owner, &second).await.ok();
    // Where the primary key does not sign at all, an administrator helps.
    let body = world.link_body(&thief, &second).await;
    world.admin("POST", "/link", body).await.ok();
}

pub(crate) async fn attack_change_of_an_identity_signed_for_an_application(framework: Framework) {
    let app = ServiceEntry::new("app.example.com");
    let world = World::with(framework, |config| config.service(app)).await;
    let (alice, second, new) = (world.member().await, world.member().await, Key::new());
    // An application's page may have had it signed, for its own service.
    let challenge = world.challenge_with(&alice, json!({"requested_service": "app.example.com"})).await;
    let nonce = challenge.get("nonce");
    let of_app = |payload: String| payload.replace("service=auth.example.com", "service=app.example.com");
    let sign = |key: &Key, payload: String| key.sign(&of_app(payload), world.now());
    let mut body = world.rotation_with(&alice, &new, |body| body["nonce"] = nonce.into()).await;
    body["rotation_signature"] = sign(&alice, rotation_payload(&body)).into();
    body["new_signature"] = sign(&new, rotation_payload(&body)).into();
    world.post("/rotate", &body).await.refused("400 service_mismatch");
    let mut body = world.cancel_with(&alice, |body| body["nonce"] = nonce.into()).await;
    body["signature"] = sign(&alice, cancel_payload(&body)).into();
    world.post("/rotate/cancel", &body).await.refused("400 service_mismatch");
    let mut body = world.link_with(&alice, &second, |body| body["nonce"] = nonce.into()).await;
    body["primary_signature"] = sign(&alice, link_payload(&body)).into();
    body["secondary_signature"] = sign(&second, link_payload(&body)).into();
    for path in ["/link", "/unlink"] {
        world.post(path, &body).await.refused("400 service_mismatch");
    }
    world.link(&alice, &second).await.ok();
    world.rotate(&alice, &new).await.ok();
}
