//! A run that stands still between two things it does, so that somebody may look at its world, and decides what is next.

use super::{Diagnostic, HostId, Report, Runner, Scenario, Step, Stop, Watcher, World};
use crate::scenario::checks::Check;

/// A scenario's world whose services were started.
pub struct Standing {
    world: World,
    host: HostId,
}

impl Standing {
    /// Builds a scenario's world and starts its services.
    ///
    /// # Errors
    /// What keeps the scenario from running.
    pub fn up(scenario: &Scenario, seed: u64, watcher: &mut dyn Watcher) -> Result<Self, Box<Diagnostic>> {
        let mut world = World::new(seed);
        world.watch(true);
        let mut runner = Runner::new(scenario, &mut world, watcher);
        let host = runner.up()?;
        runner.flush();
        Ok(Self { world, host })
    }

    /// Does a step. What it expected in vain is in the report.
    ///
    /// # Errors
    /// Why a run ends here. The world is then somewhere in the middle of the step.
    pub fn step(
        &mut self,
        scenario: &Scenario,
        step: &Step,
        watcher: &mut dyn Watcher,
    ) -> Result<Report, Box<Diagnostic>> {
        self.act(scenario, watcher, |runner, host| runner.step(host, step))
    }

    /// Makes a check. Whether it holds is in the report.
    ///
    /// # Errors
    /// As [`Standing::step`].
    pub fn check(
        &mut self,
        scenario: &Scenario,
        check: &Check,
        watcher: &mut dyn Watcher,
    ) -> Result<Report, Box<Diagnostic>> {
        self.act(scenario, watcher, |runner, host| runner.check(host, check))
    }

    /// Does what somebody typed. A command that fails is told, and is no error.
    ///
    /// # Errors
    /// As [`Standing::step`].
    pub fn typed(
        &mut self,
        scenario: &Scenario,
        line: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<Report, Box<Diagnostic>> {
        self.act(scenario, watcher, |runner, host| runner.typed(host, line))
    }

    fn act(
        &mut self,
        scenario: &Scenario,
        watcher: &mut dyn Watcher,
        act: impl FnOnce(&mut Runner<'_>, HostId) -> Result<(), Stop>,
    ) -> Result<Report, Box<Diagnostic>> {
        let mut runner = Runner::new(scenario, &mut self.world, watcher);
        act(&mut runner, self.host)?;
        runner.flush();
        Ok(runner.report)
    }

    /// The world as it is.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The world, to try things in it, and the host its services run on.
    pub const fn world_mut(&mut self) -> (&mut World, HostId) {
        (&mut self.world, self.host)
    }
}
