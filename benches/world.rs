//! How long worlds take: the quickstart, every scenario, and a thousand containers.
//!
//! The figures are wall time in milliseconds, the median of several runs, with the goal beside each:
//!
//! * `quickstart`: `scenarios/quickstart.yaml` loaded and run in this process, and the real `linkspan run` from its start
//!   to its exit (the binary is cargo's, built with the same profile). Goal 50 ms.
//! * `scenarios`: the real `linkspan test scenarios/`. Goal 2,000 ms.
//! * `build`: a world with one Docker host, ten `docker network create` and a thousand `docker run -d`, as requests that
//!   a command line would make, until the last container runs. Goal 100 ms. The requests are parsed beforehand.

#![allow(clippy::disallowed_types, reason = "a benchmark measures real processes and wall time")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real processes and wall time")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]
#![allow(missing_docs, reason = "a benchmark is no library")]

mod stage;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use criterion::Criterion;
use linkspan::docker::request::Request;
use linkspan::lab;
use linkspan::scenario::report::RunOptions;
use linkspan::scenario::{DiskSource, LoadOptions, load};
use stage::{Town, requests};

const NETWORKS: usize = 10;
const CONTAINERS: usize = 1000;
const ROUNDS: usize = 11;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Taking apart what was built is not measured.
fn milliseconds<T>(run: impl FnOnce() -> T) -> f64 {
    let begin = Instant::now();
    let built = run();
    let elapsed = begin.elapsed();
    drop(built);
    elapsed.as_secs_f64() * 1e3
}

/// Runs and prints one figure.
fn figure<T>(title: &str, goal: f64, mut run: impl FnMut() -> T) {
    run();
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| milliseconds(&mut run)).collect();
    times.sort_by(f64::total_cmp);
    let (best, middle) = (times[0], times[ROUNDS / 2]);
    println!("{title}: {middle:.2} ms (best {best:.2}), goal {goal:.0} ms, ratio {:.2}", middle / goal);
}

fn quickstart() {
    let file = root().join("scenarios/quickstart.yaml");
    let scenario = load(&DiskSource, &file, &LoadOptions::default()).map_err(|e| e.render(false));
    let scenario = scenario.expect("the quickstart is well-formed");
    let report = lab::run(&scenario, &RunOptions::default(), &mut |_| {});
    assert!(report.passed(), "the quickstart passes");
}

fn process(arguments: &[PathBuf]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
    let status = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("the binary was built").success(), "{arguments:?} succeeds");
}

fn figures(requests: &[Request]) {
    figure("quickstart, in process", 50.0, quickstart);
    figure("quickstart, process start to exit", 50.0, || {
        process(&["run".into(), root().join("scenarios/quickstart.yaml")]);
    });
    figure("linkspan test scenarios/", 2000.0, || {
        process(&["test".into(), root().join("scenarios")]);
    });
    figure("1,000 containers on 10 networks", 100.0, || Town::build(requests));
}

fn main() {
    // Ten networks, then a thousand containers on them in turn.
    let requests = requests(NETWORKS, CONTAINERS);
    if stage::wants_figures() {
        figures(&requests);
    }
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    criterion.bench_function("quickstart", |bencher| bencher.iter(quickstart));
    criterion.bench_function("build/1000", |bencher| bencher.iter_with_large_drop(|| Town::build(&requests)));
    criterion.final_summary();
}
