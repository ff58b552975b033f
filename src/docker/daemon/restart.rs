//! The daemon's own end and beginning: what a restart of dockerd or of its host keeps.
//!
//! Networks and containers are on disk: ids, names, options, subnets, `--ip`. Addresses given automatically, ephemeral
//! host ports and the cursor of the address pools are memory: they begin anew. The default bridge is made anew under
//! another id. Devices, kernel settings, the FORWARD policy and DOCKER-USER are the kernel's: a restart of the daemon
//! leaves them and writes every other rule again, the default bridge's last and so first in the chains. A reboot leaves nothing.
//!
//! Containers end with the daemon, unless it has `live-restore`; then only what dockerd itself did for them stops,
//! name resolution and the userland proxies. Those whose restart policy says so are started again, in the order they
//! were made, where dockerd has none. Limits: with containers that live on, rules deleted by hand are not repaired.

use std::time::Duration;

use super::{Daemon, json};
use crate::docker::container::{AfterExit, Holder, State};
use crate::docker::error::{DockerError, Shown};
use crate::docker::outcome::{HostView, Kill, Outcome, Spawn};
use crate::docker::ports::Ports;
use crate::docker::request::{Request, RestartPolicy};
use crate::docker::signal::Signal;

/// How long dockerd waits for a container that may take for ever to stop (`shutdown-timeout`).
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(15);

impl Daemon {
    /// dockerd ends. The containers that end with it are in the outcome's `waits`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop(&mut self, now: Duration) -> Result<Outcome, DockerError> {
        if !self.running {
            return Err(DockerError::system("the daemon does not run"));
        }
        self.running = false;
        let mut outcome = Outcome::default();
        for container in self.containers.values_mut().filter(|container| container.state == State::Restarting)
        {
            container.state = State::Exited;
        }
        let up = self.containers.values().filter(|container| container.state.is_up());
        let up: Vec<u32> = up.map(|container| container.number).collect();
        for number in up {
            if self.config.live_restore {
                self.stop_proxies(number, &mut outcome);
            } else {
                self.shut_down(now, number, &mut outcome);
            }
        }
        Ok(outcome)
    }

    fn stop_proxies(&self, number: u32, outcome: &mut Outcome) {
        let bindings = self.containers.get(&number).map(|container| &container.bindings);
        let proxies = bindings.into_iter().flatten().filter(|binding| binding.holder.is_some());
        outcome.kills.extend(proxies.map(|binding| Kill::Proxy { owner: binding.owner }));
    }

    fn shut_down(&mut self, now: Duration, number: u32, outcome: &mut Outcome) {
        let default = self.stop_grace(number).unwrap_or(SHUTDOWN_TIMEOUT);
        let Some(container) = self.containers.get_mut(&number) else { return };
        let id = container.id.clone();
        container.after = AfterExit::Shutdown;
        if container.state == State::Paused {
            container.state = State::Running;
            outcome.kills.push(Kill::Freeze { container: id.clone(), frozen: false });
        }
        let own = container.made_from.config.stop_signal.as_ref().and_then(|text| text.parse().ok());
        let signal = own.unwrap_or(Signal::TERM);
        outcome.kills.push(Kill::Container { container: id.clone(), signal, escalate: Some(default) });
        outcome.waits.push(id);
        self.signal(now, number, signal, outcome);
    }

    /// The host goes down behind the daemon: the kernel forgets what the daemon told it.
    pub fn forget_kernel(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        self.forget_links(&mut outcome);
        for network in self.networks.values().rev() {
            outcome.plan.remove_owner(network.rules_owner());
            outcome.plan.remove_owner(network.owner());
        }
        outcome.plan.remove_owner(self.owner);
        outcome.plan.remove_owner(self.kernel);
        self.forwarding = [false; 2];
        self.nat_jumps = [false; 2];
        self.user_chains = false;
        outcome
    }

    /// Takes the settings of a daemon.json that has changed, before dockerd starts again. The default bridge goes, to be
    /// made anew, unless containers live on: then it stays as it is.
    ///
    /// # Errors
    /// When it runs, or the file or its settings are refused. dockerd does not start then.
    pub fn configure(&mut self, view: &HostView) -> Result<Outcome, DockerError> {
        if self.running {
            return Err(DockerError::system("the daemon runs already"));
        }
        let mut outcome = Outcome::default();
        if view.daemon_json != self.config.file {
            let config = json::read(&view.daemon_json, &self.config)?;
            config.verify()?;
            self.ipam.set_pools(&config.default_address_pools);
            self.config = config;
            self.outdated_bridge = true;
        }
        if self.outdated_bridge && self.is_idle() {
            self.outdated_bridge = false;
            self.forget_default_bridge(&mut outcome);
        }
        Ok(outcome)
    }

    /// dockerd starts again.
    ///
    /// # Errors
    /// When it runs, or the default bridge cannot be made. It does not run then.
    pub fn resume(&mut self, now: Duration, view: &HostView) -> Result<Outcome, DockerError> {
        if self.running {
            return Err(DockerError::system("the daemon runs already"));
        }
        self.check_own_bridge(view)?;
        self.drops_forward = [false; 2];
        self.lost_links.clear();
        self.ipam.rewind();
        let mut outcome = Outcome::default();
        if self.is_idle() {
            self.ports = Ports::default();
            self.rewrite(view, &mut outcome);
            if self.default_bridge().is_none() {
                self.default_bridge_network(now, view, &mut outcome)?;
            }
        } else {
            self.take_over(now, &mut outcome);
        }
        self.running = true;
        self.renew_default_bridge(now);
        for network in self.networks.values_mut() {
            network.show_gateways();
        }
        self.saw_forwarding = self.host_forwards(view);
        self.restart_containers(now, view, &mut outcome);
        Ok(outcome)
    }

    /// What links of containers that are gone left in the chains goes with the chains.
    fn forget_links(&mut self, outcome: &mut Outcome) {
        for owner in std::mem::take(&mut self.link_rules).into_values() {
            outcome.plan.remove_owner(owner);
        }
    }

    /// Writes every rule again, and makes the devices that are gone.
    fn rewrite(&mut self, view: &HostView, outcome: &mut Outcome) {
        let mut numbers: Vec<u32> = self.networks.keys().copied().collect();
        numbers.sort_by_key(|number| self.networks.get(number).is_some_and(|n| n.is_predefined()));
        self.forget_links(outcome);
        for network in self.networks.values().rev() {
            outcome.plan.remove_owner(network.rules_owner());
        }
        outcome.plan.remove_owner(self.owner);
        self.nat_jumps = [false; 2];
        self.set_up_host(view, outcome);
        for number in numbers {
            let Some(network) = self.networks.get(&number).cloned() else { continue };
            self.make_bridge(&network, view, outcome);
            self.restore_parent(&network, view, outcome);
            self.write_rules(&network, outcome);
        }
    }

    /// Containers live on: dockerd does for them again what only it does.
    fn take_over(&mut self, now: Duration, outcome: &mut Outcome) {
        let up = self.containers.values().filter(|container| container.state.is_up());
        let up: Vec<u32> = up.map(|container| container.number).collect();
        for number in up {
            self.watch_health(now, number, false, outcome);
            let Some(container) = self.containers.get(&number) else { continue };
            for binding in container.bindings.iter().filter(|binding| binding.holder.is_some()) {
                outcome.spawns.push(Spawn::Proxy {
                    owner: binding.owner,
                    namespace: self.host.namespace.clone(),
                    listen: binding.host,
                    target: (binding.holder == Some(Holder::Proxy)).then_some(binding.container),
                    protocol: binding.protocol(),
                });
            }
        }
    }

    /// dockerd deletes the default bridge's network at every start and makes it anew.
    fn renew_default_bridge(&mut self, now: Duration) {
        let Some(number) = self.default_bridge().map(|network| network.number) else { return };
        let id = self.source.id();
        if let Some(network) = self.networks.get_mut(&number) {
            self.network_ids.remove(network.id.as_str());
            self.network_ids.insert(id.clone(), number);
            network.id = id.clone();
            network.created = now;
        }
        let endpoints = self.containers.values_mut().flat_map(|container| &mut container.endpoints);
        for endpoint in endpoints.filter(|e| e.network_name == "bridge" && e.network_number.is_some()) {
            endpoint.network_number = Some(number);
            endpoint.network_id = Some(id.clone());
        }
    }

    fn restart_containers(&mut self, now: Duration, view: &HostView, outcome: &mut Outcome) {
        let due = self.containers.values().filter(|container| {
            container.state == State::Exited
                && match container.made_from.config.restart {
                    RestartPolicy::No => false,
                    RestartPolicy::Always => true,
                    RestartPolicy::UnlessStopped => !container.stopped_by_hand,
                    RestartPolicy::OnFailure { maximum_retries } => {
                        container.exit_code != 0
                            && (maximum_retries == 0 || container.restarts < maximum_retries)
                    }
                }
        });
        let due: Vec<u32> = due.map(|container| container.number).collect();
        for number in due {
            // Why one does not start stands in its state, as after dockerd's own attempt.
            if let Ok(started) = self.start_container(now, number, view) {
                outcome.extend(started);
            }
        }
    }

    /// What the client says while nobody answers it.
    pub(super) fn unreachable(request: &Request) -> DockerError {
        let run = matches!(request, Request::ContainerRun(_));
        let text = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        DockerError { message: text.to_owned(), status: 503, shown: Shown::Unreachable { run } }
    }
}
