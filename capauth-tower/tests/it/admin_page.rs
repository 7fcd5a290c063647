//! Who gets the administrators' page, and what everybody else reads instead.

use capauth_tower::Fingerprint;
use serde_json::{Value, json};

use crate::person::Person;
use crate::site::{ADMIN_TOKEN, Answer, ORIGIN, Site};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const JSON: (&str, &str) = ("accept", "application/json");
const BEARER: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");
const PAGE: &str = "/capauth/admin";
const LOGIN: &str = "/auth/capauth/login?redirect=/capauth/admin";

fn fingerprint(person: &Person) -> Fingerprint {
    person.fingerprint().parse().unwrap()
}

/// A site that a key administers.
async fn site_of(admin: &Person) -> Site {
    let key = fingerprint(admin);
    Site::with(|config| config.admin_fingerprints([key]).admin_token(ADMIN_TOKEN)).await
}

/// What a browser with this cookie is shown.
async fn shown(site: &Site, cookie: &str) -> Answer {
    site.get(PAGE, &[HTML, ("cookie", cookie)]).await
}

/// That this is a page in words, with a way to sign in again and one to sign out, and nothing for administrators in it.
fn check_refusal(page: &Answer, title: &str) {
    assert_eq!((page.status().as_u16(), page.header("content-type")), (403, "text/html; charset=utf-8"));
    let text = page.text();
    assert!(text.contains(&format!("<h1>{title}</h1>")), "{text}");
    assert!(text.contains(&format!("href=\"{LOGIN}\"")) && text.contains("action=\"v1/logout\""), "{text}");
    assert!(!text.contains("<script") && text.contains("data-settings=\"null\""), "{text}");
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
}

#[tokio::test]
async fn a_listed_keys_fresh_session_gets_the_page() {
    let alice = Person::new("alice");
    let site = site_of(&alice).await;
    let cookie = site.cookie(&alice, Value::Null).await;
    let page = shown(&site, &cookie).await;
    assert_eq!((page.status().as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    let text = page.text();
    assert!(text.contains("admin.js") && text.contains(&alice.fingerprint()), "{text}");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
    // A program with the token is an administrator as well.
    assert_eq!(site.get(PAGE, &[BEARER]).await.status(), 200);
}

#[tokio::test]
async fn who_is_not_signed_in_is_led_to_sign_in_and_a_program_is_told() {
    let site = site_of(&Person::new("alice")).await;
    for headers in [&[HTML][..], &[HTML, ("cookie", "__Host-capauth=stale")]] {
        let page = site.get(PAGE, headers).await;
        assert_eq!((page.status().as_u16(), page.header("location")), (303, LOGIN));
    }
    let told = site.get(PAGE, &[JSON]).await;
    assert_eq!((told.status().as_u16(), told.error().as_str()), (401, "invalid_token"));
}

#[tokio::test]
async fn a_login_older_than_a_quarter_of_an_hour_reads_that_it_is() {
    let alice = Person::new("alice");
    let site = site_of(&alice).await;
    let cookie = site.cookie(&alice, Value::Null).await;
    site.advance(15 * 60);
    assert_eq!(shown(&site, &cookie).await.status(), 200);
    site.advance(1);
    check_refusal(&shown(&site, &cookie).await, "Sign in again to administer");
    let told = site.get(PAGE, &[JSON, ("cookie", &cookie)]).await;
    assert_eq!((told.status().as_u16(), told.error().as_str()), (403, "forbidden"));
    let cookie = site.cookie(&alice, Value::Null).await;
    assert_eq!(shown(&site, &cookie).await.status(), 200);
}

#[tokio::test]
async fn attack_administrators_page_with_a_key_that_is_not_listed() {
    let (alice, mallory) = (Person::new("alice"), Person::new("mallory"));
    let site = site_of(&alice).await;
    let cookie = site.cookie(&mallory, json!({"groups": ["admins"], "capauth_admin": true})).await;
    check_refusal(&shown(&site, &cookie).await, "Your key does not administer here");
    // Nor with a person's token, an administrator's own included: applications get to see it.
    for person in [&mallory, &alice] {
        let bearer = site.bearer(person).await;
        let told = site.get(PAGE, &[JSON, ("authorization", &bearer)]).await;
        assert_eq!((told.status().as_u16(), told.error().as_str()), (403, "forbidden"));
        let page = site.get(PAGE, &[HTML, ("authorization", &bearer)]).await;
        assert_eq!((page.status().as_u16(), page.text().contains("admin.js")), (403, false));
    }
}

#[tokio::test]
async fn attack_administrators_page_with_a_session_of_another_page() {
    let alice = Person::new("alice");
    let key = fingerprint(&alice);
    let site = Site::with(|config| config.admin_fingerprints([key]).origin("https://www.example.com")).await;
    for more in [json!({}), json!({"origin": "https://www.example.com"})] {
        let cookie = site.cookie_from(&alice, Value::Null, more).await;
        check_refusal(&shown(&site, &cookie).await, "Sign in on this service’s own page");
    }
    let cookie = site.cookie_from(&alice, Value::Null, json!({"origin": ORIGIN})).await;
    assert_eq!(shown(&site, &cookie).await.status(), 200);
}

#[tokio::test]
async fn where_no_key_administers_a_browser_reads_what_to_set() {
    let alice = Person::new("alice");
    // The token alone is no way in for a browser, which cannot show it.
    for (site, bearer) in [(Site::with(|config| config).await, 501), (Site::new().await, 200)] {
        let cookie = site.cookie(&alice, Value::Null).await;
        for headers in [&[HTML][..], &[HTML, ("cookie", &cookie)]] {
            let page = site.get(PAGE, headers).await;
            assert_eq!(
                (page.status().as_u16(), page.header("content-type")),
                (501, "text/html; charset=utf-8")
            );
            assert!(page.text().contains("CAPAUTH_ADMIN_FINGERPRINTS"), "{}", page.text());
        }
        assert_eq!(site.get(PAGE, &[BEARER]).await.status(), bearer);
    }
    let nobody = Site::with(|config| config).await;
    let told = nobody.get(PAGE, &[JSON]).await;
    assert_eq!((told.status().as_u16(), told.error().as_str()), (501, "not_configured"));
}
