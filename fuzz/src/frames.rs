//! Frames from outside: Ethernet, IP, fragments, ICMP errors, TCP and UDP, through bridge, filter and translation.

use std::time::Duration;

use super::input::Input;
use super::stage::{IP, Stage, frame};

/// Frames and pauses.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut stage = Stage::new();
    while !input.is_empty() {
        let choice = input.byte();
        let side = usize::from(choice & 1);
        let frame = frame(&mut input, side, &IP);
        stage.input(side, &frame);
        if choice & 6 == 6 {
            stage.wait(Duration::from_millis(u64::from(choice) * 100));
        }
    }
    stage.end();
}
