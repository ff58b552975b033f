//! One connection: its smoltcp socket alone in a set, and what Linux does around it that smoltcp does not.
//!
//! The limits here are Linux's: how long a handshake, a retransmission, an orphan in FIN-WAIT-2 or a TIME-WAIT
//! may last. smoltcp's own user timeout is not used, since it also ends idle connections, and its TIME-WAIT
//! of ten seconds is replaced by a record of a few octets kept for sixty.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp;
use smoltcp::wire::TcpControl;

use super::device::{Packet, usable_mtu};
use super::segment::{Segment, is_after};
use super::types::{ConnectionEntry, ConnectionId, ListenerId, Options, Scope, SocketError, State};

/// Half-open connections live this long: `tcp_synack_retries = 5`, at 1, 3, 7, 15 and 31 s, ends at 63 s.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(63);

/// The last SYN Linux sends (`tcp_syn_retries = 6`); smoltcp would send one more, 60 s later.
pub(super) const LAST_SYN: Duration = Duration::from_secs(63);

/// Unanswered data or FIN: `tcp_retries2 = 15` amounts to 924.6 s.
const RETRANSMISSION_LIMIT: Duration = Duration::from_millis(924_600);

/// The same for a connection its program closed: `tcp_orphan_retries`, eight by default, amounts to 102.2 s.
const ORPHAN_LIMIT: Duration = Duration::from_millis(102_200);

/// `tcp_fin_timeout`: a closed connection waits this long in FIN-WAIT-2 for the peer's FIN.
const FIN_TIMEOUT: Duration = Duration::from_secs(60);

/// What every segment carries as its timestamp (RFC 7323). smoltcp asks for it without saying when, so it stands still,
/// which the RFC's rules take as many segments within one tick.
const TIMESTAMP: u32 = 1;

/// The first segments with data are acknowledged at once (`TCP_MAX_QUICKACKS`).
const QUICK_ACKNOWLEDGMENTS: u8 = 16;

/// How long the acknowledgment of the peer's FIN waits for our own (`TCP_DELACK_MIN`): a program that closes in answer
/// sends one segment, as on Linux, not two. smoltcp would acknowledge a bare FIN at once.
const FIN_ACKNOWLEDGMENT_DELAY: Duration = Duration::from_millis(40);

/// How long later acknowledgments wait for company.
const ACKNOWLEDGMENT_DELAY: smoltcp::time::Duration = smoltcp::time::Duration::from_millis(10);

/// `TCP_TIMEWAIT_LEN`.
const TIME_WAIT: Duration = Duration::from_secs(60);

/// What carries the connection in its present phase.
pub(super) enum Body {
    /// A SYN waits for the caller's decision; nothing else is allocated.
    Pending { syn: Box<[u8]> },
    /// smoltcp runs it.
    Socket { set: SocketSet<'static>, handle: SocketHandle },
    /// Everything is sent, received and read; enough is kept to acknowledge strays.
    TimeWait,
    /// Over.
    Dead,
}

/// How the connection came to be and who holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// In a listener's set of half-open connections.
    HalfOpen(ListenerId),
    /// In a listener's accept queue.
    Queued(ListenerId),
    /// A program has its identifier.
    Program,
    /// The program closed it: it goes when the protocol is done.
    Released,
}

/// What a program can wait for; a change of it is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Readiness {
    readable: bool,
    writable: bool,
    state: State,
    failed: bool,
}

/// Why a connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Nothing answered: ETIMEDOUT or the ICMP error heard meanwhile.
    Unanswered,
    /// Keepalive probes went unanswered: ETIMEDOUT, and a RST as Linux sends.
    Keepalive,
    /// It had its time: FIN-WAIT-2 of an orphan, TIME-WAIT.
    Finished,
}

/// An acknowledgment that waits for company.
struct Held {
    until: Duration,
    /// `None` until smoltcp made it.
    octets: Option<Vec<u8>>,
}

/// One connection.
///
/// What every segment touches comes first, in three cache lines: with many connections each line is a miss. What only
/// their beginning and end need comes last.
#[repr(C, align(64))]
pub(super) struct Connection {
    pub(super) scope: Scope,
    /// The caller's number for it; none once its program closed it.
    pub(super) owner: Option<u32>,
    /// The tuple leads here.
    pub(super) linked: bool,
    /// Waits in the ready queue.
    pub(super) ready: bool,
    /// Waits in the list of changes.
    pub(super) announced: bool,
    /// The program shut down writing.
    pub(super) write_closed: bool,
    pub(super) error: Option<SocketError>,
    /// An ICMP error heard while established: the reason given if the connection then times out.
    pub(super) soft_error: Option<SocketError>,
    pub(super) readiness: Readiness,
    /// Segments with data that are still acknowledged at once.
    quick_acknowledgments: u8,
    pub(super) holder: Holder,
    pub(super) body: Body,
    /// What the caller remembers of the way its packets go.
    pub(super) way: u64,
    pub(super) mtu: usize,
    /// Next sequence number to send and to receive, as the packets sent told.
    pub(super) sent_up_to: u32,
    pub(super) received_up_to: u32,
    /// What the peer acknowledged last, and whether its window was open then.
    pub(super) window: Option<(u32, bool)>,
    /// When the last segment came.
    pub(super) heard: Duration,
    /// Since when something sent is unanswered.
    pub(super) stalled: Option<Duration>,
    /// When its timer fires, if one is set.
    pub(super) timer: Option<Duration>,
    /// The acknowledgment of the peer's FIN, until something else is sent or its time has come.
    held: Option<Box<Held>>,
    pub(super) options: Options,
    /// When the present state began.
    pub(super) since: Duration,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// Received and not read when the socket was given up; empty while there is one.
    unread: VecDeque<u8>,
}

impl Connection {
    pub(super) fn new(
        now: Duration,
        scope: Scope,
        (local, remote): (SocketAddr, SocketAddr),
        mtu: usize,
        options: Options,
        body: Body,
        holder: Holder,
    ) -> Self {
        let mut connection = Connection {
            scope,
            owner: None,
            local,
            remote,
            mtu: usable_mtu(mtu, remote.is_ipv6()),
            options,
            body,
            holder,
            way: 0,
            linked: true,
            ready: false,
            announced: false,
            readiness: Readiness { readable: false, writable: false, state: State::Closed, failed: false },
            error: None,
            soft_error: None,
            write_closed: false,
            sent_up_to: 0,
            received_up_to: 0,
            window: None,
            heard: now,
            since: now,
            stalled: None,
            timer: None,
            held: None,
            quick_acknowledgments: QUICK_ACKNOWLEDGMENTS,
            unread: VecDeque::new(),
        };
        connection.readiness = connection.observe();
        connection
    }

    pub(super) fn socket(&self) -> Option<&tcp::Socket<'static>> {
        match &self.body {
            Body::Socket { set, handle } => Some(set.get(*handle)),
            Body::Pending { .. } | Body::TimeWait | Body::Dead => None,
        }
    }

    pub(super) fn socket_mut(&mut self) -> Option<&mut tcp::Socket<'static>> {
        match &mut self.body {
            Body::Socket { set, handle } => Some(set.get_mut(*handle)),
            Body::Pending { .. } | Body::TimeWait | Body::Dead => None,
        }
    }

    pub(super) fn state(&self) -> State {
        match &self.body {
            Body::Pending { .. } => State::Pending,
            Body::TimeWait => State::TimeWait,
            Body::Dead => State::Closed,
            Body::Socket { set, handle } => match set.get::<tcp::Socket<'_>>(*handle).state() {
                tcp::State::Closed | tcp::State::Listen => State::Closed,
                tcp::State::SynSent => State::SynSent,
                tcp::State::SynReceived => State::SynReceived,
                tcp::State::Established => State::Established,
                tcp::State::FinWait1 => State::FinWait1,
                tcp::State::FinWait2 => State::FinWait2,
                tcp::State::CloseWait => State::CloseWait,
                tcp::State::Closing => State::Closing,
                tcp::State::LastAck => State::LastAck,
                tcp::State::TimeWait => State::TimeWait,
            },
        }
    }

    /// Counts a segment with data: after the first few, acknowledgments are delayed.
    pub(super) fn count_data(&mut self) {
        if self.quick_acknowledgments == 0 {
            return;
        }
        self.quick_acknowledgments -= 1;
        if self.quick_acknowledgments == 0
            && let Some(socket) = self.socket_mut()
        {
            socket.set_ack_delay(Some(ACKNOWLEDGMENT_DELAY));
        }
    }

    /// The peer's FIN came, alone and for the first time: its acknowledgment waits from now on.
    pub(super) fn hold_acknowledgment(&mut self, now: Duration) {
        let until = now.saturating_add(FIN_ACKNOWLEDGMENT_DELAY);
        self.held = Some(Box::new(Held { until, octets: None }));
    }

    /// The acknowledgment whose time has come.
    pub(super) fn take_held(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.held.as_ref()?.until > now {
            return None;
        }
        self.held.take()?.octets
    }

    /// Keeps back what the socket just sent, if it is the one acknowledgment that waits; whatever else it sent goes,
    /// and nothing waits any longer. Returns memory that is free again.
    pub(super) fn keep_back(&mut self, sent: &mut VecDeque<Packet>, before: usize) -> Option<Vec<u8>> {
        let held = self.held.as_mut()?;
        let last = sent.back().filter(|_| sent.len() > before)?;
        let bare = Segment::sent(&last.octets).is_some_and(|sent| sent.bare);
        if !bare || sent.len() > before + 1 {
            return self.held.take()?.octets;
        }
        let packet = sent.pop_back()?;
        held.octets.replace(packet.octets)
    }

    /// When the acknowledgment that waits is to go.
    pub(super) fn held_until(&self) -> Option<Duration> {
        self.held.as_ref().map(|held| held.until)
    }

    /// Gives the socket and its buffers up for `body`; what was received stays readable.
    pub(super) fn retire(&mut self, body: Body) {
        let mut unread = std::mem::take(&mut self.unread);
        if let Some(socket) = self.socket_mut() {
            while socket.can_recv() {
                let taken = socket.recv(|octets| {
                    unread.extend(&*octets);
                    (octets.len(), octets.len())
                });
                if taken.is_err() {
                    break;
                }
            }
        }
        self.unread = unread;
        self.body = body;
    }

    /// Octets received and not read.
    pub(super) fn unread(&self) -> usize {
        self.socket().map_or_else(|| self.unread.len(), tcp::Socket::recv_queue)
    }

    /// Takes at most `limit` octets of what is there.
    pub(super) fn read(&mut self, limit: usize) -> Vec<u8> {
        let Some(socket) = self.socket_mut() else {
            let length = limit.min(self.unread.len());
            return self.unread.drain(..length).collect();
        };
        let wanted = limit.min(socket.recv_queue());
        let mut taken = Vec::with_capacity(wanted);
        // A ring's content has two parts at most.
        while taken.len() < wanted {
            let part = socket.recv(|octets| {
                let length = octets.len().min(wanted - taken.len());
                taken.extend_from_slice(&octets[..length]);
                (length, length)
            });
            if !part.is_ok_and(|length| length > 0) {
                break;
            }
        }
        taken
    }

    pub(super) fn is_released(&self) -> bool {
        self.holder == Holder::Released
    }

    /// Whether a read would return at once.
    pub(super) fn can_receive(&self) -> bool {
        if self.error.is_some() || self.unread() > 0 {
            return true;
        }
        match self.state() {
            State::Pending
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2 => false,
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait | State::Closed => true,
        }
    }

    /// Whether a write would return at once.
    pub(super) fn can_send(&self) -> bool {
        if self.error.is_some() || self.write_closed {
            return true;
        }
        match self.state() {
            State::Pending | State::SynSent | State::SynReceived => false,
            State::Established | State::CloseWait => self.socket().is_some_and(tcp::Socket::can_send),
            State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => true,
        }
    }

    pub(super) fn observe(&self) -> Readiness {
        Readiness {
            readable: self.can_receive(),
            writable: self.can_send(),
            state: self.state(),
            failed: self.error.is_some(),
        }
    }

    /// The state in which the connection was when last observed.
    pub(super) fn observed_state(&self) -> State {
        self.readiness.state
    }

    /// Whether the peer owes an acknowledgment of data or of our FIN.
    pub(super) fn is_outstanding(&self) -> bool {
        match self.state() {
            State::FinWait1 | State::Closing | State::LastAck => true,
            State::Established | State::CloseWait => self.socket().is_some_and(|s| s.send_queue() > 0),
            State::Pending
            | State::SynSent
            | State::SynReceived
            | State::FinWait2
            | State::TimeWait
            | State::Closed => false,
        }
    }

    /// Whether a segment only repeats that our FIN, all that is outstanding, is not acknowledged. Three of
    /// those make smoltcp stop its retransmission timer for a fast retransmission of data, of which there is
    /// none: the FIN would never be sent again.
    pub(super) fn is_duplicate_before_fin(&self, segment: &Segment) -> bool {
        let is_closing = matches!(self.state(), State::FinWait1 | State::Closing | State::LastAck);
        is_closing
            && self.socket().is_some_and(|socket| socket.send_queue() == 0)
            && segment.control == TcpControl::None
            && segment.length == 0
            && segment.sequence == self.received_up_to
            && segment.acknowledgment == Some(self.sent_up_to.wrapping_sub(1))
    }

    /// Whether a segment only closes the window that was open behind the same acknowledgment: another overtook it.
    /// With data under way smoltcp would close the window, have nothing to send when its retransmission timer fires,
    /// and set no timer to probe the window: the connection would stand still until it is given up.
    pub(super) fn is_overtaken(&self, segment: &Segment) -> bool {
        segment.closes_window
            && segment.control == TcpControl::None
            && segment.length == 0
            && segment.acknowledgment.is_some_and(|number| self.window == Some((number, true)))
    }

    /// Remembers what the peer acknowledges.
    pub(super) fn note_window(&mut self, segment: &Segment) {
        if let Some(number) = segment.acknowledgment
            && self.window.is_none_or(|(last, _)| !is_after(last, number))
        {
            self.window = Some((number, !segment.closes_window));
        }
    }

    /// When and why the connection ends if nothing more is heard.
    pub(super) fn expiry(&self) -> Option<(Duration, Expiry)> {
        let unanswered = |since: Duration, limit| Some((since.saturating_add(limit), Expiry::Unanswered));
        match self.state() {
            State::Pending | State::SynReceived => unanswered(self.since, HANDSHAKE_LIMIT),
            State::SynSent => unanswered(self.since, self.options.connect_timeout),
            State::TimeWait => Some((self.since.saturating_add(TIME_WAIT), Expiry::Finished)),
            State::FinWait2 if self.is_released() => {
                Some((self.since.saturating_add(FIN_TIMEOUT), Expiry::Finished))
            }
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => {
                let limit = if self.is_released() { ORPHAN_LIMIT } else { RETRANSMISSION_LIMIT };
                let stalled = self.stalled.and_then(|since| unanswered(since, limit));
                let keepalive = self.options.keepalive.map(|keepalive| {
                    let probes = keepalive.interval.saturating_mul(keepalive.count);
                    let silence = keepalive.idle.saturating_add(probes);
                    (self.heard.saturating_add(silence), Expiry::Keepalive)
                });
                [stalled, keepalive].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
            }
            State::Closed => None,
        }
    }

    /// The interval smoltcp is to probe at: `idle` after the last segment heard, `interval` between
    /// unanswered probes.
    pub(super) fn adjust_keepalive(&mut self, now: Duration) {
        let Some(keepalive) = self.options.keepalive else { return };
        let is_probing = now >= self.heard.saturating_add(keepalive.idle);
        let interval = if is_probing { keepalive.interval } else { keepalive.idle };
        let interval = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).clamp(1000, 1 << 50);
        if let Some(socket) = self.socket_mut() {
            socket.set_keep_alive(Some(smoltcp::time::Duration::from_micros(interval)));
        }
    }

    pub(super) fn entry(&self, id: ConnectionId) -> ConnectionEntry {
        ConnectionEntry {
            id,
            scope: self.scope,
            local: self.local,
            remote: self.remote,
            state: self.state(),
            receive_queue: self.unread(),
            send_queue: self.socket().map_or(0, tcp::Socket::send_queue),
        }
    }
}

/// Where the one socket of a set is kept.
pub(super) type Storage = Vec<SocketStorage<'static>>;

/// A closed smoltcp socket with the buffers and manners `options` asks for, and where it is to be kept.
///
/// That is allocated right before the send buffer: a segment then touches one page for the socket and for what it sends,
/// which with many connections spares a walk through the page tables.
pub(super) fn new_socket(options: &Options) -> (tcp::Socket<'static>, Storage) {
    let buffer = |size: usize| tcp::SocketBuffer::new(vec![0; size.clamp(1024, usize::from(u16::MAX))]);
    let receive_buffer = buffer(options.receive_buffer);
    let storage = Vec::with_capacity(1);
    let mut socket = tcp::Socket::new(receive_buffer, buffer(options.send_buffer));
    socket.set_congestion_control(tcp::CongestionControl::Reno);
    socket.set_hop_limit(Some(options.hop_limit.max(1)));
    socket.set_nagle_enabled(!options.no_delay);
    socket.set_ack_delay(None);
    socket.set_tsval_generator(Some(|| TIMESTAMP));
    (socket, storage)
}

/// A set holding one socket.
pub(super) fn alone((socket, storage): (tcp::Socket<'static>, Storage)) -> Body {
    let mut set = SocketSet::new(storage);
    let handle = set.add(socket);
    Body::Socket { set, handle }
}
