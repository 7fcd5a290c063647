//! Logins from another device: begun, watched and answered at the service; believed by the token alone.

use capauth_protocol::request::{QrChallengeRequest, QrDecision, QrVerifyRequest};
use capauth_verifier::{
    AuthErrorKind, Caller, Clock as _, QrAnswered, QrEnd, QrStatus, RemoteVerifier, Timestamp, Verifier as _,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::central::{CREDENTIAL, Central, ORIGIN, OWN, PERSON, cause, person, verify_request};
use crate::faults::Counts;
use crate::http::Reply;

const CHALLENGE: &str = "POST /capauth/v1/qr-challenge";
const NONCE: &str = "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90";
const POLL: &str = "cG9sbCB0b2tlbiBvZiB0aGUgdGVzdA";

fn path(method: &str, of: &str) -> String {
    format!("{method} /capauth/v1/qr-{of}/{NONCE}")
}

fn request() -> QrChallengeRequest {
    QrChallengeRequest { requested_service: "evil.example".to_owned(), origin: Some(ORIGIN.to_owned()) }
}

fn challenge(now: Timestamp) -> Value {
    json!({
        "capauth_qr": "1.0", "nonce": NONCE, "client_nonce_echo": "dGhpcyBpcyBhIHRlc3Q=", "origin": ORIGIN,
        "timestamp": now.to_string(), "service": OWN, "expires": now.plus(120).to_string(),
        "callback": "https://evil.example/", "qr_payload": "{}", "qr_url": "https://evil.example/",
        "qr_data_url": "", "code": "012345", "poll_token": POLL,
    })
}

async fn status(verifier: &RemoteVerifier, fetch: bool) -> Result<QrStatus, capauth_verifier::AuthError> {
    verifier.qr_status(&NONCE.parse().unwrap(), POLL, fetch).await
}

#[tokio::test]
async fn a_login_is_begun_for_the_own_service_and_its_own_page() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    central.server.always(CHALLENGE, Reply::json(200, &challenge(central.clock.timestamp())));
    let caller = Caller { address: Some("203.0.113.7".parse().unwrap()), ..Caller::default() };
    let made = verifier.qr_challenge(&request(), &caller).await.unwrap();
    assert_eq!((made.service.as_str(), made.origin.as_str()), (OWN, ORIGIN));
    assert_eq!((made.code.expose(), made.poll_token.expose()), ("012345", POLL));
    let sent = central.server.asked(CHALLENGE).pop().unwrap();
    assert_eq!(
        (sent.json()["requested_service"].clone(), sent.json()["origin"].clone()),
        (json!(OWN), json!(ORIGIN))
    );
    assert_eq!(sent.header("capauth-client-address"), "203.0.113.7");
    assert_eq!(sent.header("authorization"), format!("Bearer {CREDENTIAL}"));
    let nowhere = QrChallengeRequest::default();
    let error = verifier.qr_challenge(&nowhere, &Caller::default()).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::InvalidOrigin);
}

#[tokio::test]
async fn attack_qr_logins_that_nobody_must_sign() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let now = central.clock.timestamp();
    for (name, value) in [
        ("service", json!("bank.example.com")),
        ("origin", json!("https://evil.example")),
        ("origin", json!("")),
        ("nonce", json!("nonce")),
        ("client_nonce_echo", json!("a\nservice=bank.example.com")),
        ("timestamp", json!(now.plus(301).to_string())),
        ("expires", json!(now.plus(3600).to_string())),
        ("code", json!("12345")),
        ("code", json!("<img>\"")),
        ("poll_token", json!("")),
        ("poll_token", json!("a b")),
        ("poll_token", json!("x".repeat(129))),
        ("capauth_qr", json!("2.0")),
    ] {
        let mut bent = challenge(now);
        bent[name] = value;
        central.server.always(CHALLENGE, Reply::json(200, &bent));
        let error = verifier.qr_challenge(&request(), &Caller::default()).await.unwrap_err();
        assert_eq!(error.kind(), AuthErrorKind::Unavailable, "{bent}");
        assert!(!cause(&error).is_empty());
    }
}

#[tokio::test]
async fn where_it_stands_is_asked_with_the_poll_token() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let get = path("GET", "status");
    let says = |told: Value| central.server.always(&get, Reply::json(200, &told));
    says(json!({"status": "pending", "completed": false, "fingerprint": PERSON}));
    let waiting = status(&verifier, false).await.unwrap();
    assert!(matches!(waiting, QrStatus::Pending { waiting: Some(key) } if key == person()));
    let sent = central.server.asked(&get).pop().unwrap();
    assert_eq!(
        (sent.header("authorization"), sent.query.as_str()),
        (&*format!("Bearer {POLL}"), "peek=true")
    );
    for (reason, end) in [
        (json!("time"), QrEnd::Time),
        (json!("declined"), QrEnd::Declined),
        (json!("wrong_code"), QrEnd::WrongCode),
        (json!("refused"), QrEnd::Refused),
        (json!("something new"), QrEnd::Refused),
        (Value::Null, QrEnd::Time),
    ] {
        says(json!({"status": "expired", "completed": false, "reason": reason}));
        let ended = status(&verifier, true).await.unwrap();
        assert!(matches!(ended, QrStatus::Ended(own) if own == end), "{reason}");
    }
    says(json!({"status": "perhaps", "completed": false}));
    assert_eq!(status(&verifier, true).await.unwrap_err().kind(), AuthErrorKind::Unavailable);
    central.server.always(&get, Reply::json(400, &json!({"error": "invalid_nonce"})));
    assert_eq!(status(&verifier, true).await.unwrap_err().kind(), AuthErrorKind::InvalidNonce);
    // Nothing is asked with what cannot be a poll token.
    let asked = central.server.asked(&get).len();
    let error = verifier.qr_status(&NONCE.parse().unwrap(), "a b", true).await.unwrap_err();
    assert_eq!((error.kind(), central.server.asked(&get).len()), (AuthErrorKind::InvalidNonce, asked));
    // A service of before, or one that was told not to.
    central.server.always(&get, Reply::json(404, &json!({"error": "not_found"})));
    assert_eq!(status(&verifier, true).await.unwrap_err().kind(), AuthErrorKind::NotFound);
}

#[tokio::test]
async fn attack_result_that_says_more_than_its_token() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let get = path("GET", "status");
    let says = |token: &str| {
        let told = json!({
            "status": "authenticated", "completed": true, "access_token": token, "expires_in": 999_999,
            "fingerprint": "0".repeat(40), "oidc_claims": {"sub": "0".repeat(40), "capauth_fingerprint": "0".repeat(40)},
        });
        central.server.always(&get, Reply::json(200, &told));
    };
    says(&central.token_with("capauth_qr", true));
    let QrStatus::Authenticated { login: Some(login) } = status(&verifier, true).await.unwrap() else {
        panic!("somebody is signed in");
    };
    assert_eq!((login.who.fingerprint(), login.response.expires_in), (person(), 3600));
    assert!(login.who.session().qr, "the session is what it is");
    // A look is no login, whatever comes with it.
    let looked = status(&verifier, false).await.unwrap();
    assert!(matches!(looked, QrStatus::Authenticated { login: None }));
    says(&central.token_with("aud", "other.example.com"));
    assert_eq!(status(&verifier, true).await.unwrap_err().kind(), AuthErrorKind::ServiceMismatch);
    for bad in ["x", "", &central.token_with("iss", "https://evil.example"), &central.token_with("exp", 1)] {
        says(bad);
        assert_eq!(status(&verifier, true).await.unwrap_err().kind(), AuthErrorKind::Unavailable, "{bad}");
    }
    // Without news of what has ended no result is used up.
    let asked = central.server.asked(&get).len();
    central.advance(60);
    assert_eq!(status(&verifier, true).await.unwrap_err().kind(), AuthErrorKind::Unavailable);
    assert_eq!(central.server.asked(&get).len(), asked);
}

#[tokio::test]
async fn answers_and_clicks_are_handed_on() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let (verify, decide) = (path("POST", "verify"), path("POST", "status"));
    let nonce = NONCE.parse().unwrap();
    let mut answer = verify_request();
    answer.redirect = Some("/private".to_owned());
    let mut request = QrVerifyRequest::new(answer, Some("012345".to_owned()));
    for (authenticated, decline, answered) in [
        (true, false, QrAnswered::SignedIn),
        (false, false, QrAnswered::Waits),
        (false, true, QrAnswered::Declined),
    ] {
        central
            .server
            .always(&verify, Reply::json(200, &json!({"authenticated": authenticated, "message": "m"})));
        request.decline = decline;
        assert_eq!(verifier.qr_verify(&nonce, &request, &Caller::default()).await.unwrap(), answered);
    }
    let sent = central.server.asked(&verify).remove(0).json();
    assert_eq!(
        (&sent["code"], &sent["redirect"], &sent["nonce"]),
        (&json!("012345"), &Value::Null, &json!(NONCE))
    );
    central.server.always(&verify, Reply::json(401, &json!({"error": "invalid_code"})));
    let error = verifier.qr_verify(&nonce, &request, &Caller::default()).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::InvalidCode);

    central.server.always(&decide, Reply::json(200, &json!({"status": "authenticated", "completed": true})));
    let decided = verifier.qr_decide(&nonce, POLL, &QrDecision::Confirm(person())).await.unwrap();
    assert!(matches!(decided, QrStatus::Authenticated { login: None }));
    let sent = central.server.asked(&decide).remove(0);
    assert_eq!(sent.header("authorization"), format!("Bearer {POLL}"));
    assert_eq!(
        (sent.json()["confirm"].clone(), sent.json()["fingerprint"].clone()),
        (json!(true), json!(PERSON))
    );
}

/// A login that somebody signed, which the service tells of to whoever looks; and what it says to who fetches.
fn signed_in(central: &Central, fetched: impl Fn() -> Reply + Send + Sync + 'static) {
    central.server.on(&path("GET", "status"), move |request| match request.query.as_str() {
        "peek=true" => Reply::json(200, &json!({"status": "authenticated", "completed": true})),
        _ => fetched(),
    });
}

fn result(central: &Central) -> Reply {
    let told = json!({
        "status": "authenticated", "completed": true, "access_token": central.token_with("capauth_qr", true),
        "expires_in": 3600,
    });
    Reply::json(200, &told)
}

/// How often the service was asked for the result itself.
fn fetches(central: &Central) -> usize {
    central.server.asked(&path("GET", "status")).iter().filter(|request| request.query.is_empty()).count()
}

#[tokio::test]
async fn a_result_is_asked_for_once_though_the_connection_broke() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    signed_in(&central, || Reply::HangUp);
    // The connection is there, and breaks when the service may have answered already.
    assert_eq!(status(&verifier, true).await.unwrap_err().kind(), AuthErrorKind::Unavailable);
    assert_eq!(fetches(&central), 1);
    let reply = result(&central);
    signed_in(&central, move || reply.clone());
    let done = status(&verifier, true).await.unwrap();
    assert!(matches!(done, QrStatus::Authenticated { login: Some(_) }));
    assert_eq!(fetches(&central), 2);
    // Where there is nothing to be fetched it is not asked for.
    central
        .server
        .always(&path("GET", "status"), Reply::json(200, &json!({"status": "pending", "completed": false})));
    assert!(matches!(status(&verifier, true).await.unwrap(), QrStatus::Pending { .. }));
    assert_eq!(fetches(&central), 2);
}

#[tokio::test]
async fn attack_watchers_keep_nobody_from_signing_in() {
    let central = Central::start().await;
    let verifier = std::sync::Arc::new(central.verifier().await);
    let get = path("GET", "status");
    let (asks, mut asked) = mpsc::unbounded_channel();
    central.server.on(&get, move |_| {
        asks.send(()).unwrap();
        Reply::Silence
    });
    // Whoever began a login asks as often as they like, and the service is slow.
    let watchers: Vec<_> = (0..64)
        .map(|number| {
            let verifier = std::sync::Arc::clone(&verifier);
            tokio::spawn(async move { status(&verifier, number % 2 == 0).await.map(drop) })
        })
        .collect();
    for _ in 0..4 {
        asked.recv().await.unwrap();
    }
    central.server.always(CHALLENGE, Reply::json(200, &challenge(central.clock.timestamp())));
    verifier.qr_challenge(&request(), &Caller::default()).await.unwrap();
    assert_eq!(central.server.times(&get), 4, "the others wait for one another alone");
    // Who follows a login by a stream passes over what is due meanwhile, and hears of it afterwards.
    let pending = QrStatus::Pending { waiting: None };
    let nonce = NONCE.parse().unwrap();
    let mut news = std::pin::pin!(verifier.qr_changed(&nonce, POLL, &pending));
    let first = std::future::poll_fn(|context| std::task::Poll::Ready(news.as_mut().poll(context))).await;
    assert!(first.is_pending());
    for watcher in watchers {
        watcher.abort();
    }
    central.server.always(&get, Reply::json(200, &json!({"status": "authenticated", "completed": true})));
    news.await.unwrap();
}

#[test]
fn what_another_device_signed_is_counted() {
    let counts = Counts::of_everything_during(async {
        let central = Central::start().await;
        let verifier = central.verifier().await;
        central.server.always(CHALLENGE, Reply::json(200, &challenge(central.clock.timestamp())));
        verifier.qr_challenge(&request(), &Caller::default()).await.unwrap();
        let reply = result(&central);
        signed_in(&central, move || reply.clone());
        // A look is no login, and neither is a result that somebody else got.
        status(&verifier, false).await.unwrap();
        status(&verifier, true).await.unwrap();
        signed_in(&central, || Reply::json(200, &json!({"status": "authenticated", "completed": true})));
        status(&verifier, true).await.unwrap();
    });
    let expected = [("made: challenge", 1), ("made: qr", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts, expected.into());
}
