//! What must not grow with the size of a world: the work of one step among many, and the memory of a container.
//!
//! Work is counted, not timed: every allocation of this process is, by number and size, which is the same on every
//! machine. A walk over all networks or ports that a step makes copies of shows in them.

#![allow(unsafe_code, reason = "an allocator that counts implements GlobalAlloc, whose methods are unsafe")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests; helpers outside a test function are tests too"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;

use linkspan::docker::cli;
use linkspan::docker::daemon::DaemonConfig;
use linkspan::lab;
use linkspan::scenario::report::RunOptions;
use linkspan::scenario::{LoadOptions, MemorySource, Scenario, load};
use linkspan::world::stage::{LinkQuality, MachineSpec, NicSpec};
use linkspan::world::{HostId, World};

thread_local! {
    /// Bytes that this thread holds, and bytes that it ever asked for.
    static HELD: Cell<(isize, usize)> = const { Cell::new((0, 0)) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

fn count(change: isize) {
    // Threads that end have no counter any more.
    let _ = HELD.try_with(|held| {
        let (now, ever) = held.get();
        held.set((now + change, ever + usize::try_from(change).unwrap_or(0)));
    });
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Bytes that were asked for meanwhile.
fn work(run: impl FnOnce()) -> usize {
    let before = HELD.get().1;
    run();
    HELD.get().1 - before
}

struct Town {
    world: World,
    host: HostId,
}

impl Town {
    fn new() -> Town {
        let card = NicSpec {
            name: "eth0".to_owned(),
            addresses: vec!["203.0.113.10/24".parse().unwrap()],
            lan: Some("uplink".to_owned()),
            mtu: 1500,
            mac: None,
            quality: LinkQuality::default(),
        };
        let spec = MachineSpec {
            name: "host".to_owned(),
            nics: vec![card],
            loopback: Vec::new(),
            routes: Vec::new(),
            forward: false,
            resolv_conf: "nameserver 203.0.113.53\n".to_owned(),
            local_ports: None,
            sysctls: Vec::new(),
            rules: Vec::new(),
        };
        let mut world = World::new(0);
        let host = world.add_host(&spec, DaemonConfig::default()).unwrap();
        Town { world, host }
    }

    fn docker(&mut self, line: &str) {
        let words = cli::words::split(line).unwrap();
        let request = cli::parse(&words).unwrap().request;
        let mut job = self.world.request(self.host, &request).unwrap();
        let status = job.status();
        assert_eq!(status, Some(0), "{line}: {}", job.take_output());
    }

    /// A network with so many members that announces nothing: a broadcast reaches every member.
    fn network_of(members: usize) -> Town {
        let mut town = Town::new();
        let quiet = "-o com.docker.network.advertise_addr_nmsgs=0";
        town.docker(&format!("network create {quiet} --subnet 10.1.0.0/16 big"));
        for number in 0..members {
            town.docker(&format!("run -d --name c{number} --network big alpine sleep 1d"));
        }
        town.docker("run -d --name guest alpine sleep 1d");
        town
    }
}

#[test]
fn a_container_takes_less_than_ten_kibibytes_before_a_socket_opens() {
    let alike = bytes_each(|_| String::new());
    assert!(alike < 10 * 1_024, "{alike} bytes for each container");
    let unlike = bytes_each(|number| format!("-e NUMBER={number} --label number={number}"));
    assert!(unlike < 11 * 1_024, "{unlike} bytes for each container that is like no other");
}

/// Bytes that each of a thousand containers on two networks takes.
fn bytes_each(options: impl Fn(usize) -> String) -> isize {
    let mut town = Town::new();
    town.docker("network create one");
    town.docker("network create two");
    let before = HELD.get().0;
    for number in 0..1_000 {
        let network = if number % 2 == 0 { "one" } else { "two" };
        let options = options(number);
        town.docker(&format!("run -d --name c{number} --network {network} {options} alpine sleep 1d"));
    }
    (HELD.get().0 - before) / 1_000
}

#[test]
fn an_endpoint_costs_no_more_in_a_network_of_a_thousand_than_in_one_of_ten() {
    let turns = |members: usize| {
        let mut town = Town::network_of(members);
        work(|| {
            for _ in 0..20 {
                town.docker("network connect big guest");
                town.docker("network disconnect big guest");
            }
        })
    };
    let (few, many) = (turns(10), turns(1_000));
    assert!(many <= 2 * few, "{few} bytes were asked for among ten, {many} among a thousand");
}

/// Networks with explicit subnets, each with a service.
fn networks(count: usize) -> String {
    let mut text = "services:\n".to_owned();
    for number in 0..count {
        writeln!(text, "  s{number}: {{image: alpine, command: sleep 1d, networks: [net{number}]}}").unwrap();
    }
    text.push_str("networks:\n");
    for number in 0..count {
        let (high, low) = (number / 256, number % 256);
        writeln!(text, "  net{number}: {{ipam: {{config: [{{subnet: 10.{high}.{low}.0/24}}]}}}}").unwrap();
    }
    text
}

fn read(text: String) -> Scenario {
    let source = MemorySource::default().with_file("town/compose.yaml", text);
    let scenario = load(&source, Path::new("town/compose.yaml"), &LoadOptions::default());
    scenario.map_err(|errors| errors.render(false)).unwrap()
}

#[test]
fn a_file_with_many_networks_takes_work_by_their_number() {
    let of = |count: usize| {
        let text = networks(count);
        work(|| {
            let report = lab::run(&read(text), &RunOptions::default(), &mut |_| {});
            assert!(report.passed());
        })
    };
    let (some, twice) = (of(200), of(400));
    assert!(twice <= some * 5 / 2, "{some} bytes were asked for with 200 networks, {twice} with 400");
}

#[test]
fn publishing_many_ports_takes_work_by_their_number() {
    let of = |last: u16| {
        let mut town = Town::new();
        work(|| {
            town.docker(&format!("run -d --name web -p 1001-{last}:1001-{last} alpine sleep 1d"));
            town.docker("rm -f web");
        })
    };
    let (some, twice) = (of(2_000), of(3_000));
    assert!(twice <= some * 5 / 2, "{some} bytes were asked for with 1,000 ports, {twice} with 2,000");
}
