//! Why one attempt ended as it did: its packets hop by hop, there and back, the verdict, the rule behind it and the
//! line of the scenario that caused it.
//!
//! # Theory of operation
//!
//! [`explain`] reads the events of one attempt that was made with real packets and keeps, of all that happened, the
//! packets that decide: the question, what answers or refuses it, and what a proxy sends on its behalf. Each is a
//! [`Passage`] with one [`Hop`] for every place it came through, in the words of Docker's documentation and of Linux.
//! Nothing is computed here that the events do not say. The cause is not in the events: whoever knows the scenario
//! adds it ([`Explanation::cause`]) as plain data.
//!
//! An [`Explanation`] prints as text (`Display`; `Debug` is the same, so that a failed assertion tells it) and as JSON
//! (`json.rs`).
//!
//! Limits: at most [`PASSAGES`] packets are told and retransmissions only counted; segments inside an open connection
//! are told when one of them is lost.

mod gather;
mod hops;
mod json;
mod text;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::Hook;

use super::Naming;
use super::summary::{Role as PacketRole, Summary};
use super::words::{explanation, reason_name};
use crate::engine::event::Event;
use crate::engine::id::{DeviceId, NamespaceId};
use crate::engine::view::InterfaceKind;
use crate::world::names::{Names, Role};

pub use crate::engine::event::DropReason;
pub use text::Layout;

/// Packets that are told of one attempt.
pub const PASSAGES: usize = 12;

/// Names, and what stands behind them.
pub trait Setting: Naming {
    /// What a namespace stands for.
    fn role(&self, namespace: NamespaceId) -> Role;

    /// What the namespace of a device stands for.
    fn role_of_device(&self, device: DeviceId) -> Role;

    /// What kind of device this is; `None` once it is gone.
    fn device_kind(&self, device: DeviceId) -> Option<InterfaceKind>;

    /// The Docker network a bridge belongs to.
    fn network_of(&self, bridge: DeviceId) -> Option<String>;

    /// Whether a rule is Docker's own and not one that somebody added.
    fn rule_is_dockers(&self, namespace: NamespaceId, family: Family, rule: u64) -> bool;
}

impl Setting for Names<'_> {
    fn role(&self, namespace: NamespaceId) -> Role {
        Names::role(self, namespace)
    }

    fn role_of_device(&self, device: DeviceId) -> Role {
        Names::role_of_device(self, device)
    }

    fn device_kind(&self, device: DeviceId) -> Option<InterfaceKind> {
        Names::device_kind(self, device)
    }

    fn network_of(&self, bridge: DeviceId) -> Option<String> {
        Names::network_of(self, bridge)
    }

    fn rule_is_dockers(&self, namespace: NamespaceId, family: Family, rule: u64) -> bool {
        Names::rule_is_dockers(self, namespace, family, rule)
    }
}

/// What was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who tried, by the name readers know it by.
    pub from: String,
    /// The namespace it is in: its own, of the same name, or the host's or another container's that it shares.
    pub namespace: String,
    /// What was tried, as it was asked for: `db:5432`.
    pub to: String,
    /// The name or address without the port.
    pub target: String,
    /// How.
    pub protocol: Protocol,
    /// The port; absent for a ping.
    pub port: Option<u16>,
}

/// How it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A TCP connection.
    Tcp,
    /// A datagram.
    Udp,
    /// An echo request.
    Icmp,
}

impl Protocol {
    /// Its name as it is written behind a port, and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
        }
    }
}

/// How an attempt ended for the program that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It works; the source address the server saw, if it says so.
    Reached(Option<IpAddr>),
    /// The connection opens and is closed at once: a proxy took it and could not pass it on.
    Closed,
    /// A reset, or ICMP port unreachable.
    Refused,
    /// Silence.
    TimedOut,
    /// An error: no route, no neighbour, or an ICMP error.
    Unreachable,
    /// The name does not resolve.
    Unresolved,
    /// A datagram was sent and nothing came back.
    NoAnswer,
}

impl Outcome {
    /// The word that checks use, and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Reached(_) => "ok",
            Outcome::Closed => "closed",
            Outcome::Refused => "refused",
            Outcome::TimedOut => "timeout",
            Outcome::Unreachable => "unreachable",
            Outcome::Unresolved => "unresolved",
            Outcome::NoAnswer => "no-answer",
        }
    }

    /// Whether the target was reached.
    pub fn is_reached(self) -> bool {
        matches!(self, Outcome::Reached(_))
    }
}

/// The whole answer to "why".
#[derive(Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What was tried.
    pub attempt: Attempt,
    /// How the name was looked up; `None` where an address was given.
    pub lookup: Option<Lookup>,
    /// The packets that decided, in order.
    pub passages: Vec<Passage>,
    /// How it ended.
    pub outcome: Outcome,
    /// The connection opened, and then the other side said nothing.
    pub silent: bool,
    /// What the program saw, in the words of `strerror(3)` and, of names, `gai_strerror(3)`.
    pub errors: Vec<String>,
    /// The drop that decided.
    pub drop: Option<Drop>,
    /// What of the scenario made it so, if that is known.
    pub cause: Option<Cause>,
    /// What a reader should know of the time before: steps that did not do what was expected of them.
    pub notes: Vec<String>,
    /// Every event, told, when asked for.
    pub story: Vec<String>,
}

/// A name's way to addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name.
    pub name: String,
    /// Answers of name servers as packets carried them; none where a file had the name.
    pub answers: Vec<String>,
    /// The addresses found; the first is tried.
    pub addresses: Vec<IpAddr>,
}

/// One packet's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// What the packet is to the attempt.
    pub part: Part,
    /// The event log's number of the packet.
    pub packet: u64,
    /// Virtual time since the attempt began.
    pub time: Duration,
    /// Who sent it and whom it is for, by name where there is one.
    pub ends: (String, String),
    /// The packet in one line.
    pub summary: String,
    /// How often it was sent again.
    pub repeated: usize,
    /// Where it came through.
    pub hops: Vec<Hop>,
    /// How its way ended.
    pub end: End,
}

/// What a packet is to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A question to a name server.
    Lookup,
    /// What a name server answers.
    LookupAnswer,
    /// What was asked for.
    Request,
    /// What comes back.
    Answer,
    /// What somebody between the ends sends on, such as Docker's userland proxy.
    Relay,
}

/// How a packet's way ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody took it.
    Delivered {
        /// The namespace's name.
        place: String,
    },
    /// It was dropped.
    Dropped(Drop),
    /// It was still under way when the attempt ended.
    Unfinished,
}

/// A drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drop {
    /// Why.
    pub reason: DropReason,
    /// The namespace's name.
    pub place: String,
    /// The device's name, where one is concerned.
    pub device: Option<String>,
    /// The rule or policy, where one decided.
    pub rule: Option<Rule>,
    /// Where the neighbour did not answer: the drop of the question or of its answer, if there was one.
    pub behind: Option<Box<Drop>>,
}

impl Drop {
    /// The reason's stable name in machine-readable output.
    pub fn reason_name(&self) -> &'static str {
        reason_name(self.reason)
    }

    /// What the reason means and where to look, in a sentence.
    pub fn meaning(&self) -> &'static str {
        explanation(self.reason)
    }
}

/// A rule of a packet filter, or a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The table: `filter`, `nat`, `raw`, `mangle`.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's number, from 1; `None` for the chain's policy.
    pub number: Option<usize>,
    /// What it says, as `iptables -S` prints it behind the chain.
    pub text: String,
    /// Whether Docker made it.
    pub docker: bool,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.chain)?;
        if let Some(number) = self.number {
            write!(f, " {number}")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// One place on a packet's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Virtual time since the attempt began.
    pub time: Duration,
    /// What kind of place.
    pub layer: Layer,
    /// The namespace's name.
    pub place: String,
    /// The device's name, where one is concerned.
    pub device: Option<String>,
    /// What happens there.
    pub text: String,
    /// The rule, where the hop is one.
    pub rule: Option<Rule>,
}

impl Hop {
    /// Whether a rule of Docker's has its say here.
    pub fn is_dockers(&self) -> bool {
        self.rule.as_ref().is_some_and(|rule| rule.docker)
    }
}

/// Kinds of places on a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A program.
    Application,
    /// A kernel that answers by itself.
    Kernel,
    /// The routing table.
    Route,
    /// The neighbour table, ARP and NDP.
    Neighbour,
    /// The loopback device.
    Loopback,
    /// An interface in a container.
    ContainerInterface,
    /// The host's end of a container's cable.
    Veth,
    /// A Linux bridge.
    Bridge,
    /// A physical interface of a Docker host.
    HostInterface,
    /// An interface of a machine outside.
    Interface,
    /// The switch of a LAN.
    Lan,
    /// A wire that takes time.
    Wire,
    /// A machine outside that passes the packet on.
    Router,
    /// Connection tracking.
    Tracking,
    /// A hook of netfilter.
    Hook(Hook),
    /// An address translation.
    Translation,
    /// Fragments.
    Fragments,
    /// The end of the way.
    Drop,
}

impl Layer {
    /// What the kind of place is called in text.
    pub fn label(self) -> &'static str {
        match self {
            Layer::Application => "application",
            Layer::Kernel => "kernel",
            Layer::Route => "route",
            Layer::Neighbour => "neighbour",
            Layer::Loopback => "loopback",
            Layer::ContainerInterface => "container interface",
            Layer::Veth => "veth",
            Layer::Bridge => "bridge",
            Layer::HostInterface => "host NIC",
            Layer::Interface => "NIC",
            Layer::Lan => "LAN",
            Layer::Wire => "wire",
            Layer::Router => "router",
            Layer::Tracking => "conntrack",
            Layer::Hook(hook) => hook.chain_name(),
            Layer::Translation => "NAT",
            Layer::Fragments => "fragments",
            Layer::Drop => "dropped",
        }
    }

    /// The stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Application => "application",
            Layer::Kernel => "kernel",
            Layer::Route => "route",
            Layer::Neighbour => "neighbour",
            Layer::Loopback => "loopback",
            Layer::ContainerInterface => "container_interface",
            Layer::Veth => "veth",
            Layer::Bridge => "bridge",
            Layer::HostInterface => "host_interface",
            Layer::Interface => "interface",
            Layer::Lan => "lan",
            Layer::Wire => "wire",
            Layer::Router => "router",
            Layer::Tracking => "conntrack",
            Layer::Hook(_) => "hook",
            Layer::Translation => "nat",
            Layer::Fragments => "fragments",
            Layer::Drop => "drop",
        }
    }
}

/// What of a scenario made it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What is the matter, in a sentence without a full stop.
    pub text: String,
    /// The line that says so.
    pub line: Option<SourceLine>,
    /// What to do about it; empty where there is nothing to do.
    pub suggestion: String,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// The file's path as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The whole line.
    pub text: String,
}

/// What the program that made the attempt reports.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What was tried.
    pub attempt: Attempt,
    /// The addresses its name has, if a name was looked up.
    pub addresses: Option<Vec<IpAddr>>,
    /// How it ended.
    pub outcome: Outcome,
}

/// The events of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    /// While the name was looked up.
    pub lookup: &'a [Event],
    /// While the target was tried.
    pub attempt: &'a [Event],
}

/// From the events of one attempt to its explanation; the cause and the story are left to others.
pub fn explain(observed: Observed, events: Events<'_>, setting: &dyn Setting) -> Explanation {
    gather::explain(observed, events, setting)
}

impl Explanation {
    /// The text: `layout` says whether with colours.
    pub fn render(&self, layout: Layout) -> String {
        text::render(self, layout)
    }

    /// One JSON object, for programs.
    ///
    /// ```text
    /// attempt    {from, to, target, protocol: tcp|udp|icmp, port: number|null}
    /// outcome    ok | closed | refused | timeout | unreachable | unresolved | no-answer
    /// seen       the source address the server saw, or null
    /// sentence   the verdict in words
    /// silent     true if the connection opened and the other side said nothing
    /// errors     [what the program saw, as strerror(3) and, of names, gai_strerror(3)]
    /// drop       null, or DROP: {reason, text, place, device: name|null, rule: RULE|null, behind: DROP|null}
    /// cause      null, or {text, suggestion, line: null | {file, line, column, text}}
    /// lookup     null, or {name, answers: [..], addresses: [..]}
    /// passages   [{part: lookup|lookup_answer|request|answer|relay, packet, time_ns, from, to, summary, repeated,
    ///             end: {kind: delivered, place} | {kind: dropped, drop: DROP} | {kind: unfinished},
    ///             hops: [{time_ns, layer, hook: name|null, place, device: name|null, text, rule: RULE|null}]}]
    /// notes      [lines]: steps that did not do what was expected of them
    /// story      [lines], empty unless asked for
    /// RULE       {table, chain, number: number|null for a policy, text, docker: bool}
    /// ```
    ///
    /// Times are virtual and count from the beginning of the attempt. Fields are only ever added; names and meanings stay.
    pub fn to_json(&self) -> serde_json::Value {
        json::value(self)
    }

    /// The drop at the bottom: the one behind the drop that decided, or that one itself.
    pub fn root(&self) -> Option<&Drop> {
        let drop = self.drop.as_ref()?;
        Some(drop.behind.as_deref().unwrap_or(drop))
    }

    /// The packet whose end decided, if one did.
    pub fn decisive(&self) -> Option<&Passage> {
        let drop = self.drop.as_ref()?;
        self.passages.iter().find(|passage| matches!(&passage.end, End::Dropped(d) if d == drop))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Layout::Plain))
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

/// Whether a packet answers by its own nature: a reset, an echo reply, an ICMP error.
fn is_error(summary: &Summary) -> bool {
    let icmp = summary.text.starts_with("ICMP");
    icmp && !summary.text.contains(" echo ") && summary.role == PacketRole::Message
}
