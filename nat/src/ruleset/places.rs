//! Where every rule of a rule set stands, by identity.
//!
//! Identities only rise, so a sorted list needs no hashing and takes little in the many namespaces that have few rules.
//! What is gone is crossed out; when half of the list is, it is written anew.

use super::RuleId;

/// Where a rule stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) table: u8,
    pub(super) slot: u32,
    pub(super) order: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    list: Vec<(RuleId, Option<Place>)>,
    crossed_out: usize,
}

impl Places {
    /// A rule stands here: one that was there before, or one whose identity is the highest so far.
    pub(super) fn set(&mut self, id: RuleId, place: Place) {
        if let Some(at) = self.find(id) {
            self.crossed_out -= usize::from(self.list[at].1.is_none());
            self.list[at].1 = Some(place);
            return;
        }
        if self.list.len() < 8 {
            self.list.reserve_exact(1);
        }
        self.list.push((id, Some(place)));
    }

    pub(super) fn get(&self, id: RuleId) -> Option<Place> {
        self.list[self.find(id)?].1
    }

    /// A rule's order number has changed.
    pub(super) fn renumber(&mut self, id: RuleId, order: i64) {
        if let Some(at) = self.find(id)
            && let Some(place) = &mut self.list[at].1
        {
            place.order = order;
        }
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        let Some(at) = self.find(id) else { return };
        self.crossed_out += usize::from(self.list[at].1.take().is_some());
        if self.crossed_out * 2 > self.list.len() {
            self.list.retain(|(_, place)| place.is_some());
            self.crossed_out = 0;
        }
    }

    fn find(&self, id: RuleId) -> Option<usize> {
        self.list.binary_search_by_key(&id, |(known, _)| *known).ok()
    }
}
