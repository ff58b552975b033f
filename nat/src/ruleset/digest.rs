//! What is known of all rules of a long chain together, so that nobody has to walk it: which of them can match a packet,
//! where they lead, and from which hooks they may be reached.

use super::Hook;
use super::chain::Entry;
use super::index::Index;
use crate::target_check::{EVERY_HOOK, hooks_of};

/// The rules of one chain, summed up.
#[derive(Debug, Clone, Default)]
pub(super) struct Digest {
    pub(super) index: Index,
    /// The slots of chains that rules jump or go to, and how many do.
    jumps: Vec<(u32, u32)>,
    /// The hooks that targets are restricted to, and how many are.
    restrictions: Vec<(u8, u32)>,
}

impl Digest {
    /// The digest of these rules, whose order numbers are set.
    pub(super) fn of<'a>(rules: impl Iterator<Item = &'a Entry>) -> Digest {
        let mut digest = Digest::default();
        rules.for_each(|entry| digest.take_in(entry));
        digest
    }

    /// Takes a rule in, whose order number is set.
    pub(super) fn take_in(&mut self, entry: &Entry) {
        self.index.insert(entry.order, &entry.rule);
        self.count(entry, 1);
    }

    /// Takes out a rule that was taken in.
    pub(super) fn take_out(&mut self, entry: &Entry) {
        self.index.remove(entry.order, &entry.rule);
        self.count(entry, -1);
    }

    /// The slots that rules lead to, each once.
    pub(super) fn jumps(&self) -> impl Iterator<Item = u32> + '_ {
        self.jumps.iter().map(|(slot, _)| *slot)
    }

    /// How many rules lead to a slot.
    pub(super) fn jumps_to(&self, slot: usize) -> usize {
        self.jumps.iter().find(|(to, _)| *to as usize == slot).map_or(0, |(_, count)| *count as usize)
    }

    /// Whether every target may be reached from a hook.
    pub(super) fn allows(&self, hook: Hook) -> bool {
        self.restrictions.iter().all(|(hooks, _)| hooks & (1 << hook as u8) != 0)
    }

    fn count(&mut self, entry: &Entry, change: i32) {
        if let Some(next) = entry.next {
            count(&mut self.jumps, next, change);
        }
        let hooks = hooks_of(&entry.rule.target);
        if hooks != EVERY_HOOK {
            count(&mut self.restrictions, hooks, change);
        }
    }
}

/// Counts one more or one less of something; what is at zero is not kept.
fn count<K: PartialEq>(counts: &mut Vec<(K, u32)>, key: K, change: i32) {
    match counts.iter().position(|(known, _)| *known == key) {
        Some(at) => {
            counts[at].1 = counts[at].1.saturating_add_signed(change);
            if counts[at].1 == 0 {
                counts.swap_remove(at);
            }
        }
        None if change > 0 => counts.push((key, 1)),
        None => {}
    }
}
