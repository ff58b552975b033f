//! `which [-a] COMMAND...`: where a program is; status 1 if one is nowhere.

use super::options::{Failure, Options, Syntax, finish};
use super::{arguments, find};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "a",
    long: &[],
    stop_at_operand: false,
    usage: "which [-a] COMMAND...\n\nLocate COMMAND\n\n\t-a\tShow all matches",
};

/// Locates programs.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if options.operands.is_empty() {
        return Err(Failure::usage("", SYNTAX.usage));
    }
    let mut status = ExitCode::SUCCESS;
    for name in &options.operands {
        if find(name).is_none() {
            status = ExitCode::FAILURE;
            continue;
        }
        let path = if name.contains('/') { name.clone() } else { format!("/bin/{name}") };
        sys.print(format!("{path}\n")).await;
    }
    Ok(status)
}
