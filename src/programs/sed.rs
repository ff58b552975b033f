//! `sed [-nE] [-e] SCRIPT [FILE]...`, as far as people pipe into it: `s/RE/TEXT/[gp]`, `p`, `d` and `q`, each with an
//! address (`3`, `$`, `/RE/`, `2,5`) or without one. Expressions are grep's; anything else is refused.

use super::grep::{Dialect, Expression};
use super::options::{Failure, Options, Syntax, finish};
use super::{arguments, text};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "nrEe:",
    long: &[],
    stop_at_operand: false,
    usage: "sed [-nrE] [-e CMD]... [FILE]...\nor: sed [-nrE] CMD [FILE]...\n\n\
            \t-e CMD\tAdd CMD to sed commands to be executed\n\
            \t-n\tSuppress automatic printing of pattern space\n\
            \t-r,-E\tUse extended regex syntax",
};

/// Edits lines.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let mut options = Options::parse(program, words, &SYNTAX)?;
    let mut scripts: Vec<String> = options.values('e').map(str::to_owned).collect();
    if scripts.is_empty() {
        if options.operands.is_empty() {
            return Err(Failure::usage("", SYNTAX.usage));
        }
        scripts.push(options.operands.remove(0));
    }
    let dialect = if options.has('E') || options.has('r') { Dialect::Extended } else { Dialect::Basic };
    let mut commands = Vec::new();
    for script in &scripts {
        let read = read(script, dialect).map_err(|message| Failure::new(program, message))?;
        commands.extend(read);
    }
    let content = text::read_all(sys, program, &options.operands).await?;
    let lines = text::lines(&content);
    let quiet = options.has('n');
    'lines: for (at, line) in lines.iter().enumerate() {
        let (number, last) = (at + 1, at + 1 == lines.len());
        let mut space = line.clone();
        for command in &commands {
            if !command.address.holds(number, last, &space) {
                continue;
            }
            match &command.verb {
                Verb::Print => sys.print(format!("{space}\n")).await,
                Verb::Delete => continue 'lines,
                Verb::Quit => {
                    if !quiet {
                        sys.print(format!("{space}\n")).await;
                    }
                    return Ok(ExitCode::SUCCESS);
                }
                Verb::Substitute { expression, with, all, print } => {
                    if let Some(changed) = substituted(&space, expression, with, *all) {
                        space = changed;
                        if *print {
                            sys.print(format!("{space}\n")).await;
                        }
                    }
                }
            }
        }
        if !quiet {
            sys.print(format!("{space}\n")).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Command {
    address: Address,
    verb: Verb,
}

enum Address {
    Every,
    Line(usize),
    Last,
    Range(usize, Option<usize>),
    Matching(Expression),
}

enum Verb {
    Print,
    Delete,
    Quit,
    Substitute { expression: Expression, with: String, all: bool, print: bool },
}

impl Address {
    fn holds(&self, number: usize, last: bool, line: &str) -> bool {
        match self {
            Address::Every => true,
            Address::Line(wanted) => number == *wanted,
            Address::Last => last,
            // A range whose end is not behind its start is its first line.
            Address::Range(first, end) => {
                number == *first || number > *first && end.is_none_or(|end| number <= end)
            }
            Address::Matching(expression) => expression.find(line).is_some(),
        }
    }
}

/// Reads a script; the error says what is not known.
fn read(script: &str, dialect: Dialect) -> Result<Vec<Command>, String> {
    let mut commands = Vec::new();
    let mut rest = script.trim_start_matches([' ', ';', '\n']);
    while !rest.is_empty() {
        let (address, behind) = address(rest, dialect)?;
        let mut letters = behind.chars();
        let verb = letters.next();
        rest = letters.as_str();
        let verb = match verb {
            Some('p') => Verb::Print,
            Some('d') => Verb::Delete,
            Some('q') => Verb::Quit,
            Some('s') => {
                let mark = letters.next().ok_or("unmatched '/'")?;
                let (pattern, behind) = until(letters.as_str(), mark)?;
                let (with, behind) = until(behind, mark)?;
                let end = behind.find([';', '\n', '}']).unwrap_or(behind.len());
                let flags = behind[..end].trim();
                if let Some(flag) = flags.chars().find(|flag| !"gp".contains(*flag)) {
                    return Err(format!("unsupported option '{flag}' of s"));
                }
                rest = &behind[end..];
                Verb::Substitute {
                    expression: Expression::parse(&pattern, dialect)?,
                    with,
                    all: flags.contains('g'),
                    print: flags.contains('p'),
                }
            }
            Some(other) => return Err(format!("unsupported command {other}")),
            None => return Err("missing command".to_owned()),
        };
        commands.push(Command { address, verb });
        let separated = rest.trim_start_matches(' ');
        if !separated.is_empty() && !separated.starts_with([';', '\n']) {
            return Err(format!("unsupported command {separated}"));
        }
        rest = separated.trim_start_matches([' ', ';', '\n']);
    }
    Ok(commands)
}

fn address(text: &str, dialect: Dialect) -> Result<(Address, &str), String> {
    if let Some(rest) = text.strip_prefix('$') {
        return Ok((Address::Last, rest));
    }
    if let Some(rest) = text.strip_prefix('/') {
        let (pattern, rest) = until(rest, '/')?;
        return Ok((Address::Matching(Expression::parse(&pattern, dialect)?), rest));
    }
    let (first, rest) = number(text);
    let Some(first) = first else { return Ok((Address::Every, rest)) };
    let Some(rest) = rest.strip_prefix(',') else { return Ok((Address::Line(first), rest)) };
    if let Some(rest) = rest.strip_prefix('$') {
        return Ok((Address::Range(first, None), rest));
    }
    match number(rest) {
        (Some(last), rest) => Ok((Address::Range(first, Some(last)), rest)),
        (None, _) => Err("unsupported address behind ','".to_owned()),
    }
}

fn number(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}

/// The text before a mark, an escaped mark standing for itself, and what is behind the mark.
fn until(text: &str, mark: char) -> Result<(String, &str), String> {
    let mut found = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == mark {
            return Ok((found, &text[at + letter.len_utf8()..]));
        }
        if letter == '\\' {
            match letters.next() {
                Some((_, next)) if next == mark => found.push(mark),
                Some((_, next)) => found.extend(['\\', next]),
                None => {}
            }
            continue;
        }
        found.push(letter);
    }
    Err(format!("unmatched '{mark}'"))
}

/// The line with the first match or all of them replaced; `None` if there is none.
fn substituted(line: &str, expression: &Expression, with: &str, all: bool) -> Option<String> {
    let letters: Vec<char> = line.chars().collect();
    let (mut text, mut at, mut found) = (String::new(), 0, false);
    // A later search must not take a middle for the line's start.
    while at <= letters.len() && (all || !found) && (at == 0 || !expression.is_anchored()) {
        let rest: String = letters[at..].iter().collect();
        let Some((start, end)) = expression.find(&rest) else { break };
        found = true;
        text.extend(&letters[at..at + start]);
        let matched: String = letters[at + start..at + end].iter().collect();
        text += &replacement(with, &matched);
        at += end;
        if start == end {
            text.extend(letters.get(at));
            at += 1;
        }
    }
    text.extend(letters.get(at..).into_iter().flatten());
    found.then_some(text)
}

/// `&` is what matched, `\n` a line end, any other escaped letter itself.
fn replacement(with: &str, matched: &str) -> String {
    let mut text = String::new();
    let mut letters = with.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '&' => text += matched,
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                other => text.extend(other),
            },
            other => text.push(other),
        }
    }
    text
}
