//! What other sites make browsers do.

use http::Method;
use serde_json::{Value, json};

use crate::person::Person;
use crate::site::{ORIGIN, Site, request};

#[tokio::test]
async fn attack_cross_site_post_without_and_with_a_null_origin() {
    let site = Site::new().await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    for headers in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
        // What the attacker says of the host counts for nothing.
        &[("origin", "https://evil.example"), ("host", "evil.example"), ("x-forwarded-host", "evil.example")],
    ] {
        for path in ["/auth/capauth/logout", "/capauth/v1/logout", "/capauth/v1/verify"] {
            let headers = [headers, &[("cookie", &*cookie), ("content-type", "application/json")]].concat();
            let answer = site.send(request("POST", path, &headers, "{}")).await;
            assert_eq!(
                (answer.status().as_u16(), answer.error().as_str()),
                (403, "forbidden"),
                "{path} {headers:?}"
            );
        }
    }
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 200, "still signed in");
    for headers in [[("origin", ORIGIN)], [("sec-fetch-site", "same-origin")]] {
        let cookie = site.cookie(&Person::new("bob"), Value::Null).await;
        let headers = [&headers[..], &[("cookie", &*cookie)]].concat();
        assert_eq!(site.post("/auth/capauth/logout", &headers, &json!({})).await.status(), 200);
    }
}

#[tokio::test]
async fn attack_login_into_the_attackers_account() {
    let site = Site::new().await;
    let mallory = Person::new("mallory");
    for headers in
        [[("origin", "https://evil.example")], [("origin", "null")], [("sec-fetch-site", "same-site")]]
    {
        let challenge = site.challenge("/auth/capauth/challenge", &mallory, json!({})).await;
        let body = site.answer(&challenge, &mallory, &Value::Null);
        let answer = site.post("/auth/capauth/verify", &headers, &body).await;
        assert_eq!(answer.status(), 403, "{headers:?}");
        assert_eq!(answer.json()["ok"], false);
        assert_eq!(answer.header("set-cookie"), "");
        let answer = site.post("/auth/capauth/verify", &[("origin", ORIGIN)], &body).await;
        assert_eq!(answer.status(), 200, "and the challenge was not used up");
    }
}

#[tokio::test]
async fn a_further_origin_counts_once_it_is_configured() {
    let site = Site::with(|config| config.origin("https://www.example.com")).await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    let headers = [("cookie", &*cookie), ("origin", "https://www.example.com")];
    assert_eq!(site.post("/auth/capauth/logout", &headers, &json!({})).await.status(), 200);
}

#[tokio::test]
async fn attack_form_post() {
    let site = Site::new().await;
    for kind in
        ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "", "application/jsonp"]
    {
        let answer =
            site.send(request("POST", "/auth/capauth/verify", &[("content-type", kind)], "{}")).await;
        assert_eq!(
            (answer.status().as_u16(), answer.error().as_str()),
            (415, "unsupported_media_type"),
            "{kind}"
        );
    }
    let twice = [("content-type", "application/json"), ("content-type", "text/plain")];
    assert_eq!(site.send(request("POST", "/auth/capauth/verify", &twice, "{}")).await.status(), 415);
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        let answer =
            site.send(request("POST", "/auth/capauth/verify", &[("content-type", kind)], "{}")).await;
        assert_eq!((answer.status().as_u16(), answer.error().as_str()), (400, "invalid_request"), "{kind}");
    }
}

#[tokio::test]
async fn every_answer_is_kept_from_caches_and_other_sites() {
    let site = Site::new().await;
    let endpoints = site.capauth.service_endpoints();
    for route in endpoints.table() {
        for method in [Method::GET, Method::POST, Method::PUT, Method::HEAD] {
            let path = route.path().replace("{fingerprint}", "AB");
            let answer = site.send(request(method.as_str(), &path, &[], "")).await;
            // The description is the same for everybody, and caches may keep it.
            let described = path.ends_with("/openapi.json") || path.ends_with("/docs");
            let caching = if described && answer.status() == 200 { "public, no-cache" } else { "no-store" };
            assert_eq!(answer.header("cache-control"), caching, "{method} {path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
            assert_eq!(answer.header("referrer-policy"), "same-origin", "{method} {path}");
        }
    }
}
