//! `sort [-nrufs] [-t CHAR] [-k N[,M][nrf]] [FILE]...`, by bytes.
//!
//! Everything has to be there before the first line comes out, so the input is bounded: more than [`MOST`] bytes end it
//! with `out of memory`.

use std::cmp::Ordering;

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::text::{BROKEN_PIPE, Complaint, Input, Line, Lines, MOST, out_of_memory};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "rnufsk:t:",
    long: &[],
    stop_at_operand: false,
    usage: "sort [-nrufst] [-k N[,M][nrf]] [-t CHAR] [FILE]...\n\n\
            Sort lines of text\n\n\
            \t-f\tIgnore case\n\
            \t-n\tSort numbers\n\
            \t-t CHAR\tField separator\n\
            \t-k N[,M] Sort by Nth field\n\
            \t-r\tReverse sort order\n\
            \t-s\tStable (don't sort ties alphabetically)\n\
            \t-u\tSuppress duplicate lines",
};

/// Sorts its input.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await.map_err(|failure| Failure { status: ExitCode(2), ..failure });
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let order = Order::new(program, &options)?;
    let (mut lines, mut size) = (Vec::new(), 0);
    let mut input = Lines::new(Input::new(sys, program, &options.operands, Complaint::Name));
    while let Some(Line { text, .. }) = input.line().await? {
        size += text.len() + size_of::<String>();
        if size > MOST {
            return Err(out_of_memory(program, &format!("more than {} MiB cannot be sorted", MOST >> 20)));
        }
        lines.push(text);
    }
    lines.sort_by(|a, b| order.compare(a, b));
    if options.has('u') {
        lines.dedup_by(|a, b| order.by_keys(a, b) == Ordering::Equal);
    }
    for line in lines {
        if sys.write((line + "\n").as_bytes()).await.is_err() {
            return Ok(BROKEN_PIPE);
        }
    }
    Ok(if input.input.complete { ExitCode::SUCCESS } else { ExitCode(2) })
}

struct Order {
    separator: Option<char>,
    keys: Vec<Key>,
    reverse: bool,
    /// Lines whose keys are equal stay as they came.
    stable: bool,
}

struct Key {
    first: usize,
    last: Option<usize>,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct How {
    number: bool,
    reverse: bool,
    fold: bool,
}

impl Order {
    fn new(program: &str, options: &Options) -> Result<Order, Failure> {
        let letters = options.value('t').map(|text| text.chars().collect::<Vec<_>>());
        let separator = match letters.as_deref() {
            None => None,
            Some([letter]) => Some(*letter),
            Some(_) => return Err(Failure::new(program, "bad -t parameter")),
        };
        let how = How { number: options.has('n'), reverse: options.has('r'), fold: options.has('f') };
        let bad = || Failure::new(program, "bad field specification");
        let mut keys = Vec::new();
        for text in options.values('k') {
            keys.push(Key::parse(text, how).ok_or_else(bad)?);
        }
        if keys.is_empty() {
            keys.push(Key { first: 1, last: None, how });
        }
        Ok(Order { separator, keys, reverse: how.reverse, stable: options.has('s') || options.has('u') })
    }

    fn compare(&self, a: &str, b: &str) -> Ordering {
        let ties = || if self.reverse { b.cmp(a) } else { a.cmp(b) };
        self.by_keys(a, b).then_with(|| if self.stable { Ordering::Equal } else { ties() })
    }

    fn by_keys(&self, a: &str, b: &str) -> Ordering {
        let each = self.keys.iter().map(|key| {
            let (a, b) = (key.of(a, self.separator), key.of(b, self.separator));
            let ordered = match (key.how.number, key.how.fold) {
                (true, _) => number(a).total_cmp(&number(b)),
                (false, true) => a.to_uppercase().cmp(&b.to_uppercase()),
                (false, false) => a.cmp(b),
            };
            if key.how.reverse { ordered.reverse() } else { ordered }
        });
        each.fold(Ordering::Equal, Ordering::then)
    }
}

impl Key {
    /// `N[,M]` with letters behind either; without letters of its own a key is compared as `how` says.
    fn parse(text: &str, how: How) -> Option<Key> {
        let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
        if letters.chars().any(|letter| !"bnrf".contains(letter)) {
            return None;
        }
        let field = |text: &str| {
            text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic())
                .parse::<usize>()
                .ok()
                .filter(|field| *field > 0)
        };
        let (first, last) = match text.split_once(',') {
            Some((first, last)) => (field(first)?, Some(field(last)?)),
            None => (field(text)?, None),
        };
        let own = How {
            number: letters.contains('n'),
            reverse: letters.contains('r'),
            fold: letters.contains('f'),
        };
        Some(Key { first, last, how: if letters.is_empty() { how } else { own } })
    }

    /// The part of a line from the first field to the last, without a separator between, with its blanks before it.
    fn of<'a>(&self, line: &'a str, separator: Option<char>) -> &'a str {
        let start = skip(line, self.first - 1, separator);
        let start = if self.first > 1 && separator.is_some() { behind(line, start) } else { start };
        let end = self.last.map_or(line.len(), |last| skip(line, last, separator));
        line.get(start..end).unwrap_or_default()
    }
}

/// Where so many fields end.
fn skip(line: &str, fields: usize, separator: Option<char>) -> usize {
    let mut at = 0;
    for field in 0..fields {
        match separator {
            Some(mark) => {
                let start = if field > 0 { behind(line, at) } else { at };
                at = line[start..].find(mark).map_or(line.len(), |length| start + length);
            }
            None => {
                let rest = &line[at..];
                let blanks = rest.len() - rest.trim_start().len();
                at += rest[blanks..].find(char::is_whitespace).map_or(rest.len(), |word| blanks + word);
            }
        }
        if at == line.len() {
            break;
        }
    }
    at
}

/// Behind the letter at a place.
fn behind(line: &str, at: usize) -> usize {
    at + line[at..].chars().next().map_or(0, char::len_utf8)
}

fn number(text: &str) -> f64 {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    text[..end].parse().unwrap_or(0.0)
}
