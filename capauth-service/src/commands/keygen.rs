//! `keygen`: the key with which the server signs its challenges.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use capauth_tower::Secret;
use capauth_verifier::openpgp::NewServerKey;
use clap::Args;

use super::Failure;
use super::files::NewFile;
use crate::config::{Given, Sources};

const AFTER: &str = "\
The secret key goes to a file of its own, which its owner alone may read and which is never
overwritten. The public certificate goes to standard output or to --certificate; the rest of what
is said then goes to standard error or to standard output.

A passphrase protects the file in backups. It is taken from CAPAUTH_SERVER_KEY_PASSPHRASE, the
setting that the service reads it from, or asked for; never from a flag.

The certificate is for challenges alone: it can never sign in. It does not expire. Keep the file:
a new key is a new server to everybody who remembered the old one.

Examples:
  capauth-service keygen --service-id auth.example.com --output server-key.asc > server-cert.asc
  capauth-service keygen --config capauth.toml --output server-key.asc --ask-passphrase

Exit codes:
  0 made, 1 failed, 2 the command line or a setting makes no sense";

/// Make the key with which the server signs its challenges.
///
/// It is an Ed25519 OpenPGP key of version 4, whose User ID names the service. Clients that know its certificate can tell
/// this server from one that only looks like it.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Keygen {
    /// The file for the secret key; it must not be there yet
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// The file for the public certificate, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Ask for a passphrase on the terminal
    #[arg(long)]
    ask_passphrase: bool,
    /// Say what was made as one object of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: Settings,
}

/// The settings that a key depends on.
#[derive(Debug, Args)]
struct Settings {
    /// Read settings from this TOML file [CAPAUTH_CONFIG]
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    config: Option<PathBuf>,
    /// The name that people sign in to [CAPAUTH_SERVICE_ID, default: capauth.local]
    #[arg(long, value_name = "NAME", help_heading = "Settings")]
    service_id: Option<String>,
    /// A file with the passphrase to protect the key with [CAPAUTH_SERVER_KEY_PASSPHRASE_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    server_key_passphrase_file: Option<String>,
}

impl From<Settings> for Given {
    fn from(flags: Settings) -> Self {
        Self::new(
            flags.config,
            [
                ("service_id", flags.service_id),
                ("server_key_passphrase_file", flags.server_key_passphrase_file),
            ],
        )
    }
}

impl Keygen {
    pub(super) fn make(self, sources: Sources) -> Result<(), Failure> {
        let (service, configured) = sources.and(self.settings).server_key()?;
        let asked = match (self.ask_passphrase, &configured) {
            (true, Some(_)) => {
                return Err(Failure::unusable(
                    "a passphrase is configured, so that --ask-passphrase makes no sense; keep one",
                ));
            }
            (true, None) => Some(ask()?),
            (false, _) => None,
        };
        let passphrase = configured.as_ref().or(asked.as_ref());
        // Before anything is made up: nothing that is there is in the way.
        let mut secret_file = NewFile::make(&self.output, true)?;
        let certificate_file =
            self.certificate.as_deref().map(|path| NewFile::make(path, false)).transpose()?;

        let made = NewServerKey::generate(&service, passphrase, SystemTime::now())
            .map_err(|error| Failure::caused(&error))?;
        secret_file.write(made.secret.expose())?;
        if let Some(mut file) = certificate_file {
            file.write(&made.certificate)?;
            file.keep();
        }
        secret_file.keep();
        let report = Report {
            made: &made,
            output: &std::path::absolute(&self.output).unwrap_or(self.output),
            certificate: self.certificate.as_deref(),
            asked: asked.is_some(),
        };
        if self.json { report.json() } else { report.words() }
    }
}

/// Asks twice: what was mistyped once would never open the key.
fn ask() -> Result<Secret, Failure> {
    let read = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Secret::from).map_err(|error| {
            Failure::failed(format_args!("cannot ask for a passphrase without a terminal: {error}"))
        })
    };
    let first = read("Passphrase for the server key: ")?;
    if first.expose().is_empty() {
        return Err(Failure::failed("the passphrase is empty; nothing was made"));
    }
    if read("The same again: ")?.expose() != first.expose() {
        return Err(Failure::failed("the two passphrases differ; nothing was made"));
    }
    Ok(first)
}

/// What was made, for whoever asked.
struct Report<'a> {
    made: &'a NewServerKey,
    output: &'a Path,
    certificate: Option<&'a Path>,
    asked: bool,
}

impl Report<'_> {
    fn words(&self) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        if let Some(file) = self.certificate {
            return self.advise(&mut stdout, &file.display().to_string());
        }
        stdout.write_all(self.made.certificate.as_bytes())?;
        stdout.flush()?;
        self.advise(&mut std::io::stderr().lock(), "on standard output")
    }

    fn advise(&self, out: &mut dyn Write, certificate: &str) -> Result<(), Failure> {
        writeln!(out, "fingerprint  {}", self.made.fingerprint)?;
        writeln!(out, "secret key   {}", self.output.display())?;
        writeln!(out, "certificate  {certificate}")?;
        writeln!(
            out,
            "\nIn the configuration file:\n  server_key_file = {:?}",
            self.output.display().to_string()
        )?;
        writeln!(out, "or in the environment:\n  CAPAUTH_SERVER_KEY_FILE={}", self.output.display())?;
        if self.asked {
            writeln!(
                out,
                "The service needs the passphrase, too: CAPAUTH_SERVER_KEY_PASSPHRASE or \
                 CAPAUTH_SERVER_KEY_PASSPHRASE_FILE."
            )?;
        }
        Ok(out.flush()?)
    }

    fn json(&self) -> Result<(), Failure> {
        let report = serde_json::json!({
            "fingerprint": self.made.fingerprint,
            "server_key_file": self.output.display().to_string(),
            "certificate": self.made.certificate,
        });
        Ok(writeln!(std::io::stdout().lock(), "{report}")?)
    }
}
