//! Every table of every namespace at this moment, as values: what `ip`, `bridge`, `iptables`, `conntrack` and `netstat`
//! would print there, and the names that Docker's DNS answers.
//!
//! Copies, taken once: nothing of the world is held on to, so a run can go on and the tables of an instant stay.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

use super::{HostId, Location, World};
use crate::docker::container::SandboxKind;
use crate::docker::daemon::Daemon;
use crate::engine::id::NamespaceId;
use crate::engine::plan::NamespaceName;
use crate::engine::sys::{Family, NeighbourState};
use crate::engine::view::{
    Connection, ConnectionId, FdbView, InterfaceView, NeighbourView, RouteView, RuleSet, SocketView,
};

/// The tables of one namespace.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Whose it is: a host, a container, a machine, or the switch of a LAN.
    pub name: String,
    /// The containers that share the namespace with the place.
    pub shared_by: Vec<String>,
    /// What kind of place.
    pub kind: PlaceKind,
    /// Virtual time when they were taken.
    pub time: Duration,
    /// Devices with addresses and counters.
    pub interfaces: Vec<InterfaceView>,
    /// Forwarding tables of bridges.
    pub fdb: Vec<FdbView>,
    /// Neighbours, IPv4 and IPv6.
    pub neighbours: Vec<NeighbourView>,
    /// Routes, IPv4 before IPv6.
    pub routes: Vec<RouteView>,
    /// Rules, IPv4 before IPv6.
    pub rules: Vec<RuleSet>,
    /// Tracked connections.
    pub connections: Vec<(ConnectionId, Connection)>,
    /// Sockets.
    pub sockets: Vec<SocketView>,
    /// Names that Docker's DNS answers here.
    pub names: Vec<NameRecord>,
}

/// Kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// A Docker host.
    Host,
    /// A container.
    Container,
    /// An outside machine.
    Machine,
    /// The switch of a LAN.
    Lan,
}

impl PlaceKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            PlaceKind::Host => "host",
            PlaceKind::Container => "container",
            PlaceKind::Machine => "machine",
            PlaceKind::Lan => "LAN",
        }
    }
}

impl Tables {
    /// The route by which packets to an address leave: the longest prefix, the lowest metric.
    #[must_use]
    pub fn route_to(&self, to: IpAddr) -> Option<&RouteView> {
        let covering = self.routes.iter().filter(|route| route.destination.contains(&to));
        covering.max_by_key(|route| (route.destination.prefix_len(), Reverse(route.metric)))
    }

    /// The entry that somebody made by hand for a neighbour: it is never asked for, and never forgotten.
    #[must_use]
    pub fn entered_by_hand(&self, neighbour: IpAddr) -> Option<&NeighbourView> {
        let mut entries = self.neighbours.iter().filter(|entry| entry.address == neighbour);
        entries.find(|entry| entry.state == NeighbourState::Permanent)
    }
}

/// A name and an address that it has on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRecord {
    /// The network.
    pub network: String,
    /// The name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
}

impl World {
    /// The tables of every namespace: hosts, their containers in the order they were made, machines, LANs.
    pub fn tables(&self) -> Vec<Tables> {
        let mut all = Vec::new();
        for (number, (host, daemon)) in self.hosts.iter().zip(&self.daemons).enumerate() {
            let place = &host.place;
            let zones = daemon.networks().flat_map(|network| {
                let records = daemon.zone(network);
                records.into_iter().map(|(name, address)| NameRecord {
                    network: network.name.clone(),
                    name: name.to_owned(),
                    address,
                })
            });
            let zones: Vec<NameRecord> = zones.collect();
            let mut tables = self.tables_of(place.namespace, &place.hostname, PlaceKind::Host);
            tables.names.clone_from(&zones);
            tables.shared_by = self.sharers(HostId(number), place.namespace, &place.hostname);
            all.push(tables);
            for container in daemon.containers() {
                let sandbox = container.sandbox.as_ref().filter(|sandbox| sandbox.kind == SandboxKind::Own);
                let Some(namespace) = sandbox.and_then(|sandbox| self.known(&sandbox.namespace)) else {
                    continue;
                };
                let mut tables = self.tables_of(namespace, &container.name, PlaceKind::Container);
                tables.shared_by = self.sharers(HostId(number), namespace, &container.name);
                let on = |record: &&NameRecord| {
                    container.endpoints.iter().any(|endpoint| endpoint.network_name == record.network)
                };
                tables.names = zones.iter().filter(on).cloned().collect();
                all.push(tables);
            }
        }
        for (name, place) in &self.machines {
            all.push(self.tables_of(place.namespace, name, PlaceKind::Machine));
        }
        for (name, lan) in &self.lans {
            if let Some(namespace) = self.known(&lan.namespace) {
                all.push(self.tables_of(namespace, name, PlaceKind::Lan));
            }
        }
        all
    }

    /// The running containers in a namespace, but for the one whose it is.
    fn sharers(&self, host: HostId, namespace: NamespaceId, owner: &str) -> Vec<String> {
        let containers = self.daemon(host).into_iter().flat_map(Daemon::containers);
        let names = containers.map(|container| container.name.clone()).filter(|name| name != owner);
        let inside = |name: &String| {
            let place = self.locate(&Location::Container(host, name.clone()));
            place.is_ok_and(|place| place.namespace == namespace)
        };
        names.filter(inside).collect()
    }

    fn known(&self, namespace: &NamespaceName) -> Option<NamespaceId> {
        self.engine.borrow().namespace(namespace)
    }

    fn tables_of(&self, namespace: NamespaceId, name: &str, kind: PlaceKind) -> Tables {
        let engine = self.engine.borrow();
        let families = [Family::Ipv4, Family::Ipv6];
        Tables {
            name: name.to_owned(),
            shared_by: Vec::new(),
            kind,
            time: engine.now(),
            interfaces: engine.interfaces(namespace),
            fdb: engine.fdb(namespace),
            neighbours: engine.neighbours(namespace),
            routes: families.into_iter().flat_map(|family| engine.routes(namespace, family)).collect(),
            rules: families
                .into_iter()
                .filter_map(|family| engine.rules(namespace, family).cloned())
                .collect(),
            connections: engine.tracked(namespace),
            sockets: engine.sockets(namespace),
            names: Vec::new(),
        }
    }
}
