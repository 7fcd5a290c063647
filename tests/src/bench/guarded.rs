//! One application in each framework, with an open path and two guarded ones, for [`super::guard`] to ask.

use std::convert::Infallible;

use actix_web::{App, HttpServer, web};
use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use capauth_tower::{AuthLayer, Authenticated, Body, CapAuth, RateLimits};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

/// The frameworks, by the name under which each is started here.
pub(crate) const FRAMEWORKS: [&str; 4] = ["tower", "axum", "actix", "rocket"];

const HELLO: &str = "Hello";

/// Serves in this framework on a free port until killed; prints where.
pub(crate) async fn serve(framework: &str) -> Result<(), String> {
    let stores = capauth_verifier::memory::stores().map_err(words)?;
    let config = CapAuth::local("capauth.local").stores(stores).rate_limits(RateLimits::off());
    let capauth = config.build().await.map_err(words)?;
    match framework {
        "tower" => tower(capauth).await,
        "axum" => axum(capauth).await,
        "actix" => actix(capauth).await,
        "rocket" => rocket(capauth).await,
        other => Err(format!("{other} is none of {FRAMEWORKS:?}")),
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn bind() -> Result<TcpListener, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(words)?;
    println!("listening on http://{}", listener.local_addr().map_err(words)?);
    Ok(listener)
}

async fn hello() -> &'static str {
    HELLO
}

async fn answer(_: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from(HELLO)))
}

async fn look(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let known = request.extensions().get::<Authenticated>().is_some();
    Ok(Response::new(Body::from(if known { HELLO } else { "" })))
}

async fn axum_user(_: capauth_axum::Authenticated) -> &'static str {
    HELLO
}

async fn actix_user(_: capauth_actix::Authenticated) -> &'static str {
    HELLO
}

async fn tower(capauth: CapAuth) -> Result<(), String> {
    let layer = ServiceBuilder::new().layer(capauth.require_login()).service(service_fn(answer));
    let extractor = ServiceBuilder::new().layer(AuthLayer::new(capauth.clone())).service(service_fn(look));
    let endpoints = capauth.service_endpoints();
    let app = service_fn(move |request: Request<Incoming>| {
        let (layer, extractor, endpoints) = (layer.clone(), extractor.clone(), endpoints.clone());
        async move {
            let response = match request.uri().path() {
                "/open" => Response::new(http_body_util::Either::Right(Body::from(HELLO))),
                "/layer" => layer.oneshot(request).await?,
                "/extractor" => extractor.oneshot(request).await?,
                _ => endpoints.handle(request).await.map(http_body_util::Either::Right),
            };
            Ok::<_, Infallible>(response)
        }
    });
    let listener = bind().await?;
    loop {
        let (stream, _) = listener.accept().await.map_err(words)?;
        stream.set_nodelay(true).map_err(words)?;
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn axum(capauth: CapAuth) -> Result<(), String> {
    let app = Router::new()
        .route("/open", get(hello))
        .route("/layer", get(hello).route_layer(capauth.require_login()))
        .route("/extractor", get(axum_user))
        .merge(capauth_axum::service_routes())
        .with_state(capauth);
    let listener = bind().await?.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await.map_err(words)
}

async fn actix(capauth: CapAuth) -> Result<(), String> {
    let app = move || {
        App::new()
            .configure(capauth_actix::service_routes(capauth.clone()))
            .route("/open", web::get().to(hello))
            .service(web::resource("/layer").wrap(capauth_actix::require_login()).route(web::get().to(hello)))
            .route("/extractor", web::get().to(actix_user))
    };
    let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", 0)).map_err(words)?;
    println!("listening on http://{}", server.addrs().first().ok_or("no address")?);
    server.run().await.map_err(words)
}

#[rocket::get("/open")]
fn open() -> &'static str {
    HELLO
}

#[rocket::get("/extractor")]
#[allow(clippy::needless_pass_by_value, reason = "a guard is an argument")]
fn extractor(_user: capauth_rocket::Authenticated) -> &'static str {
    HELLO
}

async fn rocket(capauth: CapAuth) -> Result<(), String> {
    let config = rocket::Config { port: 0, log_level: rocket::config::LogLevel::Off, ..Default::default() };
    rocket::custom(config)
        .attach(capauth_rocket::fairing(capauth))
        .attach(rocket::fairing::AdHoc::on_liftoff("address", |rocket| {
            println!("listening on http://127.0.0.1:{}", rocket.config().port);
            Box::pin(async {})
        }))
        .mount("/", rocket::routes![open, extractor])
        .mount("/", capauth_rocket::service_routes())
        .launch()
        .await
        .map(drop)
        .map_err(words)
}
