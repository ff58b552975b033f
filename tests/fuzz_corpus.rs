//! The fuzz targets without a fuzzer: every file of `fuzz/corpus/`, and mutations of each drawn from a fixed seed, through
//! the same bodies that libFuzzer runs. A finding of the fuzzer becomes a file there, named by what it protects.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test reads the corpus and shows the input that fails"
)]

#[path = "../fuzz/src/lib.rs"]
mod bodies;

use std::path::Path;

use rand_xoshiro::Xoshiro256StarStar;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Mutated inputs for each target, unless `FUZZ_MUTATIONS` says another number.
const MUTATIONS: usize = 400;

/// The files of a target's corpus, in order of their names.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no input", folder.display());
    files
}

/// Replays a target's corpus, then mutations of it.
fn replay(name: &str) {
    let (_, body) = bodies::TARGETS.into_iter().find(|(target, _)| *target == name).unwrap();
    let files = corpus(name);
    for (path, bytes) in &files {
        // The name of the file that fails stands above the panic's message.
        println!("{path}");
        body(bytes);
    }
    let mutations =
        std::env::var("FUZZ_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MUTATIONS);
    let mut random = Xoshiro256StarStar::seed_from_u64(0x5eed);
    let mut below = |limit: usize| (random.next_u64() % limit.max(1) as u64) as usize;
    for number in 0..mutations {
        let mut bytes = files[below(files.len())].1.clone();
        for _ in 0..=below(6) {
            mutate(&mut bytes, &files[below(files.len())].1, &mut below);
        }
        bytes.truncate(4_096);
        println!("mutation {number}: {bytes:02x?}");
        body(&bytes);
    }
}

/// Changes, removes or inserts bytes, or joins with a part of another input.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], below: &mut impl FnMut(usize) -> usize) {
    let at = below(bytes.len() + 1);
    match below(6) {
        0 => bytes.insert(at, below(256) as u8),
        1 => bytes.truncate(at),
        2 => bytes.splice(at..at, other[below(other.len() + 1)..].iter().copied()).for_each(drop),
        3 if at < bytes.len() => drop(bytes.remove(at)),
        _ if at < bytes.len() => bytes[at] = below(256) as u8,
        _ => bytes.push(below(256) as u8),
    }
}

/// One test for each target, so that they run side by side.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(bodies::TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

targets!(conntrack dns docker engine flows fragments frames icmp iptables neighbours packets scenario);
