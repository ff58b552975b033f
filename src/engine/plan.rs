//! How the engine is programmed: a [`Plan`] is a list of typed operations, each with an [`Owner`].
//!
//! `Engine::apply` is all-or-nothing: when one operation fails, those before it are undone in reverse and the error
//! names the operation. Nobody writes teardown code: [`Op::RemoveOwner`] undoes an owner's operations in reverse and
//! flushes the connections it owned. An operation that is already gone (a user's `iptables -F`, a device that left
//! with its namespace) is no error.
//!
//! Names, not ids, address namespaces and devices: whoever writes a plan (a Docker driver) has never seen the engine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
pub use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::{Family, Rule};
use linkspan_nat::ruleset::{Hook, Table};
pub use linkspan_switch::ipvlan::{Flag as IpvlanFlag, Mode as IpvlanMode};
pub use linkspan_switch::mac::MacAddress;
pub use linkspan_switch::macvlan::Mode as MacvlanMode;
pub use linkspan_switch::vlan::VlanId;

use super::id::ServiceId;
pub use super::interface_settings::{InterfaceParameter, InterfaceSetting, SettingScope};
pub use super::namespace_settings::NamespaceSetting;

/// The name of a network namespace: unique in an engine, chosen by whoever creates it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName(Arc<str>);

impl NamespaceName {
    /// A name as given; any text is allowed.
    pub fn new(name: impl AsRef<str>) -> NamespaceName {
        NamespaceName(Arc::from(name.as_ref()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who an operation belongs to. The numbers are the programmer's own; the engine only compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The machine itself: what was there before any daemon.
    Machine(u32),
    /// A Docker daemon's own chains and sysctls.
    Daemon(u32),
    /// A Docker network's devices.
    Network(u32),
    /// Packet filter rules of a Docker network or of a legacy link, which a restart of the daemon writes anew.
    Rules(u32),
    /// A container's sandbox: its namespace and loopback.
    Sandbox(u32),
    /// A container's attachment to a network.
    Endpoint(u32),
    /// A published port.
    Binding(u32),
    /// The sockets of a container's embedded name server.
    Resolver(u32),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Machine(n) => write!(f, "machine {n}"),
            Owner::Daemon(n) => write!(f, "daemon {n}"),
            Owner::Network(n) => write!(f, "network {n}"),
            Owner::Rules(n) => write!(f, "rules of network {n}"),
            Owner::Sandbox(n) => write!(f, "sandbox {n}"),
            Owner::Endpoint(n) => write!(f, "endpoint {n}"),
            Owner::Binding(n) => write!(f, "binding {n}"),
            Owner::Resolver(n) => write!(f, "resolver {n}"),
        }
    }
}

/// A list of operations with their owners, in the order they are applied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The operations.
    pub entries: Vec<Entry>,
}

/// One operation and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Who owns the operation.
    pub owner: Owner,
    /// What to do.
    pub op: Op,
}

impl Plan {
    /// An empty plan.
    pub fn new() -> Plan {
        Plan::default()
    }

    /// Adds an operation at the end.
    pub fn push(&mut self, owner: Owner, op: Op) {
        self.entries.push(Entry { owner, op });
    }

    /// Adds the removal of everything an owner has.
    pub fn remove_owner(&mut self, owner: Owner) {
        self.push(owner, Op::RemoveOwner);
    }

    /// Adds another plan's operations at the end.
    pub fn extend(&mut self, other: Plan) {
        self.entries.extend(other.entries);
    }

    /// True if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A device in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName {
    /// The namespace it lives in.
    pub namespace: NamespaceName,
    /// Its name there.
    pub name: InterfaceName,
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.name, self.namespace)
    }
}

/// What kind of device to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSpec {
    /// An Ethernet bridge; its own port belongs to its namespace.
    Bridge,
    /// One end of a virtual cable; the other end is made at the same time.
    Veth {
        /// The other end.
        peer: DeviceName,
        /// The other end's hardware address; `None` draws one from the seed.
        peer_mac: Option<MacAddress>,
        /// Whether the other end is made beside this one and moved to its namespace, with the interface number that it
        /// got; false makes it there, with that namespace's next number.
        moved: bool,
    },
    /// A device that drops whatever is sent through it.
    Dummy,
    /// A physical NIC, without a wire until [`Op::Connect`] plugs one in.
    Nic,
    /// The edge to the outside of the engine (a TAP device, a socket): frames sent through it become outputs.
    External,
    /// A VLAN of another device (802.1Q): its frames carry the tag on that device, and tagged frames that arrive there
    /// are this device's.
    Vlan {
        /// The device whose wire it uses.
        parent: DeviceName,
        /// The VLAN.
        id: VlanId,
    },
    /// A station of its own behind another device, which may be in another namespace. In passthru mode it has its
    /// parent's hardware address, whatever is asked for.
    Macvlan {
        /// The device whose wire it uses; not a bridge's port.
        parent: DeviceName,
        /// Whom it reaches without leaving the machine.
        mode: MacvlanMode,
    },
    /// A station behind another device that shares its hardware address, whatever is asked for. Mode and flag are the
    /// parent's: all its children have those of the last one made.
    Ipvlan {
        /// The device whose wire it uses; not a bridge's port.
        parent: DeviceName,
        /// At which layer the children are joined.
        mode: IpvlanMode,
        /// Which children reach each other.
        flag: IpvlanFlag,
    },
}

/// Where a rule goes in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// After the last rule.
    Append,
    /// Before the first rule, as `iptables -I`.
    Insert,
    /// After the last rule, unless the chain has an equal rule or is not there.
    AppendMissing,
}

/// A per-namespace or per-device kernel setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sysctl {
    /// `net.ipv4.ip_forward`, which is `net.ipv4.conf.all.forwarding`: all interfaces follow.
    Ipv4Forward(bool),
    /// `net.ipv6.conf.all.forwarding`.
    Ipv6Forward(bool),
    /// `net.ipv4.conf.*` and `net.ipv6.conf.*` as far as they are none of the others here.
    Interface(InterfaceSetting),
    /// `net.ipv6.conf.DEVICE.disable_ipv6`.
    DisableIpv6(InterfaceName, bool),
    /// `net.ipv6.conf.all.disable_ipv6`.
    DisableIpv6All(bool),
    /// `net.bridge.bridge-nf-call-iptables` and `-ip6tables`.
    BridgeNetfilter(bool),
    /// `net.ipv4.ip_local_port_range`.
    LocalPortRange(u16, u16),
    /// A setting of the whole namespace that is none of the others here.
    Namespace(NamespaceSetting),
}

/// Why a kernel setting cannot be written, in the words Go's `syscall` has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no such setting.
    #[error("no such file or directory")]
    Unknown,
    /// It does not take the value.
    #[error("invalid argument")]
    Value,
}

impl Sysctl {
    /// A setting of interfaces.
    pub fn interface(scope: SettingScope, parameter: InterfaceParameter, value: i64) -> Self {
        let flag = value != 0;
        match (parameter.family(), parameter.name(), scope) {
            (Family::Ipv4, "forwarding", SettingScope::All) => Self::Ipv4Forward(flag),
            (Family::Ipv6, "forwarding", SettingScope::All) => Self::Ipv6Forward(flag),
            (Family::Ipv6, "disable_ipv6", SettingScope::All) => Self::DisableIpv6All(flag),
            (Family::Ipv6, "disable_ipv6", SettingScope::Interface(name)) => Self::DisableIpv6(name, flag),
            _ => Self::Interface(InterfaceSetting { scope, parameter, value }),
        }
    }

    /// The interface that it is a setting of, if it is one's alone.
    pub fn device(&self) -> Option<InterfaceName> {
        match self {
            Self::DisableIpv6(device, _)
            | Self::Interface(InterfaceSetting { scope: SettingScope::Interface(device), .. }) => {
                Some(*device)
            }
            Self::Ipv4Forward(_)
            | Self::Ipv6Forward(_)
            | Self::Interface(_)
            | Self::DisableIpv6All(_)
            | Self::BridgeNetfilter(_)
            | Self::LocalPortRange(..)
            | Self::Namespace(_) => None,
        }
    }

    /// `net.ipv4.conf.DEVICE.route_localnet`.
    pub fn route_localnet(device: InterfaceName, value: bool) -> Self {
        let scope = SettingScope::Interface(device);
        Self::interface(scope, InterfaceParameter::ROUTE_LOCALNET, value.into())
    }
}

/// What a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextHop {
    /// The destination is a neighbour on the device.
    OnLink,
    /// A gateway, itself a neighbour on the device.
    Gateway(IpAddr),
}

/// Whether a device asks its link for an IPv6 address before it counts it as its own (RFC 4862 section 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateDetection {
    /// It asks, as `accept_dad` and `dad_transmits` say.
    Wanted,
    /// It does not (`IFA_F_NODAD`).
    Omitted,
}

/// A transport of a [`Op::Listen`] service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP datagrams.
    Udp,
    /// TCP byte streams.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        })
    }
}

/// The quality of one direction of a wire. All zero and `None`: an ideal wire.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LinkQuality {
    /// Propagation delay.
    pub delay: std::time::Duration,
    /// The delay of each frame is up to this much shorter or longer, drawn evenly; frames keep their order.
    pub jitter: std::time::Duration,
    /// Serialisation rate in bits per second; `None` is unlimited.
    pub rate: Option<u64>,
    /// Bytes that may wait for the wire while it is busy, as `tc`'s `limit`; `None` is 1,000 full frames
    /// (`txqueuelen` of a Linux NIC).
    pub queue: Option<usize>,
    /// Probability that a frame is lost, 0 to 1.
    pub loss: f64,
    /// Probability that a frame arrives twice.
    pub duplicate: f64,
    /// Probability that a frame skips the delay and overtakes, as `tc netem reorder`.
    pub reorder: f64,
    /// Nothing passes.
    pub cut: bool,
}

/// Tracked connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// Those whose replies come from an address or go to it.
    WithReplyEnd(IpAddr),
    /// Those of UDP that were opened to a port, of this address if there is one.
    OpenedToUdp(u16, Option<IpAddr>),
}

/// One operation on the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Makes a namespace with a loopback device that is up with 127.0.0.1/8 (and ::1/128 unless IPv6 is disabled).
    AddNamespace {
        /// Its name.
        namespace: NamespaceName,
        /// `net.ipv6.conf.all.disable_ipv6` from the start.
        disable_ipv6: bool,
        /// `net.ipv4.ip_forward` from the start: a new namespace has the host's (`devconf_inherit_init_net`).
        ipv4_forward: bool,
        /// `net.ipv4.ping_group_range` of everybody and `net.ipv4.ip_unprivileged_port_start` of 0 from the start: no program
        /// needs a privilege to ping or to listen.
        unprivileged: bool,
    },
    /// Makes a device, down and without addresses.
    AddDevice {
        /// Where, and under which name.
        device: DeviceName,
        /// What kind.
        spec: DeviceSpec,
        /// Hardware address; `None` draws one from the seed.
        mac: Option<MacAddress>,
        /// Maximum transmission unit, 68 to 65,535; a device that stands on another has at most that one's.
        mtu: u32,
    },
    /// Plugs a wire between two NICs. The first quality is for frames from `a` to `b`.
    Connect {
        /// One end.
        a: DeviceName,
        /// The other end.
        b: DeviceName,
        /// Quality of each direction.
        quality: Box<[LinkQuality; 2]>,
    },
    /// Gives a device another hardware address, as `ip link set DEVICE address`; undoing it does not bring the old one
    /// back.
    SetMac {
        /// The device, not yet a port of a bridge.
        device: DeviceName,
        /// Its new hardware address; `None` draws one from the seed.
        mac: Option<MacAddress>,
    },
    /// Makes a device a port of a bridge of the same namespace. The bridge's MTU follows the smallest port's.
    SetMaster {
        /// The port.
        device: DeviceName,
        /// The bridge.
        bridge: InterfaceName,
        /// Frames may leave by the port they came from.
        hairpin: bool,
        /// Isolated ports do not reach each other.
        isolated: bool,
    },
    /// Brings a device up; IPv6 link-local addresses appear here.
    SetUp {
        /// The device.
        device: DeviceName,
    },
    /// Adds an address and the connected route of its prefix.
    AddAddress {
        /// The device.
        device: DeviceName,
        /// Address and prefix length.
        address: IpNet,
        /// Whether the device asks if somebody has it, if it is an IPv6 address.
        detection: DuplicateDetection,
    },
    /// Takes an address and the routes that need it from a device, whoever owns it; undoing it does not bring it
    /// back. Absent is no error.
    RemoveAddress {
        /// The device.
        device: DeviceName,
        /// Address and prefix length.
        address: IpNet,
    },
    /// Adds a route.
    AddRoute {
        /// The namespace.
        namespace: NamespaceName,
        /// Destination prefix; a default route is 0.0.0.0/0 or ::/0.
        destination: IpNet,
        /// Gateway or on-link.
        next_hop: NextHop,
        /// Device; `None` finds the one that reaches the gateway.
        device: Option<InterfaceName>,
        /// Preferred source address.
        source: Option<IpAddr>,
        /// Lower wins among equal prefixes.
        metric: u32,
    },
    /// Adds a permanent neighbour entry.
    AddNeighbour {
        /// The device.
        device: DeviceName,
        /// The neighbour's address.
        address: IpAddr,
        /// Its hardware address.
        mac: MacAddress,
    },
    /// Tells the neighbours of a device unasked which hardware address one of its addresses has (gratuitous ARP,
    /// unsolicited neighbour advertisement); undoing it sends no more.
    Announce {
        /// The device. While it is down or has not the address, messages are left out.
        device: DeviceName,
        /// The address.
        address: IpAddr,
        /// How many messages; the first goes out at once.
        messages: u8,
        /// Time between two messages.
        interval: std::time::Duration,
    },
    /// Nothing for now; undoing it forgets the tracked connections of a namespace whose replies come from an address or go to
    /// it (`conntrack -D` with `--reply-src` and with `--reply-dst`). Whoever gets the address next begins anew.
    ForgetConnections {
        /// The namespace that tracks them.
        namespace: NamespaceName,
        /// The address.
        address: IpAddr,
    },
    /// Forgets tracked connections of a namespace now; undoing it does not bring them back.
    FlushConnections {
        /// The namespace that tracks them.
        namespace: NamespaceName,
        /// Which.
        which: Connections,
    },
    /// Sets a kernel setting; undoing it brings the value before back.
    SetSysctl {
        /// The namespace.
        namespace: NamespaceName,
        /// Setting and value.
        sysctl: Sysctl,
    },
    /// Makes a user chain.
    AddChain {
        /// The namespace.
        namespace: NamespaceName,
        /// IPv4 or IPv6 rules.
        family: Family,
        /// The table.
        table: Table,
        /// The chain's name.
        chain: Arc<str>,
    },
    /// Adds a rule to a chain.
    AddRule {
        /// The namespace.
        namespace: NamespaceName,
        /// IPv4 or IPv6 rules.
        family: Family,
        /// The table.
        table: Table,
        /// The chain, built-in or user.
        chain: Arc<str>,
        /// Top or end.
        position: Position,
        /// The rule, which the namespace's rules then share.
        rule: Arc<Rule>,
    },
    /// Removes the first rule of the chain that equals `rule`, whoever owns it; undoing it does not bring it back.
    RemoveRule {
        /// The namespace.
        namespace: NamespaceName,
        /// IPv4 or IPv6 rules.
        family: Family,
        /// The table.
        table: Table,
        /// The chain.
        chain: Arc<str>,
        /// The rule; absent is no error.
        rule: Arc<Rule>,
    },
    /// Sets the policy of a built-in chain to ACCEPT or DROP.
    SetPolicy {
        /// The namespace.
        namespace: NamespaceName,
        /// IPv4 or IPv6 rules.
        family: Family,
        /// The table.
        table: Table,
        /// The built-in chain.
        hook: Hook,
        /// True drops what no rule decided.
        drop: bool,
    },
    /// Opens a socket whose traffic leaves the engine as values for `service` (the embedded DNS server).
    Listen {
        /// The namespace.
        namespace: NamespaceName,
        /// Address and port. Port 0 is refused: whoever plans draws the port, because rules name it.
        address: SocketAddr,
        /// UDP or TCP.
        transport: Transport,
        /// Who gets the traffic.
        service: ServiceId,
    },
    /// Moves a wire's quality, for instance to cut or heal it.
    SetLink {
        /// The NIC, or the end of a veth pair, whose outgoing direction changes.
        device: DeviceName,
        /// The new quality.
        quality: LinkQuality,
    },
    /// Takes a device down without removing it (`ip link set down`): its routes and its IPv6 addresses go.
    SetDown {
        /// The device.
        device: DeviceName,
    },
    /// Undoes everything the entry's owner has, newest first.
    RemoveOwner,
}

impl Op {
    /// Adds an address as `ip address add` does.
    pub fn add_address(device: DeviceName, address: IpNet) -> Op {
        Op::AddAddress { device, address, detection: DuplicateDetection::Wanted }
    }
}
