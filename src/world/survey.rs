//! What a place has that others may want to reach: its addresses and the ports that something listens on.
//!
//! Asked of the engine, not of a file: a port is listed because a socket is bound to it at this moment.

use std::net::IpAddr;

use super::probe::Attempt;
use super::{HostId, Location, World, WorldError};
use crate::engine::plan::Transport;
use crate::engine::view::Scope;

impl World {
    /// A Docker host's name.
    pub fn host_name(&self, host: HostId) -> Result<String, WorldError> {
        Ok(self.locate(&Location::Host(host))?.hostname.clone())
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
