//! Names for readers: which namespace and device an event means, who has an address, what a rule says.

use std::net::IpAddr;

use super::World;
use crate::engine::id::{DeviceId, NamespaceId};
use crate::engine::sys::Family;
use crate::engine::view::InterfaceKind;

/// A world's names.
#[derive(Clone, Copy)]
pub struct Names<'a>(&'a World);

/// What a namespace stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A container.
    Container,
    /// A Docker host.
    Host,
    /// A machine outside.
    Machine,
    /// A LAN: the switch that NICs are plugged into.
    Lan,
}

impl World {
    /// The names of what is in this world.
    pub fn names(&self) -> Names<'_> {
        Names(self)
    }
}

impl Names<'_> {
    /// A namespace's name as a reader knows it: the container's, the machine's or the host's.
    pub fn namespace(&self, id: NamespaceId) -> String {
        let name = self.0.engine.borrow().namespace_name(id).map(ToString::to_string);
        match name {
            Some(name) => self.0.container_of_namespace(&name).unwrap_or(name),
            None => id.to_string(),
        }
    }

    /// A device's namespace and name.
    pub fn device(&self, id: DeviceId) -> (String, String) {
        let engine = self.0.engine.borrow();
        let found = engine.device_name(id).or_else(|| engine.departed_device_name(id));
        drop(engine);
        match found {
            Some((namespace, name)) => (self.namespace(namespace), name.to_string()),
            None => (String::new(), id.to_string()),
        }
    }

    /// The container or machine that has an address.
    pub fn address_owner(&self, address: IpAddr) -> Option<String> {
        self.0.address_owner(address)
    }

    /// What a rule says, as `iptables -S` prints it behind the chain; `None` once it is gone.
    pub fn rule_text(&self, namespace: NamespaceId, family: Family, rule: u64) -> Option<String> {
        self.0.engine.borrow().rule_text(namespace, family, rule)
    }

    /// Whether a rule is Docker's own and not one that somebody added with `iptables`.
    pub fn rule_is_dockers(&self, namespace: NamespaceId, family: Family, rule: u64) -> bool {
        self.0.engine.borrow().rule_is_planned(namespace, family, rule)
    }

    /// What a namespace stands for.
    pub fn role(&self, id: NamespaceId) -> Role {
        let name = self.0.engine.borrow().namespace_name(id).map(ToString::to_string).unwrap_or_default();
        if self.0.hosts.iter().any(|host| host.place.namespace == id) {
            Role::Host
        } else if self.0.machines.values().any(|machine| machine.namespace == id) {
            Role::Machine
        } else if self.0.lans.values().any(|lan| lan.namespace.as_str() == name) {
            Role::Lan
        } else {
            Role::Container
        }
    }

    /// What the namespace of a device stands for.
    pub fn role_of_device(&self, id: DeviceId) -> Role {
        let found = self.0.engine.borrow().device_name(id);
        found.map_or(Role::Container, |(namespace, _)| self.role(namespace))
    }

    /// What kind of device this is; `None` once it is gone.
    pub fn device_kind(&self, id: DeviceId) -> Option<InterfaceKind> {
        self.0.engine.borrow().device_kind(id)
    }

    /// The Docker network a bridge belongs to.
    pub fn network_of(&self, bridge: DeviceId) -> Option<String> {
        let (namespace, name) = self.0.engine.borrow().device_name(bridge)?;
        let host = self.0.hosts.iter().position(|host| host.place.namespace == namespace)?;
        self.0.daemons.get(host)?.network_of_bridge(name).map(|network| network.name.clone())
    }
}
