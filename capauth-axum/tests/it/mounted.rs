//! Where the endpoints are, and what they are told of a request.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use capauth_axum::capauth_tower::{Part, Route};
use capauth_axum::{Authenticated, CapAuth, ServiceEntry};
use capauth_protocol::Nonce;
use capauth_verifier::{AddressPrefix, Challenge, ChallengeStore, StoreResult, Timestamp, memory};
use serde_json::json;

use crate::client::Client;

async fn capauth() -> CapAuth {
    CapAuth::local("app.example.com").stores(memory::stores().unwrap()).build().await.unwrap()
}

#[tokio::test]
async fn every_path_of_the_service_is_there_and_nothing_beside() {
    let capauth = capauth().await;
    let from_state = Router::new().merge(capauth_axum::service_routes()).with_state(capauth.clone());
    let with = Router::new().merge(capauth_axum::service_routes_with(&capauth));
    for app in [from_state, with] {
        let app = app.route("/.well-known/acme-challenge/{token}", get(async || "the application's own"));
        let client = Client::of(app).await;
        for route in Route::of(Part::Service) {
            let path = route.path().replace("{fingerprint}", &"AB".repeat(20));
            let answer = client.send("PATCH", &path, &[], String::new()).await;
            assert_eq!(
                (answer.status, answer.json()["error"].as_str()),
                (405, Some("method_not_allowed")),
                "{path}"
            );
        }
        for path in
            ["/auth/capauth", "/auth/capauth/", "/auth/capauth/other", "/capauth/v1/keys/a/b/groups", "/"]
        {
            assert_eq!(client.get(path, &[]).await.status, 404, "{path}");
        }
        assert_eq!(client.get("/.well-known/acme-challenge/x", &[]).await.text, "the application's own");
        assert_eq!(client.get("/health", &[]).await.json(), json!({"status": "ok"}));
    }
}

#[tokio::test]
async fn an_application_mounts_the_login_alone_with_any_state_and_at_any_place() {
    let capauth = capauth().await;
    let app = Router::new()
        .merge(capauth_axum::routes_with(&capauth))
        .nest("/app", capauth_axum::routes_with(&capauth))
        .with_state(Arc::new("any state"));
    let client = Client::of(app).await;
    for path in ["/auth/capauth/me", "/app/auth/capauth/me"] {
        assert_eq!(client.get(path, &[]).await.status, 401, "{path}");
    }
    for path in ["/capauth/v1/keys", "/health", "/auth/capauth/%6de", "/app/auth/capauth/%6de"] {
        assert_eq!(client.get(path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_browser_comes_back_to_the_whole_path_from_a_nested_router() {
    let capauth = capauth().await;
    let me = || get(async |_: Authenticated| "me");
    let inner = Router::new().route("/me", me()).route("/", get(async || "reports"));
    let app = Router::new()
        .nest("/reports", inner.clone().route_layer(capauth.require_group("admins")))
        .nest("/own", inner)
        .route("/me", me())
        .merge(capauth_axum::routes())
        .with_state(capauth);
    let client = Client::of(app).await;
    for path in ["/reports", "/reports/me", "/own/me", "/me"] {
        let answer = client.get(&format!("{path}?a=1"), &[("accept", "text/html")]).await;
        let location = format!("/auth/capauth/login?redirect={path}%3Fa%3D1");
        assert_eq!((answer.status, answer.location), (303, location), "{path}");
        assert_eq!(client.get(path, &[]).await.status, 401, "{path}");
    }
}

/// Notes where requests for challenges came from.
struct Noting {
    store: Arc<dyn ChallengeStore>,
    seen: Arc<Mutex<Vec<AddressPrefix>>>,
}

#[async_trait]
impl ChallengeStore for Noting {
    async fn put(&self, challenge: Challenge, now: Timestamp) -> StoreResult<()> {
        self.seen.lock().unwrap().push(challenge.prefix);
        self.store.put(challenge, now).await
    }
    async fn get(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>> {
        self.store.get(nonce).await
    }
    async fn take(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>> {
        self.store.take(nonce).await
    }
}

#[tokio::test]
async fn attack_address_forged_by_the_client_does_not_count() {
    let of = |address: &str| AddressPrefix::of(Some(address.parse().unwrap()));
    for (proxies, expected) in [(&[][..], of("127.0.0.1")), (&["127.0.0.0/8"], of("203.0.113.9"))] {
        let (mut stores, seen) = (memory::stores().unwrap(), Arc::default());
        stores.challenges = Arc::new(Noting { store: stores.challenges.clone(), seen: Arc::clone(&seen) });
        let proxies = proxies.iter().map(|range| range.parse().unwrap());
        let config = CapAuth::local("app.example.com").stores(stores).trusted_proxies(proxies);
        let client = Client::of(capauth_axum::routes_with(&config.build().await.unwrap())).await;
        let forwarded = [("x-forwarded-for", "198.51.100.1, 203.0.113.9")];
        let body = json!({"fingerprint": "AB".repeat(20)});
        assert_eq!(client.post("/auth/capauth/challenge", &forwarded, &body).await.status, 200);
        assert_eq!(*seen.lock().unwrap(), [expected]);
    }
}

#[tokio::test]
async fn attack_address_said_by_somebody_who_is_no_application() {
    let of = |address: &str| AddressPrefix::of(Some(address.parse().unwrap()));
    let credential = "Bearer credential-of-b-0123456789abcdef0";
    let (mut stores, seen) = (memory::stores().unwrap(), Arc::default());
    stores.challenges = Arc::new(Noting { store: stores.challenges.clone(), seen: Arc::clone(&seen) });
    let b = ServiceEntry::new("b.example.com").credential("credential-of-b-0123456789abcdef0".into());
    let capauth = CapAuth::local("app.example.com").stores(stores).service(b).build().await.unwrap();
    let client = Client::of(capauth_axum::service_routes_with(&capauth)).await;
    let body = json!({"fingerprint": "AB".repeat(20), "client_nonce": "AAAA"});
    let said = ("capauth-client-address", "203.0.113.9");
    for (headers, expected) in [
        (&[said, ("authorization", credential)][..], "203.0.113.9"),
        (&[said], "127.0.0.1"),
        (&[said, ("authorization", "Bearer credential-of-b-0123456789abcdef1")], "127.0.0.1"),
        (&[said, said, ("authorization", credential)], "127.0.0.1"),
        (&[("capauth-client-address", "not an address"), ("authorization", credential)], "127.0.0.1"),
    ] {
        assert_eq!(client.post("/capauth/v1/challenge", headers, &body).await.status, 200);
        assert_eq!(seen.lock().unwrap().pop(), Some(of(expected)), "{headers:?}");
    }
}
