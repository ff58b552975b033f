//! The library's public face: [`Lab`] for tests, and [`run()`] for a scenario as a whole.
//!
//! A test brings a Compose file, a scenario or a few lines of code up, tries things with real packets in virtual time,
//! breaks and heals what is between, and asserts. A message of a failed assertion says what happened, hop by hop. It
//! needs this module alone, and [`engine::sys`](crate::engine::sys) for programs of its own.

mod attempt;
mod builder;
pub mod capture;
mod captured;
mod check;
mod closed_world;
mod error;
pub mod explain;
mod fault;
pub mod matrix;
mod output;
pub mod outside;
mod program;
pub mod reach;
mod session;
pub mod stepper;
pub mod tables;
pub mod topology;
mod way;

pub use crate::observe::explain::{Explanation, Layout};
pub use attempt::{Attempt, Resolved};
pub use builder::{Builder, HostBuilder, LinkBuilder, MachineBuilder, NetworkBuilder, ServiceBuilder};
pub use captured::{Capture, Packet};
pub use closed_world::{Breach, Only};
pub use error::LabError;
pub use explain::{ExplainError, ExplainOptions, Question, QuestionError, explain, explain_in};
pub use output::Output;
pub use program::Program;
pub use reach::{Names, Reach, Reachability, reach};
pub use session::Lab;
pub use stepper::{Grade, Reply, Stepper};

pub use crate::observe::pcapng::Direction;
pub use crate::scenario::model::Profile;
pub use crate::world::probe::ProbeOutcome as Outcome;
pub use crate::world::stage::LinkQuality;
pub use crate::world::{ExitCode, Sys};

use crate::observe::json::JsonLines;
use crate::observe::pcapng::{self, Selection};
use crate::observe::story::{Palette, Story, Verbosity};
use crate::scenario::report::{Progress, Report, RunOptions, StoryLevel, Why};
use crate::scenario::run::{self, FailedCheck, Watcher};
use crate::scenario::{Diagnostic, Scenario};
use crate::world::{Event, World};

/// Runs a scenario in virtual time and tells what happens while it happens.
///
/// A run is a function of the scenario and the seed: two runs tell the same, byte for byte.
pub fn run(scenario: &Scenario, options: &RunOptions, tell: &mut dyn FnMut(Progress<'_>)) -> Report {
    observed(options, tell, |observer| run::run(scenario, options.seed, observer))
}

/// Watches a run: tells it, captures it.
fn observed(
    options: &RunOptions,
    tell: &mut dyn FnMut(Progress<'_>),
    run: impl FnOnce(&mut Observer<'_>) -> Report,
) -> Report {
    let mut observer = Observer {
        tell,
        story: Story::new(verbosity(options.story), Palette::Plain),
        json: options.json.then(JsonLines::new),
        capture: options.capture.then(|| pcapng::Capture::new(Selection::All)),
    };
    let mut report = run(&mut observer);
    let rest = observer.story.finish();
    if !rest.is_empty() {
        (observer.tell)(Progress::Story { lines: &rest });
    }
    if let Some(capture) = observer.capture {
        for note in capture.notes() {
            report.warnings.push(Diagnostic::warning(None, note));
        }
        match capture.finish() {
            Ok(files) => report.captures = files,
            Err(error) => report.warnings.push(Diagnostic::warning(None, format!("no captures: {error}"))),
        }
    }
    report
}

struct Observer<'a> {
    tell: &'a mut dyn FnMut(Progress<'_>),
    story: Story,
    json: Option<JsonLines>,
    capture: Option<pcapng::Capture>,
}

impl Watcher for Observer<'_> {
    fn progress(&mut self, progress: Progress<'_>) {
        match &progress {
            // Output comes in the midst of a flood, everything else after it.
            Progress::Output { .. } => {}
            Progress::Network(_)
            | Progress::Container(_)
            | Progress::Replaced { .. }
            | Progress::StepStarted { .. }
            | Progress::StepFinished(_)
            | Progress::CheckFinished(_)
            | Progress::Story { .. }
            | Progress::Json { .. }
            | Progress::Warning(_) => {
                let counts = self.story.pause();
                if !counts.is_empty() {
                    (self.tell)(Progress::Story { lines: &counts });
                }
            }
        }
        (self.tell)(progress);
    }

    fn events(&mut self, events: &[Event], world: &mut World) {
        let names = world.names();
        let mut lines = Vec::new();
        let mut objects = Vec::new();
        for event in events {
            lines.extend(self.story.push(event, &names));
            objects.extend(self.json.as_mut().map(|json| json.line(event, &names)));
            if let Some(capture) = &mut self.capture {
                capture.push(event, &names);
            }
        }
        if !lines.is_empty() {
            (self.tell)(Progress::Story { lines: &lines });
        }
        if !objects.is_empty() {
            (self.tell)(Progress::Json { lines: &objects });
        }
    }

    fn explain(&mut self, failed: &FailedCheck<'_>, world: &mut World) -> Why {
        explain::why(failed, world, ": `linkspan run --verbose` tells them")
    }
}

fn verbosity(level: StoryLevel) -> Verbosity {
    match level {
        StoryLevel::Quiet => Verbosity::Quiet,
        StoryLevel::Normal => Verbosity::Normal,
        StoryLevel::Verbose => Verbosity::Verbose,
    }
}
