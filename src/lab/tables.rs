//! The tables of every namespace at an instant of a run: at its end, behind a step, or at a time.
//!
//! An instant in the past is reached by running again: a run is a function of scenario and seed, so the first run
//! finds where the instant lies and the second stops there to look. [`Snapshot::of`] takes the tables of any world.
//!
//! A time lies between two instants at which anything happened; the world goes on from the earlier one to it, so that
//! ages and expiries are those of the time that was asked for.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::observe::{tables, tables_json};
use crate::scenario::diagnostic::nearest;
use crate::scenario::render::{Style, duration};
use crate::scenario::report::{Progress, Why};
use crate::scenario::run::{self, FailedCheck, Watcher};
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
    /// Containers that had ended, with their exit status.
    pub ended: Vec<(String, u8)>,
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

/// Nothing in the world has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPlace {
    /// Nothing is called so.
    #[error(
        "nothing is called `{name}`; {}",
        match .nearest {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", .known.join(", ")),
        }
    )]
    Nothing {
        /// The name.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
        /// The names there are.
        known: Vec<String>,
    },
    /// It was a container, and has ended.
    #[error("{name} is not running: it exited ({status}); its tables went with it")]
    Ended {
        /// The name.
        name: String,
        /// Its exit status.
        status: u8,
    },
}

/// One table of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Interfaces and their addresses.
    Interfaces,
    /// Forwarding tables of bridges.
    Fdb,
    /// Neighbours: ARP and NDP.
    Neighbours,
    /// Routes.
    Routes,
    /// Rules, both families.
    Rules,
    /// Tracked connections.
    Connections,
    /// Sockets.
    Sockets,
    /// Names that Docker's DNS answers.
    Names,
}

/// The words for tables, as people ask for them.
const TABLE_WORDS: [(&str, Table); 13] = [
    ("interfaces", Table::Interfaces),
    ("fdb", Table::Fdb),
    ("neighbours", Table::Neighbours),
    ("neighbors", Table::Neighbours),
    ("arp", Table::Neighbours),
    ("routes", Table::Routes),
    ("rules", Table::Rules),
    ("iptables", Table::Rules),
    ("conntrack", Table::Connections),
    ("connections", Table::Connections),
    ("sockets", Table::Sockets),
    ("dns", Table::Names),
    ("names", Table::Names),
];

impl FromStr for Table {
    type Err = String;

    fn from_str(text: &str) -> Result<Table, String> {
        let found = TABLE_WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, table)| *table).ok_or_else(|| {
            format!(
                "`{text}` is no table; there are interfaces, fdb, neighbours, routes, rules, conntrack, sockets, dns"
            )
        })
    }
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

    fn events(&mut self, _: &[Event], world: &mut World) {
        self.seen += 1;
        if world.now() <= self.until {
            self.last = self.seen;
        }
        if self.look == Some(self.seen) {
            // Nothing that anybody sees happens until then. Where the run ends before, the world goes on without it.
            let until = self.until;
            let go_on = |world: &mut World| {
                while world.step(until)? {}
                world.advance(until)
            };
            if until == Duration::MAX || go_on(world).is_ok() {
                self.found = Some(Snapshot::of(world));
            }
        }
    }

    fn explain(&mut self, _: &FailedCheck<'_>, _: &mut World) -> Why {
        Why::default()
    }
}

impl Snapshot {
    /// The tables of a world as it is.
    #[must_use]
    pub fn of(world: &World) -> Snapshot {
        Snapshot { time: world.now(), places: world.tables(), ended: world.ended_containers() }
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

    /// Keeps the places of these names: a place's own, the service of its containers, or a container that shares the
    /// place's namespace.
    ///
    /// # Errors
    /// The first name that is nobody's.
    pub fn chosen(self, scenario: &Scenario, names: &[String]) -> Result<Snapshot, UnknownPlace> {
        let mut wanted: Vec<String> = Vec::new();
        for name in names {
            let containers = scenario.service(name).map(|service| scenario.container_names(service));
            let wants = |known: &str| {
                known == name || containers.iter().flatten().any(|container| container == known)
            };
            let matching = self.places.iter().filter(|place| {
                wants(&place.name) || place.shared_by.iter().any(|container| wants(container))
            });
            let own: Vec<String> = matching.map(|place| place.name.clone()).collect();
            if own.is_empty() {
                let ended = self.ended.iter().find(|(ended, _)| wants(ended));
                if let Some((_, status)) = ended {
                    return Err(UnknownPlace::Ended { name: name.clone(), status: *status });
                }
                let services = scenario.services.iter().map(|service| service.name.value.as_str());
                let mut known: Vec<String> = self.names().chain(services).map(str::to_owned).collect();
                known.sort_unstable();
                known.dedup();
                let nearest = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
                return Err(UnknownPlace::Nothing { name: name.clone(), nearest, known });
            }
            wanted.extend(own);
        }
        Ok(self.only(|place| wanted.contains(&place.name)))
    }

    /// Lines for people. Tables without rows are left out.
    #[must_use]
    pub fn text(&self, style: Style) -> Vec<String> {
        self.text_of(style, None)
    }

    /// The same of one table; places without it are left out.
    #[must_use]
    pub fn text_of(&self, style: Style, table: Option<Table>) -> Vec<String> {
        let mut lines = vec![style.faint(&format!("at {} of virtual time", duration(self.time)))];
        for place in &self.places {
            let mut sections = sections(place);
            if let Some(table) = table {
                sections.retain(|(of, _, _)| *of == table);
                if sections.is_empty() {
                    continue;
                }
            }
            lines.push(String::new());
            let shared = match place.shared_by.as_slice() {
                [] => String::new(),
                list => format!(", whose namespace {} shares", clean(&list.join(" and "))),
            };
            let heading = format!("{} {}", place.kind.word(), clean(&place.name));
            lines.push(format!("{}{shared}", style.strong(&heading)));
            for (_, heading, rows) in sections {
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
                "shared_by": place.shared_by,
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
fn sections(place: &Tables) -> Vec<(Table, &'static str, String)> {
    let connections: Vec<_> = place.connections.iter().map(|(id, connection)| (*id, connection)).collect();
    let rules = |index: usize| place.rules.get(index).map(tables::rules).unwrap_or_default();
    let record =
        |record: &NameRecord| [record.network.clone(), record.name.clone(), record.address.to_string()];
    let all = [
        (Table::Interfaces, "interfaces", tables::interfaces(&place.interfaces)),
        (Table::Fdb, "forwarding tables of bridges", tables::fdb(&place.fdb)),
        (Table::Neighbours, "neighbours", tables::neighbours(&place.neighbours)),
        (Table::Routes, "routes", tables::routes(&place.routes)),
        (Table::Rules, "rules (iptables)", rules(0)),
        (Table::Rules, "rules (ip6tables)", rules(1)),
        (Table::Connections, "tracked connections", tables::connections(&connections, place.time)),
        (Table::Sockets, "sockets", tables::sockets(&place.sockets)),
        (
            Table::Names,
            "names that Docker's DNS answers",
            tables::names(place.names.iter().map(record).collect()),
        ),
    ];
    // One line is the heading alone; a set of rules that only has accepting policies has no row of its own.
    all.into_iter().filter(|(_, _, text)| text.lines().count() > 1).collect()
}

/// Names come from files and must not steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
