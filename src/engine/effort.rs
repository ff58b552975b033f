//! What work costs: a place's programs do so much at a time, then time passes.
//!
//! A write that finds room never waits, so a program that writes without end (`cat /dev/zero >/dev/null`) would keep its
//! turn for ever while virtual time stands still. Every [`BURST`] bytes the writer therefore sleeps, as the machine would
//! have taken time for them. Pauses grow while a place goes on, because each of them costs real time, with the square of
//! their number: ten minutes of an endless writer cost about as much as moving two gigabytes. Who is quiet for [`QUIET`]
//! begins again with short ones, so ordinary output never waits.
//!
//! A program that looks at a lot and says little (`yes | grep -c y`) pays for what it looks at, by bytes and lines,
//! behind the first [`FREE`] of it: reading the text that people have takes no time. So does whoever starts programs or
//! runs a program of its own (`awk`).
//!
//! Loops of the shell that spin take turns on one processor, [`PAUSE`] and more each, however many they are.

use std::cell::Cell;
use std::time::Duration;

/// Bytes written before a pause; one write of more makes a pause as long as several of so many.
const BURST: u32 = 512 * 1_024;

/// Bytes that one write counts for beside those it carries.
const CALL: u32 = 256;

/// Work, in bytes, that a rested place does beside its writing before that counts: two million lines or so.
const FREE: u32 = 1 << 30;

/// Bytes that reading one piece counts for beside those in it.
const PIECE: usize = 64;

/// Bytes that one line counts for beside those it has, for whoever reads it.
const LINE: usize = 512;

/// The first pause.
const PAUSE: Duration = Duration::from_millis(1);

/// Pauses after which one is twice the first, after twice as many five times, and so on with the square.
const GROWTH: u32 = 160;

/// Pauses that count for that.
const LONGEST: u32 = 1 << 15;

/// Turns of what spins after which each takes another [`PAUSE`].
const SPINS: u32 = 1_000;

/// Time without a pause after which a place counts as rested.
const QUIET: Duration = Duration::from_secs(1);

/// What the programs of one place have done lately.
#[derive(Default)]
pub struct Effort(Cell<Lately>);

#[derive(Clone, Copy, Default)]
struct Lately {
    /// When counting began, or the last pause ends.
    since: Duration,
    bytes: u32,
    pauses: u32,
    /// Of [`FREE`], what is used up.
    free: u32,
    /// Turns of what spins, since the place last spun without a gap.
    spins: u32,
    /// Until when what spins has the place's processor, in nanoseconds.
    spun: u64,
}

impl Effort {
    /// Counts a write of so many bytes at a moment. The time is when whoever writes may go on, if not at once.
    pub(super) fn write(&self, now: Duration, bytes: usize) -> Option<Duration> {
        let mut lately = self.lately(now);
        let until = lately.count(now, CALL.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX)));
        self.0.set(lately);
        until
    }

    /// Counts the reading of a text at a moment by somebody who is `busy` until then, or was. The time is until when that
    /// keeps it busy, if longer.
    pub(super) fn read(&self, now: Duration, busy: Duration, text: &[u8]) -> Option<Duration> {
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        self.work(now, busy, (PIECE + text.len()).saturating_add(lines.saturating_mul(LINE)))
    }

    /// The same for work that takes as long as so many bytes do.
    pub(super) fn work(&self, now: Duration, busy: Duration, bytes: usize) -> Option<Duration> {
        let mut lately = self.lately(now);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let free = bytes.min(FREE - lately.free);
        lately.free += free;
        let until = lately.count(now.max(busy), bytes - free);
        self.0.set(lately);
        until
    }

    /// Counts a turn of a loop that lets no time pass by itself. The time is when it may go on: those that spin have one
    /// processor between them, so many of them take as many turns in a second as one does.
    pub(super) fn spin(&self, now: Duration) -> Duration {
        let mut lately = self.0.get();
        let spun = Duration::from_nanos(lately.spun);
        if spun < now {
            lately.spins = 0;
        }
        let until = spun.max(now).saturating_add(PAUSE.saturating_mul(1 + lately.spins / SPINS));
        lately.spins = lately.spins.saturating_add(1);
        lately.spun = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.0.set(lately);
        until
    }

    fn lately(&self, now: Duration) -> Lately {
        let lately = self.0.get();
        match now > lately.since.saturating_add(QUIET) {
            true => Lately { since: now, spins: lately.spins, spun: lately.spun, ..Lately::default() },
            false => lately,
        }
    }
}

impl Lately {
    /// Counts bytes. The time is when the pause for them ends that begins at a moment, if they are a pause's.
    fn count(&mut self, from: Duration, bytes: u32) -> Option<Duration> {
        let bytes = self.bytes.saturating_add(bytes);
        let bursts = bytes / BURST;
        self.bytes = bytes % BURST;
        if bursts == 0 {
            return None;
        }
        let many = self.pauses.min(LONGEST);
        let growth = 1 + many * many / (GROWTH * GROWTH);
        let until = from.saturating_add(PAUSE.saturating_mul(growth).saturating_mul(bursts));
        // Another program of the place may be in a longer pause.
        self.since = self.since.max(until);
        self.pauses = self.pauses.saturating_add(bursts);
        Some(until)
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

    #[test]
    fn a_few_megabytes_of_text_are_read_in_no_time() {
        let (effort, text) = (Effort::default(), b"forty bytes are what a line has, or more\n".repeat(1_600));
        for _ in 0..5_000_000 / text.len() {
            assert_eq!(effort.read(Duration::ZERO, Duration::ZERO, &text), None);
        }
    }

    #[test]
    fn ten_minutes_of_an_endless_reader_are_over_after_a_few_million_lines() {
        let (effort, text) = (Effort::default(), b"y\n".repeat(32_768));
        let (mut now, mut lines) = (Duration::ZERO, 0_u64);
        while now < Duration::from_secs(600) {
            lines += 32_768;
            now = effort.read(now, now, &text).unwrap_or(now);
        }
        assert!((3_000_000..8_000_000).contains(&lines), "{lines}");
    }

    #[test]
    fn work_in_small_pieces_takes_as_long_as_in_large_ones() {
        let busy_after = |pieces: usize| {
            let (effort, mut busy) = (Effort::default(), Duration::ZERO);
            for _ in 0..pieces {
                busy = effort.work(Duration::ZERO, busy, (2 << 30) / pieces).unwrap_or(busy);
            }
            busy
        };
        assert!(busy_after(1) > Duration::from_secs(1), "{:?}", busy_after(1));
        assert!(busy_after(100_000) >= busy_after(1), "{:?}", busy_after(100_000));
    }

    #[test]
    fn many_that_spin_take_as_many_turns_as_one() {
        let turns = |many: u32| {
            let (effort, end) = (Effort::default(), Duration::from_secs(60));
            let mut ready: Vec<Duration> = (0..many).map(|_| effort.spin(Duration::ZERO)).collect();
            let mut turns = many;
            while let Some(next) = ready.iter_mut().min().filter(|next| **next < end) {
                *next = effort.spin(*next);
                turns += 1;
            }
            turns
        };
        assert!((5_000..20_000).contains(&turns(1)), "{}", turns(1));
        assert_eq!(turns(500) - 500, turns(1) - 1);
    }

    #[test]
    fn who_spins_again_after_a_while_begins_with_short_turns() {
        let effort = Effort::default();
        let mut now = Duration::ZERO;
        for _ in 0..10 * SPINS {
            now = effort.spin(now);
        }
        assert!(effort.spin(now) > now + 10 * PAUSE);
        let later = now + QUIET;
        assert_eq!(effort.spin(later), later + PAUSE);
    }

    #[test]
    fn a_short_pause_does_not_hide_a_long_one() {
        let effort = Effort::default();
        let mut now = Duration::ZERO;
        assert_eq!(effort.work(now, now, FREE as usize), None);
        while now < Duration::from_secs(60) {
            now = effort.write(now, 1 << 20).unwrap_or(now);
        }
        // A reader of a place that is at it sleeps long for much; a writer beside it goes on for little.
        let long = effort.read(now, now, &b"\n".repeat(1 << 19)).unwrap();
        let short = effort.write(now, 1 << 20).unwrap();
        assert!(long > short + 2 * QUIET, "{long:?} {short:?}");
        let next = effort.write(long, 1 << 20).unwrap();
        assert!(next - long > 10 * PAUSE, "{:?}", next - long);
    }
}
