//! Browsers are sent to the login page, and back.

use std::convert::Infallible;

use capauth_tower::{AuthLayer, Body, CapAuth, OriginalUri};
use http::{Request, Response};
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};

use crate::person::Person;
use crate::site::{ORIGIN, Site, request};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// What a browser hears of a guarded path: status, `Location`, and whether its cookie is cleared.
async fn guarded(capauth: &CapAuth, request: Request<Body>) -> (u16, String, bool) {
    let app = service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::from("in"))));
    let response = capauth.require_login().layer(app).oneshot(request).await.unwrap();
    let header =
        |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    (response.status().as_u16(), header("location"), header("set-cookie").contains("Max-Age=0"))
}

#[tokio::test]
async fn a_browser_is_sent_to_sign_in_with_the_way_back_and_a_program_is_told() {
    let site = Site::new().await;
    for (method, path, location) in [
        ("GET", "/me", "/auth/capauth/login?redirect=/me"),
        ("HEAD", "/me", "/auth/capauth/login?redirect=/me"),
        ("GET", "/r/1?a=b&c=d%20e", "/auth/capauth/login?redirect=/r/1%3Fa%3Db%26c%3Dd%2520e"),
        ("GET", "https://app.example.com/me?x", "/auth/capauth/login?redirect=/me%3Fx"),
        ("POST", "/change", "/auth/capauth/login?redirect=/"),
    ] {
        let asked = guarded(&site.capauth, request(method, path, &[HTML], "")).await;
        assert_eq!(asked, (303, location.to_owned(), false), "{method} {path}");
        let told = guarded(&site.capauth, request(method, path, &[("accept", "application/json")], "")).await;
        assert_eq!(told, (401, String::new(), false), "{method} {path}");
    }
    // A token that is no good is a program's mistake, and 403 is no question of signing in.
    let bad = request("GET", "/me", &[HTML, ("authorization", "Bearer nonsense")], "");
    assert_eq!(guarded(&site.capauth, bad).await.0, 401);
    let stale = request("GET", "/me", &[HTML, ("cookie", "__Host-capauth=stale")], "");
    assert_eq!(
        guarded(&site.capauth, stale).await,
        (303, "/auth/capauth/login?redirect=/me".to_owned(), true)
    );
    let cookie = site.cookie(&Person::new("alice"), json!(null)).await;
    assert_eq!(guarded(&site.capauth, request("GET", "/me", &[HTML, ("cookie", &cookie)], "")).await.0, 200);
}

#[tokio::test]
async fn the_way_back_is_the_path_as_it_arrived_and_the_page_is_where_it_is_mounted() {
    let site = Site::with(|config| config.mounted_at("/app")).await;
    let mut stripped = request("GET", "/me?x=1", &[HTML], "");
    stripped.extensions_mut().insert(OriginalUri("/app/me?x=1".parse().unwrap()));
    assert_eq!(guarded(&site.capauth, stripped).await.1, "/app/auth/capauth/login?redirect=/app/me%3Fx%3D1");
    let app = AuthLayer::new(site.capauth.clone())
        .layer(service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::from("in")))));
    for (path, status) in
        [("/app/auth/capauth/login", 200), ("/app/me", 401), ("/other/auth/capauth/login", 401)]
    {
        let request = request("GET", path, &[("authorization", "Bearer nonsense")], "");
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status, "{path}");
    }
    for bad in ["app", "//evil.example", "/app/", "/a?b", "/a\r\nset-cookie: x"] {
        let stores = capauth_verifier::memory::stores().unwrap();
        let config = CapAuth::local("app.example.com").stores(stores).mounted_at(bad);
        assert!(config.build().await.unwrap_err().to_string().contains("mounted"), "{bad}");
    }
}

#[tokio::test]
async fn attack_open_redirect_by_the_path_that_asks_for_a_login() {
    let site = Site::new().await;
    for path in
        ["//evil.example/x", "/%2f%2fevil.example", "/%5cevil.example", "/a/..//evil.example", "/x%0d%0ay"]
    {
        let asked = guarded(&site.capauth, request("GET", path, &[HTML], "")).await;
        assert_eq!(asked.1, "/auth/capauth/login?redirect=/", "{path}");
    }
}

#[tokio::test]
async fn the_page_is_served_to_anybody_and_no_markup_of_the_request_stands_in_it() {
    let site = Site::new().await;
    let page = site.get("/auth/capauth/login?redirect=/%22%3E%3Cscript%3E", &[HTML]).await;
    assert_eq!((page.status().as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(!page.text().contains("<script>"), "{}", page.text());
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'nonce-") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("x-frame-options"), "DENY");
    // Somebody whose session ended must reach it.
    assert_eq!(site.get("/auth/capauth/login", &[("cookie", "__Host-capauth=stale")]).await.status(), 200);
    // What is sent back is its own form, from a page of this site.
    assert_eq!(site.post("/auth/capauth/login", &[], &json!({})).await.status(), 403);
    assert_eq!(site.post("/auth/capauth/login", &[("origin", ORIGIN)], &json!({})).await.status(), 415);
    assert_eq!(site.send(request("PUT", "/auth/capauth/login", &[], "")).await.status(), 405);
}
