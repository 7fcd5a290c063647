//! The application in axum.

use std::net::SocketAddr;

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use capauth_axum::{AuthLayer, Authenticated, Human, InGroup, MaybeAuthenticated};
use capauth_tower::{CapAuth, OidcClaims};
use tokio::net::TcpListener;

use super::application::{ADMIN, Admins, CHANGED, HELLO, HUMAN, INSIDE, NOTHING, maybe};
use super::{Options, Server};

pub(super) async fn serve(capauth: &CapAuth, options: Options) -> Server {
    let mut app = router(capauth);
    if !options.bare {
        app = app.layer(AuthLayer::new(capauth.clone()));
    }
    let app = app.with_state(capauth.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let task = tokio::spawn(async move { axum::serve(listener, app).await });
    Server::new(address, move || task.abort())
}

fn router(capauth: &CapAuth) -> Router<CapAuth> {
    let area = Router::new()
        .route("/inside", get(async || INSIDE))
        .fallback(nothing)
        .layer(capauth.require_group("admins"));
    Router::new()
        .route("/", get(async || HELLO))
        .route("/me", get(me))
        .route("/admin", get(async |_: InGroup<Admins>| ADMIN))
        .route("/human", get(async |_: Human| HUMAN))
        .route("/maybe", get(async |who: MaybeAuthenticated| maybe(who.as_deref())))
        .route("/change", post(async |_: Authenticated| CHANGED))
        .nest("/area", area)
        .merge(capauth_axum::routes())
        .fallback(nothing)
}

async fn me(who: Authenticated) -> Json<OidcClaims> {
    Json(who.claims().clone())
}

async fn nothing() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, NOTHING)
}
