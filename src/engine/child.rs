//! Devices that stand on another one and share its wire: VLANs (802.1Q) and macvlan children.
//!
//! As in Linux, a frame that a device receives is first offered to its VLANs by tag, then to its children by address,
//! and what is left is for the device's own stack (or its bridge). What these devices send leaves by the parent, except
//! where [`linkspan_switch::macvlan`] says that another child is meant. A parent that goes takes them along.
//!
//! Limits: a VLAN's tag has priority 0; priority tags without a VLAN are nobody's.

use linkspan_switch::ethernet::EthernetHeader;
use linkspan_switch::frame::Frame;
use linkspan_switch::mac::MacAddress;
use linkspan_switch::macvlan::{self, Egress, Ingress, MacvlanError};
use linkspan_switch::vlan::{self, VlanId, VlanTag};

use super::apply::{ApplyError, wrong_kind};
use super::device::{Children, Device, Kind, Uppers, child_of, device_of};
use super::event::DropReason;
use super::id::DeviceId;
use super::plan::{DeviceName, MacvlanMode};
use super::{Arrival, Engine};

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
        if matches!(below.kind, Kind::Loopback | Kind::Macvlan { .. }) {
            return Err(wrong_kind(parent_name, "a device that others can stand on"));
        }
        let refused = |reason| ApplyError::Parent { parent: parent_name.clone(), reason };
        let mtu = mtu.min(below.mtu);
        let port = below.master.is_some();
        let below_mac = below.mac;
        let mut uppers = below.uppers.take().unwrap_or_default();
        let made = match upper {
            Upper::Vlan(id) if uppers.vlans.contains_key(&id) => Err(ParentError::VlanExists(id)),
            Upper::Vlan(id) => {
                uppers.vlans.insert(id, own);
                Ok((Kind::Vlan { parent, id }, mac.unwrap_or(below_mac)))
            }
            Upper::Macvlan(_) if port => Err(ParentError::Busy),
            Upper::Macvlan(mode) => {
                let mac = if mode == MacvlanMode::Passthru { below_mac } else { drawn };
                let mut children = match std::mem::take(&mut uppers.children) {
                    Children::None => macvlan::Parent::new(),
                    Children::Macvlan(children) => children,
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
        self.insert_device(name, kind, mac, mtu)
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
                if let Children::Macvlan(children) = &mut uppers.children {
                    children.remove(child_of(device));
                    if children.is_empty() {
                        uppers.children = Children::None;
                    }
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
            self.fifo.push_back(Arrival { device: upper, frame, tracked: None });
            return None;
        }
        let Ok(header) = EthernetHeader::parse(frame.bytes()) else { return Some(frame) };
        let decision = match &uppers.children {
            Children::None => return Some(frame),
            Children::Macvlan(parent) => parent.ingress(header.source, header.destination),
        };
        match decision {
            Ingress::Parent => Some(frame),
            Ingress::Child(child) => {
                self.fifo.push_back(Arrival { device: device_of(child), frame, tracked: None });
                None
            }
            Ingress::Group(children) => {
                self.to_children(children, &frame);
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
            Some(Uppers { children: Children::None, .. }) | None => Egress::Wire,
        };
        match decision {
            Egress::Wire => self.transmit(parent, frame, None),
            // Through the parent's door, so that a capture there shows it; its ingress finds the same child.
            Egress::Sibling(_) => self.fifo.push_back(Arrival { device: parent, frame, tracked: None }),
            Egress::GroupAndWire(children) => {
                self.to_children(children, &frame);
                self.transmit(parent, frame, None);
            }
            Egress::Own => self.drop_frame(frame, Some(namespace), Some(device), DropReason::BridgeSamePort),
        }
    }

    /// A copy for each child that is up.
    fn to_children(&mut self, children: Vec<macvlan::ChildId>, frame: &Frame) {
        for device in children.into_iter().map(device_of) {
            if self.devices.get(device.index()).and_then(Option::as_ref).is_some_and(|child| child.up) {
                self.fifo.push_back(Arrival { device, frame: frame.share(), tracked: None });
            }
        }
    }
}
