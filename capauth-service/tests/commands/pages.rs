//! Help, completions and manual pages.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::Place;

const COMMANDS: [&[&str]; 12] = [
    &[],
    &["run"],
    &["check"],
    &["keygen"],
    &["keys"],
    &["keys", "list"],
    &["keys", "show"],
    &["keys", "approve"],
    &["keys", "revoke"],
    &["keys", "groups"],
    &["keys", "name"],
    &["man"],
];

#[test]
fn each_command_says_how_it_is_used_in_lines_that_fit() {
    let place = Place::new();
    for command in COMMANDS {
        for flag in ["--help", "-h"] {
            let help = place.run(&[command, &[flag]].concat(), &[]).good();
            assert!(help.contains("Usage: capauth-service") && help.contains("--help"), "{help}");
            for line in help.lines() {
                assert!(line.chars().count() <= 104, "{command:?}: {line}");
            }
        }
        // Where there are settings of the data, the command says how to give them.
        let takes_data = !["keygen", "man"].contains(command.first().unwrap_or(&"")) && *command != ["keys"];
        let help = place.run(&[command, &["--help"]].concat(), &[]).good();
        assert_eq!(help.contains("--db-path"), takes_data, "{command:?}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_run_is_what_no_command_is() {
    let place = Place::new();
    for wrong in
        [&["rnu"][..], &["keys"], &["--nonsense"], &["keys", "list", "--port", "1"], &["man", "nonsense"]]
    {
        let said = place.run(wrong, &[]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
        assert!(!said.err.is_empty());
    }
    let mut command = place.command();
    command.args(["--service-id", "before.example", "run", "--port", "0"]);
    let service = crate::support::Service::start(command);
    assert_eq!(service.get("/capauth/v1/status").json()["service"], "before.example");
    service.stop();
}

#[test]
fn every_shell_gets_completions_and_bash_completes_with_them() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell], &[]).good();
        assert!(script.contains("capauth-service") && script.contains("require-v2"), "{shell}");
    }
    assert_eq!(place.run(&["completions", "dos"], &[]).code, Some(2));
    place.write("script.bash", &place.run(&["completions", "bash"], &[]).good());
    let complete = |words: &str, current: &str| {
        let script = format!(
            "source ./script.bash; words=({words} {current}); COMP_WORDS=(capauth-service \"${{words[@]}}\"); \
             COMP_CWORD=${{#words[@]}}; function=$(complete -p capauth-service | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
             $function capauth-service {current} \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let mut bash = Command::new("bash");
        let output = bash.args(["-c", &script]).current_dir(place.folder.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
    };
    assert_eq!(complete("", "keyg"), "keygen\n");
    assert_eq!(complete("keys", "appr"), "approve\n");
    assert_eq!(complete("keys revoke", "--ye"), "--yes\n");
    assert_eq!(complete("", "--require-v"), "--require-v2\n");
    assert_eq!(complete("keys list", "--pend"), "--pending\n");
}

/// Shows a page as `man` does; answers it, and what was wrong with it.
fn shown(page: &str) -> (String, String) {
    let mut command = Command::new("groff");
    command.args(["-man", "-Tutf8", "-ww", "-P-cbou"]).env("GROFF_NO_SGR", "1");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("groff is there");
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn every_command_has_a_manual_page_that_can_be_shown() {
    let place = Place::new();
    for command in COMMANDS {
        let page = place.run(&[&["man"], command].concat(), &[]).good();
        let (text, complaints) = shown(&page);
        assert!(complaints.is_empty(), "{command:?}: {complaints}");
        let title = [&["capauth-service"], command].concat().join("-");
        for wanted in [title.as_str(), "NAME", "SYNOPSIS", "OPTIONS", "--help"] {
            assert!(text.contains(wanted), "{command:?} lacks {wanted}:\n{text}");
        }
    }
    std::fs::create_dir(place.path("man1")).unwrap();
    place.run(&["man", "--folder", "man1"], &[]).good();
    for name in ["capauth-service.1", "capauth-service-keygen.1", "capauth-service-keys-revoke.1"] {
        assert!(place.path("man1").join(name).exists(), "{name}");
    }
    assert!(place.run(&["man", "--folder", "nowhere"], &[]).refused(1).contains("nowhere"));
}
