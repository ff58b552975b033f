//! The library's public face: a scenario run with its story, its captures and its events.

pub mod capture;
pub mod matrix;
pub mod explain;
pub mod outside;
pub mod reach;
pub mod tables;
pub mod topology;

pub use crate::observe::explain::{Explanation, Layout};
pub use explain::{ExplainError, ExplainOptions, Question, QuestionError, explain, explain_in};
pub use reach::{Names, Reach, Reachability, reach};

use crate::observe::decisive::decisive;
use crate::observe::json::JsonLines;
use crate::observe::pcapng::{Capture, Selection};
use crate::observe::story::{Palette, Story, Verbosity};
use crate::scenario::report::{Progress, Report, RunOptions, StoryLevel};
use crate::scenario::run::{self, Watcher};
use crate::scenario::{Diagnostic, Scenario};
use crate::world::{Event, World};

/// Lines of story kept for a check that failed.
const STORY_LIMIT: usize = 60;

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
        capture: options.capture.then(|| Capture::new(Selection::All)),
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
    capture: Option<Capture>,
}

impl Watcher for Observer<'_> {
    fn progress(&mut self, progress: Progress<'_>) {
        (self.tell)(progress);
    }

    fn events(&mut self, events: &[Event], world: &World) {
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

    fn explain(&mut self, events: &[Event], world: &World) -> Vec<String> {
        let names = world.names();
        let Some(packet) = decisive(events) else { return Vec::new() };
        let mut story = Story::new(Verbosity::Verbose, Palette::Plain);
        let own = events.iter().filter(|event| event.trace == packet);
        let mut lines: Vec<String> = own.flat_map(|event| story.push(event, &names)).collect();
        lines.extend(story.finish());
        if lines.len() > STORY_LIMIT {
            let left = lines.len() - STORY_LIMIT;
            lines.truncate(STORY_LIMIT);
            lines.push(format!("({left} more lines: `linkspan run --verbose` tells them)"));
        }
        lines
    }
}

fn verbosity(level: StoryLevel) -> Verbosity {
    match level {
        StoryLevel::Quiet => Verbosity::Quiet,
        StoryLevel::Normal => Verbosity::Normal,
        StoryLevel::Verbose => Verbosity::Verbose,
    }
}
