//! Networks that are external: made before by somebody else, by a command that the file does not hold.
//!
//! Compose refuses to start when such a network is not there, and on the machine that the file is for it is. So it is
//! taken to be there, as the plainest network that fits: a bridge, with a subnet of its own only where a service asks
//! for a fixed address. A warning says what was taken.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::docker::request::{Ipam, IpamPool, NetworkCreate};
use crate::scenario::model::{Network, Scenario, Service};

/// Whether a network is external and none of those that every daemon has.
pub(in crate::scenario) fn is_assumed(network: &Network) -> bool {
    network.external && !matches!(network.name.as_str(), "bridge" | "host" | "none")
}

/// What made it.
pub(super) fn create(scenario: &Scenario, network: &Network) -> NetworkCreate {
    let subnets = subnets(&scenario.services, network);
    let ipv6 = subnets.iter().any(|subnet| matches!(subnet, IpNet::V6(_)));
    let pools = subnets.iter().map(|subnet| IpamPool { subnet: subnet.to_string(), ..IpamPool::default() });
    NetworkCreate {
        ipv6: Some(ipv6),
        ipam: Ipam { pools: pools.collect(), ..Ipam::default() },
        ..NetworkCreate::new(&network.name)
    }
}

/// The command that made it, for people.
pub(in crate::scenario) fn command(services: &[Service], network: &Network) -> String {
    let mut words = vec!["docker network create".to_owned()];
    for subnet in subnets(services, network) {
        if matches!(subnet, IpNet::V6(_)) {
            words.push("--ipv6".to_owned());
        }
        words.push(format!("--subnet {subnet}"));
    }
    words.push(network.name.clone());
    words.join(" ")
}

/// The smallest usual subnets that hold the fixed addresses asked for.
fn subnets(services: &[Service], network: &Network) -> Vec<IpNet> {
    let attachments = services.iter().flat_map(Service::attachments);
    let here: Vec<_> = attachments.filter(|at| at.network.value == network.key.value).collect();
    let v4: Vec<IpAddr> = here.iter().filter_map(|at| at.ipv4_address.map(IpAddr::from)).collect();
    let v6: Vec<IpAddr> = here.iter().filter_map(|at| at.ipv6_address.map(IpAddr::from)).collect();
    [covering(&v4, &[24, 16, 8]), covering(&v6, &[64, 48, 32])].into_iter().flatten().collect()
}

/// The first of these prefix lengths that covers all, else the last.
fn covering(addresses: &[IpAddr], lengths: &[u8]) -> Option<IpNet> {
    let first = *addresses.first()?;
    let nets = || lengths.iter().filter_map(|length| IpNet::new(first, *length).ok()).map(|net| net.trunc());
    nets().find(|net| addresses.iter().all(|address| net.contains(address))).or_else(|| nets().next_back())
}
