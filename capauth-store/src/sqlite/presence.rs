//! Who has a database open, and how a backup asks them to write what waits.
//!
//! Two kinds of files lie beside a database, both with nothing of anybody in them:
//!
//! - `keys.db.lock`. Whoever has the database open holds it shared; a restore holds it alone. The system lets go of it
//!   when a process ends, however it ends.
//! - `keys.db.{16 digits}.open`, one for each that has the database open, locked by its owner. A backup adds a line
//!   `ask {digits}` to each; its owner writes what waits and adds `done {digits}`. A file that nobody holds is left over
//!   from one that was killed; whoever finds it removes it.

use std::fs::{File, FileType, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Database;
use crate::error::OpenError;
use crate::place::with_suffix;
use crate::private_file;

/// How often whoever has the database open looks whether it was asked. A look is one question about an open file.
const LOOK: Duration = Duration::from_millis(500);

/// How often the one who asks looks for answers.
const LOOK_FOR_ANSWERS: Duration = Duration::from_millis(20);

/// How long a file of questions and answers may get before it begins anew, in bytes.
const LONG: u64 = 32 * 1024;

/// The end of the name of a file that says who has the database open.
const OPEN: &str = ".open";

/// The lock that everybody holds who has the database open.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held, and let go of by dropping it")] File);

impl Lock {
    /// # Errors
    /// A restore is at work, or the file cannot be made.
    pub(super) fn shared(database: &Path) -> Result<Self, OpenError> {
        let (path, file) = lock_file(database)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::new(format!(
                "a backup is being restored to {}; start again when that is done",
                database.display()
            ))),
            Err(TryLockError::Error(e)) => Err(cannot("lock", &path, e)),
        }
    }

    /// # Errors
    /// Somebody has the database open, or the file cannot be made.
    pub(super) fn alone(database: &Path) -> Result<Self, OpenError> {
        let (path, file) = lock_file(database)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::new(format!(
                "{} is in use: stop the service, and whatever else has it open, first. Nothing was changed",
                database.display()
            ))),
            Err(TryLockError::Error(e)) => Err(cannot("lock", &path, e)),
        }
    }
}

fn lock_file(database: &Path) -> Result<(PathBuf, File), OpenError> {
    let path = with_suffix(database, ".lock");
    let file = match private_file::create_for_owner_of(database, &path)? {
        Some(made) => made,
        None => private_file::open_plain(OpenOptions::new().read(true).write(true), &path)
            .map_err(|e| cannot("open", &path, e))?,
    };
    Ok((path, file))
}

fn cannot(what: &str, path: &Path, error: std::io::Error) -> OpenError {
    OpenError::because(format!("cannot {what} {}: {error}", path.display()), error)
}

/// What somebody has who has the database open.
#[derive(Debug)]
pub(super) struct Presence {
    pub(super) seat: Seat,
    pub(super) _lock: Lock,
}

/// A file of one's own that says: I have the database open.
#[derive(Debug)]
pub(super) struct Seat {
    path: PathBuf,
    file: File,
    /// How long the file was when every question in it had its answer.
    answered: AtomicU64,
}

impl Seat {
    /// Takes a seat. Call it with the database's lock held.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        for (path, file) in seats(database)? {
            // What cannot be opened is for its owner to clear away, and keeps nobody else from a seat.
            if file.is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = std::fs::remove_file(path);
            }
        }
        // Locked before it has its name: nobody ever sees one of these that is not held by a living process.
        let making = private_file::beside(database, ".making")?;
        let file = private_file::create_for_owner_of(database, &making)?
            .ok_or_else(|| OpenError::new("a random name was taken"))?;
        let path = making.with_extension("open");
        file.lock().and_then(|()| std::fs::rename(&making, &path)).map_err(|e| {
            let _ = std::fs::remove_file(&making);
            cannot("make", &path, e)
        })?;
        Ok(Self { path, file, answered: AtomicU64::new(0) })
    }

    /// What was asked and not answered.
    fn questions(&self) -> std::io::Result<Vec<String>> {
        if self.file.metadata()?.len() == self.answered.load(Ordering::Acquire) {
            return Ok(Vec::new());
        }
        let text = read(&self.file)?;
        let is_open =
            |question: &&str| !text.lines().any(|line| line.strip_prefix("done ") == Some(*question));
        let asked = text.lines().filter_map(|line| line.strip_prefix("ask "));
        Ok(asked.filter(is_open).map(str::to_owned).collect())
    }

    fn answer(&self, questions: &[String]) -> std::io::Result<()> {
        let mut file = &self.file;
        if file.metadata()?.len() > LONG {
            // Whoever misses a question in it puts it again.
            file.set_len(0)?;
        }
        let answers: String = questions.iter().map(|question| format!("done {question}\n")).collect();
        file.write_all(answers.as_bytes())?;
        if self.questions()?.is_empty() {
            self.answered.store(file.metadata()?.len(), Ordering::Release);
        }
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn read(mut file: &File) -> std::io::Result<String> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(4 * LONG).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Everybody's seats, opened where they can be; also those that nobody holds.
fn seats(database: &Path) -> Result<Vec<(PathBuf, std::io::Result<File>)>, OpenError> {
    let mut found = Vec::new();
    for path in private_file::with_random_names(database, OPEN, FileType::is_file)? {
        match private_file::open_plain(OpenOptions::new().read(true).append(true), &path) {
            // Gone since.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            file => found.push((path, file)),
        }
    }
    Ok(found)
}

/// The seats of those who are to be asked. One that cannot be opened may be a program's that has something to write.
fn seats_to_ask(database: &Path) -> Result<Vec<(PathBuf, File)>, OpenError> {
    let opened = seats(database)?.into_iter().map(|(path, file)| match file {
        Ok(file) => Ok((path, file)),
        Err(e) => Err(cannot("open", &path, e)),
    });
    opened.collect()
}

/// Starts the task that answers when a backup asks. It ends with the database.
pub(super) fn spawn_listener(database: &Arc<Database>) {
    let database = Arc::downgrade(database);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(database) = database.upgrade() else { return };
            if let Err(error) = database.answer_backups().await {
                tracing::warn!(%error, "a backup asks and gets no answer yet; trying again");
            }
        }
    });
}

impl Database {
    /// Writes what waits if a backup asked for it, and says so.
    async fn answer_backups(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Some(Presence { seat, .. }) = &self.presence else { return Ok(()) };
        let questions = seat.questions()?;
        if questions.is_empty() {
            return Ok(());
        }
        // What was noted before the question was put waits now, or is written already.
        self.write_logins().await?;
        Ok(seat.answer(&questions)?)
    }
}

/// Asks everybody who has the database open to write what waits, and waits until they have, or have ended. Answers how
/// many did.
///
/// # Errors
/// One of them neither answers nor ends within `limit`.
pub(super) async fn ask_all(database: &Path, limit: Duration) -> Result<usize, OpenError> {
    let question = private_file::random_digits()?;
    let asking = async {
        let (mut waiting, mut answers) = (seats_to_ask(database)?, 0);
        loop {
            let mut next = Vec::new();
            for (path, file) in waiting {
                match look(&file, &question).map_err(|e| cannot("ask by", &path, e))? {
                    Look::Answered => answers += 1,
                    // Killed: what it had not written is lost, as it is without a backup.
                    Look::Nobody => drop(std::fs::remove_file(path)),
                    Look::Waiting => next.push((path, file)),
                }
            }
            if next.is_empty() {
                return Ok(answers);
            }
            waiting = next;
            tokio::time::sleep(LOOK_FOR_ANSWERS).await;
        }
    };
    tokio::time::timeout(limit, asking).await.unwrap_or_else(|_| {
        Err(OpenError::new(format!(
            "a program that has {} open did not write what waits in it within {} seconds: is it stopped, or its disk \
             full? No backup was made",
            database.display(),
            limit.as_secs()
        )))
    })
}

enum Look {
    Answered,
    Nobody,
    Waiting,
}

fn look(mut file: &File, question: &str) -> std::io::Result<Look> {
    let text = read(file)?;
    if text.lines().any(|line| line.strip_prefix("done ") == Some(question)) {
        return Ok(Look::Answered);
    }
    match file.try_lock() {
        Ok(()) => return Ok(Look::Nobody),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(e)) => return Err(e),
    }
    if !text.lines().any(|line| line.strip_prefix("ask ") == Some(question)) {
        file.write_all(format!("ask {question}\n").as_bytes())?;
    }
    Ok(Look::Waiting)
}
