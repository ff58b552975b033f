//! The engine from outside: plans in, packets and programs' system calls, tables and events out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use common::{Bench, default_route, device};
use linkspan::engine::event::{DropReason, EventKind, NeighbourState};
use linkspan::engine::plan::{LinkQuality, Op, Owner, Plan};
use linkspan::engine::sys::{Errno, Family, FlowFilter, Sys};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Sends one echo request and waits for its answer: round-trip time, or the error.
async fn ping(sys: &Sys, to: &str) -> Option<Duration> {
    let to: std::net::IpAddr = to.parse().unwrap();
    let (family, protocol, kind) = if to.is_ipv4() { (Family::Ipv4, 1, 8) } else { (Family::Ipv6, 58, 128) };
    let socket = sys.raw_socket(family, protocol).unwrap();
    let mut message = vec![kind, 0, 0, 0, 0x12, 0x34, 0, 1];
    message.extend_from_slice(&[7; 56]);
    if to.is_ipv4() {
        let sum = linkspan_nat::checksum::checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    let sent = sys.now();
    socket.send_to(&message, to, None).ok()?;
    let reply = if to.is_ipv4() { 0 } else { 129 };
    let answered = async {
        loop {
            let packet = socket.receive().await.unwrap();
            let view = linkspan_nat::packet::PacketView::parse(&packet.payload).unwrap();
            if view.icmp_type_code() == Some((reply, 0)) {
                return;
            }
        }
    };
    sys.timeout(seconds(10), answered).await.map(|()| sys.now() - sent)
}

#[test]
fn two_namespaces_on_a_bridge_ping() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.container("b", "br0", "10.0.0.3/24", Some("10.0.0.1"));
    let answer = bench.run("a", |sys| async move { ping(&sys, "10.0.0.3").await });
    assert_eq!(answer, Some(Duration::ZERO), "veths and bridges cost no time");
    let neighbours = bench.run("a", |sys| async move { sys.neighbours() });
    assert_eq!(neighbours.len(), 1);
    assert_eq!(neighbours[0].state, NeighbourState::Reachable);
    let fdb = bench.run("host", |sys| async move { sys.fdb() });
    assert_eq!(fdb.iter().filter(|e| !e.permanent).count(), 2, "{fdb:?}");
}

#[test]
fn a_fresh_ping_is_four_frames_on_the_bridge() {
    // As recorded in tests/oracle/packets/01: broadcast ARP request, unicast reply, echo request, echo reply; 42, 42, 98, 98 bytes.
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    bench.container("b", "br0", "10.0.0.3/24", None);
    bench.engine.borrow_mut().watch(true);
    bench.run("a", |sys| async move { ping(&sys, "10.0.0.3").await });
    let device = bench.device("b", "eth0");
    let events = bench.engine.borrow_mut().take_events();
    let sizes: Vec<usize> = events
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::Received { device: d, frame } | EventKind::Transmitted { device: d, frame }
                if *d == device =>
            {
                Some(frame.len())
            }
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [42, 42, 98, 98]);
}

#[test]
fn nobody_home_is_three_arp_requests_and_no_route_to_host() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    bench.engine.borrow_mut().watch(true);
    let (error, at) = bench.run("a", |sys| async move {
        let error = sys.tcp_connect("10.0.0.9:80".parse().unwrap()).await.err();
        (error, sys.now())
    });
    assert_eq!(error, Some(Errno::HostUnreachable));
    assert_eq!(at, seconds(3));
    let device = bench.device("a", "eth0");
    let events = bench.engine.borrow_mut().take_events();
    let sent =
        events.iter().filter(|e| matches!(&e.kind, EventKind::Transmitted { device: d, .. } if *d == device));

    assert_eq!(sent.map(|e| e.time).collect::<Vec<_>>(), [seconds(0), seconds(1), seconds(2)]);
    assert_eq!(bench.drops(DropReason::NeighbourFailed), 2, "the SYN and its repetition waited");
}

#[test]
fn udp_and_tcp_reach_sockets_and_errors_come_back_as_errno() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    bench.container("b", "br0", "10.0.0.3/24", None);
    bench.spawn("b", |sys| async move {
        let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 16).unwrap();
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let question = stream.read(100).await.unwrap();
            let answer = format!("{peer} said {}", String::from_utf8_lossy(&question));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    bench.spawn("b", |sys| async move {
        let socket = sys.udp_socket().unwrap();
        socket.bind("0.0.0.0:53".parse().unwrap()).unwrap();
        loop {
            let datagram = socket.receive().await.unwrap();
            socket.send_to(&datagram.payload, datagram.source).unwrap();
        }
    });
    bench.run("a", |sys| async move {
        let stream = sys.tcp_connect("10.0.0.3:80".parse().unwrap()).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let answer = stream.read_to_end(1_000).await.unwrap();
        let local = stream.local_address().unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), format!("{local} said hello"));

        let refused = sys.tcp_connect("10.0.0.3:81".parse().unwrap()).await.err();
        assert_eq!(refused, Some(Errno::ConnectionRefused));
        let unreachable = sys.tcp_connect("192.168.7.7:80".parse().unwrap()).await.err();
        assert_eq!(unreachable, Some(Errno::NetworkUnreachable));

        let socket = sys.udp_socket().unwrap();
        socket.send_to(&[1, 2, 3], "10.0.0.3:53".parse().unwrap()).unwrap();
        let echo = socket.receive().await.unwrap();
        assert_eq!(&echo.payload[..], [1, 2, 3]);
        let connected = sys.udp_socket().unwrap();
        connected.connect("10.0.0.3:54".parse().unwrap()).unwrap();
        connected.send(b"x").unwrap();
        assert_eq!(connected.receive().await.err(), Some(Errno::ConnectionRefused));
    });
}

#[test]
fn a_router_forwards_masquerades_and_publishes() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.machine("outside", "203.0.113.1/24");
    bench.uplink(
        "host",
        "eth0",
        "203.0.113.10/24",
        "outside",
        LinkQuality { delay: Duration::from_millis(1), ..Default::default() },
    );
    bench.forward("host");
    for rule in [
        "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o br0 -j MASQUERADE",
        "-t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80",
        "-P FORWARD DROP",
        "-A FORWARD -i br0 -j ACCEPT",
        "-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -d 10.0.0.2/32 ! -i br0 -o br0 -p tcp -m tcp --dport 80 -j ACCEPT",
    ] {
        bench.iptables("host", rule);
    }
    let peer = Rc::new(RefCell::new(Vec::<SocketAddr>::new()));
    for name in ["a", "outside"] {
        let peers = peer.clone();
        bench.spawn(name, move |sys| async move {
            let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 16).unwrap();
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                peers.borrow_mut().push(peer);
                stream.write_all(b"welcome").await.unwrap();
            }
        });
    }
    bench.run("a", |sys| async move {
        let stream = sys.tcp_connect("203.0.113.1:80".parse().unwrap()).await.unwrap();
        assert_eq!(stream.read(10).await.unwrap(), b"welcome");
        assert_eq!(ping(&sys, "203.0.113.1").await, Some(Duration::from_millis(2)));
    });
    assert_eq!(peer.borrow().last().unwrap().ip().to_string(), "203.0.113.10", "masqueraded");
    bench.run("outside", |sys| async move {
        let stream = sys.tcp_connect("203.0.113.10:8080".parse().unwrap()).await.unwrap();
        assert_eq!(stream.read(10).await.unwrap(), b"welcome");
    });
    assert_eq!(peer.borrow().last().unwrap().ip().to_string(), "203.0.113.1", "the client's own address");
    bench.run("outside", |sys| async move {
        let blocked = sys.timeout(seconds(5), sys.tcp_connect("10.0.0.2:80".parse().unwrap())).await;
        assert!(
            matches!(blocked, Some(Err(Errno::NetworkUnreachable))),
            "outside has no route to containers"
        );
    });
    let connections = bench.run("host", |sys| async move { sys.connections(&FlowFilter::default()) });
    assert!(
        connections.iter().any(|c| c.contains("dport=8080") && c.contains("src=10.0.0.2")),
        "{connections:#?}"
    );
}

#[test]
fn big_datagrams_are_cut_and_put_together_through_nat() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.machine("outside", "203.0.113.1/24");
    bench.uplink_with_mtu("host", "eth0", "203.0.113.10/24", "outside", LinkQuality::default(), 1_400);
    bench.forward("host");
    bench.iptables("host", "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o br0 -j MASQUERADE");
    bench.iptables("host", "-t nat -A PREROUTING -p udp --dport 5353 -j DNAT --to-destination 10.0.0.2:53");
    for name in ["a", "outside"] {
        bench.spawn(name, move |sys| async move {
            let socket = sys.udp_socket().unwrap();
            socket.bind("0.0.0.0:53".parse().unwrap()).unwrap();
            loop {
                let datagram = socket.receive().await.unwrap();
                socket.send_to(&datagram.payload, datagram.source).unwrap();
            }
        });
    }
    for (from, to) in [("a", "203.0.113.1:53"), ("outside", "203.0.113.10:5353")] {
        bench.run(from, move |sys| async move {
            let payload: Vec<u8> = (0..3_000u32).map(|i| i as u8).collect();
            let socket = sys.udp_socket().unwrap();
            socket.send_to(&payload, to.parse().unwrap()).unwrap();
            let answer = sys.timeout(seconds(5), socket.receive()).await.expect("no answer").unwrap();
            assert!(answer.payload == payload, "the payload changed");
            assert_eq!(answer.source, to.parse().unwrap());
        });
    }
    let answered = bench.run("a", |sys| async move {
        let socket = sys.raw_socket(Family::Ipv4, 1).unwrap();
        let mut message = vec![8, 0, 0, 0, 0, 1, 0, 1];
        message.resize(3_008, 9);
        let sum = linkspan_nat::checksum::checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        socket.send_to(&message, "203.0.113.1".parse().unwrap(), None).unwrap();
        sys.timeout(seconds(5), socket.receive()).await.map(|r| r.unwrap().payload.len())
    });
    assert_eq!(answered, Some(3_028));
}

#[test]
fn ipv6_neighbours_find_each_other() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "fd00::2/64", None);
    bench.container("b", "br0", "fd00::3/64", None);
    assert_eq!(bench.run("a", |sys| async move { ping(&sys, "fd00::3").await }), Some(Duration::ZERO));
    let link_local = bench.run("b", |sys| async move { sys.interfaces()[1].addresses.clone() });
    assert!(link_local.iter().any(|a| a.address.to_string().starts_with("fe80::")), "{link_local:?}");
    let connected =
        bench.run("a", |sys| async move { sys.tcp_connect("[fd00::3]:80".parse().unwrap()).await.err() });
    assert_eq!(connected, Some(Errno::ConnectionRefused));
}

#[test]
fn listeners_of_one_family_share_a_port_and_a_dual_stack_one_does_not() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    let seen = bench.run("a", |sys| async move {
        let everywhere = "[::]:80".parse().unwrap();
        let v4 = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 1).unwrap();
        let both = sys.tcp_listen(everywhere, 1).err();
        let v6 = sys.tcp_listen_one_family(everywhere, 1).unwrap();
        let _client = sys.tcp_connect("[::1]:80".parse().unwrap()).await.unwrap();
        let by_v6 = v6.accept().await.unwrap().1;
        let _other = sys.tcp_connect("127.0.0.1:80".parse().unwrap()).await.unwrap();
        let by_v4 = v4.accept().await.unwrap().1;
        (both, by_v6.is_ipv6(), by_v4.is_ipv4())
    });
    assert_eq!(seen, (Some(Errno::AddressInUse), true, true));
}

#[test]
fn bridge_netfilter_lets_the_hosts_rules_stop_neighbours() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    bench.container("b", "br0", "10.0.0.3/24", None);
    bench.forward("host");
    bench.iptables("host", "-A FORWARD -i br0 -o br0 -j DROP");
    assert_eq!(bench.run("a", |sys| async move { ping(&sys, "10.0.0.3").await }), None);
    assert_eq!(bench.drops(DropReason::Filtered), 1);
    assert_eq!(bench.run("a", |sys| async move { ping(&sys, "10.0.0.1").await }), Some(Duration::ZERO));
}

#[test]
fn a_veth_pair_is_a_wire_once_it_is_told_and_ideal_again_without_the_owner() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    let (inner, outer) = (device("a", "eth0"), device("host", "vetha"));
    let slow = LinkQuality { delay: Duration::from_millis(10), ..LinkQuality::default() };
    bench.apply("fault", vec![Op::SetLink { device: inner.clone(), quality: slow }]);
    let (out, back) = (bench.engine.borrow().wire_end(&inner), bench.engine.borrow().wire_end(&outer));
    assert_eq!(out, Some((outer.clone(), slow)));
    assert_eq!(back, Some((inner.clone(), LinkQuality::default())));
    let answer = bench.run("a", |sys| async move { ping(&sys, "10.0.0.1").await });
    assert_eq!(answer, Some(Duration::from_millis(20)), "the ARP request and the echo request, one way each");

    bench.apply("cut", vec![Op::SetLink { device: outer, quality: LinkQuality { cut: true, ..slow } }]);
    assert_eq!(bench.run("a", |sys| async move { ping(&sys, "10.0.0.1").await }), None);
    assert!(bench.drops(DropReason::LinkCut) > 0);

    bench.remove("cut");
    bench.remove("fault");
    assert_eq!(bench.run("a", |sys| async move { ping(&sys, "10.0.0.1").await }), Some(Duration::ZERO));
    bench.remove("a");
    assert_eq!(bench.engine.borrow().wire_end(&inner), None);
    assert_eq!(bench.engine.borrow().frames_outstanding(), 0);
}

#[test]
fn an_owner_takes_everything_with_it() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    let before = format!("{:?}", bench.tables("host"));
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    assert_ne!(format!("{:?}", bench.tables("host")), before);
    bench.remove("a");
    assert_eq!(format!("{:?}", bench.tables("host")), before);
    assert_eq!(bench.engine.borrow().frames_outstanding(), 0);
}

#[test]
fn a_plan_that_fails_leaves_nothing() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    let before = format!("{:?}", bench.tables("host"));
    let mut plan = Plan::new();
    let owner = Owner::Network(77);
    plan.push(owner, Op::add_address(common::device("host", "br0"), "10.9.0.1/24".parse().unwrap()));
    plan.push(owner, Op::SetUp { device: common::device("host", "nosuch") });
    let error = bench.engine.borrow_mut().apply(&plan).unwrap_err();
    assert_eq!(error.to_string(), "there is no device nosuch in host; add it before using it");
    assert_eq!(format!("{:?}", bench.tables("host")), before);
    assert!(!bench.engine.borrow().owned().contains_key(&owner));
}

#[test]
fn a_bridge_loop_ends_with_a_clear_error() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.bridge("host", "br1", "10.1.0.1/24");
    bench.cable("host", "br0", "br1", 1);
    bench.cable("host", "br0", "br1", 2);
    let error = bench.try_run("host", |sys| async move { ping(&sys, "10.0.0.9").await }).unwrap_err();
    assert!(error.to_string().starts_with("packet storm on "), "{error}");
}

#[test]
fn a_reject_of_a_published_port_comes_back_translated() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.machine("outside", "203.0.113.1/24");
    bench.uplink("host", "eth0", "203.0.113.10/24", "outside", LinkQuality::default());
    bench.forward("host");
    bench.iptables("host", "-t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80");
    bench.iptables("host", "-A FORWARD -p tcp --dport 80 -j REJECT");
    let error = bench.run("outside", |sys| async move {
        sys.tcp_connect("203.0.113.10:8080".parse().unwrap()).await.err()
    });
    assert_eq!(error, Some(Errno::ConnectionRefused), "the ICMP error quotes the address the client knows");
    assert_eq!(
        bench.drops(DropReason::Rejected),
        2,
        "the first error comes inside of connect and waits for the second SYN"
    );
}

#[test]
fn tcpmss_clamps_what_a_syn_announces() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.machine("outside", "203.0.113.1/24");
    bench.uplink_with_mtu("host", "eth0", "203.0.113.10/24", "outside", LinkQuality::default(), 1_400);
    bench.forward("host");
    bench.iptables("host", "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o br0 -j MASQUERADE");
    bench.iptables(
        "host",
        "-t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
    );
    bench.engine.borrow_mut().watch(true);
    bench.spawn("outside", |sys| async move {
        let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 16).unwrap();
        let _ = listener.accept().await;
    });
    bench.run("a", |sys| async move { sys.tcp_connect("203.0.113.1:80".parse().unwrap()).await.unwrap() });
    let device = bench.device("outside", "eth0");
    let events = bench.engine.borrow_mut().take_events();
    let sizes: Vec<u16> = events
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::Received { device: d, frame } if *d == device && frame.len() > 54 => {
                let view = linkspan_nat::packet::PacketView::parse(&frame[14..]).ok()?;
                assert!(view.transport_checksum_is_valid());
                let options = view.tcp_options()?;
                (options.first() == Some(&2)).then(|| u16::from_be_bytes([options[2], options[3]]))
            }
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [1_360], "1,400 less the headers");
}

/// What a device received, and when.
fn received(bench: &Bench, device: linkspan::engine::id::DeviceId) -> Vec<(Duration, Vec<u8>)> {
    let events = bench.engine.borrow_mut().take_events();
    let frames = events.into_iter().filter_map(|event| match event.kind {
        EventKind::Received { device: d, frame } if d == device => Some((event.time, frame.to_vec())),
        _ => None,
    });
    frames.collect()
}

fn announce(namespace: &str, address: &str) -> Op {
    Op::Announce {
        device: common::device(namespace, "eth0"),
        address: address.parse().unwrap(),
        messages: 3,
        interval: seconds(1),
    }
}

#[test]
fn an_address_is_announced_thrice_and_corrects_who_knew_it() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    bench.container("bystander", "br0", "10.0.0.8/24", None);
    bench.container("old", "br0", "10.0.0.3/24", None);
    assert!(bench.run("a", |sys| async move { ping(&sys, "10.0.0.3").await }).is_some());
    bench.remove("old");
    bench.container("new", "br0", "10.0.0.3/24", None);
    assert_eq!(
        bench.run("a", |sys| async move { sys.timeout(seconds(1), ping(&sys, "10.0.0.3")).await.flatten() }),
        None,
        "the address is known under the card that is gone"
    );
    bench.engine.borrow_mut().watch(true);
    let began = bench.engine.borrow().now();
    bench.apply("announcement", vec![announce("new", "10.0.0.3")]);
    bench.engine.borrow_mut().drain(10_000).unwrap();
    assert_eq!(bench.run("a", |sys| async move { ping(&sys, "10.0.0.3").await }), Some(Duration::ZERO));
    let before = bench.drops(DropReason::NotForUs);
    bench.run("a", |sys| async move { sys.sleep(seconds(10)).await });
    let heard = received(&bench, bench.device("bystander", "eth0"));
    // Of ARP messages only an announcement has one address as sender and target.
    let announced = |frame: &[u8]| frame[12..14] == [8, 6] && frame[28..32] == frame[38..42];
    let times = heard.iter().filter(|(_, frame)| announced(frame)).map(|(time, _)| *time - began);
    assert_eq!(times.collect::<Vec<_>>(), [seconds(0), seconds(1), seconds(2)]);
    let known = bench.run("bystander", |sys| async move { sys.neighbours() });
    assert!(known.is_empty(), "an announcement makes no entry: {known:?}");
    assert_eq!(bench.drops(DropReason::NotForUs), before, "it is for everyone");
}

#[test]
fn announcements_end_with_their_owner_and_with_the_address() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    bench.container("b", "br0", "10.0.0.3/24", None);
    bench.engine.borrow_mut().watch(true);
    bench.apply("owned", vec![announce("b", "10.0.0.3"), announce("b", "10.0.0.99")]);
    bench.run("a", |sys| async move { sys.sleep(Duration::from_millis(1_500)).await });
    bench.remove("owned");
    bench.run("a", |sys| async move { sys.sleep(seconds(10)).await });
    let heard = received(&bench, bench.device("a", "eth0"));
    let times: Vec<Duration> = heard.iter().map(|(time, ..)| *time).collect();
    assert_eq!(times, [seconds(0), seconds(1)], "an address the device has not is never announced");
    assert_eq!(bench.engine.borrow_mut().deadline(), None, "nothing is left to do");
}

#[test]
fn an_ipv6_address_is_announced_by_an_advertisement_to_all_nodes() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "fd00::1/64");
    bench.container("a", "br0", "fd00::2/64", None);
    bench.container("old", "br0", "fd00::3/64", None);
    assert!(bench.run("a", |sys| async move { ping(&sys, "fd00::3").await }).is_some());
    bench.remove("old");
    bench.container("new", "br0", "fd00::3/64", None);
    bench.engine.borrow_mut().watch(true);
    bench.apply("announcement", vec![announce("new", "fd00::3")]);
    bench.engine.borrow_mut().drain(10_000).unwrap();
    assert_eq!(bench.run("a", |sys| async move { ping(&sys, "fd00::3").await }), Some(Duration::ZERO));
    let heard = received(&bench, bench.device("a", "eth0"));
    let frame = &heard[0].1;
    assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
    // Behind Ethernet and IPv6: type 136, the override flag alone, the address.
    assert_eq!((frame[54], frame[58]), (136, 0x20));
    assert_eq!(frame[62..78], "fd00::3".parse::<std::net::Ipv6Addr>().unwrap().octets());
}

#[test]
fn a_masqueraded_packet_takes_the_address_of_the_next_hops_subnet() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.machine("outside", "203.0.113.1/24");
    bench.uplink("host", "eth0", "10.5.0.1/24", "outside", LinkQuality::default());
    let second = Op::add_address(device("host", "eth0"), "203.0.113.10/24".parse().unwrap());
    bench.apply("second", vec![second, default_route("host", "203.0.113.1")]);
    let other = Op::add_address(device("outside", "eth0"), "198.51.100.7/32".parse().unwrap());
    bench.apply("other", vec![other]);
    bench.forward("host");
    bench.iptables("host", "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o br0 -j MASQUERADE");
    bench.iptables("host", "-t nat -A POSTROUTING -o lo -p icmp -j MASQUERADE");
    let answer = bench.run("a", |sys| async move { ping(&sys, "198.51.100.7").await });
    assert!(answer.is_some(), "10.5.0.1 is no address that outside could answer");
    let answer = bench.run("host", |sys| async move { ping(&sys, "10.0.0.1").await });
    assert!(answer.is_some());
    let connections = bench.run("host", |sys| async move { sys.connections(&FlowFilter::default()) });
    assert!(connections.iter().any(|c| c.contains("src=10.0.0.1 dst=10.0.0.1")), "{connections:#?}");
    assert!(
        !connections.iter().any(|c| c.contains("dst=127.0.0.1")),
        "a host scope address: {connections:#?}"
    );
}

#[test]
fn the_unspecified_address_is_loopback() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.spawn("host", |sys| async move {
        let listener = sys.tcp_listen("127.0.0.1:80".parse().unwrap(), 16).unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.1");
        stream.write_all(b"welcome").await.unwrap();
    });
    bench.run("host", |sys| async move {
        let stream = sys.tcp_connect("0.0.0.0:80".parse().unwrap()).await.unwrap();
        assert_eq!(stream.read(10).await.unwrap(), b"welcome");
        let socket = sys.udp_socket().unwrap();
        socket.bind("127.0.0.1:53".parse().unwrap()).unwrap();
        let client = sys.udp_socket().unwrap();
        client.send_to(b"x", "0.0.0.0:53".parse().unwrap()).unwrap();
        assert_eq!(socket.receive().await.unwrap().payload, &b"x"[..]);
        assert_eq!(ping(&sys, "0.0.0.0").await, Some(Duration::ZERO));
        assert_eq!(ping(&sys, "::").await, Some(Duration::ZERO));
    });
}

#[test]
fn a_bridge_forgets_who_was_behind_a_port_that_lost_its_carrier() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", None);
    bench.container("b", "br0", "10.0.0.3/24", None);
    assert!(bench.run("a", |sys| async move { ping(&sys, "10.0.0.3").await }).is_some());
    bench.apply("down", vec![Op::SetDown { device: device("a", "eth0") }]);
    let fdb = bench.run("host", |sys| async move { sys.fdb() });
    assert_eq!(fdb.iter().filter(|entry| !entry.permanent).count(), 1, "{fdb:?}");
}
