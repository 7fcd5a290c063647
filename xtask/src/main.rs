//! The project's own chores, in Rust, so that they read and behave the same on every machine.
//!
//! `cargo xtask help` lists them. Each says what it is doing, one line a step, and stops at the first
//! step that fails with a line that says what to do about it.
#![expect(clippy::print_stderr, reason = "progress lines are half of what this program is for")]

mod book;
mod checks;
mod fuzz;
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
    /// cargo-nextest (by cargo), gpg, Chromium and the libraries of the other OpenPGP backends (by apt, as root or
    /// through sudo), OpenPGP.js and Playwright (by npm, into tests/js/node_modules) and the Python client (by pip,
    /// into target/venv). Nothing is installed twice.
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
    /// Build the book of docs/ into target/book, and check that it has no warning and no dead link.
    Book,
    /// Look for inputs that break a property: libFuzzer over the targets of fuzz/, each for a bounded time.
    ///
    /// One line for each: executions, code reached, inputs that matter. It stops at a finding, with the command that
    /// shows it again. The test run replays what is kept, without libFuzzer.
    Fuzz {
        /// One target; all of them when there is none.
        target: Option<String>,
        /// Seconds for each target.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Take a few of the inputs that reach something new into fuzz/corpus.
        #[arg(long)]
        minimise: bool,
        /// Run this one input through the target, and nothing else.
        #[arg(long, value_name = "FILE")]
        input: Option<std::path::PathBuf>,
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
        Chore::Book => book::build(),
        Chore::Fuzz { target, seconds, minimise, input } => {
            fuzz::run(&fuzz::Wish { target: target.as_deref(), seconds, minimise, input: input.as_deref() })
        }
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
