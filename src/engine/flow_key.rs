//! What flows are told apart by and repeated from: the addresses and ports of packets, and what else of their headers a
//! repetition looks at.

use std::net::{IpAddr, SocketAddr};

use linkspan_nat::packet::{PacketView, TCP, UDP};
use linkspan_nat::rule::Family;
use linkspan_switch::ethernet::ETHERNET_HEADER_LEN;

use super::id::NamespaceId;
use super::queue::mix;

/// A flow as its sender's namespace sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FlowKey {
    pub(super) namespace: NamespaceId,
    pub(super) protocol: u8,
    pub(super) family: Family,
    ports: u32,
    source: u128,
    destination: u128,
}

impl FlowKey {
    /// The flow of an IP packet, if it is one that can be repeated: TCP or UDP, whole and without options.
    #[inline]
    pub(super) fn parse(namespace: NamespaceId, bytes: &[u8]) -> Option<FlowKey> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u128::from_be_bytes(bytes.get(at..at + 16)?.try_into().ok()?));
        match bytes.first()? {
            0x45 if word(4)? & 0x3fff == 0 && matches!(bytes[9], TCP | UDP) => Some(FlowKey {
                namespace,
                protocol: bytes[9],
                family: Family::Ipv4,
                ports: word(20)?,
                source: u128::from(word(12)?),
                destination: u128::from(word(16)?),
            }),
            first if first >> 4 == 6 && matches!(bytes.get(6)?, &TCP | &UDP) => Some(FlowKey {
                namespace,
                protocol: bytes[6],
                family: Family::Ipv6,
                ports: word(40)?,
                source: long(8)?,
                destination: long(24)?,
            }),
            _ => None,
        }
    }

    /// The flow between two ends.
    pub(super) fn new(
        namespace: NamespaceId,
        protocol: u8,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> FlowKey {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        FlowKey {
            namespace,
            protocol,
            family: if source.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 },
            ports: u32::from(source.port()) << 16 | u32::from(destination.port()),
            source: bits(source.ip()),
            destination: bits(destination.ip()),
        }
    }

    /// A number that tells flows apart well enough for a table.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        let ends = match self.family {
            Family::Ipv4 => (self.source as u64) << 32 | self.destination as u64,
            Family::Ipv6 => {
                let fold = |address: u128| mix((address >> 64) as u64) ^ address as u64;
                mix(fold(self.source)) ^ fold(self.destination)
            }
        };
        mix(ends
            ^ u64::from(self.ports).rotate_left(40)
            ^ u64::from(self.namespace.0)
            ^ u64::from(self.protocol) << 20)
    }
}

/// The TCP flags of an IP packet without options.
#[inline]
pub(super) fn tcp_flags(protocol: u8, family: Family, bytes: &[u8]) -> Option<u8> {
    let header = match family {
        Family::Ipv4 => 20,
        Family::Ipv6 => 40,
    };
    if protocol == TCP { bytes.get(header + 13).copied() } else { None }
}

/// The same of an Ethernet frame whose packet has no options.
#[inline]
pub(super) fn segment_flags(bytes: &[u8]) -> Option<u8> {
    let packet = bytes.get(ETHERNET_HEADER_LEN..)?;
    match packet.first()? >> 4 {
        6 => tcp_flags(*packet.get(6)?, Family::Ipv6, packet),
        _ => tcp_flags(*packet.get(9)?, Family::Ipv4, packet),
    }
}

/// The payload of a UDP frame that begins at `payload`, as long as its header says.
#[inline]
pub(super) fn datagram(bytes: &[u8], payload: usize) -> Option<&[u8]> {
    let length = bytes.get(payload - 4..payload - 2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?)).checked_sub(8)?;
    bytes.get(payload..payload + length)
}

/// Whether the checksums of an Ethernet frame's packet are right.
pub(super) fn checksums_are_valid(bytes: &[u8]) -> bool {
    let view = bytes.get(ETHERNET_HEADER_LEN..).and_then(|packet| PacketView::parse(packet).ok());
    view.is_some_and(|view| view.header_checksum_is_valid() && view.transport_checksum_is_valid())
}
