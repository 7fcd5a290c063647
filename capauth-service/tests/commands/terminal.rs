//! A command at a terminal, where somebody answers its questions.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::support::{Place, Said};

/// Runs a command in a terminal of its own, and types each answer once its question was asked; a passphrase, once the
/// terminal does not show any longer what is typed.
pub fn at_a_terminal(place: &Place, arguments: &str, answers: &[(&str, &str)]) -> Said {
    answering(place, arguments, answers, false)
}

/// The same for a command that asks for passphrases.
pub fn asked_in_secret(place: &Place, arguments: &str, answers: &[(&str, &str)]) -> Said {
    answering(place, arguments, answers, true)
}

/// Whether the terminal of a process's child hides what is typed.
fn hides(script: u32) -> bool {
    let children =
        std::fs::read_to_string(format!("/proc/{script}/task/{script}/children")).unwrap_or_default();
    let terminal =
        children.split_whitespace().find_map(|child| std::fs::read_link(format!("/proc/{child}/fd/0")).ok());
    let Some(terminal) = terminal else { return false };
    let settings =
        Command::new("stty").arg("-F").arg(terminal).arg("-a").output().expect("`stty` is there: coreutils");
    String::from_utf8_lossy(&settings.stdout).split_whitespace().any(|setting| setting == "-echo")
}

fn answering(place: &Place, arguments: &str, answers: &[(&str, &str)], in_secret: bool) -> Said {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_capauth-service"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env_clear().env("HOME", place.folder.path()).env("SHELL", "/bin/sh");
    command.env("PATH", std::env::var_os("PATH").unwrap()).current_dir(place.folder.path());
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("`script` is there: util-linux");
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut out = String::new();
    for (question, answer) in answers {
        let from = out.len();
        while !out[from..].contains(question) {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "{question:?} was not asked: {out}");
            out.push(char::from(byte[0]));
        }
        // The question is asked a moment before.
        while in_secret && !hides(child.id()) {
            std::thread::yield_now();
        }
        writeln!(stdin, "{answer}").unwrap();
    }
    stdout.read_to_string(&mut out).unwrap();
    drop(stdin);
    let code = child.wait().unwrap().code();
    Said { code, out: out.replace('\r', ""), err: String::new() }
}
