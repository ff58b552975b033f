//! A host with two outside edges, one a port of its bridge and one with addresses of its own, a container that serves,
//! rules that translate and filter; and the frames that are sent at it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use linkspan::engine::Drained;
use linkspan::engine::event::{DropReason, EventKind};
use linkspan::engine::id::DeviceId;
use linkspan::engine::plan::{DeviceSpec, MacAddress, Op};
use linkspan_nat::emit::{TcpSegment, emit_echo_request, emit_tcp, emit_udp};
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::packet::TcpFlags;

use super::common::{Bench, device};
use super::input::Input;
use super::packets::mend;

/// Hardware addresses of the bridge and of the edge with addresses of its own.
pub const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
/// The container's hardware address.
const CONTAINER: [u8; 6] = [2, 0, 0, 0, 0, 3];
/// A machine outside.
const OUTSIDE: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// The engine and its edges.
pub struct Stage {
    /// The engine and its programs.
    pub bench: Bench,
    ports: [DeviceId; 2],
    /// Drops as the events tell them.
    dropped: BTreeMap<DropReason, u64>,
}

impl Stage {
    /// Everything up, watched, and the server listening.
    pub fn new() -> Stage {
        let mut bench = Bench::new(0);
        bench.engine.borrow_mut().watch(true);
        bench.bridge_with_mac("host", "br0", "10.0.0.1/24", Some(MacAddress(MACS[0])));
        bench.container("c", "br0", "10.0.0.2/24", Some("10.0.0.1"));
        let external = |name: &str, mac: Option<[u8; 6]>| Op::AddDevice {
            device: device("host", name),
            spec: DeviceSpec::External,
            mac: mac.map(MacAddress),
            mtu: 1_500,
        };
        let (port, edge) = (device("host", "tap0"), device("host", "tap1"));
        let address = |text: &str| Op::add_address(edge.clone(), text.parse().unwrap());
        bench.apply(
            "edges",
            vec![
                Op::SetMac { device: device("c", "eth0"), mac: Some(MacAddress(CONTAINER)) },
                external("tap0", None),
                Op::SetMaster {
                    device: port.clone(),
                    bridge: InterfaceName::parse("br0").unwrap(),
                    hairpin: false,
                    isolated: false,
                },
                Op::SetUp { device: port },
                external("tap1", Some(MACS[1])),
                address("203.0.113.10/24"),
                address("fd00:1::1/64"),
                Op::SetUp { device: edge.clone() },
                Op::AddNeighbour {
                    device: edge.clone(),
                    address: "203.0.113.99".parse().unwrap(),
                    mac: MacAddress(OUTSIDE),
                },
            ],
        );
        bench.forward("host");
        for rule in [
            "-t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80",
            "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o br0 -j MASQUERADE",
            "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A FORWARD -p udp --dport 99 -j REJECT",
        ] {
            bench.iptables("host", rule);
        }
        bench.spawn("c", |sys| async move {
            let listener = sys.tcp_listen("0.0.0.0:80".parse().unwrap(), 4).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"hello").await;
            }
        });
        bench.run("c", |sys| async move { sys.sleep(Duration::from_millis(1)).await });
        let ports = [bench.device("host", "tap0"), bench.device("host", "tap1")];
        let mut stage = Stage { bench, ports, dropped: BTreeMap::new() };
        stage.settle();
        stage
    }

    /// A frame comes in by one of the two edges and takes its way.
    pub fn input(&mut self, side: usize, frame: &[u8]) {
        self.bench.engine.borrow_mut().input(self.ports[side % 2], frame);
        self.settle();
    }

    /// Time passes.
    pub fn wait(&mut self, time: Duration) {
        let until = self.bench.engine.borrow().now() + time;
        loop {
            let next = self.bench.engine.borrow_mut().deadline();
            let Some((time, _)) = next.filter(|(time, _)| *time <= until) else { break };
            self.bench.engine.borrow_mut().advance(time);
            self.settle();
        }
        self.bench.engine.borrow_mut().advance(until);
        self.settle();
    }

    /// Nothing is lost without a reason, the pool is balanced once nothing waits, and the server still serves.
    pub fn end(&mut self) {
        self.bench.run("host", |sys| async move {
            let stream =
                sys.tcp_connect("10.0.0.2:80".parse().unwrap()).await.expect("the server is reached");
            assert_eq!(stream.read(10).await.as_deref(), Ok(&b"hello"[..]));
        });
        for _ in 0..100_000 {
            self.settle();
            let next = self.bench.engine.borrow_mut().deadline();
            let Some((time, _)) = next else {
                assert_eq!(self.bench.engine.borrow().frames_outstanding(), 0, "frames that nobody has");
                return;
            };
            self.bench.engine.borrow_mut().advance(time);
        }
        panic!("the engine never comes to rest");
    }

    fn settle(&mut self) {
        let mut engine = self.bench.engine.borrow_mut();
        while engine.drain(10_000).expect("no circle") == Drained::More {}
        while let Some((_, frame)) = engine.take_output() {
            assert!((14..=1_514).contains(&frame.bytes().len()), "a frame of {} bytes", frame.bytes().len());
        }
        for event in engine.take_events() {
            if let EventKind::Dropped { reason, .. } = event.kind {
                *self.dropped.entry(reason).or_default() += 1;
            }
        }
        assert_eq!(engine.drops(), &self.dropped, "counted and told drops");
        sound(&engine);
    }
}

/// What holds of an engine's tables at every moment.
pub fn sound(engine: &linkspan::engine::Engine) {
    for namespace in engine.namespace_ids() {
        let interfaces = engine.interfaces(namespace);
        for entry in engine.fdb(namespace) {
            assert!(entry.mac.is_valid_source() || entry.permanent, "{entry:?}");
            let port = interfaces.iter().find(|interface| interface.name == entry.device);
            let port =
                port.unwrap_or_else(|| panic!("a forwarding entry of a device that is gone: {entry:?}"));
            let bridge = port.master.as_deref().unwrap_or(&port.name);
            assert_eq!(bridge, entry.bridge, "a forwarding entry of another bridge's port: {entry:?}");
        }
        for neighbour in engine.neighbours(namespace) {
            assert!(interfaces.iter().any(|interface| interface.name == neighbour.device), "{neighbour:?}");
        }
        // Both directions of a connection are its own.
        let mut tuples: Vec<_> = engine
            .tracked(namespace)
            .iter()
            .flat_map(|(_, c)| {
                if c.original() == c.reply() { vec![*c.original()] } else { vec![*c.original(), *c.reply()] }
            })
            .collect();
        let count = tuples.len();
        tuples.sort();
        tuples.dedup();
        assert_eq!(tuples.len(), count, "two connections with one tuple");
    }
}

/// Makes a frame for one of the two edges.
pub type Make = fn(&mut Input<'_>, usize) -> Vec<u8>;

/// A frame: noise, or one that a machine would send, with some bytes replaced and its checksums perhaps made right.
pub fn frame(input: &mut Input<'_>, side: usize, known: &[Make]) -> Vec<u8> {
    let kind = input.below(known.len() + 1);
    let Some(make) = known.get(kind) else { return input.chunk(200).to_vec() };
    let mut frame = make(input, side);
    for _ in 0..input.below(4) {
        let (at, value) = (usize::from(input.byte()), input.byte());
        if let Some(byte) = frame.get_mut(at) {
            *byte = value;
        }
    }
    let ending = input.byte();
    if ending & 7 == 7 {
        frame.truncate(usize::from(ending >> 1));
    }
    if ending & 8 == 0 && frame.len() > 14 && frame[12..14] != [8, 6] {
        mend(&mut frame[14..]);
    }
    frame
}

/// The frames of hosts that talk IP.
pub const IP: [Make; 5] = [udp, tcp, echo, fragment, icmp_error];
/// The frames of hosts that look for each other.
pub const NEIGHBOURS: [Make; 3] = [arp, solicitation, echo];

fn ethernet(side: usize, kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&MACS[side % 2], &OUTSIDE, &kind[..], payload].concat()
}

/// An address that means something here.
fn address(input: &mut Input<'_>) -> IpAddr {
    let last = input.byte();
    match last >> 5 {
        0 | 1 => [10, 0, 0, last & 7].into(),
        2 | 3 => [203, 0, 113, last & 31].into(),
        4 => [203, 0, 113, 99].into(),
        5 => [127, 0, 0, last & 15].into(),
        6 => [255, 255, 255, 255].into(),
        _ => [224, 0, 0, last & 31].into(),
    }
}

fn port(input: &mut Input<'_>) -> u16 {
    [80, 8_080, 53, 99, 4_000, 32_768, 0, 67][input.below(8)]
}

fn ends(input: &mut Input<'_>) -> [SocketAddr; 2] {
    [0; 2].map(|_| SocketAddr::new(address(input), port(input)))
}

fn udp(input: &mut Input<'_>, side: usize) -> Vec<u8> {
    let ([source, destination], ttl, length) = (ends(input), input.byte(), input.below(8) * 200);
    ethernet(side, [8, 0], &emit_udp(source, destination, ttl, &vec![7; length]).unwrap())
}

fn tcp(input: &mut Input<'_>, side: usize) -> Vec<u8> {
    let [source, destination] = ends(input);
    let flags =
        [TcpFlags::SYN, TcpFlags::ACK, TcpFlags::RST, TcpFlags::FIN, TcpFlags::SYN.union(TcpFlags::ACK)];
    let segment = TcpSegment {
        sequence: input.byte().into(),
        acknowledgement: input.byte().into(),
        flags: flags[input.below(flags.len())],
        window: 1_000,
    };
    ethernet(side, [8, 0], &emit_tcp(source, destination, 64, &segment, input.chunk(40)).unwrap())
}

fn echo(input: &mut Input<'_>, side: usize) -> Vec<u8> {
    let (source, destination, id) = (address(input), address(input), input.word());
    ethernet(side, [8, 0], &emit_echo_request(source, destination, 64, id, 1, &[7; 40]).unwrap())
}

/// One piece of a datagram, at any place of it.
fn fragment(input: &mut Input<'_>, side: usize) -> Vec<u8> {
    let mut frame = udp(input, side);
    let (flags, place) = (input.byte(), input.byte());
    frame[18..20].copy_from_slice(&[0, flags & 3]);
    frame[20..22].copy_from_slice(&[flags & 0x20, place]);
    frame
}

fn icmp_error(input: &mut Input<'_>, side: usize) -> Vec<u8> {
    let quoted = tcp(input, side);
    let (source, destination) = (address(input), address(input));
    let (kind, code, mtu) = (input.byte() & 15, input.byte() & 7, input.word());
    let mut message = vec![kind, code, 0, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    message.extend(&quoted[14..]);
    let header = linkspan_nat::emit::IpHeader::new(source, destination, 1);
    let mut packet = linkspan_nat::emit::emit_ip(&header, &message).unwrap();
    mend(&mut packet);
    ethernet(side, [8, 0], &packet)
}

fn arp(input: &mut Input<'_>, side: usize) -> Vec<u8> {
    let mut frame = ethernet(side, [8, 6], &[0, 1, 8, 0, 6, 4, 0]);
    if input.flag() {
        frame[..6].fill(0xff);
    }
    frame.push(1 + (input.byte() & 1));
    for _ in 0..2 {
        let who = input.byte();
        frame.extend(
            [
                MACS[0],
                MACS[1],
                CONTAINER,
                OUTSIDE,
                [0; 6],
                [0xff; 6],
                [2, 0, 0, 0, 1, who],
                [1, 0, 0, 0, 0, who],
            ][usize::from(who & 7)],
        );
        match address(input) {
            IpAddr::V4(address) => frame.extend(address.octets()),
            IpAddr::V6(_) => frame.extend([0; 4]),
        }
    }
    frame
}

/// A neighbour solicitation or advertisement.
fn solicitation(input: &mut Input<'_>, side: usize) -> Vec<u8> {
    let (kind, flags, from, target) = (input.byte(), input.byte(), input.byte(), input.byte());
    let own = |last: u8| [0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last & 15];
    let mut message = vec![135 + (kind & 1), 0, 0, 0, flags, 0, 0, 0];
    message.extend(own(target));
    if kind & 2 == 0 {
        message.extend([1 + (kind & 1), 1]);
        message.extend(if kind & 4 == 0 { OUTSIDE } else { [2, 0, 0, 0, 2, from] });
    }
    let mut packet = vec![0x60, 0, 0, 0, 0, message.len() as u8, 58, 255];
    packet.extend(if kind & 8 == 0 { own(from) } else { [0; 16] });
    packet.extend(own(1));
    packet.extend(&message);
    mend(&mut packet);
    ethernet(side, [0x86, 0xdd], &packet)
}
