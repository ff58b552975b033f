//! `iptables`, `ip6tables` and their `-save` and `-restore` forms: the namespace's rules as text.

use super::arguments;
use super::options::{Failure, Mistake, Options, Syntax, finish};
use crate::engine::sys::{ExitCode, Family, RestoreOptions, Sys, Table};

/// The tables in the order `iptables-save` prints them.
const TABLES: [&str; 5] = ["mangle", "raw", "security", "nat", "filter"];

/// `iptables`.
pub(crate) async fn ipv4(sys: Sys) -> ExitCode {
    command(sys, Family::Ipv4).await
}

/// `ip6tables`.
pub(crate) async fn ipv6(sys: Sys) -> ExitCode {
    command(sys, Family::Ipv6).await
}

/// `iptables-save`.
pub(crate) async fn save_ipv4(sys: Sys) -> ExitCode {
    save(sys, Family::Ipv4).await
}

/// `ip6tables-save`.
pub(crate) async fn save_ipv6(sys: Sys) -> ExitCode {
    save(sys, Family::Ipv6).await
}

/// `iptables-restore`.
pub(crate) async fn restore_ipv4(sys: Sys) -> ExitCode {
    let result = restore(&sys, Family::Ipv4).await;
    finish(&sys, result).await
}

/// `ip6tables-restore`.
pub(crate) async fn restore_ipv6(sys: Sys) -> ExitCode {
    let result = restore(&sys, Family::Ipv6).await;
    finish(&sys, result).await
}

pub(super) const RESTORE_SYNTAX: Syntax = Syntax {
    letters: "nctvT:",
    long: &[("noflush", 'n'), ("counters", 'c'), ("test", 't'), ("verbose", 'v'), ("table", 'T')],
    stop_at_operand: false,
    usage: "iptables-restore [-c] [-v] [-t] [-n] [-T table] [file]",
};

async fn restore(sys: &Sys, family: Family) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let hint = format!("Try `{program} -h' or '{program} --help' for more information.\n");
    let wrong = |text: String| Failure { text: format!("{text}\n{hint}"), status: ExitCode::FAILURE };
    let options = Options::read(&without_wait(words), &RESTORE_SYNTAX).map_err(|mistake| {
        wrong(match mistake {
            Mistake::Unknown(option) if option.chars().count() > 1 => {
                format!("{program}: unrecognized option '--{option}'")
            }
            Mistake::Unknown(option) => format!("{program}: invalid option -- '{option}'"),
            Mistake::NoValue(option) => format!("{program}: option requires an argument -- '{option}'"),
        })
    })?;
    let only = match options.value('T') {
        None => None,
        Some(name) => Some(
            Table::ALL
                .into_iter()
                .find(|table| table.name() == name)
                .ok_or_else(|| wrong(format!("{program}: there is no table '{name}'")))?,
        ),
    };
    let text = match options.operands.first() {
        Some(path) => sys.read_file(path).map_err(|errno| Failure {
            text: format!("Can't open {path}: {errno}\n"),
            status: ExitCode::FAILURE,
        })?,
        None => {
            let mut text = Vec::new();
            loop {
                let piece = sys.read(65_536).await;
                if piece.is_empty() {
                    break text;
                }
                text.extend_from_slice(&piece);
            }
        }
    };
    let wanted =
        RestoreOptions { keep: options.has('n'), counters: options.has('c'), test: options.has('t'), only };
    sys.restore_rules(family, &String::from_utf8_lossy(&text), wanted)
        .map(|()| ExitCode::SUCCESS)
        .map_err(|error| Failure { text: with_end(error.message), status: error.status })
}

async fn command(sys: Sys, family: Family) -> ExitCode {
    let (_, words) = arguments(&sys);
    let words = without_wait(words);
    let result = match sys.iptables(family, &words) {
        Ok(text) => {
            sys.print(with_end(text)).await;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(Failure { text: with_end(error.message), status: error.status }),
    };
    finish(&sys, result).await
}

/// There is no other process to wait for: `-w [SECONDS]` and `--wait[=SECONDS]` go.
fn without_wait(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if word == "-w" || word == "--wait" {
            words.next_if(|next| next.parse::<u32>().is_ok());
        } else if !word.starts_with("--wait=") {
            kept.push(word.clone());
        }
    }
    kept
}

async fn save(sys: Sys, family: Family) -> ExitCode {
    let (_, words) = arguments(&sys);
    let only = match words {
        [option, table] if option == "-t" => Some(table.as_str()),
        _ => None,
    };
    for table in TABLES.into_iter().filter(|table| only.is_none_or(|only| only == *table)) {
        let words = ["-t", table, "-S"].map(str::to_owned);
        // A table the namespace does not have is not saved.
        let Ok(rules) = sys.iptables(family, &words) else { continue };
        let mut text = format!("*{table}\n");
        for line in rules.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            text += &match words.as_slice() {
                ["-P", chain, policy] => format!(":{chain} {policy} [0:0]\n"),
                ["-N", chain] => format!(":{chain} - [0:0]\n"),
                _ => format!("{line}\n"),
            };
        }
        sys.print(text + "COMMIT\n").await;
    }
    ExitCode::SUCCESS
}

fn with_end(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
