//! Credentials in forms that no honest client sends.

use capauth_tests::sites::COOKIE;

use crate::visit::{Visit, get};

pub(crate) async fn attack_ambiguous_authorization(visit: &Visit<'_>) {
    let (alice, bob) = (visit.bearer_of(&visit.cast.alice).await, visit.bearer_of(&visit.cast.bob).await);
    let me = || get("/me");
    for (name, first, second) in [
        ("two people", alice.as_str(), bob.as_str()),
        ("the same twice", &alice, &alice),
        ("another scheme first", "Basic YTpi", &alice),
        ("another scheme last", &alice, "Basic YTpi"),
        ("nothing last", &alice, ""),
    ] {
        for path in ["/me", "/maybe", "/auth/capauth/me"] {
            let request = get(path).header("authorization", first).header("authorization", second);
            visit.step(&format!("{name} at {path}"), request, "401 invalid_token").await;
        }
    }
    let token = alice.split(' ').nth(1).unwrap();
    for (name, value) in [
        ("no token", "Bearer".to_owned()),
        ("an empty token", "Bearer ".to_owned()),
        ("two tokens", format!("Bearer {token} {token}")),
        ("a list", format!("Bearer {token}, Bearer {token}")),
        ("a comma", format!("Bearer,{token}")),
    ] {
        visit.step(name, me().header("authorization", value), "401 invalid_token").await;
    }
    visit.step("one of them", me().header("authorization", &alice), "200").await;
}

pub(crate) async fn attack_bytes_that_are_no_text(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let (cookie, bearer) = (visit.cookie_of(alice).await, visit.bearer_of(alice).await);
    for path in ["/me", "/maybe"] {
        let bytes = [bearer.as_bytes(), b"\xff"].concat();
        let request = get(path).header("authorization", bytes);
        visit.step(&format!("in Authorization at {path}"), request, "401 invalid_token").await;
        let request = get(path).header("authorization", [bearer.as_bytes(), "é".as_bytes()].concat());
        visit.step(&format!("beyond ASCII in Authorization at {path}"), request, "401 invalid_token").await;
        let bytes = [cookie.as_bytes(), b"; a=\xff\xfe"].concat();
        let request = get(path).header("cookie", bytes);
        visit.step(&format!("in another cookie at {path}"), request, "200").await;
        let request = get(path).header("cookie", [cookie.as_bytes(), "; a=é".as_bytes()].concat());
        visit.step(&format!("beyond ASCII in another cookie at {path}"), request, "200").await;
    }
    let bytes = [cookie.as_bytes(), b"\xff"].concat();
    visit.step("in the session", get("/me").header("cookie", bytes), "401 invalid_token").await;
    let bytes = get("/me").header("cookie", &cookie).header("x-note", b"\xff");
    visit.step("in a header of nobody's", bytes, "200").await;
}

pub(crate) async fn attack_encoded_cookie(visit: &Visit<'_>) {
    let good = visit.cookie_of(&visit.cast.alice).await;
    let value = good.split_once('=').expect("a cookie has a value").1;
    let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let first = format!("%{:02X}{}", value.as_bytes()[0], &value[1..]);
    for (name, bad) in
        [("wholly", encoded), ("its first letter", first), ("a space behind it", format!("{value}%20"))]
    {
        let request = get("/me").header("cookie", format!("{COOKIE}={bad}"));
        visit.step(name, request, "401 invalid_token").await;
    }
    let name = get("/me").header("cookie", format!("__Host%2Dcapauth={value}"));
    visit.step("its name", name, "401 invalid_token").await;
    visit.step("not at all", get("/me").header("cookie", &good), "200").await;
}
