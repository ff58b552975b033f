//! What the fuzz targets do with their bytes. Every body takes any bytes and asserts what must hold for all of them;
//! it panics when that is not so. `fuzz_targets/` hands bytes from libFuzzer, `tests/fuzz_corpus.rs` includes this file
//! and hands the committed corpus and mutations of it, so that both run the same.

#![allow(unreachable_pub, reason = "also a module of a test crate")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a finding is a panic")]

#[path = "../../tests/common/mod.rs"]
mod common;

pub mod conntrack;
pub mod dns;
pub mod docker;
pub mod engine;
pub mod flows;
pub mod fragments;
pub mod frames;
pub mod icmp;
mod input;
pub mod iptables;
pub mod neighbours;
pub mod packets;
pub mod scenario;
mod stage;

/// What a target does with any bytes.
pub type Body = fn(&[u8]);

/// Every target by the name of its corpus folder.
pub const TARGETS: [(&str, Body); 12] = [
    ("conntrack", conntrack::run),
    ("dns", dns::run),
    ("docker", docker::run),
    ("engine", engine::run),
    ("flows", flows::run),
    ("fragments", fragments::run),
    ("frames", frames::run),
    ("icmp", icmp::run),
    ("iptables", iptables::run),
    ("neighbours", neighbours::run),
    ("packets", packets::run),
    ("scenario", scenario::run),
];
