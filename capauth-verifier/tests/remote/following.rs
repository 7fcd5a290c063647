//! The feed of revocations: what it ends, and what it means when it does not come.

use capauth_verifier::{AuthErrorKind, Session, Verifier as _};
use serde_json::{Value, json};

use crate::central::{
    CREDENTIAL, Central, FEED, JWKS, OTHER, PERSON, REVOKE, Signer, jti_sha256, log_in, whose,
};
use crate::http::Reply;

const INVALID: AuthErrorKind = AuthErrorKind::InvalidToken;
const UNAVAILABLE: AuthErrorKind = AuthErrorKind::Unavailable;

async fn session(central: &Central, verifier: &capauth_verifier::RemoteVerifier) -> Session {
    central.gives(&central.token());
    log_in(verifier).await.unwrap().session().clone()
}

fn key(fingerprint: &str) -> Value {
    json!({"kind": "key", "fingerprint": fingerprint})
}

#[tokio::test]
async fn attack_whatever_the_feed_ends_is_refused_as_token_and_as_session() {
    let central = Central::start().await;
    let now = central.now();
    for (harmless, ending) in [
        (key(OTHER), key(PERSON)),
        (
            json!({"kind": "generation", "sub": PERSON, "generation": 3}),
            json!({"kind": "generation", "sub": PERSON, "generation": 4}),
        ),
        (
            json!({"kind": "generation", "sub": OTHER, "generation": 9}),
            json!({"kind": "generation", "sub": PERSON, "generation": 9}),
        ),
        (
            json!({"kind": "token", "jti_sha256": jti_sha256("name-2"), "expires": now + 3600}),
            json!({"kind": "token", "jti_sha256": jti_sha256("name-1"), "expires": now + 3600}),
        ),
    ] {
        central.feed.lock().unwrap().entries.clear();
        let verifier = central.verifier().await;
        let token = central.token();
        let session = session(&central, &verifier).await;
        assert!(whose(&verifier, &token).await.is_ok());

        central.revoke(harmless);
        verifier.refresh().await.unwrap();
        assert!(whose(&verifier, &token).await.is_ok());
        assert!(verifier.resume(&session).await.is_ok());

        central.revoke(ending.clone());
        verifier.refresh().await.unwrap();
        assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID, "seen before: {ending}");
        assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID, "{ending}");
        // And by whoever starts anew.
        let another = central.verifier().await;
        assert_eq!(whose(&another, &token).await.unwrap_err(), INVALID, "{ending}");
    }
}

#[tokio::test]
async fn attack_a_revoked_identity_ends_the_tokens_of_its_other_keys() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    // A linked key: another fingerprint, the same identity.
    let token = central.token_with("capauth_fingerprint", OTHER);
    assert!(whose(&verifier, &token).await.is_ok());
    // The service says it of the key, and of everything that hangs on it.
    central.revoke(key(PERSON));
    central.revoke(json!({"kind": "generation", "sub": PERSON, "generation": 9}));
    verifier.refresh().await.unwrap();
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
}

/// An identity keeps its sub, which is its first key's fingerprint, when that key is replaced; anybody can then send the
/// old key's revocation.
#[tokio::test]
async fn a_key_that_was_replaced_ends_nothing_of_its_identity() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let (old, new) = (central.token(), central.token_with("capauth_fingerprint", OTHER));
    central.revoke(key(PERSON));
    verifier.refresh().await.unwrap();
    assert_eq!(whose(&verifier, &old).await.unwrap_err(), INVALID);
    assert!(whose(&verifier, &new).await.is_ok());
}

#[tokio::test]
async fn the_feed_is_read_page_by_page_and_generations_only_rise() {
    let central = Central::start().await;
    for generation in [1, 4, 2] {
        central.revoke(json!({"kind": "generation", "sub": PERSON, "generation": generation}));
    }
    for n in 0..6 {
        let name = jti_sha256(&n.to_string());
        central.revoke(json!({"kind": "token", "jti_sha256": name, "expires": central.now() + 60}));
    }
    central.revoke(json!({"kind": "generation", "sub": "client:backup", "generation": 9}));
    let verifier = central.verifier().await;
    let afters: Vec<_> = central.server.asked(FEED).into_iter().map(|request| request.query).collect();
    assert_eq!(afters, ["after=0", "after=2", "after=4", "after=6", "after=8", "after=10"]);
    assert_eq!(whose(&verifier, &central.token()).await.unwrap_err(), INVALID);
    let newer = central.token_with("capauth_generation", 4);
    assert!(whose(&verifier, &newer).await.is_ok());
    central.revoke(key(PERSON));
    verifier.refresh().await.unwrap();
    assert_eq!(whose(&verifier, &newer).await.unwrap_err(), INVALID);
    assert_eq!(central.server.asked(FEED).last().unwrap().query, "after=11");
}

#[tokio::test]
async fn an_unchanged_feed_is_not_sent_again_but_its_epoch_is_looked_at_now_and_then() {
    let central = Central::start().await;
    central.feed.lock().unwrap().tags = true;
    let verifier = central.verifier().await;
    let token = central.token();
    verifier.refresh().await.unwrap();
    verifier.refresh().await.unwrap();
    let asked = central.server.asked(FEED);
    assert_eq!(asked.first().unwrap().header("if-none-match"), "");
    assert_eq!(asked.last().unwrap().header("if-none-match"), "\"0\"");
    central.advance(29);
    verifier.refresh().await.unwrap();
    central.advance(29);
    assert!(whose(&verifier, &token).await.is_ok(), "unchanged is as good as new");
    // The tag stays the same, and the installation does not.
    central.feed.lock().unwrap().epoch = 2;
    for _ in 0..8 {
        verifier.refresh().await.unwrap();
    }
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
}

#[tokio::test]
async fn a_feed_older_than_thirty_seconds_lets_nobody_in_and_nobody_out() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    let session = session(&central, &verifier).await;
    let unseen = central.token_with("jti", "name-2");
    assert!(whose(&verifier, &token).await.is_ok());
    central.server.always(FEED, Reply::Json(500, String::from("{}")));
    central.advance(30);
    verifier.refresh().await.unwrap_err();
    assert!(whose(&verifier, &token).await.is_ok());
    assert!(verifier.resume(&session).await.is_ok());
    central.advance(1);
    verifier.refresh().await.unwrap_err();
    for token in [&token, &unseen] {
        assert_eq!(whose(&verifier, token).await.unwrap_err(), UNAVAILABLE);
    }
    assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), UNAVAILABLE);
    // A login would use the challenge up for nothing: it is not even asked for.
    let asked = central.server.times(crate::central::VERIFY);
    assert_eq!(log_in(&verifier).await.unwrap_err().kind(), UNAVAILABLE);
    assert_eq!(central.server.times(crate::central::VERIFY), asked);
    // A clock that is set back makes it no fresher.
    central.clock.set(std::time::UNIX_EPOCH + std::time::Duration::from_secs(central.now() - 100));
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), UNAVAILABLE);
    central.advance(100);

    central.server.always(FEED, Reply::json(200, &json!({"entries": [], "cursor": 0, "epoch": 1})));
    verifier.refresh().await.unwrap();
    assert!(whose(&verifier, &token).await.is_ok());
    assert!(verifier.resume(&session).await.is_ok());
}

#[tokio::test]
async fn without_the_feed_once_read_nobody_is_let_in() {
    let central = Central::start().await;
    central.server.always(FEED, Reply::Json(503, String::from("{}")));
    let verifier = central.verifier().await;
    assert_eq!(whose(&verifier, &central.token()).await.unwrap_err(), UNAVAILABLE);
    central.server.always(FEED, Reply::json(200, &json!({"entries": [], "cursor": 0, "epoch": 1})));
    verifier.refresh().await.unwrap();
    assert!(whose(&verifier, &central.token()).await.is_ok());
}

#[tokio::test]
async fn attack_tokens_and_sessions_from_before_a_restore_are_refused() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    let session = session(&central, &verifier).await;
    assert!(whose(&verifier, &token).await.is_ok());
    central.revoke(key(OTHER));
    verifier.refresh().await.unwrap();
    central.feed.lock().unwrap().epoch = 2;
    verifier.refresh().await.unwrap();
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
    assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID);
    let fresh = central.token_with("capauth_epoch", 2);
    assert!(whose(&verifier, &fresh).await.is_ok());
    // What the feed lists still counts: it was read from the beginning.
    let mut claims = central.claims_with("capauth_epoch", 2);
    claims["capauth_fingerprint"] = json!(OTHER);
    assert_eq!(whose(&verifier, &central.signer.sign(&claims)).await.unwrap_err(), INVALID);
}

#[tokio::test]
async fn an_unknown_epoch_is_not_compared() {
    let central = Central::start().await;
    central.feed.lock().unwrap().epoch = 0;
    let verifier = central.verifier().await;
    for epoch in [0, 1, 7] {
        assert!(whose(&verifier, &central.token_with("capauth_epoch", epoch)).await.is_ok(), "{epoch}");
    }
}

#[tokio::test]
async fn a_feed_that_begins_anew_is_read_from_the_beginning() {
    let central = Central::start().await;
    for n in 0..5 {
        let name = jti_sha256(&n.to_string());
        central.revoke(json!({"kind": "token", "jti_sha256": name, "expires": central.now() + 3600}));
    }
    let verifier = central.verifier().await;
    let token = central.token();
    assert!(whose(&verifier, &token).await.is_ok());
    {
        let mut feed = central.feed.lock().unwrap();
        feed.entries = vec![(1, key(PERSON))];
        feed.cursor = Some(1);
    }
    verifier.refresh().await.unwrap();
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
    assert_eq!(central.server.asked(FEED).last().unwrap().query, "after=1");
}

#[tokio::test]
async fn attack_a_service_made_anew_behind_the_old_url_hides_no_revocation() {
    for found_out_by_a_token in [true, false] {
        let central = Central::start().await;
        for n in 0..5 {
            let name = jti_sha256(&n.to_string());
            central.revoke(json!({"kind": "token", "jti_sha256": name, "expires": central.now() + 3600}));
        }
        let verifier = central.verifier().await;
        // Its numbers begin at one again, below the place we had, and its answers do not show it.
        let second = Signer::new("second");
        central.publish(&[&second]);
        central.feed.lock().unwrap().entries = vec![(1, key(PERSON))];
        if found_out_by_a_token {
            central.advance(6);
        } else {
            central.advance(301);
            verifier.refresh().await.unwrap();
        }
        let token = second.sign(&central.claims());
        assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
        let mut other = central.claims_with("sub", OTHER);
        other["capauth_fingerprint"] = json!(OTHER);
        assert!(whose(&verifier, &second.sign(&other)).await.is_ok());
        assert_eq!(central.server.times(JWKS), 2);
    }
}

#[tokio::test]
async fn what_the_feed_says_and_we_do_not_understand_lets_nobody_in() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    for odd in [
        json!({"kind": "everything"}),
        json!({"kind": "token", "jti_sha256": "ab", "expires": 1}),
        json!({"kind": "key", "fingerprint": "ab"}),
    ] {
        central.feed.lock().unwrap().entries.clear();
        let asked = central.server.times(FEED);
        central.revoke(odd.clone());
        central.advance(31);
        verifier.refresh().await.unwrap_err();
        assert_eq!(whose(&verifier, &token).await.unwrap_err(), UNAVAILABLE, "{odd}");
        assert!(central.server.times(FEED) > asked);
        central.feed.lock().unwrap().entries.clear();
        verifier.refresh().await.unwrap();
        assert!(whose(&verifier, &token).await.is_ok());
    }
}

#[tokio::test]
async fn the_feed_is_followed_without_anybody_asking_until_the_verifier_is_closed() {
    let central = Central::start().await;
    let verifier = central.builder().credential(CREDENTIAL.into()).build().await.unwrap();
    let token = central.token();
    assert!(whose(&verifier, &token).await.is_ok());
    central.revoke(key(PERSON));
    let ended = async {
        while whose(&verifier, &token).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.unwrap();
    verifier.close().await.unwrap();
    drop(verifier);
}

#[tokio::test]
async fn ending_counts_here_at_once_and_the_service_is_told() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    let session = session(&central, &verifier).await;
    assert!(whose(&verifier, &token).await.is_ok());
    verifier.end(&session).await.unwrap();
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
    assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID);
    let told = central.server.asked(REVOKE);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].header("authorization"), format!("Bearer {CREDENTIAL}"));
    assert_eq!(told[0].json(), json!({"jti": "name-1", "expires": session.expires.as_unix()}));
    assert_eq!(session.expires.as_unix(), central.now() + 12 * 3600);
}

#[tokio::test]
async fn attack_a_service_that_cannot_be_told_of_an_end_does_not_undo_it() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let session = session(&central, &verifier).await;
    for reply in [Reply::Json(500, String::from("{}")), Reply::Json(403, String::from("{}")), Reply::HangUp] {
        central.server.always(REVOKE, reply);
        assert_eq!(verifier.end(&session).await.unwrap_err().kind(), UNAVAILABLE);
        assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID);
        assert_eq!(whose(&verifier, &central.token()).await.unwrap_err(), INVALID);
    }
}

#[tokio::test]
async fn attack_a_bearers_sign_out_ends_the_session_that_outlives_the_token() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let session = session(&central, &verifier).await;
    let bearer = whose(&verifier, &central.token()).await.unwrap();
    assert!(bearer.session().expires < session.expires);
    verifier.end(bearer.session()).await.unwrap();
    assert_eq!(central.server.asked(REVOKE)[0].json()["expires"], session.expires.as_unix());
    assert_eq!(verifier.resume(&session).await.unwrap_err().kind(), INVALID);
}
