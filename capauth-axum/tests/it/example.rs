//! The application of the documentation's first page, from a login to a logout.

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use capauth_axum::{Authenticated, CapAuth, InGroup, group};
use serde_json::json;

use crate::client::{Client, ORIGIN};
use crate::person::Person;

group!(pub(crate) Admins = "admins");

#[derive(Clone, FromRef)]
struct App {
    capauth: CapAuth,
}

fn reports() -> Router<App> {
    Router::new().route("/", get(async || "All is well."))
}

async fn app(database: &std::path::Path) -> (CapAuth, Router) {
    let url = format!("sqlite://{}", database.display());
    let capauth = CapAuth::local("app.example.com").store(url).build().await.unwrap();
    let app = Router::new()
        .route("/me", get(async |user: Authenticated| format!("Hello, {}", user.display_name())))
        .route(
            "/admin",
            get(async |admin: InGroup<Admins>| format!("At your service, {}", admin.display_name())),
        )
        .nest("/reports", reports().route_layer(capauth.require_group("admins")))
        .merge(capauth_axum::routes())
        .with_state(App { capauth: capauth.clone() });
    (capauth, app)
}

#[tokio::test]
async fn somebody_signs_in_is_let_in_and_signs_out() {
    let directory = tempfile::tempdir().unwrap();
    let (capauth, router) = app(&directory.path().join("capauth.db")).await;
    let client = Client::of(router).await;
    let alice = Person::new("alice");

    for path in ["/me", "/admin", "/reports", "/auth/capauth/me"] {
        let answer = client.get(path, &[]).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("invalid_token")), "{path}");
    }

    let cookie = client.cookie(&alice, &json!({"name": "Alice", "groups": ["admins"]})).await;
    let alices = [("cookie", &*cookie)];
    assert_eq!(client.get("/me", &alices).await.text, "Hello, Alice");
    assert_eq!(client.get("/auth/capauth/me", &alices).await.json()["sub"], alice.fingerprint());
    for path in ["/admin", "/reports"] {
        let answer = client.get(path, &alices).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("forbidden")), "{path}");
    }

    let local = capauth.local_verifier().unwrap();
    local.set_groups(&alice.fingerprint().parse().unwrap(), &["admins".to_owned()]).await.unwrap();
    assert_eq!(client.get("/admin", &alices).await.text, "At your service, Alice");
    assert_eq!(client.get("/reports", &alices).await.text, "All is well.");

    let logout =
        client.post("/auth/capauth/logout", &[("cookie", &cookie), ("origin", ORIGIN)], &json!({})).await;
    assert_eq!((logout.status, logout.cookie.as_str()), (200, "__Host-capauth="));
    assert_eq!(client.get("/me", &alices).await.status, 401);
    capauth.close().await.unwrap();
}

#[tokio::test]
async fn a_session_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("capauth.db");
    let (capauth, router) = app(&database).await;
    let cookie = Client::of(router).await.cookie(&Person::new("alice"), &json!({"name": "Alice"})).await;
    capauth.close().await.unwrap();
    drop(capauth);
    let (_capauth, router) = app(&database).await;
    let answer = Client::of(router).await.get("/me", &[("cookie", &cookie)]).await;
    assert_eq!(answer.text, "Hello, Alice");
}
