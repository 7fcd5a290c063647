//! The command line.

use std::path::PathBuf;

use clap::Args;

/// The settings that say where the data is and what opens it, as flags.
#[derive(Debug, Default, Args)]
pub(crate) struct DataFlags {
    /// Read settings from this TOML file [CAPAUTH_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The database file [CAPAUTH_DB_PATH, default: ~/.capauth/service/keys.db]
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    db_path: Option<String>,
    /// The database as a URL, instead: sqlite:///path or memory: [CAPAUTH_DATABASE_URL]
    #[arg(long, value_name = "URL", help_heading = "Data")]
    database_url: Option<String>,
    /// A file with the master key [CAPAUTH_MASTER_KEY_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    master_key_file: Option<String>,
    /// A file with the master key that this one replaces [CAPAUTH_MASTER_KEY_OLD_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    master_key_old_file: Option<String>,
}

/// What flags say, whichever of them a command takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// The file to read settings from.
    pub(super) file: Option<PathBuf>,
    /// Settings by their keys; a later one replaces an earlier one.
    pub(super) settings: Vec<(&'static str, String)>,
}

impl Given {
    /// A file to read settings from, and those settings that were said.
    pub(crate) fn new(
        file: Option<PathBuf>,
        settings: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> Self {
        let said = settings.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
        Self { file, settings: said.collect() }
    }

    /// These, and flags that stand further on in the command line.
    pub(crate) fn then(mut self, later: impl Into<Self>) -> Self {
        let later = later.into();
        self.file = later.file.or(self.file);
        self.settings.extend(later.settings);
        self
    }
}

impl From<DataFlags> for Given {
    fn from(flags: DataFlags) -> Self {
        let settings = [
            ("db_path", flags.db_path),
            ("database_url", flags.database_url),
            ("master_key_file", flags.master_key_file),
            ("master_key_old_file", flags.master_key_old_file),
        ];
        Self::new(flags.config, settings)
    }
}

impl From<Flags> for Given {
    fn from(mut flags: Flags) -> Self {
        let mut given = Self::from(std::mem::take(&mut flags.data));
        given.settings.extend(flags.into_settings());
        given
    }
}

/// Every setting, as flags.
#[derive(Debug, Default, Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    data: DataFlags,

    /// The name that people sign in to, a host name [CAPAUTH_SERVICE_ID, default: capauth.local]
    #[arg(long, value_name = "NAME", help_heading = "Identity")]
    service_id: Option<String>,
    /// Where it is reached from outside [CAPAUTH_BASE_URL, default: https://{SERVICE_ID}]
    #[arg(long, value_name = "URL", help_heading = "Identity")]
    base_url: Option<String>,
    /// Web origins whose pages sign people in here, besides the base URL [CAPAUTH_ORIGINS, default:
    /// https://{SERVICE_ID}]
    #[arg(long, value_name = "LIST", help_heading = "Identity")]
    origins: Option<String>,
    /// Other services it makes challenges for: name, or name=origin|origin [CAPAUTH_SERVICES]
    #[arg(long, value_name = "LIST", help_heading = "Identity")]
    services: Option<String>,

    /// New keys wait for an administrator [CAPAUTH_REQUIRE_APPROVAL, default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Who may sign in")]
    require_approval: Option<String>,
    /// Whether new keys are taken: open, approval or closed [CAPAUTH_ENROLLMENT, default: open]
    #[arg(long, value_name = "MODE", help_heading = "Who may sign in")]
    enrollment: Option<String>,
    /// Whose word counts for groups: granted (an administrator's) or asserted (people's own) [CAPAUTH_GROUPS]
    #[arg(long, value_name = "RULE", help_heading = "Who may sign in")]
    groups: Option<String>,
    /// Refuse challenges that name no web origin [CAPAUTH_REQUIRE_V2, default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Who may sign in")]
    require_v2: Option<String>,

    /// Let people sign in with another device that scans a QR code [CAPAUTH_QR, default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Who may sign in")]
    qr: Option<String>,
    /// Keep strangers from finding out who is enrolled [CAPAUTH_PRIVATE_MEMBERSHIP, default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Who may sign in")]
    private_membership: Option<String>,
    /// How long a new key may wait for approval, such as 14d [CAPAUTH_PENDING_LIFETIME, default: 14d]
    #[arg(long, value_name = "TIME", help_heading = "Who may sign in")]
    pending_lifetime: Option<String>,
    /// How long a rotation waits that a subkey signed [CAPAUTH_ROTATION_DELAY, default: 7d]
    #[arg(long, value_name = "TIME", help_heading = "Who may sign in")]
    rotation_delay: Option<String>,
    /// Ask domains whether an e-mail address belongs to a key [CAPAUTH_WKD, default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Who may sign in")]
    wkd: Option<String>,

    /// How long a session lasts at most [CAPAUTH_SESSION_LIFETIME, default: 12h]
    #[arg(long, value_name = "TIME", help_heading = "Sessions")]
    session_lifetime: Option<String>,
    /// How long a session may go unused [CAPAUTH_SESSION_IDLE, default: no bound]
    #[arg(long, value_name = "TIME", help_heading = "Sessions")]
    session_idle: Option<String>,
    /// How long refresh tokens may follow one another [CAPAUTH_REFRESH_LIFETIME, default: 30d]
    #[arg(long, value_name = "TIME", help_heading = "Sessions")]
    refresh_lifetime: Option<String>,

    /// Write the audit log to this file as well, in lines of JSON [CAPAUTH_AUDIT_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Administration")]
    audit_file: Option<String>,
    /// Say in the audit log from which network things are done [CAPAUTH_AUDIT_NETWORK, default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Administration")]
    audit_network: Option<String>,
    /// A file with the administrators' token [CAPAUTH_ADMIN_TOKEN_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Administration")]
    admin_token_file: Option<String>,
    /// Fingerprints of keys whose holders administer [CAPAUTH_ADMIN_FINGERPRINTS]
    #[arg(long, value_name = "LIST", help_heading = "Administration")]
    admin_fingerprints: Option<String>,

    /// A file with the armored private key that signs challenges [CAPAUTH_SERVER_KEY_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Keys and tokens")]
    server_key_file: Option<String>,
    /// A file with its passphrase [CAPAUTH_SERVER_KEY_PASSPHRASE_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Keys and tokens")]
    server_key_passphrase_file: Option<String>,
    /// A file with the secret of HS256 access tokens [CAPAUTH_JWT_SECRET_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Keys and tokens")]
    jwt_secret_file: Option<String>,

    /// The address to listen on [CAPAUTH_HOST, default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    host: Option<String>,
    /// The port to listen on, 0 for any [CAPAUTH_PORT, default: 8420]
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    port: Option<String>,
    /// Listen at this Unix socket, for one's own user alone; instead of the port, unless that is set [CAPAUTH_SOCKET]
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    socket: Option<String>,
    /// Speak TLS with the certificate chain in this PEM file, read again when it changes [CAPAUTH_TLS_CERT]
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    tls_cert: Option<String>,
    /// The PEM file with its private key [CAPAUTH_TLS_KEY]
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    tls_key: Option<String>,
    /// Let browsers on this machine sign in over plain http [CAPAUTH_INSECURE_HTTP, default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    insecure_http: Option<String>,
    /// Proxies whose X-Forwarded-For is believed: addresses, ranges, unix for the socket [CAPAUTH_TRUSTED_PROXIES]
    #[arg(long, value_name = "LIST", help_heading = "Network")]
    trusted_proxies: Option<String>,
    /// Web origins whose pages may call the protocol's endpoints, without cookies [CAPAUTH_CORS_ORIGINS]
    #[arg(long, value_name = "LIST", help_heading = "Network")]
    cors_origins: Option<String>,
    /// Seconds that a request may take [CAPAUTH_REQUEST_TIMEOUT, default: 15]
    #[arg(long, value_name = "SECONDS", help_heading = "Network")]
    request_timeout: Option<String>,

    /// Let everybody try as often as they like: for tests and measurements [CAPAUTH_NO_RATE_LIMITS, default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Limits")]
    no_rate_limits: Option<String>,
    /// Challenges a minute for one fingerprint from one address [CAPAUTH_CHALLENGES_PER_MINUTE, default: 10]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    challenges_per_minute: Option<String>,
    /// What is refused a minute for one fingerprint from one address [CAPAUTH_FAILURES_PER_MINUTE, default: 5]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    failures_per_minute: Option<String>,
    /// Challenges a minute from one address [CAPAUTH_CHALLENGES_PER_ADDRESS, default: 300]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    challenges_per_address: Option<String>,
    /// What is refused a minute from one address [CAPAUTH_FAILURES_PER_ADDRESS, default: 60]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    failures_per_address: Option<String>,
    /// New keys an hour from one address [CAPAUTH_ENROLLMENTS_PER_HOUR, default: 20]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    enrollments_per_hour: Option<String>,

    /// Where to show metrics and readiness: an address of its own with a port, 0 for any [CAPAUTH_METRICS, default: off]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Metrics")]
    metrics: Option<String>,
    /// What to log: error, warn, info, debug, or a filter by target [CAPAUTH_LOG, default: info]
    #[arg(long, value_name = "FILTER", help_heading = "Log")]
    log: Option<String>,
    /// How to log, to standard error: text or json [CAPAUTH_LOG_FORMAT, default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Log")]
    log_format: Option<String>,
}

impl Flags {
    /// The settings among the flags, by their keys; those of [`DataFlags`] apart.
    fn into_settings(self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("service_id", self.service_id),
            ("base_url", self.base_url),
            ("origins", self.origins),
            ("services", self.services),
            ("require_approval", self.require_approval),
            ("enrollment", self.enrollment),
            ("groups", self.groups),
            ("require_v2", self.require_v2),
            ("qr", self.qr),
            ("private_membership", self.private_membership),
            ("pending_lifetime", self.pending_lifetime),
            ("rotation_delay", self.rotation_delay),
            ("wkd", self.wkd),
            ("session_lifetime", self.session_lifetime),
            ("session_idle", self.session_idle),
            ("refresh_lifetime", self.refresh_lifetime),
            ("audit_file", self.audit_file),
            ("audit_network", self.audit_network),
            ("no_rate_limits", self.no_rate_limits),
            ("challenges_per_minute", self.challenges_per_minute),
            ("failures_per_minute", self.failures_per_minute),
            ("challenges_per_address", self.challenges_per_address),
            ("failures_per_address", self.failures_per_address),
            ("enrollments_per_hour", self.enrollments_per_hour),
            ("admin_token_file", self.admin_token_file),
            ("admin_fingerprints", self.admin_fingerprints),
            ("server_key_file", self.server_key_file),
            ("server_key_passphrase_file", self.server_key_passphrase_file),
            ("jwt_secret_file", self.jwt_secret_file),
            ("host", self.host),
            ("port", self.port),
            ("socket", self.socket),
            ("tls_cert", self.tls_cert),
            ("tls_key", self.tls_key),
            ("insecure_http", self.insecure_http),
            ("trusted_proxies", self.trusted_proxies),
            ("cors_origins", self.cors_origins),
            ("request_timeout", self.request_timeout),
            ("metrics", self.metrics),
            ("log", self.log),
            ("log_format", self.log_format),
        ]
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_can_be_said_as_a_flag_unless_it_is_a_secret() {
        let command = Flags::augment_args(clap::Command::new("settings"));
        command.clone().debug_assert();
        for key in super::super::layers::KEYS {
            assert!(command.get_arguments().any(|arg| arg.get_id() == key), "{key}");
        }
        for (secret, file) in super::super::layers::SECRETS {
            assert!(command.get_arguments().all(|arg| arg.get_id() != secret), "{secret}");
            assert!(command.get_arguments().any(|arg| arg.get_id() == file), "{file}");
        }
    }
}
