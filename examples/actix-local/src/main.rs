//! Sign in with an OpenPGP key, in an actix-web application that keeps its people's keys itself.
//!
//! `cargo run --bin actix-local`, and then `cargo run --bin agent` signs in with a key of your gpg's. `PORT` (3000) says
//! where it listens, and `CAPAUTH_DB_PATH` (`capauth.db`) where keys are kept.

use std::{env, error::Error};

use actix_web::{App, HttpServer, Responder, get, web::Json};
use capauth_actix::{Authenticated, CapAuth, Human, InGroup, group};

group!(pub Admins = "admins");

#[get("/")]
async fn index() -> &'static str {
    "Hello, stranger. Sign in at /auth/capauth/login\n"
}

#[get("/me")]
async fn me(user: Authenticated) -> impl Responder {
    Json(user.claims().clone())
}

#[get("/admin")]
async fn admin(admin: InGroup<Admins>) -> String {
    format!("At your service, {}\n", admin.display_name())
}

#[get("/human")]
async fn human(human: Human) -> String {
    format!("Nice to meet you, {}\n", human.display_name())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let path = env::var("CAPAUTH_DB_PATH").unwrap_or("capauth.db".into());
    let capauth = CapAuth::local("localhost")
        .store(format!("sqlite://{path}"))
        .insecure_http_on_loopback(port) // for one's own machine: elsewhere TLS, and the host's name in local(…)
        .build()
        .await?;

    let handle = capauth.clone();
    let app = move || {
        App::new()
            .configure(capauth_actix::routes(handle.clone())) // the login, at /auth/capauth/*
            .service((index, me, admin, human))
    };
    let server = HttpServer::new(app).bind(("127.0.0.1", port))?;
    println!("listening on http://127.0.0.1:{port}");
    capauth.notices().iter().for_each(|notice| println!("  ! {notice}"));
    server.run().await?; // until ctrl-c
    capauth.close().await?; // after the last answer: some writes are batched
    Ok(())
}
