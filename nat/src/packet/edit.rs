//! Editing a packet in place with every checksum that covers the edit kept right (RFC 1624).
//!
//! An edit touches the field, then the IPv4 header checksum or the transport checksum from the difference alone,
//! so its cost does not depend on the packet's length (SCTP's CRC32c, which has no cheap difference, is the
//! exception). A packet quoted inside an ICMP error is edited through the same type: it then also repairs the
//! outer ICMP checksum. A refused edit leaves the packet as it was.

use super::view::{checksum_field, is_icmp_query};
use super::{ChecksumState, IpVersion, Layout, MalformedPacket, PacketView, TcpFlags, Transport, UDP, word};
use crate::checksum::{self, Delta};
use std::net::IpAddr;

/// A packet that may be edited.
#[derive(Debug)]
pub struct PacketMut<'a> {
    /// Exactly the packet: padding cut off.
    bytes: &'a mut [u8],
    layout: Layout,
    checksum: ChecksumState,
    /// Checksum field of the ICMP error that quotes this packet.
    outer_checksum: Option<&'a mut [u8]>,
    /// What the current edit changed so far, for the outer checksum.
    changed: Delta,
}

/// Why an edit was refused. The packet is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The address belongs to the other IP version.
    #[error("{address} cannot be an address of an {packet:?} packet: give an address of the same IP version")]
    FamilyMismatch {
        /// The packet's version.
        packet: IpVersion,
        /// The address that was given.
        address: IpAddr,
    },
    /// No port fields: another protocol, a later fragment, or a header cut short.
    #[error("protocol {protocol} has no port fields that can be read here: reassemble fragments first")]
    PortsUnreadable {
        /// IP protocol number.
        protocol: u8,
    },
    /// No identifier: not an ICMP query or reply.
    #[error("protocol {protocol} has no ICMP identifier here: expected an ICMP query or its reply")]
    NoIcmpIdentifier {
        /// IP protocol number.
        protocol: u8,
    },
    /// The packet may not be forwarded any further.
    #[error("time to live is {ttl}: the packet ends here, answer with time exceeded")]
    TtlExpired {
        /// Its time to live, 0 or 1.
        ttl: u8,
    },
}

impl<'a> PacketMut<'a> {
    /// Validates `bytes`, which start at the IP header.
    pub fn parse(bytes: &'a mut [u8], checksum: ChecksumState) -> Result<PacketMut<'a>, MalformedPacket> {
        let layout = Layout::parse(bytes)?;
        let bytes = &mut bytes[..layout.available_length()];
        Ok(PacketMut { bytes, layout, checksum, outer_checksum: None, changed: Delta::default() })
    }

    /// Joins bytes with the layout that was parsed from them; `None` when they are shorter than it says.
    pub fn with_layout(
        bytes: &'a mut [u8],
        layout: Layout,
        checksum: ChecksumState,
    ) -> Option<PacketMut<'a>> {
        let bytes = bytes.get_mut(..layout.available_length())?;
        Some(PacketMut { bytes, layout, checksum, outer_checksum: None, changed: Delta::default() })
    }

    /// The packet for reading.
    pub fn view(&self) -> PacketView<'_> {
        PacketView { bytes: self.bytes, layout: self.layout }
    }

    /// Where the parts are.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What the transport checksum field holds.
    pub fn checksum_state(&self) -> ChecksumState {
        self.checksum
    }

    /// Replaces the source address.
    pub fn set_source(&mut self, address: IpAddr) -> Result<(), EditError> {
        let offset = if self.layout.version == IpVersion::V4 { 12 } else { 8 };
        self.set_address(offset, address)
    }

    /// Replaces the destination address.
    pub fn set_destination(&mut self, address: IpAddr) -> Result<(), EditError> {
        let offset = if self.layout.version == IpVersion::V4 { 16 } else { 24 };
        self.set_address(offset, address)
    }

    /// Replaces the source port of TCP, UDP or SCTP.
    pub fn set_source_port(&mut self, port: u16) -> Result<(), EditError> {
        self.set_port(0, port)
    }

    /// Replaces the destination port of TCP, UDP or SCTP.
    pub fn set_destination_port(&mut self, port: u16) -> Result<(), EditError> {
        self.set_port(2, port)
    }

    /// Replaces the identifier of an ICMP query or reply.
    pub fn set_icmp_id(&mut self, id: u16) -> Result<(), EditError> {
        let protocol = self.layout.protocol;
        let query =
            self.view().icmp_type_code().is_some_and(|(kind, _)| is_icmp_query(self.layout.version, kind));
        if !query {
            return Err(EditError::NoIcmpIdentifier { protocol });
        }
        let delta = self.write(self.layout.transport_offset() + 4, id);
        let field = self.layout.transport_offset() + 2;
        let mut updated = delta.apply(word(self.bytes, field));
        // A message of zeros only sums to plus zero, which the difference cannot tell from minus zero.
        if updated == 0 && self.is_whole() && self.layout.version == IpVersion::V4 {
            let _ = self.write(field, 0);
            updated = checksum::checksum(&self.bytes[self.layout.transport_offset()..]);
        }
        let _ = self.write(field, updated);
        self.commit();
        Ok(())
    }

    /// Takes one from the time to live, or hop limit, and returns what is left; refused when nothing would be.
    pub fn decrement_ttl(&mut self) -> Result<u8, EditError> {
        let ttl = self.view().ttl();
        if ttl <= 1 {
            return Err(EditError::TtlExpired { ttl });
        }
        self.set_ttl(ttl - 1);
        Ok(ttl - 1)
    }

    /// Replaces the time to live, or hop limit.
    pub fn set_ttl(&mut self, ttl: u8) {
        match self.layout.version {
            IpVersion::V4 => self.write_header(8, u16::from_be_bytes([ttl, self.bytes[9]])),
            IpVersion::V6 => self.write_header(6, u16::from_be_bytes([self.bytes[6], ttl])),
        }
    }

    /// Replaces the type of service, or traffic class.
    pub fn set_tos(&mut self, tos: u8) {
        match self.layout.version {
            IpVersion::V4 => self.write_header(0, u16::from_be_bytes([self.bytes[0], tos])),
            IpVersion::V6 => self.write_header(0, word(self.bytes, 0) & 0xf00f | u16::from(tos) << 4),
        }
    }

    /// Replaces the identification of an IPv4 packet; IPv6 packets have none and stay as they are.
    pub fn set_identification(&mut self, identification: u16) {
        if self.layout.version == IpVersion::V4 {
            self.write_header(4, identification);
            self.layout.identification = identification.into();
        }
    }

    /// Lowers the maximum segment size that a SYN announces to `limit`; a smaller one stays (`xt_TCPMSS`). No change to
    /// anything but a SYN with the option.
    pub fn clamp_mss(&mut self, limit: u16) {
        let view = self.view();
        if !view.tcp_flags().is_some_and(|flags| flags.contains(TcpFlags::SYN)) {
            return;
        }
        let Some(at) = view.tcp_options().and_then(mss_offset) else { return };
        let at = self.layout.transport_offset() + 20 + at;
        let announced = u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
        if announced <= limit {
            return;
        }
        self.bytes[at..at + 2].copy_from_slice(&limit.to_be_bytes());
        if self.checksum == ChecksumState::Partial {
            return;
        }
        // The option may begin at an odd place, so the checksum is made anew: a SYN is short and rare.
        let (source, destination) = (self.view().source(), self.view().destination());
        let start = self.layout.transport_offset();
        let _ = self.write(start + 16, 0);
        let sum = checksum::transport(source, destination, self.layout.protocol(), &self.bytes[start..]);
        let _ = self.write(start + 16, sum);
        self.commit();
    }

    /// Turns a partial checksum into a complete one, as an edge without offload needs it. No change where it is
    /// complete already, and in a fragment or a quoted packet, whose data is not all here.
    pub fn complete_checksum(&mut self) {
        if self.checksum == ChecksumState::Complete || !self.is_whole() {
            return;
        }
        if let (Transport::Tcp | Transport::Udp, Some((field, _))) =
            (self.layout.transport, checksum_field(&self.layout))
        {
            let end = match self.layout.transport {
                Transport::Udp => self.layout.transport_offset() + self.view().udp_length(),
                _ => self.bytes.len(),
            };
            let sum = !checksum::sum(&self.bytes[self.layout.transport_offset()..end]);
            let sum = if self.layout.transport == Transport::Udp { checksum::udp_nonzero(sum) } else { sum };
            let _ = self.write(field, sum);
            self.commit();
        }
        self.checksum = ChecksumState::Complete;
    }

    /// The packet that an ICMP error quotes, for the same edits; each also repairs the error's own checksum.
    /// A quoted transport checksum is updated when it was quoted, and left out when the quote ends before it.
    pub fn embedded_mut(&mut self) -> Option<PacketMut<'_>> {
        let layout = self.view().embedded()?.layout;
        let start = self.layout.transport_offset() + 8;
        let field = self.layout.transport_offset() + 2;
        let (head, quoted) = self.bytes.split_at_mut(start);
        Some(PacketMut {
            bytes: &mut quoted[..layout.available_length()],
            layout,
            checksum: ChecksumState::Complete,
            outer_checksum: Some(&mut head[field..field + 2]),
            changed: Delta::default(),
        })
    }

    fn set_address(&mut self, offset: usize, address: IpAddr) -> Result<(), EditError> {
        let mut delta = Delta::default();
        match (self.layout.version, address) {
            (IpVersion::V4, IpAddr::V4(address)) => {
                self.write_words(offset, &address.octets(), &mut delta);
                let header = delta.apply(word(self.bytes, 10));
                let _ = self.write(10, header);
            }
            (IpVersion::V6, IpAddr::V6(address)) => self.write_words(offset, &address.octets(), &mut delta),
            (packet, address) => return Err(EditError::FamilyMismatch { packet, address }),
        }
        if let Some((field, true)) = checksum_field(&self.layout) {
            self.update_transport_checksum(field, delta);
        }
        self.commit();
        Ok(())
    }

    fn set_port(&mut self, offset: usize, port: u16) -> Result<(), EditError> {
        if !self.layout.has_ports() {
            return Err(EditError::PortsUnreadable { protocol: self.layout.protocol });
        }
        let delta = self.write(self.layout.transport_offset() + offset, port);
        match checksum_field(&self.layout) {
            Some((field, _)) if self.checksum == ChecksumState::Complete => {
                self.update_transport_checksum(field, delta);
            }
            _ => {}
        }
        // A quoted header may end before the checksum, whatever its total length says.
        let start = self.layout.transport_offset();
        if self.layout.transport == Transport::Sctp && self.is_whole() && self.bytes.len() >= start + 12 {
            let [a, b, c, d] = checksum::sctp_crc(&self.bytes[start..]).to_le_bytes();
            let _ = self.write(start + 8, u16::from_be_bytes([a, b]));
            let _ = self.write(start + 10, u16::from_be_bytes([c, d]));
        }
        self.commit();
        Ok(())
    }

    /// Applies `delta` to the transport checksum: to the inverted sum, or with a partial checksum of TCP and UDP
    /// to the pseudo header's sum.
    fn update_transport_checksum(&mut self, field: usize, delta: Delta) {
        let old = word(self.bytes, field);
        let udp = self.layout.protocol == UDP;
        let partial = self.checksum == ChecksumState::Partial && (udp || self.layout.protocol == super::TCP);
        let new = match (partial, udp) {
            (true, _) => delta.apply_to_sum(old),
            // Zero says that the sender made no checksum (RFC 768); that stays.
            (false, true) if old == 0 => 0,
            (false, true) => checksum::udp_nonzero(delta.apply(old)),
            (false, false) => delta.apply(old),
        };
        let _ = self.write(field, new);
    }

    /// Writes a word of the IP header and repairs the IPv4 header checksum.
    fn write_header(&mut self, offset: usize, value: u16) {
        let delta = self.write(offset, value);
        if self.layout.version == IpVersion::V4 {
            let header = delta.apply(word(self.bytes, 10));
            let _ = self.write(10, header);
        }
        self.commit();
    }

    fn write_words(&mut self, offset: usize, octets: &[u8], delta: &mut Delta) {
        for (index, pair) in octets.chunks_exact(2).enumerate() {
            let (at, new) = (offset + index * 2, u16::from_be_bytes([pair[0], pair[1]]));
            delta.replace(word(self.bytes, at), new);
            let _ = self.write(at, new);
        }
    }

    /// Writes a word at an even offset; returns its difference and notes it for the outer checksum.
    fn write(&mut self, offset: usize, value: u16) -> Delta {
        let old = word(self.bytes, offset);
        self.bytes[offset..offset + 2].copy_from_slice(&value.to_be_bytes());
        self.changed.replace(old, value);
        let mut delta = Delta::default();
        delta.replace(old, value);
        delta
    }

    /// Ends an edit: brings the outer ICMP checksum up to date.
    fn commit(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        if let Some(field) = self.outer_checksum.as_deref_mut() {
            let updated = changed.apply(word(field, 0));
            field.copy_from_slice(&updated.to_be_bytes());
        }
    }

    /// Whether all data that the transport checksum covers is here.
    fn is_whole(&self) -> bool {
        !self.layout.is_fragment() && self.layout.available == self.layout.total_length
    }
}

/// Where the value of the maximum segment size option (RFC 9293 section 3.7.1) begins among the options.
fn mss_offset(options: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *options.get(at..)? {
            [0, ..] | [] => return None,
            [1, ..] => at += 1,
            [2, 4, _, _, ..] => return Some(at + 2),
            [_, length, ..] if length >= 2 => at += usize::from(length),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::{self, IpHeader, TcpSegment};
    use crate::icmp::{IcmpError, emit_error};
    use crate::packet::{SCTP, TCP};
    use proptest::prelude::*;
    use std::net::SocketAddr;

    #[derive(Debug, Clone, Copy)]
    enum Kind {
        Tcp,
        Udp,
        UdpWithout,
        Echo,
        Sctp,
    }

    #[derive(Debug, Clone, Copy)]
    enum Edit {
        Source([u8; 16]),
        Destination([u8; 16]),
        SourcePort(u16),
        DestinationPort(u16),
        IcmpId(u16),
        Ttl(u8),
        Tos(u8),
        Identification(u16),
    }

    fn address(version: IpVersion, octets: [u8; 16]) -> IpAddr {
        match version {
            IpVersion::V4 => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
            IpVersion::V6 => IpAddr::from(octets),
        }
    }

    fn build(
        version: IpVersion,
        kind: Kind,
        ends: ([u8; 16], [u8; 16]),
        ports: (u16, u16),
        data: &[u8],
    ) -> Vec<u8> {
        let source = SocketAddr::new(address(version, ends.0), ports.0);
        let destination = SocketAddr::new(address(version, ends.1), ports.1);
        match kind {
            Kind::Tcp => {
                let segment = TcpSegment { sequence: 99, window: 1000, ..Default::default() };
                emit::emit_tcp(source, destination, 64, &segment, data).unwrap()
            }
            Kind::Udp | Kind::UdpWithout => {
                let mut packet = emit::emit_udp(source, destination, 64, data).unwrap();
                if matches!(kind, Kind::UdpWithout) && version == IpVersion::V4 {
                    packet[26..28].fill(0);
                }
                packet
            }
            Kind::Echo => {
                emit::emit_echo_request(source.ip(), destination.ip(), 64, ports.0, ports.1, data).unwrap()
            }
            Kind::Sctp => {
                let mut segment = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
                segment.extend([0; 8]);
                segment.extend(data);
                let crc = checksum::sctp_crc(&segment);
                segment[8..12].copy_from_slice(&crc.to_le_bytes());
                emit::emit_ip(&IpHeader::new(source.ip(), destination.ip(), SCTP), &segment).unwrap()
            }
        }
    }

    fn apply(packet: &mut PacketMut<'_>, edit: Edit) -> Result<(), EditError> {
        let version = packet.layout().version();
        match edit {
            Edit::Source(octets) => packet.set_source(address(version, octets)),
            Edit::Destination(octets) => packet.set_destination(address(version, octets)),
            Edit::SourcePort(port) => packet.set_source_port(port),
            Edit::DestinationPort(port) => packet.set_destination_port(port),
            Edit::IcmpId(id) => packet.set_icmp_id(id),
            Edit::Ttl(ttl) => {
                packet.set_ttl(ttl);
                Ok(())
            }
            Edit::Tos(tos) => {
                packet.set_tos(tos);
                Ok(())
            }
            Edit::Identification(id) => {
                packet.set_identification(id);
                Ok(())
            }
        }
    }

    fn holds(packet: &PacketMut<'_>, edit: Edit) -> bool {
        let view = packet.view();
        let version = view.layout().version();
        match edit {
            Edit::Source(octets) => view.source() == address(version, octets),
            Edit::Destination(octets) => view.destination() == address(version, octets),
            Edit::SourcePort(port) => view.source_port() == Some(port),
            Edit::DestinationPort(port) => view.destination_port() == Some(port),
            Edit::IcmpId(id) => view.icmp_id() == Some(id),
            Edit::Ttl(ttl) => view.ttl() == ttl,
            Edit::Tos(tos) => view.tos() == tos,
            Edit::Identification(id) => {
                version == IpVersion::V6
                    || Layout::parse_quoted(view.bytes()).is_ok_and(|l| l.identification() == id.into())
            }
        }
    }

    fn versions() -> impl Strategy<Value = IpVersion> {
        prop_oneof![Just(IpVersion::V4), Just(IpVersion::V6)]
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Tcp),
            Just(Kind::Udp),
            Just(Kind::UdpWithout),
            Just(Kind::Echo),
            Just(Kind::Sctp)
        ]
    }

    fn edits() -> impl Strategy<Value = Vec<Edit>> {
        let edit = prop_oneof![
            any::<[u8; 16]>().prop_map(Edit::Source),
            any::<[u8; 16]>().prop_map(Edit::Destination),
            any::<u16>().prop_map(Edit::SourcePort),
            any::<u16>().prop_map(Edit::DestinationPort),
            prop_oneof![Just(0), any::<u16>()].prop_map(Edit::IcmpId),
            any::<u8>().prop_map(Edit::Ttl),
            any::<u8>().prop_map(Edit::Tos),
            any::<u16>().prop_map(Edit::Identification),
        ];
        proptest::collection::vec(edit, 1..6)
    }

    /// Addresses that an ICMP error may speak of.
    fn hosts() -> ([u8; 16], [u8; 16]) {
        ([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], [10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8])
    }

    proptest! {
        #[test]
        fn incremental_is_full(version in versions(), kind in kinds(), ends in any::<([u8; 16], [u8; 16])>(),
                               ports in any::<(u16, u16)>(), data in proptest::collection::vec(any::<u8>(), 0..60),
                               edits in edits()) {
            let mut bytes = build(version, kind, ends, ports, &data);
            let mut packet = PacketMut::parse(&mut bytes, ChecksumState::Complete).unwrap();
            for edit in edits {
                let before = packet.view().bytes().to_vec();
                match apply(&mut packet, edit) {
                    Ok(()) => prop_assert!(holds(&packet, edit)),
                    Err(_) => prop_assert_eq!(packet.view().bytes(), &before[..]),
                }
            }
            let view = packet.view();
            prop_assert!(view.header_checksum_is_valid());
            prop_assert!(view.transport_checksum_is_valid());
            if version == IpVersion::V4 && matches!(kind, Kind::UdpWithout) {
                prop_assert_eq!(&view.bytes()[26..28], &[0, 0]);
            }
        }

        #[test]
        fn edits_of_a_quoted_packet_keep_both_checksums(
            version in versions(), kind in kinds(), ports in any::<(u16, u16)>(),
            data in proptest::collection::vec(any::<u8>(), 0..900), edits in edits(),
        ) {
            let offending = build(version, kind, hosts(), ports, &data);
            let router = address(version, [10, 0, 0, 254, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
            let mut bytes = emit_error(&offending, IcmpError::TtlExceeded, router).unwrap();
            let mut packet = PacketMut::parse(&mut bytes, ChecksumState::Complete).unwrap();
            let mut embedded = packet.embedded_mut().unwrap();
            for edit in edits {
                if apply(&mut embedded, edit).is_ok() {
                    prop_assert!(holds(&embedded, edit));
                }
            }
            let tuple = embedded.view().tuple();
            prop_assert!(embedded.view().header_checksum_is_valid());
            prop_assert!(embedded.view().transport_checksum_is_valid());
            prop_assert!(packet.view().transport_checksum_is_valid());
            prop_assert!(packet.view().header_checksum_is_valid());
            prop_assert_eq!(packet.view().embedded_tuple(), tuple);
        }

        #[test]
        fn a_partial_checksum_stays_the_pseudo_headers(
            version in versions(), udp in any::<bool>(), ends in any::<([u8; 16], [u8; 16])>(),
            data in proptest::collection::vec(any::<u8>(), 0..60), edits in edits(),
        ) {
            let kind = if udp { Kind::Udp } else { Kind::Tcp };
            let mut bytes = build(version, kind, ends, (1, 2), &data);
            let layout = Layout::parse(&bytes).unwrap();
            let field = layout.transport_offset() + if udp { 6 } else { 16 };
            let length = (layout.total_length() - layout.transport_offset()) as u32;
            let pseudo = |view: PacketView<'_>| {
                checksum::pseudo_header(view.source(), view.destination(), view.protocol(), length)
            };
            let start = pseudo(PacketView::parse(&bytes).unwrap());
            bytes[field..field + 2].copy_from_slice(&start.to_be_bytes());
            let mut packet = PacketMut::parse(&mut bytes, ChecksumState::Partial).unwrap();
            for edit in edits {
                let _ = apply(&mut packet, edit);
            }
            prop_assert_eq!(word(packet.view().bytes(), field), pseudo(packet.view()));
            packet.complete_checksum();
            prop_assert_eq!(packet.checksum_state(), ChecksumState::Complete);
            prop_assert!(packet.view().transport_checksum_is_valid());
        }
    }

    #[test]
    fn a_quoted_sctp_header_may_end_before_its_checksum() {
        let header = IpHeader::new(IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]), SCTP);
        let quoted = emit::emit_ip(&header, &[0, 1, 0, 2, 0, 0, 0, 0, 9]).unwrap();
        let mut bytes = emit_error(&quoted, IcmpError::TtlExceeded, IpAddr::from([10, 0, 0, 9])).unwrap();
        let mut packet = PacketMut::parse(&mut bytes, ChecksumState::Complete).unwrap();
        packet.embedded_mut().unwrap().set_destination_port(80).unwrap();
        assert_eq!(packet.view().embedded_tuple().map(|tuple| tuple.destination_port), Some(80));
        assert!(packet.view().transport_checksum_is_valid());
        assert!(packet.view().embedded().unwrap().transport_checksum_is_valid());
    }

    #[test]
    fn the_other_family_is_refused() {
        let mut bytes = build(IpVersion::V4, Kind::Tcp, hosts(), (1, 2), b"");
        let before = bytes.clone();
        let address = IpAddr::from([0_u16; 8]);
        let mut packet = PacketMut::parse(&mut bytes, ChecksumState::Complete).unwrap();
        let expected = EditError::FamilyMismatch { packet: IpVersion::V4, address };
        assert_eq!(packet.set_source(address), Err(expected));
        assert_eq!(packet.set_icmp_id(3), Err(EditError::NoIcmpIdentifier { protocol: TCP }));
        assert_eq!(bytes, before);
    }

    #[test]
    fn the_last_hop_is_not_taken() {
        let mut bytes = build(IpVersion::V4, Kind::Tcp, hosts(), (1, 2), b"");
        let mut packet = PacketMut::parse(&mut bytes, ChecksumState::Complete).unwrap();
        packet.set_ttl(2);
        assert_eq!(packet.decrement_ttl(), Ok(1));
        assert_eq!(packet.decrement_ttl(), Err(EditError::TtlExpired { ttl: 1 }));
        assert_eq!(packet.view().ttl(), 1);
        assert!(packet.view().header_checksum_is_valid());
    }

    #[test]
    fn an_echo_reply_of_zeros_keeps_a_checksum_that_verifies() {
        let mut bytes = build(IpVersion::V4, Kind::Echo, hosts(), (5, 0), b"");
        bytes[20] = 0;
        bytes[22..24].copy_from_slice(&(!5_u16).to_be_bytes());
        let mut packet = PacketMut::parse(&mut bytes, ChecksumState::Complete).unwrap();
        packet.set_icmp_id(0).unwrap();
        assert!(packet.view().transport_checksum_is_valid());
    }

    #[test]
    fn a_later_fragment_changes_its_addresses_only() {
        let bytes = build(IpVersion::V4, Kind::Tcp, hosts(), (1, 2), &[7; 100]);
        let mut pieces = crate::fragment::refragment(&bytes, 68, 0).unwrap();
        let payload = pieces[1][20..].to_vec();
        let mut packet = PacketMut::parse(&mut pieces[1], ChecksumState::Complete).unwrap();
        packet.set_source(IpAddr::from([1, 2, 3, 4])).unwrap();
        assert_eq!(packet.set_source_port(9), Err(EditError::PortsUnreadable { protocol: TCP }));
        assert!(packet.view().header_checksum_is_valid());
        assert_eq!(pieces[1][20..], payload);
    }
}
