//! What happens to a connection between its first SYN and its removal: segments and timers are given to its
//! socket, and after every such step `settle` draws the consequences.
//!
//! ```text
//! open -> HalfOpen -> Queued -> Program -> Released -> removed     (holder; a withheld one starts as Queued)
//! Pending -> Socket -> TimeWait -> Dead                            (body)
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use smoltcp::iface::PollResult;
use smoltcp::socket::tcp;
use smoltcp::wire::TcpControl;

use super::connection::{Body, Connection, Expiry, Holder, LAST_SYN, Storage, alone, new_socket};
use super::device::{Packet, Port, duration, instant, recycle};
use super::segment::{Segment, Sent, emit, is_after};
use super::{
    Change, ConnectionId, Ingress, ListenerId, Options, Scope, Sender, SocketError, State, TcpStack,
};

/// Packets one connection may send before the next ready one has its turn; Linux's TSO burst is of this order.
const BURST: usize = 16;

/// A socket that asks to be polled at once though it just sent nothing is looked at again after this time.
const IDLE_RETRY: Duration = Duration::from_millis(1);

/// In TIME-WAIT a timer later than this is not the final ACK, delayed by 10 ms, but the end of smoltcp's ten
/// seconds: there is nothing left to send.
const FINAL_ACK: Duration = Duration::from_secs(1);

impl TcpStack {
    /// A SYN came to a listener.
    pub(super) fn open(
        &mut self,
        scope: Scope,
        listener_id: ListenerId,
        segment: &Segment,
        packet: &[u8],
        mtu: usize,
    ) -> Ingress {
        let now = self.now;
        let Some(listener) = self.listeners.get_mut(&listener_id) else { return Ingress::NoSocket };
        if listener.half_open.len() >= listener.backlog || listener.queue.len() > listener.backlog {
            self.counters.listen_drops += 1;
            return Ingress::Overflow;
        }
        let options = listener.options.connection;
        let withheld = listener.options.withhold;
        let (body, holder) = if withheld {
            (Body::Pending { syn: packet.into() }, Holder::Queued(listener_id))
        } else {
            (alone(listening_socket(segment.local, &options)), Holder::HalfOpen(listener_id))
        };
        let ends = (segment.local, segment.remote);
        let id = self.connections.insert(Connection::new(now, scope, ends, mtu, options, body, holder));
        if withheld {
            listener.queue.push_back(id);
        } else {
            listener.half_open.insert(id);
        }
        if withheld {
            self.announce_listener(listener_id);
            self.settle(id);
        } else {
            self.give(id, packet);
        }
        Ingress::Consumed
    }

    /// A segment came for a connection. False when the connection gave way to a new one with its tuple.
    pub(super) fn deliver(&mut self, id: ConnectionId, segment: &Segment, packet: &[u8]) -> bool {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(id) else { return false };
        connection.heard = now;
        connection.stalled = None;
        let before = connection.state();
        match &connection.body {
            Body::Pending { .. } if segment.control == TcpControl::Rst => match connection.holder {
                Holder::Queued(_) | Holder::HalfOpen(_) => self.remove(id),
                Holder::Program | Holder::Released => self.fail(id, SocketError::ConnectionReset, false),
            },
            Body::Pending { .. } => {}
            Body::TimeWait if segment.control == TcpControl::Rst => self.finish(id),
            Body::TimeWait
                if segment.is_initial() && is_after(segment.sequence, connection.received_up_to) =>
            {
                self.finish(id);
                return false;
            }
            Body::TimeWait => {
                if segment.control == TcpControl::Fin {
                    connection.since = now;
                }
                let window = connection.options.receive_buffer.min(usize::from(u16::MAX)) as u16;
                let octets = emit(
                    connection.local,
                    connection.remote,
                    TcpControl::None,
                    connection.sent_up_to,
                    Some(connection.received_up_to),
                    window,
                    connection.options.hop_limit.max(1),
                );
                let scope = connection.scope;
                self.outgoing.push_back(Packet::whole(scope, octets));
                self.settle(id);
            }
            Body::Dead => return false,
            // Our RST is about to go out; smoltcp would answer with another.
            Body::Socket { .. } if before == State::Closed => {}
            Body::Socket { .. } if connection.is_duplicate_before_fin(segment) => {}
            Body::Socket { .. } if connection.is_overtaken(segment) => {}
            Body::Socket { .. } => {
                connection.note_window(segment);
                if segment.control == TcpControl::Fin && segment.length == 1 && before == State::Established {
                    connection.hold_acknowledgment(now);
                }
                self.give(id, packet);
                let Some(connection) = self.connections.get_mut(id) else { return true };
                if segment.length > 0 {
                    connection.count_data();
                }
                if segment.control == TcpControl::Rst && connection.state() == State::Closed {
                    connection.error = Some(match before {
                        State::SynSent => SocketError::ConnectionRefused,
                        State::CloseWait => SocketError::BrokenPipe,
                        _ => SocketError::ConnectionReset,
                    });
                    self.settle(id);
                }
            }
        }
        true
    }

    /// Lets the connection's socket take a packet; what it sends on its own follows in `egress`.
    pub(super) fn give(&mut self, id: ConnectionId, packet: &[u8]) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.adjust_keepalive(now);
        if let Body::Socket { set, .. } = &mut connection.body {
            let (mtu, from) =
                (connection.mtu, (connection.scope, Some(Sender { connection: id, way: connection.way })));
            let mut port = Port::new(mtu, from, Some(packet), &mut self.outgoing, &mut self.spare);
            let before = port.queued();
            self.interfaces.get(mtu).poll_ingress_single(instant(now), &mut port, set);
            self.counters.sockets_polled += 1;
            let last = port.last_sent(before);
            note_sent(connection, last);
        }
        self.mark_ready(id);
        self.settle(id);
    }

    /// Lets the connection's socket send.
    pub(super) fn poll(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.ready = false;
        connection.adjust_keepalive(now);
        if let Some(octets) = connection.take_held(now) {
            self.outgoing.push_back(Packet::whole(connection.scope, octets));
        }
        let mut sent = 0;
        if let Body::Socket { set, .. } = &mut connection.body {
            let from = (connection.scope, Some(Sender { connection: id, way: connection.way }));
            let mut port = Port::new(connection.mtu, from, None, &mut self.outgoing, &mut self.spare);
            let before = port.queued();
            let interface = self.interfaces.get(connection.mtu);
            while sent < BURST
                && interface.poll_egress(instant(now), &mut port, set) == PollResult::SocketStateChanged
            {
                sent += 1;
            }
            self.counters.sockets_polled += 1;
            let last = port.last_sent(before);
            note_sent(connection, last);
            if let Some(octets) = connection.keep_back(&mut self.outgoing, before) {
                recycle(&mut self.spare, octets);
            }
        }
        if sent == BURST {
            self.mark_ready(id);
        }
        self.settle(id);
    }

    /// After anything happened to a connection: brings queues, deadline and announcements up to date, and
    /// removes it when it is over and nobody holds it.
    pub(super) fn settle(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.is_released()
            && let Some(socket) = connection.socket_mut()
            && socket.can_recv()
            && socket.is_active()
        {
            socket.abort();
            self.mark_ready(id);
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        let (is_over, is_reset) = connection.socket().map_or((false, false), |socket| {
            let is_reset = socket.state() == tcp::State::Listen;
            let is_closed = socket.state() == tcp::State::Closed && socket.local_endpoint().is_none();
            (is_reset || is_closed, is_reset)
        });
        if is_over {
            if let Holder::HalfOpen(_) = connection.holder {
                return self.remove(id);
            }
            if is_reset {
                connection.error = Some(SocketError::ConnectionReset);
            }
            connection.retire(Body::Dead);
            self.connections.unlink(id);
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.is_released() && matches!(connection.body, Body::Dead) {
            return self.remove(id);
        }
        let state = connection.state();
        if state != connection.observed_state() {
            connection.since = now;
        }
        if !connection.is_outstanding() {
            connection.stalled = None;
        } else if connection.stalled.is_none() {
            connection.stalled = Some(now);
        }
        if let Holder::HalfOpen(listener_id) = connection.holder
            && !matches!(state, State::Pending | State::SynReceived | State::Closed)
        {
            connection.holder = Holder::Queued(listener_id);
            if let Some(listener) = self.listeners.get_mut(&listener_id) {
                listener.half_open.remove(&id);
                listener.queue.push_back(id);
            }
            self.announce_listener(listener_id);
        }
        self.schedule(id);
        self.announce(id);
    }

    /// Sets the connection's timer, and turns a finished socket into a TIME-WAIT record.
    pub(super) fn schedule(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.ready {
            // It is polled first, and comes here again.
            return;
        }
        let state = connection.state();
        let mut wake = match &connection.body {
            Body::Socket { set, .. } => {
                self.interfaces.get(connection.mtu).poll_at(instant(now), set).map(duration)
            }
            Body::Pending { .. } | Body::TimeWait | Body::Dead => None,
        };
        if state == State::SynSent && now >= connection.since.saturating_add(LAST_SYN) {
            wake = None;
        }
        if state == State::TimeWait && wake.is_some_and(|at| at >= now.saturating_add(FINAL_ACK)) {
            wake = None;
            connection.retire(Body::TimeWait);
        }
        let wake = wake.map(|at| if at <= now { now + IDLE_RETRY } else { at });
        let expiry = connection.expiry().map(|(deadline, _)| deadline);
        let deadline = [wake, expiry, connection.held_until()].into_iter().flatten().min();
        if connection.timer == deadline {
            return;
        }
        connection.timer = deadline;
        match deadline {
            Some(deadline) => self.timers.set(deadline, id),
            None => self.timers.cancel(id),
        }
    }

    pub(super) fn announce(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let readiness = connection.observe();
        if readiness != connection.readiness {
            connection.readiness = readiness;
            if connection.holder == Holder::Program && !connection.announced {
                connection.announced = true;
                self.changes.push_back(Change::Connection(id));
            }
        }
    }

    pub(super) fn announce_listener(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.get_mut(&id)
            && !listener.announced
        {
            listener.announced = true;
            self.changes.push_back(Change::Listener(id));
        }
    }

    pub(super) fn mark_ready(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id)
            && !connection.ready
        {
            connection.ready = true;
            self.ready.push_back(id);
        }
    }

    pub(super) fn expire(&mut self, id: ConnectionId, expiry: Expiry) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let error = connection.soft_error.unwrap_or(SocketError::TimedOut);
        match (expiry, connection.holder) {
            (Expiry::Finished, _) => return self.finish(id),
            (_, Holder::HalfOpen(_)) => self.remove(id),
            (_, Holder::Queued(_)) if connection.state() == State::Pending => self.remove(id),
            (Expiry::Unanswered, _) => self.fail(id, error, false),
            (Expiry::Keepalive, _) => self.fail(id, error, true),
        }
        self.counters.timeouts += 1;
    }

    /// Ends a connection with an error for its program, and a RST for its peer if `reset`.
    pub(super) fn fail(&mut self, id: ConnectionId, error: SocketError, reset: bool) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.error = Some(error);
        match connection.socket_mut() {
            Some(socket) if reset => {
                socket.abort();
                self.mark_ready(id);
                self.settle(id);
            }
            _ => self.finish(id),
        }
    }

    /// Ends a connection without a packet. What was received stays readable.
    pub(super) fn finish(&mut self, id: ConnectionId) {
        self.connections.unlink(id);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.retire(Body::Dead);
        }
        self.settle(id);
    }

    pub(super) fn release(&mut self, id: ConnectionId, reset: bool) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let (state, scope) = (connection.state(), connection.scope);
        if let Body::Pending { syn } = &connection.body {
            let reset = Segment::parse(syn, true).and_then(|syn| syn.reset());
            self.outgoing.extend(reset.map(|octets| Packet::whole(scope, octets)));
            return self.remove(id);
        }
        connection.holder = Holder::Released;
        connection.owner = None;
        connection.write_closed = true;
        match connection.socket_mut() {
            Some(socket) if state != State::SynSent && state != State::Closed => {
                // TIME-WAIT has nothing left to reset.
                if reset && state != State::TimeWait {
                    socket.abort();
                } else {
                    socket.close();
                }
                self.mark_ready(id);
            }
            None if state == State::TimeWait => {}
            _ => return self.remove(id),
        }
        self.settle(id);
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(id) else { return };
        self.timers.cancel(id);
        if let Holder::HalfOpen(listener) | Holder::Queued(listener) = connection.holder
            && let Some(listener) = self.listeners.get_mut(&listener)
        {
            listener.half_open.remove(&id);
            listener.queue.retain(|queued| *queued != id);
        }
    }
}

/// A socket waiting for the SYN that is about to be given to it.
pub(super) fn listening_socket(local: SocketAddr, options: &Options) -> (tcp::Socket<'static>, Storage) {
    let (mut socket, storage) = new_socket(options);
    // Refused only for port 0 or an open socket; the port is from a valid segment and the socket new.
    let _ = socket.listen(local);
    (socket, storage)
}

/// Follows the sequence numbers of what a connection sends, for its TIME-WAIT.
fn note_sent(connection: &mut Connection, last: Option<Sent>) {
    let Some(sent) = last else { return };
    let end = sent.sequence.wrapping_add(sent.length);
    if sent.syn || is_after(end, connection.sent_up_to) {
        connection.sent_up_to = end;
    }
    if let Some(acknowledgment) = sent.acknowledgment {
        connection.received_up_to = acknowledgment;
    }
}
