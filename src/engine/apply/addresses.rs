//! Up and down, addresses and routes.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use linkspan_nat::interface::InterfaceName;

use super::error::{ApplyError, wrong_kind};
use super::undo::{Reach, Undo};
use crate::engine::Engine;
use crate::engine::device::{Device, Kind};
use crate::engine::id::DeviceId;
use crate::engine::plan::{DeviceName, DuplicateDetection, NamespaceName, NextHop};
use crate::engine::route::{Route, is_loopback};
use crate::engine::view::AddressState;

/// `lo`'s own address.
pub(super) const LOOPBACK_V6: IpNet = IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128));

impl Engine {
    pub(super) fn set_up(&mut self, name: &DeviceName, up: bool) -> Result<Undo, ApplyError> {
        let id = self.find_device(name)?;
        let was = self.devices[id.index()].as_ref().is_some_and(|d| d.up);
        let undo = match (was, up) {
            (false, true) => Undo::Up(id),
            (true, false) => Undo::Down(id, Box::new(self.reach(id))),
            _ => Undo::Nothing,
        };
        self.bring(id, up);
        Ok(undo)
    }

    pub(in crate::engine) fn bring(&mut self, id: DeviceId, up: bool) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        let was = std::mem::replace(&mut device.up, up);
        match (was, up) {
            (false, true) => self.add_connected_routes(id),
            (true, false) => {
                self.forget_routes(id);
                self.packet_sockets_down(id);
            }
            (true, true) | (false, false) => {}
        }
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let (mac, master) = (device.mac, device.master);
        let (ethernet, carries) = (device.is_ethernet(), device.carries_ipv6());
        if was != up {
            self.check_ports_of(id);
        }
        let carrier = !up || self.has_carrier(id);
        let ipv6 = ethernet && carrier && carries && master.is_none() && !self.ipv6_disabled(id);
        let link_local = self.link_local_of(id, mac);
        let address = IpNet::V6(Ipv6Net::new_assert(link_local, 64));
        let has = self.devices[id.index()].as_ref().is_some_and(|d| d.has_address(IpAddr::V6(link_local)))
            || self.address_state(id, IpAddr::V6(link_local)) == AddressState::Duplicate;
        if up && ipv6 && !has {
            self.add_address(id, address, DuplicateDetection::Wanted);
        }
        if up && ipv6 {
            self.detect_waiting_duplicates(id);
        }
    }

    /// Gives a device that is up the addresses of IPv6 that it makes for itself (`addrconf_init_loopback`, `addrconf_dev_config`).
    pub(super) fn enable_ipv6(&mut self, id: DeviceId) {
        let loopback = |device: &Device| {
            matches!(device.kind, Kind::Loopback) && !device.addresses.contains(&LOOPBACK_V6)
        };
        if self.devices[id.index()].as_ref().is_some_and(loopback) {
            self.add_address(id, LOOPBACK_V6, DuplicateDetection::Wanted);
        }
        self.bring(id, true);
    }

    /// What a device takes with it when it goes down: every route through it, what it knows of neighbours, and its IPv6
    /// addresses (`fib_disable_ip`, `addrconf_ifdown`). Its IPv4 addresses stay.
    pub(super) fn forget_routes(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let namespace = device.namespace;
        if device.is_ethernet() {
            self.forget_ipv6(id);
        }
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.routes.retain(|route| route.device != id);
            space.neighbours.flush(id);
        }
    }

    /// Takes a device's IPv6 addresses and the routes that came with them.
    pub(in crate::engine) fn forget_ipv6(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let namespace = device.namespace;
        let addresses: Vec<IpNet> = device.addresses.iter().copied().filter(|a| a.addr().is_ipv6()).collect();
        addresses.into_iter().for_each(|address| self.remove_address(id, address));
        self.forget_duplicates(id);
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.routes.retain(|route| route.device != id || route.destination.addr().is_ipv4());
        }
    }

    /// What [`Engine::forget_routes`] would take away.
    pub(super) fn reach(&self, id: DeviceId) -> Reach {
        let Some(Some(device)) = self.devices.get(id.index()) else { return Reach::default() };
        let held = device.addresses.iter().copied().filter(|a| a.addr().is_ipv6());
        let held = held.chain(self.duplicates(id));
        let addresses = held.map(|address| (address, self.progress(id, address.addr()))).collect();
        let Some(Some(space)) = self.namespaces.get(device.namespace.index()) else {
            return Reach::default();
        };
        let all = space.routes.list(false).into_iter().chain(space.routes.list(true));
        Reach { addresses, routes: all.filter(|route| route.device == id).cloned().collect() }
    }

    pub(super) fn restore(&mut self, id: DeviceId, reach: Reach) {
        for (address, progress) in reach.addresses {
            if !self.devices[id.index()].as_ref().is_some_and(|device| device.addresses.contains(&address)) {
                self.add_address(id, address, DuplicateDetection::Omitted);
            }
            self.restore_progress(id, address, progress);
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
    pub(super) fn add_connected_routes(&mut self, id: DeviceId) {
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

    pub(in crate::engine) fn add_address(
        &mut self,
        id: DeviceId,
        address: IpNet,
        detection: DuplicateDetection,
    ) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        // Most devices have one or two, and there are as many devices as containers.
        if device.addresses.len() < 4 {
            device.addresses.reserve_exact(1);
        }
        device.addresses.push(address);
        let namespace = device.namespace;
        self.child_address(id, address.addr(), true);
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let reachable = device.up && device.is_ethernet();
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return };
        space.local.add(address.addr());
        self.address_filters.note(namespace, address.addr());
        if let IpNet::V4(network) = address
            && space.loopback == id
            && space.local.add_looped(network.trunc())
        {
            self.address_filters.note_all(namespace);
        }
        if reachable && let Some(route) = connected_route(id, address) {
            space.routes.add(route);
        }
        if let IpAddr::V6(own) = address.addr() {
            self.detect_duplicates(id, own, detection);
        }
    }

    /// Takes an address that somebody else has from a device; what its prefix reaches stays.
    pub(in crate::engine) fn withdraw_address(&mut self, id: DeviceId, address: IpNet) {
        self.remove_address(id, address);
        let namespace = self.devices[id.index()].as_ref().map(|device| device.namespace);
        let space = namespace.and_then(|namespace| self.namespaces[namespace.index()].as_mut());
        if let Some((space, route)) = space.zip(connected_route(id, address)) {
            space.routes.add(route);
        }
    }

    pub(in crate::engine) fn remove_address(&mut self, id: DeviceId, address: IpNet) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        let namespace = device.namespace;
        let at = device.addresses.iter().position(|a| *a == address);
        if let Some(at) = at {
            device.addresses.remove(at);
            self.child_address(id, address.addr(), false);
        }
        let duplicate = self.end_detection(id, address.addr());
        if at.is_none() && !duplicate {
            return;
        }
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return };
        if at.is_some() {
            space.local.remove(address.addr());
        }
        if let IpNet::V4(network) = address
            && space.loopback == id
        {
            space.local.remove_looped(network.trunc());
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

    pub(super) fn add_route(
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
        Ok(Undo::Route(namespace, Box::new(route)))
    }
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
