//! The hash table under the forwarding database: flat, open-addressed, probed linearly.
//!
//! A bridge asks it twice per frame, so an answer is one multiplication and, as the table is at most half
//! full, nearly always one cache line. Keys are numbers below `u64::MAX`, values are small. Removal moves
//! later entries back instead of leaving marks, so a table does not get slower with age.

/// The key of a slot that is empty.
const VACANT: u64 = u64::MAX;

/// Slots of the smallest table, a power of two.
const MIN_SLOTS: usize = 16;

/// A map from numbers below `u64::MAX` to `V`.
#[derive(Debug)]
pub(crate) struct Table<V> {
    /// A power of two of them, at most half in use.
    slots: Vec<Slot<V>>,
    len: usize,
    /// How far the hash is shifted down to be an index.
    shift: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot<V> {
    key: u64,
    value: V,
}

impl<V: Copy + Default> Table<V> {
    /// An empty table.
    pub(crate) fn new() -> Table<V> {
        Table::with_slots(MIN_SLOTS)
    }

    /// An empty table of `count` slots, a power of two above 1.
    fn with_slots(count: usize) -> Table<V> {
        let slots = vec![Slot { key: VACANT, value: V::default() }; count];
        Table { slots, len: 0, shift: u64::BITS - count.trailing_zeros() }
    }

    /// Entries held.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value of `key`.
    #[inline]
    pub(crate) fn get(&self, key: u64) -> Option<&V> {
        let mut index = self.home(key);
        loop {
            let slot = self.slots.get(index)?;
            if slot.key == key {
                return Some(&slot.value);
            }
            if slot.key == VACANT {
                return None;
            }
            index = self.after(index);
        }
    }

    /// The value of `key`, to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        let mut index = self.home(key);
        loop {
            let found = self.slots.get(index)?.key;
            if found == key {
                return self.slots.get_mut(index).map(|slot| &mut slot.value);
            }
            if found == VACANT {
                return None;
            }
            index = self.after(index);
        }
    }

    /// Sets the value of `key` and returns the one before.
    pub(crate) fn insert(&mut self, key: u64, value: V) -> Option<V> {
        if let Some(known) = self.get_mut(key) {
            return Some(std::mem::replace(known, value));
        }
        if 2 * (self.len + 1) > self.slots.len() {
            self.rebuild(2 * self.slots.len(), |_| true);
        }
        self.place(key, value);
        None
    }

    /// Removes `key` and returns its value.
    pub(crate) fn remove(&mut self, key: u64) -> Option<V> {
        let value = *self.get(key)?;
        let mask = self.slots.len() - 1;
        let mut hole = self.find(key);
        let mut next = (hole + 1) & mask;
        while self.slots[next].key != VACANT {
            // An entry may fill the hole unless its search would start behind the hole.
            let behind_home = next.wrapping_sub(self.home(self.slots[next].key)) & mask;
            if behind_home >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[hole].key = VACANT;
        self.len -= 1;
        Some(value)
    }

    /// Removes every entry whose value `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&V) -> bool) {
        self.rebuild(self.slots.len(), keep);
    }

    /// The entries in the order of their slots, which means nothing.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, V)> + '_ {
        self.slots.iter().filter(|slot| slot.key != VACANT).map(|slot| (slot.key, slot.value))
    }

    /// Moves the entries `keep` accepts to `count` slots.
    #[cold]
    fn rebuild(&mut self, count: usize, mut keep: impl FnMut(&V) -> bool) {
        let old = std::mem::replace(self, Table::with_slots(count));
        for (key, value) in old.iter().filter(|(_, value)| keep(value)) {
            self.place(key, value);
        }
    }

    /// Puts an entry whose key the table does not have where it belongs. The table has room.
    fn place(&mut self, key: u64, value: V) {
        let index = self.find(key);
        self.slots[index] = Slot { key, value };
        self.len += 1;
    }

    /// The slot that has `key`, or the empty one where it would go. Half the slots are empty, so there is
    /// one.
    fn find(&self, key: u64) -> usize {
        let mut index = self.home(key);
        while let Some(slot) = self.slots.get(index)
            && slot.key != key
            && slot.key != VACANT
        {
            index = self.after(index);
        }
        index
    }

    /// The slot behind one, round to the first.
    #[inline]
    fn after(&self, index: usize) -> usize {
        (index + 1) & (self.slots.len() - 1)
    }

    /// Where a search for `key` starts: the top bits of its product with 2^64 divided by the golden ratio
    /// (Knuth, TAOCP 6.4).
    #[inline]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, u8),
        Remove(u64),
        Retain(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few keys, spread over the number space, so that they meet often; zero is among them.
        let key = (0..60u64).prop_map(|n| n.wrapping_mul(0x0123_4567_0000_0001) >> (n % 8));
        prop_oneof![
            8 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            6 => key.prop_map(Step::Remove),
            1 => any::<u8>().prop_map(Step::Retain),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec(step(), 1..200)) {
            let mut table = Table::new();
            let mut model = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        prop_assert_eq!(table.insert(key, value), model.insert(key, value));
                    }
                    Step::Remove(key) => prop_assert_eq!(table.remove(key), model.remove(&key)),
                    Step::Retain(limit) => {
                        table.retain(|value| *value < limit);
                        model.retain(|_, value| *value < limit);
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                for (key, value) in &model {
                    prop_assert_eq!(table.get(*key), Some(value));
                }
                prop_assert_eq!(table.iter().collect::<BTreeMap<_, _>>(), model.clone());
            }
        }
    }

    #[test]
    fn neighbours_that_meet_survive_each_others_removal() {
        let mut table = Table::new();
        let home = table.home(1);
        let keys: Vec<u64> = (1..).filter(|key| table.home(*key) == home).take(6).collect();
        for key in &keys {
            table.insert(*key, *key);
        }
        for (removed, key) in keys.iter().enumerate() {
            assert_eq!(table.remove(*key), Some(*key));
            assert!(keys[..=removed].iter().all(|key| table.get(*key).is_none()));
            assert!(keys[removed + 1..].iter().all(|key| table.get(*key) == Some(key)));
        }
    }
}
