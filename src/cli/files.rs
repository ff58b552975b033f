//! From paths on the command line to scenario files.
//!
//! A file that is named is taken as it is. A folder is searched for `*.yaml` and `*.yml`, folders within it too, in the
//! order of their names; hidden folders, `node_modules`, `target` and symbolic links to folders are not entered. What a
//! search turns up and is no scenario (none of the top-level keys that make one), only overrides another file, or is only
//! there to be included or extended by others, is set aside with a note. A folder's own project is run as Compose would:
//! with its override file, or the files its `.env` lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use linkspan::scenario::load::{Source as _, normalise};
use linkspan::scenario::yaml::{self, Node};
use linkspan::scenario::{DiskSource, ProjectFiles, SourceMap, project::NAMES};

/// Folders nobody keeps scenarios in.
const PASSED_OVER: [&str; 2] = ["node_modules", "target"];
/// Deepest folder that is searched.
const MAX_DEPTH: usize = 32;
/// Any of these at top level makes a YAML file a scenario.
const MARKS: [&str; 5] = ["services", "steps", "checks", "x-linkspan", "include"];

/// The result of a search.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Scenario files, each once, with the files merged over them.
    pub(super) files: Vec<ProjectFiles>,
    /// What was set aside and why, for `--verbose`.
    pub(super) notes: Vec<String>,
}

/// All scenario files that the paths name.
///
/// # Errors
/// When a folder cannot be read, or when there is no scenario at all.
pub(super) fn find(paths: &[PathBuf]) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        // A path that is not there is kept: loading it says so, and the others are still looked at.
        let projects = if path.is_dir() { search(path, &mut found.notes)? } else { vec![alone(path)] };
        found.files.extend(projects.into_iter().filter(|project| seen.insert(normalise(&project.file))));
    }
    if found.files.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("no scenario and no Compose file in {}", names.join(", "));
    }
    Ok(found)
}

/// The project of a verb that takes one: the file itself, or a folder's files.
///
/// # Errors
/// When a folder has no Compose file.
pub(super) fn project(path: &Path, ask_environment: bool) -> anyhow::Result<ProjectFiles> {
    if !path.is_dir() {
        return Ok(alone(path));
    }
    ProjectFiles::in_folder(&DiskSource, path, ask_environment).with_context(|| {
        format!("the folder {} has none of {}; name a file", path.display(), NAMES.join(", "))
    })
}

fn alone(file: &Path) -> ProjectFiles {
    ProjectFiles { file: file.to_path_buf(), overrides: Vec::new() }
}

fn search(folder: &Path, notes: &mut Vec<String>) -> anyhow::Result<Vec<ProjectFiles>> {
    let mut all = Vec::new();
    walk(folder, 0, &mut all)?;
    let mut used = BTreeSet::new();
    let mut kept = Vec::new();
    for file in all {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.contains(".override.") {
            notes.push(format!("note: {} overrides another file; not run by itself", file.display()));
            continue;
        }
        // A file that cannot be read is kept: whoever loads it says so.
        let look = DiskSource.read(&file).map_or(Look::broken(true), |text| look(&text, &file));
        used.extend(look.uses);
        if look.is_scenario {
            kept.push((file, look.has_checks));
        } else {
            notes.push(format!("note: {} is no scenario; skipped", file.display()));
        }
    }
    kept.retain(|(file, has_checks)| {
        let only_used = !has_checks && used.contains(&normalise(file));
        if only_used {
            notes.push(format!("note: {} is included by another file; skipped", file.display()));
        }
        !only_used
    });
    Ok(merged(kept.into_iter().map(|(file, _)| file).collect(), notes))
}

/// The files found, those that are the project of their folder with what is merged over them.
fn merged(files: Vec<PathBuf>, notes: &mut Vec<String>) -> Vec<ProjectFiles> {
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let projects: Vec<ProjectFiles> = folders
        .into_iter()
        .filter_map(|folder| ProjectFiles::in_folder(&DiskSource, folder, false))
        .filter(|project| !project.overrides.is_empty())
        .collect();
    let over: BTreeSet<PathBuf> =
        projects.iter().flat_map(|project| &project.overrides).map(|file| normalise(file)).collect();
    let bases: BTreeMap<PathBuf, &ProjectFiles> =
        projects.iter().map(|project| (normalise(&project.file), project)).collect();
    let mut all = Vec::new();
    for file in &files {
        match bases.get(&normalise(file)) {
            Some(project) => all.push((*project).clone()),
            None if over.contains(&normalise(file)) => {
                notes.push(format!("note: {} overrides another file; not run by itself", file.display()));
            }
            None => all.push(alone(file)),
        }
    }
    all
}

fn walk(folder: &Path, depth: usize, out: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut entries = std::fs::read_dir(folder)
        .with_context(cannot)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(cannot)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth < MAX_DEPTH {
                walk(&path, depth + 1, out)?;
            }
        } else if path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml") && path.is_file() {
            out.push(path);
        }
    }
    Ok(())
}

/// What a glance at a file shows.
struct Look {
    is_scenario: bool,
    /// Steps or checks of its own.
    has_checks: bool,
    /// Files it includes or extends.
    uses: Vec<PathBuf>,
}

impl Look {
    fn broken(is_scenario: bool) -> Self {
        Self { is_scenario, has_checks: false, uses: Vec::new() }
    }
}

fn look(text: &str, path: &Path) -> Look {
    let mut sources = SourceMap::default();
    let file = sources.add(path, text.to_owned());
    let Ok(documents) = yaml::parse(&sources, file) else {
        // Broken, but perhaps meant as one: its author wants to know.
        let mut keys = text.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key);
        return Look::broken(keys.any(|key| MARKS.contains(&key)));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let has = |key: &str| {
        documents.iter().any(|document| {
            let nested = document.get("x-linkspan").and_then(|part| part.get(key));
            document.get(key).or(nested).is_some()
        })
    };
    Look {
        is_scenario: MARKS.iter().any(|key| has(key)),
        has_checks: has("steps") || has("checks"),
        uses: documents.iter().flat_map(uses).map(|used| normalise(&folder.join(used))).collect(),
    }
}

fn uses(document: &Node) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |node: &Node| {
        let items = node.items().iter().chain([node]);
        all.extend(items.filter_map(Node::text).map(|text| text.into_owned()));
    };
    for item in document.get("include").map(Node::items).unwrap_or_default() {
        add(item.get("path").unwrap_or(item));
    }
    for service in document.get("services").map(Node::entries).unwrap_or_default() {
        if let Some(file) = service.value.get("extends").and_then(|extends| extends.get("file")) {
            add(file);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_tells_scenarios_from_other_yaml() {
        let scenario = |text: &str| look(text, Path::new("a.yaml")).is_scenario;
        assert!(scenario("services:\n  web: {image: nginx}\n"));
        assert!(scenario("x-linkspan: {checks: []}\n"));
        assert!(scenario("services:\n  web: [\n"), "broken, but meant as one");
        assert!(!scenario("kind: Deployment\nspec: {services: 1}\n"));
        assert!(!scenario("a: [\n"));
        assert!(!scenario(""));
        assert!(!scenario("- services\n"));
    }

    #[test]
    fn used_files_are_found_from_the_users_folder() {
        let text = "include:\n  - ../base.yaml\n  - path: [one.yaml, two.yaml]\nservices:\n  web: {extends: {file: common.yaml, service: x}}\n  db: {extends: web}\n";
        let uses = look(text, Path::new("a/b/c.yaml")).uses;
        let expected = ["a/base.yaml", "a/b/one.yaml", "a/b/two.yaml", "a/b/common.yaml"];
        assert_eq!(uses, expected.map(PathBuf::from));
    }
}
