//! The parent devices of macvlan and ipvlan networks: who may use which, who made it, and when it goes.

use linkspan_nat::interface::InterfaceName;

use super::Daemon;
use crate::docker::drivers::Driver;
use crate::docker::drivers::parent::{self, Origin};
use crate::docker::error::DockerError;
use crate::docker::network::{Network, ParentLink};
use crate::docker::outcome::{HostView, Outcome};
use crate::engine::plan::{MacvlanMode, Owner};

impl Daemon {
    /// Gives a new network its parent and plans the link if it has to be made.
    pub(super) fn take_parent(
        &mut self,
        network: &mut Network,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let Some((wanted, prefix)) = network.driver.parent() else { return Ok(()) };
        let driver = network.driver.name();
        // An internal network that names a parent stands on it all the same; it has no gateway.
        let dummy = wanted.is_empty();
        let name = if dummy { format!("{prefix}{}", network.id.short()) } else { wanted.to_owned() };
        let mut owner = None;
        for other in self.networks.values() {
            let Some(link) = &other.parent else { continue };
            if other.driver.name() == driver && link.name.as_str() == name {
                self.check_shared(network, other, prefix, &name)?;
                owner = owner.or(link.owner);
            }
        }
        let (name, origin) = if dummy {
            let name = InterfaceName::parse(&name).map_err(|error| DockerError::system(error.to_string()))?;
            (name, Origin::Dummy)
        } else {
            parent::find(self.profile(), driver, &name, view)?
        };
        if origin != Origin::Present {
            owner = Some(network.owner());
            parent::create(&mut outcome.plan, network.owner(), &self.host.namespace, name, origin);
        }
        network.parent = Some(ParentLink { name, origin, owner });
        Ok(())
    }

    /// Whether two networks of one driver may use the same parent.
    fn check_shared(
        &self,
        network: &Network,
        other: &Network,
        prefix: &str,
        name: &str,
    ) -> Result<(), DockerError> {
        let id = &other.id;
        let passthru = |network: &Network| matches!(&network.driver, Driver::Macvlan(config) if config.mode == MacvlanMode::Passthru);
        let shares = matches!(network.driver, Driver::Macvlan(_)) && self.profile().shares_macvlan_parents();
        if !shares {
            return Err(DockerError::system(format!(
                "network {prefix}{} is already using parent interface {name}",
                id.short()
            )));
        }
        if passthru(network) {
            return Err(DockerError::system(format!(
                "cannot use mode passthru, macvlan network {id} is already using parent interface {name}"
            )));
        }
        if passthru(other) {
            return Err(DockerError::system(format!(
                "macvlan network {id} is already using parent interface {name} in mode passthru"
            )));
        }
        Ok(())
    }

    /// Whether the parent of a network takes one more container, as the kernel answers.
    pub(super) fn check_parent(&self, network: &Network, view: &HostView) -> Result<(), DockerError> {
        let Some(link) = &network.parent else { return Ok(()) };
        let driver = network.driver.name();
        let failed = |text: String| Err(DockerError::system(text));
        let port = |why: &str| failed(format!("failed to create the {driver} port: {why}"));
        let Some(interface) = view.devices.interface(link.name.as_str()) else {
            let name = link.name;
            return failed(format!(
                "error occurred looking up the {driver} parent iface {name} error: Link not found"
            ));
        };
        // One kind of children only on one parent, and none on a bridge's port.
        let others = self.networks.values().any(|other| {
            other.driver.name() != driver
                && !other.members.is_empty()
                && other.parent.as_ref().is_some_and(|theirs| theirs.name == link.name)
        });
        if others || interface.bridge_port {
            return port("device or resource busy");
        }
        let passthru =
            matches!(&network.driver, Driver::Macvlan(config) if config.mode == MacvlanMode::Passthru);
        if passthru && !network.members.is_empty() {
            return port("invalid argument");
        }
        Ok(())
    }

    /// After a host's start: the links that a driver made.
    pub(super) fn restore_parent(&self, network: &Network, view: &HostView, outcome: &mut Outcome) {
        let Some(ParentLink { name, origin, owner: Some(owner) }) = &network.parent else { return };
        if view.devices.interface(name.as_str()).is_none() {
            parent::create(&mut outcome.plan, *owner, &self.host.namespace, *name, *origin);
        }
    }

    /// Who owns the link that goes with a removed network: nobody while another network uses it.
    pub(super) fn forsaken_link(&self, network: &Network) -> Option<Owner> {
        let owner = network.parent.as_ref()?.owner?;
        let shared = self.networks.values().any(|other| {
            other.number != network.number && other.parent.as_ref().and_then(|link| link.owner) == Some(owner)
        });
        (!shared).then_some(owner)
    }
}
