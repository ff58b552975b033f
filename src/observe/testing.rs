//! Packets, events and names for the tests of this room.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use domain::base::iana::Rtype;
use domain::base::{MessageBuilder, Name, Ttl};
use domain::rdata::A;
use etherparse::PacketBuilder;
use linkspan_nat::evaluate::{RuleRef, TraceStep};
use linkspan_nat::netfilter::HookStep;
use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::{RuleId, Table};
use linkspan_switch::frame::TraceId;

use super::{DeviceNaming, Naming};
use crate::engine::event::{Event, EventKind};
use crate::engine::id::{DeviceId, NamespaceId};

/// Names of a small world: host (0) with docker0 and two veths, web (1), db (2).
pub(super) struct Names;

pub(super) const HOST: NamespaceId = NamespaceId(0);
pub(super) const WEB: NamespaceId = NamespaceId(1);
pub(super) const DB: NamespaceId = NamespaceId(2);
pub(super) const DOCKER0: DeviceId = DeviceId(0);
pub(super) const VETH_WEB: DeviceId = DeviceId(1);
pub(super) const VETH_DB: DeviceId = DeviceId(2);
pub(super) const WEB_ETH0: DeviceId = DeviceId(3);
pub(super) const DB_ETH0: DeviceId = DeviceId(4);
pub(super) const WEB_LO: DeviceId = DeviceId(5);

impl Naming for Names {
    fn namespace(&self, id: NamespaceId) -> String {
        ["host", "web", "db"].get(id.index()).map_or_else(|| id.to_string(), |name| (*name).to_owned())
    }

    fn device(&self, id: DeviceId) -> DeviceNaming {
        let names = [
            ("host", "docker0"),
            ("host", "vethweb"),
            ("host", "vethdb"),
            ("web", "eth0"),
            ("db", "eth0"),
            ("web", "lo"),
        ];
        let (namespace, name) = names[id.index()];
        DeviceNaming { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn address_owner(&self, address: IpAddr) -> Option<String> {
        match address {
            IpAddr::V4(a) if a == Ipv4Addr::new(172, 18, 0, 2) => Some("web".to_owned()),
            IpAddr::V4(a) if a == Ipv4Addr::new(172, 18, 0, 3) => Some("db".to_owned()),
            _ => None,
        }
    }

    fn rule_text(&self, _: NamespaceId, family: Family, rule: &RuleRef) -> Option<String> {
        (rule.id == RuleId(7) && family == Family::Ipv4).then(|| "-o docker0 -j DROP".to_owned())
    }
}

/// An event of a packet at so many microseconds.
pub(super) fn event(micros: u64, trace: u64, kind: EventKind) -> Event {
    Event { time: Duration::from_micros(micros), sequence: micros, trace: TraceId(trace), kind }
}

/// A rule of the host's filter table that matched.
pub(super) fn matched(chain: &str, number: usize, id: u64) -> HookStep {
    let rule = RuleRef { table: Table::Filter, chain: chain.into(), number, id: RuleId(id) };
    HookStep::Table(TraceStep::Rule { rule, matched: true })
}

/// The events of a packet from web to db over the bridge, up to its arrival at db's interface.
pub(super) fn crossing(trace: u64, packet: &[u8]) -> Vec<Event> {
    use crate::engine::event::BridgeDecision;
    let frame = Bytes::from(ethernet(packet));
    let sent = Bytes::copy_from_slice(packet);
    let kinds = vec![
        EventKind::Sent { namespace: WEB, packet: sent },
        EventKind::Routed {
            namespace: WEB,
            destination: [172, 18, 0, 3].into(),
            gateway: None,
            device: WEB_ETH0,
            prefix: 16,
            forwarded: false,
        },
        EventKind::Transmitted { device: WEB_ETH0, frame: frame.clone() },
        EventKind::Received { device: VETH_WEB, frame: frame.clone() },
        EventKind::Bridged {
            bridge: DOCKER0,
            ingress: Some(VETH_WEB),
            decision: BridgeDecision::Forward(VETH_DB),
            learned: None,
        },
        EventKind::Transmitted { device: VETH_DB, frame: frame.clone() },
        EventKind::Received { device: DB_ETH0, frame },
    ];
    kinds.into_iter().enumerate().map(|(i, kind)| event(i as u64, trace, kind)).collect()
}

/// From web's hardware address to db's.
pub(super) fn ethernet(packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0x42, 0xac, 0x12, 0, 3, 2, 0x42, 0xac, 0x12, 0, 2, 8, 0];
    bytes.extend(packet);
    bytes
}

/// An IPv4 TCP segment; flags by letter.
pub(super) fn tcp_packet(
    source: [u8; 4],
    source_port: u16,
    destination: [u8; 4],
    destination_port: u16,
    flags: &str,
    payload: &[u8],
) -> Vec<u8> {
    let mut builder =
        PacketBuilder::ipv4(source, destination, 64).tcp(source_port, destination_port, 1000, 64240);
    for flag in flags.chars() {
        builder = match flag {
            'S' => builder.syn(),
            'A' => builder.ack(1),
            'F' => builder.fin(),
            _ => builder.rst(),
        };
    }
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

/// An IPv4 UDP datagram.
pub(super) fn udp_packet(
    source: [u8; 4],
    source_port: u16,
    destination: [u8; 4],
    destination_port: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(source, destination, 64)
        .udp(source_port, destination_port)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

/// web asks for db's hardware address.
pub(super) fn arp_request() -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    bytes.extend([2, 0x42, 0xac, 0x12, 0, 2, 8, 6]);
    bytes.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    bytes.extend([2, 0x42, 0xac, 0x12, 0, 2, 172, 18, 0, 2]);
    bytes.extend([0, 0, 0, 0, 0, 0, 172, 18, 0, 3]);
    bytes
}

/// A question for the address of `db`.
pub(super) fn dns_query() -> Vec<u8> {
    let name: Name<Vec<u8>> = "db".parse().unwrap();
    let mut question = MessageBuilder::new_vec().question();
    question.push((&name, Rtype::A)).unwrap();
    question.finish()
}

/// The answer to [`dns_query`].
pub(super) fn dns_answer() -> Vec<u8> {
    let name: Name<Vec<u8>> = "db".parse().unwrap();
    let mut question = MessageBuilder::new_vec().question();
    question.header_mut().set_qr(true);
    question.push((&name, Rtype::A)).unwrap();
    let mut answer = question.answer();
    answer.push((&name, Ttl::from_secs(600), A::from_octets(172, 18, 0, 3))).unwrap();
    answer.finish()
}
