//! Sign in with an OpenPGP key, in an axum application whose people's keys a central service keeps.
//!
//! With `cargo run -p capauth-service` one folder up, `cargo run --bin axum-remote`; then `cargo run --bin agent` signs
//! in with a key of your gpg's. `PORT` (3000) says where it listens, and `CAPAUTH_URL` (`http://127.0.0.1:8420`) where
//! the service is. `CAPAUTH_SERVICE` and `CAPAUTH_CREDENTIAL`: this application's name and secret, if the service lists
//! it; else it takes the service's own name, and asks about each person.

use std::{env, error::Error, net::SocketAddr};

use axum::{Json, Router, routing::get};
use capauth_axum::{Authenticated, CapAuth, Human, InGroup, group};
use tokio::{net::TcpListener, signal::ctrl_c};

group!(pub Admins = "admins");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let url = env::var("CAPAUTH_URL").unwrap_or("http://127.0.0.1:8420".into());
    let mut config = CapAuth::remote(url).insecure_http_on_loopback(port);
    if let Ok(name) = env::var("CAPAUTH_SERVICE") {
        config = config.service(name);
    }
    if let Ok(secret) = env::var("CAPAUTH_CREDENTIAL") {
        config = config.credential(secret);
    }
    let capauth = config.build().await?;

    let app = Router::new()
        .route("/", get("Hello, stranger. Sign in at /auth/capauth/login\n"))
        .route("/me", get(async |user: Authenticated| Json(user.claims().clone())))
        .route(
            "/admin",
            get(async |admin: InGroup<Admins>| format!("At your service, {}\n", admin.display_name())),
        )
        .route("/human", get(async |human: Human| format!("Nice to meet you, {}\n", human.display_name())))
        .merge(capauth_axum::routes()) // the login, at /auth/capauth/*
        .with_state(capauth.clone());

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://127.0.0.1:{port}");
    capauth.notices().iter().for_each(|notice| println!("  ! {notice}"));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async { ctrl_c().await.unwrap_or_default() })
        .await?;
    capauth.close().await?; // after the last answer
    Ok(())
}
