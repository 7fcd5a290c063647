//! Sign in with an OpenPGP key, on hyper and tower alone, without a framework.
//!
//! `cargo run --bin tower-plain`, and then `cargo run --bin agent` signs in with a key of your gpg's. `PORT` (3000)
//! says where it listens, and `CAPAUTH_DB_PATH` (`capauth.db`) where keys are kept.

use std::{env, error::Error, pin::pin};

use capauth_tower::{AuthLayer, Authenticated, Body, CapAuth, Peer};
use http::{Request, Response, StatusCode};
use http_body_util::Either;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::{server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::{net::TcpListener, signal::ctrl_c};
use tower::{ServiceBuilder, ServiceExt, service_fn};

type Failure = Box<dyn Error + Send + Sync>;

async fn page(request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    let (text, json) = ("text/plain; charset=utf-8", "application/json");
    let user = request.extensions().get::<Authenticated>();
    let (status, kind, body) = match (request.uri().path(), user) {
        ("/", _) => (StatusCode::OK, text, "Hello, stranger. Sign in at /auth/capauth/login\n".into()),
        ("/me", Some(user)) => (StatusCode::OK, json, serde_json::to_string(user.claims())?),
        ("/admin", Some(admin)) => {
            (StatusCode::OK, text, format!("At your service, {}\n", admin.display_name()))
        }
        ("/human", Some(human)) => {
            (StatusCode::OK, text, format!("Nice to meet you, {}\n", human.display_name()))
        }
        _ => (StatusCode::NOT_FOUND, text, "There is nothing here.\n".into()),
    };
    Ok(Response::builder().status(status).header("content-type", kind).body(body.into())?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let path = env::var("CAPAUTH_DB_PATH").unwrap_or("capauth.db".into());
    let capauth = CapAuth::local("localhost")
        .store(format!("sqlite://{path}"))
        .insecure_http_on_loopback(port) // for one's own machine: elsewhere TLS, and the host's name in local(…)
        .build()
        .await?;

    let me = ServiceBuilder::new().layer(capauth.require_login()).service(service_fn(page));
    let admin = ServiceBuilder::new().layer(capauth.require_group("admins")).service(service_fn(page));
    let human = ServiceBuilder::new().layer(capauth.require_human()).service(service_fn(page));
    let pages = service_fn(move |request: Request<Incoming>| {
        let (me, admin, human) = (me.clone(), admin.clone(), human.clone());
        async move {
            match request.uri().path() {
                "/me" => me.oneshot(request).await,
                "/admin" => admin.oneshot(request).await,
                "/human" => human.oneshot(request).await,
                _ => page(request).await.map(|answer| answer.map(Either::Left)),
            }
        }
    });
    let app = ServiceBuilder::new()
        .layer(capauth.routes_layer()) // the login, at /auth/capauth/*: outside, since it needs no login
        .layer(AuthLayer::new(capauth.clone()))
        .service(pages);

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://127.0.0.1:{port}");
    capauth.notices().iter().for_each(|notice| println!("  ! {notice}"));
    let connections = GracefulShutdown::new();
    let mut stop = pin!(ctrl_c()); // one for all turns: a signal that comes between two is not lost
    loop {
        let accepted = tokio::select! { accepted = listener.accept() => accepted, _ = &mut stop => break };
        let Ok((stream, peer)) = accepted else { continue };
        let app = app.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer.ip())); // limits count clients by their address
            request
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
        tokio::spawn(connections.watch(connection));
    }
    connections.shutdown().await;
    capauth.close().await?; // after the last answer: some writes are batched
    Ok(())
}
