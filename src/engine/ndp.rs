//! Neighbour solicitation and advertisement (RFC 4861 sections 4.3, 4.4 and 7), the part of NDP that replaces ARP.
//!
//! Whether an address is somebody else's asks `duplicate_address.rs`; router discovery, multicast listener reports and
//! redirects are not modelled.

use std::net::Ipv6Addr;

use linkspan_nat::checksum;
use linkspan_switch::mac::MacAddress;

/// ICMPv6 type of a neighbour solicitation.
pub(crate) const SOLICITATION: u8 = 135;
/// ICMPv6 type of a neighbour advertisement.
pub(crate) const ADVERTISEMENT: u8 = 136;
/// Length of either message with one link-layer address option.
const LENGTH: usize = 32;
const IPV6_HEADER: usize = 40;

/// A solicitation or advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NeighbourMessage {
    pub(crate) kind: Kind,
    pub(crate) target: Ipv6Addr,
    /// Source link-layer address of a solicitation, target link-layer address of an advertisement.
    pub(crate) mac: Option<MacAddress>,
}

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Solicitation,
    Advertisement { solicited: bool, overrides: bool },
}

impl NeighbourMessage {
    /// Parses the ICMPv6 part of a packet.
    pub(crate) fn parse(icmp: &[u8]) -> Option<NeighbourMessage> {
        let kind = match (*icmp.first()?, *icmp.get(1)?) {
            (SOLICITATION, 0) => Kind::Solicitation,
            (ADVERTISEMENT, 0) => {
                let flags = *icmp.get(4)?;
                Kind::Advertisement { solicited: flags & 0x40 != 0, overrides: flags & 0x20 != 0 }
            }
            _ => return None,
        };
        let target: [u8; 16] = icmp.get(8..24)?.try_into().ok()?;
        let wanted = if kind == Kind::Solicitation { 1 } else { 2 };
        let mut mac = None;
        let mut rest = icmp.get(24..)?;
        while let [option, units, ..] = *rest {
            let length = usize::from(units) * 8;
            if length == 0 || length > rest.len() {
                return None;
            }
            if option == wanted && length == 8 {
                mac = rest[2..8].try_into().ok().map(MacAddress);
            }
            rest = &rest[length..];
        }
        Some(NeighbourMessage { kind, target: target.into(), mac })
    }

    /// Writes the whole IPv6 packet, hop limit 255, checksum complete.
    pub(crate) fn emit(&self, source: Ipv6Addr, destination: Ipv6Addr) -> [u8; IPV6_HEADER + LENGTH] {
        let mut packet = [0; IPV6_HEADER + LENGTH];
        let length = if self.mac.is_some() { LENGTH } else { LENGTH - 8 };
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&(length as u16).to_be_bytes());
        packet[6] = 58;
        packet[7] = 255;
        packet[8..24].copy_from_slice(&source.octets());
        packet[24..40].copy_from_slice(&destination.octets());
        let icmp = &mut packet[IPV6_HEADER..];
        match self.kind {
            Kind::Solicitation => icmp[0] = SOLICITATION,
            Kind::Advertisement { solicited, overrides } => {
                icmp[0] = ADVERTISEMENT;
                icmp[4] = u8::from(solicited) << 6 | u8::from(overrides) << 5;
            }
        }
        icmp[8..24].copy_from_slice(&self.target.octets());
        if let Some(mac) = self.mac {
            icmp[24] = if self.kind == Kind::Solicitation { 1 } else { 2 };
            icmp[25] = 1;
            icmp[26..32].copy_from_slice(&mac.0);
        }
        let sum = checksum::transport(
            source.into(),
            destination.into(),
            58,
            &packet[IPV6_HEADER..IPV6_HEADER + length],
        );
        packet[IPV6_HEADER + 2..IPV6_HEADER + 4].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// Length of what [`NeighbourMessage::emit`] wrote.
    pub(crate) fn emitted_length(&self) -> usize {
        IPV6_HEADER + if self.mac.is_some() { LENGTH } else { LENGTH - 8 }
    }
}

/// The solicited-node multicast address of an address (RFC 4291 section 2.7.1).
pub(crate) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let o = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(o[13]), u16::from(o[14]) << 8 | u16::from(o[15]))
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464 section 7).
pub(crate) fn multicast_mac(group: Ipv6Addr) -> MacAddress {
    let o = group.octets();
    MacAddress([0x33, 0x33, o[12], o[13], o[14], o[15]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_inverts_emit() {
        let (source, target) = ("fe80::1".parse().unwrap(), "fd00::42".parse().unwrap());
        for kind in [Kind::Solicitation, Kind::Advertisement { solicited: true, overrides: true }] {
            for mac in [None, Some(MacAddress([2, 0, 0, 0, 0, 9]))] {
                let message = NeighbourMessage { kind, target, mac };
                let packet = message.emit(source, solicited_node(target));
                let packet = &packet[..message.emitted_length()];
                assert_eq!(NeighbourMessage::parse(&packet[40..]), Some(message));
                let view = linkspan_nat::packet::PacketView::parse(packet).unwrap();
                assert!(view.transport_checksum_is_valid());
            }
        }
    }

    #[test]
    fn addresses_of_groups() {
        let address = "fd00::1:2aff:fe01:203".parse().unwrap();
        assert_eq!(solicited_node(address), "ff02::1:ff01:203".parse::<Ipv6Addr>().unwrap());
        assert_eq!(multicast_mac(solicited_node(address)), MacAddress([0x33, 0x33, 0xff, 1, 2, 3]));
    }
}
