//! A Docker host: carries requests to its daemon and outcomes to the engine, the file tables and the executor.
//!
//! Nothing is decided here. An outcome is applied in the order its fields are documented in: processes end, the plan
//! is applied, files are written, resolvers start and stop, processes start.

mod spawning;

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;

use spawning::{missing_program, numbers, powers};

use super::disposition::Disposition;
use super::environment;
use super::process::{Place, TaskId, Tools};
use super::stage::MachineSpec;
use super::{Job, Location, World, WorldError};
use crate::docker::cli::ports::Protocol;
use crate::docker::client::ClientVersion;
use crate::docker::container::Container;
use crate::docker::daemon::{Daemon, DaemonConfig, HostIdentity, json};
use crate::docker::dns::RESOLVER_ADDRESS;
use crate::docker::error::{DockerError, Shown};
use crate::docker::events;
use crate::docker::identity::Id;
use crate::docker::outcome::{
    Ask, HostDevices, HostInterface, HostView, Kill, Outcome, ResolverChange, Spawn,
};
use crate::docker::request::{ExposedPort, Request};
use crate::docker::signal::Signal;
use crate::engine::Engine;
use crate::engine::id::NamespaceId;
use crate::engine::plan::{Transport, VlanId};
use crate::engine::sys::{Environment, ExitCode, ExitSlot, Family, Pipe, Powers};

/// What dockerd remembers for `docker events --since`: its newest 256 events.
const EVENTS_KEPT: usize = 256;

/// A Docker host of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub(super) usize);

pub(super) struct DockerHost {
    pub(super) place: Rc<Place>,
    /// As it was built, for when it boots again.
    rules: Vec<Vec<String>>,
    sctp: bool,
}

/// A container's processes and files.
pub(super) struct ContainerRuntime {
    pub(super) daemon: usize,
    pub(super) place: Rc<Place>,
    pub(super) main: TaskId,
    exit: Rc<RefCell<ExitSlot>>,
    output: Pipe,
    log: Rc<RefCell<String>>,
    pub(super) running: bool,
    pub(super) disposition: Disposition,
}

impl World {
    /// Adds a Docker host and starts its daemon.
    pub fn add_host(&mut self, spec: &MachineSpec, config: DaemonConfig) -> Result<HostId, WorldError> {
        let namespace = self.add_namespace(spec)?;
        self.configure(&namespace, &spec.rules)?;
        let place = self.place(
            &namespace,
            &spec.name,
            Environment::default(),
            Rc::default(),
            Tools::Machine,
            Powers::ALL,
        )?;
        place.files.put("/etc/resolv.conf", spec.resolv_conf.clone());
        place.files.put("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        if !config.file.is_empty() {
            place.files.put(json::PATH, config.file.clone());
        }
        for address in spec.nics.iter().flat_map(|n| &n.addresses) {
            self.names.insert(address.addr(), spec.name.clone());
        }
        let id = HostId(self.hosts.len());
        let number = u32::try_from(id.0).unwrap_or(u32::MAX);
        let identity = HostIdentity { number, namespace, hostname: spec.name.clone() };
        let seed = self.engine.borrow().seed();
        self.daemons.push(Daemon::new(config, identity, seed));
        self.hosts.push(DockerHost { place, rules: spec.rules.clone(), sctp: spec.sctp });
        let view = self.host_view(id);
        let outcome = self.daemons[id.0].start(&view).map_err(|error| WorldError::Name(error.to_string()))?;
        self.perform(id, outcome)?;
        Ok(id)
    }

    /// dockerd ends. The job ends when the containers that end with it have; a daemon that does not run stays so.
    pub fn stop_daemon(&mut self, host: HostId) -> Result<Job, WorldError> {
        let now = self.now();
        let Some(daemon) = self.daemons.get_mut(host.0) else {
            return Err(WorldError::NoPlace("such host".to_owned()));
        };
        match daemon.stop(now) {
            Ok(outcome) => self.perform(host, outcome),
            Err(error) => Ok(Job::done(daemon.refusal(&error))),
        }
    }

    /// dockerd starts again, with what daemon.json says now.
    pub fn start_daemon(&mut self, host: HostId) -> Result<Job, WorldError> {
        let view = self.host_view(host);
        let Some(daemon) = self.daemons.get_mut(host.0) else {
            return Err(WorldError::NoPlace("such host".to_owned()));
        };
        match daemon.configure(&view) {
            Ok(outcome) => self.carry_out(host, &outcome)?,
            Err(error) => return Ok(Job::done(daemon.refusal(&error))),
        }
        let (now, view) = (self.now(), self.host_view(host));
        let Some(daemon) = self.daemons.get_mut(host.0) else {
            return Err(WorldError::NoPlace("such host".to_owned()));
        };
        match daemon.resume(now, &view) {
            Ok(outcome) => self.perform(host, outcome),
            Err(error) => Ok(Job::done(daemon.refusal(&error))),
        }
    }

    /// A host whose daemon has stopped boots again: its processes end, its packet filter has only the rules it was
    /// built with, and the daemon starts.
    pub fn boot(&mut self, host: HostId) -> Result<Job, WorldError> {
        let Some(daemon) = self.daemons.get_mut(host.0) else {
            return Err(WorldError::NoPlace("such host".to_owned()));
        };
        let outcome = daemon.forget_kernel();
        self.carry_out(host, &outcome)?;
        let (place, rules) = (self.hosts[host.0].place.clone(), self.hosts[host.0].rules.clone());
        self.processes.kill_place(place.number, 9);
        self.reset_packet_filter(place.namespace)?;
        let namespace = self.daemons[host.0].host().namespace.clone();
        self.configure(&namespace, &rules)?;
        self.start_daemon(host)
    }

    /// firewalld reloads: it empties the host's packet filter and tells the daemon.
    pub fn reload_firewall(&mut self, host: HostId) -> Result<Job, WorldError> {
        let Some(daemon) = self.daemons.get_mut(host.0) else {
            return Err(WorldError::NoPlace("such host".to_owned()));
        };
        let outcome = daemon.firewall_reloaded();
        self.reset_packet_filter(self.hosts[host.0].place.namespace)?;
        self.perform(host, outcome)
    }

    fn reset_packet_filter(&mut self, namespace: NamespaceId) -> Result<(), WorldError> {
        let mut engine = self.engine.borrow_mut();
        for family in [Family::Ipv4, Family::Ipv6] {
            for table in ["filter", "nat", "mangle", "raw"] {
                let mut run = |words: &[&str]| {
                    let line: Vec<String> =
                        ["-t", table].iter().chain(words).map(|word| (*word).to_owned()).collect();
                    let text = line.join(" ");
                    let result = engine.iptables(namespace, family, &line);
                    result.map_err(|error| WorldError::Rule { index: 0, text, message: error.message })
                };
                run(&["-F"])?;
                run(&["-X"])?;
                if table == "filter" {
                    for chain in ["INPUT", "FORWARD", "OUTPUT"] {
                        run(&["-P", chain, "ACCEPT"])?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The host's daemon.
    pub fn daemon(&self, host: HostId) -> Option<&Daemon> {
        self.daemons.get(host.0)
    }

    /// The version of the client whose requests to a host's daemon follow.
    pub fn set_client(&mut self, host: HostId, version: ClientVersion) {
        if let Some(daemon) = self.daemons.get_mut(host.0) {
            daemon.set_client(version);
        }
    }

    /// Sends a request to a host's daemon. The job has printed what the command prints; its status is there at once
    /// unless the command waits for a process.
    pub fn request(&mut self, host: HostId, request: &Request) -> Result<Job, WorldError> {
        let now = self.now();
        let view = self.host_view(host);
        let Some(daemon) = self.daemons.get_mut(host.0) else {
            return Err(WorldError::NoPlace("such host".to_owned()));
        };
        match daemon.request(now, request, &view) {
            Ok(outcome) => self.perform(host, outcome),
            Err(error) => Ok(Job::done(daemon.refusal(&error))),
        }
    }

    /// A container's place, if it runs.
    pub(super) fn container_place(&self, host: HostId, name: &str) -> Result<Rc<Place>, WorldError> {
        let daemon = self.daemons.get(host.0).ok_or_else(|| WorldError::NoPlace("such host".to_owned()))?;
        let container =
            daemon.container(name).map_err(|_| WorldError::NoPlace(format!("container {name}")))?;
        match self.containers.get(container.id.as_str()) {
            Some(runtime) if runtime.running => Ok(runtime.place.clone()),
            _ => {
                let why = not_running(container, self.last_line(container.id.as_str()));
                Err(WorldError::NotRunning { name: container.name.clone(), why })
            }
        }
    }

    /// The last line that a container's main process has printed so far.
    pub fn last_output_line(&self, host: HostId, name: &str) -> Option<String> {
        let container = self.daemons.get(host.0)?.container(name).ok()?;
        self.last_line(container.id.as_str())
    }

    fn last_line(&self, id: &str) -> Option<String> {
        let runtime = self.containers.get(id)?;
        let unread = runtime.output.peek();
        let unread = String::from_utf8_lossy(&unread);
        let log = runtime.log.borrow();
        let mut lines = unread.lines().rev().chain(log.lines().rev()).map(str::trim_end);
        lines.find(|line| !line.is_empty()).map(str::to_owned)
    }

    /// Where sockets of a container's namespace wait for strangers, loopback left out; empty if it does not run.
    pub fn listening(&self, host: HostId, name: &str) -> Vec<ExposedPort> {
        self.listening_on(host, name, |address| !address.is_loopback())
    }

    /// Where sockets of a container's namespace wait for their own namespace alone, on its loopback; Docker's name server,
    /// which has an address of its own there, left out.
    pub fn listening_inside(&self, host: HostId, name: &str) -> Vec<ExposedPort> {
        self.listening_on(host, name, |address| {
            address.is_loopback() && address != IpAddr::V4(RESOLVER_ADDRESS)
        })
    }

    fn listening_on(&self, host: HostId, name: &str, wanted: impl Fn(IpAddr) -> bool) -> Vec<ExposedPort> {
        let Ok(place) = self.container_place(host, name) else { return Vec::new() };
        let sockets = self.engine.borrow().listening(place.namespace);
        let sockets = sockets.into_iter().filter(|(address, _)| wanted(address.ip()));
        let ports = sockets.map(|(address, transport)| ExposedPort {
            port: address.port(),
            protocol: match transport {
                Transport::Udp => Protocol::Udp,
                Transport::Tcp => Protocol::Tcp,
            },
        });
        let mut ports: Vec<_> = ports.collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Where a container's processes run, by its whole id, while it runs.
    pub(super) fn running_place(&self, id: &str) -> Option<Rc<Place>> {
        self.containers.get(id).filter(|runtime| runtime.running).map(|runtime| runtime.place.clone())
    }

    /// Ends a container's main process as a crash would.
    pub fn crash(&mut self, host: HostId, name: &str) -> Result<(), WorldError> {
        let place = self.container_place(host, name)?;
        let found =
            self.containers.iter().find(|(_, c)| c.place.number == place.number).map(|(id, _)| id.clone());
        if let Some(id) = found {
            self.signal_container(id.as_str(), Signal::KILL);
        }
        self.settle()
    }

    /// The label of a namespace that belongs to a container.
    pub(super) fn container_of_namespace(&self, namespace: &str) -> Option<String> {
        let mut own = self.daemons.iter().filter_map(|daemon| daemon.container_of_namespace(namespace));
        own.next().map(|container| container.name.clone())
    }

    /// The container that has an address.
    pub(super) fn container_with(&self, address: IpAddr) -> Option<String> {
        let containers = self.daemons.iter().flat_map(Daemon::containers);
        let mut having = containers.filter(|c| {
            c.state.is_up() && c.endpoints.iter().filter_map(|e| e.active.as_ref()).any(|a| has(a, address))
        });
        having.next().map(|c| c.name.clone())
    }

    /// The host that has an address on a device of its own.
    pub(super) fn host_with(&self, address: IpAddr) -> Option<String> {
        let engine = self.engine.borrow();
        let mut having =
            self.hosts.iter().filter(|h| !address.is_loopback() && engine.owns(h.place.namespace, address));
        having.next().map(|h| h.place.hostname.to_string())
    }

    /// Reports main processes that ended to their daemons; true if there were any.
    pub(super) fn collect_exits(&mut self) -> Result<bool, WorldError> {
        let killed = self.processes.take_killed();
        let mut ended = std::mem::take(&mut *self.exited.borrow_mut());
        if !killed.is_empty() {
            let main = |(_, runtime): &(&Id, &ContainerRuntime)| killed.contains(&runtime.main);
            ended.extend(self.containers.iter().filter(main).map(|(id, _)| id.clone()));
        }
        let any = !ended.is_empty();
        for id in ended {
            let Some(runtime) = self.containers.get_mut(&id).filter(|r| r.running) else { continue };
            let Some(ExitCode(status)) = runtime.exit.borrow().status() else { continue };
            runtime.running = false;
            self.stops.retain(|(_, stopping), _| *stopping != id.as_str());
            self.health.forget(id.as_str());
            let (place, daemon) = (runtime.place.number, runtime.daemon);
            self.processes.kill_place(place, 9);
            let (now, view) = (self.now(), self.host_view(HostId(daemon)));
            let outcome = self.daemons[daemon].exited(now, id.as_str(), status, &view);
            self.carry_out(HostId(daemon), &outcome)?;
        }
        Ok(any)
    }

    /// Starts the containers again whose restart policy says so by now.
    pub(super) fn restart_due(&mut self, now: Duration) -> Result<(), WorldError> {
        while let Some(entry) = self.restarts.first_entry()
            && entry.key().0 <= now
        {
            let ((_, id), host) = entry.remove_entry();
            let view = self.host_view(host);
            let outcome = self.daemons[host.0].restart_due(now, &id, &view);
            self.carry_out(host, &outcome)?;
        }
        Ok(())
    }

    /// Ends the containers whose grace period is over.
    pub(super) fn stops_due(&mut self, now: Duration) -> Result<(), WorldError> {
        while let Some(entry) = self.stops.first_entry()
            && entry.key().0 <= now
        {
            let ((_, id), host) = entry.remove_entry();
            let outcome = self.daemons[host.0].stop_overdue(now, &id);
            self.carry_out(host, &outcome)?;
        }
        Ok(())
    }

    fn perform(&mut self, host: HostId, outcome: Outcome) -> Result<Job, WorldError> {
        let mut outcome = outcome;
        let exit = |id: &Id| self.containers.get(id.as_str()).filter(|r| r.running).map(|r| r.exit.clone());
        let ending: Vec<_> = outcome.waits.iter().filter_map(exit).collect();
        self.carry_out(host, &outcome)?;
        self.settle()?;
        if outcome.output.exit == 0
            && let Some(name) =
                outcome.spawns.iter().find_map(|spawn| missing_program(spawn, &self.known_programs()))
        {
            outcome.output.exit = 127;
            outcome.asks.clear();
            let daemon = &self.daemons[host.0];
            let begin = daemon.profile().runtime_error();
            let text = format!("{begin}exec: \"{name}\": executable file not found in $PATH: unknown");
            let error = DockerError::bad_parameter(text).shown_as(Shown::RunStart);
            outcome.output.stderr.push_str(&daemon.refusal(&error).stderr);
        }
        let mut job = Job::after(ending, std::mem::take(&mut outcome.output));
        for ask in std::mem::take(&mut outcome.asks) {
            self.ask(host, ask, &mut job)?;
        }
        Ok(job)
    }

    pub(super) fn carry_out(&mut self, host: HostId, outcome: &Outcome) -> Result<(), WorldError> {
        for kill in &outcome.kills {
            match kill {
                Kill::Container { container, signal, escalate } => {
                    self.signal_container(container.as_str(), *signal);
                    if let Some(grace) = escalate {
                        let due = self.now().saturating_add(*grace);
                        self.stops.insert((due, container.as_str().to_owned()), host);
                    }
                }
                Kill::Proxy { owner } => {
                    if let Some(started) = self.proxies.remove(owner) {
                        self.processes.kill(started.id, 9);
                    }
                }
                Kill::Freeze { container, frozen } => {
                    if let Some(runtime) = self.containers.get(container.as_str()) {
                        self.processes.freeze_place(runtime.place.number, *frozen);
                    }
                }
            }
        }
        self.apply(&outcome.plan)?;
        for change in &outcome.files {
            self.files_of(host, &change.container).put(change.file.path(), change.text.clone());
        }
        for change in &outcome.resolvers {
            match change {
                ResolverChange::Started { service, namespace } => {
                    let (container, own) = (self.namespace(namespace)?, self.hosts[host.0].place.namespace);
                    self.resolvers.start(*service, host.0, container, own);
                }
                ResolverChange::Stopped { service } => {
                    self.resolvers.stop(&mut self.engine.borrow_mut(), *service);
                }
            }
        }
        for spawn in &outcome.spawns {
            match spawn {
                Spawn::Container(process) => self.start_container(host, process)?,
                Spawn::Proxy { owner, listen, target, protocol, .. } => {
                    self.start_proxy(host, *owner, *listen, *target, *protocol);
                }
            }
        }
        self.docker_events.extend(outcome.events.iter().cloned());
        let old = self.docker_events.len().saturating_sub(EVENTS_KEPT);
        self.docker_events.drain(..old);
        for (time, id) in &outcome.restarts {
            self.restarts.insert((*time, id.as_str().to_owned()), host);
        }
        for (time, id) in &outcome.probes {
            self.health.schedule(host, *time, id.as_str());
        }
        Ok(())
    }

    fn ask(&mut self, host: HostId, ask: Ask, job: &mut Job) -> Result<(), WorldError> {
        match ask {
            Ask::Attach { container, .. } => {
                if let Some(runtime) = self.containers.get(container.as_str()) {
                    let log = Some(runtime.log.clone());
                    job.follow(runtime.main, runtime.exit.clone(), runtime.output.clone(), log);
                }
            }
            Ask::Exec { container, argv, env, detach, capabilities, user, .. } => {
                let Some(runtime) = self.containers.get(container.as_str()).filter(|r| r.running) else {
                    let name = container.short().to_owned();
                    return Err(WorldError::NotRunning {
                        name,
                        why: "its main process has ended".to_owned(),
                    });
                };
                let user = match user {
                    Ok(user) => user,
                    Err(error) => {
                        job.complain(&format!("Error response from daemon: {}\n", error.message));
                        job.end(1);
                        return Ok(());
                    }
                };
                let place = runtime.place.with(powers(capabilities), numbers(&user));
                let missing = self.daemons[runtime.daemon].profile().missing_program_status();
                let name = argv.first().cloned().unwrap_or_default();
                match self.start_at(&place, argv, environment::of_container(&env)) {
                    Ok(started) if !detach => job.join(started),
                    Ok(_) => {}
                    Err(_) => {
                        job.say(&format!(
                            "OCI runtime exec failed: exec failed: unable to start container process: exec: \
                             \"{name}\": executable file not found in $PATH: unknown\n"
                        ));
                        job.end(missing);
                    }
                }
            }
            Ask::Logs { container, tail, .. } => {
                if let Some(runtime) = self.containers.get_mut(container.as_str()) {
                    runtime.log.borrow_mut().push_str(&String::from_utf8_lossy(&runtime.output.take()));
                    let log = runtime.log.borrow();
                    let lines: Vec<&str> = log.lines().collect();
                    let skip = tail.map_or(0, |tail| lines.len().saturating_sub(tail as usize));
                    for line in &lines[skip..] {
                        job.say(&format!("{line}\n"));
                    }
                }
            }
            Ask::Wait { container, ended } => match (ended, self.containers.get(container.as_str())) {
                (None, Some(runtime)) => job.await_status(runtime.exit.clone()),
                (Some(status), _) => job.say(&format!("{status}\n")),
                (None, None) => {}
            },
            Ask::Events(request) => match events::list(&request, self.now(), self.docker_events.iter()) {
                Ok(text) => job.say(&text),
                Err(error) => {
                    let output = self.daemons[host.0].refusal(&error);
                    job.complain(&output.stderr);
                    job.end(output.exit);
                }
            },
        }
        Ok(())
    }

    /// What a daemon sees of its host.
    fn host_view(&self, host: HostId) -> HostView {
        let Some(place) = self.hosts.get(host.0).map(|h| &h.place) else { return HostView::default() };
        let engine = self.engine.borrow();
        HostView {
            devices: Rc::new(KernelOfHost { engine: self.engine.clone(), namespace: place.namespace }),
            resolv_conf: place.files.text("/etc/resolv.conf"),
            hosts: place.files.text("/etc/hosts"),
            daemon_json: place.files.text(json::PATH),
            ip_forward: engine.ipv4_forward(place.namespace),
            port_range: Some(engine.local_ports(place.namespace)),
            sctp: self.hosts.get(host.0).is_some_and(|host| host.sctp),
        }
    }
}

/// A host's namespace, to be asked by its daemon.
struct KernelOfHost {
    engine: Rc<RefCell<Engine>>,
    namespace: NamespaceId,
}

impl fmt::Debug for KernelOfHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelOfHost").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl HostDevices for KernelOfHost {
    fn interface(&self, name: &str) -> Option<HostInterface> {
        let device = self.engine.borrow().gist(self.namespace, name)?;
        Some(HostInterface {
            name: device.name,
            addresses: device.addresses,
            bridge: device.is_bridge,
            bridge_port: device.is_port,
            mtu: Some(device.mtu),
            vlan: device.vlan,
        })
    }

    fn has_vlan(&self, parent: &str, id: VlanId) -> bool {
        self.engine.borrow().has_vlan(self.namespace, parent, id)
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.engine.borrow().owns(self.namespace, address)
    }

    fn occupied(&self) -> Vec<IpNet> {
        let engine = self.engine.borrow();
        let mut occupied = engine.on_link(self.namespace);
        occupied.extend(engine.addresses(self.namespace));
        occupied
    }

    fn listening(&self, port: u16) -> Vec<(SocketAddr, Transport)> {
        self.engine.borrow().listening_on(self.namespace, port)
    }
}

impl Location {
    /// The container's name, if it is one.
    pub fn container(&self) -> Option<&str> {
        match self {
            Location::Container(_, name) => Some(name),
            Location::Host(_) | Location::Machine(_) => None,
        }
    }
}

/// What became of a container that does not run, and what helps.
fn not_running(container: &Container, last_line: Option<String>) -> String {
    let Some(finished) = container.finished else { return "it was not started".to_owned() };
    let said = last_line.map(|line| format!(" and last printed `{line}`")).unwrap_or_default();
    format!(
        "its command `{}` ended at {:.1} s with status {}{said}; a container lives as long as its command, so give it one \
         that stays, such as `sleep infinity`",
        container.shown_argv().join(" "),
        finished.as_secs_f64(),
        container.exit_code
    )
}

fn has(endpoint: &crate::docker::endpoint::Active, address: IpAddr) -> bool {
    [endpoint.ipv4, endpoint.ipv6].into_iter().flatten().any(|own| own.addr() == address)
}
