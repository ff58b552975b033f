//! `iptables`, `ip6tables` and their `-save` forms: the namespace's rules as text.

use super::arguments;
use super::options::{Failure, finish};
use crate::engine::sys::{ExitCode, Family, Sys};

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
