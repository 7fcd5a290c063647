//! Where the endpoints are, and what they are told of a request.

use std::sync::{Arc, Mutex};

use actix_web::{App, web};
use async_trait::async_trait;
use capauth_actix::capauth_tower::{Part, Route};
use capauth_actix::{CapAuth, require_login, routes, service_routes};
use capauth_protocol::Nonce;
use capauth_verifier::{AddressPrefix, Challenge, ChallengeStore, StoreResult, Timestamp, memory};
use serde_json::json;

use crate::client::Client;
use crate::person::Person;
use crate::{capauth, maybe};

#[tokio::test]
async fn every_path_of_the_service_is_there_and_nothing_beside() {
    let capauth = capauth().await;
    let client = Client::of(move || {
        App::new()
            .configure(service_routes(capauth.clone()))
            .route("/.well-known/acme-challenge/{token}", web::get().to(async || "the application's own"))
    });
    for route in Route::of(Part::Service) {
        let path = route.path().replace("{fingerprint}", &"AB".repeat(20));
        let answer = client.send("PATCH", &path, &[], String::new()).await;
        assert_eq!(answer.error(), (405, "method_not_allowed".to_owned()), "{path}");
    }
    for path in ["/auth/capauth", "/auth/capauth/", "/auth/capauth/other", "/capauth/v1/keys/a/b/groups", "/"]
    {
        let answer = client.get(path, &[]).await;
        assert_eq!((answer.status, answer.text.as_str()), (404, ""), "{path}: the application's answer");
    }
    assert_eq!(client.get("/.well-known/acme-challenge/x", &[]).await.text, "the application's own");
    assert_eq!(client.get("/health", &[]).await.json(), json!({"status": "ok"}));
}

#[tokio::test]
async fn an_application_mounts_the_login_alone() {
    let capauth = capauth().await;
    let client = Client::of(move || App::new().configure(routes(capauth.clone())));
    assert_eq!(client.get("/auth/capauth/me", &[]).await.status, 401);
    for path in ["/capauth/v1/keys", "/health", "/.well-known/jwks.json"] {
        assert_eq!(client.get(path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_scope_may_hold_all_of_it() {
    let capauth = capauth().await;
    let client = Client::of(move || {
        let inner = web::scope("/inside").wrap(require_login()).route("", web::get().to(maybe));
        let scope = web::scope("/app").configure(service_routes(capauth.clone())).service(inner);
        App::new().service(scope.route("/maybe", web::get().to(maybe))).service(
            web::scope("/at/{tenant}").configure(routes(capauth.clone())).route("", web::get().to(maybe)),
        )
    });
    assert_eq!(client.get("/auth/capauth/me", &[]).await.status, 404);
    assert_eq!(client.get("/app/health", &[]).await.json(), json!({"status": "ok"}));
    let groups = format!("/app/capauth/v1/keys/{}/groups?x=1", "AB".repeat(20));
    assert_eq!(client.get(&groups, &[]).await.status, 405);

    let (client, alice) = (client.mounted_at("/app"), Person::new("alice"));
    let cookie = client.cookie(&alice, &json!({})).await;
    let bearer = client.bearer(&alice).await;
    for credentials in [("cookie", &*cookie), ("authorization", &*bearer)] {
        for path in ["/app/maybe", "/app/inside", "/at/home"] {
            assert_eq!(client.get(path, &[credentials]).await.text, alice.fingerprint(), "{path}");
        }
    }
    let me = client.get("/app/auth/capauth/me?x=1", &[("cookie", &cookie)]).await;
    assert_eq!(me.json()["sub"], alice.fingerprint());
    let client = client.mounted_at("/at/a%20home");
    let cookie = client.cookie(&alice, &json!({})).await;
    let me = client.get("/at/a%20home/auth/capauth/me", &[("cookie", &cookie)]).await;
    assert_eq!(me.json()["sub"], alice.fingerprint());
}

#[tokio::test]
async fn attack_credentials_of_another_service_in_the_same_application() {
    let one = capauth().await;
    let other = CapAuth::local("app.example.com").stores(memory::stores().unwrap()).build().await.unwrap();
    let client = Client::of(move || {
        let scope =
            web::scope("/other").configure(service_routes(other.clone())).route("", web::get().to(maybe));
        App::new()
            .configure(service_routes(one.clone()))
            .route("/one", web::get().to(maybe))
            .service(scope)
            .wrap(capauth_actix::auth(one.clone()))
    });
    let alice = Person::new("alice");
    let cookie = client.cookie(&alice, &json!({})).await;
    let bearer = client.bearer(&alice).await;
    assert_eq!(client.get("/one", &[("cookie", &cookie)]).await.text, alice.fingerprint());
    assert_eq!(client.get("/other", &[("cookie", &cookie)]).await.text, "nobody");
    assert_eq!(client.get("/one", &[("authorization", &bearer)]).await.text, alice.fingerprint());
    assert_eq!(client.get("/other", &[("authorization", &bearer)]).await.status, 401);
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
        let capauth = config.build().await.unwrap();
        let client = Client::of(move || App::new().configure(routes(capauth.clone())));
        let forwarded = [
            ("x-forwarded-for", "198.51.100.1, 203.0.113.9"),
            ("forwarded", "for=198.51.100.2"), // actix-web's own guess looks at both
        ];
        let body = json!({"fingerprint": "AB".repeat(20)});
        assert_eq!(client.post("/auth/capauth/challenge", &forwarded, &body).await.status, 200);
        assert_eq!(*seen.lock().unwrap(), [expected]);
    }
}
