//! What Rocket does to requests on the way, and what comes of it.

use std::sync::atomic::Ordering;

use capauth_protocol::limits::MAX_BODY;
use capauth_rocket::{Authenticated, CapAuth, MaybeAuthenticated};
use capauth_verifier::AddressPrefix;
use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::Body;
use rocket::{Build, Rocket, delete, get, post, put, routes};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, ORIGIN, error, rocket};
use crate::person::Person;
use crate::stores::{capauth, watched};

#[get("/me")]
fn me(user: Authenticated) -> String {
    user.sub().to_string()
}

#[get("/maybe")]
fn maybe(user: MaybeAuthenticated) -> String {
    user.as_ref().map_or("nobody".to_owned(), |user| user.sub().to_string())
}

#[post("/thing")]
fn posted(_user: Authenticated) -> &'static str {
    "posted"
}

#[put("/thing")]
fn replaced(_user: Authenticated) -> &'static str {
    "replaced"
}

#[delete("/thing")]
fn deleted(_user: MaybeAuthenticated) -> &'static str {
    "deleted"
}

#[get("/thing")]
fn read(_user: Authenticated) -> &'static str {
    "read"
}

fn app(capauth: &CapAuth) -> Rocket<Build> {
    rocket()
        .attach(capauth_rocket::fairing(capauth.clone()))
        .mount("/", capauth_rocket::service_routes())
        .mount("/app/auth/capauth", capauth_rocket::routes())
        .mount("/", routes![me, maybe, posted, replaced, deleted, read])
}

async fn client() -> Client {
    Client::of(app(&capauth().await)).await
}

fn header(name: &str, value: &str) -> Vec<u8> {
    format!("{name}: {value}").into_bytes()
}

#[tokio::test]
async fn attack_two_authorization_headers() {
    let client = client().await;
    let good = header("Authorization", &client.bearer(&Person::new("alice")).await);
    let bad = header("authorization", "Bearer nonsense");
    let other = header("AUTHORIZATION", "Basic YTpi");
    for path in ["/me", "/maybe", "/auth/capauth/me"] {
        let line = format!("GET {path}");
        assert!(client.raw(line.as_bytes(), &[&good]).await.starts_with("HTTP/1.1 200"), "{path}");
        for pair in [[&good, &bad], [&bad, &good], [&good, &good], [&other, &good], [&good, &other]] {
            let answer = client.raw(line.as_bytes(), &pair.map(|line| &line[..])).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{path} {pair:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn attack_second_cookie_of_our_name() {
    let client = client().await;
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let (good, forged) = (header("cookie", &cookie), header("cookie", "__Host-capauth=Zm9yZ2Vk"));
    let foreign = header("cookie", "theirs=1; a=\"b c\"");
    for both in [[&good, &forged], [&forged, &good], [&good, &good]] {
        let answer = client.raw(b"GET /me", &both.map(|line| &line[..])).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    for others in [[&good, &foreign], [&foreign, &good]] {
        assert!(client.raw(b"GET /me", &others.map(|line| &line[..])).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn headers_with_bytes_that_rocket_drops_sign_nobody_in() {
    let client = client().await;
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let spoiled = [b"cookie: a=\xff; ", cookie.as_bytes()].concat();
    assert!(client.raw(b"GET /me", &[&spoiled]).await.starts_with("HTTP/1.1 401"));
    let missing = client.raw(b"GET /maybe", &[b"authorization: Bearer \xff"]).await;
    assert!(missing.starts_with("HTTP/1.1 200") && missing.ends_with("nobody"), "{missing}");
}

#[tokio::test]
async fn attack_method_in_a_form() {
    let client = client().await;
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let (session, own) = (("cookie", &*cookie), ("origin", ORIGIN));
    for (form, done) in [
        ("_method=put&a=b", "replaced"),
        ("_method=PUT&a=b", "replaced"),
        ("_method=delete", "deleted"),
        ("a=b&_method=put", "posted"),
        ("_method=nonsense", "posted"),
    ] {
        assert_eq!(client.form("/thing", &[session, own], form).await.text, done, "{form}");
        for from in
            [&[session][..], &[session, ("origin", "https://evil.example")], &[session, ("origin", "null")]]
        {
            assert_eq!(client.form("/thing", from, form).await.error(), error(403, "forbidden"), "{form}");
        }
    }
    // A form that calls itself GET reads what a link would read, and nothing more.
    let foreign = [session, ("origin", "https://evil.example")];
    assert_eq!(client.form("/thing", &foreign, "_method=GET&a=b").await.text, "read");
    // To our own endpoints it is what Rocket makes of it as well.
    for (form, status) in
        [("_method=PUT", 405), ("_method=delete", 405), ("_method=get", 405), ("a=b&c=defgh", 415)]
    {
        let answer = client.form("/auth/capauth/logout", &[session, own], form).await;
        assert_eq!(answer.status, status, "{form}: {answer:?}");
    }
    assert_eq!(client.get("/me", &[session]).await.status, 200, "nobody was signed out");
}

#[tokio::test]
async fn attack_path_that_means_the_same_to_rocket() {
    let client = client().await;
    let cookie = header("cookie", &client.cookie(&Person::new("alice"), &json!({})).await);
    for good in
        ["/auth/capauth/me", "/app/auth/capauth/me", "/auth/capauth/me?x=%zz", "http://x/auth/capauth/me"]
    {
        let answer = client.raw(format!("GET {good}").as_bytes(), &[&cookie]).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{good}: {answer}");
    }
    for bad in [
        "/auth/capauth/me/",
        "/auth/capauth//me",
        "//auth/capauth/me",
        "/auth/capauth/%6de",
        "/auth/c%61pauth/me",
        "/%61pp/auth/capauth/me",
        "/app/auth/c%61pauth/me",
        "/app/auth/capauth/%6de",
        "/app/auth/capauth/me/",
        "/app/auth/capauth//me",
        "/app//auth/capauth/me",
        "//app/auth/capauth/me",
        "/app/app/auth/capauth/me",
        "/auth/capauth/./me",
        "/auth/capauth/x/../me",
        "/app/auth/capauth/../capauth/me",
        "/auth/capauth/me;x=1",
        "/auth/capauth/ME",
        "/auth/capauth/me%00",
        "/auth/capauth/%zz",
        "/auth%2Fcapauth%2Fme",
        "/auth/capauth/m\u{e9}",
        "/capauth/v1/keys//groups",
    ] {
        let answer = client.raw(format!("GET {bad}").as_bytes(), &[&cookie]).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{bad}: {answer}");
    }
}

#[tokio::test]
async fn methods_that_rocket_does_not_know_are_its_own_400() {
    let client = client().await;
    for path in ["/auth/capauth/me", "/app/auth/capauth/me", "/me"] {
        let answer = client.send("FOO", path, &[], "").await;
        assert!(answer.status == 400 && answer.text.contains("<small>Rocket</small>"), "{answer:?}");
    }
}

#[tokio::test]
async fn attack_address_forged_by_the_client_does_not_count() {
    let of = |address: &str| AddressPrefix::of(Some(address.parse().unwrap()));
    for (proxies, expected) in [(&[][..], of("127.0.0.1")), (&["127.0.0.0/8"], of("203.0.113.9"))] {
        let (stores, seen) = watched();
        let proxies = proxies.iter().map(|range| range.parse().unwrap());
        let config = CapAuth::local("app.example.com").stores(stores).trusted_proxies(proxies);
        let client = Client::of(app(&config.build().await.unwrap())).await;
        let forged = [
            ("x-real-ip", "198.51.100.7"),
            ("x-forwarded-for", "198.51.100.1, 203.0.113.9"),
            ("forwarded", "for=198.51.100.8"),
        ];
        let body = json!({"fingerprint": "AB".repeat(20)});
        assert_eq!(client.post("/auth/capauth/challenge", &forged, &body).await.status, 200);
        assert_eq!(*seen.prefixes.lock().unwrap(), [expected]);
    }
}

fn challenge_of(length: usize) -> String {
    let ask = json!({"fingerprint": "AB".repeat(20)}).to_string();
    ask.clone() + &" ".repeat(length - ask.len())
}

#[tokio::test]
async fn attack_body_too_long_with_and_without_its_length() {
    let client = client().await;
    let json = [("content-type", "application/json")];
    for path in ["/auth/capauth/challenge", "/app/auth/capauth/challenge"] {
        for (length, status) in [(MAX_BODY, 200), (MAX_BODY + 1, 413), (8 * MAX_BODY, 413)] {
            let body = challenge_of(length);
            assert_eq!(client.send("POST", path, &json, body.clone()).await.status, status, "{length}");
            let pieces: Vec<_> = body.as_bytes().chunks(4096).map(<[u8]>::to_vec).collect();
            let frames = pieces
                .into_iter()
                .map(|piece| std::io::Result::Ok(Frame::data(rocket::http::hyper::body::Bytes::from(piece))));
            let chunked = Body::wrap(StreamBody::new(futures_util::stream::iter(frames)));
            assert_eq!(client.send("POST", path, &json, chunked).await.status, status, "{length} in pieces");
        }
    }
}

#[tokio::test]
async fn attack_body_too_long_after_100_continue_is_refused_at_its_first_bytes() {
    let client = client().await;
    let mut stream = client.connect().await;
    let head = "POST /auth/capauth/challenge HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                expect: 100-continue\r\ncontent-length: 99999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let count = stream.read(&mut answer).await.unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 100"), "Rocket begins to read");
    stream.write_all(&[b' '; 512]).await.unwrap();
    let count = stream.read(&mut answer).await.unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer[..count]));
}

#[tokio::test]
async fn a_revoked_session_ends_at_the_next_request() {
    let (stores, seen) = watched();
    let capauth = CapAuth::local("app.example.com").stores(stores).build().await.unwrap();
    let client = Client::of(app(&capauth)).await;
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let session = [("cookie", &*cookie), ("origin", ORIGIN)];
    assert_eq!(client.get("/me", &session).await.status, 200);
    assert_eq!(client.post("/auth/capauth/logout", &session, &json!({})).await.status, 200);
    let answer = client.get("/me", &session).await;
    assert_eq!((answer.error(), answer.cookie.as_str()), (error(401, "invalid_token"), "__Host-capauth="));
    assert!(seen.tokens.load(Ordering::SeqCst) > 0);
}
