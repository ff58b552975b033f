//! The forwarding database: which port an Ethernet address was last seen on.
//!
//! It follows the Linux bridge's table. Every frame's source is learned; an address seen on another port
//! moves there at once; an entry not refreshed for the ageing time is no longer used and is collected.
//! Entries that somebody configured never age and never move: permanent ones are addresses of the bridge
//! itself, static ones belong to a port (as `bridge fdb add ... static sticky`). An address is looked up
//! together with its VLAN.
//!
//! Limits: at most [`FdbConfig::limit`] learned entries. When the table is full, expired entries are
//! collected; if that frees nothing the new address is not learned, which is counted, and frames to it are
//! flooded (Linux `fdb_max_learned`). Configured entries do not count. The hash is fast and unseeded, so
//! equal runs are equal; someone choosing addresses to collide makes lookups slow, bounded by the limit.

use std::time::Duration;

use crate::bridge::PortId;
use crate::mac::{MacAddress, MacKey};
use crate::table::Table;
use crate::vlan::VlanId;

/// How the table learns and forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbConfig {
    /// How long an entry lives without being refreshed. Default 300 s (Linux `ageing_time`).
    pub ageing: Duration,
    /// Learned entries at most. Default 16,384.
    pub limit: usize,
}

impl Default for FdbConfig {
    fn default() -> FdbConfig {
        FdbConfig { ageing: Duration::from_secs(300), limit: 16_384 }
    }
}

/// Where frames to an address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FdbTarget {
    /// To the bridge's own network stack.
    Local,
    /// Out of a port.
    Port(PortId),
}

/// What learning a frame's source did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The address is new.
    New,
    /// The address was known on this port.
    Refreshed,
    /// The address was on another port and moved.
    Moved {
        /// Where it was.
        from: PortId,
    },
    /// The address is static or permanent; the entry stays as it is.
    Configured,
    /// The table is full and the address is not in it.
    Full,
}

/// One entry, as `bridge fdb show` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbEntry {
    /// The address.
    pub address: MacAddress,
    /// Its VLAN, on a bridge that tells VLANs apart.
    pub vlan: Option<VlanId>,
    /// Where frames to it go.
    pub target: FdbTarget,
    /// How the entry came to be.
    pub state: FdbState,
}

/// How an entry came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FdbState {
    /// Learned from a frame.
    Learned {
        /// Time since the last frame from the address.
        age: Duration,
    },
    /// Configured for a port.
    Static,
    /// An address of the bridge itself.
    Permanent,
}

/// The table.
#[derive(Debug)]
pub struct Fdb {
    entries: Table<Entry>,
    config: FdbConfig,
    learned: usize,
    moves: u64,
    not_learned: u64,
    /// Nothing expires before this instant, so a full table need not be searched sooner.
    nothing_expires_before: u64,
    /// [`FdbConfig::ageing`] in nanoseconds.
    ageing: u64,
    /// What was ever put on each port, so that a port leaves without a search through the others' entries.
    ports: Vec<PortKeys>,
}

/// Keys of entries that are, or were, on one port.
#[derive(Debug, Default)]
struct PortKeys {
    keys: Vec<u64>,
    /// How many were left when those that had moved away were last struck off.
    kept: usize,
}

/// The address ([`MacAddress::key`]) in the low 48 bits, the VLAN (0 for none) above.
#[derive(Clone, Copy)]
struct Key(u64);

/// Instants are nanoseconds here, which compare faster than `Duration` and reach 584 years.
#[derive(Clone, Copy, Debug, Default)]
enum Entry {
    Learned {
        port: PortId,
        updated: u64,
    },
    Static {
        port: PortId,
    },
    #[default]
    Permanent,
}

impl Fdb {
    /// An empty table.
    pub fn new(config: FdbConfig) -> Fdb {
        Fdb {
            entries: Table::new(),
            config,
            learned: 0,
            moves: 0,
            not_learned: 0,
            nothing_expires_before: 0,
            ageing: nanoseconds(config.ageing),
            ports: Vec::new(),
        }
    }

    /// Notes that a frame from `address` came in on `port`. The caller has checked that the address is a
    /// valid source.
    #[inline]
    pub fn learn(
        &mut self,
        now: Duration,
        address: MacAddress,
        vlan: Option<VlanId>,
        port: PortId,
    ) -> Learned {
        self.learn_at(nanoseconds(now), address.key(), vlan, port)
    }

    /// [`Fdb::learn`] at a time in nanoseconds. What nearly every frame does, refresh an entry, is inline.
    #[inline(always)]
    pub(crate) fn learn_at(
        &mut self,
        now: u64,
        address: MacKey,
        vlan: Option<VlanId>,
        port: PortId,
    ) -> Learned {
        let key = Key::new(address, vlan);
        if let Some(Entry::Learned { port: known, updated }) = self.entries.get_mut(key.0)
            && *known == port
            && now.saturating_sub(*updated) < self.ageing
        {
            *updated = now;
            return Learned::Refreshed;
        }
        self.learn_change(now, key, port)
    }

    /// Where frames to `address` go; `None` if it is unknown or its entry has expired.
    #[inline]
    pub fn lookup(&self, now: Duration, address: MacAddress, vlan: Option<VlanId>) -> Option<FdbTarget> {
        self.lookup_at(nanoseconds(now), address.key(), vlan)
    }

    /// [`Fdb::lookup`] at a time in nanoseconds.
    #[inline]
    pub(crate) fn lookup_at(&self, now: u64, address: MacKey, vlan: Option<VlanId>) -> Option<FdbTarget> {
        match *self.entries.get(Key::new(address, vlan).0)? {
            Entry::Learned { port, updated } if now.saturating_sub(updated) < self.ageing => {
                Some(FdbTarget::Port(port))
            }
            Entry::Learned { .. } => None,
            Entry::Static { port } => Some(FdbTarget::Port(port)),
            Entry::Permanent => Some(FdbTarget::Local),
        }
    }

    /// Makes `address` one of the bridge's own, replacing what was known of it.
    pub fn add_permanent(&mut self, address: MacAddress, vlan: Option<VlanId>) {
        self.configure(Key::new(address.key(), vlan), Entry::Permanent);
    }

    /// Ties `address` to `port`, replacing what was known of it.
    pub fn add_static(&mut self, address: MacAddress, vlan: Option<VlanId>, port: PortId) {
        self.configure(Key::new(address.key(), vlan), Entry::Static { port });
    }

    /// Forgets `address`, however it was known. Returns whether it was.
    pub fn remove(&mut self, address: MacAddress, vlan: Option<VlanId>) -> bool {
        let removed = self.entries.remove(Key::new(address.key(), vlan).0);
        self.learned -= usize::from(matches!(removed, Some(Entry::Learned { .. })));
        removed.is_some()
    }

    /// Forgets every entry of `port`, static ones too: the port is gone.
    pub fn remove_port(&mut self, port: PortId) {
        for key in self.take_keys(port) {
            if self.is_on(key, port) {
                let removed = self.entries.remove(key);
                self.learned -= usize::from(matches!(removed, Some(Entry::Learned { .. })));
            }
        }
    }

    /// Forgets what was learned on `port`, or on every port (`bridge fdb flush`).
    pub fn flush_learned(&mut self, port: Option<PortId>) {
        let Some(port) = port else {
            return self.retain(|entry| !matches!(entry, Entry::Learned { .. }));
        };
        for key in self.take_keys(port) {
            match self.entries.get(key) {
                Some(Entry::Learned { port: known, .. }) if *known == port => {
                    self.entries.remove(key);
                    self.learned -= 1;
                }
                Some(Entry::Static { port: known }) if *known == port => self.note(key, port),
                _ => {}
            }
        }
    }

    /// Removes expired entries. Lookups never use them; this only frees their room.
    pub fn collect(&mut self, now: Duration) {
        self.collect_at(nanoseconds(now));
    }

    fn collect_at(&mut self, now: u64) {
        if now < self.nothing_expires_before {
            return;
        }
        let ageing = self.ageing;
        let mut oldest = now;
        self.retain(|entry| match *entry {
            Entry::Learned { updated, .. } => {
                let keep = now.saturating_sub(updated) < ageing;
                if keep {
                    oldest = oldest.min(updated);
                }
                keep
            }
            Entry::Static { .. } | Entry::Permanent => true,
        });
        self.nothing_expires_before = oldest.saturating_add(ageing);
    }

    /// Every entry in use, by address, then VLAN.
    pub fn entries(&self, now: Duration) -> Vec<FdbEntry> {
        // The order of the table cannot be seen: keys are unique and the list is sorted by them.
        let mut list: Vec<FdbEntry> =
            self.entries.iter().filter_map(|(key, entry)| self.present(now, Key(key), entry)).collect();
        list.sort_unstable_by_key(|entry| (entry.address, entry.vlan));
        list
    }

    /// Entries held, expired ones that were not collected included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// How often an address was seen on another port than before.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// How often a new address was not learned because the table was full.
    pub fn not_learned(&self) -> u64 {
        self.not_learned
    }

    /// How the table learns and forgets.
    pub fn config(&self) -> FdbConfig {
        self.config
    }

    /// Changes how the table learns and forgets; known entries age by the new time. A lower limit removes
    /// nothing.
    pub fn set_config(&mut self, config: FdbConfig) {
        self.config = config;
        self.ageing = nanoseconds(config.ageing);
        self.nothing_expires_before = 0;
    }

    /// Learns what is not a refreshment of the entry.
    #[cold]
    fn learn_change(&mut self, now: u64, key: Key, port: PortId) -> Learned {
        match self.entries.get_mut(key.0) {
            Some(Entry::Learned { port: known, updated }) => {
                let expired = now.saturating_sub(*updated) >= self.ageing;
                *updated = now;
                let from = std::mem::replace(known, port);
                if from != port {
                    self.note(key.0, port);
                }
                if expired {
                    return Learned::New;
                }
                self.moves += 1;
                Learned::Moved { from }
            }
            Some(Entry::Static { .. } | Entry::Permanent) => Learned::Configured,
            None => self.learn_new(now, key, port),
        }
    }

    fn learn_new(&mut self, now: u64, key: Key, port: PortId) -> Learned {
        if self.learned >= self.config.limit {
            self.collect_at(now);
        }
        if self.learned >= self.config.limit {
            self.not_learned += 1;
            return Learned::Full;
        }
        self.entries.insert(key.0, Entry::Learned { port, updated: now });
        self.note(key.0, port);
        self.learned += 1;
        Learned::New
    }

    fn configure(&mut self, key: Key, entry: Entry) {
        let replaced = self.entries.insert(key.0, entry);
        if let Entry::Static { port } = entry {
            self.note(key.0, port);
        }
        self.learned -= usize::from(matches!(replaced, Some(Entry::Learned { .. })));
    }

    /// An entry has come to a port. Stations that move to and fro do not make the list longer for ever.
    fn note(&mut self, key: u64, port: PortId) {
        let at = usize::from(port.0);
        if self.ports.len() <= at {
            self.ports.resize_with(at + 1, PortKeys::default);
        }
        self.ports[at].keys.push(key);
        if self.ports[at].keys.len() >= 2 * self.ports[at].kept + 16 {
            let mut keys = self.take_keys(port);
            keys.sort_unstable();
            keys.dedup();
            keys.retain(|key| self.is_on(*key, port));
            self.ports[at] = PortKeys { kept: keys.len(), keys };
        }
    }

    fn take_keys(&mut self, port: PortId) -> Vec<u64> {
        self.ports.get_mut(usize::from(port.0)).map(|port| std::mem::take(port).keys).unwrap_or_default()
    }

    fn is_on(&self, key: u64, port: PortId) -> bool {
        match self.entries.get(key) {
            Some(Entry::Learned { port: known, .. } | Entry::Static { port: known }) => *known == port,
            Some(Entry::Permanent) | None => false,
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let mut learned = 0;
        self.entries.retain(|entry| {
            let kept = keep(entry);
            learned += usize::from(kept && matches!(entry, Entry::Learned { .. }));
            kept
        });
        self.learned = learned;
    }

    fn present(&self, now: Duration, key: Key, entry: Entry) -> Option<FdbEntry> {
        let (target, state) = match entry {
            Entry::Learned { port, updated } => {
                let age = nanoseconds(now).saturating_sub(updated);
                if age >= self.ageing {
                    return None;
                }
                let age = Duration::from_nanos(age);
                (FdbTarget::Port(port), FdbState::Learned { age })
            }
            Entry::Static { port } => (FdbTarget::Port(port), FdbState::Static),
            Entry::Permanent => (FdbTarget::Local, FdbState::Permanent),
        };
        let vlan = VlanId::new((key.0 >> 48) as u16).ok();
        Some(FdbEntry { address: MacAddress::from_key(key.0), vlan, target, state })
    }
}

impl Key {
    #[inline]
    fn new(address: MacKey, vlan: Option<VlanId>) -> Key {
        Key(u64::from(vlan.map_or(0, VlanId::get)) << 48 | address.0)
    }
}

/// An instant or a span as a number, which compares faster than a `Duration`; it ends after 584 years.
#[inline]
pub fn nanoseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(time.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mac(last: u8) -> MacAddress {
        MacAddress([2, 0x42, 0xac, 0x11, 0, last])
    }

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn learns_refreshes_moves_and_forgets() {
        let mut fdb = Fdb::new(FdbConfig::default());
        assert_eq!(fdb.lookup(secs(0), mac(1), None), None);
        assert_eq!(fdb.learn(secs(0), mac(1), None, PortId(1)), Learned::New);
        assert_eq!(fdb.learn(secs(200), mac(1), None, PortId(1)), Learned::Refreshed);
        assert_eq!(fdb.learn(secs(200), mac(1), None, PortId(2)), Learned::Moved { from: PortId(1) });
        assert_eq!(fdb.lookup(secs(499), mac(1), None), Some(FdbTarget::Port(PortId(2))));
        assert_eq!(fdb.lookup(secs(500), mac(1), None), None);
        assert_eq!((fdb.moves(), fdb.len()), (1, 1));
        fdb.collect(secs(500));
        assert!(fdb.is_empty());
    }

    #[test]
    fn an_expired_entry_counts_as_new() {
        let mut fdb = Fdb::new(FdbConfig::default());
        fdb.learn(secs(0), mac(1), None, PortId(1));
        assert_eq!(fdb.learn(secs(300), mac(1), None, PortId(2)), Learned::New);
        assert_eq!((fdb.moves(), fdb.len()), (0, 1));
        assert_eq!(fdb.lookup(secs(300), mac(1), None), Some(FdbTarget::Port(PortId(2))));
    }

    #[test]
    fn vlans_are_apart() {
        let mut fdb = Fdb::new(FdbConfig::default());
        let vlan = VlanId::new(7).ok();
        fdb.learn(secs(0), mac(1), vlan, PortId(1));
        assert_eq!(fdb.lookup(secs(0), mac(1), None), None);
        assert_eq!(fdb.lookup(secs(0), mac(1), vlan), Some(FdbTarget::Port(PortId(1))));
        assert_eq!(fdb.entries(secs(0))[0].vlan, vlan);
    }

    #[test]
    fn configured_entries_neither_move_nor_age() {
        let mut fdb = Fdb::new(FdbConfig::default());
        fdb.learn(secs(0), mac(1), None, PortId(3));
        fdb.add_permanent(mac(1), None);
        fdb.add_static(mac(2), None, PortId(1));
        assert_eq!(fdb.learn(secs(1), mac(1), None, PortId(3)), Learned::Configured);
        assert_eq!(fdb.learn(secs(1), mac(2), None, PortId(3)), Learned::Configured);
        fdb.collect(secs(10_000));
        assert_eq!(fdb.lookup(secs(10_000), mac(1), None), Some(FdbTarget::Local));
        assert_eq!(fdb.lookup(secs(10_000), mac(2), None), Some(FdbTarget::Port(PortId(1))));
        fdb.flush_learned(None);
        assert_eq!(fdb.len(), 2);
        fdb.remove_port(PortId(1));
        assert!(fdb.remove(mac(1), None) && !fdb.remove(mac(1), None));
        assert!(fdb.is_empty());
    }

    #[test]
    fn a_full_table_learns_again_when_entries_expire() {
        let mut fdb = Fdb::new(FdbConfig { limit: 2, ..FdbConfig::default() });
        fdb.add_permanent(mac(9), None);
        fdb.learn(secs(0), mac(1), None, PortId(1));
        fdb.learn(secs(100), mac(2), None, PortId(1));
        assert_eq!(fdb.learn(secs(299), mac(3), None, PortId(1)), Learned::Full);
        assert_eq!(fdb.learn(secs(300), mac(3), None, PortId(1)), Learned::New);
        assert_eq!(fdb.learn(secs(300), mac(4), None, PortId(1)), Learned::Full);
        assert_eq!(fdb.learn(secs(400), mac(4), None, PortId(1)), Learned::New);
        assert_eq!((fdb.not_learned(), fdb.len()), (2, 3));
    }

    #[test]
    fn the_list_is_sorted_and_leaves_expired_entries_out() {
        let mut fdb = Fdb::new(FdbConfig::default());
        for last in [9, 3, 7] {
            fdb.learn(secs(u64::from(last)), mac(last), None, PortId(1));
        }
        fdb.add_permanent(mac(5), None);
        let addresses: Vec<_> = fdb.entries(secs(305)).iter().map(|entry| entry.address).collect();
        assert_eq!(addresses, [mac(5), mac(7), mac(9)]);
        assert_eq!(fdb.entries(secs(305))[1].state, FdbState::Learned { age: secs(298) });
    }

    #[test]
    fn flushing_one_port_leaves_the_others() {
        let mut fdb = Fdb::new(FdbConfig { limit: 2, ..FdbConfig::default() });
        fdb.learn(secs(0), mac(1), None, PortId(1));
        fdb.learn(secs(0), mac(2), None, PortId(2));
        fdb.flush_learned(Some(PortId(1)));
        assert_eq!(fdb.lookup(secs(0), mac(1), None), None);
        assert_eq!(fdb.learn(secs(0), mac(3), None, PortId(2)), Learned::New);
        assert_eq!(fdb.len(), 2);
    }
}
