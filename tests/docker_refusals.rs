//! What a real Docker 20.10 refuses, word for word: every table row is a command line with its standard output, standard
//! error and exit status as recorded (client 28). Ids are masked.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking")]

mod recorded;

use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::profile::Profile;
use recorded::Stage;

/// A command line, what it prints on standard output and standard error, its status.
type Row = (&'static str, &'static str, &'static str, u8);

/// Runs lines that must succeed, then compares every row.
fn check(setup: &[&str], rows: &[Row]) {
    let mut stage = Stage::new("");
    for line in setup {
        stage.ok(line);
    }
    let mut differences = Vec::new();
    for (line, stdout, stderr, exit) in rows {
        let found = stage.docker(line);
        let found = (mask(&found.stdout), mask(&found.stderr), found.exit);
        let expected = ((*stdout).to_owned(), (*stderr).to_owned(), *exit);
        if found != expected {
            differences.push(format!("{line}\n  recorded {expected:?}\n  here     {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The daemon's refusal of a plain command.
fn plain(line: &'static str, message: &str) -> (&'static str, String) {
    (line, format!("Error response from daemon: {message}\n"))
}

fn check_plain(setup: &[&str], rows: &[(&'static str, &str)]) {
    let rows: Vec<(&'static str, String)> = rows.iter().map(|(line, text)| plain(line, text)).collect();
    let mut stage = Stage::new("");
    for line in setup {
        stage.ok(line);
    }
    let mut differences = Vec::new();
    for (line, stderr) in rows {
        let found = stage.docker(line);
        if (mask(&found.stderr), found.stdout.as_str(), found.exit) != (stderr.clone(), "", 1) {
            differences.push(format!("{line}\n  recorded {stderr:?}\n  here     {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// `docker run` lines that the daemon refuses after the container was made: its id is printed, the status is 125.
fn check_run(setup: &[&str], rows: &[(&'static str, &str)]) {
    let mut stage = Stage::new("");
    for line in setup {
        stage.ok(line);
    }
    let mut differences = Vec::new();
    for (line, text) in rows {
        let found = stage.docker(line);
        let stderr = format!(
            "docker: Error response from daemon: {text}\n\nRun 'docker run --help' for more information\n"
        );
        if (mask(&found.stderr), mask(&found.stdout).as_str(), found.exit) != (stderr.clone(), "<ID>\n", 125)
        {
            differences.push(format!("{line}\n  recorded {stderr:?}\n  here     {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Ids of 64 hexadecimal digits, and network ids of 12 behind words that name one.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    let mut word = String::new();
    for character in text.chars().chain(std::iter::once('\0')) {
        if character.is_ascii_hexdigit() {
            word.push(character);
            continue;
        }
        masked.push_str(if word.len() == 64 { "<ID>" } else { &word });
        word.clear();
        if character != '\0' {
            masked.push(character);
        }
    }
    masked
}

#[test]
fn addresses() {
    check_run(
        &[
            "docker network create --subnet 172.30.5.0/24 fixed",
            "docker network create auto",
            "docker network create --subnet 10.30.0.0/30 p30",
            "docker run -d --name aa --network fixed --ip 172.30.5.77 busybox sleep 600",
            "docker run -d --name full --network p30 busybox sleep 600",
        ],
        &[
            ("docker run -d --network fixed --ip 172.30.5.77 busybox sleep 600", "Address already in use"),
            ("docker run -d --network fixed --ip 172.30.5.1 busybox sleep 600", "Address already in use"),
            ("docker run -d --network fixed --ip 172.30.5.0 busybox sleep 600", "Address already in use"),
            ("docker run -d --network fixed --ip 172.30.5.255 busybox sleep 600", "Address already in use"),
            (
                "docker run -d --network fixed --ip 172.30.6.1 busybox sleep 600",
                "Invalid address 172.30.6.1: It does not belong to any of this network's subnets",
            ),
            (
                "docker run -d --network auto --ip 172.18.0.77 busybox sleep 600",
                "user specified IP address is supported only when connecting to networks with user configured subnets",
            ),
            (
                "docker run -d --network fixed --ip6 fd00::5 busybox sleep 600",
                "user specified IP address is supported only when connecting to networks with user configured subnets",
            ),
            (
                "docker run -d --ip 172.17.0.77 busybox sleep 600",
                "user specified IP address is supported on user defined networks only",
            ),
            (
                "docker run -d --network p30 busybox sleep 600",
                "no available IPv4 addresses on this network's address pools: p30 (<ID>)",
            ),
            ("docker run -d --network nosuch busybox sleep 600", "network nosuch not found"),
        ],
    );
}

/// Where 28 and 29 say it otherwise: what keeps a container from starting has a common beginning. From moby's source.
#[test]
fn starting_is_refused_with_a_common_beginning_since_28() {
    for profile in [Profile::Docker28, Profile::Docker29] {
        let mut stage = Stage::with(DaemonConfig { profile, ..DaemonConfig::default() });
        for line in [
            "docker network create --subnet 172.30.5.0/24 fixed",
            "docker network create --subnet 10.30.0.0/30 p30",
            "docker run -d --name aa --network fixed --ip 172.30.5.77 busybox sleep 600",
            "docker run -d --name full --network p30 busybox sleep 600",
            "docker run -d --name one -p 8080:80 nginx",
        ] {
            stage.ok(line);
        }
        for (flags, text) in [
            ("--network fixed --ip 172.30.5.77", "Address already in use"),
            ("--network p30", "no available IPv4 addresses on this network's address pools: p30 (<ID>)"),
            ("--network nosuch", "network nosuch not found"),
            (
                "-p 8080:80",
                "driver failed programming external connectivity on endpoint two (<ID>): Bind for 0.0.0.0:8080 \
                 failed: port is already allocated",
            ),
        ] {
            let found = stage.docker(&format!("docker run -d --name two {flags} busybox sleep 600"));
            let expected = format!(
                "docker: Error response from daemon: failed to set up container networking: {text}\n\nRun 'docker \
                 run --help' for more information\n"
            );
            assert_eq!((mask(&found.stderr), found.exit), (expected, 125), "{profile} {flags}");
            stage.ok("docker rm two");
        }
        // What is wrong with the request itself is said before there is a container.
        let found =
            stage.docker("docker run -d --name two --network fixed --ip 172.30.6.1 busybox sleep 600");
        let expected = "docker: Error response from daemon: invalid config for network fixed: invalid endpoint \
                        settings:\nno configured subnet or ip-range contain the IP address 172.30.6.1\n\nRun 'docker \
                        run --help' for more information\n";
        assert_eq!((found.stdout.as_str(), found.stderr.as_str(), found.exit), ("", expected, 125));
        let answer = stage.docker("docker network connect --ip 172.30.5.77 fixed one");
        assert_eq!(answer.stderr, "Error response from daemon: Address already in use\n");
    }
}

#[test]
fn options_of_networks_since_28() {
    let mut stage = Stage::with(DaemonConfig { profile: Profile::Docker28, ..DaemonConfig::default() });
    for (option, refusal) in [
        ("enable_ipv4=", "driver-opt \"com.docker.network.enable_ipv4\" is not a valid bool"),
        ("enable_ipv6=maybe", "driver-opt \"com.docker.network.enable_ipv6\" is not a valid bool"),
        (
            "bridge.gateway_mode_ipv4=bogus",
            "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: bogus (unknown gateway mode bogus)",
        ),
    ] {
        let found = stage.docker(&format!("docker network create -o com.docker.network.{option} x"));
        assert_eq!(found.stderr, format!("Error response from daemon: {refusal}\n"));
    }
}

#[test]
fn options_of_run() {
    const HELP: &str = "\n\nRun 'docker run --help' for more information\n";
    let refused = |text: &str| -> &'static str { format!("docker: {text}{HELP}").leak() };
    check(
        &["docker network create app", "docker run -d --name web nginx"],
        &[
            (
                "docker run -d --network-alias x busybox",
                "",
                refused("network-scoped aliases are only supported for user-defined networks"),
                125,
            ),
            (
                "docker run -d --network app --mac-address 92:d0:c6:0a:29:33 busybox",
                "",
                refused(
                    "\"specify mac-address per network\" requires API version 1.44, but the Docker daemon API version is 1.41",
                ),
                125,
            ),
            (
                "docker run -d --network container:web -p 80:80 busybox",
                "",
                refused(
                    "Error response from daemon: conflicting options: port publishing and the container type network mode",
                ),
                125,
            ),
            (
                "docker run -d --network container:web --hostname x busybox",
                "",
                refused("Error response from daemon: conflicting options: hostname and the network mode"),
                125,
            ),
            (
                "docker run -d --network container:web --dns 1.1.1.1 busybox",
                "",
                refused("Error response from daemon: conflicting options: dns and the network mode"),
                125,
            ),
            ("docker run -d -p 70000:80 busybox", "", refused("invalid hostPort: 70000"), 125),
            ("docker run -d -p abc:80 busybox", "", refused("invalid hostPort: abc"), 125),
            ("docker run -d -p 80:80/icmp busybox", "", refused("invalid proto: icmp"), 125),
            (
                "docker run -d -p 9000-9001:80-82 busybox",
                "",
                refused("invalid ranges specified for container and host Ports: 80-82 and 9000-9001"),
                125,
            ),
            (
                "docker run -d --network name=app,bogus=1 busybox",
                "",
                "invalid argument \"name=app,bogus=1\" for \"--network\" flag: invalid field key bogus\n\nUsage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'docker run --help' for more information\n",
                125,
            ),
            (
                "docker run -d --network host -p 8080:80 --name hh nginx",
                "<ID>\n",
                "WARNING: Published ports are discarded when using host network mode\n",
                0,
            ),
        ],
    );
}

#[test]
fn published_ports() {
    check_run(
        &[
            "docker run -d --name one -p 8080:80 nginx",
            "docker run -d --name range -p 9010:80 nginx",
            "docker run -d --name lo -p 127.0.0.1:8081:80 nginx",
        ],
        &[
            (
                "docker run -d --name two -p 8080:80 nginx",
                "driver failed programming external connectivity on endpoint two (<ID>): Bind for 0.0.0.0:8080 failed: port is already allocated",
            ),
            (
                "docker run -d --name four -p 8081:80 nginx",
                "driver failed programming external connectivity on endpoint four (<ID>): Error starting userland proxy: listen tcp4 0.0.0.0:8081: bind: address already in use",
            ),
            (
                "docker run -d --name five -p 10.9.9.9:81:80 nginx",
                "driver failed programming external connectivity on endpoint five (<ID>): Error starting userland proxy: listen tcp4 10.9.9.9:81: bind: cannot assign requested address",
            ),
        ],
    );
    check(
        &["docker run -d --name n0 -p 8080:80 nginx"],
        &[
            ("docker port n0", "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n", "", 0),
            ("docker port n0 80", "0.0.0.0:8080\n[::]:8080\n", "", 0),
            ("docker port n0 81", "", "Error: No public port '81' published for n0\n", 1),
        ],
    );
}

#[test]
fn networks() {
    check_plain(
        &[
            "docker network create --subnet 10.40.0.0/24 one",
            "docker network create -o com.docker.network.bridge.name=mybr0 named",
            "docker network create net2",
            "docker run -d --name web --network one busybox sleep 600",
            "docker run -d --name lone --network none busybox sleep 600",
            "docker run -d --name hosted --network host busybox sleep 600",
            "docker run -d --name side --network container:web busybox sleep 600",
        ],
        &[
            ("docker network create one", "network with name one already exists"),
            ("docker network create ''", "network with name  already exists"),
            ("docker network create bridge", "operation is not permitted on predefined bridge network"),
            ("docker network create -d host h", "only one instance of \"host\" network is allowed"),
            ("docker network create -d null h", "only one instance of \"null\" network is allowed"),
            ("docker network create -d weave w", "plugin \"weave\" not found"),
            (
                "docker network create --subnet 10.40.0.0/25 x",
                "Pool overlaps with other one on this address space",
            ),
            (
                "docker network create --subnet 10.41.0.0/31 x",
                "failed to allocate gateway (): No available addresses on this pool",
            ),
            (
                "docker network create --subnet 10.41.0.0/24 --subnet 10.42.0.0/24 x",
                "bridge driver doesn't support multiple subnets",
            ),
            (
                "docker network create --subnet 10.22.0.0/24 --gateway 10.22.0.1 --aux-address a=10.22.0.1 x",
                "failed to allocate secondary ip address (a:10.22.0.1): Address already in use",
            ),
            (
                "docker network create --ipv6 x",
                "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network",
            ),
            (
                "docker network create -o com.docker.network.driver.mtu=abc x",
                "failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing \"abc\": invalid syntax)",
            ),
            (
                "docker network create -o com.docker.network.enable_ipv6=maybe badv6",
                "failed to parse com.docker.network.enable_ipv6 value: maybe (strconv.ParseBool: parsing \"maybe\": invalid syntax)",
            ),
            (
                "docker network create -o com.docker.network.bridge.enable_icc=maybe x",
                "failed to parse com.docker.network.bridge.enable_icc value: maybe (strconv.ParseBool: parsing \"maybe\": invalid syntax)",
            ),
            (
                "docker network create -o com.docker.network.bridge.host_binding_ipv4=1.2.3 x",
                "failed to parse com.docker.network.bridge.host_binding_ipv4 value: 1.2.3 (nil ip)",
            ),
            (
                "docker network create --subnet 172.17.9.0/24 x",
                "Pool overlaps with other one on this address space",
            ),
            (
                "docker network create --subnet 10.20.0.0/33 x",
                "Invalid subnet 10.20.0.0/33 : invalid CIDR address: 10.20.0.0/33",
            ),
            (
                "docker network create --subnet 10.27.0.1/32 x",
                "failed to allocate gateway (): No available addresses on this pool",
            ),
            (
                "docker network create -o com.docker.network.bridge.name=sixteen-letters- x",
                "failed to check bridge interface existence: numerical result out of range",
            ),
            (
                "docker network create -o com.docker.network.bridge.name=docker0 x",
                "cannot create network <ID> (docker0): conflicts with network <ID> (docker0): networks have same bridge name",
            ),
            (
                "docker network create -d overlay x",
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
            ),
            (
                "docker network create --scope swarm x",
                "cannot create a swarm scoped network when swarm is not active",
            ),
            ("docker network create --ingress x", "Ingress network can only be global scope network"),
            ("docker network connect one web", "endpoint with name web already exists in network one"),
            ("docker network connect nosuch web", "network nosuch not found"),
            ("docker network connect one nosuch", "No such container: nosuch"),
            ("docker network disconnect net2 web", "container <ID> is not connected to network net2"),
            (
                "docker network connect one lone",
                "container cannot be connected to multiple networks with one of the networks in private (none) mode",
            ),
            (
                "docker network connect one hosted",
                "container sharing network namespace with another container or host cannot be connected to any other network",
            ),
            (
                "docker network connect one side",
                "container sharing network namespace with another container or host cannot be connected to any other network",
            ),
        ],
    );
    check(
        &[
            "docker network create one",
            "docker network create two",
            "docker run -d --name web --network one busybox sleep 600",
        ],
        &[
            (
                "docker network rm bridge",
                "",
                "Error response from daemon: bridge is a pre-defined network and cannot be removed\nexit status 1\n",
                1,
            ),
            (
                "docker network rm one",
                "",
                "Error response from daemon: error while removing network: network one id <ID> has active endpoints\nexit status 1\n",
                1,
            ),
            (
                "docker network rm nosuch two",
                "two\n",
                "Error response from daemon: network nosuch not found\nexit status 1\n",
                1,
            ),
            ("docker network rm -f nosuch", "", "", 0),
            (
                "docker network inspect nosuch",
                "[]\n",
                "Error response from daemon: network nosuch not found\n",
                1,
            ),
            (
                "docker network ls --filter color=x",
                "",
                "Error response from daemon: Invalid filter 'color'\n",
                1,
            ),
            (
                "docker network create --gateway 10.1.0.1 x",
                "",
                "every ip-range or gateway must have a corresponding subnet\n",
                1,
            ),
            (
                "docker network create --subnet 10.22.0.0/24 --gateway 10.23.0.1 x",
                "",
                "no matching subnet for gateway 10.23.0.1\n",
                1,
            ),
        ],
    );
}

/// Walkthrough 40 has the first and the last two; the others are moby's `validateConfiguration` and its tests.
#[test]
fn configuration_networks() {
    check_plain(
        &[
            "docker network create --config-only --subnet 192.168.77.0/24 -o parent=lan0 conf1",
            "docker network create -d macvlan --config-from conf1 useconf",
            "docker network create plain",
        ],
        &[
            (
                "docker network create --config-only --internal x",
                "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
            ),
            (
                "docker network create --config-only --scope local x",
                "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
            ),
            (
                "docker network create --config-only --config-from conf1 x",
                "a configuration network cannot depend on another configuration network",
            ),
            (
                "docker network create --config-from conf1 --subnet 10.40.0.0/24 x",
                "user specified configurations are not supported if the network depends on a configuration network",
            ),
            (
                "docker network create --config-from conf1 --label a=b x",
                "user specified configurations are not supported if the network depends on a configuration network",
            ),
            (
                "docker network create --config-from conf1 -o a=b x",
                "network driver options are not supported if the network depends on a configuration network",
            ),
            ("docker network create --config-from plain x", "configuration network \"plain\" does not exist"),
            ("docker network create -d nat x", "plugin \"nat\" not found"),
            ("docker network create -d transparent x", "plugin \"transparent\" not found"),
            ("docker network create -d l2bridge x", "plugin \"l2bridge\" not found"),
        ],
    );
    check(
        &[
            "docker network create --config-only --subnet 192.168.77.0/24 -o parent=lan0 --ipam-opt k=v --label l=m conf1",
            "docker network create -d macvlan --config-from conf1 useconf",
            "docker network create --config-only unused",
        ],
        &[
            (
                "docker network inspect -f '{{.Driver}} {{.ConfigOnly}} {{json .IPAM}} {{json .Options}} {{json .Labels}}' conf1",
                "null true {\"Driver\":\"default\",\"Options\":{\"k\":\"v\"},\"Config\":[{\"Subnet\":\"192.168.77.0/24\"}]} {\"parent\":\"lan0\"} {\"l\":\"m\"}\n",
                "",
                0,
            ),
            (
                "docker network inspect -f '{{.Driver}} {{json .IPAM}} {{json .Options}} {{json .ConfigFrom}} {{json .Labels}}' useconf",
                "macvlan {\"Driver\":\"default\",\"Options\":{\"k\":\"v\"},\"Config\":[{\"Subnet\":\"192.168.77.0/24\"}]} {\"parent\":\"lan0\"} {\"Network\":\"conf1\"} {\"l\":\"m\"}\n",
                "",
                0,
            ),
            (
                "docker network rm conf1",
                "",
                "Error response from daemon: error while removing network: configuration network \"conf1\" is in use\nexit status 1\n",
                1,
            ),
            ("docker network prune -f", "Deleted Networks:\nuseconf\n\n", "", 0),
            ("docker network rm conf1 unused", "conf1\nunused\n", "", 0),
        ],
    );
    check_run(
        &["docker network create --config-only conf1"],
        &[("docker run -d --network conf1 busybox", "cannot create endpoint on configuration-only network")],
    );
}

/// What the client says before it asks the daemon, or besides what the daemon says: docker 28.2.2, asked by hand.
#[test]
fn what_the_client_itself_says() {
    const LABEL: &str = "\n\nUsage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'docker run --help' for more \
                         information\n";
    let label =
        |text: &str, why: &str| format!("invalid argument \"{text}\" for \"-l, --label\" flag: {why}{LABEL}");
    let arguments = |path: &str, rule: &str, usage: &str, hint: &str| {
        format!(
            "docker: '{path}' {rule}\n\nUsage:  {path} {usage}\n\n{hint} '{path} --help' for more information\n"
        )
    };
    let prune = |what: &str| {
        format!("WARNING! This will remove all {what}.\nAre you sure you want to continue? [y/N] ")
    };
    let rows: Vec<(&str, String, String, u8)> = vec![
        (
            "docker network rm",
            String::new(),
            arguments("docker network rm", "requires at least 1 argument", "NETWORK [NETWORK...]", "See"),
            1,
        ),
        (
            "docker network inspect",
            String::new(),
            arguments(
                "docker network inspect",
                "requires at least 1 argument",
                "[OPTIONS] NETWORK [NETWORK...]",
                "See",
            ),
            1,
        ),
        (
            "docker exec web",
            String::new(),
            arguments(
                "docker exec",
                "requires at least 2 arguments",
                "[OPTIONS] CONTAINER COMMAND [ARG...]",
                "See",
            ),
            1,
        ),
        (
            "docker network connect net",
            String::new(),
            arguments("docker network connect", "requires 2 arguments", "[OPTIONS] NETWORK CONTAINER", "Run"),
            1,
        ),
        (
            "docker network prune net",
            String::new(),
            arguments("docker network prune", "accepts no arguments", "[OPTIONS]", "Run"),
            1,
        ),
        (
            "docker port",
            String::new(),
            arguments(
                "docker port",
                "requires at least 1 and at most 2 arguments",
                "CONTAINER [PRIVATE_PORT[/PROTO]]",
                "Run",
            ),
            1,
        ),
        ("docker run --label '' busybox", String::new(), label("", "invalid label '': empty name"), 125),
        ("docker run -l =x busybox", String::new(), label("=x", "invalid label '=x': empty name"), 125),
        (
            "docker run -l 'a b=c' busybox",
            String::new(),
            label("a b=c", "label 'a b' contains whitespaces"),
            125,
        ),
        (
            "docker rename nosuch other",
            String::new(),
            "Error response from daemon: No such container: nosuch\nError: failed to rename container named nosuch\n"
                .to_owned(),
            1,
        ),
        (
            "docker rename web ''",
            String::new(),
            "Error: Neither old nor new names may be empty\n".to_owned(),
            1,
        ),
        (
            "docker port web abc",
            String::new(),
            "Error: invalid port (abc): strconv.ParseUint: parsing \"abc\": invalid syntax\n".to_owned(),
            1,
        ),
        (
            "docker port web 80-90/udp",
            String::new(),
            "Error: invalid port (80-90): strconv.ParseUint: parsing \"80-90\": invalid syntax\n".to_owned(),
            1,
        ),
        (
            "docker port web 99999",
            String::new(),
            "Error: invalid port (99999): strconv.ParseUint: parsing \"99999\": value out of range\n".to_owned(),
            1,
        ),
        ("docker port web 80/foo", String::new(), "Error: No public port '80/foo' published for web\n".to_owned(), 1),
        ("docker port web 80/TCP", String::new(), "Error: No public port '80/TCP' published for web\n".to_owned(), 1),
        ("docker port web 80/", "0.0.0.0:8080\n[::]:8080\n".to_owned(), String::new(), 0),
        ("docker port nosuch abc", String::new(), "Error response from daemon: No such container: nosuch\n".to_owned(), 1),
        ("docker network prune", prune("custom networks not used by at least one container"), String::new(), 0),
        ("docker container prune", prune("stopped containers"), String::new(), 0),
        // Nobody said yes.
        ("docker network ls --format '{{.Name}}'", "bridge\nhost\nnet\nnone\n".to_owned(), String::new(), 0),
    ];
    let mut stage = Stage::new("");
    stage.ok("docker network create net");
    stage.ok("docker run -d --name web -p 8080:80 nginx");
    stage.ok("docker create --name idle busybox");
    for (line, stdout, stderr, exit) in rows {
        let found = stage.docker(line);
        assert_eq!((found.stdout, found.stderr, found.exit), (stdout, stderr, exit), "{line}");
    }
}

/// As recorded: the environment of a process names the containers its own links to, and they have to run.
/// The form of an image's name is judged by the client; a host name that is too long by the runtime.
#[test]
fn names_of_images_and_hosts() {
    let long = format!("docker run -d --hostname {} busybox", "a".repeat(65));
    for (profile, before) in [
        (Profile::Docker20_10, ""),
        (Profile::Docker28, "failed to create task for container: "),
        (Profile::Docker29, "failed to create task for container: "),
    ] {
        let mut stage = Stage::with(DaemonConfig { profile, ..DaemonConfig::default() });
        let found = stage.docker(&long);
        let expected = format!(
            "docker: Error response from daemon: {before}failed to create shim task: OCI runtime create failed: runc create \
             failed: unable to start container process: error during container init: sethostname: invalid argument: \
             unknown\n\nRun 'docker run --help' for more information\n"
        );
        assert_eq!((found.stderr, found.exit), (expected, 125), "{profile:?}");
    }
    let mut stage = Stage::new("");
    let lower = "invalid reference format: repository name";
    for (line, stderr, exit) in [
        (
            "docker run NGINX",
            format!(
                "docker: {lower} (library/NGINX) must be lowercase\n\nRun 'docker run --help' for more information\n"
            ),
            125,
        ),
        (
            "docker run nginx:",
            "docker: invalid reference format\n\nRun 'docker run --help' for more information\n".to_owned(),
            125,
        ),
        ("docker create x/Y", format!("{lower} (x/Y) must be lowercase\n"), 1),
    ] {
        let found = stage.docker(line);
        assert_eq!((found.stderr, found.exit), (stderr, exit), "{line}");
    }
    let words = ["run", "NGINX"].map(str::to_owned);
    let old = stage.docker20_words(&words);
    assert_eq!(
        (old.stderr, old.exit),
        (format!("docker: {lower} must be lowercase.\nSee 'docker run --help'.\n"), 125)
    );
}

#[test]
fn links_to_a_stopped_container() {
    check(
        &[
            "docker run -d --name aa nginx",
            "docker run -d --name bb --link aa:many busybox sleep 600",
            "docker run -d --name cc --link aa:many busybox sleep 600",
            "docker stop -t 0 cc aa",
        ],
        &[
            (
                "docker exec bb env",
                "",
                "Error response from daemon: Cannot link to a non running container: /aa AS /bb/many\n",
                1,
            ),
            (
                "docker restart -t 0 cc",
                "",
                "Error response from daemon: Cannot restart container cc: Cannot link to a non running container: /aa AS \
                 /cc/many\n",
                1,
            ),
            (
                "docker run -d --name dd --link aa:x busybox",
                "<ID>\n",
                "docker: Error response from daemon: Cannot link to a non running container: /aa AS /dd/x\n\nRun 'docker \
                 run --help' for more information\n",
                125,
            ),
        ],
    );
    let mut stage = Stage::new("");
    for line in [
        "docker run -d --name aa nginx",
        "docker run -d --name bb --link aa:many busybox sleep 600",
        "docker stop -t 0 aa",
        "docker start aa",
    ] {
        stage.ok(line);
    }
    assert!(stage.ok("docker exec bb env").contains("MANY_PORT=tcp://172.17.0.2:80"));
}

/// What came after 20.10, in the words of moby's source (`libnetwork/drivers/bridge`, `drivers/macvlan`,
/// `daemon/container_operations.go` and `api/types/network`).
#[test]
fn refusals_of_28_and_29() {
    for profile in [Profile::Docker28, Profile::Docker29] {
        let mut stage = Stage::with(DaemonConfig { profile, ..DaemonConfig::default() });
        for line in [
            "docker network create -d macvlan --subnet 192.168.50.0/24 -o parent=lan0 shared",
            "docker network create -d macvlan --subnet 192.168.51.0/24 -o parent=eth0 -o macvlan_mode=passthru alone",
            "docker run -d --name web nginx",
            "docker run -d --name hosted --network host busybox sleep 600",
            "docker network create one",
            "docker run -d --name inside --network one busybox sleep 600",
        ] {
            stage.ok(line);
        }
        for (line, text) in [
            (
                "docker network create -o com.docker.network.bridge.gateway_mode_ipv4=bogus x",
                "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: bogus (unknown gateway mode bogus)",
            ),
            (
                "docker network create --ipv6 -o com.docker.network.bridge.gateway_mode_ipv6=bogus x",
                "failed to parse com.docker.network.bridge.gateway_mode_ipv6 value: bogus (unknown gateway mode bogus)",
            ),
            (
                "docker network create -o com.docker.network.bridge.gateway_mode_ipv4=isolated x",
                "gateway mode 'isolated' can only be used for an internal network",
            ),
            (
                "docker network create --ipv6 -o com.docker.network.bridge.gateway_mode_ipv6=isolated x",
                "gateway mode 'isolated' can only be used for an internal network",
            ),
            (
                "docker network create -d macvlan --subnet 192.168.52.0/24 -o parent=lan0 -o macvlan_mode=passthru x",
                "cannot use mode passthru, macvlan network <ID> is already using parent interface lan0",
            ),
            (
                "docker network create -d macvlan --subnet 192.168.52.0/24 -o parent=eth0 x",
                "macvlan network <ID> is already using parent interface eth0 in mode passthru",
            ),
            (
                "docker network create -d macvlan --subnet 192.168.52.0/24 -o parent=nosuch.10 x",
                "-o parent interface was not found on the host: nosuch",
            ),
            (
                "docker network create -d ipvlan --subnet 192.168.52.0/24 -o parent=nosuch.10 x",
                "-o parent interface was not found on the host: nosuch",
            ),
            (
                "docker network create -d ipvlan -o ipvlan_flag=open x",
                "requested ipvlan flag 'open' is not valid, 'bridge' is the ipvlan driver default",
            ),
            (
                "docker network connect host web",
                "cannot connect container to host network - container must be created in host network mode",
            ),
            (
                "docker network disconnect host hosted",
                "cannot disconnect container from host network - container was created in host network mode",
            ),
            (
                "docker network create --subnet 10.0.0.1/8 x",
                "invalid network config:\ninvalid subnet 10.0.0.1/8: it should be 10.0.0.0/8",
            ),
            ("docker network create -o com.docker.network.driver.mtu=-1 x", "invalid MTU number: -1"),
            (
                "docker network create --ipv6 --subnet fe80::/60 x",
                "'fe80::1/60' clashes with the Link-Local prefix 'fe80::/64'",
            ),
            (
                "docker network connect --ip 172.30.0.9 shared web",
                "invalid endpoint settings:\nno configured subnet or ip-range contain the IP address 172.30.0.9",
            ),
        ] {
            let found = stage.docker(line);
            let expected = format!("Error response from daemon: {text}\n");
            assert_eq!((mask(&found.stderr), found.exit), (expected, 1), "{profile} {line}");
        }
        let endpoint = "'{{range .NetworkSettings.Networks}}{{.EndpointID}}{{end}}'";
        let id = stage.ok(&format!("docker inspect -f {endpoint} inside"));
        let found = stage.docker("docker network rm one");
        let member = format!("name:\"inside\" id:\"{}\"", &id[..12]);
        let expected = format!(
            "Error response from daemon: error while removing network: network one has active endpoints ({member})\n\
             exit status 1\n"
        );
        assert_eq!((found.stderr, found.exit), (expected, 1), "{profile}");
    }
}
