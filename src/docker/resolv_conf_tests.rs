//! The files of the oracle's DNS walkthrough (23), and those of 28.

use proptest::prelude::*;

use super::*;

const HOST: &str =
    "search corp.test lab.test\nnameserver 203.0.113.53\noptions timeout:2 attempts:1 ndots:2\n";
const BRIDGE: Placement = Placement::DefaultBridge { ipv6: false };

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn with(servers: &[&str], search: &[&str], options: &[&str]) -> Overrides {
    Overrides {
        servers: servers.iter().map(|text| ip(text)).collect(),
        search: owned(search.iter().copied()),
        options: owned(options.iter().copied()),
    }
}

fn old(text: &str, overrides: &Overrides, placement: Placement) -> Generated {
    generate(ResolvConfStyle::Docker20_10, HostFile { path: "/etc/resolv.conf", text }, overrides, placement)
}

fn new(text: &str, overrides: &Overrides, placement: Placement) -> Generated {
    generate(ResolvConfStyle::Docker28, HostFile { path: "/etc/resolv.conf", text }, overrides, placement)
}

#[test]
fn overrides_replace_one_class_of_lines_each() {
    let search = "search corp.test lab.test\n";
    let server = "nameserver 203.0.113.53\n";
    let inner = "nameserver 127.0.0.11\n";
    let options = "options timeout:2 attempts:1 ndots:2\n";
    let user = Placement::UserDefined;
    let two = "nameserver 198.51.100.53\nnameserver 198.51.100.54\n";
    let cases = [
        (with(&[], &[], &[]), BRIDGE, [search, server, options]),
        (with(&[], &[], &[]), user, [search, inner, options]),
        (with(&["198.51.100.53", "198.51.100.54"], &[], &[]), BRIDGE, [search, two, options]),
        (with(&["198.51.100.53"], &[], &[]), user, [search, inner, options]),
        (
            with(&[], &["example.test", "corp.test"], &[]),
            BRIDGE,
            ["search example.test corp.test\n", server, options],
        ),
        (with(&[], &["example.test"], &[]), user, ["search example.test\n", inner, options]),
        (with(&[], &["."], &[]), BRIDGE, ["", server, options]),
        (with(&[], &["."], &[]), user, ["", inner, options]),
        (with(&[], &[], &["timeout:9", "use-vc"]), BRIDGE, [search, server, "options timeout:9 use-vc\n"]),
        (with(&[], &[], &["ndots:5", "timeout:9"]), user, [search, inner, "options ndots:5 timeout:9\n"]),
        (with(&[], &[], &["timeout:3"]), user, [search, inner, "options timeout:3 ndots:0\n"]),
        (with(&["127.0.0.1"], &[], &[]), BRIDGE, [search, "nameserver 127.0.0.1\n", options]),
        (with(&["1.1.1.1"], &[], &[]), Placement::Host, [search, "nameserver 1.1.1.1\n", options]),
        (with(&["1.1.1.1"], &[], &[]), Placement::None, [search, "nameserver 1.1.1.1\n", options]),
    ];
    for (overrides, placement, expected) in cases {
        assert_eq!(old(HOST, &overrides, placement).text, expected.concat(), "{overrides:?} {placement:?}");
    }
}

#[test]
fn without_overrides_the_hosts_file_is_copied_in_its_own_order() {
    let text = "# mine\nnameserver 1.1.1.1\nsortlist 10.0.0.0\nsearch a\n";
    for placement in [BRIDGE, Placement::None, Placement::Host] {
        assert_eq!(old(text, &Overrides::default(), placement).text, text);
    }
    assert_eq!(new(text, &Overrides::default(), Placement::Host).text, text);
}

#[test]
fn loopback_servers_are_filtered_and_defaults_take_their_place() {
    let none = Overrides::default();
    let mixed = "nameserver 127.0.0.53\n\nnameserver 1.1.1.1\nnameserver fd00::1\nsearch a\n";
    assert_eq!(old(mixed, &none, BRIDGE).text, "nameserver 1.1.1.1\nsearch a\n");
    let v6 = Placement::DefaultBridge { ipv6: true };
    assert_eq!(old(mixed, &none, v6).text, "nameserver 1.1.1.1\nnameserver fd00::1\nsearch a\n");
    let text = old("nameserver 127.0.0.53\n", &none, BRIDGE).text;
    assert_eq!(StubConfig::parse(&text).nameservers, [ip("8.8.8.8"), ip("8.8.4.4")]);
    assert_eq!(old("nameserver 127.0.0.53\n", &none, Placement::Host).text, "nameserver 127.0.0.53\n");
}

#[test]
fn the_resolver_gets_the_servers_that_the_file_no_longer_shows() {
    let server = |text: &str, origin| ExternalServer { address: SocketAddr::new(ip(text), 53), origin };
    let text = "nameserver 127.0.0.53\nnameserver fd00::1\nnameserver 127.0.0.11\n";
    let host = old(text, &Overrides::default(), Placement::UserDefined);
    assert_eq!(host.servers, [server("127.0.0.53", ServerOrigin::Host)]);
    assert_eq!(host.text, "nameserver 127.0.0.11\nnameserver fd00::1\noptions ndots:0\n");
    let user = with(&["9.9.9.9"], &[], &[]);
    assert_eq!(old(HOST, &user, Placement::UserDefined).servers, [server("9.9.9.9", ServerOrigin::Option)]);
    let host = new(text, &Overrides::default(), Placement::UserDefined);
    let expected = [server("127.0.0.53", ServerOrigin::Host), server("fd00::1", ServerOrigin::Host)];
    assert_eq!(host.servers, expected);
}

#[test]
fn ndots_counts_as_set_when_the_user_or_the_host_set_it() {
    let none = Overrides::default();
    let cases =
        [("", false), ("options ndots:0\n", true), ("options ndots:x\n", false), ("options edns0\n", false)];
    for (text, expected) in cases {
        assert_eq!(old(text, &none, Placement::UserDefined).ndots_set, expected, "{text}");
        assert_eq!(new(text, &none, Placement::UserDefined).ndots_set, expected, "{text}");
    }
    let repaired = new("options ndots:x edns0\n", &none, Placement::UserDefined).text;
    assert!(repaired.contains("options edns0 ndots:0\n"));
}

#[test]
fn newer_files_tell_where_they_come_from() {
    let head = "# Generated by Docker Engine.\n# This file can be edited; Docker Engine will not make further changes \
                once it\n# has been modified.\n\n";
    let text = "nameserver 8.8.8.8\nsearch corp.example\n";
    let expected = format!(
        "{head}nameserver 127.0.0.11\nsearch corp.example\noptions ndots:0\n\n\
         # Based on host file: '/etc/resolv.conf' (internal resolver)\n# ExtServers: [host(8.8.8.8)]\n\
         # Overrides: []\n# Option ndots from: internal\n"
    );
    assert_eq!(new(text, &Overrides::default(), Placement::UserDefined).text, expected);
    let expected = format!(
        "{head}nameserver 8.8.8.8\nnameserver 8.8.4.4\n\n\
         # Based on host file: '/etc/resolv.conf' (legacy)\n# Used default nameservers.\n# Overrides: []\n"
    );
    assert_eq!(new("nameserver 127.0.0.53\n", &Overrides::default(), BRIDGE).text, expected);
    let all = with(&["9.9.9.9"], &["x"], &["ndots:3"]);
    let expected = format!(
        "{head}nameserver 9.9.9.9\nsearch x\noptions ndots:3\nsortlist 1\n\n\
         # Based on host file: '/etc/resolv.conf'\n# Invalid nameservers: [bad]\n\
         # Overrides: [nameservers search options]\n# Option ndots from: override\n"
    );
    assert_eq!(new("nameserver bad\nsortlist 1\n", &all, Placement::None).text, expected);
}

#[test]
fn only_systemd_resolveds_stub_is_passed_over() {
    assert_eq!(host_file_path("nameserver 127.0.0.53\n"), "/run/systemd/resolve/resolv.conf");
    assert_eq!(host_file_path("nameserver 127.0.0.53\nnameserver 1.1.1.1\n"), "/etc/resolv.conf");
    assert_eq!(host_file_path(""), "/etc/resolv.conf");
}

#[test]
fn a_stub_reads_the_file_with_its_limits() {
    let config = StubConfig::parse(HOST);
    assert_eq!(config.search, ["corp.test", "lab.test"]);
    assert_eq!((config.ndots, config.timeout, config.attempts), (2, Duration::from_secs(2), 1));
    let config = StubConfig::parse("options ndots:99 timeout:0 attempts:77 use-vc x\nnameserver bad\n");
    assert_eq!((config.ndots, config.timeout, config.attempts), (15, Duration::from_secs(1), 5));
    assert!(config.use_tcp);
    assert_eq!(config.nameservers, [ip("127.0.0.1")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_host_file_gives_a_file_that_names_the_embedded_resolver(text in "([a-z#;: .0-9\t]{0,24}\n){0,6}") {
        for style in [ResolvConfStyle::Docker20_10, ResolvConfStyle::Docker28] {
            let host = HostFile { path: "/etc/resolv.conf", text: &text };
            let generated = generate(style, host, &with(&["9.9.9.9"], &[], &["edns0"]), Placement::UserDefined);
            prop_assert_eq!(StubConfig::parse(&generated.text).nameservers, vec![ip("127.0.0.11")]);
        }
    }
}
