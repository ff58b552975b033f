//! `sed [-nE] [-e] SCRIPT [FILE]...`, as far as people pipe into it: `s/RE/TEXT/[gp]`, `p`, `d` and `q`, each with an
//! address (`3`, `$`, `/RE/`, `2,5`) or without one. Expressions are grep's; anything else is refused.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::regex::{Dialect, Expression, Found, Whole};
use super::text::{BROKEN_PIPE, Complaint, Input, LONGEST, Line, Lines, out_of_memory};
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
    let quiet = options.has('n');
    let mut lines = Lines::new(Input::new(sys, program, &options.operands, Complaint::Name));
    let (mut next, mut number) = (lines.line().await?, 0);
    'lines: while let Some(Line { text: mut space, ended }) = next {
        // `$` has to know whether there is another.
        next = lines.line().await?;
        let last = next.is_none();
        number += 1;
        // The end of the last line is there if it was.
        let end = if last && !ended { "" } else { "\n" };
        let mut output = String::new();
        let mut ends = false;
        for command in &commands {
            if !command.address.holds(number, last, &space) {
                continue;
            }
            match &command.verb {
                Verb::Print => output += &format!("{space}\n"),
                Verb::Delete => {
                    if sys.write(output.as_bytes()).await.is_err() {
                        return Ok(BROKEN_PIPE);
                    }
                    continue 'lines;
                }
                Verb::Quit => {
                    ends = true;
                    break;
                }
                Verb::Substitute { expression, with, all, print } => {
                    let changed = substituted(&space, expression, with, *all)
                        .map_err(|()| out_of_memory(program, "a line has become longer than 1 MiB"))?;
                    if let Some(changed) = changed {
                        space = changed;
                        if *print {
                            output += &format!("{space}\n");
                        }
                    }
                }
            }
            if output.len() > LONGEST {
                if sys.write(output.as_bytes()).await.is_err() {
                    return Ok(BROKEN_PIPE);
                }
                output.clear();
            }
        }
        if !quiet {
            output += &space;
            output += end;
        } else if end.is_empty() {
            output.truncate(output.trim_end_matches('\n').len());
        }
        if sys.write(output.as_bytes()).await.is_err() {
            return Ok(BROKEN_PIPE);
        }
        if ends {
            break;
        }
    }
    Ok(lines.input.status())
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
            Address::Matching(expression) => expression.is_in(line),
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
                    expression: expression(&pattern, dialect)?,
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
        return Ok((Address::Matching(expression(&pattern, dialect)?), rest));
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

/// The line with the first match or all of them replaced; `None` if there is none. The error: it would be too long.
fn substituted(line: &str, expression: &Expression, with: &str, all: bool) -> Result<Option<String>, ()> {
    let (mut text, mut at, mut found) = (String::new(), 0, false);
    while at <= line.len() && (all || !found) {
        let Some(place) = expression.find(line, at) else { break };
        found = true;
        text += &line[at..place.start()];
        replace(&mut text, with, line, &place);
        at = place.end();
        if place.start() == place.end() {
            let letter = line[at..].chars().next();
            text.extend(letter);
            at += letter.map_or(1, char::len_utf8);
        }
        if text.len() > LONGEST {
            return Err(());
        }
    }
    text += line.get(at..).unwrap_or_default();
    Ok(found.then_some(text))
}

/// `&` is what matched, `\1` to `\9` its groups, `\n` a line end, any other escaped letter itself.
fn replace(text: &mut String, with: &str, line: &str, found: &Found) {
    let mut letters = with.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '&' => text.push_str(found.group(line, 0).unwrap_or_default()),
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(digit @ '0'..='9') => {
                    let group = digit.to_digit(10).map_or(0, |digit| digit as usize);
                    text.push_str(found.group(line, group).unwrap_or_default());
                }
                other => text.extend(other),
            },
            other => text.push(other),
        }
    }
}

fn expression(pattern: &str, dialect: Dialect) -> Result<Expression, String> {
    Expression::new(pattern, dialect, false, Whole::Part)
        .map_err(|reason| format!("bad regex '{pattern}': {reason}"))
}
