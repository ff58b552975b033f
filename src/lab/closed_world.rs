//! Closed-world assertions: these reach it, and of everybody else nobody does, by whatever door.
//!
//! A name is only one door to a container. Whoever is not listed tries the destination as written, every address of
//! the container behind it, and every port the host publishes for it, each with real packets. The Docker host itself
//! is tried at the published ports alone: it carries the bridges, so that it reaches every container's address.

use std::fmt;
use std::net::IpAddr;

use super::attempt::Attempt;
use super::error::LabError;
use super::session::Lab;
use crate::scenario::Place;
use crate::scenario::checks::Endpoint;
use crate::scenario::places::Places;
use crate::world::Location;
use crate::world::probe::ProbeOutcome;

/// Who may: [`Lab::only`].
#[must_use = "says nothing until `.reach(..)` is called"]
pub struct Only<'a> {
    lab: &'a mut Lab,
    allowed: Vec<String>,
}

/// Who does, and should not, or does not, and should.
#[derive(Clone)]
pub struct Breach {
    claim: String,
    /// Attempts that ended otherwise than claimed.
    pub wrong: Vec<Attempt>,
    /// How many attempts were made.
    pub tried: usize,
}

impl Lab {
    /// Says that only these places reach a destination; of a service all containers count. None at all is fine, too.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose(
    ///     "
    ///     services:
    ///       web: {image: nginx, networks: [front, back]}
    ///       db: {image: postgres, networks: [back]}
    ///       visitor: {image: busybox, command: sleep infinity, networks: [front]}
    ///     networks: {front: , back: }",
    /// )?;
    /// lab.only(["web"]).reach("db:5432");
    /// lab.only([]).reach("db:22");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn only<'a, 'b>(&'a mut self, places: impl IntoIterator<Item = &'b str>) -> Only<'a> {
        Only { lab: self, allowed: places.into_iter().map(str::to_owned).collect() }
    }
}

impl Only<'_> {
    /// Asserts that they reach it, and that no other container, nor the host, nor a machine outside does.
    ///
    /// ```should_panic
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres, ports: ['5432:5432']}}")
    ///     .unwrap();
    /// lab.only(["web"]).reach("db:5432"); // The port is published: the host and everybody outside reach it.
    /// ```
    ///
    /// # Panics
    /// With every attempt that ended otherwise, explained; and with the error if something cannot be tried.
    #[track_caller]
    pub fn reach(self, destination: &str) {
        match self.try_reach(destination) {
            Ok(Ok(_)) => {}
            Ok(Err(breach)) => panic!("{breach}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// The same as a value: how many attempts were made, or which ended otherwise.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres, ports: ['5432:5432']}}")?;
    /// let breach = lab.only(["web"]).try_reach("db:5432")?.unwrap_err();
    /// assert!(breach.to_string().contains("outside -> 203.0.113.10:5432: ok"), "{breach}");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If a listed place or the destination is unknown or does not run.
    pub fn try_reach(self, destination: &str) -> Result<Result<usize, Breach>, LabError> {
        let Only { lab, allowed } = self;
        let endpoint = lab.destination(destination)?;
        let mut listed = Vec::new();
        for name in &allowed {
            listed.extend(lab.containers_of(name)?);
        }
        let doors = lab.doors(&endpoint)?;
        let mut breach = Breach { claim: claim(&allowed, destination), wrong: Vec::new(), tried: 0 };
        let everybody = lab.everybody();
        for location in listed.iter().filter(|listed| everybody.iter().all(|(_, known)| known != *listed)) {
            // It does not run, and this says why.
            lab.world.addresses(location)?;
        }
        let mut known = !doors.inner.is_empty() || !matches!(doors.place, Place::Name(_));
        for (name, location) in everybody {
            let places = Places::new(&lab.scenario, lab.host);
            if location.container().is_some() && places.is_itself(&mut lab.world, &location, &doors.place)? {
                continue;
            }
            if listed.contains(&location) {
                breach.tried += 1;
                let attempt = lab.knock(&name, destination);
                known |= !matches!(attempt.found, Ok(ProbeOutcome::Unresolved));
                match attempt.found {
                    Ok(ProbeOutcome::Ok(_)) => {}
                    Ok(_) => breach.wrong.push(attempt),
                    Err(error) => return Err(error),
                }
                continue;
            }
            for door in doors.of(&location, destination) {
                breach.tried += 1;
                let attempt = lab.knock(&name, &door);
                known |= !matches!(attempt.found, Ok(ProbeOutcome::Unresolved));
                match attempt.found {
                    Ok(ProbeOutcome::Ok(_)) => breach.wrong.push(attempt),
                    Ok(_) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        if let (false, Place::Name(name)) = (known, &doors.place) {
            // Nobody reaches what does not exist: that proves nothing.
            return Err(lab.unknown(name));
        }
        Ok(if breach.wrong.is_empty() { Ok(breach.tried) } else { Err(breach) })
    }
}

/// The ways in.
struct Doors {
    place: Place,
    /// Addresses and ports of the container.
    inner: Vec<String>,
    /// Addresses and ports of the host that are published for it.
    published: Vec<String>,
}

impl Doors {
    fn of(&self, location: &Location, written: &str) -> Vec<String> {
        let inner = match location {
            Location::Host(_) => [].iter(),
            Location::Machine(_) | Location::Container(..) => self.inner.iter(),
        };
        let written = std::iter::once(written.to_owned());
        let mut doors: Vec<String> = written.chain(inner.chain(&self.published).cloned()).collect();
        doors.dedup();
        doors
    }
}

impl Lab {
    /// Connects if the destination has a port, else pings.
    pub(super) fn knock(&mut self, from: &str, to: &str) -> Attempt {
        let has_port = self.destination(to).is_ok_and(|endpoint| endpoint.port.is_some());
        if has_port { self.connect(from, to) } else { self.ping(from, to) }
    }

    /// Everybody who can try: running containers, the host, the machines.
    fn everybody(&self) -> Vec<(String, Location)> {
        let containers = self.world.daemon(self.host).into_iter().flat_map(|daemon| daemon.containers());
        let running = containers.filter(|container| container.state.is_up());
        let mut all: Vec<(String, Location)> = running
            .map(|container| {
                let location = Location::Container(self.host, container.name.clone());
                (self.short_name(&container.name), location)
            })
            .collect();
        all.push(("host".to_owned(), Location::Host(self.host)));
        all.extend(self.world.machines().map(|name| (name.to_owned(), Location::Machine(name.to_owned()))));
        all
    }

    /// The service's key, if this is its only container.
    fn short_name(&self, container: &str) -> String {
        let mut services = self.scenario.services.iter();
        let service = services.find(|service| self.scenario.container_names(service) == [container]);
        service.map_or_else(|| container.to_owned(), |service| service.name.value.clone())
    }

    /// Where a listed name is: every container of a service, else one place.
    fn containers_of(&self, name: &str) -> Result<Vec<Location>, LabError> {
        let first = self.place(name)?;
        Ok(match self.scenario.service(name) {
            Some(service) => {
                let names = self.scenario.container_names(service).into_iter();
                names.map(|name| Location::Container(self.host, name)).collect()
            }
            None => vec![first],
        })
    }

    fn doors(&self, endpoint: &Endpoint) -> Result<Doors, LabError> {
        let mut doors = Doors { place: endpoint.place.clone(), inner: Vec::new(), published: Vec::new() };
        let Place::Name(name) = &endpoint.place else { return Ok(doors) };
        let host_addresses = self.world.addresses(&Location::Host(self.host))?;
        let names = match self.scenario.service(name) {
            Some(service) => self.scenario.container_names(service),
            None => vec![name.clone()],
        };
        let daemon = self.world.daemon(self.host);
        for container in names.iter().filter_map(|name| daemon?.container(name).ok()) {
            let active = container.endpoints.iter().filter_map(|endpoint| endpoint.active.as_ref());
            for address in active.flat_map(|active| active.addresses()) {
                doors.inner.push(written(address.addr(), endpoint.port, endpoint));
            }
            for binding in &container.bindings {
                let same_protocol = binding.protocol().to_string() == endpoint.protocol.to_string();
                if Some(binding.container.port()) != endpoint.port || !same_protocol {
                    continue;
                }
                let bound = binding.host;
                let every = bound.ip().is_unspecified();
                let family = |address: &&IpAddr| address.is_ipv4() == bound.is_ipv4();
                let addresses: Vec<IpAddr> = match every {
                    true => host_addresses.iter().filter(family).take(1).copied().collect(),
                    false => vec![bound.ip()],
                };
                let ports = addresses.into_iter().map(|a| written(a, Some(bound.port()), endpoint));
                doors.published.extend(ports);
            }
        }
        Ok(doors)
    }
}

fn written(address: IpAddr, port: Option<u16>, like: &Endpoint) -> String {
    Endpoint { place: Place::Address(address), port, protocol: like.protocol }.to_string()
}

fn claim(allowed: &[String], destination: &str) -> String {
    match allowed {
        [] => format!("nobody reaches {destination}"),
        [one] => format!("only {one} reaches {destination}"),
        several => format!("only {} reach {destination}", several.join(", ")),
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected that {}; of {} attempts these ended otherwise:", self.claim, self.tried)?;
        for attempt in &self.wrong {
            if let Ok(outcome) = &attempt.found {
                write!(f, "\n  {}: {}", attempt.title, outcome)?;
            }
        }
        match self.wrong.first() {
            Some(first) => write!(f, "\n\nthe first of them: {first}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
