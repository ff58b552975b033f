//! Every refusal that was observed of a real Docker 20.10 is proved here or named by who proves it: `oracle/refusals.txt` lists
//! them with their exact text and status. One that stands in a recorded walkthrough is looked up there, and the
//! walkthrough must be one that is replayed and the command none that may differ; every other is run.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read files and fail by panicking")]

#[path = "walkthroughs/masks.rs"]
mod masks;
mod recorded;
#[path = "walkthroughs/replayed.rs"]
mod replayed;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use linkspan::docker::profile::Profile;
use recorded::Stage;

/// A refusal: what is refused, which walkthrough shows it, what comes before, the command, its output and its status.
#[derive(Default)]
struct Refusal {
    title: String,
    walkthrough: Option<String>,
    setup: Vec<String>,
    command: String,
    output: String,
    exit: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

fn refusals() -> Vec<Refusal> {
    let text = std::fs::read_to_string(folder().join("refusals.txt")).unwrap();
    let mut refusals: Vec<Refusal> = Vec::new();
    for line in text.lines() {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if mark == "#" {
            refusals.push(Refusal { title: rest.to_owned(), ..Refusal::default() });
            continue;
        }
        let Some(refusal) = refusals.last_mut() else { continue };
        match mark {
            "in" => refusal.walkthrough = Some(rest.to_owned()),
            "+" => refusal.setup.push(rest.to_owned()),
            "$" => refusal.command = rest.to_owned(),
            "|" => refusal.output += &format!("{rest}\n"),
            "exit" => refusal.exit = rest.to_owned(),
            "" => {}
            _ => panic!("{}: a list of refusals has no line {line:?}", refusal.title),
        }
    }
    refusals
}

#[test]
fn the_list_is_one_of_refusals() {
    let refusals = refusals();
    let titles: BTreeSet<&str> = refusals.iter().map(|refusal| refusal.title.as_str()).collect();
    assert_eq!(titles.len(), refusals.len(), "every refusal has a title of its own");
    for Refusal { title, command, output, exit, .. } in &refusals {
        assert!(command.starts_with("docker"), "{title}: {command:?}");
        assert!(
            !output.is_empty() && exit.parse::<u8>().is_ok_and(|exit| exit > 0),
            "{title}: not a refusal"
        );
    }
}

#[test]
fn what_a_walkthrough_is_said_to_prove_it_proves() {
    let mut wrong = Vec::new();
    let known = replayed::differences(Profile::Docker20_10);
    for refusal in refusals() {
        let Some(name) = &refusal.walkthrough else { continue };
        let path = folder().join("walkthroughs").join(format!("{name}.sh"));
        let recording =
            std::fs::read_to_string(folder().join("expected").join(format!("{name}.txt"))).unwrap();
        let recorded = format!("{}[exit {}]\n", refusal.output, refusal.exit);
        let found = replayed::commands(&recording)
            .into_iter()
            .any(|(command, output)| command == refusal.command && output.trim_end() == recorded.trim_end());
        let may_differ = known.iter().any(|(walk, command, _)| walk == name && *command == refusal.command);
        if !found || may_differ || !replayed::missing(&path).is_empty() {
            wrong.push(format!("{} is not proved by {name}: $ {}", refusal.title, refusal.command));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_other_refusal_is_in_the_same_words() {
    let mut differences = Vec::new();
    for refusal in refusals().iter().filter(|refusal| refusal.walkthrough.is_none()) {
        let mut stage = Stage::new("");
        for line in &refusal.setup {
            stage.ok(line);
        }
        let answer = stage.docker(&refusal.command);
        let found = masks::mask(&format!("{}[exit {}]\n", answer.text(), answer.exit));
        let expected = format!("{}[exit {}]\n", refusal.output, refusal.exit);
        if found != expected {
            differences.push(format!("{}: $ {}\n{found}", refusal.title, refusal.command));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
