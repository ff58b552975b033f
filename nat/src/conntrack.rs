//! Connection tracking after Linux's `nf_conntrack`: which packets belong together, in which direction, and for
//! how long that is remembered.
//!
//! A connection is kept once and found by two tuples: `original`, of its first packet, and `reply`, of the
//! answers as they will arrive. Address translation is nothing but a reply tuple that is not the original's
//! inverse (see [`crate::nat`]). The first packet makes an *unconfirmed* connection that no other packet can find;
//! when the packet leaves the host, or reaches a socket, [`Conntrack::confirm`] puts both tuples into the table,
//! or neither.
//!
//! Time is an argument. A connection whose time is over is never found again, whether or not
//! [`Conntrack::expire`] ran; that call only gives memory back, so nothing has to wake up for it.
//!
//! Limits: TCP windows are not followed (see [`crate::tcp_state`]); SCTP, DCCP and GRE have no state of their own
//! but the generic timeout; there are no helpers, expectations or zones.

mod connection;
mod events;
mod hash;

pub use connection::{Connection, ConnectionFilter, ConnectionId, ConnectionOwner, FlowCounters, Status};
pub use events::{ConntrackEvent, EventKind, Heard};
pub(crate) use hash::{address_bits, fold};

use crate::rule::CtState;
use crate::tcp_state::{self, TcpState, TcpStep, TcpTracking};
use crate::timeouts::Timeouts;
use crate::tuple::Tuple;
use connection::ProtocolState;
use events::{EventLog, told};
use hash::hash;
use hashbrown::HashTable;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::IpAddr;
use std::time::Duration;

/// Default of `nf_conntrack_max` on a machine with more than 4 GiB.
pub const DEFAULT_MAXIMUM: usize = 262_144;

/// How long a connection out of the table is kept for packets on their way through the host; they take no virtual
/// time unless something queues them.
const IN_FLIGHT: Duration = Duration::from_secs(10);

/// UDP that is answered for longer than this is a stream (`nf_conntrack_proto_udp.c`).
const UDP_STREAM_AFTER: Duration = Duration::from_secs(2);

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// UDP-Lite (RFC 3828), tracked as UDP.
const UDPLITE: u8 = 136;

/// The direction of a packet within its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Direction {
    /// As the first packet.
    Original = 0,
    /// As the answers.
    Reply = 1,
}

impl Direction {
    /// The other direction.
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        }
    }
}

/// What tracking needs to know of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackedPacket {
    /// The packet's flow and direction.
    pub tuple: Tuple,
    /// The flag byte of a TCP header.
    pub tcp_flags: Option<u8>,
    /// Length of the IP packet in bytes.
    pub length: usize,
}

/// What tracking says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// It belongs to a connection: NEW, ESTABLISHED or RELATED.
    Connection {
        /// Which.
        id: ConnectionId,
        /// In which direction.
        direction: Direction,
        /// The state as rules see it.
        state: CtState,
    },
    /// It belongs to nothing and opens nothing.
    Invalid,
    /// There is no room for the connection it opens; Linux drops it.
    Full,
}

/// What was counted, as the fields of `/proc/net/stat/nf_conntrack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConntrackStatistics {
    /// Packets that are INVALID.
    pub invalid: u64,
    /// Packets dropped because the table was full.
    pub drop: u64,
    /// Connections removed to make room.
    pub early_drop: u64,
    /// Connections whose tuples were taken when they were to be confirmed.
    pub insert_failed: u64,
}

/// Why a connection was not confirmed. Nothing was inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// One of its tuples belongs to another connection.
    #[error("the tuple {tuple:?} belongs to another connection: drop the packet")]
    Clash {
        /// The tuple that is taken.
        tuple: Tuple,
    },
    /// There is no such connection (any more).
    #[error("the connection is gone: drop the packet")]
    Gone,
}

/// The connections of one network namespace.
#[derive(Debug)]
pub struct Conntrack {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Both tuples of every connection: the slot, shifted left, and the direction. Never iterated.
    table: HashTable<u32>,
    timers: BinaryHeap<Reverse<(Duration, u32, u32)>>,
    /// Connections in the table that may be dropped early, oldest first.
    unassured: BTreeSet<(u64, u32)>,
    /// Connections by the owners of the rules that translated them.
    owned: BTreeSet<(ConnectionOwner, u32)>,
    timeouts: &'static Timeouts,
    loose: bool,
    maximum: usize,
    hash_seed: u64,
    created: u64,
    live: usize,
    statistics: ConntrackStatistics,
    /// While somebody listens.
    log: Option<Box<EventLog>>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

impl Default for Conntrack {
    fn default() -> Conntrack {
        Conntrack::new(0)
    }
}

impl Conntrack {
    /// An empty table. The seed only keeps senders from predicting which tuples collide; no result depends on it.
    pub fn new(hash_seed: u64) -> Conntrack {
        Conntrack {
            slots: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            timers: BinaryHeap::new(),
            unassured: BTreeSet::new(),
            owned: BTreeSet::new(),
            timeouts: &Timeouts::LINUX,
            loose: true,
            maximum: DEFAULT_MAXIMUM,
            hash_seed,
            created: 0,
            live: 0,
            statistics: ConntrackStatistics::default(),
            log: None,
        }
    }

    /// `nf_conntrack_max`: how many connections there may be, the unconfirmed included. 0 is no limit. A table
    /// that is larger already shrinks by expiry only.
    pub fn set_maximum(&mut self, maximum: usize) {
        self.maximum = maximum;
    }

    /// `nf_conntrack_tcp_loose`: whether TCP connections are picked up in their middle. On by default.
    pub fn set_loose(&mut self, loose: bool) {
        self.loose = loose;
    }

    /// What was counted.
    pub fn statistics(&self) -> ConntrackStatistics {
        self.statistics
    }

    /// How many connections are kept, the unconfirmed included (`nf_conntrack_count`).
    pub fn count(&self) -> usize {
        self.live
    }

    /// The connection and direction of a tuple.
    pub fn lookup(&self, now: Duration, tuple: &Tuple) -> Option<(ConnectionId, Direction)> {
        let (slot, direction) = self.find(tuple)?;
        let connection = self.slots[slot as usize].connection.as_ref()?;
        (connection.expires > now).then(|| (self.id(slot), direction))
    }

    /// A connection by identity.
    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.connection.as_ref().filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.connection.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// Takes a packet: finds its connection and moves it on, or makes an unconfirmed one.
    pub fn track(&mut self, now: Duration, packet: &TrackedPacket) -> Tracking {
        let known = self.refresh(now, packet);
        let tracking = match known {
            Some(tracking) => tracking,
            None => self.new_unconfirmed(now, packet),
        };
        match tracking {
            Tracking::Invalid => self.statistics.invalid += 1,
            Tracking::Full => self.statistics.drop += 1,
            Tracking::Connection { .. } => {}
        }
        tracking
    }

    /// Whether a connection's packets only refresh it: confirmed, alive, not translated, and if TCP, established.
    pub(crate) fn is_steady(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(is_steady)
    }

    /// Moves a steady connection on by a packet whose direction and state are known, as [`Conntrack::track`] would.
    /// False, and nothing happened, if the packet would now be another state or the connection is not steady any more.
    /// A TCP segment must be one that moves no state: ACK, and none of SYN, FIN and RST.
    #[inline]
    pub(crate) fn repeat(
        &mut self,
        now: Duration,
        id: ConnectionId,
        direction: Direction,
        state: CtState,
        tcp_flags: Option<u8>,
        length: usize,
    ) -> bool {
        let slot = match self.slots.get_mut(id.slot as usize) {
            Some(slot) if slot.generation == id.generation => slot,
            _ => return false,
        };
        let Some(connection) = slot.connection.as_mut() else { return false };
        let established = connection.status.contains(Status::SEEN_REPLY) || direction == Direction::Reply;
        let now_state = if established { CtState::Established } else { CtState::New };
        if connection.expires <= now || now_state != state || !is_steady(connection) {
            return false;
        }
        let assured = connection.status.contains(Status::ASSURED);
        let before = self.log.is_some().then(|| told(connection));
        let timeout = match advance(connection, now, direction, tcp_flags, self.timeouts) {
            Advance::Refresh(timeout) => Some(timeout),
            // What a steady connection's packets do; the others need flags that are excluded.
            Advance::Keep | Advance::Invalid | Advance::Reopen | Advance::Kill => None,
        };
        count(&mut connection.counters[direction as usize], length);
        if direction == Direction::Reply {
            connection.status.insert(Status::SEEN_REPLY);
        }
        if assured != connection.status.contains(Status::ASSURED) {
            self.unassured.remove(&(connection.created, id.slot));
        }
        if let Some(timeout) = timeout {
            self.set_expiry(id.slot, now + timeout);
        }
        if let Some(before) = before {
            self.report_update(id.slot, before);
        }
        true
    }

    /// Takes an ICMP error that quotes a packet of the flow `embedded` and is sent to `destination`. It is RELATED
    /// to the flow's connection, in the direction opposite to the quoted packet; an error sent elsewhere than
    /// where that connection's packets go is INVALID (`nf_conntrack_inet_error`).
    pub fn track_error(&mut self, now: Duration, embedded: &Tuple, destination: IpAddr) -> Tracking {
        let found = embedded.inverted().and_then(|tuple| self.lookup(now, &tuple));
        match found {
            Some((id, direction))
                if self.get(id).is_some_and(|c| c.tuple(direction).destination == destination) =>
            {
                Tracking::Connection { id, direction, state: CtState::Related }
            }
            _ => {
                self.statistics.invalid += 1;
                Tracking::Invalid
            }
        }
    }

    /// Makes a connection from its first packet, not yet to be found by others.
    pub fn new_unconfirmed(&mut self, now: Duration, packet: &TrackedPacket) -> Tracking {
        let Some(protocol) = self.opening(now, packet) else { return Tracking::Invalid };
        let Some(reply) = packet.tuple.inverted() else { return Tracking::Invalid };
        if self.maximum != 0 && self.live >= self.maximum && !self.drop_early() {
            return Tracking::Full;
        }
        self.created += 1;
        let mut connection = Connection {
            tuples: [packet.tuple, reply],
            status: Status::default(),
            protocol,
            counters: [FlowCounters::default(); 2],
            mark: 0,
            owners: [None; 2],
            masquerade_device: None,
            created: self.created,
            expires: Duration::ZERO,
            queued: Duration::MAX,
        };
        count(&mut connection.counters[0], packet.length);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize].connection = Some(connection);
        self.live += 1;
        self.set_expiry(slot, now + IN_FLIGHT);
        Tracking::Connection { id: self.id(slot), direction: Direction::Original, state: CtState::New }
    }

    /// Puts both tuples of a connection into the table and starts its timer. A connection that is there already
    /// stays as it is; one that another packet of the same flow, translated the same, confirmed first is given up
    /// for that other one, whose identity is returned.
    pub fn confirm(&mut self, now: Duration, id: ConnectionId) -> Result<ConnectionId, ConfirmError> {
        let connection = self.get(id).ok_or(ConfirmError::Gone)?;
        if connection.status.contains(Status::CONFIRMED) {
            return Ok(id);
        }
        let tuples = connection.tuples;
        for tuple in tuples {
            self.remove_expired(now, &tuple);
            let Some((other, direction)) = self.find(&tuple) else { continue };
            let same = direction == Direction::Original
                && self.slots[other as usize].connection.as_ref().is_some_and(|c| c.tuples == tuples);
            self.remove(id);
            if same {
                return Ok(self.id(other));
            }
            self.statistics.insert_failed += 1;
            return Err(ConfirmError::Clash { tuple });
        }
        for direction in [Direction::Original, Direction::Reply] {
            let hash = hash(self.hash_seed, &tuples[direction as usize]);
            let (slots, seed) = (&self.slots, self.hash_seed);
            self.table
                .insert_unique(hash, id.slot << 1 | direction as u32, |entry| rehash(slots, seed, *entry));
        }
        let Some(connection) = self.slots[id.slot as usize].connection.as_mut() else {
            return Err(ConfirmError::Gone);
        };
        connection.status.insert(Status::CONFIRMED);
        self.unassured.insert((connection.created, id.slot));
        let expires = now + connection.initial_timeout(self.timeouts);
        self.set_expiry(id.slot, expires);
        self.report_new(id.slot);
        Ok(id)
    }

    /// Forgets a connection. False if there is none.
    pub fn remove(&mut self, id: ConnectionId) -> bool {
        if self.get(id).is_none() {
            return false;
        }
        self.unlink(id.slot);
        let slot = &mut self.slots[id.slot as usize];
        for owner in slot.connection.take().into_iter().flat_map(|connection| connection.owners).flatten() {
            self.owned.remove(&(owner, id.slot));
        }
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.live -= 1;
        true
    }

    /// Forgets a connection if its first packet never got through; for packets that are dropped.
    pub fn release(&mut self, id: ConnectionId) {
        if self.get(id).is_some_and(|c| !c.status.contains(Status::CONFIRMED)) {
            self.remove(id);
        }
    }

    /// Takes a connection out of the table, but keeps it for the packet on its way (`nf_ct_kill`).
    pub(crate) fn kill(&mut self, now: Duration, id: ConnectionId) {
        if self.get(id).is_some() {
            self.unlink(id.slot);
            self.set_expiry(id.slot, now + IN_FLIGHT);
        }
    }

    /// A rule of `owner` translated an end of a connection.
    pub(crate) fn set_owner(
        &mut self,
        id: ConnectionId,
        manipulation: usize,
        owner: Option<ConnectionOwner>,
    ) {
        let Some(connection) = self.get_mut(id) else { return };
        let before = std::mem::replace(&mut connection.owners[manipulation], owner);
        let other = connection.owners[1 - manipulation];
        if let Some(before) = before.filter(|before| Some(*before) != other) {
            self.owned.remove(&(before, id.slot));
        }
        self.owned.extend(owner.map(|owner| (owner, id.slot)));
    }

    /// Forgets every connection the filter selects, unconfirmed ones too, and says how many.
    pub fn flush(&mut self, filter: &ConnectionFilter) -> usize {
        let candidates: Vec<u32> = match filter.owner {
            Some(owner) => self.owned.range((owner, 0)..=(owner, u32::MAX)).map(|(_, slot)| *slot).collect(),
            None => (0..self.slots.len() as u32).collect(),
        };
        let selected: Vec<ConnectionId> = candidates
            .into_iter()
            .filter(|slot| self.slots[*slot as usize].connection.as_ref().is_some_and(|c| filter.selects(c)))
            .map(|slot| self.id(slot))
            .collect();
        selected.into_iter().filter(|id| self.remove(*id)).count()
    }

    /// Gives back the memory of connections whose time is over, and says how many they were.
    pub fn expire(&mut self, now: Duration) -> usize {
        let mut expired = 0;
        while let Some(Reverse((at, slot, generation))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            let id = ConnectionId { slot, generation };
            let Some(connection) = self.get_mut(id).filter(|c| c.queued == at) else { continue };
            if connection.expires <= now {
                self.remove(id);
                expired += 1;
            } else {
                connection.queued = connection.expires;
                let next = connection.queued;
                self.timers.push(Reverse((next, slot, generation)));
            }
        }
        expired
    }

    /// When [`Conntrack::expire`] may next have something to do; never later than the first expiry, perhaps
    /// earlier. Correctness does not need the call.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The connections in the table, oldest first.
    pub fn list(&self, now: Duration) -> Vec<(ConnectionId, &Connection)> {
        let mut list: Vec<_> = (0..self.slots.len() as u32)
            .filter_map(|slot| Some((self.id(slot), self.slots[slot as usize].connection.as_ref()?)))
            .filter(|(_, c)| c.expires > now && is_linked(c.status))
            .collect();
        list.sort_unstable_by_key(|(_, c)| c.created);
        list
    }

    /// Whether a reply tuple cannot be given to `id` because packets that carry it belong to another connection.
    /// Another connection with the same original tuple does not count, as only one of the two will be confirmed.
    pub(crate) fn is_taken(&self, now: Duration, reply: &Tuple, id: ConnectionId) -> bool {
        let Some((slot, _)) = self.find(reply) else { return false };
        let Some(other) = self.slots[slot as usize].connection.as_ref() else { return false };
        slot != id.slot
            && other.expires > now
            && self.get(id).is_none_or(|mine| mine.original() != other.original())
    }

    /// Finds the connection of a packet and moves it on. `None` when it has none.
    fn refresh(&mut self, now: Duration, packet: &TrackedPacket) -> Option<Tracking> {
        let (slot, direction) = self.find(&packet.tuple)?;
        let id = self.id(slot);
        let connection = self.slots[slot as usize].connection.as_mut()?;
        if connection.expires <= now {
            self.remove(id);
            return None;
        }
        let answered = connection.status.contains(Status::SEEN_REPLY);
        let state =
            if direction == Direction::Reply || answered { CtState::Established } else { CtState::New };
        let assured = connection.status.contains(Status::ASSURED);
        let before = self.log.is_some().then(|| told(connection));
        let timeout = match advance(connection, now, direction, packet.tcp_flags, self.timeouts) {
            Advance::Refresh(timeout) => Some(timeout),
            Advance::Keep => None,
            Advance::Invalid => return Some(Tracking::Invalid),
            Advance::Reopen => {
                self.remove(id);
                return None;
            }
            Advance::Kill => {
                self.kill(now, id);
                return Some(Tracking::Connection { id, direction, state });
            }
        };
        count(&mut connection.counters[direction as usize], packet.length);
        if direction == Direction::Reply {
            connection.status.insert(Status::SEEN_REPLY);
        }
        if assured != connection.status.contains(Status::ASSURED) {
            self.unassured.remove(&(connection.created, slot));
        }
        if let Some(timeout) = timeout {
            self.set_expiry(slot, now + timeout);
        }
        if let Some(before) = before {
            self.report_update(slot, before);
        }
        Some(Tracking::Connection { id, direction, state })
    }

    /// What to remember of a connection that begins with `packet`; `None` if nothing begins so.
    fn opening(&self, now: Duration, packet: &TrackedPacket) -> Option<ProtocolState> {
        let [icmp_type, _] = packet.tuple.destination_port.to_be_bytes();
        match packet.tuple.protocol {
            TCP => TcpTracking::begin(packet.tcp_flags?, self.loose).map(ProtocolState::Tcp),
            UDP | UDPLITE => Some(ProtocolState::Udp { stream_after: now + UDP_STREAM_AFTER }),
            ICMP => matches!(icmp_type, 8 | 13 | 15 | 17).then_some(ProtocolState::Icmp),
            ICMPV6 => matches!(icmp_type, 128 | 139).then_some(ProtocolState::Icmpv6),
            _ => Some(ProtocolState::Other),
        }
    }

    /// Makes room by removing the oldest connection that is not assured (Linux looks in a few hash buckets only,
    /// which has no order that could be repeated).
    fn drop_early(&mut self) -> bool {
        let Some((_, slot)) = self.unassured.first().copied() else { return false };
        self.statistics.early_drop += 1;
        self.remove(self.id(slot))
    }

    fn id(&self, slot: u32) -> ConnectionId {
        ConnectionId { slot, generation: self.slots[slot as usize].generation }
    }

    fn find(&self, tuple: &Tuple) -> Option<(u32, Direction)> {
        let entry = *self.table.find(hash(self.hash_seed, tuple), |entry| {
            tuple_of(&self.slots, *entry).is_some_and(|found| found == tuple)
        })?;
        Some((entry >> 1, direction_of(entry)))
    }

    fn remove_expired(&mut self, now: Duration, tuple: &Tuple) {
        if let Some((slot, _)) = self.find(tuple)
            && self.slots[slot as usize].connection.as_ref().is_some_and(|c| c.expires <= now)
        {
            self.remove(self.id(slot));
        }
    }

    /// Takes a connection's tuples out of the table, if they are in it.
    fn unlink(&mut self, slot: u32) {
        let Some(connection) = self.slots[slot as usize].connection.as_mut() else { return };
        let linked = is_linked(connection.status);
        connection.status.insert(Status::DYING);
        self.unassured.remove(&(connection.created, slot));
        if !linked {
            return;
        }
        if let Some(log) = &mut self.log {
            log.push(EventKind::Destroy, connection);
        }
        let tuples = connection.tuples;
        for direction in [Direction::Original, Direction::Reply] {
            let entry = slot << 1 | direction as u32;
            let hash = hash(self.hash_seed, &tuples[direction as usize]);
            if let Ok(found) = self.table.find_entry(hash, |candidate| *candidate == entry) {
                found.remove();
            }
        }
    }

    /// Sets when a connection ends. The timer queue is touched only when that is sooner than it will look.
    fn set_expiry(&mut self, slot: u32, expires: Duration) {
        let generation = self.slots[slot as usize].generation;
        let Some(connection) = self.slots[slot as usize].connection.as_mut() else { return };
        connection.expires = expires;
        if expires >= connection.queued {
            return;
        }
        connection.queued = expires;
        self.timers.push(Reverse((expires, slot, generation)));
        // What removed connections left behind must not pile up.
        if self.timers.len() > 64 + 2 * self.live {
            let slots = &self.slots;
            self.timers.retain(|Reverse((at, slot, generation))| {
                let slot = &slots[*slot as usize];
                slot.generation == *generation && slot.connection.as_ref().is_some_and(|c| c.queued == *at)
            });
        }
    }
}

/// What a packet does to its connection.
enum Advance {
    /// Accepted; the connection lives for this long from now.
    Refresh(Duration),
    /// Accepted without effect on the connection's life.
    Keep,
    /// INVALID.
    Invalid,
    /// The connection is over and the packet opens a new one.
    Reopen,
    /// Accepted, and the connection ends with it.
    Kill,
}

fn advance(
    connection: &mut Connection,
    now: Duration,
    direction: Direction,
    tcp_flags: Option<u8>,
    timeouts: &Timeouts,
) -> Advance {
    let answered = connection.status.contains(Status::SEEN_REPLY);
    match &mut connection.protocol {
        ProtocolState::Tcp(tracking) => {
            let Some(flags) = tcp_flags else { return Advance::Invalid };
            let (from, to) = match tracking.advance(direction, flags) {
                TcpStep::Invalid => return Advance::Invalid,
                TcpStep::Ignored => return Advance::Keep,
                TcpStep::Reopen => return Advance::Reopen,
                TcpStep::Moved { from, to } => (from, to),
            };
            let mut timeout = timeouts.tcp(to);
            if !answered {
                if tcp_state::is_reset(flags) {
                    return Advance::Kill;
                }
                // Otherwise a client that reuses its port would keep an old translation alive for ever.
                if tcp_state::is_syn(flags) && from == TcpState::SynSent {
                    return Advance::Keep;
                }
                if to == TcpState::Established {
                    timeout = timeout.min(timeouts.tcp_unacknowledged);
                }
            } else if matches!(from, TcpState::SynRecv | TcpState::Established) && to == TcpState::Established
            {
                connection.status.insert(Status::ASSURED);
            }
            Advance::Refresh(timeout)
        }
        ProtocolState::Udp { stream_after } if answered => {
            if now > *stream_after {
                connection.status.insert(Status::ASSURED);
                return Advance::Refresh(timeouts.udp_stream);
            }
            Advance::Refresh(timeouts.udp)
        }
        ProtocolState::Udp { .. } => Advance::Refresh(timeouts.udp),
        ProtocolState::Icmp => Advance::Refresh(timeouts.icmp),
        ProtocolState::Icmpv6 => Advance::Refresh(timeouts.icmpv6),
        ProtocolState::Other => Advance::Refresh(timeouts.generic),
    }
}

fn is_steady(connection: &Connection) -> bool {
    let settled = match connection.protocol {
        ProtocolState::Tcp(tracking) => tracking.state() == TcpState::Established,
        ProtocolState::Udp { .. } | ProtocolState::Icmp | ProtocolState::Icmpv6 | ProtocolState::Other => {
            true
        }
    };
    settled
        && is_linked(connection.status)
        && !connection.status.is_translated()
        && connection.masquerade_device.is_none()
}

fn is_linked(status: Status) -> bool {
    status.contains(Status::CONFIRMED) && !status.contains(Status::DYING)
}

fn count(counters: &mut FlowCounters, length: usize) {
    counters.packets += 1;
    counters.bytes += length as u64;
}

fn direction_of(entry: u32) -> Direction {
    if entry & 1 == 0 { Direction::Original } else { Direction::Reply }
}

fn tuple_of(slots: &[Slot], entry: u32) -> Option<&Tuple> {
    Some(slots[(entry >> 1) as usize].connection.as_ref()?.tuple(direction_of(entry)))
}

fn rehash(slots: &[Slot], seed: u64, entry: u32) -> u64 {
    tuple_of(slots, entry).map_or(0, |tuple| hash(seed, tuple))
}

#[cfg(test)]
mod tests;
