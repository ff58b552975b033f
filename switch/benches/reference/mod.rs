//! The bare step that every figure of this project is a multiple of, and how two things are compared in one run.
//!
//! The step is the least a switch can do with a 64-byte frame: note the source in a hash map with a multiplicative
//! hash, look the destination up, copy 64 bytes into the next of 512 output slots. 1,000 stations, four ports, flat
//! memory, nothing else.

#![allow(unreachable_pub, reason = "a module of several benches")]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::time::Instant;

use linkspan_switch::mac::MacAddress;

/// Stations behind the switch.
pub const STATIONS: usize = 1000;
/// Ports of the switch.
pub const PORTS: usize = 4;
/// Bytes per frame.
pub const FRAME_LEN: usize = 64;
/// Frames that are kept before the first is overwritten.
pub const SLOTS: usize = 512;
/// Bytes from one frame to the next.
pub const SLOT_LEN: usize = 2048;

/// The hash of the step: one multiplication.
#[derive(Default)]
pub struct Multiplicative(u64);

impl Hasher for Multiplicative {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 << 8 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (value ^ value >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The address of a station.
pub fn station(index: usize) -> MacAddress {
    MacAddress::from_u64(0x0242_ac11_0000 + index as u64)
}

fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 33) as usize
}

/// The destination of each frame: random, but not behind the port the source is on.
pub fn destinations(count: usize) -> Vec<usize> {
    let mut state = 1;
    (0..count)
        .map(|source| {
            loop {
                let destination = random(&mut state) % STATIONS;
                if destination % PORTS != source % PORTS {
                    break destination;
                }
            }
        })
        .collect()
}

/// The bare step on flat memory.
pub struct Reference {
    table: HashMap<u64, u32, BuildHasherDefault<Multiplicative>>,
    sources: Vec<u64>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Reference {
    /// Every station known, every input frame written.
    pub fn new() -> Reference {
        let sources: Vec<u64> = (0..STATIONS).map(|index| station(index).to_u64()).collect();
        let mut input = vec![0; SLOTS * SLOT_LEN];
        for (slot, destination) in destinations(SLOTS).into_iter().enumerate() {
            input[slot * SLOT_LEN..][..6].copy_from_slice(&station(destination).0);
        }
        let table = sources.iter().map(|source| (*source, 0)).collect();
        Reference { table, sources, input, output: vec![0; SLOTS * SLOT_LEN] }
    }

    /// The step, so many times.
    pub fn run(&mut self, frames: usize) -> u64 {
        let mut ports = 0;
        for index in 0..frames {
            let slot = index % SLOTS * SLOT_LEN;
            let frame = &self.input[slot..slot + FRAME_LEN];
            let destination = frame.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes) >> 16);
            if let Some(port) = self.table.get_mut(&self.sources[index % STATIONS]) {
                *port = (index % PORTS) as u32;
            }
            ports += self.table.get(&destination).map_or(0, |port| u64::from(*port));
            self.output[slot..slot + FRAME_LEN].copy_from_slice(frame);
        }
        black_box(&mut self.output);
        ports
    }
}

/// How long each of `count` turns of `run` took, in nanoseconds of this thread's processor time where the system tells
/// it (Linux), so that other work on the machine counts little. Its clock ticks every few milliseconds: let `run` take
/// fifty or more.
pub fn nanoseconds_each(count: usize, run: impl FnOnce() -> u64) -> f64 {
    let begin = (processor_time(), Instant::now());
    black_box(run());
    let elapsed = match (begin.0, processor_time()) {
        (Some(before), Some(after)) if after > before => (after - before) as f64,
        _ => begin.1.elapsed().as_secs_f64() * 1e9,
    };
    elapsed / count as f64
}

/// Nanoseconds this thread has been running (`Documentation/scheduler/sched-stats.rst`).
fn processor_time() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
