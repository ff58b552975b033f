//! The identity of a flow in one direction, as the Linux kernel's `nf_conntrack_tuple`: addresses, protocol and
//! the two 16-bit identifiers that the protocol puts in its header (ports for TCP, UDP and SCTP; for ICMP echo the
//! identifier on the source side and type/code on the destination side; zero for other protocols).

use std::net::IpAddr;

/// One direction of a flow. Equal tuples belong to the same flow and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IP protocol number (RFC 790 registry).
    pub protocol: u8,
    /// Source port, or the ICMP echo identifier, or 0.
    pub source_port: u16,
    /// Destination port, or `(type << 8) | code` for ICMP, or 0.
    pub destination_port: u16,
}

/// ICMP types that answer each other (RFC 792, RFC 950; Linux: `nf_conntrack_proto_icmp.c`).
const ICMP_PAIRS: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];

/// ICMPv6 types that answer each other (RFC 4443, RFC 4620; Linux: `nf_conntrack_proto_icmpv6.c`).
const ICMPV6_PAIRS: [(u8, u8); 2] = [(128, 129), (139, 140)];

impl Tuple {
    /// The tuple of the answers: ends exchanged, and for ICMP the type that answers with the identifier kept.
    /// `None` for ICMP messages that nothing answers.
    pub fn inverted(&self) -> Option<Tuple> {
        let (source_port, destination_port) = match self.protocol {
            1 => (self.source_port, answering(&ICMP_PAIRS, self.destination_port)?),
            58 => (self.source_port, answering(&ICMPV6_PAIRS, self.destination_port)?),
            _ => (self.destination_port, self.source_port),
        };
        Some(Tuple {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            source_port,
            destination_port,
        })
    }

    /// Whether the protocol is ICMP or ICMPv6, whose identifier stands on the source side in both directions.
    pub fn is_icmp(&self) -> bool {
        matches!(self.protocol, 1 | 58)
    }
}

fn answering(pairs: &[(u8, u8)], type_code: u16) -> Option<u16> {
    let [kind, code] = type_code.to_be_bytes();
    pairs.iter().find_map(|(request, reply)| match kind {
        kind if kind == *request => Some(u16::from_be_bytes([*reply, code])),
        kind if kind == *reply => Some(u16::from_be_bytes([*request, code])),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn inverting_twice_changes_nothing(a: [u8; 4], b: [u8; 4], protocol: u8, ports: (u16, u16)) {
            let (source, destination) = (IpAddr::from(a), IpAddr::from(b));
            let tuple =
                Tuple { source, destination, protocol, source_port: ports.0, destination_port: ports.1 };
            match tuple.inverted() {
                Some(reply) => {
                    prop_assert_eq!((reply.source, reply.destination), (destination, source));
                    prop_assert_eq!(reply.inverted(), Some(tuple));
                }
                None => prop_assert!(tuple.is_icmp()),
            }
        }
    }

    #[test]
    fn an_echo_is_answered_with_its_identifier() {
        let source: IpAddr = [10, 0, 0, 1].into();
        let request = Tuple {
            source,
            destination: [10, 0, 0, 2].into(),
            protocol: 1,
            source_port: 77,
            destination_port: 0x0800,
        };
        let reply = request.inverted().unwrap();
        assert_eq!((reply.source_port, reply.destination_port, reply.destination), (77, 0, source));
        assert_eq!(Tuple { destination_port: 0x0301, ..request }.inverted(), None);
    }
}
