//! Everything that can go wrong on the way: no fault lets anybody in, and none is the person's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capauth_verifier::{AuthErrorKind, Caller, RemoteVerifier, Secret, Verifier as _};
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::json;

use crate::central::{
    CHALLENGE, CREDENTIAL, Central, FEED, JWKS, REVOKE, TOKEN_INFO, VERIFY, WELL_KNOWN, cause,
    challenge_request, log_in, verify_request, whose,
};
use crate::http::Reply;

const UNAVAILABLE: AuthErrorKind = AuthErrorKind::Unavailable;

/// How often each kind of failure was counted, and what was made.
#[derive(Default, Clone)]
pub(crate) struct Counts(Arc<Mutex<HashMap<String, u64>>>);

struct One(Counts, String);

impl CounterFn for One {
    fn increment(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }

    fn absolute(&self, _value: u64) {}
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let label = |name| key.labels().find(|label| label.key() == name).unwrap().value().to_owned();
        let named = match key.name() {
            "capauth_remote_failures_total" => label("kind"),
            "capauth_logins_total" => format!("made: {}", label("how")),
            "capauth_challenges_total" => "made: challenge".to_owned(),
            _ => return Counter::noop(),
        };
        Counter::from_arc(Arc::new(One(self.clone(), named)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl Counts {
    /// Runs a test on this thread, where failures are counted here.
    fn during(test: impl Future<Output = ()>) -> HashMap<String, u64> {
        let mut counts = Self::of_everything_during(test);
        counts.retain(|name, _| !name.starts_with("made: "));
        counts
    }

    pub(crate) fn of_everything_during(test: impl Future<Output = ()>) -> HashMap<String, u64> {
        let counts = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        metrics::with_local_recorder(&counts, || runtime.block_on(test));
        std::mem::take(&mut *counts.0.lock().unwrap())
    }
}

async fn challenged(verifier: &RemoteVerifier) -> Result<(), AuthErrorKind> {
    let asked = verifier.challenge(&challenge_request(), &Caller::default()).await;
    asked.map(|_| ()).map_err(|error| error.kind())
}

/// An answer with this head and body, whatever they are.
fn raw(head: &str, body: &str) -> Reply {
    Reply::raw(format!("HTTP/1.1 {head}\r\n\r\n{body}"))
}

const OK: &str = "200 OK\r\ncontent-type: application/json";

#[test]
fn attack_answers_that_are_none_are_classified_and_counted() {
    let huge = "x".repeat(70_000);
    let chunked = format!("{:x}\r\n{huge}\r\n0\r\n\r\n", huge.len());
    for (kind, reply) in [
        ("redirect", raw("302 Found\r\nlocation: https://evil.example/?token=x\r\ncontent-length: 0", "")),
        ("redirect", raw("307 X\r\nlocation: /capauth/v1/challenge\r\ncontent-length: 0", "")),
        ("redirect", raw("304 X\r\ncontent-length: 0", "")),
        ("status", Reply::Json(500, String::from("{}"))),
        ("status", raw("502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 4", "<h1>")),
        ("status", Reply::Json(503, String::from(r#"{"error":"server_error"}"#))),
        ("content_type", raw("200 OK\r\ncontent-type: text/html\r\ncontent-length: 2", "{}")),
        ("content_type", raw("200 OK\r\ncontent-length: 2", "{}")),
        ("content_type", raw("200 OK\r\ncontent-type: application/jsonp\r\ncontent-length: 2", "{}")),
        ("content_type", raw("401 X\r\ncontent-type: text/html\r\ncontent-length: 2", "no")),
        (
            "content_type",
            raw(
                "200 OK\r\ncontent-type: application/json\r\ncontent-type: text/html\r\ncontent-length: 2",
                "{}",
            ),
        ),
        ("too_large", Reply::Json(200, huge.clone())),
        ("too_large", raw(&format!("{OK}\r\ntransfer-encoding: chunked"), &chunked)),
        ("too_large", raw(OK, &huge)),
        ("too_large", raw(&format!("{OK}\r\ncontent-length: 99999999999"), "{")),
        ("malformed", Reply::Json(200, String::from("garbage"))),
        ("malformed", Reply::Json(200, String::new())),
        ("malformed", Reply::Json(200, String::from("{}"))),
        ("malformed", Reply::Json(200, String::from("[[[[[[[[[[[[[[[["))),
        ("malformed", Reply::Json(200, "[".repeat(60_000))),
        ("connect", raw(&format!("{OK}\r\ncontent-length: 50"), "{")),
        ("connect", Reply::HangUp),
        ("timeout", Reply::Silence),
    ] {
        let counted = Counts::during(async {
            let central = Central::start().await;
            let builder = central.builder().credential(CREDENTIAL.into());
            let patience = if kind == "timeout" { 1 } else { 5 };
            let verifier = builder.timeout(Duration::from_secs(patience)).build().await.unwrap();
            verifier.close().await.unwrap();
            assert_eq!(challenged(&verifier).await, Ok(()));
            central.server.always(CHALLENGE, reply.clone());
            assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE), "{kind}: {reply:?}");
        });
        assert_eq!(counted, HashMap::from([(kind.to_owned(), 1)]), "{reply:?}");
    }
}

#[tokio::test]
async fn attack_a_redirect_takes_no_credential_along() {
    let (central, thief) = (Central::start().await, crate::http::Server::start().await);
    let verifier = central.verifier().await;
    for line in [FEED, CHALLENGE, VERIFY, JWKS, WELL_KNOWN] {
        let head = format!("307 X\r\nlocation: {}/stolen\r\ncontent-length: 0", thief.url);
        central.server.always(line, raw(&head, ""));
    }
    assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE));
    assert_eq!(log_in(&verifier).await.unwrap_err().kind(), UNAVAILABLE);
    central.advance(301);
    verifier.refresh().await.unwrap_err();
    assert_eq!(thief.times_in_all(), 0);
    assert!(central.server.times(FEED) > 1);
}

#[tokio::test]
async fn what_was_not_answered_is_asked_once_more_but_a_login_never() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let asking = central.asking().await;
    for line in [CHALLENGE, VERIFY, TOKEN_INFO, FEED] {
        central.server.always(line, Reply::HangUp);
    }
    let count = |line| central.server.times(line);
    assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE));
    assert_eq!(count(CHALLENGE), 2);
    assert_eq!(log_in(&verifier).await.unwrap_err().kind(), UNAVAILABLE);
    assert_eq!(count(VERIFY), 1);
    assert_eq!(whose(&asking, &central.token()).await.unwrap_err(), UNAVAILABLE);
    assert_eq!(count(TOKEN_INFO), 2);
    let before = count(FEED);
    verifier.refresh().await.unwrap_err();
    assert_eq!(count(FEED), before + 2);
}

#[tokio::test]
async fn what_was_answered_or_timed_out_is_not_asked_again() {
    let central = Central::start().await;
    let builder = central.builder().credential(CREDENTIAL.into()).timeout(Duration::from_secs(1));
    let verifier = builder.build().await.unwrap();
    verifier.close().await.unwrap();
    for reply in [Reply::Silence, Reply::Json(500, String::from("{}")), Reply::Json(200, String::from("x"))] {
        let before = central.server.times(CHALLENGE);
        central.server.always(CHALLENGE, reply);
        assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE));
        assert_eq!(central.server.times(CHALLENGE), before + 1);
    }
}

#[tokio::test]
async fn a_service_that_comes_back_is_found_again_without_anything_being_rebuilt() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    central.gives(&central.token());
    central.server.set_down(true);
    for _ in 0..5 {
        assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE));
    }
    central.server.set_down(false);
    // The circuit is open: the service is back, and is not asked yet.
    let asked = central.server.times_in_all();
    let error = verifier.verify(&verify_request(), &Caller::default()).await.unwrap_err();
    assert_eq!(error.kind(), UNAVAILABLE);
    assert!(cause(&error).contains("not asked for a moment"), "{}", cause(&error));
    assert_eq!(central.server.times_in_all(), asked);
    // A token that was given out is still good: it needs no question.
    assert!(whose(&verifier, &central.token()).await.is_ok());
    // After a second one question goes out, and its answer closes the circuit.
    central.advance(1);
    assert_eq!(challenged(&verifier).await, Ok(()));
    assert!(log_in(&verifier).await.is_ok());
}

#[tokio::test]
async fn the_feed_closes_the_circuit_and_is_asked_while_it_is_open() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    central.server.set_down(true);
    for _ in 0..6 {
        verifier.refresh().await.unwrap_err();
    }
    assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE));
    central.server.set_down(false);
    assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE), "open");
    verifier.refresh().await.unwrap();
    assert_eq!(challenged(&verifier).await, Ok(()));
}

#[tokio::test]
async fn where_there_is_no_feed_the_description_closes_the_circuit() {
    let central = Central::start().await;
    let verifier = central.asking().await;
    central.server.set_down(true);
    for _ in 0..5 {
        assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE));
    }
    central.server.set_down(false);
    assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE), "open");
    central.advance(10);
    verifier.refresh().await.unwrap();
    assert_eq!(challenged(&verifier).await, Ok(()));
}

#[test]
fn an_open_circuit_is_counted_as_such() {
    let counted = Counts::during(async {
        let central = Central::start().await;
        let verifier = central.verifier().await;
        central.server.set_down(true);
        for _ in 0..8 {
            assert_eq!(challenged(&verifier).await, Err(UNAVAILABLE));
        }
    });
    let expected = [(String::from("connect"), 5), (String::from("circuit_open"), 3)];
    assert_eq!(counted, HashMap::from(expected));
}

#[tokio::test]
async fn attack_answers_that_a_stranger_provokes_do_not_close_the_way_to_others() {
    let central = Central::start().await;
    let asking = central.asking().await;
    central.server.always(TOKEN_INFO, Reply::json(200, &crate::asking::told(&central)));
    for answer in
        [Reply::Json(500, String::from("{}")), raw("403 No\r\ncontent-type: text/html", "<p>No</p>")]
    {
        central.server.always(VERIFY, answer);
        for _ in 0..12 {
            assert_eq!(log_in(&asking).await.unwrap_err().kind(), UNAVAILABLE);
        }
        assert!(challenged(&asking).await.is_ok());
        assert!(whose(&asking, "any.token").await.is_ok());
    }
    // Logins that find nobody close the way to logins alone.
    central.server.always(VERIFY, Reply::HangUp);
    for _ in 0..12 {
        assert_eq!(log_in(&asking).await.unwrap_err().kind(), UNAVAILABLE);
    }
    let asked = central.server.times(CHALLENGE);
    assert_eq!(challenged(&asking).await, Err(UNAVAILABLE));
    assert_eq!(central.server.times(CHALLENGE), asked, "the circuit is open");
    assert!(whose(&asking, "another.token").await.is_ok());
}

#[tokio::test]
async fn keys_that_were_not_confirmed_for_a_quarter_of_an_hour_count_no_longer() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token_with("exp", central.now() + 3600);
    assert!(whose(&verifier, &token).await.is_ok());
    let published = central.server.asked(JWKS).len();
    central.server.always(JWKS, Reply::HangUp);
    for minutes in [14, 2] {
        central.advance(minutes * 60);
        // The feed comes, the keys do not.
        assert!(verifier.refresh().await.is_err());
        let fresh = minutes == 14;
        assert_eq!(whose(&verifier, &token).await.is_ok(), fresh, "{minutes}");
    }
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), UNAVAILABLE);
    assert!(central.server.asked(JWKS).len() > published);
}

#[tokio::test]
async fn a_sign_out_that_the_service_could_not_hear_is_told_when_it_is_back() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    central.gives(&central.token());
    let session = log_in(&verifier).await.unwrap().session().clone();
    central.server.always(REVOKE, Reply::HangUp);
    assert_eq!(verifier.end(&session).await.unwrap_err().kind(), UNAVAILABLE);
    assert!(verifier.resume(&session).await.is_err(), "here it has ended at once");
    central.server.always(REVOKE, Reply::Json(200, String::from(r#"{"revoked":true}"#)));
    let heard = central.server.times(REVOKE);
    verifier.refresh().await.unwrap();
    assert_eq!(central.server.times(REVOKE), heard + 1);
    verifier.refresh().await.unwrap();
    assert_eq!(central.server.times(REVOKE), heard + 1, "once");
}

#[tokio::test]
async fn attack_many_sign_outs_that_the_service_does_not_hear_do_not_hold_up_the_feed() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    central.gives(&central.token());
    let session = log_in(&verifier).await.unwrap().session().clone();
    central.server.always(REVOKE, Reply::Json(500, String::from("{}")));
    for number in 0..40 {
        let session = capauth_verifier::Session { jti: format!("jti-{number}"), ..session.clone() };
        assert!(verifier.end(&session).await.is_err());
    }
    let (heard, polled) = (central.server.times(REVOKE), central.server.times(FEED));
    verifier.refresh().await.unwrap();
    assert_eq!((central.server.times(REVOKE), central.server.times(FEED)), (heard + 1, polled + 1));
    // Once it is back all are told, a few in each round.
    central.server.always(REVOKE, Reply::Json(200, String::from(r#"{"revoked":true}"#)));
    let heard = heard + 1;
    for rounds in [16, 32, 40, 40] {
        verifier.refresh().await.unwrap();
        assert_eq!(central.server.times(REVOKE), heard + rounds);
    }
}

#[test]
fn attack_logins_that_hang_take_no_places_but_their_own() {
    let counted = Counts::during(async {
        let central = Central::start().await;
        let verifier = central.builder().timeout(Duration::from_secs(3)).build().await.unwrap();
        verifier.close().await.unwrap();
        central.server.always(CHALLENGE, Reply::Silence);
        let verifier = Arc::new(verifier);
        let waiting: Vec<_> = (0..70)
            .map(|_| {
                let verifier = Arc::clone(&verifier);
                tokio::spawn(async move { challenged(&verifier).await })
            })
            .collect();
        while central.server.times(CHALLENGE) < 16 {
            tokio::task::yield_now().await;
        }
        // What nobody waits for takes none of their places.
        central.advance(301);
        let described = central.server.times(WELL_KNOWN);
        verifier.refresh().await.unwrap();
        assert_eq!(central.server.times(WELL_KNOWN), described + 1);
        // Nor do those wait who are signed in.
        central.server.always(TOKEN_INFO, Reply::json(200, &crate::asking::told(&central)));
        assert!(whose(&verifier, "any.token").await.is_ok());
        assert_eq!(central.server.times(CHALLENGE), 16);
        for one in waiting {
            assert_eq!(one.await.unwrap(), Err(UNAVAILABLE));
        }
    });
    assert_eq!(counted.values().sum::<u64>(), 70, "{counted:?}");
    assert!(counted.get("timeout").is_some_and(|n| *n >= 16), "{counted:?}");
}

#[tokio::test]
async fn nothing_of_a_person_stands_in_an_error_or_in_debug_output() {
    let central = Central::start().await;
    let token = central.token();
    central.gives(&token);
    let asking = central.asking().await;
    let info = crate::asking::told(&central);
    central.server.always(TOKEN_INFO, Reply::json(200, &info));
    let login = asking.verify(&verify_request(), &Caller::default()).await.unwrap();
    assert_eq!(login.who.session().token.as_ref().map(Secret::expose), Some(&*token));
    assert_eq!(login.who.display_name(), "Ada");
    let shown = format!("{login:?} {:?} {:?} {asking:?}", login.who, login.who.session());
    assert!(!shown.contains(&token) && !shown.contains("Ada"), "{shown}");

    let verifier = central.verifier().await;
    let builder = central.builder().credential(CREDENTIAL.into());
    let shown = format!("{verifier:?} {builder:?}");
    assert!(!shown.contains(CREDENTIAL), "{shown}");

    central.server.always(VERIFY, Reply::json(200, &json!({"access_token": token, "name": "Ada"})));
    central.server.always(TOKEN_INFO, Reply::Json(200, format!("{{\"name\": \"Ada\", \"x\": \"{token}\"")));
    central.advance(2);
    let failed = [
        verifier.verify(&verify_request(), &Caller::default()).await.map(|_| ()).unwrap_err(),
        asking.resume(login.who.session()).await.map(|_| ()).unwrap_err(),
    ];
    for error in failed {
        assert_eq!(error.kind(), UNAVAILABLE);
        let shown = format!("{error} {error:?} {} {}", cause(&error), error.to_refusal());
        assert!(!shown.contains(&token) && !shown.contains("Ada") && !shown.contains(CREDENTIAL), "{shown}");
    }
}
