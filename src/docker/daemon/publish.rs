//! What moves with a container's gateway: its default routes and its published ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use linkspan_nat::interface::InterfaceName;

use super::Daemon;
use crate::docker::cli::ports::PortPublish;
use crate::docker::container::{Binding, Holder, Routes};
use crate::docker::drivers::bridge::{self};
use crate::docker::endpoint::{Active, Endpoint, gateways};
use crate::docker::error::DockerError;
use crate::docker::outcome::{HostView, Kill, Outcome, Spawn};
use crate::docker::ports::{Wanted, sort};
use crate::docker::rules::{GatewayMode, PublishedRules, family_of};
use crate::engine::plan::Owner;

impl Daemon {
    /// Brings default routes and published ports to where they belong now. A port that cannot be published again is
    /// reported in the outcome; the connection itself stands.
    pub(super) fn move_gateway(&mut self, number: u32, view: &HostView, outcome: &mut Outcome) {
        let before = self.publishing_network(number);
        self.set_routes(number, outcome);
        let Some(container) = self.containers.get(&number) else { return };
        let after = container.routes.as_ref().and_then(|routes| routes.v4.map(|(network, _)| network));
        if before == after {
            return;
        }
        self.unpublish(number, outcome);
        if let Err(error) = self.publish(number, view, outcome) {
            outcome.refuse(error);
        }
    }

    pub(super) fn publishing_network(&self, number: u32) -> Option<u32> {
        let routes = self.containers.get(&number)?.routes.as_ref()?;
        routes.v4.map(|(network, _)| network)
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
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let mut local = Outcome::default();
        let result = self.try_publish(number, view, &mut local);
        match result {
            Ok(()) => outcome.extend(local),
            Err(_) => self.forget_bindings(number),
        }
        result
    }

    pub(super) fn try_publish(
        &mut self,
        number: u32,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let profile = self.profile();
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let (v4, v6) = gateways(profile, &container.endpoints);
        let Some(endpoint) = v4.or(v6) else { return Ok(()) };
        let Some(network) = endpoint.network_number.and_then(|number| self.networks.get(&number)) else {
            return Ok(());
        };
        let (Some(config), Some(active)) = (network.driver.bridge(), endpoint.active.clone()) else {
            return Ok(());
        };
        if network.internal {
            return Ok(());
        }
        let mut wanted: Vec<PortPublish> = container.config.ports.clone();
        if container.config.publish_all {
            for port in &container.exposed {
                if !wanted.iter().any(|publish| publish.exposed() == *port) {
                    wanted.push(PortPublish::new(None, None, port.port, port.protocol));
                }
            }
        }
        sort(profile, &mut wanted);
        let prefix = profile.network_setup_error_prefix();
        let name = container.name.clone();
        let failed = |why: String| {
            DockerError::system(format!(
                "{prefix}driver failed programming external connectivity on endpoint {name} ({}): {why}",
                active.id
            ))
        };
        let (config, network_number) = (config.clone(), network.number);
        for publish in wanted {
            let addresses = self.host_addresses(&publish, config.host_binding, &active);
            let groups: Vec<Vec<IpAddr>> = if profile.joint_port_allocation() {
                vec![addresses]
            } else {
                addresses.into_iter().map(|address| vec![address]).collect()
            };
            for group in groups.iter().filter(|group| !group.is_empty()) {
                let Some(target) = active.ipv4.or(active.ipv6).map(|net| net.addr()) else { continue };
                let container = SocketAddr::new(target, publish.container_port);
                let routed = config.mode_v4 == GatewayMode::Routed;
                let port = if routed {
                    0
                } else {
                    let wanted = Wanted { publish: &publish, addresses: group, container };
                    let proxy = self.config.userland_proxy;
                    self.ports.allocate(profile, &wanted, view, proxy).map_err(failed)?
                };
                for address in group {
                    let host = SocketAddr::new(*address, port);
                    self.bind(number, network_number, &publish, host, &active, outcome);
                }
            }
        }
        Ok(())
    }

    /// The host addresses a publication listens on.
    pub(super) fn host_addresses(
        &self,
        publish: &PortPublish,
        binding: IpAddr,
        active: &Active,
    ) -> Vec<IpAddr> {
        match publish.host_ip {
            // There is no way from there to a container without IPv6 but a proxy.
            Some(address) if address.is_ipv6() && active.ipv6.is_none() && !self.config.userland_proxy => {
                Vec::new()
            }
            Some(address) => vec![address],
            None if binding.is_unspecified() => {
                let mut addresses = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
                if self.config.userland_proxy || active.ipv6.is_some() {
                    addresses.push(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
                }
                addresses
            }
            None => vec![binding],
        }
    }

    pub(super) fn bind(
        &mut self,
        number: u32,
        network: u32,
        publish: &PortPublish,
        host: SocketAddr,
        active: &Active,
        outcome: &mut Outcome,
    ) {
        let owner = Owner::Binding(self.next_number());
        let Some(network) = self.networks.get(&network) else { return };
        let (Some(config), Some(bridge)) = (network.driver.bridge(), network.bridge) else { return };
        // A port on an IPv6 address of the host leads to the container's IPv6 address, or through the proxy to IPv4.
        let same_family = if host.is_ipv6() { active.ipv6 } else { active.ipv4 };
        let Some(target) = same_family.or(active.ipv4).or(active.ipv6).map(|net| net.addr()) else { return };
        let container = SocketAddr::new(target, publish.container_port);
        let family = family_of(host.ip());
        if same_family.is_some()
            && self.filters(family)
            && let Some(subnet) = network.subnet(host.is_ipv6())
        {
            let rules = config.rules(bridge, subnet.pool.subnet(), network.internal);
            let port = PublishedRules { protocol: publish.protocol, host, container };
            self.firewall().publish(&mut outcome.plan, owner, &rules, &port);
        }
        let holder = match self.config.userland_proxy {
            true => Some(Holder::Proxy),
            false => self.profile().listens_without_proxy().then_some(Holder::Daemon),
        };
        let holder = holder.filter(|_| config.mode_v4 != GatewayMode::Routed);
        if let Some(holder) = holder {
            let namespace = self.host.namespace.clone();
            let target = (holder == Holder::Proxy).then_some(container);
            let (listen, protocol) = (host, publish.protocol);
            outcome.spawns.push(Spawn::Proxy { owner, namespace, listen, target, protocol });
        }
        let binding = Binding { owner, publish: *publish, host, container, holder };
        if let Some(container) = self.containers.get_mut(&number) {
            container.bindings.push(binding);
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
