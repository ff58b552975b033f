//! Who reaches whom in a running scenario: a table of attempts, each made with real packets.
//!
//! The first container of every service tries every listening port of every other service by name, and by address
//! where the name does not resolve, so that a missing name is told from a network that lets nothing through. A service
//! that listens on nothing is pinged and tried on port 80. The host and the machine `outside` try every published port,
//! and every container tries that machine.
//!
//! The text form ([`std::fmt::Display`]) has one line for all targets with one outcome and is made to be compared.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::scenario::model::{ListenPort, NetworkMode, Protocol, Service};
use crate::scenario::{Diagnostic, Scenario, run};
use crate::world::probe::{Attempt, ProbeOutcome};
use crate::world::{HostId, Location, World, WorldError};

/// The machine that stands for everything outside.
const OUTSIDE: &str = "outside";
/// Where it listens.
const OUTSIDE_PORT: u16 = 80;
/// Tried on a service that listens on nothing.
const NOTHING_LISTENS: ListenPort = ListenPort { port: 80, protocol: Protocol::Tcp };

/// Names and their addresses, in the order of the file.
pub type Names = Vec<(String, Vec<IpAddr>)>;

/// What [`reach`] found.
#[derive(Debug, Clone, Default)]
pub struct Reachability {
    /// One line for each network that is not predefined: name, driver, subnets.
    pub networks: Vec<String>,
    /// One line for each container: name, state, addresses by network, published ports.
    pub containers: Vec<String>,
    /// By service: names other than those of services with one container, and their addresses there.
    pub names: Vec<(String, Names)>,
    /// Between services, in the order of the file.
    pub services: Vec<Reach>,
    /// From containers to the machine outside.
    pub outward: Vec<Reach>,
    /// From the host and from outside to published ports, and to the ports of services on the host's network.
    pub published: Vec<Reach>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// A service, `host` or `outside`.
    pub from: String,
    /// A service, or an address and port of the host.
    pub to: String,
    /// What was tried.
    pub attempt: Attempt,
    /// What came of it.
    pub outcome: ProbeOutcome,
    /// What came of it by address, where the name does not resolve and there is an address.
    pub by_address: Option<ProbeOutcome>,
    /// The server saw an address that is not the client's own.
    pub translated: bool,
}

/// Runs a scenario up to where its services run, and tries who reaches whom. Steps and checks are not made.
///
/// # Errors
/// What keeps the scenario from running.
pub fn reach(scenario: &Scenario, seed: u64) -> Result<Reachability, Box<Diagnostic>> {
    let (world, host) = run::up(scenario, seed)?;
    let mut survey = Survey { scenario, world, host, found: Reachability::default() };
    match survey.make() {
        Ok(()) => Ok(survey.found),
        Err(error) => Err(Box::new(Diagnostic::error(None, error.to_string()))),
    }
}

struct Survey<'a> {
    scenario: &'a Scenario,
    world: World,
    host: HostId,
    found: Reachability,
}

impl Survey<'_> {
    fn make(&mut self) -> Result<(), WorldError> {
        self.describe();
        let scenario = self.scenario;
        for service in &scenario.services {
            let Some(from) = self.first_running(service) else { continue };
            self.look_up(service, &from)?;
            for target in &scenario.services {
                if target.name.value != service.name.value {
                    self.between(service, &from, target)?;
                }
            }
            self.outward(service, &from)?;
        }
        self.published()
    }

    fn describe(&mut self) {
        let Some(daemon) = self.world.daemon(self.host) else { return };
        for network in daemon.networks().filter(|network| network.is_user_defined()) {
            let subnets: Vec<String> = network.subnets.iter().map(|s| s.pool.subnet().to_string()).collect();
            let internal = if network.internal { " internal" } else { "" };
            self.found.networks.push(format!(
                "{} {}{internal} {}",
                network.name,
                network.driver.name(),
                subnets.join(" ")
            ));
        }
        for container in daemon.containers() {
            let mut words = vec![container.name.clone(), container.state.name().to_owned()];
            if !container.state.is_up() {
                words.push(format!("({})", container.exit_code));
            }
            for endpoint in &container.endpoints {
                let addresses: Vec<String> = endpoint
                    .active
                    .iter()
                    .flat_map(|active| active.addresses())
                    .map(|address| address.addr().to_string())
                    .collect();
                if addresses.is_empty() {
                    words.push(endpoint.network_name.clone());
                } else {
                    words.push(format!("{}={}", endpoint.network_name, addresses.join(",")));
                }
            }
            for binding in &container.bindings {
                words.push(format!("{}->{}/{}", binding.host, binding.container.port(), binding.protocol()));
            }
            self.found.containers.push(words.join(" "));
        }
        self.found.containers.sort();
    }

    fn first_running(&self, service: &Service) -> Option<Location> {
        let daemon = self.world.daemon(self.host)?;
        let name = self.scenario.container_names(service).into_iter().next()?;
        let up = daemon.container(&name).is_ok_and(|container| container.state.is_up());
        up.then_some(Location::Container(self.host, name))
    }

    /// Resolves what may be a name there besides the services' keys.
    fn look_up(&mut self, service: &Service, from: &Location) -> Result<(), WorldError> {
        let mut names: Vec<String> = Vec::new();
        for other in &self.scenario.services {
            names.push(other.name.value.clone());
            names.extend(other.container_name.iter().map(|name| name.value.clone()));
            names.extend(other.hostname.clone());
            names.extend(other.attachments().iter().flat_map(|attachment| attachment.aliases.clone()));
            names.extend(other.links.iter().map(|link| link.alias.clone()));
            names.extend(other.extra_hosts.iter().map(|host| host.name.clone()));
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let mut found = Vec::new();
        for name in names {
            let mut addresses = self.world.resolve(from, &name)?;
            addresses.sort();
            let plain = self.scenario.service(&name).is_some_and(|other| other.replicas == 1);
            let told = if plain { addresses.len() > 1 } else { !addresses.is_empty() };
            if told {
                found.push((name, addresses));
            }
        }
        if !found.is_empty() {
            self.found.names.push((service.name.value.clone(), found));
        }
        Ok(())
    }

    /// The ports that answer at a service's first container: its own, and those of services in its namespace.
    fn ports(&self, service: &Service) -> Vec<ListenPort> {
        let mut ports = self.scenario.listening_ports(service);
        for other in &self.scenario.services {
            if matches!(&other.network, NetworkMode::Service(name) if name.value == service.name.value) {
                ports.extend(self.scenario.listening_ports(other));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        ports.retain(|port| seen.insert(*port));
        ports
    }

    fn between(&mut self, service: &Service, from: &Location, target: &Service) -> Result<(), WorldError> {
        let ports = self.ports(target);
        let mut attempts: Vec<Attempt> = ports.iter().filter_map(|port| attempt(*port)).collect();
        if ports.is_empty() {
            attempts = vec![Attempt::Ping];
            attempts.extend(attempt(NOTHING_LISTENS));
        }
        let address = match target.network {
            NetworkMode::Host => self.world.addresses(&Location::Host(self.host))?.first().copied(),
            _ => self.container_address(target),
        };
        for attempt in attempts {
            let outcome = self.world.probe(from, &target.name.value, attempt)?;
            let by_address = match address {
                Some(address) if outcome == ProbeOutcome::Unresolved => {
                    Some(self.world.probe(from, &address.to_string(), attempt)?)
                }
                _ => None,
            };
            let translated = self.translated(from, by_address.unwrap_or(outcome))?;
            let (from, to) = (service.name.value.clone(), target.name.value.clone());
            self.found.services.push(Reach { from, to, attempt, outcome, by_address, translated });
        }
        Ok(())
    }

    fn container_address(&self, service: &Service) -> Option<IpAddr> {
        let name = self.scenario.container_names(service).into_iter().next()?;
        let container = self.world.daemon(self.host)?.container(&name).ok()?;
        let active = container.endpoints.iter().filter_map(|endpoint| endpoint.active.as_ref());
        active.flat_map(|active| active.addresses()).map(|address| address.addr()).next()
    }

    fn outward(&mut self, service: &Service, from: &Location) -> Result<(), WorldError> {
        let Ok(addresses) = self.world.addresses(&Location::Machine(OUTSIDE.to_owned())) else {
            return Ok(());
        };
        let Some(address) = addresses.first() else { return Ok(()) };
        let attempt = Attempt::Tcp(OUTSIDE_PORT);
        let outcome = self.world.probe(from, &address.to_string(), attempt)?;
        let translated = self.translated(from, outcome)?;
        let (from, to) = (service.name.value.clone(), OUTSIDE.to_owned());
        self.found.outward.push(Reach { from, to, attempt, outcome, by_address: None, translated });
        Ok(())
    }

    fn published(&mut self) -> Result<(), WorldError> {
        let own = self.world.addresses(&Location::Host(self.host))?;
        let Some(own) = own.into_iter().find(IpAddr::is_ipv4) else { return Ok(()) };
        let mut goals: Vec<(SocketAddr, Protocol)> = Vec::new();
        let daemon = self.world.daemon(self.host);
        for container in daemon.into_iter().flat_map(|daemon| daemon.containers()) {
            for binding in &container.bindings {
                let protocol: Protocol = binding.protocol().to_string().parse().unwrap_or_default();
                goals.push((binding.host, protocol));
            }
        }
        for service in self.scenario.services.iter().filter(|s| matches!(s.network, NetworkMode::Host)) {
            for port in self.scenario.listening_ports(service) {
                goals.push((SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port.port), port.protocol));
            }
        }
        goals.sort();
        goals.dedup();
        let outside = Location::Machine(OUTSIDE.to_owned());
        let has_outside = self.world.machines().any(|name| name == OUTSIDE);
        for (bound, protocol) in goals {
            let Some(attempt) = attempt(ListenPort { port: bound.port(), protocol }) else { continue };
            let local = match bound.ip() {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
                address => address,
            };
            let host = Location::Host(self.host);
            self.published_from("host", &host, local, attempt)?;
            if has_outside && bound.is_ipv4() {
                // An address that is only the host's own, as 127.0.0.1, must not be open on the wire.
                let seen = if local.is_loopback() { own } else { local };
                self.published_from(OUTSIDE, &outside, seen, attempt)?;
            }
        }
        Ok(())
    }

    fn published_from(
        &mut self,
        from: &str,
        location: &Location,
        address: IpAddr,
        attempt: Attempt,
    ) -> Result<(), WorldError> {
        let outcome = self.world.probe(location, &address.to_string(), attempt)?;
        let to = address.to_string();
        let known = Reach { from: from.to_owned(), to, attempt, outcome, by_address: None, translated: true };
        if !self.found.published.contains(&known) {
            self.found.published.push(known);
        }
        Ok(())
    }

    fn translated(&self, from: &Location, outcome: ProbeOutcome) -> Result<bool, WorldError> {
        let ProbeOutcome::Ok(Some(seen)) = outcome else { return Ok(false) };
        Ok(!seen.is_loopback() && !self.world.addresses(from)?.contains(&seen))
    }
}

fn attempt(port: ListenPort) -> Option<Attempt> {
    match port.protocol {
        Protocol::Tcp => Some(Attempt::Tcp(port.port)),
        Protocol::Udp => Some(Attempt::Udp(port.port)),
        // No program speaks it.
        Protocol::Sctp => None,
    }
}

impl fmt::Display for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        section(f, "networks", &self.networks)?;
        section(f, "containers", &self.containers)?;
        if !self.names.is_empty() {
            writeln!(f, "names")?;
        }
        for (service, names) in &self.names {
            writeln!(f, "  {service}")?;
            for (name, addresses) in names {
                let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
                writeln!(f, "    {name} = {}", addresses.join(" "))?;
            }
        }
        for (title, attempts) in
            [("reach", &self.services), ("outward", &self.outward), ("published", &self.published)]
        {
            if !attempts.is_empty() {
                writeln!(f, "{title}")?;
                table(f, attempts)?;
            }
        }
        Ok(())
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    writeln!(f, "{title}")?;
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}

/// Targets and what was tried on each.
type Tried<'a> = Vec<(&'a str, Vec<String>)>;

/// Attempts of one source under its name, those with one outcome on one line.
fn table(f: &mut fmt::Formatter<'_>, attempts: &[Reach]) -> fmt::Result {
    let mut order: Vec<&str> = Vec::new();
    let mut by_source: BTreeMap<&str, Vec<&Reach>> = BTreeMap::new();
    for attempt in attempts {
        let list = by_source.entry(&attempt.from).or_default();
        if list.is_empty() {
            order.push(&attempt.from);
        }
        list.push(attempt);
    }
    for source in order {
        writeln!(f, "  {source}")?;
        let mut lines: Vec<(String, Tried<'_>)> = Vec::new();
        for attempt in by_source.get(source).into_iter().flatten() {
            let outcome = outcome(attempt);
            let at = lines.iter().position(|(known, _)| *known == outcome).unwrap_or_else(|| {
                lines.push((outcome, Vec::new()));
                lines.len() - 1
            });
            let targets = &mut lines[at].1;
            let tried = tried(attempt.attempt);
            match targets.last_mut() {
                Some((target, ports)) if *target == attempt.to => ports.push(tried),
                _ => targets.push((&attempt.to, vec![tried])),
            }
        }
        for (outcome, targets) in lines {
            let targets: Vec<String> =
                targets.iter().map(|(target, ports)| format!("{target} {}", ports.join(" "))).collect();
            writeln!(f, "    {outcome}: {}", targets.join(", "))?;
        }
    }
    Ok(())
}

fn tried(attempt: Attempt) -> String {
    match attempt {
        Attempt::Ping => "ping".to_owned(),
        Attempt::Tcp(port) => format!("{port}/tcp"),
        Attempt::Udp(port) => format!("{port}/udp"),
    }
}

fn outcome(reach: &Reach) -> String {
    // The source is of interest where it was translated.
    let word = |outcome: ProbeOutcome| match outcome {
        ProbeOutcome::Ok(_) if !reach.translated => ProbeOutcome::Ok(None).to_string(),
        outcome => outcome.to_string(),
    };
    match reach.by_address {
        Some(by_address) => format!("{}, by address {}", word(reach.outcome), word(by_address)),
        None => word(reach.outcome),
    }
}
