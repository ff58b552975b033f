//! The daemon against the engine: command lines in, rules, routes, files and refusals out. The texts are those recorded
//! from Docker 20.10 and the listings of Docker 28's documentation.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::Table;
use linkspan_nat::text_list::list_save;
use proptest::prelude::*;

use linkspan::docker::cli;
use linkspan::docker::daemon::{Daemon, DaemonConfig, HostIdentity};
use linkspan::docker::outcome::{
    ContainerFile, HostInterface, HostTable, HostView, Kill, Outcome, Output, ResolverChange, Spawn,
};
use linkspan::docker::profile::Profile;
use linkspan::engine::Engine;
use linkspan::engine::plan::{DeviceName, DeviceSpec, NamespaceName, Op, Owner, Plan, Transport};

/// A host with one daemon; processes end as soon as they are told to.
struct Stage {
    daemon: Daemon,
    engine: Engine,
    table: HostTable,
    view: HostView,
    now: Duration,
    proxies: BTreeMap<Owner, SocketAddr>,
    running: BTreeSet<String>,
    files: BTreeMap<(String, ContainerFile), String>,
    resolvers: usize,
    /// The environment of every main process started, by container.
    environments: BTreeMap<String, Vec<String>>,
}

impl Stage {
    fn new(profile: Profile) -> Self {
        Self::with(DaemonConfig { profile, ..DaemonConfig::default() })
    }

    fn with(config: DaemonConfig) -> Self {
        let namespace = NamespaceName::new("host");
        let mut engine = Engine::new(0);
        let mut plan = Plan::new();
        let machine = Owner::Machine(1);
        plan.push(
            machine,
            Op::AddNamespace {
                namespace: namespace.clone(),
                disable_ipv6: false,
                ipv4_forward: false,
                unprivileged: false,
            },
        );
        let mut interfaces = Vec::new();
        for (name, address) in [("eth0", "203.0.113.10/24"), ("lan0", "192.168.50.2/24")] {
            let device = DeviceName { namespace: namespace.clone(), name: name.parse_name() };
            plan.push(
                machine,
                Op::AddDevice { device: device.clone(), spec: DeviceSpec::Nic, mac: None, mtu: 1500 },
            );
            plan.push(machine, Op::add_address(device.clone(), address.parse().unwrap()));
            plan.push(machine, Op::SetUp { device });
            interfaces.push(HostInterface {
                name: name.to_owned(),
                addresses: vec![address.parse().unwrap()],
                ..HostInterface::default()
            });
        }
        engine.apply(&plan).unwrap();
        let on_link = interfaces.iter().flat_map(|interface| interface.addresses.clone()).collect();
        let table = HostTable { on_link, interfaces, ..HostTable::default() };
        let view = HostView {
            devices: Rc::new(table.clone()),
            resolv_conf: "nameserver 203.0.113.53\n".to_owned(),
            hosts: "127.0.0.1 localhost\n".to_owned(),
            ..HostView::default()
        };
        let host = HostIdentity { number: 0, namespace, hostname: "dk".to_owned() };
        let mut stage = Self {
            daemon: Daemon::new(config, host, 1),
            engine,
            table,
            view,
            now: Duration::ZERO,
            proxies: BTreeMap::new(),
            running: BTreeSet::new(),
            files: BTreeMap::new(),
            resolvers: 0,
            environments: BTreeMap::new(),
        };
        let outcome = stage.daemon.start(&stage.view).unwrap();
        stage.settle(outcome);
        stage
    }

    /// Applies an outcome and everything that follows from it.
    fn settle(&mut self, outcome: Outcome) -> Output {
        let mut ended = Vec::new();
        for kill in outcome.kills {
            match kill {
                Kill::Container { container, .. } => ended.push(container),
                Kill::Proxy { owner } => {
                    assert!(self.proxies.remove(&owner).is_some(), "{owner} has no proxy")
                }
                Kill::Freeze { .. } => {}
            }
        }
        self.engine.apply(&outcome.plan).unwrap();
        for change in outcome.files {
            self.files.insert((change.container.to_string(), change.file), change.text.to_string());
        }
        for change in outcome.resolvers {
            match change {
                ResolverChange::Started { .. } => self.resolvers += 1,
                ResolverChange::Stopped { .. } => self.resolvers -= 1,
            }
        }
        for spawn in outcome.spawns {
            match spawn {
                Spawn::Container(process) => {
                    assert!(self.engine.namespace(&process.namespace).is_some());
                    assert!(self.running.insert(process.container.to_string()));
                    self.environments.insert(process.container.to_string(), process.env);
                }
                Spawn::Proxy { owner, listen, .. } => {
                    assert!(self.proxies.insert(owner, listen).is_none());
                }
            }
        }
        self.table.listening = self.proxies.values().map(|address| (*address, Transport::Tcp)).collect();
        self.view.devices = Rc::new(self.table.clone());
        for id in ended {
            self.exit(id.as_str(), 137);
        }
        outcome.output
    }

    fn exit(&mut self, id: &str, status: u8) {
        let id = self.daemon.container(id).unwrap().id.to_string();
        assert!(self.running.remove(&id), "{id} does not run");
        let outcome = self.daemon.exited(self.now, &id, status, &self.view);
        self.settle(outcome);
    }

    fn run(&mut self, line: &str) -> Output {
        self.now += Duration::from_secs(1);
        let words = cli::words::split(line).unwrap();
        let command = match cli::parse(&words) {
            Ok(command) => command,
            Err(error) => {
                return Output {
                    stdout: String::new(),
                    stderr: format!("{error}\n"),
                    exit: error.exit_code(),
                    ..Output::default()
                };
            }
        };
        match self.daemon.request(self.now, &command.request, &self.view) {
            Ok(outcome) => self.settle(outcome),
            Err(error) => self.daemon.refusal(&error),
        }
    }

    /// Runs lines that must succeed.
    fn ok(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let output = self.run(line);
            assert_eq!((output.exit, output.stderr.as_str()), (0, ""), "{line}");
        }
    }

    fn stdout(&mut self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!((output.exit, output.stderr.as_str()), (0, ""), "{line}");
        output.stdout
    }

    /// The refusal of a line, with ids masked.
    fn refusal(&mut self, line: &str) -> String {
        let output = self.run(line);
        assert_ne!(output.exit, 0, "{line}");
        mask(&output.stderr)
    }

    fn rules(&self, table: Table) -> String {
        self.rules_in("host", Family::Ipv4, table)
    }

    fn rules_in(&self, namespace: &str, family: Family, table: Table) -> String {
        let namespace = self.engine.namespace(&NamespaceName::new(namespace)).unwrap();
        let text = self
            .engine
            .rules(namespace, family)
            .and_then(|rules| list_save(rules, table, None, None, false))
            .unwrap_or_default();
        text.lines()
            .filter(|line| !line.starts_with("-P") || line.contains("FORWARD"))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    fn namespace(&self, container: &str) -> NamespaceName {
        self.daemon.container(container).unwrap().sandbox.clone().unwrap().namespace
    }

    fn default_route(&self, container: &str) -> Option<String> {
        let namespace = self.engine.namespace(&self.namespace(container)).unwrap();
        let routes = self.engine.routes(namespace, Family::Ipv4);
        let route = routes.into_iter().find(|route| route.destination.prefix_len() == 0)?;
        Some(format!("{} {}", route.gateway.unwrap(), route.device))
    }

    fn address(&self, container: &str, network: &str) -> String {
        let container = self.daemon.container(container).unwrap();
        let endpoint = container.endpoints.iter().find(|endpoint| endpoint.network_name == network).unwrap();
        endpoint.active.as_ref().unwrap().ipv4.unwrap().addr().to_string()
    }

    fn file(&self, container: &str, file: ContainerFile) -> &str {
        let id = self.daemon.container(container).unwrap().id.to_string();
        &self.files[&(id, file)]
    }
}

trait ParseName {
    fn parse_name(&self) -> linkspan_nat::interface::InterfaceName;
}

impl ParseName for str {
    fn parse_name(&self) -> linkspan_nat::interface::InterfaceName {
        linkspan_nat::interface::InterfaceName::parse(self).unwrap()
    }
}

/// Replaces 64-digit ids.
fn mask(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() {
            word.push(c);
            continue;
        }
        out.push_str(if word.len() == 64 { "ID" } else { &word });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

const FRESH_20_10: &str = "\
-P FORWARD DROP
-N DOCKER
-N DOCKER-ISOLATION-STAGE-1
-N DOCKER-ISOLATION-STAGE-2
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
";

const FRESH_28: &str = "\
-P FORWARD DROP
-N DOCKER
-N DOCKER-BRIDGE
-N DOCKER-CT
-N DOCKER-FORWARD
-N DOCKER-ISOLATION-STAGE-1
-N DOCKER-ISOLATION-STAGE-2
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
";

const FRESH_NAT: &str = "\
-N DOCKER
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
";

#[test]
fn a_fresh_daemon_has_the_rules_of_its_release() {
    for (profile, filter) in [(Profile::Docker20_10, FRESH_20_10), (Profile::Docker28, FRESH_28)] {
        let stage = Stage::new(profile);
        assert_eq!(stage.rules(Table::Filter), filter);
        assert_eq!(stage.rules(Table::Nat), FRESH_NAT);
        assert_eq!(stage.rules(Table::Raw), "");
        let v6 = stage.rules_in("host", Family::Ipv6, Table::Nat);
        assert_eq!(
            v6.contains("-A OUTPUT ! -d ::1/128 -m addrtype --dst-type LOCAL -j DOCKER"),
            profile != Profile::Docker20_10
        );
    }
}

#[test]
fn forwarding_that_was_on_keeps_its_policy() {
    let mut stage = Stage::new(Profile::Docker28);
    stage.view.ip_forward = true;
    let host = stage.daemon.host().clone();
    let outcome = Daemon::new(DaemonConfig::default(), host, 1).start(&stage.view).unwrap();
    assert!(!outcome.plan.entries.iter().any(|entry| matches!(entry.op, Op::SetPolicy { .. })));
}

#[test]
fn user_networks_and_published_ports_write_the_recorded_rules_of_20_10() {
    let mut stage = Stage::new(Profile::Docker20_10);
    stage.ok("docker network create -o com.docker.network.bridge.name=br-app app
        docker run -d --name web --network app -p 8080:80 -p 127.0.0.1:8443:443 nginx");
    let filter = stage.rules(Table::Filter);
    let expected = "\
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br-app -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br-app -j DOCKER
-A FORWARD -i br-app ! -o br-app -j ACCEPT
-A FORWARD -i br-app -o br-app -j ACCEPT
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.18.0.2/32 ! -i br-app -o br-app -p tcp -m tcp --dport 443 -j ACCEPT
-A DOCKER -d 172.18.0.2/32 ! -i br-app -o br-app -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i br-app ! -o br-app -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o br-app -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
";
    assert!(filter.ends_with(expected), "{filter}");
    let nat = stage.rules(Table::Nat);
    let expected = "\
-A POSTROUTING -s 172.18.0.0/16 ! -o br-app -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 443 -j MASQUERADE
-A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -i br-app -j RETURN
-A DOCKER -i docker0 -j RETURN
-A DOCKER -d 127.0.0.1/32 ! -i br-app -p tcp -m tcp --dport 8443 -j DNAT --to-destination 172.18.0.2:443
-A DOCKER ! -i br-app -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80
";
    assert!(nat.ends_with(expected), "{nat}");
    assert_eq!(stage.proxies.len(), 3);
    assert_eq!(
        stage.stdout("docker port web"),
        "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n443/tcp -> 127.0.0.1:8443\n"
    );
    stage.ok("docker rm -f web
        docker network rm app");
    assert_eq!(stage.rules(Table::Filter), FRESH_20_10);
    assert_eq!(stage.rules(Table::Nat), FRESH_NAT);
    assert!(stage.proxies.is_empty());
}

#[test]
fn published_ports_and_direct_access_in_28() {
    let mut stage = Stage::new(Profile::Docker28);
    stage.ok("docker network create -o com.docker.network.bridge.name=bridge1 --subnet 192.0.2.0/24 --gateway 192.0.2.1 bridge1
        docker run --network bridge1 -d -p 8080:80 -p 127.0.0.1:81:81 --name c1 busybox");
    let filter = stage.rules(Table::Filter);
    for line in [
        "-A DOCKER -d 192.0.2.2/32 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 81 -j ACCEPT\n-A DOCKER -d 192.0.2.2/32 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 80 -j ACCEPT\n-A DOCKER ! -i docker0 -o docker0 -j DROP\n-A DOCKER ! -i bridge1 -o bridge1 -j DROP\n",
        "-A DOCKER-FORWARD -i docker0 -j ACCEPT\n-A DOCKER-FORWARD -i bridge1 -j ACCEPT\n",
        "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2\n-A DOCKER-ISOLATION-STAGE-1 -i bridge1 ! -o bridge1 -j DOCKER-ISOLATION-STAGE-2\n",
        "-A DOCKER-ISOLATION-STAGE-2 -o bridge1 -j DROP\n-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP\n",
    ] {
        assert!(filter.contains(line), "{filter}");
    }
    let nat = stage.rules(Table::Nat);
    let expected = "\
-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i bridge1 -j RETURN
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80
-A DOCKER -d 127.0.0.1/32 ! -i bridge1 -p tcp -m tcp --dport 81 -j DNAT --to-destination 192.0.2.2:81
";
    assert!(nat.ends_with(expected), "{nat}");
    assert_eq!(
        stage.rules(Table::Raw),
        "-A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -j DROP\n\
         -A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 81 -j DROP\n"
    );
}

#[test]
fn internal_icc_and_masquerade_change_the_rules() {
    let mut stage = Stage::new(Profile::Docker20_10);
    stage.ok("docker network create --internal --subnet 10.9.0.0/24 -o com.docker.network.bridge.name=inner inner
        docker network create -o com.docker.network.bridge.enable_icc=false -o com.docker.network.bridge.name=noicc noicc
        docker network create -o com.docker.network.bridge.enable_ip_masquerade=false -o com.docker.network.bridge.name=nomasq nomasq");
    let filter = stage.rules(Table::Filter);
    assert!(
        filter.contains(
            "-A FORWARD -i docker0 -o docker0 -j ACCEPT\n-A FORWARD -i noicc -o noicc -j DROP\n-A DOCKER"
        ) && filter.contains("-A FORWARD -i inner -o inner -j ACCEPT\n-A FORWARD -o docker0 -m conntrack"),
        "{filter}"
    );
    assert!(filter.contains("-A DOCKER-ISOLATION-STAGE-1 ! -s 10.9.0.0/24 -o inner -j DROP\n-A DOCKER-ISOLATION-STAGE-1 ! -d 10.9.0.0/24 -i inner -j DROP\n"), "{filter}");
    let nat = stage.rules(Table::Nat);
    assert!(
        !nat.contains("inner") && !nat.contains("nomasq") && nat.contains("-A DOCKER -i noicc -j RETURN"),
        "{nat}"
    );
    let mut stage = Stage::new(Profile::Docker28);
    stage.ok("docker network create --internal --subnet 10.9.0.0/24 -o com.docker.network.bridge.name=inner inner
        docker network create -o com.docker.network.bridge.enable_icc=false -o com.docker.network.bridge.name=noicc noicc");
    let filter = stage.rules(Table::Filter);
    assert!(filter.contains("-A DOCKER-FORWARD -i inner -o inner -j ACCEPT\n-A DOCKER-FORWARD -i noicc -o noicc -j DROP\n-A DOCKER-FORWARD -i noicc ! -o noicc -j ACCEPT\n"), "{filter}");
    assert!(!filter.contains("-A DOCKER ! -i inner"), "{filter}");
}

#[test]
fn without_a_userland_proxy_the_kernel_does_it_all() {
    let config =
        DaemonConfig { profile: Profile::Docker20_10, userland_proxy: false, ..DaemonConfig::default() };
    let mut stage = Stage::with(config);
    stage.ok("docker run -d --name web -p 8080:80 nginx");
    assert_eq!(
        stage.rules(Table::Nat),
        "\
-N DOCKER
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -o docker0 -m addrtype --src-type LOCAL -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
"
    );
    assert_eq!(stage.stdout("docker port web"), "80/tcp -> 0.0.0.0:8080\n");
    let held: Vec<String> = stage.proxies.values().map(SocketAddr::to_string).collect();
    assert_eq!(held, ["0.0.0.0:8080"], "dockerd keeps the port from others itself");
}

#[test]
fn resolvers_come_with_the_first_user_network() {
    let mut stage = Stage::new(Profile::Docker20_10);
    stage.ok("docker network create app
        docker run -d --name one busybox");
    assert_eq!(stage.resolvers, 0);
    assert_eq!(stage.file("one", ContainerFile::ResolvConf), "nameserver 203.0.113.53\n");
    stage.ok("docker network connect app one");
    assert_eq!(stage.resolvers, 1);
    assert!(stage.file("one", ContainerFile::ResolvConf).contains("nameserver 127.0.0.11"));
    let namespace = stage.namespace("one");
    let nat = stage.rules_in(namespace.as_str(), Family::Ipv4, Table::Nat);
    let lines: Vec<&str> = nat.lines().collect();
    assert_eq!(
        lines[2..4],
        [
            "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT",
            "-A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING"
        ]
    );
    assert!(lines[4].starts_with(
        "-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:"
    ));
    assert!(
        lines[7].starts_with("-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport ")
            && lines[7].ends_with("-j SNAT --to-source :53")
    );
    let hosts = stage.file("one", ContainerFile::Hosts).to_owned();
    let short = stage.daemon.container("one").unwrap().id.short().to_owned();
    assert!(hosts.ends_with(&format!("172.17.0.2\t{short}\n172.18.0.2\t{short}\n")), "{hosts}");
    stage.ok("docker network disconnect app one");
    assert_eq!(stage.resolvers, 1);
    assert!(stage.file("one", ContainerFile::Hosts).ends_with(&format!("172.17.0.2\t{short}\n")));
    stage.ok("docker stop one");
    assert_eq!(stage.resolvers, 0);
}

#[test]
fn the_default_route_follows_the_networks() {
    let mut stage = Stage::new(Profile::Docker20_10);
    stage.ok("docker network create --subnet 10.50.1.0/24 zeta
        docker network create --subnet 10.50.2.0/24 alpha
        docker network create --internal --subnet 10.50.3.0/24 aaa
        docker run -d --name c1 --network zeta -p 80 busybox");
    let ports =
        |stage: &mut Stage| stage.stdout("docker port c1 80").lines().next().unwrap_or_default().to_owned();
    assert_eq!(stage.default_route("c1").unwrap(), "10.50.1.1 eth0");
    assert_eq!(ports(&mut stage), "0.0.0.0:32768");
    stage.ok("docker network connect alpha c1");
    assert_eq!(stage.default_route("c1").unwrap(), "10.50.2.1 eth1");
    assert_eq!(ports(&mut stage), "0.0.0.0:32769");
    stage.ok("docker network connect aaa c1
        docker network connect bridge c1");
    assert_eq!(stage.default_route("c1").unwrap(), "10.50.2.1 eth1");
    stage.ok("docker network disconnect alpha c1");
    assert_eq!(stage.default_route("c1").unwrap(), "172.17.0.1 eth3");
    stage.ok("docker network disconnect bridge c1
        docker network disconnect zeta c1");
    assert_eq!(stage.default_route("c1").unwrap(), "10.50.3.1 eth2");
    assert!(!stage.rules(Table::Nat).contains("DNAT"));
    stage.ok("docker network connect alpha c1");
    assert_eq!(stage.default_route("c1").unwrap(), "10.50.2.1 eth4");
    stage.ok("docker network connect zeta c1
        docker restart c1");
    assert_eq!(stage.default_route("c1").unwrap(), "10.50.2.1 eth0");

    let mut stage = Stage::new(Profile::Docker28);
    stage.ok("docker network create --internal aaa
        docker network create zeta
        docker network create alpha
        docker run -d --name c1 --network aaa busybox");
    assert_eq!(stage.default_route("c1"), None);
    stage.ok("docker network connect alpha c1
        docker network connect --gw-priority 5 zeta c1");
    assert!(stage.default_route("c1").unwrap().ends_with(" eth2"));
    stage.ok("docker network disconnect alpha c1
        docker network connect alpha c1");
    let namespace = stage.engine.namespace(&stage.namespace("c1")).unwrap();
    let names: Vec<String> = stage.engine.interfaces(namespace).into_iter().map(|i| i.name).collect();
    assert!(names.contains(&"eth1".to_owned()) && !names.contains(&"eth3".to_owned()), "{names:?}");
}

#[test]
fn addresses_are_reused_and_stopped_containers_have_none() {
    let mut stage = Stage::new(Profile::Docker20_10);
    stage.ok("docker run -d --name c1 busybox
        docker run -d --name c2 busybox
        docker stop c1
        docker run -d --name c3 busybox
        docker start c1");
    assert_eq!(stage.address("c3", "bridge"), "172.17.0.2");
    assert_eq!(stage.address("c1", "bridge"), "172.17.0.4");
    let mac = stage.stdout("docker inspect -f '{{.NetworkSettings.Networks.bridge.MacAddress}}' c1");
    assert_eq!(mac, "02:42:ac:11:00:04\n");
    stage.ok("docker stop c1");
    assert_eq!(stage.stdout("docker inspect -f '{{.NetworkSettings.IPAddress}}' c1"), "\n");
}

#[test]
fn ranges_gateways_and_small_subnets_follow_the_recordings() {
    let mut stage = Stage::new(Profile::Docker20_10);
    stage.ok(
        "docker network create --subnet 172.28.0.0/16 --ip-range 172.28.5.0/24 --gateway 172.28.5.254 br0
        docker run -d --name c1 --network br0 busybox
        docker network create --subnet 10.10.0.0/16 --ip-range 10.10.128.0/30 range
        docker run -d --name c2 --network range busybox
        docker network create --subnet 10.22.0.0/30 p30
        docker run -d --name c3 --network p30 busybox",
    );
    assert_eq!(stage.address("c1", "br0"), "172.28.5.0");
    assert_eq!(stage.address("c2", "range"), "10.10.128.1");
    assert_eq!(stage.default_route("c2").unwrap(), "10.10.128.0 eth0");
    assert_eq!(
        stage.refusal("docker run -d --name c4 --network p30 busybox"),
        "docker: Error response from daemon: no available IPv4 addresses on this network's address pools: p30 (ID)\n\n\
         Run 'docker run --help' for more information\n"
    );
    assert_eq!(
        stage.stdout("docker ps -a --format '{{.Names}} {{.State}}' --filter name=c4"),
        "c4 created\n"
    );
    assert_eq!(
        stage.stdout("docker network inspect -f '{{json .IPAM.Config}}' p30"),
        "[{\"Subnet\":\"10.22.0.0/30\"}]\n"
    );
}

#[test]
fn refusals_of_network_commands_are_the_recorded_ones() {
    let mut stage = Stage::new(Profile::Docker20_10);
    stage.ok("docker network create --subnet 10.20.0.0/16 one
        docker network create --subnet 10.21.0.5/24 hostbits");
    stage.refusal(
        "docker network create --subnet 10.22.0.0/24 --gateway 10.22.0.1 --aux-address a=10.22.0.1 x",
    );
    assert_eq!(
        stage.refusal("docker network rm bridge"),
        "Error response from daemon: bridge is a pre-defined network and cannot be removed\nexit status 1\n"
    );
    stage.ok("docker run -d --name web --network one busybox");
    assert_eq!(
        stage.refusal("docker network rm one nosuch hostbits"),
        "Error response from daemon: error while removing network: network one id ID has active endpoints\nError response from daemon: network nosuch not found\nexit status 1\n"
    );
    assert_eq!(
        stage.refusal("docker network connect one web"),
        "Error response from daemon: endpoint with name web already exists in network one\n"
    );
    assert_eq!(
        stage.refusal("docker network disconnect bridge web"),
        "Error response from daemon: container ID is not connected to network bridge\n"
    );
    // Nothing refused has left a subnet behind.
    assert_eq!(stage.stdout("docker network create --subnet 10.22.0.0/24 again").trim().len(), 64);
    let output = stage.run("docker network inspect nosuch");
    assert_eq!((output.stdout.as_str(), output.exit), ("[]\n", 1));
}

#[test]
fn refusals_of_addresses_and_modes_are_the_recorded_ones() {
    let mut stage = Stage::new(Profile::Docker20_10);
    stage.ok("docker network create auto
        docker network create --subnet 172.30.0.0/16 net
        docker run -d --name web --network net --ip 172.30.5.5 nginx
        docker run -d --name none --network none busybox
        docker run -d --name side --network container:web busybox");
    for (options, text) in [
        ("--network net --ip 172.30.5.5", "Address already in use"),
        ("--network net --ip 172.30.0.1", "Address already in use"),
        ("--network net --ip 172.30.0.0", "Address already in use"),
        (
            "--network net --ip 10.1.1.1",
            "Invalid address 10.1.1.1: It does not belong to any of this network's subnets",
        ),
        (
            "--network auto --ip 172.18.0.9",
            "user specified IP address is supported only when connecting to networks with user configured subnets",
        ),
        ("--ip 172.17.0.9", "user specified IP address is supported on user defined networks only"),
        ("--network net --ip 172.30.5", "invalid IPv4 address: 172.30.5"),
        ("--network nosuch", "network nosuch not found"),
        (
            "--network container:web -p 80",
            "conflicting options: port publishing and the container type network mode",
        ),
        ("--network container:web --dns 1.1.1.1", "conflicting options: dns and the network mode"),
        (
            "--name web",
            "Conflict. The container name \"/web\" is already in use by container \"ID\". You have to remove (or rename) that container to be able to reuse that name.",
        ),
        ("--name c", "Invalid container name (c), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    ] {
        let text = format!(
            "docker: Error response from daemon: {text}\n\nRun 'docker run --help' for more information\n"
        );
        assert_eq!(stage.refusal(&format!("docker run -d {options} busybox")), text, "{options}");
    }
    assert_eq!(
        stage.refusal("docker network connect net none"),
        "Error response from daemon: container cannot be connected to multiple networks with one of the networks in private (none) mode\n"
    );
    assert_eq!(
        stage.refusal("docker network connect net side"),
        "Error response from daemon: container sharing network namespace with another container or host cannot be connected to any other network\n"
    );
    stage.ok("docker network disconnect none none
        docker network connect auto none");
    stage.ok("docker create --name late --network auto busybox
        docker network disconnect auto none
        docker network rm auto");
    assert_eq!(
        stage.refusal("docker start late"),
        "Error response from daemon: network auto not found\nError: failed to start containers: late\n"
    );
    // One that has been there knows its id.
    stage.ok("docker network create auto
        docker start late
        docker stop late
        docker network rm auto");
    assert_eq!(
        stage.refusal("docker start late"),
        "Error response from daemon: network ID not found\nError: failed to start containers: late\n"
    );
    stage.ok("docker run -d --name two -p 8080:80 nginx");
    let refusal = stage.refusal("docker run -d --name three -p 8080:80 nginx");
    assert!(refusal.starts_with("docker: Error response from daemon: driver failed programming external connectivity on endpoint three (ID): Bind for 0.0.0.0:8080 failed: port is already allocated\n"), "{refusal}");
    assert_eq!(
        stage.stdout("docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' three"),
        "created 128\n"
    );
}

#[test]
fn shared_namespaces_outlive_their_container() {
    let mut stage = Stage::new(Profile::Docker28);
    stage.ok("docker run -d --name web nginx
        docker run -d --name side --network container:web busybox");
    assert_eq!(stage.namespace("web"), stage.namespace("side"));
    let namespace = stage.namespace("side");
    stage.ok("docker stop web");
    let id = stage.engine.namespace(&namespace).unwrap();
    let names: Vec<String> = stage.engine.interfaces(id).into_iter().map(|i| i.name).collect();
    assert_eq!(names, ["lo"]);
    stage.ok("docker start web");
    assert_ne!(stage.namespace("web"), namespace);
    stage.ok("docker rm -f side web");
    assert!(stage.engine.namespace(&namespace).is_none());
    stage.ok("docker run -d --name hh --network host nginx");
    assert_eq!(stage.namespace("hh").as_str(), "host");
    assert_eq!(stage.file("hh", ContainerFile::Hosts), "127.0.0.1 localhost\n");
}

#[test]
fn ports_column_and_publish_all() {
    let mut stage = Stage::new(Profile::Docker28);
    stage.ok("docker run -d --name n3 -P multiport
        docker run -d --name n4 nginx");
    assert_eq!(
        stage.stdout("docker ps --format '{{.Names}} {{.Ports}}'"),
        "n4 80/tcp\nn3 0.0.0.0:32768->53/udp, [::]:32768->53/udp, 0.0.0.0:32768->80/tcp, [::]:32768->80/tcp, \
         0.0.0.0:32769->443/tcp, [::]:32769->443/tcp\n"
    );
    let output = stage.run("docker port n4 81");
    assert_eq!((output.stderr.as_str(), output.exit), ("Error: No public port '81' published for n4\n", 1));
}

#[test]
fn restart_policies_wait_longer_each_time() {
    let mut stage = Stage::new(Profile::Docker28);
    stage.ok("docker run -d --name web --restart always nginx
        docker run -d --name once --rm nginx");
    let id = stage.daemon.container("web").unwrap().id.to_string();
    for delay in [100, 200, 400] {
        stage.running.remove(&id);
        let outcome = stage.daemon.exited(stage.now, &id, 1, &stage.view);
        assert_eq!(outcome.restarts[0].0, stage.now + Duration::from_millis(delay));
        stage.settle(outcome);
        // Neither earlier nor, as the engine counts, up before its time.
        let outcome = stage.daemon.restart_due(stage.now, &id, &stage.view);
        stage.settle(outcome);
        assert_eq!(stage.stdout("docker ps -f status=restarting --format '{{.Names}}'"), "web\n");
        stage.now += Duration::from_millis(delay);
        let outcome = stage.daemon.restart_due(stage.now, &id, &stage.view);
        stage.settle(outcome);
        assert!(stage.daemon.container("web").unwrap().state.is_up());
    }
    stage.exit("once", 0);
    assert!(stage.daemon.container("once").is_err());
    stage.ok("docker stop web");
    assert!(!stage.daemon.container("web").unwrap().state.is_up());
}

#[test]
fn ipv6_networks_have_both_families() {
    let mut stage = Stage::new(Profile::Docker28);
    stage.ok("docker network create --ipv6 --subnet fd00:dead::/64 six
        docker run -d --name c1 --network six -p 80:80 nginx");
    let endpoint = stage.daemon.container("c1").unwrap().endpoints[0].active.clone().unwrap();
    assert_eq!(endpoint.ipv6.unwrap().to_string(), "fd00:dead::2/64");
    assert_eq!(endpoint.gateway_v6.unwrap().to_string(), "fd00:dead::1");
    let nat = stage.rules_in("host", Family::Ipv6, Table::Nat);
    assert!(
        nat.contains("! -s fe80::/10")
            && nat.contains("--dport 80 -j DNAT --to-destination [fd00:dead::2]:80"),
        "{nat}"
    );
    stage.ok("docker network create --ipv6 ula");
    let subnet = stage.daemon.network("ula").unwrap().subnet(true).unwrap().pool.subnet();
    assert!(subnet.to_string().starts_with("fd") && subnet.prefix_len() == 64, "{subnet}");
}

#[test]
fn links_of_the_default_bridge_write_environment_and_hosts() {
    let config = DaemonConfig { profile: Profile::Docker20_10, icc: false, ..DaemonConfig::default() };
    let mut stage = Stage::with(config);
    stage.ok("docker run -d --name db -e PASS=x --expose 5432 busybox
        docker run -d --name web --link db:my-db busybox");
    let short = stage.daemon.container("db").unwrap().id.short().to_owned();
    assert!(stage.file("web", ContainerFile::Hosts).contains(&format!("172.17.0.2\tmy-db {short} db\n")));
    let env = &stage.environments[&stage.daemon.container("web").unwrap().id.to_string()];
    assert!(env.contains(&"MY_DB_PORT=tcp://172.17.0.2:5432".to_owned()), "{env:?}");
    assert!(env.contains(&"MY_DB_ENV_PASS=x".to_owned()), "{env:?}");
    let filter = stage.rules(Table::Filter);
    assert!(filter.contains("-A DOCKER -s 172.17.0.3/32 -d 172.17.0.2/32 -i docker0 -o docker0 -p tcp -m tcp --dport 5432 -j ACCEPT\n-A DOCKER -s 172.17.0.2/32 -d 172.17.0.3/32 -i docker0 -o docker0 -p tcp -m tcp --sport 5432 -j ACCEPT\n"), "{filter}");
    stage.ok("docker stop db
        docker run -d --name other busybox
        docker start db");
    assert!(stage.file("web", ContainerFile::Hosts).contains(&format!("172.17.0.4\tmy-db {short} db\n")));
    stage.ok("docker network create app
        docker run -d --name far --network app busybox");
    let refusal = stage.refusal("docker run -d --link far:x busybox");
    assert!(
        refusal.contains("Cannot link to /far, as it does not belong to the default network"),
        "{refusal}"
    );
}

#[test]
fn ten_thousand_networks_are_made_and_removed() {
    let pools = vec![("10.0.0.0/8".parse().unwrap(), 24)];
    let config = DaemonConfig { default_address_pools: pools, ..DaemonConfig::default() };
    let host = HostIdentity { number: 3, namespace: NamespaceName::new("host"), hostname: "dk".to_owned() };
    let mut daemon = Daemon::new(config, host, 1);
    let view = HostView::default();
    daemon.start(&view).unwrap();
    for number in 0..10_000 {
        let create = linkspan::docker::request::NetworkCreate::new(format!("net{number}"));
        let request = linkspan::docker::request::Request::NetworkCreate(create);
        daemon.request(Duration::ZERO, &request, &view).unwrap();
    }
    assert_eq!(daemon.networks().count(), 10_003);
    let prune = linkspan::docker::request::Prune { force: true, ..Default::default() };
    let prune = linkspan::docker::request::Request::NetworkPrune(prune);
    daemon.request(Duration::ZERO, &prune, &view).unwrap();
    assert_eq!(daemon.networks().count(), 3);
}

fn step() -> impl Strategy<Value = String> {
    let network = prop::sample::select(vec!["aa", "bb", "cc", "bridge", "none"]);
    let container = prop::sample::select(vec!["c1", "c2", "c3"]);
    (0..13u8, network, container).prop_map(|(kind, network, container)| match kind {
        0 => format!("docker network create {network}"),
        1 => format!("docker network create --internal {network}"),
        2 => format!("docker network rm {network}"),
        3 => format!("docker network connect {network} {container}"),
        4 => format!("docker network disconnect {network} {container}"),
        5 => format!("docker run -d --name {container} --network {network} -p 80 -p 8080:81 nginx"),
        6 => format!("docker create --name {container} --network {network} -P multiport"),
        7 => format!("docker start {container}"),
        8 => format!("docker stop {container}"),
        9 => format!("docker restart {container}"),
        10 => format!("docker rm -f {container}"),
        11 => format!("docker run -d --rm --name {container} --network container:c1 busybox"),
        _ => format!("docker rename {container} c2"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_done_nothing_is_left_behind(
        steps in prop::collection::vec(step(), 0..30),
        profile in prop::sample::select(vec![Profile::Docker20_10, Profile::Docker28, Profile::Docker29]),
    ) {
        // Four subnets: docker0 has one, the networks of the steps the others.
        let default_address_pools = vec![("10.0.0.0/22".parse().unwrap(), 24)];
        let config = DaemonConfig { profile, default_address_pools, ..DaemonConfig::default() };
        let mut stage = Stage::with(config);
        let predefined: Vec<Owner> = stage.engine.owned().into_keys().collect();
        for step in &steps {
            stage.run(step);
            let up = stage.daemon.containers().filter(|c| c.state.is_up()).count();
            prop_assert_eq!(up, stage.running.len());
        }
        let ids: Vec<String> = stage.daemon.containers().map(|c| c.id.to_string()).collect();
        for id in ids {
            stage.run(&format!("docker rm -f {id}"));
        }
        stage.run("docker network prune -f");
        let owners: Vec<Owner> = stage.engine.owned().into_keys().collect();
        prop_assert_eq!(owners, predefined, "{:?}", steps);
        prop_assert!(stage.proxies.is_empty() && stage.running.is_empty() && stage.resolvers == 0);
        prop_assert!(stage.daemon.is_idle());
        let bridge = stage.daemon.network("bridge").unwrap();
        prop_assert!(bridge.members.is_empty());
        prop_assert_eq!(stage.daemon.networks().count(), 3);
        stage.ok("docker network create xx\ndocker network create yy\ndocker network create zz");
    }
}

#[test]
fn names_are_answered_on_user_networks() {
    use linkspan::docker::dns::{Action, Asker, Incoming};
    use linkspan::docker::dns_message;
    use linkspan::engine::id::ServiceId;
    let mut stage = Stage::new(Profile::Docker28);
    stage.ok("docker network create app
        docker run -d --name one --network app busybox
        docker run -d --name two --network app --network-alias db busybox");
    let service = ServiceId::new(stage.daemon.container("one").unwrap().number);
    let ask = |stage: &mut Stage, name: &str| {
        let bytes = dns_message::question(7, name, domain::base::iana::Rtype::A).unwrap();
        let asker = Asker { socket: 1, peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000) };
        let incoming = Incoming { asker, transport: dns_message::Transport::Udp, bytes: &bytes };
        let actions = stage.daemon.dns_query(stage.now, service, incoming, &mut |n| n - 1);
        match actions.as_slice() {
            [Action::Reply { bytes, .. }] => {
                let tail = &bytes[bytes.len() - 4..];
                IpAddr::V4(Ipv4Addr::new(tail[0], tail[1], tail[2], tail[3])).to_string()
            }
            [Action::Forward { server, .. }] => format!("ask {server}"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(&mut stage, "two"), "172.18.0.3");
    assert_eq!(ask(&mut stage, "db.app"), "172.18.0.3");
    assert_eq!(ask(&mut stage, "example.com"), "ask 203.0.113.53:53");
    stage.ok("docker rename two three");
    assert_eq!(ask(&mut stage, "three"), "172.18.0.3");
    assert_eq!(ask(&mut stage, "two"), "ask 203.0.113.53:53");
    stage.ok("docker stop three");
    assert_eq!(ask(&mut stage, "db"), "ask 203.0.113.53:53");
}

#[test]
fn addresses_of_a_new_endpoint_are_announced_since_28() {
    let announced = |profile: Profile, options: &str| {
        let mut stage = Stage::new(profile);
        stage.ok(&format!(
            "docker network create {options} --ipv6 --subnet 10.9.0.0/24 --subnet fd00:9::/64 app"
        ));
        stage.ok("docker create --name web --network app nginx");
        let words = cli::words::split("docker start web").unwrap();
        let request = cli::parse(&words).unwrap().request;
        let outcome = stage.daemon.request(stage.now, &request, &stage.view).unwrap();
        let entries = outcome.plan.entries.into_iter();
        entries
            .filter_map(|entry| match (entry.owner, entry.op) {
                (Owner::Endpoint(_), Op::Announce { address, messages, interval, .. }) => {
                    Some((address.to_string(), messages, interval.as_millis()))
                }
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let of = |messages, interval| {
        ["10.9.0.2", "fd00:9::2"].map(|address: &str| (address.to_owned(), messages, interval)).to_vec()
    };
    assert_eq!(announced(Profile::Docker28, ""), of(3, 1000));
    assert_eq!(announced(Profile::Docker20_10, ""), []);
    let own = "-o com.docker.network.advertise_addr_nmsgs=2 -o com.docker.network.advertise_addr_ms=250";
    assert_eq!(announced(Profile::Docker28, own), of(2, 250));
    assert_eq!(announced(Profile::Docker28, "-o com.docker.network.advertise_addr_nmsgs=0"), []);
    let mut stage = Stage::new(Profile::Docker28);
    assert_eq!(
        stage.refusal("docker network create -o com.docker.network.advertise_addr_nmsgs=4 bad"),
        "Error response from daemon: com.docker.network.advertise_addr_nmsgs must be in the range 0 to 3\n"
    );
    assert_eq!(
        stage.refusal("docker network create -o com.docker.network.advertise_addr_ms=x bad"),
        "Error response from daemon: value for option com.docker.network.advertise_addr_ms \"x\" must be integer \
         milliseconds\n"
    );
    Stage::new(Profile::Docker20_10)
        .ok("docker network create -o com.docker.network.advertise_addr_nmsgs=4 fine");
}
