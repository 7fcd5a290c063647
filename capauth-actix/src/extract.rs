//! Extractors: who asks, as an argument of a handler.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use capauth_tower::{AuthErrorKind, Group, Refused, Rule};
use futures_util::future::LocalBoxFuture;

use crate::asking::Asking;
use crate::translate;

/// Who is signed in. As an argument it demands a login: 401 otherwise.
///
/// Where a login is optional, take [`MaybeAuthenticated`], and not `Option<Authenticated>`: actix-web makes `None` of
/// every error, of a bad token as well.
#[derive(Debug, Clone)]
pub struct Authenticated(pub capauth_tower::Authenticated);

/// Who is signed in, if anybody. Bad credentials are refused all the same.
///
/// ```
/// use capauth_actix::MaybeAuthenticated;
///
/// async fn front_page(user: MaybeAuthenticated) -> String {
///     match &*user {
///         Some(user) => format!("Hello, {}", user.display_name()),
///         None => "Hello, stranger".to_owned(),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MaybeAuthenticated(pub Option<Authenticated>);

/// Somebody whom an administrator put into the group `G`: 401 if nobody is signed in, 403 if somebody else is.
///
/// ```
/// use capauth_actix::{InGroup, group};
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

macro_rules! deref {
    ($($type:ty => $target:ty;)*) => {$(
        impl Deref for $type {
            type Target = $target;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )*};
}

deref! {
    Authenticated => capauth_tower::Authenticated;
    MaybeAuthenticated => Option<Authenticated>;
    Human => capauth_tower::Authenticated;
}

type Extracting<T> = LocalBoxFuture<'static, Result<T, Rejection>>;

impl FromRequest for Authenticated {
    type Error = Rejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        demanding(request, Rule::Login, Self)
    }
}

impl FromRequest for MaybeAuthenticated {
    type Error = Rejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let asking = Asking::about(request);
        Box::pin(async move { Ok(Self(asking?.identify().await?.map(Authenticated))) })
    }
}

impl<G: Group> FromRequest for InGroup<G> {
    type Error = Rejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        demanding(request, Rule::group::<G>(), |who| Self { who, group: PhantomData })
    }
}

impl FromRequest for Human {
    type Error = Rejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        demanding(request, Rule::Human, Self)
    }
}

fn demanding<T: 'static>(
    request: &HttpRequest,
    rule: Rule,
    extractor: impl FnOnce(capauth_tower::Authenticated) -> T + 'static,
) -> Extracting<T> {
    let asking = Asking::about(request);
    Box::pin(async move { Ok(extractor(asking?.require(&rule).await?)) })
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

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        self.error_response().status()
    }

    fn error_response(&self) -> HttpResponse {
        translate::response(self.0.clone().into_response())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Rejection {}
