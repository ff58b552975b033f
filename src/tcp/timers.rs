//! When to come back to which connection: a binary heap ordered by (deadline, sequence) with lazy deletion.
//!
//! Each connection has one valid entry at most. Which one is noted by the connection's place, apart from the connection:
//! an entry that is no longer valid is dropped when it surfaces, or together with others once they are many, and that
//! touches no connection. Of ten thousand connections that send in turn, none is in the processor's cache.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::types::ConnectionId;

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, u64, ConnectionId)>>,
    sequence: u64,
    /// By place: the sequence of the valid entry, or 0.
    valid: Vec<u64>,
    /// How many are valid.
    set: usize,
}

impl Timers {
    /// Sets the connection's timer, in place of the one it had.
    pub(super) fn set(&mut self, deadline: Duration, id: ConnectionId) {
        self.sequence += 1;
        if self.valid.len() <= id.place() {
            self.valid.resize(id.place() + 1, 0);
        }
        let valid = &mut self.valid[id.place()];
        if *valid == 0 {
            self.set += 1;
        }
        *valid = self.sequence;
        self.heap.push(Reverse((deadline, self.sequence, id)));
        if self.heap.len() > 4 * self.set + 64 {
            let valid = &self.valid;
            self.heap.retain(|Reverse((_, sequence, id))| valid[id.place()] == *sequence);
        }
    }

    /// Takes the connection's timer back, if it has one.
    pub(super) fn cancel(&mut self, id: ConnectionId) {
        if let Some(valid) = self.valid.get_mut(id.place()).filter(|valid| **valid != 0) {
            *valid = 0;
            self.set -= 1;
        }
    }

    /// The first timer.
    pub(super) fn first(&mut self) -> Option<(Duration, ConnectionId)> {
        while let Some(Reverse((deadline, sequence, id))) = self.heap.peek() {
            if self.valid[id.place()] == *sequence {
                return Some((*deadline, *id));
            }
            self.heap.pop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_deadlines_surface_in_the_order_given() {
        let mut timers = Timers::default();
        for (seconds, id) in [(2, 1), (1, 2), (1, 3)] {
            timers.set(Duration::from_secs(seconds), ConnectionId(id));
        }
        let mut order = Vec::new();
        while let Some((_, id)) = timers.first() {
            order.push(id.0);
            timers.cancel(id);
        }
        assert_eq!(order, [2, 3, 1]);
    }

    #[test]
    fn a_timer_replaces_the_one_before_and_can_be_taken_back() {
        let mut timers = Timers::default();
        timers.set(Duration::from_secs(1), ConnectionId(1));
        timers.set(Duration::from_secs(3), ConnectionId(1));
        timers.set(Duration::from_secs(2), ConnectionId(2));
        assert_eq!(timers.first(), Some((Duration::from_secs(2), ConnectionId(2))));
        timers.cancel(ConnectionId(2));
        timers.cancel(ConnectionId(2));
        assert_eq!(timers.first(), Some((Duration::from_secs(3), ConnectionId(1))));
        timers.cancel(ConnectionId(1));
        assert_eq!(timers.first(), None);
    }

    #[test]
    fn invalid_entries_do_not_pile_up() {
        let mut timers = Timers::default();
        for _ in 0..1000 {
            timers.set(Duration::from_secs(1), ConnectionId(1));
            assert!(timers.heap.len() <= 4 + 64 + 1);
        }
        assert_eq!(timers.first(), Some((Duration::from_secs(1), ConnectionId(1))));
    }
}
