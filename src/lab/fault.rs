//! What a test does to a lab: containers crash and start again, wires are cut, slowed down and healed, places parted.
//!
//! A wire is a container's way into one network, or the cable of a card. Cutting or changing it concerns everything
//! that passes it. Two places are parted by rules that drop their packets where a person would put them: in the
//! `mangle` table of the Docker host, ahead of everything Docker does. Both stay in force over restarts, which give a
//! container a new wire and perhaps a new address: whatever was asked for is put in place again before a lab's next
//! call does anything.

use std::net::IpAddr;

use super::error::LabError;
use super::session::Lab;
use crate::scenario::places::Places;
use crate::world::stage::LinkQuality;
use crate::world::{Limit, Location, WorldError};

/// Time for an `iptables` command.
const RULE_LIMIT: Limit = Limit(std::time::Duration::from_secs(1));

/// What was asked for and has to stay so.
#[derive(Default)]
pub(super) struct Faults {
    wires: Vec<(Wire, LinkQuality)>,
    partings: Vec<Parting>,
}

/// Somebody's wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wire {
    /// A container's into a network, by their real names.
    Endpoint { container: String, network: String },
    /// That of a card of the host or of a machine.
    Card { place: Location, card: String },
}

/// Two places that do not hear each other.
struct Parting {
    ends: [Location; 2],
    way: Way,
    /// The rules in force: where, and the command line without `-A` or `-D` and what stands before.
    rules: Vec<Rule>,
}

/// Which packets are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Both,
    /// Those from the first end to the second.
    Forth,
}

#[derive(Clone, PartialEq, Eq)]
struct Rule {
    place: Location,
    ipv6: bool,
    chain: &'static str,
    matching: String,
}

/// What stands between two names.
enum Between {
    Wire(Wire),
    Places([Location; 2]),
}

impl Lab {
    /// Ends a container's main process as a crash would. Its restart policy acts when time passes.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres}}")?;
    /// lab.crash("db")?;
    /// lab.connect("web", "db:5432").assert_fails();
    /// lab.restart("db")?;
    /// lab.connect("web", "db:5432").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If the place is no container, or does not run.
    pub fn crash(&mut self, container: &str) -> Result<(), LabError> {
        let name = self.container(container)?;
        self.world.crash(self.host, &name)?;
        self.flush();
        Ok(())
    }

    /// Stops a container, if it runs, and starts it again, as `docker restart` does.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres}}")?;
    /// lab.restart("db")?;
    /// lab.connect("web", "db:5432").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If the place is no container, or dockerd refuses.
    pub fn restart(&mut self, container: &str) -> Result<(), LabError> {
        let name = self.container(container)?;
        let output = self.docker(&format!("restart {name}"));
        match output.status()? {
            Some(0) => Ok(()),
            _ => Err(LabError::NotUp(output.text().trim_end().to_owned())),
        }
    }

    /// Cuts what is between two names. Two places no longer hear each other, whatever the way. A container and a
    /// network: its wire into that network is cut. The host or a machine, and one of its cards or a link of the file:
    /// that cable is cut.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose(
    ///     "
    ///     services:
    ///       web: {image: nginx, ports: ['8080:80'], networks: [front]}
    ///       db: {image: postgres, networks: [front]}
    ///       app: {image: busybox, command: sleep infinity, networks: [front]}
    ///     networks: {front: }",
    /// )?;
    /// lab.cut("app", "db")?;
    /// lab.connect("app", "db:5432").assert_timeout();
    /// lab.connect("web", "db:5432").assert_ok();
    /// lab.cut("web", "front")?;
    /// lab.connect("web", "db:5432").assert_fails();
    /// lab.cut("host", "eth0")?;
    /// lab.connect("outside", "host:8080").assert_fails();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If one of them is unknown, or nothing is between them.
    pub fn cut(&mut self, a: &str, b: &str) -> Result<(), LabError> {
        match self.between(a, b)? {
            Between::Wire(wire) => {
                let quality = self.quality(&wire)?;
                self.wish(wire, LinkQuality { cut: true, ..quality })
            }
            Between::Places(ends) => self.part(ends, Way::Both),
        }
    }

    /// Drops what a place sends to another; what the other sends arrives. [`Lab::heal`] ends it.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres}}")?;
    /// lab.cut_one_way("db", "web")?;
    /// let capture = lab.capture("db")?;
    /// lab.ping("web", "db").assert_timeout();
    /// capture.assert_saw("ICMP echo request").assert_saw("ICMP echo reply");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If one of them is no place.
    pub fn cut_one_way(&mut self, from: &str, to: &str) -> Result<(), LabError> {
        let ends = [self.place(from)?, self.place(to)?];
        self.part(ends, Way::Forth)
    }

    fn part(&mut self, ends: [Location; 2], way: Way) -> Result<(), LabError> {
        let known = |parting: &Parting| match way {
            Way::Both => parting.way == way && same(&parting.ends, &ends),
            Way::Forth => parting.way == way && parting.ends == ends,
        };
        if !self.faults.partings.iter().any(known) {
            self.faults.partings.push(Parting { ends, way, rules: Vec::new() });
        }
        self.restore()
    }

    /// Heals what [`Lab::cut`] cut between these two; whatever else a wire is like stays.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres}}")?;
    /// lab.cut("web", "db")?;
    /// lab.ping("web", "db").assert_fails();
    /// lab.heal("web", "db")?;
    /// lab.ping("web", "db").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Lab::cut`].
    pub fn heal(&mut self, a: &str, b: &str) -> Result<(), LabError> {
        match self.between(a, b)? {
            Between::Wire(wire) => {
                let quality = self.quality(&wire)?;
                self.wish(wire, LinkQuality { cut: false, ..quality })
            }
            Between::Places(ends) => {
                let partings = std::mem::take(&mut self.faults.partings);
                let (healed, rest): (Vec<Parting>, Vec<Parting>) =
                    partings.into_iter().partition(|parting| same(&parting.ends, &ends));
                self.faults.partings = rest;
                let mut rules = healed.iter().flat_map(|parting| &parting.rules);
                rules.try_for_each(|rule| self.rule("-D", rule))
            }
        }
    }

    /// Says what the wire between a container and a network is like, or the cable of a card: delay and loss in each
    /// direction, rate, and so on. `LinkQuality::default()` is an ideal wire.
    ///
    /// ```
    /// use linkspan::lab::{Lab, LinkQuality};
    /// use std::time::Duration;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, db: {image: postgres}}")?;
    /// let slow = LinkQuality { delay: Duration::from_millis(20), ..LinkQuality::default() };
    /// lab.set_link("db", "default", slow)?;
    /// assert!(lab.connect("web", "db:5432").assert_ok().took() >= Duration::from_millis(80));
    /// lab.set_link("db", "default", LinkQuality { loss: 1.0, ..slow })?;
    /// lab.ping("web", "db").assert_fails();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If one of them is unknown, or there is no wire between them.
    pub fn set_link(&mut self, a: &str, b: &str, quality: LinkQuality) -> Result<(), LabError> {
        match self.between(a, b)? {
            Between::Wire(wire) => self.wish(wire, quality),
            Between::Places(_) => Err(LabError::Unlinked {
                a: a.to_owned(),
                b: b.to_owned(),
                reason:
                    "name one end and its network or card, as (\"web\", \"front\") or (\"host\", \"eth0\")"
                        .to_owned(),
            }),
        }
    }

    /// Puts in place again what was asked for and got lost when containers stopped.
    pub(super) fn restore(&mut self) -> Result<(), LabError> {
        for (wire, quality) in self.faults.wires.clone() {
            let Some((place, device)) = self.device(&wire) else { continue };
            if self.world.link_quality(&place, &device)? != quality {
                self.world.set_link_quality(&place, &device, quality)?;
            }
        }
        for at in 0..self.faults.partings.len() {
            let (ends, way) = (self.faults.partings[at].ends.clone(), self.faults.partings[at].way);
            let wanted = self.rules(&ends, way)?;
            let present = std::mem::replace(&mut self.faults.partings[at].rules, wanted.clone());
            for rule in present.iter().filter(|rule| !wanted.contains(rule)) {
                self.rule("-D", rule)?;
            }
            for rule in wanted.iter().filter(|rule| !present.contains(rule)) {
                self.rule("-I", rule)?;
            }
        }
        Ok(())
    }

    /// A container's name; other places are refused.
    fn container(&self, place: &str) -> Result<String, LabError> {
        match self.place(place)? {
            Location::Container(_, name) => Ok(name),
            Location::Host(_) | Location::Machine(_) => Err(LabError::NoContainer(place.to_owned())),
        }
    }

    /// What two names have between them, whichever comes first.
    fn between(&self, a: &str, b: &str) -> Result<Between, LabError> {
        let wire = match (self.place(a), self.place(b)) {
            (Ok(a), Ok(b)) if a != b => return Ok(Between::Places([a, b])),
            (Ok(place), Err(_)) => self.wire(&place, b),
            (Err(_), Ok(place)) => self.wire(&place, a),
            (Err(error), Err(_)) => return Err(error),
            (Ok(_), Ok(_)) => None,
        };
        wire.map(Between::Wire).ok_or_else(|| self.unlinked(a, b))
    }

    /// The wire of a place that a network, link or card means.
    fn wire(&self, place: &Location, name: &str) -> Option<Wire> {
        if let (Location::Container(_, container), Some(network)) = (place, self.network_name(name)) {
            let container = self.world.daemon(self.host)?.container(container).ok()?;
            let joined = container.endpoints.iter().any(|endpoint| endpoint.network_name == network);
            return joined.then(|| Wire::Endpoint { container: container.name.clone(), network });
        }
        let card = Places::new(&self.scenario, self.host).card(&self.world, place, name)?;
        Some(Wire::Card { place: place.clone(), card })
    }

    fn unlinked(&self, a: &str, b: &str) -> LabError {
        let networks = self.scenario.networks.iter().map(|network| network.key.value.as_str());
        let networks: Vec<&str> = networks.collect();
        let (a, b) = if self.place(a).is_ok() { (a, b) } else { (b, a) };
        let reason = match self.place(a) {
            Ok(Location::Container(_, name)) if self.network_name(b).is_some() => {
                format!("{name} has not joined the network {b}")
            }
            Ok(Location::Container(..)) => {
                format!("`{b}` is neither a place nor a network; the networks are {}", networks.join(", "))
            }
            Ok(place @ (Location::Host(_) | Location::Machine(_))) => {
                let cards = Places::new(&self.scenario, self.host).cards(&self.world, &place).join(", ");
                format!("`{b}` is neither a place nor a card or link of {a}; its cards are {cards}")
            }
            Err(error) => error.to_string(),
        };
        LabError::Unlinked { a: a.to_owned(), b: b.to_owned(), reason }
    }

    fn wish(&mut self, wire: Wire, quality: LinkQuality) -> Result<(), LabError> {
        self.faults.wires.retain(|(known, _)| *known != wire);
        self.faults.wires.push((wire, quality));
        self.restore()
    }

    /// What a wire is to be like.
    fn quality(&self, wire: &Wire) -> Result<LinkQuality, LabError> {
        if let Some((_, quality)) = self.faults.wires.iter().find(|(known, _)| known == wire) {
            return Ok(*quality);
        }
        match self.device(wire) {
            Some((place, device)) => Ok(self.world.link_quality(&place, &device)?),
            None => Ok(LinkQuality::default()),
        }
    }

    /// The device at the end of a wire, while there is one.
    fn device(&self, wire: &Wire) -> Option<(Location, String)> {
        match wire {
            Wire::Card { place, card } => Some((place.clone(), card.clone())),
            Wire::Endpoint { container, network } => {
                let known = self.world.daemon(self.host)?.container(container).ok()?;
                let endpoint = known.endpoints.iter().find(|endpoint| endpoint.network_name == *network)?;
                let device = endpoint.active.as_ref()?.device?;
                Some((Location::Container(self.host, container.clone()), device.to_string()))
            }
        }
    }

    /// The rules that part two places as they are now.
    fn rules(&self, ends: &[Location; 2], way: Way) -> Result<Vec<Rule>, LabError> {
        let [a, b] = ends;
        let host = Location::Host(self.host);
        let (ours, theirs) = (self.addresses_now(a)?, self.addresses_now(b)?);
        let drop = |place: &Location, chain, matching: String, like: &IpAddr| Rule {
            place: place.clone(),
            ipv6: like.is_ipv6(),
            chain,
            matching: format!("{matching} -m comment --comment \"cut by the test\" -j DROP"),
        };
        let from = |place: &Location, other: &[IpAddr]| -> Vec<Rule> {
            other.iter().map(|address| drop(place, "INPUT", format!("-s {address}"), address)).collect()
        };
        let to = |place: &Location, other: &[IpAddr]| -> Vec<Rule> {
            other.iter().map(|address| drop(place, "OUTPUT", format!("-d {address}"), address)).collect()
        };
        let between = |ours: &[IpAddr], theirs: &[IpAddr]| -> Vec<Rule> {
            let pairs = ours.iter().flat_map(|one| theirs.iter().map(move |other| (one, other)));
            let pairs = pairs.filter(|(one, other)| one.is_ipv6() == other.is_ipv6());
            pairs.map(|(one, other)| drop(&host, "FORWARD", format!("-s {one} -d {other}"), one)).collect()
        };
        let (mut forth, back) = if *a == host {
            (to(&host, &theirs), from(&host, &theirs))
        } else if *b == host {
            (from(&host, &ours), to(&host, &ours))
        } else if let (Location::Machine(_), Location::Machine(_)) = (a, b) {
            (from(b, &ours), from(a, &theirs))
        } else {
            (between(&ours, &theirs), between(&theirs, &ours))
        };
        if way == Way::Both {
            forth.extend(back);
        }
        Ok(forth)
    }

    /// The addresses of a place; none while it does not run.
    fn addresses_now(&self, place: &Location) -> Result<Vec<IpAddr>, LabError> {
        match self.world.addresses(place) {
            Ok(addresses) => Ok(addresses),
            Err(WorldError::NotRunning { .. } | WorldError::NoPlace(_)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Inserts (`-I`) or deletes (`-D`) a rule. One that somebody else deleted is no error.
    fn rule(&mut self, verb: &str, rule: &Rule) -> Result<(), LabError> {
        let program = if rule.ipv6 { "ip6tables" } else { "iptables" };
        let command = format!("{program} -t mangle {verb} {} {}", rule.chain, rule.matching);
        let arguments = ["sh", "-c", &command].map(str::to_owned).to_vec();
        let mut job = self.world.start(&rule.place, arguments)?;
        let status = self.world.finish(&mut job, RULE_LIMIT)?;
        if status == Some(0) || verb == "-D" {
            return Ok(());
        }
        Err(LabError::CommandLine { command, reason: job.take_output().trim_end().to_owned() })
    }
}

fn same(a: &[Location; 2], b: &[Location; 2]) -> bool {
    a == b || (a[0] == b[1] && a[1] == b[0])
}
