//! The networks that are there without being asked for, the default bridge's above all: docker0, or a bridge that somebody
//! made by hand and daemon.json names.
//!
//! An own bridge is not made here: it must be there, and what IPv4 address it has is the default network's. Its IPv6 addresses
//! are not taken over.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::Daemon;
use crate::docker::drivers::Driver;
use crate::docker::drivers::bridge::BridgeConfig;
use crate::docker::error::DockerError;
use crate::docker::outcome::{HostView, Outcome};
use crate::docker::profile::Profile;
use crate::docker::request::{IpamPool, NetworkCreate};

impl Daemon {
    pub(super) fn predefined_networks(
        &mut self,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        for (name, driver) in [("none", Driver::None), ("host", Driver::Host)] {
            let request = NetworkCreate::new(name);
            let network = self.new_network(Duration::ZERO, &request, driver);
            self.insert_network(network);
        }
        self.default_bridge_network(Duration::ZERO, view, outcome)
    }

    /// Makes the default bridge's network, unless there shall be none.
    pub(super) fn default_bridge_network(
        &mut self,
        now: Duration,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        if self.config.bridge.as_deref() == Some("none") {
            return Ok(());
        }
        self.check_own_bridge(view)?;
        let made = self.make_default_bridge(now, view, outcome);
        made.map_err(|error| self.without_default_bridge(error))
    }

    fn without_default_bridge(&self, error: DockerError) -> DockerError {
        let creating =
            if self.profile() == Profile::Docker20_10 { "Error creating" } else { "error creating" };
        let message = format!(
            "failed to start daemon: Error initializing network controller: {creating} default \"bridge\" network: {}",
            error.message
        );
        DockerError { message, ..error }
    }

    /// The default bridge's network is forgotten, with its device.
    pub(super) fn forget_default_bridge(&mut self, outcome: &mut Outcome) {
        let number = self.default_bridge().map(|network| network.number);
        let Some(network) = number.and_then(|number| self.networks.remove(&number)) else { return };
        outcome.plan.remove_owner(network.rules_owner());
        outcome.plan.remove_owner(network.owner());
        self.network_ids.remove(network.id.as_str());
        self.network_names.remove(&network.name);
        if let Some(bridge) = network.bridge {
            self.bridges.remove(&bridge);
        }
        self.release_subnets(&network);
    }

    fn make_default_bridge(
        &mut self,
        now: Duration,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let request = self.default_bridge_request(view);
        let config = BridgeConfig::parse(&request.options, self.profile())?;
        let mut network = self.new_network(now, &request, Driver::Bridge(config));
        self.allocate_subnets(&mut network, &request.ipam, view)?;
        for subnet in &mut network.subnets {
            subnet.configured = false;
        }
        if self.config.bip.is_none() && !self.profile().shows_default_bridge_gateway() {
            for pool in &mut network.shown.config {
                pool.gateway = None;
            }
        }
        self.realise(&mut network, view, outcome)?;
        self.insert_network(network);
        Ok(())
    }

    /// The bridge that daemon.json names, if it is not docker0.
    fn own_bridge(&self) -> Option<&str> {
        self.config.bridge.as_deref().filter(|name| !["", "none", "docker0"].contains(name))
    }

    /// A bridge of another name than docker0 is made by whoever names it.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn check_own_bridge(&self, view: &HostView) -> Result<(), DockerError> {
        match self.own_bridge() {
            Some(name) if view.devices.interface(name).is_none() => {
                let why = format!("bridge device with non default name {name} must be created manually");
                Err(self.without_default_bridge(DockerError::forbidden(why)))
            }
            _ => Ok(()),
        }
    }

    /// The address that somebody gave to the bridge of daemon.json: its network is the default network's. Where there are
    /// several, `fixed-cidr` says which.
    fn address_of_own_bridge(&self, view: &HostView) -> Option<IpNet> {
        let interface = view.devices.interface(self.own_bridge()?)?;
        let addresses = || interface.addresses.iter().copied().filter(|net| net.addr().is_ipv4());
        let within = |net: &IpNet| self.config.fixed_cidr.is_some_and(|range| range.contains(&net.addr()));
        addresses().find(within).or_else(|| addresses().next())
    }

    fn default_bridge_request(&self, view: &HostView) -> NetworkCreate {
        let config = &self.config;
        let bip = config.bip.or_else(|| self.address_of_own_bridge(view));
        let name =
            config.bridge.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "docker0".to_owned());
        let mut request = NetworkCreate::new("bridge");
        request.ipv6 = Some(config.ipv6);
        let option = |key: &str, value: String| (format!("com.docker.network.{key}"), value);
        request.options = BTreeMap::from([
            option("bridge.default_bridge", "true".to_owned()),
            option("bridge.enable_icc", config.icc.to_string()),
            option("bridge.enable_ip_masquerade", (config.ip_masq && config.iptables).to_string()),
            option("bridge.host_binding_ipv4", config.ip.to_string()),
            option("bridge.name", name),
            option("driver.mtu", config.mtu.to_string()),
        ]);
        // Without `bip`, `fixed-cidr` is the subnet; 20.10 takes it for a range of whatever subnet it gets.
        let fixed = config.fixed_cidr.filter(|_| self.profile().fixed_range_is_a_subnet());
        let aux = |gateway: Option<IpAddr>, name: &str| {
            gateway.map(|address| (name.to_owned(), address.to_string())).into_iter().collect()
        };
        request.ipam.pools.push(IpamPool {
            subnet: bip.or(fixed).map(|net| net.trunc().to_string()).unwrap_or_default(),
            ip_range: config.fixed_cidr.map(|range| range.trunc().to_string()),
            gateway: bip.map(|bip| bip.addr().to_string()),
            aux: aux(config.default_gateway, "DefaultGatewayIPv4"),
        });
        if config.ipv6 {
            let net = config.bip6.or(config.fixed_cidr_v6);
            request.ipam.pools.push(IpamPool {
                subnet: net.map(|net| net.trunc().to_string()).unwrap_or_default(),
                gateway: config.bip6.map(|bip| bip.addr().to_string()),
                ip_range: config
                    .fixed_cidr_v6
                    .filter(|_| self.profile().fixed_range_is_a_subnet())
                    .map(|range| range.trunc().to_string()),
                aux: aux(config.default_gateway_v6, "DefaultGatewayIPv6"),
            });
        }
        request
    }
}
