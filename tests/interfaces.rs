//! What interfaces take and refuse, by their own state and that of what is at their other end, as Linux was seen to do it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Bench, device};
use linkspan::engine::Drained;
use linkspan::engine::event::DropReason;
use linkspan::engine::id::DeviceId;
use linkspan::engine::plan::{DeviceSpec, MacAddress, NamespaceName, Op};
use linkspan::engine::sys::{Change, NewDevice, Sys};
use linkspan::engine::view::InterfaceView;
use linkspan_nat::emit::emit_udp;

/// A host's bridge with two containers.
fn pair() -> Bench {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.container("b", "br0", "10.0.0.3/24", Some("10.0.0.1"));
    bench
}

fn change(bench: &Bench, namespace: &str, change: &Change) {
    let mut engine = bench.engine.borrow_mut();
    let id = engine.namespace(&NamespaceName::new(namespace)).unwrap();
    engine.administer(id, change).unwrap();
}

fn interface(bench: &Bench, namespace: &str, name: &str) -> InterfaceView {
    let engine = bench.engine.borrow();
    let id = engine.namespace(&NamespaceName::new(namespace)).unwrap();
    engine.interfaces(id).into_iter().find(|interface| interface.name == name).unwrap()
}

/// Sends `count` datagrams, and returns how many arrive within a second.
fn datagrams(bench: &mut Bench, from: &str, to: (&str, &'static str), length: usize, count: usize) -> usize {
    let (place, address) = to;
    let peer: SocketAddr = format!("{address}:4000").parse().unwrap();
    let arrived = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = arrived.clone();
    bench.spawn(place, move |sys: Sys| async move {
        let socket = sys.udp_socket().unwrap();
        socket.bind(SocketAddr::from(([0, 0, 0, 0], 4_000))).unwrap();
        while let Some(Ok(_)) = sys.timeout(Duration::from_secs(1), socket.receive()).await {
            counted.set(counted.get() + 1);
        }
    });
    bench.run(from, move |sys: Sys| async move {
        let socket = sys.udp_socket().unwrap();
        socket.bind(SocketAddr::from(([0, 0, 0, 0], 0))).unwrap();
        for _ in 0..count {
            let _ = socket.send_to(&vec![7; length], peer);
        }
        sys.sleep(Duration::from_secs(3)).await;
    });
    arrived.get()
}

/// Linux 6.18, `va` of 9,000 and `vb` of 1,400 bytes: a packet of 1,404 arrives, one of 1,405 is dropped; `va` counts a TX drop
/// and no packet, `vb` an RX drop.
#[test]
fn a_veth_takes_what_its_other_end_takes_and_a_tag() {
    for watched in [false, true] {
        let mut bench = pair();
        bench.engine.borrow_mut().watch(watched);
        change(&bench, "a", &Change::SetMtu("eth0".to_owned(), 9_000));
        let headers = 28;
        assert_eq!(datagrams(&mut bench, "a", ("host", "10.0.0.1"), 1_504 - headers, 3), 3);
        assert_eq!(bench.drops(DropReason::ExceedsMtu), 0);
        let before = interface(&bench, "a", "eth0").counters;
        assert_eq!(datagrams(&mut bench, "a", ("host", "10.0.0.1"), 1_505 - headers, 3), 0);
        assert_eq!(bench.drops(DropReason::ExceedsMtu), 3);
        let (sender, receiver) =
            (interface(&bench, "a", "eth0").counters, interface(&bench, "host", "vetha").counters);
        assert_eq!((sender.transmitted_dropped, receiver.received_dropped), (3, 3));
        assert_eq!(sender.transmitted_packets, before.transmitted_packets);
    }
}

/// Linux 6.18: a port whose veth's other end is down is NO-CARRIER and `disabled`; nothing is flooded to it, and what was
/// learned on it is forgotten. It forwards again with the carrier, and none does while the bridge is down.
#[test]
fn a_bridge_port_without_carrier_is_disabled() {
    let mut bench = pair();
    let state = |bench: &mut Bench, port: &str| {
        let path = format!("/sys/class/net/{port}/brport/state");
        bench.run("host", move |sys: Sys| async move {
            String::from_utf8(sys.read_file(&path).unwrap()).unwrap().trim().to_owned()
        })
    };
    let learned = |bench: &Bench, port: &str| {
        let engine = bench.engine.borrow();
        let host = engine.namespace(&NamespaceName::new("host")).unwrap();
        engine.fdb(host).iter().filter(|entry| !entry.permanent && entry.device == port).count()
    };
    assert_eq!(datagrams(&mut bench, "b", ("a", "10.0.0.2"), 10, 1), 1);
    assert_eq!((state(&mut bench, "vetha").as_str(), learned(&bench, "vetha")), ("3", 1));

    change(&bench, "a", &Change::SetUp("eth0".to_owned(), false));
    assert_eq!((state(&mut bench, "vetha").as_str(), learned(&bench, "vetha")), ("0", 0));
    assert!(!interface(&bench, "host", "vetha").running && interface(&bench, "host", "br0").running);
    let before = interface(&bench, "host", "vetha").counters;
    assert_eq!(datagrams(&mut bench, "b", ("a", "10.0.0.2"), 10, 1), 0);
    assert_eq!(bench.drops(DropReason::BridgeNoPort), 1);
    assert_eq!(interface(&bench, "host", "vetha").counters, before);

    change(&bench, "b", &Change::SetUp("eth0".to_owned(), false));
    assert!(!interface(&bench, "host", "br0").running, "no port carries");
    for container in ["a", "b"] {
        change(&bench, container, &Change::SetUp("eth0".to_owned(), true));
    }
    assert_eq!(datagrams(&mut bench, "b", ("a", "10.0.0.2"), 10, 1), 1);

    change(&bench, "host", &Change::SetUp("br0".to_owned(), false));
    assert_eq!((state(&mut bench, "vetha").as_str(), learned(&bench, "vetha")), ("0", 0));
    change(&bench, "host", &Change::SetUp("br0".to_owned(), true));
    assert_eq!(datagrams(&mut bench, "b", ("a", "10.0.0.2"), 10, 1), 1);
}

/// A port joins a bridge before its other end is up, and after: it forwards once it carries.
#[test]
fn a_port_forwards_once_its_cable_carries() {
    let mut bench = pair();
    let host = |change_: Change| change(&bench, "host", &change_);
    let new = |name: &str, peer: &str| Change::AddDevice {
        name: name.to_owned(),
        kind: NewDevice::Veth(Some(peer.to_owned())),
        mac: None,
        mtu: None,
    };
    let up = |name: &str| Change::SetUp(name.to_owned(), true);
    let running = |name: &str| interface(&bench, "host", name).running;
    host(Change::AddDevice { name: "br1".to_owned(), kind: NewDevice::Bridge, mac: None, mtu: None });
    host(up("br1"));
    host(new("x0", "x1"));
    host(Change::SetMaster("x0".to_owned(), Some("br1".to_owned())));
    host(up("x0"));
    assert!(!running("br1"));
    host(up("x1"));
    assert!(running("br1"));
    host(Change::RemoveDevice("x1".to_owned()));
    assert!(!running("br1"));
    host(new("y0", "y1"));
    host(up("y0"));
    host(up("y1"));
    host(Change::SetMaster("y0".to_owned(), Some("br1".to_owned())));
    assert!(running("br1"));
    host(Change::SetMaster("y0".to_owned(), None));
    assert!(!running("br1"));
}

/// What a container's interface gets from a forged packet: as Linux 6.18 answered for each of these pairs.
#[test]
fn a_source_that_nobody_outside_can_have_is_refused() {
    const TAKEN: [(&str, &str); 7] = [
        ("10.0.0.2", "10.0.0.3"),
        ("0.0.0.5", "10.0.0.3"),
        ("10.0.0.255", "10.0.0.3"),
        ("9.9.9.9", "10.0.0.255"),
        ("0.0.0.0", "255.255.255.255"),
        ("0.0.0.0", "224.0.0.1"),
        ("10.0.0.2", "224.0.0.1"),
    ];
    const LOCAL: [(&str, &str); 5] = [
        ("10.0.0.3", "10.0.0.3"),
        ("10.9.9.1", "10.0.0.3"),
        ("10.0.0.3", "10.0.0.255"),
        ("10.0.0.3", "255.255.255.255"),
        ("10.0.0.3", "224.0.0.1"),
    ];
    const MARTIAN: [(&str, &str); 7] = [
        ("0.0.0.0", "10.0.0.3"),
        ("0.0.0.0", "10.0.0.255"),
        ("0.0.0.0", "239.1.1.1"),
        ("127.0.0.1", "10.0.0.3"),
        ("127.0.0.5", "10.0.0.3"),
        ("224.0.0.1", "10.0.0.3"),
        ("255.255.255.255", "10.0.0.3"),
    ];
    let mut stage = Forger::new();
    for pair in TAKEN {
        assert_eq!(stage.send(pair), None, "{pair:?}");
    }
    for pair in LOCAL {
        assert_eq!(stage.send(pair), Some(DropReason::LocalSource), "{pair:?}");
    }
    for pair in MARTIAN {
        assert_eq!(stage.send(pair), Some(DropReason::Martian), "{pair:?}");
    }
}

/// A request for an address of ours that claims to come from us is not answered; one from nobody (RFC 5227) is.
#[test]
fn who_asks_with_the_asked_machines_own_address_gets_no_answer() {
    let mut stage = Forger::new();
    let ask = |stage: &mut Forger, sender: [u8; 4]| stage.ask(sender, [10, 0, 0, 3]);
    assert!(ask(&mut stage, [10, 0, 0, 2]));
    assert!(ask(&mut stage, [0; 4]));
    assert!(!ask(&mut stage, [10, 0, 0, 3]));
    assert!(!ask(&mut stage, [10, 9, 9, 1]));
}

/// A namespace `b` with 10.0.0.3 on the outside edge `tap0` and 10.9.9.1 on `lo`, which gets frames of any making.
struct Forger {
    bench: Bench,
    edge: DeviceId,
}

const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 3]);
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];

impl Forger {
    fn new() -> Forger {
        let mut bench = Bench::new(0);
        bench.bridge("b", "spare", "172.30.0.1/24");
        let edge = device("b", "tap0");
        let spec = DeviceSpec::External;
        bench.apply(
            "edge",
            vec![
                Op::AddDevice { device: edge.clone(), spec, mac: Some(OWN), mtu: 1_500 },
                Op::AddAddress { device: edge.clone(), address: "10.0.0.3/24".parse().unwrap() },
                Op::AddAddress { device: device("b", "lo"), address: "10.9.9.1/24".parse().unwrap() },
                Op::SetUp { device: edge },
            ],
        );
        bench.spawn("b", |sys: Sys| async move {
            let socket = sys.udp_socket().unwrap();
            socket.bind(SocketAddr::from(([0, 0, 0, 0], 4_000))).unwrap();
            loop {
                let _ = socket.receive().await;
            }
        });
        bench.run("b", |sys: Sys| async move { sys.sleep(Duration::from_secs(5)).await });
        let edge = bench.device("b", "tap0");
        Forger { bench, edge }
    }

    /// Lets a frame in, and returns the frames that come out.
    fn input(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        let mut engine = self.bench.engine.borrow_mut();
        engine.input(self.edge, frame);
        while engine.drain(1_000).unwrap() == Drained::More {}
        std::iter::from_fn(|| engine.take_output()).map(|(_, frame)| frame.bytes().to_vec()).collect()
    }

    /// Sends a datagram with these addresses in, and returns why it was dropped.
    fn send(&mut self, (source, destination): (&str, &str)) -> Option<DropReason> {
        let end = |address: &str, port| SocketAddr::new(address.parse().unwrap(), port);
        let packet = emit_udp(end(source, 1_111), end(destination, 4_000), 64, b"hello").unwrap();
        let group = matches!(destination, "255.255.255.255" | "10.0.0.255" | "224.0.0.1" | "239.1.1.1");
        let mut frame = if group { vec![0xff; 6] } else { OWN.0.to_vec() };
        frame.extend(OTHER);
        frame.extend([8, 0]);
        frame.extend(packet);
        let before = self.bench.engine.borrow().drops().clone();
        self.input(&frame);
        let after = self.bench.engine.borrow().drops().clone();
        after.into_iter().find(|(reason, count)| before.get(reason) != Some(count)).map(|(reason, _)| reason)
    }

    /// Whether an ARP request is answered.
    fn ask(&mut self, sender: [u8; 4], target: [u8; 4]) -> bool {
        let mut frame = vec![0xff; 6];
        frame.extend(OTHER);
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(OTHER);
        frame.extend(sender);
        frame.extend([0; 6]);
        frame.extend(target);
        let answered = |frame: &Vec<u8>| frame[12..14] == [8, 6] && frame[20..22] == [0, 2];
        self.input(&frame).iter().any(answered)
    }
}
