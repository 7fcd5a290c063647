//! Every input that is kept, and some thousand mutations of it, through its target.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests fail at once and loudly"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use capauth_fuzz::mutate::{Chance, mutate};
use capauth_fuzz::{Outcome, TARGETS, Target, corpus_folder, find};

/// Larger ones say nothing more.
const MAX_FILE: usize = 16 * 1024;
/// So many in all: they are read with every run of the tests.
const MAX_FILES: usize = 600;

fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = target.corpus();
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort_unstable();
    files
}

/// Runs an input; one that something does not hold of is kept, and the way to see it again said.
fn run(target: &Target, what: &str, input: &[u8]) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).unwrap_or_else(|panic| {
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-found", target.name));
        fs::write(&kept, input).unwrap();
        eprintln!("{what} of {}: kept as {}", target.name, kept.display());
        eprintln!("again: cargo xtask fuzz {} --input {}", target.name, kept.display());
        resume_unwind(panic)
    })
}

fn replay(name: &str) {
    let target = find(name).expect("a target of this name");
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "the corpus of {name} is empty");
    let mut accepted = 0;
    for (file, input) in &corpus {
        assert!(input.len() <= MAX_FILE, "{file} is large");
        accepted += usize::from(run(target, file, input) == Outcome::Accepted);
    }
    assert!(accepted > 0, "{name} accepts nothing of its corpus: its properties are never looked at");
    let mut chance = Chance::of(name);
    for _ in 0..target.mutations {
        let (one, other) = (&corpus[chance.below(corpus.len())].1, &corpus[chance.below(corpus.len())].1);
        run(target, "a mutation", &mutate(&mut chance, one, other, target.longest));
    }
}

macro_rules! replay {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { replay(stringify!($name)); })*
    };
}

replay! {
    certificate certificate_armored claims configuration email fingerprint headers names payload query redirect
    refresh_token requests responses session_cookie signature_cleartext signature_detached signature_inline token
    web_key_directory
}

#[test]
fn every_target_is_replayed_and_every_corpus_has_its_target() {
    assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), TESTED);
    let mut files = 0;
    for folder in fs::read_dir(corpus_folder()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        files += corpus(find(&name).unwrap_or_else(|| panic!("no target for the corpus {name}"))).len();
    }
    assert!(files <= MAX_FILES, "{files} files: take some out again");
}
