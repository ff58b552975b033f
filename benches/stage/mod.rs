//! What the benches of whole worlds share: a world of containers, and how figures are taken and printed.
//!
//! Figures are processor time of this thread where the kernel tells it, so that other processes of the machine count
//! little.

#![allow(
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "a module of several benches, none of which needs all of it"
)]

#[path = "../../switch/benches/reference/mod.rs"]
mod reference;
mod town;

use criterion::Criterion;

pub use reference::{median, nanoseconds_each};
pub use town::{Town, on_default_bridge, request, requests};

/// Whether figures are wanted: a filter asks for criterion alone, which is what a profiler wants.
pub fn wants_figures() -> bool {
    std::env::args().skip(1).all(|argument| argument.starts_with('-'))
}

/// A criterion that takes few seconds for each bench.
pub fn criterion() -> Criterion {
    let second = std::time::Duration::from_secs(1);
    Criterion::default()
        .sample_size(10)
        .warm_up_time(second / 2)
        .measurement_time(2 * second)
        .configure_from_args()
}
