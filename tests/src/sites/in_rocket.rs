//! The application in Rocket.

#![expect(clippy::needless_pass_by_value, reason = "a guard is handed to its handler")]

use std::sync::Mutex;

use capauth_rocket::{Authenticated, Human, InGroup, MaybeAuthenticated};
use capauth_tower::CapAuth;
use rocket::config::{Config, LogLevel, Shutdown};
use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::content::RawJson;
use rocket::{catch, catchers, get, post, routes};
use tokio::sync::oneshot;

use super::Server;
use super::application::{ADMIN, Admins, CHANGED, HELLO, HUMAN, INSIDE, NOTHING};

pub(super) async fn serve(capauth: &CapAuth) -> Server {
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let liftoff = AdHoc::on_liftoff("where it listens", move |rocket| {
        Box::pin(async move {
            let tell = tell.lock().ok().and_then(|mut tell| tell.take());
            let address = (rocket.config().address, rocket.config().port).into();
            if let Some(tell) = tell {
                tell.send(address).expect("somebody waits");
            }
        })
    });
    let rocket = rocket::custom(config())
        .attach(capauth_rocket::fairing(capauth.clone()))
        .attach(liftoff)
        .mount("/auth/capauth", capauth_rocket::routes())
        .mount("/", routes![hello, me, admin, human, maybe, change, inside, elsewhere_inside])
        .register("/", catchers![nothing]);
    let rocket = rocket.ignite().await.expect("the rocket ignites");
    let shutdown = rocket.shutdown();
    let task = tokio::spawn(rocket.launch());
    let address = told.await.expect("the rocket lifts off");
    Server::new(address, move || {
        shutdown.notify();
        drop(task);
    })
}

/// What only its own settings say: no file, no environment.
fn config() -> Config {
    let signals = std::collections::HashSet::new();
    Config {
        address: [127, 0, 0, 1].into(),
        port: 0,
        log_level: LogLevel::Off,
        shutdown: Shutdown { ctrlc: false, signals, grace: 0, mercy: 0, ..Shutdown::default() },
        ..Config::debug_default()
    }
}

#[get("/")]
fn hello() -> &'static str {
    HELLO
}

#[get("/me")]
fn me(who: Authenticated) -> RawJson<String> {
    RawJson(serde_json::to_string(who.claims()).expect("claims serialise"))
}

#[get("/admin")]
fn admin(_who: InGroup<Admins>) -> &'static str {
    ADMIN
}

#[get("/human")]
fn human(_who: Human) -> &'static str {
    HUMAN
}

#[get("/maybe")]
fn maybe(who: MaybeAuthenticated) -> String {
    super::application::maybe(who.as_deref())
}

#[post("/change")]
fn change(_who: Authenticated) -> &'static str {
    CHANGED
}

#[get("/area/inside")]
fn inside(_who: InGroup<Admins>) -> &'static str {
    INSIDE
}

#[get("/area/<_..>", rank = 20)]
fn elsewhere_inside(_who: InGroup<Admins>) -> (Status, &'static str) {
    (Status::NotFound, NOTHING)
}

#[catch(404)]
fn nothing() -> &'static str {
    NOTHING
}
