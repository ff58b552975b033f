//! From the text of an expression to its tree.

use super::LARGEST;

/// Groups inside groups.
const DEEPEST: usize = 50;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Empty,
    Atom(Atom),
    Assertion(Assertion),
    Group(usize, Box<Node>),
    All(Vec<Node>),
    Either(Vec<Node>),
    Repeat { node: Box<Node>, least: usize, most: Option<usize> },
}

#[derive(Debug, Clone)]
pub(super) enum Atom {
    Any,
    Letter(char),
    Set { negated: bool, items: Vec<Item> },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    Range(char, char),
    Class(fn(char) -> bool),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Assertion {
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordEdge,
    NoWordBefore,
    NoWordBehind,
}

/// Reads a basic or extended expression.
pub(super) fn parse(letters: Vec<char>, extended: bool) -> Result<Node, String> {
    let mut parser = Parser { letters, at: 0, extended, groups: 0 };
    let node = parser.alternatives(0)?;
    if parser.at < parser.letters.len() {
        return Err("Unmatched ) or \\)".to_owned());
    }
    Ok(node)
}

struct Parser {
    letters: Vec<char>,
    at: usize,
    extended: bool,
    groups: usize,
}

impl Parser {
    /// Whether the operator `letter` comes next, in the dialect's spelling.
    fn is_next(&self, letter: char) -> bool {
        match self.extended {
            true => self.letters.get(self.at) == Some(&letter),
            false => self.letters[self.at..].starts_with(&['\\', letter]),
        }
    }

    fn skip(&mut self, letter: char) -> bool {
        let found = self.is_next(letter);
        if found {
            self.at += if self.extended { 1 } else { 2 };
        }
        found
    }

    fn alternatives(&mut self, depth: usize) -> Result<Node, String> {
        let mut all = vec![self.sequence(depth)?];
        while self.skip('|') {
            all.push(self.sequence(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Node::Either(all) })
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, String> {
        let mut nodes = Vec::new();
        // A basic expression's `*` and a `^` are special by their place.
        let mut begins = true;
        while self.at < self.letters.len() && !self.is_next('|') {
            if self.is_next(')') && (depth > 0 || !self.extended) {
                break;
            }
            let star = self.letters[self.at] == '*';
            if begins && (star || self.extended && "+?{".contains(self.letters[self.at])) {
                if self.extended && !star {
                    return Err("Invalid preceding regular expression".to_owned());
                }
                self.at += 1;
                nodes.push(Node::Atom(Atom::Letter('*')));
                begins = false;
                continue;
            }
            let node = self.one(depth, begins)?;
            begins = begins && matches!(node, Node::Assertion(Assertion::LineStart));
            let node = if begins { node } else { self.repeated(node)? };
            nodes.push(node);
        }
        Ok(if nodes.is_empty() { Node::Empty } else { Node::All(nodes) })
    }

    fn one(&mut self, depth: usize, begins: bool) -> Result<Node, String> {
        if self.skip('(') {
            if depth >= DEEPEST {
                return Err("Regular expression too big".to_owned());
            }
            self.groups += 1;
            let number = self.groups;
            let inner = self.alternatives(depth + 1)?;
            if !self.skip(')') {
                return Err("Unmatched ( or \\(".to_owned());
            }
            return Ok(Node::Group(number, Box::new(inner)));
        }
        let letter = self.letters[self.at];
        self.at += 1;
        let node = match letter {
            '.' => Node::Atom(Atom::Any),
            '[' => Node::Atom(self.set()?),
            '^' if self.extended || begins => Node::Assertion(Assertion::LineStart),
            '$' if self.extended
                || self.at == self.letters.len()
                || self.is_next('|')
                || self.is_next(')') =>
            {
                Node::Assertion(Assertion::LineEnd)
            }
            '\\' => self.escaped()?,
            letter => Node::Atom(Atom::Letter(letter)),
        };
        Ok(node)
    }

    fn escaped(&mut self) -> Result<Node, String> {
        let Some(letter) = self.letters.get(self.at).copied() else {
            return Err("Trailing backslash".to_owned());
        };
        self.at += 1;
        let class = |negated, class| Node::Atom(Atom::Set { negated, items: vec![Item::Class(class)] });
        Ok(match letter {
            'w' => class(false, is_word),
            'W' => class(true, is_word),
            's' => class(false, char::is_whitespace),
            'S' => class(true, char::is_whitespace),
            'b' => Node::Assertion(Assertion::WordEdge),
            '<' => Node::Assertion(Assertion::WordStart),
            '>' => Node::Assertion(Assertion::WordEnd),
            'n' => Node::Atom(Atom::Letter('\n')),
            't' => Node::Atom(Atom::Letter('\t')),
            '1'..='9' => return Err(format!("a reference back to a group (\\{letter}) is not supported")),
            letter => Node::Atom(Atom::Letter(letter)),
        })
    }

    /// What is behind an atom: `*`, `+`, `?` and counts.
    fn repeated(&mut self, mut node: Node) -> Result<Node, String> {
        loop {
            let (least, most) = if self.letters.get(self.at) == Some(&'*') {
                self.at += 1;
                (0, None)
            } else if self.skip('+') {
                (1, None)
            } else if self.skip('?') {
                (0, Some(1))
            } else if self.skip('{') {
                self.counts()?
            } else {
                return Ok(node);
            };
            // Whatever often nothing is repeated, it is nothing.
            if !matches!(node, Node::Empty | Node::Assertion(_)) {
                node = Node::Repeat { node: Box::new(node), least, most };
            }
        }
    }

    /// `N}`, `N,}`, `,M}` or `N,M}`.
    fn counts(&mut self) -> Result<(usize, Option<usize>), String> {
        let least = self.number();
        let comma = self.letters.get(self.at) == Some(&',');
        self.at += usize::from(comma);
        let most = if comma { self.number() } else { least };
        if !self.skip('}') {
            return Err("Unmatched { or \\{".to_owned());
        }
        match (least, most) {
            (None, None) if !comma => Err("Invalid content of \\{\\}".to_owned()),
            (least, Some(most)) if least.unwrap_or(0) > most => Err("Invalid content of \\{\\}".to_owned()),
            (least, most) if least.max(most).is_some_and(|count| count > LARGEST) => {
                Err("Regular expression too big".to_owned())
            }
            (least, most) => Ok((least.unwrap_or(0), most)),
        }
    }

    fn number(&mut self) -> Option<usize> {
        let digits: String = self.letters[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        self.at += digits.len();
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX))
    }

    /// A set behind its bracket.
    fn set(&mut self) -> Result<Atom, String> {
        let unmatched = || "Unmatched [, [^, [:, [., or [=".to_owned();
        let negated = self.letters.get(self.at) == Some(&'^');
        self.at += usize::from(negated);
        let (mut items, first) = (Vec::new(), self.at);
        loop {
            let low = *self.letters.get(self.at).ok_or_else(unmatched)?;
            if low == ']' && self.at > first {
                self.at += 1;
                return Ok(Atom::Set { negated, items });
            }
            let rest = &self.letters[self.at..];
            if rest.starts_with(&['[', ':']) {
                let end = rest.windows(2).position(|two| two == [':', ']']).ok_or_else(unmatched)?;
                let name: String = rest[2..end.max(2)].iter().collect();
                items.push(Item::Class(class(&name).ok_or("Invalid character class name")?));
                self.at += end + 2;
            } else if let [low, '-', high, ..] = *rest
                && high != ']'
            {
                if low > high {
                    return Err("Invalid range end".to_owned());
                }
                items.push(Item::Range(low, high));
                self.at += 3;
            } else {
                items.push(Item::Range(low, low));
                self.at += 1;
            }
        }
    }
}

pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The letters of a class of POSIX's C locale.
fn class(name: &str) -> Option<fn(char) -> bool> {
    Some(match name {
        "alnum" => |c| c.is_ascii_alphanumeric(),
        "alpha" => |c| c.is_ascii_alphabetic(),
        "blank" => |c| c == ' ' || c == '\t',
        "cntrl" => |c| c.is_ascii_control(),
        "digit" => |c| c.is_ascii_digit(),
        "graph" => |c| c.is_ascii_graphic(),
        "lower" => |c| c.is_ascii_lowercase(),
        "print" => |c| c == ' ' || c.is_ascii_graphic(),
        "punct" => |c| c.is_ascii_punctuation(),
        "space" => |c| c.is_ascii_whitespace() || c == '\x0b',
        "upper" => |c| c.is_ascii_uppercase(),
        "xdigit" => |c| c.is_ascii_hexdigit(),
        _ => return None,
    })
}
