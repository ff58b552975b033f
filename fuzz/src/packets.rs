//! IP packets as bytes: reading stays inside them, and an edit that adjusts a checksum by the difference leaves the
//! checksum that a full sum gives.

use std::net::IpAddr;

use linkspan_nat::checksum;
use linkspan_nat::packet::{ChecksumState, IpVersion, PacketMut, PacketView, Transport};

use super::input::Input;

/// The first bytes choose edits, the rest is the packet.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let edits: Vec<(u8, u16)> = (0..4).map(|_| (input.byte(), input.word())).collect();
    let mut packet = input.rest().to_vec();
    let Ok(view) = PacketView::parse(&packet) else { return };
    read(&view, packet.len());
    mend(&mut packet);
    let view = PacketView::parse(&packet).expect("a checksum changes no layout");
    assert!(view.header_checksum_is_valid() && view.transport_checksum_is_valid(), "mended, {view:?}");
    for (kind, value) in edits {
        let mut edited = PacketMut::parse(&mut packet, ChecksumState::Complete).unwrap();
        apply(&mut edited, kind, value);
        let view = PacketView::parse(&packet).expect("an edit changes no layout");
        assert!(view.header_checksum_is_valid(), "IP header after edit {kind} {value:#06x}: {packet:02x?}");
        assert!(
            view.transport_checksum_is_valid(),
            "transport after edit {kind} {value:#06x}: {packet:02x?}"
        );
    }
}

/// Reads whatever can be read.
fn read(view: &PacketView<'_>, length: usize) {
    let layout = view.layout();
    assert!(layout.total_length() <= length && layout.transport_offset() <= layout.available_length());
    assert!(view.payload().len() <= view.transport_bytes().len());
    let ports = (view.source_port(), view.destination_port());
    assert_eq!(ports.0.is_some(), layout.has_ports());
    if let Some(tuple) = view.tuple() {
        assert_eq!((tuple.source, tuple.destination), (view.source(), view.destination()));
        if let Some(reply) = tuple.inverted() {
            assert_eq!(reply.inverted(), Some(tuple));
        }
    }
    let _ =
        (view.tcp_flags(), view.tcp_sequence(), view.tcp_window(), view.tcp_options(), view.icmp_sequence());
    if let Some(quoted) = view.embedded() {
        assert!(quoted.layout().available_length() <= view.transport_bytes().len());
    }
}

fn apply(packet: &mut PacketMut<'_>, kind: u8, value: u16) {
    let [high, low] = value.to_be_bytes();
    let address: IpAddr = match packet.layout().version() {
        IpVersion::V4 => [10, 0, high, low].into(),
        IpVersion::V6 => [0xfd00, 0, 0, 0, 0, 0, 0, value].into(),
    };
    match kind % 10 {
        0 => packet.set_source(address).expect("the family is the packet's"),
        1 => packet.set_destination(address).expect("the family is the packet's"),
        2 => assert_eq!(packet.set_source_port(value).is_ok(), packet.layout().has_ports()),
        3 => assert_eq!(packet.set_destination_port(value).is_ok(), packet.layout().has_ports()),
        4 => drop(packet.set_icmp_id(value)),
        5 => drop(packet.decrement_ttl()),
        6 => packet.set_tos(low),
        7 => packet.set_identification(value),
        8 => packet.clamp_mss(value),
        _ => {
            if let Some(mut quoted) = packet.embedded_mut() {
                quoted.set_source(address).expect("an error quotes its own family");
                let _ = quoted.set_source_port(value);
            }
        }
    }
}

/// Makes the checksums of a packet right by a full sum, where all of what they cover is here.
pub fn mend(packet: &mut [u8]) {
    let Ok(view) = PacketView::parse(packet) else { return };
    let layout = view.layout();
    let (source, destination) = (view.source(), view.destination());
    let (start, end) = (layout.transport_offset(), layout.available_length());
    if layout.version() == IpVersion::V4 {
        packet[10..12].fill(0);
        let sum = checksum::checksum(&packet[..start]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    if layout.is_fragment() {
        return;
    }
    let field = match layout.transport() {
        Transport::Tcp => start + 16,
        Transport::Udp => start + 6,
        Transport::Icmp | Transport::Icmpv6 => start + 2,
        Transport::Sctp => {
            packet[start + 8..start + 12].fill(0);
            let crc = checksum::sctp_crc(&packet[start..end]);
            return packet[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
        }
        Transport::Other | Transport::Unreadable => return,
    };
    // A UDP header that contradicts the packet's length is made to agree.
    if layout.transport() == Transport::Udp {
        packet[start + 4..start + 6].copy_from_slice(&((end - start) as u16).to_be_bytes());
    }
    packet[field..field + 2].fill(0);
    let segment = &packet[start..end];
    let sum = match layout.transport() {
        Transport::Icmp => checksum::checksum(segment),
        _ => checksum::transport(source, destination, layout.protocol(), segment),
    };
    let sum = if layout.transport() == Transport::Udp { checksum::udp_nonzero(sum) } else { sum };
    packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}
