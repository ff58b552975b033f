//! How many ICMP messages a namespace sends, and what sets that. The numbers are those of Linux 6.18 in network namespaces.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::{Bench, default_route};
use linkspan::engine::event::EventKind;
use linkspan::engine::plan::{LinkQuality, NamespaceName, Op, Sysctl};
use linkspan::engine::sys::{Family, Sys};
use linkspan_nat::packet::PacketView;

/// Client `a` and a server `b` on a bridge of `host`, which forwards.
fn bench() -> Bench {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.container("b", "br0", "10.0.0.3/24", Some("10.0.0.1"));
    for (namespace, name, address) in
        [("host", "br0", "fd00::1/64"), ("a", "eth0", "fd00::2/64"), ("b", "eth0", "fd00::3/64")]
    {
        let device = common::device(namespace, name);
        bench.apply(namespace, vec![Op::add_address(device, address.parse().unwrap())]);
    }
    bench.apply("a", vec![default_route("a", "fd00::1")]);
    set(&mut bench, "host", "net/ipv4/ip_forward", "1");
    set(&mut bench, "host", "net/ipv6/conf/all/forwarding", "1");
    bench
}

fn set(bench: &mut Bench, namespace: &str, key: &str, value: &str) {
    let sysctl = Sysctl::parse(key, value).unwrap();
    let namespace = NamespaceName::new(namespace);
    bench.apply("settings", vec![Op::SetSysctl { namespace, sysctl }]);
}

/// Sends datagrams to a port where nobody listens, at the moments given in milliseconds; how many errors came each time.
async fn errors(sys: Sys, to: &'static str, bursts: &'static [(u64, usize)]) -> Vec<usize> {
    let began = sys.now();
    let mut counts = Vec::new();
    for (at, datagrams) in bursts {
        sys.sleep_until(began + Duration::from_millis(*at)).await;
        let mut count = 0;
        for _ in 0..*datagrams {
            let socket = sys.udp_socket().unwrap();
            socket.connect(SocketAddr::new(to.parse().unwrap(), 9)).unwrap();
            if socket.send(b"x").is_err() {
                continue;
            }
            // Where no wire delays, an error comes at once or never.
            let answer = sys.timeout(Duration::from_nanos(1), socket.receive()).await;
            count += usize::from(matches!(answer, Some(Err(_))));
        }
        counts.push(count);
    }
    counts
}

fn count(bench: &mut Bench, from: &str, to: &'static str, bursts: &'static [(u64, usize)]) -> Vec<usize> {
    bench.run(from, move |sys| errors(sys, to, bursts))
}

/// The counters of a namespace that have moved.
fn limited(bench: &mut Bench, namespace: &str) -> Vec<String> {
    bench.run(namespace, |sys| async move {
        let read = |path: &str| String::from_utf8(sys.read_file(path).unwrap()).unwrap();
        let (snmp, snmp6) = (read("/proc/net/snmp"), read("/proc/net/snmp6"));
        let icmp: Vec<&str> = snmp.lines().filter(|line| line.starts_with("Icmp:")).collect();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let pairs = words(icmp[0]).into_iter().zip(words(icmp[1])).skip(1);
        let six = snmp6.lines().map(|line| (words(line)[0].clone(), words(line)[1].clone()));
        pairs
            .chain(six)
            .filter(|(_, value)| value != "0")
            .map(|(name, value)| format!("{name} {value}"))
            .collect()
    })
}

#[test]
fn one_source_hears_six_errors_at_once_and_then_one_a_second() {
    let mut bench = bench();
    let bursts = &[(0, 30), (900, 5), (1_000, 5), (1_500, 5), (5_000, 5), (60_000, 30)];
    assert_eq!(count(&mut bench, "a", "10.0.0.3", bursts), [6, 0, 1, 0, 4, 6]);
    assert_eq!(limited(&mut bench, "b"), ["OutRateLimitHost 63"]);
    assert_eq!(limited(&mut bench, "host"), [""; 0]);
}

#[test]
fn of_icmpv6_ten_a_second() {
    let mut bench = bench();
    let bursts = &[(0, 30), (90, 5), (100, 5), (300, 5), (60_000, 30)];
    assert_eq!(count(&mut bench, "a", "fd00::3", bursts), [6, 0, 1, 2, 6]);
    assert_eq!(limited(&mut bench, "b"), ["Icmp6OutRateLimitHost 60"]);
}

#[test]
fn a_router_says_twice_that_it_has_no_route() {
    let mut bench = bench();
    assert_eq!(
        count(&mut bench, "a", "192.0.2.1", &[(0, 30), (1_000, 5), (3_000, 5), (60_000, 5)]),
        [2, 0, 1, 2]
    );
    // Only what is refused by the second of the two buckets is counted.
    assert_eq!(limited(&mut bench, "host"), ["OutRateLimitHost 3"]);
    assert_eq!(count(&mut bench, "a", "2001:db8::1", &[(0, 30)]), [6]);
}

#[test]
fn others_have_buckets_of_their_own_until_the_namespace_has_none_left() {
    let mut bench = bench();
    assert_eq!(count(&mut bench, "a", "10.0.0.3", &[(0, 30)]), [6]);
    assert_eq!(count(&mut bench, "host", "10.0.0.3", &[(0, 30)]), [6]);
    set(&mut bench, "b", "net/ipv4/icmp_ratelimit", "0");
    // 50 for all, of which 12 are gone.
    assert_eq!(count(&mut bench, "a", "10.0.0.3", &[(0, 60), (10, 60), (60, 60)]), [38, 0, 50]);
    assert_eq!(limited(&mut bench, "b"), ["OutRateLimitGlobal 92", "OutRateLimitHost 48"]);
    set(&mut bench, "b", "net/ipv4/icmp_msgs_per_sec", "0");
    assert_eq!(count(&mut bench, "a", "10.0.0.3", &[(5_000, 60)]), [0]);
}

#[test]
fn the_masks_say_what_is_limited() {
    let mut bench = bench();
    set(&mut bench, "b", "net/ipv4/icmp_ratemask", "6160");
    assert_eq!(count(&mut bench, "a", "10.0.0.3", &[(0, 100)]), [100], "destination unreachable is bit 3");
    set(&mut bench, "b", "net/ipv6/icmp/ratemask", "0,3-127");
    assert_eq!(count(&mut bench, "a", "fd00::3", &[(0, 100)]), [100], "destination unreachable is 1");
    // Echo replies are types 0 and 129, which are limited only when somebody says so.
    assert_eq!([echoes(&mut bench, "10.0.0.3"), echoes(&mut bench, "fd00::3")], [20, 20]);
    set(&mut bench, "b", "net/ipv4/icmp_ratemask", "1");
    set(&mut bench, "b", "net/ipv6/icmp/ratemask", "129");
    assert_eq!([echoes(&mut bench, "10.0.0.3"), echoes(&mut bench, "fd00::3")], [6, 6]);
}

#[test]
fn what_stays_at_home_is_not_limited() {
    let mut bench = bench();
    for own in ["127.0.0.1", "10.0.0.2", "fd00::2"] {
        assert_eq!(count(&mut bench, "a", own, &[(0, 100)]), [100], "{own}");
    }
}

#[test]
fn a_path_that_is_too_narrow_is_always_told() {
    let mut bench = bench();
    bench.machine("far", "203.0.113.2/24");
    bench.uplink_with_mtu("host", "eth0", "203.0.113.1/24", "far", LinkQuality::default(), 1_000);
    bench.engine.borrow_mut().watch(true);
    bench.run("a", |sys| async move {
        // Each destination's path is learned by itself.
        for number in 0..40 {
            let socket = sys.raw_socket(Family::Ipv4, 253).unwrap();
            socket.send_to(&[0; 1_400], IpAddr::from([203, 0, 113, 100 + number]), None).unwrap();
        }
        sys.sleep(Duration::from_millis(1)).await;
    });
    let eth0 = bench.device("a", "eth0");
    let events = bench.engine.borrow_mut().take_events();
    let told = events.iter().filter(|event| match &event.kind {
        EventKind::Received { device, frame } if *device == eth0 => {
            PacketView::parse(&frame[14..]).is_ok_and(|packet| packet.icmp_type_code() == Some((3, 4)))
        }
        _ => false,
    });
    assert_eq!(told.count(), 40);
}

/// How many of twenty echo requests are answered.
fn echoes(bench: &mut Bench, to: &'static str) -> usize {
    bench.run("a", move |sys| async move {
        let to: IpAddr = to.parse().unwrap();
        let mut answered = 0;
        for number in 0..20 {
            let family = match to {
                IpAddr::V4(_) => Family::Ipv4,
                IpAddr::V6(_) => Family::Ipv6,
            };
            let socket = sys.ping_socket(family).unwrap();
            let mut request = vec![if to.is_ipv4() { 8 } else { 128 }, 0, 0, 0, 0, 7, 0, number];
            if to.is_ipv4() {
                let sum = linkspan_nat::checksum::checksum(&request);
                request[2..4].copy_from_slice(&sum.to_be_bytes());
            }
            socket.send_to(&request, to, None).unwrap();
            answered += usize::from(sys.timeout(Duration::from_nanos(1), socket.receive()).await.is_some());
        }
        answered
    })
}
