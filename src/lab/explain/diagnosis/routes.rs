//! Routes that are gone: what a place's devices and routes are now, against what Docker and the file gave it, and the
//! step that took them away.
//!
//! Only the state decides: a step is named where the device is down, the address gone or the route missing now, and never
//! because its words look like it.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{Facts, Location};
use crate::observe::explain::{Cause, Drop, End, Part, Passage, Protocol};
use crate::scenario::Span;
use crate::scenario::causes::Spot;
use crate::scenario::docker_host;
use crate::world::tables::Tables;

/// The driver option by which the sources of packets that leave a network become the host's.
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

/// What a place was given to reach others by.
#[derive(Default)]
pub(super) struct Given {
    /// The devices' names, where they are known, and their addresses.
    addresses: Vec<(Option<String>, IpNet)>,
    pub(super) gateways: Vec<IpAddr>,
}

/// Whether a place has an address.
fn has_address(now: &Tables, address: IpAddr) -> bool {
    now.interfaces.iter().flat_map(|card| &card.addresses).any(|view| view.address.addr() == address)
}

/// Whether a place has a default route.
fn has_default(now: &Tables, v6: bool) -> bool {
    let default = |net: &IpNet| net.prefix_len() == 0 && net.addr().is_ipv6() == v6;
    now.routes.iter().any(|route| default(&route.destination))
}

impl Facts<'_> {
    /// A place that has lost what led to an address: a device is down, an address or a route is gone.
    pub(super) fn lost(&self, place: &str, to: IpAddr) -> Option<Cause> {
        let now = self.now(place)?;
        if now.routes.iter().any(|route| route.destination.contains(&to)) {
            return None;
        }
        let given = self.given(place);
        let name = self.readable(place);
        let spot = self.spot(place, &now.shared_by);
        let near = |net: &IpNet| net.contains(&to);
        let on_link = given.addresses.iter().any(|(_, net)| near(net));
        let gateway = given.gateways.iter().find(|gateway| gateway.is_ipv6() == to.is_ipv6()).copied();
        // The device that leads there: the address is on its link, or its gateway is.
        let leads = |net: &IpNet| {
            if on_link { near(net) } else { gateway.is_some_and(|gateway| net.contains(&gateway)) }
        };
        let again = match gateway {
            Some(gateway) if !on_link => format!(" and `ip route add default via {gateway}`"),
            Some(_) | None => String::new(),
        };
        let mut down = now.interfaces.iter().filter(|card| !card.up);
        if let Some(card) = down.find(|card| card.addresses.iter().any(|view| leads(&view.address))) {
            let card = &card.name;
            return Some(Cause {
                text: format!(
                    "{card} of {name} is down, and the routes by it went with it: no route to {to}"
                ),
                line: self.line(self.last_done(&spot, &[&["down", card]])),
                suggestion: format!("bring it up again in {name}: `ip link set {card} up`{again}"),
            });
        }
        let mut gone = given.addresses.iter().filter(|(_, net)| leads(net) && !has_address(&now, net.addr()));
        if let Some((card, net)) = gone.next() {
            let card = card.as_deref().unwrap_or("DEVICE");
            let written = net.to_string();
            let words: [&[&str]; 4] =
                [&["flush", card], &["addr", "flush"], &["del", written.as_str()], &["addr", "del"]];
            return Some(Cause {
                text: format!("{name} does not have its address {net} any more, and so no route to {to}"),
                line: self.line(self.last_done(&spot, &words)),
                suggestion: format!("give it back in {name}: `ip addr add {net} dev {card}`{again}"),
            });
        }
        if on_link {
            let (card, net) = given.addresses.iter().find(|(_, net)| near(net))?;
            let card = card.as_deref().unwrap_or("DEVICE");
            return Some(Cause {
                text: format!("{name} has no route to {} any more, the network of its {card}", net.trunc()),
                line: self.line(self.last_done(&spot, &[&["route", "del"], &["route", "flush"]])),
                suggestion: format!("put it back in {name}: `ip route add {} dev {card}`", net.trunc()),
            });
        }
        let gateway = gateway.filter(|_| !has_default(&now, to.is_ipv6()))?;
        let words: [&[&str]; 4] = [
            &["route", "del", "default"],
            &["route", "del", "0.0.0.0/0"],
            &["route", "flush"],
            &["link", "down"],
        ];
        Some(Cause {
            text: format!("{name} has no default route any more, and so no route to {to}"),
            line: self.line(self.last_done(&spot, &words)),
            suggestion: format!("put it back in {name}: `ip route add default via {gateway}`"),
        })
    }

    /// A container that runs and that Docker gave an address, and that cannot be reached by it: its device is down, or the
    /// address gone from it.
    pub(super) fn unplugged(&self, address: IpAddr) -> Option<Cause> {
        let container = self.container_having(address, true)?;
        let holder = self.shares(&container).unwrap_or(container);
        let (now, given) = (self.now(&holder)?, self.given(&holder));
        let (card, net) = given.addresses.into_iter().find(|(_, net)| net.addr() == address)?;
        let card = card?;
        let (name, spot) = (self.readable(&holder), self.spot(&holder, &now.shared_by));
        if now.interfaces.iter().any(|view| view.name == card && !view.up) {
            return Some(Cause {
                text: format!("{card} of {name}, which has the address {address}, is down"),
                line: self.line(self.last_done(&spot, &[&["down", &card]])),
                suggestion: format!("bring it up again in {name}: `ip link set {card} up`"),
            });
        }
        if has_address(&now, address) {
            return None;
        }
        let written = net.to_string();
        let words: [&[&str]; 3] = [&["flush", &card], &["addr", "flush"], &["addr", "del", &written]];
        Some(Cause {
            text: format!("{name} does not have its address {net} any more, and nobody else answers for it"),
            line: self.line(self.last_done(&spot, &words)),
            suggestion: format!("give it back in {name}: `ip addr add {net} dev {card}`"),
        })
    }

    /// An answer that finds no way to where the question came from.
    pub(super) fn no_way_back(&self, drop: &Drop) -> Option<Cause> {
        let ended = |passage: &&Passage| matches!(&passage.end, End::Dropped(found) if found == drop);
        let passage = self.explanation.passages.iter().find(ended)?;
        if passage.part != Part::Answer {
            return None;
        }
        let to = destination(passage)?;
        let Some(container) = self.container_having(to, true) else {
            return self.lost(&drop.place, to).or_else(|| {
                Some(Cause {
                    text: format!("{} has no route back to {to}", self.readable(&drop.place)),
                    line: self.line(self.causes.key(&["world", "machines", &drop.place])),
                    suggestion: format!("give {} a route that leads to {to}", self.readable(&drop.place)),
                })
            });
        };
        if self.is_host(&drop.place) || self.world.daemon(self.host)?.container(&drop.place).is_ok() {
            return self.lost(&drop.place, to);
        }
        let network = self.network_with(to);
        let off = network.as_ref().and_then(|network| {
            let daemon = self.world.daemon(self.host)?;
            let options = &daemon.network(network).ok()?.options;
            options.get(MASQUERADE).filter(|value| *value == "false")?;
            self.causes.network_setting(network, &["driver_opts", MASQUERADE])
        });
        let off = off.or_else(|| self.daemon_without(network.as_deref()));
        let host = Spot::host(self.host_name());
        let words: [&[&str]; 5] = [
            &["iptables", "nat", "-F"],
            &["iptables", "nat", "--flush"],
            &["iptables", "nat", "-D"],
            &["iptables", "nat", "--delete"],
            &["iptables", "nat", "-R"],
        ];
        let step = self.last_done(&host, &words);
        let (place, from) = (&drop.place, self.readable(&container));
        let bridge = network.as_ref().and_then(|network| self.bridge_of(network, to));
        let suggestion = match (&off, &bridge) {
            (None, Some((bridge, subnet))) => {
                let alone = if step.is_some() {
                    "leave Docker's rules alone".to_owned()
                } else {
                    format!("give {place} a route to {subnet} by the host")
                };
                format!(
                    "{alone}, or masquerade: `iptables -t nat -A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE`"
                )
            }
            (Some(_), _) => {
                format!("take the setting away, or give {place} a route to {from}'s network by the host")
            }
            (None, None) => format!("give {place} a route to {from}'s network"),
        };
        Some(Cause {
            text: format!(
                "the answer has no way back: the packet left the host with {from}'s own address {to}, not masqueraded, \
                 and {place} knows no way there"
            ),
            line: self.line(off.or(step)),
            suggestion,
        })
    }

    /// The key by which dockerd makes no rules, or does not masquerade for its default network.
    fn daemon_without(&self, network: Option<&str>) -> Option<Span> {
        let daemon = &self.scenario.daemon.config;
        let key = match (daemon.iptables, daemon.ip_masq) {
            (false, _) => "iptables",
            (_, false) if network == Some("bridge") => "ip-masq",
            _ => return None,
        };
        self.causes.key(&["daemon", key])
    }

    /// An address that nobody in the world has, asked for outside.
    pub(super) fn nobody_outside(&self, drop: &Drop) -> Option<Cause> {
        let address = self.target_address()?;
        let outside = self.world.machines().any(|machine| machine == drop.place);
        if !outside || self.world.address_owner(address).is_some() {
            return None;
        }
        let listen = self.explanation.attempt.port.map(|port| match self.explanation.attempt.protocol {
            Protocol::Udp => format!(", listen: [{port}/udp]"),
            Protocol::Tcp | Protocol::Icmp => format!(", listen: [{port}]"),
        });
        Some(Cause {
            text: format!("no machine of `world:` has the address {address}, nor does anybody else here"),
            line: self.line(self.causes.key(&["world", "machines"])),
            suggestion: format!(
                "add one that has: `world: {{machines: {{NAME: {{address: \"{address}\"{}}}}}}}`",
                listen.unwrap_or_default()
            ),
        })
    }

    /// The gateway that a place's route leads by, if nobody has its address.
    pub(super) fn lost_gateway(&self, place: &str) -> Option<Cause> {
        let to = self.target_address()?;
        let now = self.now(place)?;
        let leading = now.routes.iter().filter(|route| route.destination.contains(&to));
        let gateway = leading.max_by_key(|route| route.destination.prefix_len())?.gateway?;
        if self.holds(gateway) {
            return None;
        }
        let name = self.readable(place);
        let Some(network) = self.network_with(gateway) else {
            return Some(Cause {
                text: format!("nobody has the address of {name}'s gateway, {gateway}"),
                line: None,
                suggestion: format!(
                    "give {name} another `gateway:`, or somebody on its link the address {gateway}"
                ),
            });
        };
        let host = Spot::host(self.host_name());
        let step = self.last_done(&host, &[&["addr", "del"], &["addr", "flush"]]);
        let key = self.network_key(&network);
        let (bridge, subnet) = self.bridge_of(&network, gateway)?;
        Some(Cause {
            text: format!(
                "the gateway of `{key}`, {gateway}, is gone: nobody on {name}'s link has that address"
            ),
            line: self.line(step),
            suggestion: format!(
                "give it back to the host: `ip addr add {gateway}/{} dev {bridge}`",
                subnet.prefix_len()
            ),
        })
    }

    /// Whether an interface of anybody has an address.
    fn holds(&self, address: IpAddr) -> bool {
        self.world.tables().iter().any(|table| has_address(table, address))
    }

    /// The network whose subnet has an address.
    fn network_with(&self, address: IpAddr) -> Option<String> {
        let mut networks = self.world.daemon(self.host)?.networks();
        let network = networks.find(|n| n.subnets.iter().any(|s| s.pool.subnet().contains(&address)))?;
        Some(network.name.clone())
    }

    /// The bridge of a network, and its subnet that has an address.
    fn bridge_of(&self, network: &str, address: IpAddr) -> Option<(String, IpNet)> {
        let network = self.world.daemon(self.host)?.network(network).ok()?;
        let mut subnets = network.subnets.iter().map(|subnet| subnet.pool.subnet());
        let subnet = subnets.find(|subnet| subnet.contains(&address))?;
        Some((network.bridge.as_ref()?.to_string(), subnet))
    }

    /// What a place is now.
    pub(super) fn now(&self, place: &str) -> Option<Tables> {
        self.world.tables().into_iter().find(|table| table.name == place)
    }

    /// What Docker gave a container, and the file a host.
    pub(super) fn given(&self, place: &str) -> Given {
        let mut given = Given::default();
        let container = self.world.daemon(self.host).and_then(|daemon| daemon.container(place).ok());
        for active in
            container.iter().flat_map(|c| &c.endpoints).filter_map(|endpoint| endpoint.active.as_ref())
        {
            let device = active.device.as_ref().map(ToString::to_string);
            given
                .addresses
                .extend([active.ipv4, active.ipv6].into_iter().flatten().map(|net| (device.clone(), net)));
            given.gateways.extend([active.gateway_v4, active.gateway_v6].into_iter().flatten());
        }
        if self.is_host(place) {
            let host = docker_host(self.scenario);
            for card in host.nics {
                given.addresses.extend(card.addresses.into_iter().map(|net| (Some(card.name.clone()), net)));
            }
            let default = host.routes.iter().filter(|route| route.destination.prefix_len() == 0);
            given.gateways.extend(default.map(|route| route.gateway));
        }
        given
    }

    /// Where steps name a place.
    pub(super) fn spot(&self, place: &str, shared_by: &[String]) -> Spot {
        if self.is_host(place) {
            return Spot::host(place);
        }
        let known = self.world.daemon(self.host).is_some_and(|daemon| daemon.container(place).is_ok());
        if !known {
            return Spot::Machine(place.to_owned());
        }
        Spot::Containers([place.to_owned()].into_iter().chain(shared_by.iter().cloned()).collect())
    }

    pub(super) fn host_name(&self) -> &str {
        self.scenario.hosts.first().map_or("host", |host| host.name.value.as_str())
    }

    /// The last step that did any of these in a place.
    pub(super) fn last_done(&self, spot: &Spot, any: &[&[&str]]) -> Option<Span> {
        any.iter().filter_map(|words| self.causes.done_in(spot, words)).max_by_key(|span| span.start)
    }

    /// Whether the place that asks is a container that lost what led to the target.
    pub(super) fn lost_by_sender(&self) -> Option<Cause> {
        match self.from {
            Location::Container(..) | Location::Host(_) => {
                self.lost(&self.explanation.attempt.namespace, self.target_address()?)
            }
            Location::Machine(_) => None,
        }
    }
}

/// Where a packet was sent to.
fn destination(passage: &Passage) -> Option<IpAddr> {
    let (_, after) = passage.summary.split_once(" → ")?;
    let end = after.split([' ', ',']).next()?;
    end.parse::<SocketAddr>().map(|end| end.ip()).or_else(|_| end.parse()).ok()
}
