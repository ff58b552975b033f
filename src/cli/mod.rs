//! The command line: one file per verb, and what they share.
//!
//! Exit codes are the same everywhere: 0 all held, 1 something did not hold, 2 bad input (a wrong option, a file that is
//! not there or was refused). Results go to standard output, diagnostics to standard error ([`terminal`]).

mod attach;
mod capture;
mod check;
mod completions;
mod diff;
mod doctor;
mod explain;
mod files;
mod grade;
mod graph;
mod matrix;
mod replay;
mod run;
mod schema;
mod step;
mod tables;
mod terminal;
mod test;
mod up;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use linkspan::scenario::model::Profile;
use linkspan::scenario::{DiskSource, LoadError, LoadOptions, ProjectFiles, Scenario};

use terminal::Terminal;

/// How a verb ends. Ordered: of several results the worst stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// All held.
    Passed,
    /// Something did not hold.
    Failed,
    /// The input was refused.
    BadInput,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::SUCCESS,
            Verdict::Failed => Self::from(1),
            Verdict::BadInput => Self::from(2),
        }
    }
}

/// Docker's networking in one unprivileged process.
///
/// Runs scenario files and plain Compose files in virtual time: no Docker, no root, nothing installed, the same result on
/// every machine.
#[derive(Debug, Parser)]
#[command(name = "linkspan", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  linkspan run compose.yaml          watch the containers of a Compose file come up
  linkspan run scenarios/quickstart.yaml
  linkspan run --step scenarios/labs/01-names.yaml   a lab, step by step, with tasks
  linkspan test scenarios/           run every scenario of a folder, say only what failed
  linkspan check compose.yaml        judge a file without running it
  linkspan matrix compose.yaml       who reaches whom
  linkspan explain compose.yaml \"web -> db:5432\"    why it works, or why not
  linkspan up --tap client=PID compose.yaml   in real time, with a real process for a container

  linkspan run -f compose.yaml -f compose.ci.yaml     files merged as Compose merges them

A folder stands for its project as in Compose: COMPOSE_FILE of its .env, or compose.yaml (compose.yml,
docker-compose.yml) with compose.override.yaml merged over it. A file that is named is read alone.
COMPOSE_PROJECT_NAME and COMPOSE_PROFILES are read from the environment and .env.

Exit codes: 0 all held, 1 something did not hold, 2 bad input.
Colours are used on a terminal unless NO_COLOR is set.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Arguments),
    Grade(grade::Arguments),
    Test(test::Arguments),
    Check(check::Arguments),
    Matrix(matrix::Arguments),
    Diff(diff::Arguments),
    Graph(graph::Arguments),
    Tables(tables::Arguments),
    Capture(capture::Arguments),
    Explain(explain::Arguments),
    Up(up::Arguments),
    Replay(replay::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Doctor(doctor::Arguments),
    #[command(hide = true)]
    Attach(attach::Arguments),
}

/// How a file is read; the same for every verb that reads one.
#[derive(Debug, Clone, Default, Args)]
struct LoadArguments {
    /// The project's name, instead of `name:` or the folder
    #[arg(short = 'p', long, value_name = "NAME")]
    project_name: Option<String>,
    /// Activate the services of a Compose profile; may be repeated, `*` is all
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<String>,
    /// Do as this Docker Engine does, whatever the file says; with neither, 28
    #[arg(long, value_name = "VERSION")]
    docker: Option<Engine>,
    /// Set by the verb.
    #[arg(skip)]
    may_be_empty: bool,
}

/// The files of one project, for verbs that take one FILE.
#[derive(Debug, Clone, Default, Args)]
struct ComposeFiles {
    /// A file of the project, in place of FILE; may be repeated, each is merged over those before it
    #[arg(id = "files", short = 'f', long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl ComposeFiles {
    /// The project of `-f`.
    fn listed(&self) -> Option<ProjectFiles> {
        ProjectFiles::listed(self.files.iter().cloned())
    }

    /// The project: the files of `-f`, or what was named without it, or this folder's.
    fn project(&self, named: Option<&Path>) -> anyhow::Result<ProjectFiles> {
        match (self.listed(), named) {
            (Some(project), _) => Ok(project),
            (None, Some(path)) => files::project(path, false),
            (None, None) => files::project(Path::new("."), true),
        }
    }

    /// As [`Self::project`] for a verb with more words behind FILE: with `-f`, the first of them stands in its place.
    fn project_before<'a>(
        &self,
        words: &[Option<&'a OsStr>],
    ) -> anyhow::Result<(ProjectFiles, Vec<&'a OsStr>)> {
        let mut words = words.iter().copied().flatten();
        let named = if self.files.is_empty() { words.next() } else { None };
        Ok((self.project(named.map(Path::new))?, words.collect()))
    }
}

/// A Docker Engine release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    #[value(name = "20.10")]
    V20,
    #[value(name = "28")]
    V28,
    #[value(name = "29")]
    V29,
}

impl LoadArguments {
    /// Lets a file without services and steps through, for a verb that is told later what to run.
    fn may_be_empty(self) -> Self {
        Self { may_be_empty: true, ..self }
    }

    /// Loads a project and puts what the command line says over it.
    fn read(&self, project: &ProjectFiles) -> Result<Scenario, Box<LoadError>> {
        let options = LoadOptions {
            project_name: self.project_name.clone(),
            profiles: self.profiles.clone(),
            overrides: project.overrides.clone(),
            may_be_empty: self.may_be_empty,
            ..LoadOptions::default()
        };
        let mut scenario = linkspan::scenario::load(&DiskSource, &project.file, &options)?;
        if let Some(engine) = self.docker {
            engine.apply(&mut scenario);
        }
        Ok(scenario)
    }

    /// As [`Self::read`]; a file that is refused is told about, and `None`.
    fn load(&self, project: &ProjectFiles, terminal: &mut Terminal) -> Option<Scenario> {
        match self.read(project) {
            Ok(scenario) => Some(scenario),
            Err(error) => {
                terminal.error(&error.render(terminal.error_style().is_colour()));
                None
            }
        }
    }
}

impl Engine {
    /// Makes this the engine of a scenario, whatever its file says.
    fn apply(self, scenario: &mut Scenario) {
        scenario.daemon.profile = Some(match self {
            Engine::V20 => Profile::Docker20_10,
            Engine::V28 => Profile::Docker28,
            Engine::V29 => Profile::Docker29,
        });
    }

    fn name(self) -> &'static str {
        match self {
            Engine::V20 => "20.10",
            Engine::V28 => "28",
            Engine::V29 => "29",
        }
    }
}

/// Reads the process's arguments, does what they say and returns its exit code.
pub(crate) fn main() -> ExitCode {
    dispatch(std::env::args_os(), &mut Terminal::of_process())
}

fn dispatch(arguments: impl IntoIterator<Item = OsString>, terminal: &mut Terminal) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(help_or_error) => {
            // Printing fails only when nobody reads any more.
            let _ = help_or_error.print();
            return if help_or_error.exit_code() == 0 { Verdict::Passed } else { Verdict::BadInput }.into();
        }
    };
    let verdict = match cli.verb {
        Verb::Run(arguments) => run::run(&arguments, terminal),
        Verb::Grade(arguments) => grade::run(&arguments, terminal),
        Verb::Test(arguments) => test::run(&arguments, terminal),
        Verb::Check(arguments) => check::run(&arguments, terminal),
        Verb::Matrix(arguments) => matrix::run(&arguments, terminal),
        Verb::Diff(arguments) => diff::run(&arguments, terminal),
        Verb::Graph(arguments) => graph::run(&arguments, terminal),
        Verb::Tables(arguments) => tables::run(&arguments, terminal),
        Verb::Capture(arguments) => capture::run(&arguments, terminal),
        Verb::Explain(arguments) => explain::run(&arguments, terminal),
        Verb::Up(arguments) => up::run(&arguments, terminal),
        Verb::Replay(arguments) => replay::run(&arguments, terminal),
        Verb::Attach(arguments) => attach::run(&arguments),
        Verb::Schema(arguments) => schema::run(&arguments, terminal),
        Verb::Completions(arguments) => completions::run(&arguments, terminal),
        Verb::Doctor(arguments) => doctor::run(&arguments, terminal),
    };
    match verdict {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            terminal.error(&format!("error: {error:#}"));
            Verdict::BadInput.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_worst_verdict_stands() {
        assert_eq!(Verdict::Passed.max(Verdict::Failed).max(Verdict::BadInput), Verdict::BadInput);
    }
}
