//! What a shell remembers: variables, parameters, functions and options, bounded so that a loop cannot eat the memory.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::command::Compound;

/// Bytes of all variables together, and of what one command expands to: Linux's 2 MiB for a program's arguments and
/// environment (`execve(2)`).
pub(super) const LARGEST: usize = 2 << 20;

/// Functions of one shell.
const MOST_FUNCTIONS: usize = 1_024;

/// What a shell remembers.
#[derive(Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Names of those that programs get.
    exported: BTreeSet<String>,
    /// Bytes of names and values.
    size: usize,
    /// `$0`, `$1`, ...
    pub(super) positional: Vec<String>,
    /// `$?`
    pub(super) status: u8,
    /// `$$`: the shell's number, in its subshells too.
    pub(super) process: u32,
    /// `$!`
    pub(super) last_background: Option<u32>,
    functions: BTreeMap<String, Rc<Compound>>,
    /// What `set` changes.
    pub(super) options: Options,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// What `set -LETTER` and `set -o NAME` change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    /// `-e`: a failure ends the shell.
    pub(super) exit_on_failure: bool,
    /// `-u`: a variable that is not set is an error.
    pub(super) no_unset: bool,
    /// `-x`: commands are shown.
    pub(super) trace: bool,
    /// `-o pipefail`: a pipeline fails if any of its commands does.
    pub(super) pipefail: bool,
    /// `-f`: `*` is a letter.
    pub(super) no_file_names: bool,
}

impl Options {
    /// Sets an option by its letter; false if the shell has none of that letter. `l` changes nothing: there is no
    /// profile to read.
    pub(super) fn set(&mut self, letter: char, value: bool) -> bool {
        match letter {
            'e' => self.exit_on_failure = value,
            'u' => self.no_unset = value,
            'x' => self.trace = value,
            'f' => self.no_file_names = value,
            'l' => {}
            _ => return false,
        }
        true
    }

    /// Sets an option by its name; false if the shell has none of that name.
    pub(super) fn set_name(&mut self, name: &str, value: bool) -> bool {
        match name {
            "errexit" => self.exit_on_failure = value,
            "nounset" => self.no_unset = value,
            "xtrace" => self.trace = value,
            "pipefail" => self.pipefail = value,
            "noglob" => self.no_file_names = value,
            _ => return false,
        }
        true
    }
}

impl Variables {
    /// Variables of an environment, for a shell of this name with these parameters.
    pub(super) fn new(environment: &BTreeMap<String, String>, positional: Vec<String>) -> Variables {
        Variables {
            values: environment.clone(),
            exported: environment.keys().cloned().collect(),
            size: environment.iter().map(|(name, value)| name.len() + value.len()).sum(),
            positional,
            ..Variables::default()
        }
    }

    /// The value of a variable or parameter; those of `$@` joined by blanks.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.positional.len().saturating_sub(1).to_string()),
            "@" | "*" => (self.positional.len() > 1).then(|| self.positional[1..].join(" ")),
            "$" => Some(self.process.to_string()),
            "!" => self.last_background.map(|id| id.to_string()),
            "-" => Some(String::new()),
            name => match name.parse::<usize>() {
                Ok(index) => self.positional.get(index).cloned(),
                Err(_) => self.values.get(name).cloned(),
            },
        }
    }

    /// Gives a variable a value.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Full> {
        let before = self.values.get(name).map_or(0, |before| name.len() + before.len());
        let size = self.size - before + name.len() + value.len();
        if size > LARGEST {
            return Err(Full);
        }
        self.size = size;
        self.values.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Forgets a variable.
    pub(super) fn unset(&mut self, name: &str) {
        if let Some(before) = self.values.remove(name) {
            self.size -= name.len() + before.len();
        }
        self.exported.remove(name);
    }

    /// Programs get this variable from now on, or no longer.
    pub(super) fn export(&mut self, name: &str, exported: bool) {
        match exported {
            true => self.exported.insert(name.to_owned()),
            false => self.exported.remove(name),
        };
    }

    /// What programs get.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let exported = |(name, _): &(&String, &String)| self.exported.contains(*name);
        self.values.iter().filter(exported).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Every variable.
    pub(super) fn all(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Names of the variables that programs do not get.
    pub(super) fn unexported(&self) -> impl Iterator<Item = &str> {
        self.values.keys().filter(|name| !self.exported.contains(*name)).map(String::as_str)
    }

    /// A function's body.
    pub(super) fn function(&self, name: &str) -> Option<Rc<Compound>> {
        self.functions.get(name).cloned()
    }

    /// Defines a function.
    pub(super) fn define(&mut self, name: &str, body: Rc<Compound>) -> Result<(), Full> {
        let size: usize = self.functions.values().map(|body| body.source.len()).sum();
        if self.functions.len() >= MOST_FUNCTIONS || size + body.source.len() > LARGEST {
            return Err(Full);
        }
        self.functions.insert(name.to_owned(), body);
        Ok(())
    }

    /// Every function with its text.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.functions.iter().map(|(name, body)| (name.as_str(), body.source.as_str()))
    }
}
