//! Sign in with an OpenPGP key, in a Rocket application that keeps its people's keys itself.
//!
//! `cargo run --bin rocket-local`, and then `cargo run --bin agent` signs in with a key of your gpg's. `PORT` (3000) says
//! where it listens, and `CAPAUTH_DB_PATH` (`capauth.db`) where keys are kept.

use std::{env, error::Error};

use capauth_rocket::{Authenticated, CapAuth, Human, InGroup, OidcClaims, group};
use rocket::{Config, fairing::AdHoc, get, routes, serde::json::Json};

group!(pub Admins = "admins");

#[get("/")]
fn index() -> &'static str {
    "Hello, stranger. Sign in at /auth/capauth/login\n"
}

#[get("/me")]
fn me(user: Authenticated) -> Json<OidcClaims> {
    Json(user.claims().clone())
}

#[get("/admin")]
fn admin(admin: InGroup<Admins>) -> String {
    format!("At your service, {}\n", admin.display_name())
}

#[get("/human")]
fn human(human: Human) -> String {
    format!("Nice to meet you, {}\n", human.display_name())
}

#[rocket::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let path = env::var("CAPAUTH_DB_PATH").unwrap_or("capauth.db".into());
    let capauth = CapAuth::local("localhost")
        .store(format!("sqlite://{path}"))
        .insecure_http_on_loopback(port) // for one's own machine: elsewhere TLS, and the host's name in local(…)
        .build()
        .await?;

    let listening = AdHoc::on_liftoff("listening", move |_| {
        Box::pin(async move { println!("listening on http://127.0.0.1:{port}") })
    });
    rocket::custom(Config::figment().merge(("port", port)))
        .attach(capauth_rocket::fairing(capauth.clone())) // logs the notices too
        .attach(listening)
        .mount("/auth/capauth", capauth_rocket::routes()) // the login
        .mount("/", routes![index, me, admin, human])
        .launch() // until ctrl-c
        .await?;
    capauth.close().await?; // after the last answer: some writes are batched
    Ok(())
}
