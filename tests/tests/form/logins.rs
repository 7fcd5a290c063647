//! People who sign in without JavaScript.

use std::sync::Arc;

use capauth_tests::gpg::Gpg;
use capauth_tower::{EnrollmentMode, SystemClock};
use serde_json::json;

use crate::browser::{Browser, LOGIN};
use crate::people::Key;
use crate::servers::Framework;
use crate::world::{ADMIN_TOKEN, ORIGIN, World};

/// The real program, in both shells that everybody has: what is copied is run, what it prints is pasted.
pub(crate) async fn somebody_signs_in_with_gpg_and_without_a_script(framework: Framework) {
    let world = World::with(framework, |config| config.clock(Arc::new(SystemClock))).await;
    let gpg = Gpg::new();
    let fingerprint = gpg.generate("Alice <alice@example.org>", "ed25519");
    for (shell, certificate) in [("sh", gpg.export(&fingerprint)), ("bash", String::new())] {
        let mut browser = Browser::of(&world.client);
        let first = browser.open(LOGIN).await;
        let fill = [("fingerprint", &*fingerprint), ("public_key", &certificate)];
        let second = browser.submit(&first, &fill).await;
        assert!(second.html.contains(&format!(">{ORIGIN}</strong>")), "it says which site asks");
        assert!(second.html.contains(" UTC"), "and for how long");
        assert!(second.commands()[1].contains("[IO.File]::WriteAllText"), "{:?}", second.commands());
        let signature = second.run(shell, gpg.home());
        assert!(signature.starts_with("-----BEGIN PGP SIGNATURE-----"), "{signature}");
        browser.submit(&second, &[("signature", &signature)]).await.signed_in("/");
        assert_eq!(browser.me().await.ok()["sub"], fingerprint, "{shell}");
    }
}

pub(crate) async fn a_key_that_is_known_needs_no_certificate(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&key).await;
    assert!(!world.knows(&key).await, "nothing is kept of who has not signed");
    let page = browser.sign(&page, &key, world.now()).await;
    page.signed_in("/");
    let cookies: Vec<_> = page.answer.headers.get_all("set-cookie").iter().collect();
    let names = cookies.iter().map(|set| set.to_str().unwrap().split('=').next().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["__Host-capauth", "__Host-capauth-device", "__Host-capauth-login"]
    );
    assert!(cookies[2].to_str().unwrap().contains("; Max-Age=0;"), "the form's own cookie has done its work");
    assert_eq!(browser.cookies.len(), 2);
    // The other spellings of a fingerprint, too.
    let mut browser = Browser::of(&world.client);
    let page = browser.open(LOGIN).await;
    let spelled = format!("  0x{} ", key.fingerprint.to_ascii_lowercase());
    let page = browser.submit(&page, &[("fingerprint", &spelled)]).await;
    // As a terminal or a mail indents it.
    let indented = format!("\n\n  {}\n ", key.sign(&page.payload(), world.now()).replace('\n', "\n  "));
    browser.submit(&page, &[("signature", &indented)]).await.signed_in("/");
    assert_eq!(browser.me().await.ok()["sub"], key.fingerprint);
}

pub(crate) async fn somebody_comes_back_to_the_page_they_asked_for(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.open(&format!("{LOGIN}?redirect=/reports%3Fyear%3D2026%26a%3Db%23top")).await;
    let fill = [("fingerprint", &*key.fingerprint), ("public_key", &key.certificate)];
    let page = browser.submit(&page, &fill).await;
    let page = browser.submit(&page, &[("signature", "none")]).await;
    page.refused(401);
    // Through every page, refusals among them.
    browser.sign(&page, &key, world.now()).await.signed_in("/reports?year=2026&a=b#top");
}

pub(crate) async fn forms_in_two_tabs_are_both_good(framework: Framework) {
    let world = World::new(framework).await;
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let one = browser.open(LOGIN).await;
    let set = one.answer.header("set-cookie").to_owned();
    assert!(set.starts_with("__Host-capauth-login="), "{set}");
    assert!(set.ends_with("; Path=/; Max-Age=7200; HttpOnly; Secure; SameSite=Lax"), "{set}");
    let other = browser.open(LOGIN).await;
    assert_eq!(other.answer.header("set-cookie"), "", "a good one stays");
    let mut pages = Vec::new();
    for page in [one, other] {
        let fill = [("fingerprint", &*key.fingerprint), ("public_key", &key.certificate)];
        pages.push(browser.submit(&page, &fill).await);
    }
    let mut beside = Browser { cookies: browser.cookies.clone(), ..Browser::of(&world.client) };
    browser.sign(&pages[0], &key, world.now()).await.signed_in("/");
    beside.sign(&pages[1], &key, world.now()).await.signed_in("/");
}

pub(crate) async fn a_code_lets_a_new_key_in(framework: Framework) {
    let world = World::with(framework, |config| config.enrollment(EnrollmentMode::Closed)).await;
    let made = world.client.post_as(ADMIN_TOKEN, "/capauth/v1/enrollment-codes", &json!({})).await.ok();
    let key = Key::new();
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&key).await;
    let page = browser.sign(&page, &key, world.now()).await;
    page.refused(403);
    // The signature stays good while the code is looked for.
    let code = made["enrollment_code"].as_str().unwrap();
    browser.submit(&page, &[("enrollment_code", code)]).await.signed_in("/");
    assert_eq!(browser.me().await.ok()["sub"], key.fingerprint);
}

pub(crate) async fn somebody_goes_back_to_name_another_key(framework: Framework) {
    let world = World::new(framework).await;
    let (key, other) = (Key::new(), Key::new());
    let mut browser = Browser::of(&world.client);
    let page = browser.ask(&other).await;
    let page = browser.submit(&page, &[("step", "back")]).await;
    assert_eq!((page.answer.status, page.field("fingerprint")), (200, other.fingerprint));
    assert_eq!(page.field("public_key").trim(), other.certificate.trim());
    let fill = [("fingerprint", &*key.fingerprint), ("public_key", &key.certificate)];
    let page = browser.submit(&page, &fill).await;
    browser.sign(&page, &key, world.now()).await.signed_in("/");
    assert_eq!(browser.me().await.ok()["sub"], key.fingerprint);
}

pub(crate) async fn the_second_page_is_for_the_origin_that_asks(framework: Framework) {
    const WWW: &str = "https://www.example.com";
    let world = World::with(framework, |config| config.origin(WWW)).await;
    for (origin, named) in [(ORIGIN, ORIGIN), (WWW, WWW)] {
        let mut browser = Browser { origin: origin.to_owned(), ..Browser::of(&world.client) };
        let page = browser.ask(&Key::new()).await;
        let payload = page.payload();
        assert!(payload.starts_with("CAPAUTH_NONCE_V2\nnonce="), "{payload}");
        assert!(payload.contains(&format!("\norigin={named}\ntimestamp=")), "{payload}");
    }
}

pub(crate) async fn development_without_tls_uses_a_cookie_of_its_own(framework: Framework) {
    let port = 8420;
    let world = World::with(framework, |config| config.insecure_http_on_loopback(port)).await;
    let key = Key::new();
    for origin in [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")] {
        let mut browser = Browser { origin: origin.clone(), ..Browser::of(&world.client) };
        let page = browser.ask(&key).await;
        assert!(browser.cookies.contains_key("capauth-login-insecure"), "{:?}", browser.cookies);
        assert!(page.payload().contains(&format!("\norigin={origin}\n")));
        browser.sign(&page, &key, world.now()).await.signed_in("/");
        assert_eq!(browser.me().await.ok()["sub"], key.fingerprint);
    }
    // Where there is TLS, a cookie that anybody on the way could have set counts for nothing.
    let secure = World::new(framework).await;
    let mut browser = Browser::of(&secure.client);
    let page = browser.open(LOGIN).await;
    let value = browser.cookies.remove("__Host-capauth-login").unwrap();
    browser.cookies.insert("capauth-login-insecure".to_owned(), value);
    browser.submit(&page, &[("fingerprint", &key.fingerprint)]).await.refused(403);
}
