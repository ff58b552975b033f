//! `seq [-s SEPARATOR] [FIRST [STEP]] LAST`, of whole numbers.

use std::fmt::Write;

use super::arguments;
use super::options::{Failure, Options, Syntax, finish, invalid_number};
use super::text::BROKEN_PIPE;
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax =
    Syntax { letters: "s:", long: &[], stop_at_operand: true, usage: "seq [-s SEP] [FIRST [INC]] LAST" };

/// Bytes written at once, as standard output of C does.
const BUFFER: usize = 4_096;

/// Prints numbers.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let mut numbers = Vec::new();
    for word in &options.operands {
        numbers.push(word.parse::<i64>().map_err(|_| invalid_number(program, word))?);
    }
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1, 1, *last),
        [first, last] => (*first, 1, *last),
        [first, step, last] => (*first, *step, *last),
        _ => return Err(Failure::usage("", SYNTAX.usage)),
    };
    let separator = options.value('s').unwrap_or("\n");
    let (mut next, mut begun) = (Some(first), false);
    let mut text = String::new();
    while let Some(number) = next.filter(|number| if step < 0 { *number >= last } else { *number <= last }) {
        if begun {
            text += separator;
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{number}");
        begun = true;
        next = number.checked_add(step);
        if step == 0 || text.len() >= BUFFER {
            // A reader that went away ends it, as SIGPIPE would.
            if sys.write(text.as_bytes()).await.is_err() {
                return Ok(BROKEN_PIPE);
            }
            text.clear();
        }
        if step == 0 {
            sys.sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    if begun {
        text.push('\n');
    }
    match sys.write(text.as_bytes()).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(_) => Ok(BROKEN_PIPE),
    }
}
