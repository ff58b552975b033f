//! What a place has that others may want to reach: its addresses and the ports that something listens on.
//!
//! Asked of the engine, not of a file: a port is listed because a socket is bound to it at this moment.

use std::net::IpAddr;

use ipnet::IpNet;

use super::probe::Attempt;
use super::{HostId, Location, World, WorldError};
use crate::docker::daemon::Daemon;
use crate::engine::plan::Transport;
use crate::engine::view::Scope;

impl World {
    /// The containers of all hosts whose main process has ended, with its exit status.
    pub fn ended_containers(&self) -> Vec<(String, u8)> {
        let containers = self.hosts().filter_map(|host| self.daemon(host)).flat_map(Daemon::containers);
        let ended = containers.filter(|container| container.state.has_ended());
        ended.map(|container| (container.name.clone(), container.exit_code)).collect()
    }

    /// The Docker hosts.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> {
        (0..self.hosts.len()).map(HostId)
    }

    /// A Docker host's name.
    pub fn host_name(&self, host: HostId) -> Result<String, WorldError> {
        Ok(self.locate(&Location::Host(host))?.hostname.to_string())
    }

    /// The place whose namespace a place is in: the host or another container where it shares theirs, else itself.
    pub fn holder(&self, location: &Location) -> Result<Location, WorldError> {
        let namespace = self.locate(location)?.namespace;
        if let Some(host) = self.hosts.iter().position(|host| host.place.namespace == namespace) {
            return Ok(Location::Host(HostId(host)));
        }
        let Location::Container(host, _) = location else { return Ok(location.clone()) };
        let name = self.engine.borrow().namespace_name(namespace).map(ToString::to_string);
        let owner = name.and_then(|name| self.container_of_namespace(&name));
        Ok(owner.map_or_else(|| location.clone(), |owner| Location::Container(*host, owner)))
    }

    /// Whether IPv6 is switched off in the whole namespace of a place.
    pub fn without_ipv6(&self, location: &Location) -> bool {
        let place = self.locate(location);
        let settings = place.ok().and_then(|place| self.engine.borrow().settings(place.namespace));
        settings.is_some_and(|settings| settings.ipv6_disabled)
    }

    /// The name that events and tables call the namespace of a place by.
    pub fn namespace_of(&self, location: &Location) -> Result<String, WorldError> {
        Ok(self.names().namespace(self.locate(location)?.namespace))
    }

    /// The global addresses on a place's loopback device, as a machine has that stands for the Internet; IPv4 first.
    pub fn loopback_addresses(&self, location: &Location) -> Result<Vec<IpAddr>, WorldError> {
        let place = self.locate(location)?;
        let interfaces = self.engine.borrow().interfaces(place.namespace);
        let loopback = interfaces.iter().filter(|interface| interface.name == "lo");
        let addresses = loopback.flat_map(|interface| &interface.addresses);
        let global = addresses.filter(|address| address.scope == Scope::Global);
        Ok(global.map(|address| address.address.addr()).collect())
    }

    /// The addresses of a place with the names of its cards, in the order of [`World::addresses`].
    pub fn card_addresses(&self, location: &Location) -> Result<Vec<(String, IpNet)>, WorldError> {
        let place = self.locate(location)?;
        let interfaces = self.engine.borrow().interfaces(place.namespace);
        let mut list = Vec::new();
        for interface in interfaces.iter().filter(|interface| interface.name != "lo") {
            let global = interface.addresses.iter().filter(|address| address.scope == Scope::Global);
            list.extend(global.map(|address| (interface.name.clone(), address.address)));
        }
        list.sort_by_key(|(_, address)| address.addr().is_ipv6());
        Ok(list)
    }

    /// The LANs by name, each with the machines and hosts that are plugged in and the names of their cards.
    pub fn lans(&self) -> Vec<(&str, Vec<(&str, &str)>)> {
        let engine = self.engine.borrow();
        let plugged = |namespace: &str| {
            let cards = self.cables.iter().filter(|card| {
                engine.wire_end(card).is_some_and(|(port, _)| port.namespace.as_str() == namespace)
            });
            cards.map(|card| (card.namespace.as_str(), card.name.as_str())).collect()
        };
        self.lans.iter().map(|(name, lan)| (name.as_str(), plugged(lan.namespace.as_str()))).collect()
    }

    /// What can be tried on the ports that a place listens on, ascending, TCP first. What listens on a loopback address
    /// alone is left out.
    pub fn listening_ports(&self, location: &Location) -> Result<Vec<Attempt>, WorldError> {
        let place = self.locate(location)?;
        let sockets = self.engine.borrow().listening(place.namespace);
        let open = sockets.into_iter().filter(|(address, _)| !address.ip().is_loopback());
        let mut ports: Vec<Attempt> = open
            .map(|(address, transport)| match transport {
                Transport::Tcp => Attempt::Tcp(address.port()),
                Transport::Udp => Attempt::Udp(address.port()),
            })
            .collect();
        ports.sort();
        ports.dedup();
        Ok(ports)
    }
}
