//! Tokens that are checked here: by the published keys.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_verifier::{Audience, AuthErrorKind, Verifier as _};
use serde_json::json;

use crate::central::{Central, JWKS, OTHER, OWN, PERSON, Signer, TOKEN_INFO, unsigned, whose};
use crate::http::Reply;

const INVALID: AuthErrorKind = AuthErrorKind::InvalidToken;

#[tokio::test]
async fn a_good_token_says_who_it_is_and_nothing_is_asked() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let asked = central.server.times_in_all();
    for audience in [Audience::Own, Audience::AnyOfIssuer] {
        let who = verifier.authenticate(&central.token(), audience).await.unwrap();
        assert_eq!(who.sub().to_string(), PERSON);
        assert_eq!(who.claims().name.as_deref(), Some("Ada"));
        assert_eq!(who.groups(), ["readers"]);
        assert_eq!(who.session().service, OWN);
        assert_eq!(who.session().expires.as_unix(), central.now() + 3600);
        assert_eq!(who.session().token, None);
    }
    assert_eq!(central.server.times_in_all(), asked);
    assert_eq!(central.server.times(TOKEN_INFO), 0);
}

#[tokio::test]
async fn attack_tokens_of_another_issuer_service_or_purpose() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    assert!(whose(&verifier, &central.token()).await.is_ok());
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("other.example.com")),
        ("aud", json!("auth.example.com")),
        ("aud", json!([OWN, "other.example.com"])),
        ("exp", json!(central.now())),
        ("sub", json!("client:backup")),
        ("jti", json!("")),
        ("jti", json!("j".repeat(129))),
    ] {
        let token = central.token_with(name, value.clone());
        assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID, "{name} {value}");
        let any = verifier.authenticate(&token, Audience::AnyOfIssuer).await;
        assert_eq!(any.unwrap_err().kind(), INVALID, "{name} {value}");
    }
    for missing in ["iss", "aud", "exp", "auth_time", "jti", "capauth_generation", "capauth_epoch", "sub"] {
        let mut claims = central.claims();
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(whose(&verifier, &central.signer.sign(&claims)).await.unwrap_err(), INVALID, "{missing}");
    }
    for header in [
        json!({"alg": "EdDSA", "typ": "JWT", "kid": "first"}),
        json!({"alg": "EdDSA", "kid": "first"}),
        json!({"alg": "EdDSA", "typ": "logout+jwt", "kid": "first"}),
        json!({"alg": "EdDSA", "typ": "at+jwt"}),
    ] {
        let token = central.signer.sign_as(&header, &central.claims());
        assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID, "{header}");
    }
}

#[tokio::test]
async fn attack_algorithm_of_the_tokens_own_choice() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    assert!(whose(&verifier, &central.token()).await.is_ok());
    // The public key as the secret of a symmetric algorithm, in each form that somebody may have it in.
    for secret in [central.signer.public().to_vec(), central.signer.jwk().to_string().into_bytes()] {
        for typ in ["at+jwt", "JWT"] {
            let message = unsigned(&json!({"alg": "HS256", "typ": typ, "kid": "first"}), &central.claims());
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
            assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
        }
    }
    for alg in ["none", "None", "NONE", ""] {
        let message = unsigned(&json!({"alg": alg, "typ": "at+jwt", "kid": "first"}), &central.claims());
        for token in [format!("{message}."), message.clone()] {
            assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID, "{alg}");
        }
    }
}

#[tokio::test]
async fn attack_changed_and_foreign_signatures() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    assert!(whose(&verifier, &token).await.is_ok());
    let stranger = Signer::new("first");
    assert_eq!(whose(&verifier, &stranger.sign(&central.claims())).await.unwrap_err(), INVALID);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 1;
    let changed = format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
    assert_eq!(whose(&verifier, &changed).await.unwrap_err(), INVALID);
    // The payload of a richer token under the signature of a poorer one.
    let richer = central.token_with("groups", json!(["admins"]));
    let spliced = format!("{}.{signature}", richer.rsplit_once('.').unwrap().0);
    assert_eq!(whose(&verifier, &spliced).await.unwrap_err(), INVALID);
    for garbage in ["", ".", "..", "a.b.c", "\u{0}", "é.é.é", &"a".repeat(8 * 1024), &"a".repeat(9 * 1024)]
    {
        assert_eq!(whose(&verifier, garbage).await.unwrap_err(), INVALID);
    }
}

#[tokio::test]
async fn attack_reserved_claims_do_not_become_extra_ones() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let mut claims = central.claims();
    claims["capauth_admin"] = json!(true);
    claims["capauth_tier"] = json!("gold");
    let who = whose(&verifier, &central.signer.sign(&claims)).await.unwrap();
    let extra: Vec<_> = who.claims().extra.keys().collect();
    assert_eq!(extra, ["capauth_tier"]);
}

#[tokio::test]
async fn attack_storm_of_unknown_keys_costs_one_fetch_in_five_seconds() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let fetched = || central.server.times(JWKS);
    assert_eq!(fetched(), 1);
    let stranger = Signer::new("stranger");
    let claims = central.claims();
    central.advance(6);
    let storm = (0..50).map(|n| {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": format!("k{n}")});
        let (verifier, token) = (&verifier, stranger.sign_as(&header, &claims));
        async move { whose(verifier, &token).await.unwrap_err() }
    });
    for error in join_all(storm).await {
        assert_eq!(error, INVALID);
    }
    assert_eq!(fetched(), 2);
    central.advance(4);
    assert_eq!(whose(&verifier, &stranger.sign(&claims)).await.unwrap_err(), INVALID);
    assert_eq!(fetched(), 2);
    central.advance(2);
    assert_eq!(whose(&verifier, &stranger.sign(&claims)).await.unwrap_err(), INVALID);
    assert_eq!(fetched(), 3);
    assert!(whose(&verifier, &central.token()).await.is_ok());
}

/// Polls all of them side by side on this task.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut pending {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if pending.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pending.into_iter().map(|(_, done)| done.unwrap()).collect()
}

#[tokio::test]
async fn a_new_key_is_picked_up_at_once_by_many_with_one_fetch() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let second = Signer::new("second");
    central.publish(&[&central.signer, &second]);
    central.advance(6);
    let token = second.sign(&central.claims());
    for who in join_all((0..20).map(|_| whose(&verifier, &token))).await {
        assert_eq!(who.unwrap().sub().to_string(), PERSON);
    }
    assert_eq!(central.server.times(JWKS), 2);
    assert!(whose(&verifier, &central.token()).await.is_ok(), "the old key is still there");
}

#[tokio::test]
async fn keys_are_fetched_anew_after_five_minutes_and_one_that_left_is_gone() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    assert!(whose(&verifier, &token).await.is_ok());
    let second = Signer::new("second");
    central.publish(&[&central.signer, &second]);
    central.advance(290);
    verifier.refresh().await.unwrap();
    assert_eq!(central.server.times(JWKS), 1);
    central.advance(11);
    verifier.refresh().await.unwrap();
    assert_eq!(central.server.times(JWKS), 2);
    assert!(whose(&verifier, &token).await.is_ok());

    // Rotated out: seen before or not, what it signed counts for nothing.
    central.publish(&[&second]);
    central.advance(301);
    verifier.refresh().await.unwrap();
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
    assert_eq!(whose(&verifier, &central.token_with("jti", "name-2")).await.unwrap_err(), INVALID);
    assert!(whose(&verifier, &second.sign(&central.claims())).await.is_ok());
}

#[tokio::test]
async fn attack_keys_of_other_kinds_are_passed_over() {
    let central = Central::start().await;
    let signer = &central.signer;
    let bent = |name: &str, value: serde_json::Value| {
        let mut jwk = signer.jwk();
        jwk[name] = value;
        jwk
    };
    let odd = [
        bent("kty", json!("oct")),
        bent("kty", json!("EC")),
        bent("crv", json!("X25519")),
        bent("use", json!("enc")),
        bent("alg", json!("HS256")),
        bent("kid", json!("")),
        bent("kid", json!(7)),
        bent("x", json!("AAAA")),
        json!({"kty": "oct", "k": "AAAA", "kid": "first"}),
        json!("key"),
    ];
    for jwk in odd {
        central.server.always(JWKS, Reply::json(200, &json!({ "keys": [jwk] })));
        let verifier = central.verifier().await;
        assert_eq!(whose(&verifier, &central.token()).await.unwrap_err(), INVALID, "{jwk}");
    }
    let mut plain = signer.jwk();
    for optional in ["use", "alg"] {
        plain.as_object_mut().unwrap().remove(optional);
    }
    let rsa = json!({"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"});
    central.server.always(JWKS, Reply::json(200, &json!({ "keys": [rsa, plain] })));
    let verifier = central.verifier().await;
    assert!(whose(&verifier, &central.token()).await.is_ok());
}

#[tokio::test]
async fn attack_sets_with_too_many_or_twin_keys_are_refused_whole() {
    let central = Central::start().await;
    let (one, twin) = (central.signer.jwk(), Signer::new("first").jwk());
    for keys in [vec![one.clone(), twin], vec![one.clone(); 33]] {
        central.server.always(JWKS, Reply::json(200, &json!({ "keys": keys })));
        let built = central.builder().credential(crate::central::CREDENTIAL.into()).build().await;
        assert!(built.is_err());
    }
    let mut many: Vec<_> = (0..31).map(|n| json!({"kty": "RSA", "kid": format!("{n}")})).collect();
    many.push(one);
    central.server.always(JWKS, Reply::json(200, &json!({ "keys": many })));
    let verifier = central.verifier().await;
    assert!(whose(&verifier, &central.token()).await.is_ok());
}

#[tokio::test]
async fn a_token_seen_before_ends_when_its_time_comes() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let token = central.token();
    let other = central.token_with("sub", OTHER);
    assert!(whose(&verifier, &token).await.is_ok());
    central.advance(3599);
    verifier.refresh().await.unwrap();
    assert!(whose(&verifier, &token).await.is_ok());
    central.advance(1);
    verifier.refresh().await.unwrap();
    assert_eq!(whose(&verifier, &token).await.unwrap_err(), INVALID);
    assert_eq!(whose(&verifier, &other).await.unwrap_err(), INVALID, "one that was not seen");
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_no_verdict_on_a_token() {
    let central = Central::start().await;
    let verifier = central.verifier().await;
    let second = Signer::new("second");
    let token = second.sign(&central.claims());
    central.server.always(JWKS, Reply::Json(500, String::from("{}")));
    central.advance(6);
    for _ in 0..2 {
        assert_eq!(whose(&verifier, &token).await.unwrap_err(), AuthErrorKind::Unavailable);
    }
    assert!(whose(&verifier, &central.token()).await.is_ok(), "a known key needs no fetch");
    central.publish(&[&central.signer, &second]);
    central.advance(6);
    assert!(whose(&verifier, &token).await.is_ok());
}
