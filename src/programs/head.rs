//! `head [-n [-]N] [-c [-]N] [-qv] [FILE]...`: the first lines or bytes of each input, or all but the last.
//!
//! It stops reading as soon as it has enough, so that an endless writer meets a broken pipe. With a negative number it
//! keeps what may be the last, which is bounded.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish, invalid_number};
use super::tail::Kept;
use super::text::{BROKEN_PIPE, Complaint, Input, Piece};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "n:c:qv",
    long: &[("bytes", 'c'), ("lines", 'n'), ("quiet", 'q'), ("verbose", 'v')],
    stop_at_operand: false,
    usage: "head [OPTIONS] [FILE]...\n\n\
            Print first 10 lines of FILEs (or stdin).\n\
            With more than one FILE, precede each with a filename header.\n\n\
            \t-n N[bkm]\tPrint first N lines\n\
            \t-n -N[bkm]\tPrint all except N last lines\n\
            \t-c [-]N[bkm]\tPrint first N bytes\n\
            \t\t\t(b:*512 k:*1024 m:*1024^2)\n\
            \t-q\t\tNever print headers\n\
            \t-v\t\tAlways print headers",
};

/// Prints the beginning of its input.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let words = text_count(words);
    let options = Options::parse(program, &words, &SYNTAX)?;
    let unit = if options.has('c') { Unit::Bytes } else { Unit::Lines };
    let text = options.value(if options.has('c') { 'c' } else { 'n' }).unwrap_or("10");
    let (without, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let count = count(digits).ok_or_else(|| invalid_number(program, text))?;
    let mut headers = Headers::new(&options);
    let mut status = ExitCode::SUCCESS;
    let paths = if options.operands.is_empty() { vec!["-".to_owned()] } else { options.operands };
    for path in &paths {
        let mut input = Input::new(sys, program, std::slice::from_ref(path), Complaint::Name);
        let mut left = count;
        let mut kept = Kept::new(unit, count);
        let mut begun = false;
        while without || left > 0 {
            let Some(piece) = input.next().await else { break };
            if !std::mem::replace(&mut begun, true) && headers.print(sys, path).await.is_err() {
                return Ok(BROKEN_PIPE);
            }
            let Piece::Bytes(bytes) = piece else { continue };
            let ready = if without {
                kept.push(program, bytes)?
            } else {
                let (end, found) = prefix(&bytes, unit, left);
                left -= found;
                bytes[..end].to_vec()
            };
            if sys.write(&ready).await.is_err() {
                return Ok(BROKEN_PIPE);
            }
        }
        if without {
            let (first, _) = kept.split();
            if sys.write(&first).await.is_err() {
                return Ok(BROKEN_PIPE);
            }
        }
        if !input.complete {
            status = ExitCode::FAILURE;
        }
    }
    Ok(status)
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Lines,
    Bytes,
}

/// `-5` means `-n 5`, unless it is the value of an option in front of it.
pub(crate) fn text_count(words: &[String]) -> Vec<String> {
    let number = |word: &str| {
        word.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut takes_value = false;
    let mut changed = Vec::with_capacity(words.len());
    for word in words {
        let counts = number(word) && !takes_value;
        takes_value = word.starts_with('-') && word.ends_with(['n', 'c']);
        changed.push(if counts { format!("-n{}", &word[1..]) } else { word.clone() });
    }
    changed
}

/// A number with BusyBox's units.
pub(super) fn count(text: &str) -> Option<usize> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 'b') => (&text[..at], 512),
        (at, 'k') => (&text[..at], 1 << 10),
        (at, 'm') => (&text[..at], 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

/// The lines that name the files, when there are several.
pub(super) struct Headers {
    shown: bool,
    first: bool,
}

impl Headers {
    pub(super) fn new(options: &Options) -> Headers {
        let shown = options.has('v') || options.operands.len() > 1 && !options.has('q');
        Headers { shown, first: true }
    }

    pub(super) async fn print(&mut self, sys: &Sys, path: &str) -> Result<(), crate::engine::sys::Errno> {
        if !self.shown {
            return Ok(());
        }
        let gap = if std::mem::take(&mut self.first) { "" } else { "\n" };
        let name = if path == "-" { "standard input" } else { path };
        sys.write(format!("{gap}==> {name} <==\n").as_bytes()).await
    }
}

/// How many bytes hold at most so many units, and how many units they are.
fn prefix(content: &[u8], unit: Unit, most: usize) -> (usize, usize) {
    match unit {
        Unit::Bytes => (most.min(content.len()), most.min(content.len())),
        Unit::Lines => {
            let ends = content.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            let (mut found, mut last) = (0, 0);
            for (at, _) in ends.take(most) {
                (found, last) = (found + 1, at + 1);
            }
            (if found == most { last } else { content.len() }, found)
        }
    }
}
