//! Real logins and refusals of every endpoint, held against the description.

use capauth_tests::http::{Answer, CLIENT_NONCE, Challenge, send};
use capauth_tower::{EnrollmentMode, ServiceEntry};
use serde_json::{Value, json};

use crate::another_device;
use crate::browser::{Browser, HTML};
use crate::description::DOCUMENT;
use crate::devices::{APP, APP_ORIGIN};
use crate::people::Key;
use crate::servers::Framework;
use crate::told::Told;
use crate::world::{ADMIN_TOKEN, NOBODY, ORIGIN, World, text};

/// A credential of a listed service.
const CREDENTIAL: &str = "a-credential-of-an-application-0123456789";

async fn world() -> World {
    let service = || ServiceEntry::new(APP).origin(APP_ORIGIN).credential(CREDENTIAL.into());
    World::with(Framework::Axum, |config| {
        config.service(service()).admin_fingerprints([NOBODY.parse().unwrap()])
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_is_what_is_described() {
    let world = world().await;
    let mut told = Told::default();
    logins(&world, &mut told).await;
    pages(&world, &mut told).await;
    another_device::logins(&world, &mut told).await;
    tokens(&world, &mut told).await;
    rotations(&world, &mut told).await;
    links(&world, &mut told).await;
    administration(&world, &mut told).await;
    administration_of_a_key(&world, &mut told).await;
    server(&world, &mut told).await;
    another_device::switched_off(&mut told).await;
    waiting(&mut told).await;
    let document = world.client.get(DOCUMENT).await.ok();
    told.is_as_described(&document);
    spoiled(&told, &document);
}

/// What is not as described is found: else the above says nothing.
fn spoiled(told: &Told, document: &Value) {
    let every_one_is_bad = |changed: &Told, what: &str| {
        let judged = changed.judge(document);
        assert!(judged.len() > 20 && judged.iter().all(|said| !said.is_empty()), "{what}: {judged:?}");
    };
    let json = |answer: &Value| answer["type"] == "application/json";
    every_one_is_bad(
        &told.changed(|answer| {
            answer["status"] = 418.into();
            Some(())
        }),
        "another status",
    );
    every_one_is_bad(
        &told.changed(|answer| {
            answer["type"] = "text/none".into();
            Some(())
        }),
        "another type",
    );
    every_one_is_bad(
        &told.changed(|answer| {
            answer["body"].get("error_description")?;
            answer["body"].as_object_mut()?.remove("error_description");
            json(answer).then_some(())
        }),
        "a refusal without words",
    );
    every_one_is_bad(
        &told.changed(|answer| {
            answer["body"].get("error")?;
            answer["body"]["error"] = "method_not_allowed".into();
            Some(())
        }),
        "another reason",
    );
    // Claims may have more members; nothing else may.
    every_one_is_bad(
        &told.changed(|answer| {
            let is_claims =
                answer["body"].get("sub").is_some() && answer["body"].get("capauth_fingerprint").is_some();
            let is_free = answer["path"].as_str()?.ends_with(".json");
            answer["body"].as_object_mut()?.insert("more".to_owned(), 1.into());
            (json(answer) && !is_claims && !is_free).then_some(())
        }),
        "a member that is not described",
    );
}

async fn logins(world: &World, told: &mut Told) {
    let key = Key::new();
    let ask = json!({"fingerprint": key.fingerprint, "client_nonce": CLIENT_NONCE});
    let good = told.note("POST /challenge", world.post("/challenge", &ask).await);
    let challenge = Challenge::read(&good);
    let with = |member: &str, value: Value| {
        let mut body = ask.clone();
        body[member] = value;
        body
    };
    for (member, value, refusal) in [
        ("fingerprint", json!("00"), "400 invalid_fingerprint"),
        ("client_nonce", json!(null), "400 invalid_request"),
        ("requested_service", json!("elsewhere.example.com"), "400 service_mismatch"),
        ("origin", json!("https://elsewhere.example.com"), "400 invalid_origin"),
        ("capauth_version", json!("2.0"), "400 unsupported_version"),
    ] {
        told.note("POST /challenge", world.post("/challenge", &with(member, value)).await).refused(refusal);
    }
    let plain = world.client.request("POST", "/capauth/v1/challenge").body("text");
    told.note("POST /challenge", send(plain).await).refused("415 unsupported_media_type");

    let claims = json!({"name": "Test", "locale": "en", "groups": [], "capauth_level": 3});
    let mut body = key.claiming(&challenge, Some(&claims), world.now());
    told.note("POST /verify", world.post("/verify", &body).await).refused("401 unknown_fingerprint");
    body["public_key"] = Key::new().certificate.into();
    told.note("POST /verify", world.post("/verify", &body).await).refused("401 fingerprint_mismatch");
    body["public_key"] = key.certificate.as_str().into();
    body["refresh"] = true.into();
    told.note("POST /verify", world.post("/verify", &body).await).ok();
    told.note("POST /verify", world.post("/verify", &body).await).refused("400 invalid_nonce");
    body["nonce_signature"] = "none".into();
    body["nonce"] = world.challenge(&key).await.get("nonce").into();
    told.note("POST /verify", world.post("/verify", &body).await).refused("401 invalid_nonce_signature");
}

async fn pages(world: &World, told: &mut Told) {
    let key = world.member().await;
    told.note("GET /auth/capauth/login", world.client.get("/auth/capauth/login?redirect=/a").await);
    form(world, told, &key).await;
    files(world, told, &key).await;
    let ask = json!({"fingerprint": key.fingerprint, "origin": ORIGIN});
    let answer = world.client.post("/auth/capauth/challenge", &ask).await;
    let challenge = Challenge::read(&told.note("POST /auth/capauth/challenge", answer));
    let elsewhere =
        send(world.client.request("POST", "/auth/capauth/challenge").header("origin", "null").json(&ask));
    told.note("POST /auth/capauth/challenge", elsewhere.await).refused("403 forbidden");
    let mut body = key.answer(&challenge, world.now());
    body["redirect"] = "/after".into();
    let answer =
        told.note("POST /auth/capauth/verify", world.client.post("/auth/capauth/verify", &body).await);
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let again =
        told.note("POST /auth/capauth/verify", world.client.post("/auth/capauth/verify", &body).await);
    assert_eq!(again.json()["ok"], false);
    let browse = |method, path| world.browse(&cookie, ORIGIN, method, path, &Value::Null);
    told.note("GET /auth/capauth/me", browse("GET", "/auth/capauth/me").await).ok();
    told.note("GET /auth/capauth/me", world.client.get("/auth/capauth/me").await)
        .refused("401 invalid_token");
    let elsewhere = world.browse(&cookie, "null", "POST", "/auth/capauth/logout", &Value::Null).await;
    told.note("POST /auth/capauth/logout", elsewhere).refused("403 forbidden");
    told.note("GET /logout", browse("GET", "/capauth/v1/logout").await);
    told.note("POST /auth/capauth/logout", browse("POST", "/auth/capauth/logout").await).ok();
}

/// The form of the login page: filled in, refused on a page, refused in JSON, and good.
async fn form(world: &World, told: &mut Told, key: &Key) {
    const FORM: &str = "POST /auth/capauth/login";
    let mut browser = Browser::of(&world.client);
    let first = browser.open("/auth/capauth/login").await;
    let second = browser.submit(&first, &[("fingerprint", &key.fingerprint)]).await;
    assert_eq!(told.note(FORM, second.answer.clone()).status, 200);
    let none = browser.submit(&second, &[("signature", "none")]).await;
    assert_eq!(told.note(FORM, none.answer.clone()).status, 401);
    let foreign = browser.submit(&first, &[("token", "none")]).await;
    assert_eq!(told.note(FORM, foreign.answer).status, 403);
    told.note(FORM, world.client.post("/auth/capauth/login", &json!({})).await).refused("403 forbidden");
    let signature = key.sign(&none.payload(), world.now());
    let done = browser.submit(&none, &[("signature", &signature)]).await;
    assert_eq!(told.note(FORM, done.answer).status, 303);
}

/// The other pages, and what they load.
async fn files(world: &World, told: &mut Told, key: &Key) {
    told.note("GET /auth/capauth/qr", world.client.get("/auth/capauth/qr").await);
    let off = World::with(Framework::Axum, |config| config.qr(false)).await;
    told.note("GET /auth/capauth/qr", off.client.get("/auth/capauth/qr").await).refused("404 not_found");
    told.note("GET /auth/capauth/qr", Browser::of(&off.client).open("/auth/capauth/qr").await.answer);
    const ASSET: &str = "GET /auth/capauth/assets/{version}/{name}";
    let page = Browser::of(&world.client).open("/auth/capauth/login").await;
    let style = page.html.split('"').find(|text| text.ends_with("/style.css")).unwrap();
    told.note(ASSET, world.client.get(&page.resolve(style)).await);
    told.note(ASSET, world.client.get("/auth/capauth/assets/0/style.css").await).refused("404 not_found");
    let token = world.token(key).await;
    for (operation, token) in [("GET /capauth/me", &*token), ("GET /capauth/admin", ADMIN_TOKEN)] {
        let path = operation.trim_start_matches("GET ");
        assert_eq!(told.note(operation, world.client.get_as(token, path).await).status, 200);
        told.note(operation, world.client.get(path).await).refused("401 invalid_token");
        let nobody = Browser::of(&world.client).open(path).await;
        assert_eq!(told.note(operation, nobody.answer).status, 303);
    }
    let stranger = world.client.request("GET", "/capauth/admin").bearer_auth(&token).header("accept", HTML);
    assert_eq!(told.note("GET /capauth/admin", send(stranger).await).status, 403);
}

async fn tokens(world: &World, told: &mut Told) {
    let key = world.member().await;
    let login = world.login_of(&key, json!({"refresh": true})).await;
    let login = world.post("/verify", &login).await.ok();
    let (token, refresh) = (text(&login, "access_token"), text(&login, "refresh_token"));
    let call = |method, path: &'static str| world.call(Some(&token), method, path, &Value::Null);
    told.note("GET /token-info", call("GET", "/token-info").await).ok();
    let info =
        |query: String| async move { world.client.get(&format!("/capauth/v1/token-info{query}")).await };
    for query in [format!("?token={token}"), "?token=none".to_owned()] {
        told.note("GET /token-info", info(query).await).ok();
    }
    told.note("GET /token-info", info(String::new()).await).refused("401 invalid_token");
    told.note("GET /token-info", info("?token=a&token=b".to_owned()).await).refused("400 invalid_request");
    for method in ["GET", "POST"] {
        let operation = format!("{method} /userinfo");
        told.note(&operation, call(method, "/userinfo").await).ok();
        told.note(&operation, world.call(None, method, "/userinfo", &Value::Null).await);
    }
    let renew = json!({"grant_type": "refresh_token", "refresh_token": refresh});
    told.note("POST /token", world.post("/token", &renew).await).ok();
    let none = json!({"grant_type": "refresh_token", "refresh_token": "none"});
    told.note("POST /token", world.post("/token", &none).await).refused("401 invalid_token");

    told.note("GET /identity", call("GET", "/identity").await).ok();
    told.note("GET /identity", world.call(None, "GET", "/identity", &Value::Null).await);
    let sessions = told.note("GET /sessions", call("GET", "/sessions").await).ok();
    told.note("GET /sessions", world.call(None, "GET", "/sessions", &Value::Null).await);
    let other = world.token(&key).await;
    let jti = json!({"jti": crate::world::token_claims(&other)["jti"]});
    told.note("POST /revoke", world.call(Some(&token), "POST", "/revoke", &jti).await)
        .refused("403 forbidden");
    told.note("POST /revoke", world.call(Some(&other), "POST", "/revoke", &jti).await).ok();
    let mine = sessions.as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    let mine = text(mine, "id");
    let end =
        |id: &str| world.client.request("DELETE", &format!("/capauth/v1/sessions/{id}")).bearer_auth(&token);
    told.note("DELETE /sessions/{id}", send(end(&"0".repeat(32))).await).refused("404 not_found");
    let last = world.token(&key).await;
    told.note("DELETE /sessions/{id}", send(end(&mine)).await).ok();
    told.note("DELETE /sessions", call("DELETE", "/sessions").await).refused("401 invalid_token");
    told.note("DELETE /sessions", world.call(Some(&last), "DELETE", "/sessions", &Value::Null).await).ok();
    for method in ["GET", "POST"] {
        let (operation, token) = (format!("{method} /logout"), world.token(&key).await);
        told.note(&operation, world.call(Some(&token), method, "/logout", &Value::Null).await).ok();
        told.note(&operation, world.call(Some(&token), method, "/logout", &Value::Null).await);
    }
}

async fn rotations(world: &World, told: &mut Told) {
    let (old, new) = (world.member().await, Key::new());
    let body = world.rotation(&old, &new).await;
    told.note("POST /rotate", world.post("/rotate", &body).await).ok();
    told.note("POST /rotate", world.post("/rotate", &body).await).refused("400 invalid_nonce");
    let (primary, by_subkey, _) = Key::with_subkey();
    world.enrol(&primary).await;
    let waiting = told.note("POST /rotate", world.rotate(&by_subkey, &Key::new()).await);
    assert_eq!(waiting.status, 202);
    let listed = world.admin("GET", &format!("/keys?prefix={}", primary.fingerprint), Value::Null).await;
    assert!(told.note("GET /keys", listed).ok()[0]["replaced_soon"].is_object());
    told.note("POST /rotate/cancel", world.cancel(&by_subkey).await).refused("403 forbidden");
    told.note("POST /rotate/cancel", world.cancel(&primary).await).ok();
    told.note("POST /rotate/cancel", world.cancel(&primary).await).refused("404 not_found");
    assert_eq!(world.rotate(&by_subkey, &Key::new()).await.status, 202);
    let path = format!("/keys/{}/rotation", primary.fingerprint);
    told.note("DELETE /keys/{fingerprint}/rotation", world.admin("DELETE", &path, Value::Null).await).ok();
    told.note("DELETE /keys/{fingerprint}/rotation", world.admin("DELETE", &path, Value::Null).await);
}

async fn links(world: &World, told: &mut Told) {
    let [one, other, third] = [world.member().await, world.member().await, world.member().await];
    told.note("POST /link", world.link(&one, &other).await).ok();
    told.note("POST /link", world.link(&other, &third).await).refused("409 conflict");
    told.note("POST /link", world.link(&one, &Key::new()).await).refused("401 unknown_fingerprint");
    told.note("POST /unlink", world.unlink(&one, &other).await).ok();
    told.note("POST /unlink", world.unlink(&one, &other).await).refused("409 conflict");
    let names = json!({"primary_fingerprint": one.fingerprint, "secondary_fingerprint": other.fingerprint});
    told.note("POST /unlink", world.post("/unlink", &names).await).refused("401 invalid_nonce_signature");
    world.link(&one, &other).await.ok();
    told.note("POST /unlink", world.admin("POST", "/unlink", names).await).ok();
}

/// Somebody else than an administrator asks for the same.
async fn by_others(world: &World, told: &mut Told, operation: &str, path: &str, body: &Value) {
    let method = operation.split(' ').next().unwrap();
    told.note(operation, world.call(None, method, path, body).await).refused("401 invalid_token");
    let token = world.token(&world.member().await).await;
    told.note(operation, world.call(Some(&token), method, path, body).await).refused("403 forbidden");
}

async fn administration(world: &World, told: &mut Told) {
    let key = world.member().await;
    let listed = told.note("GET /keys", world.admin("GET", "/keys?limit=2", Value::Null).await).ok();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    told.note("GET /keys", world.admin("GET", "/keys?limit=0", Value::Null).await)
        .refused("400 invalid_request");
    told.note("GET /keys", world.admin("GET", "/keys?after=x", Value::Null).await);
    by_others(world, told, "GET /keys", "/keys", &Value::Null).await;
    told.note("GET /audit", world.admin("GET", "/audit", Value::Null).await).ok();
    told.note("GET /audit", world.admin("GET", "/audit?after=-1", Value::Null).await);
    by_others(world, told, "GET /audit", "/audit", &Value::Null).await;
    for what in ["approve", "revoke", "erase"] {
        let (operation, path) = (format!("POST /keys/{what}"), format!("/keys/{what}"));
        let body = json!({"fingerprint": key.fingerprint});
        by_others(world, told, &operation, &path, &body).await;
        told.note(&operation, world.admin("POST", &path, body).await).ok();
        let unknown = world.admin("POST", &path, json!({"fingerprint": NOBODY})).await;
        told.note(&operation, unknown).refused("404 not_found");
    }
    let body = json!({"public_key": Key::new().certificate});
    by_others(world, told, "POST /keys/enroll", "/keys/enroll", &body).await;
    told.note("POST /keys/enroll", world.admin("POST", "/keys/enroll", body.clone()).await).ok();
    told.note("POST /keys/enroll", world.admin("POST", "/keys/enroll", body).await).refused("409 conflict");
    let odd = world.admin("POST", "/keys/enroll", json!({"public_key": "none"})).await;
    told.note("POST /keys/enroll", odd).refused("400 invalid_public_key");
    let body = json!({"groups": ["staff"], "expires_in": 60});
    by_others(world, told, "POST /enrollment-codes", "/enrollment-codes", &body).await;
    told.note("POST /enrollment-codes", world.admin("POST", "/enrollment-codes", body).await).ok();
    let odd = world.admin("POST", "/enrollment-codes", json!({"expires_in": 0})).await;
    told.note("POST /enrollment-codes", odd).refused("400 invalid_request");
}

async fn administration_of_a_key(world: &World, told: &mut Told) {
    let (key, other) = (world.member().await, world.member().await);
    for (method, what, body) in [
        ("PUT", "groups", json!({"groups": ["staff", "a/b"]})),
        ("PUT", "name", json!({"user_name": "test"})),
        ("PUT", "email", json!({"email": "test@example.org"})),
        ("DELETE", "email", json!({"email": "test@example.org"})),
        ("DELETE", "sessions", Value::Null),
    ] {
        let operation = format!("{method} /keys/{{fingerprint}}/{what}");
        let path = |key: &str| format!("/keys/{key}/{what}");
        told.note(&operation, world.admin(method, &path(&key.fingerprint), body.clone()).await).ok();
        told.note(&operation, world.admin(method, &path(NOBODY), body.clone()).await)
            .refused("404 not_found");
        told.note(&operation, world.admin(method, &path("x"), body.clone()).await);
        by_others(world, told, &operation, &path(&key.fingerprint), &body).await;
        if what == "name" {
            let taken = world.admin(method, &path(&other.fingerprint), body).await;
            told.note(&operation, taken).refused("409 conflict");
            let none = world.admin(method, &path(&key.fingerprint), json!({"user_name": null})).await;
            told.note(&operation, none).ok();
        }
    }
    by_others(
        world,
        told,
        "DELETE /keys/{fingerprint}/rotation",
        &format!("/keys/{}/rotation", key.fingerprint),
        &Value::Null,
    )
    .await;
}

async fn server(world: &World, told: &mut Told) {
    for path in ["/well-known", "/status", "/openapi.json", "/docs"] {
        told.note(&format!("GET {path}"), world.client.get(&format!("/capauth/v1{path}")).await);
    }
    for path in ["/health", "/.well-known/jwks.json"] {
        told.note(&format!("GET {path}"), world.client.get(path).await).ok();
    }
    let feed =
        |token: &'static str| async move { world.client.get_as(token, "/capauth/v1/revocations").await };
    let page = told.note("GET /revocations", feed(CREDENTIAL).await);
    assert!(page.ok()["entries"].as_array().is_some_and(|entries| entries.len() > 3));
    told.note("GET /revocations", feed(ADMIN_TOKEN).await).ok();
    let tag = page.header("etag").to_owned();
    let again = world.client.request("GET", "/capauth/v1/revocations").bearer_auth(CREDENTIAL);
    let again: Answer = send(again.header("if-none-match", tag)).await;
    assert_eq!(told.note("GET /revocations", again).status, 304);
    by_others(world, told, "GET /revocations", "/revocations", &Value::Null).await;
}

/// Where new keys wait for an administrator, and where there is none.
async fn waiting(told: &mut Told) {
    let world = World::with(Framework::Axum, |config| config.enrollment(EnrollmentMode::Approval)).await;
    let answer = told.note("POST /verify", world.try_enrol(&Key::new()).await);
    assert_eq!(answer.json()["status"], "enrollment_pending");
    let alone = World::plain(Framework::Axum, |config| config).await;
    told.note("GET /keys", alone.admin("GET", "/keys", Value::Null).await).refused("501 not_configured");
    told.note("GET /status", alone.client.get("/capauth/v1/status").await).ok();
}
