//! The book says what is so: every example in it is compiled, run, loaded or parsed, every link leads somewhere, every
//! setting and every error is in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use capauth_protocol::ErrorCode;
use capauth_service::Config;
use capauth_tests::book::COMPILED;
use capauth_tests::foreign::succeed;
use capauth_tests::service::{Service, service_binary, workspace};
use serde_json::Value;

/// Languages of programs that are not here, and pictures: shown, not run.
const SHOWN: &[&str] = &["text", "mermaid", "nginx", "caddy", "ini", "promql", "yaml"];

/// A fenced block: the file, its line there, what stands behind the fence, the text.
#[derive(Debug)]
struct Block {
    place: String,
    kind: String,
    text: String,
}

fn docs() -> PathBuf {
    workspace().join("docs")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The chapters, by their files' names, as the table of contents has them.
fn chapters() -> Vec<String> {
    let summary = read(&docs().join("SUMMARY.md"));
    links(&summary).into_iter().filter(|link| link.ends_with(".md")).collect()
}

fn blocks(chapter: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (number, line) in read(&docs().join(chapter)).lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(kind), None) => {
                let place = format!("docs/{chapter}:{}", number + 1);
                open = Some(Block { place, kind: kind.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "docs/{chapter}: a block does not end");
    blocks
}

fn of_kind(kinds: &[&str]) -> Vec<Block> {
    let all = chapters().into_iter().flat_map(|chapter| blocks(&chapter));
    all.filter(|block| kinds.contains(&block.kind.as_str())).collect()
}

/// What stands in round brackets behind square ones, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !(code || fence)
    });
    let prose: String = lines.flat_map(|line| [line, "\n"]).collect();
    // A span of code may hold brackets of its own.
    let prose: String = prose.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The name under which a heading is linked to, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let mut code = false;
    let headings = text.lines().filter(|line| {
        code ^= line.trim_start().starts_with("```");
        !code && line.starts_with('#')
    });
    headings.map(|heading| anchor(heading.trim_start_matches('#'))).collect()
}

#[test]
fn every_chapter_is_in_the_table_of_contents_and_there() {
    let chapters: BTreeSet<String> = chapters().into_iter().collect();
    let files = fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        files.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect();
    assert_eq!(files, chapters, "files of docs/, and docs/SUMMARY.md");
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    let chapters = chapters().into_iter().map(|chapter| docs().join(chapter));
    let others = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "examples/README.md"];
    for file in chapters.chain(others.iter().map(|name| workspace().join(name))) {
        let text = read(&file);
        for link in
            links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        {
            let (path, place) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            // Outside of docs/ there is nothing once the book is built.
            let leaves = file.starts_with(docs()) && path.starts_with("..");
            let there = target.exists();
            let found = place.is_empty() || (there && anchors(&read(&target)).contains(place));
            if leaves || !there || !found {
                dead.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

/// A block of an unknown kind is one that nothing holds.
#[test]
fn every_example_is_of_a_kind_that_is_held() {
    for chapter in chapters() {
        for Block { place, kind, .. } in blocks(&chapter) {
            match kind.as_str() {
                "rust" | "rust,no_run" => {
                    assert!(
                        COMPILED.contains(&chapter.as_str()),
                        "{place}: name the chapter in tests/src/book.rs"
                    );
                }
                "toml" | "toml,cargo" | "json" | "bash" | "sh" | "console" => {}
                kind => assert!(SHOWN.contains(&kind), "{place}: nothing holds a block of `{kind}`"),
            }
        }
    }
}

#[test]
fn json_is_json() {
    for Block { place, text, .. } in of_kind(&["json"]) {
        serde_json::from_str::<Value>(&text).unwrap_or_else(|e| panic!("{place}: {e}"));
    }
}

/// Loaded as the service would. Files that it names need not be there.
#[test]
fn toml_is_a_configuration_of_the_service_or_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("a secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
    fs::write(&certificate, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let configurations = of_kind(&["toml"]);
    assert!(!configurations.is_empty());
    for Block { place, text, .. } in configurations {
        // Paths of an operator's machine: here any secret does, and any certificate.
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some((key, _)) if key.ends_with("_file") && key != "audit_file" => format!("{key} = {secret:?}"),
            Some(("tls_cert", _)) => format!("tls_cert = {certificate:?}"),
            Some(("tls_key", _)) => format!("tls_key = {key:?}"),
            _ => line.to_owned(),
        });
        let file = folder.path().join("capauth.toml");
        fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        let home = [("HOME".into(), folder.path().into())];
        let loaded = Config::load(["capauth-service", "--config", file.to_str().unwrap()], home);
        loaded.unwrap_or_else(|error| panic!("{place}: {error:?}"));
    }
    let manifest = read(&workspace().join("Cargo.toml"));
    for Block { place, text, .. } in of_kind(&["toml,cargo"]) {
        for line in text.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')) {
            let (name, version) = line.split_once(" = ").unwrap();
            let version = version.split('"').nth(1).unwrap_or_else(|| panic!("{place}: {line}"));
            let known = [format!("\n{name} = \"{version}"), format!("\n{name} = {{ version = \"{version}")];
            let own = name.starts_with("capauth-") && manifest.contains(&format!("{name} = {{ path"));
            assert!(
                own || known.iter().any(|known| manifest.contains(known)),
                "{place}: not this version: {line}"
            );
        }
    }
}

/// Where the book's service listens.
const PRINTED: &str = "http://127.0.0.1:8420";

fn shell(script: &str, folder: &Path) -> Command {
    let binary = service_binary();
    let mut path = vec![binary.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
    shell.env("PATH", std::env::join_paths(path).unwrap());
    shell
}

#[test]
fn shell_in_bash_runs_against_the_service() {
    let service = Service::start(&[]);
    let blocks = of_kind(&["bash"]);
    assert!(!blocks.is_empty());
    for Block { place, text, .. } in blocks {
        let folder = tempfile::tempdir().unwrap();
        println!("{place}");
        succeed(&mut shell(&text.replace(PRINTED, service.url()), folder.path()));
    }
}

/// What is not run is well-formed, and names subcommands and options that there are. A `console` is a session, answers and
/// all; what is typed stands behind a `$`.
#[test]
fn shell_in_sh_and_console_is_well_formed_and_names_options_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    for Block { place, kind, text } in of_kind(&["sh", "console"]) {
        println!("{place}");
        let typed = |line: &str| match kind.as_str() {
            "console" => line.trim_start().strip_prefix("$ ").map(str::to_owned),
            _ => Some(line.to_owned()),
        };
        let script = text.lines().filter_map(typed).collect::<Vec<_>>().join("\n");
        assert!(!script.is_empty(), "{place}: nothing is typed");
        succeed(Command::new("bash").args(["-n", "-c", &script]));
        for line in script.replace("\\\n", " ").lines() {
            for command in line.split(['|', '>', '<', '#', ';', '&']) {
                names_what_there_is(&place, command, folder.path());
            }
        }
    }
}

/// Whether the service's program has the subcommand and the options of a command, if it is one of that program's.
fn names_what_there_is(place: &str, command: &str, folder: &Path) {
    let Some((_, arguments)) = command.split_once("capauth-service ") else { return };
    let words: Vec<&str> = arguments.split_whitespace().skip_while(|word| *word == "--").collect();
    // Subcommands come first, and are plain words; what follows may look like one, and then is none of theirs.
    let plain = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut subcommand: Vec<&str> = words.iter().take_while(plain).copied().collect();
    let help = loop {
        let help = format!("capauth-service {} --help", subcommand.join(" "));
        let output = shell(&help, folder).output().unwrap();
        match subcommand.len() {
            _ if output.status.success() => break String::from_utf8(output.stdout).unwrap(),
            0 | 1 => panic!("{place}: there is no such subcommand: {command}"),
            _ => subcommand.pop(),
        };
    };
    for option in words.iter().filter(|word| word.starts_with("--")) {
        let name = option.split('=').next().unwrap_or(option);
        assert!(help.contains(name), "{place}: there is no {name}: {command}");
    }
}

/// The options that `--help` lists: the variable, and the default where one is told.
fn settings() -> Vec<(String, Option<String>)> {
    let help = succeed(Command::new(service_binary()).arg("--help").env("COLUMNS", "1000")).stdout;
    let help = String::from_utf8(help).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let told = help.split("[CAPAUTH_").skip(1).filter_map(|rest| rest.split_once(']'));
    let setting = |told: &str| match told.split_once(", default: ") {
        Some((name, default)) => (format!("CAPAUTH_{name}"), Some(default.to_owned())),
        None => (format!("CAPAUTH_{told}"), None),
    };
    told.map(|(told, _)| setting(told)).collect()
}

/// The table of the README, which is a part of the chapter on settings.
#[test]
fn every_setting_is_in_the_table_with_its_default() {
    let readme = read(&workspace().join("README.md"));
    let (_, rest) = readme.split_once("ANCHOR: settings").expect("the table is marked");
    let (table, _) = rest.split_once("ANCHOR_END: settings").expect("the mark ends");
    let settings = settings();
    assert!(settings.len() > 30, "{settings:?}");
    for (name, default) in settings {
        // A secret is a row; the file that holds it is told of above the table. The file of settings is no setting.
        let names =
            [name.clone(), name.trim_end_matches("_FILE").to_owned(), name.replace("_FILE", "_ARMOR")];
        let row = table.lines().find(|line| {
            line.starts_with('|') && names.iter().any(|name| line.contains(&format!("`{name}`")))
        });
        let Some(row) = row else {
            assert_eq!(name, "CAPAUTH_CONFIG", "{name} is not in the table of README.md");
            continue;
        };
        let default = default.unwrap_or_default().replace("{SERVICE_ID}", "{service id}");
        assert!(row.contains(&default), "{name}: the default is {default}, and the table says\n{row}");
    }
}

#[test]
fn every_error_has_its_line_in_troubleshooting() {
    let chapter = read(&docs().join("troubleshooting.md"));
    for code in ErrorCode::ALL {
        let row = chapter.lines().find(|line| line.starts_with(&format!("| `{code}` |")));
        let cells = row
            .unwrap_or_else(|| panic!("{code} is missing"))
            .split('|')
            .filter(|cell| !cell.trim().is_empty());
        assert_eq!(cells.count(), 3, "{code}: what it means, and what to do");
    }
}

/// What mdBook takes in from elsewhere is there.
#[test]
fn every_part_that_is_taken_in_is_marked() {
    for chapter in chapters() {
        for include in read(&docs().join(&chapter)).split("{{#include ").skip(1) {
            let (what, _) = include.split_once("}}").expect("it ends");
            let (file, mark) = what.split_once(':').expect("a part of a file");
            let text = read(&docs().join(file));
            for mark in [format!("ANCHOR: {mark}"), format!("ANCHOR_END: {mark}")] {
                assert_eq!(text.matches(&format!("<!-- {mark} -->")).count(), 1, "{file}: {mark}");
            }
            // A link to a file is another one from within the book.
            let (_, part) = text.split_once(&format!("<!-- ANCHOR: {mark} -->")).unwrap();
            let (part, _) = part.split_once("<!-- ANCHOR_END").unwrap();
            let away = links(part).into_iter().find(|link| !link.starts_with('#') && !link.contains("://"));
            assert_eq!(away, None, "{file}: a link in {mark} that leads nowhere in the book");
        }
    }
}

/// The boundaries that the model has to speak of.
#[test]
fn the_security_model_speaks_of_every_boundary() {
    let security = read(&workspace().join("SECURITY.md"));
    let (_, rest) = security.split_once("## Boundaries").expect("a chapter on boundaries");
    let table = rest.split("\n## ").next().unwrap();
    for boundary in
        ["browser", "network", "client", "application", "central service", "database", "administrator"]
    {
        let row = table.lines().find(|line| line.starts_with(&format!("| {boundary} |")));
        assert!(row.is_some_and(|row| row.contains("](#")), "{boundary}: no row that leads to its threats");
    }
}
