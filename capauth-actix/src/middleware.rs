//! Middleware: who asks, and who is let through, for whole scopes.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, HttpMessage as _, HttpRequest};
use capauth_tower::{CapAuth, Refused, Rule};
use futures_util::future::LocalBoxFuture;

use crate::asking::Asking;
use crate::translate;

/// Says who asks, once and for all that is wrapped; refuses bad credentials, and lets through who has none.
///
/// It leaves the handle and the decision in the request, for the guards of [`guard`](crate::guard), the `require_…`
/// middleware and the extractors. Preflights, which carry no credentials, and the endpoints of CapAuth itself, which
/// authenticate on their own, pass: somebody whose session has ended must reach the login.
///
/// What is wrapped last sees a request first. So `auth` is the last `.wrap` of an `App`, and only CORS comes after it.
pub fn auth(capauth: CapAuth) -> Gate {
    Gate(Arc::new(Duty::Admit(capauth)))
}

/// Lets through whoever is signed in: 401 otherwise.
pub fn require_login() -> Gate {
    require(Rule::Login)
}

/// Lets through whom an administrator put into this group: 401 if nobody is signed in, 403 if somebody else is.
pub fn require_group(group: impl Into<String>) -> Gate {
    require(Rule::Group(group.into().into()))
}

/// Lets through who does not say of themselves that they are a program. A courtesy between honest parties: where it
/// must hold, use a group.
pub fn require_human() -> Gate {
    require(Rule::Human)
}

/// Lets through whom the rule names.
///
/// On every path and method of what is wrapped, preflights and unknown paths of a scope included. The handle is the
/// one that [`routes`](crate::routes) or [`auth`] put in; where there is none the answer is 500, and the log says what
/// to add.
pub fn require(rule: Rule) -> Gate {
    Gate(Arc::new(Duty::Require(rule)))
}

/// Made by [`auth`], [`require`] and their siblings, for `App::wrap`, `Scope::wrap` and `Resource::wrap`.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Duty>);

/// The service that a [`Gate`] makes of another.
#[derive(Debug)]
pub struct Gated<S> {
    service: Rc<S>,
    duty: Arc<Duty>,
}

/// What is done with a request before it is passed on.
#[derive(Debug)]
enum Duty {
    Admit(CapAuth),
    Require(Rule),
}

impl Duty {
    async fn on(&self, request: &HttpRequest) -> Result<(), Refused> {
        match self {
            Self::Admit(capauth) => {
                Asking::by(capauth.clone(), request)?.admit().await?;
                request.extensions_mut().insert(capauth.clone());
                Ok(())
            }
            Self::Require(rule) => Asking::about(request)?.require(rule).await.map(drop),
        }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Gate
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Gated<S>;
    type InitError = ();
    type Future = Ready<Result<Gated<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Gated { service: Rc::new(service), duty: Arc::clone(&self.0) }))
    }
}

impl<S, B> Service<ServiceRequest> for Gated<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, duty) = (Rc::clone(&self.service), Arc::clone(&self.duty));
        Box::pin(async move {
            match duty.on(request.request()).await {
                Ok(()) => service.call(request).await.map(ServiceResponse::map_into_left_body),
                // An answer and no error: middleware outside, such as CORS, adds its headers to answers only.
                Err(refused) => {
                    let answer = translate::response(refused.into_response());
                    Ok(request.into_response(answer).map_into_right_body())
                }
            }
        })
    }
}
