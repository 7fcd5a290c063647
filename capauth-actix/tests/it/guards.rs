//! Routing by who asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::guard::Not;
use actix_web::{App, web};
use capauth_actix::guard::{capauth_group, capauth_login};
use capauth_actix::{auth, require_login, service_routes};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::capauth;
use crate::client::Client;
use crate::person::Person;

#[tokio::test]
async fn behind_auth_a_guard_chooses() {
    let capauth = capauth().await;
    let handle = capauth.clone();
    let client = Client::of(move || {
        App::new()
            .configure(service_routes(handle.clone()))
            .route("/x", web::get().guard(capauth_group("admins")).to(async || "admins"))
            .route("/x", web::get().guard(capauth_login()).to(async || "members"))
            .route("/x", web::get().to(async || "everybody"))
            .service(
                web::scope("/only")
                    .guard(capauth_group("admins"))
                    .route("", web::get().to(async || "admins")),
            )
            .route("/strangers", web::get().guard(Not(capauth_login())).to(async || "welcome"))
            .wrap(auth(handle.clone()))
    });
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (alices, bobs) = (client.bearer(&alice).await, client.bearer(&bob).await);
    let local = capauth.local_verifier().unwrap();
    local.set_groups(&alice.fingerprint().parse().unwrap(), &["admins".to_owned()]).await.unwrap();
    let (alices, bobs) = ([("authorization", &*alices)], [("authorization", &*bobs)]);
    for (headers, x, only, strangers) in
        [(&alices[..], "admins", 200, 404), (&bobs, "members", 404, 404), (&[], "everybody", 404, 200)]
    {
        assert_eq!(client.get("/x", headers).await.text, x);
        assert_eq!(client.get("/only", headers).await.status, only, "{x}");
        assert_eq!(client.get("/strangers", headers).await.status, strangers, "{x}");
    }
    for path in ["/x", "/only", "/strangers"] {
        assert_eq!(client.get(path, &[("authorization", "Bearer nonsense")]).await.status, 401, "{path}");
    }
}

/// Counts what is said under the guards' target.
struct Listening(Arc<AtomicUsize>);

impl Subscriber for Listening {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "capauth::guard"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn alone_a_guard_never_matches_and_says_so_once() {
    let warnings = Arc::new(AtomicUsize::new(0));
    // For the whole process: workers are threads of their own. No other test has a guard without `auth`.
    tracing::subscriber::set_global_default(Listening(Arc::clone(&warnings))).unwrap();
    let capauth = capauth().await;
    let client = Client::of(move || {
        let scope = web::scope("/wrapped").wrap(require_login());
        App::new()
            .configure(service_routes(capauth.clone()))
            .route("/x", web::get().guard(capauth_login()).to(async || "members"))
            .service(scope.route("", web::get().guard(capauth_login()).to(async || "members")))
    });
    let bearer = client.bearer(&Person::new("alice")).await;
    let good = [("authorization", &*bearer)];
    assert_eq!(client.get("/wrapped", &good).await.text, "members", "middleware around it has decided");
    assert_eq!(warnings.load(Ordering::SeqCst), 0);
    for headers in [&[][..], &good, &good] {
        assert_eq!(client.get("/x", headers).await.status, 404);
    }
    assert_eq!(warnings.load(Ordering::SeqCst), 1);
}
