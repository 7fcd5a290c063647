//! Whether the database's file is still the one that was opened.
//!
//! A file that was moved away, deleted or replaced goes on to be written as if nothing had happened, and is gone with the
//! last connection: what was answered as durable would not be.

use std::path::{Path, PathBuf};

use capauth_verifier::{StoreError, StoreResult};

/// What tells a file from another in its place.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

/// The file, as it was when it was opened.
pub(super) struct OpenedFile {
    path: PathBuf,
    identity: Identity,
}

impl OpenedFile {
    pub(super) fn at(path: &Path) -> std::io::Result<Self> {
        // The working directory may become another one.
        let path = std::path::absolute(path)?;
        Ok(Self { identity: identity(&path)?, path })
    }

    /// # Errors
    /// There is none at its path, or another one.
    pub(super) fn check(&self) -> StoreResult<()> {
        const GONE: &str = "looking at the database's file, which is not there any longer";
        let found = identity(&self.path).map_err(|error| StoreError::because(GONE, error))?;
        if found == self.identity {
            Ok(())
        } else {
            Err(StoreError::new("looking at the database's file, in whose place is another one"))
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> std::io::Result<Identity> {
    std::fs::metadata(path).map(drop)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_went_away_or_was_replaced_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("keys.db"), folder.path().join("away.db"));
        std::fs::write(&path, "one").unwrap();
        let file = OpenedFile::at(&path).unwrap();
        assert!(file.check().is_ok());
        std::fs::rename(&path, &away).unwrap();
        assert!(file.check().is_err());
        std::fs::write(&path, "two").unwrap();
        assert!(file.check().is_err());
        std::fs::rename(&away, &path).unwrap();
        assert!(file.check().is_ok());
    }
}
