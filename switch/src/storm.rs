//! The storm guard: ends a run that forwards frames in a circle.
//!
//! Without a spanning tree a loop of bridges circulates every flooded frame for ever. A virtual-time run
//! would hang in it, in one of two ways: the frames stay at one instant (links without delay), or time
//! advances while floods follow each other without end. The guard counts both against a budget and says
//! which frame it saw last. It is a pure counter: the engine reports each frame it processes and each
//! flood it starts, and stops at the first error.
//!
//! The budgets lie far above honest load: a thousand containers resolving a thousand others at one instant
//! flood a million frames, which is within [`StormConfig::instant_budget`].

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::bridge::PortId;
use crate::ethernet::EthernetHeader;

/// How much is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StormConfig {
    /// Frames that may be processed while virtual time stands still. Default 10,000,000.
    pub instant_budget: u64,
    /// Floods (decisions to flood one frame, not copies) that may start within one window. Default 100,000.
    pub flood_budget: u64,
    /// Length of the window, which opens with the first flood after the previous one closed. Default 1 s.
    pub window: Duration,
}

impl Default for StormConfig {
    fn default() -> StormConfig {
        StormConfig { instant_budget: 10_000_000, flood_budget: 100_000, window: Duration::from_secs(1) }
    }
}

/// The frame that was on its way when a budget ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StormFrame {
    /// Its Ethernet header.
    pub header: EthernetHeader,
    /// The bridge port it came in on; `None` if the bridge's own stack sent it or no bridge was involved.
    pub port: Option<PortId>,
}

impl fmt::Display for StormFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EthernetHeader { destination, source, ethertype } = self.header;
        write!(f, "{ethertype} from {source} to {destination}")?;
        match self.port {
            Some(port) => write!(f, " that came in on bridge port {port}"),
            None => Ok(()),
        }
    }
}

/// A loop is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StormError {
    /// Frames are processed without end at one instant.
    #[error(
        "more than {budget} frames at virtual time {at:?} without time advancing: frames go in a circle, \
         last {last}; remove a link of the loop or give one a delay"
    )]
    Instant {
        /// The frames that were allowed.
        budget: u64,
        /// The instant.
        at: Duration,
        /// The frame that was one too many.
        last: StormFrame,
    },
    /// Floods follow each other without end.
    #[error(
        "more than {budget} floods within {window:?} of virtual time, at {at:?}: a broadcast loop, \
         last {last}; bridges here run no spanning tree, so remove a link of the loop"
    )]
    Flood {
        /// The floods that were allowed.
        budget: u64,
        /// The window they were counted in.
        window: Duration,
        /// When the budget ran out.
        at: Duration,
        /// The frame that was one too many.
        last: StormFrame,
    },
}

/// The counters.
#[derive(Clone, Debug)]
pub struct StormGuard {
    config: StormConfig,
    instant: Duration,
    processed: u64,
    window_start: Duration,
    floods: u64,
}

impl StormGuard {
    /// A guard that has counted nothing.
    pub fn new(config: StormConfig) -> StormGuard {
        StormGuard { config, instant: Duration::ZERO, processed: 0, window_start: Duration::ZERO, floods: 0 }
    }

    /// Counts one frame processed at `now`, whatever was done with it.
    ///
    /// # Errors
    /// [`StormError::Instant`] for each frame beyond the budget of one instant.
    #[inline]
    pub fn processed(&mut self, now: Duration, frame: StormFrame) -> Result<(), StormError> {
        if self.count(now) { Ok(()) } else { Err(self.exceeded(frame)) }
    }

    /// Counts one frame processed at `now`. False if it is beyond the budget of one instant: then
    /// [`StormGuard::exceeded`] is the error.
    #[inline]
    pub fn count(&mut self, now: Duration) -> bool {
        if now != self.instant {
            self.instant = now;
            self.processed = 0;
        }
        self.processed += 1;
        self.processed <= self.config.instant_budget
    }

    /// What to say of a frame that was beyond the budget of the present instant.
    #[cold]
    pub fn exceeded(&self, last: StormFrame) -> StormError {
        StormError::Instant { budget: self.config.instant_budget, at: self.instant, last }
    }

    /// Counts one frame about to be flooded at `now`.
    ///
    /// # Errors
    /// [`StormError::Flood`] for each flood beyond the budget of one window.
    pub fn flooded(&mut self, now: Duration, frame: StormFrame) -> Result<(), StormError> {
        if now.saturating_sub(self.window_start) >= self.config.window {
            self.window_start = now;
            self.floods = 0;
        }
        self.floods += 1;
        if self.floods > self.config.flood_budget {
            let StormConfig { flood_budget: budget, window, .. } = self.config;
            return Err(StormError::Flood { budget, window, at: now, last: frame });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethernet::EtherType;
    use crate::mac::MacAddress;

    const FRAME: StormFrame = StormFrame {
        header: EthernetHeader {
            destination: MacAddress::BROADCAST,
            source: MacAddress([2, 0x42, 0xac, 0x11, 0, 2]),
            ethertype: EtherType::ARP,
        },
        port: Some(PortId(3)),
    };

    fn guard() -> StormGuard {
        StormGuard::new(StormConfig { instant_budget: 5, flood_budget: 3, window: Duration::from_secs(1) })
    }

    #[test]
    fn frames_at_one_instant_are_limited() {
        let mut guard = guard();
        for second in 0..3 {
            for _ in 0..5 {
                assert_eq!(guard.processed(Duration::from_secs(second), FRAME), Ok(()));
            }
        }
        let error = guard.processed(Duration::from_secs(2), FRAME).unwrap_err();
        assert_eq!(error, StormError::Instant { budget: 5, at: Duration::from_secs(2), last: FRAME });
    }

    #[test]
    fn floods_in_a_window_are_limited_though_time_advances() {
        let mut guard = guard();
        let at = |millis| Duration::from_millis(millis);
        for millis in [0, 500, 999, 1000, 1500, 1999, 2000, 2001, 2002] {
            assert_eq!(guard.flooded(at(millis), FRAME), Ok(()));
        }
        let error = guard.flooded(at(2999), FRAME).unwrap_err();
        assert!(matches!(error, StormError::Flood { budget: 3, .. }));
        let text = error.to_string();
        assert!(
            text.contains("ARP from 02:42:ac:11:00:02 to ff:ff:ff:ff:ff:ff that came in on bridge port 3"),
            "{text}"
        );
        assert_eq!(guard.flooded(at(3000), FRAME), Ok(()));
    }
}
