//! `keys approve` and `keys revoke`.

use std::io::{IsTerminal as _, Write as _};

use capauth_protocol::Fingerprint;
use clap::Args;

use super::{Common, Desk, failed, fingerprints, list};
use crate::commands::Failure;
use crate::config::Sources;

/// Let keys sign in that wait for an administrator, or that are suspended.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// Whose keys: fingerprints, with or without spaces
    #[arg(value_name = "FINGERPRINT", required = true)]
    fingerprints: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Approve {
    pub(super) async fn do_it(self, sources: Sources) -> Result<(), Failure> {
        let keys = fingerprints::several(&self.fingerprints)?;
        let desk = Desk::open(sources, self.common).await?;
        for key in &keys {
            let found = desk.find(key).await?;
            if found.revoked_at.is_some() || found.replaced_at.is_some() {
                let state = list::state(&found);
                return Err(Failure::failed(format_args!(
                    "{key} is {state} and cannot be let in; nothing was done"
                )));
            }
        }
        for key in &keys {
            desk.administration().approve(key).await.map_err(|error| failed(&error))?;
        }
        desk.show(&keys).await?;
        desk.close().await
    }
}

/// Revoke keys for good.
///
/// Their sessions and tokens end within a second, everywhere, and they cannot enrol themselves again. With a primary key
/// end the keys that are linked to it.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Whose keys: fingerprints, with or without spaces
    #[arg(value_name = "FINGERPRINT", required = true)]
    fingerprints: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

impl Revoke {
    pub(super) async fn do_it(self, sources: Sources) -> Result<(), Failure> {
        let keys = fingerprints::several(&self.fingerprints)?;
        if !self.yes && !std::io::stdin().is_terminal() {
            return Err(Failure::unusable(
                "revoking is for good and nobody is there to confirm it: add --yes",
            ));
        }
        let desk = Desk::open(sources, self.common).await?;
        if !self.yes {
            confirm(&desk, &keys).await?;
        }
        for key in &keys {
            // Before the first is revoked: a mistyped one is found out.
            desk.find(key).await?;
        }
        for key in &keys {
            desk.administration().revoke(key).await.map_err(|error| failed(&error))?;
        }
        desk.show(&keys).await?;
        desk.close().await
    }
}

async fn confirm(desk: &Desk, keys: &[Fingerprint]) -> Result<(), Failure> {
    let mut err = std::io::stderr();
    for key in keys {
        writeln!(err, "{}", list::line(&desk.find(key).await?))?;
    }
    let these = if keys.len() == 1 { "this key".to_owned() } else { format!("these {} keys", keys.len()) };
    write!(err, "Revoke {these} for good? Type yes: ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format_args!("cannot read the answer: {error}")))?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was revoked")),
    }
}
