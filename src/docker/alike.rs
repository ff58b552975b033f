//! Values that thousands may have alike, kept once: of each kind the last one is remembered, and whoever comes with an
//! equal one gets that. A service with many containers needs no more. Kinds of which nobody has a value any more are
//! forgotten when they are most of what is remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

/// So many kinds are remembered without asking whether they are needed.
const FEW: usize = 64;

/// The last value of each kind.
#[derive(Debug)]
pub(super) struct Alike<K, T> {
    last: BTreeMap<K, Arc<T>>,
    /// At how many kinds those that are not needed are forgotten.
    most: usize,
}

impl<K, T> Default for Alike<K, T> {
    fn default() -> Alike<K, T> {
        Alike { last: BTreeMap::new(), most: FEW }
    }
}

impl<K: Ord, T: PartialEq> Alike<K, T> {
    /// The last value of this kind if it equals `value`, which is then thrown away; else `value`.
    pub(super) fn share(&mut self, kind: K, value: T) -> Arc<T> {
        match self.last.get(&kind) {
            Some(last) if **last == value => last.clone(),
            _ => {
                if self.last.len() >= self.most {
                    self.last.retain(|_, value| Arc::strong_count(value) > 1);
                    self.most = 2 * self.last.len() + FEW;
                }
                let value = Arc::new(value);
                self.last.insert(kind, value.clone());
                value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_of_one_kind_are_one() {
        let mut alike = Alike::default();
        let first = alike.share("a", 1);
        assert!(Arc::ptr_eq(&first, &alike.share("a", 1)));
        assert!(!Arc::ptr_eq(&first, &alike.share("b", 1)));
        assert_eq!(*alike.share("a", 2), 2);
        assert_eq!(*first, 1);
    }

    #[test]
    fn what_nobody_has_is_forgotten_and_what_somebody_has_is_not() {
        let mut alike = Alike::default();
        let kept = alike.share(0, "kept");
        (1..10_000).for_each(|kind| drop(alike.share(kind, "dropped")));
        assert!(alike.last.len() <= FEW + 2);
        assert!(Arc::ptr_eq(&kept, &alike.share(0, "kept")));
    }
}
