//! `linkspan check`: loads and judges files without running anything.

use std::path::PathBuf;

use clap::Args;
use linkspan::scenario::render::counted;
use linkspan::scenario::translate::stand_ins;
use linkspan::scenario::{Scenario, Severity};
use linkspan::world::World;

use super::files::{self, Found};
use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict};

/// Judge files without running them
///
/// Everything that can be known before a run is judged: YAML, keys and their types, names that mean nothing, addresses and
/// ports that contradict each other, docker commands and programs in steps, capabilities, users, kernel settings. Each
/// fault has its line, and the nearest word that is right.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan check compose.yaml
  linkspan check -f compose.yaml -f compose.ci.yaml
  linkspan check --verbose scenarios/    say also which keys were not used

Exit codes: 0 every file is fine (warnings are allowed), 2 a file was refused.")]
pub(super) struct Arguments {
    /// Scenario or Compose files, or folders of them
    #[arg(value_name = "FILE", required_unless_present = "files", conflicts_with = "files")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// Say which keys were accepted and not used, and other notes
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let Found { files, notes } = match arguments.compose.listed() {
        Some(project) => Found { files: vec![project], notes: Vec::new() },
        None => files::find(&arguments.paths)?,
    };
    if arguments.verbose {
        notes.iter().for_each(|note| terminal.error(note));
    }
    let mut verdict = Verdict::Passed;
    for project in files {
        match arguments.load.read(&project) {
            Ok(scenario) => {
                show_warnings(&scenario, arguments.verbose, terminal);
                show_stand_ins(&scenario, terminal);
                let ok = terminal.style().good("ok");
                terminal.line(&format!("{}: {ok} ({})", project.file.display(), contents(&scenario)));
            }
            Err(error) => {
                terminal.error(&error.render(terminal.error_style().is_colour()));
                verdict = Verdict::BadInput;
            }
        }
    }
    Ok(verdict)
}

/// What is not run as the file says; a run says so itself.
fn show_stand_ins(scenario: &Scenario, terminal: &mut Terminal) {
    let colour = terminal.error_style().is_colour();
    for warning in stand_ins(scenario, &World::new(0).can_run()) {
        terminal.error(&warning.render(&scenario.sources, colour));
    }
}

/// What the file makes its author look at, and with `verbose` what it says in vain.
pub(super) fn show_warnings(scenario: &Scenario, verbose: bool, terminal: &mut Terminal) {
    let colour = terminal.error_style().is_colour();
    for warning in scenario.warnings.iter().filter(|w| verbose || w.severity != Severity::Note) {
        terminal.error(&warning.render(&scenario.sources, colour));
    }
    if verbose {
        for ignored in &scenario.ignored {
            let place =
                scenario.sources.position(ignored.span).map(|at| format!("{at}: ")).unwrap_or_default();
            terminal.error(&format!("note: {place}`{}` does not concern networking; ignored", ignored.path));
        }
    }
}

fn contents(scenario: &Scenario) -> String {
    let warnings = scenario.warnings.iter().filter(|warning| warning.severity == Severity::Warning).count();
    let counts = [
        (scenario.networks.len(), "network"),
        (scenario.services.len(), "service"),
        (scenario.steps.len(), "step"),
        (scenario.checks.len(), "check"),
        (scenario.tasks.len(), "task"),
        (warnings, "warning"),
    ];
    let always = ["network", "service"];
    let shown = counts.iter().filter(|(number, noun)| *number > 0 || always.contains(noun));
    shown.map(|(number, noun)| counted(*number as u64, noun)).collect::<Vec<_>>().join(", ")
}
