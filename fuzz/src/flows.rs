//! The most valuable target: the same sequence of traffic, frames from outside, rules, settings and time on an engine that
//! remembers the ways of its flows and on one that asks at every step. They must not differ in anything that can be seen.

#[path = "../../tests/common/flows.rs"]
mod remembered;

use super::common;
use super::input::Input;
use super::stage::{IP, NEIGHBOURS, frame};
use remembered::{CONTAINERS, RULES, Step, Tables, compare};

/// At most this many steps, so that one input takes milliseconds.
const STEPS: usize = 40;

/// Steps, two to six bytes each.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < STEPS {
        steps.push(step(&mut input));
    }
    compare(&steps, Tables::AtTheEnd);
}

fn step(input: &mut Input<'_>) -> Step {
    let kind = input.byte();
    let container = input.below(CONTAINERS);
    match kind % 24 {
        0..9 => Step::Send {
            from: usize::from(kind >> 5) % (CONTAINERS + 1),
            to: input.below(CONTAINERS + 1),
            count: 1 + input.below(11),
            length: [10, 300, 1_600][container % 3],
        },
        9 => Step::Transfer {
            from: container,
            to: input.below(CONTAINERS),
            length: 1 + usize::from(input.word()),
        },
        10..13 => Step::Wait([1, 40, 2_500, 6_000, 31_000, 130_000][input.below(6)]),
        13..16 => Step::Rule(input.below(RULES.len())),
        16 => Step::BridgeNetfilter(input.flag()),
        17 => Step::Bounce(container),
        18 => Step::Nearer(container),
        19 => Step::Farther(container),
        20 => Step::Hairpin(container, input.flag()),
        21 => Step::Uplink { delay: u64::from(input.byte()), cut: input.below(8) == 0 },
        22 => Step::Inject { side: container, frame: to_stage(frame(input, container, &IP)) },
        _ => Step::Inject { side: container, frame: to_stage(frame(input, container, &NEIGHBOURS)) },
    }
}

/// Frames are made for 10.0.0.0/24; here that network is 10.250.0.0/16.
fn to_stage(mut frame: Vec<u8>) -> Vec<u8> {
    if frame.len() >= 34 && frame[12..14] == [8, 0] {
        for at in [26, 30] {
            if frame[at] == 10 {
                frame[at + 1] = 250;
            }
        }
        super::packets::mend(&mut frame[14..]);
    }
    if frame.len() >= 42 && frame[12..14] == [8, 6] {
        for at in [28, 38] {
            if frame[at] == 10 {
                frame[at + 1] = 250;
            }
        }
    }
    frame
}
