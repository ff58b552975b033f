//! An address with a prefix length, as routes and rules write it (RFC 4632 for IPv4, RFC 4291 section 2.3 for IPv6).
//!
//! The host bits are always zero, so equal blocks compare equal. Masks that are not a prefix (`255.0.255.0`) are
//! not represented.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses. Build it with [`Cidr::new`] or [`Cidr::parse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text or a pair of values is no block of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCidr {
    /// The part before the slash is no address.
    #[error("{found:?} is not an IP address: write a.b.c.d/length or an IPv6 address/length")]
    Address {
        /// What was found.
        found: String,
    },
    /// The part after the slash is no prefix length and no contiguous mask of this family.
    #[error("{found:?} is not a prefix length: expected 0 to {longest} or a contiguous mask")]
    Prefix {
        /// What was found.
        found: String,
        /// The longest prefix of the family: 32 or 128.
        longest: u8,
    },
}

impl Cidr {
    /// The block of `prefix` bits that holds `address`; host bits are cleared.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Cidr, InvalidCidr> {
        let longest = bits(address);
        if prefix > longest {
            return Err(InvalidCidr::Prefix { found: prefix.to_string(), longest });
        }
        let address = match address {
            IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & mask_v4(prefix))),
            IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & mask_v6(prefix))),
        };
        Ok(Cidr { address, prefix })
    }

    /// The block that holds only `address`.
    pub fn host(address: IpAddr) -> Cidr {
        Cidr { address, prefix: bits(address) }
    }

    /// Parses `address`, `address/length` or `address/mask`.
    pub fn parse(text: &str) -> Result<Cidr, InvalidCidr> {
        let (head, tail) = match text.split_once('/') {
            Some((head, tail)) => (head, Some(tail)),
            None => (text, None),
        };
        let address: IpAddr = head.parse().map_err(|_| InvalidCidr::Address { found: head.to_owned() })?;
        let Some(tail) = tail else { return Ok(Cidr::host(address)) };
        let prefix = parse_prefix(tail, address)
            .ok_or_else(|| InvalidCidr::Prefix { found: tail.to_owned(), longest: bits(address) })?;
        Cidr::new(address, prefix)
    }

    /// The first address of the block.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of the prefix in bits.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the block holds one address only.
    pub fn is_host(&self) -> bool {
        self.prefix == bits(self.address)
    }

    /// Whether `address` is in the block. An address of the other family never is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a.to_bits() == b.to_bits() & mask_v4(self.prefix),
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() == b.to_bits() & mask_v6(self.prefix),
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

fn parse_prefix(text: &str, address: IpAddr) -> Option<u8> {
    if !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    match (address, text.parse().ok()?) {
        (IpAddr::V4(_), IpAddr::V4(mask)) => {
            let mask: u32 = mask.to_bits();
            (mask.leading_ones() + mask.trailing_zeros() >= 32).then(|| mask.count_ones() as u8)
        }
        (IpAddr::V6(_), IpAddr::V6(mask)) => {
            let mask: u128 = mask.to_bits();
            (mask.leading_ones() + mask.trailing_zeros() >= 128).then(|| mask.count_ones() as u8)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn masks_are_prefixes_and_host_bits_are_cleared() {
        for (text, expected) in [
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3/0", "0.0.0.0/0"),
            ("10.0.0.0/255.255.128.0", "10.0.0.0/17"),
            ("fd00::1:2/64", "fd00::/64"),
            ("fd00::1/ffff::", "fd00::/16"),
        ] {
            assert_eq!(Cidr::parse(text).map(|c| c.to_string()), Ok(expected.to_owned()));
        }
        for bad in [
            "",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/+3",
            "1.2.3.4/255.0.255.0",
            "::/129",
            "::/1.2.3.4",
        ] {
            assert!(Cidr::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn contains_is_equality_of_the_leading_bits(a: u32, b: u32, prefix in 0u8..=32) {
            let block = Cidr::new(IpAddr::V4(Ipv4Addr::from(a)), prefix).unwrap();
            let same = (0..u32::from(prefix)).all(|bit| (a >> (31 - bit)) & 1 == (b >> (31 - bit)) & 1);
            prop_assert_eq!(block.contains(IpAddr::V4(Ipv4Addr::from(b))), same);
            prop_assert_eq!(Cidr::parse(&block.to_string()), Ok(block));
        }
    }
}
