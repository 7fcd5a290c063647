//! Tests and checks: what a change must pass.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::{Failure, Outcome, cargo, output_of, root, short, step, succeeds, target_dir};
use crate::setup;

/// Sets of features that must compile by themselves: the package, and its features without the defaults.
///
/// The workspace's own build turns everything on together, so what a crate forgot to ask for shows only here.
const ALONE: &[(&str, &str)] = &[
    ("capauth-verifier", "crypto-openssl"),
    ("capauth-verifier", "crypto-nettle"),
    ("capauth-verifier", "crypto-rust,wkd"),
    ("capauth-axum", "crypto-rust"),
    ("capauth-actix", "crypto-rust,remote"),
    ("capauth-rocket", "crypto-rust,sqlite"),
];

/// The crates that hand the choice of an OpenPGP backend on, and the backends there are.
const HANDING_ON: &[&str] = &[
    "capauth-verifier",
    "capauth-tower",
    "capauth-axum",
    "capauth-actix",
    "capauth-rocket",
    "capauth-service",
];
const BACKENDS: &[&str] = &["crypto-rust", "crypto-openssl", "crypto-nettle"];

/// Cargo in the examples' own workspace, which builds into the same folder: what both stand on is built once.
fn in_examples(args: &str) -> Command {
    let mut cargo = cargo(args);
    cargo.current_dir(root().join("examples")).env("CARGO_TARGET_DIR", target_dir());
    cargo
}

/// The suites, then the examples in the documentation unless a filter asks for less.
pub(crate) fn test(filter: &[String]) -> Outcome {
    setup::for_tests()?;
    // The suites start them.
    step("examples", &mut in_examples("build --workspace --locked"))?;
    let environment = setup::test_environment();
    step(
        "tests",
        cargo("nextest run --workspace --locked --all-targets").args(filter).envs(environment.clone()),
    )?;
    if filter.is_empty() {
        step("documentation examples", cargo("test --doc --workspace --locked").envs(environment))?;
    }
    Ok(())
}

/// Form, warnings, documentation, features.
pub(crate) fn lint() -> Outcome {
    setup::for_lint()?;
    step("rustfmt", &mut cargo("fmt --all --check"))?;
    // Warnings stop a check, never a build: the flag stands here, and not in the source.
    step("clippy", &mut cargo("clippy --workspace --all-targets --locked -- -D warnings"))?;
    // Without --all, which would look at the crates above once more.
    step("rustfmt of the examples", &mut in_examples("fmt --check"))?;
    step("clippy of the examples", &mut in_examples("clippy --workspace --locked -- -D warnings"))?;
    of_the_fuzzer()?;
    step("rustdoc", cargo("doc --workspace --no-deps --locked").env("RUSTDOCFLAGS", "-D warnings"))?;
    for (package, features) in ALONE {
        let mut check = cargo("check --locked --no-default-features");
        step(
            &format!("{package} with {features} alone"),
            check.args(["-p", package, "--features", features]),
        )?;
    }
    backends()?;
    features_of_the_examples()
}

/// The form of the engine's workspace, and whether its lock file knows what the workspace above asks for. It is not
/// built: what it runs is the library `capauth-fuzz`, which the steps before look at.
fn of_the_fuzzer() -> Outcome {
    let in_fuzzer = |args: &str| {
        let mut cargo = cargo(args);
        cargo.current_dir(root().join("fuzz/libfuzzer"));
        cargo
    };
    step("rustfmt of the fuzzer", &mut in_fuzzer("fmt --check"))?;
    if succeeds(&mut in_fuzzer("metadata --locked --format-version 1")) {
        return Ok(());
    }
    Err(Failure::new("fuzz/libfuzzer/Cargo.lock is behind: run `cargo update --workspace` in fuzz/libfuzzer"))
}

/// Whether the examples ask for the features that the workspace above turns on: else all that stands on such a crate is
/// built twice, Sequoia and SQLite not least.
fn features_of_the_examples() -> Outcome {
    eprintln!("\n==> the examples' features are the workspace's");
    let tree = |mut cargo: Command| {
        let lines = output_of(cargo.args(["--prefix", "none", "--format", "{p}: {f}"]));
        lines.ok_or_else(|| Failure::new("cargo tree failed"))
    };
    let ours = tree(cargo("tree --workspace --locked"))?;
    let theirs = tree(in_examples("tree --workspace --locked"))?;
    let name = |line: &str| line.trim_end_matches(" (*)").to_owned();
    let ours: BTreeSet<_> = ours.lines().map(name).collect();
    // A crate of our own has its folder behind its version; they are built for each workspace anyway.
    let theirs = theirs.lines().map(name).filter(|line| !line.contains('/'));
    let other: BTreeSet<_> = theirs.filter(|line| !ours.contains(line)).collect();
    if other.is_empty() {
        return Ok(());
    }
    let other = other.into_iter().collect::<Vec<_>>().join("\n  ");
    Err(Failure::new(format!(
        "the workspace builds these with other features, so name those in examples/shared-build/Cargo.toml:\n  {other}"
    )))
}

/// Whether each crate, asked for one OpenPGP backend, gets that one and no other: Sequoia takes exactly one.
fn backends() -> Outcome {
    eprintln!("\n==> one OpenPGP backend a build");
    for (package, backend) in HANDING_ON.iter().flat_map(|package| BACKENDS.iter().map(move |b| (package, b)))
    {
        let mut tree = cargo("tree --locked --no-default-features -e no-dev,features -i sequoia-openpgp");
        let tree = output_of(tree.args(["-p", package, "--features", backend]))
            .ok_or_else(|| Failure::new(format!("cargo tree failed for {package} with {backend}")))?;
        let found: Vec<_> = BACKENDS.iter().filter(|name| tree.contains(&sequoia_feature(name))).collect();
        if found != [backend] {
            return Err(Failure::new(format!("{package} with {backend} builds Sequoia with {found:?}")));
        }
    }
    Ok(())
}

/// How `cargo tree` writes a feature of Sequoia's.
fn sequoia_feature(name: &str) -> String {
    format!("sequoia-openpgp feature \"{name}\"")
}

/// Licences, bans and sources of the dependencies.
pub(crate) fn deny() -> Outcome {
    setup::for_deny()?;
    step("dependencies", &mut cargo("deny --locked check licenses bans sources"))?;
    Ok(())
}

/// A part of `ci`: its name, and what it does.
type Part = (&'static str, fn() -> Outcome);

/// The whole, with the time of each part.
pub(crate) fn ci() -> Outcome {
    let parts: [Part; 4] =
        [("lint", lint), ("deny", deny), ("book", crate::book::build), ("test", || test(&[]))];
    let mut times = Vec::new();
    for (name, part) in parts {
        let started = Instant::now();
        let outcome = part();
        times.push((name, started.elapsed()));
        if outcome.is_err() {
            report(&times);
            return outcome;
        }
    }
    report(&times);
    eprintln!("All passed.");
    Ok(())
}

fn report(times: &[(&str, Duration)]) {
    eprintln!();
    for (name, time) in times {
        eprintln!("{name:>6}  {}", short(*time));
    }
}
