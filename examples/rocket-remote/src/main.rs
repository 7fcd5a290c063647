//! Sign in with an OpenPGP key, in a Rocket application whose people's keys a central service keeps.
//!
//! With `cargo run -p capauth-service` one folder up, `cargo run --bin rocket-remote`; then `cargo run --bin agent` signs
//! in with a key of your gpg's. `PORT` (3000) says where it listens, and `CAPAUTH_URL` (`http://127.0.0.1:8420`) where
//! the service is. `CAPAUTH_SERVICE` and `CAPAUTH_CREDENTIAL`: this application's name and secret, if the service lists
//! it; else it takes the service's own name, and asks about each person.

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
    let url = env::var("CAPAUTH_URL").unwrap_or("http://127.0.0.1:8420".into());
    let mut config = CapAuth::remote(url).insecure_http_on_loopback(port);
    if let Ok(name) = env::var("CAPAUTH_SERVICE") {
        config = config.service(name);
    }
    if let Ok(secret) = env::var("CAPAUTH_CREDENTIAL") {
        config = config.credential(secret);
    }
    let capauth = config.build().await?;

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
    capauth.close().await?; // after the last answer
    Ok(())
}
