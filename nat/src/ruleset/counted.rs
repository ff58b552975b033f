//! Places of counters, so that a remembered packet can be counted again without looking at a rule.
//!
//! A place is where a rule stands, not which it is: it holds until a rule set changes, which
//! [`crate::netfilter::Passage`] watches for.

use super::{Hook, RuleSet, Table};
use crate::evaluate::RuleRef;
use crate::rule::Rule;

/// Where a rule's or a policy's counters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    table: u8,
    chain: u32,
    /// The rule's place in its chain; `None` is the policy.
    rule: Option<u32>,
}

impl RuleSet {
    /// A rule that a trace names, and where its counters are. `None` if it is not there any more.
    pub(crate) fn counted_rule(&self, rule: &RuleRef) -> Option<(&Rule, Counted)> {
        let data = self.data(rule.table);
        let chain = data.slot(&rule.chain)?;
        let index = rule.number.checked_sub(1)?;
        let entry =
            data.chains.get(chain)?.as_ref()?.rules().get(index).filter(|entry| entry.id == rule.id)?;
        let place = Counted { table: rule.table as u8, chain: chain as u32, rule: Some(index as u32) };
        Some((&entry.rule, place))
    }

    /// Where the counters of a built-in chain's policy are.
    pub(crate) fn counted_policy(&self, table: Table, hook: Hook) -> Option<Counted> {
        let chain = self.data(table).base(hook)?;
        Some(Counted { table: table as u8, chain: chain as u32, rule: None })
    }

    /// Counts a packet of `length` bytes at each of the places.
    #[inline]
    pub(crate) fn count(&mut self, places: &[Counted], length: usize) {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        for place in places {
            let Some(Some(chain)) =
                self.tables[usize::from(place.table)].write().chains.get_mut(place.chain as usize)
            else {
                continue;
            };
            match place.rule {
                Some(index) => {
                    if let Some(entry) = chain.entry_mut(index as usize) {
                        entry.counters.count(length);
                    }
                }
                None => chain.policy_counters.count(length),
            }
        }
    }
}
