//! Where there are no Unix signals and sockets, nobody manages the service.

use std::future::pending;

/// No service manager.
#[derive(Debug, Default)]
pub(crate) struct Manager;

/// Requests to read again: none come.
#[derive(Debug, Default)]
pub(crate) struct Hangups;

impl Hangups {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        pending::<()>().await;
    }
}

impl Manager {
    pub(crate) fn of_this_process() -> Self {
        Self
    }

    pub(crate) async fn ready(&self, _: &str) {}

    pub(crate) async fn reloading(&self) {}

    pub(crate) async fn stopping(&self) {}

    pub(crate) async fn stay_alive(&self) {
        pending::<()>().await;
    }
}
