//! An application's login.

use serde_json::{Value, json};

use crate::person::Person;
use crate::site::{ORIGIN, Site, request};

#[tokio::test]
async fn a_person_signs_in_and_the_site_knows_them() {
    let site = Site::new().await;
    let alice = Person::new("alice");
    let challenge = site.challenge("/auth/capauth/challenge", &alice, json!({"origin": ORIGIN})).await;
    assert_eq!(challenge.service, "app.example.com");
    let mut body = site.answer(&challenge, &alice, &json!({"name": "Alice"}));
    body["redirect"] = "/reports?year=2026&all=1".into();
    let answer = site.post("/auth/capauth/verify", &[("origin", ORIGIN)], &body).await;
    assert_eq!(answer.json(), json!({"ok": true, "redirect": "/reports?year=2026&all=1"}));
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-capauth="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax"), "{cookie}");

    let me = site.get("/auth/capauth/me", &[("cookie", &answer.new_cookie())]).await;
    assert_eq!(me.status(), 200);
    assert_eq!(me.json()["name"], "Alice");
    assert_eq!(me.json()["sub"], alice.fingerprint());
    assert_eq!(me.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_server_makes_the_clients_nonce_when_there_is_none() {
    let site = Site::new().await;
    let alice = Person::new("alice");
    let body = json!({"fingerprint": alice.fingerprint()});
    let answers = [
        site.post("/auth/capauth/challenge", &[], &body).await,
        site.post("/auth/capauth/challenge", &[], &body).await,
    ];
    let nonces = answers.map(|answer| answer.json()["client_nonce_echo"].as_str().unwrap().to_owned());
    assert_eq!(nonces[0].len(), 24);
    assert_ne!(nonces[0], nonces[1]);
    let service = site.post("/capauth/v1/challenge", &[], &body).await;
    assert_eq!((service.status().as_u16(), service.error().as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn a_failed_login_says_so_and_sets_no_cookie() {
    let site = Site::new().await;
    let (alice, mallory) = (Person::new("alice"), Person::new("mallory"));
    let challenge = site.challenge("/auth/capauth/challenge", &alice, json!({})).await;
    let mut body = site.answer(&challenge, &mallory, &Value::Null);
    body["fingerprint"] = alice.fingerprint().into();
    body["public_key"] = alice.public_key().into();
    let answer = site.post("/auth/capauth/verify", &[], &body).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.json()["ok"], false);
    assert_eq!(answer.error(), "invalid_nonce_signature");
    assert_eq!(answer.header("set-cookie"), "");
    let broken = site.post("/auth/capauth/verify", &[], &json!({})).await;
    assert_eq!((broken.status().as_u16(), &broken.json()["ok"]), (400, &Value::Bool(false)));
}

#[tokio::test]
async fn attack_open_redirect_after_a_login() {
    let site = Site::new().await;
    let alice = Person::new("alice");
    for bad in
        ["//evil.example", "https://evil.example", "/\\evil.example", "/%2f/evil.example", "/\u{ff0f}evil"]
    {
        let challenge = site.challenge("/auth/capauth/challenge", &alice, json!({})).await;
        let mut body = site.answer(&challenge, &alice, &Value::Null);
        body["redirect"] = bad.into();
        let answer = site.post("/auth/capauth/verify", &[], &body).await;
        assert_eq!(answer.json(), json!({"ok": true, "redirect": "/"}), "{bad}");
    }
}

#[tokio::test]
async fn attack_challenge_of_another_service_makes_no_session_here() {
    let site = Site::with(|config| config.service(capauth_tower::ServiceEntry::new("b.example.com"))).await;
    let alice = Person::new("alice");
    let challenge =
        site.challenge("/capauth/v1/challenge", &alice, json!({"requested_service": "b.example.com"})).await;
    assert_eq!(challenge.service, "b.example.com");
    let answer = site.post("/auth/capauth/verify", &[], &site.answer(&challenge, &alice, &Value::Null)).await;
    assert_eq!((answer.status().as_u16(), answer.error().as_str()), (400, "service_mismatch"));
    assert_eq!(answer.header("set-cookie"), "");
    // Nor does the application's own endpoint make challenges for others.
    let own = site
        .challenge("/auth/capauth/challenge", &alice, json!({"requested_service": "b.example.com"}))
        .await;
    assert_eq!(own.service, "app.example.com");
}

#[tokio::test]
async fn a_session_ends_with_its_lifetime() {
    let site = Site::with(|config| config.session_lifetime(std::time::Duration::from_secs(60))).await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    site.advance(59);
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 200);
    site.advance(1);
    let ended = site.get("/auth/capauth/me", &[("cookie", &cookie)]).await;
    assert_eq!(ended.status(), 401);
    assert!(ended.clears_cookie());
}

#[tokio::test]
async fn attack_cookie_changed_or_of_another_installation() {
    let (site, other) = (Site::new().await, Site::new().await);
    let alice = Person::new("alice");
    let cookie = site.cookie(&alice, Value::Null).await;
    other.cookie(&alice, Value::Null).await;
    assert_eq!(other.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 401);
    let place = cookie.len() - 5;
    let changed = format!(
        "{}{}{}",
        &cookie[..place],
        if &cookie[place..=place] == "A" { "B" } else { "A" },
        &cookie[place + 1..]
    );
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &changed)]).await.status(), 401);
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 200);
}

#[tokio::test]
async fn attack_second_cookie_of_our_name_signs_nobody_in() {
    let site = Site::new().await;
    let (alice, mallory) = (Person::new("alice"), Person::new("mallory"));
    let (alices, mallorys) =
        (site.cookie(&alice, Value::Null).await, site.cookie(&mallory, Value::Null).await);
    let both = format!("{mallorys}; {alices}");
    let answer = site.get("/auth/capauth/me", &[("cookie", &both)]).await;
    assert_eq!(answer.status(), 401);
    assert!(answer.clears_cookie());
    let split = site.get("/auth/capauth/me", &[("cookie", &mallorys), ("cookie", &alices)]).await;
    assert_eq!(split.status(), 401);
    let other = site.get("/auth/capauth/me", &[("cookie", "theme=dark"), ("cookie", &alices)]).await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn attack_session_of_the_loopback_mode_in_secure_mode() {
    let stores = capauth_verifier::memory::stores().unwrap();
    let insecure = Site::on(stores.clone(), |c| c.base_url(ORIGIN).insecure_http_on_loopback(3000)).await;
    let secure = Site::on(stores, |config| config).await;
    let alice = Person::new("alice");
    let challenge = insecure
        .challenge("/auth/capauth/challenge", &alice, json!({"origin": "http://localhost:3000"}))
        .await;
    let body = insecure.answer(&challenge, &alice, &Value::Null);
    let answer = insecure.post("/auth/capauth/verify", &[("origin", "http://127.0.0.1:3000")], &body).await;
    let cookie = answer.new_cookie();
    assert!(cookie.starts_with("capauth-insecure=") && !answer.header("set-cookie").contains("Secure"));
    assert_eq!(insecure.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 200);
    let answer = secure.get("/auth/capauth/me", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status(), 401);
    assert!(!answer.clears_cookie(), "not even seen");
    let own = secure.cookie(&alice, Value::Null).await;
    assert_eq!(insecure.get("/auth/capauth/me", &[("cookie", &own)]).await.status(), 401);
}

#[tokio::test]
async fn without_the_named_loopback_mode_plain_http_signs_nobody_in() {
    let site = Site::new().await;
    let alice = Person::new("alice");
    let body = json!({"fingerprint": alice.fingerprint(), "origin": "http://localhost:3000"});
    let answer = site.post("/auth/capauth/challenge", &[], &body).await;
    assert_eq!(answer.error(), "invalid_origin");
    let answer = site.post("/auth/capauth/challenge", &[("origin", "http://localhost:3000")], &body).await;
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn a_program_asks_who_it_is_with_its_token() {
    let site = Site::new().await;
    let alice = Person::new("alice");
    let bearer = site.bearer(&alice).await;
    let me = site.get("/auth/capauth/me", &[("authorization", &bearer)]).await;
    assert_eq!(me.json()["sub"], alice.fingerprint());
    let bad = site.get("/auth/capauth/me", &[("authorization", "Bearer nonsense")]).await;
    assert_eq!((bad.status().as_u16(), bad.error().as_str()), (401, "invalid_token"));
    assert_eq!(bad.header("www-authenticate"), "Bearer");
    // A request that says nothing is refused in the same form.
    let nobody = site.send(request("GET", "/auth/capauth/me", &[], "")).await;
    assert_eq!(nobody.status(), 401);
    assert_eq!(nobody.header("set-cookie"), "");
}
