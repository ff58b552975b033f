//! Paths: of files in a file, and what a folder is called as a project.

use std::path::{Component, Path, PathBuf};

use super::super::yaml::{Node, Value};

/// Makes `build` and `env_file` paths relative to where the program runs instead of to the file.
pub(super) fn resolve_paths(tree: &mut Node, folder: &Path) {
    let Value::Mapping(top) = &mut tree.value else { return };
    let Some(services) = top.iter_mut().find(|entry| entry.key == "services") else { return };
    let Value::Mapping(services) = &mut services.value.value else { return };
    for service in services {
        let Value::Mapping(keys) = &mut service.value.value else { continue };
        for entry in keys {
            match (entry.key.as_str(), &mut entry.value.value) {
                ("build", Value::String(text)) => join(text, folder),
                ("build", Value::Mapping(_)) => join_under(&mut entry.value, "context", folder),
                ("env_file", Value::String(text)) => join(text, folder),
                ("env_file", Value::Sequence(items)) => {
                    for item in items {
                        match &mut item.value {
                            Value::String(text) => join(text, folder),
                            _ => join_under(item, "path", folder),
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn join_under(node: &mut Node, key: &str, folder: &Path) {
    let Value::Mapping(entries) = &mut node.value else { return };
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == key)
        && let Value::String(text) = &mut entry.value.value
    {
        join(text, folder);
    }
}

fn join(text: &mut String, folder: &Path) {
    let remote = text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/");
    if !remote {
        *text = folder.join(&*text).to_string_lossy().into_owned();
    }
}

pub(super) fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A path without `.` and `..`, as far as that can be done without looking at the disk: to know a file again.
#[must_use]
pub fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Compose's project name for a folder: lower case, only `a-z0-9_-`, no leading `_` or `-`.
#[must_use]
pub fn project_name(folder: &str) -> String {
    let name: String = folder
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        .collect();
    name.trim_start_matches(['_', '-']).to_owned()
}
