//! Methods: those that are there, those that are not, those that nobody knows.

use capauth_tests::sites::ORIGIN;
use capauth_tests::sites::raw::Request;

use crate::visit::{Visit, get};

const LOGIN: &str = "/auth/capauth/login";

pub(crate) async fn endpoints_have_their_methods(visit: &Visit<'_>) {
    let refusal = "405 method_not_allowed";
    for (path, allowed, wrong) in [
        (
            "/auth/capauth/verify",
            "POST",
            &["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"][..],
        ),
        ("/auth/capauth/logout", "POST", &["GET", "HEAD", "PUT"]),
        (LOGIN, "GET, POST, HEAD", &["PUT", "DELETE", "OPTIONS", "TRACE", "FOO"]),
        ("/auth/capauth/me", "GET, HEAD", &["POST", "OPTIONS", "FOO", "get"]),
    ] {
        for method in wrong {
            let request = Request::new(format!("{method} {path}"));
            let expected = if *method == "HEAD" { "405" } else { refusal };
            let answer = visit.step(&format!("{method} {path}"), request, expected).await;
            if answer.status == 405 {
                assert_eq!(answer.header("allow"), allowed, "{:?}: {method} {path}", visit.site);
            }
        }
    }
    // A form may say that it is another method: only Rocket listens, and what it then is, is judged.
    let form =
        Request::new("POST /auth/capauth/verify").header("content-type", "application/x-www-form-urlencoded");
    visit.step("a form that says PUT", form.body("_method=PUT&a=b"), "415 unsupported_media_type").await;
    let preflight = Request::new("OPTIONS /auth/capauth/verify").header("origin", ORIGIN);
    let preflight = preflight.header("access-control-request-method", "POST");
    let answer = visit.step("a preflight", preflight, refusal).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    visit.step("GET /auth/capauth/login", get(LOGIN), "200").await;
    let head = visit.step("HEAD /auth/capauth/me", Request::new("HEAD /auth/capauth/me"), "401").await;
    assert!(head.body.is_empty());
}

/// A method for which a guarded path has no handler gets nobody past the guard, and one for which it has is guarded.
pub(crate) async fn a_guard_stands_before_every_method(visit: &Visit<'_>) {
    let cookie = visit.cookie_of(&visit.cast.alice).await;
    visit.step("HEAD / by nobody", Request::new("HEAD /"), "200").await;
    let head = visit.step("HEAD /me by nobody", Request::new("HEAD /me"), "401").await;
    assert!(head.body.is_empty());
    let known = Request::new("HEAD /me").header("cookie", &cookie);
    let head = visit.step("HEAD /me", known, "200").await;
    let me = visit.step("GET /me", get("/me").header("cookie", &cookie), "200").await;
    assert_eq!(head.header("content-length"), me.body.len().to_string(), "{:?}", visit.site);
    for method in ["OPTIONS", "DELETE", "PUT", "TRACE", "FOO"] {
        let line = format!("{method} /me");
        visit.step(&line, Request::new(&line), "405").await;
        // A whole branch is guarded by what stands before it, whatever is inside.
        let line = format!("{method} /area/inside");
        visit.step(&line, Request::new(&line), "401 invalid_token").await;
    }
    for path in ["/me", "/area/inside"] {
        let preflight = Request::new(format!("OPTIONS {path}")).header("origin", "https://evil.example");
        let preflight = preflight.header("access-control-request-method", "GET");
        let expected = if path == "/me" { "405" } else { "401 invalid_token" };
        let answer = visit.step(&format!("a preflight for {path}"), preflight, expected).await;
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}
