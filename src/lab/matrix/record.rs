//! Makes the attempts of a matrix as the script did that recorded a real engine: six hands, each of which takes the next
//! trial in order when it is free, as long as `docker exec`, `ping -W1` and `timeout 2 wget` take.
//!
//! What a machine says to one other is limited in rate, so that who asks first and how fast decides who hears it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Outcome;
use super::drive::{LIMIT, not_made, origin};
use super::plan::Trial;
use super::survey::PartyPlace;
use crate::world::probe::{EndedProbes, Manner, PendingProbe, ProbeOrigin};
use crate::world::{World, WorldError};

const HANDS: usize = 6;

/// The outcomes of the trials, in their order.
pub(super) fn record(
    world: &mut World,
    places: &[PartyPlace],
    trials: &[Trial],
) -> Result<Vec<Vec<Outcome>>, WorldError> {
    let mut outcomes = not_made(trials);
    let origins: Vec<Option<ProbeOrigin>> = places.iter().map(|place| origin(world, place)).collect();
    let ended = EndedProbes::default();
    let mut waiting: BTreeMap<usize, (PendingProbe, Duration)> = BTreeMap::new();
    let mut queue = trials.iter().enumerate();
    loop {
        while waiting.len() < HANDS
            && let Some((place, trial)) = queue.next()
        {
            let Some(origin) = &origins[trial.from.0] else { continue };
            let (target, attempts) = (&trial.target, &trial.attempts);
            let probe = world.start_probe(origin, target, attempts, Manner::RECORDER, place as u64, &ended);
            waiting.insert(place, (probe, world.now().saturating_add(LIMIT)));
        }
        let Some(until) = waiting.values().map(|(_, until)| *until).min() else { return Ok(outcomes) };
        world.settle()?;
        if !world.step(until)? {
            world.advance(until)?;
        }
        for number in ended.take() {
            let Ok(place) = usize::try_from(number) else { continue };
            let Some((probe, _)) = waiting.remove(&place) else { continue };
            outcomes[place] = probe.reports().unwrap_or_default().into_iter().map(Outcome::from).collect();
        }
        let now = world.now();
        for (_, (probe, _)) in waiting.extract_if(.., |_, (_, until)| *until <= now) {
            world.stop_probe(&probe);
        }
    }
}
