//! What in a file cannot be had together: one subnet for two networks, one address for two services, one port of the
//! host published twice. Docker says so only when it starts the second; a reader of the file can say so before.
//!
//! Only what every engine would refuse is refused. Left to the run: networks that are external or that no active service
//! uses, drivers other than bridge, ports of a range, of replicas, on different addresses or protocols, and services that
//! another one waits to complete, because what has ended gives its address and its ports back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::build::{HOST, OUTSIDE};
use super::diagnostic::{Diagnostic, Diagnostics, Span};
use super::model::{Condition, Driver, HostPort, Network, NetworkMode, Pool, Protocol, Scenario, Service};

/// Reports each at the second line, with the first.
pub(super) fn judge(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    overlapping_subnets(&scenario.networks, diagnostics);
    if scenario.daemon.profile.unwrap_or_default().refuses_host_bits() {
        host_bits(&scenario.networks, diagnostics);
    }
    ambiguous_names(scenario, diagnostics);
    let ends = |service: &Service| {
        let mut all = scenario.services.iter().flat_map(|other| &other.depends_on);
        all.any(|one| {
            one.condition == Condition::CompletedSuccessfully && one.service.value == service.name.value
        })
    };
    let lasting: Vec<&Service> =
        scenario.services.iter().filter(|service| service.replicas > 0 && !ends(service)).collect();
    fixed_addresses(&lasting, diagnostics);
    reserved_addresses(&lasting, &scenario.networks, diagnostics);
    if scenario.hosts.len() <= 1 {
        published_ports(&lasting, &scenario.networks, diagnostics);
    }
}

fn overlapping_subnets(networks: &[Network], diagnostics: &mut Diagnostics) {
    let default_ipam =
        |network: &Network| network.ipam_driver.as_deref().is_none_or(|name| name == "default");
    let made = |network: &&Network| {
        network.used && !network.external && network.driver == Driver::Bridge && default_ipam(network)
    };
    let pools = networks.iter().filter(made).flat_map(|network| {
        network.pools.iter().filter_map(move |pool| Some((network, pool.subnet?, pool.span)))
    });
    let mut seen: Vec<(&Network, ipnet::IpNet, Span)> = Vec::new();
    for (network, subnet, span) in pools {
        let overlaps =
            |other: &ipnet::IpNet| subnet.contains(&other.network()) || other.contains(&subnet.network());
        let first = seen.iter().find(|(other, net, _)| other.key.value != network.key.value && overlaps(net));
        if let Some((other, net, first)) = first {
            let message = format!(
                "the subnet {subnet} of network `{}` overlaps {net} of network `{}`",
                network.key.value, other.key.value
            );
            diagnostics.push(
                Diagnostic::error(span, message)
                    .also(*first, format!("`{}` has {net}", other.key.value))
                    .help("Docker refuses the second network: give it another subnet".to_owned()),
            );
        }
        seen.push((network, subnet, span));
    }
}

/// A subnet is a network's address: the daemon refuses others since API 1.44.
fn host_bits(networks: &[Network], diagnostics: &mut Diagnostics) {
    for network in networks.iter().filter(|network| network.used && !network.external) {
        for pool in &network.pools {
            for (what, found) in [("subnet", pool.subnet), ("ip_range", pool.ip_range)] {
                let Some(found) = found.filter(|net| *net != net.trunc()) else { continue };
                diagnostics.push(
                    Diagnostic::error(pool.span, format!("{what} {found} is not the address of a network"))
                        .label(format!("it should be {}", found.trunc())),
                );
            }
        }
    }
}

/// A service whose name means something else in checks and steps.
fn ambiguous_names(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    if scenario.checks.is_empty() && scenario.steps.is_empty() {
        return;
    }
    for service in &scenario.services {
        let name = service.name.value.as_str();
        let (meaning, instead) = match name {
            HOST => ("the Docker host", scenario.container_names(service).into_iter().next()),
            OUTSIDE => ("this service, not the machine", Some(format!("world:{OUTSIDE}"))),
            _ => continue,
        };
        let message = format!("in checks and steps, `{name}` means {meaning}");
        let warning = Diagnostic::warning(service.name.span, message);
        diagnostics.push(match instead {
            Some(other) => warning.help(format!("the other one is `{other}`")),
            None => warning,
        });
    }
}

/// A fixed address that the network keeps for itself.
fn reserved_addresses(services: &[&Service], networks: &[Network], diagnostics: &mut Diagnostics) {
    for attachment in services.iter().flat_map(|service| service.attachments()) {
        let network = networks.iter().find(|network| network.key.value == attachment.network.value);
        let Some(network) = network.filter(|network| !network.external) else { continue };
        let fixed = [attachment.ipv4_address.map(IpAddr::from), attachment.ipv6_address.map(IpAddr::from)];
        for address in fixed.into_iter().flatten() {
            let Some(what) = network.pools.iter().find_map(|pool| reserved(network, pool, address)) else {
                continue;
            };
            let span = attachment.address_span.unwrap_or(attachment.network.span);
            diagnostics.push(
                Diagnostic::error(span, format!("{address} is {what} of network `{}`", network.key.value))
                    .help("Docker refuses the container: give it another address".to_owned()),
            );
        }
    }
}

/// What an address is to a pool that no container may have. Whether the first address is the gateway's is left to the
/// run where the driver, an internal network or a range make that a question.
fn reserved(network: &Network, pool: &Pool, address: IpAddr) -> Option<&'static str> {
    let subnet = pool.subnet?;
    if network.driver != Driver::Bridge || !subnet.contains(&address) {
        return None;
    }
    let first = match subnet.network() {
        IpAddr::V4(base) => IpAddr::from(std::net::Ipv4Addr::from_bits(base.to_bits().checked_add(1)?)),
        IpAddr::V6(base) => IpAddr::from(std::net::Ipv6Addr::from_bits(base.to_bits().checked_add(1)?)),
    };
    let implied = (!network.internal && pool.ip_range.is_none()).then_some(first);
    if pool.gateway.or(implied) == Some(address) {
        return Some("the gateway");
    }
    let small = subnet.max_prefix_len() - subnet.prefix_len() < 2;
    match address {
        _ if small => None,
        _ if address == subnet.network() => Some("the address of the subnet"),
        IpAddr::V4(_) if address == subnet.broadcast() => Some("the broadcast address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

fn fixed_addresses(services: &[&Service], diagnostics: &mut Diagnostics) {
    let mut seen: BTreeMap<(&str, IpAddr), (&Service, Span)> = BTreeMap::new();
    for service in services {
        for attachment in service.attachments() {
            let fixed =
                [attachment.ipv4_address.map(IpAddr::from), attachment.ipv6_address.map(IpAddr::from)];
            for address in fixed.into_iter().flatten() {
                let span = attachment.address_span.unwrap_or(attachment.network.span);
                let key = (attachment.network.value.as_str(), address);
                let Some((first, at)) = seen.get(&key) else {
                    seen.insert(key, (service, span));
                    continue;
                };
                let message = format!(
                    "the services `{}` and `{}` have the same address {address} on network `{}`",
                    first.name.value, service.name.value, key.0
                );
                diagnostics.push(
                    Diagnostic::error(span, message)
                        .label("second one")
                        .also(*at, format!("`{}` has it", first.name.value)),
                );
            }
        }
    }
}

fn published_ports(services: &[&Service], networks: &[Network], diagnostics: &mut Diagnostics) {
    type Key = (Option<IpAddr>, Protocol, u16);
    let mut seen: BTreeMap<Key, (&Service, u16, Span)> = BTreeMap::new();
    for service in services.iter().filter(|service| publishes(service, networks)) {
        for port in &service.ports {
            let HostPort::Range(number, last) = port.published else { continue };
            if number != last {
                continue;
            }
            let key = (port.host_ip, port.protocol, number);
            let Some((first, target, at)) = seen.get(&key) else {
                seen.insert(key, (service, port.target, port.span));
                continue;
            };
            let same = first.name.value == service.name.value;
            if same && *target == port.target {
                continue;
            }
            let who = if same {
                format!("service `{}` publishes", service.name.value)
            } else {
                format!("the services `{}` and `{}` publish", first.name.value, service.name.value)
            };
            let address = port.host_ip.map(|address| format!(" on {address}")).unwrap_or_default();
            let message = format!("{who} the same host port {number}/{}{address}", port.protocol);
            diagnostics.push(
                Diagnostic::error(port.span, message)
                    .label("second one")
                    .also(*at, format!("`{}` has it", first.name.value))
                    .help("Docker refuses the second container: publish another port".to_owned()),
            );
        }
    }
}

/// Whether its ports are sure to be taken on the host, on addresses that the file alone decides.
fn publishes(service: &Service, networks: &[Network]) -> bool {
    let sure = |network: &Network| {
        let decides =
            |(name, _): &(String, String)| name.contains("gateway_mode") || name.contains("host_binding");
        let options = network.driver_opts.iter().any(decides);
        network.driver == Driver::Bridge && !network.external && !network.internal && !options
    };
    match &service.network {
        NetworkMode::DefaultBridge => true,
        NetworkMode::Networks(list) => {
            let find = |name: &str| networks.iter().find(|network| network.key.value == name);
            !list.is_empty() && list.iter().all(|one| find(&one.network.value).is_some_and(sure))
        }
        NetworkMode::Host | NetworkMode::None | NetworkMode::Service(_) | NetworkMode::Container(_) => false,
    }
}
