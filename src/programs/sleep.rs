//! `sleep N[smhd]...`: waits for the sum of its arguments.

use std::time::Duration;

use super::arguments;
use super::options::{Failure, duration, finish, invalid_number};
use crate::engine::sys::{ExitCode, Sys};

/// Waits.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    if words.is_empty() {
        return Err(Failure::usage("", "sleep [N]..."));
    }
    let mut total = Duration::ZERO;
    for word in words {
        let part = match word.as_str() {
            "infinity" | "inf" => Duration::MAX,
            text => duration(text).ok_or_else(|| invalid_number(program, text))?,
        };
        total = total.saturating_add(part);
    }
    sys.sleep(total).await;
    Ok(ExitCode::SUCCESS)
}
