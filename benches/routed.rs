//! What DNAT and masquerade cost a routed packet of an established flow.
//!
//! A client, a router and a server, joined by ideal wires. The client sends 64-byte UDP frames from a socket to a socket
//! of the server. The reference is the same router without a rule, which therefore tracks nothing; with NAT the client
//! sends to the router's own address, whose PREROUTING translates the destination and whose POSTROUTING masquerades.
//! Both are measured in alternation, in processor time; the goal is twice the reference, the aim one and a half. Between
//! them stands a router that tracks connections and translates none.

#![allow(clippy::disallowed_types, reason = "the reference uses the standard hash map and never iterates it")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]
#![allow(missing_docs, reason = "a benchmark is no library")]

mod stage;

use std::net::SocketAddr;
use std::time::Duration;

use criterion::Throughput;
use linkspan::engine::id::{NamespaceId, ServiceId, SocketId};
use linkspan::engine::plan::{
    DeviceName, DeviceSpec, LinkQuality, NamespaceName, NextHop, Op, Owner, Plan, Sysctl, Transport,
};
use linkspan::engine::sys::Family;
use linkspan::engine::{Drained, Engine};
use linkspan_nat::emit::emit_udp;
use linkspan_nat::interface::InterfaceName;
use stage::{median, nanoseconds_each};

const ROUNDS: usize = 15;
const FRAMES_PER_ROUND: usize = 1 << 16;
/// Frames between two moments: what a socket's receive buffer holds with room to spare.
const BATCH: usize = 32;
const PAYLOAD: [u8; 22] = [0x55; 22];

const CLIENT: &str = "10.1.0.2:9000";
const SERVER: &str = "10.2.0.2:9000";
const ROUTER: &str = "10.1.0.1:9000";

/// What the router does besides routing.
#[derive(Debug, Clone, Copy)]
enum Router {
    Plain,
    Tracking,
    Translating,
}

impl Router {
    fn rules(self) -> &'static [&'static str] {
        match self {
            Router::Plain => &[],
            Router::Tracking => &["-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT"],
            Router::Translating => &[
                "-t nat -A PREROUTING -d 10.1.0.1 -p udp -j DNAT --to-destination 10.2.0.2:9000",
                "-t nat -A POSTROUTING -o eth1 -j MASQUERADE",
            ],
        }
    }

    /// Where the client sends.
    fn target(self) -> SocketAddr {
        match self {
            Router::Plain | Router::Tracking => endpoint(SERVER),
            Router::Translating => endpoint(ROUTER),
        }
    }
}

fn endpoint(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// The three machines.
struct Lab {
    engine: Engine,
    sender: SocketId,
    to: SocketAddr,
    now: Duration,
}

impl Lab {
    fn new(router: Router) -> Lab {
        let mut engine = Engine::new(0);
        engine.apply(&plan()).expect("an empty engine takes three machines");
        let id = |engine: &Engine, name| engine.namespace(&NamespaceName::new(name)).expect("it was made");
        let (middle, client) = (id(&engine, "router"), id(&engine, "client"));
        for rule in router.rules() {
            let words: Vec<String> = rule.split(' ').map(str::to_owned).collect();
            engine.iptables(middle, Family::Ipv4, &words).expect("a rule that iptables takes");
        }
        let to = router.target();
        let sender = open(&mut engine, client);
        let mut lab = Lab { engine, sender, to, now: Duration::ZERO };
        // An answer makes the flow an established one.
        let server = lab.first_arrival();
        lab.engine.receive_datagram(server.0, &mut [0; 64]);
        lab.engine.send_datagram(server.0, server.1, &PAYLOAD).expect("there is a way back");
        lab.drain();
        lab.run(4 * BATCH);
        lab
    }

    /// Sends one datagram; the server's socket that it arrives at, and whom the server sees.
    fn first_arrival(&mut self) -> (SocketId, SocketAddr) {
        self.engine.send_datagram(self.sender, self.to, &PAYLOAD).expect("there is a way");
        self.drain();
        let (_, socket) = self.engine.take_service_event().expect("the datagram arrived");
        let (_, seen) = self.engine.receive_datagram(socket, &mut [0; 64]).expect("it can be read");
        (socket, seen)
    }

    fn drain(&mut self) {
        while self.engine.drain(usize::MAX).expect("no storm") != Drained::Idle {}
    }

    /// Sends so many packets; how many were read from the server's socket.
    fn run(&mut self, packets: usize) -> u64 {
        let (mut received, mut buffer) = (0, [0; 2048]);
        for _ in 0..packets / BATCH {
            self.now += Duration::from_nanos(100 * BATCH as u64);
            self.engine.advance(self.now);
            for _ in 0..BATCH {
                self.engine.send_datagram(self.sender, self.to, &PAYLOAD).expect("there is a way");
            }
            self.drain();
            while let Some((_, socket)) = self.engine.take_service_event() {
                while self.engine.receive_datagram(socket, &mut buffer).is_some() {
                    received += u64::from(socket != self.sender);
                }
            }
        }
        received
    }
}

/// The client's socket: a service listens, and a datagram from the machine itself shows its socket.
fn open(engine: &mut Engine, client: NamespaceId) -> SocketId {
    let own = endpoint(CLIENT);
    let packet = emit_udp(own, own, 64, &PAYLOAD).expect("it is small");
    engine.transmit_packet(client, &packet);
    while engine.drain(usize::MAX).expect("no storm") != Drained::Idle {}
    let (_, socket) = engine.take_service_event().expect("the datagram arrived");
    engine.receive_datagram(socket, &mut [0; 64]);
    socket
}

/// client eth0 -- eth0 router eth1 -- eth0 server
fn plan() -> Plan {
    let mut plan = Plan::new();
    let owner = Owner::Machine(1);
    let device = |namespace: &str, name: &str| DeviceName {
        namespace: NamespaceName::new(namespace),
        name: InterfaceName::parse(name).expect("a name"),
    };
    for namespace in ["client", "router", "server"] {
        let namespace = NamespaceName::new(namespace);
        plan.push(
            owner,
            Op::AddNamespace { namespace, disable_ipv6: true, ipv4_forward: false, unprivileged: false },
        );
    }
    let cards = [
        ("client", "eth0", "10.1.0.2/24"),
        ("router", "eth0", "10.1.0.1/24"),
        ("router", "eth1", "10.2.0.1/24"),
        ("server", "eth0", "10.2.0.2/24"),
    ];
    for (namespace, name, address) in cards {
        let device = device(namespace, name);
        let spec = DeviceSpec::Nic;
        plan.push(owner, Op::AddDevice { device: device.clone(), spec, mac: None, mtu: 1500 });
        let address = address.parse().expect("an address");
        plan.push(owner, Op::add_address(device.clone(), address));
        plan.push(owner, Op::SetUp { device });
    }
    for (a, b) in
        [("client", "eth0"), ("server", "eth1")].map(|(m, r)| (device(m, "eth0"), device("router", r)))
    {
        plan.push(owner, Op::Connect { a, b, quality: Box::new([LinkQuality::default(); 2]) });
    }
    for (namespace, gateway) in [("client", "10.1.0.1"), ("server", "10.2.0.1")] {
        plan.push(
            owner,
            Op::AddRoute {
                namespace: NamespaceName::new(namespace),
                destination: "0.0.0.0/0".parse().expect("a prefix"),
                next_hop: NextHop::Gateway(gateway.parse().expect("an address")),
                device: None,
                source: None,
                metric: 0,
            },
        );
    }
    let sysctl = Sysctl::Ipv4Forward(true);
    plan.push(owner, Op::SetSysctl { namespace: NamespaceName::new("router"), sysctl });
    for (number, namespace, address) in [(1, "client", CLIENT), (2, "server", SERVER)] {
        plan.push(
            owner,
            Op::Listen {
                namespace: NamespaceName::new(namespace),
                address: endpoint(address),
                transport: Transport::Udp,
                service: ServiceId::new(number),
            },
        );
    }
    plan
}

fn figures() {
    let mut labs = [Router::Plain, Router::Tracking, Router::Translating].map(Lab::new);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (lab, times) in labs.iter_mut().zip(&mut times) {
            times.push(nanoseconds_each(FRAMES_PER_ROUND, || {
                let received = lab.run(FRAMES_PER_ROUND);
                assert_eq!(received, FRAMES_PER_ROUND as u64, "every packet arrives");
                received
            }));
        }
    }
    let [plain, tracking, translating] = times.map(median);
    println!(
        "routed: plain {plain:.0} ns, tracked {tracking:.0} ns (ratio {:.2}), DNAT and masquerade {translating:.0} ns: \
         ratio {:.2} (goal 2, aim 1.5)",
        tracking / plain,
        translating / plain
    );
}

fn main() {
    if stage::wants_figures() {
        figures();
    }
    let mut criterion = stage::criterion();
    let mut group = criterion.benchmark_group("routed-64");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, router) in
        [("plain", Router::Plain), ("tracking", Router::Tracking), ("translating", Router::Translating)]
    {
        let mut lab = Lab::new(router);
        group.bench_function(name, |bencher| bencher.iter(|| lab.run(BATCH)));
    }
    group.finish();
    criterion.final_summary();
}
