//! When to come back to which connection: a binary heap ordered by (deadline, sequence) with lazy changes.
//!
//! A connection has one entry in the heap at most that counts. A timer that is set later than its connection's entry, or
//! taken back, leaves the entry where it is; when that surfaces, it is put back with the deadline that is wanted by then,
//! or dropped. What is wanted is noted by the connection's place, apart from the connection: of ten thousand connections
//! that send in turn, none is in the processor's cache, and none is touched for a timer that was overtaken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::num::NonZeroU64;
use std::time::Duration;

use super::types::ConnectionId;

/// A deadline in nanoseconds and a number that no other has; equal deadlines surface in the order they were set.
type Moment = (u64, NonZeroU64);

/// The heap.
#[derive(Debug)]
pub(super) struct Timers {
    /// Moments and places.
    heap: BinaryHeap<Reverse<(Moment, u32)>>,
    sequence: NonZeroU64,
    slots: Vec<Slot>,
    /// Entries that count.
    entries: usize,
}

/// What is known of the connection at one place.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Its entry in the heap.
    entry: Option<Moment>,
    /// Its timer, never before its entry, and whose it is.
    wanted: Option<(Moment, ConnectionId)>,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { heap: BinaryHeap::new(), sequence: NonZeroU64::MIN, slots: Vec::new(), entries: 0 }
    }
}

impl Timers {
    /// Sets the connection's timer, in place of the one it had.
    pub(super) fn set(&mut self, deadline: Duration, id: ConnectionId) {
        self.sequence = self.sequence.saturating_add(1);
        let moment = (u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX), self.sequence);
        if self.slots.len() <= id.place() {
            self.slots.resize(id.place() + 1, Slot::default());
        }
        let slot = &mut self.slots[id.place()];
        slot.wanted = Some((moment, id));
        match slot.entry {
            Some(entry) if entry <= moment => return,
            Some(_) => {}
            None => self.entries += 1,
        }
        slot.entry = Some(moment);
        self.heap.push(Reverse((moment, id.place() as u32)));
        if self.heap.len() > 4 * self.entries + 64 {
            let slots = &self.slots;
            self.heap.retain(|Reverse((moment, place))| slots[*place as usize].entry == Some(*moment));
        }
    }

    /// Takes the connection's timer back, if it has one.
    pub(super) fn cancel(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slots.get_mut(id.place()) {
            slot.wanted = None;
        }
    }

    /// The first timer.
    pub(super) fn first(&mut self) -> Option<(Duration, ConnectionId)> {
        while let Some(mut top) = self.heap.peek_mut() {
            let Reverse((moment, place)) = *top;
            let slot = &mut self.slots[place as usize];
            if slot.entry != Some(moment) {
                PeekMut::pop(top);
                continue;
            }
            match slot.wanted {
                Some((wanted, id)) if wanted == moment => {
                    return Some((Duration::from_nanos(moment.0), id));
                }
                Some((wanted, _)) => {
                    slot.entry = Some(wanted);
                    *top = Reverse((wanted, place));
                }
                None => {
                    slot.entry = None;
                    self.entries -= 1;
                    PeekMut::pop(top);
                }
            }
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
        assert_eq!(timers.heap.len(), 1);
        timers.set(Duration::from_secs(4), ConnectionId(2));
        timers.set(Duration::from_secs(2), ConnectionId(2));
        assert_eq!(timers.first(), Some((Duration::from_secs(2), ConnectionId(2))));
        timers.cancel(ConnectionId(2));
        timers.cancel(ConnectionId(2));
        assert_eq!(timers.first(), Some((Duration::from_secs(3), ConnectionId(1))));
        timers.cancel(ConnectionId(1));
        assert_eq!(timers.first(), None);
    }

    #[test]
    fn a_place_that_is_used_again_has_the_timer_of_its_new_connection() {
        let mut timers = Timers::default();
        let (old, new) = (ConnectionId(1 << 24), ConnectionId(2 << 24));
        timers.set(Duration::from_secs(1), old);
        timers.cancel(old);
        timers.set(Duration::from_secs(2), new);
        assert_eq!(timers.first(), Some((Duration::from_secs(2), new)));
    }

    #[test]
    fn invalid_entries_do_not_pile_up() {
        let mut timers = Timers::default();
        for seconds in (1..=1000).rev() {
            timers.set(Duration::from_secs(seconds), ConnectionId(1));
            assert!(timers.heap.len() <= 4 + 64 + 1);
        }
        assert_eq!(timers.first(), Some((Duration::from_secs(1), ConnectionId(1))));
    }
}
