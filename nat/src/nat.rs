//! Which tuple a translated connection gets: `nf_nat_core.c` on values.
//!
//! A translation is decided once for each connection and each [`Manipulation`], on the connection's first packet,
//! and the decision may be "none". It changes nothing but the reply tuple; what a packet is rewritten to follows
//! from the two tuples ([`target`]). The chosen reply tuple belongs to no other connection, or, if none is free,
//! confirming the connection fails and the packet is dropped.
//!
//! Even where no rule asks for anything, the null binding of the source changes the port if the reply tuple is
//! taken, as when two paths lead to the same server.
//!
//! Limits: Linux first looks whether the same source address and port have been translated for another
//! destination and prefers the same result; this does not. It also does not evict closing TCP connections to
//! free their ports.

use crate::conntrack::{
    Connection, ConnectionId, ConnectionOwner, Conntrack, Direction, Status, address_bits, fold,
};
use crate::rule::{AddressRange, NatRange, RandomPorts, Range16};
use crate::tuple::Tuple;
use std::net::IpAddr;
use std::time::Duration;

/// How many ports are tried in the first round (`NF_NAT_MAX_ATTEMPTS`), and below how many it ends.
const MOST_ATTEMPTS: u32 = 128;
const LEAST_ATTEMPTS: u32 = 16;

/// Which end is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Manipulation {
    /// The source, in POSTROUTING and INPUT.
    Source = 0,
    /// The destination, in PREROUTING and OUTPUT.
    Destination = 1,
}

impl Manipulation {
    /// The other end.
    pub fn reversed(self) -> Manipulation {
        match self {
            Manipulation::Source => Manipulation::Destination,
            Manipulation::Destination => Manipulation::Source,
        }
    }

    fn bits(self) -> (Status, Status) {
        match self {
            Manipulation::Source => (Status::SRC_NAT, Status::SRC_NAT_DONE),
            Manipulation::Destination => (Status::DST_NAT, Status::DST_NAT_DONE),
        }
    }
}

/// A decision: the tuple of the connection's first packet before and after. Equal if nothing is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatBinding {
    /// Which end was decided.
    pub manipulation: Manipulation,
    /// The tuple as the packet has it so far.
    pub before: Tuple,
    /// The tuple it gets.
    pub after: Tuple,
}

/// Whether translation of this end is decided.
pub fn is_decided(connection: &Connection, manipulation: Manipulation) -> bool {
    connection.status.contains(manipulation.bits().1)
}

/// The tuple that a packet of `direction` shall have on its way out, if its end `manipulation` is to be rewritten;
/// only that end of the tuple counts (for ICMP also the identifier).
pub fn target(connection: &Connection, direction: Direction, manipulation: Manipulation) -> Option<Tuple> {
    // Answers are translated back at the other end.
    let decided = match direction {
        Direction::Original => manipulation,
        Direction::Reply => manipulation.reversed(),
    };
    if !connection.status.contains(decided.bits().0) {
        return None;
    }
    connection.tuple(direction.reversed()).inverted()
}

/// Decides a translation within `range` and notes the owner of the rule that asked for it. `None` if it was
/// decided before, or the connection is confirmed or gone; nothing changes then.
pub fn bind(
    table: &mut Conntrack,
    now: Duration,
    id: ConnectionId,
    manipulation: Manipulation,
    range: &NatRange,
    owner: Option<ConnectionOwner>,
    random: &mut dyn FnMut() -> u16,
) -> Option<NatBinding> {
    let connection = table.get(id)?;
    if connection.status.contains(Status::CONFIRMED) || is_decided(connection, manipulation) {
        return None;
    }
    let before = connection.reply().inverted()?;
    let after = Search { table, now, id, manipulation }.unique_tuple(&before, range, random);
    let reply = after.inverted()?;
    let connection = table.get_mut(id)?;
    let (translated, decided) = manipulation.bits();
    connection.status.insert(decided);
    if after != before {
        connection.tuples[Direction::Reply as usize] = reply;
        connection.status.insert(translated);
        table.set_owner(id, manipulation as usize, owner);
    }
    Some(NatBinding { manipulation, before, after })
}

/// Decides that no rule translates this end; a source port that clashes changes all the same
/// (`nf_nat_alloc_null_binding`). `None` as for [`bind`].
pub fn bind_null(
    table: &mut Conntrack,
    now: Duration,
    id: ConnectionId,
    manipulation: Manipulation,
    random: &mut dyn FnMut() -> u16,
) -> Option<NatBinding> {
    let reply = table.get(id)?.reply();
    let address = match manipulation {
        Manipulation::Source => reply.destination,
        Manipulation::Destination => reply.source,
    };
    bind(table, now, id, manipulation, &range_of(address, &NatRange::default()), None, random)
}

/// The range of a rule whose address is known only now: MASQUERADE and REDIRECT.
pub fn range_of(address: IpAddr, range: &NatRange) -> NatRange {
    NatRange { addresses: Some(AddressRange { first: address, last: address }), ..*range }
}

struct Search<'a> {
    table: &'a Conntrack,
    now: Duration,
    id: ConnectionId,
    manipulation: Manipulation,
}

impl Search<'_> {
    fn unique_tuple(&self, before: &Tuple, range: &NatRange, random: &mut dyn FnMut() -> u16) -> Tuple {
        let keep_port = range.random == RandomPorts::No;
        if self.manipulation == Manipulation::Source
            && keep_port
            && range.addresses.is_none_or(|addresses| addresses.contains(before.source))
            && self.key_is_in(before, range)
            && self.is_free(before)
        {
            return *before;
        }
        let mut tuple = *before;
        if let Some(addresses) = range.addresses.filter(|a| a.first.is_ipv4() == before.source.is_ipv4()) {
            let address = choose_address(before, &addresses, range.persistent);
            match self.manipulation {
                Manipulation::Source => tuple.source = address,
                Manipulation::Destination => tuple.destination = address,
            }
        }
        if keep_port && self.key_is_in(&tuple, range) {
            // A single port leaves no choice, so it is taken even if that clashes.
            let single = range.ports.is_some_and(|ports| ports.first == ports.last);
            if single || self.is_free(&tuple) {
                return tuple;
            }
        }
        self.choose_key(&mut tuple, range, random);
        tuple
    }

    /// Looks for a free port, or ICMP identifier; leaves the last one tried if there is none.
    fn choose_key(&self, tuple: &mut Tuple, range: &NatRange, random: &mut dyn FnMut() -> u16) {
        let (first, last) = match (tuple.protocol, range.ports) {
            (1 | 58, None) => (0, u16::MAX),
            (1 | 6 | 17 | 33 | 58 | 132 | 136, Some(Range16 { first, last })) => {
                (first.min(last), first.max(last))
            }
            (6 | 17 | 33 | 132 | 136, None) => match self.manipulation {
                // Another destination port would be another service.
                Manipulation::Destination => return,
                Manipulation::Source => default_ports(tuple.source_port),
            },
            _ => return,
        };
        let size = u32::from(last - first) + 1;
        let random_start = range.random != RandomPorts::No || self.manipulation == Manipulation::Source;
        let mut offset = if random_start { u32::from(random()) } else { 0 };
        let mut attempts = size.min(MOST_ATTEMPTS);
        loop {
            for _ in 0..attempts {
                *self.key(tuple) = first + (offset % size) as u16;
                if self.is_free(tuple) {
                    return;
                }
                offset += 1;
            }
            if attempts >= size || attempts < LEAST_ATTEMPTS {
                return;
            }
            attempts /= 2;
            offset = u32::from(random());
        }
    }

    fn key<'t>(&self, tuple: &'t mut Tuple) -> &'t mut u16 {
        match self.manipulation {
            Manipulation::Destination if !tuple.is_icmp() => &mut tuple.destination_port,
            Manipulation::Source | Manipulation::Destination => &mut tuple.source_port,
        }
    }

    fn key_is_in(&self, tuple: &Tuple, range: &NatRange) -> bool {
        let mut tuple = *tuple;
        range.ports.is_none_or(|ports| ports.contains(*self.key(&mut tuple)))
    }

    fn is_free(&self, tuple: &Tuple) -> bool {
        tuple.inverted().is_some_and(|reply| !self.table.is_taken(self.now, &reply, self.id))
    }
}

/// Where a source port without a range may move: privileged ports stay privileged (`nf_nat_l4proto_unique_tuple`).
fn default_ports(port: u16) -> (u16, u16) {
    match port {
        0..=511 => (1, 511),
        512..=1023 => (600, 1023),
        1024.. => (1024, u16::MAX),
    }
}

/// An address of the range by a hash, so that a client keeps its address; without `persistent` the destination
/// counts too, so that a client's connections spread.
fn choose_address(tuple: &Tuple, range: &AddressRange, persistent: bool) -> IpAddr {
    if range.first == range.last {
        return range.first;
    }
    let destination = if persistent { 0 } else { address_bits(tuple.destination) };
    let hash = fold(fold(0, address_bits(tuple.source)), destination);
    match (range.first, range.last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let span = u64::from(last.to_bits().saturating_sub(first.to_bits())) + 1;
            let offset = (u128::from(hash) * u128::from(span)) >> 64;
            IpAddr::V4((first.to_bits() + offset as u32).into())
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let (hash, first, last) = (u128::from(hash), first.to_bits(), last.to_bits());
            let wide = hash << 64 | u128::from(fold(hash as u64, 1));
            let offset = match last.saturating_sub(first).checked_add(1) {
                Some(span) => wide % span,
                None => wide,
            };
            IpAddr::V6((first + offset).into())
        }
        (first, _) => first,
    }
}

#[cfg(test)]
mod tests;
