//! The matrix: every ordered pair of containers, hosts and outside machines, tried by every name and every address.
//!
//! Every cell is real: a program in the source's namespace resolves the name, pings, connects to every port the target
//! listens on or exposes, and sends a datagram to every UDP port; the server says whom it sees. Nothing is derived from
//! rules. One world carries all attempts (`drive`), many at once, so that a pair costs what its frames cost, however
//! many others there are, and silence costs virtual time only.
//!
//! | file | does |
//! |---|---|
//! | `survey` | who there is: parties with their names, addresses and ports |
//! | `plan` | which attempts are made |
//! | `drive` | makes them |
//! | `table`, `json`, `junit`, `oracle` | what is printed |
//! | `diff` | what differs between two matrices, attempt by attempt, and in `diff/pairs` by pair |
//!
//! Limits: machines do not try each other, a party does not try itself, SCTP ports are not tried, and a paused
//! container is a target but not a source.

mod diff;
mod drive;
mod json;
mod junit;
mod oracle;
mod plan;
mod record;
mod survey;
mod table;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

pub use diff::{Change, Difference, PairChange, PairKind, Renamed, diff};
pub use survey::{Subject, subjects};

use crate::scenario::report::Totals;
use crate::scenario::run;
use crate::scenario::{Diagnostic, Scenario};
use crate::world::probe::{Attempt, Detail, ProbeOutcome, ProbeReport};
use crate::world::{HostId, World, WorldError};

/// Which attempts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// A ping, and every port the target listens on or exposes.
    #[default]
    Everything,
    /// Pings alone.
    Pings,
    /// One ping of every ordered pair of containers, by address: mininet's `pingall`.
    PingAll,
    /// What the recordings of a real engine hold: a ping and TCP port 80 of every container, published TCP ports, one
    /// address and one name outside ([`Matrix::oracle`]).
    Oracle,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The scenario's name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Everybody, in the order of rows and columns.
    pub parties: Vec<Party>,
    /// Every attempt, by source, then by target.
    pub attempts: Vec<Tried>,
    /// What the attempts cost in the simulated world; the way there is not counted.
    pub totals: Totals,
}

/// A place among [`Matrix::parties`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartyId(pub(in crate::lab::matrix) usize);

/// Somebody who tries and is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// What kind of place.
    pub kind: PartyKind,
    /// What readers call it: a service, a container, a host, a machine.
    pub label: String,
    /// Its name in Docker or in the world.
    pub name: String,
    /// Names that others may know it by; `label` first if it is one.
    pub names: Vec<String>,
    /// Addresses and the networks they are on.
    pub addresses: Vec<(String, IpAddr)>,
    /// Every address it has; servers may see it as any of them.
    pub own: Vec<IpAddr>,
    /// What can be tried on it besides a ping.
    pub ports: Vec<Attempt>,
    /// Published ports, as `docker port` lists them.
    pub published: Vec<Published>,
    /// Whether it runs.
    pub state: PartyState,
}

/// Kinds of parties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartyKind {
    /// A container.
    Container,
    /// A Docker host.
    Host,
    /// An outside machine.
    Machine,
}

/// Whether a party can take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartyState {
    /// It runs.
    Up,
    /// It does not, for this reason.
    Down(String),
    /// Docker does not know it.
    Missing,
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Address and port on the host.
    pub host: SocketAddr,
    /// Port and protocol in the container; `None` for a protocol that is not tried.
    pub container: Option<Attempt>,
}

/// One attempt and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Who tried.
    pub from: PartyId,
    /// Whom it was meant for.
    pub to: PartyId,
    /// How the target was called.
    pub by: By,
    /// What was tried.
    pub attempt: Attempt,
    /// What came of it.
    pub outcome: Outcome,
}

/// How a target was called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// By a name.
    Name(String),
    /// By an address it has on a network or card.
    Address {
        /// The network; of a host or machine, a card without a Docker network, or `internet` behind its cards.
        network: String,
        /// The address.
        address: IpAddr,
    },
    /// By a port that the host publishes for a container.
    Published {
        /// The host's address that was used.
        address: IpAddr,
        /// The host's port.
        port: u16,
        /// The container's label.
        container: String,
        /// Port and protocol in the container.
        target: Attempt,
    },
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Name(name) => write!(f, "name {name}"),
            By::Address { network, address } => write!(f, "{address} ({network})"),
            By::Published { address, port, container, target } => {
                write!(f, "{} ({container} {target})", SocketAddr::new(*address, *port))
            }
        }
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It works; the source address the server saw, if it says so.
    Ok(Option<IpAddr>),
    /// It connects and says nothing.
    Silent,
    /// It connects and is closed at once without an answer.
    Closed,
    /// A reset, or ICMP port unreachable.
    Refused,
    /// Nothing comes back.
    Timeout,
    /// An ICMP error, or a neighbour that does not answer.
    Unreachable,
    /// The source has no route.
    NoRoute,
    /// A router on the way has no route, and said so to a connection.
    NoRouteBeyond,
    /// The name does not resolve.
    Unresolved,
    /// No name server answers.
    NameTimeout,
    /// A datagram was sent and nothing came back, not even an error.
    NoAnswer,
    /// It could not be made: the source does not run.
    NotMade,
}

impl Outcome {
    /// Whether there was no address to send to.
    #[must_use]
    pub fn has_no_name(self) -> bool {
        matches!(self, Outcome::Unresolved | Outcome::NameTimeout)
    }

    /// Whether a packet got there and one came back.
    #[must_use]
    pub fn reaches(self) -> bool {
        matches!(self, Outcome::Ok(_) | Outcome::Silent)
    }

    /// The word for it, as in a scenario's checks.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Ok(_) => "ok",
            Outcome::Silent => "silent",
            Outcome::Closed => "closed",
            Outcome::Refused => "refused",
            Outcome::Timeout => "timeout",
            Outcome::Unreachable | Outcome::NoRouteBeyond => "unreachable",
            Outcome::NoRoute => "no-route",
            Outcome::Unresolved => "unresolved",
            Outcome::NameTimeout => "name-timeout",
            Outcome::NoAnswer => "no-answer",
            Outcome::NotMade => "not-made",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok(Some(seen)) => write!(f, "ok from {seen}"),
            other => f.write_str(other.word()),
        }
    }
}

impl From<ProbeReport> for Outcome {
    fn from(report: ProbeReport) -> Self {
        match (report.outcome, report.detail) {
            (ProbeOutcome::Ok(_), Detail::Silent) => Outcome::Silent,
            (ProbeOutcome::Ok(_), Detail::Closed) => Outcome::Closed,
            (ProbeOutcome::Ok(seen), _) => Outcome::Ok(seen),
            (ProbeOutcome::Refused, _) => Outcome::Refused,
            (ProbeOutcome::Timeout, _) => Outcome::Timeout,
            (ProbeOutcome::Unreachable, Detail::NoRoute) => Outcome::NoRoute,
            (ProbeOutcome::Unreachable, Detail::NoRouteBeyond) => Outcome::NoRouteBeyond,
            (ProbeOutcome::Unreachable, _) => Outcome::Unreachable,
            (ProbeOutcome::Unresolved, Detail::NameTimeout) => Outcome::NameTimeout,
            (ProbeOutcome::Unresolved, _) => Outcome::Unresolved,
            (ProbeOutcome::NoAnswer, _) => Outcome::NoAnswer,
        }
    }
}

impl Matrix {
    /// A party.
    #[must_use]
    pub fn party(&self, id: PartyId) -> &Party {
        &self.parties[id.0]
    }

    /// Whose an address is: the host's before that of the containers which share its namespace.
    pub(in crate::lab::matrix) fn owner_of(&self, address: IpAddr) -> Option<&Party> {
        let owners = self.parties.iter().filter(|party| party.own.contains(&address));
        owners.min_by_key(|party| party.kind == PartyKind::Container)
    }

    /// All parties with their ids.
    pub fn numbered(&self) -> impl Iterator<Item = (PartyId, &Party)> {
        self.parties.iter().enumerate().map(|(index, party)| (PartyId(index), party))
    }
}

/// Containers in the matrix of a scenario: with more it would take minutes and gibibytes.
const MOST_SUBJECTS: usize = 500;

/// Runs a scenario to the end of its steps and tries who reaches whom. Checks are not made.
///
/// # Errors
/// What keeps the scenario from running.
pub fn matrix(scenario: &Scenario, seed: u64, scope: Scope) -> Result<Matrix, Box<Diagnostic>> {
    let (mut world, host, _) = run::play(scenario, seed)?;
    let subjects = subjects(scenario, &world, host);
    if subjects.len() > MOST_SUBJECTS {
        let message = format!(
            "a matrix of {} containers is too large: every pair is tried by every name and address, at most {MOST_SUBJECTS} \
             containers",
            subjects.len()
        );
        let help =
            "choose services by `--profile`, or ask for single pairs with `linkspan explain` and `checks:`";
        return Err(Box::new(Diagnostic::error(None, message).help(help.to_owned())));
    }
    let found = measure(&mut world, host, &subjects, scope);
    let mut found = found.map_err(|error| Box::new(Diagnostic::error(None, error.to_string())))?;
    found.name.clone_from(&scenario.name);
    found.file.clone_from(&scenario.file);
    Ok(found)
}

/// Tries who reaches whom in a world, at this moment. `subjects` are the containers of `host` in the order of rows.
///
/// # Errors
/// When frames multiply or a program never waits.
pub fn measure(
    world: &mut World,
    host: HostId,
    subjects: &[Subject],
    scope: Scope,
) -> Result<Matrix, WorldError> {
    let mut parties = survey::parties(world, host, subjects)?;
    if scope == Scope::Oracle {
        survey::leave_out_without_exec(&mut parties, world, host);
    }
    let trials = plan::trials(&parties, scope);
    let dropped = |world: &World| -> u64 { world.drops().values().sum() };
    let before = (world.frames(), dropped(world), world.now());
    let outcomes = match scope {
        Scope::Oracle => record::record(world, &parties, &trials)?,
        Scope::Everything | Scope::Pings | Scope::PingAll => {
            // A row tells what each attempt comes to alone, not that too many were made at once.
            world.lift_icmp_limits(true);
            let outcomes = drive::drive(world, &parties, &trials);
            world.lift_icmp_limits(false);
            outcomes?
        }
    };
    let totals = Totals {
        frames: world.frames() - before.0,
        drops: dropped(world) - before.1,
        time: world.now() - before.2,
    };
    let attempts = trials.into_iter().zip(outcomes).flat_map(|(trial, outcomes)| {
        let plan::Trial { from, to, by, attempts, .. } = trial;
        attempts.into_iter().zip(outcomes).map(move |(attempt, outcome)| Tried {
            from,
            to,
            by: by.clone(),
            attempt,
            outcome,
        })
    });
    Ok(Matrix {
        name: String::new(),
        file: PathBuf::new(),
        attempts: attempts.collect(),
        parties: parties.into_iter().map(|place| place.party).collect(),
        totals,
    })
}
