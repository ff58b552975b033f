//! What steps did by hand to a place's own files and tables: routes, neighbours, policies, `/etc/hosts`,
//! `/etc/resolv.conf`, programs that were ended.
//!
//! A step is named where the table or file is not what Docker made it and the step's command is one that makes it so.

use std::net::IpAddr;

use super::{Facts, is_joinable, servers};
use crate::observe::explain::{Cause, Drop, DropReason, End, Part, Rule};
use crate::scenario::causes::Spot;

impl Facts<'_> {
    /// Somebody on the way sends the packets elsewhere, by a route or a neighbour that a step entered.
    pub(super) fn misled(&self) -> Option<Cause> {
        let to = self.target_address()?;
        if self.arrived(to) {
            return None;
        }
        let own = self.explanation.attempt.namespace.as_str();
        let host = self.host_name();
        let places = [own, host];
        let places = &places[..if own == host { 1 } else { 2 }];
        let misled = |place: &&str| self.misrouted(place, to).or_else(|| self.wrong_neighbour(place, to));
        places.iter().find_map(misled)
    }

    /// Whether the packets came to whom they were meant for, and it is there or by somebody's own rule that they end.
    fn arrived(&self, to: IpAddr) -> bool {
        let Some(root) = self.explanation.root() else { return false };
        match root.reason {
            DropReason::NoSocket | DropReason::BacklogFull | DropReason::ReceiveBufferFull => {
                self.world.address_owner(to).is_some_and(|owner| owner == root.place)
            }
            DropReason::Filtered | DropReason::Rejected => {
                root.rule.as_ref().is_some_and(|rule| !rule.docker && rule.number.is_some())
            }
            _ => false,
        }
    }

    /// A route that a step added leads a place's packets away.
    pub(super) fn misrouted(&self, place: &str, to: IpAddr) -> Option<Cause> {
        let now = self.now(place)?;
        let route = now.route_to(to)?;
        let given = self.given(place);
        let ours = match route.gateway {
            Some(gateway) => given.gateways.contains(&gateway),
            None => route.connected,
        };
        if ours {
            return None;
        }
        let destination = route.destination.to_string();
        let bare = route.destination.addr().to_string();
        let mut written = vec![destination.as_str()];
        if route.destination.prefix_len() == 0 {
            written.push("default");
        } else if route.destination.prefix_len() == route.destination.max_prefix_len() {
            written.push(&bare);
        }
        let spot = self.spot(place, &now.shared_by);
        let verbs = ["add", "replace", "change", "append", "prepend"];
        let words: Vec<[&str; 3]> =
            verbs.iter().flat_map(|verb| written.iter().map(move |to| ["route", *verb, *to])).collect();
        let words: Vec<&[&str]> = words.iter().map(|words| words.as_slice()).collect();
        let step = self.last_done(&spot, &words)?;
        let name = self.readable(place);
        let towards = match route.gateway {
            Some(gateway) => format!("to {}", self.whose(gateway)),
            None => format!("out of {}", route.device),
        };
        let back = match given.gateways.iter().find(|gateway| gateway.is_ipv6() == to.is_ipv6()) {
            Some(gateway) if route.destination.prefix_len() == 0 => {
                format!("put Docker's route back in {name}: `ip route replace default via {gateway}`")
            }
            _ => format!("take the route away in {name}: `ip route del {destination}`"),
        };
        let route = if route.destination.prefix_len() == 0 { "default route" } else { "route" };
        Some(Cause {
            text: format!("{name} sends what is for {to} {towards}, by a {route} that a step set"),
            line: self.line(Some(step)),
            suggestion: back,
        })
    }

    /// A neighbour that a step entered for good has the hardware address of somebody else, or of nobody.
    fn wrong_neighbour(&self, place: &str, to: IpAddr) -> Option<Cause> {
        let now = self.now(place)?;
        let next = now.route_to(to)?.gateway.unwrap_or(to);
        let entry = now.entered_by_hand(next)?;
        let mac = entry.mac?;
        let all = self.world.tables();
        let mut cards = all.iter().flat_map(|table| &table.interfaces);
        if cards.any(|card| card.mac == mac && card.addresses.iter().any(|view| view.address.addr() == next))
        {
            return None;
        }
        let holder = all.iter().find(|table| table.interfaces.iter().any(|card| card.mac == mac));
        let spot = self.spot(place, &now.shared_by);
        let text = next.to_string();
        let words: [&[&str]; 4] =
            [&["neigh", &text], &["neighbour", &text], &["neighbor", &text], &["arp", "-s", &text]];
        let step = self.last_done(&spot, &words)?;
        let name = self.readable(place);
        let whose = match holder {
            Some(holder) => format!("the hardware address of {}", self.readable(&holder.name)),
            None => "a hardware address that nobody has".to_owned(),
        };
        Some(Cause {
            text: format!("{name}'s neighbour table has {mac} for {next}, entered for good: {whose}"),
            line: self.line(Some(step)),
            suggestion: format!(
                "take the entry away in {name}, so that it asks: `ip neigh del {next} dev {}`",
                entry.device
            ),
        })
    }

    /// A policy that a step set, or Docker's rules that a step took away so that the policy has the last word.
    pub(super) fn policy(&self, drop: &Drop, rule: &Rule) -> Option<Cause> {
        if rule.number.is_some() {
            return None;
        }
        let now = self.now(&drop.place)?;
        let spot = self.spot(&drop.place, &now.shared_by);
        let chain = rule.chain.as_str();
        let name = self.readable(&drop.place);
        let set = self.causes.policy(&spot, chain);
        let is_host = self.is_host(&drop.place);
        let flushed = || {
            let words: [&[&str]; 6] = [
                &["iptables", "-F"],
                &["iptables", "--flush"],
                &["iptables", "-D", chain],
                &["iptables", "--delete", chain],
                &["ip6tables", "-F"],
                &["ip6tables", "-D", chain],
            ];
            self.last_done(&spot, &words).filter(|_| is_host)
        };
        let before = if is_host && chain == "FORWARD" { "DOCKER-USER" } else { chain };
        match (set, flushed()) {
            (_, Some(step)) if chain == "FORWARD" => Some(Cause {
                text: format!(
                    "a step removed rules of Docker's, and {chain}'s policy on {name} drops what no rule accepts"
                ),
                line: self.line(Some(step)),
                suggestion: "leave Docker's rules alone: `daemon restart` makes them anew".to_owned(),
            }),
            (Some(step), _) => Some(Cause {
                text: format!(
                    "the policy of {chain} on {name} was set to DROP, and no rule accepts the packet"
                ),
                line: self.line(Some(step)),
                suggestion: format!(
                    "accept it (`iptables -I {before} ... -j ACCEPT`), or set the policy back: `iptables -P {chain} ACCEPT`"
                ),
            }),
            (None, _) => None,
        }
    }

    /// A question for a name that a filter refused where it came by.
    pub(super) fn lookup_refused(&self) -> Option<Cause> {
        let lookups = self.explanation.passages.iter().filter(|passage| passage.part == Part::Lookup);
        let drop = lookups.map(|passage| &passage.end).find_map(|end| match end {
            End::Dropped(drop) => Some(drop),
            End::Delivered { .. } | End::Unfinished => None,
        })?;
        let rule = drop.rule.as_ref()?;
        self.policy(drop, rule).or_else(|| self.own_rule(rule))
    }

    /// The name server that is asked is not the one that Docker gave, because a step wrote `/etc/resolv.conf`.
    pub(super) fn own_name_server(&self) -> Option<Cause> {
        let asker = self.asker.container()?;
        let step = self.causes.wrote(&Spot::Containers(vec![asker.to_owned()]), "/etc/resolv.conf")?;
        let file = self.world.file(self.asker, "/etc/resolv.conf").ok()?;
        let servers: Vec<&str> = servers::named(&file).collect();
        let user_defined =
            self.networks(asker).iter().any(|network| is_joinable(network) && network != "bridge");
        if user_defined && servers.contains(&servers::EMBEDDED) {
            return None;
        }
        // Another server knows names outside as well, and no names of containers are known on the default bridge.
        let answered = self.explanation.lookup.as_ref().is_some_and(|lookup| !lookup.answers.is_empty());
        let is_containers = self.container_called(&self.explanation.attempt.target).is_some();
        if answered && !(user_defined && is_containers) {
            return None;
        }
        let name = self.readable(asker);
        let said = match servers.as_slice() {
            [] => "names no server".to_owned(),
            [one] => format!("names {one}"),
            several => format!("names {}", several.join(" and ")),
        };
        let docker = if user_defined {
            format!(", and not Docker's DNS server {}, which alone knows containers", servers::EMBEDDED)
        } else {
            String::new()
        };
        Some(Cause {
            text: format!("/etc/resolv.conf of {name}, as a step wrote it, {said}{docker}"),
            line: self.line(Some(step)),
            suggestion: "take the step away; another server for names outside is set with `dns:`, and Docker's asks it"
                .to_owned(),
        })
    }

    /// A name that is in `/etc/hosts` with an address that is not, or no more, of the one who is meant.
    pub(super) fn wrong_hosts_entry(&self) -> Option<Cause> {
        let lookup = self.explanation.lookup.as_ref().filter(|lookup| lookup.answers.is_empty())?;
        let address = *lookup.addresses.first()?;
        let asker = self.asker.container()?;
        let name = lookup.name.as_str();
        let meant = self.container_called(name);
        if meant
            .as_deref()
            .is_some_and(|meant| self.container_having(address, true).as_deref() == Some(meant))
        {
            return None;
        }
        if meant.is_none() && self.world.address_owner(address).is_some() {
            return None;
        }
        let service = self.causes.service_of(asker);
        let extra =
            service.and_then(|service| self.causes.key(&["services", &service.name.value, "extra_hosts"]));
        let file = self.world.file(self.asker, "/etc/hosts").ok()?;
        let holds = file.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|first| first.parse() == Ok(address)) && words.any(|word| word == name)
        });
        let step = self.causes.wrote(&Spot::Containers(vec![asker.to_owned()]), "/etc/hosts");
        let line = step.or(extra)?;
        if !holds {
            return None;
        }
        let (from, by) = (self.readable(asker), if step.is_some() { "a step" } else { "`extra_hosts`" });
        let whose = match self.world.address_owner(address) {
            Some(owner) => format!("which is {}'s", self.readable(&owner)),
            None => "which nobody has".to_owned(),
        };
        Some(Cause {
            text: format!(
                "/etc/hosts of {from} has {name} as {address}, {whose}; {by} wrote it there, and it comes before any name \
                 server"
            ),
            line: self.line(Some(line)),
            suggestion: match meant {
                Some(_) => format!("take the entry away: Docker's DNS server knows {name}"),
                None => "give the name the right address there".to_owned(),
            },
        })
    }

    /// A step that ended the program which listened in a container.
    pub(super) fn ended_by_step(&self, container: &str, port: u16) -> Option<Cause> {
        let spot = Spot::Containers(vec![container.to_owned()]);
        let words: [&[&str]; 3] = [&["kill"], &["pkill"], &["killall"]];
        let step = self.last_done(&spot, &words)?;
        let number = port.to_string();
        self.causes.mentioned_before(&spot, &number, step)?;
        let name = self.readable(container);
        Some(Cause {
            text: format!("the program that listened on {port} in {name} was ended by a step"),
            line: self.line(Some(step)),
            suggestion: format!("start it again in {name}, or take the step away"),
        })
    }

    /// An address with its holder's name, where it has one.
    fn whose(&self, address: IpAddr) -> String {
        match self.world.address_owner(address) {
            Some(owner) => format!("{address}, {}", self.readable(&owner)),
            None => format!("{address}, which nobody has"),
        }
    }
}
