//! Who reaches whom, as a real Docker 20.10 was recorded: every topology of `oracle/matrix` is built with docker command
//! lines and measured by `lab::matrix`, whose text must be the recorded lines.
//!
//! `LINKSPAN_ORACLE` names another folder of recordings; topologies there that have no test of their own are run by
//! `every_other_topology`.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read recordings and fail by panicking"
)]

mod recorded;

use std::io::Write;
use std::path::{Path, PathBuf};

use linkspan::lab::matrix::{self, Scope, Subject};
use recorded::{Answer, Stage};
use serde_json::Value;

/// Topologies with a test of their own below.
const KNOWN: [&str; 9] = [
    "01-default-bridge",
    "02-user-bridge",
    "03-two-bridges",
    "05-icc-false",
    "06-modes",
    "07-macvlan",
    "09-no-nat",
    "11-userland-proxy-false",
    "12-overlay",
];

#[test]
fn t01_default_bridge() {
    check("01-default-bridge");
}

#[test]
fn t02_user_bridge() {
    check("02-user-bridge");
}

#[test]
fn t03_two_bridges() {
    check("03-two-bridges");
}

#[test]
fn t05_icc_false() {
    check("05-icc-false");
}

#[test]
fn t06_modes() {
    check("06-modes");
}

#[test]
fn t07_macvlan() {
    check("07-macvlan");
}

#[test]
fn t09_no_nat() {
    check("09-no-nat");
}

#[test]
fn t11_userland_proxy_false() {
    check("11-userland-proxy-false");
}

#[test]
#[ignore = "waiting for swarm and overlay networks"]
fn t12_overlay() {
    check("12-overlay");
}

/// What waits is refused in linkspan's own words. When this fails, the feature is there: take the `ignore` away.
#[test]
fn what_waits_is_refused_with_a_reason() {
    let name = "12-overlay";
    let Run::Waiting(reason) = run(&topologies().join(format!("{name}.json"))) else {
        panic!("{name} does not wait any more")
    };
    tell(&format!("waiting: {name}: {reason}"));
}

/// Topologies of the folder that have no test of their own.
#[test]
fn every_other_topology() {
    let files = std::fs::read_dir(topologies()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "json")).collect();
    files.sort();
    assert!(!files.is_empty(), "there are no topologies in {}", topologies().display());
    let mut differences = Vec::new();
    let (mut equal, mut waiting) = (0, 0);
    for file in &files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        if KNOWN.contains(&name) {
            continue;
        }
        match (run(file), std::fs::read_to_string(file.with_extension("expected"))) {
            (Run::Waiting(reason), _) => {
                waiting += 1;
                tell(&format!("waiting: {name}: {reason}"));
            }
            (Run::Lines(lines), Ok(expected)) => match difference(&expected, &lines) {
                None => equal += 1,
                Some(text) => differences.push(format!("{name}\n{text}")),
            },
            (Run::Lines(_), Err(error)) => differences.push(format!("{name}: nothing to compare: {error}")),
        }
    }
    tell(&format!("other topologies: {equal} equal, {} different, {waiting} waiting", differences.len()));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn check(name: &str) {
    let file = topologies().join(format!("{name}.json"));
    let expected = std::fs::read_to_string(file.with_extension("expected")).unwrap();
    match run(&file) {
        Run::Waiting(reason) => panic!("{name} cannot be built: {reason}"),
        Run::Lines(lines) => {
            if let Some(text) = difference(&expected, &lines) {
                panic!("{name} differs (- recorded, + here):\n{text}");
            }
        }
    }
}

fn topologies() -> PathBuf {
    recorded::folder().join("matrix")
}

/// Past the test harness, which keeps what passing tests print to itself.
fn tell(line: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "{line}").unwrap();
}

fn difference(expected: &str, lines: &[String]) -> Option<String> {
    let expected: Vec<&str> = expected.lines().collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    if expected == lines {
        return None;
    }
    let missing = expected.iter().filter(|line| !lines.contains(line)).map(|line| format!("- {line}"));
    let extra = lines.iter().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}"));
    let mut text: Vec<String> = missing.chain(extra).collect();
    if text.is_empty() {
        text.push("the same lines in another order".to_owned());
    }
    Some(text.join("\n"))
}

/// What came of a topology.
enum Run {
    Lines(Vec<String>),
    /// linkspan says that it does not have what the topology needs.
    Waiting(String),
}

fn run(file: &Path) -> Run {
    let topology: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let texts = |value: &Value, key: &str| -> Vec<String> {
        list(value, key).iter().map(|entry| entry.as_str().unwrap().to_owned()).collect()
    };
    let mut stage = Stage::new(&text(&topology, "daemon"));
    let mut lines = Vec::new();
    let mut commands: Vec<(&str, String)> = Vec::new();
    commands.extend(texts(&topology, "setup").into_iter().map(|line| ("SETUP", line)));
    for network in list(&topology, "networks") {
        let (name, arguments) = (text(&network, "name"), text(&network, "args"));
        commands.push(("SETUP", format!("docker network create {arguments} {name}")));
    }
    for container in list(&topology, "containers") {
        let (name, arguments) = (text(&container, "name"), text(&container, "args"));
        let image = container["image"].as_str().unwrap_or("busybox");
        let default = if image == "nginx" { "" } else { "sleep 3600" };
        let command = container["cmd"].as_str().unwrap_or(default);
        let also = texts(&container, "also");
        if also.is_empty() {
            commands.push(("SETUP", format!("docker run -d --name {name} {arguments} {image} {command}")));
        } else {
            commands.push(("SETUP", format!("docker create --name {name} {arguments} {image} {command}")));
            let connect = |network| ("SETUP", format!("docker network connect {network} {name}"));
            commands.extend(also.iter().map(connect));
            commands.push(("SETUP", format!("docker start {name}")));
        }
    }
    commands.extend(texts(&topology, "steps").into_iter().map(|line| ("STEP", line)));
    for (kind, line) in commands {
        let answer = command(&mut stage, &line);
        if answer.stderr.starts_with("linkspan: ") || answer.stderr.contains(" is not supported: ") {
            return Run::Waiting(answer.stderr.trim_end().to_owned());
        }
        if answer.exit != 0 {
            let first = answer.text().trim().lines().next().unwrap_or_default().to_owned();
            lines.push(format!("{kind} exit {}: {line}: {first}", answer.exit));
        }
    }
    let subjects: Vec<Subject> = list(&topology, "containers")
        .iter()
        .map(|container| Subject {
            container: text(container, "name"),
            label: text(container, "name"),
            names: texts(container, "names"),
        })
        .collect();
    let found = matrix::measure(&mut stage.world, stage.host, &subjects, Scope::Oracle).unwrap();
    lines.extend(found.oracle());
    Run::Lines(lines)
}

/// A line of a topology: docker's, or a shell's on the host.
fn command(stage: &mut Stage, line: &str) -> Answer {
    if line.starts_with("docker ") { stage.docker(line) } else { stage.on_host(line) }
}
