//! ICMP errors: what is sent about any packet is a sound error to its sender that quotes it, is read back as what was
//! meant, and is never answered by another; errors that come in are read or refused.

use std::net::IpAddr;

use linkspan_nat::icmp::{IcmpError, IcmpErrorMessage, emit_echo_reply, emit_error, emit_tcp_reset};
use linkspan_nat::packet::{IpVersion, PacketView, Transport};

use super::input::Input;
use super::packets::mend;

/// The first bytes choose the error, the rest is the packet it is about.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (kind, value) = (input.byte(), input.word());
    let raw = input.rest();
    let _ = IcmpErrorMessage::parse(raw);
    let mut packet = raw.to_vec();
    if kind & 0x80 == 0 {
        mend(&mut packet);
    }
    let Ok(offending) = PacketView::parse(&packet) else {
        assert_eq!(emit_error(&packet, error(kind, value), [192, 0, 2, 1].into()), None);
        return;
    };
    let own: IpAddr = match offending.layout().version() {
        IpVersion::V4 => [192, 0, 2, 1].into(),
        IpVersion::V6 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
    };
    let error = error(kind, value);
    if let Some(answer) = emit_error(&packet, error, own) {
        let view = sound(&answer, &offending);
        assert_eq!(view.source(), own);
        let limit = if own.is_ipv4() { 576 } else { 1_280 };
        assert!(answer.len() <= limit, "an error of {} bytes", answer.len());
        let quoted = view.embedded().expect("it quotes");
        assert_eq!(quoted.source(), offending.source());
        assert_eq!(quoted.destination(), offending.destination());
        assert!(packet.starts_with(quoted.bytes()), "it quotes the beginning");
        // Extension headers can fill what may be quoted.
        if let Some(message) = IcmpErrorMessage::of(&view) {
            assert_eq!(message.error, Some(error));
            // Of a quoted header less has to be there.
            assert!(offending.tuple().is_none_or(|tuple| tuple == message.embedded));
        }
        assert_eq!(emit_error(&answer, error, own), None, "an error about an error");
    }
    if let Some(answer) = emit_echo_reply(&packet) {
        let view = sound(&answer, &offending);
        assert_eq!(view.payload(), offending.payload());
        assert_eq!(view.tuple(), offending.tuple().and_then(|tuple| tuple.inverted()));
        assert_eq!(emit_echo_reply(&answer), None);
    }
    if let Some(answer) = emit_tcp_reset(&packet) {
        let view = sound(&answer, &offending);
        assert_eq!(view.layout().transport(), Transport::Tcp);
        assert_eq!(view.tuple(), offending.tuple().and_then(|tuple| tuple.inverted()));
        assert_eq!(emit_tcp_reset(&answer), None, "a reset about a reset");
    }
}

/// An answer that parses, adds up and goes back.
fn sound<'a>(answer: &'a [u8], offending: &PacketView<'_>) -> PacketView<'a> {
    let view = PacketView::parse(answer).expect("an answer is a packet");
    assert!(view.header_checksum_is_valid() && view.transport_checksum_is_valid(), "{answer:02x?}");
    assert_eq!(view.destination(), offending.source());
    assert_eq!(view.layout().total_length(), answer.len());
    view
}

fn error(kind: u8, value: u16) -> IcmpError {
    let pointer = value.to_be_bytes()[0];
    match kind & 0x7f {
        0 => IcmpError::NetUnreachable,
        1 => IcmpError::HostUnreachable,
        2 => IcmpError::ProtocolUnreachable,
        3 => IcmpError::PortUnreachable,
        4 => IcmpError::FragmentationNeeded { mtu: value },
        5 => IcmpError::NetProhibited,
        6 => IcmpError::HostProhibited,
        7 => IcmpError::AdministrativelyProhibited,
        8 => IcmpError::ParameterProblem { pointer },
        9 => IcmpError::TtlExceeded,
        10 => IcmpError::ReassemblyTimeExceeded,
        11 => IcmpError::NoRoute6,
        12 => IcmpError::AdministrativelyProhibited6,
        13 => IcmpError::BeyondScope6,
        14 => IcmpError::AddressUnreachable6,
        15 => IcmpError::PortUnreachable6,
        16 => IcmpError::PolicyFail6,
        17 => IcmpError::RejectRoute6,
        18 => IcmpError::PacketTooBig { mtu: value.into() },
        _ => IcmpError::ParameterProblem6 { code: kind % 3, pointer: value.into() },
    }
}
