//! What a privileged program changes in its namespace: the write side of rtnetlink(7), one change at a time.
//!
//! A change is carried out like an operation of a plan, and belongs to nobody: no owner takes it back, it goes with the
//! device or the namespace, as on Linux. What a driver put there may be taken away by hand; undoing a plan does not
//! mind. Tables are bounded, so that a script in a loop costs bounded memory.

use std::net::IpAddr;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;
use linkspan_switch::mac::MacAddress;
use linkspan_switch::macvlan::MacvlanError;

use super::Engine;
use super::apply::ApplyError;
use super::child::ParentError;
use super::device::Kind;
use super::errno::Errno;
use super::id::{DeviceId, NamespaceId};
use super::plan::{
    DeviceName, DeviceSpec, DuplicateDetection, IpvlanFlag, IpvlanMode, MacvlanMode, NextHop, Op, Owner,
    Sysctl, VlanId,
};
use super::route::Route;

/// Devices of a namespace.
const MOST_DEVICES: usize = 4_096;
/// Addresses of a device.
const MOST_ADDRESSES: usize = 4_096;
/// Routes of a namespace, of one family.
const MOST_ROUTES: usize = 65_536;

/// Whose an operation is while it is carried out. Nothing is recorded for it.
const NOBODY: Owner = Owner::Machine(u32::MAX);

/// One change. Devices are those of the caller's namespace, by name.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// `ip address add`
    AddAddress(String, IpNet, DuplicateDetection),
    /// `ip address del`
    RemoveAddress(String, IpNet),
    /// `ip route add`, `replace` or `change`
    AddRoute(RouteChange, Existing),
    /// `ip route del`: the first that has everything that is given.
    RemoveRoute(RouteChange),
    /// `ip neighbour add` or `replace`: a permanent entry.
    AddNeighbour(String, IpAddr, MacAddress, Existing),
    /// `ip neighbour del`
    RemoveNeighbour(String, IpAddr),
    /// `ip link add`
    AddDevice {
        /// Its name.
        name: String,
        /// What kind.
        kind: NewDevice,
        /// Hardware address; `None` draws one from the seed.
        mac: Option<MacAddress>,
        /// Maximum transmission unit; `None` is Ethernet's.
        mtu: Option<u32>,
    },
    /// `ip link del`
    RemoveDevice(String),
    /// `ip link set up` and `down`
    SetUp(String, bool),
    /// `ip link set mtu`
    SetMtu(String, u32),
    /// `ip link set address`
    SetMac(String, MacAddress),
    /// `ip link set name`
    Rename(String, String),
    /// `ip link set master` and `nomaster`
    SetMaster(String, Option<String>),
    /// `sysctl -w`
    SetSysctl(Sysctl),
}

/// What to do about an entry that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is an error.
    Refuse,
    /// It gives way, if there is one.
    Replace,
    /// It gives way, and it is an error if there is none.
    Require,
}

/// A kind of device that can be made by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewDevice {
    /// A device that drops what is sent through it.
    Dummy,
    /// A bridge.
    Bridge,
    /// A virtual cable with this other end, in the same namespace; without a name it is `veth0` or the next free one.
    Veth(Option<String>),
    /// A VLAN of a device of the same namespace.
    Vlan {
        /// That device.
        parent: String,
        /// The VLAN.
        id: VlanId,
    },
    /// A station of its own behind a device of the same namespace.
    Macvlan {
        /// That device.
        parent: String,
        /// Whom it reaches directly.
        mode: MacvlanMode,
    },
    /// A station behind a device of the same namespace that shares its hardware address.
    Ipvlan {
        /// That device.
        parent: String,
        /// At which layer its children are joined.
        mode: IpvlanMode,
        /// Which of them reach each other.
        flag: IpvlanFlag,
    },
}

/// A route as a command line says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChange {
    /// Destination; its host bits must be clear.
    pub destination: IpNet,
    /// Gateway.
    pub gateway: Option<IpAddr>,
    /// Device.
    pub device: Option<String>,
    /// Preferred source.
    pub source: Option<IpAddr>,
    /// Metric; `None` is 0 for a new route, and any for one that goes.
    pub metric: Option<u32>,
}

impl Engine {
    /// Changes a namespace as a program with `CAP_NET_ADMIN` may. On an error everything is as before.
    pub fn administer(&mut self, namespace: NamespaceId, change: &Change) -> Result<(), Errno> {
        self.epoch += 1;
        match change {
            Change::AddAddress(device, address, detection) => {
                let (id, device) = self.named(namespace, device)?;
                let held = self.devices[id.index()].as_ref();
                if held.is_some_and(|d| d.addresses.len() >= MOST_ADDRESSES) {
                    return Err(Errno::OutOfMemory);
                }
                self.carry_out(Op::AddAddress { device, address: *address, detection: *detection })
            }
            Change::RemoveAddress(device, address) => {
                let (id, _) = self.named(namespace, device)?;
                let has = |engine: &Engine| {
                    engine.devices[id.index()].as_ref().is_some_and(|d| d.addresses.contains(address))
                        || engine.duplicates(id).any(|duplicate| duplicate == *address)
                };
                if !has(self) {
                    return Err(Errno::AddressNotAvailable);
                }
                self.remove_address(id, *address);
                Ok(())
            }
            Change::AddRoute(route, existing) => self.change_route(namespace, route, *existing),
            Change::RemoveRoute(route) => {
                let found = self.matching_route(namespace, route, false)?.ok_or(Errno::NoSuchProcess)?;
                self.take_route(namespace, &found);
                Ok(())
            }
            Change::AddNeighbour(device, address, mac, existing) => {
                let (id, device) = self.named(namespace, device)?;
                let known = self.neighbour_known(namespace, id, *address);
                match (known, existing) {
                    (true, Existing::Refuse) => return Err(Errno::FileExists),
                    (false, Existing::Require) => return Err(Errno::NoSuchFile),
                    _ => {}
                }
                self.carry_out(Op::AddNeighbour { device, address: *address, mac: *mac })
            }
            Change::RemoveNeighbour(device, address) => {
                let (id, _) = self.named(namespace, device)?;
                if !self.neighbour_known(namespace, id, *address) {
                    return Err(Errno::NoSuchFile);
                }
                if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
                    space.neighbours.remove(id, *address);
                }
                Ok(())
            }
            Change::AddDevice { name, kind, mac, mtu } => self.make_device(namespace, name, kind, *mac, *mtu),
            Change::RemoveDevice(name) => {
                let (id, _) = self.named(namespace, name)?;
                match self.devices[id.index()].as_ref().map(|d| &d.kind) {
                    Some(
                        Kind::Dummy
                        | Kind::Veth { .. }
                        | Kind::Bridge(_)
                        | Kind::Vlan { .. }
                        | Kind::Macvlan { .. }
                        | Kind::Ipvlan { .. },
                    ) => self.remove_device(id),
                    _ => return Err(Errno::NotSupported),
                }
                Ok(())
            }
            Change::SetUp(device, up) => {
                let (id, _) = self.named(namespace, device)?;
                self.bring(id, *up);
                Ok(())
            }
            Change::SetMtu(device, mtu) => self.change_mtu(namespace, device, *mtu),
            Change::SetMac(device, mac) => self.change_mac(namespace, device, *mac),
            Change::Rename(device, name) => self.rename(namespace, device, name),
            Change::SetMaster(device, master) => {
                let (id, device) = self.named(namespace, device)?;
                self.clear_master(id);
                let Some(master) = master else { return Ok(()) };
                let bridge = interface_name(master)?;
                self.carry_out(Op::SetMaster { device, bridge, hairpin: false, isolated: false })
            }
            Change::SetSysctl(sysctl) => {
                let name = self.namespace_name(namespace).cloned().ok_or(Errno::BadDescriptor)?;
                self.carry_out(Op::SetSysctl { namespace: name, sysctl: sysctl.clone() })
            }
        }
    }

    fn carry_out(&mut self, op: Op) -> Result<(), Errno> {
        self.apply_op(&op, NOBODY).map(drop).map_err(|error| errno(&error))
    }

    fn named(&self, namespace: NamespaceId, device: &str) -> Result<(DeviceId, DeviceName), Errno> {
        let space = self.namespace_name(namespace).cloned().ok_or(Errno::BadDescriptor)?;
        let name = InterfaceName::parse(device).map_err(|_| Errno::NoSuchDevice)?;
        let name = DeviceName { namespace: space, name };
        let id = self.find_device(&name).map_err(|_| Errno::NoSuchDevice)?;
        Ok((id, name))
    }

    fn neighbour_known(&self, namespace: NamespaceId, device: DeviceId, address: IpAddr) -> bool {
        let space = self.namespaces.get(namespace.index()).and_then(Option::as_ref);
        let entries = space.map(|space| space.neighbours.list(self.now())).unwrap_or_default();
        entries.iter().any(|e| (e.device, e.address) == (device, address) && e.mac.is_some())
    }

    fn change_route(
        &mut self,
        namespace: NamespaceId,
        change: &RouteChange,
        existing: Existing,
    ) -> Result<(), Errno> {
        let space = self.namespace_name(namespace).cloned().ok_or(Errno::BadDescriptor)?;
        if change.destination != change.destination.trunc() {
            return Err(Errno::InvalidArgument);
        }
        let device = match &change.device {
            Some(name) => {
                let (id, name) = self.named(namespace, name)?;
                if !self.devices[id.index()].as_ref().is_some_and(|d| d.up) {
                    return Err(Errno::NetworkDown);
                }
                Some((id, name.name))
            }
            None if change.gateway.is_none() => return Err(Errno::NoSuchDevice),
            None => None,
        };
        if let Some(gateway) = change.gateway {
            let hop = self.route(namespace, gateway).filter(|hop| hop.gateway.is_none());
            let hop = hop.ok_or(Errno::NetworkUnreachable)?;
            if device.is_some_and(|(id, _)| id != hop.device) {
                return Err(Errno::NetworkUnreachable);
            }
        }
        if let Some(source) = change.source
            && !self.owns(namespace, source)
        {
            return Err(Errno::InvalidArgument);
        }
        let same = RouteChange {
            gateway: None,
            device: None,
            source: None,
            metric: Some(change.metric.unwrap_or(0)),
            ..change.clone()
        };
        let before = self.matching_route(namespace, &same, true)?;
        match (&before, existing) {
            (Some(_), Existing::Refuse) => return Err(Errno::FileExists),
            (None, Existing::Require) => return Err(Errno::NoSuchFile),
            (Some(before), _) => self.take_route(namespace, before),
            (None, _) => {
                let full = self.namespaces.get(namespace.index()).and_then(Option::as_ref);
                let count =
                    full.map_or(0, |space| space.routes.list(change.destination.addr().is_ipv6()).len());
                if count >= MOST_ROUTES {
                    return Err(Errno::OutOfMemory);
                }
            }
        }
        let op = Op::AddRoute {
            namespace: space,
            destination: change.destination,
            next_hop: change.gateway.map_or(NextHop::OnLink, NextHop::Gateway),
            device: device.map(|(_, name)| name),
            source: change.source,
            metric: change.metric.unwrap_or(0),
        };
        let result = self.carry_out(op);
        if let (Err(_), Some(before), Some(Some(space))) =
            (result, before, self.namespaces.get_mut(namespace.index()))
        {
            space.routes.add(before);
        }
        result
    }

    /// The first route that has everything given; with `exact`, a metric that is not given is 0.
    fn matching_route(
        &self,
        namespace: NamespaceId,
        wanted: &RouteChange,
        exact: bool,
    ) -> Result<Option<Route>, Errno> {
        let device = match &wanted.device {
            Some(name) => Some(self.named(namespace, name)?.0),
            None => None,
        };
        let Some(Some(space)) = self.namespaces.get(namespace.index()) else { return Ok(None) };
        let metric = |route: &Route| match wanted.metric {
            Some(metric) if metric > 0 || exact => route.metric == metric,
            _ => true,
        };
        let routes = space.routes.list(wanted.destination.addr().is_ipv6());
        let found = routes.into_iter().find(|route| {
            route.destination == wanted.destination
                && metric(route)
                && device.is_none_or(|device| route.device == device)
                && wanted.gateway.is_none_or(|gateway| route.gateway == Some(gateway))
                && wanted.source.is_none_or(|source| route.source == Some(source))
        });
        Ok(found.cloned())
    }

    fn take_route(&mut self, namespace: NamespaceId, route: &Route) {
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.routes.remove(route);
        }
    }

    fn make_device(
        &mut self,
        namespace: NamespaceId,
        name: &str,
        kind: &NewDevice,
        mac: Option<MacAddress>,
        mtu: Option<u32>,
    ) -> Result<(), Errno> {
        let space = self.namespace_name(namespace).cloned().ok_or(Errno::BadDescriptor)?;
        let taken: Vec<InterfaceName> = match self.namespaces.get(namespace.index()) {
            Some(Some(space)) => space.by_name.names().collect(),
            _ => Vec::new(),
        };
        if taken.len() >= MOST_DEVICES {
            return Err(Errno::OutOfMemory);
        }
        let device = DeviceName { namespace: space.clone(), name: interface_name(name)? };
        // What stands on another device takes that one's.
        let default_mtu = match kind {
            NewDevice::Vlan { .. } | NewDevice::Macvlan { .. } | NewDevice::Ipvlan { .. } => 65_535,
            NewDevice::Dummy | NewDevice::Bridge | NewDevice::Veth(_) => 1_500,
        };
        let spec = match kind {
            NewDevice::Dummy => DeviceSpec::Dummy,
            NewDevice::Bridge => DeviceSpec::Bridge,
            NewDevice::Vlan { parent, id } => {
                let parent = DeviceName { namespace: space, name: interface_name(parent)? };
                DeviceSpec::Vlan { parent, id: *id }
            }
            NewDevice::Macvlan { parent, mode } => {
                let parent = DeviceName { namespace: space, name: interface_name(parent)? };
                DeviceSpec::Macvlan { parent, mode: *mode }
            }
            NewDevice::Ipvlan { parent, mode, flag } => {
                let parent = DeviceName { namespace: space, name: interface_name(parent)? };
                DeviceSpec::Ipvlan { parent, mode: *mode, flag: *flag }
            }
            NewDevice::Veth(peer) => {
                let peer = match peer {
                    Some(peer) => interface_name(peer)?,
                    None => {
                        let free = (0..=taken.len() + 1)
                            .filter_map(|number| InterfaceName::parse(&format!("veth{number}")).ok())
                            .find(|free| !taken.contains(free) && *free != device.name);
                        free.ok_or(Errno::FileExists)?
                    }
                };
                DeviceSpec::Veth {
                    peer: DeviceName { namespace: space, name: peer },
                    peer_mac: None,
                    moved: false,
                }
            }
        };
        self.carry_out(Op::AddDevice { device, spec, mac, mtu: mtu.unwrap_or(default_mtu) })
    }

    fn change_mtu(&mut self, namespace: NamespaceId, device: &str, mtu: u32) -> Result<(), Errno> {
        let (id, _) = self.named(namespace, device)?;
        if !(68..=65_535).contains(&mtu) {
            return Err(Errno::InvalidArgument);
        }
        self.set_mtu(id, mtu);
        Ok(())
    }

    fn change_mac(&mut self, namespace: NamespaceId, device: &str, mac: MacAddress) -> Result<(), Errno> {
        let (id, _) = self.named(namespace, device)?;
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return Err(Errno::NoSuchDevice) };
        if matches!(device.kind, Kind::Loopback | Kind::Ipvlan { .. }) {
            return Err(Errno::NotSupported);
        }
        if mac.0[0] & 1 == 1 || mac == MacAddress::ZERO {
            return Err(Errno::AddressNotAvailable);
        }
        self.move_child(id, mac).map_err(|_| Errno::AddressInUse)?;
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return Err(Errno::NoSuchDevice) };
        let before = std::mem::replace(&mut device.mac, mac);
        let kept = (matches!(device.kind, Kind::Bridge(_)), device.master);
        self.follow_parent(id, mac);
        let holder = match kept {
            (true, _) => Some(id),
            (false, Some((bridge, _))) => Some(bridge),
            (false, None) => None,
        };
        if let Some(holder) = holder
            && let Some(Some(bridge)) = self.devices.get_mut(holder.index())
            && let Kind::Bridge(bridge) = &mut bridge.kind
        {
            bridge.switch.remove_address(before, None);
            // The address is a station's: that was looked at.
            let _ = bridge.switch.add_local(mac);
        }
        Ok(())
    }

    fn rename(&mut self, namespace: NamespaceId, device: &str, name: &str) -> Result<(), Errno> {
        let (id, _) = self.named(namespace, device)?;
        let new = interface_name(name)?;
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else {
            return Err(Errno::BadDescriptor);
        };
        match space.by_name.get(&new) {
            Some(found) if found == id => return Ok(()),
            Some(_) => return Err(Errno::FileExists),
            None => {}
        }
        if let Some(Some(device)) = self.devices.get_mut(id.index()) {
            space.by_name.remove(&device.name);
            space.by_name.insert(new, id);
            device.name = new;
        }
        Ok(())
    }
}

fn interface_name(text: &str) -> Result<InterfaceName, Errno> {
    InterfaceName::parse(text).map_err(|_| Errno::InvalidArgument)
}

/// What the kernel would answer.
fn errno(error: &ApplyError) -> Errno {
    match error {
        ApplyError::NamespaceExists(_)
        | ApplyError::DeviceExists(_)
        | ApplyError::AddressExists { .. }
        | ApplyError::RouteExists { .. }
        | ApplyError::Parent { reason: ParentError::VlanExists(_), .. } => Errno::FileExists,
        ApplyError::Parent { reason: ParentError::Busy, .. } => Errno::DeviceBusy,
        ApplyError::Parent { reason: ParentError::Macvlan(reason), .. } => match reason {
            MacvlanError::NotAlone => Errno::InvalidArgument,
            MacvlanError::AddressInUse { .. } => Errno::AddressInUse,
            MacvlanError::NotAStation { .. } => Errno::AddressNotAvailable,
        },
        ApplyError::NoDevice(_) => Errno::NoSuchDevice,
        ApplyError::Setting { reason, .. } => *reason,
        ApplyError::GatewayUnreachable { .. } => Errno::NetworkUnreachable,
        ApplyError::WrongKind { .. } => Errno::NotSupported,
        ApplyError::Attached(_) | ApplyError::Bridge { .. } => Errno::DeviceBusy,
        ApplyError::NoNamespace(_)
        | ApplyError::Mtu { .. }
        | ApplyError::NoIpv6 { .. }
        | ApplyError::Rules { .. }
        | ApplyError::Listen { .. } => Errno::InvalidArgument,
    }
}
