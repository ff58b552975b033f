//! Events as JSON lines (`--format json`), for programs.
//!
//! Every object has `time_ns`, `sequence`, `packet` (0 where no packet is concerned) and `event`; what else it has
//! depends on `event`. Names stand where events have ids, `null` where there is none. Fields are only ever added;
//! names and meanings stay.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::rules::Rules;
use super::trail::{Trail, Trails};
use super::words::{neighbour_name, reason_name};
use super::{Naming, summary};
use crate::engine::event::{BridgeDecision, Event, EventKind, Receiver};
use crate::engine::id::DeviceId;

/// Writes events as JSON. Events go in in order.
#[derive(Debug, Default)]
pub struct JsonLines {
    trails: Trails,
}

impl JsonLines {
    /// A writer that has seen nothing.
    pub fn new() -> JsonLines {
        JsonLines::default()
    }

    /// The line of an event, without line end.
    pub fn line(&mut self, event: &Event, naming: &dyn Naming) -> String {
        self.value(event, naming).to_string()
    }

    /// The object of an event.
    pub fn value(&mut self, event: &Event, naming: &dyn Naming) -> Value {
        let trail = self.trails.follow(event, naming);
        let (name, fields) = fields(event, trail, naming);
        let mut object = Map::new();
        object.insert("time_ns".to_owned(), json!(event.time.as_nanos() as u64));
        object.insert("sequence".to_owned(), json!(event.sequence));
        object.insert("packet".to_owned(), json!(event.trace.0));
        object.insert("event".to_owned(), json!(name));
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        Value::Object(object)
    }
}

fn fields(event: &Event, trail: &Trail, naming: &dyn Naming) -> (&'static str, Value) {
    let device = |id: DeviceId| {
        let device = naming.device(id);
        json!({ "namespace": device.namespace, "name": device.name })
    };
    let maybe = |id: Option<DeviceId>| id.map_or(Value::Null, device);
    match &event.kind {
        EventKind::Sent { namespace, packet } => {
            let summary = summary::packet(packet);
            let value = json!({
                "namespace": naming.namespace(*namespace),
                "length": packet.len(),
                "summary": summary.text,
            });
            ("sent", value)
        }
        EventKind::Received { device: id, frame } => ("received", passage(device(*id), *id, frame, naming)),
        EventKind::Transmitted { device: id, frame } => {
            ("transmitted", passage(device(*id), *id, frame, naming))
        }
        EventKind::Bridged { bridge, ingress, decision, learned } => {
            let (kind, port, ports, local) = match decision {
                BridgeDecision::Forward(port) => ("forward", Some(*port), 1, false),
                BridgeDecision::Local => ("local", None, 0, true),
                BridgeDecision::Flood { ports, local } => ("flood", None, *ports, *local),
            };
            let value = json!({
                "bridge": device(*bridge),
                "ingress": maybe(*ingress),
                "decision": kind,
                "egress": maybe(port),
                "ports": ports,
                "local": local,
                "learned": learned.map(|mac| mac.to_string()),
            });
            ("bridged", value)
        }
        EventKind::Filtered { namespace, hook, ingress, egress, steps, accepted } => {
            let rules = Rules { namespace: *namespace, family: trail.family(), naming };
            let value = json!({
                "namespace": naming.namespace(*namespace),
                "hook": hook.chain_name(),
                "ingress": maybe(*ingress),
                "egress": maybe(*egress),
                "steps": rules.steps(steps),
                "accepted": accepted,
            });
            ("filtered", value)
        }
        EventKind::Routed { namespace, destination, gateway, device: id, prefix, forwarded } => {
            let value = json!({
                "namespace": naming.namespace(*namespace),
                "destination": destination.to_string(),
                "gateway": gateway.map(|gateway| gateway.to_string()),
                "device": device(*id),
                "prefix_length": prefix,
                "forwarded": forwarded,
            });
            ("routed", value)
        }
        EventKind::Neighbour { device: id, address, mac, state } => {
            let value = json!({
                "device": device(*id),
                "address": address.to_string(),
                "mac": mac.map(|mac| mac.to_string()),
                "state": neighbour_name(*state),
            });
            ("neighbour", value)
        }
        EventKind::DuplicateAddress { device: id, address, mac } => {
            let value = json!({
                "device": device(*id),
                "address": address.to_string(),
                "mac": mac.map(|mac| mac.to_string()),
            });
            ("duplicate_address", value)
        }
        EventKind::Delivered { namespace, receiver, source, source_port, destination_port } => {
            let receiver = match receiver {
                Receiver::Socket(_, transport) => transport.to_string(),
                Receiver::Raw(_) => "raw".to_owned(),
                Receiver::Stack => "stack".to_owned(),
            };
            let value = json!({
                "namespace": naming.namespace(*namespace),
                "receiver": receiver,
                "source": source.to_string(),
                "source_port": source_port,
                "destination_port": destination_port,
            });
            ("delivered", value)
        }
        EventKind::SocketError { namespace, errno, .. } => {
            let value = json!({ "namespace": naming.namespace(*namespace), "error": errno.text() });
            ("socket_error", value)
        }
        EventKind::Fragmented { namespace, fragments, mtu } => {
            let value =
                json!({ "namespace": naming.namespace(*namespace), "fragments": fragments, "mtu": mtu });
            ("fragmented", value)
        }
        EventKind::Reassembled { namespace, length } => {
            ("reassembled", json!({ "namespace": naming.namespace(*namespace), "length": length }))
        }
        EventKind::Queued { link, arrival } => {
            ("queued", json!({ "link": link.index(), "arrival_ns": arrival.as_nanos() as u64 }))
        }
        EventKind::Dropped { namespace, device: id, reason } => {
            let value = json!({
                "namespace": namespace.map(|namespace| naming.namespace(namespace)),
                "device": maybe(*id),
                "reason": reason_name(*reason),
                "text": reason.text(),
                "cause": trail.cause(*reason),
            });
            ("dropped", value)
        }
        EventKind::Applied { owner, operations } => {
            ("applied", json!({ "owner": naming.owner(*owner), "operations": operations }))
        }
        EventKind::Undone { owner, connections } => {
            ("undone", json!({ "owner": naming.owner(*owner), "connections": connections }))
        }
    }
}

fn passage(device: Value, id: DeviceId, frame: &Bytes, naming: &dyn Naming) -> Value {
    let loopback = naming.device(id).is_loopback();
    let summary = if loopback { summary::packet(frame) } else { summary::frame(frame) };
    json!({ "device": device, "length": frame.len(), "summary": summary.text })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::engine::event::DropReason;
    use linkspan_nat::ruleset::Hook;

    #[test]
    fn lines_name_everything_and_parse_again() {
        let packet = tcp_packet([172, 18, 0, 2], 40000, [172, 18, 0, 3], 5432, "S", b"");
        let mut events = crossing(1, &packet);
        let filtered = EventKind::Filtered {
            namespace: HOST,
            hook: Hook::Forward,
            ingress: Some(DOCKER0),
            egress: None,
            steps: vec![matched("FORWARD", 2, 7)],
            accepted: false,
        };
        events.push(event(8, 1, filtered));
        let reason = DropReason::Filtered;
        events.push(event(8, 1, EventKind::Dropped { namespace: Some(HOST), device: None, reason }));
        let mut writer = JsonLines::new();
        let lines: Vec<String> = events.iter().map(|e| writer.line(e, &Names)).collect();
        for line in &lines {
            let value: Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["packet"], 1);
        }
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"time_ns":0,"sequence":0,"packet":1,"event":"sent","namespace":"web","length":40,"summary":"TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432"}
        {"time_ns":1000,"sequence":1,"packet":1,"event":"routed","namespace":"web","destination":"172.18.0.3","gateway":null,"device":{"namespace":"web","name":"eth0"},"prefix_length":16,"forwarded":false}
        {"time_ns":2000,"sequence":2,"packet":1,"event":"transmitted","device":{"namespace":"web","name":"eth0"},"length":54,"summary":"TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432"}
        {"time_ns":3000,"sequence":3,"packet":1,"event":"received","device":{"namespace":"host","name":"vethweb"},"length":54,"summary":"TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432"}
        {"time_ns":4000,"sequence":4,"packet":1,"event":"bridged","bridge":{"namespace":"host","name":"docker0"},"ingress":{"namespace":"host","name":"vethweb"},"decision":"forward","egress":{"namespace":"host","name":"vethdb"},"ports":1,"local":false,"learned":null}
        {"time_ns":5000,"sequence":5,"packet":1,"event":"transmitted","device":{"namespace":"host","name":"vethdb"},"length":54,"summary":"TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432"}
        {"time_ns":6000,"sequence":6,"packet":1,"event":"received","device":{"namespace":"db","name":"eth0"},"length":54,"summary":"TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432"}
        {"time_ns":8000,"sequence":8,"packet":1,"event":"filtered","namespace":"host","hook":"FORWARD","ingress":{"namespace":"host","name":"docker0"},"egress":null,"steps":["rule filter FORWARD 2 -o docker0 -j DROP"],"accepted":false}
        {"time_ns":8000,"sequence":8,"packet":1,"event":"dropped","namespace":"host","device":null,"reason":"filtered","text":"dropped by a filter rule or policy","cause":"rule filter FORWARD 2 -o docker0 -j DROP"}
        "#);
    }
}
