//! The application in actix-web, on a thread of its own: its workers are runtimes of their own.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::middleware::Condition;
use actix_web::{App, HttpServer, Responder, web};
use capauth_actix::{Authenticated, Human, InGroup, MaybeAuthenticated};
use capauth_tower::CapAuth;

use super::application::{ADMIN, Admins, CHANGED, HELLO, HUMAN, INSIDE, NOTHING, maybe};
use super::{Options, Server};

pub(super) fn serve(capauth: &CapAuth, options: Options) -> Server {
    let capauth = capauth.clone();
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                App::new()
                    .configure(capauth_actix::routes(capauth.clone()))
                    .configure(application)
                    .default_service(web::to(nothing))
                    .wrap(Condition::new(!options.bare, capauth_actix::auth(capauth.clone())))
            };
            // Five seconds when not set: for so long it waits for the rest of a body that nobody reads, and the tests do.
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
        // The command is sent at once; who waits for its end is the thread.
        drop(handle.stop(false));
        let _ = thread.join();
    })
}

fn application(config: &mut web::ServiceConfig) {
    let area = web::scope("/area")
        .wrap(capauth_actix::require_group("admins"))
        .route("/inside", web::get().to(async || INSIDE))
        .default_service(web::to(nothing));
    config
        .route("/", web::get().to(async || HELLO))
        .route("/me", web::get().to(me))
        .route("/me", web::head().to(me))
        .route("/admin", web::get().to(async |_: InGroup<Admins>| ADMIN))
        .route("/human", web::get().to(async |_: Human| HUMAN))
        .route("/maybe", web::get().to(async |who: MaybeAuthenticated| maybe(who.as_deref())))
        .route("/change", web::post().to(async |_: Authenticated| CHANGED))
        .service(area);
}

async fn me(who: Authenticated) -> impl Responder {
    web::Json(who.claims().clone())
}

async fn nothing() -> impl Responder {
    (NOTHING, StatusCode::NOT_FOUND)
}
