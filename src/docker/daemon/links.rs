//! Legacy links of the default bridge: environment, host names, and rules where containers may not talk.

use std::net::IpAddr;
use std::sync::Arc;

use super::Daemon;
use crate::docker::cli::ports::Protocol;
use crate::docker::container::{Container, OpenedLink};
use crate::docker::error::DockerError;
use crate::docker::hosts_file;
use crate::docker::identity::Digits;
use crate::docker::outcome::Outcome;
use crate::docker::profile::Profile;
use crate::engine::plan::Owner;

impl Daemon {
    /// Whether a container may start with its links.
    pub(super) fn check_links(&self, number: u32) -> Result<(), DockerError> {
        self.check_linked_run(number)?;
        for (_, target) in self.legacy_links(number) {
            if !target.endpoints.iter().any(|endpoint| endpoint.network_name == "bridge") {
                let Container { id, name, .. } = target;
                return Err(match self.profile() {
                    Profile::Docker20_10 => DockerError::bad_parameter(format!(
                        "Cannot link to /{name}, as it does not belong to the default network"
                    )),
                    Profile::Docker28 | Profile::Docker29 => {
                        DockerError::system(format!("container {id} not attached to default bridge network"))
                    }
                });
            }
        }
        Ok(())
    }

    /// The environment of a container's process names the containers it links to, which have to run.
    pub(super) fn check_linked_run(&self, number: u32) -> Result<(), DockerError> {
        let idle = self.legacy_links(number).into_iter().find(|(_, target)| !target.state.is_up());
        let idle = idle.map(|(alias, target)| (alias, target.name.as_str()));
        let own = (number, String::new())..(number + 1, String::new());
        let lost = || self.lost_links.range(own).next();
        match idle.or_else(|| lost().map(|((_, alias), name)| (alias.as_str(), name.as_str()))) {
            None => Ok(()),
            Some((alias, name)) => Err(DockerError::conflict(format!(
                "Cannot link to a non running container: /{name} AS /{}/{alias}",
                self.containers.get(&number).map_or("", |container| container.name.as_str())
            ))),
        }
    }

    /// A container goes: who links to it keeps the link without a target (seen with 28.5.2), until dockerd starts anew and
    /// looks for the name. Its own links go with it.
    pub(super) fn lose_links(&mut self, number: u32) {
        let Some(gone) = self.containers.get(&number) else { return };
        let name = gone.name.clone();
        let mut lost = Vec::new();
        for linker in self.linkers.iter().filter(|linker| **linker != number) {
            let to_it =
                |(alias, target): (&str, &Container)| (target.number == number).then(|| alias.to_owned());
            let aliases = self.legacy_links(*linker).into_iter().filter_map(to_it);
            lost.extend(aliases.map(|alias| ((*linker, alias), name.clone())));
        }
        self.lost_links.extend(lost);
        self.lost_links.retain(|(linker, _), _| *linker != number);
    }

    /// The aliases and the targets of a container's legacy links, those that exist and are on the default bridge.
    pub(super) fn legacy_links(&self, number: u32) -> Vec<(&str, &Container)> {
        let Some(container) = self.containers.get(&number) else { return Vec::new() };
        container
            .made_from
            .config
            .links
            .iter()
            .filter(|link| !self.lost_links.contains_key(&(number, link.alias.clone())))
            .filter_map(|link| Some((link.alias.as_str(), self.container(&link.container).ok()?)))
            .collect()
    }

    pub(super) fn link_environment(&self, number: u32) -> Vec<String> {
        let Some(container) = self.containers.get(&number) else { return Vec::new() };
        let mut env = Vec::new();
        for (alias, target) in self.legacy_links(number) {
            let prefix = alias.to_uppercase().replace('-', "_");
            let active = target.endpoints.iter().find_map(|endpoint| endpoint.active.as_ref());
            let Some(address) = active.and_then(|active| active.ipv4).map(|net| net.addr()) else { continue };
            let mut ports = target.made_from.exposed.clone();
            ports.sort_by_key(|port| (port.protocol != Protocol::Tcp, port.port));
            if let Some(first) = ports.first() {
                env.push(format!("{prefix}_PORT={}://{address}:{}", first.protocol, first.port));
            }
            for port in &ports {
                let (number, protocol) = (port.port, port.protocol.to_string());
                let base = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
                env.push(format!("{base}={protocol}://{address}:{number}"));
                env.push(format!("{base}_ADDR={address}"));
                env.push(format!("{base}_PORT={number}"));
                env.push(format!("{base}_PROTO={protocol}"));
            }
            env.push(format!("{prefix}_NAME=/{}/{alias}", container.name));
            for line in target.made_from.config.env.iter().filter(|line| line.contains('=')) {
                if !["PATH=", "HOME=", "HOSTNAME="].iter().any(|skip| line.starts_with(skip)) {
                    env.push(format!("{prefix}_ENV_{line}"));
                }
            }
        }
        env
    }

    /// Where containers of the default bridge may not talk, a link opens the target's exposed ports: when the linker
    /// starts, and again when the target does, whose address may be another one then.
    pub(super) fn open_links(&mut self, number: u32, outcome: &mut Outcome) {
        let Some(bridge) = self.default_bridge() else { return };
        let (Some(config), Some(device)) = (bridge.driver.bridge(), bridge.bridge) else { return };
        if config.icc || !self.config.iptables {
            return;
        }
        let network = bridge.number;
        let targets = self.legacy_links(number).into_iter().map(|(_, target)| (number, target.number));
        let linkers = self
            .linkers
            .iter()
            .filter(|linker| self.legacy_links(**linker).iter().any(|(_, target)| target.number == number));
        let pairs: Vec<(u32, u32)> = targets.chain(linkers.map(|linker| (*linker, number))).collect();
        for (linker, target) in pairs {
            let active = |number| self.containers.get(&number)?.endpoint(network)?.active.clone();
            let (Some(from), Some(to)) = (active(linker), active(target)) else { continue };
            let (Some(parent), Some(child)) = (from.ipv4, to.ipv4) else { continue };
            let addresses = (parent.addr(), child.addr());
            if !self.link_rules.contains_key(&addresses) {
                let owner = Owner::Rules(self.next_number());
                let exposed = self.containers.get(&target).map(|target| target.made_from.exposed.clone());
                let mut ports = exposed.unwrap_or_default();
                ports.sort_by_key(|port| (std::cmp::Reverse(port.port), port.protocol));
                for port in ports.into_iter().filter(|port| port.protocol != Protocol::Icmp) {
                    let port = (port.protocol, port.port);
                    self.firewall().link(&mut outcome.plan, owner, device, addresses, port);
                }
                self.link_rules.insert(addresses, owner);
            }
            let other = if linker == number { to.id } else { from.id };
            if let Some(container) = self.containers.get_mut(&number) {
                container.opened_links.push(OpenedLink { addresses, other });
            }
        }
    }

    /// Closes what links opened, before a container's endpoint on the default bridge goes. Every engine remembers the other end
    /// as it was when this one started: if that has started anew since, what was opened stays open, whoever gets the
    /// addresses (seen with 20.10.24 and 28.5.2).
    pub(super) fn close_links(&mut self, number: u32, outcome: &mut Outcome) {
        let Some(container) = self.containers.get_mut(&number) else { return };
        let opened = std::mem::take(&mut container.opened_links);
        let is_there = |id: Digits| {
            let endpoints = self.containers.values().flat_map(|container| &container.endpoints);
            endpoints.filter_map(|endpoint| endpoint.active.as_ref()).any(|active| active.id == id)
        };
        let closed: Vec<(IpAddr, IpAddr)> =
            opened.iter().filter(|link| is_there(link.other)).map(|link| link.addresses).collect();
        for addresses in closed {
            if let Some(owner) = self.link_rules.remove(&addresses) {
                outcome.plan.remove_owner(owner);
            }
        }
    }

    /// A link's target has a new address: running containers that link to it get another line.
    pub(super) fn refresh_links_to(&mut self, number: u32, outcome: &mut Outcome) {
        let Some(target) = self.containers.get(&number) else { return };
        let active = target.endpoints.iter().find_map(|endpoint| endpoint.active.as_ref());
        let Some(address) = active.and_then(|active| active.ipv4).map(|net| net.addr()) else { return };
        let linkers: Vec<(u32, String)> = self
            .linkers
            .iter()
            .filter_map(|linker| self.containers.get(linker))
            .filter(|linker| linker.state.is_up() && linker.number != number)
            .flat_map(|linker| linker.made_from.config.links.iter().map(move |link| (linker.number, link)))
            .filter(|(_, link)| self.container_number(&link.container).is_ok_and(|found| found == number))
            .map(|(linker, link)| (linker, link.alias.clone()))
            .collect();
        for (linker, alias) in linkers {
            self.change_hosts(linker, outcome, |text| hosts_file::update_address(text, &alias, address));
        }
    }

    /// A link belongs to the container, whatever it is called.
    pub(super) fn rename_link_target(&mut self, number: u32, name: &str) {
        for linker in self.linkers.clone() {
            let links = self.containers.get(&linker).map(|linker| linker.made_from.config.links.clone());
            for (index, link) in links.unwrap_or_default().iter().enumerate() {
                if self.container_number(&link.container).is_ok_and(|found| found == number)
                    && let Some(container) = self.containers.get_mut(&linker)
                {
                    let config = &mut Arc::make_mut(&mut container.made_from).config;
                    config.links[index].container = name.to_owned();
                }
            }
        }
    }

    /// The container that a link's own name means: `web/database` is what `web` calls `database`.
    pub(super) fn linked_container(&self, name: &str) -> Option<u32> {
        let (linker, alias) = name.split_once('/')?;
        let linker = self.containers.get(self.container_names.get(linker)?)?;
        let link = linker.made_from.config.links.iter().find(|link| link.alias == alias)?;
        self.container_number(&link.container).ok()
    }

    /// `docker rm --link /web/database`: links of user-defined networks are not containers by another name.
    pub(super) fn remove_link(&mut self, text: &str, outcome: &mut Outcome) -> Result<(), DockerError> {
        let path = text.trim_start_matches('/');
        self.container_number(path)?;
        let (parent, alias) = path.split_once('/').ok_or_else(|| {
            DockerError::system("Conflict, cannot remove the default link name of the container")
        })?;
        let number = self.container_number(parent)?;
        if let Some(container) = self.containers.get_mut(&number) {
            Arc::make_mut(&mut container.made_from).config.links.retain(|link| link.alias != alias);
        }
        self.change_hosts(number, outcome, |hosts| hosts_file::remove_name(hosts, alias));
        Ok(())
    }
}
