//! Browsers that have signed in before.

use capauth_tests::http::{Answer, Challenge};
use capauth_tower::RateLimits;
use serde_json::json;

use crate::people::Key;
use crate::servers::Framework;
use crate::world::ORIGIN;
use crate::{Visitor, limited, limited_to, nobody, wait};

const HERE: &str = "198.51.100.1";
const ELSEWHERE: &str = "203.0.113.9";
const DEVICE: &str = "__Host-capauth-device";

/// Asks on the login page.
async fn ask(here: &Visitor<'_>, cookies: &str, fingerprint: &str) -> Answer {
    let body = json!({"fingerprint": fingerprint, "origin": ORIGIN});
    here.send("POST", "/auth/capauth/challenge", &[("cookie", cookies), ("origin", ORIGIN)], &body).await
}

/// Signs in on the login page, in a browser that has these cookies.
async fn sign_in(here: &Visitor<'_>, cookies: &str, key: &Key) -> Answer {
    let asked = ask(here, cookies, &key.fingerprint).await;
    if asked.status != 200 {
        return asked;
    }
    let mut body = key.answer(&Challenge::read(&asked), here.world.now());
    body["public_key"] = key.certificate.as_str().into();
    here.send("POST", "/auth/capauth/verify", &[("cookie", cookies), ("origin", ORIGIN)], &body).await
}

/// The cookies that an answer sets, as they are sent back, each with its attributes.
fn set(answer: &Answer) -> Vec<(String, String)> {
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    lines.map(|line| line.split_once(';').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// The cookie of the browser that signed in.
fn device(answer: &Answer) -> String {
    answer.ok();
    let cookies = set(answer);
    assert_eq!(cookies.len(), 2, "a session and a device: {cookies:?}");
    assert!(cookies[0].0.starts_with("__Host-capauth="), "{cookies:?}");
    let (cookie, attributes) = &cookies[1];
    assert!(cookie.starts_with(&format!("{DEVICE}=")), "{cookies:?}");
    assert_eq!(attributes, " Path=/; Max-Age=15552000; HttpOnly; Secure; SameSite=Lax");
    cookie.clone()
}

async fn flood_network(here: &Visitor<'_>) {
    for number in 0.. {
        if here.ask(&nobody(number)).await.status == 429 {
            break;
        }
    }
    for number in 0.. {
        if here.fail(&nobody(number)).await.status == 429 {
            break;
        }
    }
}

pub(crate) async fn attack_flood_from_the_same_network_and_a_known_browser(framework: Framework) {
    let world = limited(framework).await;
    let (here, alice, stranger) = (world.from(HERE), Key::new(), Key::new());
    let cookie = device(&sign_in(&here, "", &alice).await);
    flood_network(&here).await;
    assert_eq!(sign_in(&here, "", &alice).await.status, 429);
    assert_eq!(here.sign_in(&stranger).await.status, 429);
    for _ in 0..5 {
        let again = sign_in(&here, &cookie, &alice).await;
        assert_eq!(again.status, 200, "{}", again.text());
    }
    // Another key on the same browser, among other cookies.
    let others = format!("a=b; {cookie}; c=d");
    let answer = sign_in(&here, &others, &stranger).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

pub(crate) async fn attack_device_cookie_that_was_not_given_out(framework: Framework) {
    let world = limited(framework).await;
    let (here, alice) = (world.from(HERE), Key::new());
    let cookie = device(&sign_in(&here, "", &alice).await);
    let foreign = device(&sign_in(&limited(framework).await.from(HERE), "", &alice).await);
    let session =
        set(&sign_in(&here, "", &alice).await)[0].0.replace("__Host-capauth=", &format!("{DEVICE}="));
    flood_network(&here).await;
    let value = cookie.split_once('=').unwrap().1;
    let changed = format!("{DEVICE}=A{}", &value[1..]);
    let short = cookie[..cookie.len() - 8].to_owned();
    let insecure = format!("capauth-device-insecure={value}");
    let twice = format!("{cookie}; {cookie}");
    for forged in [&foreign, &session, &changed, &short, &insecure, &twice, &format!("{DEVICE}=")] {
        if *forged == cookie {
            continue;
        }
        assert_eq!(ask(&here, forged, &alice.fingerprint).await.status, 429, "{forged}");
        // It counts as none, and is no reason to refuse anybody.
        ask(&world.from(ELSEWHERE), forged, &alice.fingerprint).await.ok();
    }
    ask(&here, &cookie, &alice.fingerprint).await.ok();
    world.advance(180 * 24 * 3600);
    flood_network(&here).await;
    assert_eq!(ask(&here, &cookie, &alice.fingerprint).await.status, 429, "past its time");
}

pub(crate) async fn a_device_cookie_is_no_session(framework: Framework) {
    let world = limited(framework).await;
    let here = world.from(HERE);
    let cookie = device(&sign_in(&here, "", &Key::new()).await);
    for path in ["/auth/capauth/me", "/capauth/v1/sessions", "/capauth/v1/identity"] {
        let answer = here.send("GET", path, &[("cookie", &cookie)], &serde_json::Value::Null).await;
        answer.refused("401 invalid_token");
        assert_eq!(set(&answer), [], "{path}");
        let value = cookie.split_once('=').unwrap().1;
        let as_session = format!("__Host-capauth={value}");
        let answer = here.send("GET", path, &[("cookie", &as_session)], &serde_json::Value::Null).await;
        answer.refused("401 invalid_token");
    }
    // Nor is it a reason to ask where a request comes from: there is nothing that another site could make use of.
    let body = json!({"fingerprint": nobody(1), "client_nonce": "AAAA"});
    let foreign = [("cookie", &*cookie), ("origin", "https://elsewhere.example")];
    here.send("POST", "/capauth/v1/challenge", &foreign, &body).await.ok();
}

pub(crate) async fn a_known_browser_keeps_its_name_and_has_limits_too(framework: Framework) {
    let world = limited(framework).await;
    let (here, alice) = (world.from(HERE), Key::new());
    let cookie = device(&sign_in(&here, "", &alice).await);
    world.advance(60);
    // One challenge of its own, and then with the cookie that it was given anew.
    let renewed = device(&sign_in(&here, &cookie, &alice).await);
    assert_ne!(cookie, renewed);
    for number in 0..9 {
        let cookie = if number % 2 == 0 { &cookie } else { &renewed };
        ask(&world.from(ELSEWHERE), cookie, &alice.fingerprint).await.ok();
    }
    wait(&ask(&here, &cookie, &alice.fingerprint).await, 6);
    wait(&ask(&world.from(ELSEWHERE), &renewed, &alice.fingerprint).await, 6);
    // Its network is not its own.
    here.ask(&alice.fingerprint).await.ok();
}

/// Each cookie is a place of its own, but all of a network's together have ten places' room and no more.
pub(crate) async fn attack_collected_device_cookies(framework: Framework) {
    let limits = RateLimits::default().challenges_per_address(3).failures_per_address(2);
    let world = limited_to(framework, limits).await;
    let (here, elsewhere) = (world.from(HERE), world.from(ELSEWHERE));
    let mut cookies = Vec::new();
    for _ in 0..13 {
        cookies.push(device(&sign_in(&elsewhere, "", &Key::new()).await));
        world.advance(20);
    }
    world.advance(60);
    let mut passed = 0;
    for (number, cookie) in cookies.iter().enumerate() {
        for _ in 0..3 {
            passed += u32::from(ask(&here, cookie, &nobody(number)).await.status == 200);
        }
    }
    assert_eq!(passed, 30);
    let last = &cookies[12];
    assert_eq!(ask(&here, last, &nobody(12)).await.status, 429);
    // Who has none is not concerned, and the same browser is let through from where nothing happens.
    here.ask(&nobody(100)).await.ok();
    ask(&elsewhere, last, &nobody(12)).await.ok();

    let fail = async |here: &Visitor<'_>, cookie: &str, number: usize| {
        let nonce = "11111111-1111-4111-8111-111111111111";
        let body = json!({"fingerprint": nobody(number), "nonce": nonce, "nonce_signature": "x"});
        here.send("POST", "/auth/capauth/verify", &[("cookie", cookie), ("origin", ORIGIN)], &body).await
    };
    let mut judged = 0;
    for (number, cookie) in cookies.iter().enumerate() {
        for _ in 0..2 {
            judged += u32::from(fail(&here, cookie, number).await.status == 400);
        }
    }
    assert_eq!(judged, 20);
    assert_eq!(fail(&here, last, 12).await.status, 429);
    assert_eq!(fail(&elsewhere, last, 12).await.status, 400);
}
