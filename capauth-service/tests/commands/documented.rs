//! The examples of `docs/commands.md`, done.

use std::process::Command;

use crate::support::person::Person;
use crate::support::{Place, output_of};

const PAGE: &str = include_str!("../../../docs/commands.md");

/// A command of the page, and what it is shown to print.
struct Example {
    command: String,
    shown: Vec<String>,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match line.strip_prefix("$ ") {
                Some(command) => examples.push(Example { command: command.to_owned(), shown: Vec::new() }),
                None => examples.last_mut().expect("a command first").shown.push(line.to_owned()),
            },
            (false, _) => {}
        }
    }
    examples
}

/// Whether a line is as shown, where `…` stands for anything.
fn fits(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

#[test]
fn every_example_of_the_page_works_and_prints_what_it_shows() {
    let place = Place::new();
    let file = "service_id = \"auth.example.com\"\nrequire_approval = true\ndb_path = \"keys.db\"\n";
    place.write("capauth.toml", file);
    std::fs::create_dir(place.path("man1")).unwrap();
    let service = place.start(&[("CAPAUTH_CONFIG", "capauth.toml")]);
    let person = Person::new();
    assert_eq!(person.log_in(&service).status, 403, "it waits");
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_capauth-service")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let examples = examples();
    assert!(examples.len() > 15, "{}", examples.len());
    for Example { command, shown } in examples {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("{{ {command}\n}} 2>&1")]).current_dir(place.folder.path());
        shell.env_clear().env("HOME", place.folder.path()).env("PATH", &path);
        shell.env("CAPAUTH_CONFIG", "capauth.toml").env("KEY", person.fingerprint());
        shell
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let output = output_of(shell);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}\n{said}");
        let mut lines = said.lines();
        for wanted in shown {
            assert!(
                wanted == "…" || lines.any(|line| fits(&wanted, line)),
                "{command}: no line {wanted:?} in\n{said}"
            );
        }
    }
    service.stop();
}
