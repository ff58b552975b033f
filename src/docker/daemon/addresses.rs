//! The addresses of endpoints: what is wrong with those that are asked for, and what a network hands out.

use std::net::IpAddr;

use ipnet::IpNet;
use linkspan_switch::mac::MacAddress;

use crate::docker::error::DockerError;
use crate::docker::network::{Network, Subnet};

/// What 20.10 has against a fixed address on a network.
pub(super) fn address_error_20_10(network: &Network, text: &str, v6: bool) -> Option<String> {
    let Ok(address) = text.parse::<IpAddr>() else {
        let family = if v6 { 6 } else { 4 };
        return Some(format!("Invalid IPv{family} address: {text})"));
    };
    let subnets: Vec<_> = subnets_of(network, v6).collect();
    if !subnets.iter().any(|subnet| subnet.configured) {
        return Some(NO_CONFIGURED_SUBNET.to_owned());
    }
    let inside = subnets.iter().any(|subnet| subnet.pool.subnet().contains(&address));
    (!inside)
        .then(|| format!("Invalid address {address}: It does not belong to any of this network's subnets"))
}

/// What newer engines have against where a fixed address is; a text that is no address is nowhere.
pub(super) fn range_error(network: &Network, text: &str, v6: bool) -> Option<String> {
    let address = text.parse::<IpAddr>().ok();
    let mut configured = subnets_of(network, v6).filter(|subnet| subnet.configured).peekable();
    if configured.peek().is_none() {
        return Some(NO_CONFIGURED_SUBNET.to_owned());
    }
    let inside = |subnet: &Subnet| address.is_some_and(|address| subnet.pool.subnet().contains(&address));
    (!configured.any(inside))
        .then(|| format!("no configured subnet or ip-range contain the IP address {text}"))
}

const NO_CONFIGURED_SUBNET: &str =
    "user specified IP address is supported only when connecting to networks with user configured subnets";

pub(super) fn subnets_of(network: &Network, v6: bool) -> impl Iterator<Item = &Subnet> {
    network.subnets.iter().filter(move |subnet| subnet.pool.subnet().addr().is_ipv6() == v6)
}

/// Takes an address of one family for an endpoint; `None` if the network has none of that family.
pub(super) fn allocate(
    network: &mut Network,
    v6: bool,
    asked: Option<&str>,
) -> Result<Option<IpNet>, DockerError> {
    let (name, id) = (network.name.clone(), network.id.clone());
    let of_family = |net: IpNet| net.addr().is_ipv6() == v6;
    let mut subnets: Vec<_> =
        network.subnets.iter_mut().filter(|subnet| of_family(subnet.pool.subnet())).collect();
    if subnets.is_empty() {
        return Ok(None);
    }
    if let Some(address) = asked.and_then(|text| text.parse::<IpAddr>().ok()) {
        for subnet in &mut subnets {
            if subnet.pool.subnet().contains(&address) {
                let claimed = subnet.pool.claim(address);
                claimed.map_err(|error| DockerError::forbidden(error.to_string()))?;
                return Ok(IpNet::new(address, subnet.pool.subnet().prefix_len()).ok());
            }
        }
        return Err(DockerError::bad_parameter(format!(
            "Invalid address {address}: It does not belong to any of this network's subnets"
        )));
    }
    for subnet in subnets {
        if let Ok(address) = subnet.pool.allocate() {
            return Ok(IpNet::new(address, subnet.pool.subnet().prefix_len()).ok());
        }
    }
    let family = if v6 { 6 } else { 4 };
    Err(DockerError::system(format!(
        "no available IPv{family} addresses on this network's address pools: {name} ({id})"
    )))
}

/// The address that a hardware address gives behind the prefix of its network, where there is room and nobody has it;
/// else the one that was given.
pub(super) fn behind_prefix(network: &mut Network, given: IpNet, mac: MacAddress) -> IpNet {
    const ROOM: u8 = 80;
    let (IpAddr::V6(net), length) = (given.network(), given.prefix_len()) else { return given };
    let address = IpAddr::from(std::net::Ipv6Addr::from_bits(net.to_bits() | u128::from(mac.to_u64())));
    let subnet = network.subnets.iter_mut().find(|subnet| subnet.pool.subnet().contains(&given.addr()));
    let (Some(subnet), Ok(derived)) = (subnet, IpNet::new(address, length)) else { return given };
    if length > ROOM || subnet.pool.claim(address).is_err() {
        return given;
    }
    subnet.pool.release(given.addr());
    derived
}

pub(super) fn release(network: &mut Network, address: IpAddr) {
    for subnet in &mut network.subnets {
        subnet.pool.release(address);
    }
}

/// An address of `--link-local-ip` with the prefix of its kind (RFC 3927, RFC 4291).
pub(super) fn link_local(text: &str) -> Option<IpNet> {
    let address: IpAddr = text.parse().ok()?;
    IpNet::new(address, if address.is_ipv4() { 16 } else { 64 }).ok()
}
