//! The matrix from outside: it says what single probes say, costs what its frames cost, and compares.
//!
//! That its text equals recordings of a real engine is shown by `docker_parity.rs`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking")]

use std::path::Path;

use linkspan::lab::matrix::{By, Matrix, Outcome, PartyKind, Scope, Tried, diff, matrix};
use linkspan::scenario::model::Profile;
use linkspan::scenario::render::Style;
use linkspan::scenario::{DiskSource, LoadOptions, MemorySource, Scenario, load, run};
use linkspan::world::Location;
use linkspan::world::probe::{Attempt, ProbeOutcome};

fn file(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    load(&DiskSource, &path, &LoadOptions::default()).unwrap()
}

fn text(text: &str) -> Scenario {
    let source = MemorySource::default().with_file("shop/compose.yaml", text);
    load(&source, Path::new("shop/compose.yaml"), &LoadOptions::default()).unwrap()
}

/// The outcome of the attempt that is told by its labels, as `web -> db: name db, 5432/tcp`.
#[track_caller]
fn outcome(found: &Matrix, wanted: &str) -> Outcome {
    let told = |tried: &Tried| {
        let (from, to) = (&found.party(tried.from).label, &found.party(tried.to).label);
        format!("{from} -> {to}: {}, {}", tried.by, tried.attempt)
    };
    let all: Vec<String> = found.attempts.iter().map(told).collect();
    let at = all.iter().position(|text| text == wanted);
    found.attempts[at.unwrap_or_else(|| panic!("{wanted} is not among\n{}", all.join("\n")))].outcome
}

#[test]
fn many_at_once_end_as_one_at_a_time() {
    for name in ["compose/front-back.yaml", "docs/13-icc-false.yaml", "compose/vpn-sidecar.yaml"] {
        let scenario = file(name);
        let found = matrix(&scenario, 0, Scope::Everything).unwrap();
        let (mut world, host, _) = run::play(&scenario, 0).unwrap();
        assert!(found.attempts.len() > 40, "{name}: {} attempts", found.attempts.len());
        for tried in &found.attempts {
            let from = found.party(tried.from);
            let location = match from.kind {
                PartyKind::Container => Location::Container(host, from.name.clone()),
                PartyKind::Host => Location::Host(host),
                PartyKind::Machine => Location::Machine(from.name.clone()),
            };
            let target = match &tried.by {
                By::Name(name) => name.clone(),
                By::Address { address, .. } | By::Published { address, .. } => address.to_string(),
            };
            let alone = world.probe(&location, &target, tried.attempt).unwrap();
            let same = match tried.outcome {
                Outcome::Ok(seen) => alone == ProbeOutcome::Ok(seen),
                Outcome::Silent | Outcome::Closed => alone == ProbeOutcome::Ok(None),
                Outcome::Refused => alone == ProbeOutcome::Refused,
                Outcome::Timeout => alone == ProbeOutcome::Timeout,
                Outcome::Unreachable | Outcome::NoRouteBeyond | Outcome::NoRoute => {
                    alone == ProbeOutcome::Unreachable
                }
                Outcome::Unresolved | Outcome::NameTimeout => alone == ProbeOutcome::Unresolved,
                Outcome::NoAnswer => alone == ProbeOutcome::NoAnswer,
                Outcome::NotMade => false,
            };
            assert!(
                same,
                "{name}: {} {} {}: {:?}, alone {alone:?}",
                from.label, tried.by, tried.attempt, tried.outcome
            );
        }
    }
}

#[test]
fn names_ports_and_sources_are_told() {
    let found = matrix(
        &text(
            "\
services:
  web: {image: nginx, ports: ['8080:80'], networks: {front: {aliases: [www]}}}
  client: {image: busybox, command: sleep infinity, networks: [front]}
  db: {image: postgres, networks: [back]}
  dns: {image: busybox, command: listen 53/udp, expose: ['53/udp'], networks: [front]}
  off: {image: busybox, command: 'true', networks: [front]}
networks:
  front: {}
  back: {internal: true}
",
        ),
        0,
        Scope::Everything,
    )
    .unwrap();
    for name in ["web", "shop-web-1", "www"] {
        let client = "172.18.0.3".parse().unwrap();
        assert_eq!(
            outcome(&found, &format!("client -> web: name {name}, 80/tcp")),
            Outcome::Ok(Some(client))
        );
    }
    assert_eq!(outcome(&found, "client -> db: name db, ping"), Outcome::Unresolved);
    assert!(matches!(outcome(&found, "client -> dns: name dns, 53/udp"), Outcome::Ok(Some(_))));
    let gateway = "203.0.113.10".parse().unwrap();
    let outside = outcome(&found, "client -> outside: 198.51.100.7 (internet), 80/tcp");
    assert_eq!(outside, Outcome::Ok(Some(gateway)), "masquerade");
    let published = "outside -> host: 203.0.113.10:8080 (web 80/tcp), 8080/tcp";
    assert!(outcome(&found, published).reaches());
    assert!(outcome(&found, "host -> host: 127.0.0.1:8080 (web 80/tcp), 8080/tcp").reaches());
    let off = found.parties.iter().find(|party| party.label == "off").unwrap();
    assert!(found.attempts.iter().all(|tried| found.party(tried.from) != off), "it does not run");
    let table = found.table(Style::Plain, false).join("\n");
    assert!(table.contains("not running\n  container shop-off-1 is not running"), "{table}");
}

#[test]
fn a_proxy_without_a_server_behind_it_is_told_from_a_server() {
    let scenario = text(
        "services:\n  web: {image: busybox, command: sleep infinity, ports: ['8080:80']}\nimages:\n  busybox: {listen: []}\n",
    );
    let found = matrix(&scenario, 0, Scope::Everything).unwrap();
    assert_eq!(outcome(&found, "host -> host: 127.0.0.1:8080 (web 80/tcp), 8080/tcp"), Outcome::Closed);
    assert_eq!(
        outcome(&found, "outside -> host: 203.0.113.10:8080 (web 80/tcp), 8080/tcp"),
        Outcome::Refused
    );
}

#[test]
fn only_pings_when_only_pings_are_wanted() {
    let found = matrix(&file("compose/front-back.yaml"), 0, Scope::Pings).unwrap();
    assert!(found.attempts.iter().all(|tried| tried.attempt == Attempt::Ping));
}

#[test]
fn pingall_is_one_ping_of_every_ordered_pair_of_containers() {
    let found = matrix(&big(16, 2), 0, Scope::PingAll).unwrap();
    assert_eq!(found.attempts.len(), 16 * 15);
    let ping = |tried: &Tried| tried.attempt == Attempt::Ping && matches!(tried.by, By::Address { .. });
    assert!(found.attempts.iter().all(ping));
    let reached = found.attempts.iter().filter(|tried| tried.outcome == Outcome::Ok(None)).count();
    assert_eq!(reached, 2 * 8 * 7, "those of one network reach one another");
}

#[test]
fn a_grid_for_a_few_and_a_list_for_many() {
    let found = matrix(&file("compose/front-back.yaml"), 0, Scope::Everything).unwrap();
    insta::assert_snapshot!("front_back", found.table(Style::Plain, false).join("\n"));
    let found = matrix(&big(16, 2), 0, Scope::Pings).unwrap();
    insta::assert_snapshot!("two_networks_of_eight", found.table(Style::Plain, false).join("\n"));
    let coloured = found.table(Style::Colour, false).join("\n");
    assert!(coloured.contains('\u{1b}'));
}

#[test]
fn two_runs_find_the_same() {
    let scenario = file("compose/web-db-redis.yaml");
    let once = || matrix(&scenario, 7, Scope::Everything).unwrap().json().to_string();
    assert_eq!(once(), once());
}

/// So many containers, spread over so many networks.
fn big(containers: usize, networks: usize) -> Scenario {
    let mut yaml = "networks:\n".to_owned();
    (0..networks).for_each(|n| yaml.push_str(&format!("  n{n}: {{}}\n")));
    yaml.push_str("services:\n");
    for c in 0..containers {
        yaml.push_str(&format!("  c{c:03}: {{image: nginx, networks: [n{}]}}\n", c % networks));
    }
    text(&yaml)
}

/// Silence waits side by side, so time does not grow with pairs, and an attempt costs the same frames among many.
#[test]
fn an_attempt_costs_the_same_among_many() {
    let cost = |containers, networks| {
        let found = matrix(&big(containers, networks), 0, Scope::Everything).unwrap();
        (found.totals.frames as f64 / found.attempts.len() as f64, found.totals.time.as_secs())
    };
    let (few, _) = cost(10, 2);
    let (many, time) = cost(40, 8);
    assert!(many < few * 1.5, "{few:.1} frames an attempt among 10 containers, {many:.1} among 40");
    assert!(time <= 30, "{time} s of virtual time for 1,400 pairs that do not reach each other");
}

#[test]
fn a_comparison_tells_what_changes_and_only_that() {
    let before = file("compose/front-back.yaml");
    let measure = |scenario: &Scenario| matrix(scenario, 0, Scope::Everything).unwrap();
    let old = measure(&before);
    let same = diff(("a", &old), ("b", &measure(&before)));
    assert_eq!((same.compared, same.changes.len()), (old.attempts.len(), 0));

    let mut later = before.clone();
    later.daemon.profile = Some(Profile::Docker20_10);
    let changed = diff(("28", &old), ("20.10", &measure(&later)));
    let only = |change: &&linkspan::lab::matrix::Change| change.from != "db";
    assert_eq!(changed.changes.iter().find(only), None, "only the internal network's container is concerned");
    let ping = |change: &&linkspan::lab::matrix::Change| {
        change.by == "name www.example.test" && change.attempt == "ping"
    };
    let found = changed.changes.iter().find(ping).unwrap();
    assert_eq!((found.before, found.after), (Some(Outcome::Unresolved), Some(Outcome::NameTimeout)));

    let mut fewer = before.clone();
    fewer.services.retain(|service| service.name.value != "proxy");
    let gone = diff(("all", &old), ("without", &measure(&fewer)));
    assert!(gone.changes.iter().any(|change| change.to == "proxy" && change.after.is_none()));
}

#[test]
fn many_refusals_of_one_source_are_told_as_if_each_were_alone() {
    let found = matrix(
        &text(
            "\
services:
  dns: {image: busybox, command: listen 53/udp, expose: ['53/udp'], deploy: {replicas: 12}}
  client: {image: busybox, command: sleep infinity}
steps:
  - {in: host, run: iptables -I DOCKER-USER -p udp --dport 53 -j REJECT}
",
        ),
        0,
        Scope::Everything,
    )
    .unwrap();
    let of_client = |tried: &&Tried| {
        let (from, to) = (found.party(tried.from), found.party(tried.to));
        from.label == "client" && to.label.contains("dns") && tried.attempt == Attempt::Udp(53)
    };
    let outcomes: Vec<Outcome> = found.attempts.iter().filter(of_client).map(|tried| tried.outcome).collect();
    assert!(outcomes.len() >= 12, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Refused), "{outcomes:?}");
}
