//! Work that a sender left to the network card: finishing checksums and cutting large packets.
//!
//! Frames inside the switch may carry a partial checksum and up to 64 KiB of TCP or UDP payload, as packets
//! between virtual devices in Linux do. An edge without offload finishes them here first. Segmentation
//! follows Linux `tcp_gso_segment` and `__udp_gso_segment`:
//! * each segment repeats the headers up to the payload and takes [`Segmentation::size`] bytes of it;
//! * the IPv4 identification grows by one per segment; lengths and checksums are each segment's own;
//! * the TCP sequence number advances by the payload sent; PSH and FIN stay only on the last segment and
//!   CWR only on the first;
//! * a UDP checksum that the sender disabled (zero and complete, over IPv4) stays disabled.
//!
//! IPv6 hop-by-hop and destination options may precede the transport header; a routing or fragment header
//! is refused, since nobody sends one with offload.

use std::ops::Range;

use thiserror::Error;

use crate::frame::{Checksum, Frame, Segmentation, SegmentationKind};

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const HOP_BY_HOP_OPTIONS: u8 = 0;
const DESTINATION_OPTIONS: u8 = 60;

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const TCP_HEADER_LEN: usize = 20;
const UDP_HEADER_LEN: usize = 8;

const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

/// A frame whose headers contradict what it asks for. The frame was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OffloadError {
    /// The checksum field is not inside the frame.
    #[error("the checksum field at byte {field} does not fit a frame of {length} bytes")]
    ChecksumField {
        /// Where the field would start.
        field: usize,
        /// Bytes in the frame.
        length: usize,
    },
    /// A header or the packet it announces is cut short.
    #[error("the {header} ends at byte {expected}, but the frame has {found} bytes")]
    Truncated {
        /// Which header.
        header: &'static str,
        /// Bytes needed.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// The packet is not of the kind its segmentation names.
    #[error("a frame to be segmented as {kind:?} holds IP version {version}, protocol {protocol}")]
    KindMismatch {
        /// The kind asked for.
        kind: SegmentationKind,
        /// The IP version found.
        version: u8,
        /// The protocol or next header found.
        protocol: u8,
    },
    /// The packet is an IP fragment, which is never segmented.
    #[error("the frame is an IP fragment; only whole packets are segmented")]
    Fragment,
    /// Segments without payload would never end.
    #[error("the segment size is 0; expected at least 1 byte of payload per segment")]
    ZeroSize,
}

/// Finishes a partial checksum: sums the bytes from its start to the end of the frame and stores the
/// complement, as 0xffff where it is zero (UDP reads zero as "no checksum", others read both alike). A
/// complete frame is left alone.
///
/// # Errors
/// [`OffloadError::ChecksumField`] if the field lies outside the frame.
pub fn complete_checksum(frame: &mut Frame) -> Result<(), OffloadError> {
    let Checksum::Partial { start, offset } = frame.checksum() else { return Ok(()) };
    let start = usize::from(start);
    let field = start + usize::from(offset);
    let length = frame.len();
    if field + 2 > length {
        return Err(OffloadError::ChecksumField { field, length });
    }
    let sum = not_zero(!fold(sum(&frame.bytes()[start..])));
    frame.bytes_mut()[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    frame.set_checksum(Checksum::Complete);
    Ok(())
}

/// Cuts a frame into segments that need no offload, in order. A frame without segmentation, or that fits
/// one segment, comes out as it is with its checksum finished. `network_offset` is where the IP header
/// starts: 14 for an untagged Ethernet frame, 0 for a bare packet.
///
/// # Errors
/// Any [`OffloadError`]: headers that contradict the frame's segmentation or checksum state.
pub fn segment(mut frame: Frame, network_offset: usize) -> Result<Segments, OffloadError> {
    let Some(Segmentation { kind, size }) = frame.segmentation() else {
        complete_checksum(&mut frame)?;
        return Ok(Segments { work: Work::Whole(Some(frame)) });
    };
    if size == 0 {
        return Err(OffloadError::ZeroSize);
    }
    let layout = Layout::parse(frame.bytes(), network_offset, kind)?;
    if layout.payload.len() <= usize::from(size) {
        complete_checksum(&mut frame)?;
        frame.set_segmentation(None);
        return Ok(Segments { work: Work::Whole(Some(frame)) });
    }
    let count = layout.payload.len().div_ceil(usize::from(size));
    Ok(Segments { work: Work::Cut { frame, layout, size: usize::from(size), next: 0, count } })
}

/// Bytes of the largest IP packet that leaves once the frame is segmented: what an MTU is compared with
/// (Linux `skb_gso_network_seglen`). `network_offset` as for [`segment`]. Without segmentation, or with
/// headers that contradict it, everything from `network_offset` counts.
pub fn segment_size(frame: &Frame, network_offset: usize) -> usize {
    let whole = frame.len().saturating_sub(network_offset);
    let Some(Segmentation { kind, size }) = frame.segmentation() else { return whole };
    match Layout::parse(frame.bytes(), network_offset, kind) {
        Ok(layout) => layout.payload.start - network_offset + layout.payload.len().min(usize::from(size)),
        Err(_) => whole,
    }
}

/// The segments of one frame, cut as they are asked for.
#[derive(Debug)]
pub struct Segments {
    work: Work,
}

#[derive(Debug)]
enum Work {
    Whole(Option<Frame>),
    Cut { frame: Frame, layout: Layout, size: usize, next: usize, count: usize },
}

impl Iterator for Segments {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        match &mut self.work {
            Work::Whole(frame) => frame.take(),
            Work::Cut { frame, layout, size, next, count } => {
                let index = *next;
                if index == *count {
                    return None;
                }
                *next += 1;
                Some(layout.cut(frame, *size, index, *count))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.work {
            Work::Whole(frame) => usize::from(frame.is_some()),
            Work::Cut { next, count, .. } => count - next,
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Segments {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

/// Where the headers of a packet lie in its frame, checked against the frame's length.
#[derive(Clone, Debug)]
struct Layout {
    version: Version,
    transport: Transport,
    network_offset: usize,
    transport_offset: usize,
    payload: Range<usize>,
}

impl Layout {
    fn parse(bytes: &[u8], network_offset: usize, kind: SegmentationKind) -> Result<Layout, OffloadError> {
        let found = bytes.len();
        let need = |header, expected| {
            if found < expected { Err(OffloadError::Truncated { header, expected, found }) } else { Ok(()) }
        };
        need("IP header", network_offset.saturating_add(IPV4_HEADER_LEN))?;
        let version_number = bytes[network_offset] >> 4;
        let (version, transport_offset, end, protocol) = match version_number {
            4 => {
                let header = usize::from(bytes[network_offset] & 0xf) * 4;
                let end = network_offset + usize::from(read_u16(bytes, network_offset + 2));
                if read_u16(bytes, network_offset + 6) & 0x3fff != 0 {
                    return Err(OffloadError::Fragment);
                }
                (Version::V4, network_offset + header.max(IPV4_HEADER_LEN), end, bytes[network_offset + 9])
            }
            _ => {
                need("IPv6 header", network_offset + IPV6_HEADER_LEN)?;
                let end = network_offset + IPV6_HEADER_LEN + usize::from(read_u16(bytes, network_offset + 4));
                let mut protocol = bytes[network_offset + 6];
                let mut offset = network_offset + IPV6_HEADER_LEN;
                while matches!(protocol, HOP_BY_HOP_OPTIONS | DESTINATION_OPTIONS) {
                    need("IPv6 extension header", offset + 8)?;
                    protocol = bytes[offset];
                    offset += usize::from(bytes[offset + 1]) * 8 + 8;
                }
                (Version::V6, offset, end, protocol)
            }
        };
        need("IP packet", end)?;
        let transport = match (kind, version_number, protocol) {
            (SegmentationKind::Tcp4, 4, PROTOCOL_TCP) | (SegmentationKind::Tcp6, 6, PROTOCOL_TCP) => {
                Transport::Tcp
            }
            (SegmentationKind::Udp, 4 | 6, PROTOCOL_UDP) => Transport::Udp,
            _ => return Err(OffloadError::KindMismatch { kind, version: version_number, protocol }),
        };
        let header_end = match transport {
            Transport::Udp => transport_offset + UDP_HEADER_LEN,
            Transport::Tcp => {
                need("TCP header", transport_offset + TCP_HEADER_LEN)?;
                transport_offset + (usize::from(bytes[transport_offset + 12] >> 4) * 4).max(TCP_HEADER_LEN)
            }
        };
        if header_end > end {
            return Err(OffloadError::Truncated {
                header: "transport header",
                expected: header_end,
                found: end,
            });
        }
        Ok(Layout { version, transport, network_offset, transport_offset, payload: header_end..end })
    }

    /// Segment `index` of `count`, complete.
    fn cut(&self, frame: &Frame, size: usize, index: usize, count: usize) -> Frame {
        let original = frame.bytes();
        let start = self.payload.start + index * size;
        let chunk = &original[start..self.payload.end.min(start + size)];
        let mut segment = frame.copy_of(&original[..self.payload.start]);
        segment.extend(chunk.len()).copy_from_slice(chunk);
        segment.set_trace(frame.trace());
        segment.set_mark(frame.mark());

        let bytes = segment.bytes_mut();
        self.fix_network(&mut bytes[self.network_offset..], index);
        match self.transport {
            Transport::Tcp => {
                let tcp = &mut bytes[self.transport_offset..];
                let sequence = read_u32(tcp, 4).wrapping_add((index * size) as u32);
                tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
                if index + 1 != count {
                    tcp[13] &= !(TCP_FIN | TCP_PSH);
                }
                if index != 0 {
                    tcp[13] &= !TCP_CWR;
                }
                self.fix_transport_checksum(bytes, 16);
            }
            Transport::Udp => {
                let udp = &mut bytes[self.transport_offset..];
                let length = udp.len() as u16;
                udp[4..6].copy_from_slice(&length.to_be_bytes());
                let disabled = self.version == Version::V4
                    && frame.checksum() == Checksum::Complete
                    && read_u16(udp, 6) == 0;
                if !disabled {
                    self.fix_transport_checksum(bytes, 6);
                }
            }
        }
        segment
    }

    /// Gives the packet in `packet` its length and, in IPv4, its identification and header checksum.
    fn fix_network(&self, packet: &mut [u8], index: usize) {
        let length = packet.len();
        match self.version {
            Version::V4 => {
                packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                let identification = read_u16(packet, 4).wrapping_add(index as u16);
                packet[4..6].copy_from_slice(&identification.to_be_bytes());
                packet[10..12].fill(0);
                let header = &packet[..self.transport_offset - self.network_offset];
                let checksum = !fold(sum(header));
                packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
            Version::V6 => {
                packet[4..6].copy_from_slice(&((length - IPV6_HEADER_LEN) as u16).to_be_bytes());
            }
        }
    }

    /// Computes the transport checksum, pseudo-header included, into the field `field` bytes into the
    /// transport header.
    fn fix_transport_checksum(&self, bytes: &mut [u8], field: usize) {
        let field = self.transport_offset + field;
        bytes[field..field + 2].fill(0);
        let addresses = match self.version {
            Version::V4 => self.network_offset + 12..self.network_offset + 20,
            Version::V6 => self.network_offset + 8..self.network_offset + 40,
        };
        let protocol = match self.transport {
            Transport::Tcp => PROTOCOL_TCP,
            Transport::Udp => PROTOCOL_UDP,
        };
        let segment = &bytes[self.transport_offset..];
        let total = sum(&bytes[addresses]) + segment.len() as u64 + u64::from(protocol) + sum(segment);
        let checksum = match self.transport {
            Transport::Tcp => !fold(total),
            Transport::Udp => not_zero(!fold(total)),
        };
        bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The bytes added up as big-endian 16-bit words, a last odd byte being the high one (RFC 1071). Added as
/// 32-bit words, which is congruent; no frame is long enough to overflow.
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    let mut total: u64 =
        words.by_ref().map(|w| u64::from(u32::from_be_bytes([w[0], w[1], w[2], w[3]]))).sum();
    total += match *words.remainder() {
        [a] => u64::from(a) << 8,
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c] => u64::from(u16::from_be_bytes([a, b])) + (u64::from(c) << 8),
        _ => 0,
    };
    total
}

/// The one's complement sum of the total's 16-bit words.
fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total >> 16) + (total & 0xffff);
    }
    total as u16
}

fn not_zero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Pool, TraceId};
    use proptest::prelude::*;

    /// A plain rendition of RFC 1071 to check against.
    fn reference_sum(parts: &[&[u8]]) -> u16 {
        let mut total = 0u32;
        for part in parts {
            for pair in part.chunks(2) {
                total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
                total = (total & 0xffff) + (total >> 16);
            }
        }
        total as u16
    }

    /// A packet behind `link` bytes of link header, with a partial checksum as a local socket sends it.
    fn packet(
        pool: &Pool,
        kind: SegmentationKind,
        v6: bool,
        link: usize,
        payload: &[u8],
        flags: u8,
        size: u16,
    ) -> Frame {
        let tcp = kind != SegmentationKind::Udp;
        let transport_len = if tcp { 32 } else { 8 };
        let protocol = if tcp { 6 } else { 17 };
        let l4_len = transport_len + payload.len();
        let mut bytes = vec![0xee; link];
        if v6 {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((l4_len as u16).to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend((0..32).map(|i| i * 7));
        } else {
            bytes.extend([0x45, 0]);
            bytes.extend((20 + l4_len as u16).to_be_bytes());
            bytes.extend([0xff, 0xfe, 0x40, 0, 64, protocol, 0, 0, 172, 17, 0, 2, 172, 17, 0, 3]);
            let checksum = !reference_sum(&[&bytes[link..]]);
            bytes[link + 10..link + 12].copy_from_slice(&checksum.to_be_bytes());
        }
        let transport = bytes.len();
        let addresses = if v6 { link + 8..link + 40 } else { link + 12..link + 20 };
        let pseudo = reference_sum(&[&bytes[addresses], &[0, protocol], &(l4_len as u16).to_be_bytes()]);
        bytes.extend([0x12, 0x34, 0, 80]);
        if tcp {
            bytes.extend(0xffff_fff0u32.to_be_bytes());
            bytes.extend([0, 0, 0, 9, 0x80, flags, 1, 0]);
            bytes.extend(pseudo.to_be_bytes());
            bytes.extend([0, 0, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        } else {
            bytes.extend((l4_len as u16).to_be_bytes());
            bytes.extend(pseudo.to_be_bytes());
        }
        bytes.extend(payload);
        let mut frame = pool.copy_of(&bytes);
        frame.set_checksum(Checksum::Partial { start: transport as u16, offset: if tcp { 16 } else { 6 } });
        frame.set_segmentation(Some(Segmentation { kind, size }));
        frame.set_trace(TraceId(5));
        frame.set_mark(3);
        frame
    }

    fn assert_checksums(bytes: &[u8], link: usize) {
        let ip = &bytes[link..];
        let (addresses, transport, protocol) = if ip[0] >> 4 == 6 {
            assert_eq!(usize::from(read_u16(ip, 4)), ip.len() - 40);
            (&ip[8..40], &ip[40..], ip[6])
        } else {
            assert_eq!(usize::from(read_u16(ip, 2)), ip.len());
            assert_eq!(reference_sum(&[&ip[..20]]), 0xffff);
            (&ip[12..20], &ip[20..], ip[9])
        };
        let length = (transport.len() as u16).to_be_bytes();
        assert_eq!(reference_sum(&[addresses, &[0, protocol], &length, transport]), 0xffff);
        if protocol == 17 {
            assert_eq!(usize::from(read_u16(transport, 4)), transport.len());
        }
    }

    #[test]
    fn flags_sequence_and_identification_advance() {
        let pool = Pool::new();
        let payload: Vec<u8> = (0..250).collect();
        let flags = 0x10 | TCP_PSH | TCP_FIN | TCP_CWR;
        let frame = packet(&pool, SegmentationKind::Tcp4, false, 14, &payload, flags, 100);
        assert_eq!(segment_size(&frame, 14), 20 + 32 + 100);
        let segments: Vec<Frame> = segment(frame, 14).unwrap().collect();
        let ids: Vec<u16> = segments.iter().map(|s| read_u16(s.bytes(), 18)).collect();
        let sequences: Vec<u32> = segments.iter().map(|s| read_u32(s.bytes(), 38)).collect();
        let flags: Vec<u8> = segments.iter().map(|s| s.bytes()[47]).collect();
        assert_eq!(ids, [0xfffe, 0xffff, 0]);
        assert_eq!(sequences, [0xffff_fff0, 0x54, 0xb8]);
        assert_eq!(flags, [0x10 | TCP_CWR, 0x10, 0x10 | TCP_PSH | TCP_FIN]);
        drop(segments);
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn a_disabled_udp_checksum_stays_disabled() {
        let pool = Pool::new();
        let mut frame = packet(&pool, SegmentationKind::Udp, false, 0, &[1; 30], 0, 10);
        frame.set_checksum(Checksum::Complete);
        frame.bytes_mut()[26..28].fill(0);
        assert!(segment(frame, 0).unwrap().all(|segment| read_u16(segment.bytes(), 26) == 0));
    }

    #[test]
    fn contradictions_are_errors() {
        let pool = Pool::new();
        let frame = || packet(&pool, SegmentationKind::Tcp4, false, 14, &[1; 30], 0, 10);
        let outcome = |frame: Frame| segment(frame, 14).map(|segments| segments.len());
        assert_eq!(outcome(frame()), Ok(3));
        let mut zero = frame();
        zero.set_segmentation(Some(Segmentation { kind: SegmentationKind::Tcp4, size: 0 }));
        assert_eq!(outcome(zero), Err(OffloadError::ZeroSize));
        let mut other = frame();
        other.set_segmentation(Some(Segmentation { kind: SegmentationKind::Udp, size: 10 }));
        assert_eq!(segment_size(&other, 14), other.len() - 14);
        let expected = OffloadError::KindMismatch { kind: SegmentationKind::Udp, version: 4, protocol: 6 };
        assert_eq!(outcome(other), Err(expected));
        let mut fragment = frame();
        fragment.bytes_mut()[20] = 0x20;
        assert_eq!(outcome(fragment), Err(OffloadError::Fragment));
        let mut field = pool.frame(20);
        field.set_checksum(Checksum::Partial { start: 10, offset: 9 });
        assert_eq!(complete_checksum(&mut field), Err(OffloadError::ChecksumField { field: 19, length: 20 }));
    }

    fn kinds() -> impl Strategy<Value = (SegmentationKind, bool)> {
        prop_oneof![
            Just((SegmentationKind::Tcp4, false)),
            Just((SegmentationKind::Tcp6, true)),
            Just((SegmentationKind::Udp, false)),
            Just((SegmentationKind::Udp, true)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// Segments carry the payload in order, each complete, with valid lengths and checksums.
        #[test]
        fn segments_add_up(
            (kind, v6) in kinds(), link in prop_oneof![Just(0usize), Just(14), Just(18)],
            payload in prop::collection::vec(any::<u8>(), 0..5000), size in 40..3000u16, padding in 0..8usize,
        ) {
            let pool = Pool::new();
            let mut frame = packet(&pool, kind, v6, link, &payload, 0x18, size);
            let fits = payload.len() <= usize::from(size);
            if !fits {
                frame.extend(padding);
            }
            let largest = segment_size(&frame, link);
            let mut joined = Vec::new();
            let segments = segment(frame, link).unwrap();
            prop_assert_eq!(segments.len(), payload.len().div_ceil(usize::from(size)).max(1));
            for (index, segment) in segments.enumerate() {
                prop_assert_eq!(segment.checksum(), Checksum::Complete);
                prop_assert_eq!(segment.segmentation(), None);
                prop_assert_eq!((segment.trace(), segment.mark()), (TraceId(5), 3));
                assert_checksums(segment.bytes(), link);
                let ip = segment.len() - link;
                prop_assert!(ip <= largest && (index > 0 || ip == largest));
                let headers = link + if v6 { 40 } else { 20 } + if kind == SegmentationKind::Udp { 8 } else { 32 };
                joined.extend_from_slice(&segment.bytes()[headers..]);
            }
            prop_assert_eq!(joined, payload);
            prop_assert_eq!(pool.outstanding(), 0);
        }

        /// No bytes make segmentation panic.
        #[test]
        fn no_bytes_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..120), version in 0..16u8,
            offset in 0..40usize, size in 0..50u16, (kind, _) in kinds(),
        ) {
            if let Some(first) = bytes.get_mut(offset) {
                *first = version << 4 | 5;
            }
            let pool = Pool::new();
            let mut frame = pool.copy_of(&bytes);
            frame.set_segmentation(Some(Segmentation { kind, size }));
            prop_assert!(segment_size(&frame, offset) <= bytes.len());
            if let Ok(segments) = segment(frame, offset) {
                prop_assert!(segments.count() >= 1);
            }
        }
    }
}
