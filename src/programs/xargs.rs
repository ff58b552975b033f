//! `xargs [-rt0] [-n N] [-s N] [-I STR] [PROG ARGS]`: runs a program with words of standard input behind its own
//! arguments.
//!
//! A command runs as soon as its words are there: with `-n N` after N of them, with `-I` for each line, else when the
//! command line is full or the input ends. So input may be endless, and a reader that goes away ends it.

use std::collections::VecDeque;

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::text::{Complaint, Input, Lines};
use crate::engine::sys::{Errno, ExitCode, Launch, Pipe, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "0rtn:s:I:",
    long: &[],
    stop_at_operand: true,
    usage: "xargs [OPTIONS] [PROG ARGS]\n\n\
            Run PROG on every item given by stdin\n\n\
            \t-0\tNUL terminated input\n\
            \t-r\tDon't run command if input is empty\n\
            \t-t\tPrint the command on stderr before execution\n\
            \t-I STR\tReplace STR within PROG ARGS with input line\n\
            \t-n N\tPass no more than N args to PROG\n\
            \t-s N\tPass command line of no more than N bytes",
};

/// Bytes of a command line, as BusyBox has it.
const LINE: usize = 32 << 10;

/// Runs a program on what comes in.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let command =
        if options.operands.is_empty() { vec!["echo".to_owned()] } else { options.operands.clone() };
    let most: usize = options.number(program, 'n', usize::MAX)?.max(1);
    let room: usize = options.number(program, 's', LINE)?.min(LINE);
    let length = |words: &[String]| words.iter().map(|word| word.len() + 1).sum::<usize>();
    let too_long = || Failure::new(program, "argument line too long");
    let mut items = Items::new(sys, program, &options);
    let mut run = Run { sys, program, trace: options.has('t'), status: ExitCode::SUCCESS };
    if let Some(mark) = options.value('I') {
        while let Some(item) = items.next().await? {
            let line: Vec<String> = command.iter().map(|word| word.replace(mark, &item)).collect();
            if length(&line) > room {
                return Err(too_long());
            }
            run.command(line).await?;
        }
        return Ok(run.status);
    }
    let (mut line, mut size, mut any) = (command.clone(), length(&command), false);
    while let Some(item) = items.next().await? {
        if size + item.len() + 1 > room && line.len() > command.len() {
            run.command(std::mem::replace(&mut line, command.clone())).await?;
            (size, any) = (length(&command), true);
        }
        size += item.len() + 1;
        if size > room {
            return Err(too_long());
        }
        line.push(item);
        if line.len() - command.len() == most {
            run.command(std::mem::replace(&mut line, command.clone())).await?;
            (size, any) = (length(&command), true);
        }
    }
    if line.len() > command.len() || !any && !options.has('r') {
        run.command(line).await?;
    }
    Ok(run.status)
}

struct Run<'a> {
    sys: &'a Sys,
    program: &'a str,
    trace: bool,
    status: ExitCode,
}

impl Run<'_> {
    /// Runs one command line to its end. The error ends everything.
    async fn command(&mut self, line: Vec<String>) -> Result<(), Failure> {
        let (sys, program) = (self.sys, self.program);
        if self.trace {
            sys.print_error(format!("{}\n", line.join(" "))).await;
        }
        let name = line[0].clone();
        let launch = Launch {
            arguments: line,
            environment: sys.environment(),
            stdin: Pipe::empty(),
            stdout: sys.stdout().clone(),
            stderr: sys.stderr().clone(),
            replaces: false,
        };
        let child = sys.launch(launch).map_err(|errno| Failure {
            text: format!("{program}: {name}: {errno}\n"),
            status: if errno == Errno::NoSuchFile { ExitCode::NOT_FOUND } else { ExitCode::NOT_EXECUTABLE },
        })?;
        let ended = |what: String, status| {
            Err(Failure { text: format!("{program}: {what}\n"), status: ExitCode(status) })
        };
        let status = child.wait().await;
        sys.rest().await;
        match status {
            // Whatever the program made of it: SIGPIPE is what it would have met, or will.
            _ if sys.stdout().is_broken() => ended(format!("'{name}' terminated by signal 13"), 125),
            ExitCode::SUCCESS => Ok(()),
            ExitCode(255) => ended(format!("{name}: exited with status 255; aborting"), 124),
            ExitCode(status) if status > 128 => {
                ended(format!("'{name}' terminated by signal {}", status - 128), 125)
            }
            _ => {
                self.status = ExitCode(123);
                Ok(())
            }
        }
    }
}

/// The items of standard input: its words, its lines with `-I`, or what zero bytes end.
struct Items<'a> {
    program: &'a str,
    lines: Lines<'a>,
    split: bool,
    trimmed: bool,
    waiting: VecDeque<String>,
}

impl<'a> Items<'a> {
    fn new(sys: &'a Sys, program: &'a str, options: &Options) -> Items<'a> {
        let input = Input::new(sys, program, &[], Complaint::Name);
        let zeros = options.has('0');
        let by_lines = options.value('I').is_some();
        let lines = Lines::ended_by(if zeros { 0 } else { b'\n' }, input);
        Items { program, lines, split: !zeros && !by_lines, trimmed: !zeros, waiting: VecDeque::new() }
    }

    async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Ok(Some(item));
            }
            let Some(line) = self.lines.line().await? else { return Ok(None) };
            if !self.split {
                let item = if self.trimmed { line.text.trim_start() } else { &line.text };
                if !item.is_empty() {
                    return Ok(Some(item.to_owned()));
                }
                continue;
            }
            let mut text = line.text;
            // A backslash at its end keeps the line end inside a word.
            while text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
                && let Some(more) = self.lines.line().await?
            {
                if text.len() + more.text.len() > LINE {
                    return Err(Failure::new(self.program, "argument line too long"));
                }
                text.push('\n');
                text += &more.text;
            }
            self.waiting = words_of(&text).map_err(|quote| {
                let kind = if quote == '\'' { "single" } else { "double" };
                Failure::new(self.program, format!("unmatched {kind} quote"))
            })?;
        }
    }
}

/// Words between blanks; quotes and backslashes keep blanks inside. The error: this quote stays open.
fn words_of(text: &str) -> Result<VecDeque<String>, char> {
    let (mut words, mut word, mut quote) = (VecDeque::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (Some(open), '\n') => return Err(open),
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.map_or(Ok(words), Err)
}
