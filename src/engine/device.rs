//! Network devices: what a namespace's packets enter and leave by.

use std::net::IpAddr;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;
use linkspan_switch::bridge::{Bridge, PortId};
use linkspan_switch::mac::MacAddress;

use super::id::{DeviceId, LinkId, NamespaceId};
use super::view::{Counters, InterfaceKind};

/// A device.
pub(crate) struct Device {
    pub(crate) namespace: NamespaceId,
    pub(crate) name: InterfaceName,
    /// Interface index as programs see it; unique in the engine and never reused.
    pub(crate) index: u32,
    pub(crate) mac: MacAddress,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) kind: Kind,
    /// The bridge this device is a port of.
    pub(crate) master: Option<(DeviceId, PortId)>,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) route_localnet: bool,
    pub(crate) ipv6_disabled: bool,
    pub(crate) counters: Counters,
}

/// What kind of device, with what only that kind has.
pub(crate) enum Kind {
    Loopback,
    Dummy,
    /// `link` is there once a quality was set: a wire between the two ends.
    Veth {
        peer: DeviceId,
        link: Option<(LinkId, usize)>,
    },
    Nic {
        link: Option<(LinkId, usize)>,
    },
    Bridge(Box<BridgeDevice>),
    External,
}

/// A bridge and which device is which port.
pub(crate) struct BridgeDevice {
    pub(crate) switch: Bridge,
    /// Indexed by port number.
    pub(crate) ports: Vec<Option<DeviceId>>,
    /// An MTU set by hand, which ports no longer change.
    pub(crate) fixed_mtu: Option<u32>,
}

impl BridgeDevice {
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
        }
    }

    /// True if frames have Ethernet headers.
    pub(crate) fn is_ethernet(&self) -> bool {
        !matches!(self.kind, Kind::Loopback)
    }
}
