//! Programs, which show a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_tests::sites::raw::Request;
use capauth_tests::sites::{ORIGIN, OTHER_SERVICE, SERVICE};
use serde_json::{Value, json};

use crate::visit::{Visit, get, post};

pub(crate) async fn a_token_opens_what_a_session_opens(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let bearer = visit.bearer_of(alice).await;
    for name in ["the first time", "the second time"] {
        let me = visit.step(name, get("/me").header("authorization", &bearer), "200").await;
        assert_eq!(me.json()["sub"], alice.fingerprint.to_string());
    }
    let lower = bearer.replacen("Bearer", "bearer", 1);
    visit.step("in lower case", get("/me").header("authorization", lower), "200").await;
    let spaced = bearer.replacen(' ', " \t ", 1);
    visit.step("with more spaces", get("/me").header("authorization", spaced), "200").await;
    visit.step("at the page", get("/auth/capauth/me").header("authorization", &bearer), "200").await;
    visit.step("without the group", get("/admin").header("authorization", &bearer), "403 forbidden").await;
    // A token is sent by programs alone: where it comes from is nothing.
    let change = post("/change").header("authorization", &bearer).header("origin", "https://evil.example");
    visit.step("to change something", change, "200").await;
}

pub(crate) async fn attack_bad_token(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let token = visit.token_for(alice, SERVICE).await;
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { panic!("three parts") };
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let other = text.replace(&alice.fingerprint.to_string(), &visit.cast.mallory.fingerprint.to_string());
    assert_ne!(text, other);
    for (name, bad) in [
        ("a word", "x".to_owned()),
        ("three words", "a.b.c".to_owned()),
        ("without a signature", format!("{head}.{claims}.")),
        ("of no algorithm", format!("{none}.{claims}.")),
        ("cut short", token[..token.len() - 4].to_owned()),
        ("another's signature", format!("{head}.{claims}.{}", "A".repeat(signature.len()))),
        ("about somebody else", format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(other))),
        ("too long", "a".repeat(8 * 1024 + 1)),
    ] {
        for path in ["/me", "/maybe", "/area/inside", "/auth/capauth/me"] {
            let request = get(path).header("authorization", format!("Bearer {bad}"));
            let answer = visit.step(&format!("{name} at {path}"), request, "401 invalid_token").await;
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    visit.step("the good one", get("/me").header("authorization", format!("Bearer {token}")), "200").await;
}

pub(crate) async fn attack_token_of_another_service(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let foreign = format!("Bearer {}", visit.token_for(alice, OTHER_SERVICE).await);
    for path in ["/me", "/maybe", "/auth/capauth/me"] {
        let request = get(path).header("authorization", &foreign);
        visit.step(&format!("theirs at {path}"), request, "401 invalid_token").await;
    }
    let own = visit.bearer_of(alice).await;
    visit.step("ours", get("/me").header("authorization", own), "200").await;
}

pub(crate) async fn attack_expired_token(visit: &Visit<'_>) {
    let bearer = visit.bearer_of(&visit.cast.alice).await;
    let me = || get("/me").header("authorization", &bearer);
    visit.step("at once", me(), "200").await;
    visit.site.advance(3500).await;
    visit.step("within the hour", me(), "200").await;
    visit.site.advance(200).await;
    visit.step("after the hour", me(), "401 invalid_token").await;
    let again = visit.bearer_of(&visit.cast.alice).await;
    visit.step("a new one", get("/me").header("authorization", again), "200").await;
}

/// What a token says of itself.
fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("a token has claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

pub(crate) async fn attack_revoked_token(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let (ended, kept) = (visit.token_for(alice, SERVICE).await, visit.token_for(alice, SERVICE).await);
    let me = |token: &str| get("/me").header("authorization", format!("Bearer {token}"));
    visit.step("before", me(&ended), "200").await;
    let jti = claims(&ended)["jti"].as_str().expect("a token has a name").to_owned();
    visit.site.admin().revoke_token(&jti, None).await.expect("it is written down");
    visit.site.settle().await;
    visit.step("revoked", me(&ended), "401 invalid_token").await;
    visit.step("another", me(&kept), "200").await;
}

pub(crate) async fn attack_revoked_key(visit: &Visit<'_>) {
    let (alice, bob) = (&visit.cast.alice, &visit.cast.bob);
    let (cookie, bearer) = (visit.cookie_of(alice).await, visit.bearer_of(alice).await);
    let other = visit.cookie_of(bob).await;
    visit.step("the session before", get("/me").header("cookie", &cookie), "200").await;
    visit.step("the token before", get("/me").header("authorization", &bearer), "200").await;
    visit.site.admin().revoke(&alice.fingerprint).await.expect("a key that enrolled");
    visit.site.settle().await;
    for path in ["/me", "/area/inside", "/auth/capauth/me"] {
        let session = get(path).header("cookie", &cookie);
        visit.step(&format!("the session at {path}"), session, "401 invalid_token").await;
        let token = get(path).header("authorization", &bearer);
        visit.step(&format!("the token at {path}"), token, "401 invalid_token").await;
    }
    let maybe =
        visit.step("the session where none need be", get("/maybe").header("cookie", &cookie), "200").await;
    assert_eq!(maybe.text(), "nobody");
    let login = post(crate::visit::VERIFY).json(&visit.login_of(alice).await);
    visit.step("a new login", login, "401 key_revoked").await;
    visit.step("another person", get("/me").header("cookie", &other), "200").await;
}

pub(crate) async fn a_token_decides_over_a_cookie(visit: &Visit<'_>) {
    let (alice, bob) = (&visit.cast.alice, &visit.cast.bob);
    let (cookie, bearer) = (visit.cookie_of(alice).await, visit.bearer_of(bob).await);
    let both =
        |authorization: &str| get("/me").header("authorization", authorization).header("cookie", &cookie);
    let me = visit.step("a good one", both(&bearer), "200").await;
    assert_eq!(me.json()["sub"], bob.fingerprint.to_string());
    visit.step("a bad one", both("Bearer x"), "401 invalid_token").await;
    let me = visit.step("another scheme", both("Basic YTpi"), "200").await;
    assert_eq!(me.json()["sub"], alice.fingerprint.to_string());
    let stale = get("/me").header("authorization", &bearer).header("cookie", "__Host-capauth=AAAA");
    let me = visit.step("beside a stale session", stale, "200").await;
    assert_eq!((&me.json()["sub"], me.header("set-cookie")), (&json!(bob.fingerprint.to_string()), ""));
}

/// A layer in front of all routes refuses bad credentials on those, too, that ask for none.
pub(crate) async fn a_layer_refuses_bad_tokens_everywhere(visit: &Visit<'_>) {
    let bearer = visit.bearer_of(&visit.cast.alice).await;
    for path in ["/", "/nothing"] {
        let found = if path == "/" { "200" } else { "404" };
        visit.step(&format!("nobody at {path}"), get(path), found).await;
        let good = get(path).header("authorization", &bearer);
        visit.step(&format!("a good token at {path}"), good, found).await;
        let stale = get(path).header("cookie", "__Host-capauth=AAAA");
        visit.step(&format!("a stale session at {path}"), stale, found).await;
        let bad = get(path).header("authorization", "Bearer x");
        visit.step(&format!("a bad token at {path}"), bad, "401 invalid_token").await;
    }
    let cookie = visit.cookie_of(&visit.cast.alice).await;
    let foreign =
        post("/nothing").header("cookie", &cookie).header("origin", "https://evil.example").body("");
    visit.step("a session from another site", foreign, "403 forbidden").await;
    let own = post("/nothing").header("cookie", &cookie).header("origin", ORIGIN).body("");
    visit.step("a session from this site", own, "404").await;
    let options = || Request::new("OPTIONS /").header("authorization", "Bearer x");
    visit.step("a bad token that asks for the methods", options(), "401 invalid_token").await;
    let preflight = options().header("origin", ORIGIN).header("access-control-request-method", "GET");
    visit.step("a preflight, whatever it shows", preflight, "405").await;
    // Who cannot show a good token must be able to get one.
    let page = get("/auth/capauth/login").header("authorization", "Bearer x");
    visit.step("a bad token at the login page", page, "200").await;
}
