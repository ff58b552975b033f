//! `linkspan matrix`: who reaches whom, by every name and address, each tried with real packets.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use linkspan::lab::matrix::{self, Scope};
use linkspan::scenario::junit::Junit;

use super::check::show_warnings;
use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict};

/// Show who reaches whom: every pair, every name and address
///
/// The file's services are started and its steps made, but not its checks. Then every container, the Docker host and
/// every machine outside tries all others: it resolves their names, pings, connects to every port they listen on or
/// expose, sends datagrams to UDP ports, and tries every published port. Servers say whom they see.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan matrix compose.yaml
  linkspan matrix scenarios/compose/front-back.yaml            two networks and what lies between
  linkspan matrix --verbose scenarios/docs/13-icc-false.yaml   every attempt with its outcome
  linkspan matrix --docker 20.10 compose.yaml                  as an older engine would have it
  linkspan matrix --format json compose.yaml                   for programs
  linkspan matrix --junit matrix.xml compose.yaml              for a CI system

JUnit: an attempt that reaches its target passes, one that does not is skipped, with its outcome as the message. What
must hold belongs into `checks:`.
The oracle format is that of recordings of a real engine: one ping and TCP port 80 of every container.

Exit codes: 0 measured, 2 the file was refused or cannot be brought up.")]
pub(super) struct Arguments {
    /// A scenario or Compose file, or a folder with a Compose file; without it, this folder
    #[arg(conflicts_with = "files")]
    file: Option<PathBuf>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Write a JUnit report, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Ping only, no ports
    #[arg(long)]
    pings_only: bool,
    /// Another order of what happens at equal times and other random values
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Every attempt by every name and address, and which keys of the file were not used
    #[arg(short, long)]
    verbose: bool,
}

/// How a matrix is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
    /// JUnit XML
    Junit,
    /// The lines of recordings of a real engine
    Oracle,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let project = arguments.compose.project(arguments.file.as_deref())?;
    let Some(scenario) = arguments.load.load(&project, terminal) else { return Ok(Verdict::BadInput) };
    show_warnings(&scenario, arguments.verbose, terminal);
    let scope = match (arguments.format, arguments.pings_only) {
        (Format::Oracle, _) => Scope::Oracle,
        (_, true) => Scope::Pings,
        (Format::Table | Format::Json | Format::Junit, false) => Scope::Everything,
    };
    let found = match matrix::matrix(&scenario, arguments.seed, scope) {
        Ok(found) => found,
        Err(diagnostic) => {
            terminal.error(&diagnostic.render(&scenario.sources, terminal.error_style().is_colour()));
            return Ok(Verdict::BadInput);
        }
    };
    let junit = || -> anyhow::Result<String> {
        let mut document = Junit::default();
        found.junit(&mut document);
        Ok(document.finish()?)
    };
    match arguments.format {
        Format::Table => {
            terminal.lines(&found.table(terminal.style(), arguments.verbose));
        }
        Format::Json => terminal.line(&found.json().to_string()),
        Format::Junit => terminal.line(junit()?.trim_end()),
        Format::Oracle => terminal.lines(&found.oracle()),
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, junit()?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Verdict::Passed)
}
