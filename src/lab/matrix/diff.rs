//! What differs between two matrices: the pairs that reach each other differently, not the addresses they have.
//!
//! Attempts are matched by source, target, name or network, and port. An address is matched by its network and its
//! family, because two engines number networks differently. The source that a server sees is compared by whose address
//! it is, for the same reason.

mod pairs;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub use pairs::{PairChange, PairKind, Renamed};

use super::{By, Matrix, Outcome, Tried};
use crate::scenario::Scenario;

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What the first matrix is called.
    pub before: String,
    /// What the second is called.
    pub after: String,
    /// Attempts compared.
    pub compared: usize,
    /// Those that differ, in the order of the first matrix, then those that only the second has.
    pub changes: Vec<Change>,
    /// What that comes to for each pair; who lost something first.
    pub pairs: Vec<PairChange>,
    /// Who is only called differently.
    pub renamed: Vec<Renamed>,
    /// Who is in the first matrix only.
    pub gone: Vec<String>,
    /// Who is in the second only.
    pub come: Vec<String>,
}

/// An attempt that ends differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Who tried.
    pub from: String,
    /// Whom it was meant for.
    pub to: String,
    /// How it was called.
    pub by: String,
    /// What was tried.
    pub attempt: String,
    /// The outcome in the first; `None`: it is not tried there.
    pub before: Option<Outcome>,
    /// The outcome in the second.
    pub after: Option<Outcome>,
}

/// Compares two matrices of the same scope. The labels say where they come from.
#[must_use]
pub fn diff(before: (&str, &Matrix), after: (&str, &Matrix)) -> Difference {
    let (old, new) = (Indexed::new(before.1), Indexed::new(after.1));
    let mut changes = Vec::new();
    for (key, tried) in &old.in_order {
        let other = new.by_key.get(key).copied();
        let same = other.is_some_and(|other| old.effect(tried) == new.effect(other));
        if !same {
            changes.push(old.change(key, tried, Some(tried.outcome), other.map(|other| other.outcome)));
        }
    }
    for (key, tried) in &new.in_order {
        if !old.by_key.contains_key(key) {
            changes.push(new.change(key, tried, None, Some(tried.outcome)));
        }
    }
    let (gone, come) = (absent(before.1, after.1), absent(after.1, before.1));
    let alone = |label: &str| gone.iter().chain(&come).any(|name| name == label);
    let (pairs, renamed) = pairs::pairs(&old, &new, alone);
    let only_new = new.in_order.iter().filter(|(key, _)| !old.by_key.contains_key(key)).count();
    Difference {
        before: before.0.to_owned(),
        after: after.0.to_owned(),
        compared: old.in_order.len() + only_new,
        changes,
        pairs,
        renamed,
        gone,
        come,
    }
}

impl Difference {
    /// Finds why pairs do not reach each other on one of the sides: one attempt for each entry, by the scenarios that
    /// were compared.
    pub fn explain(&mut self, before: &Scenario, after: &Scenario, seed: u64) {
        pairs::explain(&mut self.pairs, before, after, seed);
    }
}

/// The parties of one matrix that the other has not.
fn absent(one: &Matrix, other: &Matrix) -> Vec<String> {
    let there: BTreeSet<&str> = other.parties.iter().map(|party| party.label.as_str()).collect();
    let missing = one.parties.iter().filter(|party| !there.contains(party.label.as_str()));
    missing.map(|party| party.label.clone()).collect()
}

/// What makes an attempt the same in both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    from: String,
    to: String,
    by: String,
    attempt: String,
    /// Which of several alike.
    occurrence: usize,
}

/// What an outcome comes to, addresses apart.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    Plain(Outcome),
    SeenAs(String),
}

struct Indexed<'a> {
    matrix: &'a Matrix,
    in_order: Vec<(Key, &'a Tried)>,
    by_key: BTreeMap<Key, &'a Tried>,
}

impl<'a> Indexed<'a> {
    fn new(matrix: &'a Matrix) -> Indexed<'a> {
        let mut in_order: Vec<(Key, &Tried)> = Vec::new();
        let mut by_key = BTreeMap::new();
        for tried in &matrix.attempts {
            let mut key = Key {
                from: matrix.party(tried.from).label.clone(),
                to: matrix.party(tried.to).label.clone(),
                by: by(&tried.by),
                attempt: tried.attempt.to_string(),
                occurrence: 0,
            };
            while by_key.contains_key(&key) {
                key.occurrence += 1;
            }
            by_key.insert(key.clone(), tried);
            in_order.push((key, tried));
        }
        Indexed { matrix, in_order, by_key }
    }

    /// An address is told where there are several of its kind, as the host has one in every network.
    fn change(&self, key: &Key, tried: &Tried, before: Option<Outcome>, after: Option<Outcome>) -> Change {
        let alike = key.occurrence > 0 || self.by_key.contains_key(&Key { occurrence: 1, ..key.clone() });
        let by = match &tried.by {
            By::Address { address, .. } if alike => format!("{}, {address}", key.by),
            By::Address { .. } | By::Name(_) | By::Published { .. } => key.by.clone(),
        };
        Change { from: key.from.clone(), to: key.to.clone(), by, attempt: key.attempt.clone(), before, after }
    }

    fn effect(&self, tried: &Tried) -> Effect {
        match tried.outcome {
            Outcome::Ok(Some(seen)) => {
                let owner = self.matrix.owner_of(seen).map(|owner| owner.label.clone());
                // A bridge's own address belongs to nobody's list; that it was translated is what counts.
                Effect::SeenAs(owner.unwrap_or_else(|| "a gateway".to_owned()))
            }
            other => Effect::Plain(other),
        }
    }
}

fn by(by: &By) -> String {
    let family = |address: &IpAddr| if address.is_ipv6() { "IPv6" } else { "IPv4" };
    match by {
        By::Name(name) => format!("name {name}"),
        By::Address { network, address } => format!("{} on {network}", family(address)),
        By::Published { address, port, container, target } => {
            let place = if address.is_loopback() { "localhost" } else { "the host" };
            format!("{place}, port {port} ({container} {target})")
        }
    }
}
