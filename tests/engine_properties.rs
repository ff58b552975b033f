//! What holds for any plan, topology, frame and wire: plans leave nothing behind, a frame is delivered at most once
//! per port, bytes from outside never do harm, and TCP delivers exactly what was sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::{Bench, device};
use linkspan::engine::event::EventKind;
use linkspan::engine::plan::{DeviceSpec, LinkQuality, NamespaceName, Op, Owner, Plan, Sysctl};
use linkspan::engine::sys::{Family, Sys};
use linkspan::engine::{Drained, Engine};
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::ruleset::Table;
use proptest::prelude::*;

fn few(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Lets everything that is under way end.
fn quiesce(engine: &mut Engine) {
    for _ in 0..200_000 {
        while engine.drain(10_000).unwrap() == Drained::More {}
        while engine.take_output().is_some() {}
        match engine.deadline() {
            Some((time, _)) => engine.advance(time),
            None => return,
        }
    }
    panic!("the engine never comes to rest");
}

/// One echo request; what comes back is not asked for.
async fn ping(sys: Sys, to: IpAddr) {
    let socket = sys.raw_socket(Family::Ipv4, 1).unwrap();
    let mut message = vec![8, 0, 0, 0, 1, 2, 0, 1];
    message.extend_from_slice(&[7; 40]);
    let sum = linkspan_nat::checksum::checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let _ = socket.send_to(&message, to, None);
    sys.timeout(Duration::from_secs(1), socket.receive()).await;
}

/// What can be seen of a namespace, as text.
fn seen(bench: &Bench, namespace: &str) -> String {
    let engine = bench.engine.borrow();
    let id = engine.namespace(&NamespaceName::new(namespace)).unwrap();
    let rules: Vec<String> = [Table::Filter, Table::Nat]
        .into_iter()
        .map(|table| {
            let rules = engine.rules(id, Family::Ipv4).unwrap();
            format!("{:?}", linkspan_nat::text_list::list_save(rules, table, None, None, false))
        })
        .collect();
    let tables = bench.tables(namespace);
    format!("{tables:?} {:?} {rules:?} {:?}", engine.routes(id, Family::Ipv6), engine.neighbours(id))
}

/// A small piece of configuration of its own, as a driver would plan it.
fn piece(kind: u8, number: u32) -> Vec<Op> {
    let host = NamespaceName::new("host");
    let octet = u8::try_from(number % 200).unwrap();
    let bridge = device("host", &format!("p{number}"));
    let new_bridge = |address: String| {
        vec![
            Op::AddDevice { device: bridge.clone(), spec: DeviceSpec::Bridge, mac: None, mtu: 1_500 },
            Op::add_address(bridge.clone(), address.parse().unwrap()),
            Op::SetUp { device: bridge.clone() },
        ]
    };
    match kind % 6 {
        0 => new_bridge(format!("10.{octet}.0.1/24")),
        1 => {
            // A whole container on the bridge that is always there.
            let name = format!("c{number}");
            let (end, eth0) = (device("host", &format!("v{number}")), device(&name, "eth0"));
            vec![
                Op::AddNamespace {
                    namespace: NamespaceName::new(&name),
                    disable_ipv6: number.is_multiple_of(2),
                    ipv4_forward: number.is_multiple_of(3),
                    unprivileged: false,
                },
                Op::AddDevice {
                    device: end.clone(),
                    spec: DeviceSpec::Veth { peer: eth0.clone(), peer_mac: None, moved: false },
                    mac: None,
                    mtu: 1_500,
                },
                Op::SetMaster {
                    device: end.clone(),
                    bridge: InterfaceName::parse("br0").unwrap(),
                    hairpin: number.is_multiple_of(3),
                    isolated: false,
                },
                Op::SetUp { device: end },
                Op::add_address(eth0.clone(), format!("10.250.1.{octet}/16").parse().unwrap()),
                Op::SetUp { device: eth0 },
                common::default_route(&name, "10.250.0.1"),
            ]
        }
        2 => {
            let chain: Arc<str> = format!("CHAIN{number}").into();
            vec![
                Op::AddChain {
                    namespace: host.clone(),
                    family: Family::Ipv4,
                    table: Table::Filter,
                    chain: chain.clone(),
                },
                Op::AddRule {
                    namespace: host,
                    family: Family::Ipv4,
                    table: Table::Filter,
                    chain,
                    position: linkspan::engine::plan::Position::Append,
                    rule: Arc::default(),
                },
            ]
        }
        3 => {
            let mut ops = new_bridge(format!("fd00:{number:x}::1/64"));
            ops.push(Op::SetSysctl {
                namespace: host,
                sysctl: Sysctl::route_localnet(InterfaceName::parse(&format!("p{number}")).unwrap(), true),
            });
            ops
        }
        4 => {
            let dummy = device("host", &format!("d{number}"));
            vec![
                Op::AddDevice { device: dummy.clone(), spec: DeviceSpec::Dummy, mac: None, mtu: 9_000 },
                Op::SetUp { device: dummy.clone() },
                Op::SetDown { device: dummy },
            ]
        }
        _ => vec![
            Op::SetSysctl { namespace: host.clone(), sysctl: Sysctl::Ipv4Forward(number.is_multiple_of(2)) },
            Op::SetSysctl { namespace: host, sysctl: Sysctl::LocalPortRange(20_000, 30_000) },
        ],
    }
}

proptest! {
    #![proptest_config(few(128))]

    #[test]
    fn plans_undo_to_nothing(
        seed in 0u64..8,
        kinds in proptest::collection::vec(any::<(u8, u16)>(), 1..14),
        traffic in any::<bool>(),
    ) {
        let mut bench = Bench::new(seed);
        bench.bridge("host", "br0", "10.250.0.1/16");
        bench.container("fixed", "br0", "10.250.0.9/16", Some("10.250.0.1"));
        quiesce(&mut bench.engine.borrow_mut());
        let (before, inside) = (seen(&bench, "host"), seen(&bench, "fixed"));
        let owned = bench.engine.borrow().owned();
        let spaces = bench.engine.borrow().namespace_ids();

        let mut owners: Vec<(u16, Owner)> = Vec::new();
        for (number, (kind, order)) in kinds.iter().enumerate() {
            let owner = Owner::Network(1_000 + number as u32);
            let mut plan = Plan::new();
            piece(*kind, number as u32 + 1).into_iter().for_each(|op| plan.push(owner, op));
            let result = bench.engine.borrow_mut().apply(&plan);
            prop_assert!(result.is_ok(), "{result:?}");
            // Sysctls that several set go back in reverse order only.
            owners.push((if kind % 6 == 5 { u16::MAX - number as u16 } else { order % 1_000 }, owner));
        }
        if traffic {
            for number in 1..=kinds.len() {
                let to: IpAddr = format!("10.250.1.{number}").parse().unwrap();
                bench.run("host", |sys| ping(sys, to));
            }
        }
        owners.sort();
        for (_, owner) in owners {
            let mut plan = Plan::new();
            plan.remove_owner(owner);
            bench.engine.borrow_mut().apply(&plan).unwrap();
        }
        quiesce(&mut bench.engine.borrow_mut());
        prop_assert_eq!(&bench.engine.borrow().owned(), &owned);
        prop_assert_eq!(bench.engine.borrow().namespace_ids(), spaces);
        prop_assert_eq!(bench.engine.borrow().frames_outstanding(), 0);
        if !traffic {
            prop_assert_eq!(seen(&bench, "host"), before);
            prop_assert_eq!(seen(&bench, "fixed"), inside);
        }
    }

    /// A plan that fails half-way leaves nothing either.
    #[test]
    fn a_plan_that_fails_changes_nothing(kinds in proptest::collection::vec(any::<u8>(), 1..6)) {
        let mut bench = Bench::new(0);
        bench.bridge("host", "br0", "10.250.0.1/16");
        quiesce(&mut bench.engine.borrow_mut());
        let (before, owned) = (seen(&bench, "host"), bench.engine.borrow().owned());
        let mut plan = Plan::new();
        for (number, kind) in kinds.iter().enumerate() {
            let ops = piece(*kind, number as u32 + 1);
            ops.into_iter().for_each(|op| plan.push(Owner::Network(number as u32), op));
        }
        plan.push(Owner::Network(99), Op::SetUp { device: device("host", "nosuch") });
        prop_assert!(bench.engine.borrow_mut().apply(&plan).is_err());
        quiesce(&mut bench.engine.borrow_mut());
        prop_assert_eq!(seen(&bench, "host"), before);
        prop_assert_eq!(bench.engine.borrow().owned(), owned);
        prop_assert_eq!(bench.engine.borrow().namespace_ids().len(), 1);
    }

    /// Bridges in a random tree, containers at random places, anyone talks to anyone.
    #[test]
    fn a_frame_is_delivered_at_most_once_per_port(
        seed in 0u64..4,
        parents in proptest::collection::vec(any::<u8>(), 1..6),
        places in proptest::collection::vec(any::<u8>(), 2..8),
        talks in proptest::collection::vec(any::<(u8, u8)>(), 1..10),
    ) {
        let mut bench = Bench::new(seed);
        bench.bridge("host", "b0", "10.0.0.1/24");
        for (index, parent) in parents.iter().enumerate() {
            let name = format!("b{}", index + 1);
            bench.bridge("host", &name, &format!("10.0.{}.1/24", index + 1));
            let parent = format!("b{}", usize::from(*parent) % (index + 1));
            bench.cable("host", &name, &parent, index as u32);
        }
        for (index, place) in places.iter().enumerate() {
            let bridge = format!("b{}", usize::from(*place) % (parents.len() + 1));
            bench.container(&format!("c{index}"), &bridge, &format!("10.0.0.{}/24", index + 10), None);
        }
        bench.engine.borrow_mut().watch(true);
        for (from, to) in &talks {
            let (from, to) = (usize::from(*from) % places.len(), usize::from(*to) % places.len());
            // Past the last container nobody answers: the question floods.
            let to: IpAddr = format!("10.0.0.{}", to + if from == to { 99 } else { 10 }).parse().unwrap();
            bench.run(&format!("c{from}"), |sys| ping(sys, to));
        }
        let mut received: BTreeMap<_, u32> = BTreeMap::new();
        for event in bench.engine.borrow_mut().take_events() {
            if let EventKind::Received { device, .. } = event.kind {
                *received.entry((event.trace.0, device)).or_default() += 1;
            }
        }
        prop_assert!(received.len() > talks.len());
        let twice: Vec<_> = received.iter().filter(|(_, count)| **count > 1).collect();
        prop_assert!(twice.is_empty(), "{twice:?}");
        quiesce(&mut bench.engine.borrow_mut());
        prop_assert_eq!(bench.engine.borrow().frames_outstanding(), 0);
    }
}

/// A host with two outside edges: one is a port of a bridge with a container, one has an address of its own, and
/// everything is translated and filtered.
fn exposed(seed: u64) -> Bench {
    let mut bench = Bench::new(seed);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("c", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    let (port, edge) = (device("host", "tap0"), device("host", "tap1"));
    let external = |device: &linkspan::engine::plan::DeviceName| Op::AddDevice {
        device: device.clone(),
        spec: DeviceSpec::External,
        mac: None,
        mtu: 1_500,
    };
    let ops = vec![
        external(&port),
        Op::SetMaster {
            device: port.clone(),
            bridge: InterfaceName::parse("br0").unwrap(),
            hairpin: false,
            isolated: false,
        },
        Op::SetUp { device: port },
        external(&edge),
        Op::add_address(edge.clone(), "203.0.113.10/24".parse().unwrap()),
        Op::add_address(edge.clone(), "fd00:1::1/64".parse().unwrap()),
        Op::SetUp { device: edge },
    ];
    bench.apply("edges", ops);
    bench.forward("host");
    bench.iptables("host", "-t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80");
    bench.iptables("host", "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o br0 -j MASQUERADE");
    bench.iptables("host", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    bench.iptables("host", "-A FORWARD -p udp -j REJECT");
    bench.spawn("c", |sys| async move {
        let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 4).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"hello").await;
        }
    });
    bench
}

/// Frames that parse: what a machine on a wire sends and hears, with its traffic turned into raw material.
fn samples() -> Vec<Vec<u8>> {
    let mut bench = exposed(0);
    bench.engine.borrow_mut().watch(true);
    let to: IpAddr = "10.0.0.2".parse().unwrap();
    bench.run("host", |sys| ping(sys, to));
    bench.run("c", |sys| ping(sys, "203.0.113.77".parse().unwrap()));
    bench.run("host", |sys| async move {
        let stream = sys.tcp_connect("10.0.0.2:80".parse().unwrap()).await.unwrap();
        let _ = stream.read(10).await;
        let socket = sys.udp_socket().unwrap();
        let _ = socket.send_to(&[1; 3_000], "10.0.0.2:53".parse().unwrap());
        sys.sleep(Duration::from_secs(1)).await;
    });
    let events = bench.engine.borrow_mut().take_events();
    let frames = events.into_iter().filter_map(|event| match event.kind {
        EventKind::Transmitted { frame, .. } if frame.len() >= 14 => Some(frame.to_vec()),
        _ => None,
    });
    let mut frames: Vec<Vec<u8>> = frames.collect();
    frames.sort();
    frames.dedup();
    frames
}

/// What happens to a frame before it comes in.
#[derive(Debug, Clone)]
enum Hostile {
    Noise(Vec<u8>),
    /// A sample with bytes replaced, cut to a length, addressed to the edge, with its checksums made right again.
    Mutated {
        sample: usize,
        edits: Vec<(usize, u8)>,
        length: Option<usize>,
        mend: bool,
    },
}

fn hostile() -> impl Strategy<Value = Hostile> {
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..200).prop_map(Hostile::Noise),
        4 => (any::<usize>(), proptest::collection::vec((0usize..90, any::<u8>()), 0..6), proptest::option::weighted(0.2, 0usize..120), any::<bool>())
            .prop_map(|(sample, edits, length, mend)| Hostile::Mutated { sample, edits, length, mend }),
    ]
}

fn build(hostile: &Hostile, samples: &[Vec<u8>], mac: [u8; 6]) -> Vec<u8> {
    match hostile {
        Hostile::Noise(bytes) => bytes.clone(),
        Hostile::Mutated { sample, edits, length, mend } => {
            let mut frame = samples[sample % samples.len()].clone();
            if sample % 3 != 0 {
                frame[..6].copy_from_slice(&mac);
            }
            for (at, value) in edits {
                if let Some(byte) = frame.get_mut(*at) {
                    *byte = *value;
                }
            }
            frame.truncate(length.unwrap_or(usize::MAX));
            if *mend {
                mend_checksums(&mut frame);
            }
            frame
        }
    }
}

/// Right checksums let a wrong packet in deeper.
fn mend_checksums(frame: &mut [u8]) {
    if frame.get(12..14) != Some(&[8, 0]) || frame.len() < 34 {
        return;
    }
    let header = usize::from(frame[14] & 15) * 4;
    if header < 20 || frame.len() < 14 + header {
        return;
    }
    frame[24..26].fill(0);
    let sum = linkspan_nat::checksum::checksum(&frame[14..14 + header]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    let Ok(view) = linkspan_nat::packet::PacketView::parse(&frame[14..]) else { return };
    let (source, destination, protocol) = (view.source(), view.destination(), view.protocol());
    let (start, end) = (14 + header, 14 + view.layout().available_length());
    let field = match protocol {
        1 => start + 2,
        6 => start + 16,
        17 => start + 6,
        _ => return,
    };
    if field + 2 > end {
        return;
    }
    frame[field..field + 2].fill(0);
    let segment = &frame[start..end];
    let sum = match protocol {
        1 => linkspan_nat::checksum::checksum(segment),
        _ => linkspan_nat::checksum::transport(source, destination, protocol, segment),
    };
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

proptest! {
    #![proptest_config(few(256))]

    #[test]
    fn bytes_from_outside_do_no_harm(
        seed in 0u64..4,
        frames in proptest::collection::vec((any::<bool>(), hostile(), 0u64..40_000), 1..60),
    ) {
        let samples = samples();
        prop_assert!(samples.len() >= 12, "{}", samples.len());
        let mut bench = exposed(seed);
        bench.run("c", |sys| async move { sys.sleep(Duration::from_millis(1)).await });
        let ports = [bench.device("host", "tap0"), bench.device("host", "tap1")];
        let macs = ["br0", "tap1"].map(|name| {
            let engine = bench.engine.borrow();
            let id = engine.namespace(&NamespaceName::new("host")).unwrap();
            engine.interfaces(id).into_iter().find(|i| i.name == name).unwrap().mac.0
        });
        for (side, frame, pause) in &frames {
            let side = usize::from(*side);
            let frame = build(frame, &samples, macs[side]);
            let mut engine = bench.engine.borrow_mut();
            engine.input(ports[side], &frame);
            while engine.drain(10_000).unwrap() == Drained::More {}
            while let Some((_, out)) = engine.take_output() {
                prop_assert!(out.bytes().len() >= 14);
            }
            let until = engine.now() + Duration::from_millis(*pause);
            while let Some((time, _)) = engine.deadline().filter(|(time, _)| *time <= until) {
                engine.advance(time);
                while engine.drain(10_000).unwrap() == Drained::More {}
            }
            engine.advance(until);
        }
        // The container still answers.
        bench.run("host", |sys| async move {
            let stream = sys.tcp_connect("10.0.0.2:80".parse().unwrap()).await.unwrap();
            assert_eq!(stream.read(10).await.unwrap(), b"hello");
        });
        quiesce(&mut bench.engine.borrow_mut());
        prop_assert_eq!(bench.engine.borrow().frames_outstanding(), 0);
    }
}

fn quality() -> impl Strategy<Value = LinkQuality> {
    (
        0u64..40,
        0u64..10,
        0.0..0.08f64,
        0.0..0.3f64,
        0.0..0.5f64,
        proptest::option::of(1_000_000u64..100_000_000),
    )
        .prop_map(|(delay, jitter, loss, duplicate, reorder, rate)| LinkQuality {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            rate,
            queue: None,
            loss,
            duplicate,
            reorder,
            cut: false,
        })
}

proptest! {
    #![proptest_config(few(96))]

    #[test]
    fn tcp_delivers_exactly_what_was_sent_over_any_wire(
        seed in any::<u64>(),
        quality in quality(),
        there in proptest::collection::vec(any::<u8>(), 0..60_000),
        back in proptest::collection::vec(any::<u8>(), 0..20_000),
        mtu in 576u32..1_501,
    ) {
        let mut bench = Bench::new(seed);
        bench.bridge("host", "br0", "10.0.0.1/24");
        bench.machine("server", "203.0.113.1/24");
        bench.uplink_with_mtu("host", "eth0", "203.0.113.10/24", "server", quality, mtu);
        let got = Rc::new(RefCell::new(None));
        let (slot, answer) = (got.clone(), back.clone());
        bench.spawn("server", |sys| async move {
            let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 4).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let data = stream.read_to_end(1 << 20).await.unwrap();
            *slot.borrow_mut() = Some(data);
            stream.write_all(&answer).await.unwrap();
            stream.shutdown().unwrap();
            sys.sleep(Duration::from_secs(300)).await;
        });
        let sent = there.clone();
        let received = bench.run("host", |sys| async move {
            let server: SocketAddr = "203.0.113.1:80".parse().unwrap();
            // Three lost ARP requests are an unreachable host, and the next attempt asks anew.
            let mut attempt = sys.tcp_connect(server).await;
            while attempt.is_err() {
                attempt = sys.tcp_connect(server).await;
            }
            let stream = attempt.unwrap();
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().unwrap();
            stream.read_to_end(1 << 20).await.unwrap()
        });
        prop_assert!(got.borrow().as_deref() == Some(&there[..]), "the server got something else");
        prop_assert!(received == back, "the client got something else");
        quiesce(&mut bench.engine.borrow_mut());
        prop_assert_eq!(bench.engine.borrow().frames_outstanding(), 0);
    }
}

/// The receiver's buffer fills for a moment, and the acknowledgment that says so is overtaken by the one that says it
/// is empty again.
#[test]
fn a_closed_window_that_comes_late_stops_nothing() {
    let quality = LinkQuality {
        delay: Duration::from_millis(18),
        rate: Some(9_995_439),
        loss: 0.079_261_218_762_114_14,
        duplicate: 0.010_557_179_961_073_184,
        reorder: 0.328_752_078_646_880_8,
        ..LinkQuality::default()
    };
    for seed in [1_803_820_308_833_641_256].into_iter().chain(0..200) {
        let mut bench = Bench::new(seed);
        bench.bridge("host", "br0", "10.0.0.1/24");
        bench.machine("server", "203.0.113.1/24");
        bench.uplink_with_mtu("host", "eth0", "203.0.113.10/24", "server", quality, 1_087);
        bench.spawn("server", |sys| async move {
            let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 4).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.read_to_end(1 << 20).await;
            }
        });
        let result = bench.run("host", |sys| async move {
            let server: SocketAddr = "203.0.113.1:80".parse().unwrap();
            let mut attempt = sys.tcp_connect(server).await;
            while attempt.is_err() {
                attempt = sys.tcp_connect(server).await;
            }
            let stream = attempt.unwrap();
            let written = stream.write_all(&[7; 50_188]).await;
            (written, sys.now())
        });
        assert_eq!(result.0, Ok(()), "seed {seed}");
        assert!(result.1 < Duration::from_secs(300), "seed {seed} took {:?}", result.1);
    }
}
