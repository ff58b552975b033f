//! `tr [-d] SET1 [SET2]`: ranges and the escapes `\n`, `\t` and `\\`; no classes.

use super::options::{Failure, Options, Syntax, finish};
use super::text::BROKEN_PIPE;
use super::{arguments, text};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax =
    Syntax { letters: "ds", long: &[], stop_at_operand: true, usage: "tr [-ds] STRING1 [STRING2]" };

/// Translates or deletes bytes.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let sets: Vec<Vec<u8>> = options.operands.iter().map(|set| expand(set)).collect();
    let (from, to) = match (sets.as_slice(), options.has('d'), options.has('s')) {
        ([from], true, _) | ([from], _, true) => (from, None),
        ([from, to], false, _) if !to.is_empty() => (from, Some(to)),
        _ => return Err(Failure::usage("", SYNTAX.usage)),
    };
    let mut last = None;
    loop {
        let part = sys.read(text::CHUNK).await;
        if part.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let mut output = Vec::with_capacity(part.len());
        for byte in part {
            let position = from.iter().position(|known| *known == byte);
            let (byte, in_set) = match (position, to) {
                (Some(_), _) if options.has('d') => continue,
                (Some(at), Some(to)) => (to[at.min(to.len() - 1)], true),
                (position, _) => (byte, position.is_some()),
            };
            if options.has('s') && in_set && last == Some(byte) {
                continue;
            }
            last = Some(byte);
            output.push(byte);
        }
        // A reader that went away ends it, as SIGPIPE would.
        if !output.is_empty() && sys.write(&output).await.is_err() {
            return Ok(BROKEN_PIPE);
        }
    }
}

fn expand(set: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut bytes = set.bytes();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                other => other.unwrap_or(b'\\'),
            },
            byte => byte,
        });
    }
    let mut expanded = Vec::new();
    let mut at = 0;
    while at < plain.len() {
        match plain[at..] {
            [low, b'-', high, ..] if low <= high => {
                expanded.extend(low..=high);
                at += 3;
            }
            _ => {
                expanded.push(plain[at]);
                at += 1;
            }
        }
    }
    expanded
}
