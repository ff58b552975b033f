//! From the merged tree to the typed [`Scenario`]: the whole is put together and judged here; services and linkspan's
//! own part are read by their own files.
//!
//! [`validate`] has already refused unknown keys and wrong types, so the readers here only judge values. A value that
//! cannot be read is reported and left out, so that one mistake does not hide the next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use super::build;
use super::causes::KeySpans;
use super::contradictions;
use super::daemon_json;
use super::diagnostic::{Diagnostic, Diagnostics, SourceMap, Span, Spanned, did_you_mean};
use super::keys::linkspan::TOP;
use super::keys::{Shape, boolean, validate};
use super::load::Loader;
use super::model::{Driver, LinkEnd, Network, NetworkMode, Pool, Scenario, Service, order};
use super::refusals;
use super::service::read_service;
use super::stage;
use super::steps::{Action, Event, read_checks, read_steps};
use super::targets;
use super::tasks::read_tasks;
use super::translate::external;
use super::yaml::{Node, Value};
use crate::docker::drivers;

/// Judges and reads a complete tree.
pub(super) fn scenario(
    loader: &mut Loader<'_>,
    path: &Path,
    tree: &Node,
    profiles: &[String],
    may_be_empty: bool,
    own_programs: &[String],
) -> Scenario {
    let mut ignored = Vec::new();
    validate(tree, &Shape::Object(&TOP), &mut loader.diagnostics, &mut ignored);
    let empty = Node::new(Value::Null, tree.span);
    let daemon = tree.get("daemon").unwrap_or(&empty);
    let readable = daemon_json::judge(daemon, &loader.sources, &mut loader.diagnostics);
    let section = |key: &str| tree.get(key).map(Node::entries).unwrap_or_default();

    let mut elsewhere = Elsewhere::default();
    let mut services = Vec::new();
    let mut budget = MAX_PORTS;
    for entry in section("services") {
        check_name(&entry.key, entry.key_span, "service", &mut loader.diagnostics);
        if let Some(provider) = entry.value.get("provider") {
            let message = format!("service `{}` is run by a provider, outside of Docker", entry.key);
            let label = "linkspan has no container for it";
            loader.diagnostics.push(Diagnostic::warning(provider.span, message).label(label));
            elsewhere.provided.insert(entry.key.clone());
            continue;
        }
        let wanted = texts(entry.value.get("profiles"));
        if !wanted.is_empty()
            && !wanted.iter().any(|name| profiles.contains(name) || profiles.iter().any(|p| p == "*"))
        {
            elsewhere.inactive.insert(entry.key.clone(), wanted);
            continue;
        }
        services.push(read_service(loader, entry, &mut budget));
    }
    let diagnostics = &mut loader.diagnostics;
    let mut networks: Vec<Network> = section("networks")
        .iter()
        .map(|entry| {
            check_name(&entry.key, entry.key_span, "network", diagnostics);
            let key = Spanned::new(entry.key.clone(), entry.key_span);
            read_network(key, &entry.value, &loader.project, diagnostics)
        })
        .collect();
    link_networks(&mut networks, &services, &loader.project, diagnostics);
    judge_services(&services, &elsewhere, &loader.project, diagnostics);

    let part = |key: &str| tree.get(key).unwrap_or(&empty);
    let scenario = Scenario {
        name: loader.project.clone(),
        file: path.to_path_buf(),
        hosts: stage::hosts(part("hosts"), diagnostics),
        world: stage::world(part("world"), diagnostics),
        daemon: daemon_json::read(&readable, &loader.sources, diagnostics),
        client: stage::client(part("client")),
        images: stage::images(part("images"), diagnostics),
        networks,
        services,
        steps: read_steps(part("steps"), diagnostics),
        checks: read_checks(part("checks"), diagnostics),
        text: tree.get("text").and_then(Node::text).map(|text| text.trim().to_owned()),
        tasks: read_tasks(part("tasks"), diagnostics),
        warnings: Vec::new(),
        ignored,
        key_spans: KeySpans::of(tree),
        sources: SourceMap::default(),
    };
    targets::judge(&scenario, diagnostics);
    judge_links(&scenario, diagnostics);
    contradictions::judge(&scenario, diagnostics);
    refusals::judge(&scenario, own_programs, diagnostics);
    if scenario.services.is_empty()
        && !may_be_empty
        && !diagnostics.has_errors()
        && ["steps", "checks"].iter().all(|key| tree.get(key).is_none_or(|part| part.items().is_empty()))
    {
        let error = Diagnostic::error(tree.span, "no services: there is nothing to run");
        let profile = elsewhere.inactive.values().flatten().next();
        diagnostics.push(error.help(match profile {
            Some(profile) => format!("every service is in a profile: activate one, as `--profile {profile}`"),
            None => "give it `services:`, or `steps:` with docker commands".to_owned(),
        }));
    }

    scenario
}

/// Links and the ends they name, and the links that events name.
fn judge_links(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    let (cards, machines) = (build::cards(scenario), build::machines(scenario));
    let mut judge = |name: &str, known: &[&str], what: &str, span: Span| {
        if !known.contains(&name) {
            let message = format!("there is no {what} `{name}`");
            let help = did_you_mean(name, known.iter().copied())
                .unwrap_or_else(|| format!("there is {}", known.join(", ")));
            diagnostics.push(Diagnostic::error(span, message).help(help));
        }
    };
    let mut ends = [cards.clone(), machines.clone()].concat();
    ends.extend(scenario.hosts.iter().map(|host| host.name.value.as_str()));
    for link in &scenario.world.links {
        let span = link.name.span;
        let Some((a, b)) = &link.between else {
            judge(&link.name.value, &ends, "card of the host or machine of `world`", span);
            continue;
        };
        for end in [a, b] {
            match end {
                LinkEnd::Host(Some(card)) => judge(card, &cards, "card of the host", span),
                LinkEnd::World(machine) => judge(machine, &machines, "machine of `world`", span),
                // A LAN is there once a card is plugged into it.
                LinkEnd::Host(None) | LinkEnd::Lan(_) => {}
            }
        }
    }
    ends.extend(scenario.world.links.iter().map(|link| link.name.value.as_str()));
    for step in &scenario.steps {
        if let Action::Event(Event::LinkDown(name) | Event::LinkUp(name)) = &step.action {
            judge(name, &ends, "link, card of the host or machine of `world`", step.span);
        }
    }
}

/// Most published or exposed ports one scenario may have; a range counts each of its ports.
pub(super) const MAX_PORTS: usize = 200_000;

fn check_name(name: &str, span: Span, what: &str, diagnostics: &mut Diagnostics) {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.is_empty() || !name.bytes().all(allowed) {
        let message = format!("`{name}` is not a name for a {what}");
        diagnostics
            .push(Diagnostic::error(span, message).label("expected letters, digits, `.`, `_` and `-`"));
    }
}

fn read_network(key: Spanned<String>, node: &Node, project: &str, diagnostics: &mut Diagnostics) -> Network {
    let flag = |name: &str| node.get(name).and_then(boolean);
    let text = |name: &str| node.get(name).and_then(Node::text).map(|text| text.into_owned());
    let external_node = node.get("external");
    let external = external_node.is_some_and(|node| boolean(node).unwrap_or(!node.entries().is_empty()));
    if external {
        for entry in node.entries() {
            if !matches!(entry.key.as_str(), "external" | "name") && !entry.key.starts_with("x-") {
                let message =
                    format!("network `{}` is external, so `{}` cannot be set", key.value, entry.key);
                diagnostics.push(
                    Diagnostic::error(entry.key_span, message)
                        .label("only `name` may stand beside `external`")
                        .help("remove it, or remove `external`".to_owned()),
                );
            }
        }
    }
    let old_name = external_node.and_then(|node| node.get("name")).and_then(Node::text);
    let name = text("name")
        .or_else(|| old_name.map(|name| name.into_owned()))
        .unwrap_or_else(|| if external { key.value.clone() } else { format!("{project}_{}", key.value) });
    let driver = node.get("driver").map_or(Driver::Bridge, |driver| read_driver(driver, diagnostics));
    let ipam = node.get("ipam");
    let inside = |name: &str| ipam.and_then(|ipam| ipam.get(name));
    Network {
        name,
        driver,
        driver_opts: settings(node.get("driver_opts")),
        attachable: flag("attachable").unwrap_or(false),
        enable_ipv4: flag("enable_ipv4"),
        enable_ipv6: flag("enable_ipv6"),
        external,
        internal: flag("internal").unwrap_or(false),
        ipam_driver: inside("driver").and_then(Node::text).map(|text| text.into_owned()),
        ipam_options: settings(inside("options")),
        pools: inside("config")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .map(|pool| read_pool(pool, diagnostics))
            .collect(),
        labels: settings(node.get("labels")),
        implicit: false,
        used: false,
        key,
    }
}

fn read_driver(node: &Node, diagnostics: &mut Diagnostics) -> Driver {
    let text = node.text().unwrap_or_default();
    let all = [
        ("bridge", Driver::Bridge),
        ("macvlan", Driver::Macvlan),
        ("ipvlan", Driver::Ipvlan),
        ("host", Driver::Host),
        ("null", Driver::None),
    ];
    let name = match text.as_ref() {
        "" | "default" => "bridge",
        "none" => "null",
        name => name,
    };
    let supported = || all.iter().filter(|(name, _)| drivers::Driver::is_supported(name));
    if let Some((_, driver)) = supported().find(|(known, _)| *known == name) {
        return *driver;
    }
    let known: Vec<&str> = supported().map(|(name, _)| *name).collect();
    let message = format!("the network driver `{name}` is not supported: expected {}", known.join(", "));
    let label = if name == "overlay" { "needs several hosts" } else { "not in this release" };
    let help = did_you_mean(name, known);
    diagnostics.push(Diagnostic::error(node.span, message).label(label).help(help));
    Driver::Bridge
}

fn read_pool(node: &Node, diagnostics: &mut Diagnostics) -> Pool {
    let mut network = |key| parsed::<ipnet::IpNet>(node.get(key), NETWORK_FORM, diagnostics);
    let subnet = network("subnet");
    let ip_range = network("ip_range");
    let gateway = parsed(node.get("gateway"), ADDRESS_FORM, diagnostics);
    let aux = node.get("aux_addresses").map(Node::entries).unwrap_or_default();
    let mut aux_addresses = Vec::new();
    for entry in aux {
        if let Some(address) = parsed(Some(&entry.value), ADDRESS_FORM, diagnostics) {
            aux_addresses.push((entry.key.clone(), address));
        }
    }
    if let (Some(subnet), Some(range)) = (subnet, ip_range)
        && !subnet.contains(&range)
        && let Some(node) = node.get("ip_range")
    {
        diagnostics.error(node.span, format!("{range} is not inside the subnet {subnet}"));
    }
    if let (Some(subnet), Some(address)) = (subnet, gateway)
        && !subnet.contains(&address)
        && let Some(node) = node.get("gateway")
    {
        diagnostics.error(node.span, format!("the gateway {address} is not inside the subnet {subnet}"));
    }
    Pool { subnet, ip_range, gateway, aux_addresses, span: node.span }
}

/// Resolves the networks services name, adds the implicit default, and refuses two networks of one name.
fn link_networks(
    networks: &mut Vec<Network>,
    services: &[Service],
    project: &str,
    diagnostics: &mut Diagnostics,
) {
    let mut index: BTreeMap<String, usize> =
        networks.iter().enumerate().map(|(i, network)| (network.key.value.clone(), i)).collect();
    for service in services {
        for attachment in service.attachments() {
            let name = &attachment.network;
            if let Some(at) = index.get(&name.value) {
                networks[*at].used = true;
                fixed_addresses(&networks[*at], attachment, diagnostics);
            } else if name.value == "default" {
                let mut implicit =
                    read_network(name.clone(), &Node::new(Value::Null, name.span), project, diagnostics);
                implicit.implicit = true;
                implicit.used = true;
                index.insert("default".to_owned(), networks.len());
                networks.push(implicit);
            } else {
                let message = format!(
                    "service `{}` names the network `{}`, which is not defined",
                    service.name.value, name.value
                );
                let help = did_you_mean(&name.value, index.keys().map(String::as_str))
                    .unwrap_or_else(|| format!("define it under `networks:`, as `{}:`", name.value));
                diagnostics
                    .push(Diagnostic::error(name.span, message).label("not under `networks:`").help(help));
            }
        }
    }
    for network in networks.iter().filter(|network| network.used && external::is_assumed(network)) {
        let message = format!(
            "the network `{}` is external: taken as made before by `{}`",
            network.key.value,
            external::command(services, network)
        );
        let help = "what it really is can be said in an override file, with `external: false`";
        let warning = Diagnostic::warning(network.key.span, message).label("declared here");
        diagnostics.push(warning.help(help.to_owned()));
    }
    let mut names: BTreeMap<&str, &Network> = BTreeMap::new();
    for network in networks.iter() {
        if let Some(first) = names.insert(&network.name, network) {
            let message = format!(
                "the networks `{}` and `{}` have the same name `{}`",
                first.key.value, network.key.value, network.name
            );
            diagnostics.push(Diagnostic::error(network.key.span, message).label("second one"));
        }
    }
}

/// A fixed address needs a subnet that covers it, as Docker demands of user-defined networks.
fn fixed_addresses(network: &Network, attachment: &super::model::Attachment, diagnostics: &mut Diagnostics) {
    let fixed = [attachment.ipv4_address.map(Into::into), attachment.ipv6_address.map(Into::into)];
    for address in fixed.into_iter().flatten() {
        let address: std::net::IpAddr = address;
        let covered =
            network.pools.iter().filter_map(|pool| pool.subnet).any(|subnet| subnet.contains(&address));
        if !network.external && !covered {
            let message =
                format!("the fixed address {address} is in no subnet of network `{}`", network.key.value);
            diagnostics.push(
                Diagnostic::error(attachment.address_span.unwrap_or(attachment.network.span), message)
                    .help("give the network `ipam: {config: [{subnet: ...}]}` that covers it".to_owned()),
            );
        }
    }
}

/// Services of the file that have no container.
#[derive(Default)]
struct Elsewhere {
    /// In no active profile, with the profiles they are in.
    inactive: BTreeMap<String, Vec<String>>,
    /// Run by a provider.
    provided: BTreeSet<String>,
}

/// Dependencies, links, shared namespaces, container names.
fn judge_services(services: &[Service], elsewhere: &Elsewhere, project: &str, diagnostics: &mut Diagnostics) {
    let index: BTreeMap<&str, usize> =
        services.iter().enumerate().map(|(i, service)| (service.name.value.as_str(), i)).collect();
    let mut needs = Vec::with_capacity(services.len());
    for service in services {
        let mut list = Vec::new();
        let optional: BTreeSet<&str> =
            service.depends_on.iter().filter(|d| !d.required).map(|d| d.service.value.as_str()).collect();
        for (name, span) in service.needs() {
            if let Some(at) = index.get(name) {
                list.push(*at);
            } else if elsewhere.provided.contains(name) {
                // Nothing to wait for.
            } else if let Some(profiles) = elsewhere.inactive.get(name) {
                if !optional.contains(name) {
                    let message = format!(
                        "service `{}` needs `{name}`, which is in no active profile",
                        service.name.value
                    );
                    let help = format!(
                        "activate it with `--profile {}`",
                        profiles.first().map_or("", String::as_str)
                    );
                    diagnostics.push(Diagnostic::error(span, message).help(help));
                }
            } else if !optional.contains(name) {
                let message =
                    format!("service `{}` needs `{name}`, which is not defined", service.name.value);
                let help = did_you_mean(name, index.keys().copied());
                diagnostics.push(Diagnostic::error(span, message).label("no such service").help(help));
            }
        }
        needs.push(list);
    }
    if let Err(at) = order(&needs) {
        let service = &services[at];
        let span = service.needs().next().map_or(service.name.span, |(_, span)| span);
        let message = format!("services need each other in a circle through `{}`", service.name.value);
        diagnostics.push(Diagnostic::error(span, message).label("part of the circle"));
    }
    let mut names: BTreeMap<String, &Service> = BTreeMap::new();
    for service in services {
        let Some(name) = &service.container_name else { continue };
        if service.replicas > 1 {
            let message = format!(
                "`container_name` allows one container, service `{}` has {}",
                service.name.value, service.replicas
            );
            diagnostics.error(name.span, message);
        }
        if let Some(first) = names.insert(name.value.clone(), service) {
            let message = format!(
                "the services `{}` and `{}` have the same container name",
                first.name.value, service.name.value
            );
            diagnostics.push(Diagnostic::error(name.span, message).label("second one"));
        }
    }
    for service in services.iter().filter(|service| service.container_name.is_none()) {
        let own = format!("{project}-{}-1", service.name.value);
        if let Some(first) = names.get(&own) {
            let message = format!(
                "the container name `{own}` of service `{}` is that of service `{}`",
                first.name.value, service.name.value
            );
            diagnostics.error(first.name.span, message);
        }
    }
    for service in services {
        if matches!(service.network, NetworkMode::Host) && !service.ports.is_empty() {
            let message = format!(
                "service `{}` is on the host's network: its `ports` are not published",
                service.name.value
            );
            diagnostics.push(Diagnostic::warning(service.ports.first().map(|port| port.span), message));
        }
    }
}

pub(super) const ADDRESS_FORM: &str = "an IP address, as 172.28.0.2 or fd00::2";
pub(super) const NETWORK_FORM: &str = "a network, as 172.28.0.0/16 or fd00::/64";

/// A scalar through `FromStr`; `form` says what was expected.
pub(super) fn parsed<T: FromStr>(
    node: Option<&Node>,
    form: &str,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let node = node?;
    let text = node.text()?;
    if text.is_empty() {
        return None;
    }
    match text.trim().parse() {
        Ok(value) => Some(value),
        Err(_) => {
            let message = format!("`{text}` is not {form}");
            diagnostics.push(Diagnostic::error(node.span, message).label(format!("expected {form}")));
            None
        }
    }
}

/// Scalars and lists of them through `FromStr`.
pub(super) fn parsed_list<T: FromStr>(
    node: Option<&Node>,
    form: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<T> {
    scalars(node).into_iter().filter_map(|node| parsed(Some(node), form, diagnostics)).collect()
}

/// The node itself when a scalar, else its items.
pub(super) fn scalars(node: Option<&Node>) -> Vec<&Node> {
    match node {
        None => Vec::new(),
        Some(node) if node.text().is_some() => vec![node],
        Some(node) => node.items().iter().collect(),
    }
}

/// A text or a list of texts.
pub(super) fn texts(node: Option<&Node>) -> Vec<String> {
    scalars(node).into_iter().filter_map(|node| node.text().map(|text| text.into_owned())).collect()
}

/// `{name: value}` or `[name=value]`; a name alone has no value.
pub(super) fn pairs(node: Option<&Node>) -> Vec<(String, Option<String>)> {
    let Some(node) = node else { return Vec::new() };
    if let Value::Mapping(entries) = &node.value {
        return entries
            .iter()
            .map(|e| (e.key.clone(), e.value.text().map(|text| text.into_owned())))
            .collect();
    }
    texts(Some(node))
        .into_iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text, None),
        })
        .collect()
}

/// As [`pairs`], a missing value being empty.
pub(super) fn settings(node: Option<&Node>) -> Vec<(String, String)> {
    pairs(node).into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect()
}
