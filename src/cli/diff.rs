//! `linkspan diff`: which pairs reach each other differently in two files, or in two profiles of one file.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use linkspan::lab::matrix::{self, Change, Difference, Matrix, Scope};
use linkspan::scenario::Scenario;
use linkspan::scenario::render::{Style, counted};

use super::terminal::Terminal;
use super::{Engine, LoadArguments, Verdict, files};

/// Show which pairs reach each other differently in two files, or with two Docker releases
///
/// Both sides are measured as `linkspan matrix` does it, and compared by names, networks and ports; addresses may
/// differ.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan diff before.yaml after.yaml
  linkspan diff scenarios/docs/13-icc-false.yaml --profiles 20.10,28
  linkspan diff compose.yaml --profiles 20.10,28             what an upgrade changes
  linkspan diff --format json before.yaml after.yaml

Exit codes: 0 all pairs are the same, 1 some differ, 2 bad input.")]
pub(super) struct Arguments {
    /// The first file, or a folder with a Compose file
    before: PathBuf,
    /// The second; absent with --profiles
    #[arg(required_unless_present = "releases", conflicts_with = "releases")]
    after: Option<PathBuf>,
    /// Compare two Docker releases for one file
    #[arg(long = "profiles", value_name = "A,B", value_delimiter = ',', conflicts_with = "docker")]
    releases: Vec<Engine>,
    #[command(flatten)]
    load: LoadArguments,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Ping only, no ports
    #[arg(long)]
    pings_only: bool,
    /// Another order of what happens at equal times and other random values
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// How a comparison is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let Some(sides) = sides(arguments, terminal)? else { return Ok(Verdict::BadInput) };
    let scope = if arguments.pings_only { Scope::Pings } else { Scope::Everything };
    let mut measured: Vec<(String, Matrix)> = Vec::new();
    for (label, scenario) in sides {
        match matrix::matrix(&scenario, arguments.seed, scope) {
            Ok(found) => measured.push((label, found)),
            Err(diagnostic) => {
                terminal.error(&diagnostic.render(&scenario.sources, terminal.error_style().is_colour()));
                return Ok(Verdict::BadInput);
            }
        }
    }
    let [(before, old), (after, new)] = measured.as_slice() else { bail!("two sides are needed") };
    let difference = matrix::diff((before, old), (after, new));
    match arguments.format {
        Format::Json => terminal.line(&difference.json().to_string()),
        Format::Table => terminal.lines(&table(&difference, terminal.style())),
    }
    Ok(if difference.changes.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

/// Both sides with what they are called; `None`: a file was refused.
fn sides(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Option<Vec<(String, Scenario)>>> {
    let mut load = |path: &Path| -> anyhow::Result<Option<Scenario>> {
        let project = files::project(path, false)?;
        Ok(arguments.load.load(&project, terminal))
    };
    let Some(before) = load(&arguments.before)? else { return Ok(None) };
    if let Some(path) = &arguments.after {
        let Some(after) = load(path)? else { return Ok(None) };
        let name = |path: &Path| path.display().to_string();
        return Ok(Some(vec![(name(&arguments.before), before), (name(path), after)]));
    }
    let [first, second] = arguments.releases.as_slice() else {
        bail!(
            "--profiles takes two releases, as in `--profiles 20.10,28`; found {}",
            arguments.releases.len()
        );
    };
    let with = |engine: Engine| {
        let mut scenario = before.clone();
        engine.apply(&mut scenario);
        (format!("Docker {}", engine.name()), scenario)
    };
    Ok(Some(vec![with(*first), with(*second)]))
}

fn table(difference: &Difference, style: Style) -> Vec<String> {
    let compared = counted(difference.compared as u64, "attempt");
    if difference.changes.is_empty() {
        return vec![format!("no difference in {compared}")];
    }
    let outcome = |outcome: Option<matrix::Outcome>| match outcome {
        Some(outcome) => outcome.to_string(),
        None => "(not there)".to_owned(),
    };
    let head = ["FROM", "TO", "BY", "TRIED", &difference.before, &difference.after].map(str::to_owned);
    // Who is on one side only is told once, not attempt by attempt.
    let absent = |name: &String| difference.gone.contains(name) || difference.come.contains(name);
    let kept: Vec<&Change> =
        difference.changes.iter().filter(|change| !absent(&change.from) && !absent(&change.to)).collect();
    let rows = kept.iter().map(|change| {
        [
            change.from.clone(),
            change.to.clone(),
            change.by.clone(),
            change.attempt.clone(),
            outcome(change.before),
            outcome(change.after),
        ]
    });
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut lines: Vec<String> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ").trim_end().to_owned();
        lines.push(if index == 0 { style.strong(&line) } else { line });
    }
    if kept.is_empty() {
        lines.clear();
    }
    let sides = [(&difference.gone, &difference.before), (&difference.come, &difference.after)];
    let alone = sides.into_iter().flat_map(|(names, side)| names.iter().map(move |name| (name, side)));
    for (name, side) in alone {
        let own = difference.changes.iter().filter(|change| change.from == *name || change.to == *name);
        let attempts = counted(own.count() as u64, "attempt");
        lines.push(format!("{name} is in {side} only: {attempts} from it or to it"));
    }
    lines.push(String::new());
    lines.push(format!("{} of {compared} differ", difference.changes.len()));
    lines
}
