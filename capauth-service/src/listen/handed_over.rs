//! Sockets that a service manager opened before it started this program.

use std::fmt;
use std::net::{TcpListener, TcpStream};

use listenfd::ListenFd;

use crate::config::Config;
use crate::server::StartError;

/// The sockets that a service manager handed over, by `LISTEN_FDS` and `LISTEN_PID`.
pub struct HandedOver(pub(super) Vec<Socket>);

/// One of them.
pub(super) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandedOver").field("sockets", &self.0.len()).finish()
    }
}

impl HandedOver {
    /// None: the service opens its own.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Takes the sockets that the configuration expects, and the variables that speak of them out of the environment.
    /// Call it once, before the program has threads.
    ///
    /// # Errors
    /// One of them is no socket that takes connections.
    pub fn take(config: &Config) -> Result<Self, StartError> {
        if config.listen.handed_over == 0 {
            return Ok(Self::none());
        }
        let mut files = ListenFd::from_env();
        (0..config.listen.handed_over)
            .map(|index| take(&mut files, index))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn take(files: &mut ListenFd, index: usize) -> Result<Socket, StartError> {
    let nothing = || {
        StartError::new(format_args!(
            "LISTEN_FDS: socket {} of the service manager does not listen, be it by TCP or as a Unix stream",
            index + 1
        ))
    };
    if let Ok(Some(listener)) = files.take_tcp_listener(index) {
        return tcp(listener).map(Socket::Tcp).ok_or_else(nothing);
    }
    #[cfg(unix)]
    if let Ok(Some(listener)) = files.take_unix_listener(index) {
        return unix(listener).map(Socket::Unix).ok_or_else(nothing);
    }
    Err(nothing())
}

/// The socket, unless it is one connection, as with `Accept=yes`.
#[cfg(unix)]
fn tcp(listener: TcpListener) -> Option<TcpListener> {
    let stream = TcpStream::from(std::os::fd::OwnedFd::from(listener));
    stream.peer_addr().is_err().then(|| std::os::fd::OwnedFd::from(stream).into())
}

#[cfg(unix)]
fn unix(listener: std::os::unix::net::UnixListener) -> Option<std::os::unix::net::UnixListener> {
    let stream = std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(listener));
    stream.peer_addr().is_err().then(|| std::os::fd::OwnedFd::from(stream).into())
}

#[cfg(not(unix))]
fn tcp(listener: TcpListener) -> Option<TcpListener> {
    Some(listener)
}
