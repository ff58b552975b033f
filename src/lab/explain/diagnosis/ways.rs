//! Ways that end: no route, no neighbour, links that are cut, lossy, slow or narrow.

use std::net::IpAddr;

use super::{Facts, Location, MTU};
use crate::observe::explain::{Cause, Drop, End};

impl Facts<'_> {
    /// The neighbour table has a hardware address that nobody has any more.
    pub(super) fn stale_neighbour(&self) -> Option<Cause> {
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
    pub(super) fn broadcast(&self) -> Option<Cause> {
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

    pub(super) fn no_neighbour(&self, drop: &Drop) -> Option<Cause> {
        let address = self.target_address()?;
        let lost = || self.lost_gateway(&drop.place);
        if let Some(cause) = self.unplugged(address) {
            return Some(cause);
        }
        if let Some(cause) = self.vanished().or_else(|| self.behind_a_parent()).or_else(lost) {
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
    pub(super) fn vanished(&self) -> Option<Cause> {
        let address = self.target_address()?;
        let daemon = self.world.daemon(self.host)?;
        let mut networks = daemon.networks();
        let network = networks.find(|n| n.subnets.iter().any(|s| s.pool.subnet().contains(&address)))?;
        let mut gone = daemon.containers().filter(|container| {
            let mut endpoints = container.endpoints.iter().filter(|e| e.network_name == network.name);
            !container.state.is_up()
                && endpoints.any(|e| match if address.is_ipv4() { &e.config.ipv4 } else { &e.config.ipv6 } {
                    Some(fixed) => fixed.parse() == Ok(address),
                    None => self.was_given_out(&network.name, address),
                })
        });
        let (first, next) = (gone.next()?, gone.next());
        if next.is_some() { None } else { self.not_running(&first.name) }
    }

    /// Whether an address is among those that a network's containers have had if each got the lowest free one.
    fn was_given_out(&self, network: &str, address: IpAddr) -> bool {
        let Some(daemon) = self.world.daemon(self.host) else { return false };
        let Ok(network) = daemon.network(network) else { return false };
        let members = daemon
            .containers()
            .filter(|container| container.endpoints.iter().any(|e| e.network_name == network.name));
        let containers = members.count() as u128;
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let mut subnets = network.subnets.iter().map(|subnet| subnet.pool.subnet());
        subnets.find(|subnet| subnet.contains(&address)).is_some_and(|subnet| {
            // The gateway has the first.
            number(address) - number(subnet.network()) <= containers + 1
        })
    }

    /// Two containers with the address that was asked for.
    pub(super) fn duplicate_address(&self) -> Option<Cause> {
        let address = self.target_address()?;
        let target = self.container_having(address, true)?;
        let cards = |container: &str| {
            let location = Location::Container(self.host, container.to_owned());
            let own = self.world.holder(&location).is_ok_and(|holder| holder == location);
            self.world.card_addresses(&location).ok().filter(|_| own).unwrap_or_default()
        };
        let mut others = self.world.daemon(self.host)?.containers().filter(|c| c.name != target);
        let (other, (card, net)) = others.find_map(|other| {
            let mut cards = cards(&other.name).into_iter();
            Some((other, cards.find(|(_, net)| net.addr() == address)?))
        })?;
        let (written, bare) = (net.to_string(), address.to_string());
        let step = self.causes.command(&[&written]).or_else(|| self.causes.command(&[&bare]));
        let name = self.readable(&other.name);
        Some(Cause {
            text: format!(
                "{name} has the address {address} too, which Docker gave to {}",
                self.readable(&target)
            ),
            line: self.line(step.or_else(|| self.causes.container(&other.name))),
            suggestion: format!("take it from {name}: `ip addr del {net} dev {card}` there"),
        })
    }

    /// A network card whose hardware address is that of a group.
    pub(super) fn group_address(&self) -> Option<Cause> {
        let cards = self.scenario.hosts.iter().flat_map(|host| {
            host.nics.iter().map(|card| (host.name.value.as_str(), card.name.value.as_str(), card.mac))
        });
        let mut faulty = cards.filter(|(_, _, mac)| mac.is_some_and(|mac| mac.0[0] & 1 == 1));
        let (host, card, _) = faulty.next()?;
        let line = self.causes.key(&["hosts", host, "nics", card, "mac"])?;
        Some(Cause {
            text: format!(
                "the hardware address of {host}'s {card} is that of a group: its first byte is odd"
            ),
            line: self.line(Some(line)),
            suggestion: "take one with an even first byte, such as 02:00:00:00:00:03, or none".to_owned(),
        })
    }

    /// A step that took an interface down.
    pub(super) fn taken_down(&self) -> Option<Cause> {
        let line = self.causes.command(&["link", "set", "down"])?;
        Some(Cause {
            text: "a step took the interface down".to_owned(),
            line: self.line(Some(line)),
            suggestion: "bring it up again: `ip link set NAME up`".to_owned(),
        })
    }

    /// A step that added a route by which packets come back to where they were.
    pub(super) fn circle(&self) -> Option<Cause> {
        let line = self.causes.command(&["route", "add"])?;
        Some(Cause {
            text: "routes lead in a circle: who is asked next sends the packet back".to_owned(),
            line: self.line(Some(line)),
            suggestion: "let the last route end where the address is, or remove it".to_owned(),
        })
    }

    /// Two containers with one hardware address.
    pub(super) fn twins(&self) -> Option<Cause> {
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

    /// Nothing could be sent at all.
    pub(super) fn no_way_out(&self) -> Option<Cause> {
        let Some(from) = self.from.container() else {
            let from = &self.explanation.attempt.from;
            if let Some(cause) = self.lost_by_sender().filter(|_| self.explanation.drop.is_none()) {
                return Some(cause);
            }
            let Some(target) = self.target_container() else { return self.no_family(from) };
            return Some(Cause {
                text: format!(
                    "the addresses of containers are known on their host only: {from} has no route there"
                ),
                line: self.line(self.causes.container(&target)),
                suggestion: self.way_from_outside(&target),
            });
        };
        let name = self.readable(from);
        let networks = self.networks(from);
        if self.explanation.drop.is_none()
            && let Some(cause) = self.lost_by_sender()
        {
            return Some(cause);
        }
        if let Some(network) = self.only_internal() {
            return Some(self.internal(&name, &network));
        }
        let none = networks.is_empty() || networks.iter().all(|network| network == "none");
        if none {
            return Some(Cause {
                text: format!("{name} has no network but its loopback"),
                line: self.line(self.joined_by(from)),
                suggestion: match self.leave_none(from) {
                    Some(leave) => format!("{leave}, and put it on a network"),
                    None => format!("connect {name} to a network"),
                },
            });
        }
        let v6 = self.target_address().is_some_and(|address| address.is_ipv6());
        let first = networks.first()?;
        if v6 && networks.iter().any(|network| self.has_ipv6(network)) {
            return self.ipv6_off(from);
        }
        (v6 && !networks.iter().any(|network| self.has_ipv6(network))).then(|| Cause {
            text: format!("`{}` has no IPv6 addresses", self.network_key(first)),
            line: self.line(self.network_line(first)),
            suggestion: format!("say `networks: {{{}: {{enable_ipv6: true}}}}`", self.network_key(first)),
        })
    }

    /// A container on a network with IPv6 whose own settings leave it without.
    fn ipv6_off(&self, from: &str) -> Option<Cause> {
        if !self.world.without_ipv6(self.from) {
            return None;
        }
        let service = self.causes.service_of(from);
        let (name, set) = (self.readable(from), |(key, value): &&(String, String)| {
            key.starts_with("net.ipv6.conf.") && key.ends_with(".disable_ipv6") && value.trim() == "1"
        });
        let in_file = service.and_then(|service| {
            let at = service.sysctls.iter().position(|pair| set(&pair))?;
            let number = at.to_string();
            let mut keys = [service.sysctls[at].0.as_str(), number.as_str()].into_iter();
            keys.find_map(|key| self.causes.key(&["services", &service.name.value, "sysctls", key]))
        });
        let spot = self.now(from).map(|now| self.spot(from, &now.shared_by));
        let step = spot.and_then(|spot| {
            let words: [&[&str]; 2] = [
                &["sysctl", "net.ipv6.conf.all.disable_ipv6=1"],
                &["sysctl", "net.ipv6.conf.eth0.disable_ipv6=1"],
            ];
            self.last_done(&spot, &words).or_else(|| self.causes.wrote(&spot, "disable_ipv6"))
        });
        let instead = self.target_container().and_then(|target| {
            let address = self.address_of(&target).filter(IpAddr::is_ipv4)?;
            Some(format!(", or ask for {}'s IPv4 address, {address}", self.readable(&target)))
        });
        Some(Cause {
            text: format!("IPv6 is switched off in {name}, so it has no IPv6 address to send from"),
            line: self.line(step.or(in_file).or_else(|| self.causes.container(from))),
            suggestion: format!(
                "take the setting away: `net.ipv6.conf.all.disable_ipv6` is 0 without it{}",
                instead.unwrap_or_default()
            ),
        })
    }

    fn has_ipv6(&self, network: &str) -> bool {
        let network = self.world.daemon(self.host).and_then(|daemon| daemon.network(network).ok());
        network.is_some_and(|n| n.subnets.iter().any(|s| s.pool.subnet().network().is_ipv6()))
    }

    /// The host or a machine that was asked for an address of a family it has no address of, or has no route to.
    fn no_family(&self, from: &str) -> Option<Cause> {
        let target = self.target_address()?;
        let own = self.world.addresses(self.from).ok()?;
        if !self.explanation.passages.is_empty() || own.iter().any(|own| own.is_ipv6() == target.is_ipv6()) {
            return None;
        }
        let family = if target.is_ipv6() { "IPv6" } else { "IPv4" };
        let line = match self.from {
            Location::Machine(name) => self.causes.key(&["world", "machines", name]),
            Location::Host(_) => self.causes.key(&["hosts", from]),
            Location::Container(..) => None,
        };
        Some(Cause {
            text: format!("{from} has no {family} address, and so no way to {target}"),
            line: self.line(line),
            suggestion: format!("give {from} one with `addresses:`, and a route that leads to {target}"),
        })
    }

    pub(super) fn no_route(&self, drop: &Drop) -> Option<Cause> {
        if let Some(cause) = self.no_way_back(drop).or_else(|| self.no_way_out()) {
            return Some(cause);
        }
        let lost = || self.lost(&drop.place, self.target_address()?);
        if let Some(cause) = self.nobody_outside(drop).or_else(lost) {
            return Some(cause);
        }
        let line = if self.is_host(&drop.place) {
            let host = self.scenario.hosts.first();
            host.and_then(|host| {
                self.causes.key(&["hosts", &host.name.value, "routes"]).or(Some(host.name.span))
            })
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

    pub(super) fn forwarding_off(&self, drop: &Drop) -> Option<Cause> {
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

    pub(super) fn cut(&self) -> Option<Cause> {
        let (link, span) = self.causes.cut()?;
        Some(Cause {
            text: format!("the link {link} is cut"),
            line: self.line(Some(span)),
            suggestion: format!("heal it with `link up {link}`"),
        })
    }

    pub(super) fn link(&self, key: &str, what: &str, suggestion: &str) -> Option<Cause> {
        let (link, span) = self.causes.link_setting(key).or_else(|| self.causes.link_setting("rate"))?;
        Some(Cause {
            text: format!("the link {link} {what}"),
            line: self.line(Some(span)),
            suggestion: suggestion.to_owned(),
        })
    }

    pub(super) fn too_big(&self, drop: &Drop) -> Option<Cause> {
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
    /// A cable whose one end takes more than the other, by a step or from the start.
    pub(super) fn unequal_ends(&self, drop: &Drop) -> Option<Cause> {
        let device = drop.device.as_deref()?;
        let Some(line) = self.causes.command(&["link", "set", "mtu"]) else { return self.too_big(drop) };
        Some(Cause {
            text: format!(
                "a step gave one end of a veth another MTU than the other end has, {device} of {}; what is too long \
                 for that one is lost, and nobody is told",
                drop.place
            ),
            line: self.line(Some(line)),
            suggestion: format!(
                "take the step away, or give the whole network the MTU: `driver_opts: {{{MTU}: ...}}`"
            ),
        })
    }

    /// A packet came by another interface than the answer would leave by.
    pub(super) fn another_way_back(&self, drop: &Drop) -> Option<Cause> {
        let service = self.causes.service_of(&drop.place);
        let key = service.and_then(|service| self.causes.key(&["services", &service.name.value, "sysctls"]));
        let set = self.causes.command(&["sysctl"]);
        Some(Cause {
            text: format!(
                "the packet came by another interface than the one that {} would answer by, and rp_filter forbids that",
                drop.place
            ),
            line: self.line(set.or(key)),
            suggestion: "set rp_filter to 2 (any way back will do) or 0, or mend the routes".to_owned(),
        })
    }
}
