//! A network as the daemon remembers it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;

use super::drivers::Driver;
use super::drivers::parent::Origin;
use super::identity::Id;
use super::ipam::Pool;
use super::labels::Labels;
use super::names::NetworkKey;
use super::request::IpamPool;
use crate::engine::plan::{IpvlanMode, Owner};

/// A network.
#[derive(Debug, Clone)]
pub struct Network {
    /// The daemon's own number for it, which is also its owner's.
    pub number: u32,
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Duration,
    /// What carries it.
    pub driver: Driver,
    /// No way out.
    pub internal: bool,
    /// As asked at create; without effect on local networks.
    pub attachable: bool,
    /// IPv4 is on.
    pub ipv4: bool,
    /// IPv6 is on.
    pub ipv6: bool,
    /// Options as given.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: Labels,
    /// Only holds a configuration for others.
    pub config_only: bool,
    /// The configuration network it was made from.
    pub config_from: Option<String>,
    /// What inspect shows of the address management.
    pub shown: ShownIpam,
    /// The subnets in use.
    pub subnets: Vec<Subnet>,
    /// The device that its containers stand on.
    pub parent: Option<ParentLink>,
    /// The bridge device.
    pub bridge: Option<InterfaceName>,
    /// The containers with an endpoint that is up, by the daemon's number.
    pub members: BTreeSet<u32>,
}

/// The device that the containers of a macvlan or ipvlan network stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParentLink {
    /// Its name.
    pub name: InterfaceName,
    /// How it came to be.
    pub(super) origin: Origin,
    /// Who owns it, if a driver made it.
    pub owner: Option<Owner>,
}

/// The address management as inspect shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownIpam {
    /// The IPAM driver.
    pub driver: String,
    /// Its options; `None` shows as null.
    pub options: Option<BTreeMap<String, String>>,
    /// The pools.
    pub config: Vec<IpamPool>,
}

/// A subnet of a network.
#[derive(Debug, Clone)]
pub struct Subnet {
    /// Its addresses.
    pub pool: Pool,
    /// The range it was asked for with, which is part of its name in the address space.
    pub range: Option<IpNet>,
    /// Somebody asked for this subnet, so `--ip` is allowed.
    pub configured: bool,
    /// The gateway, if there is one.
    pub gateway: Option<IpAddr>,
    /// What containers use as gateway, where it is not the network's.
    pub container_gateway: Option<IpAddr>,
}

impl Network {
    /// The owner of its bridge.
    pub fn owner(&self) -> Owner {
        Owner::Network(self.number)
    }

    /// The owner of its rules.
    pub fn rules_owner(&self) -> Owner {
        Owner::Rules(self.number)
    }

    /// Inspect shows the gateways in use from now on.
    pub(super) fn show_gateways(&mut self) {
        for pool in &mut self.shown.config {
            let Ok(subnet) = pool.subnet.parse::<IpNet>() else { continue };
            let used = self.subnets.iter().find(|used| used.pool.subnet() == subnet.trunc());
            let gateway = used.and_then(|used| used.gateway);
            if pool.gateway.is_none() {
                pool.gateway = gateway.map(|gateway| gateway.to_string());
            }
        }
    }

    /// The key of its names.
    pub fn key(&self) -> NetworkKey {
        NetworkKey(self.id.shared())
    }

    /// One of the three networks every daemon has.
    pub fn is_predefined(&self) -> bool {
        is_predefined(&self.name)
    }

    /// Names resolve and aliases are allowed.
    pub fn is_user_defined(&self) -> bool {
        !self.is_predefined()
    }

    /// Whether its containers go out by a gateway.
    pub(super) fn uses_gateway(&self) -> bool {
        match self.driver.parent() {
            Some((parent, _)) => {
                let linked = !matches!(&self.driver, Driver::Ipvlan(config) if config.mode != IpvlanMode::L2);
                linked && !parent.is_empty() && !self.internal
            }
            None => true,
        }
    }

    /// The first subnet of a family.
    pub fn subnet(&self, v6: bool) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.pool.subnet().addr().is_ipv6() == v6)
    }

    /// The gateway by which the default route of an endpoint with this address goes out.
    pub fn gateway(&self, address: IpNet) -> Option<IpAddr> {
        let subnet = self.subnets.iter().find(|subnet| subnet.pool.subnet().contains(&address.addr()))?;
        subnet.container_gateway.or(subnet.gateway)
    }
}

/// Whether a name belongs to a network every daemon has.
pub(super) fn is_predefined(name: &str) -> bool {
    matches!(name, "bridge" | "host" | "none" | "default")
}
