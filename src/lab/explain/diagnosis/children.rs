//! Containers that stand on a device of the host (macvlan, ipvlan): who of them hears whom, and that their host hears none.

use std::net::IpAddr;

use super::Facts;
use crate::observe::explain::Cause;
use crate::scenario::Span;
use crate::world::Location;

/// How the children of one network are kept apart.
enum Apart {
    /// The driver drops what one sends to another.
    Private,
    /// It leaves by the parent, and comes back only if the switch there reflects it.
    Vepa,
}

impl Facts<'_> {
    /// Why two children of one parent, or a child and its host, have nothing to say to each other.
    pub(super) fn behind_a_parent(&self) -> Option<Cause> {
        self.apart_by_mode().or_else(|| self.child_and_host())
    }

    /// Both stand on one network whose mode keeps them apart.
    fn apart_by_mode(&self) -> Option<Cause> {
        let (from, target) = (self.from.container()?, self.target_container()?);
        let theirs = self.networks(&target);
        let daemon = self.world.daemon(self.host)?;
        let mut common = self.networks(from).into_iter().filter(|network| theirs.contains(network));
        let network = common.find_map(|network| daemon.network(&network).ok())?;
        let (option, kind) = match network.driver.name() {
            "macvlan" => ("macvlan_mode", "macvlan"),
            "ipvlan" => ("ipvlan_flag", "ipvlan"),
            _ => return None,
        };
        let apart = match network.options.get(option).map(String::as_str) {
            Some("private") => Apart::Private,
            Some("vepa") => Apart::Vepa,
            _ => return None,
        };
        let (name, parent) = (self.network_key(&network.name), network.parent.as_ref()?.name);
        let text = match apart {
            Apart::Private => format!(
                "`{name}` is a private {kind} network: its containers reach the outside, and never each other"
            ),
            Apart::Vepa => format!(
                "`{name}` is in VEPA mode: what its containers send each other leaves by {parent}, and the switch there \
                 does not send it back"
            ),
        };
        let setting = self.causes.network_setting(&network.name, &["driver_opts", option]);
        let suggestion = match apart {
            Apart::Private => format!("make it `{option}: bridge`, or let them meet on another network"),
            Apart::Vepa => {
                format!("make it `{option}: bridge`, or use a switch that reflects (hairpin, 802.1Qbg)")
            }
        };
        Some(Cause {
            text,
            line: self.line(setting.or_else(|| self.network_line(&network.name))),
            suggestion,
        })
    }

    /// One is the host, by an address of the network, and the other a child of one of its devices.
    fn child_and_host(&self) -> Option<Cause> {
        let host_addresses = self.world.addresses(&Location::Host(self.host)).ok()?;
        let container = match self.from.container() {
            Some(from) if host_addresses.contains(&self.target_address()?) => from.to_owned(),
            None if *self.from == Location::Host(self.host) => self.target_container()?,
            _ => return None,
        };
        let (network, parent, line) = self.child_network(&container, self.target_address()?)?;
        let name = self.readable(&container);
        Some(Cause {
            text: format!(
                "{name} stands on {parent} of the host, and the two never hear each other: what a child sends leaves by \
                 the wire"
            ),
            line: self.line(line),
            suggestion: format!(
                "connect {name} to a bridge network as well, or give the host a macvlan device of its own on {parent} \
                 and reach `{network}` by that"
            ),
        })
    }

    /// The network, parent device and line of the macvlan or ipvlan network of a container that holds an address.
    fn child_network(&self, container: &str, address: IpAddr) -> Option<(String, String, Option<Span>)> {
        let daemon = self.world.daemon(self.host)?;
        let networks = self.networks(container);
        let mut known = networks.iter().filter_map(|network| daemon.network(network).ok());
        let network = known.find(|network| {
            network.parent.is_some() && network.subnets.iter().any(|s| s.pool.subnet().contains(&address))
        })?;
        let parent = network.parent.as_ref()?.name.to_string();
        Some((self.network_key(&network.name), parent, self.network_line(&network.name)))
    }
}
