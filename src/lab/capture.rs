//! A capture of one place, written while a scenario runs, for Wireshark or tcpdump at the other end of a pipe.
//!
//! A network is captured as one sees it on its bridge, every frame once: what its containers send, and what the host
//! sends into it. A container or a host is captured on all its interfaces, or on one; a container that shares another's
//! namespace, or the host's, on the interfaces there. What is meant is looked up whenever anything
//! happens, so a container that a step makes is captured from its first frame.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};

use crate::observe::pcapng::{Choice, Frames, Selection, Stream};
use crate::scenario::Scenario;
use crate::scenario::report::{Progress, Report, Why};
use crate::scenario::run::{self, FailedCheck, Watcher};
use crate::world::{Event, Location, World};

/// What is captured, by a name that a file or a step gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A network, a service, a container, a host or a machine.
    pub name: String,
    /// One of its interfaces.
    pub interface: Option<String>,
}

impl Target {
    /// Reads `NAME` or `NAME:INTERFACE`.
    #[must_use]
    pub fn parse(text: &str) -> Target {
        match text.split_once(':') {
            Some((name, interface)) => {
                Target { name: name.to_owned(), interface: Some(interface.to_owned()) }
            }
            None => Target { name: text.to_owned(), interface: None },
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{}:{interface}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Why nothing was captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Nothing of that name is there at any time.
    #[error("there is no network, container, host or machine `{name}`")]
    NoPlace {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The place is there and never has such an interface.
    #[error("{name} has no interface `{interface}`")]
    NoInterface {
        /// The place.
        name: String,
        /// What was asked for.
        interface: String,
        /// What it has.
        known: Vec<String>,
    },
    /// The sink failed.
    #[error("cannot write the capture: {0}")]
    Sink(#[from] io::Error),
    /// The format could not hold it.
    #[error("cannot write the capture: {0}")]
    Format(pcap_file::PcapError),
}

/// What a capture came to.
#[derive(Debug)]
pub struct Captured {
    /// The run.
    pub report: Report,
    /// Packets written.
    pub packets: u64,
}

/// Runs a scenario and writes a capture of `target` into `sink` while it runs. Nothing is written if there is nothing
/// of that name: the scenario is run twice, the first time to know.
///
/// # Errors
/// When nothing is called so, or the sink fails: a reader that went away is a broken pipe.
pub fn capture(
    scenario: &Scenario,
    seed: u64,
    target: &Target,
    sink: &mut dyn Write,
) -> Result<Captured, CaptureError> {
    let mut scout =
        Scout { scenario, target, names: BTreeSet::new(), interfaces: BTreeSet::new(), found: false };
    run::run(scenario, seed, &mut scout);
    scout.judge()?;
    let stream = Stream::new(sink).map_err(sink_error)?;
    let mut recorder = Recorder { scenario, target, choices: Vec::new(), stream, failed: None };
    let report = run::run(scenario, seed, &mut recorder);
    match recorder.failed {
        None => Ok(Captured { report, packets: recorder.stream.packets() }),
        Some(error) => Err(sink_error(error)),
    }
}

fn sink_error(error: pcap_file::PcapError) -> CaptureError {
    match error {
        pcap_file::PcapError::IoError(error) => CaptureError::Sink(error),
        error => CaptureError::Format(error),
    }
}

/// Which interfaces a target means in a world at this moment; `None`: nothing is called so.
fn choices(scenario: &Scenario, world: &World, target: &Target) -> Option<Vec<Choice>> {
    let name = target.name.as_str();
    let device = target.interface.clone();
    let of = |namespace: &str, device: Option<String>| Choice {
        namespace: namespace.to_owned(),
        device,
        frames: Frames::Both,
    };
    let service = scenario.service(name);
    let containers = service.map(|service| scenario.container_names(service)).unwrap_or_default();
    for host in world.hosts() {
        let Some(daemon) = world.daemon(host) else { continue };
        let wanted = |container: &str| container == name || containers.iter().any(|own| own == container);
        let own: Vec<Choice> = daemon
            .containers()
            .filter(|container| wanted(&container.name))
            .map(|container| {
                // One that does not run sends nothing by any name.
                let location = Location::Container(host, container.name.clone());
                let namespace = world.namespace_of(&location).unwrap_or_else(|_| container.name.clone());
                of(&namespace, device.clone())
            })
            .collect();
        let host_name = world.host_name(host).ok()?;
        if !own.is_empty() {
            return Some(own);
        }
        if host_name == name {
            return Some(vec![of(name, device)]);
        }
        let key = scenario.network(name).map(|network| network.name.as_str());
        let network =
            daemon.networks().find(|network| network.name == name || Some(network.name.as_str()) == key);
        if let Some(network) = network
            && device.is_none()
        {
            let sent = |namespace: &str, device: String| Choice {
                namespace: namespace.to_owned(),
                device: Some(device),
                frames: Frames::Sent,
            };
            let mut all: Vec<Choice> =
                network.bridge.iter().map(|bridge| sent(&host_name, bridge.to_string())).collect();
            for container in daemon.containers() {
                let on = container.endpoints.iter().filter(|endpoint| endpoint.network_name == network.name);
                let devices = on.filter_map(|endpoint| endpoint.active.as_ref()?.device.as_ref());
                all.extend(devices.map(|device| sent(&container.name, device.to_string())));
            }
            return Some(all);
        }
    }
    let machine = world.machines().any(|machine| machine == name);
    machine.then(|| vec![of(name, device)])
}

/// Looks in a first run whether there is what was asked for.
struct Scout<'a> {
    scenario: &'a Scenario,
    target: &'a Target,
    names: BTreeSet<String>,
    /// Interfaces of the place asked for.
    interfaces: BTreeSet<String>,
    found: bool,
}

impl Scout<'_> {
    fn judge(self) -> Result<(), CaptureError> {
        let name = self.target.name.clone();
        if !self.found {
            return Err(CaptureError::NoPlace { name, known: self.names.into_iter().collect() });
        }
        match &self.target.interface {
            Some(interface) if !self.interfaces.contains(interface) => Err(CaptureError::NoInterface {
                name,
                interface: interface.clone(),
                known: self.interfaces.into_iter().collect(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

impl Watcher for Scout<'_> {
    fn progress(&mut self, _: Progress<'_>) {}

    fn events(&mut self, events: &[Event], world: &mut World) {
        if Event::any_change(events) {
            for host in world.hosts() {
                self.names.extend(world.host_name(host));
                if let Some(daemon) = world.daemon(host) {
                    self.names.extend(daemon.networks().map(|network| network.name.clone()));
                    self.names.extend(daemon.containers().map(|container| container.name.clone()));
                }
            }
            self.names.extend(world.machines().map(str::to_owned));
            self.names.extend(self.scenario.services.iter().map(|service| service.name.value.clone()));
            self.names.extend(self.scenario.networks.iter().map(|network| network.key.value.clone()));
        }
        let place = Target { interface: None, ..self.target.clone() };
        let Some(choices) = choices(self.scenario, world, &place) else { return };
        self.found = true;
        if self.target.interface.as_ref().is_some_and(|interface| !self.interfaces.contains(interface)) {
            for tables in world.tables() {
                if choices
                    .iter()
                    .any(|choice| choice.namespace == tables.name && choice.frames == Frames::Both)
                {
                    self.interfaces.extend(tables.interfaces.into_iter().map(|interface| interface.name));
                }
            }
        }
    }

    fn explain(&mut self, _: &FailedCheck<'_>, _: &mut World) -> Why {
        Why::default()
    }
}

/// Writes while the scenario runs.
struct Recorder<'a, 's> {
    scenario: &'a Scenario,
    target: &'a Target,
    choices: Vec<Choice>,
    stream: Stream<&'s mut (dyn Write + 's)>,
    failed: Option<pcap_file::PcapError>,
}

impl Watcher for Recorder<'_, '_> {
    fn progress(&mut self, _: Progress<'_>) {}

    fn events(&mut self, events: &[Event], world: &mut World) {
        if self.failed.is_some() {
            return;
        }
        let choices = choices(self.scenario, world, self.target).unwrap_or_default();
        // A container that enters the namespace of another changes no device.
        if Event::any_change(events) || choices != self.choices {
            self.stream.select(Selection::Only(choices.clone()));
            self.choices = choices;
        }
        let names = world.names();
        for event in events {
            self.stream.push(event, &names);
        }
        self.failed = self.stream.flush().err();
    }

    fn explain(&mut self, _: &FailedCheck<'_>, _: &mut World) -> Why {
        Why::default()
    }
}
