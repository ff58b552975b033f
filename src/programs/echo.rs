//! `echo [-neE] WORD...`.

use super::arguments;
use super::text::BROKEN_PIPE;
use crate::engine::sys::{ExitCode, Sys};

/// Prints its arguments.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (_, words) = arguments(&sys);
    match sys.write(text(words).as_bytes()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => BROKEN_PIPE,
    }
}

/// What it prints.
pub(crate) fn text(mut words: &[String]) -> String {
    let (mut newline, mut escapes) = (true, false);
    while let Some((word, rest)) = words.split_first() {
        let Some(letters) =
            word.strip_prefix('-').filter(|l| !l.is_empty() && l.chars().all(|c| "neE".contains(c)))
        else {
            break;
        };
        newline &= !letters.contains('n');
        escapes = (escapes || letters.contains('e')) && !letters.contains('E');
        words = rest;
    }
    let mut text = words.join(" ");
    if escapes {
        let (expanded, stopped) = expand(&text);
        text = expanded;
        newline &= !stopped;
    }
    if newline {
        text.push('\n');
    }
    text
}

/// Replaces backslash sequences; true if `\c` ended the output.
pub(crate) fn expand(text: &str) -> (String, bool) {
    let mut output = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            output.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => output.push('\n'),
            Some('t') => output.push('\t'),
            Some('r') => output.push('\r'),
            Some('a') => output.push('\x07'),
            Some('\\') => output.push('\\'),
            Some('c') => return (output, true),
            Some('0') => {
                let mut value = 0u32;
                for _ in 0..3 {
                    let Some(digit) = letters.peek().and_then(|c| c.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    letters.next();
                }
                output.extend(char::from_u32(value & 0xff));
            }
            Some(other) => output.extend(['\\', other]),
            None => output.push('\\'),
        }
    }
    (output, false)
}
