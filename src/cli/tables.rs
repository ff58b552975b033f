//! `linkspan tables`: every table of every namespace at an instant of a run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use linkspan::lab::tables::{self, Moment, NoSnapshot};
use linkspan::scenario::render::counted;

use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict};

/// Show FDB, neighbours, routes, rules, connections, sockets and DNS names of every namespace
///
/// At the end of the run, behind one of its steps, or at a moment of virtual time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan tables scenarios/quickstart.yaml
  linkspan tables --of host --after-step 1 scenarios/quickstart.yaml   what step 1 left behind
  linkspan tables --of web --at 1.5s lab.yaml
  linkspan tables --format json lab.yaml

Exit codes: 0 shown, 2 bad input or the file cannot be run so far.")]
pub(super) struct Arguments {
    /// A scenario or Compose file, or a folder with a Compose file; without it, this folder
    #[arg(conflicts_with = "files")]
    file: Option<PathBuf>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// Only this container, service, host, machine or LAN; may be repeated
    #[arg(long, value_name = "NAME")]
    of: Vec<String>,
    /// At this moment of virtual time: 300ms, 1.5s, 2m
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Duration>,
    /// Behind so many steps; 0 is when everything was started
    #[arg(long, value_name = "N", conflicts_with = "at")]
    after_step: Option<usize>,
    /// How they are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Another order of what happens at equal times and other random values
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// How tables are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let project = arguments.compose.project(arguments.file.as_deref())?;
    let Some(scenario) = arguments.load.load(&project, terminal) else { return Ok(Verdict::BadInput) };
    let moment = match (arguments.at, arguments.after_step) {
        (Some(time), _) => Moment::At(time),
        (None, Some(step)) => Moment::AfterStep(step),
        (None, None) => Moment::End,
    };
    let snapshot = match tables::at(&scenario, arguments.seed, moment) {
        Ok(snapshot) => snapshot,
        Err(NoSnapshot::Failed(diagnostic)) => {
            terminal.error(&diagnostic.render(&scenario.sources, terminal.error_style().is_colour()));
            return Ok(Verdict::BadInput);
        }
        Err(NoSnapshot::NoStep { wanted, steps }) => {
            bail!(
                "there is no step {wanted}: {} has {}",
                project.file.display(),
                counted(steps as u64, "step")
            );
        }
    };
    let snapshot =
        if arguments.of.is_empty() { snapshot } else { snapshot.chosen(&scenario, &arguments.of)? };
    match arguments.format {
        Format::Text => terminal.lines(&snapshot.text(terminal.style())),
        Format::Json => terminal.line(&snapshot.json().to_string()),
    }
    Ok(Verdict::Passed)
}

/// A moment as people write it: a number and `ms`, `s`, `m` or `h`; without a unit, seconds.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time; write 300ms, 1.5s, 2m or 1h");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(time("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(time("1h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(time("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "s", "-1s", "1d", "infs", "1e300s", "½s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
