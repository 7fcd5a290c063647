use proptest::prelude::*;

use super::*;
use crate::limits::{MAX_BODY, MAX_VERSION};

const FINGERPRINT: &str = "0123456789abcdef0123456789abcdef01234567";
const NONCE: &str = "7C1D3A52-2f8e-4f3a-9d0b-5a1e6c7b8d90";
const ARMOR: &str = "-----BEGIN PGP SIGNATURE-----\r\n\r\n\tAAAA\n-----END PGP SIGNATURE-----\n";

/// A member's name and its limit in bytes.
type Field = (&'static str, usize);

const CHALLENGE_FIELDS: [Field; 5] = [
    ("capauth_version", MAX_VERSION),
    ("fingerprint", MAX_FINGERPRINT_TEXT),
    ("client_nonce", MAX_CLIENT_NONCE),
    ("requested_service", MAX_SERVICE),
    ("origin", MAX_ORIGIN),
];
const VERIFY_FIELDS: [Field; 8] = [
    ("capauth_version", MAX_VERSION),
    ("fingerprint", MAX_FINGERPRINT_TEXT),
    ("nonce", MAX_NONCE_TEXT),
    ("nonce_signature", MAX_SIGNATURE),
    ("claims_signature", MAX_SIGNATURE),
    ("public_key", MAX_PUBLIC_KEY_TEXT),
    ("enrollment_code", MAX_ENROLLMENT_CODE),
    ("redirect", MAX_REDIRECT),
];

fn challenge() -> Json {
    Json::object([
        ("capauth_version", Json::string("1.0")),
        ("fingerprint", Json::string(FINGERPRINT)),
        ("client_nonce", Json::string("AAECAw==")),
        ("requested_service", Json::string("app.example.com")),
        ("origin", Json::string("https://app.example.com")),
        ("something_new", Json::from(vec![Json::Null])),
    ])
}

fn verify() -> Json {
    Json::object([
        ("capauth_version", Json::string("1.0")),
        ("fingerprint", Json::string(FINGERPRINT)),
        ("nonce", Json::string(NONCE)),
        ("nonce_signature", Json::string(ARMOR)),
        ("claims", Json::object([("name", Json::string("Zoë\n\tof York"))])),
        ("claims_signature", Json::string(ARMOR)),
        ("public_key", Json::string(ARMOR)),
        ("enrollment_code", Json::string("letmein")),
        ("redirect", Json::string("/after")),
    ])
}

/// The body with one member replaced.
fn with(body: &Json, name: &str, value: impl Into<Json>) -> Vec<u8> {
    let mut object = body.as_object().unwrap().clone();
    object.insert(name, value);
    serde_json::to_vec(&object).unwrap()
}

fn without(body: &Json, name: &str) -> Vec<u8> {
    let mut object = body.as_object().unwrap().clone();
    object.remove(name);
    serde_json::to_vec(&object).unwrap()
}

fn code<T: fmt::Debug>(result: Result<T, Refusal>) -> ErrorCode {
    result.unwrap_err().code
}

#[track_caller]
fn assert_names<T: fmt::Debug>(result: Result<T, Refusal>, member: &str) {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidRequest, "{refusal}");
    assert!(refusal.description.contains(&format!("`{member}`")), "{refusal}");
}

#[test]
fn a_full_challenge_request() {
    let request = ChallengeRequest::parse(&serde_json::to_vec(&challenge()).unwrap()).unwrap();
    assert_eq!(request.fingerprint.to_string(), FINGERPRINT.to_uppercase());
    assert_eq!(request.client_nonce.as_deref(), Some("AAECAw=="));
    assert_eq!(request.requested_service, "app.example.com");
    assert_eq!(request.origin.as_deref(), Some("https://app.example.com"));
}

#[test]
fn the_least_challenge_request() {
    let least = ChallengeRequest::new(FINGERPRINT.parse().unwrap());
    let body = format!(r#"{{"fingerprint": "{FINGERPRINT}", "origin": "", "client_nonce": null}}"#);
    assert_eq!(ChallengeRequest::parse(body.as_bytes()), Ok(least));
}

#[test]
fn a_full_verify_request() {
    let request = VerifyRequest::parse(&serde_json::to_vec(&verify()).unwrap()).unwrap();
    assert_eq!(request.fingerprint.to_string(), FINGERPRINT.to_uppercase());
    assert_eq!(request.fingerprint_as_sent, FINGERPRINT);
    assert_eq!(request.nonce.to_string(), NONCE.to_lowercase());
    assert_eq!(request.nonce_as_sent, NONCE);
    assert_eq!((request.nonce_signature.as_str(), request.claims_signature.as_str()), (ARMOR, ARMOR));
    assert_eq!(request.claims.unwrap().to_canonical(), r#"{"name":"Zoë\n\tof York"}"#);
    assert_eq!(request.public_key.as_deref(), Some(ARMOR));
    assert_eq!(request.enrollment_code.as_deref(), Some("letmein"));
    assert_eq!(request.redirect.as_deref(), Some("/after"));
}

#[test]
fn the_least_verify_request() {
    let least = VerifyRequest::parse(
        format!(
            r#"{{"fingerprint": "{FINGERPRINT}", "nonce": "{NONCE}", "nonce_signature": "x", "claims": {{}},
                "claims_signature": null, "public_key": "", "enrollment_code": "", "redirect": ""}}"#
        )
        .as_bytes(),
    )
    .unwrap();
    assert_eq!(
        least,
        VerifyRequest {
            fingerprint_as_sent: String::from(FINGERPRINT),
            nonce_as_sent: String::from(NONCE),
            ..VerifyRequest::new(FINGERPRINT.parse().unwrap(), NONCE.parse().unwrap(), "x")
        }
    );
}

#[test]
fn what_a_client_writes_is_read_again() {
    let challenge = ChallengeRequest::parse(&serde_json::to_vec(&challenge()).unwrap()).unwrap();
    assert_eq!(ChallengeRequest::parse(&serde_json::to_vec(&challenge).unwrap()), Ok(challenge.clone()));
    let verify = VerifyRequest::parse(&serde_json::to_vec(&verify()).unwrap()).unwrap();
    assert_eq!(VerifyRequest::parse(&serde_json::to_vec(&verify).unwrap()), Ok(verify.clone()));

    let least = ChallengeRequest::new(FINGERPRINT.parse().unwrap());
    assert_eq!(
        serde_json::to_string(&least).unwrap(),
        format!(r#"{{"capauth_version":"1.0","fingerprint":"{}"}}"#, FINGERPRINT.to_uppercase())
    );
}

#[test]
fn missing_members() {
    assert_names(ChallengeRequest::parse(&without(&challenge(), "fingerprint")), "fingerprint");
    for member in ["fingerprint", "nonce", "nonce_signature"] {
        assert_names(VerifyRequest::parse(&without(&verify(), member)), member);
        assert_names(VerifyRequest::parse(&with(&verify(), member, Json::Null)), member);
        assert_names(VerifyRequest::parse(&with(&verify(), member, "")), member);
    }
    assert!(VerifyRequest::parse(&without(&verify(), "public_key")).is_ok());
}

#[test]
fn wrong_types_in_every_field() {
    for value in [Json::from(1_u64), Json::from(true), Json::from(vec![]), Json::object::<&str>([])] {
        for (member, _) in CHALLENGE_FIELDS {
            assert_names(ChallengeRequest::parse(&with(&challenge(), member, value.clone())), member);
        }
        for (member, _) in VERIFY_FIELDS {
            assert_names(VerifyRequest::parse(&with(&verify(), member, value.clone())), member);
        }
    }
    for value in [Json::from(1_u64), Json::string("{}"), Json::from(vec![])] {
        assert_names(VerifyRequest::parse(&with(&verify(), "claims", value)), "claims");
    }
    for body in ["[]", "null", "\"x\"", "", "{}x"] {
        assert_eq!(code(ChallengeRequest::parse(body.as_bytes())), ErrorCode::InvalidRequest, "{body}");
    }
}

#[test]
fn duplicate_names_in_claims() {
    let body = |claims: &str| {
        format!(
            r#"{{"fingerprint": "{FINGERPRINT}", "nonce": "{NONCE}", "nonce_signature": "x", "claims": {claims}}}"#
        )
    };
    for claims in [
        r#"{"groups": [], "groups": ["admins"]}"#,
        r#"{"groups": [], "\u0067roups": ["admins"]}"#,
        r#"{"soul_blueprint": {"category": "a", "category": "b"}}"#,
    ] {
        assert_eq!(
            code(VerifyRequest::parse(body(claims).as_bytes())),
            ErrorCode::InvalidRequest,
            "{claims}"
        );
    }
    assert!(VerifyRequest::parse(body(r#"{"groups": ["admins"]}"#).as_bytes()).is_ok());
}

#[test]
fn duplicate_names_in_the_body() {
    let twice = format!(r#"{{"fingerprint": "{FINGERPRINT}", "fingerprint": "{FINGERPRINT}"}}"#);
    assert_eq!(code(ChallengeRequest::parse(twice.as_bytes())), ErrorCode::InvalidRequest);
    // Also where nobody looks.
    let unknown = format!(r#"{{"fingerprint": "{FINGERPRINT}", "x": {{"a": 1, "a": 2}}}}"#);
    assert_eq!(code(ChallengeRequest::parse(unknown.as_bytes())), ErrorCode::InvalidRequest);
    let once = format!(r#"{{"fingerprint": "{FINGERPRINT}", "x": {{"a": 1, "b": 2}}}}"#);
    assert!(ChallengeRequest::parse(once.as_bytes()).is_ok());
}

/// The fields of a payload are joined by newlines: one inside a field would be a field of its own.
#[test]
fn control_characters_in_every_field() {
    for symbol in ['\0', '\u{7}', '\u{b}', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{80}', '\u{85}', '\u{9f}']
    {
        for (member, _) in CHALLENGE_FIELDS {
            let text = format!("AA{symbol}AA");
            assert_names(ChallengeRequest::parse(&with(&challenge(), member, text)), member);
        }
        for (member, _) in VERIFY_FIELDS {
            let result = VerifyRequest::parse(&with(&verify(), member, format!("AA{symbol}AA")));
            let armor = matches!(member, "nonce_signature" | "claims_signature" | "public_key");
            if armor && matches!(symbol, '\r' | '\n' | '\t') {
                assert!(result.is_ok(), "{member} {symbol:?}");
            } else {
                assert_names(result, member);
            }
        }
        let text = Json::string(format!("a{symbol}b"));
        let deep = Json::object([("x", Json::from(vec![Json::object([("y", text.clone())])]))]);
        for claims in [Json::object([("name", text)]), deep] {
            let result = VerifyRequest::parse(&with(&verify(), "claims", claims));
            if matches!(symbol, '\n' | '\t') {
                assert!(result.is_ok(), "{symbol:?}");
            } else {
                assert_names(result, "claims");
            }
        }
        let named = Json::object([(format!("na{symbol}me"), Json::Null)]);
        assert_names(VerifyRequest::parse(&with(&verify(), "claims", named)), "claims");
    }
}

#[test]
fn megabytes_in_every_field() {
    let megabyte = "A".repeat(1024 * 1024);
    for (member, limit) in CHALLENGE_FIELDS {
        let parse = |text: &str| ChallengeRequest::parse(&with(&challenge(), member, text));
        assert_eq!(code(parse(&megabyte)), ErrorCode::PayloadTooLarge);
        assert_names(parse(&"A".repeat(limit + 1)), member);
    }
    for (member, limit) in VERIFY_FIELDS {
        let parse = |text: &str| VerifyRequest::parse(&with(&verify(), member, text));
        assert_eq!(code(parse(&megabyte)), ErrorCode::PayloadTooLarge);
        assert_names(parse(&"A".repeat(limit + 1)), member);
    }
    let claims = |length: usize| Json::object([("name", Json::string("A".repeat(length)))]);
    let around = r#"{"name":""}"#.len();
    let parse = |claims: Json| VerifyRequest::parse(&with(&verify(), "claims", claims));
    assert_eq!(code(parse(claims(1024 * 1024))), ErrorCode::PayloadTooLarge);
    assert_names(parse(claims(MAX_CLAIMS_JSON - around + 1)), "claims");
    assert!(parse(claims(MAX_CLAIMS_JSON - around)).is_ok());
}

#[test]
fn every_field_at_its_limit() {
    let spaced = format!("{FINGERPRINT}{}", " ".repeat(MAX_FINGERPRINT_TEXT - FINGERPRINT.len()));
    for (member, limit) in CHALLENGE_FIELDS {
        let text = match member {
            "capauth_version" => format!("1.{}", "0".repeat(limit - 2)),
            "fingerprint" => spaced.clone(),
            _ => "A".repeat(limit),
        };
        assert!(ChallengeRequest::parse(&with(&challenge(), member, text)).is_ok(), "{member}");
    }
    for (member, limit) in VERIFY_FIELDS {
        let text = match member {
            "capauth_version" | "nonce" => continue,
            "fingerprint" => spaced.clone(),
            _ => "A".repeat(limit),
        };
        assert!(VerifyRequest::parse(&with(&verify(), member, text)).is_ok(), "{member}");
    }
    let body = |length: usize| {
        let text = serde_json::to_string(&challenge()).unwrap();
        let spaces = " ".repeat(length - text.len());
        ChallengeRequest::parse((text + &spaces).as_bytes())
    };
    assert!(body(MAX_BODY).is_ok());
    assert_eq!(code(body(MAX_BODY + 1)), ErrorCode::PayloadTooLarge);
}

#[test]
fn versions() {
    for version in ["1", "1.0", "1.17"] {
        assert!(
            ChallengeRequest::parse(&with(&challenge(), "capauth_version", version)).is_ok(),
            "{version}"
        );
    }
    for version in ["", "2", "2.0", "1.", "1.x", "1.0.0", "10", "0.9", "v1", " 1.0", "1.٣", "1.-1"] {
        let body = with(&challenge(), "capauth_version", version);
        assert_eq!(code(ChallengeRequest::parse(&body)), ErrorCode::UnsupportedVersion, "{version}");
        let body = with(&verify(), "capauth_version", version);
        assert_eq!(code(VerifyRequest::parse(&body)), ErrorCode::UnsupportedVersion, "{version}");
    }
}

#[test]
fn fingerprints_and_nonces_that_are_none() {
    let body = with(&challenge(), "fingerprint", "0123");
    assert_eq!(code(ChallengeRequest::parse(&body)), ErrorCode::InvalidFingerprint);
    let body = with(&verify(), "fingerprint", "0123");
    assert_eq!(code(VerifyRequest::parse(&body)), ErrorCode::InvalidFingerprint);
    let body = with(&verify(), "nonce", "7c1d3a52-2f8e-1f3a-9d0b-5a1e6c7b8d90");
    assert_eq!(code(VerifyRequest::parse(&body)), ErrorCode::InvalidNonce);
}

#[test]
fn client_nonces() {
    let parse = |text: &str| ChallengeRequest::parse(&with(&challenge(), "client_nonce", text));
    for nonce in ["AA", "AAA", "AAAA", "AA==", "AAA=", "+/+/", "-_-_", "-_8="] {
        assert_eq!(parse(nonce).unwrap().client_nonce.as_deref(), Some(nonce));
    }
    for nonce in ["", "A", "=", "A===", "AA=", "AAAA=", "+_AA", "AA=A", "AA AA", "A.AA", "éé"] {
        assert_names(parse(nonce), "client_nonce");
    }
}

#[test]
fn fingerprint_requests() {
    let body = format!(r#"{{"fingerprint": "{FINGERPRINT}"}}"#);
    let request = FingerprintRequest::parse(body.as_bytes()).unwrap();
    assert_eq!(request.fingerprint, FINGERPRINT.parse().unwrap());
    assert_names(FingerprintRequest::parse(b"{}"), "fingerprint");
    let short = FingerprintRequest::parse(br#"{"fingerprint": "00"}"#);
    assert_eq!(code(short), ErrorCode::InvalidFingerprint);
}

#[test]
fn groups_requests() {
    let parse = |names: &[&str]| {
        let groups = Json::from(names.iter().map(|name| Json::from(*name)).collect::<Vec<_>>());
        GroupsRequest::parse(&serde_json::to_vec(&Json::object([("groups", groups)])).unwrap())
    };
    assert_eq!(parse(&[]).unwrap().groups, Vec::<String>::new());
    assert_eq!(parse(&["b", "A.b_c:d@e/f-9"]).unwrap().groups, ["b", "A.b_c:d@e/f-9"]);
    assert!(parse(&[&"g".repeat(MAX_GROUP_NAME)]).is_ok());
    let long = "g".repeat(MAX_GROUP_NAME + 1);
    for names in [&["a", "a"][..], &[""], &["a b"], &["a\n"], &["é"], &["a,b"], &[&long]] {
        assert_names(parse(names), "groups");
    }
    let many: Vec<String> = (0..=MAX_GROUPS).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(parse(&many[1..]).is_ok());
    assert_names(parse(&many), "groups");
    for body in [&b"{}"[..], br#"{"groups": "a"}"#, br#"{"groups": [1]}"#, br#"{"groups": [["a"]]}"#] {
        assert_names(GroupsRequest::parse(body), "groups");
    }
}

#[test]
fn nothing_sent_is_repeated_or_shown() {
    let marked = with(&verify(), "enrollment_code", "MARKER");
    assert!(!format!("{:?}", VerifyRequest::parse(&marked).unwrap()).contains("MARKER"));
    for (member, _) in VERIFY_FIELDS {
        if let Err(refusal) = VerifyRequest::parse(&with(&verify(), member, "MARKER\0")) {
            assert!(!refusal.to_string().contains("MARKER"), "{refusal}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ChallengeRequest::parse(&bytes);
        let _ = VerifyRequest::parse(&bytes);
        let _ = FingerprintRequest::parse(&bytes);
        let _ = GroupsRequest::parse(&bytes);
    }

    #[test]
    fn any_text_in_any_field_never_panics(text in any::<String>(), place in 0_usize..8) {
        let (member, _) = VERIFY_FIELDS[place];
        let _ = VerifyRequest::parse(&with(&verify(), member, text.clone()));
        let (member, _) = CHALLENGE_FIELDS[place % CHALLENGE_FIELDS.len()];
        // What is accepted holds no line of its own making.
        if let Ok(request) = ChallengeRequest::parse(&with(&challenge(), member, text)) {
            let fields = [request.requested_service, request.origin.unwrap_or_default()];
            prop_assert!(!fields.iter().any(|field| field.contains(['\n', '\r'])));
        }
    }
}
