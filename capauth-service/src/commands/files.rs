//! Files that a command makes.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;

/// A file that was just made, and goes again unless it is kept.
#[derive(Debug)]
pub(super) struct NewFile {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl NewFile {
    /// Makes a file that was not there. `secret`: its owner alone may read it.
    pub(super) fn make(path: &Path, secret: bool) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if secret { 0o600 } else { 0o644 });
        #[cfg(not(unix))]
        let _ = secret;
        let file = options.open(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::failed(format_args!(
                "{} is there already and is not overwritten; name another file",
                path.display()
            )),
            _ => Failure::failed(format_args!("cannot make {}: {error}", path.display())),
        })?;
        Ok(Self { path: path.to_owned(), file, kept: false })
    }

    /// Writes all of it, so that it outlasts a power cut.
    pub(super) fn write(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        written
            .map_err(|error| Failure::failed(format_args!("cannot write {}: {error}", self.path.display())))
    }

    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // Half a key would only be in the way.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
