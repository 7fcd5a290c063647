//! What goes wrong is said in words, with everything that was typed still there.

use capauth_tests::http::send;
use capauth_tests::keys::armored_secret;
use capauth_tower::RateLimits;
use serde_json::json;

use crate::browser::{Browser, HTML, LOGIN};
use crate::people::Key;
use crate::servers::Framework;
use crate::world::{ADMIN_TOKEN, ORIGIN, World};

pub(crate) async fn a_wrong_key_is_told_so_and_asked_again(framework: Framework) {
    let world = World::new(framework).await;
    let (key, other) = (Key::new(), Key::new());
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&key).await;
    let refused = browser.sign(&page, &other, world.now()).await;
    refused.refused(401);
    assert!(refused.html.contains("<title>Not signed in yet. "), "who hears the page hears this first");
    assert_eq!(refused.answer.header("www-authenticate"), "Bearer");
    browser.me().await.refused("401 invalid_token");
    assert!(!world.knows(&key).await && !world.knows(&other).await);
    assert_eq!(refused.field("signature"), "", "it can be good no longer");
    assert_eq!(refused.field("public_key").trim(), key.certificate.trim());
    assert_ne!(refused.payload(), page.payload(), "another challenge, with its whole minute");
    browser.sign(&refused, &key, world.now()).await.signed_in("/");
}

pub(crate) async fn an_unknown_key_is_asked_for_its_certificate_and_its_signature_stays_good(
    framework: Framework,
) {
    let world = World::new(framework).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.open(LOGIN).await;
    let page = browser.submit(&page, &[("fingerprint", &key.fingerprint)]).await;
    let refused = browser.sign(&page, &key, world.now()).await;
    refused.refused(401);
    assert!(refused.html.contains("<details open>"), "where the certificate goes is open");
    assert_eq!(refused.payload(), page.payload());
    assert!(refused.field("signature").starts_with("-----BEGIN PGP SIGNATURE"));
    let other = Key::new().certificate;
    let refused = browser.submit(&refused, &[("public_key", &other)]).await;
    refused.refused(401);
    let refused = browser.submit(&refused, &[("public_key", "none")]).await;
    refused.refused(400);
    assert_eq!(refused.field("public_key"), "none");
    browser.submit(&refused, &[("public_key", &key.certificate)]).await.signed_in("/");
    assert_eq!(browser.me().await.ok()["sub"], key.fingerprint);
}

pub(crate) async fn a_challenge_past_its_time_is_replaced_at_once(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&key).await;
    let late = key.sign(&page.payload(), world.now());
    world.advance(60);
    let refused = browser.submit(&page, &[("signature", &late)]).await;
    refused.refused(400);
    browser.me().await.refused("401 invalid_token");
    assert_ne!(refused.payload(), page.payload());
    assert_eq!(refused.field("signature"), "");
    browser.sign(&refused, &key, world.now()).await.signed_in("/");
    // In its last second it is good.
    let page = browser.ask(&key).await;
    world.advance(59);
    browser.sign(&page, &key, world.now()).await.signed_in("/");
}

pub(crate) async fn a_key_that_waits_is_told_so(framework: Framework) {
    let world = World::with(framework, |config| config.require_approval()).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&key).await;
    let refused = browser.sign(&page, &key, world.now()).await;
    refused.refused(403);
    browser.me().await.refused("401 invalid_token");
    assert_eq!(refused.commands(), [""; 0], "another signature changes nothing: it begins anew");
    assert_eq!(refused.field("fingerprint"), key.fingerprint);
    let body = json!({"fingerprint": key.fingerprint});
    world.client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/approve", &body).await.ok();
    let page = browser.submit(&refused, &[]).await;
    browser.sign(&page, &key, world.now()).await.signed_in("/");
}

pub(crate) async fn what_is_no_fingerprint_is_asked_for_again(framework: Framework) {
    let world = World::new(framework).await;
    let mut browser = Browser::of(&world.client);
    let key = Key::new();
    for bad in ["", "alice@example.org", "0123", &"A".repeat(5000), &format!("{}\u{7}", key.fingerprint)] {
        let page = browser.open(LOGIN).await;
        let refused = browser.submit(&page, &[("fingerprint", bad), ("public_key", "typed")]).await;
        refused.refused(400);
        assert_eq!((refused.field("fingerprint"), refused.field("public_key")), (bad.into(), "typed".into()));
        let page = browser.submit(&refused, &[("fingerprint", &key.fingerprint)]).await;
        assert_eq!((page.answer.status, page.commands().len()), (200, 2));
    }
}

pub(crate) async fn a_missing_signature_is_asked_for_again(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&key).await;
    let refused = browser.submit(&page, &[("signature", " \n")]).await;
    refused.refused(400);
    assert_eq!(refused.payload(), page.payload(), "the challenge is as good as before");
    let refused = browser.submit(&refused, &[("signature", &"x".repeat(70_000))]).await;
    refused.refused(400);
    world.advance(60);
    let refused = browser.submit(&refused, &[("signature", "")]).await;
    refused.refused(400);
    assert_ne!(refused.payload(), page.payload(), "and is replaced when it is not");
    browser.sign(&refused, &key, world.now()).await.signed_in("/");
}

pub(crate) async fn too_many_attempts_are_told_when_to_come_back(framework: Framework) {
    let world = World::with(framework, |config| config.rate_limits(RateLimits::default())).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    for _ in 0..10 {
        browser.ask(&key).await;
    }
    let page = browser.open(LOGIN).await;
    let refused = browser.submit(&page, &[("fingerprint", &key.fingerprint)]).await;
    refused.refused(429);
    let seconds: u64 = refused.answer.header("retry-after").parse().unwrap();
    assert!(refused.trouble().contains(&format!(" {seconds} ")), "{}", refused.trouble());
    assert_eq!(refused.field("fingerprint"), key.fingerprint);
    world.advance(seconds);
    let page = browser.submit(&refused, &[("public_key", &key.certificate)]).await;
    browser.sign(&page, &key, world.now()).await.signed_in("/");
}

pub(crate) async fn a_form_is_a_form_of_some_size(framework: Framework) {
    let world = World::new(framework).await;
    let mut browser = Browser::of(&world.client);
    // In the process: whoever sends so much may find the connection closed before they have said it all.
    let large = http::Request::post(LOGIN)
        .header("origin", ORIGIN)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(capauth_tower::Body::from("x".repeat(256 * 1024 + 1)));
    assert_eq!(world.capauth.service_endpoints().handle(large.unwrap()).await.status(), 413);
    // The largest that can be meant: a certificate and a signature.
    let page = browser.ask(&Key::new()).await;
    let fill = [("public_key", &*"+".repeat(60_000)), ("signature", &"\n".repeat(10_000))];
    browser.submit(&page, &fill).await.refused(400);
    for (kind, status) in [
        ("application/json", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("", 415),
        ("application/x-www-form-urlencoded; charset=utf-8", 403),
    ] {
        let request = world.client.request("POST", LOGIN).header("origin", ORIGIN).body("fingerprint=x");
        let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
        assert_eq!(send(request).await.status, status, "{kind}");
    }
    let body = vec!["a=b"; 100].join("&");
    browser.post(LOGIN, &body).await.refused(400);
    browser.post(LOGIN, "token=%FF").await.refused(400);
}

pub(crate) async fn refusals_are_pages_for_people_and_json_for_programs(framework: Framework) {
    let listed = Key::new().draft.fingerprint();
    let world = World::with(framework, |config| config.qr(false).admin_fingerprints([listed])).await;
    for (path, code) in [
        ("/auth/capauth/qr", "404 not_found"),
        ("/capauth/me", "401 invalid_token"),
        ("/capauth/admin", "401 invalid_token"),
    ] {
        world.client.get(path).await.refused(code);
    }
    let somebody = send(world.client.request("GET", "/capauth/admin").header("accept", HTML)).await;
    assert_eq!(
        (somebody.status, somebody.header("location")),
        (303, "/auth/capauth/login?redirect=/capauth/admin")
    );
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&key).await;
    browser.sign(&page, &key, world.now()).await.signed_in("/");
    let page = browser.open("/capauth/admin").await;
    assert_eq!((page.answer.status, page.answer.header("content-type")), (403, "text/html; charset=utf-8"));
    assert!(page.html.contains(" href=\"/auth/capauth/login?redirect=/capauth/admin\">"), "{}", page.html);
    assert!(page.html.contains("href=\"../auth/capauth/assets/"), "{}", page.html);
    assert_eq!(browser.open("/capauth/me").await.answer.status, 200);
    let page = send(world.client.request("GET", "/auth/capauth/qr").header("accept", HTML)).await;
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.text().contains(" href=\"login\">"), "{}", page.text());
    let form = |accept: &'static str| {
        let request = world.client.request("POST", LOGIN).header("origin", "null").header("accept", accept);
        send(request.header("content-type", "application/x-www-form-urlencoded").body("fingerprint=x"))
    };
    form("application/json").await.refused("403 forbidden");
    let page = form(HTML).await;
    assert_eq!((page.status, page.header("content-type")), (403, "text/html; charset=utf-8"));
    assert!(!page.text().contains("<form"), "what a foreign page sent leads to nothing");
}

pub(crate) async fn a_secret_key_goes_no_further(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let secret = armored_secret(&key.draft);
    let mut browser = Browser::of(&world.client);
    for field in ["public_key", "signature"] {
        let page = if field == "signature" { browser.ask(&key).await } else { browser.open(LOGIN).await };
        let refused = browser.submit(&page, &[("fingerprint", &*key.fingerprint), (field, &secret)]).await;
        refused.refused(400);
        assert!(!refused.html.contains("PRIVATE KEY"), "{}", refused.html);
        assert_eq!(
            (refused.field("fingerprint"), refused.field("public_key")),
            (key.fingerprint.clone(), String::new())
        );
    }
    assert!(!world.knows(&key).await);
}
