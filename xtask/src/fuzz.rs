//! libFuzzer over the targets of `fuzz/`, each for a bounded time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, Outcome, output_of, program, root, step, target_dir};

/// What is asked of the fuzzer.
pub(crate) struct Wish<'a> {
    /// One target; all of them when `None`.
    pub(crate) target: Option<&'a str>,
    /// Seconds for each.
    pub(crate) seconds: u64,
    /// Take what was found into the corpora that are kept.
    pub(crate) minimise: bool,
    /// Run this one input instead.
    pub(crate) input: Option<&'a Path>,
}

/// Counters and comparisons for the engine to see where an input gets. All of it is in a stable compiler.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// Seconds that one input may take, and megabytes that the whole may. Nobody's login may cost as much.
const BOUNDS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1500"];
/// New inputs of a target that are kept: a few reach nearly as much as many.
const KEPT: usize = 12;
/// An input that is kept has at most so many bytes.
const KEPT_BYTES: u64 = 2 * 1024;

/// A target's name, and the length of its longest input.
struct Target {
    name: String,
    longest: String,
}

/// Runs what is wished for; stops at the first finding.
pub(crate) fn run(wish: &Wish<'_>) -> Outcome {
    let fuzzer = build()?;
    let targets = targets(&fuzzer)?;
    let wanted: Vec<&Target> =
        targets.iter().filter(|target| wish.target.is_none_or(|name| name == target.name)).collect();
    if wanted.is_empty() {
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        return Err(Failure::new(format!("no such target; there are {}", names.join(", "))));
    }
    match (wish.input, wanted.as_slice()) {
        (Some(input), [target]) => {
            let input =
                std::path::absolute(input).map_err(|e| Failure::new(format!("{}: {e}", input.display())))?;
            step(&format!("{} with {}", target.name, input.display()), on(&fuzzer, target).arg(input))
                .map(|_| ())
        }
        (Some(_), _) => Err(Failure::new("name the target that the input is for")),
        (None, targets) => {
            eprintln!(
                "\n{:<22} {:>10} {:>8} {:>7} {:>7}",
                "target", "executions", "a second", "edges", "inputs"
            );
            targets.iter().try_for_each(|target| {
                explore(&fuzzer, target, wish.seconds)?;
                if wish.minimise { minimise(&fuzzer, target) } else { Ok(()) }
            })
        }
    }
}

/// Builds the engine and everything under it, instrumented, apart from all else.
fn build() -> Outcome<PathBuf> {
    let missing = || Failure::new("rustc does not say for which machine it builds");
    let version = output_of(program("rustc").arg("-vV")).ok_or_else(missing)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or_else(missing)?;
    let folder = folder();
    let mut cargo = crate::run::cargo("build --locked");
    cargo.args(["--target", host]).current_dir(root().join("fuzz/libfuzzer"));
    cargo
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", INSTRUMENTED)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    step("fuzz targets, instrumented (some minutes, once)", &mut cargo)?;
    Ok(folder.join(host).join("debug/capauth-libfuzzer"))
}

fn folder() -> PathBuf {
    target_dir().join("libfuzzer")
}

fn targets(fuzzer: &Path) -> Outcome<Vec<Target>> {
    let list = output_of(program(fuzzer).env_remove("CAPAUTH_FUZZ_TARGET"))
        .ok_or_else(|| Failure::new("the fuzzer does not list its targets"))?;
    let target = |line: &str| {
        let (name, longest) = line.split_once(' ')?;
        Some(Target { name: name.to_owned(), longest: longest.to_owned() })
    };
    Ok(list.lines().filter_map(target).collect())
}

/// The engine on one target.
fn on(fuzzer: &Path, target: &Target) -> Command {
    let mut command = program(fuzzer);
    command.env("CAPAUTH_FUZZ_TARGET", &target.name).args(BOUNDS);
    command
}

/// The inputs of this machine, which grow, and those that are kept with the source.
fn corpora(target: &Target) -> Outcome<[PathBuf; 2]> {
    let own = folder().join("corpus").join(&target.name);
    fs::create_dir_all(&own).map_err(|e| Failure::new(format!("{}: {e}", own.display())))?;
    Ok([own, root().join("fuzz/corpus").join(&target.name)])
}

fn explore(fuzzer: &Path, target: &Target, seconds: u64) -> Outcome {
    let found = folder().join("found");
    fs::create_dir_all(&found).map_err(|e| Failure::new(format!("{}: {e}", found.display())))?;
    let mut command = on(fuzzer, target);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={}", target.longest));
    command.arg(format!("-artifact_prefix={}/{}-", found.display(), target.name)).arg("-print_final_stats=1");
    let dictionary = root().join("fuzz/dictionaries").join(format!("{}.dict", target.name));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let output = command.args(corpora(target)?).output();
    let output = output.map_err(|e| Failure::new(format!("{}: {e}", fuzzer.display())))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        let line = Line::of(&said);
        let rate = line.executions / seconds.max(1);
        eprintln!(
            "{:<22} {:>10} {rate:>8} {:>7} {:>7}",
            target.name, line.executions, line.edges, line.inputs
        );
        for caught in said.lines().filter(|line| line.starts_with("panicked at")) {
            eprintln!("    caught where it belongs: {caught}");
        }
        return Ok(());
    }
    let last: Vec<&str> = said.lines().rev().take(40).collect();
    eprintln!("{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
    let written = said.lines().rev().find_map(|line| line.split_once("Test unit written to "));
    let input = written.map_or("INPUT", |(_, path)| path.trim());
    Err(Failure::new(format!("found. Again: cargo xtask fuzz {} --input {input}", target.name)))
}

/// What the engine says at the end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    executions: u64,
    edges: u64,
    inputs: u64,
}

impl Line {
    fn of(said: &str) -> Self {
        let number =
            |text: &str| text.split(['/', ' ']).next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let mut line = Self::default();
        for text in said.lines() {
            if let Some((_, executions)) = text.split_once("number_of_executed_units: ") {
                line.executions = number(executions);
            }
            if let Some((_, edges)) = text.split_once(" cov: ") {
                line.edges = number(edges);
            }
            if let Some((_, inputs)) = text.split_once(" corp: ") {
                line.inputs = number(inputs);
            }
        }
        line
    }
}

/// Takes some of the inputs that reach what the corpus that is kept does not.
fn minimise(fuzzer: &Path, target: &Target) -> Outcome {
    let [own, kept] = corpora(target)?;
    let merged = folder().join("merged").join(&target.name);
    let failed = |e: std::io::Error| Failure::new(format!("{}: {e}", merged.display()));
    if merged.exists() {
        fs::remove_dir_all(&merged).map_err(failed)?;
    }
    fs::create_dir_all(&merged).map_err(failed)?;
    // What stands in the first folder counts as reached already.
    for (_, input) in inputs(&kept)? {
        fs::copy(&input, merged.join(input.file_name().unwrap_or_default())).map_err(failed)?;
    }
    let mut command = on(fuzzer, target);
    command.args(["-set_cover_merge=1", "-use_counters=0"]).args([&merged, &own]);
    if !command.output().map_err(failed)?.status.success() {
        return Err(Failure::new(format!("the corpus of {} cannot be merged", target.name)));
    }
    let mut new: Vec<(u64, PathBuf)> = inputs(&merged)?;
    new.retain(|(bytes, input)| {
        *bytes <= KEPT_BYTES && !kept.join(input.file_name().unwrap_or_default()).exists()
    });
    // The longer an input, the more it reaches, as a rule.
    new.sort_unstable_by(|one, other| other.cmp(one));
    for (_, input) in new.iter().take(KEPT) {
        fs::copy(input, kept.join(input.file_name().unwrap_or_default())).map_err(failed)?;
    }
    eprintln!("    {} of {} new inputs are kept", new.len().min(KEPT), new.len());
    Ok(())
}

/// The files of a folder, and how long they are.
fn inputs(folder: &Path) -> Outcome<Vec<(u64, PathBuf)>> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.and_then(|e| Ok((e.metadata()?.len(), e.path())))).collect()
    });
    entries.map_err(|e| Failure::new(format!("{}: {e}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says_is_read() {
        let said = "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 40Mb\n\
            #9\tDONE   cov: 123 ft: 456 corp: 78/9Kb lim: 4096 exec/s: 3 rss: 50Mb\n\
            stat::number_of_executed_units: 4711\n";
        assert_eq!(Line::of(said), Line { executions: 4711, edges: 123, inputs: 78 });
        assert_eq!(Line::of(""), Line::default());
    }
}
