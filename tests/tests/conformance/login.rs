//! Signing in.

use capauth_tests::http::Challenge;
use capauth_tests::sites::{COOKIE, ORIGIN, OTHER_SERVICE};
use capauth_tower::Clock as _;
use capauth_verifier::{Caller, Verifier as _};
use serde_json::{Value, json};

use crate::visit::{CHALLENGE, VERIFY, Visit, get, post};

pub(crate) async fn a_key_enrols_once_and_returns_without_its_certificate(visit: &Visit<'_>) {
    let (alice, now) = (&visit.cast.alice, visit.site.clock().now());
    let stranger = alice.answer(&visit.challenge(alice, Some(ORIGIN)).await, now);
    visit.step("a key that nobody knows", post(VERIFY).json(&stranger), "401 unknown_fingerprint").await;
    let asked = post(CHALLENGE).header("origin", ORIGIN).json(&alice.ask(Some(ORIGIN)));
    let challenge = Challenge(visit.step("a challenge", asked, "200").await.json());
    assert_eq!((challenge.get("service"), challenge.get("origin")), ("app.example.com", ORIGIN));
    let login = post(VERIFY).header("origin", ORIGIN).json(&alice.enrolling(&challenge, now));
    let first = visit.step("the first login", login.clone(), "200").await;
    assert!(first.cookie().starts_with(&format!("{COOKIE}=")), "{first:?}");
    assert_eq!(first.json(), json!({"ok": true, "redirect": "/"}));
    visit.step("the same answer once more", login, "400 invalid_nonce").await;
    let again = alice.answer(&visit.challenge(alice, Some(ORIGIN)).await, now);
    let second = visit.step("without the certificate", post(VERIFY).json(&again), "200").await;
    assert_ne!(first.cookie(), second.cookie());
    for (name, cookie) in [("the first session", first.cookie()), ("the second session", second.cookie())] {
        let me = visit.step(name, get("/auth/capauth/me").header("cookie", cookie), "200").await;
        assert_eq!(me.json()["sub"], alice.fingerprint.to_string());
    }
}

pub(crate) async fn a_program_signs_for_no_page(visit: &Visit<'_>) {
    let (alice, now) = (&visit.cast.alice, visit.site.clock().now());
    let asked = post(CHALLENGE).json(&alice.ask(None));
    let challenge = Challenge(visit.step("a challenge", asked, "200").await.json());
    assert_eq!(challenge.get("origin"), "");
    assert!(challenge.payload().starts_with("CAPAUTH_NONCE_V1\n"));
    let login = visit.step("a login", post(VERIFY).json(&alice.enrolling(&challenge, now)), "200").await;
    visit.step("its session", get("/me").header("cookie", login.cookie()), "200").await;
    // Without a nonce of the client's the site makes one.
    let bare = json!({"fingerprint": alice.fingerprint.to_string()});
    let answer = post(CHALLENGE).json(&bare).send(visit.site.address()).await;
    assert_eq!(answer.status, 200, "{:?}: {}", visit.site, answer.text());
    assert_eq!(Challenge(answer.json()).get("client_nonce_echo").len(), 24);
}

pub(crate) async fn a_new_key_waits_for_approval(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    for name in ["the first try", "the second try"] {
        let login = post(VERIFY).json(&visit.login_of(alice).await);
        let pending = visit.step(name, login, "403 enrollment_pending").await;
        assert_eq!((&pending.json()["ok"], pending.header("set-cookie")), (&json!(false), ""));
    }
    visit.site.admin().approve(&alice.fingerprint).await.expect("a key that waits");
    let login = post(VERIFY).json(&visit.login_of(alice).await);
    let cookie = visit.step("approved", login, "200").await.cookie();
    visit.step("the session", get("/me").header("cookie", cookie), "200").await;
}

pub(crate) async fn claims_are_shared_with_the_application(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let claims = json!({"agent_type": "human", "email": "alice@example.org", "groups": ["admins"], "name": "Älice \"A\""});
    let cookie = visit.cookie_claiming(alice, &claims).await;
    for (name, path) in [("to the application", "/me"), ("to the page", "/auth/capauth/me")] {
        let me = visit.step(name, get(path).header("cookie", &cookie), "200").await.json();
        assert_eq!((&me["name"], &me["email_verified"]), (&claims["name"], &json!(false)), "{me}");
        // Nobody is in a group because they say so.
        assert!(me.get("groups").is_none_or(|groups| *groups == json!([])), "{me}");
    }
    visit.step("of an asserted group", get("/admin").header("cookie", &cookie), "403 forbidden").await;
}

pub(crate) async fn attack_signature_of_another_key(visit: &Visit<'_>) {
    let (cast, now) = (visit.cast, visit.site.clock().now());
    let (alice, mallory) = (&cast.alice, &cast.mallory);
    let honest = visit.login_of(alice).await;
    let challenge = visit.challenge(alice, Some(ORIGIN)).await;
    let forged = mallory.answer(&challenge, now)["nonce_signature"].clone();
    let with = |name: &str, value: &Value| {
        let mut login = honest.clone();
        login[name] = value.clone();
        post(VERIFY).json(&login)
    };
    let text = with("nonce_signature", &"no signature".into());
    let answer = visit.step("no signature at all", text, "401 invalid_nonce_signature").await;
    assert_eq!((&answer.json()["ok"], answer.header("set-cookie")), (&json!(false), ""));
    visit.step("another key's", with("nonce_signature", &forged), "401 invalid_nonce_signature").await;
    let theirs = with("public_key", &mallory.certificate.as_str().into());
    visit.step("another's certificate", theirs, "401 fingerprint_mismatch").await;
    let mut claiming = honest.clone();
    mallory.claim(&mut claiming, &json!({"name": "Alice"}), now);
    visit.step("claims by another", post(VERIFY).json(&claiming), "401 invalid_claims_signature").await;
    alice.claim(&mut claiming, &json!({"name": "Alice"}), now);
    visit.step("all by the same", post(VERIFY).json(&claiming), "200").await;
}

pub(crate) async fn attack_challenge_of_another_login(visit: &Visit<'_>) {
    let (cast, now) = (visit.cast, visit.site.clock().now());
    let challenge = visit.challenge(&cast.alice, Some(ORIGIN)).await;
    let stolen = post(VERIFY).json(&cast.mallory.enrolling(&challenge, now));
    visit.step("somebody else's", stolen, "400 invalid_nonce").await;
    let mut unknown = visit.login_of(&cast.alice).await;
    unknown["nonce"] = "00000000-0000-4000-8000-000000000000".into();
    visit.step("one never made", post(VERIFY).json(&unknown), "400 invalid_nonce").await;
    let late = visit.challenge(&cast.alice, Some(ORIGIN)).await;
    let honest = post(VERIFY).json(&cast.alice.enrolling(&challenge, now));
    visit.step("one's own in time", honest, "200").await;
    visit.site.advance(61).await;
    let late = post(VERIFY).json(&cast.alice.enrolling(&late, visit.site.clock().now()));
    visit.step("one's own too late", late, "400 expired_nonce").await;
}

pub(crate) async fn attack_challenge_for_another_service(visit: &Visit<'_>) {
    let (alice, now) = (&visit.cast.alice, visit.site.clock().now());
    // The page's own challenge is for the page's own service, whatever was asked for.
    let mut ask = alice.ask(Some(ORIGIN));
    ask["requested_service"] = OTHER_SERVICE.into();
    let answer = visit.step("asked for at the page", post(CHALLENGE).json(&ask), "200").await;
    assert_eq!(answer.json()["service"], "app.example.com");
    for (name, origin) in [("another origin", "https://evil.example"), ("no origin", "null")] {
        let ask = post(CHALLENGE).json(&alice.ask(Some(origin)));
        visit.step(name, ask, "400 invalid_origin").await;
    }
    let mut ask = alice.ask(None);
    ask["requested_service"] = OTHER_SERVICE.into();
    let ask = capauth_protocol::request::ChallengeRequest::parse(ask.to_string().as_bytes()).unwrap();
    let challenge = visit.site.admin().challenge(&ask, &Caller::default()).await.expect("a challenge");
    let challenge = Challenge(serde_json::to_value(challenge).unwrap());
    assert_eq!(challenge.get("service"), OTHER_SERVICE);
    let relayed = post(VERIFY).json(&alice.enrolling(&challenge, now));
    let answer = visit.step("signed for another service", relayed, "400 service_mismatch").await;
    assert_eq!((&answer.json()["ok"], answer.header("set-cookie")), (&json!(false), ""));
    visit.step("signed for this one", post(VERIFY).json(&visit.login_of(alice).await), "200").await;
}

pub(crate) async fn malformed_logins_are_refused(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let good = visit.login_of(alice).await;
    for (name, member, value, refusal) in [
        ("a short fingerprint", "fingerprint", json!("ABC"), "400 invalid_fingerprint"),
        ("a fingerprint of another type", "fingerprint", json!(1), "400 invalid_request"),
        ("another version", "capauth_version", json!("2.0"), "400 unsupported_version"),
        ("no UUID", "nonce", json!("x"), "400 invalid_nonce"),
        ("no certificate", "public_key", json!("x"), "400 invalid_public_key"),
        ("a long signature", "nonce_signature", json!("x".repeat(64 * 1024 + 1)), "400 invalid_request"),
        ("a control character", "redirect", json!("/\t/evil.example"), "400 invalid_request"),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let answer = visit.step(name, post(VERIFY).json(&bad), refusal).await;
        assert_eq!((&answer.json()["ok"], answer.header("set-cookie")), (&json!(false), ""), "{name}");
    }
    visit.step("as it should be", post(VERIFY).json(&good), "200").await;
}
