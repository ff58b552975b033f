//! macvlan: several stations with addresses of their own behind one parent device. Decisions only.
//!
//! A child's frames leave by the parent as if it were a switch port; the parent's own stack and its children never
//! reach each other through it, in any mode, because what the parent sends goes to the wire only. The modes are those
//! of `ip-link(8)`, the decisions those of Linux' `drivers/net/macvlan.c`, with two simplifications: a private child
//! is not handed its own reflected group frames, and a unicast frame between private children that an external switch
//! reflects is dropped here (Linux relies on their never learning each other's addresses).
//!
//! Limits: no `source` mode, no filter for multicast groups.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use crate::mac::MacAddress;

/// A child, numbered by whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub u32);

/// Whom a child's frames may reach without leaving the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Other children in bridge mode directly, everybody else by the wire.
    #[default]
    Bridge,
    /// Never another child, not even when an external switch reflects the frame.
    Private,
    /// Everybody by the wire; another child only if an external switch reflects the frame (802.1Qbg).
    Vepa,
    /// The only child, with the parent's address; it gets every frame that arrives.
    Passthru,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Bridge => "bridge",
            Mode::Private => "private",
            Mode::Vepa => "vepa",
            Mode::Passthru => "passthru",
        })
    }
}

/// Why a parent takes no further child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MacvlanError {
    /// A passthru child is alone with its parent.
    #[error("a passthru child tolerates no other child of its parent")]
    NotAlone,
    /// Another child has the address.
    #[error("another child of the parent has the address {address}")]
    AddressInUse {
        /// The address.
        address: MacAddress,
    },
    /// The address is a group's or zero.
    #[error("{address} is no station's address")]
    NotAStation {
        /// The address.
        address: MacAddress,
    },
}

/// What becomes of a frame that the parent receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// It is for the parent's own stack.
    Parent,
    /// It is for one child.
    Child(ChildId),
    /// A group frame: for these children, and for the parent's own stack.
    Group(Vec<ChildId>),
    /// A private child's frame that came back.
    Isolated,
}

/// What becomes of a frame that a child sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Egress {
    /// It leaves by the parent.
    Wire,
    /// It is for another child: the parent takes it in again, so that a capture there shows it.
    Sibling(ChildId),
    /// A group frame: for these children at once, and it leaves by the parent.
    GroupAndWire(Vec<ChildId>),
    /// It is for the sender itself.
    Own,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    address: MacAddress,
    mode: Mode,
}

/// The children of one parent device.
#[derive(Clone, Debug, Default)]
pub struct Parent {
    children: BTreeMap<ChildId, Child>,
    by_address: BTreeMap<MacAddress, ChildId>,
}

impl Parent {
    /// A parent without children.
    pub fn new() -> Parent {
        Parent::default()
    }

    /// Adds a child. Nothing has changed on error.
    pub fn add(&mut self, id: ChildId, address: MacAddress, mode: Mode) -> Result<(), MacvlanError> {
        if !address.is_valid_source() {
            return Err(MacvlanError::NotAStation { address });
        }
        let exclusive = mode == Mode::Passthru || self.passthru().is_some();
        if exclusive && !self.children.is_empty() {
            return Err(MacvlanError::NotAlone);
        }
        if self.by_address.contains_key(&address) {
            return Err(MacvlanError::AddressInUse { address });
        }
        self.children.insert(id, Child { address, mode });
        self.by_address.insert(address, id);
        Ok(())
    }

    /// Takes a child away. Absent is no error.
    pub fn remove(&mut self, id: ChildId) {
        if let Some(child) = self.children.remove(&id) {
            self.by_address.remove(&child.address);
        }
    }

    /// Gives a child another address. Nothing has changed on error.
    pub fn set_address(&mut self, id: ChildId, address: MacAddress) -> Result<(), MacvlanError> {
        if !address.is_valid_source() {
            return Err(MacvlanError::NotAStation { address });
        }
        if self.by_address.get(&address).is_some_and(|holder| *holder != id) {
            return Err(MacvlanError::AddressInUse { address });
        }
        if let Some(child) = self.children.get_mut(&id) {
            self.by_address.remove(&child.address);
            child.address = address;
            self.by_address.insert(address, id);
        }
        Ok(())
    }

    /// The children in the order of their numbers.
    pub fn children(&self) -> impl Iterator<Item = ChildId> + '_ {
        self.children.keys().copied()
    }

    /// True without children.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Whom a frame is for that arrives on the parent.
    pub fn ingress(&self, source: MacAddress, destination: MacAddress) -> Ingress {
        let sender = self.by_address.get(&source).and_then(|id| Some((*id, self.children.get(id)?.mode)));
        if destination.is_multicast() {
            return match sender {
                None => Ingress::Group(self.group(None, |_| true)),
                // Its own frame came back. Children in bridge mode had it when it was sent.
                Some((sender, Mode::Bridge)) => {
                    Ingress::Group(self.group(Some(sender), |mode| mode == Mode::Vepa))
                }
                Some((sender, Mode::Vepa)) => {
                    Ingress::Group(self.group(Some(sender), |mode| matches!(mode, Mode::Vepa | Mode::Bridge)))
                }
                Some((_, Mode::Private | Mode::Passthru)) => Ingress::Isolated,
            };
        }
        if let Some(only) = self.passthru() {
            return if sender.is_some() { Ingress::Isolated } else { Ingress::Child(only) };
        }
        match (self.by_address.get(&destination), sender) {
            (None, _) => Ingress::Parent,
            (Some(child), None) => Ingress::Child(*child),
            (Some(child), Some((sender, mode))) => {
                let private = mode == Mode::Private || self.mode(*child) == Some(Mode::Private);
                if private || *child == sender { Ingress::Isolated } else { Ingress::Child(*child) }
            }
        }
    }

    /// Where a frame goes that a child sends.
    pub fn egress(&self, sender: ChildId, destination: MacAddress) -> Egress {
        if self.mode(sender) != Some(Mode::Bridge) {
            return Egress::Wire;
        }
        if destination.is_multicast() {
            return Egress::GroupAndWire(self.group(Some(sender), |mode| mode == Mode::Bridge));
        }
        match self.by_address.get(&destination) {
            Some(child) if *child == sender => Egress::Own,
            Some(child) if self.mode(*child) == Some(Mode::Bridge) => Egress::Sibling(*child),
            _ => Egress::Wire,
        }
    }

    /// A child's mode.
    pub fn mode(&self, id: ChildId) -> Option<Mode> {
        self.children.get(&id).map(|child| child.mode)
    }

    fn passthru(&self) -> Option<ChildId> {
        let (id, child) = self.children.first_key_value()?;
        (child.mode == Mode::Passthru).then_some(*id)
    }

    fn group(&self, without: Option<ChildId>, wanted: impl Fn(Mode) -> bool) -> Vec<ChildId> {
        let all = self.children.iter().filter(|(id, child)| Some(**id) != without && wanted(child.mode));
        all.map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn mac(last: u8) -> MacAddress {
        MacAddress([2, 0x42, 0xc0, 0xa8, 50, last])
    }

    const OUTSIDE: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

    fn parent(modes: &[Mode]) -> Parent {
        let mut parent = Parent::new();
        for (number, mode) in (1..).zip(modes) {
            parent.add(ChildId(number), mac(number as u8), *mode).unwrap();
        }
        parent
    }

    fn ids(numbers: &[u32]) -> Vec<ChildId> {
        numbers.iter().copied().map(ChildId).collect()
    }

    #[test]
    fn bridge_children_switch_among_themselves() {
        let parent = parent(&[Mode::Bridge, Mode::Bridge, Mode::Bridge]);
        assert_eq!(parent.egress(ChildId(1), mac(2)), Egress::Sibling(ChildId(2)));
        assert_eq!(parent.ingress(mac(1), mac(2)), Ingress::Child(ChildId(2)));
        assert_eq!(parent.egress(ChildId(1), OUTSIDE), Egress::Wire);
        assert_eq!(parent.egress(ChildId(1), MacAddress::BROADCAST), Egress::GroupAndWire(ids(&[2, 3])));
        assert_eq!(parent.egress(ChildId(1), mac(1)), Egress::Own);
        // A switch that reflects the broadcast adds no second copy.
        assert_eq!(parent.ingress(mac(1), MacAddress::BROADCAST), Ingress::Group(Vec::new()));
    }

    #[test]
    fn the_lan_reaches_every_child_and_the_parent() {
        let parent = parent(&[Mode::Bridge, Mode::Private, Mode::Vepa]);
        assert_eq!(parent.ingress(OUTSIDE, MacAddress::BROADCAST), Ingress::Group(ids(&[1, 2, 3])));
        let group = MacAddress([1, 0, 0x5e, 0, 0, 0xfb]);
        assert_eq!(parent.ingress(OUTSIDE, group), Ingress::Group(ids(&[1, 2, 3])));
        assert_eq!(parent.ingress(OUTSIDE, mac(2)), Ingress::Child(ChildId(2)));
        assert_eq!(parent.ingress(OUTSIDE, mac(9)), Ingress::Parent);
    }

    #[test]
    fn private_children_do_not_even_hear_reflections() {
        let parent = parent(&[Mode::Private, Mode::Private]);
        assert_eq!(parent.egress(ChildId(1), mac(2)), Egress::Wire);
        assert_eq!(parent.egress(ChildId(1), MacAddress::BROADCAST), Egress::Wire);
        assert_eq!(parent.ingress(mac(1), mac(2)), Ingress::Isolated);
        assert_eq!(parent.ingress(mac(1), MacAddress::BROADCAST), Ingress::Isolated);
    }

    #[test]
    fn vepa_children_meet_at_an_external_switch() {
        let parent = parent(&[Mode::Vepa, Mode::Vepa, Mode::Bridge]);
        assert_eq!(parent.egress(ChildId(1), mac(2)), Egress::Wire);
        assert_eq!(parent.egress(ChildId(1), MacAddress::BROADCAST), Egress::Wire);
        assert_eq!(parent.ingress(mac(1), mac(2)), Ingress::Child(ChildId(2)));
        assert_eq!(parent.ingress(mac(1), MacAddress::BROADCAST), Ingress::Group(ids(&[2, 3])));
        assert_eq!(parent.ingress(mac(3), MacAddress::BROADCAST), Ingress::Group(ids(&[1, 2])));
    }

    #[test]
    fn passthru_is_alone_and_takes_everything() {
        let mut alone = parent(&[Mode::Passthru]);
        assert_eq!(alone.ingress(OUTSIDE, mac(77)), Ingress::Child(ChildId(1)));
        assert_eq!(alone.egress(ChildId(1), mac(2)), Egress::Wire);
        assert_eq!(alone.add(ChildId(2), mac(2), Mode::Bridge), Err(MacvlanError::NotAlone));
        let mut others = parent(&[Mode::Bridge]);
        assert_eq!(others.add(ChildId(2), mac(2), Mode::Passthru), Err(MacvlanError::NotAlone));
    }

    #[test]
    fn addresses_are_unique_and_can_move() {
        let mut parent = parent(&[Mode::Bridge, Mode::Bridge]);
        let taken = MacvlanError::AddressInUse { address: mac(1) };
        assert_eq!(parent.add(ChildId(3), mac(1), Mode::Bridge), Err(taken));
        assert_eq!(parent.set_address(ChildId(2), mac(1)), Err(taken));
        assert!(parent.add(ChildId(3), MacAddress::BROADCAST, Mode::Bridge).is_err());
        parent.set_address(ChildId(2), mac(9)).unwrap();
        assert_eq!(parent.ingress(OUTSIDE, mac(2)), Ingress::Parent);
        assert_eq!(parent.ingress(OUTSIDE, mac(9)), Ingress::Child(ChildId(2)));
        parent.remove(ChildId(2));
        parent.remove(ChildId(2));
        assert_eq!(parent.ingress(OUTSIDE, mac(9)), Ingress::Parent);
        assert_eq!(parent.children().collect::<Vec<_>>(), ids(&[1]));
    }

    /// Who gets a child's frame in all: at once, and again if an external switch reflects what left.
    fn receivers(
        parent: &Parent,
        sender: ChildId,
        source: MacAddress,
        destination: MacAddress,
    ) -> Vec<ChildId> {
        let arriving = || match parent.ingress(source, destination) {
            Ingress::Child(child) => vec![child],
            Ingress::Group(children) => children,
            Ingress::Parent | Ingress::Isolated => Vec::new(),
        };
        match parent.egress(sender, destination) {
            Egress::Wire => arriving(),
            Egress::Sibling(child) => {
                assert_eq!(arriving(), [child], "the parent takes the frame in for the same child");
                vec![child]
            }
            Egress::GroupAndWire(children) => children.into_iter().chain(arriving()).collect(),
            Egress::Own => Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn at_most_once_never_back_and_never_between_private_children(
            modes in prop::collection::vec(
                prop_oneof![Just(Mode::Bridge), Just(Mode::Private), Just(Mode::Vepa)], 1..8),
            sender in 0usize..8, destination in 0u8..10, group: bool,
        ) {
            let parent = parent(&modes);
            let sender = ChildId((sender % modes.len()) as u32 + 1);
            let source = mac(sender.0 as u8);
            let destination = if group { MacAddress::BROADCAST } else { mac(destination) };
            let mut got = receivers(&parent, sender, source, destination);
            let count = got.len();
            got.sort();
            got.dedup();
            prop_assert_eq!(got.len(), count, "twice to one child");
            prop_assert!(!got.contains(&sender), "back to its sender");
            let mode = |id: &ChildId| modes[id.0 as usize - 1];
            if mode(&sender) == Mode::Private {
                prop_assert!(got.is_empty(), "a private child was heard");
            }
            prop_assert!(got.iter().all(|id| mode(id) != Mode::Private), "a private child heard another");
        }
    }
}
