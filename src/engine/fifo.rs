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

struct Arrival {
    frame: Frame,
    device: DeviceId,
    tracked: bool,
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

    /// The first frame, who is to receive it, and what connection tracking said of it.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(DeviceId, Frame, Option<Tracked>)> {
        let Arrival { frame, device, tracked } = self.arrivals.pop_front()?;
        let tracked = if tracked { self.tracked.pop_front() } else { None };
        Some((device, frame, tracked))
    }

    /// Forgets every frame.
    pub(super) fn clear(&mut self) {
        self.arrivals.clear();
        self.tracked.clear();
    }
}
