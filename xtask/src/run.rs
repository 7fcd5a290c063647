//! Running other programs, with a line that says which.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Why a chore stopped, in words for the person who started it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    // Joining an absolute path replaces the root, which is what cargo does with it too.
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A command in the workspace's root that can never wait for an answer from the terminal.
pub(crate) fn program(name: impl Into<OsString>) -> Command {
    let mut command = Command::new(name.into());
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that started this program, with arguments split at the blanks.
pub(crate) fn cargo(args: &str) -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args.split_whitespace());
    command
}

/// Runs a command with its output on the terminal, announced and timed.
pub(crate) fn step(what: &str, command: &mut Command) -> Outcome<Duration> {
    eprintln!("\n==> {what}");
    let started = Instant::now();
    let status = command.status().map_err(|e| Failure::new(format!("{what}: {}: {e}", name_of(command))))?;
    if status.success() {
        eprintln!("    done in {}", short(started.elapsed()));
        Ok(started.elapsed())
    } else {
        Err(Failure::new(format!("failed: {what}")))
    }
}

/// Whether a command runs and succeeds; says nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What a command prints, or nothing if it fails.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A duration as a person reads it: `4.2 s`, `3 min 07 s`.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f32())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_a_person_says_them() {
        assert_eq!(short(Duration::from_millis(4200)), "4.2 s");
        assert_eq!(short(Duration::from_secs(187)), "3 min 07 s");
    }

    #[test]
    fn a_failing_command_is_a_failure_and_a_missing_one_too() {
        assert!(step("true", &mut program("true")).is_ok());
        assert!(step("false", &mut program("false")).is_err());
        assert!(step("missing", &mut program("no-such-program-here")).is_err());
        assert!(!succeeds(&mut program("no-such-program-here")));
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
    }
}
