//! Names that iptables' text uses for numbers: IP protocols, services, ICMP types. The tables hold the entries of
//! Debian's /etc/protocols and /etc/services that container hosts meet; other numbers print as numbers.

use crate::rule::{Family, IcmpType};

/// Protocol names by number; the first of a number is the one printed.
const PROTOCOLS: [(&str, u8); 23] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipencap", 4),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("icmp6", 58),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
    ("all", 0),
];

/// Services by port, with whether the entry is there for TCP and for UDP.
const SERVICES: [(&str, u16, bool, bool); 25] = [
    ("tcpmux", 1, true, false),
    ("echo", 7, true, true),
    ("ftp", 21, true, false),
    ("ssh", 22, true, false),
    ("telnet", 23, true, false),
    ("smtp", 25, true, false),
    ("domain", 53, true, true),
    ("bootps", 67, false, true),
    ("bootpc", 68, false, true),
    ("tftp", 69, false, true),
    ("http", 80, true, false),
    ("kerberos", 88, true, true),
    ("pop3", 110, true, false),
    ("sunrpc", 111, true, true),
    ("ntp", 123, false, true),
    ("imap2", 143, true, false),
    ("snmp", 161, true, true),
    ("bgp", 179, true, false),
    ("ldap", 389, true, true),
    ("https", 443, true, true),
    ("syslog", 514, false, true),
    ("imaps", 993, true, false),
    ("cisco-sccp", 2000, true, false),
    ("mysql", 3306, true, false),
    ("postgresql", 5432, true, false),
];

/// ICMP names with type and code (`None` is any code), the preferred spelling of a number first.
const ICMP: [(&str, u8, Option<u8>); 38] = [
    ("echo-reply", 0, None),
    ("pong", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)),
    ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)),
    ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)),
    ("host-unknown", 3, Some(7)),
    ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)),
    ("TOS-network-unreachable", 3, Some(11)),
    ("TOS-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)),
    ("source-quench", 4, None),
    ("redirect", 5, None),
    ("network-redirect", 5, Some(0)),
    ("host-redirect", 5, Some(1)),
    ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)),
    ("echo-request", 8, None),
    ("ping", 8, None),
    ("router-advertisement", 9, None),
    ("router-solicitation", 10, None),
    ("time-exceeded", 11, None),
    ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)),
    ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None),
    ("ip-header-bad", 12, Some(0)),
    ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None),
    ("timestamp-reply", 14, None),
    ("address-mask-request", 17, None),
];

/// ICMPv6 names, as [`ICMP`].
const ICMP6: [(&str, u8, Option<u8>); 22] = [
    ("destination-unreachable", 1, None),
    ("no-route", 1, Some(0)),
    ("communication-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)),
    ("address-unreachable", 1, Some(3)),
    ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)),
    ("reject-route", 1, Some(6)),
    ("packet-too-big", 2, None),
    ("time-exceeded", 3, None),
    ("ttl-exceeded", 3, None),
    ("ttl-zero-during-transit", 3, Some(0)),
    ("ttl-zero-during-reassembly", 3, Some(1)),
    ("parameter-problem", 4, None),
    ("echo-request", 128, None),
    ("ping", 128, None),
    ("echo-reply", 129, None),
    ("router-solicitation", 133, None),
    ("router-advertisement", 134, None),
    ("neighbour-solicitation", 135, None),
    ("neighbour-advertisement", 136, None),
    ("redirect", 137, None),
];

/// The number of a protocol written as a name or a number; 0 is every protocol.
pub(crate) fn parse_protocol(text: &str) -> Option<u8> {
    let lower = text.to_ascii_lowercase();
    PROTOCOLS.iter().find(|(name, _)| *name == lower).map(|(_, number)| *number).or_else(|| text.parse().ok())
}

/// The name of a protocol, if it has one.
pub(crate) fn protocol_name(number: u8) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(_, n)| *n == number).map(|(name, _)| *name)
}

/// The port of a service written as a name or a number.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().or_else(|| SERVICES.iter().find(|(name, ..)| *name == text).map(|(_, port, ..)| *port))
}

/// The name of a service over an IP protocol, if it has one.
pub(crate) fn service_name(port: u16, protocol: u8) -> Option<&'static str> {
    SERVICES
        .iter()
        .find(|(_, p, tcp, udp)| *p == port && ((*tcp && protocol == 6) || (*udp && protocol == 17)))
        .map(|(name, ..)| *name)
}

/// An ICMP type written as a name, a number or `type/code`.
pub(crate) fn parse_icmp(text: &str, family: Family) -> Option<IcmpType> {
    if family == Family::Ipv4 && (text == "any" || text == "255") {
        return Some(IcmpType::Any);
    }
    if let Some((_, kind, code)) = icmp_names(family).iter().find(|(name, _, _)| *name == text) {
        return Some(code.map_or(IcmpType::Type(*kind), |code| IcmpType::Code(*kind, code)));
    }
    match text.split_once('/') {
        Some((kind, code)) => Some(IcmpType::Code(kind.parse().ok()?, code.parse().ok()?)),
        None => text.parse().ok().map(IcmpType::Type),
    }
}

/// The name of an ICMP type, if it has one.
pub(crate) fn icmp_name(kind: IcmpType, family: Family) -> Option<&'static str> {
    let wanted = match kind {
        IcmpType::Any => return Some("any"),
        IcmpType::Type(kind) => (kind, None),
        IcmpType::Code(kind, code) => (kind, Some(code)),
    };
    icmp_names(family).iter().find(|(_, kind, code)| (*kind, *code) == wanted).map(|(name, _, _)| *name)
}

fn icmp_names(family: Family) -> &'static [(&'static str, u8, Option<u8>)] {
    match family {
        Family::Ipv4 => &ICMP,
        Family::Ipv6 => &ICMP6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_to_its_number() {
        for (name, number) in PROTOCOLS {
            assert_eq!(parse_protocol(name), Some(number));
        }
        for (name, port, tcp, udp) in SERVICES {
            assert_eq!(parse_port(name), Some(port));
            assert_eq!(service_name(port, 6), tcp.then_some(name));
            assert_eq!(service_name(port, 17), udp.then_some(name));
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            for (name, _, _) in icmp_names(family) {
                let kind = parse_icmp(name, family).unwrap();
                let preferred = icmp_name(kind, family).unwrap();
                assert_eq!(parse_icmp(preferred, family), Some(kind));
            }
        }
        assert_eq!(parse_protocol("300"), None);
        assert_eq!(parse_port("65536"), None);
        assert_eq!(parse_icmp("3/", Family::Ipv4), None);
    }
}
