//! [`RoutesLayer`]: serves the endpoints in front of an application.

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_layer::Layer;
use tower_service::Service;

use super::{Answer, BoxFuture, inner, own, take_ready};
use crate::BoxError;
use crate::endpoints::Endpoints;

/// Serves the paths of its [`Endpoints`] and passes everything else on. Made by
/// [`CapAuth::routes_layer`](crate::CapAuth::routes_layer).
#[derive(Debug, Clone)]
pub struct RoutesLayer {
    endpoints: Endpoints,
}

impl RoutesLayer {
    /// A layer that serves these.
    pub fn new(endpoints: Endpoints) -> Self {
        Self { endpoints }
    }
}

impl<S> Layer<S> for RoutesLayer {
    type Service = Routes<S>;

    fn layer(&self, inner: S) -> Routes<S> {
        Routes { inner, endpoints: self.endpoints.clone() }
    }
}

/// The service that [`RoutesLayer`] makes.
#[derive(Debug, Clone)]
pub struct Routes<S> {
    inner: S,
    endpoints: Endpoints,
}

impl<S, B, R> Service<Request<B>> for Routes<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Answer<R>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut service = take_ready(&mut self.inner);
        if self.endpoints.serves(request.uri().path()) {
            let endpoints = self.endpoints.clone();
            return Box::pin(async move { Ok(own(endpoints.handle(request).await)) });
        }
        Box::pin(async move { service.call(request).await.map(inner) })
    }
}
