//! Start and end of a container: its namespace, the order in which a start puts things up and takes them back when it
//! fails, stop, restart policies. What is sent to the processes is in `signals`.

use std::time::Duration;

use super::Daemon;
use super::attach::{NONE_AMONG_OTHERS, SHARED_NETWORK};
use super::publish::Occasion;
use crate::docker::capability::NetworkCapabilities;
use crate::docker::container::{AfterExit, Container, Sandbox, SandboxKind, State, valid_hostname};
use crate::docker::drivers::{Driver, host, none};
use crate::docker::error::DockerError;
use crate::docker::inspect::timestamp;
use crate::docker::outcome::{Ask, ContainerProcess, HostView, Kill, Outcome, ResolverChange, Spawn};
use crate::docker::profile::{Ipv6Switch, Profile};
use crate::docker::request::{ContainerStart, ContainerStop, NetworkMode, RestartPolicy};
use crate::docker::signal::Signal;
use crate::docker::sysctls;
use crate::docker::user;
use crate::engine::id::ServiceId;
use crate::engine::plan::{NamespaceName, Op, Owner};

/// PATH of a container whose image sets none (`oci.DefaultPathEnv` of moby).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The first delay of a restart policy; it doubles up to a minute (moby `restartmanager`).
const RESTART_DELAY: Duration = Duration::from_millis(100);
const LONGEST_RESTART_DELAY: Duration = Duration::from_secs(60);
/// The status of a container whose start failed.
const START_FAILED: u8 = 128;

impl Daemon {
    pub(super) fn container_start(
        &mut self,
        now: Duration,
        request: &ContainerStart,
        view: &HostView,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut failed = Vec::new();
        for text in &request.containers {
            let result = self.container_number(text).and_then(|number| {
                let state = self.containers.get(&number).map(|container| container.state);
                match state {
                    Some(State::Paused) => {
                        Err(DockerError::conflict("cannot start a paused container, try unpause instead"))
                    }
                    Some(State::Running | State::Restarting) => Ok((number, Outcome::default())),
                    Some(State::Created | State::Exited) | None => {
                        self.begin_policy_anew(number);
                        Ok((number, self.start_container(now, number, view)?))
                    }
                }
            });
            match result {
                Ok((number, started)) => {
                    outcome.extend(started);
                    if !request.attach {
                        outcome.say(text);
                    } else if let Some(container) = self.containers.get(&number) {
                        let ask = Ask::Attach { container: container.id.clone(), stdin: request.interactive };
                        outcome.asks.push(ask);
                    }
                }
                Err(error) => {
                    outcome.refuse(self.client, error);
                    failed.push(text.as_str());
                }
            }
        }
        if !failed.is_empty() {
            let line = format!("Error: failed to start containers: {}\n", failed.join(", "));
            outcome.output.stderr += &line;
        }
        outcome
    }

    /// Starts a container, or leaves everything as it was and says why not.
    pub(super) fn start_container(
        &mut self,
        now: Duration,
        number: u32,
        view: &HostView,
    ) -> Result<Outcome, DockerError> {
        let mut outcome = Outcome::default();
        match self.try_start(now, number, view, &mut outcome) {
            Ok(()) => Ok(outcome),
            Err(error) => {
                // The plan is thrown away with the outcome; what it stood for must go as well.
                self.release_container(number, &mut Outcome::default());
                if let Some(container) = self.containers.get_mut(&number) {
                    container.error.clone_from(&error.message);
                    if container.exit_code == 0 {
                        container.exit_code = START_FAILED;
                    }
                }
                Err(error)
            }
        }
    }

    /// Refuses a user that the image does not have.
    fn check_user(&self, number: u32) -> Result<(), DockerError> {
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let config = &container.made_from.config;
        user::resolve(config.user.as_deref().unwrap_or_default(), &config.image).map(drop)
    }

    pub(super) fn try_start(
        &mut self,
        now: Duration,
        number: u32,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let prefix = self.profile().network_setup_error_prefix();
        let setting_up = |error: DockerError| {
            let message = format!("{prefix}{}", error.message);
            DockerError { message, ..error }
        };
        self.resolve_endpoints(number).map_err(setting_up)?;
        self.check_links(number)?;
        self.enter_sandbox(number)?;
        let networked = self.containers.get(&number).filter(|container| container.has_network());
        let count = networked.map_or(0, |container| container.endpoints.len());
        for position in 0..count {
            self.activate(number, position, view).map_err(setting_up)?;
        }
        self.plan_sandbox(number, view, outcome);
        let sysctls_first = self.profile().interfaces_follow_sysctls();
        if sysctls_first {
            self.set_sysctls(number, outcome)?;
        }
        for position in self.positions(number) {
            self.make_device(number, position, view, outcome)
                .map_err(|error| self.interface_error(now, error))?;
        }
        if !sysctls_first {
            self.set_sysctls(number, outcome)?;
        }
        self.set_routes(number, outcome);
        self.publish(number, Occasion::Join, view, outcome).map_err(setting_up)?;
        for position in 0..count {
            self.register_names(number, position);
        }
        self.write_files(number, view, outcome)?;
        self.update_resolver(number, view, outcome);
        self.open_links(number, outcome);
        self.check_user(number)?;
        self.check_runtime(number)?;
        let Some(container) = self.containers.get_mut(&number) else { return Ok(()) };
        container.state = State::Running;
        container.started = Some(now);
        container.finished = None;
        container.exit_code = 0;
        container.error.clear();
        container.after = AfterExit::Policy;
        container.stopped_by_hand = false;
        let networks = container.connected_networks();
        let id = container.id.clone();
        for network in networks {
            outcome.events.extend(self.network_event(now, "connect", network, Some(&id)));
        }
        outcome.events.extend(self.container_event(now, "start", number, &[]));
        outcome.spawns.extend(self.main_process(number).map(Spawn::Container));
        self.watch_health(now, number, true, outcome);
        self.refresh_links_to(number, outcome);
        Ok(())
    }

    /// What the runtime refuses when everything else is ready.
    fn check_runtime(&self, number: u32) -> Result<(), DockerError> {
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let kind = container.sandbox.as_ref().map(|sandbox| sandbox.kind);
        let first = container.made_from.config.sysctls.keys().find(|key| key.starts_with("net."));
        if let (Some(SandboxKind::Host), Some(key)) = (kind, first) {
            let before = self.profile().runtime_creation_error();
            return Err(DockerError::system(format!(
                "{before}sysctl \"{key}\" not allowed in host network namespace: unknown"
            )));
        }
        valid_hostname(&container.hostname).map_err(|reason| {
            DockerError::system(format!("{}{reason}: unknown", self.profile().runtime_init_error()))
        })
    }

    pub(super) fn main_process(&self, number: u32) -> Option<ContainerProcess> {
        let container = self.containers.get(&number)?;
        let sandbox = container.sandbox.as_ref()?;
        let hostname = self.hostname(container, sandbox.kind);
        let config = &container.made_from.config;
        // Whoever starts it has found out that there is such a user.
        let user =
            user::resolve(config.user.as_deref().unwrap_or_default(), &config.image).unwrap_or_default();
        Some(ContainerProcess {
            container: container.id.clone(),
            namespace: sandbox.namespace.clone(),
            argv: container.made_from.argv.clone(),
            env: self.environment(number, container.made_from.config.tty),
            hostname,
            image: container.made_from.config.image.clone(),
            own_command: !container.made_from.config.command.is_empty()
                || container.made_from.config.entrypoint.is_some(),
            listens: container.made_from.listens.clone(),
            pages: container.made_from.pages.clone(),
            tty: container.made_from.config.tty,
            init: container.made_from.config.init,
            interactive: container.made_from.config.interactive,
            capabilities: match user.id {
                0 => NetworkCapabilities::of(config),
                _ => NetworkCapabilities::NONE,
            },
            user,
        })
    }

    fn hostname(&self, container: &Container, sandbox: SandboxKind) -> String {
        match sandbox {
            SandboxKind::Host if container.made_from.config.hostname.is_none() => self.host.hostname.clone(),
            SandboxKind::Own | SandboxKind::Host => container.hostname.clone(),
            SandboxKind::Shared => match &container.made_from.config.network_mode {
                NetworkMode::Container(target) => self
                    .container(target)
                    .map_or_else(|_| container.hostname.clone(), |target| target.hostname.clone()),
                _ => container.hostname.clone(),
            },
        }
    }

    /// The environment of a process of a running container, in the engine's order; links are looked at anew, because
    /// their target may have another address by now.
    pub(super) fn environment(&self, number: u32, tty: bool) -> Vec<String> {
        let Some(container) = self.containers.get(&number) else { return Vec::new() };
        let kind = container.sandbox.as_ref().map_or(SandboxKind::Own, |sandbox| sandbox.kind);
        let mut env =
            vec![format!("PATH={DEFAULT_PATH}"), format!("HOSTNAME={}", self.hostname(container, kind))];
        env.extend(tty.then(|| "TERM=xterm".to_owned()));
        env.extend(self.link_environment(number));
        env.extend(container.made_from.env.iter().cloned());
        env
    }

    /// Finds the networks of a container that is about to start and checks what was asked of them.
    pub(super) fn resolve_endpoints(&mut self, number: u32) -> Result<(), DockerError> {
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        if !container.has_network() {
            // Networks that were noted for it while it did not run.
            return match container.network_disabled || container.endpoints.is_empty() {
                true => Ok(()),
                false => Err(DockerError::bad_parameter(SHARED_NETWORK)),
            };
        }
        let mut found = Vec::new();
        for endpoint in &container.endpoints {
            let text = endpoint.network_id.as_ref().map_or(endpoint.network_name.as_str(), |id| id.as_str());
            let network = match self.network_number(text) {
                // Without a default bridge a container that asks for none has its loopback device alone.
                Err(_)
                    if endpoint.network_name == "bridge" && self.config.bridge.as_deref() == Some("none") =>
                {
                    found.push(None);
                    continue;
                }
                result => result?,
            };
            if self.networks.get(&network).is_some_and(|network| network.config_only) {
                return Err(DockerError::forbidden("cannot create endpoint on configuration-only network"));
            }
            self.check_mode_network(number, &endpoint.network_name)?;
            self.check_endpoint(Some(network), &endpoint.config)?;
            found.push(Some(network));
        }
        let drivers = || {
            let numbers = found.iter().flatten();
            numbers.filter_map(|number| self.networks.get(number)).map(|network| &network.driver)
        };
        if found.len() > 1 && drivers().any(|driver| matches!(driver, Driver::Host)) {
            return Err(DockerError::bad_parameter(SHARED_NETWORK));
        }
        if found.len() > 1 && drivers().any(|driver| matches!(driver, Driver::None)) {
            return Err(DockerError::bad_parameter(NONE_AMONG_OTHERS));
        }
        let resolved: Vec<_> = found
            .iter()
            .map(|number| number.and_then(|number| self.networks.get(&number)))
            .map(|network| network.map(|network| (network.number, network.name.clone())))
            .collect();
        if let Some(container) = self.containers.get_mut(&number) {
            for (endpoint, found) in container.endpoints.iter_mut().zip(resolved) {
                let Some((network, name)) = found else { continue };
                endpoint.network_number = Some(network);
                endpoint.network_name = name;
                endpoint.named = true;
            }
        }
        Ok(())
    }

    /// Puts the container into a namespace: its own, the host's or another container's.
    pub(super) fn enter_sandbox(&mut self, number: u32) -> Result<(), DockerError> {
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let short = container.id.short().to_owned();
        let on_host = container
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.network_number.and_then(|network| self.networks.get(&network)))
            .any(|network| matches!(network.driver, Driver::Host));
        let (kind, sandbox, namespace) = match self.shared_target(container)? {
            Some(target) => {
                let target = self.containers.get(&target).and_then(|target| target.sandbox.clone());
                let Some(target) = target else { return Ok(()) };
                (SandboxKind::Shared, target.number, target.namespace)
            }
            None if on_host => (SandboxKind::Host, self.next_number(), host::namespace(&self.host.namespace)),
            None => {
                let sandbox = self.next_number();
                let plain = NamespaceName::new(format!("container:{short}"));
                // A namespace outlives its container while another one shares it.
                let taken = self.namespaces.contains_key(&plain);
                let name =
                    if taken { NamespaceName::new(format!("container:{short}.{sandbox}")) } else { plain };
                (SandboxKind::Own, sandbox, name)
            }
        };
        let id = self.source.digits();
        if kind != SandboxKind::Host {
            self.sandboxes.insert((sandbox, number));
            self.namespaces.insert(namespace.clone(), sandbox);
        }
        if let Some(container) = self.containers.get_mut(&number) {
            container.sandbox = Some(Sandbox { number: sandbox, namespace, kind });
            container.sandbox_id = (kind != SandboxKind::Shared).then_some(id);
            container.interface_counters.clear();
        }
        Ok(())
    }

    fn plan_sandbox(&self, number: u32, view: &HostView, outcome: &mut Outcome) {
        let Some(container) = self.containers.get(&number) else { return };
        let Some(sandbox) = container.sandbox.as_ref().filter(|_| Self::has_own_namespace(container)) else {
            return;
        };
        let disable_ipv6 = match self.profile().ipv6_switch() {
            // Without any network nobody sets the switch.
            Ipv6Switch::Namespace => container.endpoints.iter().any(|e| e.network_number.is_some()),
            Ipv6Switch::Interface => false,
        };
        let owner = Owner::Sandbox(sandbox.number);
        none::sandbox(&mut outcome.plan, owner, &sandbox.namespace, disable_ipv6, view.ip_forward);
    }

    /// The error of a container whose interfaces cannot be made. Where the runtime waits for that, dockerd hears of it from
    /// the runtime, which has it from the log of its hook.
    fn interface_error(&self, now: Duration, error: DockerError) -> DockerError {
        let profile = self.profile();
        let message = match profile.interfaces_follow_sysctls() {
            true => format!("{}{}", profile.network_setup_error_prefix(), error.message),
            false => format!(
                "{}error during container init: error running hook #0: error running hook: exit status 1, stdout: , \
                 stderr: time=\"{}\" level=fatal msg={:?}: unknown",
                profile.runtime_error(),
                timestamp(Duration::from_secs(now.as_secs())),
                error.message
            ),
        };
        DockerError { message, ..error }
    }

    /// What the runtime writes into a container's own namespace.
    fn set_sysctls(&self, number: u32, outcome: &mut Outcome) -> Result<(), DockerError> {
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let Some(sandbox) = container.sandbox.as_ref().filter(|_| Self::has_own_namespace(container)) else {
            return Ok(());
        };
        let interfaces: Vec<_> =
            container.endpoints.iter().filter_map(|endpoint| endpoint.active.as_ref()?.device).collect();
        let settings = sysctls::namespace_settings(&container.made_from.config.sysctls, &interfaces)
            .map_err(|reason| {
                DockerError::system(format!("{}{reason}: unknown", self.profile().runtime_error()))
            })?;
        for sysctl in settings {
            let namespace = sandbox.namespace.clone();
            outcome.plan.push(Owner::Sandbox(sandbox.number), Op::SetSysctl { namespace, sysctl });
        }
        Ok(())
    }

    /// Takes everything from a container that only a running one has, and plans the removal.
    pub(super) fn release_container(&mut self, number: u32, outcome: &mut Outcome) {
        self.unpublish(number, outcome);
        self.close_links(number, outcome);
        let Some(container) = self.containers.get_mut(&number) else { return };
        if let Some(routes) = container.routes.take() {
            outcome.plan.remove_owner(routes.owner);
        }
        let count = container.endpoints.len();
        for position in (0..count).rev() {
            if let Some(owner) = self.deactivate(number, position) {
                outcome.plan.remove_owner(owner);
            }
        }
        let Some(container) = self.containers.get_mut(&number) else { return };
        if let Some(owner) = container.resolver.take() {
            outcome.plan.remove_owner(owner);
            self.resolvers.remove(&number);
            self.waiting_resolvers.remove(&number);
            outcome.resolvers.push(ResolverChange::Stopped { service: ServiceId::new(number) });
        }
        if let Some(sandbox) = container.sandbox.take()
            && self.sandboxes.remove(&(sandbox.number, number))
            && self.sandbox_users(sandbox.number).next().is_none()
        {
            self.namespaces.remove(&sandbox.namespace);
            outcome.plan.remove_owner(Owner::Sandbox(sandbox.number));
        }
    }

    /// The main process of a container has ended with a status.
    pub fn exited(&mut self, now: Duration, container: &str, status: u8, view: &HostView) -> Outcome {
        self.ports.begin();
        let mut outcome = Outcome::default();
        let Ok(number) = self.container_number(container) else { return outcome };
        let Some(container) = self.containers.get_mut(&number) else { return outcome };
        if !container.state.is_up() {
            return outcome;
        }
        container.state = State::Exited;
        container.finished = Some(now);
        container.exit_code = status;
        let after = std::mem::take(&mut container.after);
        container.stopped_by_hand = matches!(after, AfterExit::Stay | AfterExit::Killed);
        let (id, policy) = (container.id.clone(), container.made_from.config.restart);
        let (auto_remove, restarts) = (container.made_from.config.auto_remove, container.restarts);
        let long =
            container.started.is_some_and(|started| now.saturating_sub(started) >= Duration::from_secs(10));
        let networks = container.connected_networks();
        self.release_container(number, &mut outcome);
        let code = [("exitCode", status.to_string())];
        let died = self.container_event(now, "die", number, &code);
        let left = networks.iter().filter_map(|n| self.network_event(now, "disconnect", *n, Some(&id)));
        let left: Vec<_> = left.collect();
        let by_hand = matches!(after, AfterExit::Stay | AfterExit::Start);
        let stopped = by_hand.then(|| self.container_event(now, "stop", number, &[]));
        let stopped = stopped.flatten();
        if self.profile().dies_before_it_leaves() {
            outcome.events.extend(died.into_iter().chain(left).chain(stopped));
        } else {
            outcome.events.extend(left.into_iter().chain(stopped).chain(died));
        }
        match after {
            AfterExit::Stay | AfterExit::Killed => {}
            AfterExit::Remove => self.forget_container(now, number, &mut outcome),
            AfterExit::Shutdown => {}
            AfterExit::Start => {
                self.begin_policy_anew(number);
                match self.start_container(now, number, view) {
                    Ok(started) => {
                        outcome.extend(started);
                        outcome.events.extend(self.container_event(now, "restart", number, &[]));
                    }
                    Err(error) => outcome.refuse(self.client, error),
                }
            }
            AfterExit::Policy => {
                let again = match policy {
                    RestartPolicy::No => false,
                    RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
                    RestartPolicy::OnFailure { maximum_retries } => {
                        status != 0 && (maximum_retries == 0 || restarts < maximum_retries)
                    }
                };
                if again
                    && self.running
                    && let Some(container) = self.containers.get_mut(&number)
                {
                    let anew = long || restarts == 0;
                    container.backoff = if anew { 0 } else { container.backoff.saturating_add(1) };
                    container.restarts = restarts.saturating_add(1);
                    container.state = State::Restarting;
                    outcome.restarts.push((now + restart_delay(container.backoff), id));
                }
            }
        }
        if auto_remove && after != AfterExit::Start {
            self.forget_container(now, number, &mut outcome);
        }
        outcome
    }

    /// A start by hand begins the count of a restart policy's starts, and its delay, anew.
    fn begin_policy_anew(&mut self, number: u32) {
        if let Some(container) = self.containers.get_mut(&number) {
            (container.restarts, container.backoff) = (0, 0);
        }
    }

    /// What dockerd says to whatever needs the process of a container that waits for its restart.
    pub(super) fn restarting(container: &str) -> DockerError {
        DockerError::conflict(format!(
            "Container {container} is restarting, wait until the container is running"
        ))
    }

    /// The moment of an outcome's `restarts` has come. A container that was started, removed or stopped by hand meanwhile
    /// stays as it is, as does one whose policy has set a later moment since. One that does not start stays ended.
    pub fn restart_due(&mut self, now: Duration, container: &str, view: &HostView) -> Outcome {
        self.ports.begin();
        let Ok(number) = self.container_number(container) else { return Outcome::default() };
        let due = |container: &&mut Box<Container>| {
            let ended = container.finished.unwrap_or(now);
            container.state == State::Restarting && now >= ended + restart_delay(container.backoff)
        };
        let Some(container) = self.containers.get_mut(&number).filter(due) else {
            return Outcome::default();
        };
        container.state = State::Exited;
        if !self.running {
            return Outcome::default();
        }
        self.start_container(now, number, view).unwrap_or_else(|error| {
            let mut outcome = Outcome::default();
            outcome.refuse(self.client, error);
            outcome
        })
    }

    pub(super) fn container_stop(
        &mut self,
        now: Duration,
        stop: &ContainerStop,
        view: &HostView,
        again: bool,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for text in &stop.containers {
            let not_restarted = |error: DockerError| {
                let message = format!("Cannot restart container {text}: {error}");
                DockerError { message, ..error }
            };
            let result = self.container_number(text).and_then(|number| {
                let asked = stop.signal.as_ref().map(|text| self.parse_signal(text)).transpose();
                let asked = asked.map_err(|error| match self.profile() {
                    Profile::Docker20_10 => error,
                    Profile::Docker28 | Profile::Docker29 if again => not_restarted(error),
                    Profile::Docker28 | Profile::Docker29 => {
                        let message = format!("cannot stop container: {text}: {error}");
                        DockerError { message, ..error }
                    }
                })?;
                let Some(container) = self.containers.get_mut(&number) else { return Ok(()) };
                if !container.state.is_up() {
                    let waited = container.state == State::Restarting;
                    container.give_up_restart();
                    container.after = if again { AfterExit::Policy } else { AfterExit::Stay };
                    container.stopped_by_hand = !again;
                    if waited {
                        outcome.events.extend(self.container_event(now, "stop", number, &[]));
                    }
                    if again {
                        self.begin_policy_anew(number);
                        outcome.extend(self.start_container(now, number, view).map_err(not_restarted)?);
                        outcome.events.extend(self.container_event(now, "restart", number, &[]));
                    }
                    return Ok(());
                }
                container.after = if again { AfterExit::Start } else { AfterExit::Stay };
                let id = container.id.clone();
                if container.state == State::Paused {
                    container.state = State::Running;
                    outcome.kills.push(Kill::Freeze { container: id.clone(), frozen: false });
                }
                let own = container.made_from.config.stop_signal.clone();
                let escalate = match stop.timeout {
                    Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
                    None => self.stop_grace(number),
                };
                let own = own.map(|text| self.parse_signal(&text)).transpose()?;
                let signal = asked.or(own).unwrap_or(Signal::TERM);
                outcome.waits.push(id.clone());
                self.signal(now, number, signal, &mut outcome);
                // Without a grace period SIGKILL overtakes whatever a handler does.
                if escalate == Some(Duration::ZERO) {
                    self.signal(now, number, Signal::KILL, &mut outcome);
                    outcome.kills.push(Kill::Container {
                        container: id,
                        signal: Signal::KILL,
                        escalate: None,
                    });
                } else {
                    outcome.kills.push(Kill::Container { container: id, signal, escalate });
                }
                // It stops all the same.
                if again { self.check_others(number).map_err(not_restarted) } else { Ok(()) }
            });
            match result {
                Ok(()) => outcome.say(text),
                Err(error) => outcome.refuse(self.client, error),
            }
        }
        outcome
    }

    /// Whether the other containers that one needs to start are there.
    fn check_others(&self, number: u32) -> Result<(), DockerError> {
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        self.shared_target(container)?;
        self.check_links(number)
    }
}

/// How long a restart policy waits when its delay has doubled so often.
fn restart_delay(backoff: u8) -> Duration {
    RESTART_DELAY.saturating_mul(1 << backoff.min(16)).min(LONGEST_RESTART_DELAY)
}
