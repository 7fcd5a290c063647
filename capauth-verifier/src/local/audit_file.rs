//! The audit log as lines of JSON in a file, for whatever collects logs.
//!
//! Identities stand in it under their random names alone: a file cannot be made to forget.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::LocalVerifier;
use crate::error::ConfigError;
use crate::stores::{AuditEntry, AuditName};

/// How many lines are written at a time.
const PAGE: u32 = 500;
/// How many times, when there is much: the rest when the next thing happens.
const PAGES: u32 = 20;
/// The longest line there is, in bytes: as much is read of the end of a file to find the last.
const MAX_LINE: u64 = 4096;

/// Where the log goes, and how far it has come.
pub(super) struct AuditFile {
    path: PathBuf,
    last: Arc<Mutex<u64>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: u64,
    at: String,
    who: &'a str,
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a str>,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

impl AuditFile {
    /// Opens the file, or makes it, for its owner alone. What is in it already is not written again.
    pub(super) fn open(path: PathBuf) -> Result<Self, ConfigError> {
        let words = |e: io::Error| {
            ConfigError::because(format!("the audit log {} cannot be opened: {e}", path.display()), e)
        };
        let last = append(&path).and_then(|mut file| last_number(&mut file)).map_err(words)?;
        Ok(Self { path, last: Arc::new(Mutex::new(last)) })
    }
}

impl LocalVerifier {
    /// Writes what is new in the audit log to its file, if it has one. What fails is said in the log and tried again.
    pub(super) async fn write_audit_file(&self) {
        let Some(file) = &self.audit_file else { return };
        for _ in 0..PAGES {
            let mut last = Arc::clone(&file.last).lock_owned().await;
            let page = match self.stores.keys.audit(*last, PAGE).await {
                Ok(page) => page,
                Err(error) => return tracing::warn!(%error, "the audit log cannot be read"),
            };
            if page.entries.is_empty() {
                return;
            }
            let text: String = page.entries.iter().map(line).collect();
            let (path, cursor) = (file.path.clone(), page.cursor);
            // To its end, whoever asked may be gone.
            let written = tokio::task::spawn_blocking(move || {
                write(&path, &text)?;
                *last = cursor;
                io::Result::Ok(())
            });
            match written.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return tracing::warn!(%error, "the audit log's file cannot be written"),
                Err(_) => return,
            }
        }
    }
}

fn line(entry: &AuditEntry) -> String {
    let name = |name| match name {
        &AuditName::Administrator => "administrator",
        &AuditName::Shell => "shell",
        &AuditName::Server => "server",
        AuditName::Identity { name, .. } => name.as_str(),
    };
    let line = Line {
        id: entry.id,
        at: entry.at.to_string(),
        who: name(&entry.who),
        what: &entry.what,
        subject: entry.subject.as_ref().map(name),
        network: entry.network.as_deref(),
    };
    // Texts and a number always serialise.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).read(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = append(path)?;
    if !ends_a_line(&mut file)? {
        file.write_all(b"\n")?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Whether the file is empty, or its last line is whole: the machine may have stopped half-way.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The number of the last whole line.
fn last_number(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_LINE)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let lines = end.split(|byte| *byte == b'\n');
    let numbers = lines.filter_map(|line| serde_json::from_slice::<Numbered>(line).ok());
    Ok(numbers.map(|line| line.id).max().unwrap_or(0))
}
