//! Waiting for what a service depends on: that another one is healthy, or has ended well.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::Condition;
use super::{Runner, STEP_LIMIT, Stop, stopped};
use crate::docker::container::State;
use crate::docker::health::HealthStatus;
use crate::world::HostId;

impl Runner<'_> {
    /// Waits until what a service wants completed has ended with success.
    pub(super) fn await_completed(&mut self, host: HostId, service: &str) -> Result<(), Stop> {
        let Some(service) = self.scenario.service(service) else { return Ok(()) };
        let wanted = service.depends_on.iter().filter(|d| d.condition == Condition::CompletedSuccessfully);
        for dependency in wanted {
            let (name, span) = (&dependency.service.value, dependency.service.span);
            let Some(needed) = self.scenario.service(name) else { continue };
            for container in self.scenario.container_names(needed) {
                match self.exit_status(host, &container, span)? {
                    Some(0) => {}
                    // Compose goes on without what is not required.
                    _ if !dependency.required => {}
                    Some(status) => {
                        let message =
                            format!("service \"{name}\" didn't complete successfully: exit {status}");
                        return Err(Box::new(Diagnostic::error(span, message).label("needed here")));
                    }
                    None => {
                        let limit = STEP_LIMIT.as_secs();
                        let message =
                            format!("service \"{name}\" still runs after {limit} s of virtual time");
                        let label = "wanted completed here";
                        return Err(Box::new(Diagnostic::error(span, message).label(label)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until what a service wants healthy is. A container without a health check is taken at its word: its
    /// image may have one that nobody here knows.
    pub(super) fn await_healthy(&mut self, host: HostId, service: &str) -> Result<(), Stop> {
        let Some(service) = self.scenario.service(service) else { return Ok(()) };
        for dependency in service.depends_on.iter().filter(|d| d.condition == Condition::Healthy) {
            let span = dependency.service.span;
            let Some(needed) = self.scenario.service(&dependency.service.value) else { continue };
            for container in self.scenario.container_names(needed) {
                let why = match self.health_verdict(host, &container, span)? {
                    Verdict::Healthy => continue,
                    Verdict::Unhealthy => "is unhealthy".to_owned(),
                    Verdict::Ended(status) => format!("exited ({status})"),
                    Verdict::Undecided => {
                        format!("is neither healthy nor unhealthy after {} s", STEP_LIMIT.as_secs())
                    }
                };
                if dependency.required {
                    let message = format!("dependency failed to start: container {container} {why}");
                    return Err(Box::new(Diagnostic::error(span, message).label("wanted healthy here")));
                }
            }
        }
        Ok(())
    }

    fn health_verdict(&mut self, host: HostId, container: &str, span: Span) -> Result<Verdict, Stop> {
        let until = self.world.now().saturating_add(STEP_LIMIT);
        self.world.settle().map_err(|error| stopped(span, &error))?;
        loop {
            self.flush();
            let Some(found) = self.world.daemon(host).and_then(|daemon| daemon.container(container).ok())
            else {
                return Ok(Verdict::Healthy);
            };
            match found.health.map(|health| health.status) {
                _ if found.state == State::Exited => return Ok(Verdict::Ended(found.exit_code)),
                None | Some(HealthStatus::Healthy) => return Ok(Verdict::Healthy),
                Some(HealthStatus::Unhealthy) => return Ok(Verdict::Unhealthy),
                Some(HealthStatus::Starting) => {}
            }
            if !self.world.step(until).map_err(|error| stopped(span, &error))? {
                return Ok(Verdict::Undecided);
            }
        }
    }

    /// Runs until a container has ended; `None`: it does not.
    fn exit_status(&mut self, host: HostId, container: &str, span: Span) -> Result<Option<u8>, Stop> {
        let until = self.world.now().saturating_add(STEP_LIMIT);
        self.world.settle().map_err(|error| stopped(span, &error))?;
        loop {
            self.flush();
            let found = self.world.daemon(host).and_then(|daemon| daemon.container(container).ok());
            if let Some(found) = found
                && found.state == State::Exited
            {
                return Ok(Some(found.exit_code));
            }
            if !self.world.step(until).map_err(|error| stopped(span, &error))? {
                return Ok(None);
            }
        }
    }
}

/// What became of a container that others want healthy.
enum Verdict {
    Healthy,
    Unhealthy,
    Ended(u8),
    Undecided,
}
