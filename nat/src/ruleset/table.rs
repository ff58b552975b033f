//! The chains of one table, and the check that they can be run.

use std::sync::Arc;

use super::chain::{Chain, INDEXED_FROM};
use super::{Hook, MAX_DEPTH, Table};

/// A table that is shared until it changes: most tables of most namespaces never do.
#[derive(Debug)]
pub(super) enum SharedTable {
    Shared(Arc<TableData>),
    Own(Box<TableData>),
}

#[derive(Debug, Clone)]
pub(crate) struct TableData {
    pub(crate) chains: Vec<Option<Chain>>,
    /// The slot of the chain of each hook.
    base: [Option<u8>; 5],
    /// From how many rules on a chain has a digest.
    pub(super) indexed_from: u32,
}

/// Why the chains of a table cannot be run.
pub(super) enum Fault {
    TooManyLinks,
    WrongHook,
}

impl SharedTable {
    #[inline]
    pub(super) fn read(&self) -> &TableData {
        match self {
            SharedTable::Shared(data) => data,
            SharedTable::Own(data) => data,
        }
    }

    #[inline]
    pub(super) fn write(&mut self) -> &mut TableData {
        if let SharedTable::Shared(data) = self {
            *self = SharedTable::Own(Box::new(TableData::clone(data)));
        }
        match self {
            SharedTable::Own(data) => data,
            // It was just made its own.
            SharedTable::Shared(data) => Arc::make_mut(data),
        }
    }
}

impl Clone for SharedTable {
    fn clone(&self) -> SharedTable {
        match self {
            SharedTable::Shared(data) => SharedTable::Shared(data.clone()),
            SharedTable::Own(data) => SharedTable::Own(data.clone()),
        }
    }
}

impl TableData {
    /// The built-in chains of a table, without rules.
    pub(super) fn new(table: Table) -> TableData {
        let hooks = Hook::ALL.into_iter().filter(|hook| Table::at(*hook).contains(&table));
        let mut data = TableData { chains: Vec::new(), base: [None; 5], indexed_from: INDEXED_FROM };
        for hook in hooks {
            data.base[hook as usize] = Some(data.chains.len() as u8);
            data.chains.push(Some(Chain::new(hook.chain_name().into(), Some(hook), INDEXED_FROM)));
        }
        data.chains.shrink_to_fit();
        data
    }

    #[cfg(test)]
    pub(super) fn set_indexed_from(&mut self, rules: u32) {
        self.indexed_from = rules;
        self.chains.iter_mut().flatten().for_each(|chain| chain.set_indexed_from(rules));
    }

    /// The slot of the chain of a hook, if the table has one there.
    #[inline]
    pub(crate) fn base(&self, hook: Hook) -> Option<usize> {
        self.base[hook as usize].map(usize::from)
    }

    /// The slot of the chain of that name.
    pub(super) fn slot(&self, name: &str) -> Option<usize> {
        self.chains.iter().position(|chain| chain.as_ref().is_some_and(|c| *c.name == *name))
    }

    /// How many rules lead to the chain in a slot.
    pub(super) fn references(&self, slot: usize) -> usize {
        self.chains.iter().flatten().map(|chain| chain.jumps_to(slot)).sum()
    }

    /// Walks every chain that a built-in chain reaches.
    pub(super) fn validate(&self) -> Result<(), Fault> {
        for hook in Hook::ALL {
            if let Some(slot) = self.base(hook) {
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
        if let Some(chain) = &self.chains[slot] {
            if !chain.allows(hook) {
                return Err(Fault::WrongHook);
            }
            for next in chain.leads_to() {
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
