//! What happened: one event for every hop a packet takes and for every drop.
//!
//! Events are values with names already resolved to ids; they carry no text that a reader sees, so that a run that
//! nobody watches pays one branch per hop. Rooms above (story, explain, capture) read them and change nothing.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use linkspan_nat::netfilter::HookStep;
use linkspan_nat::ruleset::Hook;
use linkspan_switch::frame::TraceId;
use linkspan_switch::mac::MacAddress;

use super::errno::Errno;
use super::id::{DeviceId, LinkId, NamespaceId, SocketId};
use super::plan::{Owner, Transport};

/// One thing that happened, in order of `sequence`.
#[derive(Debug, Clone)]
pub struct Event {
    /// Virtual time since the start of the run.
    pub time: Duration,
    /// Position in the run's event log, from 0.
    pub sequence: u64,
    /// Which packet; a packet keeps its identity over every hop, an answer has its own.
    pub trace: TraceId,
    /// What happened.
    pub kind: EventKind,
}

impl Event {
    /// Whether a plan was applied or undone among these events, so that names and devices may have changed.
    pub fn any_change(events: &[Event]) -> bool {
        events.iter().any(|event| matches!(event.kind, EventKind::Applied { .. } | EventKind::Undone { .. }))
    }
}

/// What can happen.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// A local program's packet entered the stack of its namespace.
    Sent {
        /// The namespace.
        namespace: NamespaceId,
        /// The whole IP packet.
        packet: Bytes,
    },
    /// A device received a frame.
    Received {
        /// The device.
        device: DeviceId,
        /// The whole Ethernet frame, or the IP packet on `lo`.
        frame: Bytes,
    },
    /// A device sent a frame.
    Transmitted {
        /// The device.
        device: DeviceId,
        /// The whole Ethernet frame, or the IP packet on `lo`.
        frame: Bytes,
    },
    /// A bridge decided where a frame goes.
    Bridged {
        /// The bridge device.
        bridge: DeviceId,
        /// The port it came from; `None`: from the bridge's own namespace.
        ingress: Option<DeviceId>,
        /// The decision.
        decision: BridgeDecision,
        /// The source address was new or had moved.
        learned: Option<MacAddress>,
    },
    /// A hook of netfilter was traversed and had something to say.
    Filtered {
        /// The namespace whose rules these are.
        namespace: NamespaceId,
        /// Which hook.
        hook: Hook,
        /// Incoming device.
        ingress: Option<DeviceId>,
        /// Outgoing device.
        egress: Option<DeviceId>,
        /// The rules that were looked at, address translations, and the verdict.
        steps: Vec<HookStep>,
        /// False if the packet goes no further.
        accepted: bool,
    },
    /// A route was chosen.
    Routed {
        /// The namespace.
        namespace: NamespaceId,
        /// Where the packet goes.
        destination: IpAddr,
        /// The gateway, if not on-link.
        gateway: Option<IpAddr>,
        /// The outgoing device.
        device: DeviceId,
        /// The prefix length of the route that won.
        prefix: u8,
        /// True when the packet is passing through, false when it starts here.
        forwarded: bool,
    },
    /// A neighbour entry changed its state.
    Neighbour {
        /// The device the neighbour is on.
        device: DeviceId,
        /// Its address.
        address: IpAddr,
        /// Its hardware address, once known.
        mac: Option<MacAddress>,
        /// The new state.
        state: NeighbourState,
    },
    /// An IPv6 address that a device wanted is somebody else's.
    DuplicateAddress {
        /// The device that wanted it.
        device: DeviceId,
        /// The address.
        address: Ipv6Addr,
        /// Who has it, if that was said.
        mac: Option<MacAddress>,
    },
    /// A packet reached a local socket, or the protocol that answers for its namespace (echo, ARP, NDP).
    Delivered {
        /// The namespace.
        namespace: NamespaceId,
        /// Who took it.
        receiver: Receiver,
        /// Source address as the receiver sees it.
        source: IpAddr,
        /// Source port, 0 where the protocol has none.
        source_port: u16,
        /// Destination port, 0 where the protocol has none.
        destination_port: u16,
    },
    /// An error reached a local socket.
    SocketError {
        /// The namespace.
        namespace: NamespaceId,
        /// The socket.
        socket: SocketId,
        /// What the program will see.
        errno: Errno,
    },
    /// A packet was cut into fragments.
    Fragmented {
        /// The namespace.
        namespace: NamespaceId,
        /// How many.
        fragments: usize,
        /// The MTU that made it necessary.
        mtu: u32,
    },
    /// Fragments were put together.
    Reassembled {
        /// The namespace.
        namespace: NamespaceId,
        /// Length of the whole packet.
        length: usize,
    },
    /// A frame entered a wire and will arrive later.
    Queued {
        /// The wire.
        link: LinkId,
        /// When it arrives.
        arrival: Duration,
    },
    /// A packet ended here.
    Dropped {
        /// Where: the namespace, if the drop is at layer 3 or above.
        namespace: Option<NamespaceId>,
        /// Where: the device, if one is concerned.
        device: Option<DeviceId>,
        /// Why.
        reason: DropReason,
    },
    /// An operation of a plan was applied.
    Applied {
        /// Whose.
        owner: Owner,
        /// Number of operations.
        operations: usize,
    },
    /// An owner's operations were undone.
    Undone {
        /// Whose.
        owner: Owner,
        /// Connections flushed with it.
        connections: usize,
    },
}

/// Where a bridge sends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BridgeDecision {
    /// Out of one port: its FDB entry is known.
    Forward(DeviceId),
    /// Up into the bridge's own namespace.
    Local,
    /// Out of every other port (broadcast, multicast or unknown destination).
    Flood {
        /// Number of ports.
        ports: usize,
        /// Also up into the bridge's own namespace.
        local: bool,
    },
}

/// States of a neighbour entry (RFC 4861 section 7.3.2; the same machine serves ARP, as in Linux).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeighbourState {
    /// Asked, no answer yet.
    Incomplete,
    /// Confirmed a short while ago.
    Reachable,
    /// Known, not confirmed lately.
    Stale,
    /// In use while stale: about to be probed.
    Delay,
    /// Being probed by unicast.
    Probe,
    /// Did not answer.
    Failed,
    /// Set by hand; never asked, never forgotten.
    Permanent,
}

/// Who takes a packet that is for this namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// A program's or service's socket.
    Socket(SocketId, Transport),
    /// A raw or ping socket.
    Raw(SocketId),
    /// The namespace itself: echo reply, ARP, NDP, ICMP errors.
    Stack,
}

/// Why a packet ended. Closed: every place that gives up a packet names one of these, and each has a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The frame is shorter than an Ethernet header, or longer than the device takes.
    BadFrame,
    /// The IP packet's header is malformed.
    BadPacket,
    /// A checksum is wrong.
    BadChecksum,
    /// The device is down.
    DeviceDown,
    /// The device has no wire or no peer.
    NoCarrier,
    /// The frame is for another hardware address.
    OtherHost,
    /// Nobody here speaks this EtherType.
    UnknownEtherType,
    /// The frame exceeds the device's MTU.
    ExceedsMtu,
    /// The wire is cut.
    LinkCut,
    /// The wire lost it.
    LinkLoss,
    /// The wire's queue is full.
    LinkQueueFull,
    /// The bridge knows the destination on the port the frame came from.
    BridgeSamePort,
    /// The bridge has no port for the frame.
    BridgeNoPort,
    /// Port isolation.
    BridgeIsolated,
    /// Private children of one parent device do not reach each other.
    ChildIsolated,
    /// Link-local multicast that bridges do not forward.
    BridgeReserved,
    /// The source address is multicast or all zero.
    BridgeBadSource,
    /// A rule or policy dropped it.
    Filtered,
    /// A rule rejected it, with an answer.
    Rejected,
    /// Connection tracking has no room.
    ConnectionTableFull,
    /// No free tuple for the address translation.
    NoFreePort,
    /// The packet cannot be translated: the device has no address, or the flow now leaves by another device.
    Untranslatable,
    /// Fragments overlap, are too many, or never completed.
    Fragment,
    /// No route to the destination.
    NoRoute,
    /// This namespace does not forward.
    ForwardingOff,
    /// A loopback address outside the loopback device.
    Martian,
    /// IPv4: it comes from outside with a source that is the receiver's own (`fib_validate_source`).
    LocalSource,
    /// IPv4: its source is reached by another interface, or not at all, and `rp_filter` asks for that.
    ReversePath,
    /// Time to live used up.
    TtlExceeded,
    /// Too big, and fragmentation is not allowed.
    FragmentationNeeded,
    /// The neighbour did not answer ARP or NDP.
    NeighbourFailed,
    /// Too many packets wait for the neighbour.
    NeighbourQueueFull,
    /// No neighbour entry could be made: the table is full.
    NeighbourTableFull,
    /// IPv6 is disabled here.
    Ipv6Disabled,
    /// Nothing listens on the port.
    NoSocket,
    /// The socket's receive buffer is full.
    ReceiveBufferFull,
    /// No protocol takes it.
    NoProtocol,
    /// The listener's backlog is full.
    BacklogFull,
    /// Multicast or broadcast nobody here joined.
    NotForUs,
    /// The namespace or device went away while the packet was under way.
    Gone,
}

impl DropReason {
    /// Every reason, in order of declaration.
    pub const ALL: [DropReason; 40] = [
        DropReason::BadFrame,
        DropReason::BadPacket,
        DropReason::BadChecksum,
        DropReason::DeviceDown,
        DropReason::NoCarrier,
        DropReason::OtherHost,
        DropReason::UnknownEtherType,
        DropReason::ExceedsMtu,
        DropReason::LinkCut,
        DropReason::LinkLoss,
        DropReason::LinkQueueFull,
        DropReason::BridgeSamePort,
        DropReason::BridgeNoPort,
        DropReason::BridgeIsolated,
        DropReason::ChildIsolated,
        DropReason::BridgeReserved,
        DropReason::BridgeBadSource,
        DropReason::Filtered,
        DropReason::Rejected,
        DropReason::ConnectionTableFull,
        DropReason::NoFreePort,
        DropReason::Untranslatable,
        DropReason::Fragment,
        DropReason::NoRoute,
        DropReason::ForwardingOff,
        DropReason::Martian,
        DropReason::LocalSource,
        DropReason::ReversePath,
        DropReason::TtlExceeded,
        DropReason::FragmentationNeeded,
        DropReason::NeighbourFailed,
        DropReason::NeighbourQueueFull,
        DropReason::NeighbourTableFull,
        DropReason::Ipv6Disabled,
        DropReason::NoSocket,
        DropReason::ReceiveBufferFull,
        DropReason::NoProtocol,
        DropReason::BacklogFull,
        DropReason::NotForUs,
        DropReason::Gone,
    ];

    /// The reason in a reader's words.
    pub fn text(self) -> &'static str {
        match self {
            DropReason::BadFrame => "malformed Ethernet frame",
            DropReason::BadPacket => "malformed IP packet",
            DropReason::BadChecksum => "wrong checksum",
            DropReason::DeviceDown => "the interface is down",
            DropReason::NoCarrier => "nothing is plugged into the interface",
            DropReason::OtherHost => "the frame is for another hardware address",
            DropReason::UnknownEtherType => "unknown EtherType",
            DropReason::ExceedsMtu => "the frame is larger than the interface's MTU",
            DropReason::LinkCut => "the link is cut",
            DropReason::LinkLoss => "lost on the link",
            DropReason::LinkQueueFull => "the link's queue is full",
            DropReason::BridgeSamePort => "the destination is on the port it came from",
            DropReason::BridgeNoPort => "the bridge has no port for it",
            DropReason::BridgeIsolated => "bridge ports are isolated",
            DropReason::ChildIsolated => "private children of one device",
            DropReason::BridgeReserved => "link-local multicast is not forwarded",
            DropReason::BridgeBadSource => "impossible source hardware address",
            DropReason::Filtered => "dropped by a filter rule or policy",
            DropReason::Rejected => "rejected by a rule",
            DropReason::ConnectionTableFull => "the connection tracking table is full",
            DropReason::NoFreePort => "no free port for address translation",
            DropReason::Untranslatable => "the packet's addresses cannot be translated",
            DropReason::Fragment => "bad or incomplete fragments",
            DropReason::NoRoute => "no route to the destination",
            DropReason::ForwardingOff => "IP forwarding is off",
            DropReason::Martian => "a loopback or impossible address may not appear here",
            DropReason::ReversePath => "its source is not where it came from (rp_filter)",
            DropReason::LocalSource => "its source is an address of the receiver itself",
            DropReason::TtlExceeded => "time to live exceeded",
            DropReason::FragmentationNeeded => "too big for the next link, and fragmenting is forbidden",
            DropReason::NeighbourFailed => "the neighbour does not answer",
            DropReason::NeighbourQueueFull => "too many packets wait for the neighbour's answer",
            DropReason::NeighbourTableFull => "the neighbour table is full",
            DropReason::Ipv6Disabled => "IPv6 is disabled on the interface",
            DropReason::NoSocket => "nothing listens on the port",
            DropReason::ReceiveBufferFull => "the socket's receive buffer is full",
            DropReason::NoProtocol => "no program takes this protocol",
            DropReason::BacklogFull => "the listener's backlog is full",
            DropReason::NotForUs => "a multicast or broadcast nobody here takes",
            DropReason::Gone => "the interface went away",
        }
    }
}
