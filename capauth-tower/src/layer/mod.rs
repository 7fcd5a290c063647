//! The layers: who asks ([`AuthLayer`]), who is let through ([`RequireLayer`]), the login endpoints
//! ([`RoutesLayer`]).

mod auth;
mod require;
mod routes;

use std::future::Future;
use std::pin::Pin;

use http::request::Parts;
use http::{HeaderValue, Response, header};
use http_body_util::Either;

use crate::body::Body;
use crate::refuse::Refused;

pub use auth::{Auth, AuthLayer};
pub use require::{Require, RequireLayer};
pub use routes::{Routes, RoutesLayer};

/// A future of our services.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An answer of the service inside, or of ours.
type Answer<R> = Response<Either<R, Body>>;

fn inner<R>(response: Response<R>) -> Answer<R> {
    response.map(Either::Left)
}

fn own<R>(response: Response<Body>) -> Answer<R> {
    response.map(Either::Right)
}

/// The answer to a request that a guard refuses. To a gRPC client it also says so in that protocol's own words: one would
/// otherwise read our JSON as a message.
fn refused<R>(parts: &Parts, refused: Refused) -> Answer<R> {
    let code = refused.kind().code().status();
    let mut response = refused.into_response();
    let is_grpc = |value: &HeaderValue| value.as_bytes().starts_with(b"application/grpc");
    if parts.headers.get(header::CONTENT_TYPE).is_some_and(is_grpc) {
        response.headers_mut().insert("grpc-status", HeaderValue::from_static(grpc_status(code)));
    }
    own(response)
}

/// The status code of gRPC that says what one of HTTP does.
const fn grpc_status(http: u16) -> &'static str {
    match http {
        400 => "3",  // INVALID_ARGUMENT
        401 => "16", // UNAUTHENTICATED
        403 => "7",  // PERMISSION_DENIED
        429 => "8",  // RESOURCE_EXHAUSTED
        503 => "14", // UNAVAILABLE
        _ => "13",   // INTERNAL
    }
}

/// Takes the service that was polled ready, and leaves a clone, which may not be.
fn take_ready<S: Clone>(service: &mut S) -> S {
    let clone = service.clone();
    std::mem::replace(service, clone)
}
