//! The listener: `/metrics`, `/health`, `/ready`, and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use capauth_tower::CapAuth;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use super::looked_at::Stores;
use super::process;

/// How many may ask at once; more wait. One collector and a few people are enough.
const CONNECTIONS: usize = 16;
/// How long a client may take over its request, and over reading the answer.
const SLOWEST: Duration = Duration::from_secs(10);
/// How large a request's headers may be.
const HEADER_BYTES: usize = 8 * 1024;
/// How long the counting of keys may hold up a scrape.
const COUNTING: Duration = Duration::from_secs(3);
/// How often what was measured is added up: until then each measurement is kept by itself.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long to wait before accepting again when the system has no more connections to give.
const NO_CONNECTIONS: Duration = Duration::from_millis(100);

/// Prometheus's text format.
const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

struct Shown {
    recorder: PrometheusHandle,
    stores: Stores,
    /// However many ask, the stores are asked by one at a time.
    turn: Semaphore,
    stopping: Arc<AtomicBool>,
}

/// Answers until it is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    recorder: PrometheusHandle,
    capauth: CapAuth,
    stopping: Arc<AtomicBool>,
) {
    process::begin();
    let shown = Arc::new(Shown { recorder, stores: Stores::new(capauth), turn: Semaphore::new(1), stopping });
    tokio::select! {
        () = accept(&listener, &shown) => {}
        () = add_up(&shown.recorder) => {}
    }
}

async fn add_up(recorder: &PrometheusHandle) {
    let mut due = tokio::time::interval(UPKEEP);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        due.tick().await;
        recorder.run_upkeep();
    }
}

/// Takes connections, for ever. They end with it.
async fn accept(listener: &TcpListener, shown: &Arc<Shown>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(NO_CONNECTIONS).await;
            continue;
        };
        let shown = Arc::clone(shown);
        connections.spawn(async move {
            connection(stream, &shown).await;
            drop(place);
        });
    }
}

/// Serves one request: whoever asks more often connects again.
async fn connection(stream: TcpStream, shown: &Shown) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST)
        .max_header_size(HEADER_BYTES)
        .keep_alive(false);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(SLOWEST));
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(shown.answer(request.method(), request.uri().path()).await)
    });
    // Its errors are the client's.
    let _ = builder.serve_connection(TokioIo::new(Box::pin(stream)), service).await;
}

impl Shown {
    async fn answer(&self, method: &Method, path: &str) -> Response {
        if !matches!(path, "/metrics" | "/health" | "/ready") {
            return told(StatusCode::NOT_FOUND, JSON, json!({"error": "not_found"}).to_string());
        }
        if ![Method::GET, Method::HEAD].contains(method) {
            let body = json!({"error": "method_not_allowed"}).to_string();
            let mut response = told(StatusCode::METHOD_NOT_ALLOWED, JSON, body);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/metrics" => told(StatusCode::OK, TEXT_FORMAT, self.scrape().await),
            "/ready" => self.ready().await,
            _ => told(StatusCode::OK, JSON, json!({"status": "ok"}).to_string()),
        }
    }

    async fn scrape(&self) -> String {
        let _turn = self.turn.acquire().await;
        process::look();
        self.stores.check().await;
        // Metrics without these two are better than none.
        let _ = tokio::time::timeout(COUNTING, self.stores.count()).await;
        self.recorder.render()
    }

    /// Whether logins are possible: every store answers, and the service is not about to end.
    async fn ready(&self) -> Response {
        if self.stopping.load(Ordering::Acquire) {
            return told(StatusCode::SERVICE_UNAVAILABLE, JSON, json!({"status": "stopping"}).to_string());
        }
        let _turn = self.turn.acquire().await;
        let health = self.stores.check().await;
        let each = health.iter().flat_map(|health| health.each());
        let stores: serde_json::Map<_, _> =
            each.map(|(store, up)| (store.to_owned(), if up { "up" } else { "down" }.into())).collect();
        match health.is_some_and(|health| health.is_good()) {
            true => told(StatusCode::OK, JSON, json!({"status": "ok", "stores": stores}).to_string()),
            false => {
                let body = json!({"status": "unavailable", "stores": stores}).to_string();
                told(StatusCode::SERVICE_UNAVAILABLE, JSON, body)
            }
        }
    }
}

fn told(status: StatusCode, content_type: HeaderValue, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
