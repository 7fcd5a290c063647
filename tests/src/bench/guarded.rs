//! An application with one open route and two guarded ones, for [`super::guard`] to ask.

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use capauth_axum::{Authenticated, CapAuth};

/// Serves on a free port until killed; prints where.
pub(crate) async fn serve() -> Result<(), String> {
    let stores = capauth_verifier::memory::stores().map_err(|e| e.to_string())?;
    let capauth = CapAuth::local("capauth.local").stores(stores).build().await.map_err(|e| e.to_string())?;
    let app = Router::new()
        .route("/open", get(async || "Hello"))
        .route("/layer", get(async || "Hello").route_layer(capauth.require_login()))
        .route("/extractor", get(async |_: Authenticated| "Hello"))
        .merge(capauth_axum::service_routes())
        .with_state(capauth);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
    println!("listening on http://{}", listener.local_addr().map_err(|e| e.to_string())?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await.map_err(|e| e.to_string())
}
