//! `grep [-vqicwoEF] PATTERN [FILE]...`.
//!
//! Patterns are basic or extended expressions as far as people pipe into them: literal text, `.`, `*`, `+`, `?`,
//! `[set]`, `^`, `$`, and alternatives with `|` (`\|` without -E). Groups are refused.

use super::options::{Failure, Options, Syntax, finish};
use super::{arguments, text};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "vqicoEFe:n",
    long: &[],
    stop_at_operand: false,
    usage: "grep [-vqicnoEF] PATTERN [FILE]...",
};

/// Prints the lines that match; status 1 if there is none.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let mut options = Options::parse(program, words, &SYNTAX)?;
    let pattern = match options.value('e') {
        Some(pattern) => pattern.to_owned(),
        None if options.operands.is_empty() => return Err(Failure::usage("", SYNTAX.usage)),
        None => options.operands.remove(0),
    };
    let fold = options.has('i');
    let pattern = if fold { pattern.to_lowercase() } else { pattern };
    let dialect = match (options.has('F'), options.has('E')) {
        (true, _) => Dialect::Fixed,
        (false, true) => Dialect::Extended,
        (false, false) => Dialect::Basic,
    };
    let expression = Expression::parse(&pattern, dialect)
        .map_err(|message| Failure { text: format!("{program}: {message}\n"), status: ExitCode(2) })?;
    let content = text::read_all(sys, program, &options.operands)
        .await
        .map_err(|failure| Failure { status: ExitCode(2), ..failure })?;
    let mut count = 0;
    for (number, line) in text::lines(&content).into_iter().enumerate() {
        let subject = if fold { line.to_lowercase() } else { line.clone() };
        let found = expression.find(&subject);
        if found.is_some() == options.has('v') {
            continue;
        }
        count += 1;
        if options.has('q') {
            return Ok(ExitCode::SUCCESS);
        }
        if options.has('c') {
            continue;
        }
        let prefix = if options.has('n') { format!("{}:", number + 1) } else { String::new() };
        let shown: String = match (options.has('o'), found) {
            (true, Some((start, end))) => line.chars().skip(start).take(end - start).collect(),
            _ => line,
        };
        sys.print(format!("{prefix}{shown}\n")).await;
    }
    if options.has('c') {
        sys.print(format!("{count}\n")).await;
    }
    Ok(if count > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Fixed,
    Basic,
    Extended,
}

/// A pattern: alternatives, each a list of repeated atoms.
pub(super) struct Expression {
    alternatives: Vec<Alternative>,
}

struct Alternative {
    start: bool,
    end: bool,
    pieces: Vec<Piece>,
}

struct Piece {
    atom: Atom,
    least: usize,
    many: bool,
}

enum Atom {
    Any,
    Letter(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Expression {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(pattern: &str, dialect: Dialect) -> Result<Expression, String> {
        let letters: Vec<char> = pattern.chars().collect();
        if dialect == Dialect::Fixed {
            let pieces = letters.into_iter().map(|c| Piece { atom: Atom::Letter(c), least: 1, many: false });
            let alternative = Alternative { start: false, end: false, pieces: pieces.collect() };
            return Ok(Expression { alternatives: vec![alternative] });
        }
        let mut alternatives = Vec::new();
        let mut current = Alternative { start: false, end: false, pieces: Vec::new() };
        let mut at = 0;
        while at < letters.len() {
            let escaped = letters[at] == '\\' && at + 1 < letters.len();
            let letter = if escaped { letters[at + 1] } else { letters[at] };
            at += if escaped { 2 } else { 1 };
            let special = escaped != (dialect == Dialect::Extended);
            match letter {
                '|' if special => {
                    alternatives.push(current);
                    current = Alternative { start: false, end: false, pieces: Vec::new() };
                }
                '(' | ')' | '{' | '}' if special => {
                    return Err(format!("unsupported pattern '{pattern}': expected no groups or counts"));
                }
                '+' | '?' if special && !current.pieces.is_empty() => repeat(&mut current, letter),
                '*' if !escaped && !current.pieces.is_empty() => repeat(&mut current, letter),
                '^' if !escaped && current.pieces.is_empty() => current.start = true,
                '$' if !escaped && (at == letters.len() || letters[at] == '|') => current.end = true,
                '.' if !escaped => current.pieces.push(Piece { atom: Atom::Any, least: 1, many: false }),
                '[' if !escaped => {
                    let atom = parse_set(&letters, &mut at)
                        .ok_or_else(|| format!("bad regex '{pattern}': unmatched ["))?;
                    current.pieces.push(Piece { atom, least: 1, many: false });
                }
                letter => current.pieces.push(Piece { atom: Atom::Letter(letter), least: 1, many: false }),
            }
        }
        alternatives.push(current);
        Ok(Expression { alternatives })
    }

    /// Whether it matches at the start of a line only.
    pub(super) fn is_anchored(&self) -> bool {
        self.alternatives.iter().all(|alternative| alternative.start)
    }

    /// Where the first match starts and ends, in characters.
    pub(super) fn find(&self, line: &str) -> Option<(usize, usize)> {
        let letters: Vec<char> = line.chars().collect();
        let starts = 0..=letters.len();
        starts.into_iter().find_map(|start| {
            let tried = self.alternatives.iter().filter(|a| !a.start || start == 0);
            let longest = tried.filter_map(|a| match_here(&a.pieces, a.end, &letters, start)).max();
            longest.map(|end| (start, end))
        })
    }
}

fn repeat(alternative: &mut Alternative, letter: char) {
    if let Some(piece) = alternative.pieces.last_mut() {
        piece.least = usize::from(letter == '+');
        piece.many = letter != '?';
    }
}

fn parse_set(letters: &[char], at: &mut usize) -> Option<Atom> {
    let negated = letters.get(*at) == Some(&'^');
    *at += usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        let low = *letters.get(*at)?;
        if low == ']' && !ranges.is_empty() {
            *at += 1;
            return Some(Atom::Set { negated, ranges });
        }
        if letters.get(*at + 1) == Some(&'-') && letters.get(*at + 2).is_some_and(|high| *high != ']') {
            ranges.push((low, letters[*at + 2]));
            *at += 3;
        } else {
            ranges.push((low, low));
            *at += 1;
        }
    }
}

/// The positions reachable after each piece, as sets: linear in the line for every pattern.
fn match_here(pieces: &[Piece], end: bool, letters: &[char], start: usize) -> Option<usize> {
    let mut reachable = vec![start];
    for piece in pieces {
        let mut next: Vec<usize> = if piece.least == 0 { reachable.clone() } else { Vec::new() };
        let mut frontier = reachable;
        while !frontier.is_empty() {
            let mut stepped: Vec<usize> = frontier
                .iter()
                .filter(|at| letters.get(**at).is_some_and(|letter| piece.atom.matches(*letter)))
                .map(|at| at + 1)
                .filter(|at| !next.contains(at))
                .collect();
            stepped.dedup();
            next.extend(&stepped);
            frontier = if piece.many { stepped } else { Vec::new() };
        }
        reachable = next;
    }
    reachable.into_iter().filter(|at| !end || *at == letters.len()).max()
}

impl Atom {
    fn matches(&self, letter: char) -> bool {
        match self {
            Atom::Any => true,
            Atom::Letter(known) => *known == letter,
            Atom::Set { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, line: &str) -> bool {
        Expression::parse(pattern, Dialect::Basic).unwrap().find(line).is_some()
    }

    #[test]
    fn basic_expressions() {
        assert!(matches("^Address: ", "Address: 1.2.3.4"));
        assert!(!matches("^Address: ", " Address: 1.2.3.4"));
        assert!(matches("seq=.*ttl=64", "seq=0 ttl=64 time=1"));
        assert!(matches("a\\|b$", "xb") && !matches("a\\|b$", "bx"));
        assert!(matches("[0-9][0-9]*x", "a12x") && !matches("[^0-9]x", "2x"));
        assert!(matches("a+b", "a+b"));
        assert!(Expression::parse("[a", Dialect::Basic).is_err());
    }

    #[test]
    fn repetition_is_not_exponential() {
        let line = "a".repeat(200);
        assert!(!matches(&format!("{}$x", "a*".repeat(20)), &line));
    }
}
