//! Rotations against each other, and against logins.

use std::sync::Arc;

use capauth_tests::life::{self, By, Cert, key};
use capauth_verifier::{AuthErrorKind as E, Caller, KeyRole};

use crate::{Call, Came, Place, ROUNDS, came, once, together, winners};

const DAY: u64 = 24 * 3600;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotation_against_logins_of_the_old_key() {
    for round in 0..ROUNDS {
        let (place, before) = Place::of([0]).await;
        // Every other time something of the old key is revoked meanwhile.
        let other = if round % 2 == 0 { Cert::Plain } else { Cert::SubkeyRevoked };
        let mut calls = vec![once(place.rotates(0, 1).await)];
        for cert in [None, None, Some(other)] {
            calls.push(place.keeps_logging_in(0, cert));
        }
        let mut outcomes = together(calls).await;
        let rotated = match outcomes.remove(0)[0] {
            Came::Done => true,
            // What the old key said was said by older facts.
            Came::Refused(E::Conflict) if other == Cert::SubkeyRevoked => false,
            _ => panic!("nothing stands in the way"),
        };
        place.is_sound().await;
        assert_eq!(place.role(1).await.is_some(), rotated);
        if rotated {
            place.nobody_is_in(outcomes.iter().flatten(), &[E::KeyRevoked]).await;
            assert!(!place.is_good(&before[0]).await);
            let new = place.log_in(1, None).await.unwrap();
            assert_eq!(new.who.sub(), key(0).fingerprint);
            assert_eq!(place.log_in(0, None).await.unwrap_err().kind(), E::KeyRevoked);
        } else {
            assert!(place.log_in(0, None).await.is_ok());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_rotations_of_one_key_one_wins() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0]).await;
        let outcomes = together(vec![place.rotates(0, 1).await, place.rotates(0, 2).await]).await;
        assert_eq!(winners(&outcomes, &[E::Conflict, E::KeyRevoked]), 1);
        place.is_sound().await;
        let won = if matches!(outcomes[0], Came::Done) { 1 } else { 2 };
        assert_eq!(place.role(won).await, Some(KeyRole::Primary));
        assert_eq!(place.role(3 - won).await, None);
        assert!(matches!(place.role(0).await, Some(KeyRole::Archived(_))));
        assert!(!place.is_good(&before[0]).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_rotations_to_one_key_one_wins() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0, 1]).await;
        let outcomes = together(vec![place.rotates(0, 2).await, place.rotates(1, 2).await]).await;
        assert_eq!(winners(&outcomes, &[E::Conflict]), 1);
        place.is_sound().await;
        let lost = if matches!(outcomes[0], Came::Done) { 1 } else { 0 };
        assert_eq!(place.role(lost).await, Some(KeyRole::Primary));
        assert!(place.is_good(&before[lost]).await, "nothing happened to who lost");
        assert!(!place.is_good(&before[1 - lost]).await);
        assert_eq!(place.log_in(2, None).await.unwrap().who.sub(), key(1 - lost).fingerprint);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_that_comes_due_against_logins_of_both_keys() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0]).await;
        let request = life::rotation(&place.world, 0, 1, By::Subkey, Cert::Plain).await;
        assert!(!place.world.verifier.rotate(&request, &Caller::default()).await.unwrap().rotated);
        place.world.advance(8 * DAY);
        let mut calls = vec![place.keeps_logging_in(1, None)];
        for cert in [None, None, Some(Cert::Plain)] {
            calls.push(place.keeps_logging_in(0, cert));
        }
        let mut outcomes = together(calls).await;
        let new = outcomes.remove(0);
        // Whoever comes first does what is due; until that is done the old key may still come in, for a moment.
        place.nobody_is_in(outcomes.iter().flatten(), &[E::KeyRevoked]).await;
        assert!(!place.is_good(&before[0]).await);
        place.is_sound().await;
        assert!(matches!(place.role(0).await, Some(KeyRole::Archived(_))));
        for outcome in new {
            match outcome {
                Came::LoggedIn(login) => {
                    assert_eq!(login.who.sub(), key(0).fingerprint);
                    assert!(place.is_good(&login).await);
                }
                Came::Refused(reason) => assert_eq!(reason, E::UnknownFingerprint),
                Came::Done => panic!("a login"),
            }
        }
        assert_eq!(place.log_in(1, None).await.unwrap().who.sub(), key(0).fingerprint);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_that_comes_due_against_its_cancellation() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0]).await;
        let request = life::rotation(&place.world, 0, 1, By::Subkey, Cert::Plain).await;
        assert!(!place.world.verifier.rotate(&request, &Caller::default()).await.unwrap().rotated);
        place.world.advance(8 * DAY);
        let request = life::cancellation(&place.world, 0, By::Primary).await;
        let world = Arc::clone(&place.world);
        let cancels: Call<Came> =
            Box::pin(async move { came(world.verifier.cancel_rotation(&request, &Caller::default()).await) });
        let outcomes = together(vec![once(cancels), place.keeps_logging_in(0, None)]).await;
        place.is_sound().await;
        let cancelled = matches!(outcomes[0][0], Came::Done);
        assert_eq!(place.role(0).await == Some(KeyRole::Primary), cancelled);
        assert_eq!(place.role(1).await.is_some(), !cancelled);
        if !cancelled {
            assert_eq!(winners(&outcomes[0], &[E::KeyRevoked, E::NotFound]), 0);
            place.nobody_is_in(&outcomes[1], &[E::KeyRevoked]).await;
        }
        assert!(!place.is_good(&before[0]).await, "past its time, or ended");
    }
}
