//! What the operator decides: defaults, a TOML file, the environment, flags; the later ones win.

mod flags;
mod layers;
mod life;
mod limits;
mod listen;
mod observe;
mod services;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use capauth_tower::{EnrollmentMode, Fingerprint, IpRange, MasterKey, RateLimits, Secret, ServiceEntry};
use figment::value::Value;

pub(crate) use self::flags::{DataFlags, Flags, Given};
use self::layers::Layers;
pub(crate) use self::layers::Setting;
pub use self::life::Life;
pub use self::listen::Listen;
pub use self::observe::Observe;
use crate::listen::Address;

/// A setting that makes no sense. One line that names the setting and where it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// An error in one line: control characters, which a file's name may hold, become spaces.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into().replace(char::is_control, " "))
    }

    /// The setting that a person wrote as `place`, and what is wrong with it.
    fn at(place: &str, wrong: impl fmt::Display) -> Self {
        Self::new(format!("{place} {wrong}"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// Why there is no configuration.
#[derive(Debug)]
pub enum LoadError {
    /// The command line asks for help or the version, or is wrong: clap has the words.
    CommandLine(clap::Error),
    /// A setting makes no sense.
    Setting(ConfigError),
}

impl From<ConfigError> for LoadError {
    fn from(error: ConfigError) -> Self {
        Self::Setting(error)
    }
}

/// In which form the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// Where settings come from: flags and variables, and the file that one of them may name.
#[derive(Clone)]
pub struct Sources {
    given: Given,
    variables: Vec<(OsString, OsString)>,
}

impl Sources {
    pub(crate) fn new(given: Given, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self { given, variables: variables.into_iter().collect() }
    }

    /// These, and flags that stand further on in the command line.
    pub(crate) fn and(self, later: impl Into<Given>) -> Self {
        Self { given: self.given.then(later), ..self }
    }

    fn layers(&self) -> Result<Layers, ConfigError> {
        Layers::gather(self.given.clone(), self.variables.iter().cloned())
    }

    fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").map(PathBuf::from)
    }

    /// A variable, whether it is a setting or not.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Everything, for what starts or judges the service.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let handed_over = listen::handed_over(&self.variables)?;
        Config::read(&self.layers()?, self.home().as_deref(), handed_over)
    }

    /// Where the data is and what opens it: for commands that work on the database beside the service. Other settings
    /// are not looked at, so that a mistake in one of them stops nobody from revoking a key.
    ///
    /// # Errors
    /// One of these settings makes no sense.
    pub fn data(&self) -> Result<Data, ConfigError> {
        let layers = self.layers()?;
        let (database_url, database_file) = database(&layers, self.home().as_deref())?;
        Ok(Data { database_url, database_file, master_key: master_key(&layers)? })
    }
}

impl Sources {
    /// Every setting that somebody made, whether it makes sense or not.
    ///
    /// # Errors
    /// The file cannot be read, or has what is no setting.
    pub(crate) fn said(&self) -> Result<Vec<Setting>, ConfigError> {
        Ok(self.layers()?.said())
    }

    /// The name that people sign in to.
    ///
    /// # Errors
    /// It makes no sense.
    pub(crate) fn service_id(&self) -> Result<String, ConfigError> {
        service_id(&self.layers()?)
    }

    /// The key that signs challenges, if there is one, and its passphrase.
    ///
    /// # Errors
    /// One of these settings makes no sense.
    pub(crate) fn signing_key(&self) -> Result<Option<(Secret, Option<Secret>)>, ConfigError> {
        let layers = self.layers()?;
        let Some(armor) = secret(&layers, "server_key_armor")? else { return Ok(None) };
        Ok(Some((armor, secret(&layers, "server_key_passphrase")?)))
    }

    /// The name that people sign in to, and the passphrase of the key that signs challenges.
    ///
    /// # Errors
    /// One of these settings makes no sense.
    pub(crate) fn server_key(&self) -> Result<(String, Option<Secret>), ConfigError> {
        let layers = self.layers()?;
        Ok((service_id(&layers)?, secret(&layers, "server_key_passphrase")?))
    }
}

impl fmt::Debug for Sources {
    /// Variables may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("given", &self.given).finish_non_exhaustive()
    }
}

/// Where the data is, and what opens it.
#[derive(Debug, Clone)]
pub struct Data {
    /// The database.
    pub database_url: String,
    /// Its file, unless it is none.
    pub database_file: Option<PathBuf>,
    /// The installation's secret; in the file beside the database when `None`.
    pub master_key: Option<MasterKey>,
}

/// Everything the service needs to know before it starts. Printing it shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name that people sign in to.
    pub service_id: String,
    /// Where it is reached from outside, if that was said.
    pub base_url: Option<String>,
    /// Web origins whose pages sign people in, besides the base URL; `https://{service_id}` if there are none.
    pub origins: Vec<String>,
    /// Other services it makes challenges for.
    pub services: Vec<ServiceEntry>,
    /// Where data is kept.
    pub database_url: String,
    /// The database's file, unless it is none.
    pub database_file: Option<PathBuf>,
    /// The installation's secret; read from, or made in, the file beside the database when `None`.
    pub master_key: Option<MasterKey>,
    /// Who may enrol a new key.
    pub enrollment: EnrollmentMode,
    /// Whether people are believed about their own groups.
    pub asserted_groups: bool,
    /// Whether challenges without an origin are refused.
    pub require_v2: bool,
    /// Whether people may sign in with another device.
    pub qr: bool,
    /// What happens to identities over time.
    pub life: Life,
    /// How much is let through from where.
    pub rate_limits: RateLimits,
    /// The bearer token of administrators.
    pub admin_token: Option<Secret>,
    /// Keys whose holders administer.
    pub admin_fingerprints: Vec<Fingerprint>,
    /// The armored private key that signs challenges.
    pub server_key: Option<Secret>,
    /// Its passphrase.
    pub server_key_passphrase: Option<Secret>,
    /// The secret of HS256 access tokens.
    pub jwt_secret: Option<Secret>,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 for any.
    pub port: u16,
    /// How else it is reached.
    pub listen: Listen,
    /// Whether browsers on this machine may sign in over plain http.
    pub insecure_http: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpRange>,
    /// Web origins whose pages may call the protocol's endpoints.
    pub cors_origins: Vec<String>,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// What is seen from outside of how it runs.
    pub observe: Observe,
    /// The log's filter.
    pub log: String,
    /// The log's form.
    pub log_format: LogFormat,
    /// What the operator should know, found while reading.
    pub notices: Vec<String>,
}

impl Config {
    /// Reads the configuration from a command line (its first word is the program) and environment variables.
    ///
    /// # Errors
    /// A wrong command line, or a setting that makes no sense.
    pub fn load<A, T>(
        arguments: A,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, LoadError>
    where
        A: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let line = crate::commands::CommandLine::parse(arguments).map_err(LoadError::CommandLine)?;
        Ok(Sources::new(line.given(), variables).config()?)
    }

    fn read(layers: &Layers, home: Option<&Path>, handed_over: usize) -> Result<Self, ConfigError> {
        let seconds = |text: &str| match text.parse() {
            Ok(seconds @ 1..=300) => Ok(Duration::from_secs(seconds)),
            _ => Err("is not a number of seconds from 1 to 300"),
        };
        let log_format = |text: &str| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("is neither text nor json"),
        };
        let groups = |text: &str| match text {
            "granted" => Ok(false),
            "asserted" => Ok(true),
            _ => Err("is neither granted nor asserted"),
        };
        let (database_url, database_file) = database(layers, home)?;
        let mut config = Self {
            service_id: service_id(layers)?,
            base_url: one(layers, "base_url", values::origin)?,
            origins: several(layers, "origins", values::login_origin)?,
            services: services::read(layers)?,
            database_url,
            database_file,
            master_key: master_key(layers)?,
            enrollment: enrollment(layers)?,
            asserted_groups: one(layers, "groups", groups)?.unwrap_or(false),
            require_v2: one(layers, "require_v2", values::boolean)?.unwrap_or(false),
            qr: one(layers, "qr", values::boolean)?.unwrap_or(true),
            life: Life::read(layers)?,
            rate_limits: limits::read(layers)?,
            admin_token: secret(layers, "admin_token")?,
            admin_fingerprints: several(layers, "admin_fingerprints", |text| {
                Fingerprint::from_str(text)
                    .map_err(|_| "holds something that is no fingerprint of 40 or 64 digits")
            })?,
            server_key: secret(layers, "server_key_armor")?,
            server_key_passphrase: secret(layers, "server_key_passphrase")?,
            jwt_secret: secret(layers, "jwt_secret")?,
            host: one(layers, "host", values::address)?.unwrap_or(IpAddr::from([127, 0, 0, 1])),
            port: one(layers, "port", values::port)?.unwrap_or(8420),
            listen: Listen::read(layers, handed_over)?,
            insecure_http: one(layers, "insecure_http", values::boolean)?.unwrap_or(false),
            trusted_proxies: listen::trusted_proxies(layers)?,
            cors_origins: several(layers, "cors_origins", values::origin)?,
            request_timeout: one(layers, "request_timeout", seconds)?.unwrap_or(Duration::from_secs(15)),
            observe: Observe::read(layers)?,
            log: one(layers, "log", crate::logging::check_filter)?.unwrap_or_else(|| "info".to_owned()),
            log_format: one(layers, "log_format", log_format)?.unwrap_or(LogFormat::Text),
            notices: notices(layers),
        };
        config.check(layers)?;
        config.notices.extend(config.listen.notices(layers));
        Ok(config)
    }

    /// What makes no sense only together.
    fn check(&self, layers: &Layers) -> Result<(), ConfigError> {
        let at = |key: &str, wrong: &str| {
            let place = layers.get(key).map_or_else(|| key.to_owned(), |(_, place)| place);
            Err(ConfigError::at(&place, wrong))
        };
        if self.insecure_http && !self.listens_on_loopback() {
            return at(
                "insecure_http",
                "is only for this machine: listen on 127.0.0.1 or ::1, or put TLS in front",
            );
        }
        self.listen.check(self, layers)?;
        if self.services.iter().any(|service| service.name() == self.service_id) {
            return at("services", "lists the service itself; its own origins stand in CAPAUTH_ORIGINS");
        }
        if self.server_key_passphrase.is_some() && self.server_key.is_none() {
            return at("server_key_passphrase", "is set, but there is no server key to open with it");
        }
        if !self.takes_weak_secrets() {
            const WEAK: &str =
                "is too short for a server that others reach: use what `openssl rand -hex 32` prints";
            if self.admin_token.as_ref().is_some_and(is_weak_token) {
                return at("admin_token", WEAK);
            }
            if self.jwt_secret.as_ref().is_some_and(|secret| secret.expose().len() < 32) {
                return at("jwt_secret", WEAK);
            }
        }
        Ok(())
    }

    /// Whether secrets that can be guessed are let pass with a notice: nobody else reaches the service, not even by a
    /// proxy on this machine.
    pub fn takes_weak_secrets(&self) -> bool {
        self.listens_on_loopback() && self.trusted_proxies.is_empty() && !self.listen.trusts_unix
    }

    /// Where it listens by its own doing, with the port as it was set.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.listen.addresses(SocketAddr::new(self.host, self.port))
    }

    /// Whether the service listens for this machine alone: on a loopback address, or at a Unix socket that it makes for
    /// its own user. Of sockets that a service manager opened nobody here knows who reaches them.
    pub fn listens_on_loopback(&self) -> bool {
        self.listen.handed_over == 0 && (!self.listen.tcp || self.host.to_canonical().is_loopback())
    }
}

fn is_weak_token(token: &Secret) -> bool {
    token.expose().chars().count() < 32
}

/// A setting of one text, parsed.
fn one<T>(
    layers: &Layers,
    key: &str,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, ConfigError> {
    let Some((value, place)) = layers.get(key) else { return Ok(None) };
    let parsed = values::text(&value).and_then(|text| parse(text.trim()));
    parsed.map(Some).map_err(|wrong| ConfigError::at(&place, wrong))
}

/// A list, each item parsed.
fn several<T>(
    layers: &Layers,
    key: &str,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, ConfigError> {
    let Some((value, place)) = layers.get(key) else { return Ok(Vec::new()) };
    let items = values::list(&value).and_then(|items| items.iter().map(|item| parse(item)).collect());
    items.map_err(|wrong| ConfigError::at(&place, wrong))
}

fn secret(layers: &Layers, key: &str) -> Result<Option<Secret>, ConfigError> {
    layers.get(key).map(|(value, place)| values::secret(&value, &place)).transpose()
}

/// The master key; one that replaces an older one opens what that one sealed.
fn master_key(layers: &Layers) -> Result<Option<MasterKey>, ConfigError> {
    let key = secret_parsed(layers, "master_key", MasterKey::parse)?;
    let old = secret_parsed(layers, "master_key_old", MasterKey::parse)?;
    match (key, old, layers.get("master_key_old")) {
        (Some(key), Some(old), _) => Ok(Some(key.replacing(&old))),
        (None, Some(_), Some((_, place))) => {
            Err(ConfigError::at(&place, "replaces nothing: set CAPAUTH_MASTER_KEY to the new key as well"))
        }
        (key, _, _) => Ok(key),
    }
}

fn secret_parsed<T, E: fmt::Display>(
    layers: &Layers,
    key: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, ConfigError> {
    let Some((value, place)) = layers.get(key) else { return Ok(None) };
    let secret = values::secret(&value, &place)?;
    parse(secret.expose())
        .map(Some)
        .map_err(|wrong| ConfigError::at(&place, format_args!("does not fit: {wrong}")))
}

fn service_id(layers: &Layers) -> Result<String, ConfigError> {
    let name = one(layers, "service_id", values::service_name)?;
    Ok(name.unwrap_or_else(|| "capauth.local".to_owned()))
}

fn enrollment(layers: &Layers) -> Result<EnrollmentMode, ConfigError> {
    let approval = one(layers, "require_approval", values::boolean)?;
    let mode = one(layers, "enrollment", |text| match text {
        "open" => Ok(EnrollmentMode::Open),
        "approval" => Ok(EnrollmentMode::Approval),
        "closed" => Ok(EnrollmentMode::Closed),
        _ => Err("is none of open, approval and closed"),
    })?;
    match (mode, approval) {
        (Some(EnrollmentMode::Open), Some(true)) | (Some(EnrollmentMode::Approval), Some(false)) => {
            let place = layers.get("enrollment").map_or_else(String::new, |(_, place)| place);
            Err(ConfigError::at(&place, "and CAPAUTH_REQUIRE_APPROVAL contradict each other; keep one"))
        }
        (Some(mode), _) => Ok(mode),
        (None, Some(true)) => Ok(EnrollmentMode::Approval),
        (None, _) => Ok(EnrollmentMode::Open),
    }
}

/// The database's URL, and its file if it has one.
fn database(layers: &Layers, home: Option<&Path>) -> Result<(String, Option<PathBuf>), ConfigError> {
    let known = |text: &str| match text {
        "memory:" => Ok(text.to_owned()),
        _ if text.starts_with("sqlite:") => Ok(text.to_owned()),
        _ => Err("is neither sqlite:///absolute/path.db nor memory:"),
    };
    if let Some(url) = one(layers, "database_url", known)? {
        let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
        let file = path.filter(|path| !path.ends_with(":memory:")).map(PathBuf::from);
        return Ok((url, file));
    }
    let (path, place) = match layers.get("db_path") {
        None => ("~/.capauth/service/keys.db".to_owned(), "CAPAUTH_DB_PATH".to_owned()),
        Some((value, place)) => match values::text(&value) {
            Ok(path) => (path, place),
            Err(wrong) => return Err(ConfigError::at(&place, wrong)),
        },
    };
    let file = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        (Some(_), None) => {
            return Err(ConfigError::at(&place, "begins in your home (~), but HOME is not set"));
        }
        (None, _) => PathBuf::from(&path),
    };
    Ok((format!("sqlite://{}", file.display()), Some(file)))
}

/// What is odd about where settings come from.
fn notices(layers: &Layers) -> Vec<String> {
    let mut notices: Vec<_> = layers
        .unknown_variables
        .iter()
        .map(|name| format!("{name} is not a setting of this program and does nothing."))
        .collect();
    if let Some(file) = layers.file.as_deref().filter(|file| others_may_read(file)) {
        let secret = layers::SECRETS.iter().any(|(key, _)| {
            let place = layers.get(key).map(|(value, place)| (matches!(value, Value::Dict(..)), place));
            place.is_some_and(|(in_file, place)| !in_file && place.ends_with(&file.display().to_string()))
        });
        if secret {
            notices.push(format!(
                "{0} holds secrets and others may read it. Run: chmod 600 {0}",
                file.display()
            ));
        }
    }
    notices
}

#[cfg(unix)]
fn others_may_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}
