//! A wire between two NICs: delay, rate, queue, loss, duplication, reordering and one-way cuts, as `tc netem` on the
//! outgoing side. Unlike netem's, jitter never reorders: a frame that would overtake arrives with the one before it, so
//! that only `reorder` changes the order.
//!
//! The queue is what waits while the wire serialises: a frame that would wait behind more than the limit is dropped
//! (tail drop). An ideal direction costs nothing: its frames stay in the engine's FIFO.

use std::time::Duration;

use super::event::DropReason;
use super::id::DeviceId;
use super::plan::LinkQuality;

/// Default limit of the queue in bytes: `txqueuelen` 1,000 frames of 1,514 bytes.
const DEFAULT_QUEUE: usize = 1_000 * 1_514;

/// A wire.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) ends: [DeviceId; 2],
    pub(crate) directions: [Direction; 2],
}

/// One direction of a wire.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    pub(crate) quality: LinkQuality,
    /// When the wire has sent what it took so far.
    busy_until: Duration,
    /// When the last frame with a jittered delay arrives.
    last_arrival: Duration,
}

/// What happens to a frame that enters the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Arrives at once.
    Immediate,
    /// Arrives once or twice, later.
    Later { arrival: Duration, duplicate: Option<Duration> },
    /// Does not arrive.
    Dropped(DropReason),
}

impl Direction {
    /// An idle wire.
    pub(crate) fn new(quality: LinkQuality) -> Direction {
        Direction { quality, busy_until: Duration::ZERO, last_arrival: Duration::ZERO }
    }

    /// True if frames pass as if there were no wire.
    pub(crate) fn is_ideal(&self) -> bool {
        let q = &self.quality;
        q.delay.is_zero()
            && q.jitter.is_zero()
            && q.rate.is_none()
            && q.loss == 0.0
            && q.duplicate == 0.0
            && !q.cut
    }

    /// Sends `length` bytes at `now`; `random` draws from [0, 1).
    pub(crate) fn send(&mut self, now: Duration, length: usize, mut random: impl FnMut() -> f64) -> Passage {
        if self.is_ideal() {
            return Passage::Immediate;
        }
        let quality = self.quality;
        if quality.cut {
            return Passage::Dropped(DropReason::LinkCut);
        }
        if quality.loss > 0.0 && random() < quality.loss {
            return Passage::Dropped(DropReason::LinkLoss);
        }
        let sent = match quality.rate {
            None => now,
            Some(rate) => {
                let start = self.busy_until.max(now);
                let waiting = bytes_in(start - now, rate);
                if waiting > quality.queue.unwrap_or(DEFAULT_QUEUE) {
                    return Passage::Dropped(DropReason::LinkQueueFull);
                }
                self.busy_until = start + time_for(length, rate);
                self.busy_until
            }
        };
        let arrival = if quality.reorder > 0.0 && random() < quality.reorder {
            sent
        } else if quality.jitter.is_zero() {
            sent + quality.delay
        } else {
            let longest = quality.delay + quality.jitter.mul_f64(2.0 * random());
            self.last_arrival = self.last_arrival.max(sent + longest.saturating_sub(quality.jitter));
            self.last_arrival
        };
        let duplicate = (quality.duplicate > 0.0 && random() < quality.duplicate).then_some(arrival);
        Passage::Later { arrival, duplicate }
    }
}

fn time_for(bytes: usize, rate: u64) -> Duration {
    let nanoseconds = bytes as u128 * 8 * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

fn bytes_in(time: Duration, rate: u64) -> usize {
    usize::try_from(time.as_nanos() * u128::from(rate) / 8 / 1_000_000_000).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(quality: LinkQuality) -> Direction {
        Direction::new(quality)
    }

    #[test]
    fn delay_and_rate_add_up() {
        let mut wire = direction(LinkQuality {
            delay: Duration::from_millis(10),
            rate: Some(8_000_000),
            ..Default::default()
        });
        let arrival = |p| match p {
            Passage::Later { arrival, duplicate: None } => arrival,
            other => panic!("{other:?}"),
        };
        assert_eq!(arrival(wire.send(Duration::ZERO, 1_000, || 0.5)), Duration::from_millis(11));
        assert_eq!(arrival(wire.send(Duration::ZERO, 1_000, || 0.5)), Duration::from_millis(12));
    }

    #[test]
    fn jitter_spreads_the_delay_both_ways_and_keeps_the_order() {
        let milliseconds = Duration::from_millis;
        let quality = LinkQuality { delay: milliseconds(20), jitter: milliseconds(5), ..Default::default() };
        let mut wire = direction(quality);
        let mut arrival = |now, draw| match wire.send(milliseconds(now), 100, || draw) {
            Passage::Later { arrival, duplicate: None } => arrival,
            other => panic!("{other:?}"),
        };
        assert_eq!(arrival(0, 0.0), milliseconds(15));
        assert_eq!(arrival(100, 0.5), milliseconds(120));
        assert_eq!(arrival(200, 0.9), milliseconds(224));
        assert_eq!(arrival(201, 0.0), milliseconds(224), "would overtake");
        wire = direction(LinkQuality { jitter: milliseconds(5), ..Default::default() });
        assert!(matches!(
            wire.send(Duration::ZERO, 100, || 0.2),
            Passage::Later { arrival: Duration::ZERO, .. }
        ));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut wire = direction(LinkQuality { rate: Some(8_000), queue: Some(3_000), ..Default::default() });
        let sent = (0..10)
            .filter(|_| !matches!(wire.send(Duration::ZERO, 1_000, || 0.5), Passage::Dropped(_)))
            .count();
        assert_eq!(sent, 4, "one on the wire and 3,000 bytes waiting");
    }

    #[test]
    fn loss_duplication_and_cuts() {
        let mut wire = direction(LinkQuality { loss: 0.3, duplicate: 0.2, ..Default::default() });
        assert_eq!(wire.send(Duration::ZERO, 1, || 0.29), Passage::Dropped(DropReason::LinkLoss));
        let mut draws = [0.31, 0.1].into_iter();
        assert!(matches!(
            wire.send(Duration::ZERO, 1, || draws.next().unwrap()),
            Passage::Later { duplicate: Some(_), .. }
        ));
        wire.quality = LinkQuality { cut: true, ..Default::default() };
        assert_eq!(wire.send(Duration::ZERO, 1, || 0.9), Passage::Dropped(DropReason::LinkCut));
        wire.quality = LinkQuality::default();
        assert_eq!(wire.send(Duration::ZERO, 1, || 0.0), Passage::Immediate);
    }
}
