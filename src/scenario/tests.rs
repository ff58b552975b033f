//! The room from outside: published Compose files, complete scenarios, and a table of bad input.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::load::project_name;
use super::model::{
    Command, Condition, Driver, HostAddress, HostPort, LinkEnd, NetworkMode, Profile, Protocol, Restart,
};
use super::steps::{Action, Event, Target};
use super::*;

fn load_text(text: &str) -> Result<Scenario, Box<LoadError>> {
    load_from(MemorySource::default().with_file("app/compose.yaml", text))
}

fn load_from(source: MemorySource) -> Result<Scenario, Box<LoadError>> {
    load(&source, Path::new("app/compose.yaml"), &LoadOptions::default())
}

fn shared() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "tests find their data through it")]
    let named = std::env::var("LINKSPAN_SHARED").ok().map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = [Some(root.join("../shared")), Some(root.join("../../shared")), named];
    candidates.into_iter().flatten().find(|path| path.join("compose").is_dir())
}

#[test]
fn published_compose_files_are_taken_as_they_are() {
    let Some(folder) = shared() else {
        eprintln!("NOT RUN: no ../shared/compose beside the checkout; set LINKSPAN_SHARED");
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("compose")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "yaml") {
            let scenario = load(&DiskSource, &path, &LoadOptions::default())
                .unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
            assert!(!scenario.services.is_empty(), "{}", path.display());
            assert_eq!(scenario.start_order().len(), scenario.services.len());
            count += 1;
        }
    }
    assert!(count > 0);
}

const FULL: &str = r#"
name: shop
services:
  web:
    build: {context: ./web, target: run, args: [P=7000]}
    environment: {A: 1, B: "${TAG:-x}", FROM_SHELL: }
    env_file: web.env
    networks:
      front: {aliases: [www], priority: 1}
      back: {ipv4_address: 172.30.0.9, gw_priority: 5, mac_address: "02:42:ac:11:00:09", priority: 9}
    ports:
      - "8080:80"
      - "127.0.0.1:9000-9001:9000-9001/udp"
      - {target: 443, published: "8443-8445", host_ip: "::1", mode: host, protocol: tcp}
    expose: [5000, "6000-6001/udp"]
    depends_on: {db: {condition: service_healthy, restart: true}}
    extra_hosts: ["a=10.0.0.1", "b:10.0.0.2", "gw:host-gateway", "v6=[::1]"]
    dns: 1.1.1.1
    dns_search: [example.com]
    deploy: {replicas: 3, endpoint_mode: dnsrr}
    cap_add: [NET_ADMIN]
    sysctls: {net.ipv4.ip_forward: 1}
    volumes: [.:/code]
  db:
    image: postgres:16
    networks: [back]
    container_name: the-db
    restart: on-failure:3
    healthcheck: {test: [CMD, pg_isready], interval: 10s}
    command: postgres -c x=1
  side: {image: busybox, network_mode: "service:web", entrypoint: [sleep, "5"]}
  debug: {image: busybox, profiles: [debug]}
  plain: {image: redis}
networks:
  front: {driver_opts: {com.docker.network.driver.mtu: 1400}}
  back:
    internal: true
    ipam: {config: [{subnet: 172.30.0.0/16, gateway: 172.30.0.1, ip_range: 172.30.5.0/24, aux_addresses: {x: 172.30.0.7}}]}
  outer: {external: true, name: real}
volumes: {v: }
x-linkspan:
  hosts:
    node1:
      nics: {eth0: {address: 203.0.113.10/24, gateway: 203.0.113.1, mtu: 1500}}
      routes: [10.0.0.0/8 via 203.0.113.2]
      ephemeral_ports: 32768-60999
      rules: ["iptables -P FORWARD DROP"]
  world:
    machines:
      alice: {addresses: [198.51.100.7], names: example.com, listen: [80, 53/udp], serves: {8080: hello}}
    links: {wan: {between: [host:eth0, world:alice], delay: 20ms, loss: 1.5%, rate: 10mbit}}
    dns: {records: {a.example: 192.0.2.1}, zones: {example.org: {"@": [192.0.2.2], www: {cname: a.example}}}}
  daemon: {profile: 20.10, bip: 10.9.0.1/24, default-address-pools: [{base: 10.10.0.0/16, size: 24}]}
  client: {proxies: {default: {httpProxy: "http://p:3128"}}}
  images: {"postgres:16": {listen: [5432, 9999]}}
  steps:
    - wait 5m
    - docker run -d --name xx nginx
    - {in: web, run: "echo $HOME", expect: {contains: root}}
    - web -> db:5432: ok
    - check: {"plain -> db:5432": timeout, "web ? db": 172.30.5.1}
    - link down wan
  checks:
    - web -> db:5432: ok from 172.30.0.9
    - "host -> localhost:8080: ok"
    - only web -> db
"#;

fn full() -> Scenario {
    let source = MemorySource::default()
        .with_file("app/compose.yaml", FULL)
        .with_file("app/web.env", "A=from file\nC=$TAG-3\n")
        .with_file("app/.env", "TAG=t1\n")
        .with_file("app/web/Dockerfile", "FROM nginx AS run\nARG P\nENV X=1\nEXPOSE $P\nFROM node\n")
        .with_variable("FROM_SHELL", "s");
    load_from(source).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_full_scenario_services() {
    let scenario = full();
    assert_eq!(scenario.name, "shop");
    let web = scenario.service("web").unwrap();
    let pairs: Vec<String> = web.environment.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(pairs, ["A=1", "C=t1-3", "B=t1", "FROM_SHELL=s"]);
    let names: Vec<&str> = web.attachments().iter().map(|a| a.network.value.as_str()).collect();
    assert_eq!(names, ["back", "front"]);
    assert_eq!(web.attachments()[0].ipv4_address, Some("172.30.0.9".parse().unwrap()));
    assert_eq!(web.attachments()[0].mac_address.unwrap().to_string(), "02:42:ac:11:00:09");
    let published: Vec<(u16, HostPort)> = web.ports.iter().map(|p| (p.target, p.published)).collect();
    let one = |port| HostPort::Range(port, port);
    assert_eq!(
        published,
        [(80, one(8080)), (9000, one(9000)), (9001, one(9001)), (443, HostPort::Range(8443, 8445))]
    );
    assert_eq!(web.ports[1].protocol, Protocol::Udp);
    assert_eq!(web.extra_hosts[2].address, HostAddress::HostGateway);
    assert_eq!(web.extra_hosts[3].address, HostAddress::Address("::1".parse().unwrap()));
    assert_eq!(web.depends_on[0].condition, Condition::Healthy);
    assert_eq!(scenario.container_names(web), ["shop-web-1", "shop-web-2", "shop-web-3"]);
    assert_eq!(web.image_name("shop"), "shop-web");
    let listening: Vec<String> = scenario.listening_ports(web).iter().map(ToString::to_string).collect();
    let expected =
        ["5000/tcp", "6000/udp", "6001/udp", "80/tcp", "9000/udp", "9001/udp", "443/tcp", "7000/tcp"];
    assert_eq!(listening, expected);

    let db = scenario.service("db").unwrap();
    assert_eq!(db.restart, Restart::OnFailure(Some(3)));
    assert_eq!(db.command, Some(Command::Line("postgres -c x=1".into())));
    assert_eq!(scenario.listening_ports(db).len(), 2);
    assert!(
        matches!(&scenario.service("side").unwrap().network, NetworkMode::Service(name) if name.value == "web")
    );
    assert!(scenario.service("debug").is_none());
    let order: Vec<&str> = scenario.start_order().iter().map(|s| s.name.value.as_str()).collect();
    assert_eq!(order, ["db", "web", "side", "plain"]);
}

#[test]
fn a_full_scenario_networks_and_world() {
    let scenario = full();
    let shown: Vec<(&str, bool, bool)> =
        scenario.networks.iter().map(|n| (n.name.as_str(), n.used, n.implicit)).collect();
    let expected = [
        ("shop_front", true, false),
        ("shop_back", true, false),
        ("real", false, false),
        ("shop_default", true, true),
    ];
    assert_eq!(shown, expected);
    let back = scenario.network("back").unwrap();
    assert!(back.internal && back.driver == Driver::Bridge);
    assert_eq!(back.pools[0].aux_addresses[0].1.to_string(), "172.30.0.7");
    assert_eq!(scenario.hosts[0].rules[0].value, "-P FORWARD DROP");
    assert_eq!(scenario.hosts[0].ephemeral_ports, Some((32768, 60999)));
    assert_eq!(scenario.hosts[0].nics[0].addresses[0].to_string(), "203.0.113.10/24");
    let link = &scenario.world.links[0];
    assert_eq!(link.between, Some((LinkEnd::Host(Some("eth0".into())), LinkEnd::World("alice".into()))));
    assert_eq!((link.delay.as_millis(), link.rate, link.loss), (20, Some(10_000_000), 0.015));
    let names: Vec<&str> = scenario.world.records.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["a.example", "example.org", "www.example.org"]);
    assert_eq!(scenario.daemon.profile, Some(Profile::Docker20_10));
    assert_eq!(scenario.daemon.config.bip.unwrap().to_string(), "10.9.0.1/24");
    assert_eq!(scenario.client.proxies[0].1.http.as_deref(), Some("http://p:3128"));
    assert!(scenario.ignored.iter().any(|i| i.path == "services.web.volumes"));
}

#[test]
fn a_full_scenario_steps_and_checks() {
    let scenario = full();
    let actions: Vec<&Action> = scenario.steps.iter().map(|step| &step.action).collect();
    assert_eq!(actions[0], &Action::Event(Event::Wait(std::time::Duration::from_secs(300))));
    assert!(matches!(actions[1], Action::Docker { command, .. } if command.starts_with("docker run")));
    let run = Action::Run { target: Target::Container("web".into()), command: "echo $HOME".into() };
    assert_eq!(actions[2], &run);
    assert!(matches!(actions[3], Action::Check(list) if list.len() == 1));
    assert!(matches!(actions[4], Action::Check(list) if list.len() == 2));
    let shown: Vec<String> = scenario.checks.iter().map(|check| check.claim.to_string()).collect();
    let expected = ["web -> db:5432: ok from 172.30.0.9", "host -> localhost:8080: ok", "only web -> db"];
    assert_eq!(shown, expected);
    let text = scenario.sources.text(scenario.checks[0].span).unwrap();
    assert_eq!(text, "web -> db:5432: ok from 172.30.0.9");
}

#[test]
fn include_and_extends_across_files() {
    let source = MemorySource::default()
        .with_file(
            "app/compose.yaml",
            "include:\n  - ../base/compose.yaml\n  - {path: [x.yaml, y.yaml], env_file: x.env}\n\
             services:\n  web: {extends: {file: ../base/common.yaml, service: worker}, ports: [80]}\n  two: {extends: web, hostname: two}\n",
        )
        .with_file("base/compose.yaml", "services: {db: {image: \"postgres:$V\", env_file: db.env}}\n")
        .with_file("base/.env", "V=15\n")
        .with_file("base/db.env", "K=v\n")
        .with_file("base/common.yaml", "services: {worker: {build: ., environment: [A=1], ports: [81]}}\n")
        .with_file("base/Dockerfile", "FROM scratch\nEXPOSE 7\n")
        .with_file("app/x.yaml", "services: {x: {image: \"a:$W\", dns: 1.1.1.1}}\n")
        .with_file("app/y.yaml", "services: {x: {dns: [2.2.2.2], command: !reset null}}\n")
        .with_file("app/x.env", "W=w\n");
    let scenario = load_from(source).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.service("db").unwrap().image.as_ref().unwrap().value, "postgres:15");
    assert_eq!(scenario.service("db").unwrap().environment, [("K".into(), "v".into())]);
    assert_eq!(scenario.service("x").unwrap().image.as_ref().unwrap().value, "a:w");
    assert_eq!(scenario.service("x").unwrap().dns.len(), 2);
    let two = scenario.service("two").unwrap();
    assert_eq!((two.hostname.as_deref(), two.ports.len()), (Some("two"), 2));
    assert!(two.build.as_ref().unwrap().found);
    assert_eq!(scenario.name, "app");
}

#[test]
fn overrides_and_documents_are_merged_in_order() {
    let source = MemorySource::default()
        .with_file("a.yaml", "services: {w: {image: a, ports: [80]}}\n---\nservices: {w: {image: b}}\n")
        .with_file("b.yaml", "services: {w: {ports: !override [81], hostname: h}}\n");
    let options = LoadOptions {
        overrides: vec!["b.yaml".into()],
        project_name: Some("p".into()),
        ..LoadOptions::default()
    };
    let scenario = load(&source, Path::new("a.yaml"), &options).unwrap();
    let w = scenario.service("w").unwrap();
    assert_eq!((w.image.as_ref().unwrap().value.as_str(), w.ports[0].target, w.ports.len()), ("b", 81, 1));
    assert_eq!(scenario.name, "p");
}

#[test]
fn project_names_follow_compose() {
    for (folder, name) in [("My App", "myapp"), ("_x-Y_1", "x-y_1"), ("é", ""), ("a.b", "ab")] {
        assert_eq!(project_name(folder), name);
    }
}

#[test]
fn extends_has_a_depth() {
    let service = |number: u32| format!("  s{number}: {{extends: {{service: s{}}}}}\n", number + 1);
    let text = format!("services:\n{}  s70: {{image: x}}\n", (0..70).map(service).collect::<String>());
    let error = load_text(&text).unwrap_err().to_string();
    assert!(error.contains("`extends` goes more than 64 services deep, from `s0` on"), "{error}");
    assert!(!error.contains("circle"), "{error}");
}

#[test]
fn a_machine_alone_on_its_lan_is_warned_of() {
    let text = |lan: &str| {
        format!(
            "services: {{a: {{image: x}}}}\nworld: {{machines: {{pc: {{addresses: [192.168.50.9/24], lan: {lan}}}}}}}\n"
        )
    };
    assert!(load_text(&text("lan")).unwrap().warnings.is_empty());
    let scenario = load_text(&text("lna")).unwrap();
    let warning = scenario.warnings.first().unwrap();
    assert_eq!(warning.message, "`pc` is alone on LAN `lna`");
    assert_eq!(warning.help.as_deref(), Some("did you mean `lan`?"));
}

#[test]
fn a_service_named_like_a_place_is_warned_of_when_it_could_be_meant() {
    let services = "services: {host: {image: nginx}, outside: {image: nginx}}\n";
    assert!(load_text(services).unwrap().warnings.is_empty());
    let scenario = load_text(&format!("{services}checks: ['host -> outside:80: ok']\n")).unwrap();
    let messages: Vec<&str> = scenario.warnings.iter().map(|w| w.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "in checks and steps, `host` means the Docker host",
            "in checks and steps, `outside` means this service, not the machine"
        ]
    );
}

#[test]
fn kernel_settings_without_effect_are_warned_of() {
    let text = "services:\n  web:\n    image: nginx\n    sysctls: {net.ipv4.tcp_syncookies: 9, net.ipv4.conf.all.rp_filter: 1}\n";
    let scenario = load_text(text).unwrap();
    let messages: Vec<&str> = scenario.warnings.iter().map(|w| w.message.as_str()).collect();
    assert_eq!(messages, ["the kernel setting `net.ipv4.tcp_syncookies` has no effect in this release"]);
}

#[test]
fn warnings_do_not_refuse() {
    let scenario = load_text(
        "version: '3'\nservices:\n  a: {image: \"x:${TAG}\", network_mode: host, ports: [80], env_file: gone.env}\n",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let messages: Vec<&str> = scenario.warnings.iter().map(|w| w.message.as_str()).collect();
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(messages[0].contains("TAG is not set") && messages[1].contains("gone.env"));
    assert_eq!(messages[2], "Docker refuses the image `x:`: invalid reference format");
    assert!(messages[3].contains("not published"));
}

/// Text, what the message says, and where.
const BAD: &[(&str, &str, &str)] = &[
    ("services:\n  a: {image: x\n", "not valid YAML", "compose.yaml:"),
    ("services:\n\ta: {image: x}\n", "a tab is used", ":2:1"),
    ("services: []\n", "`services` must be a mapping", ":1:11"),
    ("- a\n", "the top level must be a mapping", ":1:1"),
    ("services:\n  a:\n    imge: x\n", "did you mean `image`?", ":3:5"),
    ("services:\n  a:\n    image: x\n    netwroks: [b]\n", "did you mean `networks`?", ":4:5"),
    ("servcies: {}\n", "did you mean `services`?", ":1:1"),
    ("services: {a: {image: x}}\nnetworks:\n  n: {drvier: bridge}\n", "did you mean `driver`?", ":3:7"),
    ("services:\n  a:\n    image: 5\n", "`services.a.image` must be text, found a number", ":3:12"),
    ("services:\n  a:\n    image: x\n    privileged: maybe\n", "must be true or false", ":4:17"),
    ("services:\n  a:\n    image: x\n    ports: 80\n", "must be a list", ":4:12"),
    ("services:\n  a:\n    image: x\n    ports: ['0']\n", "`0` is not a port", ":4:13"),
    ("services:\n  a:\n    image: x\n    ports: ['70000:80']\n", "`70000` is not a port", ":4:13"),
    ("services:\n  a:\n    image: x\n    ports: [{target: 0}]\n", "`0` is not a port", ":4:"),
    ("services:\n  a:\n    image: x\n    ports: ['1-3:1-2']\n", "not equally long", ":4:13"),
    ("services:\n  a:\n    image: x\n    expose: [99999]\n", "`99999` is not a port", ":4:14"),
    ("services:\n  a: {}\n", "neither `image` nor `build`", ":2:3"),
    (
        "services:\n  a: {image: x, container_name: cc}\n  b: {image: x, container_name: cc}\n",
        "same container name",
        ":3:",
    ),
    ("services:\n  a: {image: x, container_name: cc, scale: 2}\n", "`container_name` allows one", ":2:"),
    ("services: {a: {image: x}}\nnetworks:\n  m: {name: n}\n  o: {name: n}\n", "same name `n`", ":4:3"),
    (
        "services:\n  a:\n    image: x\n    network_mode: host\n    networks: [b]\n",
        "exclude each other",
        ":4:19",
    ),
    ("services:\n  a: {image: x, network_mode: hots}\n", "did you mean `host`?", ":2:"),
    (
        "services: {a: {image: x}}\nnetworks:\n  n: {external: true, driver: bridge}\n",
        "is external, so `driver`",
        ":3:23",
    ),
    ("services:\n  web: {image: x}\n  a: {image: x, depends_on: [wbe]}\n", "did you mean `web`?", ":3:30"),
    ("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n", "in a circle", ":2:"),
    (
        "services:\n  a: {image: x, depends_on: {b: {}}}\n  b: {image: x}\n",
        "needs the key `condition`",
        ":2:30",
    ),
    ("services:\n  a: {image: x, networks: [frnt]}\nnetworks: {front: }\n", "did you mean `front`?", ":2:28"),
    (
        "services:\n  a: {image: x, networks: {n: {ipv4_address: 10.0.0.2}}}\nnetworks: {n: }\n",
        "is in no subnet",
        ":2:",
    ),
    ("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [p]}\n", "--profile p", ":2:"),
    ("services:\n  a: {image: \"x${\"}\n", "invalid interpolation", ":2:14"),
    ("services:\n  a:\n    image: x\n   ports: []\n", "3 spaces before it, the one above 4", ":4:4"),
    ("services:\n  a:\n    image: x\n    dns: [1.1.1.1\n    ports: []\n", "is not closed", ":5:"),
    ("services:\n  a:\n    image x\n    dns: 1.1.1.1\n", "the line above has no `: `", ":4:"),
    ("services:\n  a:\n    image: x\n      dns: 1.1.1.1\n", "cannot stand deeper", ":4:"),
    ("services:\n  a: {image: x}\n  b:\n    command: echo a: b\n", "has to be quoted", ":4:"),
    ("services:\n  a:\n    image: x\n    ports:\n      -a:80\n", "a space belongs between", ":5:7"),
    ("services: {a: {image: x, environment: [{K: v}]}}\n", "`- K=v`", ":1:"),
    ("services: {a: {image: x}}\nports: [80]\n", "it is a key of a service", ":2:1"),
    ("services:\n  a:\n  image: x\n", "stands below it and deeper", ":2:"),
    ("services: {a: {image: x}}\nnetworks: [b]\n", "without a `-`", ":2:11"),
    ("services: {a: {image: x, ports: 80:80}}\n", "a list of one is written `[\"80:80\"]`", ":1:33"),
    ("services: {a: {image: x}}\nsteps: [wait 5]\n", "did you mean `wait 5s`?", ":2:9"),
    (
        "services: {a: {image: x, depends_on: {b: {condition: service_healty}}}, b: {image: x}}\n",
        "found `service_healty`",
        ":1:",
    ),
    ("services:\n  a: {image: \"${V:?set it}\"}\n", "set it", ":2:14"),
    ("services:\n  a: {extends: a}\n", "runs in a circle", ":2:16"),
    ("services:\n  a: {extends: {service: b}}\n  b: {extends: {service: a}}\n", "runs in a circle", ":"),
    ("services:\n  a: {extends: {service: b, file: gone.yaml}}\n", "cannot read app/gone.yaml", ":2:"),
    ("include: [compose.yaml]\n", "`include` runs in a circle", ":1:11"),
    ("include: [gone.yaml]\n", "cannot read app/gone.yaml", ":1:11"),
    ("include: ['oci://r.example/x:1']\n", "linkspan fetches nothing", ":1:11"),
    (
        "services: {a: {image: x}}\nnetworks: {n: {driver: overlay}}\n",
        "network driver `overlay` is not supported",
        ":2:",
    ),
    ("services: {a: {image: x}}\nnetworks: {n: {driver: brigde}}\n", "did you mean `bridge`?", ":2:"),
    (
        "services: {a: {image: x}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/40}]}}}\n",
        "is not a network",
        ":2:",
    ),
    (
        "services: {a: {image: x}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/8, gateway: 11.0.0.1}]}}}\n",
        "not inside",
        ":2:",
    ),
    ("name: My App\nservices: {a: {image: x}}\n", "is not a project name", ":1:7"),
    ("hosts: {a: {}, b: {}}\n", "several hosts are not supported yet", ":1:16"),
    ("hosts: {a: {nics: {eth0: {address: 10.0.0.1}}}}\n", "prefix length", ":1:"),
    ("checks: [web -> db]\n", "expected `: OUTCOME`", ":1:10"),
    (
        "services: {web: {image: x}}\nchecks:\n  - wbe -> web:80: ok\n",
        "no service or container `wbe`",
        ":3:5",
    ),
    ("steps:\n  - wiat 5s\n", "did you mean `wait`?", ":2:5"),
    ("steps:\n  - {in: a}\n", "the step does nothing", ":2:5"),
    ("steps:\n  - {rnu: a}\n", "did you mean `run`?", ":2:6"),
    ("steps:\n  - check: a -> b:80: ok\n", "a check after `check:` or `done:` is quoted", ":2:"),
    ("x-linkspan: {chekcs: []}\n", "did you mean `checks`?", ":1:14"),
    ("services: {a: {image: x, ports: 80}}\n", "a list of one is written `[\"80\"]`", ":1:"),
    ("services: {a: {image: x, ports: {80: 80}}}\n", "each item of a list is written behind `- `", ":1:"),
    (
        "services: {a: {image: x, healthcheck: {test: x, interval: 5}}}\n",
        "a duration has a unit: `5s`",
        ":1:",
    ),
    ("daemon: {profile: 27}\n", "must be one of 20.10, 28, 29 or nothing", ":1:"),
    ("services: {a: {image: alpine, user: jo}}\n", "unable to find user jo: no matching entries", ":1:37"),
    ("services: {a: {image: x, user: '-1'}}\n", "uids and gids must be in range 0-2147483647", ":1:"),
    (
        "services: {a: {image: x, sysctls: {net.ipv4.x: 1}}}\n",
        "open /proc/sys/net/ipv4/x: no such file",
        ":1:36",
    ),
    (
        "services: {a: {image: x, sysctls: [net.ipv4.ip_forward=z]}}\n",
        "ip_forward: invalid argument",
        ":1:36",
    ),
    (
        "services: {a: {image: x, network_mode: host, sysctls: {net.ipv4.ip_forward: 1}}}\n",
        "\"net.ipv4.ip_forward\" not allowed in host network namespace",
        ":1:56",
    ),
    ("steps:\n  - run: \"grep a\\. x\"\n", "a backslash is YAML's own", ":2:"),
    ("world: {machines: {m: {addresses: [x]}}}\n", "is not an address", ":1:"),
    ("world: {links: {l: {loss: 200%}}}\n", "not a share", ":1:"),
];

#[test]
fn bad_input_is_refused_with_its_line() {
    for (text, message, place) in BAD {
        let error = load_text(text).map(|_| ()).expect_err(text).render(false);
        assert!(error.contains(message), "{text}\nshould say {message:?}:\n{error}");
        assert!(
            error.contains(&format!("compose.yaml{}", place.trim_start_matches("compose.yaml"))),
            "{text}\nshould point at {place}:\n{error}"
        );
    }
}

#[test]
fn several_problems_are_told_together() {
    let error = load_text("services:\n  a: {imge: x}\n  b: {image: y, ports: ['0']}\nfoo: 1\n").unwrap_err();
    let text = error.render(false);
    for part in ["imge", "`0` is not a port", "unknown key `foo`"] {
        assert!(text.contains(part), "{text}");
    }
    let many: String = (0..200).map(|i| format!("  s{i}: {{x: 1}}\n")).collect();
    let error = load_text(&format!("services:\n{many}")).unwrap_err();
    assert!(error.diagnostics.len() <= 50 && error.suppressed > 0);
}

#[test]
fn ten_thousand_networks_are_read() {
    let networks: String = (0..10_000).map(|i| format!("  n{i}:\n")).collect();
    let services: String = (0..2_000)
        .map(|i| format!("  s{i}: {{image: x, networks: [n{i}], depends_on: [s{}]}}\n", i + 1))
        .collect();
    let text = format!("services:\n{services}  s2000: {{image: x}}\nnetworks:\n{networks}");
    let scenario = load_text(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.networks.len(), 10_001);
    assert_eq!(scenario.start_order()[0].name.value, "s2000");
}

#[test]
fn growth_through_extends_and_ports_is_bounded() {
    let labels: String = (0..5000).map(|i| format!("      l{i}: x\n")).collect();
    let services: String = (0..1000).map(|i| format!("  s{i}: {{extends: base}}\n")).collect();
    let text = format!("services:\n  base:\n    image: x\n    labels:\n{labels}{services}");
    assert!(load_text(&text).unwrap_err().render(false).contains("makes more than"));
    let services: String = (0..10).map(|i| format!("  s{i}: {{image: x, expose: [1-65535]}}\n")).collect();
    let error = load_text(&format!("services:\n{services}")).unwrap_err();
    assert!(error.render(false).contains("more than 200000 ports"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_loaded_or_refused(text in "[ a-c:\\-\\[\\]{}$&*!<'\"|>\\n\\t0-9é#?,]{0,120}") {
        let _ = load_text(&text);
    }

    /// Lines of a valid file cut, doubled and swapped reach further in than noise does.
    #[test]
    fn shuffled_lines_are_loaded_or_refused(picks in proptest::collection::vec(0usize..80, 1..60)) {
        let lines: Vec<&str> = FULL.lines().collect();
        let text: String = picks.iter().map(|i| format!("{}\n", lines[i % lines.len()])).collect();
        if let Err(error) = load_text(&text) {
            prop_assert!(!error.render(false).is_empty());
        }
    }

    #[test]
    fn mutated_files_are_loaded_or_refused(at in 0usize..3000, put in "[ :\\[\\]{}'\"0-9a-z~$*&-]{0,4}", cut in 0usize..6) {
        let mut at = at % FULL.len();
        let mut end = (at + cut).min(FULL.len());
        while !FULL.is_char_boundary(at) { at -= 1; }
        while !FULL.is_char_boundary(end) { end += 1; }
        let text = format!("{}{put}{}", &FULL[..at], &FULL[end..]);
        let _ = load_text(&text);
    }
}

#[test]
fn an_address_that_somebody_else_has_is_warned_of() {
    let text = |address: &str| {
        format!("services: {{a: {{image: x}}}}\nworld: {{machines: {{pc: {{addresses: [{address}/24]}}}}}}\n")
    };
    let warnings = |address: &str| -> Vec<String> {
        load_text(&text(address)).unwrap().warnings.into_iter().map(|warning| warning.message).collect()
    };
    assert_eq!(warnings("203.0.113.77"), [] as [String; 0]);
    assert_eq!(warnings("203.0.113.53"), ["`pc` has 203.0.113.53, which `outside` has too"]);
    assert_eq!(warnings("203.0.113.10"), ["`pc` has 203.0.113.10, which `host` has too"]);
}
