//! An IP packet as bytes that were looked at once.
//!
//! [`Layout::parse`] checks a slice that starts at the IP header and remembers where everything is; the layout is
//! a small `Copy` value that travels with the packet, so that hooks, rules and NAT read fields without validating
//! again. [`PacketView`] reads, [`PacketMut`] edits and keeps every checksum right incrementally.
//!
//! Limits: the IPv4 header checksum and the transport checksum are not part of `parse` (ask
//! [`PacketView::header_checksum_is_valid`] and [`PacketView::transport_checksum_is_valid`] where a packet comes
//! in); jumbograms are refused; the authentication header counts as a transport protocol; a routing header's
//! final destination is not looked up, so pseudo headers use the destination in the IPv6 header.

mod edit;
mod view;

pub use edit::{EditError, PacketMut};
pub use view::{PacketView, TcpFlags};

/// IP protocol number of ICMP for IPv4.
pub const ICMP: u8 = 1;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// IP protocol number of ICMP for IPv6.
pub const ICMPV6: u8 = 58;
/// IP protocol number of SCTP.
pub const SCTP: u8 = 132;

/// IPv6 extension header numbers (RFC 8200, section 4).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// How many extension headers are followed. Linux has no small number here; RFC 8504 5.3 allows a host a limit,
/// and eight is what its section suggests for options.
const EXTENSION_HEADER_LIMIT: usize = 8;

/// Bytes of an IPv4 header without options.
pub const IPV4_HEADER_LENGTH: usize = 20;
/// Bytes of an IPv6 header without extension headers.
pub const IPV6_HEADER_LENGTH: usize = 40;

/// The IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpVersion {
    /// IPv4 (RFC 791).
    V4,
    /// IPv6 (RFC 8200).
    V6,
}

/// What the checksum field of TCP and UDP holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChecksumState {
    /// The finished checksum.
    #[default]
    Complete,
    /// Only the sum of the pseudo header, not inverted; the rest is added at an edge without offload. Linux:
    /// CHECKSUM_PARTIAL. ICMP is always complete.
    Partial,
}

/// The transport header that can be read. "Read" means: not a later fragment, and all of the fixed header there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP, data offset valid (in a quoted packet: the first eight bytes at least).
    Tcp,
    /// UDP.
    Udp,
    /// SCTP common header (in a quoted packet: its first eight bytes at least).
    Sctp,
    /// ICMP for IPv4.
    Icmp,
    /// ICMP for IPv6.
    Icmpv6,
    /// Another protocol, whose header this module does not know.
    Other,
    /// A later fragment, or a header that was cut short.
    Unreadable,
}

/// Where the parts of one IP packet are. Offsets and lengths in bytes from the start of the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    version: IpVersion,
    transport: Transport,
    protocol: u8,
    more_fragments: bool,
    dont_fragment: bool,
    fragment_offset: u16,
    transport_offset: u16,
    /// Offset of the IPv6 fragment header; 0 without one.
    fragment_header: u16,
    /// Offset of the next-header byte that names the IPv6 fragment header.
    fragment_link: u16,
    /// Where the unfragmentable part ends in a packet without a fragment header, and its next-header byte.
    unfragmentable_end: u16,
    unfragmentable_link: u16,
    identification: u32,
    total_length: u32,
    /// Bytes of the packet that are there: the total length, or less in a quoted packet.
    available: u32,
}

/// Why a slice is no IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPacket {
    /// The slice ends within a header.
    #[error("packet of {found} bytes ends within its header: expected at least {needed} bytes")]
    TooShort {
        /// Bytes that the header needs.
        needed: usize,
        /// Bytes there are.
        found: usize,
    },
    /// The version field is neither 4 nor 6.
    #[error("IP version {found}: expected 4 or 6")]
    Version {
        /// The version field.
        found: u8,
    },
    /// The IPv4 header length field is below 5 words.
    #[error("IPv4 header length {found}: expected at least 20 bytes")]
    HeaderLength {
        /// The header length in bytes.
        found: usize,
    },
    /// The length field contradicts the header, or promises more than there is.
    #[error(
        "IP total length {found}: expected between {header} (the header) and {available} (the packet as received)"
    )]
    TotalLength {
        /// The total length that the header states.
        found: usize,
        /// The length of the header.
        header: usize,
        /// Bytes received.
        available: usize,
    },
    /// An IPv6 extension header goes beyond the end of the packet.
    #[error("IPv6 extension header {kind} at offset {offset} goes beyond the end of the packet")]
    ExtensionHeader {
        /// Its number.
        kind: u8,
        /// Where it starts.
        offset: usize,
    },
    /// More extension headers than are followed.
    #[error("more than {EXTENSION_HEADER_LIMIT} IPv6 extension headers")]
    TooManyExtensionHeaders,
}

/// Whether the bytes are a packet as received or one quoted, and perhaps cut short, inside an ICMP error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Quoted,
}

impl Layout {
    /// Looks at a packet that starts at its IP header. Bytes behind the total length (Ethernet padding) are
    /// accepted and belong to no field.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Layout, MalformedPacket> {
        Layout::parse_extent(bytes, Extent::Whole)
    }

    /// Looks at a packet quoted in an ICMP error, which may end anywhere after its IP header.
    pub fn parse_quoted(bytes: &[u8]) -> Result<Layout, MalformedPacket> {
        Layout::parse_extent(bytes, Extent::Quoted)
    }

    /// IP version.
    #[inline]
    pub fn version(&self) -> IpVersion {
        self.version
    }

    /// Protocol of the transport header: the IPv4 protocol, or the last next-header value that was reached.
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// What can be read at [`Layout::transport_offset`].
    #[inline]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Offset of the transport header, which is the length of the IP header with options or extension headers.
    #[inline]
    pub fn transport_offset(&self) -> usize {
        usize::from(self.transport_offset)
    }

    /// Length that the IP header states for the whole packet.
    #[inline]
    pub fn total_length(&self) -> usize {
        self.total_length as usize
    }

    /// Bytes of the packet that are there: less than the total length only in a quoted packet.
    #[inline]
    pub fn available_length(&self) -> usize {
        self.available as usize
    }

    /// Offset of this fragment's data in the datagram, in bytes.
    #[inline]
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.fragment_offset)
    }

    /// The more-fragments flag.
    #[inline]
    pub fn more_fragments(&self) -> bool {
        self.more_fragments
    }

    /// IPv4's don't-fragment flag; true for IPv6, where routers never fragment.
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        self.dont_fragment
    }

    /// The identification: 16 bits for IPv4, the fragment header's 32 bits for IPv6 (0 without one).
    pub fn identification(&self) -> u32 {
        self.identification
    }

    /// Whether this is one of several fragments. An IPv6 atomic fragment (RFC 6946) is not.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// Whether source and destination port can be read and edited.
    #[inline]
    pub fn has_ports(&self) -> bool {
        matches!(self.transport, Transport::Tcp | Transport::Udp | Transport::Sctp)
    }

    /// Offset of the IPv6 fragment header and of the byte naming it.
    pub(crate) fn fragment_header(&self) -> Option<(usize, usize)> {
        (self.fragment_header != 0).then_some((self.fragment_header.into(), self.fragment_link.into()))
    }

    /// End of the headers that every IPv6 fragment repeats, and offset of their last next-header byte.
    pub(crate) fn unfragmentable(&self) -> (usize, usize) {
        (self.unfragmentable_end.into(), self.unfragmentable_link.into())
    }

    fn parse_extent(bytes: &[u8], extent: Extent) -> Result<Layout, MalformedPacket> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => Layout::parse_v4(bytes, extent),
            Some(6) => Layout::parse_v6(bytes, extent),
            Some(found) => Err(MalformedPacket::Version { found }),
            None => Err(MalformedPacket::TooShort { needed: IPV4_HEADER_LENGTH, found: 0 }),
        }
    }

    fn parse_v4(bytes: &[u8], extent: Extent) -> Result<Layout, MalformedPacket> {
        let found = bytes.len();
        if found < IPV4_HEADER_LENGTH {
            return Err(MalformedPacket::TooShort { needed: IPV4_HEADER_LENGTH, found });
        }
        let header = usize::from(bytes[0] & 0x0f) * 4;
        if header < IPV4_HEADER_LENGTH {
            return Err(MalformedPacket::HeaderLength { found: header });
        }
        if found < header {
            return Err(MalformedPacket::TooShort { needed: header, found });
        }
        let total = usize::from(word(bytes, 2));
        if total < header || (total > found && extent == Extent::Whole) {
            return Err(MalformedPacket::TotalLength { found: total, header, available: found });
        }
        let fragment = word(bytes, 6);
        let mut layout = Layout {
            version: IpVersion::V4,
            transport: Transport::Unreadable,
            protocol: bytes[9],
            more_fragments: fragment & 0x2000 != 0,
            dont_fragment: fragment & 0x4000 != 0,
            fragment_offset: (fragment & 0x1fff) * 8,
            transport_offset: header as u16,
            fragment_header: 0,
            fragment_link: 0,
            unfragmentable_end: header as u16,
            unfragmentable_link: 9,
            identification: word(bytes, 4).into(),
            total_length: total as u32,
            available: total.min(found) as u32,
        };
        layout.transport = layout.readable_transport(bytes, extent);
        Ok(layout)
    }

    fn parse_v6(bytes: &[u8], extent: Extent) -> Result<Layout, MalformedPacket> {
        let found = bytes.len();
        if found < IPV6_HEADER_LENGTH {
            return Err(MalformedPacket::TooShort { needed: IPV6_HEADER_LENGTH, found });
        }
        let total = IPV6_HEADER_LENGTH + usize::from(word(bytes, 4));
        if total > found && extent == Extent::Whole {
            let header = IPV6_HEADER_LENGTH;
            return Err(MalformedPacket::TotalLength { found: total, header, available: found });
        }
        let mut layout = Layout {
            version: IpVersion::V6,
            transport: Transport::Unreadable,
            protocol: bytes[6],
            more_fragments: false,
            dont_fragment: true,
            fragment_offset: 0,
            transport_offset: IPV6_HEADER_LENGTH as u16,
            fragment_header: 0,
            fragment_link: 0,
            unfragmentable_end: IPV6_HEADER_LENGTH as u16,
            unfragmentable_link: 6,
            identification: 0,
            total_length: total as u32,
            available: total.min(found) as u32,
        };
        if layout.walk_extension_headers(bytes, extent)? {
            layout.transport = layout.readable_transport(bytes, extent);
        }
        Ok(layout)
    }

    /// Moves `protocol` and `transport_offset` behind the extension headers; false when the chain is cut short
    /// where that is allowed: in a quoted packet and in a fragment.
    fn walk_extension_headers(&mut self, bytes: &[u8], extent: Extent) -> Result<bool, MalformedPacket> {
        let bytes = &bytes[..self.available_length()];
        let mut link = 6;
        for _ in 0..=EXTENSION_HEADER_LIMIT {
            let kind = self.protocol;
            let offset = self.transport_offset();
            if !matches!(kind, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
                return Ok(true);
            }
            let length = match bytes.get(offset..offset + 8) {
                None => None,
                Some(_) if kind == FRAGMENT => Some(8),
                Some(header) => Some((usize::from(header[1]) + 1) * 8),
            };
            let Some(end) = length.map(|length| offset + length).filter(|end| *end <= bytes.len()) else {
                if self.is_fragment() || extent == Extent::Quoted {
                    return Ok(false);
                }
                return Err(MalformedPacket::ExtensionHeader { kind, offset });
            };
            if kind == FRAGMENT && self.fragment_header == 0 {
                let field = word(bytes, offset + 2);
                self.fragment_header = offset as u16;
                self.fragment_link = link as u16;
                self.fragment_offset = field & 0xfff8;
                self.more_fragments = field & 1 == 1;
                self.identification =
                    u32::from(word(bytes, offset + 4)) << 16 | u32::from(word(bytes, offset + 6));
            }
            self.protocol = bytes[offset];
            self.transport_offset = end as u16;
            link = offset;
            if matches!(kind, HOP_BY_HOP | ROUTING) && self.fragment_header == 0 {
                self.unfragmentable_end = end as u16;
                self.unfragmentable_link = link as u16;
            }
            if self.fragment_offset != 0 {
                return Ok(false);
            }
        }
        Err(MalformedPacket::TooManyExtensionHeaders)
    }

    fn readable_transport(&self, bytes: &[u8], extent: Extent) -> Transport {
        if self.fragment_offset != 0 {
            return Transport::Unreadable;
        }
        let segment = &bytes[self.transport_offset()..self.available_length()];
        // RFC 792 promises eight bytes of a quoted transport header, no more.
        let (transport, minimum) = match (self.protocol, self.version) {
            (TCP, _) => (Transport::Tcp, if extent == Extent::Whole { 20 } else { 8 }),
            (UDP, _) => (Transport::Udp, 8),
            (SCTP, _) => (Transport::Sctp, if extent == Extent::Whole { 12 } else { 8 }),
            (ICMP, IpVersion::V4) => (Transport::Icmp, 8),
            (ICMPV6, IpVersion::V6) => (Transport::Icmpv6, 8),
            _ => (Transport::Other, 0),
        };
        if segment.len() < minimum {
            return Transport::Unreadable;
        }
        if transport == Transport::Tcp && extent == Extent::Whole {
            let header = usize::from(segment[12] >> 4) * 4;
            if header < 20 || header > segment.len() {
                return Transport::Unreadable;
            }
        }
        transport
    }
}

/// The big-endian word at `offset`.
fn word(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes([bytes[offset], bytes[offset + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::{self, IpHeader};
    use proptest::prelude::*;

    fn udp_v6() -> Vec<u8> {
        emit::emit_udp(
            "[2001:db8::1]:1000".parse().unwrap(),
            "[2001:db8::2]:53".parse().unwrap(),
            64,
            b"abcdef",
        )
        .unwrap()
    }

    /// Puts extension headers of eight bytes each between the IPv6 header and its payload.
    fn with_extensions(packet: &[u8], kinds: &[u8]) -> Vec<u8> {
        let mut out = packet[..40].to_vec();
        let mut next = packet[6];
        let mut headers = Vec::new();
        for kind in kinds.iter().rev() {
            headers.splice(0..0, [next, 0, 0, 0, 0, 0, 0, 7]);
            next = *kind;
        }
        out[6] = next;
        let payload = (packet.len() - 40 + headers.len()) as u16;
        out[4..6].copy_from_slice(&payload.to_be_bytes());
        out.extend(headers);
        out.extend(&packet[40..]);
        out
    }

    #[test]
    fn extension_headers_are_walked() {
        let layout =
            Layout::parse(&with_extensions(&udp_v6(), &[HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS])).unwrap();
        assert_eq!((layout.protocol(), layout.transport()), (UDP, Transport::Udp));
        assert_eq!(layout.transport_offset(), 64);
        assert_eq!(layout.unfragmentable(), (56, 48));
    }

    #[test]
    fn an_atomic_fragment_has_ports() {
        let layout = Layout::parse(&with_extensions(&udp_v6(), &[HOP_BY_HOP, FRAGMENT])).unwrap();
        assert!(!layout.is_fragment() && layout.has_ports());
        assert_eq!(layout.identification(), 7);
        assert_eq!(layout.fragment_header(), Some((48, 40)));
    }

    #[test]
    fn too_many_extension_headers_are_refused() {
        let eight = with_extensions(&udp_v6(), &[DESTINATION_OPTIONS; 8]);
        assert_eq!(Layout::parse(&eight).map(|l| l.transport()), Ok(Transport::Udp));
        let nine = with_extensions(&udp_v6(), &[DESTINATION_OPTIONS; 9]);
        assert_eq!(Layout::parse(&nine), Err(MalformedPacket::TooManyExtensionHeaders));
    }

    #[test]
    fn lengths_are_checked() {
        assert_eq!(Layout::parse(&[]), Err(MalformedPacket::TooShort { needed: 20, found: 0 }));
        assert_eq!(Layout::parse(&[0x50; 20]), Err(MalformedPacket::Version { found: 5 }));
        assert_eq!(Layout::parse(&[0x44; 20]), Err(MalformedPacket::HeaderLength { found: 16 }));
        let packet = udp_v6();
        let short = &packet[..packet.len() - 1];
        let expected = MalformedPacket::TotalLength { found: 54, header: 40, available: 53 };
        assert_eq!(Layout::parse(short), Err(expected));
        assert_eq!(
            Layout::parse_quoted(short).map(|l| (l.total_length(), l.available_length())),
            Ok((54, 53))
        );
    }

    #[test]
    fn padding_is_outside_the_packet() {
        let mut packet = udp_v6();
        packet.extend([0xaa; 9]);
        let view = PacketView::parse(&packet).unwrap();
        assert_eq!(view.layout().total_length(), 54);
        assert_eq!(view.payload(), b"abcdef");
        assert!(view.transport_checksum_is_valid());
    }

    #[test]
    fn a_tcp_header_cut_short_has_no_ports() {
        let header = IpHeader::new("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), TCP);
        let packet = emit::emit_ip(&header, &[0x50; 19]).unwrap();
        let layout = Layout::parse(&packet).unwrap();
        assert_eq!(layout.transport(), Transport::Unreadable);
        assert!(!layout.has_ports());
        // Data offset 24 with only 20 bytes there.
        let packet = emit::emit_ip(&header, &[0x60; 20]).unwrap();
        assert_eq!(Layout::parse(&packet).unwrap().transport(), Transport::Unreadable);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..160), first in 0_u8..4,
                                       next in 0_usize..8) {
            if let Some(byte) = bytes.first_mut() {
                *byte = [0x45, 0x46, 0x60, *byte][usize::from(first)];
            }
            if bytes.len() > 48 {
                let length = (bytes.len() - if bytes[0] >> 4 == 6 { 40 } else { 0 }) as u16;
                let at = if bytes[0] >> 4 == 6 { 4 } else { 2 };
                bytes[at..at + 2].copy_from_slice(&length.to_be_bytes());
                bytes[9] = [1, 6, 17, 132, 58, 0, 4, 9][next];
                bytes[6] = if bytes[0] >> 4 == 6 { [0, 43, 44, 60, 58, 6, 17, 132][next] } else { 0 };
                bytes[40] = [58, 6, 17, 44, 0, 132, 43, 60][next];
                bytes[41] &= 3;
            }
            for layout in [Layout::parse(&bytes), Layout::parse_quoted(&bytes)].into_iter().flatten() {
                prop_assert!(layout.transport_offset() <= layout.available_length());
                prop_assert!(layout.available_length() <= bytes.len());
                let view = PacketView::with_layout(&bytes, layout).unwrap();
                let _ = (view.tuple(), view.embedded_tuple(), view.tcp_flags(), view.payload(), view.icmp_id());
                let _ = (view.transport_checksum_is_valid(), view.header_checksum_is_valid());
                let mut copy = bytes.clone();
                let mut packet = PacketMut::with_layout(&mut copy, layout, ChecksumState::Complete).unwrap();
                let address = std::net::IpAddr::from([10, 0, 0, 1]);
                let _ = (packet.set_source(address), packet.set_source_port(1), packet.set_icmp_id(2));
                if let Some(mut embedded) = packet.embedded_mut() {
                    let _ = (embedded.set_destination(address), embedded.set_destination_port(7));
                }
                packet.complete_checksum();
            }
            let _ = crate::icmp::emit_echo_reply(&bytes);
            let _ = crate::icmp::emit_tcp_reset(&bytes);
            let _ = crate::icmp::IcmpErrorMessage::parse(&bytes);
            let _ = crate::fragment::fragment(&bytes, 68, 1);
            let mut reassembler = crate::fragment::Reassembler::default();
            let _ = reassembler.push(std::time::Duration::ZERO, &bytes);
        }
    }
}
