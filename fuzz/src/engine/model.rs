//! What must come of it: who reaches whom on one bridge. The outside machine is not in here, because nothing it sends may
//! change anything between the containers.

use std::collections::BTreeSet;

use super::CONTAINERS;
use super::transition::Transition;

/// The whole state that matters.
#[derive(Debug)]
pub struct Model {
    /// Absent, or whether it is up.
    containers: [Option<bool>; CONTAINERS],
    blocked: BTreeSet<(usize, usize)>,
    policy_drop: bool,
    bridge_netfilter: bool,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            containers: [None; CONTAINERS],
            blocked: BTreeSet::new(),
            policy_drop: false,
            bridge_netfilter: true,
        }
    }
}

impl Model {
    /// Whether the step makes sense now.
    pub fn allows(&self, transition: &Transition) -> bool {
        match transition {
            Transition::Start(one) => self.containers[*one].is_none(),
            Transition::Stop(one) | Transition::Down(one) | Transition::Up(one) => {
                self.containers[*one].is_some()
            }
            Transition::Send { from, to, .. } => from != to && self.containers[*from] == Some(true),
            Transition::Block(from, to) => from != to && !self.blocked.contains(&(*from, *to)),
            Transition::Unblock(from, to) => self.blocked.contains(&(*from, *to)),
            Transition::Policy { .. }
            | Transition::BridgeNetfilter(_)
            | Transition::Wait(_)
            | Transition::Hostile(_) => true,
        }
    }

    /// How many of the datagrams that the step sends arrive.
    pub fn step(&mut self, transition: &Transition) -> usize {
        match transition {
            Transition::Start(one) | Transition::Up(one) => self.containers[*one] = Some(true),
            Transition::Stop(one) => self.containers[*one] = None,
            Transition::Down(one) => self.containers[*one] = Some(false),
            Transition::Send { from, to, count, .. } => {
                let filtered = self.policy_drop || self.blocked.contains(&(*from, *to));
                let passes = !(self.bridge_netfilter && filtered);
                return if passes && self.containers[*to] == Some(true) { usize::from(*count) } else { 0 };
            }
            Transition::Block(from, to) => drop(self.blocked.insert((*from, *to))),
            Transition::Unblock(from, to) => drop(self.blocked.remove(&(*from, *to))),
            Transition::Policy { drop } => self.policy_drop = *drop,
            Transition::BridgeNetfilter(on) => self.bridge_netfilter = *on,
            Transition::Wait(_) | Transition::Hostile(_) => {}
        }
        0
    }
}
