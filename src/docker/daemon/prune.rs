//! `docker network prune` and `docker container prune`: what nobody uses goes, as far as the filters let it.

use std::time::Duration;

use super::Daemon;
use crate::docker::error::DockerError;
use crate::docker::events;
use crate::docker::labels::Labels;
use crate::docker::outcome::Outcome;
use crate::docker::request::{Filter, Prune};

/// What the client says and asks before it prunes. Nobody sits at it here, and no answer is a no.
fn not_confirmed(warning: &str) -> Outcome {
    Outcome::printed(format!("{warning}\nAre you sure you want to continue? [y/N] "))
}

/// What the filters leave.
struct Pruning<'request> {
    filters: &'request [Filter],
    /// Only what was made until then goes; nothing was before the world began.
    until: Option<Option<Duration>>,
}

impl Pruning<'_> {
    fn takes(&self, created: Duration, labels: &Labels) -> bool {
        let labelled = |filter: &Filter| match filter.name.as_str() {
            "label" => labels.matches(&filter.value),
            "label!" => !labels.matches(&filter.value),
            _ => true,
        };
        self.until.is_none_or(|until| until.is_some_and(|until| created <= until))
            && self.filters.iter().all(labelled)
    }
}

impl Daemon {
    fn pruning<'request>(
        &self,
        now: Duration,
        prune: &'request Prune,
    ) -> Result<Pruning<'request>, DockerError> {
        self.check_filters(&prune.filters, &["label", "label!", "until"])?;
        let mut until = prune.filters.iter().filter(|filter| filter.name == "until");
        let first = until.next().map(|filter| events::moment(&filter.value, now)).transpose()?;
        if until.next().is_some() {
            return Err(DockerError::bad_parameter("more than one until filter specified"));
        }
        Ok(Pruning { filters: &prune.filters, until: first })
    }

    pub(super) fn container_prune(&mut self, now: Duration, prune: &Prune) -> Result<Outcome, DockerError> {
        let mut outcome = Outcome::default();
        if !prune.force {
            return Ok(not_confirmed("WARNING! This will remove all stopped containers."));
        }
        let pruning = self.pruning(now, prune)?;
        let stopped = self.containers.values().filter(|container| {
            !container.state.is_running()
                && pruning.takes(container.created, &container.made_from.config.labels)
        });
        let stopped: Vec<(u32, String)> = stopped.map(|c| (c.number, c.id.to_string())).collect();
        if !stopped.is_empty() {
            outcome.say("Deleted Containers:");
            for (number, id) in &stopped {
                outcome.say(id);
                self.forget_container(now, *number, &mut outcome);
            }
            outcome.say("");
        }
        outcome.say("Total reclaimed space: 0B");
        Ok(outcome)
    }

    pub(super) fn network_prune(&mut self, now: Duration, prune: &Prune) -> Result<Outcome, DockerError> {
        if !prune.force {
            let warning = "WARNING! This will remove all custom networks not used by at least one container.";
            return Ok(not_confirmed(warning));
        }
        let mut outcome = Outcome::default();
        let pruning = self.pruning(now, prune)?;
        let unused = self.networks.values().filter(|network| {
            network.is_user_defined()
                && !network.config_only
                && network.members.is_empty()
                && pruning.takes(network.created, &network.labels)
        });
        let unused: Vec<(String, String)> =
            unused.map(|network| (network.id.to_string(), network.name.clone())).collect();
        let mut removed = Vec::new();
        for (id, name) in unused {
            if self.remove_network(now, &id, &mut outcome).is_ok() {
                removed.push(name);
            }
        }
        if !removed.is_empty() {
            outcome.say("Deleted Networks:");
            for name in &removed {
                outcome.say(name);
            }
            outcome.say("");
        }
        Ok(outcome)
    }
}
