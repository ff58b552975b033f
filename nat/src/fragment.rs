//! Cutting datagrams into fragments, and the module of their reassembly.
//!
//! IPv4 is cut as RFC 791 says: options with the copy bit go into every fragment, the others into the first. IPv6
//! is cut as RFC 8200, section 4.5 says, which only sources do, and a host that reassembled for connection
//! tracking and sends on (Linux: `nf_ct_frag6`). Transport checksums must be complete before a packet is cut.

mod reassembly;

pub use reassembly::{ExpiredDatagram, FragmentError, Limits, Reassembler, Reassembly};

use crate::checksum;
use crate::packet::{IpVersion, Layout, MalformedPacket};

/// IPv6 fragment header number (RFC 8200, section 4.5).
const FRAGMENT_HEADER: u8 = 44;

/// Why a packet was not cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FragmentationError {
    /// The packet may not be fragmented: answer with fragmentation needed.
    #[error("packet of {length} bytes has don't-fragment set: expected at most {mtu} bytes")]
    DontFragment {
        /// The packet's length.
        length: usize,
        /// The limit it exceeds.
        mtu: usize,
    },
    /// Not even eight bytes of data fit beside the headers.
    #[error("MTU {mtu} has no room for a header of {header} bytes and 8 bytes of data")]
    MtuTooSmall {
        /// The limit.
        mtu: usize,
        /// Bytes of headers in every fragment.
        header: usize,
    },
    /// An IPv6 packet that has a fragment header already; it is not cut again.
    #[error("IPv6 packet has a fragment header already: reassemble it first")]
    AlreadyFragmented,
    /// A fragment whose data ends beyond the longest datagram.
    #[error("fragment ends at byte {end} of its datagram: expected at most 65535")]
    TooLong {
        /// Where it ends.
        end: usize,
    },
    /// Not an IP packet.
    #[error(transparent)]
    Malformed(#[from] MalformedPacket),
}

/// Whether the don't-fragment flag is obeyed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DontFragment {
    Respect,
    Override,
}

/// Cuts a packet into fragments of at most `mtu` bytes, or returns it alone, without padding, when it fits.
/// `identification` is used for IPv6 only, where the sender chooses it now.
pub fn fragment(packet: &[u8], mtu: usize, identification: u32) -> Result<Vec<Vec<u8>>, FragmentationError> {
    cut(packet, mtu, identification, DontFragment::Respect)
}

/// Cuts a reassembled datagram again into fragments no larger than the largest that came in, without regard to the
/// don't-fragment flag, which every piece keeps (Linux: `ignore_df` after defragmentation in netfilter).
pub fn refragment(
    packet: &[u8],
    largest_fragment: usize,
    identification: u32,
) -> Result<Vec<Vec<u8>>, FragmentationError> {
    cut(packet, largest_fragment, identification, DontFragment::Override)
}

fn cut(
    packet: &[u8],
    mtu: usize,
    identification: u32,
    flag: DontFragment,
) -> Result<Vec<Vec<u8>>, FragmentationError> {
    let layout = Layout::parse(packet)?;
    let length = layout.total_length();
    let packet = &packet[..length];
    if length <= mtu {
        return Ok(vec![packet.to_vec()]);
    }
    match layout.version() {
        IpVersion::V4 if layout.dont_fragment() && flag == DontFragment::Respect => {
            Err(FragmentationError::DontFragment { length, mtu })
        }
        IpVersion::V4 => cut_v4(packet, &layout, mtu),
        IpVersion::V6 => cut_v6(packet, &layout, mtu, identification),
    }
}

fn cut_v4(packet: &[u8], layout: &Layout, mtu: usize) -> Result<Vec<Vec<u8>>, FragmentationError> {
    let (first, data) = packet.split_at(layout.transport_offset());
    let later = header_of_later_fragments(first);
    let end = layout.fragment_offset() + data.len();
    if end > usize::from(u16::MAX) {
        return Err(FragmentationError::TooLong { end });
    }
    let mut pieces = Vec::new();
    let mut done = 0;
    loop {
        let header = if done == 0 { first } else { &later };
        let (take, last) = share(data.len() - done, mtu, header.len())?;
        let mut piece = header.to_vec();
        piece.extend_from_slice(&data[done..done + take]);
        let offset = ((layout.fragment_offset() + done) / 8) as u16;
        let more = !last || layout.more_fragments();
        set_ipv4_fragment(&mut piece, header.len(), layout.dont_fragment(), more, offset);
        pieces.push(piece);
        done += take;
        if last {
            return Ok(pieces);
        }
    }
}

fn cut_v6(
    packet: &[u8],
    layout: &Layout,
    mtu: usize,
    identification: u32,
) -> Result<Vec<Vec<u8>>, FragmentationError> {
    if layout.fragment_header().is_some() {
        return Err(FragmentationError::AlreadyFragmented);
    }
    let (end, link) = layout.unfragmentable();
    let (header, data) = packet.split_at(end);
    let mut pieces = Vec::new();
    let mut done = 0;
    loop {
        let (take, last) = share(data.len() - done, mtu, header.len() + 8)?;
        let mut piece = header.to_vec();
        let next = std::mem::replace(&mut piece[link], FRAGMENT_HEADER);
        piece.extend([next, 0]);
        piece.extend((done as u16 | u16::from(!last)).to_be_bytes());
        piece.extend(identification.to_be_bytes());
        piece.extend_from_slice(&data[done..done + take]);
        let payload = (piece.len() - 40) as u16;
        piece[4..6].copy_from_slice(&payload.to_be_bytes());
        pieces.push(piece);
        done += take;
        if last {
            return Ok(pieces);
        }
    }
}

/// How much data the next fragment takes, and whether it is the last.
fn share(left: usize, mtu: usize, header: usize) -> Result<(usize, bool), FragmentationError> {
    let room = mtu.saturating_sub(header);
    if room < 8 {
        return Err(FragmentationError::MtuTooSmall { mtu, header });
    }
    Ok(if left <= room { (left, true) } else { (room & !7, false) })
}

/// Fills length, fragment field and checksum of an IPv4 packet that starts with a header of `header` bytes.
fn set_ipv4_fragment(packet: &mut [u8], header: usize, dont_fragment: bool, more: bool, offset: u16) {
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let field = u16::from(dont_fragment) << 14 | u16::from(more) << 13 | offset;
    packet[6..8].copy_from_slice(&field.to_be_bytes());
    packet[10..12].fill(0);
    let sum = checksum::checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The header with the options that have the copy bit (RFC 791, 3.1), padded to a multiple of four bytes.
fn header_of_later_fragments(first: &[u8]) -> Vec<u8> {
    let mut header = first[..20].to_vec();
    let mut options = &first[20..];
    while let Some(kind) = options.first().copied().filter(|kind| *kind != 0) {
        let length = if kind == 1 { 1 } else { options.get(1).copied().map_or(0, usize::from) };
        // An option that contradicts itself ends the list, as the rest cannot be told apart.
        if length == 0 || (kind != 1 && length < 2) || length > options.len() {
            break;
        }
        if kind & 0x80 != 0 {
            header.extend_from_slice(&options[..length]);
        }
        options = &options[length..];
    }
    header.resize(header.len().next_multiple_of(4), 0);
    header[0] = 0x40 | (header.len() / 4) as u8;
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::{self, IpHeader};
    use crate::packet::{PacketView, UDP};
    use proptest::prelude::*;
    use std::time::Duration;

    fn datagram(v6: bool, options: &[u8], data: &[u8]) -> Vec<u8> {
        let (from, to) = if v6 {
            ("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:2".parse().unwrap())
        } else {
            ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap())
        };
        let mut packet = emit::emit_udp(from, to, 64, data).unwrap();
        if !v6 {
            packet.splice(20..20, options.iter().copied());
            packet[0] = 0x45 + (options.len() / 4) as u8;
            set_ipv4_fragment(&mut packet, 20 + options.len(), false, false, 0);
        }
        packet
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn cut_and_joined_is_the_same(v6 in any::<bool>(), length in 1_usize..4000, seed in any::<u8>(),
                                      mtu in 68_usize..1500, second in 68_usize..1500, with_options in any::<bool>(),
                                      order in any::<u64>()) {
            let data: Vec<u8> = (0..length).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
            let options: &[u8] = if with_options { &[1, 0x83, 7, 4, 10, 0, 0, 9, 0x44, 4, 5, 0] } else { &[] };
            let packet = datagram(v6, options, &data);
            let mut pieces = fragment(&packet, mtu, 77).unwrap();
            prop_assert!(pieces.iter().all(|piece| piece.len() <= mtu));
            // IPv4 routers may cut again.
            if !v6 {
                pieces = pieces.iter().flat_map(|piece| fragment(piece, second, 0).unwrap()).collect();
            }
            if pieces.len() == 1 {
                prop_assert_eq!(&pieces[0], &packet);
                return Ok(());
            }
            for piece in &pieces {
                let view = PacketView::parse(piece).unwrap();
                prop_assert!(view.header_checksum_is_valid() && view.layout().is_fragment());
            }
            let largest = pieces.iter().map(Vec::len).max().unwrap();
            let mut state = order | 1;
            for index in (1..pieces.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                pieces.swap(index, (state >> 33) as usize % (index + 1));
            }
            let mut reassembler = Reassembler::default();
            let last = pieces.pop().unwrap();
            for piece in &pieces {
                prop_assert_eq!(reassembler.push(Duration::ZERO, piece), Reassembly::Incomplete);
            }
            let expected = Reassembly::Complete { packet, largest_fragment: largest };
            prop_assert_eq!(reassembler.push(Duration::ZERO, &last), expected);
            prop_assert_eq!((reassembler.memory(), reassembler.deadline()), (0, None));
        }
    }

    #[test]
    fn only_options_with_the_copy_bit_are_repeated() {
        // No operation, loose source route (copied), timestamp (not copied).
        let packet = datagram(false, &[1, 0x83, 7, 4, 10, 0, 0, 9, 0x44, 4, 5, 0], &[0; 100]);
        let pieces = fragment(&packet, 80, 0).unwrap();
        assert_eq!(pieces[0][..20 + 12].len(), usize::from(pieces[0][0] & 15) * 4);
        assert_eq!(pieces[1][0], 0x47);
        assert_eq!(pieces[1][20..28], [0x83, 7, 4, 10, 0, 0, 9, 0]);
    }

    #[test]
    fn dont_fragment_is_respected_unless_cut_again() {
        let header = IpHeader::new("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), UDP);
        let packet = emit::emit_ip(&header, &[0; 2000]).unwrap();
        assert_eq!(
            fragment(&packet, 1500, 0),
            Err(FragmentationError::DontFragment { length: 2020, mtu: 1500 })
        );
        assert_eq!(fragment(&packet, 2020, 0).map(|pieces| pieces.len()), Ok(1));
        let pieces = refragment(&packet, 1500, 0).unwrap();
        assert!(pieces.iter().all(|piece| Layout::parse(piece).is_ok_and(|l| l.dont_fragment())));
        let mut reassembler = Reassembler::default();
        assert_eq!(reassembler.push(Duration::ZERO, &pieces[1]), Reassembly::Incomplete);
        let whole = Reassembly::Complete { packet, largest_fragment: 1500 };
        assert_eq!(reassembler.push(Duration::ZERO, &pieces[0]), whole);
    }

    #[test]
    fn an_mtu_without_room_is_refused() {
        let packet = datagram(false, &[], &[0; 100]);
        assert_eq!(fragment(&packet, 27, 0), Err(FragmentationError::MtuTooSmall { mtu: 27, header: 20 }));
        assert!(fragment(&packet, 28, 0).is_ok());
        let mut header_only = datagram(false, &[1; 40], &[])[..60].to_vec();
        set_ipv4_fragment(&mut header_only, 60, false, false, 0);
        assert_eq!(
            fragment(&header_only, 59, 0),
            Err(FragmentationError::MtuTooSmall { mtu: 59, header: 60 })
        );
    }

    #[test]
    fn a_fragment_beyond_the_longest_datagram_is_refused() {
        let mut packet = datagram(false, &[], &[0; 100]);
        set_ipv4_fragment(&mut packet, 20, false, true, 0x1fff);
        assert_eq!(fragment(&packet, 68, 0), Err(FragmentationError::TooLong { end: 65636 }));
    }
}
