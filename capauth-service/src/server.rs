//! Listening, answering, stopping.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use capauth_tower::{CapAuth, IpRange, LocalConfig};
use capauth_verifier::WebKeyDirectory;
use futures_util::future::{join, join3};

use crate::commands::with_causes;
use crate::config::{Config, Life};
use crate::listen::{Address, Connections, HandedOver, Hangups, Listeners, Manager};
use crate::metrics::Metrics;
use crate::requests::{Requests, not_found};

/// Why the service does not start. One line for whoever starts it.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string().replace(char::is_control, " "))
    }

    /// An error with its causes, each said once.
    fn caused(error: &dyn std::error::Error) -> Self {
        Self::new(with_causes(error))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// A service that has its port and its stores, and answers once it runs.
#[derive(Debug)]
pub struct Server {
    listeners: Listeners,
    capauth: CapAuth,
    router: Router,
    proxies: Vec<IpRange>,
    hangups: Hangups,
    manager: Manager,
    metrics: Option<Metrics>,
}

impl Server {
    /// Takes the port, then opens the stores and reads the keys. Whoever connects from now on waits until it runs.
    ///
    /// # Errors
    /// The port is taken, or a setting does not fit what is in the stores; in words for the operator.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        Self::bind_with(config, HandedOver::none()).await
    }

    /// The same, with the sockets that a service manager handed over, if there are any, in place of own ones.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub async fn bind_with(config: &Config, handed_over: HandedOver) -> Result<Self, StartError> {
        let listeners = Listeners::bind(config, handed_over).await?;
        let port = listeners.addresses().iter().find_map(Address::socket).map_or(config.port, |it| it.port());
        // Before anything is built that counts.
        let metrics = Metrics::bind(config).await.map_err(|error| StartError::caused(&error))?;
        let capauth = wire(config, port).await?;
        let router = capauth_axum::service_routes::<CapAuth>()
            .with_state(capauth.clone())
            // Somebody who only knows the name: their own page, or the login before it.
            .route("/", get(async || Redirect::to("/capauth/me")))
            .fallback(not_found)
            .layer(around(config, metrics.is_some()));
        let (hangups, manager) = (Hangups::default(), Manager::default());
        let proxies = config.trusted_proxies.clone();
        Ok(Self { listeners, capauth, router, proxies, hangups, manager, metrics })
    }

    /// For a server that is its program's purpose: SIGHUP has files read again instead of ending the program, and a
    /// service manager (`NOTIFY_SOCKET`) is told when the service answers, reads again and stops.
    ///
    /// # Errors
    /// The system does not hand signals over.
    pub fn supervised(mut self) -> Result<Self, StartError> {
        self.hangups = Hangups::listen().map_err(StartError::new)?;
        self.manager = Manager::of_this_process();
        Ok(self)
    }

    /// Where it listens: at one place at least.
    pub fn addresses(&self) -> &[Address] {
        self.listeners.addresses()
    }

    /// Where it shows its metrics, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Metrics::address)
    }

    /// The CapAuth that it serves.
    pub fn capauth(&self) -> &CapAuth {
        &self.capauth
    }

    /// Answers until `stop` is done; then takes no new connections, answers what is at hand, for ten seconds at most,
    /// and writes what waits to be written.
    ///
    /// # Errors
    /// What waited could not be written.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), capauth_tower::AuthError> {
        let Self { listeners, capauth, router, proxies, hangups, manager, metrics } = self;
        let metrics = metrics.map(|metrics| metrics.start(capauth.clone()));
        let hsts = listeners.speak_tls() && owns_its_host(&capauth);
        let connections = Connections::new(router, hsts, &proxies);
        let upkeep = async {
            manager.ready(&listeners.status()).await;
            listeners.reread(hangups, &manager).await;
        };
        tokio::select! {
            () = stop => {}
            _ = join3(listeners.accept(&connections), upkeep, manager.stay_alive()) => {}
        }
        drop(listeners);
        if let Some(shown) = &metrics {
            shown.stopping();
        }
        capauth.end_streams();
        tracing::info!("stopping: no new connections are taken");
        join(manager.stopping(), connections.end()).await;
        capauth.close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Whether the base URL is a host's own, at the port that goes without saying. What browsers are told of TLS counts for
/// all ports of a host: behind a port of its own, this service does not speak for the others.
fn owns_its_host(capauth: &CapAuth) -> bool {
    let base_url = capauth.local_verifier().map_or("", |verifier| verifier.base_url());
    // The colons of an IPv6 address stand in brackets; browsers note nothing for addresses anyway.
    base_url.strip_prefix("https://").is_some_and(|host| !host.contains(':'))
}

/// What happens around every request.
fn around(config: &Config, measured: bool) -> Requests {
    let made = if measured { Requests::measured } else { Requests::new };
    made(config.request_timeout, &config.cors_origins)
}

/// Opens the stores and hands the configuration on. `port` is the one that was taken.
async fn wire(config: &Config, port: u16) -> Result<CapAuth, StartError> {
    let mut capauth = assemble(config, port)?.store(&config.database_url);
    if let Some(key) = &config.master_key {
        capauth = capauth.master_key(key.clone());
    }
    capauth.build().await.map_err(|error| StartError::caused(&error))
}

/// A start that leaves nothing behind: with stores in memory, and without the audit log's file.
///
/// # Errors
/// What would stop a start, what is in the real stores apart.
pub(crate) async fn rehearse(config: &Config) -> Result<CapAuth, StartError> {
    let mut config = config.clone();
    config.life.audit_file = None;
    let stores = capauth_verifier::memory::stores().map_err(|error| StartError::caused(&error))?;
    let capauth = assemble(&config, config.port)?.stores(stores);
    capauth.build().await.map_err(|error| StartError::caused(&error))
}

/// Hands the configuration on, all but the stores. `port` matters where any would do.
fn assemble(config: &Config, port: u16) -> Result<LocalConfig, StartError> {
    let mut capauth = CapAuth::local(&config.service_id)
        .enrollment(config.enrollment)
        .admin_fingerprints(config.admin_fingerprints.iter().copied())
        .asserted_groups(config.asserted_groups)
        .require_v2(config.require_v2)
        .rate_limits(config.rate_limits.clone())
        .qr(config.qr)
        .trusted_proxies(config.trusted_proxies.iter().copied())
        .trusted_unix_peers(config.listen.trusts_unix);
    if let Some(url) = &config.base_url {
        capauth = capauth.base_url(url);
    }
    for origin in &config.origins {
        capauth = capauth.origin(origin);
    }
    for service in &config.services {
        capauth = capauth.service(service.clone());
    }
    if let Some(armor) = &config.server_key {
        capauth = capauth.server_key(armor.clone(), config.server_key_passphrase.clone());
    }
    if let Some(secret) = &config.jwt_secret {
        capauth = capauth.jwt_secret(secret.clone());
    }
    if let Some(token) = &config.admin_token {
        capauth = capauth.admin_token(token.clone());
    }
    if config.insecure_http {
        capauth = capauth.insecure_http_on_loopback(port);
    }
    capauth = capauth.with_weak_secrets(config.takes_weak_secrets());
    // A little shorter than the time of the whole request: what is dropped then would count against its sender.
    let patience = config.request_timeout.mul_f64(0.9);
    over_time(capauth.verifier(|verifier| verifier.patience(patience)), &config.life)
}

/// What happens to identities over time.
fn over_time(mut capauth: LocalConfig, life: &Life) -> Result<LocalConfig, StartError> {
    if let Some(lifetime) = life.session_lifetime {
        capauth = capauth.session_lifetime(lifetime);
    }
    let directory = match life.wkd {
        true => Some(WebKeyDirectory::builder().build().map_err(|error| StartError::caused(&error))?),
        false => None,
    };
    Ok(capauth.verifier(|mut verifier| {
        verifier = verifier.private_membership(life.private_membership).audit_network(life.audit_network);
        if let Some(lifetime) = life.pending_lifetime {
            verifier = verifier.pending_lifetime(lifetime);
        }
        if let Some(delay) = life.rotation_delay {
            verifier = verifier.rotation_delay(delay);
        }
        if let Some(idle) = life.session_idle {
            verifier = verifier.session_idle(idle);
        }
        if let Some(lifetime) = life.refresh_lifetime {
            verifier = verifier.refresh_lifetime(lifetime);
        }
        if let Some(file) = &life.audit_file {
            verifier = verifier.audit_file(file);
        }
        match directory {
            Some(directory) => verifier.key_directory(Arc::new(directory)),
            None => verifier,
        }
    }))
}
