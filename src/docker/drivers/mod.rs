//! Network drivers: each turns a network and its endpoints into operations of the engine.
//!
//! Read `none.rs`, then `bridge.rs`. A driver only writes plans; owners, addresses and names are decided before it is
//! asked, and nothing is torn down by a driver because removing an owner undoes its operations.

pub mod bridge;
pub mod host;
pub mod ipvlan;
pub mod macvlan;
pub mod none;
pub mod parent;

use std::collections::BTreeMap;

use self::bridge::BridgeConfig;
use self::ipvlan::IpvlanConfig;
use self::macvlan::MacvlanConfig;
use super::error::DockerError;
use super::profile::Profile;

/// A network's driver with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Driver {
    /// A Linux bridge of the host.
    Bridge(BridgeConfig),
    /// Stations on the network of a host's device.
    Macvlan(MacvlanConfig),
    /// The same with one hardware address for all.
    Ipvlan(IpvlanConfig),
    /// The host's own namespace.
    Host,
    /// A loopback device only.
    None,
}

impl Driver {
    /// The driver a new network asks for, its options read.
    pub(super) fn parse(
        name: &str,
        options: &BTreeMap<String, String>,
        profile: Profile,
    ) -> Result<Self, DockerError> {
        match name {
            "bridge" | "" => Ok(Self::Bridge(BridgeConfig::parse(options, profile)?)),
            "host" | "null" => {
                Err(DockerError::forbidden(format!("only one instance of \"{name}\" network is allowed")))
            }
            "macvlan" => Ok(Self::Macvlan(MacvlanConfig::parse(options, profile)?)),
            "ipvlan" => Ok(Self::Ipvlan(IpvlanConfig::parse(options, profile)?)),
            "remote" => Err(DockerError::unsupported(format_args!("network driver {name}"))),
            "overlay" => Err(DockerError::new(
                503,
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
                 node to swarm and try again.",
            )),
            other => Err(DockerError::not_found(format!("plugin \"{other}\" not found"))),
        }
    }

    /// Whether networks with this driver can be made, or are there from the start, with some options.
    #[must_use]
    pub fn is_supported(name: &str) -> bool {
        let parsed = Self::parse(name, &BTreeMap::new(), Profile::default());
        // Not there, not in this release, or only with several hosts; whatever else is refused concerns the options.
        !parsed.is_err_and(|error| matches!(error.status, 404 | 501 | 503))
    }

    /// The name lists and inspect show.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bridge(_) => "bridge",
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(_) => "ipvlan",
            Self::Host => "host",
            Self::None => "null",
        }
    }

    /// The bridge's settings, if it is one.
    pub fn bridge(&self) -> Option<&BridgeConfig> {
        match self {
            Self::Bridge(config) => Some(config),
            Self::Macvlan(_) | Self::Ipvlan(_) | Self::Host | Self::None => None,
        }
    }

    /// The parent asked for, and what the name of a dummy in its place begins with, if the driver has parents.
    pub(super) fn parent(&self) -> Option<(&str, &'static str)> {
        match self {
            Self::Macvlan(config) => Some((&config.parent, macvlan::DUMMY_PREFIX)),
            Self::Ipvlan(config) => Some((&config.parent, ipvlan::DUMMY_PREFIX)),
            Self::Bridge(_) | Self::Host | Self::None => None,
        }
    }

    /// Whether containers have addresses of the network.
    pub(super) fn has_addresses(&self) -> bool {
        match self {
            Self::Bridge(_) | Self::Macvlan(_) | Self::Ipvlan(_) => true,
            Self::Host | Self::None => false,
        }
    }

    /// Whether containers have hardware addresses of their own.
    pub(super) fn has_hardware_addresses(&self) -> bool {
        match self {
            Self::Bridge(_) | Self::Macvlan(_) => true,
            Self::Ipvlan(_) | Self::Host | Self::None => false,
        }
    }
}
