//! What a packet from container to container costs through the whole engine, and that it allocates nothing.
//!
//! The stage is what Docker 28's daemon sets up: a host with its rules, a bridge network and containers on it. A
//! payload of 22 bytes (a 64-byte frame) leaves the sending container's UDP socket and reaches a buffer behind the
//! receiving container's, as with `sendto` and `recvfrom`. On the way are: headers and payload into a pooled frame,
//! route, neighbour, Ethernet header, veth, the host's bridge (learning, look-up, storm guard; with bridge netfilter
//! on also PREROUTING, FORWARD and POSTROUTING with connection tracking and Docker's filter chains), veth, address,
//! socket, receive buffer. Between namespaces no checksum is computed, as on Linux.
//!
//! The reference is the bare step of a switch (see `switch/benches/reference`). Both run in alternation and the ratio
//! of the medians is printed, in processor time; the goals are 12 with bridge netfilter off and 25 with it on, for an established flow.
//! An allocator that counts says how often the measured frames allocated.

#![allow(unsafe_code, reason = "an allocator that counts implements GlobalAlloc, whose methods are unsafe")]
#![allow(clippy::disallowed_types, reason = "the reference uses the standard hash map and never iterates it")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]
#![allow(missing_docs, reason = "a benchmark is no library")]

#[path = "../switch/benches/reference/mod.rs"]
mod reference;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{Criterion, Throughput};
use linkspan::docker::cli;
use linkspan::docker::daemon::{Daemon, DaemonConfig, HostIdentity};
use linkspan::docker::outcome::{HostView, Outcome};
use linkspan::engine::id::{NamespaceId, ServiceId, SocketId};
use linkspan::engine::plan::{NamespaceName, Op, Owner, Plan, Sysctl, Transport};
use linkspan::engine::{Drained, Engine};
use linkspan_nat::emit::{IpHeader, emit_ip};
use linkspan_nat::packet::UDP;
use reference::{FRAME_LEN, Reference, median, nanoseconds_each};

/// Calls of the allocator since the start.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

const PORT: u16 = 9000;
const ROUNDS: usize = 15;
const FRAMES_PER_ROUND: usize = 1 << 19;
/// Turns of the reference per round, to take about as long.
const REFERENCE_PER_ROUND: usize = 1 << 23;
/// Frames between two packets of virtual time: what a socket's receive buffer holds with room to spare.
const BATCH: usize = 32;
/// Ethernet, IP and UDP headers.
const HEADERS: usize = 14 + 20 + 8;

/// Where the containers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// docker0: a container's own namespace has no rules.
    Default,
    /// A user-defined bridge: every container has the embedded DNS server's NAT rules, and with them connection
    /// tracking of its own on either end.
    UserDefined,
}

/// One container's end of the traffic.
struct Station {
    namespace: NamespaceId,
    address: IpAddr,
}

/// Containers on one network and packets between them.
struct Lab {
    engine: Engine,
    flows: Vec<(SocketId, SocketAddr)>,
    next: usize,
    now: Duration,
}

impl Lab {
    /// So many containers, each of which sends to the next.
    fn new(network: Network, containers: usize, bridge_netfilter: bool) -> Lab {
        let host = NamespaceName::new("host");
        let mut engine = Engine::new(0);
        let mut plan = Plan::new();
        plan.push(
            Owner::Machine(1),
            Op::AddNamespace {
                namespace: host.clone(),
                disable_ipv6: false,
                ipv4_forward: false,
                unprivileged: false,
            },
        );
        engine.apply(&plan).expect("an empty engine takes a namespace");
        let identity = HostIdentity { number: 0, namespace: host.clone(), hostname: "host".to_owned() };
        let mut daemon = Daemon::new(DaemonConfig::default(), identity, 0);
        let outcome = daemon.start(&HostView::default()).expect("a daemon starts");
        engine.apply(&outcome.plan).expect("the daemon's plan fits");
        let network = match network {
            Network::Default => "bridge",
            Network::UserDefined => {
                docker(&mut engine, &mut daemon, "network create lab");
                "lab"
            }
        };
        let names: Vec<String> = (0..containers).map(|number| format!("c{number}")).collect();
        for name in &names {
            docker(
                &mut engine,
                &mut daemon,
                &format!("run -d --name {name} --network {network} alpine sleep 1d"),
            );
        }
        let mut sysctl = Plan::new();
        let value = Sysctl::BridgeNetfilter(bridge_netfilter);
        sysctl.push(Owner::Machine(1), Op::SetSysctl { namespace: host, sysctl: value });
        let mut stations = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let container = daemon.container(name).expect("it was just made");
            let namespace = container.sandbox.clone().expect("it runs").namespace;
            let active = container.endpoints.first().and_then(|endpoint| endpoint.active.as_ref());
            let address = active.and_then(|active| active.ipv4).expect("it has an address").addr();
            let service = ServiceId::new(1_000_000 + number as u32);
            let listen = SocketAddr::new(address, PORT);
            let id = engine.namespace(&namespace).expect("it runs");
            sysctl.push(
                Owner::Machine(1),
                Op::Listen { namespace, address: listen, transport: Transport::Udp, service },
            );
            stations.push(Station { namespace: id, address });
        }
        engine.apply(&sysctl).expect("the port is free");
        let sockets = sockets(&mut engine, &stations);
        let ends: Vec<_> = stations.iter().map(|s| SocketAddr::new(s.address, PORT)).zip(sockets).collect();
        let pairs = ends.iter().zip(ends.iter().cycle().skip(1));
        let mut flows: Vec<_> = pairs.clone().map(|(a, b)| (a.1, b.0)).collect();
        let back: Vec<_> = pairs.map(|(a, b)| (b.1, a.0)).collect();
        let mut lab = Lab { engine, flows: back, next: 0, now: Duration::ZERO };
        // Both directions of every flow, until neighbours and connections are established.
        for _ in 0..3 {
            lab.establish();
            std::mem::swap(&mut lab.flows, &mut flows);
        }
        lab.flows = flows;
        lab.establish();
        lab
    }

    fn establish(&mut self) {
        self.run(2 * BATCH * self.flows.len().div_ceil(BATCH));
    }

    /// Sends so many packets; how many were read from sockets.
    fn run(&mut self, packets: usize) -> u64 {
        let mut received = 0;
        let mut buffer = [0; 2048];
        for _ in 0..packets / BATCH {
            self.now += Duration::from_nanos(100 * BATCH as u64);
            self.engine.advance(self.now);
            for _ in 0..BATCH {
                let (socket, to) = self.flows[self.next];
                self.engine.send_datagram(socket, to, &[0x55; FRAME_LEN - HEADERS]).expect("there is a way");
                self.next = if self.next + 1 == self.flows.len() { 0 } else { self.next + 1 };
            }
            while self.engine.drain(usize::MAX).expect("no storm") != Drained::Idle {}
            while let Some((_, socket)) = self.engine.take_service_event() {
                while self.engine.receive_datagram(socket, &mut buffer).is_some() {
                    received += 1;
                }
            }
        }
        received
    }
}

/// The sockets of the stations, each of which is sent one datagram to show itself.
fn sockets(engine: &mut Engine, stations: &[Station]) -> Vec<SocketId> {
    let before = stations.iter().cycle().skip(stations.len() - 1);
    let mut found = Vec::new();
    for (station, sender) in stations.iter().zip(before) {
        engine.transmit_packet(sender.namespace, &datagram(sender.address, station.address));
        while engine.drain(usize::MAX).expect("no storm") != Drained::Idle {}
        let (_, socket) = engine.take_service_event().expect("the datagram arrived");
        engine.receive_datagram(socket, &mut [0; 64]);
        found.push(socket);
    }
    found
}

/// A UDP packet that makes a frame of 64 bytes.
fn datagram(source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let payload = [0x55; FRAME_LEN - HEADERS];
    let length = (payload.len() + 8) as u16;
    let mut segment = [PORT.to_be_bytes(), PORT.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    segment.extend_from_slice(&payload);
    let sum = linkspan_nat::checksum::transport(source, destination, UDP, &segment);
    segment[6..8].copy_from_slice(&linkspan_nat::checksum::udp_nonzero(sum).to_be_bytes());
    emit_ip(&IpHeader::new(source, destination, UDP), &segment).expect("it is small")
}

fn docker(engine: &mut Engine, daemon: &mut Daemon, line: &str) {
    let words = cli::words::split(line).expect("a well-formed line");
    let command = cli::parse(&words).expect("a command of docker");
    let request = daemon.request(Duration::ZERO, &command.request, &HostView::default());
    let Outcome { plan, .. } = request.expect("nothing is in its way");
    engine.apply(&plan).expect("the daemon's plan fits");
}

/// One figure: `containers` containers, against the bare step.
fn compare(network: Network, containers: usize, bridge_netfilter: bool) {
    let (mut reference, mut lab) = (Reference::new(), Lab::new(network, containers, bridge_netfilter));
    reference.run(REFERENCE_PER_ROUND);
    lab.run(FRAMES_PER_ROUND);
    let frames = lab.engine.frame_allocations();
    let (mut bare, mut through, mut allocated) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        bare.push(nanoseconds_each(REFERENCE_PER_ROUND, || reference.run(REFERENCE_PER_ROUND)));
        let each = nanoseconds_each(FRAMES_PER_ROUND, || {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let received = lab.run(FRAMES_PER_ROUND);
            allocated += ALLOCATIONS.load(Ordering::Relaxed) - before;
            assert_eq!(received, FRAMES_PER_ROUND as u64, "every packet arrives");
            received
        });
        through.push(each);
    }
    let (bare, through) = (median(bare), median(through));
    let (state, goal) = if bridge_netfilter { ("on", 25) } else { ("off", 12) };
    println!(
        "{containers} containers on a {network:?} network, bridge netfilter {state}: reference {bare:.2} ns, engine \
         {through:.1} ns per packet"
    );
    let buffers = lab.engine.frame_allocations() - frames;
    let packets = ROUNDS * FRAMES_PER_ROUND;
    println!(
        "  ratio {:.1} (goal {goal}); while {packets} packets passed: {allocated} allocations, {buffers} new buffers",
        through / bare
    );
}

fn main() {
    // A filter asks for criterion alone.
    if std::env::args().skip(1).all(|argument| argument.starts_with('-')) {
        for (network, containers) in
            [(Network::Default, 2), (Network::Default, 100), (Network::UserDefined, 2)]
        {
            compare(network, containers, false);
            compare(network, containers, true);
        }
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("container-to-container-64");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, bridge_netfilter) in [("plain", false), ("netfilter", true)] {
        let mut lab = Lab::new(Network::Default, 2, bridge_netfilter);
        group.bench_function(name, |bencher| bencher.iter(|| lab.run(BATCH)));
    }
    group.finish();
    criterion.final_summary();
}
