//! A container's `/etc/hosts`, line for line as libnetwork writes it, and reading any hosts file.
//!
//! The file starts with the loopback and multicast names, then `--add-host` entries, then legacy links; each
//! network adds one line per address of its interface when joined and takes it away when left. The file belongs
//! to the container, which may edit it, so later changes work on the text as it is.

use std::net::IpAddr;

/// Which release's file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostsStyle {
    /// 20.10: `fe00::0` and `ff00::0`, IPv6 lines always.
    Docker20_10,
    /// 28: `fe00::` and `ff00::`.
    Docker28 {
        /// Whether the container has IPv6; without it the IPv6 lines are left out.
        ipv6: bool,
    },
}

/// One line: an address and the names after the tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsRecord {
    /// The address.
    pub address: IpAddr,
    /// The names, separated by blanks.
    pub names: String,
}

impl HostsRecord {
    /// `--add-host NAME:ADDRESS`, with `host-gateway` already replaced by an address.
    pub fn extra(name: &str, address: IpAddr) -> Self {
        Self { address, names: name.to_owned() }
    }

    /// A legacy link: the alias, the target's host name, and the target's name where it is not the alias.
    pub fn link(alias: &str, host_name: &str, name: &str, address: IpAddr) -> Self {
        let tail = if alias == name { String::new() } else { format!(" {name}") };
        Self { address, names: format!("{alias} {host_name}{tail}") }
    }

    /// The container's own line for one address: the full name and the first label, or the bare host name.
    pub fn own(host_name: &str, domain_name: &str, address: IpAddr) -> Self {
        let full =
            if domain_name.is_empty() { host_name.to_owned() } else { format!("{host_name}.{domain_name}") };
        let names = match full.split_once('.') {
            Some((first, _)) => format!("{full} {first}"),
            None => full,
        };
        Self { address, names }
    }

    fn line(&self) -> String {
        format!("{}\t{}", self.address, self.names)
    }
}

/// The file of a new container: the fixed lines and `extra` (`--add-host` first, then links).
pub fn build(style: HostsStyle, extra: &[HostsRecord]) -> String {
    let fixed: &[&str] = match style {
        HostsStyle::Docker20_10 => &[
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "ff00::0\tip6-mcastprefix",
            "ff02::1\tip6-allnodes",
            "ff02::2\tip6-allrouters",
        ],
        HostsStyle::Docker28 { ipv6: true } => &[
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::\tip6-localnet",
            "ff00::\tip6-mcastprefix",
            "ff02::1\tip6-allnodes",
            "ff02::2\tip6-allrouters",
        ],
        HostsStyle::Docker28 { ipv6: false } => &["127.0.0.1\tlocalhost"],
    };
    let mut text = String::new();
    for line in fixed {
        text.push_str(line);
        text.push('\n');
    }
    add(&mut text, extra);
    text
}

/// The file of a container in the host's network: the host's own, unless there are extra entries.
pub fn build_for_host_network(host_file: &str, style: HostsStyle, extra: &[HostsRecord]) -> String {
    if extra.is_empty() { host_file.to_owned() } else { build(style, extra) }
}

/// Appends lines.
pub fn add(text: &mut String, records: &[HostsRecord]) {
    if !records.is_empty() && !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for record in records {
        text.push_str(&record.line());
        text.push('\n');
    }
}

/// Removes the lines that are exactly these records; other lines stay as they are.
pub fn remove(text: &mut String, records: &[HostsRecord]) {
    let unwanted: Vec<String> = records.iter().map(HostsRecord::line).collect();
    *text = text
        .split_inclusive('\n')
        .filter(|line| !unwanted.iter().any(|unwanted| line.trim_end_matches('\n') == unwanted))
        .collect();
}

/// Removes the lines whose first name is `name`.
pub fn remove_name(text: &mut String, name: &str) {
    let first = |line: &str| {
        line.split_once('\t').and_then(|(_, names)| names.split_whitespace().next().map(str::to_owned))
    };
    *text = text.split_inclusive('\n').filter(|line| first(line).as_deref() != Some(name)).collect();
}

/// Gives every line whose first name is `name` another address, as happens to a link whose target restarts.
pub fn update_address(text: &mut String, name: &str, address: IpAddr) {
    *text = text
        .split_inclusive('\n')
        .map(|line| match line.split_once('\t') {
            Some((_, names)) if names.split([' ', '\t', '\n', '.']).next() == Some(name) => {
                format!("{address}\t{names}")
            }
            _ => line.to_owned(),
        })
        .collect();
}

/// The addresses a hosts file gives a name, in file order (hosts(5)); names compare without case.
pub fn lookup(text: &str, name: &str) -> Vec<IpAddr> {
    entries(text)
        .filter(|(_, names)| names.split_whitespace().any(|has| has.eq_ignore_ascii_case(name)))
        .map(|(address, _)| address)
        .collect()
}

/// The first name a hosts file gives an address.
pub fn lookup_address(text: &str, address: IpAddr) -> Option<&str> {
    entries(text).find(|(has, _)| *has == address).and_then(|(_, names)| names.split_whitespace().next())
}

fn entries(text: &str) -> impl Iterator<Item = (IpAddr, &str)> {
    text.lines().filter_map(|line| {
        let content = line.split('#').next()?.trim();
        let (address, names) = content.split_once(char::is_whitespace)?;
        Some((address.parse().ok()?, names))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIXED: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
                         ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn extra_hosts_come_before_the_own_line() {
        let extra = [
            HostsRecord::extra("myhost", ip("10.1.2.3")),
            HostsRecord::extra("six", ip("fd00::5")),
            HostsRecord::extra("gw", ip("172.17.0.1")),
        ];
        let mut text = build(HostsStyle::Docker20_10, &extra);
        add(&mut text, &[HostsRecord::own("0123456789ab", "", ip("172.17.0.2"))]);
        let tail = "10.1.2.3\tmyhost\nfd00::5\tsix\n172.17.0.1\tgw\n172.17.0.2\t0123456789ab\n";
        assert_eq!(text, format!("{FIXED}{tail}"));
    }

    #[test]
    fn a_domain_gives_the_full_name_first() {
        for (host, domain) in [("db1.example.test", ""), ("db1", "example.test")] {
            let own = HostsRecord::own(host, domain, ip("172.18.0.2"));
            assert_eq!(own.line(), "172.18.0.2\tdb1.example.test db1");
        }
        assert_eq!(HostsRecord::own("db1", "", ip("172.18.0.2")).line(), "172.18.0.2\tdb1");
    }

    #[test]
    fn newer_files_write_shorter_prefixes_and_no_ipv6_where_there_is_none() {
        let with = build(HostsStyle::Docker28 { ipv6: true }, &[]);
        assert_eq!(with, FIXED.replace("00::0", "00::"));
        assert_eq!(build(HostsStyle::Docker28 { ipv6: false }, &[]), "127.0.0.1\tlocalhost\n");
    }

    #[test]
    fn each_network_adds_its_line_and_takes_it_away() {
        let mut text = build(HostsStyle::Docker20_10, &[]);
        let first = [HostsRecord::own("c", "", ip("172.18.0.2"))];
        let second = [HostsRecord::own("c", "", ip("172.19.0.3")), HostsRecord::own("c", "", ip("fd00::3"))];
        add(&mut text, &first);
        add(&mut text, &second);
        assert_eq!(text, format!("{FIXED}172.18.0.2\tc\n172.19.0.3\tc\nfd00::3\tc\n"));
        remove(&mut text, &first);
        assert_eq!(text, format!("{FIXED}172.19.0.3\tc\nfd00::3\tc\n"));
        remove(&mut text, &second);
        assert_eq!(text, FIXED);
    }

    #[test]
    fn a_link_names_alias_id_and_container_and_follows_its_target() {
        let named = HostsRecord::link("database", "ccb7c9020a3a", "db", ip("172.17.0.2"));
        let plain = HostsRecord::link("db", "ccb7c9020a3a", "db", ip("172.17.0.2"));
        let mut text = build(HostsStyle::Docker20_10, &[named, plain]);
        let lines = |at: &str| format!("{FIXED}{at}\tdatabase ccb7c9020a3a db\n{at}\tdb ccb7c9020a3a\n");
        assert_eq!(text, lines("172.17.0.2"));
        update_address(&mut text, "database", ip("172.17.0.9"));
        update_address(&mut text, "db", ip("172.17.0.9"));
        update_address(&mut text, "data", ip("172.17.0.1"));
        assert_eq!(text, lines("172.17.0.9"));
    }

    #[test]
    fn the_host_network_keeps_the_hosts_file_unless_something_is_added() {
        let style = HostsStyle::Docker20_10;
        assert_eq!(build_for_host_network("1.2.3.4 me\n", style, &[]), "1.2.3.4 me\n");
        let extra = [HostsRecord::extra("a", ip("10.0.0.1"))];
        assert_eq!(build_for_host_network("1.2.3.4 me\n", style, &extra), format!("{FIXED}10.0.0.1\ta\n"));
    }

    #[test]
    fn names_and_addresses_are_found_in_any_file() {
        let text = "# 10.0.0.9 web\n10.0.0.1 web www # first\n  10.0.0.2\tWEB\nbad web\n10.0.0.3\n";
        assert_eq!(lookup(text, "Web"), [ip("10.0.0.1"), ip("10.0.0.2")]);
        assert_eq!(lookup_address(text, ip("10.0.0.1")), Some("web"));
        assert_eq!(lookup(text, "first"), Vec::<IpAddr>::new());
        assert_eq!(lookup_address(text, ip("10.0.0.3")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn removing_what_was_added_restores_the_text(before in "([0-9a-z.#\t ]{0,20}\n){0,5}", host in "[a-z]{3,9}-") {
            let records = [HostsRecord::own(&host, "", ip("192.0.2.77"))];
            let mut text = before.clone();
            add(&mut text, &records);
            prop_assert_eq!(lookup(&text, &host), vec![ip("192.0.2.77")]);
            remove(&mut text, &records);
            prop_assert_eq!(text, before);
        }
    }
}
