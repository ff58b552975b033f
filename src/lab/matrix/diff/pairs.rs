//! What changed between two matrices, pair by pair: who lost or gained reach, in which way, and what is only called
//! differently.
//!
//! For each pair and each thing tried there is a [`Reach`] on either side: by a name, by an address or a published port
//! alone, or not at all. Where it differs, the pair has lost or gained something; where it does not, the attempts behind
//! it may still end differently (another source is seen, another error). What is left are ways that have another name: a
//! network or a container that is called differently while all who reached it still do. Those who changed alike are
//! one entry.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{By, Matrix, Outcome, Party, PartyKind, Tried};
use super::{Effect, Indexed, Key};
use crate::lab::explain::{ExplainOptions, Question, explain_in};
use crate::scenario::{Scenario, run};

/// Entries whose cause is looked for on each side: each is one attempt more.
const EXPLAINED: usize = 32;

/// A change of one pair, or of several that changed alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairChange {
    /// What became of it.
    pub kind: PairKind,
    /// Who tried.
    pub from: Vec<String>,
    /// Whom it was meant for.
    pub to: Vec<String>,
    /// What was tried; of a published port also what it leads to.
    pub attempts: Vec<String>,
    /// How it ended before and how it ends now.
    pub detail: String,
    /// Why the side that does not reach does not.
    pub because: Option<String>,
    /// The line of the file that says so.
    pub line: Option<String>,
    /// What to ask that side.
    question: Option<Question>,
}

/// What becomes of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PairKind {
    /// It reached, and does not.
    Lost,
    /// It reached by name, and does by address alone.
    LostName,
    /// It did not reach, and does.
    Gained,
    /// It reached by address alone, and does by name.
    GainedName,
    /// As before, with another source, or another error.
    Altered,
}

impl PairKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            PairKind::Lost => "lost",
            PairKind::LostName => "lost-name",
            PairKind::Gained => "gained",
            PairKind::GainedName => "gained-name",
            PairKind::Altered => "altered",
        }
    }
}

/// Somebody who is reached as before, under other names or on networks that are called differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Who.
    pub party: String,
    /// The ways that only the first side has.
    pub before: Vec<String>,
    /// The ways that only the second has.
    pub after: Vec<String>,
}

/// How one thing tried at one pair comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Not,
    ByAddress,
    ByName,
}

/// A pair, and what is tried: labels, and the attempt in the order of the matrix.
type Thing = (String, String, String);

/// Everything tried for one thing on one side.
struct Side<'a> {
    things: BTreeMap<Thing, Vec<(String, &'a Tried)>>,
    indexed: &'a Indexed<'a>,
}

impl<'a> Side<'a> {
    fn new(indexed: &'a Indexed<'a>) -> Side<'a> {
        let mut things: BTreeMap<Thing, Vec<(String, &Tried)>> = BTreeMap::new();
        for (key, tried) in &indexed.in_order {
            things.entry(thing(key, tried)).or_default().push((key.by.clone(), tried));
        }
        Side { things, indexed }
    }

    fn tried(&self, thing: &Thing) -> &[(String, &'a Tried)] {
        self.things.get(thing).map_or(&[], Vec::as_slice)
    }

    fn reach(&self, thing: &Thing) -> Reach {
        let reaching = self.tried(thing).iter().filter(|(_, tried)| tried.outcome.reaches());
        let ways = reaching.map(|(_, tried)| match tried.by {
            By::Name(_) => Reach::ByName,
            By::Address { .. } | By::Published { .. } => Reach::ByAddress,
        });
        ways.max().unwrap_or(Reach::Not)
    }

    /// How it ends, the first way first.
    fn outcome(&self, thing: &Thing) -> Option<Outcome> {
        let tried = self.tried(thing);
        let reaching = tried.iter().find(|(_, tried)| tried.outcome.reaches());
        reaching.or(tried.first()).map(|(_, tried)| tried.outcome)
    }

    /// Whom the server sees, by owner.
    fn sources(&self, thing: &Thing) -> BTreeSet<String> {
        let effects = self.tried(thing).iter().map(|(_, tried)| self.indexed.effect(tried));
        let seen = effects.filter_map(|effect| match effect {
            Effect::SeenAs(owner) => Some(owner),
            Effect::Plain(_) => None,
        });
        seen.collect()
    }

    /// What to ask to hear why a thing is not reached: by its first way.
    fn question(&self, thing: &Thing) -> Option<Question> {
        let (_, tried) = self.tried(thing).first()?;
        let target = match &tried.by {
            By::Name(name) => name.clone(),
            By::Address { address, .. } | By::Published { address, .. } if address.is_ipv6() => {
                format!("[{address}]")
            }
            By::Address { address, .. } | By::Published { address, .. } => address.to_string(),
        };
        let from = place(self.indexed.matrix, tried);
        let attempt = tried.attempt.to_string();
        let what = match attempt.split_once('/') {
            Some((port, protocol)) => format!(":{port}/{protocol}"),
            None => String::new(),
        };
        format!("{from} -> {target}{what}").parse().ok()
    }
}

/// A published port says what it leads to.
fn thing(key: &Key, tried: &Tried) -> Thing {
    let attempt = match &tried.by {
        By::Published { container, target, .. } => format!("{} ({container} {target})", key.attempt),
        By::Name(_) | By::Address { .. } => key.attempt.clone(),
    };
    (key.from.clone(), key.to.clone(), attempt)
}

fn is_published(attempt: &str) -> bool {
    attempt.contains(" (")
}

/// Who tries, as questions name places.
fn place(matrix: &Matrix, tried: &Tried) -> String {
    let Party { kind, label, name, .. } = matrix.party(tried.from);
    match kind {
        PartyKind::Container => label.clone(),
        PartyKind::Host => "host".to_owned(),
        PartyKind::Machine => format!("world:{name}"),
    }
}

/// The changes by pair, those who lost something first, and who is only called differently. Who is on one side alone
/// (`absent`) is left out.
pub(super) fn pairs(
    old: &Indexed<'_>,
    new: &Indexed<'_>,
    absent: impl Fn(&str) -> bool,
) -> (Vec<PairChange>, Vec<Renamed>) {
    let (before, after) = (Side::new(old), Side::new(new));
    let mut single = Vec::new();
    let mut renamed: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (key, tried) in old.in_order.iter().chain(&new.in_order) {
        let thing = thing(key, tried);
        if absent(&thing.0) || absent(&thing.1) || !told.insert(thing.clone()) {
            continue;
        }
        match change(&before, &after, &thing) {
            Some(change) => single.push(change),
            // A way that is gone, and was none, is nothing to tell.
            None if before.reach(&thing) == Reach::Not => {}
            None => {
                let ways = |side: &Side<'_>| -> BTreeSet<String> {
                    side.tried(&thing).iter().map(|(by, _)| by.clone()).collect()
                };
                let (here, there) = (ways(&before), ways(&after));
                if here != there {
                    let (gone, come) = renamed.entry(thing.1).or_default();
                    gone.extend(here.difference(&there).cloned());
                    come.extend(there.difference(&here).cloned());
                }
            }
        }
    }
    let mut changes = fold(single);
    changes.sort_by_key(|change| change.kind);
    let list = |names: BTreeSet<String>| names.into_iter().collect();
    let renamed = renamed.into_iter();
    let renamed =
        renamed.map(|(party, (before, after))| Renamed { party, before: list(before), after: list(after) });
    (changes, renamed.collect())
}

/// What became of one thing; `None`: nothing but names.
fn change(before: &Side<'_>, after: &Side<'_>, thing: &Thing) -> Option<PairChange> {
    let (was, is) = (before.reach(thing), after.reach(thing));
    let nowhere = if is_published(&thing.2) { "not published" } else { "not there" };
    let word = |outcome: Option<Outcome>| outcome.map_or(nowhere, Outcome::word);
    let (old, new) = (word(before.outcome(thing)), word(after.outcome(thing)));
    let (kind, detail) = match (was, is) {
        (Reach::ByAddress | Reach::ByName, Reach::Not) => (PairKind::Lost, format!("{old}, now {new}")),
        (Reach::Not, Reach::ByAddress | Reach::ByName) => (PairKind::Gained, format!("{old}, now {new}")),
        (Reach::ByName, Reach::ByAddress) => (PairKind::LostName, "by name, now by address alone".to_owned()),
        (Reach::ByAddress, Reach::ByName) => (PairKind::GainedName, "by address, now by name too".to_owned()),
        (Reach::Not, Reach::Not) | (Reach::ByAddress, Reach::ByAddress) | (Reach::ByName, Reach::ByName) => {
            (PairKind::Altered, altered(before, after, thing)?)
        }
    };
    let question = match kind {
        PairKind::Lost | PairKind::LostName => after.question(thing),
        PairKind::Gained | PairKind::GainedName => before.question(thing),
        PairKind::Altered => None,
    };
    let (from, to, attempt) = thing.clone();
    let (from, to, attempts) = (vec![from], vec![to], vec![attempt]);
    Some(PairChange { kind, from, to, attempts, detail, because: None, line: None, question })
}

/// How a thing that is reached, or not reached, as before ends differently.
fn altered(before: &Side<'_>, after: &Side<'_>, thing: &Thing) -> Option<String> {
    let (was, is) = (before.sources(thing), after.sources(thing));
    if was != is {
        let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
        return Some(format!("the server saw {}, now {}", list(was), list(is)));
    }
    before.tried(thing).iter().find_map(|(by, old)| {
        let (_, new) = after.tried(thing).iter().find(|(other, _)| other == by)?;
        let differs = old.outcome.word() != new.outcome.word();
        differs.then(|| format!("by {by} {}, now {}", old.outcome.word(), new.outcome.word()))
    })
}

/// One entry for what one pair tried alike, then one for all who changed alike towards one target, then one for all
/// targets that the same ones changed alike towards.
fn fold(single: Vec<PairChange>) -> Vec<PairChange> {
    let pairs = group(
        single,
        |change| (change.kind, change.from.clone(), change.to.clone(), family(&change.detail).to_owned()),
        |known, other| known.attempts.extend(other.attempts),
    );
    let from_all = group(
        pairs,
        |change| (change.kind, change.to.clone(), change.attempts.clone(), change.detail.clone()),
        |known, other| known.from.extend(other.from),
    );
    group(
        from_all,
        |change| (change.kind, change.from.clone(), change.attempts.clone(), change.detail.clone()),
        |known, other| known.to.extend(other.to),
    )
}

/// What changes have in common that become one.
type Common = (PairKind, Vec<String>, Vec<String>, String);

/// Joins changes with something in common to the first of them.
fn group(
    changes: Vec<PairChange>,
    common: fn(&PairChange) -> Common,
    join: fn(&mut PairChange, PairChange),
) -> Vec<PairChange> {
    let mut places: BTreeMap<Common, usize> = BTreeMap::new();
    let mut joined: Vec<PairChange> = Vec::new();
    for change in changes {
        let place = *places.entry(common(&change)).or_insert(joined.len());
        match joined.get_mut(place) {
            Some(known) => join(known, change),
            None => joined.push(change),
        }
    }
    joined
}

/// A detail up to how it was: a ping and a port that are lost alike may end in different ways before.
fn family(detail: &str) -> &str {
    detail.rsplit(", now ").next().unwrap_or(detail)
}

/// Finds why the side that does not reach does not, for the first entries.
pub(super) fn explain(changes: &mut [PairChange], before: &Scenario, after: &Scenario, seed: u64) {
    let lost = |kind| matches!(kind, PairKind::Lost | PairKind::LostName);
    for (scenario, side) in [(after, true), (before, false)] {
        let asked = changes.iter_mut().filter(|change| lost(change.kind) == side);
        let asked: Vec<_> =
            asked.filter_map(|change| Some((change.question.take()?, change))).take(EXPLAINED).collect();
        if asked.is_empty() {
            continue;
        }
        let Ok((mut world, host, _)) = run::play(scenario, seed) else { continue };
        for (question, change) in asked {
            let found = explain_in(&mut world, host, scenario, &question, ExplainOptions::default());
            let Some(cause) = found.ok().and_then(|explanation| explanation.cause) else { continue };
            let line = cause.line.as_ref();
            change.line = line.map(|line| format!("{}:{}: {}", line.file, line.line, line.text.trim()));
            change.because = Some(cause.text);
        }
    }
}
