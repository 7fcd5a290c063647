//! The application of the documentation's first page, from a login to a logout.

use actix_web::{App, web};
use capauth_actix::{Authenticated, CapAuth, InGroup, auth, require_group};
use serde_json::json;

use crate::Admins;
use crate::client::{Client, ORIGIN};
use crate::person::Person;

async fn me(user: Authenticated) -> String {
    format!("Hello, {}", user.display_name())
}

async fn settings(admin: InGroup<Admins>) -> String {
    format!("At your service, {}", admin.display_name())
}

async fn site(database: &std::path::Path) -> (CapAuth, Client) {
    let url = format!("sqlite://{}", database.display());
    let capauth = CapAuth::local("app.example.com").store(url).build().await.unwrap();
    let handle = capauth.clone();
    let client = Client::of(move || {
        App::new()
            .configure(capauth_actix::routes(handle.clone()))
            .route("/me", web::get().to(me))
            .route("/settings", web::get().to(settings))
            .service(
                web::scope("/admin")
                    .wrap(require_group("admins"))
                    .route("/reports", web::get().to(async || "All is well.")),
            )
            .wrap(auth(handle.clone()))
    });
    (capauth, client)
}

#[tokio::test]
async fn somebody_signs_in_is_let_in_and_signs_out() {
    let directory = tempfile::tempdir().unwrap();
    let (capauth, client) = site(&directory.path().join("capauth.db")).await;
    let alice = Person::new("alice");

    for path in ["/me", "/settings", "/admin/reports", "/auth/capauth/me"] {
        assert_eq!(client.get(path, &[]).await.error(), (401, "invalid_token".to_owned()), "{path}");
    }

    let cookie = client.cookie(&alice, &json!({"name": "Alice", "groups": ["admins"]})).await;
    let alices = [("cookie", &*cookie)];
    assert_eq!(client.get("/me", &alices).await.text, "Hello, Alice");
    assert_eq!(client.get("/auth/capauth/me", &alices).await.json()["sub"], alice.fingerprint());
    for path in ["/settings", "/admin/reports"] {
        assert_eq!(client.get(path, &alices).await.error(), (403, "forbidden".to_owned()), "{path}");
    }

    let local = capauth.local_verifier().unwrap();
    local.set_groups(&alice.fingerprint().parse().unwrap(), &["admins".to_owned()]).await.unwrap();
    assert_eq!(client.get("/settings", &alices).await.text, "At your service, Alice");
    assert_eq!(client.get("/admin/reports", &alices).await.text, "All is well.");

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
    let (capauth, client) = site(&database).await;
    let cookie = client.cookie(&Person::new("alice"), &json!({"name": "Alice"})).await;
    capauth.close().await.unwrap();
    drop((capauth, client));
    let (_capauth, client) = site(&database).await;
    assert_eq!(client.get("/me", &[("cookie", &cookie)]).await.text, "Hello, Alice");
}
