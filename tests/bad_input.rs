//! Files that are wrong, contradictory or hostile: refused at the right line, or run as Docker would, and never a
//! panic, a run without end or memory without bound.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests read the repository's scenarios")]

use std::path::Path;
use std::time::Duration;

use linkspan::lab;
use linkspan::scenario::report::{Report, RunOptions, StoryLevel};
use linkspan::scenario::{DiskSource, LoadError, LoadOptions, MemorySource, Scenario, load};
use proptest::prelude::*;

const FILE: &str = "shop/s.yaml";

const BASE: &str = "\
services:
  web: {image: nginx}
  client: {image: busybox, command: sleep infinity}
";

fn read(source: MemorySource) -> Result<Scenario, Box<LoadError>> {
    load(&source, Path::new(FILE), &LoadOptions::default())
}

fn parse(text: &str) -> Result<Scenario, Box<LoadError>> {
    read(MemorySource::default().with_file(FILE, text))
}

#[track_caller]
fn run(text: &str) -> Report {
    let scenario = parse(text).unwrap_or_else(|error| panic!("{error}"));
    lab::run(&scenario, &RunOptions::default(), &mut |_| {})
}

/// The first error of a file that is refused says this, here (`LINE:COLUMN`).
#[track_caller]
fn refused(text: &str, message: &str, place: &str) {
    refused_from(MemorySource::default().with_file(FILE, text), message, place);
}

#[track_caller]
fn refused_from(source: MemorySource, message: &str, place: &str) {
    let error = read(source).map(|_| ()).expect_err("the file is refused");
    let first = error.errors().next().unwrap();
    let shown = error.render(false);
    assert!(first.message.contains(message), "should say {message:?}:\n{shown}");
    let position = first.span.and_then(|span| error.sources.position(span)).map(|p| p.to_string());
    let position = position.unwrap_or_default();
    assert_eq!(position.trim_start_matches("shop/s.yaml:"), place, "{shown}");
}

/// The run ends with this, pointing here.
#[track_caller]
fn ends(text: &str, message: &str, place: &str) {
    let report = run(text);
    let failure = report.failure.as_ref().expect("the run ends early");
    assert!(failure.message.contains(message), "should say {message:?}: {}", failure.message);
    let position = failure.span.and_then(|span| report.sources.position(span)).unwrap();
    assert_eq!(format!("{}:{}", position.line, position.column), place, "{}", failure.message);
}

#[track_caller]
fn passes(text: &str) -> Report {
    let report = run(text);
    let wrong: Vec<_> = report.checks.iter().filter_map(|c| c.failure.as_ref()).collect();
    let failed: Vec<_> = report.steps.iter().filter(|s| !s.failures.is_empty()).collect();
    assert!(report.passed(), "{:?} {failed:?} {wrong:?}", report.failure);
    report
}

/// One command on the client: what it printed, and what was wrong with it.
fn command(text: &str) -> (String, Vec<String>) {
    let quoted = serde_json::to_string(text).unwrap();
    let mut report = run(&format!("{BASE}steps:\n  - {{in: client, run: {quoted}}}\n"));
    assert_eq!(report.failure, None);
    let step = report.steps.remove(0);
    (step.output, step.failures)
}

#[test]
fn truncated_files_are_loaded_or_refused_with_a_place() {
    let whole = std::fs::read_to_string(quickstart()).unwrap();
    let mut refusals = 0;
    for at in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
        if let Err(error) = parse(&whole[..at]) {
            refusals += 1;
            assert!(error.errors().all(|e| e.span.is_some()), "cut at {at}:\n{error}");
        }
    }
    assert!(refusals > 100);
}

#[test]
fn oversized_files_are_refused() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let refuse = |name: &str, content: &[u8], message: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        let error = load(&DiskSource, &path, &LoadOptions::default()).map(|_| ()).expect_err(name);
        assert!(error.to_string().contains(message), "{error}");
    };
    let mut big = b"services: {a: {image: nginx}}\n#".to_vec();
    big.resize(9 << 20, b'x');
    refuse("big.yaml", &big, "larger than 8 MiB");
    refuse("binary.yaml", b"services: {a: {image: '\xff\xfe'}}\n", "not text in UTF-8: byte 24");
    refuse("nul.yaml", b"services: {a: {image: 'x\0y'}}\n", "not valid YAML");
    let error = load(&DiskSource, folder, &LoadOptions::default()).map(|_| ()).expect_err("a folder");
    assert!(error.to_string().contains("not a regular file"), "{error}");
    let endless = load(&DiskSource, Path::new("/dev/zero"), &LoadOptions::default()).map(|_| ());
    assert!(endless.expect_err("a device").to_string().contains("not a regular file"));
}

#[test]
fn yaml_that_grows_is_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, this) in ('a'..='j').zip('b'..='k') {
        let list = vec![format!("*{before}"); 9].join(", ");
        bomb.push_str(&format!("{this}: &{this} [{list}]\n"));
    }
    refused(&bomb, "expands to more than 500000 values", "6:32");
    refused("x-b: &b\n  <<: *b\n", "an alias cannot stand inside the value it names", "2:7");
    let deep: String = (0..3_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(&deep, "nested deeper than 64 levels", "65:65");
    let flow = format!("x-a: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let error = parse(&flow).map(|_| ()).expect_err("nested");
    assert!(error.to_string().contains("s.yaml:1:"), "{error}");
    refused("services:\n  a: {image: x}\n  a: {image: y}\n", "the key `a` is written twice", "3:3");
}

#[test]
fn circles_of_files_are_refused() {
    refused("include: [s.yaml]\n", "`include` runs in a circle", "1:11");
    let source = MemorySource::default()
        .with_file(FILE, "include: [a.yaml]\n")
        .with_file("shop/a.yaml", "include:\n  - b.yaml\n")
        .with_file("shop/b.yaml", "include:\n  - a.yaml\n");
    let error = read(source).map(|_| ()).expect_err("a circle");
    assert!(error.to_string().contains("`include` runs in a circle"), "{error}");
    assert!(error.to_string().contains("shop/b.yaml:2:5"), "{error}");
    let mut wide = MemorySource::default();
    let list: String = (0..300).map(|i| format!("  - f{i}.yaml\n")).collect();
    for i in 0..300 {
        wide = wide.with_file(format!("shop/f{i}.yaml"), "services: {}\n");
    }
    refused_from(wide.with_file(FILE, format!("include:\n{list}")), "more than 256 files", "257:5");
}

#[test]
fn wrong_types_are_refused_everywhere() {
    let keys = ["services", "networks", "hosts", "world", "daemon", "client", "images", "steps", "checks"];
    for key in keys {
        for value in ["5", "text", "true"] {
            let error = parse(&format!("{key}: {value}\n")).map(|_| ()).expect_err(key);
            assert!(error.to_string().contains("s.yaml:1:"), "{key}: {value}\n{error}");
        }
    }
    let service = [
        "image",
        "ports",
        "expose",
        "networks",
        "dns",
        "extra_hosts",
        "links",
        "depends_on",
        "deploy",
        "healthcheck",
        "container_name",
        "hostname",
        "network_mode",
        "environment",
    ];
    for key in service {
        let text = format!("services:\n  a:\n    image: x\n    {key}: {{{{}}: []}}\n");
        let error = parse(&text).map(|_| ()).expect_err(key);
        assert!(error.to_string().contains("s.yaml:4:"), "{key}\n{error}");
    }
    refused("services:\n  a: {image: [x]}\n", "must be text, found a list", "2:14");
    refused("services:\n  a: [x]\n", "must be a mapping", "2:6");
    refused("5\n", "the top level must be a mapping", "1:1");
}

#[test]
fn names_of_every_kind() {
    for name in ["a b", "é", "", "../x", "a/b", "~", "a\\nb", "$x", "a:b", "\\u0000"] {
        let service = format!("services:\n  \"{}\": {{image: nginx}}\n", name.replace('$', "$$"));
        refused(&service, "is not a name for a service", "2:3");
        let network = format!("services: {{}}\nnetworks:\n  \"{name}\":\n");
        refused(&network, "is not a name for a network", "3:3");
    }
    refused("services:\n  null: {image: nginx}\n", "a key must be text", "2:3");
    let long = "x".repeat(300);
    for name in [long.as_str(), "yes", "no", "true", "1", "1.5", "0x10", "A", "_"] {
        let report = passes(&format!("services:\n  {name}: {{image: nginx, container_name: box}}\n"));
        assert_eq!(report.totals.drops, 1, "the bridge asks for its IPv6 address, the container has no IPv6");
    }
    passes("services:\n  true: {image: nginx}\nchecks: ['true -> true:80: ok']\n");
    for name in ["-x", "a/b", "é", "x y", "."] {
        let text = format!("services:\n  a:\n    image: nginx\n    container_name: '{name}'\n");
        refused(&text, "Invalid container name (", "4:21");
    }
}

/// Names that Docker, its client or its runtime judge by their form, in their words.
#[test]
fn forms_that_docker_refuses() {
    for (image, message) in [
        ("NGINX:1", "invalid reference format: repository name (library/NGINX) must be lowercase"),
        ("nginx:", "invalid reference format"),
        ("ng inx", "invalid reference format"),
        ("registry:port/app", "invalid reference format"),
        ("app@sha256:12", "invalid reference format"),
    ] {
        refused(&format!("services:\n  a: {{image: \"{image}\"}}\n"), message, "2:14");
        refused(&format!("{BASE}steps:\n  - docker run -d --name aa \"{image}\"\n"), message, "5:30");
    }
    let long = "x".repeat(65);
    refused(
        &format!("services:\n  a:\n    image: nginx\n    hostname: {long}\n"),
        "sethostname: invalid argument: the host name has 65 characters",
        "4:15",
    );
    passes(&format!("services:\n  a:\n    image: nginx\n    hostname: {}\n", "x".repeat(64)));
    refused(
        &format!("{BASE}steps:\n  - docker run -d --name 'a b' nginx\n"),
        "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        "5:27",
    );
    for shown in [
        "{run: docker run -d --name 'a b' nginx, expect: 125}",
        "{run: docker run NGINX, expect: {exit: 125, contains: [must be lowercase]}}",
        "{run: 'docker create NGINX', expect: {exit: 1, output: 'invalid reference format: repository name (library/NGINX) must be lowercase'}}",
    ] {
        passes(&format!("{BASE}steps:\n  - {shown}\n"));
    }
}

#[test]
fn aliases_that_nobody_can_ask_for_are_warned_of() {
    let text = "services:\n  a:\n    image: nginx\n    networks: {default: {aliases: ['a b', '', a..b, fine.name, _x]}}\n";
    let scenario = parse(text).unwrap_or_else(|error| panic!("{error}"));
    let messages: Vec<&str> = scenario.warnings.iter().map(|warning| warning.message.as_str()).collect();
    let expected =
        ["a b", "", "a..b"].map(|alias| format!("nobody can ask for the alias `{alias}`: it is no DNS name"));
    assert_eq!(messages, expected);
}

#[test]
fn ports_that_cannot_be() {
    let ports = |list: &str| format!("services:\n  a:\n    image: nginx\n    ports: [{list}]\n");
    for (list, wrong) in [
        ("'80:0'", "`0` is not a port"),
        ("'0-5:0-5'", "`0` is not a port"),
        ("'80:65536'", "`65536` is not a port"),
        ("'-1:80'", "is not"),
        ("'9-8:9-8'", "9-8"),
        ("'80/icmp'", "icmp"),
        ("'1.2.3:80:80'", "1.2.3"),
    ] {
        refused(&ports(list), wrong, "4:13");
    }
    // Port 0 of the host is any port, as for Docker.
    passes(&ports("'0:80'"));
    let twice =
        "services:\n  a: {image: nginx, ports: ['8080:80']}\n  b: {image: nginx, ports: ['8080:80']}\n";
    refused(twice, "the services `a` and `b` publish the same host port 8080/tcp", "3:29");
    let many = "services:\n  a: {image: nginx, ports: ['30000-30999:1-1000']}\n  b: {image: nginx, ports: ['30999:1']}\n";
    refused(many, "publish the same host port 30999/tcp", "3:29");
}

#[test]
fn subnets_that_contradict() {
    let networks = |list: &str| {
        format!("services:\n  a: {{image: nginx, networks: [n, m]}}\nnetworks:\n  n: {{}}\n  m: {list}\n")
    };
    let pool = |pool: &str| networks(&format!("{{ipam: {{config: [{{{pool}}}]}}}}"));
    let overlap = "networks:\n  n: {ipam: {config: [{subnet: 10.1.0.0/16}]}}\n  m: {ipam: {config: [{subnet: 10.1.2.0/24}]}}\n";
    let overlap = format!("services:\n  a: {{image: nginx, networks: [n, m]}}\n{overlap}");
    refused(&overlap, "the subnet 10.1.2.0/24 of network `m` overlaps 10.1.0.0/16 of network `n`", "5:23");
    ends(&pool("subnet: 0.0.0.0/0"), "Pool overlaps", "5:3");
    ends(&pool("subnet: 10.1.0.0/16, gateway: 10.1.0.0"), "failed to allocate gateway (10.1.0.0)", "5:3");
    refused(&pool("subnet: 10.1.0.0/16, ip_range: 10.2.0.0/24"), "is not inside the subnet", "5:55");
    refused(&pool("subnet: 10.1.0.0/33"), "is not a network", "5:32");
    refused(&pool("subnet: 10.1.0.1/16"), "subnet 10.1.0.1/16 is not the address of a network", "5:23");
    passes(&format!("daemon: {{profile: 20.10}}\n{}", pool("subnet: 10.1.0.1/16")));
    ends(&pool("subnet: 10.1.0.0/32"), "no available IPv4 addresses", "2:3");
}

#[test]
fn addresses_that_contradict() {
    let text = |a: &str, b: &str| {
        let service = |name, address| {
            format!("  {name}:\n    image: nginx\n    networks: {{n: {{ipv4_address: {address}}}}}\n")
        };
        let network = "networks: {n: {ipam: {config: [{subnet: 10.1.0.0/24}]}}}\n";
        format!("services:\n{}{}{network}", service("a", a), service("b", b))
    };
    refused(
        &text("10.1.0.5", "10.1.0.5"),
        "`a` and `b` have the same address 10.1.0.5 on network `n`",
        "7:34",
    );
    refused(&text("10.1.0.1", "10.1.0.5"), "10.1.0.1 is the gateway of network `n`", "4:34");
    refused(&text("10.1.0.0", "10.1.0.5"), "10.1.0.0 is the address of the subnet of network `n`", "4:34");
    refused(&text("10.1.0.255", "10.1.0.5"), "10.1.0.255 is the broadcast address of network `n`", "4:34");
    refused(&text("10.2.0.5", "10.1.0.5"), "the fixed address 10.2.0.5 is in no subnet", "4:34");
    refused(&text("10.1.0.256", "10.1.0.5"), "10.1.0.256", "4:34");
}

#[test]
fn a_large_network_is_no_large_table() {
    let report = passes(
        "services:
  a: {image: nginx, networks: [n]}
  b: {image: nginx, networks: {n: {ipv4_address: 10.255.255.254}}}
networks: {n: {ipam: {config: [{subnet: 10.0.0.0/8}]}}}
checks:
  - a -> b:80: ok
  - a ? b: 10.255.255.254
  - b ? a: 10.0.0.2
  - a -> 10.77.0.1:80: unreachable
",
    );
    assert!(report.totals.frames < 200, "nobody walks the network: {}", report.totals.frames);
    passes(
        "services: {a: {image: nginx, networks: [n]}}
networks: {n: {enable_ipv6: true, ipam: {config: [{subnet: 'fd00::/8'}]}}}
",
    );
}

#[test]
fn ten_thousand_networks_end_where_the_pools_do() {
    let services: String =
        (0..10_000).map(|i| format!("  s{i}: {{image: nginx, networks: [n{i}]}}\n")).collect();
    let networks: String = (0..10_000).map(|i| format!("  n{i}:\n")).collect();
    // The default pools hold 15 /16 and 16 /20; the default bridge and what the host's LANs overlap take two.
    ends(
        &format!("services:\n{services}networks:\n{networks}"),
        "all predefined address pools have been fully subnetted",
        "10032:3",
    );
    // Compose creates only the networks that a service joins.
    passes(&format!("services:\n  a: {{image: nginx, networks: [n9999]}}\nnetworks:\n{networks}"));
}

#[test]
fn a_bridge_takes_as_many_containers_as_linux_gives_it_ports() {
    ends("services:\n  a: {image: nginx, scale: 1100}\n", "exchange full", "2:3");
    refused("services:\n  a: {image: nginx, scale: 10001}\n", "10001 is not a number of containers", "2:28");
}

#[test]
fn impossible_mtus() {
    let network = |mtu: &str| {
        format!(
            "services: {{a: {{image: nginx, networks: [n]}}, b: {{image: nginx, networks: [n]}}}}
networks:
  n: {{driver_opts: {{com.docker.network.driver.mtu: '{mtu}'}}}}
checks: ['a -> b:80: ok']
"
        )
    };
    ends(&network("-1"), "invalid MTU number: -1", "3:3");
    for mtu in ["67", "65536", "99999999999"] {
        ends(&network(mtu), "cannot be created: invalid argument", "3:3");
    }
    ends(&network("abc"), "parsing \"abc\": invalid syntax", "3:3");
    for mtu in ["0", "68", "576", "1280", "9000", "65535"] {
        passes(&network(mtu));
    }
    for mtu in ["0", "67", "65536"] {
        let card = format!("hosts:\n  h:\n    nics: {{eth0: {{address: 203.0.113.10/24, mtu: {mtu}}}}}\n");
        refused(&card, &format!("{mtu} is out of range: expected 68 to 65535"), "3:50");
        let link = format!("world:\n  links: {{eth0: {{mtu: {mtu}}}}}\n");
        refused(&link, "is out of range", "2:23");
    }
}

#[test]
fn rules_that_iptables_refuses() {
    let host = |rules: &str| {
        format!("{BASE}hosts:\n  h:\n    nics: {{eth0: {{address: 203.0.113.10/24}}}}\n    rules:\n{rules}")
    };
    ends(
        &host("      - -P FORWARD ACCEPT\n      - -A FOO -j BAR\n"),
        "iptables -A FOO -j BAR: iptables: No chain/target/match by that name.",
        "9:9",
    );
    ends(
        &host("      - -t nat -A POSTROUTING -j DNAT\n"),
        "DNAT: option \"--to-destination\" must be specified",
        "8:9",
    );
    ends(&host("      - hello world\n"), "iptables hello world", "8:9");
}

#[test]
fn links_that_do_not_exist() {
    let link = |text: &str| format!("{BASE}world:\n  links:\n    {text}\n");
    refused(
        &link("nosuch: {delay: 5ms}"),
        "there is no card of the host or machine of `world` `nosuch`",
        "6:5",
    );
    refused(&link("w: {between: [host:eth7, world:outside]}"), "there is no card of the host `eth7`", "6:5");
    refused(
        &link("w: {between: [host:eth0, world:nobody]}"),
        "there is no machine of `world` `nobody`",
        "6:5",
    );
    refused(&link("w: {between: [host:eth0]}"), "a link has two ends", "6:18");
    refused(&format!("{BASE}steps:\n  - link down wann\n"), "`wann`", "5:5");
    passes(&format!("{BASE}steps:\n  - link down eth0\n  - link up eth0\n  - link down outside\n"));
    passes(&format!(
        "{}steps:\n  - link down w\nchecks:\n  - client -> 203.0.113.1:80: unreachable\n",
        link("w: {between: [host:eth0, world:outside], delay: 1ms}")
    ));
    let proxy = |machine: &str, proxy: &str| {
        format!("{BASE}world:\n  machines: {{gate: {{{machine}}}}}\n  proxies: {{company: {{{proxy}}}}}\n")
    };
    refused(
        &proxy("addresses: [203.0.113.80/24]", "machine: gat"),
        "there is no machine `gat` under `world.machines`",
        "6:32",
    );
    refused(
        &proxy("addresses: [203.0.113.80/24], listen: [3128]", "machine: gate"),
        "port 3128 of the machine `gate` is the proxy's",
        "6:32",
    );
}

#[test]
fn names_in_steps_and_checks() {
    let step = |text: &str| format!("{BASE}steps:\n  - {text}\n");
    refused(&step("{in: clint, run: ls}"), "there is no service or container `clint`", "5:5");
    refused(&step("{in: 'world:nobody', run: ls}"), "there is no machine of `world` `nobody`", "5:5");
    refused(&step("{in: 'moon:base', run: ls}"), "`moon:` is unknown", "5:10");
    // A destination may be any name that DNS knows.
    let report = run(&format!("{BASE}checks:\n  - client -> wbe:80: ok\n"));
    assert_eq!(report.checks[0].failure.as_ref().unwrap().found, "unresolved");
    refused(&step("wait forever"), "is not a time", "5:5");
    refused(&step("docker run 'nginx"), "expected a closing '", "5:16");
    refused(&step("crash wbe"), "there is no service or container `wbe`", "5:5");
    ends(
        &format!("{BASE}steps:\n  - docker rename web moved\n  - crash web\n"),
        "there is no container",
        "6:5",
    );
    let shown = format!("{BASE}steps:\n  - {{in: client, run: \"frobnicate --now\"}}\n");
    refused(&shown, "there is no program `frobnicate` here", "5:24");
}

#[test]
fn ten_years_pass_at_once() {
    let report = passes(&format!("{BASE}steps:\n  - wait 87600h\nchecks:\n  - client -> web:80: ok\n"));
    assert!(report.totals.time >= Duration::from_secs(87_600 * 3_600));
    // At most a century.
    refused(&format!("{BASE}steps:\n  - wait 9999999999h\n"), "9999999999h", "5:5");
}

#[test]
fn a_container_that_never_stays_up_does_not_eat_the_memory() {
    let text = "services:\n  a: {image: busybox, command: 'true', restart: always}\nsteps:\n  - wait 24h\n  - docker events\n";
    let report = run(text);
    assert_eq!(report.failure, None);
    let lines = report.steps[1].output.lines().count();
    assert!((1..=256).contains(&lines), "dockerd remembers 256 events, found {lines}");
}

#[test]
fn a_step_without_end_is_stopped() {
    let (output, failures) = command("ping web");
    assert!(failures[0].starts_with("still running after 600 s of virtual time"), "{failures:?}");
    assert!(output.contains("seq=599 "));
    let (_, failures) = command("nc -l -p 99");
    assert!(failures[0].starts_with("still running"), "{failures:?}");
}

/// Reading and looping take time, and more and more of it: whoever says nothing meets the limit as well.
#[test]
fn a_reader_without_end_is_stopped() {
    for endless in [
        "yes | grep -c y",
        "yes | xargs -n1 true",
        "yes : | sh",
        "yes | nc web 80",
        "while true; do awk 'BEGIN { while (1); }'; done 2>/dev/null",
        "seq 1 1000000 >/a; while true; do read line </a; done",
    ] {
        let (_, failures) = command(endless);
        assert!(
            failures[0].starts_with("still running after 600 s of virtual time"),
            "{endless}: {failures:?}"
        );
    }
}

#[test]
fn reading_a_few_megabytes_takes_no_time() {
    let report = passes(&format!(
        "{BASE}steps:
  - {{in: client, run: 'seq 1000000 1300000 >/a'}}
  - wait 10s
  - {{in: client, run: 'grep -c 1 /a; wc -l /a; tail -n 1 /a; awk \"NR == 7\" /a'}}
"
    ));
    let (began, ended) = report.steps[2].time;
    assert_eq!(ended - began, Duration::ZERO);
}

#[test]
fn output_without_end_is_stopped() {
    let (output, failures) =
        command("echo 0123456789 >/f; cat /f /f /f /f /f /f /f /f >/g; cat /g /g /g /g >/f; ls /f");
    assert_eq!((output.as_str(), failures.len()), ("/f\n", 0));
    let grow = "cat /a /a /a /a /a /a /a /a >/b; cat /b /b /b /b /b /b /b /b >/a;".repeat(3);
    let (output, failures) = command(&format!("echo 0123456789 >/a; {grow} cat /a /a /a /a /a /a /a /a"));
    assert_eq!(failures, ["it printed 16 MiB or more and was stopped"]);
    assert!(output.len() < 64 << 20);
    let flood = "services:\n  a: {image: busybox, command: ping -i 0.01 127.0.0.1}\nsteps:\n  - wait 10m\n  - docker logs --tail 1 shop-a-1\n";
    let report = passes(flood);
    assert!(report.steps[1].output.len() < 200, "{}", report.steps[1].output);
}

#[test]
fn a_shell_that_starts_shells_comes_down_by_itself() {
    let cannot = "/a: line 1: can't fork: Resource temporarily unavailable\n";
    let (output, _) = command("echo 'sh /a' >/a; sh /a");
    assert_eq!(output, cannot);
    let (output, _) = command("f() { f | f & }; f; wait");
    assert!(output.len() < 1 << 20, "{}", output.len());
    let (_, failures) = command("while true; do sh; done");
    assert!(failures[0].starts_with("still running after 600 s of virtual time"), "{failures:?}");
    for bomb in ["sh /a & sh /a", "sh /a | sh /a", "echo $(sh /a) $(sh /a)"] {
        let report = run(&format!(
            "{BASE}steps:
  - {{in: client, run: \"echo '{bomb}' >/a; sh /a\", expect: {{contains: Resource temporarily unavailable}}}}
  - wait 1m
  - {{in: client, run: echo alive | cat}}
checks:
  - client -> web:80: ok
"
        ));
        assert!(report.failure.is_none(), "{bomb}: {:?}", report.failure);
        assert!(report.passed(), "{bomb}: {:?}", report.steps[2]);
        assert_eq!(report.steps[2].output, "alive\n", "{bomb}");
    }
    // One that lets time pass stays, as on Linux, and harms its own container only.
    let report = run(&format!(
        "{BASE}steps:
  - {{in: client, run: \"echo 'sleep 0.01; sh /a & sh /a' >/a; sh /a\", expect: {{contains: can't fork}}}}
  - {{in: web, run: echo alive | cat}}
checks:
  - client -> web:80: ok
"
    ));
    assert!(report.passed(), "{:?} {:?}", report.failure, report.steps[1]);
    let nested = (0..6).fold("echo deep".to_owned(), |inner, _| {
        let escaped = inner.replace('\'', "'\\''");
        format!("sh -c '{escaped}'")
    });
    assert_eq!(command(&nested), ("deep\n".to_owned(), Vec::new()));
    let deep = format!("echo {}echo{}", "$(".repeat(2_000), ")".repeat(2_000));
    assert!(command(&deep).0.contains("syntax error: nested deeper than 40 levels"));
    let (output, _) = command(&"(".repeat(5_000));
    assert!(output.contains("syntax error"));
    assert_eq!(command(&vec!["cat"; 1_000].join("|")).1, [""; 0]);
}

#[test]
fn a_huge_page_arrives_whole() {
    let page = "x".repeat(4 << 20);
    let text = format!(
        "{BASE}world:\n  machines:\n    m: {{addresses: [198.51.100.99], serves: {{80: '{page}'}}}}\n\
         steps:\n  - {{in: client, run: 'wget -q -O - http://198.51.100.99/ | wc -c'}}\n"
    );
    let report = passes(&text);
    let counted: usize = report.steps[0].output.trim().parse().unwrap();
    assert!(counted >= page.len(), "{counted}");
}

#[test]
fn a_thousand_checks_hold() {
    let checks = "  - client -> web:80: ok\n".repeat(1_000);
    let report = passes(&format!("{BASE}checks:\n{checks}"));
    assert_eq!(report.checks.len(), 1_000);
}

fn quickstart() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/quickstart.yaml")
}

/// A file that uses much of the format, to mutate.
const RICH: &str = "\
services:
  web: {image: nginx, ports: ['8080:80', '9000-9001:90-91/udp'], networks: {a: {ipv4_address: 10.5.0.9}, b: }}
  db: {image: postgres, networks: [b], depends_on: [web], restart: always, scale: 2}
  client: {image: busybox, command: sleep infinity, networks: [a], dns: 203.0.113.53, extra_hosts: ['x:10.5.0.9']}
networks:
  a: {ipam: {config: [{subnet: 10.5.0.0/24, gateway: 10.5.0.1}]}, driver_opts: {com.docker.network.driver.mtu: 1400}}
  b: {internal: true, enable_ipv6: true}
world:
  machines: {m: {addresses: [198.51.100.99], names: m.test, listen: [80], serves: {81: page}}}
  links: {eth0: {delay: 2ms, loss: 1%, rate: 10mbit}}
hosts:
  h: {nics: {eth0: {address: 203.0.113.10/24, gateway: 203.0.113.1}}, rules: ['-A INPUT -p tcp --dport 9 -j DROP']}
steps:
  - {in: client, run: 'ping -c 2 web; wget -q -O - http://m.test:81/ | wc -c && nslookup web'}
  - docker network create --subnet 10.9.0.0/24 late
  - docker run -d --name xx --network late nginx
  - {in: host, run: 'iptables -t nat -S; ip addr; conntrack -L'}
  - wait 30s
  - link down eth0
  - crash web
checks:
  - client -> web:80: ok
  - db -> client: timeout
  - client ? web: 10.5.0.9
";

fn mutate(text: &str, edits: &[(u16, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, kind, value) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(*at) % bytes.len();
        let line_end =
            |from: usize| bytes[from..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| from + n);
        match kind % 6 {
            0 => bytes[at] ^= value,
            1 => bytes[at] = b"0123456789-:{}[]'\"/ \n&*$x"[usize::from(*value) % 25],
            2 if *value < 16 => bytes.truncate(at),
            2 => drop(bytes.remove(at)),
            3 => {
                // A line goes, or stands twice.
                let (start, end) = (line_end(at), line_end((line_end(at) + 1).min(bytes.len() - 1)));
                if start < end && value % 2 == 0 {
                    bytes.drain(start..end);
                } else if start < end {
                    let line = bytes[start..end].to_vec();
                    bytes.splice(start..start, line);
                }
            }
            4 => {
                // Two lines change places.
                let mut lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                let count = lines.len();
                lines.swap(at % count, usize::from(*value) % count);
                bytes = lines.join(&b'\n');
            }
            _ => {
                // A number grows.
                if let Some(found) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    bytes.insert(at + found, b'0' + value % 10);
                }
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_file_is_refused_or_run(
        rich in any::<bool>(),
        seed in 0u64..4,
        edits in proptest::collection::vec(any::<(u16, u8, u8)>(), 1..5),
    ) {
        let whole = if rich { RICH.to_owned() } else { std::fs::read_to_string(quickstart()).unwrap() };
        let bytes = mutate(&whole, &edits);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match parse(&text) {
            Ok(scenario) => {
                let options = RunOptions { seed, capture: true, story: StoryLevel::Normal, json: true };
                let report = lab::run(&scenario, &options, &mut |_| {});
                if let Some(failure) = &report.failure {
                    prop_assert!(!failure.render(&report.sources, false).is_empty());
                }
            }
            Err(error) => prop_assert!(!error.render(false).is_empty()),
        }
    }
}

#[test]
fn the_file_that_is_mutated_runs() {
    let scenario = parse(RICH).unwrap_or_else(|error| panic!("{error}"));
    let report = lab::run(&scenario, &RunOptions::default(), &mut |_| {});
    assert_eq!(report.failure, None);
    assert_eq!(report.steps.len(), 7);
}

#[test]
fn a_contradiction_shows_both_lines() {
    let text =
        "services:\n  a: {image: nginx, ports: ['8080:80']}\n  b: {image: nginx, ports: ['8080:81']}\n";
    let shown = parse(text).map(|_| ()).unwrap_err().render(false);
    for part in ["s.yaml:3:29", "second one", "note: `a` has it", "s.yaml:2:29"] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    let own = "services:\n  a: {image: nginx, ports: ['8080:80', '8080:81']}\n";
    refused(own, "service `a` publishes the same host port 8080/tcp", "2:40");
}

/// What Docker would take is not called a contradiction.
#[test]
fn what_only_looks_contradictory_is_accepted() {
    for ports in [
        ["8080:80", "8080:80/udp"],
        ["127.0.0.1:8080:80", "127.0.0.2:8080:80"],
        ["8080-8090:80", "8080-8090:80"],
        ["80", "80"],
    ] {
        let [a, b] = ports;
        passes(&format!(
            "services:\n  a: {{image: nginx, ports: ['{a}']}}\n  b: {{image: nginx, ports: ['{b}']}}\n"
        ));
    }
    for text in [
        "services:\n  a: {image: nginx, scale: 3, ports: ['8080-8082:80']}\n",
        "services:\n  a: {image: nginx, ports: ['8080:80']}\n  b: {image: nginx, profiles: [other], ports: ['8080:80']}\n",
        "services:\n  a: {image: busybox, command: 'true', ports: ['8080:80']}\n  b: {image: nginx, ports: ['8080:80'], depends_on: {a: {condition: service_completed_successfully}}}\n",
        "services:\n  a: {image: nginx, networks: [n]}\nnetworks:\n  n: {ipam: {config: [{subnet: 10.1.0.0/16}]}}\n  unused: {ipam: {config: [{subnet: 10.1.2.0/24}]}}\n",
    ] {
        passes(text);
    }
}

#[test]
fn nothing_to_run_is_refused() {
    refused("", "no services", "1:1");
    refused("networks: {n: {}}\n", "no services", "1:1");
    refused("services: {a: {image: nginx, profiles: [p]}}\n", "no services", "1:1");
    passes("steps: ['docker network create n']\n");
}

#[test]
fn what_is_not_supported_is_refused_while_reading() {
    let driver = |name: &str| {
        format!("services: {{a: {{image: nginx, networks: [n]}}}}\nnetworks:\n  n: {{driver: {name}}}\n")
    };
    for name in ["overlay", "remote", "bridgee"] {
        refused(&driver(name), &format!("the network driver `{name}` is not supported"), "3:15");
    }
    for name in ["macvlan", "ipvlan"] {
        match linkspan::docker::drivers::Driver::is_supported(name) {
            true => assert!(parse(&driver(name)).is_ok()),
            false => refused(&driver(name), "is not supported: expected bridge", "3:15"),
        }
    }
    let link = |keys: &str| format!("{BASE}world:\n  links:\n    slow: {{{keys}}}\n");
    refused(&link("between: [host:eth0, world:outside], corrupt: 1%"), "corrupt packets", "6:58");
    refused(&link("between: [web, host]"), "a link cannot end at `web`", "6:21");
}

#[test]
fn a_link_with_jitter_varies_with_the_seed_and_only_within_bounds() {
    let text = "services: {client: {image: busybox, command: sleep infinity}}\nworld:\n  links:\n    slow: {between: [host:eth0, world:outside], delay: 20ms, jitter: 5ms}\nsteps:\n  - {in: client, run: ping -c 8 outside.example}\n".replace("outside.example", "203.0.113.1");
    let scenario = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let times = |seed| -> Vec<f64> {
        let report = lab::run(&scenario, &RunOptions { seed, ..RunOptions::default() }, &mut |_| {});
        let lines = report.steps[0].output.lines().filter_map(|line| line.split_once("time="));
        lines.map(|(_, time)| time.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    let first = times(1);
    assert_eq!(first.len(), 8, "{first:?}");
    // One wire, there and back; the first also waits for ARP.
    assert!(first[1..].iter().all(|time| (15.0..=50.1).contains(time)), "{first:?}");
    assert!(first[1..].iter().any(|time| (time - first[1]).abs() > 0.1), "{first:?}");
    assert_eq!(first, times(1));
    assert_ne!(first, times(2));
}

#[test]
fn a_step_that_cannot_be_carried_out_is_refused_where_it_stands() {
    let step = |line: &str| format!("{BASE}steps:\n  - {line}\n");
    for (line, message, column) in [
        ("docker swarm init", "'docker swarm' is not supported: there is no swarm control plane", 12),
        ("docker compose up", "'docker compose' is not supported: give the Compose file itself", 12),
        ("docker build .", "'docker build' is not supported", 12),
        ("docker frob", "unknown command: docker frob", 12),
        ("docker run --nett x nginx", "unknown flag: --nett", 16),
        ("docker network frob", "unknown command: docker network frob", 20),
        ("docker network create -d overlay ov", "networks of the driver `overlay` cannot be made here", 30),
        ("docker network create -d weave ov", "networks of the driver `weave` cannot be made here", 30),
        ("docker ps | grep web", "shell operator '|' is not supported", 15),
        ("docker exec web wgett x", "there is no program `wgett` here", 21),
        ("docker run --rm alpine npm start", "there is no program `npm` here", 28),
        (
            "docker run --rm who/knows http://web",
            "neither the image `who/knows` nor the program `http://web`",
            21,
        ),
        ("docker run -d --health-cmd 'frob x' nginx", "there is no program `frob` here", 33),
        ("{in: web, run: wgett x}", "there is no program `wgett` here", 20),
        ("{in: web, run: 'sleep 1; npm start'}", "there is no program `npm` here", 30),
        ("{in: host, run: 'true && docker ps'}", "there is no shell around docker commands here", 30),
    ] {
        refused(&step(line), message, &format!("5:{column}"));
    }
}

#[test]
fn the_nearest_name_is_offered() {
    for (line, help) in [
        ("docker frob", "expect:"),
        ("docker exc web ls", "did you mean `exec`?"),
        ("docker run --nett x nginx", "did you mean `--net`?"),
        ("docker network crate n", "did you mean `create`?"),
        ("docker network create -d bridg n", "did you mean `bridge`?"),
        ("{in: web, run: wgett x}", "did you mean `wget`?"),
        ("{in: web, run: apt-get update}", "expect: 127"),
    ] {
        let error = parse(&format!("{BASE}steps:\n  - {line}\n")).map(|_| ()).expect_err(line);
        let shown = error.errors().next().unwrap().help.clone().unwrap_or_default();
        assert!(shown.contains(help), "{line}: {shown}");
    }
}

#[test]
fn what_a_real_engine_answers_may_be_shown() {
    for step in [
        "{run: docker frob, expect: 1}",
        "{run: docker run --nett x nginx, expect: {exit: 125, contains: ['unknown flag: --nett']}}",
        "{run: docker network create -d weave ov, expect: 'plugin \"weave\" not found'}",
        "{run: docker network create -d overlay ov, expect: 'This node is not a swarm manager'}",
        "{in: web, run: wgett x, expect: 127}",
        "{in: web, run: wgett x, expect: {contains: ['not found']}}",
        "{run: docker exec web wgett x, expect: 127}",
        "docker run -d --name pp postgres -c max_connections=9",
        "docker run --rm curlimages/curl --version-of-nothing-is-asked",
    ] {
        let text = format!("{BASE}steps:\n  - {step}\n");
        assert!(parse(&text).is_ok(), "{step}: {}", parse(&text).unwrap_err().render(false));
    }
    passes(&format!(
        "{BASE}steps:\n  - {{run: docker run --nett x nginx, expect: 125}}\n  - {{in: web, run: wgett x, expect: 127}}\n"
    ));
}

#[test]
fn a_health_check_is_made_or_its_absence_is_said() {
    let project = |test: &str| {
        format!(
            "services:\n  web:\n    image: nginx\n    healthcheck: {{test: {test}, interval: 2s, retries: 2}}\n  app: {{image: nginx, depends_on: {{web: {{condition: service_healthy}}}}}}\n"
        )
    };
    passes(&project("'curl -f http://localhost/'"));
    ends(&project("'curl -f http://localhost:81/'"), "container shop-web-1 is unhealthy", "5:36");
    ends(&project("[CMD, redis-cli, ping]"), "container shop-web-1 is unhealthy", "5:36");
    let report = run(&project("'frob -f http://localhost/'"));
    assert!(report.passed());
    let warnings: Vec<&str> = report.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("the health check of `web` is not made"), "{warnings:?}");
}

#[test]
fn a_command_that_waits_for_a_database_runs() {
    let report = run(
        "services:\n  db: {image: postgres}\n  app:\n    image: alpine\n    command: sh -c 'until pg_isready -h db; do sleep 1; done; httpd -f'\nchecks:\n  - db -> app:80: ok\n",
    );
    assert!(report.passed() && report.warnings.is_empty(), "{:?}", report.warnings);
}
