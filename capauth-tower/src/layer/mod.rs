//! The layers: who asks ([`AuthLayer`]), who is let through ([`RequireLayer`]), the login endpoints
//! ([`RoutesLayer`]).

mod auth;
mod require;
mod routes;

use std::future::Future;
use std::pin::Pin;

use http::Response;
use http_body_util::Either;

use crate::body::Body;

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
