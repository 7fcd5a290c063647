//! Bodies: too long, of another type, never sent.

use capauth_tests::sites::raw::Request;

use crate::visit::{CHALLENGE, LOGOUT, VERIFY, Visit, get, post};

const MAX_BODY: usize = 256 * 1024;
const JSON: &str = "application/json";

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A body of this length that asks for a challenge.
fn ask(visit: &Visit<'_>, length: usize) -> Vec<u8> {
    let mut body = visit.cast.alice.ask(None).to_string().into_bytes();
    body.resize(length, b' ');
    body
}

pub(crate) async fn a_body_may_have_256_kib(visit: &Visit<'_>) {
    let whole = post(CHALLENGE).header("content-type", JSON).body(ask(visit, MAX_BODY));
    visit.step("with its length", whole, "200").await;
    let body = ask(visit, MAX_BODY);
    let pieces: Vec<u8> = body.chunks(10_000).flat_map(chunk).chain(*b"0\r\n\r\n").collect();
    let chunked = post(CHALLENGE).header("content-type", JSON).header("transfer-encoding", "chunked");
    visit.step("in chunks", chunked.then(pieces), "200").await;
    let trailers = [chunk(&ask(visit, 1000)), b"0\r\nx-note: a\r\n\r\n".to_vec()].concat();
    let chunked = post(CHALLENGE).header("content-type", JSON).header("transfer-encoding", "chunked");
    visit.step("with trailers", chunked.then(trailers), "200").await;
}

/// None of these sends all that it announces: a server that waited for it would never answer.
pub(crate) async fn attack_oversized_body(visit: &Visit<'_>) {
    for length in ["262145", "99999999999"] {
        let announced = || post(VERIFY).header("content-type", JSON).header("content-length", length);
        let refusal = "413 payload_too_large";
        visit.step(&format!("{length} bytes begun"), announced().then(ask(visit, 1000)), refusal).await;
        visit.step(&format!("{length} bytes, none sent"), announced(), refusal).await;
        visit.step(&format!("{length} bytes after a word"), announced().waiting(), refusal).await;
    }
    let body = ask(visit, MAX_BODY + 1);
    for path in [CHALLENGE, VERIFY, LOGOUT] {
        let pieces: Vec<u8> = body.chunks(10_000).flat_map(chunk).collect();
        let chunked = post(path).header("content-type", JSON).header("transfer-encoding", "chunked");
        visit.step(&format!("in chunks, to {path}"), chunked.then(pieces), "413 payload_too_large").await;
    }
    let short = || post(CHALLENGE).header("content-type", JSON).body(ask(visit, 1000));
    visit.step("short enough", short(), "200").await;
    visit.step("short enough after a word", short().waiting(), "200").await;
}

/// What follows a refused head is its body, and not the next request: the connection ends.
pub(crate) async fn attack_request_hidden_in_a_refused_body(visit: &Visit<'_>) {
    let cookie = visit.cookie_of(&visit.cast.alice).await;
    let hidden =
        format!("GET /me HTTP/1.1\r\nhost: app.example.com\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n");
    let refused = |request: Request| request.header("content-length", "262145").then(&hidden).keeping_alive();
    for (name, request, refusal) in [
        ("too long", post(VERIFY).header("content-type", JSON), "413 payload_too_large"),
        (
            "of another site",
            post(VERIFY).header("content-type", JSON).header("origin", "null"),
            "403 forbidden",
        ),
        ("of another type", post(VERIFY).header("content-type", "text/plain"), "413 payload_too_large"),
        ("of another method", Request::new("PUT /auth/capauth/verify"), "405 method_not_allowed"),
        ("of nobody", post("/change"), "401 invalid_token"),
    ] {
        let answer = visit.step(name, refused(request), refusal).await;
        let told = answer.text();
        assert!(
            !told.contains("HTTP/1.1") && !told.contains("capauth_fingerprint"),
            "{:?}, {name}: {told}",
            visit.site
        );
    }
    visit.step("as a request of its own", get("/me").header("cookie", cookie), "200").await;
}

pub(crate) async fn a_body_is_json(visit: &Visit<'_>) {
    for (name, body) in [
        ("nothing", &b""[..]),
        ("words", b"words"),
        ("a list", b"[]"),
        ("half an object", b"{\"fingerprint\":"),
        ("a member twice", b"{\"fingerprint\":\"A\",\"fingerprint\":\"B\"}"),
        ("no UTF-8", b"{\"fingerprint\":\"\xff\"}"),
        ("a number that is none", b"{\"fingerprint\":NaN}"),
        ("an empty object", b"{}"),
    ] {
        for path in [CHALLENGE, VERIFY] {
            let request = post(path).header("content-type", JSON).body(body);
            visit.step(&format!("{name}, to {path}"), request, "400 invalid_request").await;
        }
    }
    let body = || ask(visit, 1000);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "text/json"] {
        let request = post(CHALLENGE).header("content-type", kind).body(body());
        visit.step(&format!("of the type {kind:?}"), request, "415 unsupported_media_type").await;
    }
    visit.step("of no type", post(CHALLENGE).body(body()), "415 unsupported_media_type").await;
    let two = post(CHALLENGE).header("content-type", JSON).header("content-type", "text/plain").body(body());
    visit.step("of two types", two, "415 unsupported_media_type").await;
    let zipped = post(CHALLENGE).header("content-type", JSON).header("content-encoding", "gzip");
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    visit.step("compressed", zipped.body(gzip), "400 invalid_request").await;
    for kind in [JSON, "Application/JSON; charset=utf-8"] {
        let request = post(CHALLENGE).header("content-type", kind).body(body());
        visit.step(&format!("of the type {kind:?}"), request, "200").await;
    }
}
