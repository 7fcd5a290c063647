//! Metrics and readiness, on a listener of their own.
//!
//! What is counted is counted where it happens, in `capauth-verifier` and `capauth-tower`; here it is collected, the time
//! of requests measured, and all of it shown. Every label has a fixed set of values, whatever clients send.

mod connections;
mod latency;
mod listener;
mod looked_at;
mod process;
mod recorder;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use capauth_tower::CapAuth;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) use self::connections::{OpenConnection, OpenConnections};
pub(crate) use self::latency::Latency;
use crate::config::{Config, ConfigError};

/// A listener for metrics that holds its port and does not answer yet.
#[derive(Debug)]
pub(crate) struct Metrics {
    listener: TcpListener,
    address: SocketAddr,
    recorder: PrometheusHandle,
}

impl Metrics {
    /// Takes the port, and installs the recorder of this process: before anything is built that counts. `None` where no
    /// metrics are wanted.
    ///
    /// # Errors
    /// The port is taken, or another recorder is installed.
    pub(crate) async fn bind(config: &Config) -> Result<Option<Self>, ConfigError> {
        let Some(wanted) = config.observe.metrics else { return Ok(None) };
        let listener = TcpListener::bind(wanted).await.map_err(|error| cannot_listen(wanted, &error))?;
        let address = listener.local_addr().map_err(|error| cannot_listen(wanted, &error))?;
        Ok(Some(Self { listener, address, recorder: recorder::install()? }))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer.
    pub(crate) fn start(self, capauth: CapAuth) -> Shown {
        let stopping = Arc::new(AtomicBool::new(false));
        let answering = listener::serve(self.listener, self.recorder, capauth, Arc::clone(&stopping));
        Shown { stopping, task: tokio::spawn(answering) }
    }
}

/// Metrics that are shown, until this is dropped.
#[derive(Debug)]
pub(crate) struct Shown {
    stopping: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Shown {
    /// The service takes no new connections: it is not ready any longer, and its metrics are still there.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn cannot_listen(wanted: SocketAddr, error: &io::Error) -> ConfigError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the service itself or another program has this port: choose another with CAPAUTH_METRICS"
        }
        io::ErrorKind::PermissionDenied => {
            "this port is not for everybody: choose one above 1023 with CAPAUTH_METRICS"
        }
        _ => "see CAPAUTH_METRICS",
    };
    ConfigError::new(format!("cannot listen on {wanted} for metrics: {advice} ({error})"))
}
