//! `check`: what a configuration means, and whether the service would start with it.

mod data;
mod report;

use clap::Args;

use self::data::DataFound;
use self::report::Report;
use super::{Failure, block_on};
use crate::banner;
use crate::config::{Config, ConfigError, Flags, Setting, Sources};
use crate::server;

const AFTER: &str = "\
It starts nothing, listens on nothing, and makes or changes no file. What it finds is what a start
would find: the settings and what they mean together, the keys and files they name, and, where there
is a database already, that it can be read, that the master key fits it, and that no key of the
server is somebody's. It does not try whether the port is free. Every setting that `run` has is taken.

Examples:
  capauth-service check --config /etc/capauth.toml && systemctl restart capauth
  capauth-service check --json | jq -r '.notices[]'

Exit codes:
  0 the service would start, 2 it would not: the last line says why";

/// Say what a configuration means, and whether the service would start with it.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Check {
    /// Say it as one object of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Check {
    pub(super) fn print(self, sources: Sources) -> Result<(), Failure> {
        let sources = sources.and(self.flags);
        let settings = sources.said();
        let judged = settings.as_ref().map_err(ConfigError::to_string).and_then(|_| {
            let config = sources.config().map_err(|error| error.to_string())?;
            block_on(async { Ok(judge(config).await) }).map_err(|failure| failure.to_string())?
        });
        let report = Report { settings: &settings.unwrap_or_default(), judged: &judged };
        let mut out = std::io::stdout().lock();
        if self.json {
            report.json(&mut out)?;
        } else {
            report.words(&mut out)?;
        }
        match judged {
            Ok(_) => Ok(()),
            Err(words) => Err(Failure::unusable(words)),
        }
    }
}

/// What follows from a configuration that works.
struct Meaning {
    config: Config,
    /// As at start-up.
    facts: Vec<(&'static str, String)>,
    notices: Vec<String>,
    /// Each service with its origins, the own one first.
    services: Vec<(String, Vec<String>)>,
    issuer: String,
    algorithm: String,
    takes_v1: bool,
    server_key: Option<String>,
    data: DataFound,
}

/// Does what a start does, without leaving anything behind.
async fn judge(config: Config) -> Result<Meaning, String> {
    let capauth = server::rehearse(&config).await.map_err(|error| error.to_string())?;
    let Some(verifier) = capauth.local_verifier() else {
        return Err("this configuration keeps no keys".to_owned());
    };
    let data = data::find(&config, verifier).await?;
    let well_known = verifier.well_known();
    let origins_of = |name: &&str| verifier.origins_of(name).unwrap_or_default().to_vec();
    let services = verifier.services();
    Ok(Meaning {
        facts: banner::facts(&config, &capauth, &data.place, config.observe.metrics),
        notices: banner::notices(&config, &capauth, &config.addresses(), config.observe.metrics),
        services: services.iter().map(|name| ((*name).to_owned(), origins_of(name))).collect(),
        issuer: well_known.issuer,
        algorithm: well_known.access_token_alg,
        takes_v1: !verifier.requires_v2(),
        server_key: verifier.server_key().map(|fingerprint| fingerprint.to_string()),
        data,
        config,
    })
}

/// What somebody set, for the report.
fn line(setting: &Setting) -> (&str, String) {
    let from = match setting.place.strip_prefix('`').and_then(|place| place.split_once(" in ")) {
        Some((_, file)) => file,
        None => &setting.place,
    };
    (setting.key, format!("{}  ({from})", setting.value))
}
