//! The whole CapAuth service, from the library: what `capauth-service` is, without its settings.
//!
//! `cargo run --bin standalone`, and then `cargo run --bin axum-remote` beside it. `PORT` (8420) says where it listens, and
//! `CAPAUTH_DB_PATH` (`capauth.db`) where keys are kept.

use std::{env, error::Error, net::SocketAddr};

use axum::{Router, routing::get};
use capauth_axum::CapAuth;
use tokio::{net::TcpListener, signal::ctrl_c};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(8420), |port| port.parse())?;
    let path = env::var("CAPAUTH_DB_PATH").unwrap_or("capauth.db".into());
    let capauth = CapAuth::local("capauth.local")
        .store(format!("sqlite://{path}"))
        .insecure_http_on_loopback(port) // for one's own machine: elsewhere TLS, and the host's name in local(…)
        .build()
        .await?;
    let app = Router::new()
        .route("/", get("A CapAuth service. What it can do: /capauth/v1/well-known\n"))
        .merge(capauth_axum::service_routes())
        .with_state(capauth.clone());

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://127.0.0.1:{port}");
    capauth.notices().iter().for_each(|notice| println!("  ! {notice}"));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async { ctrl_c().await.unwrap_or_default() })
        .await?;
    capauth.close().await?; // after the last answer: some writes are batched
    Ok(())
}
