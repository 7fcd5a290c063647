//! What browsers see.

use capauth_tests::sites::COOKIE;
use serde_json::Value;

use crate::visit::{BROWSER, VERIFY, Visit, get, head, post};

pub(crate) async fn a_browser_is_sent_to_sign_in_and_back(visit: &Visit<'_>) {
    for (target, encoded, back) in [
        ("/me", "/me", "/me"),
        (
            "/me?tab=1&name=a%20b&next=/x",
            "/me%3Ftab%3D1%26name%3Da%2520b%26next%3D/x",
            "/me?tab=1&name=a%20b&next=/x",
        ),
        ("/area/inside?a=b", "/area/inside%3Fa%3Db", "/area/inside?a=b"),
        ("/me?", "/me%3F", "/me?"),
    ] {
        let request = get(target).header("accept", BROWSER);
        let answer = visit.step(&format!("sent away from {target}"), request, "303").await;
        assert_eq!(
            answer.header("location"),
            format!("/auth/capauth/login?redirect={encoded}"),
            "{:?}",
            visit.site
        );
        assert_eq!(answer.header("www-authenticate"), "");
        let page = get(answer.header("location")).header("accept", BROWSER);
        visit.step(&format!("the page for {target}"), page, "200").await;
        let mut login = visit.login_of(&visit.cast.alice).await;
        login["redirect"] = back.into();
        let answer = visit.step(&format!("back to {target}"), post(VERIFY).json(&login), "200").await;
        assert_eq!(answer.json()["redirect"], back);
        let arrived = get(target).header("accept", BROWSER).header("cookie", answer.cookie());
        let found = if target.starts_with("/area") { "403 forbidden" } else { "200" };
        visit.step(&format!("arrived at {target}"), arrived, found).await;
    }
    let answer = visit.step("a look at the head", head("/me?a").header("accept", BROWSER), "303").await;
    assert_eq!(answer.header("location"), "/auth/capauth/login?redirect=/me%3Fa");
    // What a form would have sent is not sent again.
    let answer = visit.step("a form", post("/change?a=b").header("accept", BROWSER).body(""), "303").await;
    assert_eq!(answer.header("location"), "/auth/capauth/login?redirect=/");
    let answer = visit.step("where none need be", get("/maybe").header("accept", BROWSER), "200").await;
    assert_eq!(answer.text(), "nobody");
    let bad = get("/me").header("accept", BROWSER).header("authorization", "Bearer x");
    visit.step("a bad token is no browser's", bad, "401 invalid_token").await;
}

pub(crate) async fn a_program_hears_that_it_must_sign_in(visit: &Visit<'_>) {
    for path in ["/me", "/admin", "/human", "/area/inside", "/area/nothing"] {
        let answer = visit.step(path, get(path), "401 invalid_token").await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
    }
    visit.step("a change", post("/change").body(""), "401 invalid_token").await;
    visit.step("the page's own question", get("/auth/capauth/me"), "401 invalid_token").await;
}

pub(crate) async fn a_browser_is_told_from_a_program_by_what_it_accepts(visit: &Visit<'_>) {
    for html in [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        "application/xhtml+xml",
        "application/json;q=0.5, text/html;q=0.5",
        "text/html;q=0.001",
    ] {
        visit.step(html, get("/me").header("accept", html), "303").await;
    }
    for json in [
        "*/*",
        "application/json",
        "application/json, text/html;q=0.9",
        "text/html;q=0",
        "text/html;q=0.0",
        "text/html;q=nan",
        "text/html;q=2",
        "text/*",
        "text/htmlx",
        "",
    ] {
        visit.step(json, get("/me").header("accept", json), "401 invalid_token").await;
    }
    let lines = get("/me").header("accept", "application/json;q=0.1").header("accept", "text/html");
    visit.step("in two lines", lines, "303").await;
    let bytes = get("/me").header("accept", b"text/html, \xff");
    visit.step("no text", bytes, "401 invalid_token").await;
}

pub(crate) async fn a_stale_cookie_is_taken_away(visit: &Visit<'_>) {
    let stale = format!("{COOKIE}=AAAA");
    let cleared = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
    for path in ["/me", "/area/inside"] {
        let program = get(path).header("cookie", &stale);
        let answer = visit.step(&format!("a program's at {path}"), program, "401 invalid_token").await;
        assert_eq!(answer.header("set-cookie"), cleared);
        let browser = get(path).header("cookie", &stale).header("accept", BROWSER);
        let answer = visit.step(&format!("a browser's at {path}"), browser, "303").await;
        assert_eq!(answer.header("set-cookie"), cleared);
    }
    for path in ["/", "/maybe"] {
        let answer = visit.step(path, get(path).header("cookie", &stale), "200").await;
        assert_eq!(answer.header("set-cookie"), "");
    }
    let page = visit.step("the page", get("/auth/capauth/login").header("cookie", &stale), "200").await;
    assert!(page.header("set-cookie").starts_with("__Host-capauth-login="));
    let good = visit.cookie_of(&visit.cast.alice).await;
    let answer = visit.step("a good one", get("/admin").header("cookie", &good), "403 forbidden").await;
    assert_eq!(answer.header("set-cookie"), "");
    let browser = get("/admin").header("cookie", &good).header("accept", BROWSER);
    visit.step("a browser's good one", browser, "403 forbidden").await;
}

pub(crate) async fn the_login_page_is_served(visit: &Visit<'_>) {
    let page = visit.step("the page", get("/auth/capauth/login").header("accept", BROWSER), "200").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'nonce-"));
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
    assert!(page.text().contains("<form") && page.json() == Value::Null);
    let wish = "/auth/capauth/login?redirect=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let other = visit.step("with somebody's markup", get(wish), "200").await;
    assert!(!other.text().contains("<script>"), "no markup of the request stands in the page");
    let top = visit.step("its head", head("/auth/capauth/login"), "200").await;
    assert_eq!(top.header("content-length"), page.body.len().to_string());
    assert!(top.body.is_empty());
}
