//! `printf FORMAT [ARGUMENT]...`, which the shell has inside, too: `%s %d %i %u %x %X %o %c %b %%` with flags, width and
//! precision, and the format again while arguments are left. Output of more than [`MOST`] bytes is refused.

use super::arguments;
use super::echo;
use super::options::Failure;
use super::text::MOST;
use crate::engine::sys::{ExitCode, Sys};

/// Prints its arguments in a format.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (name, words) = arguments(&sys);
    if words.is_empty() {
        let failure = Failure::usage("", "printf FORMAT [ARG]...");
        sys.print_error(failure.text).await;
        return failure.status;
    }
    let (text, errors) = format(words);
    // Standard error is not buffered: complaints come first.
    for error in &errors {
        sys.print_error(format!("{name}: {error}\n")).await;
    }
    sys.print(text).await;
    if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What it prints, and its complaints.
pub(crate) fn format(words: &[String]) -> (String, Vec<String>) {
    let (mut text, mut errors) = (String::new(), Vec::new());
    let Some((format, arguments)) = words.split_first() else { return (text, errors) };
    let (format, stopped) = echo::expand(format);
    let mut arguments = arguments.iter();
    loop {
        let left = arguments.len();
        if !once(&format, &mut arguments, &mut text, &mut errors) || stopped {
            return (text, errors);
        }
        if arguments.len() == 0 || arguments.len() == left {
            return (text, errors);
        }
    }
}

/// Goes through the format once; false if output ends here.
fn once(
    format: &str,
    arguments: &mut std::slice::Iter<'_, String>,
    text: &mut String,
    errors: &mut Vec<String>,
) -> bool {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        let flags = rest.len() - rest.trim_start_matches(['-', '0', '+', ' ', '#']).len();
        let (left, zero) = (rest[..flags].contains('-'), rest[..flags].contains('0'));
        rest = &rest[flags..];
        let (width, after) = digits(rest);
        let (precision, after) = match after.strip_prefix('.') {
            Some(after) => {
                let (precision, after) = digits(after);
                (Some(precision.unwrap_or(0)), after)
            }
            None => (None, after),
        };
        let Some(letter) = after.chars().next() else {
            errors.push("%: invalid format".to_owned());
            return false;
        };
        rest = &after[letter.len_utf8()..];
        let argument = arguments.next().map(String::as_str);
        let mut stopped = false;
        let shown = match letter {
            's' => argument.unwrap_or_default().chars().take(precision.unwrap_or(usize::MAX)).collect(),
            'c' => argument.unwrap_or_default().chars().take(1).collect(),
            'b' => {
                let (expanded, stop) = echo::expand(argument.unwrap_or_default());
                stopped = stop;
                expanded
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let number = argument.map_or(Ok(0), |text| number(text).ok_or(text));
                let number = number.unwrap_or_else(|text| {
                    errors.push(format!("invalid number '{text}'"));
                    0
                });
                match letter {
                    'x' => format!("{number:x}"),
                    'X' => format!("{number:X}"),
                    'o' => format!("{number:o}"),
                    'u' => format!("{}", number as u64),
                    _ => number.to_string(),
                }
            }
            letter => {
                errors.push(format!("%{letter}: invalid format"));
                return false;
            }
        };
        let missing = width.unwrap_or(0).saturating_sub(shown.chars().count());
        if text.len().saturating_add(shown.len()).saturating_add(missing) > MOST {
            errors.push(format!("out of memory: output is larger than {} MiB", MOST >> 20));
            return false;
        }
        let fill = if zero && !left && "diuxXo".contains(letter) { '0' } else { ' ' };
        let padding = std::iter::repeat_n(fill, missing);
        match left {
            true => text.extend(shown.chars().chain(padding)),
            false => text.extend(padding.chain(shown.chars())),
        }
        if stopped {
            return false;
        }
    }
    text.push_str(rest);
    true
}

fn digits(text: &str) -> (Option<usize>, &str) {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    // What does not fit is wider than anything.
    let number = (length > 0).then(|| text[..length].parse().unwrap_or(usize::MAX));
    (number, &text[length..])
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16).ok(),
        None => text.parse().ok(),
    }
}
