//! What holds of the engine whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use linkspan::engine::event::EventKind;

use super::stage::sound;
use super::system::{System, remove_all};

/// What is remembered from step to step.
#[derive(Default)]
pub struct Watch {
    drops: u64,
}

impl Watch {
    /// After a step and the rest that follows it.
    pub fn step(&mut self, system: &mut System) {
        let engine = system.bench.engine.borrow();
        assert_eq!(engine.drops(), &system.dropped, "counted and told drops");
        let drops: u64 = engine.drops().values().sum();
        assert!(drops >= self.drops, "a counter of drops went back");
        self.drops = drops;
        assert_eq!(engine.frames_outstanding(), 0, "frames that nobody has, after all is quiet");
        sound(&engine);
        drop(engine);
        nothing_vanishes(system);
        wires_are_balanced(system);
    }
}

/// Every packet that appeared in the step ended: it was delivered, left, was dropped, or became others.
fn nothing_vanishes(system: &System) {
    let mut begun = BTreeSet::new();
    let mut ended = BTreeSet::new();
    let mut fragments = false;
    let edge = system.bench.device("host", "tap1");
    for event in &system.events {
        match &event.kind {
            EventKind::Sent { .. } | EventKind::Received { .. } => drop(begun.insert(event.trace.0)),
            EventKind::Delivered { .. } | EventKind::Dropped { .. } | EventKind::SocketError { .. } => {
                ended.insert(event.trace.0);
            }
            EventKind::Transmitted { device, .. } if *device == edge => drop(ended.insert(event.trace.0)),
            EventKind::Fragmented { .. } | EventKind::Reassembled { .. } => fragments = true,
            _ => {}
        }
        if let EventKind::Received { frame, .. } = &event.kind {
            // A fragment waits for the others, longer than a step.
            let at = if frame.get(12..14) == Some(&[8, 0]) { 20 } else { 6 };
            fragments |= frame.get(at).is_some_and(|byte| byte & 0x3f != 0);
            fragments |=
                frame.get(at + 1).is_some_and(|byte| *byte != 0) || frame.get(12..14) == Some(&[0x86, 0xdd]);
        }
    }
    if !fragments {
        let vanished: Vec<_> = begun.difference(&ended).collect();
        assert!(vanished.is_empty(), "packets without an end: {vanished:?} in {:#?}", system.events);
    }
}

/// What one end of a veth pair sent, the other received or dropped.
fn wires_are_balanced(system: &System) {
    let engine = system.bench.engine.borrow();
    let mut ends = BTreeMap::new();
    for namespace in engine.namespace_ids() {
        for interface in engine.interfaces(namespace) {
            ends.insert(interface.id, interface);
        }
    }
    for end in ends.values() {
        let Some(peer) = end.peer_id.and_then(|peer| ends.get(&peer)) else { continue };
        let received = peer.counters.received_packets + peer.counters.received_dropped;
        assert!(
            (peer.counters.received_packets..=received).contains(&end.counters.transmitted_packets),
            "{end:?} sent what {peer:?} has not"
        );
    }
}

/// When every owner's operations are undone, nothing is left.
pub fn end(mut system: System) {
    remove_all(&mut system.bench);
    for _ in 0..100_000 {
        system.settle();
        let next = system.bench.engine.borrow_mut().deadline();
        let Some((time, _)) = next else { break };
        system.bench.engine.borrow_mut().advance(time);
    }
    let mut engine = system.bench.engine.borrow_mut();
    assert_eq!(engine.deadline(), None, "the engine never comes to rest");
    assert!(engine.namespace_ids().is_empty() && engine.owned().is_empty(), "left: {:?}", engine.owned());
    assert_eq!(engine.frames_outstanding(), 0);
}
