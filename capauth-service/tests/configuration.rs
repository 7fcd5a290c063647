//! Settings: where they come from, which win, and what is said about senseless ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod support;

use std::ffi::OsString;

use capauth_service::{Config, LoadError};
use support::Place;

fn load(arguments: &[&str], variables: &[(&str, &str)]) -> Config {
    try_load(arguments, variables).unwrap_or_else(|e| panic!("{e:?}"))
}

fn try_load(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config, LoadError> {
    let arguments = [&["capauth-service"], arguments].concat();
    let variables = variables.iter().chain(&[("HOME", "/home/someone")]);
    Config::load(arguments, variables.map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

const KEY: &str = "8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80";
const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn nothing_said_means_the_defaults() {
    let config = load(&[], &[]);
    assert_eq!(config.service_id, "capauth.local");
    assert_eq!(config.base_url, None);
    assert_eq!(config.database_url, "sqlite:///home/someone/.capauth/service/keys.db");
    assert_eq!((config.host.to_string().as_str(), config.port), ("127.0.0.1", 8420));
    assert_eq!(config.request_timeout.as_secs(), 15);
    assert!(!config.asserted_groups && !config.require_v2 && !config.insecure_http);
    let life = &config.life;
    assert!(life.wkd && !life.private_membership && !life.audit_network && life.audit_file.is_none());
    assert_eq!((life.rotation_delay, life.session_idle), (None, None), "the verifier's own");
    assert!(config.cors_origins.is_empty() && config.admin_token.is_none() && config.notices.is_empty());
}

#[test]
fn metrics_have_an_address_of_their_own_or_there_are_none() {
    assert_eq!(load(&[], &[]).observe.metrics, None);
    let config = load(&["--metrics", "127.0.0.1:9464"], &[("CAPAUTH_METRICS", "[::1]:1")]);
    assert_eq!(config.observe.metrics, Some("127.0.0.1:9464".parse().unwrap()));
    assert!(config.observe.listens_on_loopback());
    assert!(load(&[], &[("CAPAUTH_METRICS", "[::1]:0")]).observe.listens_on_loopback());
    assert!(!load(&[], &[("CAPAUTH_METRICS", "[::]:9464")]).observe.listens_on_loopback());
}

#[test]
fn times_are_written_as_people_write_them() {
    let days = |days: u64| Some(std::time::Duration::from_secs(days * 24 * 3600));
    let config = load(
        &["--rotation-delay", "14 days", "--wkd", "false", "--private-membership"],
        &[("CAPAUTH_SESSION_IDLE", "1day"), ("CAPAUTH_AUDIT_FILE", "/var/log/capauth.jsonl")],
    );
    assert_eq!((config.life.rotation_delay, config.life.session_idle), (days(14), days(1)));
    assert!(!config.life.wkd && config.life.private_membership);
    assert_eq!(config.life.audit_file, Some("/var/log/capauth.jsonl".into()));
}

#[test]
fn limits_are_on_with_the_usual_numbers_unless_something_else_is_said() {
    use capauth_tower::RateLimits;
    assert_eq!(load(&[], &[]).rate_limits, RateLimits::default());
    let place = Place::new();
    let file = place.write("c.toml", "failures_per_minute = 7\nchallenges_per_address = 1000\n");
    let config = load(
        &["--enrollments-per-hour", "100"],
        &[("CAPAUTH_CHALLENGES_PER_MINUTE", "60000"), ("CAPAUTH_CONFIG", file.to_str().unwrap())],
    );
    let numbers = RateLimits::default().challenges_per_minute(60_000).failures_per_minute(7);
    assert_eq!(config.rate_limits, numbers.challenges_per_address(1000).enrollments_per_hour(100));
    for off in [load(&["--no-rate-limits"], &[]), load(&[], &[("CAPAUTH_NO_RATE_LIMITS", "true")])] {
        assert!(!off.rate_limits.are_on());
    }
    let file = place.write("off.toml", "no_rate_limits = true\n");
    assert!(!load(&["--config", file.to_str().unwrap()], &[]).rate_limits.are_on());
    assert!(load(&["--no-rate-limits", "false"], &[]).rate_limits.are_on());
}

#[test]
fn flags_win_over_variables_over_the_file_over_the_defaults() {
    let place = Place::new();
    let file = place
        .write("c.toml", "service_id = \"file.example\"\nport = 1\nhost = \"127.0.0.3\"\nlog = \"warn\"\n");
    let file = file.to_str().unwrap();
    let in_the_file = [("CAPAUTH_CONFIG", file)];
    let with_variables = [in_the_file[0], ("CAPAUTH_SERVICE_ID", "variable.example"), ("CAPAUTH_PORT", "2")];
    assert_eq!(load(&[], &in_the_file).service_id, "file.example");
    let config = load(&[], &with_variables);
    assert_eq!((config.service_id.as_str(), config.port), ("variable.example", 2));
    let config = load(&["--service-id", "flag.example"], &with_variables);
    assert_eq!((config.service_id.as_str(), config.port), ("flag.example", 2));
    assert_eq!((config.host.to_string().as_str(), config.log.as_str()), ("127.0.0.3", "warn"));

    // The flag names the file, too; and a variable set to nothing is not set.
    assert_eq!(load(&["--config", file], &[("CAPAUTH_CONFIG", "/nowhere"), ("CAPAUTH_PORT", "")]).port, 1);
}

#[test]
fn a_secret_in_a_later_place_wins_in_whichever_form_it_comes() {
    let place = Place::new();
    let secret_file = place.write("token", "from-a-file-from-a-file-from-a-file\n");
    let secret_file = secret_file.to_str().unwrap();
    let config = place.write("c.toml", "admin_token = \"from-the-toml-from-the-toml-from-the-toml\"\n");
    let config = config.to_str().unwrap();
    let token = |arguments: &[&str], variables: &[(&str, &str)]| {
        load(arguments, variables).admin_token.unwrap().expose().to_owned()
    };
    assert!(token(&["--config", config], &[]).starts_with("from-the-toml"));
    let file = ("CAPAUTH_ADMIN_TOKEN_FILE", secret_file);
    assert_eq!(token(&["--config", config], &[file]), "from-a-file-from-a-file-from-a-file");
    let variable = ("CAPAUTH_ADMIN_TOKEN", "from-a-variable-from-a-variable");
    assert!(token(&["--config", config], &[variable]).starts_with("from-a-variable"));
    assert!(token(&["--admin-token-file", secret_file], &[variable]).starts_with("from-a-file"));
    assert!(try_load(&[], &[file, variable]).is_err());
}

#[test]
fn variables_are_texts_and_not_guessed_at() {
    for token in ["0123456789", "1e5", "true", "[a]", "{x=1}", "\"quoted\"", "a,b = c", " spaces "] {
        assert_eq!(load(&[], &[("CAPAUTH_ADMIN_TOKEN", token)]).admin_token.unwrap().expose(), token);
    }
}

#[test]
fn lists_are_read_from_texts_and_arrays() {
    let place = Place::new();
    let text = r#"
        cors_origins = ["https://a.example", "https://b.example"]
        admin_fingerprints = ["8A3F C2D1 E4B5 A09F 6B7C  8D0E 1F2A 3B4C 5D6E 7F80"]
        trusted_proxies = "127.0.0.1, 10.0.0.0/8"
        [[services]]
        name = "app.example.com"
        origins = ["https://app.example.com", "https://www.example.com"]
        credential = "MARKER-credential-of-the-application"
        [[services]]
        name = "other.example.com"
    "#;
    let file = place.write("c.toml", text);
    let config = load(&["--config", file.to_str().unwrap()], &[]);
    assert_eq!(config.cors_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.admin_fingerprints, [KEY.parse().unwrap()]);
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.services.len(), 2);
    assert!(!format!("{config:?}").contains("MARKER"));

    let services = "app.example.com=https://app.example.com|https://www.example.com, other.example.com";
    let same = load(&["--services", services], &[]);
    let without_credential = format!("{:?}", config.services);
    assert_eq!(format!("{:?}", same.services), without_credential);
}

#[test]
fn secrets_are_never_printed() {
    let variables = [
        ("CAPAUTH_ADMIN_TOKEN", "MARKER-admin"),
        ("CAPAUTH_JWT_SECRET", "MARKER-jwt"),
        ("CAPAUTH_SERVER_KEY_ARMOR", "MARKER-armor"),
        ("CAPAUTH_SERVER_KEY_PASSPHRASE", "MARKER-passphrase"),
        ("CAPAUTH_MASTER_KEY", HEX),
    ];
    let config = load(&[], &variables);
    for printed in [format!("{config:?}"), format!("{config:#?}")] {
        assert!(!printed.contains("MARKER") && !printed.contains("0011"), "{printed}");
    }
    assert_eq!(config.jwt_secret.unwrap().expose(), "MARKER-jwt");
    assert!(config.master_key.is_some());
}

#[test]
fn every_senseless_value_stops_the_start_with_one_line_that_names_it() {
    let place = Place::new();
    let long = "a".repeat(300);
    let cases = [
        ("CAPAUTH_SERVICE_ID", "not a host"),
        ("CAPAUTH_SERVICE_ID", &long),
        ("CAPAUTH_BASE_URL", "auth.example.com"),
        ("CAPAUTH_BASE_URL", "https://auth.example.com/path"),
        ("CAPAUTH_DATABASE_URL", "postgres://user:MARKER@host/db"),
        ("CAPAUTH_REQUIRE_APPROVAL", "MARKER"),
        ("CAPAUTH_ENROLLMENT", "MARKER"),
        ("CAPAUTH_GROUPS", "MARKER"),
        ("CAPAUTH_REQUIRE_V2", "MARKER"),
        ("CAPAUTH_QR", "MARKER"),
        ("CAPAUTH_PRIVATE_MEMBERSHIP", "MARKER"),
        ("CAPAUTH_PENDING_LIFETIME", "MARKER"),
        ("CAPAUTH_PENDING_LIFETIME", "59s"),
        ("CAPAUTH_ROTATION_DELAY", "0"),
        ("CAPAUTH_ROTATION_DELAY", "401d"),
        ("CAPAUTH_SESSION_LIFETIME", "12"),
        ("CAPAUTH_SESSION_IDLE", "-1h"),
        ("CAPAUTH_REFRESH_LIFETIME", "MARKER"),
        ("CAPAUTH_WKD", "MARKER"),
        ("CAPAUTH_AUDIT_NETWORK", "MARKER"),
        ("CAPAUTH_NO_RATE_LIMITS", "MARKER"),
        ("CAPAUTH_CHALLENGES_PER_MINUTE", "0"),
        ("CAPAUTH_CHALLENGES_PER_MINUTE", "MARKER"),
        ("CAPAUTH_FAILURES_PER_MINUTE", "-1"),
        ("CAPAUTH_CHALLENGES_PER_ADDRESS", "60001"),
        ("CAPAUTH_FAILURES_PER_ADDRESS", "1.5"),
        ("CAPAUTH_ENROLLMENTS_PER_HOUR", "99999999999999999999"),
        ("CAPAUTH_ADMIN_FINGERPRINTS", "8A3F,MARKER"),
        ("CAPAUTH_SERVER_KEY_PASSPHRASE", "MARKER without a key"),
        ("CAPAUTH_MASTER_KEY", "MARKER"),
        ("CAPAUTH_MASTER_KEY_FILE", "/nowhere"),
        ("CAPAUTH_ADMIN_TOKEN_FILE", "/nowhere"),
        ("CAPAUTH_SERVICES", "app=MARKER"),
        ("CAPAUTH_SERVICES", "a b"),
        ("CAPAUTH_CORS_ORIGINS", "*"),
        ("CAPAUTH_CORS_ORIGINS", "https://a.example/"),
        ("CAPAUTH_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CAPAUTH_HOST", "example.com"),
        ("CAPAUTH_PORT", "65536"),
        ("CAPAUTH_PORT", "MARKER"),
        ("CAPAUTH_INSECURE_HTTP", "MARKER"),
        ("CAPAUTH_LOG", "loud"),
        ("CAPAUTH_LOG_FORMAT", "xml"),
        ("CAPAUTH_METRICS", "9464"),
        ("CAPAUTH_METRICS", "localhost:9464"),
        ("CAPAUTH_METRICS", "127.0.0.1:99999"),
        ("CAPAUTH_REQUEST_TIMEOUT", "0"),
        ("CAPAUTH_REQUEST_TIMEOUT", "301"),
        ("CAPAUTH_CONFIG", "/nowhere.toml"),
    ];
    for (name, value) in cases {
        let error = place.refusal::<&str>(&[], &[(name, value)]);
        let named = match name {
            "CAPAUTH_CONFIG" => "/nowhere.toml",
            // The store's own words: it knows what it can open.
            "CAPAUTH_DATABASE_URL" => "sqlite://",
            name => name,
        };
        assert!(error.contains(named) && !error.contains("MARKER"), "{name}: {error}");
    }
    assert!(support::files(place.folder.path()).is_empty(), "nothing was made");
}

#[test]
fn the_place_that_is_named_is_where_the_value_stands() {
    let place = Place::new();
    let error = place.refusal(&["--port", "MARKER"], &[("CAPAUTH_PORT", "1")]);
    assert!(error.contains("--port") && !error.contains("CAPAUTH_PORT"), "{error}");
    let file = place.write("c.toml", "port = \"MARKER\"\n");
    let error = place.refusal(&["--config".as_ref(), file.as_os_str()], &[]);
    assert!(error.contains("`port` in ") && error.contains("c.toml") && !error.contains("MARKER"), "{error}");
}

#[test]
fn a_file_with_an_unknown_key_or_broken_toml_stops_the_start() {
    let place = Place::new();
    for (text, wanted) in [
        ("prot = 8420\n", "`prot` in "),
        ("port = [1]\n", "`port` in "),
        ("admin_token = \"MARKER\nport = 1\n", "not TOML"),
        ("admin_token = \"MARKER\"\nadmin_token = \"MARKER\"\n", "not TOML"),
        ("[[services]]\norigins = []\n", "`services` in "),
        ("[[services]]\nname = \"a\"\nsecret = \"MARKER\"\n", "`services` in "),
        ("admin_token = { path = \"MARKER\" }\n", "`admin_token"),
    ] {
        let file = place.write("c.toml", text);
        let error = place.refusal(&["--config".as_ref(), file.as_os_str()], &[]);
        assert!(
            error.contains(wanted) && error.contains("c.toml") && !error.contains("MARKER"),
            "{text}: {error}"
        );
    }
}

#[test]
fn weak_secrets_and_plain_http_stay_on_this_machine() {
    let outside = ("CAPAUTH_HOST", "0.0.0.0");
    let strong = "a".repeat(32);
    for (name, weak) in [
        ("CAPAUTH_ADMIN_TOKEN", &strong[1..]),
        ("CAPAUTH_JWT_SECRET", &strong[1..]),
        ("CAPAUTH_INSECURE_HTTP", "true"),
    ] {
        let Err(LoadError::Setting(error)) = try_load(&[], &[outside, (name, weak)]) else {
            panic!("{name}")
        };
        assert!(error.to_string().contains(name), "{error}");
        load(&[], &[(name, weak)]);
    }
    load(&[], &[outside, ("CAPAUTH_ADMIN_TOKEN", &strong), ("CAPAUTH_JWT_SECRET", &strong)]);
}

#[test]
fn contradictions_are_said_and_shorthands_understood() {
    let mode = |variables: &[(&str, &str)]| load(&[], variables).enrollment;
    let (open, closed) = (mode(&[]), mode(&[("CAPAUTH_ENROLLMENT", "closed")]));
    let approval = mode(&[("CAPAUTH_REQUIRE_APPROVAL", "true")]);
    assert!(open != closed && closed != approval && approval != open);
    assert_eq!(load(&["--require-approval"], &[]).enrollment, approval);
    assert!(try_load(&["--require-approval", "--enrollment", "open"], &[]).is_err());
}

#[test]
fn an_unknown_variable_is_pointed_out() {
    let config = load(&[], &[("CAPAUTH_ADMIN_TOKN", "MARKER"), ("OTHER", "x")]);
    assert!(config.notices[0].contains("CAPAUTH_ADMIN_TOKN") && !config.notices[0].contains("MARKER"));
    assert_eq!(config.notices.len(), 1);
}

#[test]
fn help_and_version_are_there() {
    let place = Place::new();
    let run = |flag| {
        let output = place.command().arg(flag).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("--version"), format!("capauth-service {}\n", env!("CARGO_PKG_VERSION")));
    let help = run("--help");
    for word in
        ["CAPAUTH_SERVICE_ID", "CAPAUTH_ADMIN_TOKEN", "--server-key-file", "list of processes", "8420"]
    {
        assert!(help.contains(word), "{word}\n{help}");
    }
    assert!(!help.contains("--admin-token "));
}
