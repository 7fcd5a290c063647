//! A web server with TLS on this machine, whose answers a test decides, and which remembers what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// An authority that is thrown away after the test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Speaks TLS with a certificate for these hosts.
    fn acceptor(&self, hosts: &[&str]) -> TlsAcceptor {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(hosts).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) host: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// 200, with the body's length before it.
    Body(Vec<u8>),
    /// Bytes as they go over the wire; the connection ends after them.
    Raw(Vec<u8>),
    /// The same, but the connection stays.
    Pause(Vec<u8>),
}

impl Reply {
    /// A status without a body, with more headers.
    pub(crate) fn status(status: u16, headers: &str) -> Self {
        Self::raw(&format!("{status} X\r\ncontent-length: 0\r\n{headers}"), &[])
    }

    /// A head, without its end, and whatever follows it.
    pub(crate) fn raw(head: &str, body: &[u8]) -> Self {
        Self::Raw([format!("HTTP/1.1 {head}\r\n").as_bytes(), body].concat())
    }
}

/// How it speaks.
#[derive(Clone, Copy)]
pub(crate) enum Speech {
    /// TLS, with a certificate for these hosts.
    Tls(&'static [&'static str]),
    /// HTTP without TLS: this goes over the wire as soon as somebody connects.
    Plain(&'static [u8]),
    /// Not at all: connections are taken, and that is all.
    Mute,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    asked: Arc<watch::Sender<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(authority: &Authority, speech: Speech, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            replies: Arc::default(),
            asked: Arc::new(watch::Sender::new(Vec::new())),
            connections: Arc::default(),
        };
        let serving = server.clone();
        let tls = match speech {
            Speech::Tls(hosts) => Some(authority.acceptor(hosts)),
            Speech::Plain(_) | Speech::Mute => None,
        };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let (serving, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match (speech, tls) {
                        (Speech::Plain(bytes), _) => {
                            let _ = stream.write_all(bytes).await;
                            let _ = stream.shutdown().await;
                        }
                        (Speech::Tls(_), Some(tls)) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serving.serve(stream).await;
                            }
                        }
                        (Speech::Tls(_) | Speech::Mute, _) => std::future::pending().await,
                    }
                });
            }
        });
        server
    }

    /// Decides what a host answers from now on. What no host answers is not found.
    pub(crate) fn always(&self, host: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(host.to_owned(), reply);
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.borrow().clone()
    }

    pub(crate) fn times(&self, host: &str) -> usize {
        self.asked.borrow().iter().filter(|request| request.host == host).count()
    }

    /// Waits until it was asked so many times in all.
    pub(crate) async fn until_asked(&self, times: usize) {
        self.asked.subscribe().wait_for(|asked| asked.len() >= times).await.unwrap();
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// One request a connection: the client says that it keeps none, which a second one would disprove.
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Some(request) = self.next(&mut stream).await {
            let reply = self.replies.lock().unwrap().get(&request.host).cloned();
            self.asked.send_modify(|asked| asked.push(request));
            let not_found = || Reply::Raw(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n".to_vec());
            match reply.unwrap_or_else(not_found) {
                Reply::Body(body) => {
                    let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
                }
                Reply::Raw(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                    return;
                }
                Reply::Pause(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.flush().await;
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    async fn next(&self, stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(read).ok()?;
        let mut lines = head.split("\r\n");
        let target = lines.next()?.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?.to_owned();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let host = headers.get("host")?.split(':').next()?.to_owned();
        Some(Request { host, target, headers })
    }
}
