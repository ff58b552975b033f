use super::super::testing::*;
use super::*;
use crate::engine::errno::Errno;
use crate::engine::event::{BridgeDecision, Receiver};
use crate::engine::id::{LinkId, SocketId};
use crate::engine::plan::{Owner, Transport};
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
    events.push(event(20, 2, EventKind::Dropped { namespace: Some(HOST), device: Some(DOCKER0), reason }));
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
    let lost = EventKind::Dropped { namespace: None, device: Some(DB_ETH0), reason: DropReason::LinkLoss };
    events.push(event(30, 4, lost));
    let failed = EventKind::Neighbour {
        device: WEB_ETH0,
        address: [172, 18, 0, 9].into(),
        mac: None,
        state: NeighbourState::Failed,
    };
    events.push(event(3_000_000, 5, failed));
    let error = EventKind::SocketError { namespace: WEB, socket: SocketId(1), errno: Errno::HostUnreachable };
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
