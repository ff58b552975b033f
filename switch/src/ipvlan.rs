//! ipvlan: several stations behind one parent device that share its hardware address. Decisions only.
//!
//! What tells the children apart is the IP address, so a frame is looked at up to its IP, ARP or neighbour discovery
//! addresses. Mode and flag hold for the whole parent, as in Linux (`drivers/net/ipvlan`,
//! `Documentation/networking/ipvlan.rst`). In L2 mode children have a link: ARP and broadcasts work. In L3 and L3S mode
//! they have none: what no sibling takes is routed by the namespace that has the parent.
//!
//! One simplification: a private child's group frames are not shown to its siblings, who could not answer anyway.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ethernet::{ETHERNET_HEADER_LEN, EtherType, EthernetHeader};
use crate::mac::MacAddress;
use crate::macvlan::{ChildId, Ingress};

/// At which layer the children are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// On the link.
    #[default]
    L2,
    /// By routing, past the packet filter of what arrives.
    L3,
    /// By routing, through the packet filter both ways.
    L3s,
}

/// Which children reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// All, directly.
    #[default]
    Bridge,
    /// None.
    Private,
    /// Only by way of an external switch or router.
    Vepa,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::L2 => "l2",
            Mode::L3 => "l3",
            Mode::L3s => "l3s",
        })
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flag::Bridge => "bridge",
            Flag::Private => "private",
            Flag::Vepa => "vepa",
        })
    }
}

/// What becomes of a frame that a child sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Egress {
    /// It leaves by the parent.
    Wire,
    /// It is for another child.
    Sibling(ChildId),
    /// A group frame: for these children at once, and it leaves by the parent.
    GroupAndWire(Vec<ChildId>),
    /// It is for the stack of the parent's namespace.
    Parent,
    /// The parent's namespace routes the packet.
    Route,
    /// Private children do not reach each other.
    Isolated,
    /// Nothing but IP to one station leaves a child without a link.
    Unroutable,
}

/// The addresses that a frame is between, as far as IP goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The sender's.
    pub source: IpAddr,
    /// The receiver's: of an ARP message or a neighbour solicitation, the target's.
    pub destination: IpAddr,
}

impl Addresses {
    /// Reads them off an Ethernet frame; `None` if it is neither IP nor ARP, or cut off.
    pub fn parse(frame: &[u8]) -> Option<Addresses> {
        let header = EthernetHeader::parse(frame).ok()?;
        let packet = frame.get(ETHERNET_HEADER_LEN..)?;
        let v4 = |at: usize| -> Option<IpAddr> {
            let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
            Some(Ipv4Addr::from(bytes).into())
        };
        let v6 = |at: usize| -> Option<IpAddr> {
            let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        };
        match header.ethertype {
            EtherType::IPV4 => Some(Addresses { source: v4(12)?, destination: v4(16)? }),
            EtherType::ARP => Some(Addresses { source: v4(14)?, destination: v4(24)? }),
            EtherType::IPV6 => {
                // ICMPv6 neighbour solicitation (RFC 4861): the target stands behind eight bytes.
                let solicitation = packet.get(6) == Some(&58) && packet.get(40) == Some(&135);
                let destination = if solicitation { v6(48)? } else { v6(24)? };
                Some(Addresses { source: v6(8)?, destination })
            }
            _ => None,
        }
    }
}

/// The children of one parent device.
#[derive(Clone, Debug)]
pub struct Parent {
    mode: Mode,
    flag: Flag,
    /// The children, and by what their link-local addresses differ.
    children: BTreeMap<ChildId, u16>,
    next_number: u16,
    by_address: BTreeMap<IpAddr, ChildId>,
}

impl Parent {
    /// A parent without children.
    pub fn new(mode: Mode, flag: Flag) -> Parent {
        Parent { mode, flag, children: BTreeMap::new(), next_number: 0, by_address: BTreeMap::new() }
    }

    /// Mode and flag of all children from now on.
    pub fn set(&mut self, mode: Mode, flag: Flag) {
        (self.mode, self.flag) = (mode, flag);
    }

    /// The mode of all children.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The flag of all children.
    pub fn flag(&self) -> Flag {
        self.flag
    }

    /// Adds a child.
    pub fn add(&mut self, id: ChildId) {
        self.next_number = self.next_number.wrapping_add(1).max(1);
        self.children.insert(id, self.next_number);
    }

    /// Takes a child away, with its addresses. Absent is no error.
    pub fn remove(&mut self, id: ChildId) {
        self.children.remove(&id);
        self.by_address.retain(|_, holder| *holder != id);
    }

    /// A child has an address. The first one to have it keeps it.
    pub fn add_address(&mut self, id: ChildId, address: IpAddr) {
        self.by_address.entry(address).or_insert(id);
    }

    /// A child has an address no more.
    pub fn remove_address(&mut self, id: ChildId, address: IpAddr) {
        if self.by_address.get(&address) == Some(&id) {
            self.by_address.remove(&address);
        }
    }

    /// The children in the order of their numbers.
    pub fn children(&self) -> impl Iterator<Item = ChildId> + '_ {
        self.children.keys().copied()
    }

    /// True without children.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// A child's IPv6 link-local address: its number stands where a hardware address of its own would differ
    /// (`addrconf_ifid_eui48` with a `dev_id`).
    pub fn link_local(&self, id: ChildId, mac: MacAddress) -> Ipv6Addr {
        let number = self.children.get(&id).copied().unwrap_or_default().to_be_bytes();
        let [a, b, c, d, e, f] = mac.0;
        let interface = [a, b, c, number[0], number[1], d, e, f];
        Ipv6Addr::from(0xfe80 << 112 | u128::from(u64::from_be_bytes(interface)))
    }

    /// Whom a frame is for that arrives on the parent, whose hardware address is `own`.
    pub fn ingress(&self, own: MacAddress, header: &EthernetHeader, addresses: Option<Addresses>) -> Ingress {
        let child = |address: IpAddr| self.by_address.get(&address).copied();
        let sender = addresses.filter(|_| header.source == own).and_then(|both| child(both.source));
        if header.destination.is_multicast() {
            // Without a link there are no groups, and a child's own frame that came back was heard when it was sent.
            let heard = self.mode == Mode::L2 && sender.is_none();
            return if heard { Ingress::Group(self.children().collect()) } else { Ingress::Parent };
        }
        if header.destination != own {
            return Ingress::Parent;
        }
        match addresses.and_then(|both| child(both.destination)) {
            None => Ingress::Parent,
            Some(receiver) if sender == Some(receiver) => Ingress::Isolated,
            Some(_) if sender.is_some() && self.flag == Flag::Private => Ingress::Isolated,
            Some(receiver) => Ingress::Child(receiver),
        }
    }

    /// Where a frame goes that a child sends.
    pub fn egress(&self, id: ChildId, header: &EthernetHeader, addresses: Option<Addresses>) -> Egress {
        let sibling = addresses.and_then(|both| self.by_address.get(&both.destination)).copied();
        let sibling = sibling.filter(|sibling| *sibling != id);
        let group = header.destination.is_multicast();
        match (self.mode, self.flag, sibling) {
            (Mode::L2, Flag::Private, _) if group => Egress::Wire,
            (Mode::L2, Flag::Bridge | Flag::Vepa, _) if group => {
                Egress::GroupAndWire(self.children().filter(|other| *other != id).collect())
            }
            (Mode::L2, Flag::Vepa, _) => Egress::Wire,
            (Mode::L2, Flag::Bridge | Flag::Private, _) if header.destination != header.source => {
                Egress::Wire
            }
            (Mode::L2, Flag::Bridge | Flag::Private, None) => Egress::Parent,
            (Mode::L3 | Mode::L3s, _, _) if group || header.ethertype == EtherType::ARP => Egress::Unroutable,
            (Mode::L3 | Mode::L3s, _, _) if addresses.is_none() => Egress::Unroutable,
            (Mode::L3 | Mode::L3s, Flag::Vepa, _) | (Mode::L3 | Mode::L3s, _, None) => Egress::Route,
            (_, Flag::Private, Some(_)) => Egress::Isolated,
            (_, Flag::Bridge, Some(sibling)) => Egress::Sibling(sibling),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: MacAddress = MacAddress([2, 0, 0xc0, 0xa8, 50, 2]);
    const ROUTER: MacAddress = MacAddress([2, 0, 0xc0, 0xa8, 50, 1]);

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 168, 1, last))
    }

    fn parent(mode: Mode, flag: Flag, children: u32) -> Parent {
        let mut parent = Parent::new(mode, flag);
        for number in 1..=children {
            parent.add(ChildId(number));
            parent.add_address(ChildId(number), address(number as u8));
        }
        parent
    }

    fn header(source: MacAddress, destination: MacAddress) -> EthernetHeader {
        EthernetHeader { source, destination, ethertype: EtherType::IPV4 }
    }

    fn between(source: u8, destination: u8) -> Option<Addresses> {
        Some(Addresses { source: address(source), destination: address(destination) })
    }

    #[test]
    fn addresses_are_read_from_ip_arp_and_solicitations() {
        let mut arp = vec![0; 14 + 28];
        arp[12..14].copy_from_slice(&[8, 6]);
        arp[14 + 14..14 + 18].copy_from_slice(&[192, 168, 1, 2]);
        arp[14 + 24..14 + 28].copy_from_slice(&[192, 168, 1, 3]);
        assert_eq!(Addresses::parse(&arp), between(2, 3));
        let mut ip = vec![0; 14 + 20];
        ip[12..14].copy_from_slice(&[8, 0]);
        ip[26..30].copy_from_slice(&[192, 168, 1, 2]);
        ip[30..34].copy_from_slice(&[192, 168, 1, 3]);
        assert_eq!(Addresses::parse(&ip), between(2, 3));
        assert_eq!(Addresses::parse(&ip[..33]), None);
        let mut solicitation = vec![0; 14 + 40 + 24];
        solicitation[12..14].copy_from_slice(&[0x86, 0xdd]);
        solicitation[14 + 6] = 58;
        solicitation[14 + 40] = 135;
        solicitation[14 + 63] = 9;
        let found = Addresses::parse(&solicitation).unwrap();
        assert_eq!(found.destination, "::9".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn l2_children_have_a_link() {
        let parent = parent(Mode::L2, Flag::Bridge, 3);
        let broadcast = header(OWN, MacAddress::BROADCAST);
        let others = vec![ChildId(2), ChildId(3)];
        assert_eq!(parent.egress(ChildId(1), &broadcast, between(1, 2)), Egress::GroupAndWire(others));
        assert_eq!(parent.egress(ChildId(1), &header(OWN, OWN), between(1, 2)), Egress::Sibling(ChildId(2)));
        assert_eq!(parent.egress(ChildId(1), &header(OWN, OWN), between(1, 9)), Egress::Parent);
        assert_eq!(parent.egress(ChildId(1), &header(OWN, ROUTER), between(1, 9)), Egress::Wire);
        let all = vec![ChildId(1), ChildId(2), ChildId(3)];
        assert_eq!(
            parent.ingress(OWN, &header(ROUTER, MacAddress::BROADCAST), between(9, 1)),
            Ingress::Group(all)
        );
        assert_eq!(parent.ingress(OWN, &header(ROUTER, OWN), between(9, 2)), Ingress::Child(ChildId(2)));
        assert_eq!(parent.ingress(OWN, &header(ROUTER, OWN), between(9, 8)), Ingress::Parent);
        assert_eq!(parent.ingress(OWN, &header(ROUTER, ROUTER), between(9, 2)), Ingress::Parent);
        assert_eq!(parent.ingress(OWN, &broadcast, between(1, 2)), Ingress::Parent);
    }

    #[test]
    fn l3_children_have_none() {
        for mode in [Mode::L3, Mode::L3s] {
            let parent = parent(mode, Flag::Bridge, 2);
            let broadcast = header(OWN, MacAddress::BROADCAST);
            assert_eq!(parent.egress(ChildId(1), &broadcast, between(1, 255)), Egress::Unroutable);
            assert_eq!(
                parent.egress(ChildId(1), &header(OWN, OWN), between(1, 2)),
                Egress::Sibling(ChildId(2))
            );
            assert_eq!(parent.egress(ChildId(1), &header(OWN, OWN), between(1, 9)), Egress::Route);
            assert_eq!(parent.egress(ChildId(1), &header(OWN, OWN), None), Egress::Unroutable);
            let heard = parent.ingress(OWN, &header(ROUTER, MacAddress::BROADCAST), between(9, 1));
            assert_eq!(heard, Ingress::Parent);
            assert_eq!(parent.ingress(OWN, &header(ROUTER, OWN), between(9, 1)), Ingress::Child(ChildId(1)));
        }
    }

    #[test]
    fn flags_keep_children_apart() {
        let private = parent(Mode::L2, Flag::Private, 2);
        assert_eq!(private.egress(ChildId(1), &header(OWN, OWN), between(1, 2)), Egress::Isolated);
        assert_eq!(
            private.egress(ChildId(1), &header(OWN, MacAddress::BROADCAST), between(1, 2)),
            Egress::Wire
        );
        assert_eq!(private.ingress(OWN, &header(OWN, OWN), between(1, 2)), Ingress::Isolated);
        let private = parent(Mode::L3, Flag::Private, 2);
        assert_eq!(private.egress(ChildId(1), &header(OWN, OWN), between(1, 2)), Egress::Isolated);
        let vepa = parent(Mode::L2, Flag::Vepa, 2);
        assert_eq!(vepa.egress(ChildId(1), &header(OWN, OWN), between(1, 2)), Egress::Wire);
        assert_eq!(vepa.ingress(OWN, &header(OWN, OWN), between(1, 2)), Ingress::Child(ChildId(2)));
        let vepa = parent(Mode::L3, Flag::Vepa, 2);
        assert_eq!(vepa.egress(ChildId(1), &header(OWN, OWN), between(1, 2)), Egress::Route);
    }

    #[test]
    fn addresses_come_and_go_and_link_local_ones_differ() {
        let mut parent = parent(Mode::L2, Flag::Bridge, 2);
        parent.add_address(ChildId(2), address(1));
        assert_eq!(parent.ingress(OWN, &header(ROUTER, OWN), between(9, 1)), Ingress::Child(ChildId(1)));
        parent.remove_address(ChildId(2), address(1));
        parent.remove(ChildId(1));
        assert_eq!(parent.ingress(OWN, &header(ROUTER, OWN), between(9, 1)), Ingress::Parent);
        parent.add(ChildId(3));
        assert_eq!(
            parent.link_local(ChildId(2), OWN),
            "fe80::200:c000:2a8:3202".parse::<Ipv6Addr>().unwrap()
        );
        assert_ne!(parent.link_local(ChildId(2), OWN), parent.link_local(ChildId(3), OWN));
    }

    proptest! {
        #[test]
        fn at_most_once_never_back_and_never_between_private_children(
            mode in prop_oneof![Just(Mode::L2), Just(Mode::L3), Just(Mode::L3s)],
            flag in prop_oneof![Just(Flag::Bridge), Just(Flag::Private), Just(Flag::Vepa)],
            children in 1u32..8, sender in 0u32..8, destination in 0u8..10, to in 0u8..3,
        ) {
            let parent = parent(mode, flag, children);
            let sender = ChildId(sender % children + 1);
            let to = [OWN, ROUTER, MacAddress::BROADCAST][usize::from(to)];
            let (header, addresses) = (header(OWN, to), between(sender.0 as u8, destination));
            let mut got = match parent.egress(sender, &header, addresses) {
                Egress::Sibling(child) => vec![child],
                Egress::GroupAndWire(children) => children,
                _ => Vec::new(),
            };
            // An external switch may reflect what left.
            match parent.ingress(OWN, &header, addresses) {
                Ingress::Child(child) if got.is_empty() => got.push(child),
                Ingress::Group(children) => got.extend(children),
                Ingress::Child(_) | Ingress::Parent | Ingress::Isolated => {}
            }
            let count = got.len();
            got.sort();
            got.dedup();
            prop_assert_eq!(got.len(), count, "twice to one child");
            prop_assert!(!got.contains(&sender), "back to its sender");
            if flag == Flag::Private {
                prop_assert!(got.is_empty(), "a private child was heard");
            }
        }
    }
}
