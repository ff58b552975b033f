//! Command lines as people type them, and the client's answers to wrong ones.

use proptest::prelude::*;

use super::*;
use crate::docker::request::{
    ContainerCreate, ContainerStop, EndpointConfig, ExposedPort, Link, NetworkCreate, NetworkMode,
    NetworkRemove, PortQuery, RestartPolicy,
};

fn command(line: &str) -> Command {
    parse(&words::split(line).unwrap()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn refusal(line: &str) -> (String, u8) {
    let error = parse(&words::split(line).unwrap()).unwrap_err();
    (error.to_string(), error.exit_code())
}

fn run(line: &str) -> ContainerCreate {
    match command(line).request {
        Request::ContainerRun(container) | Request::ContainerCreate(container) => *container,
        other => panic!("{line}: {other:?}"),
    }
}

fn network(line: &str) -> NetworkCreate {
    match command(line).request {
        Request::NetworkCreate(network) => network,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn command_lines_of_docker_documentation_parse() {
    let lines = "
docker network ls
docker run -dit --name alpine1 alpine ash
docker container ls
docker network inspect bridge
docker container stop alpine1 alpine2
docker container rm alpine1 alpine2
docker network create --driver bridge alpine-net
docker network connect bridge alpine4
docker run --rm -d --network host --name my_nginx nginx
docker run --rm --network none alpine:latest ip link show
docker network create -d macvlan --subnet=172.16.86.0/24 --gateway=172.16.86.1 -o parent=eth0 my-macvlan-net
docker container inspect my-macvlan-alpine
docker run --net=ipvlan114 --ip=192.168.114.10 -it --rm alpine /bin/sh
docker network create --subnet 172.30.0.0/16 --opt com.docker.network.bridge.name=docker_gwbridge docker_gwbridge
docker network create -o \"com.docker.network.bridge.host_binding_ipv4\"=\"172.23.0.1\" my-network
docker inspect --format='{{json .NetworkSettings.Networks}}' container3
docker network connect --link container5:foo local_alias container4
docker run --net=isolated_nw -itd --name=container6 --net-alias app busybox
docker network disconnect -f multihost redis_db
docker ps -l
docker run -d -p \"8500:8500\" -h \"consul\" progrium/consul -server -bootstrap
docker run -itd --name=web --net=my-net --env=\"constraint:node==mhs-demo0\" nginx
docker inspect -f \"{{ .HostConfig.Links }}\" web
docker create --name my-nginx --network my-net --publish 8080:80 nginx:latest
docker network prune -f --filter label!=keep=yes
docker events --since 0 --until 5 --filter type=network
docker run -d --restart always --name rnd --network fixed --ip 10.70.0.8 -p 80 nginx
docker run -v /data:/data -m 512m --cpus 2 --ulimit nofile=1024 -u 1000:1000 -w /srv --gpus all --mount type=tmpfs,target=/x app
docker -H tcp://127.0.0.1:2375 --debug ps -aq
docker network create -- -dash
docker stop -t 0 c1
docker logs --tail=20 -f web
docker info --format '{{.Swarm.LocalNodeState}}'
docker container prune -f
docker wait l4
docker rm --link /web/database
docker pause far
docker version";
    for line in lines.lines().filter(|line| !line.is_empty()) {
        command(line);
    }
}

#[test]
fn an_ordinary_run() {
    let container = run(
        "docker run -itdp8080:80 --name=web --network app --network-alias www --ip 10.80.0.9 -e A=1 -P nginx sh -c 'ls -l'",
    );
    assert!(container.interactive && container.tty && container.detach && container.publish_all);
    assert_eq!(container.name.as_deref(), Some("web"));
    assert_eq!(container.image, "nginx");
    assert_eq!(container.command, ["sh", "-c", "ls -l"]);
    assert_eq!(container.env, ["A=1"]);
    assert_eq!(container.network_mode, NetworkMode::Network("app".to_owned()));
    assert_eq!(
        container.endpoints,
        [EndpointConfig {
            aliases: vec!["www".to_owned()],
            ipv4: Some("10.80.0.9".to_owned()),
            ..EndpointConfig::on("app")
        }]
    );
    assert_eq!(container.ports.iter().map(ToString::to_string).collect::<Vec<_>>(), ["8080:80/tcp"]);
}

#[test]
fn a_run_without_options_is_on_the_default_network() {
    let container = run("docker run busybox");
    assert_eq!(container.network_mode, NetworkMode::Default);
    assert_eq!(container.endpoints, [EndpointConfig::on("default")]);
    assert_eq!(container.restart, RestartPolicy::No);
}

#[test]
fn several_networks_with_their_own_options() {
    let container = run(
        "docker run --network name=app,alias=web,alias=www,ip=10.80.0.50,gw-priority=-1 --network 'name=db,driver-opt=a.b=c,mac-address=92:d0:c6:0a:29:33,ip6=fd00::5,link-local-ip=169.254.1.1' nginx",
    );
    let [app, db] = container.endpoints.as_slice() else { panic!("{:?}", container.endpoints) };
    assert_eq!((app.network.as_str(), app.gw_priority), ("app", -1));
    assert_eq!(app.aliases, ["web", "www"]);
    assert_eq!(db.driver_opts.get("a.b").map(String::as_str), Some("c"));
    assert_eq!(db.mac.as_deref(), Some("92:d0:c6:0a:29:33"));
    assert_eq!(db.ipv6.as_deref(), Some("fd00::5"));
    assert_eq!(db.link_local, ["169.254.1.1"]);
}

#[test]
fn links_belong_to_the_network_they_are_for() {
    let link = Link { container: "db".to_owned(), alias: "database".to_owned() };
    let default = run("docker run --link db:database nginx");
    assert_eq!(default.links, std::slice::from_ref(&link));
    assert!(default.endpoints[0].links.is_empty());
    let user = run("docker run --network app --link db:database nginx");
    assert!(user.links.is_empty());
    assert_eq!(user.endpoints[0].links, [link]);
}

#[test]
fn exposed_ports_do_not_repeat_published_ones() {
    let container = run("docker run -p 80 --expose 79-81 --expose 80/udp nginx");
    assert_eq!(
        container.expose.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["79/tcp", "80/udp", "81/tcp"]
    );
}

#[test]
fn options_without_effect_are_reported() {
    let command = command("docker --debug run -v /a:/b --read-only --ulimit=x busybox");
    assert_eq!(command.ignored, ["--debug", "--volume=/a:/b", "--read-only", "--ulimit=x"]);
}

#[test]
fn a_loopback_name_server_is_warned_of() {
    let command = command("docker run --rm --dns 127.0.0.1 busybox true");
    assert_eq!(command.warnings, ["WARNING: Localhost DNS (127.0.0.1) may fail in containers."]);
}

#[test]
fn ports_of_the_host_network_are_warned_of() {
    let said = command("docker run -d --network host -p 8080:80 nginx");
    assert_eq!(said.warnings, ["WARNING: Published ports are discarded when using host network mode"]);
    assert!(command("docker run -d --network host nginx").warnings.is_empty());
}

#[test]
fn subnets_get_their_ranges_and_gateways() {
    let created = network(
        "docker network create -d ipvlan --subnet=192.168.140.0/24 --subnet=192.168.142.0/24 --gateway=192.168.142.1 --gateway=192.168.140.1 --ip-range 192.168.140.128/25 --subnet=2001:db8:abc9::/64 --aux-address host=192.168.142.5 -o parent=eth0.140 --label a --ipv6 net",
    );
    assert_eq!((created.name.as_str(), created.driver.as_str(), created.ipv6), ("net", "ipvlan", Some(true)));
    assert_eq!(created.options.get("parent").map(String::as_str), Some("eth0.140"));
    assert_eq!(created.labels.get("a"), Some(""));
    let [first, second, third] = created.ipam.pools.as_slice() else { panic!("{:?}", created.ipam) };
    assert_eq!(first.gateway.as_deref(), Some("192.168.140.1"));
    assert_eq!(first.ip_range.as_deref(), Some("192.168.140.128/25"));
    assert_eq!(second.aux.get("host").map(String::as_str), Some("192.168.142.5"));
    assert_eq!((third.subnet.as_str(), third.gateway.as_deref()), ("2001:db8:abc9::/64", None));
}

#[test]
fn what_the_daemon_refuses_is_passed_on() {
    assert_eq!(network("docker network create --subnet 10.20 two").ipam.pools[0].subnet, "10.20");
    assert_eq!(network("docker network create ''").name, "");
    assert_eq!(run("docker run --network f --ip 172.30.5 b").endpoints[0].ipv4.as_deref(), Some("172.30.5"));
    assert_eq!(network("docker network create --ipv4=false v6only").ipv4, Some(false));
}

#[test]
fn smaller_commands() {
    let cases = [
        (
            "docker network rm -f a b",
            Request::NetworkRemove(NetworkRemove {
                networks: vec!["a".to_owned(), "b".to_owned()],
                force: true,
            }),
        ),
        (
            "docker container restart --time=3 c1 -s INT",
            Request::ContainerRestart(ContainerStop {
                containers: vec!["c1".to_owned()],
                signal: Some("INT".to_owned()),
                timeout: Some(3),
            }),
        ),
    ];
    for (line, request) in cases {
        assert_eq!(command(line).request, request);
    }
    let Request::ContainerExec(exec) = command("docker exec -it web ip -4 addr").request else { panic!() };
    assert_eq!(exec.command, ["ip", "-4", "addr"]);
    let Request::ContainerPort(port) = command("docker port n0 80/udp").request else { panic!() };
    let query = ExposedPort { port: 80, protocol: ports::Protocol::Udp };
    assert_eq!(port.port, Some(PortQuery { text: "80/udp".to_owned(), port: Ok(Some(query)) }));
    let Request::ContainerList(list) = command("docker ps -n 3 --filter name=^a --no-trunc").request else {
        panic!()
    };
    assert_eq!((list.last, list.view.no_trunc), (Some(3), true));
    assert_eq!(list.filters, [Filter { name: "name".to_owned(), value: "^a".to_owned() }]);
}

#[test]
fn refusals_of_run() {
    let cases = [
        ("-p 70000:80", "invalid hostPort: 70000"),
        ("-p 8090:80/icmp", "invalid proto: icmp"),
        ("-p 9000-9001:80-82", "invalid ranges specified for container and host Ports: 80-82 and 9000-9001"),
        ("--mac-address zz:00", "zz:00 is not a valid mac address"),
        ("--network-alias x", "network-scoped aliases are only supported for user-defined networks"),
        ("--network ''", "no name set for network"),
        (
            "--network name=app,alias=x --network-alias y",
            "conflicting options: cannot specify both --network-alias and per-network alias",
        ),
        (
            "--network name=app,ip=10.80.0.9 --ip 10.80.0.8",
            "conflicting options: cannot specify both --ip and per-network IPv4 address",
        ),
        (
            "--network app --network none",
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
        ),
        ("--network app --network app", "network \"app\" is specified multiple times"),
        ("--rm --restart always", "conflicting options: cannot specify both --restart and --rm"),
    ];
    for (options, message) in cases {
        let expected = format!("docker: {message}\n\nRun 'docker run --help' for more information");
        assert_eq!(refusal(&format!("docker run {options} busybox")), (expected, 125));
    }
}

#[test]
fn refusals_of_single_options() {
    let cases = [
        (
            "--dns 1.2.3",
            "invalid argument \"1.2.3\" for \"--dns\" flag: IP address is not correctly formatted: 1.2.3",
        ),
        (
            "--add-host bad",
            "invalid argument \"bad\" for \"--add-host\" flag: bad format for add-host: \"bad\"",
        ),
        (
            "--link newdb:a:b",
            "invalid argument \"newdb:a:b\" for \"--link\" flag: bad format for links: newdb:a:b",
        ),
        (
            "--network name=app,bogus=1",
            "invalid argument \"name=app,bogus=1\" for \"--network\" flag: invalid field key bogus",
        ),
        (
            "--network alias=x",
            "invalid argument \"alias=x\" for \"--network\" flag: network name/id is not specified",
        ),
        ("--foo", "unknown flag: --foo"),
        ("-Z", "unknown shorthand flag: 'Z' in -Z"),
    ];
    for (options, message) in cases {
        let expected = format!(
            "{message}\n\nUsage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'docker run --help' for more information"
        );
        assert_eq!(refusal(&format!("docker run --rm {options} busybox true")), (expected, 125));
    }
}

#[test]
fn refusals_of_network_create() {
    let cases = [
        ("--gateway 10.22.0.1", "every ip-range or gateway must have a corresponding subnet"),
        ("--ip-range 10.22.0.0/24", "every ip-range or gateway must have a corresponding subnet"),
        ("--subnet 10.22.0.0/24 --gateway 10.23.0.1", "no matching subnet for gateway 10.23.0.1"),
        ("--subnet 10.22.0.0/24 --ip-range 10.23.0.0/28", "no matching subnet for range 10.23.0.0/28"),
        ("--subnet 10.22.0.0/24 --aux-address a=10.23.0.1", "no matching subnet for aux-address 10.23.0.1"),
        (
            "--subnet 10.22.0.0/24 --subnet 10.22.0.0/25",
            "multiple overlapping subnet configuration is not supported",
        ),
        (
            "--subnet 10.1.0.0/24 --subnet 10.2.0.0/24 --gateway 10.1.0.1 --gateway 10.1.0.2",
            "cannot configure multiple gateways (10.1.0.2, 10.1.0.1) for the same subnet (10.1.0.0/24)",
        ),
    ];
    for (options, message) in cases {
        let line = format!("docker network create {options} two");
        assert_eq!(refusal(&line), (message.to_owned(), 1));
    }
}

#[test]
fn refusals_of_commands() {
    let arguments = "docker: 'docker network create' requires 1 argument\n\nUsage:  docker network create [OPTIONS] NETWORK\n\nRun 'docker network create --help' for more information";
    assert_eq!(refusal("docker network create"), (arguments.to_owned(), 1));
    assert_eq!(refusal("docker network create a b"), (arguments.to_owned(), 1));
    let cases = [
        ("docker bogus", "docker: unknown command: docker bogus\n\nRun 'docker --help' for more information"),
        (
            "docker network bogus",
            "docker: unknown command: docker network bogus\n\nUsage:  docker network\n\nRun 'docker network --help' for more information",
        ),
        ("docker rename n0 ''", "Error: Neither old nor new names may be empty"),
    ];
    for (line, message) in cases {
        assert_eq!(refusal(line), (message.to_owned(), 1));
    }
    let (attach, code) = refusal("docker attach web");
    assert!(attach.starts_with("'docker attach' is not supported: ") && attach.contains("docker exec"));
    assert_eq!(code, 1);
    assert_eq!(refusal("docker ps --help"), ("Usage:  docker ps [OPTIONS]".to_owned(), 0));
}

#[test]
fn an_old_engine_takes_no_mac_address() {
    let command = command("docker run --mac-address 92:d0:c6:0a:29:33 busybox");
    assert_eq!(check_api_version(&command, Profile::Docker28), Ok(()));
    let error = check_api_version(&command, Profile::Docker20_10).unwrap_err();
    assert_eq!(
        error.to_string(),
        "docker: \"specify mac-address per network\" requires API version 1.44, but the Docker daemon API version is 1.41\n\nRun 'docker run --help' for more information"
    );
}

proptest! {
    #[test]
    fn any_words_are_parsed_or_refused(
        verb in prop_oneof![
            Just("run"), Just("create"), Just("network create"), Just("network connect"), Just("network ls"),
            Just("ps"), Just("exec"), Just("port"), Just("container"), Just("logs"), Just("stop"), Just(""),
        ],
        rest in proptest::collection::vec(
            prop_oneof![
                "\\PC{0,12}",
                "-[a-zA-Z=é]{0,6}",
                "--(network|publish|subnet|gateway|ip-range|aux-address|add-host|expose|filter|link)",
                "(name|ip|alias|é)=[a-z,=\"é]{0,10}",
                "[0-9a-f:.\\[\\]/-]{0,20}",
            ],
            0..8,
        ),
    ) {
        let mut line: Vec<String> = verb.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        line.extend(rest);
        if let Err(error) = parse(&line) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
