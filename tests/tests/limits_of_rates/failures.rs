//! What is refused is counted, and then refused before it is looked at.

use capauth_tests::http::{Answer, Challenge, send};
use capauth_tower::{EnrollmentMode, RateLimits};
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{ADMIN_TOKEN, ORIGIN, World, text};
use crate::{Visitor, behind_a_proxy, limited, limited_to, nobody, wait};

const HERE: &str = "198.51.100.1";
const ELSEWHERE: &str = "203.0.113.9";

pub(crate) async fn five_failures_a_minute_for_a_key_from_an_address(framework: Framework) {
    let world = limited(framework).await;
    let (here, key) = (world.from(HERE), Key::new());
    here.sign_in(&key).await.ok();
    for _ in 0..5 {
        here.fail(&key.fingerprint).await.refused("400 invalid_nonce");
    }
    // Now a good answer is not looked at either.
    let good = world.login_of(&key, Value::Null).await;
    wait(&here.post("/verify", &good).await, 12);
    wait(&here.post("/rotate", &world.rotation(&key, &Key::new()).await).await, 12);
    here.fail(&nobody(1)).await.refused("400 invalid_nonce");
    world.from(ELSEWHERE).post("/verify", &good).await.ok();
    let good = world.login_of(&key, Value::Null).await;
    world.advance(11);
    wait(&here.post("/verify", &good).await, 1);
    world.advance(1);
    here.post("/verify", &good).await.ok();
    // A success gave its place back.
    here.fail(&key.fingerprint).await.refused("400 invalid_nonce");
    wait(&here.fail(&key.fingerprint).await, 12);
}

pub(crate) async fn sixty_failures_a_minute_from_an_address(framework: Framework) {
    let world = limited(framework).await;
    let (here, key) = (world.from(HERE), Key::new());
    for number in 0..60 {
        here.fail(&nobody(number)).await.refused("400 invalid_nonce");
    }
    wait(&here.fail(&nobody(60)).await, 1);
    wait(&here.sign_in(&key).await, 1);
    // Refresh tokens count apart.
    renew(&here, "x").await.refused("401 invalid_token");
    world.from(ELSEWHERE).sign_in(&key).await.ok();
    world.advance(1);
    here.sign_in(&key).await.ok();
    // On the login page too, in its own form.
    here.fail(&nobody(61)).await.refused("400 invalid_nonce");
    let body = json!({"fingerprint": nobody(62), "nonce": "11111111-1111-4111-8111-111111111111", "nonce_signature": "x"});
    let page = here.send("POST", "/auth/capauth/verify", &[], &body).await;
    wait(&page, 1);
    assert_eq!(page.json()["ok"], false);
}

/// A call that is good, and one that is not.
struct Pair {
    path: &'static str,
    good: Value,
    bad: Value,
}

async fn pairs(world: &World) -> Vec<Pair> {
    let spoiled = |mut body: Value, name: &str| {
        body[name] = Key::new().sign("something else", world.now()).into();
        body
    };
    let [a, b, c, d] =
        [world.member().await, world.member().await, world.member().await, world.member().await];
    let (primary, by_subkey, _) = Key::with_subkey();
    world.enrol(&primary).await;
    assert_eq!(world.rotate(&by_subkey, &Key::new()).await.status, 202);
    world.link(&c, &d).await.ok();
    let pair = |path, good, bad| Pair { path, good, bad };
    vec![
        pair(
            "/verify",
            world.login_of(&a, Value::Null).await,
            spoiled(world.login_of(&a, Value::Null).await, "nonce_signature"),
        ),
        pair(
            "/rotate/cancel",
            world.cancel_with(&primary, |_| {}).await,
            spoiled(world.cancel_with(&primary, |_| {}).await, "signature"),
        ),
        pair(
            "/link",
            world.link_body(&a, &b).await,
            spoiled(world.link_body(&a, &b).await, "secondary_signature"),
        ),
        pair(
            "/unlink",
            world.unlink_body(&c, &d).await,
            spoiled(world.unlink_body(&c, &d).await, "primary_signature"),
        ),
        pair(
            "/rotate",
            world.rotation(&c, &Key::new()).await,
            spoiled(world.rotation(&c, &Key::new()).await, "rotation_signature"),
        ),
        pair(
            "/unlink",
            Value::Null,
            json!({"primary_fingerprint": nobody(1), "secondary_fingerprint": nobody(2)}),
        ),
    ]
}

pub(crate) async fn whatever_is_refused_counts_and_what_is_not_does_not(framework: Framework) {
    let limits = RateLimits::default().failures_per_address(1).challenges_per_minute(100);
    let world = limited_to(framework, limits).await;
    for (number, Pair { path, good, bad }) in pairs(&world).await.into_iter().enumerate() {
        let address = format!("198.51.100.{number}");
        let here = world.from(&address);
        if !good.is_null() {
            here.post(path, &good).await.ok();
        }
        let refused = here.post(path, &bad).await;
        assert_eq!(refused.status, 401, "{path}: {}", refused.text());
        wait(&here.post(path, &bad).await, 60);
        wait(&here.fail(&nobody(number)).await, 60);
        // Only here.
        assert_eq!(world.from(ELSEWHERE).ask(&nobody(number)).await.status, 200);
    }
}

async fn renew(here: &Visitor<'_>, token: &str) -> Answer {
    here.post("/token", &json!({"grant_type": "refresh_token", "refresh_token": token})).await
}

/// Renewing has a number of its own: reaching it keeps nobody from signing in.
pub(crate) async fn attack_logins_shut_out_by_bad_refresh_tokens(framework: Framework) {
    let world = limited(framework).await;
    let (here, key) = (world.from(HERE), Key::new());
    here.sign_in(&key).await.ok();
    let login = world.login_of(&key, json!({"refresh": true})).await;
    let refresh = text(&world.from(ELSEWHERE).post("/verify", &login).await.ok(), "refresh_token");
    for _ in 0..60 {
        renew(&here, "x").await.refused("401 invalid_token");
    }
    wait(&renew(&here, &refresh).await, 1);
    here.sign_in(&key).await.ok();
    here.fail(&nobody(1)).await.refused("400 invalid_nonce");
    // What goes well gives its place back.
    for _ in 0..3 {
        world.advance(1);
        renew(&here, &refresh).await.ok();
    }
}

/// What any page can have a browser send that looks at it: a form, without a cookie and without asking first.
pub(crate) async fn attack_form_of_a_foreign_page_counts_against_nobody(framework: Framework) {
    let limits = RateLimits::default().failures_per_address(1);
    let world = limited_to(framework, limits).await;
    let here = world.from(HERE);
    let form = async |headers: &[(&str, &str)]| {
        let request = world.client.request("POST", "/capauth/v1/token").header("x-forwarded-for", HERE);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        send(request.body("grant_type=refresh_token&refresh_token=x")).await
    };
    for foreign in [
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ] {
        form(foreign).await.refused("403 forbidden");
    }
    let text = [("content-type", "text/plain"), ("origin", "https://evil.example")];
    for path in ["/token", "/verify", "/rotate", "/link", "/unlink", "/rotate/cancel", "/revoke"] {
        let request = world.client.request("POST", &format!("/capauth/v1{path}"));
        let request = request.header("x-forwarded-for", HERE).body("{}");
        let request = text.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        send(request).await.refused("415 unsupported_media_type");
    }
    // A program, and a page of the site itself, are looked at; the first of them has the one place.
    form(&[]).await.refused("401 invalid_token");
    wait(&form(&[("origin", ORIGIN)]).await, 60);
    world.advance(60);
    form(&[("origin", ORIGIN)]).await.refused("401 invalid_token");
    here.sign_in(&Key::new()).await.ok();
}

async fn administer(here: &Visitor<'_>, token: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let method = if body.is_null() { "GET" } else { "POST" };
    here.send(method, &format!("/capauth/v1{path}"), &[("authorization", &bearer)], body).await
}

pub(crate) async fn attack_administrators_token_guessed(framework: Framework) {
    let world = limited(framework).await;
    let here = world.from(HERE);
    for _ in 0..100 {
        administer(&here, ADMIN_TOKEN, "/keys", &Value::Null).await.ok();
    }
    let jti = json!({"jti": "AAAAAAAAAAAAAAAAAAAAAA"});
    for number in 0..60 {
        let guess = format!("a-guess-at-the-administrators-token-{number:04}");
        // Wherever the token opens a door, a guess is one.
        let answer = match number % 3 {
            0 => administer(&here, &guess, "/keys", &Value::Null).await,
            1 => administer(&here, &guess, "/revoke", &jti).await,
            _ => administer(&here, &guess, "/revocations", &Value::Null).await,
        };
        answer.refused("401 invalid_token");
    }
    for (path, body) in [("/keys", &Value::Null), ("/revoke", &jti), ("/revocations", &Value::Null)] {
        wait(&administer(&here, ADMIN_TOKEN, path, body).await, 1);
        administer(&world.from(ELSEWHERE), ADMIN_TOKEN, path, body).await.ok();
    }
    world.advance(1);
    administer(&here, ADMIN_TOKEN, "/keys", &Value::Null).await.ok();
}

pub(crate) async fn attack_enrolment_code_guessed(framework: Framework) {
    let limits = RateLimits::default().challenges_per_minute(100);
    let world = World::with(framework, |config| {
        behind_a_proxy(config).rate_limits(limits).enrollment(EnrollmentMode::Closed)
    })
    .await;
    let (here, key) = (world.from(HERE), Key::new());
    let guess = async |code: &str| {
        let mut body = key.answer(&Challenge::read(&here.ask(&key.fingerprint).await), world.now());
        body["public_key"] = key.certificate.as_str().into();
        body["enrollment_code"] = code.into();
        here.post("/verify", &body).await
    };
    for number in 0..5 {
        guess(&format!("{number:032}")).await.refused("403 enrollment_closed");
    }
    let made = world.admin("POST", "/enrollment-codes", json!({})).await.ok();
    let code = text(&made, "enrollment_code");
    wait(&guess(&code).await, 12);
    world.advance(12);
    guess(&code).await.ok();
}
