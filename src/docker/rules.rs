//! The netfilter rules of Docker's bridge driver, in the chains and in the order of each era.
//!
//! The order is the order of libnetwork's calls: `I` puts a rule at the top of its chain, `A` at the end, so the
//! listing of a chain tells which network came last. Three layouts exist ([`IptablesLayout`]); what they
//! share (NAT, published ports, the resolver's chains) is written once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use linkspan_nat::cidr::Cidr;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::{
    AddressRange, AddressType, AddressTypeSet, CtState, Family, IcmpType, InterfacePattern, Match, NatRange,
    Negatable, PortMatch, Range16, Rule, StateSet, Target, TcpMatch,
};
use linkspan_nat::ruleset::{Hook, Table};

use super::cli::ports::Protocol;
use super::dns::RESOLVER_ADDRESS;
use super::profile::IptablesLayout;
use crate::engine::plan::{NamespaceName, Op, Owner, Plan, Position};

const DOCKER: &str = "DOCKER";
const USER: &str = "DOCKER-USER";
const STAGE_1: &str = "DOCKER-ISOLATION-STAGE-1";
const STAGE_2: &str = "DOCKER-ISOLATION-STAGE-2";
const FORWARD: &str = "DOCKER-FORWARD";
const BRIDGE: &str = "DOCKER-BRIDGE";
const CT: &str = "DOCKER-CT";
const INTERNAL: &str = "DOCKER-INTERNAL";

/// Where rules go and how the daemon is set up.
#[derive(Debug, Clone)]
pub(super) struct Firewall {
    pub(super) namespace: NamespaceName,
    pub(super) layout: IptablesLayout,
    pub(super) userland_proxy: bool,
    /// Packets from elsewhere to a container's own address are dropped unless a port is published.
    pub(super) drop_direct: bool,
    /// Networks are written as 20.10 does after a reload of firewalld: the jump to DOCKER-USER stays where it is, and
    /// nothing keeps networks apart.
    pub(super) forgetful: bool,
}

/// A bridge network as its rules see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct BridgeRules<'a> {
    pub(super) bridge: InterfaceName,
    pub(super) subnet: IpNet,
    pub(super) masquerade: bool,
    /// SNAT to this address in place of masquerading.
    pub(super) source: Option<IpAddr>,
    pub(super) icc: bool,
    pub(super) internal: bool,
    pub(super) mode: GatewayMode,
    /// Interfaces of the host from which containers may be reached by their own addresses.
    pub(super) trusted: &'a [InterfaceName],
}

/// `com.docker.network.bridge.gateway_mode_ipv4` and `_ipv6`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum GatewayMode {
    /// Masquerading and published ports.
    #[default]
    Nat,
    /// As `nat`, without the filter on container ports.
    NatUnprotected,
    /// No translation; published ports are opened on the container's address.
    Routed,
    /// No address on the bridge.
    Isolated,
}

/// One published port.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublishedRules {
    pub(super) protocol: Protocol,
    pub(super) host: SocketAddr,
    pub(super) container: SocketAddr,
}

/// A plan under construction for one owner, family and namespace.
struct Writer<'a> {
    plan: &'a mut Plan,
    namespace: &'a NamespaceName,
    owner: Owner,
    family: Family,
}

impl Writer<'_> {
    fn chain(&mut self, table: Table, chain: impl Into<Arc<str>>) {
        let (namespace, family) = (self.namespace.clone(), self.family);
        self.plan.push(self.owner, Op::AddChain { namespace, family, table, chain: chain.into() });
    }

    fn rule(
        &mut self,
        position: Position,
        table: Table,
        chain: impl Into<Arc<str>>,
        rule: impl Into<Arc<Rule>>,
    ) {
        let (namespace, family) = (self.namespace.clone(), self.family);
        let (chain, rule) = (chain.into(), rule.into());
        self.plan.push(self.owner, Op::AddRule { namespace, family, table, chain, position, rule });
    }

    fn append(&mut self, table: Table, chain: impl Into<Arc<str>>, rule: impl Into<Arc<Rule>>) {
        self.rule(Position::Append, table, chain, rule);
    }

    fn insert(&mut self, table: Table, chain: impl Into<Arc<str>>, rule: impl Into<Arc<Rule>>) {
        self.rule(Position::Insert, table, chain, rule);
    }

    /// Takes a rule out wherever it is and puts it at the top.
    fn raise(&mut self, table: Table, chain: &str, rule: Rule) {
        let (namespace, family) = (self.namespace.clone(), self.family);
        let (chain, rule): (Arc<str>, Arc<Rule>) = (chain.into(), rule.into());
        let removal = Op::RemoveRule { namespace, family, table, chain: chain.clone(), rule: rule.clone() };
        self.plan.push(self.owner, removal);
        self.insert(table, chain, rule);
    }
}

impl Firewall {
    /// The chain that is the user's, where there is none.
    pub(super) fn user_chain(&self, plan: &mut Plan, owner: Owner, family: Family) {
        if !self.has_user_chain(family) {
            return;
        }
        let mut write = Writer { plan, namespace: &self.namespace, owner, family };
        write.chain(Table::Filter, USER);
        self.end_user_chain(plan, owner, family);
    }

    /// Before 27 the user's chain ends with RETURN: a daemon that starts or makes a network appends it where it is missing.
    pub(super) fn end_user_chain(&self, plan: &mut Plan, owner: Owner, family: Family) {
        if self.layout == IptablesLayout::Forward && self.has_user_chain(family) {
            let mut write = Writer { plan, namespace: &self.namespace, owner, family };
            write.rule(Position::AppendMissing, Table::Filter, USER, to(Target::Return));
        }
    }

    /// Before 27 only IPv4 had DOCKER-USER.
    fn has_user_chain(&self, family: Family) -> bool {
        self.layout != IptablesLayout::Forward || family == Family::Ipv4
    }

    /// Whether the jumps of the nat table are written with the first network that needs them, not at the start.
    pub(super) fn nat_jumps_come_with_networks(&self) -> bool {
        self.layout == IptablesLayout::Forward
    }

    /// The daemon's own chains and jumps, at each start.
    pub(super) fn start(&self, plan: &mut Plan, owner: Owner, family: Family) {
        let mut write = Writer { plan, namespace: &self.namespace, owner, family };
        write.chain(Table::Nat, DOCKER);
        let filter: &[&str] = match self.layout {
            IptablesLayout::Forward => &[DOCKER, STAGE_1, STAGE_2],
            IptablesLayout::DockerForward => &[DOCKER, FORWARD, BRIDGE, CT, STAGE_1, STAGE_2],
            IptablesLayout::DockerInternal => &[DOCKER, FORWARD, BRIDGE, CT, INTERNAL],
        };
        for chain in filter {
            write.chain(Table::Filter, *chain);
        }
        match self.layout {
            IptablesLayout::Forward => {
                for chain in [STAGE_1, STAGE_2] {
                    write.append(Table::Filter, chain, to(Target::Return));
                }
            }
            IptablesLayout::DockerForward | IptablesLayout::DockerInternal => {
                let isolation = match self.layout {
                    IptablesLayout::DockerInternal => INTERNAL,
                    _ => STAGE_1,
                };
                for chain in [CT, isolation, BRIDGE] {
                    write.append(Table::Filter, FORWARD, jump(chain));
                }
                write.insert(Table::Filter, "FORWARD", jump(FORWARD));
            }
        }
        if self.has_user_chain(family) {
            write.insert(Table::Filter, "FORWARD", jump(USER));
        }
        if !self.nat_jumps_come_with_networks() {
            self.nat_jumps(plan, owner, family);
        }
    }

    /// What leads to the translations of published ports.
    pub(super) fn nat_jumps(&self, plan: &mut Plan, owner: Owner, family: Family) {
        let mut write = Writer { plan, namespace: &self.namespace, owner, family };
        let local = |rule: Rule| with(rule, local_destination());
        write.append(Table::Nat, "PREROUTING", local(jump(DOCKER)));
        let mut output = local(jump(DOCKER));
        if self.userland_proxy {
            output.destination = Some(Negatable::not(match family {
                Family::Ipv4 => block("127.0.0.0".parse().ok(), 8),
                Family::Ipv6 => block("::1".parse().ok(), 128),
            }));
        }
        write.append(Table::Nat, "OUTPUT", output);
    }

    /// Before 27 the bridge of every network was kept apart in both families, whatever the network's own.
    pub(super) fn isolate(&self, plan: &mut Plan, owner: Owner, family: Family, bridge: InterfaceName) {
        if self.layout != IptablesLayout::Forward || self.forgetful {
            return;
        }
        let mut write = Writer { plan, namespace: &self.namespace, owner, family };
        write.insert(Table::Filter, STAGE_1, leaving(bridge, chain(STAGE_2)));
        write.insert(Table::Filter, STAGE_2, out(to(Target::Drop), bridge));
    }

    /// FORWARD drops what no rule lets through.
    pub(super) fn drop_forward(&self, plan: &mut Plan, owner: Owner, family: Family) {
        let namespace = self.namespace.clone();
        plan.push(
            owner,
            Op::SetPolicy { namespace, family, table: Table::Filter, hook: Hook::Forward, drop: true },
        );
    }

    /// The rules of a network. `daemon` owns the jumps that are moved back to the top.
    pub(super) fn network(&self, plan: &mut Plan, owner: Owner, daemon: Owner, net: &BridgeRules<'_>) {
        let mut write =
            Writer { plan, namespace: &self.namespace, owner, family: family_of(net.subnet.addr()) };
        if net.internal {
            self.internal(&mut write, daemon, net);
            return;
        }
        let b = net.bridge;
        self.network_nat(&mut write, net);
        match self.layout {
            IptablesLayout::Forward => {
                if net.icc {
                    write.insert(Table::Filter, "FORWARD", within(b, Target::Accept));
                } else {
                    write.append(Table::Filter, "FORWARD", within(b, Target::Drop));
                }
                write.insert(Table::Filter, "FORWARD", leaving(b, Target::Accept));
                write.insert(Table::Filter, "FORWARD", out(jump(DOCKER), b));
                write.insert(Table::Filter, "FORWARD", established(b));
                write.owner = daemon;
                self.raise_jumps(&mut write);
                let family = write.family;
                self.isolate(plan, owner, family, b);
            }
            IptablesLayout::DockerForward | IptablesLayout::DockerInternal => {
                let last = match net.mode {
                    GatewayMode::NatUnprotected => Target::Accept,
                    GatewayMode::Nat | GatewayMode::Routed | GatewayMode::Isolated => Target::Drop,
                };
                if net.mode == GatewayMode::Routed {
                    let mut ping = out(to(Target::Accept), b);
                    ping.protocol = Some(Negatable::plain(match write.family {
                        Family::Ipv4 => 1,
                        Family::Ipv6 => 58,
                    }));
                    write.append(Table::Filter, DOCKER, ping);
                }
                write.append(Table::Filter, DOCKER, entering(b, last));
                write.append(Table::Filter, BRIDGE, out(jump(DOCKER), b));
                write.append(Table::Filter, CT, established(b));
                if net.icc {
                    write.append(Table::Filter, FORWARD, into(to(Target::Accept), b));
                } else {
                    write.append(Table::Filter, FORWARD, within(b, Target::Drop));
                    write.append(Table::Filter, FORWARD, leaving(b, Target::Accept));
                }
                if self.layout == IptablesLayout::DockerForward {
                    write.append(Table::Filter, STAGE_1, leaving(b, chain(STAGE_2)));
                    if net.mode == GatewayMode::Routed {
                        write.insert(Table::Filter, STAGE_1, out(to(Target::Return), b));
                        let mut replies = established(b);
                        std::mem::swap(&mut replies.in_interface, &mut replies.out_interface);
                        write.insert(Table::Filter, STAGE_1, replies);
                    }
                    write.insert(Table::Filter, STAGE_2, out(to(Target::Drop), b));
                }
            }
        }
    }

    /// libnetwork keeps its jumps first.
    fn raise_jumps(&self, write: &mut Writer<'_>) {
        write.raise(Table::Filter, "FORWARD", jump(STAGE_1));
        if !self.forgetful && self.has_user_chain(write.family) {
            write.raise(Table::Filter, "FORWARD", jump(USER));
        }
    }

    /// Masquerading, which a routed network does without, and what decides between translation and the userland proxy.
    fn network_nat(&self, write: &mut Writer<'_>, net: &BridgeRules<'_>) {
        let b = net.bridge;
        let target = || match net.source {
            Some(source) => snat(Some(source), None),
            None => Target::Masquerade(NatRange::default()),
        };
        if net.masquerade {
            if net.mode != GatewayMode::Routed {
                let mut rule = not_out(to(target()), b);
                rule.source = Some(Negatable::plain(cidr(net.subnet)));
                write.insert(Table::Nat, "POSTROUTING", rule);
            }
            if self.userland_proxy && self.layout != IptablesLayout::DockerInternal {
                write.insert(Table::Nat, DOCKER, into(to(Target::Return), b));
            }
        }
        if !self.userland_proxy {
            let source = Some(Negatable::plain(AddressTypeSet::default().with(AddressType::Local)));
            write.insert(
                Table::Nat,
                "POSTROUTING",
                with(out(to(target()), b), Match::AddressType { source, destination: None }),
            );
        }
    }

    fn internal(&self, write: &mut Writer<'_>, daemon: Owner, net: &BridgeRules<'_>) {
        let b = net.bridge;
        let (forward, isolation) = match self.layout {
            IptablesLayout::Forward => ("FORWARD", STAGE_1),
            IptablesLayout::DockerForward => (FORWARD, STAGE_1),
            IptablesLayout::DockerInternal => (FORWARD, INTERNAL),
        };
        let mut leaves = into(to(Target::Drop), b);
        leaves.destination = Some(Negatable::not(cidr(net.subnet)));
        let mut enters = out(to(Target::Drop), b);
        enters.source = Some(Negatable::not(cidr(net.subnet)));
        if write.family == Family::Ipv6 && self.layout != IptablesLayout::Forward {
            // Link-local traffic inside the bridge must pass.
            leaves.out_interface = Some(Negatable::not(InterfacePattern::Exact(b)));
            enters.in_interface = Some(Negatable::not(InterfacePattern::Exact(b)));
        }
        write.insert(Table::Filter, isolation, leaves);
        write.insert(Table::Filter, isolation, enters);
        let verdict = if net.icc { Target::Accept } else { Target::Drop };
        if self.layout != IptablesLayout::Forward {
            write.append(Table::Filter, forward, within(b, verdict));
            return;
        }
        let position = if net.icc { Position::Insert } else { Position::Append };
        write.rule(position, Table::Filter, forward, within(b, verdict));
        write.owner = daemon;
        self.raise_jumps(write);
    }

    /// Unpublished ports of an endpoint are out of reach even for those who have a route to the container.
    pub(super) fn endpoint(&self, plan: &mut Plan, owner: Owner, net: &BridgeRules<'_>, container: IpAddr) {
        if !self.drop_direct || net.internal || net.mode != GatewayMode::Nat {
            return;
        }
        let mut write = Writer { plan, namespace: &self.namespace, owner, family: family_of(container) };
        let trusted = net.trusted.iter().map(|interface| into(to(Target::Accept), *interface));
        for mut rule in trusted.chain([not_in(to(Target::Drop), net.bridge)]) {
            rule.destination = Some(Negatable::plain(Cidr::host(container)));
            write.append(Table::Raw, "PREROUTING", rule);
        }
    }

    /// The rules of one published port of the network. `again`: the container's own port is published already, and what
    /// concerns it alone is there.
    pub(super) fn publish(
        &self,
        plan: &mut Plan,
        owner: Owner,
        net: &BridgeRules<'_>,
        port: &PublishedRules,
        again: bool,
    ) {
        let b = net.bridge;
        let (container, host) = (port.container, port.host);
        let mut write = Writer { plan, namespace: &self.namespace, owner, family: family_of(container.ip()) };
        let open = || {
            let mut rule = entering(b, Target::Accept);
            rule.destination = Some(Negatable::plain(Cidr::host(container.ip())));
            to_port(rule, port.protocol, container.port())
        };
        let hairpin = || {
            let mut rule = to(Target::Masquerade(NatRange::default()));
            rule.source = Some(Negatable::plain(Cidr::host(container.ip())));
            rule.destination = Some(Negatable::plain(Cidr::host(container.ip())));
            to_port(rule, port.protocol, container.port())
        };
        if net.mode != GatewayMode::Routed {
            let mut rule = to(dnat(container));
            if !host.ip().is_unspecified() {
                rule.destination = Some(Negatable::plain(Cidr::host(host.ip())));
            }
            if self.userland_proxy {
                rule = not_in(rule, b);
            }
            if host.is_ipv6() && self.layout != IptablesLayout::Forward {
                rule.source = Some(Negatable::not(block("fe80::".parse().ok(), 10)));
            }
            write.append(Table::Nat, DOCKER, to_port(rule, port.protocol, host.port()));
        }
        match self.layout {
            IptablesLayout::Forward if again => {}
            IptablesLayout::Forward => {
                write.append(Table::Filter, DOCKER, open());
                write.append(Table::Nat, "POSTROUTING", hairpin());
            }
            IptablesLayout::DockerForward | IptablesLayout::DockerInternal => {
                if net.mode != GatewayMode::NatUnprotected && !again {
                    write.insert(Table::Filter, DOCKER, open());
                }
                if !again && !self.userland_proxy && net.mode != GatewayMode::Routed {
                    write.append(Table::Nat, "POSTROUTING", hairpin());
                }
                if host.ip().is_loopback() && host.is_ipv4() {
                    let mut rule = to(Target::Drop);
                    if let Ok(lo) = InterfaceName::parse("lo") {
                        rule = not_in(rule, lo);
                    }
                    rule.destination = Some(Negatable::plain(Cidr::host(host.ip())));
                    write.append(Table::Raw, "PREROUTING", to_port(rule, port.protocol, host.port()));
                }
            }
        }
        if port.protocol == Protocol::Sctp && !again && self.layout == IptablesLayout::Forward {
            let mut rule = to(Target::ChecksumFill);
            rule.destination = None;
            let ports = PortMatch { source: Some(single(container.port())), destination: None };
            rule.protocol = Some(Negatable::plain(number(Protocol::Sctp)));
            write.append(Table::Mangle, "POSTROUTING", with(rule, Match::Sctp(ports)));
        }
    }

    /// What a legacy link opens where containers may not talk: one exposed port, both ways.
    pub(super) fn link(
        &self,
        plan: &mut Plan,
        owner: Owner,
        bridge: InterfaceName,
        (parent, child): (IpAddr, IpAddr),
        (protocol, port): (Protocol, u16),
    ) {
        let mut write = Writer { plan, namespace: &self.namespace, owner, family: family_of(child) };
        let rule = |source, destination, ports: PortMatch| {
            let mut rule = within(bridge, Target::Accept);
            rule.source = Some(Negatable::plain(Cidr::host(source)));
            rule.destination = Some(Negatable::plain(Cidr::host(destination)));
            rule.protocol = Some(Negatable::plain(number(protocol)));
            with(rule, ports_match(protocol, ports))
        };
        let there = PortMatch { source: None, destination: Some(single(port)) };
        let back = PortMatch { source: Some(single(port)), destination: None };
        write.append(Table::Filter, DOCKER, rule(parent, child, there));
        write.append(Table::Filter, DOCKER, rule(child, parent, back));
    }
}

/// The chains in a container's namespace that lead port 53 of 127.0.0.11 to the resolver's ports. What is the same in
/// all of them is one value, because there are as many as there are containers.
#[derive(Debug, Clone)]
pub(super) struct ResolverRules {
    output: Arc<str>,
    postrouting: Arc<str>,
    /// The jumps to them.
    from_output: Arc<Rule>,
    from_postrouting: Arc<Rule>,
}

impl ResolverRules {
    pub(super) fn new() -> ResolverRules {
        let jump = |to: &Arc<str>| Arc::new(to_resolver(to_chain(to.clone())));
        let (output, postrouting) = ("DOCKER_OUTPUT".into(), "DOCKER_POSTROUTING".into());
        let (from_output, from_postrouting) = (jump(&output), jump(&postrouting));
        ResolverRules { output, postrouting, from_output, from_postrouting }
    }

    /// The rules for a resolver that listens on these ports.
    pub(super) fn write(&self, plan: &mut Plan, owner: Owner, namespace: &NamespaceName, udp: u16, tcp: u16) {
        let address = IpAddr::V4(RESOLVER_ADDRESS);
        let mut write = Writer { plan, namespace, owner, family: Family::Ipv4 };
        write.chain(Table::Nat, self.output.clone());
        write.chain(Table::Nat, self.postrouting.clone());
        write.insert(Table::Nat, "OUTPUT", self.from_output.clone());
        write.insert(Table::Nat, "POSTROUTING", self.from_postrouting.clone());
        for (protocol, port) in [(Protocol::Tcp, tcp), (Protocol::Udp, udp)] {
            let query = to_resolver(to(dnat(SocketAddr::new(address, port))));
            write.append(Table::Nat, self.output.clone(), to_port(query, protocol, 53));
            let mut reply = to(snat(None, Some(53)));
            reply.source = Some(Negatable::plain(Cidr::host(address)));
            reply.protocol = Some(Negatable::plain(number(protocol)));
            let ports = PortMatch { source: Some(single(port)), destination: None };
            write.append(Table::Nat, self.postrouting.clone(), with(reply, ports_match(protocol, ports)));
        }
    }
}

fn to_resolver(mut rule: Rule) -> Rule {
    rule.destination = Some(Negatable::plain(Cidr::host(IpAddr::V4(RESOLVER_ADDRESS))));
    rule
}

/// The family of an address.
pub(super) fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

fn to(target: Target) -> Rule {
    Rule { target, ..Rule::default() }
}

fn chain(name: &str) -> Target {
    Target::Jump(Arc::from(name))
}

fn jump(name: &str) -> Rule {
    to(chain(name))
}

fn to_chain(name: Arc<str>) -> Rule {
    to(Target::Jump(name))
}

fn into(mut rule: Rule, bridge: InterfaceName) -> Rule {
    rule.in_interface = Some(Negatable::plain(InterfacePattern::Exact(bridge)));
    rule
}

fn not_in(mut rule: Rule, bridge: InterfaceName) -> Rule {
    rule.in_interface = Some(Negatable::not(InterfacePattern::Exact(bridge)));
    rule
}

fn out(mut rule: Rule, bridge: InterfaceName) -> Rule {
    rule.out_interface = Some(Negatable::plain(InterfacePattern::Exact(bridge)));
    rule
}

fn not_out(mut rule: Rule, bridge: InterfaceName) -> Rule {
    rule.out_interface = Some(Negatable::not(InterfacePattern::Exact(bridge)));
    rule
}

/// From the bridge to the same bridge.
fn within(bridge: InterfaceName, target: Target) -> Rule {
    into(out(to(target), bridge), bridge)
}

/// From the bridge to elsewhere.
fn leaving(bridge: InterfaceName, target: Target) -> Rule {
    into(not_out(to(target), bridge), bridge)
}

/// From elsewhere to the bridge.
fn entering(bridge: InterfaceName, target: Target) -> Rule {
    not_in(out(to(target), bridge), bridge)
}

fn established(bridge: InterfaceName) -> Rule {
    let states = StateSet::of(CtState::Related).union(StateSet::of(CtState::Established));
    with(out(to(Target::Accept), bridge), Match::states(states))
}

fn with(mut rule: Rule, condition: Match) -> Rule {
    // Most rules have no other.
    rule.matches.reserve_exact(1);
    rule.matches.push(condition);
    rule
}

fn local_destination() -> Match {
    let destination = Some(Negatable::plain(AddressTypeSet::default().with(AddressType::Local)));
    Match::AddressType { source: None, destination }
}

fn to_port(mut rule: Rule, protocol: Protocol, port: u16) -> Rule {
    rule.protocol = Some(Negatable::plain(number(protocol)));
    with(rule, ports_match(protocol, PortMatch { source: None, destination: Some(single(port)) }))
}

fn ports_match(protocol: Protocol, ports: PortMatch) -> Match {
    match protocol {
        Protocol::Tcp => Match::Tcp(TcpMatch { ports, flags: None }),
        Protocol::Udp => Match::Udp(ports),
        Protocol::Sctp => Match::Sctp(ports),
        Protocol::Icmp => Match::Icmp(Negatable::plain(IcmpType::Any)),
    }
}

fn single(port: u16) -> Negatable<Range16> {
    Negatable::plain(Range16::single(port))
}

/// The IANA protocol number.
fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
        Protocol::Icmp => 1,
    }
}

fn dnat(destination: SocketAddr) -> Target {
    let addresses = Some(AddressRange { first: destination.ip(), last: destination.ip() });
    let ports = Some(Range16::single(destination.port()));
    Target::Dnat(NatRange { addresses, ports, ..NatRange::default() })
}

fn snat(source: Option<IpAddr>, port: Option<u16>) -> Target {
    let addresses = source.map(|address| AddressRange { first: address, last: address });
    Target::Snat(NatRange { addresses, ports: port.map(Range16::single), ..NatRange::default() })
}

fn cidr(net: IpNet) -> Cidr {
    block(Some(net.network()), net.prefix_len())
}

/// A block that is known to be valid; the unspecified address stands for one that is not.
fn block(address: Option<IpAddr>, prefix: u8) -> Cidr {
    let address = address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
    Cidr::new(address, prefix).unwrap_or_else(|_| Cidr::host(address))
}
