//! `date [-uR] [+FORMAT]`: the wall clock, which begins with 2026 and goes by virtual time. It cannot be set.

use std::time::Duration;

use super::arguments;
use super::http::{self, EPOCH};
use super::options::{Failure, Options, Syntax, finish};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "uR",
    long: &[],
    stop_at_operand: false,
    usage: "date [OPTIONS] [+FMT]\n\n\
            Display time (using +FMT)\n\n\
            \t-u\t\tWork in UTC (don't convert to local time)\n\
            \t-R\t\tOutput RFC-2822 date",
};

/// Shows the time.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let format = match options.operands.as_slice() {
        [] if options.has('R') => "%a, %d %b %Y %H:%M:%S +0000",
        [] => "%a %b %e %H:%M:%S UTC %Y",
        [format] if format.starts_with('+') => &format[1..],
        [time, ..] => {
            return Err(Failure::new(
                program,
                format!("invalid date '{time}': the clock cannot be set here"),
            ));
        }
    };
    let text = formatted(format, sys.now())
        .map_err(|letter| Failure::new(program, format!("unsupported format '%{letter}'")))?;
    sys.print(format!("{text}\n")).await;
    Ok(ExitCode::SUCCESS)
}

/// A moment by a format of strftime(3); the error is the letter that is not known.
fn formatted(format: &str, at: Duration) -> Result<String, char> {
    // `Thu, 01 Jan 2026 00:00:00 GMT`
    let date = http::date(at);
    let (weekday, day, month, year, time) =
        (&date[0..3], &date[5..7], &date[8..11], &date[12..16], &date[17..25]);
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = MONTHS.iter().position(|name| *name == month).map_or(0, |at| at + 1);
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('s') => text += &(EPOCH + at.as_secs()).to_string(),
            Some('N') => text += &format!("{:09}", at.subsec_nanos()),
            Some('Y') => text += year,
            Some('m') => text += &format!("{number:02}"),
            Some('d') => text += day,
            Some('e') => text += &format!("{:>2}", day.trim_start_matches('0')),
            Some('H') => text += &time[0..2],
            Some('M') => text += &time[3..5],
            Some('S') => text += &time[6..8],
            Some('T') => text += time,
            Some('R') => text += &time[0..5],
            Some('F') => text += &format!("{year}-{number:02}-{day}"),
            Some('a') => text += weekday,
            Some('b') => text += month,
            Some('Z') => text += "UTC",
            Some('z') => text += "+0000",
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('%') | None => text.push('%'),
            Some(other) => return Err(other),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_strftime() {
        let at = Duration::from_millis(86_400_000 * 31 + 3_661_500);
        let expected = "Sun Feb 1 01:01:01 2026-02-01 1769907661 %";
        assert_eq!(formatted("%a %b %e %T %F %s %%", at).unwrap().replace("  ", " "), expected);
        assert_eq!(formatted("%q", at), Err('q'));
    }
}
