//! `restore`: a backup in the database's place.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use capauth_store::{Carried, CarriedOver, Replace, Restored};
use clap::Args;
use serde_json::{Value, json};

use super::backup::keys;
use super::{Failure, block_on, counted};
use crate::config::{Data, DataFlags, Sources};

const AFTER: &str = "\
Stop the service first: while anything has the database open, nothing is done. The master key must
be the one that the backup was made with; put its file beside the database, or give it as the
service gets it.

What the backup does not know is gone: who enrolled since, groups and names that were given since,
what was erased since is back. All sessions, tokens and one-time codes end, and rotations that wait
are cancelled.

With --force a database that is there is replaced, and kept as FILE.replaced-TIME. What it says of
revoked, suspended, unlinked and barred keys is carried over: a restore brings no thief back. If it
is damaged or another installation's, nothing can be carried over, and it is replaced only with
--accept-lost-revocations: then revoke again what was revoked, before the service starts.

Cut short at any moment, it leaves the old database or the restored one.

Example:
  systemctl stop capauth
  capauth-service restore --force /var/backups/capauth-2026-05-01.backup
  systemctl start capauth";

/// Put a backup in the place of the database. The service must be stopped.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// Replace the database that is there, and keep it under another name
    #[arg(long)]
    force: bool,
    /// Replace it also if what was revoked since the backup cannot be carried over
    #[arg(long, requires = "force")]
    accept_lost_revocations: bool,
    /// Say it in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataFlags,
}

impl Restore {
    pub(super) fn put(self, sources: Sources) -> Result<(), Failure> {
        let Data { database_url, database_file, master_key } = sources.and(self.data).data()?;
        let now = SystemTime::now().into();
        let replace = match (self.force, self.accept_lost_revocations) {
            (false, _) => Replace::Never,
            (true, false) => Replace::CarryingOver,
            (true, true) => Replace::LosingRevocations,
        };
        let restored = capauth_store::restore(&database_url, master_key, &self.file, replace, now);
        let restored = block_on(async { restored.await.map_err(|error| Failure::caused(&error)) })?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", as_json(&restored))?;
        } else {
            let place = database_file.unwrap_or_default();
            let backup = &restored.backup;
            writeln!(
                out,
                "Restored {} of {}, as they were at {}, to {}.",
                keys(backup),
                plain(&backup.service),
                backup.made_at,
                plain(place.display())
            )?;
            warn(&mut out, &restored)?;
        }
        Ok(out.flush()?)
    }
}

fn as_json(restored: &Restored) -> Value {
    let backup = &restored.backup;
    let (state, over, why) = match &restored.carried {
        Carried::NothingThere => ("nothing_there", None, None),
        Carried::AnotherInstallation => ("another_installation", None, None),
        Carried::Over(over) => ("carried_over", Some(over), None),
        Carried::Unreadable(why) => ("unreadable", None, Some(why)),
        _ => ("unknown", None, None),
    };
    json!({
        "keys": backup.keys, "service": backup.service, "made_at": backup.made_at.to_string(),
        "kept": restored.kept,
        "old_database": {
            "state": state, "why": why, "revoked": over.map(|o| o.revoked),
            "suspended": over.map(|o| o.suspended), "unlinked": over.map(|o| o.unlinked),
            "lost_keys": over.map(|o| o.lost),
        },
    })
}

/// For a terminal: files may be named, and a damaged database may make SQLite say, what tells it to do things.
fn plain(words: impl Display) -> String {
    words.to_string().replace(char::is_control, " ")
}

/// What somebody who restored has to know.
fn warn(out: &mut dyn Write, restored: &Restored) -> Result<(), Failure> {
    writeln!(out, "Every session, token and one-time code has ended; people sign in again.")?;
    match &restored.carried {
        Carried::Over(over) => carried_over(out, *over)?,
        Carried::Unreadable(why) => writeln!(
            out,
            "WARNING: the database that was there could not be read ({}). Keys that were revoked,\nsuspended, \
             unlinked or barred since the backup are NOT: revoke them again before the service starts,\nwith \
             `capauth-service keys revoke`.",
            plain(why)
        )?,
        Carried::AnotherInstallation => writeln!(
            out,
            "WARNING: the database that was there is another installation's; nothing of it was carried over.\nKeys that \
             were revoked since the backup are NOT: revoke them again before the service starts."
        )?,
        _ => writeln!(
            out,
            "WARNING: there was no database to carry anything over from. Keys that were revoked, suspended,\nunlinked or \
             barred since the backup are NOT: revoke them again before the service starts, with\n`capauth-service keys \
             revoke`."
        )?,
    }
    writeln!(
        out,
        "Groups, names, approvals and addresses are as they were then, and people who were erased since are\nback: erase \
         them again."
    )?;
    if let Some(kept) = &restored.kept {
        writeln!(
            out,
            "The database that was there is now {}. Delete it when all is well: it may hold what\nwas to be erased.",
            plain(kept.display())
        )?;
    }
    Ok(())
}

fn carried_over(out: &mut dyn Write, over: CarriedOver) -> Result<(), Failure> {
    let parts = [
        (over.revoked, "key is revoked", "keys are revoked"),
        (over.unlinked, "key is unlinked", "keys are unlinked"),
        (over.suspended, "identity waits for an administrator", "identities wait for an administrator"),
    ];
    for (number, one, several) in parts.into_iter().filter(|(number, ..)| *number > 0) {
        writeln!(out, "Carried over from the database that was there: {}.", counted(number, one, several))?;
    }
    if over.lost > 0 {
        writeln!(
            out,
            "WARNING: {} since the backup and must enrol again.",
            counted(over.lost, "key enrolled", "keys enrolled")
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use capauth_store::BackupInfo;

    use super::*;

    fn said(kept: &str, why: &str) -> String {
        let backup = BackupInfo {
            made_at: SystemTime::UNIX_EPOCH.into(),
            service: "auth.example.com".to_owned(),
            program: "1".to_owned(),
            schema: 1,
            epoch: 1,
            keys: 1,
            bytes: 1,
        };
        let carried = Carried::Unreadable(why.to_owned());
        let restored = Restored { backup, epoch: 2, kept: Some(kept.into()), carried };
        let mut out = Vec::new();
        warn(&mut out, &restored).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn attack_a_file_or_an_error_gives_orders_to_the_terminal() {
        let honest = said("/var/keys.db.replaced-1", "malformed");
        assert!(honest.contains("/var/keys.db.replaced-1") && honest.contains("(malformed)"), "{honest}");
        let said = said("/var/k\x1b]0;owned\x07\nWARNING: none", "bad\x1b[2Jname\u{9b}1A\r\n");
        assert!(said.contains("k ]0;owned  WARNING: none") && said.contains("(bad [2Jname 1A  )"), "{said}");
        assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
        assert_eq!(said.lines().count(), honest.lines().count());
    }
}
