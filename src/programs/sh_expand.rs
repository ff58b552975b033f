//! The shell's expansions: parameters, command substitution and field splitting. File names are not expanded.

use std::collections::BTreeMap;

use super::sh_syntax::{Part, Word};
use crate::engine::sys::{Errno, Launch, Pipe, Sys};

/// What expansions see.
#[derive(Clone)]
pub(crate) struct Variables {
    /// Exported and other variables.
    pub(crate) values: BTreeMap<String, String>,
    /// `$0`, `$1`, ...
    pub(crate) positional: Vec<String>,
    /// `$?`
    pub(crate) status: u8,
}

impl Variables {
    fn get(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.positional.len().saturating_sub(1).to_string()),
            "@" | "*" => Some(self.positional.get(1..).unwrap_or_default().join(" ")),
            "$" => Some("1".to_owned()),
            "!" => None,
            name => match name.parse::<usize>() {
                Ok(index) => self.positional.get(index).cloned(),
                Err(_) => self.values.get(name).cloned(),
            },
        }
    }
}

/// Expands a command's words into its arguments.
pub(crate) async fn fields(sys: &Sys, words: &[Word], variables: &Variables) -> Result<Vec<String>, Errno> {
    let mut fields = Vec::new();
    for word in words {
        // None: no field has begun.
        let mut current: Option<String> = None;
        for part in &word.0 {
            let (value, split) = value(sys, part, variables).await?;
            if !split {
                current.get_or_insert_default().push_str(&value);
                continue;
            }
            for (index, piece) in value.split([' ', '\t', '\n']).enumerate() {
                if index > 0 {
                    fields.extend(current.take());
                }
                if !piece.is_empty() {
                    current.get_or_insert_default().push_str(piece);
                }
            }
        }
        fields.extend(current);
    }
    Ok(fields)
}

/// Expands a word without splitting it: the value of an assignment, the name of a file.
pub(crate) async fn single(sys: &Sys, word: &Word, variables: &Variables) -> Result<String, Errno> {
    let mut text = String::new();
    for part in &word.0 {
        text += &value(sys, part, variables).await?.0;
    }
    Ok(text)
}

/// A part's text, and whether it is split into fields.
async fn value(sys: &Sys, part: &Part, variables: &Variables) -> Result<(String, bool), Errno> {
    match part {
        Part::Text(text) => Ok((text.clone(), false)),
        Part::Variable(name, default, quoted) => {
            let value = variables.get(name).filter(|value| default.is_none() || !value.is_empty());
            Ok((value.or_else(|| default.clone()).unwrap_or_default(), !quoted))
        }
        Part::Substitution(command, quoted) => {
            let output = substitute(sys, command, variables).await?;
            Ok((output.trim_end_matches('\n').to_owned(), !quoted))
        }
    }
}

async fn substitute(sys: &Sys, command: &str, variables: &Variables) -> Result<String, Errno> {
    let output = Pipe::new();
    let mut arguments = vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()];
    arguments.extend(variables.positional.iter().cloned());
    let child = sys.launch(Launch {
        arguments,
        environment: variables.values.clone(),
        stdin: sys.stdin().clone(),
        stdout: output.clone(),
        stderr: sys.stderr().clone(),
    })?;
    let wait = async {
        child.wait().await;
        output.close_writer();
    };
    let read = async {
        let mut all = Vec::new();
        loop {
            let part = output.read(65_536).await;
            if part.is_empty() {
                return all;
            }
            all.extend(part);
        }
    };
    let ((), all) = super::tasks::both(wait, read).await;
    Ok(String::from_utf8_lossy(&all).into_owned())
}
