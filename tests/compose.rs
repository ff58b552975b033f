//! Real Compose files, as they are: what runs, with which addresses, and who reaches whom.
//!
//! The files are those of `../shared/compose` beside the checkout (`LINKSPAN_SHARED` names another `shared` folder)
//! and our own harder ones in `tests/compose/own`. Each has a golden under `tests/compose/goldens`, which says what
//! `lab::reach` finds, the warnings and the keys passed over. Lines at its head that begin with `#` say why unusual entries
//! are right. `LINKSPAN_BLESS=1` writes the goldens anew and keeps those lines; a golden is to be read before it is
//! committed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "the goldens and the folders of Compose files are on disk")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use linkspan::lab;
use linkspan::scenario::{
    Diagnostic, DiskSource, LoadOptions, MemorySource, Scenario, Severity, Source, load,
};

const SEED: u64 = 7;

/// Files on disk without the environment, which differs between machines.
struct BareDisk;

impl Source for BareDisk {
    fn read(&self, path: &Path) -> io::Result<String> {
        DiskSource.read(path)
    }

    fn environment(&self, _: &str) -> Option<String> {
        None
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        DiskSource.absolute(path)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Everything a golden says of a file.
fn survey(source: &dyn Source, path: &Path, profiles: &[&str]) -> String {
    let options = LoadOptions {
        project_name: Some(stem(path)),
        profiles: profiles.iter().map(|name| (*name).to_owned()).collect(),
        ..LoadOptions::default()
    };
    let scenario = match load(source, path, &options) {
        Ok(scenario) => scenario,
        Err(error) => {
            let messages: Vec<String> =
                error.diagnostics.iter().filter(|d| d.severity != Severity::Note).map(shown).collect();
            return format!("refused\n{}", messages.concat());
        }
    };
    let mut text = said(&scenario);
    match lab::reach(&scenario, SEED) {
        Ok(found) => text.push_str(&found.to_string()),
        Err(error) => writeln!(text, "does not run\n{}", error.message).unwrap(),
    }
    text
}

fn shown(diagnostic: &Diagnostic) -> String {
    format!("{:?}: {}\n", diagnostic.severity, diagnostic.message)
}

/// Warnings and ignored keys. Notes are left out: they tell of Dockerfiles that are not there, by their whole path.
fn said(scenario: &Scenario) -> String {
    let warnings = scenario.warnings.iter().filter(|warning| warning.severity == Severity::Warning);
    let mut text: String = warnings.map(shown).collect();
    let mut ignored: Vec<String> = scenario.ignored.iter().map(|ignored| ignored.path.clone()).collect();
    ignored.sort();
    ignored.dedup();
    if !ignored.is_empty() {
        writeln!(text, "ignored: {}", ignored.join(" ")).unwrap();
    }
    text
}

/// What differs from the golden, if anything.
fn compare(name: &str, found: &str) -> Option<String> {
    let path = root().join("tests/compose/goldens").join(format!("{name}.txt"));
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let is_head = |line: &&str| line.starts_with('#');
    let head: String = golden.lines().take_while(is_head).map(|line| format!("{line}\n")).collect();
    if env::var_os("LINKSPAN_BLESS").is_some() {
        fs::write(&path, format!("{head}{found}")).unwrap();
        return None;
    }
    let wanted = &golden[head.len()..];
    if wanted == found {
        return None;
    }
    let (wanted, found): (Vec<&str>, Vec<&str>) = (wanted.lines().collect(), found.lines().collect());
    let at = wanted.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let line = |lines: &[&str]| lines.get(at).copied().unwrap_or("(the end)").to_owned();
    Some(format!(
        "{name}: line {} of what was found\n  golden: {}\n  found:  {}",
        at + 1,
        line(&wanted),
        line(&found)
    ))
}

fn compare_folder(folder: &Path) {
    let files = yaml_files(folder);
    assert!(!files.is_empty(), "no Compose files in {}", folder.display());
    let differing: Vec<String> =
        files.iter().filter_map(|path| compare(&stem(path), &survey(&BareDisk, path, &[]))).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn published_files_run_as_they_are() {
    let places = match env::var_os("LINKSPAN_SHARED") {
        Some(shared) => vec![PathBuf::from(shared)],
        // A worktree stands one folder deeper than the checkout.
        None => vec![root().join("../shared"), root().join("../../shared")],
    };
    let folder = places.into_iter().map(|shared| shared.join("compose")).find(|folder| folder.is_dir());
    match folder {
        Some(folder) => compare_folder(&folder),
        None => {
            // Not `eprintln`, which is kept back when a test passes.
            let mut stderr = io::stderr();
            writeln!(
                stderr,
                "SKIPPED ALOUD: there is no ../shared/compose beside the checkout (LINKSPAN_SHARED names \
                 another); only our own Compose files are tried"
            )
            .unwrap();
        }
    }
}

#[test]
fn harder_files_of_our_own_run() {
    compare_folder(&root().join("tests/compose/own"));
}

#[test]
fn profiles_bring_services_in() {
    let path = root().join("tests/compose/own/profiles.yaml");
    let found = survey(&BareDisk, &path, &["debug"]);
    if let Some(difference) = compare("profiles@debug", &found) {
        panic!("{difference}");
    }
}

/// A stack like those of large applications: twelve networks of five services, each network with a database and a
/// cache, and one gateway on all of them.
fn large_file() -> String {
    let mut text = String::from(
        "services:\n  gateway:\n    image: nginx:alpine\n    ports: ['80:80', '443:443']\n    networks:\n",
    );
    for area in 0..12 {
        writeln!(text, "      area{area}: {{aliases: [front{area}]}}").unwrap();
    }
    for area in 0..12 {
        let ports = 9000 + area;
        write!(
            text,
            "  db{area}: {{image: postgres:16, networks: [area{area}]}}\n\
             \x20 cache{area}: {{image: 'redis:7', networks: [area{area}], expose: ['6379']}}\n\
             \x20 api{area}:\n\
             \x20   build: ./api\n\
             \x20   ports: ['127.0.0.1:{ports}:8000']\n\
             \x20   depends_on: [db{area}, cache{area}]\n\
             \x20   networks: [area{area}, area{}]\n\
             \x20 worker{area}: {{build: ./worker, networks: [area{area}], depends_on: [api{area}]}}\n\
             \x20 cron{area}: {{image: 'busybox', command: sleep 1d, networks: [area{area}]}}\n",
            (area + 1) % 12
        )
        .unwrap();
    }
    text.push_str("networks:\n");
    for area in 0..12 {
        let internal = if area % 4 == 3 { "{internal: true}" } else { "" };
        writeln!(text, "  area{area}: {internal}").unwrap();
    }
    text
}

#[test]
fn a_large_stack_runs() {
    let source = MemorySource::default().with_file("large.yaml", large_file());
    let found = survey(&source, Path::new("large.yaml"), &[]);
    if let Some(difference) = compare("large", &found) {
        panic!("{difference}");
    }
}
