//! Answers that are not answers to this, or not any more.

use capauth_tests::http::{CLIENT_NONCE, Challenge, send};
use capauth_tests::keys::armored_secret;
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{APP, APP_ORIGIN, Desktop, ORIGIN, V1, World};

pub(crate) async fn attack_answer_sent_twice(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    let answer = phone.answer_with(&alice, world.now(), desktop.code());
    phone.send(&answer).await.ok();
    phone.send(&answer).await.refused("400 invalid_nonce");
    desktop.status().await.ok();
    phone.send(&answer).await.refused("400 invalid_nonce");
    // And while it waits for the click.
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let answer = phone.answer(&alice, world.now());
    assert_eq!(phone.send(&answer).await.status, 202);
    phone.send(&answer).await.refused("409 conflict");
    desktop.confirm(&alice).await.ok();
    phone.send(&answer).await.refused("400 invalid_nonce");
}

pub(crate) async fn attack_nonce_of_a_qr_code_at_verify(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    // It would let the bystander's own program sign in by what the person signed, without the code.
    let answer = phone.answer_with(&alice, world.now(), desktop.code());
    for path in ["/capauth/v1/verify", "/auth/capauth/verify"] {
        let answered = world.client.post(path, &answer).await;
        assert_eq!(answered.refusal(), "400 invalid_nonce");
    }
    let rotation = json!({
        "nonce": phone.get("nonce"), "old_fingerprint": alice.fingerprint, "timestamp": phone.get("timestamp"),
        "signature": answer["nonce_signature"],
    });
    assert!(world.client.post("/capauth/v1/rotate/cancel", &rotation).await.status >= 400);
    phone.send(&answer).await.ok();
}

pub(crate) async fn attack_nonce_of_a_challenge_at_qr_verify(framework: Framework) {
    let world = World::new(framework).await;
    let alice = Key::new();
    let ask = json!({"fingerprint": alice.fingerprint, "client_nonce": CLIENT_NONCE, "origin": ORIGIN});
    let challenge = Challenge::read(&world.client.post("/capauth/v1/challenge", &ask).await);
    let mut answer = alice.answer(&challenge, world.now());
    answer["public_key"] = alice.certificate.as_str().into();
    answer["code"] = "000000".into();
    let path = format!("{V1}/qr-verify/{}", challenge.get("nonce"));
    world.client.post(&path, &answer).await.refused("400 invalid_nonce");
    // It is where it was.
    world.client.post("/capauth/v1/verify", &answer).await.ok();
}

pub(crate) async fn attack_answer_to_another_qr_code(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, other, alice) = (world.desktop().await, world.desktop().await, Key::new());
    let (phone, others) = (world.phone(&desktop), world.phone(&other));
    let answer = phone.answer_with(&alice, world.now(), other.code());
    // As it is, and with the other one's nonce written into it.
    world.client.post(others.callback(), &answer).await.refused("400 invalid_nonce");
    let mut renamed = answer.clone();
    renamed["nonce"] = others.get("nonce").into();
    world.client.post(others.callback(), &renamed).await.refused("401 invalid_nonce_signature");
    // Another time, another client's nonce: nothing of what is signed can be another's.
    for name in ["client_nonce_echo", "timestamp", "expires", "service", "origin"] {
        let mut spoiled = world.phone(&desktop);
        spoiled.scanned[name] = format!("{}x", spoiled.get(name)).into();
        let answer = spoiled.answer_with(&alice, world.now(), desktop.code());
        world.client.post(phone.callback(), &answer).await.refused("401 invalid_nonce_signature");
    }
    others.send(&others.answer_with(&alice, world.now(), other.code())).await.ok();
}

pub(crate) async fn attack_signature_that_names_no_origin(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    let v1 = phone.payload().replace("_V2\n", "_V1\n").replace(&format!("origin={ORIGIN}\n"), "");
    let mut answer = phone.answer_with(&alice, world.now(), desktop.code());
    answer["nonce_signature"] = alice.sign(&v1, world.now()).into();
    phone.send(&answer).await.refused("401 invalid_nonce_signature");
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
}

pub(crate) async fn attack_origin_of_another_service(framework: Framework) {
    let world = World::new(framework).await;
    let challenge = format!("{V1}/qr-challenge");
    for (service, origin) in [("", APP_ORIGIN), (APP, ORIGIN), (APP, "https://evil.example"), ("", "null")] {
        let body = json!({"requested_service": service, "origin": origin});
        world.client.post(&challenge, &body).await.refused("400 invalid_origin");
    }
    let page = json!({"requested_service": APP, "origin": APP_ORIGIN});
    // An application's own page asks for that application alone.
    world.client.post("/auth/capauth/qr-challenge", &page).await.refused("400 invalid_origin");
    let desktop = Desktop::at(world.client_of_its_own(), V1, page).await;
    assert_eq!(desktop.get("origin"), APP_ORIGIN);
    // What is signed for one service's page yields nothing at the other's.
    let (phone, alice) = (world.phone(&desktop), Key::new());
    let answer = phone.answer_with(&alice, world.now(), desktop.code());
    world.client.post(&format!("{V1}/qr-verify/{}", phone.get("nonce")), &answer).await.ok();
    let path = format!("/auth/capauth/qr-status/{}", desktop.get("nonce"));
    let fetched = world.client.get_as(desktop.get("poll_token"), &path).await;
    fetched.refused("400 service_mismatch");
    assert_eq!(fetched.header("set-cookie"), "");
}

pub(crate) async fn attack_answer_that_comes_too_late(framework: Framework) {
    let world = World::new(framework).await;
    let alice = Key::new();
    let ended = json!({"status": "expired", "completed": false, "reason": "time"});
    let (desktop, waiting) = (world.desktop().await, world.desktop().await);
    let (phone, waits) = (world.phone(&desktop), world.phone(&waiting));
    assert_eq!(waits.send(&waits.answer(&alice, world.now())).await.status, 202);
    world.advance(119);
    assert_eq!(desktop.status().await.ok()["status"], "pending");
    world.advance(1);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.refused("400 expired_nonce");
    waiting.confirm(&alice).await.refused("400 expired_nonce");
    assert_eq!((desktop.status().await.ok(), waiting.status().await.ok()), (ended.clone(), ended));
    assert!(!world.is_enrolled(&alice).await);
    // In time it is.
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    world.advance(119);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    world.advance(59);
    assert!(desktop.status().await.ok()["access_token"].is_string());
}

pub(crate) async fn attack_result_that_nobody_fetched_in_time(framework: Framework) {
    let world = World::new(framework).await;
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&Key::new(), world.now(), desktop.code())).await.ok();
    world.advance(60);
    let ended = json!({"status": "expired", "completed": false, "reason": "time"});
    assert_eq!(desktop.status().await.ok(), ended);
    // And some time later nobody remembers.
    world.advance(600);
    world.desktop().await;
    desktop.status().await.refused("400 invalid_nonce");
}

pub(crate) async fn attack_server_signature_reflected(framework: Framework) {
    let key = Key::new();
    let armor = armored_secret(&key.draft);
    let world = World::with(framework, |config| config.server_key(armor, None)).await;
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let reflected = json!({
        "fingerprint": key.fingerprint, "nonce": phone.get("nonce"),
        "nonce_signature": desktop.get("server_signature"), "public_key": desktop.get("server_public_key"),
        "code": desktop.code(),
    });
    phone.send(&reflected).await.refused("403 forbidden");
    phone.send(&phone.answer_with(&Key::new(), world.now(), desktop.code())).await.ok();
}

pub(crate) async fn attack_key_revoked_while_its_answer_waited(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    assert_eq!(phone.send(&phone.answer(&alice, world.now())).await.status, 202);
    // Its own revocation needs no login, and is believed from whoever brings it: at these paths too.
    let other = world.desktop().await;
    let others = world.phone(&other);
    let mut revocation = others.answer_with(&alice, world.now(), other.wrong_code(0));
    revocation["public_key"] = alice.revoked().into();
    assert_eq!(others.send(&revocation).await.status, 401);
    desktop.confirm(&alice).await.refused("401 key_revoked");
    let ended = json!({"status": "expired", "completed": false, "reason": "refused"});
    assert_eq!(desktop.status().await.ok(), ended);
}

pub(crate) async fn attack_key_revoked_before_the_result_was_fetched(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    let local = world.capauth.local_verifier().unwrap();
    let administration = local.administration(capauth_verifier::Actor::Administrator, None);
    administration.revoke(&alice.draft.fingerprint()).await.unwrap();
    let ended = json!({"status": "expired", "completed": false, "reason": "refused"});
    assert_eq!(desktop.status().await.ok(), ended);
}

/// What the middle part of a token says.
fn token_claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).expect("a token has three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&bytes).expect("JSON")
}

pub(crate) async fn attack_administration_from_another_device(framework: Framework) {
    let admin = Key::new();
    let key = admin.draft.fingerprint();
    let world = World::with(framework, |config| config.admin_fingerprints([key])).await;
    let keys = async |cookie: &str| {
        send(world.client.request("GET", "/capauth/v1/keys").header("cookie", cookie)).await
    };
    let cookie = |header: &str| header.split(';').next().unwrap_or_default().to_owned();
    // By the code and by the click.
    for with_code in [true, false] {
        let page = world.page().await;
        let phone = world.phone(&page);
        let mut answer = phone.answer(&admin, world.now());
        if with_code {
            answer["code"] = page.code().into();
        }
        phone.send(&answer).await;
        if !with_code {
            page.confirm(&admin).await.ok();
        }
        let signed_in = page.status().await;
        signed_in.ok();
        let refused = keys(&cookie(signed_in.header("set-cookie"))).await;
        refused.refused("403 forbidden");
        assert!(refused.json()["error_description"].as_str().unwrap().contains("another device"));
        // Their browser says so in a page.
        let cookie = cookie(signed_in.header("set-cookie"));
        let page = world.client.request("GET", "/capauth/admin").header("cookie", cookie);
        let page = send(page.header("accept", "text/html")).await;
        assert_eq!(page.status, 403);
        assert!(page.text().contains("Sign in on this device to administer"), "{}", page.text());
    }
    // The token says it too, so that no session made of it forgets.
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&admin, world.now(), desktop.code())).await.ok();
    let token = desktop.status().await.ok()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(token_claims(&token)["capauth_qr"], true);
    assert_eq!(token_claims(&token)["amr"], json!(["pgp"]));
    world.client.get_as(&token, "/capauth/v1/keys").await.refused("403 forbidden");
    // On this device it administers.
    let ask = json!({"fingerprint": admin.fingerprint, "origin": ORIGIN});
    let challenge = Challenge::read(&world.client.post("/auth/capauth/challenge", &ask).await);
    let answer = world.client.post("/auth/capauth/verify", &admin.answer(&challenge, world.now())).await;
    answer.ok();
    keys(&cookie(answer.header("set-cookie"))).await.ok();
}
