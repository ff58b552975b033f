//! Traffic of programs: what a datagram and a TCP segment cost from program to program, and with many connections.
//!
//! Containers are on Docker's default bridge, made by its daemon, with bridge netfilter as the daemon leaves it; programs
//! call the engine as all programs do.
//!
//! * UDP: 16 containers, each sends to the next. Delivered datagrams per second, beside the 0.14 million that ns-3 3.37
//!   delivers on this kind of machine (16 hosts on one bridge, one core). Goal 20 times that, aim 50.
//! * TCP: one container sends to another, MTU 1500. The reference is a pair of smoltcp interfaces with the same buffers
//!   whose packets are handed over as they are, in the same run. Goal half its speed, aim 0.8. Between containers, as over
//!   a veth pair of Linux, TCP checksums stay partial and what can be sent at once is one frame, to be segmented where it
//!   leaves the machine. The reference computes and verifies no TCP checksum either, and sends packets of 1,500 bytes;
//!   the one that computes and verifies checksums is printed beside it.
//! * Connections: 1,000 bytes there and back over each of 10 and of 10,000 connections from one container to another,
//!   all tracked by the host's namespace. Cost per segment; goal: twice at most. A connection has its turn every 10 ms in
//!   both, so that acknowledgments are as often delayed; ten that take turns without a pause are printed as well.
//!
//! Processor time, not wall time: see `stage`.

#![allow(clippy::disallowed_types, reason = "the reference uses the standard hash map and never iterates it")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]
#![allow(missing_docs, reason = "a benchmark is no library")]

mod stage;

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use criterion::Throughput;
use linkspan::engine::sys::TcpStream;
use linkspan::world::Sys;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use stage::{Town, median, nanoseconds_each, on_default_bridge};

const PORT: u16 = 9_000;
const ROUNDS: usize = 9;
/// What ns-3 delivers, packets per second.
const NS_3: f64 = 140_000.0;
/// Containers that send to each other.
const HOSTS: usize = 16;
/// Datagrams that a program sends before it lets time pass.
const BURST: usize = 32;
const TICK: Duration = Duration::from_micros(10);
/// Bytes that a TCP round carries.
const BYTES: usize = 32 << 20;
/// Send and receive buffers of either end.
const BUFFER: usize = 16 << 10;
/// Connections that carry a segment each between two moments.
const PER_TICK: usize = 10;
const SEGMENT: usize = 1_000;

fn any(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)
}

/// Containers that send each other datagrams.
struct Datagrams {
    town: Town,
    received: Rc<Cell<u64>>,
}

impl Datagrams {
    fn new(payload: usize) -> Datagrams {
        let mut town = Town::build(&on_default_bridge(HOSTS));
        let received = Rc::new(Cell::new(0));
        for number in 0..HOSTS {
            let to = SocketAddr::new(town.address((number + 1) % HOSTS), PORT);
            let (location, received) = (town.location(number), received.clone());
            let server = town.world.start_task(&location, "receive", |sys| receive(sys, received));
            server.expect("it runs");
            town.world.start_task(&location, "send", |sys| send(sys, to, payload)).expect("it runs");
        }
        Datagrams { town, received }
    }

    /// Lets so many bursts leave every container; how many datagrams were read.
    fn run(&mut self, bursts: usize) -> u64 {
        let before = self.received.get();
        self.town.world.wait(TICK * bursts as u32).expect("no storm");
        self.received.get() - before
    }
}

async fn receive(sys: Sys, received: Rc<Cell<u64>>) {
    let socket = sys.udp_socket().expect("a socket");
    socket.bind(any(PORT)).expect("the port is free");
    while socket.receive().await.is_ok() {
        received.set(received.get() + 1);
    }
}

async fn send(sys: Sys, to: SocketAddr, payload: usize) {
    let socket = sys.udp_socket().expect("a socket");
    let payload = vec![0x55; payload];
    loop {
        for _ in 0..BURST {
            socket.send_to(&payload, to).expect("there is a way");
        }
        sys.sleep(TICK).await;
    }
}

fn datagrams() {
    for payload in [18, 1_400] {
        let mut lab = Datagrams::new(payload);
        lab.run(100);
        let bursts = 400;
        let expected = (bursts * BURST * HOSTS) as u64;
        let once = |lab: &mut Datagrams| {
            let received = lab.run(bursts);
            assert_eq!(received, expected, "every datagram arrives");
            received
        };
        let rounds = (0..ROUNDS).map(|_| nanoseconds_each(expected as usize, || once(&mut lab)));
        let each = median(rounds.collect());
        println!(
            "UDP, {HOSTS} containers, {payload} bytes: {each:.0} ns each, {:.2} million/s: {:.1} times ns-3 (goal 20, aim 50)",
            1e3 / each,
            1e9 / each / NS_3
        );
    }
}

/// Sends `BYTES` from container to container; the bytes that arrived.
fn transfer(town: &mut Town) -> u64 {
    let to = SocketAddr::new(town.address(1), PORT);
    let arrived = Rc::new(Cell::new(0));
    let counter = arrived.clone();
    let mut server = town.world.start_task(&town.location(1), "take", |sys| async move {
        let listener = sys.tcp_listen(any(PORT), 1).expect("the port is free");
        let (stream, _) = listener.accept().await.expect("a connection");
        loop {
            let data = stream.read(1 << 16).await.expect("nothing breaks it");
            if data.is_empty() {
                break;
            }
            counter.set(counter.get() + data.len() as u64);
        }
    });
    let client = town.world.start_task(&town.location(0), "give", |sys| async move {
        let stream = sys.tcp_connect(to).await.expect("somebody listens");
        let data = vec![0x55; 1 << 16];
        for _ in 0..BYTES / data.len() {
            stream.write_all(&data).await.expect("nothing breaks it");
        }
    });
    client.expect("it runs");
    let limit = linkspan::world::Limit(Duration::from_secs(3_600));
    let ended = town.world.finish(server.as_mut().expect("it runs"), limit).expect("no storm");
    assert_eq!(ended, Some(0), "the transfer ends");
    arrived.get()
}

/// One end of a wire that hands packets over.
struct End {
    checksums: ChecksumCapabilities,
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

struct Taken(Vec<u8>);

impl RxToken for Taken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Given<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Given<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut packet = vec![0; length];
        let result = f(&mut packet);
        self.0.push_back(packet);
        result
    }
}

impl Device for End {
    type RxToken<'t> = Taken;
    type TxToken<'t> = Given<'t>;

    fn receive(&mut self, _now: Instant) -> Option<(Taken, Given<'_>)> {
        Some((Taken(self.incoming.pop_front()?), Given(&mut self.outgoing)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Given<'_>> {
        Some(Given(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1_500;
        capabilities.checksum = self.checksums.clone();
        capabilities
    }
}

/// An interface with one TCP socket.
struct Stack {
    end: End,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
}

impl Stack {
    fn new(last: u8, checksums: &ChecksumCapabilities) -> Stack {
        let (incoming, outgoing) = Default::default();
        let mut end = End { checksums: checksums.clone(), incoming, outgoing };
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut end, Instant::ZERO);
        let address = IpCidr::new(IpAddress::v4(10, 0, 0, last), 24);
        interface.update_ip_addrs(|list| list.push(address).expect("there is room"));
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(tcp::Socket::new(buffer(), buffer()));
        Stack { end, interface, sockets, handle }
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn poll(&mut self, now: Instant) {
        self.interface.poll(now, &mut self.end, &mut self.sockets);
    }
}

/// The same transfer between two smoltcp interfaces; the bytes that arrived.
fn back_to_back(checksums: &ChecksumCapabilities) -> u64 {
    let (mut client, mut server) = (Stack::new(1, checksums), Stack::new(2, checksums));
    server.socket().listen(PORT).expect("it is new");
    let target = (IpAddress::v4(10, 0, 0, 2), PORT);
    let Stack { interface, sockets, handle, .. } = &mut client;
    let socket: &mut tcp::Socket<'_> = sockets.get_mut(*handle);
    socket.connect(interface.context(), target, 40_000).expect("it is new");
    let (data, mut buffer) = (vec![0x55; 1 << 16], vec![0; 1 << 16]);
    let (mut given, mut taken, mut now) = (0, 0, Instant::ZERO);
    while taken < BYTES {
        let before = (given, taken);
        if client.socket().can_send() && given < BYTES {
            let rest = data.len().min(BYTES - given);
            given += client.socket().send_slice(&data[..rest]).expect("it is connected");
        }
        client.poll(now);
        server.end.incoming.append(&mut client.end.outgoing);
        server.poll(now);
        while server.socket().can_recv() {
            taken += server.socket().recv_slice(&mut buffer).expect("it is connected");
        }
        server.poll(now);
        client.end.incoming.append(&mut server.end.outgoing);
        if before == (given, taken) {
            // Both wait for an acknowledgment that is delayed.
            now += smoltcp::time::Duration::from_millis(1);
        }
    }
    taken as u64
}

fn stream() {
    let mut town = Town::build(&on_default_bridge(2));
    let computed = ChecksumCapabilities::default();
    let mut partial = ChecksumCapabilities::default();
    partial.tcp = Checksum::None;
    let (mut reference, mut with_checksums, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        reference.push(nanoseconds_each(BYTES, || back_to_back(&partial)));
        with_checksums.push(nanoseconds_each(BYTES, || back_to_back(&computed)));
        ours.push(nanoseconds_each(BYTES, || {
            let arrived = transfer(&mut town);
            assert_eq!(arrived, BYTES as u64, "every byte arrives");
            arrived
        }));
    }
    let speed = |times| 8.0 / median(times);
    let (reference, with_checksums, ours) = (speed(reference), speed(with_checksums), speed(ours));
    println!(
        "TCP between two containers, MTU 1500: {ours:.2} Gbit/s, smoltcp back to back without TCP checksums {reference:.2} \
         Gbit/s: ratio {:.2} (goal 0.5, aim 0.8); with them {with_checksums:.2} Gbit/s: {:.2}",
        ours / reference,
        ours / with_checksums
    );
}

async fn take_segment(stream: &TcpStream) -> Vec<u8> {
    let mut taken = Vec::new();
    while taken.len() < SEGMENT {
        taken.extend(stream.read(SEGMENT - taken.len()).await.expect("nothing breaks it"));
    }
    taken
}

/// Connections from container 0 to container 1.
struct Connections {
    town: Town,
    read: Rc<Cell<u64>>,
    tick: Duration,
}

impl Connections {
    /// So many connections, of which [`PER_TICK`] have their turn every `tick`.
    fn new(count: usize, tick: Duration) -> Connections {
        let mut town = Town::build(&on_default_bridge(2));
        let to: IpAddr = town.address(1);
        let read = Rc::new(Cell::new(0));
        let counter = read.clone();
        let server = town.world.start_task(&town.location(1), "take", |sys| async move {
            let listener = sys.tcp_listen(any(PORT), 128).expect("the port is free");
            let mut streams = Vec::new();
            for _ in 0..count {
                streams.push(listener.accept().await.expect("a connection").0);
            }
            for stream in streams.iter().cycle() {
                let data = take_segment(stream).await;
                stream.write_all(&data).await.expect("nothing breaks it");
                counter.set(counter.get() + 1);
            }
        });
        server.expect("it runs");
        let answers = read.clone();
        let ready = Rc::new(Cell::new(false));
        let opened = ready.clone();
        let client = town.world.start_task(&town.location(0), "give", |sys| async move {
            let mut streams = Vec::new();
            for _ in 0..count {
                streams.push(sys.tcp_connect(SocketAddr::new(to, PORT)).await.expect("somebody listens"));
            }
            opened.set(true);
            let data = vec![0x55; SEGMENT];
            for batch in streams.chunks(PER_TICK).cycle() {
                sys.sleep(tick).await;
                for stream in batch {
                    stream.write_all(&data).await.expect("nothing breaks it");
                }
                for stream in batch {
                    take_segment(stream).await;
                }
                answers.set(answers.get() + batch.len() as u64);
            }
        });
        client.expect("it runs");
        while !ready.get() {
            town.world.wait(TICK).expect("no storm");
        }
        let mut lab = Connections { town, read, tick };
        // Every connection carries some, until acknowledgments are delayed on all.
        lab.run(20 * count / PER_TICK);
        lab
    }

    /// Lets time pass for so many turns; how many segments were read.
    fn run(&mut self, turns: usize) -> u64 {
        let before = self.read.get();
        self.town.world.wait(self.tick * turns as u32).expect("no storm");
        self.read.get() - before
    }

    /// Nanoseconds per segment.
    fn each(&mut self) -> f64 {
        let turns = 4_000;
        nanoseconds_each(2 * turns * PER_TICK, || {
            let read = self.run(turns);
            assert_eq!(read, (2 * turns * PER_TICK) as u64, "every segment is read");
            read
        })
    }
}

fn connections() {
    let (few, many) = (10, 10_000);
    let pace = TICK * (many / PER_TICK) as u32;
    let mut labs = [Connections::new(few, pace), Connections::new(many, TICK), Connections::new(few, TICK)]
        .map(|lab| (lab, Vec::new()));
    for _ in 0..ROUNDS {
        for (lab, times) in &mut labs {
            times.push(lab.each());
        }
    }
    let [few, many, hurried] = labs.map(|(_, times)| median(times));
    println!(
        "10 connections: {few:.0} ns per segment, 10,000 connections at the same pace: {many:.0} ns: ratio {:.2} (goal 2); \
         10 without a pause: {hurried:.0} ns: {:.2}",
        many / few,
        many / hurried
    );
}

fn main() {
    if stage::wants_figures() {
        datagrams();
        stream();
        connections();
    }
    let mut criterion = stage::criterion();
    let mut group = criterion.benchmark_group("traffic");
    let mut lab = Datagrams::new(18);
    group.throughput(Throughput::Elements((BURST * HOSTS) as u64));
    group.bench_function("udp-16", |bencher| bencher.iter(|| lab.run(1)));
    let mut town = Town::build(&on_default_bridge(2));
    group.throughput(Throughput::Bytes(BYTES as u64));
    group.bench_function("tcp", |bencher| bencher.iter(|| transfer(&mut town)));
    group.finish();
    criterion.final_summary();
}
