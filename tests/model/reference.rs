//! What must come of it: who runs, on which networks, with which addresses, and therefore who finds and reaches whom.

use std::collections::{BTreeMap, BTreeSet};

use linkspan::docker::profile::Profile;

use super::transition::Transition;
use crate::{CONTAINERS, NETWORKS};

/// A network by name, in the order in which one wins the default route.
pub(crate) fn network_name(network: Option<usize>) -> String {
    network.map_or_else(|| "bridge".to_owned(), |network| format!("n{network}"))
}

/// An address by its last byte. The networks' subnets are given, so that they do not depend on what was made before.
pub(crate) fn address(network: Option<usize>, last: u8) -> String {
    network.map_or_else(|| format!("172.17.0.{last}"), |network| format!("10.{network}.0.{last}"))
}

#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) running: bool,
    /// The network it was made for.
    mode: Option<usize>,
    /// The networks it is on, or will be on when it starts; with the generation of the network once it was up there.
    known: BTreeMap<Option<usize>, Option<u32>>,
    /// Where it is up: the last byte of its address.
    pub(crate) addresses: BTreeMap<Option<usize>, u8>,
}

impl Container {
    /// The network of the default route and of the published port.
    pub(crate) fn gateway(&self) -> Option<Option<usize>> {
        self.addresses.keys().copied().min_by_key(|network| network_name(*network))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) containers: [Option<Container>; CONTAINERS],
    /// A network that is there, by how many were made before.
    pub(crate) networks: [Option<u32>; NETWORKS],
    made: u32,
    /// A container needs the network it was made for to get on any other (28 and later).
    needs_mode: bool,
}

impl Reference {
    pub(crate) fn new(profile: Profile) -> Reference {
        Reference { needs_mode: profile != Profile::Docker20_10, ..Reference::default() }
    }

    /// Whether a command is carried out, or an attempt succeeds.
    pub(crate) fn step(&mut self, transition: &Transition) -> bool {
        match *transition {
            Transition::NewNetwork(network) => {
                self.made += 1;
                let absent = self.networks[network].is_none();
                self.networks[network].get_or_insert(self.made);
                absent
            }
            Transition::RemoveNetwork(network) => {
                let free = self.members(Some(network)).is_empty();
                free && self.networks[network].take().is_some()
            }
            Transition::Create { container, network, run } => self.create(container, network, run),
            Transition::Connect { container, network } => self.connect(container, network),
            Transition::Disconnect { container, network } => {
                let present = self.generation(network).is_some();
                let Some(found) = &mut self.containers[container] else { return false };
                // The networks of a container that does not run are names.
                if found.running && !present {
                    return false;
                }
                found.addresses.remove(&network);
                found.known.remove(&network).is_some()
            }
            Transition::Start(container) => self.start(container),
            Transition::Stop(container) => self.stop(container),
            Transition::Restart(container) => self.stop(container) && self.start(container),
            Transition::Rename(container) => {
                let Some(found) = &mut self.containers[container] else { return false };
                found.name =
                    if found.name.starts_with('a') { format!("b{container}") } else { first_name(container) };
                true
            }
            Transition::Remove(container) => self.containers[container].take().is_some(),
            Transition::Fetch(container) => {
                self.containers[container].as_ref().is_some_and(|found| found.gateway().is_some())
            }
            Transition::Talk { from, to } => {
                let user = |container: usize| -> BTreeSet<usize> {
                    let found = self.containers[container].iter();
                    found.flat_map(|container| container.addresses.keys().copied().flatten()).collect()
                };
                // Its own name is known to a container, too.
                user(from).intersection(&user(to)).next().is_some()
            }
        }
    }

    /// What removes everything.
    pub(crate) fn ending(&self) -> Vec<Transition> {
        let containers = (0..CONTAINERS).filter(|container| self.containers[*container].is_some());
        let networks = (0..NETWORKS).filter(|network| self.networks[*network].is_some());
        containers.map(Transition::Remove).chain(networks.map(Transition::RemoveNetwork)).collect()
    }

    /// Who is up on a network.
    pub(crate) fn members(&self, network: Option<usize>) -> Vec<&Container> {
        self.containers.iter().flatten().filter(|found| found.addresses.contains_key(&network)).collect()
    }

    fn generation(&self, network: Option<usize>) -> Option<u32> {
        network.map_or(Some(0), |network| self.networks[network])
    }

    fn has_mode(&self, container: usize) -> bool {
        let found = self.containers[container].as_ref();
        !self.needs_mode || found.is_none_or(|found| self.generation(found.mode).is_some())
    }

    fn create(&mut self, container: usize, network: Option<usize>, run: bool) -> bool {
        if self.containers[container].is_some() {
            return false;
        }
        self.containers[container] = Some(Container {
            name: first_name(container),
            running: false,
            mode: network,
            known: BTreeMap::from([(network, None)]),
            addresses: BTreeMap::new(),
        });
        // A container whose network is not there is made, and does not start.
        !run || self.start(container)
    }

    fn connect(&mut self, container: usize, network: Option<usize>) -> bool {
        let generation = self.generation(network);
        let free = self.free(network);
        let has_mode = self.has_mode(container);
        let Some(found) = &mut self.containers[container] else { return false };
        if !found.running {
            found.known.entry(network).or_insert(None);
            return true;
        }
        if generation.is_none() || found.known.contains_key(&network) || !has_mode {
            return false;
        }
        found.known.insert(network, generation);
        found.addresses.insert(network, free);
        true
    }

    fn start(&mut self, container: usize) -> bool {
        let Some(found) = &self.containers[container] else { return false };
        if found.running {
            return true;
        }
        let has_mode = self.has_mode(container);
        let mut up = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for (network, before) in found.known.clone() {
            let now = self.generation(network);
            if now.is_none() || before.is_some() && before != now || !has_mode {
                return false;
            }
            up.insert(network, now);
            addresses.insert(network, self.free(network));
        }
        if let Some(found) = &mut self.containers[container] {
            (found.running, found.known, found.addresses) = (true, up, addresses);
        }
        true
    }

    fn stop(&mut self, container: usize) -> bool {
        let Some(found) = &mut self.containers[container] else { return false };
        found.running = false;
        found.addresses.clear();
        true
    }

    /// The lowest free address; the first is the gateway's.
    fn free(&self, network: Option<usize>) -> u8 {
        let taken: BTreeSet<u8> =
            self.members(network).iter().map(|found| found.addresses[&network]).collect();
        (2..).find(|last| !taken.contains(last)).unwrap_or(u8::MAX)
    }
}

fn first_name(container: usize) -> String {
    format!("a{container}")
}
