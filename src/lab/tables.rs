//! The tables of every namespace at an instant of a run: at its end, behind a step, or at a time.
//!
//! An instant in the past is reached by running again: a run is a function of scenario and seed, so the first run
//! finds where the instant lies and the second stops there to look. [`Snapshot::of`] takes the tables of any world.
//!
//! Limit: the instant of a time is the last one at or before it at which anything happened; ages and expiries are those
//! of that moment.

use std::time::Duration;

use serde_json::{Value, json};

use crate::observe::{tables, tables_json};
use crate::scenario::render::{Style, duration};
use crate::scenario::report::Progress;
use crate::scenario::run::{self, Watcher};
use crate::scenario::{Diagnostic, Scenario};
use crate::world::tables::{NameRecord, Tables};
use crate::world::{Event, World};

/// Which instant of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When all steps and checks were made.
    End,
    /// When so many steps were made; 0 is when all services run.
    AfterStep(usize),
    /// At this time.
    At(Duration),
}

/// The tables of a world at an instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Virtual time.
    pub time: Duration,
    /// Hosts, containers, machines, LANs.
    pub places: Vec<Tables>,
}

/// Why there is no snapshot.
#[derive(Debug)]
pub enum NoSnapshot {
    /// The scenario could not be run to that instant.
    Failed(Box<Diagnostic>),
    /// It has fewer steps.
    NoStep {
        /// The step asked for.
        wanted: usize,
        /// How many there are.
        steps: usize,
    },
}

/// Runs a scenario to an instant and takes every table.
///
/// # Errors
/// When it cannot be run so far, or has no such step.
pub fn at(scenario: &Scenario, seed: u64, moment: Moment) -> Result<Snapshot, NoSnapshot> {
    if let Moment::AfterStep(wanted) = moment
        && wanted > scenario.steps.len()
    {
        return Err(NoSnapshot::NoStep { wanted, steps: scenario.steps.len() });
    }
    // A step that is only checks reports no end of its own, so steps are counted by running that many of them.
    let mut shortened = scenario.clone();
    if let Moment::AfterStep(wanted) = moment {
        shortened.steps.truncate(wanted);
        shortened.checks.clear();
    }
    let until = match moment {
        Moment::At(time) => time,
        Moment::End | Moment::AfterStep(_) => Duration::MAX,
    };
    let mut scout = Scout { until, look: None, seen: 0, last: 0, found: None };
    let report = run::run(&shortened, seed, &mut scout);
    if let Some(failure) = report.failure
        && until >= report.totals.time
    {
        return Err(NoSnapshot::Failed(Box::new(failure)));
    }
    let mut look = Scout { look: Some(scout.last), seen: 0, ..scout };
    run::run(&shortened, seed, &mut look);
    let nothing = || NoSnapshot::Failed(Box::new(Diagnostic::error(None, "nothing ever happened")));
    look.found.ok_or_else(nothing)
}

/// Counts the moments at which something happened, and takes the tables at one of them.
struct Scout {
    until: Duration,
    look: Option<u64>,
    seen: u64,
    /// The last moment that is not too late.
    last: u64,
    found: Option<Snapshot>,
}

impl Watcher for Scout {
    fn progress(&mut self, _: Progress<'_>) {}

    fn events(&mut self, _: &[Event], world: &World) {
        self.seen += 1;
        if world.now() <= self.until {
            self.last = self.seen;
        }
        if self.look == Some(self.seen) {
            self.found = Some(Snapshot::of(world));
        }
    }

    fn explain(&mut self, _: &[Event], _: &World) -> Vec<String> {
        Vec::new()
    }
}

impl Snapshot {
    /// The tables of a world as it is.
    #[must_use]
    pub fn of(world: &World) -> Snapshot {
        Snapshot { time: world.now(), places: world.tables() }
    }

    /// The names of the places.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.name.as_str())
    }

    /// Keeps only places that `wanted` takes.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Tables) -> bool) -> Snapshot {
        self.places.retain(|place| wanted(place));
        self
    }

    /// Lines for people. Tables without rows are left out.
    #[must_use]
    pub fn text(&self, style: Style) -> Vec<String> {
        let mut lines = vec![style.faint(&format!("at {} of virtual time", duration(self.time)))];
        for place in &self.places {
            lines.push(String::new());
            lines.push(style.strong(&format!("{} {}", place.kind.word(), clean(&place.name))));
            for (heading, rows) in sections(place) {
                lines.push(format!("  {}", style.strong(heading)));
                lines.extend(rows.lines().map(|line| format!("    {}", clean(line))));
            }
        }
        lines
    }

    /// All tables as one object.
    #[must_use]
    pub fn json(&self) -> Value {
        let record = |record: &NameRecord| {
            json!({
                "network": record.network,
                "name": record.name,
                "address": record.address.to_string(),
            })
        };
        let place = |place: &Tables| {
            json!({
                "name": place.name,
                "kind": place.kind.word(),
                "interfaces": tables_json::interfaces(&place.interfaces),
                "fdb": tables_json::fdb(&place.fdb),
                "neighbours": tables_json::neighbours(&place.neighbours),
                "routes": tables_json::routes(&place.routes),
                "rules": place.rules.first().map(tables_json::rules),
                "rules_ipv6": place.rules.get(1).map(tables_json::rules),
                "connections": tables_json::connections(&place.connections, place.time),
                "sockets": tables_json::sockets(&place.sockets),
                "names": place.names.iter().map(record).collect::<Vec<_>>(),
            })
        };
        json!({
            "time": self.time.as_secs_f64(),
            "places": self.places.iter().map(place).collect::<Vec<_>>(),
        })
    }
}

/// The tables of a place that have rows, with their headings.
fn sections(place: &Tables) -> Vec<(&'static str, String)> {
    let connections: Vec<_> = place.connections.iter().map(|(id, connection)| (*id, connection)).collect();
    let rules = |index: usize| place.rules.get(index).map(tables::rules).unwrap_or_default();
    let record =
        |record: &NameRecord| [record.network.clone(), record.name.clone(), record.address.to_string()];
    let all = [
        ("interfaces", tables::interfaces(&place.interfaces)),
        ("forwarding tables of bridges", tables::fdb(&place.fdb)),
        ("neighbours", tables::neighbours(&place.neighbours)),
        ("routes", tables::routes(&place.routes)),
        ("rules (iptables)", rules(0)),
        ("rules (ip6tables)", rules(1)),
        ("tracked connections", tables::connections(&connections, place.time)),
        ("sockets", tables::sockets(&place.sockets)),
        ("names that Docker's DNS answers", tables::names(place.names.iter().map(record).collect())),
    ];
    // One line is the heading alone; a set of rules that only has accepting policies has no row of its own.
    all.into_iter().filter(|(_, text)| text.lines().count() > 1).collect()
}

/// Names come from files and must not steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
