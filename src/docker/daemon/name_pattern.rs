//! The pattern of a name filter: docker takes `--filter name=` for a regular expression, found anywhere in the name.
//!
//! Alternatives (`|`), `^`, `$`, `.`, classes (`[a-z]`, `[^x]`), `\` before a character and `*`, `+`, `?` behind one are
//! known. Groups, counts and `\` before a letter are not: a pattern with these is looked for as it stands. Matching
//! takes the length of the name times that of the pattern.

/// A pattern, ready to be looked for.
#[derive(Debug)]
pub(super) enum NamePattern {
    /// What is looked for as it stands.
    Text(String),
    /// One of these is to be found.
    Alternatives(Vec<Alternative>),
}

/// One alternative of a pattern.
#[derive(Debug, Default)]
pub(super) struct Alternative {
    from_start: bool,
    to_end: bool,
    items: Vec<Item>,
}

/// One place of an alternative.
#[derive(Debug, Clone)]
struct Item {
    what: What,
    /// It may be left out.
    optional: bool,
    /// It may follow itself.
    repeated: bool,
}

/// What fits a place.
#[derive(Debug, Clone)]
enum What {
    Anything,
    Character(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl NamePattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> NamePattern {
        match text.split('|').map(Alternative::parse).collect() {
            Some(alternatives) => NamePattern::Alternatives(alternatives),
            None => NamePattern::Text(text.to_owned()),
        }
    }

    /// Whether it is found in `name`.
    pub(super) fn is_in(&self, name: &str) -> bool {
        match self {
            NamePattern::Text(text) => name.contains(text),
            NamePattern::Alternatives(alternatives) => {
                let name: Vec<char> = name.chars().collect();
                alternatives.iter().any(|alternative| alternative.is_in(&name))
            }
        }
    }
}

impl Alternative {
    fn parse(text: &str) -> Option<Alternative> {
        let mut alternative = Alternative::default();
        let mut rest = text.chars().peekable();
        alternative.from_start = rest.next_if_eq(&'^').is_some();
        while let Some(character) = rest.next() {
            let what = match character {
                '$' if rest.peek().is_none() => {
                    alternative.to_end = true;
                    break;
                }
                '.' => What::Anything,
                '\\' => What::Character(rest.next_if(|next| !next.is_alphanumeric())?),
                '[' => Self::class(&mut rest)?,
                '(' | ')' | '{' | '}' | ']' | '*' | '+' | '?' | '^' | '$' => return None,
                plain => What::Character(plain),
            };
            let mut item = Item { what, optional: false, repeated: false };
            if let Some(quantifier) = rest.next_if(|next| matches!(next, '*' | '+' | '?')) {
                item.optional = quantifier != '+';
                item.repeated = quantifier != '?';
            }
            alternative.items.push(item);
        }
        Some(alternative)
    }

    fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<What> {
        let negated = rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            let first = match rest.next()? {
                ']' => break,
                '\\' | '[' => return None,
                first => first,
            };
            let last = if rest.next_if_eq(&'-').is_some() {
                rest.next().filter(|last| *last != ']')?
            } else {
                first
            };
            ranges.push((first, last));
        }
        Some(What::Class { negated, ranges })
    }

    /// Goes through the name with all places that may be next.
    fn is_in(&self, name: &[char]) -> bool {
        let end = self.items.len();
        let mut next = vec![false; end + 1];
        for at in 0..=name.len() {
            if at == 0 || !self.from_start {
                self.reach(&mut next, 0);
            }
            if next[end] && (!self.to_end || at == name.len()) {
                return true;
            }
            let Some(character) = name.get(at) else { break };
            let mut after = vec![false; end + 1];
            for (place, item) in self.items.iter().enumerate().filter(|(place, _)| next[*place]) {
                if item.what.fits(*character) {
                    self.reach(&mut after, place + 1);
                    after[place] |= item.repeated;
                }
            }
            next = after;
        }
        false
    }

    /// Marks a place, and those behind it that can be had by leaving some out.
    fn reach(&self, places: &mut [bool], from: usize) {
        for (place, marked) in places.iter_mut().enumerate().skip(from) {
            *marked = true;
            if !self.items.get(place).is_some_and(|item| item.optional) {
                break;
            }
        }
    }
}

impl What {
    fn fits(&self, character: char) -> bool {
        match self {
            What::Anything => true,
            What::Character(own) => *own == character,
            What::Class { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_people_write() {
        for (pattern, name, found) in [
            ("a", "bar", true),
            ("^a", "bar", false),
            ("^/?bar$", "/bar", true),
            ("a|b", "xb", true),
            ("^app_.*_1$", "app_web_1", true),
            ("^app_.*_1$", "app_web_12", false),
            ("we?b", "wb", true),
            ("we+b", "weeeb", true),
            ("we+b", "wb", false),
            ("[a-c]x", "cx", true),
            ("[^a-c]x", "cx", false),
            ("a\\.b", "a.b", true),
            ("a\\.b", "axb", false),
            ("(a", "b(a", true),
            ("", "a", true),
            ("a*", "", true),
            ("x*y*$", "ab", true),
        ] {
            assert_eq!(NamePattern::parse(pattern).is_in(name), found, "{pattern} in {name}");
        }
    }

    #[test]
    fn many_repetitions_end() {
        let pattern = NamePattern::parse(&"a*".repeat(1000));
        assert!(pattern.is_in(&"a".repeat(1000)));
        assert!(!NamePattern::parse(&("a*".repeat(1000) + "b$")).is_in(&"a".repeat(1000)));
    }
}
