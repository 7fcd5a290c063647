//! The command line: what runs the service, and what is done beside it.
//!
//! Each command is a module with a struct of its arguments ([`clap::Args`]) and a function that does it. Settings are
//! taken with `DataFlags` (where the data is) or `Flags` (all of them) flattened into that struct.

mod backup;
mod check;
mod completions;
mod failure;
mod files;
mod import;
mod keygen;
mod keys;
mod man;
mod restore;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use self::failure::Failure;
pub(crate) use self::failure::with_causes;
use crate::config::{Flags, Given, Sources};

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

Exit codes:
  0 done, 1 failed, 2 the command line or a setting makes no sense

Try it on this machine, then see http://localhost:8420/health:
  capauth-service --insecure-http --db-path ./keys.db

In the world, behind a proxy that speaks TLS:
  export CAPAUTH_ADMIN_TOKEN=$(openssl rand -hex 32)
  capauth-service --service-id auth.example.com --trusted-proxies 127.0.0.1

In the world, with a certificate of its own, which is read again when it is renewed:
  capauth-service --service-id auth.example.com --host :: --port 443 \\
    --tls-cert fullchain.pem --tls-key privkey.pem

SIGHUP has it look for a renewed certificate at once.
SIGTERM or SIGINT end it once the requests at hand are answered; a second one at once.";

/// The CapAuth service: people and programs sign in with an OpenPGP key.
///
/// Without a command it runs. It answers the CapAuth protocol under /capauth/v1. Give it a certificate (--tls-cert,
/// --tls-key), or put a proxy that speaks TLS in front of it.
#[derive(Debug, Parser)]
#[command(name = "capauth-service", version, after_help = AFTER, max_term_width = 104)]
pub struct CommandLine {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// One line each in `--help`; the module has the rest.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: the same as no command
    Run(Box<Flags>),
    /// Say what a configuration means, and whether the service would start with it
    Check(Box<check::Check>),
    /// Make the key with which the server signs its challenges
    Keygen(keygen::Keygen),
    /// List the keys that people sign in with, and decide about them
    Keys(keys::Keys),
    /// Copy the database into a file, while the service runs
    Backup(backup::Backup),
    /// Put a backup in the place of the database
    Restore(restore::Restore),
    /// Take over the keys of the Python service
    Import(import::Import),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Print the manual page, or that of a command
    Man(man::Pages),
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Task {
    /// Run the service with these settings.
    Run(Sources),
    /// Something beside the service, then end.
    Beside(Box<Job>),
}

/// A command, and where its settings come from.
#[derive(Debug)]
pub struct Job {
    command: Command,
    sources: Sources,
}

impl CommandLine {
    /// Reads a command line, whose first word is the program.
    ///
    /// # Errors
    /// It is wrong, or asks for help or the version: clap has the words.
    pub fn parse<A, T>(arguments: A) -> Result<Self, clap::Error>
    where
        A: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        <Self as Parser>::try_parse_from(arguments)
    }

    /// The settings among the flags, for a command line that runs the service.
    pub(crate) fn given(self) -> Given {
        match self.command {
            Some(Command::Run(flags)) => Given::from(self.flags).then(*flags),
            _ => self.flags.into(),
        }
    }

    /// What is asked for. Settings may stand before the command, and after it if it takes them.
    pub fn into_task(self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Task {
        match self.command {
            None | Some(Command::Run(_)) => Task::Run(Sources::new(self.given(), variables)),
            Some(command) => {
                Task::Beside(Box::new(Job { command, sources: Sources::new(self.flags.into(), variables) }))
            }
        }
    }
}

impl Job {
    /// Does it. What it says goes to standard output.
    ///
    /// # Errors
    /// It could not be done, in words for whoever asked.
    pub fn do_it(self) -> Result<(), Failure> {
        let Self { command, sources } = self;
        match command {
            // Not a job: see `into_task`.
            Command::Run(_) => Ok(()),
            Command::Check(wanted) => wanted.print(sources),
            Command::Keygen(wanted) => wanted.make(sources),
            Command::Keys(wanted) => wanted.do_it(sources),
            Command::Backup(wanted) => wanted.make(sources),
            Command::Restore(wanted) => wanted.put(sources),
            Command::Import(wanted) => wanted.take_over(sources),
            Command::Completions(wanted) => wanted.print(),
            Command::Man(wanted) => wanted.print(),
        }
    }
}

/// Runs what waits for things, to its end. Logs nothing: what a command has to say, it says.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format_args!("cannot begin to work: {error}")))?;
    runtime.block_on(work)
}

/// A number with the word for it.
fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
