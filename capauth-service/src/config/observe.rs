//! What the operator sees of the running service, besides its log.

use std::net::SocketAddr;

use super::layers::Layers;
use super::{ConfigError, one};

/// What the operator sees of the running service, besides its log.
#[derive(Debug, Clone)]
pub struct Observe {
    /// The address of the metrics' own listener; port 0 for any. `None`: there are no metrics.
    pub metrics: Option<SocketAddr>,
}

impl Observe {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let address = |text: &str| {
            text.parse().map_err(|_| "is no address with a port, such as 127.0.0.1:9464 or [::1]:9464")
        };
        Ok(Self { metrics: one(layers, "metrics", address)? })
    }

    /// Whether the metrics, if there are any, are for this machine alone.
    pub fn listens_on_loopback(&self) -> bool {
        self.metrics.is_none_or(|address| address.ip().to_canonical().is_loopback())
    }
}
