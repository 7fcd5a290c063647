//! Sign in with an OpenPGP key, in an axum application that keeps its people's keys itself.
//!
//! `cargo run --bin axum-local`, and then `cargo run --bin agent` signs in with a key of your gpg's. `PORT` (3000) says
//! where it listens, and `CAPAUTH_DB_PATH` (`capauth.db`) where keys are kept.

use std::{env, error::Error, net::SocketAddr};

use axum::{Json, Router, routing::get};
use capauth_axum::{Authenticated, CapAuth, Human, InGroup, group};
use tokio::{net::TcpListener, signal::ctrl_c};

group!(pub Admins = "admins");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let path = env::var("CAPAUTH_DB_PATH").unwrap_or("capauth.db".into());
    let capauth = CapAuth::local("localhost")
        .store(format!("sqlite://{path}"))
        .insecure_http_on_loopback(port) // for one's own machine: elsewhere TLS, and the host's name in local(…)
        .build()
        .await?;

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
    capauth.close().await?; // after the last answer: some writes are batched
    Ok(())
}
