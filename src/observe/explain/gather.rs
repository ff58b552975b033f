//! Which packets of an attempt are told, what each is to it, and which drop decided.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linkspan_switch::frame::TraceId;

use super::hops::{Teller, drop_of};
use super::{
    Drop, DropReason, End, Events, Explanation, Lookup, Observed, Outcome, PASSAGES, Part, Passage, Setting,
    is_error,
};
use crate::engine::event::{Event, EventKind};
use crate::engine::id::NamespaceId;
use crate::observe::rules::tuple_after;
use crate::observe::summary::{self, Role, Summary, endpoint};

/// DNS (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

/// An end of a conversation: an address and, where the protocol has ports, a port.
type Endpoint = (IpAddr, Option<u16>);

pub(super) fn explain(observed: Observed, events: Events<'_>, setting: &dyn Setting) -> Explanation {
    let Observed { attempt, addresses, outcome } = observed;
    let first = events.lookup.first().or(events.attempt.first());
    let began = first.map_or(Duration::ZERO, |event| event.time);
    let lookups = Packets::of(events.lookup);
    let teller = |events| Teller { events, began, setting };
    let target = addresses.as_ref().and_then(|list| list.first().copied()).or(attempt.target.parse().ok());
    let passages = match (outcome, target) {
        (Outcome::Unresolved, _) => lookups.lookups(&teller(events.lookup)),
        (_, Some(address)) => {
            let goal = Goal { from: &attempt.namespace, to: (address, attempt.port) };
            Packets::of(events.attempt).passages(&teller(events.attempt), &goal)
        }
        (_, None) => Vec::new(),
    };
    let relay_failed = passages.iter().any(|p| p.part == Part::Relay && matches!(p.end, End::Dropped(_)));
    let outcome = if outcome == Outcome::Reached(None) && relay_failed { Outcome::Closed } else { outcome };
    let drop = (!outcome.is_reached()).then(|| first_drop(&passages)).flatten();
    let lookup = addresses.map(|addresses| Lookup {
        name: attempt.target.clone(),
        answers: lookups.answers(&attempt.namespace, setting),
        addresses,
    });
    let errors = errors(events.attempt, &attempt.namespace, setting);
    Explanation {
        attempt,
        lookup,
        passages,
        outcome,
        silent: false,
        errors,
        drop,
        cause: None,
        notes: Vec::new(),
        story: Vec::new(),
    }
}

/// What an attempt sends, and whom to: other traffic of the same moment is not told.
struct Goal<'a> {
    /// The namespace of the one who asks.
    from: &'a str,
    to: Endpoint,
}

fn first_drop(passages: &[Passage]) -> Option<Drop> {
    passages.iter().find_map(|passage| match &passage.end {
        End::Dropped(drop) => Some(drop.clone()),
        End::Delivered { .. } | End::Unfinished => None,
    })
}

/// What the asking program saw, each error once.
fn errors(events: &[Event], from: &str, setting: &dyn Setting) -> Vec<String> {
    let mut seen = Vec::new();
    for event in events {
        if let EventKind::SocketError { namespace, errno, .. } = &event.kind
            && setting.namespace(*namespace) == from
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

    /// The packets of a lookup that failed. Of the two families' lookups, which go the same way, that for IPv4.
    fn lookups(&self, teller: &Teller<'_>) -> Vec<Passage> {
        let mut telling = Telling::default();
        let asked = self.list.iter().filter(|packet| is_dns(&packet.summary));
        for packet in asked.filter(|packet| !packet.summary.text.contains(" AAAA ")) {
            let answer = packet.summary.text.starts_with("DNS answer");
            let part = if answer { Part::LookupAnswer } else { Part::Lookup };
            telling.tell(packet, part, teller);
        }
        telling.passages
    }

    /// The packets of an attempt that decide.
    fn passages(&self, teller: &Teller<'_>, goal: &Goal<'_>) -> Vec<Passage> {
        let mut telling = Telling::default();
        for packet in &self.list {
            let Some(part) = telling.part(packet, goal, teller.setting) else { continue };
            let reset = packet.summary.text.starts_with("TCP RST");
            let refused = telling
                .told
                .iter()
                .any(|other| matches!(other.end, End::Dropped(_)) && other.is_answered_by(packet));
            let decides = match packet.summary.role {
                Role::Opens | Role::Message => true,
                Role::Carries | Role::Ends => {
                    reset && refused || matches!(end(packet, teller), End::Dropped(_))
                }
                Role::Resolves => false,
            };
            if decides {
                telling.tell(packet, part, teller);
            }
        }
        telling.passages
    }

    /// What name servers answered to the asking namespace.
    fn answers(&self, from: &str, setting: &dyn Setting) -> Vec<String> {
        let mut answers: Vec<String> = Vec::new();
        for packet in &self.list {
            let text = &packet.summary.text;
            let Some((kind, answer)) = text.split_once(", ") else { continue };
            let Some((_, ends)) = kind.split_once("DNS answer ") else { continue };
            let delivered = taken(packet).is_some_and(|namespace| setting.namespace(namespace) == from);
            // That a name has no address of the other family is nothing to tell.
            let empty = answer.starts_with("AAAA ") && answer.ends_with(": no such record");
            if !delivered || empty {
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

/// The packets told so far.
#[derive(Default)]
struct Telling {
    /// What the packets of the attempt itself have in common.
    identity: Option<String>,
    told: Vec<Told>,
    passages: Vec<Passage>,
}

/// What is remembered of a packet that was told.
struct Told {
    origin: Option<NamespaceId>,
    likeness: String,
    end: End,
    /// Where it comes from, as it was sent and as NAT made it look.
    sources: Vec<Endpoint>,
    /// The namespace that took it.
    taken: Option<NamespaceId>,
}

impl Told {
    /// Whether a packet goes back to where this one came from.
    fn is_answered_by(&self, packet: &Packet<'_>) -> bool {
        let Some(address) = packet.summary.destination else { return false };
        if is_error(&packet.summary) {
            return self.sources.iter().any(|(source, port)| is_about(&packet.summary, *source, *port));
        }
        let to = |source: &Endpoint| source.0 == address && source.1 == packet.summary.destination_port;
        self.sources.iter().any(to)
    }
}

impl Telling {
    /// What a packet is to the attempt; `None`: nothing.
    fn part(&self, packet: &Packet<'_>, goal: &Goal<'_>, setting: &dyn Setting) -> Option<Part> {
        let to = packet.summary.destination.map(|address| (address, packet.summary.destination_port));
        let own = packet.origin.is_some_and(|namespace| setting.namespace(namespace) == goal.from);
        if own && to == Some(goal.to) {
            // Another program of the same namespace may ask for the same at this moment.
            let first = self.identity.as_ref();
            return first.is_none_or(|first| *first == identity(&packet.summary)).then_some(Part::Request);
        }
        if self.told.iter().any(|other| other.is_answered_by(packet)) {
            return Some(Part::Answer);
        }
        let taken = self.told.iter().any(|other| other.taken.is_some() && other.taken == packet.origin);
        let opens = packet.summary.text.starts_with("TCP SYN ") || packet.summary.text.starts_with("UDP ");
        (taken && opens).then_some(Part::Relay)
    }

    fn tell(&mut self, packet: &Packet<'_>, part: Part, teller: &Teller<'_>) {
        let (likeness, end) = (likeness(&packet.summary), end(packet, teller));
        let same = |other: &Told| {
            other.origin == packet.origin && other.likeness == likeness && ends_alike(&other.end, &end)
        };
        if let Some(passage) = self.told.iter().position(same).and_then(|at| self.passages.get_mut(at)) {
            passage.repeated += 1;
            return;
        }
        if self.passages.len() >= PASSAGES {
            return;
        }
        if part == Part::Request {
            self.identity.get_or_insert_with(|| identity(&packet.summary));
        }
        self.told.push(Told {
            origin: packet.origin,
            likeness,
            end: end.clone(),
            sources: sources(packet),
            taken: taken(packet),
        });
        self.passages.push(Passage {
            part,
            packet: packet.trace.0,
            time: packet.events.first().map_or(Duration::ZERO, |event| teller.since(event)),
            ends: ends(packet, teller.setting),
            summary: packet.summary.text.clone(),
            repeated: 0,
            hops: teller.hops(&packet.summary, &packet.events),
            end,
        });
    }
}

/// What packets have in common that are sent again, or are pings of one target.
fn likeness(packet: &Summary) -> String {
    match packet.text.split_once(", id ") {
        Some((echo, _)) => echo.to_owned(),
        None => packet.text.clone(),
    }
}

/// Whether two packets came to the same end. The first to ask for a neighbour waits for its question, the others do not.
fn ends_alike(one: &End, other: &End) -> bool {
    match (one, other) {
        (End::Dropped(one), End::Dropped(other)) => {
            let bare = |drop: &Drop| Drop { behind: None, ..drop.clone() };
            bare(one) == bare(other)
        }
        _ => one == other,
    }
}

/// The source of a packet, and the identifier of an echo request.
fn identity(packet: &Summary) -> String {
    let echo = packet.text.split_once(", id ").and_then(|(_, rest)| rest.split(',').next());
    format!("{:?} {:?} {echo:?}", packet.source, packet.source_port)
}

/// Whether an ICMP error is about a packet from this source.
fn is_about(error: &Summary, source: IpAddr, port: Option<u16>) -> bool {
    let about = error.text.split_once("about ").and_then(|(_, quoted)| quoted.split_once(' '));
    let from = endpoint(source, port);
    about.and_then(|(_, ends)| ends.split(" → ").next()).is_some_and(|quoted| quoted == from)
}

fn taken(packet: &Packet<'_>) -> Option<NamespaceId> {
    packet.events.iter().find_map(|event| match event.kind {
        EventKind::Delivered { namespace, .. } => Some(namespace),
        _ => None,
    })
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
    let reason = |event: &Event| match event.kind {
        EventKind::Dropped { reason, .. } => Some(reason),
        _ => None,
    };
    let aside = |reason: DropReason| matches!(reason, DropReason::OtherHost | DropReason::NotForUs);
    let delivered = packet.events.iter().find_map(|event| match event.kind {
        EventKind::Delivered { namespace, .. } => Some(namespace),
        _ => None,
    });
    // The socket was found, and had no room.
    let full = packet.events.iter().find(|event| reason(event) == Some(DropReason::ReceiveBufferFull));
    let dropped = match (full, delivered) {
        (Some(full), _) => Some(full),
        (None, Some(namespace)) => {
            return End::Delivered { place: teller.setting.namespace(namespace) };
        }
        (None, None) => {
            let mut drops = packet.events.iter().filter(|event| reason(event).is_some());
            let last = drops.clone().next_back();
            drops.find(|event| reason(event).is_some_and(|reason| !aside(reason))).or(last)
        }
    };
    let drop = dropped.and_then(|event| drop_of(event, &packet.events, &packet.summary, teller));
    drop.map_or(End::Unfinished, End::Dropped)
}

fn ends(packet: &Packet<'_>, setting: &dyn Setting) -> (String, String) {
    let origin = packet.origin.map(|namespace| setting.namespace(namespace)).unwrap_or_default();
    let to = match packet.summary.destination {
        Some(address) if address.is_loopback() => origin.clone(),
        Some(address) => setting.address_owner(address).unwrap_or_else(|| address.to_string()),
        None => "?".to_owned(),
    };
    (origin, to)
}

fn is_dns(packet: &Summary) -> bool {
    packet.source_port == Some(DNS_PORT)
        || packet.destination_port == Some(DNS_PORT)
        || packet.text.starts_with("DNS ")
}
