//! How the service is reached: a port, TLS on it, a Unix socket, sockets that a service manager holds.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use capauth_tower::IpRange;

use super::layers::Layers;
use super::{Config, ConfigError, one, several};
use crate::listen::{Address, TlsFiles};

/// The word among the trusted proxies that means whoever reaches the Unix socket.
const UNIX: &str = "unix";

/// More sockets than anybody hands over.
const MOST_SOCKETS: usize = 64;

/// How the service is reached.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Whether it listens on host and port: unless only a Unix socket was asked for.
    pub tcp: bool,
    /// Where it makes a Unix socket for its own user alone.
    pub socket: Option<PathBuf>,
    /// The certificate and key of TLS, which is then spoken on every TCP socket.
    pub tls: Option<TlsFiles>,
    /// Whether whoever connects by a Unix socket is believed about the client's address.
    pub trusts_unix: bool,
    /// How many sockets a service manager opened for this process. Where it is not 0, they are used instead of all others.
    pub handed_over: usize,
}

impl Listen {
    pub(super) fn read(layers: &Layers, handed_over: usize) -> Result<Self, ConfigError> {
        let socket = one(layers, "socket", socket)?;
        Ok(Self {
            tcp: socket.is_none() || layers.get("host").is_some() || layers.get("port").is_some(),
            socket,
            tls: tls(layers)?,
            trusts_unix: several(layers, "trusted_proxies", |text| Ok(text == UNIX))?.contains(&true),
            handed_over,
        })
    }

    /// Where it will listen by its own doing: not at sockets that a service manager hands over.
    pub(super) fn addresses(&self, address: SocketAddr) -> Vec<Address> {
        let tcp = if self.tls.is_some() { Address::Https(address) } else { Address::Http(address) };
        let unix = self.socket.clone().map(|path| Address::Unix(Some(path)));
        self.tcp.then_some(tcp).into_iter().chain(unix).collect()
    }

    /// What makes no sense only together.
    pub(super) fn check(&self, config: &Config, layers: &Layers) -> Result<(), ConfigError> {
        let at = |key: &str, wrong: &str| Err(ConfigError::at(&place(layers, key), wrong));
        let has_port = self.handed_over > 0 || self.tcp;
        if self.tls.is_some() && config.insecure_http {
            return at("insecure_http", "is for those without TLS, but CAPAUTH_TLS_CERT is set; keep one");
        }
        if config.insecure_http && !has_port {
            return at("insecure_http", "is for browsers, which need a port: set CAPAUTH_PORT as well");
        }
        if self.tls.is_some() && !has_port {
            return at(
                "tls_cert",
                "is for a TCP port, but there is only a Unix socket: set CAPAUTH_HOST or CAPAUTH_PORT as well",
            );
        }
        if self.trusts_unix && self.handed_over == 0 && self.socket.is_none() {
            return at("trusted_proxies", "names unix, but there is no Unix socket: set CAPAUTH_SOCKET");
        }
        if let Some(tls) = &self.tls {
            tls.load().map_err(|error| ConfigError::new(error.to_string()))?;
        }
        Ok(())
    }

    /// What the operator should know.
    pub(super) fn notices(&self, layers: &Layers) -> Vec<String> {
        let mut notices = Vec::new();
        if self.handed_over > 0 {
            let idle = ["host", "port", "socket"].into_iter().filter(|key| layers.get(key).is_some());
            notices.extend(idle.map(|key| {
                format!(
                    "{} does nothing: the service manager handed its own sockets over.",
                    place(layers, key)
                )
            }));
        }
        notices.extend(self.tls.iter().flat_map(TlsFiles::notices));
        notices
    }
}

/// The proxies that are named by an address.
pub(super) fn trusted_proxies(layers: &Layers) -> Result<Vec<IpRange>, ConfigError> {
    let ranges = several(layers, "trusted_proxies", |text| match text {
        UNIX => Ok(None),
        range => IpRange::from_str(range).map(Some).map_err(
            |_| "holds something that is no address, no range like 10.0.0.0/8, and not the word unix",
        ),
    })?;
    Ok(ranges.into_iter().flatten().collect())
}

/// How many sockets were handed over to this very process.
///
/// Without its own number in `LISTEN_PID`, open files of the process that have nothing to do with it could be taken for
/// sockets.
pub(super) fn handed_over(variables: &[(OsString, OsString)]) -> Result<usize, ConfigError> {
    let find = |wanted: &str| {
        let found = variables.iter().find(|(name, _)| name == wanted);
        found.and_then(|(_, value)| value.to_str())
    };
    let pid = find("LISTEN_PID").and_then(|pid| pid.parse::<u32>().ok());
    let Some(count) = find("LISTEN_FDS").filter(|_| pid == Some(std::process::id())) else { return Ok(0) };
    match count.parse() {
        Ok(count @ 0..=MOST_SOCKETS) => Ok(count),
        _ => Err(ConfigError::at("LISTEN_FDS", "is not a number of sockets from 0 to 64")),
    }
}

/// How a person wrote a setting.
fn place(layers: &Layers, key: &str) -> String {
    layers.get(key).map_or_else(|| key.to_owned(), |(_, place)| place)
}

fn socket(text: &str) -> Result<PathBuf, &'static str> {
    match text {
        "" => Err("names no file"),
        _ if text.starts_with('@') => Err(
            "is an abstract socket, which anybody on the machine reaches: name a file, such as /run/capauth/capauth.sock",
        ),
        _ if !cfg!(unix) => Err("is for systems that have Unix sockets"),
        path => Ok(PathBuf::from(path)),
    }
}

fn tls(layers: &Layers) -> Result<Option<TlsFiles>, ConfigError> {
    let path = |text: &str| match text {
        "" => Err("names no file"),
        path => Ok(PathBuf::from(path)),
    };
    match (one(layers, "tls_cert", path)?, one(layers, "tls_key", path)?) {
        (Some(cert), Some(key)) => {
            Ok(Some(TlsFiles::new((cert, place(layers, "tls_cert")), (key, place(layers, "tls_key")))))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::at(
            &place(layers, "tls_cert"),
            "needs the certificate's key: set CAPAUTH_TLS_KEY",
        )),
        (None, Some(_)) => Err(ConfigError::at(
            &place(layers, "tls_key"),
            "needs the key's certificate: set CAPAUTH_TLS_CERT",
        )),
    }
}
