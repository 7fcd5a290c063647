//! Browsers, which show a session's cookie.

use capauth_tests::sites::raw::Answer;
use capauth_tests::sites::{COOKIE, Framework, Mode, Options, Site};

use crate::visit::{Visit, get};

fn clears(answer: &Answer) -> bool {
    answer.header("set-cookie").starts_with(&format!("{COOKIE}=; Path=/; Max-Age=0;"))
}

pub(crate) async fn a_session_ends_with_its_time(visit: &Visit<'_>) {
    let cookie = visit.cookie_of(&visit.cast.alice).await;
    let me = || get("/me").header("cookie", &cookie);
    visit.step("at once", me(), "200").await;
    visit.site.advance(11 * 3600).await;
    visit.step("after eleven hours", me(), "200").await;
    visit.site.advance(2 * 3600).await;
    let ended = visit.step("after thirteen", me(), "401 invalid_token").await;
    assert!(clears(&ended), "{ended:?}");
}

pub(crate) async fn attack_tampered_cookie(visit: &Visit<'_>) {
    let good = visit.cookie_of(&visit.cast.alice).await;
    let value = good.split_once('=').expect("a cookie has a value").1;
    let other = |c: char| if c == 'A' { 'B' } else { 'A' };
    let flipped = |place: usize| {
        let mut bytes: Vec<char> = value.chars().collect();
        bytes[place] = other(bytes[place]);
        bytes.into_iter().collect::<String>()
    };
    for (name, bad) in [
        ("at its beginning", flipped(0)),
        ("in its middle", flipped(value.len() / 2)),
        ("near its end", flipped(value.len() - 3)),
        ("cut short", value[..value.len() - 4].to_owned()),
        ("lengthened", format!("{value}AAAA")),
        ("empty", String::new()),
        ("too long", "A".repeat(4097)),
        ("quoted", format!("\"{value}\"")),
    ] {
        for path in ["/me", "/auth/capauth/me"] {
            let request = get(path).header("cookie", format!("{COOKIE}={bad}"));
            let answer = visit.step(&format!("{name}, at {path}"), request, "401 invalid_token").await;
            assert!(clears(&answer), "{name}: {answer:?}");
        }
    }
    // Under another name it is no session at all, and nothing is taken away.
    for name in ["capauth-insecure", "capauth", "__host-capauth", "__Secure-capauth"] {
        let request = get("/me").header("cookie", format!("{name}={value}"));
        let answer = visit.step(&format!("called {name}"), request, "401 invalid_token").await;
        assert_eq!(answer.header("set-cookie"), "", "{name}");
    }
    visit.step("as it was", get("/me").header("cookie", &good), "200").await;
}

pub(crate) async fn attack_cookie_of_another_site(visit: &Visit<'_>) {
    // The same name, the same service, another installation.
    let site = Site::start(Framework::Tower, Mode::Local, Options::default()).await;
    let other = Visit { case: "elsewhere", site, cast: visit.cast, steps: Vec::new().into() };
    let foreign = other.cookie_of(&visit.cast.alice).await;
    other.step("at its own site", get("/me").header("cookie", &foreign), "200").await;
    let own = visit.cookie_of(&visit.cast.alice).await;
    let answer = visit.step("theirs", get("/me").header("cookie", &foreign), "401 invalid_token").await;
    assert!(clears(&answer), "{answer:?}");
    visit.step("ours", get("/me").header("cookie", &own), "200").await;
}

pub(crate) async fn attack_several_sessions_at_once(visit: &Visit<'_>) {
    let (alice, bob) = (visit.cookie_of(&visit.cast.alice).await, visit.cookie_of(&visit.cast.bob).await);
    let one = get("/me").header("cookie", format!("{alice}; {bob}"));
    let answer = visit.step("in one header", one, "401 invalid_token").await;
    assert!(clears(&answer), "{answer:?}");
    let two = get("/me").header("cookie", &alice).header("cookie", &bob);
    visit.step("in two headers", two, "401 invalid_token").await;
    let twice = get("/me").header("cookie", format!("{alice}; {alice}"));
    visit.step("the same twice", twice, "401 invalid_token").await;
    let beside = get("/me").header("cookie", "theme=dark").header("cookie", &alice);
    let me = visit.step("beside another cookie", beside, "200").await;
    assert_eq!(me.json()["sub"], visit.cast.alice.fingerprint.to_string());
    let among = get("/me").header("cookie", format!("a=b; c;;=;{bob} ; d=e"));
    let me = visit.step("among other cookies", among, "200").await;
    assert_eq!(me.json()["sub"], visit.cast.bob.fingerprint.to_string());
}
