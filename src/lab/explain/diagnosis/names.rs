//! Names without an address, and containers without a common network.

use std::net::IpAddr;

use super::servers::Answer;
use super::{Facts, is_joinable};
use crate::observe::explain::Cause;
use crate::scenario::Span;
use crate::scenario::diagnostic::nearest;
use crate::scenario::known_names;

/// The name that stands for the host in a container that has `extra_hosts: host.docker.internal:host-gateway`.
const HOST_GATEWAY_NAME: &str = "host.docker.internal";

impl Facts<'_> {
    /// A name without an address.
    pub(super) fn unresolved(&self) -> Option<Cause> {
        let name = self.explanation.attempt.target.as_str();
        if self.from.container().is_some()
            && let Some(cause) = self.own_name_server().or_else(|| self.lookup_refused())
        {
            return Some(cause);
        }
        if let Some(target) = self.container_called(name) {
            return self.unresolved_container(&target);
        }
        if let Some(cause) = self.name_on_a_network(name) {
            return Some(cause);
        }
        if let Some(cause) = self.removed(name) {
            return Some(cause);
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
        if let Some(cause) = self.no_answer() {
            return Some(cause);
        }
        if let (Some(container), Some(from)) = (self.from.container(), &from)
            && name == HOST_GATEWAY_NAME
        {
            return Some(Cause {
                text: format!("{from} has no name {name}: Docker gives it to those that ask for it"),
                line: self.line(self.causes.container(container)),
                suggestion: format!("say `extra_hosts: [\"{name}:host-gateway\"]` in {from}"),
            });
        }
        if name.contains('.') && name.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Some(Cause {
                text: format!("{name} is no IPv4 address, and nothing has that name"),
                line: None,
                suggestion: "write four numbers from 0 to 255 with dots between them".to_owned(),
            });
        }
        if self.answer() == Answer::NoAddress {
            return Some(Cause {
                text: format!("{name} is known to the name server, but not with an address"),
                line: None,
                suggestion: format!(
                    "give it one in `world: {{dns: {{{name}: ADDRESS}}}}`, or ask for another name"
                ),
            });
        }
        let suggestion = match nearest(name, self.names().iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "name a service or container, an address, or put the name into `world: {dns: ...}`".to_owned()
            }
        };
        Some(Cause { text: format!("nothing has the name {name}"), line: None, suggestion })
    }

    /// An address that stands for whoever asks, for everybody or for a group.
    pub(super) fn nobody_in_particular(&self) -> Option<Cause> {
        let address = self.explanation.attempt.target.parse::<IpAddr>().ok()?;
        let from = self.readable(&self.explanation.attempt.from);
        let text = match address {
            _ if address.is_unspecified() => format!("{address} means {from} itself, not all places"),
            IpAddr::V4(v4) if v4.is_broadcast() => {
                format!("{address} is everybody on the link, and nobody in particular")
            }
            _ if address.is_multicast() => {
                format!("{address} is the address of a group, which nobody here has joined")
            }
            IpAddr::V4(_) | IpAddr::V6(_) => return None,
        };
        let suggestion = "ask for the address or the name of one place".to_owned();
        Some(Cause { text, line: None, suggestion })
    }

    /// A service whose container is there no more.
    fn removed(&self, name: &str) -> Option<Cause> {
        let container = self.scenario.container_names(self.scenario.service(name)?).into_iter().next()?;
        let span = self.causes.stopped(&container);
        Some(Cause {
            text: format!("{name} has no container any more, and its name went with it"),
            line: self.line(span.or_else(|| self.causes.container(&container))),
            suggestion: format!(
                "take the step away that removes {container}, or run it anew under that name"
            ),
        })
    }

    /// Every name that may have been meant: services, containers, their aliases and host names, machines and the host, names
    /// of the world's DNS.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.scenario.services.iter().map(|s| s.name.value.clone()).collect();
        for container in self.world.daemon(self.host).into_iter().flat_map(|daemon| daemon.containers()) {
            names.push(container.name.clone());
            names.extend(container.endpoints.iter().flat_map(|e| e.config.aliases.iter().cloned()));
        }
        names.extend(self.scenario.services.iter().filter_map(|service| service.hostname.clone()));
        names.extend(self.world.machines().map(|machine| format!("world:{machine}")));
        names.extend(["host", "localhost", HOST_GATEWAY_NAME].map(str::to_owned));
        names.extend(self.scenario.world.records.iter().map(|record| record.name.clone()));
        names.extend(self.scenario.world.machines.iter().flat_map(|machine| machine.names.iter().cloned()));
        names.extend(known_names().map(str::to_owned));
        names
    }

    pub(super) fn unresolved_container(&self, target: &str) -> Option<Cause> {
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
        if let Some(holder) = self.shares(target) {
            let holder = self.readable(&holder);
            return Some(Cause {
                text: format!("{name} is in {holder}'s namespace, and has no name of its own there"),
                line: self.line(self.causes.networks_of(target)),
                suggestion: format!("ask for {holder}"),
            });
        }
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
    pub(super) fn apart(&self, target: &str) -> Option<Cause> {
        let from = self.from.container()?;
        let (own, others) = (self.networks(from), self.networks(target));
        if own.iter().any(|network| others.contains(network)) {
            return None;
        }
        let (a, b) = (self.readable(from), self.readable(target));
        let first = others.iter().find(|network| is_joinable(network));
        if let Some(network) = first
            && !own.iter().any(|network| is_joinable(network))
        {
            let key = self.network_key(network);
            return Some(Cause {
                text: format!("{a} has no network but its loopback, and {b} is on others"),
                line: self.line(self.joined_by(from)),
                suggestion: match self.leave_none(from) {
                    Some(leave) => format!("{leave}, and put it on `{key}`"),
                    None => format!("put {a} on `{key}`"),
                },
            });
        }
        let list = |names: &[String]| match names {
            [] => "no network".to_owned(),
            names => {
                names.iter().map(|n| format!("`{}`", self.network_key(n))).collect::<Vec<_>>().join(" and ")
            }
        };
        let only = if others.len() == 1 { "only on " } else { "on " };
        let join = match (first, own.iter().find(|n| is_joinable(n))) {
            (Some(network), _) => format!("connect {a} to `{}`", self.network_key(network)),
            (None, Some(network)) => {
                let key = self.network_key(network);
                match self.leave_none(target) {
                    Some(leave) => format!("{leave}, and put it on `{key}`"),
                    None => format!("connect {b} to `{key}`"),
                }
            }
            (None, None) => "put both on one network".to_owned(),
        };
        // Nobody gets out of an internal network to the host's ports, or through them into one.
        let open = |networks: &[String]| networks.iter().any(|n| is_joinable(n) && !self.is_internal(n));
        let publish = match self.explanation.attempt.port {
            Some(port) if open(&others) && open(&own) => match self.binding_of(target, port) {
                Some(at) if at.ip().is_unspecified() => {
                    format!(", or ask for port {} of the host's address", at.port())
                }
                Some(at) => format!(
                    ", or publish {port} on every address, not on {} alone, and ask for port {} of the host's address",
                    at.ip(),
                    at.port()
                ),
                None => format!(", or publish {port} and ask for the host's address"),
            },
            _ => String::new(),
        };
        Some(Cause {
            text: format!("{b} is {only}{}, {a} on {}: they share no network", list(&others), list(&own)),
            line: self.line(self.joined_by(target)),
            suggestion: format!("{join}{publish}"),
        })
    }

    /// How a container of the mode `none` gets networks: Docker connects it to no other as long as it has that mode.
    pub(super) fn leave_none(&self, container: &str) -> Option<String> {
        if self.networks(container) != ["none"] {
            return None;
        }
        let name = self.readable(container);
        Some(match self.causes.service_of(container) {
            Some(_) => format!("take `network_mode: none` away from {name}"),
            None => format!("run {name} without `--network none`"),
        })
    }

    /// What says which networks a container is on. One of the mode `none` is on none, whatever steps asked for.
    pub(super) fn joined_by(&self, container: &str) -> Option<Span> {
        let service = self.causes.service_of(container).filter(|_| self.leave_none(container).is_some());
        let mode = service.and_then(|s| self.causes.key(&["services", &s.name.value, "network_mode"]));
        mode.or_else(|| self.causes.networks_of(container))
    }

    /// `NAME.NETWORK`, where the one who asks is not on the network.
    fn name_on_a_network(&self, written: &str) -> Option<Cause> {
        let from = self.from.container()?;
        let daemon = self.world.daemon(self.host)?;
        let mut dots = written.match_indices('.').map(|(at, _)| (&written[..at], &written[at + 1..]));
        let (name, network, target) = dots.find_map(|(name, network)| {
            let network = daemon.network(network).ok().filter(|found| found.name == network)?;
            let target = self.container_called(name)?;
            self.networks(&target).contains(&network.name).then_some((name, network.name.as_str(), target))
        })?;
        let own = self.networks(from);
        if own.iter().any(|joined| joined == network) {
            return None;
        }
        let (a, key) = (self.readable(from), self.network_key(network));
        let common =
            self.networks(&target).into_iter().find(|other| own.contains(other) && other != "bridge");
        Some(Cause {
            text: format!(
                "{written} is a name on `{key}`, where {a} is not; names of a network are known on it alone"
            ),
            line: self.line(self.joined_by(from)),
            suggestion: match common {
                Some(common) => format!("ask for {name}, which is on `{}` too", self.network_key(&common)),
                None => format!("connect {a} to `{key}`"),
            },
        })
    }

    pub(super) fn internal(&self, from: &str, network: &str) -> Cause {
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
}
