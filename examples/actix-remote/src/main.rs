//! Sign in with an OpenPGP key, in an actix-web application whose people's keys a central service keeps.
//!
//! With `cargo run -p capauth-service` one folder up, `cargo run --bin actix-remote`; then `cargo run --bin agent` signs
//! in with a key of your gpg's. `PORT` (3000) says where it listens, and `CAPAUTH_URL` (`http://127.0.0.1:8420`) where
//! the service is. `CAPAUTH_SERVICE` and `CAPAUTH_CREDENTIAL`: this application's name and secret, if the service lists
//! it; else it takes the service's own name, and asks about each person.

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
    let url = env::var("CAPAUTH_URL").unwrap_or("http://127.0.0.1:8420".into());
    let mut config = CapAuth::remote(url).insecure_http_on_loopback(port);
    if let Ok(name) = env::var("CAPAUTH_SERVICE") {
        config = config.service(name);
    }
    if let Ok(secret) = env::var("CAPAUTH_CREDENTIAL") {
        config = config.credential(secret);
    }
    let capauth = config.build().await?;

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
    capauth.close().await?; // after the last answer
    Ok(())
}
