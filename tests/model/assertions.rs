//! What is compared after each step: the world has what the reference says, and nothing of what it says is gone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use linkspan::docker::profile::Profile;

use super::reference::{Container, Reference, address, network_name};
use super::system::{Snapshot, System, port};
use crate::NETWORKS;

fn networks() -> impl Iterator<Item = Option<usize>> {
    std::iter::once(None).chain((0..NETWORKS).map(Some))
}

/// After a step.
pub(crate) fn hold(system: &System, reference: &Reference, so_far: &str) {
    who_runs_with_which_addresses(system, reference, so_far);
    default_routes(system, reference, so_far);
    names(system, reference, so_far);
    ports(system, reference, so_far);
    devices_and_flows(system, reference, so_far);
}

fn who_runs_with_which_addresses(system: &System, reference: &Reference, so_far: &str) {
    let expected: BTreeSet<(String, bool, Vec<String>)> = reference
        .containers
        .iter()
        .flatten()
        .map(|found| (found.name.clone(), found.running, addresses(found)))
        .collect();
    let found = system.daemon().containers().map(|container| {
        let active = container.endpoints.iter().filter_map(|endpoint| endpoint.active.as_ref()?.ipv4);
        let mut addresses: Vec<String> = active.map(|net| net.addr().to_string()).collect();
        addresses.sort();
        (container.name.clone(), container.state.is_up(), addresses)
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), expected, "{so_far}");
    // The kernel has them too, and nothing else but loopback and link-local addresses.
    let (_, containers) = system.tables();
    for tables in &containers {
        let held = reference.containers.iter().flatten().find(|found| found.name == tables.name);
        let mut own: Vec<String> = tables
            .interfaces
            .iter()
            .flat_map(|device| device.addresses.iter().map(|held| held.address.addr()))
            .filter(|held| held.is_ipv4() && !held.is_loopback())
            .map(|held| held.to_string())
            .collect();
        own.sort();
        assert_eq!(Some(own), held.map(addresses), "{} after {so_far}", tables.name);
    }
}

fn addresses(container: &Container) -> Vec<String> {
    let mut all: Vec<String> =
        container.addresses.iter().map(|(network, last)| address(*network, *last)).collect();
    all.sort();
    all
}

fn default_routes(system: &System, reference: &Reference, so_far: &str) {
    let (_, containers) = system.tables();
    for found in reference.containers.iter().flatten().filter(|found| found.running) {
        let tables = containers.iter().find(|tables| tables.name == found.name);
        let routes = tables.iter().flat_map(|tables| &tables.routes);
        let default: Vec<Option<IpAddr>> = routes
            .filter(|route| route.destination.prefix_len() == 0 && route.destination.addr().is_ipv4())
            .map(|route| route.gateway)
            .collect();
        let gateway = found.gateway().map(|network| address(network, 1).parse().ok());
        assert_eq!(default, gateway.into_iter().collect::<Vec<_>>(), "{} after {so_far}", found.name);
    }
}

fn names(system: &System, reference: &Reference, so_far: &str) {
    let mut expected = BTreeSet::new();
    for network in networks().filter(Option::is_some) {
        for found in reference.members(network) {
            let id = system.daemon().container(&found.name).unwrap().id.short().to_owned();
            for name in [found.name.clone(), id] {
                expected.insert((network_name(network), name, address(network, found.addresses[&network])));
            }
        }
    }
    let (host, _) = system.tables();
    let found =
        host.names.into_iter().map(|record| (record.network, record.name, record.address.to_string()));
    assert_eq!(found.collect::<BTreeSet<_>>(), expected, "{so_far}");
}

fn ports(system: &System, reference: &Reference, so_far: &str) {
    let mut translated = BTreeSet::new();
    let mut unpublished = BTreeSet::new();
    let mut listening = BTreeSet::new();
    for (number, found) in reference.containers.iter().enumerate() {
        let Some(found) = found else { continue };
        unpublished.extend(addresses(found));
        if let Some(gateway) = found.gateway() {
            let target = format!("{}:80", address(gateway, found.addresses[&gateway]));
            translated.insert((port(number).to_string(), target));
            listening.insert(port(number));
        }
    }
    let rules = system.rules();
    let after = |line: &str, word: &str| -> String {
        let mut words = line.split_whitespace().skip_while(|other| *other != word).skip(1);
        words.next().unwrap_or_default().to_owned()
    };
    let dnat: BTreeSet<(String, String)> = rules
        .lines()
        .filter(|line| line.contains("-j DNAT"))
        .map(|line| (after(line, "--dport"), after(line, "--to-destination")))
        .collect();
    assert_eq!(dnat, translated, "{so_far}");
    let accepted: BTreeSet<String> = rules
        .lines()
        .filter(|line| line.starts_with("-A DOCKER ") && line.contains("--dport 80 -j ACCEPT"))
        .map(|line| after(line, "-d").trim_end_matches("/32").to_owned() + ":80")
        .collect();
    assert_eq!(accepted, translated.into_iter().map(|(_, target)| target).collect(), "{so_far}");
    let direct: BTreeSet<String> = rules
        .lines()
        .filter(|line| line.starts_with("-A PREROUTING -d ") && line.ends_with("-j DROP"))
        .map(|line| after(line, "-d").trim_end_matches("/32").to_owned())
        .collect();
    // 20.10 has no such rules.
    if system.profile == Profile::Docker20_10 {
        unpublished.clear();
    }
    assert_eq!(direct, unpublished, "{so_far}");
    let (host, _) = system.tables();
    let open =
        host.sockets.iter().filter(|socket| socket.state == "LISTEN").map(|socket| socket.local.port());
    assert_eq!(open.collect::<BTreeSet<_>>(), listening, "{so_far}");
}

fn devices_and_flows(system: &System, reference: &Reference, so_far: &str) {
    let (host, _) = system.tables();
    let named =
        |prefix: &str| host.interfaces.iter().filter(|device| device.name.starts_with(prefix)).count();
    let endpoints: usize = reference.containers.iter().flatten().map(|found| found.addresses.len()).sum();
    let bridges = reference.networks.iter().flatten().count();
    assert_eq!((named("veth"), named("br-")), (endpoints, bridges), "{so_far}");
    let held: BTreeSet<String> = reference.containers.iter().flatten().flat_map(addresses).collect();
    let ours = |address: IpAddr| {
        let text = address.to_string();
        let of_containers = text.starts_with("172.17.0.") || text.starts_with("10.");
        of_containers && !text.ends_with(".0.1")
    };
    for (_, connection) in &host.connections {
        let (original, reply) = (connection.original(), connection.reply());
        // As libnetwork selects them. What went out masqueraded has the host's address there, and ends by its timeout.
        for address in [reply.source, reply.destination] {
            let known = !ours(address) || held.contains(&address.to_string());
            assert!(known, "{original:?} / {reply:?} is of {address}, which nobody has, after {so_far}");
        }
    }
}

/// When everything was removed.
pub(crate) fn nothing_is_left(system: &System, bare: &Snapshot, so_far: &str) {
    assert_eq!(&system.snapshot(), bare, "{so_far}");
    let (host, containers) = system.tables();
    assert!(containers.is_empty() && host.names.is_empty(), "{so_far}");
    assert!(system.daemon().is_idle(), "{so_far}");
    assert_eq!(system.world.frames_outstanding(), 0, "{so_far}");
}
