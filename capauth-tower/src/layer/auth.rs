//! [`AuthLayer`]: says who asks, and refuses bad credentials.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{Answer, BoxFuture, inner, refused, take_ready};
use crate::context::OriginalUri;
use crate::handle::CapAuth;

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
        let mut service = take_ready(&mut self.inner);
        let capauth = self.capauth.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            // A router inside may take a prefix off the path.
            if parts.extensions.get::<OriginalUri>().is_none() {
                parts.extensions.insert(OriginalUri(parts.uri.clone()));
            }
            if let Err(why) = capauth.admit(&mut parts).await {
                return Ok(refused(&parts, why));
            }
            parts.extensions.insert(capauth);
            service.call(Request::from_parts(parts, body)).await.map(inner)
        })
    }
}
