//! Options of a command, read as Docker's client reads them.
//!
//! The client uses the pflag library: `--name value`, `--name=value`, `-n value`, `-nvalue`, `-n=value`, switches that
//! may be grouped (`-itd`) and may carry a value (`--tty=false`), `--` ends the options, a lone `-` is an argument. A
//! command is a table of [`Flag`]s whose `id` is the command's own closed enum, so that what is done with each option is an
//! exhaustive match. The error texts are pflag's.

use thiserror::Error;

/// One option of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag<Id> {
    /// What the option means to the command.
    pub(super) id: Id,
    /// The name after `--`.
    pub(super) long: &'static str,
    /// The letter after `-`.
    pub(super) short: Option<char>,
    /// Whether a value follows.
    pub(super) takes: Takes,
}

/// What an option needs after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing; `--name=false` switches off.
    Nothing,
    /// A value.
    Value,
}

/// One option found on the line.
#[derive(Debug, Clone)]
pub(super) struct Given<Id> {
    /// The option.
    pub(super) flag: Flag<Id>,
    /// Its value; empty for a switch.
    pub(super) value: String,
    /// Whether a switch is on; true for an option with a value.
    pub(super) on: bool,
}

/// A line taken apart.
#[derive(Debug, Clone)]
pub(super) struct Parsed<Id> {
    /// The options in order.
    pub(super) given: Vec<Given<Id>>,
    /// Everything else in order.
    pub(super) arguments: Vec<String>,
}

/// Where options may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// Anywhere between the arguments.
    Anywhere,
    /// Only before the first argument: what follows belongs to another program.
    BeforeArguments,
}

/// A refused option, in pflag's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum FlagError {
    #[error("unknown flag: --{0}")]
    UnknownLong(String),
    #[error("unknown shorthand flag: {letter:?} in -{group}")]
    UnknownShort { letter: char, group: String },
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    #[error("flag needs an argument: --{0}")]
    NeedsArgument(&'static str),
    #[error("flag needs an argument: {letter:?} in -{group}")]
    ShortNeedsArgument { letter: char, group: String },
    #[error("invalid argument {} for {} flag: {reason}", quote(.value), quote(.flag))]
    Invalid { value: String, flag: String, reason: String },
    #[error("help asked for")]
    Help,
}

impl<Id> Flag<Id> {
    pub(super) const fn switch(id: Id, long: &'static str) -> Self {
        Self { id, long, short: None, takes: Takes::Nothing }
    }

    pub(super) const fn value(id: Id, long: &'static str) -> Self {
        Self { id, long, short: None, takes: Takes::Value }
    }

    pub(super) const fn short(id: Id, short: char, long: &'static str, takes: Takes) -> Self {
        Self { id, long, short: Some(short), takes }
    }

    /// The refusal of a value of this option.
    pub(super) fn invalid(&self, value: &str, reason: impl ToString) -> FlagError {
        let flag = match self.short {
            Some(short) => format!("-{short}, --{}", self.long),
            None => format!("--{}", self.long),
        };
        FlagError::Invalid { value: value.to_owned(), flag, reason: reason.to_string() }
    }
}

/// Takes `words` apart by the table `flags`.
pub(super) fn parse<Id: Copy>(
    flags: &[Flag<Id>],
    placement: Placement,
    words: &[String],
) -> Result<Parsed<Id>, FlagError> {
    let mut parsed = Parsed { given: Vec::new(), arguments: Vec::new() };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            break;
        } else if let Some(body) = word.strip_prefix("--") {
            let given = parse_long(flags, word, body, &mut rest)?;
            parsed.given.push(given);
        } else if let Some(group) = word.strip_prefix('-').filter(|group| !group.is_empty()) {
            parse_group(flags, group, &mut rest, &mut parsed.given)?;
        } else {
            parsed.arguments.push(word.clone());
            if placement == Placement::BeforeArguments {
                break;
            }
        }
    }
    parsed.arguments.extend(rest.cloned());
    Ok(parsed)
}

fn parse_long<'words, Id: Copy>(
    flags: &[Flag<Id>],
    word: &str,
    body: &str,
    rest: &mut impl Iterator<Item = &'words String>,
) -> Result<Given<Id>, FlagError> {
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    if name.is_empty() || name.starts_with('-') {
        return Err(FlagError::Syntax(word.to_owned()));
    }
    let Some(flag) = flags.iter().find(|flag| flag.long == name).copied() else {
        return Err(if name == "help" { FlagError::Help } else { FlagError::UnknownLong(name.to_owned()) });
    };
    match (flag.takes, value) {
        (Takes::Nothing, None) => Ok(Given { flag, value: String::new(), on: true }),
        (Takes::Nothing, Some(value)) => switched(flag, value),
        (Takes::Value, Some(value)) => Ok(Given { flag, value: value.to_owned(), on: true }),
        (Takes::Value, None) => {
            let value = rest.next().ok_or(FlagError::NeedsArgument(flag.long))?;
            Ok(Given { flag, value: value.clone(), on: true })
        }
    }
}

fn parse_group<'words, Id: Copy>(
    flags: &[Flag<Id>],
    group: &str,
    rest: &mut impl Iterator<Item = &'words String>,
    given: &mut Vec<Given<Id>>,
) -> Result<(), FlagError> {
    let mut letters = group.chars();
    while let Some(letter) = letters.next() {
        let here = || format!("{letter}{}", letters.as_str());
        let Some(flag) = flags.iter().find(|flag| flag.short == Some(letter)).copied() else {
            return Err(if letter == 'h' {
                FlagError::Help
            } else {
                FlagError::UnknownShort { letter, group: here() }
            });
        };
        let tail = letters.as_str();
        let attached = tail.strip_prefix('=').filter(|value| !value.is_empty());
        match (flag.takes, attached) {
            (Takes::Nothing, Some(value)) => {
                given.push(switched(flag, value)?);
                return Ok(());
            }
            (Takes::Nothing, None) => given.push(Given { flag, value: String::new(), on: true }),
            (Takes::Value, Some(value)) => {
                given.push(Given { flag, value: value.to_owned(), on: true });
                return Ok(());
            }
            (Takes::Value, None) if !tail.is_empty() => {
                given.push(Given { flag, value: tail.to_owned(), on: true });
                return Ok(());
            }
            (Takes::Value, None) => {
                let value =
                    rest.next().ok_or_else(|| FlagError::ShortNeedsArgument { letter, group: here() })?;
                given.push(Given { flag, value: value.clone(), on: true });
                return Ok(());
            }
        }
    }
    Ok(())
}

fn switched<Id>(flag: Flag<Id>, value: &str) -> Result<Given<Id>, FlagError> {
    match parse_bool(value) {
        Some(on) => Ok(Given { flag, value: String::new(), on }),
        None => {
            Err(flag
                .invalid(value, format_args!("strconv.ParseBool: parsing {}: invalid syntax", quote(value))))
        }
    }
}

/// The words Go's strconv.ParseBool takes.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `%q`: double quotes, with quotes, backslashes and control characters escaped.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Id {
        Interactive,
        Tty,
        Publish,
    }

    const FLAGS: &[Flag<Id>] = &[
        Flag::short(Id::Interactive, 'i', "interactive", Takes::Nothing),
        Flag::short(Id::Tty, 't', "tty", Takes::Nothing),
        Flag::short(Id::Publish, 'p', "publish", Takes::Value),
    ];

    fn shown(placement: Placement, line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match parse(FLAGS, placement, &words) {
            Ok(parsed) => {
                let mut shown: Vec<String> = parsed
                    .given
                    .iter()
                    .map(|given| format!("{:?}={}{}", given.flag.id, given.on, given.value))
                    .collect();
                shown.push(parsed.arguments.join("+"));
                shown.join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_way_to_write_an_option() {
        let cases = [
            ("-itp80 x", "Interactive=true Tty=true Publish=true80 x"),
            (
                "-p 80 --publish=81 --publish 82 -p=83 x",
                "Publish=true80 Publish=true81 Publish=true82 Publish=true83 x",
            ),
            ("--tty=false x", "Tty=false x"),
            ("-t=0 x", "Tty=false x"),
            ("x - -- -t", "x+-+-t"),
            ("a -t b", "Tty=true a+b"),
            ("--foo=1", "unknown flag: --foo"),
            ("-tz", "unknown shorthand flag: 'z' in -z"),
            ("--publish", "flag needs an argument: --publish"),
            ("-tp", "flag needs an argument: 'p' in -p"),
            ("--=x", "bad flag syntax: --=x"),
            (
                "--tty=maybe",
                "invalid argument \"maybe\" for \"-t, --tty\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(Placement::Anywhere, line), expected, "{line}");
        }
        assert_eq!(shown(Placement::BeforeArguments, "-t image -p x -z"), "Tty=true image+-p+x+-z");
    }
}
