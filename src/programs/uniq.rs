//! `uniq [-cdui] [-f N] [-s N] [-w N] [FILE]`: lines that are not like the one before.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::text::{BROKEN_PIPE, Complaint, Input, Line, Lines};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "cduif:s:w:",
    long: &[],
    stop_at_operand: false,
    usage: "uniq [-cdui] [-f,s,w N] [FILE]\n\n\
            Discard duplicate lines\n\n\
            \t-c\tPrefix lines by the number of occurrences\n\
            \t-d\tOnly print duplicate lines\n\
            \t-u\tOnly print unique lines\n\
            \t-i\tIgnore case\n\
            \t-f N\tSkip first N fields\n\
            \t-s N\tSkip first N chars (after any skipped fields)\n\
            \t-w N\tCompare N characters in line",
};

/// Prints one line of each run of lines that are alike.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if options.operands.len() > 1 {
        return Err(Failure::usage("", SYNTAX.usage));
    }
    let fields: usize = options.number(program, 'f', 0)?;
    let letters: usize = options.number(program, 's', 0)?;
    let most: usize = options.number(program, 'w', usize::MAX)?;
    let key = |line: &str| {
        let mut rest = line;
        for _ in 0..fields {
            rest = rest.trim_start();
            rest = &rest[rest.find(char::is_whitespace).unwrap_or(rest.len())..];
        }
        let key: String = rest.chars().skip(letters).take(most).collect();
        if options.has('i') { key.to_lowercase() } else { key }
    };
    let mut lines = Lines::new(Input::new(sys, program, &options.operands, Complaint::CannotOpen));
    let (mut next, mut before) = (lines.line().await?, None::<(String, String, u64)>);
    loop {
        let line = next.take().map(|Line { text, .. }| (key(&text), text));
        match (&mut before, &line) {
            (Some((known, _, count)), Some((key, _))) if known == key => *count += 1,
            _ => {
                let ended = std::mem::replace(&mut before, line.map(|(key, text)| (key, text, 1)));
                if let Some((_, text, count)) = ended
                    && !(options.has('d') && count == 1 || options.has('u') && count > 1)
                {
                    let prefix = if options.has('c') { format!("{count:7} ") } else { String::new() };
                    if sys.write(format!("{prefix}{text}\n").as_bytes()).await.is_err() {
                        return Ok(BROKEN_PIPE);
                    }
                }
                if before.is_none() {
                    return Ok(lines.input.status());
                }
            }
        }
        next = lines.line().await?;
    }
}
