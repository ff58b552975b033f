//! What happened, for people and for tools: a story, packet captures, JSON lines and tables.
//!
//! # Theory of operation
//!
//! Everything here reads [`Event`](crate::engine::event::Event)s and the values of
//! [`engine::view`](crate::engine::view), and changes nothing. Events carry ids; whoever owns the world turns them
//! into names through [`Naming`], which is asked when an event is read, not later, because what it names may go away.
//!
//! | module | gives |
//! |---|---|
//! | [`summary`] | one line for the bytes of a packet |
//! | [`story`] | what happens to each packet, in words, as it happens |
//! | [`pcapng`] | captures for Wireshark and tcpdump, with verdicts as comments |
//! | [`explain`](mod@explain) | the way of one attempt hop by hop, its verdict and its cause, as a value |
//! | [`decisive`] | the packet that decided how an attempt ended |
//! | [`json`] | one JSON object for each event |
//! | [`graph`] | a topology as Mermaid, DOT or SVG |
//! | [`tables`] | interfaces, FDB, neighbours, routes, rules, connections, sockets, counters |
//! | [`tables_json`] | the same as JSON |
//!
//! What an event does not say itself (which rule decided, what the packet looked like at first) is remembered for
//! each packet, for a bounded number of packets. All output is a function of the events and names alone.

use std::net::IpAddr;

use linkspan_nat::evaluate::RuleRef;
use linkspan_nat::rule::Family;

use crate::engine::id::{DeviceId, NamespaceId};
use crate::engine::plan::Owner;

pub mod decisive;
pub mod explain;
pub mod graph;
pub mod json;
pub mod pcapng;
mod rules;
pub mod story;
pub mod summary;
pub mod tables;
pub mod tables_json;
mod trail;
mod words;

/// Turns ids into names. The world implements it.
pub trait Naming {
    /// The name of a namespace. For one that is gone, its last name or its id.
    fn namespace(&self, id: NamespaceId) -> String;

    /// The name of a device and where it lives. For one that is gone, the last names or the id.
    fn device(&self, id: DeviceId) -> DeviceNaming;

    /// The container or machine that has an address; `None` for addresses nobody has or several have.
    fn address_owner(&self, address: IpAddr) -> Option<String>;

    /// The specification of a rule as `iptables -S` prints it behind the chain; `None` once the rule is gone.
    fn rule_text(&self, namespace: NamespaceId, family: Family, rule: &RuleRef) -> Option<String>;

    /// Whose operations these are, in a reader's words.
    fn owner(&self, owner: Owner) -> String {
        owner.to_string()
    }
}

impl Naming for crate::world::names::Names<'_> {
    fn namespace(&self, id: NamespaceId) -> String {
        crate::world::names::Names::namespace(self, id)
    }

    fn device(&self, id: DeviceId) -> DeviceNaming {
        let (namespace, name) = crate::world::names::Names::device(self, id);
        DeviceNaming { namespace, name }
    }

    fn address_owner(&self, address: IpAddr) -> Option<String> {
        crate::world::names::Names::address_owner(self, address)
    }

    fn rule_text(&self, namespace: NamespaceId, family: Family, rule: &RuleRef) -> Option<String> {
        crate::world::names::Names::rule_text(self, namespace, family, rule.id.0)
    }
}

/// Name of a device and of its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNaming {
    /// The namespace it lives in.
    pub namespace: String,
    /// Its name there; `lo` is the loopback device.
    pub name: String,
}

impl DeviceNaming {
    /// Whether its frames are bare IP packets.
    pub fn is_loopback(&self) -> bool {
        self.name == "lo"
    }
}

impl std::fmt::Display for DeviceNaming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.name, self.namespace)
    }
}

#[cfg(test)]
mod testing;
