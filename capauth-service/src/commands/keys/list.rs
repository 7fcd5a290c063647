//! `keys list`.

use std::io::{BufWriter, Write as _};

use capauth_protocol::response::KeyEntry;
use capauth_verifier::{FingerprintPrefix, KeyQuery};
use clap::Args;

use super::{Common, Desk, failed, json};
use crate::commands::Failure;
use crate::config::Sources;

/// How many keys are read at a time: as many are held, however many there are.
const PAGE: u32 = 500;
/// The width of the column of fingerprints: longer ones push the rest to the right.
const FINGERPRINT: usize = 40;
const STATE: usize = 9;
/// As wide as a time.
const TIME: usize = 20;

const AFTER: &str = "\
States: approved, pending (waits for an administrator), suspended (signs in again once it is approved),
linked (to another key of the same person), replaced (by rotation), revoked.

Examples:
  capauth-service keys list --pending
  capauth-service keys list --json | jq -r 'select(.groups | index(\"staff\")) | .fingerprint'";

/// List keys by their fingerprints: state, last login, user name, groups.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct List {
    /// Only keys whose fingerprint begins so
    #[arg(value_name = "DIGITS")]
    prefix: Option<String>,
    /// Only keys that wait for an administrator
    #[arg(long)]
    pending: bool,
    #[command(flatten)]
    common: Common,
}

impl List {
    pub(super) async fn print(self, sources: Sources) -> Result<(), Failure> {
        let digits: String = self.prefix.unwrap_or_default().chars().filter(|c| *c != ' ').collect();
        let prefix = FingerprintPrefix::parse(&digits).ok_or_else(|| {
            Failure::unusable("what a fingerprint begins with is up to 64 hexadecimal digits")
        })?;
        let desk = Desk::open(sources, self.common).await?;
        let mut query = KeyQuery { pending_only: self.pending, prefix, limit: PAGE, ..KeyQuery::default() };
        let mut out = BufWriter::new(std::io::stdout().lock());
        loop {
            let page = desk.verifier.keys(&query).await.map_err(|error| failed(&error))?;
            if query.after.is_none() && !desk.json && !page.is_empty() {
                writeln!(
                    out,
                    "{:FINGERPRINT$}  {:STATE$}  {:TIME$}  NAME AND GROUPS",
                    "FINGERPRINT", "STATE", "LAST LOGIN"
                )?;
            }
            for key in &page {
                if desk.json { json(&mut out, key)? } else { writeln!(out, "{}", line(key))? }
            }
            match page.last() {
                Some(last) => query.after = Some(last.fingerprint),
                None => break,
            }
        }
        out.flush()?;
        desk.close().await
    }
}

/// A key in one line.
pub(super) fn line(key: &KeyEntry) -> String {
    let time = key.last_auth.as_deref().unwrap_or("never");
    let name = key.user_name.as_deref().unwrap_or("-");
    let fingerprint = key.fingerprint.to_string();
    let line = format!(
        "{fingerprint:FINGERPRINT$}  {:STATE$}  {time:TIME$}  {name} {}",
        state(key),
        key.groups.join(",")
    );
    // What came into the database by another way than ours must not steer a terminal.
    line.trim_end().replace(char::is_control, "?")
}

/// What a key is at the moment: the strongest word first.
pub(super) fn state(key: &KeyEntry) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.replaced_at.is_some() {
        "replaced"
    } else if key.suspended {
        "suspended"
    } else if !key.approved {
        "pending"
    } else if key.linked_to.is_some() {
        "linked"
    } else {
        "approved"
    }
}
