//! `linkspan completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::terminal::Terminal;
use super::{Cli, Verdict};

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan completions bash > ~/.local/share/bash-completion/completions/linkspan
  linkspan completions fish > ~/.config/fish/completions/linkspan.fish")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "linkspan", &mut script);
    terminal.line(String::from_utf8(script)?.trim_end());
    Ok(Verdict::Passed)
}
