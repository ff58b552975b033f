//! Bridge ports: a device joins a bridge and leaves it; the bridge's MTU and carrier follow its ports.

use ipnet::{IpNet, Ipv6Net};
use linkspan_nat::interface::InterfaceName;
use linkspan_switch::bridge::PortConfig;

use super::devices::ETHERNET_MTU;
use super::error::{ApplyError, wrong_kind};
use super::undo::Undo;
use crate::engine::Engine;
use crate::engine::device::Kind;
use crate::engine::id::DeviceId;
use crate::engine::plan::DeviceName;

impl Engine {
    pub(super) fn set_master(
        &mut self,
        name: &DeviceName,
        bridge: InterfaceName,
        hairpin: bool,
        isolated: bool,
    ) -> Result<Undo, ApplyError> {
        let id = self.find_device(name)?;
        let bridge_name = DeviceName { namespace: name.namespace.clone(), name: bridge };
        let bridge = self.find_device(&bridge_name)?;
        let Some(device) = self.devices[id.index()].as_ref() else {
            return Err(ApplyError::NoDevice(name.clone()));
        };
        let children = device.uppers.as_ref().is_some_and(|uppers| uppers.has_children());
        if device.master.is_some() || children {
            return Err(ApplyError::Attached(name.clone()));
        }
        if matches!(device.kind, Kind::Bridge(_) | Kind::Loopback) {
            return Err(wrong_kind(name, "a device that can be a bridge port"));
        }
        let (mac, mtu) = (device.mac, device.mtu);
        let Some(Kind::Bridge(master)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind) else {
            return Err(wrong_kind(&bridge_name, "a bridge"));
        };
        let config = PortConfig { hairpin, isolated, ..PortConfig::default() };
        let port = master
            .switch
            .add_port(config)
            .map_err(|reason| ApplyError::Bridge { bridge: bridge_name, reason })?;
        let slot = usize::from(port.0);
        if master.ports.len() <= slot {
            master.ports.resize(slot + 1, None);
        }
        master.ports[slot] = Some(id);
        master.count_in(mtu);
        // A port is disabled until it is seen to carry.
        let _ = master.switch.set_enabled(port, false);
        // As Linux, the port's own address is local to the bridge.
        let _ = master.switch.add_local(mac);
        if let Some(Some(device)) = self.devices.get_mut(id.index()) {
            device.master = Some((bridge, port));
        }
        self.check_port(id);
        self.update_bridge_mtu(bridge);
        Ok(Undo::Master(id))
    }

    pub(in crate::engine) fn clear_master(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        let Some((bridge, port)) = device.master.take() else { return };
        let (mac, mtu) = (device.mac, device.mtu);
        if let Some(Kind::Bridge(master)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind) {
            let carried = master.switch.port(port).is_some_and(|port| port.is_enabled());
            // The port exists: it was this device's.
            let _ = master.switch.remove_port(port);
            master.ports_up -= u32::from(carried);
            master.count_out(mtu);
            master.switch.remove_address(mac, None);
            if let Some(slot) = master.ports.get_mut(usize::from(port.0)) {
                *slot = None;
            }
        }
        self.follow_carrier(bridge);
        self.update_bridge_mtu(bridge);
    }

    /// A device, perhaps a port, has another MTU from now on.
    pub(in crate::engine) fn set_mtu(&mut self, id: DeviceId, mtu: u32) {
        let Some(Some(device)) = self.devices.get_mut(id.index()) else { return };
        let before = std::mem::replace(&mut device.mtu, mtu);
        let carries_ipv6 = device.carries_ipv6();
        let (up, master) = (device.up, device.master);
        if let Kind::Bridge(bridge) = &mut device.kind {
            bridge.fixed_mtu = Some(mtu);
        }
        if let Some((bridge, _)) = master {
            if let Some(Kind::Bridge(master)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind) {
                master.count_out(before);
                master.count_in(mtu);
            }
            self.update_bridge_mtu(bridge);
            self.follow_mtu(bridge);
        }
        match (carries_ipv6, up) {
            (false, _) => self.forget_ipv6(id),
            (true, true) => self.bring(id, true),
            (true, false) => {}
        }
    }

    /// A bridge takes its ports' smallest MTU, and with it what that means for IPv6.
    fn follow_mtu(&mut self, bridge: DeviceId) {
        if self.devices[bridge.index()].as_ref().is_some_and(|device| !device.carries_ipv6()) {
            self.forget_ipv6(bridge);
        }
    }

    /// A bridge's MTU is the smallest of its ports' (`br_mtu_auto_adjust`), 1,500 without ports.
    fn update_bridge_mtu(&mut self, bridge: DeviceId) {
        let Some(Some(device)) = self.devices.get_mut(bridge.index()) else { return };
        let Kind::Bridge(master) = &device.kind else { return };
        let smallest = master.port_mtus.first_key_value().map(|(mtu, _)| *mtu);
        device.mtu = master.fixed_mtu.or(smallest).unwrap_or(ETHERNET_MTU);
    }

    /// A device went up or down, or what it stands on did: a port of a bridge forwards while it and the bridge are up and it
    /// has a carrier, and forgets what was learned on it when that ends (`br_port_carrier_check`).
    pub(super) fn check_port(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let Some((bridge, port)) = device.master else { return };
        let up = self.devices[bridge.index()].as_ref().is_some_and(|bridge| bridge.up);
        let carries = up && device.up && self.plugged(device);
        let Some(Kind::Bridge(master)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind) else {
            return;
        };
        let carried = master.switch.port(port).is_some_and(|port| port.is_enabled());
        if carried == carries {
            return;
        }
        // The port exists: it is this device's.
        let _ = master.switch.set_enabled(port, carries);
        master.ports_up = master.ports_up + u32::from(carries) - u32::from(carried);
        self.follow_carrier(bridge);
        self.check_uppers(bridge);
    }

    /// The same for every port whose carrier a device is, or comes from one.
    pub(super) fn check_ports_of(&mut self, id: DeviceId) {
        self.check_port(id);
        self.check_uppers(id);
        match self.devices[id.index()].as_ref().map(|device| &device.kind) {
            Some(Kind::Veth { peer, .. }) => {
                let peer = *peer;
                self.check_port(peer);
                self.check_uppers(peer);
            }
            Some(Kind::Bridge(bridge)) => {
                let ports: Vec<DeviceId> = bridge.ports.iter().flatten().copied().collect();
                ports.into_iter().for_each(|port| self.check_port(port));
            }
            _ => {}
        }
    }

    fn check_uppers(&mut self, id: DeviceId) {
        let uppers = self.devices[id.index()].as_ref().and_then(|device| device.uppers.as_ref());
        for upper in uppers.map(|uppers| uppers.devices()).unwrap_or_default() {
            self.check_port(upper);
        }
    }

    /// A bridge's first port that carries gives it a carrier, and with it an IPv6 link-local address; with the last one
    /// the address goes. (Linux keeps it then; here nothing may be left of ports that are gone.)
    pub(super) fn follow_carrier(&mut self, bridge: DeviceId) {
        let Some(device) = self.devices[bridge.index()].as_ref().filter(|device| device.up) else { return };
        let address = IpNet::V6(Ipv6Net::new_assert(device.mac.eui64_link_local(), 64));
        if self.has_carrier(bridge) {
            self.bring(bridge, true);
        } else if device.addresses.contains(&address) {
            self.remove_address(bridge, address);
        }
    }

    /// False for a bridge without a port that carries.
    pub(in crate::engine) fn has_carrier(&self, id: DeviceId) -> bool {
        let Some(Kind::Bridge(bridge)) = self.devices[id.index()].as_ref().map(|device| &device.kind) else {
            return true;
        };
        bridge.ports_up > 0
    }
}
