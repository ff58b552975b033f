//! `awk [-F SEP] [-v VAR=VAL] PROGRAM [FILE]...`: the part of the language that people pipe into.
//!
//! There: patterns (`/RE/`, comparisons, ranges, `BEGIN`, `END`), fields, `NR`, `NF`, `FS`, `OFS`, `ORS`, `FILENAME`,
//! variables and arrays, `print`, `printf`, `if`, `while`, `do`, `for`, `next`, `exit`, `break`, `continue`, `delete`, the
//! functions `length`, `substr`, `index`, `split`, `sub`, `gsub`, `match`, `sprintf`, `toupper`, `tolower`, `int`, and
//! functions of one's own, without `next` and `exit` in them. What else the language has (`getline`, output into files
//! and commands, mathematics) is refused by its name before anything runs. `for (k in a)` goes through the keys in sorted
//! order, where awk has none.
//!
//! One record takes at most [`run::STEPS`] steps, and variables hold at most [`super::text::MOST`] bytes, so that no program
//! keeps a run busy or grows without bound.

mod format;
mod lex;
mod parse;
mod run;
mod tree;

use super::options::{Failure, Options, Syntax, finish};
use super::text::{BROKEN_PIPE, Complaint, Input, Line, Lines};
use super::{arguments, echo};
use crate::engine::sys::{ExitCode, Sys};
use run::{Flow, Machine};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "F:v:",
    long: &[],
    stop_at_operand: true,
    usage: "awk [OPTIONS] [AWK_PROGRAM] [FILE]...\n\n\
            \t-v VAR=VAL\tSet variable\n\
            \t-F SEP\t\tUse SEP as field separator",
};

/// Bytes whose moving takes as long as a step.
const STEP: usize = 256;

/// Runs a program over the records of its input.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    sys.rest().await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let Some((source, files)) = options.operands.split_first() else {
        return Err(Failure::usage("", SYNTAX.usage));
    };
    let wrong = |message: String| Failure::new(program, format!("cmd. line:{message}"));
    let parsed =
        parse::parse(source).map_err(|mistake| wrong(format!("{}: {}", mistake.line, mistake.what)))?;
    let stopped = |message: String| wrong(format!("1: {message}"));
    let mut machine = Machine::new();
    if let Some(separator) = options.value('F') {
        let separator = if separator == "t" { "\t" } else { separator };
        machine.assign("FS", &echo::expand(separator).0).map_err(stopped)?;
    }
    for assignment in options.values('v') {
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(Failure::usage("", SYNTAX.usage));
        };
        machine.assign(name, &echo::expand(value).0).map_err(stopped)?;
    }
    let begun = machine.begin(&parsed);
    sys.worked(machine.spent() * STEP);
    let mut flow = begun.map_err(stopped)?;
    if sys.write(machine.take_output().as_bytes()).await.is_err() {
        return Ok(BROKEN_PIPE);
    }
    let mut complete = true;
    if flow != Flow::Exit && parsed.reads_input() {
        let mut lines = Lines::new(Input::new(sys, program, files, Complaint::Name));
        while let Some(Line { text, .. }) = lines.line().await? {
            let done = machine.record(&parsed, text, lines.input.name());
            sys.worked(machine.spent() * STEP);
            flow = done.map_err(stopped)?;
            let output = machine.take_output();
            if !output.is_empty() && sys.write(output.as_bytes()).await.is_err() {
                return Ok(BROKEN_PIPE);
            }
            if flow == Flow::Exit {
                break;
            }
        }
        complete = lines.input.complete;
    }
    if !machine.is_over() {
        let ended = machine.end(&parsed);
        sys.worked(machine.spent() * STEP);
        ended.map_err(stopped)?;
        if sys.write(machine.take_output().as_bytes()).await.is_err() {
            return Ok(BROKEN_PIPE);
        }
    }
    Ok(match machine.status {
        0 if !complete => ExitCode(2),
        status => ExitCode(status),
    })
}
