//! Docker's default address management: which subnet a network gets, and which address an endpoint.
//!
//! Everything allocated, subnets and addresses alike, is kept as runs of numbers, so that a /8 with three addresses
//! in use costs three entries and ten thousand neighbouring subnets cost one. Subnets come from the predefined pools
//! round robin (20.10) or lowest first (28); addresses are always the lowest free ones.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use thiserror::Error;

use super::profile::PoolOrder;

/// Docker's local pools: base and the prefix length of the networks cut from it (libnetwork `ipamutils`).
const LOCAL_POOLS: [(&str, u8); 7] = [
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
];

/// Why an address or a subnet cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IpamError {
    /// The subnet overlaps one of another network.
    #[error("Pool overlaps with other one on this address space")]
    Overlap,
    /// No predefined pool is free.
    #[error("no free predefined pool")]
    NoPool,
    /// No predefined pool has room for a network of the size that was asked for.
    #[error("invalid address pool")]
    NoSuchSize,
    /// The address is taken.
    #[error("Address already in use")]
    Taken,
    /// No address is free.
    #[error("No available addresses on this pool")]
    Full,
    /// The address is not in the subnet.
    #[error("requested address is out of range")]
    Outside,
}

/// Sorted, disjoint, non-adjacent runs of numbers, both ends included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs {
    runs: BTreeMap<u128, u128>,
}

impl Runs {
    /// Adds the numbers from `first` to `last`.
    pub(super) fn insert(&mut self, first: u128, last: u128) {
        let (mut first, mut last) = (first, last);
        loop {
            // A run that begins no later than one behind the end touches the new one.
            let touching = self.runs.range(..=last.saturating_add(1)).next_back().map(|(a, b)| (*a, *b));
            match touching {
                Some((from, to)) if to.saturating_add(1) >= first => {
                    self.runs.remove(&from);
                    first = first.min(from);
                    last = last.max(to);
                }
                _ => break,
            }
        }
        self.runs.insert(first, last);
    }

    /// Removes the numbers from `first` to `last`.
    pub(super) fn remove(&mut self, first: u128, last: u128) {
        while let Some((from, to)) = self.touching(first, last) {
            self.runs.remove(&from);
            if let Some(before) = first.checked_sub(1).filter(|before| from <= *before) {
                self.runs.insert(from, before);
            }
            if let Some(after) = last.checked_add(1).filter(|after| *after <= to) {
                self.runs.insert(after, to);
            }
        }
    }

    /// The last run that shares a number with `first..=last`.
    pub(super) fn touching(&self, first: u128, last: u128) -> Option<(u128, u128)> {
        let (from, to) = self.runs.range(..=last).next_back()?;
        (*to >= first).then_some((*from, *to))
    }

    /// The lowest number from `first` to `last` that is in no run.
    fn lowest_free(&self, first: u128, last: u128) -> Option<u128> {
        match self.touching(first, first) {
            Some((_, to)) => to.checked_add(1).filter(|next| *next <= last),
            None => (first <= last).then_some(first),
        }
    }
}

/// An address as a number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address with a number, of the family of `like`.
fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

/// First and last number of a subnet.
pub(super) fn bounds(subnet: &IpNet) -> (u128, u128) {
    (number(subnet.network()), number(subnet.broadcast()))
}

/// What of a range's addresses a subnet's mask leaves, within that subnet; all of it where the range is larger.
fn host_part(range: &IpNet, subnet: &IpNet) -> IpNet {
    let (first, last) = bounds(subnet);
    let host = number(range.addr()) & (last - first);
    let base = address(first | host, subnet.addr());
    IpNet::new(base, range.prefix_len().max(subnet.prefix_len())).map_or(*subnet, |net| net.trunc())
}

/// How an engine keeps the addresses of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allocator {
    /// A sequence of bits (20.10): the first and the last address of a /31 are reserved like any other's, which leaves
    /// none, and a full pool is said to be full, whatever address is asked for.
    BitSequence,
    /// A set of addresses (28): /31 and /32 have no reserved ones.
    AddressSet,
}

/// The addresses of one subnet.
#[derive(Debug, Clone)]
pub struct Pool {
    subnet: IpNet,
    range: Option<IpNet>,
    taken: Runs,
    allocator: Allocator,
}

impl Pool {
    /// A pool with nothing but the reserved addresses taken. A range larger than the subnet is cut to it. The bit sequence
    /// takes only the host part of a range, so that one outside of the subnet stands for addresses in it
    /// (libnetwork's `getAddressRange`); dockerd asks for such a one when `fixed-cidr` is elsewhere.
    pub(super) fn new(subnet: IpNet, range: Option<IpNet>, allocator: Allocator) -> Self {
        let subnet = subnet.trunc();
        let (first, last) = bounds(&subnet);
        let mut taken = Runs::default();
        let host_bits = subnet.max_prefix_len() - subnet.prefix_len();
        if host_bits >= 2 || allocator == Allocator::BitSequence {
            taken.insert(first, first);
            if subnet.addr().is_ipv4() {
                taken.insert(last, last);
            }
        }
        let range = range.map(|range| match allocator {
            Allocator::BitSequence => host_part(&range.trunc(), &subnet),
            Allocator::AddressSet => range.trunc(),
        });
        let range = range.filter(|range| subnet.contains(range));
        Self { subnet, range, taken, allocator }
    }

    /// The subnet.
    pub fn subnet(&self) -> IpNet {
        self.subnet
    }

    /// Takes the lowest free address of the range, or of the whole subnet if none was given.
    pub(super) fn allocate(&mut self) -> Result<IpAddr, IpamError> {
        let (first, last) = bounds(&self.range.unwrap_or(self.subnet));
        let free = self.taken.lowest_free(first, last).ok_or(IpamError::Full)?;
        self.taken.insert(free, free);
        Ok(address(free, self.subnet.addr()))
    }

    /// Takes this address.
    pub(super) fn claim(&mut self, wanted: IpAddr) -> Result<(), IpamError> {
        if !self.subnet.contains(&wanted) {
            return Err(IpamError::Outside);
        }
        let wanted = number(wanted);
        if self.taken.touching(wanted, wanted).is_some() {
            let (first, last) = bounds(&self.subnet);
            return Err(match self.taken.lowest_free(first, last) {
                // It looks for room before it looks at the address.
                None if self.allocator == Allocator::BitSequence => IpamError::Full,
                _ => IpamError::Taken,
            });
        }
        self.taken.insert(wanted, wanted);
        Ok(())
    }

    /// Gives an address back.
    pub(super) fn release(&mut self, returned: IpAddr) {
        if self.subnet.contains(&returned) {
            let returned = number(returned);
            self.taken.remove(returned, returned);
        }
    }
}

/// The subnets of one daemon: those of its networks and the predefined ones.
#[derive(Debug, Clone)]
pub struct Ipam {
    order: PoolOrder,
    /// What IPv6 networks come from where no pool has IPv6.
    ula: Option<IpNet>,
    bases: Vec<Base>,
    /// Round robin: the base and the number of the slot that is tried next.
    cursor: (usize, u128),
    v4: Space,
    v6: Space,
}

/// A predefined pool and the size of its networks.
#[derive(Debug, Clone, Copy)]
struct Base {
    net: IpNet,
    prefix: u8,
}

/// The allocated subnets of one family. `union` covers them all, once; `subnets` counts each.
#[derive(Debug, Clone, Default)]
struct Space {
    union: Runs,
    subnets: BTreeMap<(IpNet, Option<IpNet>), u32>,
    /// How many of the subnets were asked for with a range.
    ranged: usize,
}

impl Space {
    fn add(&mut self, subnet: IpNet, range: Option<IpNet>) {
        let (first, last) = bounds(&subnet);
        self.union.insert(first, last);
        *self.subnets.entry((subnet, range)).or_default() += 1;
        self.ranged += usize::from(range.is_some());
    }

    fn remove(&mut self, subnet: IpNet, range: Option<IpNet>) {
        let Some(count) = self.subnets.get_mut(&(subnet, range)) else { return };
        *count -= 1;
        let overlaps = self.ranged > 0;
        self.ranged -= usize::from(range.is_some());
        if *count > 0 {
            return;
        }
        self.subnets.remove(&(subnet, range));
        let (first, last) = bounds(&subnet);
        self.union.remove(first, last);
        if overlaps {
            // Subnets overlap only through the quirk of ranges; those that are left must stay covered.
            let left: Vec<IpNet> = self.subnets.keys().map(|(net, _)| *net).collect();
            for other in left.into_iter().filter(|other| other.contains(&subnet) || subnet.contains(other)) {
                let (first, last) = bounds(&other);
                self.union.insert(first, last);
            }
        }
    }
}

impl Ipam {
    /// An address space over predefined pools; `None` is Docker's own list.
    pub(super) fn new(order: PoolOrder, pools: &[(IpNet, u8)], ula: Option<IpNet>) -> Self {
        let (v4, v6) = Default::default();
        let mut space = Self { order, ula, bases: Vec::new(), cursor: (0, 0), v4, v6 };
        space.set_pools(pools);
        space
    }

    /// Other predefined pools; what is allocated stays so.
    pub(super) fn set_pools(&mut self, pools: &[(IpNet, u8)]) {
        let own = LOCAL_POOLS.iter().filter_map(|(net, prefix)| Some((net.parse().ok()?, *prefix)));
        let pools: Vec<(IpNet, u8)> = if pools.is_empty() { own.collect() } else { pools.to_vec() };
        let has_v6 = pools.iter().any(|(net, _)| net.addr().is_ipv6());
        let ula = self.ula.filter(|_| !has_v6).map(|net| (net, 64));
        let mut bases: Vec<Base> = pools
            .into_iter()
            .chain(ula)
            .map(|(net, prefix)| Base {
                net: net.trunc(),
                prefix: prefix.clamp(net.prefix_len(), net.max_prefix_len()),
            })
            .collect();
        if self.order == PoolOrder::LowestFree {
            // A pool within another one is dropped.
            bases.sort_by_key(|base| base.net);
            let mut last: Option<IpNet> = None;
            bases.retain(|base| {
                let inside = last.is_some_and(|last| last.contains(&base.net));
                last = last.filter(|_| inside).or(Some(base.net));
                !inside
            });
        }
        self.bases = bases;
        self.rewind();
    }

    /// Takes a free subnet of this prefix length from a predefined pool, whatever size the pool is cut into.
    pub(super) fn request_sized(&mut self, v6: bool, length: u8, exclude: &Runs) -> Result<IpNet, IpamError> {
        let fits = |base: &&Base| {
            base.net.addr().is_ipv6() == v6
                && (base.net.prefix_len()..=base.net.max_prefix_len()).contains(&length)
        };
        let bases: Vec<Base> =
            self.bases.iter().filter(fits).map(|base| Base { prefix: length, ..*base }).collect();
        let space = if v6 { &mut self.v6 } else { &mut self.v4 };
        let subnet = bases.iter().find_map(|base| free_slot(base, 0, &space.union, exclude));
        let (_, subnet) =
            subnet.ok_or(if bases.is_empty() { IpamError::NoSuchSize } else { IpamError::NoPool })?;
        space.add(subnet, None);
        Ok(subnet)
    }

    /// Takes a free predefined subnet that overlaps no number of `exclude` either.
    pub(super) fn request_predefined(&mut self, v6: bool, exclude: &Runs) -> Result<IpNet, IpamError> {
        let count = self.bases.len();
        let (start, first_slot) = match self.order {
            PoolOrder::RoundRobin => self.cursor,
            PoolOrder::LowestFree => (0, 0),
        };
        // The base of the cursor comes again at the end, for the slots before it.
        for step in 0..=count {
            let index = (start + step) % count.max(1);
            let Some(base) = self.bases.get(index) else { break };
            if base.net.addr().is_ipv6() != v6 {
                continue;
            }
            let from = if step == 0 { first_slot } else { 0 };
            let space = if v6 { &self.v6 } else { &self.v4 };
            if let Some((slot, subnet)) = free_slot(base, from, &space.union, exclude) {
                self.cursor = (index, slot + 1);
                if v6 { &mut self.v6 } else { &mut self.v4 }.add(subnet, None);
                return Ok(subnet);
            }
        }
        // libnetwork holds what overlaps the host until it has found something else: the list goes on behind the last.
        if self.order == PoolOrder::RoundRobin
            && let Some((index, slot)) = self.last_excluded(v6, start, first_slot)
        {
            self.cursor = (index, slot + 1);
        }
        Err(IpamError::NoPool)
    }

    /// The last slot from a place on, once around, that only the host keeps from being free.
    fn last_excluded(&self, v6: bool, start: usize, first_slot: u128) -> Option<(usize, u128)> {
        let space = if v6 { &self.v6 } else { &self.v4 };
        let count = self.bases.len();
        let mut last = None;
        for step in 0..=count {
            let index = (start + step) % count.max(1);
            let Some(base) = self.bases.get(index).filter(|base| base.net.addr().is_ipv6() == v6) else {
                continue;
            };
            let mut from = if step == 0 { first_slot } else { 0 };
            while let Some((slot, _)) = free_slot(base, from, &space.union, &Runs::default()) {
                if step == count && slot >= first_slot {
                    break;
                }
                last = Some((index, slot));
                from = slot + 1;
            }
        }
        last
    }

    /// Takes this subnet. A request with a range is checked only against its like, as libnetwork does (moby issue 46756).
    pub(super) fn request(&mut self, subnet: IpNet, range: Option<IpNet>) -> Result<(), IpamError> {
        let (subnet, range) = (subnet.trunc(), range.map(|range| range.trunc()));
        let space = if subnet.addr().is_ipv6() { &mut self.v6 } else { &mut self.v4 };
        let (first, last) = bounds(&subnet);
        let clash = match range {
            Some(_) => space.subnets.contains_key(&(subnet, range)),
            None => space.union.touching(first, last).is_some(),
        };
        if clash {
            return Err(IpamError::Overlap);
        }
        space.add(subnet, range);
        Ok(())
    }

    /// The list of pools is gone through from its beginning again.
    pub(super) fn rewind(&mut self) {
        self.cursor = (0, 0);
    }

    /// Gives a subnet back.
    pub(super) fn release(&mut self, subnet: IpNet, range: Option<IpNet>) {
        let (subnet, range) = (subnet.trunc(), range.map(|range| range.trunc()));
        if subnet.addr().is_ipv6() { &mut self.v6 } else { &mut self.v4 }.remove(subnet, range);
    }

    /// Whether a subnet is allocated, whatever its range.
    pub(super) fn holds(&self, subnet: IpNet) -> bool {
        let space = if subnet.addr().is_ipv6() { &self.v6 } else { &self.v4 };
        let mut same = space.subnets.range((subnet, None)..).take_while(|((net, _), _)| *net == subnet);
        same.next().is_some()
    }

    /// Whether no subnet is allocated.
    pub fn is_empty(&self) -> bool {
        self.v4.subnets.is_empty() && self.v6.subnets.is_empty()
    }
}

/// The first free slot of a base from `from` on.
fn free_slot(base: &Base, from: u128, taken: &Runs, exclude: &Runs) -> Option<(u128, IpNet)> {
    let (first, last) = bounds(&base.net);
    let size = 1u128.checked_shl(u32::from(base.net.max_prefix_len() - base.prefix))?;
    let mut slot = from;
    loop {
        let start = slot.checked_mul(size).and_then(|offset| first.checked_add(offset))?;
        let end = start.checked_add(size - 1).filter(|end| *end <= last)?;
        match [taken, exclude].iter().filter_map(|runs| runs.touching(start, end)).map(|(_, to)| to).max() {
            None => return Some((slot, IpNet::new(address(start, base.net.addr()), base.prefix).ok()?)),
            // The first slot behind the one in which the run ends.
            Some(to) => slot = (to - first) / size + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn predefined(ipam: &mut Ipam, exclude: &Runs) -> String {
        match ipam.request_predefined(false, exclude) {
            Ok(net) => net.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_list_has_31_pools_in_order() {
        for order in [PoolOrder::RoundRobin, PoolOrder::LowestFree] {
            let mut ipam = Ipam::new(order, &[], None);
            let none = Runs::default();
            let all: Vec<String> = (0..31).map(|_| predefined(&mut ipam, &none)).collect();
            assert_eq!(all[..3], ["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"]);
            assert_eq!(all[14..17], ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]);
            assert_eq!(all[30], "192.168.240.0/20");
            assert_eq!(predefined(&mut ipam, &none), "no free predefined pool");
            ipam.release(net("172.22.0.0/16"), None);
            assert_eq!(predefined(&mut ipam, &none), "172.22.0.0/16");
        }
    }

    #[test]
    fn pools_within_another_one_are_dropped_since_27() {
        let pools = [(net("10.1.0.0/24"), 24), (net("10.0.0.0/15"), 16), (net("10.0.0.0/24"), 28)];
        let mut ipam = Ipam::new(PoolOrder::LowestFree, &pools, None);
        let none = Runs::default();
        let all: Vec<String> = (0..3).map(|_| predefined(&mut ipam, &none)).collect();
        assert_eq!(all, ["10.0.0.0/16", "10.1.0.0/16", "no free predefined pool"]);
        let mut ipam = Ipam::new(PoolOrder::RoundRobin, &pools, None);
        assert_eq!(predefined(&mut ipam, &none), "10.1.0.0/24");
    }

    #[test]
    fn a_freed_pool_waits_for_the_wrap_in_20_10_only() {
        for (order, next) in
            [(PoolOrder::RoundRobin, "172.20.0.0/16"), (PoolOrder::LowestFree, "172.18.0.0/16")]
        {
            let mut ipam = Ipam::new(order, &[], None);
            for _ in 0..3 {
                predefined(&mut ipam, &Runs::default());
            }
            ipam.release(net("172.18.0.0/16"), None);
            assert_eq!(predefined(&mut ipam, &Runs::default()), next);
        }
    }

    #[test]
    fn host_networks_are_passed_over() {
        let mut exclude = Runs::default();
        for host in ["172.18.5.0/24", "192.168.50.0/24"] {
            let (first, last) = bounds(&net(host));
            exclude.insert(first, last);
        }
        for order in [PoolOrder::RoundRobin, PoolOrder::LowestFree] {
            let mut ipam = Ipam::new(order, &[], None);
            let all: Vec<String> = (0..29).map(|_| predefined(&mut ipam, &exclude)).collect();
            assert_eq!(all[..2], ["172.17.0.0/16", "172.19.0.0/16"]);
            assert!(!all.contains(&"192.168.48.0/20".to_owned()));
            assert!(
                all.contains(&"192.168.32.0/20".to_owned()) && all.contains(&"192.168.64.0/20".to_owned())
            );
            assert_eq!(predefined(&mut ipam, &exclude), "no free predefined pool");
        }
    }

    #[test]
    fn a_size_is_taken_out_of_any_pool_that_has_room() {
        let mut ipam =
            Ipam::new(PoolOrder::LowestFree, &[(net("10.0.0.0/24"), 26), (net("10.1.0.0/16"), 24)], None);
        let none = Runs::default();
        assert_eq!(ipam.request_sized(false, 25, &none), Ok(net("10.0.0.0/25")));
        assert_eq!(ipam.request_predefined(false, &none), Ok(net("10.0.0.128/26")));
        assert_eq!(ipam.request_sized(false, 25, &none), Ok(net("10.1.0.0/25")));
        assert_eq!(ipam.request_sized(false, 16, &none), Err(IpamError::NoPool));
        assert_eq!(ipam.request_sized(false, 8, &none), Err(IpamError::NoSuchSize));
        assert_eq!(ipam.request_sized(true, 64, &none), Err(IpamError::NoSuchSize));
        ipam.release(net("10.0.0.0/25"), None);
        assert_eq!(ipam.request_sized(false, 32, &none), Ok(net("10.0.0.0/32")));
    }

    #[test]
    fn overlap_is_refused_unless_there_is_a_range() {
        let mut ipam = Ipam::new(PoolOrder::LowestFree, &[], None);
        assert_eq!(ipam.request(net("10.20.0.0/16"), None), Ok(()));
        assert_eq!(ipam.request(net("10.20.5.0/24"), None), Err(IpamError::Overlap));
        assert_eq!(ipam.request(net("10.0.0.0/8"), None), Err(IpamError::Overlap));
        assert_eq!(ipam.request(net("10.20.5.0/24"), Some(net("10.20.5.0/28"))), Ok(()));
        assert_eq!(ipam.request(net("10.20.5.0/24"), Some(net("10.20.5.0/28"))), Err(IpamError::Overlap));
        ipam.release(net("10.20.5.0/24"), Some(net("10.20.5.0/28")));
        assert_eq!(ipam.request(net("10.20.5.0/24"), None), Err(IpamError::Overlap));
        ipam.release(net("10.20.0.0/16"), None);
        assert!(ipam.is_empty());
    }

    #[test]
    fn addresses_are_first_fit_and_the_range_base_is_used() {
        let mut pool = Pool::new(net("172.28.0.0/16"), Some(net("172.28.5.0/24")), Allocator::AddressSet);
        assert_eq!(pool.allocate(), Ok(ip("172.28.5.0")));
        assert_eq!(pool.allocate(), Ok(ip("172.28.5.1")));
        assert_eq!(pool.claim(ip("172.28.9.9")), Ok(()));
        pool.release(ip("172.28.5.0"));
        assert_eq!(pool.allocate(), Ok(ip("172.28.5.0")));
        assert_eq!(pool.claim(ip("172.28.0.0")), Err(IpamError::Taken));
        assert_eq!(pool.claim(ip("172.28.255.255")), Err(IpamError::Taken));
        assert_eq!(pool.claim(ip("172.29.0.1")), Err(IpamError::Outside));
        // Of a range elsewhere 20.10 takes the host part.
        let elsewhere =
            |allocator| Pool::new(net("172.17.0.0/16"), Some(net("1.2.3.0/24")), allocator).allocate();
        assert_eq!(elsewhere(Allocator::BitSequence), Ok(ip("172.17.3.0")));
        assert_eq!(elsewhere(Allocator::AddressSet), Ok(ip("172.17.0.1")));
        let mut wide = Pool::new(net("172.17.0.0/16"), Some(net("10.0.0.0/8")), Allocator::BitSequence);
        assert_eq!(wide.allocate(), Ok(ip("172.17.0.1")));
        let mut tiny = Pool::new(net("10.0.0.0/30"), None, Allocator::AddressSet);
        assert_eq!(tiny.allocate(), Ok(ip("10.0.0.1")));
        assert_eq!(tiny.allocate(), Ok(ip("10.0.0.2")));
        assert_eq!(tiny.allocate(), Err(IpamError::Full));
        assert_eq!(
            Pool::new(net("10.0.0.0/31"), None, Allocator::BitSequence).allocate(),
            Err(IpamError::Full)
        );
        assert_eq!(Pool::new(net("10.0.0.0/31"), None, Allocator::AddressSet).allocate(), Ok(ip("10.0.0.0")));
        let mut v6 = Pool::new(net("fd00::/64"), None, Allocator::AddressSet);
        assert_eq!(v6.allocate(), Ok(ip("fd00::1")));
    }

    #[test]
    fn a_large_base_is_cut_quickly_and_kept_small() {
        for order in [PoolOrder::RoundRobin, PoolOrder::LowestFree] {
            let mut ipam = Ipam::new(order, &[(net("10.0.0.0/8"), 24)], None);
            for _ in 0..65_536 {
                ipam.request_predefined(false, &Runs::default()).unwrap();
            }
            assert_eq!(ipam.v4.union.runs.len(), 1);
            assert_eq!(ipam.request_predefined(false, &Runs::default()), Err(IpamError::NoPool));
        }
        let mut pool = Pool::new(net("10.0.0.0/8"), None, Allocator::AddressSet);
        for _ in 0..100_000 {
            pool.allocate().unwrap();
        }
        assert_eq!(pool.taken.runs.len(), 2);
    }

    proptest! {
        #[test]
        fn runs_agree_with_a_set(steps in proptest::collection::vec((any::<bool>(), 0u128..40, 0u128..6), 0..60)) {
            let mut runs = Runs::default();
            let mut set = std::collections::BTreeSet::new();
            for (add, first, length) in steps {
                if add { runs.insert(first, first + length) } else { runs.remove(first, first + length) }
                for value in first..=first + length {
                    if add { set.insert(value); } else { set.remove(&value); }
                }
                for value in 0..50 {
                    prop_assert_eq!(runs.touching(value, value).is_some(), set.contains(&value));
                }
                let free = (0..50).find(|value| !set.contains(value));
                prop_assert_eq!(runs.lowest_free(0, 49), free);
                let ends: Vec<_> = runs.runs.iter().map(|(a, b)| (*a, *b)).collect();
                prop_assert!(ends.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }
}
