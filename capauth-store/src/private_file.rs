//! Files that only their owner reads, and the master key in one.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, FileType, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use capauth_verifier::{MasterKey, Secret};

use crate::error::OpenError;
use crate::place::with_suffix;

/// A master key file is a line of 64 digits; anything much longer is something else.
const MAX_KEY_FILE: u64 = 1024;

/// Makes the folder in which `file` is going to be, open to its owner alone, unless it is there.
pub(crate) fn make_folder_of(file: &Path) -> Result<(), OpenError> {
    make_folder(folder_of(file), true)
}

/// Makes a folder that nobody but its owner enters.
pub(crate) fn make_folder(folder: &Path, or_is_there: bool) -> Result<(), OpenError> {
    let mut builder = DirBuilder::new();
    builder.recursive(or_is_there);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|e| OpenError::because(format!("cannot make the folder {}: {e}", folder.display()), e))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens a file that is there: no link to another, nothing but a plain file, and none that somebody else gave a second
/// name here.
///
/// The folder is the service's, and who works in it may be root: what is planted in it must not lead root elsewhere. So
/// whatever is done to a file there is done by what this answers, never by its name.
pub(crate) fn open_plain(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    // The second keeps a pipe from making us wait; plain files know nothing of it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).map_err(|e| {
        // The system's own words are about too many levels.
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        if is_link { std::io::Error::other("it is a link") } else { e }
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(std::io::Error::other("it is no plain file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if found.nlink() > 1 && found.uid() != std::fs::metadata(folder_of(path))?.uid() {
            return Err(std::io::Error::other("it is somebody else's file under a second name"));
        }
    }
    Ok(file)
}

/// Makes an empty file that only its owner reads and writes.
pub(crate) fn create_new(file: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// As [`create`], for the owner of the database, or of the folder where there is none yet.
pub(crate) fn create_for_owner_of(database: &Path, file: &Path) -> Result<Option<File>, OpenError> {
    let owner = owner_of(database);
    let made = create(file)?;
    if let Some(made) = &made {
        owner.and_then(|owner| give(made, owner)).map_err(|e| cannot_give(file, e))?;
    }
    Ok(made)
}

/// Makes an empty file that only its owner reads and writes. `None`: it is there already, and is so too.
pub(crate) fn create(file: &Path) -> Result<Option<File>, OpenError> {
    match create_new(file) {
        Ok(made) => Ok(Some(made)),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            keep_private(file)?;
            Ok(None)
        }
        Err(e) => Err(OpenError::because(format!("cannot make {}: {e}", file.display()), e)),
    }
}

/// Gives a new file to the owner of the database beside it, or of the folder where there is none yet: whoever does
/// something as root must not lock the service out. Whoever is not root owns what they make, as they should.
pub(crate) fn give_to_owner_of(database: &Path, file: &File, name: &Path) -> Result<(), OpenError> {
    owner_of(database).and_then(|owner| give(file, owner)).map_err(|e| cannot_give(name, e))
}

fn cannot_give(name: &Path, error: std::io::Error) -> OpenError {
    let words = format!("cannot give {} to the owner of the database: {error}", name.display());
    OpenError::because(words, error)
}

/// The numbers of a user and a group.
#[cfg(unix)]
type Owner = (u32, u32);
#[cfg(not(unix))]
type Owner = ();

#[cfg(unix)]
fn owner_of(database: &Path) -> std::io::Result<Owner> {
    use std::os::unix::fs::MetadataExt as _;
    // A link's own owner: it may lead to a file of anybody's.
    let owned = std::fs::symlink_metadata(database).or_else(|_| std::fs::metadata(folder_of(database)))?;
    Ok((owned.uid(), owned.gid()))
}

#[cfg(unix)]
fn give(file: &File, (user, group): Owner) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    if file.metadata()?.uid() == user {
        return Ok(());
    }
    match fchown(file, Some(user), Some(group)) {
        Err(e) if e.kind() != ErrorKind::PermissionDenied => Err(e),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn owner_of(_: &Path) -> std::io::Result<Owner> {
    Ok(())
}

#[cfg(not(unix))]
fn give(_: &File, (): Owner) -> std::io::Result<()> {
    Ok(())
}

/// Gives a file a second name, `to`, which nobody has; its owner keeps it.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`]: somebody has the name. Nothing was written to what is there.
pub(crate) fn second_name(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(from, to) {
        Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => Err(e),
        // Not every file system has second names.
        Err(_) => copy_to_new(from, to),
        Ok(()) => Ok(()),
    }
}

fn copy_to_new(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = open_plain(OpenOptions::new().read(true), from)?;
    let mut made = create_new(to)?;
    let copied = owner_of(from)
        .and_then(|owner| give(&made, owner))
        .and_then(|()| std::io::copy(&mut source, &mut made))
        .and_then(|_| made.sync_all());
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied
}

/// Sixteen random hexadecimal digits.
pub(crate) fn random_digits() -> Result<String, OpenError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|e| OpenError::because("the operating system gives no randomness", e.to_string()))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

/// A name that nobody has yet: that of `file`, random digits, and `suffix`.
pub(crate) fn beside(file: &Path, suffix: &str) -> Result<PathBuf, OpenError> {
    Ok(with_suffix(file, &format!(".{}{suffix}", random_digits()?)))
}

/// What has such names and is of this kind.
pub(crate) fn with_random_names(
    file: &Path,
    suffix: &str,
    is_kind: fn(&FileType) -> bool,
) -> Result<Vec<PathBuf>, OpenError> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(Vec::new()) };
    let cannot = |e: std::io::Error| OpenError::because(format!("cannot read {}: {e}", folder.display()), e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let is_one = || entry.file_type().is_ok_and(|kind| is_kind(&kind));
        if has_random_name(&entry.file_name(), name, suffix) && is_one() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn has_random_name(candidate: &OsStr, name: &OsStr, suffix: &str) -> bool {
    let rest = candidate.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
    let digits =
        rest.and_then(|rest| rest.strip_prefix(b".")).and_then(|rest| rest.strip_suffix(suffix.as_bytes()));
    digits.is_some_and(|digits| digits.len() == 16 && digits.iter().all(u8::is_ascii_hexdigit))
}

/// Takes a file that is there from everybody but its owner.
#[cfg(unix)]
fn keep_private(file: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::PermissionsExt as _;
    let cannot = |e: std::io::Error| {
        OpenError::because(format!("others may read {0}; run: chmod 600 {0}", file.display()), e)
    };
    let opened = open_plain(OpenOptions::new().read(true), file)
        .map_err(|e| OpenError::because(format!("cannot open {}: {e}", file.display()), e))?;
    if opened.metadata().map_err(cannot)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    opened.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(cannot)
}

#[cfg(not(unix))]
fn keep_private(_: &Path) -> Result<(), OpenError> {
    Ok(())
}

/// Makes the names in the folder of `file` outlast a power cut.
pub(crate) fn sync_folder_of(file: &Path) {
    // Not every file system can do this, and those that cannot lose nothing that they promised.
    if let Some(Ok(folder)) = file.parent().map(File::open) {
        let _ = folder.sync_all();
    }
}

/// Reads the master key beside a database, or makes it.
///
/// `has_check`: the database was made with a master key before, so that a new one would be of no use.
pub(crate) async fn master_key(file: &Path, has_check: bool) -> Result<MasterKey, OpenError> {
    if let Some(key) = read_master_key(file).await? {
        return Ok(key);
    }
    if has_check {
        return Err(OpenError::new(format!(
            "the master key is missing: {} is not there and CAPAUTH_MASTER_KEY is not set, but the database was made \
             with one. Bring the file back from a backup; nothing can stand in for it",
            file.display()
        )));
    }
    let key = MasterKey::generate().map_err(|e| {
        OpenError::because("the operating system gives no randomness for a master key", e.to_string())
    })?;
    // There is no database yet, or nothing in it: it goes to the owner of the folder.
    let Some(mut made) = create_for_owner_of(file, file)? else {
        // Another process that starts at the same time was faster.
        return read_master_key(file)
            .await?
            .ok_or_else(|| OpenError::new("the master key file came and went"));
    };
    made.write_all(format!("{}\n", *key.expose_hex()).as_bytes())
        .and_then(|()| made.sync_all())
        .map_err(|e| OpenError::because(format!("cannot write {}: {e}", file.display()), e))?;
    sync_folder_of(file);
    Ok(key)
}

/// The master key in a file, if it is there.
pub(crate) async fn read_master_key(file: &Path) -> Result<Option<MasterKey>, OpenError> {
    let cannot = |e: std::io::Error| OpenError::because(format!("cannot read {}: {e}", file.display()), e);
    for attempt in 0.. {
        let mut opened = match File::open(file) {
            Ok(opened) => opened,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(cannot(e)),
        };
        refuse_if_others_may_read(file, &opened)?;
        let mut text = String::new();
        (&mut opened).take(MAX_KEY_FILE).read_to_string(&mut text).map_err(cannot)?;
        let text = Secret::new(text);
        // An empty file is one that another process is about to write.
        if text.expose().is_empty() && attempt < 20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let key = MasterKey::parse(text.expose());
        return key
            .map(Some)
            .map_err(|e| OpenError::because(format!("{} holds no master key: {e}", file.display()), e));
    }
    Ok(None)
}

#[cfg(unix)]
fn refuse_if_others_may_read(file: &Path, opened: &File) -> Result<(), OpenError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = opened
        .metadata()
        .map_err(|e| OpenError::because(format!("cannot read {}: {e}", file.display()), e))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(OpenError::new(format!(
        "others may read the master key in {0} (mode {1:o}); run: chmod 600 {0}",
        file.display(),
        mode & 0o777
    )))
}

#[cfg(not(unix))]
fn refuse_if_others_may_read(_: &Path, _: &File) -> Result<(), OpenError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn attack_a_copy_is_led_elsewhere_by_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("database"), "old").unwrap();
        std::fs::write(file("shadow"), "secrets").unwrap();
        for (link, to) in [("nowhere", "cron.d"), ("there", "shadow")] {
            std::os::unix::fs::symlink(file(to), file(link)).unwrap();
            let error = copy_to_new(&file("database"), &file(link)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        }
        assert!(!file("cron.d").exists());
        // What is copied from is no link either.
        assert!(copy_to_new(&file("there"), &file("copy")).is_err());
        assert_eq!(std::fs::read(file("shadow")).unwrap(), b"secrets");
        assert!(!file("copy").exists());

        copy_to_new(&file("database"), &file("copy")).unwrap();
        assert_eq!(std::fs::read(file("copy")).unwrap(), b"old");
    }
}
