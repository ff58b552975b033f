//! Signals to containers: `docker kill`, how long a stop waits, and what it does then.

use std::time::Duration;

use super::Daemon;
use crate::docker::container::{AfterExit, State};
use crate::docker::error::DockerError;
use crate::docker::outcome::{Kill, Outcome};
use crate::docker::profile::Profile;
use crate::docker::request::ContainerKill;
use crate::docker::signal::{InvalidSignal, Signal};

/// How long `docker stop` waits before SIGKILL.
const STOP_TIMEOUT: i64 = 10;

impl Daemon {
    /// The grace period of a stop is over. Nothing happens to a container that has ended in time.
    pub fn stop_overdue(&mut self, now: Duration, container: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let Ok(found) = self.container(container) else { return outcome };
        if found.state.is_up() {
            let (id, number) = (found.id.clone(), found.number);
            self.signal(now, number, Signal::KILL, &mut outcome);
            outcome.kills.push(Kill::Container { container: id, signal: Signal::KILL, escalate: None });
        }
        outcome
    }

    /// How long a container is given to stop; `None`: as long as it takes.
    pub(super) fn stop_grace(&self, number: u32) -> Option<Duration> {
        let own = self.containers.get(&number).and_then(|container| container.made_from.config.stop_timeout);
        u64::try_from(own.unwrap_or(STOP_TIMEOUT)).ok().map(Duration::from_secs)
    }

    pub(super) fn parse_signal(&self, text: &str) -> Result<Signal, DockerError> {
        text.parse().map_err(|error: InvalidSignal| {
            DockerError::bad_parameter(match self.profile() {
                Profile::Docker20_10 => error.to_string(),
                Profile::Docker28 | Profile::Docker29 => format!("invalid signal: {}", error.found),
            })
        })
    }

    /// The event of a signal.
    pub(super) fn signal(&self, now: Duration, number: u32, signal: Signal, outcome: &mut Outcome) {
        let attribute = [("signal", signal.number().to_string())];
        outcome.events.extend(self.container_event(now, "kill", number, &attribute));
    }

    pub(super) fn set_after(&mut self, number: u32, after: AfterExit) {
        if let Some(container) = self.containers.get_mut(&number) {
            container.after = after;
        }
    }

    pub(super) fn container_kill(&mut self, now: Duration, kill: &ContainerKill) -> Outcome {
        let mut outcome = Outcome::default();
        for text in &kill.containers {
            let profile = self.profile();
            let introduced = |error: DockerError| {
                let what = match profile {
                    Profile::Docker20_10 => "Cannot kill container",
                    Profile::Docker28 | Profile::Docker29 => "cannot kill container",
                };
                DockerError { message: format!("{what}: {text}: {}", error.message), ..error }
            };
            let asked = kill.signal.as_ref().map_or(Ok(Signal::KILL), |text| self.parse_signal(text));
            let asked = match profile {
                Profile::Docker20_10 => asked,
                Profile::Docker28 | Profile::Docker29 => asked.map_err(introduced),
            };
            let known = asked.and_then(|signal| {
                let number = self.container_number(text).map_err(introduced)?;
                Ok((signal, number))
            });
            let result = known.and_then(|(signal, number)| {
                let Some(container) = self.containers.get(&number) else { return Ok(()) };
                if !container.state.is_running() {
                    let id = &container.id;
                    return Err(introduced(DockerError::conflict(match profile {
                        Profile::Docker20_10 => format!("Container {id} is not running"),
                        Profile::Docker28 | Profile::Docker29 => format!("container {id} is not running"),
                    })));
                }
                let waits = container.state == State::Restarting;
                let (id, own) = (container.id.clone(), container.made_from.config.stop_signal.clone());
                let stops = own.as_ref().map_or(Ok(Signal::TERM), |text| self.parse_signal(text))? == signal;
                if waits {
                    // There is nothing to send it to. It ends the policy where it would, and without an own stop signal
                    // every one does.
                    if signal == Signal::KILL || stops || own.is_none() {
                        self.containers.get_mut(&number).into_iter().for_each(|it| it.give_up_restart());
                    }
                    return Ok(());
                }
                if signal == Signal::KILL {
                    outcome.waits.push(id.clone());
                }
                // A signal that stops is meant to: no restart policy starts the container again.
                if signal == Signal::KILL || stops {
                    self.set_after(number, AfterExit::Killed);
                }
                outcome.kills.push(Kill::Container { container: id, signal, escalate: None });
                self.signal(now, number, signal, &mut outcome);
                Ok(())
            });
            match result {
                Ok(()) => outcome.say(text),
                Err(error) => outcome.refuse(self.client, error),
            }
        }
        outcome
    }
}
