//! What happens around every request: an id, a span, a time limit, panics caught, CORS, a measurement, one line in the
//! log.
//!
//! One layer by hand instead of five from a library: each of those boxes and copies, and together they would cost as
//! much as a login's own work.

mod cors;
mod id;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use capauth_protocol::{ErrorBody, ErrorCode, Refusal};
use capauth_tower::{AdmittedOrigin, AuthErrorKind, Traced, count_refusal, method_name};
use http::{HeaderValue, StatusCode, header};
use tower_layer::Layer;
use tower_service::Service;
use tracing::{Instrument as _, Span};

use self::cors::Cors;
use self::id::RequestIds;
use crate::metrics::Latency;

/// The layer. It belongs on the router (`Router::layer`), so that it knows which route was taken.
#[derive(Clone)]
pub(crate) struct Requests(Arc<Inner>);

struct Inner {
    timeout: Duration,
    cors: Cors,
    ids: RequestIds,
    /// `None`: nobody wants to know how long requests take.
    latency: Option<Latency>,
}

impl Requests {
    pub(crate) fn new(timeout: Duration, cors_origins: &[String]) -> Self {
        Self::with(timeout, cors_origins, None)
    }

    /// The same, with the time of each request measured for the recorder that is installed.
    pub(crate) fn measured(timeout: Duration, cors_origins: &[String]) -> Self {
        Self::with(timeout, cors_origins, Some(Latency::new()))
    }

    fn with(timeout: Duration, cors_origins: &[String], latency: Option<Latency>) -> Self {
        Self(Arc::new(Inner { timeout, cors: Cors::new(cors_origins), ids: RequestIds::new(), latency }))
    }
}

impl<S> Layer<S> for Requests {
    type Service = Around<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Around { inner, requests: Arc::clone(&self.0) }
    }
}

/// A service with everything that belongs around it.
#[derive(Clone)]
pub(crate) struct Around<S> {
    inner: S,
    requests: Arc<Inner>,
}

impl<S> Service<Request> for Around<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The service that was polled ready is the one to call.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let requests = Arc::clone(&self.requests);
        Box::pin(async move { Ok(requests.handle(inner, request).await) })
    }
}

/// What a log line, a span and a measurement say of a request. Never its path or query: they may hold anything.
struct Line {
    method: &'static str,
    route: Option<MatchedPath>,
    begun: Instant,
}

impl Inner {
    async fn handle<S>(&self, mut inner: S, mut request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let id = self.ids.of(request.headers());
        let origin = self.cors.origin_of(request.headers());
        let line = Line {
            method: method_name(request.method()),
            route: request.extensions().get().cloned(),
            begun: Instant::now(),
        };
        let span = line.span(&id);
        if !span.is_disabled() {
            request.extensions_mut().insert(Traced);
        }
        if origin.is_some() {
            request.extensions_mut().insert(AdmittedOrigin);
        }
        let mut response = match &origin {
            Some(_) if cors::is_preflight(&request) => cors::preflight(),
            _ => self.answer(&mut inner, request, &id).instrument(span).await,
        };
        if let Some(latency) = &self.latency {
            latency.note(line.route(), line.method, response.status(), line.begun.elapsed());
        }
        line.log(&response, &id);
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read, so where the next request begins is not known: a proxy must not send
            // somebody else's over this connection.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(origin) = origin {
            cors::admit(&mut response, origin);
        } else if self.cors.is_on() {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
        }
        response.headers_mut().insert(id::HEADER, id);
        response
    }

    /// The answer, or what is said when there is none in time or at all.
    async fn answer<S>(&self, inner: &mut S, request: Request, id: &HeaderValue) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let caught = catch_unwind(AssertUnwindSafe(|| inner.call(request)));
        let Ok(answering) = caught else { return failure(ErrorCode::ServerError, id) };
        let mut answering = pin!(answering);
        // Nothing that was touched before a panic is used after it: the request's own state is dropped, and what is
        // shared stands behind locks that say when they were left in the middle.
        let answering =
            poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(Ok(response))) => Poll::Ready(response),
                Err(_) => Poll::Ready(failure(ErrorCode::ServerError, id)),
            });
        match tokio::time::timeout(self.timeout, answering).await {
            Ok(response) => response,
            Err(_) => failure(ErrorCode::Unavailable, id),
        }
    }
}

/// A failure of ours, in the protocol's form, with nothing but the request's id.
fn failure(code: ErrorCode, id: &HeaderValue) -> Response {
    count_refusal(AuthErrorKind::of_code(code).unwrap_or(AuthErrorKind::Internal));
    let id = id.to_str().unwrap_or_default();
    told(Refusal::new(code, format!("The server could not answer. Its log says more, under {id}.")))
}

/// The answer where there is no route.
pub(crate) async fn not_found() -> Response {
    told(Refusal::new(ErrorCode::NotFound, "There is nothing at this path."))
}

fn told(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&ErrorBody::from(refusal)).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Line {
    /// The template that was matched.
    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    /// The span in which the request is answered: whatever is logged meanwhile carries its id. Its level is above all
    /// others, so that it is there where errors alone are logged; nothing is made where it is filtered out. What came of
    /// the request stands in its line, which is written when the span is over.
    fn span(&self, id: &HeaderValue) -> Span {
        tracing::error_span!(
            target: "capauth::request",
            "request",
            method = self.method,
            route = self.route().unwrap_or("-"),
            id = id.to_str().unwrap_or_default(),
        )
    }

    fn log(&self, response: &Response, id: &HeaderValue) {
        let status = response.status();
        let succeeded = !status.is_client_error() && !status.is_server_error();
        if succeeded && !tracing::enabled!(target: "capauth::request", tracing::Level::DEBUG) {
            return;
        }
        let (method, route) = (self.method, self.route().unwrap_or("-"));
        let kind = kind(response);
        let id = id.to_str().unwrap_or_default();
        let ms = self.begun.elapsed().as_millis();
        let status = status.as_u16();
        macro_rules! say {
            ($level:ident, $words:literal) => {
                tracing::$level!(target: "capauth::request", method, route, status, kind, id, ms, $words)
            };
        }
        match status {
            500.. => say!(error, "failed"),
            400.. => say!(info, "refused"),
            _ => say!(debug, "answered"),
        }
    }
}

/// What was wrong, as a constant word.
fn kind(response: &Response) -> &'static str {
    if let Some(kind) = response.extensions().get::<AuthErrorKind>() {
        return kind.as_str();
    }
    match response.status() {
        StatusCode::BAD_REQUEST => "InvalidRequest",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        StatusCode::REQUEST_TIMEOUT => "RequestTimeout",
        StatusCode::PAYLOAD_TOO_LARGE => "PayloadTooLarge",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
        StatusCode::SERVICE_UNAVAILABLE => "Unavailable",
        StatusCode::INTERNAL_SERVER_ERROR => "Internal",
        _ => "-",
    }
}

#[cfg(test)]
mod tests;
