//! Logins: nothing is believed that the token does not say.

use capauth_verifier::{AuthErrorKind, Caller, DeviceId, Verifier as _};
use serde_json::json;

use crate::central::{
    CREDENTIAL, Central, OTHER, OWN, PERSON, Signer, VERIFY, cause, log_in, verified, verify_request, whose,
};
use crate::http::Reply;

const UNAVAILABLE: AuthErrorKind = AuthErrorKind::Unavailable;

#[tokio::test]
async fn a_login_is_what_its_token_says() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    central.gives(&token);
    let mut request = verify_request();
    request.redirect = Some(String::from("/private"));
    request.enrollment_code = Some(String::from("code"));
    let device = DeviceId::from_hex("0123456789abcdef0123456789abcdef");
    let caller = Caller { address: Some("203.0.113.7".parse().unwrap()), device, ..Caller::default() };
    let login = verifier.verify(&request, &caller).await.unwrap();
    assert_eq!(login.who.sub().to_string(), PERSON);
    assert_eq!(login.who.groups(), ["readers"]);
    assert_eq!(login.response.access_token, token);
    assert_eq!(login.response.expires_in, 3600);
    assert_eq!(login.response.oidc_claims.groups, ["readers"]);
    assert!(!login.response.is_new_enrollment);
    let session = login.who.session();
    assert_eq!((session.service.as_str(), session.generation, session.epoch), (OWN, 3, 1));
    assert_eq!(session.token, None);
    let sent = central.server.asked(VERIFY)[0].json();
    assert_eq!(sent["enrollment_code"], "code");
    assert!(sent.get("redirect").is_none());
    // The service counts people by their address and browser, on the word of an application it knows.
    let proof = format!("Bearer {CREDENTIAL}");
    assert_eq!(central.server.asked(VERIFY)[0].header("authorization"), proof);
    assert_eq!(central.server.asked(VERIFY)[0].header("capauth-client-address"), "203.0.113.7");
    let browser = central.server.asked(VERIFY)[0].header("capauth-client-device").to_owned();
    assert_eq!(browser, "0123456789abcdef0123456789abcdef");

    let resumed = verifier.resume(session).await.unwrap();
    assert_eq!(resumed.claims(), login.who.claims());
    // As it comes back from a sealed cookie.
    let kept: capauth_verifier::Session =
        serde_json::from_str(&serde_json::to_string(session).unwrap()).unwrap();
    assert_eq!(verifier.resume(&kept).await.unwrap().groups(), ["readers"]);
}

#[tokio::test]
async fn attack_an_answer_that_says_more_than_its_token() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let mut answer = verified(&central.token());
    answer["fingerprint"] = json!(OTHER);
    answer["expires_in"] = json!(999_999);
    answer["oidc_claims"] = json!({
        "sub": OTHER, "capauth_fingerprint": OTHER, "groups": ["admins"], "name": "Root", "email_verified": true,
    });
    central.server.always(VERIFY, Reply::json(200, &answer));
    let login = verifier.verify(&verify_request(), &Caller::default()).await.unwrap();
    assert_eq!(login.response.fingerprint.to_string(), PERSON);
    assert_eq!(login.response.oidc_claims.sub, PERSON);
    assert_eq!(login.response.oidc_claims.name.as_deref(), Some("Ada"));
    assert_eq!(login.response.oidc_claims.email_verified, None);
    assert_eq!(login.response.oidc_claims.groups, ["readers"]);
    assert_eq!(login.response.expires_in, 3600);
    assert_eq!(login.who.groups(), ["readers"]);
}

#[tokio::test]
async fn attack_answers_whose_token_is_not_the_persons_or_not_for_us() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let stranger = Signer::new("first");
    for (what, token, words) in [
        ("another person's", central.token_with("capauth_fingerprint", OTHER), "another person's token"),
        ("another service's", central.token_with("aud", "other.example.com"), "a token for another service"),
        ("another issuer's", central.token_with("iss", "https://evil.example"), "another issuer's token"),
        ("a stranger's", stranger.sign(&central.claims()), "not good here"),
        ("over", central.token_with("exp", central.now()), "not good here"),
        ("of another epoch", central.token_with("capauth_epoch", 2), "not good here"),
        ("too long", central.token_with("name", "x".repeat(9000)), "not good here"),
        ("none", String::new(), "not good here"),
    ] {
        central.gives(&token);
        let error = log_in(&verifier).await.unwrap_err();
        // The second may be the client's doing: it may answer another application's challenge here.
        let kind = if what == "another service's" { AuthErrorKind::ServiceMismatch } else { UNAVAILABLE };
        assert_eq!(error.kind(), kind, "{what}");
        assert!(cause(&error).contains(words), "{what}: {}", cause(&error));
    }
    let token = central.token();
    for answer in [
        json!({"authenticated": false, "access_token": token}),
        json!({"access_token": token}),
        json!({"authenticated": true}),
        json!({"authenticated": true, "access_token": null}),
    ] {
        central.server.always(VERIFY, Reply::json(200, &answer));
        assert_eq!(log_in(&verifier).await.unwrap_err().kind(), UNAVAILABLE, "{answer}");
    }
    central.gives(&token);
    assert!(log_in(&verifier).await.is_ok());
}

#[tokio::test]
async fn a_refused_login_is_told_as_what_it_is() {
    use AuthErrorKind as K;
    let central = Central::start().await;
    let verifier = central.verifier().await;
    for (status, word, kind) in [
        (400, "invalid_nonce", K::InvalidNonce),
        (400, "expired_nonce", K::ExpiredNonce),
        (401, "invalid_nonce_signature", K::InvalidNonceSignature),
        (401, "invalid_claims_signature", K::InvalidClaimsSignature),
        (401, "key_revoked", K::KeyRevoked),
        (401, "key_expired", K::KeyExpired),
        (401, "fingerprint_mismatch", K::FingerprintMismatch),
        (400, "invalid_public_key", K::InvalidPublicKey),
        (403, "enrollment_pending", K::EnrollmentPending),
        (403, "enrollment_closed", K::EnrollmentClosed),
        (403, "key_suspended", K::KeySuspended),
        (429, "too_many_requests", K::TooManyRequests),
        // The service's token for a service's call: not the person's.
        (401, "invalid_token", K::Unavailable),
    ] {
        central
            .server
            .always(VERIFY, Reply::json(status, &json!({"error": word, "error_description": "Words."})));
        assert_eq!(log_in(&verifier).await.unwrap_err().kind(), kind, "{word}");
    }
}

/// For how long to wait is passed on, as far as it can be believed.
#[tokio::test]
async fn a_service_that_is_asked_too_often_says_for_how_long_to_wait() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let body = json!({"error": "too_many_requests", "error_description": "Words."}).to_string();
    for (status, header, wait) in [
        (429, "Retry-After: 17", Some(17)),
        (429, "Retry-After: 0", Some(1)),
        (429, "Retry-After: 99999999", Some(24 * 3600)),
        (429, "Retry-After: 999999999999999999999999", None),
        (429, "Retry-After: -1", None),
        (429, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", None),
        (429, "X-Other: 1", None),
    ] {
        let answer = format!(
            "HTTP/1.1 {status} Too Many Requests\r\n{header}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        central.server.always(VERIFY, Reply::raw(answer));
        let refused = log_in(&verifier).await.unwrap_err();
        assert_eq!(refused.kind(), AuthErrorKind::TooManyRequests, "{header}");
        assert_eq!(refused.seconds_to_wait(), wait, "{header}");
    }
}

#[tokio::test]
async fn a_session_lasts_as_long_as_configured_and_no_longer_than_the_service_says() {
    let central = Central::start().await;
    let now = central.now();
    let day = 24 * 3600;
    for (until, lifetime, expires) in [
        (Some(now + 7 * day), 12 * 3600, now + 12 * 3600),
        (Some(now + 7 * day), 30 * day, now + 7 * day),
        (Some(now + 60), 12 * 3600, now + 60),
        (None, 12 * 3600, now + 3600),
        (None, 600, now + 600),
    ] {
        let mut claims = central.claims();
        claims["capauth_session_until"] = json!(until);
        central.gives(&central.signer.sign(&claims));
        let builder = central.builder().credential(CREDENTIAL.into());
        let lifetime = std::time::Duration::from_secs(lifetime);
        let verifier = builder.session_lifetime(lifetime).build().await.unwrap();
        verifier.close().await.unwrap();
        assert_eq!(verifier.session_lifetime(), lifetime);
        let who = log_in(&verifier).await.unwrap();
        assert_eq!(who.session().expires.as_unix(), expires, "{until:?}");
    }
}

#[tokio::test]
async fn attack_sessions_past_their_time_of_another_service_or_with_more_groups() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    central.gives(&central.token());
    let session = log_in(&verifier).await.unwrap().session().clone();
    let mut elsewhere = session.clone();
    elsewhere.service = String::from("other.example.com");
    assert_eq!(verifier.resume(&elsewhere).await.unwrap_err().kind(), AuthErrorKind::InvalidToken);
    let mut richer = session.clone();
    richer.claims.groups = vec![String::from("admins")];
    richer.shared_groups = None;
    assert!(verifier.resume(&richer).await.unwrap().groups().is_empty(), "nothing here grants a group");
    central.advance(12 * 3600 - 1);
    verifier.refresh().await.unwrap();
    assert!(verifier.resume(&session).await.is_ok());
    central.advance(1);
    verifier.refresh().await.unwrap();
    assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), AuthErrorKind::InvalidToken);
}

#[tokio::test]
async fn attack_a_login_is_looked_at_from_the_ground_up_though_its_token_was_seen() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    assert!(whose(&verifier, &token).await.is_ok());
    central.revoke(json!({"kind": "key", "fingerprint": PERSON}));
    verifier.refresh().await.unwrap();
    central.gives(&token);
    assert_eq!(log_in(&verifier).await.unwrap_err().kind(), UNAVAILABLE);
}
