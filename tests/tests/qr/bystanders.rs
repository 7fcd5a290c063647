//! Somebody who saw the QR code, and nothing else.

use std::sync::Arc;

use capauth_tests::http::{Answer, Client, send};
use capauth_verifier::Stores;
use capauth_verifier::memory::{self, MemoryQrStore};
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{Desktop, ORIGIN, PAGE, V1, World};

const NOBODYS: &str = "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90";

/// What an answer says, but for what is another's in every answer.
fn shape(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json())
}

pub(crate) async fn attack_status_without_the_poll_token(framework: Framework) {
    let world = World::new(framework).await;
    let alice = Key::new();
    let unknown = world.client.get(&format!("{V1}/qr-status/{NOBODYS}")).await;
    unknown.refused("400 invalid_nonce");
    for done in [false, true] {
        let (desktop, other) = (world.desktop().await, world.desktop().await);
        if done {
            let phone = world.phone(&desktop);
            phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
        }
        let path = desktop.status_path();
        let (most, last) = desktop.get("poll_token").split_at(42);
        let wrong = format!("{most}{}", if last == "A" { "E" } else { "A" });
        let everything = desktop.picture();
        for token in [&wrong, other.get("poll_token"), desktop.get("nonce"), desktop.get("code"), "x"] {
            assert_eq!(shape(&world.client.get_as(token, &path).await), shape(&unknown), "{token}");
            let body = json!({"confirm": true, "fingerprint": alice.fingerprint});
            assert_eq!(shape(&world.client.post_as(token, &path, &body).await), shape(&unknown));
            let stream = world.client.request("GET", &path).bearer_auth(token);
            let stream = send(stream.header("accept", "text/event-stream")).await;
            assert_eq!(shape(&stream), shape(&unknown));
        }
        for header in ["", "Bearer", "Basic abc", "Bearer a b", &format!("Bearer {everything}")] {
            let request = world.client.request("GET", &path).header("authorization", header);
            assert_eq!(shape(&send(request).await), shape(&unknown), "{header}");
        }
        assert_eq!(shape(&world.client.get(&path).await), shape(&unknown));
        // All this used nothing up.
        assert_eq!(desktop.status().await.ok()["completed"], done);
    }
}

pub(crate) async fn attack_poll_token_in_the_query(framework: Framework) {
    let world = World::new(framework).await;
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&Key::new(), world.now(), desktop.code())).await.ok();
    // Where it would stand in logs and histories it is none.
    for name in ["poll_token", "token", "access_token", "authorization"] {
        let path = format!("{}?{name}={}", desktop.status_path(), desktop.get("poll_token"));
        world.client.get(&path).await.refused("400 invalid_nonce");
    }
    assert!(desktop.status().await.ok()["access_token"].is_string());
}

pub(crate) async fn attack_answer_without_the_code(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice, mallory) = (world.page().await, Key::new(), Key::new());
    let bystander = world.phone(&desktop);
    // It would sign the desktop in as the attacker.
    assert_eq!(bystander.send(&bystander.answer(&mallory, world.now())).await.status, 202);
    let status = desktop.status().await;
    assert_eq!((status.json()["completed"].clone(), status.header("set-cookie")), (json!(false), ""));
    assert!(!world.is_enrolled(&mallory).await);
    // The person looks at the fingerprint, or types the code: both get them what they want.
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    assert_eq!(desktop.status().await.ok()["fingerprint"], alice.fingerprint);
}

pub(crate) async fn attack_code_guessed_by_who_proves_nothing(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice) = (world.desktop().await, Key::new());
    let phone = world.phone(&desktop);
    // Without a good signature no code counts, and the right one is answered as a wrong one is.
    let mut heard = Vec::new();
    for number in 0..8 {
        let code = if number == 4 { desktop.code() } else { desktop.wrong_code(number) };
        let mut answer = phone.answer_with(&alice, world.now(), code);
        answer["nonce_signature"] = alice.sign("something else", world.now()).into();
        let answered = phone.send(&answer).await;
        answered.refused("401 invalid_nonce_signature");
        heard.push(answered.text());
    }
    assert!(heard.iter().all(|text| *text == heard[0]));
    let mut unknown = phone.answer_with(&alice, world.now(), desktop.wrong_code(0));
    unknown.as_object_mut().unwrap().remove("public_key");
    for _ in 0..4 {
        phone.send(&unknown).await.refused("401 unknown_fingerprint");
    }
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
}

pub(crate) async fn attack_three_wrong_codes(framework: Framework) {
    let world = World::new(framework).await;
    let alice = Key::new();
    for wrong in 0..=3 {
        let desktop = world.desktop().await;
        let phone = world.phone(&desktop);
        for number in 0..wrong {
            // Of whoever: a new key does not begin anew.
            let answer = phone.answer_with(&Key::new(), world.now(), desktop.wrong_code(number));
            phone.send(&answer).await.refused("401 invalid_code");
        }
        let answered = phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await;
        if wrong < 3 {
            answered.ok();
            continue;
        }
        answered.refused("400 invalid_nonce");
        let ended = json!({"status": "expired", "completed": false, "reason": "wrong_code"});
        assert_eq!(desktop.status().await.ok(), ended);
        phone.send(&phone.answer(&alice, world.now())).await.refused("400 invalid_nonce");
    }
}

pub(crate) async fn attack_wrong_codes_all_at_once(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, mallory) = (world.desktop().await, Key::new());
    let phone = Arc::new(world.phone(&desktop));
    let tries = (0..64).map(|number| {
        let answer = phone.answer_with(&mallory, world.now(), desktop.wrong_code(number));
        let phone = Arc::clone(&phone);
        tokio::spawn(async move { phone.send(&answer).await.refusal() })
    });
    let mut counted = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap().as_str() {
            "401 invalid_code" => counted += 1,
            other => assert_eq!(other, "400 invalid_nonce"),
        }
    }
    assert_eq!(counted, 3);
    assert!(!world.is_enrolled(&mallory).await);
}

pub(crate) async fn attack_result_fetched_by_sixty_four(framework: Framework) {
    let world = World::new(framework).await;
    let desktop = Arc::new(world.desktop().await);
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&Key::new(), world.now(), desktop.code())).await.ok();
    let fetches = (0..64).map(|_| {
        let desktop = Arc::clone(&desktop);
        tokio::spawn(async move { desktop.status().await.ok() })
    });
    let mut tokens = 0;
    for fetched in fetches.collect::<Vec<_>>() {
        let status = fetched.await.unwrap();
        assert_eq!(status["status"], "authenticated");
        tokens += usize::from(status["access_token"].is_string());
    }
    assert_eq!(tokens, 1);
}

pub(crate) async fn attack_answer_swapped_while_the_click_is_awaited(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice, mallory) = (world.desktop().await, Key::new(), Key::new());
    let phone = world.phone(&desktop);
    assert_eq!(phone.send(&phone.answer(&alice, world.now())).await.status, 202);
    // The finger is on its way to the button.
    phone.send(&phone.answer(&mallory, world.now())).await.refused("409 conflict");
    assert_eq!(desktop.status().await.ok()["fingerprint"], alice.fingerprint);
    // Should another key have come all the same, the click is not for it.
    desktop.confirm(&mallory).await.refused("409 conflict");
    desktop.confirm(&alice).await.ok();
    assert_eq!(desktop.status().await.ok()["fingerprint"], alice.fingerprint);
    assert!(!world.is_enrolled(&mallory).await);

    // Turned down, and another one there in no time: a click for the first is none for the second.
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    assert_eq!(phone.send(&phone.answer(&alice, world.now())).await.status, 202);
    desktop.decide(&json!({"confirm": false})).await.ok();
    assert_eq!(phone.send(&phone.answer(&mallory, world.now())).await.status, 202);
    desktop.confirm(&alice).await.refused("409 conflict");
    assert_eq!(desktop.peek().await["completed"], false);
}

pub(crate) async fn attack_code_used_while_somebody_elses_answer_waits(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice, mallory) = (world.desktop().await, Key::new(), Key::new());
    let phone = world.phone(&desktop);
    assert_eq!(phone.send(&phone.answer(&mallory, world.now())).await.status, 202);
    // A wrong code leaves what waits where it is.
    let wrong = phone.answer_with(&alice, world.now(), desktop.wrong_code(0));
    phone.send(&wrong).await.refused("401 invalid_code");
    assert_eq!(desktop.status().await.ok()["fingerprint"], mallory.fingerprint);
    // The right one was read off the screen: nobody keeps its reader out by being there first.
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    desktop.confirm(&mallory).await.refused("400 invalid_nonce");
    assert_eq!(desktop.status().await.ok()["fingerprint"], alice.fingerprint);
    assert!(!world.is_enrolled(&mallory).await);
}

pub(crate) async fn attack_answers_to_wear_the_person_out(framework: Framework) {
    let world = World::new(framework).await;
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    for turn in 1..=3 {
        assert_eq!(phone.send(&phone.answer(&Key::new(), world.now())).await.status, 202);
        let status = desktop.decide(&json!({"confirm": false})).await.ok();
        assert_eq!(status["status"], if turn < 3 { "pending" } else { "expired" });
    }
    phone.send(&phone.answer(&Key::new(), world.now())).await.refused("400 invalid_nonce");
    let ended = json!({"status": "expired", "completed": false, "reason": "declined"});
    assert_eq!(desktop.status().await.ok(), ended);
}

pub(crate) async fn attack_login_declined_by_a_stranger(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, alice, mallory) = (world.desktop().await, Key::new(), Key::new());
    let phone = world.phone(&desktop);
    let mut decline = phone.answer(&mallory, world.now());
    decline["decline"] = true.into();
    // Neither the code nor an answer of one's own.
    phone.send(&decline).await.refused("409 conflict");
    assert_eq!(phone.send(&phone.answer(&alice, world.now())).await.status, 202);
    phone.send(&decline).await.refused("409 conflict");
    // Nor without a key, nor in the name of the one that waits.
    for fingerprint in [&alice.fingerprint, &mallory.fingerprint] {
        let mut forged = decline.clone();
        forged["fingerprint"] = fingerprint.as_str().into();
        forged["public_key"] = Value::Null;
        forged["nonce_signature"] = mallory.sign("something else", world.now()).into();
        assert!(phone.send(&forged).await.status >= 400);
    }
    desktop.confirm(&alice).await.ok();
}

pub(crate) async fn attack_answer_to_find_out_who_is_enrolled(framework: Framework) {
    let world = World::with(framework, |config| config.private_membership(true)).await;
    let (desktop, alice, stranger) = (world.desktop().await, Key::new(), Key::new());
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let mut heard = Vec::new();
    for key in [&alice, &stranger] {
        let mut answer = phone.answer_with(key, world.now(), desktop.code());
        answer["nonce_signature"] = Key::new().sign(&phone.payload(), world.now()).into();
        answer.as_object_mut().unwrap().remove("public_key");
        let answered = phone.send(&answer).await;
        answered.refused("401 unknown_fingerprint");
        heard.push(shape(&answered));
    }
    assert_eq!(heard[0], heard[1]);
    phone.send(&phone.answer_with(&alice, world.now(), desktop.code())).await.ok();
}

pub(crate) async fn attack_flood_of_qr_codes(framework: Framework) {
    let stores: Stores = memory::stores().unwrap().with_qr(Arc::new(MemoryQrStore::with_capacity(64)));
    let world = World::with(framework, |config| {
        config.stores(stores).trusted_proxies(["127.0.0.1".parse().unwrap()])
    })
    .await;
    let from = async |client: &Client, address: &str| {
        let request = client.request("POST", &format!("{V1}/qr-challenge"));
        send(request.header("x-forwarded-for", address).json(&json!({}))).await.ok()
    };
    let honest = from(&world.client, "192.0.2.1").await;
    let first = from(&world.client, "198.51.100.1").await;
    for _ in 0..100 {
        from(&world.client, "198.51.100.1").await;
    }
    let status = async |qr: &Value| {
        let path = format!("{V1}/qr-status/{}", qr["nonce"].as_str().unwrap());
        world.client.get_as(qr["poll_token"].as_str().unwrap(), &path).await
    };
    assert_eq!(status(&honest).await.ok()["status"], "pending");
    status(&first).await.refused("400 invalid_nonce");
}

pub(crate) async fn attack_session_of_the_attacker_in_the_victims_browser(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, mallory) = (world.page().await, Key::new());
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&mallory, world.now(), desktop.code())).await.ok();
    // Another site's page begins, answers, decides or fetches: in the victim's browser it would become their session.
    let evil = [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")];
    for (name, value) in evil {
        let request = |method: &str, path: &str| {
            let request = world.client.request(method, path).header(name, value);
            request.bearer_auth(desktop.get("poll_token"))
        };
        let challenge = request("POST", &format!("{PAGE}/qr-challenge")).json(&json!({}));
        send(challenge).await.refused("403 forbidden");
        let answer = phone.answer(&mallory, world.now());
        send(request("POST", phone.callback()).json(&answer)).await.refused("403 forbidden");
        let decision = request("POST", &desktop.status_path()).json(&json!({"confirm": false}));
        send(decision).await.refused("403 forbidden");
        let fetched = send(request("GET", &desktop.status_path())).await;
        fetched.refused("403 forbidden");
        assert_eq!((fetched.header("set-cookie"), &fetched.json()["ok"]), ("", &json!(false)));
        let preflight = request("OPTIONS", &desktop.status_path())
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization");
        assert_eq!(send(preflight).await.header("access-control-allow-origin"), "");
    }
    let own = world.client.request("GET", &desktop.status_path()).bearer_auth(desktop.get("poll_token"));
    let fetched = send(own.header("sec-fetch-site", "same-origin")).await;
    assert!(fetched.ok()["ok"] == true && fetched.header("set-cookie").starts_with("__Host-capauth="));
    let ask = world.client.request("POST", &format!("{PAGE}/qr-challenge")).header("origin", ORIGIN);
    send(ask.json(&json!({"origin": ORIGIN}))).await.ok();
    let _: Desktop = world.page().await;
}
