//! The layers.

use std::convert::Infallible;

use capauth_tower::{AuthLayer, Authenticated, Body, CapAuth, Group, Rule};
use http::{Request, Response};
use http_body_util::{BodyExt, Either};
use serde_json::{Value, json};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::person::Person;
use crate::site::{ORIGIN, Site, request};

capauth_tower::group!(Staff = "staff");

/// An application that says whom it sees.
async fn greet(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let who = request.extensions().get::<Authenticated>();
    Ok(Response::new(Body::from(who.map_or("nobody".to_owned(), |who| who.sub().to_string()))))
}

async fn ask<S>(app: S, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String, Response<()>)
where
    S: Service<Request<Body>, Response = Response<Either<Body, Body>>, Error = Infallible>,
{
    let response = app.oneshot(request(method, path, headers, "")).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    (parts.status.as_u16(), text, Response::from_parts(parts, ()))
}

#[tokio::test]
async fn the_layer_says_who_asks_and_refuses_bad_credentials() {
    let site = Site::new().await;
    let alice = Person::new("alice");
    let (bearer, cookie) = (site.bearer(&alice).await, site.cookie(&alice, Value::Null).await);
    let app = || AuthLayer::new(site.capauth.clone()).layer(service_fn(greet));
    assert_eq!(ask(app(), "GET", "/", &[]).await.1, "nobody");
    assert_eq!(ask(app(), "GET", "/", &[("authorization", &bearer)]).await.1, alice.fingerprint());
    assert_eq!(ask(app(), "GET", "/", &[("cookie", &cookie)]).await.1, alice.fingerprint());
    assert_eq!(
        ask(app(), "GET", "/", &[("authorization", "Basic YTpi")]).await.1,
        "nobody",
        "the application's"
    );
    for bad in ["Bearer nonsense", "Bearer", "Bearer a b"] {
        assert_eq!(ask(app(), "GET", "/", &[("authorization", bad)]).await.0, 401, "{bad}");
        assert_eq!(
            ask(app(), "GET", "/", &[("authorization", bad), ("cookie", &cookie)]).await.0,
            401,
            "{bad}"
        );
    }
    assert_eq!(
        ask(app(), "GET", "/", &[("authorization", &bearer), ("authorization", &bearer)]).await.0,
        401
    );
}

#[tokio::test]
async fn the_bearer_decides_when_there_is_a_session_too() {
    let site = Site::new().await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let (bearer, cookie) = (site.bearer(&alice).await, site.cookie(&bob, Value::Null).await);
    let app = AuthLayer::new(site.capauth.clone()).layer(service_fn(greet));
    let both = [("cookie", &*cookie), ("authorization", &*bearer)];
    assert_eq!(ask(app, "GET", "/", &both).await.1, alice.fingerprint());
}

#[tokio::test]
async fn a_stale_cookie_lets_public_pages_and_the_login_through_and_is_cleared_on_the_refusal() {
    let site = Site::new().await;
    let alice = Person::new("alice");
    let cookie = site.cookie(&alice, Value::Null).await;
    site.advance(13 * 3600);
    let capauth = &site.capauth;
    let app = || {
        let layers = ServiceBuilder::new().layer(AuthLayer::new(capauth.clone()));
        layers.layer(capauth.routes_layer()).service(service_fn(greet))
    };
    let stale = ("cookie", &*cookie);
    let public = app().oneshot(request("GET", "/public", &[stale], "")).await.unwrap();
    assert_eq!(public.status(), 200);
    let page = app().oneshot(request("GET", "/auth/capauth/login", &[stale], "")).await.unwrap();
    assert_eq!(page.status(), 200, "whoever serves the page");
    let body = json!({"fingerprint": alice.fingerprint()}).to_string();
    let headers = [stale, ("origin", ORIGIN), ("content-type", "application/json")];
    let login = app().oneshot(request("POST", "/auth/capauth/challenge", &headers, body)).await.unwrap();
    assert_eq!(login.status(), 200);
    let guarded = capauth.require_login().layer(service_fn(greet));
    let (status, _, response) = ask(guarded, "GET", "/", &[stale]).await;
    assert_eq!(status, 401);
    assert!(
        response.headers()["set-cookie"].to_str().unwrap().starts_with("__Host-capauth=; Path=/; Max-Age=0")
    );
}

#[tokio::test]
async fn attack_bad_bearer_behind_a_login_path_is_still_refused_there() {
    let site = Site::new().await;
    let layers = ServiceBuilder::new().layer(AuthLayer::new(site.capauth.clone()));
    let app = layers.layer(site.capauth.routes_layer()).service(service_fn(greet));
    let bad = [("authorization", "Bearer nonsense")];
    let answer = app.clone().oneshot(request("GET", "/auth/capauth/me", &bad, "")).await.unwrap();
    assert_eq!(answer.status(), 401);
    // A path that only looks like ours is no exception.
    for path in ["/auth/capauth/me/", "/auth/capauth/%6de", "/AUTH/capauth/me", "/auth/capauth/me;x"] {
        let answer = app.clone().oneshot(request("GET", path, &bad, "")).await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
    }
}

#[tokio::test]
async fn the_services_calls_pass_the_layer_with_their_own_credentials() {
    let site = Site::new().await;
    let layers = ServiceBuilder::new().layer(AuthLayer::new(site.capauth.clone()));
    let app = layers.service(site.capauth.service_endpoints());
    let admin = [("authorization", "Bearer 0123456789abcdef0123456789abcdef")];
    let answer = app.clone().oneshot(request("GET", "/capauth/v1/keys", &admin, "")).await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer = app.oneshot(request("GET", "/elsewhere", &admin, "")).await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn preflights_pass_the_layer_and_no_guard() {
    let site = Site::new().await;
    let preflight = [
        ("origin", "https://other.example"),
        ("access-control-request-method", "PUT"),
        ("authorization", "Bearer x"),
    ];
    let app = AuthLayer::new(site.capauth.clone()).layer(service_fn(greet));
    assert_eq!(ask(app.clone(), "OPTIONS", "/", &preflight).await.0, 200);
    assert_eq!(ask(app, "OPTIONS", "/", &preflight[2..]).await.0, 401, "no preflight");
    let guarded = site.capauth.require_login().layer(service_fn(greet));
    assert_eq!(ask(guarded, "OPTIONS", "/", &preflight[..2]).await.0, 401);
}

#[tokio::test]
async fn guards_let_through_whom_they_name() {
    let site = Site::new().await;
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    site.token(&alice, json!({})).await;
    let granted = ["staff".to_owned()];
    let local = site.capauth.local_verifier().unwrap();
    local.set_groups(&alice.fingerprint().parse().unwrap(), &granted).await.unwrap();
    let (alices, bobs) = (site.bearer(&alice).await, site.bearer(&bob).await);
    let alices = [("authorization", &*alices)];
    let bobs = [("authorization", &*bobs)];

    let login = site.capauth.require_login().layer(service_fn(greet));
    let staff = site.capauth.require_group("staff").layer(service_fn(greet));
    for method in ["GET", "POST", "OPTIONS", "HEAD", "TRACE"] {
        for path in ["/", "/auth/capauth/login", "/auth/capauth/verify", "/health", "//"] {
            assert_eq!(ask(login.clone(), method, path, &[]).await.0, 401, "{method} {path}");
            assert_eq!(ask(staff.clone(), method, path, &bobs).await.0, 403, "{method} {path}");
        }
    }
    let (status, text, response) = ask(staff.clone(), "GET", "/", &[]).await;
    assert_eq!((status, response.headers()["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    assert!(text.contains(r#""error":"invalid_token""#));
    assert_eq!(ask(login, "GET", "/", &bobs).await.1, bob.fingerprint());
    assert_eq!(ask(staff, "POST", "/", &alices).await.1, alice.fingerprint());
    assert_eq!(Rule::group::<Staff>(), Rule::Group(Staff::NAME.into()));
}

#[tokio::test]
async fn attack_claimed_group_opens_nothing() {
    let site = Site::new().await;
    let cookie = site.cookie(&Person::new("mallory"), json!({"groups": ["staff", "admins"]})).await;
    let staff = site.capauth.require_group("staff").layer(service_fn(greet));
    assert_eq!(ask(staff, "GET", "/", &[("cookie", &cookie)]).await.0, 403);
}

#[tokio::test]
async fn who_says_that_they_are_a_program_is_no_human() {
    let site = Site::new().await;
    let human = site.capauth.require_human().layer(service_fn(greet));
    let agent = site.cookie(&Person::new("agent"), json!({"agent_type": "ai"})).await;
    assert_eq!(ask(human.clone(), "GET", "/", &[("cookie", &agent)]).await.0, 403);
    let alice = site.cookie(&Person::new("alice"), json!({"agent_type": "human"})).await;
    assert_eq!(ask(human.clone(), "GET", "/", &[("cookie", &alice)]).await.0, 200);
    assert_eq!(ask(human, "GET", "/", &[]).await.0, 401);
}

#[tokio::test]
async fn attack_cross_site_request_to_a_guarded_path() {
    let site = Site::new().await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    let app = site.capauth.require_login().layer(service_fn(greet));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let bad = [("cookie", &*cookie), ("origin", "https://evil.example")];
        assert_eq!(ask(app.clone(), method, "/transfer", &bad).await.0, 403, "{method}");
        assert_eq!(ask(app.clone(), method, "/transfer", &bad[..1]).await.0, 403, "{method}");
        let good = [("cookie", &*cookie), ("origin", ORIGIN)];
        assert_eq!(ask(app.clone(), method, "/transfer", &good).await.0, 200, "{method}");
    }
    let app = AuthLayer::new(site.capauth.clone()).layer(service_fn(greet));
    assert_eq!(ask(app, "POST", "/transfer", &[("cookie", &cookie)]).await.0, 403);
}

#[tokio::test]
async fn attack_person_known_to_another_site_in_the_same_program() {
    let (one, two) = (Site::new().await, Site::new().await);
    let bearer = one.bearer(&Person::new("alice")).await;
    let capauth: &CapAuth = &two.capauth;
    let cookie = one.cookie(&Person::new("bob"), Value::Null).await;
    let app = ServiceBuilder::new()
        .layer(AuthLayer::new(one.capauth.clone()))
        .layer(capauth.require_login())
        .service(service_fn(greet));
    for headers in [[("authorization", &*bearer)], [("cookie", &*cookie)]] {
        let answer = app.clone().oneshot(request("GET", "/", &headers, "")).await.unwrap();
        assert_eq!(answer.status(), 401, "each asks its own");
    }
    let same = ServiceBuilder::new()
        .layer(AuthLayer::new(one.capauth.clone()))
        .layer(one.capauth.require_login())
        .service(service_fn(greet));
    let answer = same.oneshot(request("GET", "/", &[("cookie", &cookie)], "")).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn the_routes_layer_serves_the_login_and_passes_the_rest_on() {
    let site = Site::new().await;
    let app = site.capauth.routes_layer().layer(service_fn(greet));
    assert_eq!(ask(app.clone(), "GET", "/auth/capauth/me", &[]).await.0, 401);
    assert_eq!(ask(app.clone(), "GET", "/auth/capauth/verify", &[]).await.0, 405);
    for path in ["/", "/auth/capauth/other", "/capauth/v1/keys", "/health"] {
        assert_eq!(ask(app.clone(), "GET", path, &[]).await.1, "nobody", "{path}");
    }
}

#[test]
fn handles_and_layers_can_be_shared() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    shared::<CapAuth>();
    shared::<AuthLayer>();
    shared::<capauth_tower::RequireLayer>();
    shared::<capauth_tower::RoutesLayer>();
    shared::<capauth_tower::Endpoints>();
    shared::<capauth_tower::Auth<()>>();
}
