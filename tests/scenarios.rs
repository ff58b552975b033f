//! Every file under `scenarios/` runs and holds: with the seed 0 and with others, which permute what happens at one
//! instant and draw other ids, addresses of cards and answers' orders.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test reads files and reports"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use linkspan::lab;
use linkspan::scenario::report::{Report, RunOptions};
use linkspan::scenario::{DiskSource, LoadOptions, MemorySource, load};

const SEEDS: [u64; 6] = [0, 1, 2, 3, 0x5eed, u64::MAX];

/// The YAML files below a folder, but for those in folders called `parts`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "parts") {
                files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
}

/// What did not hold, as text; empty if all did.
fn faults(report: &Report) -> String {
    let mut text = String::new();
    if let Some(failure) = &report.failure {
        let _ = writeln!(text, "    the run ended: {}", failure.message);
    }
    for step in report.steps.iter().filter(|step| !step.failures.is_empty()) {
        let _ = writeln!(text, "    step in {:?}: {}", step.place, step.title);
        for failure in &step.failures {
            let _ = writeln!(text, "      {failure}");
        }
        for line in step.output.lines() {
            let _ = writeln!(text, "      | {line}");
        }
    }
    for check in &report.checks {
        if let Some(failure) = &check.failure {
            let _ = writeln!(
                text,
                "    check {}: expected {}, found {}",
                check.claim, failure.expected, failure.found
            );
            for line in &failure.why.story {
                let _ = writeln!(text, "      | {line}");
            }
        }
    }
    text
}

#[test]
fn every_scenario_holds_with_every_seed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&root.join("scenarios"), &mut paths);
    assert!(!paths.is_empty(), "no scenario was found");
    let mut wrong = String::new();
    // What another file pulls in is run as its part.
    let mut parts = BTreeSet::new();
    for path in &paths {
        if let Ok(scenario) = load(&DiskSource, path, &LoadOptions::default()) {
            let read = scenario.sources.files().iter().map(|file| file.path.clone());
            parts.extend(read.filter(|read| read != path));
        }
    }
    paths.retain(|path| !parts.contains(path));
    for path in paths {
        let shown = path.strip_prefix(root).unwrap().display().to_string();
        let scenario = match load(&DiskSource, &path, &LoadOptions::default()) {
            Ok(scenario) => scenario,
            Err(error) => {
                let _ = writeln!(wrong, "{shown}: {error}");
                continue;
            }
        };
        let (mut steps, mut checks) = (0, 0);
        for seed in SEEDS {
            let options = RunOptions { seed, ..RunOptions::default() };
            let report = lab::run(&scenario, &options, &mut |_| {});
            (steps, checks) = (report.steps.len(), report.checks.len());
            let faults = faults(&report);
            if !faults.is_empty() {
                let _ = writeln!(wrong, "{shown}, seed {seed}:\n{faults}");
                break;
            }
        }
        println!("{shown}: {steps} steps, {checks} checks, {} seeds", SEEDS.len());
        if steps + checks == 0 {
            let _ = writeln!(wrong, "{shown}: neither a step nor a check");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Runs a scenario given as text.
#[track_caller]
fn holds(text: &str) {
    let source = MemorySource::default().with_file("/test.yaml", text);
    let scenario = load(&source, Path::new("/test.yaml"), &LoadOptions::default())
        .unwrap_or_else(|error| panic!("{}", error.render(false)));
    let report = lab::run(&scenario, &RunOptions::default(), &mut |_| {});
    let faults = faults(&report);
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn a_program_that_the_image_has_not_is_refused() {
    holds(
        r#"
steps:
  - run: docker run --name bad busybox nosuch
    expect: {exit: 127, contains: ['exec: "nosuch": executable file not found in $PATH']}
  - run: docker ps -a --format '{{.Names}} {{.State}}'
    expect: {output: bad exited}
"#,
    );
}

#[test]
fn a_command_nobody_has_is_stood_in_for_where_the_image_listens() {
    holds(
        r#"
images:
  training/webapp: {listen: [5000]}
steps:
  - docker run -d -p 5000:5000 training/webapp python app.py
  - docker run -d --name own training/webapp sleep 600
checks:
  - host -> localhost:5000: ok
  - own -> localhost:5000: refused
"#,
    );
}

#[test]
fn a_host_has_tools_of_its_own() {
    holds(
        r#"
steps:
  - {in: host, run: ip addr show docker0, expect: state DOWN group default}
  - {in: host, run: sh -c 'ip route', expect: proto kernel scope link src 172.17.0.1}
  - {in: host, run: busybox ip route, expect: "172.17.0.0/16 dev docker0 scope link  src 172.17.0.1"}
"#,
    );
}

#[test]
fn kernel_settings_of_hosts_and_services_are_written() {
    holds(
        r#"
daemon: {profile: "20.10"}
hosts:
  host:
    ip_forward: true
    nics:
      eth0: {address: 203.0.113.10/24, gateway: 203.0.113.1}
    # Docker finds forwarding on and leaves it alone: what comes in by eth0 ends here.
    sysctls: {net.ipv4.conf.eth0.forwarding: 0, net.core.somaxconn: 4096}
services:
  web:
    image: nginx
    sysctls: [net.ipv4.conf.eth0.arp_ignore=1, net.ipv4.ip_local_port_range=5000 5001]
steps:
  - {in: host, run: sysctl net.ipv4.conf.eth0.forwarding, expect: {output: net.ipv4.conf.eth0.forwarding = 0}}
  - {in: web, run: sysctl -n net.ipv4.conf.eth0.arp_ignore, expect: {output: "1"}}
  - {in: web, run: sysctl -n net.ipv4.ip_local_port_range, expect: {output: "5000\t5001"}}
checks:
  - web -> 203.0.113.1:80: timeout
  - web -> host: ok
"#,
    );
}

#[test]
fn a_process_finds_its_links_as_they_are_now() {
    holds(
        r#"
steps:
  - docker run -d --name db --hostname db1 nginx
  - docker run -d --name web --link db nginx
  - {run: docker exec web printenv DB_PORT_80_TCP_ADDR, expect: {output: 172.17.0.2}}
  - docker stop db
  - docker run -d nginx
  - docker start db
  - {run: docker exec web printenv DB_PORT_80_TCP_ADDR, expect: {output: 172.17.0.4}}
  - {run: docker exec db printenv HOSTNAME, expect: {output: db1}}
"#,
    );
}

#[test]
fn nobody_is_asked_whether_it_reaches_itself() {
    holds(
        r#"
services:
  app: {image: nginx, networks: {default: {aliases: [application]}}}
  web: {image: nginx}
checks:
  - only web -> application:80
  - only web -> 172.18.0.2
"#,
    );
}

/// The tables of `scenarios/docs/README.md` name every file of the folder, no other, and the profile each runs under; the
/// pages they name are in its list of pages, and no other is.
#[test]
fn the_table_of_the_documentation_names_every_file() {
    let folder = Path::new("scenarios/docs");
    let table = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let rows = table.lines().filter(|line| line.contains(".yaml`"));
    let quoted =
        |text: &str| -> Vec<String> { text.split('"').skip(1).step_by(2).map(str::to_owned).collect() };
    let (statements, pages) = table.split_once("## Pages").unwrap();
    let listed: BTreeSet<String> = quoted(pages).into_iter().collect();
    let left_out = statements.split_once("## Not shown here").unwrap().1;
    let places = rows.map(|row| row.split('|').nth(2).unwrap()).chain([left_out]);
    let named: BTreeSet<String> = places.flat_map(quoted).collect();
    assert_eq!(named, listed, "the pages that rows name, and the list of pages");
    let mut found = Vec::new();
    files(folder, &mut found);
    let mut names: BTreeSet<String> =
        found.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    for row in table.lines().filter(|line| line.contains(".yaml`")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [statement, place, profile, listed] = cells[..] else { panic!("four cells: {row}") };
        assert!(!statement.is_empty() && !place.is_empty(), "{row}");
        for name in listed.split(',').map(|name| name.trim().trim_matches('`')) {
            let text = std::fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            let named = ["20.10", "29"].into_iter().find(|p| text.contains(&format!("profile: \"{p}\"")));
            let expected = named.unwrap_or("28");
            assert_eq!(profile, expected, "{row}");
            names.remove(name);
        }
    }
    assert!(names.is_empty(), "in no row of scenarios/docs/README.md: {names:?}");
}
