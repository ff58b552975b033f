//! Health checks: when a probe is due, and what its result means.

use std::time::Duration;

use super::Daemon;
use crate::docker::container::{Container, State};
use crate::docker::health::{Health, HealthProbe, HealthStatus, Healthcheck};
use crate::docker::outcome::Outcome;

impl Daemon {
    /// The container has started, or goes on after a pause: the next probe is an interval away.
    pub(super) fn watch_health(&mut self, now: Duration, number: u32, anew: bool, outcome: &mut Outcome) {
        let Some(container) = self.containers.get_mut(&number) else { return };
        let Some(check) = &container.made_from.config.healthcheck else { return };
        if anew {
            container.health = Some(Health { status: HealthStatus::Starting, failing_streak: 0 });
        }
        outcome.probes.push((now + interval(container, check, now), container.id.clone()));
    }

    /// The moment of an outcome's `probes` has come; `None` if the container does not run.
    pub fn health_due(&self, container: &str) -> Option<HealthProbe> {
        let container =
            self.container(container).ok().filter(|c| self.running && c.state == State::Running)?;
        let check = container.made_from.config.healthcheck.as_ref()?;
        let env = self.environment(container.number, false);
        Some(HealthProbe { argv: check.test.clone(), env, timeout: check.timeout })
    }

    /// A probe that began at `began` has ended.
    pub fn probed(&mut self, now: Duration, container: &str, began: Duration, passed: bool) -> Outcome {
        let mut outcome = Outcome::default();
        let Ok(number) = self.container_number(container) else { return outcome };
        let Some(container) = self.containers.get_mut(&number) else { return outcome };
        let (Some(check), Some(health)) = (&container.made_from.config.healthcheck, &mut container.health)
        else {
            return outcome;
        };
        let before = health.status;
        let age = began.saturating_sub(container.started.unwrap_or_default());
        if passed {
            *health = Health { status: HealthStatus::Healthy, failing_streak: 0 };
        } else if before != HealthStatus::Starting || age >= check.start_period {
            health.failing_streak += 1;
            if health.failing_streak >= check.retries {
                health.status = HealthStatus::Unhealthy;
            }
        }
        let after = health.status;
        if after != before {
            let action = format!("health_status: {}", after.name());
            outcome.events.extend(self.container_event(now, &action, number, &[]));
        }
        self.watch_health(now, number, false, &mut outcome);
        outcome
    }
}

fn interval(container: &Container, check: &Healthcheck, now: Duration) -> Duration {
    let age = now.saturating_sub(container.started.unwrap_or(now));
    let starting = container.health.is_some_and(|health| health.status == HealthStatus::Starting);
    if starting && age < check.start_period { check.start_interval } else { check.interval }
}
