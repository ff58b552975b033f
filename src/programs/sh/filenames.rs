//! The names of files that a pattern matches (POSIX.1-2017, 2.13.3). A world's files have whole paths and no folders of
//! their own: a folder is there if a file is in it. A path without a slash in front begins at `/`.

use std::collections::BTreeSet;

use super::pattern;
use crate::engine::sys::Sys;

/// The files and folders that a pattern names, sorted; none if nothing matches.
///
/// Between slashes each part matches by itself, and a dot in front of a name is matched by a dot only.
pub(super) fn matching(sys: &Sys, pattern: &str) -> Vec<String> {
    let relative = !pattern.starts_with('/');
    let parts: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    let fixed: Vec<&str> = parts.iter().copied().take_while(|part| !part.contains(SPECIAL)).collect();
    let mut folder = String::from("/");
    for part in &fixed {
        folder.push_str(part);
        folder.push('/');
    }
    let mut found = BTreeSet::new();
    for path in sys.list_files(&folder) {
        let names: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let fits =
            names.len() >= parts.len() && parts.iter().zip(&names).all(|(part, name)| fits(part, name));
        if fits {
            let path = names[..parts.len()].join("/");
            found.insert(if relative { path } else { format!("/{path}") });
        }
    }
    found.into_iter().collect()
}

/// What is more than a letter in a pattern.
const SPECIAL: [char; 4] = ['*', '?', '[', '\\'];

fn fits(part: &str, name: &str) -> bool {
    (!name.starts_with('.') || part.starts_with('.')) && pattern::matches(part, name)
}
