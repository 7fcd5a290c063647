//! `completions`: what the Tab key knows.

use std::io::Write as _;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{CommandLine, Failure};

const AFTER: &str = "\
Examples:
  capauth-service completions bash > /usr/share/bash-completion/completions/capauth-service
  capauth-service completions zsh > ~/.zfunc/_capauth-service
  capauth-service completions fish > ~/.config/fish/completions/capauth-service.fish";

const NAME: &str = "capauth-service";
const BASH_NAME: &str = "capauth_service";

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn print(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        // Under a name with a dash, what clap_complete makes for bash completes nothing after a command (clap-rs/clap 6421):
        // it is made under another name.
        let name = if self.shell == Shell::Bash { BASH_NAME } else { NAME };
        clap_complete::generate(self.shell, &mut CommandLine::command(), name, &mut script);
        if self.shell == Shell::Bash {
            let text = String::from_utf8_lossy(&script);
            script =
                text.replace(&format!("default {BASH_NAME}\n"), &format!("default {NAME}\n")).into_bytes();
        }
        let mut out = std::io::stdout().lock();
        out.write_all(&script)?;
        Ok(out.flush()?)
    }
}
