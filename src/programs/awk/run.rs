//! Running an awk program: its statements and expressions. Values, variables and functions have files of their own.

mod calls;
mod functions;
mod value;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::format::{self, Argument};
use super::parse::regex;
use super::tree::{Expr, Parsed, Pattern, Statement};
use crate::programs::regex::Expression;
use crate::programs::text::{LONGEST, MOST};
use calls::Calls;
use value::{Value, calculate, holds, truth};

/// Steps that one record may take: a loop without end stops here.
pub(super) const STEPS: u32 = 1_000_000;

/// Expressions made of texts that are remembered.
const REMEMBERED: usize = 64;

/// How statements leave what they are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
    Next,
    Exit,
    Return,
}

/// The state of a program.
pub(super) struct Machine {
    pub(super) status: u8,
    /// `exit` was called in `END`, or before there was any input.
    over: bool,
    variables: BTreeMap<String, Value>,
    arrays: BTreeMap<String, BTreeMap<String, Value>>,
    /// Bytes in variables and arrays.
    size: usize,
    record: String,
    fields: Vec<String>,
    /// The record is to be made of the fields again.
    stale: bool,
    number: f64,
    output: String,
    steps: u32,
    /// The rules whose range of records has begun.
    ranges: BTreeSet<usize>,
    expressions: BTreeMap<String, Rc<Expression>>,
    calls: Calls,
}

type Result<T> = std::result::Result<T, String>;

impl Machine {
    pub(super) fn new() -> Machine {
        let text = |text: &str| Value::Text(text.to_owned());
        let known = [("FS", text(" ")), ("OFS", text(" ")), ("ORS", text("\n")), ("SUBSEP", text("\u{1c}"))];
        Machine {
            status: 0,
            over: false,
            variables: known.map(|(name, value)| (name.to_owned(), value)).into(),
            arrays: BTreeMap::new(),
            size: 0,
            record: String::new(),
            fields: Vec::new(),
            stale: false,
            number: 0.0,
            output: String::new(),
            steps: 0,
            ranges: BTreeSet::new(),
            expressions: BTreeMap::new(),
            calls: Calls::default(),
        }
    }

    /// Sets a variable from the command line.
    pub(super) fn assign(&mut self, name: &str, value: &str) -> Result<()> {
        self.set_variable(name, Value::Input(value.to_owned()))
    }

    /// What was printed since the last call.
    pub(super) fn take_output(&mut self) -> String {
        std::mem::take(&mut self.output)
    }

    /// Steps that the last record took.
    pub(super) fn spent(&self) -> usize {
        (STEPS - self.steps) as usize
    }

    /// Whether `END` is left out.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn begin(&mut self, parsed: &Parsed) -> Result<Flow> {
        self.calls.functions.clone_from(&parsed.functions);
        self.steps = STEPS;
        for block in &parsed.begin {
            if self.block(block)? == Flow::Exit {
                return Ok(Flow::Exit);
            }
        }
        Ok(Flow::On)
    }

    pub(super) fn record(&mut self, parsed: &Parsed, record: String, file: &str) -> Result<Flow> {
        self.steps = STEPS;
        self.number += 1.0;
        let name = if file == "-" { "" } else { file };
        self.variables.insert("FILENAME".to_owned(), Value::Text(name.to_owned()));
        self.set_record(record);
        for (index, (pattern, action)) in parsed.rules.iter().enumerate() {
            let selected = match pattern {
                Pattern::Every => true,
                Pattern::When(pattern) => self.value(pattern)?.truth(),
                Pattern::Range(first, last) => {
                    let inside = self.ranges.contains(&index) || self.value(first)?.truth();
                    if inside && !self.value(last)?.truth() {
                        self.ranges.insert(index);
                    } else {
                        self.ranges.remove(&index);
                    }
                    inside
                }
            };
            if !selected {
                continue;
            }
            match self.block(action)? {
                Flow::Next => break,
                Flow::Exit => return Ok(Flow::Exit),
                Flow::On | Flow::Break | Flow::Continue | Flow::Return => {}
            }
        }
        Ok(Flow::On)
    }

    pub(super) fn end(&mut self, parsed: &Parsed) -> Result<()> {
        self.steps = STEPS;
        for block in &parsed.end {
            if self.block(block)? == Flow::Exit {
                self.over = true;
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.steps = self
            .steps
            .checked_sub(1)
            .ok_or_else(|| format!("more than {STEPS} steps for one record: a loop without end?"))?;
        Ok(())
    }

    fn block(&mut self, statements: &[Statement]) -> Result<Flow> {
        for statement in statements {
            let flow = self.statement(statement)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow> {
        self.step()?;
        match statement {
            Statement::Print(values) => {
                let text = if values.is_empty() {
                    self.whole_record()
                } else {
                    let separator = self.text_of("OFS");
                    let mut all = Vec::new();
                    for value in values {
                        all.push(self.value(value)?.text());
                    }
                    all.join(&separator)
                };
                let end = self.text_of("ORS");
                self.print(&[&text, &end])?;
            }
            Statement::Printf(values) => {
                let text = self.formatted(values)?;
                self.print(&[&text])?;
            }
            Statement::Expression(expr) => drop(self.value(expr)?),
            Statement::If(condition, then, otherwise) => {
                let branch = if self.value(condition)?.truth() { then } else { otherwise };
                return self.block(branch);
            }
            Statement::Block(statements) => return self.block(statements),
            Statement::Loop { condition, body, step, first } => {
                let mut first = *first;
                loop {
                    self.step()?;
                    if !std::mem::take(&mut first)
                        && let Some(condition) = condition
                        && !self.value(condition)?.truth()
                    {
                        return Ok(Flow::On);
                    }
                    match self.block(body)? {
                        Flow::On | Flow::Continue => {}
                        Flow::Break => return Ok(Flow::On),
                        flow => return Ok(flow),
                    }
                    self.block(step)?;
                }
            }
            Statement::Each(variable, array, body) => {
                let keys: Vec<String> = self
                    .arrays
                    .get(&*self.calls.actual(array))
                    .map(|array| array.keys().cloned().collect())
                    .unwrap_or_default();
                for key in keys {
                    self.set_variable(variable, Value::Input(key))?;
                    match self.block(body)? {
                        Flow::On | Flow::Continue => {}
                        Flow::Break => break,
                        flow => return Ok(flow),
                    }
                }
            }
            Statement::Delete(array, key) => {
                let key = key.as_ref().map(|key| self.value(key)).transpose()?;
                self.delete(array, key.map(|key| key.text()));
            }
            Statement::Next => return Ok(Flow::Next),
            Statement::Exit(status) => {
                if let Some(status) = status {
                    self.status = self.value(status)?.number() as i64 as u8;
                }
                return Ok(Flow::Exit);
            }
            Statement::Return(value) => {
                self.calls.returned = value.as_ref().map_or(Ok(Value::Unset), |value| self.value(value))?;
                return Ok(Flow::Return);
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn print(&mut self, texts: &[&str]) -> Result<()> {
        self.output.extend(texts.iter().copied());
        match self.output.len() > MOST {
            true => Err(format!("out of memory: more than {} MiB printed for one record", MOST >> 20)),
            false => Ok(()),
        }
    }

    fn formatted(&mut self, values: &[Expr]) -> Result<String> {
        let mut all = Vec::new();
        for value in values {
            all.push(self.value(value)?);
        }
        match all.split_first() {
            Some((format, arguments)) => format::printf(&format.text(), arguments),
            None => Ok(String::new()),
        }
    }

    fn value(&mut self, expr: &Expr) -> Result<Value> {
        self.step()?;
        self.calls.enter()?;
        let value = self.calculated(expr)?;
        self.calls.leave();
        Ok(value)
    }

    fn calculated(&mut self, expr: &Expr) -> Result<Value> {
        let value = match expr {
            Expr::Number(number) => Value::Number(*number),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Regex(expression) => truth(expression.is_in(&self.whole_record())),
            Expr::Place(place) => self.get(place)?,
            Expr::Assign(place, operator, value) => {
                let value = match operator {
                    None => self.value(value)?,
                    Some(operator) => {
                        let right = self.value(value)?.number();
                        let left = self.get(place)?.number();
                        Value::Number(calculate(*operator, left, right)?)
                    }
                };
                self.set(place, value.clone())?;
                value
            }
            Expr::Step(place, change, before) => {
                let old = self.get(place)?.number();
                self.set(place, Value::Number(old + change))?;
                Value::Number(if *before { old } else { old + change })
            }
            Expr::Binary(operator, left, right) => {
                let left = self.value(left)?.number();
                let right = self.value(right)?.number();
                Value::Number(calculate(*operator, left, right)?)
            }
            Expr::Compare(comparison, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                truth(holds(*comparison, &left, &right))
            }
            Expr::Match { negated, subject, pattern } => {
                let subject = self.value(subject)?.text();
                truth(self.with_pattern(pattern, |expression| expression.is_in(&subject))? != *negated)
            }
            Expr::And(left, right) => truth(self.value(left)?.truth() && self.value(right)?.truth()),
            Expr::Or(left, right) => truth(self.value(left)?.truth() || self.value(right)?.truth()),
            Expr::Not(inner) => truth(!self.value(inner)?.truth()),
            Expr::Negative(inner) => Value::Number(-self.value(inner)?.number()),
            Expr::Positive(inner) => Value::Number(self.value(inner)?.number()),
            Expr::Concat(left, right) => {
                let text = self.value(left)?.text() + &self.value(right)?.text();
                if text.len() > LONGEST {
                    return Err(too_long());
                }
                Value::Text(text)
            }
            Expr::Choice(condition, then, otherwise) => {
                let branch = if self.value(condition)?.truth() { then } else { otherwise };
                self.value(branch)?
            }
            Expr::In(key, array) => {
                let key = self.value(key)?.text();
                truth(
                    self.arrays.get(&*self.calls.actual(array)).is_some_and(|array| array.contains_key(&key)),
                )
            }
            Expr::Call(function, arguments) => self.call(*function, arguments)?,
            Expr::Invoke(function, arguments) => self.invoke(*function, arguments)?,
        };
        Ok(value)
    }

    /// Does something with an expression that is written down or is a text.
    fn with_pattern<T>(&mut self, pattern: &Expr, act: impl FnOnce(&Expression) -> T) -> Result<T> {
        if let Expr::Regex(expression) = pattern {
            return Ok(act(expression));
        }
        let text = self.value(pattern)?.text();
        self.expression(&text).map(|expression| act(&expression))
    }

    fn expression(&mut self, text: &str) -> Result<Rc<Expression>> {
        if let Some(known) = self.expressions.get(text) {
            return Ok(known.clone());
        }
        let expression = Rc::new(regex(text)?);
        if self.expressions.len() >= REMEMBERED {
            self.expressions.clear();
        }
        self.expressions.insert(text.to_owned(), expression.clone());
        Ok(expression)
    }

    fn split(&mut self, text: &str, separator: &str) -> Result<Vec<String>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut letters = separator.chars();
        let parts: Vec<String> = match (letters.next(), letters.next()) {
            (Some(' '), None) => text.split_ascii_whitespace().map(str::to_owned).collect(),
            (Some(letter), None) => text.split(letter).map(str::to_owned).collect(),
            (None, _) => text.chars().map(String::from).collect(),
            (Some(_), Some(_)) => split_at(text, &*self.expression(separator)?),
        };
        Ok(parts)
    }
}

fn split_at(text: &str, expression: &Expression) -> Vec<String> {
    let (mut parts, mut begins, mut at) = (Vec::new(), 0, 0);
    while let Some(found) = expression.find(text, at) {
        if found.end() > found.start() {
            parts.push(text[begins..found.start()].to_owned());
            (begins, at) = (found.end(), found.end());
        } else {
            let Some(letter) = text[found.end()..].chars().next() else { break };
            at = found.end() + letter.len_utf8();
        }
    }
    parts.push(text[begins..].to_owned());
    parts
}

fn too_long() -> String {
    format!("out of memory: a text is longer than {} KiB", LONGEST / 1_024)
}
