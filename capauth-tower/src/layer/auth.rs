//! [`AuthLayer`]: says who asks, and refuses bad credentials.

use std::mem;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Method, Request, Response, header};
use tower_layer::Layer;
use tower_service::Service;

use super::{Answer, BoxFuture, inner, own};
use crate::endpoints;
use crate::handle::CapAuth;
use crate::refuse::Refused;

/// Puts [`Authenticated`](crate::Authenticated) into the extensions of every request that comes from somebody signed
/// in, and the [`CapAuth`] into all. Refuses bad credentials; lets through who has none.
///
/// It does not authenticate preflights, which carry no credentials, nor the endpoints of CapAuth itself, which do
/// that on their own: somebody whose session has ended must reach the login.
#[derive(Debug, Clone)]
pub struct AuthLayer {
    capauth: CapAuth,
}

impl AuthLayer {
    /// A layer for this CapAuth.
    pub fn new(capauth: CapAuth) -> Self {
        Self { capauth }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, capauth: self.capauth.clone() }
    }
}

/// The service that [`AuthLayer`] makes.
#[derive(Debug, Clone)]
pub struct Auth<S> {
    inner: S,
    capauth: CapAuth,
}

impl<S, B, R> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Answer<R>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone may not be ready; the one that was polled is.
        let clone = self.inner.clone();
        let mut service = mem::replace(&mut self.inner, clone);
        let capauth = self.capauth.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if let Err(refused) = examine(&capauth, &mut parts).await {
                return Ok(own(refused.into_response()));
            }
            parts.extensions.insert(capauth);
            service.call(Request::from_parts(parts, body)).await.map(inner)
        })
    }
}

async fn examine(capauth: &CapAuth, parts: &mut Parts) -> Result<(), Refused> {
    if endpoints::authenticates_itself(parts.uri.path()) {
        return Ok(capauth.check_origin(parts)?);
    }
    if is_preflight(parts) {
        return Ok(());
    }
    capauth.identify(parts).await.map(drop)
}

fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ORIGIN)
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
