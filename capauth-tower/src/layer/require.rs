//! [`RequireLayer`]: lets only some people through.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{Answer, BoxFuture, inner, refused, take_ready};
use crate::group::Rule;
use crate::handle::CapAuth;

/// Lets through whom its [`Rule`] names, on every path and method; answers 401 or 403 otherwise.
///
/// Made by [`CapAuth::require_login`], [`CapAuth::require_group`] and [`CapAuth::require_human`]. It needs no
/// [`AuthLayer`](crate::AuthLayer) around it; where there is one, nothing is decided twice.
#[derive(Debug, Clone)]
pub struct RequireLayer {
    capauth: CapAuth,
    rule: Rule,
}

impl RequireLayer {
    /// A layer of this rule.
    pub fn new(capauth: CapAuth, rule: Rule) -> Self {
        Self { capauth, rule }
    }
}

impl<S> Layer<S> for RequireLayer {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Require<S> {
        Require { inner, layer: self.clone() }
    }
}

/// The service that [`RequireLayer`] makes.
#[derive(Debug, Clone)]
pub struct Require<S> {
    inner: S,
    layer: RequireLayer,
}

impl<S, B, R> Service<Request<B>> for Require<S>
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
        let RequireLayer { capauth, rule } = self.layer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match capauth.require(&mut parts, &rule).await {
                Ok(_) => service.call(Request::from_parts(parts, body)).await.map(inner),
                Err(why) => Ok(refused(&parts, why)),
            }
        })
    }
}
