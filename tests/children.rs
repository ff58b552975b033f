//! Devices on top of a host's card, from outside: who hears whom in every mode of macvlan and ipvlan, by a switch that
//! reflects what comes from one port (802.1Qbg) and by an ordinary one.
//!
//! The tables are those of `ip-link(8)` and Documentation/networking/ipvlan.rst.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::time::Duration;

use common::{Bench, default_route, device};
use linkspan::engine::plan::{
    DeviceSpec, InterfaceName, IpvlanFlag, IpvlanMode, LinkQuality, MacvlanMode, NamespaceName, NextHop, Op,
};
use linkspan::engine::sys::Sys;

/// A host whose card is plugged into a switch, and a machine `out` on that switch; two children `a` and `b` of the card. Those
/// of a routed mode have a subnet of their own, which the machine reaches by the host.
fn bench(spec: &dyn Fn() -> DeviceSpec, reflects: bool, routed: bool) -> Bench {
    let mut bench = Bench::new(0);
    let nic = |device| Op::AddDevice { device, spec: DeviceSpec::Nic, mac: None, mtu: 1_500 };
    bench.bridge("switch", "br0", "192.0.2.1/24");
    bench.machine("host", "10.0.0.1/24");
    bench.machine("out", "10.0.0.9/24");
    for (machine, port, hairpin) in [("host", "port1", reflects), ("out", "port2", false)] {
        let port = device("switch", port);
        let bridge = InterfaceName::parse("br0").unwrap();
        bench.apply(
            "switch",
            vec![
                nic(port.clone()),
                Op::SetMaster { device: port.clone(), bridge, hairpin, isolated: false },
                Op::SetUp { device: port.clone() },
                Op::Connect {
                    a: device(machine, "eth0"),
                    b: port,
                    quality: Box::new([LinkQuality::default(); 2]),
                },
            ],
        );
    }
    let children = match routed {
        false => [("a", "10.0.0.2/24"), ("b", "10.0.0.3/24")],
        true => [("a", "10.9.0.2/24"), ("b", "10.9.0.3/24")],
    };
    if routed {
        let way = Op::AddRoute {
            namespace: NamespaceName::new("out"),
            destination: "10.9.0.0/24".parse().unwrap(),
            next_hop: NextHop::Gateway("10.0.0.1".parse().unwrap()),
            device: None,
            source: None,
            metric: 0,
        };
        bench.apply("out", vec![way]);
    }
    for (name, address) in children {
        let eth0 = device(name, "eth0");
        let mut ops = vec![
            Op::AddNamespace {
                namespace: NamespaceName::new(name),
                disable_ipv6: false,
                ipv4_forward: false,
                unprivileged: false,
            },
            Op::AddDevice { device: eth0.clone(), spec: spec(), mac: None, mtu: 1_500 },
            Op::add_address(eth0.clone(), address.parse().unwrap()),
            Op::SetUp { device: eth0 },
        ];
        if routed {
            ops.push(Op::AddRoute {
                namespace: NamespaceName::new(name),
                destination: "0.0.0.0/0".parse().unwrap(),
                next_hop: NextHop::OnLink,
                device: Some(InterfaceName::parse("eth0").unwrap()),
                source: None,
                metric: 0,
            });
        } else {
            ops.push(default_route(name, "10.0.0.9"));
        }
        bench.apply(name, ops);
    }
    bench
}

/// A datagram there and one back.
async fn asks(sys: Sys, to: &'static str) -> bool {
    let socket = sys.udp_socket().unwrap();
    let sent = socket.send_to(b"hello", to.parse().unwrap()).is_ok();
    sent && matches!(sys.timeout(Duration::from_secs(5), socket.receive()).await, Some(Ok(_)))
}

/// Who hears whom, as rows `from to`.
fn heard(spec: &dyn Fn() -> DeviceSpec, reflects: bool, routed: bool) -> Vec<&'static str> {
    let mut bench = bench(spec, reflects, routed);
    for place in ["host", "out", "a", "b"] {
        bench.spawn(place, |sys| async move {
            let socket = sys.udp_socket().unwrap();
            socket.bind("0.0.0.0:7".parse().unwrap()).unwrap();
            while let Ok(datagram) = socket.receive().await {
                // Whoever has no way back is not heard.
                let _ = socket.send_to(&datagram.payload, datagram.source);
            }
        });
    }
    let b = if routed { "10.9.0.3:7" } else { "10.0.0.3:7" };
    let attempts = [
        ("a", "a b", b),
        ("a", "a out", "10.0.0.9:7"),
        ("out", "out b", b),
        ("a", "a host", "10.0.0.1:7"),
        ("host", "host b", b),
        ("host", "host out", "10.0.0.9:7"),
    ];
    let heard = attempts.into_iter().filter(|(from, _, to)| bench.run(from, |sys| asks(sys, to)));
    heard.map(|(_, row, _)| row).collect()
}

#[test]
fn macvlan_modes_decide_who_hears_whom() {
    let on = |mode| move || DeviceSpec::Macvlan { parent: device("host", "eth0"), mode };
    let outside = ["a out", "out b", "host out"];
    let all = ["a b", "a out", "out b", "host out"];
    for (mode, plain, reflecting) in [
        (MacvlanMode::Bridge, &all[..], &all[..]),
        (MacvlanMode::Private, &outside[..], &outside[..]),
        (MacvlanMode::Vepa, &outside[..], &all[..]),
    ] {
        assert_eq!(heard(&on(mode), false, false), plain, "{mode}");
        // A card whose switch reflects hears its own host's broadcasts, too, and so do the children: their host is heard.
        let found = heard(&on(mode), true, false);
        let found: Vec<&str> = found.into_iter().filter(|row| !matches!(*row, "a host" | "host b")).collect();
        assert_eq!(found, reflecting, "{mode} and a switch that reflects");
    }
}

#[test]
fn ipvlan_modes_and_flags_decide_who_hears_whom() {
    let on = |mode, flag| move || DeviceSpec::Ipvlan { parent: device("host", "eth0"), mode, flag };
    let outside = ["a out", "out b", "host out"];
    let all = ["a b", "a out", "out b", "host out"];
    for mode in [IpvlanMode::L2, IpvlanMode::L3, IpvlanMode::L3s] {
        for (flag, expected) in [
            (IpvlanFlag::Bridge, &all[..]),
            (IpvlanFlag::Private, &outside[..]),
            (IpvlanFlag::Vepa, &outside[..]),
        ] {
            let found = heard(&on(mode, flag), false, mode != IpvlanMode::L2);
            assert_eq!(found, expected, "{mode:?} {flag:?}");
        }
    }
}

/// What the LAN says to everybody reaches every child and the parent's own stack once.
#[test]
fn broadcasts_of_the_lan_reach_every_child() {
    for mode in [MacvlanMode::Bridge, MacvlanMode::Private, MacvlanMode::Vepa] {
        let mut bench = bench(&|| DeviceSpec::Macvlan { parent: device("host", "eth0"), mode }, false, false);
        let received = |bench: &mut Bench, place: &str| {
            let interfaces = bench.run(place, |sys| async move { sys.interfaces() });
            let eth0 = interfaces.into_iter().find(|interface| interface.name == "eth0").unwrap();
            eth0.counters.received_packets
        };
        // Duplicate address detection is over.
        bench.run("out", |sys| async move { sys.sleep(Duration::from_secs(5)).await });
        let before = ["a", "b", "host"].map(|place| received(&mut bench, place));
        // Three ARP requests for somebody who is not there.
        assert!(!bench.run("out", |sys| asks(sys, "10.0.0.77:7")));
        let after = ["a", "b", "host"].map(|place| received(&mut bench, place));
        assert_eq!(after, before.map(|count| count + 3), "{mode}");
    }
}

/// The one child of a passthru parent has its hardware address, and everything that arrives.
#[test]
fn a_passthru_child_is_its_parent_to_the_lan() {
    let mut bench = Bench::new(0);
    bench.machine("host", "10.0.0.1/24");
    bench.machine("out", "10.0.0.9/24");
    let quality = Box::new([LinkQuality::default(); 2]);
    bench.apply("wire", vec![Op::Connect { a: device("host", "eth0"), b: device("out", "eth0"), quality }]);
    let spec = DeviceSpec::Macvlan { parent: device("host", "eth0"), mode: MacvlanMode::Passthru };
    let eth0 = device("a", "eth0");
    let ops = vec![
        Op::AddNamespace {
            namespace: NamespaceName::new("a"),
            disable_ipv6: false,
            ipv4_forward: false,
            unprivileged: false,
        },
        Op::AddDevice { device: eth0.clone(), spec, mac: None, mtu: 1_500 },
        Op::add_address(eth0.clone(), "10.0.0.2/24".parse().unwrap()),
        Op::SetUp { device: eth0 },
    ];
    bench.apply("a", ops);
    let mac = |bench: &mut Bench, place: &str| {
        let interfaces = bench.run(place, |sys| async move { sys.interfaces() });
        interfaces.into_iter().find(|interface| interface.name == "eth0").unwrap().mac
    };
    assert_eq!(mac(&mut bench, "a"), mac(&mut bench, "host"));
    bench.spawn("a", |sys| async move {
        let socket = sys.udp_socket().unwrap();
        socket.bind("0.0.0.0:7".parse().unwrap()).unwrap();
        while let Ok(datagram) = socket.receive().await {
            let _ = socket.send_to(&datagram.payload, datagram.source);
        }
    });
    assert!(bench.run("out", |sys| asks(sys, "10.0.0.2:7")));
    assert!(
        !bench.run("out", |sys| asks(sys, "10.0.0.1:7")),
        "the host's own address hears nothing any more"
    );
}
