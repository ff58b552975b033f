//! Which packets of an attempt are told, what each is to it, and which drop decided.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linkspan_switch::frame::TraceId;

use super::hops::{Teller, drop_of};
use super::{
    Drop, DropReason, End, Explanation, Lookup, Observed, Outcome, PASSAGES, Part, Passage, Setting, is_error,
};
use crate::engine::event::{Event, EventKind};
use crate::engine::id::NamespaceId;
use crate::observe::rules::tuple_after;
use crate::observe::summary::{self, Role, Summary};

/// DNS (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

/// An end of a conversation: an address and, where the protocol has ports, a port.
type Endpoint = (IpAddr, Option<u16>);

pub(super) fn explain(observed: Observed, events: &[Event], setting: &dyn Setting) -> Explanation {
    let Observed { attempt, addresses, outcome } = observed;
    let packets = Packets::of(events);
    let began = events.first().map_or(Duration::ZERO, |event| event.time);
    let teller = Teller { events, began, setting };
    let unresolved = outcome == Outcome::Unresolved;
    let passages = packets.passages(&teller, unresolved);
    let relay_failed = passages.iter().any(|p| p.part == Part::Relay && matches!(p.end, End::Dropped(_)));
    let outcome = if outcome == Outcome::Reached(None) && relay_failed { Outcome::Closed } else { outcome };
    let drop = (!outcome.is_reached()).then(|| first_drop(&passages)).flatten();
    let lookup = addresses.map(|addresses| Lookup {
        name: attempt.target.clone(),
        answers: packets.answers(unresolved),
        addresses,
    });
    let own = packets.list.iter().find_map(|packet| packet.origin);
    let errors = errors(events, own);
    Explanation { attempt, lookup, passages, outcome, errors, drop, cause: None, story: Vec::new() }
}

fn first_drop(passages: &[Passage]) -> Option<Drop> {
    passages.iter().find_map(|passage| match &passage.end {
        End::Dropped(drop) => Some(drop.clone()),
        End::Delivered { .. } | End::Unfinished => None,
    })
}

/// What the asking program saw, each error once.
fn errors(events: &[Event], own: Option<NamespaceId>) -> Vec<String> {
    let mut seen = Vec::new();
    for event in events {
        if let EventKind::SocketError { namespace, errno, .. } = &event.kind
            && Some(*namespace) == own
        {
            let text = errno.text().to_owned();
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
    }
    seen
}

/// One packet of the attempt.
struct Packet<'a> {
    trace: TraceId,
    /// The namespace that sent it.
    origin: Option<NamespaceId>,
    summary: Summary,
    events: Vec<&'a Event>,
}

struct Packets<'a> {
    list: Vec<Packet<'a>>,
}

impl<'a> Packets<'a> {
    /// The IP packets that namespaces sent, in order.
    fn of(events: &'a [Event]) -> Packets<'a> {
        let mut index: BTreeMap<u64, usize> = BTreeMap::new();
        let mut list: Vec<Packet<'a>> = Vec::new();
        for event in events {
            if let EventKind::Sent { namespace, packet } = &event.kind {
                index.insert(event.trace.0, list.len());
                list.push(Packet {
                    trace: event.trace,
                    origin: Some(*namespace),
                    summary: summary::packet(packet),
                    events: Vec::new(),
                });
            }
            if let Some(packet) = index.get(&event.trace.0).and_then(|at| list.get_mut(*at)) {
                packet.events.push(event);
            }
        }
        list.retain(|packet| packet.summary.role != Role::Resolves);
        Packets { list }
    }

    fn passages(&self, teller: &Teller<'_>, unresolved: bool) -> Vec<Passage> {
        let mut told: Vec<Told> = Vec::new();
        let mut passages: Vec<Passage> = Vec::new();
        for packet in &self.list {
            let lookup = is_lookup(&packet.summary);
            if lookup && !(unresolved && is_worth_telling(&packet.summary)) {
                continue;
            }
            let end = end(packet, teller);
            let known = told
                .iter()
                .position(|other| other.origin == packet.origin && other.text == packet.summary.text);
            if let Some(at) = known {
                if let Some(passage) = passages.get_mut(at) {
                    passage.repeated += 1;
                }
                continue;
            }
            let dropped = matches!(end, End::Dropped(_));
            let inside = matches!(packet.summary.role, Role::Carries | Role::Ends);
            let reset = packet.summary.text.starts_with("TCP RST");
            let opened = told.iter().any(|other| other.text.starts_with("TCP SYN-ACK"));
            if inside && !dropped && !(reset && !opened) || passages.len() >= PASSAGES {
                continue;
            }
            let part = part(packet, lookup, &told);
            told.push(Told {
                origin: packet.origin,
                text: packet.summary.text.clone(),
                sources: sources(packet),
                lookup,
            });
            passages.push(Passage {
                part,
                packet: packet.trace.0,
                time: packet.events.first().map_or(Duration::ZERO, |event| teller.since(event)),
                ends: ends(&packet.summary, teller.setting),
                summary: packet.summary.text.clone(),
                repeated: 0,
                hops: teller.hops(&packet.summary, &packet.events),
                end,
            });
        }
        passages
    }

    /// What name servers answered to the asking namespace.
    fn answers(&self, all: bool) -> Vec<String> {
        let own = self.list.first().and_then(|packet| packet.origin);
        let mut answers: Vec<String> = Vec::new();
        for packet in &self.list {
            let text = &packet.summary.text;
            let Some((kind, answer)) = text.split_once(", ") else { continue };
            let Some((_, ends)) = kind.split_once("DNS answer ") else { continue };
            let delivered = packet.events.iter().any(
                |event| matches!(event.kind, EventKind::Delivered { namespace, .. } if Some(namespace) == own),
            );
            let empty = answer.starts_with("AAAA ") && answer.ends_with(": no such record");
            if !delivered || empty && !all {
                continue;
            }
            let server = ends.split(" → ").next().unwrap_or_default();
            // The embedded server's port is rewritten behind the socket: its address is what the program asked.
            let server = server.rsplit_once(':').map_or(server, |(address, _)| address);
            let line = format!("{server} answers {answer}");
            if !answers.contains(&line) {
                answers.push(line);
            }
        }
        answers
    }
}

/// What is remembered of a packet that was told.
struct Told {
    origin: Option<NamespaceId>,
    text: String,
    /// Where it comes from, as it was sent and as NAT made it look.
    sources: Vec<Endpoint>,
    lookup: bool,
}

fn part(packet: &Packet<'_>, lookup: bool, told: &[Told]) -> Part {
    let to = (packet.summary.destination, packet.summary.destination_port);
    let error = is_error(&packet.summary);
    let answers = told.iter().find(|other| {
        other.sources.iter().any(|(address, port)| {
            Some(*address) == to.0 && (error || *port == to.1) && other.lookup == lookup
        })
    });
    match (answers.is_some(), lookup) {
        (true, true) => Part::LookupAnswer,
        (false, true) => Part::Lookup,
        (true, false) => Part::Answer,
        (false, false) => {
            let own = told.iter().find(|other| !other.lookup).map(|first| first.origin);
            if own.is_none() || own == Some(packet.origin) { Part::Request } else { Part::Relay }
        }
    }
}

fn sources(packet: &Packet<'_>) -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> =
        packet.summary.source.map(|address| (address, packet.summary.source_port)).into_iter().collect();
    for event in &packet.events {
        if let EventKind::Filtered { steps, .. } = &event.kind {
            all.extend(steps.iter().filter_map(tuple_after).map(|after| {
                let port = packet.summary.source_port.map(|_| after.source_port);
                (after.source, port)
            }));
        }
    }
    all
}

/// Where the way ends: the place that takes it, or the drop. Copies of a flooded frame that reach others do not count.
fn end(packet: &Packet<'_>, teller: &Teller<'_>) -> End {
    let mut end = End::Unfinished;
    for event in &packet.events {
        match &event.kind {
            EventKind::Delivered { namespace, .. } => {
                return End::Delivered { place: teller.setting.namespace(*namespace) };
            }
            EventKind::Dropped { reason: DropReason::OtherHost | DropReason::NotForUs, .. } => {}
            EventKind::Dropped { .. } if end == End::Unfinished => {
                if let Some(drop) = drop_of(event, &packet.events, &packet.summary, teller.setting) {
                    end = End::Dropped(drop);
                }
            }
            _ => {}
        }
    }
    if end == End::Unfinished {
        let aside = packet.events.iter().rev().find(|e| matches!(e.kind, EventKind::Dropped { .. }));
        let drop = aside.and_then(|e| drop_of(e, &packet.events, &packet.summary, teller.setting));
        if let Some(drop) = drop {
            end = End::Dropped(drop);
        }
    }
    end
}

fn ends(summary: &Summary, setting: &dyn Setting) -> (String, String) {
    let who = |address: Option<IpAddr>| match address {
        Some(address) => setting.address_owner(address).unwrap_or_else(|| address.to_string()),
        None => "?".to_owned(),
    };
    (who(summary.source), who(summary.destination))
}

fn is_lookup(packet: &Summary) -> bool {
    packet.source_port == Some(DNS_PORT)
        || packet.destination_port == Some(DNS_PORT)
        || packet.text.starts_with("DNS ")
}

/// Of lookups that fail only those for IPv4 addresses are told; the others go the same way.
fn is_worth_telling(packet: &Summary) -> bool {
    !packet.text.contains(" AAAA ")
}
