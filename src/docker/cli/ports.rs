//! The grammar of `-p`, `--expose` and `docker port`.
//!
//! A publication is `[[ip:][hostPort[-end]]:]containerPort[-end][/proto]`. The address may be IPv6, in brackets or
//! bare: the last two colons separate the ports. Host range and container range must be equally long, except that one
//! container port may name a host range to pick from. A range is expanded here, so that the daemon sees single container ports. The
//! texts of the refusals are those of Docker's client 28. Long syntax (`published=8080,target=80`) is
//! rewritten to the short one first, as the client does; host names are refused.

use std::{fmt, net::IpAddr, str::FromStr};

use thiserror::Error;

use crate::docker::request::ExposedPort;

/// The protocol of a port. All but ICMP can be published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, the default.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP, which has no ports; `--expose` takes it all the same.
    Icmp,
}

/// A range of ports, both ends included; one port when they are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port, not below `first`.
    pub last: u16,
}

/// One container port to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortPublish {
    /// The host address to listen on; `None` is the network's default (all addresses).
    pub host_ip: Option<IpAddr>,
    /// The host port, or a range from which the first free one is taken. `None` and port 0 ask for an ephemeral port.
    pub host_port: Option<PortRange>,
    /// The port in the container.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// Why a port specification is refused, in the words of Docker's client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PortError {
    /// The host address is no IP address.
    #[error("invalid IP address: {0}")]
    Address(String),
    /// The bracketed host address does not end in `]`.
    #[error("invalid IP address {0}: address {0}:: missing ']' in address")]
    Bracket(String),
    /// Nothing stands where the container port should.
    #[error("no port specified: {0}<empty>")]
    NoPort(String),
    /// The container port is no number from 0 to 65535 and no rising range.
    #[error("invalid containerPort: {0}")]
    ContainerPort(String),
    /// The host port is no number from 0 to 65535 and no rising range.
    #[error("invalid hostPort: {0}")]
    HostPort(String),
    /// Ranges of different length.
    #[error("invalid ranges specified for container and host Ports: {container} and {host}")]
    Ranges {
        /// The container range as written.
        container: String,
        /// The host range as written.
        host: String,
    },
    /// The protocol is not tcp, udp or sctp.
    #[error("invalid proto: {0}")]
    Protocol(String),
    /// A part of the long syntax is no `name=value`.
    #[error("invalid publish opts format (should be name=value but got '{0}')")]
    LongSyntax(String),
    /// `--expose` with a colon.
    #[error("invalid port format for --expose: {0}")]
    ExposeFormat(String),
    /// `docker port` with something that is no port.
    #[error("invalid port ({text}): {reason}")]
    Query {
        /// What was written.
        text: String,
        /// Why.
        reason: RangeError,
    },
    /// `--expose` with something that is no port range.
    #[error("invalid range format for --expose: {text}, error: {reason}")]
    ExposeRange {
        /// What was written.
        text: String,
        /// What is wrong with the range.
        reason: RangeError,
    },
}

/// Why a text is no range of ports.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RangeError {
    /// Empty text.
    #[error("empty string specified for ports")]
    Empty,
    /// Not a decimal number.
    #[error("strconv.ParseUint: parsing \"{0}\": invalid syntax")]
    Syntax(String),
    /// A number above 65535.
    #[error("strconv.ParseUint: parsing \"{0}\": value out of range")]
    TooLarge(String),
    /// The end lies before the start.
    #[error("invalid range specified for port: {0}")]
    Falling(String),
}

impl PortPublish {
    /// A publication of one container port; `None` for host address and port leave the choice to the daemon.
    pub fn new(
        host_ip: Option<IpAddr>,
        host_port: Option<PortRange>,
        container_port: u16,
        protocol: Protocol,
    ) -> Self {
        Self { host_ip, host_port, container_port, protocol }
    }

    /// Parses one `-p` value into one publication per container port.
    ///
    /// # Errors
    /// With the text Docker's client prints after `docker: `.
    pub fn parse(text: &str) -> Result<Vec<Self>, PortError> {
        if text.contains('=') { parse_short(&short_from_long(text)?) } else { parse_short(text) }
    }

    /// The container port with its protocol.
    pub fn exposed(&self) -> ExposedPort {
        ExposedPort { port: self.container_port, protocol: self.protocol }
    }
}

impl fmt::Display for PortPublish {
    /// Writes the short syntax, which parses back to the same value.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V4(address)) => write!(formatter, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(formatter, "[{address}]:")?,
            None => {}
        }
        match self.host_port {
            Some(range) => write!(formatter, "{range}:")?,
            None if self.host_ip.is_some() => formatter.write_str(":")?,
            None => {}
        }
        write!(formatter, "{}", self.exposed())
    }
}

impl PortRange {
    /// The range of one port.
    pub fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// Whether a port lies in it.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// How many ports beyond the first one.
    fn span(self) -> u16 {
        self.last.saturating_sub(self.first)
    }
}

impl FromStr for PortRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        if text.is_empty() {
            return Err(RangeError::Empty);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self { first: parse_port(first)?, last: parse_port(last)? };
        if range.last < range.first { Err(RangeError::Falling(text.to_owned())) } else { Ok(range) }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for Protocol {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let lower = text.to_lowercase();
        match lower.as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(PortError::Protocol(lower)),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Icmp => "icmp",
        })
    }
}

/// Parses one `--expose` value: `port[-end][/proto]`.
///
/// # Errors
/// With the text Docker's client prints after `docker: `.
pub fn parse_expose(text: &str) -> Result<Vec<ExposedPort>, PortError> {
    if text.contains(':') {
        return Err(PortError::ExposeFormat(text.to_owned()));
    }
    let (ports, protocol) = split_protocol(text);
    let range: PortRange =
        ports.parse().map_err(|reason| PortError::ExposeRange { text: text.to_owned(), reason })?;
    let protocol = match protocol.parse() {
        Err(_) if protocol.eq_ignore_ascii_case("icmp") => Protocol::Icmp,
        protocol => protocol?,
    };
    Ok((range.first..=range.last).map(|port| ExposedPort { port, protocol }).collect())
}

/// Parses what `docker port` is asked about, `port[/proto]`; `None` for a protocol that no published port has.
///
/// # Errors
/// With the text Docker's client prints after `Error: `.
pub fn parse_query(text: &str) -> Result<Option<ExposedPort>, PortError> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, ""));
    let number = parse_port(port).map_err(|reason| PortError::Query { text: port.to_owned(), reason })?;
    let protocol = match protocol {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Ok(None),
    };
    Ok(Some(ExposedPort { port: number, protocol }))
}

fn parse_short(text: &str) -> Result<Vec<PortPublish>, PortError> {
    let (address, host, rest) = split_parts(text);
    let (container, protocol) = split_protocol(rest);
    let host_ip = parse_address(address)?;
    if container.is_empty() {
        return Err(PortError::NoPort(text.to_owned()));
    }
    let container_range: PortRange =
        container.parse().map_err(|_| PortError::ContainerPort(container.to_owned()))?;
    let host_range: Option<PortRange> = if host.is_empty() {
        None
    } else {
        Some(host.parse().map_err(|_| PortError::HostPort(host.to_owned()))?)
    };
    if let Some(range) = host_range
        && range.span() != container_range.span()
        && container_range.span() != 0
    {
        return Err(PortError::Ranges { container: container.to_owned(), host: host.to_owned() });
    }
    let protocol = protocol.parse()?;
    let publication = |port: u16| {
        let host_port = match host_range {
            Some(range) if container_range.span() != 0 => {
                Some(PortRange::single(range.first.saturating_add(port - container_range.first)))
            }
            picked => picked,
        };
        PortPublish { host_ip, host_port, container_port: port, protocol }
    };
    Ok((container_range.first..=container_range.last).map(publication).collect())
}

/// Splits into address, host port and container port; missing parts are empty.
fn split_parts(text: &str) -> (&str, &str, &str) {
    let Some((before, container)) = text.rsplit_once(':') else { return ("", "", text) };
    match before.rsplit_once(':') {
        Some((address, host)) => (address, host, container),
        None => ("", before, container),
    }
}

/// Splits `80/udp`; without a protocol it is tcp.
pub(crate) fn split_protocol(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((port, "")) => (port, "tcp"),
        // What follows a second slash is not read.
        Some((port, rest)) => (port, rest.split('/').next().unwrap_or_default()),
        None => (text, "tcp"),
    }
}

fn parse_address(text: &str) -> Result<Option<IpAddr>, PortError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bare = match text.strip_prefix('[') {
        Some(open) => open.strip_suffix(']').ok_or_else(|| PortError::Bracket(text.to_owned()))?,
        None => text,
    };
    bare.parse().map(Some).map_err(|_| PortError::Address(bare.to_owned()))
}

fn parse_port(text: &str) -> Result<u16, RangeError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RangeError::Syntax(text.to_owned()));
    }
    text.parse().map_err(|_| RangeError::TooLarge(text.to_owned()))
}

/// Docker's client knows published, target and protocol here and drops every other key.
fn short_from_long(text: &str) -> Result<String, PortError> {
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some((name, _)) if !name.is_empty() => {}
            _ => return Err(PortError::LongSyntax(part.to_owned())),
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match PortPublish::parse(text) {
            Ok(ports) => ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn publications() {
        let cases = [
            ("80", "80/tcp"),
            ("8080:80", "8080:80/tcp"),
            ("5353:7000/udp", "5353:7000/udp"),
            ("8096:80/SCTP", "8096:80/sctp"),
            ("127.0.0.1:8081:80", "127.0.0.1:8081:80/tcp"),
            ("203.0.113.10::80", "203.0.113.10::80/tcp"),
            ("9000-9002:9000-9002", "9000:9000/tcp 9001:9001/tcp 9002:9002/tcp"),
            ("7000-7001", "7000/tcp 7001/tcp"),
            ("8000-9000:5000", "8000-9000:5000/tcp"),
            ("[::1]:8095:80", "[::1]:8095:80/tcp"),
            ("2001:db8::1:8095:80", "[2001:db8::1]:8095:80/tcp"),
            ("[::]::80", "[::]::80/tcp"),
            (":80", "80/tcp"),
            ("0:80", "0:80/tcp"),
            ("80/", "80/tcp"),
            ("published=8080,target=80", "8080:80/tcp"),
            ("published=8080,target=80,protocol=udp,mode=host", "8080:80/udp"),
            ("70000:80", "error: invalid hostPort: 70000"),
            ("80:80:80:80", "error: invalid IP address: 80:80"),
            ("abc:80", "error: invalid hostPort: abc"),
            ("8090:80/icmp", "error: invalid proto: icmp"),
            (
                "9000-9001:80-82",
                "error: invalid ranges specified for container and host Ports: 80-82 and 9000-9001",
            ),
            ("8080:80-81", "error: invalid ranges specified for container and host Ports: 80-81 and 8080"),
            ("9-8", "error: invalid containerPort: 9-8"),
            ("1-2-3", "error: invalid containerPort: 1-2-3"),
            ("+80", "error: invalid containerPort: +80"),
            ("", "error: no port specified: <empty>"),
            ("8080:", "error: no port specified: 8080:<empty>"),
            ("localhost:80:80", "error: invalid IP address: localhost"),
            ("[::1:80:80", "error: invalid IP address [::1: address [::1:: missing ']' in address"),
            ("target=80,x", "error: invalid publish opts format (should be name=value but got 'x')"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_whole_range_fits() {
        assert_eq!(PortPublish::parse("0-65535:0-65535").unwrap().len(), 65536);
    }

    #[test]
    fn exposed_ports() {
        let ports = parse_expose("7000-7002/udp").unwrap();
        assert_eq!(
            ports.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["7000/udp", "7001/udp", "7002/udp"]
        );
        let cases = [
            ("80:80", "invalid port format for --expose: 80:80"),
            ("9-8", "invalid range format for --expose: 9-8, error: invalid range specified for port: 9-8"),
            (
                "abc",
                "invalid range format for --expose: abc, error: strconv.ParseUint: parsing \"abc\": invalid syntax",
            ),
            ("80/foo", "invalid proto: foo"),
        ];
        assert_eq!(parse_expose("80/ICMP").unwrap()[0].to_string(), "80/icmp");
        for (text, expected) in cases {
            assert_eq!(parse_expose(text).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            host_ip in proptest::option::of(any::<IpAddr>()),
            host_port in proptest::option::of((any::<u16>(), any::<u16>())),
            container_port in any::<u16>(),
            protocol in prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)],
        ) {
            let host_port = host_port.map(|(a, b)| PortRange { first: a.min(b), last: a.max(b) });
            let port = PortPublish::new(host_ip, host_port, container_port, protocol);
            prop_assert_eq!(PortPublish::parse(&port.to_string()), Ok(vec![port]));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "[0-9a-f:.\\[\\]/=,-]{0,24}") {
            if let Ok(ports) = PortPublish::parse(&text) {
                prop_assert!(!ports.is_empty());
            }
            let _ = parse_expose(&text);
        }
    }
}
