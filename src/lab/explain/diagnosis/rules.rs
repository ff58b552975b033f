//! Rules that refuse a packet, or translate it so that nothing comes of it.

use std::net::IpAddr;

use super::{Facts, ICC};
use crate::observe::explain::{Cause, Drop, End, Part, Rule};

/// What is to be done where an answer would not pass the rule that translated the question.
const MASQUERADE: &str = "translate the source too (`-t nat -A POSTROUTING ... -j MASQUERADE`), or publish the port and \
                          let Docker do it";

impl Facts<'_> {
    /// A rule said no.
    pub(super) fn filtered(&self, drop: &Drop, rule: &Rule) -> Option<Cause> {
        if let Some(cause) = self.own_rule(rule) {
            return Some(cause);
        }
        let target = self.target_container();
        if let Some(cause) = target.as_deref().and_then(|target| self.apart(target)) {
            return Some(cause);
        }
        let policy = || self.policy(drop, rule);
        if let (Some(from), Some(target)) = (self.from.container(), &target) {
            return self.no_icc(from, target).or_else(policy).or_else(|| self.other_address(from, target));
        }
        if let Some(from) = self.from.container() {
            let internal = || {
                let network = self.only_internal()?;
                Some(self.internal(&self.readable(from), &network))
            };
            return policy().or_else(internal);
        }
        if let Some(cause) = policy() {
            return Some(cause);
        }
        let target = target?;
        let name = self.readable(&target);
        Some(Cause {
            text: format!("{name}'s own address is for its network; others reach it by published ports"),
            line: self.line(self.causes.container(&target)),
            suggestion: self.way_from_outside(&target),
        })
    }

    /// A rule that is not Docker's.
    pub(super) fn own_rule(&self, rule: &Rule) -> Option<Cause> {
        (!rule.docker && rule.number.is_some()).then(|| Cause {
            text: "a rule that is not Docker's refuses it".to_owned(),
            line: self.line(self.causes.rule(&rule.chain, &rule.text)),
            suggestion: format!("remove the rule, or put one that accepts this before it in {}", rule.chain),
        })
    }

    /// How those who are not in a container reach one.
    pub(super) fn way_from_outside(&self, target: &str) -> String {
        let name = self.readable(target);
        let port = self.explanation.attempt.port;
        let published = match port {
            Some(port) => self.binding_of(target, port),
            None => {
                let daemon = self.world.daemon(self.host);
                let container = daemon.and_then(|daemon| daemon.container(target).ok());
                container.and_then(|container| container.bindings.first()).map(|binding| binding.host)
            }
        };
        match (published, port) {
            (Some(at), _) if at.ip().is_loopback() => format!(
                "publish port {} on every address of the host, not on {} alone, and ask the host",
                at.port(),
                at.ip()
            ),
            (Some(at), _) => format!("ask for port {} of the host, which leads to {name}", at.port()),
            (None, Some(port)) => self.publish(target, port),
            (None, None) => format!("ask for {name}'s address from the host, or publish a port"),
        }
    }

    /// Containers of one network that may not talk.
    pub(super) fn no_icc(&self, from: &str, target: &str) -> Option<Cause> {
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
            suggestion: match network.as_str() {
                "bridge" => format!("take the option away, or link {target} to {}", self.readable(from)),
                _ => "take the option away, or put both on another network".to_owned(),
            },
        })
    }

    /// An address of a container on a network that the one who asks is not on, though they share another.
    fn other_address(&self, from: &str, target: &str) -> Option<Cause> {
        let asked: IpAddr = self.explanation.attempt.target.parse().ok()?;
        let own = self.networks(from);
        let daemon = self.world.daemon(self.host)?;
        let holder = self.shares(target);
        let endpoints = &daemon.container(holder.as_deref().unwrap_or(target)).ok()?.endpoints;
        let there = endpoints.iter().find(|endpoint| {
            let nets = endpoint.active.as_ref().map(|active| [active.ipv4, active.ipv6]);
            nets.into_iter().flatten().flatten().any(|net| net.addr() == asked)
        })?;
        if own.contains(&there.network_name) {
            return None;
        }
        let (common, address) = endpoints.iter().find_map(|endpoint| {
            let active = endpoint.active.as_ref().filter(|_| own.contains(&endpoint.network_name))?;
            let net = if asked.is_ipv6() { active.ipv6 } else { active.ipv4 };
            Some((endpoint.network_name.as_str(), net?.addr()))
        })?;
        let (a, b) = (self.readable(from), self.readable(target));
        let name = if common == "bridge" { String::new() } else { format!(", or for the name {b}") };
        Some(Cause {
            text: format!(
                "{asked} is {b}'s address on `{}`, where {a} is not; on `{}`, where both are, {b} has {address}",
                self.network_key(&there.network_name),
                self.network_key(common)
            ),
            line: self.line(self.causes.networks_of(target)),
            suggestion: format!("ask for {address}{name}"),
        })
    }

    pub(super) fn is_of_an_answer(&self, drop: &Drop) -> bool {
        let answers = self.explanation.passages.iter().filter(|passage| passage.part == Part::Answer);
        answers.map(|passage| &passage.end).any(|end| matches!(end, End::Dropped(found) if found == drop))
    }

    /// The answer comes from another address than was asked.
    pub(super) fn not_translated_back(&self) -> Option<Cause> {
        let own = self.own_translation()?;
        Some(Cause {
            text: "the answer does not come back through the rule that translated the question".to_owned(),
            line: self.line(self.causes.rule(&own.chain, &own.text)),
            suggestion: MASQUERADE.to_owned(),
        })
    }

    /// A packet reaches the machine that sent it.
    pub(super) fn led_back(&self, drop: &Drop) -> Option<Cause> {
        let own = self.own_translation()?;
        Some(Cause {
            text: format!(
                "the rule leads the packet back to {}, which sent it, with its own address as the source",
                drop.place
            ),
            line: self.line(self.causes.rule(&own.chain, &own.text)),
            suggestion: MASQUERADE.to_owned(),
        })
    }

    /// The first rule of somebody's own that translated a question's destination.
    fn own_translation(&self) -> Option<&Rule> {
        let requests = self.explanation.passages.iter().filter(|passage| passage.part == Part::Request);
        let mut rules = requests.flat_map(|passage| &passage.hops).filter_map(|hop| hop.rule.as_ref());
        rules.find(|rule| !rule.docker && rule.text.contains("DNAT"))
    }

    /// A rule of somebody's own that translates.
    pub(super) fn translation(&self, suggestion: &str) -> Option<Cause> {
        let hops = &self.explanation.decisive()?.hops;
        let own = hops.iter().rev().filter_map(|hop| hop.rule.as_ref()).find(|rule| !rule.docker)?;
        Some(Cause {
            text: "a rule that is not Docker's asks for a translation that cannot be made".to_owned(),
            line: self.line(self.causes.rule(&own.chain, &own.text)),
            suggestion: suggestion.to_owned(),
        })
    }

    pub(super) fn martian(&self) -> Option<Cause> {
        let line = self.causes.command(&["DNAT"]);
        line.map(|span| Cause {
            text: "packets from elsewhere may not be sent to a loopback address".to_owned(),
            line: self.line(Some(span)),
            suggestion: "translate to an address that is not 127.0.0.0/8".to_owned(),
        })
    }
}
