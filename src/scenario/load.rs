//! Reading a scenario: the one place where files and the environment enter.
//!
//! Files come through a [`Source`], so that tests and library users can hand in text. A file is read, its variables
//! interpolated (values only, as Compose does; `steps`, `checks`, `text` and `tasks` keep their dollar signs, which belong to the
//! shell), its documents merged, relative paths resolved against its folder, `extends` and `include` followed, and the
//! one tree that results is handed to the typed readers. Cycles are refused; the number and size of files and the
//! growth through `extends` are bounded.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use super::diagnostic::{Diagnostic, Diagnostics, LoadError, SourceMap, Span, did_you_mean};
use super::interpolate::{interpolate, parse_env_file};
use super::keys::linkspan::LINKSPAN;
use super::merge::{merge, strip_resets, unify};
use super::model::Scenario;
use super::read;
use super::yaml::{self, Entry, Node, Value};

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

/// A service found while following `extends`.
type Resolved = BTreeMap<(PathBuf, String), Node>;

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

    /// Replaces every service that extends another.
    fn extended(&mut self, mut tree: Node, path: &Path, folder: &Path) -> Node {
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
    fn included(&mut self, mut tree: Node, folder: &Path) -> Option<Node> {
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

/// Makes `build` and `env_file` paths relative to where the program runs instead of to the file.
fn resolve_paths(tree: &mut Node, folder: &Path) {
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

fn folder_of(path: &Path) -> PathBuf {
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
