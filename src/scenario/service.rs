//! Reading `services.<name>`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Diagnostics, Spanned, did_you_mean};
use super::dockerfile;
use super::interpolate::parse_env_file;
use super::keys::{boolean, integer, number};
use super::load::Loader;
use super::model::{
    Attachment, Build, Command, Condition, Dependency, EndpointMode, ExtraHost, Healthcheck, HostAddress,
    Link, ListenPort, Mac, NetworkMode, PublishedPort, Restart, Service,
};
use super::ports;
use super::privileges;
use super::read::{ADDRESS_FORM, pairs, parsed, parsed_list, scalars, settings, texts};
use super::steps::duration;
use super::yaml::{Entry, Node, Value};
use crate::docker::container::{valid_container_name, valid_hostname};
use crate::docker::reference;

const MAC_FORM: &str = "a MAC address, as 02:42:ac:11:00:02";
/// Longest part of a DNS name (RFC 1035 section 2.3.4).
const LONGEST_LABEL: usize = 63;
/// Most containers of one service.
const MAX_REPLICAS: i64 = 10_000;

/// Reads a service. `budget` is how many ports the scenario may still have.
pub(super) fn read_service(loader: &mut Loader<'_>, entry: &Entry, budget: &mut usize) -> Service {
    let node = &entry.value;
    let name = Spanned::new(entry.key.clone(), entry.key_span);
    let environment = environment(loader, node);
    let build = node.get("build").map(|build| read_build(loader, build));
    let diagnostics = &mut loader.diagnostics;
    // Of a service that is no mapping that is said already.
    if build.is_none()
        && node.get("image").is_none()
        && !matches!(node.value, Value::String(_) | Value::Sequence(_))
    {
        let message = format!("service `{}` has neither `image` nor `build`", name.value);
        diagnostics.push(Diagnostic::error(name.span, message).label("expected one of them"));
    }
    let text = |key: &str| node.get(key).and_then(Node::text).map(|text| text.into_owned());
    let flag = |key: &str| node.get(key).and_then(boolean).unwrap_or(false);
    let spanned = |key: &str| node.get(key).and_then(|n| Some(Spanned::new(n.text()?.into_owned(), n.span)));
    let capabilities = |key: &str| {
        let plain = |name: String| name.trim_start_matches("CAP_").to_owned();
        texts(node.get(key)).into_iter().map(|name| plain(name.to_ascii_uppercase())).collect()
    };
    privileges::check_capabilities(node, diagnostics);
    let deploy = node.get("deploy");
    let mac_address: Option<Mac> = parsed(node.get("mac_address"), MAC_FORM, diagnostics);
    let mut network = read_network_mode(node, diagnostics);
    if let NetworkMode::Networks(list) = &mut network
        && let Some(first) = list.first_mut()
        && first.mac_address.is_none()
    {
        first.mac_address = mac_address;
    }
    let sysctls = privileges::read_sysctls(node.get("sysctls"), &network, diagnostics);
    Service {
        image: read_image(spanned("image"), diagnostics),
        build,
        command: node.get("command").and_then(command),
        entrypoint: node.get("entrypoint").and_then(command),
        environment,
        network,
        ports: read_ports(node, budget, diagnostics),
        expose: read_expose(node.get("expose"), budget, diagnostics),
        links: read_links(node.get("links"), diagnostics),
        external_links: read_links(node.get("external_links"), diagnostics),
        extra_hosts: read_extra_hosts(node.get("extra_hosts"), diagnostics),
        dns: parsed_list(node.get("dns"), ADDRESS_FORM, diagnostics),
        dns_opt: texts(node.get("dns_opt")),
        dns_search: texts(node.get("dns_search")),
        hostname: read_hostname(spanned("hostname"), diagnostics),
        domainname: text("domainname"),
        mac_address,
        container_name: read_container_name(spanned("container_name"), diagnostics),
        depends_on: read_dependencies(node.get("depends_on"), diagnostics),
        replicas: read_replicas(node, deploy, diagnostics),
        endpoint_mode: deploy.and_then(|deploy| deploy.get("endpoint_mode")).and_then(Node::text).and_then(
            |mode| match mode.as_ref() {
                "vip" => Some(EndpointMode::Vip),
                "dnsrr" => Some(EndpointMode::DnsRoundRobin),
                _ => None,
            },
        ),
        profiles: texts(node.get("profiles")),
        healthcheck: node.get("healthcheck").map(|check| read_healthcheck(check, diagnostics)),
        restart: node.get("restart").map_or(Restart::No, |restart| read_restart(restart, diagnostics)),
        sysctls,
        labels: settings(node.get("labels")),
        privileged: flag("privileged"),
        user: privileges::read_user(node, diagnostics),
        cap_add: capabilities("cap_add"),
        cap_drop: capabilities("cap_drop"),
        tty: flag("tty"),
        stdin_open: flag("stdin_open"),
        name,
    }
}

/// Env files first, `environment` over them; a name without a value takes it from the environment or is left out.
fn environment(loader: &mut Loader<'_>, node: &Node) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for file in scalars_or_maps(node.get("env_file")) {
        let path = file.text().or_else(|| file.get("path").and_then(Node::text));
        let required = file.get("required").and_then(boolean).unwrap_or(true);
        let Some(path) = path else { continue };
        match loader.optional(Path::new(path.as_ref())) {
            Ok(text) => match parse_env_file(&text, &|name| loader.lookup(name)) {
                Ok(more) => all.extend(more),
                Err(error) => loader.diagnostics.error(file.span, format!("{path}: {error}")),
            },
            Err(error) if required => {
                // The file is often kept out of the repository, and the network does not depend on it.
                let message = format!("cannot read the env file {path}: {error}; its variables are missing");
                loader.diagnostics.push(Diagnostic::warning(file.span, message));
            }
            Err(_) => {}
        }
    }
    for (name, value) in pairs(node.get("environment")) {
        if let Some(value) = value.or_else(|| loader.lookup(&name)) {
            all.push((name, value));
        }
    }
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    let mut out: Vec<(String, String)> = Vec::new();
    for (name, value) in all {
        if let Some(at) = last.get(&name) {
            out[*at].1 = value;
        } else {
            last.insert(name.clone(), out.len());
            out.push((name, value));
        }
    }
    out
}

fn scalars_or_maps(node: Option<&Node>) -> Vec<&Node> {
    match node {
        Some(node) if matches!(node.value, Value::Mapping(_)) => vec![node],
        node => scalars(node),
    }
}

fn read_build(loader: &mut Loader<'_>, node: &Node) -> Build {
    let part = |key: &str| node.get(key).and_then(Node::text).map(|text| text.into_owned());
    let context = node.text().map(|text| text.into_owned()).or_else(|| part("context")).unwrap_or_default();
    let context = PathBuf::from(context);
    let target = part("target");
    let arguments: Vec<(String, String)> = pairs(node.get("args"))
        .into_iter()
        .filter_map(|(name, value)| value.or_else(|| loader.lookup(&name)).map(|value| (name, value)))
        .collect();
    let (text, file) = match part("dockerfile_inline") {
        Some(text) => (Ok(text), None),
        None => {
            let path = context.join(part("dockerfile").unwrap_or_else(|| "Dockerfile".to_owned()));
            (loader.optional(&path), Some(path))
        }
    };
    let mut build = Build { context, dockerfile: file, target, ..Build::default() };
    match text {
        Ok(text) => {
            let read = dockerfile::parse(&text, build.target.as_deref(), &arguments);
            build.found = true;
            build.expose = read.expose;
            build.environment = read.environment;
            build.base_image = read.base_image;
        }
        Err(error) => {
            let path = build.dockerfile.clone().unwrap_or_default();
            let message =
                format!("cannot read {}: {error}; its EXPOSE and ENV are not known", path.display());
            loader.diagnostics.push(Diagnostic::note(node.span, message));
        }
    }
    build
}

fn read_network_mode(node: &Node, diagnostics: &mut Diagnostics) -> NetworkMode {
    let networks = node.get("networks");
    let Some(mode) = node.get("network_mode") else {
        return NetworkMode::Networks(read_attachments(networks, node, diagnostics));
    };
    if networks.is_some_and(|networks| !networks.is_null()) {
        diagnostics.push(
            Diagnostic::error(mode.span, "`network_mode` and `networks` exclude each other")
                .label("this service also has `networks`")
                .help("remove one of them".to_owned()),
        );
    }
    let text = mode.text().unwrap_or_default();
    let named = |name: &str| Spanned::new(name.to_owned(), mode.span);
    match text.as_ref() {
        "host" => NetworkMode::Host,
        "none" => NetworkMode::None,
        "bridge" => NetworkMode::DefaultBridge,
        "default" => NetworkMode::Networks(read_attachments(None, node, diagnostics)),
        other => {
            if let Some(name) = other.strip_prefix("service:").filter(|name| !name.is_empty()) {
                return NetworkMode::Service(named(name));
            }
            if let Some(name) = other.strip_prefix("container:").filter(|name| !name.is_empty()) {
                return NetworkMode::Container(named(name));
            }
            let known = ["host", "none", "bridge", "service:", "container:"];
            let message = format!("`{other}` is not a network mode");
            diagnostics.push(
                Diagnostic::error(mode.span, message)
                    .label("expected none, host, bridge, service:NAME or container:NAME")
                    .help(match other {
                        "service:" | "container:" => Some(format!("say whose network it is: `{other}NAME`")),
                        _ => did_you_mean(other, known).or_else(|| {
                            Some("to join a network, write `networks: [NAME]` instead".to_owned())
                        }),
                    }),
            );
            NetworkMode::None
        }
    }
}

fn read_attachments(
    networks: Option<&Node>,
    service: &Node,
    diagnostics: &mut Diagnostics,
) -> Vec<Attachment> {
    let mut list: Vec<Attachment> = Vec::new();
    match networks.map(|node| (&node.value, node)) {
        Some((Value::Mapping(entries), _)) => {
            for entry in entries {
                let name = Spanned::new(entry.key.clone(), entry.key_span);
                list.push(read_attachment(name, &entry.value, diagnostics));
            }
        }
        Some((Value::Sequence(items), _)) => {
            for item in items {
                let Some(name) = item.text() else { continue };
                let name = Spanned::new(name.into_owned(), item.span);
                list.push(read_attachment(name, &Node::new(Value::Null, item.span), diagnostics));
            }
        }
        _ => {}
    }
    if list.is_empty() {
        let name = Spanned::new("default".to_owned(), service.span);
        list.push(read_attachment(name, &Node::new(Value::Null, service.span), diagnostics));
    }
    list.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.network.value.cmp(&b.network.value)));
    list
}

fn read_attachment(network: Spanned<String>, node: &Node, diagnostics: &mut Diagnostics) -> Attachment {
    let rank = |key: &str| node.get(key).and_then(number).map_or(0, |value| value as i64);
    Attachment {
        network,
        aliases: read_aliases(node.get("aliases"), diagnostics),
        interface_name: node.get("interface_name").and_then(Node::text).map(|text| text.into_owned()),
        ipv4_address: parsed(node.get("ipv4_address"), "an IPv4 address, as 172.28.0.2", diagnostics),
        ipv6_address: parsed(node.get("ipv6_address"), "an IPv6 address, as fd00::2", diagnostics),
        address_span: node.get("ipv4_address").or_else(|| node.get("ipv6_address")).map(|node| node.span),
        link_local_ips: parsed_list(node.get("link_local_ips"), ADDRESS_FORM, diagnostics),
        mac_address: parsed(node.get("mac_address"), MAC_FORM, diagnostics),
        driver_opts: settings(node.get("driver_opts")),
        priority: rank("priority"),
        gw_priority: rank("gw_priority"),
    }
}

fn read_ports(node: &Node, budget: &mut usize, diagnostics: &mut Diagnostics) -> Vec<PublishedPort> {
    let mut all = Vec::new();
    for item in node.get("ports").map(Node::items).unwrap_or_default() {
        match ports::published(item) {
            Ok(ports) if ports.len() <= *budget => {
                *budget -= ports.len();
                all.extend(ports);
            }
            Ok(_) => diagnostics.error(item.span, "the scenario has more than 200000 ports"),
            Err(message) => diagnostics.push(
                Diagnostic::error(item.span, message).label("expected [[IP:][HOST]:]CONTAINER[/PROTO]"),
            ),
        }
    }
    all
}

/// `expose`, and every other list of `PORT[-PORT][/PROTO]`.
pub(super) fn read_expose(
    node: Option<&Node>,
    budget: &mut usize,
    diagnostics: &mut Diagnostics,
) -> Vec<ListenPort> {
    let mut all = Vec::new();
    for item in scalars(node) {
        match ports::exposed(&item.text().unwrap_or_default()) {
            Ok(ports) if ports.len() <= *budget => {
                *budget -= ports.len();
                all.extend(ports);
            }
            Ok(_) => diagnostics.error(item.span, "the scenario has more than 200000 ports"),
            Err(message) => {
                diagnostics.push(Diagnostic::error(item.span, message).label("expected PORT[-PORT][/PROTO]"));
            }
        }
    }
    all
}

fn read_links(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<Link> {
    let mut links = Vec::new();
    for item in scalars(node) {
        let text = item.text().unwrap_or_default();
        let (target, alias) = text.split_once(':').unwrap_or((&text, &text));
        if target.is_empty() || alias.is_empty() {
            diagnostics.push(
                Diagnostic::error(item.span, format!("`{text}` is not a link"))
                    .label("expected NAME[:ALIAS]"),
            );
            continue;
        }
        links.push(Link { target: Spanned::new(target.to_owned(), item.span), alias: alias.to_owned() });
    }
    links
}

fn read_extra_hosts(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<ExtraHost> {
    let Some(node) = node else { return Vec::new() };
    let mut lines: Vec<(String, String, &Node)> = Vec::new();
    for entry in node.entries() {
        for value in scalars(Some(&entry.value)) {
            lines.push((entry.key.clone(), value.text().unwrap_or_default().into_owned(), value));
        }
    }
    for item in node.items() {
        let text = item.text().unwrap_or_default();
        match text.split_once('=').or_else(|| text.split_once(':')) {
            Some((name, address)) => lines.push((name.to_owned(), address.to_owned(), item)),
            None => diagnostics.push(
                Diagnostic::error(item.span, format!("`{text}` has no address"))
                    .label("expected NAME=ADDRESS"),
            ),
        }
    }
    let mut hosts = Vec::new();
    for (name, address, node) in lines {
        let bare = address.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&address);
        let address = if bare == "host-gateway" {
            HostAddress::HostGateway
        } else if let Ok(address) = bare.parse::<IpAddr>() {
            HostAddress::Address(address)
        } else {
            let message = format!("`{bare}` is not {ADDRESS_FORM}, nor host-gateway");
            diagnostics.push(Diagnostic::error(node.span, message));
            continue;
        };
        hosts.push(ExtraHost { name, address });
    }
    hosts
}

/// An image's name; what the docker command says of one that is none.
fn read_image(image: Option<Spanned<String>>, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
    let image = image?;
    if let Err(error) = reference::validate(&image.value) {
        // What variables leave that nobody has set here is not the file's fault; the text is longer or shorter than what it
        // stands for, quotes apart.
        let written = (image.span.end - image.span.start) as usize;
        let as_written = matches!(written.checked_sub(image.value.len()), Some(0 | 2));
        let new = if as_written { Diagnostic::error } else { Diagnostic::warning };
        let message = match as_written {
            true => error.to_string(),
            false => format!("Docker refuses the image `{}`: {error}", image.value),
        };
        diagnostics.push(
            new(image.span, message)
                .label("expected [REGISTRY/]NAME[:TAG][@DIGEST], the name in small letters"),
        );
    }
    Some(image)
}

/// A host name; Docker takes any, and its runtime fails when the kernel does not.
fn read_hostname(name: Option<Spanned<String>>, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = name?;
    if let Err(reason) = valid_hostname(&name.value) {
        let message = format!("{reason}: the host name has {} characters", name.value.len());
        diagnostics.push(Diagnostic::error(name.span, message).label("Linux takes 64"));
    }
    Some(name.value)
}

/// Aliases. Docker takes any text; one that no name server can be asked for is of no use.
fn read_aliases(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<String> {
    for item in node.map(Node::items).unwrap_or_default() {
        let Some(alias) = item.text() else { continue };
        let label = |label: &str| !label.is_empty() && label.len() <= LONGEST_LABEL;
        let usable =
            alias.split('.').all(label) && !alias.contains(|c: char| c.is_whitespace() || c.is_control());
        if !usable {
            let message = format!("nobody can ask for the alias `{alias}`: it is no DNS name");
            diagnostics.push(
                Diagnostic::warning(item.span, message)
                    .label("expected labels of 1 to 63 characters without blanks, with dots between them"),
            );
        }
    }
    texts(node)
}

fn read_container_name(
    name: Option<Spanned<String>>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<String>> {
    // What an unset variable leaves is no name at all.
    let name = name.filter(|name| !name.value.is_empty())?;
    if let Err(message) = valid_container_name(&name.value) {
        diagnostics.push(
            Diagnostic::error(name.span, message)
                .label("expected [a-zA-Z0-9][a-zA-Z0-9_.-]+, as Docker demands"),
        );
        return None;
    }
    Some(name)
}

fn read_dependencies(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<Dependency> {
    let Some(node) = node else { return Vec::new() };
    let plain =
        |service| Dependency { service, condition: Condition::Started, restart: false, required: true };
    let mut all: Vec<Dependency> = node
        .items()
        .iter()
        .filter_map(|item| Some(plain(Spanned::new(item.text()?.into_owned(), item.span))))
        .collect();
    for entry in node.entries() {
        let value = &entry.value;
        if value.get("condition").is_none() {
            diagnostics.push(
                Diagnostic::error(
                    entry.key_span,
                    format!("the dependency `{}` needs the key `condition`", entry.key),
                )
                .label("expected service_started, service_healthy or service_completed_successfully"),
            );
        }
        let condition = match value.get("condition").and_then(Node::text).as_deref() {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::CompletedSuccessfully,
            _ => Condition::Started,
        };
        all.push(Dependency {
            service: Spanned::new(entry.key.clone(), entry.key_span),
            condition,
            restart: value.get("restart").and_then(boolean).unwrap_or(false),
            required: value.get("required").and_then(boolean).unwrap_or(true),
        });
    }
    all
}

fn read_replicas(node: &Node, deploy: Option<&Node>, diagnostics: &mut Diagnostics) -> u32 {
    let scale = node.get("scale");
    let replicas = deploy.and_then(|deploy| deploy.get("replicas"));
    if let (Some(scale), Some(replicas)) = (scale, replicas)
        && integer(scale) != integer(replicas)
    {
        diagnostics.error(scale.span, "`scale` and `deploy.replicas` differ");
    }
    let Some(count) = scale.or(replicas) else { return 1 };
    match integer(count) {
        Some(value @ 0..=MAX_REPLICAS) => u32::try_from(value).unwrap_or(1),
        Some(value) => {
            let message = format!("{value} is not a number of containers");
            diagnostics
                .push(Diagnostic::error(count.span, message).label(format!("expected 0 to {MAX_REPLICAS}")));
            1
        }
        None => 1,
    }
}

pub(super) fn command(node: &Node) -> Option<Command> {
    match &node.value {
        Value::Null => None,
        Value::Sequence(_) => Some(Command::Words(texts(Some(node)))),
        _ => Some(Command::Line(node.text()?.into_owned())),
    }
}

fn read_healthcheck(node: &Node, diagnostics: &mut Diagnostics) -> Healthcheck {
    let mut time = |key: &str| {
        let value = node.get(key)?;
        duration(&value.text()?).map_err(|message| diagnostics.error(value.span, message)).ok()
    };
    let (interval, timeout) = (time("interval"), time("timeout"));
    let (start_period, start_interval) = (time("start_period"), time("start_interval"));
    let test = node.get("test");
    let words = texts(test);
    let none = matches!(test.map(|test| &test.value), Some(Value::Sequence(_)))
        && words.first().is_some_and(|word| word == "NONE");
    let test = match test.map(|test| &test.value) {
        Some(Value::Sequence(_)) => match words.first().map(String::as_str) {
            Some("CMD") => Some(Command::Words(words[1..].to_vec())),
            Some("CMD-SHELL") => Some(Command::Line(words[1..].join(" "))),
            Some("NONE") | None => None,
            Some(other) => {
                let message =
                    format!("`{other}` does not begin a health check: expected NONE, CMD or CMD-SHELL");
                diagnostics.error(node.get("test").map(|test| test.span), message);
                None
            }
        },
        Some(_) => test.and_then(command),
        None => None,
    };
    Healthcheck {
        test,
        disabled: none || node.get("disable").and_then(boolean).unwrap_or(false),
        interval,
        timeout,
        start_period,
        start_interval,
        retries: node.get("retries").and_then(integer).and_then(|value| u32::try_from(value).ok()),
    }
}

fn read_restart(node: &Node, diagnostics: &mut Diagnostics) -> Restart {
    let text = node.text().unwrap_or_default();
    match text.split_once(':').unwrap_or((&text, "")) {
        ("no" | "", "") => Restart::No,
        ("always", "") => Restart::Always,
        ("unless-stopped", "") => Restart::UnlessStopped,
        ("on-failure", "") => Restart::OnFailure(None),
        ("on-failure", count) if count.parse::<u32>().is_ok() => Restart::OnFailure(count.parse().ok()),
        _ => {
            let known = ["no", "always", "on-failure", "unless-stopped"];
            let message = format!("`{text}` is not a restart policy");
            diagnostics.push(
                Diagnostic::error(node.span, message)
                    .label("expected no, always, on-failure[:N] or unless-stopped")
                    .help(did_you_mean(&text, known)),
            );
            Restart::No
        }
    }
}
