//! Mounting the endpoints.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRef, Request, State};
use axum::response::Response;
use axum::routing::any;
use capauth_tower::{CapAuth, Endpoints, Mount, OriginalUri, Part, Peer, Route};

/// Tells the layers, which know nothing of axum, where a router nested in another keeps the whole path.
fn note_original_uri() {
    OriginalUri::found_by(|extensions| extensions.get().map(|axum::extract::OriginalUri(uri)| uri));
}

/// The login endpoints of an application, under `/auth/capauth`, with the handle from the state.
pub fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    CapAuth: FromRef<S>,
{
    async fn endpoint(State(capauth): State<CapAuth>, request: Request) -> Response {
        answer(&capauth.endpoints(), request).await
    }
    note_original_uri();
    Route::of(Part::Login).fold(Router::new(), |router, route| router.route(route.path(), any(endpoint)))
}

/// The login endpoints, for an application whose state does not hold the handle.
pub fn routes_with<S>(capauth: &CapAuth) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    with(capauth.endpoints())
}

/// Every endpoint: the login's, the service's under `/capauth/v1`, and its documents at the root, each at its exact
/// path. The handle comes from the state.
pub fn service_routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    CapAuth: FromRef<S>,
{
    async fn endpoint(State(capauth): State<CapAuth>, request: Request) -> Response {
        answer(&capauth.service_endpoints(), request).await
    }
    note_original_uri();
    Route::of(Part::Service).fold(Router::new(), |router, route| router.route(route.path(), any(endpoint)))
}

/// Every endpoint, for an application whose state does not hold the handle.
pub fn service_routes_with<S>(capauth: &CapAuth) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    with(capauth.service_endpoints())
}

fn with<S>(endpoints: Endpoints) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    note_original_uri();
    let table = endpoints.table();
    let endpoint = any(async move |request: Request| answer(&endpoints, request).await);
    table.fold(Router::new(), |router, route| router.route(route.path(), endpoint.clone()))
}

/// Hands over what axum knows of the request, and takes the answer.
async fn answer(endpoints: &Endpoints, mut request: Request) -> Response {
    let extensions = request.extensions_mut();
    if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>().copied() {
        extensions.insert(Peer(peer.ip()));
    }
    let original = request.extensions().get::<axum::extract::OriginalUri>();
    // At the root, nothing was taken off.
    let nested = original.filter(|uri| uri.path() != request.uri().path()).cloned();
    if let Some(axum::extract::OriginalUri(uri)) = nested {
        let mount = uri.path().strip_suffix(request.uri().path()).map(str::to_owned);
        let extensions = request.extensions_mut();
        if let Some(mount) = mount {
            extensions.insert(Mount(mount));
        }
        extensions.insert(OriginalUri(uri));
    }
    endpoints.handle(request).await.map(Body::new)
}
