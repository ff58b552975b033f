//! Transcripts of a real Docker 20.10.24: every page under `tests/goldens/transcripts/` holds docker command lines in order and
//! what the engine and its client answered, refusals above all. A page may begin with the arguments of dockerd.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read files and fail by panicking")]

mod recorded;

use std::fmt::Write as _;
use std::path::Path;

use recorded::{Answer, Stage};

/// Replaces ids of 64 hexadecimal digits, and blanks at the ends of lines.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    for line in text.lines() {
        let mut word = String::new();
        for character in line.trim_end().chars().chain(['\n']) {
            if character.is_ascii_hexdigit() {
                word.push(character);
                continue;
            }
            masked.push_str(if word.len() == 64 { "<ID>" } else { &word });
            word.clear();
            masked.push(character);
        }
    }
    masked
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
fn every_line_is_answered_as_the_real_engine_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/transcripts");
    let mut pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let mut differences = String::new();
    let mut compared = 0;
    for page in pages {
        let (arguments, lines) = read(&std::fs::read_to_string(&page).unwrap());
        let mut stage = Stage::new(&arguments);
        for (line, expected) in lines {
            let found = stage.docker(&line);
            let found = Answer {
                stdout: mask(&found.stdout),
                stderr: mask(&found.stderr),
                exit: found.exit,
                ..Answer::default()
            };
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
