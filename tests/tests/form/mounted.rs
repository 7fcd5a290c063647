//! An application below a path: what pages load and where forms go is found from where the page is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use axum::Router;
use capauth_tests::http::{Client, send};
use capauth_tests::keys::now;
use capauth_tower::{CapAuth, Clock as _, ManualClock};
use rocket::config::{Config, LogLevel, Shutdown};
use rocket::fairing::AdHoc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::browser::{Browser, attribute, tag};
use crate::people::Key;
use crate::servers::Framework;
use crate::world::capauth;

pub(crate) async fn the_form_works_below_a_path(framework: Framework) {
    let clock = Arc::new(ManualClock::at(now()));
    let capauth = capauth(&clock, |config| config.mounted_at("/app")).await;
    let address = match framework {
        Framework::Axum => in_axum(capauth).await,
        Framework::Actix => in_actix(capauth),
        Framework::Rocket => in_rocket(capauth).await,
    };
    let client = Client::new(&format!("http://{address}"));
    let mut browser = Browser::of(&client);
    let page = browser.open("/app/auth/capauth/login?redirect=/app/me").await;
    assert_eq!(page.answer.status, 200, "{}", page.html);
    for begins in ["<script", "<link rel=\"stylesheet\"", "<link rel=\"icon\"", "<link rel=\"modulepreload\""]
    {
        let tag = tag(&page.html, begins).unwrap();
        let address = page.resolve(&attribute(tag, "src").or_else(|| attribute(tag, "href")).unwrap());
        assert!(address.starts_with("/app/auth/capauth/assets/"), "{address}");
        assert_eq!(client.get(&address).await.status, 200, "{address}");
    }
    assert_eq!(page.action(), "/app/auth/capauth/login?redirect=/app/me");
    let key = Key::new();
    let fill = [("fingerprint", &*key.fingerprint), ("public_key", &key.certificate)];
    let page = browser.submit(&page, &fill).await;
    let page = browser.sign(&page, &key, clock.now()).await;
    page.signed_in("/app/me");
    let cookies: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let me = send(client.request("GET", "/app/auth/capauth/me").header("cookie", cookies.join("; "))).await;
    assert_eq!(me.ok()["sub"], key.fingerprint);
    assert_eq!(client.get("/auth/capauth/login").await.status, 404, "and nowhere else");
}

async fn in_axum(capauth: CapAuth) -> SocketAddr {
    let app: Router = Router::new().nest("/app", capauth_axum::routes_with(&capauth));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// On a thread of its own: its workers are runtimes of their own. It ends with the test.
fn in_actix(capauth: CapAuth) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                let scope = web::scope("/app").configure(capauth_actix::routes(capauth.clone()));
                App::new().service(scope)
            };
            let server = HttpServer::new(app).client_disconnect_timeout(Duration::ZERO);
            let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
            tell.send(*server.addrs().first().unwrap()).unwrap();
            server.run().await.unwrap();
        });
    });
    told.recv().unwrap()
}

async fn in_rocket(capauth: CapAuth) -> SocketAddr {
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let liftoff = AdHoc::on_liftoff("where it listens", move |rocket| {
        Box::pin(async move {
            let address = (rocket.config().address, rocket.config().port).into();
            tell.lock().unwrap().take().unwrap().send(address).unwrap();
        })
    });
    let signals = std::collections::HashSet::new();
    let shutdown = Shutdown { ctrlc: false, signals, grace: 0, mercy: 0, ..Shutdown::default() };
    let config = Config {
        address: [127, 0, 0, 1].into(),
        port: 0,
        log_level: LogLevel::Off,
        shutdown,
        ..Config::debug_default()
    };
    let rocket = rocket::custom(config)
        .attach(capauth_rocket::fairing(capauth))
        .attach(liftoff)
        .mount("/app/auth/capauth", capauth_rocket::routes());
    let rocket = rocket.ignite().await.unwrap();
    tokio::spawn(rocket.launch());
    told.await.unwrap()
}
