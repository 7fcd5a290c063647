//! What the service tells a person when it starts.

use std::fmt::Write as _;

use capauth_tower::EnrollmentMode;

use crate::config::Config;
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
    let _ = writeln!(out, "  listening on {}\n", paint("1;36", &format!("http://{}", server.address())));
    for (name, value) in facts(config, server) {
        let _ = writeln!(out, "  {} {value}", paint("2", &format!("{name:NAMES$}")));
    }
    let notices = notices(config, server);
    if !notices.is_empty() {
        out.push('\n');
    }
    for notice in notices {
        let _ = writeln!(out, "  {} {notice}", paint("33", "!"));
    }
    out
}

fn facts(config: &Config, server: &Server) -> Vec<(&'static str, String)> {
    let verifier = server.capauth().local_verifier();
    let base_url = verifier.map_or_else(String::new, |verifier| verifier.base_url().to_owned());
    let place = verifier.map_or_else(String::new, |verifier| verifier.place().to_owned());
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
        ("data", place),
        ("master key", master_key),
        ("enrolment", enrollment.to_owned()),
        ("admin", admin(config)),
        ("server key", if config.server_key.is_some() { "signs challenges" } else { "none" }.to_owned()),
    ];
    if config.life.wkd {
        facts.push(("e-mail", "each address's own domain is asked whether it is the key's".to_owned()));
    }
    if let Some(file) = &config.life.audit_file {
        facts.push(("audit log", file.display().to_string()));
    }
    if config.jwt_secret.is_some() {
        facts.push(("tokens", "HS256, under the configured secret".to_owned()));
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
fn notices(config: &Config, server: &Server) -> Vec<String> {
    let mut notices = config.notices.clone();
    notices.extend(server.capauth().notices());
    let mut say = |text: String| notices.push(text);
    let has_admin = config.admin_token.is_some() || !config.admin_fingerprints.is_empty();
    if !has_admin && config.enrollment != EnrollmentMode::Open {
        say("Nobody can approve keys: set CAPAUTH_ADMIN_TOKEN to what `openssl rand -hex 32` prints."
            .to_owned());
    }
    if !config.listens_on_loopback() {
        say(format!(
            "{} is reached without TLS. Put a proxy that speaks TLS in front, and keep this port closed to others.",
            server.address()
        ));
    }
    if config.trusted_proxies.is_empty() && config.listens_on_loopback() && !config.insecure_http {
        say(
            "Behind a proxy all clients look like one. Name the proxy: CAPAUTH_TRUSTED_PROXIES=127.0.0.1,::1"
                .to_owned(),
        );
    }
    if config.database_file.is_none() {
        say("Data is kept in memory and gone at the end. Set CAPAUTH_DB_PATH to keep it.".to_owned());
    }
    notices
}
