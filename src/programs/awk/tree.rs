//! What an awk program is made of once it is read.

use std::rc::Rc;

use crate::programs::regex::Expression;

/// What a program is made of.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) begin: Vec<Vec<Statement>>,
    pub(super) rules: Vec<(Pattern, Vec<Statement>)>,
    pub(super) end: Vec<Vec<Statement>>,
    /// Those that the program defines; [`Expr::Invoke`] has their index.
    pub(super) functions: Vec<Rc<Defined>>,
}

/// A function that the program defines.
#[derive(Debug, Default)]
pub(super) struct Defined {
    /// Names that no variable of the program has.
    pub(super) parameters: Vec<String>,
    pub(super) body: Vec<Statement>,
}

impl Parsed {
    /// A program that only begins reads nothing.
    pub(super) fn reads_input(&self) -> bool {
        !self.rules.is_empty() || !self.end.is_empty()
    }
}

/// Which records a rule concerns.
#[derive(Debug)]
pub(super) enum Pattern {
    Every,
    When(Expr),
    /// From a record that fits the first to one that fits the second, which may be the same.
    Range(Expr, Expr),
}

#[derive(Debug)]
pub(super) enum Statement {
    Print(Vec<Expr>),
    Printf(Vec<Expr>),
    Expression(Expr),
    If(Expr, Vec<Statement>, Vec<Statement>),
    /// Condition, body, what follows each turn; the first turn comes before the condition with `do`.
    Loop {
        condition: Option<Expr>,
        body: Vec<Statement>,
        step: Vec<Statement>,
        first: bool,
    },
    Each(String, String, Vec<Statement>),
    Delete(String, Option<Expr>),
    Block(Vec<Statement>),
    Next,
    Exit(Option<Expr>),
    Return(Option<Expr>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) enum Expr {
    Number(f64),
    Text(String),
    Regex(Expression),
    Place(Place),
    Assign(Place, Option<Operator>, Box<Expr>),
    /// What is added, and whether the value is the one before.
    Step(Place, f64, bool),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Match {
        negated: bool,
        subject: Box<Expr>,
        pattern: Box<Expr>,
    },
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    Concat(Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    In(Box<Expr>, String),
    Call(Function, Vec<Expr>),
    Invoke(usize, Vec<Expr>),
}

/// What can be assigned to.
#[derive(Debug)]
pub(super) enum Place {
    Variable(String),
    Element(String, Box<Expr>),
    Field(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Length,
    Substr,
    Index,
    Split,
    Sub,
    Gsub,
    Match,
    Sprintf,
    Toupper,
    Tolower,
    Int,
}
