//! The way of the packet that decided how something ended, hop by hop: what every message of this room ends with.
//!
//! This is the one place where this room asks `observe` for sentences.

use crate::observe::decisive::decisive;
use crate::observe::story::{Palette, Story, Verbosity};
use crate::world::{Event, World};

/// Lines kept of one way.
const LIMIT: usize = 60;

/// The way in lines; empty if no packet was sent. `rest` says where the lines that were left out can be read.
pub(super) fn way(events: &[Event], world: &World, rest: &str) -> Vec<String> {
    let names = world.names();
    let Some(packet) = decisive(events) else { return Vec::new() };
    let mut story = Story::new(Verbosity::Verbose, Palette::Plain);
    let own = events.iter().filter(|event| event.trace == packet);
    let mut lines: Vec<String> = own.flat_map(|event| story.push(event, &names)).collect();
    lines.extend(story.finish());
    if lines.len() > LIMIT {
        let left = lines.len() - LIMIT;
        lines.truncate(LIMIT);
        lines.push(format!("({left} more lines{rest})"));
    }
    lines
}
