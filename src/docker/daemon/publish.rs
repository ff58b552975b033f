//! What moves with a container's gateway: its default routes and its published ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use linkspan_nat::interface::InterfaceName;

use super::Daemon;
use crate::docker::cli::ports::{PortPublish, Protocol};
use crate::docker::container::{Binding, Container, Holder, Routes};
use crate::docker::drivers::bridge::{self};
use crate::docker::endpoint::{Endpoint, gateways};
use crate::docker::error::DockerError;
use crate::docker::identity::Digits;
use crate::docker::outcome::{HostView, Kill, Outcome, Spawn};
use crate::docker::ports::{Wanted, sort};
use crate::docker::profile::ForgottenFlows;
use crate::docker::rules::{GatewayMode, PublishedRules, family_of};
use crate::engine::plan::{Connections, Op, Owner};

/// Why ports are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The container starts, or has another network.
    Join,
    /// It has lost a network.
    Leave,
}

/// One endpoint's part in publishing: where ports on the host's addresses of each family lead.
struct Side {
    network: u32,
    endpoint: Digits,
    owner: Owner,
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
    /// Without an address of its own, IPv6 is led to IPv4 by the userland proxy.
    proxied: bool,
    /// The network's default host address.
    binding: IpAddr,
    /// Whether IPv4 and IPv6 are routed: no host port, the container's own is opened.
    routed: [bool; 2],
}

/// An address of the host and the container's address that it leads to.
struct Lead {
    publish: PortPublish,
    address: IpAddr,
    target: IpAddr,
    routed: bool,
}

impl Side {
    /// What one publication comes to, IPv4 first. Without a host address the network's default decides, of which 0.0.0.0
    /// means both families and `::` IPv6 alone. What has nowhere to lead is left out.
    fn leads(&self, publish: &PortPublish) -> impl Iterator<Item = Lead> {
        let given = publish.host_ip.unwrap_or(self.binding);
        let both = publish.host_ip.is_none() && given == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let v6_target = self.v6.or(self.v4.filter(|_| self.proxied));
        let lead = |address: IpAddr, target: Option<IpAddr>| {
            let routed = self.routed[usize::from(address.is_ipv6())];
            let address = match (routed, address) {
                (false, address) => address,
                (true, IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                (true, IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            target.map(|target| Lead { publish: *publish, address, target, routed })
        };
        let v4 = given.is_ipv4().then(|| lead(given, self.v4)).flatten();
        let v6 = match (given, both) {
            (IpAddr::V6(_), _) => lead(given, v6_target),
            (_, true) => lead(IpAddr::V6(Ipv6Addr::UNSPECIFIED), v6_target),
            (IpAddr::V4(_), false) => None,
        };
        v4.into_iter().chain(v6)
    }
}

fn differ_in_address_only(one: &PortPublish, other: &PortPublish) -> bool {
    let same = |port: &PortPublish| PortPublish { host_ip: None, ..*port };
    same(one) == same(other)
}

impl Daemon {
    /// Brings default routes and published ports to where they belong now. A port that cannot be published again is
    /// reported in the outcome; the connection itself stands.
    pub(super) fn move_gateway(
        &mut self,
        number: u32,
        occasion: Occasion,
        view: &HostView,
        outcome: &mut Outcome,
    ) {
        let before = self.publishing_networks(number);
        self.set_routes(number, outcome);
        if before == self.publishing_networks(number) {
            return;
        }
        self.unpublish(number, outcome);
        if let Err(error) = self.publish(number, occasion, view, outcome) {
            outcome.refuse(self.client, error);
        }
    }

    /// The networks of the default routes that decide where ports are published.
    fn publishing_networks(&self, number: u32) -> [Option<u32>; 2] {
        let routes = self.containers.get(&number).and_then(|container| container.routes.as_ref());
        let network = |route: Option<(u32, IpAddr)>| route.map(|(network, _)| network);
        let by_family = self.profile().publishes_by_family();
        routes.map_or([None, None], |routes| [network(routes.v4), network(routes.v6).filter(|_| by_family)])
    }

    /// Plans the default routes, unless they are right already.
    pub(super) fn set_routes(&mut self, number: u32, outcome: &mut Outcome) {
        let next = Owner::Endpoint(self.next_number());
        let profile = self.profile();
        let Some(container) = self.containers.get_mut(&number) else { return };
        let Some(sandbox) = &container.sandbox else { return };
        let (v4, v6) = gateways(profile, &container.endpoints);
        let of = |endpoint: Option<&Endpoint>, v6: bool| {
            let endpoint = endpoint?;
            let active = endpoint.active.as_ref()?;
            let gateway = if v6 { active.gateway_v6 } else { active.gateway_v4 };
            Some((endpoint.network_number?, gateway?, active.device?))
        };
        let (v4, v6) = (of(v4, false), of(v6, true));
        let plain = |route: Option<(u32, IpAddr, InterfaceName)>| route.map(|(network, ip, _)| (network, ip));
        let wanted = Routes { owner: next, v4: plain(v4), v6: plain(v6) };
        if let Some(routes) = &container.routes {
            if (routes.v4, routes.v6) == (wanted.v4, wanted.v6) {
                return;
            }
            outcome.plan.remove_owner(routes.owner);
        }
        for (_, gateway, device) in v4.into_iter().chain(v6) {
            bridge::default_route(&mut outcome.plan, next, &sandbox.namespace, device, gateway);
        }
        container.routes = (wanted.v4.is_some() || wanted.v6.is_some()).then_some(wanted);
    }

    /// Publishes the container's ports on the network that carries its default route.
    pub(super) fn publish(
        &mut self,
        number: u32,
        occasion: Occasion,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let mut local = Outcome::default();
        let result = self.try_publish(number, occasion, view, &mut local);
        match result {
            Ok(()) => outcome.extend(local),
            Err(_) => self.forget_bindings(number),
        }
        result
    }

    fn try_publish(
        &mut self,
        number: u32,
        occasion: Occasion,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let profile = self.profile();
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let mut wanted: Vec<PortPublish> = container.made_from.config.ports.clone();
        if container.made_from.config.publish_all {
            for port in &container.made_from.exposed {
                if !wanted.iter().any(|publish| publish.exposed() == *port) {
                    wanted.push(PortPublish::new(None, None, port.port, port.protocol));
                }
            }
        }
        sort(profile, &mut wanted);
        let name = container.name.clone();
        let joint = profile.joint_port_allocation();
        for side in self.sides(container, occasion) {
            let failed = |why: String| {
                DockerError::system(format!(
                    "driver failed programming external connectivity on endpoint {name} ({}): {why}",
                    side.endpoint
                ))
            };
            if let Some(publish) = wanted.iter().find(|publish| publish.protocol == Protocol::Icmp) {
                return Err(failed(profile.unpublishable(publish.protocol)));
            }
            // Neighbours that differ in the host's address only get one port.
            for alike in wanted.chunk_by(|one, other| joint && differ_in_address_only(one, other)) {
                let leads: Vec<Lead> = alike.iter().flat_map(|publish| side.leads(publish)).collect();
                for group in leads.chunks(if joint { leads.len().max(1) } else { 1 }) {
                    let translated = group.iter().filter(|lead| !lead.routed);
                    let addresses: Vec<IpAddr> = translated.map(|lead| lead.address).collect();
                    let mut port = 0;
                    if let (Some(first), false) = (group.first(), addresses.is_empty()) {
                        let container = SocketAddr::new(first.target, first.publish.container_port);
                        let wanted = Wanted { publish: &first.publish, addresses: &addresses, container };
                        let proxy = self.config.userland_proxy;
                        port = self.ports.allocate(profile, &wanted, view, proxy).map_err(failed)?;
                    }
                    for lead in group {
                        self.bind(number, side.network, lead, port, outcome);
                    }
                }
            }
            self.forget_flows(number, &side, outcome);
        }
        Ok(())
    }

    /// Plans that flows older than an endpoint's rules begin anew, as the rules would have them.
    fn forget_flows(&self, number: u32, side: &Side, outcome: &mut Outcome) {
        let Some(forgotten) = self.profile().forgets_flows_when_publishing() else { return };
        let Some(container) = self.containers.get(&number) else { return };
        let ends = [side.v4, side.v6].into_iter().flatten().map(Connections::WithReplyEnd);
        let of_endpoint = container.bindings.iter().filter(|binding| {
            binding.network == side.network
                && binding.publish.protocol == Protocol::Udp
                && binding.host.port() != 0
        });
        let opened = of_endpoint.map(|binding| {
            let address = match forgotten {
                ForgottenFlows::OfThePort => None,
                ForgottenFlows::OfTheAddress => Some(binding.host.ip()).filter(|ip| !ip.is_unspecified()),
            };
            Connections::OpenedToUdp(binding.host.port(), address)
        });
        for which in ends.chain(opened) {
            let namespace = self.host.namespace.clone();
            outcome.plan.push(side.owner, Op::FlushConnections { namespace, which });
        }
    }

    /// The endpoints that publish the container's ports.
    fn sides(&self, container: &Container, occasion: Occasion) -> Vec<Side> {
        let profile = self.profile();
        let (v4, v6) = gateways(profile, &container.endpoints);
        let endpoints = match profile.publishes_by_family() {
            true => [v4, v6],
            false => [v4.or(v6), v4.or(v6)],
        };
        let [Some(for_v4), for_v6] =
            endpoints.map(|endpoint| endpoint.and_then(|e| self.publisher(e, occasion)))
        else {
            let only = endpoints[1].and_then(|endpoint| self.publisher(endpoint, occasion));
            return only.into_iter().map(|side| Side { v4: None, ..side }).collect();
        };
        match for_v6 {
            Some(for_v6) if for_v6.network == for_v4.network => vec![for_v4],
            // What the other endpoint has for IPv6 is not proxied to this one's IPv4.
            Some(for_v6) => {
                vec![Side { v6: None, proxied: false, ..for_v4 }, Side { v4: None, proxied: false, ..for_v6 }]
            }
            None => vec![Side { v6: None, proxied: for_v4.proxied && endpoints[1].is_none(), ..for_v4 }],
        }
    }

    /// An endpoint of a bridge network with a way out, or of the one that is left.
    fn publisher(&self, endpoint: &Endpoint, occasion: Occasion) -> Option<Side> {
        let network = self.networks.get(&endpoint.network_number?)?;
        let (config, active) = (network.driver.bridge()?, endpoint.active.as_ref()?);
        let left = occasion == Occasion::Leave && self.profile().publishes_on_what_is_left();
        (!network.internal || left).then(|| Side {
            network: network.number,
            endpoint: active.id,
            owner: active.owner,
            v4: active.ipv4.map(|net| net.addr()),
            v6: active.ipv6.map(|net| net.addr()),
            proxied: self.config.userland_proxy,
            binding: config.host_binding,
            routed: [false, true].map(|v6| config.mode(v6) == GatewayMode::Routed),
        })
    }

    fn bind(&mut self, number: u32, network: u32, lead: &Lead, port: u16, outcome: &mut Outcome) {
        let owner = Owner::Binding(self.next_number());
        let port = if lead.routed { 0 } else { port };
        let holder = (!lead.routed).then_some(match self.config.userland_proxy {
            true => Holder::Proxy,
            false => Holder::Daemon,
        });
        let binding = Binding {
            owner,
            publish: lead.publish,
            network,
            host: SocketAddr::new(lead.address, port),
            container: SocketAddr::new(lead.target, lead.publish.container_port),
            holder,
        };
        let earlier = self.containers.get(&number).map_or(&[][..], |container| &container.bindings);
        self.write_binding(earlier, &binding, outcome);
        if let Some(holder) = holder {
            let namespace = self.host.namespace.clone();
            let target = (holder == Holder::Proxy).then_some(binding.container);
            let (listen, protocol) = (binding.host, binding.protocol());
            outcome.spawns.push(Spawn::Proxy { owner, namespace, listen, target, protocol });
        }
        if let Some(container) = self.containers.get_mut(&number) {
            container.bindings.push(binding);
        }
    }

    /// Plans the rules of a binding that follows `earlier` ones of its container. Between families only the proxy leads.
    pub(super) fn write_binding(&self, earlier: &[Binding], binding: &Binding, outcome: &mut Outcome) {
        let v6 = binding.host.is_ipv6();
        let Some(network) = self.networks.get(&binding.network) else { return };
        let (Some(config), Some(bridge)) = (network.driver.bridge(), network.bridge) else { return };
        if network.internal {
            return;
        }
        let Some(subnet) = network.subnet(v6) else { return };
        if v6 == binding.container.is_ipv6() && self.filters(family_of(binding.host.ip())) {
            let rules = config.rules(bridge, subnet.pool.subnet(), network.internal);
            let (protocol, host, container) = (binding.protocol(), binding.host, binding.container);
            let port = PublishedRules { protocol, host, container };
            let again = earlier.iter().any(|other| {
                (other.protocol(), other.container) == (protocol, container) && other.host.is_ipv6() == v6
            });
            self.firewall().publish(&mut outcome.plan, binding.owner, &rules, &port, again);
        }
    }

    /// Plans the end of the container's published ports and gives the host ports back.
    pub(super) fn unpublish(&mut self, number: u32, outcome: &mut Outcome) {
        if let Some(container) = self.containers.get(&number) {
            for binding in container.bindings.iter().rev() {
                if binding.holder.is_some() {
                    outcome.kills.push(Kill::Proxy { owner: binding.owner });
                }
                outcome.plan.remove_owner(binding.owner);
            }
        }
        self.forget_bindings(number);
    }

    pub(super) fn forget_bindings(&mut self, number: u32) {
        let Some(container) = self.containers.get_mut(&number) else { return };
        for binding in container.bindings.drain(..) {
            self.ports.release(binding.host.ip(), binding.publish.protocol, binding.host.port());
        }
    }
}
