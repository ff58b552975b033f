//! Writing packets: IP headers, UDP datagrams, TCP segments and ICMP echo requests with complete checksums.
//!
//! For what a namespace says itself and for tests. A TCP connection's segments come from the TCP stack; the
//! segment here serves resets and probes.

use crate::checksum;
use crate::packet::{ICMP, ICMPV6, IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, TCP, TcpFlags, UDP};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Linux's `net.ipv4.ip_default_ttl` and `net.ipv6.conf.*.hop_limit`.
pub const DEFAULT_TTL: u8 = 64;

/// The fields of an IP header that a sender chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpHeader {
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same IP version.
    pub destination: IpAddr,
    /// Protocol, or next header.
    pub protocol: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Type of service, or traffic class.
    pub tos: u8,
    /// IPv4 identification; unused for IPv6.
    pub identification: u16,
    /// IPv4's don't-fragment flag; unused for IPv6.
    pub dont_fragment: bool,
}

/// The fields of a TCP header that a sender chooses besides the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpSegment {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window, not scaled.
    pub window: u16,
}

/// Why a packet cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The addresses are of two IP versions.
    #[error("a packet from {source_address} to {destination}: both addresses must be of one IP version")]
    FamilyMismatch {
        /// The source address.
        source_address: IpAddr,
        /// The destination address.
        destination: IpAddr,
    },
    /// The payload does not fit the length field.
    #[error("{found} bytes of IP payload: expected at most {limit}, send less or in parts")]
    TooLong {
        /// Bytes behind the IP header.
        found: usize,
        /// Bytes that the length field can say.
        limit: usize,
    },
}

impl IpHeader {
    /// A header with Linux's defaults: time to live 64, type of service 0, may not be fragmented.
    pub fn new(source: IpAddr, destination: IpAddr, protocol: u8) -> IpHeader {
        let (ttl, tos, identification) = (DEFAULT_TTL, 0, 0);
        IpHeader { source, destination, protocol, ttl, tos, identification, dont_fragment: true }
    }
}

/// A whole IP packet of either version.
pub fn emit_ip(header: &IpHeader, payload: &[u8]) -> Result<Vec<u8>, EmitError> {
    let mut packet = Vec::with_capacity(IPV6_HEADER_LENGTH + payload.len());
    emit_ip_header(header, payload.len(), &mut packet)?;
    packet.extend_from_slice(payload);
    Ok(packet)
}

/// Appends an IP header, IPv4's checksum included, for `payload_length` bytes that follow. The IPv4 header has no
/// options, the IPv6 header the flow label 0. On an error nothing is appended.
pub fn emit_ip_header(
    header: &IpHeader,
    payload_length: usize,
    packet: &mut Vec<u8>,
) -> Result<(), EmitError> {
    match (header.source, header.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            packet.extend(ipv4_header(source, destination, header, payload_length)?);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            packet.extend(ipv6_header(source, destination, header, payload_length)?);
        }
        (source_address, destination) => {
            return Err(EmitError::FamilyMismatch { source_address, destination });
        }
    }
    Ok(())
}

/// A UDP datagram in its IP packet.
pub fn emit_udp(
    source: SocketAddr,
    destination: SocketAddr,
    ttl: u8,
    payload: &[u8],
) -> Result<Vec<u8>, EmitError> {
    let length = 8 + payload.len();
    let stated = u16::try_from(length)
        .map_err(|_| EmitError::TooLong { found: length, limit: usize::from(u16::MAX) })?;
    let mut datagram = Vec::with_capacity(length);
    datagram.extend(source.port().to_be_bytes());
    datagram.extend(destination.port().to_be_bytes());
    datagram.extend(stated.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend_from_slice(payload);
    let sum = checksum::udp_nonzero(checksum::transport(source.ip(), destination.ip(), UDP, &datagram));
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    emit_ip(&IpHeader { ttl, ..IpHeader::new(source.ip(), destination.ip(), UDP) }, &datagram)
}

/// A TCP segment without options in its IP packet.
pub fn emit_tcp(
    source: SocketAddr,
    destination: SocketAddr,
    ttl: u8,
    segment: &TcpSegment,
    payload: &[u8],
) -> Result<Vec<u8>, EmitError> {
    let mut bytes = Vec::with_capacity(20 + payload.len());
    bytes.extend(source.port().to_be_bytes());
    bytes.extend(destination.port().to_be_bytes());
    bytes.extend(segment.sequence.to_be_bytes());
    bytes.extend(segment.acknowledgement.to_be_bytes());
    bytes.extend([0x50, segment.flags.0]);
    bytes.extend(segment.window.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend_from_slice(payload);
    let sum = checksum::transport(source.ip(), destination.ip(), TCP, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    emit_ip(&IpHeader { ttl, ..IpHeader::new(source.ip(), destination.ip(), TCP) }, &bytes)
}

/// An ICMP or ICMPv6 echo request, as the addresses' version asks.
pub fn emit_echo_request(
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    id: u16,
    sequence: u16,
    payload: &[u8],
) -> Result<Vec<u8>, EmitError> {
    let header = IpHeader { ttl, ..IpHeader::new(source, destination, ICMP) };
    let [a, b] = id.to_be_bytes();
    let [c, d] = sequence.to_be_bytes();
    emit_icmp(&header, (if source.is_ipv4() { 8 } else { 128 }, 0), [a, b, c, d], payload)
}

/// An ICMP message of the version that the header's addresses have; sets the protocol and the checksum.
/// `rest` are bytes 4 to 7 of the ICMP header.
pub fn emit_icmp(
    header: &IpHeader,
    type_code: (u8, u8),
    rest: [u8; 4],
    payload: &[u8],
) -> Result<Vec<u8>, EmitError> {
    let mut message = Vec::with_capacity(8 + payload.len());
    message.extend([type_code.0, type_code.1, 0, 0]);
    message.extend(rest);
    message.extend_from_slice(payload);
    let (protocol, sum) = match header.source {
        IpAddr::V4(_) => (ICMP, checksum::checksum(&message)),
        IpAddr::V6(_) => (ICMPV6, checksum::transport(header.source, header.destination, ICMPV6, &message)),
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    emit_ip(&IpHeader { protocol, ..*header }, &message)
}

fn ipv4_header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    header: &IpHeader,
    payload_length: usize,
) -> Result<[u8; IPV4_HEADER_LENGTH], EmitError> {
    let limit = usize::from(u16::MAX) - IPV4_HEADER_LENGTH;
    if payload_length > limit {
        return Err(EmitError::TooLong { found: payload_length, limit });
    }
    let mut bytes = [0; IPV4_HEADER_LENGTH];
    bytes[0] = 0x45;
    bytes[1] = header.tos;
    bytes[2..4].copy_from_slice(&((IPV4_HEADER_LENGTH + payload_length) as u16).to_be_bytes());
    bytes[4..6].copy_from_slice(&header.identification.to_be_bytes());
    bytes[6] = if header.dont_fragment { 0x40 } else { 0 };
    bytes[8] = header.ttl;
    bytes[9] = header.protocol;
    bytes[12..16].copy_from_slice(&source.octets());
    bytes[16..20].copy_from_slice(&destination.octets());
    let sum = checksum::checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    Ok(bytes)
}

fn ipv6_header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    header: &IpHeader,
    payload_length: usize,
) -> Result<[u8; IPV6_HEADER_LENGTH], EmitError> {
    let limit = usize::from(u16::MAX);
    if payload_length > limit {
        return Err(EmitError::TooLong { found: payload_length, limit });
    }
    let mut bytes = [0; IPV6_HEADER_LENGTH];
    bytes[0..2].copy_from_slice(&(0x6000 | u16::from(header.tos) << 4).to_be_bytes());
    bytes[4..6].copy_from_slice(&(payload_length as u16).to_be_bytes());
    bytes[6] = header.protocol;
    bytes[7] = header.ttl;
    bytes[8..24].copy_from_slice(&source.octets());
    bytes[24..40].copy_from_slice(&destination.octets());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketView;
    use proptest::prelude::*;

    fn sockets() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
        prop_oneof![
            any::<([u8; 4], u16, [u8; 4], u16)>().prop_map(|(a, p, b, q)| ((a, p).into(), (b, q).into())),
            any::<([u16; 8], u16, [u16; 8], u16)>().prop_map(|(a, p, b, q)| ((a, p).into(), (b, q).into())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read((source, destination) in sockets(), ttl in any::<u8>(),
                                   data in proptest::collection::vec(any::<u8>(), 0..80)) {
            let segment = TcpSegment { flags: TcpFlags::ACK, ..Default::default() };
            let packets = [
                emit_udp(source, destination, ttl, &data).unwrap(),
                emit_tcp(source, destination, ttl, &segment, &data).unwrap(),
                emit_echo_request(source.ip(), destination.ip(), ttl, source.port(), 1, &data).unwrap(),
            ];
            for packet in packets {
                let view = PacketView::parse(&packet).unwrap();
                prop_assert_eq!((view.source(), view.destination()), (source.ip(), destination.ip()));
                prop_assert_eq!(view.tuple().unwrap().source_port, source.port());
                prop_assert_eq!((view.ttl(), view.payload()), (ttl, &data[..]));
                prop_assert!(view.header_checksum_is_valid() && view.transport_checksum_is_valid());
                prop_assert!(etherparse::SlicedPacket::from_ip(&packet).is_ok());
            }
        }

        #[test]
        fn etherparse_writes_the_same_datagram(ports in any::<(u16, u16)>(), ends in any::<([u8; 4], [u8; 4])>(),
                                               data in proptest::collection::vec(any::<u8>(), 0..80)) {
            let builder = etherparse::PacketBuilder::ipv4(ends.0, ends.1, 64).udp(ports.0, ports.1);
            let mut expected = Vec::new();
            builder.write(&mut expected, &data).unwrap();
            let packet = emit_udp((ends.0, ports.0).into(), (ends.1, ports.1).into(), 64, &data).unwrap();
            prop_assert_eq!(packet, expected);
        }
    }

    #[test]
    fn a_payload_too_long_and_mixed_families_are_refused() {
        let (v4, v6) = ("10.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        assert_eq!(emit_udp(v4, v4, 64, &[0; 65508]), Err(EmitError::TooLong { found: 65516, limit: 65515 }));
        assert!(emit_udp(v4, v4, 64, &[0; 65507]).is_ok());
        assert!(emit_udp(v6, v6, 64, &[0; 65527]).is_ok());
        assert!(matches!(emit_udp(v4, v6, 64, b""), Err(EmitError::FamilyMismatch { .. })));
    }
}
