//! Namespaces and their kernel settings.

use ipnet::{IpNet, Ipv4Net};
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::Family;
use linkspan_switch::mac::MacAddress;

use super::addresses::LOOPBACK_V6;
use super::error::ApplyError;
use super::undo::Undo;
use crate::engine::Engine;
use crate::engine::device::{Device, Kind};
use crate::engine::errno::Errno;
use crate::engine::id::{DeviceId, NamespaceId};
use crate::engine::interface_settings::{Holder, InterfaceParameter, InterfaceSetting, Ipv4Settings};
use crate::engine::namespace::Namespace;
use crate::engine::namespace_settings::NamespaceSetting;
use crate::engine::plan::{DeviceName, DuplicateDetection, NamespaceName, Sysctl};
use crate::engine::view::Counters;

impl Engine {
    pub(super) fn add_namespace(
        &mut self,
        name: &NamespaceName,
        disable_ipv6: bool,
        ipv4_forward: bool,
        unprivileged: bool,
    ) -> Result<Undo, ApplyError> {
        if self.names.contains_key(name) {
            return Err(ApplyError::NamespaceExists(name.clone()));
        }
        let id = NamespaceId(self.namespaces.len() as u32);
        let loopback = DeviceId(self.devices.len() as u32);
        let Ok(lo) = InterfaceName::parse("lo") else {
            return Err(ApplyError::NamespaceExists(name.clone()));
        };
        let device = Device {
            namespace: id,
            name: lo,
            index: 1,
            mac: MacAddress::ZERO,
            mtu: 65_536,
            up: true,
            kind: Kind::Loopback,
            master: None,
            uppers: None,
            addresses: Vec::new(),
            ipv4_forward,
            ipv4: Ipv4Settings::default(),
            ipv6_disabled: disable_ipv6,
            counters: Counters::default(),
        };
        self.push_device(device);
        let rules = self.blank_rules.clone();
        let mut space = Namespace::new(name.clone(), loopback, disable_ipv6, rules, self.seed);
        (space.ipv4_forward, space.ipv4_forward_default) = (ipv4_forward, ipv4_forward);
        space.unprivileged = unprivileged;
        space.by_name.insert(lo, loopback);
        self.namespaces.push(Some(Box::new(space)));
        self.names.insert(name.clone(), id);
        let address = IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::LOCALHOST, 8));
        self.add_address(loopback, address, DuplicateDetection::Wanted);
        if !disable_ipv6 {
            self.add_address(loopback, LOOPBACK_V6, DuplicateDetection::Wanted);
        }
        Ok(Undo::Namespace(id))
    }

    pub(super) fn remove_namespace(&mut self, id: NamespaceId) {
        let Some(Some(space)) = self.namespaces.get(id.index()) else { return };
        for device in space.devices.clone().into_iter().rev() {
            self.remove_device(device);
        }
        for socket in self.sockets.of(id) {
            self.close(socket);
        }
        self.tcp.abort_scope(crate::tcp::Scope(id.0));
        self.snmp.forget(id);
        self.namespace_settings.forget(id);
        self.icmp_limits.forget(id);
        if let Some(space) = self.namespaces[id.index()].take() {
            self.names.remove(&space.name);
        }
    }

    /// Sets a sysctl; returns the setting that brings the value before back.
    pub(in crate::engine) fn set_sysctl(
        &mut self,
        id: NamespaceId,
        name: &NamespaceName,
        sysctl: &Sysctl,
    ) -> Result<Sysctl, ApplyError> {
        let device = |engine: &Engine, device: &InterfaceName| {
            engine.find_device(&DeviceName { namespace: name.clone(), name: *device })
        };
        match sysctl {
            Sysctl::Interface(setting) => {
                let before = self.set_interface(id, setting);
                let before = before.map_err(|reason| ApplyError::Setting {
                    namespace: name.clone(),
                    parameter: setting.parameter.name(),
                    reason,
                })?;
                return Ok(Sysctl::Interface(InterfaceSetting { value: before, ..*setting }));
            }
            Sysctl::DisableIpv6(interface, value) => {
                let id = device(self, interface)?;
                let Some(device) = &mut self.devices[id.index()] else { return Ok(sysctl.clone()) };
                let before = std::mem::replace(&mut device.ipv6_disabled, *value);
                let up = device.up;
                let ipv6: Vec<IpNet> =
                    device.addresses.iter().copied().filter(|a| a.addr().is_ipv6()).collect();
                if *value {
                    ipv6.into_iter().for_each(|address| self.remove_address(id, address));
                } else if up {
                    self.enable_ipv6(id);
                }
                return Ok(Sysctl::DisableIpv6(*interface, before));
            }
            Sysctl::Namespace(setting) => {
                let value = self.namespace_setting(id, setting.parameter);
                self.namespace_settings.set(id, setting);
                return Ok(Sysctl::Namespace(NamespaceSetting { value, ..*setting }));
            }
            _ => {}
        }
        let space = self.space(id, name)?;
        Ok(match sysctl {
            Sysctl::Ipv4Forward(value) => {
                let before = std::mem::replace(&mut space.ipv4_forward, *value);
                space.ipv4_forward_default = *value;
                for id in space.devices.clone() {
                    if let Some(Some(device)) = self.devices.get_mut(id.index()) {
                        device.ipv4_forward = *value;
                    }
                }
                Sysctl::Ipv4Forward(before)
            }
            Sysctl::Ipv6Forward(value) => {
                // Interfaces follow, whatever was said of them.
                let own = |parameter: &InterfaceParameter| {
                    (parameter.family(), parameter.name()) == (Family::Ipv6, "forwarding")
                };
                space.written.retain(|(_, parameter), _| !own(parameter));
                Sysctl::Ipv6Forward(std::mem::replace(&mut space.ipv6_forward, *value))
            }
            Sysctl::DisableIpv6All(value) => {
                let before = std::mem::replace(&mut space.ipv6_disabled, *value);
                space.ipv6_disabled_default = *value;
                for id in space.devices.clone() {
                    let Some(device) = &mut self.devices[id.index()] else { continue };
                    let was = std::mem::replace(&mut device.ipv6_disabled, *value);
                    if was == *value {
                        continue;
                    }
                    if *value {
                        let ipv6 = device.addresses.iter().copied().filter(|a| a.addr().is_ipv6());
                        let ipv6: Vec<IpNet> = ipv6.collect();
                        ipv6.into_iter().for_each(|address| self.remove_address(id, address));
                    } else if device.up {
                        self.enable_ipv6(id);
                    }
                }
                Sysctl::DisableIpv6All(before)
            }
            Sysctl::BridgeNetfilter(value) => {
                Sysctl::BridgeNetfilter(std::mem::replace(&mut space.bridge_netfilter, *value))
            }
            Sysctl::LocalPortRange(first, last) => {
                let (a, b) = std::mem::replace(&mut space.local_ports, (*first, (*last).max(*first)));
                Sysctl::LocalPortRange(a, b)
            }
            Sysctl::Interface(_) | Sysctl::DisableIpv6(..) | Sysctl::Namespace(_) => sysctl.clone(),
        })
    }

    /// Sets what single interfaces have; returns the value before.
    fn set_interface(&mut self, id: NamespaceId, setting: &InterfaceSetting) -> Result<i64, Errno> {
        let InterfaceSetting { scope, parameter, value } = *setting;
        let flag = value != 0;
        let before = self.interface_setting(id, scope, parameter).ok_or(Errno::NoSuchFile)?;
        let holder = self.setting_holder(id, scope).ok_or(Errno::NoSuchFile)?;
        let Some(Some(space)) = self.namespaces.get_mut(id.index()) else { return Err(Errno::NoSuchFile) };
        match (parameter.family(), parameter.name(), holder) {
            (Family::Ipv4, "forwarding", Holder::Default) => space.ipv4_forward_default = flag,
            (Family::Ipv4, "forwarding", Holder::Device(device)) => {
                if let Some(Some(device)) = self.devices.get_mut(device.index()) {
                    device.ipv4_forward = flag;
                }
            }
            (Family::Ipv6, "disable_ipv6", Holder::Default) => space.ipv6_disabled_default = flag,
            _ => return self.write_interface_setting(id, setting),
        }
        Ok(before)
    }

    /// A setting as it stands now: the one that `like` names.
    pub(super) fn sysctl_now(&self, id: NamespaceId, like: &Sysctl) -> Option<Sysctl> {
        let space = self.namespaces.get(id.index())?.as_ref()?;
        let device = |name: &InterfaceName| self.devices.get(space.by_name.get(name)?.index())?.as_ref();
        Some(match like {
            Sysctl::Ipv4Forward(_) => Sysctl::Ipv4Forward(space.ipv4_forward),
            Sysctl::Ipv6Forward(_) => Sysctl::Ipv6Forward(space.ipv6_forward),
            Sysctl::Interface(setting) => {
                let value = self.interface_setting(id, setting.scope, setting.parameter)?;
                Sysctl::Interface(InterfaceSetting { value, ..*setting })
            }
            Sysctl::DisableIpv6(name, _) => Sysctl::DisableIpv6(*name, device(name)?.ipv6_disabled),
            Sysctl::DisableIpv6All(_) => Sysctl::DisableIpv6All(space.ipv6_disabled),
            Sysctl::BridgeNetfilter(_) => Sysctl::BridgeNetfilter(space.bridge_netfilter),
            Sysctl::LocalPortRange(..) => Sysctl::LocalPortRange(space.local_ports.0, space.local_ports.1),
            Sysctl::Namespace(setting) => {
                let value = self.namespace_setting(id, setting.parameter);
                Sysctl::Namespace(NamespaceSetting { value, ..*setting })
            }
        })
    }
}
