//! `man`: manual pages.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::{CommandLine, Failure};

const AFTER: &str = "\
Examples:
  capauth-service man | man -l -
  capauth-service man keys revoke | man -l -
  capauth-service man --folder /usr/local/share/man/man1";

/// Print the manual page, or that of a command.
///
/// Pages are in the roff format, which `man -l` shows.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Pages {
    /// The command whose page to print, such as `keys revoke`
    #[arg(value_name = "COMMAND", conflicts_with = "folder")]
    command: Vec<String>,
    /// Write all pages into this folder instead, as capauth-service.1, capauth-service-keys.1 and so on
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Pages {
    pub(super) fn print(&self) -> Result<(), Failure> {
        // `help` would get pages that say nothing.
        let mut root = CommandLine::command().disable_help_subcommand(true);
        root.build();
        if let Some(folder) = &self.folder {
            return clap_mangen::generate_to(root, folder).map_err(|error| {
                Failure::failed(format_args!("cannot write into {}: {error}", folder.display()))
            });
        }
        let mut wanted = &root;
        for name in &self.command {
            wanted = wanted.find_subcommand(name).ok_or_else(|| unknown(wanted, name))?;
        }
        let mut page = Vec::new();
        Man::new(wanted.clone()).render(&mut page)?;
        let mut out = std::io::stdout().lock();
        out.write_all(&page)?;
        Ok(out.flush()?)
    }
}

fn unknown(inside: &Command, name: &str) -> Failure {
    let known: Vec<_> = inside.get_subcommands().map(Command::get_name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Failure::unusable(format_args!("there is no command {name:?} here; there are: {known}"))
}
