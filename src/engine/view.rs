//! Tables of a namespace as programs see them (`ip`, `netstat`, `bridge`): plain values, copied at the moment of asking.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
// Rules and connections are values already.
pub use linkspan_nat::conntrack::{Connection, ConnectionId};
pub use linkspan_nat::ruleset::RuleSet;
use linkspan_switch::mac::MacAddress;

use super::event::NeighbourState;
use super::id::DeviceId;
use super::plan::{IpvlanFlag, IpvlanMode, MacvlanMode, Transport, VlanId};

/// What there is to know of a device without counting anything: for those who look at many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceGist {
    /// Its name.
    pub name: String,
    /// Its addresses, prefixes included.
    pub addresses: Vec<IpNet>,
    /// It is a bridge.
    pub is_bridge: bool,
    /// It is a bridge's port.
    pub is_port: bool,
    /// Its largest packet.
    pub mtu: u32,
    /// The device of the same namespace and the VLAN of it that this one stands for.
    pub vlan: Option<(String, VlanId)>,
}

/// A network device.
#[derive(Debug, Clone, PartialEq)]
pub struct InterfaceView {
    /// Which device, unique in the engine.
    pub id: DeviceId,
    /// Interface index, unique in the namespace, as `ip link` prints it.
    pub index: u32,
    /// Name.
    pub name: String,
    /// What kind of device.
    pub kind: InterfaceKind,
    /// Administratively up.
    pub up: bool,
    /// Up and plugged in (`LOWER_UP`).
    pub running: bool,
    /// Maximum transmission unit.
    pub mtu: u32,
    /// Hardware address; all zero on loopback.
    pub mac: MacAddress,
    /// Addresses in the order they were added, IPv4 before IPv6.
    pub addresses: Vec<AddressView>,
    /// Index of the other end of a veth, or of the device that this one stands on, in its own namespace.
    pub peer: Option<u32>,
    /// Which device that is.
    pub peer_id: Option<DeviceId>,
    /// What it is to the device that it stands on.
    pub upper: Option<UpperView>,
    /// True if the other end lives in another namespace (`@if7`); false prints its name.
    pub peer_elsewhere: bool,
    /// The bridge it is a port of.
    pub master: Option<String>,
    /// And which of its ports.
    pub port: Option<BridgePortView>,
    /// Counters.
    pub counters: Counters,
}

/// A port of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgePortView {
    /// From 1, in the order the ports were added.
    pub number: u16,
    /// Frames may leave by the port they came from.
    pub hairpin: bool,
    /// It does not reach other isolated ports.
    pub isolated: bool,
}

/// Kernel settings of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsView {
    /// `net.ipv4.ip_forward`
    pub ipv4_forward: bool,
    /// `net.ipv6.conf.all.forwarding`
    pub ipv6_forward: bool,
    /// `net.ipv6.conf.all.disable_ipv6`
    pub ipv6_disabled: bool,
    /// `net.bridge.bridge-nf-call-iptables` and `-ip6tables`
    pub bridge_netfilter: bool,
    /// `net.ipv4.ip_local_port_range`
    pub local_ports: (u16, u16),
}

/// Kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceKind {
    /// `lo`.
    Loopback,
    /// A bridge.
    Bridge,
    /// A virtual cable's end.
    Veth,
    /// A device that drops everything.
    Dummy,
    /// A physical NIC.
    Nic,
    /// The edge to the outside of the engine.
    External,
    /// A VLAN of another device.
    Vlan,
    /// A station of its own behind another device.
    Macvlan,
    /// A station behind another device, with that one's hardware address.
    Ipvlan,
}

/// What a device is to the one it stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpperView {
    /// One of its VLANs.
    Vlan(VlanId),
    /// A station behind it.
    Macvlan(MacvlanMode),
    /// A station behind it that has its hardware address.
    Ipvlan(IpvlanMode, IpvlanFlag),
}

impl fmt::Display for UpperView {
    /// As `ip -d link` says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpperView::Vlan(id) => write!(f, "vlan protocol 802.1Q id {id}"),
            UpperView::Macvlan(mode) => write!(f, "macvlan mode {mode}"),
            UpperView::Ipvlan(mode, flag) => write!(f, "ipvlan mode {mode} {flag}"),
        }
    }
}

/// An address on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressView {
    /// Address and prefix length.
    pub address: IpNet,
    /// Scope: host for 127.0.0.0/8 and ::1, link for fe80::/10, global otherwise.
    pub scope: Scope,
    /// Whether the device may use it.
    pub state: AddressState,
}

/// How far duplicate address detection has come for an address (RFC 4862 section 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressState {
    /// Nobody else has it; also every IPv4 address.
    Valid,
    /// Nobody was asked (`IFA_F_NODAD`).
    Undetected,
    /// Somebody may still object (`IFA_F_TENTATIVE`).
    Tentative,
    /// Somebody else has it (`IFA_F_DADFAILED`): the device does not use it.
    Duplicate,
}

/// Scope of an address or route (`rtnetlink(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere.
    Global,
    /// On this link only.
    Link,
    /// In this namespace only.
    Host,
}

/// Packet and byte counters of a device, as `ip -s link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames received.
    pub received_packets: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Received frames dropped.
    pub received_dropped: u64,
    /// Multicast frames received.
    pub received_multicast: u64,
    /// Frames sent.
    pub transmitted_packets: u64,
    /// Bytes sent.
    pub transmitted_bytes: u64,
    /// Frames to send that were dropped.
    pub transmitted_dropped: u64,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteView {
    /// Destination prefix.
    pub destination: IpNet,
    /// Gateway, if not on-link.
    pub gateway: Option<IpAddr>,
    /// Outgoing device.
    pub device: String,
    /// Preferred source address.
    pub source: Option<IpAddr>,
    /// Metric.
    pub metric: u32,
    /// Made by the kernel when the address was added (`proto kernel`).
    pub connected: bool,
}

/// A neighbour entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourView {
    /// Its address.
    pub address: IpAddr,
    /// The device it is on.
    pub device: String,
    /// Its hardware address, if known.
    pub mac: Option<MacAddress>,
    /// State.
    pub state: NeighbourState,
    /// Requests sent for it, as Linux counts them.
    pub probes: u8,
}

/// An entry of a bridge's forwarding table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FdbView {
    /// The hardware address.
    pub mac: MacAddress,
    /// The port's device, or the bridge itself for its own addresses.
    pub device: String,
    /// The bridge.
    pub bridge: String,
    /// Belongs to a device of this namespace and is never aged.
    pub permanent: bool,
    /// Time since a frame with this source was last seen.
    pub age: Duration,
}

/// A local socket, as `netstat` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketView {
    /// Transport.
    pub transport: Transport,
    /// Local address and port.
    pub local: SocketAddr,
    /// It is of IPv6 and takes no IPv4 (`IPV6_V6ONLY`), which one bound to an address of its own never does.
    pub v6only: bool,
    /// Remote address and port, if connected.
    pub remote: Option<SocketAddr>,
    /// State word of `netstat` (`LISTEN`, `ESTABLISHED`, ...; empty for unconnected UDP).
    pub state: String,
    /// Bytes received and not read yet.
    pub receive_queue: usize,
    /// Bytes written and not acknowledged yet.
    pub send_queue: usize,
    /// Of a listening socket: connections that may wait to be accepted.
    pub backlog: Option<usize>,
    /// The program that opened it, as `netstat -p` prints it: id and name.
    pub program: Option<String>,
}
