//! Whether a namespace can have anything to do with an IPv4 address, told without looking at the namespace.
//!
//! A broadcast reaches every member of its network, and nearly all of them have never heard of the addresses it is about:
//! ten thousand containers that announce themselves are five million receptions. Each would be a cache miss, and a walk
//! through page tables, to learn from the namespace that there is nothing to do. So 64 bits of every namespace lie side by
//! side: a Bloom filter of the addresses it has and the neighbours it has an entry for. Bits are never taken back; a filter
//! that says yes for nothing costs the look that it would have spared.

use std::net::{IpAddr, Ipv4Addr};

use super::id::NamespaceId;

/// The filters of all namespaces.
#[derive(Debug, Default)]
pub(super) struct AddressFilters(Vec<u64>);

impl AddressFilters {
    /// The namespace has the address, or an entry for the neighbour that has it.
    pub(super) fn note(&mut self, namespace: NamespaceId, address: IpAddr) {
        let IpAddr::V4(address) = address else { return };
        *self.bits(namespace) |= bit(address);
    }

    /// The namespace has whole networks: nothing is known to concern it not at all.
    pub(super) fn note_all(&mut self, namespace: NamespaceId) {
        *self.bits(namespace) = u64::MAX;
    }

    fn bits(&mut self, namespace: NamespaceId) -> &mut u64 {
        if self.0.len() <= namespace.index() {
            self.0.resize(namespace.index() + 1, 0);
        }
        &mut self.0[namespace.index()]
    }

    /// False if the namespace surely has no such address and no such neighbour.
    #[inline]
    pub(super) fn may_know(&self, namespace: NamespaceId, address: Ipv4Addr) -> bool {
        self.0.get(namespace.index()).is_some_and(|bits| bits & bit(address) != 0)
    }
}

/// Neighbouring addresses have different bits (Fibonacci hashing).
fn bit(address: Ipv4Addr) -> u64 {
    1 << (address.to_bits().wrapping_mul(0x9e37_79b9) >> 26)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_noted_is_known(noted in prop::collection::vec((0u32..5, any::<u32>()), 0..50)) {
            let mut filters = AddressFilters::default();
            for (namespace, address) in &noted {
                filters.note(NamespaceId(*namespace), Ipv4Addr::from_bits(*address).into());
            }
            for (namespace, address) in noted {
                prop_assert!(filters.may_know(NamespaceId(namespace), Ipv4Addr::from_bits(address)));
            }
        }
    }

    #[test]
    fn few_of_a_network_are_taken_for_the_one_that_is_known() {
        let mut filters = AddressFilters::default();
        let of = |last| Ipv4Addr::new(172, 17, 0, last);
        filters.note(NamespaceId(1), of(7).into());
        let taken = (0..=255).filter(|last| filters.may_know(NamespaceId(1), of(*last))).count();
        assert!(taken <= 8, "{taken} of 256");
        assert!(!filters.may_know(NamespaceId(0), of(7)) && !filters.may_know(NamespaceId(9), of(7)));
    }
}
