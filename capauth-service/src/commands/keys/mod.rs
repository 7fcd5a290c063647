//! `keys`: what an administrator does, on the database itself.
//!
//! No token is asked for: whoever may write the database may do all this anyway. The service may run meanwhile; it believes
//! what it read for half a second at most, so that what is decided here counts there within a second.

mod fingerprints;
mod list;
mod one;
mod several;

use std::io::Write;

use capauth_protocol::Fingerprint;
use capauth_protocol::response::KeyEntry;
use capauth_tower::{AuthError, AuthErrorKind, LocalVerifier, Verifier as _};
use capauth_verifier::{Actor, Administration};
use clap::{Args, Subcommand};

use super::{Failure, block_on, with_causes};
use crate::config::{Data, DataFlags, Sources};

const AFTER: &str = "\
These commands work on the database itself, whether the service runs or not: it sees what changed
within a second. Whoever may write the database file may use them, without a token; the audit log
says `shell`. Fingerprints may hold spaces, as GnuPG prints them.

Examples:
  capauth-service keys list --pending
  capauth-service keys approve 8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80
  capauth-service keys groups 8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80 --add staff

Exit codes:
  0 done, 1 failed (no such key, a database that does not open), 2 the command line or a setting
  makes no sense";

/// List the keys that people sign in with, and decide about them.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List keys
    List(list::List),
    /// Show a key, and the others of its identity
    Show(one::Show),
    /// Let keys in that wait, or that are suspended
    Approve(several::Approve),
    /// Revoke keys for good: their sessions end, and they cannot come back
    Revoke(several::Revoke),
    /// Show or change the groups that an identity is in
    Groups(one::Groups),
    /// Show or change the user name that applications know an identity by
    Name(one::Name),
}

/// What all of them take.
#[derive(Debug, Args)]
struct Common {
    /// Say it in JSON, one object a line for each key
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataFlags,
}

impl Keys {
    pub(super) fn do_it(self, sources: Sources) -> Result<(), Failure> {
        block_on(async {
            match self.command {
                Command::List(wanted) => wanted.print(sources).await,
                Command::Show(wanted) => wanted.print(sources).await,
                Command::Approve(wanted) => wanted.do_it(sources).await,
                Command::Revoke(wanted) => wanted.do_it(sources).await,
                Command::Groups(wanted) => wanted.do_it(sources).await,
                Command::Name(wanted) => wanted.do_it(sources).await,
            }
        })
    }
}

/// The database, opened for a command, and where to say what.
struct Desk {
    verifier: LocalVerifier,
    json: bool,
}

impl Desk {
    async fn open(sources: Sources, common: Common) -> Result<Self, Failure> {
        let Data { database_url, master_key, .. } = sources.and(common.data).data()?;
        let stores = capauth_store::open_existing(&database_url, master_key)
            .await
            .map_err(|error| Failure::caused(&error))?;
        // How long keys may wait is the service's to say: here none has waited for too long. What the service is called,
        // and how its tokens are signed, matters to nothing that is done here.
        let longest = std::time::Duration::from_secs(capauth_protocol::limits::MAX_SESSION_SECONDS);
        let verifier = LocalVerifier::builder("shell.invalid").stores(stores).pending_lifetime(longest);
        let verifier = verifier.build().await.map_err(|error| Failure::caused(&error))?;
        Ok(Self { verifier, json: common.json })
    }

    fn administration(&self) -> Administration<'_> {
        self.verifier.administration(Actor::Shell, None)
    }

    /// The key; it has to be there.
    async fn find(&self, fingerprint: &Fingerprint) -> Result<KeyEntry, Failure> {
        let keys = self.verifier.keys_beside(fingerprint).await.map_err(|error| failed(&error))?;
        let found = keys.into_iter().find(|key| key.fingerprint == *fingerprint);
        found.ok_or_else(|| Failure::failed(format_args!("there is no key {fingerprint} here")))
    }

    /// Shows keys as they are now.
    async fn show(&self, fingerprints: &[Fingerprint]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        for fingerprint in fingerprints {
            let key = self.find(fingerprint).await?;
            if self.json { json(&mut out, &key)? } else { writeln!(out, "{}", list::line(&key))? }
        }
        Ok(out.flush()?)
    }

    async fn close(self) -> Result<(), Failure> {
        self.verifier.close().await.map_err(|error| failed(&error))
    }
}

fn json(out: &mut dyn Write, key: &KeyEntry) -> Result<(), Failure> {
    let text = serde_json::to_string(key).map_err(Failure::failed)?;
    Ok(writeln!(out, "{text}")?)
}

/// An error's words; where they are for strangers, its causes too.
fn failed(error: &AuthError) -> Failure {
    match error.kind() {
        AuthErrorKind::InvalidRequest => Failure::unusable(error),
        _ => Failure::failed(with_causes(error)),
    }
}
