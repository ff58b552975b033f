//! What a shell would start: the programs a command line of `sh` names, without running it.
//!
//! The shell's own parser decides, so that keywords, builtins and functions are none and an operator inside quotes or a
//! redirection separates nothing. A script is not known to run if it cannot be read, if it sources or is a file, or if
//! an expansion names a program. Actions of `trap` are not looked at: they run when everything else has.

use std::collections::BTreeSet;

use super::builtins::is_builtin;
use super::command::{Command, CompoundKind, List, Operation, Part, Redirection, Simple, Target, Word};
use super::syntax::parse;
use super::variables::Options;

/// Texts inside texts (`eval`, `$( )`) that are looked into.
const DEEPEST: u32 = 40;

/// A command's words; `None` for one that only expansion knows.
pub(in crate::programs) type Words = Vec<Option<String>>;

/// The programs that a shell with these arguments would start, in order. `None`: it would not run, or nobody can tell.
pub(in crate::programs) fn programs(arguments: &[String]) -> Option<Vec<Words>> {
    let (mut rest, mut command, mut options) = (arguments, false, Options::default());
    while let Some((option, after)) = rest.split_first()
        && let Some(letters) = option.strip_prefix('-').filter(|letters| !letters.is_empty())
    {
        rest = after;
        if option == "--" {
            break;
        }
        if letters == "o" {
            let (name, after) = rest.split_first()?;
            rest = after;
            options.set_name(name, true).then_some(())?;
            continue;
        }
        for letter in letters.chars() {
            command |= letter == 'c';
            ("cis".contains(letter) || options.set(letter, true)).then_some(())?;
        }
    }
    let mut finder = Finder { runs: true, ..Finder::default() };
    match (command, rest.first()) {
        (true, Some(text)) => finder.text(text),
        (false, None) => {}
        // No text, or a file, which is not there.
        (true, None) | (false, Some(_)) => return None,
    }
    let Finder { runs, functions, mut started, .. } = finder;
    started.retain(|words| !matches!(words.first(), Some(Some(name)) if functions.contains(name)));
    runs.then_some(started)
}

#[derive(Default)]
struct Finder {
    runs: bool,
    depth: u32,
    functions: BTreeSet<String>,
    started: Vec<Words>,
}

impl Finder {
    fn text(&mut self, text: &str) {
        self.depth += 1;
        match parse(text) {
            Ok(list) if self.depth <= DEEPEST => self.list(&list),
            _ => self.runs = false,
        }
        self.depth -= 1;
    }

    fn list(&mut self, list: &List) {
        for command in list.0.iter().flat_map(|(pipeline, _)| &pipeline.commands) {
            match command {
                Command::Simple(simple) => self.simple(simple),
                Command::Compound(compound) => {
                    self.redirections(&compound.redirections);
                    self.compound(&compound.kind, &compound.source);
                }
                Command::Function(name, body) => {
                    self.functions.insert(name.clone());
                    self.redirections(&body.redirections);
                    self.compound(&body.kind, &body.source);
                }
            }
        }
    }

    fn compound(&mut self, kind: &CompoundKind, source: &str) {
        match kind {
            CompoundKind::Group(list) => self.list(list),
            CompoundKind::Subshell => self.text(source),
            CompoundKind::If(branches, otherwise) => {
                for (condition, body) in branches {
                    self.list(condition);
                    self.list(body);
                }
                otherwise.iter().for_each(|list| self.list(list));
            }
            CompoundKind::Loop { condition, body, .. } => {
                self.list(condition);
                self.list(body);
            }
            CompoundKind::For { words, body, .. } => {
                words.iter().flatten().for_each(|word| self.word(word));
                self.list(body);
            }
            CompoundKind::Case(word, branches) => {
                self.word(word);
                for (patterns, body) in branches {
                    patterns.iter().for_each(|pattern| self.word(pattern));
                    self.list(body);
                }
            }
        }
    }

    fn simple(&mut self, simple: &Simple) {
        simple.assignments.iter().for_each(|(_, value)| self.word(value));
        simple.words.iter().for_each(|word| self.word(word));
        self.redirections(&simple.redirections);
        let words: Words = simple.words.iter().map(literal).collect();
        let mut words = words.as_slice();
        while let Some((first, rest)) = words.split_first() {
            match first.as_deref() {
                Some("exec") => words = rest,
                Some("command") if !asks(rest) => words = rest,
                Some("eval") => match rest.iter().cloned().collect::<Option<Vec<String>>>() {
                    Some(text) => return self.text(&text.join(" ")),
                    None => return self.runs = false,
                },
                None | Some(".") => return self.runs = false,
                Some(name) if is_builtin(name) => return,
                Some(_) => return self.started.push(words.to_vec()),
            }
        }
    }

    fn redirections(&mut self, redirections: &[Redirection]) {
        for redirection in redirections {
            match &redirection.target {
                Target::Read(word) | Target::Document(word) | Target::Write(word, _) => self.word(word),
                Target::Same(_) => {}
            }
        }
    }

    /// Looks for substitutions.
    fn word(&mut self, word: &Word) {
        for part in &word.0 {
            match part {
                Part::Text(_) | Part::Quoted(_) => {}
                Part::Substitution(text, _) => self.text(text),
                Part::Arithmetic(word, _) => self.word(word),
                Part::Variable { operation, .. } => match operation {
                    None | Some(Operation::Length) => {}
                    Some(
                        Operation::Default { word, .. }
                        | Operation::Assign { word, .. }
                        | Operation::Alternative { word, .. }
                        | Operation::Required { word, .. }
                        | Operation::TrimStart { pattern: word, .. }
                        | Operation::TrimEnd { pattern: word, .. },
                    ) => self.word(word),
                },
            }
        }
    }
}

/// `command -v NAME` starts nothing.
fn asks(words: &[Option<String>]) -> bool {
    matches!(words.first(), Some(Some(option)) if option.starts_with('-'))
}

/// A word's text if expansion changes nothing about it.
fn literal(word: &Word) -> Option<String> {
    let text = word.0.iter().map(|part| match part {
        Part::Text(text) | Part::Quoted(text) => Some(text.as_str()),
        Part::Variable { .. } | Part::Substitution(..) | Part::Arithmetic(..) => None,
    });
    text.collect()
}
