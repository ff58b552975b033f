//! `tail [-n [+]N] [-f|-F] [FILE]...`: the last lines, and with `-f` whatever is added behind them.
//!
//! Following is what keeps many containers up (`tail -f /dev/null`). It sleeps until something writes a file of its
//! place, so that a file nobody writes costs neither turns nor virtual time. Bytes are counted: a file that has become
//! shorter is printed from its beginning, as BusyBox does. With `-f` as with `-F` a file that is not there is waited
//! for, because the files of an image are not known here; it is complained about once.

use std::task::Poll;

use super::options::{Failure, Options, Syntax, finish, invalid_number};
use super::{arguments, head, text};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "n:qfFs:v",
    long: &[("follow", 'f'), ("lines", 'n'), ("quiet", 'q'), ("retry", 'F'), ("verbose", 'v')],
    stop_at_operand: false,
    usage: "tail [OPTIONS] [FILE]...",
};

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
    let follows = options.has('f') || options.has('F');
    let content = match follows {
        true => existing(sys, program, &options.operands).await,
        false => text::read_all(sys, program, &options.operands).await?,
    };
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let skipped =
        if text.starts_with('+') { count.saturating_sub(1) } else { lines.len().saturating_sub(count) };
    for line in lines.iter().skip(skipped) {
        let _ = sys.write(line).await;
    }
    if follows { follow(sys, &options.operands).await } else { Ok(ExitCode::SUCCESS) }
}

/// What the files that are there hold, or standard input.
async fn existing(sys: &Sys, program: &str, paths: &[String]) -> Vec<u8> {
    if paths.is_empty() {
        return text::read_stdin(sys).await;
    }
    let mut all = Vec::new();
    for path in paths {
        match text::read_input(sys, program, path).await {
            Ok(content) => all.extend(content),
            Err(failure) => sys.print_error(&failure.text).await,
        }
    }
    all
}

/// Prints what is added to files until nobody reads it.
async fn follow(sys: &Sys, paths: &[String]) -> Result<ExitCode, Failure> {
    let length = |path: &String| sys.read_file(path).map_or(0, |content| content.len());
    let mut printed: Vec<usize> = paths.iter().map(length).collect();
    loop {
        let mut waited = false;
        std::future::poll_fn(|context| {
            if waited {
                return Poll::Ready(());
            }
            waited = true;
            sys.wake_when_written(context.waker());
            Poll::Pending
        })
        .await;
        for (path, printed) in paths.iter().zip(&mut printed) {
            let content = sys.read_file(path).unwrap_or_default();
            let from = if content.len() < *printed { 0 } else { *printed };
            *printed = content.len();
            if sys.write(&content[from..]).await.is_err() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
}
