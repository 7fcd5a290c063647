//! What pages and what they load are sent with.

use std::collections::BTreeSet;

use capauth_tests::http::send;

use crate::browser::{Browser, LOGIN, Page, attribute};
use crate::people::Key;
use crate::servers::Framework;
use crate::world::World;

/// Every page of ours that anybody gets to see, by its path.
async fn pages(world: &World) -> Vec<Page> {
    let mut browser = Browser::of(&world.client);
    let mut pages = vec![browser.open(LOGIN).await, browser.open("/auth/capauth/qr").await];
    let second = browser.ask(&Key::new()).await;
    pages.push(browser.submit(&second, &[("signature", "none")]).await);
    pages.push(second);
    pages
}

/// What stands in a policy under this name.
fn directive<'a>(policy: &'a str, name: &str) -> &'a str {
    policy.split("; ").find_map(|part| part.strip_prefix(name)).map_or("", str::trim)
}

pub(crate) async fn every_page_has_its_policy(framework: Framework) {
    let world = World::new(framework).await;
    for page in pages(&world).await {
        let policy = page.answer.header("content-security-policy");
        assert!(!policy.contains("unsafe-") && !policy.contains('*') && !policy.contains("http"), "{policy}");
        for (name, value) in [
            ("default-src", "'none'"),
            ("base-uri", "'none'"),
            ("frame-ancestors", "'none'"),
            ("form-action", "'self'"),
            ("connect-src", "'self'"),
            ("require-trusted-types-for", "'script'"),
            ("trusted-types", "capauth"),
        ] {
            assert_eq!(directive(policy, name), value, "{name}: {policy}");
        }
        let nonce = directive(policy, "script-src").trim_matches('\'').strip_prefix("nonce-").unwrap();
        assert_eq!(directive(policy, "style-src"), format!("'nonce-{nonce}'"));
        let loading = ["<script", "<link rel=\"stylesheet\"", "<link rel=\"modulepreload\""];
        for begins in loading {
            for rest in page.html.split(begins).skip(1) {
                let tag = format!("<x {}", rest.split('>').next().unwrap());
                assert_eq!(attribute(&tag, "nonce").as_deref(), Some(nonce), "{begins} {tag}");
            }
        }
        assert!(!page.html.contains("<style") && !page.html.contains(" style="), "{}", page.html);
        assert!(!page.html.contains(" onclick=") && !page.html.contains("javascript:"));
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            let values: Vec<_> = page.answer.headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name} at {}", page.path);
        }
        let permissions = page.answer.header("permissions-policy");
        for nothing in ["camera=()", "microphone=()", "geolocation=()", "clipboard-read=()"] {
            assert!(permissions.contains(nothing), "{permissions}");
        }
    }
}

pub(crate) async fn each_answer_has_a_nonce_of_its_own(framework: Framework) {
    let world = World::new(framework).await;
    let mut seen = BTreeSet::new();
    let mut browser = Browser::of(&world.client);
    for _ in 0..8 {
        let page = browser.open(LOGIN).await;
        let policy = page.answer.header("content-security-policy").to_owned();
        assert!(seen.insert(directive(&policy, "script-src").to_owned()), "{policy}");
    }
}

/// The addresses that a page loads, seen from it.
fn addresses(page: &Page) -> Vec<String> {
    let tags = ["<script", "<link"].into_iter().flat_map(|begins| page.html.split(begins).skip(1));
    let found = tags.filter_map(|rest| {
        let tag = format!("<x {}", rest.split('>').next().unwrap());
        attribute(&tag, "src").or_else(|| attribute(&tag, "href"))
    });
    found.map(|address| page.resolve(&address)).collect()
}

pub(crate) async fn what_pages_load_is_kept_for_ever(framework: Framework) {
    let world = World::new(framework).await;
    let mut all: BTreeSet<String> = pages(&world).await.iter().flat_map(addresses).collect();
    assert!(all.len() > 5, "{all:?}");
    // What scripts load by themselves.
    let style = all.iter().find(|path| path.ends_with("/style.css")).unwrap().clone();
    let folder = style.trim_end_matches("style.css").to_owned();
    all.extend(["openpgp.mjs", "openpgp.LICENSE.txt", "keeper.js"].map(|name| format!("{folder}{name}")));
    for path in &all {
        let get = |encoding: &'static str| {
            send(world.client.request("GET", path).header("accept-encoding", encoding))
        };
        let (plain, gzip) = (get("identity").await, get("br, gzip").await);
        for answer in [&plain, &gzip] {
            assert_eq!(answer.status, 200, "{path}");
            for (name, value) in [
                ("cache-control", "public, max-age=31536000, immutable"),
                ("vary", "Accept-Encoding"),
                ("x-content-type-options", "nosniff"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), value, "{name} of {path}");
            }
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        }
        assert_eq!(
            (plain.header("content-encoding"), gzip.header("content-encoding")),
            ("", "gzip"),
            "{path}"
        );
        assert!(gzip.body.starts_with(b"\x1f\x8b") && gzip.body.len() < plain.body.len() + 64, "{path}");
        let kind = plain.header("content-type");
        assert_eq!(kind, gzip.header("content-type"));
        let wanted = match path.rsplit('.').next().unwrap() {
            "css" => "text/css",
            "js" | "mjs" => "text/javascript",
            "svg" => "image/svg+xml",
            _ => "text/plain",
        };
        assert!(kind.starts_with(wanted), "{path}: {kind}");
    }
    let version = folder.trim_end_matches('/').rsplit('/').next().unwrap();
    for other in [
        style.replace(version, "0000000000000000"),
        style.replace(version, &version.to_ascii_uppercase().replace('A', "B")),
        style.replace("style.css", "none.css"),
        style.replace("style.css", "../login"),
        style.replace("style.css", "%73tyle.css"),
        style.replace("style.css", "style.css.gz"),
        style.replace("style.css", ""),
    ] {
        if other == style {
            continue;
        }
        let answer = send(world.client.request("GET", &other)).await;
        assert!(answer.status == 404 || other.contains(".."), "{other}: {}", answer.status);
        assert!(!answer.header("cache-control").contains("immutable"), "{other}");
    }
}

/// It would take the form away that somebody is about to fill in.
pub(crate) async fn pages_that_answer_a_form_run_no_script(framework: Framework) {
    let world = World::new(framework).await;
    let mut browser = Browser::of(&world.client);
    let first = browser.open(LOGIN).await;
    assert!(first.html.contains("<script type=\"module\"") && first.html.contains("id=\"plain\""));
    let second = browser.ask(&Key::new()).await;
    let refused = browser.submit(&second, &[("signature", "none")]).await;
    for page in [second, refused] {
        assert!(!page.html.contains("<script") && !page.html.contains("id=\"plain\""), "{}", page.html);
    }
}
