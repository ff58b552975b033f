//! What dockerd decides: requests and process exits in, [`Outcome`]s out. Pure: no clock, no engine, no file.
//!
//! The daemon keeps Docker's objects (networks, containers, endpoints), its address and port allocators and the records of
//! the embedded DNS server. Every object has a number from one counter, and the number is also its owner's in the plans,
//! so that removing an object is removing an owner. The files of `daemon/` follow the objects: `config` and `json`
//! (daemon.json), `kernel` (what is set on the host), `default_bridge` (and the other predefined networks), `networks`
//! (create, remove), `subnets` (what they are given), `containers` (create, remove), `prune`, `lifecycle` (start, stop, exit),
//! `signals`, `processes` (exec, logs, pause), `health`, `restart` (the daemon's own end and beginning), `reload` (its
//! rules after firewalld's), `links`, `attach` (endpoints), `addresses` (theirs), `publish` (default routes and published
//! ports), `resolve` (files and DNS), `query` (lists and inspect), `container_filters` (of `docker ps`), `happenings`
//! (events), `about` (info and version).
//!
//! Limits: a host has 16 million numbers; they are not reused.

mod about;
mod addresses;
mod attach;
mod config;
mod container_filters;
mod containers;
mod default_bridge;
mod devices;
mod happenings;
mod health;
pub mod json;
mod kernel;
mod lifecycle;
mod links;
mod name_pattern;
mod networks;
mod parents;
mod processes;
mod prune;
mod publish;
mod query;
mod reload;
mod resolve;
mod restart;
mod signals;
mod subnets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::Family;

pub use self::config::{DaemonConfig, Proxies};
use super::alike::Alike;
use super::blueprint::Blueprint;
use super::client::{Client, ClientVersion};
use super::container::{Container, SandboxKind};
use super::error::DockerError;
use super::identity::{Id, Source};
use super::ipam::{Ipam, Runs, bounds};
use super::names::Names;
use super::network::Network;
use super::outcome::{Ask, HostView, Outcome, Output};
use super::ports::Ports;
use super::profile::Profile;
use super::request::{EndpointConfig, Request};
use super::resolv_conf;
use super::rules::{Firewall, ResolverRules};
use crate::engine::plan::{NamespaceName, Owner};

/// The host a daemon runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostIdentity {
    /// Its number among the hosts of one engine, below 256: it keeps the owners of several daemons apart.
    pub number: u32,
    /// Its namespace.
    pub namespace: NamespaceName,
    /// What `hostname` prints there.
    pub hostname: String,
}

/// A Docker daemon.
#[derive(Debug)]
pub struct Daemon {
    config: DaemonConfig,
    host: HostIdentity,
    /// Who asks now, or asked last.
    client: Client,
    source: Source,
    last_number: u32,
    owner: Owner,
    /// What the kernel keeps when the daemon ends: sysctls, policies, DOCKER-USER.
    kernel: Owner,
    started: bool,
    running: bool,
    /// The default bridge is not as daemon.json says, because containers lived on when that changed.
    outdated_bridge: bool,
    /// DOCKER-USER is there.
    user_chains: bool,
    /// Whether the host forwarded IPv4 when the daemon had started, which is when it looks.
    saw_forwarding: bool,
    /// Whether the daemon has seen to forwarding, by [`index_of`] the family.
    forwarding: [bool; 2],
    /// Whether this run of the daemon made FORWARD drop: it will again when the packet filter is reloaded.
    drops_forward: [bool; 2],
    /// Whether the jumps of the nat table are there, where they come with networks.
    nat_jumps: [bool; 2],
    ipam: Ipam,
    ports: Ports,
    names: Names,
    networks: BTreeMap<u32, Network>,
    network_ids: BTreeMap<Id, u32>,
    network_names: BTreeMap<String, u32>,
    bridges: BTreeMap<InterfaceName, u32>,
    containers: BTreeMap<u32, Box<Container>>,
    container_ids: BTreeMap<Id, u32>,
    container_names: BTreeMap<String, u32>,
    /// Containers that have legacy links, or had: whose files may name another container.
    linkers: BTreeSet<u32>,
    /// The legacy links whose target was removed, by linker and alias, with the target's last name: the linker cannot start
    /// again, whoever gets the name.
    lost_links: BTreeMap<(u32, String), String>,
    /// The rules that legacy links opened, by the addresses of linker and target.
    link_rules: BTreeMap<(IpAddr, IpAddr), Owner>,
    /// The containers in every namespace, by the number of its sandbox.
    sandboxes: BTreeSet<(u32, u32)>,
    /// The namespaces of `sandboxes`.
    namespaces: BTreeMap<NamespaceName, u32>,
    resolvers: BTreeMap<u32, Box<resolve::ResolverState>>,
    /// Resolvers that wait for something.
    waiting_resolvers: BTreeSet<u32>,
    /// The last /etc/resolv.conf that was written.
    last_resolv_conf: Arc<str>,
    resolver_rules: ResolverRules,
    /// What containers are made from, by image and network.
    blueprints: Alike<(String, String), Blueprint>,
    /// What is asked of endpoints, by network.
    endpoint_configs: Alike<String, EndpointConfig>,
}

impl Daemon {
    /// A daemon that has not started. The seed decides ids, names, MAC addresses and resolver ports.
    pub fn new(config: DaemonConfig, host: HostIdentity, seed: u64) -> Self {
        let base = host.number << 24;
        let mut source = Source::new(seed ^ u64::from(host.number) << 32);
        let profile = config.profile;
        let ula = profile.default_ipv6_pool().then(|| ula_base(source.below(1 << 40))).flatten();
        let ipam = Ipam::new(profile.pool_order(), &config.default_address_pools, ula);
        Self {
            config,
            host,
            client: Client::default(),
            source,
            last_number: base,
            owner: Owner::Daemon(base),
            kernel: Owner::Daemon(base + 1),
            started: false,
            running: false,
            outdated_bridge: false,
            user_chains: false,
            saw_forwarding: false,
            forwarding: [false; 2],
            drops_forward: [false; 2],
            nat_jumps: [false; 2],
            ipam,
            ports: Ports::default(),
            names: Names::default(),
            networks: BTreeMap::new(),
            network_ids: BTreeMap::new(),
            network_names: BTreeMap::new(),
            bridges: BTreeMap::new(),
            containers: BTreeMap::new(),
            container_ids: BTreeMap::new(),
            container_names: BTreeMap::new(),
            linkers: BTreeSet::new(),
            lost_links: BTreeMap::new(),
            link_rules: BTreeMap::new(),
            sandboxes: BTreeSet::new(),
            namespaces: BTreeMap::new(),
            resolvers: BTreeMap::new(),
            waiting_resolvers: BTreeSet::new(),
            last_resolv_conf: "".into(),
            resolver_rules: ResolverRules::new(),
            blueprints: Alike::default(),
            endpoint_configs: Alike::default(),
        }
    }

    /// Makes the chains and the predefined networks.
    ///
    /// # Errors
    /// When the daemon has started before or no subnet is left for the default bridge.
    pub fn start(&mut self, view: &HostView) -> Result<Outcome, DockerError> {
        if self.started {
            return Err(DockerError::system("the daemon has already been started"));
        }
        self.config.verify()?;
        let mut outcome = Outcome::default();
        self.set_up_host(view, &mut outcome);
        self.predefined_networks(view, &mut outcome)?;
        self.started = true;
        self.running = true;
        self.saw_forwarding = self.host_forwards(view);
        Ok(outcome)
    }

    /// The version of the client whose requests follow: what they print is in its words.
    pub fn set_client(&mut self, version: ClientVersion) {
        self.client.version = version;
    }

    /// What the client of the last request prints and returns for its refusal.
    pub fn refusal(&self, error: &DockerError) -> Output {
        self.client.output(error)
    }

    /// Decides a request. An error means that nothing has changed; refusals within a command that did something stand in
    /// the outcome.
    ///
    /// # Errors
    /// With the engine's own text, the API's status and the client's way of showing it.
    pub fn request(
        &mut self,
        now: Duration,
        request: &Request,
        view: &HostView,
    ) -> Result<Outcome, DockerError> {
        self.client = Client::asking(self.client.version, request);
        if !self.running {
            return Err(Self::unreachable(request));
        }
        self.ports.begin();
        match request {
            Request::NetworkCreate(create) => self.network_create(now, create, view),
            Request::NetworkConnect(connect) => self.network_connect(now, connect, view),
            Request::NetworkDisconnect(disconnect) => self.network_disconnect(now, disconnect, view),
            Request::NetworkRemove(remove) => Ok(self.network_remove(now, remove)),
            Request::NetworkPrune(prune) => self.network_prune(now, prune),
            Request::NetworkList(list) => self.network_list(list),
            Request::NetworkInspect(inspect) => self.network_inspect(inspect),
            Request::ContainerRun(create) => self.container_run(now, create, view),
            Request::ContainerCreate(create) => {
                let mut outcome = Outcome::default();
                let number = self.container_create(now, create, view, &mut outcome)?;
                if let Some(container) = self.containers.get(&number) {
                    outcome.say(container.id.as_str());
                }
                Ok(outcome)
            }
            Request::ContainerStart(start) => Ok(self.container_start(now, start, view)),
            Request::ContainerStop(stop) => Ok(self.container_stop(now, stop, view, false)),
            Request::ContainerRestart(stop) => Ok(self.container_stop(now, stop, view, true)),
            Request::ContainerKill(kill) => Ok(self.container_kill(now, kill)),
            Request::ContainerRemove(remove) => Ok(self.container_remove(now, remove)),
            Request::ContainerRename(rename) => Ok(self.container_rename(now, rename)),
            Request::ContainerPause(list) => Ok(self.container_pause(now, list, true)),
            Request::ContainerUnpause(list) => Ok(self.container_pause(now, list, false)),
            Request::ContainerUpdate(update) => Ok(self.container_update(now, update)),
            Request::ContainerWait(list) => Ok(self.container_wait(list)),
            Request::ContainerExec(exec) => self.container_exec(now, exec),
            Request::ContainerList(list) => self.container_list(now, list),
            Request::ContainerPort(port) => self.container_port(port),
            Request::ContainerLogs(logs) => self.container_logs(logs),
            Request::ContainerPrune(prune) => self.container_prune(now, prune),
            Request::Inspect(inspect) => self.inspect(inspect),
            Request::Events(events) => {
                Ok(Outcome { asks: vec![Ask::Events(events.clone())], ..Outcome::default() })
            }
            Request::Info(view) => self.info(view),
            Request::Version(view) => self.version(view),
        }
    }

    /// The settings.
    pub fn config(&self) -> &DaemonConfig {
        &self.config
    }

    /// The host.
    pub fn host(&self) -> &HostIdentity {
        &self.host
    }

    /// The networks in the order they were made.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.values()
    }

    /// The containers in the order they were made.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.values().map(Box::as_ref)
    }

    /// A network by id, name or unique id prefix.
    ///
    /// # Errors
    /// When there is none or more than one.
    pub fn network(&self, text: &str) -> Result<&Network, DockerError> {
        let number = self.network_number(text)?;
        self.networks.get(&number).ok_or_else(|| DockerError::not_found(format!("network {text} not found")))
    }

    /// The names that a network's containers know, with their addresses; empty for a network that has no DNS.
    pub fn zone(&self, network: &Network) -> Vec<(&str, IpAddr)> {
        self.names.network(&network.key()).map_or_else(Vec::new, |zone| zone.records().collect())
    }

    /// A container by id, name or unique id prefix.
    ///
    /// # Errors
    /// When there is none or more than one.
    pub fn container(&self, text: &str) -> Result<&Container, DockerError> {
        let number = self.container_number(text)?;
        self.containers
            .get(&number)
            .map(Box::as_ref)
            .ok_or_else(|| DockerError::not_found(format!("No such container: {text}")))
    }

    /// An address that a container asks for and has not, because another one on the network has it, and that one.
    pub fn taken_address(&self, container: &Container) -> Option<(IpAddr, &Container)> {
        container.endpoints.iter().filter(|endpoint| endpoint.active.is_none()).find_map(|endpoint| {
            let wanted = [&endpoint.config.ipv4, &endpoint.config.ipv6].into_iter().flatten();
            let mut wanted = wanted.filter_map(|text| text.parse::<IpAddr>().ok());
            wanted.find_map(|address| {
                let has = |other: &&Container| {
                    let here = other.endpoints.iter().filter(|e| e.network_name == endpoint.network_name);
                    let active = here.filter_map(|e| e.active.as_ref());
                    active.flat_map(|a| [a.ipv4, a.ipv6]).flatten().any(|net| net.addr() == address)
                };
                self.containers().find(has).map(|holder| (address, holder))
            })
        })
    }

    /// The container whose own namespace this is, while it runs.
    pub fn container_of_namespace(&self, namespace: &str) -> Option<&Container> {
        let sandbox = self.namespaces.get(&NamespaceName::new(namespace))?;
        let users = self.sandbox_users(*sandbox).filter_map(|number| self.containers.get(&number));
        let own = |container: &&Container| {
            container.sandbox.as_ref().is_some_and(|sandbox| sandbox.kind == SandboxKind::Own)
        };
        users.map(Box::as_ref).find(own)
    }

    /// The containers in a namespace, by the number of its sandbox.
    fn sandbox_users(&self, sandbox: u32) -> impl Iterator<Item = u32> {
        self.sandboxes.range((sandbox, 0)..=(sandbox, u32::MAX)).map(|(_, container)| *container)
    }

    /// The network of a bridge.
    pub fn network_of_bridge(&self, bridge: InterfaceName) -> Option<&Network> {
        self.bridges.get(&bridge).and_then(|number| self.networks.get(number))
    }

    /// Whether dockerd runs.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Whether no host port, namespace or resolver is in use.
    pub fn is_idle(&self) -> bool {
        self.ports.is_empty() && self.sandboxes.is_empty() && self.resolvers.is_empty()
    }

    fn network_number(&self, text: &str) -> Result<u32, DockerError> {
        if let Some(number) = self.network_ids.get(text).or_else(|| self.network_names.get(text)) {
            return Ok(*number);
        }
        match by_prefix(&self.network_ids, text) {
            (1, Some(number)) => Ok(number),
            (0, _) | (_, None) => Err(DockerError::not_found(format!("network {text} not found"))),
            (found, _) => Err(DockerError::bad_parameter(format!(
                "network {text} is ambiguous ({found} matches found based on ID prefix)"
            ))),
        }
    }

    fn container_number(&self, text: &str) -> Result<u32, DockerError> {
        let name = text.strip_prefix('/').unwrap_or(text);
        if let Some(number) = self.container_ids.get(text).or_else(|| self.container_names.get(name)) {
            return Ok(*number);
        }
        if let Some(number) = self.linked_container(name) {
            return Ok(number);
        }
        match by_prefix(&self.container_ids, text) {
            (1, Some(number)) => Ok(number),
            (0, _) | (_, None) => Err(DockerError::not_found(format!("No such container: {text}"))),
            _ => Err(DockerError::bad_parameter(format!("Multiple IDs found with provided prefix: {text}"))),
        }
    }

    fn next_number(&mut self) -> u32 {
        self.last_number = self.last_number.wrapping_add(1);
        self.last_number
    }

    /// The engine's version.
    pub fn profile(&self) -> Profile {
        self.config.profile
    }

    /// Whether the daemon writes rules of a family.
    fn filters(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.config.iptables,
            Family::Ipv6 => {
                self.config.iptables
                    && self.config.ip6tables.unwrap_or_else(|| self.profile().ip6tables_by_default())
            }
        }
    }

    fn firewall(&self) -> Firewall {
        Firewall {
            namespace: self.host.namespace.clone(),
            layout: self.profile().iptables_layout(),
            userland_proxy: self.config.userland_proxy,
            drop_direct: self.profile().drops_direct_access() && !self.config.allow_direct_routing,
            forgetful: false,
        }
    }

    /// Runs a look at each of several containers; those that are not found are refused one by one.
    fn each(
        &self,
        names: &[String],
        mut look: impl FnMut(&Container, &mut Outcome) -> Result<(), DockerError>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for text in names {
            let result = self.container(text).and_then(|container| look(container, &mut outcome));
            if let Err(error) = result {
                outcome.refuse(self.client, error);
            }
        }
        outcome
    }

    /// What predefined pools must stay clear of: what the host reaches directly, and its name servers.
    fn reserved(&self, view: &HostView) -> Runs {
        let mut runs = Runs::default();
        for net in view.devices.occupied() {
            // The bridges' own routes are no reason to keep clear: IPAM knows those subnets already.
            if net.prefix_len() > 0 && !self.ipam.holds(net.trunc()) {
                let (first, last) = bounds(&net);
                runs.insert(first, last);
            }
        }
        for server in resolv_conf::StubConfig::parse(&view.resolv_conf).nameservers {
            let (first, last) = bounds(&IpNet::from(server));
            runs.insert(first, last);
        }
        runs
    }

    /// The default bridge, unless there is none.
    fn default_bridge(&self) -> Option<&Network> {
        self.network_names.get("bridge").and_then(|number| self.networks.get(number))
    }
}

/// fd00::/8 with forty random bits, as a unique local address has them (RFC 4193).
fn ula_base(random: u64) -> Option<IpNet> {
    let bits = 0xfd_u128 << 120 | u128::from(random) << 80;
    IpNet::new(IpAddr::V6(bits.into()), 48).ok()
}

/// The place of a family among two.
fn index_of(family: Family) -> usize {
    match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 1,
    }
}

/// How many ids begin with a text, and the number of the last one.
fn by_prefix(ids: &BTreeMap<Id, u32>, text: &str) -> (usize, Option<u32>) {
    if text.is_empty() {
        return (0, None);
    }
    let from = (Bound::Included(text), Bound::Unbounded);
    let matching = ids.range::<str, _>(from).take_while(|(id, _)| id.as_str().starts_with(text));
    matching.fold((0, None), |(count, _), (_, number)| (count + 1, Some(*number)))
}
