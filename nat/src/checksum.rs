//! The Internet checksum (RFC 1071), its pseudo headers, its incremental update (RFC 1624), and SCTP's CRC32c.
//!
//! A *sum* here is the folded ones' complement sum that has not been inverted, as the checksum field of a
//! segment holds it while Linux calls it CHECKSUM_PARTIAL; a *checksum* is the inverted sum, as it stands in a
//! finished header. Keeping the two words apart is what keeps offload handling right.

use std::net::IpAddr;

/// Inverted sum of `bytes`, to be written into a header whose checksum field was zero while summing.
pub fn checksum(bytes: &[u8]) -> u16 {
    !sum(bytes)
}

/// Whether `bytes`, checksum field included, add up. All-zero bytes do not: a valid sum is never plus zero.
pub fn verify(bytes: &[u8]) -> bool {
    sum(bytes) == 0xffff
}

/// Folded ones' complement sum of big-endian 16-bit words; an odd last byte counts as the high half of a word.
#[inline]
pub fn sum(bytes: &[u8]) -> u16 {
    // The sum does not depend on byte order (RFC 1071, 2(B)): words are added as the machine reads them, eight
    // bytes at a time, and one swap at the end restores the order.
    let mut total: u64 = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_ne_bytes(*word);
        total += (word >> 32) + (word & 0xffff_ffff);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let word = u64::from_ne_bytes(last);
    total += (word >> 32) + (word & 0xffff_ffff);
    u16::from_be(fold(total))
}

/// Sum of two sums. The second part must start at an even offset of the first.
#[inline]
pub fn add(first: u16, second: u16) -> u16 {
    fold(u64::from(first) + u64::from(second))
}

/// Sum of the pseudo header of TCP, UDP and ICMPv6: RFC 9293 3.1 for IPv4, RFC 8200 8.1 for IPv6. `length` is
/// that of the transport header and its payload, in bytes.
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u32) -> u16 {
    let addresses = u64::from(address(source)) + u64::from(address(destination));
    fold(addresses + u64::from(protocol) + u64::from(length >> 16) + u64::from(length & 0xffff))
}

/// Checksum of a transport header and payload whose checksum field is zero, pseudo header included.
pub fn transport(source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
    !add(pseudo_header(source, destination, protocol, length), sum(segment))
}

/// What UDP writes for a computed checksum: zero means "none", so a computed zero goes out as 0xffff (RFC 768).
pub fn udp_nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// The collected difference of some 16-bit words, to be applied to every checksum that covers them
/// (RFC 1624, equation 3: `HC' = ~(~HC + ~m + m')`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta(u64);

impl Delta {
    /// Records that a word at an even offset changed.
    pub fn replace(&mut self, old: u16, new: u16) {
        self.0 += u64::from(!old) + u64::from(new);
    }

    /// The checksum (inverted sum) after the recorded changes.
    pub fn apply(self, checksum: u16) -> u16 {
        !self.apply_to_sum(!checksum)
    }

    /// The sum (not inverted, as in a partial checksum) after the recorded changes.
    pub fn apply_to_sum(self, sum: u16) -> u16 {
        fold(u64::from(sum) + self.0)
    }
}

/// CRC32c of an SCTP packet whose checksum field counts as zero (RFC 9260, 6.8 and appendix A). The result is
/// written to the header in little-endian order. `bytes` starts at the SCTP common header.
pub fn sctp_crc(bytes: &[u8]) -> u32 {
    // Bytes 8 to 11 are the checksum field itself.
    let mut crc = u32::MAX;
    for (position, byte) in bytes.iter().enumerate() {
        let byte = if (8..12).contains(&position) { 0 } else { *byte };
        crc = CRC32C[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    }
    !crc
}

/// Table of the reflected Castagnoli polynomial 0x82f63b78.
const CRC32C: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0x82f6_3b78 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

fn address(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    }
}

/// Folds the carries of added words back in. Zero comes out only for zero.
#[inline]
pub fn fold(mut total: u64) -> u16 {
    total = (total >> 32) + (total & 0xffff_ffff);
    total = (total >> 32) + (total & 0xffff_ffff);
    let mut total = total as u32;
    total = (total >> 16) + (total & 0xffff);
    total = (total >> 16) + (total & 0xffff);
    total as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition of RFC 1071, word by word.
    fn plain(bytes: &[u8]) -> u16 {
        let mut total: u32 = 0;
        for pair in bytes.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            total = (total >> 16) + (total & 0xffff);
        }
        total as u16
    }

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn the_example_of_rfc_1624() {
        let mut delta = Delta::default();
        delta.replace(0x5555, 0x3285);
        assert_eq!(delta.apply(0xdd2f), 0x0000);
    }

    #[test]
    fn a_well_known_ipv4_header() {
        let mut header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&header), 0xb861);
        header[10..12].copy_from_slice(&0xb861_u16.to_be_bytes());
        assert!(verify(&header));
    }

    #[test]
    fn the_check_value_of_crc32c() {
        // "123456789" gives 0xe3069283; the field that sctp_crc skips is put behind by comparing with a run of
        // zeros there, RFC 3720 B.4: 32 bytes of zero give 0x8a9136aa.
        assert_eq!(sctp_crc(&[0; 32]), 0x8a91_36aa);
        assert_eq!(sctp_crc(b"12345678"), 0x6087_809a);
    }

    #[test]
    fn all_zero_bytes_do_not_verify() {
        assert!(!verify(&[0; 20]));
    }

    proptest! {
        #[test]
        fn fast_is_plain(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(sum(&bytes), plain(&bytes));
        }

        #[test]
        fn parts_add_up(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..100) {
            let at = (at * 2).min(bytes.len() & !1);
            prop_assert_eq!(add(sum(&bytes[..at]), sum(&bytes[at..])), sum(&bytes));
        }

        #[test]
        fn delta_is_recomputation(mut words in proptest::collection::vec(any::<u16>(), 2..40),
                                  edits in proptest::collection::vec((any::<usize>(), any::<u16>()), 0..5)) {
            words[0] |= 1;
            let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
            let before = checksum(&bytes(&words));
            let mut delta = Delta::default();
            let count = words.len();
            for (index, new) in edits {
                let index = 1 + index % (count - 1);
                delta.replace(words[index], new);
                words[index] = new;
            }
            prop_assert_eq!(delta.apply(before), checksum(&bytes(&words)));
            prop_assert_eq!(delta.apply_to_sum(!before), sum(&bytes(&words)));
        }
    }
}
