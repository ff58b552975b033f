//! `linkspan grade`: which tasks of a lab are done after somebody's lines, without anybody at a terminal.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use linkspan::lab::{Stepper, stepper};
use linkspan::scenario::load::Source as _;
use linkspan::scenario::{DiskSource, Scenario};

use super::terminal::Terminal;
use super::{LoadArguments, Verdict, files};

/// Grade the tasks of a lab
///
/// Does the file's steps and checks, then the lines of --answers, and makes the checks of every task in what came of it.
/// The lines are those of `linkspan run --step`: docker commands, PLACE$ COMMAND, events, and `answer TASK ANSWER`; lines that
/// begin with # are passed over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan grade scenarios/labs/01-names.yaml --answers mine.txt
  linkspan grade scenarios/labs/01-names.yaml --solution   the file's own solution: can it be done?
  linkspan grade --format json lab.yaml --answers mine.txt

mine.txt:
  docker network connect shop-net web
  web$ ping -c 1 db
  answer address 172.18.0.2

Exit codes: 0 every task is done, 1 one is not, 2 the file or the answers were refused.")]
pub(super) struct Arguments {
    /// A scenario with `tasks:`
    file: PathBuf,
    #[command(flatten)]
    load: LoadArguments,
    /// What a learner typed, one line each
    #[arg(long, value_name = "FILE", conflicts_with = "solution")]
    answers: Option<PathBuf>,
    /// Do what the tasks' own `solution` says
    #[arg(long)]
    solution: bool,
    /// How the grade is given
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Another order of what happens at equal times, other losses and other random values
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// How the grade is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let project = files::project(&arguments.file, false)?;
    let Some(scenario) = arguments.load.load(&project, terminal) else { return Ok(Verdict::BadInput) };
    if scenario.tasks.is_empty() {
        bail!("{} has no `tasks:` to grade", project.file.display());
    }
    let lines = lines(arguments, &scenario)?;
    let mut stepper = match Stepper::new(&scenario, arguments.seed, terminal.style()) {
        Ok(stepper) => stepper,
        Err(diagnostic) => {
            terminal.error(&diagnostic.render(&scenario.sources, terminal.error_style().is_colour()));
            return Ok(Verdict::BadInput);
        }
    };
    for (place, line) in [("the file".to_owned(), "end".to_owned())].into_iter().chain(lines) {
        let reply = stepper.line(&line);
        if reply.refused {
            bail!("{place}: {}", reply.lines.join("\n"));
        }
        if reply.ended {
            break;
        }
    }
    let grade = stepper.grade().map_err(|diagnostic| anyhow::anyhow!("{}", diagnostic.message))?;
    match arguments.format {
        Format::Text => terminal.lines(&grade.text(terminal.style())),
        Format::Json => terminal.line(&grade.json().to_string()),
    }
    Ok(if grade.is_complete() { Verdict::Passed } else { Verdict::Failed })
}

/// What is done before the grade: where each line stands, and the line.
fn lines(arguments: &Arguments, scenario: &Scenario) -> anyhow::Result<Vec<(String, String)>> {
    if arguments.solution {
        let of = |task: &linkspan::scenario::Task| {
            let place = format!("the solution of {}", task.id.value);
            stepper::solution(task).into_iter().map(move |line| (place.clone(), line)).collect::<Vec<_>>()
        };
        return Ok(scenario.tasks.iter().flat_map(of).collect());
    }
    let Some(file) = &arguments.answers else { return Ok(Vec::new()) };
    let text = DiskSource.read(file).with_context(|| file.display().to_string())?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let lines = lines.filter(|(_, line)| !line.trim_start().starts_with('#'));
    Ok(lines.map(|(number, line)| (format!("{}:{number}", file.display()), line.to_owned())).collect())
}
