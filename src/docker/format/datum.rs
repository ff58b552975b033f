//! A value in a template, with its type.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Map, Value};

use super::shape::{ROW_LABELS, Shape, Structure};

/// A value that is borrowed from the data or made by a function.
#[derive(Debug, Clone)]
pub(super) struct Datum<'data> {
    pub(super) value: Cow<'data, Value>,
    pub(super) shape: &'static Shape,
}

impl<'data> Datum<'data> {
    /// A value of `shape`.
    pub(super) fn borrowed(value: &'data Value, shape: &'static Shape) -> Self {
        Self { value: Cow::Borrowed(value), shape }
    }

    /// A value that a function has made.
    pub(super) fn made(value: impl Into<Value>) -> Self {
        Self { value: Cow::Owned(value.into()), shape: &Shape::Any }
    }

    /// Nothing at all.
    pub(super) fn nothing() -> Self {
        Self::made(Value::Null)
    }

    fn of(value: Cow<'data, Value>, shape: &'static Shape) -> Self {
        let zero = match (&*value, shape) {
            (Value::Null, Shape::Text) => Value::String(String::new()),
            (Value::Null, Shape::Number) => Value::from(0),
            (Value::Null, Shape::Bool) => Value::Bool(false),
            (Value::Null, Shape::Struct(_)) => Value::Object(Map::new()),
            _ => return Self { value, shape },
        };
        Self { value: Cow::Owned(zero), shape }
    }

    /// The value of a key or field of JSON; null if there is none.
    fn get(self, key: &str, shape: &'static Shape) -> Self {
        let value = match self.value {
            Cow::Borrowed(value) => value.get(key).map(Cow::Borrowed),
            Cow::Owned(mut value) => value.get_mut(key).map(|found| Cow::Owned(found.take())),
        };
        Self::of(value.unwrap_or(Cow::Owned(Value::Null)), shape)
    }

    /// A field.
    pub(super) fn field(self, name: &str) -> Result<Self, String> {
        let unknown = |of: &str| format!("can't evaluate field {name} in type {of}");
        match self.shape {
            Shape::Pointer(_) if self.value.is_null() => Err(format!("nil pointer evaluating .{name}")),
            Shape::Pointer(to) => Self { shape: to, ..self }.field(name),
            Shape::Struct(Structure { name: of, fields }) => {
                let found = fields.iter().find(|field| field.name == name).ok_or_else(|| unknown(of))?;
                Ok(self.get(found.key, found.shape))
            }
            Shape::Row { name: of, fields } => match fields.contains(&name) {
                true => Ok(self.get(name, &Shape::Pointer(&Shape::Text))),
                false => Err(unknown(of)),
            },
            Shape::Map(element) => match self.value.get(name) {
                Some(_) => Ok(self.get(name, element)),
                None => Ok(Self::nothing()),
            },
            Shape::Any => match &*self.value {
                Value::Object(map) if map.contains_key(name) => Ok(self.get(name, &Shape::Any)),
                Value::Object(_) => Err(format!("map has no entry for key \"{name}\"")),
                Value::Null => Err(format!("nil data; no entry for key \"{name}\"")),
                _ => Err(unknown("interface {}")),
            },
            Shape::Text | Shape::Number | Shape::Bool | Shape::List(_) => {
                Err(unknown(type_name(&self.value)))
            }
        }
    }

    /// One label of a row; the heading of its column where the row is that of headings.
    pub(super) fn label(self, name: &str) -> Result<Self, String> {
        match (self.shape, self.value.get(ROW_LABELS)) {
            (Shape::Row { .. }, Some(labels)) => {
                Ok(Self::made(labels.get(name).and_then(Value::as_str).unwrap_or_default()))
            }
            (Shape::Row { .. }, None) => {
                let last = name.rsplit('.').next().unwrap_or(name);
                Ok(Self::made(last.replace(['-', '_'], " ")))
            }
            _ => Err("Label has arguments but cannot be invoked as function".to_owned()),
        }
    }

    /// What `range` walks: index or key, and element; `None` for what cannot be walked.
    pub(super) fn items(self) -> Option<Vec<(Value, Self)>> {
        let element = match self.shape {
            Shape::Any => &Shape::Any,
            Shape::List(element) | Shape::Map(element) => element,
            Shape::Pointer(to) if !self.value.is_null() => return Self { shape: to, ..self }.items(),
            Shape::Text
            | Shape::Number
            | Shape::Bool
            | Shape::Pointer(_)
            | Shape::Struct(_)
            | Shape::Row { .. } => {
                return None;
            }
        };
        let keyed = |(key, item): (usize, Cow<'data, Value>)| (Value::from(key), Self::of(item, element));
        let named = |(key, item): (String, Cow<'data, Value>)| (Value::from(key), Self::of(item, element));
        Some(match self.value {
            Cow::Borrowed(Value::Array(items)) => {
                items.iter().map(Cow::Borrowed).enumerate().map(keyed).collect()
            }
            Cow::Owned(Value::Array(items)) => {
                items.into_iter().map(Cow::Owned).enumerate().map(keyed).collect()
            }
            Cow::Borrowed(Value::Object(map)) => {
                let mut items: Vec<_> =
                    map.iter().map(|(key, item)| (key.clone(), Cow::Borrowed(item))).collect();
                items.sort_by(|(left, _), (right, _)| left.cmp(right));
                items.into_iter().map(named).collect()
            }
            Cow::Owned(Value::Object(map)) => {
                let mut items: Vec<_> = map.into_iter().map(|(key, item)| (key, Cow::Owned(item))).collect();
                items.sort_by(|(left, _), (right, _)| left.cmp(right));
                items.into_iter().map(named).collect()
            }
            other if other.is_null() => Vec::new(),
            _ => return None,
        })
    }

    /// `index`.
    pub(super) fn index(self, key: &Value) -> Result<Self, String> {
        let element = match self.shape {
            Shape::List(element) | Shape::Map(element) => element,
            Shape::Pointer(to) if !self.value.is_null() => return Self { shape: to, ..self }.index(key),
            Shape::Struct(_) | Shape::Row { .. } => {
                return Err(format!("can't index item of type {}", self.type_name()));
            }
            Shape::Any | Shape::Text | Shape::Number | Shape::Bool | Shape::Pointer(_) => &Shape::Any,
        };
        match (&*self.value, key) {
            (Value::Array(items), Value::Number(_)) => {
                let number = whole(key)?;
                let at = usize::try_from(number)
                    .ok()
                    .filter(|at| *at <= items.len())
                    .ok_or_else(|| format!("index out of range: {number}"))?;
                // Go's own check lets the place behind the last one pass.
                if at == items.len() {
                    return Err("reflect: slice index out of range".to_owned());
                }
                let item = match self.value {
                    Cow::Borrowed(value) => Cow::Borrowed(&value[at]),
                    Cow::Owned(value) => Cow::Owned(value[at].clone()),
                };
                Ok(Self::of(item, element))
            }
            (Value::Object(map), Value::String(name)) if map.contains_key(name) => {
                Ok(self.get(name, element))
            }
            // A key that a map lacks gives the zero value, which for Docker's maps is empty.
            (Value::Object(_), Value::String(_)) if matches!(element, Shape::Any) => Ok(Self::made("")),
            (Value::Object(_), Value::String(_)) => Ok(Self::of(Cow::Owned(Value::Null), element)),
            (Value::Null, Value::String(_)) if matches!(self.shape, Shape::Map(_)) => {
                Ok(Self::of(Cow::Owned(Value::Null), element))
            }
            (Value::Null, Value::Number(_)) if matches!(self.shape, Shape::List(_)) => {
                Err(format!("index out of range: {}", whole(key)?))
            }
            (Value::Null, _) => Err("index of untyped nil".to_owned()),
            (other, _) => Err(format!("can't index item of type {}", type_name(other))),
        }
    }

    /// `slice`: from one place up to another.
    pub(super) fn slice(self, bounds: &[i64]) -> Result<Self, String> {
        let length = match &*self.value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.len(),
            _ => return Err(format!("can't slice item of type {}", self.type_name())),
        };
        let place = |bound: Option<&i64>, default: usize| match bound {
            None => Ok(default),
            Some(bound) => usize::try_from(*bound)
                .ok()
                .filter(|at| *at <= length)
                .ok_or_else(|| format!("index out of range: {bound}")),
        };
        let (from, to) = (place(bounds.first(), 0)?, place(bounds.get(1), length)?);
        if from > to {
            return Err(format!("invalid slice index: {from} > {to}"));
        }
        let value = match &*self.value {
            Value::String(text) => Value::from(
                String::from_utf8_lossy(text.as_bytes().get(from..to).unwrap_or_default()).as_ref(),
            ),
            Value::Array(items) => Value::from(items.get(from..to).unwrap_or_default()),
            _ => Value::Null,
        };
        Ok(Self { value: Cow::Owned(value), shape: self.shape })
    }

    /// Whether `if` takes it for true.
    pub(super) fn truth(&self) -> bool {
        match (&*self.value, self.shape) {
            (_, Shape::Struct(_) | Shape::Row { .. }) => true,
            (Value::Object(_), Shape::Pointer(_)) => true,
            (Value::Null, _) => false,
            (Value::Bool(value), _) => *value,
            (Value::Number(number), _) => number.as_f64() != Some(0.0),
            (Value::String(text), _) => !text.is_empty(),
            (Value::Array(items), _) => !items.is_empty(),
            (Value::Object(map), _) => !map.is_empty(),
        }
    }

    /// As `json` writes it.
    pub(super) fn json(&self) -> String {
        match (self.shape, &*self.value) {
            (Shape::Row { fields, .. }, value) => {
                let shown: Map<String, Value> = fields
                    .iter()
                    .map(|name| ((*name).to_owned(), value.get(*name).cloned().unwrap_or_default()))
                    .collect();
                // A row writes itself, in Go's way for web pages.
                let text = Value::Object(shown).to_string();
                text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
            }
            (_, value) => value.to_string(),
        }
    }

    /// As Go prints it.
    pub(super) fn shown(&self) -> String {
        shown(&self.value, self.shape)
    }

    fn type_name(&self) -> &'static str {
        match self.shape {
            Shape::Struct(structure) => structure.name,
            Shape::Row { name, .. } => name,
            _ => type_name(&self.value),
        }
    }
}

fn shown(value: &Value, shape: &'static Shape) -> String {
    match (value, shape) {
        (value, Shape::Struct(structure)) => {
            let fields = structure.fields.iter();
            let fields: Vec<String> = fields
                .map(|field| {
                    let value = value.get(field.key).unwrap_or(&Value::Null);
                    Datum::of(Cow::Borrowed(value), field.shape).shown()
                })
                .collect();
            format!("{{{}}}", fields.join(" "))
        }
        (Value::Null, Shape::List(_)) => "[]".to_owned(),
        (Value::Null, Shape::Map(_)) => "map[]".to_owned(),
        (Value::Null, Shape::Pointer(_)) => "<nil>".to_owned(),
        (value, Shape::Pointer(to)) => shown(value, to),
        (Value::Null, _) => "<no value>".to_owned(),
        (Value::Bool(value), _) => value.to_string(),
        (Value::Number(number), _) => number.to_string(),
        (Value::String(text), _) => text.clone(),
        (Value::Array(items), shape) => {
            let element = element(shape);
            let items: Vec<String> = items.iter().map(|item| shown(item, element)).collect();
            format!("[{}]", items.join(" "))
        }
        (Value::Object(map), shape) => {
            let element = element(shape);
            let mut items: Vec<(&String, &Value)> = map.iter().collect();
            items.sort_by_key(|(key, _)| *key);
            let items: Vec<String> =
                items.iter().map(|(key, value)| format!("{key}:{}", shown(value, element))).collect();
            format!("map[{}]", items.join(" "))
        }
    }
}

fn element(shape: &'static Shape) -> &'static Shape {
    match shape {
        Shape::List(element) | Shape::Map(element) => element,
        _ => &Shape::Any,
    }
}

/// Whether `eq` takes two values for one.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

/// Which of two values is less.
pub(super) fn order(left: &Value, right: &Value) -> Result<Ordering, String> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => {
            left.as_f64().partial_cmp(&right.as_f64()).ok_or_else(|| "numbers cannot be compared".to_owned())
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

/// A whole number.
pub(super) fn whole(value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("expected integer; found {}", type_name(value)))
}

/// The type of a value that JSON alone says something of.
pub(super) fn type_name(value: &Value) -> &'static str {
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
pub(super) fn weight(value: &Value) -> usize {
    let own = size_of::<Value>();
    own + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map.iter().map(|(key, item)| key.len() + weight(item)).sum(),
    }
}
