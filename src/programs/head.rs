//! `head [-n N] [-c N] [FILE]...`: the first lines or bytes.

use super::options::{Failure, Options, Syntax, finish};
use super::{arguments, text};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax =
    Syntax { letters: "n:c:q", long: &[], stop_at_operand: false, usage: "head [OPTIONS] [FILE]..." };

/// Prints the beginning of its input.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let words = text_count(words);
    let options = Options::parse(program, &words, &SYNTAX)?;
    let limit = match options.has('c') {
        true => Limit::Bytes(options.number(program, 'c', 0)?),
        false => Limit::Lines(options.number(program, 'n', 10)?),
    };
    if options.operands.is_empty() {
        return copy_stdin(sys, limit).await;
    }
    // It has no end, so it is not read but made.
    if let (Limit::Bytes(count), [path]) = (limit, options.operands.as_slice())
        && path == "/dev/zero"
    {
        let mut left = count;
        while left > 0 && sys.write(&vec![0; left.min(65_536)]).await.is_ok() {
            left -= left.min(65_536);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let content = text::read_all(sys, program, &options.operands).await?;
    let _ = sys.write(&content[..prefix(&content, limit)]).await;
    Ok(ExitCode::SUCCESS)
}

#[derive(Clone, Copy)]
enum Limit {
    Lines(usize),
    Bytes(usize),
}

/// `-5` means `-n 5`.
pub(crate) fn text_count(words: &[String]) -> Vec<String> {
    let number = |word: &str| {
        word.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    words.iter().map(|word| if number(word) { format!("-n{}", &word[1..]) } else { word.clone() }).collect()
}

/// Stops reading as soon as it has enough, so that an endless writer meets a broken pipe.
async fn copy_stdin(sys: &Sys, limit: Limit) -> Result<ExitCode, Failure> {
    let mut all = Vec::new();
    loop {
        let end = prefix(&all, limit);
        let enough = match limit {
            Limit::Lines(count) => all.iter().filter(|byte| **byte == b'\n').count() >= count,
            Limit::Bytes(count) => all.len() >= count,
        };
        let part = if enough { Vec::new() } else { sys.stdin().read(65_536).await };
        if part.is_empty() {
            let _ = sys.write(&all[..end]).await;
            return Ok(ExitCode::SUCCESS);
        }
        all.extend(part);
    }
}

fn prefix(content: &[u8], limit: Limit) -> usize {
    match limit {
        Limit::Bytes(count) => count.min(content.len()),
        Limit::Lines(0) => 0,
        Limit::Lines(count) => {
            let ends = content.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            ends.map(|(at, _)| at + 1).nth(count - 1).unwrap_or(content.len())
        }
    }
}
