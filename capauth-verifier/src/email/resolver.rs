//! From a name to addresses, once, and from then on to nothing else.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::{DirectoryError, DirectoryErrorKind};

/// How many names the machine is asked for at once. A thread waits for each, for as long as the domain's name servers
/// like.
const LOOKUPS: usize = 16;

/// Finds the addresses of a host.
///
/// Which of them are fit to be connected to is not its business.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
/// use capauth_verifier::{DirectoryError, Resolver};
///
/// /// One host for all names: for tests.
/// struct Here;
///
/// #[async_trait::async_trait]
/// impl Resolver for Here {
///     async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, DirectoryError> {
///         Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
///     }
/// }
/// ```
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of `host`, a name without a dot at its end. Empty if there surely is no such name, or it has no
    /// address.
    ///
    /// # Errors
    /// It could not be found out. That is never the same as "no such name": the one who can disturb an answer could
    /// otherwise choose which server is asked.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, DirectoryError>;
}

/// Asks the operating system, for sixteen names at once at most.
///
/// ```
/// use std::sync::Arc;
/// use capauth_verifier::{SystemResolver, WebKeyDirectory};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = WebKeyDirectory::builder().resolver(Arc::new(SystemResolver::default())).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SystemResolver {
    places: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, DirectoryError> {
        let busy = |_| DirectoryError::new(DirectoryErrorKind::Busy);
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        // With the dot it is the whole name: no search list makes a name of an inner network out of it.
        let name = format!("{host}.");
        let looking = tokio::task::spawn_blocking(move || {
            // Held until the system answers, even if nobody waits any longer: else slow name servers pile up threads.
            let _place = place;
            let found = (name.as_str(), 443).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        });
        match looking.await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) if is_absence(&error) => Ok(Vec::new()),
            Ok(Err(_)) | Err(_) => Err(DirectoryError::new(DirectoryErrorKind::Network)),
        }
    }
}

/// Whether the system says that there is no such name. The standard library hands on only its words, as glibc, musl
/// and the BSDs put them; what is none of these counts as a failure.
fn is_absence(error: &io::Error) -> bool {
    const WORDS: [&str; 6] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "Name has no usable address",
        "nodename nor servname provided, or not known",
        "No address associated with nodename",
    ];
    // WSAHOST_NOT_FOUND and WSANO_DATA.
    let windows = cfg!(windows) && matches!(error.raw_os_error(), Some(11_001 | 11_004));
    windows || WORDS.iter().any(|words| error.to_string().ends_with(words))
}

/// The only addresses that the HTTP client knows: those that were just resolved and found fit.
///
/// The client never asks for a name itself, so a name whose second answer differs from its first leads nowhere new. Two
/// fetches from one host at once may use each other's addresses; all of them were checked.
#[derive(Default)]
pub(super) struct Pins(Mutex<HashMap<String, Vec<Pinned>>>);

type Pinned = Arc<[SocketAddr]>;

impl Pins {
    /// Lets the client connect to these addresses for this host, for as long as the answer is kept.
    pub(super) fn pin(self: &Arc<Self>, host: &str, addresses: Vec<SocketAddr>) -> Pin {
        let addresses: Pinned = addresses.into();
        self.lock().entry(host.to_owned()).or_default().push(Arc::clone(&addresses));
        Pin { pins: Arc::clone(self), host: host.to_owned(), addresses }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Pinned>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Pins {
    fn resolve(&self, name: Name) -> Resolving {
        let pinned =
            self.lock().get(name.as_str()).and_then(|pinned| pinned.last()).map(|last| last.to_vec());
        let found = match pinned {
            Some(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
            None => Err("this host was not looked at".into()),
        };
        Box::pin(std::future::ready(found))
    }
}

/// Unpins when dropped.
pub(super) struct Pin {
    pins: Arc<Pins>,
    host: String,
    addresses: Pinned,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut hosts = self.pins.lock();
        if let Some(pinned) = hosts.get_mut(&self.host) {
            pinned.retain(|addresses| !Arc::ptr_eq(addresses, &self.addresses));
            if pinned.is_empty() {
                hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn known(pins: &Pins, host: &str) -> Option<Vec<SocketAddr>> {
        Some(pins.resolve(host.parse().unwrap()).await.ok()?.collect())
    }

    #[tokio::test]
    async fn attack_the_client_knows_no_host_but_those_that_are_pinned() {
        let pins = Arc::new(Pins::default());
        let [one, two]: [SocketAddr; 2] = ["192.0.2.1:443", "192.0.2.2:443"].map(|a| a.parse().unwrap());
        assert_eq!(known(&pins, "localhost").await, None);
        let first = pins.pin("a.example", vec![one]);
        assert_eq!(known(&pins, "a.example").await, Some(vec![one]));
        assert_eq!(known(&pins, "b.example").await, None);
        let second = pins.pin("a.example", vec![two]);
        drop(first);
        assert_eq!(known(&pins, "a.example").await, Some(vec![two]));
        drop(second);
        assert_eq!(known(&pins, "a.example").await, None);
        assert!(pins.lock().is_empty());
    }

    #[test]
    fn attack_a_disturbed_answer_is_not_taken_for_no_such_name() {
        let said = |words: &str| io::Error::other(format!("failed to lookup address information: {words}"));
        for absent in
            ["Name or service not known", "No address associated with hostname", "Name does not resolve"]
        {
            assert!(is_absence(&said(absent)), "{absent}");
        }
        for unknown in ["Temporary failure in name resolution", "Try again", "Non-recoverable failure", ""] {
            assert!(!is_absence(&said(unknown)), "{unknown}");
        }
        assert!(!is_absence(&io::Error::from_raw_os_error(11_001)) || cfg!(windows));
    }

    /// With a label that is too long, so that no name server is asked.
    fn no_name() -> String {
        format!("{}.invalid", "a".repeat(64))
    }

    /// What the standard library makes of a system's answer is tried with a name that no system takes.
    #[tokio::test]
    async fn a_system_that_knows_no_such_name_says_so() {
        assert_eq!(SystemResolver::default().resolve(&no_name()).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn attack_slow_name_servers_do_not_pile_up_threads() {
        let resolver = SystemResolver::default();
        let places = Arc::clone(&resolver.places).try_acquire_many_owned(LOOKUPS as u32).unwrap();
        let busy = DirectoryError::new(DirectoryErrorKind::Busy);
        assert_eq!(resolver.resolve(&no_name()).await, Err(busy));
        drop(places);
        assert_eq!(resolver.resolve(&no_name()).await, Ok(Vec::new()));
    }
}
