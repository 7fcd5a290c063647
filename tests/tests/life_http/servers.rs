//! The whole service, mounted in each framework.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use actix_web::{App, HttpServer};
use capauth_tower::CapAuth;
use rocket::config::{Config, LogLevel, Shutdown};
use rocket::fairing::AdHoc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What carries the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framework {
    Axum,
    Actix,
    Rocket,
}

/// A running server, which ends when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

impl Server {
    pub(crate) async fn start(framework: Framework, capauth: &CapAuth) -> Self {
        match framework {
            Framework::Axum => in_axum(capauth).await,
            Framework::Actix => in_actix(capauth),
            Framework::Rocket => in_rocket(capauth).await,
        }
    }

    fn new(address: SocketAddr, stop: impl FnOnce() + Send + 'static) -> Self {
        Self { address, stop: Some(Box::new(stop)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

async fn in_axum(capauth: &CapAuth) -> Server {
    let app = capauth_axum::service_routes_with::<()>(capauth);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let task = tokio::spawn(async move { axum::serve(listener, app).await });
    Server::new(address, move || task.abort())
}

/// On a thread of its own: its workers are runtimes of their own.
fn in_actix(capauth: &CapAuth) -> Server {
    let capauth = capauth.clone();
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || App::new().configure(capauth_actix::service_routes(capauth.clone()));
            let server = HttpServer::new(app).client_disconnect_timeout(Duration::ZERO);
            let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a port is free");
            let address = *server.addrs().first().expect("a listener has an address");
            let server = server.run();
            tell.send((address, server.handle())).expect("somebody waits");
            server.await.expect("the server ends well");
        });
    });
    let (address, handle) = told.recv().expect("the server starts");
    Server::new(address, move || {
        drop(handle.stop(false));
        let _ = thread.join();
    })
}

async fn in_rocket(capauth: &CapAuth) -> Server {
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let liftoff = AdHoc::on_liftoff("where it listens", move |rocket| {
        Box::pin(async move {
            let address = (rocket.config().address, rocket.config().port).into();
            let tell = tell.lock().ok().and_then(|mut tell| tell.take());
            if let Some(tell) = tell {
                tell.send(address).expect("somebody waits");
            }
        })
    });
    let config = Config {
        address: [127, 0, 0, 1].into(),
        port: 0,
        log_level: LogLevel::Off,
        shutdown: Shutdown {
            ctrlc: false,
            signals: HashSet::new(),
            grace: 0,
            mercy: 0,
            ..Shutdown::default()
        },
        ..Config::debug_default()
    };
    let rocket = rocket::custom(config)
        .attach(capauth_rocket::fairing(capauth.clone()))
        .attach(liftoff)
        .mount("/", capauth_rocket::service_routes());
    let rocket = rocket.ignite().await.expect("the rocket ignites");
    let shutdown = rocket.shutdown();
    let task = tokio::spawn(rocket.launch());
    let address = told.await.expect("the rocket lifts off");
    Server::new(address, move || {
        shutdown.notify();
        drop(task);
    })
}
