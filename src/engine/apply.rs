//! Plans: applied all or nothing, undone by owner in reverse.
//!
//! Every applied operation leaves an [`Undo`] with its owner. Removing an owner runs its undos newest first; what is
//! already gone is skipped. When an operation of a plan fails, those before it are undone, and owners that the plan
//! had removed are put back by applying their operations again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use linkspan_nat::conntrack::ConnectionOwner;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::{Hook, Policy, RuleId, RuleOwner, RulesetError, Table};
use linkspan_switch::bridge::{Bridge, BridgeConfig, BridgeError, PortConfig};
use linkspan_switch::mac::MacAddress;

use super::Engine;
use super::child::{ParentError, Upper};
use super::device::{BridgeDevice, Device, Kind};
use super::errno::Errno;
use super::event::EventKind;
use super::id::{DeviceId, LinkId, NamespaceId, SocketId};
use super::link::{Direction, Link};
use super::namespace::Namespace;
use super::plan::{
    DeviceName, DeviceSpec, LinkQuality, NamespaceName, NextHop, Op, Owner, Plan, Position, Sysctl,
};
use super::route::{Route, is_loopback};
use super::view::Counters;

/// Smallest MTU of an IPv4 device (RFC 791).
const SMALLEST_MTU: u32 = 68;
/// MTU of Ethernet (RFC 894); a bridge made with another one keeps it.
const ETHERNET_MTU: u32 = 1_500;
/// Largest MTU: what an IP packet's length field can say.
const LARGEST_MTU: u32 = 65_535;

/// Why a plan was not applied. Nothing of it remains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A namespace of that name exists.
    #[error("namespace {0} exists already; remove it or choose another name")]
    NamespaceExists(NamespaceName),
    /// There is no namespace of that name.
    #[error("there is no namespace {0}; add it before using it")]
    NoNamespace(NamespaceName),
    /// A device of that name exists.
    #[error("device {0} exists already; remove it or choose another name")]
    DeviceExists(DeviceName),
    /// There is no device of that name.
    #[error("there is no device {0}; add it before using it")]
    NoDevice(DeviceName),
    /// The device is not of the kind the operation needs.
    #[error("device {device} is not {expected}")]
    WrongKind {
        /// The device.
        device: DeviceName,
        /// What was expected.
        expected: &'static str,
    },
    /// The device has a master or a wire already.
    #[error("device {0} is attached already; detach it first")]
    Attached(DeviceName),
    /// The MTU cannot be.
    #[error("MTU {found} of {device} is impossible; expected {SMALLEST_MTU} to {LARGEST_MTU}")]
    Mtu {
        /// The device.
        device: DeviceName,
        /// What was asked for.
        found: u32,
    },
    /// The bridge takes no further port.
    #[error("{bridge} takes no further port: {reason}")]
    Bridge {
        /// The bridge.
        bridge: DeviceName,
        /// Why.
        reason: BridgeError,
    },
    /// The device takes no further one on top.
    #[error("nothing more can stand on {parent}: {reason}")]
    Parent {
        /// The device.
        parent: DeviceName,
        /// Why.
        reason: ParentError,
    },
    /// The device has the address.
    #[error("{device} has {address} already")]
    AddressExists {
        /// The device.
        device: DeviceName,
        /// The address.
        address: IpNet,
    },
    /// An equal route exists.
    #[error("a route to {destination} exists already in {namespace}")]
    RouteExists {
        /// The namespace.
        namespace: NamespaceName,
        /// The destination.
        destination: IpNet,
    },
    /// No device reaches the gateway.
    #[error("gateway {gateway} of the route to {destination} is on no network of {namespace}")]
    GatewayUnreachable {
        /// The namespace.
        namespace: NamespaceName,
        /// The gateway.
        gateway: IpAddr,
        /// The destination.
        destination: IpNet,
    },
    /// The packet filter refused.
    #[error("packet filter of {namespace}: {reason}")]
    Rules {
        /// The namespace.
        namespace: NamespaceName,
        /// Why.
        reason: RulesetError,
    },
    /// The service's socket could not be opened.
    #[error("cannot listen on {address} in {namespace}: {reason}")]
    Listen {
        /// The namespace.
        namespace: NamespaceName,
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        reason: Errno,
    },
}

/// An operation that was applied and how to take it back.
pub(crate) struct Applied {
    op: Op,
    undo: Undo,
}

/// What a device that is down cannot have.
#[derive(Debug, Default)]
pub(super) struct Reach {
    addresses: Vec<IpNet>,
    routes: Vec<Route>,
}

/// How to take an operation back.
pub(super) enum Undo {
    Namespace(NamespaceId),
    Device(DeviceId),
    Link(LinkId),
    Master(DeviceId),
    Up(DeviceId),
    Down(DeviceId, Reach),
    Address(DeviceId, IpNet),
    Route(NamespaceId, Route),
    Neighbour(NamespaceId, DeviceId, IpAddr),
    Announcement(DeviceId, IpAddr),
    Sysctl(NamespaceId, Sysctl),
    Chain(NamespaceId, Family, Table, String),
    Rule(NamespaceId, Family, RuleId),
    Policy(NamespaceId, Family, Table, Hook, Policy),
    Socket(SocketId),
    Quality(LinkId, usize, Box<LinkQuality>),
    Nothing,
}

impl Engine {
    /// Applies a plan, all or nothing. Only between drains.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        self.epoch += 1;
        let mut done: Vec<Step> = Vec::new();
        let mut counts: BTreeMap<Owner, usize> = BTreeMap::new();
        for entry in &plan.entries {
            if entry.op == Op::RemoveOwner {
                done.push(Step::Removed(entry.owner, self.remove_owner(entry.owner)));
                continue;
            }
            match self.apply_op(&entry.op, entry.owner) {
                Ok(undo) => {
                    *counts.entry(entry.owner).or_default() += 1;
                    self.owners.entry(entry.owner).or_default().push(Applied { op: entry.op.clone(), undo });
                    done.push(Step::Applied(entry.owner));
                }
                Err(error) => {
                    self.roll_back(done);
                    return Err(error);
                }
            }
        }
        for (owner, operations) in counts {
            // Most owners get no more.
            self.owners.entry(owner).and_modify(Vec::shrink_to_fit);
            self.event(linkspan_switch::frame::TraceId(0), |_| EventKind::Applied { owner, operations });
        }
        Ok(())
    }

    /// Owners that have something, and how many operations.
    pub fn owned(&self) -> BTreeMap<Owner, usize> {
        self.owners
            .iter()
            .filter(|(_, ops)| !ops.is_empty())
            .map(|(owner, ops)| (*owner, ops.len()))
            .collect()
    }

    fn roll_back(&mut self, done: Vec<Step>) {
        for step in done.into_iter().rev() {
            match step {
                Step::Applied(owner) => {
                    if let Some(applied) = self.owners.get_mut(&owner).and_then(Vec::pop) {
                        self.undo(applied.undo);
                    }
                }
                Step::Removed(owner, ops) => {
                    for op in ops {
                        // It was applied before; if the world changed since, what cannot come back stays away.
                        if let Ok(undo) = self.apply_op(&op, owner) {
                            self.owners.entry(owner).or_default().push(Applied { op, undo });
                        }
                    }
                }
            }
        }
        self.owners.retain(|_, ops| !ops.is_empty());
    }

    /// Undoes what an owner has; returns its operations in the order they were applied.
    fn remove_owner(&mut self, owner: Owner) -> Vec<Op> {
        let applied = self.owners.remove(&owner).unwrap_or_default();
        let mut ops = Vec::with_capacity(applied.len());
        for Applied { op, undo } in applied.into_iter().rev() {
            self.undo(undo);
            ops.push(op);
        }
        ops.reverse();
        let mut connections = 0;
        for space in self.namespaces.iter_mut().flatten() {
            connections += space.netfilter.flush_owner(connection_owner(owner));
        }
        self.event(linkspan_switch::frame::TraceId(0), |_| EventKind::Undone { owner, connections });
        ops
    }

    pub(super) fn apply_op(&mut self, op: &Op, owner: Owner) -> Result<Undo, ApplyError> {
        match op {
            Op::AddNamespace { namespace, disable_ipv6 } => self.add_namespace(namespace, *disable_ipv6),
            Op::AddDevice { device, spec, mac, mtu } => self.add_device(device, spec, *mac, *mtu),
            Op::Connect { a, b, quality } => self.connect(a, b, **quality),
            Op::SetMac { device, mac } => self.set_mac(device, *mac),
            Op::SetMaster { device, bridge, hairpin, isolated } => {
                self.set_master(device, *bridge, *hairpin, *isolated)
            }
            Op::SetUp { device } => self.set_up(device, true),
            Op::SetDown { device } => self.set_up(device, false),
            Op::AddAddress { device, address } => {
                let id = self.find_device(device)?;
                if self.devices[id.index()].as_ref().is_some_and(|d| d.has_address(address.addr())) {
                    return Err(ApplyError::AddressExists { device: device.clone(), address: *address });
                }
                self.add_address(id, *address);
                Ok(Undo::Address(id, *address))
            }
            Op::RemoveAddress { device, address } => {
                let id = self.find_device(device)?;
                self.remove_address(id, *address);
                Ok(Undo::Nothing)
            }
            Op::AddRoute { namespace, destination, next_hop, device, source, metric } => {
                self.add_route(namespace, *destination, *next_hop, *device, *source, *metric)
            }
            Op::AddNeighbour { device, address, mac } => {
                let id = self.find_device(device)?;
                let namespace = self.find_namespace(&device.namespace)?;
                let waiting = match &mut self.namespaces[namespace.index()] {
                    Some(space) => space.neighbours.set_permanent(id, *address, *mac),
                    None => Default::default(),
                };
                for frame in waiting {
                    self.send_with_mac(id, *mac, frame);
                }
                Ok(Undo::Neighbour(namespace, id, *address))
            }
            Op::Announce { device, address, messages, interval } => {
                let id = self.find_device(device)?;
                self.announce(id, *address, *messages, *interval);
                Ok(Undo::Announcement(id, *address))
            }
            Op::SetSysctl { namespace, sysctl } => {
                let id = self.find_namespace(namespace)?;
                let before = self.set_sysctl(id, namespace, sysctl)?;
                Ok(Undo::Sysctl(id, before))
            }
            Op::AddChain { namespace, family, table, chain } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                let rules = space.netfilter.rules_mut(*family);
                rules.new_chain(*table, chain).map_err(|reason| rules_error(namespace, reason))?;
                Ok(Undo::Chain(id, *family, *table, chain.clone()))
            }
            Op::AddRule { namespace, family, table, chain, position, rule } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                let rules = space.netfilter.rules_mut(*family);
                let owner = Some(RuleOwner(connection_owner(owner).0));
                let added = match position {
                    Position::Append => rules.append(*table, chain, rule.as_ref().clone(), owner),
                    Position::Insert => rules.insert(*table, chain, 1, rule.as_ref().clone(), owner),
                };
                let rule = added.map_err(|reason| rules_error(namespace, reason))?;
                Ok(Undo::Rule(id, *family, rule))
            }
            Op::RemoveRule { namespace, family, table, chain, rule } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                // Absent is no error: the rule is about to be put elsewhere.
                let _ = space.netfilter.rules_mut(*family).delete_rule(*table, chain, rule);
                Ok(Undo::Nothing)
            }
            Op::SetPolicy { namespace, family, table, hook, drop } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                let rules = space.netfilter.rules_mut(*family);
                let chain = hook.chain_name();
                let before = rules.chain(*table, chain).map_or(Policy::Accept, |c| c.policy());
                let policy = if *drop { Policy::Drop } else { Policy::Accept };
                rules.set_policy(*table, chain, policy).map_err(|reason| rules_error(namespace, reason))?;
                Ok(Undo::Policy(id, *family, *table, *hook, before))
            }
            Op::Listen { namespace, address, transport, service } => {
                let id = self.find_namespace(namespace)?;
                let failed =
                    |reason| ApplyError::Listen { namespace: namespace.clone(), address: *address, reason };
                if address.port() == 0 {
                    return Err(failed(Errno::InvalidArgument));
                }
                let socket = self.service_listen(id, *address, *transport, *service).map_err(failed)?;
                Ok(Undo::Socket(socket))
            }
            Op::SetLink { device, quality } => {
                const WIRED: &str = "a NIC with a wire, or a veth";
                let id = self.find_device(device)?;
                let (link, end) = match self.devices[id.index()].as_ref().map(|d| &d.kind) {
                    Some(
                        Kind::Nic { link: Some((link, end)) } | Kind::Veth { link: Some((link, end)), .. },
                    ) => (*link, *end),
                    Some(Kind::Veth { peer, link: None }) => (self.wire_veth([id, *peer]), 0),
                    _ => return Err(wrong_kind(device, WIRED)),
                };
                let Some(Some(wire)) = self.links.get_mut(link.index()) else {
                    return Err(wrong_kind(device, WIRED));
                };
                let before = wire.directions[end].quality;
                wire.directions[end].quality = *quality;
                Ok(Undo::Quality(link, end, Box::new(before)))
            }
            Op::RemoveOwner => Ok(Undo::Nothing),
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Namespace(id) => self.remove_namespace(id),
            Undo::Device(id) => self.remove_device(id),
            Undo::Link(id) => self.remove_link(id),
            Undo::Master(id) => self.clear_master(id),
            Undo::Up(id) => self.bring(id, false),
            Undo::Down(id, reach) => {
                self.bring(id, true);
                self.restore(id, reach);
            }
            Undo::Address(id, address) => self.remove_address(id, address),
            Undo::Route(namespace, route) => {
                if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
                    space.routes.remove(&route);
                }
            }
            Undo::Neighbour(namespace, device, address) => {
                if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
                    space.neighbours.remove(device, address);
                }
            }
            Undo::Announcement(device, address) => self.end_announcement(device, address),
            Undo::Sysctl(namespace, before) => {
                let name = self.namespace_name(namespace).cloned();
                if let Some(name) = name {
                    // The device may be gone, and its setting with it.
                    let _ = self.set_sysctl(namespace, &name, &before);
                }
            }
            Undo::Chain(namespace, family, table, chain) => {
                if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
                    let rules = space.netfilter.rules_mut(family);
                    // A user's own rules in the chain go with it, as libnetwork flushes before it deletes.
                    let _ = rules.flush(table, Some(&chain));
                    let _ = rules.delete_chain(table, Some(&chain));
                }
            }
            Undo::Rule(namespace, family, rule) => {
                if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
                    space.netfilter.rules_mut(family).delete_id(rule);
                }
            }
            Undo::Policy(namespace, family, table, hook, before) => {
                if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
                    let _ = space.netfilter.rules_mut(family).set_policy(table, hook.chain_name(), before);
                }
            }
            Undo::Socket(id) => self.close(id),
            Undo::Quality(link, end, before) => {
                if let Some(Some(wire)) = self.links.get_mut(link.index()) {
                    wire.directions[end].quality = *before;
                }
            }
            Undo::Nothing => {}
        }
    }

    fn find_namespace(&self, name: &NamespaceName) -> Result<NamespaceId, ApplyError> {
        self.namespace(name).ok_or_else(|| ApplyError::NoNamespace(name.clone()))
    }

    pub(super) fn find_device(&self, name: &DeviceName) -> Result<DeviceId, ApplyError> {
        self.device(name).ok_or_else(|| ApplyError::NoDevice(name.clone()))
    }

    fn space(&mut self, id: NamespaceId, name: &NamespaceName) -> Result<&mut Namespace, ApplyError> {
        match self.namespaces.get_mut(id.index()) {
            Some(Some(space)) => Ok(space),
            _ => Err(ApplyError::NoNamespace(name.clone())),
        }
    }

    fn add_namespace(&mut self, name: &NamespaceName, disable_ipv6: bool) -> Result<Undo, ApplyError> {
        if self.names.contains_key(name) {
            return Err(ApplyError::NamespaceExists(name.clone()));
        }
        let id = NamespaceId(self.namespaces.len() as u32);
        let loopback = DeviceId(self.devices.len() as u32);
        let Ok(lo) = InterfaceName::parse("lo") else {
            return Err(ApplyError::NamespaceExists(name.clone()));
        };
        // Every namespace has its own lo with index 1.
        self.next_interface = self.next_interface.max(1);
        let device = Device {
            namespace: id,
            name: lo,
            index: 1,
            mac: MacAddress::ZERO,
            mtu: 65_536,
            up: true,
            kind: Kind::Loopback,
            master: None,
            uppers: None,
            addresses: Vec::new(),
            route_localnet: false,
            ipv6_disabled: disable_ipv6,
            counters: Counters::default(),
        };
        self.devices.push(Some(device));
        let mut space = Namespace::new(name.clone(), loopback, disable_ipv6, self.seed);
        space.by_name.insert(lo, loopback);
        self.namespaces.push(Some(space));
        self.names.insert(name.clone(), id);
        self.add_address(loopback, IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::LOCALHOST, 8)));
        if !disable_ipv6 {
            self.add_address(loopback, IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128)));
        }
        Ok(Undo::Namespace(id))
    }

    fn remove_namespace(&mut self, id: NamespaceId) {
        let Some(Some(space)) = self.namespaces.get(id.index()) else { return };
        for device in space.devices.clone().into_iter().rev() {
            self.remove_device(device);
        }
        for socket in self.sockets.of(id) {
            self.close(socket);
        }
        self.tcp.abort_scope(crate::tcp::Scope(id.0));
        if let Some(space) = self.namespaces[id.index()].take() {
            self.names.remove(&space.name);
        }
    }

    fn add_device(
        &mut self,
        name: &DeviceName,
        spec: &DeviceSpec,
        mac: Option<MacAddress>,
        mtu: u32,
    ) -> Result<Undo, ApplyError> {
        if !(SMALLEST_MTU..=LARGEST_MTU).contains(&mtu) {
            return Err(ApplyError::Mtu { device: name.clone(), found: mtu });
        }
        self.check_free(name)?;
        let kind = match spec {
            DeviceSpec::Bridge => {
                let mut switch = Bridge::new(BridgeConfig::default());
                let mac = mac.unwrap_or_else(|| self.random_mac());
                // A station's address by construction, unless the plan names a group: then nothing is local.
                let _ = switch.add_local(mac);
                let device = BridgeDevice {
                    switch,
                    ports: Vec::new(),
                    fixed_mtu: (mtu != ETHERNET_MTU).then_some(mtu),
                };
                let id = self.insert_device(name, Kind::Bridge(Box::new(device)), mac, mtu)?;
                return Ok(Undo::Device(id));
            }
            DeviceSpec::Dummy => Kind::Dummy,
            DeviceSpec::Nic => Kind::Nic { link: None },
            DeviceSpec::External => Kind::External,
            DeviceSpec::Vlan { parent, id } => {
                let upper = Upper::Vlan(*id);
                return self.add_upper(name, parent, upper, mac, mtu).map(Undo::Device);
            }
            DeviceSpec::Macvlan { parent, mode } => {
                let upper = Upper::Macvlan(*mode);
                return self.add_upper(name, parent, upper, mac, mtu).map(Undo::Device);
            }
            DeviceSpec::Ipvlan { parent, mode, flag } => {
                let upper = Upper::Ipvlan(*mode, *flag);
                return self.add_upper(name, parent, upper, mac, mtu).map(Undo::Device);
            }
            DeviceSpec::Veth { peer, peer_mac } => {
                self.check_free(peer)?;
                if peer == name {
                    return Err(ApplyError::DeviceExists(peer.clone()));
                }
                self.find_namespace(&name.namespace)?;
                let own = DeviceId(self.devices.len() as u32);
                let other = DeviceId(self.devices.len() as u32 + 1);
                let peer_mac = peer_mac.unwrap_or_else(|| self.random_mac());
                let mac = mac.unwrap_or_else(|| self.random_mac());
                self.insert_device(name, Kind::Veth { peer: other, link: None }, mac, mtu)?;
                self.insert_device(peer, Kind::Veth { peer: own, link: None }, peer_mac, mtu)?;
                return Ok(Undo::Device(own));
            }
        };
        let mac = mac.unwrap_or_else(|| self.random_mac());
        Ok(Undo::Device(self.insert_device(name, kind, mac, mtu)?))
    }

    fn check_free(&self, name: &DeviceName) -> Result<(), ApplyError> {
        self.find_namespace(&name.namespace)?;
        match self.device(name) {
            Some(_) => Err(ApplyError::DeviceExists(name.clone())),
            None => Ok(()),
        }
    }

    /// The id of the device that is made next.
    pub(super) fn next_device(&self) -> DeviceId {
        DeviceId(self.devices.len() as u32)
    }

    pub(super) fn insert_device(
        &mut self,
        name: &DeviceName,
        kind: Kind,
        mac: MacAddress,
        mtu: u32,
    ) -> Result<DeviceId, ApplyError> {
        let namespace = self.find_namespace(&name.namespace)?;
        let id = DeviceId(self.devices.len() as u32);
        let ipv6_disabled = self.namespaces[namespace.index()].as_ref().is_some_and(|n| n.ipv6_disabled);
        self.next_interface += 1;
        let index = self.next_interface;
        self.devices.push(Some(Device {
            namespace,
            name: name.name,
            index,
            mac,
            mtu,
            up: false,
            kind,
            master: None,
            uppers: None,
            addresses: Vec::new(),
            route_localnet: false,
            ipv6_disabled,
            counters: Counters::default(),
        }));
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.devices.push(id);
            space.by_name.insert(name.name, id);
        }
        Ok(id)
    }

    /// Removes a device; the other end of a veth and what stands on it go with it, as in Linux.
    pub(super) fn remove_device(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let namespace = device.namespace;
        self.clear_master(id);
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        for address in device.addresses.clone() {
            self.remove_address(id, address);
        }
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.routes.retain(|r| r.device != id);
            space.neighbours.flush(id);
            space.devices.retain(|d| *d != id);
            space.by_name.retain(|_, d| *d != id);
        }
        let uppers = self.devices[id.index()].as_ref().and_then(|d| d.uppers.as_ref());
        for upper in uppers.map(|uppers| uppers.devices()).unwrap_or_default() {
            self.remove_device(upper);
        }
        let Some(device) = self.devices[id.index()].take() else { return };
        self.departed.insert(id, (namespace, device.name));
        self.leave_parent(id, &device);
        match device.kind {
            Kind::Veth { peer, link } => {
                if let Some((link, _)) = link {
                    self.remove_link(link);
                }
                self.remove_device(peer);
            }
            Kind::Nic { link: Some((link, _)) } => self.remove_link(link),
            Kind::Bridge(bridge) => {
                for port in bridge.ports.into_iter().flatten() {
                    if let Some(Some(device)) = self.devices.get_mut(port.index()) {
                        device.master = None;
                    }
                }
            }
            Kind::Nic { link: None }
            | Kind::Loopback
            | Kind::Dummy
            | Kind::External
            | Kind::Vlan { .. }
            | Kind::Macvlan { .. }
            | Kind::Ipvlan { .. } => {}
        }
    }

    fn connect(
        &mut self,
        a: &DeviceName,
        b: &DeviceName,
        quality: [LinkQuality; 2],
    ) -> Result<Undo, ApplyError> {
        let ends = [self.find_device(a)?, self.find_device(b)?];
        let link = LinkId(self.links.len() as u32);
        for (id, name) in ends.iter().zip([a, b]) {
            match self.devices[id.index()].as_ref().map(|d| &d.kind) {
                Some(Kind::Nic { link: None }) => {}
                Some(Kind::Nic { link: Some(_) }) => return Err(ApplyError::Attached(name.clone())),
                _ => return Err(wrong_kind(name, "a NIC")),
            }
        }
        if ends[0] == ends[1] {
            return Err(ApplyError::Attached(b.clone()));
        }
        for (end, id) in ends.iter().enumerate() {
            if let Some(Some(device)) = self.devices.get_mut(id.index()) {
                device.kind = Kind::Nic { link: Some((link, end)) };
            }
        }
        self.links.push(Some(Link { ends, directions: quality.map(Direction::new) }));
        Ok(Undo::Link(link))
    }

    /// Puts an ideal wire between the ends of a veth pair. It stays for as long as the pair.
    fn wire_veth(&mut self, ends: [DeviceId; 2]) -> LinkId {
        let id = LinkId(self.links.len() as u32);
        for (end, device) in ends.iter().enumerate() {
            if let Some(Some(device)) = self.devices.get_mut(device.index())
                && let Kind::Veth { link, .. } = &mut device.kind
            {
                *link = Some((id, end));
            }
        }
        self.links.push(Some(Link { ends, directions: Default::default() }));
        id
    }

    /// The other end of a NIC's wire or of a veth pair, and the quality of the way there.
    pub fn wire_end(&self, device: &DeviceName) -> Option<(DeviceName, LinkQuality)> {
        let id = self.find_device(device).ok()?;
        let (other, link) = match &self.devices.get(id.index())?.as_ref()?.kind {
            Kind::Veth { peer, link } => (*peer, *link),
            Kind::Nic { link: Some((link, end)) } => {
                (self.links.get(link.index())?.as_ref()?.ends[1 - end], Some((*link, *end)))
            }
            Kind::Nic { link: None }
            | Kind::Bridge(_)
            | Kind::Loopback
            | Kind::Dummy
            | Kind::External
            | Kind::Vlan { .. }
            | Kind::Macvlan { .. }
            | Kind::Ipvlan { .. } => return None,
        };
        let quality = match link {
            Some((link, end)) => self.links.get(link.index())?.as_ref()?.directions[end].quality,
            None => LinkQuality::default(),
        };
        let (namespace, name) = self.device_name(other)?;
        Some((DeviceName { namespace: self.namespace_name(namespace)?.clone(), name }, quality))
    }

    fn remove_link(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id.index()).and_then(Option::take) else { return };
        for end in link.ends {
            if let Some(Some(device)) = self.devices.get_mut(end.index()) {
                match &mut device.kind {
                    Kind::Nic { link } | Kind::Veth { link, .. } => *link = None,
                    Kind::Bridge(_)
                    | Kind::Loopback
                    | Kind::Dummy
                    | Kind::External
                    | Kind::Vlan { .. }
                    | Kind::Macvlan { .. }
                    | Kind::Ipvlan { .. } => {}
                }
            }
        }
    }

    fn set_mac(&mut self, name: &DeviceName, mac: Option<MacAddress>) -> Result<Undo, ApplyError> {
        let id = self.find_device(name)?;
        let mac = mac.unwrap_or_else(|| self.random_mac());
        self.move_child(id, mac).map_err(|reason| ApplyError::Parent { parent: name.clone(), reason })?;
        match self.devices.get_mut(id.index()) {
            Some(Some(device)) if device.master.is_some() => Err(ApplyError::Attached(name.clone())),
            Some(Some(device))
                if matches!(device.kind, Kind::Bridge(_) | Kind::Loopback | Kind::Ipvlan { .. }) =>
            {
                Err(wrong_kind(name, "a device with a hardware address of its own"))
            }
            Some(Some(device)) => {
                device.mac = mac;
                self.follow_parent(id, mac);
                Ok(Undo::Nothing)
            }
            _ => Err(ApplyError::NoDevice(name.clone())),
        }
    }

    fn set_master(
        &mut self,
        name: &DeviceName,
        bridge: InterfaceName,
        hairpin: bool,
        isolated: bool,
    ) -> Result<Undo, ApplyError> {
        let id = self.find_device(name)?;
        let bridge_name = DeviceName { namespace: name.namespace.clone(), name: bridge };
        let bridge = self.find_device(&bridge_name)?;
        let Some(device) = self.devices[id.index()].as_ref() else {
            return Err(ApplyError::NoDevice(name.clone()));
        };
        let children = device.uppers.as_ref().is_some_and(|uppers| uppers.has_children());
        if device.master.is_some() || children {
            return Err(ApplyError::Attached(name.clone()));
        }
        if matches!(device.kind, Kind::Bridge(_) | Kind::Loopback) {
            return Err(wrong_kind(name, "a device that can be a bridge port"));
        }
        let mac = device.mac;
        let Some(Kind::Bridge(master)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind) else {
            return Err(wrong_kind(&bridge_name, "a bridge"));
        };
        let config = PortConfig { hairpin, isolated, ..PortConfig::default() };
        let port = master
            .switch
            .add_port(config)
            .map_err(|reason| ApplyError::Bridge { bridge: bridge_name, reason })?;
        let slot = usize::from(port.0);
        if master.ports.len() <= slot {
            master.ports.resize(slot + 1, None);
        }
        master.ports[slot] = Some(id);
        // As Linux, the port's own address is local to the bridge.
        let _ = master.switch.add_local(mac);
        if let Some(Some(device)) = self.devices.get_mut(id.index()) {
            device.master = Some((bridge, port));
        }
        self.update_bridge_mtu(bridge);
        Ok(Undo::Master(id))
    }

    pub(super) fn clear_master(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        let Some((bridge, port)) = device.master.take() else { return };
        let mac = device.mac;
        if let Some(Kind::Bridge(master)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind) {
            // The port exists: it was this device's.
            let _ = master.switch.remove_port(port);
            master.switch.remove_address(mac, None);
            if let Some(slot) = master.ports.get_mut(usize::from(port.0)) {
                *slot = None;
            }
        }
        self.follow_carrier(bridge);
        self.update_bridge_mtu(bridge);
    }

    /// A bridge's MTU is the smallest of its ports' (`br_mtu_auto_adjust`), 1,500 without ports.
    pub(super) fn update_bridge_mtu(&mut self, bridge: DeviceId) {
        let Some(Kind::Bridge(master)) = self.devices[bridge.index()].as_ref().map(|d| &d.kind) else {
            return;
        };
        let fixed = master.fixed_mtu;
        let ports = master.ports.iter().flatten();
        let smallest = ports.filter_map(|p| self.devices[p.index()].as_ref()).map(|d| d.mtu).min();
        if let Some(Some(device)) = self.devices.get_mut(bridge.index()) {
            device.mtu = fixed.or(smallest).unwrap_or(ETHERNET_MTU);
        }
    }

    fn set_up(&mut self, name: &DeviceName, up: bool) -> Result<Undo, ApplyError> {
        let id = self.find_device(name)?;
        let was = self.devices[id.index()].as_ref().is_some_and(|d| d.up);
        let undo = match (was, up) {
            (false, true) => Undo::Up(id),
            (true, false) => Undo::Down(id, self.reach(id)),
            _ => Undo::Nothing,
        };
        self.bring(id, up);
        Ok(undo)
    }

    pub(super) fn bring(&mut self, id: DeviceId, up: bool) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        match (std::mem::replace(&mut device.up, up), up) {
            (false, true) => self.add_connected_routes(id),
            (true, false) => self.forget_routes(id),
            (true, true) | (false, false) => {}
        }
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let (mac, master) = (device.mac, device.master);
        let ethernet = device.is_ethernet();
        if let Some((bridge, port)) = master
            && let Some(Kind::Bridge(master)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind)
        {
            // The port exists: it is this device's.
            let _ = master.switch.set_enabled(port, up);
        }
        if let Some((bridge, _)) = master {
            self.follow_carrier(bridge);
        }
        let carrier = !up || self.has_carrier(id);
        let ipv6 = ethernet && carrier && master.is_none() && !self.ipv6_disabled(id);
        let link_local = self.link_local_of(id, mac);
        let address = IpNet::V6(Ipv6Net::new_assert(link_local, 64));
        let has = self.devices[id.index()].as_ref().is_some_and(|d| d.has_address(IpAddr::V6(link_local)));
        if up && ipv6 && !has {
            self.add_address(id, address);
        }
    }

    /// What a device takes with it when it goes down: every route through it, what it knows of neighbours, and its IPv6
    /// addresses (`fib_disable_ip`, `addrconf_ifdown`). Its IPv4 addresses stay.
    fn forget_routes(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let namespace = device.namespace;
        if device.is_ethernet() {
            let addresses: Vec<IpNet> =
                device.addresses.iter().copied().filter(|a| a.addr().is_ipv6()).collect();
            addresses.into_iter().for_each(|address| self.remove_address(id, address));
        }
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.routes.retain(|route| route.device != id);
            space.neighbours.flush(id);
        }
    }

    /// What [`Engine::forget_routes`] would take away.
    fn reach(&self, id: DeviceId) -> Reach {
        let Some(Some(device)) = self.devices.get(id.index()) else { return Reach::default() };
        let addresses = device.addresses.iter().copied().filter(|a| a.addr().is_ipv6()).collect();
        let Some(Some(space)) = self.namespaces.get(device.namespace.index()) else {
            return Reach::default();
        };
        let all = space.routes.list(false).into_iter().chain(space.routes.list(true));
        Reach { addresses, routes: all.filter(|route| route.device == id).cloned().collect() }
    }

    fn restore(&mut self, id: DeviceId, reach: Reach) {
        for address in reach.addresses {
            if !self.devices[id.index()].as_ref().is_some_and(|device| device.addresses.contains(&address)) {
                self.add_address(id, address);
            }
        }
        let namespace = self.devices[id.index()].as_ref().map(|device| device.namespace);
        let space = namespace.and_then(|namespace| self.namespaces[namespace.index()].as_mut());
        if let Some(space) = space {
            for route in reach.routes {
                space.routes.add(route);
            }
        }
    }

    /// The routes that belong to a device's addresses, when it comes up.
    fn add_connected_routes(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let namespace = device.namespace;
        if !device.is_ethernet() {
            return;
        }
        let routes: Vec<Route> =
            device.addresses.iter().filter_map(|address| connected_route(id, *address)).collect();
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            for route in routes {
                space.routes.add(route);
            }
        }
    }

    /// A bridge's first port that is up gives it a carrier, and with it an IPv6 link-local address; with the last one
    /// the address goes. (Linux keeps it then; here nothing may be left of ports that are gone.)
    fn follow_carrier(&mut self, bridge: DeviceId) {
        let Some(device) = self.devices[bridge.index()].as_ref().filter(|device| device.up) else { return };
        let address = IpNet::V6(Ipv6Net::new_assert(device.mac.eui64_link_local(), 64));
        if self.has_carrier(bridge) {
            self.bring(bridge, true);
        } else if device.addresses.contains(&address) {
            self.remove_address(bridge, address);
        }
    }

    /// False for a bridge without a port that is up.
    fn has_carrier(&self, id: DeviceId) -> bool {
        let Some(Kind::Bridge(bridge)) = self.devices[id.index()].as_ref().map(|device| &device.kind) else {
            return true;
        };
        let mut ports = bridge.ports.iter().flatten().filter_map(|port| self.devices[port.index()].as_ref());
        ports.any(|port| port.up)
    }

    pub(super) fn add_address(&mut self, id: DeviceId, address: IpNet) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        device.addresses.push(address);
        let namespace = device.namespace;
        self.child_address(id, address.addr(), true);
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let reachable = device.up && device.is_ethernet();
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return };
        *space.local.entry(address.addr()).or_default() += 1;
        if reachable && let Some(route) = connected_route(id, address) {
            space.routes.add(route);
        }
    }

    pub(super) fn remove_address(&mut self, id: DeviceId, address: IpNet) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        let Some(at) = device.addresses.iter().position(|a| *a == address) else { return };
        device.addresses.remove(at);
        let namespace = device.namespace;
        self.child_address(id, address.addr(), false);
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return };
        if let Some(count) = space.local.get_mut(&address.addr()) {
            *count -= 1;
            if *count == 0 {
                space.local.remove(&address.addr());
            }
        }
        let gone = address.trunc();
        space.routes.retain(|r| {
            let connected = r.connected && r.device == id && r.destination == gone;
            let source = r.source == Some(address.addr()) && r.device == id;
            let gateway = r.device == id
                && r.gateway.is_some_and(|g| address.contains(&g))
                && !is_loopback(gone.addr());
            !(connected || source || gateway)
        });
    }

    fn add_route(
        &mut self,
        name: &NamespaceName,
        destination: IpNet,
        next_hop: NextHop,
        device: Option<InterfaceName>,
        source: Option<IpAddr>,
        metric: u32,
    ) -> Result<Undo, ApplyError> {
        let namespace = self.find_namespace(name)?;
        let gateway = match next_hop {
            NextHop::OnLink => None,
            NextHop::Gateway(gateway) => Some(gateway),
        };
        let id = match (device, gateway) {
            (Some(device), _) => self.find_device(&DeviceName { namespace: name.clone(), name: device })?,
            (None, Some(gateway)) => {
                let hop = self.route(namespace, gateway).filter(|hop| hop.gateway.is_none());
                let error = ApplyError::GatewayUnreachable { namespace: name.clone(), gateway, destination };
                hop.ok_or(error)?.device
            }
            (None, None) => {
                let device =
                    InterfaceName::parse("lo").map(|lo| DeviceName { namespace: name.clone(), name: lo });
                return Err(device.map_or_else(
                    |_| ApplyError::NoNamespace(name.clone()),
                    |device| wrong_kind(&device, "named: an on-link route needs a device"),
                ));
            }
        };
        let route =
            Route { destination: destination.trunc(), gateway, device: id, source, metric, connected: false };
        let space = self.space(namespace, name)?;
        if !space.routes.add(route.clone()) {
            return Err(ApplyError::RouteExists { namespace: name.clone(), destination });
        }
        Ok(Undo::Route(namespace, route))
    }

    /// Sets a sysctl; returns the setting that brings the value before back.
    pub(super) fn set_sysctl(
        &mut self,
        id: NamespaceId,
        name: &NamespaceName,
        sysctl: &Sysctl,
    ) -> Result<Sysctl, ApplyError> {
        let device = |engine: &Engine, device: &InterfaceName| {
            engine.find_device(&DeviceName { namespace: name.clone(), name: *device })
        };
        match sysctl {
            Sysctl::RouteLocalnet(interface, value) => {
                let device = device(self, interface)?;
                let before = match &mut self.devices[device.index()] {
                    Some(device) => std::mem::replace(&mut device.route_localnet, *value),
                    None => *value,
                };
                return Ok(Sysctl::RouteLocalnet(*interface, before));
            }
            Sysctl::DisableIpv6(interface, value) => {
                let id = device(self, interface)?;
                let before = self.ipv6_disabled(id);
                self.switch_ipv6(id, *value);
                return Ok(Sysctl::DisableIpv6(*interface, before));
            }
            _ => {}
        }
        let space = self.space(id, name)?;
        Ok(match sysctl {
            Sysctl::Ipv4Forward(value) => {
                Sysctl::Ipv4Forward(std::mem::replace(&mut space.ipv4_forward, *value))
            }
            Sysctl::Ipv6Forward(value) => {
                Sysctl::Ipv6Forward(std::mem::replace(&mut space.ipv6_forward, *value))
            }
            Sysctl::DisableIpv6All(value) => {
                let before = std::mem::replace(&mut space.ipv6_disabled, *value);
                for device in space.devices.clone() {
                    self.switch_ipv6(device, *value);
                }
                Sysctl::DisableIpv6All(before)
            }
            Sysctl::BridgeNetfilter(value) => {
                Sysctl::BridgeNetfilter(std::mem::replace(&mut space.bridge_netfilter, *value))
            }
            Sysctl::LocalPortRange(first, last) => {
                let (a, b) = std::mem::replace(&mut space.local_ports, (*first, (*last).max(*first)));
                Sysctl::LocalPortRange(a, b)
            }
            Sysctl::RouteLocalnet(..) | Sysctl::DisableIpv6(..) => sysctl.clone(),
        })
    }

    /// Sets `disable_ipv6` of a device: its IPv6 addresses go, or its link-local one (`::1` of `lo`) comes back.
    fn switch_ipv6(&mut self, id: DeviceId, disabled: bool) {
        let Some(device) = &mut self.devices[id.index()] else { return };
        let before = std::mem::replace(&mut device.ipv6_disabled, disabled);
        let (up, loopback) = (device.up, matches!(device.kind, Kind::Loopback));
        if disabled {
            let ipv6 = device.addresses.iter().copied().filter(|address| address.addr().is_ipv6());
            let ipv6: Vec<IpNet> = ipv6.collect();
            ipv6.into_iter().for_each(|address| self.remove_address(id, address));
        } else if before && loopback {
            self.add_address(id, IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128)));
        } else if up {
            self.bring(id, true);
        }
    }

    /// A random locally administered unicast address, as the kernel's `eth_random_addr`.
    pub(super) fn random_mac(&mut self) -> MacAddress {
        let [a, b, c, d] = self.random().to_be_bytes();
        let [e, f, ..] = self.random().to_be_bytes();
        MacAddress([(a & 0xfe) | 0x02, b, c, d, e, f])
    }
}

enum Step {
    Applied(Owner),
    Removed(Owner, Vec<Op>),
}

/// An owner as connection tracking and rules carry it: the kind in the upper half, the number in the lower.
pub(crate) fn connection_owner(owner: Owner) -> ConnectionOwner {
    let (kind, number) = match owner {
        Owner::Machine(n) => (0u64, n),
        Owner::Daemon(n) => (1, n),
        Owner::Network(n) => (2, n),
        Owner::Sandbox(n) => (3, n),
        Owner::Endpoint(n) => (4, n),
        Owner::Binding(n) => (5, n),
        Owner::Rules(n) => (6, n),
    };
    ConnectionOwner(kind << 32 | u64::from(number))
}

/// The route that an address brings with it; a host route has none.
fn connected_route(device: DeviceId, address: IpNet) -> Option<Route> {
    if address.prefix_len() == address.max_prefix_len() {
        return None;
    }
    let ipv4 = address.addr().is_ipv4();
    Some(Route {
        destination: address.trunc(),
        gateway: None,
        device,
        source: ipv4.then_some(address.addr()),
        metric: if ipv4 { 0 } else { 256 },
        connected: true,
    })
}

fn rules_error(namespace: &NamespaceName, reason: RulesetError) -> ApplyError {
    ApplyError::Rules { namespace: namespace.clone(), reason }
}

pub(super) fn wrong_kind(device: &DeviceName, expected: &'static str) -> ApplyError {
    ApplyError::WrongKind { device: device.clone(), expected }
}
