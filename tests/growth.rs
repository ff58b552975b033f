//! What must not grow with the size of a world: the work of one step among many, and the memory of a container.
//!
//! Work is counted, not timed: every allocation of this process is, by number and size, which is the same on every
//! machine. A walk over all networks or ports that a step makes copies of shows in them.

#![allow(unsafe_code, reason = "an allocator that counts implements GlobalAlloc, whose methods are unsafe")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests; helpers outside a test function are tests too"
)]

#[path = "../benches/stage/town.rs"]
mod town;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;

use linkspan::lab;
use linkspan::scenario::report::{Progress, RunOptions};
use linkspan::scenario::{LoadOptions, MemorySource, Scenario, load};
use town::Town;

thread_local! {
    /// Bytes that this thread holds, and bytes that it ever asked for.
    static HELD: Cell<(isize, usize)> = const { Cell::new((0, 0)) };
    /// The most bytes that it held since somebody asked.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

fn count(change: isize) {
    // Threads that end have no counter any more.
    let _ = HELD.try_with(|held| {
        let (now, ever) = held.get();
        held.set((now + change, ever + usize::try_from(change).unwrap_or(0)));
        let _ = MOST.try_with(|most| most.set(most.get().max(now + change)));
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

/// A network with so many members that announces nothing: a broadcast reaches every member.
fn network_of(members: usize) -> Town {
    let mut town = Town::build(&[]);
    let quiet = "-o com.docker.network.advertise_addr_nmsgs=0";
    docker(&mut town, &format!("network create {quiet} --subnet 10.1.0.0/16 big"));
    for number in 0..members {
        docker(&mut town, &format!("run -d --name c{number} --network big alpine sleep 1d"));
    }
    docker(&mut town, "run -d --name guest alpine sleep 1d");
    town
}

fn docker(town: &mut Town, line: &str) {
    town.carry_out(&town::request(line));
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
    let mut town = Town::build(&[]);
    docker(&mut town, "network create one");
    docker(&mut town, "network create two");
    let before = HELD.get().0;
    for number in 0..1_000 {
        let network = if number % 2 == 0 { "one" } else { "two" };
        let options = options(number);
        docker(&mut town, &format!("run -d --name c{number} --network {network} {options} alpine sleep 1d"));
    }
    (HELD.get().0 - before) / 1_000
}

#[test]
fn an_endpoint_costs_no_more_in_a_network_of_a_thousand_than_in_one_of_ten() {
    let turns = |members: usize| {
        let mut town = network_of(members);
        work(|| {
            for _ in 0..20 {
                docker(&mut town, "network connect big guest");
                docker(&mut town, "network disconnect big guest");
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
    read_file("town/compose.yaml", text)
}

fn read_file(name: &str, text: String) -> Scenario {
    let source = MemorySource::default().with_file(name, text);
    let scenario = load(&source, Path::new(name), &LoadOptions::default());
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
        let mut town = Town::build(&[]);
        work(|| {
            docker(&mut town, &format!("run -d --name web -p 1001-{last}:1001-{last} alpine sleep 1d"));
            docker(&mut town, "rm -f web");
        })
    };
    let (some, twice) = (of(2_000), of(3_000));
    assert!(twice <= some * 5 / 2, "{some} bytes were asked for with 1,000 ports, {twice} with 2,000");
}

#[test]
fn a_pipeline_takes_no_more_memory_for_more_input() {
    // `xargs echo` prints all of its input again, which `wc` is there to swallow.
    for filter in [
        "grep -c 7",
        "cut -c1 | wc -l",
        "sed s/1/2/ | wc -l",
        "tail -n 2",
        "head -n -2 | wc -l",
        "xargs | wc -l",
        "cat | wc -l",
    ] {
        let most = |lines: usize| {
            let command = format!("seq {lines} | {filter}");
            let text = format!(
                "services: {{a: {{image: alpine, command: sleep 1d}}}}\nsteps: [{{in: a, run: \"{command}\"}}]\n"
            );
            let scenario = read_file("town/pipes.yaml", text);
            let before = HELD.get().0;
            MOST.set(before);
            let report = lab::run(&scenario, &RunOptions::default(), &mut |_| {});
            assert!(report.passed(), "{command}");
            MOST.get() - before
        };
        let (some, many) = (most(30_000), most(120_000));
        assert!(many <= some + 262_144, "{filter}: {some} bytes for 30,000 lines, {many} for 120,000");
    }
}

#[test]
fn an_output_without_end_is_held_once_and_told_in_part() {
    let text = "services: {a: {image: alpine, command: sleep 1d}}\nsteps: [{in: a, run: \"yes\"}]\n";
    let scenario = read_file("town/endless.yaml", text.to_owned());
    let before = HELD.get().0;
    MOST.set(before);
    let mut told = 0;
    let report = lab::run(&scenario, &RunOptions::default(), &mut |progress: Progress<'_>| {
        if let Progress::Output { text } = progress {
            told += text.len();
        }
    });
    let held = MOST.get() - before;
    assert_eq!(report.steps[0].failures, ["it printed 16 MiB or more and was stopped"]);
    assert!(report.steps[0].output.contains("\n[16"), "what is left out is counted");
    assert!(report.steps[0].output.len() < 66_000 && told < 66_000, "{told} bytes");
    assert!(held < 40 << 20, "{held} bytes");
}
