//! Regular expressions of POSIX, basic and extended, for the programs that search text.
//!
//! The leftmost longest match is found by following all ways through an expression at once (Thompson's construction), so
//! that the time is linear in the line whatever the expression. Groups are remembered for `\1` to `\9` of a replacement.
//! GNU's `\w`, `\s`, `\b`, `\<` and `\>` are known. Limits: an expression compiles to at most [`LARGEST`] steps, groups
//! nest [`DEEPEST`] deep, and a reference back to a group inside an expression is refused.

/// Steps an expression may compile to; counts (`a\{9\}`) multiply them.
const LARGEST: usize = 4_000;

/// Groups inside groups.
const DEEPEST: usize = 50;

/// The whole match and nine groups, each with its start and end.
const SLOTS: usize = 20;

/// No position.
const NOWHERE: usize = usize::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Every letter is itself.
    Fixed,
    /// `\(`, `\|` and `\{` are special.
    Basic,
    /// `(`, `|` and `{` are.
    Extended,
}

/// What a match must be beside matching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// Any part of a line.
    Part,
    /// Words: no letter of a word stands before or behind it.
    Words,
    /// The whole line.
    Line,
}

/// An expression that can be searched for.
#[derive(Debug)]
pub(super) struct Expression {
    program: Vec<Step>,
    /// The expression is this text and nothing else.
    literal: Option<String>,
    fold: bool,
}

/// A match: byte positions of its start and end, then those of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found([usize; SLOTS]);

#[derive(Debug, Clone)]
enum Node {
    Empty,
    Atom(Atom),
    Assertion(Assertion),
    Group(usize, Box<Node>),
    All(Vec<Node>),
    Either(Vec<Node>),
    Repeat { node: Box<Node>, least: usize, most: Option<usize> },
}

#[derive(Debug, Clone)]
enum Atom {
    Any,
    Letter(char),
    Set { negated: bool, items: Vec<Item> },
}

#[derive(Debug, Clone, Copy)]
enum Item {
    Range(char, char),
    Class(fn(char) -> bool),
}

#[derive(Debug, Clone, Copy)]
enum Assertion {
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordEdge,
    NoWordBefore,
    NoWordBehind,
}

#[derive(Debug)]
enum Step {
    Take(Atom),
    Assert(Assertion),
    Save(usize),
    Jump(usize),
    /// The first is preferred.
    Split(usize, usize),
    Done,
}

impl Found {
    pub(super) fn start(&self) -> usize {
        self.0[0]
    }

    pub(super) fn end(&self) -> usize {
        self.0[1]
    }

    /// The text of a group, 0 for the whole match; `None` if it took no part.
    pub(super) fn group<'a>(&self, text: &'a str, group: usize) -> Option<&'a str> {
        let (start, end) = (*self.0.get(2 * group)?, *self.0.get(2 * group + 1)?);
        text.get(start..end)
    }
}

impl Expression {
    /// Reads an expression; the error is the reason alone, as `regerror(3)` words it where it has words.
    pub(super) fn new(
        pattern: &str,
        dialect: Dialect,
        fold: bool,
        whole: Whole,
    ) -> Result<Expression, String> {
        let letters: Vec<char> = pattern.chars().collect();
        let special: &[char] = &['\\', '.', '[', '*', '^', '$', '+', '?', '(', ')', '{', '}', '|'];
        let plain = dialect == Dialect::Fixed || !pattern.contains(special);
        let node = match dialect {
            Dialect::Fixed => {
                Node::All(letters.iter().map(|letter| Node::Atom(Atom::Letter(*letter))).collect())
            }
            Dialect::Basic | Dialect::Extended => {
                let mut parser = Parser { letters, at: 0, extended: dialect == Dialect::Extended, groups: 0 };
                let node = parser.alternatives(0)?;
                if parser.at < parser.letters.len() {
                    return Err("Unmatched ) or \\)".to_owned());
                }
                node
            }
        };
        let (before, behind) = match whole {
            Whole::Part => (None, None),
            Whole::Words => (Some(Assertion::NoWordBefore), Some(Assertion::NoWordBehind)),
            Whole::Line => (Some(Assertion::LineStart), Some(Assertion::LineEnd)),
        };
        let mut expression = Expression {
            program: vec![Step::Save(0)],
            literal: (plain && !fold && whole == Whole::Part).then(|| pattern.to_owned()),
            fold,
        };
        expression.program.extend(before.map(Step::Assert));
        expression.compile(&node)?;
        expression.program.extend(behind.map(Step::Assert));
        expression.program.extend([Step::Save(1), Step::Done]);
        Ok(expression)
    }

    /// The leftmost longest match that starts at byte `from` or behind; `^` is the start of the text all the same.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<Found> {
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
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.find(text, 0).is_some()
    }

    fn compile(&mut self, node: &Node) -> Result<(), String> {
        if self.program.len() > LARGEST {
            return Err("Regular expression too big".to_owned());
        }
        match node {
            Node::Empty => {}
            Node::Atom(atom) => self.program.push(Step::Take(atom.clone())),
            Node::Assertion(assertion) => self.program.push(Step::Assert(*assertion)),
            Node::Group(number, inner) => {
                let kept = 2 * number + 1 < SLOTS;
                self.program.extend(kept.then_some(Step::Save(2 * number)));
                self.compile(inner)?;
                self.program.extend(kept.then_some(Step::Save(2 * number + 1)));
            }
            Node::All(nodes) => {
                for node in nodes {
                    self.compile(node)?;
                }
            }
            Node::Either(nodes) => {
                let mut ends = Vec::new();
                for (index, node) in nodes.iter().enumerate() {
                    let split = self.program.len();
                    let last = index + 1 == nodes.len();
                    if !last {
                        self.program.push(Step::Jump(0));
                    }
                    self.compile(node)?;
                    if !last {
                        ends.push(self.program.len());
                        self.program.push(Step::Jump(0));
                        self.program[split] = Step::Split(split + 1, self.program.len());
                    }
                }
                for end in ends {
                    self.program[end] = Step::Jump(self.program.len());
                }
            }
            Node::Repeat { node, least, most } => {
                for _ in 0..*least {
                    let steps = self.program.len();
                    self.compile(node)?;
                    if steps == self.program.len() {
                        // Nothing, however often.
                        return Ok(());
                    }
                }
                match most {
                    None => {
                        let split = self.program.len();
                        self.program.push(Step::Jump(0));
                        self.compile(node)?;
                        self.program.push(Step::Jump(split));
                        self.program[split] = Step::Split(split + 1, self.program.len());
                    }
                    Some(most) => {
                        let mut splits = Vec::new();
                        for _ in *least..*most {
                            splits.push(self.program.len());
                            self.program.push(Step::Jump(0));
                            self.compile(node)?;
                        }
                        for split in splits {
                            self.program[split] = Step::Split(split + 1, self.program.len());
                        }
                    }
                }
            }
        }
        Ok(())
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

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
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

/// The letters of a class of POSIX's C locale.
pub(super) fn class(name: &str) -> Option<fn(char) -> bool> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(dialect: Dialect, pattern: &str, line: &'a str) -> Option<Vec<&'a str>> {
        let found = Expression::new(pattern, dialect, false, Whole::Part).unwrap().find(line, 0)?;
        let groups: Vec<_> = (0..10).map_while(|group| found.group(line, group)).collect();
        // A group that nothing is in says no more here.
        Some(
            groups
                .into_iter()
                .enumerate()
                .filter(|(at, text)| *at == 0 || !text.is_empty())
                .map(|(_, text)| text)
                .collect(),
        )
    }

    fn basic<'a>(pattern: &str, line: &'a str) -> Option<Vec<&'a str>> {
        found(Dialect::Basic, pattern, line)
    }

    fn extended<'a>(pattern: &str, line: &'a str) -> Option<Vec<&'a str>> {
        found(Dialect::Extended, pattern, line)
    }

    #[test]
    fn basic_expressions() {
        assert_eq!(basic("^Address: ", "Address: 1.2.3.4"), Some(vec!["Address: "]));
        assert_eq!(basic("^Address: ", " Address: 1.2.3.4"), None);
        assert_eq!(basic("seq=.*ttl=64", "x seq=0 ttl=64 time=1"), Some(vec!["seq=0 ttl=64"]));
        assert!(basic("a\\|b$", "xb").is_some() && basic("x\\|b$", "bc").is_none());
        assert!(basic("[0-9][0-9]*x", "a12x").is_some() && basic("[^0-9]x", "2x").is_none());
        assert_eq!(basic("a+b", "aab a+b"), Some(vec!["a+b"]));
        assert_eq!(
            basic("inet \\([0-9.]*\\)/\\([0-9]\\{1,2\\}\\)", "  inet 10.0.0.2/24 x").unwrap()[1..],
            ["10.0.0.2", "24"]
        );
        assert_eq!(basic("*a^b$c", "x*a^b$c"), Some(vec!["*a^b$c"]));
        assert_eq!(basic("[]x]*[[:space:]]", "a]x b"), Some(vec!["]x "]));
        assert_eq!(basic("\\<ab\\>", "cab ab"), Some(vec!["ab"]));
    }

    #[test]
    fn extended_expressions_take_the_leftmost_longest() {
        assert_eq!(extended("a|ab|abc", "xabc"), Some(vec!["abc"]));
        assert_eq!(extended("(a|b)*c", "xababc"), Some(vec!["ababc", "b"]));
        assert_eq!(extended("([0-9]{1,3}\\.){3}[0-9]{1,3}", "at 10.0.0.255/8").unwrap()[0], "10.0.0.255");
        assert_eq!(extended("x*", "axx"), Some(vec![""]));
        assert_eq!(extended("(^|,)b($|,)", "a,b"), Some(vec![",b", ","]));
        assert_eq!(extended("(a*)*b?", "aab").unwrap()[0], "aab");
        assert_eq!(extended("ä.", "xäöü"), Some(vec!["äö"]));
    }

    #[test]
    fn words_lines_and_case() {
        let is_in = |fold, whole, line: &str| {
            Expression::new("eth0", Dialect::Basic, fold, whole).unwrap().is_in(line)
        };
        assert!(is_in(false, Whole::Words, "eth01 eth0:") && !is_in(false, Whole::Words, "veth0 eth01"));
        assert!(is_in(false, Whole::Line, "eth0") && !is_in(false, Whole::Line, "eth0:"));
        assert!(is_in(true, Whole::Part, "ETH0") && !is_in(false, Whole::Part, "ETH0"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong =
            |pattern: &str| Expression::new(pattern, Dialect::Extended, false, Whole::Part).unwrap_err();
        assert_eq!(wrong("[a"), "Unmatched [, [^, [:, [., or [=");
        assert_eq!(wrong("(a"), "Unmatched ( or \\(");
        assert_eq!(wrong("a\\"), "Trailing backslash");
        assert_eq!(wrong("+a"), "Invalid preceding regular expression");
        assert_eq!(wrong("[[:frob:]]"), "Invalid character class name");
        assert_eq!(wrong("a{2,1}"), "Invalid content of \\{\\}");
        assert_eq!(wrong("((a{99}){99}){99}"), "Regular expression too big");
        assert_eq!(wrong("(((((()){3000}){3000}){3000}){3000}){3000}"), "Regular expression too big");
        assert_eq!(wrong(&"(".repeat(100_000)), "Regular expression too big");
        assert!(wrong("(a)\\1").contains("not supported"));
    }

    #[test]
    fn time_is_linear_in_the_line() {
        let line = "a".repeat(20_000);
        assert_eq!(extended(&format!("{}b", "(a*)*".repeat(8)), &line), None);
        assert_eq!(extended("(a|aa)+$", &line).unwrap()[0].len(), line.len());
    }
}
