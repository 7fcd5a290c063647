//! The application of the documentation's first page, from a login to a logout.

use std::path::Path;

use capauth_rocket::{Authenticated, CapAuth, InGroup, group};
use rocket::{Build, Rocket, get, routes};
use serde_json::json;

use crate::client::{Client, ORIGIN, error, rocket};
use crate::person::Person;

group!(pub(crate) Admins = "admins");

#[get("/me")]
fn me(user: Authenticated) -> String {
    format!("Hello, {}", user.display_name())
}

#[get("/admin")]
fn admin(admin: InGroup<Admins>) -> String {
    format!("At your service, {}", admin.display_name())
}

async fn app(database: &Path) -> (CapAuth, Rocket<Build>) {
    let url = format!("sqlite://{}", database.display());
    let capauth = CapAuth::local("app.example.com").store(url).build().await.unwrap();
    let app = rocket()
        .attach(capauth_rocket::fairing(capauth.clone()))
        .mount("/auth/capauth", capauth_rocket::routes())
        .mount("/", routes![me, admin]);
    (capauth, app)
}

#[tokio::test]
async fn somebody_signs_in_is_let_in_and_signs_out() {
    let directory = tempfile::tempdir().unwrap();
    let (capauth, app) = app(&directory.path().join("capauth.db")).await;
    let client = Client::of(app).await;
    let alice = Person::new("alice");

    for path in ["/me", "/admin", "/auth/capauth/me"] {
        assert_eq!(client.get(path, &[]).await.error(), error(401, "invalid_token"), "{path}");
    }

    let cookie = client.cookie(&alice, &json!({"name": "Alice", "groups": ["admins"]})).await;
    let alices = [("cookie", &*cookie)];
    assert_eq!(client.get("/me", &alices).await.text, "Hello, Alice");
    assert_eq!(client.get("/auth/capauth/me", &alices).await.json()["sub"], alice.fingerprint());
    assert_eq!(client.get("/admin", &alices).await.error(), error(403, "forbidden"));

    let local = capauth.local_verifier().unwrap();
    local.set_groups(&alice.fingerprint().parse().unwrap(), &["admins".to_owned()]).await.unwrap();
    assert_eq!(client.get("/admin", &alices).await.text, "At your service, Alice");

    let logout =
        client.post("/auth/capauth/logout", &[("cookie", &cookie), ("origin", ORIGIN)], &json!({})).await;
    assert_eq!((logout.status, logout.cookie.as_str()), (200, "__Host-capauth="));
    assert_eq!(client.get("/me", &alices).await.status, 401);
    client.shut_down().await;
}

#[tokio::test]
async fn a_session_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("capauth.db");
    let (capauth, first) = app(&database).await;
    let client = Client::of(first).await;
    let cookie = client.cookie(&Person::new("alice"), &json!({"name": "Alice"})).await;
    client.shut_down().await;
    drop(capauth);
    let (_capauth, second) = app(&database).await;
    let answer = Client::of(second).await.get("/me", &[("cookie", &cookie)]).await;
    assert_eq!(answer.text, "Hello, Alice");
}
