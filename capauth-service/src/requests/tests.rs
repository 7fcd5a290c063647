use std::sync::LazyLock;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::sync::Notify;
use tower_service::Service as _;

use super::*;

fn router() -> Router {
    Router::new()
        .route("/fine", get(async || "fine"))
        .route("/panics", get(async || -> () { panic!("MARKER of a request") }))
        .route("/hangs/{name}", get(std::future::pending::<()>))
        .route("/streams", get(async |State(go): State<Arc<Notify>>| streamed(go)))
        .with_state(go())
        .fallback(not_found)
        .layer(Requests::new(Duration::from_millis(50), &["https://app.example.com".to_owned()]))
}

/// What the stream of `/streams` waits for.
fn go() -> Arc<Notify> {
    static GO: LazyLock<Arc<Notify>> = LazyLock::new(Arc::default);
    Arc::clone(&GO)
}

fn streamed(go: Arc<Notify>) -> Body {
    let pieces = futures_util::stream::once(async move {
        go.notified().await;
        axum::body::Bytes::from_static(b"at last")
    });
    Body::new(capauth_tower::Body::streamed(pieces))
}

async fn answer(request: http::request::Builder) -> (StatusCode, http::HeaderMap, String) {
    let response = router().call(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 10_000).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_panic_is_answered_with_the_id_and_nothing_else() {
    let (status, headers, body) =
        answer(Request::get("/panics").header("x-request-id", "0123456789abcdef-1")).await;
    assert_eq!(status, 500);
    assert_eq!(headers["x-request-id"], "0123456789abcdef-1");
    assert!(
        body.contains("0123456789abcdef-1") && body.contains("server_error") && !body.contains("MARKER"),
        "{body}"
    );
    assert_eq!(answer(Request::get("/fine")).await.0, 200);
}

#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let (status, headers, body) = answer(Request::get("/hangs/MARKER")).await;
    assert_eq!(status, 503);
    assert_eq!(headers["content-type"], "application/json");
    let id = headers["x-request-id"].to_str().unwrap();
    assert!(body.contains(id) && body.contains("server_error") && !body.contains("MARKER"), "{body}");
}

/// What is answered in the endpoints' stead is counted as theirs is, and measured.
#[tokio::test]
async fn faults_that_no_endpoint_tells_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let mut router = Router::new()
        .route("/panics", get(async || -> () { panic!("MARKER of a request") }))
        .route("/hangs/{name}", get(std::future::pending::<()>))
        .layer(Requests::measured(Duration::from_millis(50), &[]));
    for (path, status) in [("/panics", 500), ("/hangs/MARKER", 503), ("/MARKER", 404)] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(router.call(request).await.unwrap().status(), status);
    }
    let text = shown.render();
    for (wanted, times) in [
        ("capauth_refusals_total{kind=\"Internal\"} 1\n", 1),
        ("capauth_refusals_total{kind=\"Unavailable\"} 1\n", 1),
        ("capauth_refusals_total{", 2),
        ("_count{route=\"other\",method=\"other\",status=\"5xx\"} 2\n", 1),
        ("_count{route=\"other\",method=\"other\",status=\"4xx\"} 1\n", 1),
        ("MARKER", 0),
    ] {
        assert_eq!(text.matches(wanted).count(), times, "{wanted}\n{text}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_when_the_time_for_an_answer_is_over() {
    let request = Request::get("/streams").body(Body::empty()).unwrap();
    let response = router().call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    // Another request outlasts its time meanwhile.
    assert_eq!(answer(Request::get("/hangs/x")).await.0, 503);
    go().notify_one();
    assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "at last");
}

#[tokio::test]
async fn where_there_is_no_route_the_answer_has_the_protocols_form() {
    let (status, headers, body) = answer(Request::get("/MARKER?MARKER")).await;
    assert_eq!(status, 404);
    assert!(headers.contains_key("x-request-id"));
    assert!(body.contains(r#""error":"not_found""#) && !body.contains("MARKER"), "{body}");
}

#[tokio::test]
async fn only_configured_origins_are_let_in_and_never_with_cookies() {
    let ours = "https://app.example.com";
    let (status, headers, _) = answer(Request::get("/fine").header("origin", ours)).await;
    assert_eq!(
        (status, &headers["access-control-allow-origin"]),
        (StatusCode::OK, &HeaderValue::from_static(ours))
    );
    assert_eq!(headers["vary"], "origin");
    assert!(!headers.contains_key("access-control-allow-credentials"));

    let preflight = |origin| {
        let request = Request::options("/fine").header("origin", origin);
        answer(request.header("access-control-request-method", "POST"))
    };
    let (status, headers, _) = preflight(ours).await;
    assert_eq!(status, 204);
    assert_eq!(headers["access-control-allow-origin"], ours);

    for evil in ["https://app.example.com.evil", "null", "http://app.example.com", "*"] {
        let (status, headers, _) = preflight(evil).await;
        assert_eq!(status, 405, "{evil}");
        assert!(!headers.contains_key("access-control-allow-origin"), "{evil}");
        let (_, headers, _) = answer(Request::get("/fine").header("origin", evil)).await;
        assert!(!headers.contains_key("access-control-allow-origin"), "{evil}");
        assert_eq!(headers["vary"], "origin");
    }
}
