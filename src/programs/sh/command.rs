//! What the shell's parser makes of a text: lists of pipelines of commands, and the words they are made of.

use std::rc::Rc;

/// Commands and what joins each to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List(pub(super) Vec<(Pipeline, Joint)>);

/// What stands behind a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// `;`, a line end, or the end.
    Then,
    /// `&`; the pipeline is then one command without redirections.
    Background,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Commands joined by `|`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pipeline {
    /// `!` in front turns the status around.
    pub(super) negated: bool,
    /// The commands.
    pub(super) commands: Vec<Command>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// A program, a builtin, a function, or assignments only.
    Simple(Simple),
    /// A compound command.
    Compound(Rc<Compound>),
    /// `NAME() COMPOUND`
    Function(String, Rc<Compound>),
}

/// A simple command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Simple {
    /// `NAME=value` in front.
    pub(super) assignments: Vec<(String, Word)>,
    /// Name and arguments.
    pub(super) words: Vec<Word>,
    /// Redirections in order.
    pub(super) redirections: Vec<Redirection>,
    /// Line of the text, from 0.
    pub(super) line: usize,
}

/// A compound command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compound {
    /// What it does.
    pub(super) kind: CompoundKind,
    /// Redirections of the whole.
    pub(super) redirections: Vec<Redirection>,
    /// Its text without the redirections: what a shell of its own is given to run it.
    pub(super) source: String,
    /// Line of the text on which it begins, from 0.
    pub(super) line: usize,
}

/// What a compound command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CompoundKind {
    /// `{ LIST }`
    Group(List),
    /// `( LIST )`
    Subshell,
    /// `if`: conditions with what they guard, and `else`.
    If(Vec<(List, List)>, Option<List>),
    /// `while`, or `until` if `until`.
    Loop {
        /// Goes on while the condition fails.
        until: bool,
        /// The condition.
        condition: List,
        /// What is repeated.
        body: List,
    },
    /// `for NAME [in WORD...]`; without `in` the positional parameters.
    For {
        /// The variable.
        name: String,
        /// The words.
        words: Option<Vec<Word>>,
        /// What is repeated.
        body: List,
    },
    /// `case WORD in`: patterns and what they guard.
    Case(Word, Vec<(Vec<Word>, List)>),
}

/// A redirection of one descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirection {
    /// 0, 1 or 2.
    pub(super) descriptor: u8,
    /// Where to.
    pub(super) target: Target,
}

/// Where a redirection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// `< FILE`
    Read(Word),
    /// `<< END`: the text itself.
    Document(Word),
    /// `> FILE` or, with true, `>> FILE`
    Write(Word, bool),
    /// `>&N`
    Same(u8),
}

/// A word before expansion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Word(pub(super) Vec<Part>);

/// A piece of a word. What stood inside double quotes is `quoted`: its value is not split into fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it is.
    Text(String),
    /// Text that was quoted: in a pattern it stands for itself.
    Quoted(String),
    /// `$NAME` or `${NAME...}`
    Variable {
        /// Its name, a number or a special parameter.
        name: String,
        /// What is done with the value.
        operation: Option<Operation>,
        /// Inside double quotes.
        quoted: bool,
    },
    /// `$(...)`; true inside double quotes.
    Substitution(String, bool),
    /// `$((...))`; true inside double quotes.
    Arithmetic(Word, bool),
}

/// What `${NAME...}` does with the value. With `or_empty` (the colon) an empty value counts as none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    /// `${NAME:-WORD}`
    Default { or_empty: bool, word: Word },
    /// `${NAME:=WORD}`
    Assign { or_empty: bool, word: Word },
    /// `${NAME:+WORD}`
    Alternative { or_empty: bool, word: Word },
    /// `${NAME:?WORD}`
    Required { or_empty: bool, word: Word },
    /// `${#NAME}`
    Length,
    /// `${NAME#PATTERN}`, `${NAME##PATTERN}`
    TrimStart { longest: bool, pattern: Word },
    /// `${NAME%PATTERN}`, `${NAME%%PATTERN}`
    TrimEnd { longest: bool, pattern: Word },
}
