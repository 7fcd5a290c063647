//! What other sites make browsers send, and what they write into it.

use capauth_tests::http::send;
use capauth_tests::keys::armored_secret;

use crate::browser::{Browser, HTML, LOGIN, Page, encoded};
use crate::people::Key;
use crate::servers::Framework;
use crate::world::{ORIGIN, World};

const MARKER: &str = "\"'></textarea></title><script>alert(1)</script><img src=x onerror=alert(1)>";

/// Mallory's form, ready to be sent by somebody else: it would sign them in as Mallory.
async fn prepared(world: &World, mallory: &Key) -> (Browser, Page, String) {
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(mallory).await;
    let mut fields = page.fields();
    fields.insert("signature".to_owned(), mallory.sign(&page.payload(), world.now()));
    let body = encoded(&fields);
    (browser, page, body)
}

fn is_nobody(page: &Page) {
    assert_eq!(page.answer.status, 403, "{}", page.html);
    let names: Vec<_> = page.answer.headers.get_all("set-cookie").iter().collect();
    let of_a_session = |set: &&&reqwest::header::HeaderValue| {
        let set = set.to_str().unwrap();
        set.starts_with("__Host-capauth=") || set.starts_with("__Host-capauth-device=")
    };
    assert_eq!(names.iter().filter(of_a_session).count(), 0, "{names:?}");
}

/// The victim's browser sends Mallory's form: without a cookie, and with one of its own.
pub(crate) async fn attack_login_csrf(framework: Framework) {
    let world = World::new(framework).await;
    let mallory = Key::new();
    let (mut own, page, body) = prepared(&world, &mallory).await;
    let mut visited = Browser::of(&world.client);
    visited.open(LOGIN).await;
    for mut victim in [Browser::of(&world.client), visited] {
        for origin in ["https://evil.example", "null", "https://evil.auth.example.com", "", ORIGIN] {
            // The last: even were the page of this site, the form would be another browser's.
            victim.origin = origin.to_owned();
            is_nobody(&victim.post(&page.action(), &body).await);
            victim.me().await.refused("401 invalid_token");
        }
    }
    assert!(!world.knows(&mallory).await);
    own.post(&page.action(), &body).await.signed_in("/");
}

/// The same, should Mallory manage to plant the form's cookie: where it comes from decides, too.
pub(crate) async fn attack_login_csrf_with_the_attackers_own_cookie(framework: Framework) {
    let world = World::new(framework).await;
    let mallory = Key::new();
    let (mut own, page, body) = prepared(&world, &mallory).await;
    let planted = || Browser { cookies: own.cookies.clone(), ..Browser::of(&world.client) };
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://auth.example.com")],
        &[("origin", "https://auth.example.com:444")],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[],
    ] {
        let cookies: Vec<_> =
            planted().cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = world
            .client
            .request("POST", &page.action())
            .header("accept", HTML)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", cookies.join("; "))
            .body(body.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = send(request).await;
        is_nobody(&Page { path: LOGIN.to_owned(), html: answer.text(), answer });
    }
    assert!(!world.knows(&mallory).await);
    own.post(&page.action(), &body).await.signed_in("/");
}

/// Mallory's token in the victim's form, and the other way round.
pub(crate) async fn attack_token_of_another_browser(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, mallory) = (Key::new(), Key::new());
    let (mut own, theirs, _) = prepared(&world, &mallory).await;
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&alice).await;
    let (token, state) = (theirs.field("token"), theirs.field("state"));
    let signature = mallory.sign(&theirs.payload(), world.now());
    for fill in [
        &[("token", &*token)][..],
        &[("token", &token), ("state", &state), ("signature", &signature)],
        &[("state", &state), ("signature", &signature)],
        &[("token", ""), ("signature", &signature)],
        &[("token", "AAAA")],
        &[("token", &state)],
    ] {
        let refused = browser.submit(&page, fill).await;
        is_nobody(&refused);
        // Words, and a form that is this browser's: what was typed is in it.
        assert_eq!(refused.refused(403).field("fingerprint"), alice.fingerprint);
        assert!(refused.commands().is_empty());
    }
    let refused = browser.submit(&page, &[("token", &token)]).await;
    let page = browser.submit(&refused, &[]).await;
    browser.sign(&page, &alice, world.now()).await.signed_in("/");
    own.sign(&theirs, &mallory, world.now()).await.signed_in("/");
}

pub(crate) async fn attack_token_past_its_time(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.open(LOGIN).await;
    let fill = [("fingerprint", &*key.fingerprint), ("public_key", &key.certificate)];
    world.advance(2 * 3600 - 1);
    assert_eq!(browser.submit(&page, &fill).await.answer.status, 200, "until then it may be filled in");
    world.advance(1);
    let refused = browser.submit(&page, &fill).await;
    assert_eq!(refused.refused(403).field("fingerprint"), key.fingerprint);
    let page = browser.submit(&refused, &[]).await;
    browser.sign(&page, &key, world.now()).await.signed_in("/");
}

/// Somebody pastes a secret key into a form that is another browser's, or too old: that form's answer, which shows again
/// what was typed, shows none of it.
pub(crate) async fn attack_secret_key_out_of_a_stale_form(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let secret = armored_secret(&key.draft);
    let line = secret.lines().rfind(|line| line.len() > 40).expect("a line of the key");
    let mut browser = Browser::of(&world.client);
    let (first, second) = (browser.open(LOGIN).await, browser.ask(&key).await);
    let fields = ["public_key", "signature", "enrollment_code", "fingerprint"];
    let silent = |refused: &Page, field: &str| {
        refused.refused(400);
        assert!(!refused.html.contains("PRIVATE KEY") && !refused.html.contains(line), "{}", refused.html);
        let kept = if field == "fingerprint" { "" } else { key.fingerprint.as_str() };
        assert_eq!((&*refused.field("fingerprint"), &*refused.field("public_key")), (kept, ""), "{field}");
    };
    for field in fields {
        for page in [&first, &second] {
            for stale in [("token", "AAAA"), ("token", ""), ("state", "AAAA")] {
                let fill = [("fingerprint", &*key.fingerprint), stale, (field, &*secret)];
                silent(&browser.submit(page, &fill).await, field);
            }
        }
    }
    world.advance(2 * 3600);
    for field in fields {
        let fill = [("fingerprint", &*key.fingerprint), (field, &*secret)];
        silent(&browser.submit(&first, &fill).await, field);
        let mut stranger = Browser::of(&world.client);
        silent(&stranger.submit(&second, &fill).await, field);
    }
    assert!(!world.knows(&key).await);
    // What is no secret is not lost by it.
    let refused = browser.submit(&first, &[("public_key", &key.certificate)]).await;
    assert_eq!(refused.refused(403).field("public_key"), key.certificate.trim());
}

/// The same form twice: of two answers one is a login, and the other a question.
pub(crate) async fn attack_form_replayed(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let (own, page, body) = prepared(&world, &key).await;
    let mut again = Browser { cookies: own.cookies.clone(), ..Browser::of(&world.client) };
    let mut first = Browser { cookies: own.cookies, ..Browser::of(&world.client) };
    first.post(&page.action(), &body).await.signed_in("/");
    let refused = again.post(&page.action(), &body).await;
    refused.refused(400);
    again.me().await.refused("401 invalid_token");
    assert_ne!(refused.payload(), page.payload());
    assert_eq!(refused.field("signature"), "", "it was used");
    again.sign(&refused, &key, world.now()).await.signed_in("/");
}

/// The state of one form, with the signature over another's challenge: each names its own.
pub(crate) async fn attack_state_of_another_form(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, mallory) = (Key::new(), Key::new());
    let mut browser = Browser::of(&world.client);
    let (one, other) = (browser.ask(&alice).await, browser.ask(&mallory).await);
    // Mallory signs Alice's challenge, or Mallory's own in Alice's form.
    for text in [one.payload(), other.payload()] {
        let fill = [("signature", &*mallory.sign(&text, world.now())), ("public_key", &mallory.certificate)];
        let refused = browser.submit(&one, &fill).await;
        assert!([400, 401].contains(&refused.answer.status), "{}", refused.html);
        browser.me().await.refused("401 invalid_token");
    }
    // What the form says of the key beside its state counts for nothing.
    let signature = alice.sign(&one.payload(), world.now());
    let fill = [("fingerprint", &*mallory.fingerprint), ("signature", &signature)];
    browser.submit(&one, &fill).await.signed_in("/");
    assert_eq!(browser.me().await.ok()["sub"], alice.fingerprint);
}

pub(crate) async fn attack_open_redirect_of_the_form(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    for wanted in [
        "//evil.example",
        "///evil.example",
        "/%5C%5Cevil.example",
        "%5C%5Cevil.example",
        "/%5Cevil.example",
        "%2F%2Fevil.example",
        "/%252Fevil.example",
        "https://evil.example",
        "https://auth.example.com@evil.example",
        "//auth.example.com@evil.example",
        "/%09/evil.example",
        "/%0D%0ALocation:https://evil.example",
        "javascript:alert(1)",
        "/a&redirect=/b",
    ] {
        let mut browser = Browser::of(&world.client);
        let path = format!("{LOGIN}?redirect={wanted}");
        let page = browser.open(&path).await;
        assert_eq!(page.action(), LOGIN, "{wanted}");
        // Whoever sends the form to such an address themselves comes no further.
        let fill = [("fingerprint", &*key.fingerprint), ("public_key", &key.certificate)];
        let mut fields = browser.submit(&page, &fill).await.fields();
        let page = browser.open(&path).await;
        let second = browser.submit(&page, &fill).await;
        fields.extend(second.fields());
        fields.insert("signature".to_owned(), key.sign(&second.payload(), world.now()));
        fields.insert("redirect".to_owned(), "https://evil.example".to_owned());
        browser.post(&path, &encoded(&fields)).await.signed_in("/");
    }
}

pub(crate) async fn attack_markup_in_every_parameter_of_the_page(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let clean = |page: &Page| {
        assert!(!page.html.contains("<script>") && !page.html.contains("<img src=x"), "{}", page.html);
        assert!(!page.html.contains("\"'>"), "{}", page.html);
    };
    let mut browser = Browser::of(&world.client);
    let quoted = "%22%27%3E%3C/textarea%3E%3Cscript%3Ealert(1)%3C/script%3E";
    for query in [format!("redirect={quoted}"), format!("redirect=/{quoted}"), format!("{quoted}={quoted}")] {
        let page = browser.open(&format!("{LOGIN}?{query}")).await;
        assert_eq!(page.answer.status, 200);
        clean(&page);
        let page = browser.post(&format!("{LOGIN}?{query}"), "token=x").await;
        clean(&page);
    }
    let first = browser.open(LOGIN).await;
    for field in ["fingerprint", "public_key", "enrollment_code", "token", "state", "step", MARKER] {
        let page = browser.submit(&first, &[("public_key", MARKER), (field, MARKER)]).await;
        clean(&page);
        assert_eq!(page.field("public_key"), MARKER, "and nothing of it is lost");
    }
    let second = browser.ask(&key).await;
    for field in ["signature", "public_key", "fingerprint", "enrollment_code", "token", "state"] {
        clean(&browser.submit(&second, &[("signature", MARKER), (field, MARKER)]).await);
    }
    // As harmless as it stands there, markup may be a part of what was typed.
    let page = browser.submit(&first, &[("fingerprint", MARKER)]).await;
    assert_eq!(page.refused(400).field("fingerprint"), MARKER);
}

pub(crate) async fn attack_form_with_fields_twice(framework: Framework) {
    let world = World::new(framework).await;
    let (mut own, page, body) = prepared(&world, &Key::new()).await;
    for field in ["token", "state", "signature", "fingerprint", "public_key", "step"] {
        let twice = format!("{body}&{field}=x&{field}=y");
        own.post(&page.action(), &twice).await.refused(400);
    }
    own.post(&page.action(), &format!("{body}&other=x&other=y")).await.signed_in("/");
}

pub(crate) async fn attack_page_in_a_frame(framework: Framework) {
    let world = World::with(framework, |config| config.qr(false)).await;
    let mut browser = Browser::of(&world.client);
    let first = browser.open(LOGIN).await;
    let second = browser.ask(&Key::new()).await;
    let refused = browser.submit(&first, &[("fingerprint", "x")]).await;
    let elsewhere = browser.open("/auth/capauth/qr").await;
    let foreign =
        Browser { origin: "null".to_owned(), ..Browser::of(&world.client) }.submit(&first, &[]).await;
    for page in [first, second, refused, elsewhere, foreign] {
        let policy = page.answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.answer.header("x-frame-options"), "DENY");
    }
}
