//! From a verdict to the line of the scenario that made it so, and what to do about it.
//!
//! The verdict says what happened to packets; why the networks are as they are stands in the daemon's state and in the
//! file. A cause is named only where the state bears it out: two containers without a common network, a network that
//! is internal, a port that nothing listens on. Where none fits, the explanation stands without one.

mod children;
mod floods;
mod names;
mod ports;
mod routes;
mod rules;
mod servers;
mod steps;
mod ways;

use std::net::IpAddr;

pub(super) use servers::{Answer, last_answer};

use super::{HostId, Location, Scenario, World};
use crate::observe::explain::{Cause, Drop, DropReason, Explanation, Outcome, SourceLine};
use crate::scenario::Span;
use crate::scenario::causes::Causes;

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
    let holder = world.holder(from).unwrap_or_else(|_| from.clone());
    let facts = Facts { world, host, scenario, causes, asker: from, from: &holder, explanation };
    facts.diagnose()
}

struct Facts<'a> {
    world: &'a World,
    host: HostId,
    scenario: &'a Scenario,
    causes: Causes<'a>,
    /// Who asks.
    asker: &'a Location,
    /// Whose namespace the one who asks is in: that of networks, rules and drops.
    from: &'a Location,
    explanation: &'a Explanation,
}

impl Facts<'_> {
    fn diagnose(&self) -> Option<Cause> {
        match self.explanation.outcome {
            Outcome::Reached(_) if self.explanation.silent => self.taken_and_left(),
            Outcome::Reached(_) => None,
            Outcome::Unresolved => self.unresolved(),
            Outcome::Closed => self.behind_proxy(),
            Outcome::Refused | Outcome::TimedOut | Outcome::Unreachable | Outcome::NoAnswer => {
                let root = self.explanation.root();
                let circles = root.is_some_and(|drop| drop.reason == DropReason::TtlExceeded);
                let by_hand = || {
                    self.nobody_in_particular().or_else(|| self.wrong_hosts_entry()).or_else(|| self.misled())
                };
                let by_hand = self.duplicate_address().or_else(|| if circles { None } else { by_hand() });
                match root {
                    _ if by_hand.is_some() => by_hand,
                    Some(drop) => self.dropped(drop),
                    None if self.explanation.passages.is_empty() => self.no_way_out(),
                    None => self.silent(),
                }
            }
        }
    }

    fn dropped(&self, drop: &Drop) -> Option<Cause> {
        match drop.reason {
            DropReason::Filtered | DropReason::Rejected => self.filtered(drop, drop.rule.as_ref()?),
            DropReason::NoSocket if self.is_of_an_answer(drop) => self.not_translated_back(),
            DropReason::NoSocket => self.no_socket(drop),
            DropReason::BacklogFull | DropReason::ReceiveBufferFull => {
                let stopped = self.target_container().and_then(|target| self.not_running(&target));
                let full =
                    || (drop.reason == DropReason::BacklogFull).then(|| self.half_open(drop)).flatten();
                stopped.or_else(full)
            }
            DropReason::Fragment => self.no_room_for_pieces(drop),
            DropReason::NeighbourQueueFull => self.no_neighbour(drop),
            DropReason::OtherHost => self.stale_neighbour(),
            DropReason::NotForUs => self.broadcast(),
            DropReason::NeighbourFailed => self.cut().or_else(|| self.no_neighbour(drop)),
            DropReason::ChildIsolated => self.behind_a_parent(),
            DropReason::NoRoute => self.no_route(drop),
            DropReason::ForwardingOff => self.forwarding_off(drop),
            DropReason::LinkCut => self.cut(),
            DropReason::LinkLoss => self.link("loss", "loses packets", "take `loss` away, or try again"),
            DropReason::LinkQueueFull => {
                self.link("queue", "has a short queue", "raise `queue` or `rate`, or send less at once")
            }
            DropReason::FragmentationNeeded => self.too_big(drop),
            DropReason::ExceedsMtu => self.unequal_ends(drop),
            DropReason::Martian => self.martian(),
            DropReason::LocalSource => self.led_back(drop),
            DropReason::ReversePath => self.another_way_back(drop),
            DropReason::BridgeNoPort => self.vanished().or_else(|| self.taken_down()),
            DropReason::BridgeBadSource => self.group_address(),
            DropReason::BridgeSamePort => self.twins(),
            DropReason::DeviceDown => self.taken_down(),
            DropReason::TtlExceeded => {
                let own = self.target_address().and_then(|to| self.misrouted(&drop.place, to));
                own.or_else(|| self.circle())
            }
            DropReason::NoFreePort => self.translation(
                "let the rule choose among more ports, or remove it: Docker masquerades by itself",
            ),
            DropReason::Untranslatable => self.translation(
                "name an address to translate to: the interface that the packet came by has none",
            ),
            DropReason::BadFrame
            | DropReason::BadPacket
            | DropReason::BadChecksum
            | DropReason::NoCarrier
            | DropReason::UnknownEtherType
            | DropReason::BridgeIsolated
            | DropReason::BridgeReserved
            | DropReason::ConnectionTableFull
            | DropReason::NeighbourTableFull
            | DropReason::Ipv6Disabled
            | DropReason::NoProtocol
            | DropReason::Gone => None,
        }
    }

    /// Where a network is declared; Compose's default network need not be.
    fn network_line(&self, network: &str) -> Option<Span> {
        let implied =
            self.scenario.networks.iter().any(|declared| declared.name == network && declared.implicit);
        if implied { None } else { self.causes.network(network) }
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
        if let Some((address, holder)) =
            self.world.daemon(self.host).and_then(|daemon| daemon.taken_address(container))
        {
            let holder = self.readable(&holder.name);
            return Some(Cause {
                text: format!("{name} does not run: it asks for {address}, which {holder} has"),
                line: self.line(self.causes.container(target)),
                suggestion: format!(
                    "start {name} before {holder}, or keep the address out of what is handed out, with `ip_range`"
                ),
            });
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
        let Ok(container) = daemon.container(self.shares(container).as_deref().unwrap_or(container)) else {
            return Vec::new();
        };
        container.endpoints.iter().map(|endpoint| endpoint.network_name.clone()).collect()
    }

    /// The container whose namespace another shares; `None` where it has its own, or the host's.
    fn shares(&self, container: &str) -> Option<String> {
        let location = Location::Container(self.host, container.to_owned());
        let holder = self.world.holder(&location).ok()?;
        holder.container().filter(|holder| *holder != container).map(str::to_owned)
    }

    /// Where a container's namespace takes connections of others, whichever container's program listens: the numbers, and
    /// the ports as Docker writes them.
    fn listens(&self, container: &str) -> Vec<(u16, String)> {
        let ports = self.world.listening(self.host, container).into_iter();
        ports.map(|listen| (listen.port, listen.to_string())).collect()
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
