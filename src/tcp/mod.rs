//! The TCP of every endpoint we simulate: smoltcp behind one narrow, sans-I/O module.
//!
//! # How it works
//!
//! smoltcp looks at every socket of a set for every packet. So a connection here is a set of its own with
//! one socket, found by our hash of (scope, local, remote); a segment costs the same whether ten connections
//! exist or fifty thousand ([`Counters::sockets_polled`] proves it). Listeners are ours alone: an acceptable
//! SYN makes a connection, which reaches the accept queue when its handshake is complete.
//!
//! ```text
//! ingress(packet) -> tuple -> connection's socket -> ready queue -> egress(sink), FIFO
//!                 -> listener (exact address, wildcard, any port) -> new connection
//! advance(now)    -> timer heap -> ready queue, or the connection is given up
//! every step      -> settle: accept queue, deadline, readiness changes, removal
//! ```
//!
//! The caller owns the loop: after any call, `egress` until nothing comes, wake whom `take_change` names, and come
//! back at `deadline` with `advance`. Same seed and same calls give the same packets.
//!
//! # What differs from Linux
//!
//! * Congestion control is Reno. SACK is sent, not used. The retransmission timeout is at least 1 s (200 ms in
//!   Linux) and at most 60 s; the first 16 segments with data are
//!   acknowledged at once as in Linux, later ACKs wait 10 ms (40 in Linux). A FIN without data is
//!   acknowledged at once, where Linux waits for the program's own FIN. Timestamps stand still. No ECN, no urgent data. At
//!   most four holes are kept out of order.
//! * A SYN goes out at 0, 1, 3, 7, 15, 31 and 63 s and is given up at 127 s; a SYN-ACK at 0, 1, 3, 7, 15 and
//!   31 s, given up at 63 s. Both as Linux. Unanswered data is given up after 924.6 s, 102.2 s for an orphan;
//!   FIN-WAIT-2 of an orphan and TIME-WAIT last 60 s (smoltcp's own TIME-WAIT of 10 s is not used).
//! * Windows stop at 65,535 octets, which also keeps smoltcp's window scale at zero: with another scale it
//!   would take the unscaled window of its SYN-ACK for a scaled one and admit data past its buffer.
//! * A listener counts half-open connections against its backlog too, and a SYN beyond is dropped, never
//!   answered with a RST or a cookie.
//!
//! # Memory
//!
//! A connection costs its two buffers (16 KiB each unless [`Options`] says otherwise), allocated with the
//! handshake, and about 1 KiB. Withheld connections, those in TIME-WAIT and those over have no buffers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use smoltcp::wire::TcpControl;

mod connection;
mod device;
mod lifecycle;
mod segment;
mod table;
#[cfg(test)]
mod tests;
mod timers;
mod types;

use connection::{Body, Connection, Holder, alone, new_socket};
use device::{Interfaces, Packet, recycle, usable_mtu};
use lifecycle::listening_socket;
use segment::{Segment, is_unicast};
use table::Connections;
use timers::Timers;
pub use types::{
    Change, ConnectionEntry, ConnectionId, Counters, Departure, Ingress, Keepalive, ListenOptions,
    ListenerEntry, ListenerId, Options, Scope, Sender, SocketError, State, TcpError,
};

/// `net.core.somaxconn`.
const MAXIMUM_BACKLOG: usize = 4096;

/// The port of a listener that takes every port nobody else listens on.
const ANY_PORT: u16 = 0;

struct Listener {
    scope: Scope,
    local: SocketAddr,
    options: ListenOptions,
    backlog: usize,
    half_open: BTreeSet<ConnectionId>,
    queue: VecDeque<ConnectionId>,
    announced: bool,
}

/// All connections and listeners of a world.
pub struct TcpStack {
    now: Duration,
    interfaces: Interfaces,
    next_listener: u64,
    connections: Connections,
    /// Boxed, because the tree keeps room for as many again.
    listeners: BTreeMap<ListenerId, Box<Listener>>,
    listening: BTreeMap<(Scope, u16, IpAddr), ListenerId>,
    ready: VecDeque<ConnectionId>,
    timers: Timers,
    changes: VecDeque<Change>,
    outgoing: VecDeque<Packet>,
    spare: Vec<Vec<u8>>,
    counters: Counters,
}

impl TcpStack {
    /// An empty stack whose initial sequence numbers follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        TcpStack {
            now: Duration::ZERO,
            interfaces: Interfaces::new(seed),
            next_listener: 0,
            connections: Connections::new(seed),
            listeners: BTreeMap::new(),
            listening: BTreeMap::new(),
            ready: VecDeque::new(),
            timers: Timers::default(),
            changes: VecDeque::new(),
            outgoing: VecDeque::new(),
            spare: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The caller cuts packets larger than a segment, where they leave its machine: what a connection can send at once is
    /// one packet, as with TCP segmentation offload, over IPv4. Without, every packet is a segment.
    #[must_use]
    pub fn with_segmentation_offload(mut self) -> Self {
        self.interfaces.offload = true;
        self
    }

    /// Listens on `local`: an address, or the unspecified one for all of its family (of both, for IPv6 with
    /// `dual_stack`). Port 0 takes every port that has no listener of its own.
    pub fn listen(
        &mut self,
        scope: Scope,
        local: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, TcpError> {
        let addresses = bound_addresses(local, options);
        if !local.ip().is_unspecified() && !is_unicast(local.ip()) {
            return Err(TcpError::AddressInvalid(local));
        }
        if addresses.iter().any(|address| self.is_taken(scope, *address, local.port())) {
            return Err(TcpError::AddressInUse(local));
        }
        self.next_listener += 1;
        let id = ListenerId(self.next_listener);
        for address in addresses {
            self.listening.insert((scope, local.port(), address), id);
        }
        let backlog = options.backlog.clamp(1, MAXIMUM_BACKLOG);
        let (half_open, queue) = (BTreeSet::new(), VecDeque::new());
        let listener = Listener { scope, local, options, backlog, half_open, queue, announced: false };
        self.listeners.insert(id, Box::new(listener));
        Ok(id)
    }

    /// Stops listening. Half-open connections vanish, those waiting to be accepted are reset.
    pub fn close_listener(&mut self, id: ListenerId) -> Result<(), TcpError> {
        let listener = self.listeners.remove(&id).ok_or(TcpError::UnknownListener(id))?;
        for address in bound_addresses(listener.local, listener.options) {
            self.listening.remove(&(listener.scope, listener.local.port(), address));
        }
        for connection in listener.half_open {
            self.remove(connection);
        }
        for connection in listener.queue {
            self.release(connection, true);
        }
        Ok(())
    }

    /// The next connection whose handshake is complete, or, from a withholding listener, whose SYN came.
    pub fn accept(&mut self, id: ListenerId) -> Result<ConnectionId, TcpError> {
        let listener = self.listeners.get_mut(&id).ok_or(TcpError::UnknownListener(id))?;
        let accepted = listener.queue.pop_front().ok_or(TcpError::WouldBlock)?;
        if let Some(connection) = self.connections.get_mut(accepted) {
            connection.holder = Holder::Program;
            connection.readiness = connection.observe();
        }
        Ok(accepted)
    }

    /// Answers the SYN of a withheld connection.
    pub fn admit(&mut self, id: ConnectionId) -> Result<(), TcpError> {
        let now = self.now;
        let connection = self.get_mut(id)?;
        let Body::Pending { syn } = &connection.body else { return Err(TcpError::NotPending(id)) };
        let syn = syn.clone();
        let socket = listening_socket(connection.local, &connection.options);
        connection.body = alone(socket);
        connection.since = now;
        self.give(id, &syn);
        Ok(())
    }

    /// Answers the SYN of a withheld connection with a RST, and forgets it.
    pub fn refuse(&mut self, id: ConnectionId) -> Result<(), TcpError> {
        let connection = self.get_mut(id)?;
        let Body::Pending { .. } = &connection.body else { return Err(TcpError::NotPending(id)) };
        self.release(id, true);
        Ok(())
    }

    /// Sends a SYN. The result shows in [`state`](Self::state) and, if it fails, from `send` or `receive`.
    /// `mtu` is that of the device or path; it decides the segment size offered and used.
    pub fn connect(
        &mut self,
        now: Duration,
        scope: Scope,
        local: SocketAddr,
        remote: SocketAddr,
        mtu: usize,
        options: Options,
    ) -> Result<ConnectionId, TcpError> {
        self.set_now(now);
        for endpoint in [local, remote] {
            if endpoint.port() == 0 || !is_unicast(endpoint.ip()) || endpoint.is_ipv4() != remote.is_ipv4() {
                return Err(TcpError::AddressInvalid(endpoint));
            }
        }
        let (local, remote) = (plain(local), plain(remote));
        if self.connections.find(scope, local, remote).is_some() {
            return Err(TcpError::AddressInUse(local));
        }
        let (mut socket, storage) = new_socket(&options);
        let mtu = usable_mtu(mtu, remote.is_ipv6());
        let context = self.interfaces.get(mtu).context();
        socket.connect(context, remote, local).map_err(|_| TcpError::AddressInvalid(remote))?;
        let ends = (local, remote);
        let connection =
            Connection::new(self.now, scope, ends, mtu, options, alone((socket, storage)), Holder::Program);
        let id = self.connections.insert(connection);
        self.mark_ready(id);
        Ok(id)
    }

    /// Takes one whole IP packet that came for `scope`. `trusted` says that its checksums need no check:
    /// they were verified, or are partial. A connection that begins, which takes a SYN, uses `mtu`. Nothing is answered here
    /// when the result is other than `Consumed`.
    pub fn ingress(
        &mut self,
        now: Duration,
        scope: Scope,
        packet: &[u8],
        trusted: bool,
        mtu: usize,
    ) -> Ingress {
        self.set_now(now);
        self.counters.segments_received += 1;
        let Some(segment) = Segment::parse(packet, trusted) else {
            self.counters.malformed += 1;
            return Ingress::Malformed;
        };
        if let Some(id) = self.lookup(scope, segment.local, segment.remote)
            && self.deliver(id, &segment, packet)
        {
            return Ingress::Consumed;
        }
        if segment.control == TcpControl::Rst {
            return Ingress::Consumed;
        }
        match self.find_listener(scope, segment.local) {
            Some(listener) if segment.is_initial() => self.open(scope, listener, &segment, packet, mtu),
            _ => {
                self.counters.no_socket += 1;
                Ingress::NoSocket
            }
        }
    }

    /// The RST that answers a packet no socket took; None for a RST or what is no TCP segment.
    #[must_use]
    pub fn reset_reply(packet: &[u8]) -> Option<Vec<u8>> {
        Segment::parse(packet, true)?.reset()
    }

    /// Hands every packet that can be sent now to `sink`, connections in the order they became ready.
    pub fn egress(&mut self, now: Duration, sink: &mut dyn FnMut(Departure<'_>)) {
        self.set_now(now);
        loop {
            while let Some(Packet { scope, sender, mut octets, segment_size }) = self.outgoing.pop_front() {
                self.counters.segments_sent += 1;
                segment::leave_partial(&mut octets);
                sink(Departure { scope, sender, packet: &octets, segment_size });
                recycle(&mut self.spare, octets);
            }
            let Some(id) = self.ready.pop_front() else { return };
            self.poll(id);
        }
    }

    /// Keeps a word of the caller's beside a connection, which comes back with its next packets: what is known of the way
    /// they go, as Linux keeps a route in `sk_dst_cache`.
    pub fn remember_way(&mut self, id: ConnectionId, way: u64) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.way = way;
        }
    }

    /// Gives a connection a number of the caller's, which it has until it is closed.
    pub fn set_owner(&mut self, id: ConnectionId, owner: u32) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.owner = Some(owner);
        }
    }

    /// The caller's number for a connection.
    #[must_use]
    pub fn owner(&self, id: ConnectionId) -> Option<u32> {
        self.connections.get(id)?.owner
    }

    /// When to call [`advance`](Self::advance) next; now, if packets wait for [`egress`](Self::egress).
    #[must_use]
    pub fn deadline(&mut self) -> Option<Duration> {
        if !self.ready.is_empty() || !self.outgoing.is_empty() {
            return Some(self.now);
        }
        self.timers.first().map(|(deadline, _)| deadline)
    }

    /// Fires what is due at `now`; `egress` then sends what that caused.
    pub fn advance(&mut self, now: Duration) {
        self.set_now(now);
        while let Some((deadline, id)) = self.timers.first()
            && deadline <= self.now
        {
            self.timers.cancel(id);
            let Some(connection) = self.connections.get_mut(id) else { continue };
            connection.timer = None;
            match connection.expiry() {
                Some((deadline, expiry)) if deadline <= self.now => self.expire(id, expiry),
                _ => self.mark_ready(id),
            }
        }
    }

    /// Writes as much of `octets` as the send buffer takes.
    pub fn send(&mut self, id: ConnectionId, octets: &[u8]) -> Result<usize, TcpError> {
        let connection = self.get_mut(id)?;
        if let Some(error) = connection.error.take() {
            self.settle(id);
            return Err(error.into());
        }
        if !connection.can_send() {
            return Err(TcpError::WouldBlock);
        }
        if connection.write_closed {
            return Err(TcpError::BrokenPipe);
        }
        let sent = connection.socket_mut().ok_or(TcpError::BrokenPipe)?.send_slice(octets);
        let sent = sent.map_err(|_| TcpError::BrokenPipe)?;
        connection.readiness = connection.observe();
        self.mark_ready(id);
        Ok(sent)
    }

    /// Reads at most `limit` octets; none is the end of the stream.
    pub fn receive(&mut self, id: ConnectionId, limit: usize) -> Result<Vec<u8>, TcpError> {
        let connection = self.get_mut(id)?;
        if connection.unread() > 0 {
            let received = connection.read(limit);
            connection.readiness = connection.observe();
            self.mark_ready(id);
            return Ok(received);
        }
        if let Some(error) = connection.error.take() {
            connection.readiness = connection.observe();
            return Err(error.into());
        }
        if connection.can_receive() { Ok(Vec::new()) } else { Err(TcpError::WouldBlock) }
    }

    /// Whether [`send`](Self::send) would return at once, with success or not.
    #[must_use]
    pub fn can_send(&self, id: ConnectionId) -> bool {
        self.get(id).is_none_or(Connection::can_send)
    }

    /// Whether [`receive`](Self::receive) would return at once, with success or not.
    #[must_use]
    pub fn can_receive(&self, id: ConnectionId) -> bool {
        self.get(id).is_none_or(Connection::can_receive)
    }

    /// The state of the connection; `Closed` for one that does not exist.
    #[must_use]
    pub fn state(&self, id: ConnectionId) -> State {
        self.get(id).map_or(State::Closed, Connection::state)
    }

    /// Takes the pending error, as `SO_ERROR`.
    pub fn take_error(&mut self, id: ConnectionId) -> Option<SocketError> {
        let connection = self.get_mut(id).ok()?;
        let error = connection.error.take();
        connection.readiness = connection.observe();
        error
    }

    /// Our endpoint and the peer's.
    #[must_use]
    pub fn addresses(&self, id: ConnectionId) -> Option<(SocketAddr, SocketAddr)> {
        self.get(id).map(|connection| (connection.local, connection.remote))
    }

    /// Ends our direction: a FIN follows what is still to be sent. A connection not yet established is
    /// dropped without a packet, as Linux does.
    pub fn shutdown_write(&mut self, id: ConnectionId) -> Result<(), TcpError> {
        let connection = self.get_mut(id)?;
        connection.write_closed = true;
        match connection.state() {
            State::Pending | State::SynSent => {
                self.connections.unlink(id);
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.retire(Body::Dead);
                }
            }
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => {
                if let Some(socket) = connection.socket_mut() {
                    socket.close();
                }
                self.mark_ready(id);
            }
        }
        self.settle(id);
        Ok(())
    }

    /// Gives the connection back: unsent data and a FIN still go out, then it is removed. With unread data, or
    /// if data comes later, the peer gets a RST, as from Linux.
    pub fn close(&mut self, id: ConnectionId) -> Result<(), TcpError> {
        let has_unread = self.get_mut(id)?.unread() > 0;
        self.release(id, has_unread);
        Ok(())
    }

    /// Gives the connection back with a RST, as close(2) with `SO_LINGER` of 0.
    pub fn abort(&mut self, id: ConnectionId) -> Result<(), TcpError> {
        self.get_mut(id)?;
        self.release(id, true);
        Ok(())
    }

    /// Tells the connection of an ICMP error about one of its segments. While connecting it fails at once; later the error
    /// only names the reason if it times out. So does one at the very moment of the first SYN: without a wire that delays,
    /// Linux hears it inside of `connect`, whose lock keeps it from ending the connection (`sk_err_soft`), and the next
    /// SYN, a second later, is the first that can.
    pub fn error(&mut self, id: ConnectionId, error: SocketError) -> Result<(), TcpError> {
        let now = self.now;
        let connection = self.get_mut(id)?;
        match connection.state() {
            State::SynSent if connection.heard < now => self.fail(id, error, false),
            State::SynSent
            | State::Pending
            | State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => connection.soft_error = Some(error),
        }
        Ok(())
    }

    /// Lowers or raises the MTU of the path, as an ICMP message or a route says. What was cut larger is
    /// cut anew when it is retransmitted.
    pub fn set_mtu(&mut self, id: ConnectionId, mtu: usize) -> Result<(), TcpError> {
        let connection = self.get_mut(id)?;
        connection.mtu = usable_mtu(mtu, connection.remote.is_ipv6());
        self.mark_ready(id);
        Ok(())
    }

    /// Turns keepalive on or off. Turning it on sends one probe at once, which Linux does not.
    pub fn set_keepalive(&mut self, id: ConnectionId, keepalive: Option<Keepalive>) -> Result<(), TcpError> {
        let now = self.now;
        let connection = self.get_mut(id)?;
        connection.options.keepalive = keepalive;
        match keepalive {
            Some(_) => {
                connection.heard = now;
                connection.adjust_keepalive(now);
            }
            None => {
                if let Some(socket) = connection.socket_mut() {
                    socket.set_keep_alive(None);
                }
            }
        }
        self.mark_ready(id);
        self.settle(id);
        Ok(())
    }

    /// The connection with these endpoints, also one its program closed: for the segment inside an ICMP error.
    #[must_use]
    pub fn lookup(&self, scope: Scope, local: SocketAddr, remote: SocketAddr) -> Option<ConnectionId> {
        self.connections.find(scope, plain(local), plain(remote))
    }

    /// Whether anything holds the local port, for choosing one: a listener or a connection with this tuple.
    #[must_use]
    pub fn is_listening(&self, scope: Scope, local: SocketAddr) -> bool {
        self.is_taken(scope, local.ip(), local.port())
    }

    /// The next that can do something it could not before, in the order it happened; each comes once.
    pub fn take_change(&mut self) -> Option<Change> {
        let change = self.changes.pop_front()?;
        match change {
            Change::Connection(id) => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.announced = false;
                }
            }
            Change::Listener(id) => {
                if let Some(listener) = self.listeners.get_mut(&id) {
                    listener.announced = false;
                }
            }
        }
        Some(change)
    }

    /// Every connection, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionEntry> {
        self.connections.by_age().into_iter().map(|(id, connection)| connection.entry(id)).collect()
    }

    /// Every listener, oldest first.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerEntry> {
        let entry = |(id, listener): (&ListenerId, &Listener)| ListenerEntry {
            id: *id,
            scope: listener.scope,
            local: listener.local,
            dual_stack: listener.options.dual_stack,
            backlog: listener.backlog,
            accept_queue: listener.queue.len(),
        };
        self.listeners.iter().map(|(id, listener)| (id, &**listener)).map(entry).collect()
    }

    /// Where a listener listens; `None` once it is closed.
    pub fn listener_address(&self, id: ListenerId) -> Option<SocketAddr> {
        self.listeners.get(&id).map(|listener| listener.local)
    }

    /// Every address a listener holds: with `dual_stack` that of IPv4 too.
    pub fn listener_addresses(&self, id: ListenerId) -> Vec<SocketAddr> {
        let Some(listener) = self.listeners.get(&id) else { return Vec::new() };
        let addresses = bound_addresses(listener.local, listener.options).into_iter();
        addresses.map(|address| SocketAddr::new(address, listener.local.port())).collect()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Forgets everything of a namespace that is gone; no packet is sent.
    pub fn abort_scope(&mut self, scope: Scope) {
        self.listeners.retain(|_, listener| listener.scope != scope);
        self.listening.retain(|(of, _, _), _| *of != scope);
        let all = self.connections.by_age().into_iter();
        let gone: Vec<_> =
            all.filter(|(_, connection)| connection.scope == scope).map(|(id, _)| id).collect();
        for id in gone {
            self.remove(id);
        }
        self.outgoing.retain(|packet| packet.scope != scope);
    }

    fn set_now(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(id).filter(|connection| !connection.is_released())
    }

    fn get_mut(&mut self, id: ConnectionId) -> Result<&mut Connection, TcpError> {
        let connection = self.connections.get_mut(id);
        let connection = connection.filter(|connection| !connection.is_released());
        connection.ok_or(TcpError::UnknownConnection(id))
    }

    /// Where listeners of a namespace wait on a port.
    pub fn listening_on(&self, scope: Scope, port: u16) -> impl Iterator<Item = SocketAddr> + '_ {
        let (first, last) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::from_bits(u128::MAX).into());
        let held = self.listening.range((scope, port, first)..=(scope, port, last));
        held.map(|((_, port, address), _)| SocketAddr::new(*address, *port))
    }

    /// Whether a listener on `address` and `port` would overlap one that is there.
    fn is_taken(&self, scope: Scope, address: IpAddr, port: u16) -> bool {
        let family = if address.is_ipv4() {
            (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST))
        } else {
            (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)))
        };
        if address.is_unspecified() {
            return self.listening.range((scope, port, family.0)..=(scope, port, family.1)).next().is_some();
        }
        [address, family.0].iter().any(|held| self.listening.contains_key(&(scope, port, *held)))
    }

    fn find_listener(&self, scope: Scope, local: SocketAddr) -> Option<ListenerId> {
        let wildcard = match local.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        [(local.port(), local.ip()), (local.port(), wildcard), (ANY_PORT, local.ip()), (ANY_PORT, wildcard)]
            .into_iter()
            .find_map(|(port, address)| self.listening.get(&(scope, port, address)).copied())
    }
}

/// The addresses a listener has in the table of listeners.
fn bound_addresses(local: SocketAddr, options: ListenOptions) -> Vec<IpAddr> {
    let mut addresses = vec![local.ip()];
    if options.dual_stack && local.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        addresses.push(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    addresses
}

/// An IPv6 endpoint without the flow label and zone that a packet does not carry.
fn plain(endpoint: SocketAddr) -> SocketAddr {
    SocketAddr::new(endpoint.ip(), endpoint.port())
}
