//! Wires while the world runs: the cable of a card, and the veth pair of a container, get longer, lossy, cut and healed.
//!
//! Both directions change together. A container's wire is as old as its endpoint: after a restart it is ideal again.

use super::stage::LinkQuality;
use super::{Location, World, WorldError};
use crate::engine::plan::{DeviceName, InterfaceName, Op, Plan};

impl World {
    /// Cuts the wires of a machine's or host's card, or heals them; the first card that is plugged in if none is named.
    pub fn set_link(&mut self, machine: &str, card: Option<&str>, cut: bool) -> Result<(), WorldError> {
        let found = self.cables.iter().find(|cable| {
            cable.namespace.as_str() == machine && card.is_none_or(|name| cable.name.as_str() == name)
        });
        let Some(device) = found.cloned() else {
            let card = card.map(|card| format!("card {card}")).unwrap_or_else(|| "card".to_owned());
            let plugged = match self.cards(machine).as_slice() {
                [] => "none is plugged in".to_owned(),
                cards => format!("plugged in are {}", cards.join(", ")),
            };
            return Err(WorldError::NoPlace(format!("{card} on {machine}; {plugged}")));
        };
        let quality = self.quality_of(&device)?;
        self.change(device, LinkQuality { cut, ..quality })
    }

    /// The cards of a machine or host that are plugged in.
    pub fn cards(&self, machine: &str) -> Vec<String> {
        let own = self.cables.iter().filter(|cable| cable.namespace.as_str() == machine);
        own.map(|cable| cable.name.to_string()).collect()
    }

    /// What the wire behind a place's device is like, on the way out.
    pub fn link_quality(&self, place: &Location, device: &str) -> Result<LinkQuality, WorldError> {
        self.quality_of(&self.device_of(place, device)?)
    }

    /// Makes the wire behind a place's device like this, both ways.
    pub fn set_link_quality(
        &mut self,
        place: &Location,
        device: &str,
        quality: LinkQuality,
    ) -> Result<(), WorldError> {
        self.change(self.device_of(place, device)?, quality)
    }

    fn device_of(&self, place: &Location, device: &str) -> Result<DeviceName, WorldError> {
        let id = self.locate(place)?.namespace;
        let namespace = self.engine.borrow().namespace_name(id).cloned();
        let namespace = namespace.ok_or_else(|| WorldError::NoPlace(format!("namespace {id}")))?;
        let name = InterfaceName::parse(device).map_err(|error| WorldError::Name(error.to_string()))?;
        Ok(DeviceName { namespace, name })
    }

    fn quality_of(&self, device: &DeviceName) -> Result<LinkQuality, WorldError> {
        let wire = self.engine.borrow().wire_end(device);
        wire.map(|(_, quality)| quality).ok_or_else(|| no_wire(device))
    }

    fn change(&mut self, device: DeviceName, quality: LinkQuality) -> Result<(), WorldError> {
        let wire = self.engine.borrow().wire_end(&device);
        let (other, _) = wire.ok_or_else(|| no_wire(&device))?;
        let owner = self.next_machine_owner();
        let mut plan = Plan::new();
        for device in [device, other] {
            plan.push(owner, Op::SetLink { device, quality });
        }
        self.apply(&plan)
    }
}

fn no_wire(device: &DeviceName) -> WorldError {
    WorldError::NoPlace(format!("wire behind {} of {}", device.name, device.namespace))
}
