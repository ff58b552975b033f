//! Running a parsed template.

use std::{borrow::Cow, cmp::Ordering, fmt::Write as _};

use serde_json::Value;

use super::{
    FormatError, Missing, position,
    syntax::{Base, Call, Function, Node, Operand, Pipeline},
};

/// The most a template may print, or one value may grow to.
const MAXIMUM_OUTPUT: usize = 16 << 20;
/// The most nodes and calls one run may take.
const MAXIMUM_STEPS: u32 = 1_000_000;

/// A value that is borrowed from the data or made by a function.
type Datum<'data> = Cow<'data, Value>;

/// Runs `nodes` over `data`.
pub(super) fn run(
    nodes: &[Node],
    source: &str,
    data: &Value,
    missing: Missing,
) -> Result<String, FormatError> {
    let mut run = Run {
        source,
        missing,
        output: String::new(),
        steps: 0,
        made: 0,
        variables: vec![("$".to_owned(), Cow::Borrowed(data))],
    };
    run.block(nodes, &Cow::Borrowed(data))?;
    Ok(run.output)
}

struct Run<'data> {
    source: &'data str,
    missing: Missing,
    output: String,
    steps: u32,
    /// Bytes of the values made so far.
    made: usize,
    /// Innermost last.
    variables: Vec<(String, Datum<'data>)>,
}

impl<'data> Run<'data> {
    fn block(&mut self, nodes: &[Node], dot: &Datum<'data>) -> Result<(), FormatError> {
        let visible = self.variables.len();
        for node in nodes {
            self.step()?;
            match node {
                Node::Text(text) => self.print(text)?,
                Node::Action(None, pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    let text = shown(&value);
                    self.print(&text)?;
                }
                Node::Action(Some(name), pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.variables.push((name.clone(), value));
                    continue;
                }
                Node::If(pipeline, body, otherwise) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.block(if truth(&value) { body } else { otherwise }, dot)?;
                }
                Node::With(name, pipeline, body, otherwise) => {
                    let value = self.pipeline(pipeline, dot)?;
                    let before = self.variables.len();
                    if let Some(name) = name {
                        self.variables.push((name.clone(), value.clone()));
                    }
                    if truth(&value) {
                        self.block(body, &value)?;
                    } else {
                        self.block(otherwise, dot)?;
                    }
                    self.variables.truncate(before);
                }
                Node::Range(key, element, pipeline, body, otherwise) => {
                    let value = self.pipeline(pipeline, dot)?;
                    let items = self.items(value, pipeline)?;
                    if items.is_empty() {
                        self.block(otherwise, dot)?;
                    }
                    for (name, item) in items {
                        let before = self.variables.len();
                        if let Some(key) = key {
                            self.variables.push((key.clone(), Cow::Owned(name)));
                        }
                        if let Some(element) = element {
                            self.variables.push((element.clone(), item.clone()));
                        }
                        self.step()?;
                        self.block(body, &item)?;
                        self.variables.truncate(before);
                    }
                }
            }
        }
        self.variables.truncate(visible);
        Ok(())
    }

    /// What `range` walks: index or key, and element.
    fn items(
        &self,
        value: Datum<'data>,
        pipeline: &Pipeline,
    ) -> Result<Vec<(Value, Datum<'data>)>, FormatError> {
        match value {
            Cow::Borrowed(Value::Array(items)) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, item)| (Value::from(index), Cow::Borrowed(item)))
                .collect()),
            Cow::Borrowed(Value::Object(map)) => {
                let mut items: Vec<_> = map.iter().collect();
                items.sort_by_key(|(key, _)| *key);
                Ok(items
                    .into_iter()
                    .map(|(key, item)| (Value::from(key.as_str()), Cow::Borrowed(item)))
                    .collect())
            }
            Cow::Owned(Value::Array(items)) => Ok(items
                .into_iter()
                .enumerate()
                .map(|(index, item)| (Value::from(index), Cow::Owned(item)))
                .collect()),
            Cow::Owned(Value::Object(map)) => {
                let mut items: Vec<_> = map.into_iter().collect();
                items.sort_by(|(left, _), (right, _)| left.cmp(right));
                Ok(items.into_iter().map(|(key, item)| (Value::from(key), Cow::Owned(item))).collect())
            }
            other if other.is_null() => Ok(Vec::new()),
            other => {
                let (start, end) = extent(pipeline);
                let reason = format!("range can't iterate over {}", shown(&other));
                Err(self.error(start, start, end, reason))
            }
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Datum<'data>) -> Result<Datum<'data>, FormatError> {
        let mut last: Option<Datum<'data>> = None;
        for call in &pipeline.commands {
            last = Some(self.call(call, dot, last)?);
        }
        Ok(last.unwrap_or(Cow::Owned(Value::Null)))
    }

    fn call(
        &mut self,
        call: &Call,
        dot: &Datum<'data>,
        piped: Option<Datum<'data>>,
    ) -> Result<Datum<'data>, FormatError> {
        self.step()?;
        let mut arguments = Vec::with_capacity(call.operands.len() + 1);
        for operand in &call.operands {
            let value = self.operand(operand, dot)?;
            // `and` and `or` stop at the first operand that decides.
            let decided = match call.function {
                Some(Function::And) => !truth(&value),
                Some(Function::Or) => truth(&value),
                _ => false,
            };
            if decided {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(piped);
        match call.function {
            None => Ok(arguments.pop().unwrap_or(Cow::Owned(Value::Null))),
            Some(function) => {
                let made = apply(function, arguments).map_err(|reason| {
                    let reason = format!("error calling {}: {reason}", function.name());
                    self.error(call.offset, call.offset, call.end, reason)
                })?;
                self.spend(&made)?;
                Ok(made)
            }
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Datum<'data>) -> Result<Datum<'data>, FormatError> {
        let mut value = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => self
                .variables
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map_or(Cow::Owned(Value::Null), |(_, value)| value.clone()),
            Base::String(text) => Cow::Owned(Value::from(text.as_str())),
            Base::Number(number) => Cow::Owned(Value::Number(number.clone())),
            Base::Bool(value) => Cow::Owned(Value::Bool(*value)),
            Base::Nil => Cow::Owned(Value::Null),
            Base::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
        };
        self.spend(&value)?;
        for (name, offset) in &operand.fields {
            if self.missing == Missing::NoValue
                && value.as_object().is_some_and(|map| !map.contains_key(name))
            {
                value = Cow::Owned(Value::Null);
                continue;
            }
            value = field(value, name).map_err(|reason| {
                let end = operand.fields.last().map_or(*offset, |(name, offset)| offset + 1 + name.len());
                self.error(*offset, operand.offset, end, reason)
            })?;
        }
        Ok(value)
    }

    fn print(&mut self, text: &str) -> Result<(), FormatError> {
        if self.output.len() + text.len() > MAXIMUM_OUTPUT {
            return Err(FormatError::TooLarge(MAXIMUM_OUTPUT));
        }
        self.output.push_str(text);
        Ok(())
    }

    /// Counts what a new value occupies: functions can multiply text, the data cannot.
    fn spend(&mut self, value: &Datum<'_>) -> Result<(), FormatError> {
        if let Cow::Owned(value) = value {
            self.made = self.made.saturating_add(weight(value));
        }
        if self.made > MAXIMUM_OUTPUT { Err(FormatError::TooLarge(MAXIMUM_OUTPUT)) } else { Ok(()) }
    }

    fn step(&mut self) -> Result<(), FormatError> {
        self.steps += 1;
        if self.steps > MAXIMUM_STEPS { Err(FormatError::TooLarge(MAXIMUM_OUTPUT)) } else { Ok(()) }
    }

    /// An error at `offset` in the part of the source from `start` to `end`.
    fn error(&self, offset: usize, start: usize, end: usize, reason: String) -> FormatError {
        let (line, column) = position(self.source, offset);
        let node = self.source.get(start..end).unwrap_or_default().to_owned();
        FormatError::Execute { line, column, node, reason }
    }
}

fn extent(pipeline: &Pipeline) -> (usize, usize) {
    let start = pipeline.commands.first().map_or(0, |call| call.offset);
    (start, pipeline.commands.last().map_or(start, |call| call.end))
}

fn field<'data>(value: Datum<'data>, name: &str) -> Result<Datum<'data>, String> {
    let found = match value {
        Cow::Borrowed(Value::Object(map)) => map.get(name).map(Cow::Borrowed).or_else(|| omitted(map, name)),
        Cow::Owned(Value::Object(mut map)) => {
            map.remove(name).map(Cow::Owned).or_else(|| omitted(&map, name))
        }
        other if other.is_null() => return Err(format!("nil data; no entry for key \"{name}\"")),
        other => return Err(format!("can't evaluate field {name} in type {}", type_name(&other))),
    };
    found.ok_or_else(|| format!("map has no entry for key \"{name}\""))
}

/// Fields that the client's structures have and that are left out of JSON while they are empty: those of an address
/// configuration of a network.
fn omitted<'data>(map: &serde_json::Map<String, Value>, name: &str) -> Option<Datum<'data>> {
    let known = map.contains_key("Subnet") && matches!(name, "IPRange" | "Gateway");
    known.then(|| Cow::Owned(Value::String(String::new())))
}

fn apply<'data>(function: Function, arguments: Vec<Datum<'data>>) -> Result<Datum<'data>, String> {
    let text = |value: String| Ok(Cow::Owned(Value::String(value)));
    let flag = |value: bool| Ok(Cow::Owned(Value::Bool(value)));
    let string = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("wrong type for value; expected string; got {}", type_name(other))),
    };
    let pieces: Vec<&Value> = arguments.iter().map(|argument| &**argument).collect();
    match (function, pieces.as_slice()) {
        (Function::And | Function::Or, [.., _]) => {
            Ok(arguments.into_iter().next_back().unwrap_or(Cow::Owned(Value::Null)))
        }
        (Function::Not, [value]) => flag(!truth(value)),
        (Function::Eq, [value, others @ ..]) if !others.is_empty() => {
            flag(others.iter().any(|other| equal(value, other)))
        }
        (Function::Ne, [left, right]) => flag(!equal(left, right)),
        (Function::Lt, [left, right]) => flag(order(left, right)?.is_lt()),
        (Function::Le, [left, right]) => flag(order(left, right)?.is_le()),
        (Function::Gt, [left, right]) => flag(order(left, right)?.is_gt()),
        (Function::Ge, [left, right]) => flag(order(left, right)?.is_ge()),
        (Function::Index, [_, ..]) => {
            let mut arguments = arguments.into_iter();
            let mut value = arguments.next().unwrap_or(Cow::Owned(Value::Null));
            for key in arguments {
                value = index(value, &key)?;
            }
            Ok(value)
        }
        (Function::Join, [Value::Array(items), separator]) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            let separator = string(separator)?;
            if items.len().saturating_mul(separator.len()) > MAXIMUM_OUTPUT {
                return Err("result too large".to_owned());
            }
            text(items.join(&separator))
        }
        (Function::Join, [Value::Null, _]) => text(String::new()),
        (Function::Json, [value]) => text(value.to_string()),
        (Function::Len, [value]) => match value {
            Value::String(text) => Ok(Cow::Owned(Value::from(text.len()))),
            Value::Array(items) => Ok(Cow::Owned(Value::from(items.len()))),
            Value::Object(map) => Ok(Cow::Owned(Value::from(map.len()))),
            Value::Null => Ok(Cow::Owned(Value::from(0))),
            Value::Bool(_) | Value::Number(_) => Err(format!("len of type {}", type_name(value))),
        },
        (Function::Lower, [value]) => text(string(value)?.to_lowercase()),
        (Function::Upper, [value]) => text(string(value)?.to_uppercase()),
        (Function::Title, [value]) => {
            let value = string(value)?;
            let mut characters = value.chars();
            text(
                characters
                    .next()
                    .map_or(String::new(), |first| first.to_uppercase().chain(characters).collect()),
            )
        }
        (Function::Split, [value, separator]) => {
            let (value, separator) = (string(value)?, string(separator)?);
            Ok(Cow::Owned(value.split(separator.as_str()).map(Value::from).collect()))
        }
        (Function::Truncate, [value, limit]) => {
            let limit = usize::try_from(whole(limit)?).unwrap_or(0);
            text(string(value)?.chars().take(limit).collect())
        }
        (Function::Pad, [value, before, after]) => {
            let value = string(value)?;
            if value.is_empty() {
                return text(value);
            }
            let blanks = |count: &Value| match usize::try_from(whole(count)?).unwrap_or(0) {
                count if count > 4096 => Err(format!("padding of {count} is more than 4096")),
                count => Ok(" ".repeat(count)),
            };
            text(format!("{}{value}{}", blanks(before)?, blanks(after)?))
        }
        (Function::Print, values) => text(print(values)),
        (Function::Println, values) => {
            let values: Vec<String> = values.iter().map(|value| shown(value)).collect();
            text(values.join(" ") + "\n")
        }
        (Function::Printf, [format, values @ ..]) => text(printf(&string(format)?, values)?),
        _ => Err(format!("wrong number or type of arguments ({})", pieces.len())),
    }
}

fn index<'data>(value: Datum<'data>, key: &Value) -> Result<Datum<'data>, String> {
    match (&*value, key) {
        (Value::Array(items), Value::Number(_)) => {
            let number = whole(key)?;
            let at = usize::try_from(number)
                .ok()
                .filter(|at| *at < items.len())
                .ok_or_else(|| format!("index out of range: {number}"))?;
            Ok(match value {
                Cow::Borrowed(value) => Cow::Borrowed(&value[at]),
                Cow::Owned(value) => Cow::Owned(value[at].clone()),
            })
        }
        // A key that a map lacks gives the zero value, which for Docker's maps is empty.
        (Value::Object(map), Value::String(key)) if !map.contains_key(key) => {
            Ok(Cow::Owned(Value::String(String::new())))
        }
        (Value::Object(_), Value::String(key)) => field(value, key),
        (Value::Null, _) => Err("index of untyped nil".to_owned()),
        (other, _) => Err(format!("can't index item of type {}", type_name(other))),
    }
}

/// Go's Print: a blank between neighbours when neither is a string.
fn print(values: &[&Value]) -> String {
    let mut text = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !value.is_string() && !values[at - 1].is_string() {
            text.push(' ');
        }
        text.push_str(&shown(value));
    }
    text
}

fn printf(format: &str, values: &[&Value]) -> Result<String, String> {
    let mut text = String::new();
    let mut values = values.iter();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('%') => text.push('%'),
            Some(verb @ ('s' | 'v' | 'd' | 't' | 'q')) => match values.next() {
                Some(value) if verb == 'q' => {
                    let _ = write!(text, "{}", Value::String(shown(value)));
                }
                Some(value) => text.push_str(&shown(value)),
                None => {
                    let _ = write!(text, "%!{verb}(MISSING)");
                }
            },
            Some(verb) => return Err(format!("verb %{verb} is not supported: use %s %v %d %t %q %%")),
            None => text.push_str("%!(NOVERB)"),
        }
        if text.len() > MAXIMUM_OUTPUT {
            return Err("result too large".to_owned());
        }
    }
    Ok(text)
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Result<Ordering, String> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => {
            left.as_f64().partial_cmp(&right.as_f64()).ok_or_else(|| "numbers cannot be compared".to_owned())
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn whole(value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("expected integer; found {}", type_name(value)))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Roughly the bytes a value occupies.
fn weight(value: &Value) -> usize {
    let own = size_of::<Value>();
    own + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map.iter().map(|(key, item)| key.len() + weight(item)).sum(),
    }
}

/// A value as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut items: Vec<(&String, &Value)> = map.iter().collect();
            items.sort_by_key(|(key, _)| *key);
            let items: Vec<String> =
                items.iter().map(|(key, value)| format!("{key}:{}", shown(value))).collect();
            format!("map[{}]", items.join(" "))
        }
    }
}
