//! Holds the walls of the house: which room may use which, and what only `run/` and `cli/` may touch.
//!
//! Every `.rs` file of the three crates is read with a small scanner (`layering/scanner.rs`): comments, strings and
//! character literals are set aside, `use` trees are unfolded, local aliases are followed, `self` and `super` are
//! resolved from the file's place in the module tree. What remains is a list of absolute paths with their lines, and
//! each is held against the tables below. They are ARCHITECTURE.md's; a room that is not there yet has no files and
//! passes.
//!
//! The scanner does not expand macros and does not know types: a value that reaches a room through a third room is
//! not seen, a path that names its type is. `layering/snippets.rs` proves that each rule can fail, and that what only
//! looks like a broken rule passes.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads the sources and fails loudly when it cannot"
)]

#[path = "layering/scanner.rs"]
mod scanner;
#[path = "layering/snippets.rs"]
mod snippets;

use std::fmt;
use std::path::{Path, PathBuf};

use scanner::{Source, module_paths, tokenise};

/// What one room may use of the others: path prefixes, seen from the library's root.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// Who may use whom, and nothing else. A prefix of one segment opens a whole room or crate.
const ROOMS: &[Room] = &[
    Room {
        name: "cli",
        may_use: &[
            "run",
            "lab",
            "scenario",
            "api",
            "observe",
            "world",
            "programs",
            "docker",
            "slirp",
            "engine",
            "tcp",
            "linkspan_switch",
            "linkspan_nat",
        ],
    },
    Room { name: "run", may_use: &["lab", "world", "observe", "api", "slirp"] },
    Room { name: "lab", may_use: &["scenario", "world", "observe"] },
    Room { name: "scenario", may_use: &["world", "docker"] },
    Room { name: "api", may_use: &["world", "docker"] },
    Room {
        name: "observe",
        may_use: &[
            // Events, and the value types that events and views are made of.
            "engine::event",
            "engine::view",
            "engine::id",
            "engine::errno",
            "engine::plan::NamespaceName",
            "engine::plan::DeviceName",
            "engine::plan::Owner",
            "engine::plan::Transport",
            "world::names",
            // Rules, verdicts and addresses as they stand in an event.
            "linkspan_nat::netfilter::HookStep",
            "linkspan_nat::evaluate::TraceStep",
            "linkspan_nat::evaluate::RuleRef",
            "linkspan_nat::nat::Manipulation",
            "linkspan_nat::conntrack",
            "linkspan_nat::tuple",
            "linkspan_nat::rule",
            "linkspan_nat::ruleset",
            "linkspan_nat::cidr",
            "linkspan_nat::interface",
            "linkspan_nat::text_emit",
            "linkspan_switch::frame::TraceId",
            "linkspan_switch::mac",
        ],
    },
    Room { name: "world", may_use: &["engine", "docker", "programs", "slirp"] },
    Room { name: "programs", may_use: &["engine::sys"] },
    Room {
        name: "docker",
        may_use: &[
            "engine::plan",
            "engine::id",
            // Rules as data: nothing that walks a packet.
            "linkspan_nat::rule",
            "linkspan_nat::ruleset",
            "linkspan_nat::cidr",
            "linkspan_nat::interface",
            "linkspan_nat::text",
            "linkspan_nat::text_emit",
            // A value type.
            "linkspan_switch::mac",
        ],
    },
    Room { name: "slirp", may_use: &["tcp", "linkspan_switch", "linkspan_nat"] },
    Room { name: "engine", may_use: &["tcp", "linkspan_switch", "linkspan_nat"] },
    Room { name: "tcp", may_use: &[] },
    Room { name: "linkspan_switch", may_use: &[] },
    Room { name: "linkspan_nat", may_use: &[] },
];

/// Paths that the table forbids and that stand all the same, each with its reason: (module, path).
const EXCEPTIONS: &[(&str, &str)] = &[
    // The resolver's unit tests ask a name server like the outside world's, so that both halves of a forwarded
    // query are ours. Test code only.
    ("docker::dns::tests", "world::authority"),
    // Programs are tested on a real engine, which only a plan can furnish. Test code only.
    ("programs::testing", "engine"),
    ("programs::testing", "linkspan_nat::interface"),
];

/// What the pure rooms may not name: clocks, descriptors, threads, globals, randomness without the seed.
const IMPURE: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::hash::RandomState",
    "std::collections::hash_map::RandomState",
    "crossbeam",
    "tun_tap",
    "rustix",
    "signal_hook",
];

/// Pairs of names that are impure whichever way the first came into scope.
const IMPURE_CALLS: &[[&str; 2]] = &[
    ["Instant", "now"],
    ["SystemTime", "now"],
    ["thread", "spawn"],
    ["thread", "sleep"],
    ["thread", "scope"],
    ["File", "open"],
    ["File", "create"],
];

/// Single names that are impure wherever they stand.
const IMPURE_NAMES: &[&str] = &["thread_rng", "OsRng", "from_os_rng", "from_entropy", "thread_local"];

/// Modules of the library that may be impure.
const IMPURE_PLACES: &[&str] = &[
    "run",
    "cli",
    "scenario::load",
    // Reads Compose files as they are published, from beside the checkout. Test code only.
    "scenario::tests",
];

/// The only room that may contain `unsafe`.
const UNSAFE_PLACE: &str = "run";

/// Beginnings of paths that exist on one machine only. `concat!` keeps this file free of them.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wor", "k/"),
    concat!("/home/", "runner"),
    concat!("/Us", "ers/"),
    concat!(".cargo/", "registry"),
    concat!("/tmp/", "bash"),
];

/// A broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    line: usize,
    text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let sources = all_sources();
    assert!(sources.len() > 30, "only {} files were read: is this the right folder?", sources.len());
    report(sources.iter().flat_map(check_imports).collect());
}

#[test]
fn only_run_and_cli_touch_the_machine() {
    report(all_sources().iter().flat_map(check_purity).collect());
}

#[test]
fn unsafe_stands_only_in_run() {
    report(all_sources().iter().flat_map(check_unsafe).collect());
}

#[test]
fn every_room_is_in_the_table() {
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let known = ROOMS.iter().any(|room| room.name == name) || ["lib", "main"].contains(&name);
        assert!(known, "src/{name} has no line in the table: add it there and to ARCHITECTURE.md");
    }
}

#[test]
fn every_exception_is_still_needed() {
    let sources = all_sources();
    for (module, path) in EXCEPTIONS {
        let mut references = sources.iter().flat_map(|source| &source.references);
        let used = references
            .any(|r| is_module(&r.module, module) && ours(&r.path).is_some_and(|p| starts_with(p, path)));
        assert!(used, "{module} no longer uses {path}: remove the exception");
    }
}

#[test]
fn no_file_names_a_machine() {
    let mut files = Vec::new();
    for folder in ["src", "switch", "nat", "tests", "benches", "scenarios", ".ci", "fuzz"] {
        collect(&root().join(folder), &|_| true, &mut files);
    }
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_file() && ["md", "toml"].contains(&extension) {
            files.push(path);
        }
    }
    let here = format!("{}/", root().display());
    let mut violations = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for (index, line) in text.lines().enumerate() {
            let found = MACHINE_PATHS.iter().copied().chain([here.as_str()]).find(|path| line.contains(path));
            if let Some(path) = found {
                let text =
                    format!("names a folder of one machine ({path}): write it relative to the repository");
                violations.push(Violation { file: relative(&file), line: index + 1, text });
            }
        }
    }
    report(violations);
}

/// Fails with one line per violation.
fn report(mut violations: Vec<Violation>) {
    violations.sort();
    violations.dedup();
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "{} broken:\n{}", lines.len(), lines.join("\n"));
}

/// Paths into other rooms that the table does not open. What follows an alias is not named again: its `use` is.
fn check_imports(source: &Source) -> Vec<Violation> {
    let Some(name) = source.module.first() else {
        // src/lib.rs lays out the house and src/main.rs is its door: neither is a room.
        return Vec::new();
    };
    let room = ROOMS.iter().find(|room| room.name == name);
    let Some(room) = room else { panic!("{}: no room called {name} in the table", source.file) };
    let mut violations = Vec::new();
    for reference in source.references.iter().filter(|reference| !reference.by_alias) {
        let Some(path) = ours(&reference.path) else { continue };
        let allowed = path.first().is_some_and(|first| first == room.name)
            || room.may_use.iter().any(|prefix| starts_with(path, prefix))
            || EXCEPTIONS
                .iter()
                .any(|(m, prefix)| is_module(&reference.module, m) && starts_with(path, prefix));
        if !allowed {
            let may =
                if room.may_use.is_empty() { "nothing of ours".into() } else { room.may_use.join(", ") };
            let text = format!("{} may not use {}; it may use {may}", room.name, reference.path.join("::"));
            violations.push(Violation { file: source.file.clone(), line: reference.line, text });
        }
    }
    violations
}

/// A path of this project, from its room or crate on; `None` for the standard library and other crates. What the
/// library has at its root besides rooms (a re-export, a glob) belongs to no room, so no prefix of the table fits it.
fn ours(path: &[String]) -> Option<&[String]> {
    match path.first()?.as_str() {
        "crate" => Some(&path[1..]),
        first if first.starts_with("linkspan_") => Some(path),
        _ => None,
    }
}

/// Clocks, descriptors, threads, globals and unseeded randomness in a room that must be pure.
fn check_purity(source: &Source) -> Vec<Violation> {
    if IMPURE_PLACES.iter().any(|place| starts_with(&source.module, place)) || source.file == "src/main.rs" {
        return Vec::new();
    }
    let mut violations = Vec::new();
    let mut broken = |line: usize, what: &str| {
        let text = format!("{what} is for run/, cli/ and scenario/load.rs only: take it as an argument");
        violations.push(Violation { file: source.file.clone(), line, text });
    };
    for reference in &source.references {
        let mut path = reference.path.clone();
        if ["core", "alloc"].contains(&path[0].as_str()) {
            path[0] = "std".to_owned();
        }
        if IMPURE.iter().any(|prefix| starts_with(&path, prefix))
            || path.windows(2).any(|pair| IMPURE_CALLS.iter().any(|call| pair == call))
        {
            broken(reference.line, &path.join("::"));
        }
    }
    for (name, line) in &source.names {
        if IMPURE_NAMES.contains(&name.as_str()) {
            broken(*line, name);
        }
    }
    for line in &source.mutable_statics {
        broken(*line, "static mut");
    }
    violations
}

/// `unsafe` anywhere but in its room.
fn check_unsafe(source: &Source) -> Vec<Violation> {
    if starts_with(&source.module, UNSAFE_PLACE) {
        return Vec::new();
    }
    let found = source.names.iter().filter(|(name, _)| name == "unsafe");
    let text = "unsafe stands only in src/run".to_owned();
    found.map(|(_, line)| Violation { file: source.file.clone(), line: *line, text: text.clone() }).collect()
}

/// Whether a path begins with `prefix` (`a::b`), segment by segment.
fn starts_with(path: &[String], prefix: &str) -> bool {
    let mut segments = path.iter();
    prefix.split("::").all(|wanted| segments.next().is_some_and(|segment| segment == wanted))
}

fn is_module(module: &[String], name: &str) -> bool {
    module.join("::") == name
}

/// Every Rust source of the three crates; their `tests/` and `benches/` stand outside the rooms.
fn all_sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for (folder, krate) in [("src", ""), ("switch/src", "linkspan_switch"), ("nat/src", "linkspan_nat")] {
        let folder = root().join(folder);
        let mut files = Vec::new();
        collect(&folder, &|path| path.extension().is_some_and(|e| e == "rs"), &mut files);
        let texts: Vec<_> = files
            .into_iter()
            .map(|file| {
                let tokens = tokenise(&std::fs::read_to_string(&file).unwrap());
                (file, tokens)
            })
            .collect();
        let modules = module_paths(&folder, krate, &texts);
        for (file, tokens) in &texts {
            sources.push(Source::new(&relative(file), modules[file].clone(), krate, tokens));
        }
    }
    sources
}

/// The files under a folder, sorted; an absent folder has none. What cargo builds and what a fuzzer finds is no part of
/// the repository.
fn collect(folder: &Path, wanted: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if !path.ends_with("fuzz/target") && !path.ends_with("fuzz/artifacts") {
                collect(&path, wanted, files);
            }
        } else if wanted(&path) {
            files.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}
