//! Network devices: what a namespace's packets enter and leave by.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;
use linkspan_switch::bridge::{Bridge, PortId};
use linkspan_switch::ipvlan;
use linkspan_switch::mac::MacAddress;
use linkspan_switch::macvlan::{self, ChildId};
use linkspan_switch::vlan::VlanId;

use super::id::{DeviceId, LinkId, NamespaceId};
use super::interface_settings::Ipv4Settings;
use super::view::{Counters, InterfaceKind};

/// A device.
pub(crate) struct Device {
    pub(crate) namespace: NamespaceId,
    pub(crate) name: InterfaceName,
    /// Interface number as programs see it, unique in the namespace: the next of the namespace that the device was made in.
    pub(crate) index: u32,
    pub(crate) mac: MacAddress,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) kind: Kind,
    /// The bridge this device is a port of.
    pub(crate) master: Option<(DeviceId, PortId)>,
    /// The devices that stand on this one.
    pub(crate) uppers: Option<Box<Uppers>>,
    pub(crate) addresses: Vec<IpNet>,
    /// `net.ipv4.conf.DEVICE.forwarding`.
    pub(crate) ipv4_forward: bool,
    /// What else of `net.ipv4.conf` packets and ARP messages ask for.
    pub(crate) ipv4: Ipv4Settings,
    pub(crate) ipv6_disabled: bool,
    pub(crate) counters: Counters,
}

/// What kind of device, with what only that kind has.
pub(crate) enum Kind {
    Loopback,
    Dummy,
    /// `link` is there once a quality was set: a wire between the two ends. `moved` is true if the end that was made as the
    /// other one's peer came with that one's number.
    Veth {
        peer: DeviceId,
        link: Option<(LinkId, usize)>,
        moved: bool,
    },
    Nic {
        link: Option<(LinkId, usize)>,
    },
    Bridge(Box<BridgeDevice>),
    External,
    Vlan {
        parent: DeviceId,
        id: VlanId,
    },
    Macvlan {
        parent: DeviceId,
    },
    Ipvlan {
        parent: DeviceId,
    },
}

/// The devices that stand on another one and share its wire.
#[derive(Default)]
pub(crate) struct Uppers {
    pub(crate) vlans: BTreeMap<VlanId, DeviceId>,
    pub(crate) children: Children,
}

/// Stations behind a parent device. Linux allows one kind only on one parent.
#[derive(Default)]
pub(crate) enum Children {
    #[default]
    None,
    Macvlan(macvlan::Parent),
    Ipvlan(ipvlan::Parent),
}

impl Uppers {
    /// All of them.
    pub(crate) fn devices(&self) -> Vec<DeviceId> {
        let mut devices: Vec<DeviceId> = self.vlans.values().copied().collect();
        match &self.children {
            Children::None => {}
            Children::Macvlan(parent) => devices.extend(parent.children().map(device_of)),
            Children::Ipvlan(parent) => devices.extend(parent.children().map(device_of)),
        }
        devices
    }

    /// True if the device is a parent of stations.
    pub(crate) fn has_children(&self) -> bool {
        !matches!(self.children, Children::None)
    }

    /// True if nothing stands on the device.
    pub(crate) fn is_empty(&self) -> bool {
        self.vlans.is_empty() && matches!(self.children, Children::None)
    }
}

/// The device behind a child's number.
pub(crate) fn device_of(child: ChildId) -> DeviceId {
    DeviceId(child.0)
}

/// The number of a device among the children of its parent.
pub(crate) fn child_of(device: DeviceId) -> ChildId {
    ChildId(device.0)
}

/// A bridge and which device is which port.
pub(crate) struct BridgeDevice {
    pub(crate) switch: Bridge,
    /// Indexed by port number.
    pub(crate) ports: Vec<Option<DeviceId>>,
    /// An MTU set by hand, which ports no longer change.
    pub(crate) fixed_mtu: Option<u32>,
    /// The ports' MTUs, and how many ports have each.
    pub(crate) port_mtus: BTreeMap<u32, u32>,
    /// How many ports are up and carry.
    pub(crate) ports_up: u32,
}

impl BridgeDevice {
    /// A bridge without ports.
    pub(crate) fn new(switch: Bridge, fixed_mtu: Option<u32>) -> BridgeDevice {
        BridgeDevice { switch, ports: Vec::new(), fixed_mtu, port_mtus: BTreeMap::new(), ports_up: 0 }
    }

    /// Counts a port in by its MTU.
    pub(crate) fn count_in(&mut self, mtu: u32) {
        *self.port_mtus.entry(mtu).or_default() += 1;
    }

    /// Counts a port out that was counted in with this MTU.
    pub(crate) fn count_out(&mut self, mtu: u32) {
        if let Some(count) = self.port_mtus.get_mut(&mtu) {
            *count -= 1;
            if *count == 0 {
                self.port_mtus.remove(&mtu);
            }
        }
    }

    /// The device behind a port.
    pub(crate) fn device(&self, port: PortId) -> Option<DeviceId> {
        self.ports.get(usize::from(port.0)).copied().flatten()
    }
}

impl Device {
    /// True if the device has this address.
    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.addr() == address)
    }

    /// The kind as programs see it.
    pub(crate) fn interface_kind(&self) -> InterfaceKind {
        match self.kind {
            Kind::Loopback => InterfaceKind::Loopback,
            Kind::Dummy => InterfaceKind::Dummy,
            Kind::Veth { .. } => InterfaceKind::Veth,
            Kind::Nic { .. } => InterfaceKind::Nic,
            Kind::Bridge(_) => InterfaceKind::Bridge,
            Kind::External => InterfaceKind::External,
            Kind::Vlan { .. } => InterfaceKind::Vlan,
            Kind::Macvlan { .. } => InterfaceKind::Macvlan,
            Kind::Ipvlan { .. } => InterfaceKind::Ipvlan,
        }
    }

    /// The device whose wire this one uses.
    pub(crate) fn parent(&self) -> Option<DeviceId> {
        match self.kind {
            Kind::Vlan { parent, .. } | Kind::Macvlan { parent } | Kind::Ipvlan { parent } => Some(parent),
            Kind::Loopback
            | Kind::Dummy
            | Kind::Veth { .. }
            | Kind::Nic { .. }
            | Kind::Bridge(_)
            | Kind::External => None,
        }
    }

    /// The other end of a veth, or the device that this one stands on.
    pub(crate) fn beneath(&self) -> Option<DeviceId> {
        match self.kind {
            Kind::Veth { peer, .. } => Some(peer),
            _ => self.parent(),
        }
    }

    /// False if what the device carries is too short for IPv6 (RFC 8200 section 5): Linux then takes IPv6 from it.
    pub(crate) fn carries_ipv6(&self) -> bool {
        const IPV6_MIN_MTU: u32 = 1_280;
        self.mtu >= IPV6_MIN_MTU || matches!(self.kind, Kind::Loopback)
    }

    /// True if frames have Ethernet headers.
    pub(crate) fn is_ethernet(&self) -> bool {
        !matches!(self.kind, Kind::Loopback)
    }
}
