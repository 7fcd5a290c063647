//! How new keys come in where not everybody may.

use std::net::IpAddr;

use capauth_tests::http::{Challenge, Client};
use capauth_tests::keys::{Draft, armored_secret};
use capauth_tower::EnrollmentMode::{self, Approval, Closed, Open};
use sequoia_openpgp::types::ReasonForRevocation;
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{DAY, ORIGIN, World, members, text};

async fn world_of(framework: Framework, mode: EnrollmentMode) -> World {
    World::with(framework, |config| config.enrollment(mode)).await
}

async fn code(world: &World, body: Value) -> String {
    text(&world.admin("POST", "/enrollment-codes", body).await.ok(), "enrollment_code")
}

/// A login that shows a certificate and a code.
async fn with_code(world: &World, key: &Key, code: &str) -> Value {
    let more = json!({"public_key": key.certificate, "enrollment_code": code});
    world.login_of(key, more).await
}

pub(crate) async fn new_keys_come_in_as_the_mode_says(framework: Framework) {
    for (mode, name) in [(Open, "open"), (Approval, "approval"), (Closed, "closed")] {
        let world = world_of(framework, mode).await;
        let told = world.client.get("/capauth/v1/well-known").await.ok();
        assert_eq!(told["enrollment"], name);
        let status = world.client.get("/capauth/v1/status").await.ok();
        assert_eq!(status["require_approval"], mode == Approval);
        let key = Key::new();
        let answer = world.try_enrol(&key).await;
        match mode {
            Open => assert_eq!(answer.ok()["is_new_enrollment"], true),
            Closed => answer.refused("403 enrollment_closed"),
            Approval => {
                answer.refused("403 enrollment_pending");
                assert_eq!(answer.json()["status"], "enrollment_pending");
                assert!(answer.json()["message"].is_string());
            }
        }
        if mode != Open {
            world.admin("POST", "/keys/enroll", json!({"public_key": Key::new().certificate})).await.ok();
        }
    }
}

pub(crate) async fn a_code_lets_one_key_in(framework: Framework) {
    for mode in [Closed, Approval, Open] {
        let world = world_of(framework, mode).await;
        let made = world.admin("POST", "/enrollment-codes", json!({"groups": ["staff", "dev"]})).await.ok();
        assert_eq!(members(&made), ["enrollment_code", "expires_at", "groups"]);
        assert_eq!(made["groups"], json!(["staff", "dev"]));
        assert_eq!(made["expires_at"], world.time(7 * 24 * 3600), "a week, if nothing else is said");
        let (first, second) = (Key::new(), Key::new());
        let code = text(&made, "enrollment_code");
        assert!(code.len() >= 32, "nobody guesses it");
        let body = with_code(&world, &first, &code).await;
        let login = world.post("/verify", &body).await.ok();
        assert_eq!(login["is_new_enrollment"], true);
        assert_eq!(login["oidc_claims"]["groups"], json!(["dev", "staff"]));
        world.sign_in(&first).await.ok();

        let body = with_code(&world, &second, &code).await;
        let again = world.post("/verify", &body).await;
        if mode == Open {
            // Nobody needs a code here, and a used one grants nothing.
            assert_eq!(again.ok()["oidc_claims"]["groups"], Value::Null);
        } else {
            again.refused("403 enrollment_closed");
            assert_eq!(world.listed(&second).await, Value::Null);
        }
    }
}

pub(crate) async fn a_code_lets_a_key_in_that_waits(framework: Framework) {
    let world = world_of(framework, Approval).await;
    let (first, second) = (Key::new(), Key::new());
    for key in [&first, &second] {
        world.try_enrol(key).await.refused("403 enrollment_pending");
    }
    let code = code(&world, json!({"groups": ["staff"]})).await;
    for (key, code, refusal) in [
        (&first, "wrong", Some("403 enrollment_pending")),
        (&first, &*code, None),
        (&second, &*code, Some("403 enrollment_pending")),
    ] {
        // It is known: it need not send its certificate again.
        let body = world.login_of(key, json!({"enrollment_code": code})).await;
        let answer = world.post("/verify", &body).await;
        match refusal {
            Some(refusal) => answer.refused(refusal),
            None => assert_eq!(answer.ok()["oidc_claims"]["groups"], json!(["staff"])),
        }
    }
    world.sign_in(&first).await.ok();
}

pub(crate) async fn a_code_works_on_the_login_page(framework: Framework) {
    let world = world_of(framework, Closed).await;
    let code = code(&world, json!({})).await;
    let key = Key::new();
    for (code, status) in [("wrong", 403), (&*code, 200)] {
        let ask = json!({"fingerprint": key.fingerprint, "origin": ORIGIN});
        let challenge = Challenge::read(&world.client.post("/auth/capauth/challenge", &ask).await);
        let mut body = key.answer(&challenge, world.now());
        body["public_key"] = key.certificate.as_str().into();
        body["enrollment_code"] = code.into();
        assert_eq!(world.client.post("/auth/capauth/verify", &body).await.status, status);
    }
}

pub(crate) async fn attack_code_that_is_wrong_or_past_its_time(framework: Framework) {
    let world = world_of(framework, Closed).await;
    let code = code(&world, json!({"expires_in": 3600})).await;
    let key = Key::new();
    let wrong = ["0".repeat(32), code.to_uppercase() + "0", String::from("x"), code[..31].to_owned()];
    for wrong in &wrong {
        let body = with_code(&world, &key, wrong).await;
        world.post("/verify", &body).await.refused("403 enrollment_closed");
    }
    // Without a proof of possession a good code is worth nothing, and is not used up.
    let mut unproven = with_code(&world, &key, &code).await;
    unproven["nonce_signature"] = Key::new().sign("something else", world.now()).into();
    world.post("/verify", &unproven).await.refused("401 invalid_nonce_signature");
    world.advance(3599);
    let body = with_code(&world, &key, &code).await;
    world.post("/verify", &body).await.ok();

    let late = self::code(&world, json!({"expires_in": 3600})).await;
    world.advance(3600);
    let body = with_code(&world, &Key::new(), &late).await;
    world.post("/verify", &body).await.refused("403 enrollment_closed");
}

pub(crate) async fn attack_code_used_by_many_at_once(framework: Framework) {
    let world = world_of(framework, Closed).await;
    let code = code(&world, json!({})).await;
    let keys: Vec<Key> = (0..8).map(|_| Key::new()).collect();
    let mut bodies = Vec::new();
    for key in &keys {
        bodies.push(with_code(&world, key, &code).await);
    }
    let answers = bodies.iter().map(|body| world.post("/verify", body));
    let answers = futures_util::future::join_all(answers).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    let keys = world.admin("GET", "/keys", Value::Null).await.ok();
    assert_eq!(keys.as_array().unwrap().len(), 1);
}

pub(crate) async fn what_a_code_may_say(framework: Framework) {
    let world = world_of(framework, Closed).await;
    let most = 90 * 24 * 3600;
    for bad in [
        json!({"expires_in": 0}),
        json!({"expires_in": most + 1}),
        json!({"expires_in": "3600"}),
        json!({"expires_in": -1}),
        json!({"groups": "staff"}),
        json!({"groups": ["a b"]}),
        json!({"groups": ["a", "a"]}),
        json!({"groups": [7]}),
        json!([]),
    ] {
        world.admin("POST", "/enrollment-codes", bad).await.refused("400 invalid_request");
    }
    let made = world.admin("POST", "/enrollment-codes", json!({"expires_in": most})).await.ok();
    assert_eq!(made["expires_at"], world.time(most));
    assert_eq!(made["groups"], json!([]));
}

pub(crate) async fn an_administrator_lets_a_key_in_without_its_holder(framework: Framework) {
    for mode in [Closed, Approval, Open] {
        let world = world_of(framework, mode).await;
        let key = Key::new();
        let body = json!({"public_key": key.certificate});
        let answer = world.admin("POST", "/keys/enroll", body.clone()).await.ok();
        assert_eq!(answer, json!({"enrolled": true, "fingerprint": key.fingerprint}));
        world.admin("POST", "/keys/enroll", body).await.refused("409 conflict");
        let login = world.sign_in(&key).await.ok();
        assert_eq!(login["is_new_enrollment"], false);
    }
    let world = world_of(framework, Closed).await;
    let secret = Draft::honest();
    for bad in [
        "no key".to_owned(),
        armored_secret(&secret),
        Draft::certifying().armored(),
        Key::new().revoked(),
        Draft::honest().revoked(ReasonForRevocation::KeyRetired, 0).armored(),
    ] {
        let answer = world.admin("POST", "/keys/enroll", json!({"public_key": bad})).await;
        answer.refused("400 invalid_public_key");
    }
    for bad in [json!({}), json!({"public_key": 7}), json!({"public_key": ""}), json!([])] {
        world.admin("POST", "/keys/enroll", bad).await.refused("400 invalid_request");
    }
}

pub(crate) async fn attack_barred_key_let_in_again(framework: Framework) {
    let world = world_of(framework, Open).await;
    let (old, new) = (world.member().await, Key::new());
    world.rotate(&old, &new).await.ok();
    world.admin("POST", "/keys/erase", json!({"fingerprint": new.fingerprint})).await.ok();
    for key in [&old, &new] {
        world.try_enrol(key).await.refused("409 conflict");
        let body = json!({"public_key": key.certificate});
        world.admin("POST", "/keys/enroll", body).await.refused("409 conflict");
        let code = code(&world, json!({})).await;
        let body = with_code(&world, key, &code).await;
        world.post("/verify", &body).await.refused("409 conflict");
        let body = world.link_of_new(&world.member().await, key).await;
        world.post("/link", &body).await.refused("409 conflict");
    }
    let gone = world.member().await;
    world.admin("POST", "/keys/erase", json!({"fingerprint": gone.fingerprint})).await.ok();
    world.enrol(&gone).await;
}

pub(crate) async fn a_key_that_waits_is_forgotten_after_two_weeks(framework: Framework) {
    let world = world_of(framework, Approval).await;
    let (forgotten, approved) = (Key::new(), Key::new());
    for key in [&forgotten, &approved] {
        world.try_enrol(key).await.refused("403 enrollment_pending");
        assert_eq!(world.listed(key).await["approved"], false);
    }
    world.admin("POST", "/keys/approve", json!({"fingerprint": approved.fingerprint})).await.ok();
    world.advance(14 * DAY - 6);
    world.sign_in(&forgotten).await.refused("403 enrollment_pending");
    world.advance(7);
    world.sign_in(&approved).await.ok();
    world.sign_in(&forgotten).await.refused("401 unknown_fingerprint");
    assert_eq!(world.listed(&forgotten).await, Value::Null);
    world.try_enrol(&forgotten).await.refused("403 enrollment_pending");
}

pub(crate) async fn attack_queue_of_new_keys_filled_from_one_address(framework: Framework) {
    let world = world_of(framework, Approval).await;
    let keys: Vec<Key> = (0..5).map(|_| Key::new()).collect();
    for key in &keys {
        world.try_enrol(key).await.refused("403 enrollment_pending");
    }
    let one_more = Key::new();
    let refused = world.try_enrol(&one_more).await;
    refused.refused("429 too_many_requests");
    assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "no Retry-After");
    // Those that wait are told so as before, and another address has places of its own.
    world.try_enrol(&keys[0]).await.refused("403 enrollment_pending");
    let elsewhere: IpAddr = "127.0.0.2".parse().unwrap();
    let other = Client::from_address(&format!("http://{}", world.address), elsewhere);
    let body = world.enrolment_of(&Key::new()).await;
    other.post("/capauth/v1/verify", &body).await.refused("403 enrollment_pending");
    // One decided upon makes room.
    world.admin("POST", "/keys/approve", json!({"fingerprint": keys[0].fingerprint})).await.ok();
    world.try_enrol(&one_more).await.refused("403 enrollment_pending");
}
