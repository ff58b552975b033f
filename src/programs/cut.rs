//! `cut -f LIST [-d SEP] [-s] | -c LIST | -b LIST [FILE]...`.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::text::{BROKEN_PIPE, Complaint, Input, Line, Lines};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "b:c:d:f:s",
    long: &[],
    stop_at_operand: false,
    usage: "cut [OPTIONS] [FILE]...\n\n\
            Print selected fields from FILEs to stdout\n\n\
            \t-b LIST\tOutput only bytes from LIST\n\
            \t-c LIST\tOutput only characters from LIST\n\
            \t-d SEP\tField delimiter for input (default -f TAB)\n\
            \t-f LIST\tPrint only these fields (-d is single char)\n\
            \t-s\tDrop lines with no delimiter (else print them in full)",
};

/// Prints parts of lines.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let lists: Vec<(char, &str)> =
        ['b', 'c', 'f'].into_iter().filter_map(|kind| Some((kind, options.value(kind)?))).collect();
    let [(kind, list)] = lists[..] else {
        return Err(Failure::usage("cut: expected a list of bytes, characters, or fields\n", SYNTAX.usage));
    };
    let ranges = ranges(list).ok_or_else(|| Failure::new(program, format!("invalid range '{list}'")))?;
    let wanted = |number: usize| ranges.iter().any(|(first, last)| (*first..=*last).contains(&number));
    let delimiter = options.value('d').unwrap_or("\t");
    if delimiter.chars().count() != 1 {
        return Err(Failure::new(program, "the delimiter must be a single character"));
    }
    let mut lines = Lines::new(Input::new(sys, program, &options.operands, Complaint::Name));
    while let Some(Line { text: line, .. }) = lines.line().await? {
        let mut shown: String = match kind {
            'f' if !line.contains(delimiter) => {
                if options.has('s') {
                    continue;
                }
                line
            }
            'f' => {
                let fields = line.split(delimiter).enumerate();
                let kept: Vec<&str> =
                    fields.filter(|(at, _)| wanted(at + 1)).map(|(_, field)| field).collect();
                kept.join(delimiter)
            }
            _ => line.chars().enumerate().filter(|(at, _)| wanted(at + 1)).map(|(_, c)| c).collect(),
        };
        shown.push('\n');
        if sys.write(shown.as_bytes()).await.is_err() {
            return Ok(BROKEN_PIPE);
        }
    }
    Ok(lines.input.status())
}

/// `1,3-5,7-`, counted from 1.
fn ranges(list: &str) -> Option<Vec<(usize, usize)>> {
    let range = |text: &str| {
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (
                if first.is_empty() { 1 } else { first.parse().ok()? },
                if last.is_empty() { usize::MAX } else { last.parse().ok()? },
            ),
            None => {
                let number: usize = text.parse().ok()?;
                (number, number)
            }
        };
        (first >= 1 && last >= first).then_some((first, last))
    };
    list.split(',').map(range).collect()
}
