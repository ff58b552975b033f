//! Tables, chains and their rules for one address family, with counters and every mutation that `iptables` knows.
//!
//! The checks are those of the Linux kernel as iptables 1.8.9 (nf_tables) meets them: a target is checked against its
//! table when the rule is added and against the hooks when its chain is reached from a built-in chain; a loop of
//! jumps or a nesting deeper than [`MAX_DEPTH`] is refused once a built-in chain reaches it. A mutation that fails
//! changes nothing. Rules are removed by [`RuleId`]; ids are never used again.

mod counted;

use std::sync::Arc;

use crate::evaluate::TokenBucket;
use crate::rule::{Family, Rule, Target};
use crate::target_check::{EVERY_HOOK, fits, hooks_of};

pub(crate) use counted::Counted;

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

/// Which mutation the kernel refused; named in the error text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `-A`.
    Append,
    /// `-I`.
    Insert,
    /// `-R`.
    Replace,
}

impl Operation {
    fn text(self) -> &'static str {
        match self {
            Operation::Append => "RULE_APPEND",
            Operation::Insert => "RULE_INSERT",
            Operation::Replace => "RULE_REPLACE",
        }
    }
}

/// Why a mutation was refused. The texts are those of iptables 1.8.9 (nf_tables) without the program's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesetError {
    /// The chain that was named is not there.
    #[error("No chain/target/match by that name.")]
    NoChain,
    /// A new chain has the name of an old one.
    #[error("Chain already exists.")]
    ChainExists,
    /// A chain cannot be renamed to a name in use.
    #[error("File exists.")]
    FileExists,
    /// No such rule to delete or check.
    #[error("Bad rule (does a matching rule exist in that chain?).")]
    BadRule,
    /// An insertion behind the end.
    #[error("Index of insertion too big.")]
    InsertionIndex,
    /// A replacement behind the end.
    #[error("Index of replacement too big.")]
    ReplacementIndex,
    /// A deletion behind the end.
    #[error("Index of deletion too big.")]
    DeletionIndex,
    /// Only built-in chains have a policy.
    #[error("Bad built-in chain name.")]
    NotBuiltIn,
    /// A chain that is built in, in use or not empty cannot be deleted.
    #[error("CHAIN_DEL failed (Device or resource busy): chain {chain}")]
    Busy {
        /// The chain.
        chain: String,
    },
    /// The rule would make a loop of jumps or too deep a nesting.
    #[error("{} failed (Too many links): rule in chain {chain}", .operation.text())]
    TooManyLinks {
        /// What was tried.
        operation: Operation,
        /// On which chain.
        chain: String,
    },
    /// The target cannot be used in this table or from this hook, or with these matches.
    #[error("{} failed (Invalid argument): rule in chain {chain}", .operation.text())]
    InvalidArgument {
        /// What was tried.
        operation: Operation,
        /// On which chain.
        chain: String,
    },
    /// A jump leads to a chain that is not there.
    #[error("Chain '{chain}' does not exist")]
    NoTargetChain {
        /// The chain that is missing.
        chain: String,
    },
}

/// The rules of one address family.
#[derive(Debug, Clone)]
pub struct RuleSet {
    family: Family,
    tables: [TableData; 4],
    next_id: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct TableData {
    pub(crate) chains: Vec<Option<Chain>>,
    pub(crate) base: [Option<usize>; 5],
}

/// A chain: built in (with a hook and a policy) or made by a user.
#[derive(Debug, Clone)]
pub struct Chain {
    pub(crate) name: Arc<str>,
    pub(crate) hook: Option<Hook>,
    pub(crate) policy: Policy,
    pub(crate) policy_counters: Counters,
    pub(crate) rules: Vec<Entry>,
}

impl Chain {
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
    pub fn rules(&self) -> &[Entry] {
        &self.rules
    }
}

/// A rule in its chain.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) id: RuleId,
    pub(crate) owner: Option<RuleOwner>,
    pub(crate) rule: Rule,
    pub(crate) next: Option<usize>,
    pub(crate) counters: Counters,
    pub(crate) buckets: Vec<TokenBucket>,
}

impl Entry {
    /// The rule's identity.
    pub fn id(&self) -> RuleId {
        self.id
    }

    /// Whose rule it is.
    pub fn owner(&self) -> Option<RuleOwner> {
        self.owner
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// How many packets matched.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

impl RuleSet {
    /// The empty rule set: the built-in chains with policy ACCEPT.
    pub fn new(family: Family) -> RuleSet {
        let tables = Table::ALL.map(|table| {
            let hooks = Hook::ALL.iter().filter(|hook| Table::at(**hook).contains(&table)).count();
            let mut data = TableData { chains: Vec::with_capacity(hooks), base: [None; 5] };
            for hook in Hook::ALL {
                if Table::at(hook).contains(&table) {
                    data.base[hook as usize] = Some(data.chains.len());
                    data.chains.push(Some(Chain::new(hook.chain_name().into(), Some(hook))));
                }
            }
            data
        });
        RuleSet { family, tables, next_id: 1 }
    }

    /// The address family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether a packet at `hook` of `table` can meet anything but an accepting policy.
    pub fn has_rules(&self, table: Table, hook: Hook) -> bool {
        let data = &self.tables[table as usize];
        data.base[hook as usize]
            .and_then(|slot| data.chains[slot].as_ref())
            .is_some_and(|chain| !chain.rules.is_empty() || chain.policy == Policy::Drop)
    }

    /// The chains of a table: built-in ones in hook order, then the others by name.
    pub fn chains(&self, table: Table) -> Vec<&Chain> {
        let mut chains: Vec<&Chain> = self.tables[table as usize].chains.iter().flatten().collect();
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
        let data = &self.tables[table as usize];
        data.slot(name).and_then(|slot| data.chains[slot].as_ref())
    }

    /// How many rules of the table jump or go to the chain.
    pub fn references(&self, table: Table, name: &str) -> usize {
        let data = &self.tables[table as usize];
        data.slot(name).map_or(0, |slot| data.references(slot))
    }

    /// A rule by identity, with its table, chain and 1-based number.
    pub fn find(&self, id: RuleId) -> Option<(Table, &Chain, usize, &Entry)> {
        Table::ALL.into_iter().find_map(|table| {
            self.tables[table as usize].chains.iter().flatten().find_map(|chain| {
                let index = chain.rules.iter().position(|entry| entry.id == id)?;
                Some((table, chain, index + 1, &chain.rules[index]))
            })
        })
    }

    /// `-A`: puts the rule behind the last.
    pub fn append(
        &mut self,
        table: Table,
        chain: &str,
        rule: Rule,
        owner: Option<RuleOwner>,
    ) -> Result<RuleId, RulesetError> {
        let position = self.chain(table, chain).ok_or(RulesetError::NoChain)?.rules.len();
        self.add(table, chain, position, rule, owner, Operation::Append)
    }

    /// `-I`: puts the rule at the 1-based `number`, which may be one past the last.
    pub fn insert(
        &mut self,
        table: Table,
        chain: &str,
        number: usize,
        rule: Rule,
        owner: Option<RuleOwner>,
    ) -> Result<RuleId, RulesetError> {
        let length = self.chain(table, chain).ok_or(RulesetError::NoChain)?.rules.len();
        match number.checked_sub(1) {
            Some(position) if position <= length => {
                self.add(table, chain, position, rule, owner, Operation::Insert)
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
        rule: Rule,
        owner: Option<RuleOwner>,
    ) -> Result<RuleId, RulesetError> {
        let length = self.chain(table, chain).ok_or(RulesetError::NoChain)?.rules.len();
        let position = number.checked_sub(1).filter(|p| *p < length).ok_or(RulesetError::ReplacementIndex)?;
        self.add(table, chain, position, rule, owner, Operation::Replace)
    }

    /// Sets a rule's counters. False if there is no such rule.
    pub fn set_counters(&mut self, id: RuleId, counters: Counters) -> bool {
        for entry in self.entries_mut() {
            if entry.id == id {
                entry.counters = counters;
                return true;
            }
        }
        false
    }

    /// Deletes the rule with this identity. False if there is none.
    pub fn delete_id(&mut self, id: RuleId) -> bool {
        self.retain(|entry| entry.id != id) > 0
    }

    /// Deletes every rule of an owner and says how many.
    pub fn delete_owner(&mut self, owner: RuleOwner) -> usize {
        self.retain(|entry| entry.owner != Some(owner))
    }

    /// `-D chain number`: deletes by 1-based number.
    pub fn delete_number(&mut self, table: Table, chain: &str, number: usize) -> Result<(), RulesetError> {
        let chain = self.chain_mut(table, chain).ok_or(RulesetError::NoChain)?;
        let index =
            number.checked_sub(1).filter(|i| *i < chain.rules.len()).ok_or(RulesetError::DeletionIndex)?;
        chain.rules.remove(index);
        Ok(())
    }

    /// `-D chain specification`: deletes the first rule that equals `rule`.
    pub fn delete_rule(&mut self, table: Table, chain: &str, rule: &Rule) -> Result<(), RulesetError> {
        let number = self.check(table, chain, rule)?;
        self.delete_number(table, chain, number)
    }

    /// `-C`: the 1-based number of the first rule that equals `rule`.
    pub fn check(&self, table: Table, chain: &str, rule: &Rule) -> Result<usize, RulesetError> {
        let chain = self.chain(table, chain).ok_or(RulesetError::BadRule)?;
        chain.rules.iter().position(|e| e.rule == *rule).map(|i| i + 1).ok_or(RulesetError::BadRule)
    }

    /// `-F`: deletes the rules of one chain or of all.
    pub fn flush(&mut self, table: Table, chain: Option<&str>) -> Result<(), RulesetError> {
        match chain {
            Some(name) => self.chain_mut(table, name).ok_or(RulesetError::NoChain)?.rules.clear(),
            None => {
                for chain in self.tables[table as usize].chains.iter_mut().flatten() {
                    chain.rules.clear();
                }
            }
        }
        Ok(())
    }

    /// `-N`: makes an empty chain.
    pub fn new_chain(&mut self, table: Table, name: &str) -> Result<(), RulesetError> {
        let data = &mut self.tables[table as usize];
        if data.slot(name).is_some() {
            return Err(RulesetError::ChainExists);
        }
        let chain = Some(Chain::new(name.into(), None));
        match data.chains.iter().position(Option::is_none) {
            Some(free) => data.chains[free] = chain,
            None => data.chains.push(chain),
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
                || self.chain(table, name).is_none_or(|c| c.hook.is_some() || !c.rules.is_empty());
            if busy {
                return Err(RulesetError::Busy { chain: name.to_string() });
            }
        }
        for chain in &mut self.tables[table as usize].chains {
            if chain.as_ref().is_some_and(|c| names.contains(&c.name)) {
                *chain = None;
            }
        }
        Ok(())
    }

    /// `-E`: renames a user chain; jumps to it follow.
    pub fn rename_chain(&mut self, table: Table, old: &str, new: &str) -> Result<(), RulesetError> {
        let data = &mut self.tables[table as usize];
        if data.slot(new).is_some() {
            return Err(RulesetError::FileExists);
        }
        let slot = data.slot(old).ok_or(RulesetError::NoChain)?;
        let name: Arc<str> = new.into();
        match &mut data.chains[slot] {
            Some(chain) if chain.hook.is_none() => chain.name = name.clone(),
            _ => return Err(RulesetError::NoChain),
        }
        for entry in data.chains.iter_mut().flatten().flat_map(|c| &mut c.rules) {
            if entry.next == Some(slot) {
                match &mut entry.rule.target {
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
        for c in self.tables[table as usize].chains.iter_mut().flatten() {
            if chain.is_some_and(|name| *c.name != *name) {
                continue;
            }
            match number {
                Some(number) => match number.checked_sub(1).and_then(|i| c.rules.get_mut(i)) {
                    Some(entry) => entry.counters = Counters::default(),
                    None => return Err(RulesetError::BadRule),
                },
                None => {
                    c.policy_counters = Counters::default();
                    c.rules.iter_mut().for_each(|entry| entry.counters = Counters::default());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn table_mut(&mut self, table: Table) -> &mut TableData {
        &mut self.tables[table as usize]
    }

    fn chain_mut(&mut self, table: Table, name: &str) -> Option<&mut Chain> {
        let data = &mut self.tables[table as usize];
        data.slot(name).and_then(|slot| data.chains[slot].as_mut())
    }

    fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.tables.iter_mut().flat_map(|t| t.chains.iter_mut().flatten()).flat_map(|c| c.rules.iter_mut())
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> usize {
        let mut removed = 0;
        for chain in self.tables.iter_mut().flat_map(|t| t.chains.iter_mut().flatten()) {
            let before = chain.rules.len();
            chain.rules.retain(&keep);
            removed += before - chain.rules.len();
        }
        removed
    }

    fn add(
        &mut self,
        table: Table,
        chain: &str,
        position: usize,
        rule: Rule,
        owner: Option<RuleOwner>,
        operation: Operation,
    ) -> Result<RuleId, RulesetError> {
        let data = &mut self.tables[table as usize];
        let slot = data.slot(chain).ok_or(RulesetError::NoChain)?;
        let next = match &rule.target {
            Target::Jump(name) | Target::Goto(name) => Some(
                data.slot(name)
                    .filter(|slot| data.chains[*slot].as_ref().is_some_and(|c| c.hook.is_none()))
                    .ok_or_else(|| RulesetError::NoTargetChain { chain: name.to_string() })?,
            ),
            _ => None,
        };
        if !fits(&rule, table) {
            return Err(RulesetError::InvalidArgument { operation, chain: chain.to_owned() });
        }
        let whole_table_matters = next.is_some() || hooks_of(&rule.target) != EVERY_HOOK;
        let buckets = rule.matches.iter().filter_map(TokenBucket::of).collect();
        let id = RuleId(self.next_id);
        let entry = Entry { id, owner, rule, next, counters: Counters::default(), buckets };
        let Some(rules) = data.chains[slot].as_mut().map(|c| &mut c.rules) else {
            return Err(RulesetError::NoChain);
        };
        let replaced = match operation {
            Operation::Append | Operation::Insert => {
                // Most chains have a rule or two, and there are as many namespaces as containers.
                if rules.len() < 4 {
                    rules.reserve_exact(1);
                }
                rules.insert(position, entry);
                None
            }
            Operation::Replace => Some(std::mem::replace(&mut rules[position], entry)),
        };
        if whole_table_matters && let Err(fault) = data.validate() {
            if let Some(rules) = data.chains[slot].as_mut().map(|c| &mut c.rules) {
                match replaced {
                    Some(old) => rules[position] = old,
                    None => {
                        rules.remove(position);
                    }
                }
            }
            let chain = chain.to_owned();
            return Err(match fault {
                Fault::TooManyLinks => RulesetError::TooManyLinks { operation, chain },
                Fault::WrongHook => RulesetError::InvalidArgument { operation, chain },
            });
        }
        self.next_id += 1;
        Ok(id)
    }
}

impl Chain {
    fn new(name: Arc<str>, hook: Option<Hook>) -> Chain {
        Chain { name, hook, policy: Policy::Accept, policy_counters: Counters::default(), rules: Vec::new() }
    }
}

/// Why the chains of a table cannot be run.
enum Fault {
    TooManyLinks,
    WrongHook,
}

impl TableData {
    fn slot(&self, name: &str) -> Option<usize> {
        self.chains.iter().position(|chain| chain.as_ref().is_some_and(|c| *c.name == *name))
    }

    fn references(&self, slot: usize) -> usize {
        self.chains.iter().flatten().flat_map(|c| &c.rules).filter(|e| e.next == Some(slot)).count()
    }

    /// Walks every chain that a built-in chain reaches.
    fn validate(&self) -> Result<(), Fault> {
        for hook in Hook::ALL {
            if let Some(slot) = self.base[hook as usize] {
                let mut heights = vec![Height::Unknown; self.chains.len()];
                if self.height(slot, hook, 1, &mut heights)? > MAX_DEPTH {
                    return Err(Fault::TooManyLinks);
                }
            }
        }
        Ok(())
    }

    /// How many chains the longest path of jumps from `slot` visits. The recursion is at most [`MAX_DEPTH`] deep.
    fn height(&self, slot: usize, hook: Hook, depth: usize, heights: &mut [Height]) -> Result<usize, Fault> {
        match heights[slot] {
            Height::Known(height) => return Ok(height),
            Height::Open => return Err(Fault::TooManyLinks),
            Height::Unknown if depth > MAX_DEPTH => return Err(Fault::TooManyLinks),
            Height::Unknown => heights[slot] = Height::Open,
        }
        let mut height = 1;
        for entry in self.chains[slot].iter().flat_map(|c| &c.rules) {
            if hooks_of(&entry.rule.target) & (1 << hook as u8) == 0 {
                return Err(Fault::WrongHook);
            }
            if let Some(next) = entry.next {
                height = height.max(1 + self.height(next, hook, depth + 1, heights)?);
            }
        }
        heights[slot] = Height::Known(height);
        Ok(height)
    }
}

#[derive(Clone, Copy)]
enum Height {
    Unknown,
    Open,
    Known(usize),
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
            rules.new_chain(Table::Filter, &format!("C{i}")).unwrap();
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
        assert_eq!(rules.chain(Table::Filter, "INPUT").unwrap().rules()[0].rule(), &jump("B"));
        assert_eq!(rules.references(Table::Filter, "B"), 1);
        rules.flush(Table::Filter, None).unwrap();
        rules.delete_chain(Table::Filter, None).unwrap();
        rules.new_chain(Table::Filter, "C").unwrap();
        assert_eq!(rules.references(Table::Filter, "C"), 0);
    }
}
