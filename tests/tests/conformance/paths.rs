//! Paths that are nearly an endpoint's, and targets in every form that HTTP has.

use capauth_tests::sites::raw::Request;

use crate::visit::{Visit, get, post};

pub(crate) async fn attack_path_that_means_an_endpoint_to_somebody_else(visit: &Visit<'_>) {
    let cookie = visit.cookie_of(&visit.cast.alice).await;
    for path in [
        "/auth/capauth/me/",
        "/auth/capauth//me",
        "//auth/capauth/me",
        "/auth//capauth/me",
        "/auth/capauth/%6de",
        "/auth/capauth/m%65",
        "/auth/c%61pauth/me",
        "/%61uth/capauth/me",
        "/auth%2fcapauth%2fme",
        "/auth/capauth%2fme",
        "/auth/capauth/./me",
        "/auth/capauth/x/../me",
        "/auth/capauth/%2e/me",
        "/auth/capauth/..%2fcapauth/me",
        "/auth/capauth/me;x=1",
        "/auth/capauth/me%00",
        "/auth/capauth/me%zz",
        "/auth/capauth/ME",
        "/AUTH/capauth/me",
    ] {
        let answer = visit.step(path, get(path).header("cookie", &cookie), "404").await;
        assert_ne!(answer.status, 200, "{:?}: {path}", visit.site);
    }
    visit.step("the path itself", get("/auth/capauth/me").header("cookie", &cookie), "200").await;
    visit.step("with a query", get("/auth/capauth/me?a=%00&b").header("cookie", &cookie), "200").await;
}

pub(crate) async fn unknown_paths_are_nobodys(visit: &Visit<'_>) {
    for path in [
        "/nothing",
        "/auth",
        "/auth/capauth",
        "/auth/capauth/",
        "/auth/capauth/nothing",
        "/auth/capauth/login/more",
        // The service's own endpoints are none of an application's.
        "/capauth/v1/keys",
        "/capauth/v1/verify",
        "/health",
        "/.well-known/jwks.json",
    ] {
        visit.step(&format!("GET {path}"), get(path), "404").await;
        visit.step(&format!("POST {path}"), post(path).body(""), "404").await;
    }
    visit.step("GET /", get("/"), "200").await;
}

/// Whatever a framework makes of a path, a guarded handler is guarded.
pub(crate) async fn attack_path_around_a_guard(visit: &Visit<'_>) {
    for path in ["/%6de", "/me/", "//me", "/./me", "/x/../me", "/ME", "/me;x", "/me%2f"] {
        let answer = visit.step(path, get(path), "404").await;
        assert!([303, 401, 404].contains(&answer.status), "{:?}: {path}: {answer:?}", visit.site);
    }
    for path in [
        "/area/%69nside",
        "/area/./inside",
        "/area//inside",
        "/area/x/../inside",
        "/area/inside/",
        "/area/../me",
    ] {
        let answer = visit.step(path, get(path), "401 invalid_token").await;
        assert!([303, 401, 404].contains(&answer.status), "{:?}: {path}: {answer:?}", visit.site);
    }
    for path in ["/area/inside", "/me"] {
        visit.step(&format!("{path} itself"), get(path), "401 invalid_token").await;
    }
}

pub(crate) async fn targets_in_every_form(visit: &Visit<'_>) {
    let cookie = visit.cookie_of(&visit.cast.alice).await;
    for target in [
        "http://app.example.com/auth/capauth/me",
        "https://app.example.com/auth/capauth/me",
        "http://evil.example/auth/capauth/me",
        "http://app.example.com/me",
        "http://evil.example/me?a=b",
    ] {
        let known = Request::new(format!("GET {target}")).header("cookie", &cookie);
        visit.step(target, known, "200").await;
        let nobody = Request::new(format!("GET {target}"));
        visit.step(&format!("{target} by nobody"), nobody, "401 invalid_token").await;
        let browser = Request::new(format!("GET {target}")).header("accept", "text/html");
        let expected = if target.contains("capauth") { "401 invalid_token" } else { "303" };
        let answer = visit.step(&format!("{target} by a browser"), browser, expected).await;
        if answer.status == 303 {
            let path = if target.contains('?') { "/me%3Fa%3Db" } else { "/me" };
            assert_eq!(
                answer.header("location"),
                format!("/auth/capauth/login?redirect={path}"),
                "{:?}",
                visit.site
            );
        }
    }
    visit.step("OPTIONS *", Request::new("OPTIONS *"), "404").await;
    visit.step("a byte beyond ASCII", Request::new("GET /auth/capauth/é"), "404").await;
    visit.step("no path", Request::new("GET http://app.example.com"), "200").await;
}
