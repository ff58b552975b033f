//! Name resolution of a container: its generated files, its embedded resolver and the way of a query through it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::Daemon;
use crate::docker::container::SandboxKind;
use crate::docker::dns::{Action, ExchangeId, Incoming, RESOLVER_ADDRESS, Resolver};
use crate::docker::endpoint::in_gateway_order;
use crate::docker::error::DockerError;
use crate::docker::hosts_file::{self, HostsRecord};
use crate::docker::names::{NetworkKey, Sandbox, SandboxEndpoint};
use crate::docker::outcome::{ContainerFile, FileChange, HostView, Outcome, ResolverChange};
use crate::docker::profile::ResolvConfFormat;
use crate::docker::request::{ExtraHostAddress, NetworkMode};
use crate::docker::resolv_conf::{self, Generated, HostFile, Overrides, Placement, ResolvConfStyle};
use crate::engine::id::ServiceId;
use crate::engine::plan::{Op, Owner, Transport};

/// The first port drawn for a resolver and how many there are (Linux's ephemeral range).
const RESOLVER_PORTS: (u16, u64) = (32768, 28232);

/// A container's resolver and what it knows.
#[derive(Debug)]
pub(super) struct ResolverState {
    resolver: Resolver,
    sandbox: Sandbox,
}

impl Daemon {
    /// A query that reached a container's resolver. `random(n)` gives a number below `n`.
    pub fn dns_query(
        &mut self,
        now: Duration,
        service: ServiceId,
        incoming: Incoming<'_>,
        random: &mut dyn FnMut(u32) -> u32,
    ) -> Vec<Action> {
        let Some(state) = self.resolvers.get_mut(&number_of(service)) else { return Vec::new() };
        if !self.running {
            return Vec::new();
        }
        let actions = state.resolver.query(now, incoming, &self.names, &state.sandbox, random);
        self.note_waiting(service);
        actions
    }

    /// An outside server's answer.
    pub fn dns_reply(
        &mut self,
        now: Duration,
        service: ServiceId,
        exchange: ExchangeId,
        bytes: &[u8],
    ) -> Vec<Action> {
        let Some(state) = self.resolvers.get_mut(&number_of(service)) else { return Vec::new() };
        let actions = state.resolver.upstream_reply(now, exchange, bytes, &mut self.names, &state.sandbox);
        self.note_waiting(service);
        actions
    }

    /// An outside server cannot be reached or closed the connection.
    pub fn dns_error(&mut self, now: Duration, service: ServiceId, exchange: ExchangeId) -> Vec<Action> {
        let Some(state) = self.resolvers.get_mut(&number_of(service)) else { return Vec::new() };
        let actions = state.resolver.upstream_error(now, exchange);
        self.note_waiting(service);
        actions
    }

    /// A TCP connection to an outside server stands.
    pub fn dns_connected(&mut self, now: Duration, service: ServiceId, exchange: ExchangeId) {
        if let Some(state) = self.resolvers.get_mut(&number_of(service)) {
            state.resolver.upstream_connected(now, exchange);
        }
        self.note_waiting(service);
    }

    /// Keeps `waiting_resolvers` true after something happened to a resolver.
    fn note_waiting(&mut self, service: ServiceId) {
        let number = number_of(service);
        let waits = self.resolvers.get(&number).is_some_and(|state| state.resolver.deadline().is_some());
        if waits {
            self.waiting_resolvers.insert(number);
        } else {
            self.waiting_resolvers.remove(&number);
        }
    }

    /// When [`Daemon::dns_advance`] must be called next.
    pub fn dns_deadline(&self) -> Option<Duration> {
        let waiting = self.waiting_resolvers.iter().filter_map(|number| self.resolvers.get(number));
        waiting.filter_map(|state| state.resolver.deadline()).min()
    }

    /// Runs the resolvers' timers.
    pub fn dns_advance(&mut self, now: Duration) -> Vec<(ServiceId, Action)> {
        let mut actions = Vec::new();
        for number in self.waiting_resolvers.clone() {
            let Some(state) = self.resolvers.get_mut(&number) else { continue };
            if state.resolver.deadline().is_some_and(|deadline| deadline <= now) {
                let service = ServiceId::new(number);
                actions.extend(state.resolver.advance(now).into_iter().map(|action| (service, action)));
                self.note_waiting(service);
            }
        }
        actions
    }

    /// Writes all files of a container that starts.
    pub(super) fn write_files(
        &mut self,
        number: u32,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let style = self.profile().hosts_style();
        let extra = self.extra_hosts(number)?;
        let shared = match self.shared_target(container)? {
            Some(target) => self.containers.get(&target),
            None => None,
        };
        let (hosts, resolv_conf) = match (&container.made_from.config.network_mode, shared) {
            (_, Some(target)) => (target.hosts.clone(), target.resolv_conf.clone()),
            (NetworkMode::Host, None) => (
                hosts_file::build_for_host_network(&view.hosts, style, &extra).into(),
                self.resolv_conf(number, view).text.into(),
            ),
            (_, None) => {
                let mut hosts = hosts_file::build(style, &extra);
                for position in 0..container.endpoints.len() {
                    hosts_file::add(&mut hosts, &self.own_hosts(number, position));
                }
                (hosts.into(), self.resolv_conf(number, view).text.into())
            }
        };
        let hostname = match (&container.made_from.config.network_mode, shared) {
            (_, Some(target)) => target.hostname.clone(),
            (NetworkMode::Host, None) if container.made_from.config.hostname.is_none() => {
                self.host.hostname.clone()
            }
            _ => container.hostname.clone(),
        };
        let id = container.id.clone();
        // Most containers of a daemon have the same one.
        let resolv_conf = share(&mut self.last_resolv_conf, resolv_conf);
        for (file, text) in [
            (ContainerFile::Hosts, hosts.clone()),
            (ContainerFile::ResolvConf, resolv_conf.clone()),
            (ContainerFile::Hostname, format!("{hostname}\n").into()),
        ] {
            outcome.files.push(FileChange { container: id.clone(), file, text });
        }
        if let Some(container) = self.containers.get_mut(&number) {
            container.hosts = hosts;
            container.resolv_conf = resolv_conf;
        }
        Ok(())
    }

    fn extra_hosts(&self, number: u32) -> Result<Vec<HostsRecord>, DockerError> {
        let Some(container) = self.containers.get(&number) else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        for extra in &container.made_from.config.extra_hosts {
            let addresses = match extra.address {
                ExtraHostAddress::Ip(address) => vec![address],
                ExtraHostAddress::HostGateway => self.host_gateways(),
            };
            if addresses.is_empty() {
                return Err(DockerError::system("unable to derive the IP value for host-gateway"));
            }
            records.extend(addresses.into_iter().map(|address| HostsRecord::extra(&extra.name, address)));
        }
        for (alias, target) in self.legacy_links(number) {
            let endpoint = target.endpoints.iter().find_map(|endpoint| endpoint.active.as_ref());
            if let Some(address) = endpoint.and_then(|active| active.ipv4) {
                records.push(HostsRecord::link(alias, &target.hostname, &target.name, address.addr()));
            }
        }
        Ok(records)
    }

    fn host_gateways(&self) -> Vec<IpAddr> {
        if !self.config.host_gateway_ips.is_empty() {
            return self.config.host_gateway_ips.clone();
        }
        let both = self.profile().host_gateway_of_both_families();
        let subnets = self.default_bridge().into_iter().flat_map(|network| &network.subnets);
        subnets.filter_map(|subnet| subnet.gateway).filter(|gateway| both || gateway.is_ipv4()).collect()
    }

    fn own_hosts(&self, number: u32, position: usize) -> Vec<HostsRecord> {
        let Some(container) = self.containers.get(&number) else { return Vec::new() };
        let active = container.endpoints.get(position).and_then(|endpoint| endpoint.active.as_ref());
        let domainname = container.made_from.config.domainname.as_deref().unwrap_or_default();
        let record = |address| HostsRecord::own(&container.hostname, domainname, address);
        active.into_iter().flat_map(|active| active.addresses()).map(|net| record(net.addr())).collect()
    }

    pub(super) fn add_own_hosts(&mut self, number: u32, position: usize, outcome: &mut Outcome) {
        let records = self.own_hosts(number, position);
        self.change_hosts(number, outcome, |text| hosts_file::add(text, &records));
    }

    pub(super) fn remove_own_hosts(&mut self, number: u32, position: usize, outcome: &mut Outcome) {
        let records = self.own_hosts(number, position);
        self.change_hosts(number, outcome, |text| hosts_file::remove(text, &records));
    }

    pub(super) fn change_hosts(
        &mut self,
        number: u32,
        outcome: &mut Outcome,
        change: impl FnOnce(&mut String),
    ) {
        let Some(container) = self.containers.get_mut(&number) else { return };
        let mut hosts = container.hosts.to_string();
        change(&mut hosts);
        if *container.hosts != *hosts {
            container.hosts = hosts.into();
            let text = container.hosts.clone();
            self.write_file(number, ContainerFile::Hosts, text, outcome);
        }
    }

    /// Writes a file of a container, which those that share its namespace have too.
    fn write_file(&self, number: u32, file: ContainerFile, text: Arc<str>, outcome: &mut Outcome) {
        let sandbox = self.containers.get(&number).and_then(|container| container.sandbox.as_ref());
        let own = sandbox.filter(|sandbox| sandbox.kind == SandboxKind::Own);
        let users = own.into_iter().flat_map(|sandbox| self.sandbox_users(sandbox.number));
        let sharing = users.filter(|user| *user != number);
        for user in std::iter::once(number).chain(sharing) {
            if let Some(container) = self.containers.get(&user) {
                let container = container.id.clone();
                outcome.files.push(FileChange { container, file, text: text.clone() });
            }
        }
    }

    fn resolv_conf(&self, number: u32, view: &HostView) -> Generated {
        let (Some(container), config) = (self.containers.get(&number), &self.config) else {
            return Generated { text: String::new(), servers: Vec::new(), ndots_set: false };
        };
        let asked = &container.made_from.config;
        let pick = |own: &Vec<String>, daemon: &Vec<String>| {
            if own.is_empty() { daemon.clone() } else { own.clone() }
        };
        let overrides = Overrides {
            servers: if asked.dns.is_empty() { config.dns.clone() } else { asked.dns.clone() },
            search: pick(&asked.dns_search, &config.dns_search),
            options: pick(&asked.dns_options, &config.dns_opts),
        };
        let up = || container.endpoints.iter().filter(|endpoint| endpoint.active.is_some());
        let user = up().any(|endpoint| self.is_user_network(endpoint.network_number));
        let ipv6 = up().any(|e| e.active.as_ref().is_some_and(|active| active.ipv6.is_some()));
        let placement = match &asked.network_mode {
            NetworkMode::Host => Placement::Host,
            _ if user || container.resolver.is_some() => Placement::UserDefined { ipv6 },
            NetworkMode::None if self.profile().resolv_conf_format() == ResolvConfFormat::Bare => {
                Placement::None
            }
            // The default bridge that the daemon was told not to have.
            _ if container.endpoints.iter().all(|endpoint| endpoint.network_number.is_none()) => {
                Placement::None
            }
            _ => Placement::DefaultBridge { ipv6 },
        };
        let style = match self.profile().resolv_conf_format() {
            ResolvConfFormat::Bare => ResolvConfStyle::Docker20_10,
            ResolvConfFormat::Commented => ResolvConfStyle::Docker28,
        };
        let host = HostFile { path: resolv_conf::host_file_path(&view.resolv_conf), text: &view.resolv_conf };
        resolv_conf::generate(style, host, &overrides, placement)
    }

    fn is_user_network(&self, number: Option<u32>) -> bool {
        number.and_then(|number| self.networks.get(&number)).is_some_and(|network| network.is_user_defined())
    }

    /// Starts the embedded resolver when the container has its first user-defined network, and keeps its view of the
    /// networks up to date.
    pub(super) fn update_resolver(&mut self, number: u32, view: &HostView, outcome: &mut Outcome) {
        let Some(container) = self.containers.get(&number) else { return };
        let Some(sandbox) = container.sandbox.clone().filter(|sandbox| sandbox.kind == SandboxKind::Own)
        else {
            return;
        };
        let user = container
            .endpoints
            .iter()
            .any(|endpoint| endpoint.active.is_some() && self.is_user_network(endpoint.network_number));
        let first = container.resolver.is_none();
        if !user && first {
            return;
        }
        if first {
            let mut port =
                || RESOLVER_PORTS.0 + u16::try_from(self.source.below(RESOLVER_PORTS.1)).unwrap_or(0);
            let (udp, tcp) = (port(), port());
            // A container that shares the namespace keeps it, and the rules in it, but not the server.
            let own = Owner::Resolver(sandbox.number);
            let service = ServiceId::new(number);
            for (transport, port) in [(Transport::Udp, udp), (Transport::Tcp, tcp)] {
                let address = SocketAddr::new(IpAddr::V4(RESOLVER_ADDRESS), port);
                let namespace = sandbox.namespace.clone();
                outcome.plan.push(own, Op::Listen { namespace, address, transport, service });
            }
            let owner = Owner::Sandbox(sandbox.number);
            self.resolver_rules.write(&mut outcome.plan, owner, &sandbox.namespace, udp, tcp);
            let namespace = sandbox.namespace.clone();
            outcome.resolvers.push(ResolverChange::Started { service, namespace });
            if let Some(container) = self.containers.get_mut(&number) {
                container.resolver = Some(own);
            }
            let policy = self.profile().resolver_policy();
            let Generated { text, mut servers, ndots_set } = self.resolv_conf(number, view);
            servers.shrink_to_fit();
            let state = ResolverState {
                resolver: Resolver::new(policy),
                sandbox: Sandbox { servers, ndots_set, ..Sandbox::default() },
            };
            self.resolvers.insert(number, Box::new(state));
            if let Some(container) = self.containers.get_mut(&number)
                && *container.resolv_conf != *text
            {
                let text = share(&mut self.last_resolv_conf, text.into());
                container.resolv_conf = text.clone();
                self.write_file(number, ContainerFile::ResolvConf, text, outcome);
            }
        }
        self.refresh_sandbox(number);
    }

    fn refresh_sandbox(&mut self, number: u32) {
        let Some(container) = self.containers.get(&number) else { return };
        let mut endpoints: Vec<SandboxEndpoint> = in_gateway_order(self.profile(), &container.endpoints)
            .into_iter()
            .filter(|endpoint| self.is_user_network(endpoint.network_number))
            .filter_map(|endpoint| {
                let link_aliases: BTreeMap<String, String> = endpoint
                    .config
                    .links
                    .iter()
                    .map(|link| (link.alias.clone(), self.link_target(&link.container)))
                    .collect();
                let network = NetworkKey(endpoint.network_id.as_ref()?.shared());
                Some(SandboxEndpoint { network, link_aliases })
            })
            .collect();
        endpoints.shrink_to_fit();
        let outside = container.endpoints.iter().filter_map(|endpoint| endpoint.active.as_ref());
        let external_access = outside.into_iter().any(|active| !active.internal);
        if let Some(state) = self.resolvers.get_mut(&number) {
            state.sandbox.endpoints = endpoints;
            state.sandbox.external_access = external_access;
        }
    }

    /// The name under which a link's target is registered; it may not exist yet.
    fn link_target(&self, text: &str) -> String {
        self.container(text).map_or_else(|_| text.to_owned(), |container| container.name.clone())
    }
}

/// The same text as the last one, if it is, so that there is one copy of it.
fn share(last: &mut Arc<str>, text: Arc<str>) -> Arc<str> {
    if *last != text {
        *last = text;
    }
    last.clone()
}

/// Services are numbered as their containers are.
fn number_of(service: ServiceId) -> u32 {
    u32::try_from(service.index()).unwrap_or(u32::MAX)
}
