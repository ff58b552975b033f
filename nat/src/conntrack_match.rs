//! The match `-m conntrack`: what a rule asks of a packet's connection, as text and as a question.
//!
//! Reference: iptables `extensions/libxt_conntrack.c`, Linux `net/netfilter/xt_conntrack.c`, revision 3.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::cidr::Cidr;
use crate::conntrack::{Connection, Direction, Status};
use crate::names::{parse_port, parse_protocol};
use crate::rule::{Family, Negatable, Range16, StateSet};
use crate::text::{IptablesError, parameter};
use crate::text_emit::state_names;
use crate::text_values::states_of;

/// What a rule asks; every part that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConntrackMatch {
    /// `--ctstate`.
    pub states: Option<Negatable<StateSet>>,
    /// `--ctproto`, an IP protocol number.
    pub protocol: Option<Negatable<u8>>,
    /// `--ctorigsrc`, `--ctorigdst`, `--ctreplsrc`, `--ctrepldst`.
    pub addresses: [Option<Negatable<AddressMask>>; 4],
    /// `--ctorigsrcport` and its like, in the same order. A range whose first port is above its last holds none.
    pub ports: [Option<Negatable<Range16>>; 4],
    /// `--ctstatus`.
    pub statuses: Option<Negatable<StatusSet>>,
    /// `--ctexpire`, in whole seconds that the connection has left, first to last.
    pub expires: Option<Negatable<(u32, u32)>>,
    /// `--ctdir`.
    pub direction: Option<Direction>,
}

/// An address as it was written, host bits and all, with the bits of it that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressMask {
    address: IpAddr,
    block: Cidr,
}

impl AddressMask {
    /// Parses `address`, `address/length` or `address/mask`.
    fn parse(text: &str, family: Family) -> Option<AddressMask> {
        let address: IpAddr = text.split('/').next()?.parse().ok()?;
        let block = Cidr::parse(text).ok()?;
        (address.is_ipv4() == (family == Family::Ipv4)).then_some(AddressMask { address, block })
    }

    fn text(&self) -> String {
        match self.block.is_host() {
            true => self.address.to_string(),
            false => format!("{}/{}", self.address, self.block.prefix()),
        }
    }
}

/// A set of `--ctstatus` words; `NONE` is the empty one, and holds for no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusSet(u8);

impl StatusSet {
    const EXPECTED: u8 = 1;
    const SEEN_REPLY: u8 = 2;
    const ASSURED: u8 = 4;
    const CONFIRMED: u8 = 8;

    const NAMES: [(&'static str, u8); 4] = [
        ("EXPECTED", Self::EXPECTED),
        ("SEEN_REPLY", Self::SEEN_REPLY),
        ("ASSURED", Self::ASSURED),
        ("CONFIRMED", Self::CONFIRMED),
    ];

    fn parse(text: &str) -> Result<StatusSet, IptablesError> {
        text.split(',').try_fold(StatusSet::default(), |set, word| {
            if word.eq_ignore_ascii_case("NONE") {
                return Ok(set);
            }
            match Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
                Some((_, bit)) => Ok(StatusSet(set.0 | bit)),
                None => parameter(format!("Bad ctstatus \"{word}\"")),
            }
        })
    }

    fn text(self) -> String {
        let names: Vec<&str> =
            Self::NAMES.iter().filter(|(_, bit)| self.0 & bit != 0).map(|(name, _)| *name).collect();
        if names.is_empty() { "NONE".to_owned() } else { names.join(",") }
    }

    /// Whether a connection has any of them. None is expected here: there are no helpers.
    fn fits(self, status: Status) -> bool {
        let has = |bit: u8, named: Status| self.0 & bit != 0 && status.contains(named);
        has(Self::SEEN_REPLY, Status::SEEN_REPLY)
            || has(Self::ASSURED, Status::ASSURED)
            || has(Self::CONFIRMED, Status::CONFIRMED)
    }
}

/// The ends of a connection in the order in which they are printed.
const ENDS: [&str; 4] = ["ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"];

/// An option of the match; ends count as in [`ENDS`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum ConntrackOption {
    State,
    Protocol,
    Address(usize),
    Port(usize),
    Status,
    Expire,
    Direction,
}

impl ConntrackMatch {
    /// `--ctstate` alone.
    pub fn states(states: Negatable<StateSet>) -> ConntrackMatch {
        ConntrackMatch { states: Some(states), ..ConntrackMatch::default() }
    }

    /// The option with this name.
    pub(crate) fn option_of(name: &str) -> Option<ConntrackOption> {
        let option = name.strip_prefix("--")?;
        let end = |name: &str| ENDS.iter().position(|end| *end == name);
        Some(match option {
            "ctstate" => ConntrackOption::State,
            "ctproto" => ConntrackOption::Protocol,
            "ctstatus" => ConntrackOption::Status,
            "ctexpire" => ConntrackOption::Expire,
            "ctdir" => ConntrackOption::Direction,
            _ => match option.strip_suffix("port") {
                Some(option) => ConntrackOption::Port(end(option)?),
                None => ConntrackOption::Address(end(option)?),
            },
        })
    }

    /// Gives an option its value.
    pub(crate) fn set(
        &mut self,
        option: ConntrackOption,
        negated: bool,
        value: &str,
        family: Family,
    ) -> Result<(), IptablesError> {
        match option {
            ConntrackOption::State => {
                once(&mut self.states, "ctstate", negated, states_of(value, "ctstate", 7)?)
            }
            ConntrackOption::Protocol => match parse_protocol(value) {
                Some(protocol) => once(&mut self.protocol, "ctproto", negated, protocol),
                None => parameter(format!("unknown protocol \"{value}\" specified")),
            },
            ConntrackOption::Status => {
                once(&mut self.statuses, "ctstatus", negated, StatusSet::parse(value)?)
            }
            ConntrackOption::Expire => once(&mut self.expires, "ctexpire", negated, seconds(value)?),
            ConntrackOption::Direction if negated => {
                parameter("conntrack: option \"--ctdir\" cannot be inverted.\n")
            }
            ConntrackOption::Direction => {
                let direction = match value {
                    value if value.eq_ignore_ascii_case("ORIGINAL") => Direction::Original,
                    value if value.eq_ignore_ascii_case("REPLY") => Direction::Reply,
                    _ => {
                        return parameter(format!(
                            "conntrack: Bad value for \"--ctdir\" option: \"{value}\""
                        ));
                    }
                };
                match self.direction.replace(direction) {
                    None => Ok(()),
                    Some(_) => parameter(twice("ctdir")),
                }
            }
            ConntrackOption::Address(end) => match AddressMask::parse(value, family) {
                Some(address) => once(&mut self.addresses[end], ENDS[end], negated, address),
                None => parameter("getaddrinfo: Name or service not known\n"),
            },
            ConntrackOption::Port(end) => {
                once(&mut self.ports[end], &format!("{}port", ENDS[end]), negated, ports(value)?)
            }
        }
    }

    /// The options, each with a blank before it; `prefix` is `--` where a rule is written and nothing where it is listed.
    pub(crate) fn text(&self, prefix: &str) -> String {
        let mut out = String::new();
        let mut put = |negated: bool, name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = write!(out, " {}{prefix}{name} {value}", if negated { "! " } else { "" });
        };
        if let Some(states) = self.states {
            put(states.negated, "ctstate", &state_names(states.value));
        }
        if let Some(protocol) = self.protocol {
            put(protocol.negated, "ctproto", &protocol.value.to_string());
        }
        for (name, address) in ENDS.iter().zip(self.addresses) {
            if let Some(address) = address {
                put(address.negated, name, &address.value.text());
            }
        }
        for (name, ports) in ENDS.iter().zip(self.ports) {
            if let Some(ports) = ports {
                let (first, last) = (ports.value.first, ports.value.last);
                let text = if first == last { first.to_string() } else { format!("{first}:{last}") };
                put(ports.negated, &format!("{name}port"), &text);
            }
        }
        if let Some(statuses) = self.statuses {
            put(statuses.negated, "ctstatus", &statuses.value.text());
        }
        if let Some(expires) = self.expires {
            let (first, last) = expires.value;
            let text = if first == last { first.to_string() } else { format!("{first}:{last}") };
            put(expires.negated, "ctexpire", &text);
        }
        if let Some(direction) = self.direction {
            put(
                false,
                "ctdir",
                match direction {
                    Direction::Original => "ORIGINAL",
                    Direction::Reply => "REPLY",
                },
            );
        }
        out
    }

    /// Whether a packet with these states, in this place of its connection, is meant. A packet without a connection is
    /// meant only if nothing but its state is asked for: as the kernel has it, its state alone decides then.
    pub(crate) fn fits(
        &self,
        present: StateSet,
        connection: Option<(&Connection, Direction)>,
        now: Duration,
    ) -> bool {
        if self.states.is_some_and(|states| states.value.intersects(present) == states.negated) {
            return false;
        }
        let Some((connection, direction)) = connection else { return self.states.is_some() };
        let (original, reply) = (connection.original(), connection.reply());
        let addresses = [original.source, original.destination, reply.source, reply.destination];
        let numbers =
            [original.source_port, original.destination_port, reply.source_port, reply.destination_port];
        // The timer of a connection starts when its first packet has passed.
        let left = match connection.status().contains(Status::CONFIRMED) {
            true => connection.expires().saturating_sub(now).as_secs(),
            false => 0,
        };
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        self.direction.is_none_or(|wanted| wanted == direction)
            && self.addresses.iter().zip(addresses).all(|(wanted, found)| {
                wanted.is_none_or(|wanted| wanted.value.block.contains(found) != wanted.negated)
            })
            && holds(self.protocol, |protocol| protocol == original.protocol)
            && self
                .ports
                .iter()
                .zip(numbers)
                .all(|(wanted, found)| wanted.is_none_or(|w| w.value.contains(found) != w.negated))
            && holds(self.statuses, |statuses| statuses.fits(connection.status()))
            && holds(self.expires, |(first, last)| (first..=last).contains(&left))
    }

    /// Whether the answer is the same for every packet of a direction once the connection is established.
    pub(crate) fn is_steady(&self) -> bool {
        self.statuses.is_none() && self.expires.is_none()
    }
}

fn holds<T: Copy>(wanted: Option<Negatable<T>>, test: impl Fn(T) -> bool) -> bool {
    wanted.is_none_or(|wanted| test(wanted.value) != wanted.negated)
}

fn once<T>(
    slot: &mut Option<Negatable<T>>,
    name: &str,
    negated: bool,
    value: T,
) -> Result<(), IptablesError> {
    match slot.replace(Negatable { negated, value }) {
        None => Ok(()),
        Some(_) => parameter(twice(name)),
    }
}

fn twice(name: &str) -> String {
    format!("conntrack: option \"--{name}\" can only be used once.\n")
}

fn ports(text: &str) -> Result<Range16, IptablesError> {
    let port = |text: &str| match parse_port(text) {
        Some(port) => Ok(port),
        None => parameter(format!("Port \"{text}\" does not resolve to anything.\n")),
    };
    let Some((first, last)) = text.split_once(':') else { return port(text).map(Range16::single) };
    Ok(Range16 {
        first: if first.is_empty() { 0 } else { port(first)? },
        last: if last.is_empty() { u16::MAX } else { port(last)? },
    })
}

fn seconds(text: &str) -> Result<(u32, u32), IptablesError> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let first = if first.is_empty() { Some(0) } else { first.parse().ok() };
    let last = if last.is_empty() { Some(u32::MAX) } else { last.parse().ok() };
    match (first, last) {
        (Some(first), Some(last)) => Ok((first, last)),
        _ => parameter(format!(
            "conntrack: bad value for option \"--ctexpire\" near \"{text}\", or out of range (0-4294967295).\n"
        )),
    }
}
