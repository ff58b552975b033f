//! Which rules of a long chain can match a packet: tuple space search (Srinivasan, Suri and Varghese, 1999).
//!
//! What a rule asks of the packet's interfaces, addresses and destination port, where it asks without `!`, is its key;
//! which of these it asks for, and with which prefix lengths, is its shape. Docker's rules have a handful of shapes
//! however many rules there are. A packet is cut to each shape, and the rules with that very key are looked at, in the
//! order of the chain. All others would not have matched, nor taken a token from a bucket: a rule whose `-m limit`
//! comes before its ports has no port in its key, because a packet for another port costs a token there too.
//!
//! Of a key only a fingerprint is kept, which is a tenth of its size: where two have the same, a rule more is looked at,
//! and does not match.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::cidr::Cidr;
use crate::conntrack::{address_bits, fold};
use crate::evaluate::Facts;
use crate::interface::InterfaceName;
use crate::rule::{InterfacePattern, Match, Negatable, PortMatch, Range16, Rule};

/// The rules of one chain by shape and key, as order numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    shapes: Vec<(Shape, HashTable<Alike>)>,
}

/// The rules of one shape whose keys have one fingerprint.
#[derive(Debug, Clone)]
struct Alike {
    fingerprint: u64,
    orders: Orders,
}

/// Nearly always there is one.
#[derive(Debug, Clone)]
#[expect(clippy::box_collection, reason = "there are as many of these as rules, and hardly any has a set")]
enum Orders {
    One(i64),
    More(Box<BTreeSet<i64>>),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    in_interface: bool,
    out_interface: bool,
    /// Whether IPv6 is meant, and the prefix length.
    source: Option<(bool, u8)>,
    destination: Option<(bool, u8)>,
    port: bool,
}

/// What it must be. Parts that a shape does not have are empty.
#[derive(Clone, Copy, Default)]
struct Key {
    in_interface: Option<InterfaceName>,
    out_interface: Option<InterfaceName>,
    source: Option<Cidr>,
    destination: Option<Cidr>,
    /// Protocol and destination port.
    port: Option<(u8, u16)>,
}

impl Index {
    /// Takes a rule in.
    pub(super) fn insert(&mut self, order: i64, rule: &Rule) {
        let key = Key::of(rule);
        let shape = key.shape();
        let at = self.shapes.iter().position(|(known, _)| *known == shape).unwrap_or_else(|| {
            self.shapes.push((shape, HashTable::new()));
            self.shapes.len() - 1
        });
        let fingerprint = key.fingerprint();
        let same = |alike: &Alike| alike.fingerprint == fingerprint;
        match self.shapes[at].1.entry(fingerprint, same, |alike| alike.fingerprint) {
            Entry::Vacant(free) => {
                free.insert(Alike { fingerprint, orders: Orders::One(order) });
            }
            Entry::Occupied(mut taken) => match &mut taken.get_mut().orders {
                orders @ Orders::One(_) => {
                    let one = orders.first(i64::MIN);
                    *orders = Orders::More(Box::new(one.into_iter().chain([order]).collect()));
                }
                Orders::More(known) => {
                    known.insert(order);
                }
            },
        }
    }

    /// Takes out a rule that was taken in with this order number.
    pub(super) fn remove(&mut self, order: i64, rule: &Rule) {
        let key = Key::of(rule);
        let shape = key.shape();
        let Some(at) = self.shapes.iter().position(|(known, _)| *known == shape) else { return };
        let rules = &mut self.shapes[at].1;
        let fingerprint = key.fingerprint();
        if let Ok(mut found) = rules.find_entry(fingerprint, |alike| alike.fingerprint == fingerprint) {
            let empty = match &mut found.get_mut().orders {
                Orders::One(known) => *known == order,
                Orders::More(known) => known.remove(&order) && known.is_empty(),
            };
            if empty {
                found.remove();
            }
        }
        if rules.is_empty() {
            self.shapes.swap_remove(at);
        }
    }

    /// The first order number from `from` on of a rule that may match.
    pub(super) fn next(&self, from: i64, facts: &Facts<'_>) -> Option<i64> {
        let of = |(shape, rules): &(Shape, HashTable<Alike>)| {
            let fingerprint = shape.cut(facts)?.fingerprint();
            rules.find(fingerprint, |alike| alike.fingerprint == fingerprint)?.orders.first(from)
        };
        self.shapes.iter().filter_map(of).min()
    }
}

impl Orders {
    /// The first from `from` on.
    fn first(&self, from: i64) -> Option<i64> {
        match self {
            Orders::One(order) => (*order >= from).then_some(*order),
            Orders::More(orders) => orders.range(from..).next().copied(),
        }
    }
}

impl Shape {
    /// What rules of this shape that match the packet have as their key; `None` if none can.
    fn cut(&self, facts: &Facts<'_>) -> Option<Key> {
        let mut key = Key::default();
        if self.in_interface {
            key.in_interface = Some(facts.in_interface?);
        }
        if self.out_interface {
            key.out_interface = Some(facts.out_interface?);
        }
        if let Some(prefix) = self.source {
            key.source = Some(block(facts.source, prefix)?);
        }
        if let Some(prefix) = self.destination {
            key.destination = Some(block(facts.destination, prefix)?);
        }
        if self.port {
            key.port = Some((facts.protocol, facts.destination_port?));
        }
        Some(key)
    }
}

impl Key {
    fn of(rule: &Rule) -> Key {
        Key {
            in_interface: exact(rule.in_interface),
            out_interface: exact(rule.out_interface),
            source: plain(rule.source),
            destination: plain(rule.destination),
            port: plain(rule.protocol).zip(port(rule)),
        }
    }

    /// Two keys of one shape share it by chance once in 2^64. It is the same on every machine.
    fn fingerprint(&self) -> u64 {
        let name =
            |name: Option<InterfaceName>| name.map_or(0, |name| name.words().into_iter().fold(1, fold));
        let block = |block: Option<Cidr>| {
            block.map_or(0, |block| fold(address_bits(block.address()), u64::from(block.prefix()) + 1))
        };
        let port = self.port.map_or(0, |(protocol, port)| u64::from(protocol) << 16 | u64::from(port));
        let parts =
            [name(self.in_interface), name(self.out_interface), block(self.source), block(self.destination)];
        parts.into_iter().fold(port, fold)
    }

    fn shape(&self) -> Shape {
        let prefix = |block: Cidr| (block.address().is_ipv6(), block.prefix());
        Shape {
            in_interface: self.in_interface.is_some(),
            out_interface: self.out_interface.is_some(),
            source: self.source.map(prefix),
            destination: self.destination.map(prefix),
            port: self.port.is_some(),
        }
    }
}

fn block(address: IpAddr, (ipv6, prefix): (bool, u8)) -> Option<Cidr> {
    Cidr::new(address, prefix).ok().filter(|_| address.is_ipv6() == ipv6)
}

fn plain<T>(condition: Option<Negatable<T>>) -> Option<T> {
    condition.filter(|condition| !condition.negated).map(|condition| condition.value)
}

fn exact(pattern: Option<Negatable<InterfacePattern>>) -> Option<InterfaceName> {
    match plain(pattern)? {
        InterfacePattern::Exact(name) => Some(name),
        InterfacePattern::Prefix(_) => None,
    }
}

/// The one destination port that a rule's first match on ports asks for, unless something before it takes tokens.
fn port(rule: &Rule) -> Option<u16> {
    let before_tokens = rule.matches.iter().take_while(|condition| !matches!(condition, Match::Limit(_)));
    before_tokens.into_iter().find_map(|condition| match condition {
        Match::Tcp(tcp) => single(&tcp.ports),
        Match::Udp(ports) | Match::Sctp(ports) => single(ports),
        _ => None,
    })
}

fn single(ports: &PortMatch) -> Option<u16> {
    plain(ports.destination).filter(|range: &Range16| range.first == range.last).map(|range| range.first)
}
