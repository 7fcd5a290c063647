//! Links against each other, and against rotations.

use capauth_tests::life::key;
use capauth_verifier::{AuthErrorKind as E, KeyRole};

use crate::{Came, Place, ROUNDS, once, together, winners};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_keys_that_link_each_other_make_no_circle() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0, 1]).await;
        let outcomes = together(vec![place.links(0, 1).await, place.links(1, 0).await]).await;
        assert_eq!(winners(&outcomes, &[E::Conflict]), 1);
        place.is_sound().await;
        let primary = if matches!(outcomes[0], Came::Done) { 0 } else { 1 };
        assert_eq!(place.role(primary).await, Some(KeyRole::Primary));
        assert_eq!(place.role(1 - primary).await, Some(KeyRole::Secondary(key(primary).fingerprint)));
        assert!(place.is_good(&before[primary]).await);
        assert!(!place.is_good(&before[1 - primary]).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_two_want_to_link_is_linked_to_one() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0, 1, 2]).await;
        let calls = vec![
            place.keeps_logging_in(2, None),
            once(place.links(0, 2).await),
            once(place.links(1, 2).await),
        ];
        let mut outcomes = together(calls).await;
        let logins = outcomes.remove(0);
        let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
        assert_eq!(winners(&outcomes, &[E::Conflict]), 1);
        place.is_sound().await;
        let primary = if matches!(outcomes[0], Came::Done) { 0 } else { 1 };
        assert_eq!(place.role(2).await, Some(KeyRole::Secondary(key(primary).fingerprint)));
        assert!(!place.is_good(&before[2]).await, "its former tokens end");
        // It came in before, for itself, and that ended; or after, as one of the identity's.
        for login in logins {
            let Came::LoggedIn(login) = login else { panic!("it could sign in all the time") };
            let expected = if place.is_good(&login).await { key(primary) } else { key(2) };
            assert_eq!(login.who.sub(), expected.fingerprint);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_against_a_rotation_of_either_key() {
    for round in 0..ROUNDS {
        let (place, _) = Place::of([0, 1]).await;
        let old = round % 2;
        let outcomes = together(vec![place.links(0, 1).await, place.rotates(old, 2).await]).await;
        // A primary key may rotate before and after; a key that is linked, or was replaced, has lost its word.
        assert!(winners(&outcomes, &[E::Conflict, E::KeyRevoked]) >= 1);
        place.is_sound().await;
        let linked = matches!(outcomes[0], Came::Done);
        let rotated = matches!(outcomes[1], Came::Done);
        assert_eq!(place.role(2).await.is_some(), rotated);
        let primary = if old == 0 && rotated { 2 } else { 0 };
        let expected = KeyRole::Secondary(key(primary).fingerprint);
        assert_eq!(place.role(1).await == Some(expected), linked);
        if old == 1 {
            assert!(!(linked && rotated), "a linked key does not rotate");
        }
    }
}
