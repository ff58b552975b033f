//! When to come back to which connection: queues ordered by (deadline, sequence) with lazy changes.
//!
//! A connection has one entry that counts, at most. A timer that is set later than its connection's entry, or taken back,
//! leaves the entry where it is; when that surfaces, it is put back with the deadline that is wanted by then, or dropped.
//! What is wanted is noted by the connection's place, apart from the connection: of ten thousand connections that send in
//! turn, none is in the processor's cache, and none is touched for a timer that was overtaken.
//!
//! Most timers run for one of a few spans, a delayed acknowledgment's or a retransmission's, so that each is due after the
//! one of its span before. Such entries are kept in [`RUNS`] sorted runs, to whose ends they are added; what fits at no
//! end goes to a binary heap, where with many connections every step down is another cache miss.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::num::NonZeroU64;
use std::time::Duration;

use super::types::ConnectionId;

/// Sorted runs besides the heap: one for each span of time that is common at once.
const RUNS: usize = 4;

/// A deadline in nanoseconds and a number that no other has; equal deadlines surface in the order they were set.
type Moment = (u64, NonZeroU64);

/// A moment and the place of a connection.
type Entry = (Moment, u32);

/// The queues.
#[derive(Debug)]
pub(super) struct Timers {
    runs: [VecDeque<Entry>; RUNS],
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: NonZeroU64,
    slots: Vec<Slot>,
    /// Entries that count.
    entries: usize,
}

/// What is known of the connection at one place.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Its entry in the queues.
    entry: Option<Moment>,
    /// Its timer, never before its entry, and whose it is.
    wanted: Option<(Moment, ConnectionId)>,
}

/// Where the first entry is.
#[derive(Clone, Copy)]
enum Front {
    Run(usize),
    Heap,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            runs: Default::default(),
            heap: BinaryHeap::new(),
            sequence: NonZeroU64::MIN,
            slots: Vec::new(),
            entries: 0,
        }
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
        self.push((moment, id.place() as u32));
        if self.len() > 4 * self.entries + 64 {
            let slots = &self.slots;
            let counts = |(moment, place): &Entry| slots[*place as usize].entry == Some(*moment);
            self.runs.iter_mut().for_each(|run| run.retain(counts));
            self.heap.retain(|Reverse(entry)| counts(entry));
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
        loop {
            let ((moment, place), front) = self.front()?;
            let slot = &mut self.slots[place as usize];
            if slot.entry != Some(moment) {
                self.pop(front);
                continue;
            }
            match slot.wanted {
                Some((wanted, id)) if wanted == moment => {
                    return Some((Duration::from_nanos(moment.0), id));
                }
                Some((wanted, _)) => {
                    slot.entry = Some(wanted);
                    self.pop(front);
                    self.push((wanted, place));
                }
                None => {
                    slot.entry = None;
                    self.entries -= 1;
                    self.pop(front);
                }
            }
        }
    }

    /// Entries, those that count no longer included.
    fn len(&self) -> usize {
        self.heap.len() + self.runs.iter().map(VecDeque::len).sum::<usize>()
    }

    /// Adds an entry at the end of the run whose last one it follows most closely.
    fn push(&mut self, entry: Entry) {
        let fits = self.runs.iter_mut().filter(|run| run.back().is_none_or(|last| *last < entry));
        match fits.max_by_key(|run| run.back().copied()) {
            Some(run) => run.push_back(entry),
            None => self.heap.push(Reverse(entry)),
        }
    }

    fn front(&self) -> Option<(Entry, Front)> {
        let runs = self.runs.iter().enumerate();
        let first = runs.filter_map(|(number, run)| Some((*run.front()?, Front::Run(number))));
        let heap = self.heap.peek().map(|Reverse(entry)| (*entry, Front::Heap));
        first.chain(heap).min_by_key(|(entry, _)| *entry)
    }

    fn pop(&mut self, front: Front) {
        match front {
            Front::Run(number) => drop(self.runs[number].pop_front()),
            Front::Heap => drop(self.heap.pop()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

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
        assert_eq!(timers.len(), 1);
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
            assert!(timers.len() <= 4 + 64 + 1);
        }
        assert_eq!(timers.first(), Some((Duration::from_secs(1), ConnectionId(1))));
    }

    proptest! {
        #[test]
        fn timers_surface_as_from_a_sorted_list(
            steps in prop::collection::vec((0usize..8, prop::option::of(0u64..40), any::<bool>()), 1..200)
        ) {
            let mut timers = Timers::default();
            // By place: deadline and order of setting.
            let mut model: BTreeMap<usize, (u64, usize)> = BTreeMap::new();
            for (number, (place, span, take)) in steps.into_iter().enumerate() {
                let now = number as u64;
                let id = ConnectionId(1 << 24 | place as u64);
                match span {
                    // Spans that repeat, and others.
                    Some(span) => {
                        let span = if span < 20 { 10 } else { span };
                        timers.set(Duration::from_nanos(now + span), id);
                        model.insert(place, (now + span, number));
                    }
                    None => {
                        timers.cancel(id);
                        model.remove(&place);
                    }
                }
                let first = model.iter().min_by_key(|(_, moment)| **moment).map(|(place, (at, _))| (*at, *place));
                let found = timers.first().map(|(at, id)| (at.as_nanos() as u64, id.place()));
                prop_assert_eq!(found, first);
                if let Some((_, place)) = first && take {
                    timers.cancel(ConnectionId(1 << 24 | place as u64));
                    model.remove(&place);
                }
            }
        }
    }
}
