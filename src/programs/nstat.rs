//! `nstat`: the kernel's counters by name (iproute2).
//!
//! It prints what changed since it was called last, which it keeps in a file, or with `-a` the counters themselves.
//! `-z` shows those that are zero too, `-s` leaves the file as it is, `-n` prints nothing, `-r` begins again. Averages over
//! time (`-d`) are not reproduced, and only the counters of `/proc/net/snmp`, `snmp6` and
//! `netstat` that are there.

use std::collections::BTreeMap;

use super::arguments;
use super::options::{Failure, Mistake, Options, Syntax, finish};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "asznrh",
    long: &[
        ("ignore", 'a'),
        ("noupdate", 's'),
        ("zeros", 'z'),
        ("nooutput", 'n'),
        ("reset", 'r'),
        ("help", 'h'),
    ],
    stop_at_operand: false,
    usage: "nstat [ -h?vVzrnasd:t:jp: ] [ PATTERN [ PATTERN ] ]\nHere only -a, -s, -z, -n and -r are known.",
};

/// The second has a line for each counter.
const FILES: [&str; 3] = ["/proc/net/snmp", "/proc/net/snmp6", "/proc/net/netstat"];

/// Where what was printed last is kept, as of root.
const HISTORY: &str = "/tmp/.nstat.u0";

/// Prints counters.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let usage = || Failure { text: format!("Usage: {}\n", SYNTAX.usage), status: ExitCode::FAILURE };
    let options = Options::read(words, &SYNTAX).map_err(|mistake| {
        let (Mistake::Unknown(option) | Mistake::NoValue(option)) = mistake;
        let text = format!("{program}: unrecognized option '{option}'\n{}", usage().text);
        Failure { text, status: ExitCode::FAILURE }
    })?;
    if options.has('h') {
        return Err(usage());
    }
    let counters: Vec<(String, u64)> =
        FILES.iter().filter_map(|path| sys.read_file(path).ok()).flat_map(|text| parse(&text)).collect();
    let history: BTreeMap<String, u64> = match options.has('a') || options.has('r') {
        true => BTreeMap::new(),
        false => read_history(&sys.read_file(HISTORY).unwrap_or_default()),
    };
    if !options.has('n') {
        let mut text = "#kernel\n".to_owned();
        for (name, value) in &counters {
            let shown = value.saturating_sub(history.get(name).copied().unwrap_or_default());
            let wanted =
                options.operands.is_empty() || options.operands.iter().any(|pattern| matches(pattern, name));
            if wanted && (shown > 0 || options.has('z')) {
                text += &format!("{name:<32}{shown:<16}{:>6}\n", "0.0");
            }
        }
        sys.print(text).await;
    }
    if !options.has('s') {
        let kept: String = counters.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        // Where nothing can be kept, everything is new the next time too.
        let _ = sys.write_file(HISTORY, kept.as_bytes(), false);
    }
    Ok(ExitCode::SUCCESS)
}

/// Pairs of lines: names, then numbers, each after the protocol and a colon; or lines of a name and a number.
fn parse(text: &[u8]) -> Vec<(String, u64)> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    if !text.contains(':') {
        let counter = |line: &str| {
            let (name, number) = line.split_once(char::is_whitespace)?;
            Some((name.to_owned(), number.trim().parse().ok()?))
        };
        return lines.into_iter().filter_map(counter).collect();
    }
    let mut counters = Vec::new();
    for pair in lines.chunks_exact(2) {
        let (Some((protocol, names)), Some((_, numbers))) =
            (pair[0].split_once(':'), pair[1].split_once(':'))
        else {
            continue;
        };
        for (name, number) in names.split_whitespace().zip(numbers.split_whitespace()) {
            counters.push((format!("{protocol}{name}"), number.parse().unwrap_or_default()));
        }
    }
    counters
}

fn read_history(text: &[u8]) -> BTreeMap<String, u64> {
    let text = String::from_utf8_lossy(text);
    let entry = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

/// A pattern of `fnmatch(3)`, with `*` and `?` only.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let fits = |piece: &str, text: &str| {
        text.len() >= piece.len() && piece.bytes().zip(text.bytes()).all(|(p, t)| p == b'?' || p == t)
    };
    let first = pieces.next().unwrap_or_default();
    if !fits(first, name) {
        return false;
    }
    let mut rest = &name[first.len()..];
    let mut open = false;
    let pieces: Vec<&str> = pieces.collect();
    for (number, piece) in pieces.iter().enumerate() {
        open = number + 1 == pieces.len() && piece.is_empty();
        let last = number + 1 == pieces.len();
        let found = if last && rest.len() >= piece.len() {
            let at = rest.len() - piece.len();
            fits(piece, &rest[at..]).then_some(at)
        } else {
            (0..=rest.len()).find(|at| fits(piece, &rest[*at..]))
        };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty() || open
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, yes) in [("IpReasmFails", true), ("Ip*", true), ("*Fails", true), ("*Reasm*", true)] {
            assert_eq!(matches(pattern, "IpReasmFails"), yes, "{pattern}");
        }
        for pattern in ["IpReasm", "Ip*Fail", "Tcp*", "", "*x*", "IpReasmFails?"] {
            assert!(!matches(pattern, "IpReasmFails"), "{pattern}");
        }
        assert!(
            matches("??ReasmFails", "IpReasmFails") && matches("*", "") && matches("I*R*s", "IpReasmFails")
        );
    }

    #[test]
    fn what_changed_is_shown_once_and_everything_when_asked_for() {
        let world = World::new();
        assert_eq!(world.run("a", "nstat"), ("#kernel\n".to_owned(), 0));
        // Nobody takes this protocol; its time to live runs out at the router.
        world.run("a", "traceroute -n -q 1 -m 1 10.1.0.2");
        let line = "IpInHdrErrors                   1                  0.0\n";
        assert_eq!(world.run("host", "nstat"), (format!("#kernel\n{line}"), 0));
        assert_eq!(world.run("host", "nstat"), ("#kernel\n".to_owned(), 0));
        assert_eq!(world.run("host", "nstat -a"), (format!("#kernel\n{line}"), 0));
        let (printed, _) = world.run("host", "nstat -az TcpExt*");
        assert_eq!(printed, "#kernel\nTcpExtListenDrops               0                  0.0\n");
        assert_eq!(world.run("host", "nstat -d 1").1, 1);
    }
}
