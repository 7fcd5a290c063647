//! The wire between an application and its service, which can be cut, or say what it likes.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of whatever is said on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Within {
    /// It reaches this address.
    Address(SocketAddr),
    /// The connection is closed.
    Refusal,
    /// Nothing, for ever.
    Silence,
    /// These bytes are the answer, and there is no other.
    Words(Vec<u8>),
}

/// A proxy on a port of its own.
///
/// A change counts for all that is said after it, on connections from before it too. Cutting those instead would take
/// a moment, in which a client that keeps them gets past the change, or fails for them after the next.
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
                let watching = watching.clone();
                tokio::spawn(async move { carry(stream, &watching).await });
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

/// Carries a connection until either end of it closes. `None`: it has.
async fn carry(mut near: TcpStream, within: &watch::Receiver<Arc<Within>>) -> Option<()> {
    let mut far: Option<(SocketAddr, TcpStream)> = None;
    let (mut question, mut answer) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let answered = async {
            match &mut far {
                Some((_, far)) => far.read(&mut answer).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            length = near.read(&mut question) => {
                let said = question.get(..length.ok().filter(|length| *length > 0)?)?;
                let within = Arc::clone(&within.borrow());
                match &*within {
                    Within::Address(address) => {
                        if far.as_ref().is_none_or(|(known, _)| known != address) {
                            far = Some((*address, TcpStream::connect(address).await.ok()?));
                        }
                        far.as_mut()?.1.write_all(said).await.ok()?;
                    }
                    Within::Refusal => return None,
                    Within::Silence => std::future::pending().await,
                    Within::Words(words) => {
                        near.write_all(words).await.ok()?;
                        near.shutdown().await.ok()?;
                        // What is closed with something unread is reset, and the words may be lost.
                        tokio::io::copy(&mut near, &mut tokio::io::sink()).await.ok()?;
                    }
                }
            }
            length = answered => {
                let said = answer.get(..length.ok().filter(|length| *length > 0)?)?;
                near.write_all(said).await.ok()?;
            }
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
