//! The little of rtnetlink that a container's interface needs: link, address, route, neighbour.
//!
//! One request, one acknowledgement (`NLM_F_ACK`), in the network namespace the socket was opened in. Layouts and numbers
//! are those of `linux/netlink.h`, `linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h` and `linux/neighbour.h`;
//! integers are in host order, attributes are padded to four bytes.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use ipnet::IpNet;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_NEWNEIGH: u16 = 28;

const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_ACK: u16 = 0x004;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;

const IFF_UP: u32 = 1;
const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// No duplicate address detection: the address is the world's to give.
const IFA_F_NODAD: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// A socket to the kernel's routing tables.
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens one in the current network namespace.
    pub(super) fn open() -> io::Result<Netlink> {
        // Protocol 0 of the family is NETLINK_ROUTE.
        let family = AddressFamily::NETLINK;
        let socket = rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// An interface's number.
    pub(super) fn index(&self, name: &str) -> io::Result<u32> {
        Ok(netdevice::name_to_index(&self.socket, name)?)
    }

    /// Gives an interface its hardware address and MTU.
    pub(super) fn configure(&mut self, index: u32, mac: [u8; 6], mtu: u32) -> io::Result<()> {
        let mut message = link(index, 0);
        attribute(&mut message, IFLA_ADDRESS, &mac);
        attribute(&mut message, IFLA_MTU, &mtu.to_ne_bytes());
        self.request(RTM_NEWLINK, 0, &message)
    }

    /// Brings an interface up.
    pub(super) fn up(&mut self, index: u32) -> io::Result<()> {
        self.request(RTM_NEWLINK, 0, &link(index, IFF_UP))
    }

    /// Adds an address and its connected route.
    pub(super) fn add_address(&mut self, index: u32, address: IpNet) -> io::Result<()> {
        let mut message = vec![family(address.addr()), address.prefix_len(), IFA_F_NODAD, RT_SCOPE_UNIVERSE];
        message.extend(index.to_ne_bytes());
        attribute(&mut message, IFA_LOCAL, &octets(address.addr()));
        attribute(&mut message, IFA_ADDRESS, &octets(address.addr()));
        self.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &message)
    }

    /// Adds a route; without a gateway the destination is on the link.
    pub(super) fn add_route(
        &mut self,
        index: u32,
        destination: IpNet,
        gateway: Option<IpAddr>,
        metric: u32,
    ) -> io::Result<()> {
        let scope = match (gateway, destination) {
            (None, IpNet::V4(_)) => RT_SCOPE_LINK,
            _ => RT_SCOPE_UNIVERSE,
        };
        let prefix = destination.prefix_len();
        let kind = [family(destination.addr()), prefix, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope];
        let mut message = kind.to_vec();
        message.push(RTN_UNICAST);
        message.extend(0u32.to_ne_bytes());
        if prefix > 0 {
            attribute(&mut message, RTA_DST, &octets(destination.addr()));
        }
        attribute(&mut message, RTA_OIF, &index.to_ne_bytes());
        if let Some(gateway) = gateway {
            attribute(&mut message, RTA_GATEWAY, &octets(gateway));
        }
        if metric > 0 {
            attribute(&mut message, RTA_PRIORITY, &metric.to_ne_bytes());
        }
        self.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &message)
    }

    /// Adds a permanent neighbour.
    pub(super) fn add_neighbour(&mut self, index: u32, address: IpAddr, mac: [u8; 6]) -> io::Result<()> {
        let mut message = vec![family(address), 0, 0, 0];
        message.extend(index.to_ne_bytes());
        message.extend(NUD_PERMANENT.to_ne_bytes());
        message.extend([0, 0]);
        attribute(&mut message, NDA_DST, &octets(address));
        attribute(&mut message, NDA_LLADDR, &mac);
        self.request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &message)
    }

    fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let message = message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, self.sequence, body);
        rustix::net::send(&self.socket, &message, SendFlags::empty())?;
        let mut answer = [0; 4_096];
        let (length, _) = rustix::net::recv(&self.socket, &mut answer, RecvFlags::empty())?;
        acknowledged(&answer[..length], self.sequence)
    }
}

/// A whole message: header and body.
fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = (HEADER + body.len()) as u32;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    message
}

/// What the kernel's answer says: an `NLMSG_ERROR` with 0 or a negated errno.
fn acknowledged(answer: &[u8], sequence: u32) -> io::Result<()> {
    let unexpected = || io::Error::new(io::ErrorKind::InvalidData, "no acknowledgement from netlink");
    let field = |at: usize| answer.get(at..at + 4).and_then(|b| b.try_into().ok());
    let kind = answer.get(4..6).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes);
    let found = field(8).map(u32::from_ne_bytes);
    match (kind, found, field(HEADER).map(i32::from_ne_bytes)) {
        (Some(NLMSG_ERROR), Some(found), Some(0)) if found == sequence => Ok(()),
        (Some(NLMSG_ERROR), Some(found), Some(errno)) if found == sequence => {
            Err(io::Error::from_raw_os_error(errno.saturating_neg()))
        }
        _ => Err(unexpected()),
    }
}

/// `struct ifinfomsg` that sets these flags.
fn link(index: u32, flags: u32) -> Vec<u8> {
    let mut message = vec![AF_UNSPEC, 0, 0, 0];
    message.extend(index.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend((4 + value.len() as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_say_their_length_without_the_padding() {
        let mut message = Vec::new();
        attribute(&mut message, IFLA_ADDRESS, &[1, 2, 3, 4, 5, 6]);
        attribute(&mut message, IFLA_MTU, &[9; 4]);
        assert_eq!(message.len(), 12 + 8);
        assert_eq!(message[..2], 10u16.to_ne_bytes());
        assert_eq!(message[10..12], [0, 0]);
        assert_eq!(message[12..14], 8u16.to_ne_bytes());
    }

    #[test]
    fn an_answer_is_believed_only_if_it_answers() {
        let answer = |kind: u16, sequence: u32, errno: i32| message(kind, 0, sequence, &errno.to_ne_bytes());
        assert!(acknowledged(&answer(NLMSG_ERROR, 7, 0), 7).is_ok());
        let refused = acknowledged(&answer(NLMSG_ERROR, 7, -1), 7).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        for wrong in [answer(NLMSG_ERROR, 8, 0), answer(RTM_NEWLINK, 7, 0), vec![], vec![0; 17]] {
            assert_eq!(acknowledged(&wrong, 7).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let lowest = acknowledged(&answer(NLMSG_ERROR, 7, i32::MIN), 7);
        assert!(lowest.is_err());
    }
}
