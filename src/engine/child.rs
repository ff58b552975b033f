//! Devices that stand on another one and share its wire: VLANs (802.1Q), macvlan and ipvlan children.
//!
//! As in Linux, a frame that a device receives is first offered to its VLANs by tag, then to its children by address,
//! and what is left is for the device's own stack (or its bridge). What these devices send leaves by the parent, except
//! where [`linkspan_switch::macvlan`] or [`linkspan_switch::ipvlan`] says that another child is meant, or that the
//! parent's namespace routes the packet. A parent that goes takes them along.
//!
//! Limits: a VLAN's tag has priority 0; priority tags without a VLAN are nobody's.

use std::net::{IpAddr, Ipv6Addr};

use linkspan_nat::ruleset::Hook;
use linkspan_switch::ethernet::{ETHERNET_HEADER_LEN, EtherType, EthernetHeader};
use linkspan_switch::frame::Frame;
use linkspan_switch::ipvlan::{self, Addresses};
use linkspan_switch::mac::MacAddress;
use linkspan_switch::macvlan::{self, Egress, Ingress, MacvlanError};
use linkspan_switch::vlan::{self, VlanId, VlanTag};

use super::Engine;
use super::apply::{ApplyError, wrong_kind};
use super::device::{Children, Device, Kind, Uppers, child_of, device_of};
use super::ethernet::with_header;
use super::event::DropReason;
use super::id::DeviceId;
use super::plan::{DeviceName, IpvlanFlag, IpvlanMode, MacvlanMode};

/// Why a device takes no further one on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParentError {
    /// The VLAN is there.
    #[error("it has a device for VLAN {0} already")]
    VlanExists(VlanId),
    /// It is a bridge's port, or has children of another kind.
    #[error("it is in use as a bridge's port or by children of another kind")]
    Busy,
    /// What macvlan itself refuses.
    #[error(transparent)]
    Macvlan(#[from] MacvlanError),
}

/// A device that is to stand on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upper {
    Vlan(VlanId),
    Macvlan(MacvlanMode),
    Ipvlan(IpvlanMode, IpvlanFlag),
}

impl Engine {
    /// Makes a device on top of `parent`. Nothing has changed on error.
    pub(super) fn add_upper(
        &mut self,
        name: &DeviceName,
        parent_name: &DeviceName,
        upper: Upper,
        mac: Option<MacAddress>,
        mtu: u32,
    ) -> Result<DeviceId, ApplyError> {
        let parent = self.find_device(parent_name)?;
        let gone = || ApplyError::NoDevice(parent_name.clone());
        let own = self.next_device();
        let drawn = mac.unwrap_or_else(|| self.random_mac());
        let below = self.devices[parent.index()].as_mut().ok_or_else(gone)?;
        if matches!(below.kind, Kind::Loopback | Kind::Macvlan { .. } | Kind::Ipvlan { .. }) {
            return Err(wrong_kind(parent_name, "a device that others can stand on"));
        }
        let refused = |reason| ApplyError::Parent { parent: parent_name.clone(), reason };
        let mtu = mtu.min(below.mtu);
        let port = below.master.is_some();
        let (below_mac, home) = (below.mac, below.namespace);
        let mut uppers = below.uppers.take().unwrap_or_default();
        let made = match upper {
            Upper::Vlan(id) if uppers.vlans.contains_key(&id) => Err(ParentError::VlanExists(id)),
            Upper::Vlan(id) => {
                uppers.vlans.insert(id, own);
                Ok((Kind::Vlan { parent, id }, mac.unwrap_or(below_mac)))
            }
            Upper::Macvlan(_) | Upper::Ipvlan(..) if port => Err(ParentError::Busy),
            Upper::Macvlan(_) if matches!(uppers.children, Children::Ipvlan(_)) => Err(ParentError::Busy),
            Upper::Ipvlan(..) if matches!(uppers.children, Children::Macvlan(_)) => Err(ParentError::Busy),
            Upper::Ipvlan(mode, flag) => {
                let mut children = match std::mem::take(&mut uppers.children) {
                    Children::Ipvlan(children) => children,
                    Children::None | Children::Macvlan(_) => ipvlan::Parent::new(mode, flag),
                };
                children.set(mode, flag);
                children.add(child_of(own));
                uppers.children = Children::Ipvlan(children);
                Ok((Kind::Ipvlan { parent }, below_mac))
            }
            Upper::Macvlan(mode) => {
                let mac = if mode == MacvlanMode::Passthru { below_mac } else { drawn };
                let mut children = match std::mem::take(&mut uppers.children) {
                    Children::Macvlan(children) => children,
                    Children::None | Children::Ipvlan(_) => macvlan::Parent::new(),
                };
                let added = children.add(child_of(own), mac, mode);
                if !children.is_empty() {
                    uppers.children = Children::Macvlan(children);
                }
                added.map(|()| (Kind::Macvlan { parent }, mac)).map_err(ParentError::from)
            }
        };
        if !uppers.is_empty() {
            below.uppers = Some(uppers);
        }
        let (kind, mac) = made.map_err(refused)?;
        if matches!(kind, Kind::Macvlan { .. }) {
            self.admit(parent, mac);
        }
        let space = self.find_namespace(&name.namespace)?;
        let number = self.take_number(space, home);
        self.insert_device(name, kind, mac, mtu, number)
    }

    /// Takes a device that has been removed off its parent.
    pub(super) fn leave_parent(&mut self, device: DeviceId, removed: &Device) {
        let Some(parent) = removed.parent() else { return };
        let Some(Some(below)) = self.devices.get_mut(parent.index()) else { return };
        let Some(uppers) = below.uppers.as_mut() else { return };
        match removed.kind {
            Kind::Vlan { id, .. } => {
                uppers.vlans.remove(&id);
            }
            _ => {
                let empty = match &mut uppers.children {
                    Children::None => false,
                    Children::Macvlan(children) => {
                        children.remove(child_of(device));
                        children.is_empty()
                    }
                    Children::Ipvlan(children) => {
                        children.remove(child_of(device));
                        children.is_empty()
                    }
                };
                if empty {
                    uppers.children = Children::None;
                }
            }
        }
        if uppers.is_empty() {
            below.uppers = None;
        }
        if removed.mac != below.mac
            && let Kind::Bridge(bridge) = &mut below.kind
        {
            bridge.switch.remove_address(removed.mac, None);
        }
    }

    /// A child's hardware address changes. Nothing has changed on error.
    pub(super) fn move_child(&mut self, device: DeviceId, mac: MacAddress) -> Result<(), ParentError> {
        let Some(Some(child)) = self.devices.get(device.index()) else { return Ok(()) };
        let (Kind::Macvlan { parent }, before) = (&child.kind, child.mac) else { return Ok(()) };
        let parent = *parent;
        let Some(Some(below)) = self.devices.get_mut(parent.index()) else { return Ok(()) };
        if let Some(Uppers { children: Children::Macvlan(children), .. }) = below.uppers.as_deref_mut() {
            children.set_address(child_of(device), mac)?;
        }
        if let Kind::Bridge(bridge) = &mut below.kind {
            bridge.switch.remove_address(before, None);
        }
        self.admit(parent, mac);
        Ok(())
    }

    /// A bridge takes in frames for the stations behind it.
    fn admit(&mut self, parent: DeviceId, mac: MacAddress) {
        if let Some(Kind::Bridge(bridge)) = self.devices[parent.index()].as_mut().map(|d| &mut d.kind) {
            // A station's address: that was looked at.
            let _ = bridge.switch.add_local(mac);
        }
    }

    /// Offers a frame that a device received to those that stand on it. Gives it back if it is for the device's own
    /// stack as well, or only for that.
    #[cold]
    pub(super) fn uppers_ingress(&mut self, device: DeviceId, mut frame: Frame) -> Option<Frame> {
        // What is remembered of a flow belongs to the namespace that it ends in.
        self.draft = None;
        let below = self.devices.get(device.index())?.as_ref()?;
        let Some(uppers) = &below.uppers else { return Some(frame) };
        if let Ok(Some(VlanTag { id: Some(id), .. })) = vlan::peek(frame.bytes())
            && let Some(upper) = uppers.vlans.get(&id).copied()
        {
            // The tag is there and whole: it was read.
            let _ = vlan::pop(&mut frame);
            self.fifo.push(upper, frame);
            return None;
        }
        let Ok(header) = EthernetHeader::parse(frame.bytes()) else { return Some(frame) };
        let decision = match &uppers.children {
            Children::None => return Some(frame),
            Children::Macvlan(parent) => parent.ingress(header.source, header.destination),
            Children::Ipvlan(parent) => {
                let addresses = Addresses::parse(frame.bytes());
                let decision = parent.ingress(below.mac, &header, addresses);
                if let (Ingress::Child(child), IpvlanMode::L3s) = (&decision, parent.mode()) {
                    let child = device_of(*child);
                    self.filtered_ingress(device, child, header, frame);
                    return None;
                }
                decision
            }
        };
        match decision {
            Ingress::Parent => Some(frame),
            Ingress::Child(child) => {
                self.fifo.push(device_of(child), frame);
                None
            }
            Ingress::Group(children) => {
                self.copy_to_children(children, &frame);
                Some(frame)
            }
            Ingress::Isolated => {
                let namespace = below.namespace;
                self.drop_frame(frame, Some(namespace), Some(device), DropReason::ChildIsolated);
                None
            }
        }
    }

    /// A device that stands on another one sends a frame.
    #[cold]
    pub(super) fn upper_egress(&mut self, device: DeviceId, mut frame: Frame) {
        let Some(Some(sender)) = self.devices.get(device.index()) else {
            return self.drop_frame(frame, None, Some(device), DropReason::Gone);
        };
        let namespace = sender.namespace;
        let Some(parent) = sender.parent() else {
            return self.drop_frame(frame, Some(namespace), Some(device), DropReason::NoCarrier);
        };
        if let Kind::Vlan { id, .. } = sender.kind {
            if vlan::push(&mut frame, VlanTag::new(id)).is_err() {
                return self.drop_frame(frame, Some(namespace), Some(device), DropReason::BadFrame);
            }
            return self.transmit(parent, frame, None);
        }
        let Ok(header) = EthernetHeader::parse(frame.bytes()) else {
            return self.drop_frame(frame, Some(namespace), Some(device), DropReason::BadFrame);
        };
        let below = self.devices.get(parent.index()).and_then(Option::as_ref);
        let decision = match below.and_then(|below| below.uppers.as_deref()) {
            Some(Uppers { children: Children::Macvlan(children), .. }) => {
                children.egress(child_of(device), header.destination)
            }
            Some(Uppers { children: Children::Ipvlan(children), .. }) => {
                let addresses = Addresses::parse(frame.bytes());
                let decision = children.egress(child_of(device), &header, addresses);
                return self.ipvlan_egress(device, parent, decision, frame);
            }
            Some(Uppers { children: Children::None, .. }) | None => Egress::Wire,
        };
        match decision {
            Egress::Wire => self.transmit(parent, frame, None),
            // Through the parent's door, so that a capture there shows it; its ingress finds the same child.
            Egress::Sibling(_) => self.fifo.push(parent, frame),
            Egress::GroupAndWire(children) => {
                self.copy_to_children(children, &frame);
                self.transmit(parent, frame, None);
            }
            Egress::Own => self.drop_frame(frame, Some(namespace), Some(device), DropReason::BridgeSamePort),
        }
    }

    fn ipvlan_egress(
        &mut self,
        device: DeviceId,
        parent: DeviceId,
        decision: ipvlan::Egress,
        mut frame: Frame,
    ) {
        let reason = match decision {
            ipvlan::Egress::Wire => return self.transmit(parent, frame, None),
            ipvlan::Egress::Parent => {
                return self.fifo.push(parent, frame);
            }
            ipvlan::Egress::Sibling(child) => {
                return self.fifo.push(device_of(child), frame);
            }
            ipvlan::Egress::GroupAndWire(children) => {
                self.copy_to_children(children, &frame);
                return self.transmit(parent, frame, None);
            }
            ipvlan::Egress::Route => {
                let Some(Some(below)) = self.devices.get(parent.index()) else {
                    return self.drop_frame(frame, None, Some(device), DropReason::Gone);
                };
                let namespace = below.namespace;
                frame.pull_front(ETHERNET_HEADER_LEN);
                return self.ip_send_by(namespace, parent, frame);
            }
            ipvlan::Egress::Isolated => DropReason::ChildIsolated,
            ipvlan::Egress::Unroutable => DropReason::NotForUs,
        };
        self.drop_frame(frame, None, Some(device), reason);
    }

    /// In L3S mode what arrives for a child passes PREROUTING and INPUT of the parent's namespace.
    fn filtered_ingress(
        &mut self,
        parent: DeviceId,
        child: DeviceId,
        header: EthernetHeader,
        mut frame: Frame,
    ) {
        let Some(Some(below)) = self.devices.get(parent.index()) else {
            return self.drop_frame(frame, None, Some(parent), DropReason::Gone);
        };
        let namespace = below.namespace;
        if header.ethertype == EtherType::ARP {
            return self.drop_frame(frame, Some(namespace), Some(parent), DropReason::NotForUs);
        }
        frame.pull_front(ETHERNET_HEADER_LEN);
        let Some(packet) = self.parse_packet(namespace, parent, None, frame, None) else { return };
        let Some(packet) = self.hook(namespace, Hook::Prerouting, packet, Some(parent), None) else { return };
        let Some(packet) = self.hook(namespace, Hook::Input, packet, Some(parent), None) else { return };
        let frame = with_header(packet.frame, header);
        self.fifo.push(child, frame);
    }

    /// An ipvlan child has an address, or has it no more.
    pub(super) fn child_address(&mut self, device: DeviceId, address: IpAddr, has: bool) {
        let Some(Some(Device { kind: Kind::Ipvlan { parent }, .. })) = self.devices.get(device.index())
        else {
            return;
        };
        let parent = *parent;
        if let Some(Some(below)) = self.devices.get_mut(parent.index())
            && let Some(Uppers { children: Children::Ipvlan(children), .. }) = below.uppers.as_deref_mut()
        {
            match has {
                true => children.add_address(child_of(device), address),
                false => children.remove_address(child_of(device), address),
            }
        }
    }

    fn ipvlan_parent(&self, device: DeviceId) -> Option<&ipvlan::Parent> {
        let Kind::Ipvlan { parent } = self.devices.get(device.index())?.as_ref()?.kind else { return None };
        match &self.devices.get(parent.index())?.as_ref()?.uppers.as_ref()?.children {
            Children::Ipvlan(children) => Some(children),
            Children::None | Children::Macvlan(_) => None,
        }
    }

    /// What stands in for a neighbour's hardware address on a device without a link: its own, as for `IFF_NOARP`.
    pub(super) fn mac_without_link(&self, device: DeviceId) -> Option<MacAddress> {
        self.ipvlan_parent(device).filter(|parent| parent.mode() != IpvlanMode::L2)?;
        Some(self.devices.get(device.index())?.as_ref()?.mac)
    }

    /// The IPv6 link-local address that a device makes for itself.
    pub(super) fn link_local_of(&self, device: DeviceId, mac: MacAddress) -> Ipv6Addr {
        let parent = self.ipvlan_parent(device);
        parent.map_or_else(|| mac.eui64_link_local(), |parent| parent.link_local(child_of(device), mac))
    }

    /// A device has another hardware address: its ipvlan children follow.
    pub(super) fn follow_parent(&mut self, parent: DeviceId, mac: MacAddress) {
        let Some(Some(below)) = self.devices.get(parent.index()) else { return };
        let Some(Uppers { children: Children::Ipvlan(children), .. }) = below.uppers.as_deref() else {
            return;
        };
        let children: Vec<DeviceId> = children.children().map(device_of).collect();
        for child in children {
            if let Some(Some(child)) = self.devices.get_mut(child.index()) {
                child.mac = mac;
            }
        }
    }

    /// A copy for each child that is up.
    fn copy_to_children(&mut self, children: Vec<macvlan::ChildId>, frame: &Frame) {
        for device in children.into_iter().map(device_of) {
            if self.devices.get(device.index()).and_then(Option::as_ref).is_some_and(|child| child.up) {
                self.fifo.push(device, frame.share());
            }
        }
    }
}
