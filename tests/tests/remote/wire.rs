//! The wire between an application and its service, which can be cut, or say what it likes.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to whoever connects.
#[derive(Debug, Clone)]
pub(crate) enum Within {
    /// They reach this address.
    Address(SocketAddr),
    /// Their connection is closed.
    Refusal,
    /// Nothing, for ever.
    Silence,
    /// They hear these bytes once they have said something, and no more.
    Words(Vec<u8>),
}

/// A proxy on a port of its own. A change cuts every connection.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    within: watch::Sender<Arc<Within>>,
}

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let own = listener.local_addr().expect("a listener has an address");
        let (within, watching) = watch::channel(Arc::new(Within::Address(address)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut watching = watching.clone();
                let within = Arc::clone(&watching.borrow_and_update());
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(stream, &within) => {}
                        _ = watching.changed() => {}
                    }
                });
            }
        });
        Self { address: own, within }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn leads_to(&self, address: SocketAddr) {
        self.does(Within::Address(address));
    }

    pub(crate) fn does(&self, within: Within) {
        self.within.send_replace(Arc::new(within));
    }
}

async fn carry(mut stream: TcpStream, within: &Within) {
    match within {
        Within::Address(address) => {
            if let Ok(mut other) = TcpStream::connect(address).await {
                let _ = copy_bidirectional(&mut stream, &mut other).await;
            }
        }
        Within::Refusal => {}
        Within::Silence => std::future::pending().await,
        Within::Words(words) => {
            let _ = stream.read(&mut [0; 64 * 1024]).await;
            let _ = stream.write_all(words).await;
            let _ = stream.shutdown().await;
            // What is closed with something unread is reset, and the words may be lost.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    }
}

/// An answer as it stands on the wire.
pub(crate) fn answer(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn json(status: u16, body: &Value) -> Vec<u8> {
    answer(status, "application/json", &body.to_string())
}

pub(crate) fn redirect(location: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    .into_bytes()
}
