//! What stops a launch, and what is done at shutdown.

use std::sync::atomic::Ordering;

use capauth_rocket::{Authenticated, CapAuth, Human, InGroup, MaybeAuthenticated, Rejection};
use capauth_verifier::memory;
use rocket::error::ErrorKind;
use rocket::{Build, Rocket, Route, get, routes};

use crate::client::{Client, error, rocket};
use crate::example::Admins;
use crate::logs;
use crate::stores::{capauth, watched};

#[get("/")]
fn demands(_guard: Authenticated) {}

#[get("/")]
fn maybe(_guard: MaybeAuthenticated) {}

#[get("/")]
fn group(_guard: InGroup<Admins>) {}

#[get("/")]
fn human(_guard: Human) {}

#[get("/")]
fn option(_guard: Option<Authenticated>) {}

#[get("/")]
fn option_of_group(_guard: Option<InGroup<Admins>>) {}

#[get("/")]
fn result(_guard: Result<Human, Rejection>) {}

fn guarded() -> [(&'static str, Vec<Route>); 7] {
    [
        ("Authenticated", routes![demands]),
        ("MaybeAuthenticated", routes![maybe]),
        ("InGroup<Admins>", routes![group]),
        ("Human", routes![human]),
        ("Option<Authenticated>", routes![option]),
        ("Option<InGroup<Admins>>", routes![option_of_group]),
        ("Result<Human, Rejection>", routes![result]),
    ]
}

async fn fate(rocket: Rocket<Build>) -> &'static str {
    match rocket.ignite().await {
        Ok(_) => "ignites",
        Err(error) => match error.kind() {
            ErrorKind::SentinelAborts(_) => "sentinel",
            ErrorKind::FailedFairings(_) => "fairing",
            _ => "other",
        },
    }
}

#[tokio::test]
async fn guards_without_the_fairing_stop_the_launch_with_words() {
    let words = ".attach(capauth_rocket::fairing(capauth))";
    for (guard, routes) in guarded() {
        let said = logs::count(words);
        assert_eq!(fate(rocket().mount("/", routes.clone())).await, "sentinel", "{guard}");
        assert!(logs::count(words) > said, "{guard}");
        let with = rocket().attach(capauth_rocket::fairing(capauth().await)).mount("/", routes);
        assert_eq!(fate(with).await, "ignites", "{guard}");
    }
}

#[tokio::test]
async fn login_routes_at_a_wrong_base_stop_the_launch_with_words() {
    for bad in
        ["/", "/auth", "/capauth", "/xauth/capauth", "/auth/capauth/x", "/auth/c%61pauth", "/AUTH/CAPAUTH"]
    {
        let app = rocket().attach(capauth_rocket::fairing(capauth().await));
        assert_eq!(fate(app.mount(bad, capauth_rocket::routes())).await, "fairing", "{bad}");
        assert_eq!(logs::count(&format!("mounted at \"{bad}\"")), 1, "{bad}");
    }
    let app = rocket().attach(capauth_rocket::fairing(capauth().await));
    let good = ["/auth/capauth", "/app/auth/capauth", "/a/b/auth/capauth", "/c/auth/capauth/"];
    let app = good.iter().fold(app, |app, base| app.mount(*base, capauth_rocket::routes()));
    assert_eq!(fate(app).await, "ignites");
}

#[tokio::test]
async fn a_login_page_that_browsers_would_not_be_sent_to_stops_the_launch_with_words() {
    let at = async |mount: &str| {
        let config = CapAuth::local("app.example.com").stores(memory::stores().unwrap()).mounted_at(mount);
        rocket().attach(capauth_rocket::fairing(config.build().await.unwrap()))
    };
    for (mount, base, outcome) in [
        ("", "/auth/capauth", "ignites"),
        ("/app", "/app/auth/capauth", "ignites"),
        ("/app", "/app/auth/capauth/", "ignites"),
        ("", "/app/auth/capauth", "fairing"),
        ("/app", "/auth/capauth", "fairing"),
        ("/app", "/other/auth/capauth", "fairing"),
    ] {
        let app = at(mount).await.mount(base, capauth_rocket::routes());
        assert_eq!(fate(app).await, outcome, "{mount} {base}");
    }
    assert!(logs::count(".mounted_at(\"/app\")") > 0);
}

#[tokio::test]
async fn a_handle_that_is_managed_twice_stops_the_launch_and_two_fairings_do_not() {
    let capauth = capauth().await;
    let twice = rocket().manage(capauth.clone()).attach(capauth_rocket::fairing(capauth.clone()));
    assert_eq!(fate(twice).await, "fairing");
    let fairings = rocket()
        .attach(capauth_rocket::fairing(capauth.clone()))
        .attach(capauth_rocket::fairing(capauth.clone()));
    assert_eq!(fate(fairings).await, "ignites");
}

#[tokio::test]
async fn routes_without_the_fairing_answer_500_and_say_why_in_the_log() {
    let words = ".attach(capauth_rocket::fairing(capauth))";
    let login = rocket().mount("/auth/capauth", capauth_rocket::routes());
    let service = rocket().mount("/", capauth_rocket::service_routes());
    for app in [login, service] {
        let said = logs::count(words);
        let answer = Client::of(app).await.get("/auth/capauth/me", &[]).await;
        assert_eq!(answer.error(), error(500, "server_error"));
        assert!(!answer.text.contains("fairing"), "the client hears nothing of it");
        assert!(logs::count(words) > said);
    }
}

#[tokio::test]
async fn shutdown_writes_what_waits() {
    let (stores, seen) = watched();
    let capauth = CapAuth::local("app.example.com").stores(stores).build().await.unwrap();
    let app =
        rocket().attach(capauth_rocket::fairing(capauth)).mount("/auth/capauth", capauth_rocket::routes());
    let client = Client::of(app).await;
    assert_eq!(client.get("/auth/capauth/me", &[]).await.status, 401);
    assert_eq!(seen.flushes.load(Ordering::SeqCst), 0);
    client.shut_down().await;
    assert_eq!(seen.flushes.load(Ordering::SeqCst), 1);
}
