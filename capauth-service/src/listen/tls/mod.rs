//! TLS, by rustls, with a certificate that may be replaced while the service runs.

mod files;
mod replacing;
mod validity;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use self::files::{TlsError, TlsFiles};
use self::replacing::{Replacing, Step};

/// How long a client may take over the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often the files are looked at. A replacement is used once it looked the same twice: whoever writes two files,
/// or one in two pieces, is not met half-way.
const LOOK: Duration = Duration::from_secs(1);

/// The certificate that new connections get.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    current: watch::Sender<Arc<rustls::ServerConfig>>,
    /// What is in use.
    digest: [u8; 32],
}

impl Tls {
    pub(crate) fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let loaded = files.load()?;
        let (current, _) = watch::channel(loaded.config);
        Ok(Self { files: files.clone(), current, digest: loaded.digest })
    }

    /// How handshakes are made from now on.
    pub(crate) fn handshakes(&self) -> Handshakes {
        Handshakes(self.current.subscribe())
    }

    /// Looks at the files, to use what replaces them.
    pub(crate) fn looks(&self) -> Looks<'_> {
        let mut times = tokio::time::interval(LOOK);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Looks { tls: self, times, replacing: Replacing::new(self.digest) }
    }

    fn take(&self, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Use(loaded) => {
                self.current.send_replace(loaded.config);
                tracing::info!("new connections get the certificate that is now in the file");
                for notice in self.files.notices() {
                    tracing::warn!("{notice}");
                }
            }
            Step::Complain(error) => {
                tracing::error!(%error, "the TLS certificate stays the one that was read before");
            }
        }
    }
}

/// Looks at the files of a certificate, one after the other.
pub(crate) struct Looks<'a> {
    tls: &'a Tls,
    times: Interval,
    replacing: Replacing,
}

/// Waits until it is time for the next look; for ever where there is nothing to look at.
pub(crate) async fn its_time(looks: &mut Option<Looks<'_>>) {
    match looks {
        Some(looks) => {
            looks.times.tick().await;
        }
        None => pending().await,
    }
}

impl Looks<'_> {
    /// Looks, and uses what is new: at once when that was asked for, else when it was seen twice.
    pub(crate) async fn look(&mut self, at_once: bool) {
        let (files, mut replacing) = (self.tls.files.clone(), self.replacing.clone());
        // Files, and arithmetic on keys.
        let look = tokio::task::spawn_blocking(move || {
            let step = replacing.look(&files, at_once);
            (replacing, step)
        });
        if let Ok((replacing, step)) = look.await {
            self.replacing = replacing;
            self.tls.take(step);
        }
    }
}

/// Makes handshakes, each with the certificate of its moment.
#[derive(Debug, Clone)]
pub(crate) struct Handshakes(watch::Receiver<Arc<rustls::ServerConfig>>);

impl Handshakes {
    /// The connection once TLS is spoken on it; nothing when the client does not, or not in time.
    pub(crate) async fn make(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.0.borrow());
        match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS was agreed on with a client");
                None
            }
            Err(_) => {
                tracing::debug!("a client took too long over the TLS handshake");
                None
            }
        }
    }
}
