//! When to come back to which connection: a binary heap ordered by (deadline, sequence) with lazy deletion.
//!
//! A connection remembers the ticket of its one valid entry; entries with another ticket are dropped when
//! they surface, or together once they outnumber the connections.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::types::ConnectionId;

/// Names one entry: its deadline and a number no other entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) deadline: Duration,
    sequence: u64,
}

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Ticket, ConnectionId)>>,
    sequence: u64,
}

impl Timers {
    /// Adds an entry; the caller keeps the ticket as the connection's valid one.
    pub(super) fn push(&mut self, deadline: Duration, id: ConnectionId) -> Ticket {
        self.sequence += 1;
        let ticket = Ticket { deadline, sequence: self.sequence };
        self.heap.push(Reverse((ticket, id)));
        ticket
    }

    /// The first entry, valid or not.
    pub(super) fn peek(&self) -> Option<(Ticket, ConnectionId)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Removes the first entry.
    pub(super) fn pop(&mut self) {
        self.heap.pop();
    }

    /// Drops invalid entries when they make up most of the heap of `connections` connections.
    pub(super) fn compact(&mut self, connections: usize, is_valid: impl Fn(Ticket, ConnectionId) -> bool) {
        if self.heap.len() > 4 * connections + 64 {
            self.heap.retain(|Reverse((ticket, id))| is_valid(*ticket, *id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_deadlines_surface_in_the_order_given() {
        let mut timers = Timers::default();
        for (seconds, id) in [(2, 1), (1, 2), (1, 3)] {
            timers.push(Duration::from_secs(seconds), ConnectionId(id));
        }
        let mut order = Vec::new();
        while let Some((_, id)) = timers.peek() {
            order.push(id.0);
            timers.pop();
        }
        assert_eq!(order, [2, 3, 1]);
    }

    #[test]
    fn invalid_entries_do_not_pile_up() {
        let mut timers = Timers::default();
        let mut valid = timers.push(Duration::from_secs(1), ConnectionId(1));
        for _ in 0..1000 {
            valid = timers.push(Duration::from_secs(1), ConnectionId(1));
            timers.compact(1, |ticket, _| ticket == valid);
            assert!(timers.heap.len() <= 4 + 64 + 1);
        }
        assert!(timers.heap.iter().any(|Reverse((ticket, _))| *ticket == valid));
    }
}
