//! The rules of the bridge driver, table by table. `tests/goldens/rules/` has one page for each thing a network can be,
//! with what each engine writes for it: 20.10 as a real one did, 28 and 29 as the listings of moby's own tests have it,
//! and where those say nothing, as its source does: they list no ip6tables. In the listings of moby's tests forwarding
//! was on before; here the daemon turns it on and FORWARD drops. A real 28.5.2 wrote the same for every page but the last,
//! which needs firewalld, in both families.
//!
//! A page's IPv6 tables are those of a fresh daemon, the first page's, unless it has its own.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read files and fail by panicking")]

mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::profile::Profile;
use recorded::Stage;

/// A page: the daemon's settings, command lines, and the rules by engine and table.
struct Page {
    settings: Vec<(String, String)>,
    lines: Vec<String>,
    tables: BTreeMap<(String, String), String>,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut page = Page { settings: Vec::new(), lines: Vec::new(), tables: BTreeMap::new() };
        let mut table = None;
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(heading) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                let (engine, name) = heading.split_once(' ').unwrap();
                let key = (engine.to_owned(), name.to_owned());
                page.tables.insert(key.clone(), String::new());
                table = Some(key);
            } else if let Some(key) = &table {
                *page.tables.get_mut(key).unwrap() += &format!("{line}\n");
            } else if let Some(command) = line.strip_prefix("$ ") {
                page.lines.push(command.to_owned());
            } else if let Some(setting) = line.strip_prefix("daemon: ") {
                let (key, value) = setting.split_once(' ').unwrap();
                page.settings.push((key.to_owned(), value.to_owned()));
            }
        }
        page
    }

    /// What the page says of an engine, table by table.
    fn tables_of(&self, engine: &str) -> BTreeMap<&str, &str> {
        let own = self.tables.iter().filter(|((of, _), _)| of == engine);
        own.map(|((_, table), rules)| (table.as_str(), rules.as_str())).collect()
    }

    fn config(&self, profile: Profile) -> DaemonConfig {
        let mut config = DaemonConfig { profile, ..DaemonConfig::default() };
        for (key, value) in &self.settings {
            let flag = value == "true";
            match key.as_str() {
                "userland-proxy" => config.userland_proxy = flag,
                "icc" => config.icc = flag,
                "ip6tables" => config.ip6tables = Some(flag),
                "iptables" => config.iptables = flag,
                "allow-direct-routing" => config.allow_direct_routing = flag,
                other => panic!("the pages have no setting {other}"),
            }
        }
        config
    }
}

/// The rules of a host table by table, built-in policies left out except FORWARD's. IPv6 tables are `filter6` and so on.
fn tables(stage: &mut Stage) -> BTreeMap<String, String> {
    let mut tables = BTreeMap::new();
    for (program, suffix) in [("iptables", ""), ("ip6tables", "6")] {
        for table in ["filter", "nat", "raw", "mangle"] {
            let listing = stage.on_host(&format!("{program} -t {table} -S")).stdout;
            let kept = |line: &&str| !line.starts_with("-P") || table == "filter" && line.contains("FORWARD");
            let rules: String = listing.lines().filter(kept).map(|line| format!("{line}\n")).collect();
            if !rules.is_empty() {
                tables.insert(format!("{table}{suffix}"), rules);
            }
        }
    }
    tables
}

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/rules");
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

fn check(profile: Profile) {
    let mut differences = String::new();
    let mut compared = 0;
    let fresh_page = Page::read(&pages()[0]);
    for path in pages() {
        let page = Page::read(&path);
        let engine = profile.to_string();
        let mut expected = page.tables_of(&engine);
        if expected.is_empty() {
            continue;
        }
        compared += 1;
        for (table, rules) in fresh_page.tables_of(&engine) {
            if table.ends_with('6') {
                expected.entry(table).or_insert(rules);
            }
        }
        let mut stage = Stage::with(page.config(profile));
        let fresh = tables(&mut stage);
        for line in &page.lines {
            match line.split_whitespace().next() {
                Some("docker") => drop(stage.ok(line)),
                Some("firewalld") => stage.reload_firewall(),
                _ => assert_eq!(stage.on_host(line).exit, 0, "{line}"),
            }
        }
        let found = tables(&mut stage);
        let found: BTreeMap<&str, &str> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        if found != expected {
            let name = path.file_name().unwrap().to_string_lossy();
            writeln!(differences, "=== {engine} {name}\nexpected {expected:#?}\nfound {found:#?}").unwrap();
        }
        if page.lines.iter().any(|line| line == "firewalld reload") {
            continue;
        }
        // Nothing of a container or a network outlives it.
        for line in ["docker ps -aq", "docker network ls -q --filter type=custom"] {
            let remove = if line.contains("network") { "docker network rm" } else { "docker rm -f" };
            for id in stage.ok(line).split_whitespace() {
                stage.ok(&format!("{remove} {id}"));
            }
        }
        // What stays are the daemon's own jumps, which may have come with the first network, and the policy of IPv6.
        let lines = |tables: &BTreeMap<String, String>| -> BTreeSet<(String, String)> {
            let lines = |(table, rules): (&String, &String)| -> Vec<(String, String)> {
                rules.lines().map(|rule| (table.clone(), rule.to_owned())).collect()
            };
            let jump = |rule: &str| rule.starts_with("-P") || rule.ends_with("-j DOCKER-ISOLATION-STAGE-1");
            let own = |rule: &str| jump(rule) || rule.ends_with("--dst-type LOCAL -j DOCKER");
            tables.iter().flat_map(lines).filter(|(_, rule)| !own(rule)).collect()
        };
        let left = lines(&tables(&mut stage));
        if left != lines(&fresh) {
            writeln!(differences, "=== {engine} {} leaves {left:#?}", path.display()).unwrap();
        }
    }
    assert_eq!(compared, pages().len(), "every page has rules of {profile}");
    assert!(differences.is_empty(), "{}", differences.replace("\\n", "\n"));
}

#[test]
fn the_rules_of_20_10_are_those_of_a_real_engine() {
    check(Profile::Docker20_10);
}

#[test]
fn the_rules_of_28_are_those_of_mobys_listings() {
    check(Profile::Docker28);
}

#[test]
fn the_rules_of_29_are_those_of_mobys_listings() {
    check(Profile::Docker29);
}
