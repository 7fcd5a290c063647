//! Where settings come from: a TOML file, the environment and flags, the later ones winning.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::ConfigError;
use super::flags::Given;

/// Settings that are no secrets.
pub(super) const KEYS: &[&str] = &[
    "service_id",
    "base_url",
    "origins",
    "services",
    "db_path",
    "database_url",
    "require_approval",
    "enrollment",
    "groups",
    "require_v2",
    "qr",
    "private_membership",
    "pending_lifetime",
    "rotation_delay",
    "session_lifetime",
    "session_idle",
    "refresh_lifetime",
    "wkd",
    "audit_file",
    "audit_network",
    "no_rate_limits",
    "challenges_per_minute",
    "failures_per_minute",
    "challenges_per_address",
    "failures_per_address",
    "enrollments_per_hour",
    "admin_fingerprints",
    "host",
    "port",
    "socket",
    "tls_cert",
    "tls_key",
    "insecure_http",
    "trusted_proxies",
    "cors_origins",
    "request_timeout",
    "metrics",
    "log",
    "log_format",
];

/// Secrets, and the settings that name a file with one.
pub(super) const SECRETS: &[(&str, &str)] = &[
    ("admin_token", "admin_token_file"),
    ("server_key_armor", "server_key_file"),
    ("server_key_passphrase", "server_key_passphrase_file"),
    ("jwt_secret", "jwt_secret_file"),
    ("master_key", "master_key_file"),
    ("master_key_old", "master_key_old_file"),
];

const PREFIX: &str = "CAPAUTH_";
const ENVIRONMENT: &str = "environment";
const FLAGS: &str = "flags";

fn is_known(key: &str) -> bool {
    KEYS.contains(&key) || SECRETS.iter().any(|(secret, file)| key == *secret || key == *file)
}

/// The settings of one source, secrets brought into one form: a text, or a table `{ file = "…" }`. So a later source
/// replaces an earlier one whichever form each of them chose.
struct Layer {
    name: String,
    values: Dict,
}

impl Layer {
    fn new(name: impl Into<String>, mut values: Dict) -> Result<Self, ConfigError> {
        let name = name.into();
        for (secret, file) in SECRETS {
            let Some(path) = values.remove(*file) else { continue };
            let wrapped = Value::from(BTreeMap::from([("file".to_owned(), path)]));
            if values.insert((*secret).to_owned(), wrapped).is_some() {
                let (secret, file) = (spell(&name, secret), spell(&name, file));
                return Err(ConfigError::new(format!("{secret} and {file} are both set; keep one")));
            }
        }
        Ok(Self { name, values })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// How a person wrote a setting there.
fn spell(layer: &str, key: &str) -> String {
    match layer {
        ENVIRONMENT => format!("{PREFIX}{}", key.to_ascii_uppercase()),
        FLAGS => format!("--{}", key.replace('_', "-")),
        file => format!("`{key}` in {file}"),
    }
}

/// All layers, and what was odd about them.
pub(super) struct Layers {
    figment: Figment,
    /// Variables that look like settings and are none.
    pub(super) unknown_variables: Vec<String>,
    /// The TOML file, if one was read.
    pub(super) file: Option<PathBuf>,
}

impl Layers {
    pub(super) fn gather(
        given: Given,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let (mut environment, mut unknown_variables, mut file) = (Dict::new(), Vec::new(), given.file);
        for (name, value) in variables {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            let key = key.to_ascii_lowercase();
            // What is set to nothing, as in `CAPAUTH_X=${X:-}`, is not set.
            if value.is_empty() {
                continue;
            }
            let value = value
                .into_string()
                .map_err(|_| ConfigError::at(&spell(ENVIRONMENT, &key), "is not UTF-8"))?;
            if key == "config" {
                file.get_or_insert_with(|| value.into());
            } else if is_known(&key) {
                environment.insert(key, Value::from(value));
            } else {
                unknown_variables.push(spell(ENVIRONMENT, &key));
            }
        }
        unknown_variables.sort_unstable();
        let mut figment = Figment::new();
        if let Some(path) = &file {
            figment = figment.merge(read_file(path)?);
        }
        let flags =
            given.settings.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect();
        figment = figment.merge(Layer::new(ENVIRONMENT, environment)?).merge(Layer::new(FLAGS, flags)?);
        Ok(Self { figment, unknown_variables, file })
    }

    /// Everything that was said, in the order of the settings.
    pub(super) fn said(&self) -> Vec<Setting> {
        let plain = KEYS.iter().map(|key| (*key, false));
        let secrets = SECRETS.iter().map(|(key, _)| (*key, true));
        let said = plain.chain(secrets).filter_map(|(key, is_secret)| {
            let (value, place) = self.get(key)?;
            let value = if is_secret { hidden(&value) } else { shown(&value) };
            Some(Setting { key, place, value: value.replace(char::is_control, " ") })
        });
        said.collect()
    }

    /// A setting's value and how a person finds it.
    pub(super) fn get(&self, key: &str) -> Option<(Value, String)> {
        let value = self.figment.find_value(key).ok()?;
        let layer =
            self.figment.find_metadata(key).map_or_else(String::new, |metadata| metadata.name.to_string());
        // A secret in a file was called by its file's setting.
        let written = match (&value, SECRETS.iter().find(|(secret, _)| *secret == key)) {
            (Value::Dict(..), Some((_, file))) => file,
            _ => key,
        };
        Some((value, spell(&layer, written)))
    }
}

/// A setting that somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its key in the file.
    pub(crate) key: &'static str,
    /// As whoever made it wrote its name, and where.
    pub(crate) place: String,
    /// Its value; of a secret, only that it is set.
    pub(crate) value: String,
}

/// A value for people. What a table holds besides names and origins may be a credential.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_, items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Dict(_, table) => {
            let part = |key: &str| table.get(key).map(shown).unwrap_or_default();
            let secret = table.keys().any(|key| key.starts_with("credential"));
            let credential = if secret { " (credential set)" } else { "" };
            match (part("name"), part("origins").replace(", ", "|")) {
                (name, origins) if origins.is_empty() => format!("{name}{credential}"),
                (name, origins) => format!("{name}={origins}{credential}"),
            }
        }
        single => super::values::text(single).unwrap_or_default(),
    }
}

fn hidden(value: &Value) -> String {
    match value.as_dict().and_then(|table| table.get("file")).map(shown) {
        Some(file) => format!("set, in {file}"),
        None => "set".to_owned(),
    }
}

fn read_file(path: &Path) -> Result<Layer, ConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError::at(&name, format_args!("cannot be read: {e}")))?;
    let mut values = Toml::string(&text).data().map_err(|e| {
        // Further lines of the message quote the file, which may hold secrets.
        let message = e.to_string();
        ConfigError::at(&name, format_args!("is not TOML: {}", message.lines().next().unwrap_or_default()))
    })?;
    let values = values.remove(&Profile::Default).unwrap_or_default();
    if let Some(unknown) = values.keys().find(|key| !is_known(key)) {
        let unknown = spell(&name, unknown);
        return Err(ConfigError::at(
            &unknown,
            "is not a setting; see capauth-service --help for those there are",
        ));
    }
    Layer::new(name, values)
}
