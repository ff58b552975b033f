//! A container's `/etc/resolv.conf`, byte for byte as the engine derives it from the host's file, and the reading
//! of that file by the programs inside (resolv.conf(5)).
//!
//! 20.10 copies or rebuilds plain lines (`search`, `nameserver`, `options`); 28 parses the host's file and writes
//! it anew (`nameserver`, `search`, `options`, anything else) between comments. On a user-defined network both
//! name 127.0.0.11 only, keep the real servers for the embedded resolver, and add `ndots:0` unless `ndots` is set.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::dns::RESOLVER_ADDRESS;
use super::names::{ExternalServer, ServerOrigin};

/// Which release's file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolvConfStyle {
    /// 20.10.
    Docker20_10,
    /// 28.
    Docker28,
}

/// The file the container's is derived from.
#[derive(Debug, Clone, Copy)]
pub struct HostFile<'a> {
    /// Its path, which 28 writes into a comment.
    pub path: &'a str,
    /// Its text; empty when there is no file.
    pub text: &'a str,
}

/// `--dns`, `--dns-search` and `--dns-option`, or the daemon's defaults for them; each replaces one class of lines.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Servers.
    pub servers: Vec<IpAddr>,
    /// Search domains; `.` alone removes them.
    pub search: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

/// The network the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The default bridge, which has no embedded resolver.
    DefaultBridge {
        /// Whether the endpoint has an IPv6 address.
        ipv6: bool,
    },
    /// A network with the embedded resolver.
    UserDefined {
        /// Whether the endpoint has an IPv6 address.
        ipv6: bool,
    },
    /// The host's own network.
    Host,
    /// No network.
    None,
}

/// The file and what the embedded resolver takes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The file.
    pub text: String,
    /// The servers to forward to, on a network with the embedded resolver.
    pub servers: Vec<ExternalServer>,
    /// Whether the user or the host set `ndots`.
    pub ndots_set: bool,
}

const DEFAULT_V4: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
const DEFAULT_V6: [&str; 2] = ["2001:4860:4860::8888", "2001:4860:4860::8844"];

/// Where to read the host's servers: a file that names only systemd-resolved's stub is passed over for the one
/// systemd-resolved writes with the real servers.
pub fn host_file_path(etc_text: &str) -> &'static str {
    match legacy::servers(etc_text).as_slice() {
        [IpAddr::V4(only)] if *only == Ipv4Addr::new(127, 0, 0, 53) => "/run/systemd/resolve/resolv.conf",
        _ => "/etc/resolv.conf",
    }
}

/// Writes a container's file.
pub fn generate(
    style: ResolvConfStyle,
    host: HostFile<'_>,
    overrides: &Overrides,
    placement: Placement,
) -> Generated {
    match style {
        ResolvConfStyle::Docker20_10 if placement == Placement::Host && overrides.is_empty() => {
            Generated { text: host.text.to_owned(), servers: Vec::new(), ndots_set: false }
        }
        ResolvConfStyle::Docker20_10 => legacy::generate(host.text, overrides, placement),
        ResolvConfStyle::Docker28 => current::generate(host, overrides, placement),
    }
}

impl Overrides {
    fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.search.is_empty() && self.options.is_empty()
    }
}

fn external(address: IpAddr, origin: ServerOrigin) -> Option<ExternalServer> {
    (address != IpAddr::V4(RESOLVER_ADDRESS))
        .then(|| ExternalServer { address: SocketAddr::new(address, 53), origin })
}

fn owned<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.map(str::to_owned).collect()
}

/// The rules of 20.10.
mod legacy {
    use super::*;

    pub(super) fn generate(host: &str, overrides: &Overrides, placement: Placement) -> Generated {
        let origin = if overrides.servers.is_empty() { ServerOrigin::Host } else { ServerOrigin::Option };
        let created = if overrides.is_empty() {
            filter(host, true)
        } else {
            let pick =
                |given: &Vec<String>, host: Vec<String>| if given.is_empty() { host } else { given.clone() };
            let nameservers =
                if overrides.servers.is_empty() { servers(host) } else { overrides.servers.clone() };
            build(
                &nameservers,
                &pick(&overrides.search, search(host)),
                &pick(&overrides.options, options(host)),
            )
        };
        let plain = |text| Generated { text, servers: Vec::new(), ndots_set: false };
        match placement {
            Placement::DefaultBridge { ipv6 } if overrides.is_empty() => plain(filter(&created, ipv6)),
            Placement::DefaultBridge { .. } | Placement::Host | Placement::None => plain(created),
            Placement::UserDefined { ipv6 } => {
                let mut asked = servers(if overrides.is_empty() { host } else { &created });
                if !asked.iter().any(IpAddr::is_ipv4) {
                    asked = servers(&created);
                }
                let servers =
                    asked.into_iter().filter(IpAddr::is_ipv4).filter_map(|ip| external(ip, origin)).collect();
                let own = if overrides.is_empty() { filter(&created, ipv6) } else { created };
                let (text, ndots_set) = rebuild(&own);
                Generated { text, servers, ndots_set }
            }
        }
    }

    /// Names the embedded resolver instead of the IPv4 servers. With an `ndots` that is no number the engine
    /// leaves the file alone.
    fn rebuild(created: &str) -> (String, bool) {
        let mut options = options(created);
        let ndots = options.iter().find(|option| option.contains("ndots"));
        let ndots_set = ndots.is_some();
        match ndots.map(|option| option.split(':').collect::<Vec<_>>()).as_deref() {
            None => options.push("ndots:0".to_owned()),
            Some([_, value]) if value.parse::<u32>().is_ok() => {}
            Some(_) => return (created.to_owned(), false),
        }
        let ipv6 = servers(created).into_iter().filter(IpAddr::is_ipv6);
        let list: Vec<IpAddr> = std::iter::once(IpAddr::V4(RESOLVER_ADDRESS)).chain(ipv6).collect();
        (build(&list, &search(created), &options), ndots_set)
    }

    fn build(servers: &[IpAddr], search: &[String], options: &[String]) -> String {
        let mut text = String::new();
        let joined = search.join(" ");
        if !matches!(joined.trim(), "" | ".") {
            text.push_str(&format!("search {joined}\n"));
        }
        for server in servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !options.is_empty() {
            text.push_str(&format!("options {}\n", options.join(" ")));
        }
        text
    }

    /// Takes the loopback servers (and the IPv6 ones) out of the text, each with the white space after it, and
    /// appends the default servers if none is left.
    fn filter(text: &str, ipv6: bool) -> String {
        let mut kept = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            let unwanted = line
                .strip_prefix("nameserver")
                .filter(|tail| tail.starts_with([' ', '\t']))
                .and_then(|tail| tail.trim().parse::<IpAddr>().ok())
                .is_some_and(|ip| ip.is_loopback() || (ip.is_ipv6() && !ipv6));
            if unwanted {
                rest = after.trim_start();
            } else {
                kept.push_str(line);
                rest = after;
            }
        }
        if servers(&kept).is_empty() {
            for server in DEFAULT_V4.iter().chain(DEFAULT_V6.iter().filter(|_| ipv6)) {
                kept.push_str(&format!("\nnameserver {server}"));
            }
        }
        kept
    }

    pub(super) fn servers(text: &str) -> Vec<IpAddr> {
        directives(text, "nameserver").filter_map(|mut words| words.next()?.parse().ok()).collect()
    }

    fn search(text: &str) -> Vec<String> {
        directives(text, "search").last().map(owned).unwrap_or_default()
    }

    fn options(text: &str) -> Vec<String> {
        directives(text, "options").last().map(owned).unwrap_or_default()
    }

    fn directives<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = std::str::SplitWhitespace<'a>> {
        text.lines().filter_map(move |line| {
            let mut words = line.split('#').next()?.split_whitespace();
            (words.next() == Some(name)).then_some(words)
        })
    }
}

/// The rules of 28.
mod current {
    use super::*;

    const HEADER: &str = "# Generated by Docker Engine.\n# This file can be edited; Docker Engine will not make \
                          further changes once it\n# has been modified.\n\n";

    #[derive(Default)]
    struct Parsed {
        servers: Vec<Server>,
        invalid: Vec<String>,
        search: Vec<String>,
        options: Vec<String>,
        other: Vec<String>,
    }

    /// A server as written: an IPv6 address may have a zone.
    struct Server {
        address: IpAddr,
        shown: String,
    }

    pub(super) fn generate(host: HostFile<'_>, overrides: &Overrides, placement: Placement) -> Generated {
        let mut file = parse(host.text);
        let mut ndots_from = option(&file.options, "ndots").map(|_| "host");
        let mut replaced = Vec::new();
        if !overrides.servers.is_empty() {
            file.servers = overrides.servers.iter().map(|address| Server::from(*address)).collect();
            replaced.push("nameservers");
        }
        if !overrides.search.is_empty() {
            file.search = overrides.search.iter().filter(|domain| *domain != ".").cloned().collect();
            replaced.push("search");
        }
        if !overrides.options.is_empty() {
            file.options = overrides.options.clone();
            ndots_from = option(&file.options, "ndots").map(|_| "override");
            replaced.push("options");
        }
        let mut notes = String::new();
        let mut servers = Vec::new();
        let mut ndots_set = false;
        let transform = match placement {
            Placement::Host | Placement::None => "",
            Placement::DefaultBridge { ipv6 } => {
                if overrides.servers.is_empty() {
                    file.servers
                        .retain(|server| !server.address.is_loopback() && (ipv6 || server.address.is_ipv4()));
                    if file.servers.is_empty() {
                        let defaults = DEFAULT_V4.iter().chain(DEFAULT_V6.iter().filter(|_| ipv6));
                        file.servers = defaults.filter_map(|text| Server::parse(text)).collect();
                        notes.push_str("# Used default nameservers.\n");
                    }
                }
                " (legacy)"
            }
            Placement::UserDefined { .. } => {
                file.options.retain(|option| ndots_valid(option));
                ndots_set = option(&file.options, "ndots").is_some();
                if !ndots_set {
                    file.options.push("ndots:0".to_owned());
                    ndots_from = Some("internal");
                }
                let outside =
                    std::mem::replace(&mut file.servers, vec![Server::from(IpAddr::V4(RESOLVER_ADDRESS))]);
                let origin =
                    if overrides.servers.is_empty() { ServerOrigin::Host } else { ServerOrigin::Option };
                servers = outside.iter().filter_map(|server| external(server.address, origin)).collect();
                notes.push_str(&external_note(&outside, origin));
                " (internal resolver)"
            }
        };
        if !file.invalid.is_empty() {
            notes.push_str(&format!("# Invalid nameservers: [{}]\n", file.invalid.join(" ")));
        }
        notes.push_str(&format!("# Overrides: [{}]\n", replaced.join(" ")));
        if let Some(from) = ndots_from {
            notes.push_str(&format!("# Option ndots from: {from}\n"));
        }
        let body = file.emit();
        let text = format!("{HEADER}{body}\n# Based on host file: '{}'{transform}\n{notes}", host.path);
        Generated { text, servers, ndots_set }
    }

    impl Parsed {
        fn emit(&self) -> String {
            let mut text: String =
                self.servers.iter().map(|server| format!("nameserver {}\n", server.shown)).collect();
            if !self.search.is_empty() {
                text.push_str(&format!("search {}\n", self.search.join(" ")));
            }
            if !self.options.is_empty() {
                text.push_str(&format!("options {}\n", self.options.join(" ")));
            }
            if !self.other.is_empty() {
                text.push_str(&format!("{}\n", self.other.join("\n")));
            }
            text
        }
    }

    impl Server {
        fn parse(text: &str) -> Option<Self> {
            let (bare, zone) = match text.split_once('%') {
                Some((bare, zone)) if !zone.is_empty() => (bare.parse::<Ipv6Addr>().ok()?.into(), Some(zone)),
                Some(_) => return None,
                None => (text.parse::<IpAddr>().ok()?, None),
            };
            let shown = zone.map_or_else(|| bare.to_string(), |zone| format!("{bare}%{zone}"));
            Some(Self { address: bare, shown })
        }
    }

    impl From<IpAddr> for Server {
        fn from(address: IpAddr) -> Self {
            Self { address, shown: address.to_string() }
        }
    }

    fn parse(text: &str) -> Parsed {
        let mut parsed = Parsed::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let Some(first) = words.next().filter(|word| !word.starts_with(['#', ';'])) else { continue };
            let rest = owned(words);
            match (first, rest.first()) {
                ("nameserver", Some(address)) => match Server::parse(address) {
                    Some(server) => parsed.servers.push(server),
                    None => parsed.invalid.push(address.clone()),
                },
                ("domain" | "search", Some(_)) => parsed.search = rest,
                ("options", Some(_)) => parsed.options.extend(rest),
                ("nameserver" | "domain" | "search" | "options", None) => {}
                _ => parsed.other.push(line.to_owned()),
            }
        }
        parsed
    }

    fn external_note(servers: &[Server], origin: ServerOrigin) -> String {
        if servers.is_empty() {
            return "# NO EXTERNAL NAMESERVERS DEFINED\n".to_owned();
        }
        let shown: Vec<String> = servers
            .iter()
            .map(|server| match origin {
                ServerOrigin::Host => format!("host({})", server.shown),
                ServerOrigin::Option => server.shown.clone(),
            })
            .collect();
        format!("# ExtServers: [{}]\n", shown.join(" "))
    }

    fn option<'a>(options: &'a [String], name: &str) -> Option<&'a str> {
        options
            .iter()
            .rev()
            .map(|option| option.split_once(':').unwrap_or((option, "")))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    fn ndots_valid(option: &str) -> bool {
        let (key, value) = option.split_once(':').unwrap_or((option, ""));
        key != "ndots" || value.parse::<u32>().is_ok()
    }
}

/// What a program's stub resolver reads from the file (resolv.conf(5), with glibc's limits).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StubConfig {
    /// At most three servers; 127.0.0.1 when the file names none.
    pub nameservers: Vec<IpAddr>,
    /// The search list.
    pub search: Vec<String>,
    /// Names with fewer dots go through the search list first; 0 to 15.
    pub ndots: u32,
    /// How long one server has; 1 to 30 s.
    pub timeout: Duration,
    /// Rounds through the servers; 1 to 5.
    pub attempts: u32,
    /// Whether queries go by TCP (`use-vc`).
    pub use_tcp: bool,
}

impl StubConfig {
    /// Reads the file; what is not understood is passed over.
    pub fn parse(text: &str) -> Self {
        let mut config = Self {
            nameservers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            use_tcp: false,
        };
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if config.nameservers.len() < 3 => {
                    config.nameservers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                Some("search") => config.search = owned(words),
                Some("domain") => config.search = owned(words.take(1)),
                Some("options") => words.for_each(|option| config.apply(option)),
                _ => {}
            }
        }
        if config.nameservers.is_empty() {
            config.nameservers.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        config
    }

    fn apply(&mut self, option: &str) {
        let (key, value) = option.split_once(':').unwrap_or((option, ""));
        match (key, value.parse::<u32>()) {
            ("ndots", Ok(value)) => self.ndots = value.min(15),
            ("timeout", Ok(value)) => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            ("attempts", Ok(value)) => self.attempts = value.clamp(1, 5),
            ("use-vc", _) => self.use_tcp = true,
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "resolv_conf_tests.rs"]
mod tests;
