//! How worlds grow: building 10,000 containers and what each takes, and what a pair and a packet cost among few and
//! among many.
//!
//! * `build`: 10,000 containers on 20 networks, from requests to the last running container, and the bytes on the heap
//!   that each of them takes (engine, daemon, files, process; nothing was sent). Goal 1 s and 10 KiB, aim 0.3 s and 4 KiB.
//! * `among`: ten containers of one network ping each other by name and address, and send each other datagrams, in
//!   worlds of 10, 100, 1,000 and 10,000 containers. The cost of a pair and of a datagram must not grow.
//! * `pingall`: 64 containers of one network, one ping of every ordered pair by address, 4,032 in all: what mininet's
//!   command of that name does. Goal 50 ms, aim 10 ms. Also by name and by address, the host included: 8,320.
//! * `matrix`: 100 web servers in 10 networks, every pair by every name and address, ping and port 80. Goal 2 s, aim
//!   0.5 s.
//! * `fixed`: the same of 100 containers in worlds of 100 and of 1,000, in networks of 10. The cost of a pair must not
//!   grow. Gratuitous announcements are over before the first attempt, so they are not in it.
//! * `endpoints`: `docker network connect` and `disconnect` of one container, in networks with 10 and 1,000 others.
//!   Goal 2 times. The networks announce nothing (`advertise_addr_nmsgs` 0): a broadcast reaches every member.

#![allow(unsafe_code, reason = "an allocator that counts implements GlobalAlloc, whose methods are unsafe")]
#![allow(clippy::disallowed_types, reason = "the reference uses the standard hash map and never iterates it")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]
#![allow(missing_docs, reason = "a benchmark is no library")]

mod stage;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use linkspan::lab::matrix::{Matrix, Scope, Subject, matrix, measure};
use linkspan::scenario::{LoadOptions, MemorySource, Scenario, load};
use stage::{Town, median, nanoseconds_each, requests};

/// Bytes on the heap.
static HELD: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_add(size, Ordering::Relaxed);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

const CONTAINERS: usize = 10_000;
const NETWORKS: usize = 20;
const PORT: u16 = 9_000;
/// Containers of one network that take part, whatever the number of others.
const AMONG: usize = 10;
/// Datagrams that a program sends before it lets time pass.
const BURST: usize = 32;
const TICK: Duration = Duration::from_micros(10);

/// Milliseconds.
fn taken<T>(result: &mut Option<T>, run: impl FnOnce() -> T) -> f64 {
    nanoseconds_each(1, || {
        *result = Some(run());
        0
    }) / 1e6
}

fn build() {
    for (networks, containers) in [(1, 100), (2, 1_000), (NETWORKS, CONTAINERS)] {
        let requests = requests(networks, containers);
        let mut times = Vec::new();
        let mut each = 0;
        for _ in 0..3 {
            let (before, mut town) = (HELD.load(Ordering::Relaxed), None);
            times.push(taken(&mut town, || Town::build(&requests)));
            each = (HELD.load(Ordering::Relaxed) - before) / containers;
        }
        let time = median(times);
        print!(
            "{containers} containers on {networks} networks: {time:.0} ms, {:.1} KiB each",
            each as f64 / 1024.0
        );
        println!(
            "{}",
            if containers == CONTAINERS { " (goal 1,000 ms and 10 KiB, aim 300 ms and 4 KiB)" } else { "" }
        );
    }
}

/// Every `step`th container, with its own name only.
fn subjects(count: usize, step: usize) -> Vec<Subject> {
    let subject = |number: usize| {
        let container = format!("c{}", number * step);
        Subject { label: container.clone(), container, names: Vec::new() }
    };
    (0..count).map(subject).collect()
}

/// Pings of every ordered pair by name and by address; how many.
fn pings(town: &mut Town, subjects: &[Subject]) -> u64 {
    reached(town, subjects, Scope::Pings)
}

/// Attempts that all reach their target; how many.
fn reached(town: &mut Town, subjects: &[Subject], scope: Scope) -> u64 {
    let found = measure(&mut town.world, town.host, subjects, scope).expect("no storm");
    assert!(found.attempts.iter().all(|tried| tried.outcome.reaches()), "everybody reaches everybody");
    found.attempts.len() as u64
}

/// Lets ten containers send datagrams in a ring; the count of those that were read.
fn ring(town: &mut Town, step: usize) -> Rc<Cell<u64>> {
    let received = Rc::new(Cell::new(0));
    for number in 0..AMONG {
        let to = SocketAddr::new(town.address((number + 1) % AMONG * step), PORT);
        let (location, counter) = (town.location(number * step), received.clone());
        let server = town.world.start_task(&location, "receive", |sys| async move {
            let socket = sys.udp_socket().expect("a socket");
            socket.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT)).expect("the port is free");
            while socket.receive().await.is_ok() {
                counter.set(counter.get() + 1);
            }
        });
        server.expect("it runs");
        let client = town.world.start_task(&location, "send", |sys| async move {
            let socket = sys.udp_socket().expect("a socket");
            loop {
                for _ in 0..BURST {
                    socket.send_to(&[0x55; 18], to).expect("there is a way");
                }
                sys.sleep(TICK).await;
            }
        });
        client.expect("it runs");
    }
    received
}

/// What pairs and datagrams of ten containers cost among so many.
fn among() {
    for (networks, containers) in [(1, 10), (1, 100), (2, 1_000), (NETWORKS, CONTAINERS)] {
        let mut town = Town::build(&requests(networks, containers));
        let subjects = subjects(AMONG, networks);
        let attempts = pings(&mut town, &subjects) as usize;
        let rounds = (0..9).map(|_| nanoseconds_each(attempts, || pings(&mut town, &subjects)));
        let pair = median(rounds.collect());
        let received = ring(&mut town, networks);
        town.world.wait(TICK * 100).expect("no storm");
        let turns = 200;
        let rounds = (0..9).map(|_| {
            nanoseconds_each(turns * BURST * AMONG, || {
                let before = received.get();
                town.world.wait(TICK * turns as u32).expect("no storm");
                assert_eq!(received.get() - before, (turns * BURST * AMONG) as u64, "every datagram arrives");
                received.get()
            })
        });
        let datagram = median(rounds.collect());
        println!(
            "among {containers} containers: {:.1} us per ping of a pair, {datagram:.0} ns per datagram",
            pair / 1e3
        );
    }
}

fn pingall() {
    for scope in [Scope::PingAll, Scope::Pings] {
        let mut town = Town::build(&requests(1, 64));
        let subjects = subjects(64, 1);
        let first = nanoseconds_each(1, || reached(&mut town, &subjects, scope)) / 1e6;
        let rounds = (0..9).map(|_| nanoseconds_each(1, || reached(&mut town, &subjects, scope)) / 1e6);
        let again = median(rounds.collect());
        let attempts = reached(&mut town, &subjects, scope);
        print!("pingall of 64: {attempts} pings in {first:.1} ms, again {again:.1} ms");
        println!(
            "{}",
            if scope == Scope::PingAll { " (goal 50 ms, aim 10 ms)" } else { ", by name and by address" }
        );
    }
}

/// 100 web servers in 10 networks.
fn servers() -> Scenario {
    let mut text = "services:\n".to_owned();
    for number in 0..100 {
        let network = number % 10;
        writeln!(text, "  web{number}: {{image: nginx, networks: [net{network}]}}")
            .expect("a string takes it");
    }
    text.push_str("networks:\n");
    for number in 0..10 {
        writeln!(text, "  net{number}: {{}}").expect("a string takes it");
    }
    let source = MemorySource::default().with_file("servers/compose.yaml", text);
    let scenario = load(&source, Path::new("servers/compose.yaml"), &LoadOptions::default());
    scenario.map_err(|errors| errors.render(false)).expect("it is well-formed")
}

fn whole_matrix(scenario: &Scenario) -> Matrix {
    matrix(scenario, 0, Scope::Everything).expect("it runs")
}

fn figure_of_matrix() {
    let scenario = servers();
    let mut found = None;
    let rounds = (0..3).map(|_| taken(&mut found, || whole_matrix(&scenario)));
    let time = median(rounds.collect());
    let found = found.expect("it was made");
    let (attempts, frames) = (found.attempts.len(), found.totals.frames);
    println!(
        "matrix of 100 containers in 10 networks: {attempts} attempts, {frames} frames in {time:.0} ms, {:.1} us per \
         attempt (goal 2,000 ms, aim 500 ms)",
        time * 1e3 / attempts as f64
    );
}

/// A world of networks of ten.
fn small_networks(containers: usize) -> Town {
    let networks = containers / AMONG;
    let mut lines: Vec<String> = (0..networks)
        .map(|n| format!("network create --subnet 10.{}.{}.0/24 net{n}", n / 256, n % 256))
        .collect();
    lines.extend(
        (0..containers).map(|n| format!("run -d --name c{n} --network net{} alpine sleep 1d", n / AMONG)),
    );
    let lines: Vec<_> = lines.iter().map(|line| stage::request(line)).collect();
    let mut town = Town::build(&lines);
    town.world.wait(Duration::from_secs(10)).expect("no storm");
    town
}

/// The first hundred containers, ten networks, in worlds of a hundred and of a thousand.
fn fixed() {
    for containers in [100, 1_000] {
        let mut town = small_networks(containers);
        let subjects = subjects(100, 1);
        let mut pairs = 0;
        let rounds = (0..5).map(|_| {
            nanoseconds_each(1, || {
                let found = measure(&mut town.world, town.host, &subjects, Scope::Everything);
                pairs = found.expect("no storm").attempts.len();
                pairs as u64
            })
        });
        let time = median(rounds.collect());
        println!(
            "100 containers in networks of 10 among {containers}: {pairs} attempts, {:.2} us each",
            time / 1e3 / pairs as f64
        );
    }
}

/// Joining and leaving a network.
fn endpoints() {
    let mut times = Vec::new();
    for members in [10, 1_000] {
        let quiet = "-o com.docker.network.advertise_addr_nmsgs=0";
        let mut lines = vec![format!("network create {quiet} --subnet 10.1.0.0/16 big")];
        lines.extend((0..members).map(|n| format!("run -d --name c{n} --network big alpine sleep 1d")));
        lines.push("run -d --name guest alpine sleep 1d".to_owned());
        let lines: Vec<_> = lines.iter().map(|line| stage::request(line)).collect();
        let mut town = Town::build(&lines);
        let [join, leave] =
            ["connect", "disconnect"].map(|v| stage::request(&format!("network {v} big guest")));
        let rounds = (0..15).map(|_| {
            nanoseconds_each(50, || {
                for _ in 0..50 {
                    for request in [&join, &leave] {
                        let mut job = town.world.request(town.host, request).expect("nothing is in its way");
                        assert_eq!(job.status(), Some(0), "{}", job.take_output());
                    }
                }
                0
            })
        });
        times.push(median(rounds.collect()) / 1e3);
    }
    println!(
        "an endpoint joins and leaves a network of 10: {:.1} us, of 1,000: {:.1} us, {:.2} times (goal 2)",
        times[0],
        times[1],
        times[1] / times[0]
    );
}

fn main() {
    if stage::wants_figures() {
        build();
        among();
        pingall();
        figure_of_matrix();
        fixed();
        endpoints();
    }
    let mut criterion = stage::criterion();
    let thousand = requests(2, 1_000);
    criterion.bench_function("build/1000", |bencher| bencher.iter_with_large_drop(|| Town::build(&thousand)));
    let mut town = Town::build(&requests(1, 64));
    let subjects = subjects(64, 1);
    criterion.bench_function("pingall/64", |bencher| {
        bencher.iter(|| reached(&mut town, &subjects, Scope::PingAll))
    });
    let many = requests(NETWORKS, CONTAINERS);
    criterion.bench_function("build/10000", |bencher| bencher.iter_with_large_drop(|| Town::build(&many)));
    let scenario = servers();
    criterion.bench_function("matrix/100", |bencher| bencher.iter(|| whole_matrix(&scenario)));
    criterion.final_summary();
}
