//! The scenario file that a builder writes: mappings in the order of the calls, values in YAML on one line.

/// A mapping that is being written, in the order of the calls.
#[derive(Default)]
pub(super) struct Entries(Vec<(String, Node)>);

/// What stands behind a key: a value if there is one, else a list, else a mapping.
#[derive(Default)]
struct Node {
    /// In YAML on one line.
    value: Option<String>,
    list: Vec<String>,
    section: Entries,
}

impl Entries {
    pub(super) fn set(&mut self, key: &str, value: String) {
        self.node(key).value = Some(value);
    }

    pub(super) fn push(&mut self, key: &str, value: String) {
        self.node(key).list.push(value);
    }

    pub(super) fn section(&mut self, key: &str) -> &mut Entries {
        &mut self.node(key).section
    }

    /// Adds what is said of one thing to what was said of it before.
    pub(super) fn merge(&mut self, key: &str, entries: Entries) {
        let before = self.section(key);
        for (key, node) in entries.0 {
            let slot = before.node(&key);
            slot.value = node.value.or(slot.value.take());
            slot.list.extend(node.list);
            slot.section.0.extend(node.section.0);
        }
    }

    fn node(&mut self, key: &str) -> &mut Node {
        let at = self.0.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
            self.0.push((key.to_owned(), Node::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    pub(super) fn emit(&self, depth: usize, text: &mut String) {
        for (key, node) in &self.0 {
            let (indent, key) = ("  ".repeat(depth), plain_or_quoted(key));
            match node {
                Node { value: Some(value), .. } => text.push_str(&format!("{indent}{key}: {value}\n")),
                Node { list, .. } if !list.is_empty() => {
                    text.push_str(&format!("{indent}{key}: [{}]\n", list.join(", ")));
                }
                Node { section, .. } if section.0.is_empty() => {
                    text.push_str(&format!("{indent}{key}: {{}}\n"));
                }
                Node { section, .. } => {
                    text.push_str(&format!("{indent}{key}:\n"));
                    section.emit(depth + 1, text);
                }
            }
        }
    }
}

/// Text in quotes, as YAML and JSON write it, without variables.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::String(text.replace('$', "$$")).to_string()
}

fn plain_or_quoted(key: &str) -> String {
    let plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if plain && !word.contains(&key.to_ascii_lowercase().as_str()) {
        key.to_owned()
    } else {
        serde_json::Value::String(key.to_owned()).to_string()
    }
}
