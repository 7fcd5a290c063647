//! Mounting the endpoints.

use capauth_tower::{CapAuth, Part, Refused};
use futures_util::TryStreamExt as _;
use http_body::Frame;
use http_body_util::StreamBody;
use rocket::data::{ByteUnit, Data};
use rocket::http::Method;
use rocket::outcome::Outcome;
use rocket::route::{self, Handler, Route};
use rocket::{Request, async_trait};
use tokio_util::io::ReaderStream;

use crate::translate::{self, LOGIN_BASE, METHODS};

/// Before all that Rocket ranks by itself (-12 to -1): an application's own `/<path..>` neither collides with these
/// routes nor hides them.
const RANK: isize = -20;

/// By this the fairing knows the routes whose base it looks at.
pub(crate) const LOGIN_ROUTES: &str = "capauth_rocket::routes";
pub(crate) const SERVICE_ROUTES: &str = "capauth_rocket::service_routes";

/// The log's word when the handle is missing.
pub(crate) const FIX: &str = "CapAuth is missing: add .attach(capauth_rocket::fairing(capauth))";

/// The login endpoints of an application, to be mounted at `/auth/capauth`, or at another base that ends so.
///
/// Whatever is asked for below that base is answered here, if only by 404. They need the
/// [`fairing`](crate::fairing()).
pub fn routes() -> Vec<Route> {
    every_method("/<_..>", LOGIN_ROUTES, Part::Login).collect()
}

/// Every endpoint: the login's, the service's under `/capauth/v1`, and its documents, each at its exact path; to be
/// mounted at `/`. They need the [`fairing`](crate::fairing()).
pub fn service_routes() -> Vec<Route> {
    capauth_tower::Route::of(Part::Service)
        .flat_map(|route| {
            let path = route.path().replace('{', "<").replace('}', ">");
            every_method(&path, SERVICE_ROUTES, Part::Service).collect::<Vec<_>>()
        })
        .collect()
}

/// All methods, so that a wrong one is answered as in the other frameworks.
fn every_method(path: &str, name: &'static str, part: Part) -> impl Iterator<Item = Route> {
    METHODS.into_iter().map(move |method: Method| {
        let mut route = Route::ranked(RANK, method, path, Endpoint { part });
        route.name = Some(name.into());
        route
    })
}

/// Answers at all paths of a part.
#[derive(Clone, Copy)]
struct Endpoint {
    part: Part,
}

impl Endpoint {
    /// What stands before the endpoints' own paths: `/app` in `/app/auth/capauth`.
    fn mount<'r>(self, request: &'r Request<'_>) -> &'r str {
        let base = request.route().map_or("", |route| route.uri.base()).trim_end_matches('/');
        match self.part {
            Part::Login => base.strip_suffix(LOGIN_BASE).unwrap_or(base),
            Part::Service => base,
        }
    }
}

#[async_trait]
impl Handler for Endpoint {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> route::Outcome<'r> {
        let Some(capauth) = request.rocket().state::<CapAuth>() else {
            return Outcome::Success(translate::response(Refused::not_mounted(FIX).into_response()));
        };
        let endpoints = match self.part {
            Part::Login => capauth.endpoints(),
            Part::Service => capauth.service_endpoints(),
        };
        let parts = translate::parts(request, self.mount(request));
        // How much of a body is read, and for how long, is for the endpoints to say.
        let stream = ReaderStream::new(data.open(ByteUnit::max_value()));
        let body = StreamBody::new(stream.map_ok(Frame::data));
        let answer = endpoints.handle(http::Request::from_parts(parts, body)).await;
        Outcome::Success(translate::response(answer))
    }
}
