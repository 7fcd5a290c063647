//! Attacks with challenges and their answers: changed, replayed, raced, given to somebody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use std::sync::Arc;

use capauth_protocol::Nonce;
use capauth_protocol::payload::NoncePayload;
use capauth_protocol::request::ChallengeRequest;
use capauth_protocol::response::ChallengeResponse;
use capauth_tests::keys::{Draft, MINUTE, at};
use capauth_tests::login::{ISSUER, SERVICE, World, kind, payload, request, response};
use capauth_tests::signer;
use capauth_verifier::{Audience, AuthErrorKind as K, Caller, ServiceEntry, Verifier as _};

const APP: &str = "other.example.com";
const ORIGIN: &str = "https://app.example.com";
const APP_ORIGIN: &str = "https://other.example.com";

#[tokio::test]
async fn every_line_of_the_payload_counts() {
    let world = World::with(|b| b.service(ServiceEntry::new(APP))).await;
    let (member, _) = world.member().await;
    let fingerprint = member.fingerprint();
    for origin in [None, Some(ORIGIN)] {
        let asked = ChallengeRequest { origin: origin.map(str::to_owned), ..request(fingerprint) };
        let challenge = world.ask(asked).await.unwrap();
        let another = world.challenge(fingerprint).await;
        let honest = challenge.payload();
        let changed = [
            NoncePayload { service: APP, ..honest },
            NoncePayload { service: "", ..honest },
            NoncePayload { nonce: &another.nonce, ..honest },
            NoncePayload { nonce: "", ..honest },
            NoncePayload { expires: "2026-06-01T13:00:00Z", ..honest },
            NoncePayload { timestamp: "2026-06-01T11:59:00Z", ..honest },
            NoncePayload { client_nonce: "AAAA", ..honest },
            NoncePayload { origin: Some(APP_ORIGIN), ..honest },
            NoncePayload { origin: Some("https://app.example.com:443"), ..honest },
            NoncePayload { origin: Some(""), ..honest },
        ];
        for other in changed {
            let signature = signer::detached(&member.pair(), &other.to_text());
            let outcome = world.answer(&response(fingerprint, &challenge, signature, None)).await;
            assert_eq!(kind(outcome), K::InvalidNonceSignature, "{other:?}");
        }
        let signature = signer::detached(&member.pair(), &honest.to_text());
        let login = world
            .answer(&response(fingerprint, &challenge, signature, None))
            .await
            .expect("the payload asked for");
        assert_eq!(login.who.session().origin.as_deref(), origin);
    }
}

#[tokio::test]
async fn version_1_payload_for_a_version_2_challenge_and_the_other_way_round() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let fingerprint = member.fingerprint();
    let v2 =
        world.ask(ChallengeRequest { origin: Some(ORIGIN.into()), ..request(fingerprint) }).await.unwrap();
    let v1 = world.challenge(fingerprint).await;
    assert_eq!((v2.origin.as_str(), v1.origin.as_str()), (ORIGIN, ""));
    let answer = async |challenge: &ChallengeResponse, origin: Option<&str>| {
        let text = NoncePayload { origin, ..challenge.payload() }.to_text();
        world.answer(&response(fingerprint, challenge, signer::detached(&member.pair(), &text), None)).await
    };
    assert_eq!(kind(answer(&v2, None).await), K::InvalidNonceSignature);
    assert_eq!(kind(answer(&v1, Some(ORIGIN)).await), K::InvalidNonceSignature);
    answer(&v2, Some(ORIGIN)).await.expect("as asked");
    answer(&v1, None).await.expect("as asked");
}

#[tokio::test]
async fn replayed_answer() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let challenge = world.challenge(member.fingerprint()).await;
    let signature = signer::detached(&member.pair(), &payload(&challenge));
    let answer = response(member.fingerprint(), &challenge, signature.clone(), None);
    world.answer(&answer).await.expect("the first time");
    assert_eq!(kind(world.answer(&answer).await), K::InvalidNonce);
    // Nor under a new challenge, nor by another node, nor after a while.
    let new = world.challenge(member.fingerprint()).await;
    let moved = response(member.fingerprint(), &new, signature, None);
    assert_eq!(kind(world.answer(&moved).await), K::InvalidNonceSignature);
    let node = world.beside(SERVICE, |b| b).await;
    assert_eq!(kind(node.answer(&answer).await), K::InvalidNonce);
    world.advance(61);
    assert_eq!(kind(world.answer(&answer).await), K::InvalidNonce, "used, whatever the time");
    world.return_with(member.fingerprint(), &member.pair()).await.expect("anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_submissions_of_one_answer() {
    let world = Arc::new(World::new().await);
    for round in 0..20 {
        // Half the rounds enrol the key, half find it there.
        let draft = Draft::honest();
        if round % 2 == 0 {
            world.enrol(&draft, &draft.pair()).await.unwrap();
        }
        let challenge = world.challenge(draft.fingerprint()).await;
        let signature = signer::detached(&draft.pair(), &payload(&challenge));
        let answer = Arc::new(response(draft.fingerprint(), &challenge, signature, Some(draft.armored())));
        let attempts: Vec<_> = (0..64)
            .map(|_| {
                let (world, answer) = (Arc::clone(&world), Arc::clone(&answer));
                tokio::spawn(async move { world.answer(&answer).await.map(drop).map_err(|e| e.kind()) })
            })
            .collect();
        let mut winners = 0;
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(()) => winners += 1,
                Err(kind) => assert_eq!(kind, K::InvalidNonce),
            }
        }
        assert_eq!(winners, 1, "round {round}");
        assert!(world.stored(draft.fingerprint()).await.is_some());
    }
    assert_eq!(world.count().await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_different_valid_signatures_race_for_one_challenge() {
    let world = Arc::new(World::new().await);
    for _ in 0..20 {
        let (member, _) = world.member().await;
        let challenge = world.challenge(member.fingerprint()).await;
        let text = payload(&challenge);
        let answers = [signer::detached(&member.pair(), &text), signer::inline(&member.pair(), &text)];
        let attempts = answers.map(|signature| {
            let (world, answer) =
                (Arc::clone(&world), response(member.fingerprint(), &challenge, signature, None));
            tokio::spawn(async move { world.answer(&answer).await.map(drop).map_err(|e| e.kind()) })
        });
        let mut outcomes = Vec::new();
        for attempt in attempts {
            outcomes.push(attempt.await.unwrap());
        }
        assert!(outcomes.contains(&Ok(())) && outcomes.contains(&Err(K::InvalidNonce)), "{outcomes:?}");
    }
}

#[tokio::test]
async fn another_persons_challenge_and_it_stays_usable() {
    let world = World::new().await;
    let ((alice, _), (eve, _)) = (world.member().await, world.member().await);
    let challenge = world.challenge(alice.fingerprint()).await;
    let text = payload(&challenge);
    let stolen = response(eve.fingerprint(), &challenge, signer::detached(&eve.pair(), &text), None);
    assert_eq!(kind(world.answer(&stolen).await), K::InvalidNonce);
    let forged = response(alice.fingerprint(), &challenge, signer::detached(&eve.pair(), &text), None);
    for _ in 0..20 {
        assert_eq!(kind(world.answer(&forged).await), K::InvalidNonceSignature);
    }
    let stranger = Draft::honest();
    let enrolling = signer::detached(&stranger.pair(), &text);
    let enrolling = response(stranger.fingerprint(), &challenge, enrolling, Some(stranger.armored()));
    assert_eq!(kind(world.answer(&enrolling).await), K::InvalidNonce);
    assert!(world.stored(stranger.fingerprint()).await.is_none());
    let own = response(alice.fingerprint(), &challenge, signer::detached(&alice.pair(), &text), None);
    world.answer(&own).await.expect("its owner");
}

#[tokio::test]
async fn failed_attempts_do_not_burn_the_challenge() {
    let world = World::new().await;
    let draft = Draft::honest();
    let challenge = world.challenge(draft.fingerprint()).await;
    let good = signer::detached(&draft.pair(), &payload(&challenge));
    let certificate = Some(draft.armored());
    let answer = |signature: &str, certificate: &Option<String>| {
        response(draft.fingerprint(), &challenge, signature.to_owned(), certificate.clone())
    };
    let failures = [
        (answer("nonsense", &certificate), K::InvalidNonceSignature),
        (answer(&good, &Some("nonsense".into())), K::InvalidPublicKey),
        (answer(&good, &Some(Draft::honest().armored())), K::FingerprintMismatch),
        (answer(&good, &None), K::UnknownFingerprint),
    ];
    for (attempt, expected) in &failures {
        assert_eq!(kind(world.answer(attempt).await), *expected);
    }
    let mut claiming = answer(&good, &certificate);
    claiming.claims = Some(capauth_tests::login::json(r#"{"name":"x"}"#));
    assert_eq!(kind(world.answer(&claiming).await), K::InvalidClaimsSignature);
    assert_eq!(world.count().await, 0);
    world.answer(&answer(&good, &certificate)).await.expect("at last");
}

#[tokio::test]
async fn expired_challenge_is_told_so_to_its_own_fingerprint_alone_and_only_unused() {
    let world = World::new().await;
    let ((alice, _), (eve, _)) = (world.member().await, world.member().await);
    let challenge = world.challenge(alice.fingerprint()).await;
    let used = world.challenge(alice.fingerprint()).await;
    let sign = |draft: &Draft, challenge: &ChallengeResponse| {
        response(draft.fingerprint(), challenge, signer::detached(&draft.pair(), &payload(challenge)), None)
    };
    world.answer(&sign(&alice, &used)).await.unwrap();
    world.advance(59);
    let late = world.challenge(alice.fingerprint()).await;
    world.advance(1);
    assert_eq!(kind(world.answer(&sign(&alice, &challenge)).await), K::ExpiredNonce);
    assert_eq!(kind(world.answer(&sign(&eve, &challenge)).await), K::InvalidNonce);
    assert_eq!(kind(world.answer(&sign(&alice, &used)).await), K::InvalidNonce);
    world.answer(&sign(&alice, &late)).await.expect("a second old");

    let barely = world.challenge(alice.fingerprint()).await;
    world.advance(59);
    world.answer(&sign(&alice, &barely)).await.expect("in its last second");
}

#[tokio::test]
async fn unknown_challenge() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let mut challenge = world.challenge(member.fingerprint()).await;
    challenge.nonce = Nonce::from_random_bytes([7; 16]).to_string();
    let signature = signer::detached(&member.pair(), &payload(&challenge));
    let outcome = world.answer(&response(member.fingerprint(), &challenge, signature, None)).await;
    assert_eq!(kind(outcome), K::InvalidNonce);
    // Another installation knows nothing of it either.
    let elsewhere = World::new().await;
    let honest = world.challenge(member.fingerprint()).await;
    let signature = signer::detached(&member.pair(), &payload(&honest));
    let answer = response(member.fingerprint(), &honest, signature, Some(member.armored()));
    assert_eq!(kind(elsewhere.answer(&answer).await), K::InvalidNonce);
    assert_eq!(elsewhere.count().await, 0);
    world.answer(&answer).await.expect("here it is known");
}

#[tokio::test]
async fn enrolment_without_proof_leaves_the_store_unchanged() {
    let world = World::new().await;
    let (draft, stranger) = (Draft::honest(), Draft::honest());
    let outcome = world.enrol(&draft, &stranger.pair()).await;
    assert_eq!(kind(outcome), K::InvalidNonceSignature);
    let backdated = |text: &str| {
        signer::detached_with(&draft.pair(), text, |b| {
            b.set_signature_creation_time(at(-6 * MINUTE)).unwrap()
        })
    };
    let outcome = world.log_in(draft.fingerprint(), Some(draft.armored()), backdated).await;
    assert_eq!(kind(outcome), K::InvalidNonceSignature);
    assert!(world.stored(draft.fingerprint()).await.is_none());
    assert_eq!(world.count().await, 0);
    // Without a certificate there is nothing to check the signature with.
    let outcome = world.return_with(draft.fingerprint(), &draft.pair()).await;
    assert_eq!(kind(outcome), K::UnknownFingerprint);
    world.enrol(&draft, &draft.pair()).await.expect("with proof");
    assert_eq!(world.count().await, 1);
    world.return_with(draft.fingerprint(), &draft.pair()).await.expect("from now on without the certificate");
}

#[tokio::test]
async fn challenge_for_a_service_that_is_not_ours() {
    let world = World::with(|b| b.service(ServiceEntry::new(APP))).await;
    let (member, _) = world.member().await;
    let ask = async |service: &str, host: Option<&str>| {
        let asked = ChallengeRequest { requested_service: service.into(), ..request(member.fingerprint()) };
        let caller = Caller { host: host.map(str::to_owned), ..Caller::default() };
        world.verifier.challenge(&asked, &caller).await.map(|challenge| challenge.service)
    };
    for (service, host) in [
        ("evil.example", None),
        ("evil.example", Some(SERVICE)),
        ("app.example.com.evil.example", None),
        ("evil.example/app.example.com", Some(SERVICE)),
        (" ", None),
        (".example.com", None),
    ] {
        assert_eq!(kind(ask(service, host).await), K::ServiceMismatch, "{service}");
    }
    // The Host decides nothing about which service is named: a forged one only ever names the own service.
    for (service, host) in
        [("", Some("evil.example")), ("evil.example", Some("evil.example")), (SERVICE, None)]
    {
        assert_eq!(ask(service, host).await.unwrap(), SERVICE, "{service}");
    }
    assert_eq!(ask(APP, None).await.unwrap(), APP);
}

#[tokio::test]
async fn origin_of_another_service() {
    let world = World::with(|b| b.service(ServiceEntry::new(APP))).await;
    let (member, _) = world.member().await;
    let ask = async |service: &str, origin: &str| {
        let asked = ChallengeRequest {
            requested_service: service.into(),
            origin: Some(origin.into()),
            ..request(member.fingerprint())
        };
        world.ask(asked).await.map(|challenge| (challenge.service, challenge.origin))
    };
    for (service, origin) in [
        (SERVICE, APP_ORIGIN),
        (APP, ORIGIN),
        (SERVICE, "https://evil.example"),
        (SERVICE, "http://app.example.com"),
        (SERVICE, "https://app.example.com:8443"),
        (SERVICE, "https://app.example.com/"),
        (SERVICE, "https://APP.example.com"),
        (SERVICE, "https://app.example.com.evil.example"),
        (SERVICE, "null"),
        (SERVICE, "*"),
        ("", APP_ORIGIN),
    ] {
        assert_eq!(kind(ask(service, origin).await), K::InvalidOrigin, "{service} {origin}");
    }
    assert_eq!(ask(SERVICE, ORIGIN).await.unwrap(), (SERVICE.into(), ORIGIN.into()));
    assert_eq!(ask(APP, APP_ORIGIN).await.unwrap(), (APP.into(), APP_ORIGIN.into()));
}

#[tokio::test]
async fn version_1_where_version_2_is_required() {
    let world = World::with(|b| b.require_v2(true)).await;
    let draft = Draft::honest();
    assert_eq!(kind(world.ask(request(draft.fingerprint())).await), K::InvalidOrigin);
    let v2 = |origin: &str| ChallengeRequest { origin: Some(origin.into()), ..request(draft.fingerprint()) };
    assert_eq!(kind(world.ask(v2("")).await), K::InvalidOrigin);
    let challenge = world.ask(v2(ORIGIN)).await.expect("an origin");
    let signature = signer::detached(&draft.pair(), &payload(&challenge));
    let answer = response(draft.fingerprint(), &challenge, signature, Some(draft.armored()));
    world.answer(&answer).await.expect("version 2");

    // A challenge that a node made before the switch was thrown does not go round it.
    let lenient = world.beside(SERVICE, |b| b).await;
    let old = lenient.challenge(draft.fingerprint()).await;
    let signature = signer::detached(&draft.pair(), &payload(&old));
    let answer = response(draft.fingerprint(), &old, signature, None);
    assert_eq!(kind(world.answer(&answer).await), K::InvalidOrigin);
    lenient.answer(&answer).await.expect("the node that still takes version 1");
}

/// A field with a line end in it would be a field of its own in what the person signs.
#[tokio::test]
async fn payload_lines_injected_through_the_client_nonce() {
    let world = World::new().await;
    let draft = Draft::honest();
    for injected in ["A\norigin=https://evil.example", "A\r", "A\u{85}", "A\u{7f}"] {
        let asked = ChallengeRequest { client_nonce: Some(injected.into()), ..request(draft.fingerprint()) };
        assert_eq!(kind(world.ask(asked).await), K::InvalidRequest, "{injected:?}");
    }
    let missing = ChallengeRequest { client_nonce: None, ..request(draft.fingerprint()) };
    assert_eq!(kind(world.ask(missing).await), K::InvalidRequest);
    world.ask(request(draft.fingerprint())).await.expect("base64");
}

#[tokio::test]
async fn answer_for_application_a_given_to_b() {
    // One central service with two applications: the token is for the one that the person signed for.
    let world = World::with(|b| b.service(ServiceEntry::new(APP))).await;
    let (member, _) = world.member().await;
    let asked = ChallengeRequest { requested_service: APP.into(), ..request(member.fingerprint()) };
    let challenge = world.ask(asked).await.unwrap();
    assert_eq!(challenge.service, APP);
    let signature = signer::detached(&member.pair(), &payload(&challenge));
    let login =
        world.answer(&response(member.fingerprint(), &challenge, signature, None)).await.expect("a login");
    assert_eq!(login.who.session().service, APP);
    let token = &login.response.access_token;
    assert_eq!(
        kind(world.verifier.authenticate(token, Audience::Own).await),
        K::InvalidToken,
        "A's token at the service"
    );
    let who = world
        .verifier
        .authenticate(token, Audience::AnyOfIssuer)
        .await
        .expect("what the token says may be asked");
    assert_eq!(who.session().service, APP);

    let own = world.return_with(member.fingerprint(), &member.pair()).await.unwrap();
    world
        .verifier
        .authenticate(&own.response.access_token, Audience::Own)
        .await
        .expect("the service's own token");
}

#[tokio::test]
async fn token_for_a_at_b() {
    // Two applications that share stores and issuer, each reading for itself.
    let a = World::new().await;
    let b = a.beside(APP, |b| b.base_url(ISSUER)).await;
    let (member, login) = a.member().await;
    let token = &login.response.access_token;
    assert_eq!(kind(b.verifier.authenticate(token, Audience::Own).await), K::InvalidToken);
    assert_eq!(
        kind(b.verifier.authenticate(token, Audience::AnyOfIssuer).await),
        K::InvalidToken,
        "not a service of B's"
    );
    a.verifier.authenticate(token, Audience::Own).await.expect("at A");
    let login = b.return_with(member.fingerprint(), &member.pair()).await.expect("the same person at B");
    b.verifier.authenticate(&login.response.access_token, Audience::Own).await.expect("B's token at B");
    assert_eq!(
        kind(a.verifier.authenticate(&login.response.access_token, Audience::Own).await),
        K::InvalidToken
    );
}

/// A verifier lets nobody in with the answer to a challenge for a service it does not speak for.
#[tokio::test]
async fn challenge_of_a_answered_at_b() {
    let a = World::new().await;
    let b = a.beside(APP, |b| b.base_url(ISSUER)).await;
    let (member, _) = a.member().await;
    let challenge = a.challenge(member.fingerprint()).await;
    assert_eq!(challenge.service, SERVICE);
    let signature = signer::detached(&member.pair(), &payload(&challenge));
    let answer = response(member.fingerprint(), &challenge, signature, None);
    assert_eq!(kind(b.answer(&answer).await), K::InvalidNonce);
    a.answer(&answer).await.expect("at A");
}
