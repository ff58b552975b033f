//! `daemon:` of a scenario as dockerd takes daemon.json: what it would not read is refused in its words
//! ([`crate::docker::daemon::json`]), at the line where it stands.
//!
//! A scenario may leave a value to interpolation, which gives text: only text that was quoted is taken for text.

use serde_json::{Map, Value as Json};

use super::diagnostic::{Diagnostic, Diagnostics, SourceMap, Span};
use super::keys::boolean;
use super::model::Daemon;
use super::stage;
use super::yaml::{Node, Value};
use crate::docker::daemon::DaemonConfig;
use crate::docker::daemon::json::{self, Refusal, Type};

/// Whether [`judge`] answers for the types in this key of `daemon`.
pub(super) fn answers_for(key: &str) -> bool {
    json::known(key).is_some()
}

/// Refuses what dockerd would refuse to read, and gives the rest.
pub(super) fn judge(node: &Node, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Node {
    let profile = stage::profile(node).unwrap_or_default();
    let mut readable = node.clone();
    let Value::Mapping(entries) = &mut readable.value else { return readable };
    entries.retain(|entry| {
        let Some(field) = json::known(&entry.key) else { return true };
        let value = value_of(&entry.value, Some(&field.of), sources);
        let strangers = json::strangers(&entry.key, &value, profile);
        if !field.known_to(profile) || !strangers.is_empty() {
            let strangers = if strangers.is_empty() { vec![entry.key.as_str()] } else { strangers };
            let error = refusal(entry.key_span, &json::unknown(&strangers));
            diagnostics.push(if field.known_to(profile) {
                error.label("dockerd looks for other values here")
            } else {
                let error = error.label("Docker 20.10 does not know this key");
                error.help("choose another engine with `profile`, or leave the key out".to_owned())
            });
        } else if let Some(refused) = field.judge(&value, profile) {
            let error = refusal(place(&entry.value, &refused.at).span, &refused.why);
            diagnostics.push(match refused.found {
                Some(found) => error.label(format!("dockerd finds a JSON {found} here")),
                None => error.label("dockerd cannot read this"),
            });
        } else {
            return true;
        }
        false
    });
    readable
}

fn refusal(span: Span, why: &str) -> Diagnostic {
    Diagnostic::error(span, Refusal::message(why))
}

/// The part of a value that a path leads to, or as far as it leads.
fn place<'a>(node: &'a Node, path: &[String]) -> &'a Node {
    let Some((first, rest)) = path.split_first() else { return node };
    let element = first.parse::<usize>().ok().and_then(|index| node.items().get(index));
    element.or_else(|| node.get(first)).map_or(node, |part| place(part, rest))
}

/// A value as JSON. Text that may have come from interpolation is read as what is expected in its place.
fn value_of(node: &Node, of: Option<&Type>, sources: &SourceMap) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::String(text) => {
            let quoted = sources
                .text(node.span)
                .is_some_and(|text| text.starts_with(['"', '\'']) && !text.contains('$'));
            let as_text = || Json::String(text.clone());
            match of {
                Some(Type::Bool) if !quoted => boolean(node).map_or_else(as_text, Json::Bool),
                Some(Type::Int) if !quoted => text.parse::<i64>().map_or_else(|_| as_text(), Json::from),
                _ => as_text(),
            }
        }
        Value::Sequence(items) => {
            const POOL: Type = json::POOL;
            let of = match of {
                Some(Type::List(of)) => Some(*of),
                Some(Type::Pools) => Some(&POOL),
                _ => None,
            };
            Json::Array(items.iter().map(|item| value_of(item, of, sources)).collect())
        }
        Value::Mapping(entries) => {
            let values = entries.iter().map(|entry| {
                let of = match of {
                    Some(Type::Map(of)) => Some(*of),
                    Some(Type::Struct(_, fields)) => {
                        fields.iter().find(|(name, _)| *name == entry.key).map(|(_, of)| of)
                    }
                    _ => None,
                };
                (entry.key.clone(), value_of(&entry.value, of, sources))
            });
            Json::Object(values.collect::<Map<String, Json>>())
        }
    }
}

/// Reads what was judged, as dockerd reads its file.
pub(super) fn read(node: &Node, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Daemon {
    stage::judge_daemon(node, diagnostics);
    let profile = stage::profile(node);
    let default = DaemonConfig { profile: profile.unwrap_or_default(), ..DaemonConfig::default() };
    let config = json::read_judged(&file(node, sources), &default).unwrap_or_else(|error| {
        if !diagnostics.has_errors() {
            diagnostics.error(node.span, error.message);
        }
        default
    });
    Daemon { profile, config }
}

/// The text of the file that a `daemon:` stands for, empty if it says nothing; `profile` is no key of it.
fn file(node: &Node, sources: &SourceMap) -> String {
    let entries =
        node.entries().iter().filter(|entry| entry.key != "profile" && !entry.key.starts_with("x-"));
    let values: Map<String, Json> = entries
        .map(|entry| {
            let of = json::known(&entry.key).map(|field| &field.of);
            (entry.key.clone(), value_of(&entry.value, of, sources))
        })
        .collect();
    if values.is_empty() {
        return String::new();
    }
    serde_json::to_string_pretty(&values).map(|text| text + "\n").unwrap_or_default()
}
