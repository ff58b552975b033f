//! ARP for IPv4 over Ethernet (RFC 826): 28 bytes behind the Ethernet header.

use std::net::Ipv4Addr;

use linkspan_switch::mac::MacAddress;

/// Length of an ARP message for IPv4 over Ethernet.
pub(crate) const LENGTH: usize = 28;

/// An ARP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArpMessage {
    pub(crate) operation: Operation,
    pub(crate) sender_mac: MacAddress,
    pub(crate) sender: Ipv4Addr,
    pub(crate) target_mac: MacAddress,
    pub(crate) target: Ipv4Addr,
}

/// What an ARP message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

impl ArpMessage {
    /// Parses a message; `None` if it is not ARP for IPv4 over Ethernet.
    pub(crate) fn parse(bytes: &[u8]) -> Option<ArpMessage> {
        let bytes: &[u8; LENGTH] = bytes.get(..LENGTH)?.try_into().ok()?;
        if bytes[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let operation = match bytes[6..8] {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return None,
        };
        let mac = |at: usize| bytes[at..at + 6].try_into().ok().map(MacAddress);
        let ip = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        Some(ArpMessage {
            operation,
            sender_mac: mac(8)?,
            sender: ip(14),
            target_mac: mac(18)?,
            target: ip(24),
        })
    }

    /// Writes the message.
    pub(crate) fn emit(&self, bytes: &mut [u8; LENGTH]) {
        bytes[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        bytes[6..8].copy_from_slice(match self.operation {
            Operation::Request => &[0, 1],
            Operation::Reply => &[0, 2],
        });
        bytes[8..14].copy_from_slice(&self.sender_mac.0);
        bytes[14..18].copy_from_slice(&self.sender.octets());
        bytes[18..24].copy_from_slice(&self.target_mac.0);
        bytes[24..28].copy_from_slice(&self.target.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_inverts_emit() {
        for operation in [Operation::Request, Operation::Reply] {
            let message = ArpMessage {
                operation,
                sender_mac: MacAddress([2, 66, 172, 17, 0, 2]),
                sender: Ipv4Addr::new(172, 17, 0, 2),
                target_mac: MacAddress([0; 6]),
                target: Ipv4Addr::new(172, 17, 0, 3),
            };
            let mut bytes = [0; LENGTH];
            message.emit(&mut bytes);
            assert_eq!(ArpMessage::parse(&bytes), Some(message));
            assert_eq!(ArpMessage::parse(&bytes[..27]), None);
        }
    }
}
