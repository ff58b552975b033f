//! Transcripts of real engines: every page under `tests/goldens/transcripts/` holds docker command lines in order and what
//! Docker 20.10.24 and its client answered, refusals above all; those under `transcripts-28/` are the same lines with the answers of
//! 28.5.2. A page may begin with the arguments of dockerd.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read files and fail by panicking")]

mod recorded;

use std::fmt::Write as _;
use std::path::Path;

use fancy_regex::{Captures, Regex};
use linkspan::docker::profile::Profile;
use recorded::{Answer, Stage};

/// Replaces what is random: ids of 64 and of 12 hexadecimal digits, MAC addresses, the names of containers in a list of endpoints
/// that have one of the engine's making, and the unique local prefix of an engine; and what the clock says. Blanks at the
/// ends of lines go.
fn mask(text: &str) -> String {
    let random = [
        (r"\b[0-9a-f]{64}\b", "<ID>"),
        (r#" id:"[0-9a-f]{12}""#, r#" id:"<ID>""#),
        (r"\b[0-9a-f]{12}\b", "<ID>"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [+]0000 UTC)?", "<TIME>"),
        (r#""time(Nano)?":\d+"#, r#""time$1":<TIME>"#),
        (r"(Less than a second|\d+ seconds?)( ago)?", "<AGO>"),
        (r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "<MAC>"),
        (r#"name:"[a-z]+_[a-z]+""#, r#"name:"<NAME>""#),
        (r"\bfd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::", "<ULA>::"),
        (r"(?m)[ \t]+$", ""),
    ];
    let masked = random.iter().fold(text.to_owned(), |text, (pattern, mask)| {
        Regex::new(pattern).unwrap().replace_all(&text, *mask).into_owned()
    });
    // The engine lists them in the order of a hash table.
    let endpoints = Regex::new(r"(?<=active endpoints \()[^)]*").unwrap();
    let sorted = |found: &Captures<'_, str>| {
        let mut endpoints: Vec<&str> = found[0].split(", ").collect();
        endpoints.sort_unstable();
        endpoints.join(", ")
    };
    endpoints.replace_all(&masked, sorted).into_owned()
}

/// The arguments of dockerd, and the lines with their answers.
fn read(text: &str) -> (String, Vec<(String, Answer)>) {
    let mut arguments = String::new();
    let mut lines: Vec<(String, Answer)> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            lines.push((command.to_owned(), Answer::default()));
        } else if let Some((_, answer)) = lines.last_mut() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("out|", text) => answer.stdout += &format!("{text}\n"),
                ("err|", text) => answer.stderr += &format!("{text}\n"),
                ("exit", status) => answer.exit = status.parse().unwrap(),
                (other, _) => panic!("a page has no lines with {other:?}"),
            }
        } else if let Some(given) = line.strip_prefix("dockerd ") {
            arguments = given.to_owned();
        }
    }
    (arguments, lines)
}

#[test]
fn every_line_is_answered_as_docker_20_10_did() {
    compare("transcripts", Profile::Docker20_10);
}

#[test]
fn every_line_is_answered_as_docker_28_did() {
    compare("transcripts-28", Profile::Docker28);
}

fn compare(folder: &str, profile: Profile) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(folder);
    let mut pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let mut differences = String::new();
    let mut compared = 0;
    for page in pages {
        let (arguments, lines) = read(&std::fs::read_to_string(&page).unwrap());
        let mut stage = Stage::of(profile, &arguments);
        for (line, expected) in lines {
            let masked = |answer: Answer| Answer {
                stdout: mask(&answer.stdout),
                stderr: mask(&answer.stderr),
                exit: answer.exit,
                ..Answer::default()
            };
            let (expected, found) = (masked(expected), masked(stage.docker(&line)));
            compared += 1;
            if found != expected {
                let name = page.file_name().unwrap().to_string_lossy();
                writeln!(differences, "{name} $ {line}\n  recorded {expected:?}\n  here     {found:?}")
                    .unwrap();
            }
        }
    }
    assert!(compared > 300, "only {compared} lines");
    assert!(differences.is_empty(), "{differences}");
}
