//! Published ports as clients meet them: who reaches what, and as whom the server sees it, with and without the userland
//! proxy, by engine. The columns of 20.10 are recorded (walkthroughs 29 to 31); those of 28 and 29 follow from the rules
//! that `docker_rules` compares with moby's own.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking")]

mod recorded;

use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::profile::Profile;
use recorded::Stage;

const ENGINES: [(Profile, bool); 6] = [
    (Profile::Docker20_10, true),
    (Profile::Docker20_10, false),
    (Profile::Docker28, true),
    (Profile::Docker28, false),
    (Profile::Docker29, true),
    (Profile::Docker29, false),
];

/// A client, the address it uses, and what comes of it for each of [`ENGINES`]: the address the server sees, or how it fails.
type Row = (&'static str, &'static str, [&'static str; 6]);

const SERVER: &str = "172.25.0.1";
const NONE: &str = "timeout";
const REFUSED: &str = "refused";
const NO_ROUTE: &str = "no route";

/// Who arrives with which source address. net1 is 172.25.0.0/24 with `server` .2 and `peer` .3, net2 172.26.0.0/24 with
/// `other` .2; `plain` is on the default bridge, `inner` on an internal network.
const SOURCES: &[Row] = &[
    ("outside", "203.0.113.10:8080", ["203.0.113.1"; 6]),
    ("outside", "203.0.113.10:8081", [REFUSED; 6]),
    ("host", "203.0.113.10:8080", ["203.0.113.10", SERVER, "203.0.113.10", SERVER, "203.0.113.10", SERVER]),
    ("host", "127.0.0.1:8080", [SERVER; 6]),
    ("host", "127.0.0.1:8081", [SERVER; 6]),
    ("host", "[::1]:8080", [SERVER, REFUSED, SERVER, REFUSED, SERVER, REFUSED]),
    ("host", "172.25.0.1:8080", [SERVER; 6]),
    ("host", "172.25.0.2:80", [SERVER; 6]),
    ("peer", "172.25.0.2:80", ["172.25.0.3"; 6]),
    ("peer", "203.0.113.10:8080", [SERVER, "172.25.0.3", SERVER, "172.25.0.3", SERVER, "172.25.0.3"]),
    ("peer", "172.25.0.1:8080", [SERVER, "172.25.0.3", SERVER, "172.25.0.3", SERVER, "172.25.0.3"]),
    ("server", "203.0.113.10:8080", [SERVER; 6]),
    ("other", "203.0.113.10:8080", [SERVER, NONE, SERVER, NONE, SERVER, SERVER]),
    ("other", "172.26.0.1:8080", [SERVER, NONE, SERVER, NONE, SERVER, SERVER]),
    ("other", "172.25.0.1:8080", [SERVER, NONE, SERVER, NONE, SERVER, SERVER]),
    ("other", "172.25.0.2:80", [NONE; 6]),
    ("plain", "203.0.113.10:8080", [SERVER, NONE, SERVER, NONE, SERVER, SERVER]),
    ("inner", "203.0.113.10:8080", [NONE, NONE, NO_ROUTE, NO_ROUTE, NO_ROUTE, NO_ROUTE]),
];

fn config((profile, userland_proxy): (Profile, bool)) -> DaemonConfig {
    DaemonConfig { profile, userland_proxy, ..DaemonConfig::default() }
}

fn stage(engine: (Profile, bool), publish: &str) -> Stage {
    let mut stage = Stage::with(config(engine));
    for line in [
        "docker network create --subnet 172.25.0.0/24 net1",
        "docker network create --subnet 172.26.0.0/24 net2",
        "docker network create --internal inner",
    ] {
        stage.ok(line);
    }
    stage.ok(&format!("docker run -d --name server --network net1 {publish} busybox httpd -f -p 80"));
    for (name, network) in [("peer", "net1"), ("other", "net2"), ("plain", "bridge"), ("inner", "inner")] {
        stage.ok(&format!("docker run -d --name {name} --network {network} busybox sleep 600"));
    }
    stage
}

fn run(stage: &mut Stage, client: &str, line: &str) -> recorded::Answer {
    match client {
        "host" => stage.on_host(line),
        "outside" => stage.outside(line),
        container => stage.docker(&format!("docker exec {container} {line}")),
    }
}

/// As whom the server sees the client, or how the attempt ends.
fn ask(stage: &mut Stage, client: &str, target: &str) -> String {
    let answer = run(stage, client, &format!("timeout 3 wget -qO- http://{target}/cgi-bin/who"));
    match answer.stdout.trim().split_once(" sees ") {
        // As BusyBox's httpd shows an IPv4 client.
        Some((_, seen)) => seen.trim_start_matches("[::ffff:").trim_end_matches(']').to_owned(),
        None if answer.text().contains("refused") => REFUSED.to_owned(),
        None if answer.text().contains("unreachable") => NO_ROUTE.to_owned(),
        None => NONE.to_owned(),
    }
}

#[test]
fn the_server_sees_whom_the_table_says() {
    let mut differences = Vec::new();
    for (column, engine) in ENGINES.into_iter().enumerate() {
        let mut stage = stage(engine, "-p 8080:80 -p 127.0.0.1:8081:80");
        for (client, target, expected) in SOURCES {
            let found = ask(&mut stage, client, target);
            if found != expected[column] {
                let engine = format!("{} proxy={}", engine.0, engine.1);
                differences
                    .push(format!("{engine}: {client} -> {target}: {found}, expected {}", expected[column]));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Forms of `-p` and what `docker port` says afterwards, its lines without arrows: by 20.10, by 28, and by 28 without the
/// userland proxy, which has nothing to lead IPv6 to a container that has none.
type Form = (&'static str, &'static str, &'static str, &'static str);

const FORMS: &[Form] = &[
    (
        "-p 80",
        "80/tcp 0.0.0.0:32768, 80/tcp [::]:32768",
        "80/tcp 0.0.0.0:32768, 80/tcp [::]:32768",
        "80/tcp 0.0.0.0:32768",
    ),
    (
        "-p 8080:80",
        "80/tcp 0.0.0.0:8080, 80/tcp [::]:8080",
        "80/tcp 0.0.0.0:8080, 80/tcp [::]:8080",
        "80/tcp 0.0.0.0:8080",
    ),
    (
        "-p 0:80",
        "80/tcp 0.0.0.0:32768, 80/tcp [::]:32768",
        "80/tcp 0.0.0.0:32768, 80/tcp [::]:32768",
        "80/tcp 0.0.0.0:32768",
    ),
    ("-p 127.0.0.1:8080:80", "80/tcp 127.0.0.1:8080", "80/tcp 127.0.0.1:8080", "80/tcp 127.0.0.1:8080"),
    ("-p 127.0.0.1::80", "80/tcp 127.0.0.1:32768", "80/tcp 127.0.0.1:32768", "80/tcp 127.0.0.1:32768"),
    ("-p 0.0.0.0:8080:80", "80/tcp 0.0.0.0:8080", "80/tcp 0.0.0.0:8080", "80/tcp 0.0.0.0:8080"),
    ("-p [::1]:8080:80", "80/tcp [::1]:8080", "80/tcp [::1]:8080", ""),
    ("-p [::]:8080:80", "80/tcp [::]:8080", "80/tcp [::]:8080", ""),
    (
        "-p 8080:80/udp",
        "80/udp 0.0.0.0:8080, 80/udp [::]:8080",
        "80/udp 0.0.0.0:8080, 80/udp [::]:8080",
        "80/udp 0.0.0.0:8080",
    ),
    (
        "-p 8080:80/TCP",
        "80/tcp 0.0.0.0:8080, 80/tcp [::]:8080",
        "80/tcp 0.0.0.0:8080, 80/tcp [::]:8080",
        "80/tcp 0.0.0.0:8080",
    ),
    (
        "--publish published=8080,target=80,protocol=tcp",
        "80/tcp 0.0.0.0:8080, 80/tcp [::]:8080",
        "80/tcp 0.0.0.0:8080, 80/tcp [::]:8080",
        "80/tcp 0.0.0.0:8080",
    ),
    (
        "-p 127.0.0.1:9000-9001:90-91",
        "90/tcp 127.0.0.1:9000, 91/tcp 127.0.0.1:9001",
        "90/tcp 127.0.0.1:9000, 91/tcp 127.0.0.1:9001",
        "90/tcp 127.0.0.1:9000, 91/tcp 127.0.0.1:9001",
    ),
    ("-p 127.0.0.1:9005-9009:80", "80/tcp 127.0.0.1:9005", "80/tcp 127.0.0.1:9005", "80/tcp 127.0.0.1:9005"),
    (
        "-p 8080:80 -p 8081:80",
        "80/tcp 0.0.0.0:8080, 80/tcp 0.0.0.0:8081, 80/tcp [::]:8080, 80/tcp [::]:8081",
        "80/tcp 0.0.0.0:8080, 80/tcp 0.0.0.0:8081, 80/tcp [::]:8080, 80/tcp [::]:8081",
        "80/tcp 0.0.0.0:8080, 80/tcp 0.0.0.0:8081",
    ),
    // Since 28 publications that differ in the host's address only get one number; 20.10 counts for each address.
    (
        "-p 127.0.0.1::80 -p 203.0.113.10::80 -p 203.0.113.10::81",
        "80/tcp 127.0.0.1:32768, 80/tcp 203.0.113.10:32769, 81/tcp 203.0.113.10:32768",
        "80/tcp 127.0.0.1:32768, 80/tcp 203.0.113.10:32768, 81/tcp 203.0.113.10:32769",
        "80/tcp 127.0.0.1:32768, 80/tcp 203.0.113.10:32768, 81/tcp 203.0.113.10:32769",
    ),
    // The engine hands numbers out by descending container port, TCP first (recorded); since 28 by ascending port.
    (
        "-P --expose 7000-7001 --expose 7001/udp --expose 6000/udp",
        "6000/udp 0.0.0.0:32769, 6000/udp [::]:32769, 7000/tcp 0.0.0.0:32769, 7000/tcp [::]:32769, \
         7001/tcp 0.0.0.0:32768, 7001/tcp [::]:32768, 7001/udp 0.0.0.0:32768, 7001/udp [::]:32768",
        "6000/udp 0.0.0.0:32768, 6000/udp [::]:32768, 7000/tcp 0.0.0.0:32768, 7000/tcp [::]:32768, \
         7001/tcp 0.0.0.0:32769, 7001/tcp [::]:32769, 7001/udp 0.0.0.0:32769, 7001/udp [::]:32769",
        "6000/udp 0.0.0.0:32768, 7000/tcp 0.0.0.0:32768, 7001/tcp 0.0.0.0:32769, 7001/udp 0.0.0.0:32769",
    ),
    // Exposed is not published.
    ("--expose 7000", "", "", ""),
    ("--network none -p 8080:80", "", "", ""),
    ("--network inner -p 8080:80", "", "", ""),
    ("--network six -p 8080:80", "80/tcp [::]:8080", "80/tcp [::]:8080", ""),
    ("--network local -p 8080:80", "80/tcp 127.0.0.1:8080", "80/tcp 127.0.0.1:8080", "80/tcp 127.0.0.1:8080"),
    // Fixed numbers first, then those of one container port together (recorded).
    (
        "-p 80 -p 8081:80 -p 443 -p 127.0.0.1:9005-9009:91",
        "80/tcp 0.0.0.0:8081, 80/tcp 0.0.0.0:32768, 80/tcp [::]:8081, 80/tcp [::]:32768, \
         91/tcp 127.0.0.1:9005, 443/tcp 0.0.0.0:32769, 443/tcp [::]:32769",
        "80/tcp 0.0.0.0:8081, 80/tcp 0.0.0.0:32768, 80/tcp [::]:8081, 80/tcp [::]:32768, \
         91/tcp 127.0.0.1:9005, 443/tcp 0.0.0.0:32769, 443/tcp [::]:32769",
        "80/tcp 0.0.0.0:8081, 80/tcp 0.0.0.0:32768, 91/tcp 127.0.0.1:9005, 443/tcp 0.0.0.0:32769",
    ),
];

#[test]
fn every_form_of_publishing_takes_the_ports_it_should() {
    let mut differences = Vec::new();
    let engines = [(Profile::Docker20_10, true), (Profile::Docker28, true), (Profile::Docker28, false)];
    for (flags, on_20_10, on_28, without_proxy) in FORMS {
        for (engine, expected) in engines.into_iter().zip([on_20_10, on_28, without_proxy]) {
            let mut stage = Stage::with(config(engine));
            const BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
            stage.ok("docker network create --internal inner");
            stage.ok(&format!("docker network create -o {BINDING}=:: six"));
            stage.ok(&format!("docker network create -o {BINDING}=127.0.0.1 local"));
            stage.ok(&format!("docker run -d --name web {flags} busybox sleep 600"));
            let found = stage.docker("docker port web").stdout.replace(" -> ", " ");
            let found = found.trim().replace('\n', ", ");
            if found != **expected {
                differences
                    .push(format!("{} proxy={} {flags}: {found}\n  expected {expected}", engine.0, engine.1));
            }
            // A port is free again with its container.
            stage.ok("docker rm -f web");
            stage.ok(&format!("docker run -d --name web {flags} busybox sleep 600"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// `--expose` takes ICMP, which shows in inspect and does nothing; `-P` cannot publish it.
#[test]
fn icmp_can_be_exposed_and_not_published() {
    for (profile, prefix, why) in [
        (Profile::Docker20_10, "", "invalid transport protocol: icmp"),
        (Profile::Docker28, "failed to set up container networking: ", "unknown protocol"),
    ] {
        let mut stage = Stage::with(config((profile, true)));
        stage.ok("docker run -d --name web --expose 80/icmp --expose 81 busybox sleep 60");
        let exposed = "{{json .Config.ExposedPorts}} {{json .NetworkSettings.Ports}}";
        assert_eq!(
            stage.ok(&format!("docker inspect -f '{exposed}' web")),
            "{\"80/icmp\":{},\"81/tcp\":{}} {\"80/icmp\":null,\"81/tcp\":null}\n"
        );
        assert_eq!(stage.ok("docker ps --format '{{.Ports}}'"), "80/icmp, 81/tcp\n");
        let answer = stage.docker("docker run -d --name all -P --expose 80/icmp busybox sleep 60");
        let told = answer.stderr.lines().next().unwrap_or_default();
        assert!(
            told.starts_with(&format!(
                "docker: Error response from daemon: {prefix}driver failed programming"
            )) && told.ends_with(&format!("): {why}")),
            "{told}"
        );
        let answer = stage.docker("docker run -p 80:80/icmp busybox");
        assert!(answer.stderr.contains("invalid proto: icmp"), "{answer:?}");
    }
}

/// On a network whose IPv4 is routed there is no port on the host's IPv4 addresses; the IPv6 ones are another family's, whose mode
/// is nat still, and the userland proxy leads them to the container's IPv4 address. moby's `configurePortBindingIPv6`
/// (`port_mapping_linux.go` of 28 and 29) asks for the mode of IPv6 alone.
#[test]
fn a_routed_network_of_ipv4_alone_is_still_published_on_ipv6() {
    const MODE: &str = "com.docker.network.bridge.gateway_mode";
    for profile in [Profile::Docker28, Profile::Docker29] {
        for (proxy, ipv6_mode, listed, by_ipv6) in [
            (true, "nat", "80/tcp 0.0.0.0:, 80/tcp [::]:8080", "172.27.0.1"),
            (true, "routed", "80/tcp 0.0.0.0:, 80/tcp [::]:", REFUSED),
            (false, "nat", "80/tcp 0.0.0.0:", REFUSED),
        ] {
            let mut stage = Stage::with(config((profile, proxy)));
            stage.ok(&format!(
                "docker network create --subnet 172.27.0.0/24 -o {MODE}_ipv4=routed -o {MODE}_ipv6={ipv6_mode} net"
            ));
            stage.ok("docker run -d --name server --network net -p 8080:80 busybox httpd -f -p 80");
            let found = stage.ok("docker port server").replace(" -> ", " ").trim().replace('\n', ", ");
            assert_eq!(found, listed, "{profile} {proxy}");
            stage.outside("ip route add 172.27.0.0/24 via 203.0.113.10");
            let mut heard = |client: &str, target: &str| ask(&mut stage, client, target);
            assert_eq!(heard("host", "[::1]:8080"), by_ipv6, "{profile} {proxy} {ipv6_mode}");
            assert_eq!(heard("host", "203.0.113.10:8080"), REFUSED);
            assert_eq!(heard("outside", "203.0.113.10:8080"), REFUSED);
            assert_eq!(
                heard("outside", "172.27.0.2:80"),
                "203.0.113.1",
                "the port is open for who has a route"
            );
            assert_eq!(heard("outside", "172.27.0.2:81"), NONE);
        }
    }
}

#[test]
fn what_is_exposed_is_reached_from_inside_only() {
    for engine in ENGINES {
        let mut stage = stage(engine, "--expose 80");
        assert_eq!(ask(&mut stage, "peer", "server"), "172.25.0.3", "{engine:?}");
        assert_eq!(ask(&mut stage, "outside", "203.0.113.10:80"), REFUSED, "{engine:?}");
        assert_eq!(stage.docker("docker port server").stdout, "", "{engine:?}");
        assert!(
            stage.ok("docker ps --format '{{.Names}} {{.Ports}}'").contains("server 80/tcp\n"),
            "{engine:?}"
        );
    }
}

/// Who loses a port to whom: what is there first, what is asked for, and the refusals of 20.10 and 28 behind
/// `driver failed programming external connectivity on endpoint two (ID): `; empty if there is room.
const CONFLICTS: &[(&str, &str, &str, &str)] = &[
    (
        "-p 8080:80",
        "-p 8080:80",
        "Bind for 0.0.0.0:8080 failed: port is already allocated",
        "Bind for 0.0.0.0:8080 failed: port is already allocated",
    ),
    (
        "-p 8080:80",
        "-p 127.0.0.1:8080:80",
        "Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
        "Bind for 0.0.0.0:8080 failed: port is already allocated",
    ),
    (
        "-p 127.0.0.1:8080:80",
        "-p 8080:80",
        "Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
        "Bind for 127.0.0.1:8080 failed: port is already allocated",
    ),
    ("-p 127.0.0.1:8080:80", "-p 203.0.113.10:8080:80", "", ""),
    ("-p [::]:8080:80", "-p 0.0.0.0:8080:80", "", ""),
    ("-p 8080:80/udp", "-p 8080:80", "", ""),
    (
        "-p [::]:8080:80",
        "-p [::]:8080:80",
        "Bind for :::8080 failed: port is already allocated",
        "Bind for :::8080 failed: port is already allocated",
    ),
    ("-p 9000-9001:80", "-p 9000-9001:80", "", ""),
    ("-p 9000:80 -p 9001:81", "-p 9000-9001:80", "all ports are allocated", "all ports are allocated"),
    (
        "-p 81:80",
        "-p 9200:80 -p 9200:81",
        "Bind for 0.0.0.0:9200 failed: port is already allocated",
        "Bind for 0.0.0.0:9200 failed: port is already allocated",
    ),
    (
        "-p 81:80",
        "-p 10.9.9.9:8080:80",
        "Error starting userland proxy: listen tcp4 10.9.9.9:8080: bind: cannot assign requested address",
        "failed to bind host port for 10.9.9.9:8080:172.17.0.3:80/tcp: cannot assign requested address",
    ),
    // A program of the host listens on port 7000 of 127.0.0.1.
    (
        "-p 81:80",
        "-p 7000:80",
        "Error starting userland proxy: listen tcp4 0.0.0.0:7000: bind: address already in use",
        "failed to bind host port for 0.0.0.0:7000:172.17.0.3:80/tcp: address already in use",
    ),
    ("-p 81:80", "-p 203.0.113.10:7000:80", "", ""),
    ("-p 81:80", "-p 7000:80/udp", "", ""),
];

#[test]
fn ports_that_are_taken_are_refused_in_the_engines_words() {
    let mut differences = Vec::new();
    for (first, second, on_20_10, on_28) in CONFLICTS {
        let engines = [
            (Profile::Docker20_10, "", on_20_10),
            (Profile::Docker28, "failed to set up container networking: ", on_28),
            (Profile::Docker29, "failed to set up container networking: ", on_28),
        ];
        for (profile, prefix, expected) in engines {
            let mut stage = Stage::with(config((profile, true)));
            stage.on_host("nc -lk -p 7000 -s 127.0.0.1 >/dev/null & true");
            stage.ok(&format!("docker run -d --name one {first} busybox sleep 600"));
            let answer = stage.docker(&format!("docker run -d --name two {second} busybox sleep 600"));
            let prefix = format!("docker: Error response from daemon: {prefix}driver failed");
            let message = answer.stderr.split_once("): ").map_or("", |(_, message)| message);
            let message = message.lines().next().unwrap_or_default();
            let right = if expected.is_empty() {
                answer.exit == 0
            } else {
                answer.exit == 125 && answer.stderr.starts_with(&prefix) && message == *expected
            };
            if !right {
                differences
                    .push(format!("{profile} {first} then {second}: {answer:?}\n  expected {expected}"));
            }
            if !expected.is_empty() {
                // Nothing is left of the attempt, and the container starts once there is room.
                assert_eq!(stage.docker("docker port two").stdout, "");
                if !second.contains("10.9.9.9") && !second.contains("7000") && !second.contains("9200") {
                    stage.ok("docker rm -f one");
                    stage.ok("docker start two");
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// `clearConntrackEntries` (`bridge_linux.go`): since 23 it also runs when ports are published, so that who has talked to the port
/// in vain is translated from now on. In 20.10 the kernel keeps to what it decided for the first datagram.
#[test]
fn who_sent_datagrams_before_a_port_was_published_reaches_it_directly_since_28() {
    for (profile, seen) in [
        (Profile::Docker20_10, "172.25.0.1"),
        (Profile::Docker28, "203.0.113.1"),
        (Profile::Docker29, "203.0.113.1"),
    ] {
        let mut stage = Stage::with(config((profile, true)));
        stage.ok("docker network create --subnet 172.25.0.0/24 net1");
        let ask = "echo hello | timeout 1 nc -u -w 1 -p 4000 203.0.113.10 5000";
        stage.outside(ask);
        stage.ok("docker run -d --name echo --network net1 -p 5000:5000/udp busybox listen 5000/udp");
        let answer = stage.outside(ask);
        assert!(answer.stdout.contains(&format!("sees {seen}")), "{profile}: {answer:?}");
    }
}

/// libnetwork forgets what has the container's address at an end of the reply: a published port's flows, not those that
/// went out under the host's address, which end by their timers.
#[test]
fn flows_of_a_removed_container_end_where_its_address_is_in_their_answers() {
    for profile in Profile::ALL {
        let mut stage = Stage::with(config((profile, true)));
        stage.ok("docker run -d --name web -p 8080:80 busybox httpd -f -p 80");
        stage.ok("docker exec web wget -qO- http://198.51.100.7/");
        stage.outside("wget -qO- http://203.0.113.10:8080/cgi-bin/who");
        let flows = |stage: &mut Stage| {
            let list = stage.on_host("conntrack -L").stdout;
            [" src=172.17.0.2 dst=198.51.100.7 ", " src=203.0.113.1 dst=203.0.113.10 sport"]
                .map(|end| list.contains(end))
        };
        assert_eq!(flows(&mut stage), [true, true], "{profile}");
        stage.ok("docker rm -f web");
        assert_eq!(flows(&mut stage), [true, false], "{profile}");
    }
}

#[test]
fn datagrams_through_the_proxy_are_answered_from_where_they_were_sent_to_since_28() {
    for (profile, seen) in
        [(Profile::Docker20_10, false), (Profile::Docker28, true), (Profile::Docker29, true)]
    {
        let mut stage = Stage::with(config((profile, true)));
        stage.ok("docker network create --subnet 172.25.0.0/24 net1");
        stage.ok("docker run -d --name echo --network net1 -p 5000:5000/udp busybox listen 5000/udp");
        stage.ok("docker run -d --name peer --network net1 busybox sleep 600");
        let ask = "sh -c 'echo hello | timeout 2 nc -u -w 1 203.0.113.10 5000'";
        let answer = stage.docker(&format!("docker exec peer {ask}"));
        assert_eq!(answer.stdout.contains("sees"), seen, "{profile}: {answer:?}");
        assert!(stage.outside(ask).stdout.contains("sees"), "{profile}");
    }
}
