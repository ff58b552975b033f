//! Duplicate address detection, as RFC 4862 section 5.4 has it and Linux does it: who asks, how often, and what becomes of an
//! address that somebody else has.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::net::Ipv6Addr;
use std::time::Duration;

use common::{Bench, device};
use linkspan::engine::Drained;
use linkspan::engine::event::EventKind;
use linkspan::engine::plan::{InterfaceParameter, NamespaceName, Op, SettingScope, Sysctl};
use linkspan::engine::sys::{Change, DuplicateDetection, Family};
use linkspan::engine::view::AddressState;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::packet::PacketView;

const SHARED: &str = "fd00::5/64";

/// Containers `a` and `b` on a bridge of `host`; those that are named ask.
fn pair(asking: &[&str]) -> Bench {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    for (container, address) in [("a", "10.0.0.2/24"), ("b", "10.0.0.3/24")] {
        bench.container(container, "br0", address, None);
    }
    asking.iter().for_each(|container| set(&mut bench, container, "accept_dad", 1));
    bench
}

fn set(bench: &mut Bench, namespace: &str, parameter: &str, value: i64) {
    let scope = SettingScope::Interface(InterfaceName::parse("eth0").unwrap());
    let parameter = InterfaceParameter::find(Family::Ipv6, parameter).unwrap();
    let (namespace, sysctl) = (NamespaceName::new(namespace), Sysctl::interface(scope, parameter, value));
    bench.apply("settings", vec![Op::SetSysctl { namespace, sysctl }]);
}

fn change(bench: &Bench, namespace: &str, change: &Change) {
    let mut engine = bench.engine.borrow_mut();
    let id = engine.namespace(&NamespaceName::new(namespace)).unwrap();
    engine.administer(id, change).unwrap();
}

fn add(bench: &Bench, namespace: &str, detection: DuplicateDetection) {
    change(bench, namespace, &Change::AddAddress("eth0".to_owned(), SHARED.parse().unwrap(), detection));
}

fn remove(bench: &Bench, namespace: &str) {
    change(bench, namespace, &Change::RemoveAddress("eth0".to_owned(), SHARED.parse().unwrap()));
}

/// Everything under way arrives, at a moment.
fn until(bench: &Bench, milliseconds: u64) {
    let mut engine = bench.engine.borrow_mut();
    let end = Duration::from_millis(milliseconds);
    loop {
        while engine.drain(1_000).unwrap() == Drained::More {}
        match engine.deadline() {
            Some((due, _)) if due <= end => engine.advance(due),
            _ => return engine.advance(end),
        }
    }
}

/// What a container shows of the address.
fn state(bench: &Bench, namespace: &str) -> Option<AddressState> {
    let engine = bench.engine.borrow();
    let id = engine.namespace(&NamespaceName::new(namespace)).unwrap();
    let eth0 = engine.interfaces(id).into_iter().find(|interface| interface.name == "eth0").unwrap();
    let shared = SHARED.parse().unwrap();
    eth0.addresses.iter().find(|held| held.address == shared).map(|held| held.state)
}

/// The packets of IPv6 that left a container since it was watched, and when.
fn sent(bench: &Bench, namespace: &str) -> Vec<(Duration, Vec<u8>)> {
    let eth0 = bench.device(namespace, "eth0");
    let events = bench.engine.borrow_mut().take_events();
    let frames = events.iter().filter_map(|event| match &event.kind {
        EventKind::Transmitted { device, frame } if *device == eth0 && frame[12..14] == [0x86, 0xdd] => {
            Some((event.time, frame[14..].to_vec()))
        }
        _ => None,
    });
    frames.collect()
}

#[test]
fn an_address_is_asked_for_once_and_is_ones_own_after_a_second() {
    let bench = pair(&["a"]);
    bench.engine.borrow_mut().watch(true);
    add(&bench, "a", DuplicateDetection::Wanted);
    until(&bench, 999);
    assert_eq!(state(&bench, "a"), Some(AddressState::Tentative));
    until(&bench, 5_000);
    assert_eq!(state(&bench, "a"), Some(AddressState::Valid));
    let sent = sent(&bench, "a");
    let [(time, packet)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(*time, Duration::ZERO);
    let view = PacketView::parse(packet).unwrap();
    assert_eq!(view.source(), Ipv6Addr::UNSPECIFIED);
    assert_eq!(view.destination(), "ff02::1:ff00:5".parse::<Ipv6Addr>().unwrap());
    assert_eq!((view.ttl(), view.icmp_type_code()), (255, Some((135, 0))));
    assert!(view.transport_checksum_is_valid());
    assert_eq!(
        packet.len(),
        64,
        "RFC 4861 section 4.3: no option of the link layer from the unspecified address"
    );
}

#[test]
fn whoever_asks_for_an_address_that_somebody_has_does_not_get_it() {
    let bench = pair(&["b"]);
    add(&bench, "a", DuplicateDetection::Wanted);
    add(&bench, "b", DuplicateDetection::Wanted);
    bench.engine.borrow_mut().watch(true);
    until(&bench, 0);
    let events = bench.engine.borrow_mut().take_events();
    let refused = events.iter().find_map(|event| match event.kind {
        EventKind::DuplicateAddress { device, address, mac } => Some((device, address, mac)),
        _ => None,
    });
    let (device, address, mac) = refused.unwrap();
    assert_eq!(
        (device, address.to_string(), mac.is_some()),
        (bench.device("b", "eth0"), "fd00::5".to_owned(), true)
    );
    until(&bench, 5_000);
    assert_eq!(
        [state(&bench, "a"), state(&bench, "b")],
        [Some(AddressState::Valid), Some(AddressState::Duplicate)]
    );
    // It is taken as if it were there, and free when it is not.
    remove(&bench, "b");
    assert_eq!(state(&bench, "b"), None);
    remove(&bench, "a");
    add(&bench, "b", DuplicateDetection::Wanted);
    until(&bench, 7_000);
    assert_eq!(state(&bench, "b"), Some(AddressState::Valid));
}

#[test]
fn two_that_ask_at_the_same_time_both_leave_it() {
    let bench = pair(&["a", "b"]);
    add(&bench, "a", DuplicateDetection::Wanted);
    add(&bench, "b", DuplicateDetection::Wanted);
    until(&bench, 5_000);
    assert_eq!([state(&bench, "a"), state(&bench, "b")], [Some(AddressState::Duplicate); 2]);
}

#[test]
fn nobody_asks_with_nodad_or_without_accept_dad() {
    let bench = pair(&["a"]);
    bench.engine.borrow_mut().watch(true);
    add(&bench, "a", DuplicateDetection::Omitted);
    assert_eq!(state(&bench, "a"), Some(AddressState::Undetected));
    add(&bench, "b", DuplicateDetection::Wanted);
    assert_eq!(state(&bench, "b"), Some(AddressState::Valid));
    until(&bench, 5_000);
    assert_eq!(sent(&bench, "a"), []);
}

#[test]
fn an_address_is_asked_for_as_often_as_dad_transmits_says() {
    let mut bench = pair(&["a"]);
    set(&mut bench, "a", "dad_transmits", 3);
    bench.engine.borrow_mut().watch(true);
    add(&bench, "a", DuplicateDetection::Wanted);
    until(&bench, 2_999);
    assert_eq!(state(&bench, "a"), Some(AddressState::Tentative));
    until(&bench, 3_000);
    assert_eq!(state(&bench, "a"), Some(AddressState::Valid));
    let times: Vec<u64> = sent(&bench, "a").iter().map(|(time, _)| time.as_secs()).collect();
    assert_eq!(times, [0, 1, 2]);
}

#[test]
fn a_bridge_asks_when_it_has_a_port_that_carries() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    let scope = SettingScope::Interface(InterfaceName::parse("br0").unwrap());
    let sysctl = Sysctl::interface(scope, InterfaceParameter::ACCEPT_DAD, 1);
    let br0 = device("host", "br0");
    bench.apply(
        "settings",
        vec![
            Op::SetSysctl { namespace: NamespaceName::new("host"), sysctl },
            Op::add_address(br0, SHARED.parse().unwrap()),
        ],
    );
    let state = |bench: &Bench| {
        let engine = bench.engine.borrow();
        let id = engine.namespace(&NamespaceName::new("host")).unwrap();
        let br0 = engine.interfaces(id).into_iter().find(|interface| interface.name == "br0").unwrap();
        br0.addresses.iter().find(|held| held.address == SHARED.parse().unwrap()).unwrap().state
    };
    until(&bench, 10_000);
    assert_eq!(state(&bench), AddressState::Tentative);
    bench.container("a", "br0", "10.0.0.2/24", None);
    until(&bench, 10_999);
    assert_eq!(state(&bench), AddressState::Tentative);
    until(&bench, 11_000);
    assert_eq!(state(&bench), AddressState::Valid);
}
