//! From the events of one packet to its hops, in the words of Docker's documentation and of Linux.
//!
//! What a reader need not know to follow the packet is left out: policies that accept, devices that only hand a frame
//! to their bridge, the ports of a LAN's switch, copies of a flooded frame that reach others. `linkspan explain
//! --verbose` tells every event besides.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use linkspan_nat::evaluate::{RuleRef, TraceStep};
use linkspan_nat::netfilter::HookStep;
use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::{Hook, Policy};
use linkspan_switch::mac::MacAddress;

use super::{Drop, DropReason, Hop, Layer, Rule, Setting, is_error};
use crate::engine::event::{BridgeDecision, Event, EventKind, NeighbourState, Receiver};
use crate::engine::id::{DeviceId, NamespaceId};
use crate::engine::plan::Transport;
use crate::engine::view::InterfaceKind;
use crate::observe::rules::{Rules, rewriting, state};
use crate::observe::summary::{self, Role as PacketRole, Summary, count, endpoint};
use crate::world::names::Role;

/// Tells packets of one attempt.
pub(super) struct Teller<'a> {
    /// Every event of the attempt: what became of an ARP request is told by other packets.
    pub(super) events: &'a [Event],
    /// When the attempt began.
    pub(super) began: Duration,
    pub(super) setting: &'a dyn Setting,
}

/// What is known while a packet's events are read.
#[derive(Default)]
struct Way {
    /// Where the newest route leads: the next hop and the device.
    next_hop: Option<(IpAddr, DeviceId)>,
    /// The neighbour table had nothing and told so.
    asked: bool,
    /// Whom the newest frame is for.
    destination: Option<MacAddress>,
    /// The newest frame was flooded: its copies leave by several ports.
    flooded: bool,
    /// The newest frame crosses a bridge of the host without being routed.
    bridged: bool,
    hops: Vec<Hop>,
}

impl Teller<'_> {
    /// Virtual time since the attempt began.
    pub(super) fn since(&self, event: &Event) -> Duration {
        event.time.saturating_sub(self.began)
    }

    /// The hops of a packet.
    pub(super) fn hops(&self, packet: &Summary, events: &[&Event]) -> Vec<Hop> {
        let mut way = Way::default();
        let others = others(events);
        for (at, event) in events.iter().enumerate() {
            if !others.contains(&at) {
                self.event(event, packet, &mut way);
            }
        }
        merged(way.hops)
    }

    fn event(&self, event: &Event, packet: &Summary, way: &mut Way) {
        match &event.kind {
            EventKind::Sent { namespace, .. } => {
                let (layer, text) = sending(packet);
                self.at(way, event, layer, *namespace, text);
            }
            EventKind::Routed { namespace, destination, gateway, device, prefix, forwarded } => {
                way.next_hop = Some((gateway.unwrap_or(*destination), *device));
                (way.asked, way.bridged, way.flooded) = (false, false, false);
                let router = *forwarded && self.setting.role(*namespace) == Role::Machine;
                let layer = if router { Layer::Router } else { Layer::Route };
                let text = self.route(*destination, *gateway, *device, *prefix, *forwarded);
                self.at(way, event, layer, *namespace, text);
            }
            EventKind::DuplicateAddress { .. } => {}
            EventKind::Neighbour { device, address, state, .. } => {
                self.neighbour(event, *device, *address, *state, way);
            }
            EventKind::Transmitted { device, frame } => self.transmitted(event, *device, frame, way),
            EventKind::Received { device, .. } => self.received(event, *device, way),
            EventKind::Bridged { bridge, decision, .. } => self.bridged(event, *bridge, *decision, way),
            EventKind::Filtered { namespace, hook, steps, .. } => {
                self.filtered(event, *namespace, *hook, steps, packet, way);
            }
            EventKind::Fragmented { namespace, fragments, mtu } => {
                let text = format!("cut into {} for an MTU of {mtu}", count(*fragments, "fragment"));
                self.at(way, event, Layer::Fragments, *namespace, text);
            }
            EventKind::Reassembled { namespace, length } => {
                let text = format!("put together again: {}", count(*length, "byte"));
                self.at(way, event, Layer::Fragments, *namespace, text);
            }
            EventKind::Queued { arrival, .. } => {
                let travel = arrival.saturating_sub(event.time);
                if !travel.is_zero() {
                    let place = way.hops.last().map(|hop| hop.place.clone()).unwrap_or_default();
                    let text = format!("takes {travel:?}");
                    way.hops.push(self.hop(event, Layer::Wire, place, None, text));
                }
            }
            EventKind::Delivered { namespace, receiver, source, source_port, destination_port } => {
                let source = endpoint(*source, (*source_port != 0).then_some(*source_port));
                let (layer, text) = taking(*receiver, *destination_port, &source, packet);
                self.at(way, event, layer, *namespace, text);
            }
            EventKind::SocketError { namespace, errno, .. } => {
                self.at(way, event, Layer::Application, *namespace, format!("the program sees: {errno}"));
            }
            EventKind::Dropped { namespace, device, reason } => {
                let (place, device) = place_of(*namespace, *device, self.setting);
                let text = reason.text().to_owned();
                way.hops.push(self.hop(event, Layer::Drop, place, device, text));
            }
            EventKind::Applied { .. } | EventKind::Undone { .. } => {}
        }
    }

    fn at(&self, way: &mut Way, event: &Event, layer: Layer, namespace: NamespaceId, text: String) {
        let place = self.setting.namespace(namespace);
        way.hops.push(self.hop(event, layer, place, None, text));
    }

    fn hop(&self, event: &Event, layer: Layer, place: String, device: Option<String>, text: String) -> Hop {
        Hop { time: self.since(event), layer, place, device, text, rule: None }
    }

    /// A hop at a device, in the place the device is in.
    fn on(&self, way: &mut Way, event: &Event, layer: Layer, device: DeviceId, text: String) {
        let device = self.setting.device(device);
        let place = readable(&device.namespace);
        way.hops.push(self.hop(event, layer, place, Some(device.name), text));
    }

    fn route(
        &self,
        destination: IpAddr,
        gateway: Option<IpAddr>,
        device: DeviceId,
        prefix: u8,
        forwarded: bool,
    ) -> String {
        let verb = if forwarded { "forwards: " } else { "" };
        let device = self.setting.device(device);
        if device.is_loopback() {
            return format!("{verb}{destination} is this machine's own, by lo");
        }
        let route = match IpNet::new(destination, prefix) {
            Ok(_) if prefix == 0 => "default".to_owned(),
            Ok(net) => net.trunc().to_string(),
            Err(_) => format!("{destination}/{prefix}"),
        };
        match gateway {
            Some(gateway) => {
                format!("{verb}{destination} by gateway {gateway}, out of {} (route {route})", device.name)
            }
            None => format!("{verb}{destination} is on the link of {} (route {route})", device.name),
        }
    }

    /// The neighbour table had to ask: the answer is in the events of other packets.
    fn neighbour(
        &self,
        event: &Event,
        device: DeviceId,
        address: IpAddr,
        state: NeighbourState,
        way: &mut Way,
    ) {
        let question = if address.is_ipv4() { "ARP" } else { "neighbour discovery" };
        let text = match state {
            NeighbourState::Incomplete => match self.answer(event, device, address) {
                Some(mac) => format!("{address} is unknown; {question} asks on the link: it is at {mac}"),
                None => {
                    format!("{address} is unknown; {question} asks on the link: {}", self.unanswered(address))
                }
            },
            NeighbourState::Failed if way.asked => return,
            NeighbourState::Failed => format!("{address} does not answer {question}"),
            // Known: the frame that follows says where.
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent => return,
        };
        way.asked = true;
        self.on(way, event, Layer::Neighbour, device, text);
    }

    fn answer(&self, question: &Event, device: DeviceId, address: IpAddr) -> Option<MacAddress> {
        let later = self.events.iter().filter(|event| event.sequence > question.sequence);
        later
            .filter_map(|event| match &event.kind {
                EventKind::Neighbour { device: on, address: of, mac, state }
                    if *on == device && *of == address && *state != NeighbourState::Incomplete =>
                {
                    Some(*mac)
                }
                _ => None,
            })
            .next()?
    }

    fn unanswered(&self, address: IpAddr) -> String {
        match self.lost(address) {
            Some((what, drop)) => {
                let device = drop.device.map(|device| format!("{device} of ")).unwrap_or_default();
                format!("{what} is dropped at {device}{}, {}", drop.place, drop.reason.text())
            }
            None => "nobody answers".to_owned(),
        }
    }

    /// The question for a neighbour, or its answer, where one was dropped.
    pub(super) fn lost(&self, address: IpAddr) -> Option<(&'static str, Drop)> {
        self.events.iter().find_map(|event| {
            let EventKind::Dropped { namespace, device, reason } = &event.kind else { return None };
            if matches!(reason, DropReason::OtherHost | DropReason::NotForUs) {
                return None;
            }
            let mut frames = self.events.iter().filter(|other| other.trace == event.trace);
            let frame = frames.find_map(|other| match &other.kind {
                EventKind::Transmitted { frame, .. } => Some(summary::frame(frame)),
                _ => None,
            })?;
            let what = match frame.role {
                PacketRole::Resolves if frame.source == Some(address) => "the answer",
                PacketRole::Resolves if frame.text.contains(&address.to_string()) => "the question",
                _ => return None,
            };
            let (place, device) = place_of(*namespace, *device, self.setting);
            Some((what, Drop { reason: *reason, place, device, rule: None, behind: None }))
        })
    }

    fn transmitted(&self, event: &Event, device: DeviceId, frame: &[u8], way: &mut Way) {
        let destination = frame.first_chunk::<6>().map(|bytes| MacAddress(*bytes));
        way.destination = destination;
        if let (Some((next, by)), Some(mac)) = (way.next_hop, destination)
            && by == device
            && !self.setting.device(device).is_loopback()
        {
            if !way.asked && !mac.is_multicast() {
                let text = format!("{next} is known to be at {mac}");
                self.on(way, event, Layer::Neighbour, device, text);
            }
            way.next_hop = None;
        }
        let text = || match destination {
            Some(mac) => format!("sends the frame to {mac}"),
            None => "sends the frame".to_owned(),
        };
        match self.kind(device) {
            (Role::Lan, _) | (_, Some(InterfaceKind::Bridge)) => {}
            (_, Some(InterfaceKind::Loopback)) => {
                self.on(way, event, Layer::Loopback, device, "keeps the packet in the namespace".to_owned());
            }
            (Role::Container, _) => self.on(way, event, Layer::ContainerInterface, device, text()),
            (Role::Host, Some(InterfaceKind::Veth)) if way.flooded => {}
            (Role::Host, Some(InterfaceKind::Veth)) => {
                self.on(way, event, Layer::Veth, device, "hands the frame to the container".to_owned());
            }
            (Role::Host, _) => self.on(way, event, Layer::HostInterface, device, text()),
            (Role::Machine, _) => self.on(way, event, Layer::Interface, device, text()),
        }
    }

    fn received(&self, event: &Event, device: DeviceId, way: &mut Way) {
        let text = "receives the frame".to_owned();
        match self.kind(device) {
            (Role::Lan, _) | (_, Some(InterfaceKind::Bridge | InterfaceKind::Loopback)) => {}
            (Role::Container, _) => self.on(way, event, Layer::ContainerInterface, device, text),
            (Role::Host, Some(InterfaceKind::Veth)) => {
                self.on(way, event, Layer::Veth, device, "receives the frame from the container".to_owned());
            }
            (Role::Host, _) => self.on(way, event, Layer::HostInterface, device, text),
            (Role::Machine, _) => self.on(way, event, Layer::Interface, device, text),
        }
    }

    fn bridged(&self, event: &Event, bridge: DeviceId, decision: BridgeDecision, way: &mut Way) {
        let place = self.setting.device(bridge);
        let lan = self.kind(bridge).0 == Role::Lan;
        let mac = way.destination.map_or_else(|| "the address".to_owned(), |mac| mac.to_string());
        let text = match decision {
            BridgeDecision::Forward(port) => {
                let port = self.setting.device(port).name;
                if lan { "carries the frame".to_owned() } else { format!("{mac} is behind {port} (FDB)") }
            }
            BridgeDecision::Local => format!("{mac} is the bridge's own, so up into the host"),
            BridgeDecision::Flood { ports, local } => {
                let own = if local { " and to the host itself" } else { "" };
                let why = match way.destination {
                    Some(mac) if mac.is_multicast() => "for many".to_owned(),
                    _ => format!("{mac} is not in the FDB"),
                };
                format!("{why}, so out of {}{own}", count(ports, "port"))
            }
        };
        way.flooded = matches!(decision, BridgeDecision::Flood { .. });
        way.bridged = !lan && !matches!(decision, BridgeDecision::Local);
        if lan {
            let place = readable(&place.namespace);
            way.hops.push(self.hop(event, Layer::Lan, place, None, text));
            return;
        }
        let text = match self.setting.network_of(bridge) {
            Some(network) => format!("(network {network}): {text}"),
            None => format!("has it: {text}"),
        };
        way.hops.push(self.hop(event, Layer::Bridge, place.namespace, Some(place.name), text));
    }

    fn filtered(
        &self,
        event: &Event,
        namespace: NamespaceId,
        hook: Hook,
        steps: &[HookStep],
        packet: &Summary,
        way: &mut Way,
    ) {
        let place = self.setting.namespace(namespace);
        let host = self.setting.role(namespace) == Role::Host;
        for step in steps {
            let mut hop = self.hop(event, Layer::Hook(hook), place.clone(), None, String::new());
            match step {
                HookStep::Table(TraceStep::Rule { matched: false, .. })
                | HookStep::Table(TraceStep::Policy { policy: Policy::Accept, .. })
                | HookStep::Bound { .. } => continue,
                HookStep::Table(TraceStep::Rule { rule, matched: true }) => {
                    let rule = rule_of(rule, namespace, packet, self.setting);
                    hop.text = rule.to_string();
                    hop.rule = Some(rule);
                }
                HookStep::Table(TraceStep::Policy { table, hook, policy: Policy::Drop }) => {
                    let rule = policy_of(table.name(), hook.chain_name());
                    hop.text = rule.to_string();
                    hop.rule = Some(rule);
                }
                HookStep::Tracked { connection, .. } if host => {
                    hop.layer = Layer::Tracking;
                    hop.text = format!("the connection is {}", state(connection.state));
                }
                HookStep::Tracked { .. } => continue,
                HookStep::Rewritten { manipulation, before, after, .. } => {
                    hop.layer = Layer::Translation;
                    hop.text = rewriting(*manipulation, before, after);
                }
            }
            if way.bridged && hook == Hook::Forward && hop.rule.is_some() {
                way.bridged = false;
                let text = "only bridged, yet the host's rules see it (bridge-nf-call-iptables)".to_owned();
                let note = self.hop(event, Layer::Hook(hook), place.clone(), None, text);
                way.hops.push(note);
            }
            way.hops.push(hop);
        }
    }

    fn kind(&self, device: DeviceId) -> (Role, Option<InterfaceKind>) {
        (self.setting.role_of_device(device), self.setting.device_kind(device))
    }
}

/// The drop an event tells, with the rule that the hook before it named.
pub(super) fn drop_of(
    event: &Event,
    events: &[&Event],
    packet: &Summary,
    teller: &Teller<'_>,
) -> Option<Drop> {
    let EventKind::Dropped { namespace, device, reason } = &event.kind else { return None };
    let setting = teller.setting;
    let (place, device) = place_of(*namespace, *device, setting);
    let mut hooks = events.iter().rev().filter(|before| before.sequence <= event.sequence);
    let rule = match reason {
        DropReason::Filtered | DropReason::Rejected => hooks.find_map(|before| match &before.kind {
            EventKind::Filtered { namespace, steps, accepted: false, .. } => {
                refusing(*namespace, steps, packet, setting)
            }
            _ => None,
        }),
        _ => None,
    };
    let neighbour = match reason {
        DropReason::NeighbourFailed => events.iter().find_map(|before| match &before.kind {
            EventKind::Neighbour { address, .. } => Some(*address),
            _ => None,
        }),
        _ => None,
    };
    let behind = neighbour.and_then(|address| teller.lost(address)).map(|(_, drop)| Box::new(drop));
    Some(Drop { reason: *reason, place, device, rule, behind })
}

fn place_of(
    namespace: Option<NamespaceId>,
    device: Option<DeviceId>,
    setting: &dyn Setting,
) -> (String, Option<String>) {
    let device = device.map(|id| setting.device(id));
    let place = match (namespace, &device) {
        (Some(namespace), _) => setting.namespace(namespace),
        (None, Some(device)) => device.namespace.clone(),
        (None, None) => String::new(),
    };
    (readable(&place), device.map(|device| device.name))
}

/// A namespace's name for readers: the switch of a LAN has a namespace of its own.
fn readable(namespace: &str) -> String {
    match namespace.strip_prefix("lan:") {
        Some(name) => format!("LAN {name}"),
        None => namespace.to_owned(),
    }
}

/// Fragments come one after the other through the same places: told once, counted.
fn merged(hops: Vec<Hop>) -> Vec<Hop> {
    let mut all: Vec<(Hop, usize)> = Vec::new();
    for hop in hops {
        match all.last_mut() {
            Some((last, times))
                if (last.layer, &last.place, &last.device, &last.text)
                    == (hop.layer, &hop.place, &hop.device, &hop.text) =>
            {
                *times += 1;
            }
            _ => all.push((hop, 1)),
        }
    }
    let told = |(mut hop, times): (Hop, usize)| {
        if times > 1 {
            hop.text.push_str(&format!(" ({times} times)"));
        }
        hop
    };
    all.into_iter().map(told).collect()
}

fn refusing(
    namespace: NamespaceId,
    steps: &[HookStep],
    packet: &Summary,
    setting: &dyn Setting,
) -> Option<Rule> {
    steps.iter().rev().find_map(|step| match step {
        HookStep::Table(TraceStep::Rule { rule, matched: true }) => {
            Some(rule_of(rule, namespace, packet, setting))
        }
        HookStep::Table(TraceStep::Policy { table, hook, policy: Policy::Drop }) => {
            Some(policy_of(table.name(), hook.chain_name()))
        }
        HookStep::Table(_)
        | HookStep::Tracked { .. }
        | HookStep::Bound { .. }
        | HookStep::Rewritten { .. } => None,
    })
}

fn rule_of(rule: &RuleRef, namespace: NamespaceId, packet: &Summary, setting: &dyn Setting) -> Rule {
    let family = packet.family().unwrap_or(Family::Ipv4);
    let rules = Rules { namespace, family, naming: setting };
    Rule {
        table: rule.table.name().to_owned(),
        chain: rule.chain.to_string(),
        number: Some(rule.number),
        text: rules.specification(rule),
        docker: setting.rule_is_dockers(namespace, family, rule.id.0),
    }
}

fn policy_of(table: &str, chain: &str) -> Rule {
    let (table, chain) = (table.to_owned(), chain.to_owned());
    Rule { table, chain, number: None, text: "policy DROP".to_owned(), docker: false }
}

/// Where a frame was flooded: the events of its copies that reach somebody else.
fn others(events: &[&Event]) -> Vec<usize> {
    let mut aside = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let EventKind::Dropped { device: Some(device), reason: DropReason::OtherHost, .. } = &event.kind
        else {
            continue;
        };
        let received = events[..at].iter().rposition(
            |before| matches!(&before.kind, EventKind::Received { device: on, .. } if on == device),
        );
        aside.extend(received);
        aside.push(at);
    }
    // Where that is all there is, it is the end of the way and told.
    let delivered = events.iter().any(|event| matches!(event.kind, EventKind::Delivered { .. }));
    let dropped = |event: &&&Event| matches!(&event.kind, EventKind::Dropped { reason, .. } if *reason != DropReason::OtherHost);
    if delivered || events.iter().any(|event| dropped(&event)) { aside } else { Vec::new() }
}

/// What the sender of a packet does, and whether a program or a kernel does it.
fn sending(packet: &Summary) -> (Layer, String) {
    let to = match packet.destination {
        Some(address) => endpoint(address, packet.destination_port),
        None => "?".to_owned(),
    };
    let text = packet.text.as_str();
    if text.starts_with("DNS answer") {
        return (Layer::Application, "the name server answers".to_owned());
    }
    if text.starts_with("DNS ") {
        return (Layer::Application, format!("asks the name server at {to}"));
    }
    if text.contains(" echo reply ") {
        return (Layer::Kernel, "answers the echo request".to_owned());
    }
    if text.contains(" echo request ") {
        return (Layer::Application, format!("pings {to}"));
    }
    if is_error(packet) {
        return (Layer::Kernel, "tells the sender by an ICMP error".to_owned());
    }
    match packet.role {
        PacketRole::Opens if text.starts_with("TCP SYN-ACK") => {
            (Layer::Application, "accepts the connection".to_owned())
        }
        PacketRole::Opens => (Layer::Application, format!("opens a TCP connection to {to}")),
        PacketRole::Ends if text.starts_with("TCP RST") => (Layer::Kernel, "answers with a reset".to_owned()),
        PacketRole::Ends => (Layer::Application, "closes the connection".to_owned()),
        PacketRole::Carries => (Layer::Application, format!("sends inside the connection to {to}")),
        PacketRole::Message => (Layer::Application, format!("sends a datagram to {to}")),
        PacketRole::Resolves => (Layer::Kernel, "asks on the link".to_owned()),
    }
}

fn taking(receiver: Receiver, port: u16, source: &str, packet: &Summary) -> (Layer, String) {
    match receiver {
        Receiver::Socket(..) if is_error(packet) => {
            (Layer::Application, "the error reaches the program's socket".to_owned())
        }
        Receiver::Socket(_, Transport::Tcp) => {
            (Layer::Application, format!("TCP socket on port {port} takes it; it sees {source}"))
        }
        Receiver::Socket(_, Transport::Udp) => {
            (Layer::Application, format!("UDP socket on port {port} takes it; it sees {source}"))
        }
        Receiver::Raw(_) => (Layer::Application, format!("the program's raw socket takes it, from {source}")),
        Receiver::Stack if packet.text.starts_with("TCP SYN ") => {
            (Layer::Kernel, format!("a program listens on port {port}; it will see {source}"))
        }
        Receiver::Stack if is_error(packet) => (Layer::Kernel, "takes note of the error".to_owned()),
        Receiver::Stack => (Layer::Kernel, format!("takes it, from {source}")),
    }
}
