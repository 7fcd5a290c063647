//! Tokens that the service is asked about.

use std::sync::Arc;

use capauth_protocol::OidcClaims;
use capauth_verifier::{AuthErrorKind, RemoteVerifier, Secret, Session, Verifier as _};
use serde_json::{Value, json};

use crate::central::{
    CREDENTIAL, Central, JWKS, LOGOUT, OTHER, OWN, PERSON, REVOKE, TOKEN_INFO, log_in, person, whose,
};
use crate::http::Reply;

const INVALID: AuthErrorKind = AuthErrorKind::InvalidToken;
const UNAVAILABLE: AuthErrorKind = AuthErrorKind::Unavailable;

/// What a proper service says of a good token of the person.
pub(crate) fn told(central: &Central) -> Value {
    let now = central.now();
    json!({
        "sub": PERSON, "capauth_fingerprint": PERSON, "name": "Ada", "groups": ["readers"], "amr": ["pgp"],
        "aud": OWN, "iss": central.server.url, "iat": now, "exp": now + 3600,
    })
}

fn tells(central: &Central, name: &str, value: Value) {
    let mut info = told(central);
    info[name] = value;
    central.server.always(TOKEN_INFO, Reply::json(200, &info));
}

async fn session(central: &Central, verifier: &RemoteVerifier) -> Session {
    central.server.always(TOKEN_INFO, Reply::json(200, &told(central)));
    central.gives(&central.token());
    log_in(verifier).await.unwrap().session().clone()
}

#[tokio::test]
async fn the_service_says_whose_token_it_is_and_is_asked_by_header_once_a_second() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    tells(&central, "capauth_admin", json!(true));
    let asked = || central.server.times(TOKEN_INFO);
    for _ in 0..3 {
        let who = whose(&verifier, "any.token").await.unwrap();
        assert_eq!(who.sub(), person());
        assert_eq!(who.groups(), ["readers"]);
        assert_eq!(who.claims().name.as_deref(), Some("Ada"));
        assert!(who.claims().extra.is_empty(), "reserved names are not passed on");
    }
    assert_eq!(asked(), 1);
    let question = central.server.asked(TOKEN_INFO).remove(0);
    assert_eq!((question.header("authorization"), question.query.as_str()), ("Bearer any.token", ""));
    assert!(whose(&verifier, "another.token").await.is_ok());
    assert_eq!(asked(), 2);
    central.clock.advance(std::time::Duration::from_millis(999));
    assert!(whose(&verifier, "any.token").await.is_ok());
    assert_eq!(asked(), 2);
    central.clock.advance(std::time::Duration::from_millis(1));
    assert!(whose(&verifier, "any.token").await.is_ok());
    assert_eq!(asked(), 3);
    assert_eq!(central.server.times(JWKS), 0);
}

#[tokio::test]
async fn attack_tokens_the_service_does_not_call_good_for_us() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    for (name, value, kind) in [
        ("aud", json!("other.example.com"), INVALID),
        ("aud", json!("auth.example.com"), INVALID),
        ("aud", json!([OWN]), UNAVAILABLE),
        ("aud", Value::Null, UNAVAILABLE),
        ("iss", json!("https://evil.example"), UNAVAILABLE),
        ("exp", json!(central.now()), INVALID),
        ("sub", json!("client:backup"), INVALID),
        ("capauth_fingerprint", json!("x"), UNAVAILABLE),
    ] {
        tells(&central, name, value.clone());
        assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), kind, "{name}: {value}");
    }
    for (reply, kind) in [
        (Reply::Json(401, String::from(r#"{"error":"invalid_token"}"#)), INVALID),
        (Reply::Json(403, String::from("{}")), UNAVAILABLE),
        (Reply::Json(404, String::from("{}")), UNAVAILABLE),
        (Reply::Json(200, String::from(r#"{"active":false}"#)), UNAVAILABLE),
        (Reply::Json(500, String::from("{}")), UNAVAILABLE),
    ] {
        central.server.always(TOKEN_INFO, reply.clone());
        assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), kind, "{reply:?}");
    }
    central.server.always(TOKEN_INFO, Reply::json(200, &told(&central)));
    assert!(whose(&verifier, "some.token").await.is_ok(), "no failure is remembered");
    let asked = central.server.times(TOKEN_INFO);
    for odd in ["", "a b", "a\r\nx: y", "é", &"a".repeat(9 * 1024)] {
        assert_eq!(whose(&verifier, odd).await.unwrap_err(), INVALID);
    }
    assert_eq!(central.server.times(TOKEN_INFO), asked);
}

#[tokio::test]
async fn a_yes_is_forgotten_after_a_second_and_no_fault_prolongs_it() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    central.server.always(TOKEN_INFO, Reply::json(200, &told(&central)));
    assert!(whose(&verifier, "some.token").await.is_ok());
    central.server.always(TOKEN_INFO, Reply::Json(401, String::from("{}")));
    assert!(whose(&verifier, "some.token").await.is_ok(), "within the second");
    central.advance(1);
    assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), INVALID);
    central.server.always(TOKEN_INFO, Reply::json(200, &told(&central)));
    assert!(whose(&verifier, "some.token").await.is_ok());
    central.server.set_down(true);
    central.advance(1);
    assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), UNAVAILABLE);
    // Nor does a clock that is set back.
    central.server.set_down(false);
    assert!(whose(&verifier, "some.token").await.is_ok());
    central.server.set_down(true);
    central.clock.set(std::time::UNIX_EPOCH + std::time::Duration::from_secs(central.now() - 10));
    assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), UNAVAILABLE);
}

#[tokio::test]
async fn many_who_ask_at_once_share_a_question() {
    let central = Central::start().await;
    let verifier = Arc::new(central.asking().await);
    central.server.always(TOKEN_INFO, Reply::json(200, &told(&central)));
    let all: Vec<_> = (0..50)
        .map(|_| {
            let verifier = Arc::clone(&verifier);
            tokio::spawn(async move { whose(&verifier, "some.token").await.is_ok() })
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap());
    }
    assert_eq!(central.server.times(TOKEN_INFO), 1);
}

#[tokio::test]
async fn a_login_keeps_its_token_and_nothing_of_the_person() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    let session = session(&central, &verifier).await;
    assert_eq!(session.token.as_ref().map(Secret::expose), Some(&*central.token()));
    assert_eq!(session.claims, OidcClaims::new(PERSON, person()));
    assert_eq!(session.expires.as_unix(), central.now() + 3600);
    let kept = serde_json::to_string(&session).unwrap();
    assert!(!kept.contains("Ada") && !kept.contains("readers"));
    let kept: Session = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept, session);

    central.advance(2);
    tells(&central, "groups", json!(["writers"]));
    let who = verifier.resume(&kept).await.unwrap();
    assert_eq!((who.groups(), who.claims().name.as_deref()), (&[String::from("writers")][..], Some("Ada")));
    assert_eq!(who.session(), &session);
}

#[tokio::test]
async fn attack_sessions_whose_token_is_not_theirs_or_not_good_any_longer() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    let session = session(&central, &verifier).await;
    assert!(verifier.resume(&session).await.is_ok());
    let bent = |bend: &dyn Fn(&mut Session)| {
        let mut session = session.clone();
        bend(&mut session);
        session
    };
    for bad in [
        bent(&|s| s.service = String::from("other.example.com")),
        bent(&|s| s.expires = s.authenticated_at),
        bent(&|s| s.sub = OTHER.parse().unwrap()),
        bent(&|s| s.fingerprint = OTHER.parse().unwrap()),
        bent(&|s| s.token = None),
    ] {
        assert_eq!(verifier.resume(&bad).await.unwrap_err().kind(), INVALID, "{bad:?}");
    }
    central.advance(1);
    central.server.always(TOKEN_INFO, Reply::Json(401, String::from("{}")));
    assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID);
}

#[tokio::test]
async fn attack_a_login_with_another_persons_token_or_one_for_another_service() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    central.gives("some.token");
    for (name, value) in [
        ("capauth_fingerprint", json!(OTHER)),
        ("aud", json!("other.example.com")),
        ("iss", json!("https://evil.example")),
        ("exp", json!(central.now() - 1)),
    ] {
        tells(&central, name, value);
        let kind = if name == "aud" { AuthErrorKind::ServiceMismatch } else { UNAVAILABLE };
        assert_eq!(log_in(&verifier).await.unwrap_err().kind(), kind, "{name}");
    }
    central.server.always(TOKEN_INFO, Reply::json(200, &told(&central)));
    assert!(log_in(&verifier).await.is_ok());
}

#[tokio::test]
async fn a_token_whose_name_is_known_is_ended_by_it() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    let mut session = session(&central, &verifier).await;
    session.jti = "its-name".to_owned();
    central.server.always(REVOKE, Reply::Json(200, String::from(r#"{"revoked":true}"#)));
    verifier.end(&session).await.unwrap();
    let told = central.server.asked(REVOKE);
    assert_eq!(told[0].header("authorization"), format!("Bearer {}", session.token.unwrap().expose()));
    assert!(told[0].body.contains(r#""jti":"its-name""#), "{}", told[0].body);
    assert_eq!(central.server.times(LOGOUT), 0);

    tells(&central, "jti", json!("its-name"));
    central.gives("another.token");
    assert_eq!(log_in(&verifier).await.unwrap().session().jti, "its-name");
}

#[tokio::test]
async fn ending_counts_here_at_once_whatever_the_service_answers() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    let session = session(&central, &verifier).await;
    let token = session.token.clone().unwrap();
    for (reply, done) in [
        (Reply::Json(200, String::from(r#"{"ok":true}"#)), true),
        (Reply::Json(401, String::from("{}")), true),
        (Reply::Json(500, String::from("{}")), false),
        (Reply::HangUp, false),
    ] {
        central.server.always(LOGOUT, reply.clone());
        let ended = verifier.end(&session).await;
        assert_eq!(ended.is_ok(), done, "{reply:?}");
        assert!(ended.err().is_none_or(|error| error.kind() == UNAVAILABLE));
        assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID);
        assert_eq!(whose(&verifier, token.expose()).await.unwrap_err(), INVALID);
    }
    let told = central.server.asked(LOGOUT);
    assert_eq!(told[0].header("authorization"), format!("Bearer {}", token.expose()));
    assert_eq!(central.server.times(REVOKE), 0);
}

#[tokio::test]
async fn when_tokens_are_asked_about() {
    let central = Central::start().await;
    let checks_here = async |verifier: &RemoteVerifier| {
        let before = central.server.times(TOKEN_INFO);
        central.server.always(TOKEN_INFO, Reply::json(200, &told(&central)));
        assert!(whose(verifier, &central.token()).await.is_ok());
        central.server.times(TOKEN_INFO) == before
    };
    let with_credential = || central.builder().credential(CREDENTIAL.into());
    let verifier = central.verifier().await;
    assert!(checks_here(&verifier).await);
    assert!(!verifier.notices().join(" ").contains("question"));

    let verifier = central.asking().await;
    assert!(!checks_here(&verifier).await);
    assert!(verifier.notices().join(" ").contains(".credential("));

    let verifier = with_credential().introspect(true).build().await.unwrap();
    assert!(!checks_here(&verifier).await);
    assert!(!verifier.notices().join(" ").contains(".credential("));
    assert!(verifier.notices().join(" ").contains("question"));

    for (name, value) in [("access_token_alg", json!("HS256")), ("revocations", json!(false))] {
        central.says(name, value);
        let verifier = with_credential().build().await.unwrap();
        assert!(!checks_here(&verifier).await, "{name}");
    }
}

#[tokio::test]
async fn attack_a_session_without_a_token_is_nobodys_where_the_service_is_asked() {
    let central = Central::start().await;
    central.gives(&central.token());
    let session = log_in(&central.verifier().await).await.unwrap().session().clone();
    assert_eq!(session.token, None);
    let asking = central.asking().await;
    assert_eq!(asking.resume(&session).await.unwrap_err().kind(), INVALID);
    // The other way round the token is asked about, as it was before.
    let kept = self::session(&central, &asking).await;
    let verifier = central.verifier().await;
    assert!(verifier.resume(&kept).await.is_ok());
    central.advance(1);
    central.server.always(TOKEN_INFO, Reply::Json(401, String::from("{}")));
    assert_eq!(verifier.resume(&kept).await.unwrap_err().kind(), INVALID);
}
