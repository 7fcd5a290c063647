//! Mounting the endpoints.

use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use capauth_tower::{CapAuth, Endpoints, Route};
use futures_util::TryStreamExt as _;
use http_body::Frame;
use http_body_util::StreamBody;

use crate::translate;

/// The login endpoints of an application, under `/auth/capauth`, for `App::configure`. Extractors and middleware find
/// the handle from then on.
pub fn routes(capauth: CapAuth) -> impl FnOnce(&mut ServiceConfig) {
    move |config| mount(config, &capauth.endpoints(), capauth)
}

/// Every endpoint: the login's, the service's under `/capauth/v1`, and its documents at the root, each at its exact
/// path. For `App::configure`, as [`routes`].
pub fn service_routes(capauth: CapAuth) -> impl FnOnce(&mut ServiceConfig) {
    move |config| mount(config, &capauth.service_endpoints(), capauth)
}

fn mount(config: &mut ServiceConfig, endpoints: &Endpoints, capauth: CapAuth) {
    config.app_data(capauth);
    for route in endpoints.table() {
        let endpoints = endpoints.clone();
        let endpoint = move |request: HttpRequest, body: Payload| {
            let endpoints = endpoints.clone();
            async move { answer(&endpoints, route, &request, body).await }
        };
        // All methods: which ones there are, the endpoints say.
        config.service(web::resource(route.path()).to(endpoint));
    }
}

/// Hands over what actix knows of the request, and takes the answer.
async fn answer(endpoints: &Endpoints, route: &Route, request: &HttpRequest, body: Payload) -> HttpResponse {
    let parts = match translate::whole(request, route.path()) {
        Ok(parts) => parts,
        Err(refused) => return translate::response(refused.into_response()),
    };
    let body = StreamBody::new(body.into_inner().map_ok(Frame::data));
    translate::response(endpoints.handle(http::Request::from_parts(parts, body)).await)
}
