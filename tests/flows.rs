//! A flow whose way is remembered fares as one that asks at every step: for any sequence of traffic and changes, an
//! engine that is watched (where nothing is repeated) and one that is not end with the same datagrams, counters,
//! connections, forwarding entries, neighbours and drops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::{Bench, default_route, device};
use linkspan::engine::Drained;
use linkspan::engine::id::{ServiceId, SocketId};
use linkspan::engine::plan::{LinkQuality, NamespaceName, Op, Owner, Plan, Sysctl, Transport};
use linkspan::engine::sys::{Family, Sys};
use linkspan_nat::emit::emit_udp;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::ruleset::Table;
use proptest::prelude::*;

const PORT: u16 = 9_000;
/// Containers on the bridge; the machine behind the uplink is the station after them.
const CONTAINERS: usize = 3;
const RULES: [&str; 9] = [
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-I FORWARD 1 -s 10.250.0.2 -p udp -j DROP",
    "-D FORWARD -s 10.250.0.2 -p udp -j DROP",
    "-A FORWARD -p udp -m length --length 0:200 -j ACCEPT",
    "-I FORWARD 1 -m limit --limit 5/sec -j RETURN",
    "-t nat -A POSTROUTING -s 10.250.0.0/16 ! -o br0 -j MASQUERADE",
    "-t raw -I PREROUTING 1 -d 10.250.0.3 -i br0 -j RETURN",
    "-F FORWARD",
    "-t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
];

#[derive(Debug, Clone)]
enum Step {
    Send {
        from: usize,
        to: usize,
        count: usize,
        length: usize,
    },
    /// A TCP transfer from container to container.
    Transfer {
        from: usize,
        to: usize,
        length: usize,
    },
    Wait(u64),
    Rule(usize),
    BridgeNetfilter(bool),
    /// A container's interface goes down and up again.
    Bounce(usize),
    /// Another socket of a container on the same port, for one address: it is nearer.
    Nearer(usize),
    /// That socket is closed.
    Farther(usize),
    Hairpin(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let station = 0..=CONTAINERS;
    let container = 0..CONTAINERS;
    let send = (station.clone(), station, 1..12usize, prop_oneof![Just(10), Just(300), Just(1_600)]);
    let step = prop_oneof![
        12 => send.prop_map(|(from, to, count, length)| Step::Send { from, to, count, length }),
        2 => (container.clone(), container.clone(), 1..20_000usize)
            .prop_map(|(from, to, length)| Step::Transfer { from, to, length }),
        4 => prop_oneof![Just(1), Just(40), Just(2_500), Just(6_000), Just(31_000), Just(130_000)].prop_map(Step::Wait),
        3 => (0..RULES.len()).prop_map(Step::Rule),
        1 => any::<bool>().prop_map(Step::BridgeNetfilter),
        1 => container.clone().prop_map(Step::Bounce),
        1 => container.clone().prop_map(Step::Nearer),
        1 => container.clone().prop_map(Step::Farther),
        1 => (container, any::<bool>()).prop_map(|(container, on)| Step::Hairpin(container, on)),
    ];
    prop::collection::vec(step, 1..25)
}

/// A host with a bridge and containers, and a machine behind its uplink; every station has a UDP socket.
struct Stage {
    bench: Bench,
    sockets: BTreeMap<usize, SocketId>,
    log: String,
}

fn name(station: usize) -> String {
    if station == CONTAINERS { "machine".to_owned() } else { format!("c{station}") }
}

fn address(station: usize) -> IpAddr {
    let text =
        if station == CONTAINERS { "203.0.113.80".to_owned() } else { format!("10.250.0.{}", station + 2) };
    text.parse().unwrap()
}

impl Stage {
    fn new(watched: bool) -> Stage {
        let mut bench = Bench::new(0);
        bench.engine.borrow_mut().watch(watched);
        bench.bridge("host", "br0", "10.250.0.1/16");
        for container in 0..CONTAINERS {
            let address = format!("{}/16", address(container));
            bench.container(&name(container), "br0", &address, Some("10.250.0.1"));
        }
        bench.machine("machine", "203.0.113.80/24");
        bench.uplink("host", "eth0", "203.0.113.10/24", "machine", LinkQuality::default());
        bench.apply("machine", vec![default_route("machine", "203.0.113.10")]);
        bench.forward("host");
        let mut stage = Stage { bench, sockets: BTreeMap::new(), log: String::new() };
        for station in 0..=CONTAINERS {
            let any = SocketAddr::from(([0, 0, 0, 0], PORT));
            stage.bench.apply(&name(station), vec![listen(station, any, station as u32)]);
            // A datagram to itself shows the socket.
            let own = SocketAddr::new(address(station), PORT);
            let packet = emit_udp(own, own, 64, b"hello").unwrap();
            let mut engine = stage.bench.engine.borrow_mut();
            let id = engine.namespace(&NamespaceName::new(name(station))).unwrap();
            engine.transmit_packet(id, &packet);
            while engine.drain(1_000).unwrap() == Drained::More {}
            let (_, socket) = engine.take_service_event().unwrap();
            engine.receive_datagram(socket, &mut [0; 16]).unwrap();
            stage.sockets.insert(station, socket);
        }
        stage
    }

    fn step(&mut self, number: usize, step: &Step) {
        match step {
            Step::Send { from, to, count, length } => {
                for turn in 0..*count {
                    let payload = vec![turn as u8; *length];
                    let sent = self.bench.engine.borrow_mut().send_datagram(
                        self.sockets[from],
                        SocketAddr::new(address(*to), PORT),
                        &payload,
                    );
                    writeln!(self.log, "{number}: sent {sent:?}").unwrap();
                    // Bursts of two, so that frames of a flow follow each other in the FIFO.
                    if turn % 2 == 1 {
                        self.settle(number);
                    }
                }
            }
            Step::Transfer { from, to, length } => self.transfer(number, *from, *to, *length),
            Step::Wait(milliseconds) => self.wait(number, Duration::from_millis(*milliseconds)),
            Step::Rule(rule) => {
                let words: Vec<String> = RULES[*rule].split_whitespace().map(str::to_owned).collect();
                let mut engine = self.bench.engine.borrow_mut();
                let host = engine.namespace(&NamespaceName::new("host")).unwrap();
                let said = engine.iptables(host, Family::Ipv4, &words).is_ok();
                writeln!(self.log, "{number}: rule {said}").unwrap();
            }
            Step::BridgeNetfilter(on) => {
                let sysctl = Sysctl::BridgeNetfilter(*on);
                self.bench
                    .apply("host", vec![Op::SetSysctl { namespace: NamespaceName::new("host"), sysctl }]);
            }
            Step::Bounce(container) => {
                let eth0 = device(&name(*container), "eth0");
                self.bench.apply(&name(*container), vec![Op::SetDown { device: eth0.clone() }]);
                self.settle(number);
                self.bench.apply(&name(*container), vec![Op::SetUp { device: eth0 }]);
            }
            Step::Nearer(container) => {
                let own = SocketAddr::new(address(*container), PORT);
                let op = listen(*container, own, 100 + *container as u32);
                self.plan(200 + *container as u32, Some(op));
            }
            Step::Farther(container) => self.plan(200 + *container as u32, None),
            Step::Hairpin(container, hairpin) => {
                let end = device("host", &format!("veth{}", name(*container)));
                let bridge = InterfaceName::parse("br0").unwrap();
                let op = Op::SetMaster { device: end, bridge, hairpin: *hairpin, isolated: *hairpin };
                self.plan(300 + *container as u32, Some(op));
            }
        }
        self.settle(number);
    }

    /// Applies an operation, if it can be, or removes its owner.
    fn plan(&mut self, owner: u32, op: Option<Op>) {
        let mut plan = Plan::new();
        match op {
            Some(op) => plan.push(Owner::Machine(owner), op),
            None => plan.remove_owner(Owner::Machine(owner)),
        }
        let applied = self.bench.engine.borrow_mut().apply(&plan).is_ok();
        writeln!(self.log, "plan {applied}").unwrap();
    }

    fn transfer(&mut self, number: usize, from: usize, to: usize, length: usize) {
        let port = 20_000 + number as u16;
        self.bench.spawn(&name(to), move |sys: Sys| async move {
            let Ok(listener) = sys.tcp_listen(SocketAddr::from(([0, 0, 0, 0], port)), 4) else { return };
            let Some(Ok((stream, _))) = sys.timeout(Duration::from_secs(20), listener.accept()).await else {
                return;
            };
            while let Some(Ok(data)) = sys.timeout(Duration::from_secs(20), stream.read(4_096)).await
                && !data.is_empty()
            {}
        });
        let peer = SocketAddr::new(address(to), port);
        let outcome = self.bench.run(&name(from), move |sys: Sys| async move {
            let stream = match sys.timeout(Duration::from_secs(20), sys.tcp_connect(peer)).await {
                Some(Ok(stream)) => stream,
                Some(Err(error)) => return format!("{error:?}"),
                None => return "silence".to_owned(),
            };
            let sent = sys.timeout(Duration::from_secs(20), stream.write_all(&vec![7; length])).await;
            format!("{sent:?} {:?}", stream.shutdown())
        });
        writeln!(self.log, "{number}: transfer {outcome}").unwrap();
    }

    fn wait(&mut self, number: usize, time: Duration) {
        let end = self.bench.engine.borrow().now() + time;
        loop {
            self.settle(number);
            let next = self.bench.engine.borrow_mut().deadline();
            let Some((time, _)) = next.filter(|(time, _)| *time <= end) else { break };
            self.bench.engine.borrow_mut().advance(time);
        }
        self.bench.engine.borrow_mut().advance(end);
        self.settle(number);
    }

    /// Lets what is under way at this instant end, and notes what arrived where.
    fn settle(&mut self, number: usize) {
        let mut engine = self.bench.engine.borrow_mut();
        while engine.drain(1_000).unwrap() == Drained::More {}
        let mut buffer = [0; 2_048];
        while let Some((service, socket)) = engine.take_service_event() {
            while let Some((length, source)) = engine.receive_datagram(socket, &mut buffer) {
                let first = buffer[0];
                let now = engine.now();
                writeln!(self.log, "{number}: {now:?} {service:?} got {length} of {first} from {source}")
                    .unwrap();
            }
        }
        engine.take_events();
    }

    /// Everything that can be seen from outside.
    fn tables(&self) -> String {
        let engine = self.bench.engine.borrow();
        let mut text = format!("{:?} {} {}\n", engine.drops(), engine.frames(), engine.frames_outstanding());
        for id in engine.namespace_ids() {
            writeln!(text, "{:?}", engine.namespace_name(id)).unwrap();
            for interface in engine.interfaces(id) {
                writeln!(text, "{interface:?}").unwrap();
            }
            let rules = engine.rules(id, Family::Ipv4).unwrap();
            for table in Table::ALL {
                for chain in rules.chains(table) {
                    writeln!(text, "{} {:?}", chain.name(), chain.policy_counters()).unwrap();
                    for entry in chain.rules() {
                        writeln!(text, "{:?} {:?}", entry.rule(), entry.counters()).unwrap();
                    }
                }
            }
            writeln!(text, "{:?}\n{:?}", engine.fdb(id), engine.neighbours(id)).unwrap();
            writeln!(text, "{:?}", engine.connections(id)).unwrap();
        }
        text
    }
}

fn listen(station: usize, address: SocketAddr, service: u32) -> Op {
    let (namespace, transport) = (NamespaceName::new(name(station)), Transport::Udp);
    Op::Listen { namespace, address, transport, service: ServiceId::new(service) }
}

/// Runs the steps with and without memory; what differed.
fn compare(steps: &[Step]) {
    let (mut asking, mut knowing) = (Stage::new(true), Stage::new(false));
    for (number, step) in steps.iter().enumerate() {
        asking.step(number, step);
        knowing.step(number, step);
        assert_eq!(knowing.log, asking.log, "what arrived differs after step {number}, {step:?}");
        assert_eq!(knowing.tables(), asking.tables(), "tables differ after step {number}, {step:?}");
    }
}

/// Steady traffic in both directions of every pair, so that every stage is remembered, then each kind of change.
#[test]
fn every_change_is_noticed() {
    let pairs = (0..=CONTAINERS).flat_map(|from| (0..=CONTAINERS).map(move |to| (from, to)));
    let traffic: Vec<Step> =
        pairs.clone().map(|(from, to)| Step::Send { from, to, count: 9, length: 10 }).collect();
    let changes = (0..RULES.len()).map(Step::Rule).chain((0..CONTAINERS).flat_map(|container| {
        [
            Step::BridgeNetfilter(container == 1),
            Step::Bounce(container),
            Step::Nearer(container),
            Step::Hairpin(container, true),
            Step::Wait(31_000),
            Step::Farther(container),
            Step::Hairpin(container, false),
            Step::Transfer { from: container, to: (container + 1) % CONTAINERS, length: 30_000 },
        ]
    }));
    let mut steps = traffic.clone();
    for change in changes {
        steps.push(change);
        steps.extend(traffic.iter().cloned());
    }
    compare(&steps);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_remembered_flow_fares_as_one_that_asks(steps in steps()) {
        compare(&steps);
    }
}
