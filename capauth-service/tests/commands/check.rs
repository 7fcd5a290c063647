//! `check` says what a start would do, and leaves nothing behind.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::Place;
use crate::support::person::Person;

const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const TOKEN: &str = "MARKER-0123456789-0123456789-0123456789";

fn json(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Value {
    let said = place.run(&[&["check", "--json"], arguments].concat(), variables).good();
    serde_json::from_str(&said).unwrap()
}

#[test]
fn it_says_what_is_set_where_and_what_follows_and_makes_nothing() {
    let place = Place::new();
    let text = r#"
        service_id = "auth.example.com"
        cors_origins = ["https://a.example", "https://b.example"]
        [[services]]
        name = "app.example.com"
        origins = ["https://app.example.com", "https://www.example.com"]
        credential = "MARKER-credential-of-the-application"
    "#;
    let file = place.write("c.toml", text);
    place.write("jwt", "MARKER-MARKER-MARKER-MARKER-MARKER-MARKER");
    let variables = [
        ("CAPAUTH_CONFIG", file.to_str().unwrap()),
        ("CAPAUTH_ADMIN_TOKEN", TOKEN),
        ("CAPAUTH_JWT_SECRET_FILE", "jwt"),
        ("CAPAUTH_AUDIT_FILE", "audit.jsonl"),
        ("CAPAUTH_ADMIN_TOKN", "MARKER"),
    ];
    let before = place.files();
    let said = place.run(&["check", "--require-v2"], &variables).good();
    for wanted in [
        "service_id         auth.example.com",
        "c.toml",
        "(CAPAUTH_ADMIN_TOKEN)",
        "set, in jwt",
        "(--require-v2)",
        "app.example.com=https://app.example.com|https://www.example.com (credential set)",
        "https://a.example, https://b.example",
        "open: whoever holds a key may sign in",
        "not there yet",
        "with a web origin (V2) alone",
        "HS256",
        "https://auth.example.com",
        "CAPAUTH_REQUIRE_APPROVAL",
        "CAPAUTH_ADMIN_TOKN is not a setting",
        "The service would start.",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    assert!(!said.contains("MARKER") && !said.contains("port  "), "{said}");
    let json = json(&place, &[], &variables);
    assert!(!json.to_string().contains("MARKER"), "{json}");
    assert_eq!(json["accepts_v1"], true);
    assert_eq!(json["services"][1]["origins"][1], "https://www.example.com");
    assert_eq!(
        (&json["issuer"], &json["access_token_alg"]),
        (&"https://auth.example.com".into(), &"HS256".into())
    );
    assert_eq!((&json["data"]["exists"], &json["data"]["keys"]), (&false.into(), &Value::Null));
    assert_eq!(place.files(), before, "nothing was made");
}

/// What stops a start, and what `check` says of it, in the same words.
#[test]
fn it_finds_whatever_a_start_would_refuse() {
    let place = Place::new();
    let (person, other) = (Person::new(), Person::new());
    let service = place.start(&[]);
    person.token(&service);
    service.stop();
    std::fs::create_dir_all(place.path("folder")).unwrap();
    place.write("text", "this is no database at all, whatever its name");
    place.write("enrolled.asc", &person.secret());
    place.write("unknown.asc", &other.secret());
    let open = place.write("open.key", HEX);
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    place.write("fresh.db.master-key", HEX);
    std::fs::set_permissions(place.path("fresh.db.master-key"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    let (key, mine) = (other.fingerprint(), place.path(".capauth/service/keys.db"));
    let mine = mine.to_str().unwrap();
    let cases: &[&[(&str, &str)]] = &[
        &[("CAPAUTH_PORT", "many")],
        &[("CAPAUTH_CONFIG", "missing.toml")],
        &[("CAPAUTH_HOST", "0.0.0.0"), ("CAPAUTH_ADMIN_TOKEN", "short")],
        &[("CAPAUTH_ADMIN_TOKEN", "with a space and long enough to be taken")],
        &[("CAPAUTH_SERVICES", "a.example, a.example")],
        &[("CAPAUTH_SERVER_KEY_ARMOR", "MARKER")],
        &[("CAPAUTH_SERVER_KEY_FILE", "missing.asc")],
        &[("CAPAUTH_SERVER_KEY_FILE", "enrolled.asc")],
        &[("CAPAUTH_SERVER_KEY_FILE", "unknown.asc"), ("CAPAUTH_ADMIN_FINGERPRINTS", &key)],
        &[("CAPAUTH_MASTER_KEY", HEX)],
        &[("CAPAUTH_DB_PATH", "folder")],
        &[("CAPAUTH_DB_PATH", "text")],
        &[("CAPAUTH_DB_PATH", "fresh.db")],
        &[("CAPAUTH_DB_PATH", mine), ("CAPAUTH_MASTER_KEY_FILE", "folder")],
        &[("CAPAUTH_AUDIT_FILE", "nowhere/audit.jsonl")],
    ];
    for case in cases {
        let before = place.files();
        let checked = place.run(&["check"], case).refused(2);
        assert_eq!(place.files(), before, "{case:?}");
        let mut started = case.to_vec();
        if case.iter().all(|(name, _)| *name != "CAPAUTH_PORT") {
            started.push(("CAPAUTH_PORT", "0"));
        }
        let refused = place.refusal::<&str>(&[], &started);
        assert_eq!(checked, refused, "{case:?}");
        let json = place.run(&["check", "--json"], case);
        let value: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!((&value["ok"], json.code), (&false.into(), Some(2)), "{value}");
        assert!(refused.contains(value["error"].as_str().unwrap()), "{value}");
        assert!(!json.out.contains("MARKER") && !checked.contains("MARKER"), "{checked}");
    }
    // The twin: with a key of its own it would start, and does.
    let good = [("CAPAUTH_SERVER_KEY_FILE", "unknown.asc")];
    let said = json(&place, &[], &good);
    assert_eq!(said["server_fingerprint"], key.as_str());
    assert_eq!(said["data"]["keys"], 1);
    place.start(&good).stop();
}

#[test]
fn it_looks_at_the_database_of_a_running_service() {
    let place = Place::new();
    let service = place.start(&[]);
    Person::new().token(&service);
    let before = place.files();
    let said = json(&place, &[], &[]);
    assert_eq!((&said["data"]["exists"], &said["data"]["keys"]), (&true.into(), &1.into()), "{said}");
    assert_eq!(place.files(), before);
    Person::new().token(&service);
    service.stop();
    let before = place.files();
    assert_eq!(json(&place, &[], &[])["data"]["keys"], 2);
    assert_eq!(place.files(), before);
}

#[test]
fn a_master_key_that_is_gone_is_missed_and_not_made() {
    let place = Place::new();
    place.start(&[]).stop();
    std::fs::remove_file(place.path(".capauth/service/keys.db.master-key")).unwrap();
    let checked = place.run(&["check"], &[]).refused(2);
    assert!(checked.contains("master key is missing"), "{checked}");
    assert!(!place.path(".capauth/service/keys.db.master-key").exists());
}
