//! What administrators and keys themselves decide, against logins.

use std::sync::Arc;

use capauth_tests::life::{self, By, Cert, key};
use capauth_tests::login::World;
use capauth_verifier::{Actor, Audience, AuthErrorKind as E, EnrollmentMode, Verifier as _};

use crate::{Call, Came, Place, ROUNDS, once, together, winners};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revocation_by_an_administrator_against_logins() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0]).await;
        let token = before[0].response.access_token.clone();
        let mut calls = vec![once(place.administers(async move |world: Arc<World>| {
            world.verifier.revoke(&key(0).fingerprint).await?;
            // It has answered: from now on nothing counts, not in a moment.
            let earlier = world.verifier.authenticate(&token, Audience::Own).await;
            assert_eq!(earlier.map(|who| who.sub()).map_err(|error| error.kind()), Err(E::InvalidToken));
            Ok(())
        }))];
        for cert in [None, None, Some(Cert::Plain), Some(Cert::SubkeyRevoked)] {
            calls.push(place.keeps_logging_in(0, cert));
        }
        let outcomes = together(calls).await;
        assert!(matches!(outcomes[0][0], Came::Done));
        place.is_sound().await;
        place.nobody_is_in(outcomes.iter().flatten(), &[E::KeyRevoked]).await;
        assert_eq!(place.log_in(0, Some(Cert::Plain)).await.unwrap_err().kind(), E::KeyRevoked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_keys_own_revocation_against_its_logins() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0]).await;
        let mut calls = vec![place.keeps_logging_in(0, Some(Cert::Revoked))];
        for cert in [None, None, Some(Cert::Plain), Some(Cert::Renewed)] {
            calls.push(place.keeps_logging_in(0, cert));
        }
        let outcomes = together(calls).await;
        assert!(matches!(outcomes[0][0], Came::Refused(E::KeyRevoked)));
        place.is_sound().await;
        place.nobody_is_in(outcomes.iter().flatten(), &[E::KeyRevoked]).await;
        assert!(!place.is_good(&before[0]).await);
        assert!(place.world.stored(key(0).fingerprint).await.unwrap().revoked.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn approval_against_erasure_of_who_waits() {
    for _ in 0..ROUNDS {
        let place = Place::new(EnrollmentMode::Approval).await;
        assert_eq!(place.log_in(0, Some(Cert::Plain)).await.unwrap_err().kind(), E::EnrollmentPending);
        let calls = vec![
            once(
                place.administers(async |world: Arc<World>| world.verifier.erase(&key(0).fingerprint).await),
            ),
            once(
                place
                    .administers(async |world: Arc<World>| world.verifier.approve(&key(0).fingerprint).await),
            ),
            place.keeps_logging_in(0, None),
        ];
        let outcomes = together(calls).await;
        assert!(matches!(outcomes[0][0], Came::Done), "it was there to be erased");
        place
            .nobody_is_in(
                outcomes.iter().flatten(),
                &[E::NotFound, E::EnrollmentPending, E::UnknownFingerprint],
            )
            .await;
        assert_eq!(place.role(0).await, None);
        assert_eq!(place.world.count().await, 0);
        let again = place.log_in(0, Some(Cert::Plain)).await;
        assert_eq!(again.unwrap_err().kind(), E::EnrollmentPending, "approval is not inherited");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn erasure_against_logins() {
    for _ in 0..ROUNDS {
        let (place, before) = Place::of([0]).await;
        let erase = async |world: Arc<World>| world.verifier.erase(&key(0).fingerprint).await;
        let mut calls = vec![once(place.administers(erase))];
        for _ in 0..4 {
            calls.push(place.keeps_logging_in(0, None));
        }
        let outcomes = together(calls).await;
        assert!(matches!(outcomes[0][0], Came::Done));
        place.nobody_is_in(outcomes.iter().flatten(), &[E::UnknownFingerprint]).await;
        assert!(!place.is_good(&before[0]).await);
        // It may come again, and what it had before stays worthless.
        assert!(place.log_in(0, Some(Cert::Plain)).await.unwrap().response.is_new_enrollment);
        place.nobody_is_in(outcomes.iter().flatten(), &[E::UnknownFingerprint]).await;
        assert!(!place.is_good(&before[0]).await);
        place.is_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_that_many_bring_lets_one_in() {
    for _ in 0..ROUNDS {
        let place = Place::new(EnrollmentMode::Approval).await;
        let admin = place.world.verifier.administration(Actor::Administrator, None);
        let code = admin.make_code(&["staff".to_owned()], None).await.unwrap().enrollment_code;
        let mut calls: Vec<Call<Came>> = Vec::new();
        for k in 0..life::KEYS {
            let mut request = life::answer(&place.world, k, By::Primary, Some(Cert::Plain)).await;
            request.enrollment_code = Some(code.clone());
            let world = Arc::clone(&place.world);
            calls.push(Box::pin(async move {
                match world.answer(&request).await {
                    Ok(login) => Came::LoggedIn(Box::new(login)),
                    Err(error) => Came::Refused(error.kind()),
                }
            }));
        }
        let outcomes = together(calls).await;
        assert_eq!(winners(&outcomes, &[E::EnrollmentClosed]), 1);
        assert_eq!(place.world.count().await, 1);
        let login = outcomes.iter().find_map(|outcome| match outcome {
            Came::LoggedIn(login) => Some(login),
            Came::Done | Came::Refused(_) => None,
        });
        let login = login.expect("one of them is in");
        assert!(place.is_good(login).await);
        assert_eq!(login.who.groups(), ["staff"]);
        place.is_sound().await;
    }
}
