//! Other files that a file brings in: services that another one extends, and projects that it includes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::diagnostic::{Diagnostic, did_you_mean};
use super::super::merge::merge;
use super::super::read;
use super::super::yaml::{Entry, Node, Value};
use super::{Loader, MAX_EXTENDS, MAX_TOTAL_NODES, folder_of, normalise};

/// A service found while following `extends`.
type Resolved = BTreeMap<(PathBuf, String), Node>;

impl Loader<'_> {
    /// Replaces every service that extends another.
    pub(super) fn extended(&mut self, mut tree: Node, path: &Path, folder: &Path) -> Node {
        let services = tree.get("services").cloned();
        let (Some(services), Value::Mapping(entries)) = (services, &mut tree.value) else { return tree };
        if !services.entries().iter().any(|entry| entry.value.get("extends").is_some()) {
            return tree;
        }
        let mut resolved = Resolved::new();
        let mut all = Vec::new();
        for entry in services.entries() {
            let mut chain = Vec::new();
            let value = self.extend_service(
                &entry.value,
                &entry.key,
                (path, folder),
                &services,
                &mut chain,
                &mut resolved,
            );
            all.push(Entry {
                value: value.unwrap_or_else(|| without_extends(&entry.value)),
                ..entry.clone()
            });
        }
        if let Some(entry) = entries.iter_mut().find(|entry| entry.key == "services") {
            entry.value = Node::new(Value::Mapping(all), services.span);
        }
        tree
    }

    fn extend_service(
        &mut self,
        service: &Node,
        name: &str,
        (path, folder): (&Path, &Path),
        services: &Node,
        chain: &mut Vec<(PathBuf, String)>,
        resolved: &mut Resolved,
    ) -> Option<Node> {
        let Some(extends) = service.get("extends") else { return Some(service.clone()) };
        let key = (normalise(path), name.to_owned());
        if let Some(known) = resolved.get(&key) {
            return Some(known.clone());
        }
        if chain.contains(&key) {
            let names: Vec<&str> = chain.iter().map(|(_, name)| name.as_str()).chain([name]).collect();
            let message = format!("`extends` runs in a circle: {}", names.join(" -> "));
            self.diagnostics.error(extends.span, message);
            return None;
        }
        if chain.len() >= MAX_EXTENDS {
            let first = chain.first().map_or(name, |(_, name)| name.as_str());
            let message = format!("`extends` goes more than {MAX_EXTENDS} services deep, from `{first}` on");
            self.diagnostics.error(extends.span, message);
            return None;
        }
        chain.push(key.clone());
        let text = |node: Option<&Node>| node.and_then(Node::text).map(|text| text.into_owned());
        let base_name = text(Some(extends)).or_else(|| text(extends.get("service")));
        let Some(base_name) = base_name else {
            self.diagnostics.push(Diagnostic::error(extends.span, "`extends` needs the key `service`"));
            return None;
        };
        let mut base_path = path.to_path_buf();
        let mut base_folder = folder.to_path_buf();
        let mut base_services = services.clone();
        if let Some(file) = extends.get("file")
            && let Some(name) = file.text()
        {
            base_path = folder.join(name.as_ref());
            base_folder = folder_of(&base_path);
            let tree = self.file_tree(&base_path, &base_folder, Some(file.span))?;
            base_services = tree.get("services").cloned().unwrap_or(tree);
        }
        let Some(base) = base_services.get(&base_name) else {
            let names = base_services.entries().iter().map(|entry| entry.key.as_str());
            let message = format!("cannot extend `{base_name}`: {} has no such service", base_path.display());
            let span = extends.get("service").map_or(extends.span, |node| node.span);
            self.diagnostics.push(Diagnostic::error(span, message).help(did_you_mean(&base_name, names)));
            return None;
        };
        let place = (base_path.as_path(), base_folder.as_path());
        let base = self.extend_service(base, &base_name, place, &base_services, chain, resolved)?;
        let merged = merge(base, without_extends(service));
        self.nodes += merged.size();
        if self.nodes > MAX_TOTAL_NODES {
            self.diagnostics
                .error(extends.span, format!("`extends` makes more than {MAX_TOTAL_NODES} values"));
            return None;
        }
        resolved.insert(key, merged.clone());
        Some(merged)
    }

    /// Brings in what `include:` names. A name in both must say the same, as in Compose.
    pub(super) fn included(&mut self, mut tree: Node, folder: &Path) -> Option<Node> {
        let Some(include) = tree.get("include").cloned() else { return Some(tree) };
        let mut sum: Option<Node> = None;
        for item in include.items() {
            let list =
                |node: Option<&Node>| read::texts(node).into_iter().map(|text| folder.join(text)).collect();
            let paths: Vec<PathBuf> =
                if item.text().is_some() { list(Some(item)) } else { list(item.get("path")) };
            let Some(first) = paths.first() else { continue };
            if self.including.contains(&normalise(first)) {
                let message = format!("`include` runs in a circle through {}", first.display());
                self.diagnostics.error(item.span, message);
                return None;
            }
            let inner = item.get("project_directory").and_then(Node::text);
            let inner = inner.map_or_else(|| folder_of(first), |text| folder.join(text.as_ref()));
            let env_files: Vec<PathBuf> = list(item.get("env_file"));
            self.push_env(&inner, &env_files, Some(item.span));
            let part = self.project_tree(&paths, &inner, Some(item.span));
            self.scopes.pop();
            let part = part?;
            if self.nodes > MAX_TOTAL_NODES {
                self.diagnostics
                    .error(item.span, format!("`include` makes more than {MAX_TOTAL_NODES} values"));
                return None;
            }
            sum = Some(match sum {
                None => part,
                Some(sum) => self.import(sum, part),
            });
        }
        if let Value::Mapping(entries) = &mut tree.value {
            entries.retain(|entry| entry.key != "include");
        }
        let Some(mut sum) = sum else { return Some(tree) };
        if let Value::Mapping(entries) = &mut sum.value {
            entries.retain(|entry| entry.key != "name" && entry.key != "version");
        }
        let span = tree.span;
        let mut all = self.import(sum, tree);
        all.span = span;
        Some(all)
    }

    /// Two projects as one: named things may not differ, steps, checks and tasks follow each other.
    fn import(&mut self, mut base: Node, over: Node) -> Node {
        let Value::Mapping(more) = over.value else { return base };
        let Value::Mapping(entries) = &mut base.value else { return base };
        for entry in more {
            let Some(at) = entries.iter().position(|known| known.key == entry.key) else {
                entries.push(entry);
                continue;
            };
            match entry.key.as_str() {
                "services" | "networks" | "volumes" | "configs" | "secrets" | "models" | "hosts"
                | "images" => {
                    self.import_named(&mut entries[at].value, entry);
                }
                "steps" | "checks" | "tasks" => {
                    if let (Value::Sequence(items), Value::Sequence(more)) =
                        (&mut entries[at].value.value, entry.value.value)
                    {
                        items.extend(more);
                    }
                }
                _ => {
                    let old =
                        std::mem::replace(&mut entries[at].value, Node::new(Value::Null, entry.key_span));
                    entries[at].value = merge(old, entry.value);
                }
            }
        }
        base
    }

    fn import_named(&mut self, base: &mut Node, section: Entry) {
        let Value::Mapping(more) = section.value.value else { return };
        if base.is_null() {
            base.value = Value::Mapping(Vec::new());
        }
        let Value::Mapping(entries) = &mut base.value else { return };
        let index: BTreeMap<String, usize> =
            entries.iter().enumerate().map(|(i, entry)| (entry.key.clone(), i)).collect();
        for entry in more {
            match index.get(&entry.key) {
                None => entries.push(entry),
                Some(at) if same(&entries[*at].value, &entry.value) => {}
                Some(_) => {
                    let message = format!("`{}.{}` is also in an included file", section.key, entry.key);
                    self.diagnostics.push(
                        Diagnostic::error(entry.key_span, message)
                            .label("differs from the included one")
                            .help("rename it, or use `include: [{path: [FILE, OVERRIDE]}]`".to_owned()),
                    );
                }
            }
        }
    }
}

/// Same value, whatever its place.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key == b.key && same(&a.value, &b.value))
        }
        (a, b) => a == b,
    }
}

fn without_extends(service: &Node) -> Node {
    let mut service = service.clone();
    if let Value::Mapping(entries) = &mut service.value {
        entries.retain(|entry| entry.key != "extends");
    }
    service
}
