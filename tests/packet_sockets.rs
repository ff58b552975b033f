//! Packet sockets and raw packets as programs use them: what is seen where, what is sent, what is refused, and that
//! everything goes the same way whether somebody looks or not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::{Bench, device};
use linkspan::engine::event::DropReason;
use linkspan::engine::plan::Op;
use linkspan::engine::sys::{Errno, PacketStatistics, PacketType, SeenFrame};
use linkspan_nat::emit::emit_udp;

const ARP: u16 = 0x0806;

/// A host with a bridge and the containers `a`, `b` and `c` on it.
fn bench() -> Bench {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "10.0.0.1/24");
    for (name, address) in [("a", "10.0.0.2/24"), ("b", "10.0.0.3/24"), ("c", "10.0.0.4/24")] {
        bench.container(name, "br0", address, Some("10.0.0.1"));
    }
    bench
}

/// What is seen on an interface from now on.
fn watch(
    bench: &mut Bench,
    namespace: &str,
    interface: &str,
    ethertype: Option<u16>,
) -> Rc<RefCell<Vec<SeenFrame>>> {
    let seen: Rc<RefCell<Vec<SeenFrame>>> = Rc::default();
    let (list, interface) = (seen.clone(), interface.to_owned());
    bench.spawn(namespace, |sys| async move {
        let socket = sys.packet_socket(&interface, ethertype).unwrap();
        while let Ok(frame) = socket.receive().await {
            list.borrow_mut().push(frame);
        }
    });
    seen
}

fn kinds(seen: &Rc<RefCell<Vec<SeenFrame>>>) -> Vec<(PacketType, u16)> {
    let ethertype = |frame: &[u8]| u16::from_be_bytes([frame[12], frame[13]]);
    seen.borrow().iter().map(|seen| (seen.kind, ethertype(&seen.frame))).collect()
}

fn ping(bench: &mut Bench, from: &str, to: &str) {
    let to = to.parse().unwrap();
    let sent = bench.run(from, move |sys| async move {
        let socket = sys.udp_socket()?;
        socket.send_to(b"hello", to)?;
        sys.sleep(Duration::from_millis(1)).await;
        Ok::<(), Errno>(())
    });
    sent.unwrap();
}

#[test]
fn an_interface_shows_what_it_receives_and_what_others_send() {
    let mut bench = bench();
    let all = watch(&mut bench, "a", "eth0", None);
    let arp = watch(&mut bench, "a", "eth0", Some(ARP));
    ping(&mut bench, "a", "10.0.0.3:9");
    use PacketType::{Broadcast, Host, Outgoing};
    // The question, the answer, the datagram, and that nothing listens there.
    assert_eq!(
        kinds(&all),
        [(Outgoing, ARP), (Host, ARP), (Outgoing, 0x0800), (Host, 0x0800)],
        "all EtherTypes, both directions"
    );
    assert_eq!(kinds(&arp), [(Host, ARP)], "one EtherType is seen on its way in only");
    ping(&mut bench, "b", "10.0.0.4:9");
    assert_eq!(kinds(&arp)[1..], [(Broadcast, ARP)]);
}

#[test]
fn a_bridge_port_shows_frames_to_sockets_for_all_only_because_the_bridge_takes_them() {
    let mut bench = bench();
    ping(&mut bench, "a", "10.0.0.3:9");
    let all = watch(&mut bench, "host", "vetha", None);
    let ip = watch(&mut bench, "host", "vetha", Some(0x0800));
    let bridge = watch(&mut bench, "host", "br0", Some(0x0800));
    ping(&mut bench, "a", "10.0.0.3:9");
    assert_eq!(kinds(&all), [(PacketType::OtherHost, 0x0800), (PacketType::Outgoing, 0x0800)]);
    assert_eq!(kinds(&ip), []);
    assert_eq!(kinds(&bridge), [], "what is bridged is not for the bridge's own stack");
    ping(&mut bench, "a", "10.0.0.1:9");
    assert_eq!(kinds(&bridge), [(PacketType::Host, 0x0800)]);
}

#[test]
fn loopback_shows_a_header_of_zeros_and_takes_one() {
    let mut bench = bench();
    let all = watch(&mut bench, "a", "lo", None);
    ping(&mut bench, "a", "127.0.0.1:9");
    let packet = emit_udp("127.0.0.1:5".parse().unwrap(), "127.0.0.1:9".parse().unwrap(), 64, b"x").unwrap();
    let frame = [&[0; 12][..], &[8, 0], &packet].concat();
    let before = all.borrow().len();
    assert_eq!(&all.borrow()[0].frame[..14], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]);
    let refused = bench.drops(DropReason::NoSocket);
    bench.run("a", move |sys| async move { sys.packet_socket("lo", None).unwrap().send(&frame).unwrap() });
    bench.run("a", |sys| async move { sys.sleep(Duration::from_millis(1)).await });
    assert!(all.borrow().len() > before, "it was sent");
    assert_eq!(bench.drops(DropReason::NoSocket), refused + 1, "the stack read it");
}

#[test]
fn a_frame_is_sent_as_it_is_and_not_shown_to_its_sender() {
    let mut bench = bench();
    let seen = watch(&mut bench, "b", "eth0", Some(0x88b5));
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5], &[7; 46]].concat();
    let sent = frame.clone();
    let own = bench.run("a", |sys| async move {
        let socket = sys.packet_socket("eth0", None).unwrap();
        socket.send(&sent).unwrap();
        sys.timeout(Duration::from_secs(1), socket.receive()).await
    });
    assert_eq!(own, None);
    assert_eq!(*seen.borrow(), [SeenFrame { kind: PacketType::Broadcast, frame: frame.into() }]);
}

#[test]
fn what_does_not_fit_the_receive_buffer_is_missed_and_counted() {
    let mut bench = bench();
    ping(&mut bench, "b", "10.0.0.2:9");
    let statistics = bench.run("a", |sys| async move {
        let socket = sys.packet_socket("eth0", None).unwrap();
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5], &[7; 1_000]].concat();
        let other = sys.packet_socket("eth0", Some(0x88b5)).unwrap();
        for _ in 0..300 {
            other.send(&frame).unwrap();
        }
        sys.sleep(Duration::from_millis(1)).await;
        let first = socket.statistics().unwrap();
        let mut read = 0;
        while sys.timeout(Duration::from_nanos(1), socket.receive()).await.is_some() {
            read += 1;
        }
        other.send(&frame).unwrap();
        assert!(
            sys.timeout(Duration::from_nanos(1), socket.receive()).await.is_some(),
            "there is room again"
        );
        (first, read, socket.statistics().unwrap())
    });
    let (first, read, second) = statistics;
    // 212,992 bytes, each frame with what the kernel counts beside it.
    assert_eq!(first, PacketStatistics { packets: 300, drops: 300 - 167 });
    assert_eq!((read, second), (167, PacketStatistics { packets: 1, drops: 0 }));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut bench = bench();
    bench.run("a", |sys| async move {
        assert_eq!(sys.packet_socket("eth9", None).err(), Some(Errno::NoSuchDevice));
        assert_eq!(sys.packet_socket("", None).err(), Some(Errno::NoSuchDevice));
        let socket = sys.packet_socket("eth0", Some(ARP)).unwrap();
        assert_eq!(socket.send(&[0; 13]), Err(Errno::InvalidArgument));
        assert_eq!(socket.send(&[0xff; 1_515]), Err(Errno::MessageTooLong));
        assert_eq!(socket.send(&[0xff; 1_514]), Ok(()));
        assert_eq!(sys.send_packet(&[]), Err(Errno::InvalidArgument));
        assert_eq!(sys.send_packet(&[0x45; 19]), Err(Errno::InvalidArgument));
        assert_eq!(
            sys.send_packet(&[0x4f; 40]),
            Err(Errno::InvalidArgument),
            "a header longer than the packet"
        );
        assert_eq!(sys.send_packet(&[0x60; 60]), Err(Errno::InvalidArgument));
        let whole = emit_udp("10.0.0.2:5".parse().unwrap(), "10.0.0.3:9".parse().unwrap(), 64, &[0; 1_473]);
        assert_eq!(sys.send_packet(&whole.unwrap()), Err(Errno::MessageTooLong));
    });
}

#[test]
fn a_socket_hears_that_its_interface_went_down_or_away() {
    let mut bench = bench();
    let seen = watch(&mut bench, "host", "vethc", None);
    let heard: Rc<RefCell<Vec<Errno>>> = Rc::default();
    let list = heard.clone();
    bench.spawn("host", |sys| async move {
        let socket = sys.packet_socket("vethc", None).unwrap();
        for _ in 0..2 {
            if let Err(errno) = socket.receive().await {
                list.borrow_mut().push(errno);
            }
        }
        list.borrow_mut().push(socket.send(&[0xff; 60]).unwrap_err());
    });
    bench.run("host", |sys| async move { sys.sleep(Duration::from_millis(1)).await });
    bench.apply("down", vec![Op::SetDown { device: device("host", "vethc") }]);
    bench.run("host", |sys| async move { sys.sleep(Duration::from_millis(1)).await });
    assert_eq!(*heard.borrow(), [Errno::NetworkDown]);
    bench.remove("c");
    bench.run("host", |sys| async move { sys.sleep(Duration::from_millis(1)).await });
    assert_eq!(*heard.borrow(), [Errno::NetworkDown, Errno::NetworkDown, Errno::NoSuchDevice]);
    assert_eq!(kinds(&seen), []);
}

#[test]
fn a_packet_of_ones_own_is_completed_and_routed() {
    let mut bench = bench();
    let seen = watch(&mut bench, "b", "eth0", Some(0x0800));
    let mut packet = emit_udp("9.9.9.9:5".parse().unwrap(), "10.0.0.3:9".parse().unwrap(), 7, b"x").unwrap();
    let spoofed = packet.clone();
    packet[2..6].fill(0);
    packet[10..16].fill(0);
    bench.run("a", move |sys| async move {
        sys.send_packet(&packet).unwrap();
        sys.send_packet(&spoofed).unwrap();
        sys.sleep(Duration::from_millis(1)).await;
    });
    let seen = seen.borrow();
    let header = |at: usize| &seen[at].frame[14..34];
    assert_eq!(linkspan_nat::checksum::checksum(header(0)), 0);
    assert_eq!((&header(0)[2..4], header(0)[8], &header(0)[12..16]), (&[0, 29][..], 7, &[10, 0, 0, 2][..]));
    assert_ne!(header(0)[4..6], [0, 0], "an identification is chosen");
    assert_eq!(header(1)[12..16], [9, 9, 9, 9], "a source that is given stays");
}

/// The same traffic with and without somebody who looks: the same frames, drops and counters.
#[test]
fn looking_changes_nothing() {
    let outcome = |look: bool| {
        let mut bench = bench();
        if look {
            watch(&mut bench, "c", "eth0", None);
        }
        bench.spawn("b", |sys| async move {
            let socket = sys.udp_socket().unwrap();
            socket.bind("0.0.0.0:7".parse().unwrap()).unwrap();
            for _ in 0..150 {
                let datagram = socket.receive().await.unwrap();
                socket.send_to(&datagram.payload, datagram.source).unwrap();
            }
        });
        bench.run("a", |sys| async move {
            let socket = sys.udp_socket().unwrap();
            socket.connect("10.0.0.3:7".parse().unwrap()).unwrap();
            for number in 0..200u16 {
                let _ = socket.send(&number.to_be_bytes());
                sys.sleep(Duration::from_micros(10)).await;
            }
        });
        let engine = bench.engine.borrow();
        let counters = |namespace: &str| {
            let id = engine.namespace(&linkspan::engine::plan::NamespaceName::new(namespace)).unwrap();
            engine
                .interfaces(id)
                .into_iter()
                .map(|device| format!("{:?}", device.counters))
                .collect::<Vec<_>>()
        };
        let all: Vec<_> = ["host", "a", "b", "c"].map(counters).into_iter().flatten().collect();
        (engine.frames(), format!("{:?}", engine.drops()), all)
    };
    assert_eq!(outcome(true), outcome(false));
}
