//! The same on a real engine: a host with a bridge for the containers, and another with an edge to the outside, between
//! which it routes without looking at sources.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use linkspan::engine::Drained;
use linkspan::engine::event::{DropReason, Event, EventKind};
use linkspan::engine::id::{DeviceId, ServiceId, SocketId};
use linkspan::engine::plan::{
    DeviceSpec, InterfaceName, MacAddress, NamespaceName, Op, Owner, Plan, Sysctl, Transport,
};
use linkspan_nat::emit::emit_udp;

use super::common::{Bench, default_route, device};
use super::stage::MACS;
use super::transition::Transition;

const PORT: u16 = 9_000;
/// After every step nothing waits any more: three requests, a second apart, find that a neighbour is not there, and three
/// more that the one who would be told is not there either.
const REST: Duration = Duration::from_secs(8);

/// How often the rest is taken again; each time another fragment may have ended, and there are no more in a few steps.
const FRAGMENTS: usize = 8;

/// The engine and what is known of it.
pub struct System {
    /// The engine.
    pub bench: Bench,
    edge: DeviceId,
    sockets: BTreeMap<usize, SocketId>,
    /// Marks datagrams, so that those of the outside machine are not taken for ours.
    token: u64,
    /// Drops as the events tell them.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Events of the step.
    pub events: Vec<Event>,
}

impl System {
    /// The host, without containers.
    pub fn new() -> System {
        let mut bench = Bench::new(0);
        bench.engine.borrow_mut().watch(true);
        bench.bridge("host", "br0", "10.0.0.1/24");
        bench.bridge_with_mac("host", "br1", "203.0.113.10/24", Some(MacAddress(MACS[1])));
        let edge = device("host", "tap1");
        bench.apply(
            "edges",
            vec![
                Op::add_address(device("host", "br1"), "fd00:1::1/64".parse().unwrap()),
                Op::AddDevice { device: edge.clone(), spec: DeviceSpec::External, mac: None, mtu: 1_500 },
                Op::SetMaster {
                    device: edge.clone(),
                    bridge: InterfaceName::parse("br1").unwrap(),
                    hairpin: false,
                    isolated: false,
                },
                Op::SetUp { device: edge },
            ],
        );
        bench.forward("host");
        let edge = bench.device("host", "tap1");
        let (sockets, dropped) = (BTreeMap::new(), BTreeMap::new());
        let mut system = System { bench, edge, sockets, token: 0, dropped, events: Vec::new() };
        system.settle();
        system
    }

    /// Takes a step, waits until all is quiet, and says how many of its datagrams arrived.
    pub fn step(&mut self, transition: &Transition) -> usize {
        self.events.clear();
        self.token += 1;
        let mut arrived = 0;
        match transition {
            Transition::Start(one) => self.start(*one),
            Transition::Stop(one) => {
                self.sockets.remove(one);
                self.bench.remove(&name(*one));
            }
            Transition::Down(one) => {
                self.bench.apply(&name(*one), vec![Op::SetDown { device: device(&name(*one), "eth0") }]);
            }
            Transition::Up(one) => {
                // Taking an interface down takes its routes along, not its addresses.
                self.bench.apply(&name(*one), vec![Op::SetUp { device: device(&name(*one), "eth0") }]);
            }
            Transition::Send { from, to, count, length } => {
                for number in 0..*count {
                    let mut payload = vec![number; *length];
                    payload[..8].copy_from_slice(&self.token.to_be_bytes());
                    let remote = SocketAddr::new(address(*to), PORT);
                    let sent =
                        self.bench.engine.borrow_mut().send_datagram(self.sockets[from], remote, &payload);
                    assert_eq!(sent, Ok(()), "a container that is up can send");
                }
            }
            Transition::Block(from, to) => drop(self.bench.iptables("host", &rule("-A", *from, *to))),
            Transition::Unblock(from, to) => drop(self.bench.iptables("host", &rule("-D", *from, *to))),
            Transition::Policy { drop } => {
                self.bench.iptables("host", if *drop { "-P FORWARD DROP" } else { "-P FORWARD ACCEPT" });
            }
            Transition::BridgeNetfilter(on) => {
                let sysctl = Sysctl::BridgeNetfilter(*on);
                self.bench
                    .apply("host", vec![Op::SetSysctl { namespace: NamespaceName::new("host"), sysctl }]);
            }
            Transition::Wait(seconds) => arrived += self.wait(Duration::from_secs(*seconds)),
            Transition::Hostile(frame) => self.bench.engine.borrow_mut().input(self.edge, frame),
        }
        arrived += self.wait(REST);
        // The time of a fragment may end within the rest, and the error about it then waits for a neighbour.
        for _ in 0..FRAGMENTS {
            if self.bench.engine.borrow().frames_outstanding() == 0 {
                break;
            }
            arrived += self.wait(REST);
        }
        arrived
    }

    fn start(&mut self, one: usize) {
        let (name, own) = (name(one), SocketAddr::new(address(one), PORT));
        let mac = MacAddress([2, 0, 0, 0, 1, one as u8]);
        let (namespace, eth0) = (NamespaceName::new(&name), device(&name, "eth0"));
        let end = device("host", &format!("veth{one}"));
        let any = SocketAddr::from(([0, 0, 0, 0], PORT));
        let ops = vec![
            Op::AddNamespace {
                namespace: namespace.clone(),
                disable_ipv6: false,
                ipv4_forward: false,
                unprivileged: false,
            },
            Op::AddDevice {
                device: end.clone(),
                spec: DeviceSpec::Veth { peer: eth0.clone(), peer_mac: Some(mac), moved: false },
                mac: None,
                mtu: 1_500,
            },
            Op::SetMaster {
                device: end.clone(),
                bridge: InterfaceName::parse("br0").unwrap(),
                hairpin: false,
                isolated: false,
            },
            Op::SetUp { device: end },
            Op::add_address(eth0.clone(), format!("{}/24", own.ip()).parse().unwrap()),
            Op::SetUp { device: eth0 },
            default_route(&name, "10.0.0.1"),
            Op::Listen {
                namespace: namespace.clone(),
                address: any,
                transport: Transport::Udp,
                service: ServiceId::new(one as u32),
            },
        ];
        self.bench.apply(&name, ops);
        // A datagram to itself shows the socket.
        let packet = emit_udp(own, own, 64, b"hello").unwrap();
        let id = self.bench.engine.borrow().namespace(&namespace).unwrap();
        self.bench.engine.borrow_mut().transmit_packet(id, &packet);
        self.settle_with(|socket, sockets| _ = sockets.insert(one, socket));
    }

    fn wait(&mut self, time: Duration) -> usize {
        let until = self.bench.engine.borrow().now() + time;
        let mut arrived = self.settle();
        loop {
            let next = self.bench.engine.borrow_mut().deadline();
            let Some((time, _)) = next.filter(|(time, _)| *time <= until) else { break };
            self.bench.engine.borrow_mut().advance(time);
            arrived += self.settle();
        }
        self.bench.engine.borrow_mut().advance(until);
        arrived + self.settle()
    }

    /// Lets what happens at this instant happen; how many datagrams of the step arrived.
    pub fn settle(&mut self) -> usize {
        self.settle_with(|_, _| {})
    }

    fn settle_with(&mut self, mut seen: impl FnMut(SocketId, &mut BTreeMap<usize, SocketId>)) -> usize {
        let mut engine = self.bench.engine.borrow_mut();
        let mut arrived = 0;
        while engine.drain(10_000).expect("no circle") == Drained::More {}
        while engine.take_output().is_some() {}
        let mut buffer = [0; 2_048];
        while let Some((_, socket)) = engine.take_service_event() {
            seen(socket, &mut self.sockets);
            while let Some((length, source)) = engine.receive_datagram(socket, &mut buffer) {
                let ours = length >= 8 && buffer[..8] == self.token.to_be_bytes();
                arrived += usize::from(ours && source.port() == PORT);
            }
        }
        for event in engine.take_events() {
            if let EventKind::Dropped { reason, .. } = event.kind {
                *self.dropped.entry(reason).or_default() += 1;
            }
            self.events.push(event);
        }
        arrived
    }
}

fn name(container: usize) -> String {
    format!("c{container}")
}

fn address(container: usize) -> IpAddr {
    [10, 0, 0, 2 + container as u8].into()
}

fn rule(verb: &str, from: usize, to: usize) -> String {
    format!("{verb} FORWARD -s {} -d {} -j DROP", address(from), address(to))
}

/// Takes everything away.
pub fn remove_all(bench: &mut Bench) {
    let owners: Vec<Owner> = bench.engine.borrow().owned().into_keys().collect();
    for owner in owners.into_iter().rev() {
        let mut plan = Plan::new();
        plan.remove_owner(owner);
        bench.engine.borrow_mut().apply(&plan).expect("removing never fails");
    }
}
