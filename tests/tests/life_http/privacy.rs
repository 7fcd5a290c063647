//! Where membership is private, a stranger learns from no answer who is enrolled.

use capauth_tests::http::Answer;
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{World, link_payload, rotation_payload};

async fn private(framework: Framework) -> World {
    World::with(framework, |config| config.private_membership(true)).await
}

/// Everything of an answer that a stranger can compare.
fn seen(answer: &Answer) -> (u16, Vec<String>, String) {
    let mut headers: Vec<String> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
    headers.sort();
    (answer.status, headers, answer.text())
}

/// Those a stranger asks about: some are known here, in one way or another, and one is not.
async fn people(world: &World) -> Vec<(&'static str, Key)> {
    let (enrolled, revoked, retired) = (world.member().await, world.member().await, world.member().await);
    let (linked, own_revocation) = (world.member().await, world.member().await);
    world.admin("POST", "/keys/revoke", json!({"fingerprint": revoked.fingerprint})).await.ok();
    world.rotate(&retired, &Key::new()).await.ok();
    world.link(&enrolled, &linked).await.ok();
    world.submit(&own_revocation, &own_revocation.revoked()).await;
    vec![
        ("unknown", Key::new()),
        ("enrolled", enrolled),
        ("revoked", revoked),
        ("retired", retired),
        ("linked", linked),
        ("revoked by its owner", own_revocation),
    ]
}

/// Fails unless all were answered as the first one.
fn all_alike(answers: &[(&str, Answer)]) {
    let (_, first) = &answers[0];
    for (who, answer) in answers {
        assert_eq!(seen(answer), seen(first), "{who}");
    }
}

pub(crate) async fn attack_login_to_find_out_who_is_enrolled(framework: Framework) {
    let world = private(framework).await;
    let mut answers = Vec::new();
    let mallory = Key::new();
    for (who, key) in people(&world).await {
        let mut body = world.login_of(&key, Value::Null).await;
        body["nonce_signature"] = mallory.sign("something else", world.now()).into();
        answers.push((who, world.post("/verify", &body).await));
    }
    all_alike(&answers);
    answers[0].1.refused("401 unknown_fingerprint");
    // A garbled signature, and a challenge of somebody else.
    for spoil in [("nonce_signature", "no signature"), ("nonce", "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90")] {
        let mut answers = Vec::new();
        for (who, key) in people(&world).await {
            let mut body = world.login_of(&key, Value::Null).await;
            body[spoil.0] = spoil.1.into();
            answers.push((who, world.post("/verify", &body).await));
        }
        all_alike(&answers);
    }
    let known = world.member().await;
    world.sign_in(&known).await.ok();
    world.sign_in(&Key::new()).await.refused("401 unknown_fingerprint");
}

pub(crate) async fn attack_rotation_to_find_out_who_is_enrolled(framework: Framework) {
    let world = private(framework).await;
    let (mallory, mine) = (Key::new(), Key::new());
    let (mut rotated, mut cancelled) = (Vec::new(), Vec::new());
    for (who, key) in people(&world).await {
        let mut body = world.rotation(&key, &mine).await;
        body["rotation_signature"] = mallory.sign(&rotation_payload(&body), world.now()).into();
        rotated.push((who, world.post("/rotate", &body).await));
        let mut body = world.cancel_with(&key, |_| {}).await;
        body["signature"] = mallory.sign("something else", world.now()).into();
        cancelled.push((who, world.post("/rotate/cancel", &body).await));
    }
    all_alike(&rotated);
    all_alike(&cancelled);
    rotated[0].1.refused("401 invalid_nonce_signature");
    world.rotate(&world.member().await, &mine).await.ok();
}

pub(crate) async fn attack_rotation_to_a_key_of_somebody_else_to_find_out_about_it(framework: Framework) {
    let world = private(framework).await;
    let mallory = world.member().await;
    let mut answers = Vec::new();
    for (who, key) in people(&world).await {
        // The certificate may be had from a key server.
        let mut body = world.rotation(&mallory, &key).await;
        body["new_signature"] = mallory.sign(&rotation_payload(&body), world.now()).into();
        answers.push((who, world.post("/rotate", &body).await));
    }
    all_alike(&answers);
    answers[0].1.refused("401 invalid_nonce_signature");
}

pub(crate) async fn attack_link_to_find_out_who_is_enrolled(framework: Framework) {
    let world = private(framework).await;
    let mallory = world.member().await;
    let (mut primaries, mut secondaries, mut with_certificate) = (Vec::new(), Vec::new(), Vec::new());
    for (who, key) in people(&world).await {
        let mut body = world.link_body(&key, &mallory).await;
        body["primary_signature"] = mallory.sign(&link_payload(&body), world.now()).into();
        primaries.push((who, world.post("/link", &body).await));
        let mut body = world.link_body(&mallory, &key).await;
        body["secondary_signature"] = mallory.sign(&link_payload(&body), world.now()).into();
        secondaries.push((who, world.post("/link", &body).await));
        body["secondary_public_key"] = key.certificate.as_str().into();
        with_certificate.push((who, world.post("/link", &body).await));
    }
    all_alike(&primaries);
    all_alike(&secondaries);
    all_alike(&with_certificate);
    primaries[0].1.refused("401 invalid_nonce_signature");
    world.link(&mallory, &world.member().await).await.ok();
}

pub(crate) async fn attack_unlinking_to_find_out_who_is_enrolled(framework: Framework) {
    let world = private(framework).await;
    let mallory = world.member().await;
    let (mut as_primary, mut as_secondary) = (Vec::new(), Vec::new());
    for (who, key) in people(&world).await {
        let mut body = world.unlink_body(&key, &mallory).await;
        body["primary_signature"] = mallory.sign(&link_payload(&body), world.now()).into();
        as_primary.push((who, world.post("/unlink", &body).await));
        // Signed as it should be, by somebody who enrolled only to ask.
        as_secondary.push((who, world.unlink(&mallory, &key).await));
    }
    all_alike(&as_primary);
    all_alike(&as_secondary);
    let own = world.member().await;
    world.link(&mallory, &own).await.ok();
    world.unlink(&mallory, &own).await.ok();
}

pub(crate) async fn how_many_are_enrolled_is_told_only_where_membership_is_public(framework: Framework) {
    for is_private in [true, false] {
        let world = World::with(framework, |config| config.private_membership(is_private)).await;
        world.member().await;
        let status = world.client.get("/capauth/v1/status").await.ok();
        let told = if is_private { Value::Null } else { json!(1) };
        assert_eq!(status["enrolled_keys"], told);
        assert_eq!(status.get("enrolled_keys").is_none(), is_private);
    }
}

pub(crate) async fn whoever_proves_possession_is_told_how_things_are(framework: Framework) {
    let world = private(framework).await;
    for (who, key) in people(&world).await {
        let answer = world.sign_in(&key).await;
        match who {
            "unknown" => answer.refused("401 unknown_fingerprint"),
            "enrolled" | "linked" => drop(answer.ok()),
            _ => answer.refused("401 key_revoked"),
        }
    }
    let open = World::new(framework).await;
    let known = open.member().await;
    let mut body = open.login_of(&known, Value::Null).await;
    body["nonce_signature"] = Key::new().sign("something else", open.now()).into();
    open.post("/verify", &body).await.refused("401 invalid_nonce_signature");
}
