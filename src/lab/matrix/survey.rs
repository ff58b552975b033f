//! Who there is: the containers, the Docker host and the outside machines, with everything they can be called by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Party, PartyKind, PartyState, Published};
use crate::scenario::Scenario;
use crate::scenario::model::Service;
use crate::world::probe::Attempt;
use crate::world::{HostId, Location, World, WorldError};

/// A name of the Internet that the default stage knows.
pub(super) const KNOWN_NAME: &str = "www.example.test";
/// The machine that stands for everything outside on the default stage.
const OUTSIDE: &str = "outside";
/// What addresses behind a machine's cards are on.
const INTERNET: &str = "internet";
/// The network that containers in the host's namespace are on.
const HOST_NETWORK: &str = "host";

/// A container that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name in Docker.
    pub container: String,
    /// What readers call it.
    pub label: String,
    /// Names to try, besides its own.
    pub names: Vec<String>,
}

/// A party and where it is.
pub(super) struct PartyPlace {
    pub(super) party: Party,
    pub(super) location: Location,
}

/// The containers of a scenario's host: those of its services in the order of the file, then those that steps made.
#[must_use]
pub fn subjects(scenario: &Scenario, world: &World, host: HostId) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for service in &scenario.services {
        let containers = scenario.container_names(service);
        let alone = containers.len() == 1;
        for (index, container) in containers.into_iter().enumerate() {
            // A name that several have is tried once; it leads to one of them.
            let names = if index == 0 { service_names(scenario, service) } else { Vec::new() };
            let label = if alone { service.name.value.clone() } else { container.clone() };
            subjects.push(Subject { container, label, names });
        }
    }
    let daemon = world.daemon(host);
    for container in daemon.into_iter().flat_map(|daemon| daemon.containers()) {
        if subjects.iter().all(|subject| subject.container != container.name) {
            let mut names = Vec::new();
            for endpoint in &container.endpoints {
                names.extend(endpoint.config.aliases.iter().cloned());
            }
            let name = container.name.clone();
            subjects.push(Subject { container: name.clone(), label: name, names });
        }
    }
    subjects
}

/// What a service is called in the file: its key, its aliases, its host name, and what others that link to it call it.
fn service_names(scenario: &Scenario, service: &Service) -> Vec<String> {
    let key = &service.name.value;
    let mut names = vec![key.clone()];
    names.extend(service.attachments().iter().flat_map(|attachment| attachment.aliases.clone()));
    names.extend(service.hostname.clone());
    for other in &scenario.services {
        let links = other.links.iter().filter(|link| link.target.value == *key);
        names.extend(links.map(|link| link.alias.clone()));
    }
    names
}

/// Everybody, containers first, with what can be tried.
pub(super) fn parties(
    world: &World,
    host: HostId,
    subjects: &[Subject],
) -> Result<Vec<PartyPlace>, WorldError> {
    let cards = world.card_addresses(&Location::Host(host))?;
    let own: Vec<IpAddr> = cards.iter().map(|(_, address)| address.addr()).collect();
    let mut places: Vec<PartyPlace> =
        subjects.iter().map(|subject| container(world, host, subject, &own)).collect::<Result<_, _>>()?;
    let published: BTreeSet<u16> =
        places.iter().flat_map(|place| &place.party.published).map(|port| port.host.port()).collect();
    let location = Location::Host(host);
    let open = world.listening_ports(&location)?;
    let name = world.host_name(host)?;
    // A bridge is named by a number that two engines do not share; its network is what readers know.
    let networks = world.daemon(host).into_iter().flat_map(|daemon| daemon.networks());
    let by_bridge: BTreeMap<String, &str> = networks
        .filter_map(|network| Some((network.bridge.as_ref()?.to_string(), network.name.as_str())))
        .collect();
    let network_of = |card: String| by_bridge.get(&card).map_or(card, |name| (*name).to_owned());
    places.push(PartyPlace {
        party: Party {
            kind: PartyKind::Host,
            label: name.clone(),
            name,
            names: Vec::new(),
            addresses: cards.into_iter().map(|(card, address)| (network_of(card), address.addr())).collect(),
            own,
            ports: open.into_iter().filter(|port| !published.contains(&port_number(*port))).collect(),
            published: Vec::new(),
            state: PartyState::Up,
        },
        location,
    });
    let machines: Vec<String> = world.machines().map(str::to_owned).collect();
    for name in machines {
        let location = Location::Machine(name.clone());
        // A machine that stands for the Internet is known by the addresses behind its cards.
        let behind = world.loopback_addresses(&location)?;
        let cards = world.card_addresses(&location)?;
        let mut own: Vec<IpAddr> = cards.iter().map(|(_, address)| address.addr()).collect();
        own.extend(&behind);
        let addresses = if behind.is_empty() {
            cards.into_iter().map(|(card, address)| (card, address.addr())).collect()
        } else {
            behind.into_iter().map(|address| (INTERNET.to_owned(), address)).collect()
        };
        let names = if name == OUTSIDE { vec![KNOWN_NAME.to_owned()] } else { Vec::new() };
        let party = Party {
            kind: PartyKind::Machine,
            label: name.clone(),
            name,
            names,
            own,
            addresses,
            ports: world.listening_ports(&location)?,
            published: Vec::new(),
            state: PartyState::Up,
        };
        places.push(PartyPlace { party, location });
    }
    Ok(places)
}

/// The recordings asked by `docker exec`: who takes none asks nobody.
pub(super) fn leave_out_without_exec(places: &mut [PartyPlace], world: &World, host: HostId) {
    let Some(daemon) = world.daemon(host) else { return };
    for PartyPlace { party, .. } in places.iter_mut().filter(|place| place.party.state == PartyState::Up) {
        if party.kind == PartyKind::Container
            && let Some(refusal) = daemon.exec_refusal(&party.name)
        {
            party.state = PartyState::Down(refusal.message);
        }
    }
}

fn container(
    world: &World,
    host: HostId,
    subject: &Subject,
    own: &[IpAddr],
) -> Result<PartyPlace, WorldError> {
    let location = Location::Container(host, subject.container.clone());
    let mut names = vec![subject.container.clone()];
    if subject.names.contains(&subject.label) {
        names.insert(0, subject.label.clone());
    }
    names.extend(subject.names.iter().cloned());
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let mut party = Party {
        kind: PartyKind::Container,
        label: subject.label.clone(),
        name: subject.container.clone(),
        names,
        addresses: Vec::new(),
        own: Vec::new(),
        ports: Vec::new(),
        published: Vec::new(),
        state: PartyState::Missing,
    };
    let daemon = world.daemon(host);
    let Some(container) = daemon.and_then(|daemon| daemon.container(&subject.container).ok()) else {
        return Ok(PartyPlace { party, location });
    };
    let mut endpoints: Vec<_> = container.endpoints.iter().collect();
    endpoints.sort_by(|a, b| a.network_name.cmp(&b.network_name));
    for endpoint in endpoints {
        for address in endpoint.active.iter().flat_map(|active| active.addresses()) {
            party.addresses.push((endpoint.network_name.clone(), address.addr()));
        }
        if endpoint.network_name == HOST_NETWORK && container.state.is_up() {
            party.addresses.extend(own.iter().map(|address| (HOST_NETWORK.to_owned(), *address)));
        }
    }
    for (exposed, bindings) in container.published() {
        let attempt = attempt(exposed.port, &exposed.protocol.to_string());
        party.ports.extend(attempt);
        party.published.extend(bindings.into_iter().map(|host| Published { host, container: attempt }));
    }
    party.own = party.addresses.iter().map(|(_, address)| *address).collect();
    party.state = match world.listening_ports(&location) {
        Ok(ports) => {
            // In the host's namespace everybody's ports are open; its own are those it exposes.
            if party.addresses.iter().all(|(network, _)| network != HOST_NETWORK) {
                party.ports.extend(ports);
            }
            PartyState::Up
        }
        Err(error) => PartyState::Down(error.to_string()),
    };
    if container.state.name() == "paused" {
        party.state = PartyState::Down(format!("container {} is paused", container.name));
    }
    party.ports.sort();
    party.ports.dedup();
    Ok(PartyPlace { party, location })
}

/// What tries a port; `None` for a protocol that no program here speaks.
fn attempt(port: u16, protocol: &str) -> Option<Attempt> {
    match protocol {
        "tcp" => Some(Attempt::Tcp(port)),
        "udp" => Some(Attempt::Udp(port)),
        _ => None,
    }
}

fn port_number(attempt: Attempt) -> u16 {
    match attempt {
        Attempt::Ping => 0,
        Attempt::Tcp(port) | Attempt::Udp(port) => port,
    }
}
