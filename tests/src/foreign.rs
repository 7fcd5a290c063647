//! Implementations by others, as `cargo xtask setup` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::service::workspace;

/// A Node program of `tests/js`, which finds OpenPGP.js.
pub fn node(script: &str) -> Command {
    let modules = place("CAPAUTH_TEST_NODE_MODULES", "tests/js/node_modules");
    assert!(modules.join("openpgp").is_dir(), "OpenPGP.js is missing: run `cargo xtask setup`");
    let mut command = Command::new("node");
    command.arg(workspace().join("tests/js").join(script)).env("CAPAUTH_TEST_NODE_MODULES", modules);
    command
}

/// A Python program of `tests/python`, which finds the package `capauth`.
pub fn python(script: &str) -> Command {
    let mut command = interpreter();
    command.arg(workspace().join("tests/python").join(script));
    command
}

/// A module of the installed packages, run as a program.
pub fn python_module(name: &str) -> Command {
    let mut command = interpreter();
    command.args(["-m", name]);
    command
}

fn interpreter() -> Command {
    let python = place("CAPAUTH_TEST_VENV", "target/venv").join("bin/python");
    assert!(python.exists(), "the Python packages are missing: run `cargo xtask setup`");
    Command::new(python)
}

fn place(variable: &str, otherwise: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| workspace().join(otherwise), PathBuf::from)
}

/// Runs a program to its end, and fails with what it printed if it fails.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().expect("the program can be started");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Runs SQL in a SQLite file, outside of the service.
pub fn sqlite(database: &Path, sql: &str) {
    succeed(python("sqlite.py").arg(database).arg(sql));
}
