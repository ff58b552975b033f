//! The JSON Schema editors use for completion and checking, built from the tables the loader itself goes by.

use serde_json::{Map, Value, json};

use super::keys::linkspan::{LINKSPAN, STEP, TOP};
use super::keys::{Concern, Shape, Table};

/// The schema of a scenario file (draft-07, which editors know best).
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = object(&TOP);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("x-linkspan".to_owned(), object(&LINKSPAN));
        let steps = json!({ "type": "array", "items": { "anyOf": [
            { "type": "string" },
            object(&STEP),
            // A check without quotes is a mapping to YAML.
            { "type": "object", "maxProperties": 1, "minProperties": 1, "patternProperties": { " (->|\\?) ": {} }, "additionalProperties": false },
        ] } });
        for place in ["steps", "x-linkspan"] {
            let Some(entry) = properties.get_mut(place) else { continue };
            if place == "steps" {
                *entry = described(steps.clone(), "What happens, in order.");
            } else if let Some(inner) = entry.pointer_mut("/properties/steps") {
                *inner = described(steps.clone(), "What happens, in order.");
            }
        }
    }
    let mut out = Map::new();
    out.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    out.insert("title".to_owned(), json!("linkspan scenario"));
    if let Value::Object(rest) = schema {
        out.extend(rest);
    }
    Value::Object(out)
}

fn object(table: &Table) -> Value {
    let mut properties = Map::new();
    for key in table.keys {
        if let Concern::Unsupported(_) = key.concern {
            continue;
        }
        properties.insert(key.name.to_owned(), described(value(&key.shape), key.doc));
    }
    let mut out = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if table.extensions {
        out["patternProperties"] = json!({ "^x-": {} });
    }
    if !table.required.is_empty() {
        out["required"] = json!(table.required);
    }
    out
}

fn described(mut schema: Value, doc: &str) -> Value {
    if let Value::Object(map) = &mut schema {
        map.insert("description".to_owned(), json!(doc));
    }
    schema
}

fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Boolean => json!({ "type": ["boolean", "string"] }),
        Shape::Integer => json!({ "type": ["integer", "string"] }),
        Shape::Number => json!({ "type": ["number", "string"] }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Null => json!({ "type": "null" }),
        // An unquoted version or number is a number to YAML.
        Shape::Choice(words) if words.iter().any(|word| word.parse::<f64>().is_ok()) => {
            let numbers = words.iter().filter_map(|word| word.parse::<f64>().ok());
            let all: Vec<Value> =
                words.iter().map(|word| json!(word)).chain(numbers.map(|n| json!(n))).collect();
            json!({ "enum": all })
        }
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::List(item) => json!({ "type": "array", "items": value(item) }),
        Shape::Set(item) => json!({ "type": "array", "items": value(item), "uniqueItems": true }),
        Shape::Map(item) => json!({ "type": "object", "additionalProperties": value(item) }),
        Shape::Object(table) => object(table),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(value).collect::<Vec<_>>() }),
        Shape::Any => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::Span;
    use super::super::diagnostic::{Diagnostics, SourceMap};
    use super::super::keys::validate;
    use super::super::yaml::{Entry, Node, Value as Yaml};
    use super::*;
    use std::path::Path;

    fn tables(shape: &Shape, out: &mut Vec<&'static Table>) {
        match shape {
            Shape::Object(table) => {
                out.push(table);
                table.keys.iter().for_each(|key| tables(&key.shape, out));
            }
            Shape::List(item) | Shape::Set(item) | Shape::Map(item) => tables(item, out),
            Shape::Either(shapes) => shapes.iter().for_each(|shape| tables(shape, out)),
            _ => {}
        }
    }

    /// Whether the loader takes a mapping with just this key as far as the key goes.
    fn accepted(table: &'static Table, key: &str) -> bool {
        let span = Span::start_of(SourceMap::default().add(Path::new("t"), String::new()));
        let value = Node::new(Yaml::Null, span);
        let entry = Entry { key: key.to_owned(), key_span: span, value };
        let node = Node::new(Yaml::Mapping(vec![entry]), span);
        let mut diagnostics = Diagnostics::default();
        validate(&node, &Shape::Object(table), &mut diagnostics, &mut Vec::new());
        !diagnostics
            .items()
            .iter()
            .any(|d| d.message.contains("unknown key") || d.message.contains("not supported"))
    }

    #[test]
    fn schema_and_loader_accept_the_same_keys() {
        let mut all = Vec::new();
        tables(&Shape::Object(&TOP), &mut all);
        tables(&Shape::Object(&STEP), &mut all);
        tables(&Shape::Object(&LINKSPAN), &mut all);
        assert!(all.len() > 25);
        let mut names: Vec<&str> =
            all.iter().flat_map(|table| table.keys.iter().map(|key| key.name)).collect();
        names.extend(["nonsense", "x-mine"]);
        for table in all {
            let schema = object(table);
            for name in &names {
                let known = schema["properties"].get(name).is_some()
                    || name.starts_with("x-") && schema.get("patternProperties").is_some();
                assert_eq!(known, accepted(table, name), "{name} in {}", table.name);
            }
        }
    }

    #[test]
    fn the_schema_names_both_parts() {
        let schema = json_schema();
        for path in [
            "/properties/services/anyOf/0/additionalProperties/properties/networks",
            "/properties/networks/anyOf/0/additionalProperties/anyOf/0/properties/ipam",
            "/properties/x-linkspan/properties/checks",
            "/properties/steps/items/anyOf/1/properties/run",
        ] {
            assert!(schema.pointer(path).is_some(), "{path}");
        }
    }
}
