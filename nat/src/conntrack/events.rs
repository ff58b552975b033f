//! What happens to the connections of a table, told to whoever listens (`conntrack -E`).
//!
//! A connection is new when it is confirmed, updated when its first answer comes, its TCP state moves or it becomes assured,
//! and destroyed when it leaves the table, by whatever hand. As with Linux's `nf_conntrack_events=2`, nothing is told of
//! connections that began before somebody listened, and while nobody does nothing is kept. At most [`LIMIT`] events wait;
//! beyond these the oldest are lost, and listeners that had not heard them learn how many. An update is told when its packet is
//! tracked, where Linux waits until that leaves the hooks.

use super::{Connection, Conntrack};
use crate::tcp_state::TcpState;
use std::collections::VecDeque;
use std::time::Duration;

/// Events that wait for the slowest listener.
const LIMIT: usize = 4_096;

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It is in the table now.
    New,
    /// Its state is another.
    Update,
    /// It is in the table no more.
    Destroy,
}

/// Something that happened to a connection.
#[derive(Debug, Clone)]
pub struct ConntrackEvent {
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Duration,
    /// The connection right after it.
    pub connection: Connection,
}

/// What a listener has not heard yet.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The events, oldest first.
    pub events: Vec<ConntrackEvent>,
    /// How many were lost before these.
    pub lost: u64,
    /// Where to go on.
    pub next: u64,
}

/// Kept while somebody listens.
#[derive(Debug)]
pub(super) struct EventLog {
    listeners: usize,
    now: Duration,
    /// Connections made up to this one began before anybody listened.
    before: u64,
    /// The number of the first event that is still here.
    first: u64,
    events: VecDeque<ConntrackEvent>,
}

/// What of a connection an update tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    status: super::Status,
    state: Option<TcpState>,
}

impl EventLog {
    pub(super) fn push(&mut self, kind: EventKind, connection: &Connection) {
        if connection.created <= self.before {
            return;
        }
        if self.events.len() >= LIMIT {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(ConntrackEvent { kind, at: self.now, connection: connection.clone() });
    }
}

/// What an update would tell of a connection.
pub(super) fn told(connection: &Connection) -> Told {
    Told { status: connection.status, state: connection.tcp_state() }
}

impl Conntrack {
    pub(super) fn report_new(&mut self, slot: u32) {
        if let (Some(log), Some(connection)) = (&mut self.log, &self.slots[slot as usize].connection) {
            log.push(EventKind::New, connection);
        }
    }

    pub(super) fn report_update(&mut self, slot: u32, before: Told) {
        if let (Some(log), Some(connection)) = (&mut self.log, &self.slots[slot as usize].connection)
            && before != told(connection)
        {
            log.push(EventKind::Update, connection);
        }
    }

    /// Somebody listens from now on; the number of the first event to hear.
    pub fn listen(&mut self, now: Duration) -> u64 {
        let before = self.created;
        let log = self.log.get_or_insert_with(|| {
            Box::new(EventLog { listeners: 0, now, before, first: 0, events: VecDeque::new() })
        });
        log.listeners += 1;
        log.now = now;
        log.first + log.events.len() as u64
    }

    /// One listens no more.
    pub fn stop_listening(&mut self) {
        if let Some(log) = &mut self.log {
            log.listeners -= 1;
            if log.listeners == 0 {
                self.log = None;
            }
        }
    }

    /// The time of what happens next.
    pub fn set_event_time(&mut self, now: Duration) {
        if let Some(log) = &mut self.log {
            log.now = now;
        }
    }

    /// The number of the event that comes next.
    pub fn next_event(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.first + log.events.len() as u64)
    }

    /// The events from number `from` on.
    pub fn events_from(&self, from: u64) -> Heard {
        let Some(log) = &self.log else { return Heard { events: Vec::new(), lost: 0, next: from } };
        let lost = log.first.saturating_sub(from);
        let known = usize::try_from(from.saturating_sub(log.first)).unwrap_or(usize::MAX);
        let events = log.events.iter().skip(known).cloned().collect();
        Heard { events, lost, next: self.next_event() }
    }
}
