//! The project's own chores, in Rust, so that they read and behave the same on every machine.
//!
//! `cargo xtask help` lists them. Each says what it is doing, one line a step, and stops at the first
//! step that fails with a line that says what to do about it.
#![expect(clippy::print_stderr, reason = "progress lines are half of what this program is for")]

mod checks;
mod measure;
mod run;
mod setup;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// The project's chores: make ready, test, check, measure.
///
/// While working: `cargo xtask test`. Before sending a change: `cargo xtask ci`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the tests and checks need. Quick when it is all there.
    ///
    /// cargo-nextest (by cargo), gpg and the libraries of the other OpenPGP backends (by apt, as root or
    /// through sudo), OpenPGP.js (by npm, into tests/js/node_modules) and the Python client (by pip, into
    /// target/venv). Nothing is installed twice.
    Setup,
    /// Run every test: setup, the suites under cargo-nextest, then the examples in the documentation.
    ///
    /// With a filter only the suites run, and what stands after `--` goes to nextest as it is:
    /// `cargo xtask test -- fingerprint`, `cargo xtask test -- -E 'package(capauth-store)'`.
    Test {
        /// Test names, or any option of `cargo nextest run`.
        #[arg(last = true)]
        filter: Vec<String>,
    },
    /// Check the form: rustfmt, clippy, rustdoc, and each combination of features by itself.
    Lint,
    /// Check licences, banned crates and sources of every dependency (see deny.toml).
    ///
    /// Advisories are left out, for they change without a change here; ask for them with
    /// `cargo deny check advisories`.
    Deny,
    /// Everything a change must pass: lint, deny, test; with the time each took.
    Ci,
    /// Measure a release build: what a login or a guarded request costs.
    Bench {
        /// What to measure.
        what: Bench,
        /// Options of the measuring program; `--help` after `--` lists them.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Sign in against a release build for a long time and watch its memory.
    Soak {
        /// Options of the measuring program; `--help` after `--` lists them.
        #[arg(last = true)]
        args: Vec<String>,
    },
}

/// What `bench` measures.
#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Server CPU time of a login: challenge and verify.
    Login,
    /// What a guard adds to a request whose token was seen before.
    Guard,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Setup => setup::for_everything(),
        Chore::Test { filter } => checks::test(&filter),
        Chore::Lint => checks::lint(),
        Chore::Deny => checks::deny(),
        Chore::Ci => checks::ci(),
        Chore::Bench { what: Bench::Login, args } => measure::run("login", &args),
        Chore::Bench { what: Bench::Guard, args } => measure::run("guard", &args),
        Chore::Soak { args } => measure::run("soak", &args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
