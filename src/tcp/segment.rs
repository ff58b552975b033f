//! TCP segments in whole IP packets: the checked header that demultiplexing needs, and the two answers
//! smoltcp is not asked for, a RST for no socket and the ACK of a connection in TIME-WAIT (RFC 9293, 3.10.7).

use std::net::{IpAddr, SocketAddr};

use smoltcp::phy::{Checksum, ChecksumCapabilities};
use smoltcp::wire::{
    IpAddress, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

/// What demultiplexing needs of one segment, seen from its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Destination of the packet.
    pub(super) local: SocketAddr,
    /// Source of the packet.
    pub(super) remote: SocketAddr,
    pub(super) control: TcpControl,
    pub(super) sequence: u32,
    pub(super) acknowledgment: Option<u32>,
    /// Sequence space taken, SYN and FIN included.
    pub(super) length: u32,
    /// The peer takes nothing at present.
    pub(super) closes_window: bool,
}

/// What is kept of a segment that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) sequence: u32,
    pub(super) acknowledgment: Option<u32>,
    /// Sequence space taken, SYN and FIN included.
    pub(super) length: u32,
    pub(super) syn: bool,
    /// It only acknowledges.
    pub(super) bare: bool,
}

impl Segment {
    /// Reads a whole IP packet. `trusted` skips both checksums. None when it is not a complete,
    /// unfragmented packet with a well-formed TCP segment between unicast addresses directly inside.
    pub(super) fn parse(packet: &[u8], trusted: bool) -> Option<Segment> {
        let (source, destination, payload): (IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
            4 => {
                let ip = Ipv4Packet::new_checked(packet).ok()?;
                let fragment = ip.more_frags() || ip.frag_offset() != 0;
                if fragment || ip.next_header() != IpProtocol::Tcp || !(trusted || ip.verify_checksum()) {
                    return None;
                }
                (ip.src_addr().into(), ip.dst_addr().into(), ip.payload())
            }
            6 => {
                let ip = Ipv6Packet::new_checked(packet).ok()?;
                if ip.next_header() != IpProtocol::Tcp {
                    return None;
                }
                (ip.src_addr().into(), ip.dst_addr().into(), ip.payload())
            }
            _ => return None,
        };
        if !is_unicast(source) || !is_unicast(destination) {
            return None;
        }
        let mut checksum = ChecksumCapabilities::default();
        checksum.tcp = if trusted { Checksum::None } else { Checksum::Both };
        let tcp = TcpPacket::new_checked(payload).ok()?;
        let repr = TcpRepr::parse(&tcp, &source.into(), &destination.into(), &checksum).ok()?;
        Some(Segment {
            local: SocketAddr::new(destination, repr.dst_port),
            remote: SocketAddr::new(source, repr.src_port),
            control: repr.control,
            sequence: repr.seq_number.0 as u32,
            acknowledgment: repr.ack_number.map(|number| number.0 as u32),
            length: repr.segment_len() as u32,
            closes_window: repr.window_len == 0,
        })
    }

    /// Reads the numbers of a packet that smoltcp just made: a whole one without IP options.
    pub(super) fn sent(packet: &[u8]) -> Option<Sent> {
        let header = if packet.first()? >> 4 == 4 { 20 } else { 40 };
        let tcp = TcpPacket::new_unchecked(packet.get(header..)?);
        let length = packet.len().checked_sub(header + usize::from(tcp.header_len()))? as u32;
        Some(Sent {
            sequence: tcp.seq_number().0 as u32,
            acknowledgment: tcp.ack().then(|| tcp.ack_number().0 as u32),
            length: length + u32::from(tcp.syn()) + u32::from(tcp.fin()),
            syn: tcp.syn(),
            bare: length == 0 && !tcp.syn() && !tcp.fin() && !tcp.rst(),
        })
    }

    /// Opens a connection: SYN without ACK.
    pub(super) fn is_initial(&self) -> bool {
        self.control == TcpControl::Syn && self.acknowledgment.is_none()
    }

    /// The RST that RFC 9293 (3.10.7.1) prescribes for a segment nobody wants; none for a RST.
    pub(super) fn reset(&self) -> Option<Vec<u8>> {
        if self.control == TcpControl::Rst {
            return None;
        }
        let (sequence, acknowledgment) = match self.acknowledgment {
            Some(number) => (number, None),
            None => (0, Some(self.sequence.wrapping_add(self.length))),
        };
        Some(emit(self.local, self.remote, TcpControl::Rst, sequence, acknowledgment, 0, 64))
    }
}

/// An address one end of a TCP connection can have.
pub(super) fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
    }
}

/// Leaves the TCP checksum of a whole IP packet without options to others: its field gets the sum of the pseudo header
/// (RFC 9293, 3.1), not complemented.
pub(super) fn leave_partial(packet: &mut [u8]) {
    let (addresses, header) = match packet.first().map(|first| first >> 4) {
        Some(4) => (12..20, 20),
        _ => (8..40, 40),
    };
    let length = packet.len().saturating_sub(header) as u64;
    let mut sum = u64::from(u8::from(IpProtocol::Tcp)) + (length >> 16) + (length & 0xffff);
    for pair in packet.get(addresses).unwrap_or_default().chunks_exact(2) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    if let Some(field) = packet.get_mut(header + 16..header + 18) {
        field.copy_from_slice(&(sum as u16).to_be_bytes());
    }
}

/// Whether sequence number `a` is later than `b`, modulo 2^32 (RFC 9293, 3.4).
pub(super) fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// A whole IP packet with an empty segment, checksums complete. Both endpoints are of one family.
pub(super) fn emit(
    local: SocketAddr,
    remote: SocketAddr,
    control: TcpControl,
    sequence: u32,
    acknowledgment: Option<u32>,
    window: u16,
    hop_limit: u8,
) -> Vec<u8> {
    let (source, destination): (IpAddress, IpAddress) = (local.ip().into(), remote.ip().into());
    let tcp = TcpRepr {
        src_port: local.port(),
        dst_port: remote.port(),
        control,
        seq_number: TcpSeqNumber(sequence as i32),
        ack_number: acknowledgment.map(|number| TcpSeqNumber(number as i32)),
        window_len: window,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None, None, None],
        timestamp: None,
        payload: &[],
    };
    let checksum = ChecksumCapabilities::default();
    let ip = IpRepr::new(source, destination, IpProtocol::Tcp, tcp.buffer_len(), hop_limit);
    let mut packet = vec![0; ip.buffer_len()];
    ip.emit(&mut packet[..], &checksum);
    tcp.emit(&mut TcpPacket::new_unchecked(&mut packet[ip.header_len()..]), &source, &destination, &checksum);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(text: [&str; 2]) -> (SocketAddr, SocketAddr) {
        (text[0].parse().unwrap(), text[1].parse().unwrap())
    }

    #[test]
    fn reset_answers_as_rfc_9293() {
        for ends in [["10.0.0.1:1000", "10.0.0.2:80"], ["[fd00::1]:1000", "[fd00::2]:80"]] {
            let (client, server) = pair(ends);
            let syn = Segment::parse(&emit(client, server, TcpControl::Syn, 7, None, 0, 64), false).unwrap();
            assert!(syn.is_initial());
            let reset = Segment::parse(&syn.reset().unwrap(), false).unwrap();
            assert_eq!((reset.local, reset.remote, reset.control), (client, server, TcpControl::Rst));
            assert_eq!((reset.sequence, reset.acknowledgment), (0, Some(8)));
            assert_eq!(reset.reset(), None);
            let ack = Segment::parse(&emit(client, server, TcpControl::None, 7, Some(9), 0, 64), false);
            let reset = Segment::parse(&ack.unwrap().reset().unwrap(), false).unwrap();
            assert_eq!((reset.sequence, reset.acknowledgment), (9, None));
        }
    }

    #[test]
    fn a_wrong_checksum_is_refused_unless_trusted() {
        let (client, server) = pair(["10.0.0.1:1000", "10.0.0.2:80"]);
        let mut packet = emit(client, server, TcpControl::Syn, 7, None, 0, 64);
        packet[36] ^= 1;
        assert_eq!(Segment::parse(&packet, false), None);
        assert!(Segment::parse(&packet, true).is_some());
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert!(is_after(1, u32::MAX));
        assert!(!is_after(u32::MAX, 1));
        assert!(!is_after(5, 5));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(mut packet in prop::collection::vec(any::<u8>(), 0..80), v6: bool) {
            if let Some(first) = packet.first_mut() {
                *first = if v6 { 0x60 } else { 0x45 };
            }
            let _ = Segment::parse(&packet, true);
        }
    }
}
