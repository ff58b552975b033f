//! Reading a scenario: the one place where files and the environment enter.
//!
//! Files come through a [`Source`], so that tests and library users can hand in text. A file is read, its variables
//! interpolated (values only, as Compose does; `steps`, `checks`, `text` and `tasks` keep their dollar signs, which belong to the
//! shell), its documents merged, relative paths resolved against its folder, `extends` and `include` followed, and the
//! one tree that results is handed to the typed readers. Cycles are refused; the number and size of files and the
//! growth through `extends` are bounded.

mod others;
mod paths;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use paths::{folder_of, resolve_paths};
pub use paths::{normalise, project_name};

use super::diagnostic::{Diagnostic, Diagnostics, LoadError, SourceMap, Span, did_you_mean};
use super::interpolate::{interpolate, parse_env_file};
use super::keys::linkspan::LINKSPAN;
use super::merge::{merge, strip_resets, unify};
use super::model::Scenario;
use super::read;
use super::yaml::{self, Node, Value};

/// Most files one scenario may read.
const MAX_FILES: usize = 256;
/// Most values `extends` and `include` may make of them.
const MAX_TOTAL_NODES: usize = 2_000_000;
/// Most text interpolation may make of them, in bytes.
const MAX_TOTAL_TEXT: usize = 64 << 20;
/// Longest chain of `extends`.
const MAX_EXTENDS: usize = 64;

/// Where files and variables come from.
pub trait Source {
    /// The text of a file.
    ///
    /// # Errors
    /// As reading a file; `InvalidData` when it is too large or not UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// A variable of the environment.
    fn environment(&self, name: &str) -> Option<String>;

    /// The absolute form of a path, for the name of the folder a file is in.
    fn absolute(&self, path: &Path) -> PathBuf;
}

/// Files on disk and the process's environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskSource;

impl Source for DiskSource {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads files")]
    fn read(&self, path: &Path) -> io::Result<String> {
        let refused = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
        // Before it is opened: opening a FIFO waits for somebody to write.
        if !std::fs::metadata(path)?.is_file() {
            return Err(refused("not a regular file"));
        }
        let mut bytes = Vec::new();
        let limit = yaml::MAX_INPUT as u64 + 1;
        let read = std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        if read > yaml::MAX_INPUT {
            return Err(refused("larger than 8 MiB"));
        }
        String::from_utf8(bytes).map_err(|error| {
            refused(&format!("it is not text in UTF-8: byte {} is not", error.utf8_error().valid_up_to() + 1))
        })
    }

    #[allow(clippy::disallowed_methods, reason = "the environment enters here for interpolation")]
    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
    }
}

/// Files and variables held in memory. Paths are compared after removing `.` and `..`.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    files: BTreeMap<PathBuf, String>,
    environment: BTreeMap<String, String>,
}

impl MemorySource {
    /// Adds a file.
    #[must_use]
    pub fn with_file(mut self, path: impl AsRef<Path>, text: impl Into<String>) -> Self {
        self.files.insert(normalise(path.as_ref()), text.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }
}

impl Source for MemorySource {
    fn read(&self, path: &Path) -> io::Result<String> {
        let not_found = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        self.files.get(&normalise(path)).cloned().ok_or_else(not_found)
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        Path::new("/").join(normalise(path))
    }
}

/// What the command line adds.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Instead of `COMPOSE_PROJECT_NAME`, `name:` and the folder.
    pub project_name: Option<String>,
    /// Active profiles; `COMPOSE_PROFILES` adds to them, `*` is all.
    pub profiles: Vec<String>,
    /// Files merged over the first, in order. [`ProjectFiles`](super::ProjectFiles) finds those of a folder.
    pub overrides: Vec<PathBuf>,
    /// A file without services and steps is accepted: what runs comes later.
    pub may_be_empty: bool,
    /// Instead of `.env` beside the file.
    pub env_files: Vec<PathBuf>,
    /// Programs that whoever runs the scenario adds to linkspan's, by name.
    pub own_programs: Vec<String>,
}

/// Loads a scenario or Compose file.
///
/// # Errors
/// Every problem found, up to a limit, with the lines they are on.
pub fn load(source: &dyn Source, path: &Path, options: &LoadOptions) -> Result<Scenario, Box<LoadError>> {
    let mut loader = Loader::new(source, path, options);
    let scenario = loader.run(path, options);
    let Loader { mut diagnostics, sources, .. } = loader;
    match scenario {
        Some(mut scenario) if !diagnostics.has_errors() => {
            scenario.warnings = diagnostics.into_items();
            scenario.sources = sources;
            Ok(scenario)
        }
        _ => {
            if !diagnostics.has_errors() {
                diagnostics.error(None, "the file could not be read");
            }
            let suppressed = diagnostics.suppressed();
            Err(Box::new(LoadError { diagnostics: diagnostics.into_items(), suppressed, sources }))
        }
    }
}

/// What the typed readers need besides the tree.
pub(super) struct Loader<'a> {
    source: &'a dyn Source,
    pub(super) diagnostics: Diagnostics,
    pub(super) sources: SourceMap,
    pub(super) project: String,
    /// Variables of `.env` files in force, innermost last; the process's environment wins over them.
    scopes: Vec<BTreeMap<String, String>>,
    cache: BTreeMap<(PathBuf, PathBuf), Option<Node>>,
    /// Files being included, to find cycles.
    including: Vec<PathBuf>,
    files_read: usize,
    nodes: usize,
    text: usize,
}

impl<'a> Loader<'a> {
    fn new(source: &'a dyn Source, path: &Path, options: &LoadOptions) -> Self {
        let folder = normalise(&source.absolute(path));
        let folder =
            folder.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let project = options.project_name.clone().unwrap_or_else(|| {
            let name = project_name(&folder.unwrap_or_default());
            if name.is_empty() { "default".to_owned() } else { name }
        });
        Self {
            source,
            diagnostics: Diagnostics::default(),
            sources: SourceMap::default(),
            project,
            scopes: Vec::new(),
            cache: BTreeMap::new(),
            including: Vec::new(),
            files_read: 0,
            nodes: 0,
            text: 0,
        }
    }

    fn run(&mut self, path: &Path, options: &LoadOptions) -> Option<Scenario> {
        let folder = folder_of(path);
        self.push_env(&folder, &options.env_files, None);
        let mut paths = vec![path.to_path_buf()];
        paths.extend(options.overrides.iter().cloned());
        let named = self.variable("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty());
        let named = named.filter(|_| options.project_name.is_none());
        if let Some(name) = &named {
            if project_name(name) != *name {
                let message = format!("COMPOSE_PROJECT_NAME: `{name}` is not a project name");
                let help = format!("only a-z, 0-9, _ and -, as `{}`", project_name(name));
                self.diagnostics.push(Diagnostic::error(None, message).help(help));
            }
            self.project.clone_from(name);
        }
        let tree = self.project_tree(&paths, &folder, None)?;
        if options.project_name.is_none()
            && named.is_none()
            && let Some(name) = tree.get("name")
            && let Value::String(text) = &name.value
        {
            if text.is_empty() || project_name(text) != *text {
                let message = format!("`{text}` is not a project name");
                let help = format!("only a-z, 0-9, _ and -, as `{}`", project_name(text));
                self.diagnostics.push(
                    Diagnostic::error(name.span, message)
                        .label("expected lower-case letters, digits, _ and -, a letter or digit first")
                        .help(help),
                );
            }
            self.project.clone_from(text);
        }
        let mut profiles = options.profiles.clone();
        if let Some(more) = self.lookup("COMPOSE_PROFILES") {
            profiles
                .extend(more.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
        }
        Some(read::scenario(self, path, &tree, &profiles, options.may_be_empty, &options.own_programs))
    }

    /// Reads files, lays each over the one before, and follows their includes.
    fn project_tree(&mut self, paths: &[PathBuf], folder: &Path, span: Option<Span>) -> Option<Node> {
        let mut tree: Option<Node> = None;
        for path in paths {
            let next = self.file_tree(path, folder, span)?;
            let next = self.extended(next, path, folder);
            tree = Some(match tree {
                None => next,
                Some(tree) => merge(tree, next),
            });
        }
        let mut tree = tree?;
        strip_resets(&mut tree);
        self.nodes += tree.size();
        let key = paths.first().map(|path| normalise(path)).unwrap_or_default();
        self.including.push(key);
        let tree = self.included(tree, folder);
        self.including.pop();
        tree
    }

    /// One file: read, parsed, interpolated, documents merged, paths resolved.
    fn file_tree(&mut self, path: &Path, folder: &Path, span: Option<Span>) -> Option<Node> {
        let key = (normalise(path), normalise(folder));
        if let Some(known) = self.cache.get(&key) {
            return known.clone();
        }
        let tree = self.parse_file(path, folder, span);
        self.cache.insert(key, tree.clone());
        tree
    }

    fn parse_file(&mut self, path: &Path, folder: &Path, span: Option<Span>) -> Option<Node> {
        self.files_read += 1;
        if self.files_read > MAX_FILES {
            self.diagnostics.error(span, format!("more than {MAX_FILES} files"));
            return None;
        }
        if path.to_string_lossy().contains("://") {
            let message = format!("{} is elsewhere, and linkspan fetches nothing", path.display());
            let help = "get the file, and name where it lies".to_owned();
            self.diagnostics.push(Diagnostic::error(span, message).help(help));
            return None;
        }
        let text = match self.source.read(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read {}: {}", path.display(), plain(&error));
                let error = Diagnostic::error(span, message);
                let folder = folder_of(path);
                self.diagnostics.push(match span {
                    Some(_) if !folder.as_os_str().is_empty() => {
                        error.help(format!("it is looked for in {}", self.source.absolute(&folder).display()))
                    }
                    _ => error,
                });
                return None;
            }
        };
        let file = self.sources.add(path, text);
        let documents = match yaml::parse(&self.sources, file) {
            Ok(documents) => documents,
            Err(error) => {
                self.diagnostics.push(*error);
                return None;
            }
        };
        let mut tree = Node::new(Value::Mapping(Vec::new()), Span::start_of(file));
        for mut document in documents {
            if document.is_null() {
                continue;
            }
            if !matches!(document.value, Value::Mapping(_)) {
                let message = format!("the top level must be a mapping, found {}", document.kind());
                self.diagnostics
                    .push(Diagnostic::error(document.span, message).label("expected `services:` or such"));
                return None;
            }
            self.hoist(&mut document);
            self.interpolate_top(&mut document);
            unify(&mut document);
            tree = merge(tree, document);
        }
        if self.text > MAX_TOTAL_TEXT {
            self.diagnostics.error(tree.span, "interpolation makes the text larger than 64 MiB");
            return None;
        }
        resolve_paths(&mut tree, folder);
        Some(tree)
    }

    /// Moves the keys under `x-linkspan` to the top level.
    fn hoist(&mut self, document: &mut Node) {
        let Value::Mapping(entries) = &mut document.value else { return };
        let Some(at) = entries.iter().position(|entry| entry.key == "x-linkspan") else { return };
        let part = entries.remove(at);
        let Value::Mapping(inner) = part.value.value else {
            if !part.value.is_null() {
                let message = format!("`x-linkspan` must be a mapping, found {}", part.value.kind());
                self.diagnostics.error(part.value.span, message);
            }
            return;
        };
        for entry in inner {
            if LINKSPAN.key(&entry.key).is_none() {
                let help = did_you_mean(&entry.key, LINKSPAN.keys.iter().map(|key| key.name));
                let message = format!("unknown key `x-linkspan.{}`", entry.key);
                self.diagnostics.push(Diagnostic::error(entry.key_span, message).help(help));
            } else if entries.iter().any(|other| other.key == entry.key) {
                let message = format!("`{}` stands at top level and under `x-linkspan`", entry.key);
                self.diagnostics.error(entry.key_span, message);
            } else {
                entries.push(entry);
            }
        }
    }

    fn interpolate_top(&mut self, document: &mut Node) {
        let Value::Mapping(entries) = &mut document.value else { return };
        for entry in entries {
            // Their dollar signs are for the shell that runs the command.
            if !["steps", "checks", "text", "tasks"].contains(&entry.key.as_str()) {
                self.interpolate_node(&mut entry.value);
            }
        }
    }

    fn interpolate_node(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::String(text) if text.contains('$') => {
                let done = interpolate(text, &|name| self.lookup(name));
                match done {
                    Ok(done) => {
                        self.text += done.text.len();
                        for name in done.unset {
                            let message = format!("the variable {name} is not set; it is taken as blank");
                            self.diagnostics.push(Diagnostic::warning(node.span, message));
                        }
                        // A value that is past the limit is not kept, so that the memory is bounded.
                        *text = if self.text > MAX_TOTAL_TEXT { String::new() } else { done.text };
                    }
                    Err(error) => self.diagnostics.push(Diagnostic::error(node.span, error.to_string())),
                }
            }
            Value::Sequence(items) => items.iter_mut().for_each(|item| self.interpolate_node(item)),
            Value::Mapping(entries) => {
                entries.iter_mut().for_each(|entry| self.interpolate_node(&mut entry.value));
            }
            _ => {}
        }
    }

    /// A variable as values see it: `COMPOSE_PROJECT_NAME` is always set.
    pub(super) fn lookup(&self, name: &str) -> Option<String> {
        self.variable(name).or_else(|| (name == "COMPOSE_PROJECT_NAME").then(|| self.project.clone()))
    }

    /// A variable: the environment, then `.env` files, the outermost first.
    fn variable(&self, name: &str) -> Option<String> {
        self.source
            .environment(name)
            .or_else(|| self.scopes.iter().find_map(|scope| scope.get(name).cloned()))
    }

    /// Reads `.env` of a folder, or the files named instead of it.
    fn push_env(&mut self, folder: &Path, named: &[PathBuf], span: Option<Span>) {
        let mut scope = BTreeMap::new();
        let default = [folder.join(".env")];
        for path in if named.is_empty() { &default[..] } else { named } {
            match self.source.read(path) {
                Ok(text) => match parse_env_file(&text, &|name| self.lookup(name)) {
                    Ok(pairs) => scope.extend(pairs),
                    Err(error) => {
                        self.diagnostics.error(span, format!("{}: {error}", path.display()));
                    }
                },
                Err(error) if !named.is_empty() => {
                    self.diagnostics.error(span, format!("cannot read {}: {error}", path.display()));
                }
                Err(_) => {}
            }
        }
        self.scopes.push(scope);
    }

    /// A file that may be absent, as a Dockerfile.
    pub(super) fn optional(&mut self, path: &Path) -> io::Result<String> {
        self.files_read += 1;
        if self.files_read > MAX_FILES * 16 {
            return Err(io::Error::other("too many files"));
        }
        self.source.read(path)
    }
}

/// What went wrong, without the number that the system has for it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
