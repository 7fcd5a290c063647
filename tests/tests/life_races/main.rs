//! What happens when two do something to the same keys at the same moment, on a real database. Whoever comes first,
//! afterwards everything is as if they had come one after the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

mod links;
mod rotations;
mod sessions;
mod standing;

use std::pin::Pin;
use std::sync::Arc;

use capauth_tests::life::{self, By, Cert, K, key};
use capauth_tests::login::World;
use capauth_verifier::{
    Audience, AuthError, AuthErrorKind as E, Caller, EnrollmentMode, KeyQuery, KeyRole, Login, Verifier as _,
};
use tokio::sync::Barrier;

/// How often each race is run.
pub(crate) const ROUNDS: usize = 20;
/// How often somebody signs in meanwhile.
const TRIES: usize = 6;

pub(crate) type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Starts all of them at the same moment. Answers in the order in which they are given.
pub(crate) async fn together<T: Send + 'static>(calls: Vec<Call<T>>) -> Vec<T> {
    let start = Arc::new(Barrier::new(calls.len()));
    let start_of = |call: Call<T>| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            call.await
        })
    };
    let running: Vec<_> = calls.into_iter().map(start_of).collect();
    let mut answers = Vec::new();
    for task in running {
        answers.push(task.await.unwrap());
    }
    answers
}

/// The one call of somebody who makes no more.
pub(crate) fn once(call: Call<Came>) -> Call<Vec<Came>> {
    Box::pin(async move { vec![call.await] })
}

/// What one call came to.
pub(crate) enum Came {
    LoggedIn(Box<Login>),
    Done,
    Refused(E),
}

pub(crate) fn came<T>(outcome: Result<T, AuthError>) -> Came {
    outcome.map_or_else(|error| Came::Refused(error.kind()), |_| Came::Done)
}

pub(crate) struct Place {
    pub(crate) world: Arc<World>,
    _folder: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn new(mode: EnrollmentMode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stores = life::sqlite_in(folder.path(), "keys.db").await;
        let world = life::world_over(stores, |b| b.enrollment(mode)).await;
        Self { world: Arc::new(world), _folder: folder }
    }

    /// With these members.
    pub(crate) async fn of(members: impl IntoIterator<Item = K>) -> (Self, Vec<Login>) {
        let place = Self::new(EnrollmentMode::Open).await;
        let mut logins = Vec::new();
        for k in members {
            logins.push(place.log_in(k, Some(Cert::Plain)).await.unwrap());
        }
        (place, logins)
    }

    pub(crate) async fn log_in(&self, k: K, cert: Option<Cert>) -> Result<Login, AuthError> {
        let request = life::answer(&self.world, k, By::Primary, cert).await;
        self.world.answer(&request).await
    }

    /// Signs in a few times without a pause, so that one of them falls into whatever else goes on.
    pub(crate) fn keeps_logging_in(&self, k: K, cert: Option<Cert>) -> Call<Vec<Came>> {
        let world = Arc::clone(&self.world);
        Box::pin(async move {
            let mut outcomes = Vec::new();
            for _ in 0..TRIES {
                let request = life::answer(&world, k, By::Primary, cert).await;
                outcomes.push(match world.answer(&request).await {
                    Ok(login) => Came::LoggedIn(Box::new(login)),
                    Err(error) => Came::Refused(error.kind()),
                });
            }
            outcomes
        })
    }

    pub(crate) async fn rotates(&self, old: K, new: K) -> Call<Came> {
        let request = life::rotation(&self.world, old, new, By::Primary, Cert::Plain).await;
        let world = Arc::clone(&self.world);
        Box::pin(async move { came(world.verifier.rotate(&request, &Caller::default()).await) })
    }

    pub(crate) async fn links(&self, primary: K, secondary: K) -> Call<Came> {
        let request = life::link(&self.world, primary, secondary, None).await;
        let world = Arc::clone(&self.world);
        Box::pin(async move { came(world.verifier.link(&request, &Caller::default(), false).await) })
    }

    /// An administrator does something, by the verifier.
    pub(crate) fn administers<F>(&self, call: impl FnOnce(Arc<World>) -> F) -> Call<Came>
    where
        F: Future<Output = Result<(), AuthError>> + Send + 'static,
    {
        let call = call(Arc::clone(&self.world));
        Box::pin(async move { came(call.await) })
    }

    pub(crate) async fn is_good(&self, login: &Login) -> bool {
        let token = self.world.verifier.authenticate(&login.response.access_token, Audience::Own).await;
        let session = self.world.verifier.resume(login.who.session()).await;
        assert_eq!(token.is_ok(), session.is_ok());
        token.is_ok()
    }

    pub(crate) async fn role(&self, k: K) -> Option<KeyRole> {
        self.world.stored(key(k).fingerprint).await.map(|key| key.role)
    }

    /// What holds whatever happens: each identity has one primary key, to which the linked ones are linked; and as many
    /// keys are counted as there are.
    pub(crate) async fn is_sound(&self) {
        let query = KeyQuery { limit: 100, ..KeyQuery::default() };
        let keys = self.world.stores.keys.list(&query).await.unwrap();
        let is_archived = |role: &KeyRole| matches!(role, KeyRole::Archived(_));
        for own in &keys {
            let same = keys.iter().filter(|other| other.identity.sub == own.identity.sub);
            let primaries: Vec<_> = same.filter(|other| other.role == KeyRole::Primary).collect();
            assert_eq!(primaries.len(), 1, "{:?}", own.fingerprint);
            if let KeyRole::Secondary(primary) = own.role {
                assert_eq!(primary, primaries[0].fingerprint);
            }
        }
        let counted = keys.iter().filter(|key| !is_archived(&key.role)).count();
        assert_eq!(self.world.count().await, counted as u64);
    }

    /// None of the logins that these calls came to is good any more, and each that was refused was so for one of these
    /// reasons.
    pub(crate) async fn nobody_is_in(&self, outcomes: impl IntoIterator<Item = &Came>, reasons: &[E]) {
        for outcome in outcomes {
            match outcome {
                Came::LoggedIn(login) => {
                    assert!(!self.is_good(login).await, "a token outlived what ended it");
                }
                Came::Refused(reason) => assert!(reasons.contains(reason), "{reason:?}"),
                Came::Done => {}
            }
        }
    }
}

/// How many of the calls were done. Each other was refused for one of these reasons.
#[track_caller]
pub(crate) fn winners(outcomes: &[Came], reasons: &[E]) -> usize {
    for outcome in outcomes {
        if let Came::Refused(reason) = outcome {
            assert!(reasons.contains(reason), "{reason:?}");
        }
    }
    outcomes.iter().filter(|outcome| !matches!(outcome, Came::Refused(_))).count()
}
