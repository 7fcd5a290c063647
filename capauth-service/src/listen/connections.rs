//! Serving connections, whatever they come by, within limits.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use capauth_tower::IpRange;
use http::HeaderValue;
use http::header::STRICT_TRANSPORT_SECURITY;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

use super::crowd::{Crowd, Full, Seat, Sizes};
use crate::metrics::{OpenConnection, OpenConnections};

/// How long a client may take over a request's headers, and a kept-alive connection over its next request.
const HEADERS: Duration = Duration::from_secs(30);
/// How long a client may leave an answer unread.
const WRITES: Duration = Duration::from_secs(30);

/// How large a request's headers may be: a session cookie, a token, and what proxies add.
const HEADER_BYTES: usize = 32 * 1024;

/// How long requests at hand may take when the service stops.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Half a year: browsers that came by https come by nothing else for so long.
const HSTS: &str = "max-age=15552000";

/// All connections that are open.
#[derive(Debug)]
pub(crate) struct Connections {
    router: Router,
    http: http1::Builder,
    /// Those who come by TCP, and those at Unix sockets: a proxy, which strangers must not shut out.
    rooms: Rooms,
    crowd: Crowd,
    graceful: GracefulShutdown,
    /// Closed when the service stops.
    stopping: watch::Sender<()>,
    hsts: bool,
    open: OpenConnections,
}

#[derive(Debug)]
struct Rooms {
    tcp: Arc<Semaphore>,
    unix: Arc<Semaphore>,
}

/// Where a connection came from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    Tcp {
        peer: IpAddr,
        tls: bool,
    },
    #[cfg(unix)]
    Unix,
}

/// A place among them, for one that was accepted.
pub(super) struct Place {
    router: Router,
    http: http1::Builder,
    watcher: Watcher,
    stopping: watch::Receiver<()>,
    hsts: bool,
    /// Its share of what its address may have; `None` where it has no address.
    seat: Option<Seat>,
    /// Counted as open, and taking room, until this is dropped.
    _open: (OpenConnection, OwnedSemaphorePermit),
}

impl Connections {
    /// None yet. With `hsts`, browsers that came by TLS are told to come by nothing else. `proxies` may hold as many
    /// connections as there is room for, all others a share of it.
    pub(crate) fn new(router: Router, hsts: bool, proxies: &[IpRange]) -> Self {
        Self::with_sizes(router, hsts, proxies, Sizes::default())
    }

    pub(super) fn with_sizes(router: Router, hsts: bool, proxies: &[IpRange], sizes: Sizes) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_header_size(HEADER_BYTES);
        Self {
            router,
            http,
            rooms: Rooms {
                tcp: Arc::new(Semaphore::new(sizes.tcp)),
                unix: Arc::new(Semaphore::new(sizes.unix)),
            },
            crowd: Crowd::new(sizes, proxies.to_vec()),
            graceful: GracefulShutdown::new(),
            stopping: watch::Sender::new(()),
            hsts,
            open: OpenConnections::new(),
        }
    }

    /// Waits until there is room for one more, by TCP or at a Unix socket.
    pub(super) async fn room(&self, unix: bool) -> Option<OwnedSemaphorePermit> {
        let room = if unix { &self.rooms.unix } else { &self.rooms.tcp };
        Arc::clone(room).acquire_owned().await.ok()
    }

    /// A place for one that came from there, unless its address has its share.
    pub(super) fn place(&self, room: OwnedSemaphorePermit, origin: Origin) -> Result<Place, Full> {
        let seat = match origin {
            Origin::Tcp { peer, tls } => Some(self.crowd.enter(peer, tls)?),
            #[cfg(unix)]
            Origin::Unix => None,
        };
        Ok(Place {
            seat,
            router: self.router.clone(),
            http: self.http.clone(),
            watcher: self.graceful.watcher(),
            stopping: self.stopping.subscribe(),
            hsts: self.hsts,
            _open: (self.open.one(), room),
        })
    }

    #[cfg(test)]
    pub(super) fn tcp_room(&self) -> usize {
        self.rooms.tcp.available_permits()
    }

    #[cfg(test)]
    pub(super) fn handshakes(&self) -> usize {
        self.crowd.handshakes()
    }

    /// Lets the requests at hand be answered, for ten seconds at most. Connections on which TLS is not agreed yet have
    /// none.
    pub(crate) async fn end(self) {
        drop(self.stopping);
        if tokio::time::timeout(LAST_REQUESTS, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end in time and are dropped");
        }
    }
}

impl Place {
    /// What a handshake yields, unless the service stops first.
    pub(super) async fn unless_stopping<T>(
        &mut self,
        handshake: impl Future<Output = Option<T>>,
    ) -> Option<T> {
        let made = tokio::select! {
            made = handshake => made,
            _ = self.stopping.changed() => None,
        };
        if let Some(seat) = &mut self.seat {
            seat.handshake_is_over();
        }
        made
    }

    /// Serves a connection by TLS.
    pub(super) async fn serve_securely(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer: impl Clone + Send + Sync + 'static,
    ) {
        let hsts = self.hsts.then_some(HeaderValue::from_static(HSTS));
        self.serve_with(stream, peer, hsts).await;
    }

    /// Serves a connection.
    pub(super) async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer: impl Clone + Send + Sync + 'static,
    ) {
        self.serve_with(stream, peer, None).await;
    }

    /// Serves one connection. Its errors are the client's: bad HTTP, or going away. `peer` is what is known of the other
    /// end, for the requests' extensions.
    async fn serve_with(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer: impl Clone + Send + Sync + 'static,
        hsts: Option<HeaderValue>,
    ) {
        // The room is given back at the end of this function.
        let Self { router, http, watcher, seat: _seat, _open, .. } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            let (answer, hsts) = (router.clone().call(request), hsts.clone());
            async move {
                let mut answer = answer.await?;
                if let Some(hsts) = hsts {
                    answer.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts);
                }
                Ok::<_, Infallible>(answer)
            }
        });
        // A client that asks and does not read would else keep its place for ever.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITES));
        let serving = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
        let _ = watcher.watch(serving).await;
    }
}
