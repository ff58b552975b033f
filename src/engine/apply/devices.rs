//! Devices and wires: made, joined and removed.

use linkspan_switch::bridge::{Bridge, BridgeConfig};
use linkspan_switch::mac::MacAddress;

use super::error::{ApplyError, wrong_kind};
use super::undo::Undo;
use crate::engine::Engine;
use crate::engine::child::Upper;
use crate::engine::device::{BridgeDevice, Device, Kind};
use crate::engine::id::{DeviceId, LinkId};
use crate::engine::interface_settings::{Holder, Ipv4Settings};
use crate::engine::link::{Direction, Link};
use crate::engine::plan::{DeviceName, DeviceSpec, LinkQuality};
use crate::engine::view::Counters;

/// Smallest MTU of an IPv4 device (RFC 791).
pub(super) const SMALLEST_MTU: u32 = 68;
/// MTU of Ethernet (RFC 894); a bridge made with another one keeps it.
pub(super) const ETHERNET_MTU: u32 = 1_500;
/// Largest MTU: what an IP packet's length field can say.
pub(super) const LARGEST_MTU: u32 = 65_535;

impl Engine {
    pub(super) fn add_device(
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
                let device = BridgeDevice::new(switch, (mtu != ETHERNET_MTU).then_some(mtu));
                let number = self.next_number_of(name)?;
                let id = self.insert_device(name, Kind::Bridge(Box::new(device)), mac, mtu, number)?;
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
            DeviceSpec::Veth { peer, peer_mac, moved } => {
                self.check_free(peer)?;
                if peer == name {
                    return Err(ApplyError::DeviceExists(peer.clone()));
                }
                let (here, there) =
                    (self.find_namespace(&name.namespace)?, self.find_namespace(&peer.namespace)?);
                let own = DeviceId(self.devices.len() as u32);
                let other = DeviceId(self.devices.len() as u32 + 1);
                let peer_mac = peer_mac.unwrap_or_else(|| self.random_mac());
                let mac = mac.unwrap_or_else(|| self.random_mac());
                // The kernel makes the peer first.
                let peer_number = self.take_number(there, if *moved { here } else { there });
                let number = self.take_number(here, here);
                let kind = |peer| Kind::Veth { peer, link: None, moved: *moved };
                self.insert_device(name, kind(other), mac, mtu, number)?;
                self.insert_device(peer, kind(own), peer_mac, mtu, peer_number)?;
                return Ok(Undo::Device(own));
            }
        };
        let mac = mac.unwrap_or_else(|| self.random_mac());
        let number = self.next_number_of(name)?;
        Ok(Undo::Device(self.insert_device(name, kind, mac, mtu, number)?))
    }

    fn next_number_of(&mut self, name: &DeviceName) -> Result<u32, ApplyError> {
        let namespace = self.find_namespace(&name.namespace)?;
        Ok(self.take_number(namespace, namespace))
    }

    pub(super) fn check_free(&self, name: &DeviceName) -> Result<(), ApplyError> {
        self.find_namespace(&name.namespace)?;
        match self.device(name) {
            Some(_) => Err(ApplyError::DeviceExists(name.clone())),
            None => Ok(()),
        }
    }

    /// The id of the device that is made next.
    pub(in crate::engine) fn next_device(&self) -> DeviceId {
        DeviceId(self.devices.len() as u32)
    }

    pub(in crate::engine) fn insert_device(
        &mut self,
        name: &DeviceName,
        kind: Kind,
        mac: MacAddress,
        mtu: u32,
        index: u32,
    ) -> Result<DeviceId, ApplyError> {
        let namespace = self.find_namespace(&name.namespace)?;
        let space = self.namespaces[namespace.index()].as_ref();
        let ipv6_disabled = space.is_some_and(|n| n.ipv6_disabled_default);
        let ipv4_forward = space.is_some_and(|n| n.ipv4_forward_default);
        let id = DeviceId(self.devices.len() as u32);
        self.push_device(Device {
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
            ipv4_forward,
            ipv4: Ipv4Settings::default(),
            ipv6_disabled,
            counters: Counters::default(),
        });
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.devices.push(id);
            space.by_name.insert(name.name, id);
        }
        self.start_interface_settings(namespace, id);
        Ok(id)
    }

    /// The table grows by an eighth, not by half of what it takes: most devices of a run are there to stay.
    pub(super) fn push_device(&mut self, device: Device) {
        if self.devices.len() == self.devices.capacity() {
            self.devices.reserve_exact(self.devices.len() / 8 + 16);
        }
        self.devices.push(Some(device));
    }

    /// Removes a device; the other end of a veth and what stands on it go with it, as in Linux.
    pub(in crate::engine) fn remove_device(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let (namespace, name) = (device.namespace, device.name);
        self.clear_master(id);
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        for address in device.addresses.clone() {
            self.remove_address(id, address);
        }
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.routes.retain(|r| r.device != id);
            space.neighbours.flush(id);
            // In order of creation, which is that of ids.
            if let Ok(at) = space.devices.binary_search(&id) {
                space.devices.remove(at);
            }
            if space.by_name.get(&name) == Some(id) {
                space.by_name.remove(&name);
            }
            space.written.retain(|(holder, _), _| *holder != Holder::Device(id));
        }
        let uppers = self.devices[id.index()].as_ref().and_then(|d| d.uppers.as_ref());
        for upper in uppers.map(|uppers| uppers.devices()).unwrap_or_default() {
            self.remove_device(upper);
        }
        self.packet_sockets_down(id);
        let Some(device) = self.devices[id.index()].take() else { return };
        self.departed.insert(id, (namespace, device.name));
        self.leave_parent(id, &device);
        match device.kind {
            Kind::Veth { peer, link, .. } => {
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

    pub(super) fn connect(
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
        ends.into_iter().for_each(|end| self.check_ports_of(end));
        Ok(Undo::Link(link))
    }

    /// Puts an ideal wire between the ends of a veth pair. It stays for as long as the pair.
    pub(super) fn wire_veth(&mut self, ends: [DeviceId; 2]) -> LinkId {
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
            Kind::Veth { peer, link, .. } => (*peer, *link),
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

    pub(super) fn remove_link(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id.index()).and_then(Option::take) else { return };
        for end in &link.ends {
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
        link.ends.into_iter().for_each(|end| self.check_ports_of(end));
    }

    pub(super) fn set_mac(&mut self, name: &DeviceName, mac: Option<MacAddress>) -> Result<Undo, ApplyError> {
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

    /// A random locally administered unicast address, as the kernel's `eth_random_addr`.
    pub(in crate::engine) fn random_mac(&mut self) -> MacAddress {
        let [a, b, c, d] = self.random().to_be_bytes();
        let [e, f, ..] = self.random().to_be_bytes();
        MacAddress([(a & 0xfe) | 0x02, b, c, d, e, f])
    }
}
