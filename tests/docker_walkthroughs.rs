//! Docker's documentation of five eras, replayed with its commands literal: the walkthroughs of `oracle/walkthroughs` are run
//! command by command through linkspan's docker command line, programs and hosts, and must print what a real Docker printed,
//! line by line: 20.10.24 (`oracle/expected`), and 28.5.2 in a second test of each (`oracle/expected-28`, `NAME_on_28`).
//!
//! Each walkthrough is a test of its own. Commands that still differ are listed in [`DIFFERENT`] with the reason; a listed
//! command that is equal fails the test, so the list can only shrink. What a walkthrough needs and linkspan does not have (a
//! swarm, a second node) makes its test an ignored one.
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
#[path = "walkthroughs/shell.rs"]
mod shell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use linkspan::docker::profile::Profile;

/// What linkspan offers to a walkthrough.
const OFFERED: [&str; 6] = ["docker", "host", "outside", "dig", "daemon", "tty"];

/// Walkthrough, command, and why it prints something else than the real engine did.
type Difference = (&'static str, &'static str, &'static str);

/// What differs from both engines.
const DIFFERENT: &[Difference] = &[
    (
        "03-attach",
        r#"ttyx 'docker attach container1' 'ip -4 addr' 'ping -w3 172.17.0.3' 'cat /etc/hosts' '^P^Q'"#,
        TERMINAL,
    ),
    ("03-attach", r#"ttyx 'docker attach nonenetcontainer' 'cat /etc/hosts' 'ip -4 addr' '^P^Q'"#, TERMINAL),
    ("03-attach", r#"ttyx 'docker attach container2' 'hostname -i' 'exit'"#, TERMINAL),
    ("03-attach", r#"docker ps -a --format '{{.Names}} {{.State}}'"#, TERMINAL),
    ("03-attach", r#"docker attach container2"#, TERMINAL),
    ("03-attach", r#"ttyx 'docker run -it --rm --name fg busybox' 'echo hi' 'exit'"#, TERMINAL),
    ("03-attach", r#"ttyx 'docker exec -it container1 sh' 'hostname -i' 'exit'"#, TERMINAL),
    ("03-attach", r#"docker run -it busybox"#, TERMINAL),
    (
        "35-macvlan-modes",
        r#"docker network create -d macvlan --subnet 192.168.60.0/24 --gateway 192.168.60.1 -o parent=lan0.10 vlan10"#,
        KERNEL,
    ),
    ("35-macvlan-modes", r#"docker network create -d macvlan --subnet 192.168.63.0/24 noparent"#, KERNEL),
    ("35-macvlan-modes", r#"docker run -itd --name i2 --network noparent busybox"#, KERNEL),
    ("35-macvlan-modes", r#"docker run -itd --name ip1 --network ipv busybox"#, KERNEL),
    ("35-macvlan-modes", r#"docker network rm vlan10 vlanbad internalmv noparent ipv ipv3 ipv4"#, KERNEL),
    ("44-events-logs", r#"docker run --name l3 nosuchimage true"#, IMAGES),
    ("90-refusals", r#"docker run -d --network host --sysctl net.ipv4.ip_forward=1 busybox"#, RUNC),
];

/// What differs from 20.10.24 alone.
const DIFFERENT_20_10: &[Difference] = &[("90-refusals", r#"docker run -d --restart bogus nginx"#, POLICY)];

/// What differs from 28.5.2 alone.
const DIFFERENT_28: &[Difference] = &[
    ("44-events-logs", r#"docker run --name l2 busybox nosuchcmd"#, RUNTIME),
    ("44-events-logs", r#"docker exec l4 nosuchcmd"#, RUNTIME),
    (
        "90-refusals",
        r#"docker run -d --hostname aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa busybox"#,
        RUNTIME,
    ),
];

const TERMINAL: &str = "nobody sits at a terminal here: there is nothing to attach to or type at";
const KERNEL: &str =
    "the recording's kernel has no 802.1Q, dummy or ipvlan devices; kernel documentation decides";
const IMAGES: &str = "there is no registry, and every image is at hand";
const RUNC: &str = "what runc refuses is not looked at";
const RUNTIME: &str = "the recording ran with runc 1.1.5 and containerd 2.1.9; 28.5.2 is published with runc 1.3.3 and \
     containerd 1.7.28";
const POLICY: &str = "the client answers for the daemon here, in the words of 28";

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

/// What an era's recordings are known to show otherwise.
fn differences(profile: Profile) -> Vec<Difference> {
    let own = match profile {
        Profile::Docker20_10 => DIFFERENT_20_10,
        Profile::Docker28 | Profile::Docker29 => DIFFERENT_28,
    };
    [DIFFERENT, own].concat()
}

/// What a walkthrough needs and is not offered.
fn missing(walkthrough: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(walkthrough).unwrap();
    let needs = text.lines().filter_map(|line| line.strip_prefix("# needs:"));
    needs.flat_map(str::split_whitespace).filter(|word| !OFFERED.contains(word)).map(str::to_owned).collect()
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
    let all = [DIFFERENT, DIFFERENT_20_10, DIFFERENT_28].concat();
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

/// A transcript's commands and what each printed, its status included.
fn commands(transcript: &str) -> Vec<(&str, &str)> {
    let mut begins: Vec<usize> = transcript.match_indices("\n$ ").map(|(at, _)| at + 1).collect();
    if transcript.starts_with("$ ") {
        begins.insert(0, 0);
    }
    let ends = begins.iter().skip(1).copied().chain([transcript.len()]);
    begins
        .iter()
        .zip(ends)
        .map(|(begin, end)| transcript[begin + 2..end].split_once('\n').unwrap_or_default())
        .collect()
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
