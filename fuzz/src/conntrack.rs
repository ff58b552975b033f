//! Connection tracking against a model that is a plain list: which connection and direction a packet belongs to, NEW or
//! ESTABLISHED, how many there are, and that both directions of a connection are found or neither.
//!
//! How long a TCP connection lives is taken from the table; what is modelled is who finds whom until then.

use std::net::IpAddr;
use std::time::Duration;

use linkspan_nat::conntrack::{
    ConfirmError, Connection, ConnectionFilter, ConnectionId, Conntrack, Direction, TrackedPacket, Tracking,
};
use linkspan_nat::rule::CtState;
use linkspan_nat::tuple::Tuple;

use super::input::Input;

/// What the list knows of a connection.
struct Known {
    id: ConnectionId,
    tuples: [Tuple; 2],
    confirmed: bool,
    answered: bool,
}

struct Model {
    table: Conntrack,
    list: Vec<Known>,
    now: Duration,
}

/// A sequence of packets, confirmations, waits, removals and flushes between few ends.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut model = Model { table: Conntrack::new(1), list: Vec::new(), now: Duration::ZERO };
    let maximum = input.below(12);
    model.table.set_maximum(maximum);
    while !input.is_empty() {
        match input.below(8) {
            0..4 => model.packet(&mut input),
            4 => model.now += Duration::from_secs(u64::from(input.byte()) * 2),
            5 => model.expire(),
            6 => model.forget(&mut input),
            _ => model.flush(&mut input),
        }
        model.check(maximum);
    }
    model.now += Duration::from_secs(86_400 * 6);
    model.expire();
    assert_eq!((model.table.count(), model.table.deadline()), (0, None), "everything ends");
}

impl Model {
    fn packet(&mut self, input: &mut Input<'_>) {
        let packet = packet(input);
        let confirm = input.below(4) != 0;
        let early = self.table.statistics().early_drop;
        let tracking = self.table.track(self.now, &packet);
        let dropped_early = self.table.statistics().early_drop > early;
        // A reset kills the connection that it is of; whatever comes after it belongs to another.
        let its = if let Tracking::Connection { id, .. } = &tracking { Some(*id) } else { None };
        let found = self.list.iter().position(|known| {
            let here = |c: &Connection| its == Some(known.id) || !dying(c);
            known.confirmed
                && known.tuples.contains(&packet.tuple)
                && self.table.get(known.id).is_some_and(here)
        });
        match tracking {
            Tracking::Connection { id, direction, state } => {
                if let Some(known) = found.map(|at| &mut self.list[at]).filter(|known| known.id == id) {
                    // A flow from an end to itself is its own answer.
                    assert!(
                        known.tuples[direction as usize] == packet.tuple,
                        "{direction:?} of {:?}",
                        known.tuples
                    );
                    known.answered |= direction == Direction::Reply;
                    assert_eq!(state, if known.answered { CtState::Established } else { CtState::New });
                } else {
                    assert!(found.is_none() || dropped_early, "another connection than the list's");
                    assert_eq!((direction, state), (Direction::Original, CtState::New));
                    let reply = packet.tuple.inverted().expect("what opens can be answered");
                    self.list.push(Known {
                        id,
                        tuples: [packet.tuple, reply],
                        confirmed: false,
                        answered: false,
                    });
                }
                if confirm {
                    self.confirm(id);
                }
            }
            Tracking::Full => assert!(found.is_none()),
            // TCP may call a segment of a known connection invalid.
            Tracking::Invalid => assert!(found.is_none() || packet.tuple.protocol == 6),
        }
        self.gone();
    }

    fn confirm(&mut self, id: ConnectionId) {
        let Some(at) = self.list.iter().position(|known| known.id == id) else { return };
        let tuples = self.list[at].tuples;
        let now = self.now;
        let taken: Vec<ConnectionId> = self
            .list
            .iter()
            .filter(|other| {
                other.id != id && other.confirmed && other.tuples.iter().any(|t| tuples.contains(t))
            })
            // One that was killed, by a reset, has given its tuples back.
            .filter(|other| self.table.get(other.id).is_some_and(|c| c.expires() > now && !dying(c)))
            .map(|other| other.id)
            .collect();
        match self.table.confirm(now, id) {
            Ok(same) if same == id => {
                assert!(taken.is_empty(), "a tuple of {taken:?} was given to {id:?} too");
                self.list[at].confirmed = true;
            }
            Ok(other) => assert!(taken.contains(&other)),
            Err(ConfirmError::Clash { .. }) => assert!(!taken.is_empty()),
            Err(ConfirmError::Gone) => assert!(self.table.get(id).is_none()),
        }
    }

    fn expire(&mut self) {
        let (before, expired) = (self.table.count(), self.table.expire(self.now));
        assert_eq!(self.table.count() + expired, before);
        assert!(self.table.deadline().is_none_or(|at| at > self.now));
        self.gone();
    }

    fn forget(&mut self, input: &mut Input<'_>) {
        if self.list.is_empty() {
            return;
        }
        let id = self.list[input.below(self.list.len().min(256))].id;
        assert!(self.table.remove(id));
        assert!(!self.table.remove(id), "removed twice");
        self.gone();
    }

    fn flush(&mut self, input: &mut Input<'_>) {
        let source = address(input.byte());
        let filter = ConnectionFilter { original_source: Some(source), ..ConnectionFilter::default() };
        let selected = self.list.iter().filter(|known| known.tuples[0].source == source).count();
        assert_eq!(self.table.flush(&filter), selected);
        self.gone();
    }

    /// The list forgets what the table has forgotten.
    fn gone(&mut self) {
        self.list.retain(|known| self.table.get(known.id).is_some());
    }

    fn check(&self, maximum: usize) {
        assert_eq!(self.table.count(), self.list.len(), "connections in the table and in the list");
        assert!(maximum == 0 || self.list.len() <= maximum, "{} connections of {maximum}", self.list.len());
        for known in &self.list {
            let connection = self.table.get(known.id).expect("the list has what the table has");
            assert_eq!([*connection.original(), *connection.reply()], known.tuples);
            for (tuple, direction) in known.tuples.iter().zip([Direction::Original, Direction::Reply]) {
                let found = self.table.lookup(self.now, tuple);
                let mine = found.is_some_and(|(id, _)| id == known.id);
                // An expired one may be in the table still, but is not found; a killed one is on its last way.
                let expected = known.confirmed && connection.expires() > self.now && !dying(connection);
                assert_eq!(mine, expected, "{tuple:?} {direction:?} of {connection:?}");
                // A flow to itself is found by its original direction.
                assert!(!mine || found == Some((known.id, direction)) || known.tuples[0] == known.tuples[1]);
            }
        }
    }
}

fn dying(connection: &Connection) -> bool {
    connection.status().contains(linkspan_nat::conntrack::Status::DYING)
}

fn address(byte: u8) -> IpAddr {
    [10, 0, 0, byte % 3].into()
}

fn packet(input: &mut Input<'_>) -> TrackedPacket {
    let (kind, ends, ports, flags) = (input.byte(), input.byte(), input.byte(), input.byte());
    let (source, destination) = (address(ends), address(ends >> 4));
    let (a, b) = (u16::from(ports & 3), u16::from(ports >> 4 & 3));
    let (protocol, source_port, destination_port) = match kind % 4 {
        0 => (17, a, b),
        1 => (6, a, b),
        2 => (1, a, if b & 1 == 0 { 0x0800 } else { 0 }),
        _ => (47, 0, 0),
    };
    let tuple = Tuple { source, destination, protocol, source_port, destination_port };
    TrackedPacket { tuple, tcp_flags: (protocol == 6).then_some(flags & 0x3f), length: 40 }
}
