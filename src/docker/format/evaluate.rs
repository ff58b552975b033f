//! Running a parsed template.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::Value;

use super::{
    FormatError, Missing,
    datum::{Datum, equal, order, type_name, weight, whole},
    position,
    shape::Shape,
    syntax::{Base, Call, Function, Node, Operand, Pipeline},
};

/// The most a template may print, or one value may grow to.
const MAXIMUM_OUTPUT: usize = 16 << 20;
/// The most nodes and calls one run may take.
const MAXIMUM_STEPS: u32 = 1_000_000;

/// Runs `nodes` over `data`, a value of `shape`.
pub(super) fn run(
    nodes: &[Node],
    source: &str,
    data: &Value,
    shape: &'static Shape,
    missing: Missing,
) -> Result<String, FormatError> {
    let dot = Datum::borrowed(data, shape);
    let mut run = Run {
        source,
        missing,
        output: String::new(),
        steps: 0,
        made: 0,
        variables: vec![("$".to_owned(), dot.clone())],
    };
    run.block(nodes, &dot)?;
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
                    self.print(&value.shown())?;
                }
                Node::Action(Some(name), pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.variables.push((name.clone(), value));
                    continue;
                }
                Node::If(pipeline, body, otherwise) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.block(if value.truth() { body } else { otherwise }, dot)?;
                }
                Node::With(name, pipeline, body, otherwise) => {
                    let value = self.pipeline(pipeline, dot)?;
                    let before = self.variables.len();
                    if let Some(name) = name {
                        self.variables.push((name.clone(), value.clone()));
                    }
                    if value.truth() {
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
                            self.variables.push((key.clone(), Datum::made(name)));
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
        let text = value.shown();
        value.items().ok_or_else(|| {
            let (start, end) = extent(pipeline);
            self.error(start, start, end, format!("range can't iterate over {text}"))
        })
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Datum<'data>) -> Result<Datum<'data>, FormatError> {
        let mut last: Option<Datum<'data>> = None;
        for call in &pipeline.commands {
            last = Some(self.call(call, dot, last)?);
        }
        Ok(last.unwrap_or(Datum::nothing()))
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
                Some(Function::And) => !value.truth(),
                Some(Function::Or) => value.truth(),
                _ => false,
            };
            if decided {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(piped);
        match call.function {
            None => Ok(arguments.pop().unwrap_or(Datum::nothing())),
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
                .map_or(Datum::nothing(), |(_, value)| value.clone()),
            Base::String(text) => Datum::made(text.as_str()),
            Base::Number(number) => Datum::made(Value::Number(number.clone())),
            Base::Bool(value) => Datum::made(*value),
            Base::Nil => Datum::nothing(),
            Base::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
        };
        self.spend(&value)?;
        for (name, offset) in &operand.fields {
            let untyped = matches!(value.shape, Shape::Any);
            let gap =
                value.value.is_null() || value.value.as_object().is_some_and(|map| !map.contains_key(name));
            if self.missing == Missing::NoValue && untyped && gap {
                value = Datum::nothing();
                continue;
            }
            value = value.field(name).map_err(|reason| {
                // Go keeps a chain of fields under the place of the second one, but for what stands alone before it.
                let named = matches!(operand.base, Base::Dot) && operand.fields.len() > 1;
                let offset = operand.fields.get(usize::from(named)).map_or(offset, |(_, offset)| offset);
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
        if let Cow::Owned(value) = &value.value {
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

fn apply<'data>(function: Function, arguments: Vec<Datum<'data>>) -> Result<Datum<'data>, String> {
    let text = |value: String| Ok(Datum::made(value));
    let flag = |value: bool| Ok(Datum::made(value));
    let string = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("wrong type for value; expected string; got {}", type_name(other))),
    };
    let pieces: Vec<&Value> = arguments.iter().map(|argument| &*argument.value).collect();
    match (function, pieces.as_slice()) {
        (Function::And | Function::Or, [.., _]) => {
            Ok(arguments.into_iter().next_back().unwrap_or(Datum::nothing()))
        }
        (Function::Not, [_]) => flag(!arguments[0].truth()),
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
            let mut value = arguments.next().unwrap_or(Datum::nothing());
            for key in arguments {
                value = value.index(&key.value)?;
            }
            Ok(value)
        }
        (Function::Join, [Value::Array(items), separator]) => {
            let items: Vec<String> =
                items.iter().map(|item| Datum::borrowed(item, &Shape::Any).shown()).collect();
            let separator = string(separator)?;
            if items.len().saturating_mul(separator.len()) > MAXIMUM_OUTPUT {
                return Err("result too large".to_owned());
            }
            text(items.join(&separator))
        }
        (Function::Join, [Value::Null, _]) => text(String::new()),
        (Function::Json, [_]) => text(arguments[0].json()),
        (Function::Label, [_, name]) => {
            let name = string(name)?;
            let row = arguments.into_iter().next().unwrap_or(Datum::nothing());
            row.label(&name)
        }
        (Function::Len, [value]) => match value {
            Value::String(text) => Ok(Datum::made(text.len())),
            Value::Array(items) => Ok(Datum::made(items.len())),
            Value::Object(map) => Ok(Datum::made(map.len())),
            Value::Null => Ok(Datum::made(0)),
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
        (Function::Slice, [_, bounds @ ..]) if bounds.len() <= 2 => {
            let bounds: Vec<i64> = bounds.iter().map(|bound| whole(bound)).collect::<Result<_, _>>()?;
            arguments.into_iter().next().unwrap_or(Datum::nothing()).slice(&bounds)
        }
        (Function::Split, [value, separator]) => {
            let (value, separator) = (string(value)?, string(separator)?);
            let pieces: Vec<Value> = match separator.is_empty() {
                true => value.chars().map(|character| Value::from(character.to_string())).collect(),
                false => value.split(separator.as_str()).map(Value::from).collect(),
            };
            Ok(Datum::made(pieces))
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
        (Function::Print, _) => text(print(&arguments)),
        (Function::Println, _) => {
            let values: Vec<String> = arguments.iter().map(Datum::shown).collect();
            text(values.join(" ") + "\n")
        }
        (Function::Printf, [format, ..]) => text(printf(&string(format)?, &arguments[1..])?),
        _ => Err(format!("wrong number or type of arguments ({})", pieces.len())),
    }
}

/// Go's Print: a blank between neighbours when neither is a string.
fn print(values: &[Datum<'_>]) -> String {
    let mut text = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !value.value.is_string() && !values[at - 1].value.is_string() {
            text.push(' ');
        }
        text.push_str(&value.shown());
    }
    text
}

fn printf(format: &str, values: &[Datum<'_>]) -> Result<String, String> {
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
                    let _ = write!(text, "{}", Value::String(value.shown()));
                }
                Some(value) => text.push_str(&value.shown()),
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
