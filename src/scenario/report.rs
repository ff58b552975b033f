//! What a run of a scenario found: values that the command line, JUnit and libraries render.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Diagnostic, SourceMap, Span};
use super::model::ListenPort;

/// The result of running one scenario.
#[derive(Debug, Clone)]
pub struct Report {
    /// The scenario's name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// The steps in order, those not reached left out.
    pub steps: Vec<StepReport>,
    /// The checks in order: those inside steps where they happened, then the file's own.
    pub checks: Vec<CheckReport>,
    /// Why the run ended early (the scenario could not be built, a packet storm, a step that cannot be run).
    pub failure: Option<Diagnostic>,
    /// Warnings that arose while running.
    pub warnings: Vec<Diagnostic>,
    /// The containers of services when all were started, in the order of the file.
    pub started: Vec<StartedContainer>,
    /// What the run cost.
    pub totals: Totals,
    /// The files of `--pcap`: name and content.
    pub captures: Vec<(String, Vec<u8>)>,
    /// The source texts, to show a span's line.
    pub sources: SourceMap,
}

impl Report {
    /// True if everything held.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
            && self.steps.iter().all(|s| s.failures.is_empty())
            && self.checks.iter().all(|c| c.failure.is_none())
    }
}

/// A container of a service at the end of start-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedContainer {
    /// Its service's key.
    pub service: String,
    /// What has become of it.
    pub condition: ContainerCondition,
    /// The published ports in effect, as `docker ps` shows them; empty if there is none.
    pub published: String,
}

/// What has become of a container that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerCondition {
    /// It runs, and something waits for strangers on these ports.
    Listens(Vec<ListenPort>),
    /// Its command has ended with this status.
    Exited(u8),
}

/// What a run cost, in the simulated world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames that devices received.
    pub frames: u64,
    /// Frames and packets dropped.
    pub drops: u64,
    /// Virtual time.
    pub time: Duration,
}

/// One step.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// What it was: its name, or the command or event as written.
    pub title: String,
    /// Where it ran, as written (`client`, `host`, `world:outside`); empty for events.
    pub place: String,
    /// What it printed, standard output and error in the order they came. Of more than 64 KiB, the beginning and the end,
    /// with a line between them that says how many bytes were left out.
    pub output: String,
    /// Exit status of a command.
    pub status: Option<u8>,
    /// Expectations that did not hold, in a reader's words; empty: passed.
    pub failures: Vec<String>,
    /// Virtual time when it began and ended.
    pub time: (Duration, Duration),
    /// Where it was written.
    pub span: Span,
}

/// One check.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// The check as written.
    pub claim: String,
    /// Why it does not hold; `None`: it holds.
    pub failure: Option<CheckFailure>,
    /// Virtual time it took.
    pub time: Duration,
    /// Where it was written.
    pub span: Span,
}

/// Why a check does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFailure {
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// What is known about why.
    pub why: Why,
}

/// Why something failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// The cause in a sentence, if it is known.
    pub because: Option<String>,
    /// The line of a file that says so, with its place.
    pub line: Option<String>,
    /// What to do about it.
    pub suggestion: Option<String>,
    /// The way of the packet that decided it, line by line.
    pub story: Vec<String>,
}

/// A network that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkReport {
    /// Its name in Docker.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Whether nothing leads out of it.
    pub internal: bool,
    /// Its subnets.
    pub subnets: Vec<String>,
}

/// A container that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerReport {
    /// Its name in Docker.
    pub name: String,
    /// Its networks, and its addresses on each, IPv4 first.
    pub networks: Vec<(String, Vec<IpAddr>)>,
    /// The published ports in effect, as `docker ps` shows them; empty if there is none.
    pub published: String,
    /// The status it ended with, if it has.
    pub exited: Option<u8>,
}

/// What is told while a scenario runs.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A network was created.
    Network(&'a NetworkReport),
    /// A container was started.
    Container(&'a ContainerReport),
    /// A container's place was taken by something outside.
    Replaced {
        /// The container, its interfaces and addresses; or what its user should know.
        text: &'a str,
    },
    /// A step begins.
    StepStarted {
        /// Where it runs; empty for events.
        place: &'a str,
        /// What it is.
        title: &'a str,
        /// Virtual time.
        time: Duration,
    },
    /// A command printed something.
    Output {
        /// What.
        text: &'a str,
    },
    /// A step ended.
    StepFinished(&'a StepReport),
    /// A check was made.
    CheckFinished(&'a CheckReport),
    /// Lines of the story of the packets, as verbose as was asked for.
    Story {
        /// The lines.
        lines: &'a [String],
    },
    /// The engine's events as JSON lines, when asked for.
    Json {
        /// The lines.
        lines: &'a [String],
    },
    /// Something the author should look at.
    Warning(&'a Diagnostic),
}

/// How to run a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// 0 is plain order; another seed permutes what happens at equal times and draws other random values.
    pub seed: u64,
    /// Keep captures of every interface.
    pub capture: bool,
    /// How much of the packets' story is told.
    pub story: StoryLevel,
    /// Events as JSON lines.
    pub json: bool,
}

/// How much of the packets' story is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoryLevel {
    /// Nothing.
    #[default]
    Quiet,
    /// One line per conversation.
    Normal,
    /// Every hop.
    Verbose,
}
