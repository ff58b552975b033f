//! The shell's expansions (POSIX.1-2017, 2.6): parameters, command substitution, arithmetic, the splitting of what
//! they give into fields, and of fields that are patterns into the names of files.

use std::future::Future;
use std::pin::Pin;

use super::arithmetic;
use super::command::{Operation, Part, Word};
use super::filenames;
use super::pattern;
use super::variables::LARGEST;
use super::{Shell, Streams};
use crate::engine::sys::{Errno, ExitCode, Pipe};
use crate::programs::tasks::both;

/// Why a command is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// A file or process could not be had; the command fails.
    Failed(String),
    /// The shell ends, as one that is not interactive does.
    Fatal(String),
}

/// SIGPIPE.
const SIGPIPE: u8 = 13;

/// Blank, tab and line end.
const SEPARATORS: &str = " \t\n";

/// The text of a word while it grows.
#[derive(Default)]
struct Fields {
    done: Vec<Field>,
    /// None: no field has begun.
    current: Option<Field>,
    size: usize,
}

/// An argument, unless it is a pattern that files match.
#[derive(Default)]
struct Field {
    text: String,
    /// The same as a pattern, if a letter that was not quoted makes it one.
    pattern: String,
    is_pattern: bool,
}

impl Fields {
    /// What stands in quotes, and stands for itself.
    fn push_quoted(&mut self, text: &str) -> Result<(), Stop> {
        self.push(text, true)
    }

    fn push_plain(&mut self, text: &str) -> Result<(), Stop> {
        self.push(text, false)
    }

    fn push(&mut self, text: &str, quoted: bool) -> Result<(), Stop> {
        self.size += text.len();
        if self.size > LARGEST {
            return Err(out_of_memory());
        }
        let field = self.current.get_or_insert_default();
        field.text.push_str(text);
        field.is_pattern |= !quoted && text.contains(['*', '?', '[']);
        pattern::extend(&mut field.pattern, text, quoted);
        Ok(())
    }

    fn end_field(&mut self) {
        self.size += size_of::<String>();
        self.done.extend(self.current.take());
    }
}

pub(super) fn out_of_memory() -> Stop {
    Stop::Fatal("out of memory".to_owned())
}

impl Shell {
    /// Expands a command's words into its arguments.
    pub(super) async fn fields(&mut self, words: &[Word]) -> Result<Vec<String>, Stop> {
        let mut fields = Fields::default();
        for word in words {
            for part in &word.0 {
                self.add(&mut fields, part).await?;
            }
            fields.end_field();
        }
        let mut arguments = Vec::new();
        for field in fields.done {
            let files = match field.is_pattern && !self.variables.options.no_file_names {
                true => filenames::matching(&self.sys, &field.pattern),
                false => Vec::new(),
            };
            match files.is_empty() {
                true => arguments.push(field.text),
                false => arguments.extend(files),
            }
        }
        Ok(arguments)
    }

    /// Expands a word without splitting it: the value of an assignment, the name of a file.
    pub(super) async fn single(&mut self, word: &Word) -> Result<String, Stop> {
        let mut text = String::new();
        for part in &word.0 {
            text += &match part {
                Part::Text(text) | Part::Quoted(text) => text.clone(),
                part => self.value(part).await?,
            };
            if text.len() > LARGEST {
                return Err(out_of_memory());
            }
        }
        Ok(text)
    }

    /// Expands a word into a pattern: what was quoted stands for itself.
    pub(super) async fn pattern(&mut self, word: &Word) -> Result<String, Stop> {
        let mut pattern = String::new();
        for part in &word.0 {
            let (text, literal) = match part {
                Part::Text(text) => (text.clone(), false),
                Part::Quoted(text) => (text.clone(), true),
                Part::Variable { quoted, .. }
                | Part::Substitution(_, quoted)
                | Part::Arithmetic(_, quoted) => (self.value(part).await?, *quoted),
            };
            pattern::extend(&mut pattern, &text, literal);
            if pattern.len() > LARGEST {
                return Err(out_of_memory());
            }
        }
        Ok(pattern)
    }

    async fn add(&mut self, fields: &mut Fields, part: &Part) -> Result<(), Stop> {
        let quoted = match part {
            Part::Text(text) => return fields.push_plain(text),
            Part::Quoted(text) => return fields.push_quoted(text),
            Part::Variable { name, operation: None, quoted: true } if name == "@" => {
                for (index, parameter) in self.variables.positional.iter().skip(1).enumerate() {
                    if index > 0 {
                        fields.end_field();
                    }
                    fields.push_quoted(parameter)?;
                }
                return Ok(());
            }
            // The fields of `${NAME-"a b" c}` are those of its word.
            Part::Variable { name, operation: Some(operation), quoted: false } => {
                if let Some(word) = self.replacement(name, operation) {
                    for part in &word.0 {
                        match part {
                            Part::Text(text) => self.split(fields, text)?,
                            part => self.add_nested(fields, part).await?,
                        }
                    }
                    return Ok(());
                }
                false
            }
            Part::Variable { quoted, .. } | Part::Substitution(_, quoted) | Part::Arithmetic(_, quoted) => {
                *quoted
            }
        };
        let value = self.value(part).await?;
        if quoted {
            return fields.push_quoted(&value);
        }
        self.split(fields, &value)
    }

    fn split(&self, fields: &mut Fields, value: &str) -> Result<(), Stop> {
        let separators = self.separators();
        for (index, piece) in value.split(|letter| separators.contains(letter)).enumerate() {
            if index > 0 {
                fields.end_field();
            }
            if !piece.is_empty() {
                fields.push_plain(piece)?;
            }
        }
        Ok(())
    }

    fn add_nested<'a>(
        &'a mut self,
        fields: &'a mut Fields,
        part: &'a Part,
    ) -> Pin<Box<dyn Future<Output = Result<(), Stop>> + 'a>> {
        Box::pin(self.add(fields, part))
    }

    /// What separates fields.
    pub(super) fn separators(&self) -> String {
        self.variables.get("IFS").unwrap_or_else(|| SEPARATORS.to_owned())
    }

    /// The word that stands for a variable, if its operation says so.
    fn replacement(&self, name: &str, operation: &Operation) -> Option<Word> {
        let value = self.variables.get(name);
        let missing = |or_empty: bool| value.as_ref().is_none_or(|value| or_empty && value.is_empty());
        match operation {
            Operation::Default { or_empty, word } if missing(*or_empty) => Some(word.clone()),
            Operation::Alternative { or_empty, word } if !missing(*or_empty) => Some(word.clone()),
            _ => None,
        }
    }

    /// The value of a part that is an expansion.
    fn value<'a>(&'a mut self, part: &'a Part) -> Pin<Box<dyn Future<Output = Result<String, Stop>> + 'a>> {
        Box::pin(async move {
            match part {
                Part::Text(text) | Part::Quoted(text) => Ok(text.clone()),
                Part::Variable { name, operation: None, .. } => self.plain(name),
                Part::Variable { name, operation: Some(operation), .. } => {
                    self.operate(name, operation).await
                }
                Part::Substitution(source, _) => self.substitute(source).await,
                Part::Arithmetic(word, _) => {
                    let text = self.single(word).await?;
                    let value = arithmetic::evaluate(&text, &self.variables);
                    value.map(|value| value.to_string()).map_err(|message| Stop::Fatal(message.to_owned()))
                }
            }
        })
    }

    fn plain(&self, name: &str) -> Result<String, Stop> {
        match self.variables.get(name) {
            Some(value) => Ok(value),
            None if self.variables.options.no_unset && !["@", "*"].contains(&name) => {
                Err(Stop::Fatal(format!("{name}: parameter not set")))
            }
            None => Ok(String::new()),
        }
    }

    async fn operate(&mut self, name: &str, operation: &Operation) -> Result<String, Stop> {
        let value = self.variables.get(name);
        let missing = |or_empty: bool| value.as_ref().is_none_or(|value| or_empty && value.is_empty());
        match operation {
            Operation::Default { or_empty, word } if missing(*or_empty) => self.single(word).await,
            Operation::Assign { or_empty, word } if missing(*or_empty) => {
                let text = self.single(word).await?;
                self.variables.set(name, &text).map_err(|_| out_of_memory())?;
                Ok(text)
            }
            Operation::Alternative { or_empty, .. } if missing(*or_empty) => Ok(String::new()),
            Operation::Alternative { word, .. } => self.single(word).await,
            Operation::Required { or_empty, word } if missing(*or_empty) => {
                let text = match self.single(word).await? {
                    text if !text.is_empty() => text,
                    _ if *or_empty => "parameter not set or null".to_owned(),
                    _ => "parameter not set".to_owned(),
                };
                Err(Stop::Fatal(format!("{name}: {text}")))
            }
            Operation::Default { .. } | Operation::Assign { .. } | Operation::Required { .. } => {
                Ok(value.unwrap_or_default())
            }
            Operation::Length => Ok(self.plain(name)?.chars().count().to_string()),
            Operation::TrimStart { longest, pattern } => {
                let (value, pattern) = (self.plain(name)?, self.pattern(pattern).await?);
                let cut = pattern::beginning(&pattern, &value, *longest).unwrap_or(0);
                Ok(value[cut..].to_owned())
            }
            Operation::TrimEnd { longest, pattern } => {
                let (value, pattern) = (self.plain(name)?, self.pattern(pattern).await?);
                let cut = pattern::ending(&pattern, &value, *longest).unwrap_or(value.len());
                Ok(value[..cut].to_owned())
            }
        }
    }

    /// What a command prints, run by a shell of its own.
    async fn substitute(&mut self, source: &str) -> Result<String, Stop> {
        let output = Pipe::new();
        let streams = Streams { stdout: output.clone(), ..self.streams.clone() };
        let child = self.launch_subshell(source, self.line, streams).map_err(|errno| match errno {
            Errno::WouldBlock => Stop::Fatal(format!("can't fork: {errno}")),
            errno => Stop::Failed(errno.to_string()),
        })?;
        let wait = async {
            let status = child.wait().await;
            output.close_writer();
            status
        };
        let sys = self.sys.clone();
        let read = async {
            let mut all = Vec::new();
            loop {
                let part = output.read(65_536).await;
                if part.is_empty() {
                    return all;
                }
                all.extend(part);
                if all.len() > LARGEST {
                    output.close_reader();
                    sys.kill(child.id, SIGPIPE);
                    return all;
                }
            }
        };
        let (status, all): (ExitCode, Vec<u8>) = both(wait, read).await;
        if all.len() > LARGEST {
            return Err(out_of_memory());
        }
        self.substituted = Some(status);
        Ok(String::from_utf8_lossy(&all).trim_end_matches('\n').to_owned())
    }
}
