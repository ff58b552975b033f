//! The `macvlan` driver: each container is a station of its own on the network of a host's device.
//!
//! Reference: libnetwork `drivers/macvlan`. The gateway is a router of that network; the driver makes nothing on the host
//! but a missing parent, writes no rules and publishes no ports.

use std::collections::BTreeMap;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;
use linkspan_switch::mac::MacAddress;

use super::super::error::DockerError;
use super::super::profile::{Announcements, Profile};
use super::bridge;
use super::parent::PARENT_MTU;
use crate::engine::plan::{DeviceName, DeviceSpec, MacvlanMode, NamespaceName, Op, Owner, Plan, Sysctl};

/// What the names of the dummies begin with that stand in for a parent.
pub(in super::super) const DUMMY_PREFIX: &str = "dm-";

/// A macvlan network's options, read.
#[derive(Debug, Clone, PartialEq)]
pub struct MacvlanConfig {
    /// The parent as asked for; empty: a dummy.
    pub(in super::super) parent: String,
    pub(in super::super) mode: MacvlanMode,
    pub(in super::super) announcements: Option<Announcements>,
}

impl MacvlanConfig {
    /// Reads the options of `docker network create -o`.
    pub(in super::super) fn parse(
        options: &BTreeMap<String, String>,
        profile: Profile,
    ) -> Result<Self, DockerError> {
        let mode = match options.get("macvlan_mode").map_or("", String::as_str) {
            "" | "bridge" => MacvlanMode::Bridge,
            "private" => MacvlanMode::Private,
            "vepa" => MacvlanMode::Vepa,
            "passthru" => MacvlanMode::Passthru,
            other => {
                return Err(DockerError::system(format!(
                    "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"
                )));
            }
        };
        Ok(Self {
            parent: options.get("parent").cloned().unwrap_or_default(),
            mode,
            announcements: bridge::announcements(options, profile)?,
        })
    }
}

/// A container's attachment to make.
pub(in super::super) struct Attachment<'a> {
    pub(in super::super) parent: DeviceName,
    pub(in super::super) container: &'a NamespaceName,
    pub(in super::super) device: InterfaceName,
    pub(in super::super) mac: Option<MacAddress>,
    pub(in super::super) addresses: Vec<IpNet>,
    pub(in super::super) announcements: Option<Announcements>,
    /// Further addresses (`--link-local-ip`), which are not announced.
    pub(in super::super) link_local: Vec<IpNet>,
    /// What to set `disable_ipv6` of the container's device to; `None` leaves it.
    pub(in super::super) disable_ipv6: Option<bool>,
    /// Settings of the container's device that the endpoint asks for.
    pub(in super::super) sysctls: Vec<Sysctl>,
}

/// The device of a new endpoint.
pub(in super::super) fn join(
    plan: &mut Plan,
    owner: Owner,
    attachment: &Attachment<'_>,
    config: &MacvlanConfig,
) {
    let spec = DeviceSpec::Macvlan { parent: attachment.parent.clone(), mode: config.mode };
    put(plan, owner, attachment, spec);
}

/// Puts a device that stands on the parent into the container.
pub(super) fn put(plan: &mut Plan, owner: Owner, attachment: &Attachment<'_>, spec: DeviceSpec) {
    let device = DeviceName { namespace: attachment.container.clone(), name: attachment.device };
    let (mac, mtu) = (attachment.mac, PARENT_MTU);
    plan.push(owner, Op::AddDevice { device: device.clone(), spec, mac, mtu });
    if let Some(disable) = attachment.disable_ipv6 {
        let sysctl = Sysctl::DisableIpv6(attachment.device, disable);
        plan.push(owner, Op::SetSysctl { namespace: attachment.container.clone(), sysctl });
    }
    bridge::add_addresses(plan, owner, &device, &attachment.addresses, &attachment.link_local);
    for sysctl in &attachment.sysctls {
        let (namespace, sysctl) = (attachment.container.clone(), sysctl.clone());
        plan.push(owner, Op::SetSysctl { namespace, sysctl });
    }
    plan.push(owner, Op::SetUp { device: device.clone() });
    if let Some(Announcements { messages, interval }) = attachment.announcements {
        for address in attachment.addresses.iter().map(IpNet::addr) {
            plan.push(owner, Op::Announce { device: device.clone(), address, messages, interval });
        }
    }
}
