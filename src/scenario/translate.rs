//! From the typed [`Scenario`] to what a Docker daemon is asked for, as Compose v2 asks for it.
//!
//! Networks come first: those a service joins, external ones as somebody made them before, the others with Compose's
//! names and labels. Then every container is created on its first network and connected to the others, and when all
//! exist they are started, dependencies first. Compose does the same in parallel where it can; here the order is that of the file, so that
//! addresses are the same in every run. `compose.version` and `config-hash` labels are left out: they name a Compose
//! binary, which there is not.
//!
//! Nothing here judges: what Docker refuses, the daemon refuses when it is asked. Every request travels with the
//! place in the file it comes from, for that case.
//!
//! # Commands
//! A scenario runs without images, so a service's own command can only run when it is made of programs linkspan has,
//! with options they take; the caller knows and hands in `runs`. Any other command is left out and the container runs its image's
//! stand-in, which listens where [`Scenario::listening_ports`] says ([`image_catalogue`]).

mod client;
mod daemon;
pub(super) mod external;
mod images;
mod stand_ins;
#[cfg(test)]
mod tests;

pub use client::client_config;
pub use daemon::daemon_config;
pub(super) use images::is_shell;
pub use images::{catalogue_key, image_catalogue};
pub use stand_ins::stand_ins;

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostic::Span;
use super::images_table;
use super::model::{
    Attachment, Command, ExtraHost, HostAddress, HostPort, Link, ListenPort, Network, NetworkMode, Protocol,
    PublishedPort, Restart, Scenario, Service,
};
use crate::docker::cli::ports::{self, PortPublish, PortRange};
use crate::docker::cli::words;
use crate::docker::health::Healthcheck;
use crate::docker::labels::Labels;
use crate::docker::request::{
    self, ContainerCreate, ContainerStart, EndpointConfig, ExposedPort, ExtraHostAddress, Ipam, IpamPool,
    NetworkConnect, NetworkCreate, Request, RestartPolicy,
};

/// The endpoint option that names a container's interface.
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

/// Stands in for a health check that cannot run.
const PASSES: &str = "true";

/// Whether linkspan can run a command, given word by word (`World::can_run`).
pub type Runs<'a> = &'a dyn Fn(&[String]) -> bool;

/// One request on the way to a running container.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerRequest {
    /// The service's key.
    pub service: String,
    /// The container's name.
    pub container: String,
    /// The service's place in the file.
    pub span: Span,
    /// A create, a connect or a start.
    pub request: Request,
}

/// The networks to create, each with its place in the file: first those that others have made before, then the
/// project's own in document order.
#[must_use]
pub fn network_requests(scenario: &Scenario) -> Vec<(Span, Request)> {
    let used = || scenario.networks.iter().filter(|network| network.used);
    let before = used().filter(|network| external::is_assumed(network));
    let before = before.map(|network| (network.key.span, external::create(scenario, network)));
    let own = used().filter(|network| !network.external);
    let own = own.map(|network| (network.key.span, network_create(scenario, network)));
    before.chain(own).map(|(span, create)| (span, Request::NetworkCreate(create))).collect()
}

/// Every container created, each followed by its further networks; then every container started. Both in the order
/// Compose starts services.
#[must_use]
pub fn container_requests(scenario: &Scenario, runs: Runs<'_>) -> Vec<ContainerRequest> {
    let services = scenario.start_order();
    let mut requests = Vec::new();
    let mut starts = Vec::new();
    for service in services {
        let names = scenario.container_names(service);
        for (number, name) in (1..).zip(&names) {
            let of = |request| ContainerRequest {
                service: service.name.value.clone(),
                container: name.clone(),
                span: service.name.span,
                request,
            };
            let create = container_create(scenario, service, name, number, runs);
            requests.push(of(Request::ContainerCreate(Box::new(create))));
            for attachment in service.attachments().iter().skip(1) {
                let endpoint = endpoint(scenario, service, name, attachment);
                let connect = NetworkConnect { container: name.clone(), endpoint };
                requests.push(of(Request::NetworkConnect(connect)));
            }
            let start = ContainerStart { containers: vec![name.clone()], attach: false, interactive: false };
            starts.push(of(Request::ContainerStart(start)));
        }
    }
    requests.append(&mut starts);
    requests
}

/// The command a service's containers are given: words for the entrypoint and the arguments behind it. `None`: the image's own, because nothing was said or because what was said needs programs that linkspan has not.
pub(super) fn own_command(service: &Service, runs: Runs<'_>) -> Option<Vec<String>> {
    let argv = asked_command(service);
    runs(&argv).then_some(argv)
}

/// What a service says its containers run: the entrypoint and the command behind it. Empty if it says nothing.
fn asked_command(service: &Service) -> Vec<String> {
    let command = service.command.as_ref().map(words_of);
    let entrypoint = match (&service.entrypoint, &command) {
        (Some(entrypoint), _) => words_of(entrypoint),
        (None, Some(_)) => known_entrypoint(service),
        (None, None) => Vec::new(),
    };
    entrypoint.into_iter().chain(command.into_iter().flatten()).collect()
}

/// What the image of a service puts before the command, where that is known.
fn known_entrypoint(service: &Service) -> Vec<String> {
    match (&service.image, &service.build) {
        (Some(image), None) => {
            images_table::entrypoint(&image.value).into_iter().map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// The words of a command. A line that no shell could split has none and so is never kept.
pub(super) fn words_of(command: &Command) -> Vec<String> {
    match command {
        Command::Words(words) => words.clone(),
        Command::Line(line) => words::split(line).unwrap_or_default(),
    }
}

fn network_create(scenario: &Scenario, network: &Network) -> NetworkCreate {
    let mut labels = Labels::from(pairs(&network.labels));
    labels.insert("com.docker.compose.project", &scenario.name);
    labels.insert("com.docker.compose.network", &network.key.value);
    let pools = network.pools.iter().filter_map(|pool| {
        let written = IpamPool {
            subnet: pool.subnet.map(|subnet| subnet.to_string()).unwrap_or_default(),
            ip_range: pool.ip_range.map(|range| range.to_string()),
            gateway: pool.gateway.map(|gateway| gateway.to_string()),
            aux: pool.aux_addresses.iter().map(|(name, ip)| (name.clone(), ip.to_string())).collect(),
        };
        (written != IpamPool::default()).then_some(written)
    });
    NetworkCreate {
        driver: network.driver.to_string(),
        options: pairs(&network.driver_opts),
        internal: network.internal,
        attachable: network.attachable,
        ipv4: network.enable_ipv4,
        ipv6: network.enable_ipv6,
        ipam: Ipam {
            driver: network.ipam_driver.clone().unwrap_or_else(|| Ipam::default().driver),
            options: pairs(&network.ipam_options),
            pools: pools.collect(),
        },
        labels,
        ..NetworkCreate::new(&network.name)
    }
}

fn container_create(
    scenario: &Scenario,
    service: &Service,
    name: &str,
    number: u32,
    runs: Runs<'_>,
) -> ContainerCreate {
    let (network_mode, first) = network_mode(scenario, service, name);
    let mut labels = Labels::from(pairs(&service.labels));
    for (key, value) in [
        ("com.docker.compose.project", scenario.name.clone()),
        ("com.docker.compose.service", service.name.value.clone()),
        ("com.docker.compose.container-number", number.to_string()),
        ("com.docker.compose.oneoff", "False".to_owned()),
    ] {
        labels.insert(key, &value);
    }
    let (entrypoint, command) = entrypoint_and_command(service, runs);
    let asked = asked_command(service);
    let stood_in_for = (!asked.is_empty() && !runs(&asked)).then_some(asked);
    let legacy_links = matches!(service.network, NetworkMode::DefaultBridge);
    let mut env: Vec<String> =
        service.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    client_config(scenario).add_proxies(&mut env);
    ContainerCreate {
        name: Some(name.to_owned()),
        image: service.image_name(&scenario.name),
        catalogue_key: Some(catalogue_key(service)),
        stood_in_for,
        command,
        entrypoint,
        hostname: service.hostname.clone(),
        domainname: service.domainname.clone(),
        env,
        mac: first.mac.clone(),
        network_mode,
        endpoints: vec![first],
        ports: service.ports.iter().map(publish).collect(),
        expose: service.expose.iter().copied().map(exposed).collect(),
        dns: service.dns.clone(),
        dns_search: service.dns_search.clone(),
        dns_options: service.dns_opt.clone(),
        extra_hosts: service.extra_hosts.iter().map(extra_host).collect(),
        links: if legacy_links { links(scenario, service) } else { Vec::new() },
        restart: restart(service.restart),
        labels,
        sysctls: pairs(&service.sysctls),
        cap_add: service.cap_add.clone(),
        cap_drop: service.cap_drop.clone(),
        privileged: service.privileged,
        user: service.user.clone(),
        healthcheck: healthcheck(service, runs).map(Box::new),
        tty: service.tty,
        interactive: service.stdin_open,
        ..ContainerCreate::default()
    }
}

/// A check that needs programs linkspan has not is stood in for by one that passes; [`stand_ins`] warns of it.
fn healthcheck(service: &Service, runs: Runs<'_>) -> Option<Healthcheck> {
    let asked = service.healthcheck.as_ref()?;
    let mut check = healthcheck_command(service)?;
    if !runs(&check.test) {
        check.test = vec![PASSES.to_owned()];
    }
    let set = |time: &mut Duration, asked: Option<Duration>| *time = asked.unwrap_or(*time);
    set(&mut check.interval, asked.interval);
    set(&mut check.timeout, asked.timeout);
    set(&mut check.start_period, asked.start_period);
    set(&mut check.start_interval, asked.start_interval);
    check.retries = asked.retries.unwrap_or(check.retries);
    Some(check)
}

/// The health check a service asks for, with Docker's own times.
fn healthcheck_command(service: &Service) -> Option<Healthcheck> {
    let asked = service.healthcheck.as_ref().filter(|check| !check.disabled)?;
    Some(match asked.test.as_ref()? {
        Command::Words(words) => Healthcheck::new(words.clone()),
        Command::Line(line) => Healthcheck::shell(line),
    })
}

/// Docker's `--entrypoint` is one word; the rest of Compose's list goes before the command, which is the same argv.
fn entrypoint_and_command(service: &Service, runs: Runs<'_>) -> (Option<String>, Vec<String>) {
    let Some(mut argv) = own_command(service, runs) else { return (None, Vec::new()) };
    match &service.entrypoint {
        Some(entrypoint) if !words_of(entrypoint).is_empty() => (Some(argv.remove(0)), argv),
        // `entrypoint: []` takes the image's away.
        Some(_) => (Some(String::new()), argv),
        // The daemon puts the image's own before it.
        None => (None, argv.split_off(known_entrypoint(service).len().min(argv.len()))),
    }
}

fn network_mode(
    scenario: &Scenario,
    service: &Service,
    name: &str,
) -> (request::NetworkMode, EndpointConfig) {
    let plain = |mode: request::NetworkMode| {
        let mac = service.mac_address.map(|mac| mac.to_string());
        let endpoint = EndpointConfig { mac, ..EndpointConfig::on(mode.to_string()) };
        (mode, endpoint)
    };
    match &service.network {
        NetworkMode::Networks(list) => match list.first() {
            Some(first) => {
                let endpoint = endpoint(scenario, service, name, first);
                (request::NetworkMode::parse(&endpoint.network), endpoint)
            }
            None => plain(request::NetworkMode::None),
        },
        NetworkMode::Host => plain(request::NetworkMode::Host),
        NetworkMode::None => plain(request::NetworkMode::None),
        NetworkMode::DefaultBridge => plain(request::NetworkMode::Bridge),
        NetworkMode::Container(container) => plain(request::NetworkMode::Container(container.value.clone())),
        NetworkMode::Service(other) => {
            let container = scenario
                .service(other)
                .and_then(|service| scenario.container_names(service).into_iter().next())
                .unwrap_or_else(|| other.value.clone());
            plain(request::NetworkMode::Container(container))
        }
    }
}

/// One endpoint as Compose asks for it: the container's name, the service's name and the given aliases are names there.
fn endpoint(scenario: &Scenario, service: &Service, name: &str, attachment: &Attachment) -> EndpointConfig {
    let network = scenario.network(&attachment.network);
    let network = network.map_or_else(|| attachment.network.value.clone(), |network| network.name.clone());
    let user_defined = request::NetworkMode::parse(&network).is_user_defined();
    let mut aliases = Vec::new();
    if user_defined {
        let names = [name, service.name.value.as_str()];
        let given = attachment.aliases.iter().map(String::as_str);
        for alias in names.into_iter().chain(given) {
            if !aliases.iter().any(|known| known == alias) {
                aliases.push(alias.to_owned());
            }
        }
    }
    let mut driver_opts = pairs(&attachment.driver_opts);
    if let Some(interface) = &attachment.interface_name {
        driver_opts.insert(INTERFACE_NAME.to_owned(), interface.clone());
    }
    EndpointConfig {
        network,
        aliases,
        ipv4: attachment.ipv4_address.map(|address| address.to_string()),
        ipv6: attachment.ipv6_address.map(|address| address.to_string()),
        link_local: attachment.link_local_ips.iter().map(ToString::to_string).collect(),
        mac: attachment.mac_address.map(|mac| mac.to_string()),
        driver_opts,
        gw_priority: attachment.gw_priority,
        links: if user_defined { links(scenario, service) } else { Vec::new() },
    }
}

/// Each container of a linked service by the alias, by `service-N` and by its own name, as Compose links them.
fn links(scenario: &Scenario, service: &Service) -> Vec<request::Link> {
    let mut all = Vec::new();
    let mut link = |container: &str, alias: String| {
        let link = request::Link { container: container.to_owned(), alias };
        if !all.contains(&link) {
            all.push(link);
        }
    };
    for Link { target, alias } in &service.links {
        let Some(linked) = scenario.service(target) else { continue };
        for (number, container) in (1..).zip(scenario.container_names(linked)) {
            link(&container, alias.clone());
            link(&container, format!("{}-{number}", target.value));
            link(&container, format!("{}-{}-{number}", scenario.name, target.value));
        }
    }
    for Link { target, alias } in &service.external_links {
        link(&target.value, alias.clone());
    }
    all
}

fn publish(port: &PublishedPort) -> PortPublish {
    let host_port = match port.published {
        HostPort::Any => None,
        HostPort::Range(first, last) => Some(PortRange { first, last }),
    };
    PortPublish::new(port.host_ip, host_port, port.target, protocol(port.protocol))
}

pub(super) fn exposed(port: ListenPort) -> ExposedPort {
    ExposedPort { port: port.port, protocol: protocol(port.protocol) }
}

fn protocol(protocol: Protocol) -> ports::Protocol {
    match protocol {
        Protocol::Tcp => ports::Protocol::Tcp,
        Protocol::Udp => ports::Protocol::Udp,
        Protocol::Sctp => ports::Protocol::Sctp,
    }
}

fn extra_host(host: &ExtraHost) -> request::ExtraHost {
    let address = match host.address {
        HostAddress::Address(address) => ExtraHostAddress::Ip(address),
        HostAddress::HostGateway => ExtraHostAddress::HostGateway,
    };
    request::ExtraHost { name: host.name.clone(), address }
}

fn restart(policy: Restart) -> RestartPolicy {
    match policy {
        Restart::No => RestartPolicy::No,
        Restart::Always => RestartPolicy::Always,
        Restart::UnlessStopped => RestartPolicy::UnlessStopped,
        Restart::OnFailure(count) => RestartPolicy::OnFailure { maximum_retries: count.unwrap_or(0) },
    }
}

fn pairs(list: &[(String, String)]) -> BTreeMap<String, String> {
    list.iter().cloned().collect()
}
