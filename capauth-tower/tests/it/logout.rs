//! Ending sessions and tokens.

use serde_json::{Value, json};

use crate::person::Person;
use crate::site::{ORIGIN, Site, request};

#[tokio::test]
async fn a_page_ends_the_session_everywhere() {
    let site = Site::new().await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    let headers = [("cookie", &*cookie), ("origin", ORIGIN)];
    // A page may send its logout without a body.
    let answer = site.send(request("POST", "/auth/capauth/logout", &headers, "")).await;
    assert_eq!((answer.status().as_u16(), answer.json()), (200, json!({"ok": true})));
    assert!(answer.clears_cookie());
    let kept = site.get("/auth/capauth/me", &[("cookie", &cookie)]).await;
    assert_eq!(kept.status(), 401, "a kept copy of the cookie is worth nothing");
    let again = site.post("/auth/capauth/logout", &[("origin", ORIGIN)], &json!({})).await;
    assert_eq!(again.status(), 200);
}

/// The browser leaves the cookie out of another site's form, and would still obey an answer that takes it away.
#[tokio::test]
async fn attack_form_of_another_site_signs_nobody_out() {
    let site = Site::new().await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    let foreign = [("origin", "https://evil.example"), ("content-type", "application/x-www-form-urlencoded")];
    let answer = site.send(request("POST", "/capauth/v1/logout", &foreign, "")).await;
    assert!(!answer.clears_cookie());
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 200);
    let own = [("origin", ORIGIN), ("cookie", &*cookie)];
    assert!(site.send(request("POST", "/capauth/v1/logout", &own, "")).await.clears_cookie());
}

#[tokio::test]
async fn a_bearer_ends_its_token_and_no_other() {
    let site = Site::new().await;
    let alice = Person::new("alice");
    let (one, other) = (site.bearer(&alice).await, site.bearer(&alice).await);
    assert_eq!(site.get("/capauth/v1/logout", &[("authorization", &one)]).await.status(), 200);
    assert_eq!(site.get("/auth/capauth/me", &[("authorization", &one)]).await.status(), 401);
    assert_eq!(site.get("/auth/capauth/me", &[("authorization", &other)]).await.status(), 200);
    assert_eq!(site.get("/capauth/v1/logout", &[("authorization", &one)]).await.status(), 401);
    assert_eq!(site.get("/capauth/v1/logout", &[("authorization", "Bearer x")]).await.status(), 401);
}

#[tokio::test]
async fn attack_link_to_logout_asks_first() {
    let site = Site::new().await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    for headers in [
        &[("cookie", &*cookie)][..],
        &[("cookie", &cookie), ("sec-fetch-site", "cross-site")],
        &[("cookie", &cookie), ("sec-fetch-site", "none")],
    ] {
        let answer = site.get("/capauth/v1/logout", headers).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.text().contains("<form method=\"post\" action=\"logout\">"), "{}", answer.text());
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("set-cookie"), "", "nothing has ended yet");
    }
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 200);

    // The page's form, as a browser sends it.
    let form = [
        ("cookie", &*cookie),
        ("origin", ORIGIN),
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "text/html,*/*"),
    ];
    let answer = site.send(request("POST", "/capauth/v1/logout", &form, "")).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().contains("signed out") && answer.clears_cookie());
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 401);
}

/// Our login page goes on to any path of the site that a link to it names: this one, too, and then the browser says that a
/// page of ours leads there. So does a link that somebody else wrote into a page of ours.
#[tokio::test]
async fn attack_login_that_leads_on_to_logout() {
    let site = Site::new().await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    let own = [("cookie", &*cookie), ("sec-fetch-site", "same-origin")];
    for more in [
        &[][..],
        &[("sec-fetch-dest", "document")],
        &[("sec-fetch-dest", "iframe")],
        &[("sec-fetch-dest", "image")],
        &[("sec-fetch-dest", "script")],
        &[("sec-fetch-dest", "")],
        &[("sec-fetch-dest", "empty"), ("sec-fetch-dest", "document")],
        &[("sec-fetch-dest", "empty"), ("sec-fetch-site", "cross-site")],
    ] {
        let answer = site.get("/capauth/v1/logout", &[&own[..], more].concat()).await;
        assert!(answer.text().contains("<form method=\"post\" action=\"logout\">"), "{more:?}");
        assert_eq!(answer.header("set-cookie"), "", "{more:?}");
    }
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 200);
}

#[tokio::test]
async fn a_script_of_the_site_may_end_the_session_by_get() {
    let site = Site::new().await;
    let cookie = site.cookie(&Person::new("alice"), Value::Null).await;
    let fetched = [("cookie", &*cookie), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")];
    assert!(site.get("/capauth/v1/logout", &fetched).await.clears_cookie());
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 401);
}

#[tokio::test]
async fn a_form_with_a_body_is_not_read_yet() {
    let site = Site::new().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(site.send(request("POST", "/capauth/v1/logout", &form, "a=b")).await.status(), 415);
}
