//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// What `--help` says after the options.
const AFTER: &str = "\
Settings:
  Each is also an environment variable (in brackets) and a key of the TOML file (the variable's
  name in lower case, without CAPAUTH_). Flags win over variables, variables over the file, the
  file over the defaults. A variable that is set to nothing counts as not set. Lists are separated
  by commas; in the file they may be arrays.

Secrets:
  Not taken as flags: everybody on the machine could read them in the list of processes. Give each
  as a variable, in the TOML file, or in a file of its own.
  CAPAUTH_ADMIN_TOKEN, --admin-token-file      the bearer token of administrators
  CAPAUTH_JWT_SECRET, --jwt-secret-file        makes access tokens HS256, under a shared secret
  CAPAUTH_MASTER_KEY, --master-key-file        32 bytes in base64 or hex; when not given, it lies
                                               in a file that is made beside the database
  CAPAUTH_MASTER_KEY_OLD, --master-key-old-file  the master key that this one replaces, for one start
  CAPAUTH_SERVER_KEY_ARMOR, --server-key-file  the private OpenPGP key that signs challenges
  CAPAUTH_SERVER_KEY_PASSPHRASE, --server-key-passphrase-file  its passphrase

Try it on this machine, then see http://localhost:8420/health:
  capauth-service --insecure-http --db-path ./keys.db

In the world, behind a proxy that speaks TLS:
  export CAPAUTH_ADMIN_TOKEN=$(openssl rand -hex 32)
  capauth-service --service-id auth.example.com --trusted-proxies 127.0.0.1

SIGTERM or SIGINT end it once the requests at hand are answered; a second one at once.";

/// The CapAuth service: people and programs sign in with an OpenPGP key.
///
/// It answers the CapAuth protocol under /capauth/v1 over plain HTTP. Put a proxy that speaks TLS in front of it.
#[derive(Debug, Parser)]
#[command(name = "capauth-service", version, after_help = AFTER, max_term_width = 104)]
pub(super) struct Flags {
    /// Read settings from this TOML file [CAPAUTH_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// The name that people sign in to, a host name [CAPAUTH_SERVICE_ID, default: capauth.local]
    #[arg(long, value_name = "NAME", help_heading = "Identity")]
    service_id: Option<String>,
    /// Where it is reached from outside [CAPAUTH_BASE_URL, default: https://{SERVICE_ID}]
    #[arg(long, value_name = "URL", help_heading = "Identity")]
    base_url: Option<String>,
    /// Other services it makes challenges for: name, or name=origin|origin [CAPAUTH_SERVICES]
    #[arg(long, value_name = "LIST", help_heading = "Identity")]
    services: Option<String>,

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
    /// Let browsers on this machine sign in over plain http [CAPAUTH_INSECURE_HTTP, default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    insecure_http: Option<String>,
    /// Proxies whose X-Forwarded-For is believed: addresses or ranges [CAPAUTH_TRUSTED_PROXIES]
    #[arg(long, value_name = "LIST", help_heading = "Network")]
    trusted_proxies: Option<String>,
    /// Web origins whose pages may call the protocol's endpoints, without cookies [CAPAUTH_CORS_ORIGINS]
    #[arg(long, value_name = "LIST", help_heading = "Network")]
    cors_origins: Option<String>,
    /// Seconds that a request may take [CAPAUTH_REQUEST_TIMEOUT, default: 15]
    #[arg(long, value_name = "SECONDS", help_heading = "Network")]
    request_timeout: Option<String>,

    /// What to log: error, warn, info, debug, or a filter by target [CAPAUTH_LOG, default: info]
    #[arg(long, value_name = "FILTER", help_heading = "Log")]
    log: Option<String>,
    /// How to log, to standard error: text or json [CAPAUTH_LOG_FORMAT, default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Log")]
    log_format: Option<String>,
}

impl Flags {
    /// The settings among the flags, by their keys.
    pub(super) fn into_settings(self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("service_id", self.service_id),
            ("base_url", self.base_url),
            ("services", self.services),
            ("db_path", self.db_path),
            ("database_url", self.database_url),
            ("master_key_file", self.master_key_file),
            ("master_key_old_file", self.master_key_old_file),
            ("require_approval", self.require_approval),
            ("enrollment", self.enrollment),
            ("groups", self.groups),
            ("require_v2", self.require_v2),
            ("private_membership", self.private_membership),
            ("pending_lifetime", self.pending_lifetime),
            ("rotation_delay", self.rotation_delay),
            ("wkd", self.wkd),
            ("session_lifetime", self.session_lifetime),
            ("session_idle", self.session_idle),
            ("refresh_lifetime", self.refresh_lifetime),
            ("audit_file", self.audit_file),
            ("audit_network", self.audit_network),
            ("admin_token_file", self.admin_token_file),
            ("admin_fingerprints", self.admin_fingerprints),
            ("server_key_file", self.server_key_file),
            ("server_key_passphrase_file", self.server_key_passphrase_file),
            ("jwt_secret_file", self.jwt_secret_file),
            ("host", self.host),
            ("port", self.port),
            ("insecure_http", self.insecure_http),
            ("trusted_proxies", self.trusted_proxies),
            ("cors_origins", self.cors_origins),
            ("request_timeout", self.request_timeout),
            ("log", self.log),
            ("log_format", self.log_format),
        ]
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_setting_can_be_said_as_a_flag_unless_it_is_a_secret() {
        let command = Flags::command();
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
