//! Where data lies, and what is there already.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use capauth_store::Looked;
use capauth_tower::LocalVerifier;

use crate::commands::with_causes;
use crate::config::Config;

/// What lies where the data is to be.
pub(super) struct DataFound {
    /// The database, in words.
    pub(super) place: String,
    /// How it is, in words.
    pub(super) state: String,
    /// Whether it is there.
    pub(super) exists: bool,
    /// How many keys it holds, if it can be read.
    pub(super) keys: Option<u64>,
}

/// Looks at the database, its master key and the audit log's file.
///
/// # Errors
/// What would stop a start.
pub(super) async fn find(config: &Config, verifier: &LocalVerifier) -> Result<DataFound, String> {
    if let Some(file) = &config.life.audit_file {
        can_append(file)
            .map_err(|error| format!("the audit log {} cannot be opened: {error}", file.display()))?;
    }
    let looked = capauth_store::look(&config.database_url, config.master_key.clone());
    let looked = looked.await.map_err(|error| with_causes(&error))?;
    let Some(file) = &config.database_file else {
        return Ok(DataFound {
            place: "memory".to_owned(),
            state: "in memory, gone at the end".to_owned(),
            exists: false,
            keys: None,
        });
    };
    let place = std::path::absolute(file).unwrap_or_else(|_| file.clone()).display().to_string();
    match looked {
        None => {
            let state = format!("not there yet: made at the first start{}", folder_of(file)?);
            Ok(DataFound { place, state, exists: false, keys: None })
        }
        Some(Looked::Older) => {
            let state = "there, of an older version: brought up to date at the start".to_owned();
            Ok(DataFound { place, state, exists: true, keys: None })
        }
        Some(Looked::Open(stores)) => {
            can_append(file)
                .map_err(|error| format!("cannot open the database {}: {error}", file.display()))?;
            verifier.could_work_with(&stores).await.map_err(|error| with_causes(&error))?;
            let keys = stores.keys.count().await.map_err(|error| with_causes(&error))?;
            let state = format!("there, {keys} keys; the master key fits{}", readers_of(file));
            Ok(DataFound { place, state, exists: true, keys: Some(keys) })
        }
    }
}

/// What is said of the folder in which a file is going to be made.
fn folder_of(file: &Path) -> Result<&'static str, String> {
    let there = file.ancestors().skip(1).find(|folder| folder.exists());
    match there {
        Some(folder) if !folder.is_dir() => Err(format!("{} is no folder", folder.display())),
        Some(folder) if Some(folder) == file.parent() => Ok(""),
        _ => Ok(", with its folder"),
    }
}

/// Whether a file can be written to, or made, without doing either.
fn can_append(file: &Path) -> std::io::Result<()> {
    let has_folder = file.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir());
    match OpenOptions::new().read(true).append(true).open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound && has_folder => Ok(()),
        opened => opened.map(drop),
    }
}

#[cfg(unix)]
fn readers_of(file: &Path) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::metadata(file).map(|file| file.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 != 0 => {
            format!("; mode {mode:o}, which a start takes from others (0600)")
        }
        _ => String::new(),
    }
}

#[cfg(not(unix))]
fn readers_of(_: &Path) -> String {
    String::new()
}
