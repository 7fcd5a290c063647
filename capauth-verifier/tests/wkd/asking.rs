//! How often a directory is asked, and how long its answer is believed.

use std::sync::Arc;

use capauth_verifier::DirectoryErrorKind as Kind;

use crate::keys::{fingerprint, key};
use crate::names::Found;
use crate::server::Reply;
use crate::world::{ADA, ADVANCED, World, verify, verify_as};

#[tokio::test]
async fn a_key_that_vanished_counts_for_an_hour_and_no_longer() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), world.verifier());
    world.serves(ADVANCED, &cert);
    assert_eq!(verify(&verifier, ADA, &cert).await.as_deref(), Some(ADA));
    world.server.always(ADVANCED, Reply::status(404, ""));
    world.advance(3599);
    assert_eq!(verify(&verifier, ADA, &cert).await.as_deref(), Some(ADA));
    assert_eq!(world.server.times(ADVANCED), 1);
    world.advance(1);
    assert_eq!(verify(&verifier, ADA, &cert).await, None);
    assert_eq!(world.server.times(ADVANCED), 2);
    // Back again, it counts as soon as the no is forgotten.
    world.serves(ADVANCED, &cert);
    world.advance(299);
    assert_eq!(verify(&verifier, ADA, &cert).await, None);
    assert_eq!(world.server.times(ADVANCED), 2);
    world.advance(1);
    assert_eq!(verify(&verifier, ADA, &cert).await.as_deref(), Some(ADA));
    assert_eq!(world.server.times(ADVANCED), 3);
}

#[tokio::test]
async fn a_failure_is_remembered_like_a_no() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), world.verifier());
    world.names.always(ADVANCED, Found::Fails(Kind::Network));
    assert_eq!(verify(&verifier, ADA, &cert).await, None);
    world.names.always(ADVANCED, Found::at(&["127.0.0.1"]));
    world.serves(ADVANCED, &cert);
    assert_eq!(verify(&verifier, ADA, &cert).await, None);
    assert_eq!(world.names.asked().len(), 1);
    world.advance(300);
    assert!(verify(&verifier, ADA, &cert).await.is_some());
}

#[tokio::test]
async fn who_could_not_be_asked_for_is_not_remembered() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), world.verifier());
    world.serves(ADVANCED, &cert);
    world.names.in_turn(ADVANCED, [Found::Fails(Kind::Busy), Found::at(&["127.0.0.1"])]);
    assert_eq!(verify(&verifier, ADA, &cert).await, None);
    assert!(verify(&verifier, ADA, &cert).await.is_some());
}

#[tokio::test]
async fn an_answer_is_fetched_once_for_all_spellings() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), world.verifier());
    world.serves(ADVANCED, &cert);
    for claim in [ADA, ADA, "ADA@example.org", "ada@EXAMPLE.org"] {
        assert!(verify(&verifier, claim, &cert).await.is_some());
    }
    assert_eq!(world.server.times(ADVANCED), 1);
}

#[tokio::test]
async fn attack_an_answer_about_another_key_or_address_is_not_taken() {
    let world = World::start().await;
    let (cert, stranger, verifier) = (key(&[ADA]), key(&[ADA]), world.verifier());
    world.serves(ADVANCED, &cert);
    assert!(verify(&verifier, ADA, &cert).await.is_some());
    assert_eq!(verify(&verifier, ADA, &stranger).await, None);
    assert_eq!(verify(&verifier, "bob@example.org", &cert).await, None);
    assert_eq!(world.server.times(ADVANCED), 3);
    assert!(verify(&verifier, ADA, &cert).await.is_some());
    assert_eq!(world.server.times(ADVANCED), 3);
}

#[tokio::test]
async fn who_asks_at_the_same_time_gets_the_same_answer() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), world.verifier());
    world.serves(ADVANCED, &cert);
    let asked = || verify(&verifier, ADA, &cert);
    let all = tokio::join!(asked(), asked(), asked(), asked(), asked(), asked(), asked(), asked());
    let all = [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7];
    assert!(all.iter().all(|verified| verified.as_deref() == Some(ADA)));
    assert_eq!(world.server.times(ADVANCED), 1);
}

#[tokio::test]
async fn attack_one_who_hangs_up_does_not_hold_up_the_others() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), Arc::new(world.verifier()));
    world.server.always(ADVANCED, Reply::Pause(Vec::new()));
    let first = tokio::spawn({
        let (cert, verifier) = (cert.clone(), Arc::clone(&verifier));
        async move { verify(&verifier, ADA, &cert).await }
    });
    world.server.until_asked(1).await;
    world.serves(ADVANCED, &cert);
    first.abort();
    let _ = first.await;
    assert!(verify(&verifier, ADA, &cert).await.is_some());
}

#[tokio::test]
async fn attack_an_identity_that_asks_for_address_after_address() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), world.verifier());
    world.serves(ADVANCED, &cert);
    let (one, two) = (fingerprint(&cert), fingerprint(&key(&[])));
    for number in 0..4 {
        assert_eq!(verify_as(&verifier, &format!("a{number}@example.org"), &one, &cert).await, None);
    }
    // The fifth in the minute is the last, and what is known needs no lookup.
    assert!(verify_as(&verifier, ADA, &one, &cert).await.is_some());
    assert_eq!(verify_as(&verifier, "a5@example.org", &one, &cert).await, None);
    assert_eq!(world.server.times(ADVANCED), 5);
    assert!(verify_as(&verifier, ADA, &one, &cert).await.is_some());
    assert_eq!(world.server.times(ADVANCED), 5);
    // Others are not held up, and a minute later the identity asks again.
    assert_eq!(verify_as(&verifier, "a5@example.org", &two, &cert).await, None);
    assert_eq!(world.server.times(ADVANCED), 6);
    world.advance(59);
    assert_eq!(verify_as(&verifier, "a6@example.org", &one, &cert).await, None);
    assert_eq!(world.server.times(ADVANCED), 6);
    world.advance(1);
    assert_eq!(verify_as(&verifier, "a6@example.org", &one, &cert).await, None);
    assert_eq!(world.server.times(ADVANCED), 7);
}

#[tokio::test]
async fn attack_a_refusal_for_haste_is_not_remembered_against_the_address() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), world.verifier());
    world.serves(ADVANCED, &cert);
    let (hasty, calm) = (fingerprint(&key(&[])), fingerprint(&cert));
    for number in 0..5 {
        assert_eq!(verify_as(&verifier, &format!("a{number}@example.org"), &hasty, &cert).await, None);
    }
    assert_eq!(verify_as(&verifier, ADA, &hasty, &cert).await, None);
    assert!(verify_as(&verifier, ADA, &calm, &cert).await.is_some());
}

#[tokio::test]
async fn a_clock_that_is_set_back_believes_nothing_from_its_future() {
    let world = World::start().await;
    let (cert, verifier) = (key(&[ADA]), world.verifier());
    world.serves(ADVANCED, &cert);
    world.advance(600);
    assert!(verify(&verifier, ADA, &cert).await.is_some());
    world.clock.set(std::time::SystemTime::now());
    world.server.always(ADVANCED, Reply::status(404, ""));
    assert_eq!(verify(&verifier, ADA, &cert).await, None);
}
