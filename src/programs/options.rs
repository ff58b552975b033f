//! Command lines as getopt reads them, and how a program ends when it cannot go on.

use crate::engine::sys::{ExitCode, Sys};

/// Why a program gives up: what it prints on standard error and its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The whole text, with its line ends.
    pub(crate) text: String,
    /// The exit status.
    pub(crate) status: ExitCode,
}

impl Failure {
    /// `PROGRAM: MESSAGE` and status 1.
    pub(crate) fn new(program: &str, message: impl AsRef<str>) -> Failure {
        Failure { text: format!("{program}: {}\n", message.as_ref()), status: ExitCode::FAILURE }
    }

    /// How BusyBox shows a program's usage, after a complaint if there is one.
    pub(crate) fn usage(complaint: &str, usage: &str) -> Failure {
        let text = format!("{complaint}BusyBox v1.35.0 multi-call binary.\n\nUsage: {usage}\n");
        Failure { text, status: ExitCode::FAILURE }
    }
}

/// Prints what went wrong, if anything did, and gives the program's status.
pub(crate) async fn finish(sys: &Sys, result: Result<ExitCode, Failure>) -> ExitCode {
    match result {
        Ok(status) => status,
        Err(failure) => {
            sys.print_error(&failure.text).await;
            failure.status
        }
    }
}

/// What a program accepts.
pub(crate) struct Syntax {
    /// Its option letters, a colon after those that take a value, as for `getopt(3)`.
    pub(crate) letters: &'static str,
    /// Long names and the letters they stand for.
    pub(crate) long: &'static [(&'static str, char)],
    /// Options end at the first operand (`timeout 5 ping -c 1 x`); otherwise they may follow operands.
    pub(crate) stop_at_operand: bool,
    /// What to show when the command line is wrong.
    pub(crate) usage: &'static str,
}

/// Why a command line cannot be taken apart. Both hold the option without its dashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// No such option.
    Unknown(String),
    /// The option needs a value and has none.
    NoValue(String),
}

/// A command line taken apart.
#[derive(Debug, Default)]
pub(crate) struct Options {
    found: Vec<(char, Option<String>)>,
    /// What is not an option.
    pub(crate) operands: Vec<String>,
}

impl Options {
    /// Reads a command line; the error shows the usage.
    pub(crate) fn parse(program: &str, arguments: &[String], syntax: &Syntax) -> Result<Options, Failure> {
        Options::read(arguments, syntax).map_err(|mistake| {
            let complaint = match mistake {
                Mistake::Unknown(option) => format!("{program}: unrecognized option: {option}\n"),
                Mistake::NoValue(option) => format!("{program}: option requires an argument: {option}\n"),
            };
            Failure::usage(&complaint, syntax.usage)
        })
    }

    /// Reads a command line for a program that has its own words for mistakes.
    pub(crate) fn read(arguments: &[String], syntax: &Syntax) -> Result<Options, Mistake> {
        let mut options = Options::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                options.operands.extend(rest.cloned());
                break;
            } else if let Some(long) = argument.strip_prefix("--") {
                options.take_long(long, &mut rest, syntax)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                options.take_letters(&argument[1..], &mut rest, syntax)?;
            } else {
                options.operands.push(argument.clone());
                if syntax.stop_at_operand {
                    options.operands.extend(rest.cloned());
                    break;
                }
            }
        }
        Ok(options)
    }

    /// True if the option was given.
    pub(crate) fn has(&self, letter: char) -> bool {
        self.found.iter().any(|(l, _)| *l == letter)
    }

    /// How often the option was given.
    pub(crate) fn count(&self, letter: char) -> usize {
        self.found.iter().filter(|(l, _)| *l == letter).count()
    }

    /// The last value given for an option.
    pub(crate) fn value(&self, letter: char) -> Option<&str> {
        self.found.iter().rev().find(|(l, _)| *l == letter).and_then(|(_, value)| value.as_deref())
    }

    /// Every value given for an option, in order.
    pub(crate) fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        self.found.iter().filter(move |(l, _)| *l == letter).filter_map(|(_, value)| value.as_deref())
    }

    /// The last value of an option as a number, `default` if it was not given.
    pub(crate) fn number<T: std::str::FromStr>(
        &self,
        program: &str,
        letter: char,
        default: T,
    ) -> Result<T, Failure> {
        match self.value(letter) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| invalid_number(program, text)),
        }
    }

    fn take_letters(
        &mut self,
        letters: &str,
        rest: &mut std::slice::Iter<'_, String>,
        syntax: &Syntax,
    ) -> Result<(), Mistake> {
        for (at, letter) in letters.char_indices() {
            let known = letter != ':' && syntax.letters.contains(letter);
            if !known {
                return Err(Mistake::Unknown(letter.to_string()));
            }
            if !takes_value(syntax, letter) {
                self.found.push((letter, None));
                continue;
            }
            let attached = &letters[at + letter.len_utf8()..];
            let value = if attached.is_empty() { rest.next().cloned() } else { Some(attached.to_owned()) };
            let Some(value) = value else {
                return Err(Mistake::NoValue(letter.to_string()));
            };
            self.found.push((letter, Some(value)));
            break;
        }
        Ok(())
    }

    fn take_long(
        &mut self,
        long: &str,
        rest: &mut std::slice::Iter<'_, String>,
        syntax: &Syntax,
    ) -> Result<(), Mistake> {
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let Some((_, letter)) = syntax.long.iter().find(|(known, _)| *known == name) else {
            return Err(Mistake::Unknown(name.to_owned()));
        };
        if !takes_value(syntax, *letter) {
            self.found.push((*letter, None));
            return Ok(());
        }
        let Some(value) = attached.or_else(|| rest.next().cloned()) else {
            return Err(Mistake::NoValue(name.to_owned()));
        };
        self.found.push((*letter, Some(value)));
        Ok(())
    }
}

/// BusyBox's complaint about a number.
pub(crate) fn invalid_number(program: &str, text: &str) -> Failure {
    Failure::new(program, format!("invalid number '{text}'"))
}

/// A number of seconds as BusyBox reads durations: a decimal fraction, then `s`, `m`, `h`, `d` or nothing.
pub(crate) fn duration(text: &str) -> Option<std::time::Duration> {
    let (number, unit) = match text.char_indices().next_back()? {
        (at, 's') => (&text[..at], 1.0),
        (at, 'm') => (&text[..at], 60.0),
        (at, 'h') => (&text[..at], 3600.0),
        (at, 'd') => (&text[..at], 86_400.0),
        _ => (text, 1.0),
    };
    let digits = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let seconds: f64 = if digits { number.parse().ok()? } else { return None };
    std::time::Duration::try_from_secs_f64(seconds * unit).ok()
}

/// The signals of `signal(7)` that end a program.
pub(crate) const SIGNALS: [(&str, u8); 8] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
];

/// The number of a signal by its name, with or without `SIG`, or by its number.
pub(crate) fn signal_number(name: &str) -> Option<u8> {
    let name = name.strip_prefix("SIG").unwrap_or(name);
    match SIGNALS.iter().find(|(known, _)| *known == name) {
        Some((_, number)) => Some(*number),
        None => name.parse().ok().filter(|number| (1..=64).contains(number)),
    }
}

/// A signal's name, its number if it has none here.
pub(crate) fn signal_name(signal: u8) -> String {
    let known = SIGNALS.iter().find(|(_, number)| *number == signal);
    known.map_or_else(|| signal.to_string(), |(name, _)| (*name).to_owned())
}

fn takes_value(syntax: &Syntax, letter: char) -> bool {
    let mut following = syntax.letters.chars().skip_while(|known| *known != letter).skip(1);
    following.next() == Some(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SYNTAX: Syntax = Syntax {
        letters: "c:qv",
        long: &[("count", 'c'), ("quiet", 'q')],
        stop_at_operand: false,
        usage: "x [-c N] HOST",
    };

    fn parse(line: &str) -> Result<Options, Failure> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse("x", &words, &SYNTAX)
    }

    #[test]
    fn letters_join_and_values_attach() {
        let options = parse("-qvc3 host --count=4 -q -- -v").unwrap();
        assert_eq!((options.value('c'), options.has('q'), options.has('v')), (Some("4"), true, true));
        assert_eq!(options.operands, ["host", "-v"]);
    }

    #[test]
    fn unknown_and_incomplete_options_show_the_usage() {
        let text = parse("-z").unwrap_err().text;
        let usage = "BusyBox v1.35.0 multi-call binary.\n\nUsage: x [-c N] HOST\n";
        assert_eq!(text, format!("x: unrecognized option: z\n{usage}"));
        assert_eq!(parse("--zz").unwrap_err().text, format!("x: unrecognized option: zz\n{usage}"));
        assert_eq!(parse("-c").unwrap_err().text, format!("x: option requires an argument: c\n{usage}"));
        assert_eq!(
            parse("-c x").unwrap().number("x", 'c', 1u32).unwrap_err().text,
            "x: invalid number 'x'\n"
        );
    }

    #[test]
    fn durations_have_fractions_and_units() {
        assert_eq!(duration("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1m"), Some(Duration::from_secs(60)));
        assert_eq!((duration("m"), duration("-1"), duration(""), duration("1x")), (None, None, None, None));
    }
}
