//! Network drivers: each turns a network and its endpoints into operations of the engine.
//!
//! Read `none.rs`, then `bridge.rs`. A driver only writes plans; owners, addresses and names are decided before it is
//! asked, and nothing is torn down by a driver because removing an owner undoes its operations.

pub mod bridge;
pub mod host;
pub mod none;

use std::collections::BTreeMap;

use self::bridge::BridgeConfig;
use super::error::DockerError;
use super::profile::Profile;

/// A network's driver with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Driver {
    /// A Linux bridge of the host.
    Bridge(BridgeConfig),
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
            "bridge" => Ok(Self::Bridge(BridgeConfig::parse(options, profile)?)),
            "host" | "null" => {
                Err(DockerError::forbidden(format!("only one instance of \"{name}\" network is allowed")))
            }
            "macvlan" | "ipvlan" | "remote" => {
                Err(DockerError::unsupported(format_args!("network driver {name}")))
            }
            "overlay" => Err(DockerError::new(
                503,
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
                 node to swarm and try again.",
            )),
            other => Err(DockerError::not_found(format!("plugin \"{other}\" not found"))),
        }
    }

    /// The name lists and inspect show.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bridge(_) => "bridge",
            Self::Host => "host",
            Self::None => "null",
        }
    }

    /// The bridge's settings, if it is one.
    pub fn bridge(&self) -> Option<&BridgeConfig> {
        match self {
            Self::Bridge(config) => Some(config),
            Self::Host | Self::None => None,
        }
    }
}
