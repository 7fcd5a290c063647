//! Files that only their owner reads, and the master key in one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;

use capauth_verifier::{MasterKey, Secret};

use crate::error::OpenError;

/// A master key file is a line of 64 digits; anything much longer is something else.
const MAX_KEY_FILE: u64 = 1024;

/// Makes the folder in which `file` is going to be, open to its owner alone, unless it is there.
pub(crate) fn make_folder_of(file: &Path) -> Result<(), OpenError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|e| OpenError::because(format!("cannot make the folder {}: {e}", folder.display()), e))
}

/// Makes an empty file that only its owner reads and writes. `None`: it is there already.
pub(crate) fn create(file: &Path) -> Result<Option<File>, OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(made) => Ok(Some(made)),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            keep_private(file)?;
            Ok(None)
        }
        Err(e) => Err(OpenError::because(format!("cannot make {}: {e}", file.display()), e)),
    }
}

/// Takes a file that is there from everybody but its owner.
#[cfg(unix)]
fn keep_private(file: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::PermissionsExt as _;
    let cannot = |e: std::io::Error| {
        OpenError::because(format!("others may read {0}; run: chmod 600 {0}", file.display()), e)
    };
    let mode = std::fs::metadata(file).map_err(cannot)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).map_err(cannot)
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
    let Some(mut made) = create(file)? else {
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

async fn read_master_key(file: &Path) -> Result<Option<MasterKey>, OpenError> {
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
