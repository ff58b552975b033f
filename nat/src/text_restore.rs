//! `iptables-restore`: rules of whole tables as `iptables-save` writes them, each table at once (iptables 1.8.9, nf_tables).

use crate::rule::Family;
use crate::ruleset::{Counters, Hook, Policy, RuleSet, RulesetError, Table};
use crate::text::{Command, IptablesError, apply_command, parse_command};

/// How to read the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreOptions {
    /// `-n`: what the text does not name stays. Otherwise a table that the text has is emptied first.
    pub keep: bool,
    /// `-c`: rules begin with the counters that the text gives them.
    pub counters: bool,
    /// `-t`: nothing is changed.
    pub test: bool,
    /// `-T`: only this table.
    pub only: Option<Table>,
}

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreError {
    /// What the program prints to standard error, without the last line's end.
    pub text: String,
    /// The program's exit status.
    pub exit_status: u8,
}

/// A table whose `COMMIT` has not been met.
struct Open {
    table: Table,
    /// The rules as they will be.
    rules: RuleSet,
    /// A jump led nowhere; that is found out when all is there.
    missing: Option<IptablesError>,
    /// The table is not the one that is asked for.
    skipped: bool,
}

/// Reads rules into `rules`. A table whose `COMMIT` is met has been changed; on an error the one at hand is as it was.
pub fn restore(
    rules: &mut RuleSet,
    family: Family,
    text: &str,
    options: RestoreOptions,
) -> Result<(), RestoreError> {
    let reader = Reader { family, options };
    let mut open: Option<Open> = None;
    let mut number = 0;
    for line in text.lines() {
        number += 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        open = match open {
            None => Some(reader.begin(rules, line, number)?),
            Some(Open { missing: Some(error), .. }) if line == "COMMIT" => {
                return Err(reader.refused(&error, number));
            }
            Some(done) if line == "COMMIT" => {
                if !options.test && !done.skipped {
                    *rules = done.rules;
                }
                None
            }
            Some(open) if open.skipped => Some(open),
            Some(mut open) => {
                match line.strip_prefix(':') {
                    Some(chain) => reader.chain(&mut open, chain, number)?,
                    None => reader.command(&mut open, line, number)?,
                }
                Some(open)
            }
        };
    }
    match open {
        None => Ok(()),
        Some(_) => Err(reader.failed(format_args!("COMMIT expected at line {}", number + 1))),
    }
}

struct Reader {
    family: Family,
    options: RestoreOptions,
}

impl Reader {
    fn program(&self) -> &'static str {
        match self.family {
            Family::Ipv4 => "iptables-restore",
            Family::Ipv6 => "ip6tables-restore",
        }
    }

    /// `*table`.
    fn begin(&self, rules: &RuleSet, line: &str, number: usize) -> Result<Open, RestoreError> {
        let Some(name) = line.strip_prefix('*') else {
            return Err(self.failed(format_args!("line {number} failed")));
        };
        let Some(table) = Table::ALL.into_iter().find(|table| table.name() == name) else {
            let text = format!("{}: line {number} table name '{name}' invalid", self.program());
            return Err(self.refused(&IptablesError::Parameter(text), number));
        };
        let skipped = self.options.only.is_some_and(|only| only != table);
        let mut rules = rules.clone();
        if !self.options.keep && !skipped {
            let emptied = rules.flush(table, None).and_then(|()| rules.delete_chain(table, None));
            emptied.map_err(|error| self.refused(&error.into(), number))?;
            for hook in Hook::ALL.into_iter().filter(|hook| Table::at(*hook).contains(&table)) {
                // The chain is there: the table has it.
                let _ = rules.set_policy(table, hook.chain_name(), Policy::Accept);
            }
        }
        Ok(Open { table, rules, missing: None, skipped })
    }

    /// `:chain policy [packets:bytes]`; the policy of a chain of one's own is `-`.
    fn chain(&self, open: &mut Open, line: &str, number: usize) -> Result<(), RestoreError> {
        let mut words = line.split_whitespace();
        let (name, policy) = (words.next().unwrap_or_default(), words.next());
        let Some(policy) = policy else {
            let text = format!("{}: line {number} policy invalid", self.program());
            return Err(self.refused(&IptablesError::Parameter(text), number));
        };
        let own = !Hook::ALL.iter().any(|hook| hook.chain_name() == name);
        let done = if own {
            match open.rules.new_chain(open.table, name) {
                Err(RulesetError::ChainExists) => open.rules.flush(open.table, Some(name)),
                done => done,
            }
        } else {
            let policy = match policy {
                "ACCEPT" => Policy::Accept,
                "DROP" => Policy::Drop,
                "-" => return Ok(()),
                _ => return Err(self.failed(format_args!("line {number} failed: Bad policy name."))),
            };
            let counters = words.next().and_then(|word| counted(word).0).filter(|_| self.options.counters);
            open.rules
                .set_policy(open.table, name, policy)
                .and_then(|()| open.rules.set_policy_counters(open.table, name, counters.unwrap_or_default()))
        };
        done.map_err(|error| self.refused(&error.into(), number))
    }

    /// `[packets:bytes] -A chain ...`, or any other command of iptables.
    fn command(&self, open: &mut Open, line: &str, number: usize) -> Result<(), RestoreError> {
        let (counters, line) = counted(line);
        let mut words = vec!["-t".to_owned(), open.table.name().to_owned()];
        let given = words_of(line);
        if given.iter().any(|word| word == "-t" || word == "--table") {
            let text = format!("The -t option cannot be used in {}.\n", self.program());
            return Err(self.refused(&IptablesError::Parameter(text), number));
        }
        words.extend(given);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut parsed = parse_command(self.family, &words).map_err(|error| self.refused(&error, number))?;
        if matches!(parsed.command, Command::List(..) | Command::ListRules(..)) {
            return Err(self.failed(format_args!("line {number} failed")));
        }
        if let Some(counters) = counters.filter(|_| self.options.counters) {
            parsed.counters = Some(counters);
        }
        match apply_command(&mut open.rules, &parsed, None) {
            Ok(_) => Ok(()),
            Err(error @ IptablesError::Ruleset(RulesetError::NoTargetChain { .. })) => {
                open.missing.get_or_insert(error);
                Ok(())
            }
            Err(error) => Err(self.refused(&error, number)),
        }
    }

    fn failed(&self, what: std::fmt::Arguments<'_>) -> RestoreError {
        RestoreError { text: format!("{}: {what}", self.program()), exit_status: 1 }
    }

    /// What iptables says to a command, as this program says it of a line.
    fn refused(&self, error: &IptablesError, number: usize) -> RestoreError {
        let text = error.text(Family::Ipv4);
        let program = self.program();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let first = match first.strip_prefix("iptables: ") {
            Some(what) => return self.failed(format_args!("line {number} failed: {what}")),
            None => first.replacen("iptables v", &format!("{program} v"), 1),
        };
        let mut lines = vec![first];
        lines.extend(rest.lines().filter(|line| !line.starts_with("Try ")).map(str::to_owned));
        lines.push(format!("Error occurred at line: {number}"));
        lines.push(format!("Try `{program} -h' or '{program} --help' for more information."));
        RestoreError { text: lines.join("\n"), exit_status: error.exit_status() }
    }
}

/// `[packets:bytes]` in front of a rule.
fn counted(line: &str) -> (Option<Counters>, &str) {
    let parts = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let Some((numbers, rest)) = parts else { return (None, line) };
    let counters = numbers.split_once(':').and_then(|(packets, bytes)| {
        Some(Counters { packets: packets.parse().ok()?, bytes: bytes.parse().ok()? })
    });
    (counters, rest.trim_start())
}

/// The words of a line as `iptables-restore` splits it: apart by blanks; double quotes hold together, a backslash within
/// them takes the next character as it is.
pub fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(characters.next()),
            ' ' | '\t' | '\n' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}
