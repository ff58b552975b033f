//! How applied operations are taken back, and what would bring them back.
//!
//! What stays of an applied operation is an [`Undo`]: ids, and the value before where there was one. The operation
//! itself is not kept, because the engine's tables hold what it said. When an owner is removed by a plan that may
//! still fail, [`Engine::redo_of`] reads each operation from there just before it is undone.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::{Hook, Policy, RuleId, Table};

use super::devices::ETHERNET_MTU;
use crate::engine::Engine;
use crate::engine::device::{Children, Device, Kind, child_of};
use crate::engine::duplicate_address::Progress;
use crate::engine::id::{DeviceId, LinkId, NamespaceId, SocketId};
use crate::engine::namespace::Namespace;
use crate::engine::plan::{DeviceName, DeviceSpec, LinkQuality, NextHop, Op, Position, Sysctl, Transport};
use crate::engine::route::Route;
use crate::engine::socket::SocketKind;

/// What a device that is down cannot have.
#[derive(Debug, Default)]
pub(in crate::engine) struct Reach {
    pub(super) addresses: Vec<(IpNet, Option<Progress>)>,
    pub(super) routes: Vec<Route>,
}

/// How to take an operation back. There are dozens for each container, so what is large is boxed.
pub(in crate::engine) enum Undo {
    Namespace(NamespaceId),
    Device(DeviceId),
    Link(LinkId),
    Master(DeviceId),
    Up(DeviceId),
    Down(DeviceId, Box<Reach>),
    Address(DeviceId, IpNet),
    Route(NamespaceId, Box<Route>),
    Neighbour(Box<(NamespaceId, DeviceId, IpAddr)>),
    Announcement(DeviceId, IpAddr),
    Connections(NamespaceId, IpAddr),
    Sysctl(NamespaceId, Box<Sysctl>),
    Chain(NamespaceId, Family, Table, Arc<str>),
    Rule(NamespaceId, Family, RuleId, Position),
    Policy(NamespaceId, Family, Table, Hook, Policy),
    Socket(SocketId),
    Quality(LinkId, usize, Box<LinkQuality>),
    Nothing,
}

const _: () = assert!(size_of::<Undo>() <= 24);

impl Engine {
    /// Takes an operation back. What is gone already is no error.
    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Namespace(id) => self.remove_namespace(id),
            Undo::Device(id) => {
                self.take_visitor_back(id);
                self.remove_device(id);
            }
            Undo::Link(id) => self.remove_link(id),
            Undo::Master(id) => self.clear_master(id),
            Undo::Up(id) => self.bring(id, false),
            Undo::Down(id, reach) => {
                self.bring(id, true);
                self.restore(id, *reach);
            }
            Undo::Address(id, address) => self.remove_address(id, address),
            Undo::Route(namespace, route) => {
                if let Some(space) = self.living_space(namespace) {
                    space.routes.remove(&route);
                }
            }
            Undo::Neighbour(place) => {
                let (namespace, device, address) = *place;
                if let Some(space) = self.living_space(namespace) {
                    space.neighbours.remove(device, address);
                }
            }
            Undo::Announcement(device, address) => self.end_announcement(device, address),
            Undo::Connections(namespace, address) => {
                if let Some(space) = self.living_space(namespace) {
                    space.netfilter.flush_address(address);
                }
            }
            Undo::Sysctl(namespace, before) => {
                if let Some(name) = self.namespace_name(namespace).cloned() {
                    // The device may be gone, and its setting with it.
                    let _ = self.set_sysctl(namespace, &name, &before);
                }
            }
            Undo::Chain(namespace, family, table, chain) => {
                if let Some(space) = self.living_space(namespace) {
                    let rules = space.netfilter.rules_mut(family);
                    // A user's own rules in the chain go with it, as libnetwork flushes before it deletes.
                    let _ = rules.flush(table, Some(&chain));
                    let _ = rules.delete_chain(table, Some(&chain));
                }
            }
            Undo::Rule(namespace, family, rule, _) => {
                if let Some(space) = self.living_space(namespace) {
                    space.netfilter.rules_mut(family).delete_id(rule);
                }
            }
            Undo::Policy(namespace, family, table, hook, before) => {
                if let Some(space) = self.living_space(namespace) {
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

    /// The operation that brings back what `undo` is about to take away; `None` if nothing is there to be taken.
    pub(super) fn redo_of(&self, undo: &Undo) -> Option<Op> {
        Some(match undo {
            Undo::Namespace(id) => {
                let space = self.space_of(*id)?;
                Op::AddNamespace {
                    namespace: space.name.clone(),
                    disable_ipv6: space.ipv6_disabled,
                    ipv4_forward: space.ipv4_forward,
                    unprivileged: space.unprivileged,
                }
            }
            Undo::Device(id) => self.redo_device(*id)?,
            Undo::Link(id) => {
                let link = self.links.get(id.index())?.as_ref()?;
                let [a, b] = link.ends.map(|end| self.full_name(end));
                let [there, back] = &link.directions;
                Op::Connect { a: a?, b: b?, quality: Box::new([there.quality, back.quality]) }
            }
            Undo::Master(id) => {
                let (bridge, port) = self.device_of_id(*id)?.master?;
                let master = self.device_of_id(bridge)?;
                let Kind::Bridge(switch) = &master.kind else { return None };
                let config = switch.switch.port(port)?.config();
                let (hairpin, isolated) = (config.hairpin, config.isolated);
                Op::SetMaster { device: self.full_name(*id)?, bridge: master.name, hairpin, isolated }
            }
            Undo::Up(id) => Op::SetUp { device: self.full_name(*id)? },
            Undo::Down(id, _) => Op::SetDown { device: self.full_name(*id)? },
            Undo::Address(id, address) => {
                self.device_of_id(*id)?.addresses.contains(address).then_some(())?;
                let detection = self.detection_of(*id, address.addr());
                Op::AddAddress { device: self.full_name(*id)?, address: *address, detection }
            }
            Undo::Route(namespace, route) => {
                let space = self.space_of(*namespace)?;
                space.routes.contains(route).then_some(())?;
                Op::AddRoute {
                    namespace: space.name.clone(),
                    destination: route.destination,
                    next_hop: route.gateway.map_or(NextHop::OnLink, NextHop::Gateway),
                    device: Some(self.device_of_id(route.device)?.name),
                    source: route.source,
                    metric: route.metric,
                }
            }
            Undo::Neighbour(place) => {
                let (namespace, device, address) = **place;
                let mac = self.space_of(namespace)?.neighbours.permanent(device, address)?;
                Op::AddNeighbour { device: self.full_name(device)?, address, mac }
            }
            Undo::Announcement(device, address) => {
                let (messages, interval) = self.announcement_left(*device, *address)?;
                Op::Announce { device: self.full_name(*device)?, address: *address, messages, interval }
            }
            Undo::Connections(namespace, address) => {
                let namespace = self.namespace_name(*namespace)?.clone();
                Op::ForgetConnections { namespace, address: *address }
            }
            Undo::Sysctl(namespace, before) => Op::SetSysctl {
                namespace: self.namespace_name(*namespace)?.clone(),
                sysctl: self.sysctl_now(*namespace, before)?,
            },
            Undo::Chain(namespace, family, table, chain) => {
                let space = self.space_of(*namespace)?;
                space.netfilter.rules(*family).chain(*table, chain)?;
                let (family, table, chain) = (*family, *table, chain.clone());
                Op::AddChain { namespace: space.name.clone(), family, table, chain }
            }
            Undo::Rule(namespace, family, rule, position) => {
                let space = self.space_of(*namespace)?;
                let (table, chain, _, entry) = space.netfilter.rules(*family).find(*rule)?;
                Op::AddRule {
                    namespace: space.name.clone(),
                    family: *family,
                    table,
                    chain: chain.name().clone(),
                    position: *position,
                    rule: entry.rule().clone(),
                }
            }
            Undo::Policy(namespace, family, table, hook, _) => {
                let space = self.space_of(*namespace)?;
                let policy = space.netfilter.rules(*family).chain(*table, hook.chain_name())?.policy();
                let (family, table, hook) = (*family, *table, *hook);
                let drop = policy == Policy::Drop;
                Op::SetPolicy { namespace: space.name.clone(), family, table, hook, drop }
            }
            Undo::Socket(id) => {
                let socket = self.sockets.get(*id).ok()?;
                let (transport, address) = match &socket.kind {
                    SocketKind::Udp { local, .. } => (Transport::Udp, (*local)?),
                    SocketKind::Listener(listener) => {
                        let address: Option<SocketAddr> =
                            self.tcp.listener_addresses(*listener).into_iter().next();
                        (Transport::Tcp, address?)
                    }
                    SocketKind::Raw { .. } | SocketKind::Packet(_) | SocketKind::Stream(_) => return None,
                };
                let namespace = self.namespace_name(socket.namespace)?.clone();
                Op::Listen { namespace, address, transport, service: socket.service? }
            }
            Undo::Quality(link, end, _) => {
                let wire = self.links.get(link.index())?.as_ref()?;
                let quality = wire.directions.get(*end)?.quality;
                Op::SetLink { device: self.full_name(*wire.ends.get(*end)?)?, quality }
            }
            Undo::Nothing => return None,
        })
    }

    fn redo_device(&self, id: DeviceId) -> Option<Op> {
        let made = self.device_of_id(id)?;
        let mut mtu = made.mtu;
        let spec = match &made.kind {
            Kind::Loopback => return None,
            Kind::Dummy => DeviceSpec::Dummy,
            Kind::Nic { .. } => DeviceSpec::Nic,
            Kind::External => DeviceSpec::External,
            Kind::Veth { peer, moved, .. } => {
                let peer_mac = Some(self.device_of_id(*peer)?.mac);
                DeviceSpec::Veth { peer: self.full_name(*peer)?, peer_mac, moved: *moved }
            }
            Kind::Bridge(bridge) => {
                mtu = bridge.fixed_mtu.unwrap_or(ETHERNET_MTU);
                DeviceSpec::Bridge
            }
            Kind::Vlan { parent, id } => DeviceSpec::Vlan { parent: self.full_name(*parent)?, id: *id },
            Kind::Macvlan { parent } => {
                let Children::Macvlan(children) = self.children_of(*parent)? else { return None };
                let mode = children.mode(child_of(id))?;
                DeviceSpec::Macvlan { parent: self.full_name(*parent)?, mode }
            }
            Kind::Ipvlan { parent } => {
                let Children::Ipvlan(children) = self.children_of(*parent)? else { return None };
                let (mode, flag) = (children.mode(), children.flag());
                DeviceSpec::Ipvlan { parent: self.full_name(*parent)?, mode, flag }
            }
        };
        Some(Op::AddDevice { device: self.full_name(id)?, spec, mac: Some(made.mac), mtu })
    }

    fn children_of(&self, parent: DeviceId) -> Option<&Children> {
        self.device_of_id(parent)?.uppers.as_ref().map(|uppers| &uppers.children)
    }

    fn full_name(&self, id: DeviceId) -> Option<DeviceName> {
        let device = self.device_of_id(id)?;
        Some(DeviceName { namespace: self.namespace_name(device.namespace)?.clone(), name: device.name })
    }

    fn device_of_id(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(id.index())?.as_ref()
    }

    fn space_of(&self, id: NamespaceId) -> Option<&Namespace> {
        self.namespaces.get(id.index())?.as_deref()
    }

    pub(super) fn living_space(&mut self, id: NamespaceId) -> Option<&mut Namespace> {
        self.namespaces.get_mut(id.index())?.as_deref_mut()
    }
}
