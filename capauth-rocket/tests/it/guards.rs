//! What the guards promise.

use std::sync::atomic::Ordering;

use capauth_rocket::{AuthErrorKind, Authenticated, CapAuth, Human, InGroup, MaybeAuthenticated, Rejection};
use rocket::{Build, Rocket, get, post, routes};
use serde_json::json;

use crate::client::{Client, ORIGIN, error, rocket};
use crate::example::Admins;
use crate::person::Person;
use crate::stores::{capauth, watched};

#[get("/me")]
fn me(user: Authenticated) -> String {
    user.0.sub().to_string()
}

fn name(user: Option<&Authenticated>) -> String {
    user.map_or("nobody".to_owned(), |user| user.sub().to_string())
}

#[get("/maybe")]
fn maybe(user: MaybeAuthenticated) -> String {
    name(user.as_ref())
}

#[post("/maybe")]
fn maybe_change(user: MaybeAuthenticated) -> String {
    name(user.as_ref())
}

#[get("/option")]
fn option(user: Option<Authenticated>) -> String {
    name(user.as_ref())
}

#[get("/told")]
fn told(user: Result<Authenticated, Rejection>) -> String {
    match user {
        Ok(user) => user.sub().to_string(),
        Err(rejection) if rejection.kind() == AuthErrorKind::Unauthenticated => "please sign in".to_owned(),
        Err(rejection) => rejection.to_string(),
    }
}

#[get("/human")]
fn human(user: Human) -> String {
    user.sub().to_string()
}

#[get("/both")]
fn both(_user: Authenticated, _human: Human, user: MaybeAuthenticated) -> String {
    name(user.as_ref())
}

#[get("/in")]
fn inside(user: InGroup<Admins>) -> String {
    user.clone().into_inner().sub().to_string()
}

#[get("/in", rank = 2)]
fn outside() -> &'static str {
    "for everybody"
}

#[post("/transfer")]
fn transfer(_user: Authenticated) -> &'static str {
    "done"
}

fn app(capauth: &CapAuth) -> Rocket<Build> {
    rocket()
        .attach(capauth_rocket::fairing(capauth.clone()))
        .mount("/", capauth_rocket::service_routes())
        .mount("/", routes![me, maybe, maybe_change, option, told, human, both, inside, outside, transfer])
}

#[tokio::test]
async fn an_optional_login_still_refuses_bad_credentials() {
    let client = Client::of(app(&capauth().await)).await;
    let alice = Person::new("alice");
    let bearer = client.bearer(&alice).await;
    assert_eq!(client.get("/maybe", &[]).await.text, "nobody");
    assert_eq!(client.get("/maybe", &[("authorization", &bearer)]).await.text, alice.fingerprint());
    let bad = client.get("/maybe", &[("authorization", "Bearer nonsense")]).await;
    assert_eq!(bad.error(), error(401, "invalid_token"));
    assert_eq!(client.get("/maybe", &[("authorization", "Basic YTpi")]).await.text, "nobody");
    assert_eq!(client.get("/maybe", &[("cookie", "__Host-capauth=c3RhbGU")]).await.text, "nobody");
    let stale = client.get("/me", &[("cookie", "__Host-capauth=c3RhbGU")]).await;
    assert_eq!((stale.status, stale.cookie.as_str()), (401, "__Host-capauth="), "cleared where it matters");
}

#[tokio::test]
async fn attack_bad_token_where_rockets_option_swallows_refusals_is_nobody() {
    let client = Client::of(app(&capauth().await)).await;
    let alice = Person::new("alice");
    let bearer = client.bearer(&alice).await;
    assert_eq!(client.get("/option", &[("authorization", "Bearer nonsense")]).await.text, "nobody");
    assert_eq!(client.get("/option", &[]).await.text, "nobody");
    assert_eq!(client.get("/option", &[("authorization", &bearer)]).await.text, alice.fingerprint());
}

#[tokio::test]
async fn a_handler_may_take_the_refusal_into_its_own_hands() {
    let client = Client::of(app(&capauth().await)).await;
    assert_eq!(client.get("/told", &[]).await.text, "please sign in");
    let bad = client.get("/told", &[("authorization", "Bearer nonsense")]).await;
    assert!(bad.status == 200 && bad.text.contains("not valid"), "{bad:?}");
}

#[tokio::test]
async fn humans_and_groups_are_demanded_and_nobody_is_forwarded() {
    let capauth = capauth().await;
    let client = Client::of(app(&capauth)).await;
    let (alice, agent) = (Person::new("alice"), Person::new("agent"));
    let alices = client.cookie(&alice, &json!({"name": "Alice"})).await;
    let agents = client.cookie(&agent, &json!({"agent_type": "ai"})).await;
    for path in ["/human", "/both"] {
        assert_eq!(client.get(path, &[("cookie", &alices)]).await.text, alice.fingerprint(), "{path}");
        assert_eq!(client.get(path, &[("cookie", &agents)]).await.error(), error(403, "forbidden"), "{path}");
        assert_eq!(client.get(path, &[]).await.error(), error(401, "invalid_token"), "{path}");
    }
    // There is a second route at this path, for whoever is forwarded.
    assert_eq!(client.get("/in", &[]).await.error(), error(401, "invalid_token"));
    assert_eq!(client.get("/in", &[("cookie", &alices)]).await.error(), error(403, "forbidden"));
    let local = capauth.local_verifier().unwrap();
    local.set_groups(&alice.fingerprint().parse().unwrap(), &["admins".to_owned()]).await.unwrap();
    assert_eq!(client.get("/in", &[("cookie", &alices)]).await.text, alice.fingerprint());
}

#[tokio::test]
async fn several_guards_of_a_request_ask_once() {
    let (stores, seen) = watched();
    let capauth = CapAuth::local("app.example.com").stores(stores).build().await.unwrap();
    let client = Client::of(app(&capauth)).await;
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let mut asked = Vec::new();
    for path in ["/me", "/both", "/me"] {
        seen.tokens.store(0, Ordering::SeqCst);
        assert_eq!(client.get(path, &[("cookie", &cookie)]).await.status, 200);
        asked.push(seen.tokens.load(Ordering::SeqCst));
    }
    assert_eq!(asked, [1, 1, 1]);
}

#[tokio::test]
async fn attack_cross_site_post_to_a_handler() {
    let client = Client::of(app(&capauth().await)).await;
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let session = ("cookie", &*cookie);
    for path in ["/transfer", "/maybe"] {
        for headers in
            [&[session][..], &[session, ("origin", "null")], &[session, ("origin", "https://evil.example")]]
        {
            let answer = client.send("POST", path, headers, "").await;
            assert_eq!(answer.error(), error(403, "forbidden"), "{path} {headers:?}");
        }
        assert_eq!(client.send("POST", path, &[session, ("origin", ORIGIN)], "").await.status, 200);
    }
}

#[tokio::test]
async fn attack_provoked_store_error_tells_nothing_and_lets_nobody_in() {
    let (stores, seen) = watched();
    let capauth = CapAuth::local("app.example.com").stores(stores).build().await.unwrap();
    let client = Client::of(app(&capauth)).await;
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    seen.broken.store(true, Ordering::SeqCst);
    for path in ["/me", "/maybe"] {
        let answer = client.get(path, &[("cookie", &cookie)]).await;
        assert_eq!(answer.error(), error(503, "server_error"), "{path}");
        assert!(!format!("{answer:?}").contains("MARKER"), "{answer:?}");
        assert_eq!(answer.cookie, "", "a session is not lost because a store is away");
    }
    assert_eq!(client.get("/option", &[("cookie", &cookie)]).await.text, "nobody");
    seen.broken.store(false, Ordering::SeqCst);
    assert_eq!(client.get("/me", &[("cookie", &cookie)]).await.status, 200, "and it still counts");
}
