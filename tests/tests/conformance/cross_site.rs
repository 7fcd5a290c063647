//! What other sites make browsers send.

use capauth_tests::sites::ORIGIN;
use serde_json::json;

use crate::visit::{CHALLENGE, VERIFY, Visit, get, post};

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Whatever does not come from a page of this site, by name.
const FOREIGN: &[(&str, Headers<'_>)] = &[
    ("another site", &[("origin", "https://evil.example")]),
    ("no origin", &[("origin", "null")]),
    ("an empty origin", &[("origin", "")]),
    ("plain http", &[("origin", "http://app.example.com")]),
    ("another port", &[("origin", "https://app.example.com:8443")]),
    ("a longer name", &[("origin", "https://app.example.com.evil.example")]),
    ("another site by fetch", &[("sec-fetch-site", "cross-site")]),
    ("a sibling by fetch", &[("sec-fetch-site", "same-site")]),
    ("an address typed", &[("sec-fetch-site", "none")]),
    ("one that lies", &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")]),
    ("two origins", &[("origin", ORIGIN), ("origin", "https://evil.example")]),
    ("two fetches", &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]),
    (
        "its own host",
        &[("origin", "https://evil.example"), ("host", "evil.example"), ("x-forwarded-host", "evil.example")],
    ),
];

const OWN: &[(&str, Headers<'_>)] = &[
    ("the own origin", &[("origin", ORIGIN)]),
    ("the own site by fetch", &[("sec-fetch-site", "same-origin")]),
    ("the own origin, whatever fetch says", &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")]),
];

pub(crate) async fn attack_cross_site_request_with_a_session(visit: &Visit<'_>) {
    let cookie = visit.cookie_of(&visit.cast.alice).await;
    let change = |headers: Headers<'_>| post("/change").header("cookie", &cookie).headers(headers).body("");
    visit.step("no word of it", change(&[]), "403 forbidden").await;
    for (name, headers) in FOREIGN {
        visit.step(name, change(headers), "403 forbidden").await;
        let nobody = post("/change").headers(*headers).body("");
        visit.step(&format!("{name}, without a session"), nobody, "401 invalid_token").await;
    }
    // A cookie that is no session any more is a browser's all the same.
    let stale = post("/change").header("cookie", "__Host-capauth=AAAA").header("origin", "null").body("");
    visit.step("with a stale session", stale, "403 forbidden").await;
    for (name, headers) in OWN {
        visit.step(name, change(headers), "200").await;
    }
    // A link leads anywhere, and what only reads is read.
    let link = get("/me").header("cookie", &cookie).header("sec-fetch-site", "cross-site");
    visit.step("a link", link, "200").await;
}

pub(crate) async fn attack_cross_site_login(visit: &Visit<'_>) {
    let mallory = &visit.cast.mallory;
    let login = visit.login_of(mallory).await;
    for (name, headers) in FOREIGN {
        for (path, body) in [(CHALLENGE, &mallory.ask(Some(ORIGIN))), (VERIFY, &login)] {
            let request = post(path).headers(*headers).json(body);
            let answer = visit.step(&format!("{name}, to {path}"), request, "403 forbidden").await;
            assert_eq!(answer.header("set-cookie"), "");
        }
    }
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"] {
        let form = post(VERIFY).header("content-type", kind).body(login.to_string());
        visit.step(kind, form, "415 unsupported_media_type").await;
    }
    let own = post(VERIFY).header("origin", ORIGIN).json(&login);
    visit.step("its own page", own, "200").await;
    let program = post(CHALLENGE)
        .json(&json!({"fingerprint": mallory.fingerprint.to_string(), "client_nonce": "AAAA"}));
    visit.step("a program", program, "200").await;
}
