//! `sort [-rnu] [FILE]...`, by bytes. `-k N` takes one blank-separated field and what follows it as the key.

use super::options::{Failure, Options, Syntax, finish};
use super::{arguments, text};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax =
    Syntax { letters: "rnuk:", long: &[], stop_at_operand: false, usage: "sort [-nru] [-k FIELD] [FILE]..." };

/// Sorts its input.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let field: usize = options.number(program, 'k', 1)?;
    let mut lines = text::lines(&text::read_all(sys, program, &options.operands).await?);
    if options.has('n') {
        lines.sort_by(|a, b| number(key(a, field)).total_cmp(&number(key(b, field))).then_with(|| a.cmp(b)));
    } else {
        lines.sort_by(|a, b| key(a, field).cmp(key(b, field)).then_with(|| a.cmp(b)));
    }
    if options.has('r') {
        lines.reverse();
    }
    if options.has('u') {
        lines.dedup();
    }
    for line in lines {
        sys.print(line + "\n").await;
    }
    Ok(ExitCode::SUCCESS)
}

/// The line from its `field`th word on, with the blanks before it.
fn key(line: &str, field: usize) -> &str {
    let mut rest = line;
    for _ in 1..field {
        let blanks = rest.len() - rest.trim_start().len();
        let word = rest[blanks..].find(char::is_whitespace).map_or(rest.len(), |at| blanks + at);
        rest = &rest[word..];
    }
    rest
}

fn number(text: &str) -> f64 {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    text[..end].parse().unwrap_or(0.0)
}
