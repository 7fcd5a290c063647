//! What an application says of itself, wherever its people's keys are kept.

use std::sync::Arc;
use std::time::Duration;

use capauth_protocol::limits::MAX_SESSION_SECONDS;
use capauth_verifier::{Clock, ConfigError, SystemClock};

use crate::device::Devices;
use crate::form::Forms;
use crate::origin::Origins;
use crate::proxies::{IpRange, TrustedProxies};
use crate::session::Sessions;

/// The longest path that an application is mounted at.
const LONGEST_MOUNT: usize = 512;

pub(super) struct Site {
    pub(super) base_url: Option<String>,
    pub(super) origins: Vec<String>,
    pub(super) clock: Arc<dyn Clock>,
    /// `None`: the verifier's own.
    pub(super) session_lifetime: Option<Duration>,
    pub(super) loopback_port: Option<u16>,
    pub(super) proxies: Vec<IpRange>,
    pub(super) unix_peers: bool,
    pub(super) mount: String,
    pub(super) qr: bool,
}

/// The parts of a [`CapAuth`](crate::CapAuth) that have nothing to do with where keys are kept.
pub(crate) struct Front {
    pub(crate) sessions: Sessions,
    pub(crate) devices: Devices,
    pub(crate) forms: Forms,
    pub(crate) origins: Origins,
    pub(crate) proxies: TrustedProxies,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mount: String,
    /// Whether people may sign in from another device.
    pub(crate) qr: bool,
    pub(crate) notices: Vec<String>,
}

impl Site {
    pub(super) fn new() -> Self {
        Self {
            base_url: None,
            origins: Vec::new(),
            clock: Arc::new(SystemClock),
            session_lifetime: None,
            loopback_port: None,
            proxies: Vec::new(),
            unix_peers: false,
            mount: String::new(),
            qr: true,
        }
    }

    /// What is wrong before anything is opened; otherwise what should be said at start-up.
    pub(super) fn check(&self) -> Result<Vec<String>, ConfigError> {
        let longest = Duration::from_secs(MAX_SESSION_SECONDS);
        if self.session_lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0 || lifetime > longest) {
            return Err(ConfigError::new("the session lifetime must be between a second and 400 days"));
        }
        if !is_mount(&self.mount) {
            return Err(ConfigError::new(format!(
                "{:?} is no path to be mounted at; write it as /app, without a slash at the end",
                self.mount
            )));
        }
        let insecure = |port| {
            format!(
                "insecure_http_on_loopback: sessions travel without TLS; sign in at http://localhost:{port} only"
            )
        };
        Ok(self.loopback_port.map(insecure).into_iter().collect())
    }

    /// The base URL that was set, or that follows from the loopback mode.
    pub(super) fn base_url(&self) -> Option<String> {
        self.base_url.clone().or_else(|| self.loopback_origins().into_iter().next())
    }

    /// The origins that were set, and those of one's own machine in the loopback mode: as browsers spell them, without
    /// the port that goes without saying.
    pub(super) fn origins(&self) -> Vec<String> {
        self.origins.iter().cloned().chain(self.loopback_origins()).collect()
    }

    fn loopback_origins(&self) -> Vec<String> {
        let Some(port) = self.loopback_port else { return Vec::new() };
        let port = if port == 80 { String::new() } else { format!(":{port}") };
        ["localhost", "127.0.0.1", "[::1]"].iter().map(|host| format!("http://{host}{port}")).collect()
    }

    /// Whether sessions travel over TLS alone.
    pub(super) fn secure(&self) -> bool {
        self.loopback_port.is_none()
    }

    pub(super) fn into_front(
        self,
        sessions: Sessions,
        devices: Devices,
        forms: Forms,
        origins: &[String],
        notices: Vec<String>,
    ) -> Front {
        Front {
            sessions,
            devices,
            forms,
            origins: Origins::new(origins.iter()),
            proxies: TrustedProxies::new(self.proxies, self.unix_peers),
            clock: self.clock,
            mount: self.mount,
            qr: self.qr,
            notices,
        }
    }
}

/// Whether a text can stand before `/auth/capauth/login` in a `Location`: nothing, or steps of plain characters.
fn is_mount(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let step = |step: &str| !step.is_empty() && step != "." && step != "..";
    text.is_empty()
        || text.len() <= LONGEST_MOUNT
            && text.bytes().all(plain)
            && text.strip_prefix('/').is_some_and(|path| path.split('/').all(step))
}

/// The setters that both configurations have, over their field `site`.
macro_rules! site_settings {
    () => {
        /// The URL under which people reach this application; `https://{service}` when not set. Where keys are kept
        /// here, it is the issuer of tokens too.
        pub fn base_url(mut self, url: impl Into<String>) -> Self {
            self.site.base_url = Some(url.into());
            self
        }

        /// An origin (`https://www.example.com`) whose pages may sign people in and send requests with a session. The
        /// base URL is always one; `https://{service}` is one as long as no other is given.
        pub fn origin(mut self, origin: impl Into<String>) -> Self {
            self.site.origins.push(origin.into());
            self
        }

        /// What time it is: the machine's clock when not set.
        pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
            self.site.clock = clock;
            self
        }

        /// How long a browser's session lasts: twelve hours when not set, at most 400 days.
        pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
            self.site.session_lifetime = Some(lifetime);
            self
        }

        /// For development on one's own machine: people sign in at `http://localhost:{port}` (or `127.0.0.1`, `[::1]`),
        /// the session's cookie is called `capauth-insecure` and travels without TLS. The base URL becomes
        /// `http://localhost:{port}` unless it is set.
        pub fn insecure_http_on_loopback(mut self, port: u16) -> Self {
            self.site.loopback_port = Some(port);
            self
        }

        /// The proxies in front of this, whose `X-Forwarded-For` is believed. Nobody's when not set.
        pub fn trusted_proxies(mut self, ranges: impl IntoIterator<Item = IpRange>) -> Self {
            self.site.proxies.extend(ranges);
            self
        }

        /// Whether `X-Forwarded-For` is believed of whoever connects by a Unix socket, which only processes of this
        /// machine can ([`UnixPeer`](crate::UnixPeer)). Not when not set.
        pub fn trusted_unix_peers(mut self, trusted: bool) -> Self {
            self.site.unix_peers = trusted;
            self
        }

        /// Whether people may sign in with another device that scans a QR code; they may when not set. Otherwise its
        /// endpoints answer 404.
        pub fn qr(mut self, offered: bool) -> Self {
            self.site.qr = offered;
            self
        }

        /// The path below which the endpoints are mounted, such as `/app` for `/app/auth/capauth/login`: browsers are
        /// sent there to sign in. The root when not set.
        pub fn mounted_at(mut self, path: impl Into<String>) -> Self {
            self.site.mount = path.into();
            self
        }
    };
}
pub(super) use site_settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_path_that_leads_nowhere_else() {
        for good in ["", "/app", "/a/b", "/~x/b-c_d.e"] {
            assert!(is_mount(good), "{good}");
        }
        for bad in [
            "app",
            "/",
            "//",
            "//evil.example",
            "/app/",
            "/a//b",
            "/..",
            "/a/../b",
            "/a b",
            "/a?b",
            "/é",
            "/%2f",
        ] {
            assert!(!is_mount(bad), "{bad}");
        }
    }
}
