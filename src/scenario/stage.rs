//! Reading linkspan's own part: hosts, world, daemon, client, images.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::diagnostic::{Diagnostic, Diagnostics, Spanned, did_you_mean};
use super::keys::{boolean, integer, number};
use super::model::{
    Client, ClientProxy, DnsData, DnsRecord, Host, ImageSpec, LinkEnd, ListenPort, Machine, Nic, Profile,
    Protocol, Proxy, Route, World, WorldLink,
};
use super::read::{
    ADDRESS_FORM, MAX_PORTS, NETWORK_FORM, pairs, parsed, parsed_list, scalars, settings, texts,
};
use super::service::{command, read_expose};
use super::steps::duration;
use super::yaml::{Entry, Node, Value};
use crate::docker::client::ClientVersion;

const INTERFACE_FORM: &str = "an address with its prefix length, as 203.0.113.10/24";
const MAC_FORM: &str = "a MAC address, as 02:42:ac:11:00:02";
/// RFC 791 and RFC 8200 say 68 and 1280; the largest IP packet is 65535.
const MTU: std::ops::RangeInclusive<i64> = 68..=65_535;

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::text).map(|text| text.into_owned())
}

fn flag(node: &Node, key: &str) -> Option<bool> {
    node.get(key).and_then(boolean)
}

fn name_of(entry: &Entry) -> Spanned<String> {
    Spanned::new(entry.key.clone(), entry.key_span)
}

/// A whole number within bounds.
fn within(
    node: Option<&Node>,
    range: std::ops::RangeInclusive<i64>,
    diagnostics: &mut Diagnostics,
) -> Option<u32> {
    let node = node?;
    let value = integer(node)?;
    if range.contains(&value) {
        return u32::try_from(value).ok();
    }
    let message = format!("{value} is out of range: expected {} to {}", range.start(), range.end());
    diagnostics.error(node.span, message);
    None
}

/// Reads `hosts:`.
pub(super) fn hosts(node: &Node, diagnostics: &mut Diagnostics) -> Vec<Host> {
    if let Some(second) = node.entries().get(1) {
        diagnostics.push(
            Diagnostic::error(second.key_span, "several hosts are not supported yet")
                .label("second host")
                .help("keep one host; other machines go under `world: {machines: ...}`".to_owned()),
        );
    }
    node.entries().iter().map(|entry| host(entry, diagnostics)).collect()
}

fn host(entry: &Entry, diagnostics: &mut Diagnostics) -> Host {
    let node = &entry.value;
    let resolv_conf = text(node, "resolv_conf").or_else(|| {
        let servers: Vec<IpAddr> = parsed_list(node.get("dns"), ADDRESS_FORM, diagnostics);
        node.get("dns").map(|_| servers.iter().map(|server| format!("nameserver {server}\n")).collect())
    });
    let rules = scalars(node.get("rules"))
        .into_iter()
        .filter_map(|rule| {
            let line = rule.text()?;
            let line = line.trim();
            let line = line.strip_prefix("iptables ").map_or(line, str::trim_start);
            Some(Spanned::new(line.to_owned(), rule.span))
        })
        .collect();
    Host {
        name: name_of(entry),
        nics: node
            .get("nics")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|e| nic(e, diagnostics))
            .collect(),
        routes: routes(node.get("routes"), diagnostics),
        resolv_conf,
        ip_forward: flag(node, "ip_forward").unwrap_or(false),
        ephemeral_ports: node.get("ephemeral_ports").and_then(|range| ephemeral(range, diagnostics)),
        rules,
        sctp: flag(node, "sctp").unwrap_or(false),
        sysctls: settings(node.get("sysctls")),
    }
}

fn ephemeral(node: &Node, diagnostics: &mut Diagnostics) -> Option<(u16, u16)> {
    let range = node.text()?;
    let mut parts = range.split(|c: char| c == '-' || c.is_whitespace()).filter(|part| !part.is_empty());
    let pair = match (parts.next(), parts.next(), parts.next()) {
        (Some(low), Some(high), None) => low.parse::<u16>().ok().zip(high.parse::<u16>().ok()),
        _ => None,
    };
    match pair.filter(|(low, high)| *low > 0 && low <= high) {
        Some(pair) => Some(pair),
        None => {
            let message = format!("`{range}` is not a range of ports");
            diagnostics
                .push(Diagnostic::error(node.span, message).label("expected LOW-HIGH, as 32768-60999"));
            None
        }
    }
}

fn nic(entry: &Entry, diagnostics: &mut Diagnostics) -> Nic {
    let node = &entry.value;
    // IFNAMSIZ is 16 with the closing zero.
    if entry.key.is_empty() || entry.key.len() > 15 || entry.key.contains(['/', ' ', ':']) {
        diagnostics
            .error(entry.key_span, format!("`{}` is not an interface name: at most 15 letters", entry.key));
    }
    let mut addresses: Vec<IpNet> = parsed_list(node.get("addresses"), INTERFACE_FORM, diagnostics);
    addresses.extend(parsed::<IpNet>(node.get("address"), INTERFACE_FORM, diagnostics));
    Nic {
        name: name_of(entry),
        addresses,
        gateway: parsed(node.get("gateway"), ADDRESS_FORM, diagnostics),
        lan: text(node, "lan"),
        mtu: within(node.get("mtu"), MTU, diagnostics),
        mac: parsed(node.get("mac"), MAC_FORM, diagnostics),
    }
}

/// Routes as `NETWORK [via ADDRESS] [dev NAME]` or as mappings.
fn routes(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<Route> {
    let mut all = Vec::new();
    for item in node.map(Node::items).unwrap_or_default() {
        let line = item.text().map(|text| text.into_owned()).unwrap_or_else(|| {
            let part = |key: &str| text(item, key).map(|value| format!(" {key} {value}")).unwrap_or_default();
            format!("{}{}{}", text(item, "to").unwrap_or_default(), part("via"), part("dev"))
        });
        match route(&line) {
            Some((to, via, dev)) => all.push(Route { to, via, dev, span: item.span }),
            None => diagnostics.push(
                Diagnostic::error(item.span, format!("`{line}` is not a route"))
                    .label("expected NETWORK|default [via ADDRESS] [dev NAME]"),
            ),
        }
    }
    all
}

type RouteParts = (Option<IpNet>, Option<IpAddr>, Option<String>);

fn route(line: &str) -> Option<RouteParts> {
    let mut words = line.split_whitespace();
    let to = match words.next()? {
        "default" => None,
        word => Some(word.parse().or_else(|_| word.parse::<IpAddr>().map(IpNet::from)).ok()?),
    };
    let (mut via, mut dev) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "via" if via.is_none() => via = Some(words.next()?.parse().ok()?),
            "dev" if dev.is_none() => dev = Some(words.next()?.to_owned()),
            _ => return None,
        }
    }
    (via.is_some() || dev.is_some()).then_some((to, via, dev))
}

/// Reads `world:`.
pub(super) fn world(node: &Node, diagnostics: &mut Diagnostics) -> World {
    let entries = |key: &str| node.get(key).map(Node::entries).unwrap_or_default();
    let machines: Vec<Machine> = entries("machines").iter().map(|e| machine(e, diagnostics)).collect();
    let links = entries("links").iter().map(|e| link(e, diagnostics)).collect();
    let mut records = Vec::new();
    if let Some(dns) = node.get("dns") {
        for entry in dns.get("records").map(Node::entries).unwrap_or_default() {
            record(&entry.key, entry, &mut records, diagnostics);
        }
        for zone in dns.get("zones").map(Node::entries).unwrap_or_default() {
            for entry in zone.value.entries() {
                let name =
                    if entry.key == "@" { zone.key.clone() } else { format!("{}.{}", entry.key, zone.key) };
                record(&name, entry, &mut records, diagnostics);
            }
        }
    }
    let names: BTreeSet<&str> = machines.iter().map(|machine| machine.name.value.as_str()).collect();
    let mut proxies = Vec::new();
    for entry in entries("proxies") {
        let Some(place) = entry.value.get("machine") else { continue };
        let machine = place.text().unwrap_or_default().into_owned();
        if !names.contains(machine.as_str()) {
            let message = format!("there is no machine `{machine}` under `world.machines`");
            let help = did_you_mean(&machine, names.iter().copied());
            diagnostics.push(Diagnostic::error(place.span, message).help(help));
        }
        let port = within(entry.value.get("port"), 1..=65_535, diagnostics).unwrap_or(3128);
        let taken = |open: &ListenPort| open.protocol == Protocol::Tcp && u32::from(open.port) == port;
        let on_it = machines.iter().find(|other| other.name.value == machine);
        let listens = on_it.is_some_and(|on_it| {
            on_it.listen.iter().chain(on_it.serves.iter().map(|(port, _)| port)).any(taken)
        });
        if listens {
            let message = format!("port {port} of the machine `{machine}` is the proxy's");
            let help = "take it out of the machine's `listen` and `serves`, or give the proxy another `port`";
            diagnostics.push(Diagnostic::error(place.span, message).help(help.to_owned()));
        }
        proxies.push(Proxy {
            name: name_of(entry),
            machine: Spanned::new(machine, place.span),
            port: u16::try_from(port).unwrap_or(3128),
        });
    }
    World { machines, links, records, proxies }
}

fn machine(entry: &Entry, diagnostics: &mut Diagnostics) -> Machine {
    let node = &entry.value;
    let mut addresses = Vec::new();
    for item in scalars(node.get("addresses")).into_iter().chain(node.get("address")) {
        let text = item.text().unwrap_or_default();
        match text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(address) => addresses.push(address),
            Err(_) => diagnostics
                .error(item.span, format!("`{text}` is not an address, as 198.51.100.7 or 192.168.50.7/24")),
        }
    }
    if addresses.is_empty() {
        let message = format!("the machine `{}` has no address", entry.key);
        diagnostics.push(Diagnostic::error(entry.key_span, message).label("`addresses` is missing"));
    }
    Machine {
        name: name_of(entry),
        addresses,
        gateway: parsed(node.get("gateway"), ADDRESS_FORM, diagnostics),
        lan: text(node, "lan"),
        names: texts(node.get("names")),
        listen: read_expose(node.get("listen"), &mut MAX_PORTS.clone(), diagnostics),
        serves: serves(node.get("serves"), diagnostics),
        dns_server: flag(node, "dns_server").unwrap_or(false),
        dns: parsed_list(node.get("dns"), ADDRESS_FORM, diagnostics),
        routes: routes(node.get("routes"), diagnostics),
    }
}

fn serves(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<(ListenPort, String)> {
    let mut all = Vec::new();
    for entry in node.map(Node::entries).unwrap_or_default() {
        match super::ports::exposed(&entry.key) {
            Ok(ports) => {
                let answer = entry.value.text().unwrap_or_default();
                all.extend(ports.into_iter().take(1).map(|port| (port, answer.clone().into_owned())));
            }
            Err(message) => diagnostics.error(entry.key_span, message),
        }
    }
    all
}

fn link(entry: &Entry, diagnostics: &mut Diagnostics) -> WorldLink {
    let node = &entry.value;
    let mut ends = Vec::new();
    for text in texts(node.get("between")) {
        match link_end(&text) {
            Some(end) => ends.push(end),
            None => {
                let message = format!(
                    "a link cannot end at `{text}`: links of containers are not supported in this release"
                );
                let help = "expected host, host:CARD, lan:NAME or world:NAME".to_owned();
                diagnostics
                    .push(Diagnostic::error(node.get("between").map(|node| node.span), message).help(help));
                ends.push(LinkEnd::Host(None));
            }
        }
    }
    let between = match (node.get("between"), <[LinkEnd; 2]>::try_from(ends)) {
        (Some(_), Ok([a, b])) => Some((a, b)),
        (Some(between), Err(_)) => {
            diagnostics.error(between.span, "a link has two ends");
            None
        }
        (None, _) => None,
    };
    let mut time = |key: &str| {
        let Some(value) = node.get(key) else { return Duration::ZERO };
        match duration(&value.text().unwrap_or_default()) {
            Ok(time) => time,
            Err(message) => {
                diagnostics.error(value.span, message);
                Duration::ZERO
            }
        }
    };
    let (delay, jitter) = (time("delay"), time("jitter"));
    let mut share = |key: &str| node.get(key).map_or(0.0, |value| read_share(value, diagnostics));
    let (loss, duplicate, reorder) = (share("loss"), share("duplicate"), share("reorder"));
    if share("corrupt") > 0.0 {
        let span = node.get("corrupt").map(|value| value.span);
        diagnostics.error(span, "links that corrupt packets are not supported in this release");
    }
    WorldLink {
        name: name_of(entry),
        between,
        delay,
        jitter,
        rate: node.get("rate").and_then(|value| rate(value, diagnostics)),
        loss,
        duplicate,
        reorder,
        queue: within(node.get("queue"), 1..=1_000_000, diagnostics),
        mtu: within(node.get("mtu"), MTU, diagnostics),
        down: flag(node, "down").unwrap_or(false),
    }
}

/// `None`: it would be a container.
fn link_end(text: &str) -> Option<LinkEnd> {
    Some(match text.split_once(':') {
        Some(("host", nic)) => LinkEnd::Host(Some(nic.to_owned())),
        Some(("lan", name)) => LinkEnd::Lan(name.to_owned()),
        Some(("world", name)) => LinkEnd::World(name.to_owned()),
        None if text == "host" => LinkEnd::Host(None),
        _ => return None,
    })
}

/// `1%`, or a number of percent.
fn read_share(node: &Node, diagnostics: &mut Diagnostics) -> f64 {
    let text = node.text().unwrap_or_default();
    let percent = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok().or_else(|| number(node));
    match percent.filter(|percent| (0.0..=100.0).contains(percent)) {
        Some(percent) => percent / 100.0,
        None => {
            let message = format!("`{text}` is not a share of packets");
            diagnostics.push(Diagnostic::error(node.span, message).label("expected 0% to 100%"));
            0.0
        }
    }
}

/// tc's units: bit, kbit, mbit, gbit per second.
fn rate(node: &Node, diagnostics: &mut Diagnostics) -> Option<u64> {
    let text = node.text()?.to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit = match text[digits..].trim().trim_end_matches("/s").trim_end_matches("ps") {
        "bit" => Some(1.0),
        "kbit" => Some(1e3),
        "mbit" => Some(1e6),
        "gbit" => Some(1e9),
        _ => None,
    };
    let bits = text[..digits].parse::<f64>().ok().zip(unit).map(|(number, unit)| number * unit);
    match bits.filter(|bits| (1.0..=1e15).contains(bits)) {
        Some(bits) => Some(bits as u64),
        None => {
            let message = format!("`{text}` is not a rate");
            diagnostics.push(
                Diagnostic::error(node.span, message).label("expected a number with bit, kbit, mbit or gbit"),
            );
            None
        }
    }
}

fn record(name: &str, entry: &Entry, records: &mut Vec<DnsRecord>, diagnostics: &mut Diagnostics) {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let node = &entry.value;
    let ttl = within(node.get("ttl"), 0..=i64::from(i32::MAX), diagnostics);
    let span = entry.key_span;
    let mut add = |data| records.push(DnsRecord { name: name.clone(), data, ttl, span });
    let plain = if node.entries().is_empty() { Some(node) } else { None };
    let v4: Vec<std::net::Ipv4Addr> =
        parsed_list(node.get("a"), "an IPv4 address, as 198.51.100.7", diagnostics);
    let v6: Vec<std::net::Ipv6Addr> =
        parsed_list(node.get("aaaa"), "an IPv6 address, as 2001:db8::7", diagnostics);
    let any: Vec<IpAddr> = parsed_list(plain, ADDRESS_FORM, diagnostics);
    any.into_iter().for_each(|address| add(DnsData::Address(address)));
    v4.into_iter().for_each(|address| add(DnsData::Address(address.into())));
    v6.into_iter().for_each(|address| add(DnsData::Address(address.into())));
    text(node, "cname")
        .into_iter()
        .for_each(|name| add(DnsData::Alias(name.trim_end_matches('.').to_ascii_lowercase())));
    texts(node.get("txt")).into_iter().for_each(|text| add(DnsData::Text(text)));
}

/// Refuses values of `daemon:` that have dockerd's types and mean nothing to it.
pub(super) fn judge_daemon(node: &Node, diagnostics: &mut Diagnostics) {
    // What is no text has been refused already.
    let text_of = |key: &str| node.get(key).filter(|value| matches!(value.value, Value::String(_)));
    for key in ["bip", "bip6", "fixed-cidr", "fixed-cidr-v6"] {
        parsed::<IpNet>(text_of(key), NETWORK_FORM, diagnostics);
    }
    for pool in node.get("default-address-pools").map(Node::items).unwrap_or_default() {
        if let Some(base) = parsed::<IpNet>(pool.get("base"), NETWORK_FORM, diagnostics) {
            let range = i64::from(base.prefix_len())..=i64::from(base.max_prefix_len());
            within(pool.get("size"), range, diagnostics);
        }
    }
    within(node.get("mtu"), 0..=65_535, diagnostics);
}

/// The engine's version in `daemon:`, when said.
pub(super) fn profile(daemon: &Node) -> Option<Profile> {
    daemon.get("profile").and_then(Node::text).and_then(|text| match text.as_ref() {
        // YAML reads an unquoted 20.10 as the number 20.1.
        "20" | "20.1" | "20.10" => Some(Profile::Docker20_10),
        "28" => Some(Profile::Docker28),
        "29" => Some(Profile::Docker29),
        _ => None,
    })
}

/// Reads `client:`.
pub(super) fn client(node: &Node) -> Client {
    let proxies = node.get("proxies").map(Node::entries).unwrap_or_default();
    let proxy = |node: &Node| ClientProxy {
        http: text(node, "httpProxy"),
        https: text(node, "httpsProxy"),
        no: text(node, "noProxy"),
        ftp: text(node, "ftpProxy"),
        all: text(node, "allProxy"),
    };
    // A number loses its last zero: 20.10 without quotes is 20.1.
    let version = match text(node, "version").as_deref() {
        Some("20.10" | "20.1") => ClientVersion::V20_10,
        _ => ClientVersion::default(),
    };
    let proxies = proxies.iter().map(|entry| (entry.key.clone(), proxy(&entry.value))).collect();
    Client { version, proxies }
}

/// Reads `images:`.
pub(super) fn images(node: &Node, diagnostics: &mut Diagnostics) -> BTreeMap<String, ImageSpec> {
    let mut all = BTreeMap::new();
    for entry in node.entries() {
        let node = &entry.value;
        let mut budget = MAX_PORTS;
        let serves = serves(node.get("serves"), diagnostics);
        let mut listen = node.get("listen").map(|list| read_expose(Some(list), &mut budget, diagnostics));
        if !serves.is_empty() {
            let list = listen.get_or_insert_default();
            for (port, _) in &serves {
                if !list.contains(port) {
                    list.push(*port);
                }
            }
        }
        let spec = ImageSpec {
            expose: match node.get("expose") {
                Some(list) => read_expose(Some(list), &mut budget, diagnostics),
                None => listen.clone().unwrap_or_default(),
            },
            listen,
            serves,
            environment: pairs(node.get("env"))
                .into_iter()
                .map(|(k, v)| (k, v.unwrap_or_default()))
                .collect(),
            command: node.get("command").and_then(command),
            entrypoint: node.get("entrypoint").and_then(command),
        };
        all.insert(entry.key.clone(), spec);
    }
    all
}
