//! The story of a run, told as it happens.
//!
//! Verbose: each packet has a headline, who to whom and what, and one indented line for every hop with its virtual
//! time in seconds. Packets take turns; when one comes back its headline is repeated. What the segments of a packet do
//! alike at one instant, after it was cut, is told once. The first drop for each reason is explained. Normal: one line for each packet
//! that matters, when it is delivered, refused or dropped; a lookup at the embedded DNS server is one line. ARP, NDP and the segments inside open TCP connections are
//! only counted there, unless one is lost; copies of flooded frames that reach the wrong host are not mentioned.
//! Quiet: nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use linkspan_switch::mac::MacAddress;

use super::rules::Rules;
use super::summary::{Role, Summary, count, endpoint};
use super::trail::{Trail, Trails};
use super::words::{explanation, neighbour_state};
use super::{DeviceNaming, Naming};
use crate::engine::event::{BridgeDecision, DropReason, Event, EventKind, NeighbourState, Receiver};
use crate::engine::plan::Transport;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Nothing.
    Quiet,
    /// One line for each packet that matters.
    #[default]
    Normal,
    /// Every hop of every packet.
    Verbose,
}

/// Whether the story has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Palette {
    /// Text only.
    #[default]
    Plain,
    /// ANSI escape sequences (ECMA-48 SGR).
    Ansi,
}

impl Palette {
    fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Plain => return text.to_owned(),
        };
        match self {
            Palette::Plain => text.to_owned(),
            Palette::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

#[derive(Clone, Copy)]
enum Tone {
    Plain,
    Strong,
    Good,
    Bad,
    Faint,
}

/// A line of a hop before it is painted.
type Line = (Tone, String);

/// Tells a run. Events go in in order.
#[derive(Debug, Default)]
pub struct Story {
    verbosity: Verbosity,
    palette: Palette,
    trails: Trails,
    /// The packet the last line was about.
    current: Option<u64>,
    /// Reasons of drops that were explained: once is enough.
    explained: BTreeSet<DropReason>,
    folded: Folded,
    /// The last hop that was told, and whose.
    hop: (u64, String),
}

/// Packets that normal verbosity only counts.
#[derive(Debug, Default)]
struct Folded {
    resolving: usize,
    carrying: usize,
}

impl Story {
    /// A story that has not begun.
    pub fn new(verbosity: Verbosity, palette: Palette) -> Story {
        Story { verbosity, palette, ..Story::default() }
    }

    /// Tells an event: lines without line ends, perhaps none.
    pub fn push(&mut self, event: &Event, naming: &dyn Naming) -> Vec<String> {
        match self.verbosity {
            Verbosity::Quiet => Vec::new(),
            Verbosity::Normal => self.outcome(event, naming),
            Verbosity::Verbose => self.hop(event, naming),
        }
    }

    /// What is left to tell at the end.
    pub fn finish(&mut self) -> Vec<String> {
        self.folded.take().map(|text| self.palette.paint(Tone::Faint, &text)).into_iter().collect()
    }

    fn hop(&mut self, event: &Event, naming: &dyn Naming) -> Vec<String> {
        let palette = self.palette;
        let trail = self.trails.follow(event, naming);
        let mut lines = Vec::new();
        // Trace 0 belongs to no packet.
        let id = event.trace.0;
        if id != 0 && (self.current != Some(id) || !trail.told) {
            let continued = if trail.told { " (continued)" } else { "" };
            let headline = match &trail.first {
                Some(first) => {
                    trail.told = true;
                    format!("#{id}  {}{continued}", headline(first, naming))
                }
                None => format!("#{id}"),
            };
            if trail.told || self.current != Some(id) {
                lines.push(palette.paint(Tone::Strong, &headline));
            }
        }
        self.current = Some(id);
        let time = seconds(event.time);
        for (tone, text) in describe(event, trail, naming) {
            let line = format!("  {time}  {}", palette.paint(tone, &text));
            let again = id != 0 && lines.is_empty() && self.hop == (id, line.clone());
            if !again {
                self.hop = (id, line.clone());
                lines.push(line);
            }
        }
        if let EventKind::Dropped { reason, .. } = &event.kind
            && self.explained.insert(*reason)
        {
            lines.push(format!("  {time}  {}", palette.paint(Tone::Faint, explanation(*reason))));
        }
        lines
    }

    fn outcome(&mut self, event: &Event, naming: &dyn Naming) -> Vec<String> {
        let trail = self.trails.follow(event, naming);
        if let (false, Some(first)) = (trail.told, &trail.first) {
            match first.role {
                Role::Resolves => self.folded.resolving += 1,
                Role::Carries => self.folded.carrying += 1,
                Role::Opens | Role::Ends | Role::Message => {}
            }
            trail.told = true;
        }
        let Some((tone, text)) = end(event, trail, naming) else { return Vec::new() };
        let mut lines = self.finish();
        lines.push(format!("{}  {}", seconds(event.time), self.palette.paint(tone, &text)));
        lines
    }
}

impl Folded {
    fn take(&mut self) -> Option<String> {
        let Folded { resolving, carrying } = std::mem::take(self);
        let mut parts = Vec::new();
        if resolving > 0 {
            parts.push(count(resolving, "ARP or discovery packet"));
        }
        if carrying > 0 {
            parts.push(format!("{} inside open connections", count(carrying, "TCP segment")));
        }
        (!parts.is_empty()).then(|| format!("            … {}", parts.join(", ")))
    }
}

/// `web → db  TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432`.
fn headline(summary: &Summary, naming: &dyn Naming) -> String {
    match (summary.source, summary.destination) {
        (Some(source), Some(destination)) => {
            format!("{} → {}  {}", who(source, naming), who(destination, naming), summary.text)
        }
        _ => summary.text.clone(),
    }
}

fn who(address: IpAddr, naming: &dyn Naming) -> String {
    naming.address_owner(address).unwrap_or_else(|| address.to_string())
}

/// Virtual time in seconds, as wide as runs of a quarter of an hour need.
fn seconds(time: Duration) -> String {
    format!("{:>10.6}", time.as_secs_f64())
}

/// What ends a packet's way in normal verbosity, if it is worth a line.
/// Docker's embedded DNS server, at 127.0.0.11 in every container on a user-defined network.
const EMBEDDED_DNS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

fn is_lookup(packet: &Summary) -> bool {
    [packet.source, packet.destination].contains(&Some(EMBEDDED_DNS)) && packet.text.starts_with("DNS ")
}

/// A question to the embedded DNS server and its answer are one line, told when the answer is there; that a name has no
/// address of the other family is nothing to tell.
fn looked_up(packet: &Summary, asker: &str) -> Option<Line> {
    let (kind, answer) = packet.text.split_once(", ")?;
    let told = kind.starts_with("DNS answer")
        && !(answer.starts_with("AAAA ") && answer.ends_with(": no such record"));
    told.then(|| (Tone::Good, format!("{asker} asks {EMBEDDED_DNS} for {answer}")))
}

fn end(event: &Event, trail: &Trail, naming: &dyn Naming) -> Option<Line> {
    let told = |first: &Summary| {
        let mut text = headline(first, naming);
        for rewriting in &trail.rewritings {
            text.push_str(&format!(", {rewriting}"));
        }
        text
    };
    match &event.kind {
        EventKind::Delivered { namespace, .. } => {
            let first = trail.first.as_ref()?;
            match first.role {
                Role::Opens | Role::Ends | Role::Message => {}
                Role::Carries | Role::Resolves => return None,
            }
            let name = naming.namespace(*namespace);
            if is_lookup(first) {
                return looked_up(first, &name);
            }
            let expected = first.destination.map(|d| who(d, naming)) == Some(name.clone());
            let place = if expected { String::new() } else { format!(" in {name}") };
            Some((Tone::Good, format!("{}: delivered{place}", told(first))))
        }
        EventKind::Dropped { reason: DropReason::OtherHost | DropReason::NotForUs, .. } => None,
        EventKind::Dropped { reason, .. } => {
            let first = trail.first.as_ref();
            if first.is_some_and(|first| first.role == Role::Resolves) {
                return None;
            }
            let what = first.map_or_else(|| "a packet".to_owned(), told);
            Some((Tone::Bad, format!("{what}: {}", dropped(event, *reason, trail, naming))))
        }
        EventKind::Neighbour { device, address, state: NeighbourState::Failed, .. } => {
            let device = naming.device(*device);
            Some((Tone::Bad, format!("nobody on {device} answers for {address}")))
        }
        EventKind::DuplicateAddress { device, address, mac } => {
            Some((Tone::Bad, duplicate_address(&naming.device(*device), *address, *mac)))
        }
        EventKind::SocketError { namespace, errno, .. } => {
            Some((Tone::Bad, format!("a program in {} sees: {errno}", naming.namespace(*namespace))))
        }
        EventKind::Sent { .. }
        | EventKind::Received { .. }
        | EventKind::Transmitted { .. }
        | EventKind::Bridged { .. }
        | EventKind::Filtered { .. }
        | EventKind::Routed { .. }
        | EventKind::Neighbour { .. }
        | EventKind::Fragmented { .. }
        | EventKind::Reassembled { .. }
        | EventKind::Queued { .. }
        | EventKind::Applied { .. }
        | EventKind::Undone { .. } => None,
    }
}

/// `eth0 of db may not use fe80::1: somebody else has it (02:00:00:00:00:01)`.
fn duplicate_address(device: &DeviceNaming, address: Ipv6Addr, mac: Option<MacAddress>) -> String {
    let holder = mac.map(|mac| format!(" ({mac})")).unwrap_or_default();
    format!("{device} may not use {address}: somebody else has it{holder}")
}

/// `refused at eth0 of db: nothing listens on the port`, and the rule behind it.
fn dropped(event: &Event, reason: DropReason, trail: &Trail, naming: &dyn Naming) -> String {
    let verb = match reason {
        DropReason::Rejected => "rejected",
        DropReason::NoSocket => "refused",
        _ => "dropped",
    };
    let place = match &event.kind {
        EventKind::Dropped { device: Some(device), .. } => format!(" at {}", naming.device(*device)),
        EventKind::Dropped { namespace: Some(namespace), .. } => {
            format!(" in {}", naming.namespace(*namespace))
        }
        _ => String::new(),
    };
    match trail.cause(reason) {
        Some(cause) => format!("{verb}{place} by {cause}"),
        None => format!("{verb}{place}: {}", reason.text()),
    }
}

/// Every line that verbose tells about an event.
fn describe(event: &Event, trail: &Trail, naming: &dyn Naming) -> Vec<Line> {
    let plain = |text: String| vec![(Tone::Plain, text)];
    match &event.kind {
        EventKind::Sent { namespace, .. } => plain(format!("{} sends it", naming.namespace(*namespace))),
        EventKind::Received { device, .. } => plain(format!("arrives at {}", naming.device(*device))),
        EventKind::Transmitted { device, .. } => plain(format!("leaves by {}", naming.device(*device))),
        EventKind::Bridged { bridge, ingress, decision, learned } => {
            let bridge = naming.device(*bridge);
            let mut lines = Vec::new();
            if let (Some(mac), Some(ingress)) = (learned, ingress) {
                let port = naming.device(*ingress).name;
                lines.push((Tone::Plain, format!("bridge {bridge} learns that {mac} is behind {port}")));
            }
            lines.push((Tone::Plain, format!("bridge {bridge}: {}", bridged(*decision, trail, naming))));
            lines
        }
        EventKind::Filtered { namespace, hook, steps, accepted, .. } => {
            let rules = Rules { namespace: *namespace, family: trail.family(), naming };
            let place = format!("{} of {}", hook.chain_name(), naming.namespace(*namespace));
            let mut lines: Vec<Line> = rules
                .steps(steps)
                .into_iter()
                .map(|step| (Tone::Plain, format!("{place}: {step}")))
                .collect();
            match (lines.is_empty(), accepted) {
                (true, true) => lines.push((Tone::Plain, format!("{place}: nothing objects"))),
                (_, false) => lines.push((Tone::Bad, format!("{place}: the packet goes no further"))),
                (false, true) => {}
            }
            lines
        }
        EventKind::Routed { namespace, destination, gateway, device, prefix, forwarded } => {
            let verb = if *forwarded { "forwards" } else { "routes" };
            let route = route(*destination, *prefix);
            let device = naming.device(*device).name;
            let via = match gateway {
                Some(gateway) => format!("to gateway {gateway} by {device}"),
                None => format!("by {device}, where it is a neighbour"),
            };
            let namespace = naming.namespace(*namespace);
            plain(format!("{namespace} {verb} {destination} {via} (route {route})"))
        }
        EventKind::Neighbour { device, address, mac, state } => {
            let device = naming.device(*device);
            let tone = if *state == NeighbourState::Failed { Tone::Bad } else { Tone::Plain };
            let at = mac.map(|mac| format!(" at {mac}")).unwrap_or_default();
            vec![(tone, format!("neighbour {address} on {device}{at}: {}", neighbour_state(*state)))]
        }
        EventKind::DuplicateAddress { device, address, mac } => {
            vec![(Tone::Bad, duplicate_address(&naming.device(*device), *address, *mac))]
        }
        EventKind::Delivered { namespace, receiver, source, source_port, destination_port } => {
            let namespace = naming.namespace(*namespace);
            let source = endpoint(*source, (*source_port != 0).then_some(*source_port));
            let taker = match receiver {
                Receiver::Socket(_, transport) => {
                    let transport = match transport {
                        Transport::Tcp => "TCP",
                        Transport::Udp => "UDP",
                    };
                    format!("a {transport} socket of {namespace}, port {destination_port}")
                }
                Receiver::Raw(_) => format!("a raw socket of {namespace}"),
                Receiver::Stack => format!("{namespace} itself"),
            };
            vec![(Tone::Good, format!("delivered to {taker}, from {source}"))]
        }
        EventKind::SocketError { namespace, errno, .. } => {
            vec![(Tone::Bad, format!("a program in {} sees: {errno}", naming.namespace(*namespace)))]
        }
        EventKind::Fragmented { namespace, fragments, mtu } => {
            let pieces = count(*fragments, "fragment");
            plain(format!("{} cuts it into {pieces} for an MTU of {mtu}", naming.namespace(*namespace)))
        }
        EventKind::Reassembled { namespace, length } => {
            let length = count(*length, "byte");
            plain(format!("{} puts the fragments together: {length}", naming.namespace(*namespace)))
        }
        EventKind::Queued { arrival, .. } => {
            let travel = arrival.saturating_sub(event.time);
            let at = seconds(*arrival);
            plain(format!("on the link for {} s, arrives at {} s", trimmed(travel), at.trim_start()))
        }
        EventKind::Dropped { reason, .. } => vec![(Tone::Bad, dropped(event, *reason, trail, naming))],
        EventKind::Applied { owner, operations } => {
            plain(format!("{}: {} applied", naming.owner(*owner), count(*operations, "operation")))
        }
        EventKind::Undone { owner, connections } => {
            let connections = count(*connections, "connection");
            plain(format!("{}: everything undone, {connections} flushed", naming.owner(*owner)))
        }
    }
}

fn bridged(decision: BridgeDecision, trail: &Trail, naming: &dyn Naming) -> String {
    let destination = trail.destination_mac;
    match decision {
        BridgeDecision::Forward(port) => {
            let port = naming.device(port).name;
            match destination {
                Some(mac) => format!("{mac} is known behind {port}"),
                None => format!("forwards it to {port}"),
            }
        }
        BridgeDecision::Local => "for the bridge's own host".to_owned(),
        BridgeDecision::Flood { ports, local } => {
            let why = match destination {
                Some(mac) if mac.is_broadcast() => "broadcast".to_owned(),
                Some(mac) if mac.is_multicast() => "multicast".to_owned(),
                Some(mac) => format!("{mac} is not in the FDB"),
                None => "unknown destination".to_owned(),
            };
            let own = if local { " and to its own host" } else { "" };
            format!("{why}, flooded to {}{own}", count(ports, "port"))
        }
    }
}

/// The prefix of the route that covers a destination.
fn route(destination: IpAddr, prefix: u8) -> String {
    match IpNet::new(destination, prefix) {
        Ok(net) if prefix == 0 => format!("default, {}", net.trunc()),
        Ok(net) => net.trunc().to_string(),
        Err(_) => format!("{destination}/{prefix}"),
    }
}

/// Seconds without zeros at the end.
fn trimmed(time: Duration) -> String {
    let text = format!("{:.9}", time.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::engine::errno::Errno;
    use crate::engine::id::{LinkId, SocketId};
    use crate::engine::plan::Owner;
    use bytes::Bytes;
    use linkspan_nat::nat::Manipulation;
    use linkspan_nat::netfilter::HookStep;
    use linkspan_nat::ruleset::Hook;
    use linkspan_nat::tuple::Tuple;

    fn syn() -> Vec<u8> {
        tcp_packet([172, 18, 0, 2], 40000, [172, 18, 0, 3], 5432, "S", b"")
    }

    fn delivered(micros: u64, trace: u64) -> Event {
        let kind = EventKind::Delivered {
            namespace: DB,
            receiver: Receiver::Socket(SocketId(0), Transport::Tcp),
            source: [172, 18, 0, 2].into(),
            source_port: 40000,
            destination_port: 5432,
        };
        event(micros, trace, kind)
    }

    fn tell(verbosity: Verbosity, events: &[Event]) -> String {
        let mut story = Story::new(verbosity, Palette::Plain);
        let mut lines: Vec<String> = events.iter().flat_map(|e| story.push(e, &Names)).collect();
        lines.extend(story.finish());
        lines.join("\n")
    }

    fn refused() -> Vec<Event> {
        let mut events = crossing(2, &syn());
        events.truncate(5);
        let steps = vec![matched("FORWARD", 1, 1), matched("DOCKER-ISOLATION-STAGE-2", 3, 7)];
        let filtered = EventKind::Filtered {
            namespace: HOST,
            hook: Hook::Forward,
            ingress: Some(DOCKER0),
            egress: Some(DOCKER0),
            steps,
            accepted: false,
        };
        events.push(event(20, 2, filtered));
        let reason = DropReason::Filtered;
        events.push(event(
            20,
            2,
            EventKind::Dropped { namespace: Some(HOST), device: Some(DOCKER0), reason },
        ));
        events
    }

    #[test]
    fn verbose_tells_every_hop() {
        let mut events = crossing(1, &syn());
        events.push(delivered(9, 1));
        insta::assert_snapshot!(tell(Verbosity::Verbose, &events), @r#"
        #1  web → db  TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432
            0.000000  web sends it
            0.000001  web routes 172.18.0.3 by eth0, where it is a neighbour (route 172.18.0.0/16)
            0.000002  leaves by eth0 of web
            0.000003  arrives at vethweb of host
            0.000004  bridge docker0 of host: 02:42:ac:12:00:03 is known behind vethdb
            0.000005  leaves by vethdb of host
            0.000006  arrives at eth0 of db
            0.000009  delivered to a TCP socket of db, port 5432, from 172.18.0.2:40000
        "#);
    }

    #[test]
    fn segments_of_one_packet_are_told_once() {
        let mut events = crossing(1, &syn());
        let is_arrival = |event: &&Event| matches!(event.kind, EventKind::Received { device: VETH_WEB, .. });
        let arrival = events.iter().position(|event| is_arrival(&event)).unwrap();
        events.truncate(arrival + 1);
        let segment = events[arrival].clone();
        let later = Event { time: segment.time + Duration::from_micros(1), ..segment.clone() };
        events.extend([segment.clone(), segment, later]);
        let told = tell(Verbosity::Verbose, &events);
        assert_eq!(told.matches("arrives at").count(), 2, "{told}");
    }

    #[test]
    fn a_drop_names_its_rule() {
        insta::assert_snapshot!(tell(Verbosity::Normal, &refused()), @"  0.000020  web → db  TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432: dropped at docker0 of host by rule filter DOCKER-ISOLATION-STAGE-2 3 -o docker0 -j DROP");
        insta::assert_snapshot!(tell(Verbosity::Verbose, &refused()[4..]), @r#"
        #2
            0.000004  bridge docker0 of host: forwards it to vethdb
            0.000020  FORWARD of host: rule filter FORWARD 1
            0.000020  FORWARD of host: rule filter DOCKER-ISOLATION-STAGE-2 3 -o docker0 -j DROP
            0.000020  FORWARD of host: the packet goes no further
            0.000020  dropped at docker0 of host by rule filter DOCKER-ISOLATION-STAGE-2 3 -o docker0 -j DROP
            0.000020  The sender gets no answer and waits until it gives up.
        "#);
    }

    #[test]
    fn normal_folds_what_keeps_the_network_going() {
        let arp = Bytes::from(arp_request());
        let ack = tcp_packet([172, 18, 0, 2], 40000, [172, 18, 0, 3], 5432, "A", b"");
        let mut events = vec![event(0, 1, EventKind::Transmitted { device: WEB_ETH0, frame: arp })];
        events.extend(crossing(2, &syn()));
        events.push(delivered(10, 2));
        events.extend(crossing(3, &ack));
        events.push(delivered(20, 3));
        events.extend(crossing(4, &ack));
        let lost =
            EventKind::Dropped { namespace: None, device: Some(DB_ETH0), reason: DropReason::LinkLoss };
        events.push(event(30, 4, lost));
        let failed = EventKind::Neighbour {
            device: WEB_ETH0,
            address: [172, 18, 0, 9].into(),
            mac: None,
            state: NeighbourState::Failed,
        };
        events.push(event(3_000_000, 5, failed));
        let error =
            EventKind::SocketError { namespace: WEB, socket: SocketId(1), errno: Errno::HostUnreachable };
        events.push(event(3_000_000, 5, error));
        insta::assert_snapshot!(tell(Verbosity::Normal, &events), @r#"
                  … 1 ARP or discovery packet
        0.000010  web → db  TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432: delivered
                  … 2 TCP segments inside open connections
        0.000030  web → db  TCP ACK 172.18.0.2:40000 → 172.18.0.3:5432: dropped at eth0 of db: lost on the link
        3.000000  nobody on eth0 of web answers for 172.18.0.9
        3.000000  a program in web sees: No route to host
        "#);
        assert_eq!(tell(Verbosity::Quiet, &events), "");
    }

    #[test]
    fn translations_are_told_before_and_after() {
        let before = Tuple {
            source: [172, 18, 0, 2].into(),
            destination: [10, 0, 0, 1].into(),
            protocol: 6,
            source_port: 40000,
            destination_port: 8080,
        };
        let after = Tuple { destination: [172, 18, 0, 3].into(), destination_port: 80, ..before };
        let packet = tcp_packet([172, 18, 0, 2], 40000, [10, 0, 0, 1], 8080, "S", b"");
        let rewritten = HookStep::Rewritten {
            hook: Hook::Prerouting,
            manipulation: Manipulation::Destination,
            before,
            after,
        };
        let filtered = EventKind::Filtered {
            namespace: HOST,
            hook: Hook::Prerouting,
            ingress: Some(DOCKER0),
            egress: None,
            steps: vec![rewritten],
            accepted: true,
        };
        let events = [
            event(0, 1, EventKind::Sent { namespace: WEB, packet: packet.into() }),
            event(1, 1, filtered),
            delivered(2, 1),
        ];
        insta::assert_snapshot!(tell(Verbosity::Normal, &events), @"  0.000002  web → 10.0.0.1  TCP SYN 172.18.0.2:40000 → 10.0.0.1:8080, destination 10.0.0.1:8080 becomes 172.18.0.3:80: delivered in db");
        insta::assert_snapshot!(tell(Verbosity::Verbose, &events[1..2]), @r#"
        #1
            0.000001  PREROUTING of host: destination 10.0.0.1:8080 becomes 172.18.0.3:80
        "#);
    }

    #[test]
    fn everything_else_has_words_too() {
        let mac = Some(linkspan_switch::mac::MacAddress([2, 0x42, 0xac, 0x12, 0, 3]));
        let address = IpAddr::from([172, 18, 0, 3]);
        let state = NeighbourState::Reachable;
        let flood = BridgeDecision::Flood { ports: 2, local: true };
        let kinds = vec![
            EventKind::Received { device: VETH_WEB, frame: Bytes::from(arp_request()) },
            EventKind::Bridged { bridge: DOCKER0, ingress: Some(VETH_WEB), decision: flood, learned: mac },
            EventKind::Neighbour { device: WEB_ETH0, address, mac, state },
            EventKind::Routed {
                namespace: HOST,
                destination: [10, 9, 8, 7].into(),
                gateway: Some([10, 0, 0, 1].into()),
                device: DOCKER0,
                prefix: 0,
                forwarded: true,
            },
            EventKind::Fragmented { namespace: HOST, fragments: 3, mtu: 1400 },
            EventKind::Queued { link: LinkId(0), arrival: Duration::from_micros(25_000) },
            EventKind::Reassembled { namespace: DB, length: 3000 },
            EventKind::Dropped { namespace: Some(DB), device: None, reason: DropReason::NoSocket },
        ];
        let mut events: Vec<Event> = kinds.into_iter().map(|kind| event(5, 1, kind)).collect();
        events.push(event(6, 0, EventKind::Applied { owner: Owner::Network(1), operations: 12 }));
        events.push(event(7, 0, EventKind::Undone { owner: Owner::Network(1), connections: 1 }));
        events.push(event(8, 1, EventKind::Received { device: WEB_LO, frame: syn().into() }));
        insta::assert_snapshot!(tell(Verbosity::Verbose, &events), @r#"
        #1  web → db  ARP who has 172.18.0.3? tell 172.18.0.2
            0.000005  arrives at vethweb of host
            0.000005  bridge docker0 of host learns that 02:42:ac:12:00:03 is behind vethweb
            0.000005  bridge docker0 of host: broadcast, flooded to 2 ports and to its own host
            0.000005  neighbour 172.18.0.3 on eth0 of web at 02:42:ac:12:00:03: confirmed
            0.000005  host forwards 10.9.8.7 to gateway 10.0.0.1 by docker0 (route default, 0.0.0.0/0)
            0.000005  host cuts it into 3 fragments for an MTU of 1400
            0.000005  on the link for 0.024995 s, arrives at 0.025000 s
            0.000005  db puts the fragments together: 3000 bytes
            0.000005  refused in db: nothing listens on the port
            0.000005  No program has the port open at this address; the sender is told.
            0.000006  network 1: 12 operations applied
            0.000007  network 1: everything undone, 1 connection flushed
        #1  web → db  ARP who has 172.18.0.3? tell 172.18.0.2 (continued)
            0.000008  arrives at lo of web
        "#);
    }

    #[test]
    fn colours_wrap_the_same_words() {
        let mut plain = Story::new(Verbosity::Verbose, Palette::Plain);
        let mut ansi = Story::new(Verbosity::Verbose, Palette::Ansi);
        for event in refused() {
            let coloured = ansi.push(&event, &Names).join("\n");
            let stripped = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m"]
                .iter()
                .fold(coloured, |text, code| text.replace(code, ""));
            assert_eq!(stripped, plain.push(&event, &Names).join("\n"));
        }
    }
}
