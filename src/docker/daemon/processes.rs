//! What is done to the processes of a container that runs: exec, logs, wait, pause.

use std::time::Duration;

use super::Daemon;
use crate::docker::capability::NetworkCapabilities;
use crate::docker::container::State;
use crate::docker::error::DockerError;
use crate::docker::outcome::{Ask, Kill, Outcome};
use crate::docker::profile::Profile;
use crate::docker::request::{ContainerExec, ContainerLogs, Containers};
use crate::docker::user;

impl Daemon {
    pub(super) fn container_wait(&self, list: &Containers) -> Outcome {
        self.each(&list.containers, |container, outcome| {
            let ended = (!container.state.is_up()).then_some(container.exit_code);
            outcome.asks.push(Ask::Wait { container: container.id.clone(), ended });
            Ok(())
        })
    }

    /// Why a running container takes no `docker exec`, if so.
    pub fn exec_refusal(&self, container: &str) -> Option<DockerError> {
        let number = self.container_number(container).ok()?;
        self.check_linked_run(number).err()
    }

    pub(super) fn container_exec(&self, now: Duration, exec: &ContainerExec) -> Result<Outcome, DockerError> {
        let container = self.container(&exec.container)?;
        let name = &exec.container;
        match (container.state, &container.sandbox) {
            (State::Paused, _) => Err(DockerError::conflict(format!(
                "Container {name} is paused, unpause the container before exec"
            ))),
            (State::Restarting, _) => Err(Self::restarting(container.id.as_str())),
            (State::Running, Some(sandbox)) => {
                self.check_linked_run(container.number)?;
                let mut outcome = Outcome::default();
                let line = exec.command.join(" ");
                for action in ["exec_create", "exec_start"] {
                    let action = format!("{action}: {line}");
                    outcome.events.extend(self.container_event(now, &action, container.number, &[]));
                }
                let mut env = self.environment(container.number, exec.tty);
                env.extend(exec.env.iter().cloned());
                let config = &container.made_from.config;
                let whom = exec.user.as_ref().or(config.user.as_ref()).map_or("", String::as_str);
                let user = user::resolve(whom, &config.image);
                let is_root = user.as_ref().is_ok_and(|user| user.id == 0);
                outcome.asks.push(Ask::Exec {
                    container: container.id.clone(),
                    namespace: sandbox.namespace.clone(),
                    argv: exec.command.clone(),
                    env,
                    detach: exec.detach,
                    capabilities: match (is_root, exec.privileged) {
                        (false, _) => NetworkCapabilities::NONE,
                        (true, true) => NetworkCapabilities::ALL,
                        (true, false) => NetworkCapabilities::of(config),
                    },
                    user,
                });
                Ok(outcome)
            }
            _ => {
                let id = &container.id;
                let text = match self.profile() {
                    Profile::Docker20_10 => format!("Container {id} is not running"),
                    Profile::Docker28 | Profile::Docker29 => format!("container {id} is not running"),
                };
                Err(DockerError::conflict(text))
            }
        }
    }

    pub(super) fn container_logs(&self, logs: &ContainerLogs) -> Result<Outcome, DockerError> {
        let container = self.container(&logs.container)?.id.clone();
        let ask = Ask::Logs { container, tail: logs.tail, follow: logs.follow };
        Ok(Outcome { asks: vec![ask], ..Outcome::default() })
    }

    pub(super) fn container_pause(&mut self, now: Duration, list: &Containers, frozen: bool) -> Outcome {
        let mut outcome = Outcome::default();
        for text in &list.containers {
            match self.pause_one(now, text, frozen, &mut outcome) {
                Ok(()) => outcome.say(text),
                Err(error) => outcome.refuse(self.client, error),
            }
        }
        outcome
    }

    pub(super) fn pause_one(
        &mut self,
        now: Duration,
        text: &str,
        frozen: bool,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let number = self.container_number(text)?;
        let Some(container) = self.containers.get_mut(&number) else { return Ok(()) };
        let (id, state) = (container.id.clone(), container.state);
        container.state = match (state, frozen) {
            (State::Running, true) => State::Paused,
            (State::Paused, false) => State::Running,
            (State::Paused, true) => {
                return Err(DockerError::conflict(format!("Container {id} is already paused")));
            }
            (State::Running | State::Restarting | State::Created | State::Exited, false) => {
                return Err(DockerError::system(format!("Container {id} is not paused")));
            }
            (State::Restarting, true) => return Err(Self::restarting(id.as_str())),
            (State::Created | State::Exited, true) => {
                return Err(DockerError::conflict(format!("Container {id} is not running")));
            }
        };
        outcome.kills.push(Kill::Freeze { container: id, frozen });
        if !frozen {
            self.watch_health(now, number, false, outcome);
        }
        let action = if frozen { "pause" } else { "unpause" };
        outcome.events.extend(self.container_event(now, action, number, &[]));
        Ok(())
    }
}
