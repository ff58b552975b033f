//! Ports that nothing listens on: in a container, behind a published port, on the host, on a machine outside.

use std::net::{IpAddr, SocketAddr};

use super::Facts;
use crate::observe::explain::{Cause, Drop, End, Part, Protocol};
use crate::scenario::causes::Spot;

impl Facts<'_> {
    /// Nothing listens.
    pub(super) fn no_socket(&self, drop: &Drop) -> Option<Cause> {
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
        let listens: Vec<String> = self.listens(&container.name).into_iter().map(|(_, text)| text).collect();
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
        let word = attempt.protocol.word();
        let mut inside = self.world.listening_inside(self.host, &container.name).into_iter();
        if inside.any(|listen| listen.to_string() == format!("{port}/{word}")) {
            return Some(Cause {
                text: format!("{name} listens on {port} on its loopback alone, where nobody else comes"),
                line: self.line(self.causes.container(&container.name)),
                suggestion: format!("let the program listen on 0.0.0.0:{port}, or on {name}'s own address"),
            });
        }
        if let Some(cause) = self.ended_by_step(&container.name, port) {
            return Some(cause);
        }
        let service = self.causes.service_of(&container.name);
        let image = service.and_then(|s| self.causes.key(&["services", &s.name.value, "image"]));
        // TCP needs no mention unless the number alone would not tell the two apart.
        let suffix = format!("/{}", attempt.protocol.word());
        let twin = listens.iter().any(|listen| listen.split('/').next() == Some(port.to_string().as_str()));
        let wanted = match attempt.protocol {
            Protocol::Tcp if !twin => port.to_string(),
            Protocol::Tcp | Protocol::Udp | Protocol::Icmp => format!("{port}{suffix}"),
        };
        let text = match listens.as_slice() {
            [] => format!("nothing listens in {name}"),
            list => format!("{name} listens on {}, not on {wanted}", list.join(" and ")),
        };
        let alike = listens.iter().find_map(|listen| listen.strip_suffix(&suffix));
        let suggestion = match alike.or(listens.first().map(String::as_str)) {
            Some(other) => {
                format!("ask for port {other}, or say `expose: [\"{wanted}\"]` if {name} does listen there")
            }
            None => format!("say what {name} listens on: `expose: [\"{wanted}\"]`, or `images:`"),
        };
        let said = self.world.listening(self.host, &container.name).into_iter();
        let said = said.filter_map(|listen| self.causes.listens(service?, listen.port)).next();
        let line = said.or(image).or_else(|| self.causes.container(&container.name));
        Some(Cause { text, line: self.line(line), suggestion })
    }

    /// Where a port of a container is published: for everybody if it is anywhere.
    pub(super) fn binding_of(&self, container: &str, port: u16) -> Option<SocketAddr> {
        let container = self.world.daemon(self.host)?.container(container).ok()?;
        let at = || container.bindings.iter().filter(|binding| binding.container.port() == port);
        let open = at().find(|binding| binding.host.ip().is_unspecified());
        open.or_else(|| at().next()).map(|binding| binding.host)
    }

    /// What makes a container's port reachable from outside: published, if one of its networks publishes at all.
    pub(super) fn publish(&self, container: &str, port: u16) -> String {
        let name = self.readable(container);
        let networks = self.networks(container);
        if let Some(leave) = self.leave_none(container) {
            return format!("{leave}, and publish it: `ports: [\"{port}:{port}\"]`");
        }
        if networks.is_empty() || !networks.iter().all(|network| self.is_internal(network)) {
            return format!("publish it: `ports: [\"{port}:{port}\"]` in {name}");
        }
        format!(
            "nothing is published on an internal network: put {name} on one that is not internal too and publish {port}, or go \
             through a container that is on {} and on another",
            self.keys(&networks)
        )
    }

    pub(super) fn wrong_target(&self, name: &str, container: &str, port: u16, listens: &[String]) -> Cause {
        let list = if listens.is_empty() { "nothing".to_owned() } else { listens.join(" and ") };
        Cause {
            text: format!("the published port leads to port {port} of {name}, which listens on {list}"),
            line: self.line(self.causes.published(container, port)),
            suggestion: "publish the port that the program listens on: HOST:CONTAINER".to_owned(),
        }
    }

    /// The userland proxy took the connection and could not pass it on.
    pub(super) fn behind_proxy(&self) -> Option<Cause> {
        let mut relays = self.explanation.passages.iter().filter(|passage| passage.part == Part::Relay);
        let drop = relays.find_map(|passage| match &passage.end {
            End::Dropped(drop) => Some(drop),
            End::Delivered { .. } | End::Unfinished => None,
        })?;
        self.leads_nowhere(&drop.place)
    }

    /// A connection that a kernel took and no program speaks on: the container is paused, or dockerd holds a published
    /// port that no rule and no proxy leads on from.
    pub(super) fn taken_and_left(&self) -> Option<Cause> {
        let daemon = self.world.daemon(self.host)?;
        let taker = self.explanation.passages.iter().find_map(|passage| match &passage.end {
            End::Delivered { place } if passage.part == Part::Request => Some(place.as_str()),
            End::Delivered { .. } | End::Dropped(_) | End::Unfinished => None,
        })?;
        if daemon.container(taker).is_ok() {
            return self.not_running(taker);
        }
        let port = self.explanation.attempt.port.filter(|_| self.is_host(taker))?;
        let settings = &self.scenario.daemon.config;
        if settings.userland_proxy {
            return None;
        }
        let mut bindings = daemon.containers().flat_map(|c| c.bindings.iter().map(move |b| (c, b)));
        let (container, _) = bindings.find(|(_, binding)| binding.host.port() == port)?;
        if settings.iptables {
            let words: [&[&str]; 3] = [&["nat", "-F"], &["nat", "--flush"], &["nat", "-D", "DOCKER"]];
            let step = self.last_done(&Spot::host(self.host_name()), &words)?;
            return Some(Cause {
                text: format!(
                    "dockerd holds port {port} for {}, but a step removed the rule that leads there, and there is no \
                     userland proxy",
                    self.readable(&container.name)
                ),
                line: self.line(Some(step)),
                suggestion: "leave Docker's rules alone: `daemon restart` makes them anew".to_owned(),
            });
        }
        Some(Cause {
            text: format!(
                "dockerd holds port {port} for {}, but without rules (`iptables: false`) and without the userland proxy \
                 nothing leads there",
                self.readable(&container.name)
            ),
            line: self.line(self.causes.key(&["daemon", "iptables"])),
            suggestion: "let one of the two be: take `iptables: false` or `userland-proxy: false` away"
                .to_owned(),
        })
    }

    /// A published port that leads to a port of a container where nothing listens.
    pub(super) fn leads_nowhere(&self, place: &str) -> Option<Cause> {
        let container = self.world.daemon(self.host)?.container(place).ok()?;
        let port = self.explanation.attempt.port?;
        let binding = container.bindings.iter().find(|binding| binding.host.port() == port)?;
        let target = binding.container.port();
        let listens = self.listens(&container.name);
        if listens.iter().any(|(port, _)| *port == target) {
            return None;
        }
        let listens: Vec<String> = listens.into_iter().map(|(_, text)| text).collect();
        Some(self.wrong_target(&self.readable(place), place, target, &listens))
    }

    /// The host has nothing on a port.
    pub(super) fn not_published(&self, port: u16) -> Option<Cause> {
        let daemon = self.world.daemon(self.host)?;
        let bindings = || {
            daemon.containers().flat_map(|container| {
                container.bindings.iter().map(move |binding| (container.name.as_str(), binding))
            })
        };
        if let Some((name, binding)) = bindings().find(|(_, binding)| binding.host.port() == port) {
            let only = binding.host.ip();
            let without_proxy = !self.scenario.daemon.config.userland_proxy && only.is_unspecified();
            if let (true, Some(line)) = (without_proxy, self.causes.key(&["daemon", "userland-proxy"])) {
                return Some(Cause {
                    text: format!(
                        "port {port} of {} is published by rules for {} alone, and without the userland proxy nothing \
                         else takes it",
                        self.readable(name),
                        if only.is_ipv4() { "IPv4" } else { "IPv6" },
                    ),
                    line: self.line(Some(line)),
                    suggestion: format!(
                        "let the proxy be (`userland-proxy: true`, as without the key), or ask for {} on the host",
                        if only.is_ipv4() { format!("127.0.0.1:{port}") } else { format!("[::1]:{port}") }
                    ),
                });
            }
            return Some(Cause {
                text: format!("port {port} of {} is published on {only} alone", self.readable(name)),
                line: self.line(self.causes.published(name, binding.container.port())),
                suggestion: format!("publish it without the address, or ask for {only}:{port} on the host"),
            });
        }
        if let Some(cause) = self.not_in_effect(port) {
            return Some(cause);
        }
        if let Some((name, binding)) = bindings().find(|(_, binding)| binding.container.port() == port) {
            let (readable, at) = (self.readable(name), binding.host.port());
            return Some(Cause {
                text: format!(
                    "port {port} of {readable} is published as port {at} of the host, not as {port}"
                ),
                line: self.line(self.causes.published(name, port)),
                suggestion: format!("ask for port {at}, or publish it as `\"{port}:{port}\"`"),
            });
        }
        let mut published: Vec<String> = bindings()
            .map(|(name, b)| format!("{} leads to {}", b.host.port(), self.readable(name)))
            .collect();
        published.sort();
        published.dedup();
        let inside = daemon.containers().find(|container| {
            // Ports of a shared namespace are published by the container that it belongs to.
            self.shares(&container.name).is_none()
                && self.listens(&container.name).iter().any(|(listen, _)| *listen == port)
        });
        let suggestion = match (inside, published.as_slice()) {
            (Some(container), _) => self.publish(&container.name, port),
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

    /// A container asks for the port and has it not, because of where it is.
    fn not_in_effect(&self, port: u16) -> Option<Cause> {
        let mut all = self.world.daemon(self.host)?.containers();
        let (container, target) = all.find_map(|c| Some((c, c.asks_in_vain(port)?)))?;
        let name = self.readable(&container.name);
        let networks = self.networks(&container.name);
        let (why, suggestion) = match networks.as_slice() {
            [only] if only == "host" => (
                format!("{name} is in the host's network, where published ports are discarded"),
                "ask for the port that its program listens on".to_owned(),
            ),
            [] => (format!("{name} is on no network"), format!("connect {name} to a bridge network again")),
            [only] if only == "none" => (
                format!("{name} has no network"),
                format!("connect {name} to a bridge network that is not internal"),
            ),
            list if list.iter().all(|network| self.is_internal(network)) => (
                format!("every network of {name} is internal: {}", self.keys(list)),
                format!(
                    "connect {name} to a network that is not internal too, or take `internal: true` away"
                ),
            ),
            list => (
                format!("no network of {name} publishes ports: {}", self.keys(list)),
                format!("connect {name} to a bridge network; on others its own address is reached directly"),
            ),
        };
        let setting =
            networks.first().and_then(|network| self.causes.network_setting(network, &["internal"]));
        let disconnected = networks.is_empty().then(|| self.causes.networks_of(&container.name)).flatten();
        let published = || self.causes.published(&container.name, target);
        Some(Cause {
            text: format!("{name} asks for port {port}, but nothing is published: {why}"),
            line: self.line(setting.or(disconnected).or_else(published)),
            suggestion,
        })
    }

    fn keys(&self, networks: &[String]) -> String {
        networks.iter().map(|n| format!("`{}`", self.network_key(n))).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn machine(&self, drop: &Drop, port: u16) -> Option<Cause> {
        let listen = self.causes.key(&["world", "machines", &drop.place, "listen"]);
        let line = listen.or_else(|| self.causes.key(&["world", "machines", &drop.place]));
        Some(Cause {
            text: format!("{} does not listen on {port}", drop.place),
            line: self.line(line),
            suggestion: format!("add {port} to the machine's `listen:`, or ask for another port"),
        })
    }
}
