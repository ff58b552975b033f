//! A chain and its rules, in order.
//!
//! Docker appends and inserts at the top, and takes rules out by identity, so a chain is a deque. Every rule has an
//! order number that rises along the chain with wide gaps: it says where a rule stands without counting, and stays when
//! others come and go.
//!
//! A long chain is not walked: a [`Digest`] of its rules is kept beside them. A short one has none, because there are
//! as many chains of a rule or two as there are containers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::digest::Digest;
use super::{Counters, Hook, Policy, RuleId, RuleOwner};
use crate::evaluate::{Facts, TokenBucket};
use crate::rule::Rule;
use crate::target_check::{EVERY_HOOK, hooks_of};

/// A chain of so many rules has a digest.
pub(super) const INDEXED_FROM: u32 = 16;
/// Between the order numbers of neighbours.
const GAP: i64 = 1 << 32;

/// A chain: built in (with a hook and a policy) or made by a user.
#[derive(Debug, Clone)]
pub struct Chain {
    pub(crate) name: Arc<str>,
    pub(crate) hook: Option<Hook>,
    pub(crate) policy: Policy,
    pub(crate) policy_counters: Counters,
    rules: VecDeque<Box<Entry>>,
    digest: Option<Box<Digest>>,
    /// From how many rules on there is a digest.
    indexed_from: u32,
}

/// A rule in its chain.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) id: RuleId,
    pub(super) order: i64,
    pub(crate) owner: Option<RuleOwner>,
    pub(crate) rule: Arc<Rule>,
    /// The slot of the chain that the target leads to.
    pub(crate) next: Option<u32>,
    pub(crate) counters: Counters,
    pub(crate) buckets: Box<[TokenBucket]>,
}

impl Entry {
    pub(super) fn new(id: RuleId, owner: Option<RuleOwner>, rule: Arc<Rule>, next: Option<u32>) -> Entry {
        let buckets = rule.matches.iter().filter_map(TokenBucket::of).collect();
        Entry { id, order: 0, owner, rule, next, counters: Counters::default(), buckets }
    }

    /// Whether it bears on how the chains of its table can be run.
    pub(super) fn restricts(&self) -> bool {
        self.next.is_some() || hooks_of(&self.rule.target) != EVERY_HOOK
    }

    /// The rule's identity.
    pub fn id(&self) -> RuleId {
        self.id
    }

    /// Whose rule it is.
    pub fn owner(&self) -> Option<RuleOwner> {
        self.owner
    }

    /// The rule.
    pub fn rule(&self) -> &Arc<Rule> {
        &self.rule
    }

    /// How many packets matched.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

impl Chain {
    pub(super) fn new(name: Arc<str>, hook: Option<Hook>, indexed_from: u32) -> Chain {
        Chain {
            name,
            hook,
            policy: Policy::Accept,
            policy_counters: Counters::default(),
            rules: VecDeque::new(),
            digest: None,
            indexed_from,
        }
    }

    #[cfg(test)]
    pub(super) fn set_indexed_from(&mut self, rules: u32) {
        self.indexed_from = rules;
    }

    /// The chain's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The hook of a built-in chain.
    pub fn hook(&self) -> Option<Hook> {
        self.hook
    }

    /// The policy; meaningful for built-in chains.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// How many packets the policy decided.
    pub fn policy_counters(&self) -> Counters {
        self.policy_counters
    }

    /// The rules in order; the first is number 1.
    pub fn rules(&self) -> &VecDeque<Box<Entry>> {
        &self.rules
    }

    /// The rule at a position, for counting.
    #[inline]
    pub(crate) fn entry_mut(&mut self, position: usize) -> Option<&mut Entry> {
        self.rules.get_mut(position).map(Box::as_mut)
    }

    /// The rule at a position, and the chain's name.
    #[inline]
    pub(crate) fn entry_and_name(&mut self, position: usize) -> (Option<&mut Entry>, &Arc<str>) {
        (self.rules.get_mut(position).map(Box::as_mut), &self.name)
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.rules.iter_mut().map(Box::as_mut)
    }

    /// The first position from `from` on whose rule may match the packet. Those that are passed over cannot: what they
    /// ask of interfaces, addresses or ports is not so.
    #[inline]
    pub(crate) fn next_possible(&self, from: usize, facts: &Facts<'_>) -> usize {
        match &self.digest {
            None => from,
            Some(digest) => self.next_indexed(digest, from, facts),
        }
    }

    fn next_indexed(&self, digest: &Digest, from: usize, facts: &Facts<'_>) -> usize {
        let Some(entry) = self.rules.get(from) else { return from };
        digest.index.next(entry.order, facts).map_or(self.rules.len(), |order| self.rank(order))
    }

    /// Where the rule with this order number stands.
    fn rank(&self, order: i64) -> usize {
        self.rules.partition_point(|entry| entry.order < order)
    }

    /// Where the rule with this order number and identity stands.
    pub(super) fn position(&self, order: i64, id: RuleId) -> Option<usize> {
        let position = self.rank(order);
        self.rules.get(position).filter(|entry| entry.id == id).map(|_| position)
    }

    /// Puts a rule at a position; its order number. Where the numbers leave no room, all get new ones, and
    /// `renumbered` hears of each.
    pub(super) fn insert(
        &mut self,
        position: usize,
        mut entry: Entry,
        mut renumbered: impl FnMut(RuleId, i64),
    ) -> i64 {
        let before = position.checked_sub(1).and_then(|before| self.rules.get(before)).map(|e| e.order);
        let behind = self.rules.get(position).map(|entry| entry.order);
        let order = match (before, behind) {
            (None, None) => Some(0),
            (Some(before), None) => before.checked_add(GAP),
            (None, Some(behind)) => behind.checked_sub(GAP),
            (Some(before), Some(behind)) => {
                let middle = before.midpoint(behind);
                (before < middle && middle < behind).then_some(middle)
            }
        };
        entry.order = order.unwrap_or(0);
        // Most chains have a rule or two, and there are as many namespaces as containers.
        if self.rules.len() < 4 {
            self.rules.reserve_exact(1);
        }
        let number = entry.order;
        self.rules.insert(position, Box::new(entry));
        if order.is_none() {
            for (place, entry) in self.rules.iter_mut().enumerate() {
                entry.order = GAP * place as i64;
                renumbered(entry.id, entry.order);
            }
            self.digest = None;
        }
        match &mut self.digest {
            Some(digest) => {
                if let Some(entry) = self.rules.get(position) {
                    digest.take_in(entry);
                }
            }
            None if self.rules.len() >= self.indexed_from as usize => {
                self.digest = Some(Box::new(Digest::of(self.rules.iter().map(Box::as_ref))));
            }
            None => {}
        }
        self.rules.get(position).map_or(number, |entry| entry.order)
    }

    /// Takes the rule at a position out.
    pub(super) fn remove(&mut self, position: usize) -> Option<Entry> {
        let entry = self.rules.remove(position)?;
        if let Some(digest) = &mut self.digest {
            digest.take_out(&entry);
        }
        Some(*entry)
    }

    /// Takes all rules out.
    pub(super) fn clear(&mut self) -> VecDeque<Box<Entry>> {
        self.digest = None;
        std::mem::take(&mut self.rules)
    }

    /// The slots of the chains that its rules lead to; one may come more than once.
    pub(super) fn leads_to(&self) -> impl Iterator<Item = usize> + '_ {
        let (digested, walked) = match &self.digest {
            Some(digest) => (Some(digest.jumps()), None),
            None => (None, Some(self.rules.iter().filter_map(|entry| entry.next))),
        };
        let slots = digested.into_iter().flatten().chain(walked.into_iter().flatten());
        slots.map(|slot| slot as usize)
    }

    /// How many of its rules lead to the chain in a slot.
    pub(super) fn jumps_to(&self, slot: usize) -> usize {
        match &self.digest {
            Some(digest) => digest.jumps_to(slot),
            None => self.leads_to().filter(|to| *to == slot).count(),
        }
    }

    /// Whether every target may be reached from a hook.
    pub(super) fn allows(&self, hook: Hook) -> bool {
        match &self.digest {
            Some(digest) => digest.allows(hook),
            None => self.rules.iter().all(|entry| hooks_of(&entry.rule.target) & (1 << hook as u8) != 0),
        }
    }
}
