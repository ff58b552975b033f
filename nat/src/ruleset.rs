//! Tables, chains and their rules for one address family, with counters and every mutation that `iptables` knows.
//!
//! The checks are those of the Linux kernel as iptables 1.8.9 (nf_tables) meets them: a target is checked against its
//! table when the rule is added and against the hooks when its chain is reached from a built-in chain; a loop of
//! jumps or a nesting deeper than [`MAX_DEPTH`] is refused once a built-in chain reaches it. A mutation that fails
//! changes nothing. Rules are removed by [`RuleId`]; ids are never used again.
//!
//! A host may have a hundred thousand rules and ten thousand namespaces a handful, so nothing here walks many rules: a
//! rule of many is found by its id (`places`), a packet meets only those rules of a long chain that can match it
//! (`index`), what the checks need is counted there (`digest`), a table that nobody changed is shared with every other
//! such table (`table`), and equal rules can be one value. Where there are few rules, none of this is kept.

mod chain;
mod counted;
mod digest;
mod error;
mod index;
#[cfg(test)]
mod index_tests;
mod places;
mod table;

use std::sync::Arc;

use crate::rule::{Family, Match, Rule, Target};
use crate::target_check::fits;

pub use chain::{Chain, Entry};
pub(crate) use counted::Counted;
pub use error::{Operation, RulesetError};
use places::{FEW_RULES, Place, Places};
use table::{Fault, SharedTable, TableData};

/// How many chains a packet can be inside at once (NFT_JUMP_STACK_SIZE of the kernel).
pub const MAX_DEPTH: usize = 16;

/// The four tables, in the order in which a hook runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Before connection tracking.
    Raw,
    /// Changes of the packet.
    Mangle,
    /// Address translation; consulted for the first packet of a flow only. On Prerouting and Output it translates
    /// destinations, on Input and Postrouting sources, and then runs after `filter`.
    Nat,
    /// Accepts and drops.
    Filter,
}

impl Table {
    /// All tables.
    pub const ALL: [Table; 4] = [Table::Raw, Table::Mangle, Table::Nat, Table::Filter];

    /// The table's name.
    pub fn name(self) -> &'static str {
        match self {
            Table::Raw => "raw",
            Table::Mangle => "mangle",
            Table::Nat => "nat",
            Table::Filter => "filter",
        }
    }

    /// The tables that have a chain at `hook`, in the order a packet meets them (`nf_ip_hook_priorities`).
    pub fn at(hook: Hook) -> &'static [Table] {
        match hook {
            Hook::Prerouting => &[Table::Raw, Table::Mangle, Table::Nat],
            Hook::Input => &[Table::Mangle, Table::Filter, Table::Nat],
            Hook::Forward => &[Table::Mangle, Table::Filter],
            Hook::Output => &[Table::Raw, Table::Mangle, Table::Nat, Table::Filter],
            Hook::Postrouting => &[Table::Mangle, Table::Nat],
        }
    }
}

/// The five places in the path of a packet where tables run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Hook {
    /// Received, before routing.
    Prerouting,
    /// Routed to this host.
    Input,
    /// Routed through this host.
    Forward,
    /// Sent by this host.
    Output,
    /// About to leave, after routing.
    Postrouting,
}

impl Hook {
    /// All hooks, in the order in which listings show the built-in chains.
    pub const ALL: [Hook; 5] =
        [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

    /// The name of the built-in chain.
    pub fn chain_name(self) -> &'static str {
        match self {
            Hook::Prerouting => "PREROUTING",
            Hook::Input => "INPUT",
            Hook::Forward => "FORWARD",
            Hook::Output => "OUTPUT",
            Hook::Postrouting => "POSTROUTING",
        }
    }
}

/// What a built-in chain does with a packet that no rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Passes.
    Accept,
    /// Is discarded.
    Drop,
}

/// The identity of a rule within its rule set; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u64);

/// Whoever put a rule in, so that its rules can be taken out again together. The number's meaning is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleOwner(pub u64);

/// How many packets met a rule or a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Their IP length in bytes.
    pub bytes: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, length: u16) {
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(u64::from(length));
    }
}

/// The rules of one address family. A clone shares the tables that nobody has changed.
#[derive(Debug, Clone)]
pub struct RuleSet {
    family: Family,
    tables: [SharedTable; 4],
    /// Where rules stand, once there are more than a few.
    places: Option<Box<Places>>,
    next_id: u64,
    /// How many rules need connections to be tracked, and how many translate.
    tracking: u32,
    translating: u32,
}

impl RuleSet {
    /// The empty rule set: the built-in chains with policy ACCEPT.
    pub fn new(family: Family) -> RuleSet {
        let tables = Table::ALL.map(|table| SharedTable::Shared(Arc::new(TableData::new(table))));
        RuleSet { family, tables, places: None, next_id: 1, tracking: 0, translating: 0 }
    }

    /// The address family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether a packet at `hook` of `table` can meet anything but an accepting policy.
    pub fn has_rules(&self, table: Table, hook: Hook) -> bool {
        let data = self.data(table);
        data.base(hook)
            .and_then(|slot| data.chains[slot].as_ref())
            .is_some_and(|chain| !chain.rules().is_empty() || chain.policy == Policy::Drop)
    }

    /// Whether a rule needs connections to be tracked.
    pub(crate) fn needs_tracking(&self) -> bool {
        self.tracking > 0 || self.translating > 0
    }

    /// Whether there are rules in the nat table.
    pub(crate) fn translates(&self) -> bool {
        self.translating > 0
    }

    /// The chains of a table: built-in ones in hook order, then the others by name.
    pub fn chains(&self, table: Table) -> Vec<&Chain> {
        let mut chains: Vec<&Chain> = self.data(table).chains.iter().flatten().collect();
        chains.sort_by(|a, b| match (a.hook, b.hook) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => a.name.cmp(&b.name),
        });
        chains
    }

    /// A chain by name.
    pub fn chain(&self, table: Table, name: &str) -> Option<&Chain> {
        let data = self.data(table);
        data.slot(name).and_then(|slot| data.chains[slot].as_ref())
    }

    /// How many rules of the table jump or go to the chain.
    pub fn references(&self, table: Table, name: &str) -> usize {
        let data = self.data(table);
        data.slot(name).map_or(0, |slot| data.references(slot))
    }

    /// A rule by identity, with its table, chain and 1-based number.
    pub fn find(&self, id: RuleId) -> Option<(Table, &Chain, usize, &Entry)> {
        let Place { table, slot, order } = self.place(id)?;
        let chain = self.data(table).chains.get(slot as usize)?.as_ref()?;
        let position = chain.position(order, id)?;
        Some((table, chain, position + 1, chain.rules().get(position)?))
    }

    /// `-A`: puts the rule behind the last. Rules that are one value stay so.
    pub fn append(
        &mut self,
        table: Table,
        chain: &str,
        rule: impl Into<Arc<Rule>>,
        owner: Option<RuleOwner>,
    ) -> Result<RuleId, RulesetError> {
        let position = self.chain(table, chain).ok_or(RulesetError::NoChain)?.rules().len();
        self.add(table, chain, position, rule.into(), owner, Operation::Append)
    }

    /// `-I`: puts the rule at the 1-based `number`, which may be one past the last.
    pub fn insert(
        &mut self,
        table: Table,
        chain: &str,
        number: usize,
        rule: impl Into<Arc<Rule>>,
        owner: Option<RuleOwner>,
    ) -> Result<RuleId, RulesetError> {
        let length = self.chain(table, chain).ok_or(RulesetError::NoChain)?.rules().len();
        match number.checked_sub(1) {
            Some(position) if position <= length => {
                self.add(table, chain, position, rule.into(), owner, Operation::Insert)
            }
            _ => Err(RulesetError::InsertionIndex),
        }
    }

    /// `-R`: puts a new rule, with a new id and zero counters, in the place of the 1-based `number`.
    pub fn replace(
        &mut self,
        table: Table,
        chain: &str,
        number: usize,
        rule: impl Into<Arc<Rule>>,
        owner: Option<RuleOwner>,
    ) -> Result<RuleId, RulesetError> {
        let length = self.chain(table, chain).ok_or(RulesetError::NoChain)?.rules().len();
        let position = number.checked_sub(1).filter(|p| *p < length).ok_or(RulesetError::ReplacementIndex)?;
        self.add(table, chain, position, rule.into(), owner, Operation::Replace)
    }

    /// Sets a rule's counters. False if there is no such rule.
    pub fn set_counters(&mut self, id: RuleId, counters: Counters) -> bool {
        let Some(Place { table, slot, order }) = self.place(id) else { return false };
        let Some(Some(chain)) = self.data_mut(table).chains.get_mut(slot as usize) else { return false };
        let position = chain.position(order, id);
        let Some(entry) = position.and_then(|position| chain.entry_mut(position)) else { return false };
        entry.counters = counters;
        true
    }

    /// Deletes the rule with this identity. False if there is none.
    pub fn delete_id(&mut self, id: RuleId) -> bool {
        let Some(Place { table, slot, order }) = self.place(id) else { return false };
        let chain = self.data(table).chains.get(slot as usize).and_then(Option::as_ref);
        let position = chain.and_then(|chain| chain.position(order, id));
        position.is_some_and(|position| self.take_out(table, slot as usize, position))
    }

    /// Deletes every rule of an owner and says how many.
    pub fn delete_owner(&mut self, owner: RuleOwner) -> usize {
        let tables = Table::ALL.into_iter().flat_map(|table| self.data(table).chains.iter().flatten());
        let own = tables.flat_map(Chain::rules).filter(|entry| entry.owner == Some(owner));
        let ids: Vec<RuleId> = own.map(|entry| entry.id).collect();
        ids.into_iter().filter(|id| self.delete_id(*id)).count()
    }

    /// `-D chain number`: deletes by 1-based number.
    pub fn delete_number(&mut self, table: Table, chain: &str, number: usize) -> Result<(), RulesetError> {
        let slot = self.data(table).slot(chain).ok_or(RulesetError::NoChain)?;
        let position = number.checked_sub(1).ok_or(RulesetError::DeletionIndex)?;
        if self.take_out(table, slot, position) { Ok(()) } else { Err(RulesetError::DeletionIndex) }
    }

    /// `-D chain specification`: deletes the first rule that equals `rule`.
    pub fn delete_rule(&mut self, table: Table, chain: &str, rule: &Rule) -> Result<(), RulesetError> {
        let number = self.check(table, chain, rule)?;
        self.delete_number(table, chain, number)
    }

    /// `-C`: the 1-based number of the first rule that equals `rule`.
    pub fn check(&self, table: Table, chain: &str, rule: &Rule) -> Result<usize, RulesetError> {
        let chain = self.chain(table, chain).ok_or(RulesetError::BadRule)?;
        chain.rules().iter().position(|e| *e.rule == *rule).map(|i| i + 1).ok_or(RulesetError::BadRule)
    }

    /// `-F`: deletes the rules of one chain or of all.
    pub fn flush(&mut self, table: Table, chain: Option<&str>) -> Result<(), RulesetError> {
        let slots: Vec<usize> = match chain {
            Some(name) => vec![self.data(table).slot(name).ok_or(RulesetError::NoChain)?],
            None => (0..self.data(table).chains.len()).collect(),
        };
        for slot in slots {
            let has_rules =
                self.data(table).chains[slot].as_ref().is_some_and(|chain| !chain.rules().is_empty());
            if !has_rules {
                continue;
            }
            let chain = self.data_mut(table).chains[slot].as_mut();
            for entry in chain.map(Chain::clear).unwrap_or_default() {
                self.forget(table, &entry);
            }
        }
        Ok(())
    }

    /// `-N`: makes an empty chain.
    pub fn new_chain(&mut self, table: Table, name: impl Into<Arc<str>>) -> Result<(), RulesetError> {
        let name = name.into();
        if self.data(table).slot(&name).is_some() {
            return Err(RulesetError::ChainExists);
        }
        let data = self.data_mut(table);
        let chain = Some(Chain::new(name, None, data.indexed_from));
        match data.chains.iter().position(Option::is_none) {
            Some(free) => data.chains[free] = chain,
            None => {
                if data.chains.len() < 8 {
                    data.chains.reserve_exact(1);
                }
                data.chains.push(chain);
            }
        }
        Ok(())
    }

    /// `-X`: deletes a chain that is empty and not referred to, or all user chains if all of them are.
    pub fn delete_chain(&mut self, table: Table, name: Option<&str>) -> Result<(), RulesetError> {
        let names: Vec<Arc<str>> = match name {
            Some(name) => vec![self.chain(table, name).ok_or(RulesetError::NoChain)?.name.clone()],
            None => self.chains(table).iter().filter(|c| c.hook.is_none()).map(|c| c.name.clone()).collect(),
        };
        for name in &names {
            let busy = self.references(table, name) > 0
                || self.chain(table, name).is_none_or(|c| c.hook.is_some() || !c.rules().is_empty());
            if busy {
                return Err(RulesetError::Busy { chain: name.to_string() });
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        for chain in &mut self.data_mut(table).chains {
            if chain.as_ref().is_some_and(|c| names.contains(&c.name)) {
                *chain = None;
            }
        }
        Ok(())
    }

    /// `-E`: renames a user chain; jumps to it follow.
    pub fn rename_chain(&mut self, table: Table, old: &str, new: &str) -> Result<(), RulesetError> {
        if self.data(table).slot(new).is_some() {
            return Err(RulesetError::FileExists);
        }
        let slot = self.data(table).slot(old).ok_or(RulesetError::NoChain)?;
        let name: Arc<str> = new.into();
        let data = self.data_mut(table);
        match &mut data.chains[slot] {
            Some(chain) if chain.hook.is_none() => chain.name = name.clone(),
            _ => return Err(RulesetError::NoChain),
        }
        for entry in data.chains.iter_mut().flatten().flat_map(Chain::entries_mut) {
            if entry.next.is_some_and(|next| next as usize == slot) {
                match &mut Arc::make_mut(&mut entry.rule).target {
                    Target::Jump(target) | Target::Goto(target) => *target = name.clone(),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// `-P`: sets the policy of a built-in chain.
    pub fn set_policy(&mut self, table: Table, chain: &str, policy: Policy) -> Result<(), RulesetError> {
        let chain = self.chain_mut(table, chain).ok_or(RulesetError::NotBuiltIn)?;
        if chain.hook.is_none() {
            return Err(RulesetError::NotBuiltIn);
        }
        chain.policy = policy;
        Ok(())
    }

    /// Sets how many packets a built-in chain's policy has decided on.
    pub fn set_policy_counters(
        &mut self,
        table: Table,
        chain: &str,
        counters: Counters,
    ) -> Result<(), RulesetError> {
        let chain = self.chain_mut(table, chain).ok_or(RulesetError::NotBuiltIn)?;
        chain.policy_counters = counters;
        Ok(())
    }

    /// `-Z`: zeroes the counters of a rule, of a chain or of all chains.
    pub fn zero(
        &mut self,
        table: Table,
        chain: Option<&str>,
        number: Option<usize>,
    ) -> Result<(), RulesetError> {
        if let Some(name) = chain
            && self.chain(table, name).is_none()
        {
            return Err(RulesetError::NoChain);
        }
        for c in self.data_mut(table).chains.iter_mut().flatten() {
            if chain.is_some_and(|name| *c.name != *name) {
                continue;
            }
            match number {
                Some(number) => match number.checked_sub(1).and_then(|i| c.entry_mut(i)) {
                    Some(entry) => entry.counters = Counters::default(),
                    None => return Err(RulesetError::BadRule),
                },
                None => {
                    c.policy_counters = Counters::default();
                    c.entries_mut().for_each(|entry| entry.counters = Counters::default());
                }
            }
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn table_mut(&mut self, table: Table) -> &mut TableData {
        self.data_mut(table)
    }

    #[inline]
    fn data(&self, table: Table) -> &TableData {
        self.tables[table as usize].read()
    }

    #[inline]
    fn data_mut(&mut self, table: Table) -> &mut TableData {
        self.tables[table as usize].write()
    }

    fn chain_mut(&mut self, table: Table, name: &str) -> Option<&mut Chain> {
        let slot = self.data(table).slot(name)?;
        self.data_mut(table).chains[slot].as_mut()
    }

    fn add(
        &mut self,
        table: Table,
        chain: &str,
        position: usize,
        rule: Arc<Rule>,
        owner: Option<RuleOwner>,
        operation: Operation,
    ) -> Result<RuleId, RulesetError> {
        let data = self.data(table);
        let slot = data.slot(chain).ok_or(RulesetError::NoChain)?;
        let next = match &rule.target {
            Target::Jump(name) | Target::Goto(name) => Some(
                data.slot(name)
                    .filter(|slot| data.chains[*slot].as_ref().is_some_and(|c| c.hook.is_none()))
                    .ok_or_else(|| RulesetError::NoTargetChain { chain: name.to_string() })?
                    as u32,
            ),
            _ => None,
        };
        if !fits(&rule, table) {
            return Err(RulesetError::InvalidArgument { operation, chain: chain.to_owned() });
        }
        let replaced = match operation {
            Operation::Append | Operation::Insert => None,
            Operation::Replace => self.cut_out(table, slot, position),
        };
        let id = RuleId(self.next_id);
        let restricts = self.put_in(table, slot, position, Entry::new(id, owner, rule, next));
        if restricts && let Err(fault) = self.data(table).validate() {
            self.take_out(table, slot, position);
            if let Some(old) = replaced {
                self.put_in(table, slot, position, old);
            }
            let chain = chain.to_owned();
            return Err(match fault {
                Fault::TooManyLinks => RulesetError::TooManyLinks { operation, chain },
                Fault::WrongHook => RulesetError::InvalidArgument { operation, chain },
            });
        }
        if let (Some(old), Some(places)) = (replaced, &mut self.places) {
            places.remove(old.id);
        }
        self.next_id += 1;
        Ok(id)
    }

    /// Puts an entry into a chain; whether it bears on how the chains can be run.
    fn put_in(&mut self, table: Table, slot: usize, position: usize, entry: Entry) -> bool {
        let (id, restricts) = (entry.id, entry.restricts());
        self.tracking += u32::from(asks_for_tracking(&entry.rule));
        self.translating += u32::from(table == Table::Nat);
        let places = &mut self.places;
        let Some(chain) = self.tables[table as usize].write().chains[slot].as_mut() else { return false };
        let order = chain.insert(position, entry, |other, order| {
            if let Some(places) = places {
                places.renumber(other, order);
            }
        });
        if let Some(places) = places {
            places.set(id, Place { table, slot: slot as u32, order });
        } else if self.standing().nth(FEW_RULES).is_some() {
            self.places = Some(Box::new(self.standing().collect()));
        }
        restricts
    }

    /// Where a rule stands.
    fn place(&self, id: RuleId) -> Option<Place> {
        match &self.places {
            Some(places) => places.get(id),
            None => self.standing().find(|(standing, _)| *standing == id).map(|(_, place)| place),
        }
    }

    /// Every rule and where it stands.
    fn standing(&self) -> impl Iterator<Item = (RuleId, Place)> {
        Table::ALL.into_iter().flat_map(move |table| {
            let chains = self.data(table).chains.iter().enumerate();
            let rules = chains.flat_map(|(slot, chain)| {
                chain.iter().flat_map(Chain::rules).map(move |entry| (slot, entry))
            });
            rules.map(move |(slot, entry)| (entry.id, Place { table, slot: slot as u32, order: entry.order }))
        })
    }

    /// Takes an entry out of its chain that may come back.
    fn cut_out(&mut self, table: Table, slot: usize, position: usize) -> Option<Entry> {
        self.data(table).chains.get(slot)?.as_ref()?.rules().get(position)?;
        let entry = self.data_mut(table).chains[slot].as_mut()?.remove(position)?;
        self.tracking -= u32::from(asks_for_tracking(&entry.rule));
        self.translating -= u32::from(table == Table::Nat);
        Some(entry)
    }

    fn take_out(&mut self, table: Table, slot: usize, position: usize) -> bool {
        let Some(entry) = self.cut_out(table, slot, position) else { return false };
        if let Some(places) = &mut self.places {
            places.remove(entry.id);
        }
        true
    }

    /// An entry has left its chain with all others.
    fn forget(&mut self, table: Table, entry: &Entry) {
        if let Some(places) = &mut self.places {
            places.remove(entry.id);
        }
        self.tracking -= u32::from(asks_for_tracking(&entry.rule));
        self.translating -= u32::from(table == Table::Nat);
    }
}

/// Whether a rule means nothing unless connections are tracked; those of the nat table come on top.
fn asks_for_tracking(rule: &Rule) -> bool {
    matches!(rule.target, Target::ConnMark(_) | Target::NoTrack { .. })
        || rule.matches.iter().any(|m| matches!(m, Match::Conntrack(_) | Match::State(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jump(to: &str) -> Rule {
        Rule { target: Target::Jump(to.into()), ..Rule::default() }
    }

    #[test]
    fn jumps_nest_to_the_kernels_depth_and_no_further() {
        let mut rules = RuleSet::new(Family::Ipv4);
        for i in 0..MAX_DEPTH {
            rules.new_chain(Table::Filter, format!("C{i}")).unwrap();
        }
        rules.append(Table::Filter, "FORWARD", jump("C0"), None).unwrap();
        for i in 0..MAX_DEPTH - 2 {
            rules.append(Table::Filter, &format!("C{i}"), jump(&format!("C{}", i + 1)), None).unwrap();
        }
        let refused = rules.append(Table::Filter, "C14", jump("C15"), None);
        assert!(matches!(refused, Err(RulesetError::TooManyLinks { .. })));
        assert!(rules.chain(Table::Filter, "C14").unwrap().rules().is_empty(), "half applied");
    }

    #[test]
    fn ids_are_not_reused_and_owners_go_together() {
        let mut rules = RuleSet::new(Family::Ipv4);
        let a = rules.append(Table::Filter, "INPUT", Rule::default(), Some(RuleOwner(7))).unwrap();
        assert!(rules.delete_id(a));
        assert!(!rules.delete_id(a));
        let b = rules.append(Table::Nat, "OUTPUT", Rule::default(), Some(RuleOwner(7))).unwrap();
        let c = rules.append(Table::Filter, "INPUT", Rule::default(), None).unwrap();
        assert!(a < b && b < c);
        assert_eq!(rules.delete_owner(RuleOwner(7)), 1);
        assert!(rules.find(b).is_none());
        assert_eq!(
            rules.find(c).map(|(table, chain, number, _)| (table, chain.name().to_string(), number)),
            Some((Table::Filter, "INPUT".to_owned(), 1))
        );
    }

    #[test]
    fn a_renamed_chain_keeps_its_jumps_and_slots_are_reused() {
        let mut rules = RuleSet::new(Family::Ipv4);
        rules.new_chain(Table::Filter, "A").unwrap();
        rules.append(Table::Filter, "INPUT", jump("A"), None).unwrap();
        rules.rename_chain(Table::Filter, "A", "B").unwrap();
        assert_eq!(rules.chain(Table::Filter, "INPUT").unwrap().rules()[0].rule().as_ref(), &jump("B"));
        assert_eq!(rules.references(Table::Filter, "B"), 1);
        rules.flush(Table::Filter, None).unwrap();
        rules.delete_chain(Table::Filter, None).unwrap();
        rules.new_chain(Table::Filter, "C").unwrap();
        assert_eq!(rules.references(Table::Filter, "C"), 0);
    }
}
