//! The stage on which flows whose way is remembered are compared with flows that ask: two engines, one of them watched,
//! where nothing is repeated, go through the same steps.

#![allow(unreachable_pub, reason = "a module of several test crates")]
#![allow(dead_code, reason = "each test crate uses a part")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use linkspan::engine::Drained;
use linkspan::engine::id::{ServiceId, SocketId};
use linkspan::engine::plan::{
    DeviceSpec, LinkQuality, MacAddress, NamespaceName, Op, Owner, Plan, Sysctl, Transport,
};
use linkspan::engine::sys::{Change, DuplicateDetection, Family, Sys};
use linkspan_nat::emit::emit_udp;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::ruleset::Table;

use super::common::{Bench, default_route, device};

const PORT: u16 = 9_000;
/// Containers on the bridge; the machine behind the uplink is the station after them.
pub const CONTAINERS: usize = 3;
pub const RULES: [&str; 9] = [
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

/// What happens on the stage.
#[derive(Debug, Clone)]
pub enum Step {
    /// Datagrams from one station to another.
    Send { from: usize, to: usize, count: usize, length: usize },
    /// A TCP transfer from container to container.
    Transfer { from: usize, to: usize, length: usize },
    /// Milliseconds.
    Wait(u64),
    /// One of [`RULES`].
    Rule(usize),
    /// `bridge-nf-call-iptables`.
    BridgeNetfilter(bool),
    /// A container's interface goes down and up again.
    Bounce(usize),
    /// Another socket of a container on the same port, for one address: it is nearer.
    Nearer(usize),
    /// That socket is closed.
    Farther(usize),
    /// Whether a container's port is a hairpin, and isolated.
    Hairpin(usize, bool),
    /// A container's end of its cable, or the host's, has another MTU.
    Mtu { container: usize, host: bool, mtu: u32 },
    /// A container takes another station's address too, or gives it back.
    Claim { container: usize, of: usize, claims: bool },
    /// What a container asks of sources: `rp_filter`.
    Sources { container: usize, rp_filter: u8 },
    /// A frame comes in by one of the two outside edges.
    Inject { side: usize, frame: Vec<u8> },
    /// The uplink gets another delay, in milliseconds, or is cut.
    Uplink { delay: u64, cut: bool },
}

/// Runs the steps with and without memory; what arrived must be the same after each, and what can be seen of the engine
/// as often as `tables` says: after each or only at the end.
pub fn compare(steps: &[Step], tables: Tables) {
    let (mut asking, mut knowing) = (Stage::new(true), Stage::new(false));
    for (number, step) in steps.iter().enumerate() {
        asking.step(number, step);
        knowing.step(number, step);
        assert_eq!(knowing.log, asking.log, "what arrived differs after step {number}, {step:?}");
        if tables == Tables::AfterEach || number + 1 == steps.len() {
            assert_eq!(knowing.tables(), asking.tables(), "tables differ after step {number}, {step:?}");
        }
        (asking.log, knowing.log) = (String::new(), String::new());
    }
}

/// When tables are compared: writing them down costs more than most steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// After each step, which tells the step that made the difference.
    AfterEach,
    /// Once.
    AtTheEnd,
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
        bench.bridge_with_mac("host", "br0", "10.250.0.1/16", Some(MacAddress([2, 0, 0, 0, 0, 1])));
        for container in 0..CONTAINERS {
            let address = format!("{}/16", address(container));
            bench.container(&name(container), "br0", &address, Some("10.250.0.1"));
        }
        bench.machine("machine", "203.0.113.80/24");
        bench.uplink("host", "eth0", "203.0.113.10/24", "machine", LinkQuality::default());
        bench.apply("machine", vec![default_route("machine", "203.0.113.10")]);
        bench.forward("host");
        edges(&mut bench);
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
            Step::Mtu { container, host, mtu } => {
                let container = name(*container);
                let (space, end) = match host {
                    true => ("host", format!("veth{container}")),
                    false => (container.as_str(), "eth0".to_owned()),
                };
                let mut engine = self.bench.engine.borrow_mut();
                let id = engine.namespace(&NamespaceName::new(space)).unwrap();
                engine.administer(id, &Change::SetMtu(end, *mtu)).unwrap();
            }
            Step::Claim { container, of, claims } => {
                let claimed = IpNet::from(address(*of));
                let change = match claims {
                    true => Change::AddAddress("eth0".to_owned(), claimed, DuplicateDetection::Wanted),
                    false => Change::RemoveAddress("eth0".to_owned(), claimed),
                };
                let mut engine = self.bench.engine.borrow_mut();
                let id = engine.namespace(&NamespaceName::new(name(*container))).unwrap();
                let said = engine.administer(id, &change);
                writeln!(self.log, "{number}: {said:?}").unwrap();
            }
            Step::Sources { container, rp_filter } => {
                let namespace = NamespaceName::new(name(*container));
                let sysctl = Sysctl::parse("net/ipv4/conf/eth0/rp_filter", &rp_filter.to_string()).unwrap();
                self.bench.apply(&name(*container), vec![Op::SetSysctl { namespace, sysctl }]);
            }
            Step::Inject { side, frame } => {
                let port = self.bench.device("host", ["tap0", "tap1"][side % 2]);
                self.bench.engine.borrow_mut().input(port, frame);
            }
            Step::Uplink { delay, cut } => self.uplink(Duration::from_millis(*delay), *cut),
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

    fn uplink(&mut self, delay: Duration, cut: bool) {
        let quality = LinkQuality { delay, cut, ..LinkQuality::default() };
        let ends = [device("host", "eth0"), device("machine", "eth0")];
        let ops = ends.map(|device| Op::SetLink { device, quality });
        self.bench.apply("host", ops.to_vec());
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
        while let Some((port, frame)) = engine.take_output() {
            writeln!(self.log, "{number}: {port:?} sent {:02x?}", frame.bytes()).unwrap();
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

/// Two outside edges of the host: `tap0` is a port of the bridge, `tap1` has an address of its own.
fn edges(bench: &mut Bench) {
    let edge = |name: &str, mac| Op::AddDevice {
        device: device("host", name),
        spec: DeviceSpec::External,
        mac: Some(MacAddress([2, 0, 0, 0, 0, mac])),
        mtu: 1_500,
    };
    let (port, own) = (device("host", "tap0"), device("host", "tap1"));
    let bridge = InterfaceName::parse("br0").unwrap();
    bench.apply(
        "edges",
        vec![
            edge("tap0", 4),
            edge("tap1", 2),
            Op::SetMaster { device: port.clone(), bridge, hairpin: false, isolated: false },
            Op::SetUp { device: port },
            Op::add_address(own.clone(), "198.51.100.1/24".parse().unwrap()),
            Op::SetUp { device: own },
        ],
    );
}
