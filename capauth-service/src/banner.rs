//! What the service tells a person when it starts.

use std::fmt::Write as _;
use std::net::SocketAddr;

use capauth_tower::{CapAuth, EnrollmentMode};

use crate::config::Config;
use crate::listen::Address;
use crate::server::Server;

/// The width of the column of names.
const NAMES: usize = 12;

/// The text: what runs where, and below it everything that is open or missing. `colour` is for terminals.
pub fn text(config: &Config, server: &Server, colour: bool) -> String {
    let paint =
        |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, "{}", paint("1", &format!("capauth-service {version}")));
    for (at, address) in server.addresses().iter().enumerate() {
        let words = if at == 0 { "listening on" } else { "         and" };
        let _ = writeln!(out, "  {words} {}", paint("1;36", &address.to_string()));
    }
    out.push('\n');
    let place = server.capauth().local_verifier().map_or("", |verifier| verifier.place());
    for (name, value) in facts(config, server.capauth(), place, server.metrics_address()) {
        let _ = writeln!(out, "  {} {value}", paint("2", &format!("{name:NAMES$}")));
    }
    let notices = notices(config, server.capauth(), server.addresses(), server.metrics_address());
    if !notices.is_empty() {
        out.push('\n');
    }
    for notice in notices {
        let _ = writeln!(out, "  {} {notice}", paint("33", "!"));
    }
    out
}

/// What runs, and where its data is.
pub(crate) fn facts(
    config: &Config,
    capauth: &CapAuth,
    place: &str,
    metrics: Option<SocketAddr>,
) -> Vec<(&'static str, String)> {
    let verifier = capauth.local_verifier();
    let base_url = verifier.map_or_else(String::new, |verifier| verifier.base_url().to_owned());
    let master_key = match (&config.master_key, &config.database_file) {
        (Some(_), _) => "as configured".to_owned(),
        (None, Some(_)) => capauth_store::master_key_file(place.as_ref()).display().to_string(),
        (None, None) => "made for this run".to_owned(),
    };
    let enrollment = match config.enrollment {
        EnrollmentMode::Approval => "an administrator approves each new key",
        EnrollmentMode::Closed => "closed: new keys need an administrator, or a code of one",
        EnrollmentMode::Open => "open: whoever holds a key may sign in",
    };
    let mut facts = vec![
        ("service", config.service_id.clone()),
        ("base URL", base_url),
        ("data", place.to_owned()),
        ("master key", master_key),
        ("enrolment", enrollment.to_owned()),
        ("admin", admin(config)),
        ("server key", if config.server_key.is_some() { "signs challenges" } else { "none" }.to_owned()),
    ];
    if let Some(tls) = &config.listen.tls {
        facts.push(("TLS", format!("with the certificate in {}", tls.cert().display())));
    }
    if !config.rate_limits.are_on() {
        facts.push(("rate limits", "OFF".to_owned()));
    }
    if config.life.wkd {
        facts.push(("e-mail", "each address's own domain is asked whether it is the key's".to_owned()));
    }
    if let Some(file) = &config.life.audit_file {
        facts.push(("audit log", file.display().to_string()));
    }
    if config.jwt_secret.is_some() {
        facts.push(("tokens", "HS256, under the configured secret".to_owned()));
    }
    if let Some(address) = metrics {
        facts.push(("metrics", format!("http://{address}/metrics")));
    }
    if !config.cors_origins.is_empty() {
        facts.push(("CORS", config.cors_origins.join(", ")));
    }
    facts
}

fn admin(config: &Config) -> String {
    let keys = match config.admin_fingerprints.len() {
        0 => None,
        1 => Some("1 key".to_owned()),
        n => Some(format!("{n} keys")),
    };
    match (config.admin_token.is_some(), keys) {
        (false, None) => "off".to_owned(),
        (true, None) => "by token".to_owned(),
        (false, Some(keys)) => format!("by {keys}"),
        (true, Some(keys)) => format!("by token and {keys}"),
    }
}

/// What is open or missing, each with what to do about it.
pub(crate) fn notices(
    config: &Config,
    capauth: &CapAuth,
    addresses: &[Address],
    metrics: Option<SocketAddr>,
) -> Vec<String> {
    let mut notices = config.notices.clone();
    notices.extend(capauth.notices());
    let mut say = |text: String| notices.push(text);
    let has_admin = config.admin_token.is_some() || !config.admin_fingerprints.is_empty();
    if !has_admin && config.enrollment != EnrollmentMode::Open {
        say("Nobody can approve keys: set CAPAUTH_ADMIN_TOKEN to what `openssl rand -hex 32` prints."
            .to_owned());
    }
    for address in addresses.iter().filter(|address| address.is_open()) {
        say(format!(
            "{address} is reached without TLS. Set CAPAUTH_TLS_CERT, or put a proxy that speaks TLS in front and keep \
             this port closed to others."
        ));
    }
    if let Some(notice) = unnamed_proxies(config, addresses) {
        say(notice);
    }
    if let Some(address) = metrics.filter(|_| !config.observe.listens_on_loopback()) {
        say(format!("Whoever reaches {address} reads the metrics. Let nobody but your monitoring."));
    }
    if config.database_file.is_none() {
        say("Data is kept in memory and gone at the end. Set CAPAUTH_DB_PATH to keep it.".to_owned());
    }
    notices
}

/// Whoever comes by a way that is there for proxies alone may be one that nobody named.
fn unnamed_proxies(config: &Config, addresses: &[Address]) -> Option<String> {
    let (mut local, mut unix) = (false, false);
    for address in addresses {
        match address {
            Address::Http(address) => local |= address.ip().to_canonical().is_loopback(),
            Address::Unix(_) => unix = true,
            Address::Https(_) => {}
        }
    }
    let names = match (
        local && config.trusted_proxies.is_empty() && !config.insecure_http,
        unix && !config.listen.trusts_unix,
    ) {
        (false, false) => return None,
        (true, false) => "127.0.0.1,::1",
        (false, true) => "unix",
        (true, true) => "127.0.0.1,::1,unix",
    };
    Some(format!("Behind a proxy all clients look like one. Name the proxy: CAPAUTH_TRUSTED_PROXIES={names}"))
}
