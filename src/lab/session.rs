//! [`Lab`]: a scenario that stays up while a test does things to it.
//!
//! Everything a lab does happens in virtual time, with real packets, and is a function of the scenario, the seed and the
//! calls made. Time only passes inside calls: an attempt takes what it takes, [`Lab::advance`] lets more pass.
//!
//! # Places
//! A place is a service (its first container), a container's name, `host`, or a machine outside, as `outside` or
//! `world:outside`. A destination is what a check's is: `db:5432`, `dns:53/udp`, `172.18.0.2:80`, `host:8080` (the
//! host's first address), `world:outside:80`, or any name the one who asks can resolve.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Weak;
use std::time::Duration;

use super::attempt::{Attempt, Resolved, Told};
use super::builder::Builder;
use super::error::LabError;
use super::explain::{Made, Question, explain_made, means};
use super::fault::Faults;
use super::output::{Ended, Output};
use super::way::way;
use crate::observe::explain::Events;
use crate::observe::pcapng;
use crate::scenario::checks::Endpoint;
use crate::scenario::diagnostic::nearest;
use crate::scenario::places::{DockerAnswer, DockerCommand, Places};
use crate::scenario::{Place, Scenario, Target, run};
use crate::world::probe::ProbeOutcome;
use crate::world::{Event, HostId, Job, Location, World, WorldError};

/// Virtual time a command or program may take before it is stopped.
pub(super) const LIMIT: Duration = Duration::from_secs(600);

/// Bytes a command may print before it is stopped: what the pipe of its output holds.
const OUTPUT_LIMIT: usize = 16 << 20;

/// Events remembered of one call, for its explanation; older ones are forgotten.
const EVENTS_KEPT: usize = 100_000;

/// A scenario that is up: networks, containers and machines that a test talks to, breaks and heals.
///
/// ```
/// use linkspan::lab::Lab;
///
/// let mut lab = Lab::from_compose(
///     "
///     services:
///       web: {image: nginx, ports: ['8080:80'], networks: [front, back]}
///       db: {image: postgres, networks: [back]}
///       visitor: {image: busybox, command: sleep infinity, networks: [front]}
///     networks: {front: , back: {internal: true}}",
/// )?;
/// lab.connect("web", "db:5432").assert_ok();
/// lab.connect("visitor", "db:5432").assert_unresolved();
/// lab.connect("outside", "host:8080").assert_ok();
/// lab.only(["web"]).reach("db:5432");
/// # Ok::<(), linkspan::lab::LabError>(())
/// ```
pub struct Lab {
    pub(super) scenario: Scenario,
    pub(super) world: World,
    pub(super) host: HostId,
    /// Captures that somebody still holds.
    pub(super) captures: Vec<Weak<RefCell<pcapng::Capture>>>,
    pub(super) faults: Faults,
    /// Events of the call that is going on.
    held: Option<VecDeque<Event>>,
}

impl Lab {
    /// Reads a scenario or Compose file and brings its services up. A relative path is seen from the working directory,
    /// which for `cargo test` is the package's. Steps and checks in the file are not made.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_file("scenarios/quickstart.yaml")?;
    /// lab.connect("client", "web:80").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// [`LabError::Refused`] with every problem of the file, [`LabError::NotUp`] with what does not come up.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Lab, LabError> {
        Lab::builder().file(path).build()
    }

    /// Brings the services of a Compose or scenario text up. The project's name is `lab` unless the text names it. The
    /// same as `text.parse::<Lab>()`.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// lab.connect("host", "172.18.0.2:80").assert_ok();
    /// let error = Lab::from_compose("services: {web: {imgae: nginx}}").unwrap_err();
    /// assert!(error.to_string().contains("did you mean `image`?"));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Lab::from_file`].
    pub fn from_compose(text: &str) -> Result<Lab, LabError> {
        Lab::builder().text(text).build()
    }

    /// Begins with nothing: networks, services and machines are added in code.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder().seed(7).service("web", |web| web.image("nginx").publish("8080:80")).build()?;
    /// lab.connect("outside", "host:8080").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn up(scenario: Scenario, world: World) -> Result<Lab, LabError> {
        let (world, host) = run::up_in(world, &scenario)
            .map_err(|diagnostic| LabError::not_up(&diagnostic, &scenario.sources))?;
        world.watch(true);
        Ok(Lab { scenario, world, host, captures: Vec::new(), faults: Faults::default(), held: None })
    }

    /// Connects by TCP, or sends a datagram to a `/udp` port, and waits for the server's first answer; at most 5 s after
    /// the name is resolved.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, dns: {image: coredns/coredns}}")?;
    /// lab.connect("dns", "web:80").assert_ok();
    /// lab.connect("dns", "web:81").assert_refused();
    /// lab.connect("web", "dns:53/udp").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn connect(&mut self, from: &str, to: &str) -> Attempt {
        let destination = self.destination(to).and_then(|endpoint| match endpoint.port {
            Some(_) => Ok(endpoint),
            None => Err(LabError::Destination {
                text: to.to_owned(),
                reason: format!("a port is missing, as in `{to}:80`; without one, use `ping`"),
            }),
        });
        self.try_to_reach(from, to, destination)
    }

    /// Sends an echo request and waits for its reply, at most 5 s after the name is resolved.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres}}")?;
    /// lab.ping("web", "db").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn ping(&mut self, from: &str, to: &str) -> Attempt {
        let destination = self.destination(to).and_then(|endpoint| match endpoint.port {
            None => Ok(endpoint),
            Some(port) => Err(LabError::Destination {
                text: to.to_owned(),
                reason: format!("a ping has no port; to try port {port}, use `connect`"),
            }),
        });
        self.try_to_reach(from, to, destination)
    }

    /// Asks for the addresses of a name as a program there would: `/etc/hosts`, then the servers of `/etc/resolv.conf`.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres}}")?;
    /// lab.resolve("web", "db").assert_is(["172.18.0.3"]);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn resolve(&mut self, from: &str, name: &str) -> Resolved {
        let began = self.now();
        let (found, events) = self.observed(|lab| {
            let location = lab.place(from)?;
            Ok(lab.world.resolve(&location, name)?)
        });
        let mut told = self.told(began, &events);
        if matches!(&found, Ok(addresses) if addresses.is_empty()) {
            told.hints.extend(self.misspelt(name));
        }
        Resolved { title: format!("{from} ? {name}"), found, told }
    }

    /// Runs a command line in a shell there and waits for its end, at most 600 s of virtual time. The programs are
    /// linkspan's: `ping`, `wget`, `nslookup`, `nc`, `ip`, `iptables` and others.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.exec("app", "wget -qO- http://web/").assert_success();
    /// lab.exec("app", "ping -c 1 wbe").assert_status(1).assert_contains("bad address");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn exec(&mut self, place: &str, command: &str) -> Output {
        let began = self.now();
        let (found, events) = self.observed(|lab| {
            let location = lab.place(place)?;
            let arguments = ["sh", "-c", command].map(str::to_owned).to_vec();
            let mut job = lab.world.start(&location, arguments)?;
            let (text, status) = lab.drive(&mut job)?;
            Ok(Ended { text, status })
        });
        self.output(format!("{place}$ {command}"), found, began, &events)
    }

    /// Runs a docker command line on the Docker host, with or without the leading `docker`. The file's keys stand for
    /// the networks and containers that Compose made of them.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose(
    ///     "services: {web: {image: nginx, networks: [a]}, db: {image: postgres, networks: [b]}}\n\
    ///      networks: {a: , b: }",
    /// )?;
    /// lab.connect("web", "db:5432").assert_unresolved();
    /// lab.docker("network connect b web").assert_success();
    /// lab.connect("web", "db:5432").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn docker(&mut self, command: &str) -> Output {
        let began = self.now();
        let command = command.trim();
        let whole = match command.split_whitespace().next() {
            Some("docker") => command.to_owned(),
            _ => format!("docker {command}"),
        };
        let (found, events) = self.observed(|lab| {
            let places = Places::new(&lab.scenario, lab.host);
            let answer = places.docker(&mut lab.world, &whole);
            let DockerCommand { said, then } = answer.map_err(|error| LabError::docker(&whole, error))?;
            match then {
                DockerAnswer::Refused(status) => Ok(Ended { text: said, status: Some(status) }),
                DockerAnswer::Asked(mut job) => {
                    let (text, status) = lab.drive(&mut job)?;
                    Ok(Ended { text: said + &text, status })
                }
            }
        });
        self.output(format!("host$ {whole}"), found, began, &events)
    }

    /// Lets virtual time pass: timers fire, leases and connection tracking entries run out, restart policies act.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    /// use std::time::Duration;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx, restart: always}}")?;
    /// lab.crash("web")?;
    /// lab.advance(Duration::from_secs(60))?;
    /// lab.ping("host", "172.18.0.2").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If a program spins without end, or frames multiply.
    pub fn advance(&mut self, time: Duration) -> Result<(), LabError> {
        let until = self.now().saturating_add(time);
        self.world.settle()?;
        while self.world.step(until)? {
            self.flush();
        }
        self.world.advance(until)?;
        self.restore()?;
        self.flush();
        Ok(())
    }

    /// Lets virtual time pass, a second at a time, until the condition holds; returns how long that took.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    /// use std::time::Duration;
    ///
    /// let mut lab = Lab::from_compose(
    ///     "services: {db: {image: postgres, restart: always}, app: {image: busybox, command: sleep 1h}}",
    /// )?;
    /// lab.crash("db")?;
    /// lab.until(Duration::from_secs(30), |lab| lab.connect("app", "db:5432").is_ok())?;
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// [`LabError::Overdue`] if it does not within the limit.
    pub fn until(
        &mut self,
        limit: Duration,
        mut holds: impl FnMut(&mut Lab) -> bool,
    ) -> Result<Duration, LabError> {
        const PAUSE: Duration = Duration::from_secs(1);
        let began = self.now();
        loop {
            if holds(self) {
                return Ok(self.now().saturating_sub(began));
            }
            if self.now().saturating_sub(began) >= limit {
                return Err(LabError::Overdue { what: "the condition".to_owned(), limit });
            }
            self.advance(PAUSE)?;
        }
    }

    /// Virtual time since the lab began.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # use std::time::Duration;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// let before = lab.now();
    /// lab.advance(Duration::from_secs(3600))?;
    /// assert_eq!(lab.now() - before, Duration::from_secs(3600));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// The addresses of a place, IPv4 first; loopback and link-local ones left out.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// assert_eq!(lab.addresses("web")?, ["172.18.0.2".parse::<std::net::IpAddr>().unwrap()]);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such place, or it does not run.
    pub fn addresses(&self, place: &str) -> Result<Vec<IpAddr>, LabError> {
        Ok(self.world.addresses(&self.place(place)?)?)
    }

    /// Every name that stands for a place: services, other containers, `host`, machines.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// assert_eq!(lab.places(), ["web", "host", "outside"]);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.scenario.services.iter().map(|service| service.name.value.clone()).collect();
        let own: Vec<String> =
            self.scenario.services.iter().flat_map(|s| self.scenario.container_names(s)).collect();
        let others = self.world.daemon(self.host).into_iter().flat_map(|daemon| daemon.containers());
        names.extend(others.map(|container| container.name.clone()).filter(|name| !own.contains(name)));
        names.push("host".to_owned());
        names.extend(self.world.machines().map(str::to_owned));
        names
    }

    /// Where a name is.
    pub(super) fn place(&self, name: &str) -> Result<Location, LabError> {
        let target: Target = name.parse().map_err(|_| self.unknown(name))?;
        match &target {
            Target::Host(_) => Ok(Location::Host(self.host)),
            Target::World(machine) if self.world.machines().any(|known| known == machine) => {
                Ok(Location::Machine(machine.clone()))
            }
            Target::World(_) => Err(self.unknown(name)),
            Target::Container(key) => {
                let places = Places::new(&self.scenario, self.host);
                let container = places.container_name(key);
                match places.has_container(&self.world, &container) {
                    true => Ok(Location::Container(self.host, container)),
                    false if self.world.machines().any(|known| known == key) => {
                        Ok(Location::Machine(key.clone()))
                    }
                    false => Err(self.unknown(name)),
                }
            }
        }
    }

    pub(super) fn unknown(&self, name: &str) -> LabError {
        let known = self.places();
        let near = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        LabError::Unknown { kind: "place", name: name.to_owned(), nearest: near, known }
    }

    /// What is tried. A machine may stand without `world:`, because names of outside resolve elsewhere.
    pub(super) fn destination(&self, text: &str) -> Result<Endpoint, LabError> {
        let endpoint: Endpoint = text.parse().map_err(|error: crate::scenario::checks::CheckError| {
            LabError::Destination { text: text.to_owned(), reason: error.to_string() }
        })?;
        let place = match endpoint.place {
            Place::World(name) if !self.world.machines().any(|known| known == name) => {
                return Err(self.unknown(&name));
            }
            Place::Name(name) if self.is_machine(&name) => Place::World(name),
            place => place,
        };
        Ok(Endpoint { place, ..endpoint })
    }

    /// Whether a name is a machine's and nobody's who is nearer.
    fn is_machine(&self, name: &str) -> bool {
        let places = Places::new(&self.scenario, self.host);
        let taken = places.has_container(&self.world, &places.container_name(name));
        !taken && self.world.machines().any(|known| known == name)
    }

    fn try_to_reach(&mut self, from: &str, to: &str, destination: Result<Endpoint, LabError>) -> Attempt {
        let began = self.now();
        let title = format!("{from} -> {to}");
        let mut lookup = 0;
        let (found, events) = self.observed(|lab| {
            let (location, endpoint) = (lab.place(from)?, destination?);
            let question = Question::new(from.parse().map_err(|_| lab.unknown(from))?, endpoint);
            let target = Places::new(&lab.scenario, lab.host).target(&lab.world, &question.to)?;
            let addresses = lab.world.resolve(&location, &target)?;
            lab.flush();
            lookup = lab.held.as_ref().map_or(0, VecDeque::len);
            let outcome = match addresses.first() {
                Some(address) => lab.world.probe(&location, &address.to_string(), means(&question).1)?,
                None => ProbeOutcome::Unresolved,
            };
            Ok((location, question, target, addresses, outcome))
        });
        let mut told = self.told(began, &events);
        let mut seen_as = Vec::new();
        let found = found.map(|(from, question, target, addresses, outcome)| {
            match outcome {
                ProbeOutcome::Ok(source) => seen_as = source.map(|s| self.names_of(s)).unwrap_or_default(),
                _ => told.hints.extend(self.hints(&from, &question.to, outcome)),
            }
            let (lookup, attempt) = events.split_at(lookup.min(events.len()));
            let events = Events { lookup, attempt };
            let made = Made { from: &from, question: &question, target, addresses, outcome, events };
            let explanation = explain_made(&mut self.world, self.host, &self.scenario, made);
            told.title = "what happened:";
            told.way = explanation.to_string().lines().map(str::to_owned).collect();
            outcome
        });
        Attempt { title, found, seen_as, told }
    }

    /// What may be the reason of a failure.
    fn hints(&self, from: &Location, to: &Endpoint, outcome: ProbeOutcome) -> Vec<String> {
        let apart = Places::new(&self.scenario, self.host).apart(&self.world, from, to);
        let Place::Name(name) = &to.place else { return apart.into_iter().collect() };
        let misspelt = if outcome == ProbeOutcome::Unresolved { self.misspelt(name) } else { None };
        let down = self.world.daemon(self.host).and_then(|daemon| {
            let name = Places::new(&self.scenario, self.host).container_name(name);
            let container = daemon.container(&name).ok()?;
            (!container.state.is_up())
                .then(|| format!("{name} does not run: it is {}", container.state.name()))
        });
        [down, apart, misspelt].into_iter().flatten().collect()
    }

    /// A near name of a service, if this is none.
    fn misspelt(&self, name: &str) -> Option<String> {
        let services = || self.scenario.services.iter().map(|service| service.name.value.as_str());
        if services().any(|service| service == name) {
            return None;
        }
        nearest(name, services()).map(|near| format!("`{name}` is no service: did you mean `{near}`?"))
    }

    /// The names of the place that has an address.
    fn names_of(&self, address: IpAddr) -> Vec<String> {
        let Some(owner) = self.world.names().address_owner(address) else { return Vec::new() };
        let service = self
            .scenario
            .services
            .iter()
            .find(|service| self.scenario.container_names(service).contains(&owner));
        let key = service.map(|service| service.name.value.clone()).filter(|key| *key != owner);
        key.into_iter().chain([owner]).collect()
    }

    fn output(
        &self,
        title: String,
        found: Result<Ended, LabError>,
        began: Duration,
        events: &[Event],
    ) -> Output {
        Output { title, found, told: self.told(began, events) }
    }

    fn told(&self, began: Duration, events: &[Event]) -> Told {
        let took = self.now().saturating_sub(began);
        let way = way(events, &self.world, "");
        Told {
            began,
            took,
            seed: self.world.seed(),
            hints: Vec::new(),
            title: "the packet that decided:",
            way,
        }
    }

    /// Does something and returns the events it caused.
    fn observed<T>(
        &mut self,
        work: impl FnOnce(&mut Lab) -> Result<T, LabError>,
    ) -> (Result<T, LabError>, Vec<Event>) {
        self.flush();
        self.held = Some(VecDeque::new());
        let result = self.restore().and_then(|()| work(self));
        self.flush();
        (result, self.held.take().unwrap_or_default().into())
    }

    /// Hands what happened to the captures.
    pub(super) fn flush(&mut self) {
        let events = self.world.take_events();
        let names = self.world.names();
        self.captures.retain(|capture| capture.strong_count() > 0);
        for capture in self.captures.iter().filter_map(Weak::upgrade) {
            let mut capture = capture.borrow_mut();
            events.iter().for_each(|event| capture.push(event, &names));
        }
        if let Some(held) = &mut self.held {
            held.extend(events);
            let old = held.len().saturating_sub(EVENTS_KEPT);
            held.drain(..old);
        }
    }

    /// Runs a job to its end; its output, and its status unless it was stopped at a limit.
    pub(super) fn drive(&mut self, job: &mut Job) -> Result<(String, Option<u8>), WorldError> {
        let until = self.now().saturating_add(LIMIT);
        let mut output = String::new();
        self.world.settle()?;
        loop {
            self.flush();
            output.push_str(&job.take_output());
            if let Some(status) = job.status() {
                return Ok((output, Some(status)));
            }
            let full = output.len() >= OUTPUT_LIMIT;
            if full || !self.world.step(until)? {
                if !full {
                    self.world.advance(until)?;
                }
                self.world.stop(job);
                return Ok((output, None));
            }
        }
    }
}

impl std::str::FromStr for Lab {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Lab, LabError> {
        Lab::from_compose(text)
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lab `{}` at {:.3} s: {}",
            self.scenario.name,
            self.now().as_secs_f64(),
            self.places().join(", ")
        )
    }
}
