//! Tables of a namespace, copied for whoever asks (`ip`, `netstat`, `bridge`, `iptables`, `conntrack`).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use linkspan_nat::conntrack::{Connection, ConnectionId};
use linkspan_nat::conntrack_text;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::RuleId;
use linkspan_nat::text_restore::{RestoreOptions, restore};
use linkspan_nat::{text, text_emit};
use linkspan_switch::bridge::PortConfig;
use linkspan_switch::bridge::PortId;
use linkspan_switch::fdb::{FdbState, FdbTarget};
use linkspan_switch::vlan::VlanId;

use super::Engine;
use super::device::{Children, Device, Kind, child_of};
use super::errno::Errno;
use super::id::{DeviceId, NamespaceId};
use super::namespace::Namespace;
use super::neighbour::Listed;
use super::plan::Transport;
use super::route::{Route, is_link_local, is_loopback};
use super::socket::SocketKind;
use super::sys::{ExitCode, IptablesError};
use super::view::{
    AddressView, BridgePortView, DeviceGist, FdbView, InterfaceKind, InterfaceView, NeighbourView, RouteView,
    Scope, SettingsView, SocketView, UpperView,
};
use crate::tcp::{self, ConnectionEntry, State};

impl Engine {
    /// The devices of a namespace, by index.
    pub fn interfaces(&self, namespace: NamespaceId) -> Vec<InterfaceView> {
        let devices = self.space_ref(namespace).map_or(&[][..], |s| &s.devices);
        let mut views: Vec<InterfaceView> = devices.iter().filter_map(|id| self.interface(*id)).collect();
        views.sort_by_key(|v| v.index);
        views
    }

    /// The gist of a device.
    pub fn gist(&self, namespace: NamespaceId, name: &str) -> Option<DeviceGist> {
        let name = InterfaceName::parse(name).ok()?;
        let device = self.living(self.space_ref(namespace)?.by_name.get(&name)?)?;
        Some(DeviceGist {
            name: device.name.to_string(),
            addresses: device.addresses.clone(),
            is_bridge: device.interface_kind() == InterfaceKind::Bridge,
            is_port: device.master.is_some(),
            mtu: device.mtu,
            vlan: match device.kind {
                Kind::Vlan { parent, id } => self
                    .living(parent)
                    .filter(|below| below.namespace == device.namespace)
                    .map(|below| (below.name.to_string(), id)),
                _ => None,
            },
        })
    }

    /// How a device of the namespace is a port of its bridge; `None` if it is none.
    pub(super) fn port_config(&self, namespace: NamespaceId, name: &str) -> Option<PortConfig> {
        let name = InterfaceName::parse(name).ok()?;
        let (bridge, port) = self.living(self.space_ref(namespace)?.by_name.get(&name)?)?.master?;
        match &self.living(bridge)?.kind {
            Kind::Bridge(bridge) => Some(bridge.switch.port(port)?.config()),
            _ => None,
        }
    }

    /// Whether a device of the namespace stands for a VLAN of the device of a name.
    pub fn has_vlan(&self, namespace: NamespaceId, parent: &str, id: VlanId) -> bool {
        let found = || {
            let name = InterfaceName::parse(parent).ok()?;
            let parent = self.living(self.space_ref(namespace)?.by_name.get(&name)?)?;
            self.living(*parent.uppers.as_ref()?.vlans.get(&id)?)
        };
        found().is_some_and(|device| device.namespace == namespace)
    }

    /// The addresses of a namespace's devices other than `lo`, with their prefix lengths.
    pub fn addresses(&self, namespace: NamespaceId) -> Vec<IpNet> {
        let devices = self.space_ref(namespace).map_or(&[][..], |space| &space.devices);
        let living = devices.iter().filter_map(|id| self.living(*id)).filter(|device| device.is_ethernet());
        living.flat_map(|device| device.addresses.iter().copied()).collect()
    }

    /// Destinations that a namespace reaches without a gateway, its main routes of both families.
    pub fn on_link(&self, namespace: NamespaceId) -> Vec<IpNet> {
        let space = self.space_ref(namespace).into_iter();
        let routes = space.flat_map(|space| [space.routes.list(false), space.routes.list(true)]).flatten();
        routes.filter(|route| route.gateway.is_none()).map(|route| route.destination).collect()
    }

    /// Whether packets to an address end in a namespace.
    pub fn owns(&self, namespace: NamespaceId, address: IpAddr) -> bool {
        self.space_ref(namespace).is_some_and(|s| s.is_local(address))
    }

    /// `net.ipv4.ip_forward` of a namespace.
    pub fn ipv4_forward(&self, namespace: NamespaceId) -> bool {
        self.space_ref(namespace).is_some_and(|s| s.ipv4_forward)
    }

    /// `net.ipv4.ip_local_port_range` of a namespace.
    pub fn local_ports(&self, namespace: NamespaceId) -> (u16, u16) {
        self.space_ref(namespace).map_or((0, 0), |s| s.local_ports)
    }

    /// The settings of a namespace.
    pub fn settings(&self, namespace: NamespaceId) -> Option<SettingsView> {
        self.space_ref(namespace).map(|s| SettingsView {
            ipv4_forward: s.ipv4_forward,
            ipv6_forward: s.ipv6_forward,
            ipv6_disabled: s.ipv6_disabled,
            bridge_netfilter: s.bridge_netfilter,
            local_ports: s.local_ports,
        })
    }

    fn port_view(&self, bridge: DeviceId, port: PortId) -> Option<BridgePortView> {
        let Kind::Bridge(bridge) = &self.living(bridge)?.kind else { return None };
        let config = bridge.switch.port(port)?.config();
        let number = port.0.saturating_add(1);
        Some(BridgePortView { number, hairpin: config.hairpin, isolated: config.isolated })
    }

    fn interface(&self, id: DeviceId) -> Option<InterfaceView> {
        let device = self.living(id)?;
        let peer = device.beneath().and_then(|peer| self.living(peer));
        let plugged = self.plugged(device);
        let held = device.addresses.iter().copied().chain(self.duplicates(id));
        let view = |address: IpNet| {
            let state = self.address_state(id, address.addr());
            AddressView { address, scope: scope(address.addr()), state }
        };
        let mut addresses: Vec<AddressView> = held.map(view).collect();
        // As the kernel lists them: IPv4 first; IPv6 newest scope first, link-local last.
        addresses.sort_by_key(|a| (a.address.addr().is_ipv6(), a.scope == Scope::Link));
        Some(InterfaceView {
            id,
            index: device.index,
            name: device.name.to_string(),
            kind: device.interface_kind(),
            up: device.up,
            running: device.up && plugged,
            mtu: device.mtu,
            mac: device.mac,
            addresses,
            peer: peer.map(|p| p.index),
            peer_id: device.beneath(),
            upper: self.upper(id, device),
            peer_elsewhere: peer.is_some_and(|p| p.namespace != device.namespace),
            master: device.master.and_then(|(bridge, _)| self.living(bridge)).map(|b| b.name.to_string()),
            port: device.master.and_then(|(bridge, port)| self.port_view(bridge, port)),
            counters: device.counters,
        })
    }

    /// True if the device has a carrier.
    pub(super) fn plugged(&self, device: &Device) -> bool {
        match &device.kind {
            Kind::Nic { link } => link.is_some(),
            Kind::Veth { peer, .. } => self.living(*peer).is_some_and(|p| p.up),
            Kind::Bridge(bridge) => bridge.ports_up > 0,
            Kind::Vlan { parent, .. } | Kind::Macvlan { parent } | Kind::Ipvlan { parent } => {
                self.living(*parent).is_some_and(|parent| parent.up && self.plugged(parent))
            }
            Kind::Loopback | Kind::Dummy | Kind::External => true,
        }
    }

    /// What only devices have that stand on another one.
    fn upper(&self, id: DeviceId, device: &Device) -> Option<UpperView> {
        match device.kind {
            Kind::Vlan { id: vlan, .. } => Some(UpperView::Vlan(vlan)),
            Kind::Macvlan { parent } => {
                let Children::Macvlan(children) = &self.living(parent)?.uppers.as_ref()?.children else {
                    return None;
                };
                children.mode(child_of(id)).map(UpperView::Macvlan)
            }
            Kind::Ipvlan { parent } => {
                let Children::Ipvlan(children) = &self.living(parent)?.uppers.as_ref()?.children else {
                    return None;
                };
                Some(UpperView::Ipvlan(children.mode(), children.flag()))
            }
            Kind::Loopback
            | Kind::Dummy
            | Kind::Veth { .. }
            | Kind::Nic { .. }
            | Kind::Bridge(_)
            | Kind::External => None,
        }
    }

    /// The routes of one family: default first, then by destination.
    pub fn routes(&self, namespace: NamespaceId, family: Family) -> Vec<RouteView> {
        let Some(space) = self.space_ref(namespace) else { return Vec::new() };
        space.routes.list(family == Family::Ipv6).into_iter().filter_map(|r| self.route_view(r)).collect()
    }

    /// The route a packet would take.
    pub fn route_to(&self, namespace: NamespaceId, destination: IpAddr) -> Result<RouteView, Errno> {
        let hop = self.route(namespace, destination).ok_or(Errno::NetworkUnreachable)?;
        let device = self.living(hop.device).ok_or(Errno::NetworkUnreachable)?;
        Ok(RouteView {
            destination: IpNet::from(destination),
            gateway: hop.gateway,
            device: device.name.to_string(),
            source: self.source_for(namespace, &hop, destination),
            metric: 0,
            connected: false,
        })
    }

    fn route_view(&self, route: &Route) -> Option<RouteView> {
        Some(RouteView {
            destination: route.destination,
            gateway: route.gateway,
            device: self.living(route.device)?.name.to_string(),
            source: route.source,
            metric: route.metric,
            connected: route.connected,
        })
    }

    /// The neighbour entries, by device and address.
    pub fn neighbours(&self, namespace: NamespaceId) -> Vec<NeighbourView> {
        let Some(space) = self.space_ref(namespace) else { return Vec::new() };
        let view = |Listed { device, address, mac, state, probes }| {
            let device = self.living(device)?.name.to_string();
            Some(NeighbourView { address, device, mac, state, probes })
        };
        space.neighbours.list(self.now).into_iter().filter_map(view).collect()
    }

    /// The forwarding tables of a namespace's bridges.
    pub fn fdb(&self, namespace: NamespaceId) -> Vec<FdbView> {
        let Some(space) = self.space_ref(namespace) else { return Vec::new() };
        let mut views = Vec::new();
        for device in space.devices.iter().filter_map(|d| self.living(*d)) {
            let Kind::Bridge(bridge) = &device.kind else { continue };
            for entry in bridge.switch.fdb_entries(self.now) {
                let port = match entry.target {
                    FdbTarget::Port(port) => bridge.device(port).and_then(|p| self.living(p)),
                    // A local address is the bridge's own or that of one of its ports.
                    FdbTarget::Local => bridge
                        .ports
                        .iter()
                        .flatten()
                        .filter_map(|p| self.living(*p))
                        .find(|p| p.mac == entry.address),
                };
                let (permanent, age) = match entry.state {
                    FdbState::Learned { age } => (false, age),
                    FdbState::Static | FdbState::Permanent => (true, Duration::ZERO),
                };
                views.push(FdbView {
                    mac: entry.address,
                    device: port.map_or(device.name, |p| p.name).to_string(),
                    bridge: device.name.to_string(),
                    permanent,
                    age,
                });
            }
        }
        views
    }

    /// Where sockets of a namespace wait for strangers: TCP listeners and UDP sockets without a peer.
    pub fn listening(&self, namespace: NamespaceId) -> Vec<(SocketAddr, Transport)> {
        let mut listening = Vec::new();
        for id in self.sockets.of(namespace) {
            match self.sockets.get(id).map(|socket| &socket.kind) {
                Ok(SocketKind::Udp { local: Some(local), remote: None }) => {
                    listening.push((*local, Transport::Udp));
                }
                Ok(SocketKind::Listener(listener)) => {
                    let addresses = self.tcp.listener_addresses(*listener).into_iter();
                    listening.extend(addresses.map(|address| (address, Transport::Tcp)));
                }
                Ok(
                    SocketKind::Udp { .. }
                    | SocketKind::Raw { .. }
                    | SocketKind::Packet(_)
                    | SocketKind::Stream(_),
                )
                | Err(_) => {}
            }
        }
        listening
    }

    /// Those of them on one port.
    pub fn listening_on(&self, namespace: NamespaceId, port: u16) -> Vec<(SocketAddr, Transport)> {
        let mut listening = Vec::new();
        for id in self.sockets.bound(namespace, port) {
            if let (Some(local), None) = self.sockets.udp_addresses(*id) {
                listening.push((local, Transport::Udp));
            }
        }
        let tcp = self.tcp.listening_on(tcp::Scope(namespace.0), port);
        listening.extend(tcp.map(|address| (address, Transport::Tcp)));
        listening
    }

    /// The sockets of a namespace: by transport, then in order of opening; connections that are half open, which no
    /// program has, behind those of TCP.
    pub fn sockets(&self, namespace: NamespaceId) -> Vec<SocketView> {
        let mut views = Vec::new();
        // Both are in order of their ids.
        let (listeners, connections) = (self.tcp.listeners(), self.tcp.connections());
        for id in self.sockets.of(namespace) {
            let Ok(socket) = self.sockets.get(id) else { continue };
            let program = socket.program.clone();
            let view = match &socket.kind {
                SocketKind::Udp { local: Some(local), remote } => SocketView {
                    transport: Transport::Udp,
                    local: *local,
                    v6only: takes_no_ipv4(*local, socket.v6only),
                    remote: *remote,
                    state: if remote.is_some() { "ESTABLISHED" } else { "" }.to_owned(),
                    receive_queue: socket.received_bytes(),
                    send_queue: 0,
                    backlog: None,
                    program,
                },
                SocketKind::Udp { local: None, .. } | SocketKind::Raw { .. } | SocketKind::Packet(_) => {
                    continue;
                }
                SocketKind::Listener(listener) => {
                    let Ok(at) = listeners.binary_search_by_key(listener, |l| l.id) else { continue };
                    let entry = &listeners[at];
                    SocketView {
                        transport: Transport::Tcp,
                        local: entry.local,
                        v6only: takes_no_ipv4(entry.local, !entry.dual_stack),
                        remote: None,
                        state: "LISTEN".to_owned(),
                        receive_queue: entry.accept_queue,
                        send_queue: 0,
                        backlog: Some(entry.backlog),
                        program,
                    }
                }
                SocketKind::Stream(connection) => {
                    let Ok(at) = connections.binary_search_by_key(connection, |c| c.id) else { continue };
                    let entry = &connections[at];
                    SocketView {
                        transport: Transport::Tcp,
                        local: entry.local,
                        v6only: takes_no_ipv4(entry.local, false),
                        remote: Some(entry.remote),
                        state: entry.state.to_string(),
                        receive_queue: entry.receive_queue,
                        send_queue: entry.send_queue,
                        backlog: None,
                        program,
                    }
                }
            };
            views.push(view);
        }
        let half_open = |entry: &&ConnectionEntry| {
            entry.scope == tcp::Scope(namespace.0)
                && entry.state == State::SynReceived
                && self.tcp.owner(entry.id).is_none()
        };
        views.extend(connections.iter().filter(half_open).map(|entry| SocketView {
            transport: Transport::Tcp,
            local: entry.local,
            v6only: takes_no_ipv4(entry.local, false),
            remote: Some(entry.remote),
            state: entry.state.to_string(),
            receive_queue: 0,
            send_queue: 0,
            backlog: None,
            program: None,
        }));
        views.sort_by_key(|v| v.transport == Transport::Udp);
        views
    }

    /// The tracked connections as `conntrack -L` prints them.
    pub fn connections(&self, namespace: NamespaceId) -> Vec<String> {
        self.space_ref(namespace).map_or_else(Vec::new, |s| connection_lines(s, self.now))
    }

    /// The tracked connections, oldest first, as values.
    pub fn tracked(&self, namespace: NamespaceId) -> Vec<(ConnectionId, Connection)> {
        let connections = self.space_ref(namespace).map(|space| space.netfilter.list_connections(self.now));
        let connections = connections.into_iter().flatten();
        connections.map(|(id, connection)| (id, connection.clone())).collect()
    }

    /// Runs an `iptables` or `ip6tables` command line, without the program name.
    pub fn iptables(
        &mut self,
        namespace: NamespaceId,
        family: Family,
        arguments: &[String],
    ) -> Result<String, IptablesError> {
        let refuse = |error: text::IptablesError| IptablesError {
            message: error.text(family),
            status: ExitCode(error.exit_status()),
        };
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let command = text::parse_command(family, &words).map_err(refuse)?;
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else {
            return Err(IptablesError {
                message: Errno::BadDescriptor.text().to_owned(),
                status: ExitCode::FAILURE,
            });
        };
        space.epoch += 1;
        text::apply_command(space.netfilter.rules_mut(family), &command, None).map_err(refuse)
    }

    /// Reads rules as `iptables-restore` and `ip6tables-restore` do.
    pub fn restore_rules(
        &mut self,
        namespace: NamespaceId,
        family: Family,
        text: &str,
        options: RestoreOptions,
    ) -> Result<(), IptablesError> {
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else {
            return Err(IptablesError {
                message: Errno::BadDescriptor.text().to_owned(),
                status: ExitCode::FAILURE,
            });
        };
        space.epoch += 1;
        restore(space.netfilter.rules_mut(family), family, text, options)
            .map_err(|error| IptablesError { message: error.text, status: ExitCode(error.exit_status) })
    }

    /// The rules of a namespace.
    pub fn rules(&self, namespace: NamespaceId, family: Family) -> Option<&linkspan_nat::ruleset::RuleSet> {
        self.space_ref(namespace).map(|s| s.netfilter.rules(family))
    }

    /// What a rule says, as `iptables -S` prints it behind the chain.
    pub fn rule_text(&self, namespace: NamespaceId, family: Family, rule: u64) -> Option<String> {
        let (_, _, _, entry) = self.rules(namespace, family)?.find(RuleId(rule))?;
        Some(text_emit::emit_rule(entry.rule(), family))
    }

    /// Whether a rule came with a plan; the others were added by `iptables` command lines.
    pub fn rule_is_planned(&self, namespace: NamespaceId, family: Family, rule: u64) -> bool {
        let found = self.rules(namespace, family).and_then(|rules| rules.find(RuleId(rule)));
        found.is_some_and(|(_, _, _, entry)| entry.owner().is_some())
    }

    /// What kind of device this is; `None` once it is gone.
    pub fn device_kind(&self, device: DeviceId) -> Option<InterfaceKind> {
        self.living(device).map(Device::interface_kind)
    }

    fn space_ref(&self, namespace: NamespaceId) -> Option<&Namespace> {
        self.namespaces.get(namespace.index())?.as_deref()
    }

    fn living(&self, device: DeviceId) -> Option<&Device> {
        self.devices.get(device.index())?.as_ref()
    }
}

/// Binding an IPv6 socket to an address of its own sets `IPV6_V6ONLY`.
fn takes_no_ipv4(local: SocketAddr, v6only: bool) -> bool {
    local.is_ipv6() && (v6only || !local.ip().is_unspecified())
}

fn scope(address: IpAddr) -> Scope {
    match address {
        a if is_loopback(a) => Scope::Host,
        IpAddr::V6(a) if is_link_local(a) => Scope::Link,
        _ => Scope::Global,
    }
}

fn connection_lines(space: &Namespace, now: Duration) -> Vec<String> {
    let connections = space.netfilter.list_connections(now);
    connections
        .into_iter()
        .map(|(_, c)| conntrack_text::line(c, now, conntrack_text::Accounting::Hidden))
        .collect()
}
