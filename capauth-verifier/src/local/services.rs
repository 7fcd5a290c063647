//! The services a verifier speaks for, each with its web origins.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{AuthError, AuthErrorKind, ConfigError};
use crate::origins::{checked_origins, service_name, service_origins};
use crate::secret::Secret;

/// Another service that challenges may be made for, besides the verifier's own.
///
/// ```
/// use capauth_verifier::ServiceEntry;
///
/// let app = ServiceEntry::new("app.example.com").origin("https://app.example.com");
/// ```
#[derive(Clone)]
pub struct ServiceEntry {
    name: String,
    origins: Vec<String>,
    credential: Option<Secret>,
}

impl ServiceEntry {
    /// A service by its name, usually its host name. Its origin is `https://{name}` unless others are given.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), origins: Vec::new(), credential: None }
    }

    /// Adds a web origin, `scheme://host[:port]`, from which its people sign in.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret with which the service itself asks for the revocation feed.
    #[must_use]
    pub fn credential(mut self, credential: Secret) -> Self {
        self.credential = Some(credential);
        self
    }
}

impl fmt::Debug for ServiceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceEntry")
            .field("name", &self.name)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// The own service and the listed ones.
pub(super) struct Services {
    own: Arc<str>,
    /// The base URL's host, by which the own service is called too.
    base_host: String,
    known: HashMap<Arc<str>, Vec<String>>,
    credentials: Vec<(Arc<str>, Secret)>,
}

impl Services {
    pub(super) fn new(
        own: &str,
        base_url: &str,
        own_origins: Vec<String>,
        listed: Vec<ServiceEntry>,
    ) -> Result<Self, ConfigError> {
        let own_name: Arc<str> = service_name(own)?.into();
        let mut known: HashMap<Arc<str>, Vec<String>> = HashMap::new();
        known.insert(Arc::clone(&own_name), service_origins(&own_name, base_url, own_origins)?);
        let mut credentials = Vec::new();
        for entry in listed {
            let name: Arc<str> = service_name(&entry.name)?.into();
            let origins =
                if entry.origins.is_empty() { vec![format!("https://{name}")] } else { entry.origins };
            if known.insert(Arc::clone(&name), checked_origins(origins)?).is_some() {
                return Err(ConfigError::new(format!("the service {name} is listed twice")));
            }
            credentials.extend(entry.credential.map(|credential| (name, credential)));
        }
        if let Some((_, short)) = credentials.iter().find(|(_, c)| c.expose().len() < 32) {
            let length = short.expose().len();
            return Err(ConfigError::new(format!(
                "a service's credential has {length} characters; use 32 or more"
            )));
        }
        let base_host = host_of_origin(base_url).to_owned();
        Ok(Self { own: own_name, base_host, known, credentials })
    }

    pub(super) fn own(&self) -> &Arc<str> {
        &self.own
    }

    pub(super) fn origins(&self, service: &str) -> Option<&[String]> {
        self.known.get(service).map(Vec::as_slice)
    }

    /// The own one first, the others by name.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.known.keys().map(|name| &**name).collect();
        names.sort_unstable_by_key(|name| (*name != &*self.own, *name));
        names
    }

    pub(super) fn have_credentials(&self) -> bool {
        !self.credentials.is_empty()
    }

    /// Whose credential this is. Takes the same time whichever it is.
    pub(super) fn of_credential(&self, credential: &str) -> Option<&Arc<str>> {
        self.credentials.iter().fold(None, |found, (name, known)| {
            let matches = known.matches(credential);
            found.or(matches.then_some(name))
        })
    }

    /// Which service a challenge is for: a listed one by its name; the own one by nothing at all, its name, the base
    /// URL's host, the request's `Host`, or a name of this machine.
    pub(super) fn resolve(&self, requested: &str, host: Option<&str>) -> Result<Arc<str>, AuthError> {
        let requested = requested.to_ascii_lowercase();
        if let Some((name, _)) = self.known.get_key_value(requested.as_str()) {
            return Ok(Arc::clone(name));
        }
        let name = without_port(&requested);
        let asked = host.map(|host| without_port(host).to_ascii_lowercase());
        let ours = requested.is_empty()
            || name == without_port(&self.base_host)
            || matches!(name, "localhost" | "127.0.0.1" | "[::1]" | "::1")
            || asked.is_some_and(|asked| asked == name);
        if ours { Ok(Arc::clone(&self.own)) } else { Err(AuthError::new(AuthErrorKind::ServiceMismatch)) }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') =>
        {
            // A bare IPv6 address has colons of its own.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

fn host_of_origin(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services() -> Services {
        let app = ServiceEntry::new("App.example.com");
        Services::new("auth.example.com", "https://login.example.com", Vec::new(), vec![app]).unwrap()
    }

    #[test]
    fn a_listed_service_is_named_and_everything_ours_is_the_own_one() {
        let services = services();
        let own =
            |requested: &str, host: Option<&str>| services.resolve(requested, host).unwrap().to_string();
        assert_eq!(own("app.example.com", None), "app.example.com");
        for (requested, host) in [
            ("", None),
            ("auth.example.com", None),
            ("AUTH.example.com", None),
            ("login.example.com", None),
            ("login.example.com:8443", None),
            ("localhost:3000", None),
            ("[::1]:3000", None),
            ("127.0.0.1", None),
            ("inner:8420", Some("inner:8420")),
            ("inner", Some("inner:8420")),
        ] {
            assert_eq!(own(requested, host), "auth.example.com", "{requested:?} {host:?}");
        }
    }

    #[test]
    fn a_strangers_service_is_refused() {
        let services = services();
        for (requested, host) in [
            ("evil.example", None),
            ("evil.example", Some("auth.example.com")),
            ("app.example.com.evil", None),
            (":", None),
        ] {
            let error = services.resolve(requested, host).unwrap_err();
            assert_eq!(error.kind(), AuthErrorKind::ServiceMismatch, "{requested:?}");
        }
    }
}
