//! Endpoints: addresses and names of one container, at start, connect and disconnect.
//!
//! Everything is decided before anything is recorded in a plan that leaves the daemon: a failed start gives addresses and
//! ports back and its plan is thrown away.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use linkspan_switch::mac::MacAddress;

use super::Daemon;
use super::addresses::{address_error_20_10, allocate, behind_prefix, link_local, range_error, release};
use super::publish::Occasion;
use crate::docker::container::{Container, SandboxKind, State};
use crate::docker::drivers::Driver;
use crate::docker::endpoint::{Active, Endpoint, in_gateway_order};
use crate::docker::error::{DockerError, joined};
use crate::docker::identity::mac_from_ipv4;
use crate::docker::network::is_predefined;
use crate::docker::outcome::{HostView, Outcome};
use crate::docker::profile::Profile;
use crate::docker::request::{EndpointConfig, NetworkConnect, NetworkDisconnect, NetworkMode};
use crate::docker::sysctls;
use crate::engine::plan::Owner;

/// A container in another one's namespace, or the host's, was to join a network.
pub(super) const SHARED_NETWORK: &str = "container sharing network namespace with another container or host cannot be connected to any other network";

/// A container was to be on `none` and another network.
pub(super) const NONE_AMONG_OTHERS: &str =
    "container cannot be connected to multiple networks with one of the networks in private (none) mode";

/// How many ports a Linux bridge takes (`BR_MAX_PORTS` less the one that is never handed out).
const BRIDGE_PORTS: usize = 1023;

/// What 20.10 says to connecting and disconnecting `host`.
const HOST_NETWORK_20_10: &str =
    "container cannot be disconnected from host network or connected to host network";

impl Daemon {
    pub(super) fn network_connect(
        &mut self,
        now: Duration,
        request: &NetworkConnect,
        view: &HostView,
    ) -> Result<Outcome, DockerError> {
        let number = self.container_number(&request.container)?;
        let running = self.containers.get(&number).is_some_and(|container| container.state.is_up());
        let restarting =
            self.containers.get(&number).filter(|container| container.state == State::Restarting);
        if let Some(container) = restarting.filter(|_| self.profile() != Profile::Docker20_10) {
            self.network_number(&request.endpoint.network)?;
            let text = format!("network sandbox for container {} not found", container.id);
            return Err(DockerError::not_found(text));
        }
        if running && request.endpoint.network == "bridge" && self.connects_without_bridge(number) {
            return Ok(Outcome::default());
        }
        let network = match self.network_number(&request.endpoint.network) {
            Ok(network) => network,
            Err(error) if running => return Err(error),
            // Only a start finds out whether there is such a network.
            Err(_) => {
                let endpoint = self.new_endpoint(0, request.endpoint.clone(), true);
                self.note_endpoint(number, endpoint);
                return Ok(Outcome::default());
            }
        };
        if running {
            self.check_mode_network(number, &request.endpoint.network)?;
        }
        self.check_connect(number, network, running)?;
        self.check_endpoint(Some(network), &request.endpoint)?;
        if running {
            self.check_not_connected(number, network)?;
        }
        let endpoint = self.new_endpoint(network, request.endpoint.clone(), true);
        if !running {
            self.note_endpoint(number, endpoint);
            return Ok(Outcome::default());
        }
        if let Some(container) = self.containers.get_mut(&number) {
            container.endpoints.push(endpoint);
        }
        let mut outcome = Outcome::default();
        if let Err(error) = self.connect_running(now, number, network, view, &mut outcome) {
            if let Some(container) = self.containers.get_mut(&number) {
                container.endpoints.pop();
            }
            return Err(error);
        }
        Ok(outcome)
    }

    /// Newer engines look for the network that a container was made for before they put it on another one.
    pub(super) fn check_mode_network(&self, number: u32, joined: &str) -> Result<(), DockerError> {
        let mode = self.containers.get(&number).map(|container| &container.made_from.config.network_mode);
        match (self.profile(), mode) {
            (Profile::Docker28 | Profile::Docker29, Some(NetworkMode::Network(name))) if name != joined => {
                self.network_number(name).map(drop).map_err(|error| DockerError {
                    message: format!(
                        "could not find a network matching network mode {name}: {}",
                        error.message
                    ),
                    ..error
                })
            }
            _ => Ok(()),
        }
    }

    /// Without a default bridge, newer engines take connecting to it for a wish to have no network at all, which the next
    /// start fulfils.
    fn connects_without_bridge(&mut self, number: u32) -> bool {
        let ignored = match self.profile() {
            Profile::Docker20_10 => false,
            Profile::Docker28 | Profile::Docker29 => self.config.bridge.as_deref() == Some("none"),
        };
        let shared = |container: &Container| {
            matches!(container.made_from.config.network_mode, NetworkMode::Container(_))
        };
        match self.containers.get_mut(&number) {
            Some(container) if ignored && !shared(container) => {
                container.network_disabled = true;
                true
            }
            _ => false,
        }
    }

    /// Remembers a network for a container's next start; the settings of one that it has already stay as they are.
    fn note_endpoint(&mut self, number: u32, endpoint: Endpoint) {
        let Some(container) = self.containers.get_mut(&number) else { return };
        if container.endpoints.iter().all(|known| known.network_name != endpoint.network_name) {
            container.endpoints.push(endpoint);
        }
    }

    fn check_connect(&self, number: u32, network: u32, running: bool) -> Result<(), DockerError> {
        let (Some(container), Some(network)) = (self.containers.get(&number), self.networks.get(&network))
        else {
            return Ok(());
        };
        let exclusive = match &container.made_from.config.network_mode {
            NetworkMode::Host => true,
            // Of one that does not run they are only noted: its start refuses them.
            NetworkMode::Container(_) => running,
            NetworkMode::Default | NetworkMode::Bridge | NetworkMode::None | NetworkMode::Network(_) => false,
        };
        if exclusive {
            return Err(DockerError::bad_parameter(SHARED_NETWORK));
        }
        let private = |name: &str| name == "none";
        let others = container.endpoints.iter().any(|endpoint| endpoint.network_name != network.name);
        let in_private = container.endpoints.iter().any(|endpoint| private(&endpoint.network_name));
        if others && (private(&network.name) || in_private) {
            return Err(DockerError::bad_parameter(NONE_AMONG_OTHERS));
        }
        if matches!(network.driver, Driver::Host) {
            return Err(DockerError::bad_parameter(match self.profile() {
                Profile::Docker20_10 => HOST_NETWORK_20_10,
                Profile::Docker28 | Profile::Docker29 => {
                    "cannot connect container to host network - container must be created in host network mode"
                }
            }));
        }
        if running && network.config_only {
            return Err(DockerError::forbidden("cannot create endpoint on configuration-only network"));
        }
        Ok(())
    }

    fn check_not_connected(&self, number: u32, network: u32) -> Result<(), DockerError> {
        match (self.containers.get(&number), self.networks.get(&network)) {
            (Some(container), Some(known)) if container.endpoint(network).is_some() => {
                Err(DockerError::forbidden(format!(
                    "endpoint with name {} already exists in network {}",
                    container.name, known.name
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether a network takes an endpoint with these settings; addresses in use are found out later. Without a network,
    /// because there is none of that name yet, what can be said all the same.
    pub(super) fn check_endpoint(
        &self,
        network: Option<u32>,
        config: &EndpointConfig,
    ) -> Result<(), DockerError> {
        let network = network.and_then(|number| self.networks.get(&number));
        let user_defined = match network {
            Some(network) => network.is_user_defined(),
            None => !is_predefined(&config.network) && !config.network.starts_with("container:"),
        };
        let mut errors: Vec<String> = Vec::new();
        let asked: Vec<(&String, bool)> =
            config.ipv4.iter().map(|ip| (ip, false)).chain(config.ipv6.iter().map(|ip| (ip, true))).collect();
        if !user_defined && !asked.is_empty() {
            errors.push("user specified IP address is supported on user defined networks only".to_owned());
        }
        if !user_defined && !config.aliases.is_empty() {
            errors.push(
                "network-scoped alias is supported only for containers in user defined networks".to_owned(),
            );
        }
        match self.profile() {
            Profile::Docker20_10 => {
                let range = |(text, v6): (&String, bool)| address_error_20_10(network?, text, v6);
                if errors.is_empty() {
                    errors.extend(asked.into_iter().filter_map(range));
                }
                let wrong = config.link_local.iter().any(|text| link_local(text).is_none());
                if wrong {
                    let all = config.link_local.join(" ");
                    errors.push(format!("Invalid link-local IP address: [{all}]"));
                }
                match errors.into_iter().next() {
                    None => Ok(()),
                    Some(first) => Err(DockerError::bad_parameter(first)),
                }
            }
            Profile::Docker28 | Profile::Docker29 => {
                for (text, v6) in &asked {
                    let address = text.parse::<IpAddr>().ok();
                    if !address.is_some_and(|address| address.is_ipv6() == *v6 && !address.is_unspecified()) {
                        let family = if *v6 { 6 } else { 4 };
                        errors.push(format!("invalid IPv{family} address: {text}"));
                    }
                }
                let wrong = config.link_local.iter().filter(|text| link_local(text).is_none());
                errors.extend(wrong.map(|text| format!("invalid link-local IP address: {text}")));
                let range = |(text, v6): (&String, bool)| range_error(network?, text, v6);
                errors.extend(asked.into_iter().filter_map(range));
                errors.extend(sysctls::check_endpoint(config, self.profile()));
                if errors.is_empty() {
                    return Ok(());
                }
                Err(DockerError::bad_parameter(format!("invalid endpoint settings:\n{}", joined(&errors))))
            }
        }
    }

    pub(super) fn new_endpoint(&mut self, network: u32, config: EndpointConfig, connected: bool) -> Endpoint {
        let config = self.endpoint_configs.share(config.network.clone(), config);
        let network = self.networks.get(&network);
        Endpoint {
            network_name: network.map_or_else(|| config.network.clone(), |network| network.name.clone()),
            network_id: None,
            network_number: network.map(|network| network.number),
            config,
            connected,
            named: connected && network.is_some(),
            active: None,
        }
    }

    fn connect_running(
        &mut self,
        now: Duration,
        number: u32,
        network: u32,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let Some(position) = self.endpoint_position(number, network) else { return Ok(()) };
        self.activate(number, position, view)?;
        if let Err(error) = self.make_device(number, position, view, outcome) {
            self.deactivate(number, position);
            return Err(error);
        }
        self.register_names(number, position);
        self.add_own_hosts(number, position, outcome);
        self.update_resolver(number, view, outcome);
        self.move_gateway(number, Occasion::Join, view, outcome);
        let id = self.containers.get(&number).map(|container| container.id.clone());
        outcome.events.extend(self.network_event(now, "connect", network, id.as_ref()));
        Ok(())
    }

    fn endpoint_position(&self, number: u32, network: u32) -> Option<usize> {
        let endpoints = &self.containers.get(&number)?.endpoints;
        endpoints.iter().position(|endpoint| endpoint.network_number == Some(network))
    }

    pub(super) fn network_disconnect(
        &mut self,
        now: Duration,
        request: &NetworkDisconnect,
        view: &HostView,
    ) -> Result<Outcome, DockerError> {
        let number = match self.container_number(&request.container) {
            Ok(number) => number,
            // dockerd looks for an endpoint that a container left behind; none is ever left here.
            Err(_) if request.force => {
                self.network_number(&request.network)?;
                return Err(DockerError::not_found(format!("endpoint {} not found", request.container)));
            }
            Err(error) => return Err(error),
        };
        let network = match (self.network_number(&request.network), self.containers.get_mut(&number)) {
            // The networks of a container that does not run are names, whatever became of them.
            (network, Some(container)) if !container.state.is_running() => {
                let name = network.ok().and_then(|network| self.networks.get(&network));
                let name = name.map_or(request.network.as_str(), |network| network.name.as_str());
                let before = container.endpoints.len();
                container.endpoints.retain(|endpoint| endpoint.network_name != name);
                if container.endpoints.len() == before {
                    let text = format!("container {} is not connected to the network {name}", container.id);
                    return Err(DockerError::system(text));
                }
                return Ok(Outcome::default());
            }
            (network, _) => network?,
        };
        let (Some(container), Some(known)) = (self.containers.get(&number), self.networks.get(&network))
        else {
            return Ok(Outcome::default());
        };
        if matches!(known.driver, Driver::Host) {
            return Err(DockerError::bad_parameter(match self.profile() {
                Profile::Docker20_10 => HOST_NETWORK_20_10,
                Profile::Docker28 | Profile::Docker29 => {
                    "cannot disconnect container from host network - container was created in host network mode"
                }
            }));
        }
        // While it waits for its restart its endpoints are gone.
        let joined = |_: &usize| container.state != State::Restarting;
        let Some(position) = self.endpoint_position(number, network).filter(joined) else {
            return Err(DockerError::new(
                match self.profile() {
                    Profile::Docker20_10 => 500,
                    Profile::Docker28 | Profile::Docker29 => 403,
                },
                format!("container {} is not connected to network {}", container.id, known.name),
            ));
        };
        let id = container.id.clone();
        let mut outcome = Outcome::default();
        let up = container.endpoints.get(position).is_some_and(|endpoint| endpoint.active.is_some());
        if up {
            if self.default_bridge().is_some_and(|bridge| bridge.number == network) {
                self.close_links(number, &mut outcome);
            }
            self.remove_own_hosts(number, position, &mut outcome);
            let owner = self.deactivate(number, position);
            if let Some(container) = self.containers.get_mut(&number) {
                container.endpoints.remove(position);
            }
            // Routes lead through the device, so they move before it goes.
            self.move_gateway(number, Occasion::Leave, view, &mut outcome);
            if let Some(owner) = owner {
                outcome.plan.remove_owner(owner);
            }
            self.update_resolver(number, view, &mut outcome);
            let event = self.network_event(now, "disconnect", network, Some(&id));
            let times = if self.profile() == Profile::Docker20_10 { 2 } else { 1 };
            outcome.events.extend(std::iter::repeat_n(event, times).flatten());
        } else if let Some(container) = self.containers.get_mut(&number) {
            container.endpoints.remove(position);
        }
        Ok(outcome)
    }

    /// Gives an endpoint its addresses. Nothing is planned yet.
    pub(super) fn activate(
        &mut self,
        number: u32,
        position: usize,
        view: &HostView,
    ) -> Result<(), DockerError> {
        let owner = Owner::Endpoint(self.next_number());
        let id = self.source.digits();
        let profile = self.profile();
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let Some(endpoint) = container.endpoints.get(position) else { return Ok(()) };
        let (config, name) = (endpoint.config.clone(), container.name.clone());
        let without_ipv6 = profile.interfaces_follow_sysctls()
            && sysctls::disables_ipv6(&container.made_from.config.sysctls);
        if let Some(network) = endpoint.network_number.and_then(|network| self.networks.get(&network)) {
            self.check_parent(network, view)?;
        }
        let Some(network) = endpoint.network_number.and_then(|network| self.networks.get_mut(&network))
        else {
            return Ok(());
        };
        if network.bridge.is_some() && network.members.len() >= BRIDGE_PORTS {
            return Err(DockerError::system(format!(
                "failed to add interface to network {}: adding interface to bridge failed: exchange full",
                network.name
            )));
        }
        if matches!(network.driver, Driver::Ipvlan(_)) && config.mac.is_some() {
            return Err(DockerError::system(format!(
                "failed to create endpoint {name} on network {}: ipvlan interfaces do not support custom mac address \
                 assignment",
                network.name
            )));
        }
        let mut addresses: [Option<IpNet>; 2] = [None, None];
        if network.driver.has_addresses() {
            for (slot, v6, asked) in [(0, false, &config.ipv4), (1, true, &config.ipv6)] {
                if v6 && without_ipv6 {
                    continue;
                }
                match allocate(network, v6, asked.as_deref()) {
                    Ok(address) => addresses[slot] = address,
                    Err(error) => {
                        for address in addresses.into_iter().flatten() {
                            release(network, address.addr());
                        }
                        return Err(error);
                    }
                }
            }
        }
        let [ipv4, ipv6] = addresses;
        let mac = network.driver.has_hardware_addresses().then(|| {
            let given = config.mac.as_deref().and_then(parse_mac);
            let derived = match ipv4.map(|net| net.addr()) {
                Some(IpAddr::V4(address)) if profile.bridge_mac_from_ipv4() => Some(mac_from_ipv4(address)),
                _ => None,
            };
            given.or(derived).unwrap_or_else(|| self.source.stable_mac(&network.name, &name))
        });
        let ipv6 = match (ipv6, mac) {
            (Some(given), Some(mac)) if !network.is_user_defined() && profile.generates_ipv6_addresses() => {
                Some(behind_prefix(network, given, mac))
            }
            _ => ipv6,
        };
        let shown_gateway_v4 = ipv4.and_then(|address| network.gateway(address));
        let shown_gateway_v6 = ipv6.and_then(|address| network.gateway(address));
        let leads_out = match network.driver.bridge() {
            Some(_) => !network.internal || profile.internal_bridge_default_route(),
            None => network.uses_gateway(),
        };
        network.members.insert(number);
        let network_id = network.id.clone();
        let active = Active {
            id,
            owner,
            device: None,
            mac,
            ipv4,
            ipv6,
            gateway_v4: shown_gateway_v4.filter(|_| leads_out),
            gateway_v6: shown_gateway_v6.filter(|_| leads_out),
            shown_gateway_v4: shown_gateway_v4.filter(|_| leads_out),
            shown_gateway_v6: shown_gateway_v6.filter(|_| leads_out),
            internal: network.internal,
            maps_ports: network.driver.bridge().is_some(),
        };
        if let Some(endpoint) = self.endpoint_mut(number, position) {
            endpoint.network_id = Some(network_id);
            endpoint.active = Some(active);
        }
        Ok(())
    }

    /// Takes an endpoint's addresses and names away and returns the owner of its devices.
    pub(super) fn deactivate(&mut self, number: u32, position: usize) -> Option<Owner> {
        let endpoint = self.endpoint_mut(number, position)?;
        let network = endpoint.network_number?;
        let active = endpoint.active.take()?;
        if let Some(network) = self.networks.get_mut(&network) {
            for address in active.addresses() {
                release(network, address.addr());
            }
            network.members.remove(&number);
            let key = network.key();
            self.names.remove_owner(&key, active.owner);
        }
        active.device.map(|_| active.owner)
    }

    fn endpoint_mut(&mut self, number: u32, position: usize) -> Option<&mut Endpoint> {
        self.containers.get_mut(&number)?.endpoints.get_mut(position)
    }

    /// Makes the container's names known on one of its networks.
    pub(super) fn register_names(&mut self, number: u32, position: usize) {
        let Some(container) = self.containers.get(&number) else { return };
        let Some(endpoint) = container.endpoints.get(position) else { return };
        let Some(active) = &endpoint.active else { return };
        let Some(network) = endpoint.network_number.and_then(|number| self.networks.get(&number)) else {
            return;
        };
        if network.is_user_defined() {
            let addresses: Vec<IpAddr> = active.addresses().map(|net| net.addr()).collect();
            let names = container.dns_names(endpoint);
            self.names.add_endpoint(&network.key(), active.owner, &names, &addresses);
        }
    }

    /// The endpoints in gateway order, as positions.
    pub(super) fn positions(&self, number: u32) -> Vec<usize> {
        let Some(container) = self.containers.get(&number) else { return Vec::new() };
        in_gateway_order(self.profile(), &container.endpoints)
            .into_iter()
            .filter_map(|wanted| {
                container
                    .endpoints
                    .iter()
                    .position(|endpoint| endpoint.network_number == wanted.network_number)
            })
            .collect()
    }

    /// Whether a container that runs has its own namespace, so that it can join networks.
    pub(super) fn has_own_namespace(container: &Container) -> bool {
        container.sandbox.as_ref().is_some_and(|sandbox| sandbox.kind == SandboxKind::Own)
    }

    /// The running container whose namespace a container wants to share.
    pub(super) fn shared_target(&self, container: &Container) -> Result<Option<u32>, DockerError> {
        let NetworkMode::Container(text) = &container.made_from.config.network_mode else { return Ok(None) };
        let profile = self.profile();
        let target = self.container(text).map_err(|error| match profile {
            Profile::Docker20_10 => error,
            Profile::Docker28 | Profile::Docker29 => DockerError {
                message: format!("joining network namespace of container: {}", error.message),
                ..error
            },
        })?;
        if target.number == container.number {
            return Err(DockerError::system(match profile {
                Profile::Docker20_10 => "cannot join own network",
                Profile::Docker28 | Profile::Docker29 => "cannot join own network namespace",
            }));
        }
        if target.state == State::Restarting {
            let error = Self::restarting(match profile {
                Profile::Docker20_10 => text,
                Profile::Docker28 | Profile::Docker29 => target.id.as_str(),
            });
            return Err(match profile {
                Profile::Docker20_10 => error,
                Profile::Docker28 | Profile::Docker29 => DockerError {
                    message: format!("cannot join network namespace of container: {}", error.message),
                    ..error
                },
            });
        }
        if target.state == State::Created || target.state == State::Exited {
            let Container { name, state, .. } = target;
            return Err(DockerError::conflict(match profile {
                Profile::Docker20_10 => format!("cannot join network of a non running container: {text}"),
                Profile::Docker28 | Profile::Docker29 => format!(
                    "cannot join network namespace of a non running container: container {name} is {}",
                    state.name()
                ),
            }));
        }
        Ok(Some(target.number))
    }
}

fn parse_mac(text: &str) -> Option<MacAddress> {
    text.replace('-', ":").parse().ok()
}
