//! Reading the fields of a packet whose layout is known.

use super::{ICMP, ICMPV6, IpVersion, Layout, MalformedPacket, Transport, UDP, word};
use crate::checksum;
use crate::tuple::Tuple;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A packet and where its parts are; reading never validates again.
#[derive(Debug, Clone, Copy)]
pub struct PacketView<'a> {
    /// Exactly the packet: padding cut off.
    pub(super) bytes: &'a [u8],
    pub(super) layout: Layout,
}

/// The flag byte of a TCP header (RFC 9293, 3.1; CWR and ECE from RFC 3168).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Reset the connection.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// Push.
    pub const PSH: TcpFlags = TcpFlags(0x08);
    /// The acknowledgement number counts.
    pub const ACK: TcpFlags = TcpFlags(0x10);
    /// The urgent pointer counts.
    pub const URG: TcpFlags = TcpFlags(0x20);

    /// Whether all of `flags` are set.
    pub fn contains(self, flags: TcpFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both sets together.
    pub fn union(self, flags: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | flags.0)
    }
}

impl<'a> PacketView<'a> {
    /// Validates `bytes`, which start at the IP header.
    pub fn parse(bytes: &'a [u8]) -> Result<PacketView<'a>, MalformedPacket> {
        let layout = Layout::parse(bytes)?;
        Ok(PacketView { bytes: &bytes[..layout.available_length()], layout })
    }

    /// Joins bytes with the layout that was parsed from them. `None` when they are shorter than the layout says;
    /// a layout of another packet gives wrong fields, but never a panic.
    #[inline]
    pub fn with_layout(bytes: &'a [u8], layout: Layout) -> Option<PacketView<'a>> {
        Some(PacketView { bytes: bytes.get(..layout.available_length())?, layout })
    }

    /// Where the parts are.
    #[inline]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The packet without padding.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Source address.
    #[inline]
    pub fn source(&self) -> IpAddr {
        match self.layout.version {
            IpVersion::V4 => ipv4(self.bytes, 12),
            IpVersion::V6 => ipv6(self.bytes, 8),
        }
    }

    /// Destination address.
    #[inline]
    pub fn destination(&self) -> IpAddr {
        match self.layout.version {
            IpVersion::V4 => ipv4(self.bytes, 16),
            IpVersion::V6 => ipv6(self.bytes, 24),
        }
    }

    /// Protocol of the transport header.
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.layout.protocol
    }

    /// Time to live, or hop limit.
    #[inline]
    pub fn ttl(&self) -> u8 {
        match self.layout.version {
            IpVersion::V4 => self.bytes[8],
            IpVersion::V6 => self.bytes[7],
        }
    }

    /// Type of service, or traffic class: DSCP and ECN.
    pub fn tos(&self) -> u8 {
        match self.layout.version {
            IpVersion::V4 => self.bytes[1],
            IpVersion::V6 => (word(self.bytes, 0) >> 4) as u8,
        }
    }

    /// Source port of TCP, UDP or SCTP.
    #[inline]
    pub fn source_port(&self) -> Option<u16> {
        self.layout.has_ports().then(|| word(self.bytes, self.layout.transport_offset()))
    }

    /// Destination port of TCP, UDP or SCTP.
    #[inline]
    pub fn destination_port(&self) -> Option<u16> {
        self.layout.has_ports().then(|| word(self.bytes, self.layout.transport_offset() + 2))
    }

    /// TCP's flags; `None` also for a quoted header that ends before them.
    pub fn tcp_flags(&self) -> Option<TcpFlags> {
        Some(TcpFlags(self.tcp_field::<1>(13)?[0]))
    }

    /// TCP's sequence number.
    pub fn tcp_sequence(&self) -> Option<u32> {
        self.tcp_field::<4>(4).map(u32::from_be_bytes)
    }

    /// TCP's acknowledgement number.
    pub fn tcp_acknowledgement(&self) -> Option<u32> {
        self.tcp_field::<4>(8).map(u32::from_be_bytes)
    }

    /// TCP's window field, not scaled.
    pub fn tcp_window(&self) -> Option<u16> {
        self.tcp_field::<2>(14).map(u16::from_be_bytes)
    }

    /// TCP's options, padding included.
    pub fn tcp_options(&self) -> Option<&'a [u8]> {
        let end = usize::from(self.tcp_field::<1>(12)?[0] >> 4) * 4;
        self.transport_bytes().get(20..end)
    }

    /// Type and code of ICMP or ICMPv6.
    #[inline]
    pub fn icmp_type_code(&self) -> Option<(u8, u8)> {
        let offset = self.layout.transport_offset();
        self.is_icmp().then(|| (self.bytes[offset], self.bytes[offset + 1]))
    }

    /// The identifier of an ICMP query or its reply; `None` for other messages.
    pub fn icmp_id(&self) -> Option<u16> {
        let (kind, _) = self.icmp_type_code()?;
        is_icmp_query(self.layout.version, kind).then(|| word(self.bytes, self.layout.transport_offset() + 4))
    }

    /// The sequence number of an ICMP query or its reply.
    pub fn icmp_sequence(&self) -> Option<u16> {
        self.icmp_id().map(|_| word(self.bytes, self.layout.transport_offset() + 6))
    }

    /// Whether this is an ICMP message that quotes a packet: an error or a redirect.
    #[inline]
    pub fn is_icmp_error(&self) -> bool {
        self.icmp_type_code().is_some_and(|(kind, _)| match self.layout.version {
            IpVersion::V4 => matches!(kind, 3 | 4 | 5 | 11 | 12),
            IpVersion::V6 => kind < 128,
        })
    }

    /// The transport header and what follows.
    #[inline]
    pub fn transport_bytes(&self) -> &'a [u8] {
        &self.bytes[self.layout.transport_offset()..]
    }

    /// What the transport header carries; for protocols without a known header all that follows the IP header.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let segment = self.transport_bytes();
        let (start, end) = match self.layout.transport {
            Transport::Tcp => (segment.get(12).map_or(20, |byte| usize::from(byte >> 4) * 4), segment.len()),
            Transport::Udp => (8, self.udp_length()),
            Transport::Sctp => (12, segment.len()),
            Transport::Icmp | Transport::Icmpv6 => (8, segment.len()),
            Transport::Other | Transport::Unreadable => (0, segment.len()),
        };
        segment.get(start..end).unwrap_or(&[])
    }

    /// The flow this packet belongs to; `None` for a later fragment and a header cut short. For ICMP the source
    /// port is the query's identifier (0 for messages without one) and the destination port is type and code.
    pub fn tuple(&self) -> Option<Tuple> {
        let (source_port, destination_port) = match self.layout.transport {
            Transport::Unreadable => return None,
            Transport::Other => (0, 0),
            Transport::Tcp | Transport::Udp | Transport::Sctp => {
                (self.source_port()?, self.destination_port()?)
            }
            Transport::Icmp | Transport::Icmpv6 => {
                (self.icmp_id().unwrap_or(0), word(self.bytes, self.layout.transport_offset()))
            }
        };
        let (source, destination) = (self.source(), self.destination());
        Some(Tuple { source, destination, protocol: self.layout.protocol, source_port, destination_port })
    }

    /// The packet that an ICMP error quotes, perhaps cut short.
    pub fn embedded(&self) -> Option<PacketView<'a>> {
        if !self.is_icmp_error() {
            return None;
        }
        let quoted = &self.bytes[self.layout.transport_offset() + 8..];
        let layout = Layout::parse_quoted(quoted).ok()?;
        // An error speaks of its own IP version.
        if layout.version != self.layout.version {
            return None;
        }
        PacketView::with_layout(quoted, layout)
    }

    /// The flow of the packet that an ICMP error quotes, in the direction of that packet.
    pub fn embedded_tuple(&self) -> Option<Tuple> {
        self.embedded()?.tuple()
    }

    /// Whether the IPv4 header adds up; true for IPv6, which has no header checksum.
    #[inline]
    pub fn header_checksum_is_valid(&self) -> bool {
        match self.layout.version {
            IpVersion::V4 => checksum::verify(&self.bytes[..self.layout.transport_offset()]),
            IpVersion::V6 => true,
        }
    }

    /// Whether the complete checksum of TCP, UDP, ICMP, ICMPv6 or SCTP is right. True where it cannot be told: in
    /// a fragment, a quoted packet cut short, an unknown protocol, and UDP over IPv4 without a checksum.
    pub fn transport_checksum_is_valid(&self) -> bool {
        if self.layout.is_fragment() || self.layout.available < self.layout.total_length {
            return true;
        }
        let segment = self.transport_bytes();
        match self.layout.transport {
            Transport::Tcp | Transport::Icmpv6 => self.adds_up(segment),
            Transport::Udp => match word(segment, 6) {
                0 => self.layout.version == IpVersion::V4,
                _ => self.adds_up(&segment[..self.udp_length()]),
            },
            Transport::Icmp => checksum::verify(segment),
            Transport::Sctp => {
                segment.get(8..12).is_none_or(|field| *field == checksum::sctp_crc(segment).to_le_bytes())
            }
            Transport::Other | Transport::Unreadable => true,
        }
    }

    fn adds_up(&self, segment: &[u8]) -> bool {
        checksum::transport(self.source(), self.destination(), self.layout.protocol, segment) == 0
    }

    fn is_icmp(&self) -> bool {
        matches!(self.layout.transport, Transport::Icmp | Transport::Icmpv6)
    }

    /// Bytes of a TCP header that is whole, or quoted far enough.
    fn tcp_field<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if self.layout.transport != Transport::Tcp {
            return None;
        }
        self.transport_bytes().get(offset..offset + N)?.try_into().ok()
    }

    /// Length of the UDP datagram; a length field that cannot be is read as "all there is", as for a fragment.
    pub(super) fn udp_length(&self) -> usize {
        let segment = self.transport_bytes();
        let stated = usize::from(word(segment, 4));
        if (8..=segment.len()).contains(&stated) { stated } else { segment.len() }
    }
}

/// ICMP messages with an identifier: what Linux's connection tracking follows (`nf_conntrack_proto_icmp.c`).
pub(super) fn is_icmp_query(version: IpVersion, kind: u8) -> bool {
    match version {
        IpVersion::V4 => matches!(kind, 0 | 8 | 13..=18),
        IpVersion::V6 => matches!(kind, 128 | 129),
    }
}

/// Where the checksum field is in a transport header, and whether it covers the pseudo header.
pub(super) fn checksum_field(layout: &Layout) -> Option<(usize, bool)> {
    if layout.fragment_offset != 0 {
        return None;
    }
    let (position, pseudo) = match (layout.protocol, layout.version) {
        (super::TCP, _) => (16, true),
        (UDP, _) => (6, true),
        (ICMPV6, IpVersion::V6) => (2, true),
        (ICMP, IpVersion::V4) => (2, false),
        _ => return None,
    };
    let offset = layout.transport_offset() + position;
    (offset + 2 <= layout.available_length()).then_some((offset, pseudo))
}

fn ipv4(bytes: &[u8], offset: usize) -> IpAddr {
    Ipv4Addr::new(bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]).into()
}

fn ipv6(bytes: &[u8], offset: usize) -> IpAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&bytes[offset..offset + 16]);
    Ipv6Addr::from(octets).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit;

    /// A SYN from 192.168.0.2:54321 to 192.168.0.1:80.
    fn syn() -> Vec<u8> {
        let segment =
            emit::TcpSegment { sequence: 7, flags: TcpFlags::SYN, window: 64240, ..Default::default() };
        let (from, to) = ("192.168.0.2:54321".parse().unwrap(), "192.168.0.1:80".parse().unwrap());
        emit::emit_tcp(from, to, 64, &segment, &[]).unwrap()
    }

    #[test]
    fn fields_are_where_etherparse_reads_them() {
        let packet = syn();
        let view = PacketView::parse(&packet).unwrap();
        let sliced = etherparse::SlicedPacket::from_ip(&packet).unwrap();
        let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("not TCP") };
        assert_eq!(view.source_port(), Some(tcp.source_port()));
        assert_eq!(view.destination_port(), Some(tcp.destination_port()));
        assert_eq!(view.tcp_sequence(), Some(tcp.sequence_number()));
        assert_eq!(view.tcp_window(), Some(tcp.window_size()));
        assert_eq!(view.tcp_flags(), Some(TcpFlags::SYN));
        assert!(tcp.syn() && !tcp.ack());
        assert_eq!(view.source(), IpAddr::from([192, 168, 0, 2]));
        assert_eq!(view.ttl(), 64);
    }

    #[test]
    fn an_echo_is_a_flow_of_identifier_and_type() {
        let (from, to) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let packet = emit::emit_echo_request(from, to, 64, 0x1234, 5, b"x").unwrap();
        let tuple = PacketView::parse(&packet).unwrap().tuple().unwrap();
        assert_eq!((tuple.source_port, tuple.destination_port, tuple.protocol), (0x1234, 0x0800, ICMP));
    }
}
