//! The `ipvlan` driver: each container is a station on the network of a host's device, with that device's hardware
//! address.
//!
//! Reference: libnetwork `drivers/ipvlan`, Linux `Documentation/networking/ipvlan.rst`. In the L3 modes containers have no
//! link and no gateway: their default route leads to the device itself, and the host routes on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::super::error::DockerError;
use super::super::profile::{Announcements, Profile};
use super::bridge;
use super::macvlan::{self, Attachment};
use crate::engine::plan::{DeviceSpec, IpvlanFlag, IpvlanMode, NextHop, Op, Owner, Plan};

/// What the names of the dummies begin with that stand in for a parent.
pub(in super::super) const DUMMY_PREFIX: &str = "di-";

/// An ipvlan network's options, read.
#[derive(Debug, Clone, PartialEq)]
pub struct IpvlanConfig {
    /// The parent as asked for; empty: a dummy.
    pub(in super::super) parent: String,
    pub(in super::super) mode: IpvlanMode,
    pub(in super::super) flag: IpvlanFlag,
    pub(in super::super) announcements: Option<Announcements>,
}

impl IpvlanConfig {
    /// Reads the options of `docker network create -o`.
    pub(in super::super) fn parse(
        options: &BTreeMap<String, String>,
        profile: Profile,
    ) -> Result<Self, DockerError> {
        let option = |name: &str| options.get(name).map_or("", String::as_str);
        let mode = match option("ipvlan_mode") {
            "" | "l2" => IpvlanMode::L2,
            "l3" => IpvlanMode::L3,
            "l3s" => IpvlanMode::L3s,
            other => {
                return Err(DockerError::system(format!(
                    "requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"
                )));
            }
        };
        let flag = match option("ipvlan_flag") {
            // The option came after 20.10.
            _ if profile == Profile::Docker20_10 => IpvlanFlag::Bridge,
            "" | "bridge" => IpvlanFlag::Bridge,
            "private" => IpvlanFlag::Private,
            "vepa" => IpvlanFlag::Vepa,
            other => {
                return Err(DockerError::system(format!(
                    "requested ipvlan flag '{other}' is not valid, 'bridge' is the ipvlan driver default"
                )));
            }
        };
        // Without a link there is nobody to tell.
        let announcements = bridge::announcements(options, profile)?.filter(|_| mode == IpvlanMode::L2);
        Ok(Self { parent: option("parent").to_owned(), mode, flag, announcements })
    }
}

/// The device of a new endpoint.
pub(in super::super) fn join(
    plan: &mut Plan,
    owner: Owner,
    attachment: &Attachment<'_>,
    config: &IpvlanConfig,
) {
    let spec = DeviceSpec::Ipvlan { parent: attachment.parent.clone(), mode: config.mode, flag: config.flag };
    macvlan::put(plan, owner, attachment, spec);
    if config.mode == IpvlanMode::L2 {
        return;
    }
    for v6 in [false, true] {
        if !attachment.addresses.iter().any(|address| address.addr().is_ipv6() == v6) {
            continue;
        }
        let (any, metric) = match v6 {
            false => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            // IP6_RT_PRIO_USER.
            true => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 1024),
        };
        let Ok(destination) = IpNet::new(any, 0) else { continue };
        let (namespace, device) = (attachment.container.clone(), Some(attachment.device));
        let next_hop = NextHop::OnLink;
        plan.push(owner, Op::AddRoute { namespace, destination, next_hop, device, source: None, metric });
    }
}
