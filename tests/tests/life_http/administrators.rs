//! Who administers: asked at every endpoint that only administrators may use.

use capauth_tests::http::{Answer, send};
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{ADMIN_TOKEN, ORIGIN, World};

/// An endpoint, a body that it takes, and what an administrator hears.
struct Endpoint {
    method: &'static str,
    path: String,
    body: Value,
    answer: &'static str,
}

/// All of them, about this key.
fn endpoints(about: &Key) -> Vec<Endpoint> {
    let of = |method, path: &str, body| {
        let path = path.replace("{key}", &about.fingerprint);
        let answer = if path.ends_with("/rotation") { "404 not_found" } else { "200" };
        Endpoint { method, path, body, answer }
    };
    let named = json!({"fingerprint": about.fingerprint});
    vec![
        of("GET", "/keys", Value::Null),
        of("GET", "/audit", Value::Null),
        of("GET", "/revocations", Value::Null),
        of("POST", "/enrollment-codes", json!({})),
        of("POST", "/keys/enroll", json!({"public_key": Key::new().certificate})),
        of("POST", "/keys/approve", named.clone()),
        of("PUT", "/keys/{key}/groups", json!({"groups": ["staff"]})),
        of("PUT", "/keys/{key}/name", json!({"user_name": "alice"})),
        of("PUT", "/keys/{key}/email", json!({"email": "a@example.org"})),
        of("DELETE", "/keys/{key}/email", json!({"email": "a@example.org"})),
        of("DELETE", "/keys/{key}/rotation", Value::Null),
        of("DELETE", "/keys/{key}/sessions", Value::Null),
        of("POST", "/keys/revoke", named.clone()),
        of("POST", "/keys/erase", named),
    ]
}

fn check(endpoint: &Endpoint, who: &str, answer: &Answer, expected: &str) {
    let said = if answer.status == 200 { "200".to_owned() } else { answer.refusal() };
    assert_eq!(said, expected, "{} {} {who}: {}", endpoint.method, endpoint.path, answer.text());
    let challenge = if answer.status == 401 { "Bearer" } else { "" };
    assert_eq!(answer.header("www-authenticate"), challenge);
}

async fn with_token(world: &World, endpoint: &Endpoint, token: Option<&str>) -> Answer {
    world.call(token, endpoint.method, &endpoint.path, &endpoint.body).await
}

async fn with_cookie(world: &World, endpoint: &Endpoint, cookie: &str, origin: &str) -> Answer {
    let path = format!("/capauth/v1{}", endpoint.path);
    world.browse(cookie, origin, endpoint.method, &path, &endpoint.body).await
}

/// The administrators' page, as a browser is answered.
async fn page(world: &World, cookie: &str) -> Answer {
    send(world.client.request("GET", "/capauth/admin").header("cookie", cookie).header("accept", "text/html"))
        .await
}

/// A world with an administrator's key, and somebody to administer.
async fn world(framework: Framework) -> (World, Key, Key) {
    let admin = Key::new();
    let key = admin.draft.fingerprint();
    let world = World::with(framework, |config| config.admin_fingerprints([key])).await;
    let somebody = world.member().await;
    (world, admin, somebody)
}

pub(crate) async fn the_administrators_token_opens_every_endpoint(framework: Framework) {
    let world = World::new(framework).await;
    let somebody = world.member().await;
    for endpoint in endpoints(&somebody) {
        let answer = with_token(&world, &endpoint, Some(ADMIN_TOKEN)).await;
        check(&endpoint, "with the token", &answer, endpoint.answer);
    }
}

pub(crate) async fn attack_administration_without_an_administrators_credentials(framework: Framework) {
    let (world, admin, somebody) = world(framework).await;
    let person = world.token(&somebody).await;
    let listed = world.token(&admin).await;
    let changed = format!("{}X", &ADMIN_TOKEN[..ADMIN_TOKEN.len() - 1]);
    let stranger = world.cookie(&somebody).await;
    for endpoint in endpoints(&somebody) {
        let tries = [
            ("without a token", None, "401 invalid_token"),
            ("with another token", Some(&*changed), "401 invalid_token"),
            ("with the beginning of the token", Some(&ADMIN_TOKEN[..40]), "401 invalid_token"),
            ("with a person's token", Some(&*person), "403 forbidden"),
            // Applications get to see tokens: even an administrator's own is not enough.
            ("with a listed key's token", Some(&*listed), "403 forbidden"),
        ];
        for (who, token, expected) in tries {
            check(&endpoint, who, &with_token(&world, &endpoint, token).await, expected);
        }
        let answer = with_cookie(&world, &endpoint, &stranger, ORIGIN).await;
        check(&endpoint, "with a person's session", &answer, "403 forbidden");
    }
    // And nothing of it was done.
    let entry = world.listed(&somebody).await;
    assert_eq!(
        (&entry["groups"], &entry["user_name"], &entry["revoked_at"]),
        (&json!([]), &Value::Null, &Value::Null)
    );
    assert!(world.is_signed_in(&person).await);
    assert_eq!(world.admin("GET", "/keys", Value::Null).await.ok().as_array().unwrap().len(), 2);
}

pub(crate) async fn a_listed_keys_fresh_session_opens_every_endpoint(framework: Framework) {
    let (world, admin, somebody) = world(framework).await;
    let cookie = world.cookie(&admin).await;
    world.advance(15 * 60);
    for endpoint in endpoints(&somebody) {
        let answer = with_cookie(&world, &endpoint, &cookie, ORIGIN).await;
        check(&endpoint, "with a session", &answer, endpoint.answer);
    }
    assert!(page(&world, &cookie).await.text().contains("admin.js"));
}

pub(crate) async fn attack_administration_with_a_stale_session(framework: Framework) {
    let (world, admin, somebody) = world(framework).await;
    let cookie = world.cookie(&admin).await;
    world.advance(15 * 60 + 1);
    for endpoint in endpoints(&somebody) {
        let answer = with_cookie(&world, &endpoint, &cookie, ORIGIN).await;
        check(&endpoint, "after a quarter of an hour", &answer, "403 forbidden");
    }
    let refused = page(&world, &cookie).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("Sign in again") && !refused.text().contains("admin.js"));
    world.browse(&cookie, "", "GET", "/auth/capauth/me", &Value::Null).await.ok();
    let cookie = world.cookie(&admin).await;
    world.browse(&cookie, "", "GET", "/capauth/v1/keys", &Value::Null).await.ok();
}

pub(crate) async fn attack_administration_by_another_sites_page(framework: Framework) {
    let (world, admin, somebody) = world(framework).await;
    let cookie = world.cookie(&admin).await;
    for endpoint in endpoints(&somebody).iter().filter(|endpoint| endpoint.method != "GET") {
        for origin in ["https://evil.example", "null", "http://auth.example.com", ""] {
            let answer = with_cookie(&world, endpoint, &cookie, origin).await;
            check(endpoint, origin, &answer, "403 forbidden");
        }
    }
    assert_ne!(world.listed(&somebody).await, Value::Null);
    let named = json!({"fingerprint": somebody.fingerprint});
    world.browse(&cookie, ORIGIN, "POST", "/capauth/v1/keys/erase", &named).await.ok();
}

pub(crate) async fn attack_administration_by_a_session_that_named_no_page(framework: Framework) {
    let (world, admin, _) = world(framework).await;
    let ask = json!({"fingerprint": admin.fingerprint});
    let challenge = world.client.post("/auth/capauth/challenge", &ask).await;
    let mut body = admin.answer(&capauth_tests::http::Challenge::read(&challenge), world.now());
    body["public_key"] = admin.certificate.as_str().into();
    let answer = world.client.post("/auth/capauth/verify", &body).await;
    answer.ok();
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    world.browse(&cookie, ORIGIN, "GET", "/capauth/v1/keys", &Value::Null).await.refused("403 forbidden");
    let cookie = world.cookie(&admin).await;
    world.browse(&cookie, ORIGIN, "GET", "/capauth/v1/keys", &Value::Null).await.ok();
}

pub(crate) async fn attack_administration_carried_to_another_key(framework: Framework) {
    let (world, admin, _) = world(framework).await;
    // The list names keys: neither a key that is linked to a listed one nor its successor is on it.
    let second = world.member().await;
    world.enrol(&admin).await;
    world.link(&admin, &second).await.ok();
    let cookie = world.cookie(&second).await;
    world.browse(&cookie, ORIGIN, "GET", "/capauth/v1/keys", &Value::Null).await.refused("403 forbidden");
    let listed = world.cookie(&admin).await;
    world.browse(&listed, ORIGIN, "GET", "/capauth/v1/keys", &Value::Null).await.ok();
    let successor = Key::new();
    world.rotate(&admin, &successor).await.ok();
    let cookie = world.cookie(&successor).await;
    world.browse(&cookie, ORIGIN, "GET", "/capauth/v1/keys", &Value::Null).await.refused("403 forbidden");
    world.browse(&listed, ORIGIN, "GET", "/capauth/v1/keys", &Value::Null).await.refused("401 invalid_token");
}

pub(crate) async fn without_administrators_every_endpoint_says_so(framework: Framework) {
    let world = World::plain(framework, |config| config).await;
    let somebody = world.member().await;
    let token = world.token(&somebody).await;
    for endpoint in endpoints(&somebody) {
        for token in [None, Some(ADMIN_TOKEN), Some(&*token)] {
            let answer = with_token(&world, &endpoint, token).await;
            check(&endpoint, "where nobody administers", &answer, "501 not_configured");
        }
    }
    assert!(world.is_signed_in(&token).await);
}
