//! The Ethernet II header (IEEE 802.3 clause 3): destination, source, EtherType.
//!
//! An 802.1Q tag is not part of it: a tagged frame has EtherType [`EtherType::VLAN`] and [`crate::vlan`]
//! reads on. Frames travel without preamble and check sequence, and without the padding to 60 bytes, as
//! they do between virtual devices in Linux.

use std::fmt;

use thiserror::Error;

use crate::mac::MacAddress;

/// Bytes of an untagged header.
pub const ETHERNET_HEADER_LEN: usize = 14;

/// The two bytes after the addresses: a protocol, or below 0x0600 an 802.3 length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// Internet Protocol version 4 (RFC 894).
    pub const IPV4: EtherType = EtherType(0x0800);
    /// Address Resolution Protocol (RFC 826).
    pub const ARP: EtherType = EtherType(0x0806);
    /// An 802.1Q customer tag follows.
    pub const VLAN: EtherType = EtherType(0x8100);
    /// Internet Protocol version 6 (RFC 2464).
    pub const IPV6: EtherType = EtherType(0x86dd);

    /// Whether the field is an 802.3 payload length, not a protocol.
    pub const fn is_length(self) -> bool {
        self.0 < 0x0600
    }
}

impl fmt::Display for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            EtherType::IPV4 => f.write_str("IPv4"),
            EtherType::ARP => f.write_str("ARP"),
            EtherType::VLAN => f.write_str("802.1Q"),
            EtherType::IPV6 => f.write_str("IPv6"),
            EtherType(value) => write!(f, "0x{value:04x}"),
        }
    }
}

impl fmt::Debug for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An Ethernet II header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Who is to receive the frame.
    pub destination: MacAddress,
    /// Who sent it.
    pub source: MacAddress,
    /// What it carries.
    pub ethertype: EtherType,
}

/// Bytes that hold no Ethernet header, or no room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an Ethernet header takes {ETHERNET_HEADER_LEN} bytes, found {found}")]
pub struct EthernetError {
    /// Bytes there were.
    pub found: usize,
}

impl EthernetHeader {
    /// Reads the header at the start of `bytes`. Only too few bytes are an error.
    #[inline(always)]
    pub fn parse(bytes: &[u8]) -> Result<EthernetHeader, EthernetError> {
        let error = EthernetError { found: bytes.len() };
        let header = bytes.first_chunk::<ETHERNET_HEADER_LEN>().ok_or(error)?;
        let (destination, rest) = header.split_first_chunk::<6>().ok_or(error)?;
        let (source, rest) = rest.split_first_chunk::<6>().ok_or(error)?;
        let ethertype = *rest.first_chunk::<2>().ok_or(error)?;
        Ok(EthernetHeader {
            destination: MacAddress(*destination),
            source: MacAddress(*source),
            ethertype: EtherType(u16::from_be_bytes(ethertype)),
        })
    }

    /// Writes the header to the start of `bytes`; writes nothing if they are too few.
    pub fn emit(&self, bytes: &mut [u8]) -> Result<(), EthernetError> {
        let found = bytes.len();
        let header = bytes.first_chunk_mut::<ETHERNET_HEADER_LEN>().ok_or(EthernetError { found })?;
        header[..6].copy_from_slice(&self.destination.0);
        header[6..12].copy_from_slice(&self.source.0);
        header[12..].copy_from_slice(&self.ethertype.0.to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_known_header_is_read() {
        let bytes = [2, 0x42, 0xac, 0x11, 0, 3, 2, 0x42, 0xac, 0x11, 0, 2, 8, 0, 0x45];
        let header = EthernetHeader::parse(&bytes).unwrap();
        assert_eq!(header.destination.to_string(), "02:42:ac:11:00:03");
        assert_eq!(header.source.to_string(), "02:42:ac:11:00:02");
        assert_eq!(header.ethertype, EtherType::IPV4);
        assert!(!header.ethertype.is_length() && EtherType(1500).is_length());
    }

    #[test]
    fn short_bytes_are_refused_and_left_alone() {
        let header = EthernetHeader::parse(&[1; 14]).unwrap();
        assert_eq!(EthernetHeader::parse(&[0; 13]), Err(EthernetError { found: 13 }));
        let mut room = [0; 13];
        assert_eq!(header.emit(&mut room), Err(EthernetError { found: 13 }));
        assert_eq!(room, [0; 13]);
    }

    proptest! {
        #[test]
        fn emit_inverts_parse(bytes: [u8; 14]) {
            let mut emitted = [0; 14];
            EthernetHeader::parse(&bytes).unwrap().emit(&mut emitted).unwrap();
            prop_assert_eq!(emitted, bytes);
        }
    }
}
