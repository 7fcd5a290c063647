//! How many clients are connected.

use metrics::{Gauge, describe_gauge, gauge};

/// Counts the connections of the service's own listener.
#[derive(Debug)]
pub(crate) struct OpenConnections(Gauge);

impl OpenConnections {
    pub(crate) fn new() -> Self {
        describe_gauge!(
            "capauth_connections_open",
            "Connections that are open on the service's own listener"
        );
        Self(gauge!("capauth_connections_open"))
    }

    /// One more, until what is answered is dropped.
    pub(crate) fn one(&self) -> OpenConnection {
        self.0.increment(1);
        OpenConnection(self.0.clone())
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
