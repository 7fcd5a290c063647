//! What a full room does to others.

use axum::routing::get;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::crowd::Sizes;
use super::*;

/// Connections that are answered `here`.
fn connections(sizes: Sizes) -> Connections {
    Connections::with_sizes(axum::Router::new().route("/", get(|| async { "here" })), false, &[], sizes)
}

async fn tcp() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What does not end by itself ends with the client.
async fn meanwhile(listeners: &Listeners, connections: &Connections, client: impl Future<Output = ()>) {
    tokio::select! {
        () = listeners.accept(connections) => panic!("nobody accepts"),
        () = client => {}
    }
}

/// Asks, and reads until the answer is there.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhere") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "it was closed");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

/// *Attack: strangers fill the TCP port, to shut out the proxy at the socket.*
#[tokio::test]
async fn attack_a_full_tcp_port_leaves_the_unix_socket_its_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (unix, file) = unix::bind(&path).await.unwrap();
    let (listener, address) = tcp().await;
    let listeners = Listeners {
        all: vec![Listener::Http(listener), Listener::Unix { listener: unix, _file: Some(file) }],
        addresses: Vec::new(),
        tls: None,
    };
    let connections = connections(Sizes { tcp: 2, unix: 2, ..Sizes::default() });
    meanwhile(&listeners, &connections, async {
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            ask(&mut stream).await;
            held.push(stream);
        }
        assert_eq!(connections.tcp_room(), 0);
        for _ in 0..3 {
            ask(&mut tokio::net::UnixStream::connect(&path).await.unwrap()).await;
        }
        assert_eq!(connections.tcp_room(), 0);
        // Who waits at the port has its turn when one leaves.
        let mut waiting = TcpStream::connect(address).await.unwrap();
        held.pop();
        ask(&mut waiting).await;
    })
    .await;
}

/// *Attack: handshakes that are begun and left there.* One too many is closed; when one ends, others get in again.
#[tokio::test]
async fn attack_a_handshake_too_many_is_closed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        (path, name.to_owned())
    };
    let files =
        TlsFiles::new(file("cert", issued.cert.pem()), file("key", issued.signing_key.serialize_pem()));
    let (listener, address) = tcp().await;
    let mut listeners =
        Listeners { all: Vec::new(), addresses: Vec::new(), tls: Some(Tls::load(&files).unwrap()) };
    listeners.add_tcp(listener).unwrap();
    let connections = connections(Sizes { handshakes: 1, ..Sizes::default() });
    meanwhile(&listeners, &connections, async {
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(connections.handshakes(), 1);
        drop(first);
        while connections.handshakes() > 0 {
            tokio::task::yield_now().await;
        }
        // What is no TLS is answered with an alert, by who took the connection.
        let mut third = TcpStream::connect(address).await.unwrap();
        third.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(third.read(&mut [0]).await.unwrap() > 0);
    })
    .await;
}
