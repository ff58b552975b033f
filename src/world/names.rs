//! Names for readers: which namespace and device an event means, who has an address, what a rule says.

use std::net::IpAddr;

use super::World;
use crate::engine::id::{DeviceId, NamespaceId};
use crate::engine::sys::Family;

/// A world's names.
#[derive(Clone, Copy)]
pub struct Names<'a>(&'a World);

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
        let found = self.0.engine.borrow().device_name(id);
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
}
