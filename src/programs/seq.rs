//! `seq [-s SEPARATOR] [FIRST [STEP]] LAST`, of whole numbers.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish, invalid_number};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax =
    Syntax { letters: "s:", long: &[], stop_at_operand: true, usage: "seq [-s SEP] [FIRST [INC]] LAST" };

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
    while let Some(number) = next.filter(|number| if step < 0 { *number >= last } else { *number <= last }) {
        // A reader that went away ends it, as SIGPIPE would.
        let text = if begun { format!("{separator}{number}") } else { number.to_string() };
        if sys.stdout().write_all(text.as_bytes()).await.is_err() {
            return Ok(ExitCode(141));
        }
        begun = true;
        if step == 0 {
            sys.sleep(std::time::Duration::from_millis(1)).await;
        }
        next = number.checked_add(step);
    }
    if begun {
        sys.print("\n").await;
    }
    Ok(ExitCode::SUCCESS)
}
