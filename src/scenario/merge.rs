//! Compose's rules for laying one tree over another (compose-spec, 13-merge), used for several documents, several
//! files and `extends`.
//!
//! Mappings are merged key by key, lists are appended, scalars are replaced. Exceptions: `command`, `entrypoint` and a
//! health check's `test` are replaced; keys that may be a list or a mapping are merged by name; published ports are
//! one per (address, target, published, protocol); `!reset` removes a key and `!override` replaces it.

use hashbrown::HashMap;

use super::yaml::{Entry, MergeTag, Node, Value};

/// Keys written `[name=value]` or `{name: value}`.
const BY_NAME: [&str; 7] =
    ["environment", "labels", "sysctls", "args", "annotations", "extra_hosts", "options"];
/// Keys written `[name]` or `{name: settings}`.
const BY_KEY: [&str; 3] = ["networks", "depends_on", "models"];
/// Lists that are replaced.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];

/// Lays `over` on `base`.
pub(super) fn merge(base: Node, over: Node) -> Node {
    merge_at(base, over, "")
}

/// Lists of a service in which Compose keeps the last of what is written twice, by the name before a `=`.
const LAST_WINS: [&str; 13] = [
    "environment",
    "labels",
    "sysctls",
    "annotations",
    "cap_add",
    "cap_drop",
    "dns",
    "dns_opt",
    "dns_search",
    "expose",
    "links",
    "profiles",
    "tmpfs",
];

/// Leaves one of what a service's lists hold twice, where Compose does not refuse that.
pub(super) fn unify(tree: &mut Node) {
    for service in below(tree, "services") {
        let Value::Mapping(keys) = &mut service.value.value else { continue };
        for entry in keys {
            match entry.key.as_str() {
                key if LAST_WINS.contains(&key) => keep_last(&mut entry.value),
                "ports" => keep_first(&mut entry.value),
                "build" => below_value(&mut entry.value, &["args", "labels"]),
                "networks" => {
                    let Value::Mapping(networks) = &mut entry.value.value else { continue };
                    for network in networks {
                        below_value(&mut network.value, &["aliases", "link_local_ips"]);
                    }
                }
                _ => {}
            }
        }
    }
}

fn below<'a>(tree: &'a mut Node, key: &str) -> &'a mut [Entry] {
    let Value::Mapping(entries) = &mut tree.value else { return &mut [] };
    let section = entries.iter_mut().find(|entry| entry.key == key);
    match section.map(|entry| &mut entry.value.value) {
        Some(Value::Mapping(entries)) => entries,
        _ => &mut [],
    }
}

fn below_value(node: &mut Node, keys: &[&str]) {
    let Value::Mapping(entries) = &mut node.value else { return };
    entries.iter_mut().filter(|e| keys.contains(&e.key.as_str())).for_each(|e| keep_last(&mut e.value));
}

/// Of items with the same name the last, in the place of the first.
fn keep_last(node: &mut Node) {
    let Value::Sequence(items) = &mut node.value else { return };
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        let name = item.text().map(|text| text.split('=').next().unwrap_or_default().to_owned());
        match name.as_ref().and_then(|name| index.get(name)) {
            Some(at) => kept[*at] = item,
            None => {
                index.extend(name.map(|name| (name, kept.len())));
                kept.push(item);
            }
        }
    }
    *items = kept;
}

fn keep_first(node: &mut Node) {
    let Value::Sequence(items) = &mut node.value else { return };
    let mut seen = std::collections::BTreeSet::new();
    items.retain(|item| seen.insert(identity(item)));
}

/// Removes what `!reset` marks; the tags have done their work after this.
pub(super) fn strip_resets(node: &mut Node) {
    match &mut node.value {
        Value::Mapping(entries) => {
            entries.retain(|entry| entry.value.merge != Some(MergeTag::Reset));
            entries.iter_mut().for_each(|entry| strip_resets(&mut entry.value));
        }
        Value::Sequence(items) => {
            items.retain(|item| item.merge != Some(MergeTag::Reset));
            items.iter_mut().for_each(strip_resets);
        }
        _ => {}
    }
}

fn merge_at(base: Node, over: Node, key: &str) -> Node {
    if over.merge.is_some() || REPLACED.contains(&key) {
        return over;
    }
    let span = over.span;
    let named = BY_NAME.contains(&key);
    if named || BY_KEY.contains(&key) {
        let to_map = |node: Node| if named { by_name(node) } else { by_key(node, key) };
        // Two lists of networks or dependencies stay a list.
        if named || !matches!((&base.value, &over.value), (Value::Sequence(_), Value::Sequence(_))) {
            return merge_maps(to_map(base), to_map(over));
        }
    }
    match (base.value, over.value) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            merge_maps(Node::new(Value::Mapping(base), span), Node::new(Value::Mapping(over), span))
        }
        (Value::Sequence(mut items), Value::Sequence(more)) => {
            let mut seen: std::collections::BTreeSet<String> = items.iter().map(identity).collect();
            items.extend(more.into_iter().filter(|item| seen.insert(identity(item))));
            Node::new(Value::Sequence(items), span)
        }
        // `dns: a` and `dns: [b]`, `env_file: a` and `env_file: [b]`: a single value counts as a list of one.
        (Value::Sequence(mut items), value @ Value::String(_)) => {
            items.push(Node::new(value, span));
            Node::new(Value::Sequence(items), span)
        }
        (base @ Value::String(_), Value::Sequence(mut items)) => {
            items.insert(0, Node::new(base, span));
            Node::new(Value::Sequence(items), span)
        }
        // A key without a value adds nothing.
        (base @ (Value::Mapping(_) | Value::Sequence(_)), Value::Null) => Node::new(base, span),
        (_, value) => Node::new(value, span),
    }
}

fn merge_maps(base: Node, over: Node) -> Node {
    let span = over.span;
    let (Value::Mapping(mut entries), Value::Mapping(more)) = (base.value, over.value) else {
        return Node::new(Value::Null, span);
    };
    let mut index: HashMap<String, usize> =
        entries.iter().enumerate().map(|(i, entry)| (entry.key.clone(), i)).collect();
    for entry in more {
        match index.get(&entry.key) {
            None => {
                index.insert(entry.key.clone(), entries.len());
                entries.push(entry);
            }
            Some(at) => {
                let old = std::mem::replace(&mut entries[*at].value, Node::new(Value::Null, span));
                entries[*at].value = merge_at(old, entry.value, &entry.key);
                entries[*at].key_span = entry.key_span;
            }
        }
    }
    Node::new(Value::Mapping(entries), span)
}

/// `[a=1, b]` as `{a: 1, b: }`.
fn by_name(node: Node) -> Node {
    let Value::Sequence(items) = node.value else { return map_or_empty(node) };
    let entries = items.into_iter().filter_map(|item| {
        let text = item.text()?.into_owned();
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Value::String(value.to_owned())),
            None => (text, Value::Null),
        };
        Some(Entry { key, key_span: item.span, value: Node::new(value, item.span) })
    });
    Node::new(Value::Mapping(last_wins(entries)), node.span)
}

/// `[a, b]` as `{a: , b: }`; of dependencies as what a list of them means, that they were started.
fn by_key(node: Node, list: &str) -> Node {
    let Value::Sequence(items) = node.value else { return map_or_empty(node) };
    let entries = items.into_iter().filter_map(|item| {
        let key = item.text()?.into_owned();
        let started = || Entry {
            key: "condition".to_owned(),
            key_span: item.span,
            value: Node::new(Value::String("service_started".to_owned()), item.span),
        };
        let settings = if list == "depends_on" { Value::Mapping(vec![started()]) } else { Value::Null };
        Some(Entry { key, key_span: item.span, value: Node::new(settings, item.span) })
    });
    Node::new(Value::Mapping(last_wins(entries)), node.span)
}

fn map_or_empty(node: Node) -> Node {
    if matches!(node.value, Value::Mapping(_)) {
        node
    } else {
        Node::new(Value::Mapping(Vec::new()), node.span)
    }
}

fn last_wins(entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for entry in entries {
        if let Some(at) = index.get(&entry.key) {
            out[*at] = entry;
        } else {
            index.insert(entry.key.clone(), out.len());
            out.push(entry);
        }
    }
    out
}

/// What makes two list items the same: a scalar's text, a long port's parts.
fn identity(node: &Node) -> String {
    if let Some(text) = node.text() {
        return text.into_owned();
    }
    let part = |key| node.get(key).and_then(Node::text).map_or_else(String::new, |text| text.into_owned());
    if node.get("target").is_some() {
        return ["host_ip", "published", "target", "protocol"].map(part).join("|");
    }
    // A mapping without such parts is never the same as another: its place tells them apart.
    format!("{:?}", node.span)
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::SourceMap;
    use super::super::yaml::parse;
    use super::*;
    use std::path::Path;

    fn tree(text: &str) -> Node {
        let mut sources = SourceMap::default();
        let file = sources.add(Path::new("t"), text.to_owned());
        parse(&sources, file).unwrap().remove(0)
    }

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Mapping(entries) => {
                let inner: Vec<String> =
                    entries.iter().map(|e| format!("{}: {}", e.key, shown(&e.value))).collect();
                format!("{{{}}}", inner.join(", "))
            }
            Value::Sequence(items) => {
                format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
            }
            _ => node.text().map_or("~".into(), |text| text.into_owned()),
        }
    }

    #[test]
    fn rules() {
        for (base, over, expected) in [
            ("{a: 1, b: {c: 2}}", "{a: 3, b: {d: 4}}", "{a: 3, b: {c: 2, d: 4}}"),
            ("{dns: [a, b]}", "{dns: [b, c]}", "{dns: [a, b, c]}"),
            ("{dns: a}", "{dns: [b]}", "{dns: [a, b]}"),
            ("{command: [a]}", "{command: [b]}", "{command: [b]}"),
            ("{environment: [A=1, B=2]}", "{environment: {B: 3}}", "{environment: {A: 1, B: 3}}"),
            ("{networks: [a]}", "{networks: {b: {priority: 1}}}", "{networks: {a: ~, b: {priority: 1}}}"),
            ("{networks: [a]}", "{networks: [b]}", "{networks: [a, b]}"),
            (
                "{depends_on: {a: {condition: service_healthy}}}",
                "{depends_on: [b]}",
                "{depends_on: {a: {condition: service_healthy}, b: {condition: service_started}}}",
            ),
            ("{ports: ['80:80']}", "{ports: ['80:80', '81:80']}", "{ports: [80:80, 81:80]}"),
            ("{ports: [1]}", "{ports: !override [2]}", "{ports: [2]}"),
            ("{ports: [1], x: 1}", "{ports: !reset []}", "{x: 1}"),
        ] {
            let mut merged = merge(tree(base), tree(over));
            strip_resets(&mut merged);
            assert_eq!(shown(&merged), expected, "{base} + {over}");
        }
    }

    #[test]
    fn what_is_listed_twice_counts_once() {
        let mut all = tree(
            "services: {a: {environment: [A=1, B=2, A=3], dns: [x, x], ports: ['80:80', '81:80', '80:80'], \
             networks: {n: {aliases: [c, c]}}, build: {args: [X=1, X=2]}, command: [a, a]}}",
        );
        unify(&mut all);
        let expected = "{services: {a: {environment: [A=3, B=2], dns: [x], ports: [80:80, 81:80], \
                        networks: {n: {aliases: [c]}}, build: {args: [X=2]}, command: [a, a]}}}";
        assert_eq!(shown(&all), expected);
    }
}
