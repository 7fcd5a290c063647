//! Access tokens, renewed by refresh tokens.

use capauth_tests::http::{Answer, Challenge, send};
use capauth_tower::ServiceEntry;
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{DAY, ORIGIN, World, members, text, token_claims};

/// A login of an agent that wants to come back: access token and refresh token.
async fn agent(world: &World, key: &Key) -> (String, String) {
    let body = world.login_of(key, json!({"public_key": key.certificate, "refresh": true})).await;
    let login = world.post("/verify", &body).await.ok();
    (text(&login, "access_token"), text(&login, "refresh_token"))
}

async fn renew(world: &World, token: &str) -> Answer {
    world.post("/token", &json!({"grant_type": "refresh_token", "refresh_token": token})).await
}

/// The next access and refresh token.
async fn next(world: &World, token: &str) -> (String, String) {
    let answer = renew(world, token).await.ok();
    (text(&answer, "access_token"), text(&answer, "refresh_token"))
}

async fn form(world: &World, body: &str, kind: &str) -> Answer {
    let request = world.client.request("POST", "/capauth/v1/token").header("content-type", kind);
    send(request.body(body.to_owned())).await
}

pub(crate) async fn a_refresh_token_is_given_to_whoever_asks(framework: Framework) {
    let world = World::new(framework).await;
    let alice = Key::new();
    for (more, given) in
        [(json!({}), false), (json!({"refresh": false}), false), (json!({"refresh": true}), true)]
    {
        let mut body = world.enrolment_of(&alice).await;
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let login = world.post("/verify", &body).await.ok();
        assert_eq!(members(&login).contains(&"refresh_token"), given);
    }
    let mut body = world.enrolment_of(&alice).await;
    body["refresh"] = "yes".into();
    world.post("/verify", &body).await.refused("400 invalid_request");
}

pub(crate) async fn an_access_token_is_renewed(framework: Framework) {
    let world = World::with(framework, |config| config.service(ServiceEntry::new("app.example.com"))).await;
    let alice = world.member().await;
    let (access, refresh) = agent(&world, &alice).await;
    world.advance(1800);
    let answer = renew(&world, &refresh).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let renewed = answer.ok();
    assert_eq!(members(&renewed), ["access_token", "expires_in", "refresh_token", "token_type"]);
    assert_eq!((&renewed["token_type"], &renewed["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let second = text(&renewed, "access_token");
    assert!(world.is_signed_in(&access).await && world.is_signed_in(&second).await);
    world.advance(1800);
    assert!(!world.is_signed_in(&access).await, "its hour is over");
    assert!(world.is_signed_in(&second).await);
    assert_eq!(world.user_info(&second).await.ok()["sub"], alice.fingerprint);
    // As OAuth writes it.
    let body = format!("grant_type=refresh_token&refresh_token={}", text(&renewed, "refresh_token"));
    let third = form(&world, &body, "application/x-www-form-urlencoded; charset=utf-8").await.ok();
    assert!(world.is_signed_in(&text(&third, "access_token")).await);
    // For the service that the login was for.
    let challenge = world.challenge_with(&alice, json!({"requested_service": "app.example.com"})).await;
    let mut body = alice.answer(&challenge, world.now());
    body["refresh"] = true.into();
    let login = world.post("/verify", &body).await.ok();
    let (access, _) = next(&world, &text(&login, "refresh_token")).await;
    assert_eq!(token_claims(&access)["aud"], "app.example.com");
}

pub(crate) async fn groups_are_todays(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let (_, refresh) = agent(&world, &alice).await;
    let path = format!("/keys/{}/groups", alice.fingerprint);
    world.admin("PUT", &path, json!({"groups": ["staff"]})).await.ok();
    let (access, refresh) = next(&world, &refresh).await;
    assert_eq!(token_claims(&access)["groups"], json!(["staff"]));
    world.admin("PUT", &path, json!({"groups": []})).await.ok();
    renew(&world, &refresh).await.refused("401 invalid_token");
}

pub(crate) async fn a_refresh_token_is_answered_again_for_twenty_seconds(framework: Framework) {
    let world = World::new(framework).await;
    let (_, first) = agent(&world, &world.member().await).await;
    let (access, second) = next(&world, &first).await;
    world.advance(20);
    let (again, _) = next(&world, &first).await;
    assert!(world.is_signed_in(&access).await && world.is_signed_in(&again).await);
    next(&world, &second).await;
}

pub(crate) async fn attack_stolen_refresh_token(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let elsewhere = world.token(&alice).await;
    let (mut access, stolen) = agent(&world, &alice).await;
    let (renewed, current) = next(&world, &stolen).await;
    world.advance(21);
    renew(&world, &stolen).await.refused("401 invalid_token");
    // Nobody can tell which of the two is the thief: everything of that login ends.
    renew(&world, &current).await.refused("401 invalid_token");
    for ended in [&access, &renewed] {
        assert!(!world.is_signed_in(ended).await);
    }
    assert!(world.is_signed_in(&elsewhere).await, "and nothing else");
    let log = world.admin("GET", "/audit", Value::Null).await.text();
    assert!(log.contains("refresh_reused"), "{log}");

    // Two generations back is too old at any time.
    let (_, first) = agent(&world, &alice).await;
    let (_, second) = next(&world, &first).await;
    let third;
    (access, third) = next(&world, &second).await;
    renew(&world, &first).await.refused("401 invalid_token");
    renew(&world, &third).await.refused("401 invalid_token");
    assert!(!world.is_signed_in(&access).await);
    let (_, fresh) = agent(&world, &alice).await;
    next(&world, &fresh).await;
}

pub(crate) async fn sixty_four_at_once_advance_by_one(framework: Framework) {
    let world = World::new(framework).await;
    let (_, first) = agent(&world, &world.member().await).await;
    let answers = futures_util::future::join_all((0..64).map(|_| renew(&world, &first))).await;
    let tokens: Vec<String> = answers.iter().map(|answer| text(&answer.ok(), "refresh_token")).collect();
    for answer in &answers {
        assert!(world.is_signed_in(&text(&answer.ok(), "access_token")).await);
    }
    // Long after, each is the current one: had it advanced twice, the first to come would be one used before.
    world.advance(60);
    next(&world, &tokens[63]).await;
    next(&world, &tokens[0]).await;
    // And what all of them came from is now two back.
    renew(&world, &first).await.refused("401 invalid_token");
    renew(&world, &tokens[1]).await.refused("401 invalid_token");
}

pub(crate) async fn refreshing_ends_with_the_key_the_session_and_the_identitys_tokens(framework: Framework) {
    let ways = [
        "key",
        "own key",
        "session",
        "all sessions",
        "jti",
        "administrator",
        "rotation",
        "unlinking",
        "logout",
        "nothing",
    ];
    for way in ways {
        let world = World::new(framework).await;
        let (alice, primary) = (world.member().await, world.member().await);
        if way == "unlinking" {
            world.link(&primary, &alice).await.ok();
        }
        let (access, refresh) = agent(&world, &alice).await;
        match way {
            "key" => {
                let body = json!({"fingerprint": alice.fingerprint});
                world.admin("POST", "/keys/revoke", body).await.ok();
            }
            "own key" => drop(world.submit(&alice, &alice.revoked()).await),
            "session" => {
                let sessions = world.call(Some(&access), "GET", "/sessions", &Value::Null).await.ok();
                let sessions = sessions.as_array().unwrap();
                let own = sessions.iter().find(|session| session["current"] == true).unwrap();
                let other = world.token(&alice).await;
                let path = format!("/sessions/{}", text(own, "id"));
                world.call(Some(&other), "DELETE", &path, &Value::Null).await.ok();
            }
            "all sessions" => drop(world.call(Some(&access), "DELETE", "/sessions", &Value::Null).await.ok()),
            "jti" => {
                let body = json!({"jti": token_claims(&access)["jti"]});
                world.call(Some(&access), "POST", "/revoke", &body).await.ok();
            }
            "administrator" => {
                let path = format!("/keys/{}/sessions", alice.fingerprint);
                world.admin("DELETE", &path, Value::Null).await.ok();
            }
            "unlinking" => drop(world.unlink(&primary, &alice).await.ok()),
            "rotation" => drop(world.rotate(&alice, &Key::new()).await.ok()),
            "logout" => {
                let request = world.client.request("POST", "/auth/capauth/logout").bearer_auth(&access);
                send(request).await.ok();
            }
            _ => {}
        }
        let answer = renew(&world, &refresh).await;
        if way == "nothing" {
            answer.ok();
        } else {
            answer.refused("401 invalid_token");
        }
    }
}

pub(crate) async fn a_session_that_is_ended_ends_its_renewed_tokens(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let (_, refresh) = agent(&world, &alice).await;
    world.advance(20 * 3600);
    // Longer than a session lasts, and it is listed still: it can be ended.
    let (access, refresh) = next(&world, &refresh).await;
    let sessions = world.call(Some(&access), "GET", "/sessions", &Value::Null).await.ok();
    let own = sessions.as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    assert_eq!(own["expires_at"], world.time(30 * 24 * 3600 - 20 * 3600));
    let path = format!("/sessions/{}", text(own, "id"));
    world.call(Some(&access), "DELETE", &path, &Value::Null).await.ok();
    assert!(!world.is_signed_in(&access).await);
    world.advance(600);
    assert!(!world.is_signed_in(&access).await);
    renew(&world, &refresh).await.refused("401 invalid_token");
}

pub(crate) async fn refreshing_ends_after_a_month(framework: Framework) {
    let world = World::new(framework).await;
    let (_, mut refresh) = agent(&world, &world.member().await).await;
    for _ in 0..2 {
        world.advance(14 * DAY);
        (_, refresh) = next(&world, &refresh).await;
    }
    world.advance(2 * DAY - 600);
    let answer = renew(&world, &refresh).await.ok();
    assert_eq!(answer["expires_in"], 600, "no token outlives the family");
    let access = text(&answer, "access_token");
    world.advance(600);
    assert!(!world.is_signed_in(&access).await);
    renew(&world, &text(&answer, "refresh_token")).await.refused("401 invalid_token");
}

pub(crate) async fn what_is_asked_is_a_refresh_token(framework: Framework) {
    let world = World::new(framework).await;
    let (_, refresh) = agent(&world, &world.member().await).await;
    for bad in [
        json!({"refresh_token": refresh}),
        json!({"grant_type": "refresh_token"}),
        json!({"grant_type": "password", "refresh_token": refresh}),
        json!({"grant_type": "authorization_code", "refresh_token": refresh}),
        json!({"grant_type": "refresh_token", "refresh_token": ""}),
        json!({"grant_type": "refresh_token", "refresh_token": "a b"}),
        json!({"grant_type": "refresh_token", "refresh_token": 7}),
        json!({"grant_type": "refresh_token", "refresh_token": "a".repeat(8 * 1024 + 1)}),
    ] {
        world.post("/token", &bad).await.refused("400 invalid_request");
    }
    let good = format!("grant_type=refresh_token&refresh_token={refresh}");
    let kind = "application/x-www-form-urlencoded";
    for bad in [
        "",
        "grant_type=refresh_token",
        "grant_type=password&refresh_token=x",
        "=&=",
        &format!("{good}&{good}"),
    ] {
        form(&world, bad, kind).await.refused("400 invalid_request");
    }
    form(&world, &good, "text/plain").await.refused("415 unsupported_media_type");
    form(&world, &good, "application/json").await.refused("400 invalid_request");
    form(&world, &good, kind).await.ok();
    // Nowhere else is a form read.
    let request = world.client.request("POST", "/capauth/v1/challenge").header("content-type", kind);
    send(request.body("fingerprint=x")).await.refused("415 unsupported_media_type");
}

pub(crate) async fn attack_token_of_another_kind_or_place(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let (access, refresh) = agent(&world, &alice).await;
    let cookie = world.cookie(&alice).await;
    let sealed = cookie.split_once('=').unwrap().1;
    let elsewhere = World::new(framework).await;
    let (_, foreign) = agent(&elsewhere, &alice).await;
    let mut tampered = refresh.clone().into_bytes();
    let middle = tampered.len() / 2;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    for bad in [&*access, sealed, &foreign, &tampered, &refresh[1..], "x"] {
        renew(&world, bad).await.refused("401 invalid_token");
    }
    world.user_info(&refresh).await.refused("401 invalid_token");
    let as_cookie = cookie.replace(sealed, &refresh);
    world.browse(&as_cookie, "", "GET", "/auth/capauth/me", &Value::Null).await.refused("401 invalid_token");
    next(&world, &refresh).await;
}

pub(crate) async fn a_page_gets_a_session_and_no_refresh_token(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let ask = json!({"fingerprint": alice.fingerprint, "origin": ORIGIN});
    let challenge = Challenge::read(&world.client.post("/auth/capauth/challenge", &ask).await);
    let mut body = alice.answer(&challenge, world.now());
    body["refresh"] = true.into();
    let answer = world.client.post("/auth/capauth/verify", &body).await;
    assert_eq!(answer.ok(), json!({"ok": true, "redirect": "/"}));
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let sessions = world.browse(&cookie, "", "GET", "/capauth/v1/sessions", &Value::Null).await.ok();
    let own = sessions.as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    assert_eq!(own["expires_at"], world.time(12 * 3600), "a session's, and no family's");
}

pub(crate) async fn no_renewed_token_outlives_its_key(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::expiring(1);
    let (_, refresh) = agent(&world, &key).await;
    world.advance(DAY - 600);
    let answer = renew(&world, &refresh).await.ok();
    assert_eq!(answer["expires_in"], 600);
    let access = text(&answer, "access_token");
    assert!(world.is_signed_in(&access).await);
    world.advance(600);
    assert!(!world.is_signed_in(&access).await);
    renew(&world, &text(&answer, "refresh_token")).await.refused("401 invalid_token");
}
