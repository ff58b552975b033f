//! Networks: create, remove. Their subnets are chosen in `subnets`; the predefined ones are made in `default_bridge`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::Family;

use super::{Daemon, index_of};
use crate::docker::client::ClientVersion;
use crate::docker::container::Container;
use crate::docker::drivers::Driver;
use crate::docker::drivers::bridge::{self, BridgeConfig, BridgeDevice, IPV6_MIN_MTU};
use crate::docker::error::DockerError;
use crate::docker::network::{Network, ShownIpam, Subnet, is_predefined};
use crate::docker::outcome::{HostView, Outcome};
use crate::docker::profile::Profile;
use crate::docker::request::{NetworkCreate, NetworkRemove};
use crate::docker::rules::{Firewall, GatewayMode};
use crate::engine::plan::DuplicateDetection;

/// What a bridge of a network with IPv6 has on its link.
const BRIDGE_GATEWAY: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The prefix of the addresses that every IPv6 interface has.
const LINK_LOCAL: &str = "fe80::/64";

impl Daemon {
    pub(super) fn network_create(
        &mut self,
        now: Duration,
        request: &NetworkCreate,
        view: &HostView,
    ) -> Result<Outcome, DockerError> {
        let mut request = request.clone();
        self.check_new_network(&request)?;
        self.check_configuration(&request)?;
        if let Some(from) = request.config_from.clone() {
            self.copy_configuration(&mut request, &from)?;
        }
        if let Some(options) = self.config.default_network_opts.get(&request.driver)
            && request.config_from.is_none()
        {
            for (key, value) in options {
                request.options.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        self.choose_families(&mut request)?;
        let driver = if request.config_only {
            Driver::None
        } else {
            match Driver::parse(&request.driver, &request.options, self.profile()) {
                Ok(driver) => driver,
                Err(error) => {
                    self.pass_over_subnets(now, &request, view)?;
                    return Err(error);
                }
            }
        };
        self.check_ipam(&request.ipam)?;
        let mut network = self.new_network(now, &request, driver);
        if request.config_only {
            network.shown.config.clone_from(&request.ipam.pools);
        } else {
            self.allocate_subnets(&mut network, &request.ipam, view)?;
        }
        let mut outcome = Outcome::default();
        if let Err(error) = self.realise(&mut network, view, &mut outcome) {
            self.release_subnets(&network);
            return Err(error);
        }
        outcome.say(network.id.as_str());
        let number = network.number;
        self.insert_network(network);
        outcome.events.extend(self.network_event(now, "create", number, None));
        Ok(outcome)
    }

    /// Which address families a new network has: those that are asked for, else those that its options name.
    fn choose_families(&self, request: &mut NetworkCreate) -> Result<(), DockerError> {
        let NetworkCreate { ipv4, ipv6, options, .. } = request;
        let switches = self.profile().applies_ipv4_switch();
        for (wanted, key, default) in
            [(ipv4, "com.docker.network.enable_ipv4", true), (ipv6, "com.docker.network.enable_ipv6", false)]
        {
            let by_option = match options.get(key).filter(|_| switches && wanted.is_none()) {
                Some(text) => Some(bridge::parse_bool(text).ok_or_else(|| {
                    DockerError::bad_parameter(format!("driver-opt {key:?} is not a valid bool"))
                })?),
                None => None,
            };
            if switches && wanted.is_some() {
                options.remove(key);
            }
            *wanted = Some(wanted.or(by_option).unwrap_or(default));
        }
        if !switches {
            request.ipv4 = Some(true);
        }
        Ok(())
    }

    /// Drivers read their options after the subnets are chosen: what it refuses has used up a place in the
    /// round of pools.
    fn pass_over_subnets(
        &mut self,
        now: Duration,
        request: &NetworkCreate,
        view: &HostView,
    ) -> Result<(), DockerError> {
        let driver = match request.driver.as_str() {
            "bridge" => Some(Driver::Bridge(BridgeConfig::default())),
            "macvlan" | "ipvlan" => Some(Driver::None),
            _ => None,
        };
        if let Some(driver) = driver {
            let mut network = self.new_network(now, request, driver);
            self.allocate_subnets(&mut network, &request.ipam, view)?;
            self.release_subnets(&network);
        }
        Ok(())
    }

    fn check_new_network(&self, request: &NetworkCreate) -> Result<(), DockerError> {
        let name = &request.name;
        if is_predefined(name) {
            let text = format!("operation is not permitted on predefined {name} network ");
            return Err(DockerError::forbidden(text));
        }
        if name.trim().is_empty() {
            return Err(match self.profile() {
                Profile::Docker20_10 => {
                    DockerError::conflict(format!("network with name {name} already exists"))
                }
                Profile::Docker28 | Profile::Docker29 => {
                    DockerError::bad_parameter("invalid name: name is empty")
                }
            });
        }
        if self.network_names.contains_key(name) {
            return Err(DockerError::conflict(format!("network with name {name} already exists")));
        }
        if request.config_only {
            return Ok(());
        }
        if request.ingress {
            return Err(DockerError::forbidden("Ingress network can only be global scope network"));
        }
        if request.scope.as_deref() == Some("swarm") {
            let text = "cannot create a swarm scoped network when swarm is not active";
            return Err(DockerError::forbidden(text));
        }
        Ok(())
    }

    /// What libnetwork's `validateConfiguration` refuses about configuration networks and those made from one.
    fn check_configuration(&self, request: &NetworkCreate) -> Result<(), DockerError> {
        if request.config_only
            && (request.ingress || request.internal || request.attachable || request.scope.is_some())
        {
            return Err(DockerError::forbidden(
                "configuration network can only contain network specific fields. Network operator fields like [ ingress | \
                 internal | attachable | scope ] are not supported.",
            ));
        }
        if request.config_from.is_none() {
            return Ok(());
        }
        if request.config_only {
            let text = "a configuration network cannot depend on another configuration network";
            return Err(DockerError::forbidden(text));
        }
        let ipam = &request.ipam;
        let without_ipv4 = request.ipv4 == Some(false) && self.profile().applies_ipv4_switch();
        let own = without_ipv4
            || request.ipv6 == Some(true)
            || !matches!(ipam.driver.as_str(), "" | "default")
            || !ipam.options.is_empty()
            || !ipam.pools.is_empty()
            || !request.labels.is_empty();
        if own {
            let text = "user specified configurations are not supported if the network depends on a configuration network";
            return Err(DockerError::forbidden(text));
        }
        if !request.options.is_empty() {
            let text =
                "network driver options are not supported if the network depends on a configuration network";
            return Err(DockerError::forbidden(text));
        }
        Ok(())
    }

    /// Gives a network what the configuration network of this name holds.
    fn copy_configuration(&self, request: &mut NetworkCreate, from: &str) -> Result<(), DockerError> {
        let source = self.network_names.get(from).and_then(|number| self.networks.get(number));
        let source = source.filter(|network| network.config_only).ok_or_else(|| {
            DockerError::not_found(format!("configuration network \"{from}\" does not exist"))
        })?;
        request.options.clone_from(&source.options);
        request.ipam.pools.clone_from(&source.shown.config);
        request.ipam.driver.clone_from(&source.shown.driver);
        request.ipam.options = source.shown.options.clone().unwrap_or_default();
        request.ipv4 = Some(source.ipv4);
        request.ipv6 = Some(source.ipv6);
        request.labels.clone_from(&source.labels);
        Ok(())
    }

    pub(super) fn new_network(&mut self, now: Duration, request: &NetworkCreate, driver: Driver) -> Network {
        let number = self.next_number();
        let id = self.source.id();
        let bridge = driver.bridge().and_then(|config| {
            config.bridge.or_else(|| InterfaceName::parse(&format!("br-{}", id.short())).ok())
        });
        Network {
            number,
            id,
            name: request.name.clone(),
            created: now,
            driver,
            internal: request.internal,
            attachable: request.attachable,
            ipv4: request.ipv4.unwrap_or(true),
            ipv6: request.ipv6.unwrap_or(false),
            options: request.options.clone(),
            labels: request.labels.clone(),
            config_only: request.config_only,
            config_from: request.config_from.clone(),
            shown: ShownIpam {
                driver: request.ipam.driver.clone(),
                options: (!is_predefined(&request.name)).then(|| request.ipam.options.clone()),
                config: Vec::new(),
            },
            subnets: Vec::new(),
            parent: None,
            bridge,
            members: BTreeSet::new(),
        }
    }

    /// Writes the plan of a network's bridge and rules, or of its parent device.
    pub(super) fn realise(
        &mut self,
        network: &mut Network,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        self.take_parent(network, view, outcome)?;
        let (Some(config), Some(name)) = (network.driver.bridge(), network.bridge) else { return Ok(()) };
        self.check_bridge(network, config, name, view)?;
        let mtu = self.bridge_mtu(config, name, view);
        if network.ipv6 && mtu < IPV6_MIN_MTU {
            // The kernel has taken IPv6 from the device, and the device's files with it.
            return Err(DockerError::system(format!(
                "Cannot read IPv6 setup for bridge {name}: open /proc/sys/net/ipv6/conf/{name}/disable_ipv6: no such \
                 file or directory"
            )));
        }
        self.make_bridge(network, view, outcome);
        if self.filters(Family::Ipv4) {
            self.firewall().end_user_chain(&mut outcome.plan, self.kernel, Family::Ipv4);
        }
        self.write_rules(network, outcome);
        Ok(())
    }

    /// The MTU of a network's bridge while nothing is plugged in.
    fn bridge_mtu(&self, config: &BridgeConfig, name: InterfaceName, view: &HostView) -> u32 {
        let present = view.devices.interface(name.as_str()).and_then(|interface| interface.mtu);
        match config.mtu {
            mtu if mtu > 0 && self.profile().sets_bridge_mtu() => mtu,
            _ => present.unwrap_or(bridge::DEFAULT_MTU),
        }
    }

    pub(super) fn make_bridge(&mut self, network: &Network, view: &HostView, outcome: &mut Outcome) {
        let (Some(config), Some(name)) = (network.driver.bridge(), network.bridge) else { return };
        let mut addresses = Vec::new();
        for subnet in &network.subnets {
            let v6 = subnet.pool.subnet().addr().is_ipv6();
            let mode = if v6 { config.mode_v6 } else { config.mode_v4 };
            let hidden = mode == GatewayMode::Isolated || config.inhibit_ipv4 && !v6;
            let gateway = subnet.gateway.filter(|_| !hidden);
            addresses.extend(
                gateway.and_then(|gateway| IpNet::new(gateway, subnet.pool.subnet().prefix_len()).ok()),
            );
        }
        let profile = self.profile();
        let present = view.devices.interface(name.as_str());
        let mac =
            (present.is_none() && profile.bridge_device_mac_prefix()).then(|| self.source.prefixed_mac());
        if let Some(interface) = &present {
            addresses.retain(|address| !interface.addresses.contains(address));
        }
        let asks = profile.asks_for_bridge_addresses();
        let device = BridgeDevice {
            namespace: &self.host.namespace,
            name,
            create: present.is_none(),
            mac,
            mtu: self.bridge_mtu(config, name, view),
            addresses,
            detection: if asks { DuplicateDetection::Wanted } else { DuplicateDetection::Omitted },
            link_local: asks,
            route_localnet: !self.config.userland_proxy,
        };
        bridge::create(&mut outcome.plan, network.owner(), &device);
        self.forward_for(network, view, outcome);
    }

    /// What a network needs to be forwarded.
    fn forward_for(&mut self, network: &Network, view: &HostView, outcome: &mut Outcome) {
        if network.ipv4 && self.profile().forwards_when_a_network_needs_it() {
            self.forward(Family::Ipv4, view, outcome);
        }
        if network.ipv6 {
            self.forward(Family::Ipv6, view, outcome);
        }
    }

    pub(super) fn write_rules(&mut self, network: &Network, outcome: &mut Outcome) {
        self.write_rules_with(&self.firewall(), network, outcome);
    }

    pub(super) fn write_rules_with(&mut self, firewall: &Firewall, network: &Network, outcome: &mut Outcome) {
        let (Some(config), Some(name)) = (network.driver.bridge(), network.bridge) else { return };
        let (plan, rules_owner) = (&mut outcome.plan, network.rules_owner());
        for family in [Family::Ipv4, Family::Ipv6] {
            if !self.filters(family) {
                continue;
            }
            let Some(subnet) = network.subnet(family == Family::Ipv6) else {
                if !network.internal {
                    firewall.isolate(plan, rules_owner, family, name);
                }
                continue;
            };
            let jumps = &mut self.nat_jumps[index_of(family)];
            if firewall.nat_jumps_come_with_networks() && !network.internal && !std::mem::replace(jumps, true)
            {
                firewall.nat_jumps(plan, self.owner, family);
            }
            let rules = config.rules(name, subnet.pool.subnet(), network.internal);
            firewall.network(plan, rules_owner, self.owner, &rules);
        }
    }

    fn check_bridge(
        &self,
        network: &Network,
        config: &BridgeConfig,
        name: InterfaceName,
        view: &HostView,
    ) -> Result<(), DockerError> {
        if !network.ipv4 && !network.ipv6 {
            return Err(DockerError::bad_parameter("IPv4 or IPv6 must be enabled"));
        }
        for subnet in &network.subnets {
            self.check_ipv6_gateway(subnet)?;
        }
        let isolated = [config.mode_v4, config.mode_v6].contains(&GatewayMode::Isolated);
        if isolated && !network.internal {
            let text = "gateway mode 'isolated' can only be used for an internal network";
            return Err(DockerError::bad_parameter(text));
        }
        let conflict = |other: &Network, why: &str| {
            let bridge = other.bridge.map(|bridge| bridge.to_string()).unwrap_or_default();
            DockerError::forbidden(format!(
                "cannot create network {} ({name}): conflicts with network {} ({bridge}): {why}",
                network.id, other.id
            ))
        };
        if let Some(other) = self.bridges.get(&name).and_then(|number| self.networks.get(number)) {
            return Err(conflict(other, "networks have same bridge name"));
        }
        let there = view.devices.interface(name.as_str());
        if there.is_some_and(|interface| !interface.bridge) {
            return Err(DockerError::system(format!("existing interface {name} is not a bridge")));
        }
        // Only a request with a range gets past the address management with an overlap.
        for subnet in network.subnets.iter().filter(|subnet| subnet.range.is_some()) {
            let own = subnet.pool.subnet();
            for other in self.networks.values().filter(|other| other.bridge.is_some()) {
                let theirs = other.subnets.iter().map(|subnet| subnet.pool.subnet());
                if theirs.into_iter().any(|net| net.contains(&own) || own.contains(&net)) {
                    let family = if own.addr().is_ipv4() { "IPv4" } else { "IPv6" };
                    return Err(conflict(other, &format!("networks have overlapping {family}")));
                }
            }
        }
        Ok(())
    }

    /// Which IPv6 subnets a bridge does not take. 20.10 leaves it to the kernel.
    fn check_ipv6_gateway(&self, subnet: &Subnet) -> Result<(), DockerError> {
        let (net, Some(IpAddr::V6(gateway))) = (subnet.pool.subnet(), subnet.gateway) else { return Ok(()) };
        let address = format!("{gateway}/{}", net.prefix_len());
        let link_local = |net: &IpNet| net.addr().is_ipv6() && net.to_string() == LINK_LOCAL;
        let within = || LINK_LOCAL.parse::<IpNet>().is_ok_and(|all| all.contains(&net) || net.contains(&all));
        match (self.profile(), gateway.is_multicast()) {
            (Profile::Docker20_10, true) => Err(DockerError::system(format!(
                "failed to add IPv6 address {address} to bridge: cannot assign requested address"
            ))),
            // The bridge has that address with another prefix before.
            (Profile::Docker20_10, false) if gateway == BRIDGE_GATEWAY && net.prefix_len() != 64 => {
                let text = format!("failed to add IPv6 address {address} to bridge: file exists");
                Err(DockerError::system(text))
            }
            (Profile::Docker28 | Profile::Docker29, true) => {
                Err(DockerError::bad_parameter(format!("multicast subnet '{address}' is not allowed")))
            }
            (Profile::Docker28 | Profile::Docker29, false) if within() && !link_local(&net) => {
                let text = format!("'{address}' clashes with the Link-Local prefix '{LINK_LOCAL}'");
                Err(DockerError::bad_parameter(text))
            }
            (_, false) => Ok(()),
        }
    }

    pub(super) fn insert_network(&mut self, network: Network) {
        let number = network.number;
        self.network_ids.insert(network.id.clone(), number);
        self.network_names.insert(network.name.clone(), number);
        if let Some(bridge) = network.bridge {
            self.bridges.insert(bridge, number);
        }
        if network.is_user_defined() {
            self.names.add_network(network.key(), &network.name, network.ipv6);
        }
        self.networks.insert(number, network);
    }

    pub(super) fn network_remove(&mut self, now: Duration, request: &NetworkRemove) -> Outcome {
        let mut outcome = Outcome::default();
        for text in &request.networks {
            match self.remove_network(now, text, &mut outcome) {
                Ok(()) => outcome.say(text),
                Err(error) if request.force && error.status == 404 => {}
                Err(error) => outcome.refuse(self.client, error),
            }
        }
        if outcome.output.exit != 0 && self.client.version == ClientVersion::V28 {
            outcome.output.stderr += "exit status 1\n";
        }
        outcome
    }

    pub(super) fn remove_network(
        &mut self,
        now: Duration,
        text: &str,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let number = self.network_number(text)?;
        let Some(network) = self.networks.get(&number) else { return Ok(()) };
        let name = &network.name;
        if network.is_predefined() {
            let text = format!("{name} is a pre-defined network and cannot be removed");
            return Err(DockerError::forbidden(text));
        }
        let used = self.networks.values().any(|other| other.config_from.as_ref() == Some(name));
        if network.config_only && used {
            return Err(DockerError::forbidden(format!(
                "error while removing network: configuration network \"{name}\" is in use"
            )));
        }
        if !network.members.is_empty() {
            let id = &network.id;
            let endpoint_id = |container: &Container| {
                let endpoint = container.endpoint(number).and_then(|endpoint| endpoint.active.as_ref());
                endpoint.map_or_else(String::new, |active| format!("{:.12}", active.id.to_string()))
            };
            let text = if self.profile().lists_active_endpoints() {
                let members = network.members.iter().filter_map(|number| self.containers.get(number));
                let members: Vec<String> =
                    members.map(|c| format!("name:\"{}\" id:\"{}\"", c.name, endpoint_id(c))).collect();
                format!("network {name} has active endpoints ({})", members.join(", "))
            } else {
                format!("network {name} id {id} has active endpoints")
            };
            return Err(DockerError::forbidden(format!("error while removing network: {text}")));
        }
        outcome.events.extend(self.network_event(now, "destroy", number, None));
        if let Some(network) = self.networks.remove(&number) {
            if network.bridge.is_some() && !network.config_only {
                outcome.plan.remove_owner(network.rules_owner());
                outcome.plan.remove_owner(network.owner());
            }
            if let Some(owner) = self.forsaken_link(&network) {
                outcome.plan.remove_owner(owner);
            }
            self.network_ids.remove(network.id.as_str());
            self.network_names.remove(&network.name);
            if let Some(bridge) = network.bridge {
                self.bridges.remove(&bridge);
            }
            self.names.remove_network(&network.key());
            self.release_subnets(&network);
        }
        Ok(())
    }
}
