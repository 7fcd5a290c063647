use axum::Router;
use axum::routing::get;
use tower_service::Service as _;

use super::*;

fn router() -> Router {
    Router::new()
        .route("/fine", get(async || "fine"))
        .route("/panics", get(async || -> () { panic!("MARKER of a request") }))
        .route("/hangs/{name}", get(std::future::pending::<()>))
        .fallback(not_found)
        .layer(Requests::new(Duration::from_millis(50), &["https://app.example.com".to_owned()]))
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
