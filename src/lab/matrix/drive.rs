//! Makes the attempts of a matrix in one world, many at a time.
//!
//! Probes start in bursts. After each burst the world runs what can run within [`TRAVEL`], so what answers has answered
//! before the next burst leaves, and queues hold one burst at most: waiting frames of a neighbour, the receive buffer of
//! a name server, the backlog of a listener. Only silence waits. It waits together: when nothing more may start, time
//! moves on and the timeouts pass side by side. Real work is that of the frames; the number of parties enters
//! through them alone.
//!
//! Sources take turns, each beginning with the target that follows it, so that a burst spreads over sources and targets.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::plan::Trial;
use super::survey::PartyPlace;
use super::{Outcome, PartyId, PartyState};
use crate::world::probe::{EndedProbes, Manner, PendingProbe, ProbeOrigin};
use crate::world::{World, WorldError};

/// Probes that start between two looks. A name server's receive buffer holds about 270 queries (212,992 bytes by
/// default on Linux), and a probe may ask twice.
const BURST: usize = 64;
/// Probes of one source that wait at a time: less than a neighbour's queue of unresolved packets holds (101 on Linux).
const PER_SOURCE: usize = 48;
/// Probes that wait at a time.
const IN_FLIGHT: usize = 4_096;
/// Longest that a trial may take in virtual time: resolving, and each attempt.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// How long a burst may travel before the next one leaves: longer than most wires delay, shorter than the timers of
/// silence (TCP and ARP try again after 1 s).
const TRAVEL: Duration = Duration::from_millis(400);

/// The outcomes of the trials, in their order.
pub(super) fn drive(
    world: &mut World,
    places: &[PartyPlace],
    trials: &[Trial],
) -> Result<Vec<Vec<Outcome>>, WorldError> {
    let mut outcomes = not_made(trials);
    let mut run = Run {
        sources: sources(world, places, trials),
        next: 0,
        started: 0,
        in_flight: BTreeMap::new(),
        ended: EndedProbes::default(),
    };
    loop {
        let started = run.start(world, trials);
        let Some(oldest) = run.in_flight.first_key_value().map(|(_, waiting)| waiting.until) else { break };
        world.settle()?;
        if started > 0 {
            let until = world.now().saturating_add(TRAVEL);
            while world.step(until)? {}
        } else if !world.step(oldest)? {
            world.advance(oldest)?;
        }
        run.collect(&mut outcomes);
        run.give_up(world);
    }
    Ok(outcomes)
}

struct Run {
    sources: Vec<Source>,
    /// Whose turn it is.
    next: usize,
    started: u64,
    /// By number, which is the order of their starts.
    in_flight: BTreeMap<u64, Waiting>,
    ended: EndedProbes,
}

struct Source {
    origin: ProbeOrigin,
    trials: VecDeque<usize>,
    waiting: usize,
}

struct Waiting {
    trial: usize,
    source: usize,
    probe: PendingProbe,
    until: Duration,
}

/// The sources that run, each with its trials, turned so that it begins with the targets behind it.
fn sources(world: &World, places: &[PartyPlace], trials: &[Trial]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    let mut known: Vec<Option<usize>> = vec![None; places.len()];
    for (index, trial) in trials.iter().enumerate() {
        let PartyId(from) = trial.from;
        let source = match known[from] {
            Some(source) => source,
            None => {
                let Some(origin) = origin(world, &places[from]) else { continue };
                sources.push(Source { origin, trials: VecDeque::new(), waiting: 0 });
                known[from] = Some(sources.len() - 1);
                sources.len() - 1
            }
        };
        sources[source].trials.push_back(index);
    }
    let count = sources.len().max(1);
    for (index, source) in sources.iter_mut().enumerate() {
        let turn = source.trials.len() * index / count;
        source.trials.rotate_left(turn);
    }
    sources
}

/// What every trial has before it is made.
pub(super) fn not_made(trials: &[Trial]) -> Vec<Vec<Outcome>> {
    trials.iter().map(|trial| vec![Outcome::NotMade; trial.attempts.len()]).collect()
}

/// Where a party's attempts leave from, if it runs.
pub(super) fn origin(world: &World, place: &PartyPlace) -> Option<ProbeOrigin> {
    match place.party.state {
        PartyState::Up => world.probe_origin(&place.location).ok(),
        PartyState::Down(_) | PartyState::Missing => None,
    }
}

impl Run {
    /// Starts a burst, one probe of each source in turn; how many were started.
    fn start(&mut self, world: &mut World, trials: &[Trial]) -> usize {
        let (mut started, mut idle) = (0, 0);
        while started < BURST && self.in_flight.len() < IN_FLIGHT && idle < self.sources.len() {
            let index = self.next;
            self.next = (index + 1) % self.sources.len();
            let source = &mut self.sources[index];
            idle += 1;
            if source.waiting >= PER_SOURCE {
                continue;
            }
            let Some(number) = source.trials.pop_front() else { continue };
            idle = 0;
            let trial = &trials[number];
            self.started += 1;
            let probe = world.start_probe(
                &source.origin,
                &trial.target,
                &trial.attempts,
                Manner::PATIENT,
                self.started,
                &self.ended,
            );
            source.waiting += 1;
            let until = world.now().saturating_add(LIMIT);
            self.in_flight.insert(self.started, Waiting { trial: number, source: index, probe, until });
            started += 1;
        }
        started
    }

    /// Takes in what has ended.
    fn collect(&mut self, outcomes: &mut [Vec<Outcome>]) {
        for number in self.ended.take() {
            let Some(waiting) = self.in_flight.remove(&number) else { continue };
            let reports = waiting.probe.reports().unwrap_or_default();
            outcomes[waiting.trial] = reports.into_iter().map(Outcome::from).collect();
            self.sources[waiting.source].waiting -= 1;
        }
    }

    /// Ends what takes too long.
    fn give_up(&mut self, world: &mut World) {
        let now = world.now();
        while let Some(oldest) = self.in_flight.first_entry().filter(|oldest| oldest.get().until <= now) {
            let waiting = oldest.remove();
            world.stop_probe(&waiting.probe);
            self.sources[waiting.source].waiting -= 1;
        }
    }
}
