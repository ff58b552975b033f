//! Running an awk program: values, variables, fields, statements.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::format;
use super::parse::{Comparison, Expr, Function, Operator, Parsed, Place, Statement, regex};
use crate::programs::regex::Expression;
use crate::programs::text::{LONGEST, MOST};

/// Steps that one record may take: a loop without end stops here.
pub(super) const STEPS: u32 = 1_000_000;

/// The last field there may be.
const FIELDS: usize = 65_536;

/// Expressions made of texts that are remembered.
const REMEMBERED: usize = 64;

#[derive(Debug, Clone)]
enum Value {
    Number(f64),
    Text(String),
    /// What came in: a number if it looks like one.
    Input(String),
    Unset,
}

/// How statements leave what they are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
    Next,
    Exit,
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
    expressions: BTreeMap<String, Rc<Expression>>,
}

impl format::Argument for Value {
    fn number(&self) -> f64 {
        match self {
            Value::Number(number) => *number,
            Value::Text(text) | Value::Input(text) => format::leading(text),
            Value::Unset => 0.0,
        }
    }

    fn text(&self) -> String {
        match self {
            Value::Number(number) => format::number(*number),
            Value::Text(text) | Value::Input(text) => text.clone(),
            Value::Unset => String::new(),
        }
    }

    fn is_number(&self) -> bool {
        match self {
            Value::Number(_) => true,
            Value::Input(text) => format::is_number(text),
            Value::Text(_) | Value::Unset => false,
        }
    }
}

use format::Argument;

impl Value {
    fn truth(&self) -> bool {
        match self {
            Value::Unset => false,
            value if value.is_number() => value.number() != 0.0,
            value => !value.text().is_empty(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Value::Text(text) | Value::Input(text) => text.len(),
            Value::Number(_) | Value::Unset => 0,
        }
    }
}

fn truth(holds: bool) -> Value {
    Value::Number(f64::from(u8::from(holds)))
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
            expressions: BTreeMap::new(),
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

    /// Whether `END` is left out.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn begin(&mut self, parsed: &Parsed) -> Result<Flow> {
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
        for (pattern, action) in &parsed.rules {
            let selected = match pattern {
                Some(pattern) => self.value(pattern)?.truth(),
                None => true,
            };
            if !selected {
                continue;
            }
            match self.block(action)? {
                Flow::Next => break,
                Flow::Exit => return Ok(Flow::Exit),
                Flow::On | Flow::Break | Flow::Continue => {}
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
                let keys: Vec<String> =
                    self.arrays.get(array).map(|array| array.keys().cloned().collect()).unwrap_or_default();
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
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn delete(&mut self, array: &str, key: Option<String>) {
        let Some(elements) = self.arrays.get_mut(array) else { return };
        let gone: Vec<(String, Value)> = match key {
            Some(key) => elements.remove_entry(&key).into_iter().collect(),
            None => std::mem::take(elements).into_iter().collect(),
        };
        self.size -= gone.iter().map(|(key, value)| element_size(key, value)).sum::<usize>();
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
                truth(self.arrays.get(array).is_some_and(|array| array.contains_key(&key)))
            }
            Expr::Call(function, arguments) => self.call(*function, arguments)?,
        };
        Ok(value)
    }

    fn call(&mut self, function: Function, arguments: &[Expr]) -> Result<Value> {
        let text = |machine: &mut Machine, index: usize| match arguments.get(index) {
            Some(argument) => machine.value(argument).map(|value| value.text()),
            None => Ok(machine.whole_record()),
        };
        Ok(match function {
            Function::Length => match arguments.first() {
                Some(Expr::Place(Place::Variable(name))) if self.arrays.contains_key(name) => {
                    Value::Number(self.arrays[name].len() as f64)
                }
                _ => Value::Number(text(self, 0)?.chars().count() as f64),
            },
            Function::Substr => {
                let subject = text(self, 0)?;
                let start = self.value(&arguments[1])?.number().round();
                let length = arguments.get(2).map(|length| self.value(length)).transpose()?;
                let end = length.map_or(f64::INFINITY, |length| start + length.number().round());
                let at = |at: f64| (at - 1.0).clamp(0.0, 1e9) as usize;
                let (from, to) = (at(start), at(end));
                Value::Text(subject.chars().skip(from).take(to.saturating_sub(from)).collect())
            }
            Function::Index => {
                let (subject, wanted) = (text(self, 0)?, text(self, 1)?);
                Value::Number(subject.find(&wanted).map_or(0, |at| subject[..at].chars().count() + 1) as f64)
            }
            Function::Split => {
                let subject = text(self, 0)?;
                let Expr::Place(Place::Variable(array)) = &arguments[1] else {
                    return Err("split wants the name of an array".to_owned());
                };
                let parts = match arguments.get(2) {
                    Some(pattern @ Expr::Regex(_)) => {
                        self.with_pattern(pattern, |expression| split_at(&subject, expression))?
                    }
                    Some(separator) => {
                        let separator = self.value(separator)?.text();
                        self.split(&subject, &separator)?
                    }
                    None => {
                        let separator = self.text_of("FS");
                        self.split(&subject, &separator)?
                    }
                };
                self.delete(array, None);
                self.arrays.entry(array.clone()).or_default();
                let count = parts.len();
                for (index, part) in parts.into_iter().enumerate() {
                    self.set_element(array, (index + 1).to_string(), Value::Input(part))?;
                }
                Value::Number(count as f64)
            }
            Function::Sub | Function::Gsub => self.substitute(function == Function::Gsub, arguments)?,
            Function::Match => {
                let subject = text(self, 0)?;
                let found = self.with_pattern(&arguments[1], |expression| expression.find(&subject, 0))?;
                let count = |text: &str| text.chars().count() as f64;
                let (start, length) = match found {
                    Some(found) => {
                        (count(&subject[..found.start()]) + 1.0, count(&subject[found.start()..found.end()]))
                    }
                    None => (0.0, -1.0),
                };
                self.set_variable("RSTART", Value::Number(start))?;
                self.set_variable("RLENGTH", Value::Number(length))?;
                Value::Number(start)
            }
            Function::Sprintf => Value::Text(self.formatted(arguments)?),
            Function::Toupper => Value::Text(text(self, 0)?.to_uppercase()),
            Function::Tolower => Value::Text(text(self, 0)?.to_lowercase()),
            Function::Int => Value::Number(self.value(&arguments[0])?.number().trunc()),
        })
    }

    /// `sub` and `gsub`: how often something was replaced.
    fn substitute(&mut self, all: bool, arguments: &[Expr]) -> Result<Value> {
        let with = self.value(&arguments[1])?.text();
        let whole = Place::Field(Box::new(Expr::Number(0.0)));
        let place = match arguments.get(2) {
            None => &whole,
            Some(Expr::Place(place)) => place,
            Some(_) => return Err("sub and gsub want something that can be changed".to_owned()),
        };
        let subject = self.get(place)?.text();
        let replaced = self.with_pattern(&arguments[0], |expression| {
            let (mut text, mut at, mut count) = (String::new(), 0, 0_u32);
            while at <= subject.len() && (all || count == 0) && text.len() <= LONGEST {
                let Some(found) = expression.find(&subject, at) else { break };
                count += 1;
                text += &subject[at..found.start()];
                let mut letters = with.chars().peekable();
                while let Some(letter) = letters.next() {
                    match letter {
                        '&' => text += &subject[found.start()..found.end()],
                        '\\' if letters.peek() == Some(&'&') => text.extend(letters.next()),
                        letter => text.push(letter),
                    }
                }
                at = found.end();
                if found.start() == found.end() {
                    let letter = subject[at..].chars().next();
                    text.extend(letter);
                    at += letter.map_or(1, char::len_utf8);
                }
            }
            text += subject.get(at..).unwrap_or_default();
            (text, count)
        })?;
        let (text, count) = replaced;
        if text.len() > LONGEST {
            return Err(too_long());
        }
        if count > 0 {
            self.set(place, Value::Text(text))?;
        }
        Ok(Value::Number(f64::from(count)))
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

    fn text_of(&self, variable: &str) -> String {
        self.variables.get(variable).map(Argument::text).unwrap_or_default()
    }

    fn index(&mut self, expr: &Expr) -> Result<usize> {
        let index = self.value(expr)?.number();
        if index < 0.0 {
            return Err("Access to negative field".to_owned());
        }
        if index > FIELDS as f64 {
            return Err(format!("out of memory: there is no field beyond {FIELDS}"));
        }
        Ok(index as usize)
    }

    fn get(&mut self, place: &Place) -> Result<Value> {
        match place {
            Place::Variable(name) => Ok(match name.as_str() {
                "NF" => Value::Number(self.fields.len() as f64),
                "NR" | "FNR" => Value::Number(self.number),
                name if self.arrays.contains_key(name) => return Err("Not a scalar".to_owned()),
                name => self.variables.get(name).cloned().unwrap_or(Value::Unset),
            }),
            Place::Element(array, key) => {
                let key = self.value(key)?.text();
                let known = self.arrays.get(array).and_then(|array| array.get(&key)).cloned();
                match known {
                    Some(value) => Ok(value),
                    // Whoever asks for an element makes it.
                    None => self.set_element(array, key, Value::Unset).map(|()| Value::Unset),
                }
            }
            Place::Field(index) => Ok(match self.index(index)? {
                0 => Value::Input(self.whole_record()),
                index => self.fields.get(index - 1).cloned().map_or(Value::Unset, Value::Input),
            }),
        }
    }

    fn set(&mut self, place: &Place, value: Value) -> Result<()> {
        match place {
            Place::Variable(name) => self.set_variable(name, value),
            Place::Element(array, key) => {
                let key = self.value(key)?.text();
                self.set_element(array, key, value)
            }
            Place::Field(index) => {
                match self.index(index)? {
                    0 => self.set_record(value.text()),
                    index => {
                        if self.fields.len() < index {
                            self.fields.resize(index, String::new());
                        }
                        self.fields[index - 1] = value.text();
                        self.stale = true;
                    }
                }
                Ok(())
            }
        }
    }

    fn set_variable(&mut self, name: &str, value: Value) -> Result<()> {
        match name {
            "NF" => {
                let count = self.index(&Expr::Number(value.number()))?;
                self.fields.resize(count, String::new());
                self.stale = true;
                return Ok(());
            }
            "NR" | "FNR" => {
                self.number = value.number();
                return Ok(());
            }
            name if self.arrays.contains_key(name) => return Err("Not a scalar".to_owned()),
            _ => {}
        }
        let before = self.variables.get(name).map_or(0, Value::size);
        self.grow(value.size(), before)?;
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }

    fn set_element(&mut self, array: &str, key: String, value: Value) -> Result<()> {
        if self.variables.contains_key(array) {
            return Err("Not an array".to_owned());
        }
        let known = self.arrays.get(array).and_then(|array| array.get(&key));
        let before = known.map_or(0, |known| element_size(&key, known));
        self.grow(element_size(&key, &value), before)?;
        self.arrays.entry(array.to_owned()).or_default().insert(key, value);
        Ok(())
    }

    fn grow(&mut self, now: usize, before: usize) -> Result<()> {
        self.size = self.size + now - before;
        match self.size > MOST {
            true => Err(format!("out of memory: variables hold more than {} MiB", MOST >> 20)),
            false => Ok(()),
        }
    }

    fn set_record(&mut self, record: String) {
        let separator = self.text_of("FS");
        // A separator that is no expression leaves the record whole.
        self.fields = self.split(&record, &separator).unwrap_or_else(|_| vec![record.clone()]);
        self.record = record;
        self.stale = false;
    }

    fn whole_record(&mut self) -> String {
        if std::mem::take(&mut self.stale) {
            self.record = self.fields.join(&self.text_of("OFS"));
        }
        self.record.clone()
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

fn element_size(key: &str, value: &Value) -> usize {
    size_of::<String>() + size_of::<Value>() + key.len() + value.size()
}

fn too_long() -> String {
    format!("out of memory: a text is longer than {} KiB", LONGEST / 1_024)
}

fn calculate(operator: Operator, left: f64, right: f64) -> Result<f64> {
    match operator {
        Operator::Divide | Operator::Remainder if right == 0.0 => Err("Division by zero".to_owned()),
        Operator::Add => Ok(left + right),
        Operator::Subtract => Ok(left - right),
        Operator::Multiply => Ok(left * right),
        Operator::Divide => Ok(left / right),
        Operator::Remainder => Ok(left % right),
        Operator::Power => Ok(left.powf(right)),
    }
}

fn holds(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let numeric = |value: &Value| value.is_number() || matches!(value, Value::Unset);
    let order = match numeric(left) && numeric(right) {
        true => left.number().partial_cmp(&right.number()),
        false => Some(left.text().cmp(&right.text())),
    };
    let Some(order) = order else { return comparison == Comparison::NotEqual };
    match comparison {
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}
