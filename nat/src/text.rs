//! The command line of `iptables` and `ip6tables` 1.8.9 (nf_tables): parsed to a [`ParsedCommand`], applied to a
//! [`RuleSet`], with the program's own error texts and exit statuses.
//!
//! Names are not resolved by DNS, masks must be prefixes, and of the extensions only those of `rule` are known;
//! others, `-m statistic` among them, are refused as iptables refuses an extension that is not installed.

use std::net::IpAddr;

use crate::names::parse_protocol;
use crate::rule::{Family, Negatable, Rule, Target};
use crate::ruleset::{Counters, Policy, RuleOwner, RuleSet, RulesetError, Table};
use crate::text_list::{ListOptions, list_save, list_table};
use crate::text_options::{RuleBuilder, is_target_name};

/// A whole command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedCommand {
    /// `-t`.
    pub table: Table,
    /// What to do.
    pub command: Command,
    /// `-n`, `-v`, `-x`, `--line-numbers`.
    pub options: ListOptions,
    /// `-c packets bytes` for a rule that is added.
    pub counters: Option<Counters>,
}

/// What an `iptables` command line asks for. A rule with several addresses in `-s` or `-d` is several rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `-A`.
    Append(String, Vec<Rule>),
    /// `-I`, with the 1-based number.
    Insert(String, usize, Vec<Rule>),
    /// `-R`.
    Replace(String, usize, Rule),
    /// `-D chain specification`.
    Delete(String, Vec<Rule>),
    /// `-D chain number`.
    DeleteNumber(String, usize),
    /// `-C`.
    Check(String, Vec<Rule>),
    /// `-N`.
    NewChain(String),
    /// `-X`.
    DeleteChain(Option<String>),
    /// `-E old new`.
    RenameChain(String, String),
    /// `-F`.
    Flush(Option<String>),
    /// `-P chain policy`; the policy is checked when applied, as the chain is.
    SetPolicy(String, String),
    /// `-Z [chain [number]]`.
    Zero(Option<String>, Option<usize>),
    /// `-L [chain [number]]`, and whether `-Z` comes with it.
    List(Option<String>, Option<usize>, bool),
    /// `-S [chain [number]]`, and whether `-Z` comes with it.
    ListRules(Option<String>, Option<usize>, bool),
    /// `-V`.
    Version,
}

/// Why a command line was refused or could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IptablesError {
    /// The command line is wrong; exit status 2.
    #[error("iptables v1.8.9 (nf_tables): {0}\n{TRY_HELP}")]
    Parameter(String),
    /// A word that is no option; exit status 2.
    #[error("Bad argument `{0}'\n{TRY_HELP}")]
    BadArgument(String),
    /// `-t` names no table; exit status 3.
    #[error(
        "iptables v1.8.9 (nf_tables): table '{0}' does not exist\nPerhaps iptables or your kernel needs to be upgraded."
    )]
    NoTable(String),
    /// `-L` or `-S` of a chain that is not there; exit status 1.
    #[error(
        "iptables v1.8.9 (nf_tables): chain `{chain}' in table `{table}' is incompatible, use 'nft' tool."
    )]
    NoListedChain {
        /// The chain.
        chain: String,
        /// The table.
        table: &'static str,
    },
    /// `-P` with something else than ACCEPT and DROP; exit status 1.
    #[error("iptables: Bad policy name. Run `dmesg' for more information.")]
    BadPolicy,
    /// The rule set refused; exit status 1, 2 or 4.
    #[error("{}", ruleset_text(.0))]
    Ruleset(#[from] RulesetError),
}

const TRY_HELP: &str = "Try `iptables -h' or 'iptables --help' for more information.";

impl IptablesError {
    /// What the program prints to standard error, without the last line's end.
    pub fn text(&self, family: Family) -> String {
        match family {
            Family::Ipv4 => self.to_string(),
            Family::Ipv6 => self.to_string().replace("iptables", "ip6tables"),
        }
    }

    /// The program's exit status.
    pub fn exit_status(&self) -> u8 {
        match self {
            IptablesError::Parameter(_) | IptablesError::BadArgument(_) => 2,
            IptablesError::NoTable(_) => 3,
            IptablesError::NoListedChain { .. } | IptablesError::BadPolicy => 1,
            IptablesError::Ruleset(error) => match error {
                RulesetError::Busy { .. }
                | RulesetError::TooManyLinks { .. }
                | RulesetError::InvalidArgument { .. } => 4,
                RulesetError::NoTargetChain { .. } => 2,
                RulesetError::NoChain
                | RulesetError::ChainExists
                | RulesetError::FileExists
                | RulesetError::BadRule
                | RulesetError::InsertionIndex
                | RulesetError::ReplacementIndex
                | RulesetError::DeletionIndex
                | RulesetError::NotBuiltIn => 1,
            },
        }
    }
}

fn ruleset_text(error: &RulesetError) -> String {
    match error {
        RulesetError::Busy { .. }
        | RulesetError::TooManyLinks { .. }
        | RulesetError::InvalidArgument { .. } => format!("iptables v1.8.9 (nf_tables):  {error}"),
        RulesetError::NoTargetChain { .. } => format!("iptables v1.8.9 (nf_tables): {error}\n{TRY_HELP}"),
        RulesetError::NoChain
        | RulesetError::ChainExists
        | RulesetError::FileExists
        | RulesetError::BadRule
        | RulesetError::InsertionIndex
        | RulesetError::ReplacementIndex
        | RulesetError::DeletionIndex
        | RulesetError::NotBuiltIn => format!("iptables: {error}"),
    }
}

pub(crate) fn parameter<T>(text: impl Into<String>) -> Result<T, IptablesError> {
    Err(IptablesError::Parameter(text.into()))
}

/// Carries a command out and gives what it prints. On an error the rule set is as it was.
pub fn apply_command(
    rules: &mut RuleSet,
    parsed: &ParsedCommand,
    owner: Option<RuleOwner>,
) -> Result<String, IptablesError> {
    let table = parsed.table;
    if let Command::List(chain, number, zero) | Command::ListRules(chain, number, zero) = &parsed.command {
        let (name, number) = (chain.as_deref(), *number);
        let text = match &parsed.command {
            Command::ListRules(..) => list_save(rules, table, name, number, parsed.options.verbose),
            _ => list_table(rules, table, name, number, parsed.options),
        };
        let missing =
            || IptablesError::NoListedChain { chain: chain.clone().unwrap_or_default(), table: table.name() };
        let text = text.ok_or_else(missing)?;
        if *zero {
            rules.zero(table, name, number)?;
        }
        return Ok(text);
    }
    if matches!(parsed.command, Command::Version) {
        return Ok("iptables v1.8.9 (nf_tables)\n".to_owned());
    }
    let several = matches!(&parsed.command, Command::Append(_, r) | Command::Insert(_, _, r) | Command::Delete(_, r) if r.len() > 1);
    let before = several.then(|| rules.clone());
    let result = mutate(rules, parsed, owner);
    if let (Err(_), Some(before)) = (&result, before) {
        *rules = before;
    }
    result.map(|()| String::new())
}

fn mutate(
    rules: &mut RuleSet,
    parsed: &ParsedCommand,
    owner: Option<RuleOwner>,
) -> Result<(), IptablesError> {
    let table = parsed.table;
    let counters = parsed.counters.unwrap_or_default();
    match &parsed.command {
        Command::Append(chain, new) => {
            for rule in new {
                let id = rules.append(table, chain, rule.clone(), owner)?;
                rules.set_counters(id, counters);
            }
        }
        Command::Insert(chain, number, new) => {
            for rule in new {
                let id = rules.insert(table, chain, *number, rule.clone(), owner)?;
                rules.set_counters(id, counters);
            }
        }
        Command::Replace(chain, number, rule) => {
            let id = rules.replace(table, chain, *number, rule.clone(), owner)?;
            rules.set_counters(id, counters);
        }
        Command::Delete(chain, old) => {
            for rule in old {
                rules.delete_rule(table, chain, rule)?;
            }
        }
        Command::DeleteNumber(chain, number) => rules.delete_number(table, chain, *number)?,
        Command::Check(chain, wanted) => {
            for rule in wanted {
                rules.check(table, chain, rule)?;
            }
        }
        Command::NewChain(chain) => rules.new_chain(table, chain.as_str())?,
        Command::DeleteChain(chain) => rules.delete_chain(table, chain.as_deref())?,
        Command::RenameChain(old, new) => rules.rename_chain(table, old, new)?,
        Command::Flush(chain) => rules.flush(table, chain.as_deref())?,
        Command::SetPolicy(chain, policy) => {
            if rules.chain(table, chain).is_none_or(|c| c.hook().is_none()) {
                return Err(RulesetError::NotBuiltIn.into());
            }
            let policy = match policy.as_str() {
                "ACCEPT" => Policy::Accept,
                "DROP" if table == Table::Nat => return parameter(NAT_DROP),
                "DROP" => Policy::Drop,
                _ => return Err(IptablesError::BadPolicy),
            };
            rules.set_policy(table, chain, policy)?;
        }
        Command::Zero(chain, number) => rules.zero(table, chain.as_deref(), *number)?,
        Command::List(..) | Command::ListRules(..) | Command::Version => {}
    }
    Ok(())
}

pub(crate) const NAT_DROP: &str =
    "\nThe \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n";

/// Parses the words behind the program's name.
pub fn parse_command(family: Family, words: &[&str]) -> Result<ParsedCommand, IptablesError> {
    let mut parser = Parser {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        position: 0,
        negated: false,
        family,
        table: Table::Filter,
        command: None,
        also_zero: false,
        options: ListOptions::default(),
        counters: None,
        sources: None,
        destinations: None,
        builder: RuleBuilder::new(family),
    };
    while parser.position < parser.words.len() {
        parser.word()?;
    }
    parser.finish()
}

/// Parses a rule's specification, as [`crate::text_emit::emit_rule`] gives it split into words.
pub fn parse_rule(family: Family, table: Table, words: &[&str]) -> Result<Rule, IptablesError> {
    let mut all = vec!["-t", table.name(), "-A", "FORWARD"];
    all.extend(words);
    match parse_command(family, &all)?.command {
        Command::Append(_, rules) if rules.len() == 1 => Ok(rules.into_iter().next().unwrap_or_default()),
        _ => parameter("expected the specification of one rule"),
    }
}

/// An option word taken apart: `-nL` and `-tnat` into letters and a value, `--name=value` into two. Only words that
/// stand where an option may stand come here, so a value that begins with a dash stays whole.
fn split_word(word: &str) -> Vec<String> {
    let mut out = Vec::new();
    match word.strip_prefix('-') {
        Some(long) if long.starts_with('-') => match word.split_once('=') {
            Some((name, value)) => out.extend([name.to_owned(), value.to_owned()]),
            None => out.push(word.to_owned()),
        },
        Some(short) if short.len() > 1 && short.is_ascii() => {
            let mut rest = short;
            while let Some(letter) = rest.get(..1) {
                out.push(format!("-{letter}"));
                rest = &rest[1..];
                if !WITHOUT_VALUE.contains(letter) {
                    if !rest.is_empty() {
                        out.push(rest.to_owned());
                    }
                    break;
                }
            }
        }
        _ => out.push(word.to_owned()),
    }
    out
}

/// The short options after which another one can follow in the same word.
const WITHOUT_VALUE: &str = "nvxfVSLFXZ46w";

#[derive(Clone)]
struct Verb {
    letter: char,
    chain: Option<String>,
    second: Option<String>,
}

struct Parser {
    words: Vec<String>,
    position: usize,
    negated: bool,
    family: Family,
    table: Table,
    command: Option<Verb>,
    also_zero: bool,
    options: ListOptions,
    counters: Option<Counters>,
    sources: Option<(bool, Vec<String>)>,
    destinations: Option<(bool, Vec<String>)>,
    builder: RuleBuilder,
}

impl Parser {
    fn word(&mut self) -> Result<(), IptablesError> {
        let pieces = split_word(&self.words[self.position]);
        self.words.splice(self.position..=self.position, pieces);
        let word = self.words[self.position].clone();
        self.position += 1;
        if word == "!" {
            if self.negated {
                return parameter("multiple consecutive ! not allowed");
            }
            if self.position == self.words.len() {
                return parameter("nothing appropriate following !");
            }
            self.negated = true;
            return Ok(());
        }
        let negated = std::mem::take(&mut self.negated);
        let plain = |name: &str| {
            if negated { parameter(format!("cannot have ! before {name}")) } else { Ok(()) }
        };
        match word.as_str() {
            "-t" | "--table" => {
                plain("-t")?;
                let name = self.value(&word)?;
                self.table =
                    Table::ALL.into_iter().find(|t| t.name() == name).ok_or(IptablesError::NoTable(name))?;
            }
            "-A" | "--append" => self.verb('A', &word, Needs::Chain)?,
            "-C" | "--check" => self.verb('C', &word, Needs::Chain)?,
            "-D" | "--delete" => self.verb('D', &word, Needs::ChainAndMore)?,
            "-I" | "--insert" => self.verb('I', &word, Needs::ChainAndMore)?,
            "-R" | "--replace" => self.verb('R', &word, Needs::ChainAndMore)?,
            "-N" | "--new-chain" | "--new" => self.verb('N', &word, Needs::Name)?,
            "-E" | "--rename-chain" => self.verb('E', &word, Needs::ChainAndMore)?,
            "-P" | "--policy" => self.verb('P', &word, Needs::ChainAndMore)?,
            "-X" | "--delete-chain" => self.verb('X', &word, Needs::Nothing)?,
            "-F" | "--flush" => self.verb('F', &word, Needs::Nothing)?,
            "-Z" | "--zero" => self.verb('Z', &word, Needs::Nothing)?,
            "-L" | "--list" => self.verb('L', &word, Needs::Nothing)?,
            "-S" | "--list-rules" => self.verb('S', &word, Needs::Nothing)?,
            "-V" | "--version" => {
                self.command = Some(Verb { letter: 'V', chain: None, second: None });
            }
            "-n" | "--numeric" => self.options.numeric = true,
            "-v" | "--verbose" => self.options.verbose = true,
            "-x" | "--exact" => self.options.exact = true,
            "--line-numbers" => self.options.line_numbers = true,
            "-w" | "--wait" => {
                if self.peek().is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit())) {
                    self.position += 1;
                }
            }
            "-4" | "--ipv4" if self.family == Family::Ipv4 => {}
            "-6" | "--ipv6" if self.family == Family::Ipv6 => {}
            "-c" | "--set-counters" => {
                let packets = self.value(&word)?;
                let bytes = match self.peek() {
                    Some(text) => text.to_owned(),
                    None => return parameter("-c requires packet and byte counter"),
                };
                self.position += 1;
                match (packets.parse(), bytes.parse()) {
                    (Ok(packets), Ok(bytes)) => self.counters = Some(Counters { packets, bytes }),
                    (Err(_), _) => return parameter("-c packet counter not numeric"),
                    _ => return parameter("-c byte counter not numeric"),
                }
            }
            "-s" | "--source" | "--src" => {
                let list = self.value(&word)?;
                once(&self.sources, "-s")?;
                self.sources = Some(addresses(&list, negated)?);
            }
            "-d" | "--destination" | "--dst" => {
                let list = self.value(&word)?;
                once(&self.destinations, "-d")?;
                self.destinations = Some(addresses(&list, negated)?);
            }
            "-i" | "--in-interface" => {
                let name = self.value(&word)?;
                once(&self.builder.rule.in_interface, "-i")?;
                self.builder.rule.in_interface = self.builder.interface(&name, negated)?;
            }
            "-o" | "--out-interface" => {
                let name = self.value(&word)?;
                once(&self.builder.rule.out_interface, "-o")?;
                self.builder.rule.out_interface = self.builder.interface(&name, negated)?;
            }
            "-p" | "--protocol" | "--proto" => {
                let name = self.value(&word)?;
                once(&self.builder.rule.protocol, "-p")?;
                let Some(number) = parse_protocol(&name) else {
                    return parameter(format!("unknown protocol \"{name}\" specified"));
                };
                if number == 0 && negated {
                    return parameter("rule would never match protocol");
                }
                self.builder.rule.protocol = (number != 0).then_some(Negatable { negated, value: number });
            }
            "-f" | "--fragments" | "--fragment" if self.family == Family::Ipv4 => {
                self.builder.rule.fragment = Some(!negated);
            }
            "-j" | "--jump" => {
                plain("-j")?;
                let name = self.value(&word)?;
                self.builder.target(&name, "-j")?;
            }
            "-g" | "--goto" => {
                plain("-g")?;
                let name = self.value(&word)?;
                self.builder.goto(&name)?;
            }
            "-m" | "--match" => {
                if negated {
                    return parameter("unexpected ! flag before --match");
                }
                let name = self.value(&word)?;
                self.builder.load(&name)?;
            }
            other if other.starts_with('-') => {
                let rest = &self.words[self.position..];
                self.position += self.builder.option(other, negated, rest)?;
            }
            other => return Err(IptablesError::BadArgument(other.to_owned())),
        }
        Ok(())
    }

    fn peek(&self) -> Option<&str> {
        self.words.get(self.position).map(String::as_str)
    }

    fn value(&mut self, option: &str) -> Result<String, IptablesError> {
        let Some(value) = self.words.get(self.position) else {
            return parameter(format!("option \"{option}\" requires an argument"));
        };
        self.position += 1;
        Ok(value.clone())
    }

    fn optional(&mut self) -> Option<String> {
        let word = self.peek().filter(|w| !w.starts_with('-') && *w != "!")?.to_owned();
        self.position += 1;
        Some(word)
    }

    fn verb(&mut self, letter: char, word: &str, needs: Needs) -> Result<(), IptablesError> {
        if let Some(old) = &self.command {
            match (old.letter, letter) {
                ('L' | 'S', 'Z') => {
                    self.also_zero = true;
                    let chain = self.optional();
                    if let (Some(old), Some(chain)) = (&mut self.command, chain) {
                        old.chain = Some(chain);
                    }
                    return Ok(());
                }
                ('Z', 'L' | 'S') => self.also_zero = true,
                (old, new) => return parameter(format!("Cannot use -{new} with -{old}")),
            }
        }
        let chain = match needs {
            Needs::Nothing => self.optional(),
            Needs::Chain | Needs::ChainAndMore | Needs::Name => Some(self.value(word)?),
        };
        let second = match needs {
            Needs::ChainAndMore => self.optional(),
            Needs::Nothing if chain.is_some() && matches!(letter, 'L' | 'S' | 'Z') => self.optional(),
            Needs::Nothing | Needs::Chain | Needs::Name => None,
        };
        if let (Needs::Name, Some(name)) = (needs, &chain) {
            check_new_name(name)?;
        }
        self.command = Some(Verb { letter, chain, second });
        Ok(())
    }

    fn finish(mut self) -> Result<ParsedCommand, IptablesError> {
        let Some(Verb { letter, chain, second }) = self.command.take() else {
            return parameter("no command specified");
        };
        let name = chain.clone().unwrap_or_default();
        let number = second.as_deref().map(rule_number).transpose();
        let has_rule = matches!(letter, 'A' | 'I' | 'R' | 'D' | 'C');
        if !has_rule {
            for (present, option) in [
                (self.sources.is_some(), 's'),
                (self.destinations.is_some(), 'd'),
                (self.builder.rule.protocol.is_some(), 'p'),
                (self.builder.rule.in_interface.is_some(), 'i'),
                (self.builder.rule.out_interface.is_some(), 'o'),
                (self.builder.rule.target != Target::Continue, 'j'),
            ] {
                if present {
                    return parameter(format!("Illegal option `-{option}' with this command"));
                }
            }
        }
        let new = if has_rule { self.rules(&name)? } else { Vec::new() };
        let command = match letter {
            'A' => Command::Append(name, new),
            'I' => Command::Insert(name, number?.unwrap_or(1), new),
            'R' => match (number?, new.as_slice()) {
                (None, _) => return parameter("-R requires a rule number"),
                (Some(number), [rule]) => Command::Replace(name, number, rule.clone()),
                _ => return parameter("Replacement rule does not specify a unique address"),
            },
            'D' => match number? {
                Some(number) => Command::DeleteNumber(name, number),
                None => Command::Delete(name, new),
            },
            'C' => Command::Check(name, new),
            'N' => Command::NewChain(name),
            'X' => Command::DeleteChain(chain),
            'F' => Command::Flush(chain),
            'E' => match second {
                Some(new) => {
                    check_new_name(&new)?;
                    Command::RenameChain(name, new)
                }
                None => return parameter("-E requires old-chain-name and new-chain-name"),
            },
            'P' => match second {
                Some(policy) => Command::SetPolicy(name, policy),
                None => return parameter("-P requires a chain and a policy"),
            },
            'Z' => Command::Zero(chain, number?),
            'L' => Command::List(chain, number?, self.also_zero),
            'S' => Command::ListRules(chain, number?, self.also_zero),
            _ => Command::Version,
        };
        Ok(ParsedCommand { table: self.table, command, options: self.options, counters: self.counters })
    }

    fn rules(&mut self, chain: &str) -> Result<Vec<Rule>, IptablesError> {
        let rule = self.builder.finish(self.table)?;
        if rule.in_interface.is_some() && matches!(chain, "POSTROUTING" | "OUTPUT") {
            return parameter(format!("Can't use -i with {chain}\n"));
        }
        if rule.out_interface.is_some() && matches!(chain, "PREROUTING" | "INPUT") {
            return parameter(format!("Can't use -o with {chain}\n"));
        }
        let mut out = Vec::new();
        for source in self.expand(&self.sources)? {
            for destination in self.expand(&self.destinations)? {
                out.push(Rule { source, destination, ..rule.clone() });
            }
        }
        Ok(out)
    }

    /// The blocks of `-s` or `-d`; a block that holds every address is no condition.
    fn expand(
        &self,
        list: &Option<(bool, Vec<String>)>,
    ) -> Result<Vec<Option<Negatable<crate::cidr::Cidr>>>, IptablesError> {
        let Some((negated, list)) = list else { return Ok(vec![None]) };
        list.iter()
            .map(|text| {
                let (head, tail) = text.split_once('/').unwrap_or((text, ""));
                let fits = head.parse::<IpAddr>().is_ok_and(|a| a.is_ipv4() == (self.family == Family::Ipv4));
                if !fits {
                    return parameter(format!("host/network `{head}' not found"));
                }
                let Ok(block) = crate::cidr::Cidr::parse(text) else {
                    return parameter(format!("invalid mask `{tail}' specified"));
                };
                match (block.prefix(), negated) {
                    (0, false) => Ok(None),
                    (0, true) => parameter("rule would never match an address"),
                    _ => Ok(Some(Negatable { negated: *negated, value: block })),
                }
            })
            .collect()
    }
}

#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    Chain,
    ChainAndMore,
    Name,
}

fn once<T>(old: &Option<T>, name: &str) -> Result<(), IptablesError> {
    if old.is_some() { parameter(format!("multiple {name} flags not allowed")) } else { Ok(()) }
}

/// The addresses of a list; at most 1024 (ours) so that source times destination stays bounded.
fn addresses(list: &str, negated: bool) -> Result<(bool, Vec<String>), IptablesError> {
    let list: Vec<String> = list.split(',').map(str::to_owned).collect();
    if negated && list.len() > 1 {
        return parameter("! not allowed with multiple source or destination IP addresses");
    }
    if list.len() > 1024 {
        return parameter("more than 1024 addresses in one list");
    }
    Ok((negated, list))
}

fn rule_number(text: &str) -> Result<usize, IptablesError> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => parameter(format!("Invalid rule number `{text}'")),
    }
}

fn check_new_name(name: &str) -> Result<(), IptablesError> {
    if let Some(first @ ('-' | '!')) = name.chars().next() {
        return parameter(format!("chain name not allowed to start with `{first}'"));
    }
    if name.len() >= 29 {
        return parameter(format!("chain name `{name}' too long (must be under 29 chars)"));
    }
    if is_target_name(name) {
        return parameter("chain name may not clash with target name");
    }
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return parameter(format!("Invalid chain name `{name}'"));
    }
    Ok(())
}
