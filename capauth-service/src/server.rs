//! Listening, answering, stopping.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use capauth_tower::{CapAuth, LocalConfig, Peer};
use capauth_verifier::WebKeyDirectory;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

use crate::config::{Config, Life};
use crate::requests::{Requests, not_found};

/// How many clients are connected at once; more wait until one leaves.
const CONNECTIONS: usize = 4_096;

/// How long a client may take over a request's headers, and a kept-alive connection over its next request.
const HEADERS: Duration = Duration::from_secs(30);
/// How long a client may leave an answer unread.
const WRITES: Duration = Duration::from_secs(30);

/// How large a request's headers may be: a session cookie, a token, and what proxies add.
const HEADER_BYTES: usize = 32 * 1024;

/// How long requests at hand may take when the service stops.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// How long to wait before accepting again when the system has no more connections to give.
const NO_CONNECTIONS: Duration = Duration::from_millis(100);

/// Why the service does not start. One line for whoever starts it.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string().replace(char::is_control, " "))
    }

    /// An error with its causes, each said once.
    fn caused(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let words = cause.to_string();
            if !message.contains(&words) {
                message = format!("{message}: {words}");
            }
            next = cause.source();
        }
        Self::new(message)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// A service that has its port and its stores, and answers once it runs.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    capauth: CapAuth,
    router: Router,
}

impl Server {
    /// Takes the port, then opens the stores and reads the keys. Whoever connects from now on waits until it runs.
    ///
    /// # Errors
    /// The port is taken, or a setting does not fit what is in the stores; in words for the operator.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let wanted = SocketAddr::new(config.host, config.port);
        let listener = TcpListener::bind(wanted).await.map_err(|e| cannot_listen(wanted, &e))?;
        let address = listener.local_addr().map_err(StartError::new)?;
        let capauth = wire(config, address.port()).await?;
        let router = capauth_axum::service_routes::<CapAuth>()
            .with_state(capauth.clone())
            .fallback(not_found)
            .layer(Requests::new(config.request_timeout, &config.cors_origins));
        Ok(Self { listener, address, capauth, router })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CapAuth that it serves.
    pub fn capauth(&self) -> &CapAuth {
        &self.capauth
    }

    /// Answers until `stop` is done; then takes no new connections, answers what is at hand, for ten seconds at most,
    /// and writes what waits to be written.
    ///
    /// # Errors
    /// What waited could not be written.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), capauth_tower::AuthError> {
        let graceful = GracefulShutdown::new();
        tokio::select! {
            () = stop => {}
            () = accept(&self.listener, &self.router, &graceful) => {}
        }
        drop(self.listener);
        tracing::info!("stopping: no new connections are taken");
        if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end in time and are dropped");
        }
        self.capauth.close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}

fn cannot_listen(wanted: SocketAddr, error: &io::Error) -> StartError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has this port: stop it, or choose another with CAPAUTH_PORT"
        }
        io::ErrorKind::PermissionDenied => {
            "this port is not for everybody: choose one above 1023 with CAPAUTH_PORT"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address: see CAPAUTH_HOST",
        _ => "see CAPAUTH_HOST and CAPAUTH_PORT",
    };
    StartError::new(format_args!("cannot listen on {wanted}: {advice} ({error})"))
}

/// Hands the configuration on. `port` is the one that was taken, which matters where any would do.
async fn wire(config: &Config, port: u16) -> Result<CapAuth, StartError> {
    let mut capauth = CapAuth::local(&config.service_id)
        .store(&config.database_url)
        .enrollment(config.enrollment)
        .admin_fingerprints(config.admin_fingerprints.iter().copied())
        .asserted_groups(config.asserted_groups)
        .require_v2(config.require_v2)
        .trusted_proxies(config.trusted_proxies.iter().copied());
    if let Some(url) = &config.base_url {
        capauth = capauth.base_url(url);
    }
    for service in &config.services {
        capauth = capauth.service(service.clone());
    }
    if let Some(key) = &config.master_key {
        capauth = capauth.master_key(key.clone());
    }
    if let Some(armor) = &config.server_key {
        capauth = capauth.server_key(armor.clone(), config.server_key_passphrase.clone());
    }
    if let Some(secret) = &config.jwt_secret {
        capauth = capauth.jwt_secret(secret.clone());
    }
    if let Some(token) = &config.admin_token {
        capauth = capauth.admin_token(token.clone());
    }
    if config.insecure_http {
        capauth = capauth.insecure_http_on_loopback(port);
    }
    capauth = capauth.with_weak_secrets(config.takes_weak_secrets());
    capauth = over_time(capauth, &config.life)?;
    capauth.build().await.map_err(|error| StartError::caused(&error))
}

/// What happens to identities over time.
fn over_time(mut capauth: LocalConfig, life: &Life) -> Result<LocalConfig, StartError> {
    if let Some(lifetime) = life.session_lifetime {
        capauth = capauth.session_lifetime(lifetime);
    }
    let directory = match life.wkd {
        true => Some(WebKeyDirectory::builder().build().map_err(|error| StartError::caused(&error))?),
        false => None,
    };
    Ok(capauth.verifier(|mut verifier| {
        verifier = verifier.private_membership(life.private_membership).audit_network(life.audit_network);
        if let Some(lifetime) = life.pending_lifetime {
            verifier = verifier.pending_lifetime(lifetime);
        }
        if let Some(delay) = life.rotation_delay {
            verifier = verifier.rotation_delay(delay);
        }
        if let Some(idle) = life.session_idle {
            verifier = verifier.session_idle(idle);
        }
        if let Some(lifetime) = life.refresh_lifetime {
            verifier = verifier.refresh_lifetime(lifetime);
        }
        if let Some(file) = &life.audit_file {
            verifier = verifier.audit_file(file);
        }
        match directory {
            Some(directory) => verifier.key_directory(Arc::new(directory)),
            None => verifier,
        }
    }))
}

/// Takes connections, for ever.
async fn accept(listener: &TcpListener, router: &Router, graceful: &GracefulShutdown) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_header_size(HEADER_BYTES);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let serving = serve(stream, peer, router.clone(), builder.clone(), graceful.watcher());
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            // A client that left again is its own business; anything else is a lack that passes.
            Err(e) if is_the_clients(&e) => {}
            Err(error) => {
                tracing::error!(%error, "cannot take a connection");
                tokio::time::sleep(NO_CONNECTIONS).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection. Its errors are the client's: bad HTTP, or going away.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    builder: http1::Builder,
    watcher: Watcher,
) {
    // Answers are one small write; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let peer = Peer(peer.ip());
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    // A client that asks and does not read would else keep its place for ever.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITES));
    let _ = watcher.watch(builder.serve_connection(TokioIo::new(Box::pin(stream)), service)).await;
}
