//! `linkspan graph`: a drawing of what a file sets up.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use linkspan::lab::topology;
use linkspan::observe::graph;

use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict};

/// Draw hosts, networks, containers and machines outside
///
/// The file's services are started and its steps made; what there is then is drawn, with the addresses Docker gave.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan graph compose.yaml                              Mermaid, for a README on GitHub
  linkspan graph --format svg -o net.svg scenarios/compose/front-back.yaml
  linkspan graph --format dot compose.yaml | dot -Tpng > net.png

Exit codes: 0 drawn, 2 the file was refused or cannot be brought up.")]
pub(super) struct Arguments {
    /// A scenario or Compose file, or a folder with a Compose file; without it, this folder
    #[arg(conflicts_with = "files")]
    file: Option<PathBuf>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// How it is drawn
    #[arg(long, value_name = "FORMAT", default_value = "mermaid")]
    format: Format,
    /// Write into this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How a topology is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A Mermaid flowchart
    Mermaid,
    /// Graphviz
    Dot,
    /// A picture; no other program is needed
    Svg,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let project = arguments.compose.project(arguments.file.as_deref())?;
    let Some(scenario) = arguments.load.load(&project, terminal) else { return Ok(Verdict::BadInput) };
    let found = match topology::topology(&scenario, 0) {
        Ok(found) => found,
        Err(diagnostic) => {
            terminal.error(&diagnostic.render(&scenario.sources, terminal.error_style().is_colour()));
            return Ok(Verdict::BadInput);
        }
    };
    let text = match arguments.format {
        Format::Mermaid => graph::mermaid(&found),
        Format::Dot => graph::dot(&found),
        Format::Svg => graph::svg(&found),
    };
    match &arguments.output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?
        }
        None => terminal.line(text.trim_end()),
    }
    Ok(Verdict::Passed)
}
