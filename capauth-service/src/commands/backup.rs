//! `backup`: the database in one file, while the service runs.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use capauth_store::{BackupInfo, master_key_file};
use clap::Args;
use serde_json::json;

use super::{Failure, block_on};
use crate::config::{Data, DataFlags, Sources};

const AFTER: &str = "\
The service may run meanwhile: it is asked to write what waits in it, and every login that was
answered before is in the backup. Without a service the command waits for nobody.

The master key is NOT in the backup, and without it a backup is worth nothing. Keep a copy of it,
elsewhere than the backups: whoever has both has everything.

The file is made with mode 0600, and is there whole or not at all. A file that is there is never
replaced.

Examples:
  capauth-service backup /var/backups/capauth-$(date +%F).backup
  capauth-service restore /var/backups/capauth-2026-05-01.backup";

/// Copy the database into a file, while the service runs.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Backup {
    /// The file to make
    file: PathBuf,
    /// Say it in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataFlags,
}

impl Backup {
    pub(super) fn make(self, sources: Sources) -> Result<(), Failure> {
        let sources = sources.and(self.data);
        let (service, data) = (sources.service_id()?, sources.data()?);
        let Data { database_url, database_file, master_key } = data;
        let key_file = match master_key {
            Some(_) => None,
            None => database_file.as_deref().map(master_key_file),
        };
        let now = SystemTime::now().into();
        let made = capauth_store::backup(&database_url, master_key, &self.file, &service, now);
        let made = block_on(async { made.await.map_err(|error| Failure::caused(&error)) })?;
        let mut out = std::io::stdout().lock();
        if self.json {
            let text = json!({
                "file": self.file, "made_at": made.made_at.to_string(), "service": made.service,
                "program": made.program, "schema": made.schema, "keys": made.keys, "bytes": made.bytes,
                "master_key_file": key_file,
            });
            return Ok(writeln!(out, "{text}")?);
        }
        writeln!(out, "Backed up {} to {} ({} bytes).", keys(&made), self.file.display(), made.bytes)?;
        match key_file {
            Some(file) => writeln!(
                out,
                "The master key is not in it, and without it the backup is worth nothing. It lies in\n{}: keep a copy \
                 of that file, elsewhere than the backup.",
                file.display()
            )?,
            None => writeln!(
                out,
                "The master key is not in it, and without it the backup is worth nothing. It is the one that is\n\
                 configured (CAPAUTH_MASTER_KEY): keep a copy of it, elsewhere than the backup."
            )?,
        }
        Ok(out.flush()?)
    }
}

/// `1 key`, `12 keys`.
pub(super) fn keys(info: &BackupInfo) -> String {
    super::counted(info.keys, "key", "keys")
}
