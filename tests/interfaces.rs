//! What interfaces take and refuse, by their own state and that of what is at their other end, as Linux was seen to do it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::Bench;
use linkspan::engine::event::DropReason;
use linkspan::engine::plan::NamespaceName;
use linkspan::engine::sys::{Change, Sys};
use linkspan::engine::view::InterfaceView;

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
