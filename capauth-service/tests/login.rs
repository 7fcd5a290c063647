//! A whole login with a real key against the running service, and what is left of it on the disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod support;

use support::Place;
use support::person::Person;

#[test]
fn a_login_survives_the_end_and_its_time_is_written() {
    let place = Place::new();
    let token = "0123456789abcdef0123456789abcdef";
    let variables = [("CAPAUTH_ADMIN_TOKEN", token), ("CAPAUTH_LOG", "trace")];
    let service = place.start(&variables);
    let person = Person::new();
    let login = person.log_in(&service);
    assert_eq!((login.status, &login.json()["authenticated"]), (200, &true.into()), "{login:?}");
    // At once: the time of the login waits in memory.
    let ended = service.stop();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.log.contains("MARKER") && !ended.log.contains("marker@"), "{}", ended.log);
    assert!(!ended.log.contains(&person.fingerprint()), "{}", ended.log);

    for file in support::files(place.folder.path()) {
        let content = std::fs::read(&file).unwrap();
        for marker in [&b"MARKER"[..], b"marker@"] {
            assert!(!content.windows(marker.len()).any(|w| w == marker), "{} holds a name", file.display());
        }
    }

    let service = place.start(&variables);
    let authorization = format!("Bearer {token}");
    let keys = service.send("GET", "/capauth/v1/keys", &[("authorization", &authorization)], "").json();
    let keys = keys.as_array().or_else(|| keys["keys"].as_array()).unwrap();
    assert_eq!(keys[0]["fingerprint"], person.fingerprint());
    assert!(keys[0]["last_auth"].is_string(), "{keys:?}");

    let userinfo = |token: &str| {
        let authorization = format!("Bearer {token}");
        service.send("GET", "/capauth/v1/userinfo", &[("authorization", &authorization)], "").status
    };
    assert_eq!(userinfo(login.json()["access_token"].as_str().unwrap()), 200);
    assert_eq!(userinfo("MARKER"), 401);
    service.stop();
}
