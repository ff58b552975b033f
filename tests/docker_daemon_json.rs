//! `daemon:` of a scenario as dockerd reads daemon.json: what it refuses, in its words, and what its keys do where no
//! scenario of the documentation shows it. The texts of 20.10 are a real engine's; those of 28 have the path that Go's
//! decoder gives since 1.24.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod recorded;

use std::path::Path;

use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::profile::Profile;
use linkspan::scenario::{LoadOptions, MemorySource, default_stage, load};
use linkspan::world::World;
use recorded::Stage;

const FILE: &str = "s.yaml";

/// The first error of a file with this `daemon:`, and where it points (`LINE:COLUMN`); `None` if it is taken.
fn refusal(profile: &str, daemon: &str) -> Option<(String, String)> {
    let text =
        format!("daemon:\n  profile: \"{profile}\"\n  {daemon}\nservices: {{web: {{image: nginx}}}}\n");
    let source = MemorySource::default().with_file(FILE, &text);
    let error = load(&source, Path::new(FILE), &LoadOptions::default()).err()?;
    assert_eq!(error.errors().count(), 1, "{}", error.render(false));
    let first = error.errors().next().unwrap();
    let place = first.span.and_then(|span| error.sources.position(span)).unwrap();
    Some((first.message.clone(), format!("{}:{}", place.line, place.column)))
}

#[test]
fn values_of_a_wrong_type_are_refused_in_dockerds_words() {
    const BRIDGE: &str = "Config.CommonConfig.BridgeConfig";
    let rows = [
        (
            "iptables: \"false\"",
            "string",
            "Config.iptables of type bool",
            format!("{BRIDGE}.iptables of type bool"),
        ),
        (
            "ip6tables: 'x'",
            "string",
            "Config.ip6tables of type bool",
            format!("{BRIDGE}.ip6tables of type bool"),
        ),
        (
            "icc: 1",
            "number",
            "Config.icc of type bool",
            format!("{BRIDGE}.DefaultBridgeConfig.icc of type bool"),
        ),
        (
            "mtu: \"1400\"",
            "string",
            "Config.mtu of type int",
            format!("{BRIDGE}.DefaultBridgeConfig.mtu of type int"),
        ),
        (
            "bip: true",
            "bool",
            "Config.bip of type string",
            format!("{BRIDGE}.DefaultBridgeConfig.bip of type string"),
        ),
        (
            "dns: 8.8.8.8",
            "string",
            "Config.dns of type []string",
            "Config.CommonConfig.DNSConfig.dns of type []net.IP".to_owned(),
        ),
        (
            "live-restore: \"no\"",
            "string",
            "Config.live-restore of type bool",
            "Config.CommonConfig.live-restore of type bool".to_owned(),
        ),
    ];
    for (daemon, found, on_20_10, on_28) in rows {
        for (profile, field) in [("20.10", on_20_10), ("28", &on_28), ("29", &on_28)] {
            let (message, place) = refusal(profile, daemon).unwrap_or_else(|| panic!("{daemon} is taken"));
            let expected = format!(
                "unable to configure the Docker daemon with file /etc/docker/daemon.json: \
                 json: cannot unmarshal {found} into Go struct field {field}"
            );
            assert_eq!(message, expected);
            assert_eq!(place, format!("3:{}", daemon.find(':').unwrap() + 5), "{daemon}");
        }
    }
}

#[test]
fn wrong_types_and_values_inside_a_setting_are_refused_where_they_stand() {
    const NETWORK: &str = "Config.CommonConfig.NetworkConfig";
    const POOL: &str = "default-address-pools: [{base: 10.0.0.0/8, size: 24}, {";
    let go =
        |found: &str, field: String| format!("json: cannot unmarshal {found} into Go struct field {field}");
    let invalid = |text: &str| format!("invalid IP address: {text}");
    let both = |text: String| (text.clone(), text);
    let rows = [
        (
            format!("{POOL}base: 11.0.0.0/8, size: \"24\"}}]"),
            "\"24\"",
            (
                go("string", "Config.default-address-pools of type int".to_owned()),
                go("string", format!("{NETWORK}.default-address-pools.size of type int")),
            ),
        ),
        (
            format!("{POOL}base: 11, size: 16}}]"),
            "11",
            (
                go("number", "Config.default-address-pools of type string".to_owned()),
                go("number", format!("{NETWORK}.default-address-pools.base of type netip.Prefix")),
            ),
        ),
        (
            "default-address-pools: [7]".to_owned(),
            "7",
            (
                go("number", "Config.default-address-pools of type ipamutils.NetworkToSplit".to_owned()),
                go("number", format!("{NETWORK}.default-address-pools of type ipamutils.NetworkToSplit")),
            ),
        ),
        (
            "default-address-pools: 7".to_owned(),
            "7",
            (
                go("number", "Config.default-address-pools of type []*ipamutils.NetworkToSplit".to_owned()),
                go("number", format!("{NETWORK}.default-address-pools of type []*ipamutils.NetworkToSplit")),
            ),
        ),
        (
            "default-address-pools: {base: 10.0.0.0/8, size: 24}".to_owned(),
            "default",
            both("the following directives don't match any configuration option: base, size".to_owned()),
        ),
        (
            "mtu: 1.5".to_owned(),
            "1.5",
            (
                go("number 1.5", "Config.mtu of type int".to_owned()),
                go(
                    "number 1.5",
                    "Config.CommonConfig.BridgeConfig.DefaultBridgeConfig.mtu of type int".to_owned(),
                ),
            ),
        ),
        (
            "dns: [1.1.1.1, foo]".to_owned(),
            "foo",
            (
                "configuration validation from file failed: foo is not an ip address".to_owned(),
                invalid("foo"),
            ),
        ),
        (
            "dns: [5]".to_owned(),
            "5",
            (
                go("number", "Config.dns of type string".to_owned()),
                go("number", "Config.CommonConfig.DNSConfig.dns of type net.IP".to_owned()),
            ),
        ),
        ("ip: 1.2.3".to_owned(), "1.2.3", both(invalid("1.2.3"))),
        ("default-gateway: foo".to_owned(), "foo", both(invalid("foo"))),
        (
            "ip: 5".to_owned(),
            "5",
            (
                go("number", "Config.ip of type net.IP".to_owned()),
                go(
                    "number",
                    "Config.CommonConfig.BridgeConfig.DefaultBridgeConfig.ip of type net.IP".to_owned(),
                ),
            ),
        ),
    ];
    let newer = [
        (
            "proxies: {http-proxy: 5}",
            "5",
            go("number", "Proxies.CommonConfig.proxies.http-proxy of type string".to_owned()),
        ),
        (
            "default-network-opts: {bridge: 5}",
            "5",
            go("number", format!("{NETWORK}.default-network-opts of type map[string]string")),
        ),
        (
            "default-network-opts: {bridge: {a: 5}}",
            "5",
            go("number", format!("{NETWORK}.default-network-opts of type string")),
        ),
        (
            "default-address-pools: [{base: foo, size: 24}]",
            "foo",
            "netip.ParsePrefix(\"foo\"): no '/'".to_owned(),
        ),
        ("host-gateway-ips: [foo]", "foo", "ParseAddr(\"foo\"): unable to parse IP".to_owned()),
    ];
    let check = |profile: &str, daemon: &str, place: &str, expected: &str| {
        let (message, found) = refusal(profile, daemon).unwrap_or_else(|| panic!("{daemon} is taken"));
        let prefix = "unable to configure the Docker daemon with file /etc/docker/daemon.json: ";
        assert_eq!(message, format!("{prefix}{expected}"), "{profile}: {daemon}");
        assert_eq!(found, format!("3:{}", daemon.rfind(place).unwrap() + 3), "{daemon}");
    };
    for (daemon, place, (on_20_10, on_28)) in &rows {
        check("20.10", daemon, place, on_20_10);
        check("28", daemon, place, on_28);
        check("29", daemon, place, on_28);
    }
    for (daemon, place, expected) in &newer {
        check("28", daemon, place, expected);
    }
    assert_eq!(refusal("28", "default-address-pools: [{base: 10.0.0.0/8, size: \"${SIZE:-24}\"}]"), None);
}

#[test]
fn keys_the_engine_does_not_know_are_refused_at_their_line() {
    for key in [
        "bip6: fd00::1/64",
        "ip-forward-no-drop: true",
        "allow-direct-routing: true",
        "default-network-opts: {}",
        "host-gateway-ips: [10.0.0.1]",
    ] {
        let name = key.split(':').next().unwrap();
        let (message, place) = refusal("20.10", key).unwrap_or_else(|| panic!("{key} is taken"));
        let expected = format!(
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: \
             the following directives don't match any configuration option: {name}"
        );
        assert_eq!((message.as_str(), place.as_str()), (expected.as_str(), "3:3"));
        assert_eq!(refusal("28", key), None, "{key}");
    }
    let (message, place) = refusal("28", "iptabels: false").unwrap();
    assert_eq!(
        (message.as_str(), place.as_str()),
        ("unknown key `iptabels` in the daemon's configuration", "3:3")
    );
    let (message, place) = refusal("29", "firewall-backend: nftables").unwrap();
    assert_eq!(place, "3:21");
    assert!(message.contains("must be one of iptables") || message.contains("must be iptables"), "{message}");
}

#[test]
fn a_value_from_the_environment_may_be_text() {
    assert_eq!(refusal("28", "iptables: ${IPTABLES:-false}"), None);
    assert_eq!(refusal("28", "iptables: \"${IPTABLES:-false}\""), None);
}

/// Settings, a command on the host or with docker, and a text that its output has, for 20.10 and 28.
#[test]
fn settings_of_the_default_bridge_show() {
    type Set = fn(&mut DaemonConfig);
    let rows: &[(Set, &str, &str)] = &[
        (|c| c.bip = "10.5.0.5/24".parse().ok(), "docker exec one ip route", "default via 10.5.0.5 dev eth0"),
        (
            |c| {
                c.bip = "10.5.0.5/24".parse().ok();
                c.fixed_cidr = "10.5.0.128/25".parse().ok();
            },
            "docker inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' one",
            "10.5.0.128",
        ),
        (
            |c| c.default_gateway = "172.17.0.254".parse().ok(),
            "docker exec one ip route",
            "default via 172.17.0.254",
        ),
        (|c| c.mtu = 1400, "docker exec one ip link show eth0", "mtu 1400"),
        (|c| c.ip = "127.0.0.1".parse().unwrap(), "docker port one", "80/tcp -> 127.0.0.1:8080\n"),
        (
            |c| c.ip_masq = false,
            "docker network inspect -f '{{json .Options}}' bridge",
            "enable_ip_masquerade\":\"false\"",
        ),
        (
            |c| c.bridge = Some("none".to_owned()),
            "docker network ls --format '{{.Name}}'",
            "host\nnew\nnone\n",
        ),
        (
            |c| c.default_address_pools = vec![("10.200.0.0/16".parse().unwrap(), 24)],
            "docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' new",
            "10.200.1.0/24",
        ),
        (
            |c| c.host_gateway_ips = vec!["203.0.113.10".parse().unwrap()],
            "docker exec one cat /etc/hosts",
            "203.0.113.10\tgw",
        ),
        (|c| c.iptables = false, "iptables -S", "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"),
        (|c| c.ip_forward = false, "sysctl -n net.ipv4.ip_forward", "0\n"),
        (|c| c.ip_forward = false, "iptables -S FORWARD", "-P FORWARD ACCEPT\n"),
        (|c| c.icc = false, "iptables -S", "-i docker0 -o docker0 -j DROP\n"),
    ];
    for profile in [Profile::Docker20_10, Profile::Docker28, Profile::Docker29] {
        for (set, line, expected) in rows {
            let mut config = DaemonConfig { profile, ..DaemonConfig::default() };
            set(&mut config);
            let no_bridge = config.bridge.is_some();
            let mut stage = Stage::with(config);
            stage.ok("docker network create new");
            if !no_bridge {
                stage.ok("docker run -d --name one --add-host gw:host-gateway -p 8080:80 busybox sleep 600");
            }
            let answer = if line.starts_with("docker") { stage.docker(line) } else { stage.on_host(line) };
            assert!(answer.stdout.contains(expected), "{profile} {line}: {answer:?}\n  expected {expected}");
        }
    }
}

#[test]
fn a_fixed_range_without_an_address_is_a_range_for_20_10_and_the_subnet_for_28() {
    for (profile, expected) in [
        (Profile::Docker20_10, "172.17.128.1/16 172.17.128.0\n"),
        (Profile::Docker28, "172.17.128.2/17 172.17.128.1\n"),
        (Profile::Docker29, "172.17.128.2/17 172.17.128.1\n"),
    ] {
        let fixed_cidr = "172.17.128.0/17".parse().ok();
        let mut stage = Stage::with(DaemonConfig { profile, fixed_cidr, ..DaemonConfig::default() });
        stage.ok("docker run -d --name one busybox sleep 600");
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}}{{end}}";
        assert_eq!(stage.ok(&format!("docker inspect -f '{format}' one")), expected, "{profile}");
    }
}

#[test]
fn containers_of_the_default_bridge_get_ipv6_addresses_from_their_mac_before_27() {
    for (profile, expected) in
        [(Profile::Docker20_10, "2001:db8:1::242:ac11:2\n"), (Profile::Docker28, "2001:db8:1::2\n")]
    {
        let fixed_cidr_v6 = "2001:db8:1::/64".parse().ok();
        let mut stage =
            Stage::with(DaemonConfig { profile, ipv6: true, fixed_cidr_v6, ..DaemonConfig::default() });
        stage.ok("docker run -d --name one busybox sleep 600");
        let format = "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}";
        assert_eq!(stage.ok(&format!("docker inspect -f '{format}' one")), expected, "{profile}");
        assert!(stage.ok("docker exec one ip -6 route").contains("default via 2001:db8:1::1 dev eth0"));
    }
}

#[test]
fn settings_that_contradict_each_other_keep_the_daemon_from_starting() {
    type Set = fn(&mut DaemonConfig);
    let rows: &[(Set, &str)] = &[
        (
            |c| (c.iptables, c.icc) = (false, false),
            "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or \
             --iptables to true",
        ),
        (
            |c| (c.bridge, c.bip) = (Some("x0".to_owned()), "10.5.0.1/24".parse().ok()),
            "You specified -b & --bip, mutually exclusive options. Please specify only one",
        ),
        (
            |c| c.ipv6 = true,
            "Error initializing network controller: IPv6 is enabled for the default bridge, but no subnet is configured. \
             Specify an IPv6 subnet using --fixed-cidr-v6",
        ),
        (
            |c| c.default_gateway = "10.0.0.1".parse().ok(),
            "Error initializing network controller: Error creating default \"bridge\" network: auxiliary address: \
             (DefaultGatewayIPv4:10.0.0.1) must belong to the master pool: 172.17.0.0/16",
        ),
        (
            |c| c.default_gateway = "172.17.0.1".parse().ok(),
            "Error initializing network controller: Error creating default \"bridge\" network: failed to allocate \
             secondary ip address (DefaultGatewayIPv4:172.17.0.1): Address already in use",
        ),
        (
            |c| {
                (c.ipv6, c.fixed_cidr_v6) = (true, "fd00:17::/64".parse().ok());
                c.default_gateway_v6 = "fd00:99::1".parse().ok();
            },
            "Error initializing network controller: Error creating default \"bridge\" network: auxiliary address: \
             (DefaultGatewayIPv6:fd00:99::1) must belong to the master pool: fd00:17::/64",
        ),
    ];
    for (set, expected) in rows {
        let mut config = DaemonConfig { profile: Profile::Docker20_10, ..DaemonConfig::default() };
        set(&mut config);
        let error = default_stage(&mut World::new(1), "host", config)
            .expect_err("the daemon does not start")
            .to_string();
        assert!(error.ends_with(&format!("failed to start daemon: {expected}")), "{error}");
    }
}

#[test]
fn a_bridge_of_another_name_must_be_there() {
    for (profile, creating) in [
        (Profile::Docker20_10, "Error creating"),
        (Profile::Docker28, "error creating"),
        (Profile::Docker29, "error creating"),
    ] {
        let config = DaemonConfig { profile, bridge: Some("br0".to_owned()), ..DaemonConfig::default() };
        let error =
            default_stage(&mut World::new(1), "host", config).expect_err("there is no br0").to_string();
        let expected = format!(
            "failed to start daemon: Error initializing network controller: {creating} default \"bridge\" network: \
             bridge device with non default name br0 must be created manually"
        );
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn options_for_new_networks_and_direct_routing_are_28s() {
    let mut config = DaemonConfig { profile: Profile::Docker28, ..DaemonConfig::default() };
    let mtu = [("com.docker.network.driver.mtu".to_owned(), "1400".to_owned())];
    config.default_network_opts = [("bridge".to_owned(), mtu.into())].into();
    config.ip_forward_no_drop = true;
    config.allow_direct_routing = true;
    let mut stage = Stage::with(config);
    stage.ok("docker network create new");
    stage.ok("docker run -d --name one --network new -p 8080:80 busybox sleep 600");
    assert!(stage.ok("docker exec one ip link show eth0").contains("mtu 1400"));
    assert_eq!(stage.on_host("iptables -S FORWARD").stdout.lines().next(), Some("-P FORWARD ACCEPT"));
    assert_eq!(stage.on_host("sysctl -n net.ipv4.ip_forward").stdout, "1\n");
    assert_eq!(stage.on_host("iptables -t raw -S PREROUTING").stdout, "-P PREROUTING ACCEPT\n");
}
