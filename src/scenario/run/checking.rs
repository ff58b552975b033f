//! Making checks: what a line claims is tried in the running world, and what was found is compared with it.

use std::net::IpAddr;

use super::{Runner, Stop, stopped};
use crate::scenario::checks::{Check, Claim, Endpoint, Outcome, Place};
use crate::scenario::model::Scenario;
use crate::scenario::report::{CheckFailure, CheckReport, Progress, Why};
use crate::scenario::steps::Target;
use crate::world::probe::ProbeOutcome;
use crate::world::{Event, HostId, Location, WorldError};

/// A check that does not hold, for whoever says why.
pub struct FailedCheck<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The host its services run on.
    pub host: HostId,
    /// What happened while it was tried.
    pub events: &'a [Event],
    /// The one attempt that was made, if the check is about one.
    pub tried: Option<&'a Tried>,
}

/// An attempt to reach something.
#[derive(Debug)]
pub struct Tried {
    /// Who tried, as written.
    pub from: Target,
    /// Where that is.
    pub location: Location,
    /// What was tried, as written.
    pub to: Endpoint,
    /// The name or address it was tried by.
    pub target: String,
    /// The addresses of that name, of which the first was tried.
    pub addresses: Vec<IpAddr>,
    /// How it ended.
    pub outcome: ProbeOutcome,
    /// How many of the events are of the lookup of the name.
    pub lookup: usize,
}

/// Expected and found, if they differ.
type Difference = Result<Option<(String, String)>, WorldError>;

impl Runner<'_> {
    pub(super) fn check(&mut self, host: HostId, check: &Check) -> Result<(), Stop> {
        let from: Vec<Target> = match &check.claim {
            Claim::Reach { from, .. } | Claim::Resolve { from, .. } => vec![from.clone()],
            // Every container is tried.
            Claim::Only { .. } => self.replaced.iter().cloned().map(Target::Container).collect(),
        };
        if self.left_out(host, &from.iter().collect::<Vec<_>>(), &check.claim.to_string(), check.span) {
            return Ok(());
        }
        let began = self.world.now();
        self.flush();
        self.held = Some(Vec::new());
        self.tried = None;
        let result = match &check.claim {
            Claim::Reach { from, to, outcome } => self.reach(host, from, to, *outcome),
            Claim::Resolve { from, name, addresses } => self.resolve(host, from, name, addresses),
            Claim::Only { from, to } => self.only(host, from, to),
        };
        self.flush();
        let events = self.held.take().unwrap_or_default();
        let tried = self.tried.take();
        let failure = match result {
            Ok(None) => None,
            Ok(Some((expected, found))) => {
                let scenario = self.scenario;
                let failed = FailedCheck { scenario, host, events: &events, tried: tried.as_ref() };
                let why = self.watcher.explain(&failed, self.world);
                Some(CheckFailure { expected, found, why })
            }
            Err(error @ (WorldError::Storm(_) | WorldError::Spinning(_))) => {
                return Err(stopped(check.span, &error));
            }
            Err(error) => Some(CheckFailure {
                expected: "the check can be made".to_owned(),
                found: error.to_string(),
                why: Why::default(),
            }),
        };
        let time = self.world.now().saturating_sub(began);
        let report = CheckReport { claim: check.claim.to_string(), failure, time, span: check.span };
        self.watcher.progress(Progress::CheckFinished(&report));
        self.report.checks.push(report);
        Ok(())
    }

    fn reach(&mut self, host: HostId, from: &Target, to: &Endpoint, wanted: Outcome) -> Difference {
        let places = self.places(host);
        let location = places.locate(from);
        let target = places.target(self.world, to)?;
        let addresses = self.world.resolve(&location, &target)?;
        self.flush();
        let lookup = self.held.as_ref().map_or(0, Vec::len);
        let found = match addresses.first() {
            Some(address) => self.world.probe(&location, &address.to_string(), to.attempt())?,
            None => ProbeOutcome::Unresolved,
        };
        let holds = match (wanted, found) {
            (Outcome::Ok(None), ProbeOutcome::Ok(_))
            | (Outcome::Refused, ProbeOutcome::Refused)
            | (Outcome::Timeout, ProbeOutcome::Timeout)
            | (Outcome::Unreachable, ProbeOutcome::Unreachable)
            | (Outcome::Unresolved, ProbeOutcome::Unresolved)
            | (Outcome::NoAnswer, ProbeOutcome::NoAnswer) => true,
            (Outcome::Ok(Some(source)), ProbeOutcome::Ok(seen)) => seen == Some(source),
            _ => false,
        };
        if holds {
            return Ok(None);
        }
        let (from, to) = (from.clone(), to.clone());
        self.tried = Some(Tried { from, location, to, target, addresses, outcome: found, lookup });
        Ok(Some((wanted.to_string(), found.to_string())))
    }

    fn resolve(&mut self, host: HostId, from: &Target, name: &str, wanted: &[IpAddr]) -> Difference {
        let location = self.places(host).locate(from);
        let mut found = self.world.resolve(&location, name)?;
        let mut wanted = wanted.to_vec();
        found.sort();
        wanted.sort();
        let text = |list: &[IpAddr]| match list {
            [] => "unresolved".to_owned(),
            list => list.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
        };
        Ok((found != wanted).then(|| (text(&wanted), text(&found))))
    }

    fn only(&mut self, host: HostId, from: &[Target], to: &Endpoint) -> Difference {
        let allowed: Vec<Location> = from.iter().map(|target| self.places(host).locate(target)).collect();
        let target = match &to.place {
            Place::Name(name) => Some(self.places(host).container_name(name)),
            Place::Address(_) | Place::Host(_) | Place::World(_) => None,
        };
        let running = self.world.daemon(host).into_iter().flat_map(|d| d.containers());
        let names: Vec<String> = running.filter(|c| c.state.is_up()).map(|c| c.name.clone()).collect();
        let mut wrong = Vec::new();
        let mut locations: Vec<Location> =
            names.into_iter().map(|name| Location::Container(host, name)).collect();
        locations.extend(allowed.iter().filter(|l| l.container().is_none()).cloned());
        for location in locations {
            if location.container().is_some() && location.container() == target.as_deref() {
                continue;
            }
            if location.container().is_some()
                && self.places(host).is_itself(self.world, &location, &to.place)?
            {
                continue;
            }
            let reaches =
                matches!(self.places(host).attempt(self.world, &location, to)?, ProbeOutcome::Ok(_));
            let name = location.container().unwrap_or("host").to_owned();
            match (reaches, allowed.contains(&location)) {
                (true, false) => wrong.push(format!("{name} reaches it")),
                (false, true) => wrong.push(format!("{name} does not")),
                (true, true) | (false, false) => {}
            }
        }
        // Who does not run reaches nothing, though no packet of his was stopped.
        wrong.extend(allowed.iter().filter_map(Location::container).filter_map(|name| {
            let up = self.world.daemon(host).and_then(|daemon| daemon.container(name).ok());
            let up = up.is_some_and(|container| container.state.is_up());
            (!up).then(|| format!("{name} does not: it does not run"))
        }));
        let listed: Vec<String> = from.iter().map(ToString::to_string).collect();
        let expected = || format!("of all containers only {} reach it", listed.join(", "));
        Ok((!wrong.is_empty()).then(|| (expected(), wrong.join(", "))))
    }
}
