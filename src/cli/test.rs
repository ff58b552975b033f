//! `linkspan test`: many scenarios in parallel, and only what did not hold is told.
//!
//! Worker threads take files in order; each loads its file, runs it once per seed and sends the result back. A world
//! lives and dies in one thread. Results are told in the order of the files, whichever came first, so that two runs print
//! the same.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use crossbeam::channel;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use linkspan::lab;
use linkspan::scenario::junit::Junit;
use linkspan::scenario::render::{self, counted};
use linkspan::scenario::report::{Report, RunOptions};
use linkspan::scenario::{LoadError, ProjectFiles, Severity};
use serde_json::json;

use super::files::{self, Found};
use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict};

/// What the main thread would have: reading deeply nested files recurses.
const STACK: usize = 8 << 20;

/// Run scenarios and Compose files, say only what did not hold
///
/// In a folder every *.yaml and *.yml file is taken that is a scenario; files that are only included by others are not
/// run by themselves. A Compose file without checks passes when every network and container comes up.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan test compose.yaml
  linkspan test scenarios/ --junit report.xml   for a CI system
  linkspan test scenarios/ --filter dns         those with dns in their path or name
  linkspan test scenarios/ --seeds 20           in 20 orders of simultaneous things
  linkspan test scenarios/ --format json        for programs

With --format json there is one JSON object a line. A run has \"event\": \"report\" with its file, seed, steps, checks,
failures, frames, drops and times in seconds of virtual time; a file that was refused has \"refused\" with the message;
the last line is \"summary\" with the numbers of files that passed, failed and were refused.

Exit codes: 0 all passed, 1 at least one failed, 2 a file was refused.")]
pub(super) struct Arguments {
    /// Scenario or Compose files, or folders of them
    #[arg(value_name = "PATH", required_unless_present = "files", conflicts_with = "files")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// Only those whose path or project name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Run each scenario with so many seeds, one after the other
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How many run at once; as many as there are processors when absent
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// How results are told
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Name those that passed too, and files that were skipped
    #[arg(short, long)]
    verbose: bool,
}

/// How results are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: what did not hold
    Text,
    /// JSON objects, one a line: what held too
    Json,
}

/// What became of one file.
enum Ran {
    /// The filter left it out.
    Filtered,
    /// It could not be loaded.
    Refused(Box<LoadError>),
    /// It ran, once per seed; its reader had so many warnings.
    Reports(Vec<(u64, Report)>, usize),
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    refused: usize,
    warnings: usize,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let Found { files, notes } = match arguments.compose.listed() {
        Some(project) => Found { files: vec![project], notes: Vec::new() },
        None => files::find(&arguments.paths)?,
    };
    if arguments.verbose {
        notes.iter().for_each(|note| terminal.error(note));
    }
    let bar = progress_bar(files.len(), terminal.is_watched());
    let mut junit = Junit::default();
    let mut count = Count::default();
    run_all(arguments, &files, |file, ran| {
        count.add(&ran);
        bar.suspend(|| match arguments.format {
            Format::Text => tell(file, &ran, arguments, terminal),
            Format::Json => tell_json(file, &ran, terminal),
        });
        bar.inc(1);
        match &ran {
            Ran::Filtered => {}
            Ran::Refused(error) => junit.refused(file, &error.render(false)),
            Ran::Reports(reports, _) => {
                for (seed, report) in reports {
                    junit.ran(report, (arguments.seeds > 1).then_some(*seed));
                }
            }
        }
    })?;
    bar.finish_and_clear();
    if let Some(path) = &arguments.junit {
        std::fs::write(path, junit.finish()?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(filter) = &arguments.filter
        && count.passed + count.failed + count.refused == 0
    {
        bail!("none of {} has `{filter}` in its path or name", counted(files.len() as u64, "scenario"));
    }
    terminal.line(&match arguments.format {
        Format::Text => count.summary(),
        Format::Json => count.json(),
    });
    Ok(count.verdict())
}

/// Runs every file and hands each result to `done`, in the order of the files.
fn run_all(
    arguments: &Arguments,
    files: &[ProjectFiles],
    mut done: impl FnMut(&Path, Ran),
) -> anyhow::Result<()> {
    let processors = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let workers = arguments.jobs.map_or_else(|| processors().get(), usize::from).min(files.len());
    let next = AtomicUsize::new(0);
    let (sender, receiver) = channel::bounded(workers);
    crossbeam::scope(|scope| {
        for _ in 0..workers {
            let (sender, next) = (sender.clone(), &next);
            scope
                .builder()
                .stack_size(STACK)
                .spawn(move |_| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(index) else { break };
                        if sender.send((index, run_one(file, arguments))).is_err() {
                            break;
                        }
                    }
                })
                .context("cannot start a thread")?;
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut told = 0;
        for (index, ran) in receiver {
            waiting.insert(index, ran);
            while let Some(ran) = waiting.remove(&told) {
                done(&files[told].file, ran);
                told += 1;
            }
        }
        Ok(())
    })
    .map_err(|_| anyhow!("linkspan itself failed, its message stands above; please report it"))?
}

fn run_one(project: &ProjectFiles, arguments: &Arguments) -> Ran {
    let wanted = |text: &str| arguments.filter.as_ref().is_none_or(|filter| text.contains(filter.as_str()));
    let by_path = wanted(&project.file.to_string_lossy());
    let scenario = match arguments.load.read(project) {
        Ok(scenario) if by_path || wanted(&scenario.name) => scenario,
        Err(error) if by_path => return Ran::Refused(error),
        Ok(_) | Err(_) => return Ran::Filtered,
    };
    let seeds = (0..arguments.seeds).map(|offset| arguments.seed.wrapping_add(offset));
    let run_with = |seed| {
        let options = RunOptions { seed, ..RunOptions::default() };
        (seed, lab::run(&scenario, &options, &mut |_| {}))
    };
    let warnings = scenario.warnings.iter().filter(|warning| warning.severity == Severity::Warning).count();
    Ran::Reports(seeds.map(run_with).collect(), warnings)
}

fn tell(file: &Path, ran: &Ran, arguments: &Arguments, terminal: &mut Terminal) {
    match ran {
        Ran::Filtered => {}
        Ran::Refused(error) => {
            terminal.error(&error.render(terminal.error_style().is_colour()));
        }
        Ran::Reports(reports, _) => {
            let failed: Vec<&(u64, Report)> = reports.iter().filter(|(_, report)| !report.passed()).collect();
            let style = terminal.style();
            let colour = terminal.error_style().is_colour();
            if let Some(report) = failed.first().map(|(_, report)| report).or(reports.first().map(|(_, r)| r))
            {
                let warnings = report.warnings.iter();
                warnings.for_each(|warning| terminal.error(&warning.render(&report.sources, colour)));
            }
            match (failed.first(), reports.first()) {
                (Some((_, report)), _) => {
                    let seeds =
                        if arguments.seeds > 1 { with_seeds(&failed, reports.len()) } else { String::new() };
                    terminal.line(&format!("{} {}{seeds}", style.bad("FAIL"), file.display()));
                    let lines = render::failures(report, style);
                    terminal.lines(&lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>());
                }
                (None, Some((_, report))) => {
                    if arguments.verbose {
                        let totals = style.faint(&render::totals(&report.totals));
                        terminal.line(&format!("{}   {}  {totals}", style.good("ok"), file.display()));
                    }
                }
                (None, None) => {}
            }
        }
    }
}

fn tell_json(file: &Path, ran: &Ran, terminal: &mut Terminal) {
    match ran {
        Ran::Filtered => {}
        Ran::Refused(error) => {
            let message = error.render(false);
            let refused = json!({ "event": "refused", "file": file.to_string_lossy(), "message": message });
            terminal.line(&refused.to_string());
        }
        Ran::Reports(reports, _) => {
            for (seed, report) in reports {
                let mut value = render::report_json(report);
                value["seed"] = json!(seed);
                terminal.line(&value.to_string());
            }
        }
    }
}

/// What follows below is the first one's.
fn with_seeds(failed: &[&(u64, Report)], all: usize) -> String {
    let numbers: Vec<String> = failed.iter().map(|(seed, _)| seed.to_string()).collect();
    let plural = if numbers.len() == 1 { "" } else { "s" };
    format!(" (with seed{plural} {} of {all})", numbers.join(", "))
}

impl Count {
    fn add(&mut self, ran: &Ran) {
        match ran {
            Ran::Filtered => {}
            Ran::Refused(_) => self.refused += 1,
            Ran::Reports(reports, warnings) => {
                self.warnings += warnings;
                let passed = reports.iter().all(|(_, report)| report.passed());
                *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
            }
        }
    }

    fn json(&self) -> String {
        let Count { passed, failed, refused, warnings } = self;
        json!({ "event": "summary", "passed": passed, "failed": failed, "refused": refused, "warnings": warnings })
            .to_string()
    }

    fn summary(&self) -> String {
        let refused = if self.refused > 0 { format!(", {} refused", self.refused) } else { String::new() };
        let warnings = match self.warnings {
            0 => String::new(),
            number => format!(", {} (`linkspan check` shows them)", counted(number as u64, "warning")),
        };
        format!("{} passed, {} failed{refused}{warnings}", self.passed, self.failed)
    }

    fn verdict(&self) -> Verdict {
        match (self.refused, self.failed) {
            (0, 0) => Verdict::Passed,
            (0, _) => Verdict::Failed,
            (_, _) => Verdict::BadInput,
        }
    }
}

fn progress_bar(length: usize, watched: bool) -> ProgressBar {
    let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length as u64), target);
    match ProgressStyle::with_template("{bar:30} {pos}/{len}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
