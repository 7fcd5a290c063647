//! Extractors: who asks, as an argument of a handler.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use capauth_tower::{AuthErrorKind, CapAuth, Group, Refused, Rule};
use http::request::Parts;

/// Who is signed in. As an argument it demands a login: 401 otherwise.
///
/// Where a login is optional, take [`MaybeAuthenticated`].
#[derive(Debug, Clone)]
pub struct Authenticated(pub capauth_tower::Authenticated);

/// Who is signed in, if anybody. Bad credentials are refused all the same.
pub type MaybeAuthenticated = Option<Authenticated>;

/// Somebody whom an administrator put into the group `G`: 401 if nobody is signed in, 403 if somebody else is.
///
/// ```
/// use capauth_axum::{InGroup, group};
///
/// group!(pub Admins = "admins");
///
/// async fn settings(admin: InGroup<Admins>) -> String {
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

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    CapAuth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        Ok(Self(require(parts, state, &Rule::Login).await?))
    }
}

impl<S> OptionalFromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    CapAuth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        Ok(CapAuth::from_ref(state).identify(parts).await?.map(Self))
    }
}

impl<S, G: Group> FromRequestParts<S> for InGroup<G>
where
    S: Send + Sync,
    CapAuth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        Ok(Self { who: require(parts, state, &Rule::group::<G>()).await?, group: PhantomData })
    }
}

impl<S> FromRequestParts<S> for Human
where
    S: Send + Sync,
    CapAuth: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        Ok(Self(require(parts, state, &Rule::Human).await?))
    }
}

async fn require<S>(
    parts: &mut Parts,
    state: &S,
    rule: &Rule,
) -> Result<capauth_tower::Authenticated, Rejection>
where
    CapAuth: FromRef<S>,
{
    Ok(CapAuth::from_ref(state).require(parts, rule).await?)
}

/// Why a request was refused, and the answer that says so.
#[derive(Debug)]
pub struct Rejection(Refused);

impl Rejection {
    /// Why.
    pub fn kind(&self) -> AuthErrorKind {
        self.0.kind()
    }
}

impl From<Refused> for Rejection {
    fn from(refused: Refused) -> Self {
        Self(refused)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.0.into_response().map(Body::new)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Rejection {}
