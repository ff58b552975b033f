//! A container as the daemon remembers it: what was asked for, its state, its endpoints and the order among them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::blueprint::Blueprint;
use super::cli::ports::{PortPublish, Protocol};
use super::client::ClientVersion;
use super::endpoint::Endpoint;
use super::health::Health;
use super::identity::{Digits, Id};
use super::render::{PortBinding, ports_column};
use super::request::{ExposedPort, NetworkMode};
use crate::engine::plan::{NamespaceName, Owner};

/// A container.
#[derive(Debug, Clone)]
pub struct Container {
    /// The daemon's own number for it, which is also its resolver's service.
    pub number: u32,
    /// Its id.
    pub id: Id,
    /// Its name without the slash.
    pub name: String,
    /// When it was made.
    pub created: Duration,
    /// What it is made from.
    pub made_from: Arc<Blueprint>,
    /// `--hostname`, else the short id.
    pub hostname: String,
    /// Running or not.
    pub state: State,
    /// When it last started.
    pub started: Option<Duration>,
    /// When it last ended.
    pub finished: Option<Duration>,
    /// The last exit status.
    pub exit_code: u8,
    /// Why the last start failed.
    pub error: String,
    /// What its probes say, if it has a health check.
    pub health: Option<Health>,
    /// How often a restart policy started it again.
    pub restarts: u32,
    /// How often the delay of the restart policy has doubled.
    pub(super) backoff: u8,
    /// `docker stop` or a kill ended it; a start makes up for that.
    pub(super) stopped_by_hand: bool,
    /// Its networks are notes: it starts with a loopback interface alone.
    pub(super) network_disabled: bool,
    /// What happens when the main process has ended.
    pub(super) after: AfterExit,
    /// The endpoints in the order in which they were asked for.
    pub endpoints: Vec<Endpoint>,
    /// The namespace, while it runs.
    pub sandbox: Option<Sandbox>,
    /// The last sandbox's id; inspect shows it after a stop as well.
    pub sandbox_id: Option<Digits>,
    /// The legacy links opened in the packet filter at its start, from either end.
    pub(super) opened_links: Vec<OpenedLink>,
    /// Published ports in effect.
    pub bindings: Vec<Binding>,
    /// The default routes in effect.
    pub(super) routes: Option<Routes>,
    /// How many interfaces of each prefix the namespace has had.
    pub(super) interface_counters: BTreeMap<String, u32>,
    /// Who owns the embedded resolver's sockets, once it runs.
    pub(super) resolver: Option<Owner>,
    /// /etc/hosts, /etc/resolv.conf.
    pub(super) hosts: Arc<str>,
    pub(super) resolv_conf: Arc<str>,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never started.
    Created,
    /// Its main process runs.
    Running,
    /// Suspended.
    Paused,
    /// Its main process has ended, and its restart policy starts it again when its delay is over. dockerd counts it among
    /// the running ones; it has no namespace, address or port.
    Restarting,
    /// Its main process has ended.
    Exited,
}

impl State {
    /// The word inspect shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
        }
    }

    /// Whether there is a process.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    /// Whether dockerd says `Running`: what it lists without `--all` and does not remove without `--force`.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    /// Whether the main process has ended, for good or not.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Restarting | Self::Exited)
    }
}

/// What happens when the main process has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum AfterExit {
    /// The restart policy decides.
    #[default]
    Policy,
    /// It was stopped by hand: `docker stop`, which says so in an event.
    Stay,
    /// It was killed by hand, and stays as it is.
    Killed,
    /// `docker restart`.
    Start,
    /// `docker rm -f`.
    Remove,
    /// The daemon ends.
    Shutdown,
}

/// The namespace of a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The daemon's number of the sandbox. Containers that share a namespace have the same.
    pub number: u32,
    /// The engine's name of the namespace.
    pub namespace: NamespaceName,
    /// How the container came by it.
    pub kind: SandboxKind,
}

/// Whose namespace a container is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxKind {
    /// Its own.
    Own,
    /// The host's.
    Host,
    /// Another container's.
    Shared,
}

/// A legacy link that is open in the packet filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenedLink {
    /// The linker's and the target's.
    pub(super) addresses: (IpAddr, IpAddr),
    /// The endpoint of the other container.
    pub(super) other: Digits,
}

/// One published port in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The owner of its rules and proxy.
    pub owner: Owner,
    /// What was asked for.
    pub publish: PortPublish,
    /// The network it leads through, by the daemon's number.
    pub(super) network: u32,
    /// Where it listens; port 0 on a routed network, where only the container's own port is open.
    pub host: SocketAddr,
    /// Where it leads.
    pub container: SocketAddr,
    /// Whose socket on the host keeps the port from others.
    pub holder: Option<Holder>,
}

/// Whose socket listens on a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A userland proxy's.
    Proxy,
    /// dockerd's own: it accepts nothing, rules lead elsewhere what should arrive.
    Daemon,
}

impl Binding {
    /// The transport.
    pub fn protocol(&self) -> Protocol {
        self.publish.protocol
    }
}

/// The default routes of a container, under an owner of their own because they move between endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routes {
    pub(super) owner: Owner,
    /// The network (by number) and gateway of each family.
    pub(super) v4: Option<(u32, IpAddr)>,
    pub(super) v6: Option<(u32, IpAddr)>,
}

impl Container {
    /// The command line as it was asked for, even where a stand-in runs.
    pub fn shown_argv(&self) -> &[String] {
        self.made_from.config.stood_in_for.as_deref().unwrap_or(&self.made_from.argv)
    }

    /// Whether a start brings its endpoints up.
    pub(super) fn has_network(&self) -> bool {
        !self.network_disabled && !matches!(self.made_from.config.network_mode, NetworkMode::Container(_))
    }

    /// It waits for its restart policy's delay no longer, and has ended.
    pub(super) fn give_up_restart(&mut self) {
        if self.state == State::Restarting {
            self.state = State::Exited;
            self.stopped_by_hand = true;
        }
    }

    /// The numbers of the networks whose endpoints are up.
    pub(super) fn connected_networks(&self) -> Vec<u32> {
        let up = self.endpoints.iter().filter(|endpoint| endpoint.active.is_some());
        up.filter_map(|endpoint| endpoint.network_number).collect()
    }

    /// The endpoint on a network, by the network's number.
    pub fn endpoint(&self, network: u32) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.network_number == Some(network))
    }

    /// The names other containers of a user-defined network find it by, on one endpoint.
    pub fn dns_names(&self, endpoint: &Endpoint) -> Vec<String> {
        let mut names = vec![self.name.clone()];
        let short = self.id.short().to_owned();
        for name in endpoint.config.aliases.iter().cloned().chain([short, self.hostname.clone()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Whether an endpoint on a network that leads out is up, or ports are published. Ports, exposed ones too, belong to
    /// such an endpoint.
    pub fn shows_ports(&self) -> bool {
        if !self.bindings.is_empty() {
            return true;
        }
        let mut active = self.endpoints.iter().filter_map(|endpoint| endpoint.active.as_ref());
        active.any(|active| active.device.is_some() && !active.internal && active.maps_ports)
    }

    /// The ports that `docker ps` and `docker port` know of it.
    pub(super) fn shown_ports(&self) -> Vec<PortBinding> {
        if !self.shows_ports() {
            return Vec::new();
        }
        let mut ports = Vec::new();
        for (port, hosts) in self.published() {
            if hosts.is_empty() {
                ports.push(PortBinding { port, host: None });
            }
            let bound = hosts.into_iter().map(|host| Some((host.ip(), host.port())));
            ports.extend(bound.map(|host| PortBinding { port, host }));
        }
        ports
    }

    /// The container port for which a running container asks for this host port, if none of its publications is in
    /// effect: its networks do not publish.
    pub fn asks_in_vain(&self, host_port: u16) -> Option<u16> {
        let asks = |publish: &&PortPublish| match publish.host_port {
            Some(range) => range.contains(host_port),
            None => publish.container_port == host_port,
        };
        let in_vain = self.state == State::Running && self.bindings.is_empty();
        let asked = self.made_from.config.ports.iter().find(asks).filter(|_| in_vain)?;
        Some(asked.container_port)
    }

    /// Its ports as the PORTS column of `docker ps` shows them: published ones by their bindings, neighbours joined.
    pub fn ports_column(&self, client: ClientVersion) -> String {
        ports_column(client, &self.shown_ports())
    }

    /// The published ports alone, as in [`Container::ports_column`]; empty if none is in effect.
    pub fn published_column(&self) -> String {
        let mut shown = self.shown_ports();
        shown.retain(|binding| binding.host.is_some());
        ports_column(ClientVersion::V28, &shown)
    }

    /// Published ports by container port.
    pub fn published(&self) -> BTreeMap<ExposedPort, Vec<SocketAddr>> {
        let mut ports: BTreeMap<ExposedPort, Vec<SocketAddr>> =
            self.made_from.exposed.iter().map(|port| (*port, Vec::new())).collect();
        for binding in &self.bindings {
            ports.entry(binding.publish.exposed()).or_default().push(binding.host);
        }
        ports
    }
}

/// Whether Docker takes a container name.
///
/// # Errors
/// Its refusal.
pub fn valid_container_name(name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if first && rest && name.len() >= 2 {
        return Ok(());
    }
    Err(format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"))
}

/// Whether the kernel takes a host name (`HOST_NAME_MAX`).
///
/// # Errors
/// The runtime's complaint.
pub fn valid_hostname(hostname: &str) -> Result<(), &'static str> {
    if hostname.len() <= LONGEST_HOSTNAME { Ok(()) } else { Err("sethostname: invalid argument") }
}

/// Linux's `HOST_NAME_MAX`.
const LONGEST_HOSTNAME: usize = 64;
