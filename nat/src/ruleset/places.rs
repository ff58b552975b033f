//! Where every rule of a rule set stands, by identity.
//!
//! Identities only rise, so a sorted list needs no hashing. What is gone is crossed out; when half of the list is, it
//! is written anew. Rule sets of a few rules, as containers have, keep no list: their rules are looked at one by one.

use super::{RuleId, Table};

/// A rule set of more rules than this keeps where they stand.
pub(super) const FEW_RULES: usize = 16;

/// Where a rule stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) table: Table,
    pub(super) slot: u32,
    pub(super) order: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    list: Vec<(RuleId, Option<Place>)>,
    crossed_out: usize,
}

impl FromIterator<(RuleId, Place)> for Places {
    fn from_iter<I: IntoIterator<Item = (RuleId, Place)>>(rules: I) -> Places {
        let mut list: Vec<_> = rules.into_iter().map(|(id, place)| (id, Some(place))).collect();
        list.sort_unstable_by_key(|(id, _)| *id);
        Places { list, crossed_out: 0 }
    }
}

impl Places {
    /// A rule stands here.
    pub(super) fn set(&mut self, id: RuleId, place: Place) {
        match self.find(id) {
            Ok(at) => {
                self.crossed_out -= usize::from(self.list[at].1.is_none());
                self.list[at].1 = Some(place);
            }
            // At the end, unless it was there before.
            Err(at) => self.list.insert(at, (id, Some(place))),
        }
    }

    pub(super) fn get(&self, id: RuleId) -> Option<Place> {
        self.list[self.find(id).ok()?].1
    }

    /// A rule's order number has changed.
    pub(super) fn renumber(&mut self, id: RuleId, order: i64) {
        if let Ok(at) = self.find(id)
            && let Some(place) = &mut self.list[at].1
        {
            place.order = order;
        }
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        let Ok(at) = self.find(id) else { return };
        self.crossed_out += usize::from(self.list[at].1.take().is_some());
        if self.crossed_out * 2 > self.list.len() {
            self.list.retain(|(_, place)| place.is_some());
            self.crossed_out = 0;
        }
    }

    /// Where an identity is in the list, or would be.
    fn find(&self, id: RuleId) -> Result<usize, usize> {
        self.list.binary_search_by_key(&id, |(known, _)| *known)
    }
}
