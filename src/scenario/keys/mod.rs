//! Which keys exist, and what each may hold: one set of tables for the parser and for the editors' JSON Schema.
//!
//! A [`Table`] lists the keys of one mapping, a [`Shape`] says what a value may be. [`validate`] walks a merged tree
//! along the tables: wrong types and unknown keys become errors (with the nearest valid key), Compose keys without a
//! bearing on networking are recorded as ignored, valid keys that this release cannot honour are refused. Whoever
//! reads values afterwards can therefore take types for granted and only judge values.

pub mod compose;
pub mod linkspan;

use std::collections::BTreeSet;

use super::daemon_json;
use super::diagnostic::{Diagnostic, Diagnostics, Span, did_you_mean};
use super::yaml::{Node, Value};

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text only.
    Text,
    /// true or false, or the words for them (what interpolation leaves).
    Boolean,
    /// A whole number, or text holding one.
    Integer,
    /// Any number.
    Number,
    /// Text, a number, or true/false.
    Scalar,
    /// Nothing.
    Null,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Shape),
    /// A list without repeated scalars.
    Set(&'static Shape),
    /// A mapping with free keys.
    Map(&'static Shape),
    /// A mapping with the keys of a table.
    Object(&'static Table),
    /// One of these, told apart by kind.
    Either(&'static [Shape]),
    /// Not looked into.
    Any,
}

/// What linkspan does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// It is read.
    Networking,
    /// Valid Compose without a bearing on networking: accepted, recorded, not looked into.
    Other,
    /// Valid, but refused in this release; the text says what is missing.
    Unsupported(&'static str),
}

/// One key of a table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// What is done with it.
    pub concern: Concern,
    /// One line for editors.
    pub doc: &'static str,
}

/// The keys of one mapping.
#[derive(Debug)]
pub struct Table {
    /// What the mapping is, with its article, for messages: "a service".
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Keys that must be there.
    pub required: &'static [&'static str],
    /// Whether `x-*` keys are allowed.
    pub extensions: bool,
}

impl Table {
    /// The entry of a key.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

pub(super) const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, concern: Concern::Networking, doc }
}

pub(super) const fn other(name: &'static str) -> Key {
    Key { name, shape: Shape::Any, concern: Concern::Other, doc: "No bearing on networking; ignored." }
}

pub(super) const fn unsupported(name: &'static str, shape: Shape, why: &'static str) -> Key {
    Key { name, shape, concern: Concern::Unsupported(why), doc: "Not supported yet." }
}

/// A key that was accepted and not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Dotted path, as `services.web.volumes`.
    pub path: String,
    /// Where the key was written.
    pub span: Span,
}

/// Checks `node` against `shape`, adding to `diagnostics` and `ignored`.
pub fn validate(node: &Node, shape: &Shape, diagnostics: &mut Diagnostics, ignored: &mut Vec<Ignored>) {
    Walk { diagnostics, ignored, path: Vec::new() }.check(node, shape);
}

struct Walk<'a> {
    diagnostics: &'a mut Diagnostics,
    ignored: &'a mut Vec<Ignored>,
    path: Vec<String>,
}

impl Walk<'_> {
    fn check(&mut self, node: &Node, shape: &Shape) {
        if !fits(node, shape) {
            // A word of the right type that is none of those listed is this table's to refuse.
            let listed = matches!((shape, &node.value), (Shape::Choice(_), Value::String(_)));
            if !listed
                && matches!(self.path.as_slice(), [daemon, key, ..] if daemon == "daemon" && daemon_json::answers_for(key))
            {
                return;
            }
            let found = match &node.value {
                Value::String(text) if !text.is_empty() && text.len() <= 40 && !text.contains('\n') => {
                    format!("`{text}`")
                }
                _ => node.kind().to_owned(),
            };
            let message = if self.path.is_empty() {
                format!("expected {}, found {found}", describe(shape))
            } else {
                format!("`{}` must be {}, found {found}", self.path.join("."), describe(shape))
            };
            let help = match (shape, &node.value) {
                (Shape::Choice(words), Value::String(word)) => did_you_mean(word, words.iter().copied()),
                (_, Value::Int(_) | Value::Float(_))
                    if self.path.last().is_some_and(|key| is_duration(key)) =>
                {
                    let number = node.text().unwrap_or_default();
                    Some(format!("a duration has a unit: `{number}s`"))
                }
                (_, Value::Int(_) | Value::Float(_) | Value::Bool(_)) if fits_text(shape) => {
                    Some("quote it to make it text".to_owned())
                }
                (_, Value::Int(_) | Value::Float(_)) if is_list(shape) => {
                    Some(format!("a list of one is written `[\"{}\"]`", node.text().unwrap_or_default()))
                }
                (_, Value::Mapping(_)) if is_list(shape) => {
                    Some("each item of a list is written behind `- `, on a line of its own".to_owned())
                }
                (_, Value::String(text)) if is_list(shape) && text.starts_with('-') => {
                    Some("a space belongs between the `-` and what follows".to_owned())
                }
                (_, Value::String(text)) if is_list(shape) && text.len() <= 60 => {
                    Some(format!("a list of one is written `[\"{text}\"]`"))
                }
                (Shape::Text, Value::Mapping(entries)) if entries.len() == 1 => {
                    let (key, value) = (&entries[0].key, entries[0].value.text().unwrap_or_default());
                    Some(format!("in a list it is written `- {key}={value}`; as a mapping, without the `-`"))
                }
                (Shape::Object(_), Value::Null | Value::String(_)) => {
                    Some("what belongs to it stands below it and deeper".to_owned())
                }
                (_, Value::Sequence(_)) if is_named(shape) => {
                    Some("each is written `NAME:`, without a `-` before it".to_owned())
                }
                _ => None,
            };
            let label = format!("expected {}", describe(shape));
            self.diagnostics.push(Diagnostic::error(node.span, message).label(label).help(help));
            return;
        }
        match shape {
            Shape::List(item) => self.items(node, item),
            Shape::Set(item) => {
                self.items(node, item);
                self.unique(node);
            }
            Shape::Map(item) => {
                for entry in node.entries() {
                    self.path.push(entry.key.clone());
                    self.check(&entry.value, item);
                    self.path.pop();
                }
            }
            Shape::Object(table) => self.object(node, table),
            Shape::Either(shapes) => {
                if let Some(shape) = shapes.iter().find(|shape| fits(node, shape)) {
                    self.check(node, shape);
                }
            }
            _ => {}
        }
    }

    fn items(&mut self, node: &Node, item: &Shape) {
        for (index, value) in node.items().iter().enumerate() {
            self.path.push(index.to_string());
            self.check(value, item);
            self.path.pop();
        }
    }

    fn unique(&mut self, node: &Node) {
        let mut seen = BTreeSet::new();
        for value in node.items() {
            if let Some(text) = value.text()
                && !seen.insert(text.clone())
            {
                let message = format!("`{}` lists `{text}` twice", self.path.join("."));
                self.diagnostics.push(Diagnostic::error(value.span, message).label("second time"));
            }
        }
    }

    fn object(&mut self, node: &Node, table: &Table) {
        for entry in node.entries() {
            self.path.push(entry.key.clone());
            match table.key(&entry.key) {
                None if table.extensions && entry.key.starts_with("x-") => {}
                None => {
                    let message = format!("unknown key `{}` in {}", entry.key, table.name);
                    let known = || table.keys.iter().map(|key| key.name);
                    let help = did_you_mean(&entry.key, known()).or_else(|| belongs(&entry.key, table));
                    let label = format!("not a key of {}", table.name);
                    self.diagnostics.push(Diagnostic::error(entry.key_span, message).label(label).help(help));
                }
                Some(Key { concern: Concern::Other, .. }) => {
                    self.ignored.push(Ignored { path: self.path.join("."), span: entry.key_span });
                }
                Some(Key { concern: Concern::Unsupported(why), .. }) => {
                    let message = format!("`{}` is not supported yet", self.path.join("."));
                    self.diagnostics.push(Diagnostic::error(entry.key_span, message).label(*why));
                }
                Some(key) => self.check(&entry.value, &key.shape),
            }
            self.path.pop();
        }
        for required in table.required {
            if node.get(required).is_none() {
                let message = format!("{} needs the key `{required}`", table.name);
                self.diagnostics
                    .push(Diagnostic::error(node.span, message).label(format!("`{required}` is missing")));
            }
        }
    }
}

/// Whether the value is of the right kind; what is inside is checked afterwards.
fn fits(node: &Node, shape: &Shape) -> bool {
    match shape {
        Shape::Text => matches!(node.value, Value::String(_)),
        Shape::Boolean => boolean(node).is_some(),
        Shape::Integer => integer(node).is_some(),
        Shape::Number => matches!(node.value, Value::Int(_) | Value::Float(_)) || number(node).is_some(),
        Shape::Scalar => node.text().is_some(),
        Shape::Null => node.is_null(),
        Shape::Choice(words) => node.text().is_some_and(|text| words.contains(&text.as_ref())),
        Shape::List(_) | Shape::Set(_) => matches!(node.value, Value::Sequence(_)),
        Shape::Map(_) | Shape::Object(_) => matches!(node.value, Value::Mapping(_)),
        Shape::Either(shapes) => shapes.iter().any(|shape| fits(node, shape)),
        Shape::Any => true,
    }
}

fn fits_text(shape: &Shape) -> bool {
    match shape {
        Shape::Text => true,
        Shape::Either(shapes) => shapes.iter().any(fits_text),
        _ => false,
    }
}

/// Where a key belongs that is none of the top level's.
fn belongs(key: &str, table: &Table) -> Option<String> {
    let service = std::ptr::eq(table, &linkspan::TOP) && compose::SERVICE.key(key).is_some();
    service.then(|| "it is a key of a service: it stands below one and deeper".to_owned())
}

/// Whether things by their names are wanted.
fn is_named(shape: &Shape) -> bool {
    match shape {
        Shape::Map(_) => true,
        Shape::Either(shapes) => shapes.iter().any(is_named),
        _ => false,
    }
}

/// Whether a list is wanted.
fn is_list(shape: &Shape) -> bool {
    match shape {
        Shape::List(_) | Shape::Set(_) => true,
        Shape::Either(shapes) => shapes.iter().any(is_list),
        _ => false,
    }
}

fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".into(),
        Shape::Boolean => "true or false".into(),
        Shape::Integer => "a whole number".into(),
        Shape::Number => "a number".into(),
        Shape::Scalar => "a single value".into(),
        Shape::Null => "nothing".into(),
        Shape::Choice(words) => format!("one of {}", spelled(words).join(", ")),
        Shape::List(_) | Shape::Set(_) => "a list".into(),
        Shape::Map(_) => "a mapping".into(),
        Shape::Object(table) => format!("a mapping ({})", table.name),
        Shape::Either(shapes) => shapes.iter().map(describe).collect::<Vec<_>>().join(" or "),
        Shape::Any => "anything".into(),
    }
}

/// Keys of Compose whose values are times.
fn is_duration(key: &str) -> bool {
    matches!(key, "interval" | "timeout" | "start_period" | "start_interval" | "stop_grace_period" | "delay")
}

/// Choices without the spellings that only YAML's numbers make of them, as 20.1 of 20.10.
fn spelled(words: &'static [&'static str]) -> Vec<&'static str> {
    let cut_short = |word: &&&str| {
        word.parse::<f64>().is_ok() && words.iter().any(|other| other != *word && other.starts_with(**word))
    };
    words.iter().filter(|word| !cut_short(word)).copied().collect()
}

/// A truth value as Compose casts it: YAML's own, or the words after interpolation.
#[must_use]
pub fn boolean(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A whole number, or text holding one.
#[must_use]
pub fn integer(node: &Node) -> Option<i64> {
    match &node.value {
        Value::Int(value) => Some(*value),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Any number, or text holding one.
#[must_use]
pub fn number(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Float(value) => Some(*value),
        Value::String(_) | Value::Int(_) => node.text()?.trim().parse().ok(),
        _ => None,
    }
}
