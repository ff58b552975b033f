//! IPv6 by version: subnets without a `--subnet`, networks of one family or both, publishing and filtering.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking")]

mod recorded;

use std::net::Ipv6Addr;

use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::profile::Profile;
use recorded::Stage;

fn stage(profile: Profile) -> Stage {
    Stage::with(DaemonConfig { profile, ..DaemonConfig::default() })
}

fn wget(stage: &mut Stage, client: &str, target: &str) -> bool {
    let line = format!("timeout 3 wget -qO- http://{target}/cgi-bin/who");
    let answer = match client {
        "host" => stage.on_host(&line),
        container => stage.docker(&format!("docker exec {container} {line}")),
    };
    answer.stdout.contains("sees")
}

fn address(stage: &mut Stage, container: &str, field: &str) -> String {
    let format = format!("{{{{range .NetworkSettings.Networks}}}}{{{{.{field}}}}}{{{{end}}}}");
    stage.ok(&format!("docker inspect -f '{format}' {container}")).trim().to_owned()
}

/// IPv6 does not go below 1280 bytes, and Linux takes it from a device that does. The bridge of 28 has the network's MTU from the
/// start, that of 20.10 only when a container has joined, which fails: its own interface has no IPv6 either.
#[test]
fn an_mtu_too_small_for_ipv6_is_refused_where_it_is_met() {
    let create = "docker network create -o com.docker.network.driver.mtu=1279 --ipv6 --subnet 172.30.0.0/24 --subnet \
                  fd00:30::/64 -o com.docker.network.bridge.name=br-small small";
    for profile in [Profile::Docker28, Profile::Docker29] {
        let mut stage = Stage::with(DaemonConfig { profile, ..DaemonConfig::default() });
        let answer = stage.docker(create);
        assert_eq!(
            (answer.stderr.as_str(), answer.exit),
            (
                "Error response from daemon: Cannot read IPv6 setup for bridge br-small: open \
                 /proc/sys/net/ipv6/conf/br-small/disable_ipv6: no such file or directory\n",
                1
            ),
            "{profile}"
        );
        // Nothing of it is left, and without IPv6 or with room for it the same network can be made.
        stage.ok(&create.replace("--ipv6 ", "--ipv6=false ").replace(" --subnet fd00:30::/64", ""));
        stage.ok("docker run -d --name web --network small nginx");
        stage.ok(
            "docker network create -o com.docker.network.driver.mtu=1280 --ipv6 --subnet fd00:31::/64 enough",
        );
        stage.ok("docker run -d --name six --network enough nginx");
    }
    let mut stage = Stage::new("");
    stage.ok(create);
    let answer = stage.docker("docker run -d --name web --network small nginx");
    let told = answer.stderr.lines().next().unwrap_or_default();
    assert!(
        told.contains(" to sandbox: error setting interface \\\"veth")
            && told.ends_with("\\\" IPv6 to fd00:30::2/64: invalid argument\": unknown"),
        "{told}"
    );
    assert_eq!((answer.exit, stage.ok("docker ps -q").as_str()), (125, ""));
    // macvlan takes its parent's MTU.
    let mut stage = Stage::with(DaemonConfig { profile: Profile::Docker28, ..DaemonConfig::default() });
    stage.on_host("ip link set lan0 mtu 1200");
    stage.ok("docker network create -d macvlan -o parent=lan0 --ipv6 --subnet 192.168.50.0/24 --subnet fd00:50::/64 lan");
    let answer = stage.docker("docker run -d --name web --network lan --ip 192.168.50.9 nginx");
    assert!(answer.stderr.contains("\" IPv6 to fd00:50::2/64: invalid argument"), "{answer:?}");
}

#[test]
fn a_subnet_comes_from_a_unique_local_prefix_since_27() {
    for profile in [Profile::Docker28, Profile::Docker29] {
        let mut stage = stage(profile);
        let mut subnets = Vec::new();
        for name in ["one", "two"] {
            stage.ok(&format!("docker network create --ipv6 {name}"));
            let shown = stage.ok(&format!(
                "docker network inspect -f '{{{{range .IPAM.Config}}}}{{{{.Subnet}}}} {{{{end}}}}' {name}"
            ));
            let v6 = shown.split_whitespace().find(|subnet| subnet.contains(':')).unwrap().to_owned();
            subnets.push(v6.strip_suffix("/64").unwrap().parse::<Ipv6Addr>().unwrap());
        }
        assert_eq!(subnets[0].segments()[0] >> 8, 0xfd);
        assert_eq!(subnets[1].to_bits() - subnets[0].to_bits(), 1 << 64, "neighbours in one /48");
        for name in ["web", "peer"] {
            stage.ok(&format!("docker run -d --name {name} --network one busybox httpd -f -p 80"));
        }
        let web = address(&mut stage, "web", "GlobalIPv6Address");
        assert_eq!(web.parse::<Ipv6Addr>().unwrap().to_bits() - subnets[0].to_bits(), 2);
        assert!(wget(&mut stage, "peer", &format!("[{web}]")));
        assert!(stage.ok("docker exec peer ping -c 1 -6 web").contains(&web));
        // A freed subnet is used at once.
        stage.ok("docker network rm two");
        stage.ok("docker network create --ipv6 three");
        let shown = stage.ok("docker network inspect three");
        assert!(shown.contains(&format!("{}/64", subnets[1])), "{shown}");
    }
    let mut old = stage(Profile::Docker20_10);
    assert_eq!(
        old.docker("docker network create --ipv6 one").stderr,
        "Error response from daemon: could not find an available, non-overlapping IPv6 address pool among the \
         defaults to assign to the network\n"
    );
}

#[test]
fn a_network_of_ipv6_alone_publishes_and_routes_ipv6_alone() {
    for profile in [Profile::Docker28, Profile::Docker29] {
        let mut stage = stage(profile);
        stage.ok("docker network create --ipv4=false --ipv6 --subnet fd00:7::/64 six");
        stage.ok("docker run -d --name web --network six -p 8080:80 busybox httpd -f -p 80");
        stage.ok("docker run -d --name peer --network six busybox sleep 600");
        assert_eq!(address(&mut stage, "web", "IPAddress"), "");
        assert_eq!(address(&mut stage, "web", "GlobalIPv6Address"), "fd00:7::2");
        assert_eq!(stage.ok("docker exec web ip route"), "");
        assert!(stage.ok("docker exec web ip -6 route").contains("default via fd00:7::1 dev eth0"));
        assert_eq!(stage.ok("docker port web"), "80/tcp -> [::]:8080\n");
        assert!(wget(&mut stage, "peer", "[fd00:7::2]"));
        assert!(wget(&mut stage, "peer", "web"));
        assert!(wget(&mut stage, "host", "[::1]:8080"));
        assert!(wget(&mut stage, "host", "[fd00:7::1]:8080"));
        assert!(!wget(&mut stage, "host", "127.0.0.1:8080"));
    }
    // Older engines do not know the switch: the network has both families.
    let mut old = stage(Profile::Docker20_10);
    old.ok("docker network create --ipv4=false --ipv6 --subnet fd00:7::/64 six");
    old.ok("docker run -d --name web --network six busybox httpd -f -p 80");
    assert_eq!(address(&mut old, "web", "IPAddress"), "172.18.0.2");
}

#[test]
fn networks_are_kept_apart_in_ipv6_where_ip6tables_is_managed() {
    for (profile, ip6tables, apart) in [
        (Profile::Docker20_10, None, false),
        (Profile::Docker20_10, Some(true), true),
        (Profile::Docker28, None, true),
        (Profile::Docker28, Some(false), false),
        (Profile::Docker29, None, true),
    ] {
        let mut stage = Stage::with(DaemonConfig { profile, ip6tables, ..DaemonConfig::default() });
        stage.ok("docker network create --ipv6 --subnet fd00:1::/64 one");
        stage.ok("docker network create --ipv6 --subnet fd00:2::/64 two");
        stage.ok("docker run -d --name web --network one -p 8080:80 busybox httpd -f -p 80");
        stage.ok("docker run -d --name peer --network one busybox sleep 600");
        stage.ok("docker run -d --name other --network two busybox sleep 600");
        assert!(wget(&mut stage, "peer", "[fd00:1::2]"), "{profile}");
        assert_eq!(wget(&mut stage, "other", "[fd00:1::2]"), !apart, "{profile} ip6tables={ip6tables:?}");
        assert!(
            wget(&mut stage, "other", "[fd00:2::1]:8080"),
            "published, {profile} ip6tables={ip6tables:?}"
        );
        let nat = stage.on_host("ip6tables -t nat -S").stdout;
        let written = ip6tables.unwrap_or(profile != Profile::Docker20_10);
        assert_eq!(nat.contains("--to-destination [fd00:1::2]:80"), written, "{nat}");
    }
}

#[test]
fn subnets_no_bridge_can_have_are_refused() {
    for (profile, multicast, link_local) in [
        (
            Profile::Docker20_10,
            "failed to add IPv6 address ff00::1/64 to bridge: cannot assign requested address",
            None,
        ),
        (
            Profile::Docker28,
            "multicast subnet 'ff00::1/64' is not allowed",
            Some("'fe80::1/80' clashes with the Link-Local prefix 'fe80::/64'"),
        ),
    ] {
        let mut stage = stage(profile);
        let answer = stage.docker("docker network create --ipv6 --subnet ff00::/64 bad");
        assert_eq!(answer.stderr, format!("Error response from daemon: {multicast}\n"));
        if let Some(link_local) = link_local {
            let answer = stage.docker("docker network create --ipv6 --subnet fe80::/80 bad");
            assert_eq!(answer.stderr, format!("Error response from daemon: {link_local}\n"));
        }
        stage.ok("docker network create --ipv6 --subnet fe80::/64 good");
    }
    let neither = stage(Profile::Docker28).docker("docker network create --ipv4=false neither");
    assert_eq!(neither.stderr, "Error response from daemon: IPv4 or IPv6 must be enabled\n");
}

#[test]
fn a_container_on_two_networks_publishes_each_family_where_its_route_is_since_28() {
    let mut stage = stage(Profile::Docker28);
    stage.ok("docker network create four");
    stage.ok("docker network create --ipv4=false --ipv6 --subnet fd00:6::/64 six");
    stage.ok("docker run -d --name web --network four -p 8080:80 busybox httpd -f -p 80");
    assert_eq!(stage.ok("docker port web"), "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n");
    stage.ok("docker network connect six web");
    assert_eq!(stage.ok("docker port web"), "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n");
    let nat6 = stage.on_host("ip6tables -t nat -S DOCKER").stdout;
    assert!(nat6.contains("--to-destination [fd00:6::2]:80"), "{nat6}");
    assert!(wget(&mut stage, "host", "[fd00:6::1]:8080") && wget(&mut stage, "host", "127.0.0.1:8080"));
    stage.ok("docker network disconnect four web");
    assert_eq!(stage.ok("docker port web"), "80/tcp -> [::]:8080\n");
}
