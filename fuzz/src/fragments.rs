//! Fragments: what is cut is put together again in any order, and what is sent only in part, twice or overlapping is
//! bounded and given back.

use std::time::Duration;

use linkspan_nat::fragment::{FragmentError, Limits, Reassembler, Reassembly, fragment};
use linkspan_nat::packet::PacketView;

use super::input::Input;
use super::packets::mend;

/// The first byte chooses between the two halves.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() { there_and_back(&mut input) } else { hostile(&mut input) }
}

fn there_and_back(input: &mut Input<'_>) {
    let (mtu, order, repeat) = (usize::from(input.word()) % 1_600, input.byte(), input.flag());
    let mut packet = input.rest().to_vec();
    // The reserved flag of IPv4 does not outlive cutting; on Linux neither (`ip_do_fragment`, `ip_frag_reasm`).
    if packet.first().is_some_and(|byte| byte >> 4 == 4)
        && let Some(flags) = packet.get_mut(6)
    {
        *flags &= 0x7f;
    }
    mend(&mut packet);
    let Ok(view) = PacketView::parse(&packet) else { return };
    if view.layout().is_fragment() {
        return;
    }
    packet.truncate(view.layout().total_length());
    let Ok(mut pieces) = fragment(&packet, mtu, 7) else { return };
    assert!(pieces.iter().all(|piece| piece.len() <= mtu), "a piece is larger than {mtu}");
    if pieces.len() == 1 {
        return assert_eq!(pieces[0], packet);
    }
    let turn = usize::from(order) % pieces.len();
    pieces.rotate_left(turn);
    if order & 1 == 1 {
        pieces.reverse();
    }
    if repeat {
        pieces.insert(0, pieces[0].clone());
    }
    let mut reassembler = Reassembler::new(Limits::default());
    let last = pieces.len() - 1;
    for (number, piece) in pieces.iter().enumerate() {
        match reassembler.push(Duration::ZERO, piece) {
            Reassembly::Complete { packet: whole, largest_fragment } => {
                assert_eq!(number, last);
                assert!(largest_fragment <= mtu);
                assert_eq!(whole, packet, "put together differently");
            }
            Reassembly::Incomplete => assert_ne!(number, last, "all pieces are there"),
            Reassembly::Dropped(error) => panic!("a piece is refused: {error}"),
        }
    }
    assert_eq!((reassembler.memory(), reassembler.waiting()), (0, 0));
}

/// Fragments of a few datagrams at any place and of any length, with little memory.
fn hostile(input: &mut Input<'_>) {
    let limits = Limits { memory: 2_048, fragments: 8, ..Limits::default() };
    let (memory, wait) = (limits.memory, limits.timeout_v6);
    let mut reassembler = Reassembler::new(limits);
    let mut now = Duration::ZERO;
    while !input.is_empty() {
        let fields = (input.byte(), input.byte(), input.byte());
        let data = input.chunk(120);
        let packet = piece(fields, data);
        match reassembler.push(now, &packet) {
            Reassembly::Complete { packet, .. } => {
                let view = PacketView::parse(&packet).expect("what is whole is a packet");
                assert!(!view.layout().is_fragment() && view.header_checksum_is_valid());
            }
            Reassembly::Dropped(FragmentError::OutOfMemory { .. }) => assert!(reassembler.memory() > 0),
            Reassembly::Incomplete | Reassembly::Dropped(_) => {}
        }
        assert!(reassembler.memory() <= memory, "{} bytes of {memory}", reassembler.memory());
        assert_eq!(reassembler.memory() == 0, reassembler.waiting() == 0);
        now += Duration::from_millis(u64::from(fields.2) * 40);
        reassembler.expire(now);
    }
    reassembler.expire(now + wait);
    assert_eq!((reassembler.memory(), reassembler.waiting(), reassembler.deadline()), (0, 0, None));
}

fn piece((kind, place, identification): (u8, u8, u8), data: &[u8]) -> Vec<u8> {
    let more = kind & 1;
    let mut packet;
    if kind & 2 == 0 {
        let length = (20 + data.len()) as u16;
        packet = vec![0x45, kind & 3, 0, 0, 0, identification & 3, more << 5, place, 64, 17, 0, 0];
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    } else {
        let length = (8 + data.len()) as u16;
        packet = vec![0x60, 0, 0, 0, 0, 0, 44, 64];
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        packet.extend([0xfd; 32]);
        packet.extend([17, 0]);
        packet.extend((u16::from(place) << 3 | u16::from(more)).to_be_bytes());
        packet.extend([0, 0, 0, identification & 3]);
    }
    packet.extend_from_slice(data);
    mend(&mut packet);
    packet
}
