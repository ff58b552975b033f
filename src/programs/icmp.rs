//! ICMP messages as ping and traceroute need them (RFC 792, RFC 4443).

use std::net::IpAddr;

/// IP protocol number of ICMP.
pub(crate) const ICMP: u8 = 1;
/// IP protocol number of ICMPv6.
pub(crate) const ICMPV6: u8 = 58;

/// What an IP packet from a raw socket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// An answer to an echo request.
    EchoReply {
        /// The identifier of whoever asked.
        id: u16,
        /// The number of the request.
        sequence: u16,
        /// Bytes of the ICMP message.
        length: usize,
        /// The packet's time to live on arrival.
        ttl: u8,
    },
    /// The time to live of a packet ran out on its way.
    TimeExceeded(Quoted),
    /// A packet could not be delivered.
    Unreachable {
        /// The ICMP code.
        code: u8,
        /// The packet.
        quoted: Quoted,
    },
}

/// The beginning of the packet an ICMP error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quoted {
    /// Where it was going.
    pub(crate) destination: Option<IpAddr>,
    /// Its IP protocol.
    pub(crate) protocol: u8,
    /// The first eight bytes behind its IP header.
    pub(crate) payload: [u8; 8],
}

/// An echo request with its checksum (which the namespace fills in for ICMPv6).
pub(crate) fn echo_request(ipv6: bool, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![if ipv6 { 128 } else { 8 }, 0, 0, 0];
    message.extend(id.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(payload);
    if !ipv6 {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// Reads an IP packet; `None` for everything that is not for ping or traceroute.
pub(crate) fn parse(packet: &[u8]) -> Option<Message> {
    let header = IpHeader::parse(packet)?;
    let message = packet.get(header.length..)?;
    let (kind, code) = (*message.first()?, *message.get(1)?);
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    match (header.ipv6, kind) {
        (false, 0) | (true, 129) => Some(Message::EchoReply {
            id: word(4)?,
            sequence: word(6)?,
            length: message.len(),
            ttl: header.ttl,
        }),
        (false, 11) | (true, 3) => Some(Message::TimeExceeded(quoted(message.get(8..)?)?)),
        (false, 3) | (true, 1) => Some(Message::Unreachable { code, quoted: quoted(message.get(8..)?)? }),
        _ => None,
    }
}

fn quoted(packet: &[u8]) -> Option<Quoted> {
    let header = IpHeader::parse(packet)?;
    let payload = packet.get(header.length..)?.first_chunk::<8>()?;
    Some(Quoted { destination: header.destination, protocol: header.protocol, payload: *payload })
}

struct IpHeader {
    ipv6: bool,
    length: usize,
    ttl: u8,
    protocol: u8,
    destination: Option<IpAddr>,
}

impl IpHeader {
    fn parse(packet: &[u8]) -> Option<IpHeader> {
        match packet.first()? >> 4 {
            4 => {
                let destination = packet.get(16..20)?.first_chunk::<4>().map(|octets| IpAddr::from(*octets));
                let length = usize::from(packet[0] & 15) * 4;
                Some(IpHeader { ipv6: false, length, ttl: packet[8], protocol: packet[9], destination })
            }
            6 => {
                let destination = packet.get(24..40)?.first_chunk::<16>().map(|octets| IpAddr::from(*octets));
                Some(IpHeader { ipv6: true, length: 40, ttl: packet[7], protocol: packet[6], destination })
            }
            _ => None,
        }
    }
}

/// The Internet checksum (RFC 1071).
pub(crate) fn checksum(data: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in data.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_sums_to_zero_and_errors_quote_their_packet() {
        let request = echo_request(false, 7, 9, &[1, 2, 3]);
        assert_eq!(checksum(&request), 0);
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 61, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let inner = packet.clone();
        packet.extend([11, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(inner);
        packet.extend(&request[..8]);
        let Some(Message::TimeExceeded(quoted)) = parse(&packet) else { panic!("not read") };
        assert_eq!(quoted.destination, Some("10.0.0.2".parse().unwrap()));
        assert_eq!((quoted.protocol, quoted.payload[5], quoted.payload[7]), (1, 7, 9));
        for end in 0..packet.len() {
            assert_eq!(parse(&packet[..end]), None);
        }
    }
}
