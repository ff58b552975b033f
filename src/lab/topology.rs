//! A world's topology as a value for `observe::graph`: what there is at this moment, not what a file asked for.

use crate::observe::graph::{
    Attachment, ContainerNode, HostNode, LanNode, MachineNode, NamespaceOf, NetworkNode, Plug, Topology,
};
use crate::scenario::run;
use crate::scenario::{Diagnostic, Scenario};
use crate::world::{HostId, Location, World, WorldError};

/// Runs a scenario to the end of its steps and looks at what there is then.
///
/// # Errors
/// What keeps the scenario from running.
pub fn topology(scenario: &Scenario, seed: u64) -> Result<Topology, Box<Diagnostic>> {
    let (world, host, _) = run::play(scenario, seed)?;
    let found = topology_of(&world, host, &scenario.name);
    found.map_err(|error| Box::new(Diagnostic::error(None, error.to_string())))
}

/// The topology of a world with one Docker host. Predefined networks without containers are left out.
///
/// # Errors
/// When the host is not of this world.
pub fn topology_of(world: &World, host: HostId, title: &str) -> Result<Topology, WorldError> {
    let host_node = host_node(world, host)?;
    let mut machines = Vec::new();
    for name in world.machines() {
        let location = Location::Machine(name.to_owned());
        machines.push(MachineNode {
            name: name.to_owned(),
            addresses: world.loopback_addresses(&location)?.iter().map(ToString::to_string).collect(),
            ports: world.listening_ports(&location)?.iter().map(ToString::to_string).collect(),
        });
    }
    let mut lans = Vec::new();
    for (lan, cards) in world.lans() {
        let mut plugs = Vec::new();
        for (machine, card) in cards {
            let location = if machine == host_node.name {
                Location::Host(host)
            } else {
                Location::Machine(machine.to_owned())
            };
            let addresses = world.card_addresses(&location)?;
            let own = addresses.iter().filter(|(name, _)| name == card);
            plugs.push(Plug {
                machine: machine.to_owned(),
                card: card.to_owned(),
                addresses: own.map(|(_, address)| address.to_string()).collect(),
            });
        }
        lans.push(LanNode { name: lan.to_owned(), plugs });
    }
    Ok(Topology { title: title.to_owned(), hosts: vec![host_node], lans, machines })
}

fn host_node(world: &World, host: HostId) -> Result<HostNode, WorldError> {
    let mut node = HostNode { name: world.host_name(host)?, ..HostNode::default() };
    let Some(daemon) = world.daemon(host) else { return Ok(node) };
    let used = |name: &str| {
        let mut endpoints = daemon.containers().flat_map(|container| &container.endpoints);
        endpoints.any(|endpoint| endpoint.network_name == name)
    };
    // The host's own network and none are no place that packets cross; containers there say so themselves.
    let drawn = |name: &str| !matches!(name, "host" | "none");
    for network in daemon.networks() {
        if drawn(&network.name) && (network.is_user_defined() || used(&network.name)) {
            node.networks.push(NetworkNode {
                name: network.name.clone(),
                driver: network.driver.name().to_owned(),
                subnets: network.subnets.iter().map(|subnet| subnet.pool.subnet().to_string()).collect(),
                internal: network.internal,
            });
        }
    }
    let names: Vec<String> = node.networks.iter().map(|network| network.name.clone()).collect();
    for container in daemon.containers() {
        let mut attachments = Vec::new();
        for endpoint in &container.endpoints {
            let Some(network) = names.iter().position(|name| *name == endpoint.network_name) else {
                continue;
            };
            let addresses = endpoint.active.iter().flat_map(|active| active.addresses());
            let addresses = addresses.map(|address| address.addr().to_string()).collect();
            attachments.push(Attachment { network, addresses });
        }
        let mut notes = vec![container.made_from.config.image.clone()];
        if !container.state.is_up() {
            notes.push(format!("not running ({})", container.state.name()));
        }
        let own = container.sandbox.as_ref().map(|sandbox| &sandbox.namespace);
        let shared = daemon.containers().find(|other| {
            let theirs = other.sandbox.as_ref().map(|sandbox| &sandbox.namespace);
            let apart = attachments.is_empty() && other.number != container.number;
            apart && !other.endpoints.is_empty() && own.is_some() && own == theirs
        });
        let in_host = container.endpoints.iter().any(|endpoint| endpoint.network_name == "host");
        let namespace = match shared {
            _ if in_host => NamespaceOf::Host,
            Some(other) => NamespaceOf::Container(other.name.clone()),
            None => NamespaceOf::Own,
        };
        let published = container
            .bindings
            .iter()
            .map(|binding| format!("{} → {}/{}", binding.host, binding.container.port(), binding.protocol()));
        node.containers.push(ContainerNode {
            name: container.name.clone(),
            notes,
            attachments,
            namespace,
            published: published.collect(),
        });
    }
    Ok(node)
}
