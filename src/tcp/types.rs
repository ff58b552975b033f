//! The words the module shares with its callers: identifiers, options, errors, states.
//!
//! Nothing here knows smoltcp; a different TCP underneath would keep this file.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A network namespace, opaque to this module: two scopes never see each other's sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(pub u32);

/// A connection; never reused during the life of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

/// A listening socket; never reused during the life of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub(super) u64);

/// What a socket is told when its connection failed: the errno a Linux program would see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// ECONNREFUSED: a RST answered the SYN, or ICMP said that the port or protocol is not there.
    #[error("connection refused")]
    ConnectionRefused,
    /// ECONNRESET: a RST ended an established connection.
    #[error("connection reset by peer")]
    ConnectionReset,
    /// EPIPE: a RST came after the peer had already sent its FIN.
    #[error("broken pipe")]
    BrokenPipe,
    /// ETIMEDOUT: retransmissions or keepalive probes went unanswered.
    #[error("connection timed out")]
    TimedOut,
    /// ENETUNREACH.
    #[error("network is unreachable")]
    NetworkUnreachable,
    /// EHOSTUNREACH.
    #[error("no route to host")]
    HostUnreachable,
    /// EACCES: ICMPv6 said that the destination is administratively prohibited.
    #[error("permission denied")]
    PermissionDenied,
    /// ENOPROTOOPT: ICMP said that the protocol is not spoken there.
    #[error("protocol not available")]
    ProtocolUnavailable,
}

/// Why a call could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TcpError {
    /// EADDRINUSE: another listener, or a connection between the same two endpoints, holds the address.
    #[error("address {0} is already in use: choose another port or close its owner")]
    AddressInUse(SocketAddr),
    /// EADDRNOTAVAIL or EINVAL: an endpoint no connection can have (port 0, an unspecified, multicast or
    /// broadcast address, or two address families).
    #[error(
        "no TCP connection can have the endpoint {0}: expected a unicast address and a port, of one family"
    )]
    AddressInvalid(SocketAddr),
    /// EAGAIN: wait for the connection to appear in [`take_change`](super::TcpStack::take_change).
    #[error("the operation would block")]
    WouldBlock,
    /// EPIPE: the write side was shut down here.
    #[error("broken pipe: the write side of the connection is closed")]
    BrokenPipe,
    /// The connection failed; reported once, later reads give end of stream.
    #[error(transparent)]
    Failed(#[from] SocketError),
    /// EBADF: the connection was closed, or never existed.
    #[error("connection {0:?} does not exist: it was closed")]
    UnknownConnection(ConnectionId),
    /// EBADF: the listener was closed, or never existed.
    #[error("listener {0:?} does not exist: it was closed")]
    UnknownListener(ListenerId),
    /// The connection is in the wrong state for the call: only a withheld one can be admitted or refused.
    #[error("connection {0:?} is not withheld: expected one that `accept` gave in state PENDING")]
    NotPending(ConnectionId),
}

/// TCP keepalive, as `TCP_KEEPIDLE`, `TCP_KEEPINTVL` and `TCP_KEEPCNT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between unanswered probes.
    pub interval: Duration,
    /// Unanswered probes after which the connection is reset.
    pub count: u32,
}

impl Default for Keepalive {
    /// Linux's defaults: two hours, 75 seconds, nine probes.
    fn default() -> Self {
        Keepalive { idle: Duration::from_secs(7200), interval: Duration::from_secs(75), count: 9 }
    }
}

/// How one connection behaves; a listener hands its own to every connection it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Octets of receive buffer, hence the largest window; kept within 1 KiB and 65,535.
    pub receive_buffer: usize,
    /// Octets of send buffer; kept within 1 KiB and 65,535.
    pub send_buffer: usize,
    /// TTL or hop limit of the packets sent; 0 is taken as 1.
    pub hop_limit: u8,
    /// `TCP_NODELAY`: no Nagle algorithm.
    pub no_delay: bool,
    /// `SO_KEEPALIVE`, off by default as in Linux.
    pub keepalive: Option<Keepalive>,
    /// How long an unanswered SYN is retried; Linux's `tcp_syn_retries = 6` gives 127 s.
    pub connect_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            receive_buffer: 16 * 1024,
            send_buffer: 16 * 1024,
            hop_limit: 64,
            no_delay: false,
            keepalive: None,
            connect_timeout: Duration::from_secs(127),
        }
    }
}

/// How a listener behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOptions {
    /// As listen(2): connections not yet accepted, kept within 1 and 4096 (`net.core.somaxconn`).
    pub backlog: usize,
    /// An IPv6 wildcard listener also takes IPv4 (`IPV6_V6ONLY` off). Ignored for other addresses.
    pub dual_stack: bool,
    /// Hand out each connection before its SYN-ACK: see [`admit`](super::TcpStack::admit).
    pub withhold: bool,
    /// Given to every connection.
    pub connection: Options,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions { backlog: 128, dual_stack: false, withhold: false, connection: Options::default() }
    }
}

/// The state of a connection, with the names netstat prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A SYN came to a withholding listener and was not answered yet.
    Pending,
    /// Our SYN is unanswered.
    SynSent,
    /// Our SYN-ACK is unanswered.
    SynReceived,
    /// Data flows both ways.
    Established,
    /// Our FIN, or data before it, is unacknowledged.
    FinWait1,
    /// Our FIN is acknowledged, the peer still sends.
    FinWait2,
    /// The peer's FIN came, we still send.
    CloseWait,
    /// Both sent a FIN, ours is unacknowledged.
    Closing,
    /// The peer's FIN came before ours, which is unacknowledged.
    LastAck,
    /// Both directions are finished; stray segments are still answered.
    TimeWait,
    /// Over. What was received may still be read, and an error is kept until it is taken.
    Closed,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            State::Pending => "PENDING",
            State::SynSent => "SYN_SENT",
            State::SynReceived => "SYN_RECV",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN_WAIT1",
            State::FinWait2 => "FIN_WAIT2",
            State::CloseWait => "CLOSE_WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST_ACK",
            State::TimeWait => "TIME_WAIT",
            State::Closed => "CLOSE",
        })
    }
}

/// A packet on its way out. It is whole and has no IP options; its TCP checksum field holds the sum of the pseudo header,
/// not complemented, for whoever finishes it where it leaves the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure<'a> {
    /// The namespace it leaves from.
    pub scope: Scope,
    /// The connection that sends it, unless none does.
    pub sender: Option<Sender>,
    /// The packet, from the IP header on.
    pub packet: &'a [u8],
    /// Octets of data that each segment is to have, if the packet is still to be cut: only
    /// [`with_segmentation_offload`](super::TcpStack::with_segmentation_offload).
    pub segment_size: Option<u16>,
}

/// A connection that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The connection.
    pub connection: ConnectionId,
    /// What the caller last gave to [`remember_way`](super::TcpStack::remember_way); 0 at first.
    pub way: u64,
}

/// What became of an arriving packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingress {
    /// A socket took it, or it deserves no answer (a RST for nobody). Any answer is queued here.
    Consumed,
    /// No socket is there: the caller answers, with [`reset_reply`](super::TcpStack::reset_reply) or ICMP.
    NoSocket,
    /// Not a whole, unfragmented IP packet with a valid TCP segment between unicast addresses.
    Malformed,
    /// A SYN for a listener whose queues are full; the peer will retry.
    Overflow,
}

/// Whose readiness changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It became readable or writable, or its state changed.
    Connection(ConnectionId),
    /// It has something to accept.
    Listener(ListenerId),
}

/// One line of a listing of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionEntry {
    /// Its identifier.
    pub id: ConnectionId,
    /// Its namespace.
    pub scope: Scope,
    /// Our endpoint.
    pub local: SocketAddr,
    /// The peer's endpoint.
    pub remote: SocketAddr,
    /// Its state.
    pub state: State,
    /// Octets received and not read.
    pub receive_queue: usize,
    /// Octets written and not acknowledged.
    pub send_queue: usize,
}

/// One line of a listing of listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerEntry {
    /// Its identifier.
    pub id: ListenerId,
    /// Its namespace.
    pub scope: Scope,
    /// Where it listens.
    pub local: SocketAddr,
    /// On the unspecified IPv6 address: it takes connections of IPv4 too.
    pub dual_stack: bool,
    /// The limit of its accept queue.
    pub backlog: usize,
    /// Connections waiting to be accepted.
    pub accept_queue: usize,
}

/// Counters, for tests and for netstat -s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Segments handed in, whatever became of them.
    pub segments_received: u64,
    /// Segments handed out.
    pub segments_sent: u64,
    /// Segments that were malformed.
    pub malformed: u64,
    /// Segments for no socket.
    pub no_socket: u64,
    /// SYNs dropped because a listener's queues were full (TcpExt ListenDrops).
    pub listen_drops: u64,
    /// Connections given up: SYN, retransmission, keepalive and orphan timeouts.
    pub timeouts: u64,
    /// Times one smoltcp socket was given control: the work done, for which the number of other
    /// connections must not matter.
    pub sockets_polled: u64,
}
