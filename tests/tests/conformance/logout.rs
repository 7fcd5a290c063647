//! Signing out.

use capauth_tests::sites::{COOKIE, ORIGIN};
use capauth_verifier::{Audience, Verifier as _};

use crate::visit::{LOGOUT, Visit, get, post};

pub(crate) async fn a_session_ends_where_it_is_said_to(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let (ended, kept) = (visit.cookie_of(alice).await, visit.cookie_of(alice).await);
    visit.step("before", get("/me").header("cookie", &ended), "200").await;
    let foreign = post(LOGOUT).header("cookie", &ended).header("origin", "https://evil.example");
    visit.step("at another site's wish", foreign, "403 forbidden").await;
    let out = post(LOGOUT).header("cookie", &ended).header("origin", ORIGIN);
    let out = visit.step("signed out", out, "200").await;
    assert!(out.header("set-cookie").starts_with(&format!("{COOKIE}=; Path=/; Max-Age=0;")), "{out:?}");
    visit.site.settle().await;
    for path in ["/me", "/auth/capauth/me"] {
        let copy = get(path).header("cookie", &ended);
        visit.step(&format!("a copy of the cookie at {path}"), copy, "401 invalid_token").await;
        let other = get(path).header("cookie", &kept);
        visit.step(&format!("another session at {path}"), other, "200").await;
    }
    let again = post(LOGOUT).header("cookie", &ended).header("origin", ORIGIN);
    visit.step("signed out already", again, "200").await;
    let nobody = visit.step("without any cookie", post(LOGOUT), "200").await;
    assert_eq!(nobody.header("set-cookie"), "");
    let page = post(LOGOUT).header("cookie", &kept).header("origin", ORIGIN).header("accept", "text/html");
    let page = visit.step("by a page's form", page, "200").await;
    assert!(page.text().contains("You are signed out."), "{page:?}");
    visit.step("after that", get("/me").header("cookie", &kept), "401 invalid_token").await;
}

pub(crate) async fn a_token_ends_where_it_is_said_to(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let (ended, kept) = (visit.bearer_of(alice).await, visit.bearer_of(alice).await);
    visit.step("before", get("/me").header("authorization", &ended), "200").await;
    visit.step("signed out", post(LOGOUT).header("authorization", &ended), "200").await;
    visit.site.settle().await;
    visit.step("the token", get("/me").header("authorization", &ended), "401 invalid_token").await;
    visit.step("another token", get("/me").header("authorization", &kept), "200").await;
    // Wherever else the token could be shown, it has ended there too.
    let elsewhere = async |bearer: &str| {
        let token = bearer.split(' ').nth(1).expect("a token");
        visit.site.admin().authenticate(token, Audience::AnyOfIssuer).await.is_ok()
    };
    assert_eq!((elsewhere(&ended).await, elsewhere(&kept).await), (false, true), "{:?}", visit.site);
    let again = post(LOGOUT).header("authorization", &ended);
    visit.step("signed out already", again, "401 invalid_token").await;
}
