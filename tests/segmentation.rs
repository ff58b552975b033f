//! TCP segmentation offload inside the engine: large frames between namespaces, segments wherever somebody could tell.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::Bench;
use linkspan::engine::event::{DropReason, Event, EventKind};
use linkspan::engine::plan::LinkQuality;
use linkspan_nat::packet::PacketView;
use linkspan_switch::ethernet::ETHERNET_HEADER_LEN;

const LENGTH: usize = 200_000;

fn data() -> Vec<u8> {
    (0..LENGTH).map(|index| (index * 7 + index / 251) as u8).collect()
}

/// Sends [`data`] from one namespace to an address of another; what arrived there.
fn transfer(bench: &mut Bench, from: &str, to: &str, address: &str) -> Vec<u8> {
    let received = Rc::new(RefCell::new(Vec::new()));
    let taken = received.clone();
    bench.spawn(to, |sys| async move {
        let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 1).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        loop {
            let part = stream.read(65_536).await.unwrap();
            if part.is_empty() {
                return;
            }
            taken.borrow_mut().extend(part);
        }
    });
    let address = format!("{address}:80").parse().unwrap();
    bench.run(from, |sys| async move {
        let stream = sys.tcp_connect(address).await.unwrap();
        stream.write_all(&data()).await.unwrap();
        stream.shutdown().unwrap();
        assert_eq!(stream.read(1).await.unwrap(), b"", "the other end closes");
    });
    received.take()
}

/// The TCP packets that a device received, whole and from the IP header on.
fn packets(events: &[Event], device: linkspan::engine::id::DeviceId) -> Vec<Vec<u8>> {
    let frames = events.iter().filter_map(|event| match &event.kind {
        EventKind::Received { device: d, frame } if *d == device => {
            Some(frame[ETHERNET_HEADER_LEN..].to_vec())
        }
        _ => None,
    });
    frames.filter(|packet| packet[0] == 0x45 && packet[9] == 6).collect()
}

fn pair() -> Bench {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.container("b", "br0", "10.0.0.3/24", Some("10.0.0.1"));
    bench
}

#[test]
fn between_containers_few_frames_carry_what_a_capture_shows_as_many() {
    let mut bench = pair();
    assert_eq!(transfer(&mut bench, "a", "b", "10.0.0.3"), data());
    let frames = |bench: &mut Bench| bench.run("b", |sys| async move { sys.interfaces() });
    let received = frames(&mut bench).iter().map(|i| i.counters.received_packets).sum::<u64>();
    assert!(received < LENGTH as u64 / 1_448 / 2, "{received} frames");

    let mut bench = pair();
    bench.engine.borrow_mut().watch(true);
    assert_eq!(transfer(&mut bench, "a", "b", "10.0.0.3"), data());
    let device = bench.device("b", "eth0");
    let events = bench.engine.borrow_mut().take_events();
    let packets = packets(&events, device);
    let mut next = None;
    let mut carried = 0;
    for packet in &packets {
        assert!(packet.len() <= 1_500, "{}", packet.len());
        let view = PacketView::parse(packet).unwrap();
        assert!(view.header_checksum_is_valid() && view.transport_checksum_is_valid());
        let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        let header = 20 + usize::from(packet[32] >> 4) * 4;
        let (sequence, length) = (word(24), packet.len() - header);
        let flags = u32::from(packet[33] & 3 != 0);
        assert!(next.is_none_or(|next| next == sequence), "in order and without a hole");
        next = Some(sequence.wrapping_add(length as u32 + flags));
        carried += length;
    }
    assert_eq!(carried, LENGTH);
    assert!(packets.len() >= LENGTH / 1_448, "{}", packets.len());
    let watched = frames(&mut bench).iter().map(|i| i.counters.received_packets).sum::<u64>();
    assert_eq!(watched, received, "watching changes nothing");
    assert_eq!(bench.engine.borrow().frames_outstanding(), 0);
}

#[test]
fn a_wire_that_loses_frames_loses_segments() {
    let mut bench = Bench::new(7);
    bench.machine("server", "203.0.113.1/24");
    bench.bridge("host", "br0", "10.0.0.1/24");
    let quality = LinkQuality { delay: Duration::from_millis(2), loss: 0.03, ..Default::default() };
    bench.uplink("host", "eth0", "203.0.113.2/24", "server", quality);
    bench.engine.borrow_mut().watch(true);
    assert_eq!(transfer(&mut bench, "host", "server", "203.0.113.1"), data());
    assert!(bench.drops(DropReason::LinkLoss) > 0);
    let device = bench.device("server", "eth0");
    let events = bench.engine.borrow_mut().take_events();
    assert!(packets(&events, device).iter().all(|packet| packet.len() <= 1_500));
    let most = events.iter().filter(|e| matches!(e.kind, EventKind::Queued { .. })).count();
    assert!(most > LENGTH / 1_448, "every segment takes the wire by itself: {most}");
}

#[test]
fn a_smaller_mtu_on_the_way_is_learnt_and_kept_to() {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    bench.container("a", "br0", "10.0.0.2/24", Some("10.0.0.1"));
    bench.machine("outside", "203.0.113.1/24");
    bench.uplink_with_mtu("host", "eth0", "203.0.113.10/24", "outside", LinkQuality::default(), 1_000);
    bench.iptables("host", "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o br0 -j MASQUERADE");
    bench.forward("host");
    bench.engine.borrow_mut().watch(true);
    assert_eq!(transfer(&mut bench, "a", "outside", "203.0.113.1"), data());
    assert!(bench.drops(DropReason::FragmentationNeeded) > 0);
    let device = bench.device("outside", "eth0");
    let events = bench.engine.borrow_mut().take_events();
    let packets = packets(&events, device);
    assert_eq!(packets.iter().map(Vec::len).max(), Some(1_000));
    assert!(packets.iter().all(|packet| PacketView::parse(packet).unwrap().transport_checksum_is_valid()));
}
