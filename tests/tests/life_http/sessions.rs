//! Sessions as their holders see them, and tokens that are thrown away.

use std::collections::BTreeSet;

use capauth_tests::http::send;
use capauth_tower::{Secret, ServiceEntry};
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{ADMIN_TOKEN, ORIGIN, World, members, text, token_claims};

const APP: &str = "app.example.com";
const CREDENTIAL: &str = "the-credential-of-the-application-0123456789";

async fn world(framework: Framework) -> World {
    World::with(framework, |config| config.service(ServiceEntry::new(APP))).await
}

/// The sessions of whoever holds this token.
async fn listed(world: &World, token: &str) -> Vec<Value> {
    let answer = world.call(Some(token), "GET", "/sessions", &Value::Null).await.ok();
    answer.as_array().expect("a list").clone()
}

/// The one that asks.
async fn current(world: &World, token: &str) -> String {
    let sessions = listed(world, token).await;
    let mut current = sessions.iter().filter(|session| session["current"] == true);
    let id = text(current.next().expect("the one that asks is listed"), "id");
    assert!(current.next().is_none(), "only one asks");
    id
}

async fn token_for(world: &World, key: &Key, service: &str) -> String {
    let challenge = world.challenge_with(key, json!({"requested_service": service})).await;
    let body = key.answer(&challenge, world.now());
    text(&world.post("/verify", &body).await.ok(), "access_token")
}

pub(crate) async fn sessions_are_listed_to_their_holder(framework: Framework) {
    let world = world(framework).await;
    let (alice, bob) = (world.member().await, world.member().await);
    world.advance(100);
    let begun = world.time(0);
    let cookie = world.cookie(&alice).await;
    world.advance(100);
    let app = token_for(&world, &alice, APP).await;
    world.advance(100);
    let token = world.token(&alice).await;
    world.advance(100);
    world.browse(&cookie, "", "GET", "/auth/capauth/me", &Value::Null).await.ok();

    let sessions = listed(&world, &token).await;
    let ids: BTreeSet<&str> = sessions.iter().filter_map(|session| session["id"].as_str()).collect();
    assert_eq!((sessions.len(), ids.len()), (4, 4));
    for session in &sessions {
        let names = ["amr", "created_at", "current", "expires_at", "id", "last_seen", "service"];
        assert_eq!(members(session), names);
        assert_eq!(session["amr"], json!(["pgp"]));
        let id = session["id"].as_str().unwrap();
        assert!(!token.contains(id) && !cookie.contains(id) && token_claims(&token)["jti"] != id);
    }
    let of = |name: &str| -> Vec<&Value> { sessions.iter().map(|session| &session[name]).collect() };
    let service = crate::world::SERVICE;
    assert_eq!(of("service"), [service, APP, service, service], "the newest first");
    assert_eq!(of("current"), [true, false, false, false]);
    assert_eq!(of("created_at"), [&world.time(-100), &world.time(-200), &begun, &world.time(-400)]);
    assert_eq!(of("last_seen")[..3], [&world.time(0), &world.time(-200), &world.time(0)]);
    assert_eq!(sessions[2]["expires_at"], world.time(12 * 3600 - 300));

    let by_cookie = world.browse(&cookie, "", "GET", "/capauth/v1/sessions", &Value::Null).await.ok();
    assert_eq!(by_cookie[2]["current"], true);
    assert_eq!(by_cookie[0]["current"], false);
    assert_eq!(listed(&world, &world.token(&bob).await).await.len(), 2, "bob sees his own");
    assert!(world.is_signed_in(&app).await);
}

pub(crate) async fn a_person_sees_every_key_that_signs_for_them(framework: Framework) {
    let world = world(framework).await;
    let ((first, by_subkey, _), second, bob) =
        (Key::with_subkey(), world.member().await, world.member().await);
    world.enrol(&first).await;
    world
        .admin("PUT", &format!("/keys/{}/name", first.fingerprint), json!({"user_name": "alice"}))
        .await
        .ok();
    let groups = json!({"groups": ["staff"]});
    world.admin("PUT", &format!("/keys/{}/groups", first.fingerprint), groups).await.ok();
    world.link(&first, &second).await.ok();
    let coming = Key::new();
    assert_eq!(world.rotate(&by_subkey, &coming).await.status, 202);
    let token = world.token(&second).await;
    let told = world.call(Some(&token), "GET", "/identity", &Value::Null).await.ok();
    assert_eq!(members(&told), ["fingerprint", "groups", "keys", "sub", "user_name"]);
    assert_eq!((&told["sub"], &told["fingerprint"]), (&json!(first.fingerprint), &json!(second.fingerprint)));
    assert_eq!((&told["user_name"], &told["groups"]), (&json!("alice"), &json!(["staff"])));
    let keys = told["keys"].as_array().unwrap();
    let of = |key: &Key| keys.iter().find(|entry| entry["fingerprint"] == key.fingerprint);
    assert_eq!(keys.len(), 2);
    assert_eq!(of(&second).unwrap()["linked_to"], first.fingerprint);
    assert_eq!(of(&first).unwrap()["replaced_soon"]["fingerprint"], coming.fingerprint);
    // One that was replaced is shown too: it may be news.
    world.rotate(&first, &coming).await.ok();
    let cookie = world.cookie(&coming).await;
    let told = world.browse(&cookie, "", "GET", "/capauth/v1/identity", &Value::Null).await.ok();
    assert_eq!(told["keys"].as_array().unwrap().len(), 3);
    let own = world.token(&bob).await;
    let told = world.call(Some(&own), "GET", "/identity", &Value::Null).await.ok();
    assert_eq!(told["keys"].as_array().unwrap().len(), 1);
}

pub(crate) async fn sessions_past_their_time_are_not_listed(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    world.advance(12 * 3600 - 1);
    assert_eq!(listed(&world, &world.token(&alice).await).await.len(), 2);
    world.advance(1);
    assert_eq!(listed(&world, &world.token(&alice).await).await.len(), 2);
    let path = format!("/keys/{}/sessions", alice.fingerprint);
    world.admin("DELETE", &path, Value::Null).await.ok();
    assert_eq!(listed(&world, &world.token(&alice).await).await.len(), 1);
}

pub(crate) async fn one_session_is_ended_by_its_holder(framework: Framework) {
    let world = world(framework).await;
    let alice = world.member().await;
    let (first, second, app) =
        (world.token(&alice).await, world.token(&alice).await, token_for(&world, &alice, APP).await);
    let cookie = world.cookie(&alice).await;
    let end =
        async |id: &str| world.call(Some(&first), "DELETE", &format!("/sessions/{id}"), &Value::Null).await;
    let id = current(&world, &second).await;
    assert_eq!(end(&id).await.ok(), json!({"ended": true}));
    assert!(!world.is_signed_in(&second).await);
    end(&id).await.refused("404 not_found");
    for session in listed(&world, &first).await {
        if session["service"] == APP {
            end(session["id"].as_str().unwrap()).await.ok();
        }
    }
    assert!(!world.is_signed_in(&app).await);
    // By a page of one's own, the other way round.
    let path = format!("/capauth/v1/sessions/{}", current(&world, &first).await);
    world.browse(&cookie, ORIGIN, "DELETE", &path, &Value::Null).await.ok();
    assert!(!world.is_signed_in(&first).await);
    world.browse(&cookie, "", "GET", "/auth/capauth/me", &Value::Null).await.ok();
}

pub(crate) async fn attack_session_of_somebody_else(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, mallory) = (world.member().await, world.member().await);
    let (token, hers) = (world.token(&alice).await, world.token(&mallory).await);
    let id = current(&world, &token).await;
    let end = async |token: Option<&str>, id: &str| {
        world.call(token, "DELETE", &format!("/sessions/{id}"), &Value::Null).await
    };
    for guess in [&*id, "0", &id[..8], token_claims(&token)["jti"].as_str().unwrap()] {
        end(Some(&hers), guess).await.refused("404 not_found");
    }
    end(None, &id).await.refused("401 invalid_token");
    end(Some(ADMIN_TOKEN), &id).await.refused("401 invalid_token");
    assert!(world.is_signed_in(&token).await);
    end(Some(&token), &id).await.ok();
}

pub(crate) async fn all_sessions_are_ended_by_their_holder(framework: Framework) {
    for by_cookie in [false, true] {
        let world = world(framework).await;
        let (alice, bob) = (world.member().await, world.member().await);
        let (token, other, bobs) =
            (world.token(&alice).await, token_for(&world, &alice, APP).await, world.token(&bob).await);
        let cookie = world.cookie(&alice).await;
        let answer = if by_cookie {
            world.browse(&cookie, ORIGIN, "DELETE", "/capauth/v1/sessions", &Value::Null).await
        } else {
            world.call(Some(&token), "DELETE", "/sessions", &Value::Null).await
        };
        assert_eq!(answer.ok(), json!({"ended": true}));
        let cleared = answer.header("set-cookie").contains("Max-Age=0");
        assert_eq!(cleared, by_cookie, "{}", answer.header("set-cookie"));
        for ended in [&token, &other] {
            assert!(!world.is_signed_in(ended).await);
        }
        world.browse(&cookie, "", "GET", "/auth/capauth/me", &Value::Null).await.refused("401 invalid_token");
        assert!(world.is_signed_in(&bobs).await);
        assert_eq!(listed(&world, &world.token(&alice).await).await.len(), 1);
    }
}

pub(crate) async fn attack_sessions_without_a_login_to_the_service_itself(framework: Framework) {
    let world = world(framework).await;
    let alice = world.member().await;
    let (token, app) = (world.token(&alice).await, token_for(&world, &alice, APP).await);
    let id = current(&world, &token).await;
    // An application gets to see its people's tokens: they are not for this.
    for bad in [None, Some(&*app), Some("no token"), Some(ADMIN_TOKEN)] {
        world.call(bad, "GET", "/sessions", &Value::Null).await.refused("401 invalid_token");
        world.call(bad, "GET", "/identity", &Value::Null).await.refused("401 invalid_token");
        world.call(bad, "DELETE", "/sessions", &Value::Null).await.refused("401 invalid_token");
        let path = format!("/sessions/{id}");
        world.call(bad, "DELETE", &path, &Value::Null).await.refused("401 invalid_token");
    }
    world.call(Some(&token), "DELETE", "/sessions", &Value::Null).await.ok();
}

pub(crate) async fn attack_sessions_ended_by_another_sites_page(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let (cookie, token) = (world.cookie(&alice).await, world.token(&alice).await);
    let one = format!("/capauth/v1/sessions/{}", current(&world, &token).await);
    for path in ["/capauth/v1/sessions", &one] {
        for origin in ["https://evil.example", "null", ""] {
            let answer = world.browse(&cookie, origin, "DELETE", path, &Value::Null).await;
            answer.refused("403 forbidden");
        }
        let request = world.client.request("DELETE", path).header("cookie", &cookie);
        send(request.header("sec-fetch-site", "cross-site")).await.refused("403 forbidden");
    }
    assert!(world.is_signed_in(&token).await);
    world.browse(&cookie, ORIGIN, "DELETE", &one, &Value::Null).await.ok();
}

pub(crate) async fn attack_sessions_with_a_token_that_others_can_make(framework: Framework) {
    let world = World::with(framework, |config| config.jwt_secret("s".repeat(32))).await;
    let alice = world.member().await;
    let token = world.token(&alice).await;
    world.call(Some(&token), "GET", "/sessions", &Value::Null).await.refused("403 forbidden");
    world.call(Some(&token), "DELETE", "/sessions", &Value::Null).await.refused("403 forbidden");
    let cookie = world.cookie(&alice).await;
    world.browse(&cookie, "", "GET", "/capauth/v1/sessions", &Value::Null).await.ok();
}

fn jti(token: &str) -> Value {
    json!({"jti": token_claims(token)["jti"]})
}

pub(crate) async fn a_token_is_ended_by_its_holder_an_administrator_or_an_application(framework: Framework) {
    let app = ServiceEntry::new(APP).credential(Secret::from(CREDENTIAL));
    let world = World::with(framework, |config| config.service(app)).await;
    let alice = world.member().await;
    let kept = world.token(&alice).await;
    for by in ["its holder", ADMIN_TOKEN, CREDENTIAL] {
        let token = world.token(&alice).await;
        let bearer = if by == "its holder" { &*token } else { by };
        let answer = world.call(Some(bearer), "POST", "/revoke", &jti(&token)).await.ok();
        assert_eq!(answer, json!({"revoked": true}));
        assert!(!world.is_signed_in(&token).await, "{by}");
    }
    // Which application it is for does not matter to whoever throws it away.
    let token = token_for(&world, &alice, APP).await;
    world.call(Some(&token), "POST", "/revoke", &jti(&token)).await.ok();
    assert!(!world.is_signed_in(&token).await);
    assert!(world.is_signed_in(&kept).await);
}

pub(crate) async fn attack_token_ended_by_a_stranger(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, mallory) = (world.member().await, world.member().await);
    let (token, hers) = (world.token(&alice).await, world.token(&mallory).await);
    let cookie = world.cookie(&mallory).await;
    let body = jti(&token);
    world.call(Some(&hers), "POST", "/revoke", &body).await.refused("403 forbidden");
    world.call(None, "POST", "/revoke", &body).await.refused("401 invalid_token");
    world.call(Some("no token"), "POST", "/revoke", &body).await.refused("401 invalid_token");
    world.browse(&cookie, ORIGIN, "POST", "/capauth/v1/revoke", &body).await.refused("403 forbidden");
    // Not even another one's own.
    let other = world.token(&alice).await;
    world.call(Some(&other), "POST", "/revoke", &body).await.refused("403 forbidden");
    assert!(world.is_signed_in(&token).await);
    world.call(Some(&token), "POST", "/revoke", &body).await.ok();
}

pub(crate) async fn attack_token_ended_by_an_administrator_of_an_hour_ago(framework: Framework) {
    let admin = Key::new();
    let listed = admin.draft.fingerprint();
    let world = World::with(framework, |config| config.admin_fingerprints([listed])).await;
    let alice = world.member().await;
    let cookie = world.cookie(&admin).await;
    let end =
        async |token: &str| world.browse(&cookie, ORIGIN, "POST", "/capauth/v1/revoke", &jti(token)).await;
    let (first, second) = (world.token(&alice).await, world.token(&alice).await);
    end(&first).await.ok();
    assert!(!world.is_signed_in(&first).await);
    world.advance(15 * 60 + 1);
    end(&second).await.refused("403 forbidden");
    assert!(world.is_signed_in(&second).await);
}
