//! What is remembered of each packet while it is under way: how it looked at first, what was rewritten, and what a
//! hook said before the drop that follows.
//!
//! Packets end in several places at once when a bridge floods them, so there is no moment to forget one. The oldest
//! are forgotten when [`TRAILS`] are kept; a packet that is still under way then starts anew.

use std::collections::BTreeMap;

use linkspan_nat::rule::Family;
use linkspan_switch::mac::MacAddress;

use super::rules::{Rules, rewritings};
use super::summary::Summary;
use super::{Naming, summary};
use crate::engine::event::{DropReason, Event, EventKind};

/// Packets remembered at a time.
const TRAILS: usize = 4_096;

/// Rewritings remembered of one packet: more than hooks on any sensible path make.
const REWRITINGS: usize = 16;

/// The trails of recent packets.
#[derive(Debug, Default)]
pub(super) struct Trails {
    kept: BTreeMap<u64, Trail>,
}

/// What is known of one packet.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail {
    /// How it looked when it was first seen.
    pub(super) first: Option<Summary>,
    /// Destination of its newest Ethernet frame.
    pub(super) destination_mac: Option<MacAddress>,
    /// The rule or policy that refused it.
    pub(super) refusal: Option<String>,
    /// What NAT made of it, in words.
    pub(super) rewritings: Vec<String>,
    /// Whether a story has told its headline, or counted it among the unimportant.
    pub(super) told: bool,
}

impl Trail {
    /// The packet's family; IPv4 until its bytes were seen.
    pub(super) fn family(&self) -> Family {
        self.first.as_ref().and_then(Summary::family).unwrap_or(Family::Ipv4)
    }

    /// The rule or policy behind a drop, where the reason is that a rule or policy said so.
    pub(super) fn cause(&self, reason: DropReason) -> Option<&str> {
        match reason {
            DropReason::Filtered | DropReason::Rejected => self.refusal.as_deref(),
            _ => None,
        }
    }
}

impl Trails {
    /// Takes in an event and gives the trail of its packet.
    pub(super) fn follow(&mut self, event: &Event, naming: &dyn Naming) -> &mut Trail {
        let id = event.trace.0;
        if self.kept.len() >= TRAILS && !self.kept.contains_key(&id) {
            self.kept.pop_first();
        }
        let trail = self.kept.entry(id).or_default();
        match &event.kind {
            EventKind::Sent { packet, .. } => {
                trail.first.get_or_insert_with(|| summary::packet(packet));
            }
            EventKind::Received { device, frame } | EventKind::Transmitted { device, frame } => {
                let loopback = naming.device(*device).is_loopback();
                if !loopback && let Some(mac) = frame.first_chunk::<6>() {
                    trail.destination_mac = Some(MacAddress(*mac));
                }
                trail.first.get_or_insert_with(|| {
                    if loopback { summary::packet(frame) } else { summary::frame(frame) }
                });
            }
            EventKind::Filtered { namespace, steps, accepted, .. } => {
                let rules = Rules { namespace: *namespace, family: trail.family(), naming };
                trail.rewritings.extend(rewritings(steps));
                trail.rewritings.truncate(REWRITINGS);
                trail.refusal = if *accepted { None } else { rules.refusal(steps) };
            }
            EventKind::Bridged { .. }
            | EventKind::Routed { .. }
            | EventKind::Neighbour { .. }
            | EventKind::DuplicateAddress { .. }
            | EventKind::Delivered { .. }
            | EventKind::SocketError { .. }
            | EventKind::Fragmented { .. }
            | EventKind::Reassembled { .. }
            | EventKind::Queued { .. }
            | EventKind::Dropped { .. }
            | EventKind::Applied { .. }
            | EventKind::Undone { .. } => {}
        }
        trail
    }
}
