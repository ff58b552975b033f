//! What in a file cannot be had together: one subnet for two networks, one address for two services, one port of the
//! host published twice. Docker says so only when it starts the second; a reader of the file can say so before.
//!
//! Only what every engine would refuse is refused. Left to the run: networks that are external or that no active service
//! uses, drivers other than bridge, ports of a range, of replicas, on different addresses or protocols, and services that
//! another one waits to complete, because what has ended gives its address and its ports back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::build::{HOST, HOST_ADDRESSES, LAN, OUTSIDE, OUTSIDE_ADDRESSES, UPLINK, lan_of, machines};
use super::diagnostic::{Diagnostic, Diagnostics, Span, did_you_mean};
use super::model::{Condition, Driver, HostPort, Network, NetworkMode, Pool, Protocol, Scenario, Service};

/// The networks by their keys.
type Networks<'a> = BTreeMap<&'a str, &'a Network>;

/// Reports each at the second line, with the first.
pub(super) fn judge(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    overlapping_subnets(&scenario.networks, diagnostics);
    if scenario.daemon.profile.unwrap_or_default().refuses_host_bits() {
        host_bits(&scenario.networks, diagnostics);
    }
    ambiguous_names(scenario, diagnostics);
    lonely_machines(scenario, diagnostics);
    taken_addresses(scenario, diagnostics);
    let waited_for = scenario.services.iter().flat_map(|service| &service.depends_on);
    let ending: BTreeSet<&str> = waited_for
        .filter(|one| one.condition == Condition::CompletedSuccessfully)
        .map(|one| one.service.value.as_str())
        .collect();
    let lasts = |service: &&Service| service.replicas > 0 && !ending.contains(service.name.value.as_str());
    let lasting: Vec<&Service> = scenario.services.iter().filter(lasts).collect();
    fixed_addresses(&lasting, diagnostics);
    let networks = scenario.networks.iter().map(|network| (network.key.value.as_str(), network)).collect();
    reserved_addresses(&lasting, &networks, diagnostics);
    if scenario.hosts.len() <= 1 {
        published_ports(&lasting, &networks, diagnostics);
    }
}

/// Machines that say which LAN they are on where nothing else is: nobody will ever hear of them.
fn lonely_machines(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    let mut lans: BTreeMap<&str, u32> = BTreeMap::new();
    for card in scenario.hosts.iter().flat_map(|host| &host.nics) {
        *lans.entry(lan_of(card)).or_default() += 1;
    }
    let own: &[&str] = if scenario.hosts.is_empty() { &[UPLINK, LAN] } else { &[UPLINK] };
    for lan in own {
        *lans.entry(lan).or_default() += 1;
    }
    for lan in scenario.world.machines.iter().filter_map(|machine| machine.lan.as_deref()) {
        *lans.entry(lan).or_default() += 1;
    }
    for machine in &scenario.world.machines {
        let Some(lan) = machine.lan.as_deref().filter(|lan| lans.get(lan) == Some(&1)) else { continue };
        let others: Vec<&str> = lans.keys().copied().filter(|other| *other != lan).collect();
        let help = did_you_mean(lan, others.iter().copied())
            .unwrap_or_else(|| format!("there are the LANs {}", others.join(", ")));
        let message = format!("`{}` is alone on LAN `{lan}`", machine.name.value);
        diagnostics.push(Diagnostic::warning(machine.name.span, message).help(help));
    }
}

/// Machines with an address that another one has, or that the stage has which the file says nothing about: both answer for it.
fn taken_addresses(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    let mut taken: BTreeMap<IpAddr, &str> = BTreeMap::new();
    if !scenario.world.machines.iter().any(|machine| machine.name.value == OUTSIDE)
        && machines(scenario).contains(&OUTSIDE)
    {
        taken.extend(OUTSIDE_ADDRESSES.map(|address| (IpAddr::V4(address), OUTSIDE)));
    }
    if scenario.hosts.is_empty() {
        taken.extend(HOST_ADDRESSES.map(|address| (IpAddr::V4(address), HOST)));
    }
    for machine in &scenario.world.machines {
        for address in machine.addresses.iter().map(IpNet::addr) {
            if let Some(other) = taken.insert(address, machine.name.value.as_str()) {
                let message = format!("`{}` has {address}, which `{other}` has too", machine.name.value);
                let help = "give it another address, unless this is what you want to see".to_owned();
                diagnostics.push(Diagnostic::warning(machine.name.span, message).help(help));
            }
        }
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
    let pools: Vec<(&Network, IpNet, Span)> = pools.collect();
    let mut seen = SeenSubnets::new(pools.iter().map(|(_, subnet, _)| *subnet));
    for (number, (network, subnet, span)) in pools.iter().enumerate() {
        let foreign = |other: usize| pools[other].0.key.value != network.key.value;
        if let Some(first) = seen.overlapping(*subnet, foreign) {
            let (other, net, first) = &pools[first];
            let message = format!(
                "the subnet {subnet} of network `{}` overlaps {net} of network `{}`",
                network.key.value, other.key.value
            );
            diagnostics.push(
                Diagnostic::error(*span, message)
                    .also(*first, format!("`{}` has {net}", other.key.value))
                    .help("Docker refuses the second network: give it another subnet".to_owned()),
            );
        }
        seen.insert(*subnet, number, foreign);
    }
}

/// Subnets by every block of the lengths in use that they lie in, so that an overlap is found by a few look-ups: of two
/// subnets that overlap one contains the other.
struct SeenSubnets {
    lengths: BTreeSet<(bool, u8)>,
    /// Those that are the block.
    exact: BTreeMap<IpNet, Firsts>,
    /// Those that lie in the block.
    within: BTreeMap<IpNet, Firsts>,
}

/// The first subnet, and the first of another network than that one's.
#[derive(Clone, Copy)]
struct Firsts(usize, Option<usize>);

impl SeenSubnets {
    fn new(all: impl Iterator<Item = IpNet>) -> SeenSubnets {
        let lengths = all.map(|subnet| (subnet.addr().is_ipv6(), subnet.prefix_len())).collect();
        SeenSubnets { lengths, exact: BTreeMap::new(), within: BTreeMap::new() }
    }

    /// The blocks of the lengths in use that contain a subnet.
    fn blocks(&self, subnet: IpNet) -> Vec<IpNet> {
        let ipv6 = subnet.addr().is_ipv6();
        let lengths = self.lengths.range((ipv6, 0)..=(ipv6, subnet.prefix_len()));
        lengths.filter_map(|(_, length)| Some(IpNet::new(subnet.addr(), *length).ok()?.trunc())).collect()
    }

    /// The first that overlaps and is foreign.
    fn overlapping(&self, subnet: IpNet, foreign: impl Fn(usize) -> bool) -> Option<usize> {
        let around = self.blocks(subnet).into_iter().filter_map(|block| self.exact.get(&block).copied());
        let inside = self.within.get(&subnet.trunc()).copied();
        let of = |Firsts(first, other)| [Some(first), other].into_iter().flatten().find(|n| foreign(*n));
        around.chain(inside).filter_map(of).min()
    }

    /// Notes a subnet; `foreign` tells the subnets of other networks.
    fn insert(&mut self, subnet: IpNet, number: usize, foreign: impl Fn(usize) -> bool) {
        let note = |entry: std::collections::btree_map::Entry<'_, IpNet, Firsts>| {
            let Firsts(first, other) = entry.or_insert(Firsts(number, None));
            if other.is_none() && foreign(*first) {
                *other = Some(number);
            }
        };
        note(self.exact.entry(subnet.trunc()));
        for block in self.blocks(subnet) {
            note(self.within.entry(block));
        }
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
fn reserved_addresses(services: &[&Service], networks: &Networks<'_>, diagnostics: &mut Diagnostics) {
    for attachment in services.iter().flat_map(|service| service.attachments()) {
        let network = networks.get(attachment.network.value.as_str());
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

fn published_ports(services: &[&Service], networks: &Networks<'_>, diagnostics: &mut Diagnostics) {
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
                    .help(
                        match same {
                            true => "Docker does not start it: publish another port",
                            false => "Docker refuses the second container: publish another port",
                        }
                        .to_owned(),
                    ),
            );
        }
    }
}

/// Whether its ports are sure to be taken on the host, on addresses that the file alone decides.
fn publishes(service: &Service, networks: &Networks<'_>) -> bool {
    let sure = |network: &Network| {
        let decides =
            |(name, _): &(String, String)| name.contains("gateway_mode") || name.contains("host_binding");
        let options = network.driver_opts.iter().any(decides);
        network.driver == Driver::Bridge && !network.external && !network.internal && !options
    };
    match &service.network {
        NetworkMode::DefaultBridge => true,
        NetworkMode::Networks(list) => {
            let find = |name: &str| networks.get(name).copied();
            !list.is_empty() && list.iter().all(|one| find(&one.network.value).is_some_and(sure))
        }
        NetworkMode::Host | NetworkMode::None | NetworkMode::Service(_) | NetworkMode::Container(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A subnet and whose it is, of few values so that they overlap.
    fn pool() -> impl Strategy<Value = (IpNet, u8)> {
        let v4 = (0u8..3, 0u8..4, prop::sample::select(vec![8u8, 16, 23, 24, 25]))
            .prop_map(|(b, c, length)| format!("10.{b}.{c}.0/{length}"));
        let v6 = (0u8..4, prop::sample::select(vec![48u8, 64]))
            .prop_map(|(c, length)| format!("fd00:0:{c}::/{length}"));
        (prop_oneof![4 => v4, 1 => v6], 0u8..4).prop_map(|(text, network)| (text.parse().unwrap(), network))
    }

    proptest! {
        #[test]
        fn the_first_overlap_is_the_one_that_a_walk_over_all_finds(
            pools in prop::collection::vec(pool(), 1..40),
        ) {
            let mut seen = SeenSubnets::new(pools.iter().map(|(subnet, _)| *subnet));
            for (number, (subnet, network)) in pools.iter().enumerate() {
                let foreign = |other: usize| pools[other].1 != *network;
                let walked = pools[..number].iter().enumerate().position(|(other, (net, _))| {
                    let overlaps = subnet.contains(&net.network()) || net.contains(&subnet.network());
                    foreign(other) && overlaps
                });
                prop_assert_eq!(seen.overlapping(*subnet, foreign), walked);
                seen.insert(*subnet, number, foreign);
            }
        }
    }
}
