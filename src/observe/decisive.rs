//! Which packet decided how an attempt ended: the one a reader wants to follow.

use std::collections::BTreeMap;

use linkspan_switch::frame::TraceId;

use super::summary::{self, Role, Summary};
use crate::engine::event::{DropReason, Event, EventKind};

/// DNS (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

/// The packet that decided: the last one that was dropped for a reason that ends an attempt, else the last one that
/// opened a connection or stood for itself; packets of name lookups count only when there are no others, and of those the answer
/// for IPv4 before that for IPv6. `None` if no
/// packet was sent.
pub fn decisive(events: &[Event]) -> Option<TraceId> {
    let mut packets: BTreeMap<TraceId, Summary> = BTreeMap::new();
    for event in events {
        if let EventKind::Sent { packet, .. } = &event.kind {
            packets.entry(event.trace).or_insert_with(|| summary::packet(packet));
        }
    }
    let attempt =
        |trace: &TraceId| packets.get(trace).is_some_and(|p| !is_lookup(p) && p.role != Role::Resolves);
    let dropped = |event: &&Event| match &event.kind {
        EventKind::Dropped { reason, .. } => !matches!(reason, DropReason::OtherHost | DropReason::NotForUs),
        _ => false,
    };
    let sent = |event: &&Event| matches!(event.kind, EventKind::Sent { .. });
    let drops = || events.iter().rev().filter(dropped).map(|e| e.trace);
    let sends = || events.iter().rev().filter(sent).map(|e| e.trace);
    let opens =
        |trace: &TraceId| packets.get(trace).is_some_and(|p| matches!(p.role, Role::Opens | Role::Message));
    drops()
        .find(attempt)
        .or_else(|| sends().find(|t| attempt(t) && opens(t)))
        .or_else(|| drops().find(|t| packets.contains_key(t)))
        .or_else(|| sends().find(|t| packets.get(t).is_some_and(says_an_address)))
        .or_else(|| sends().next())
}

/// Whether a packet answers the question for IPv4. Of an answer for IPv6 mostly nothing hangs, and it comes last.
fn says_an_address(packet: &Summary) -> bool {
    packet.text.contains("DNS answer ")
        && !packet.text.contains(", AAAA ")
        && !packet.text.ends_with(": no such record")
}

fn is_lookup(packet: &Summary) -> bool {
    packet.source_port == Some(DNS_PORT)
        || packet.destination_port == Some(DNS_PORT)
        || packet.text.starts_with("DNS ")
}
