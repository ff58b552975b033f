//! What the bridge costs per frame beyond the bare work: 64-byte known unicast among 1,000 stations on four
//! ports.
//!
//! The reference is the least a switch can do, the bare step of `reference/`. The bridge does the same with
//! everything it guarantees: the received bytes are copied into a pooled frame, as at an I/O edge, whose header
//! is parsed; validity, ageing, port rules and counters follow; the frame itself moves to the output and stays
//! queued until 512 others have been made. Before the criterion groups the two run
//! in alternation and the ratio of their medians is printed; the goal is at most 3.

#![allow(clippy::disallowed_types, reason = "the reference uses the standard hash map and never iterates it")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

mod reference;

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use linkspan_switch::bridge::{Bridge, BridgeConfig, Decision, PortConfig, PortId};
use linkspan_switch::ethernet::{EtherType, EthernetHeader};
use linkspan_switch::fdb::{Fdb, FdbConfig};
use linkspan_switch::frame::{Frame, Pool};

use reference::{
    FRAME_LEN, PORTS, Reference, SLOT_LEN, SLOTS, STATIONS, destinations, median, nanoseconds_each, station,
};

const ROUNDS: usize = 15;
const FRAMES_PER_ROUND: usize = 1 << 22;

/// The same traffic through the bridge.
struct Switch {
    bridge: Bridge,
    ports: Vec<PortId>,
    pool: Pool,
    input: Vec<u8>,
    output: VecDeque<Frame>,
    now: Duration,
}

impl Switch {
    fn new() -> Switch {
        let pool = Pool::new();
        let mut bridge = Bridge::new(BridgeConfig::default());
        let ports: Vec<PortId> =
            (0..PORTS).map(|_| bridge.add_port(PortConfig::default()).expect("four ports fit")).collect();
        let mut input = vec![0; STATIONS * SLOT_LEN];
        for (source, destination) in destinations(STATIONS).into_iter().enumerate() {
            let (source_address, destination) = (station(source), station(destination));
            let header = EthernetHeader { destination, source: source_address, ethertype: EtherType::IPV4 };
            header.emit(&mut input[source * SLOT_LEN..][..FRAME_LEN]).expect("the slot holds a header");
        }
        let output = (0..SLOTS).map(|_| pool.frame(FRAME_LEN)).collect();
        let mut switch = Switch { bridge, ports, pool, input, output, now: Duration::ZERO };
        switch.run(2 * STATIONS);
        switch
    }

    fn run(&mut self, frames: usize) -> u64 {
        let mut forwarded = 0;
        for index in 0..frames {
            self.now += Duration::from_nanos(100);
            let slot = index % STATIONS * SLOT_LEN;
            let frame = self.pool.copy_of(&self.input[slot..slot + FRAME_LEN]);
            let Ok(header) = EthernetHeader::parse(frame.bytes()) else { continue };
            if let Decision::Forward(_) =
                self.bridge.ingress(self.now, self.ports[index % PORTS], &header, None)
            {
                self.output.pop_front();
                self.output.push_back(frame);
                forwarded += 1;
            }
        }
        black_box(&mut self.output);
        forwarded
    }
}

fn compare() {
    let (mut reference, mut switch) = (Reference::new(), Switch::new());
    let allocations = switch.pool.allocations();
    let (mut bare, mut bridged) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(nanoseconds_each(FRAMES_PER_ROUND, || reference.run(FRAMES_PER_ROUND)));
        bridged.push(nanoseconds_each(FRAMES_PER_ROUND, || {
            let forwarded = switch.run(FRAMES_PER_ROUND);
            assert_eq!(forwarded, FRAMES_PER_ROUND as u64, "every frame is known unicast");
            forwarded
        }));
    }
    let (bare, bridged) = (median(bare), median(bridged));
    let allocated = switch.pool.allocations() - allocations;
    println!(
        "64-byte known unicast, {STATIONS} stations: reference {bare:.2} ns, bridge {bridged:.2} ns per frame"
    );
    println!("ratio {:.2} (goal 3), buffers allocated while measuring: {allocated}", bridged / bare);
}

fn learn_and_lookup(criterion: &mut Criterion) {
    let mut fdb = Fdb::new(FdbConfig::default());
    let pairs: Vec<_> =
        destinations(STATIONS).into_iter().enumerate().map(|(s, d)| (station(s), station(d))).collect();
    let mut index = 0;
    let mut now = Duration::ZERO;
    criterion.bench_function("fdb/learn+lookup/1000", |bencher| {
        bencher.iter(|| {
            let (source, destination) = pairs[index];
            let port = PortId(1 + (index % PORTS) as u16);
            index = (index + 1) % STATIONS;
            now += Duration::from_nanos(100);
            fdb.learn(now, source, None, port);
            fdb.lookup(now, destination, None)
        });
    });
}

fn main() {
    // A filter asks for criterion alone.
    if std::env::args().skip(1).all(|argument| argument.starts_with('-')) {
        compare();
    }
    let mut criterion = Criterion::default().configure_from_args();
    learn_and_lookup(&mut criterion);
    let (mut reference, mut switch) = (Reference::new(), Switch::new());
    let mut group = criterion.benchmark_group("unicast-64/1000");
    group.throughput(Throughput::Elements(STATIONS as u64));
    group.bench_function("reference", |bencher| bencher.iter(|| reference.run(STATIONS)));
    group.bench_function("bridge", |bencher| bencher.iter(|| switch.run(STATIONS)));
    group.finish();
    criterion.final_summary();
}
