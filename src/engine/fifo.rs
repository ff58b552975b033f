//! The FIFO: frames that are about to be received, in the order they were sent.
//!
//! Every frame waits here once per hop, so an arrival is two words. What connection tracking said of a packet on its
//! way out, which Linux keeps on `lo` alone, waits in a list beside it.

use std::collections::VecDeque;

use linkspan_switch::frame::Frame;

use super::id::DeviceId;
use super::ip::Tracked;

/// Frames that are about to be received by devices.
#[derive(Default)]
pub(super) struct Fifo {
    arrivals: VecDeque<Arrival>,
    /// For every arrival that is tracked, in the same order.
    tracked: VecDeque<Tracked>,
}

/// A frame and who is to receive it.
pub(super) struct Arrival {
    pub(super) frame: Frame,
    pub(super) device: DeviceId,
    /// Whether [`Fifo::pop_tracked`] has to say something of it.
    pub(super) tracked: bool,
}

impl Fifo {
    /// Adds a frame that a device is to receive.
    #[inline]
    pub(super) fn push(&mut self, device: DeviceId, frame: Frame) {
        self.arrivals.push_back(Arrival { frame, device, tracked: false });
    }

    /// Adds a frame that `lo` is to receive, with what connection tracking said of it.
    pub(super) fn push_tracked(&mut self, device: DeviceId, frame: Frame, tracked: Tracked) {
        self.arrivals.push_back(Arrival { frame, device, tracked: true });
        self.tracked.push_back(tracked);
    }

    /// The first frame.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Arrival> {
        self.arrivals.pop_front()
    }

    /// What connection tracking said of the tracked arrival that was just taken.
    pub(super) fn pop_tracked(&mut self) -> Option<Tracked> {
        self.tracked.pop_front()
    }

    /// Forgets every frame.
    pub(super) fn clear(&mut self) {
        self.arrivals.clear();
        self.tracked.clear();
    }
}
