//! A file that is being written, in a folder of its own until it is whole.

use std::ffi::OsStr;
use std::fs::{File, FileType, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::OpenError;
use crate::private_file;

/// The name of the file in its folder.
const NAME: &str = "capauth-unfinished";

/// Removed when it is dropped, unless it got its real name. What a killed process left behind goes when the next one
/// makes a file of the same kind.
///
/// SQLite opens it by its name. Nobody else can put another file in its place meanwhile: it lies in a folder that they
/// may not enter. Where they could put another folder in that one's place, it is found out before anything gets its
/// real name.
#[derive(Debug)]
pub(super) struct Partial {
    _folder: Folder,
    path: PathBuf,
    /// Locked, so that nobody takes it for left over. Stays open as long as SQLite may have the same file open: to
    /// close a file lets go of all of SQLite's locks on it.
    file: File,
}

impl Partial {
    /// An empty file beside `target`, on the same file system, for its owner alone.
    pub(super) fn make(target: &Path, suffix: &str) -> Result<Self, OpenError> {
        for left_over in private_file::with_random_names(target, suffix, FileType::is_dir)? {
            match private_file::open_plain(OpenOptions::new().write(true), &left_over.join(NAME)) {
                Ok(file) if file.try_lock().is_ok() => drop(Folder(left_over)),
                // Killed before the file was there, or after it had its name. Or somebody is about to make it.
                Err(e) if e.kind() == ErrorKind::NotFound => remove_but_file(&left_over),
                _ => {}
            }
        }
        let mut tries = 0;
        loop {
            let folder = private_file::beside(target, suffix)?;
            private_file::make_folder(&folder, false)?;
            let folder = Folder(folder);
            let path = folder.0.join(NAME);
            let cannot =
                |e: std::io::Error| OpenError::because(format!("cannot make {}: {e}", path.display()), e);
            match private_file::create_new(&path) {
                Ok(file) => {
                    file.try_lock().map_err(|e| cannot(e.into()))?;
                    return Ok(Self { _folder: folder, path, file });
                }
                // Another one took the folder for left over.
                Err(e) if e.kind() == ErrorKind::NotFound && tries < 3 => tries += 1,
                Err(e) => return Err(cannot(e)),
            }
        }
    }

    /// # Errors
    /// Somebody put another file in its place.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        if self.is_at(&self.path) {
            return Ok(());
        }
        Err(OpenError::new(format!(
            "somebody put another file in the place of {} while it was written: choose a folder that others may not \
             write to",
            self.path.display()
        )))
    }

    #[cfg(unix)]
    fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let (Ok(ours), Ok(there)) = (self.file.metadata(), std::fs::symlink_metadata(path)) else {
            return false;
        };
        (ours.dev(), ours.ino()) == (there.dev(), there.ino())
    }

    #[cfg(not(unix))]
    fn is_at(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, for writing.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What went wrong with writing it, in words.
    pub(super) fn failed(&self, error: std::io::Error) -> OpenError {
        OpenError::because(format!("cannot write {}: {error}", self.path.display()), error)
    }

    /// Makes what was written outlast a power cut.
    pub(super) fn sync(&self) -> Result<(), OpenError> {
        self.file.sync_all().map_err(|e| self.failed(e))
    }

    /// Gives it the name `target`, which nobody may have.
    pub(super) fn publish(self, target: &Path) -> Result<(), OpenError> {
        self.check()?;
        let cannot = |e: std::io::Error| {
            let is_there = e.kind() == ErrorKind::AlreadyExists;
            let words = if is_there { "it is there already".to_owned() } else { e.to_string() };
            OpenError::because(format!("cannot make {}: {words}", target.display()), e)
        };
        match std::fs::hard_link(&self.path, target) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(cannot(e)),
            // Not every file system has second names. To take the name first keeps from replacing somebody else's.
            Err(_) => {
                OpenOptions::new().write(true).create_new(true).open(target).map_err(cannot)?;
                std::fs::rename(&self.path, target).map_err(cannot)?;
            }
        }
        private_file::sync_folder_of(target);
        Ok(())
    }

    /// Puts it in the place of `target`, at once.
    pub(super) fn replace(self, target: &Path) -> Result<(), OpenError> {
        self.check()?;
        std::fs::rename(&self.path, target)
            .map_err(|e| OpenError::because(format!("cannot replace {}: {e}", target.display()), e))?;
        private_file::sync_folder_of(target);
        Ok(())
    }
}

/// A folder that goes with what it was made for.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0.join(NAME));
        remove_but_file(&self.0);
    }
}

/// Removes what SQLite may have made beside the file (its logs, and the journal of a transaction over two databases, whose
/// name ends as chance has it), and the folder. Had something else come in, or the file is there, the folder stays.
fn remove_but_file(folder: &Path) {
    let is_beside = |name: &OsStr| name.as_encoded_bytes().starts_with(format!("{NAME}-").as_bytes());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_beside(&entry.file_name()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let _ = std::fs::remove_dir(folder);
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let made = |files: &[&str]| {
            let partial = Partial::make(&target, ".partial").unwrap();
            let left = partial.path().parent().unwrap().to_owned();
            files.iter().for_each(|name| std::fs::write(left.join(name), "x").unwrap());
            // As a killed process leaves it: nothing is removed, and the file is let go of.
            let Partial { _folder: gone, .. } = partial;
            std::mem::forget(gone);
            left
        };
        let logs = ["-journal", "-wal", "-shm", "-mj1A2B3C4D"].map(|suffix| format!("{NAME}{suffix}"));
        let swept = made(&logs.each_ref().map(String::as_str));
        let foreign = made(&["somebody's"]);
        assert!(!swept.exists());
        drop(Partial::make(&target, ".partial").unwrap());
        assert!(foreign.join("somebody's").exists(), "not ours to remove");
        assert!(!foreign.join(NAME).exists());
    }

    #[test]
    fn attack_another_file_takes_a_backups_place() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        // Whoever may write to the folder cannot enter ours, but may put another in its place.
        let partial = Partial::make(&target, ".partial").unwrap();
        let ours = partial.path().parent().unwrap().to_owned();
        assert_eq!(std::fs::metadata(&ours).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::rename(&ours, folder.path().join("away")).unwrap();
        std::fs::create_dir(&ours).unwrap();
        std::fs::write(partial.path(), "of the attacker's").unwrap();
        assert!(partial.check().unwrap_err().to_string().contains("another file"));
        assert!(partial.publish(&target).is_err());
        // Nor by a link to ours, where it would read along.
        let partial = Partial::make(&target, ".partial").unwrap();
        let away = folder.path().join("away2");
        std::fs::rename(partial.path(), &away).unwrap();
        std::os::unix::fs::symlink(&away, partial.path()).unwrap();
        assert!(partial.check().is_err() && partial.replace(&target).is_err());
        assert!(!target.exists());

        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let partial = Partial::make(&target, ".partial").unwrap();
        partial.file().write_all(b"whole").unwrap();
        partial.check().unwrap();
        partial.publish(&target).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }
}
