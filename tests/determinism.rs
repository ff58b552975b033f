//! A run is a function of the file and the seed: the same twice, byte for byte, wherever the command stands; another
//! seed changes what is random and nothing that a check sees.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read what the command wrote")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn quickstart() -> PathBuf {
    scenarios().join("quickstart.yaml")
}

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("determinism-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn linkspan(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
    command.args(arguments).current_dir(folder).env_remove("COMPOSE_PROFILES").stdin(Stdio::null());
    command.output().unwrap()
}

/// The event log and the captures of a run that stands in a folder.
fn run(folder: &Path, file: &Path, seed: &str) -> (String, BTreeMap<String, Vec<u8>>) {
    let file = file.to_str().unwrap();
    let output =
        linkspan(folder, &["run", "-v", "--format", "json", "--seed", seed, "--pcap", "captures", file]);
    let (log, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}\n{}", log.lines().last().unwrap_or_default());
    let mut captures = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("captures")).unwrap() {
        let entry = entry.unwrap();
        captures.insert(entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    }
    (log, captures)
}

/// Links that lose and reorder, replicas, random ports: whatever draws from the seed.
const RANDOM: &str = "\
services:
  web: {image: nginx, ports: ['80'], scale: 3}
  client: {image: busybox, command: sleep infinity}
world:
  links: {eth0: {delay: 5ms, loss: 5%, duplicate: 5%, reorder: 20%, rate: 10mbit}}
steps:
  - {in: client, run: ping -c 20 -i 0.01 203.0.113.1, expect: {contains: packets transmitted}}
  - {in: client, run: nslookup -type=a web}
  - {in: client, run: wget -q -O - http://203.0.113.1/}
checks:
  - client -> web:80: ok
  - client -> 203.0.113.1:80: ok
";

fn random_file(test: &str) -> PathBuf {
    let path = folder(test).join("random.yaml");
    std::fs::write(&path, RANDOM).unwrap();
    path
}

#[test]
fn the_same_run_twice_from_two_folders() {
    let random = random_file("file-same");
    for (name, file) in [("quickstart", quickstart()), ("random", random)] {
        for seed in ["0", "7"] {
            let one = run(&folder(&format!("{name}-{seed}-one")), &file, seed);
            let two = run(&folder(&format!("{name}-{seed}-two/deeper")), &file, seed);
            assert!(one.0.lines().count() > 100);
            let differing = one.0.lines().zip(two.0.lines()).find(|(a, b)| a != b);
            assert_eq!(differing, None, "{name}, seed {seed}");
            assert!(one.0 == two.0, "{name}, seed {seed}: one log is longer");
            assert!(one.1.len() > 5);
            assert_eq!(one.1.keys().collect::<Vec<_>>(), two.1.keys().collect::<Vec<_>>());
            for (capture, bytes) in &one.1 {
                assert!(*bytes == two.1[capture], "{name}, seed {seed}: {capture} differs");
            }
        }
    }
}

#[test]
fn five_other_seeds_pass_every_check() {
    let scenarios = scenarios();
    let output = linkspan(&folder("seeds"), &["test", "--seeds", "6", scenarios.to_str().unwrap()]);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.ends_with("passed, 0 failed")), "{text}");
}

#[test]
fn a_seed_changes_what_is_random() {
    let file = random_file("file-differ");
    let runs: Vec<_> =
        ["0", "1", "2"].iter().map(|seed| run(&folder(&format!("differ-{seed}")), &file, seed)).collect();
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        assert!(runs[a].0 != runs[b].0, "the event logs of two seeds are the same");
        assert!(runs[a].1 != runs[b].1, "the captures of two seeds are the same");
    }
    // What a reader counts on does not depend on it: every interface whose name has no id in it.
    let named = |name: &&String| !name.contains("veth") && !name.contains("br-");
    let names = |at: usize| runs[at].1.keys().filter(named).collect::<Vec<_>>();
    assert_eq!((names(0), names(0)), (names(1), names(2)));
}
