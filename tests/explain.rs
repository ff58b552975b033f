//! `linkspan explain`: what it tells of every scenario under `scenarios/explain`, and what it says to wrong questions.
//!
//! The head of each scenario has the command to type; its answer is the golden of the same name under
//! `tests/goldens/explain`. `LINKSPAN_BLESS=1` writes the goldens anew; a golden is to be read, as a learner would read
//! it, before it is committed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "the goldens and the scenarios are on disk")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use linkspan::lab::{self, ExplainError, ExplainOptions, Explanation, Question};
use linkspan::observe::explain::{DropReason, Outcome};
use linkspan::scenario::{DiskSource, LoadOptions, MemorySource, Scenario, load};

const FOLDER: &str = "scenarios/explain";

/// The scenarios, in the order of their names.
fn scenarios() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

/// The question and the payload's size of the command in a scenario's head.
fn command(path: &Path) -> (Question, Option<usize>) {
    let text = fs::read_to_string(path).unwrap();
    let marker = format!("#   linkspan explain {} ", path.display());
    let line = text.lines().find_map(|line| line.strip_prefix(&marker));
    let line = line.unwrap_or_else(|| panic!("{}: no `{marker}` in its head", path.display()));
    let (options, question) = line.split_once('"').unwrap();
    let size = options.trim().strip_prefix("--size ").map(|size| size.parse().unwrap());
    (question.trim_end_matches('"').parse().unwrap(), size)
}

fn explained(path: &Path) -> Explanation {
    let (question, size) = command(path);
    let scenario = load(&DiskSource, path, &LoadOptions::default()).unwrap();
    lab::explain(&scenario, &question, ExplainOptions { size, ..ExplainOptions::default() }).unwrap()
}

/// Compares with a golden, or writes it.
fn hold(name: &str, found: &str) -> Option<String> {
    let path = Path::new("tests/goldens/explain").join(name);
    if env::var_os("LINKSPAN_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
        return None;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if golden == found {
        return None;
    }
    let (golden, found): (Vec<&str>, Vec<&str>) = (golden.lines().collect(), found.lines().collect());
    let at = golden.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let line = |lines: &[&str]| lines.get(at).copied().unwrap_or("(the end)").to_owned();
    Some(format!("{name}, line {}\n  golden: {}\n  found:  {}", at + 1, line(&golden), line(&found)))
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Where a reason is shown, or why nobody can cause it.
enum Cover {
    /// By the golden of this name.
    Golden(&'static str),
    /// No scenario can make it the end of an attempt.
    Cannot(&'static str),
}

/// A reason that is added does not compile until it is covered here.
fn cover(reason: DropReason) -> Cover {
    use Cover::{Cannot, Golden};
    match reason {
        DropReason::BadFrame => {
            Cannot("arping, arpspoof and macof send whole frames, and what is asked sends none of its own")
        }
        DropReason::BadPacket => {
            Cannot("hping3 makes whole headers, and what is asked leaves them to the kernel")
        }
        DropReason::BadChecksum => Cannot("links that corrupt packets are refused in this release"),
        DropReason::DeviceDown => Golden("46-bridge-down"),
        DropReason::NoCarrier => Cannot("every card is plugged into a LAN, and every veth has two ends"),
        DropReason::OtherHost => Golden("29-address-moved"),
        DropReason::UnknownEtherType => Cannot("programs that make frames make ARP and IP"),
        DropReason::ExceedsMtu => Golden("45-unequal-mtus"),
        DropReason::LinkCut => Golden("09-link-cut"),
        DropReason::LinkLoss => Golden("10-link-loss"),
        DropReason::LinkQueueFull => Golden("12-slow-link"),
        DropReason::BridgeSamePort => Golden("34-one-mac-for-two"),
        DropReason::BridgeNoPort => Golden("14-stopped-container"),
        DropReason::BridgeIsolated => Cannot("Docker isolates no bridge port, and no program can"),
        DropReason::ChildIsolated => Golden("38-private-ipvlan-l3"),
        DropReason::BridgeReserved => Cannot("no program sends to link-local groups of IEEE 802.1Q"),
        DropReason::BridgeBadSource => Golden("15-multicast-mac"),
        DropReason::Filtered => Golden("02-isolated-networks"),
        DropReason::Rejected => Golden("03-rejected-by-docker-user"),
        DropReason::ConnectionTableFull => Cannot(
            "unanswered connections of a flood make room, and 262,144 answered ones are too many for a run",
        ),
        DropReason::NoFreePort => Golden("16-no-free-port"),
        DropReason::Untranslatable => Golden("27-untranslatable"),
        DropReason::Fragment => Golden("75-fragments-without-room"),
        DropReason::NoRoute => Golden("08-host-without-a-route"),
        DropReason::ForwardingOff => Golden("07-forwarding-off"),
        DropReason::Martian => Golden("13-translated-to-loopback"),
        DropReason::LocalSource => Golden("31-hairpin-by-hand"),
        DropReason::ReversePath => Golden("47-reverse-path"),
        DropReason::TtlExceeded => Golden("44-circle"),
        DropReason::FragmentationNeeded => Golden("11-large-packets"),
        DropReason::NeighbourFailed => Golden("05-nobody-has-the-address"),
        DropReason::NeighbourQueueFull => Golden("28-too-many-wait"),
        DropReason::NeighbourTableFull => Cannot(
            "it takes 65,536 neighbours that are asked for within 3 seconds; entries that nobody waits for make room",
        ),
        DropReason::Ipv6Disabled => Golden("74-ipv6-switched-off"),
        DropReason::NoSocket => Golden("04-nothing-listens"),
        DropReason::ReceiveBufferFull => Golden("26-receive-buffer-full"),
        DropReason::NoProtocol => Cannot("what is asked sends TCP, UDP and ICMP, which every kernel takes"),
        DropReason::BacklogFull => Golden("25-backlog-full"),
        DropReason::NotForUs => Golden("30-broadcast"),
        DropReason::Gone => Cannot("nothing is removed while one attempt is made"),
    }
}

#[test]
fn every_scenario_is_explained_as_its_golden_says() {
    let mut wrong = Vec::new();
    let mut reasons: BTreeMap<DropReason, Vec<String>> = BTreeMap::new();
    for path in scenarios() {
        let explanation = explained(&path);
        let name = name_of(&path);
        if let Some(root) = explanation.root() {
            reasons.entry(root.reason).or_default().push(name.clone());
        }
        let again = explained(&path);
        assert_eq!(explanation, again, "{name}: two runs, two explanations");
        wrong.extend(hold(&format!("{name}.txt"), &format!("{explanation}\n")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for reason in DropReason::ALL {
        let shown = reasons.get(&reason).map(Vec::as_slice).unwrap_or_default();
        match cover(reason) {
            Cover::Golden(name) => {
                assert!(shown.iter().any(|s| s == name), "{reason:?} is not in {name}: {shown:?}")
            }
            Cover::Cannot(why) => assert!(shown.is_empty(), "{reason:?} is in {shown:?}, but: {why}"),
        }
    }
}

#[test]
fn colours_wrap_the_same_words() {
    let explanation = explained(&Path::new(FOLDER).join("02-isolated-networks.yaml"));
    let coloured = explanation.render(lab::Layout::Ansi);
    assert!(coloured.contains("\x1b[34m── from here Docker's rules:"), "{coloured}");
    let codes = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[34m"];
    let plain = codes.iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(plain, explanation.to_string());
}

/// Text for people and JSON for programs tell the same: every hop in its order, the end, the cause and what to do.
#[test]
fn json_and_text_tell_the_same() {
    for path in scenarios() {
        let explanation = explained(&path);
        let (text, value) = (explanation.to_string(), explanation.to_json());
        let name = name_of(&path);
        let mut rest = text.as_str();
        let mut next = |what: &str| {
            let at = rest
                .find(what)
                .unwrap_or_else(|| panic!("{name}: the text has no {what:?}, in its place:\n{text}"));
            rest = &rest[at + what.len()..];
        };
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        for (at, passage) in value["passages"].as_array().unwrap().iter().enumerate() {
            next(&format!("\n{}. ", at + 1));
            next(&format!(
                "{} → {}  {}",
                word(&passage["from"]),
                word(&passage["to"]),
                word(&passage["summary"])
            ));
            for hop in passage["hops"].as_array().unwrap() {
                next(&word(&hop["text"]));
            }
        }
        next(&format!("\n{}: {}", word(&value["outcome"]), word(&value["sentence"])));
        if value["drop"].is_object() {
            next(&word(&value["drop"]["text"]));
        }
        for error in value["errors"].as_array().unwrap() {
            next(&word(error));
        }
        if value["cause"].is_object() {
            next(&word(&value["cause"]["text"]));
            if let Some(file) = value["cause"]["line"]["file"].as_str() {
                next(&format!(
                    "{file}:{}:{}",
                    value["cause"]["line"]["line"], value["cause"]["line"]["column"]
                ));
            }
            next(&word(&value["cause"]["suggestion"]));
        }
        // What the text has beyond: nothing but what a drop means where no cause is known.
        let left = rest.trim();
        assert!(left.is_empty() || left.starts_with("meaning "), "{name}: {left}");
        let passages = value["passages"].as_array().unwrap();
        let hops: usize = passages.iter().map(|passage| passage["hops"].as_array().unwrap().len()).sum();
        let told = text.split_once("\n1. ").map_or("", |(_, told)| told);
        let told = told.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
        let remark = |line: &&str| line.starts_with("    ──") || line.contains(" more like it");
        assert_eq!(told.filter(|line| !remark(line)).count(), hops, "{name}: a hop is in the text only");
    }
}

#[test]
fn json_has_a_stable_shape() {
    let mut wrong = Vec::new();
    for name in [
        "01-name-of-another-network",
        "02-isolated-networks",
        "04-nothing-listens",
        "05-nobody-has-the-address",
        "11-large-packets",
        "15-multicast-mac",
        "19-published-to-the-wrong-port",
        "22-published-port",
        "33-through-the-proxy",
        "41-in-anothers-namespace",
        "42-in-the-hosts-namespace",
        "48-default-route-gone",
        "49-not-masqueraded",
        "54-hosts-file-edited",
        "59-paused-server",
    ] {
        let value = explained(&Path::new(FOLDER).join(format!("{name}.yaml"))).to_json();
        wrong.extend(hold(&format!("{name}.json"), &format!("{value:#}\n")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn scenario(text: &str) -> Scenario {
    load(&MemorySource::default().with_file("a.yaml", text), Path::new("a.yaml"), &LoadOptions::default())
        .unwrap()
}

fn ask(text: &str, question: &str) -> Result<Explanation, ExplainError> {
    lab::explain(&scenario(text), &question.parse().unwrap(), ExplainOptions::default())
}

const SHOP: &str = "\
name: shop
services:
  web: {image: nginx}
  db: {image: postgres}
  job: {image: busybox, command: 'true'}
world:
  machines:
    bank: {address: 203.0.113.60/24, listen: [443]}
";

#[test]
fn an_unknown_place_is_told_with_the_nearest() {
    let error = ask(SHOP, "wbe -> db:5432").unwrap_err().to_string();
    assert!(error.contains("no container, host or machine `wbe`; did you mean `web`?"), "{error}");
    assert!(error.contains("web, db, job, host, world:bank, world:outside"), "{error}");
    let error = ask(SHOP, "world:bnak -> host").unwrap_err().to_string();
    assert!(error.contains("did you mean `world:bank`?"), "{error}");
    let error = ask(SHOP, "web -> world:nowhere:80").unwrap_err().to_string();
    assert!(error.contains("`world:nowhere`"), "{error}");
}

#[test]
fn a_container_that_ended_cannot_ask() {
    let error = ask(SHOP, "job -> db:5432").unwrap_err();
    assert!(matches!(error, ExplainError::NotRunning { .. }));
    assert!(
        error.to_string().contains("shop-job-1 is not running, so it cannot send anything: its command"),
        "{error}"
    );
}

#[test]
fn what_kept_a_container_from_asking_is_named() {
    let stopped = format!("{SHOP}steps:\n  - docker stop shop-web-1\n  - docker pause shop-db-1\n");
    let error = ask(&stopped, "web -> db:5432").unwrap_err().to_string();
    assert!(error.ends_with("cannot send anything: it was stopped by a step (a.yaml:10:5)"), "{error}");
    let error = ask(&stopped, "db -> host").unwrap_err().to_string();
    assert!(error.contains("it was paused by a step (a.yaml:11:5); `docker unpause shop-db-1`"), "{error}");
}

#[test]
fn addresses_that_are_nobodys_are_told() {
    for (question, text) in [
        ("web -> 0.0.0.0:81", "0.0.0.0 means web itself"),
        ("web -> 255.255.255.255:80", "255.255.255.255 is everybody on the link"),
        ("web -> 224.0.0.5:5000/udp", "224.0.0.5 is the address of a group"),
        ("web -> 300.1.1.1:80", "300.1.1.1 is no IPv4 address"),
        ("web -> 10.0.0.1.2:80", "10.0.0.1.2 is no IPv4 address"),
    ] {
        let (_, found, _) = cause(SHOP, question);
        assert!(found.starts_with(text), "{question}: {found}");
    }
}

#[test]
fn a_step_that_is_not_to_blame_is_not_named() {
    let routed = "\
name: routed
daemon: {profile: '20.10'}
services:
  router: {image: alpine, command: sleep 1d, networks: {a: {ipv4_address: 10.1.0.9}, b: {ipv4_address: 10.2.0.9}}}
  c: {image: busybox, command: sleep 1d, networks: [a], cap_add: [NET_ADMIN]}
  s: {image: nginx, networks: [b], cap_add: [NET_ADMIN]}
networks:
  a: {ipam: {config: [{subnet: 10.1.0.0/24}]}}
  b: {ipam: {config: [{subnet: 10.2.0.0/24}]}}
steps:
  - {in: c, run: ip route add 10.2.0.0/24 via 10.1.0.9}
  - {in: s, run: ip route add 10.1.0.0/24 via 10.2.0.9}
";
    assert!(ask(routed, "c -> 10.2.0.2:80").unwrap().outcome.is_reached(), "the route leads where it should");
    let (_, text, _) = cause(routed, "c -> 10.2.0.2:81");
    assert_eq!(text, "s listens on 80/tcp, not on 81");
    let closed = format!("{routed}  - {{in: s, run: iptables -A INPUT -p tcp -j DROP}}\n");
    let (_, text, _) = cause(&closed, "c -> 10.2.0.2:80");
    assert_eq!(text, "a rule that is not Docker's refuses it");

    let resolver =
        format!("{SHOP}steps:\n  - {{in: web, run: echo nameserver 203.0.113.1 > /etc/resolv.conf}}\n");
    let (_, text, _) = cause(&resolver, "web -> www.exmaple.test:80");
    assert_eq!(text, "nothing has the name www.exmaple.test");
    let (_, text, _) = cause(&resolver, "web -> db:5432");
    assert!(text.starts_with("/etc/resolv.conf of web, as a step wrote it, names 203.0.113.1"), "{text}");
    let hosts = format!("{SHOP}steps:\n  - {{in: web, run: echo 203.0.113.60 bank.test >> /etc/hosts}}\n");
    let (_, text, _) = cause(&hosts, "web -> bank.test:80");
    assert_eq!(text, "bank does not listen on 80");
}

#[test]
fn machines_and_containers_may_be_named_in_full() {
    for from in ["bank", "world:bank"] {
        assert!(ask(SHOP, &format!("{from} -> host")).unwrap().outcome.is_reached(), "{from}");
    }
    assert!(ask(SHOP, "shop-web-1 -> shop-db-1:5432").unwrap().outcome.is_reached());
    assert!(ask(SHOP, "host -> world:bank:443").unwrap().outcome.is_reached());
}

fn cause(text: &str, question: &str) -> (Outcome, String, String) {
    let explanation = ask(text, question).unwrap();
    let cause = explanation.cause.clone().unwrap_or_else(|| panic!("no cause:\n{explanation}"));
    (explanation.outcome, cause.text, cause.suggestion)
}

#[test]
fn what_is_suggested_can_work() {
    let text = "\
name: s
services:
  web: {image: nginx, networks: [n], deploy: {replicas: 2}}
  job: {image: busybox, command: sleep 1d, networks: [secret]}
  six: {image: nginx, networks: [v6]}
networks: {n: , secret: {internal: true}, v6: {enable_ipv6: true}}
";
    let (_, _, suggestion) = cause(text, "job -> web:80");
    assert_eq!(suggestion, "connect job to `n`", "nothing leads from an internal network to the host");
    let (_, text_of, _) = cause(text, "six -> 2001:db8::1");
    assert_eq!(text_of, "host has no route to 2001:db8::1");
    let (_, text_of, _) = cause(text, "world:outside -> [2001:db8::10]:80");
    assert!(text_of.starts_with("outside has no IPv6 address"), "{text_of}");
    let error = ask(text, "web-2 -> six:80").unwrap_err().to_string();
    assert!(error.contains("did you mean `s-web-2`? Else there are web, s-web-1, s-web-2,"), "{error}");
}

#[test]
fn who_shares_a_namespace_is_followed_there() {
    let text = "\
name: s
services:
  a: {image: nginx, networks: [n, m]}
  side: {image: busybox, command: sleep 1d, network_mode: 'service:a'}
  agent: {image: busybox, command: sleep 1d, network_mode: host}
  db: {image: postgres, networks: [n]}
networks: {n: , m: }
";
    for (question, within) in [("side -> db:5432", "s-a-1"), ("agent -> 172.18.0.2:80", "host")] {
        let explanation = ask(text, question).unwrap();
        assert!(explanation.outcome.is_reached(), "{explanation}");
        assert_eq!(explanation.attempt.namespace, within);
        assert_eq!(explanation.passages.len(), 2, "there and back:\n{explanation}");
        assert!(!explanation.to_string().contains("/etc/hosts"), "{explanation}");
    }
}

#[test]
fn a_name_that_nobody_has_is_told_with_the_nearest() {
    let (outcome, text, suggestion) = cause(SHOP, "web -> bd:5432");
    assert_eq!((outcome, text.as_str()), (Outcome::Unresolved, "nothing has the name bd"));
    assert_eq!(suggestion, "did you mean `db`?");
    let (_, _, suggestion) = cause(SHOP, "web -> bank:443");
    assert!(suggestion.contains("world:bank"), "{suggestion}");
    let (_, text, _) = cause(SHOP, "web -> job");
    assert_eq!(text, "job does not run: it ended with status 0");
    let (_, text, suggestion) = cause(SHOP, "host -> db:5432");
    assert!(text.contains("not to host"), "{text}");
    assert!(suggestion.contains("publish it"), "{suggestion}");
}

#[test]
fn steps_count_unless_asked_before_them() {
    let text = "\
name: steps
services:
  web: {image: nginx}
  db: {image: postgres}
steps:
  - docker network disconnect steps_default steps-db-1
";
    let after = ask(text, "web -> db:5432").unwrap();
    assert_eq!(after.outcome, Outcome::Unresolved);
    let line = after.cause.unwrap().line.unwrap();
    assert_eq!((line.line, line.column), (6, 5), "{line:?}");
    let options = ExplainOptions { before_steps: true, ..ExplainOptions::default() };
    let before = lab::explain(&scenario(text), &"web -> db:5432".parse().unwrap(), options).unwrap();
    assert!(before.outcome.is_reached(), "{before}");
}

/// Scenarios too small for a file of their own: what is asked, the line that is pointed at, and a part of what is said.
const CAUSES: &[(&str, &str, usize, &str)] = &[
    (
        "daemon:\n  icc: false\nsteps:\n  - docker run -d --name aa nginx\n  - docker run -d --name bb nginx\n",
        "aa -> 172.17.0.3:80",
        2,
        "icc is off",
    ),
    (
        "steps:\n  - docker network create -o com.docker.network.bridge.enable_icc=false n\n  - docker run -d --name aa --network n nginx\n  - docker run -d --name bb --network n nginx\n",
        "aa -> bb:80",
        2,
        "icc is off",
    ),
    (
        "services:\n  a:\n    image: nginx\n    network_mode: none\n  b: {image: nginx}\n",
        "a -> 172.18.0.2:80",
        4,
        "no network but its loopback",
    ),
    (
        "services:\n  a:\n    image: nginx\n    network_mode: host\n  b: {image: nginx}\n",
        "b -> a:80",
        4,
        "uses the host's network",
    ),
    (
        "services:\n  a: {image: nginx}\nnetworks:\n  default:\n    internal: true\n",
        "a -> example.com:80",
        5,
        "is internal",
    ),
    (
        "services:\n  a: {image: nginx}\n  s:\n    image: busybox\n    command: sleep 1d\n    network_mode: service:a\n  b: {image: nginx}\n",
        "b -> s:80",
        6,
        "s is in a's namespace",
    ),
    (
        "services:\n  a: {image: nginx}\n  b:\n    image: busybox\n    command: sleep 1d\n    dns: [9.9.9.9]\n",
        "b -> www.example.test:80",
        6,
        "the name server 9.9.9.9 that b asks is out of reach",
    ),
    (
        "services:\n  b:\n    image: busybox\n    command: sleep 1d\n    network_mode: host\n    dns: [9.9.9.9]\n",
        "b -> www.example.test:80",
        6,
        "the name server 9.9.9.9 that b asks is out of reach",
    ),
    ("services:\n  a: {image: nginx}\n", "a -> host.docker.internal:80", 2, "to those that ask for it"),
    (
        "services:\n  a: {image: nginx}\n  b: {image: nginx}\nsteps:\n  - docker rm -f small-a-1\n",
        "b -> a:80",
        5,
        "a has no container any more",
    ),
    (
        "services:\n  a: {image: nginx}\n  b:\n    image: nginx\n    network_mode: none\n",
        "b -> a:80",
        5,
        "b has no network but its loopback",
    ),
    ("services:\n  a: {image: nginx}\n  b: {image: nginx}\n", "b -> a:80/udp", 2, "on 80/tcp, not on 80/udp"),
    (
        "services:\n  a:\n    image: nginx\n    ports: ['8080:80']\n",
        "world:outside -> host:80",
        4,
        "port 80 of a is published as port 8080",
    ),
    (
        "services:\n  a: {image: busybox, command: 'false'}\n  b: {image: nginx}\nnetworks:\n  default: {}\n",
        "b -> 172.18.0.77:80",
        5,
        "has the address 172.18.0.77",
    ),
    (
        "services:\n  evil: {image: busybox, command: sleep 1d, cap_add: [NET_ADMIN]}\n  web: {image: nginx}\n  client: {image: busybox, command: sleep 1d}\nsteps:\n  - {in: client, run: ping -c 1 web}\n  - {in: evil, run: 'ip link set eth0 down; ip addr del 172.18.0.2/16 dev eth0; ip addr add 172.18.0.3/16 dev eth0; ip link set eth0 up'}\n  - {in: evil, run: 'ping -c 1 client', expect: {}}\n",
        "client -> web:80",
        7,
        "evil has the address 172.18.0.3 too, which Docker gave to web",
    ),
    ("services:\n  a: {image: nginx}\n", "world:outside -> host:80", 2, "no container publishes port 80"),
    (
        "services:\n  a:\n    image: nginx\n    ports: ['8080:81']\nimages:\n  nginx: {listen: [80]}\n",
        "world:outside -> host:8080",
        4,
        "leads to port 81",
    ),
    ("services:\n  a: {image: nginx}\n", "world:outside -> 172.18.0.2:80", 2, "known on their host only"),
    (
        "services:\n  a: {image: nginx}\nworld:\n  machines:\n    bank:\n      address: 203.0.113.60/24\n      listen: [443]\n",
        "a -> 203.0.113.60:80",
        7,
        "bank does not listen on 80",
    ),
    (
        "services:\n  a: {image: nginx}\nworld:\n  links:\n    eth0:\n      down: true\n",
        "a -> 203.0.113.1",
        6,
        "the link eth0 is cut",
    ),
    (
        "services:\n  a: {image: nginx}\nhosts:\n  host:\n    nics:\n      eth0: {address: 203.0.113.10/24, gateway: 203.0.113.1}\n    rules:\n      - -A INPUT -p icmp -j DROP\n",
        "a -> host",
        8,
        "not Docker's",
    ),
    (
        "services:\n  a: {image: nginx}\n  b: {image: nginx}\nsteps:\n  - crash b\n  - wait 1s\n",
        "a -> b",
        5,
        "b does not run",
    ),
    (
        "services:\n  a: {image: nginx}\n  b:\n    image: nginx\n    networks:\n      - other\nnetworks:\n  other: {}\n",
        "a -> b",
        6,
        "they share no network",
    ),
    (
        "services:\n  a: {image: nginx}\nnetworks:\n  default: {}\n",
        "a -> [fd00::1]:80",
        4,
        "no IPv6 addresses",
    ),
    (
        "services:\n  a: {image: nginx}\nworld:\n  machines:\n    bank:\n      address: 203.0.113.60/24\n      routes: [172.18.0.0/16 via 203.0.113.10]\n",
        "world:bank -> 172.18.0.2:80",
        2,
        "own address is for its network",
    ),
    (
        "services:\n  web: {image: nginx}\n  c: {image: busybox, command: sleep 1d, cap_add: [NET_ADMIN]}\nsteps:\n  - {in: c, run: ip link set eth0 down}\n",
        "c -> web:80",
        5,
        "eth0 of c is down",
    ),
    (
        "services:\n  web: {image: nginx}\n  c: {image: busybox, command: sleep 1d, cap_add: [NET_ADMIN]}\nsteps:\n  - {in: c, run: ip addr flush dev eth0}\n",
        "c -> web:80",
        5,
        "c does not have its address 172.18.0.3/16 any more",
    ),
    (
        "services:\n  c: {image: busybox, command: sleep 1d, cap_add: [NET_ADMIN]}\nsteps:\n  - {in: c, run: 'ip link set eth0 down; ip link set eth0 up'}\n",
        "c -> 198.51.100.7:80",
        4,
        "c has no default route any more",
    ),
    (
        "services:\n  c: {image: busybox, command: sleep 1d, cap_add: [NET_ADMIN]}\nnetworks: {default: {internal: true}}\nsteps:\n  - docker exec small-c-1 ip route del 172.18.0.0/16\n",
        "c -> 172.18.0.7:80",
        5,
        "c has no route to 172.18.0.0/16 any more",
    ),
    (
        "services:\n  web: {image: nginx, cap_add: [NET_ADMIN], ports: ['8080:80']}\nsteps:\n  - {in: web, run: ip route del default}\n",
        "world:outside -> 203.0.113.10:8080",
        4,
        "web has no default route any more, and so no route to 203.0.113.1",
    ),
    (
        "services:\n  c: {image: busybox, command: sleep 1d}\nsteps:\n  - {in: host, run: ip route del default}\n",
        "c -> 198.51.100.7:80",
        4,
        "host has no default route any more",
    ),
    (
        "services:\n  c: {image: busybox, command: sleep 1d}\nsteps:\n  - {in: host, run: ip link set eth0 down}\n",
        "c -> 198.51.100.7:80",
        4,
        "eth0 of host is down",
    ),
    (
        "services:\n  c: {image: busybox, command: sleep 1d}\nnetworks:\n  default: {driver_opts: {com.docker.network.bridge.name: br7}}\nsteps:\n  - {in: host, run: ip addr del 172.18.0.1/16 dev br7}\n",
        "c -> 8.8.8.8:80",
        6,
        "the gateway of `default`, 172.18.0.1, is gone",
    ),
    (
        "services:\n  c: {image: busybox, command: sleep 1d}\nnetworks:\n  default:\n    driver_opts:\n      com.docker.network.bridge.enable_ip_masquerade: 'false'\n",
        "c -> 198.51.100.7:80",
        6,
        "not masqueraded",
    ),
    (
        "services:\n  web: {image: nginx, ports: ['8080:80']}\nsteps:\n  - docker network disconnect small_default small-web-1\n",
        "host -> localhost:8080",
        4,
        "nothing is published: web is on no network",
    ),
    (
        "services:\n  c: {image: busybox, command: sleep 1d, networks: [front]}\n  two:\n    image: nginx\n    networks: [front, back]\nnetworks: {front: , back: }\n",
        "c -> 172.19.0.2:80",
        5,
        "two has 172.18.0.3",
    ),
];

#[test]
fn an_address_that_nobody_has_is_no_fault_of_the_router() {
    let text = "name: s\nservices:\n  c: {image: busybox, command: sleep 1d}\n";
    let (_, told, suggestion) = cause(text, "c -> 8.8.8.8:53/udp");
    assert_eq!(told, "no machine of `world:` has the address 8.8.8.8, nor does anybody else here");
    assert!(suggestion.contains("{address: \"8.8.8.8\", listen: [53/udp]}"), "{suggestion}");
    let mended = format!("{text}world: {{machines: {{NAME: {{address: \"8.8.8.8\", listen: [53/udp]}}}}}}\n");
    assert!(ask(&mended, "c -> 8.8.8.8").unwrap().outcome.is_reached());
}

#[test]
fn what_listens_in_a_shared_namespace_is_told_whoever_started_it() {
    let text = "\
name: s
services:
  a: {image: nginx}
  side: {image: redis, network_mode: 'service:a'}
  b: {image: busybox, command: sleep 1d}
steps:
  - docker exec -d s-a-1 httpd -f -p 9100
";
    let (_, told, suggestion) = cause(text, "b -> a:8080");
    assert_eq!(told, "a listens on 80/tcp and 6379/tcp and 9100/tcp, not on 8080");
    assert!(suggestion.starts_with("ask for port 80"), "{suggestion}");
    let (_, _, suggestion) = cause(text, "world:outside -> host:6379");
    assert_eq!(suggestion, "publish it: `ports: [\"6379:6379\"]` in a");
}

#[test]
fn a_program_that_listens_on_its_loopback_is_told() {
    let text = "\
name: s
services:
  a: {image: busybox, command: httpd -f -p 127.0.0.1:8000}
  b: {image: busybox, command: sleep 1d}
";
    let (outcome, told, suggestion) = cause(text, "b -> a:8000");
    assert_eq!(
        (outcome, told.as_str()),
        (Outcome::Refused, "a listens on 8000 on its loopback alone, where nobody else comes")
    );
    assert!(suggestion.contains("0.0.0.0:8000"), "{suggestion}");
    let (_, told, _) = cause(text, "b -> a:53");
    assert_eq!(told, "nothing listens in a", "Docker's name server is not a's");
}

#[test]
fn a_binding_that_is_too_narrow_is_to_be_widened() {
    let text = "\
name: s
services:
  web: {image: nginx, networks: [front]}
  db: {image: postgres, networks: [back], ports: ['127.0.0.1:5433:5432']}
networks: {front: , back: }
";
    let (_, _, suggestion) = cause(text, "web -> db:5432");
    assert_eq!(
        suggestion,
        "connect web to `back`, or publish 5432 on every address, not on 127.0.0.1 alone, and ask for port 5433 of the \
         host's address"
    );
    let open = text.replace("127.0.0.1:", "");
    let (_, _, suggestion) = cause(&open, "web -> db:5432");
    assert_eq!(suggestion, "connect web to `back`, or ask for port 5433 of the host's address");
    let (_, _, suggestion) = cause(text, "world:outside -> 172.19.0.2:5432");
    assert!(suggestion.contains("not on 127.0.0.1 alone"), "{suggestion}");
}

#[test]
fn an_address_that_another_one_got_is_named() {
    let text = "\
name: s
services:
  a: {image: nginx}
  b: {image: nginx, networks: {default: {ipv4_address: 172.30.0.2}}}
networks:
  default: {ipam: {config: [{subnet: 172.30.0.0/24}]}}
";
    let Err(ExplainError::Scenario(error)) = ask(text, "a -> b:80") else { panic!("b is started") };
    assert!(error.message.contains("Address already in use"), "{error:?}");
    assert!(format!("{error:?}").contains("s-a-1 was given 172.30.0.2 when it started"), "{error:?}");
    let text = text.replace("  b: {image: nginx, networks: {default: {ipv4_address: 172.30.0.2}}}\n", "")
        + "steps:\n  - {run: docker run -d --name bb --network s_default --ip 172.30.0.2 nginx, expect: {exit: 125}}\n";
    let (outcome, told, suggestion) = cause(&text, "a -> bb:80");
    assert_eq!(
        (outcome, told.as_str()),
        (Outcome::Unresolved, "bb does not run: it asks for 172.30.0.2, which a has")
    );
    assert!(suggestion.contains("ip_range"), "{suggestion}");
}

#[test]
fn a_cause_points_at_its_line() {
    for (text, question, line, said) in CAUSES {
        let explanation = ask(&format!("{text}name: small\n"), question).unwrap();
        let cause =
            explanation.cause.clone().unwrap_or_else(|| panic!("{question}: no cause:\n{explanation}"));
        assert!(cause.text.contains(said), "{question}: {}\n{explanation}", cause.text);
        assert_eq!(cause.line.map(|line| line.line), Some(*line), "{text}{question}\n{explanation}");
    }
}

#[test]
fn a_step_that_failed_is_told() {
    let text = "name: x\nservices:\n  a: {image: nginx}\nsteps:\n  - docker run -d --name cc --network container:x-a-1 -h cc nginx\n";
    let explanation = ask(text, "a -> host").unwrap();
    assert_eq!(explanation.notes.len(), 1);
    assert!(explanation.to_string().contains(
        "note: the step `docker run -d --name cc --network container:x-a-1 -h cc nginx` (a.yaml:5:5) expected"
    ));
    let error = ask(text, "cc -> host").unwrap_err().to_string();
    assert!(error.contains("hostname and the network mode"), "{error}");
}

#[test]
fn debug_is_the_text_so_that_assertions_tell_it() {
    let explanation = ask(SHOP, "web -> db:1").unwrap();
    assert_eq!(format!("{explanation:?}").trim_start(), explanation.to_string());
}

#[test]
fn a_failed_look_up_shows_the_answer_with_the_address() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("look-up.yaml");
    fs::write(
        &file,
        "services: {web: {image: nginx}, db: {image: postgres}}\nchecks: ['web ? db: 1.2.3.4']\n",
    )
    .unwrap();
    let told = text(&linkspan(&["test", file.to_str().unwrap()]).stdout);
    assert!(told.contains(", A db: A 172.18.0.3"), "{told}");
    assert!(!told.contains("AAAA"), "{told}");
}

fn linkspan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linkspan")).args(arguments).env("NO_COLOR", "1").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const SCENARIO: &str = "scenarios/explain/04-nothing-listens.yaml";

#[test]
fn the_command_takes_the_arrow_quoted_or_alone() {
    let quoted = linkspan(&["explain", SCENARIO, "web -> db:5432"]);
    let alone = linkspan(&["explain", SCENARIO, "web", "->", "db:5432"]);
    assert_eq!(quoted.status.code(), Some(0), "{}", text(&quoted.stderr));
    assert_eq!((text(&quoted.stdout), quoted.status), (text(&alone.stdout), alone.status));
    let refused = linkspan(&["explain", SCENARIO, "web -> db:3306", "--format", "json"]);
    assert_eq!(refused.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_str(&text(&refused.stdout)).unwrap();
    assert_eq!(value["drop"]["reason"], "no_socket");
    assert_eq!(value["story"], serde_json::json!([]));
    let verbose = linkspan(&["explain", "--verbose", SCENARIO, "web -> db:3306"]);
    assert!(text(&verbose.stdout).contains("every event"), "{}", text(&verbose.stdout));
}

#[test]
fn the_command_refuses_with_a_reason() {
    for (arguments, message) in [
        (vec![SCENARIO, "web -> db:http"], "`http` is not a port"),
        (vec![SCENARIO, "web db"], "expected `FROM -> TO[:PORT[/PROTO]]`"),
        (vec![SCENARIO, "web", "-"], "quote the question"),
        (vec![SCENARIO, "wbe -> db"], "did you mean `web`?"),
        (vec!["tests/compose/own/failing.yaml", "web -> db"], "error"),
        (vec!["scenarios/explain/no-such.yaml", "web -> db"], "no-such.yaml"),
        (vec![SCENARIO], "FROM -> TO"),
    ] {
        let output = linkspan(&[vec!["explain"], arguments.clone()].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(message), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}
