//! Checks: one line each, parsed and emitted by the same grammar.
//!
//! ```text
//! FROM -> TO[:PORT[/PROTO]]: ok [from ADDRESS] | refused | timeout | unreachable | unresolved | no-answer
//! FROM ? NAME: ADDRESS[, ADDRESS]... | unresolved
//! only FROM[, FROM]... -> TO[:PORT[/PROTO]]
//! ```
//!
//! Without a port the check is a ping. FROM is a service, a container, `host`, `host:NAME` or `world:NAME`; TO may also
//! be an address (IPv6 in brackets when a port follows), `localhost` or any DNS name. `only` is a closed world: of
//! all containers exactly those listed reach TO. YAML reads an unquoted `a -> b:80: ok` as a mapping of one entry; the
//! loader joins it again, so the line may be written without quotes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::diagnostic::Span;
use super::model::Protocol;
use super::steps::Target;
use crate::world::probe::Attempt;

/// A check and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What must hold.
    pub claim: Claim,
    /// Where it was written.
    pub span: Span,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A connection or ping has this outcome.
    Reach {
        /// Who tries.
        from: Target,
        /// What is tried.
        to: Endpoint,
        /// How it ends.
        outcome: Outcome,
    },
    /// A name resolves to exactly these addresses, in any order; none means it does not resolve.
    Resolve {
        /// Who asks.
        from: Target,
        /// The name.
        name: String,
        /// The answer.
        addresses: Vec<IpAddr>,
    },
    /// Of all containers only these reach it.
    Only {
        /// Who does.
        from: Vec<Target>,
        /// What is tried.
        to: Endpoint,
    },
}

/// What is tried: a place and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The place.
    pub place: Place,
    /// The port; absent: a ping.
    pub port: Option<u16>,
    /// The port's protocol.
    pub protocol: Protocol,
}

impl Endpoint {
    /// What it is tried with: a ping without a port, else a connection or a datagram.
    #[must_use]
    pub const fn attempt(&self) -> Attempt {
        match (self.port, self.protocol) {
            (None, _) => Attempt::Ping,
            (Some(port), Protocol::Udp) => Attempt::Udp(port),
            (Some(port), Protocol::Tcp | Protocol::Sctp) => Attempt::Tcp(port),
        }
    }
}

/// A place as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A service, container or DNS name, resolved by the one who tries (`localhost` too).
    Name(String),
    /// An address.
    Address(IpAddr),
    /// A host, by its first card's address; absent: the only host.
    Host(Option<String>),
    /// An outside machine, by its first address.
    World(String),
}

/// How a try ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It works; with an address, that is the source the server sees.
    Ok(Option<IpAddr>),
    /// Refused: RST, or ICMP port unreachable.
    Refused,
    /// Silence.
    Timeout,
    /// An ICMP error, or no route.
    Unreachable,
    /// The name does not resolve.
    Unresolved,
    /// UDP: sent, nothing came back and no error.
    NoAnswer,
}

/// Why a line is not a check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CheckError(String);

const OUTCOMES: [&str; 6] = ["ok", "refused", "timeout", "unreachable", "unresolved", "no-answer"];

fn fail<T>(message: impl Into<String>) -> Result<T, CheckError> {
    Err(CheckError(message.into()))
}

/// Whether a line is meant as a check, whatever its faults.
#[must_use]
pub fn looks_like_check(line: &str) -> bool {
    let first = line.split_whitespace().nth(1);
    line.starts_with("only ") || matches!(first, Some("->" | "?"))
}

impl FromStr for Claim {
    type Err = CheckError;

    fn from_str(line: &str) -> Result<Self, CheckError> {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("only ").filter(|rest| !rest.trim_start().starts_with("->")) {
            return only(rest);
        }
        if let Some((from, rest)) = line.split_once(" -> ") {
            let Some((to, outcome)) = rest.split_once(": ") else {
                return fail(format!(
                    "expected `: OUTCOME` after `{}`, as in `client -> web:80: ok`",
                    rest.trim()
                ));
            };
            return Ok(Self::Reach {
                from: target(from)?,
                to: to.trim().parse()?,
                outcome: outcome.trim().parse()?,
            });
        }
        if let Some((from, rest)) = line.split_once(" ? ") {
            let Some((name, answer)) = rest.split_once(": ") else {
                return fail(format!("expected `: ADDRESS` or `: unresolved` after `{}`", rest.trim()));
            };
            return Ok(Self::Resolve {
                from: target(from)?,
                name: word(name)?,
                addresses: addresses(answer)?,
            });
        }
        fail("expected `FROM -> TO:PORT: OUTCOME`, `FROM ? NAME: ADDRESS` or `only FROM -> TO`")
    }
}

fn only(rest: &str) -> Result<Claim, CheckError> {
    let Some((from, to)) = rest.split_once(" -> ") else {
        return fail("expected `only FROM[, FROM] -> TO`");
    };
    let from = from.split(',').map(target).collect::<Result<_, _>>()?;
    Ok(Claim::Only { from, to: to.trim().parse()? })
}

fn addresses(answer: &str) -> Result<Vec<IpAddr>, CheckError> {
    if answer.trim() == "unresolved" {
        return Ok(Vec::new());
    }
    answer
        .split(',')
        .map(|text| {
            let text = text.trim();
            text.parse().map_err(|_| CheckError(format!("`{text}` is neither an address nor `unresolved`")))
        })
        .collect()
}

fn target(text: &str) -> Result<Target, CheckError> {
    text.trim().parse().map_err(CheckError)
}

fn word(text: &str) -> Result<String, CheckError> {
    let text = text.trim();
    if text.is_empty() {
        return fail("a name is missing");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || "/,[]?>\"'".contains(c)) {
        return fail(format!("`{text}` is not a name"));
    }
    Ok(text.to_owned())
}

impl FromStr for Endpoint {
    type Err = CheckError;

    fn from_str(text: &str) -> Result<Self, CheckError> {
        // A bare IPv6 address has colons but no port.
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self { place: Place::Address(address.into()), port: None, protocol: Protocol::Tcp });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let Some((address, rest)) = rest.split_once(']') else {
                return fail(format!("`{text}` has no closing `]`"));
            };
            let Ok(address) = address.parse::<Ipv6Addr>() else {
                return fail(format!("`{address}` is not an IPv6 address"));
            };
            let (port, protocol) = port(rest, text)?;
            return Ok(Self { place: Place::Address(address.into()), port, protocol });
        }
        let (prefix, rest) = match text.split_once(':') {
            Some((prefix @ ("world" | "host"), rest)) if !rest.starts_with(|c: char| c.is_ascii_digit()) => {
                (Some(prefix), rest)
            }
            _ => (None, text),
        };
        let (name, after) = match rest.find([':', '/']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let name = word(name)?;
        if name.contains(':') {
            return fail(format!("`{text}` is not a place"));
        }
        let (port, protocol) = port(after, text)?;
        let place = match prefix {
            Some("world") => Place::World(name),
            Some(_) => Place::Host(Some(name)),
            None if name == "host" => Place::Host(None),
            None => name.parse().map_or(Place::Name(name), Place::Address),
        };
        Ok(Self { place, port, protocol })
    }
}

/// `:PORT[/PROTO]` or nothing.
fn port(text: &str, whole: &str) -> Result<(Option<u16>, Protocol), CheckError> {
    if text.is_empty() {
        return Ok((None, Protocol::Tcp));
    }
    let Some(text) = text.strip_prefix(':') else {
        return fail(format!("expected `:PORT` after the place in `{whole}`"));
    };
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    match number.parse::<u16>() {
        Ok(number) if number > 0 => Ok((Some(number), protocol.parse().map_err(CheckError)?)),
        _ => fail(format!("`{number}` is not a port: expected 1 to 65535")),
    }
}

impl FromStr for Outcome {
    type Err = CheckError;

    fn from_str(text: &str) -> Result<Self, CheckError> {
        if let Some(rest) = text.strip_prefix("ok") {
            if rest.is_empty() {
                return Ok(Self::Ok(None));
            }
            if let Some(source) = rest.trim_start().strip_prefix("from ") {
                let source = source.trim();
                return source
                    .parse()
                    .map(|address| Self::Ok(Some(address)))
                    .map_err(|_| CheckError(format!("`{source}` is not an address")));
            }
        }
        match text {
            "refused" => Ok(Self::Refused),
            "timeout" => Ok(Self::Timeout),
            "unreachable" => Ok(Self::Unreachable),
            "unresolved" => Ok(Self::Unresolved),
            "no-answer" => Ok(Self::NoAnswer),
            _ => {
                let near = super::diagnostic::did_you_mean(text, OUTCOMES).unwrap_or_default();
                let near = if near.is_empty() { near } else { format!("; {near}") };
                fail(format!("`{text}` is not an outcome: expected one of {}{near}", OUTCOMES.join(", ")))
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(None) => f.write_str("ok"),
            Self::Ok(Some(address)) => write!(f, "ok from {address}"),
            Self::Refused => f.write_str("refused"),
            Self::Timeout => f.write_str("timeout"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Unresolved => f.write_str("unresolved"),
            Self::NoAnswer => f.write_str("no-answer"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Name(name) => f.write_str(name)?,
            Place::Address(IpAddr::V6(address)) if self.port.is_some() => write!(f, "[{address}]")?,
            Place::Address(address) => write!(f, "{address}")?,
            Place::Host(None) => f.write_str("host")?,
            Place::Host(Some(name)) => write!(f, "host:{name}")?,
            Place::World(name) => write!(f, "world:{name}")?,
        }
        match (self.port, self.protocol) {
            (None, _) => Ok(()),
            (Some(port), Protocol::Tcp) => write!(f, ":{port}"),
            (Some(port), protocol) => write!(f, ":{port}/{protocol}"),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reach { from, to, outcome } => write!(f, "{from} -> {to}: {outcome}"),
            Self::Resolve { from, name, addresses } if addresses.is_empty() => {
                write!(f, "{from} ? {name}: unresolved")
            }
            Self::Resolve { from, name, addresses } => {
                write!(f, "{from} ? {name}: {}", list(addresses))
            }
            Self::Only { from, to } => write!(f, "only {} -> {to}", list(from)),
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_that_hold() {
        for line in [
            "client -> web:80: ok",
            "client -> web: timeout",
            "host -> localhost:8080: ok from 172.18.0.1",
            "web -> [fd00::1]:53/udp: no-answer",
            "web -> fd00::1: unreachable",
            "world:alice -> host:8080: refused",
            "world:alice -> host:node1:8080: refused",
            "web -> world:alice:80: ok",
            "web -> 10.0.0.1:80: unresolved",
            "client ? web: 172.18.0.2, fd00::2",
            "client ? web: unresolved",
            "only web, api -> db:5432",
            "only web -> db",
            "web -> example.com:443: ok",
            "host:node1 -> host: ok",
        ] {
            assert_eq!(line.parse::<Claim>().expect(line).to_string(), line);
            assert!(looks_like_check(line), "{line}");
        }
    }

    #[test]
    fn a_digit_after_host_is_a_port() {
        let to: Endpoint = "host:80".parse().unwrap();
        assert_eq!(to, Endpoint { place: Place::Host(None), port: Some(80), protocol: Protocol::Tcp });
    }

    #[test]
    fn lines_that_do_not() {
        for (line, message) in [
            ("web -> db:5432", "expected `: OUTCOME`"),
            ("web -> db:0: ok", "1 to 65535"),
            ("web -> db:70000: ok", "1 to 65535"),
            ("web -> db:80/icmp: ok", "unknown protocol"),
            ("web -> db: refusd", "did you mean `refused`?"),
            ("web -> db: timout", "did you mean `timeout`?"),
            ("web -> [fd00::1:80: ok", "closing"),
            ("web -> : ok", "name is missing"),
            (" -> db: ok", "expected"),
            ("web ? db: x", "neither an address"),
            ("only -> db", "expected"),
            ("nonsense", "expected `FROM"),
        ] {
            let error = line.parse::<Claim>().expect_err(line).to_string();
            assert!(error.contains(message), "{line}: {error}");
        }
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9_.-]{0,8}"
            .prop_filter("reserved", |name| name != "host" && name != "world" && name != "only")
    }

    fn any_target() -> impl Strategy<Value = Target> {
        prop_oneof![
            name().prop_map(Target::Container),
            Just(Target::Host(None)),
            name().prop_map(|name| Target::Host(Some(name))),
            name().prop_map(Target::World),
        ]
    }

    fn any_endpoint() -> impl Strategy<Value = Endpoint> {
        let place = prop_oneof![
            name().prop_map(Place::Name),
            any::<IpAddr>().prop_map(Place::Address),
            Just(Place::Host(None)),
            name().prop_map(|name| Place::Host(Some(name))),
            name().prop_map(Place::World),
        ];
        let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
        (place, proptest::option::of(1u16..), protocol).prop_map(|(place, port, protocol)| Endpoint {
            place,
            port,
            protocol: if port.is_some() { protocol } else { Protocol::Tcp },
        })
    }

    fn any_claim() -> impl Strategy<Value = Claim> {
        let outcome = prop_oneof![
            proptest::option::of(any::<IpAddr>()).prop_map(Outcome::Ok),
            Just(Outcome::Refused),
            Just(Outcome::Timeout),
            Just(Outcome::Unreachable),
            Just(Outcome::Unresolved),
            Just(Outcome::NoAnswer),
        ];
        prop_oneof![
            (any_target(), any_endpoint(), outcome).prop_map(|(from, to, outcome)| Claim::Reach {
                from,
                to,
                outcome
            }),
            (any_target(), name(), proptest::collection::vec(any::<IpAddr>(), 0..3))
                .prop_map(|(from, name, addresses)| Claim::Resolve { from, name, addresses }),
            (proptest::collection::vec(any_target(), 1..4), any_endpoint())
                .prop_map(|(from, to)| Claim::Only { from, to }),
        ]
    }

    proptest! {
        #[test]
        fn emit_and_parse_are_inverse(claim in any_claim()) {
            prop_assert_eq!(claim.to_string().parse::<Claim>().unwrap(), claim);
        }

        #[test]
        fn any_line_is_taken_or_refused(line in "[a-z0-9:>?/,\\[\\]. é-]{0,40}") {
            if let Ok(claim) = line.parse::<Claim>() {
                prop_assert_eq!(claim.to_string().parse::<Claim>().unwrap(), claim);
            }
        }
    }
}
