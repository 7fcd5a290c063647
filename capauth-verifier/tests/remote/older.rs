//! The Python service, which has no `well-known`, no feed and errors of its own form.

use std::sync::Arc;

use capauth_verifier::{AuthErrorKind, Caller, Clock as _, RemoteVerifier, Timestamp, Verifier as _};
use serde_json::{Value, json};

use crate::central::{
    CHALLENGE, CREDENTIAL, Central, LOGOUT, OTHER, OWN, PERSON, STATUS, TOKEN_INFO, USER_INFO, VERIFY,
    WELL_KNOWN, challenge, challenge_request, log_in, verified, whose,
};
use crate::http::Reply;

const INVALID: AuthErrorKind = AuthErrorKind::InvalidToken;
const UNAVAILABLE: AuthErrorKind = AuthErrorKind::Unavailable;

/// A service that answers as FastAPI does.
async fn older(service: &str) -> Central {
    let central = Central::start().await;
    central.server.always(WELL_KNOWN, Reply::Json(404, String::from(r#"{"detail":"Not Found"}"#)));
    let status = json!({"service": service, "version": "1.0.0", "enrolled_keys": 2, "require_approval": false,
        "healthy": true});
    central.server.always(STATUS, Reply::json(200, &status));
    let (clock, name) = (Arc::clone(&central.clock), service.to_owned());
    central.server.on(CHALLENGE, move |request| {
        let mut challenge = challenge(request, clock.now());
        let iso = |plus: u64| {
            let at = Timestamp::from(clock.now()).plus(plus).to_string();
            format!("{}.123456+00:00", at.trim_end_matches('Z'))
        };
        challenge["timestamp"] = json!(iso(0));
        challenge["expires"] = json!(iso(60));
        challenge["service"] = json!(name);
        for newer in ["origin", "qr_payload"] {
            challenge.as_object_mut().unwrap().remove(newer);
        }
        Reply::json(200, &challenge)
    });
    central.server.always(USER_INFO, Reply::json(200, &info()));
    central
}

fn info() -> Value {
    json!({"sub": PERSON, "amr": ["pgp"], "capauth_fingerprint": PERSON})
}

async fn verifier(central: &Central) -> RemoteVerifier {
    let verifier = central.builder().credential(CREDENTIAL.into()).build().await.unwrap();
    verifier.close().await.unwrap();
    verifier
}

#[tokio::test]
async fn people_sign_in_by_an_older_service() {
    let central = older(OWN).await;
    let verifier = verifier(&central).await;
    assert_eq!(verifier.issuer(), None);
    let notices = verifier.notices().join(" ");
    for cost in ["no names and no groups", "a question a second", "a revoked key", "which application"] {
        assert!(notices.contains(cost), "{notices}");
    }
    let challenge = verifier.challenge(&challenge_request(), &Caller::default()).await.unwrap();
    assert_eq!((challenge.service.as_str(), challenge.origin.as_str()), (OWN, ""));

    let mut answer = verified("hs256.token");
    answer["oidc_claims"] = json!({"sub": PERSON, "capauth_fingerprint": PERSON, "groups": ["admins"]});
    central.server.always(VERIFY, Reply::json(200, &answer));
    let who = log_in(&verifier).await.unwrap();
    assert_eq!((who.sub().to_string(), who.groups().len()), (PERSON.to_owned(), 0));
    let session = who.session().clone();
    assert_eq!(session.expires.as_unix(), central.now() + 3600);
    central.advance(2);
    assert!(verifier.resume(&session).await.is_ok());
    let asked = central.server.asked(USER_INFO);
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].header("authorization"), "Bearer hs256.token");
    assert_eq!(central.server.times(TOKEN_INFO), 0);

    verifier.end(&session).await.unwrap();
    assert_eq!(central.server.times(LOGOUT), 1);
    assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID);
}

#[tokio::test]
async fn attack_claims_of_an_older_service_that_name_no_key_or_more_than_one() {
    let central = older(OWN).await;
    let verifier = verifier(&central).await;
    for (name, value) in [
        ("sub", json!("ada@upstream.example")),
        ("sub", json!(OTHER)),
        ("capauth_fingerprint", json!("")),
        ("capauth_fingerprint", Value::Null),
        ("amr", json!(["oidc", "authentik"])),
        ("amr", json!([])),
    ] {
        let mut bent = info();
        bent[name] = value.clone();
        central.server.always(USER_INFO, Reply::json(200, &bent));
        assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), INVALID, "{name}: {value}");
    }
    // More than it can know: an upstream provider may have said it.
    let mut more = info();
    more["groups"] = json!(["admins"]);
    more["email"] = json!("root@example.com");
    more["capauth_tier"] = json!("gold");
    central.server.always(USER_INFO, Reply::json(200, &more));
    let who = whose(&verifier, "some.token").await.unwrap();
    assert!(who.groups().is_empty() && who.claims().email.is_none() && who.claims().extra.is_empty());
    assert_eq!(who.session().expires.as_unix(), central.now() + 60);
}

#[tokio::test]
async fn attack_a_session_of_an_older_service_ends_after_an_hour_whatever_it_says() {
    let central = older(OWN).await;
    let verifier = verifier(&central).await;
    for (said, counts) in [(json!(999_999), 3600), (json!(60), 60)] {
        let mut answer = verified("hs256.token");
        answer["expires_in"] = said;
        central.server.always(VERIFY, Reply::json(200, &answer));
        let session = log_in(&verifier).await.unwrap().session().clone();
        assert_eq!(session.expires.as_unix(), central.now() + counts);
        central.advance(counts);
        assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID);
    }
    // Another person's token.
    let mut other = info();
    other["sub"] = json!(OTHER);
    other["capauth_fingerprint"] = json!(OTHER);
    central.server.always(USER_INFO, Reply::json(200, &other));
    assert_eq!(log_in(&verifier).await.unwrap_err().kind(), UNAVAILABLE);
}

#[tokio::test]
async fn its_errors_are_understood() {
    use AuthErrorKind as K;
    let central = older(OWN).await;
    let verifier = verifier(&central).await;
    for (status, detail, kind) in [
        (401, json!({"error": "invalid_nonce", "error_description": "Nonce not found."}), K::InvalidNonce),
        (401, json!({"error": "expired_nonce", "capauth_version": "1.0"}), K::ExpiredNonce),
        (401, json!({"error": "unknown_fingerprint"}), K::UnknownFingerprint),
        (401, json!({"error": "invalid_nonce_signature"}), K::InvalidNonceSignature),
        (401, json!({"error": "invalid_fingerprint"}), K::FingerprintMismatch),
        (403, json!({"status": "enrollment_pending", "error_description": "Wait."}), K::EnrollmentPending),
        (400, json!({"error": "invalid_request"}), K::InvalidRequest),
        (400, json!("Missing something."), K::InvalidRequest),
        (422, json!([{"loc": ["body", "nonce"], "msg": "field required"}]), K::InvalidRequest),
        (429, json!("Slow down."), K::TooManyRequests),
        (401, json!({"error": "invalid_token: what was sent"}), K::Unavailable),
        (404, json!("Not Found"), K::Unavailable),
    ] {
        central.server.always(VERIFY, Reply::json(status, &json!({ "detail": detail })));
        assert_eq!(log_in(&verifier).await.unwrap_err().kind(), kind, "{detail}");
    }
    let detail = json!({"detail": {"error": "token_expired"}});
    central.server.always(USER_INFO, Reply::json(401, &detail));
    assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), INVALID);
}

#[tokio::test]
async fn attack_tokens_of_an_older_service_that_are_not_for_us_cannot_be_told_apart_so_it_is_not_used() {
    let central = older("auth.example.com").await;
    let error = central.builder().build().await.unwrap_err().to_string();
    assert!(error.contains(OWN) && error.contains("auth.example.com"), "{error}");
    // Under its own name it is.
    let verifier = central.builder().service("auth.example.com").build().await.unwrap();
    assert!(whose(&verifier, "some.token").await.is_ok());
}

#[tokio::test]
async fn attack_a_service_that_was_newer_before_is_not_taken_for_an_older_one() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    central.server.always(WELL_KNOWN, Reply::Json(404, String::from(r#"{"detail":"Not Found"}"#)));
    central.server.always(STATUS, Reply::json(200, &json!({ "service": OWN })));
    central.server.always(USER_INFO, Reply::json(200, &info()));
    central.advance(301);
    verifier.refresh().await.unwrap_err();
    assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), INVALID);
    assert!(whose(&verifier, &central.token()).await.is_ok(), "what was known still counts");
    assert_eq!(central.server.times(USER_INFO), 0);
}
