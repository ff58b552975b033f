//! `cat [FILE]...`: copies files, or standard input as it comes.

use super::options::{Options, Syntax, finish};
use super::{arguments, text};
use crate::engine::sys::{ExitCode, Sys};

const SYNTAX: Syntax = Syntax { letters: "uA", long: &[], stop_at_operand: false, usage: "cat [FILE]..." };

/// Copies its inputs to standard output.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let options = match Options::parse(program, words, &SYNTAX) {
        Ok(options) => options,
        Err(failure) => return finish(&sys, Err(failure)).await,
    };
    let mut inputs = options.operands;
    if inputs.is_empty() {
        inputs.push("-".to_owned());
    }
    let mut status = ExitCode::SUCCESS;
    for path in inputs {
        if path == "-" {
            loop {
                let part = sys.stdin().read(65_536).await;
                if part.is_empty() || sys.stdout().write_all(&part).await.is_err() {
                    break;
                }
            }
            continue;
        }
        match text::read_input(&sys, program, &path).await {
            Ok(content) => {
                if sys.stdout().write_all(&content).await.is_err() {
                    break;
                }
            }
            Err(failure) => status = finish(&sys, Err(failure)).await,
        }
    }
    status
}
