//! Refresh tokens, shown by many at once.

use std::sync::Arc;

use capauth_tests::life::{self, By, key};
use capauth_tests::login::World;
use capauth_verifier::{Audience, AuthErrorKind as E, Caller, Verifier as _};

use crate::{Call, Place, ROUNDS, together};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_who_show_one_refresh_token_all_are_answered_and_it_advances_once() {
    for _ in 0..ROUNDS {
        let (place, _) = Place::of([0]).await;
        let mut request = life::answer(&place.world, 0, By::Primary, None).await;
        request.refresh = true;
        let first = place.world.answer(&request).await.unwrap().response.refresh_token.unwrap();
        let show = |token: &str| -> Call<_> {
            let (world, token) = (Arc::clone(&place.world), token.to_owned());
            Box::pin(async move { world.verifier.refresh_token(&token, &Caller::default()).await })
        };
        let answers = together((0..64).map(|_| show(&first)).collect()).await;
        let mut seconds = Vec::new();
        for answer in answers {
            let answer = answer.expect("the current token, or the one before within the grace");
            let token = place.world.verifier.authenticate(&answer.access_token, Audience::Own).await;
            assert_eq!(token.unwrap().sub(), key(0).fingerprint);
            seconds.push(answer.refresh_token);
        }
        // All of them are of the second generation: after one of them has advanced, the others are the ones before.
        for second in &seconds {
            assert!(show(second).await.is_ok());
        }
        assert_eq!(show(&first).await.unwrap_err().kind(), E::InvalidToken, "two generations old");
        assert_eq!(
            show(&seconds[0]).await.unwrap_err().kind(),
            E::InvalidToken,
            "and so the family has ended"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_against_the_end_of_its_session() {
    for _ in 0..ROUNDS {
        let (place, _) = Place::of([0]).await;
        let mut request = life::answer(&place.world, 0, By::Primary, None).await;
        request.refresh = true;
        let login = place.world.answer(&request).await.unwrap();
        let (token, session) = (login.response.refresh_token.clone().unwrap(), login.who.session().clone());
        let refresh = |world: Arc<World>| -> Call<_> {
            let token = token.clone();
            Box::pin(async move { world.verifier.refresh_token(&token, &Caller::default()).await.ok() })
        };
        let mut calls: Vec<Call<_>> = (0..4).map(|_| refresh(Arc::clone(&place.world))).collect();
        let world = Arc::clone(&place.world);
        calls.push(Box::pin(async move {
            world.verifier.end(&session).await.unwrap();
            None
        }));
        for renewed in together(calls).await.into_iter().flatten() {
            let token = place.world.verifier.authenticate(&renewed.access_token, Audience::Own).await;
            assert_eq!(token.unwrap_err().kind(), E::InvalidToken);
            let again = place.world.verifier.refresh_token(&renewed.refresh_token, &Caller::default()).await;
            assert_eq!(again.unwrap_err().kind(), E::InvalidToken);
        }
        assert!(!place.is_good(&login).await);
    }
}
