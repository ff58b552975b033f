//! What interfaces take and refuse, by their own state and that of what is at their other end, as Linux was seen to do it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Bench, device};
use linkspan::engine::Drained;
use linkspan::engine::event::DropReason;
use linkspan::engine::id::DeviceId;
use linkspan::engine::plan::{DeviceSpec, MacAddress, NamespaceName, Op, Sysctl};
use linkspan::engine::sys::{Change, DuplicateDetection, NewDevice, Sys};
use linkspan::engine::view::InterfaceView;
use linkspan_nat::emit::emit_udp;
use linkspan_nat::interface::InterfaceName;

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
    let bench = pair();
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

/// The same datagrams under `rp_filter` and `accept_local`, as Linux 6.18 took and refused them.
#[test]
fn a_source_is_asked_for_its_way_back() {
    use DropReason::{LocalSource, Martian, ReversePath};
    let pairs = [
        ("10.0.0.2", "10.0.0.3"),
        ("10.0.0.3", "10.0.0.3"),
        ("10.9.9.1", "10.0.0.3"),
        ("10.0.0.255", "10.0.0.3"),
        ("10.0.0.0", "10.0.0.3"),
        ("9.9.9.9", "10.0.0.3"),
        ("9.9.9.9", "10.0.0.255"),
        ("172.30.0.9", "10.0.0.3"),
        ("0.0.0.0", "255.255.255.255"),
    ];
    let mut stage = Forger::new();
    let mut ends = |settings: &[(&str, &str)]| {
        settings.iter().for_each(|(key, value)| stage.set(key, value));
        pairs.map(|pair| stage.send(pair))
    };
    let (local, martian, path) = (Some(LocalSource), Some(Martian), Some(ReversePath));
    assert_eq!(ends(&[("tap0/rp_filter", "1")]), [None, local, local, martian, None, path, path, path, None]);
    // The interface that the packet came by is not where 172.30.0.9 is, but one is.
    assert_eq!(ends(&[("tap0/rp_filter", "2")]), [None, local, local, martian, None, path, path, None, None]);
    assert_eq!(
        ends(&[("tap0/rp_filter", "1"), ("all/accept_local", "1")]),
        [None, None, path, martian, None, path, path, path, None]
    );
    assert_eq!(ends(&[("tap0/rp_filter", "0")]), [None; 9]);
    // The larger of `all` and the interface's own counts.
    assert_eq!(ends(&[("all/rp_filter", "2"), ("tap0/rp_filter", "1")])[7], None);
    assert_eq!(ends(&[("all/rp_filter", "1"), ("tap0/rp_filter", "0")])[7], path);
    assert_eq!(
        ends(&[("all/rp_filter", "0"), ("default/rp_filter", "1")])[7],
        None,
        "it has a value of its own"
    );
}

/// What a DNAT rule leads from port to port of one bridge is routed, so that its source counts, though it is never received.
#[test]
fn a_bridged_packet_that_is_translated_is_asked_for_its_source() {
    let mut stage = Forger::new();
    let bridge = InterfaceName::parse("spare").unwrap();
    stage.bench.apply(
        "port",
        vec![
            Op::RemoveAddress { device: device("b", "tap0"), address: "10.0.0.3/24".parse().unwrap() },
            Op::SetMaster { device: device("b", "tap0"), bridge, hairpin: true, isolated: false },
        ],
    );
    stage.bench.forward("b");
    stage.bench.iptables("b", "-t nat -A PREROUTING -d 10.0.0.3 -j DNAT --to-destination 172.30.0.8");
    assert_eq!(stage.send(("10.9.9.1", "10.0.0.3")), Some(DropReason::LocalSource));
    assert_eq!(stage.send(("127.0.0.2", "10.0.0.3")), Some(DropReason::Martian));
    assert_eq!(stage.send(("172.30.0.7", "10.0.0.3")), None, "it waits for its neighbour");
}

/// Which requests are answered, as Linux 6.18 did: by the address asked for, by who asks, and with 3 not for addresses that
/// are local only because `lo` has their network.
#[test]
fn arp_ignore_says_which_requests_are_answered() {
    let asked = [
        ([10, 0, 0, 2], [10, 0, 0, 3]),
        ([0, 0, 0, 0], [10, 0, 0, 3]),
        ([10, 0, 0, 2], [10, 9, 9, 1]),
        ([10, 0, 0, 2], [10, 9, 9, 7]),
        ([10, 0, 0, 2], [172, 30, 0, 1]),
        ([9, 9, 9, 9], [10, 0, 0, 3]),
    ];
    for (value, answers) in [
        ("0", [true; 6]),
        ("1", [true, true, false, false, false, true]),
        ("2", [true, true, false, false, false, false]),
        ("3", [true, true, true, false, true, true]),
        ("8", [false; 6]),
    ] {
        let mut stage = Forger::new();
        stage.set("tap0/arp_ignore", value);
        assert_eq!(asked.map(|(sender, target)| stage.ask(sender, target)), answers, "arp_ignore {value}");
    }
    let mut stage = Forger::new();
    stage.set("tap0/rp_filter", "1");
    assert!(!stage.ask([9, 9, 9, 9], [10, 0, 0, 3]), "who could not be answered anyway");
}

/// Linux 6.18: a neighbour is asked for in the name of the packet that waits, unless `arp_announce` forbids it.
#[test]
fn arp_announce_says_in_whose_name_a_neighbour_is_asked_for() {
    for (value, source, announced) in [
        ("0", [10, 9, 9, 1], [10, 9, 9, 1]),
        ("0", [10, 0, 0, 33], [10, 0, 0, 33]),
        ("1", [10, 9, 9, 1], [10, 0, 0, 3]),
        ("1", [10, 0, 0, 33], [10, 0, 0, 33]),
        ("2", [10, 0, 0, 33], [10, 0, 0, 3]),
    ] {
        let mut stage = Forger::new();
        let second = Change::AddAddress(
            "tap0".to_owned(),
            "10.0.0.33/24".parse().unwrap(),
            DuplicateDetection::Wanted,
        );
        change(&stage.bench, "b", &second);
        stage.set("tap0/arp_announce", value);
        while stage.bench.engine.borrow_mut().take_output().is_some() {}
        stage.bench.run("b", move |sys: Sys| async move {
            let socket = sys.udp_socket().unwrap();
            socket.bind(SocketAddr::from((source, 0))).unwrap();
            socket.send_to(b"x", SocketAddr::from(([10, 0, 0, 99], 5))).unwrap();
        });
        let mut engine = stage.bench.engine.borrow_mut();
        while engine.drain(1_000).unwrap() == Drained::More {}
        let requests = std::iter::from_fn(|| engine.take_output());
        let asks = |frame: &[u8]| frame[12..14] == [8, 6] && frame[38..42] == [10, 0, 0, 99];
        let request = requests.map(|(_, frame)| frame.bytes().to_vec()).find(|frame| asks(frame)).unwrap();
        assert_eq!(request[28..32], announced, "arp_announce {value} from {source:?}");
    }
}

/// With `proxy_arp` a router answers for those behind its other interfaces, if the interface forwards.
#[test]
fn proxy_arp_answers_for_those_behind_another_interface() {
    let mut stage = Forger::new();
    let sender = [10, 0, 0, 2];
    let (behind, same_link, nowhere) = ([172, 30, 0, 77], [10, 0, 0, 9], [8, 8, 8, 8]);
    stage.set("tap0/proxy_arp", "1");
    assert!(!stage.ask(sender, behind), "it does not forward");
    stage.set("tap0/forwarding", "1");
    assert!(stage.ask(sender, behind));
    assert!(!stage.ask(sender, same_link) && !stage.ask(sender, nowhere) && !stage.ask([0; 4], behind));
    stage.set("tap0/proxy_arp", "0");
    assert!(!stage.ask(sender, behind));
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
                Op::add_address(edge.clone(), "10.0.0.3/24".parse().unwrap()),
                Op::add_address(device("b", "lo"), "10.9.9.1/24".parse().unwrap()),
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

    /// Sets a parameter below `net/ipv4/conf`.
    fn set(&mut self, key: &str, value: &str) {
        let sysctl = Sysctl::parse(&format!("net/ipv4/conf/{key}"), value).unwrap();
        change(&self.bench, "b", &Change::SetSysctl(sysctl));
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
