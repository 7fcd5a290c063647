//! One small application in four frameworks, each with keys of its own and with those of a central service, over real
//! sockets in this process.

mod application;
mod central;
mod in_actix;
mod in_axum;
mod in_rocket;
mod in_tower;
pub mod person;
pub mod raw;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use capauth_tower::{CapAuth, EnrollmentMode, LocalVerifier, ManualClock, RateLimits};

use crate::keys::now;

/// What people sign in to, at every site.
pub const SERVICE: &str = "app.example.com";
/// Where browsers know it.
pub const ORIGIN: &str = "https://app.example.com";
/// Another service that the same verifier makes tokens for.
pub const OTHER_SERVICE: &str = "other.example.com";
/// The cookie of a session.
pub const COOKIE: &str = "__Host-capauth";

/// What carries the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Framework {
    /// Bare hyper, and tower's layers.
    Tower,
    /// axum.
    Axum,
    /// actix-web.
    Actix,
    /// Rocket.
    Rocket,
}

/// Who keeps the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// The application.
    Local,
    /// A central service.
    Remote,
}

/// How a site differs from the others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// New keys wait for an administrator.
    pub approval: bool,
    /// Nothing stands before the routes that says who asks: each guard finds out for itself.
    pub bare: bool,
    /// It counts what comes from where, with the usual numbers.
    pub limits: bool,
}

impl Framework {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tower, Self::Axum, Self::Actix, Self::Rocket];

    /// What its people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tower => "tower",
            Self::Axum => "axum",
            Self::Actix => "actix-web",
            Self::Rocket => "Rocket",
        }
    }
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Local, Self::Remote];
}

/// A running server, which ends when this is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

impl Server {
    fn new(address: SocketAddr, stop: impl FnOnce() + Send + 'static) -> Self {
        Self { address, stop: Some(Box::new(stop)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

/// The application, running in one framework.
pub struct Site {
    framework: Framework,
    mode: Mode,
    clock: Arc<ManualClock>,
    server: Server,
    capauth: CapAuth,
    central: Option<central::Central>,
}

impl Site {
    /// Starts the application. Its clock stands at [`now`].
    pub async fn start(framework: Framework, mode: Mode, options: Options) -> Self {
        let clock = Arc::new(ManualClock::at(now()));
        let (capauth, central) = match mode {
            Mode::Local => (central::local(SERVICE, &clock, options).await, None),
            Mode::Remote => {
                let central = central::Central::start(&clock, options).await;
                (central.application(&clock).await, Some(central))
            }
        };
        let server = match framework {
            Framework::Tower => in_tower::serve(&capauth, options).await,
            Framework::Axum => in_axum::serve(&capauth, options).await,
            Framework::Actix => in_actix::serve(&capauth, options),
            Framework::Rocket => in_rocket::serve(&capauth).await,
        };
        Self { framework, mode, clock, server, capauth, central }
    }

    /// What carries it.
    pub fn framework(&self) -> Framework {
        self.framework
    }

    /// Who keeps the keys.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What time it is there, and at its central service.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Moves the clock on.
    pub async fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.settle().await;
    }

    /// The verifier that holds the keys: the site's own, or that of its central service.
    pub fn admin(&self) -> &LocalVerifier {
        let capauth = self.central.as_ref().map_or(&self.capauth, central::Central::capauth);
        capauth.local_verifier().expect("somebody keeps the keys")
    }

    /// Waits until the site knows what has ended at its central service.
    pub async fn settle(&self) {
        if let Some(remote) = self.capauth.remote_verifier() {
            remote.refresh().await.expect("the central service answers");
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.framework.name(), self.mode)
    }
}

impl Options {
    fn enrollment(self) -> EnrollmentMode {
        if self.approval { EnrollmentMode::Approval } else { EnrollmentMode::Open }
    }

    fn rate_limits(self) -> RateLimits {
        if self.limits { RateLimits::default() } else { RateLimits::off() }
    }
}
