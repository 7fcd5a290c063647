//! What the extractors promise.

use axum::Router;
use axum::routing::{get, post};
use capauth_axum::{
    AuthErrorKind, AuthLayer, Authenticated, CapAuth, Human, InGroup, MaybeAuthenticated, Rejection,
};
use capauth_verifier::memory;
use serde_json::json;

use crate::client::{Client, ORIGIN};
use crate::example::Admins;
use crate::person::Person;

async fn capauth() -> CapAuth {
    CapAuth::local("app.example.com").stores(memory::stores().unwrap()).build().await.unwrap()
}

async fn maybe(user: MaybeAuthenticated) -> String {
    user.map_or("nobody".to_owned(), |user| user.sub().to_string())
}

async fn told(user: Result<Authenticated, Rejection>) -> String {
    match user {
        Ok(user) => user.sub().to_string(),
        Err(rejection) if rejection.kind() == AuthErrorKind::Unauthenticated => "please sign in".to_owned(),
        Err(rejection) => rejection.to_string(),
    }
}

fn app(capauth: &CapAuth) -> Router {
    Router::new()
        .route("/me", get(async |user: Authenticated| user.0.sub().to_string()))
        .route("/maybe", get(maybe).post(maybe))
        .route("/told", get(told))
        .route("/human", get(async |user: Human| user.sub().to_string()))
        .route("/both", get(async |_: Authenticated, _: Human, user: MaybeAuthenticated| maybe(user).await))
        .route("/in", get(async |user: InGroup<Admins>| user.clone().into_inner().sub().to_string()))
        .route("/transfer", post(async |_: Authenticated| "done"))
        .merge(capauth_axum::service_routes())
        .with_state(capauth.clone())
}

#[tokio::test]
async fn an_optional_login_still_refuses_bad_credentials() {
    let capauth = capauth().await;
    let client = Client::of(app(&capauth)).await;
    let alice = Person::new("alice");
    let bearer = client.bearer(&alice).await;
    assert_eq!(client.get("/maybe", &[]).await.text, "nobody");
    assert_eq!(client.get("/maybe", &[("authorization", &bearer)]).await.text, alice.fingerprint());
    assert_eq!(client.get("/maybe", &[("authorization", "Bearer nonsense")]).await.status, 401);
    assert_eq!(client.get("/maybe", &[("authorization", "Basic YTpi")]).await.text, "nobody");
    assert_eq!(client.get("/maybe", &[("cookie", "__Host-capauth=c3RhbGU")]).await.text, "nobody");
    let stale = client.get("/me", &[("cookie", "__Host-capauth=c3RhbGU")]).await;
    assert_eq!((stale.status, stale.cookie.as_str()), (401, "__Host-capauth="), "cleared where it matters");
}

#[tokio::test]
async fn a_handler_may_take_the_refusal_into_its_own_hands() {
    let capauth = capauth().await;
    let client = Client::of(app(&capauth)).await;
    assert_eq!(client.get("/told", &[]).await.text, "please sign in");
    let bad = client.get("/told", &[("authorization", "Bearer nonsense")]).await;
    assert!(bad.text.contains("not valid"), "{}", bad.text);
}

#[tokio::test]
async fn humans_and_groups_are_demanded() {
    let capauth = capauth().await;
    let client = Client::of(app(&capauth)).await;
    let (alice, agent) = (Person::new("alice"), Person::new("agent"));
    let alices = client.cookie(&alice, &json!({"name": "Alice"})).await;
    let agents = client.cookie(&agent, &json!({"agent_type": "ai"})).await;
    for path in ["/human", "/both"] {
        assert_eq!(client.get(path, &[("cookie", &alices)]).await.text, alice.fingerprint(), "{path}");
        assert_eq!(client.get(path, &[("cookie", &agents)]).await.status, 403, "{path}");
        assert_eq!(client.get(path, &[]).await.status, 401, "{path}");
    }
    assert_eq!(client.get("/in", &[]).await.status, 401);
    assert_eq!(client.get("/in", &[("cookie", &alices)]).await.status, 403);
    let local = capauth.local_verifier().unwrap();
    local.set_groups(&alice.fingerprint().parse().unwrap(), &["admins".to_owned()]).await.unwrap();
    assert_eq!(client.get("/in", &[("cookie", &alices)]).await.text, alice.fingerprint());
}

#[tokio::test]
async fn attack_cross_site_post_to_a_handler() {
    let capauth = capauth().await;
    let client = Client::of(app(&capauth)).await;
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let session = ("cookie", &*cookie);
    for path in ["/transfer", "/maybe"] {
        for headers in
            [&[session][..], &[session, ("origin", "null")], &[session, ("origin", "https://evil.example")]]
        {
            assert_eq!(
                client.send("POST", path, headers, String::new()).await.status,
                403,
                "{path} {headers:?}"
            );
        }
        assert_eq!(
            client.send("POST", path, &[session, ("origin", ORIGIN)], String::new()).await.status,
            200
        );
    }
}

#[tokio::test]
async fn the_layers_serve_routers_and_single_routes() {
    let capauth = capauth().await;
    let guarded = get(async || "inside").route_layer(capauth.require_group("admins"));
    let app = Router::new()
        .route("/guarded", guarded)
        .route("/me", get(async |user: MaybeAuthenticated| maybe(user).await))
        .merge(capauth_axum::service_routes())
        .layer(AuthLayer::new(capauth.clone()))
        .with_state(capauth.clone());
    let client = Client::of(app).await;
    let alice = Person::new("alice");
    let bearer = client.bearer(&alice).await;
    let alices = [("authorization", &*bearer)];
    assert_eq!(client.get("/me", &alices).await.text, alice.fingerprint());
    assert_eq!(client.get("/guarded", &alices).await.status, 403);
    assert_eq!(client.get("/guarded", &[]).await.status, 401);
    assert_eq!(client.get("/nowhere", &[("authorization", "Bearer nonsense")]).await.status, 401);
    assert_eq!(client.get("/nowhere", &[]).await.status, 404);
    let cookie = client.cookie(&alice, &json!({})).await;
    assert_eq!(client.get("/me", &[("cookie", &cookie)]).await.text, alice.fingerprint());
}
