//! What a Dockerfile says about networking: EXPOSE, ENV and the image a stage builds on.
//!
//! The stages the wanted one builds on (`FROM other AS this`) are followed; ARG and ENV values are substituted as far
//! as they are written in the file or given as build arguments. A line that is not understood is passed over, since a
//! Dockerfile is not ours to judge.

use std::collections::BTreeMap;

use super::model::ListenPort;

/// What a stage says, with what it inherits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// EXPOSE.
    pub expose: Vec<ListenPort>,
    /// ENV.
    pub environment: Vec<(String, String)>,
    /// The outer image; absent for `scratch`.
    pub base_image: Option<String>,
}

#[derive(Clone, Default)]
struct Stage {
    name: String,
    from: String,
    expose: Vec<String>,
    environment: Vec<(String, String)>,
    arguments: Vec<(String, String)>,
}

/// Reads the stage `target` (the last when absent, or when no stage has that name or number).
#[must_use]
pub fn parse(text: &str, target: Option<&str>, arguments: &[(String, String)]) -> Dockerfile {
    let given: BTreeMap<&str, &str> = arguments.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut global: Vec<(String, String)> = Vec::new();
    let mut stages: Vec<Stage> = Vec::new();
    for line in logical_lines(text) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line.as_str(), ""));
        let rest = rest.trim();
        match word.to_ascii_uppercase().as_str() {
            "FROM" => stages.push(from(rest, &global)),
            "ARG" => {
                for (name, default) in assignments(rest) {
                    let outer = global.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone());
                    let value = given.get(name.as_str()).map(|v| (*v).to_owned()).or(default).or(outer);
                    let scope = stages.last_mut().map_or(&mut global, |stage| &mut stage.arguments);
                    scope.push((name, value.unwrap_or_default()));
                }
            }
            "ENV" => {
                if let Some(stage) = stages.last_mut() {
                    for (name, value) in environment(rest) {
                        let value = substitute(&value, &[&stage.environment, &stage.arguments]);
                        set(&mut stage.environment, name, value);
                    }
                }
            }
            "EXPOSE" => {
                if let Some(stage) = stages.last_mut() {
                    let known = [&stage.environment, &stage.arguments];
                    let ports: Vec<String> =
                        rest.split_whitespace().map(|port| substitute(port, &known)).collect();
                    stage.expose.extend(ports);
                }
            }
            _ => {}
        }
    }
    let wanted = target
        .and_then(|target| {
            let by_name = stages.iter().position(|stage| stage.name.eq_ignore_ascii_case(target));
            by_name.or_else(|| target.parse().ok().filter(|at| *at < stages.len()))
        })
        .or_else(|| stages.len().checked_sub(1));
    wanted.map_or_else(Dockerfile::default, |at| flatten(&stages, at))
}

fn flatten(stages: &[Stage], wanted: usize) -> Dockerfile {
    // A stage can only build on an earlier one, so this ends.
    let mut chain = vec![wanted];
    let mut at = wanted;
    while let Some(base) = stages[..at].iter().rposition(|s| s.name.eq_ignore_ascii_case(&stages[at].from)) {
        chain.push(base);
        at = base;
    }
    let mut out = Dockerfile::default();
    let from = &stages[at].from;
    out.base_image = (!from.is_empty() && from != "scratch").then(|| from.clone());
    for index in chain.into_iter().rev() {
        for (name, value) in &stages[index].environment {
            set(&mut out.environment, name.clone(), value.clone());
        }
        for port in stages[index].expose.iter().flat_map(|text| ports(text)) {
            if !out.expose.contains(&port) {
                out.expose.push(port);
            }
        }
    }
    out
}

/// Lines with continuations joined and comments dropped.
fn logical_lines(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && current.is_empty()) {
            continue;
        }
        if let Some(part) = trimmed.strip_suffix('\\') {
            current.push_str(part);
            current.push(' ');
        } else {
            current.push_str(trimmed);
            out.push(std::mem::take(&mut current));
        }
    }
    if !current.is_empty() {
        out.push(current);
    }
    out
}

fn from(rest: &str, global: &Vec<(String, String)>) -> Stage {
    let words: Vec<&str> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
    let name = match words.as_slice() {
        [_, keyword, name, ..] if keyword.eq_ignore_ascii_case("as") => (*name).to_owned(),
        _ => String::new(),
    };
    let from = words.first().map_or_else(String::new, |image| substitute(image, &[global]));
    Stage { name, from, ..Stage::default() }
}

/// `A=1 B` as pairs with optional values.
fn assignments(rest: &str) -> Vec<(String, Option<String>)> {
    words(rest)
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        })
        .collect()
}

/// `A=1 B=2`, or the old form `A the rest`.
fn environment(rest: &str) -> Vec<(String, String)> {
    let first = rest.split_whitespace().next().unwrap_or("");
    if !first.contains('=') {
        let value = rest.strip_prefix(first).unwrap_or("").trim();
        return if first.is_empty() { Vec::new() } else { vec![(first.to_owned(), value.to_owned())] };
    }
    assignments(rest).into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Words, with quotes taken off.
fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.push(c),
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            None => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn substitute(text: &str, scopes: &[&Vec<(String, String)>]) -> String {
    let lookup = |name: &str| {
        scopes
            .iter()
            .find_map(|scope| scope.iter().rev().find(|(k, _)| k == name))
            .map(|(_, value)| value.clone())
    };
    super::interpolate::interpolate(text, &lookup).map_or_else(|_| text.to_owned(), |done| done.text)
}

fn set(list: &mut Vec<(String, String)>, name: String, value: String) {
    match list.iter_mut().find(|(known, _)| *known == name) {
        Some(entry) => entry.1 = value,
        None => list.push((name, value)),
    }
}

fn ports(text: &str) -> Vec<ListenPort> {
    super::ports::exposed(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::model::Protocol;
    use super::*;

    #[test]
    fn stages_arguments_and_continuations() {
        let text = "# syntax=docker/dockerfile:1\nARG V=1.2\nFROM --platform=x nginx:${V} AS base\nEXPOSE 80 \\\n  443/udp\n\
                    FROM golang AS builder\nENV A=1 B=\"x y\"\nEXPOSE 9000\nFROM base as final\nARG P\nENV PORT $P\nEXPOSE $PORT 8000-8001\n";
        let arguments = [("P".to_owned(), "7000".to_owned())];
        let last = parse(text, None, &arguments);
        let shown: Vec<String> = last.expose.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["80/tcp", "443/udp", "7000/tcp", "8000/tcp", "8001/tcp"]);
        assert_eq!(last.base_image.as_deref(), Some("nginx:1.2"));
        let builder = parse(text, Some("builder"), &[]);
        assert_eq!(builder.expose, [ListenPort { port: 9000, protocol: Protocol::Tcp }]);
        assert_eq!(builder.environment, [("A".into(), "1".into()), ("B".into(), "x y".into())]);
        assert_eq!(parse("FROM scratch\nEXPOSE x 0\n", None, &[]), Dockerfile::default());
        assert_eq!(parse("EXPOSE 1\nENV\nFROM", Some("9"), &[]), Dockerfile::default());
    }
}
