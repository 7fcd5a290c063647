//! How the service is reached: TCP, TLS on it, Unix sockets, and sockets that a service manager opened.

mod connections;
mod crowd;
mod handed_over;
#[cfg(unix)]
mod manager;
#[cfg(not(unix))]
#[path = "no_manager.rs"]
mod manager;
#[cfg(test)]
#[cfg(unix)]
mod tests;
mod tls;
#[cfg(unix)]
mod unix;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use capauth_tower::Peer;
use futures_util::future::join_all;
use tokio::net::{TcpListener, TcpStream};

pub(crate) use self::connections::Connections;
use self::connections::Origin;
pub use self::handed_over::HandedOver;
use self::handed_over::Socket;
pub(crate) use self::manager::{Hangups, Manager};
pub(crate) use self::tls::Tls;
pub use self::tls::{TlsError, TlsFiles};
use crate::config::Config;
use crate::server::StartError;

/// How long to wait before accepting again when the system has no more connections to give.
const NO_CONNECTIONS: Duration = Duration::from_millis(100);

/// Where the service listens, as a person is told: `https://127.0.0.1:8420`, `unix:/run/capauth/capauth.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP, in the clear.
    Http(SocketAddr),
    /// TCP, with TLS.
    Https(SocketAddr),
    /// A Unix socket, in the clear; `None` for one without a path.
    Unix(Option<PathBuf>),
}

impl Address {
    /// The address and port, where it has them.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Http(address) | Self::Https(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether other machines reach it, and without TLS.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Http(address) if !address.ip().to_canonical().is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address) => write!(f, "http://{address}"),
            Self::Https(address) => write!(f, "https://{address}"),
            Self::Unix(Some(path)) => {
                write!(f, "unix:{}", path.display().to_string().replace(char::is_control, " "))
            }
            Self::Unix(None) => f.write_str("unix:(no path)"),
        }
    }
}

/// A socket that takes connections.
#[derive(Debug)]
enum Listener {
    Http(TcpListener),
    Https(TcpListener, tls::Handshakes),
    #[cfg(unix)]
    Unix {
        listener: tokio::net::UnixListener,
        /// Held so that it goes with the listener; one that was handed over stays.
        _file: Option<unix::SocketFile>,
    },
}

/// Everything that the service listens at. From the moment there is one, whoever connects waits to be answered.
#[derive(Debug)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
    addresses: Vec<Address>,
    tls: Option<Tls>,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config, handed_over: HandedOver) -> Result<Self, StartError> {
        let tls = config.listen.tls.as_ref().map(Tls::load).transpose().map_err(StartError::new)?;
        let mut listeners = Self { all: Vec::new(), addresses: Vec::new(), tls };
        if handed_over.0.is_empty() {
            listeners.open(config).await?;
        }
        for socket in handed_over.0 {
            listeners.adopt(socket).map_err(StartError::new)?;
        }
        if listeners.tls.is_some() && listeners.addresses.iter().all(|address| address.socket().is_none()) {
            return Err(StartError::new(
                "TLS is for a TCP socket, but the service manager handed only Unix sockets over: see CAPAUTH_TLS_CERT",
            ));
        }
        Ok(listeners)
    }

    /// Opens what the settings ask for.
    async fn open(&mut self, config: &Config) -> Result<(), StartError> {
        if config.listen.tcp {
            let wanted = SocketAddr::new(config.host, config.port);
            let listener = TcpListener::bind(wanted).await.map_err(|e| cannot_listen(wanted, &e))?;
            self.add_tcp(listener).map_err(StartError::new)?;
        }
        #[cfg(unix)]
        if let Some(path) = &config.listen.socket {
            let bound = unix::bind(path).await;
            let (listener, file) = bound.map_err(|wrong| {
                StartError::new(format_args!("{} {wrong} (see CAPAUTH_SOCKET)", path.display()))
            })?;
            self.addresses.push(Address::Unix(Some(path.clone())));
            self.all.push(Listener::Unix { listener, _file: Some(file) });
        }
        Ok(())
    }

    fn adopt(&mut self, socket: Socket) -> io::Result<()> {
        match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                self.add_tcp(TcpListener::from_std(listener)?)
            }
            #[cfg(unix)]
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let path = listener.local_addr()?.as_pathname().map(PathBuf::from);
                self.addresses.push(Address::Unix(path));
                let listener = tokio::net::UnixListener::from_std(listener)?;
                self.all.push(Listener::Unix { listener, _file: None });
                Ok(())
            }
        }
    }

    fn add_tcp(&mut self, listener: TcpListener) -> io::Result<()> {
        let address = listener.local_addr()?;
        let (address, listener) = match &self.tls {
            None => (Address::Http(address), Listener::Http(listener)),
            Some(tls) => (Address::Https(address), Listener::Https(listener, tls.handshakes())),
        };
        self.addresses.push(address);
        self.all.push(listener);
        Ok(())
    }

    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    pub(crate) fn speak_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Takes connections, for ever.
    pub(crate) async fn accept(&self, connections: &Connections) {
        join_all(self.all.iter().map(|listener| listener.accept_all(connections))).await;
    }

    /// Keeps what was read from files as it is there, for ever: looks by itself, and when it is asked to.
    pub(crate) async fn reread(&self, mut hangups: Hangups, manager: &Manager) {
        let mut looks = self.tls.as_ref().map(Tls::looks);
        let status = self.status();
        loop {
            let asked = tokio::select! {
                () = tls::its_time(&mut looks) => false,
                () = hangups.next() => true,
            };
            if asked {
                manager.reloading().await;
            }
            match &mut looks {
                Some(looks) => looks.look(asked).await,
                None => tracing::info!(
                    "asked to read files again: there are none, settings are read at the start alone"
                ),
            }
            if asked {
                manager.ready(&status).await;
            }
        }
    }

    /// Where it answers, in one line.
    pub(crate) fn status(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(Address::to_string).collect();
        format!("answers at {}", addresses.join(" and "))
    }
}

impl Listener {
    /// Takes connections, for ever.
    async fn accept_all(&self, connections: &Connections) {
        while let Some(room) = connections.room(self.is_unix()).await {
            match self.accept().await {
                Ok(accepted) => match connections.place(room, accepted.origin()) {
                    Ok(place) => accepted.begin(place),
                    // It is closed by being dropped.
                    Err(full) => tracing::debug!("a connection was closed at once: {full}"),
                },
                // A client that left again is its own business; anything else is a lack that passes.
                Err(e) if is_the_clients(&e) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot take a connection");
                    tokio::time::sleep(NO_CONNECTIONS).await;
                }
            }
        }
    }

    fn is_unix(&self) -> bool {
        match self {
            Self::Http(_) | Self::Https(..) => false,
            #[cfg(unix)]
            Self::Unix { .. } => true,
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Http(listener) => {
                let (stream, peer) = listener.accept().await?;
                Accepted::Http(stream, Peer(peer.ip()))
            }
            Self::Https(listener, handshakes) => {
                let (stream, peer) = listener.accept().await?;
                Accepted::Https(stream, Peer(peer.ip()), handshakes.clone())
            }
            #[cfg(unix)]
            Self::Unix { listener, .. } => Accepted::Unix(listener.accept().await?.0),
        })
    }
}

/// A connection that was just taken.
enum Accepted {
    Http(TcpStream, Peer),
    Https(TcpStream, Peer, tls::Handshakes),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Accepted {
    fn origin(&self) -> Origin {
        match self {
            Self::Http(_, Peer(peer)) => Origin::Tcp { peer: *peer, tls: false },
            Self::Https(_, Peer(peer), _) => Origin::Tcp { peer: *peer, tls: true },
            #[cfg(unix)]
            Self::Unix(_) => Origin::Unix,
        }
    }

    /// Serves it in a task of its own.
    fn begin(self, mut place: connections::Place) {
        match self {
            Self::Http(stream, peer) => {
                // Answers are one small write; waiting for more to send would only delay them.
                let _ = stream.set_nodelay(true);
                tokio::spawn(place.serve(stream, peer));
            }
            Self::Https(stream, peer, handshakes) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    if let Some(stream) = place.unless_stopping(handshakes.make(stream)).await {
                        place.serve_securely(stream, peer).await;
                    }
                });
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                tokio::spawn(place.serve(stream, capauth_tower::UnixPeer));
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
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
