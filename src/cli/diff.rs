//! `linkspan diff`: which pairs reach each other differently in two files, or in two profiles of one file.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use linkspan::lab::matrix::{self, Change, Difference, Matrix, PairKind, Scope};
use linkspan::scenario::Scenario;
use linkspan::scenario::render::{Style, counted};

use super::terminal::Terminal;
use super::{Engine, LoadArguments, Verdict, files};

/// Show which pairs reach each other differently in two files, or with two Docker releases
///
/// Both sides are measured as `linkspan matrix` does it, and compared by names, networks and ports; addresses may
/// differ. Told first is which pairs lost reach and why, then which gained it, then what ends differently, and last what is
/// only called differently.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan diff before.yaml after.yaml
  linkspan diff scenarios/docs/13-icc-false.yaml --profiles 20.10,28
  linkspan diff compose.yaml --profiles 20.10,28             what an upgrade changes
  linkspan diff --all before.yaml after.yaml                 every attempt that differs, too
  linkspan diff --format json before.yaml after.yaml         pairs, names and every attempt

Words: `lost` and `gained` are by any name or address; `lost-name` still reaches by address alone; `altered` reaches, or
does not, as before, but the server sees another source or the error is another one; `renamed`, `also by` and `no more by`
are other names and networks of those who are reached as before.

Exit codes: 0 nothing differs, 1 something does, be it only a name, 2 bad input.")]
pub(super) struct Arguments {
    /// The first file, or a folder with a Compose file
    before: PathBuf,
    /// The second; absent with --profiles
    #[arg(required_unless_present = "releases", conflicts_with = "releases")]
    after: Option<PathBuf>,
    /// Compare two Docker releases for one file (services of a Compose profile are --profile)
    #[arg(long = "profiles", value_name = "A,B", value_delimiter = ',', conflicts_with = "docker")]
    releases: Vec<Engine>,
    #[command(flatten)]
    load: LoadArguments,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// List every attempt that differs
    #[arg(long)]
    all: bool,
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
    for (label, scenario) in &sides {
        match matrix::matrix(scenario, arguments.seed, scope) {
            Ok(found) => measured.push((label.clone(), found)),
            Err(diagnostic) => {
                terminal.error(&diagnostic.render(&scenario.sources, terminal.error_style().is_colour()));
                return Ok(Verdict::BadInput);
            }
        }
    }
    let [(before, old), (after, new)] = measured.as_slice() else { bail!("two sides are needed") };
    let mut difference = matrix::diff((before, old), (after, new));
    if let [(_, before), (_, after)] = sides.as_slice() {
        difference.explain(before, after, arguments.seed);
    }
    match arguments.format {
        Format::Json => terminal.line(&difference.json().to_string()),
        Format::Table => terminal.lines(&text(&difference, arguments.all, terminal.style())),
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

fn text(difference: &Difference, all: bool, style: Style) -> Vec<String> {
    let compared = counted(difference.compared as u64, "attempt");
    if difference.changes.is_empty() {
        return vec![format!("no difference in {compared}")];
    }
    let mut lines = summary(difference, style);
    if all {
        lines.push(String::new());
        lines.extend(table(difference, style));
    }
    lines.push(String::new());
    let all = if all { "" } else { "; --all lists them" };
    lines.push(format!("{} of {compared} differ{all}", difference.changes.len()));
    lines
}

/// Who lost, who gained, what ends differently, who is there on one side only, and what is only called differently.
fn summary(difference: &Difference, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for pair in &difference.pairs {
        let word = format!("{:<11}", pair.kind.word());
        let word = match pair.kind {
            PairKind::Lost | PairKind::LostName => style.bad(&word),
            PairKind::Gained | PairKind::GainedName => style.good(&word),
            PairKind::Altered => style.strong(&word),
        };
        let (from, to, attempts) = (pair.from.join(", "), pair.to.join(", "), pair.attempts.join(", "));
        lines.push(format!("{word}  {from} -> {to}: {attempts}: {}", pair.detail));
        let side = match pair.kind {
            PairKind::Gained | PairKind::GainedName => "it was not because ",
            PairKind::Lost | PairKind::LostName | PairKind::Altered => "because ",
        };
        lines.extend(pair.because.iter().map(|because| format!("{:13}{side}{because}", "")));
        lines.extend(pair.line.iter().map(|line| style.faint(&format!("{:13}{line}", ""))));
    }
    let sides = [(&difference.gone, &difference.before), (&difference.come, &difference.after)];
    let alone = sides.into_iter().flat_map(|(names, side)| names.iter().map(move |name| (name, side)));
    for (name, side) in alone {
        let own = difference.changes.iter().filter(|change| change.from == *name || change.to == *name);
        let attempts = counted(own.count() as u64, "attempt");
        lines.push(format!("{name} is in {side} only: {attempts} from it or to it"));
    }
    for renamed in &difference.renamed {
        let (before, after) = (renamed.before.join(", "), renamed.after.join(", "));
        let (word, ways) = match (before.is_empty(), after.is_empty()) {
            (true, _) => ("also by", after),
            (_, true) => ("no more by", before),
            (false, false) => ("renamed", format!("{before}, now {after}")),
        };
        lines.push(format!("{word:<11}  {}: {ways}", renamed.party));
    }
    lines
}

/// Every attempt that differs, but not those of who is on one side only.
fn table(difference: &Difference, style: Style) -> Vec<String> {
    let outcome = |outcome: Option<matrix::Outcome>| match outcome {
        Some(outcome) => outcome.to_string(),
        None => "(not there)".to_owned(),
    };
    let head = ["FROM", "TO", "BY", "TRIED", &difference.before, &difference.after].map(str::to_owned);
    let absent = |name: &String| difference.gone.contains(name) || difference.come.contains(name);
    let kept: Vec<&Change> =
        difference.changes.iter().filter(|change| !absent(&change.from) && !absent(&change.to)).collect();
    if kept.is_empty() {
        return Vec::new();
    }
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
    lines
}
