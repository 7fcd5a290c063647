//! How much is read, for how long, and what is followed: nothing.

use std::time::Duration;

use capauth_verifier::{DirectoryErrorKind as Kind, EmailAddress, KeyDirectory as _, WebKeyDirectory};

use crate::names::Found;
use crate::server::{Authority, Reply, Speech};
use crate::world::{ADVANCED, DIRECT, World, fetch};

const LIMIT: usize = 256 * 1024;
/// For what never ends; what ends gets half a minute.
const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn what_is_served_is_fetched_from_the_place_the_standard_names() {
    let world = World::start().await;
    world.server.always(ADVANCED, Reply::Body(b"certificates".to_vec()));
    assert_eq!(world.fetch().await.unwrap(), b"certificates");
    let [request] = <[_; 1]>::try_from(world.server.asked()).unwrap();
    let path = "/.well-known/openpgpkey/example.org/hu/";
    let hashed = request.target.strip_prefix(path).unwrap().strip_suffix("?l=ada").unwrap();
    assert_eq!(hashed.len(), 32);
    let mut names: Vec<_> = request.headers.keys().map(String::as_str).collect();
    names.sort_unstable();
    // No cookie, no referrer, no offer to decompress.
    assert_eq!(names, ["accept", "host", "user-agent"]);
}

#[tokio::test]
async fn attack_a_huge_body() {
    let world = World::start().await;
    let chunk = |length: usize| format!("{length:x}\r\n{}\r\n", "x".repeat(length));
    let chunked = |body: String| {
        Reply::raw("200 X\r\ntransfer-encoding: chunked\r\n", format!("{body}0\r\n\r\n").as_bytes())
    };
    let until_close = |length: usize| Reply::raw("200 X\r\nconnection: close\r\n", &vec![b'x'; length]);
    for (what, reply, length) in [
        ("announced", Reply::Body(vec![b'x'; LIMIT + 1]), None),
        ("announced, and never sent", Reply::raw("200 X\r\ncontent-length: 99999999999\r\n", b""), None),
        ("in chunks", chunked(chunk(1024).repeat(257)), None),
        ("in one chunk", chunked(chunk(LIMIT + 1)), None),
        ("until the end", until_close(LIMIT + 1), None),
        ("announced", Reply::Body(vec![b'x'; LIMIT]), Some(LIMIT)),
        ("in chunks", chunked(chunk(1024).repeat(256)), Some(LIMIT)),
        ("until the end", until_close(LIMIT), Some(LIMIT)),
    ] {
        world.server.always(ADVANCED, reply);
        let fetched = world.fetch().await.map(|body| body.len());
        assert_eq!(fetched, length.ok_or(Kind::TooLarge), "{what}");
    }
}

#[tokio::test]
async fn attack_a_bomb_is_not_unpacked() {
    let world = World::start().await;
    // An empty stream of gzip.
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    world
        .server
        .always(ADVANCED, Reply::raw("200 X\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n", &packed));
    assert_eq!(world.fetch().await.unwrap(), packed);
}

#[tokio::test]
async fn attack_a_body_that_never_ends() {
    let world = World::start().await;
    let directory = world.builder().timeout(SOON).build().unwrap();
    for head in ["", "HTTP/1.1 200 X\r\n", "HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nx"] {
        world.server.always(ADVANCED, Reply::Pause(head.as_bytes().to_vec()));
        assert_eq!(fetch(&directory).await, Err(Kind::Timeout), "{head:?}");
    }
    world.server.always(ADVANCED, Reply::raw("200 X\r\ncontent-length: 2\r\n", b"xy"));
    assert_eq!(world.fetch().await.unwrap(), b"xy");
}

#[tokio::test]
async fn attack_a_host_that_takes_connections_and_says_nothing() {
    let world = World::speaking(Speech::Mute).await;
    let directory = world.builder().timeout(SOON).build().unwrap();
    assert_eq!(fetch(&directory).await, Err(Kind::Timeout));
    assert_eq!(world.server.connections(), 1);
}

#[tokio::test]
async fn attack_name_servers_that_say_nothing() {
    let world = World::start().await;
    world.names.always(ADVANCED, Found::Never);
    let directory = world.builder().timeout(SOON).build().unwrap();
    assert_eq!(fetch(&directory).await, Err(Kind::Timeout));
    assert_eq!((world.names.asked().len(), world.server.connections()), (1, 0));
}

#[tokio::test]
async fn attack_a_redirect() {
    let world = World::start().await;
    world.server.always(DIRECT, Reply::Body(b"inside".to_vec()));
    for status in [301, 302, 303, 307, 308] {
        let port = world.server.address.port();
        let location = format!("location: https://{DIRECT}:{port}/\r\n");
        world.server.always(ADVANCED, Reply::status(status, &location));
        assert_eq!(world.fetch().await, Err(Kind::Status), "{status}");
    }
    assert_eq!((world.server.times(ADVANCED), world.server.times(DIRECT)), (5, 0));
    world.server.always(ADVANCED, Reply::Body(b"here".to_vec()));
    assert_eq!(world.fetch().await.unwrap(), b"here");
}

#[tokio::test]
async fn only_200_is_an_answer() {
    let world = World::start().await;
    for status in [201, 203, 204, 206, 304, 400, 401, 403, 407, 429, 500, 503] {
        world.server.always(ADVANCED, Reply::status(status, ""));
        assert_eq!(world.fetch().await, Err(Kind::Status), "{status}");
    }
    for status in [404, 410] {
        world.server.always(ADVANCED, Reply::status(status, ""));
        assert_eq!(world.fetch().await, Err(Kind::NotFound), "{status}");
    }
    world.server.always(ADVANCED, Reply::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()));
    assert_eq!(world.fetch().await, Err(Kind::Network));
    world.server.always(ADVANCED, Reply::Body(Vec::new()));
    assert_eq!(world.fetch().await, Ok(Vec::new()));
}

#[tokio::test]
async fn attack_a_host_without_tls() {
    let answer = b"HTTP/1.1 200 X\r\ncontent-length: 12\r\n\r\ncertificates";
    let world = World::speaking(Speech::Plain(answer)).await;
    assert_eq!(world.fetch().await, Err(Kind::Network));
    assert_eq!(world.server.connections(), 1);
}

#[tokio::test]
async fn attack_a_certificate_by_nobody_or_for_another_host() {
    let world = World::start().await;
    world.server.always(ADVANCED, Reply::Body(b"certificates".to_vec()));
    let stranger = world.builder().root_certificate(Authority::new().pem()).build().unwrap();
    assert_eq!(fetch(&stranger).await, Err(Kind::Network));
    assert!(world.fetch().await.is_ok());
    let world = World::speaking(Speech::Tls(&["example.com"])).await;
    world.server.always(ADVANCED, Reply::Body(b"certificates".to_vec()));
    assert_eq!(world.fetch().await, Err(Kind::Network));
}

#[tokio::test]
async fn attack_nothing_is_carried_from_one_fetch_to_the_next() {
    let world = World::start().await;
    let reply = Reply::raw("200 X\r\nset-cookie: a=b\r\ncontent-length: 0\r\n", b"");
    let directory = world.builder().build().unwrap();
    world.server.always(ADVANCED, reply);
    fetch(&directory).await.unwrap();
    // One that leaves the connection open.
    world.server.always(ADVANCED, Reply::Body(Vec::new()));
    for _ in 0..2 {
        fetch(&directory).await.unwrap();
    }
    assert_eq!(world.server.connections(), 3);
    assert!(world.server.asked().iter().all(|request| !request.headers.contains_key("cookie")));
}

#[tokio::test]
async fn attack_more_fetches_at_once_than_may_be() {
    let world = World::start().await;
    world.server.always(ADVANCED, Reply::Pause(Vec::new()));
    let directory = std::sync::Arc::new(world.builder().concurrency(1).build().unwrap());
    let slow = tokio::spawn({
        let directory = std::sync::Arc::clone(&directory);
        async move { fetch(&directory).await }
    });
    world.server.until_asked(1).await;
    let bob = EmailAddress::parse("bob@example.org").unwrap();
    assert_eq!(directory.certificates(&bob).await.unwrap_err().kind(), Kind::Busy);
    assert_eq!((world.server.connections(), world.names.asked().len()), (1, 1));
    slow.abort();
    let _ = slow.await;
    world.server.always(ADVANCED, Reply::Body(b"bob".to_vec()));
    assert_eq!(directory.certificates(&bob).await.unwrap(), b"bob");
}

#[test]
fn what_cannot_work_is_said_when_it_is_built() {
    let refused =
        |builder: capauth_verifier::WebKeyDirectoryBuilder| builder.build().unwrap_err().to_string();
    assert!(refused(WebKeyDirectory::builder().timeout(Duration::ZERO)).contains(".timeout"));
    assert!(refused(WebKeyDirectory::builder().concurrency(0)).contains(".concurrency"));
    assert!(refused(WebKeyDirectory::builder().concurrency(usize::MAX)).contains(".concurrency"));
    assert!(refused(WebKeyDirectory::builder().root_certificate("")).contains(".root_certificate"));
    assert!(WebKeyDirectory::builder().build().is_ok());
}
