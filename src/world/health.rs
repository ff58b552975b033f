//! Health checks as programs: a probe runs in its container, its status or its timeout is the verdict.
//!
//! A probe whose program is not there fails, as on Docker. Whoever lets a check count as passed because linkspan lacks
//! its program replaces the check and says so.

use std::collections::BTreeMap;
use std::time::Duration;

use super::environment;
use super::process::{Started, Streams};
use super::{HostId, World, WorldError};
use crate::engine::sys::{ExitCode, Pipe};

/// Bytes of a probe's output that are kept before it must wait.
const OUTPUT_LIMIT: usize = 1 << 20;

/// When probes are due, and those that run.
#[derive(Default)]
pub(super) struct HealthChecks {
    due: BTreeMap<(Duration, String), HostId>,
    running: BTreeMap<String, Probe>,
}

struct Probe {
    host: HostId,
    began: Duration,
    deadline: Duration,
    started: Started,
}

impl HealthChecks {
    pub(super) fn schedule(&mut self, host: HostId, time: Duration, container: &str) {
        self.due.insert((time, container.to_owned()), host);
    }

    /// A container has ended, and its probes with it.
    pub(super) fn forget(&mut self, container: &str) {
        self.due.retain(|(_, id), _| id != container);
        self.running.remove(container);
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let due = self.due.keys().next().map(|(time, _)| *time);
        let running = self.running.values().map(|probe| probe.deadline).min();
        due.into_iter().chain(running).min()
    }
}

impl World {
    /// Starts the probes that are due and ends those that take too long.
    pub(super) fn health_due(&mut self, now: Duration) -> Result<(), WorldError> {
        let late = self.health.running.iter().filter(|(_, probe)| probe.deadline <= now);
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        for id in late {
            if let Some(probe) = self.health.running.remove(&id) {
                self.processes.kill(probe.started.id, 9);
                self.probed(&id, probe.host, probe.began, false)?;
            }
        }
        while let Some(entry) = self.health.due.first_entry()
            && entry.key().0 <= now
        {
            let ((_, id), host) = entry.remove_entry();
            self.start_health_check(&id, host, now)?;
        }
        Ok(())
    }

    fn start_health_check(&mut self, id: &str, host: HostId, now: Duration) -> Result<(), WorldError> {
        let (Some(probe), Some(place)) = (self.daemons[host.0].health_due(id), self.running_place(id)) else {
            return Ok(());
        };
        let output = Pipe::with_capacity(OUTPUT_LIMIT);
        let streams = Streams { stdin: Pipe::empty(), stdout: output.clone(), stderr: output };
        let environment = environment::of_container(&probe.env);
        match self.processes.start(&place, probe.argv, environment, streams) {
            Ok(started) => {
                let deadline = now.saturating_add(probe.timeout);
                self.health.running.insert(id.to_owned(), Probe { host, began: now, deadline, started });
                Ok(())
            }
            Err(_) => self.probed(id, host, now, false),
        }
    }

    /// Reports probes that ended; true if there were any.
    pub(super) fn collect_probes(&mut self) -> Result<bool, WorldError> {
        let status = |probe: &Probe| probe.started.exit.borrow().status();
        let running = self.health.running.iter();
        let ended: Vec<(String, ExitCode)> =
            running.filter_map(|(id, probe)| Some((id.clone(), status(probe)?))).collect();
        for (id, status) in &ended {
            if let Some(probe) = self.health.running.remove(id) {
                self.probed(id, probe.host, probe.began, *status == ExitCode::SUCCESS)?;
            }
        }
        Ok(!ended.is_empty())
    }

    fn probed(&mut self, id: &str, host: HostId, began: Duration, passed: bool) -> Result<(), WorldError> {
        let now = self.now();
        let outcome = self.daemons[host.0].probed(now, id, began, passed);
        self.carry_out(host, &outcome)
    }
}
