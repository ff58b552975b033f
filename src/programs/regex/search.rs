//! Searching a text: all ways through a compiled expression are followed at once, letter by letter.

use super::parse::{Assertion, Atom, Item, is_word};
use super::{Expression, Found, SLOTS, Step};

/// No position.
const NOWHERE: usize = usize::MAX;

impl Expression {
    /// The leftmost longest match that starts at byte `from` or behind; `^` is the start of the text all the same.
    pub(in crate::programs) fn find(&self, text: &str, from: usize) -> Option<Found> {
        if let Some(literal) = &self.literal {
            let start = from + text.get(from..)?.find(literal.as_str())?;
            let mut slots = [NOWHERE; SLOTS];
            (slots[0], slots[1]) = (start, start + literal.len());
            return Some(Found(slots));
        }
        let mut best: Option<[usize; SLOTS]> = None;
        let (mut now, mut next) = (Threads::new(self.program.len()), Threads::new(self.program.len()));
        let mut before = text.get(..from)?.chars().next_back();
        let mut letters = text.get(from..)?.char_indices().map(|(at, letter)| (from + at, letter)).peekable();
        loop {
            let (at, letter) = letters.peek().map_or((text.len(), None), |(at, letter)| (*at, Some(*letter)));
            let place = Place { at, before, behind: letter };
            if best.is_none() {
                now.add(self, 0, [NOWHERE; SLOTS], place);
            }
            if now.list.is_empty() && best.is_some() {
                return best.map(Found);
            }
            let width = letters.next().map_or(0, |(_, letter)| letter.len_utf8());
            let beyond =
                Place { at: at + width, before: letter, behind: letters.peek().map(|(_, letter)| *letter) };
            for (step, slots) in now.list.drain(..) {
                if best.is_some_and(|best| slots[0] > best[0]) {
                    continue;
                }
                match &self.program[step] {
                    Step::Done if best.is_none_or(|best| slots[0] < best[0] || slots[1] > best[1]) => {
                        best = Some(slots);
                    }
                    Step::Take(atom) if letter.is_some_and(|letter| atom.takes(letter, self.fold)) => {
                        next.add(self, step + 1, slots, beyond);
                    }
                    _ => {}
                }
            }
            if letter.is_none() {
                return best.map(Found);
            }
            std::mem::swap(&mut now, &mut next);
            next.clear();
            before = letter;
        }
    }

    /// Whether any part of a text matches.
    pub(in crate::programs) fn is_in(&self, text: &str) -> bool {
        self.find(text, 0).is_some()
    }
}

/// Where a search is.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    before: Option<char>,
    behind: Option<char>,
}

/// The steps that may take the next letter, the preferred one first; each is there once.
struct Threads {
    list: Vec<(usize, [usize; SLOTS])>,
    seen: Vec<bool>,
}

impl Threads {
    fn new(steps: usize) -> Threads {
        Threads { list: Vec::new(), seen: vec![false; steps] }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.seen.fill(false);
    }

    /// Follows everything that takes no letter.
    fn add(&mut self, expression: &Expression, step: usize, slots: [usize; SLOTS], place: Place) {
        let mut waiting = vec![(step, slots)];
        while let Some((step, mut slots)) = waiting.pop() {
            if std::mem::replace(&mut self.seen[step], true) {
                continue;
            }
            match &expression.program[step] {
                Step::Take(_) | Step::Done => self.list.push((step, slots)),
                Step::Assert(assertion) if assertion.holds(place) => waiting.push((step + 1, slots)),
                Step::Assert(_) => {}
                Step::Save(slot) => {
                    slots[*slot] = place.at;
                    waiting.push((step + 1, slots));
                }
                Step::Jump(to) => waiting.push((*to, slots)),
                Step::Split(first, second) => waiting.extend([(*second, slots), (*first, slots)]),
            }
        }
    }
}

impl Assertion {
    fn holds(self, place: Place) -> bool {
        let (before, behind) = (place.before.is_some_and(is_word), place.behind.is_some_and(is_word));
        match self {
            Assertion::LineStart => place.before.is_none(),
            Assertion::LineEnd => place.behind.is_none(),
            Assertion::WordStart => !before && behind,
            Assertion::WordEnd => before && !behind,
            Assertion::WordEdge => before != behind,
            Assertion::NoWordBefore => !before,
            Assertion::NoWordBehind => !behind,
        }
    }
}

impl Atom {
    fn takes(&self, letter: char, fold: bool) -> bool {
        match self {
            Atom::Any => true,
            Atom::Letter(known) if fold => known.to_lowercase().eq(letter.to_lowercase()),
            Atom::Letter(known) => *known == letter,
            Atom::Set { negated, items } => {
                let holds = |letter: char| {
                    items.iter().any(|item| match item {
                        Item::Range(low, high) => (*low..=*high).contains(&letter),
                        Item::Class(class) => class(letter),
                    })
                };
                let folded = || holds(letter.to_ascii_lowercase()) || holds(letter.to_ascii_uppercase());
                (holds(letter) || fold && folded()) != *negated
            }
        }
    }
}
