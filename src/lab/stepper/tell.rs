//! What a stepper tells: texts for learners in lines of bearable width, and what happens while it happens.

use crate::lab::explain::why;
use crate::observe::story::{Palette, Story, Verbosity};
use crate::scenario::render::{self, Style};
use crate::scenario::report::{Progress, Why};
use crate::scenario::run::{FailedCheck, Watcher};
use crate::scenario::steps::{Action, Step};
use crate::scenario::{Scenario, SourceMap};
use crate::world::{Event, World};

/// Columns of a text.
const WIDTH: usize = 96;

/// Lines kept of the long story of one thing.
const STORY_LIMIT: usize = 20_000;

/// A text as lines: paragraphs are filled, lines that begin with a space stay as they are.
pub(super) fn paragraphs(text: &str, margin: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut filling = String::new();
    for line in text.lines() {
        let line = render::clean(line.trim_end());
        if line.is_empty() || line.starts_with([' ', '\t', '-']) {
            finish(&mut filling, &mut lines);
        }
        if line.is_empty() || line.starts_with([' ', '\t']) {
            lines.push(line);
            continue;
        }
        for word in line.split_whitespace() {
            if !filling.is_empty() && filling.chars().count() + 1 + word.chars().count() > WIDTH {
                finish(&mut filling, &mut lines);
            }
            if !filling.is_empty() {
                filling.push(' ');
            }
            filling.push_str(word);
        }
    }
    finish(&mut filling, &mut lines);
    lines.iter().map(|line| format!("{margin}{line}").trim_end().to_owned()).collect()
}

fn finish(filling: &mut String, lines: &mut Vec<String>) {
    if !filling.is_empty() {
        lines.push(std::mem::take(filling));
    }
}

/// A step in one line: its name, or what is typed where.
pub(super) fn title(step: &Step) -> String {
    let done = match &step.action {
        Action::Run { target, command } => format!("{target}$ {command}"),
        Action::Docker { command, .. } => format!("host$ {command}"),
        Action::Event(event) => event.to_string(),
        Action::Check(checks) => {
            let claims: Vec<String> = checks.iter().map(|check| check.claim.to_string()).collect();
            format!("check {}", claims.join("; "))
        }
    };
    let first = done.lines().next().unwrap_or_default();
    render::clean(&match &step.name {
        Some(name) => format!("{name} ({first})"),
        None => first.to_owned(),
    })
}

/// Hears one thing being done and tells it twice: in short at once, with every hop for later.
pub(super) struct Teller<'a> {
    sources: &'a SourceMap,
    style: Style,
    short: Story,
    long: Story,
    /// What is told at once.
    pub(super) lines: Vec<String>,
    /// What is told when asked for.
    pub(super) story: Vec<String>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(scenario: &'a Scenario, style: Style) -> Teller<'a> {
        Teller {
            sources: &scenario.sources,
            style,
            short: Story::new(Verbosity::Normal, Palette::Plain),
            long: Story::new(Verbosity::Verbose, Palette::Plain),
            lines: Vec::new(),
            story: Vec::new(),
        }
    }

    /// Tells what was still open.
    pub(super) fn finish(&mut self) {
        let rest = self.short.finish();
        self.tell(&Progress::Story { lines: &rest });
        let rest = self.long.finish();
        self.keep(rest);
    }

    fn tell(&mut self, progress: &Progress<'_>) {
        self.lines.extend(render::progress(progress, self.sources, self.style));
    }

    fn keep(&mut self, lines: Vec<String>) {
        let room = STORY_LIMIT.saturating_sub(self.story.len());
        if room == 0 {
            return;
        }
        let more = lines.len() > room;
        self.story.extend(lines.into_iter().take(room));
        if more || self.story.len() == STORY_LIMIT {
            self.story.push(format!("(more than {STORY_LIMIT} lines: the rest was not kept)"));
        }
    }
}

impl Watcher for Teller<'_> {
    fn progress(&mut self, progress: Progress<'_>) {
        if !matches!(progress, Progress::Output { .. }) {
            let counts = self.short.pause();
            self.tell(&Progress::Story { lines: &counts });
        }
        self.tell(&progress);
    }

    fn events(&mut self, events: &[Event], world: &mut World) {
        let names = world.names();
        let lines: Vec<String> = events.iter().flat_map(|event| self.short.push(event, &names)).collect();
        if !lines.is_empty() {
            self.tell(&Progress::Story { lines: &lines });
        }
        for event in events {
            let lines = self.long.push(event, &names);
            self.keep(lines);
        }
    }

    fn explain(&mut self, failed: &FailedCheck<'_>, world: &mut World) -> Why {
        why(failed, world, ": `story` tells them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_filled_and_examples_kept() {
        let text = format!("{}\n{}\n\n  as it  is\n- one\n- two\u{1b}[2J", "word ".repeat(30), "more");
        let lines = paragraphs(&text, "  ");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH + 2), "{lines:?}");
        assert_eq!(lines[1], format!("  {}more", "word ".repeat(11)));
        assert_eq!(lines[2..], ["", "    as it  is", "  - one", "  - two^[[2J"]);
    }
}
