//! Replays what iptables 1.8.9 (nf_tables) on Linux 6.18 printed, recorded in an empty network namespace: every
//! line `$ words` is a command, what follows is its output and, if it failed, `[exit n]`. `$ restore words` is
//! iptables-restore, which reads the lines behind `> `.

use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::{RuleSet, Table};
use linkspan_nat::text::{apply_command, parse_command};
use linkspan_nat::text_restore::{RestoreOptions, restore};

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_with(String::new);
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_with(String::new).push(c),
        }
    }
    words.extend(word);
    words
}

fn restore_options(words: &[&str]) -> RestoreOptions {
    let has = |option: &str| words.contains(&option);
    RestoreOptions {
        keep: has("-n"),
        counters: has("-c"),
        test: has("-t"),
        only: Table::ALL.into_iter().find(|table| has("-T") && has(table.name())),
    }
}

fn replay(transcript: &str) {
    let mut rules = RuleSet::new(Family::Ipv4);
    let mut differences = Vec::new();
    for step in format!("\n{transcript}").split("\n$ ").skip(1) {
        let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
        let words = words(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (found, expected) = match words.as_slice() {
            ["restore", options @ ..] => {
                let (read, printed): (Vec<&str>, Vec<&str>) =
                    expected.lines().partition(|line| line.starts_with('>'));
                let text: String = read.iter().map(|line| format!("{}\n", line[1..].trim())).collect();
                let found = match restore(&mut rules, Family::Ipv4, &text, restore_options(options)) {
                    Ok(()) => String::new(),
                    Err(error) => format!("{}\n[exit {}]", error.text, error.exit_status),
                };
                (found, printed.join("\n"))
            }
            words => {
                let parsed = parse_command(Family::Ipv4, words);
                let found = match parsed.and_then(|parsed| apply_command(&mut rules, &parsed, None)) {
                    Ok(output) => output,
                    Err(error) => format!("{}\n[exit {}]", error.text(Family::Ipv4), error.exit_status()),
                };
                (found, expected.to_owned())
            }
        };
        if found.trim_end_matches('\n') != expected.trim_end_matches('\n') {
            differences.push(format!("$ {command}\nexpected:\n{expected}\nfound:\n{found}"));
        }
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn rules_read_and_print_as_iptables_does() {
    replay(include_str!("iptables-1.8.9/rules.txt"));
}

#[test]
fn chains_change_as_iptables_changes_them() {
    replay(include_str!("iptables-1.8.9/chains.txt"));
}

#[test]
fn options_are_refused_as_iptables_refuses_them() {
    replay(include_str!("iptables-1.8.9/options.txt"));
}

#[test]
fn connections_are_asked_for_as_iptables_asks() {
    replay(include_str!("iptables-1.8.9/conntrack.txt"));
}

#[test]
fn whole_tables_are_read_as_iptables_restore_reads_them() {
    replay(include_str!("iptables-1.8.9/restore.txt"));
}
