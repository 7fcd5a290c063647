//! Request guards: who asks, as an argument of a handler.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::PoisonError;

use capauth_tower::{AuthErrorKind, CapAuth, Group, Refused, Rule};
use futures_util::lock::{Mutex, MutexGuard};
use http::request::Parts;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::response::{self, Responder};
use rocket::{Ignite, Request, Rocket, Sentinel, async_trait};

use crate::routes::FIX;
use crate::translate;

/// Who is signed in. As an argument it demands a login: 401 otherwise.
///
/// Where a login is optional, take [`MaybeAuthenticated`].
#[derive(Debug, Clone)]
pub struct Authenticated(pub capauth_tower::Authenticated);

/// Who is signed in, if anybody. Bad credentials are refused all the same.
///
/// Rocket turns every refusal into `None` for `Option<Authenticated>`; this does not.
#[derive(Debug, Clone)]
pub struct MaybeAuthenticated(pub Option<Authenticated>);

/// Somebody whom an administrator put into the group `G`: 401 if nobody is signed in, 403 if somebody else is.
///
/// ```
/// use capauth_rocket::{InGroup, group};
/// use rocket::get;
///
/// group!(pub Admins = "admins");
///
/// #[get("/settings")]
/// fn settings(admin: InGroup<Admins>) -> String {
///     format!("Welcome, {}", admin.display_name())
/// }
/// ```
pub struct InGroup<G: Group> {
    who: capauth_tower::Authenticated,
    group: PhantomData<fn() -> G>,
}

/// Somebody who does not say of themselves that they are a program. A courtesy between honest parties: where it must
/// hold, use a group.
#[derive(Debug, Clone)]
pub struct Human(pub capauth_tower::Authenticated);

impl<G: Group> InGroup<G> {
    /// Who it is.
    pub fn into_inner(self) -> capauth_tower::Authenticated {
        self.who
    }
}

impl<G: Group> Clone for InGroup<G> {
    fn clone(&self) -> Self {
        Self { who: self.who.clone(), group: PhantomData }
    }
}

impl<G: Group> fmt::Debug for InGroup<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InGroup").field("group", &G::NAME).field("who", &self.who).finish()
    }
}

impl<G: Group> Deref for InGroup<G> {
    type Target = capauth_tower::Authenticated;

    fn deref(&self) -> &Self::Target {
        &self.who
    }
}

impl Deref for Authenticated {
    type Target = capauth_tower::Authenticated;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for Human {
    type Target = capauth_tower::Authenticated;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for MaybeAuthenticated {
    type Target = Option<Authenticated>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[async_trait]
impl<'r> FromRequest<'r> for Authenticated {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        outcome(request, require(request, &Rule::Login).await.map(Self))
    }
}

#[async_trait]
impl<'r> FromRequest<'r> for MaybeAuthenticated {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        outcome(request, identify(request).await.map(|who| Self(who.map(Authenticated))))
    }
}

#[async_trait]
impl<'r, G: Group> FromRequest<'r> for InGroup<G> {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        let who = require(request, &Rule::group::<G>()).await;
        outcome(request, who.map(|who| Self { who, group: PhantomData }))
    }
}

#[async_trait]
impl<'r> FromRequest<'r> for Human {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        outcome(request, require(request, &Rule::Human).await.map(Self))
    }
}

/// The neutral side of a request: what was decided is among its extensions, for the guard that asks next.
struct Known(Mutex<Parts>);

async fn known<'r>(request: &'r Request<'_>) -> Result<(&'r CapAuth, MutexGuard<'r, Parts>), Refused> {
    let capauth = request.rocket().state::<CapAuth>().ok_or_else(|| Refused::not_mounted(FIX))?;
    let known = request.local_cache(|| Known(Mutex::new(translate::deciding(request))));
    Ok((capauth, known.0.lock().await))
}

async fn identify(request: &Request<'_>) -> Result<Option<capauth_tower::Authenticated>, Refused> {
    let (capauth, mut parts) = known(request).await?;
    capauth.identify(&mut parts).await
}

async fn require(request: &Request<'_>, rule: &Rule) -> Result<capauth_tower::Authenticated, Refused> {
    let (capauth, mut parts) = known(request).await?;
    capauth.require(&mut parts, rule).await
}

/// A refusal is never a forward: another route, meant for others, would answer in its place.
fn outcome<T>(request: &Request<'_>, result: Result<T, Refused>) -> Outcome<T, Rejection> {
    match result {
        Ok(guard) => Outcome::Success(guard),
        Err(refused) => {
            let rejection = Rejection(refused);
            rejection.clone().leave(request);
            Outcome::Error((rejection.status(), rejection))
        }
    }
}

/// Why a request was refused, and the answer that says so.
#[derive(Debug, Clone)]
pub struct Rejection(Refused);

/// Where a catcher, which is told a status and nothing else, finds why.
#[derive(Default)]
struct Left(std::sync::Mutex<Option<Rejection>>);

impl Rejection {
    /// Why.
    pub fn kind(&self) -> AuthErrorKind {
        self.0.kind()
    }

    /// What the last of our guards to refuse this request said: for a catcher of the application's own.
    ///
    /// ```
    /// use capauth_rocket::Rejection;
    /// use rocket::{Request, catch};
    ///
    /// #[catch(401)]
    /// fn unauthorized(request: &Request<'_>) -> Result<Rejection, &'static str> {
    ///     Rejection::of(request).ok_or("Sorry.")
    /// }
    /// ```
    pub fn of(request: &Request<'_>) -> Option<Self> {
        request.local_cache(Left::default).0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn leave(self, request: &Request<'_>) {
        let left = request.local_cache(Left::default);
        *left.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    /// The status whose catcher is asked. The answer's own may be another: 303, to the login page.
    pub(crate) fn status(&self) -> Status {
        Status::new(self.kind().code().status())
    }
}

impl From<Refused> for Rejection {
    fn from(refused: Refused) -> Self {
        Self(refused)
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        rejection.0
    }
}

impl<'r> Responder<'r, 'static> for Rejection {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        Ok(translate::response(self.0.into_response()))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Rejection {}

/// Whether the launch is to be stopped, because this guard would refuse everybody.
fn is_missing(rocket: &Rocket<Ignite>, guard: &str) -> bool {
    let missing = rocket.state::<CapAuth>().is_none();
    if missing {
        tracing::error!("{guard} is used as a guard, and {FIX}");
    }
    missing
}

impl Sentinel for Authenticated {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_missing(rocket, "Authenticated")
    }
}

impl Sentinel for MaybeAuthenticated {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_missing(rocket, "MaybeAuthenticated")
    }
}

impl<G: Group> Sentinel for InGroup<G> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_missing(rocket, "InGroup")
    }
}

impl Sentinel for Human {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_missing(rocket, "Human")
    }
}
