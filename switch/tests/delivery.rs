//! The bridge seen from outside: whatever frames, port settings and removals come, each frame reaches a port
//! at most once, never its own without hairpin, and no dead port is ever named.

use std::collections::BTreeSet;
use std::time::Duration;

use linkspan_switch::bridge::{Bridge, BridgeConfig, Decision, PortConfig, PortId};
use linkspan_switch::ethernet::{EtherType, EthernetHeader};
use linkspan_switch::fdb::FdbTarget;
use linkspan_switch::frame::Pool;
use linkspan_switch::mac::MacAddress;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Add(PortConfig),
    Remove(u16),
    Enable(u16, bool),
    Frame { port: u16, source: u8, destination: u8 },
    Static { port: u16, address: u8 },
    Wait(u64),
}

fn config() -> impl Strategy<Value = PortConfig> {
    any::<[bool; 6]>().prop_map(
        |[hairpin, isolated, learning, flood_unknown, flood_multicast, flood_broadcast]| PortConfig {
            hairpin,
            isolated,
            learning,
            flood_unknown,
            flood_multicast,
            flood_broadcast,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => config().prop_map(Event::Add),
        1 => (0..10u16).prop_map(Event::Remove),
        1 => (0..10u16, any::<bool>()).prop_map(|(port, up)| Event::Enable(port, up)),
        10 => (0..10u16, 0..8u8, 0..12u8)
            .prop_map(|(port, source, destination)| Event::Frame { port, source, destination }),
        1 => (0..10u16, 0..8u8).prop_map(|(port, address)| Event::Static { port, address }),
        1 => (0..400u64).prop_map(Event::Wait),
    ]
}

/// A few stations, one own address of the bridge (0), two groups.
fn address(index: u8) -> MacAddress {
    match index {
        10 => MacAddress::BROADCAST,
        11 => MacAddress([1, 0, 0x5e, 0, 0, 1]),
        last => MacAddress([2, 0x42, 0xac, 0x11, 0, last]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn frames_are_delivered_at_most_once_and_never_to_the_dead(events in prop::collection::vec(event(), 1..120)) {
        let pool = Pool::new();
        let mut bridge = Bridge::new(BridgeConfig { fdb_limit: 5, ..BridgeConfig::default() });
        bridge.add_local(address(0)).unwrap();
        let mut alive = BTreeSet::new();
        let mut now = Duration::ZERO;
        for event in events {
            match event {
                Event::Add(config) => { alive.insert(bridge.add_port(config).unwrap()); }
                Event::Remove(port) => {
                    let port = PortId(port);
                    prop_assert_eq!(bridge.remove_port(port).is_ok(), alive.remove(&port));
                }
                Event::Enable(port, up) => {
                    let port = PortId(port);
                    prop_assert_eq!(bridge.set_enabled(port, up).is_ok(), alive.contains(&port));
                }
                Event::Static { port, address: index } => {
                    let port = PortId(port);
                    prop_assert_eq!(bridge.add_static(address(index), None, port).is_ok(), alive.contains(&port));
                }
                Event::Wait(seconds) => now += Duration::from_secs(seconds),
                Event::Frame { port, source, destination } => {
                    let port = PortId(port);
                    let ethertype = EtherType::IPV4;
                    let header = EthernetHeader { destination: address(destination), source: address(source), ethertype };
                    let mut frame = pool.frame(60);
                    header.emit(frame.bytes_mut()).unwrap();
                    let decision = bridge.ingress(now, port, &header, None);
                    let out: Vec<PortId> = match decision {
                        Decision::Local | Decision::Drop(_) => Vec::new(),
                        Decision::Forward(egress) => vec![egress],
                        Decision::Flood(kind) | Decision::FloodAndLocal(kind) =>
                            bridge.flood_ports(Some(port), kind).collect(),
                    };
                    let copies: Vec<_> = out.iter().map(|_| frame.share()).collect();
                    prop_assert_eq!(copies.len(), out.len());
                    prop_assert!(out.is_sorted() && out.windows(2).all(|pair| pair[0] != pair[1]));
                    prop_assert!(out.is_empty() || alive.contains(&port));
                    for egress in out {
                        prop_assert!(alive.contains(&egress));
                        prop_assert!(bridge.may_egress(Some(port), egress));
                        let (from, to) = (*bridge.port(port).unwrap(), *bridge.port(egress).unwrap());
                        prop_assert!(from.is_enabled() && to.is_enabled());
                        prop_assert!(egress != port || to.config().hairpin);
                        prop_assert!(!(from.config().isolated && to.config().isolated));
                    }
                }
            }
            prop_assert_eq!(bridge.ports().collect::<BTreeSet<_>>(), alive.clone());
            for entry in bridge.fdb_entries(now) {
                if let FdbTarget::Port(port) = entry.target {
                    prop_assert!(alive.contains(&port), "{} names dead port {}", entry.address, port);
                }
            }
        }
        prop_assert_eq!(pool.outstanding(), 0);
    }
}
