//! Ethernet addresses (EUI-48, IEEE 802-2014 section 8): value, text and what their bits say.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

/// A 48-bit Ethernet address, in transmission order.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

/// A text that is not an Ethernet address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a MAC address: expected six bytes in hexadecimal, such as 02:42:ac:11:00:02")]
pub struct ParseMacError {
    /// The text as found.
    pub text: String,
}

impl MacAddress {
    /// Every station: ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: MacAddress = MacAddress([0xff; 6]);

    /// The address nobody has: 00:00:00:00:00:00.
    pub const ZERO: MacAddress = MacAddress([0; 6]);

    /// Whether the group bit is set; the broadcast address is a group too.
    #[inline]
    pub const fn is_multicast(self) -> bool {
        self.key().is_multicast()
    }

    /// Whether this is ff:ff:ff:ff:ff:ff.
    #[inline]
    pub const fn is_broadcast(self) -> bool {
        self.key().is_broadcast()
    }

    /// Whether the address is locally administered (the U/L bit is set).
    pub const fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }

    /// Whether the address may be a frame's source: neither a group nor zero (Linux `is_valid_ether_addr`).
    #[inline]
    pub const fn is_valid_source(self) -> bool {
        self.key().is_valid_source()
    }

    /// Whether this is one of the sixteen addresses 01:80:c2:00:00:00 to 0f that IEEE 802.1Q reserves for
    /// protocols between neighbouring devices.
    #[inline]
    pub const fn is_reserved_link_local(self) -> bool {
        self.key().is_reserved_link_local()
    }

    /// The IPv6 link-local address made of this address (RFC 4291 appendix A, modified EUI-64).
    pub fn eui64_link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }

    /// The address as a number below 2^48, first byte most significant.
    #[inline]
    pub const fn to_u64(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The address as a table's key.
    #[inline(always)]
    pub(crate) const fn key(self) -> MacKey {
        let [a, b, c, d, e, f] = self.0;
        MacKey(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    /// The inverse of [`MacAddress::key`] for the low 48 bits of `key`.
    pub(crate) const fn from_key(key: u64) -> MacAddress {
        let [a, b, c, d, e, f, _, _] = key.to_le_bytes();
        MacAddress([a, b, c, d, e, f])
    }

    /// The address with the low 48 bits of `value`, the inverse of [`MacAddress::to_u64`].
    pub const fn from_u64(value: u64) -> MacAddress {
        let [_, _, a, b, c, d, e, f] = value.to_be_bytes();
        MacAddress([a, b, c, d, e, f])
    }
}

/// An address as a number below 2^48 in an order that costs nothing to make, first byte least significant. What happens
/// per frame takes addresses as such: a number stays in a register, six bytes go through memory, and reading at once
/// what was written in pieces stalls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MacKey(pub(crate) u64);

impl MacKey {
    /// [`MacAddress::is_multicast`].
    #[inline]
    pub(crate) const fn is_multicast(self) -> bool {
        self.0 & 1 != 0
    }

    /// [`MacAddress::is_broadcast`].
    #[inline]
    pub(crate) const fn is_broadcast(self) -> bool {
        self.0 == 0xffff_ffff_ffff
    }

    /// [`MacAddress::is_valid_source`].
    #[inline]
    pub(crate) const fn is_valid_source(self) -> bool {
        !self.is_multicast() && self.0 != 0
    }

    /// [`MacAddress::is_reserved_link_local`].
    #[inline]
    pub(crate) const fn is_reserved_link_local(self) -> bool {
        self.0 & !(0xf << 40) == 0x0000_00c2_8001
    }
}

/// Accepts the three usual notations: `02:42:ac:11:00:02`, `02-42-ac-11-00-02` and `0242.ac11.0002`.
impl FromStr for MacAddress {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<MacAddress, ParseMacError> {
        parse_groups(text, ':', 2)
            .or_else(|| parse_groups(text, '-', 2))
            .or_else(|| parse_groups(text, '.', 4))
            .map(MacAddress::from_u64)
            .ok_or_else(|| ParseMacError { text: text.to_owned() })
    }
}

/// The value of twelve hexadecimal digits written in groups of `digits` with `separator` between them.
fn parse_groups(text: &str, separator: char, digits: usize) -> Option<u64> {
    let mut value = 0;
    let mut groups = 0;
    for group in text.split(separator) {
        if group.len() != digits {
            return None;
        }
        for digit in group.chars() {
            value = (value << 4 & 0xffff_ffff_ffff) | u64::from(digit.to_digit(16)?);
        }
        groups += 1;
    }
    (groups * digits == 12).then_some(value)
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_notations_name_one_address() {
        let expected = MacAddress([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);
        for text in ["02:42:ac:11:00:02", "02-42-AC-11-00-02", "0242.ac11.0002"] {
            assert_eq!(text.parse(), Ok(expected));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "02:42",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:0:2",
            "02:42:ac:11:00:0g",
            "02:42-ac:11:00:02",
            "é2:42:ac:11:00:02",
        ] {
            let error = text.parse::<MacAddress>().unwrap_err();
            assert!(error.to_string().contains(text));
        }
    }

    #[test]
    fn bits_are_read_as_the_standard_says() {
        assert!(MacAddress::BROADCAST.is_broadcast() && MacAddress::BROADCAST.is_multicast());
        let docker = MacAddress([0x02, 0x42, 0xac, 0x11, 0, 2]);
        assert!(docker.is_local() && !docker.is_multicast() && docker.is_valid_source());
        assert!(!MacAddress::ZERO.is_valid_source() && !MacAddress::BROADCAST.is_valid_source());
        assert!(MacAddress([1, 0x80, 0xc2, 0, 0, 0xe]).is_reserved_link_local());
        assert!(!MacAddress([1, 0x80, 0xc2, 0, 0, 0x10]).is_reserved_link_local());
    }

    #[test]
    fn link_local_is_the_modified_eui64() {
        let address = MacAddress([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);
        assert_eq!(address.eui64_link_local().to_string(), "fe80::42:acff:fe11:2");
    }

    proptest! {
        #[test]
        fn parsing_inverts_display(bytes: [u8; 6]) {
            let address = MacAddress(bytes);
            prop_assert_eq!(address.to_string().parse(), Ok(address));
            prop_assert_eq!(MacAddress::from_u64(address.to_u64()), address);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<MacAddress>();
        }
    }
}
