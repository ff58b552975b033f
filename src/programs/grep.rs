//! `grep [-HhnlLoqvsiwFEx] [-m N] [-A|B|C N] PATTERN [FILE]...`: the lines that match an expression.
//!
//! Lines are looked at one by one and none is kept, but for the `-B` lines before a match. It reads no further than the
//! answer needs: `-q`, `-l` and `-m` stop, so that an endless writer in front of it ends.

use std::collections::VecDeque;

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::regex::{Dialect, Expression, Whole};
use super::text::{BROKEN_PIPE, Complaint, Input, Line, Lines, Next};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "HhnlLcoqvsiwxFEe:m:A:B:C:",
    long: &[],
    stop_at_operand: false,
    usage: "grep [-HhnlLoqvsiwFE] [-m N] [-A|B|C N] { PATTERN | -e PATTERN... } [FILE]...\n\n\
            Search for PATTERN in FILEs (or stdin)\n\n\
            \t-H\tAdd 'filename:' prefix\n\
            \t-h\tDo not add 'filename:' prefix\n\
            \t-n\tAdd 'line_no:' prefix\n\
            \t-l\tShow only names of files that match\n\
            \t-L\tShow only names of files that don't match\n\
            \t-c\tShow only count of matching lines\n\
            \t-o\tShow only the matching part of line\n\
            \t-q\tQuiet. Return 0 if PATTERN is found, 1 otherwise\n\
            \t-v\tSelect non-matching lines\n\
            \t-s\tSuppress open and read errors\n\
            \t-i\tIgnore case\n\
            \t-w\tMatch whole words only\n\
            \t-x\tMatch whole lines only\n\
            \t-F\tPATTERN is a literal (not regexp)\n\
            \t-E\tPATTERN is an extended regexp\n\
            \t-m N\tMatch up to N times per file\n\
            \t-A N\tPrint N lines of trailing context\n\
            \t-B N\tPrint N lines of leading context\n\
            \t-C N\tSame as '-A N -B N'\n\
            \t-e PTRN\tPattern to match",
};

/// The most lines before a match that are kept.
const MOST_BEFORE: usize = 1_000;

/// Prints the lines that match; status 1 if there is none, 2 if something is wrong.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await.map_err(|failure| Failure { status: ExitCode(2), ..failure });
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let mut options = Options::parse(program, words, &SYNTAX)?;
    let mut patterns: Vec<String> = options.values('e').map(str::to_owned).collect();
    if patterns.is_empty() {
        if options.operands.is_empty() {
            return Err(Failure::usage("", SYNTAX.usage));
        }
        patterns.push(options.operands.remove(0));
    }
    let wanted = Wanted::new(program, &options, &patterns)?;
    let complaint = if options.has('s') { Complaint::Silent } else { Complaint::Name };
    let mut lines = Lines::new(Input::new(sys, program, &options.operands, complaint));
    let mut shown = Shown::new(program, &options)?;
    let most: usize = options.number(program, 'm', usize::MAX)?;
    let names_only = options.has('l') || options.has('L');
    let (mut any, mut count, mut number, mut answered) = (false, 0, 0, false);
    while let Some(next) = lines.next().await? {
        let line = match next {
            Next::Line(line) => line,
            Next::End => {
                shown.name = lines.input.name().to_owned();
                let told = if names_only {
                    ((count > 0) == options.has('l')).then(|| format!("{}\n", shown.title()))
                } else {
                    options.has('c').then(|| format!("{}{count}\n", shown.prefix(None, ':')))
                };
                if let Some(told) = told
                    && sys.write(told.as_bytes()).await.is_err()
                {
                    return Ok(BROKEN_PIPE);
                }
                (count, number, answered) = (0, 0, false);
                shown.begin();
                continue;
            }
        };
        if number == 0 {
            shown.name = lines.input.name().to_owned();
        }
        number += 1;
        let found = if answered { None } else { wanted.from(&line.text, 0) };
        let written = if answered || found.is_some() == options.has('v') {
            shown.counted || shown.context(sys, number, line).await
        } else {
            (count, any) = (count + 1, true);
            if options.has('q') {
                return Ok(ExitCode::SUCCESS);
            }
            answered = names_only || count >= most;
            shown.counted || shown.line(sys, &wanted, number, &line, found).await
        };
        if !written {
            return Ok(BROKEN_PIPE);
        }
        if answered && shown.after == 0 {
            lines.skip();
        }
    }
    Ok(match (any, lines.input.complete) {
        (_, false) => ExitCode(2),
        (true, true) => ExitCode::SUCCESS,
        (false, true) => ExitCode::FAILURE,
    })
}

/// What lines are searched for.
struct Wanted(Vec<Expression>);

impl Wanted {
    fn new(program: &str, options: &Options, patterns: &[String]) -> Result<Wanted, Failure> {
        let dialect = match (options.has('F'), options.has('E')) {
            (true, _) => Dialect::Fixed,
            (false, true) => Dialect::Extended,
            (false, false) => Dialect::Basic,
        };
        let whole = match (options.has('x'), options.has('w')) {
            (true, _) => Whole::Line,
            (false, true) => Whole::Words,
            (false, false) => Whole::Part,
        };
        let expression = |pattern: &str| {
            Expression::new(pattern, dialect, options.has('i'), whole)
                .map_err(|reason| Failure::new(program, format!("bad regex '{pattern}': {reason}")))
        };
        // Each line of a pattern is one.
        let all = patterns.iter().flat_map(|pattern| pattern.split('\n'));
        all.map(expression).collect::<Result<Vec<_>, _>>().map(Wanted)
    }

    /// The leftmost longest match from a position on.
    fn from(&self, line: &str, from: usize) -> Option<(usize, usize)> {
        let all = self.0.iter().filter_map(|expression| expression.find(line, from));
        all.map(|found| (found.start(), found.end())).min_by_key(|(start, end)| (*start, usize::MAX - *end))
    }
}

/// How lines are shown.
struct Shown {
    names: bool,
    numbers: bool,
    only_matches: bool,
    inverted: bool,
    /// Lines are not shown but counted.
    counted: bool,
    before: usize,
    behind: usize,
    name: String,
    kept: VecDeque<(usize, Line)>,
    /// Lines behind a match that are still to be shown.
    after: usize,
    /// The line shown last, of any input.
    last: Option<usize>,
}

impl Shown {
    fn new(program: &str, options: &Options) -> Result<Shown, Failure> {
        let around: usize = options.number(program, 'C', 0)?;
        let only_matches = options.has('o');
        let context = |letter| options.number(program, letter, around);
        let (before, behind) = if only_matches { (0, 0) } else { (context('B')?, context('A')?) };
        Ok(Shown {
            names: options.has('H') || options.operands.len() > 1 && !options.has('h'),
            numbers: options.has('n'),
            only_matches,
            inverted: options.has('v'),
            counted: ['c', 'l', 'L', 'q'].iter().any(|letter| options.has(*letter)),
            before: before.min(MOST_BEFORE),
            behind,
            name: String::new(),
            kept: VecDeque::new(),
            after: 0,
            last: None,
        })
    }

    /// Forgets an input for the next.
    fn begin(&mut self) {
        self.kept.clear();
        self.after = 0;
        // Whatever comes is not next to what was shown.
        self.last = self.last.map(|_| usize::MAX);
    }

    fn title(&self) -> &str {
        if self.name == "-" { "(standard input)" } else { &self.name }
    }

    fn prefix(&self, number: Option<usize>, mark: char) -> String {
        let name = if self.names { format!("{}{mark}", self.title()) } else { String::new() };
        number.filter(|_| self.numbers).map_or(name.clone(), |number| format!("{name}{number}{mark}"))
    }

    /// Shows a line that was selected. False: nobody reads it.
    async fn line(
        &mut self,
        sys: &Sys,
        wanted: &Wanted,
        number: usize,
        line: &Line,
        found: Option<(usize, usize)>,
    ) -> bool {
        let mut text = String::new();
        let begins = self.kept.front().map_or(number, |(first, _)| *first);
        if (self.before > 0 || self.behind > 0) && self.last.is_some_and(|last| last != begins - 1) {
            text += "--\n";
        }
        for (number, line) in std::mem::take(&mut self.kept) {
            text += &format!("{}{}\n", self.prefix(Some(number), '-'), line.text);
        }
        let prefix = self.prefix(Some(number), ':');
        match found {
            Some(mut found) if self.only_matches && !self.inverted => loop {
                let (start, end) = found;
                if start < end {
                    text += &format!("{prefix}{}\n", &line.text[start..end]);
                }
                let step = line.text[end..].chars().next().map_or(1, char::len_utf8);
                let from = if start < end { end } else { end + step };
                match wanted.from(&line.text, from) {
                    Some(next) if from <= line.text.len() => found = next,
                    _ => break,
                }
            },
            _ if self.only_matches => {}
            _ => text += &format!("{prefix}{}\n", line.text),
        }
        (self.after, self.last) = (self.behind, Some(number));
        text.is_empty() || sys.write(text.as_bytes()).await.is_ok()
    }

    /// A line that was not selected: shown behind a match, or kept in case one follows.
    async fn context(&mut self, sys: &Sys, number: usize, line: Line) -> bool {
        if self.after > 0 {
            self.after -= 1;
            self.last = Some(number);
            let text = format!("{}{}\n", self.prefix(Some(number), '-'), line.text);
            return sys.write(text.as_bytes()).await.is_ok();
        }
        if self.before > 0 {
            if self.kept.len() == self.before {
                self.kept.pop_front();
            }
            self.kept.push_back((number, line));
        }
        true
    }
}
