//! `world`: what is outside the hosts: machines, links, names and proxies.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::{ListenPort, Route};
use crate::scenario::diagnostic::{Span, Spanned};

/// What is outside the host.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Machines.
    pub machines: Vec<Machine>,
    /// Links.
    pub links: Vec<WorldLink>,
    /// Records the name servers answer.
    pub records: Vec<DnsRecord>,
    /// Proxies.
    pub proxies: Vec<Proxy>,
}

/// An outside machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name.
    pub name: Spanned<String>,
    /// Addresses; a missing prefix length is read as a host's (/32, /128).
    pub addresses: Vec<IpNet>,
    /// Default gateway.
    pub gateway: Option<IpAddr>,
    /// The LAN it is on.
    pub lan: Option<String>,
    /// Its DNS names.
    pub names: Vec<String>,
    /// Ports that answer.
    pub listen: Vec<ListenPort>,
    /// What a port answers.
    pub serves: Vec<(ListenPort, String)>,
    /// Answers DNS from the world's records.
    pub dns_server: bool,
    /// Servers it asks.
    pub dns: Vec<IpAddr>,
    /// Routes.
    pub routes: Vec<Route>,
}

/// An end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// A host's card; without a name, its first.
    Host(Option<String>),
    /// A LAN.
    Lan(String),
    /// An outside machine.
    World(String),
}

/// `world.links.<name>`.
#[derive(Clone, Debug)]
pub struct WorldLink {
    /// Its name, for `link down NAME`.
    pub name: Spanned<String>,
    /// Its ends. Absent: the name is that of a card, LAN or machine.
    pub between: Option<(LinkEnd, LinkEnd)>,
    /// One-way delay.
    pub delay: Duration,
    /// Variation of the delay.
    pub jitter: Duration,
    /// Bits per second.
    pub rate: Option<u64>,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// Share of packets doubled, 0 to 1.
    pub duplicate: f64,
    /// Share of packets overtaking, 0 to 1.
    pub reorder: f64,
    /// Packets that may wait.
    pub queue: Option<u32>,
    /// Largest IP packet.
    pub mtu: Option<u32>,
    /// Unplugged at the start.
    pub down: bool,
}

/// A DNS record of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// Full name, lower case, without the last dot.
    pub name: String,
    /// What it says.
    pub data: DnsData,
    /// Seconds, when said.
    pub ttl: Option<u32>,
    /// Where it was written.
    pub span: Span,
}

/// What a DNS record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsData {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(String),
    /// TXT.
    Text(String),
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its name.
    pub name: Spanned<String>,
    /// The machine it runs on.
    pub machine: Spanned<String>,
    /// Its port.
    pub port: u16,
}
