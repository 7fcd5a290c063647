//! What a service manager is told, and what it asks: readiness, the end, reading again, being alive.

use std::future::pending;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// How long the service manager may take to hear something.
const TELLING: Duration = Duration::from_secs(5);

/// The service manager, if this program has one; it may be asked to read again without.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    /// Whether it wants to hear.
    listens: bool,
    /// Its longest silence before it takes the program for dead.
    silence: Option<Duration>,
}

/// Requests to read again.
#[derive(Debug, Default)]
pub(crate) struct Hangups(Option<Signal>);

impl Hangups {
    /// From now on SIGHUP is such a request, and no longer the program's end.
    pub(crate) fn listen() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Some).map(Self)
    }

    /// Waits for the next one; for ever where nobody listens.
    pub(crate) async fn next(&mut self) {
        let heard = match &mut self.0 {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if heard.is_none() {
            pending::<()>().await;
        }
    }
}

impl Manager {
    /// The one that the environment tells of (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    pub(crate) fn of_this_process() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
        Self { listens, silence: sd_notify::watchdog_enabled().filter(|_| listens) }
    }

    /// The service answers; `status` says where.
    pub(crate) async fn ready(&self, status: &str) {
        let status = NotifyState::Status(status).to_string();
        self.tell(format!("{}\n{status}", NotifyState::Ready)).await;
    }

    /// The service was asked to read again, and does.
    pub(crate) async fn reloading(&self) {
        let now = NotifyState::monotonic_usec_now().map(|now| format!("\n{now}")).unwrap_or_default();
        self.tell(format!("{}{now}", NotifyState::Reloading)).await;
    }

    /// The service takes no more connections.
    pub(crate) async fn stopping(&self) {
        let status = NotifyState::Status("answers the requests at hand, then ends");
        self.tell(format!("{}\n{status}", NotifyState::Stopping)).await;
    }

    /// Says in time that the program is alive, for ever.
    pub(crate) async fn stay_alive(&self) {
        let Some(silence) = self.silence else { return pending().await };
        let mut ticks = tokio::time::interval((silence / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell(NotifyState::Watchdog.to_string()).await;
        }
    }

    /// Tells it. A manager that cannot be told has its own timeout; the service goes on.
    async fn tell(&self, what: String) {
        if !self.listens {
            return;
        }
        // It waits while the manager has no room for more.
        let telling = tokio::task::spawn_blocking(move || sd_notify::notify(&[NotifyState::Custom(&what)]));
        match tokio::time::timeout(TELLING, telling).await {
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the service manager at NOTIFY_SOCKET was not told"),
            Err(_) => tracing::warn!("the service manager at NOTIFY_SOCKET does not listen"),
            Ok(_) => {}
        }
    }
}
