//! Who reaches whom, as real engines were recorded: every topology of `oracle/matrix` is built with docker command lines and
//! measured by `lab::matrix`, whose text must be the recorded lines. Each topology is a test of its own, named like its file;
//! `rNNN` are drawn by `oracle/generate`, `hNN` were made by hand to use what those do not and recorded by the same script.
//! What Docker 20.10.24 answered lies beside the topology; what 28.5.2 answered about the same one lies in `oracle/matrix-28`
//! and makes a second test, `NAME_on_28`. That folder has topologies of its own (`nNN`) of what only newer engines have.
//!
//! `LINKSPAN_ORACLE` names another folder of the same shape. What it holds is run in the same way.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read recordings and fail by panicking"
)]

mod recorded;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use linkspan::docker::profile::Profile;
use linkspan::lab::matrix::{self, Scope, Subject};
use recorded::{Answer, Stage};
use serde_json::Value;

fn main() -> ExitCode {
    let folder = recorded::folder().join("matrix");
    let newer = recorded::folder().join("matrix-28");
    let names = recorded::names(&folder, "json");
    let mut trials = vec![Trial::test("there_are_topologies", {
        let (count, folder) = (names.len(), folder.clone());
        move || match count {
            0 => Err(Failed::from(format!("there is no topology in {}", folder.display()))),
            _ => Ok(()),
        }
    })];
    for name in names {
        let file = folder.join(format!("{name}.json"));
        if needs_a_swarm(&file) {
            // Waiting for swarm and overlay networks: the ignored test says whether it still does.
            trials.push(Trial::test(format!("{name}_is_refused_with_a_reason"), {
                let file = file.clone();
                move || waits(&file)
            }));
            let recording = file.with_extension("expected");
            let waiting = Trial::test(name, move || check(&file, &recording, Profile::Docker20_10));
            trials.push(waiting.with_kind("waiting: swarm").with_ignored_flag(true));
            continue;
        }
        let on_28 = newer.join(format!("{name}.expected"));
        if on_28.exists() {
            let file = file.clone();
            trials
                .push(Trial::test(format!("{name}_on_28"), move || check(&file, &on_28, Profile::Docker28)));
        }
        let recording = file.with_extension("expected");
        trials.push(Trial::test(name, move || check(&file, &recording, Profile::Docker20_10)));
    }
    for name in recorded::names(&newer, "json") {
        let file = newer.join(format!("{name}.json"));
        let recording = file.with_extension("expected");
        trials.push(Trial::test(name, move || check(&file, &recording, Profile::Docker28)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Whether a topology needs a swarm or an overlay network.
fn needs_a_swarm(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap();
    text.contains("docker swarm ") || text.contains("-d overlay")
}

/// What waits is refused in linkspan's own words. When this fails the feature is there: its topologies are tests now.
fn waits(file: &Path) -> Result<(), Failed> {
    match run(file, Profile::Docker20_10) {
        Run::Waiting(_) => Ok(()),
        Run::Lines(_) => Err(Failed::from("it does not wait any more")),
    }
}

fn check(file: &Path, recording: &Path, profile: Profile) -> Result<(), Failed> {
    let expected = std::fs::read_to_string(recording)
        .map_err(|error| format!("nothing to compare with: {}: {error}", recording.display()))?;
    let found = match run(file, profile) {
        Run::Waiting(reason) => return Err(Failed::from(format!("it cannot be built: {reason}"))),
        Run::Lines(lines) => lines.join("\n"),
    };
    let lines = |text: &str| mask(text).lines().map(str::to_owned).collect::<Vec<_>>();
    match difference(&lines(&expected), &lines(&found)) {
        None => Ok(()),
        Some(text) => Err(Failed::from(format!("it differs (- recorded, + here):\n{text}"))),
    }
}

/// Ids are random: those of 64 hexadecimal digits, and of 12 in lists of endpoints and behind the names of devices that are made
/// of them.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    let mut word = String::new();
    for character in text.chars().chain(std::iter::once('\0')) {
        if character.is_ascii_hexdigit() {
            word.push(character);
            continue;
        }
        let device = ["br-", "dm-", "di-", "id:\""].iter().any(|start| masked.ends_with(start));
        let is_id = word.len() == 64 || device && word.len() == 12;
        masked.push_str(if is_id { "<ID>" } else { &word });
        word.clear();
        if character != '\0' {
            masked.push(character);
        }
    }
    masked
}

fn difference(expected: &[String], lines: &[String]) -> Option<String> {
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

fn run(file: &Path, profile: Profile) -> Run {
    let topology: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let texts = |value: &Value, key: &str| -> Vec<String> {
        list(value, key).iter().map(|entry| entry.as_str().unwrap().to_owned()).collect()
    };
    let mut stage = Stage::of(profile, &text(&topology, "daemon"));
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

/// A line of a topology: docker's, or a shell's on the host, in whose network namespace a recording's line says to be.
fn command(stage: &mut Stage, line: &str) -> Answer {
    let enters = ["ip netns exec $ORACLE_NS ", "ip netns exec dk ", "$ORACLE_HOSTX "];
    match enters.iter().find_map(|enter| line.strip_prefix(enter)) {
        Some(line) => stage.on_host(line),
        None if line.starts_with("docker ") => stage.docker(line),
        None => stage.on_host(line),
    }
}
