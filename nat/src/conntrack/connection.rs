//! One tracked connection, its identity and the filters that select some of them.

use crate::conntrack::Direction;
use crate::interface::InterfaceName;
use crate::tcp_state::{TcpState, TcpTracking};
use crate::timeouts::Timeouts;
use crate::tuple::Tuple;
use std::net::IpAddr;
use std::time::Duration;

/// The identity of a connection. Never means another connection, even after this one is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// Whoever's rule translated a connection, so that it ends together with the rule. The number's meaning is the
/// caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionOwner(pub u64);

/// Status bits, numbered as IPS_* of `linux/netfilter/nf_conntrack_common.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Status(u16);

impl Status {
    /// Packets were seen in both directions.
    pub const SEEN_REPLY: Status = Status(1 << 1);
    /// Is not given up early when the table is full.
    pub const ASSURED: Status = Status(1 << 2);
    /// Its first packet left the host or reached a socket; both tuples are in the table.
    pub const CONFIRMED: Status = Status(1 << 3);
    /// The source is translated.
    pub const SRC_NAT: Status = Status(1 << 4);
    /// The destination is translated.
    pub const DST_NAT: Status = Status(1 << 5);
    /// Source translation is decided, perhaps to none.
    pub const SRC_NAT_DONE: Status = Status(1 << 7);
    /// Destination translation is decided, perhaps to none.
    pub const DST_NAT_DONE: Status = Status(1 << 8);
    /// No longer in the table; kept for the packets on their way.
    pub const DYING: Status = Status(1 << 9);

    /// Whether all bits of `bits` are set.
    pub fn contains(self, bits: Status) -> bool {
        self.0 & bits.0 == bits.0
    }

    /// Whether source or destination are translated.
    pub fn is_translated(self) -> bool {
        self.0 & (Status::SRC_NAT.0 | Status::DST_NAT.0) != 0
    }

    pub(crate) fn insert(&mut self, bits: Status) {
        self.0 |= bits.0;
    }
}

/// Packets and bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowCounters {
    /// Packets.
    pub packets: u64,
    /// Their IP length in bytes.
    pub bytes: u64,
}

/// A tracked connection.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(crate) tuples: [Tuple; 2],
    pub(crate) status: Status,
    pub(crate) protocol: ProtocolState,
    pub(crate) counters: [FlowCounters; 2],
    pub(crate) mark: u32,
    /// Owners of the rules that translated source and destination, by [`crate::nat::Manipulation`].
    pub(crate) owners: [Option<ConnectionOwner>; 2],
    /// The device whose address a masquerade took.
    pub(crate) masquerade_device: Option<InterfaceName>,
    pub(super) created: u64,
    pub(super) expires: Duration,
    /// The time at which the timer queue looks at this connection; never after `expires`.
    pub(super) queued: Duration,
}

/// What is kept for each protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolState {
    Tcp(TcpTracking),
    /// UDP that is still answered after this time is a stream.
    Udp {
        stream_after: Duration,
    },
    Icmp,
    Icmpv6,
    Other,
}

impl Connection {
    /// The tuple of packets in `direction`.
    pub fn tuple(&self, direction: Direction) -> &Tuple {
        &self.tuples[direction as usize]
    }

    /// The tuple of the first packet, as it came.
    pub fn original(&self) -> &Tuple {
        &self.tuples[0]
    }

    /// The tuple of the answers as they come, which shows every translation.
    pub fn reply(&self) -> &Tuple {
        &self.tuples[1]
    }

    /// Status bits.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The state of a TCP connection.
    pub fn tcp_state(&self) -> Option<TcpState> {
        match self.protocol {
            ProtocolState::Tcp(tracking) => Some(tracking.state()),
            _ => None,
        }
    }

    /// Packets and bytes seen in `direction`.
    pub fn counters(&self, direction: Direction) -> FlowCounters {
        self.counters[direction as usize]
    }

    /// The connection's mark.
    pub fn mark(&self) -> u32 {
        self.mark
    }

    /// When it is forgotten if no further packet comes.
    pub fn expires(&self) -> Duration {
        self.expires
    }

    /// Whether a rule of `owner` translated it.
    pub fn is_owned_by(&self, owner: ConnectionOwner) -> bool {
        self.owners.contains(&Some(owner))
    }

    /// How long the connection lives after its first packet.
    pub(super) fn initial_timeout(&self, timeouts: &Timeouts) -> Duration {
        match self.protocol {
            ProtocolState::Tcp(tracking) if tracking.state() == TcpState::Established => {
                timeouts.tcp_established.min(timeouts.tcp_unacknowledged)
            }
            ProtocolState::Tcp(tracking) => timeouts.tcp(tracking.state()),
            ProtocolState::Udp { .. } => timeouts.udp,
            ProtocolState::Icmp => timeouts.icmp,
            ProtocolState::Icmpv6 => timeouts.icmpv6,
            ProtocolState::Other => timeouts.generic,
        }
    }
}

/// Selects connections: every field that is given must fit. The default selects all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionFilter {
    /// The owner of a rule that translated the connection.
    pub owner: Option<ConnectionOwner>,
    /// An address that stands anywhere in either tuple.
    pub address: Option<IpAddr>,
    /// An address at either end of the reply, as libnetwork selects what an endpoint leaves behind.
    pub reply_end: Option<IpAddr>,
    /// `--orig-src`.
    pub original_source: Option<IpAddr>,
    /// `--orig-dst`.
    pub original_destination: Option<IpAddr>,
    /// `--reply-src`.
    pub reply_source: Option<IpAddr>,
    /// `--reply-dst`.
    pub reply_destination: Option<IpAddr>,
    /// `-p`, the IP protocol number.
    pub protocol: Option<u8>,
    /// `--sport`, of the original tuple.
    pub source_port: Option<u16>,
    /// `--dport`, of the original tuple.
    pub destination_port: Option<u16>,
    /// The device whose address a masquerade took, as when it goes down.
    pub masquerade_device: Option<InterfaceName>,
}

impl ConnectionFilter {
    /// Connections translated by rules of `owner`.
    pub fn owned_by(owner: ConnectionOwner) -> ConnectionFilter {
        ConnectionFilter { owner: Some(owner), ..ConnectionFilter::default() }
    }

    /// Whether the filter selects `connection`.
    pub fn selects(&self, connection: &Connection) -> bool {
        fn fits<T: PartialEq>(wanted: Option<T>, found: T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        let (original, reply) = (connection.original(), connection.reply());
        let ends = [original.source, original.destination, reply.source, reply.destination];
        self.owner.is_none_or(|owner| connection.is_owned_by(owner))
            && self.address.is_none_or(|address| ends.contains(&address))
            && self.reply_end.is_none_or(|address| [reply.source, reply.destination].contains(&address))
            && fits(self.original_source, original.source)
            && fits(self.original_destination, original.destination)
            && fits(self.reply_source, reply.source)
            && fits(self.reply_destination, reply.destination)
            && fits(self.protocol, original.protocol)
            && fits(self.source_port, original.source_port)
            && fits(self.destination_port, original.destination_port)
            && self.masquerade_device.is_none_or(|device| connection.masquerade_device == Some(device))
    }
}
