//! What a request leads to, and what the daemon must know of its host to decide it. Both are plain values: the daemon
//! touches nothing, whoever owns it applies the plan, writes the files, starts and stops the processes and prints the
//! output, in that order.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::capability::NetworkCapabilities;
use super::cli::ports::Protocol;
use super::client::Client;
use super::error::DockerError;
use super::identity::Id;
use super::request::ExposedPort;
use super::signal::Signal;
use super::user::User;
use crate::engine::id::ServiceId;
use crate::engine::plan::{NamespaceName, Owner, Plan, Transport, VlanId};

/// Everything that follows from one request. Applied in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Processes to end, before the plan takes their namespaces away.
    pub kills: Vec<Kill>,
    /// The networking.
    pub plan: Plan,
    /// Files inside containers, whole.
    pub files: Vec<FileChange>,
    /// Embedded resolvers that begin or end.
    pub resolvers: Vec<ResolverChange>,
    /// Processes to start.
    pub spawns: Vec<Spawn>,
    /// What `docker events` shows.
    pub events: Vec<DockerEvent>,
    /// Containers that must have ended before the command returns (`stop`, `restart`, `kill`, `rm -f`).
    pub waits: Vec<Id>,
    /// Containers whose restart policy wants `Daemon::restart_due` to be called, and when.
    pub restarts: Vec<(Duration, Id)>,
    /// Containers whose health is to be probed, and when: `Daemon::health_due`.
    pub probes: Vec<(Duration, Id)>,
    /// What only the caller can finish: output of processes, waiting, running commands.
    pub asks: Vec<Ask>,
    /// What the client prints, before anything an [`Ask`] prints.
    pub output: Output,
    /// The refusals behind `output.stderr`, for clients other than the command line.
    pub errors: Vec<DockerError>,
}

/// What a docker command prints and returns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit status.
    pub exit: u8,
    /// Which of the two came when: pieces by turns, as far as the command said so. What is not in here came last.
    pub turns: Vec<Turn>,
}

/// A piece of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// So many bytes of standard output.
    Out(usize),
    /// So many bytes of standard error.
    Error(usize),
}

impl Output {
    /// Everything that was printed, in order.
    pub fn text(&self) -> String {
        let (mut out, mut error) = (self.stdout.as_str(), self.stderr.as_str());
        let mut text = String::new();
        for turn in &self.turns {
            let (from, length) = match turn {
                Turn::Out(length) => (&mut out, *length),
                Turn::Error(length) => (&mut error, *length),
            };
            let (piece, rest) = from.split_at_checked(length).unwrap_or((from, ""));
            text.push_str(piece);
            *from = rest;
        }
        text + out + error
    }

    /// Fixes the order of what was printed so far.
    fn settle(&mut self) {
        let (mut out, mut error) = (self.stdout.len(), self.stderr.len());
        for turn in &self.turns {
            match turn {
                Turn::Out(length) => out = out.saturating_sub(*length),
                Turn::Error(length) => error = error.saturating_sub(*length),
            }
        }
        let pieces = [(out, Turn::Out(out)), (error, Turn::Error(error))];
        self.turns.extend(pieces.into_iter().filter(|(length, _)| *length > 0).map(|(_, turn)| turn));
    }

    /// Prints what another command printed.
    pub(super) fn append(&mut self, mut other: Output) {
        self.settle();
        other.settle();
        self.stdout += &other.stdout;
        self.stderr += &other.stderr;
        self.turns.extend(other.turns);
        self.exit = self.exit.max(other.exit);
    }
}

/// A process to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kill {
    /// The main process of a container. Its end is reported with `Daemon::exited`.
    Container {
        /// The container.
        container: Id,
        /// The signal.
        signal: Signal,
        /// After how long `Daemon::stop_overdue` is called if it has not ended; `None` never.
        escalate: Option<Duration>,
    },
    /// The docker-proxy of a binding. Its end is not reported.
    Proxy {
        /// The binding.
        owner: Owner,
    },
    /// Suspends or resumes every process of a container.
    Freeze {
        /// The container.
        container: Id,
        /// True suspends.
        frozen: bool,
    },
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spawn {
    /// A container's main process.
    Container(ContainerProcess),
    /// What listens for one binding in the host's namespace: its userland proxy, or dockerd itself.
    Proxy {
        /// The binding it belongs to.
        owner: Owner,
        /// Where it runs.
        namespace: NamespaceName,
        /// The address it listens on.
        listen: SocketAddr,
        /// The container's address and port; `None` for a socket of dockerd's that nobody accepts from.
        target: Option<SocketAddr>,
        /// TCP, UDP or SCTP.
        protocol: Protocol,
    },
}

/// A container's main process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerProcess {
    /// The container.
    pub container: Id,
    /// Its namespace; the host's with `--network host`.
    pub namespace: NamespaceName,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Environment, `NAME=VALUE`; `NAME` alone asks for the client's value.
    pub env: Vec<String>,
    /// What `hostname` prints.
    pub hostname: String,
    /// The image, which says what programs exist.
    pub image: String,
    /// Another command than the image's was given.
    pub own_command: bool,
    /// Ports the image's own command listens on.
    pub listens: Vec<ExposedPort>,
    /// What the image's stand-in answers on a port by HTTP, where that is said.
    pub pages: Vec<(u16, String)>,
    /// A terminal was asked for.
    pub tty: bool,
    /// An init is the first process (`--init`).
    pub init: bool,
    /// Standard input stays open.
    pub interactive: bool,
    /// What its processes may do in the namespace.
    pub capabilities: NetworkCapabilities,
    /// Whom its processes run as.
    pub user: User,
}

/// A file the engine generates for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerFile {
    /// `/etc/hosts`.
    Hosts,
    /// `/etc/resolv.conf`.
    ResolvConf,
    /// `/etc/hostname`.
    Hostname,
}

impl ContainerFile {
    /// The path inside the container.
    pub fn path(self) -> &'static str {
        match self {
            Self::Hosts => "/etc/hosts",
            Self::ResolvConf => "/etc/resolv.conf",
            Self::Hostname => "/etc/hostname",
        }
    }
}

/// A generated file's new text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Whose file.
    pub container: Id,
    /// Which file.
    pub file: ContainerFile,
    /// The whole text.
    pub text: Arc<str>,
}

/// An embedded resolver begins or ends; its sockets come and go with the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolverChange {
    /// Traffic of `service` belongs to `Daemon::dns_query` from now on.
    Started {
        /// The service of the plan's `Listen` operations.
        service: ServiceId,
        /// The namespace queries dialled from the container leave by.
        namespace: NamespaceName,
    },
    /// No more traffic; exchanges under way are forgotten.
    Stopped {
        /// The service.
        service: ServiceId,
    },
}

/// What `docker events` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerEvent {
    /// When.
    pub time: Duration,
    /// `container` or `network`.
    pub kind: EventKind,
    /// `create`, `start`, `connect`, ...
    pub action: String,
    /// The object's id.
    pub id: Id,
    /// Further attributes.
    pub attributes: BTreeMap<String, String>,
}

/// The kind of object an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// A container.
    Container,
    /// A network.
    Network,
}

impl EventKind {
    /// The `Type` of the event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
        }
    }
}

/// What only the owner of the processes can do for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Show a container's output until it ends and return its status.
    Attach {
        /// The container.
        container: Id,
        /// Feed standard input.
        stdin: bool,
    },
    /// Run a command in a container.
    Exec {
        /// The container.
        container: Id,
        /// Where its sockets are.
        namespace: NamespaceName,
        /// Program and arguments.
        argv: Vec<String>,
        /// Environment.
        env: Vec<String>,
        /// Return at once.
        detach: bool,
        /// What it may do in the namespace.
        capabilities: NetworkCapabilities,
        /// Whom it runs as, or why nobody knows.
        user: Result<User, DockerError>,
    },
    /// Show what a container wrote so far.
    Logs {
        /// The container.
        container: Id,
        /// Only the last lines.
        tail: Option<u64>,
        /// Go on until it ends.
        follow: bool,
    },
    /// Print the status of each container as it ends; those that ended come with their status.
    Wait {
        /// The container.
        container: Id,
        /// Its status if it does not run.
        ended: Option<u8>,
    },
    /// Show the events so far that match.
    Events(super::request::Events),
}

/// What the daemon sees of its host at the moment of a request.
#[derive(Debug, Clone)]
pub struct HostView {
    /// The host's devices, routes and sockets.
    pub devices: Rc<dyn HostDevices>,
    /// The host's /etc/resolv.conf.
    pub resolv_conf: String,
    /// The host's /etc/hosts.
    pub hosts: String,
    /// The host's /etc/docker/daemon.json, empty if there is none.
    pub daemon_json: String,
    /// `net.ipv4.ip_forward`.
    pub ip_forward: bool,
    /// `net.ipv4.ip_local_port_range`; `None` is Linux's default.
    pub port_range: Option<(u16, u16)>,
    /// Its kernel has SCTP sockets.
    pub sctp: bool,
}

/// What can be asked of a host's kernel. Questions, not lists: a host may have ten thousand devices, and a request
/// cares for one.
pub trait HostDevices: fmt::Debug {
    /// The device of a name.
    fn interface(&self, name: &str) -> Option<HostInterface>;
    /// Whether a device stands for a VLAN of the device of a name.
    fn has_vlan(&self, parent: &str, id: VlanId) -> bool;
    /// Whether an address is one of a device's.
    fn has_address(&self, address: IpAddr) -> bool;
    /// What the host reaches without a gateway, and its devices' own addresses.
    fn occupied(&self) -> Vec<IpNet>;
    /// Sockets that wait for strangers on a port, docker-proxy's included.
    fn listening(&self, port: u16) -> Vec<(SocketAddr, Transport)>;
}

/// A host's devices as plain values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostTable {
    /// Devices and their addresses.
    pub interfaces: Vec<HostInterface>,
    /// Destinations the host reaches without a gateway.
    pub on_link: Vec<IpNet>,
    /// Sockets that listen.
    pub listening: Vec<(SocketAddr, Transport)>,
}

impl HostDevices for HostTable {
    fn interface(&self, name: &str) -> Option<HostInterface> {
        self.interfaces.iter().find(|interface| interface.name == name).cloned()
    }

    fn has_vlan(&self, parent: &str, id: VlanId) -> bool {
        let vlans = self.interfaces.iter().filter_map(|interface| interface.vlan.as_ref());
        vlans.into_iter().any(|(below, vlan)| below == parent && *vlan == id)
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.interfaces.iter().flat_map(|i| &i.addresses).any(|own| own.addr() == address)
    }

    fn occupied(&self) -> Vec<IpNet> {
        self.on_link.iter().chain(self.interfaces.iter().flat_map(|i| &i.addresses)).copied().collect()
    }

    fn listening(&self, port: u16) -> Vec<(SocketAddr, Transport)> {
        self.listening.iter().filter(|(socket, _)| socket.port() == port).copied().collect()
    }
}

impl Default for HostView {
    fn default() -> Self {
        let devices = Rc::new(HostTable::default());
        let (resolv_conf, hosts, daemon_json) = Default::default();
        HostView {
            devices,
            resolv_conf,
            hosts,
            daemon_json,
            ip_forward: false,
            port_range: None,
            sctp: false,
        }
    }
}

/// A device of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostInterface {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// It is a bridge.
    pub bridge: bool,
    /// It is a bridge's port.
    pub bridge_port: bool,
    /// Its largest packet, if that is known.
    pub mtu: Option<u32>,
    /// The device and the VLAN of it that this one stands for.
    pub vlan: Option<(String, VlanId)>,
}

impl HostView {
    /// Whether an address belongs to the host: its own, loopback or the unspecified one.
    pub fn owns(&self, address: IpAddr) -> bool {
        address.is_unspecified() || address.is_loopback() || self.devices.has_address(address)
    }
}

impl Outcome {
    /// An outcome that only prints.
    pub fn printed(stdout: impl Into<String>) -> Self {
        Self { output: Output { stdout: stdout.into(), ..Output::default() }, ..Self::default() }
    }

    /// Adds another outcome behind this one; the worse exit status stays.
    pub fn extend(&mut self, other: Self) {
        self.kills.extend(other.kills);
        self.plan.extend(other.plan);
        self.files.extend(other.files);
        self.resolvers.extend(other.resolvers);
        self.spawns.extend(other.spawns);
        self.events.extend(other.events);
        self.waits.extend(other.waits);
        self.restarts.extend(other.restarts);
        self.probes.extend(other.probes);
        self.asks.extend(other.asks);
        self.output.append(other.output);
        self.errors.extend(other.errors);
    }

    /// Prints a line.
    pub(super) fn say(&mut self, line: &str) {
        self.output.settle();
        self.output.stdout += line;
        self.output.stdout.push('\n');
    }

    /// Records a refusal that does not stop the command.
    pub(super) fn refuse(&mut self, client: Client, error: DockerError) {
        self.output.append(client.output(&error));
        self.errors.push(error);
    }
}
