//! What a hostile machine on the wire or a hostile program can do: tables stay within their bounds, the others are served,
//! and every drop has its reason. `scenarios/hostile/` shows the same with the programs that people use for it; here single
//! frames drive the engine, and every counter is looked at.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::{Bench, device};
use linkspan::engine::Drained;
use linkspan::engine::event::DropReason;
use linkspan::engine::plan::{DeviceSpec, LinkQuality, MacAddress, NamespaceName, Op};
use linkspan_nat::emit::{TcpSegment, emit_echo_request, emit_tcp, emit_udp};
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::packet::TcpFlags;

/// Hardware addresses of the bridge, of the container `a` and of the attacker.
const BRIDGE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const A: [u8; 6] = [2, 0, 0, 0, 0, 10];
const ATTACKER: [u8; 6] = [2, 0, 0, 0, 0, 66];
/// Entries a bridge learns at most, as the switch says.
const FDB_LIMIT: usize = 16_384;

/// A host with a bridge; containers `a` and `b` on it, `b` a server; the attacker on a port of the same bridge.
struct Wire {
    bench: Bench,
}

impl Wire {
    fn new() -> Wire {
        let mut bench = Bench::new(0);
        bench.bridge_with_mac("host", "br0", "10.0.0.1/16", Some(MacAddress(BRIDGE)));
        bench.container("a", "br0", "10.0.0.2/16", Some("10.0.0.1"));
        bench.container("b", "br0", "10.0.0.3/16", Some("10.0.0.1"));
        let tap = device("host", "tap0");
        bench.apply(
            "tap",
            vec![
                Op::SetMac { device: device("a", "eth0"), mac: Some(MacAddress(A)) },
                Op::AddDevice { device: tap.clone(), spec: DeviceSpec::External, mac: None, mtu: 1_500 },
                Op::SetMaster {
                    device: tap.clone(),
                    bridge: InterfaceName::parse("br0").unwrap(),
                    hairpin: false,
                    isolated: false,
                },
                Op::SetUp { device: tap },
            ],
        );
        bench.forward("host");
        bench.spawn("b", |sys| async move {
            let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 16).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"hello").await;
            }
        });
        let mut wire = Wire { bench };
        wire.served();
        wire
    }

    /// The attacker sends an Ethernet frame.
    fn send(&mut self, destination: [u8; 6], source: [u8; 6], kind: u16, payload: &[u8]) {
        let frame = [&destination[..], &source[..], &kind.to_be_bytes()[..], payload].concat();
        let tap = self.bench.device("host", "tap0");
        let mut engine = self.bench.engine.borrow_mut();
        engine.input(tap, &frame);
        while engine.drain(10_000).unwrap() == Drained::More {}
        while engine.take_output().is_some() {}
    }

    fn wait(&mut self, time: Duration) {
        self.bench.run("host", |sys| async move { sys.sleep(time).await });
    }

    /// `a` fetches a page from `b`.
    #[track_caller]
    fn served(&mut self) {
        let answer = self.bench.run("a", |sys| async move {
            let server = "10.0.0.3:80".parse().unwrap();
            let stream = sys.timeout(Duration::from_secs(10), sys.tcp_connect(server)).await?;
            stream.ok()?.read(10).await.ok()
        });
        assert_eq!(answer.as_deref(), Some(&b"hello"[..]), "the others are not served");
    }

    fn learned(&self) -> usize {
        let engine = self.bench.engine.borrow();
        let host = engine.namespace(&NamespaceName::new("host")).unwrap();
        engine.fdb(host).iter().filter(|entry| !entry.permanent).count()
    }

    fn connections(&self) -> usize {
        let engine = self.bench.engine.borrow();
        let host = engine.namespace(&NamespaceName::new("host")).unwrap();
        engine.tracked(host).len()
    }

    fn neighbour(&self, address: &str) -> Option<MacAddress> {
        let engine = self.bench.engine.borrow();
        let host = engine.namespace(&NamespaceName::new("host")).unwrap();
        engine.neighbours(host).into_iter().find(|n| n.address.to_string() == address).and_then(|n| n.mac)
    }

    /// Once nothing is under way any more the pool is balanced.
    fn end(self) {
        let mut engine = self.bench.engine.borrow_mut();
        for _ in 0..1_000_000 {
            while engine.drain(10_000).unwrap() == Drained::More {}
            while engine.take_output().is_some() {}
            let Some((time, _)) = engine.deadline() else { break };
            engine.advance(time);
        }
        assert_eq!(engine.frames_outstanding(), 0);
    }
}

/// An ARP reply that claims an address.
fn claim(address: [u8; 4], mac: [u8; 6], target: [u8; 6]) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac, &address, &target, &[10, 0, 0, 1]].concat()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// CAM overflow: more sources than the table holds. It keeps what it has, the rest is flooded; later all is forgotten.
#[test]
fn a_bridge_learns_no_more_than_its_limit() {
    let mut wire = Wire::new();
    for number in 0..20_000_u32 {
        let [_, b, c, d] = number.to_be_bytes();
        wire.send([0xff; 6], [2, 1, 0, b, c, d], 0x88b5, &[0; 46]);
    }
    assert_eq!(wire.learned(), FDB_LIMIT);
    wire.served();
    wire.wait(Duration::from_secs(600));
    wire.served();
    assert!(wire.learned() < 10, "{} entries after twice the ageing time", wire.learned());
    assert_eq!(wire.bench.drops(DropReason::UnknownEtherType), 20_000 * 3);
    wire.end();
}

/// MAC flapping: the attacker sends from the hardware address of `a`. Answers for `a` go astray until `a` sends again, and
/// are counted as no drop: the attacker got them. There is one entry all the time.
#[test]
fn a_flapping_address_is_one_entry() {
    let mut wire = Wire::new();
    let before = wire.learned();
    for _ in 0..1_000 {
        wire.send([0xff; 6], A, 0x88b5, &[0; 46]);
        // `a` speaks: the entry moves back.
        wire.bench.run("a", |sys| async move {
            sys.udp_socket().unwrap().send_to(b"x", "10.0.0.3:9".parse().unwrap()).unwrap();
            sys.sleep(Duration::from_micros(1)).await;
        });
    }
    assert_eq!(wire.learned(), before);
    wire.served();
    wire.wait(Duration::from_secs(1));
    // What the bridge believes to be behind the port it comes from goes nowhere, and says so.
    let dropped = wire.bench.drops(DropReason::BridgeSamePort);
    wire.send([0xff; 6], A, 0x88b5, &[0; 46]);
    wire.send(A, ATTACKER, 0x88b5, &[0; 46]);
    assert_eq!(wire.bench.drops(DropReason::BridgeSamePort), dropped + 1);
    wire.served();
    wire.end();
}

/// ARP spoofing: a reply nobody asked for makes no entry, but moves one that is there, as on Linux (`arp_accept=0`); an
/// entry that an operator set stays.
#[test]
fn a_claim_by_arp_is_believed_only_of_known_addresses() {
    let mut wire = Wire::new();
    wire.send(BRIDGE, ATTACKER, 0x0806, &claim([10, 0, 9, 9], ATTACKER, BRIDGE));
    assert_eq!(wire.neighbour("10.0.9.9"), None);
    wire.bench.run("host", |sys| async move {
        let _ = sys.timeout(Duration::from_secs(5), sys.tcp_connect("10.0.0.3:80".parse().unwrap())).await;
    });
    wire.wait(Duration::from_secs(2));
    wire.send(BRIDGE, ATTACKER, 0x0806, &claim([10, 0, 0, 3], ATTACKER, BRIDGE));
    assert_eq!(wire.neighbour("10.0.0.3"), Some(MacAddress(ATTACKER)));
    wire.bench.apply(
        "static",
        vec![Op::AddNeighbour {
            device: device("host", "br0"),
            address: "10.0.0.2".parse().unwrap(),
            mac: MacAddress(A),
        }],
    );
    for _ in 0..1_000 {
        wire.send(BRIDGE, ATTACKER, 0x0806, &claim([10, 0, 0, 2], ATTACKER, BRIDGE));
    }
    assert_eq!(wire.neighbour("10.0.0.2"), Some(MacAddress(A)));
    // `a` and `b` know each other.
    wire.served();
    wire.end();
}

/// A flood of requests from ever new senders, which a kernel does note: the table has a bound.
#[test]
fn the_neighbour_table_has_a_bound() {
    let mut wire = Wire::new();
    for number in 256..66_400_u32 {
        let [_, b, c, d] = number.to_be_bytes();
        let mut request = claim([10, b, c, d], [2, 1, 0, b, c, d], [0; 6]);
        request[7] = 1;
        wire.send([0xff; 6], ATTACKER, 0x0806, &request);
    }
    let host = wire.bench.engine.borrow().namespace(&NamespaceName::new("host")).unwrap();
    let count = wire.bench.engine.borrow().neighbours(host).len();
    assert!((60_000..=65_536).contains(&count), "{count}");
    wire.served();
    wire.end();
}

/// Fragments: overlapping, tiny, and never finished, of more datagrams than fit the memory that Linux gives them.
#[test]
fn fragments_are_bounded_and_given_up() {
    let mut wire = Wire::new();
    let (from, to) = (address("10.0.6.6:9"), address("10.0.0.1:9"));
    let whole = emit_udp(from, to, 64, &[7; 1_400]).unwrap();
    let piece = |id: u16, place: u16, more: bool, data: &[u8]| {
        let mut packet = [&whole[..20], data].concat();
        let length = packet.len() as u16;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[6..8].copy_from_slice(&(u16::from(more) << 13 | place).to_be_bytes());
        packet[10..12].fill(0);
        let sum = linkspan_nat::checksum::checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    let drops = |wire: &Wire| wire.bench.drops(DropReason::Fragment);
    // Overlap: the second piece ends the datagram, the third begins another that never ends (RFC 5722).
    wire.send(BRIDGE, ATTACKER, 0x0800, &piece(1, 0, true, &whole[20..220]));
    wire.send(BRIDGE, ATTACKER, 0x0800, &piece(1, 8, true, &whole[20..220]));
    assert_eq!(drops(&wire), 1);
    // Tiny: more pieces than one datagram may have.
    for place in 0..3_000 {
        wire.send(BRIDGE, ATTACKER, 0x0800, &piece(2, place * 2 + 1, true, &[7; 8]));
    }
    assert!(drops(&wire) >= 2, "{}", drops(&wire));
    // Never finished: 8,000 first pieces of 1,400 bytes; there is room for 4 MiB.
    let before = drops(&wire);
    for id in 0..8_000 {
        wire.send(BRIDGE, ATTACKER, 0x0800, &piece(10 + id, 0, true, &whole[20..1_420]));
    }
    let refused = drops(&wire) - before;
    assert!(refused > 4_000, "{refused} of 8000 found no room");
    wire.served();
    // After a while all is given up and counted, and there is room again.
    wire.wait(Duration::from_secs(61));
    assert!(drops(&wire) - before >= 8_000, "{}", drops(&wire) - before);
    let sent = drops(&wire);
    wire.send(BRIDGE, ATTACKER, 0x0800, &piece(9_999, 0, true, &whole[20..1_420]));
    assert_eq!(drops(&wire), sent);
    wire.served();
    wire.end();
}

/// SYN flood: the listener's backlog fills with addresses nobody has and the rest is dropped; the host's connections end in
/// time; a client that comes while the flood goes on gets through once the half-open ones are gone.
#[test]
fn a_syn_flood_fills_the_backlog_and_no_more() {
    let mut wire = Wire::new();
    let b = {
        let engine = wire.bench.engine.borrow();
        let namespace = engine.namespace(&NamespaceName::new("b")).unwrap();
        engine.interfaces(namespace).into_iter().find(|i| i.name == "eth0").unwrap().mac.0
    };
    for number in 0..5_000_u16 {
        let [c, d] = number.to_be_bytes();
        let from = SocketAddr::new(IpAddr::from([10, 0, 100 + c, d]), 1_024);
        let segment =
            TcpSegment { sequence: 1, flags: TcpFlags::SYN, window: 1_000, ..TcpSegment::default() };
        let packet = emit_tcp(from, address("10.0.0.3:80"), 64, &segment, &[]).unwrap();
        wire.send(b, ATTACKER, 0x0800, &packet);
    }
    assert!(wire.bench.drops(DropReason::BacklogFull) > 4_900, "{:?}", wire.bench.engine.borrow().drops());
    let half_open = {
        let engine = wire.bench.engine.borrow();
        let namespace = engine.namespace(&NamespaceName::new("b")).unwrap();
        engine.sockets(namespace).iter().filter(|socket| socket.state == "SYN_RECV").count()
    };
    assert_eq!(half_open, 16, "half-open connections of a backlog of 16");
    // Another port of the same machine is not concerned.
    wire.bench.spawn("b", |sys| async move {
        let listener = sys.tcp_listen("0.0.0.0:81".parse().unwrap(), 4).unwrap();
        let _ = listener.accept().await;
    });
    let connected = wire.bench.run("a", |sys| async move {
        let server = "10.0.0.3:81".parse().unwrap();
        sys.timeout(Duration::from_secs(2), sys.tcp_connect(server))
            .await
            .is_some_and(|answer| answer.is_ok())
    });
    assert!(connected);
    wire.wait(Duration::from_secs(200));
    wire.served();
    assert!(wire.connections() < 20, "{} connections are left", wire.connections());
    wire.end();
}

/// Port exhaustion: one client uses up what an address can be translated to. Its further connections are refused a port
/// and counted; others to other places go on; ports come back.
#[test]
fn a_client_that_uses_up_the_ports_harms_the_same_way_only() {
    let mut wire = Wire::new();
    wire.bench.machine("outside", "203.0.113.80/24");
    wire.bench.uplink("host", "eth0", "203.0.113.10/24", "outside", LinkQuality::default());
    wire.bench.iptables(
        "host",
        "-t nat -A POSTROUTING -p udp -s 10.0.0.0/16 -o eth0 -j MASQUERADE --to-ports 40000-40099",
    );
    for port in 0..400_u16 {
        let packet = emit_udp(
            SocketAddr::new([10, 0, 6, 6].into(), 1_024 + port),
            address("203.0.113.80:53"),
            64,
            b"query",
        );
        wire.send(BRIDGE, ATTACKER, 0x0800, &packet.unwrap());
    }
    assert_eq!(wire.bench.drops(DropReason::NoFreePort), 300);
    // Another destination has all ports.
    let packet = emit_udp(address("10.0.0.2:5"), address("203.0.113.80:54"), 64, b"query").unwrap();
    wire.send(BRIDGE, ATTACKER, 0x0800, &packet);
    assert_eq!(wire.bench.drops(DropReason::NoFreePort), 300);
    wire.served();
    // Unanswered UDP is forgotten after 30 seconds.
    wire.wait(Duration::from_secs(40));
    let packet = emit_udp(address("10.0.0.2:5"), address("203.0.113.80:53"), 64, b"query").unwrap();
    wire.send(BRIDGE, ATTACKER, 0x0800, &packet);
    assert_eq!(wire.bench.drops(DropReason::NoFreePort), 300);
    wire.end();
}

/// A flood of packets to addresses that nobody has: about a hundred wait for each, the others are dropped at once, and
/// those who wait are given up.
#[test]
fn packets_for_nobody_do_not_pile_up() {
    let mut wire = Wire::new();
    wire.bench.machine("outside", "203.0.113.80/24");
    wire.bench.uplink("host", "eth0", "203.0.113.10/24", "outside", LinkQuality::default());
    for number in 0..5_000_u16 {
        let to = IpAddr::from([203, 0, 113, 100 + (number % 10) as u8]);
        let packet = emit_echo_request([10, 0, 0, 2].into(), to, 64, number, 1, &[7; 40]).unwrap();
        wire.send(BRIDGE, A, 0x0800, &packet);
    }
    let waiting = wire.bench.engine.borrow().frames_outstanding();
    assert!(waiting <= 10 * 101, "{waiting} frames wait");
    assert!(wire.bench.drops(DropReason::NeighbourQueueFull) >= 5_000 - 10 * 101);
    wire.wait(Duration::from_secs(10));
    assert!(wire.bench.drops(DropReason::NeighbourFailed) >= 900);
    wire.served();
    wire.end();
}
