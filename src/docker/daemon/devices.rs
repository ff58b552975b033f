//! The device of an endpoint: what it is called, what it is joined to, and why the kernel will not have it.

use std::collections::BTreeSet;

use linkspan_nat::interface::InterfaceName;
use linkspan_switch::mac::MacAddress;

use super::Daemon;
use super::addresses::link_local;
use crate::docker::container::Container;
use crate::docker::drivers::Driver;
use crate::docker::drivers::bridge::{self, Attachment, DEFAULT_MTU, IPV6_MIN_MTU, LONGEST_NAME};
use crate::docker::drivers::{ipvlan, macvlan};
use crate::docker::endpoint::Endpoint;
use crate::docker::error::DockerError;
use crate::docker::outcome::{HostView, Outcome};
use crate::docker::profile::{InterfaceNumbering, Ipv6Switch, Profile};
use crate::docker::rules::family_of;
use crate::docker::sysctls;
use crate::engine::plan::{DeviceName, Op, Sysctl};

impl Daemon {
    /// Plans the device of an endpoint that has its addresses.
    pub(super) fn make_device(
        &mut self,
        number: u32,
        position: usize,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let veth_number = self.next_number();
        let veth = self.source.veth(veth_number);
        let profile = self.profile();
        let Some(container) = self.containers.get(&number) else { return Ok(()) };
        let (Some(sandbox), Some(endpoint)) = (&container.sandbox, container.endpoints.get(position)) else {
            return Ok(());
        };
        let Some(network) = endpoint.network_number.and_then(|number| self.networks.get(&number)) else {
            return Ok(());
        };
        let Some(active) = endpoint.active.as_ref() else { return Ok(()) };
        let prefix = network.driver.bridge().map_or("eth", |config| config.prefix.as_str());
        let refused = |reason: String| {
            DockerError::system(format!("failed to add interface {veth} to sandbox: {reason}"))
        };
        let device = device_name(profile, container, endpoint, prefix).map_err(|(name, reason)| {
            refused(format!("error renaming interface {veth:?} to {name:?}: {reason}"))
        })?;
        if let Some(mac) = active.mac.filter(|mac| !is_station(*mac)) {
            return Err(refused(format!(
                "error setting interface {veth:?} MAC to \"{mac}\": cannot assign requested address"
            )));
        }
        let parent = network.parent.as_ref().and_then(|parent| view.devices.interface(parent.name.as_str()));
        let mtu = match network.driver.bridge() {
            Some(config) => config.device_mtu(),
            None => parent.and_then(|parent| parent.mtu).unwrap_or(DEFAULT_MTU),
        };
        if let Some(address) = active.ipv6.filter(|_| mtu < IPV6_MIN_MTU) {
            return Err(refused(format!(
                "error setting interface {veth:?} IPv6 to {address}: invalid argument"
            )));
        }
        let sysctls = sysctls::interface_settings(&endpoint.config, profile, device).map_err(refused)?;
        let addresses = active.addresses().collect();
        let link_local = endpoint.config.link_local.iter().filter_map(|text| link_local(text)).collect();
        let v6 = active.ipv6.is_some();
        let lo = InterfaceName::parse("lo").ok();
        if let Some(lo) = lo.filter(|_| v6 && profile.ipv6_switch() == Ipv6Switch::Namespace) {
            let (namespace, sysctl) = (sandbox.namespace.clone(), Sysctl::DisableIpv6(lo, false));
            outcome.plan.push(active.owner, Op::SetSysctl { namespace, sysctl });
        }
        let disable_ipv6 = match profile.ipv6_switch() {
            Ipv6Switch::Namespace => v6.then_some(false),
            Ipv6Switch::Interface => Some(!v6),
        };
        match (&network.driver, network.bridge, network.parent) {
            (Driver::Bridge(config), Some(name), _) => {
                let Ok(host_device) = InterfaceName::parse(&veth) else { return Ok(()) };
                let attachment = Attachment {
                    moved: profile.moves_container_interfaces(),
                    host: &self.host.namespace,
                    container: &sandbox.namespace,
                    bridge: name,
                    host_device,
                    device,
                    mac: active.mac.unwrap_or(MacAddress::ZERO),
                    mtu: config.device_mtu(),
                    hairpin: !self.config.userland_proxy,
                    addresses,
                    announcements: config.announcements,
                    link_local,
                    disable_ipv6,
                    sysctls,
                };
                bridge::join(&mut outcome.plan, active.owner, &attachment);
                for address in active.addresses().filter(|address| self.filters(family_of(address.addr()))) {
                    if let Some(subnet) = network.subnet(address.addr().is_ipv6()) {
                        let rules = config.rules(name, subnet.pool.subnet(), network.internal);
                        self.firewall().endpoint(&mut outcome.plan, active.owner, &rules, address.addr());
                    }
                }
            }
            (Driver::Macvlan(config), _, Some(parent)) => {
                let attachment = macvlan::Attachment {
                    parent: DeviceName { namespace: self.host.namespace.clone(), name: parent.name },
                    container: &sandbox.namespace,
                    device,
                    mac: active.mac,
                    addresses,
                    announcements: config.announcements,
                    link_local,
                    disable_ipv6,
                    sysctls,
                };
                macvlan::join(&mut outcome.plan, active.owner, &attachment, config);
            }
            (Driver::Ipvlan(config), _, Some(parent)) => {
                let attachment = macvlan::Attachment {
                    parent: DeviceName { namespace: self.host.namespace.clone(), name: parent.name },
                    container: &sandbox.namespace,
                    device,
                    mac: None,
                    addresses,
                    announcements: config.announcements,
                    link_local,
                    disable_ipv6,
                    sysctls,
                };
                ipvlan::join(&mut outcome.plan, active.owner, &attachment, config);
            }
            _ => return Ok(()),
        }
        let prefix = prefix.to_owned();
        let counter = match profile.interface_numbering() {
            InterfaceNumbering::EverIncreasing => Some(prefix),
            InterfaceNumbering::LowestFree => None,
        };
        if let Some(container) = self.containers.get_mut(&number) {
            if let Some(prefix) = counter {
                *container.interface_counters.entry(prefix).or_default() += 1;
            }
            if let Some(active) = container.endpoints.get_mut(position).and_then(|e| e.active.as_mut()) {
                active.device = Some(device);
            }
        }
        Ok(())
    }
}

/// The name of the next interface of a container, or the name that it cannot have and the kernel's reason.
fn device_name(
    profile: Profile,
    container: &Container,
    endpoint: &Endpoint,
    prefix: &str,
) -> Result<InterfaceName, (String, &'static str)> {
    let devices = container.endpoints.iter().filter_map(|endpoint| endpoint.active.as_ref()?.device);
    let devices: BTreeSet<InterfaceName> = devices.collect();
    let taken =
        |name: &str| name == "lo" || InterfaceName::parse(name).is_ok_and(|name| devices.contains(&name));
    let valid = |name: String| {
        InterfaceName::parse(&name).map_err(|_| {
            let reason = match name.len() {
                0..=LONGEST_NAME => "invalid argument",
                _ => "numerical result out of range",
            };
            (name, reason)
        })
    };
    let asked = endpoint.config.driver_opts.get("com.docker.network.endpoint.ifname");
    match asked.filter(|name| profile.applies_endpoint_driver_options() && !name.is_empty()) {
        Some(name) if taken(name) => return Err((name.clone(), "file exists")),
        Some(name) => return valid(name.clone()),
        None => {}
    }
    let first = match profile.interface_numbering() {
        InterfaceNumbering::EverIncreasing => container.interface_counters.get(prefix).copied().unwrap_or(0),
        InterfaceNumbering::LowestFree => 0,
    };
    let mut names = (first..=u32::MAX).map(|number| format!("{prefix}{number}"));
    valid(names.find(|name| !taken(name)).unwrap_or_else(|| prefix.to_owned()))
}

/// Whether an interface may have a hardware address: not that of a group, nor none (`is_valid_ether_addr`).
fn is_station(mac: MacAddress) -> bool {
    !mac.is_multicast() && mac != MacAddress::ZERO
}
