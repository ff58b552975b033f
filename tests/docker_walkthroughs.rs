//! Docker's documentation of five eras, replayed with its commands literal: the walkthroughs of `oracle/walkthroughs` are run
//! command by command through linkspan's docker command line, programs and hosts, and must print what a real Docker printed,
//! line by line: 20.10.24 (`oracle/expected`), and 28.5.2 in a second test of each (`oracle/expected-28`, `NAME_on_28`).
//!
//! Each walkthrough is a test of its own. Commands that still differ are listed in `replayed.rs` with the reason; a
//! listed command that is equal fails the test, so the list can only shrink. What a walkthrough needs and linkspan does not
//! have (a swarm, a second node) makes its test an ignored one.
//!
//! `LINKSPAN_ORACLE` names another folder of the same shape.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read recordings and fail by panicking"
)]

#[path = "walkthroughs/masks.rs"]
mod masks;
mod recorded;
#[path = "walkthroughs/replayed.rs"]
mod replayed;
#[path = "walkthroughs/shell.rs"]
mod shell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use linkspan::docker::profile::Profile;
use replayed::{ALL_DIFFERENCES, commands, differences, missing};

fn main() -> ExitCode {
    let folder = recorded::folder();
    let names = recorded::names(&folder.join("walkthroughs"), "sh");
    let mut trials = vec![Trial::test("every_known_difference_is_of_a_walkthrough", known_differences)];
    trials.push(Trial::test("masks_leave_recordings_as_they_are", {
        let expected = folder.join("expected");
        move || masked_twice(&expected)
    }));
    for name in names {
        let walkthrough = folder.join("walkthroughs").join(format!("{name}.sh"));
        let expected = folder.join("expected").join(format!("{name}.txt"));
        let missing = missing(&walkthrough);
        let on_28 = folder.join("expected-28").join(format!("{name}.txt"));
        let of_20 = Trial::test(name.clone(), {
            let (name, walkthrough) = (name.clone(), walkthrough.clone());
            move || check(&name, &walkthrough, &expected, Profile::Docker20_10)
        });
        let of_28 = on_28.exists().then(|| {
            Trial::test(format!("{name}_on_28"), move || {
                check(&name, &walkthrough, &on_28, Profile::Docker28)
            })
        });
        trials.extend([Some(of_20), of_28].into_iter().flatten().map(|trial| match missing.is_empty() {
            true => trial,
            false => trial.with_kind(format!("waiting: {}", missing.join(" "))).with_ignored_flag(true),
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What was masked when it was recorded has nothing left to mask.
fn masked_twice(expected: &Path) -> Result<(), Failed> {
    for name in recorded::names(expected, "txt") {
        let recording = std::fs::read_to_string(expected.join(format!("{name}.txt"))).unwrap();
        let again = masks::mask(&recording);
        if again != recording {
            return Err(Failed::from(format!("{name}\n{}", difference(&recording, &again))));
        }
    }
    Ok(())
}

/// The list names what is kept here, each command once.
fn known_differences() -> Result<(), Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/walkthroughs");
    let all = ALL_DIFFERENCES.concat();
    for (at, (name, command, _)) in all.iter().enumerate() {
        let text = std::fs::read_to_string(folder.join(format!("{name}.sh")))
            .map_err(|error| format!("{name}: {error}"))?;
        let twice = all[..at].iter().any(|(other, line, _)| (other, line) == (name, command));
        if twice || !text.replace("\\\n", "").lines().any(|line| line == *command) {
            return Err(Failed::from(format!("{name}: {command}: listed twice, or not a command of it")));
        }
    }
    Ok(())
}

fn check(name: &str, walkthrough: &Path, expected: &Path, profile: Profile) -> Result<(), Failed> {
    let different = differences(profile);
    let expected = std::fs::read_to_string(expected)
        .map_err(|error| format!("nothing to compare with: {}: {error}", expected.display()))?;
    let found = masks::mask(&shell::play(walkthrough, profile));
    let (expected, found) = (commands(&expected), commands(&found));
    let mut complaints = Vec::new();
    let mut equal = 0;
    let mut identities = Identities::default();
    let mut differing = BTreeSet::new();
    for (at, (command, recorded)) in expected.iter().enumerate() {
        let known = different.iter().find(|(walk, line, _)| (*walk, *line) == (name, *command));
        let here = found.get(at).map_or("(nothing: the walkthrough ended early)", |(_, text)| text);
        let (sorted_recorded, sorted_here) = (resorted(command, recorded), resorted(command, here));
        let (recorded, here) =
            (sorted_recorded.as_deref().unwrap_or(recorded), sorted_here.as_deref().unwrap_or(here));
        match (identities.same(recorded, here), known) {
            (true, _) => equal += 1,
            (false, Some((_, line, _))) => {
                differing.insert(*line);
            }
            (false, None) => complaints.push(format!("$ {command}\n{}", difference(recorded, here))),
        }
    }
    // Another folder's walkthrough of this name may lack the command.
    let played = |line: &str| expected.iter().any(|(command, _)| *command == line);
    let listed = different.iter().filter(|(walk, line, _)| *walk == name && played(line));
    for (_, line, _) in listed.filter(|(_, line, _)| !differing.contains(line)) {
        complaints.push(format!("$ {line}\nis equal now: take it off the list"));
    }
    if found.len() > expected.len() {
        complaints.push("there are commands that were not recorded".to_owned());
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Failed::from(format!(
        "{equal} of {} commands are equal (- recorded, + here):\n{}",
        expected.len(),
        complaints.join("\n")
    )))
}

/// What `sort` puts in order by a masked number is in another order from run to run: it is sorted by what the mask left.
/// An interface's number is 9 or 10 as more or fewer were made before.
fn resorted(command: &str, masked: &str) -> Option<String> {
    let by_number = command.ends_with("| sort") && masked.lines().any(|line| line.starts_with("<N>: "));
    by_number.then(|| {
        let mut lines: Vec<&str> = masked.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    })
}

/// Which number of a masked id, port or address here is which of the recording. A command that differs may name others, so
/// numbers need not be equal; each means one thing throughout.
#[derive(Default)]
struct Identities {
    here: BTreeMap<String, String>,
    recorded: BTreeMap<String, String>,
}

impl Identities {
    /// Whether two outputs are equal but for the numbers. What equal ones name is the same from then on.
    fn same(&mut self, recorded: &str, here: &str) -> bool {
        let (recorded, here) = (Pieces::of(recorded), Pieces::of(here));
        if recorded.text != here.text || recorded.numbers.len() != here.numbers.len() {
            return false;
        }
        let (mut of_here, mut of_recorded) = (self.here.clone(), self.recorded.clone());
        for (one, other) in recorded.numbers.iter().zip(&here.numbers) {
            if of_here.entry(other.clone()).or_insert_with(|| one.clone()) != one
                || of_recorded.entry(one.clone()).or_insert_with(|| other.clone()) != other
            {
                return false;
            }
        }
        (self.here, self.recorded) = (of_here, of_recorded);
        true
    }
}

/// A masked output with its numbers taken out.
#[derive(Default)]
struct Pieces {
    text: String,
    numbers: Vec<String>,
}

impl Pieces {
    fn of(masked: &str) -> Pieces {
        let mut pieces = Pieces::default();
        let mut rest = masked;
        while let Some(at) = rest.find('<') {
            let (before, mask) = rest.split_at(at);
            let end = mask.find('>').map_or(mask.len(), |end| end + 1);
            let kind: String = mask[..end].chars().filter(|letter| !letter.is_ascii_digit()).collect();
            pieces.text.extend([before, &kind]);
            if matches!(kind.as_str(), "<ID>" | "<id>" | "<PORT>" | "<MAC>") {
                pieces.numbers.push(mask[..end].to_uppercase());
            }
            rest = &mask[end..];
        }
        pieces.text += rest;
        pieces
    }
}

/// The lines of one and of the other, without what they begin and end with alike.
fn difference(recorded: &str, here: &str) -> String {
    let (recorded, here): (Vec<&str>, Vec<&str>) = (recorded.lines().collect(), here.lines().collect());
    let same = recorded.iter().zip(&here).take_while(|(one, other)| one == other).count();
    let most = recorded.len().min(here.len()) - same;
    let tail =
        recorded.iter().rev().zip(here.iter().rev()).take(most).take_while(|(one, other)| one == other);
    let tail = tail.count();
    let lines = |sign: char, lines: &[&str]| -> Vec<String> {
        lines[same..lines.len() - tail].iter().map(|line| format!("{sign} {line}")).collect()
    };
    [lines('-', &recorded), lines('+', &here)].concat().join("\n")
}
