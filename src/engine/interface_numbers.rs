//! The numbers of interfaces, which are each namespace's own: `lo` is 1, and every device that is made takes the next.
//!
//! A device that moves to another namespace keeps its number, unless somebody has it there (`__dev_change_net_namespace`): it
//! is made where the device is that it belongs to. A number is not given again, not even that of a device that is gone.
//!
//! libnetwork moves a container's interface back to the host before it removes it. Where its number is taken there it gets the
//! host's next one, so that numbers of the host pass by that no device is ever seen with.

use super::Engine;
use super::device::Kind;
use super::id::{DeviceId, NamespaceId};

/// The numbers that a namespace has given.
#[derive(Debug)]
pub(crate) struct InterfaceNumbers {
    last: u32,
    /// Devices are here that were made elsewhere: their numbers may lie ahead.
    visited: bool,
}

impl Default for InterfaceNumbers {
    /// `lo` has the first.
    fn default() -> Self {
        InterfaceNumbers { last: 1, visited: false }
    }
}

impl Engine {
    /// The number of a new device of a namespace that is made in `born` and moved from there, if that is another one.
    pub(super) fn take_number(&mut self, namespace: NamespaceId, born: NamespaceId) -> u32 {
        let number = self.next_number(born);
        if namespace == born {
            return number;
        }
        let taken = self.is_number_taken(namespace, number);
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.numbers.visited = true;
        }
        if taken { self.next_number(namespace) } else { number }
    }

    /// The device is about to be removed by whoever made it: what of it is in a container goes back first.
    pub(super) fn take_visitor_back(&mut self, id: DeviceId) {
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let (visitor, home) = match device.kind {
            // A number that came from home is free there.
            Kind::Veth { peer, moved: false, .. } => (Some(peer), device.namespace),
            Kind::Macvlan { parent } | Kind::Ipvlan { parent } => {
                let Some(Some(parent)) = self.devices.get(parent.index()) else { return };
                (Some(id), parent.namespace)
            }
            _ => return,
        };
        let visitor = visitor.and_then(|visitor| self.devices.get(visitor.index())?.as_ref());
        if let Some(visitor) = visitor.filter(|visitor| visitor.namespace != home)
            && self.is_number_taken(home, visitor.index)
        {
            self.next_number(home);
        }
    }

    fn next_number(&mut self, namespace: NamespaceId) -> u32 {
        loop {
            let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return 0 };
            space.numbers.last = space.numbers.last.wrapping_add(1).max(1);
            let (number, visited) = (space.numbers.last, space.numbers.visited);
            if !visited || !self.is_number_taken(namespace, number) {
                return number;
            }
        }
    }

    fn is_number_taken(&self, namespace: NamespaceId, number: u32) -> bool {
        let Some(Some(space)) = self.namespaces.get(namespace.index()) else { return false };
        let mut devices = space.devices.iter().filter_map(|id| self.devices.get(id.index())?.as_ref());
        if space.numbers.visited {
            return devices.any(|device| device.index == number);
        }
        // Ascending but for pairs of one namespace, whose second end has the lower number.
        devices.take_while(|device| device.index <= number + 1).any(|device| device.index == number)
    }
}
