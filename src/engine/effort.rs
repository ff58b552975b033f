//! What writing costs: a place's programs write so much at a time, then time passes.
//!
//! A write that finds room never waits, so a program that writes without end (`cat /dev/zero >/dev/null`) would keep its
//! turn for ever while virtual time stands still. Every [`BURST`] bytes the writer therefore sleeps, as the machine would
//! have taken time for them. Pauses grow while a place goes on, because each of them costs real time: a minute of an
//! endless writer costs about as much as moving a gigabyte. Who is quiet for [`QUIET`] begins again with short ones, so
//! ordinary output never waits.

use std::cell::Cell;
use std::time::Duration;

/// Bytes written before a pause; one write of more makes a pause as long as several of so many.
const BURST: u32 = 512 * 1_024;

/// Bytes that one write counts for beside those it carries.
const CALL: u32 = 256;

/// The first pause, and what [`GROWTH`] pauses add to one.
const PAUSE: Duration = Duration::from_millis(1);

/// Pauses that make the next one longer by [`PAUSE`].
const GROWTH: u32 = 64;

/// Time without a pause after which a place counts as rested.
const QUIET: Duration = Duration::from_secs(1);

/// What the programs of one place have written lately.
#[derive(Default)]
pub struct Effort(Cell<Lately>);

#[derive(Clone, Copy, Default)]
struct Lately {
    /// When counting began, or the last pause ended.
    since: Duration,
    bytes: u32,
    pauses: u32,
}

impl Effort {
    /// Counts a write of so many bytes at a moment. The time is when whoever writes may go on, if not at once.
    pub(super) fn write(&self, now: Duration, bytes: usize) -> Option<Duration> {
        let mut lately = self.0.get();
        if now > lately.since.saturating_add(QUIET) {
            lately = Lately { since: now, ..Lately::default() };
        }
        let bytes =
            lately.bytes.saturating_add(CALL).saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        let bursts = bytes / BURST;
        lately.bytes = bytes % BURST;
        let until = (bursts > 0).then(|| {
            let pause = PAUSE.saturating_mul(1 + lately.pauses / GROWTH).saturating_mul(bursts);
            lately.since = now.saturating_add(pause);
            lately.pauses = lately.pauses.saturating_add(bursts);
            lately.since
        });
        self.0.set(lately);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_output_never_waits() {
        let effort = Effort::default();
        for second in 0..10_000 {
            assert_eq!(effort.write(Duration::from_secs(2 * second), 65_536), None);
        }
    }

    #[test]
    fn an_endless_writer_is_slower_and_slower_until_it_rests() {
        let effort = Effort::default();
        let (mut now, mut written) = (Duration::ZERO, 0_u64);
        while now < Duration::from_secs(60) {
            written += 65_536;
            now = effort.write(now, 65_536).unwrap_or(now);
        }
        assert!((500 << 20..2 << 30).contains(&written), "{written}");
        now += QUIET * 2;
        let begins = now;
        while now == begins {
            now = effort.write(now, 65_536).unwrap_or(now);
        }
        assert_eq!(now - begins, PAUSE);
    }

    #[test]
    fn writes_of_nothing_count() {
        let effort = Effort::default();
        assert!((0..BURST / CALL).any(|_| effort.write(Duration::ZERO, 0).is_some()));
    }
}
