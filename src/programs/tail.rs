//! `tail [-n [+]N] [FILE]...`: the last lines. `-f` is not supported: files of a world do not grow while a program
//! reads them.

use super::options::{Failure, Options, Syntax, finish, invalid_number};
use super::{arguments, head, text};
use crate::engine::sys::{ExitCode, Sys};

const SYNTAX: Syntax =
    Syntax { letters: "n:q", long: &[], stop_at_operand: false, usage: "tail [OPTIONS] [FILE]..." };

/// Prints the end of its input.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, &head::text_count(words), &SYNTAX)?;
    let text = options.value('n').unwrap_or("10");
    let count: usize =
        text.trim_start_matches(['+', '-']).parse().map_err(|_| invalid_number(program, text))?;
    let content = text::read_all(sys, program, &options.operands).await?;
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let skipped =
        if text.starts_with('+') { count.saturating_sub(1) } else { lines.len().saturating_sub(count) };
    for line in lines.iter().skip(skipped) {
        let _ = sys.stdout().write_all(line).await;
    }
    Ok(ExitCode::SUCCESS)
}
