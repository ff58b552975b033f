use super::*;
use crate::conntrack::{TrackedPacket, Tracking};
use crate::rule::CtState;
use proptest::prelude::*;

const NOW: Duration = Duration::ZERO;

fn flow(client: [u8; 4], source_port: u16) -> Tuple {
    let destination = [203, 0, 113, 9].into();
    Tuple { source: client.into(), destination, protocol: 17, source_port, destination_port: 53 }
}

fn begin(table: &mut Conntrack, tuple: Tuple) -> ConnectionId {
    match table.track(NOW, &TrackedPacket { tuple, tcp_flags: None, length: 60 }) {
        Tracking::Connection { id, state: CtState::New, .. } => id,
        other => panic!("{other:?}"),
    }
}

fn masquerade(table: &mut Conntrack, client: [u8; 4], port: u16, start: u16) -> Tuple {
    let id = begin(table, flow(client, port));
    let range = range_of([203, 0, 113, 10].into(), &NatRange::default());
    bind_null(table, NOW, id, Manipulation::Destination, &mut || start).unwrap();
    let binding = bind(table, NOW, id, Manipulation::Source, &range, None, &mut || start).unwrap();
    table.confirm(NOW, id).unwrap();
    binding.after
}

#[test]
fn a_source_port_is_kept_until_it_clashes() {
    let mut table = Conntrack::default();
    assert_eq!(masquerade(&mut table, [10, 0, 0, 1], 5000, 0).source_port, 5000);
    assert_eq!(masquerade(&mut table, [10, 0, 0, 2], 5000, 7).source_port, 1024 + 7);
    assert_eq!(masquerade(&mut table, [10, 0, 0, 3], 5000, 7).source_port, 1024 + 8);
    assert_eq!(masquerade(&mut table, [10, 0, 0, 1], 600, 0).source_port, 600);
    assert_eq!(masquerade(&mut table, [10, 0, 0, 2], 600, 424).source_port, 601, "600 is taken, the next is");
    assert_eq!(masquerade(&mut table, [10, 0, 0, 1], 100, 0).source_port, 100);
    assert_eq!(masquerade(&mut table, [10, 0, 0, 2], 100, 511).source_port, 1);
}

#[test]
fn an_icmp_identifier_moves_in_its_whole_range() {
    let mut table = Conntrack::default();
    let echo = |client| Tuple { protocol: 1, destination_port: 0x0800, ..flow(client, 9) };
    let range = range_of([203, 0, 113, 10].into(), &NatRange::default());
    let mut ids = Vec::new();
    for client in [[10, 0, 0, 1], [10, 0, 0, 2]] {
        let id = begin(&mut table, echo(client));
        let binding = bind(&mut table, NOW, id, Manipulation::Source, &range, None, &mut || 9).unwrap();
        table.confirm(NOW, id).unwrap();
        ids.push(binding.after.source_port);
        assert_eq!(binding.after.destination_port, 0x0800);
    }
    assert_eq!(ids, [9, 10]);
}

#[test]
fn a_decision_is_taken_once() {
    let mut table = Conntrack::default();
    let id = begin(&mut table, flow([10, 0, 0, 1], 5000));
    let null = bind_null(&mut table, NOW, id, Manipulation::Source, &mut || 0).unwrap();
    assert_eq!(null.before, null.after);
    let range = range_of([1, 1, 1, 1].into(), &NatRange::default());
    assert_eq!(bind(&mut table, NOW, id, Manipulation::Source, &range, None, &mut || 0), None);
    assert!(!table.get(id).unwrap().status().contains(Status::SRC_NAT));
    table.confirm(NOW, id).unwrap();
    assert_eq!(bind(&mut table, NOW, id, Manipulation::Destination, &range, None, &mut || 0), None);
}

#[test]
fn a_destination_port_range_takes_the_first_that_is_free() {
    let mut table = Conntrack::default();
    let ports = Some(Range16 { first: 8000, last: 8001 });
    let range = range_of([172, 17, 0, 2].into(), &NatRange { ports, ..NatRange::default() });
    let mut found = Vec::new();
    // Two servers' addresses are translated to the same one, so only the port tells their flows apart.
    for last in [9, 10, 11] {
        let tuple = Tuple { destination: [203, 0, 113, last].into(), ..flow([10, 0, 0, 1], 5000) };
        let id = begin(&mut table, tuple);
        let binding = bind(&mut table, NOW, id, Manipulation::Destination, &range, None, &mut || 1).unwrap();
        found.push((binding.after.destination_port, table.confirm(NOW, id).is_ok()));
    }
    assert_eq!(found, [(8000, true), (8001, true), (8001, false)]);
}

#[test]
fn the_null_binding_resolves_a_clash_of_sources() {
    let mut table = Conntrack::default();
    let server = [172, 17, 0, 2];
    let direct = Tuple { destination: server.into(), ..flow([10, 0, 0, 1], 5000) };
    let first = begin(&mut table, direct);
    table.confirm(NOW, first).unwrap();
    // The same client and port through a published address: after DNAT the answers could not be told apart.
    let id = begin(&mut table, flow([10, 0, 0, 1], 5000));
    let range = range_of(server.into(), &NatRange::default());
    bind(&mut table, NOW, id, Manipulation::Destination, &range, None, &mut || 0).unwrap();
    let binding = bind_null(&mut table, NOW, id, Manipulation::Source, &mut || 3).unwrap();
    assert_eq!((binding.before.source_port, binding.after.source_port), (5000, 1027));
    assert_eq!(binding.after.source, binding.before.source);
    assert_eq!(table.confirm(NOW, id), Ok(id));
}

#[test]
fn an_exhausted_range_fails_when_confirmed() {
    let mut table = Conntrack::default();
    let ports = Some(Range16::single(4000));
    let range = range_of([203, 0, 113, 10].into(), &NatRange { ports, ..NatRange::default() });
    let mut confirmed = Vec::new();
    for client in [[10, 0, 0, 1], [10, 0, 0, 2]] {
        let id = begin(&mut table, flow(client, 5000));
        bind(&mut table, NOW, id, Manipulation::Source, &range, None, &mut || 0).unwrap();
        confirmed.push(table.confirm(NOW, id).is_ok());
    }
    assert_eq!(confirmed, [true, false]);
    assert_eq!(table.count(), 1);
}

#[test]
fn a_client_keeps_its_address_of_a_pool_if_persistent() {
    let pool = AddressRange { first: [198, 51, 100, 1].into(), last: [198, 51, 100, 200].into() };
    let to = |last: u8| Tuple { destination: [203, 0, 113, last].into(), ..flow([10, 0, 0, 1], 1) };
    let persistent: Vec<_> = (0..20).map(|n| choose_address(&to(n), &pool, true)).collect();
    assert!(persistent.iter().all(|address| *address == persistent[0]));
    let spread: std::collections::BTreeSet<_> =
        (0..20).map(|n| choose_address(&to(n), &pool, false)).collect();
    assert!(spread.len() > 10 && spread.iter().all(|address| pool.contains(*address)));
    let wide = AddressRange { first: "::".parse().unwrap(), last: "ffff::".parse().unwrap() };
    let v6 = Tuple {
        source: "2001:db8::1".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
        ..to(1)
    };
    assert!(wide.contains(choose_address(&v6, &wide, false)));
}

proptest! {
    #[test]
    fn answers_lead_back(client: [u8; 4], port: u16, to: [u8; 4], to_port: u16, from: [u8; 4],
                         protocol in prop_oneof![Just(17u8), Just(132), Just(89)], start: u16) {
        let mut table = Conntrack::default();
        let tuple = Tuple { protocol, ..flow(client, port) };
        let id = begin(&mut table, tuple);
        let ports = (protocol != 89).then(|| Range16::single(to_port));
        let range = range_of(to.into(), &NatRange { ports, ..NatRange::default() });
        bind(&mut table, NOW, id, Manipulation::Destination, &range, None, &mut || start).unwrap();
        let range = range_of(from.into(), &NatRange::default());
        let binding = bind(&mut table, NOW, id, Manipulation::Source, &range, None, &mut || start).unwrap();
        prop_assume!(table.confirm(NOW, id).is_ok());
        let connection = table.get(id).unwrap();
        prop_assert_eq!(connection.reply().inverted(), Some(binding.after));
        prop_assert_eq!(*connection.original(), tuple);
        // What both manipulations leave of a packet and of its answer.
        let after = |mut packet: Tuple, direction| {
            for manipulation in [Manipulation::Destination, Manipulation::Source] {
                let Some(target) = target(connection, direction, manipulation) else { continue };
                match manipulation {
                    Manipulation::Source => {
                        (packet.source, packet.source_port) = (target.source, target.source_port);
                    }
                    Manipulation::Destination => {
                        packet.destination = target.destination;
                        packet.destination_port = target.destination_port;
                    }
                }
            }
            packet
        };
        prop_assert_eq!(after(tuple, Direction::Original), binding.after);
        let answer = binding.after.inverted().unwrap();
        prop_assert_eq!(after(answer, Direction::Reply), tuple.inverted().unwrap());
    }
}
