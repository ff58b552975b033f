//! `linkspan explain`: why one place reaches another, or why not, hop by hop.

use std::ffi::{OsStr, OsString};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use linkspan::lab::{self, ExplainError, ExplainOptions, Layout, Question};

use super::check::show_warnings;
use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict};

/// Say why one place reaches another or does not, hop by hop
///
/// Builds the file's networks and containers, does its steps, then makes one real attempt: the name is looked up, the
/// connection opened, and every place the packets came through is told, there and back. The verdict names the reason,
/// the rule and the line of the file that caused it.
#[derive(Debug, Args)]
#[command(after_help = "\
FROM is a service, a container, host, host:NAME or world:NAME. TO is a name, an address, host, world:NAME or
localhost; without a port it is pinged. PROTO is tcp (as without it), udp or icmp. Quote the arrow: the shell takes
an unquoted > for itself.

Examples:
  linkspan explain compose.yaml \"web -> db:5432\"
  linkspan explain compose.yaml web '->' db:53/udp
  linkspan explain -f compose.yaml -f compose.ci.yaml \"web -> db\"
  linkspan explain lab.yaml \"world:outside -> host:8080\"
  linkspan explain --before-steps lab.yaml \"web -> db\"
  linkspan explain --format json compose.yaml \"web -> db:5432\"

JSON is one object: attempt, outcome, seen, sentence, errors, drop, cause, lookup, passages (one for each packet, with
its hops), story. Fields are only ever added.

Exit codes: 0 it was reached, 1 it was not, 2 the file or the question was refused.")]
pub(super) struct Arguments {
    /// A scenario or Compose file, or a folder with a Compose file
    file: OsString,
    /// FROM -> TO[:PORT[/PROTO]], quoted; or FROM alone, and the arrow and TO after it
    #[arg(value_name = "FROM -> TO", required_unless_present = "files", allow_hyphen_values = true)]
    question: Option<String>,
    #[arg(hide = true, allow_hyphen_values = true)]
    arrow: Option<String>,
    #[arg(hide = true)]
    to: Option<String>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// Ask before the file's steps, not after them
    #[arg(long)]
    before_steps: bool,
    /// Another order of what happens at equal times, other losses and other random values
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Bytes of payload to send, to see where large packets end
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1..=60_000))]
    size: Option<u16>,
    /// How the answer is given
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Tell every event besides
    #[arg(short, long)]
    verbose: bool,
}

/// How the answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let words = [&arguments.question, &arguments.arrow, &arguments.to];
    let words: Vec<Option<&OsStr>> = [Some(arguments.file.as_os_str())]
        .into_iter()
        .chain(words.map(|word| word.as_deref().map(OsStr::new)))
        .collect();
    let (project, words) = arguments.compose.project_before(&words)?;
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let question: Question = words.join(" ").parse().context("the question is not understood")?;
    let Some(scenario) = arguments.load.load(&project, terminal) else { return Ok(Verdict::BadInput) };
    show_warnings(&scenario, arguments.verbose, terminal);
    let options = ExplainOptions {
        seed: arguments.seed,
        before_steps: arguments.before_steps,
        size: arguments.size.map(usize::from),
        verbose: arguments.verbose,
    };
    let explanation = match lab::explain(&scenario, &question, options) {
        Ok(explanation) => explanation,
        Err(ExplainError::Scenario(diagnostic)) => {
            terminal.error(&diagnostic.render(&scenario.sources, terminal.error_style().is_colour()));
            return Ok(Verdict::BadInput);
        }
        Err(error) => return Err(error.into()),
    };
    match arguments.format {
        Format::Json => terminal.line(&explanation.to_json().to_string()),
        Format::Text => {
            let layout = if terminal.style().is_colour() { Layout::Ansi } else { Layout::Plain };
            terminal.line(&explanation.render(layout));
        }
    }
    Ok(if explanation.outcome.is_reached() { Verdict::Passed } else { Verdict::Failed })
}
