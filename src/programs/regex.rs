//! Regular expressions of POSIX, basic and extended, for the programs that search text.
//!
//! The leftmost longest match is found by following all ways through an expression at once (Thompson's construction), so
//! that the time is linear in the line whatever the expression. Groups are remembered for `\1` to `\9` of a replacement.
//! GNU's `\w`, `\s`, `\b`, `\<` and `\>` are known. Limits: an expression compiles to at most [`LARGEST`] steps, groups
//! nest `parse::DEEPEST` deep, and a reference back to a group inside an expression is refused.

mod parse;
mod search;

use parse::{Assertion, Atom, Node, parse};

/// Steps an expression may compile to; counts (`a\{9\}`) multiply them.
const LARGEST: usize = 4_000;

/// The whole match and nine groups, each with its start and end.
const SLOTS: usize = 20;

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
            Dialect::Basic | Dialect::Extended => parse(letters, dialect == Dialect::Extended)?,
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
