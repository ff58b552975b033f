//! The ordered queue: everything that happens later, keyed by time and then by insertion.
//!
//! Entries are never removed; whoever armed a timer checks, when it fires, whether it still means something. With a
//! seed other than 0 the tie of equal-time entries is permuted by a hash of the entry's lane (its link), so entries
//! of one lane keep their order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

/// The ordered queue.
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    heap: BinaryHeap<Entry<T>>,
    sequence: u64,
    seed: u64,
}

#[derive(Debug)]
struct Entry<T> {
    time: Duration,
    tie: u64,
    sequence: u64,
    value: T,
}

impl<T> TimerQueue<T> {
    /// An empty queue.
    pub(crate) fn new(seed: u64) -> TimerQueue<T> {
        TimerQueue { heap: BinaryHeap::new(), sequence: 0, seed }
    }

    /// Adds an entry of a lane; entries of one lane with equal times stay in order.
    pub(crate) fn push(&mut self, time: Duration, lane: u64, value: T) {
        let tie = if self.seed == 0 { 0 } else { mix(self.seed ^ mix(lane ^ time.as_nanos() as u64)) };
        self.sequence += 1;
        // By an eighth, not by half of what is there: most timers of a large world wait for a day.
        if self.heap.len() == self.heap.capacity() {
            self.heap.reserve_exact(self.heap.len() / 8 + 16);
        }
        self.heap.push(Entry { time, tie, sequence: self.sequence, value });
    }

    /// When the first entry is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.heap.peek().map(|e| e.time)
    }

    /// The first entry that is due by `now`.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<T> {
        if self.heap.peek()?.time > now {
            return None;
        }
        self.heap.pop().map(|e| e.value)
    }

    /// The first entry's value, without removing it.
    pub(crate) fn peek(&self) -> Option<&T> {
        self.heap.peek().map(|e| &e.value)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): spreads every input bit over the output.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed: the heap's greatest is the queue's first.
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        (other.time, other.tie, other.sequence).cmp(&(self.time, self.tie, self.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut TimerQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop_due(Duration::MAX)).collect()
    }

    #[test]
    fn plain_order_without_a_seed() {
        let mut queue = TimerQueue::new(0);
        for (time, value) in [(5, 1), (3, 2), (5, 3), (3, 4)] {
            queue.push(Duration::from_nanos(time), u64::from(value), value);
        }
        assert_eq!(queue.deadline(), Some(Duration::from_nanos(3)));
        assert_eq!(queue.pop_due(Duration::from_nanos(2)), None);
        assert_eq!(drain(&mut queue), [2, 4, 1, 3]);
    }

    #[test]
    fn a_seed_permutes_lanes_but_keeps_each_lane_in_order() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 1..20 {
            let mut queue = TimerQueue::new(seed);
            for value in 0..6u32 {
                queue.push(Duration::ZERO, u64::from(value % 2), value);
            }
            let order = drain(&mut queue);
            let even: Vec<u32> = order.iter().copied().filter(|v| v % 2 == 0).collect();
            assert_eq!(even, [0, 2, 4], "lane order broken by seed {seed}");
            seen.insert(order);
        }
        assert!(seen.len() > 1, "no seed changed anything");
    }
}
