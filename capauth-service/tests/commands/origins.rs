//! From which web origins people sign in, and what whoever is refused is told.

use serde_json::{Value, json};

use crate::support::{Answer, Place, Service, Variables};

const FINGERPRINT: &str = "8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80";

fn ask(service: &Service, name: &str, origin: Option<&str>) -> Answer {
    let mut body = json!({"fingerprint": FINGERPRINT, "client_nonce": "AAAA", "requested_service": name});
    if let Some(origin) = origin {
        body["origin"] = origin.into();
    }
    service.post("/capauth/v1/challenge", &body.to_string())
}

fn granted(answer: &Answer, origin: &str) {
    assert_eq!((answer.status, &answer.json()["origin"]), (200, &Value::from(origin)), "{answer:?}");
}

fn words(answer: &Answer) -> String {
    let json = answer.json();
    assert_eq!((answer.status, &json["error"]), (400, &"invalid_origin".into()), "{answer:?}");
    json["error_description"].as_str().unwrap().to_owned()
}

#[test]
fn a_challenge_without_an_origin_is_refused_in_words_where_v2_is_required() {
    let place = Place::new();
    let id = ("CAPAUTH_SERVICE_ID", "auth.example.com");
    let service = place.start(&[id, ("CAPAUTH_REQUIRE_V2", "true")]);
    for origin in [None, Some("")] {
        let words = words(&ask(&service, "auth.example.com", origin));
        for wanted in ["`origin`", "CAPAUTH_NONCE_V2", "worth nothing on another"] {
            assert!(words.contains(wanted), "{words}");
        }
    }
    granted(&ask(&service, "auth.example.com", Some("https://auth.example.com")), "https://auth.example.com");
    service.stop();
    let service = place.start(&[id]);
    granted(&ask(&service, "auth.example.com", None), "");
    service.stop();
}

#[test]
fn origins_of_the_own_service_come_from_flag_variable_and_file() {
    let place = Place::new();
    let file =
        place.write("c.toml", "service_id = \"auth.example.com\"\norigins = [\"https://file.example\"]\n");
    let start = |flag: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.command();
        command
            .arg("--config")
            .arg(&file)
            .args(flag)
            .env("CAPAUTH_PORT", "0")
            .envs(variables.iter().copied());
        Service::start(command)
    };
    let variable = ("CAPAUTH_ORIGINS", "https://one.example, https://TWO.example:8443");
    let cases: [(&[&str], Variables<'_>, &[&str]); 3] = [
        (&[], &[], &["https://file.example"]),
        (&[], &[variable], &["https://one.example", "https://two.example:8443"]),
        (&["--origins", "https://flag.example"], &[variable], &["https://flag.example"]),
    ];
    for (flag, variables, origins) in cases {
        let service = start(flag, variables);
        // The base URL is always one.
        for origin in origins.iter().chain(&["https://auth.example.com"]) {
            granted(&ask(&service, "auth.example.com", Some(origin)), origin);
        }
        assert!(
            words(&ask(&service, "auth.example.com", Some("https://none.example"))).contains("none.example")
        );
        service.stop();
    }
}

#[test]
fn an_unknown_origin_is_named_with_the_setting_that_lists_them() {
    let place = Place::new();
    let services = "app.example.com=https://app.example.com|https://www.example.com, other.example.com";
    let service = place.start(&[("CAPAUTH_SERVICE_ID", "auth.example.com"), ("CAPAUTH_SERVICES", services)]);
    let refused = |name: &str, origin: &str| words(&ask(&service, name, Some(origin)));
    let own = refused("auth.example.com", "https://evil.example");
    assert!(own.contains("https://evil.example") && own.contains("CAPAUTH_ORIGINS"), "{own}");
    for (name, origin) in [
        ("app.example.com", "https://evil.example"),
        ("app.example.com", "https://auth.example.com"),
        ("app.example.com", "https://other.example.com"),
        ("app.example.com", "https://app.example.com:8443"),
        ("app.example.com", "http://app.example.com"),
        ("other.example.com", "https://www.example.com"),
    ] {
        let words = refused(name, origin);
        assert!(words.contains(origin) && words.contains("CAPAUTH_SERVICES"), "{words}");
    }
    granted(&ask(&service, "app.example.com", Some("https://www.example.com")), "https://www.example.com");
    granted(
        &ask(&service, "other.example.com", Some("https://other.example.com")),
        "https://other.example.com",
    );
    service.stop();
}

#[test]
fn attack_markup_sent_as_an_origin_does_not_come_back() {
    let place = Place::new();
    let service = place.start(&[("CAPAUTH_SERVICE_ID", "auth.example.com")]);
    for origin in [
        "https://MARKER.example/<script>",
        "https://auth.example.com/MARKER",
        "https://MARKER@auth.example.com",
        "javascript:MARKER",
        "\u{202e}MARKER",
        "https://marker MARKER",
        "HTTPS://MARKER.EXAMPLE",
        "null",
        "*",
    ] {
        let words = words(&ask(&service, "auth.example.com", Some(origin)));
        assert!(!words.contains("MARKER") && words.contains("https://auth.example.com"), "{words}");
    }
    granted(&ask(&service, "auth.example.com", Some("https://auth.example.com")), "https://auth.example.com");
    service.stop();
}

#[test]
fn origins_that_browsers_would_never_send_stop_the_start() {
    let place = Place::new();
    for bad in [
        "https://app.example.com/",
        "https://app.example.com/login",
        "https://*.example.com",
        "*",
        "null",
        "app.example.com",
        "https://app.example.com:443",
        "http://app.example.com",
        "https://[0:0::1]",
    ] {
        let error = place.refusal(&["--origins", bad], &[]);
        assert!(error.contains("--origins"), "{error}");
        let service = format!("app.example.com={bad}");
        let error = place.refusal::<&str>(&[], &[("CAPAUTH_SERVICES", &service)]);
        assert!(error.contains("CAPAUTH_SERVICES"), "{error}");
    }
    for twice in ["capauth.local", "a.example, A.example"] {
        let error = place.refusal(&["--services", twice], &[]);
        assert!(error.contains("--services"), "{error}");
    }
    place.start(&[("CAPAUTH_ORIGINS", "https://app.example.com, http://localhost:3000")]).stop();
}
