//! A Unix socket that only its own user reaches, from its first moment to its last.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// The socket's file, which goes when this does.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    id: FileId,
}

/// Tells a socket from any other file that stands at the same path at another time. Numbers of files are used again, so
/// the time at which it was made belongs to it: neither a new name nor a new mode changes that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    number: (u64, u64),
    made: (i64, i64),
    is_socket: bool,
}

fn id_of(file: &Metadata) -> FileId {
    FileId {
        number: (file.dev(), file.ino()),
        made: (file.mtime(), file.mtime_nsec()),
        is_socket: file.file_type().is_socket(),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What another program put in its place is that program's.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| id_of(&file) == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A folder beside the socket that nobody else may enter, for as long as it takes.
struct Private(PathBuf);

impl Private {
    fn beside(path: &Path) -> io::Result<Self> {
        let number = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
        // A short name: the whole path of a socket holds about a hundred bytes.
        let folder = path.with_file_name(format!(".{number:08x}"));
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Only the socket of ours: had something else come in here, the folder would stay.
        let _ = fs::remove_file(self.file("s"));
        let _ = fs::remove_dir(&self.0);
    }
}

/// Listens at this path with mode 0600. A socket that a dead process left there is replaced; anything else stays.
///
/// # Errors
/// Why it does not, in words that go on after the path.
pub(crate) async fn bind(path: &Path) -> Result<(UnixListener, SocketFile), String> {
    let cannot = |error: io::Error| format!("cannot be listened at: {}", advice(&error));
    // It is made at a shorter path, but must be reached at this one.
    SocketAddr::from_pathname(path).map_err(cannot)?;
    let stale = is_stale(path).await?;
    let private = Private::beside(path).map_err(cannot)?;
    let made = private.file("s");
    let listener = UnixListener::bind(&made).map_err(cannot)?;
    fs::set_permissions(&made, Permissions::from_mode(0o600)).map_err(cannot)?;
    let id = id_of(&fs::symlink_metadata(&made).map_err(cannot)?);
    if let Some(stale) = stale {
        clear(path, stale, &private)?;
    }
    // Unlike a renaming, this replaces nothing.
    fs::hard_link(&made, path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => TAKEN.to_owned(),
        _ => cannot(error),
    })?;
    Ok((listener, SocketFile { path: path.to_owned(), id }))
}

const TAKEN: &str = "was taken by another program at this moment: stop it, or choose another path";

/// Whether something stands there that nobody answers at, and which. Whatever else stands there is an error.
async fn is_stale(path: &Path) -> Result<Option<FileId>, String> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be looked at: {error}")),
    };
    if !file.file_type().is_socket() {
        return Err("is there already and is no socket: move it, or choose another path".to_owned());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(Some(id_of(&file))),
        // Gone since.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // A program that has no room for more is alive, too.
        Ok(_) => Err(LIVE.to_owned()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(LIVE.to_owned()),
        Err(error) => Err(format!("is there already, and who is there cannot be found out: {error}")),
    }
}

const LIVE: &str = "is where another program listens: stop it, or choose another path";

/// Takes the stale socket away. Another program may have put its own there since; that one is put back.
fn clear(path: &Path, stale: FileId, private: &Private) -> Result<(), String> {
    let aside = private.file("o");
    match fs::rename(path, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(format!("was left by a program that ended, and cannot be removed: {error}"));
        }
    }
    let is_it = fs::symlink_metadata(&aside).is_ok_and(|file| id_of(&file) == stale);
    if is_it || fs::hard_link(&aside, path).is_ok() {
        let _ = fs::remove_file(&aside);
    }
    if is_it { Ok(()) } else { Err(TAKEN.to_owned()) }
}

fn advice(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "its folder does not exist".to_owned(),
        ErrorKind::PermissionDenied => "this user may not make files in its folder".to_owned(),
        ErrorKind::InvalidInput => "its path is too long for a socket; about 90 bytes fit".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that nobody answers at, and which it is.
    fn stale(path: &Path) -> FileId {
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
        id_of(&fs::symlink_metadata(path).unwrap())
    }

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn attack_what_comes_in_the_stale_sockets_place_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let id = stale(&path);
        // Another program was faster: it replaced the socket after we looked.
        let theirs = folder.path().join("theirs");
        let listener = UnixListener::bind(&theirs).unwrap();
        fs::rename(&theirs, &path).unwrap();
        let private = Private::beside(&path).unwrap();
        assert_eq!(clear(&path, id, &private), Err(TAKEN.to_owned()));
        drop(private);
        UnixStream::connect(&path).await.unwrap();
        assert_eq!(entries(folder.path()), 1);
        drop(listener);

        // Or a file that is no socket.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "MARKER").unwrap();
        let private = Private::beside(&path).unwrap();
        assert_eq!(clear(&path, id, &private), Err(TAKEN.to_owned()));
        drop(private);
        assert_eq!(fs::read_to_string(&path).unwrap(), "MARKER");
        assert_eq!(entries(folder.path()), 1);
    }

    #[tokio::test]
    async fn of_many_that_find_the_same_stale_socket_one_gets_the_path() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s");
            stale(&path);
            let bound = futures_util::future::join_all((0..8).map(|_| {
                let path = path.clone();
                async move { tokio::task::spawn_blocking(move || bind_here(&path)).await.unwrap() }
            }))
            .await;
            let bound: Vec<_> = bound.into_iter().flatten().collect();
            assert_eq!(bound.len(), 1);
            UnixStream::connect(&path).await.unwrap();
            assert_eq!(entries(folder.path()), 1);
        }
    }

    /// Binds in a thread of its own.
    fn bind_here(path: &Path) -> Option<(UnixListener, SocketFile)> {
        tokio::runtime::Handle::current().block_on(bind(path)).ok()
    }
}
