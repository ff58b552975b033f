//! What verbose tells of an event: one line for every hop.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::super::Naming;
use super::super::rules::Rules;
use super::super::summary::{count, endpoint};
use super::super::trail::Trail;
use super::super::words::neighbour_state;
use super::{Line, Tone, dropped, duplicate_address, seconds};
use crate::engine::event::{BridgeDecision, Event, EventKind, NeighbourState, Receiver};
use crate::engine::plan::Transport;

/// Every line that verbose tells about an event.
pub(super) fn describe(event: &Event, trail: &Trail, naming: &dyn Naming) -> Vec<Line> {
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
pub(super) fn trimmed(time: Duration) -> String {
    let text = format!("{:.9}", time.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
