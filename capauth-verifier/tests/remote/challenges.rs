//! Challenges: what the service answers is looked at before a person signs it.

use std::time::Duration;

use capauth_protocol::payload::NoncePayload;
use capauth_protocol::response::ChallengeResponse;
use capauth_verifier::openpgp::ServerKey;
use capauth_verifier::{
    AuthError, AuthErrorKind, Caller, Clock as _, RemoteVerifier, Timestamp, Verifier as _,
};
use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::serialize::SerializeInto as _;
use serde_json::{Value, json};

use crate::central::{CHALLENGE, CREDENTIAL, Central, ORIGIN, OWN, cause, challenge, challenge_request};
use crate::http::Reply;

async fn ask(verifier: &RemoteVerifier) -> Result<ChallengeResponse, AuthError> {
    verifier.challenge(&challenge_request(), &Caller::default()).await
}

/// Makes proper challenges but for this.
fn bend(central: &Central, bent: impl Fn(&mut Value) + Send + Sync + 'static) {
    let clock = std::sync::Arc::clone(&central.clock);
    central.server.on(CHALLENGE, move |request| {
        let mut challenge = challenge(request, clock.now());
        bent(&mut challenge);
        Reply::json(200, &challenge)
    });
}

#[tokio::test]
async fn a_proper_challenge_is_passed_on_and_is_always_for_the_own_service() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    for requested in ["", "evil.example", OWN] {
        let mut request = challenge_request();
        request.requested_service = requested.to_owned();
        let challenge = verifier.challenge(&request, &Caller::default()).await.unwrap();
        assert_eq!((challenge.service.as_str(), challenge.origin.as_str()), (OWN, ORIGIN));
        assert_eq!(challenge.qr_payload, "{\"capauth_qr\":\"1.0\"}");
        let sent = central.server.asked(CHALLENGE).pop().unwrap().json();
        assert_eq!(sent["requested_service"], OWN);
        assert_eq!(sent["origin"], ORIGIN);
        assert_eq!(sent["client_nonce"], "dGhpcyBpcyBhIHRlc3Q=");
    }
    let mut without = challenge_request();
    without.client_nonce = None;
    let error = verifier.challenge(&without, &Caller::default()).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::InvalidRequest);
    let mut of_version_1 = challenge_request();
    of_version_1.origin = None;
    assert_eq!(verifier.challenge(&of_version_1, &Caller::default()).await.unwrap().origin, "");
}

#[tokio::test]
async fn attack_challenges_that_a_person_must_not_sign() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let at = |seconds: i64| {
        let now = i64::try_from(central.now()).unwrap() + seconds;
        Timestamp::from_unix(u64::try_from(now).unwrap()).to_string()
    };
    let long = "a".repeat(200);
    for (name, value) in [
        ("service", json!("bank.example.com")),
        ("service", json!("auth.example.com")),
        ("service", json!("")),
        ("origin", json!("https://evil.example")),
        ("origin", json!("")),
        ("client_nonce_echo", json!("cmVwbGF5ZWQ=")),
        ("client_nonce_echo", json!("")),
        ("nonce", json!("7c1d3a52-2f8e-1f3a-9d0b-5a1e6c7b8d90")),
        ("nonce", json!("nonce")),
        ("nonce", json!("7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90\norigin=https://evil.example")),
        ("timestamp", json!(at(-301))),
        ("timestamp", json!(at(301))),
        ("timestamp", json!("yesterday")),
        ("timestamp", json!(format!("{}{}", at(0), " ".repeat(30)))),
        ("expires", json!(at(0))),
        ("expires", json!(at(601))),
        ("expires", json!("")),
        ("capauth_version", json!("2.0")),
        ("capauth_version", json!(format!("1.{long}"))),
        ("server_signature", json!("\u{0}")),
        ("server_public_key", json!("\u{1b}[2J")),
    ] {
        let (name_, value_) = (name, value.clone());
        bend(&central, move |challenge| challenge[name_] = value_.clone());
        let error = ask(&verifier).await.unwrap_err();
        assert_eq!(error.kind(), AuthErrorKind::Unavailable, "{name}: {value}");
    }
    for (name, value) in [
        ("timestamp", json!(at(-299))),
        ("timestamp", json!(at(299))),
        ("expires", json!(at(1))),
        ("expires", json!(at(600))),
        ("nonce", json!("7C1D3A52-2F8E-4F3A-9D0B-5A1E6C7B8D90")),
        ("capauth_version", json!("1.1")),
    ] {
        let (name_, value_) = (name, value.clone());
        bend(&central, move |challenge| {
            challenge[name_] = value_.clone();
            if name_ == "timestamp" {
                // Good for a minute from then.
                let made = humantime::parse_rfc3339(value_.as_str().unwrap()).unwrap();
                challenge["expires"] = json!(Timestamp::from(made).plus(60).to_string());
            }
        });
        assert!(ask(&verifier).await.is_ok(), "{name}: {value}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_list_us_is_told_to_the_operator_and_not_to_the_client() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    bend(&central, |challenge| challenge["service"] = json!("auth.example.com"));
    let by_name = ask(&verifier).await.unwrap_err();
    let refused = json!({"error": "service_mismatch", "error_description": "no", "capauth_version": "1.0"});
    central.server.always(CHALLENGE, Reply::json(400, &refused));
    let by_refusal = ask(&verifier).await.unwrap_err();
    for error in [by_name, by_refusal] {
        assert_eq!(error.kind(), AuthErrorKind::Unavailable);
        assert!(cause(&error).contains("CAPAUTH_SERVICES"), "{}", cause(&error));
        assert!(!error.to_refusal().to_string().contains("CAPAUTH_SERVICES"));
    }
}

#[tokio::test]
async fn refusals_are_passed_on_with_their_words_unless_these_are_odd() {
    use AuthErrorKind as K;
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let usual = |kind: K| AuthError::new(kind).to_string();
    for (status, word, words, kind, shown) in [
        (400, "invalid_origin", "List it.", K::InvalidOrigin, String::from("List it.")),
        (401, "unknown_fingerprint", "Enrol.", K::UnknownFingerprint, String::from("Enrol.")),
        (429, "too_many_requests", "Wait.", K::TooManyRequests, String::from("Wait.")),
        (403, "forbidden", "", K::Forbidden, usual(K::Forbidden)),
        (403, "forbidden", "\u{1b}[2Jno", K::Forbidden, usual(K::Forbidden)),
        (403, "forbidden", "no \u{202e}gnihton", K::Forbidden, usual(K::Forbidden)),
        (400, "expired_timestamp", "Late.", K::ExpiredTimestamp, String::from("Late.")),
        (400, "unsupported_version", "1.0", K::InvalidRequest, String::from("1.0")),
        (400, "invalid_fingerprint", "40.", K::InvalidRequest, String::from("40.")),
        (400, "something_new", "New.", K::InvalidRequest, String::from("New.")),
    ] {
        let body = json!({"error": word, "error_description": words, "capauth_version": "1.0"});
        central.server.always(CHALLENGE, Reply::json(status, &body));
        let error = ask(&verifier).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (kind, shown), "{word}");
    }
    let long = json!({"error": "forbidden", "error_description": "x".repeat(301)});
    central.server.always(CHALLENGE, Reply::json(403, &long));
    assert_eq!(ask(&verifier).await.unwrap_err().to_string(), usual(K::Forbidden));
    // Our own mistakes, or the service's: never the client's.
    for (status, word) in [
        (401, "invalid_token"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (413, "payload_too_large"),
        (415, "unsupported_media_type"),
        (418, "teapot"),
        (400, "server_error"),
    ] {
        central.server.always(CHALLENGE, Reply::json(status, &json!({ "error": word })));
        assert_eq!(ask(&verifier).await.unwrap_err().kind(), K::Unavailable, "{word}");
    }
    for body in ["{}", "[]", "7", r#"{"error":7}"#, r#"{"detail":7}"#, "null"] {
        central.server.always(CHALLENGE, Reply::Json(400, body.to_owned()));
        assert_eq!(ask(&verifier).await.unwrap_err().kind(), K::Unavailable, "{body}");
    }
}

#[tokio::test]
async fn attack_text_for_a_qr_code_that_is_no_json_is_dropped() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let long = json!("x".repeat(4096)).to_string();
    for bad in ["<script>", "{", "{} {}", &long] {
        let text = bad.to_owned();
        bend(&central, move |challenge| challenge["qr_payload"] = json!(text));
        assert_eq!(ask(&verifier).await.unwrap().qr_payload, "", "{bad}");
    }
    bend(&central, |challenge| challenge["qr_payload"] = json!(""));
    assert_eq!(ask(&verifier).await.unwrap().qr_payload, "");
}

fn server_key(central: &Central) -> ServerKey {
    let now = central.clock.now();
    let (cert, _) = CertBuilder::new()
        .set_creation_time(now - Duration::from_secs(3600))
        .add_userid("capauth")
        .add_signing_subkey()
        .generate()
        .unwrap();
    let armored = String::from_utf8(cert.as_tsk().armored().to_vec().unwrap()).unwrap();
    ServerKey::from_armor(&armored.into(), None, now).unwrap()
}

/// The text that the person will sign.
fn text_of(challenge: &Value) -> String {
    let text = |name: &str| challenge[name].as_str().unwrap();
    let payload = NoncePayload {
        nonce: text("nonce"),
        client_nonce: text("client_nonce_echo"),
        timestamp: text("timestamp"),
        service: text("service"),
        expires: text("expires"),
        origin: Some(text("origin")).filter(|origin| !origin.is_empty()),
    };
    payload.to_text()
}

async fn pinned(central: &Central, key: &ServerKey) -> RemoteVerifier {
    central.says("server_fingerprint", key.fingerprint().to_string());
    let builder = central.builder().credential(CREDENTIAL.into()).pin_server_key(key.fingerprint());
    let verifier = builder.build().await.unwrap();
    verifier.close().await.unwrap();
    verifier
}

#[tokio::test]
async fn with_a_pinned_key_only_challenges_that_it_signed_are_passed_on() {
    let central = Central::start().await;
    let key = std::sync::Arc::new(server_key(&central));
    let verifier = pinned(&central, &key).await;
    let (signing, now) = (std::sync::Arc::clone(&key), central.clock.now());
    let sign = move |challenge: &mut Value| {
        challenge["server_signature"] = json!(signing.sign(&text_of(challenge), now).unwrap());
        challenge["server_public_key"] = json!(signing.armored_certificate());
    };
    bend(&central, sign.clone());
    for _ in 0..2 {
        let challenge = ask(&verifier).await.unwrap();
        assert_eq!(challenge.server_public_key, key.armored_certificate());
    }
    let mut of_version_1 = challenge_request();
    of_version_1.origin = None;
    assert!(verifier.challenge(&of_version_1, &Caller::default()).await.is_ok());
    assert!(central.verifier().await.challenge(&of_version_1, &Caller::default()).await.is_ok());
}

/// What somebody on the way makes of a challenge.
type Forgery = Box<dyn Fn(&mut Value) + Send + Sync>;

#[tokio::test]
async fn attack_forged_server_signatures() {
    let central = Central::start().await;
    let key = std::sync::Arc::new(server_key(&central));
    let stranger = std::sync::Arc::new(server_key(&central));
    let verifier = pinned(&central, &key).await;
    let now = central.clock.now();
    let forgeries: [(&str, Forgery); 7] = [
        ("none", Box::new(|_| {})),
        ("without certificate", {
            let key = std::sync::Arc::clone(&key);
            Box::new(move |c| c["server_signature"] = json!(key.sign(&text_of(c), now).unwrap()))
        }),
        ("without signature", {
            let key = std::sync::Arc::clone(&key);
            Box::new(move |c| c["server_public_key"] = json!(key.armored_certificate()))
        }),
        ("a stranger's signature and certificate", {
            let stranger = std::sync::Arc::clone(&stranger);
            Box::new(move |c| {
                c["server_signature"] = json!(stranger.sign(&text_of(c), now).unwrap());
                c["server_public_key"] = json!(stranger.armored_certificate());
            })
        }),
        ("a stranger's signature under the pinned certificate", {
            let (key, stranger) = (std::sync::Arc::clone(&key), std::sync::Arc::clone(&stranger));
            Box::new(move |c| {
                c["server_signature"] = json!(stranger.sign(&text_of(c), now).unwrap());
                c["server_public_key"] = json!(key.armored_certificate());
            })
        }),
        ("a signature over another challenge", {
            let key = std::sync::Arc::clone(&key);
            Box::new(move |c| {
                let mut other = c.clone();
                other["nonce"] = json!("00000000-0000-4000-8000-000000000000");
                c["server_signature"] = json!(key.sign(&text_of(&other), now).unwrap());
                c["server_public_key"] = json!(key.armored_certificate());
            })
        }),
        ("garbage", {
            let key = std::sync::Arc::clone(&key);
            Box::new(move |c| {
                c["server_signature"] = json!("-----BEGIN PGP SIGNATURE-----");
                c["server_public_key"] = json!(key.armored_certificate());
            })
        }),
    ];
    for (what, forge) in forgeries {
        bend(&central, forge);
        let error = ask(&verifier).await.unwrap_err();
        assert_eq!(error.kind(), AuthErrorKind::Unavailable, "{what}");
    }
    // The same service is good enough for whoever pinned nothing.
    bend(&central, |_| {});
    assert!(ask(&central.verifier().await).await.is_ok());
}
