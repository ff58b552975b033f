//! A container's attachment to a network, and which of several attachments carries the default route.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;
use linkspan_switch::mac::MacAddress;

use super::identity::{Digits, Id};
use super::profile::{GatewayChoice, Profile};
use super::request::EndpointConfig;
use crate::engine::plan::Owner;

/// An endpoint as asked for, and as it is while the container runs.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// What was asked for.
    pub config: Arc<EndpointConfig>,
    /// The network's name, or the text given while no such network was known.
    pub network_name: String,
    /// The network's id, once known.
    pub network_id: Option<Id>,
    /// The daemon's number of the network, once known.
    pub network_number: Option<u32>,
    /// It was made by `network connect`.
    pub connected: bool,
    /// A start or `network connect` has found its network, and with it which names it has there.
    pub named: bool,
    /// What exists while the container runs.
    pub active: Option<Active>,
}

/// An endpoint that is up.
#[derive(Debug, Clone)]
pub struct Active {
    /// Its id.
    pub id: Digits,
    /// The owner of its devices and addresses.
    pub owner: Owner,
    /// The container's device; none on `host` and `none`.
    pub device: Option<InterfaceName>,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// Its IPv4 address.
    pub ipv4: Option<IpNet>,
    /// Its IPv6 address.
    pub ipv6: Option<IpNet>,
    /// The gateways it offers for a default route.
    pub gateway_v4: Option<IpAddr>,
    /// The same for IPv6.
    pub gateway_v6: Option<IpAddr>,
    /// What inspect shows as gateway, which an internal network has as well.
    pub shown_gateway_v4: Option<IpAddr>,
    /// The same for IPv6.
    pub shown_gateway_v6: Option<IpAddr>,
    /// Its network has no way out.
    pub internal: bool,
    /// Its network's driver publishes ports, or says which could be.
    pub maps_ports: bool,
}

impl Active {
    /// The addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.ipv4.into_iter().chain(self.ipv6)
    }
}

/// The endpoints that are up in gateway order: the order of DNS lookups and of interface names at start.
pub fn in_gateway_order(profile: Profile, endpoints: &[Endpoint]) -> Vec<&Endpoint> {
    let mut up: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.active.is_some()).collect();
    up.sort_by_key(|endpoint| {
        let priority = if profile.applies_gateway_priority() { endpoint.config.gw_priority } else { 0 };
        let (internal, v4, v6) = endpoint.active.as_ref().map_or((false, false, false), |active| {
            (active.internal, active.gateway_v4.is_some(), active.gateway_v6.is_some())
        });
        // 20.10 weighs an IPv6 gateway twice; later releases count the families.
        let weight = match profile.gateway_choice() {
            GatewayChoice::FirstIpv4 => u8::from(v4) + 2 * u8::from(v6),
            GatewayChoice::DualStackFirst => u8::from(v4) + u8::from(v6),
        };
        (std::cmp::Reverse(priority), internal, std::cmp::Reverse(weight), endpoint.network_name.clone())
    });
    up
}

/// The endpoints that carry the IPv4 and the IPv6 default route.
pub fn gateways(profile: Profile, endpoints: &[Endpoint]) -> (Option<&Endpoint>, Option<&Endpoint>) {
    let order = in_gateway_order(profile, endpoints);
    let has = |endpoint: &Endpoint, v6: bool| {
        endpoint
            .active
            .as_ref()
            .is_some_and(|active| if v6 { active.gateway_v6.is_some() } else { active.gateway_v4.is_some() })
    };
    let first = |v6: bool| order.iter().find(|endpoint| has(endpoint, v6)).copied();
    match profile.gateway_choice() {
        GatewayChoice::FirstIpv4 => {
            let v4 = first(false);
            (v4, v4.filter(|endpoint| has(endpoint, true)).or_else(|| first(true).filter(|_| v4.is_none())))
        }
        GatewayChoice::DualStackFirst => {
            let dual = order.iter().find(|endpoint| has(endpoint, false) && has(endpoint, true)).copied();
            (dual.or_else(|| first(false)), dual.or_else(|| first(true)))
        }
    }
}
