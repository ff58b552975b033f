//! From a verdict to the line of the scenario that made it so, and what to do about it.
//!
//! The verdict says what happened to packets; why the networks are as they are stands in the daemon's state and in the
//! file. A cause is named only where the state bears it out: two containers without a common network, a network that
//! is internal, a port that nothing listens on. Where none fits, the explanation stands without one.

use std::net::IpAddr;

use super::{HostId, Location, Scenario, World};
use crate::observe::explain::{Cause, Drop, DropReason, End, Explanation, Outcome, Part, Rule, SourceLine};
use crate::scenario::Span;
use crate::scenario::causes::Causes;
use crate::scenario::diagnostic::nearest;

/// The driver option that lets containers of a network reach each other.
const ICC: &str = "com.docker.network.bridge.enable_icc";
/// The driver option for a network's MTU.
const MTU: &str = "com.docker.network.driver.mtu";

/// The cause of a verdict, if it is known.
pub(super) fn diagnose(
    world: &World,
    host: HostId,
    scenario: &Scenario,
    from: &Location,
    steps_done: bool,
    explanation: &Explanation,
) -> Option<Cause> {
    let causes = Causes::new(scenario, steps_done);
    let facts = Facts { world, host, scenario, causes, from, explanation };
    facts.diagnose()
}

struct Facts<'a> {
    world: &'a World,
    host: HostId,
    scenario: &'a Scenario,
    causes: Causes<'a>,
    from: &'a Location,
    explanation: &'a Explanation,
}

impl Facts<'_> {
    fn diagnose(&self) -> Option<Cause> {
        match self.explanation.outcome {
            Outcome::Reached(_) => None,
            Outcome::Unresolved => self.unresolved(),
            Outcome::Closed => self.behind_proxy(),
            Outcome::Refused | Outcome::TimedOut | Outcome::Unreachable | Outcome::NoAnswer => {
                match self.explanation.root() {
                    Some(drop) => self.dropped(drop),
                    None if self.explanation.passages.is_empty() => self.no_way_out(),
                    None => self.silent(),
                }
            }
        }
    }

    fn dropped(&self, drop: &Drop) -> Option<Cause> {
        match drop.reason {
            DropReason::Filtered | DropReason::Rejected => self.filtered(drop.rule.as_ref()?),
            DropReason::NoSocket if self.is_of_an_answer(drop) => self.not_translated_back(),
            DropReason::NoSocket => self.no_socket(drop),
            DropReason::BacklogFull | DropReason::ReceiveBufferFull => {
                self.target_container().and_then(|target| self.not_running(&target))
            }
            DropReason::NeighbourQueueFull => self.no_neighbour(drop),
            DropReason::OtherHost => self.stale_neighbour(),
            DropReason::NotForUs => self.broadcast(),
            DropReason::NeighbourFailed => self.cut().or_else(|| self.no_neighbour(drop)),
            DropReason::NoRoute => self.no_route(drop),
            DropReason::ForwardingOff => self.forwarding_off(drop),
            DropReason::LinkCut => self.cut(),
            DropReason::LinkLoss => self.link("loss", "loses packets", "take `loss` away, or try again"),
            DropReason::LinkQueueFull => {
                self.link("queue", "has a short queue", "raise `queue` or `rate`, or send less at once")
            }
            DropReason::DeviceDown => self.device_down(drop),
            DropReason::FragmentationNeeded | DropReason::ExceedsMtu => self.too_big(drop),
            DropReason::TtlExceeded => self.loop_of_routes(drop),
            DropReason::Martian => self.martian(),
            DropReason::BridgeNoPort => self.vanished(),
            DropReason::BridgeBadSource => self.group_address(),
            DropReason::BridgeSamePort => self.twins(),
            DropReason::NoFreePort | DropReason::Untranslatable => self.translation(),
            DropReason::BadFrame
            | DropReason::BadPacket
            | DropReason::BadChecksum
            | DropReason::NoCarrier
            | DropReason::UnknownEtherType
            | DropReason::BridgeIsolated
            | DropReason::BridgeReserved
            | DropReason::ConnectionTableFull
            | DropReason::Fragment
            | DropReason::NeighbourTableFull
            | DropReason::Ipv6Disabled
            | DropReason::NoProtocol
            | DropReason::Gone => None,
        }
    }

    /// A name without an address.
    fn unresolved(&self) -> Option<Cause> {
        let name = self.explanation.attempt.target.as_str();
        if let Some(target) = self.container_called(name) {
            return self.unresolved_container(&target);
        }
        let from = self.from.container().map(|name| self.readable(name));
        let machine = self.world.machines().find(|machine| *machine == name);
        if machine.is_some() {
            return Some(Cause {
                text: format!("{name} is a machine outside, and its name is in no DNS zone"),
                line: self.line(self.causes.key(&["world", "machines", name])),
                suggestion: format!("ask for world:{name}, or give the machine `names: [{name}]`"),
            });
        }
        if let (Some(from), Some(network)) = (&from, self.only_internal())
            && name.contains('.')
        {
            return Some(self.internal(from, &network));
        }
        let services = self.scenario.services.iter().map(|service| service.name.value.as_str());
        let containers = self.world.daemon(self.host).into_iter().flat_map(|daemon| daemon.containers());
        let containers: Vec<String> = containers.map(|container| container.name.clone()).collect();
        let near = nearest(name, services.chain(containers.iter().map(String::as_str)));
        let suggestion = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "name a service or container, an address, or put the name into `world: {dns: ...}`".to_owned()
            }
        };
        Some(Cause { text: format!("nothing has the name {name}"), line: None, suggestion })
    }

    fn unresolved_container(&self, target: &str) -> Option<Cause> {
        let name = self.readable(target);
        if let Some(cause) = self.not_running(target) {
            return Some(cause);
        }
        let Some(from) = self.from.container() else {
            return Some(Cause {
                text: format!(
                    "the names of containers are known to Docker's DNS server in containers only, not to {}",
                    self.explanation.attempt.from
                ),
                line: None,
                suggestion: self.way_from_outside(target),
            });
        };
        let (own, others) = (self.networks(from), self.networks(target));
        let common: Vec<&String> = own.iter().filter(|network| others.contains(network)).collect();
        if others.iter().any(|network| network == "host") {
            return Some(Cause {
                text: format!("{name} uses the host's network, where containers have no names"),
                line: self.line(self.causes.networks_of(target)),
                suggestion: "ask for the host's address, or host.docker.internal with `extra_hosts`"
                    .to_owned(),
            });
        }
        if common.iter().all(|network| *network == "bridge") && !common.is_empty() {
            let address = self.address_of(target).map(|a| format!(", or ask for {a}")).unwrap_or_default();
            return Some(Cause {
                text: format!(
                    "{} and {name} are on the default bridge, where containers have no names",
                    self.readable(from)
                ),
                line: self.line(self.causes.networks_of(target)),
                suggestion: format!("put both on a network of their own{address}"),
            });
        }
        self.apart(target)
    }

    /// Two containers without a common network.
    fn apart(&self, target: &str) -> Option<Cause> {
        let from = self.from.container()?;
        let (own, others) = (self.networks(from), self.networks(target));
        if own.iter().any(|network| others.contains(network)) {
            return None;
        }
        let (a, b) = (self.readable(from), self.readable(target));
        let list = |names: &[String]| match names {
            [] => "no network".to_owned(),
            names => {
                names.iter().map(|n| format!("`{}`", self.network_key(n))).collect::<Vec<_>>().join(" and ")
            }
        };
        let only = if others.len() == 1 { "only on " } else { "on " };
        let join = match (others.iter().find(|n| is_joinable(n)), own.iter().find(|n| is_joinable(n))) {
            (Some(network), _) => format!("connect {a} to `{}`", self.network_key(network)),
            (None, Some(network)) => format!("connect {b} to `{}`", self.network_key(network)),
            (None, None) => "put both on one network".to_owned(),
        };
        let publish = match self.explanation.attempt.port {
            Some(port) if others.iter().any(|n| is_joinable(n) && !self.is_internal(n)) => {
                format!(", or publish {port} and ask for the host's address")
            }
            _ => String::new(),
        };
        Some(Cause {
            text: format!("{b} is {only}{}, {a} on {}: they share no network", list(&others), list(&own)),
            line: self.line(self.causes.networks_of(target)),
            suggestion: format!("{join}{publish}"),
        })
    }

    /// A rule said no.
    fn filtered(&self, rule: &Rule) -> Option<Cause> {
        if !rule.docker && rule.number.is_some() {
            return Some(Cause {
                text: "a rule that is not Docker's refuses it".to_owned(),
                line: self.line(self.causes.rule(&rule.chain, &rule.text)),
                suggestion: format!(
                    "remove the rule, or put one that accepts this before it in {}",
                    rule.chain
                ),
            });
        }
        let target = self.target_container();
        if let Some(cause) = target.as_deref().and_then(|target| self.apart(target)) {
            return Some(cause);
        }
        if let (Some(from), Some(target)) = (self.from.container(), &target) {
            return self.no_icc(from, target);
        }
        if let Some(from) = self.from.container() {
            let network = self.only_internal()?;
            return Some(self.internal(&self.readable(from), &network));
        }
        let target = target?;
        let name = self.readable(&target);
        Some(Cause {
            text: format!("{name}'s own address is for its network; others reach it by published ports"),
            line: self.line(self.causes.container(&target)),
            suggestion: self.way_from_outside(&target),
        })
    }

    /// How those who are not in a container reach one.
    fn way_from_outside(&self, target: &str) -> String {
        let name = self.readable(target);
        let container = self.world.daemon(self.host).and_then(|daemon| daemon.container(target).ok());
        let published = container.and_then(|container| {
            let port = self.explanation.attempt.port;
            let mut bindings = container.bindings.iter();
            bindings.find(|b| port.is_none_or(|port| b.container.port() == port)).map(|b| b.host)
        });
        let port = self.explanation.attempt.port;
        match (published, port) {
            (Some(at), _) => format!("ask for port {} of the host, which leads to {name}", at.port()),
            (None, Some(port)) => format!("publish it: `ports: [\"{port}:{port}\"]` in {name}"),
            (None, None) => format!("ask for {name}'s address from the host, or publish a port"),
        }
    }

    /// Containers of one network that may not talk.
    fn no_icc(&self, from: &str, target: &str) -> Option<Cause> {
        let others = self.networks(target);
        let network = self.networks(from).into_iter().find(|network| others.contains(network))?;
        let daemon = self.world.daemon(self.host)?;
        let options = &daemon.network(&network).ok()?.options;
        let off = options.get(ICC).is_some_and(|value| value == "false");
        let key = self.network_key(&network);
        let line = match network.as_str() {
            "bridge" => self.causes.key(&["daemon", "icc"]),
            _ => self.causes.network_setting(&network, &["driver_opts", ICC]),
        };
        let target = self.readable(target);
        off.then(|| Cause {
            text: format!("containers on `{key}` may not talk to each other (icc is off)"),
            line: self.line(line),
            suggestion: format!(
                "take the option away, put both on another network, or link {target} to {}",
                self.readable(from)
            ),
        })
    }

    fn internal(&self, from: &str, network: &str) -> Cause {
        let line = self.causes.network_setting(network, &["internal"]);
        Cause {
            text: format!(
                "`{}`, {from}'s only network, is internal: no way leads out",
                self.network_key(network)
            ),
            line: self.line(line),
            suggestion: format!("connect {from} to a network that is not internal"),
        }
    }

    fn is_of_an_answer(&self, drop: &Drop) -> bool {
        let answers = self.explanation.passages.iter().filter(|passage| passage.part == Part::Answer);
        answers.map(|passage| &passage.end).any(|end| matches!(end, End::Dropped(found) if found == drop))
    }

    /// The answer comes from another address than was asked.
    fn not_translated_back(&self) -> Option<Cause> {
        let requests = self.explanation.passages.iter().filter(|passage| passage.part == Part::Request);
        let mut rules = requests.flat_map(|passage| &passage.hops).filter_map(|hop| hop.rule.as_ref());
        let own = rules.find(|rule| !rule.docker && rule.text.contains("DNAT"))?;
        Some(Cause {
            text: "the answer does not come back through the rule that translated the question".to_owned(),
            line: self.line(self.causes.rule(&own.chain, &own.text)),
            suggestion:
                "translate the source too (`-t nat -A POSTROUTING ... -j MASQUERADE`), or publish the port \
                         and let Docker do it"
                    .to_owned(),
        })
    }

    /// The neighbour table has a hardware address that nobody has any more.
    fn stale_neighbour(&self) -> Option<Cause> {
        let address = self.target_address()?;
        let now = self.container_having(address, true)?;
        let (from, name) = (&self.explanation.attempt.from, self.readable(&now));
        Some(Cause {
            text: format!(
                "{from} still sends to the hardware address that {address} had before; {name} has it now"
            ),
            line: self.line(self.causes.container(&now)),
            suggestion:
                "wait until the entry is asked for anew (`ip neigh` shows it), or keep the hardware address"
                    .to_owned(),
        })
    }

    /// A packet for everybody, of a protocol that is for one.
    fn broadcast(&self) -> Option<Cause> {
        let address = self.target_address()?;
        let daemon = self.world.daemon(self.host)?;
        let mut networks = daemon.networks();
        let network = networks.find(|n| n.subnets.iter().any(|s| s.pool.subnet().broadcast() == address))?;
        Some(Cause {
            text: format!("{address} is the broadcast address of `{}`", self.network_key(&network.name)),
            line: None,
            suggestion: "ask for the address or the name of one container".to_owned(),
        })
    }

    /// Nothing listens.
    fn no_socket(&self, drop: &Drop) -> Option<Cause> {
        let attempt = &self.explanation.attempt;
        let port = attempt.port?;
        let address = self.target_address()?;
        if !address.is_loopback() && self.world.address_owner(address).is_none() {
            // Flooded to all, and meant for none of them.
            return None;
        }
        let container = self.world.daemon(self.host).and_then(|daemon| daemon.container(&drop.place).ok());
        let Some(container) = container else {
            return if self.is_host(&drop.place) {
                self.not_published(port)
            } else {
                self.machine(drop, port)
            };
        };
        let name = self.readable(&container.name);
        let listens: Vec<String> = container.listens.iter().map(ToString::to_string).collect();
        let own = Some(container.name.as_str()) == self.from.container();
        if own
            && (attempt.target == "localhost"
                || attempt.target.parse().is_ok_and(|a: IpAddr| a.is_loopback()))
        {
            return Some(Cause {
                text: format!(
                    "in {name}, {} is {name} itself, where nothing listens on {port}",
                    attempt.target
                ),
                line: self.line(self.causes.container(&container.name)),
                suggestion: "ask for the other container by its name".to_owned(),
            });
        }
        if self.container_called(&attempt.target).is_none()
            && let Some(cause) = self.leads_nowhere(&container.name)
        {
            return Some(cause);
        }
        let service = self.causes.service_of(&container.name);
        let image = service.and_then(|s| self.causes.key(&["services", &s.name.value, "image"]));
        let text = match listens.as_slice() {
            [] => format!("nothing listens in {name}"),
            list => format!("{name} listens on {}, not on {port}", list.join(" and ")),
        };
        let suggestion = match container.listens.first() {
            Some(first) => format!(
                "ask for port {}, or say `expose: [\"{port}\"]` if {name} does listen there",
                first.port
            ),
            None => format!("say what {name} listens on: `expose: [\"{port}\"]`, or `images:`"),
        };
        let line = self.line(image.or_else(|| self.causes.container(&container.name)));
        Some(Cause { text, line, suggestion })
    }

    fn wrong_target(&self, name: &str, container: &str, port: u16, listens: &[String]) -> Cause {
        let list = if listens.is_empty() { "nothing".to_owned() } else { listens.join(" and ") };
        Cause {
            text: format!("the published port leads to port {port} of {name}, which listens on {list}"),
            line: self.line(self.causes.published(container, port)),
            suggestion: "publish the port that the program listens on: HOST:CONTAINER".to_owned(),
        }
    }

    /// The userland proxy took the connection and could not pass it on.
    fn behind_proxy(&self) -> Option<Cause> {
        let mut relays = self.explanation.passages.iter().filter(|passage| passage.part == Part::Relay);
        let drop = relays.find_map(|passage| match &passage.end {
            End::Dropped(drop) => Some(drop),
            End::Delivered { .. } | End::Unfinished => None,
        })?;
        self.leads_nowhere(&drop.place)
    }

    /// A published port that leads to a port of a container where nothing listens.
    fn leads_nowhere(&self, place: &str) -> Option<Cause> {
        let container = self.world.daemon(self.host)?.container(place).ok()?;
        let port = self.explanation.attempt.port?;
        let binding = container.bindings.iter().find(|binding| binding.host.port() == port)?;
        let target = binding.container.port();
        if container.listens.iter().any(|listen| listen.port == target) {
            return None;
        }
        let listens: Vec<String> = container.listens.iter().map(ToString::to_string).collect();
        Some(self.wrong_target(&self.readable(place), place, target, &listens))
    }

    /// The host has nothing on a port.
    fn not_published(&self, port: u16) -> Option<Cause> {
        let daemon = self.world.daemon(self.host)?;
        let bindings = || {
            daemon.containers().flat_map(|container| {
                container.bindings.iter().map(move |binding| (container.name.as_str(), binding))
            })
        };
        if let Some((name, binding)) = bindings().find(|(_, binding)| binding.host.port() == port) {
            let only = binding.host.ip();
            return Some(Cause {
                text: format!("port {port} of {} is published on {only} alone", self.readable(name)),
                line: self.line(self.causes.published(name, binding.container.port())),
                suggestion: format!("publish it without the address, or ask for {only}:{port} on the host"),
            });
        }
        let mut published: Vec<String> = bindings()
            .map(|(name, b)| format!("{} leads to {}", b.host.port(), self.readable(name)))
            .collect();
        published.sort();
        published.dedup();
        let inside = daemon.containers().find(|container| container.listens.iter().any(|l| l.port == port));
        let suggestion = match (inside, published.as_slice()) {
            (Some(container), _) => {
                format!("publish it: `ports: [\"{port}:{port}\"]` in {}", self.readable(&container.name))
            }
            (None, []) => "publish a port of a container with `ports:`".to_owned(),
            (None, list) => format!("ask for a published port: {}", list.join(", ")),
        };
        let line = inside.and_then(|container| self.causes.container(&container.name));
        Some(Cause {
            text: format!("no container publishes port {port}, and nothing on the host listens there"),
            line: self.line(line),
            suggestion,
        })
    }

    fn machine(&self, drop: &Drop, port: u16) -> Option<Cause> {
        let listen = self.causes.key(&["world", "machines", &drop.place, "listen"]);
        let line = listen.or_else(|| self.causes.key(&["world", "machines", &drop.place]));
        Some(Cause {
            text: format!("{} does not listen on {port}", drop.place),
            line: self.line(line),
            suggestion: format!("add {port} to the machine's `listen:`, or ask for another port"),
        })
    }

    fn no_neighbour(&self, drop: &Drop) -> Option<Cause> {
        let address = self.target_address()?;
        if let Some(cause) = self.vanished() {
            return Some(cause);
        }
        let daemon = self.world.daemon(self.host)?;
        let on_it = daemon
            .networks()
            .find(|network| network.subnets.iter().any(|s| s.pool.subnet().contains(&address)));
        let (text, line) = match on_it {
            Some(network) => (
                format!("no container on `{}` has the address {address}", self.network_key(&network.name)),
                self.network_line(&network.name),
            ),
            None => {
                (format!("nobody on the link of {} has the address that was asked for", drop.place), None)
            }
        };
        let suggestion =
            "ask for a name instead of an address: addresses change when containers start anew".to_owned();
        Some(Cause { text, line: self.line(line), suggestion })
    }

    /// A container of the address's network that does not run any more.
    fn vanished(&self) -> Option<Cause> {
        let address = self.target_address()?;
        let daemon = self.world.daemon(self.host)?;
        let mut networks = daemon.networks();
        let network = networks.find(|n| n.subnets.iter().any(|s| s.pool.subnet().contains(&address)))?;
        let mut gone = daemon.containers().filter(|container| {
            !container.state.is_up() && container.endpoints.iter().any(|e| e.network_name == network.name)
        });
        let (first, next) = (gone.next()?, gone.next());
        if next.is_some() { None } else { self.not_running(&first.name) }
    }

    /// A container whose hardware address is that of a group.
    fn group_address(&self) -> Option<Cause> {
        let target = self.target_container()?;
        let service = self.causes.service_of(&target)?;
        let line = self.causes.key(&["services", &service.name.value, "mac_address"])?;
        Some(Cause {
            text: format!(
                "{}'s hardware address is that of a group: its first byte is odd",
                self.readable(&target)
            ),
            line: self.line(Some(line)),
            suggestion: "take one with an even first byte, such as 02:42:ac:12:00:03, or none".to_owned(),
        })
    }

    /// Two containers with one hardware address.
    fn twins(&self) -> Option<Cause> {
        let (from, target) = (self.from.container()?, self.target_container()?);
        let daemon = self.world.daemon(self.host)?;
        let has = |container: &str| {
            let active =
                daemon.container(container).ok()?.endpoints.iter().find_map(|e| e.active.as_ref())?;
            active.mac
        };
        let mac = has(from).filter(|mac| has(&target) == Some(*mac))?;
        let service = self.causes.service_of(&target);
        let line = service.and_then(|s| self.causes.key(&["services", &s.name.value, "mac_address"]));
        Some(Cause {
            text: format!(
                "{} and {} have the same hardware address {mac}",
                self.readable(from),
                self.readable(&target)
            ),
            line: self.line(line.or_else(|| self.causes.container(&target))),
            suggestion: "take `mac_address` away, and each gets one of its own".to_owned(),
        })
    }

    /// A rule of somebody's own that translates.
    fn translation(&self) -> Option<Cause> {
        let hops = &self.explanation.decisive()?.hops;
        let own = hops.iter().rev().filter_map(|hop| hop.rule.as_ref()).find(|rule| !rule.docker)?;
        Some(Cause {
            text: "a rule that is not Docker's asks for a translation that cannot be made".to_owned(),
            line: self.line(self.causes.rule(&own.chain, &own.text)),
            suggestion: "let the rule choose among more ports, or remove it: Docker masquerades by itself"
                .to_owned(),
        })
    }

    /// Where a network is declared; Compose's default network need not be.
    fn network_line(&self, network: &str) -> Option<Span> {
        let implied =
            self.scenario.networks.iter().any(|declared| declared.name == network && declared.implicit);
        if implied { None } else { self.causes.network(network) }
    }

    /// Nothing could be sent at all.
    fn no_way_out(&self) -> Option<Cause> {
        let from = self.from.container()?;
        let name = self.readable(from);
        let networks = self.networks(from);
        if let Some(network) = self.only_internal() {
            return Some(self.internal(&name, &network));
        }
        let none = networks.is_empty() || networks.iter().all(|network| network == "none");
        if none {
            return Some(Cause {
                text: format!("{name} has no network but its loopback"),
                line: self.line(self.causes.networks_of(from)),
                suggestion: format!("connect {name} to a network"),
            });
        }
        let v6 = self.target_address().is_some_and(|address| address.is_ipv6());
        let first = networks.first()?;
        v6.then(|| Cause {
            text: format!("`{}` has no IPv6 addresses", self.network_key(first)),
            line: self.line(self.network_line(first)),
            suggestion: format!("say `networks: {{{}: {{enable_ipv6: true}}}}`", self.network_key(first)),
        })
    }

    fn no_route(&self, drop: &Drop) -> Option<Cause> {
        if let Some(cause) = self.no_way_out() {
            return Some(cause);
        }
        let line = if self.is_host(&drop.place) {
            let host = self.scenario.hosts.first()?;
            self.causes.key(&["hosts", &host.name.value, "routes"]).or(Some(host.name.span))
        } else {
            let routes = self.causes.key(&["world", "machines", &drop.place, "routes"]);
            routes.or_else(|| self.causes.key(&["world", "machines", &drop.place]))
        };
        Some(Cause {
            text: format!("{} has no route to {}", drop.place, self.explanation.attempt.target),
            line: self.line(line),
            suggestion: format!("give {} a `gateway:` or a route", drop.place),
        })
    }

    fn forwarding_off(&self, drop: &Drop) -> Option<Cause> {
        if !self.is_host(&drop.place) {
            return Some(Cause {
                text: format!("{} is no router: it does not pass packets on", drop.place),
                line: self.line(self.causes.key(&["world", "machines", &drop.place])),
                suggestion: "let the route lead to a machine that forwards".to_owned(),
            });
        }
        let name = self.scenario.hosts.first().map_or("host", |host| host.name.value.as_str());
        let daemon = self.causes.key(&["daemon", "ip-forward"]);
        let sysctl = self.causes.command(&["sysctl"]);
        let line = sysctl.or(daemon).or_else(|| self.causes.key(&["hosts", name, "ip_forward"]));
        Some(Cause {
            text: "the host does not forward packets, so its containers reach nothing beyond their network"
                .to_owned(),
            line: self.line(line),
            suggestion:
                "let Docker switch it on (`ip-forward: true`, as without it), or set net.ipv4.ip_forward=1"
                    .to_owned(),
        })
    }

    fn cut(&self) -> Option<Cause> {
        let (link, span) = self.causes.cut()?;
        Some(Cause {
            text: format!("the link {link} is cut"),
            line: self.line(Some(span)),
            suggestion: format!("heal it with `link up {link}`"),
        })
    }

    fn link(&self, key: &str, what: &str, suggestion: &str) -> Option<Cause> {
        let (link, span) = self.causes.link_setting(key).or_else(|| self.causes.link_setting("rate"))?;
        Some(Cause {
            text: format!("the link {link} {what}"),
            line: self.line(Some(span)),
            suggestion: suggestion.to_owned(),
        })
    }

    fn device_down(&self, drop: &Drop) -> Option<Cause> {
        let device = drop.device.clone()?;
        let words = ["link", "set", device.as_str(), "down"];
        let line = self.causes.command(&words);
        Some(Cause {
            text: format!("{device} of {} is down", drop.place),
            line: self.line(line),
            suggestion: format!("set it up again: `ip link set {device} up`"),
        })
    }

    fn too_big(&self, drop: &Drop) -> Option<Cause> {
        let device = drop.device.as_deref().unwrap_or_default();
        let bridged = self.world.daemon(self.host).and_then(|daemon| {
            let mut networks = daemon.networks();
            let has = |bridge: String| bridge == device;
            let network =
                networks.find(|n| n.bridge.as_ref().is_some_and(|bridge| has(bridge.to_string())))?;
            self.causes.network_setting(&network.name, &["driver_opts", MTU])
        });
        let card = self.causes.key(&["hosts", &drop.place, "nics", device, "mtu"]);
        let linked = || self.causes.link_setting("mtu").map(|(_, span)| span);
        let mut errors =
            self.explanation.passages.iter().filter(|passage| passage.summary.starts_with("ICMP"));
        let (unheard, allow) = if errors.any(|passage| matches!(passage.end, End::Dropped(_))) {
            (", and the ICMP error that says so does not come back", "let ICMP through, and ")
        } else {
            ("", "")
        };
        Some(Cause {
            text: format!("the packet is larger than the MTU of {device} of {}{unheard}", drop.place),
            line: self.line(bridged.or(card).or_else(linked)),
            suggestion: format!("{allow}give the network that MTU too: `driver_opts: {{{MTU}: ...}}`"),
        })
    }

    fn loop_of_routes(&self, drop: &Drop) -> Option<Cause> {
        let host = self.scenario.hosts.first().map(|host| host.name.value.as_str());
        let host = host.and_then(|name| self.causes.key(&["hosts", name, "routes"]));
        let machine = self.causes.key(&["world", "machines", &drop.place, "routes"]);
        let line = machine.or(host).or_else(|| self.causes.command(&["route", "add"]));
        Some(Cause {
            text: "the routes send the packet round in a circle".to_owned(),
            line: self.line(line),
            suggestion: "let one of the routers send it on to where it belongs".to_owned(),
        })
    }

    fn martian(&self) -> Option<Cause> {
        let line = self.causes.command(&["DNAT"]);
        line.map(|span| Cause {
            text: "packets from elsewhere may not be sent to a loopback address".to_owned(),
            line: self.line(Some(span)),
            suggestion: "translate to an address that is not 127.0.0.0/8".to_owned(),
        })
    }

    /// Packets arrived, and nothing came back.
    fn silent(&self) -> Option<Cause> {
        self.target_container().and_then(|target| self.not_running(&target)).or_else(|| self.cut())
    }

    fn not_running(&self, target: &str) -> Option<Cause> {
        let container = self.world.daemon(self.host)?.container(target).ok()?;
        let (name, state) = (self.readable(target), container.state.name());
        if state == "running" {
            return None;
        }
        let how = if state == "exited" {
            format!("it ended with status {}", container.exit_code)
        } else {
            format!("it is {state}")
        };
        let paused = self.causes.command(&["docker", "pause", target]);
        let line = paused.filter(|_| state == "paused").or_else(|| self.causes.stopped(target));
        let line = line.or_else(|| self.causes.container(target));
        Some(Cause {
            text: format!("{name} does not run: {how}"),
            line: self.line(line),
            suggestion: if state == "paused" {
                format!("let it go on: `docker unpause {target}`")
            } else {
                format!("start it, and see `docker logs {target}` if it ends again")
            },
        })
    }

    /// The networks of a container by their real names; of one that shares another's namespace, the other's.
    fn networks(&self, container: &str) -> Vec<String> {
        let Some(daemon) = self.world.daemon(self.host) else { return Vec::new() };
        let Ok(container) = daemon.container(container) else { return Vec::new() };
        container.endpoints.iter().map(|endpoint| endpoint.network_name.clone()).collect()
    }

    /// The network of the one who asks, if all its networks are internal.
    fn only_internal(&self) -> Option<String> {
        let networks = self.networks(self.from.container()?);
        let all = !networks.is_empty() && networks.iter().all(|network| self.is_internal(network));
        if all { networks.into_iter().next() } else { None }
    }

    fn is_internal(&self, network: &str) -> bool {
        let daemon = self.world.daemon(self.host);
        daemon.and_then(|daemon| daemon.network(network).ok()).is_some_and(|network| network.internal)
    }

    /// The container that a name in the question means, by key, name or alias.
    fn container_called(&self, name: &str) -> Option<String> {
        let service = self.scenario.service(name);
        let first = service.and_then(|service| self.scenario.container_names(service).into_iter().next());
        let daemon = self.world.daemon(self.host)?;
        let known = first.filter(|first| daemon.container(first).is_ok());
        let exact = || daemon.containers().find(|container| container.name == name).map(|c| c.name.clone());
        let aliased = || {
            let mut all = daemon.containers();
            let has = |alias: &String| alias == name;
            let found = all.find(|c| c.endpoints.iter().any(|e| e.config.aliases.iter().any(has)));
            found.map(|container| container.name.clone())
        };
        known.or_else(exact).or_else(aliased)
    }

    /// The container that was to be reached.
    fn target_container(&self) -> Option<String> {
        self.container_called(&self.explanation.attempt.target)
            .or_else(|| self.container_having(self.target_address()?, true))
    }

    fn target_address(&self) -> Option<IpAddr> {
        let attempt = &self.explanation.attempt;
        let looked_up = self.explanation.lookup.as_ref().and_then(|lookup| lookup.addresses.first().copied());
        looked_up.or_else(|| attempt.target.parse().ok())
    }

    fn container_having(&self, address: IpAddr, up: bool) -> Option<String> {
        let mut all = self.world.daemon(self.host)?.containers();
        let has = all.find(|container| {
            let active = container.endpoints.iter().filter_map(|endpoint| endpoint.active.as_ref());
            container.state.is_up() == up
                && active
                    .flat_map(|active| [active.ipv4, active.ipv6])
                    .flatten()
                    .any(|net| net.addr() == address)
        });
        has.map(|container| container.name.clone())
    }

    fn address_of(&self, container: &str) -> Option<IpAddr> {
        let location = Location::Container(self.host, container.to_owned());
        self.world.addresses(&location).ok()?.into_iter().next()
    }

    fn is_host(&self, place: &str) -> bool {
        place == self.scenario.hosts.first().map_or("host", |host| host.name.value.as_str())
    }

    /// A container as the file calls it.
    fn readable(&self, container: &str) -> String {
        match self.causes.service_of(container) {
            Some(service) if service.replicas == 1 => service.name.value.clone(),
            _ => container.to_owned(),
        }
    }

    /// A network as the file calls it.
    fn network_key(&self, name: &str) -> String {
        let declared = self.scenario.networks.iter().find(|network| network.name == name);
        declared.map_or(name, |network| network.key.value.as_str()).to_owned()
    }

    fn line(&self, span: Option<Span>) -> Option<SourceLine> {
        let (at, text) = self.causes.line(span?)?;
        Some(SourceLine {
            file: at.path.display().to_string(),
            line: at.line,
            column: at.column,
            text: text.to_owned(),
        })
    }
}

fn is_joinable(network: &str) -> bool {
    !matches!(network, "host" | "none")
}
