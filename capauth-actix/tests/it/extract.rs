//! What the extractors promise.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use actix_web::body::to_bytes;
use actix_web::http::header::HeaderMap;
use actix_web::{App, Either, ResponseError as _, web};
use capauth_actix::{
    AuthErrorKind, Authenticated, CapAuth, Clock, Human, InGroup, MaybeAuthenticated, Rejection, SystemClock,
    auth, require_login, service_routes,
};
use capauth_verifier::memory;
use serde_json::json;

use crate::client::{Client, ORIGIN};
use crate::person::Person;
use crate::{Admins, capauth, maybe};

async fn told(user: Result<Authenticated, Rejection>) -> String {
    match user {
        Ok(user) => user.sub().to_string(),
        Err(rejection) if rejection.kind() == AuthErrorKind::Unauthenticated => "please sign in".to_owned(),
        Err(rejection) => rejection.to_string(),
    }
}

/// Answers by the refusal, after asking for it twice.
async fn twice(user: Result<Authenticated, Rejection>) -> Result<String, Rejection> {
    let Err(rejection) = user else { return Ok("signed in".to_owned()) };
    let [first, second] = [rejection.error_response(), rejection.error_response()];
    assert_eq!((first.status(), rejection.status_code()), (second.status(), first.status()));
    let sorted = |headers: &HeaderMap| {
        let mut lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(first.headers()), sorted(second.headers()));
    let (first, second) = (to_bytes(first.into_body()).await.unwrap(), to_bytes(second.into_body()).await);
    assert_eq!(first, second.unwrap());
    Err(rejection)
}

fn site(capauth: &CapAuth) -> Client {
    let capauth = capauth.clone();
    Client::of(move || {
        App::new()
            .configure(service_routes(capauth.clone()))
            .route("/me", web::get().to(async |user: Authenticated| user.0.sub().to_string()))
            .service(web::resource("/maybe").get(maybe).post(maybe))
            .route("/told", web::get().to(told))
            .route("/twice", web::get().to(twice))
            .route("/human", web::get().to(async |user: Human| user.sub().to_string()))
            .route("/both", web::get().to(async |_: Authenticated, _: Human, user| maybe(user).await))
            .route(
                "/in",
                web::get().to(async |user: InGroup<Admins>| user.clone().into_inner().sub().to_string()),
            )
            .route("/transfer", web::post().to(async |_: Authenticated| "done"))
    })
}

#[tokio::test]
async fn an_optional_login_still_refuses_bad_credentials() {
    let client = site(&capauth().await);
    let alice = Person::new("alice");
    let bearer = client.bearer(&alice).await;
    assert_eq!(client.get("/maybe", &[]).await.text, "nobody");
    assert_eq!(client.get("/maybe", &[("authorization", &bearer)]).await.text, alice.fingerprint());
    assert_eq!(client.get("/maybe", &[("authorization", "Bearer nonsense")]).await.status, 401);
    assert_eq!(client.get("/maybe", &[("authorization", "Basic YTpi")]).await.text, "nobody");
    assert_eq!(client.get("/maybe", &[("cookie", "__Host-capauth=c3RhbGU")]).await.text, "nobody");
    assert_eq!(client.get("/me", &[("authorization", &bearer)]).await.text, alice.fingerprint());
    let stale = client.get("/me", &[("cookie", "__Host-capauth=c3RhbGU")]).await;
    assert_eq!((stale.status, stale.cookie.as_str()), (401, "__Host-capauth="), "cleared where it matters");
}

#[tokio::test]
async fn a_handler_may_take_the_refusal_into_its_own_hands() {
    let client = site(&capauth().await);
    let bad = [("authorization", "Bearer nonsense")];
    assert_eq!(client.get("/told", &[]).await.text, "please sign in");
    let told = client.get("/told", &bad).await;
    assert!(told.text.contains("not valid"), "{}", told.text);
    let (twice, once) = (client.get("/twice", &bad).await, client.get("/me", &bad).await);
    assert_eq!(
        (twice.status, &twice.text),
        (401, &once.text),
        "the answer is the same however often it is asked for"
    );
    for name in ["www-authenticate", "cache-control", "content-type"] {
        assert_eq!(twice.headers[name], once.headers[name], "{name}");
    }
}

#[tokio::test]
async fn humans_and_groups_are_demanded() {
    let capauth = capauth().await;
    let client = site(&capauth);
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
    let client = site(&capauth().await);
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let session = ("cookie", &*cookie);
    let evil = ("origin", "https://evil.example");
    for path in ["/transfer", "/maybe"] {
        for headers in [&[session][..], &[session, ("origin", "null")], &[session, evil]] {
            let answer = client.send("POST", path, headers, String::new()).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}");
        }
        let own = [session, ("origin", ORIGIN)];
        assert_eq!(client.send("POST", path, &own, String::new()).await.status, 200);
    }
}

/// What actix-web makes of `Option` and `Either`, as the documentation says; behind `auth` it does no harm.
#[tokio::test]
async fn attack_bad_token_passes_for_nobody_where_actix_drops_the_error() {
    let capauth = capauth().await;
    for (wrapped, status) in [(false, 200), (true, 401)] {
        let handle = capauth.clone();
        let client = Client::of(move || {
            let condition = actix_web::middleware::Condition::new(wrapped, auth(handle.clone()));
            App::new()
                .configure(service_routes(handle.clone()))
                .route(
                    "/option",
                    web::get().to(async |user: Option<Authenticated>| maybe(MaybeAuthenticated(user)).await),
                )
                .route("/either", web::get().to(async |_: Either<Authenticated, ()>| "either"))
                .wrap(condition)
        });
        for path in ["/option", "/either"] {
            let bad = client.get(path, &[("authorization", "Bearer nonsense")]).await;
            assert_eq!(bad.status, status, "{path}, wrapped: {wrapped}");
        }
        let alice = Person::new("alice");
        let bearer = client.bearer(&alice).await;
        assert_eq!(client.get("/option", &[("authorization", &bearer)]).await.text, alice.fingerprint());
    }
}

/// Counts how often somebody looks at it: whoever decides has to.
struct Counting(Arc<AtomicUsize>);

impl Clock for Counting {
    fn now(&self) -> SystemTime {
        self.0.fetch_add(1, Ordering::SeqCst);
        SystemClock.now()
    }
}

#[tokio::test]
async fn a_request_is_decided_once_however_many_ask() {
    let looks = Arc::new(AtomicUsize::new(0));
    let config = CapAuth::local("app.example.com").stores(memory::stores().unwrap());
    let capauth = config.clock(Arc::new(Counting(Arc::clone(&looks)))).build().await.unwrap();
    let client = Client::of(move || {
        let all = async |_: Authenticated, _: Human, _: MaybeAuthenticated, _: Authenticated| "all";
        App::new()
            .configure(service_routes(capauth.clone()))
            .route("/one", web::get().to(async |_: Authenticated| "one"))
            .route("/all", web::get().to(all))
            .service(
                web::scope("/wrapped")
                    .wrap(require_login())
                    .wrap(auth(capauth.clone()))
                    .route("", web::get().guard(capauth_actix::guard::capauth_login()).to(all)),
            )
    });
    let alice = Person::new("alice");
    let (bearer, cookie) = (client.bearer(&alice).await, client.cookie(&alice, &json!({})).await);
    for credentials in [("authorization", &*bearer), ("cookie", &*cookie)] {
        let mut counts = Vec::new();
        for path in ["/one", "/one", "/all", "/wrapped"] {
            let before = looks.load(Ordering::SeqCst);
            assert_eq!(client.get(path, &[credentials]).await.status, 200, "{path}");
            counts.push(looks.load(Ordering::SeqCst) - before);
        }
        assert!(counts[1] > 0, "{counts:?}");
        assert_eq!(counts[1..], [counts[1]; 3], "{}", credentials.0);
    }
}
