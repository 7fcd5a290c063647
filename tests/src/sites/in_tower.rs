//! The application on hyper, with nothing but tower's layers.

use std::convert::Infallible;
use std::net::SocketAddr;

use capauth_tower::{AuthLayer, Authenticated, Body, CapAuth, Peer, RequireLayer};
use http::{Request, Response, StatusCode, header};
use http_body_util::Either;
use hyper::body::{Body as HttpBody, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::application::{ADMIN, CHANGED, HELLO, HUMAN, INSIDE, NOTHING, maybe};
use super::{Options, Server};

pub(super) async fn serve(capauth: &CapAuth, options: Options) -> Server {
    let inside = capauth.clone();
    let app = service_fn(move |request: Request<Incoming>| {
        let capauth = inside.clone();
        async move { Ok::<_, Infallible>(route(&capauth, request).await) }
    });
    let routes = capauth.routes_layer();
    if options.bare {
        listen(ServiceBuilder::new().layer(routes).service(app)).await
    } else {
        let auth = AuthLayer::new(capauth.clone());
        listen(ServiceBuilder::new().layer(routes).layer(auth).service(app)).await
    }
}

async fn listen<S, B>(app: S) -> Server
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let task = tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            tokio::spawn(connection(stream, peer, app.clone()));
        }
    });
    Server::new(address, move || task.abort())
}

async fn connection<S, B>(stream: TcpStream, peer: SocketAddr, app: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let app = app.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        request
    });
    let service = TowerToHyperService::new(app);
    // A connection that the client breaks off is none of the tests' business.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

type Handler = fn(Option<&Authenticated>) -> Response<Body>;

/// What a router would do: finds the handler, and the layer in front of it.
async fn route(capauth: &CapAuth, request: Request<Incoming>) -> Response<Body> {
    let (allowed, layer, handler): (&str, Option<RequireLayer>, Handler) = match request.uri().path() {
        "/" => ("GET,HEAD", None, |_| text(StatusCode::OK, HELLO)),
        "/maybe" => return maybe_page(capauth, request).await,
        "/me" => ("GET,HEAD", Some(capauth.require_login()), me),
        "/admin" => ("GET,HEAD", Some(capauth.require_group("admins")), |_| text(StatusCode::OK, ADMIN)),
        "/human" => ("GET,HEAD", Some(capauth.require_human()), |_| text(StatusCode::OK, HUMAN)),
        "/change" => ("POST", Some(capauth.require_login()), |_| text(StatusCode::OK, CHANGED)),
        "/area/inside" => return behind(&capauth.require_group("admins"), inside, request).await,
        path if path.starts_with("/area/") => {
            let nothing: Handler = |_| text(StatusCode::NOT_FOUND, NOTHING);
            return behind(&capauth.require_group("admins"), nothing, request).await;
        }
        _ => return text(StatusCode::NOT_FOUND, NOTHING),
    };
    if !allowed.split(',').any(|method| request.method() == method) {
        return not_allowed(allowed);
    }
    match layer {
        Some(layer) => behind(&layer, handler, request).await,
        None => handler(None),
    }
}

async fn behind(layer: &RequireLayer, handler: Handler, request: Request<Incoming>) -> Response<Body> {
    let service = layer.layer(service_fn(move |request: Request<Incoming>| {
        let answer = handler(request.extensions().get());
        async move { Ok::<_, Infallible>(answer) }
    }));
    let Ok(answer) = service.oneshot(request).await;
    answer.map(Either::into_inner)
}

fn inside(_: Option<&Authenticated>) -> Response<Body> {
    text(StatusCode::OK, INSIDE)
}

async fn maybe_page(capauth: &CapAuth, request: Request<Incoming>) -> Response<Body> {
    let (mut parts, _) = request.into_parts();
    match capauth.identify(&mut parts).await {
        Ok(who) => text(StatusCode::OK, maybe(who.as_ref())),
        Err(refused) => refused.into_response(),
    }
}

fn me(who: Option<&Authenticated>) -> Response<Body> {
    let claims = who.map(|who| serde_json::to_vec(who.claims()).expect("claims serialise"));
    let mut answer = Response::new(Body::from(claims.unwrap_or_default()));
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

fn text(status: StatusCode, words: impl Into<String>) -> Response<Body> {
    let mut answer = Response::new(Body::from(words.into()));
    *answer.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    answer
}
