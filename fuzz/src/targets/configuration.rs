//! The service's settings: a TOML file and variables.

use std::cell::RefCell;
use std::io::{Seek as _, Write as _};

use capauth_service::{Config, LoadError};
use tempfile::NamedTempFile;

use super::text;
use crate::Outcome;

/// A secret that no error and no printing may show.
const MARKER: &str = "MARKER-of-a-secret-that-nobody-may-see-0123";
/// What divides the file from the variables.
pub const DIVIDER: &str = "\n---\n";

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a temporary file"));
}

/// A file, and after a line `---` variables, one a line without their prefix. What is read makes sense, errors are one
/// line, secrets are not in them.
pub fn configuration(data: &[u8]) -> Outcome {
    let Some(text) = text(data) else { return Outcome::Refused };
    // Some files never end, and reading them is what was asked for.
    if ["/dev", "/proc", "/sys", "CONFIG", "config", "\0"].iter().any(|word| text.contains(word)) {
        return Outcome::Refused;
    }
    let (file, variables) = text.split_once(DIVIDER).unwrap_or((text, ""));
    let mut variables: Vec<(String, String)> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("CAPAUTH_{name}"), value.to_owned()))
        .collect();
    variables.push(("CAPAUTH_ADMIN_TOKEN".to_owned(), MARKER.to_owned()));
    variables.push(("HOME".to_owned(), "/nowhere".to_owned()));
    let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
    let loaded = FILE.with_borrow_mut(|to| {
        to.rewind().and_then(|()| to.as_file().set_len(0)).expect("the file is emptied");
        to.write_all(file.as_bytes()).expect("the file is written");
        let path = to.path().to_str().expect("a path").to_owned();
        Config::load(["capauth-service", "--config", &path], variables)
    });
    match loaded {
        Ok(config) => {
            makes_sense(&config);
            Outcome::Accepted
        }
        Err(LoadError::CommandLine(error)) => panic!("the command line is right: {error}"),
        Err(LoadError::Setting(error)) => {
            let words = error.to_string();
            assert!(!words.chars().any(char::is_control) && !words.is_empty(), "{words:?}");
            assert!(!words.contains(MARKER), "{words}");
            Outcome::Refused
        }
    }
}

fn makes_sense(config: &Config) {
    assert!((1..=300).contains(&config.request_timeout.as_secs()));
    assert!(!config.insecure_http || config.listens_on_loopback());
    assert!(config.server_key.is_some() || config.server_key_passphrase.is_none());
    let weak = config.jwt_secret.as_ref().is_some_and(|secret| secret.expose().len() < 32);
    assert!(!weak || config.takes_weak_secrets());
    assert!(!config.service_id.is_empty() && config.service_id == config.service_id.to_ascii_lowercase());
    for origin in config.cors_origins.iter().chain(&config.base_url) {
        let url = url::Url::parse(origin);
        assert!(url.is_err() || url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")), "{origin}");
        assert!(!origin.ends_with('/') && *origin == origin.to_ascii_lowercase(), "{origin}");
    }
    assert!(!format!("{config:?}").contains(MARKER), "printing shows a secret");
}
